"""The guide pin: a blunt Kirschner wire over which needle and cannula change places."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from spineviz.anatomy.structure import Structure
from spineviz.devices.catalogue import pin_mm
from spineviz.devices.solids import Solid, standing_at, structure_of, turned


@cache
def pin(length_mm: float, diameter_mm: float) -> Solid:
    """The steel from -z to its blunt, rounded end at the origin. Exact."""
    radius = diameter_mm / 2
    angle = np.linspace(0.0, np.pi / 2, 9)
    end = np.column_stack([radius * np.cos(angle), radius * (np.sin(angle) - 1.0)])
    end[-1] = 0.0
    return turned(np.vstack([[[0.0, -length_mm], [radius, -length_mm]], end]))


def pin_structures(
    side: str, length_mm: float, tip_mm: ArrayLike, forward: ArrayLike, needle_gauge: int = 11
) -> dict[str, Structure]:
    """The guide pin of `side` with its blunt end at `tip_mm` (3,), from the skin along `forward` (3,).

    It is the one that passes a needle of `needle_gauge`.
    """
    wide = pin_mm(needle_gauge)
    name, key = f"pin-{side}", f"pin-{wide:g}-{length_mm:g}"
    return {name: structure_of(name, "steel", "steel", pin(length_mm, wide), key, standing_at(tip_mm, forward))}
