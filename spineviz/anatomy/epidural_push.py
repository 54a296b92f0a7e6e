"""What a tumour in the canal pushes aside: sac, cord, roots and the arteries of the cord, carried by one map.

The map has four steps, each of which keeps the order of what it carries, so that what lies inside something stays
inside. In every axial plane the cord goes back as a whole, by as much as it must, and what is round it less and less.
Roots between sac and cord slip sideways, out of where it gets narrow. Then, seen from the cord's new middle, the sac is
drawn in to its healthy outline less the tumour, and what is between it and the cord is pressed together; where the sac
has no more room behind, the cord gets flatter at an equal cross-section. Last, what lies outside the sac, the root that
leaves, moves away from where the tumour began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.epidural_canal import (
    STEP_MM,
    TURNS,
    Canal,
    Table,
    canal,
    cord_way,
    flattened,
    outline_points,
    planes_near,
    points_at,
    read_tables,
)  # fmt: skip
from spineviz.anatomy.epidural_shape import direction_grid, figure, nerves, read_directions
from spineviz.anatomy.sweeps import EVERY_RING_MM, smooth_step
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds, in_box

_FADE_MM = 3.0
"""How far outside the sac nothing moves any more with the cord (chosen: less than the fat there is)."""
_FAR_MM = 6.0
"""How far outside the sac nothing moves any more with the sac."""
_BLEND_MM = 1.2
"""The fillet where the sac leaves the tumour; chosen for legibility."""
_SETTLED = 3e-4
"""mm or rad within which the way back is found."""
_MOST_SLIP_RAD = 0.25
"""How far round the cord roots slip out of where it gets narrow, where nothing of the room is left (chosen)."""
_BAND_MM = 3.5
"""How far outside the tumour roots outside the sac are pressed together."""
_SPREAD_RAD, _LEAST_SPREAD_RAD = 0.4, 0.12
"""How far round, seen from where the tumour began, a root that is pushed takes what is beside it along."""


@dataclass(frozen=True, eq=False)
class Push:
    """What a tumour of one size does to the nerves; build it with `push`.

    Attributes:
        level: the tumour's; rest: the nerves before.
        tumour: its field, world frame.
        centre_mm: (3,) where it began; reach: (N, 3) ways from there to how far it goes that way, (N,).
        towards: (3,) where it pushes the cord.
        shift_mm: (M,) how far the cord goes that way in every plane.
        flat: (M,) the share of its thickness that way which the cord keeps.
        dura_mm: the sac's outline after the cord went, round its new middle; pressed_mm: what it is pressed to.
        cord_mm: the cord's outline after it is flattened.
        root_mm: by direction from `centre_mm`, how far what lies outside the sac is pushed.
    """

    level: str
    rest: Canal
    tumour: Field
    centre_mm: Vector
    reach: Callable[[Points], Distances]
    towards: Vector
    shift_mm: NDArray[np.float64]
    flat: NDArray[np.float64]
    dura_mm: Table
    pressed_mm: Table
    cord_mm: Table
    root_mm: NDArray[np.float64]

    @cached_property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) outside of which nothing moves."""
        rest, far = self.rest, float(self.rest.dura_mm.max()) + _FAR_MM + 3.0
        moves = (self.shift_mm > 1e-9) | (np.abs(self.pressed_mm - self.dura_mm) > 1e-9).any(1)
        z = rest.height_mm[moves] if moves.any() else rest.height_mm[:1]
        low = np.array([-far, float(rest.middle_mm.min()) - far, float(z.min()) - STEP_MM])
        high = np.array([far, float(rest.middle_mm.max()) + far, float(z.max()) + STEP_MM])
        if not self.root_mm.any():
            return box_bounds(low, high)
        out = self.tumour.bounds_mm + (_BAND_MM + 1.0) * np.array([[-1.0], [1.0]])
        return box_bounds(np.minimum(low, out[0]), np.maximum(high, out[1]))

    def forward(self, points: Points) -> Points:
        """Where what lay at `points` (N, 3) lies now."""
        return self._near(points, lambda p: self._rooted(self._pressed(self._slipped(self._shifted(p))), 1.0))

    def inverse(self, points: Points) -> Points:
        """Where what lies at `points` (N, 3) lay before."""

        def move(p: Points) -> Points:
            return self._unshifted(self._slipped(self._pressed(self._rooted(p, -1.0), back=True), back=True))

        return self._near(points, move)

    def _near(self, points: Points, move: Callable[[Points], Points]) -> Points:
        low, high = self.bounds_mm
        near = in_box(points, low, high)
        if not near.any():
            return points
        out = np.array(points, float)
        out[near] = move(out[near])
        return out

    # the cord goes back ----------------------------------------------------------------------------------------------

    def _rows(self, z: Distances) -> Distances:
        return (z - self.rest.height_mm[0]) / STEP_MM

    def _by_height(self, values: NDArray[np.float64], z: Distances) -> Distances:
        return np.interp(z, self.rest.height_mm, values)

    def _offset_mm(self, points: Points) -> Distances:
        """(N,) how far the first step moves `points` that way."""
        z = points[:, 2]
        x, y = points[:, 0], points[:, 1] - self._by_height(self.rest.middle_mm, z)
        way, turn, rows = np.hypot(x, y), np.arctan2(y, x), self._rows(z)
        cord, dura = read_tables([self.rest.cord_mm, self.rest.dura_mm], rows, turn)
        share = 1.0 - smooth_step((way - cord) / np.maximum(dura + _FADE_MM - cord, 1e-3))
        return self._by_height(self.shift_mm, z) * share

    def _shifted(self, points: Points) -> Points:
        return points + self._offset_mm(points)[:, None] * self.towards

    def _unshifted(self, points: Points) -> Points:
        def offset(way: Distances) -> Distances:
            return self._offset_mm(points - way[:, None] * self.towards)

        return points - _settled(offset, self._offset_mm(points))[:, None] * self.towards

    def _from_cord(self, points: Points) -> tuple[Distances, Distances, Distances]:
        """(N,) x and y of `points` from the cord's new middle, and their rows of the tables."""
        z = points[:, 2]
        shift = self._by_height(self.shift_mm, z)
        x = points[:, 0] - shift * self.towards[0]
        y = points[:, 1] - self._by_height(self.rest.middle_mm, z) - shift * self.towards[1]
        return x, y, self._rows(z)

    # roots slip ------------------------------------------------------------------------------------------------------

    @cached_property
    def _slip_rad(self) -> NDArray[np.float64]:
        """(M,) how far round the cord roots slip at most, by how narrow it gets."""
        left = (self.pressed_mm - self.cord_mm) / np.maximum(self.dura_mm - self.rest.cord_mm, 1e-3)
        return _MOST_SLIP_RAD * np.clip(1.0 - left.min(1), 0.0, 1.0)

    def _slipped(self, points: Points, back: bool = False) -> Points:
        x, y, rows = self._from_cord(points)
        way, now = np.hypot(x, y), np.arctan2(y, x)
        most = np.interp(rows, np.arange(len(self._slip_rad)), self._slip_rad)
        touched = np.arctan2(-self.towards[1], -self.towards[0])
        among = np.flatnonzero((most > 0.0) & (way < float(self.dura_mm.max())))
        if not len(among):
            return points
        way_here, rows_here, most_here = way[among], rows[among], most[among]

        def slip(turn: Distances) -> Distances:
            cord, dura = read_tables([self.rest.cord_mm, self.dura_mm], rows_here, turn)
            share = (way_here - cord) / np.maximum(dura - cord, 1e-3)
            # what lies on the cord stays with it, what lies on the sac with that
            loose = smooth_step((share - 0.35) / 0.25) * (1.0 - smooth_step((share - 0.6) / 0.4))
            return most_here * loose * np.sin(turn - touched)

        turn = now[among]
        if back:
            before = turn - slip(turn)
            for _ in range(14):
                last, before = before, turn - slip(before)
                if np.abs(before - last).max() < _SETTLED:
                    break
            after = before
        else:
            after = turn + slip(turn)
        moved = points.copy()
        moved[among, 0] += way_here * (np.cos(after) - np.cos(turn))
        moved[among, 1] += way_here * (np.sin(after) - np.sin(turn))
        return moved

    # the sac is pressed ----------------------------------------------------------------------------------------------

    def _pressed(self, points: Points, back: bool = False) -> Points:
        x, y, rows = self._from_cord(points)
        way, turn = np.hypot(x, y), np.arctan2(y, x)
        tables = [self.rest.cord_mm, self.dura_mm, self.cord_mm, self.pressed_mm]
        cord, dura, to_cord, to_dura = read_tables(tables, rows, turn)
        far = np.maximum(dura, to_dura) + _FAR_MM
        if back:
            cord, to_cord, dura, to_dura = to_cord, cord, to_dura, dura
        inner = way / cord * to_cord
        within = to_cord + (way - cord) / (dura - cord) * (to_dura - to_cord)
        beyond = to_dura + (way - dura) / (far - dura) * (far - to_dura)
        out = np.where(way < cord, inner, np.where(way < dura, within, np.where(way < far, beyond, way)))
        grow = np.where(way > 1e-9, out / np.maximum(way, 1e-9), 1.0) - 1.0
        moved = points.copy()
        moved[:, 0] += grow * x
        moved[:, 1] += grow * y
        return moved

    # the root goes out of the way ------------------------------------------------------------------------------------

    def _rooted(self, points: Points, sign: float) -> Points:
        if not self.root_mm.any():
            return points
        away = points - self.centre_mm
        way = np.maximum(np.linalg.norm(away, axis=1), 1e-9)
        push = read_directions(self.root_mm, away)
        edge = self.reach(away) + figure("dura_gap_mm")
        first, last = edge - push, edge + _BAND_MM
        if sign > 0:
            moved = np.where(way < first, way + push, np.where(way < last, edge + (way - first) * _share(push), way))
        else:
            moved = np.where(way < edge, way - push, np.where(way < last, first + (way - edge) / _share(push), way))
        return self.centre_mm + away * (np.maximum(moved, 1e-6) / way)[:, None]


