"""The bones as they stand together: each vertebra and the sacrum with their joints carved, so that neighbours meet with
a cartilage gap and never share a point, standing or lying.

Two neighbours are parted along the surface that is as deep in one as in the other: with signed distances a and b, the
first keeps the points where a < b - gap, the second those where b < a - gap. Both distances are 1-Lipschitz, so nowhere
are the two nearer than the gap. It is done for several postures at once, in each bone's own frame, so that the carved
surface belongs to the level alone and not to a posture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import COLUMN_LEVELS, SACRUM, Column, below_from_above, level_above, level_below
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.once import Call, once
from spineviz.data.tables import sourced_table
from spineviz.geometry.fields import Distances, Field, Points, box_bounds, in_box
from spineviz.geometry.frames import Frame
from spineviz.geometry.grids import Grid, lattice, sample
from spineviz.geometry.meshes import Mesh, mesh_grid
from spineviz.geometry.operators import moved

if TYPE_CHECKING:
    from spineviz.anatomy.vertebra import Vertebra

POSTURES = (0.0, 1.0)
"""Shares of lying in which neighbours must not touch."""
FIELD_SPACING_MM = 0.8
"""Raster of the sampled fields that sections and rays read."""
CARVE_SPACING_MM = 1.2
"""Raster on which bones are carved for their meshes, and for what is laid beside them."""
_FAR_MM = 4.0
_STEEPNESS = 1.2


def _vertebra(level: str) -> Vertebra:
    from spineviz.anatomy.vertebra import vertebra

    return vertebra(level)


@cache
def _gap_mm() -> float:
    return sourced_table(asset("anatomy", "joints.csv"))["facet_gap_mm"].value


def uncarved(level: str) -> Field:
    """The bone as it is built alone, in its own frame; RequestError for an unknown level."""
    if level not in COLUMN_LEVELS:
        raise RequestError(f"level: {level!r} is no level; give T1 to L5 or sacrum")
    if level == SACRUM:
        from spineviz.anatomy.sacrum import uncarved as sacrum

        return sacrum()
    return _vertebra(level).field


@once
def _extent(level: str) -> NDArray[np.float64]:
    """(2, 3) the box that holds `level` in its own frame: known without building the bone where a copy has built it."""
    return uncarved(level).bounds_mm


def _right_half(field: Field, spacing_mm: float, steepness: float = 1.5) -> Grid:
    """`field` sampled on the right only; x = 0 is its first row of nodes."""
    low, high = field.bounds_mm
    margin = 2.0 * spacing_mm
    # `sample` takes the margin off again, so that x starts at 0
    return sample(field, spacing_mm, margin, box_bounds([margin, low[1], low[2]], high), steepness)


def _mirrored(half: Grid) -> Grid:
    """A right half together with its mirror image."""
    values = np.concatenate([half.values[:0:-1], half.values], axis=0)
    origin = half.origin_mm - np.array([(half.values.shape[0] - 1) * half.spacing_mm, 0.0, 0.0])
    return Grid(origin, half.spacing_mm, np.ascontiguousarray(values))


def _two_sided(half: Grid) -> Field:
    """A right half read on both sides: half the memory of the whole."""
    right = half.field()
    low, high = half.bounds_mm

    def distance(p: Points) -> Distances:
        return right.distance(np.column_stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]]))

    return Field(distance, box_bounds([-high[0], low[1], low[2]], high), exact=False)


@once
def _raw_half(level: str, spacing_mm: float) -> Grid:
    """The right half of the bone alone, sampled in its own frame: every bone is the same on both sides."""
    # a vertebra's field is no steeper than a distance, the sacrum's bent one is
    return _right_half(uncarved(level), spacing_mm, 1.5 if level == SACRUM else _STEEPNESS)


@once
def _neighbours(level: str) -> tuple[tuple[Field, tuple[Frame, ...]], ...]:
    """For each neighbour: its sampled field and, for every posture, the frame neighbour_from_this."""
    out = []
    above, below = level_above(level), level_below(level)
    if above is not None:
        frames = tuple(below_from_above(above, lying) for lying in POSTURES)
        out.append((_two_sided(_raw_half(above, CARVE_SPACING_MM)), frames))
    if below is not None:
        frames = tuple(below_from_above(level, lying).inverse() for lying in POSTURES)
        out.append((_two_sided(_raw_half(below, CARVE_SPACING_MM)), frames))
    return tuple(out)


def _carve(level: str, points: Points, own: Distances) -> Distances:
    """`own` distances (N,) of the uncarved bone at `points` (N, 3), with the joints carved."""
    gap = _gap_mm()
    out = np.array(own, float)
    for field, frames in _neighbours(level):
        for neighbour_from_this in frames:
            low, high = field.bounds_mm[0] - gap, field.bounds_mm[1] + gap
            near = np.flatnonzero(own < _FAR_MM)
            there = neighbour_from_this.points(points[near])
            inside = in_box(there, low, high)
            near, there = near[inside], there[inside]
            if len(near):
                out[near] = np.maximum(out[near], (own[near] - field.distance(there) + gap) / 2)
    return out


def carved_slow(level: str) -> Field:
    """The carved bone in its own frame, evaluated from its description. Inexact; see `carved_field` for queries."""
    whole = uncarved(level)
    return Field(lambda p: _carve(level, p, whole.distance(p)), whole.bounds_mm, exact=False)


@once
def carved_half(level: str, spacing_mm: float) -> Grid:
    """The right half of the carved bone in its own frame, sampled."""
    raw = _raw_half(level, spacing_mm)
    own = raw.values.ravel()
    near = np.flatnonzero(own < _FAR_MM)
    values = own.astype(np.float32)
    index = np.stack(np.unravel_index(near, raw.values.shape), axis=-1)
    values[near] = _carve(level, raw.origin_mm + spacing_mm * index, own[near])
    return Grid(raw.origin_mm, raw.spacing_mm, values.reshape(raw.values.shape))


def carved_grid(level: str, spacing_mm: float = FIELD_SPACING_MM) -> Grid:
    """The carved bone in its own frame, sampled; both sides."""
    return _mirrored(carved_half(level, spacing_mm))


def carved_field(level: str) -> Field:
    """The carved bone in its own frame, read off a raster that is made at the first query. Fast; inexact."""

    def distance(p: Points) -> Distances:
        return _two_sided(carved_half(level, FIELD_SPACING_MM)).distance(p)

    return Field(distance, _extent(level), exact=False)


def quick_field(level: str) -> Field:
    """The carved bone on the raster that its mesh is made from (1.2 mm): for laying what passes beside it. Inexact."""

    def distance(p: Points) -> Distances:
        return _two_sided(carved_half(level, CARVE_SPACING_MM)).distance(p)

    return Field(distance, _extent(level), exact=False)


@cache
def near_field(level: str) -> Field:
    """The carved bone with true distances outside: to the nearest vertex of its 1.2 mm mesh. Inexact by about 0.2 mm.

    The blended fields only promise the sign; far off they may say a third of the way. What is laid beside a bone
    needs the way itself.
    """
    made: list = []

    def distance(p: Points) -> Distances:
        if not made:
            from scipy.spatial import cKDTree

            made.append(cKDTree(carved_mesh(level, CARVE_SPACING_MM).points_mm))
        way, _ = made[0].query(p)
        sign = quick_field(level).distance(p)
        return np.where(sign < 0, -way, way)

    return Field(distance, _extent(level), exact=False)


@cache
def _shell_mm() -> float:
    return sourced_table(asset("anatomy", "joints.csv"))["joint_shell_mm"].value


_THICKNESS_SPACING_MM = 2.4


def _thickness(level: str, half: Grid) -> NDArray[np.float64]:
    """How thick the cortex is at every node of `half`, the right half of `level`; read off a coarse raster, as it
    changes slowly, and only near the surface, as it is used nowhere else."""
    if level == SACRUM:
        return np.full(half.values.shape, _shell_mm())
    bone = _vertebra(level)
    coarse = lattice(half.bounds_mm, _THICKNESS_SPACING_MM)
    points = coarse.points()
    near = np.flatnonzero(np.abs(half.at(points)) < 2.5 * _THICKNESS_SPACING_MM)
    values = np.full(len(points), _shell_mm())
    values[near] = bone.core.distance(points[near]) - bone.field.distance(points[near])
    filled = Grid(coarse.origin_mm, coarse.spacing_mm, values.reshape(coarse.values.shape))
    out = np.full(half.values.size, _shell_mm())
    close = np.flatnonzero(np.abs(half.values.ravel()) < 2.0 * _THICKNESS_SPACING_MM)
    index = np.stack(np.unravel_index(close, half.values.shape), axis=-1)
    out[close] = filled.at(half.origin_mm + half.spacing_mm * index)
    return out.reshape(half.values.shape)


@once
def _core_half(level: str) -> Grid:
    """The right half of the inside of the cortex, sampled as `carved_grid` is."""
    half = _raw_half(level, FIELD_SPACING_MM)
    carved = carved_half(level, FIELD_SPACING_MM).values
    thick = _thickness(level, half)
    # where a joint was carved the cortex is at least the plate of bone under a facet
    cut = np.clip((carved - half.values) / 0.4, 0.0, 1.0)
    values = carved + thick + cut * np.maximum(_shell_mm() - thick, 0.0)
    _raw_half.forget(level, FIELD_SPACING_MM)  # both that are made from it are there
    return Grid(half.origin_mm, half.spacing_mm, values.astype(np.float32))


def carved_core(level: str) -> Field:
    """The inside of the carved bone's cortex, in its own frame: cortex covers the carved facets too. Inexact."""

    def distance(p: Points) -> Distances:
        return _two_sided(_core_half(level)).distance(p)

    return Field(distance, _extent(level), exact=False)


