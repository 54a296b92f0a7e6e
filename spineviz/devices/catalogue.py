"""The sizes in which instruments are made."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError


@dataclass(frozen=True)
class NeedleSize:
    """One row of assets/devices/needles.csv.

    Attributes:
        gauge: the larger the number, the thinner the needle.
        outer_mm, inner_mm: diameters of tube and bore.
        lengths_mm: the lengths in which it comes.
        use, citation, mark: what it is for, and where the sizes were read.
    """

    gauge: int
    outer_mm: float
    inner_mm: float
    lengths_mm: tuple[float, ...]
    use: str
    citation: str
    mark: str

    @property
    def radius_mm(self) -> float:
        """Half the outer diameter."""
        return self.outer_mm / 2

    def bore_ml(self, length_mm: float) -> float:
        """What the bore holds over `length_mm`: the cement that the stylet drives out when it goes back (pi r^2 L)."""
        return float(np.pi * (self.inner_mm / 2) ** 2 * length_mm / 1000.0)

    def length_for(self, reach_mm: float, outside_mm: float) -> float:
        """The shortest length that reaches `reach_mm` below the skin with `outside_mm` left over, else the longest."""
        fitting = [length for length in self.lengths_mm if length >= reach_mm + outside_mm]
        return min(fitting) if fitting else max(self.lengths_mm)


@cache
def needle_sizes() -> dict[int, NeedleSize]:
    """Every bone needle of the catalogue by gauge, widest first."""
    rows = csv.DictReader(asset("devices", "needles.csv").read_text("utf-8").splitlines())
    sizes = [
        NeedleSize(
            int(row["gauge"]),
            float(row["outer_mm"]),
            float(row["inner_mm"]),
            tuple(float(length) for length in row["lengths_mm"].split()),
            row["use"],
            row["citation"],
            row["mark"],
        )
        for row in rows
    ]
    return {size.gauge: size for size in sorted(sizes, key=lambda s: s.gauge)}


def needle_size(gauge: int) -> NeedleSize:
    """The bone needle of `gauge`; RequestError lists the catalogue for another."""
    sizes = needle_sizes()
    if gauge not in sizes:
        raise RequestError(f"needle.gauge: {gauge} is not in the catalogue; give {', '.join(map(str, sizes))}")
    return sizes[gauge]
