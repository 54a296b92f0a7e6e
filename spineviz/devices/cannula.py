"""The working cannula: an open tube with a winged hub, through which every other instrument goes, and its dilator."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from spineviz.anatomy.structure import Structure
from spineviz.devices.catalogue import cannula_size, kyphoplasty_parts, pin_mm, running_mm
from spineviz.devices.solids import (
    Solid,
    all_of,
    block,
    filleted,
    standing_at,
    structure_of,
    tube_profile,
    turned,
)


@cache
def cannula_tube(gauge: int, length_mm: float) -> Solid:
    """The steel: an open tube whose square end lies at the origin and which comes from -z. Exact."""
    size = cannula_size(gauge)
    return turned(tube_profile(size.radius_mm, size.inner_mm / 2, -length_mm, 0.0))


@cache
def cannula_hub(gauge: int, length_mm: float) -> Solid:
    """The plastic behind the tube, as long as kyphoplasty_parts.csv says: a pierced hub and two wings along y."""
    part, size = kyphoplasty_parts(), cannula_size(gauge)
    bore, wide, long = size.inner_mm / 2, part["hub_radius_mm"], part["hub_length_mm"]
    neck, front, back = size.radius_mm + part["hub_neck_mm"], -length_mm, -length_mm - long
    collar, mouth = 0.84 * wide, bore + 1.3
    outside = filleted(
        [
            [mouth, back], [wide, back], [wide, back + 4.0], [collar, back + 5.0], [collar, back + 0.62 * long],
            [neck, front - 1.5], [neck, front], [bore, front],
        ],
        0.7,
    )  # fmt: skip
    ring = np.vstack([outside, [bore, back + 3.0], [mouth, back]])
    half, span = part["wing_width_mm"] / 2, part["wing_span_mm"] / 2
    middle = back + 0.45 * long
    inner = bore + 1.0  # a wing grows out of the wall and leaves the bore open
    wings = [
        block(
            [0.0, side * (inner + span) / 2, middle], [part["wing_thickness_mm"], span - inner, 2 * half],
            0.45 * part["wing_thickness_mm"],
        )
        for side in (-1.0, 1.0)
    ]  # fmt: skip
    return all_of(turned(ring), *wings)


@cache
def dilator(gauge: int, length_mm: float, needle_gauge: int) -> Solid:
    """The blunt tapered tube that fills the cannula while it slides over the guide pin; -z from the origin, its tip.

    `length_mm` is the cannula's; the dilator stands out of it in front, its cap behind its hub.
    """
    part, size = kyphoplasty_parts(), cannula_size(gauge)
    bore, wide = running_mm(size.inner_mm) / 2, part["dilator_cap_radius_mm"]
    hole = (pin_mm(needle_gauge) + part["clearance_mm"]) / 2
    behind = -(part["dilator_ahead_mm"] + length_mm + part["hub_length_mm"])
    end = behind - part["dilator_cap_length_mm"]
    tip = min(bore, hole + 0.15)
    outside = filleted(
        [[hole, end], [wide, end], [wide, behind], [bore, behind], [bore, -part["dilator_taper_mm"]], [tip, 0.0]], 0.8
    )
    return turned(np.vstack([outside, [hole, 0.0], [hole, end]]))


def cannula_structures(
    side: str, gauge: int, length_mm: float, tip_mm: ArrayLike, forward: ArrayLike
) -> dict[str, Structure]:
    """The working cannula of `side` with its end at `tip_mm` (3,), from the skin along `forward` (3,): tube and hub.

    Raises RequestError for a gauge that no cannula has.
    """
    stand, key = standing_at(tip_mm, forward), f"cannula-{gauge}-{length_mm:g}"
    tube, hub = cannula_tube(gauge, length_mm), cannula_hub(gauge, length_mm)
    return {
        f"cannula-{side}": structure_of(f"cannula-{side}", "steel", "steel", tube, f"{key}-tube", stand),
        f"cannula-hub-{side}": structure_of(f"cannula-hub-{side}", "hub", "pmma", hub, f"{key}-hub", stand),
    }


def dilator_structure(
    side: str, gauge: int, length_mm: float, tip_mm: ArrayLike, forward: ArrayLike, needle_gauge: int = 11
) -> Structure:
    """The dilator in the cannula of `side` whose end is at `tip_mm`, over the pin that came through `needle_gauge`."""
    ahead = kyphoplasty_parts()["dilator_ahead_mm"] * np.asarray(forward, float) / np.linalg.norm(forward)
    solid = dilator(gauge, length_mm, needle_gauge)
    stand, key = (
        standing_at(np.asarray(tip_mm, float) + ahead, forward),
        f"dilator-{gauge}-{length_mm:g}-{needle_gauge}",
    )
    return structure_of(f"dilator-{side}", "hub", "pmma", solid, key, stand)