def _raster_for(spacing_mm: float) -> tuple[float, int]:
    """Which raster a surface of about `spacing_mm` is read from, and how many of its nodes to step over.

    The two rasters that are there anyway serve whatever is shown; only a finer surface is sampled for itself.
    """
    if spacing_mm < 0.75 * FIELD_SPACING_MM:
        return spacing_mm, 1
    if spacing_mm < (FIELD_SPACING_MM + CARVE_SPACING_MM) / 2:
        return FIELD_SPACING_MM, 1
    return CARVE_SPACING_MM, 1 if spacing_mm < 1.8 * CARVE_SPACING_MM else 2


@once
def _surface(level: str, raster_mm: float, stride: int) -> Mesh:
    grid = carved_grid(level, raster_mm)
    # the middle plane is a node of every raster and stays one, so that both sides stay alike
    start = ((grid.values.shape[0] - 1) // 2) % stride
    values = grid.values[start::stride, ::stride, ::stride].copy()
    values = np.pad(values, 1, constant_values=_FAR_MM)  # a step may pass over the last node outside
    step = raster_mm * stride
    values[np.abs(values) < 1e-4 * step] = 1e-4 * step  # keep nodes off the surface
    origin = grid.origin_mm + np.array([start * raster_mm, 0.0, 0.0]) - step
    return mesh_grid(Grid(origin, step, values))


def coarse_calls(level: str) -> list[Call]:
    """What makes the raster of `level` that its surface is made from, and by which things are laid beside it."""
    round_it = (level, level_above(level), level_below(level))
    raw: list[Call] = [(_raw_half, (near, CARVE_SPACING_MM)) for near in round_it if near is not None]
    extents: list[Call] = [(_extent, (near,)) for near in round_it if near is not None]
    return [*raw, *extents, (carved_half, (level, CARVE_SPACING_MM))]


def surface_calls(levels: Sequence[str]) -> list[Call]:
    """What makes the surfaces of `levels` as pictures show them."""
    return [(_surface, (level, *_raster_for(CARVE_SPACING_MM))) for level in levels]


def raster_calls(levels: Sequence[str]) -> list[Call]:
    """What makes the rasters of `levels` that sections and radiographs read."""
    return [call for level in levels for call in ((carved_half, (level, FIELD_SPACING_MM)), (_core_half, (level,)))]


def carved_mesh(level: str, spacing_mm: float) -> Mesh:
    """The carved bone's closed surface in its own frame, vertices about `spacing_mm` apart (0.8, 1.2 or 2.4 mm, or as
    asked where that is finer)."""
    return _surface(level, *_raster_for(spacing_mm))


def bone(column: Column, level: str) -> Structure:
    """`level` (T1 to L5, or "sacrum") standing in `column`, healthy: role "bone", cortical, core trabecular.

    Its key is the level alone: the carved surface is the same in every posture.
    """
    frame = column.world_from_vertebra(level)
    return Structure(
        name=level,
        role="bone",
        material="cortical",
        field=moved(carved_field(level), frame),
        mesh=lambda spacing_mm: carved_mesh(level, spacing_mm),
        key=f"bone-{level}",
        rank=RANKS["bone"],
        world_from_local=frame,
        core=moved(carved_core(level), frame),
        core_material="trabecular",
        lasting=True,
    )
