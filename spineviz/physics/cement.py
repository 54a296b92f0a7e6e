"""How cement spreads from the needles' tips: an order of arrival, with the injected volume as its clock.

Trabecular bone is taken as a porous room whose permeability varies from place to place. The front moves with a speed
that follows the permeability, so the time at which it reaches a place is a shortest path (Dijkstra 1959) through the
slowness of the bone. Only the order counts: what is filled at a given volume are the earliest places up to that
volume. That trabeculae take a few percent of the room is not counted.

Where there is a void, what a balloon left, cement comes there first: round its source, with nothing in its way. Only
when the void is full does the front leave its wall and run on through bone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Field, Points, box_bounds
from spineviz.geometry.grids import Grid
from spineviz.geometry.meshes import Mesh, mesh_grid

_HALF_NEIGHBOURS = tuple((i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0))
"""One of each pair of opposite directions to the 26 neighbours."""

_NOISE_NODES = (84, 68, 56)
"""The piece of uneven bone that is made; larger than any vertebral body, and repeated beyond."""

_FAR_MM = 1e3
"""Arrival where the cement never comes."""

_LEAST_MM = 1e-4
"""How far the surface stays from the lattice's nodes, so that its triangles have an area."""

_SPARE = 3
"""Nodes kept round a region."""

_OFF_LINE = 4e-3
"""By what share of a volume its level may lie beside the line between two that were measured a step further apart."""

_LEAST_STEP_MM = 1e-3
"""Levels closer together than this are not told apart: there, pieces join."""


def permeability_noise(room: Grid, seed: int, lobe_mm: float, finger_mm: float, log_sd: float) -> NDArray[np.float64]:
    """A speed for each node of `room`, of mean about 1, that varies by chance in lobes and in fingers.

    The logarithm is normal with spread `log_sd`; 30 % of its variance varies over `lobe_mm`, 70 % over `finger_mm`
    (twice as long up and down, as the struts of a vertebra stand). The same seed gives the same speed at the same
    place, whatever room is cut out round it.
    """
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    total = np.zeros(_NOISE_NODES)
    for length_mm, stretch, variance in ((lobe_mm, 1.0, 0.3), (finger_mm, 2.0, 0.7)):
        white = random.standard_normal(_NOISE_NODES)
        sigma = length_mm / room.spacing_mm / 2.0
        smooth = gaussian_filter(white, (sigma, sigma, sigma * stretch), mode="wrap")
        total += smooth / smooth.std() * np.sqrt(variance)
    first = np.rint(room.origin_mm / room.spacing_mm).astype(int)
    index = [
        np.arange(start, start + count) % nodes
        for start, count, nodes in zip(first, room.values.shape, _NOISE_NODES, strict=True)
    ]
    return np.exp(log_sd * total[np.ix_(*index)] - 0.5 * log_sd**2)


