"""Plane sections: the outlines in which a plane cuts a shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Field, Points
from spineviz.geometry.frames import Frame


@dataclass(frozen=True)
class PlaneGrid:
    """A regular raster on a plane.

    Attributes:
        world_from_plane: x and y of the plane are its picture's right and up; z is its normal.
        half_width_mm, half_height_mm: the raster reaches this far from the frame's origin.
        spacing_mm: between neighbours.
    """

    world_from_plane: Frame
    half_width_mm: float
    half_height_mm: float
    spacing_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns); row 0 is the top."""
        return (
            round(2 * self.half_height_mm / self.spacing_mm) + 1,
            round(2 * self.half_width_mm / self.spacing_mm) + 1,
        )

    def points(self) -> Points:
        """World positions of the raster, (rows*columns, 3), row by row from the top left."""
        rows, columns = self.shape
        u = np.linspace(-self.half_width_mm, self.half_width_mm, columns)
        v = np.linspace(self.half_height_mm, -self.half_height_mm, rows)
        uu, vv = np.meshgrid(u, v)
        return self.world_from_plane.points(np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)]))

    def distances(self, field: Field) -> NDArray[np.float64]:
        """`field` on the raster, (rows, columns) mm; far from the field's bounds a plain large distance."""
        points = self.points()
        low, high = field.bounds_mm
        gap = np.linalg.norm(points - np.clip(points, low, high), axis=1)
        near = gap < 3 * self.spacing_mm
        out = gap + self.spacing_mm
        if near.any():
            out[near] = field.distance(points[near])
        return out.reshape(self.shape)


_BLOCK = 8
"""Raster points a side of the blocks in which `contours` decides whether an outline can be near."""


