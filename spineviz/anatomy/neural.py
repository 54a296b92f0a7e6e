"""Cord, dural sac and roots: they follow the canal of whatever posture the column is in.

The cord ends in the lower third of L1 and goes on as the filum; the sac ends at mid S2 (neural-shape.csv). Every root
leaves under the pedicle of its own vertebra: from the cord through the sac as one strand, then a sleeve, a ganglion in
the foramen and a stretch of nerve. Outside the sac a root is rigid with its vertebra and is laid once, clear of the
bones round its foramen in standing and in lying.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import (
    COLUMN_LEVELS,
    SACRUM,
    Column,
    below_from_above,
    endplates,
    level_above,
    level_below,
)
from spineviz.anatomy.ribs import rib_sweep, rib_table
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.sweeps import Sweep, gradient, smooth_step, surface_of, sweep_along, sweep_field
from spineviz.data.assets import asset
from spineviz.data.once import once
from spineviz.data.tables import LEVELS, sourced_table
from spineviz.geometry.curves import Curve, curve_through
from spineviz.geometry.fields import Field, Points, Vector
from spineviz.geometry.operators import moved, union

_STEP_MM = 1.5
_SACRAL_ROOTS = (1, 2, 3, 4)
_ROOT_SIDE = np.array([0.25, 1.0, 0.0])
"""A direction that no part of a root runs along."""
_FIRST_PLACE = 12
_PLACES = (
    (0.93, 0.05), (0.84, -0.30), (0.78, 0.28), (0.52, -0.52), (0.54, 0.00), (0.50, 0.58), (0.22, -0.16), (0.27, 0.32),
    (0.17, 0.76),
)  # fmt: skip
"""Where in the right half of the sac the strands of L1 to S4 hang: shares of its half width and half depth (back)."""


@cache
def _shape(name: str) -> float:
    return sourced_table(asset("anatomy", "neural-shape.csv"))[name].value


@cache
def _sizes() -> dict[str, dict[str, float]]:
    """Level -> cord and dura width and depth, ganglion diameter, mm, from neural.csv."""
    with asset("anatomy", "neural.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["level"]: {name: float(text) for name, text in row.items() if name.endswith("_mm")}
            for row in csv.DictReader(file)
        }


_STATIONS = (0.04, 0.2, 0.35, 0.5, 0.65, 0.8, 0.96)
"""Shares of a vertebra's height, from its upper rim down, at which the sac is fitted into the canal."""


@once
def sac_stations(level: str) -> tuple[Points, NDArray[np.float64]]:
    """(7, 3) the middle of the sac at the stations of `level`, in its frame, and (7,) the share of its published size
    that has room there.

    The canal is wide where the wall of the body is waisted and narrow behind a rim, under a lamina and between the
    facets. At each station the sac may lie anywhere on the midline where it keeps its clearance; of these places the
    ones are taken that leave it straightest. Where there is none, it is made smaller until there is.
    """
    from spineviz.anatomy.bones import quick_field
    from spineviz.anatomy.vertebra import vertebra

    made = vertebra(level)
    parts = [quick_field(level)]
    above, below = level_above(level), level_below(level)
    if above is not None:
        parts.append(moved(quick_field(above), below_from_above(above).inverse()))
    if below is not None:
        parts.append(moved(quick_field(below), below_from_above(level)))
    bones = union(*parts)
    upper, lower = made.landmarks["upper-back-rim"][2], made.landmarks["lower-back-rim"][2]
    heights = upper + np.array(_STATIONS) * (lower - upper)
    places = made.landmarks["canal-centre"][1] + np.arange(-3.5, 2.51, 0.25)
    angle = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
    width, depth = _sizes()[level]["dura_width_mm"] / 2, _sizes()[level]["dura_depth_mm"] / 2
    ring = np.column_stack(
        [width * np.cos(angle) * (1.0 + _shape("sac_egg") * np.sin(angle)), depth * np.sin(angle), 0.0 * angle]
    )
    low, high = np.full(len(heights), np.nan), np.full(len(heights), np.nan)
    shares = np.ones(len(heights))
    for share in np.arange(1.0, 0.69, -0.03):
        todo = np.flatnonzero(np.isnan(low))
        if not len(todo):
            break
        centres = np.stack(np.meshgrid(heights[todo], places, indexing="ij"), -1).reshape(-1, 2)
        spots = np.column_stack([np.zeros(len(centres)), centres[:, 1], centres[:, 0]])
        points = (spots[:, None, :] + share * ring[None]).reshape(-1, 3)
        room = bones.distance(points).reshape(len(todo), len(places), len(angle)).min(2)
        free = room >= _shape("sac_clearance_mm")
        for row, station in enumerate(todo):
            if free[row].any():
                low[station], high[station] = places[free[row]].min(), places[free[row]].max()
                shares[station] = share
            elif share < 0.72:
                low[station] = high[station] = places[int(np.argmax(room[row]))]
                shares[station] = share
    line = (low.max() + high.min()) / 2  # where it could run straight, or least bent
    middle = np.clip(line, low, high)
    return np.column_stack([np.zeros(len(heights)), middle, heights]), shares


