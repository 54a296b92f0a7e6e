"""The balloon tamp without its balloon: shaft, stylet, two markers, neck and Y-shaped hub. The membrane is physics."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import Structure
from spineviz.devices.catalogue import balloon_size, kyphoplasty_parts
from spineviz.devices.solids import (
    Solid,
    all_of,
    filleted,
    rod_profile,
    standing_at,
    structure_of,
    tube_profile,
    turned,
)
from spineviz.geometry.fields import unit
from spineviz.geometry.frames import Frame, looking_along, translation


def working_ends_mm(
    balloon_length_mm: int, front_mm: ArrayLike, forward: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rear and front end (3,) of the balloon's working length, where the middles of the markers are, for a tamp whose
    foremost point is at `front_mm` (3,)."""
    size, ahead = balloon_size(balloon_length_mm), unit(forward, "forward")
    front = np.asarray(front_mm, float) - size.nose_mm * ahead
    return front - size.length_mm * ahead, front


@cache
def tamp_shaft(balloon_length_mm: int, length_mm: float) -> Solid:
    """The plastic: a shaft that ends where the balloon begins, its inner tube on through the balloon, a blunt nose.

    The nose's end is the origin; it comes from -z. Exact.
    """
    size = balloon_size(balloon_length_mm)
    rod, hole, wide = size.rod_mm / 2, size.stylet_mm / 2, size.shaft_mm / 2
    shoulder = -(size.nose_mm + size.length_mm + size.marker_length_mm / 2 + 0.6)
    angle = np.linspace(0.0, np.pi / 2, 7)
    nose = 0.85 * rod + 0.15 * size.marker_outer_mm / 2  # a little wider than the tube that it ends
    cap = np.column_stack([nose * np.cos(angle), nose * (np.sin(angle) - 1.0)])
    cap[-1] = 0.0
    stop, step = -0.5 * size.nose_mm, size.marker_length_mm / 2 - size.nose_mm  # the hole ends in the nose
    return turned(
        np.vstack(
            [
                [[hole, -length_mm], [wide, -length_mm], [wide, shoulder - 1.0], [rod, shoulder]],
                [[rod, step], [nose, step + 0.1]],
                cap,
                [[0.0, stop], [hole, stop], [hole, -length_mm]],
            ]
        )
    )


@cache
def stylet(balloon_length_mm: int, length_mm: float) -> Solid:
    """The steel wire in the inner tube, from the nose to the cap behind the hub. Exact."""
    size = balloon_size(balloon_length_mm)
    return turned(
        rod_profile(size.stylet_mm / 2, -length_mm - kyphoplasty_parts()["tamp_hub_length_mm"], -0.5 * size.nose_mm)
    )


@cache
def marker(balloon_length_mm: int) -> Solid:
    """A platinum ring round the inner tube, its middle at the origin. Exact."""
    size = balloon_size(balloon_length_mm)
    half = size.marker_length_mm / 2
    return turned(tube_profile(size.marker_outer_mm / 2, size.rod_mm / 2, -half, half))


@cache
def neck(balloon_length_mm: int) -> Solid:
    """The balloon's neck: where it is welded to the shaft, over the rear marker and on along the inner tube. Exact.

    It stays folded, whatever the balloon holds. The tamp's foremost point is the origin.
    """
    size, long = balloon_size(balloon_length_mm), kyphoplasty_parts()["tamp_neck_mm"]
    middle, half = -size.nose_mm - size.length_mm, size.marker_length_mm / 2
    wide = 0.95 * size.folded_radius_mm  # within the folded balloon while there is one
    over, tube, gap = size.marker_outer_mm / 2, size.rod_mm / 2, 0.02
    rear, front = middle - half - 0.1, middle + long
    inside = [[tube + gap, front], [tube + gap, middle + half + 0.4], [over + gap, middle + half + 0.1]]
    outside = filleted(
        [[over + gap, rear], [0.5 * (over + wide), rear], [wide, middle], [wide, middle + 0.4 * long],
         [tube + 0.1, front], [tube + gap, front]], 0.3,
    )  # fmt: skip
    return turned(np.vstack([outside, inside[1:], [[over + gap, rear]]]))


