"""Balloon tamps in a broken vertebral body: membranes, the end-plate that they lift, pressure, and what they leave.

Bone is taken as a firm foam that gives way. A membrane is a level of an order function round the channel's axis: levels
are nested and prolate, grow faster where bone is soft, and are held by walls: the trabecular room, a layer of packed
bone under and over the end-plates, the back quarter of the body, and the surface half way to the other balloon. The
level is solved so that the meshed membrane holds the injected volume, so a shape depends on volume and lift alone.

The upper end-plate rises when the area on which packed bone bears on it passes what it resists (area times pressure is
a force). It moves by the same deformation as the fracture: `lift` is the share of the lying loss that is taken back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.patient import Patient
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.aside import made_by_two
from spineviz.data.assets import asset
from spineviz.data.sourced import Sourced, sourced_table
from spineviz.data.tables import morphometry
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds
from spineviz.geometry.grids import Grid, lattice
from spineviz.geometry.meshes import Mesh

LIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Lifts at which the room is sampled; between them it goes in a straight line."""
LATTICE_MM = 1.0
"""Spacing of the lattice of the room. The membrane itself is not bound to it."""
_REACH_MM = 15.0
"""How far from its axis a membrane is followed."""
_TABLE_MM = 1.5
"""Spacing of the membranes from which volumes and contacts are tabled."""
_LEVELS = 12
_SAMPLES = 40
"""Moments noted in a step of the inflation."""
_CONTACT_MM = 1.0
"""A membrane that is this near to what holds it begins to lie on it."""
_PACKED_LEAST_MM = 0.5
_PROFILE_MM = 0.2
_LEAST_BED_MM = 4.0
_REMEMBERED = 1 << 18
"""At most so many points are remembered with where they lay when the inflation ended (12 MB)."""


@cache
def inflation_table() -> dict[str, Sourced]:
    """The figures of assets/devices/inflation.csv by name."""
    return sourced_table(asset("devices", "inflation.csv"))


def _figure(name: str) -> float:
    return inflation_table()[name].value


@dataclass(frozen=True, eq=False)
class Bed:
    """Where a balloon's working length lies in its channel, world frame.

    Attributes:
        side: "right" or "left".
        rear_mm, front_mm: (3,) its two ends, where the markers are.
        folded_radius_mm: of the folded balloon.
    """

    side: str
    rear_mm: Vector
    front_mm: Vector
    folded_radius_mm: float

    @cached_property
    def length_mm(self) -> float:
        """The working length."""
        return float(np.linalg.norm(self.front_mm - self.rear_mm))

    @cached_property
    def centre_mm(self) -> Vector:
        """(3,) the middle."""
        return (np.asarray(self.rear_mm) + np.asarray(self.front_mm)) / 2

    @cached_property
    def forward(self) -> Vector:
        """(3,) unit direction from rear to front."""
        return (np.asarray(self.front_mm) - np.asarray(self.rear_mm)) / self.length_mm

    def ahead_of(self, y_mm: float) -> Bed:
        """The part of the bed that lies in front of `y_mm` by the folded radius: what lies behind stays folded."""
        forward = self.forward
        lacking = (y_mm + self.folded_radius_mm - self.rear_mm[1]) / max(float(forward[1]), 1e-6)
        if lacking <= 0.0:
            return self
        return Bed(self.side, self.rear_mm + lacking * forward, self.front_mm, self.folded_radius_mm)

    def way_mm(self, points: Points) -> Distances:
        """(N,) how far `points` (N, 3) are from the working length's axis."""
        along = np.clip((points - self.centre_mm) @ self.forward, -self.length_mm / 2, self.length_mm / 2)
        return np.linalg.norm(points - self.centre_mm - along[:, None] * self.forward, axis=1)


@dataclass(frozen=True)
class Inflating:
    """One moment, by side: what is in, the gauge's pressure, and how far the end-plate has been lifted (0 to 1)."""

    volume_ml: dict[str, float]
    pressure_psi: dict[str, float]
    lift: float


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(share, 0.0, 1.0)
    return held * held * (3.0 - 2.0 * held)


def _smooth_maximum(a: NDArray[np.float64], b: NDArray[np.float64], blend_mm: float) -> NDArray[np.float64]:
    """Quadratic smooth maximum (I. Quilez 2013): never less than the larger."""
    over = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.maximum(a, b) + over * over / (4.0 * blend_mm)


# the free membrane ----------------------------------------------------------------------------------------------------