def _near_distances(field: Field, raster: PlaneGrid, level_mm: float, steepness: float = 1.5) -> NDArray[np.float64]:
    """Like `raster.distances`, but true only where the field can be near `level_mm`; elsewhere right in sign alone."""
    rows, columns = raster.shape
    points = raster.points().reshape(rows, columns, 3)
    r = np.minimum(np.arange(-(-rows // _BLOCK)) * _BLOCK + _BLOCK // 2, rows - 1)
    c = np.minimum(np.arange(-(-columns // _BLOCK)) * _BLOCK + _BLOCK // 2, columns - 1)
    low, high = field.bounds_mm
    middle = points[r][:, c].reshape(-1, 3)
    gap = np.linalg.norm(middle - np.clip(middle, low - abs(level_mm), high + abs(level_mm)), axis=1)
    reach = np.sqrt(2.0) * _BLOCK * raster.spacing_mm
    coarse = level_mm + gap + raster.spacing_mm
    within = gap <= reach
    if within.any():
        coarse[within] = field.distance(middle[within])
    near = within & (np.abs(coarse - level_mm) <= reach * (1.0 if field.exact else steepness))
    grow = np.ones((_BLOCK, _BLOCK))
    out = np.kron(coarse.reshape(len(r), len(c)), grow)[:rows, :columns]
    chosen = np.kron(near.reshape(len(r), len(c)), grow)[:rows, :columns] > 0
    if chosen.any():
        out[chosen] = field.distance(points[chosen])
    return out


def contours(field: Field, raster: PlaneGrid, level_mm: float = 0.0) -> list[NDArray[np.float64]]:
    """The outlines of `field` in the plane: closed polylines (K, 2) in plane coordinates, mm, inside on the left.

    The last point repeats the first. An outline that leaves the raster is closed along its edge.
    """
    rows, columns = raster.shape
    values = np.full((rows + 2, columns + 2), np.inf)
    values[1:-1, 1:-1] = _near_distances(field, raster, level_mm)
    finite = values[1:-1, 1:-1]
    values[~np.isfinite(values)] = level_mm + max(1e-6, float(np.abs(finite - level_mm).max()))
    u = np.linspace(-raster.half_width_mm, raster.half_width_mm, columns)
    v = np.linspace(-raster.half_height_mm, raster.half_height_mm, rows)
    step = raster.spacing_mm * 1e-3
    u = np.concatenate([[u[0] - step], u, [u[-1] + step]])
    v = np.concatenate([[v[0] - step], v, [v[-1] + step]])
    return marching_squares(values[::-1], u, v, level_mm)


# For each way in which a cell's corners (1 lower left, 2 lower right, 4 upper right, 8 upper left) lie inside: pairs of
# edges (0 below, 1 right, 2 above, 3 left) that a line joins, inside on its left. Two corners across are 5 and 10 where
# the cell's middle is outside, 16 and 17 where it is inside.
_JOINS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 3),), 2: ((1, 0),), 3: ((1, 3),), 4: ((2, 1),), 5: ((0, 3), (2, 1)), 6: ((2, 0),), 7: ((2, 3),),
    8: ((3, 2),), 9: ((0, 2),), 10: ((1, 0), (3, 2)), 11: ((1, 2),), 12: ((3, 1),), 13: ((0, 1),), 14: ((3, 0),),
    16: ((0, 1), (2, 3)), 17: ((1, 2), (3, 0)),
}  # fmt: skip


def marching_squares(
    values: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64], level: float
) -> list[NDArray[np.float64]]:
    """The lines at which `values` (rows at `v` rising, columns at `u` rising) pass `level`, lower values inside.

    Closed polylines (K, 2) with linear interpolation, inside on the left; the rim of `values` must lie outside.
    Lorensen and Cline 1987, doi:10.1145/37402.37422, in the plane.
    """
    rows, columns = values.shape
    inside = (values < level).view(np.uint8)
    case = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    cell_r, cell_c = np.nonzero((case > 0) & (case < 15))
    case = case[cell_r, cell_c]
    middle = (
        values[cell_r, cell_c]
        + values[cell_r, cell_c + 1]
        + values[cell_r + 1, cell_c + 1]
        + values[cell_r + 1, cell_c]
    ) / 4 < level
    case[(case == 5) & middle] = 16
    case[(case == 10) & middle] = 17
    # every edge of the raster has a number: first those along u, then those along v
    along_u = rows * (columns - 1)
    follows = np.full(along_u + (rows - 1) * columns, -1, np.int64)
    for kind, joins in _JOINS.items():
        chosen = case == kind
        r, c = cell_r[chosen], cell_c[chosen]
        edge = (
            r * (columns - 1) + c,
            along_u + r * columns + c + 1,
            (r + 1) * (columns - 1) + c,
            along_u + r * columns + c,
        )
        for first, second in joins:
            follows[edge[first]] = edge[second]
    used = np.flatnonzero(follows >= 0)
    points = _crossings(values, u, v, level, used, along_u)
    place = np.empty(len(follows), np.int64)
    place[used] = np.arange(len(used))
    after = place[follows[used]].tolist()
    lines, seen = [], bytearray(len(after))
    for start in range(len(after)):
        if seen[start]:
            continue
        order, here = [], start
        while not seen[here]:
            seen[here] = 1
            order.append(here)
            here = after[here]
        if len(order) >= 3:
            lines.append(points[[*order, start]])
    return lines


def _crossings(
    values: NDArray[np.float64],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    level: float,
    edges: NDArray[np.int64],
    along_u: int,
) -> NDArray[np.float64]:
    """(K, 2) where `values` pass `level` on the numbered `edges` (K,) of the raster."""
    columns = values.shape[1]
    flat = edges < along_u
    r = np.where(flat, edges // (columns - 1), (edges - along_u) // columns)
    c = np.where(flat, edges % (columns - 1), (edges - along_u) % columns)
    r2, c2 = r + ~flat, c + flat
    near, far = values[r, c], values[r2, c2]
    share = (level - near) / (far - near)
    return np.column_stack([u[c] + share * (u[c2] - u[c]), v[r] + share * (v[r2] - v[r])])


def enclosed_area_mm2(outlines: list[NDArray[np.float64]]) -> float:
    """The area inside closed `outlines` (K, 2), holes counted off by their turning."""
    total = 0.0
    for line in outlines:
        x, y = line.T
        total += 0.5 * float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    return abs(total)
