"""What open surgery holds the wound and the spine with: a self-retaining retractor, pedicle screws and rods.

The retractor's own frame has its origin at the middle of the wound on the skin: x to the right of the spine, y out of
the wound, z towards the end where the rack lies. Sizes lie in assets/devices/retractors.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from spineviz.anatomy.structure import Structure
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import sourced_table
from spineviz.devices.solids import Solid, all_of, block, filleted, rod, sheet, structure_of, tube, turned
from spineviz.geometry.curves import Curve, curve_through, tube_mesh
from spineviz.geometry.fields import (
    Distances,
    Field,
    Points,
    Vector,
    as_points,
    box_bounds,
    capped_cone,
    polyline_tube,
    unit,
)
from spineviz.geometry.frames import Frame, looking_along

_LEAST_OPEN_MM = 4.0
_ROUND = 28
"""Points round a screw."""


@cache
def sizes() -> dict[str, float]:
    """Name -> value of assets/devices/retractors.csv (mm and shares)."""
    return {name: row.value for name, row in sourced_table(asset("devices", "retractors.csv")).items()}


# ---- the retractor ---------------------------------------------------------------------------------------------------


def widest_mm() -> float:
    """How far apart the blades can stand, between their inner faces."""
    s = sizes()
    return s["rack_length_mm"] - 4.0 * s["arm_mm"]


@cache
def _retractor(opening_mm: float, half_wound_mm: float) -> Solid:
    s = sizes()
    half = opening_mm / 2
    thick, long, deep = s["blade_thickness_mm"], s["blade_length_mm"], s["blade_depth_mm"]
    arm, lip, rack = s["arm_mm"], s["lip_mm"], s["rack_width_mm"]
    end = half_wound_mm + s["rack_beyond_mm"]
    high = 6.0 + rack / 2
    parts: list[Solid] = []
    for side in (-1.0, 1.0):
        x = side * (half - thick / 2)
        parts += [
            block((x, -deep / 2 + high, 0), (thick, deep + high, long), 0.7),
            # the lip over the skin, and the arm that runs beside the wound to the rack
            block((side * (half + lip / 2), high + 1.0, 0), (lip + 2.0, 3.0, long * 0.55), 1.2),
            tube(
                [
                    (side * (half + lip), high + 1.0, -0.2 * long),
                    (side * (half + lip), high + 1.0, 0.35 * end + 0.3 * long),
                    (side * (half + lip + 4.0), high + 2.0, end),
                ],
                arm / 2,
            ),
        ]
        for k in range(int(s["teeth"])):
            z = (k / (s["teeth"] - 1) - 0.5) * (long - 6.0)
            root = np.array([x, high - deep - high / 2 + 3.0, z])
            parts.append(_spike(root, root + [side * 0.6 * s["tooth_mm"], -s["tooth_mm"], 0.0], 1.7))
    # the rack: fixed to the left arm, the right one's slide runs along it
    fixed, slide = -(half + lip + 4.0), half + lip + 4.0
    reach = max(s["rack_length_mm"], slide - fixed + 24.0)
    parts.append(block((fixed + reach / 2 - 10.0, high + 2.0, end), (reach, rack * 0.7, rack), 1.2))
    pitch = s["rack_tooth_mm"]
    for k in range(int((reach - 24.0) / pitch)):
        parts.append(
            block((fixed + 2.0 + k * pitch, high + 2.0 + rack * 0.38, end), (pitch * 0.55, 2.2, rack * 0.8), 0.3)
        )
    parts += [
        block((fixed, high + 2.0, end), (18.0, rack * 1.25, rack * 1.6), 2.5),
        block((slide, high + 2.0, end), (20.0, rack * 1.5, rack * 1.9), 2.5),
        rod((slide, high + 2.0 + rack * 0.7, end), (slide, high + 20.0, end), 2.4),
        block((slide, high + 22.0, end), (18.0, 7.0, 5.0), 2.2),  # the wing nut that turns it
    ]
    return all_of(*parts)


def _spike(root_mm: Vector, tip_mm: Vector, radius_mm: float) -> Solid:
    """A tooth: round at its root, its point a little blunt."""
    way = np.linspace(0.0, 1.0, 6)[:, None]
    curve = Curve(root_mm + way * (tip_mm - root_mm))
    radius = radius_mm * (1.0 - 0.9 * way[:, 0])
    return Solid(capped_cone(root_mm, tip_mm, radius_mm, 0.1 * radius_mm), tube_mesh(curve, radius, 14))


def retractor(world_from_wound: Frame, opening_mm: float, wound_mm: float) -> Structure:
    """The "retractor" in a wound of length `wound_mm`, its blades' outer faces `opening_mm` apart, world frame.

    `world_from_wound` is its own frame, see the module. Raises RequestError for an opening that its rack cannot give.
    """
    if not _LEAST_OPEN_MM <= opening_mm <= widest_mm():
        raise RequestError(
            f"opening_mm: {opening_mm:g} is not within {_LEAST_OPEN_MM:g} to {widest_mm():g}, which the rack gives"
        )
    opening = round(opening_mm, 1)
    key = f"retractor-{opening:.1f}-{wound_mm:.1f}"
    return structure_of("retractor", "steel", "steel", _retractor(opening, wound_mm / 2), key, world_from_wound)


# ---- screws and rods -------------------------------------------------------------------------------------------------


def screw_radius_mm(level: str) -> float:
    """Of the screw for `level`: the usual one, or less where the pedicle is narrow."""
    s = sizes()
    pedicle = vertebra(level).row["PDW_zindrick_mm"].value
    return min(s["screw_mm"], s["screw_pedicle_share"] * pedicle) / 2


@cache
def screw_line(level: str, side: str) -> tuple[Vector, Vector]:
    """Where the screw of `level` on `side` enters the bone and where its tip lies, (3,) each, vertebra's frame."""
    bone, s = vertebra(level), sizes()
    isthmus, marks = bone.frames[f"pedicle-{side}"].origin_mm, bone.landmarks
    wall, front = (float(marks[f"upper-{end}-rim"][1]) for end in ("back", "front"))
    middle = np.mean([marks[f"{end}-{way}-rim"][2] for end in ("upper", "lower") for way in ("back", "front")])
    # from the pedicle's narrowest place towards the middle of the body, as deep as is usual; where bone would be thin
    # beside it, the line that has the most
    best, tip = -np.inf, isthmus
    for aside in sorted(np.arange(0.25, 0.96, 0.1), key=lambda share: abs(share - s["screw_aside_share"])):
        for rise in (0.5, 0.25, 0.0, 0.75):
            end = np.array(
                [
                    aside * isthmus[0],
                    wall + s["screw_depth_share"] * (front - wall),
                    isthmus[2] + rise * (middle - isthmus[2]),
                ]
            )
            way = isthmus + np.linspace(0.0, 1.0, 60)[:, None] * (end - isthmus)
            depth = min(float((-bone.field.distance(way)).min()) - screw_radius_mm(level), s["screw_bone_mm"])
            if depth > best + 1e-9:
                best, tip = depth, end
        if best >= s["screw_bone_mm"]:
            break
    back = isthmus - np.arange(0.0, 40.0, 0.25)[:, None] * unit(tip - isthmus)
    inside = np.flatnonzero(bone.field.distance(back) < 0.0)
    return back[int(inside.max())], tip