def _settled(step: Callable[[Distances], Distances], start: Distances) -> Distances:
    """The values (N,) that `step`, which draws together, leaves as they are (Steffensen's method)."""
    value = start
    for _ in range(3):
        once = step(value)
        if np.abs(once - value).max(initial=0.0) < _SETTLED:
            return once
        twice = step(once)
        bend = twice - 2.0 * once + value
        jump = np.where(np.abs(bend) > 1e-9, (once - value) ** 2 / np.where(bend == 0.0, 1.0, bend), 0.0)
        # where it jumps far there is a kink between: go one step only
        value = np.where(np.abs(jump) < 3.0 * np.abs(once - value) + 1e-9, value - jump, twice)
        value = np.where(np.abs(bend) > 1e-9, value, twice)
    return step(value)


def _share(push: Distances) -> Distances:
    """How much what is pressed keeps of its thickness."""
    return _BAND_MM / (_BAND_MM + push)


# ---- how far -------------------------------------------------------------------------------------------------------


def push(
    level: str,
    tumour: Field,
    centre: Vector,
    reach: Callable[[Points], Distances],
    towards: Vector,
) -> Push | None:
    """What `tumour` pushes aside; None where it reaches nothing. Arguments as the attributes of Push."""
    rest = canal(level)
    shift, flat = cord_way(rest, tumour, towards)
    x, y = shift * towards[0], rest.middle_mm + shift * towards[1]
    cord = flattened(rest.cord_mm, flat, towards)
    healthy = _round_new_middle(rest, outline_points(rest, rest.dura_mm), x, y)
    free = _free_way(rest, tumour, x, y, float(healthy.max()))
    deep = float(np.maximum(healthy - free, 0.0).max())
    sac = _smooth_least(healthy, free, min(_BLEND_MM, 2.0 * deep))
    sac = np.maximum(sac, cord + figure("cord_gap_mm"))
    still = Push(level, rest, tumour, centre, reach, towards, shift, flat, healthy, sac, cord, np.zeros((1, 1)))
    dura = _round_new_middle(rest, still._shifted(outline_points(rest, rest.dura_mm)), x, y)
    pushed = replace(still, dura_mm=dura)
    roots = _root_way(pushed)
    if not (shift.any() or deep > 0.0 or roots.any()):
        return None
    return replace(pushed, root_mm=roots)


