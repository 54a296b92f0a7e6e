"""The sizes in which instruments are made."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import sourced_table


@dataclass(frozen=True)
class NeedleSize:
    """One row of assets/devices/needles.csv.

    Attributes:
        gauge: the larger the number, the thinner the needle.
        outer_mm, inner_mm: diameters of tube and bore.
        lengths_mm: the lengths in which it comes.
        use, citation, mark: what it is for, and where the sizes were read.
        cannula: whether it also comes as the working cannula of kyphoplasty.
    """

    gauge: int
    outer_mm: float
    inner_mm: float
    lengths_mm: tuple[float, ...]
    use: str
    citation: str
    mark: str
    cannula: bool = False

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
            row["cannula"] == "yes",
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


def cannula_sizes() -> dict[int, NeedleSize]:
    """The working cannulas of kyphoplasty by gauge, widest first: needles of the catalogue that also come as such."""
    return {gauge: size for gauge, size in needle_sizes().items() if size.cannula}


def cannula_size(gauge: int) -> NeedleSize:
    """The working cannula of `gauge`; RequestError lists the catalogue for another."""
    sizes = cannula_sizes()
    if gauge not in sizes:
        raise RequestError(f"cannula.gauge: {gauge} is not in the catalogue; give {' or '.join(map(str, sizes))}")
    return sizes[gauge]


def needle_before(cannula_gauge: int, wanted_gauge: int | None = None) -> NeedleSize:
    """The access needle that makes way for a cannula: the one wanted if it is thinner, else the largest that is.

    Raises RequestError for a gauge that the catalogue does not hold.
    """
    cannula = cannula_size(cannula_gauge)
    wanted = needle_size(wanted_gauge) if wanted_gauge is not None else None
    if wanted is not None and wanted.outer_mm < cannula.outer_mm:
        return wanted
    return max((s for s in needle_sizes().values() if s.outer_mm < cannula.outer_mm), key=lambda s: s.outer_mm)


@dataclass(frozen=True)
class BalloonSize:
    """One row of assets/devices/balloons.csv: a balloon tamp.

    Attributes:
        length_mm: the balloon's working length, from marker to marker (middle to middle).
        rated_ml, rated_psi: what it may be filled to at most.
        folded_mm: diameter of the folded balloon, the widest part that passes the cannula.
        shaft_mm: diameter of the shaft behind the balloon.
        rod_mm: diameter of the shaft's inner tube, which runs on through the balloon.
        stylet_mm: diameter of the wire in it.
        marker_outer_mm, marker_length_mm: the platinum rings round the inner tube.
        nose_mm: how far the blunt end reaches past the front end of the working length.
        citation, mark: where the sizes were read.
    """

    length_mm: int
    rated_ml: float
    rated_psi: float
    folded_mm: float
    shaft_mm: float
    rod_mm: float
    stylet_mm: float
    marker_outer_mm: float
    marker_length_mm: float
    nose_mm: float
    citation: str
    mark: str

    @property
    def folded_radius_mm(self) -> float:
        """Half the folded balloon's diameter."""
        return self.folded_mm / 2


@cache
def balloon_sizes() -> dict[int, BalloonSize]:
    """Every balloon tamp of the catalogue by its balloon's length in mm, shortest first."""
    out = {}
    for row in csv.DictReader(asset("devices", "balloons.csv").read_text("utf-8").splitlines()):
        citation, mark = row.pop("citation"), row.pop("mark")
        length = int(row.pop("length_mm"))
        out[length] = BalloonSize(length, **{k: float(v) for k, v in row.items()}, citation=citation, mark=mark)
    return dict(sorted(out.items()))


def balloon_size(length_mm: int) -> BalloonSize:
    """The balloon tamp of `length_mm`; RequestError lists the catalogue for another."""
    sizes = balloon_sizes()
    if length_mm not in sizes:
        raise RequestError(f"balloon.length_mm: {length_mm} is not in the catalogue; give {', '.join(map(str, sizes))}")
    return sizes[length_mm]


@cache
def kyphoplasty_parts() -> dict[str, float]:
    """The rows of assets/devices/kyphoplasty_parts.csv by name; units as their names say."""
    return {name: row.value for name, row in sourced_table(asset("devices", "kyphoplasty_parts.csv")).items()}


def running_mm(bore_mm: float) -> float:
    """The diameter of what runs in a bore of `bore_mm`: a little less, so that it moves."""
    return bore_mm - kyphoplasty_parts()["clearance_mm"]


def pin_mm(needle_gauge: int) -> float:
    """Diameter of the guide pin that passes a needle of `needle_gauge`: the usual one, or a finer one."""
    parts, bore = kyphoplasty_parts(), needle_size(needle_gauge).inner_mm
    return max(d for d in (parts["pin_mm"], parts["pin_fine_mm"]) if d <= running_mm(bore))


def drill_mm(cannula_gauge: int) -> float:
    """Diameter of the drill's bit that runs in a cannula of `cannula_gauge`, and of the channel that it cuts."""
    return running_mm(cannula_size(cannula_gauge).inner_mm)


def filler_mm(cannula_gauge: int) -> float:
    """Outer diameter of the bone filler that runs in a cannula of `cannula_gauge`."""
    return running_mm(cannula_size(cannula_gauge).inner_mm)


def tool_length_mm(cannula_length_mm: float, beyond_mm: float) -> float:
    """Length of an instrument whose tip reaches `beyond_mm` past the cannula's and whose handle stays behind its hub.

    The dilator of a cannula, its hub and a gap count too.
    """
    parts = kyphoplasty_parts()
    return cannula_length_mm + parts["hub_length_mm"] + parts["handle_gap_mm"] + beyond_mm


def pin_length_mm(over_mm: float) -> float:
    """Length of a guide pin over which instruments of up to `over_mm`, hub and handle with it, slide."""
    return over_mm + kyphoplasty_parts()["pin_outside_mm"]
