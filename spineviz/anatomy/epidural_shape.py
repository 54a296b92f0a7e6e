"""The shape of a tumour that grows from a vertebra into its canal: lobes round one point, held back by what is there.

Seen from the point where it begins every direction has one reach, so that a smaller share of the tumour lies within
every larger one: what it leaves free of the canal never gets less while it shrinks. Everything here is on the right
and in the frame of a lying patient's vertebra; the left mirrors it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import COLUMN_LEVELS, Column, column, level_above, level_below
from spineviz.anatomy.neural import cord_and_sac, neural_structures, outer_root
from spineviz.anatomy.structure import Structure
from spineviz.anatomy.sweeps import EVERY_RING_MM, sweep_along, sweep_field
from spineviz.anatomy.tumour import greatest_diameter_mm, tumour_table
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Distances, Field, Points, Vector
from spineviz.geometry.grids import Grid, lattice, sample
from spineviz.geometry.meshes import Mesh, mesh_grid
from spineviz.geometry.operators import moved, union

TOP = "T3"
"""The uppermost level of the nerves, as everything else of this procedure shows it."""
CORD_LEVELS = COLUMN_LEVELS[: COLUMN_LEVELS.index("L1") + 1]
"""Where there is cord to press on."""
_TURNS, _TILTS = 100, 51
"""Directions round the axis that runs right, and from it to its other end."""
_MARCH_MM = 0.3
_TOLERANCE = 0.004
_GRID_MM, _GRID_SHARE = 0.5, 1.0 / 28.0
_MARGIN_MM = 3.0


@cache
def figure(name: str) -> float:
    """One value of assets/anatomy/epidural.csv."""
    return sourced_table(asset("anatomy", "epidural.csv"))[name].value


@cache
def lying(level: str) -> Column:
    """The column of a patient on the back, `level` the world."""
    return column(level, lying=1.0)


@lru_cache(maxsize=2)
def _cord_and_sac(level: str) -> dict[str, Structure]:
    """ "cord" and "dura" of `nerves`."""
    return cord_and_sac(lying(level), COLUMN_LEVELS[COLUMN_LEVELS.index(TOP) :])


@lru_cache(maxsize=2)
def nerves(level: str) -> dict[str, Structure]:
    """ "cord", "dura" and "roots" before there is a tumour, world frame."""
    return neural_structures(lying(level), COLUMN_LEVELS[COLUMN_LEVELS.index(TOP) :])


@cache
def direction_grid() -> Points:
    """(_TILTS, _TURNS, 3) unit vectors."""
    tilt = np.linspace(0.0, np.pi, _TILTS)[:, None]
    turn = 2 * np.pi * np.arange(_TURNS)[None, :] / _TURNS
    x = np.cos(tilt) * np.ones_like(turn)
    return np.stack([x, np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn)], axis=-1)


def read_directions(values: NDArray[np.float64], towards: Points) -> Distances:
    """`values` (_TILTS, _TURNS) over the directions of `direction_grid`, at `towards` (N, 3), any length, (N,)."""
    from scipy.ndimage import map_coordinates

    length = np.maximum(np.linalg.norm(towards, axis=1), 1e-9)
    tilt = np.arccos(np.clip(towards[:, 0] / length, -1.0, 1.0)) / np.pi * (_TILTS - 1)
    turn = (np.arctan2(towards[:, 2], towards[:, 1]) / (2 * np.pi)) % 1.0 * _TURNS
    closed = np.concatenate([values, values[:, :1]], axis=1)
    return map_coordinates(closed, np.stack([tilt, turn]), order=1, mode="nearest")


@dataclass(frozen=True, eq=False)
class Shape:
    """A tumour on the right.

    Attributes:
        centre_mm: (3,) where it begins.
        reach_mm: (_TILTS, _TURNS) how far it goes in each of the directions.
        grid: its signed distance, sampled.
        towards: (3,) the way in the axial plane in which it pushes.
    """

    centre_mm: Vector
    reach_mm: NDArray[np.float64]
    grid: Grid
    towards: Vector

    def share_at(self, points: Points) -> Distances:
        """(N,) the share of its size from which on it holds each of `points` (N, 3)."""
        away = points - self.centre_mm
        return np.linalg.norm(away, axis=1) / read_directions(self.reach_mm, away)

    def packed(self) -> dict[str, NDArray]:
        """The shape as arrays; `unpacked` makes it again, the same to the last bit."""
        return {
            "centre_mm": self.centre_mm,
            "reach_mm": self.reach_mm,
            "towards": self.towards,
            "grid_mm": np.append(self.grid.origin_mm, self.grid.spacing_mm),
            "values": self.grid.values,
        }

    @classmethod
    def unpacked(cls, arrays: Mapping[str, NDArray]) -> Self:
        """The shape of what `packed` gave; KeyError or ValueError where that is damaged."""
        *origin, spacing = arrays["grid_mm"]
        grid = Grid(np.array(origin), float(spacing), arrays["values"])
        return cls(arrays["centre_mm"], arrays["reach_mm"], grid, arrays["towards"])


# ---- what holds it back ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _neighbours(level: str) -> Field:
    """The bones and discs next to `level`, world frame, sampled where a tumour can come."""
    from spineviz.anatomy.bones import quick_field
    from spineviz.anatomy.discs import discs

    here = lying(level)
    beside = [name for name in (level_above(level), level_below(level)) if name is not None]
    bones = [moved(quick_field(name), here.world_from_vertebra(name)) for name in beside]
    parts = union(*bones, *(part.field for part in discs(here, [beside[0], level, *beside[1:]]).values()))
    low, high = vertebra(level).canal.bounds_mm
    reach = float(vertebra(level).landmarks["upper-back-rim"][2]) + 8.0
    bounds = np.array([[low[0] - 2.0, low[1] - 2.0, -reach], [high[0] + 2.0, high[1] + 4.0, reach]])
    return sample(parts, 0.7, 1.0, bounds, 1.6, 1.0).field()


@lru_cache(maxsize=4)
def _outer_root(level: str) -> Field:
    """The right root of `level` outside the sac, thinner by as much as it may be pushed."""
    points, radius = outer_root(level)
    outside = np.flatnonzero(_cord_and_sac(level)["dura"].field(points) > radius)
    first = max(int(outside[0]) - 1, 0)
    thin = np.maximum(radius[first:] - figure("root_push_mm"), 0.1)
    return sweep_field([sweep_along(Curve(points[first:]), thin, thin, (0.25, 1.0, 0.0))])


@lru_cache(maxsize=4)
def _solid(level: str) -> tuple[Field, Field]:
    """The body of `level`, and the whole bone, sampled."""
    here = vertebra(level)
    return sample(here.body, 0.8).field(), here.fast


def _shut_out(level: str, points: Points) -> NDArray[np.bool_]:
    """(N,) where the tumour may not be: outside the body but for its back wall, and in the canal in other parts."""
    front = points[:, 1] > float(vertebra(level).canal.bounds_mm[1, 1]) - 0.4
    free = np.zeros(len(points), bool)
    free[front] = _in_body(level, points[front])
    free[~front] = _in_canal(level, points[~front])
    return ~free


def _in_body(level: str, points: Points) -> NDArray[np.bool_]:
    """(N,) whether points (N, 3) lie in the body, whose back wall is no bound: it goes on as it is in front of it."""
    here, wall_mm = vertebra(level), tumour_table()["wall_mm"].value
    half_width, back = float(here.canal.bounds_mm[1, 0]), float(here.landmarks["body-back-centre"][1])
    body, bone = _solid(level)
    held = points.copy()
    held[:, 1] = np.maximum(held[:, 1], back + wall_mm + 1.0)
    out = body.distance(held) < -wall_mm
    aside = out & (np.abs(points[:, 0]) >= half_width - 0.5)
    out[aside] = bone.distance(points[aside]) < -0.5 * wall_mm
    return out


def _in_canal(level: str, points: Points) -> NDArray[np.bool_]:
    """(N,) whether points (N, 3) lie in the canal, off other bones, discs and the root."""
    here, gap = vertebra(level), figure("bone_gap_mm")
    body, bone = _solid(level)
    least_x = -figure("across_share") * float(here.canal.bounds_mm[1, 0])
    middle = float(here.landmarks["canal-centre"][1])

    def in_prism(p: Points) -> NDArray[np.bool_]:
        # towards the body the canal is as wide as in its middle: there the wall itself is the bound
        widest = p.copy()
        widest[:, 1] = np.minimum(widest[:, 1], middle)
        return here.canal.distance(widest) < -0.5 * gap

    def off_bone(p: Points) -> NDArray[np.bool_]:
        # bone of the own body gives way, that of pedicles and laminae does not
        own = bone.distance(p)
        return (own > gap) | (body.distance(p) < own + 0.35)

    left = np.flatnonzero(points[:, 0] > least_x)
    tests = in_prism, off_bone, lambda p: _neighbours(level).distance(p) > gap, lambda p: _outer_root(level)(p) > 0.0
    for test in tests:  # what fails one is not asked about again
        left = left[test(points[left])]
    out = np.zeros(len(points), bool)
    out[left] = True
    return out


@lru_cache(maxsize=32)
def _room_mm(level: str, centre: tuple[float, float, float], far_mm: float) -> NDArray[np.float64]:
    """(_TILTS, _TURNS) how far from `centre` in each direction there is room, up to `far_mm`; smooth, never more."""
    from scipy.ndimage import gaussian_filter, minimum_filter

    ways = np.arange(_MARCH_MM, far_mm + _MARCH_MM, _MARCH_MM)
    towards = direction_grid().reshape(-1, 3)
    free = np.full(len(towards), far_mm)
    going = np.arange(len(towards))
    for way in ways:  # those that met something go no further
        met = _shut_out(level, np.array(centre) + way * towards[going])
        free[going[met]] = way - _MARCH_MM
        going = going[~met]
    room = np.maximum(free, 0.2).reshape(_TILTS, _TURNS)
    modes = ("nearest", "wrap")
    smooth = gaussian_filter(minimum_filter(room, 5, mode=modes), 1.6, mode=modes)
    return np.minimum(smooth, room)


# ---- what it grows to -----------------------------------------------------------------------------------------------


def _ball_reach(middle: Vector, radius: float) -> NDArray[np.float64]:
    """(_TILTS, _TURNS) how far a ball round `middle` (3,), which holds the origin, goes."""
    along = direction_grid() @ middle
    return along + np.sqrt(np.maximum(along**2 - middle @ middle + radius**2, 0.0))


def _lobe(end: Vector, fat: float) -> tuple[Vector, float]:
    """A ball that goes from behind the origin to `end` (3,); `fat` of at least 1 is how much wider it is."""
    length = float(np.linalg.norm(end))
    radius = 0.5 * length * fat
    return end * (1.0 - radius / length), radius


def _cluster(tip: Vector, around: float, front: float, seed: int) -> NDArray[np.float64]:
    """(_TILTS, _TURNS) the reach of the lobes: one to `tip` (3,), others beside it.

    `around`: how far those beside it go, in the canal and along the wall; `front`: how far into the body, mm.
    """
    rng = np.random.default_rng([seed, 71])
    vary = figure("lobe_share")

    def by_chance() -> float:
        return float(1.0 + vary * rng.uniform(-1.0, 1.0))

    back, side, up = -np.eye(3)[1], np.eye(3)[0], np.eye(3)[2]
    ends = [tip, front * _unit(-back + rng.uniform(-0.3, 0.3) * side + rng.uniform(-0.2, 0.2) * up)]
    # in the canal, round the way to the tip
    for turn in rng.uniform(0.0, 2 * np.pi) + 2 * np.pi * np.arange(5) / 5 + rng.uniform(-0.25, 0.25, 5):
        ring = np.cos(turn) * side + np.sin(turn) * up
        ends.append(1.25 * around * by_chance() * _unit(back + 0.8 * ring))
    # and along the wall
    for turn in rng.uniform(0.0, 2 * np.pi) + 2 * np.pi * np.arange(4) / 4 + rng.uniform(-0.3, 0.3, 4):
        ring = np.cos(turn) * side + np.sin(turn) * up
        ends.append(around * by_chance() * _unit(ring + 0.1 * back))
    reach = np.stack([_ball_reach(*_lobe(end, 1.06 + 0.10 * rng.uniform())) for end in ends])
    power = 11.0
    top = reach.max(0)
    return top * ((reach / top) ** power).sum(0) ** (1.0 / power)


def _unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)


@cache
def growth_direction(level: str) -> Vector:
    """(3,) the way in the axial plane in which a tumour on the right pushes: backward and to the middle."""
    angle = np.deg2rad(figure("from_side_deg"))
    return np.array([-np.sin(angle), -np.cos(angle), 0.0])


def _cord_at(level: str, height: float) -> tuple[Vector, Vector]:
    """(3,) the middle of cord or filum at `height` over the body's middle, and (2,) its half width and depth, at least
    those of a small bundle of roots."""
    near = _ring_at(_cord_and_sac(level)["cord"].mesh(EVERY_RING_MM), height)
    half = np.ptp(near, axis=0)[:2] / 2
    least = 0.0 if level in CORD_LEVELS else figure("core_mm")
    return np.array([0.0, float(near[:, 1].min() + near[:, 1].max()) / 2, height]), np.maximum(half, least)


def _ring_at(mesh: Mesh, height: float) -> Points:
    """(N, 3) where the edges of `mesh` pass the plane z = `height`."""
    starts, ends = (mesh.points_mm[mesh.triangles[:, order].ravel()] for order in ([0, 1, 2], [1, 2, 0]))
    passing = (starts[:, 2] < height) != (ends[:, 2] < height)
    start, end = starts[passing], ends[passing]
    share = (height - start[:, 2]) / (end[:, 2] - start[:, 2])
    return start + share[:, None] * (end - start)


@lru_cache(maxsize=32)
def grown(level: str, diameter_mm: float, seed: int) -> Shape:
    """The tumour on the right of `level`; RequestError, naming tumour.diameter_mm, where it does not fit."""
    here = vertebra(level)
    height = figure("height_share") * float(here.frames["pedicle-right"].origin_mm[2])
    wall = float(here.landmarks["body-back-centre"][1])
    door = np.array([figure("side_share") * float(here.canal.bounds_mm[1, 0]), wall, height])
    towards = growth_direction(level)
    middle, (wide, deep) = _cord_at(level, height)
    near_side = middle - towards / np.hypot(towards[0] / wide, towards[1] / deep)
    touch = near_side + figure("push_mm") * towards
    # the reach behind the wall grows with the size, and from there on only a little
    share = diameter_mm / figure("touch_diameter_mm")
    share = share if share <= 1.0 else min(1.0 + 0.1 * (share - 1.0), figure("deepest_share"))
    aim = door + share * (touch - door)
    root = min(figure("root_share") * diameter_mm, 0.84 * diameter_mm - float(np.linalg.norm(aim - door)))
    start = door + np.array([0.0, max(root, 0.12 * diameter_mm), 0.0])
    swell = figure("swell_share")
    room = _room_mm(level, (float(start[0]), float(start[1]), float(start[2])), round(1.1 * diameter_mm + 4.0, 1))
    tip, reached, low, high = aim - start, 0.0, 0.15, 4.0
    size = 1.0
    for turn in range(30):
        cluster = _cluster(tip, 0.45 * diameter_mm * size, 0.30 * diameter_mm * size**2, seed)
        reach = (cluster**-9.0 + (room / swell) ** -9.0) ** (-1.0 / 9.0)
        points = start + (reach[..., None] * direction_grid())[::2, ::2].reshape(-1, 3)
        reached = greatest_diameter_mm(Mesh(points, np.zeros((0, 3), np.int64)))
        short = float(np.linalg.norm(aim - start) / read_directions(reach, (aim - start)[None])[0])
        if abs(reached / diameter_mm - 1.0) < _TOLERANCE and (abs(short - 1.0) < 0.02 or turn > 12):
            return Shape(start, reach, _sampled(start, reach, diameter_mm), towards)
        tip = tip * np.clip(short, 0.85, 1.15) ** 0.7
        # the wider the lobes beside the one to the tip, the longer the whole
        low, high = (size, high) if reached < diameter_mm else (low, size)
        size = float(np.clip(size * (diameter_mm / reached) ** 1.5, low, high))
        if high - low < 1e-3:
            low, high = 0.9 * low, 1.1 * high  # the tip has moved since
        if size > 3.99:
            break
    raise RequestError(
        f"tumour.diameter_mm: {diameter_mm:g} does not fit into body and canal of {level}; "
        f"give 4 to {np.floor(reached):g}"
    )


def _sampled(start: Vector, reach: NDArray[np.float64], diameter_mm: float) -> Grid:
    """Signed distances to the shape on a lattice."""
    from scipy.spatial import cKDTree

    ends = start + (reach[..., None] * direction_grid()).reshape(-1, 3)
    bounds = np.array([ends.min(0), ends.max(0)])
    grid = lattice(bounds, min(_GRID_MM, _GRID_SHARE * diameter_mm), _MARGIN_MM)
    points = grid.points()
    away = points - start
    raw = np.linalg.norm(away, axis=1) - read_directions(reach, away)
    mesh = mesh_grid(Grid(grid.origin_mm, grid.spacing_mm, raw.reshape(grid.values.shape).astype(np.float32)))
    way, near = cKDTree(mesh.points_mm).query(points)
    # beside the surface the way to its plane, farther off the way to the nearest vertex
    flat = np.abs(((points - mesh.points_mm[near]) * mesh.normals[near]).sum(1))
    far = np.clip(way / grid.spacing_mm - 1.0, 0.0, 1.0)
    size = flat + (way - flat) * far
    values = np.where(raw < 0.0, -size, size)
    return Grid(grid.origin_mm, grid.spacing_mm, values.reshape(grid.values.shape).astype(np.float32))
