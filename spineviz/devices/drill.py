"""The hand drill with its fluted bit, and the channel that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.devices.catalogue import drill_mm, kyphoplasty_parts
from spineviz.devices.solids import Profile, Solid, sheet, standing_at, structure_of, turned
from spineviz.geometry.fields import Distances, Field, Points, as_vector, box_bounds
from spineviz.geometry.operators import moved

Outline = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Angle (N,), radians -> radius (N,), as a share of the largest."""
AlongZ = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""z (N,), mm -> a number (N,) there."""


def _flutes() -> tuple[Outline, NDArray[np.float64]]:
    """The bit's outline, round but for its ground grooves, and the angles that draw it with its edges."""
    part = kyphoplasty_parts()
    count, groove = int(part["drill_flutes"]), part["drill_groove_share"]
    centre = part["drill_core_share"] + groove
    edge = float(np.arccos((1.0 + centre**2 - groove**2) / (2.0 * centre)))
    turn = 2 * np.pi / count

    def outline(angle: NDArray[np.float64]) -> NDArray[np.float64]:
        off = np.clip(np.abs((angle + turn / 2) % turn - turn / 2), 0.0, edge)
        return np.minimum(1.0, centre * np.cos(off) - np.sqrt(groove**2 - (centre * np.sin(off)) ** 2))

    # close to each edge of a land stands another vertex, which keeps the edge crisp
    half = np.array([0.0, 0.2, 0.4, 0.6, 0.78, 0.92, 0.99, 1.0]) * edge
    land = edge + np.array([0.012, 0.06, 0.2, 0.35, 0.5, 0.65, 0.8, 0.94, 0.988]) * (turn - 2 * edge)
    one = np.concatenate([-half[:0:-1], half, land])
    return outline, np.concatenate([one + k * turn for k in range(count)])


def _lobes() -> tuple[Outline, NDArray[np.float64]]:
    """The knob's outline and the angles that draw it."""
    count = int(kyphoplasty_parts()["drill_knob_lobes"])
    return (
        lambda angle: 0.93 + 0.07 * np.cos(count * angle),
        np.linspace(0.0, 2 * np.pi, 12 * count, endpoint=False),
    )


