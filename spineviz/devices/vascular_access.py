"""The way into an artery and out of it: puncture needle, sheath with valve and dilator, and the hand that presses."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.devices.endovascular import (
    RING_MM,
    SIDES,
    EndovascularSize,
    SweptTube,
    endovascular_parts,
    endovascular_sizes,
    evenly,
    stitched,
    swept,
)
from spineviz.devices.solids import Solid, all_of, block, filleted, rod, standing_at, structure_of, tube, turned
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Field, Points, capsule, cylinder, half_space, round_cone, unit
from spineviz.geometry.frames import looking_along, rotation_about, translation
from spineviz.geometry.meshes import mesh_field
from spineviz.geometry.operators import difference, intersection, moved, smooth_union

# ---- the sheath ------------------------------------------------------------------------------------------------------


def sheath_structures(
    name: str, points_mm: ArrayLike, size: EndovascularSize, dilator: float, ahead_mm: ArrayLike
) -> dict[str, Structure]:
    """The sheath along `points_mm` (N, 3), from its hub outside the skin to its tip in the artery: tube and hub.

    While `dilator` is more than 0 so is the dilator, which stands out of the tip by that share of its length, on the
    way `ahead_mm` (M, 3) that the artery leaves it.
    """
    made = swept(points_mm, size.outer_mm, size.inner_mm)
    line = made.line
    forward = line.at(min(8.0, line.length_mm))[0] - line.points_mm[0]
    # up is the patient's front, so that the side arm lies flat beside the groin
    stand = looking_along(line.points_mm[0], forward, up=(0.0, 1.0, 0.0))
    hub = valve(size.outer_mm, size.inner_mm or size.outer_mm / 2)
    out = {
        name: made.structure(name, "sheath", "pmma", RANKS["steel"] - 2),
        f"{name}-hub": structure_of(f"{name}-hub", "hub", "pmma", hub, f"valve-{size.name}", stand),
    }
    if dilator > 0.0:
        out["dilator"] = _dilator(line, size, dilator, np.asarray(ahead_mm, float))
    return out


def _dilator(line: Curve, sheath: EndovascularSize, share: float, ahead: Points) -> Structure:
    """What is seen of the dilator: from just inside the sheath's tip to `share` of its way out of it."""
    part, size = endovascular_parts(), endovascular_sizes()["dilator-5F"]
    back = line.part(max(0.0, line.length_mm - 12.0), line.length_mm).points_mm
    out = Curve(np.concatenate([back[-1:], ahead])).part(0.0, share * part["dilator_ahead_mm"]).points_mm
    bore = (size.inner_mm or 0.0) / 2
    wide = min(size.outer_mm, 0.97 * (sheath.inner_mm or size.outer_mm)) / 2
    taper = min(part["dilator_taper_mm"], share * part["dilator_ahead_mm"] + 6.0)
    way = Curve(evenly(np.concatenate([back, out[1:]]), RING_MM))
    made = SweptTube(way, wide, bore, bore + 0.06, taper)
    return made.structure("dilator", "hub", "pmma", RANKS["steel"] - 3, told=False)


@cache
def valve(outer_mm: float, inner_mm: float) -> Solid:
    """The valve housing behind a sheath of those diameters, which begins at the origin and runs to z: with its side
    arm, the line from it and a three-way stopcock, all at -z and +x."""
    part = endovascular_parts()
    back, wide = -part["valve_length_mm"], part["valve_radius_mm"]
    tube_mm, bore, neck = outer_mm / 2, inner_mm / 2, 0.72 * wide
    outside = filleted(
        [
            [bore + 1.6, back], [wide, back], [wide, back + 5.0], [neck, back + 6.0], [neck, -7.5],
            [tube_mm + 1.0, -4.0], [tube_mm + 0.35, 3.0], [tube_mm + 0.05, 3.0],
        ],
        0.7,
    )  # fmt: skip
    inside = [[tube_mm + 0.05, 0.0], [bore, 0.0], [bore, back + 3.0], [bore + 1.6, back]]
    housing = turned(np.vstack([outside, inside]))
    arm, long, cock = part["arm_radius_mm"], part["arm_length_mm"], part["stopcock_radius_mm"]
    middle = 0.5 * back
    spout = rod((neck - 0.6, 0.0, middle), (neck + 5.0, 0.0, middle - 1.5), 1.6 * arm, 24)
    bend = np.linspace(0.0, 1.0, 20)[:, None]
    from_, to = np.array([neck + 4.0, 0.0, middle - 1.2]), np.array([neck + 0.42 * long, 0.5, middle - 0.72 * long])
    knee = np.array([neck + 0.5 * long, 0.0, middle - 4.0])
    tubing = tube(list((1 - bend) ** 2 * from_ + 2 * bend * (1 - bend) * knee + bend**2 * to), arm, 16)
    stand = looking_along(to, to - knee, up=(0.0, 1.0, 0.0))
    return all_of(housing, spout, tubing, _stopcock(cock, part["stopcock_length_mm"]).moved(stand))


