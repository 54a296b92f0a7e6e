"""The outline of the whole body, on its back: trunk, head, arms and legs as one smooth surface.

Its trunk is the skin of trunk.py from the neck to the hips; head and limbs are round tubes and ellipsoids laid on it
(assets/anatomy/outline.csv). It is drawn as glass: enough that anyone sees where the thigh is and where the tumour is.
"""

from __future__ import annotations

import csv
from collections import OrderedDict
from dataclasses import replace
from functools import cache, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_tubes import tapered_tube
from spineviz.anatomy.column import Column, Shape, column_of
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.trunk import Trunk, trunk
from spineviz.anatomy.vertebra_parts import smooth_minimum
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.once import Call, once
from spineviz.geometry.curves import curve_through
from spineviz.geometry.fields import (
    Distances,
    Field,
    Points,
    Vector,
    as_vector,
    bounds_of_points,
    box_bounds,
    ellipsoid,
    unit,
    way_to_box,
)
from spineviz.geometry.grids import Grid, late_field, sample
from spineviz.geometry.meshes import Mesh, mesh_grid, simplified
from spineviz.geometry.operators import both_sides, moved, near_union, smooth_union

_GRID_MM = 6.5
_MARGIN_MM = 3 * _GRID_MM
_SOFT = 0.9
"""How far the sampled outline is evened, in steps of the grid: no edge is left where parts meet."""
_BLEND_MM = 34.0
"""Fillet between trunk and limbs (chosen for legibility)."""
_GROIN_FOLD_MM = 60.0
"""How far below the hip joints the trunk's own skin ends, where the thighs go on (chosen for legibility)."""
_TRIANGLES = 38_000
_LIMB_STEP_MM = 12.0
_FAT_MM = 12.0
"""Thickness of the fat under the skin of the limbs, for radiographs (chosen)."""
_SKIN_WITHIN_MM = (80.0, 400.0)
"""How far the skin is looked for: most of what is entered lies near it."""
_CREASE_MM, _CREASE_BLEND_MM = 34.0, 20.0
"""How round the hollow of the groin is, and its fillet (chosen for legibility)."""


@cache
def _stations(part: str) -> NDArray[np.float64]:
    """(K, 6) rows of `part`: x, y, z, half width, half depth, half height; the last two are nan for a chain."""
    lines = [line for line in asset("anatomy", "outline.csv").read_text("utf-8").splitlines() if line[:1] != "#"]
    columns = ("x_mm", "y_mm", "z_mm", "half_width_mm", "half_depth_mm", "half_height_mm")
    rows = [row for row in csv.DictReader(lines) if row["part"] == part]
    return np.array([[float(row[c]) if row[c] else np.nan for c in columns] for row in rows])


def _chain(part: str, origin: Vector) -> Field:
    """A round limb through the stations of `part`: middle line and girth run smoothly through all."""
    from scipy.interpolate import PchipInterpolator

    rows = _stations(part)
    knots = rows[:, :3] + origin
    line = curve_through(knots, _LIMB_STEP_MM)
    ways = [float(line.arc_mm[np.argmin(np.linalg.norm(line.points_mm - knot, axis=1))]) for knot in knots]
    return tapered_tube(line.points_mm, PchipInterpolator(ways, rows[:, 3])(line.arc_mm))


def _blob(part: str, origin: Vector) -> Field:
    row = _stations(part)[0]
    return ellipsoid(origin + row[:3], row[3:])


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


def _grown(body: Field, *parts: Field, blend_mm: float) -> Field:
    """The smooth union of `body` with `parts` and their mirror images (or what is its own).

    Each is asked only about points to which its box is so near that it can make a difference: most of the body is far
    from most of its parts.
    """

    def distance(p: Points) -> Distances:
        out = body.distance(p)
        right = np.column_stack([np.abs(p[:, 0]), p[:, 1:]])
        for part in parts:
            near = np.flatnonzero(way_to_box(right, part.bounds_mm) <= np.maximum(out + blend_mm, 0.0))
            out[near] = smooth_minimum(out[near], part.distance(right[near]), blend_mm)
        return out

    bounds = smooth_union(body, *(both_sides(part) for part in parts), blend_mm=blend_mm).bounds_mm
    return Field(distance, bounds, exact=False)


def _hollowed(body: Field, cutter: Field, blend_mm: float) -> Field:
    """`body` smoothly without `cutter` and its mirror image, asked as in `_grown`."""

    def distance(p: Points) -> Distances:
        out = body.distance(p)
        right = np.column_stack([np.abs(p[:, 0]), p[:, 1:]])
        near = np.flatnonzero(way_to_box(right, cutter.bounds_mm) <= np.maximum(blend_mm - out, 0.0))
        out[near] = -smooth_minimum(-out[near], cutter.distance(right[near]), blend_mm)
        return out

    return Field(distance, body.bounds_mm, exact=False)


