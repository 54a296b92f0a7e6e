"""The outline of the whole body, on its back: trunk, head, arms and legs as one smooth surface.

Its trunk is the skin of trunk.py from the neck to the hips; head and limbs are chains of tapered capsules laid on it
(assets/anatomy/outline.csv). It is drawn as glass: enough that anyone sees where the thigh is and where the tumour is.
"""

from __future__ import annotations

import csv
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.column import Column
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.trunk import Trunk, trunk
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.geometry.fields import (
    Distances,
    Field,
    Points,
    Vector,
    as_vector,
    box_bounds,
    ellipsoid,
    round_cone,
    unit,
)
from spineviz.geometry.grids import Grid, sample
from spineviz.geometry.meshes import Mesh, mesh_grid, simplified
from spineviz.geometry.operators import both_sides, moved, smooth_union, union

_GRID_MM = 7.0
_BLEND_MM = 34.0
"""Fillet between trunk and limbs (chosen for legibility)."""
_GROIN_FOLD_MM = 60.0
"""How far below the hip joints the trunk's own skin ends, where the thighs go on (chosen for legibility)."""
_TRIANGLES = 36_000
_FAT_MM = 12.0
"""Thickness of the fat under the skin of the limbs, for radiographs (chosen)."""


@cache
def _stations(part: str) -> NDArray[np.float64]:
    """(K, 5) rows of `part`: x, y, z, radius, depth share."""
    lines = [line for line in asset("anatomy", "outline.csv").read_text("utf-8").splitlines() if line[:1] != "#"]
    columns = ("x_mm", "y_mm", "z_mm", "radius_mm", "depth_share")
    return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(lines) if row["part"] == part])


def _chain(part: str, origin: Vector) -> Field:
    rows = _stations(part)
    places = rows[:, :3] + origin
    return union(*(round_cone(a, b, ra, rb) for (a, ra), (b, rb) in pairwise(zip(places, rows[:, 3], strict=True))))


def _blob(part: str, origin: Vector) -> Field:
    x, y, z, radius, depth = _stations(part)[0]
    return ellipsoid(origin + [x, y, z], [radius, depth * radius, 1.12 * radius])


def _hips(column: Column, here: Trunk) -> Vector:
    """(3,) the middle between the hip joints in the trunk's frame."""
    pelvis, inward = world_from_pelvis(column), here.world_from_trunk.inverse()
    joints = [inward.point(pelvis.point(femoral_places(side)["head"])) for side in ("right", "left")]
    middle: Vector = np.mean(joints, axis=0)
    return middle


def _trunk_part(here: Trunk, end_mm: float) -> Field:
    """The trunk's skin above `end_mm` in its frame, its lower end rounded."""
    skin = here.skin
    low = max(end_mm, float(skin.z_mm[0]) + 40.0)
    reach = float(max(skin.half_width.max(), skin.before.max(), skin.behind.max())) + 40.0
    bounds = box_bounds([-reach, -reach, low], [reach, reach, float(skin.z_mm[-1])])

    def distance(p: Points) -> Distances:
        under = low - p[:, 2]
        side = skin.distance(np.column_stack([p[:, :2], np.maximum(p[:, 2], low)]))
        return np.where(under > 0.0, np.hypot(np.maximum(side, -40.0) + 40.0, under) - 40.0, side)

    return Field(distance, bounds, exact=False)


def _whole(column: Column, here: Trunk) -> Field:
    """The body in the trunk's frame."""
    hips = _hips(column, here)
    shoulders = np.array([0.0, here.spine[-1, 1], here.spine[-1, 2]])
    limbs = both_sides(smooth_union(_chain("leg", hips), _chain("foot", hips), blend_mm=18.0))
    arms = both_sides(smooth_union(*(_chain(part, shoulders) for part in ("shoulder", "arm", "hand")), blend_mm=16.0))
    head = smooth_union(_blob("skull", shoulders), _blob("jaw", shoulders), _chain("neck", shoulders), blend_mm=26.0)
    body = smooth_union(_trunk_part(here, float(hips[2]) - _GROIN_FOLD_MM), head, blend_mm=_BLEND_MM)
    return union(smooth_union(body, limbs, blend_mm=_BLEND_MM), smooth_union(body, arms, blend_mm=22.0))


_kept: OrderedDict[str, Structure] = OrderedDict()


def body_outline(column: Column) -> Structure:
    """The whole body as a structure "body", world frame: skin, with fat under it for radiographs. Cached by posture."""
    return remembered(_kept, column.pose_key, lambda: _made(column), 4)


def _made(column: Column) -> Structure:
    here = trunk(column)
    grid = sample(_whole(column, here), _GRID_MM, margin_mm=3 * _GRID_MM, steepness=1.6)
    inner = here.world_from_trunk
    local = grid.field()
    within = Field(lambda p: local.distance(p) + _FAT_MM, local.bounds_mm, exact=False)
    return Structure(
        "body", "skin", "adipose", moved(local, inner), _meshed(grid), f"body-{here.key}", RANKS["skin"], inner,
        moved(within, inner), "viscera",
    )  # fmt: skip


def _meshed(grid: Grid) -> Callable[[float], Mesh]:
    made: list[Mesh] = []

    def mesh(spacing_mm: float) -> Mesh:
        if not made:
            made.append(simplified(mesh_grid(grid), _TRIANGLES))
        return made[0]

    return mesh


def entry_on_body(column: Column, start_mm: ArrayLike, direction: ArrayLike) -> Vector:
    """Where the line from `start_mm` (inside) along `direction` leaves the skin, (3,) world mm.

    Raises RequestError where the start lies outside.
    """
    field, start, way = body_outline(column).field, as_vector(start_mm, "start_mm"), unit(direction)
    if float(field.distance(start[None])[0]) >= 0.0:
        raise RequestError(f"start_mm: {np.round(start, 1).tolist()} lies outside the skin; give a point inside")
    reach = np.arange(0.0, 400.0, 0.5)
    outside = np.flatnonzero(field.distance(start + reach[:, None] * way) >= 0.0)
    if not len(outside):
        raise RequestError(f"direction: {np.round(way, 3).tolist()} does not leave the body; point to the skin")
    low, high = reach[max(int(outside[0]) - 1, 0)], reach[int(outside[0])]
    for _ in range(30):
        half = (low + high) / 2
        low, high = (half, high) if float(field.distance((start + half * way)[None])[0]) < 0.0 else (low, half)
    return np.asarray(start + (low + high) / 2 * way)