def arrival(
    room: Grid,
    speed: NDArray[np.float64],
    tips_mm: Points,
    tip_radius_mm: float,
    start_mm: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """When the front reaches each node of `room`, in mm of way at speed 1; `_FAR_MM` where it never does.

    Args:
        room: signed distance to the walls of the room that can be filled, mm, negative inside.
        speed: of the front at each node, more than 0.
        tips_mm: (K, 3) where the cement comes from; nodes within `tip_radius_mm` start filled, at least the nearest.
        start_mm: instead of tips, how far each node lies from where the front starts, `_FAR_MM` where that is not near.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    inside = room.values < 0
    count = int(inside.sum())
    number = np.full(inside.shape, -1, np.int32)
    number[inside] = np.arange(count, dtype=np.int32)
    slowness = 1.0 / speed
    rows, columns, weights = [], [], []
    for step in _HALF_NEIGHBOURS:
        here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(step, inside.shape, strict=True))
        there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(step, inside.shape, strict=True))
        a, b = number[here], number[there]
        both = (a >= 0) & (b >= 0)
        way = room.spacing_mm * float(np.linalg.norm(step))
        rows.append(a[both])
        columns.append(b[both])
        weights.append(0.5 * way * (slowness[here][both] + slowness[there][both]))
    if start_mm is not None:  # one more node, from which ways lead to all that lie near the start
        near = inside & (start_mm < _FAR_MM)
        rows.append(np.full(int(near.sum()), count, np.int32))
        columns.append(number[near])
        weights.append(np.maximum(start_mm[near], 1e-9) * slowness[near])
    graph = coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(count + 1, count + 1)
    ).tocsr()
    nodes = room.origin_mm + room.spacing_mm * np.argwhere(inside)
    sources: list[int] = [] if start_mm is None else [count]
    for tip in tips_mm:
        gap = np.linalg.norm(nodes - tip, axis=1)
        sources += [int(gap.argmin()), *np.flatnonzero(gap <= tip_radius_mm).tolist()]
    times = dijkstra(graph, directed=False, indices=np.unique(sources), min_only=True)[:count]
    out = np.full(inside.shape, _FAR_MM)
    out[inside] = np.where(np.isfinite(times), times, _FAR_MM)
    return out


@dataclass(frozen=True, eq=False)
class Void:
    """What is filled before any bone.

    Attributes:
        walls: signed distance to its walls on the lattice of the room, mm, negative inside.
        order: the way from the source, mm; it goes on beyond the walls.
        full_mm: the level at which it is full.
    """

    walls: NDArray[np.float64]
    order: NDArray[np.float64]
    full_mm: float


class LevelTable:
    """Which level holds how much, measured at as many levels as it takes for straight lines between them to hold.

    Between two neighbours of `levels_mm` the halves are measured, and theirs in turn, until the volume midway is on the
    line within a share; which levels these are depends on what holds, not on what is asked for or when.

    Args:
        held: what the surface at a level holds, mL; growing.
        levels_mm: (L,) growing.
        about_ml: (L,) what these levels hold, roughly; growing.
        known: level -> volume, where that was measured.
    """

    def __init__(
        self,
        held: Callable[[float], float],
        levels_mm: NDArray[np.float64],
        about_ml: NDArray[np.float64],
        known: Mapping[float, float],
    ) -> None:
        self._held, self._levels, self._about_ml = held, levels_mm.tolist(), about_ml
        self._known = dict(known)

    def volume_at(self, level_mm: float) -> float:
        """What the surface at `level_mm` holds, mL; measured once."""
        if level_mm not in self._known:
            self._known[level_mm] = self._held(level_mm)
        return self._known[level_mm]

    def level_at(self, volume_ml: float) -> float:
        """The level that holds `volume_ml` within half a percent, or the first or the last; grows with the volume."""
        low, high = self._between(volume_ml)
        least, most = self.volume_at(low), self.volume_at(high)
        while most - least > _OFF_LINE * least and high - low > _LEAST_STEP_MM:
            middle = (low + high) / 2
            now = self.volume_at(middle)
            bend = abs(now - (least + most) / 2)
            low, least, high, most = (low, least, middle, now) if volume_ml < now else (middle, now, high, most)
            if bend <= _OFF_LINE * now:
                break
        return float(np.interp(volume_ml, (least, most), (low, high)))

    def _between(self, volume_ml: float) -> tuple[float, float]:
        """The neighbours in the table between which `volume_ml` is reached."""
        last = len(self._levels) - 1
        if last == 0:
            return self._levels[0], self._levels[0]
        at = min(max(int(np.searchsorted(self._about_ml, volume_ml)), 1), last)
        while at > 1 and self.volume_at(self._levels[at - 1]) > volume_ml:
            at -= 1
        while at < last and self.volume_at(self._levels[at]) < volume_ml:
            at += 1
        return self._levels[at - 1], self._levels[at]


@dataclass(frozen=True, eq=False)
class Fill:
    """The whole course of one filling.

    Attributes:
        room: signed distance to the walls of what can be filled, mm, negative inside.
        order: the smoothed arrival on the same lattice, mm of way at speed 1.
        sources: (K, 3) whole-numbered nodes of the lattice from which the cement comes.
        levels_mm, volumes_ml: (L,) what the surface at each level of `order` holds, both growing.
        void: what is filled first, or None. `order` is then that of the bone, from the level at which the void is full.
    """

    room: Grid
    order: Grid
    sources: NDArray[np.int64]
    levels_mm: NDArray[np.float64]
    volumes_ml: NDArray[np.float64]
    void: Void | None = None

    @property
    def void_ml(self) -> float:
        """What the void holds; 0 where there is none."""
        return 0.0 if self.void is None else self.volume_at(self.void.full_mm)

    @property
    def arrivals(self) -> NDArray[np.float64]:
        """(nx, ny, nz) the level at which each node is reached."""
        if self.void is None:
            return self.order.values
        return np.where(self.void.walls < 0, self.void.order, np.maximum(self.order.values, self.void.full_mm))

    def level_at(self, volume_ml: float) -> float:
        """The level of `order` whose surface holds `volume_ml`; grows with the volume, so that regions are nested."""
        return self._levels.level_at(volume_ml)

    def volume_at(self, level_mm: float) -> float:
        """What the surface at `level_mm` holds, mL."""
        return float(np.interp(level_mm, self.levels_mm, self.volumes_ml))

    def grid_at(self, volume_ml: float) -> Grid:
        """The region at `volume_ml` as signed values in mm, negative inside, on the lattice of `room`."""
        return self._region(self.level_at(volume_ml), np.zeros(3, int), np.array(self.room.values.shape))

    def field_at(self, volume_ml: float) -> Field:
        """The region at `volume_ml` as a field. Inexact."""
        grid = self._filled(self.level_at(volume_ml))
        inside = grid.values < 0
        if not inside.any():
            return Field(lambda p: np.full(len(p), _FAR_MM), box_bounds(np.zeros(3), np.zeros(3)), exact=False)
        along = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        low = grid.origin_mm + grid.spacing_mm * (np.array([nodes[0] for nodes in along]) - 1)
        high = grid.origin_mm + grid.spacing_mm * (np.array([nodes[-1] for nodes in along]) + 1)
        return Field(grid.field().distance, box_bounds(low, high), exact=False)

    def mesh_at(self, volume_ml: float, spacing_mm: float) -> Mesh:
        """The surface that holds `volume_ml` within 1 %.

        A `spacing_mm` under two thirds of the lattice's refines it twofold by cubic splines; the level is then
        another, so that the volume holds there too.
        """
        if volume_ml <= 0:
            return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
        if spacing_mm > 0.67 * self.room.spacing_mm:
            return mesh_grid(self._filled(self.level_at(volume_ml)))
        return mesh_grid(self._finer._filled(self._finer_levels.level_at(volume_ml)))

    @cached_property
    def _levels(self) -> LevelTable:
        """Which level holds how much."""
        known = dict(zip(self.levels_mm.tolist(), self.volumes_ml.tolist(), strict=True))
        return LevelTable(self._held_ml, self.levels_mm, self.volumes_ml, known)

    @cached_property
    def _finer_levels(self) -> LevelTable:
        """The same on the lattice twice as fine, which holds about as much."""
        levels = np.append(self.levels_mm, self.levels_mm[-1] + 0.5)
        return LevelTable(self._finer._held_ml, levels, np.append(self.volumes_ml, np.inf), {})

    def _held_ml(self, level_mm: float) -> float:
        """The volume of the surface at `level_mm`."""
        return mesh_grid(self._filled(level_mm)).volume_ml

    def _filled(self, level_mm: float) -> Grid:
        """The region at `level_mm`, on as much of the lattice as it needs."""
        return self._region(level_mm, *self._box(level_mm))

    def _region(self, level_mm: float, low: NDArray[np.int64], high: NDArray[np.int64]) -> Grid:
        """What is filled at `level_mm`, from the node `low` to the one before `high`: earlier than it, inside the room,
        and joined to a source."""
        from scipy.ndimage import label

        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        room, void = self.room.values[part], self.void
        if void is not None and level_mm < void.full_mm:
            values = np.maximum(void.order[part] - level_mm, void.walls[part])
        else:
            values = self.order.values[part] - level_mm
            if void is not None:
                values = np.minimum(values, void.walls[part])
        values = np.maximum(values, room)
        values[np.abs(values) < _LEAST_MM] = _LEAST_MM
        pieces, count = label(values < 0)
        if count > 1:
            sources = self.sources[((self.sources >= low) & (self.sources < high)).all(axis=1)] - low
            joined = np.zeros(count + 1, bool)
            joined[pieces[tuple(sources.T)]] = joined[0] = True
            stray = ~joined[pieces]
            values[stray] = -values[stray]
        return Grid(self.room.origin_mm + self.room.spacing_mm * low, self.room.spacing_mm, values)

    def _box(self, level_mm: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest node, and the one after the highest, of the region at `level_mm` with three to spare."""
        reached = [np.flatnonzero(first < level_mm) for first in self._reached]
        if not all(map(len, reached)):
            return np.zeros(3, int), np.full(3, 2)
        low, high = np.array([(nodes[0], nodes[-1]) for nodes in reached]).T
        return np.maximum(low - _SPARE, 0), np.minimum(high + _SPARE + 1, self.room.values.shape)

    @cached_property
    def _reached(self) -> tuple[NDArray, ...]:
        """Along each axis, the level at which the first node of each plane of the lattice is reached."""
        arrivals = np.where(self.room.values < 0, self.arrivals, np.inf)
        return tuple(arrivals.min(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))

    @cached_property
    def _finer(self) -> Fill:
        """All that is ever filled on a lattice twice as fine, by cubic splines; its table is that of this one."""
        from scipy.ndimage import zoom

        low, high = self._box(float(self.levels_mm[-1]))
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        factors = [(2 * (b - a) - 1) / (b - a) for a, b in zip(low, high, strict=True)]

        def finer(values: NDArray, order: int) -> NDArray:
            fine = zoom(values[part].astype(float), factors, order=order, grid_mode=False)
            return np.asarray(fine, np.float32)

        origin, spacing = self.room.origin_mm + self.room.spacing_mm * low, self.room.spacing_mm / 2
        void = self.void
        if void is not None:
            void = Void(finer(void.walls, 3), finer(void.order, 3), void.full_mm)
        room = Grid(origin, spacing, finer(self.room.values, 1))
        order = Grid(origin, spacing, finer(self.order.values, 3))
        return Fill(room, order, 2 * (self.sources - low), self.levels_mm, self.volumes_ml, void)

    # to be kept -------------------------------------------------------------------------------------------------------

    def packed(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Plain numbers and arrays from which `unpacked` makes the same filling."""
        numbers: dict[str, Any] = {"origin_mm": self.room.origin_mm.tolist(), "spacing_mm": self.room.spacing_mm}
        arrays: dict[str, NDArray] = {
            "room": self.room.values.astype(np.float32),
            "order": self.order.values.astype(np.float32),
            "sources": self.sources,
            "levels_mm": self.levels_mm,
            "volumes_ml": self.volumes_ml,
        }
        if self.void is not None:
            numbers["full_mm"] = self.void.full_mm
            arrays["void_walls"] = self.void.walls.astype(np.float32)
            arrays["void_order"] = self.void.order.astype(np.float32)
        return numbers, arrays

    @classmethod
    def unpacked(cls, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Fill:
        """The filling of `packed`; KeyError where something is missing."""
        origin, spacing = np.array(numbers["origin_mm"]), float(numbers["spacing_mm"])
        void = None
        if "full_mm" in numbers:
            void = Void(arrays["void_walls"], arrays["void_order"], float(numbers["full_mm"]))
        return cls(
            Grid(origin, spacing, arrays["room"]),
            Grid(origin, spacing, arrays["order"]),
            arrays["sources"],
            arrays["levels_mm"],
            arrays["volumes_ml"],
            void,
        )


def fill(
    room: Grid,
    speed: NDArray[np.float64],
    tips_mm: Points,
    tip_radius_mm: float,
    largest_ml: float,
    first: NDArray[np.float64] | None = None,
) -> Fill:
    """The course of a filling of `room` from `tips_mm` (K, 3), worked out up to `largest_ml` or until it is full.

    Args:
        room: signed distance to the walls, mm, negative inside; its outermost layer must lie outside.
        speed: of the front at each node, more than 0.
        tip_radius_mm: the needle's bore, filled at once.
        first: signed distance to the walls of a void, mm, negative inside, on the lattice of `room`: all of it is
            filled before any bone. Each separate part of it is filled from the tips in it.
    """
    if first is None or not (np.maximum(first, room.values) < 0).any():
        order, sources, sealed = _through_bone(room, speed, tips_mm, tip_radius_mm)
        void = None
    else:
        void, sources = _void(room, np.maximum(first, room.values), tips_mm)
        order, sealed = _beyond(room, speed, void)
    walls = np.where(sealed, room.spacing_mm, room.values)  # a pocket that nothing reaches
    draft = Fill(Grid(room.origin_mm, room.spacing_mm, walls), Grid(room.origin_mm, room.spacing_mm, order), sources,
                 np.zeros(1), np.zeros(1), void)  # fmt: skip
    levels, volumes = [0.0], [0.0]
    last = float(order[(room.values < 0) & ~sealed].max())
    step = 0.15
    while volumes[-1] < largest_ml and levels[-1] < last:
        level = min(levels[-1] + step, last)
        if void is not None and levels[-1] < void.full_mm < level:
            level = void.full_mm
        held = draft._held_ml(level)
        # where the growth of one step is large against what is held, the table would be too coarse for 1 %
        step = 0.15 if held < 1.0 else 0.3
        levels.append(level)
        volumes.append(max(held, volumes[-1]))
    return Fill(draft.room, draft.order, sources, np.array(levels), np.array(volumes), void)


def _through_bone(
    room: Grid, speed: NDArray[np.float64], tips_mm: Points, tip_radius_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """The smoothed order from the tips, the nodes that it starts from, and the nodes of the room never reached."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    raw = arrival(room, speed, tips_mm, tip_radius_mm)
    never = raw >= _FAR_MM
    # beyond the walls the order goes on as it arrives at them, so that the walls alone end the region there
    nearest = distance_transform_edt(never, return_distances=False, return_indices=True)
    order = gaussian_filter(raw[tuple(nearest)], 0.6)
    sources = np.argwhere(raw == 0.0)
    return order - float(order[tuple(sources.T)].min()), sources, never & (room.values < 0)


def _void(room: Grid, walls: NDArray[np.float64], tips_mm: Points) -> tuple[Void, NDArray[np.int64]]:
    """How the void with `walls` fills from the tips, and the nodes that it starts from.

    A balloon's cavity is round enough for the way to be the straight one.
    """
    from scipy.ndimage import distance_transform_edt, label

    inside = np.argwhere(walls < 0)
    nodes = room.origin_mm + room.spacing_mm * inside
    parts, count = label(walls < 0)
    nearest = distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    part_of = parts[tuple(nearest)]
    sources = np.array([inside[np.linalg.norm(nodes - tip, axis=1).argmin()] for tip in tips_mm])
    points = room.points()
    order = np.full(walls.shape, _FAR_MM)
    for part in range(1, count + 1):
        own = [k for k, node in enumerate(sources) if parts[tuple(node)] == part]
        for k in own:
            way = np.linalg.norm(points - tips_mm[k], axis=1).reshape(walls.shape)
            order = np.where(part_of == part, np.minimum(order, way - way[tuple(sources[k])]), order)
        if not own:  # no tip stands in it: it is bone that runs fast, not a void
            walls = np.where(parts == part, room.spacing_mm, walls)
    full = float(order[(walls < 1.5 * room.spacing_mm) & (order < _FAR_MM)].max())
    return Void(walls, order, full), sources


def _beyond(room: Grid, speed: NDArray[np.float64], void: Void) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The smoothed order beyond a full void, and the nodes of the room never reached.

    The front leaves the void's wall where it lies between the nodes, so that the fill stays smooth there.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    slowness = 1.0 / speed
    raw = arrival(room, speed, np.zeros((0, 3)), 0.0, np.where(void.walls < room.spacing_mm, void.walls, _FAR_MM))
    raw = np.where(void.walls < 0, void.walls * float(np.median(slowness)), raw)
    never = raw >= _FAR_MM
    nearest = distance_transform_edt(never, return_distances=False, return_indices=True)
    order = gaussian_filter(raw[tuple(nearest)], 0.6) + void.full_mm
    return order, never & (room.values < 0)


def level_reaching(filling: Fill, forbidden: NDArray[np.bool_]) -> float:
    """The level of `filling` at which its surface would first touch a node of `forbidden`, infinite if never."""
    inside = forbidden & (filling.room.values < 0)
    return float(filling.arrivals[inside].min()) if inside.any() else float("inf")


def in_pulses(share: float, pulses: int) -> float:
    """How much of a volume is in when `share` of the time is over and it is given in `pulses` equal steps.

    Each step flows for two thirds of its time and rests for one third, as it is given with a small syringe.
    """
    share = min(1.0, max(0.0, share))
    whole, part = divmod(share * pulses, 1.0)
    flow = min(1.0, part / 0.667)
    return min(1.0, (whole + flow * flow * (3 - 2 * flow)) / pulses)