def _whole(column: Column, here: Trunk) -> Field:
    """The body in the trunk's frame."""
    hips = _hips(column, here)
    shoulders = np.array([0.0, here.spine[-1, 1], here.spine[-1, 2]])
    leg = near_union(_chain("leg", hips), _chain("calf", hips), _chain("foot", hips), blend_mm=18.0)
    hand = smooth_union(*(_blob(part, shoulders) for part in ("palm", "fingers")), _chain("thumb", shoulders),
                        blend_mm=10.0)  # fmt: skip
    arm = near_union(_chain("arm", shoulders), hand, blend_mm=16.0)
    arm = near_union(_chain("shoulder", shoulders), arm, blend_mm=30.0)
    face = smooth_union(_blob("skull", shoulders), _blob("jaw", shoulders), blend_mm=30.0)
    face = smooth_union(face, _blob("nose", shoulders), both_sides(_blob("ear", shoulders)), blend_mm=10.0)
    head = smooth_union(face, _chain("neck", shoulders), blend_mm=18.0)
    body = _grown(_trunk_part(here, float(hips[2]) - _GROIN_FOLD_MM), head, blend_mm=_BLEND_MM)
    legged = _grown(body, leg, blend_mm=_BLEND_MM)
    creased = _hollowed(legged, _crease(legged, hips), _CREASE_BLEND_MM)
    return _grown(creased, arm, blend_mm=22.0)


def _crease(body: Field, hips: Vector) -> Field:
    """What presses the soft hollow of the right groin into the front of `body`: a rod along the inguinal ligament."""
    rows = _stations("crease")
    x, z = curve_through(rows[:, :3] + hips, 8.0).points_mm[:, [0, 2]].T
    heights = np.arange(-20.0, 200.0, 1.0)
    grid = np.stack(np.broadcast_arrays(x[:, None], heights[None, :], z[:, None]), axis=-1)
    inside = body.distance(grid.reshape(-1, 3)).reshape(len(x), -1) < 0.0
    skin = heights[inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)]
    depth = np.interp(x, rows[::-1, 0], rows[::-1, 4])
    line = np.column_stack([x, skin + _CREASE_MM - depth, z])
    return tapered_tube(line, np.full(len(line), _CREASE_MM))


_kept: OrderedDict[str, Structure] = OrderedDict()
_described: OrderedDict[str, Field] = OrderedDict()


def body_outline(column: Column) -> Structure:
    """The whole body as a structure "body", world frame: skin, with fat under it for radiographs. Cached by posture."""
    return remembered(_kept, column.pose_key, lambda: _made(column), 4)


def _made(column: Column) -> Structure:
    here = trunk(column)

    # at the first query: where the body lies about something else no picture may show it
    grid = partial(_grid, column.shape)
    inner = here.world_from_trunk
    local = late_field(grid, _field(column).bounds_mm, _GRID_MM, _MARGIN_MM)
    within = Field(lambda p: local.distance(p) + _FAT_MM, local.bounds_mm, exact=False)
    return Structure(
        "body", "skin", "adipose", moved(local, inner), lambda spacing_mm: _surface(column.shape), f"body-{here.key}",
        RANKS["skin"], inner, moved(within, inner), "viscera",
    )  # fmt: skip


@once
def _grid(shape: Shape) -> Grid:
    """The body round the column of that shape, sampled and evened, in the trunk's frame."""
    return _sampled(column_of(shape))


@once
def _surface(shape: Shape) -> Mesh:
    """Its surface."""
    return simplified(mesh_grid(_grid(shape)), _TRIANGLES)


def outline_calls(column: Column) -> list[Call]:
    """What makes the outline round `column`: to be made beside something else."""
    return [(make, (column.shape,)) for make in (_grid, _surface)]


def _field(column: Column) -> Field:
    """The body in the trunk's frame as it is described."""
    return remembered(_described, column.pose_key, lambda: _whole(column, trunk(column)), 4)


def _sampled(column: Column, part_mm: NDArray[np.float64] | None = None) -> Grid:
    """The body in the trunk's frame sampled and evened, or what of it lies in the box `part_mm` (2, 3)."""
    from scipy.ndimage import gaussian_filter

    if part_mm is not None:  # what lies round it has its share in what is evened
        part_mm = part_mm + np.array([[-1.0], [1.0]]) * (5.0 * _SOFT + 1.0) * _GRID_MM
    grid = sample(_field(column), _GRID_MM, _MARGIN_MM, steepness=1.6, part_mm=part_mm)
    return replace(grid, values=gaussian_filter(grid.values, _SOFT).astype(grid.values.dtype))


def entry_on_body(column: Column, start_mm: ArrayLike, direction: ArrayLike) -> Vector:
    """Where the line from `start_mm` (inside) along `direction` leaves the skin, (3,) world mm.

    Of the body only what lies round that line is looked at. Raises RequestError where the start lies outside.
    """
    start, way = as_vector(start_mm, "start_mm"), unit(direction)
    for length in _SKIN_WITHIN_MM:
        field = _field_round(column, np.stack([start, start + length * way]))
        if float(field.distance(start[None])[0]) >= 0.0:
            raise RequestError(f"start_mm: {np.round(start, 1).tolist()} lies outside the skin; give a point inside")
        reach = np.arange(0.0, length, 0.5)
        outside = np.flatnonzero(field.distance(start + reach[:, None] * way) >= 0.0)
        if len(outside):
            break
    else:
        raise RequestError(f"direction: {np.round(way, 3).tolist()} does not leave the body; point to the skin")
    low, high = reach[max(int(outside[0]) - 1, 0)], reach[int(outside[0])]
    for _ in range(30):
        half = (low + high) / 2
        low, high = (half, high) if float(field.distance((start + half * way)[None])[0]) < 0.0 else (low, half)
    return np.asarray(start + (low + high) / 2 * way)


def _field_round(column: Column, points_mm: Points) -> Field:
    """The field of the body within the box of `points_mm` (N, 3), world frame."""
    inner = trunk(column).world_from_trunk
    box = bounds_of_points(inner.inverse().points(points_mm))
    return moved(_sampled(column, box).field(), inner)
