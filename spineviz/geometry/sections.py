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


def contours(field: Field, raster: PlaneGrid, level_mm: float = 0.0) -> list[NDArray[np.float64]]:
    """The outlines of `field` in the plane: closed polylines (K, 2) in plane coordinates, mm, inside on the left.

    Marching squares with linear interpolation; an outline that leaves the raster is closed along its edge.
    """
    from contourpy import contour_generator

    rows, columns = raster.shape
    values = np.full((rows + 2, columns + 2), np.inf)
    values[1:-1, 1:-1] = raster.distances(field)
    finite = values[1:-1, 1:-1]
    values[~np.isfinite(values)] = level_mm + max(1e-6, float(np.abs(finite - level_mm).max()))
    u = np.linspace(-raster.half_width_mm, raster.half_width_mm, columns)
    v = np.linspace(raster.half_height_mm, -raster.half_height_mm, rows)
    step = raster.spacing_mm * 1e-3
    u = np.concatenate([[u[0] - step], u, [u[-1] + step]])
    v = np.concatenate([[v[0] + step], v, [v[-1] - step]])
    lines = contour_generator(u, v[::-1], values[::-1]).lines(level_mm)
    return [np.asarray(line) for line in lines if len(line) > 3]


def enclosed_area_mm2(outlines: list[NDArray[np.float64]]) -> float:
    """The area inside closed `outlines` (K, 2), holes counted off by their turning."""
    total = 0.0
    for line in outlines:
        x, y = line.T
        total += 0.5 * float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
    return abs(total)