@cache
def screw_bone_mm(level: str) -> float:
    """The least bone beside the screws of `level`, from the pedicle's narrowest place to the tip, mm."""
    bone, least = vertebra(level), np.inf
    for side in ("right", "left"):
        start, tip = screw_line(level, side)
        isthmus = bone.frames[f"pedicle-{side}"].origin_mm
        way = unit(tip - start)
        along = np.arange(float((isthmus - start) @ way), float(np.linalg.norm(tip - start)), 0.5)
        depth = -bone.field.distance(start + along[:, None] * way)
        least = min(least, float(depth.min()) - screw_radius_mm(level))
    return least


@cache
def _screw(radius_mm: float, length_mm: float) -> Solid:
    """A threaded shaft along z from its head's seat at the origin to its point."""
    s = sizes()
    depth = min(s["screw_thread_mm"], 0.3 * radius_mm)
    pitch, core = s["screw_pitch_mm"], radius_mm - depth
    taper = 2.2 * radius_mm

    def radius(z: np.ndarray, angle: np.ndarray) -> np.ndarray:
        turn = (z / pitch - angle / (2 * np.pi)) % 1.0
        ridge = np.clip(1.0 - np.abs(turn - 0.5) / 0.28, 0.0, 1.0)
        point = np.clip((length_mm - z) / taper, 0.0, 1.0) ** 0.6
        start = np.clip(z / 2.0, 0.0, 1.0)
        return np.asarray((core + depth * ridge * start) * point)

    z = np.linspace(0.0, length_mm, max(24, int(length_mm / (pitch / 9))))
    angle = 2 * np.pi * np.arange(_ROUND) / _ROUND
    zz, turn = np.meshgrid(z, angle, indexing="ij")
    r = np.maximum(radius(zz, turn), 0.05)
    mesh = sheet(np.stack([r * np.cos(turn), r * np.sin(turn), zz], axis=-1))

    def distance(p: Points) -> Distances:
        held = np.clip(p[:, 2], 0.0, length_mm)
        side = np.hypot(p[:, 0], p[:, 1]) - radius(held, np.arctan2(p[:, 1], p[:, 0]))
        return np.maximum(side, np.abs(p[:, 2] - held) + np.where(p[:, 2] == held, -np.inf, 0.0))

    bounds = box_bounds([-radius_mm, -radius_mm, 0.0], [radius_mm, radius_mm, length_mm])
    return Solid(Field(distance, bounds, exact=False), mesh)


