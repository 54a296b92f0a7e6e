"""Sampled fields: a field evaluated once on a regular grid, near its surface only, and read back by interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Distances, Field, Points, box_bounds

_BLOCK = 8
"""Nodes a side of the blocks in which `sample` first decides whether a surface can be near; a power of two."""
_CHUNK = 16_000
"""Points given to a field, or read off a grid, at once: what is made on the way takes several times their room, and
stays in the processor's cache."""
_OCTANTS = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)


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

    def at(self, points_mm: Points, outside: float | None = None) -> Distances:
        """Values (N,) interpolated trilinearly at `points_mm` (N, 3); beyond the grid `outside`, or else the nearest
        value."""

        def read(p: Points) -> Distances:
            held, beyond = self._held(p)
            out = self._read(held)
            return out if outside is None else np.where(beyond.any(axis=0), outside, out)

        return _in_chunks(read, points_mm)

    def field(self) -> Field:
        """The grid as a field; beyond the grid the distance grows with the way to it. Inexact."""

        def distance(p: Points) -> Distances:
            held, beyond = self._held(p)
            out = self._read(held)
            if beyond.any():
                out += self.spacing_mm * np.sqrt(np.einsum("in,in->n", beyond, beyond))
            return out

        return Field(lambda p: _in_chunks(distance, p), self.bounds_mm, exact=False)

    def _held(self, points_mm: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(3, N) the places in the lattice nearest to `points_mm` (N, 3), in its steps, and how far off they are."""
        # component by component in memory, as all that is made of it then is too
        place = np.ascontiguousarray(((points_mm - self.origin_mm) / self.spacing_mm).T)
        held = np.minimum(np.maximum(place, 0.0), np.array(self.values.shape)[:, None] - 1.0)
        place -= held
        return held, place

    def _read(self, place: NDArray[np.float64]) -> Distances:
        """Values (N,) at places (3, N) in the lattice, in its steps: in less than half of the time that scipy takes."""
        count = np.array(self.values.shape)
        low = np.maximum(np.minimum(place.astype(np.int64), count[:, None] - 2), 0)
        x, y, z = place - low
        # to the next value along each axis; to itself along one on which there is no other
        over, on, up = (np.array([count[1] * count[2], count[2], 1]) * (count > 1)).tolist()
        first = (low[0] * count[1] + low[1]) * count[2] + low[2]
        flat = self.values.ravel()

        def along_z(corner: NDArray[np.int64]) -> Distances:
            value = flat.take(corner)
            return np.asarray(value + z * np.subtract(flat.take(corner + up), value, dtype=np.float64))

        def across(corner: NDArray[np.int64]) -> Distances:
            value = along_z(corner)
            value += y * (along_z(corner + on) - value)
            return value

        out = across(first)
        out += x * (across(first + over) - out)
        return out


def late_field(grid: Callable[[], Grid], bounds_mm: NDArray[np.float64], spacing_mm: float, margin_mm: float) -> Field:
    """The field of a raster that is made at the first query; it covers `bounds_mm` (2, 3) and `margin_mm` more in steps
    of `spacing_mm`, as `lattice` does. `grid` gives the same one each time."""
    covered = lattice(bounds_mm, spacing_mm, margin_mm).bounds_mm
    return Field(lambda p: grid().field().distance(p), covered, exact=False)


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
    band_mm: float = 0.0,
    part_mm: NDArray[np.float64] | None = None,
) -> Grid:
    """`field` on a grid, evaluated in full only in blocks that its surface can reach.

    `steepness` bounds the slope of an inexact field. Further from the surface than 1.7 `spacing_mm` (and `band_mm`
    more) a value is that of its block's centre: only the sign there is to be relied on. With `part_mm` (2, 3) only the
    nodes round that box are made, with the values that the whole grid has there.
    """
    grid = lattice(field.bounds_mm if bounds_mm is None else bounds_mm, spacing_mm, margin_mm)
    shape = np.array(grid.values.shape)
    blocks = -(-shape // _BLOCK)
    slope = 1.0 if field.exact else steepness
    corners = np.stack(np.unravel_index(np.arange(blocks.prod()), blocks), axis=-1) * _BLOCK
    first, beyond = np.zeros(3, int), shape
    if part_mm is not None:
        low, high = (part_mm - grid.origin_mm) / spacing_mm
        first = np.clip(np.floor(low).astype(int) // _BLOCK * _BLOCK, 0, (blocks - 1) * _BLOCK)
        beyond = np.clip(np.ceil(high).astype(int) + 1, first + 1, shape)
        corners = corners[((corners >= first) & (corners < beyond)).all(axis=1)]
    values = np.empty(tuple(blocks * _BLOCK), np.float32)
    side = _BLOCK
    while side > 2 and len(corners):
        # a block is settled when its centre is further from the surface than any of its nodes is from the centre
        middle = grid.origin_mm + spacing_mm * (corners + (side - 1) / 2)
        at_middle = _in_chunks(field.distance, middle)
        _fill(values, corners, side, at_middle)
        # one node more than the block holds, so that neighbours on both sides of the surface are both true
        reach = np.sqrt(3.0) * (side + 1) / 2 * spacing_mm * slope + band_mm
        corners = corners[np.abs(at_middle) <= reach]
        side //= 2
        if side > 2:
            corners = (corners[:, None, :] + side * _OCTANTS[None, :, :]).reshape(-1, 3)
    inner = np.stack(np.meshgrid(*[np.arange(2 * side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for chunk in np.array_split(corners, max(1, len(corners) * len(inner) // _CHUNK + 1)):
        if len(chunk) == 0:
            continue
        index = (chunk[:, None, :] + inner[None, :, :]).reshape(-1, 3)
        values[tuple(index.T)] = field.distance(grid.origin_mm + spacing_mm * index)
    made = values[tuple(slice(*ends) for ends in zip(first, beyond, strict=True))]
    return Grid(grid.origin_mm + spacing_mm * first, grid.spacing_mm, np.ascontiguousarray(made))


def _in_chunks(work: Callable[[Points], Distances], points: Points) -> Distances:
    """What `work` gives for `points` (N, 3), (N,): it is asked for a few at a time."""
    if len(points) < _CHUNK:
        return work(points)
    return np.concatenate([work(part) for part in np.array_split(points, len(points) // _CHUNK + 1)])


def _fill(values: NDArray[np.float32], corners: NDArray[np.int64], side: int, at_middle: Distances) -> None:
    """Set every node of the blocks of `side` at `corners` (K, 3) to `at_middle` (K,)."""
    blocks = values.reshape(
        values.shape[0] // side, side, values.shape[1] // side, side, values.shape[2] // side, side
    ).transpose(0, 2, 4, 1, 3, 5)
    i, j, k = (corners // side).T
    blocks[i, j, k] = at_middle[:, None, None, None]