def _stopcock(radius_mm: float, length_mm: float) -> Solid:
    """A three-way stopcock that begins at the origin and runs to z: two ways along, one across, a lever on top."""
    middle = 0.45 * length_mm
    along = turned(
        filleted(
            [
                [0.0, 0.0], [0.8 * radius_mm, 0.0], [0.8 * radius_mm, 0.7 * length_mm],
                [1.2 * radius_mm, 0.74 * length_mm], [1.2 * radius_mm, length_mm], [0.0, length_mm],
            ],
            0.4,
        )
    )  # fmt: skip
    barrel = rod((0.0, -1.3 * radius_mm, middle), (0.0, 1.5 * radius_mm, middle), 1.25 * radius_mm, 32)
    across = rod((radius_mm, 0.0, middle), (3.4 * radius_mm, 0.0, middle), 0.95 * radius_mm, 28)
    lever = block(
        (0.0, 1.9 * radius_mm, middle + 1.3 * radius_mm), (1.1 * radius_mm, 0.8 * radius_mm, 4.2 * radius_mm), 0.6
    )
    return all_of(along, barrel, across, lever)


# ---- the needle ------------------------------------------------------------------------------------------------------


def puncture_needle_structures(
    name: str, tip_mm: ArrayLike, direction: ArrayLike, size: EndovascularSize
) -> dict[str, Structure]:
    """The needle with its point at `tip_mm` (3,), pushed along `direction` (3,): bevelled shaft and hub."""
    stand = standing_at(tip_mm, direction)
    key = f"puncture-{size.name}"
    return {
        name: structure_of(name, "steel", "steel", needle_shaft(size), f"{key}-shaft", stand),
        f"{name}-hub": structure_of(f"{name}-hub", "hub", "pmma", needle_hub(size), f"{key}-hub", stand),
    }


@cache
def needle_shaft(size: EndovascularSize) -> Solid:
    """The bevelled tube from -z to its point, which stands at z = 0 on the lower side (-y)."""
    slope = 1.0 / np.tan(np.deg2rad(endovascular_parts()["needle_bevel_deg"]))
    outer, inner, back = size.outer_mm / 2, (size.inner_mm or 0.0) / 2, -size.length_mm
    angle = 2 * np.pi * np.arange(SIDES) / SIDES
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    heel = -2 * outer * slope

    def wall(radius: float) -> NDArray[np.float64]:
        flat = [np.column_stack([radius * circle, np.full(SIDES, z)]) for z in np.linspace(back, heel, 12)]
        return np.array([*flat, np.column_stack([radius * circle, -slope * (outer + radius * circle[:, 1])])])

    mesh = stitched(np.concatenate([wall(outer), wall(inner)[::-1]]), ring=True)
    ground = half_space([0.0, -outer, 0.0], [0.0, slope, 1.0])
    pipe = difference(
        cylinder([0.0, 0.0, back], [0.0, 0.0, 0.0], outer), cylinder([0.0, 0.0, back - 1.0], [0, 0, 1.0], inner)
    )
    return Solid(intersection(pipe, ground), mesh)


@cache
def needle_hub(size: EndovascularSize) -> Solid:
    """The hub behind the shaft: a cone for the fingers, ribs, and a flange that a syringe locks on."""
    part = endovascular_parts()
    front = -size.length_mm + 3.0
    back, wide, shaft = front - part["needle_hub_length_mm"], part["needle_hub_radius_mm"], size.outer_mm / 2
    waist = 0.72 * wide
    outside = filleted(
        [
            [waist - 0.5, back], [wide, back], [wide, back + 1.6], [waist, back + 2.4], [waist, front - 6.0],
            [shaft + 0.5, front], [shaft, front],
        ],
        0.5,
    )  # fmt: skip
    hub = turned(np.vstack([outside, [shaft, back + 8.0], [waist - 0.9, back + 6.0], [waist - 0.5, back]]))
    ribs = [
        block((side * waist, 0.0, back + 7.0), (1.0, 3.0, 7.0), 0.45) for side in (-1.0, 1.0)
    ]  # flat sides that tell where the bevel looks
    return all_of(hub, *ribs)