def _round_new_middle(rest: Canal, points: Points, x: Distances, y: Distances) -> Table:
    """The outlines `points` (M * T, 3), seen from the middles x, y (M,)."""
    shape = rest.dura_mm.shape
    u = points[:, 0].reshape(shape) - x[:, None]
    v = points[:, 1].reshape(shape) - y[:, None]
    turn, way = np.arctan2(v, u) % (2 * np.pi), np.hypot(u, v)
    out = np.empty(shape)
    asked = 2 * np.pi * np.arange(TURNS) / TURNS
    for row in range(shape[0]):
        out[row] = np.interp(asked, turn[row], way[row], period=2 * np.pi)
    return out


def _free_way(rest: Canal, tumour: Field, x: Distances, y: Distances, far: float) -> Table:
    """How far from the middles x, y (M,) to the tumour, short of it by the gap; `far` and more where it is not met."""
    gap = figure("dura_gap_mm")
    out = np.full(rest.dura_mm.shape, far + 4.0 * _BLEND_MM)
    near = planes_near(rest, tumour, 1.0)
    ways = np.arange(0.0, far + 2.5, 0.5)
    values = (
        np.stack(
            [
                tumour.distance(
                    points_at(rest.height_mm[near], x[near], y[near], np.full((len(near), TURNS), way)).reshape(-1, 3)
                ).reshape(-1, TURNS)
                for way in ways
            ],
            axis=-1,
        )
        - gap
    )
    met = values < 0.0
    first = met.argmax(-1)
    i, j = np.indices(first.shape)
    before = np.maximum(first - 1, 0)
    a, b = values[i, j, before], values[i, j, first]
    found = ways[before] + 0.5 * np.clip(a / np.maximum(a - b, 1e-9), 0.0, 1.0)
    out[near] = np.where(met.any(-1), found, out[near])
    return out