@cache
def tamp_hub(length_mm: float) -> Solid:
    """The Y behind a shaft of `length_mm`: a straight limb with the stylet's cap, a branch for the contrast."""
    part = kyphoplasty_parts()
    wide, long = part["tamp_hub_radius_mm"], part["tamp_hub_length_mm"]
    front, back = -length_mm, -length_mm - long
    cap_wide, cap_long = part["tamp_cap_radius_mm"], part["tamp_cap_length_mm"]
    limb = turned(
        filleted(
            [
                [0.0, back - cap_long], [cap_wide, back - cap_long], [cap_wide, back - 0.6], [2.4, back],
                [2.4, back + 5.0], [wide, back + 9.0], [wide, front - 11.0], [1.9, front - 1.0], [1.9, front],
                [0.0, front],
            ],
            0.6,
        )
    )  # fmt: skip
    # the branch leaves the limb towards the operator's hand
    angle = np.radians(part["tamp_branch_deg"])
    away = np.array([0.0, np.sin(angle), -np.cos(angle)])
    start = np.array([0.0, 0.0, front - 0.5 * long])
    reach = part["tamp_branch_mm"]
    branch = turned(
        filleted(
            [[0.0, 0.0], [2.3, 0.0], [2.3, reach - 7.0], [3.4, reach - 6.0], [3.4, reach], [1.9, reach],
             [1.9, reach - 4.0], [0.0, reach - 4.0]], 0.5,
        )
    )  # fmt: skip
    return all_of(limb, branch.moved(looking_along(start, away)))


def tamp_structures(
    side: str, balloon_length_mm: int, length_mm: float, front_mm: ArrayLike, forward: ArrayLike
) -> dict[str, Structure]:
    """The balloon tamp of `side`, its foremost point at `front_mm` (3,), from the skin along `forward` (3,).

    Shaft with inner tube, stylet, hub, the balloon's neck, and a marker with its middle at each end of the working
    length.
    Raises RequestError for a balloon that the catalogue does not hold.
    """
    stand, key = standing_at(front_mm, forward), f"tamp-{balloon_length_mm}-{length_mm:g}"
    size = balloon_size(balloon_length_mm)

    def at(z_mm: float) -> Frame:
        return stand @ translation((0.0, 0.0, z_mm))

    shaft, wire = tamp_shaft(balloon_length_mm, length_mm), stylet(balloon_length_mm, length_mm)
    ring, ring_key = (
        marker(balloon_length_mm),
        f"marker-{size.marker_outer_mm:g}-{size.rod_mm:g}-{size.marker_length_mm:g}",
    )
    made = [
        structure_of(f"tamp-{side}", "hub", "pmma", shaft, f"{key}-shaft", stand),
        structure_of(
            f"tamp-stylet-{side}",
            "steel",
            "steel",
            wire,
            f"stylet-{size.stylet_mm:g}-{size.nose_mm:g}-{length_mm:g}",
            stand,
        ),
        structure_of(f"tamp-hub-{side}", "hub", "pmma", tamp_hub(length_mm), f"tamp-hub-{length_mm:g}", stand),
    ]
    weld = neck(balloon_length_mm)
    made.append(
        structure_of(f"tamp-neck-{side}", "balloon", "pmma", weld, f"neck-{balloon_length_mm}", stand, "cement")
    )
    for end, z_mm in (("front", -size.nose_mm), ("rear", -size.nose_mm - size.length_mm)):
        made.append(structure_of(f"marker-{end}-{side}", "marker", "platinum", ring, ring_key, at(z_mm), "marker"))
    return {structure.name: structure for structure in made}
