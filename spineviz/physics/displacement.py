"""Soft tissue that balloons push aside: it goes round the hollow, keeps its volume, and stays within the bone.

Round the axis of each bed tissue moves outward, most at the hollow and not at all at the walls of the trabecular room
and half way to the other balloon. That alone would press the tissue together, as it does with the bone; soft tissue
does not give way so, hence it is laid on until it has its volume again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spineviz.geometry.fields import Distances, Field, Points, box_bounds
from spineviz.geometry.grids import Grid, lattice
from spineviz.geometry.meshes import mesh_grid
from spineviz.physics.balloon import Bed

_LATTICE_MM = 0.8
"""Of the lattice on which volumes are compared."""
_SKIN_MM = 0.05
"""Between tissue and hollow."""
_WIDEST_MM = 8.0
"""By how much tissue is laid on at most."""
_PRESSED = 0.6
"""About how much thinner pressed tissue is: so much less far apart lie its levels."""
_REACH_MM = 7.0
"""How far beyond where it lay tissue is looked for."""
BEYOND_MM = 2.0
"""So far beyond the walls there is neither hollow nor tissue."""


@dataclass(frozen=True, eq=False)
class Hollow:
    """What pushes: a balloon or the cavity that it left.

    Attributes:
        bed: its axis.
        field: its shape.
    """

    bed: Bed
    field: Field


@dataclass(frozen=True, eq=False)
class Displacement:
    """Where tissue that is found beside the hollows lay before; build it with its hollows and the room's walls.

    Attributes:
        hollows: one or two.
        core: the trabecular room.
    """

    hollows: Sequence[Hollow]
    core: Field

    def origin(self, points: Points) -> tuple[Points, Distances]:
        """Where tissue at `points` (N, 3) lay before, (N, 3), and how far each lies outside of the hollows, (N,); inf
        well beyond the walls, where no hollow comes."""
        before, outside, _ = self.met(points)
        return before, outside

    def met(self, points: Points) -> tuple[Points, Distances, Distances]:
        """What `origin` gives of `points` (N, 3), and the core's distance there, (N,) mm."""
        before = points.copy()
        outside = np.full(len(points), np.inf)
        to_core = self.core.distance(points)
        near = np.flatnonzero(to_core < BEYOND_MM)
        held = points[near]
        to_wall = np.maximum(-to_core[near], 0.0)
        ways = [hollow.bed.way_mm(held) for hollow in self.hollows]
        for k, hollow in enumerate(self.hollows):
            gap = hollow.field.distance(held)
            outside[near] = np.minimum(outside[near], gap)
            others = [way for j, way in enumerate(ways) if j != k]
            room = np.minimum(to_wall, (others[0] - ways[k]) / 2) if others else to_wall
            mine = np.flatnonzero((room > 0.0) & (gap > 0.0))
            before[near[mine]] = _drawn_in(held[mine], hollow.bed, ways[k][mine], gap[mine], room[mine])
        return before, outside, to_core


def _drawn_in(points: Points, bed: Bed, way: Distances, gap: Distances, room: Distances) -> Points:
    """`points` (N, 3), `way` from the axis, `gap` outside the hollow and `room` off the walls, drawn in to where they
    were while there was no hollow: near the hollow rings keep their area, towards the walls they give way."""
    hollow = np.maximum(way - gap, 0.0)
    fade = np.sqrt(room / np.maximum(room + gap, 1e-9))
    was = np.sqrt(np.maximum(way**2 - hollow**2 * fade, 0.0))
    along = np.clip((points - bed.centre_mm) @ bed.forward, -bed.length_mm / 2, bed.length_mm / 2)
    axis = bed.centre_mm + along[:, None] * bed.forward
    return axis + (was / np.maximum(way, 1e-9))[:, None] * (points - axis)


def pushed_aside(tissue: Field, volume_ml: float, by: Displacement) -> Field:
    """`tissue` as it lies beside the hollows, with `volume_ml` as before, as far as the room holds it. Inexact."""
    grid = lattice(tissue.bounds_mm, _LATTICE_MM, _REACH_MM)
    points = grid.points()

    def parts(at: Points) -> tuple[Distances, Distances]:
        before, outside, to_core = by.met(at)
        near = np.flatnonzero(to_core < BEYOND_MM)
        was = np.full(len(at), -np.inf)  # elsewhere the walls alone tell
        was[near] = _PRESSED * tissue.distance(before[near])
        return was, np.maximum(_SKIN_MM - outside, to_core)

    lay, kept_out = parts(points)

    def held(more: float) -> float:
        values = np.maximum(lay - more, kept_out).reshape(grid.values.shape)
        return mesh_grid(Grid(grid.origin_mm, grid.spacing_mm, values)).volume_ml

    more = _laid_on(held, volume_ml)

    def distance(at: Points) -> Distances:
        was, out = parts(at)
        return np.maximum(was - more, out)

    inside = points[np.maximum(lay - more, kept_out) < 0.0]
    if not len(inside):
        return Field(distance, tissue.bounds_mm, exact=False)
    return Field(distance, box_bounds(inside.min(0) - 1.5, inside.max(0) + 1.5), exact=False)


def _laid_on(held: Callable[[float], float], volume_ml: float) -> float:
    """By how much tissue must be laid on, mm, to be `held` (mm -> mL, growing) at `volume_ml` within 0.5 %."""
    low, high = 0.0, _WIDEST_MM
    at_low, at_high = held(low), volume_ml * 4.0
    more = low
    for step in range(9):
        if abs(at_low - volume_ml) <= 5e-3 * volume_ml or (step == 0 and at_low >= volume_ml):
            return low
        share = (volume_ml - at_low) / max(at_high - at_low, 1e-9) if step else 0.1
        more = low + min(max(share, 0.05), 0.9) * (high - low)
        now = held(more)
        if abs(now - volume_ml) <= 5e-3 * volume_ml:
            return more
        if now < volume_ml:
            low, at_low = more, now
        else:
            high, at_high = more, now
    return more