@dataclass(frozen=True, eq=False)
class CanalLine:
    """The middle of the canal from above downward in the world.

    Attributes:
        curve: its points.
        way_mm: level -> way at its mid height; "sacrum" at the top of S1.
        room: (M,) the share of the sac's published size that has room at every vertex of the curve.
        conus_mm: the way at which the cord ends, sac_mm: the way at which the sac ends; both may lie past the view.
    """

    curve: Curve
    way_mm: dict[str, float]
    conus_mm: float
    sac_mm: float
    room: NDArray[np.float64]


def canal_line(column: Column, top: str, bottom: str) -> CanalLine:
    """The canal from the upper end of `top` to the lower end of `bottom` ("sacrum": to the hiatus)."""
    from spineviz.anatomy import sacrum as s

    first, last = COLUMN_LEVELS.index(top), COLUMN_LEVELS.index(bottom)
    knots: list[Vector] = []
    rooms: list[tuple[Vector, float]] = []
    for level in COLUMN_LEVELS[first : last + 1]:
        frame = column.world_from_vertebra(level)
        if level == SACRUM:
            inner = s.canal_centres()[4::12]
        else:
            inner, shares = sac_stations(level)
            rooms += list(zip(frame.points(inner), shares, strict=True))
            if level == top:
                inner = np.concatenate([inner[:1] + np.array([0.0, 0.0, 6.0]), inner])
            if level == bottom:
                inner = np.concatenate([inner, inner[-1:] - np.array([0.0, 0.0, 8.0])])
        knots.extend(frame.points(inner))
    curve = curve_through(np.array(knots), _STEP_MM)

    def nearest(point: Vector) -> float:
        return float(curve.arc_mm[np.argmin(np.linalg.norm(curve.points_mm - point, axis=1))])

    ways = {}
    for level in COLUMN_LEVELS[first : last + 1]:
        frame = column.world_from_vertebra(level)
        inner_point = s.canal_centres()[2] if level == SACRUM else sac_stations(level)[0][3]
        ways[level] = nearest(frame.point(inner_point))
    conus = curve.length_mm + 1e3
    l1 = COLUMN_LEVELS.index("L1")
    if first <= l1 <= last:
        upper, lower = endplates("L1")
        share = _shape("conus_share_of_L1")
        height = (1 - share) * upper.origin_mm[2] + share * lower.origin_mm[2]
        centre = sac_stations("L1")[0][5]
        conus = nearest(column.world_from_vertebra("L1").point([0.0, centre[1], height]))
    elif first > l1:
        conus = -1e3
    sac = curve.length_mm + 1e3
    if bottom == SACRUM:
        way = s.station_mm("S2", _shape("sac_end_share_of_S2"))
        sac = nearest(column.world_from_sacrum.point(s.canal_centres()[round(way)]))
    room = np.interp(curve.arc_mm, [nearest(point) for point, _ in rooms], [share for _, share in rooms])
    return CanalLine(curve, ways, conus, sac, room)