# ---- pressure --------------------------------------------------------------------------------------------------------


def pressure_pad(skin_mm: ArrayLike, outward: ArrayLike) -> dict[str, Structure]:
    """A folded swab on the skin at `skin_mm` (3,), whose way out is `outward` (3,), and the hand that presses it.

    The hand is the right one of somebody who stands at the patient's right.
    """
    inward = -unit(outward, "outward")
    # so turned that the hand comes from the patient's right and a little from below
    stand = looking_along(skin_mm, inward) @ rotation_about((0.0, 0.0, 1.0), 180.0 - 35.0)
    hand = hand_field()
    kept = cache(lambda spacing_mm: mesh_field(hand, spacing_mm))
    return {
        # gauze is white, as the plaster is: on the blue drape it would not be seen in its colour
        "pad": structure_of("pad", "ligament", "theatre", swab(), "pressure-pad", stand, "skin"),
        "hand": Structure(
            "hand", "glove", "theatre", moved(hand, stand), lambda spacing_mm: kept(max(1.4, spacing_mm)),
            "pressure-hand", RANKS["skin"], stand,
        ),
    }  # fmt: skip


@cache
def swab() -> Solid:
    """A folded swab that lies on the plane z = 0, pressed into it a little, its layers not quite square."""
    part = endovascular_parts()
    thick, wide = part["pad_layer_mm"], part["pad_size_mm"]
    layers = []
    for i in range(int(part["pad_layers"])):
        size = (wide - 2.5 * i, wide - 4.0 - 2.0 * i, 1.15 * thick)
        stand = translation((1.2 * i, -0.8 * i, 2.0 - (i + 0.5) * thick)) @ rotation_about((0, 0, 1), 4.0 * i - 3.0)
        layers.append(block((0.0, 0.0, 0.0), size, 0.5 * thick).moved(stand))
    return all_of(*layers)


@cache
def hand_field() -> Field:
    """A gloved right hand that presses on the swab with three fingers, coming from -x, out of -z. Inexact."""
    top = 2.0 - endovascular_parts()["pad_layers"] * endovascular_parts()["pad_layer_mm"]
    fingers = []
    for y, tip_x, knuckle_x in ((-19.0, -2.0, -66.0), (0.0, 8.0, -70.0), (19.0, 0.0, -68.0)):
        tip = np.array([tip_x, 0.72 * y, top - 7.0])
        joint = np.array([tip_x - 24.0, 0.8 * y, top - 16.0])
        middle = np.array([tip_x - 42.0, 0.92 * y, top - 35.0])
        knuckle = np.array([knuckle_x, y, top - 50.0])
        fingers += [
            round_cone(tip, joint, 7.4, 8.4),
            round_cone(joint, middle, 8.4, 9.2),
            round_cone(middle, knuckle, 9.2, 11.5),
        ]
    little = [
        round_cone([-30.0, 34.0, top - 26.0], [-48.0, 36.0, top - 38.0], 6.6, 7.6),
        round_cone([-48.0, 36.0, top - 38.0], [-74.0, 34.0, top - 50.0], 7.6, 10.5),
    ]
    palm = [
        round_cone([-70.0, y, top - 50.0], [-138.0, 0.45 * y, top - 66.0], 12.5, 15.0) for y in (-19.0, 0.0, 19.0, 33.0)
    ]
    thumb = [
        round_cone([-30.0, -34.0, top - 15.0], [-56.0, -44.0, top - 26.0], 8.2, 9.6),
        round_cone([-56.0, -44.0, top - 26.0], [-112.0, -18.0, top - 56.0], 9.6, 15.0),
    ]
    wrist = [
        round_cone([-138.0, 0.0, top - 66.0], [-205.0, 0.0, top - 96.0], 23.0, 29.0),
        capsule([-205.0, 0.0, top - 96.0], [-216.0, 0.0, top - 101.0], 30.5),
    ]
    return smooth_union(*fingers, *little, *palm, *thumb, *wrist, blend_mm=5.0)
