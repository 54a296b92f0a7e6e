"""The bone filler: a tube that carries thick cement through the cannula, and the plunger that pushes it out."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from spineviz.anatomy.structure import Structure
from spineviz.devices.catalogue import filler_mm, kyphoplasty_parts, running_mm
from spineviz.devices.solids import Solid, filleted, standing_at, structure_of, tube_profile, turned
from spineviz.geometry.frames import translation


@cache
def filler_tube(cannula_gauge: int, length_mm: float) -> Solid:
    """The steel: an open tube, its end at the origin, from -z. Exact."""
    outer = filler_mm(cannula_gauge) / 2
    return turned(tube_profile(outer, outer - kyphoplasty_parts()["tube_wall_mm"], -length_mm, 0.0))


@cache
def filler_grip(cannula_gauge: int, length_mm: float) -> Solid:
    """The plastic funnel behind the tube, pierced for the plunger. Exact."""
    part, outer = kyphoplasty_parts(), filler_mm(cannula_gauge) / 2
    hole, wide, long = outer - part["tube_wall_mm"], part["filler_grip_radius_mm"], part["filler_grip_length_mm"]
    front, back = -length_mm, -length_mm - long
    outside = filleted(
        [
            [wide - 1.2, back], [wide, back], [wide, back + 3.0], [0.66 * wide, back + 5.0],
            [0.66 * wide, front - 7.0], [outer + 0.9, front - 2.0], [outer + 0.9, front], [hole, front],
        ],
        0.6,
    )  # fmt: skip
    return turned(np.vstack([outside, [hole, back + 4.0], [wide - 1.2, back]]))


@cache
def filler_plunger(cannula_gauge: int, length_mm: float) -> Solid:
    """The plunger's rod and cap; its face, which pushes the cement, is the origin. Exact.

    Pushed home, the face is level with the tube's end and the cap rests on the grip.
    """
    part = kyphoplasty_parts()
    rod = running_mm(filler_mm(cannula_gauge) - 2 * part["tube_wall_mm"]) / 2
    rest = -length_mm - part["filler_grip_length_mm"]
    wide, end = part["filler_cap_radius_mm"], rest - part["filler_cap_length_mm"]
    body = filleted([[0.0, end], [wide, end], [wide, rest - 2.5], [rod + 1.0, rest], [rod, rest]], 0.7)
    return turned(np.vstack([body, [[rod, 0.0], [0.0, 0.0]]]))


def filler_structures(
    side: str, cannula_gauge: int, length_mm: float, tip_mm: ArrayLike, forward: ArrayLike, plunger: float = 0.0
) -> dict[str, Structure]:
    """The bone filler of `side` with its end at `tip_mm` (3,), from the skin along `forward` (3,): tube, grip, plunger.

    Args:
        cannula_gauge: the cannula that it runs in.
        plunger: 0 full, the plunger just in the tube, to 1 emptied; ValueError outside.
    """
    if not 0.0 <= plunger <= 1.0:
        raise ValueError(f"plunger must be 0 to 1, got {plunger}")
    stand, key = standing_at(tip_mm, forward), f"filler-{cannula_gauge}-{length_mm:g}"
    pushed = stand @ translation((0.0, 0.0, -(1.0 - plunger) * 0.97 * length_mm))
    tube, grip = filler_tube(cannula_gauge, length_mm), filler_grip(cannula_gauge, length_mm)
    rod = filler_plunger(cannula_gauge, length_mm)
    made = [
        structure_of(f"filler-{side}", "steel", "steel", tube, f"{key}-tube", stand),
        structure_of(f"filler-handle-{side}", "hub", "pmma", grip, f"{key}-grip", stand),
        structure_of(f"filler-plunger-{side}", "steel", "steel", rod, f"{key}-plunger", pushed),
    ]
    return {structure.name: structure for structure in made}