def _sized(line: CanalLine, name: str) -> NDArray[np.float64]:
    """Half the size `name` of neural.csv at every vertex of the line."""
    from scipy.interpolate import PchipInterpolator

    levels = [level for level in line.way_mm if level != SACRUM]
    ways = [line.way_mm[level] for level in levels]
    sizes = [_sizes()[level][name] / 2 for level in levels]
    if len(ways) == 1:
        return np.full(len(line.curve.arc_mm), sizes[0])
    arc = np.clip(line.curve.arc_mm, ways[0], ways[-1])
    return PchipInterpolator(ways, sizes)(arc)


def _dura_halves(line: CanalLine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    width, depth = line.room * _sized(line, "dura_width_mm"), line.room * _sized(line, "dura_depth_mm")
    if SACRUM in line.way_mm:
        start = line.way_mm[SACRUM] - 12.0
        share = np.clip((line.curve.arc_mm - start) / (line.sac_mm - start), 0.0, 1.0)
        # the sac narrows through S1 and closes like a finger
        narrow = (1.0 - 0.55 * smooth_step(share)) * np.sqrt(np.clip(1.0 - share**6, 0.0, 1.0))
        width, depth = width * narrow, depth * (1.0 - 0.62 * smooth_step(share)) * np.sqrt(1.0 - share**6)
    return width, depth


def _part(curve: Curve, end_mm: float, *sizes: NDArray[np.float64]) -> tuple[Curve, list[NDArray[np.float64]]]:
    """The curve's vertices up to `end_mm` with their sizes."""
    count = max(3, int(np.searchsorted(curve.arc_mm, end_mm, side="right")))
    return Curve(curve.points_mm[:count]), [size[:count] for size in sizes]


def dura_sweep(line: CanalLine) -> Sweep:
    """The dural sac along the canal's middle."""
    width, depth = _dura_halves(line)
    curve, (width, depth) = _part(line.curve, line.sac_mm, width, depth)
    return sweep_along(curve, width, depth, egg=_shape("sac_egg"))


def cord_sweep(line: CanalLine) -> Sweep:
    """The cord with its conus, going on as the filum to the end of the sac."""
    width, depth = _sized(line, "cord_width_mm"), _sized(line, "cord_depth_mm")
    left = (line.conus_mm - line.curve.arc_mm) / _shape("conus_taper_mm")
    # a blunt cone: straight sides that round off into the tip
    taper = np.clip(left, 0.0, 1.0) ** 0.6
    filum = _shape("filum_radius_mm")
    width, depth = np.maximum(width * taper, filum), np.maximum(depth * taper, filum)
    curve, (width, depth) = _part(line.curve, line.sac_mm - 4.0, width, depth)
    return sweep_along(curve, width, depth)


# ---- roots ----------------------------------------------------------------------------------------------------------


def _bones_round(level: str) -> list[Field]:
    """The carved bones that a root of `level` passes, in its frame, standing and lying."""
    from spineviz.anatomy.bones import quick_field

    out = [quick_field(level)]
    below, above = level_below(level), level_above(level)
    for lying in (0.0, 1.0):
        if below is not None:
            out.append(moved(quick_field(below), below_from_above(level, lying)))
        if above is not None:
            out.append(moved(quick_field(above), below_from_above(above, lying).inverse()))
        if below is not None and below in rib_table():
            out.append(moved(sweep_field([rib_sweep(below)]), below_from_above(level, lying)))
    if level in rib_table():
        out.append(sweep_field([rib_sweep(level)]))
    return out


def _relaxed(path: Points, radius_mm: NDArray[np.float64], field: Field, clearance_mm: float, fixed: int) -> Points:
    """`path` (N, 3) pushed clear of `field` and kept smooth; the first `fixed` points stay."""
    points = np.array(path)
    for turn in range(14):
        lack = radius_mm + clearance_mm - field.distance(points)
        short = lack > 0.0
        short[:fixed] = False
        if turn >= 4 and not short.any():
            break
        if short.any():
            points[short] += np.minimum(lack[short] + 0.05, 1.5)[:, None] * gradient(field, points[short])
        if turn < 10:
            middle = points.copy()
            middle[1:-1] = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
            points[max(fixed, 1) : -1] = middle[max(fixed, 1) : -1]
    return points


@once
def outer_root(level: str) -> tuple[Points, NDArray[np.float64]]:
    """The right root of `level` outside the sac, in the vertebra's frame: (N, 3) its line and (N,) its radius, mm.

    From the side of the sac under the pedicle, through the foramen with the ganglion, and on as the nerve: along the
    rib in the chest, forward and down into the psoas in the loins.
    """
    from spineviz.anatomy.vertebra import vertebra

    made = vertebra(level)
    row = made.row
    pedicle = made.frames["pedicle-right"].origin_mm
    half_width, half_height = row["PDW_zindrick_mm"].value / 2, row["PDH_zindrick_mm"].value / 2
    centre = made.landmarks["canal-centre"]
    ganglion, sleeve, nerve = _sizes()[level]["ganglion_mm"] / 2, _shape("sleeve_radius_mm"), _shape("nerve_radius_mm")
    thoracic = level.startswith("T")
    under = pedicle[2] - half_height - ganglion - _shape("bone_clearance_mm") - 0.3
    edge = _sizes()[level]["dura_width_mm"] / 2 - sleeve - 0.4
    start = np.array([edge, centre[1] + 1.0, pedicle[2] + (1.0 if thoracic else 2.5)])
    corner = np.array(
        [pedicle[0] - half_width - sleeve - 0.6, (centre[1] + pedicle[1]) / 2, pedicle[2] - 0.55 * half_height]
    )
    below = np.array([pedicle[0] - 0.15 * half_width, pedicle[1] - 0.5, under])
    out = np.array([pedicle[0] + half_width + 1.5, pedicle[1] - (2.0 if thoracic else 0.5), under - 1.0])
    reach = _shape("nerve_reach_mm")
    if thoracic:
        way = np.array([0.86, -0.42, 0.0])
        knots = [start, corner, below, out, out + 0.5 * reach * way, out + reach * np.array([0.95, -0.30, -0.06])]
    else:
        knots = [
            start, corner, below, out, out + 0.45 * reach * np.array([0.62, 0.25, -0.74]),
            out + reach * np.array([0.55, 0.42, -0.72]),
        ]  # fmt: skip
    curve = curve_through(np.array(knots), _STEP_MM)
    points, arc = curve.points_mm, curve.arc_mm
    middle = arc[np.argmin(np.linalg.norm(points - (below + out) / 2, axis=1))]
    length = 2.6 * ganglion
    swell = np.exp(-(((arc - middle) / (0.5 * length)) ** 2))
    base = sleeve + (nerve - sleeve) * smooth_step((arc - middle) / length)
    radius = base + (ganglion - base) * swell
    radius = np.where(arc > arc[-1] - 1.6, radius * np.sqrt(np.clip((arc[-1] - arc) / 1.6, 0.3, 1.0)), radius)
    clear = _relaxed(points, radius, union(*_bones_round(level)), _shape("bone_clearance_mm"), 1)
    return clear, radius


@cache
def sacral_root(number: int) -> tuple[Points, NDArray[np.float64]]:
    """The right root S`number` outside the sac, sacrum frame: from the sacral canal out of its anterior foramen."""
    from spineviz.anatomy import sacrum as s

    way = s.station_mm(f"S{number}", 0.45)
    half_width, _ = s.canal_half_sizes_mm(way)
    centre = s.canal_centres()[round(way)]
    front = s.anterior_foramen(number, 1.0)
    sleeve = _shape("sleeve_radius_mm") * (1.0 if number < 3 else 0.7)
    fork = s.foramen_fork(number)
    beyond = front + (front - fork) * 0.9 + np.array([2.0, 2.0, -4.0])
    start = centre + np.array([max(half_width * 0.45 - sleeve, 1.0), 0.0, 0.0])
    curve = curve_through(np.array([start, s.foramen_mouth(number), fork, front, beyond]), _STEP_MM)
    arc = curve.arc_mm
    swell = np.exp(-(((arc - 0.45 * arc[-1]) / 4.0) ** 2))
    radius = sleeve * (1.0 + 0.5 * swell)
    radius = np.where(arc > arc[-1] - 1.6, radius * np.sqrt(np.clip((arc[-1] - arc) / 1.6, 0.3, 1.0)), radius)
    from spineviz.anatomy.bones import quick_field

    return _relaxed(curve.points_mm, radius, quick_field(SACRUM), 0.3, 1), radius


def _origin_mm(line: CanalLine, index: int, exit_mm: float) -> float:
    """The way at which root `index` (counted from T1) leaves the cord: near its foramen high up, far above it low
    down, the last sacral one at the conus' tip. Where the view begins below that, the strand begins with the view."""
    rise = float(np.interp(index, [0, 8, 11, 13], [12.0, 28.0, 40.0, 60.0]))
    start = exit_mm - rise
    if line.conus_mm <= line.curve.length_mm:
        last = len(LEVELS) + _SACRAL_ROOTS[-1] - 1
        start = min(start, line.conus_mm - 3.0 - 3.2 * (last - index))
    return max(start, 0.0)


def root_sweeps(column: Column, line: CanalLine) -> list[Sweep]:
    """Every root of the levels that the line passes, right and left, each from the cord to its nerve's end."""
    width, depth = _dura_halves(line)
    cord_width, cord_depth = _sized(line, "cord_width_mm"), _sized(line, "cord_depth_mm")
    sac = sweep_along(line.curve, width, depth)
    arc = line.curve.arc_mm
    strand = _shape("strand_radius_mm")
    out = []
    levels = [level for level in line.way_mm if level != SACRUM]
    named: list[tuple[str, int]] = [(level, LEVELS.index(level)) for level in levels]
    if SACRUM in line.way_mm:
        named += [(f"S{number}", len(LEVELS) + number - 1) for number in _SACRAL_ROOTS]
    for name, index in named:
        if name.startswith("S"):
            outer, radius = sacral_root(int(name[1:]))
            frame = column.world_from_sacrum
        else:
            outer, radius = outer_root(name)
            frame = column.world_from_vertebra(name)
        points = frame.points(outer)
        exit_mm = float(arc[np.argmin(np.linalg.norm(line.curve.points_mm - points[0], axis=1))])
        start_mm = _origin_mm(line, index, exit_mm)
        inner, inner_radius = _inner_root(
            line, sac, (width, depth, cord_width, cord_depth), start_mm, exit_mm, points[0], index, strand
        )
        curve = Curve(np.concatenate([inner, points]))
        sizes = np.concatenate([inner_radius, radius])
        blend = smooth_step((curve.arc_mm - curve.arc_mm[len(inner)] + 4.0) / 8.0)
        sizes = np.where(np.arange(len(sizes)) < len(inner) + 4, strand + (sizes - strand) * blend, sizes)
        evened = _evened(curve)
        sizes = np.interp(np.linspace(0.0, curve.length_mm, len(evened.points_mm)), curve.arc_mm, sizes)
        for side in (1.0, -1.0):  # a column bends forward and back alone: what is on the left mirrors the right
            out.append(sweep_along(Curve(evened.points_mm * np.array([side, 1.0, 1.0])), sizes, sizes, _ROOT_SIDE))
    return out


def _evened(curve: Curve) -> Curve:
    count = max(6, int(np.ceil(curve.length_mm / _STEP_MM)) + 1)
    points = curve.at(np.linspace(0.0, curve.length_mm, count))
    # one round of smoothing where strand and sleeve join; the ends stay
    points[1:-1] = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
    return Curve(points)


def _inner_root(
    line: CanalLine,
    sac: Sweep,
    halves: tuple[NDArray, NDArray, NDArray, NDArray],
    start_mm: float,
    exit_mm: float,
    door: Vector,
    index: int,
    strand: float,
) -> tuple[Points, NDArray[np.float64]]:
    """The right strand inside the sac, from the cord's side (or the view's top) to `door`, its last point left out."""
    arc = line.curve.arc_mm
    width, depth, cord_width, cord_depth = halves
    count = max(4, int((exit_mm - start_mm) / 3.0) + 2)
    ways = np.linspace(start_mm, exit_mm, count)
    centre = line.curve.at(ways)
    across, ahead = (
        np.stack([np.interp(ways, arc, axis[:, i]) for i in range(3)], axis=1) for axis in (sac.side, sac.front)
    )
    egg = _shape("sac_egg")
    half_w, half_d = np.interp(ways, arc, width) - strand - 0.4, np.interp(ways, arc, depth) - strand - 0.4
    # those that leave first lie at the side, those that leave last in the middle and behind
    target = _PLACES[min(max(index - _FIRST_PLACE, 0), len(_PLACES) - 1)]
    taper = np.clip((line.conus_mm - ways) / _shape("conus_taper_mm"), 0.0, 1.0) ** 0.6
    least_w = (np.interp(ways, arc, cord_width) * taper + strand + 0.2) / np.maximum(half_w, 0.5)
    least_d = (np.interp(ways, arc, cord_depth) * taper + strand + 0.2) / np.maximum(half_d, 0.5)
    # strands hang loosely: a slow sway of their own, the same in every film
    sway = 0.05 * np.sin(ways / 17.0 + 2.4 * index)
    u, v = target[0] + sway, target[1] + 0.05 * np.cos(ways / 23.0 + 1.7 * index)
    # never inside the cord: outward to its side where it is still there
    short = np.hypot(u / np.maximum(least_w, 1e-3), v / np.maximum(least_d, 1e-3))
    push = np.where(taper > 0, np.maximum(1.0, 1.0 / np.maximum(short, 1e-3)), 1.0)
    u, v = u * push, v * push
    over = np.maximum(np.hypot(u, v), 1.0)
    u, v = u / over, v / over
    points = centre + (u * half_w * (1.0 - egg * v))[:, None] * across + (v * half_d)[:, None] * ahead
    # the first millimetres come off the cord, the last ones swing to the door
    off = smooth_step((ways - start_mm) / 14.0)[:, None]
    length = np.maximum(np.hypot(u / least_w, v / least_d), 1e-3)
    # it begins inside the cord's surface and comes off it within a centimetre
    grip = (0.78 + 0.22 * smooth_step((ways - start_mm) / 10.0)) / length
    on_cord = centre + (u * grip * half_w)[:, None] * across + (v * grip * half_d)[:, None] * ahead
    inside_cord = (taper > 0)[:, None]
    points = np.where(inside_cord, on_cord + (points - on_cord) * off, points)
    swing = smooth_step(1.0 - (exit_mm - ways) / min(24.0, max(exit_mm - start_mm, 1.0)))[:, None]
    points = points + (door - points[-1]) * swing
    return points[:-1], np.full(count - 1, strand)


_SIDES = {"cord": 24, "dura": 32, "roots": 10}
_RANK_OF = {"cord": "cord", "dura": "dura", "roots": "root"}


def neural_structures(column: Column, levels: Sequence[str]) -> dict[str, Structure]:
    """ "cord" (with conus and filum), "dura" and "roots" from the first to the last of `levels`.

    They bend with the posture: their key names it, and their local frame is the world.
    """
    view = _view(levels)
    if not view:
        return {}
    line = canal_line(column, view[0], view[-1])
    return {**_cord_and_sac(line, column, view), "roots": _structure("roots", root_sweeps(column, line), column, view)}


def cord_and_sac(column: Column, levels: Sequence[str]) -> dict[str, Structure]:
    """ "cord" and "dura" of `neural_structures`: they are there long before the roots are."""
    view = _view(levels)
    return _cord_and_sac(canal_line(column, view[0], view[-1]), column, view) if view else {}


def _view(levels: Sequence[str]) -> list[str]:
    """The levels from above downward; none where there is no vertebra among them."""
    view = [level for level in COLUMN_LEVELS if level in set(levels)]
    return [] if view == [SACRUM] else view


def _cord_and_sac(line: CanalLine, column: Column, view: list[str]) -> dict[str, Structure]:
    sweeps = {"dura": dura_sweep(line), "cord": cord_sweep(line)}
    return {name: _structure(name, [sweep], column, view) for name, sweep in sweeps.items()}


def _structure(name: str, parts: Sequence[Sweep], column: Column, view: list[str]) -> Structure:
    return Structure(
        name=name,
        role=name,
        material=name,
        field=sweep_field(parts),
        mesh=surface_of(parts, lambda *_: _SIDES[name]),
        key=f"{name}|{view[0]}-{view[-1]}|{column.pose_key}",
        rank=RANKS[_RANK_OF[name]],
    )
