"""The tumour: a lobed growth inside the treated body, of the chosen greatest diameter and side."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced
from spineviz.data.tables import known_level, morphometry, sourced_table
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds, sphere
from spineviz.geometry.grids import Grid, sample
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.geometry.operators import smooth_union

SIDES = ("left", "right")
EXTENTS = ("auto", "body")
_GRID_MM, _GRID_SHARE = 0.5, 1.0 / 26.0
"""The sampled field's spacing: this much, or that share of the diameter where it is less."""
_TOLERANCE = 0.008
"""How near the greatest diameter comes to the chosen one; what is promised is 2 %."""


@cache
def tumour_table() -> dict[str, Sourced]:
    """The figures of assets/anatomy/tumour.csv by name."""
    return sourced_table(asset("anatomy", "tumour.csv"))


@cache
def _directions() -> NDArray[np.float64]:
    """(K, 3) unit vectors spread evenly over half a sphere (Fibonacci lattice), about 3 degrees apart."""
    count = 1200
    z = (np.arange(count) + 0.5) / count
    turn = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    flat = np.sqrt(1.0 - z * z)
    return np.column_stack([flat * np.cos(turn), flat * np.sin(turn), z])


def greatest_diameter_mm(mesh: Mesh) -> float:
    """The longest straight line between two vertices of the surface, mm; 0 where there is none.

    The vertices that are outermost in some direction are compared with each other (short of the truth by less than one
    part in a thousand).
    """
    if not len(mesh.points_mm):
        return 0.0
    reach = _directions() @ mesh.points_mm.T
    outer = mesh.points_mm[np.union1d(reach.argmax(1), reach.argmin(1))]
    from scipy.spatial.distance import pdist

    return float(pdist(outer).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class Tumour:
    """A full-grown tumour in the healthy vertebra's frame; build it with `tumour`.

    Attributes:
        level, diameter_mm, side: as chosen.
        centre_mm: (3,) what it grows from.
        full: the whole tumour as a field. Inexact.
        key: names it; equal keys, equal tumours.
    """

    level: str
    diameter_mm: float
    side: str
    centre_mm: Vector
    full: Field
    key: str
    _meshes: dict[float, Mesh] = field(default_factory=dict, repr=False)

    def field(self, share: float = 1.0) -> Field:
        """The tumour grown to `share` of its diameter; it holds nothing at 0."""
        if share <= 0.0:
            centre = self.centre_mm
            return Field(lambda p: np.linalg.norm(p - centre, axis=1) + 1.0, box_bounds(centre, centre))
        if share == 1.0:
            return self.full
        centre, full = self.centre_mm, self.full
        return Field(
            lambda p: share * full.distance(centre + (p - centre) / share),
            centre + share * (full.bounds_mm - centre),
            exact=False,
        )

    def mesh(self, share: float = 1.0, spacing_mm: float = 0.8) -> Mesh:
        """The closed surface at `share`; the same triangles for every share, none at 0."""
        if share <= 0.0:
            return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
        spacing = round(min(float(spacing_mm), self.diameter_mm / 18.0), 4)
        if spacing not in self._meshes:
            self._meshes[spacing] = mesh_field(self.full, spacing)
        whole = self._meshes[spacing]
        return whole.with_points(self.centre_mm + share * (whole.points_mm - self.centre_mm))


def _lobes(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (K, 3) and radii (K,) of the balls of a tumour about one unit across; two of them lie at the ends of its
    long axis, which runs from back to front, a little aslant."""
    rng = np.random.default_rng([seed, 53])
    count = int(tumour_table()["lobes"].value)
    turn = rng.uniform(-0.4, 0.4)
    axis = np.array([np.sin(turn), np.cos(turn), rng.uniform(-0.12, 0.12)])
    axis /= np.linalg.norm(axis)
    centres, radii = [0.04 * rng.normal(size=3)], [0.30]
    for sign in (1.0, -1.0):
        radius = rng.uniform(0.19, 0.24)
        centres.append(sign * (0.5 - radius) * axis)
        radii.append(radius)
    # the rest spread round the axis, never two on the same spot
    around = rng.uniform(0.0, 2 * np.pi) + 2 * np.pi * np.arange(count - 3) / (count - 3)
    u = np.cross(axis, [0.0, 0.0, 1.0])
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    for angle in around + rng.uniform(-0.35, 0.35, count - 3):
        radius = rng.uniform(0.15, 0.22)
        away = (0.47 - radius) * (np.cos(angle) * u + np.sin(angle) * v)
        centres.append(away + rng.uniform(-0.16, 0.16) * axis)
        radii.append(radius)
    return np.array(centres), np.array(radii)


@cache
def _room(level: str) -> Field:
    """Where a tumour may be: the body without its wall, in front of the canal."""
    here = vertebra(level)
    wall = tumour_table()["wall_mm"].value
    back = float(here.landmarks["body-back-centre"][1]) + wall
    grid = sample(here.body, 0.8)
    return Field(lambda p: np.maximum(grid.at(p) + wall, back - p[:, 1]), here.body.bounds_mm, exact=False)


def _grown(level: str, centre: Vector, scale_mm: Vector, seed: int) -> Grid:
    """The blended lobes, `scale_mm` (3,) across on each axis, held within the room, sampled."""
    centres, radii = _lobes(seed)
    widest = float(scale_mm.max())
    squash = scale_mm / widest
    blend = tumour_table()["blend_mm"].value * widest / 14.0
    cluster = smooth_union(
        *[sphere(c * widest, r * widest) for c, r in zip(centres, radii, strict=True)], blend_mm=blend
    )
    room = _room(level)
    least = float(squash.min())

    def distance(p: Points) -> Distances:
        inside = least * cluster.distance((p - centre) / squash)
        bound = room.distance(p)
        # a rounded edge where the lobes meet the wall
        h = np.maximum(blend - np.abs(inside - bound), 0.0) / blend
        return np.maximum(inside, bound) + h * h * blend * 0.25

    bounds = box_bounds(centre + cluster.bounds_mm[0] * squash, centre + cluster.bounds_mm[1] * squash)
    return sample(
        Field(distance, bounds, exact=False), min(_GRID_MM, _GRID_SHARE * widest), margin_mm=2.0, steepness=2.0
    )


@cache
def tumour(level: str, diameter_mm: float = 14.0, side: str = "left", seed: int = 7, extent: str = "auto") -> Tumour:
    """The tumour of `level`, in the healthy vertebra's frame.

    Args:
        diameter_mm: its greatest diameter, measured on its surface within 2 %.
        side: "left" or "right", where its centre lies.
        extent: "auto" or "body": it stays inside the body, clear of the canal.

    Raises RequestError, naming the key: for a side or extent that is none, for a diameter that the body cannot hold,
    and for "epidural", which is a shape of its own (epidural.py).
    """
    known_level(level)
    if side not in SIDES:
        raise RequestError(f"tumour.side: there is no side {side!r}; give {' or '.join(SIDES)}")
    if extent == "epidural":
        raise RequestError(
            "tumour.extent: 'epidural' is a tumour that reaches into the canal, which chemoembolization alone shows; "
            "give body"
        )
    if extent not in EXTENTS:
        raise RequestError(f"tumour.extent: there is no extent {extent!r}; give {' or '.join(EXTENTS)}")
    if not (np.isfinite(diameter_mm) and diameter_mm >= 4.0):
        raise RequestError(f"tumour.diameter_mm: {diameter_mm:g} is too small to show; give 4 or more")
    return _fitted(level, float(diameter_mm), side, int(seed))


def _fitted(level: str, diameter_mm: float, side: str, seed: int) -> Tumour:
    row, marks = morphometry()[level], vertebra(level).landmarks
    sign = 1.0 if side == "right" else -1.0
    corners = np.array([marks[f"{end}-{way}-rim"] for end in ("upper", "lower") for way in ("front", "back")])
    width, depth = row["EPWu_mm"].value, float(np.ptp(corners[:, 1]))
    height = row["VBHa_use_mm"].value
    room = _room(level)
    middle = corners.mean(0)
    # where the tumour is too wide for its side it moves towards the middle
    aside = min(tumour_table()["side_share"].value * width, max(0.42 * width - 0.45 * diameter_mm, 0.08 * width))
    share = {name: figure.value for name, figure in tumour_table().items()}
    centre = middle + np.array([sign * aside, share["depth_share"] * depth, share["height_share"] * height])
    # how far the room reaches up and down decides how flat it lies
    column = centre + np.column_stack([np.zeros((81, 2)), np.linspace(-height / 2, height / 2, 81)])
    free = column[room.contains(column), 2]
    tall = float(np.ptp(free)) if len(free) else height / 2
    centre = np.array(
        [centre[0], centre[1], float(free.mean()) if len(free) and tall < 1.1 * diameter_mm else centre[2]]
    )
    scale = np.array([diameter_mm, diameter_mm, min(diameter_mm, max(tall, 0.35 * diameter_mm))])
    reached = 0.0
    for _ in range(12):
        grid = _grown(level, centre, scale, seed)
        reached = greatest_diameter_mm(_surface(grid))
        if abs(reached / diameter_mm - 1.0) < _TOLERANCE:
            key = f"tumour-{level}-{diameter_mm:g}-{side}-{seed}"
            return Tumour(level, diameter_mm, side, centre, grid.field(), key)
        scale = scale * np.array([diameter_mm / max(reached, 1.0)] * 2 + [1.0])
        if scale[1] > 2.5 * diameter_mm:
            break
    raise RequestError(
        f"tumour.diameter_mm: {diameter_mm:g} does not fit inside the body of {level}; give 4 to {np.floor(reached):g}"
    )


def _surface(grid: Grid) -> Mesh:
    from spineviz.geometry.meshes import mesh_grid

    return mesh_grid(grid)
