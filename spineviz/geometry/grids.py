"""Sampled fields: a field evaluated once on a regular grid, near its surface only, and read back by interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Distances, Field, Points, box_bounds

_BLOCK = 8
"""Cells a side of the blocks in which `sample` decides whether a surface can be near."""


@dataclass(frozen=True)
class Grid:
    """Values on a regular lattice.

    Attributes:
        origin_mm: (3,) the position of values[0, 0, 0].
        spacing_mm: distance between neighbours, the same on every axis.
        values: (nx, ny, nz); axes follow x, y, z.
    """

    origin_mm: NDArray[np.float64]
    spacing_mm: float
    values: NDArray

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) positions of the first and the last value."""
        return box_bounds(self.origin_mm, self.origin_mm + (np.array(self.values.shape) - 1) * self.spacing_mm)

    def points(self) -> Points:
        """The positions of all values, (nx*ny*nz, 3), last axis fastest."""
        axes = [o + np.arange(n) * self.spacing_mm for o, n in zip(self.origin_mm, self.values.shape, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def at(self, points_mm: Points, order: int = 1, outside: float | None = None) -> Distances:
        """Values interpolated at `points_mm` (N, 3); beyond the grid `outside`, or else the nearest value."""
        from scipy.ndimage import map_coordinates

        index = ((points_mm - self.origin_mm) / self.spacing_mm).T
        if outside is None:
            return map_coordinates(self.values, index, order=order, mode="nearest")
        return map_coordinates(self.values, index, order=order, mode="constant", cval=outside)

    def field(self) -> Field:
        """The grid as a field; beyond the grid the distance grows with the way to it. Inexact."""
        low, high = self.bounds_mm

        def distance(p: Points) -> Distances:
            held = np.clip(p, low, high)
            return self.at(held) + np.linalg.norm(p - held, axis=1)

        return Field(distance, self.bounds_mm, exact=False)


def lattice(bounds_mm: NDArray[np.float64], spacing_mm: float, margin_mm: float = 0.0) -> Grid:
    """An empty grid (values of 0, float32) whose nodes cover `bounds_mm` (2, 3) grown by `margin_mm`."""
    low, high = bounds_mm[0] - margin_mm, bounds_mm[1] + margin_mm
    shape = np.maximum(np.ceil((high - low) / spacing_mm).astype(int) + 1, 2)
    return Grid(np.asarray(low, float), float(spacing_mm), np.zeros(tuple(shape), np.float32))


def sample(
    field: Field,
    spacing_mm: float,
    margin_mm: float = 2.0,
    bounds_mm: NDArray[np.float64] | None = None,
    steepness: float = 1.5,
) -> Grid:
    """`field` on a grid, evaluated in full only in blocks that its surface can reach.

    `steepness` bounds the slope of an inexact field; far from the surface the values are those of the block's
    centre, so only the sign and the neighbourhood of the surface are to be relied on.
    """
    grid = lattice(field.bounds_mm if bounds_mm is None else bounds_mm, spacing_mm, margin_mm)
    shape = np.array(grid.values.shape)
    blocks = -(-shape // _BLOCK)
    centres_index = [
        np.minimum(np.arange(n) * _BLOCK + (_BLOCK - 1) / 2, s - 1) for n, s in zip(blocks, shape, strict=True)
    ]
    centres = grid.origin_mm + spacing_mm * np.stack(np.meshgrid(*centres_index, indexing="ij"), axis=-1).reshape(-1, 3)
    coarse = field.distance(centres)
    reach = np.sqrt(3.0) * (_BLOCK + 1) / 2 * spacing_mm * (1.0 if field.exact else steepness)
    near = np.abs(coarse) <= reach
    padded = np.repeat(np.repeat(np.repeat(coarse.reshape(blocks), _BLOCK, 0), _BLOCK, 1), _BLOCK, 2).astype(np.float32)
    inner = np.stack(np.meshgrid(*[np.arange(_BLOCK)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = np.stack(np.unravel_index(np.flatnonzero(near), blocks), axis=-1) * _BLOCK
    for chunk in np.array_split(corners, max(1, len(corners) // 400 + 1)):
        if len(chunk) == 0:
            continue
        index = (chunk[:, None, :] + inner[None, :, :]).reshape(-1, 3)
        padded[tuple(index.T)] = field.distance(grid.origin_mm + spacing_mm * index)
    return Grid(grid.origin_mm, grid.spacing_mm, np.ascontiguousarray(padded[: shape[0], : shape[1], : shape[2]]))