def _smooth_least(a: Table, b: Table, blend_mm: float) -> Table:
    if blend_mm <= 0.0:
        return np.minimum(a, b)
    h = np.maximum(blend_mm - np.abs(a - b), 0.0) / blend_mm
    return np.minimum(a, b) - h * h * blend_mm * 0.25


def _root_way(pushed: Push) -> NDArray[np.float64]:
    """By direction from where the tumour began, how far what lies outside the sac must go."""
    directions = direction_grid()
    none = np.zeros(directions.shape[:2])
    points = nerves(pushed.level)["roots"].mesh(EVERY_RING_MM).points_mm
    low, high = pushed.tumour.bounds_mm + np.array([[-3.0], [3.0]])
    points = points[in_box(points, low, high)]
    points = points[nerves(pushed.level)["dura"].field(points) > 0.0]
    if not len(points):
        return none
    away = pushed._pressed(pushed._slipped(pushed._shifted(points))) - pushed.centre_mm
    way = np.linalg.norm(away, axis=1)
    lack = pushed.reach(away) + figure("dura_gap_mm") - way
    short = np.flatnonzero(lack > 0.0)
    if not len(short):
        return none
    towards = away[short] / way[short, None]
    # each place is pushed with what lies round it, as far as to the cord, which stays as it is
    spread = np.clip(_angle_to_cord(pushed, towards), _LEAST_SPREAD_RAD, _SPREAD_RAD)
    angle = np.arccos(np.clip(directions.reshape(-1, 3) @ towards.T, -1.0, 1.0)) / spread
    bump = np.where(angle < 1.0, np.cos(0.5 * np.pi * np.minimum(angle, 1.0)) ** 2, 0.0)
    return ((1.1 * lack[short] + 0.05) * bump).max(1).reshape(none.shape)


def _angle_to_cord(pushed: Push, directions: Points) -> Distances:
    """(K,) rad from unit vectors `directions` (K, 3), seen from where the tumour began, to the cord as it lies now."""
    rest = pushed.rest
    near = planes_near(rest, pushed.tumour, 2.0)[::3]
    x, y = pushed.shift_mm * pushed.towards[0], rest.middle_mm + pushed.shift_mm * pushed.towards[1]
    points = points_at(rest.height_mm[near], x[near], y[near], pushed.cord_mm[near])[:, ::4].reshape(-1, 3)
    away = points - pushed.centre_mm
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    return np.arccos(np.clip((directions @ away.T).max(1), -1.0, 1.0))