def half_length_mm(working_mm: float, radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the length of a free balloon of `working_mm` whose radius is `radius_mm`: it swells over its ends."""
    full = _figure("stretch_full_mm") * (radius_mm / 7.3) ** 4
    return working_mm / 2 + _figure("stretch_slim") * radius_mm + full


@cache
def _profile(working_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The free order over (way along the axis from the middle, way from the axis), every `_PROFILE_MM`: the radius of
    the free balloon that passes there; and its slope."""
    step = _PROFILE_MM
    u = np.arange(0.0, working_mm / 2 + _REACH_MM, step)[:, None]
    r = np.arange(0.0, 2.0 * _REACH_MM, step)[None, :]
    low, high = np.full((u.size, r.size), 1e-3), np.full((u.size, r.size), 60.0)
    for _ in range(34):
        middle = (low + high) / 2
        beyond = (u / half_length_mm(working_mm, middle)) ** _figure("bluntness") + (r / middle) ** 2 > 1.0
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    order = (low + high) / 2
    along, across = np.gradient(order, step)
    return order, np.clip(np.hypot(along, across), 0.7, 14.0)


def _held(room: Grid, points: Points) -> Distances:
    """(N,) mm to what holds a membrane, by quadratic splines, so that no lattice shows on it."""
    from scipy.ndimage import map_coordinates

    index = ((points - room.origin_mm) / room.spacing_mm).T
    return map_coordinates(room.values, index, order=2, mode="nearest", prefilter=False)


# one balloon in its room ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Chamber:
    """One balloon and what holds it.

    Attributes:
        bed: where it lies, the part in front of the back quarter.
        other: the other balloon's bed, or None.
        quarter_y_mm: it stays in front of this plane.
        origin_mm: (3,) of the lattice, `LATTICE_MM` apart.
        walls: (len(LIFTS), nx, ny, nz) mm to what holds it, negative inside, at each of LIFTS.
        firmness: (nx, ny, nz) the bone's resistance against its mean.
    """

    bed: Bed
    other: Bed | None
    quarter_y_mm: float
    origin_mm: Vector
    walls: NDArray[np.float32]
    firmness: NDArray[np.float32]

    def room(self, lift: float) -> Grid:
        """What holds the membrane at `lift`, mm, negative inside."""
        at = np.clip(lift, 0.0, 1.0) * (len(LIFTS) - 1)
        k = min(int(at), len(LIFTS) - 2)
        share = np.float32(at - k)
        values = self.walls[k] if share == 0 else (1 - share) * self.walls[k] + share * self.walls[k + 1]
        return Grid(self.origin_mm, LATTICE_MM, values)

    @cached_property
    def _firm(self) -> Grid:
        return Grid(self.origin_mm, LATTICE_MM, self.firmness)

    def _resisted(self, points: Points, order: NDArray[np.float64]) -> NDArray[np.float64]:
        """The order with the bone's unevenness, which tells once the balloon has unfolded."""
        return order * (1.0 + _smooth((order - 1.5) / 3.0) * (self._firm.at(points) - 1.0))

    def _free(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from scipy.ndimage import map_coordinates

        away = points - self.bed.centre_mm
        along = away @ self.bed.forward
        across = np.linalg.norm(away - along[:, None] * self.bed.forward, axis=1)
        index = np.stack([np.abs(along), across]) / _PROFILE_MM
        order, slope = (map_coordinates(t, index, order=1, mode="nearest") for t in _profile(self.bed.length_mm))
        return order, slope

    def order(self, points: Points) -> NDArray[np.float64]:
        """(N,) the level that first passes `points` (N, 3), were there no walls."""
        return self._resisted(points, self._free(points)[0])

    def value(self, points: Points, level: float, room: Grid) -> Distances:
        """(N,) about how far outside of the membrane at `level` `points` (N, 3) lie, mm, negative inside."""
        order, slope = self._free(points)
        free = (self._resisted(points, order) - level) / slope
        return _smooth_maximum(free, _held(room, points), _figure("rounding_mm"))

    def apart(self, points: Points) -> NDArray[np.bool_]:
        """(N,) which of `points` (N, 3) on the membrane are held by the other balloon or the back quarter, not bone."""
        near = 0.5 * _figure("rounding_mm")
        out = self.quarter_y_mm + _figure("quarter_clear_mm") - points[:, 1] > -near
        if self.other is not None:
            out |= _halfway(points, self.bed, self.other) > -near
        return out

    def surface(self, level: float, room: Grid, rays: Rays) -> Mesh:
        """The membrane at `level` in `room`; one vertex on each of `rays`."""
        (found,) = self.surfaces([level], room, rays)
        return found

    def surfaces(self, levels: Sequence[float], room: Grid, rays: Rays) -> list[Mesh]:
        """The membranes at `levels` in `room`, each with one vertex on each of `rays`; sought side by side."""
        from scipy.ndimage import map_coordinates

        blend = _figure("rounding_mm")
        working = self.bed.length_mm
        slope_table = _profile(working)[1]
        count, forward, centre = len(levels), self.bed.forward, self.bed.centre_mm
        outward = np.tile(_outward(self.bed, rays), (count, 1))
        ray_along, ray_across = np.tile(rays.along, count), np.tile(rays.across, count)
        level = np.repeat(np.asarray(levels, float), len(rays.along))

        def values(radius: NDArray[np.float64]) -> tuple[Points, NDArray[np.float64]]:
            along = ray_along * half_length_mm(working, radius)
            across = ray_across * radius
            points = centre + along[:, None] * forward + across[:, None] * outward
            slope = map_coordinates(
                slope_table, np.stack([np.abs(along), across]) / _PROFILE_MM, order=1, mode="nearest"
            )
            free = (self._resisted(points, radius) - level) / slope
            return points, _smooth_maximum(free, _held(room, points), blend)

        low = np.zeros(len(level))
        high = level / max(float(self.firmness.min()), 0.3) + 0.01
        at_low = np.full_like(low, -1.0)
        points, at_high = values(high)
        for step in range(11):
            # false position, and every third time halving, which it needs where a wall bends the way
            share = 0.5 if step % 3 == 0 else np.clip(at_low / np.minimum(at_low - at_high, -1e-9), 0.03, 0.97)
            radius = low + share * (high - low)
            points, value = values(radius)
            inside = value < 0
            low, at_low = np.where(inside, radius, low), np.where(inside, value, at_low)
            high, at_high = np.where(inside, high, radius), np.where(inside, at_high, value)
        return [Mesh(part, rays.triangles) for part in np.split(points, count)]


@dataclass(frozen=True, eq=False)
class Rays:
    """Ways outward along which a membrane is looked for: rings round the axis between two poles.

    Attributes:
        along, across, turn: (N,) shares of half length and radius, and the turn about the axis.
        triangles: (M, 3).
    """

    along: NDArray[np.float64]
    across: NDArray[np.float64]
    turn: NDArray[np.float64]
    triangles: NDArray[np.int64]


@lru_cache(maxsize=16)
def _outward(bed: Bed, grid: Rays) -> Points:
    """(N, 3) unit directions of the rays of `grid` away from the axis of `bed`."""
    forward = bed.forward
    side = np.cross(forward, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    up = np.cross(side, forward)
    return np.cos(grid.turn)[:, None] * side + np.sin(grid.turn)[:, None] * up


@cache
def rays(rings: int, sides: int) -> Rays:
    """Rays in `rings` rings of `sides` each, and the two poles."""
    angle = np.pi * np.arange(1, rings + 1) / (rings + 1)
    along = -np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2.0 / _figure("bluntness"))
    turn = 2 * np.pi * np.arange(sides) / sides
    here = np.arange(sides)
    after = (here + 1) % sides
    first, last = rings * sides, rings * sides + 1
    triangles = [np.stack([np.full(sides, first), here, after], 1)]
    for i in range(rings - 1):
        a, b, c, d = i * sides + here, i * sides + after, (i + 1) * sides + here, (i + 1) * sides + after
        triangles += [np.stack([a, c, b], 1), np.stack([b, c, d], 1)]
    end = (rings - 1) * sides
    triangles.append(np.stack([np.full(sides, last), end + after, end + here], 1))
    return Rays(
        np.concatenate([np.repeat(along, sides), [-1.0, 1.0]]),
        np.concatenate([np.repeat(np.sin(angle), sides), [0.0, 0.0]]),
        np.concatenate([np.tile(turn, rings), [0.0, 0.0]]),
        np.concatenate(triangles).astype(np.int64),
    )


@cache
def _rays_for(working_mm: float, spacing_mm: float) -> Rays:
    """Rays whose ends on a balloon of the usual size are about `spacing_mm` apart."""
    return rays(max(8, int(np.ceil((working_mm + 12.0) / spacing_mm))), max(12, 2 * int(np.ceil(23.0 / spacing_mm))))


@cache
def _held_share(working_mm: float, spacing_mm: float) -> float:
    """What share of a free membrane's volume its mesh holds: it is inscribed. The same for every radius, as free
    membranes differ by a stretch only."""
    grid = _rays_for(working_mm, spacing_mm)
    round_ = np.column_stack([grid.along, grid.across * np.cos(grid.turn), grid.across * np.sin(grid.turn)])
    power = _figure("bluntness")
    return abs(Mesh(round_, grid.triangles).volume_ml) * 1000.0 / (2.0 * np.pi * power / (power + 1.0))


@dataclass(frozen=True, eq=False)
class Table:
    """What membranes of one chamber hold and touch, at each of LIFTS and at rising levels; all (len(LIFTS), L).

    Attributes:
        levels_mm: the levels.
        volumes_ml: what they hold.
        pushing_mm2: the area, seen from above, on which they bear on the packed bone under the upper end-plate.
        contact: share of the membrane that lies on end-plate or cortex.
        firm: the mean resistance of the bone round them.
    """

    levels_mm: NDArray[np.float64]
    volumes_ml: NDArray[np.float64]
    pushing_mm2: NDArray[np.float64]
    contact: NDArray[np.float64]
    firm: NDArray[np.float64]

    @property
    def largest_ml(self) -> float:
        """What the table reaches to at every lift; more finds walls on all sides."""
        return float(self.volumes_ml[:, -1].min()) - 1e-6

    def read(self, name: str, volume_ml: float, lift: float) -> float:
        """The column `name` at `volume_ml` and `lift`."""
        at = float(np.clip(lift, 0.0, 1.0)) * (len(LIFTS) - 1)
        k = min(int(at), len(LIFTS) - 2)
        low, high = (float(np.interp(volume_ml, self.volumes_ml[j], getattr(self, name)[j])) for j in (k, k + 1))
        return low + (at - k) * (high - low)


def _table(chamber: Chamber, largest_ml: float) -> Table:
    working = chamber.bed.length_mm
    grid = _rays_for(working, _TABLE_MM)
    share = _held_share(working, _TABLE_MM)
    # a free balloon of the largest volume, and as much again for one that walls hold on every side
    reach = float((6000.0 * largest_ml / np.pi / (working + 6.0)) ** 0.5 / 2.0) * 1.45
    levels = np.concatenate([[0.05], np.linspace(0.6, reach, _LEVELS - 1)])
    rows: dict[str, list[list[float]]] = {name: [] for name in ("volumes", "pushing", "contact", "firm")}
    for lift in LIFTS:
        room = chamber.room(lift)
        found: list[tuple[float, float, float, float]] = []
        for mesh in chamber.surfaces(levels.tolist(), room, grid):
            a, b, c = (mesh.points_mm[mesh.triangles[:, i]] for i in range(3))
            normal = np.cross(b - a, c - a) / 2.0
            area = np.linalg.norm(normal, axis=1)
            held = _smooth(1.0 + _held(room, mesh.points_mm) / _CONTACT_MM)
            held = np.where(chamber.apart(mesh.points_mm), 0.0, held)[mesh.triangles].mean(1)
            up = np.maximum(normal[:, 2], 0.0) * (normal[:, 2] > 0.5 * area)
            firm = chamber._firm.at(mesh.points_mm)[mesh.triangles].mean(1)
            whole = max(float(area.sum()), 1e-9)
            found.append(
                (mesh.volume_ml / share, float((up * held).sum()), float((area * held).sum()) / whole,
                 float((area * firm).sum()) / whole)
            )  # fmt: skip
        for name, column in zip(rows, np.array(found).T, strict=True):
            rows[name].append(list(column))
    grown = {name: np.maximum.accumulate(np.array(rows[name]), axis=1) for name in ("volumes", "pushing")}
    volumes = grown["volumes"] + 1e-9 * np.arange(len(levels))
    return Table(
        np.tile(levels, (len(LIFTS), 1)), volumes, grown["pushing"], np.array(rows["contact"]), np.array(rows["firm"])
    )


# the room -------------------------------------------------------------------------------------------------------------


def _halfway(points: Points, bed: Bed, other: Bed) -> Distances:
    """(N,) mm past the surface half way from `bed` to `other`, less half of the gap."""
    return (bed.way_mm(points) - other.way_mm(points) + _figure("gap_mm")) / 2


def _ahead(bed: Bed, grid: Grid) -> NDArray[np.float64]:
    """The height of the bed's axis at every (x, y) of `grid`, (1, ny, 1) mm."""
    y = grid.origin_mm[1] + grid.spacing_mm * np.arange(grid.values.shape[1])
    rear, front = bed.rear_mm, bed.front_mm
    share = np.clip((y - rear[1]) / (front[1] - rear[1]), -0.2, 1.2)
    return (rear[2] + share * (front[2] - rear[2]))[None, :, None]


def _plate(core: NDArray[np.float64], z: NDArray[np.float64], axis_z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The height at which each column of `core` (nx, ny, nz) first leaves the bone above `axis_z`, (nx, ny) mm.

    Columns beside the body take the value of the nearest column in it; a membrane bridges what is finer than 2 mm.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    beyond = (z[None, None, :] > axis_z) & (core >= 0)
    k = np.argmax(beyond, axis=2)
    here = np.take_along_axis(core, k[..., None], 2)[..., 0]
    under = np.take_along_axis(core, np.maximum(k - 1, 0)[..., None], 2)[..., 0]
    known = beyond.any(axis=2) & (under < 0) & (k > 0)
    height = np.where(known, z[k] - (z[1] - z[0]) * here / np.where(known, here - under, 1.0), 0.0)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return gaussian_filter(height[tuple(nearest)], 1.0, mode="nearest")


def _walls(core: Grid, bed: Bed, packed: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    """mm to what holds the membrane at one lift: cortex, and the packed bone (thickness above, below) at the plates."""
    z = core.origin_mm[2] + core.spacing_mm * np.arange(core.values.shape[2])
    above, below = _plates(core, bed)
    roof = z[None, None, :] - (above - packed[0])[..., None]
    floor = (below + packed[1])[..., None] - z[None, None, :]
    out = _smooth_maximum(core.values + _figure("wall_clear_mm"), roof, 1.0)
    return _smooth_maximum(out, floor, 1.0)


def _plates(core: Grid, bed: Bed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights of the upper and the lower end-plate's inner side, (nx, ny) mm."""
    z = core.origin_mm[2] + core.spacing_mm * np.arange(core.values.shape[2])
    axis_z = _ahead(bed, core)
    return _plate(core.values, z, axis_z), -_plate(core.values[:, :, ::-1], -z[::-1], -axis_z)


def _packed(core: Grid, bed: Bed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How thick the bone above and below the channel is when it is packed, (nx, ny) mm; `core` as it lies."""
    above, below = _plates(core, bed)
    axis_z = _ahead(bed, core)[..., 0]
    share, radius = _figure("packed_share"), bed.folded_radius_mm
    return (
        np.maximum(share * (above - axis_z - radius), _PACKED_LEAST_MM),
        np.maximum(share * (axis_z - radius - below), _PACKED_LEAST_MM),
    )


def _firmness(points: Points, here: Patient, seed: int) -> NDArray[np.float64]:
    """(N,) the bone's resistance against its mean: waves by chance, and the tumour's share."""
    random = np.random.default_rng([seed, 53])
    count = 20
    direction = random.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = _figure("uneven_length_mm") * random.uniform(0.8, 1.4, count)
    phase = random.uniform(0.0, 2 * np.pi, count)
    wave = np.sqrt(2.0 / count) * np.cos(points @ (2 * np.pi * direction / length[:, None]).T + phase).sum(1)
    firm = np.exp(_figure("uneven_sd") * 2.0 * np.tanh(wave / 2.0))
    if here.tumour is not None:
        inside = here.tumour_structure(here.amount(1.0, 1.0), 1.0).field.distance(points)
        firm *= 1.0 - (1.0 - _figure("tumour_ease")) * _smooth(0.5 - inside / 5.0)
    return firm


def lifted_amount(here: Patient, lift: float) -> float:
    """The fracture's amount when the patient lies and balloons have taken `lift` of what is left."""
    return here.amount(1.0, 1.0) * (1.0 - float(np.clip(lift, 0.0, 1.0)))


def _chambers(beds: Mapping[str, Bed], here: Patient, quarter_y_mm: float, seed: int) -> dict[str, Chamber]:
    beds = {side: bed.ahead_of(quarter_y_mm + _figure("quarter_clear_mm")) for side, bed in beds.items()}
    for side, bed in beds.items():
        if (bed.front_mm - bed.rear_mm)[1] < _LEAST_BED_MM:
            raise ValueError(f"beds: the {side} balloon's working length must reach in front of the back quarter")
    ends = np.concatenate([[bed.rear_mm, bed.front_mm] for bed in beds.values()])
    body = vertebra(here.level).body.bounds_mm
    low = np.maximum(ends.min(0) - _REACH_MM, body[0] - 3.0)
    high = np.minimum(ends.max(0) + _REACH_MM, body[1] + 3.0)
    low[1] = max(low[1], quarter_y_mm - 3.0)
    low = np.floor(low / LATTICE_MM) * LATTICE_MM
    grid = lattice(box_bounds(low, high), LATTICE_MM)
    points = grid.points()
    cores = []
    for lift in LIFTS:
        core = here.treated_bone(lifted_amount(here, lift)).core
        assert core is not None
        cores.append(Grid(grid.origin_mm, LATTICE_MM, core.distance(points).reshape(grid.values.shape)))
    for side, bed in beds.items():
        axis = bed.rear_mm + np.linspace(0.0, 1.0, 9)[:, None] * (bed.front_mm - bed.rear_mm)
        if cores[0].at(axis).max() > 0.0:
            raise ValueError(f"beds: the {side} balloon's working length must lie in trabecular bone")
    firm = _firmness(points, here, seed).reshape(grid.values.shape).astype(np.float32)
    behind = (quarter_y_mm + _figure("quarter_clear_mm") - points[:, 1]).reshape(grid.values.shape)
    out = {}
    for side, bed in beds.items():
        other = next((b for s, b in beds.items() if s != side), None)
        packed = _packed(cores[0], bed)
        apart = behind
        if other is not None:
            apart = np.maximum(behind, _halfway(points, bed, other).reshape(grid.values.shape))
        # where the channel was drilled there is room
        drilled = np.maximum((bed.way_mm(points) - bed.folded_radius_mm).reshape(grid.values.shape), behind)
        walls = [np.minimum(_smooth_maximum(_walls(core, bed, packed), apart, 1.0), drilled) for core in cores]
        out[side] = Chamber(bed, other, quarter_y_mm, grid.origin_mm, np.array(walls, np.float32), firm)
    return out


# the course -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Course:
    """An inflation noted moment by moment, M moments.

    Attributes:
        share: (M,) of its time, 0 to 1.
        volumes_ml, pressures_psi: by side, (M,).
        lifts: (M,) never falling.
        stops: why each side stopped: "volume", "rating", "pressure", "contact" or "height".
    """

    share: NDArray[np.float64]
    volumes_ml: dict[str, NDArray[np.float64]]
    pressures_psi: dict[str, NDArray[np.float64]]
    lifts: NDArray[np.float64]
    stops: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Gauge:
    """The pressure of one side."""

    table: Table
    seed: tuple[int, int]

    def held_psi(self, volume_ml: float, lift: float) -> float:
        """What bone and walls hold for long at `volume_ml`."""
        seat, seat_ml = _figure("seat_psi"), _figure("seat_ml")
        if volume_ml <= seat_ml:
            return seat * float(_smooth(np.array(volume_ml / seat_ml))) ** 1.5
        firm = self.table.read("firm", volume_ml, lift) ** 2
        rise = (_figure("plateau_psi") * firm - seat) * (1.0 - np.exp(-(volume_ml - seat_ml) / _figure("rise_ml")))
        contact = self.table.read("contact", volume_ml, lift)
        return float(seat + rise + _figure("contact_psi") * contact ** _figure("contact_power"))

    @cached_property
    def _falls(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        random = np.random.default_rng([*self.seed, 59])
        at = _figure("seat_ml") + 0.15 + np.cumsum(random.uniform(0.1, 0.3, 80))
        return at, _figure("drop_psi") * random.uniform(0.5, 1.5, 80)

    def fallen_psi(self, volume_ml: float) -> float:
        """By how much rows of trabeculae that gave way just before hold less."""
        at, size = self._falls
        past = np.maximum(volume_ml - at, 0.0)
        return float((size * np.exp(-past / 0.07))[volume_ml > at].sum())

    def hold(self, step: int, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 to 0 over a hold of a step: creep, and small drops; `share` of the step's time since the flow stopped."""
        random = np.random.default_rng([*self.seed, 61, step])
        when = np.sort(random.uniform(0.04, 0.5, 3))
        steps = (share[:, None] < when[None, :]).mean(1)
        return 0.6 * np.exp(-share / _figure("decay_share")) + 0.4 * steps


def _lift_at(tables: Mapping[str, Table], volumes_ml: Mapping[str, float], resists_mm2: NDArray[np.float64]) -> float:
    """The least of all lifts at which the packed area is no more than what the end-plate resists, `resists_mm2` at
    each of LIFTS; never falls with volume."""
    bearing = np.zeros(len(LIFTS))
    for side, volume in volumes_ml.items():
        table = tables[side]
        bearing += [np.interp(volume, table.volumes_ml[j], table.pushing_mm2[j]) for j in range(len(LIFTS))]
    lifts = np.array(LIFTS)
    over = bearing - resists_mm2
    if over[0] <= 0:
        return 0.0
    past = np.flatnonzero(over <= 0)
    if not len(past):
        return 1.0
    k = int(past[0])
    return float(lifts[k - 1] + (lifts[k] - lifts[k - 1]) * over[k - 1] / (over[k - 1] - over[k]))


def _resists_mm2(here: Patient) -> NDArray[np.float64]:
    """The packed area that the upper end-plate resists at each of LIFTS: more on a larger one, and the more it has
    been lifted."""
    areas = [morphometry()[name]["EPWu_mm"].value * morphometry()[name]["EPDu_mm"].value for name in (here.level, "L1")]
    healthy, lying = (here.fracture.heights(lifted_amount(here, lift)) for lift in (1.0, 0.0))
    rise = max(healthy.anterior_mm - lying.anterior_mm, healthy.middle_mm - lying.middle_mm)
    gain = 1.0 + _figure("lift_area_per_mm") * rise * np.array(LIFTS)
    return areas[0] / areas[1] * _figure("lift_area_mm2") * gain


def _run(
    tables: Mapping[str, Table],
    resists_mm2: NDArray[np.float64],
    ceilings_ml: Mapping[str, float],
    rated_ml: float,
    rated_psi: float,
    seed: int,
) -> Course:
    sides = list(tables)
    gauges = {side: _Gauge(tables[side], (seed, number)) for number, side in enumerate(sides)}
    now = dict.fromkeys(sides, 0.0)
    stops: dict[str, str] = {}
    steps: list[tuple[dict[str, float], dict[str, float]]] = []
    while len(stops) < len(sides):
        before = dict(now)
        largest = max(now[side] for side in sides if side not in stops)
        seat, late = _figure("seat_ml"), largest >= _figure("late_from_ml") - 1e-9
        goal = seat if not steps else seat + _grown(largest - seat, "late_step_ml" if late else "step_ml")
        while len(stops) < len(sides):
            going = [side for side in sides if side not in stops]
            if now[going[0]] >= goal - 1e-9:
                break
            then = {s: min(now[s] + 0.025, goal, ceilings_ml[s], rated_ml) if s in going else now[s] for s in sides}
            lift = _lift_at(tables, then, resists_mm2)
            for side in going:
                table = tables[side]
                peak = gauges[side].held_psi(then[side], lift) + _figure("step_psi")
                if peak >= rated_psi:
                    stops[side] = "pressure"
                    continue  # the last drop is not given
                now[side] = then[side]
                touching = table.read("contact", now[side], lift) >= _figure("contact_share")
                if touching or now[side] >= table.largest_ml:
                    stops[side] = "contact"
                elif now[side] >= rated_ml - 1e-9:
                    stops[side] = "rating"
                elif now[side] >= ceilings_ml[side] - 1e-9:
                    stops[side] = "volume"
                elif lift >= 1.0:
                    stops[side] = "height"
        steps.append((before, dict(now)))
    return _noted(tables, gauges, resists_mm2, steps, stops, rated_psi)


def _grown(past_ml: float, step: str) -> float:
    """The next whole step after `past_ml`."""
    return (np.floor(past_ml / _figure(step) + 1e-6) + 1.0) * _figure(step)


def _noted(
    tables: Mapping[str, Table],
    gauges: Mapping[str, _Gauge],
    resists_mm2: NDArray[np.float64],
    steps: list[tuple[dict[str, float], dict[str, float]]],
    stops: dict[str, str],
    rated_psi: float,
) -> Course:
    """The course of `steps` of volume, each a flow and a hold."""
    flow = _figure("flow_share")
    share = np.arange(_SAMPLES) / _SAMPLES
    flowing = _smooth(share / flow)
    since = np.maximum(share - flow, 0.0)
    volumes: dict[str, list[float]] = {side: [] for side in tables}
    pressures: dict[str, list[float]] = {side: [] for side in tables}
    lifts: list[float] = []
    for number, (before, after) in enumerate(steps):
        course = {side: before[side] + flowing * (after[side] - before[side]) for side in tables}
        lift = [
            _lift_at(tables, {side: float(course[side][k]) for side in tables}, resists_mm2) for k in range(_SAMPLES)
        ]
        for side, gauge in gauges.items():
            over = _figure("step_psi") * (0.0 if number == 0 else 1.0) * (after[side] > before[side])
            extra = over * np.where(share < flow, flowing, gauge.hold(number, since))
            held = [gauge.held_psi(float(v), at) for v, at in zip(course[side], lift, strict=True)]
            fallen = [gauge.fallen_psi(float(v)) for v in course[side]]
            pressures[side] += list(np.clip(np.array(held) + extra - fallen, 0.0, rated_psi))
            volumes[side] += list(course[side])
        lifts += lift
    last = steps[-1][1]
    lifts.append(_lift_at(tables, last, resists_mm2))
    for side, gauge in gauges.items():
        volumes[side].append(last[side])
        pressures[side].append(min(gauge.held_psi(last[side], lifts[-1]) - gauge.fallen_psi(last[side]), rated_psi))
    count = len(lifts)
    return Course(
        np.arange(count) / (count - 1),
        {side: np.array(v) for side, v in volumes.items()},
        {side: np.array(p) for side, p in pressures.items()},
        np.maximum.accumulate(lifts),
        stops,
    )


# the whole ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Inflation:
    """A whole inflation, deflation and what stays; build it with `inflate`.

    Attributes:
        patient: in whom.
        chambers, tables: by side.
        course: what was noted.
    """

    patient: Patient
    chambers: dict[str, Chamber]
    tables: dict[str, Table]
    course: Course
    _levels: OrderedDict[tuple, float] = field(default_factory=OrderedDict, repr=False)
    _meshes: OrderedDict[tuple, Mesh] = field(default_factory=OrderedDict, repr=False)
    _last_at_peak: list[tuple[float, Points, Points]] = field(default_factory=list, repr=False)

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that have a balloon."""
        return tuple(self.chambers)

    @property
    def stop(self) -> dict[str, str]:
        """Why each side stopped: "volume", "rating", "pressure", "contact" or "height"."""
        return self.course.stops

    @property
    def volume_ml(self) -> dict[str, float]:
        """What is in at the end, by side."""
        return {side: float(v[-1]) for side, v in self.course.volumes_ml.items()}

    @property
    def peak_psi(self) -> dict[str, float]:
        """The highest pressure of each side."""
        return {side: float(p.max()) for side, p in self.course.pressures_psi.items()}

    @property
    def lift_peak(self) -> float:
        """The lift at the end of the inflation."""
        return float(self.course.lifts[-1])

    @property
    def sunk_lift(self) -> float:
        """The lift when the end-plate has sunk on deflation. Heights go in a straight line with it, so a share of the
        lift is a share of the regained height."""
        return self.lift_peak * (1.0 - _figure("sink_share"))

    @cached_property
    def _resists_mm2(self) -> NDArray[np.float64]:
        return _resists_mm2(self.patient)

    def at(self, share: float) -> Inflating:
        """The moment at `share` (0 to 1) of the inflation."""
        c = self.course

        def read(values: NDArray[np.float64]) -> float:
            return float(np.interp(share, c.share, values))

        return Inflating(
            {side: read(v) for side, v in c.volumes_ml.items()},
            {side: read(p) for side, p in c.pressures_psi.items()},
            read(c.lifts),
        )

    def curve(self, side: str, share: float) -> NDArray[np.float64]:
        """(M, 2) volume in mL and pressure in psi of `side`, up to `share` of the inflation."""
        c = self.course
        past = c.share < share
        now = self.at(share)
        return np.column_stack(
            [
                np.append(c.volumes_ml[side][past], now.volume_ml[side]),
                np.append(c.pressures_psi[side][past], now.pressure_psi[side]),
            ]
        )

    def lift_at(self, volumes_ml: Mapping[str, float]) -> float:
        """The lift at `volumes_ml` by side while they grow; never falls with any of them."""
        return _lift_at(self.tables, volumes_ml, self._resists_mm2)

    # shapes -----------------------------------------------------------------------------------------------------------

    def level_at(self, side: str, volume_ml: float, lift: float) -> float:
        """The level whose membrane holds `volume_ml` at `lift`."""
        key = (side, round(volume_ml, 5), round(lift, 5))
        if key not in self._levels:
            chamber, table = self.chambers[side], self.tables[side]
            working = chamber.bed.length_mm
            grid, share = _rays_for(working, _TABLE_MM), _held_share(working, _TABLE_MM)
            room = chamber.room(lift)

            def held(level: float) -> float:
                return chamber.surface(level, room, grid).volume_ml / share

            guess = table.read("levels_mm", volume_ml, lift)
            self._levels[key] = _settled(held, volume_ml, guess)
            while len(self._levels) > 256:
                self._levels.popitem(last=False)
        return self._levels[key]

    def membrane(self, side: str, volume_ml: float, lift: float) -> Field:
        """The membrane of `side` when it holds `volume_ml` at `lift`, world frame. Inexact."""
        chamber = self.chambers[side]
        if volume_ml <= 0.0:
            centre = chamber.bed.centre_mm
            return Field(lambda p: np.linalg.norm(p - centre, axis=1) + 1.0, box_bounds(centre, centre), exact=False)
        level, room = self.level_at(side, volume_ml, lift), chamber.room(lift)
        bounds = self.membrane_mesh(side, volume_ml, lift, _TABLE_MM).bounds_mm
        return Field(lambda p: chamber.value(p, level, room), box_bounds(bounds[0] - 0.6, bounds[1] + 0.6), exact=False)

    def membrane_mesh(self, side: str, volume_ml: float, lift: float, spacing_mm: float) -> Mesh:
        """The surface of `membrane`, vertices about `spacing_mm` apart; it holds `volume_ml`. Empty at 0 mL.

        The triangles are the same at every volume and lift, so that shapes may be blended.
        """
        if volume_ml <= 0.0:
            return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
        key = (side, round(volume_ml, 5), round(lift, 5), round(spacing_mm, 3))
        if key not in self._meshes:
            chamber = self.chambers[side]
            grid = _rays_for(chamber.bed.length_mm, round(spacing_mm, 3))
            mesh = chamber.surface(self.level_at(side, volume_ml, lift), chamber.room(lift), grid)
            # a mesh is inscribed: grown by the little that it lacks, hundredths of a millimetre
            middle = mesh.points_mm.mean(0)
            grow = (volume_ml / mesh.volume_ml) ** (1.0 / 3.0)
            self._meshes[key] = mesh.with_points(middle + grow * (mesh.points_mm - middle))
            while len(self._meshes) > 32:
                self._meshes.popitem(last=False)
        return self._meshes[key]

    # after it ---------------------------------------------------------------------------------------------------------

    def sinking_lift(self, deflated: float) -> float:
        """The lift when `deflated` (0 to 1) of the deflation is over."""
        return self.lift_peak + float(_smooth(np.array(deflated))) * (self.sunk_lift - self.lift_peak)

    def _carried(self, points: Points, lift: float) -> Points:
        f, here = self.patient.fracture, self.patient
        if lift == self.lift_peak:
            return points
        return f.forward(f.inverse(points, lifted_amount(here, self.lift_peak)), lifted_amount(here, lift))

    def cavity(self, side: str, deflated: float = 1.0) -> Field:
        """The cavity of `side`: the last membrane, carried along as the end-plate sinks. Inexact."""
        peak = self.membrane(side, self.volume_ml[side], self.lift_peak)
        lift = self.sinking_lift(deflated)
        if lift == self.lift_peak:
            return peak
        return Field(lambda points: peak.distance(self._at_peak(points, lift)), peak.bounds_mm, exact=False)

    def _at_peak(self, points: Points, lift: float) -> Points:
        """Where `points` (N, 3), seen at `lift`, lay when the inflation ended; the last ones are remembered, as both
        cavities are asked for at the same points."""
        last = self._last_at_peak[0] if self._last_at_peak else None
        if last is not None and last[0] == lift and np.array_equal(last[1], points):
            return last[2]
        f, here = self.patient.fracture, self.patient
        healthy = f.inverse(points, lifted_amount(here, lift))
        found = f.forward(healthy, lifted_amount(here, self.lift_peak))
        if len(points) <= _REMEMBERED:
            self._last_at_peak[:] = [(lift, points.copy(), found)]
        return found

    def cavity_mesh(self, side: str, deflated: float = 1.0, spacing_mm: float = 0.8) -> Mesh:
        """The surface of `cavity`."""
        mesh = self.membrane_mesh(side, self.volume_ml[side], self.lift_peak, spacing_mm)
        return mesh.with_points(self._carried(mesh.points_mm, self.sinking_lift(deflated)))

    def cavity_ml(self, side: str, deflated: float = 1.0) -> float:
        """The volume of `cavity`, measured on its surface."""
        if self.sinking_lift(deflated) == self.lift_peak:
            return self.volume_ml[side]
        return self.cavity_mesh(side, deflated, 0.8).volume_ml

    def emptying_ml(self, side: str, deflated: float) -> float:
        """What is left in the balloon of `side` when `deflated` (0 to 1) of the deflation is over."""
        left = 1.0 - float(_smooth(np.array(deflated)))
        return left * self.cavity_ml(side, deflated) if left > 1e-6 else 0.0

    def emptying_mesh(self, side: str, deflated: float, spacing_mm: float) -> Mesh:
        """The balloon of `side` as it empties within its cavity; it holds `emptying_ml` within 1 %."""
        volume = self.emptying_ml(side, deflated)
        if volume <= 0.0:
            return self.membrane_mesh(side, 0.0, self.lift_peak, spacing_mm)
        lift = self.sinking_lift(deflated)
        asked = min(volume * self.volume_ml[side] / self.cavity_ml(side, deflated), self.volume_ml[side])
        mesh = self.membrane_mesh(side, asked, self.lift_peak, spacing_mm)
        return mesh.with_points(self._carried(mesh.points_mm, lift))

    # to be kept -------------------------------------------------------------------------------------------------------

    def packed(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Plain numbers and arrays from which `unpacked` makes the same inflation."""
        numbers: dict[str, Any] = {"sides": {}, "stops": dict(self.stop)}
        arrays: dict[str, NDArray] = {"share": self.course.share, "lifts": self.course.lifts}
        for side, chamber in self.chambers.items():
            bed = chamber.bed
            numbers["sides"][side] = {
                "rear_mm": np.asarray(bed.rear_mm).tolist(),
                "front_mm": np.asarray(bed.front_mm).tolist(),
                "folded_radius_mm": bed.folded_radius_mm,
                "quarter_y_mm": chamber.quarter_y_mm,
                "origin_mm": chamber.origin_mm.tolist(),
            }
            arrays[f"walls-{side}"], arrays[f"firmness-{side}"] = chamber.walls, chamber.firmness
            arrays[f"volumes-{side}"] = self.course.volumes_ml[side]
            arrays[f"pressures-{side}"] = self.course.pressures_psi[side]
            for name, column in asdict(self.tables[side]).items():
                arrays[f"table-{side}-{name}"] = column
        return numbers, arrays

    @classmethod
    def unpacked(cls, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray], here: Patient) -> Inflation:
        """The inflation of `packed`, in the patient `here`; KeyError or ValueError where something is missing."""
        beds = {
            side: Bed(side, np.array(n["rear_mm"]), np.array(n["front_mm"]), float(n["folded_radius_mm"]))
            for side, n in numbers["sides"].items()
        }
        chambers, tables = {}, {}
        for side, n in numbers["sides"].items():
            other = next((b for s, b in beds.items() if s != side), None)
            chambers[side] = Chamber(
                beds[side], other, float(n["quarter_y_mm"]), np.array(n["origin_mm"]), arrays[f"walls-{side}"],
                arrays[f"firmness-{side}"],
            )  # fmt: skip
            names = ("levels_mm", "volumes_ml", "pushing_mm2", "contact", "firm")
            tables[side] = Table(**{name: arrays[f"table-{side}-{name}"] for name in names})
        course = Course(
            arrays["share"],
            {side: arrays[f"volumes-{side}"] for side in beds},
            {side: arrays[f"pressures-{side}"] for side in beds},
            arrays["lifts"],
            dict(numbers["stops"]),
        )
        return cls(here, chambers, tables, course)


def _settled(held: Any, volume_ml: float, guess: float) -> float:
    """The level at which `held` (level -> mL, growing) is `volume_ml` within 0.1 %, by secants from `guess`."""
    level, last = guess, None
    for _ in range(8):
        now = held(level)
        if abs(now - volume_ml) <= 1e-3 * volume_ml:
            break
        # a free balloon's volume goes about with the square of its level
        slope = 2.0 * now / level if last is None else (now - last[1]) / (level - last[0])
        last = (level, now)
        step = (volume_ml - now) / max(slope, 1e-6)
        level = max(level + float(np.clip(step, -0.4 * level, 0.4 * level)), 1e-3)
    return level


def inflate(
    beds: Mapping[str, Bed],
    patient: Patient,
    ceilings_ml: Mapping[str, float],
    rated_ml: float,
    rated_psi: float,
    back_quarter_y_mm: float,
    seed: int,
) -> Inflation:
    """The inflation of one or two balloons in step.

    Args:
        beds: by side.
        patient: lying, broken.
        ceilings_ml: what each side is to be given at most.
        rated_ml, rated_psi: the balloon's limits.
        back_quarter_y_mm: no membrane comes nearer to this plane than inflation.csv says; what of a bed lies further
            back stays folded.
        seed: of how unevenly bone gives way.

    Raises ValueError, naming the side, where a bed leaves trabecular bone or hardly reaches in front of that plane.
    """
    chambers = _chambers(beds, patient, back_quarter_y_mm, seed)
    largest = min(rated_ml, max(ceilings_ml.values()))
    makes = [partial(_table, chamber, largest) for chamber in chambers.values()]
    tables = dict(zip(chambers, made_by_two(makes), strict=True))
    course = _run(tables, _resists_mm2(patient), ceilings_ml, rated_ml, rated_psi, seed)
    return Inflation(patient, chambers, tables, course)