def _head(along: Vector, forward: Vector, seat_mm: Vector) -> Solid:
    """The head on a screw's seat: a round cup, slotted for the rod, whose way is `along`, and the set screw that
    presses the rod down, flush with the rim and with a socket for the driver."""
    s = sizes()
    out = -forward
    radius, tall, slot = s["head_mm"] / 2, s["head_height_mm"], s["rod_mm"]
    up = unit(along - (along @ out) * out)
    frame = Frame(np.stack([np.cross(up, out), up, out], axis=1), seat_mm)
    rest = 0.40 * tall  # where the rod lies on the cup's floor
    floor = [[0.0, -0.05 * tall], [0.55 * radius, -0.05 * tall], [radius, 0.14 * tall], [radius, rest], [0.0, rest]]
    low, high = rest + slot, tall - 0.4
    held, socket = slot / 2, 0.5 * slot / 2
    lid = [[0.0, low], [held, low], [held, high], [socket, high], [socket, high - 1.6], [0.0, high - 1.6]]
    cheeks = (_cheek(side, radius, slot / 2 + 0.1, rest - 1.0, tall) for side in (-1.0, 1.0))
    return all_of(turned(filleted(floor, 0.8)), *cheeks, turned(lid)).moved(frame)


def _cheek(side: float, radius_mm: float, inner_mm: float, low_mm: float, high_mm: float) -> Solid:
    """What a slot `inner_mm` from the middle leaves of a round bar on `side` (-1 or 1) of it, from z `low_mm` up to
    `high_mm`, its rim a little rounded."""
    rim = 0.12 * radius_mm

    def ring(radius: float, z: float) -> Points:
        half = float(np.arccos(inner_mm / radius))
        turn = np.linspace(-half, half, _ROUND) + (0.0 if side > 0.0 else np.pi)
        return np.column_stack([radius * np.cos(turn), radius * np.sin(turn), np.full(_ROUND, z)])

    rounding = np.linspace(0.0, np.pi / 2, 4)
    rings = [ring(radius_mm, low_mm)]
    rings += [ring(radius_mm - rim * (1.0 - np.cos(t)), high_mm - rim * (1.0 - np.sin(t))) for t in rounding]

    def distance(p: Points) -> Distances:
        across = np.maximum(np.hypot(p[:, 0], p[:, 1]) - radius_mm, inner_mm - side * p[:, 0])
        return np.max([across, low_mm - p[:, 2], p[:, 2] - high_mm], axis=0)

    bounds = box_bounds([-radius_mm, -radius_mm, low_mm], [radius_mm, radius_mm, high_mm])
    return Solid(Field(distance, bounds, exact=False), sheet(np.array(rings)))