def _winding(
    outline: Outline,
    angles: NDArray[np.float64],
    radius_mm: float,
    stations: Profile,
    twist: AlongZ,
    fade: AlongZ,
) -> Solid:
    """A bar along z whose `outline` turns on the way. Inexact.

    Args:
        twist: z (N,) -> how far the outline is turned there, radians.
        stations: (M, 2) share of `radius_mm` and z, from the lower end to the upper.
        fade: z (N,) -> 0 where the outline is as given to 1 where it is round.
    """
    share, z = stations.T

    def radius(angle: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
        shape = outline(angle - twist(at))
        return radius_mm * np.interp(at, z, share) * (shape + (1.0 - shape) * fade(at))

    def distance(p: Points) -> Distances:
        radial, angle = np.hypot(p[:, 0], p[:, 1]), np.arctan2(p[:, 1], p[:, 0])
        here = np.clip(p[:, 2], z[0], z[-1])
        step = 1e-4
        surface = radius(angle, here)
        around = (radius(angle + step, here) - surface) / (step * np.maximum(radial, 0.25 * radius_mm))
        along = (radius(angle, here + step) - surface) / step
        slope = np.sqrt(1.0 + around**2 + along**2)  # the outline leans: the way to it is so much shorter
        return np.maximum((radial - surface) / slope, np.maximum(z[0] - p[:, 2], p[:, 2] - z[-1]))

    at = np.repeat(z, len(angles)).reshape(len(z), -1)
    turned_by = angles + twist(at)
    wide = radius(turned_by.ravel(), at.ravel()).reshape(at.shape)
    rings = np.stack([wide * np.cos(turned_by), wide * np.sin(turned_by), at], axis=-1)
    reach = radius_mm * float(share.max())
    field = Field(distance, box_bounds([-reach, -reach, z[0]], [reach, reach, z[-1]]), exact=False)
    return Solid(field, sheet(rings))


@cache
def drill_bit(cannula_gauge: int, length_mm: float) -> Solid:
    """The steel from -z to its point at the origin; the flutes wind as those of a right-handed drill. Inexact."""
    part, radius = kyphoplasty_parts(), drill_mm(cannula_gauge) / 2
    point = radius / float(np.tan(np.radians(part["drill_point_deg"] / 2)))
    fluted, runout = part["drill_fluted_mm"], part["drill_runout_mm"]
    back = np.linspace(-length_mm, -fluted - runout, 10, endpoint=False)
    flank = np.linspace(-fluted - runout, -point, 110)
    tip = np.array([0.75, 0.5, 0.25, 0.0])
    z = np.concatenate([back, flank, -point * tip])
    share = np.concatenate([np.ones(len(back) + len(flank)), tip])
    outline, angles = _flutes()

    def twist(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2 * np.pi * np.maximum(at, -fluted - runout) / part["drill_pitch_mm"]

    def fade(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip((-fluted - at) / runout, 0.0, 1.0)

    return _winding(outline, angles, radius, np.column_stack([share, z]), twist, fade)


@cache
def drill_knob(length_mm: float) -> Solid:
    """The plastic knob behind a bit of `length_mm`. Inexact."""
    part = kyphoplasty_parts()
    high, wide = part["drill_knob_length_mm"], part["drill_knob_radius_mm"]
    turn = np.linspace(0.0, np.pi / 2, 6)
    round_mm = 2.4
    front = np.column_stack([1.0 - round_mm / wide * (1.0 - np.cos(turn)), high - round_mm * (1.0 - np.sin(turn))])
    back = np.column_stack([front[::-1, 0], high - front[::-1, 1]])
    waist = np.linspace(round_mm, high - round_mm, 9)[1:-1]
    middle = np.column_stack([1.0 - 0.1 * np.sin(np.pi * (waist - round_mm) / (high - 2 * round_mm)) ** 2, waist])
    stations = np.vstack([back, middle, front])
    stations[:, 1] -= length_mm + high
    outline, angles = _lobes()
    return _winding(outline, angles, wide, stations, np.zeros_like, np.zeros_like)


def drill_structures(
    side: str, cannula_gauge: int, length_mm: float, tip_mm: ArrayLike, forward: ArrayLike, turn_deg: float = 0.0
) -> dict[str, Structure]:
    """The hand drill of `side` with its point at `tip_mm` (3,), from the skin along `forward` (3,): bit and knob.

    Args:
        cannula_gauge: the cannula that it runs in.
        turn_deg: how far it is turned about its axis; a growing angle drives it in.
    """
    # seen from behind a right-handed drill turns clockwise, which about its forward axis is the positive sense
    stand, key = standing_at(tip_mm, forward, turn_deg), f"drill-{cannula_gauge}-{length_mm:g}"
    bit, knob = drill_bit(cannula_gauge, length_mm), drill_knob(length_mm)
    handle = f"drill-handle-{side}"
    return {
        f"drill-{side}": structure_of(f"drill-{side}", "steel", "steel", bit, f"{key}-bit", stand),
        handle: structure_of(handle, "hub", "pmma", knob, f"drill-knob-{length_mm:g}", stand),
    }


@cache
def _bore(radius_mm: float, length_mm: float) -> Solid:
    point = min(radius_mm / float(np.tan(np.radians(kyphoplasty_parts()["drill_point_deg"] / 2))), 0.9 * length_mm)
    return turned(
        np.array([[0.0, -length_mm], [radius_mm, -length_mm], [radius_mm, -point], [0.0, 0.0]]),
    )


def channel_structure(side: str, radius_mm: float, rear_mm: ArrayLike, front_mm: ArrayLike) -> Structure:
    """The void that the drill leaves from `rear_mm` to the place of its point, `front_mm` (both (3,)); blood fills it.

    Exact. ValueError for a channel without length or width.
    """
    rear, front = as_vector(rear_mm, "rear_mm"), as_vector(front_mm, "front_mm")
    length = round(float(np.linalg.norm(front - rear)), 2)  # so that shapes are kept while the drill advances
    if length <= 0.0 or radius_mm <= 0.0:
        raise ValueError(f"a channel needs length and width, got {length} and {radius_mm} mm")
    name, stand = f"channel-{side}", standing_at(front, front - rear)
    bore = _bore(radius_mm, length)
    return Structure(
        name, "channel", "blood", moved(bore.field, stand), lambda _: bore.mesh, f"channel-{radius_mm:g}-{length:g}",
        RANKS["channel"], stand,
    )  # fmt: skip