def rod_seat_mm(entry_mm: Vector, forward: Vector) -> Vector:
    """(3,) the middle of the rod in the head of a screw that enters at `entry_mm` and points `forward`."""
    s = sizes()
    return entry_mm - (0.40 * s["head_height_mm"] + s["rod_mm"] / 2) * forward


def screws_and_rods(levels: Sequence[str], frames: Sequence[Frame]) -> dict[str, Structure]:
    """ "screws" and "rods" that hold `levels`, from above downward, where `frames` (world_from_vertebra) place them.

    Raises RequestError for fewer than two levels.
    """
    if len(levels) < 2 or len(levels) != len(frames):
        raise RequestError(f"levels: a rod joins at least two vertebrae, got {', '.join(levels) or 'none'}")
    s, screws, rods = sizes(), [], []
    for side in ("right", "left"):
        lines = [
            tuple(frame.point(end) for end in screw_line(level, side))
            for level, frame in zip(levels, frames, strict=True)
        ]
        ways = [unit(tip - entry) for entry, tip in lines]
        seats = as_points([rod_seat_mm(entry, way) for (entry, _), way in zip(lines, ways, strict=True)])
        first, last = unit(seats[0] - seats[1]), unit(seats[-1] - seats[-2])
        beyond = s["rod_beyond_mm"] + s["head_mm"] / 2
        curve = curve_through(np.concatenate([[seats[0] + beyond * first], seats, [seats[-1] + beyond * last]]))
        rods.append(Solid(polyline_tube(curve.points_mm, s["rod_mm"] / 2), tube_mesh(curve, s["rod_mm"] / 2, 28)))
        for level, (entry, tip), way, seat in zip(levels, lines, ways, seats, strict=True):
            shaft = _screw(screw_radius_mm(level), round(float(np.linalg.norm(tip - entry)), 2))
            screws.append(shaft.moved(looking_along(entry, way)))
            at = int(np.argmin(np.linalg.norm(curve.points_mm - seat, axis=1)))
            screws.append(_head(curve.tangents()[at], way, entry))
    place = "-".join(f"{value:.2f}" for frame in frames for value in (*frame.origin_mm, *frame.rotation[:, 1]))
    key = f"{'-'.join(levels)}-{place}"
    return {
        name: structure_of(name, "steel", "steel", all_of(*solids), f"{name}-{key}", Frame())
        for name, solids in (("screws", screws), ("rods", rods))
    }


def wound_frame(middle_mm: ArrayLike, out: ArrayLike, along: ArrayLike) -> Frame:
    """The retractor's frame at a wound whose middle on the skin is `middle_mm` (3,), which opens along `out` (3,) and
    whose rack lies `along` (3,) the spine."""
    y = unit(out)
    z = np.asarray(along, float)
    z = unit(z - (z @ y) * y)
    return Frame(np.stack([np.cross(y, z), y, z], axis=1), np.asarray(middle_mm, float))


__all__ = [
    "retractor", "rod_seat_mm", "screw_bone_mm", "screw_line", "screw_radius_mm", "screws_and_rods", "sizes",
    "widest_mm", "wound_frame",
]  # fmt: skip
