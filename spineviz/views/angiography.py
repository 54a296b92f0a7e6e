"""Contrast as X-rays see it: what cells of a structure add to a picture, and how vessels alone are shown.

The cells of a structure stand still while their contents change, so all that geometry has to say is said once: a sparse
matrix from cells to pixels. A frame is that matrix times the concentrations.

Subtraction takes the picture without contrast, the mask, from the picture with it; in logarithms the contrast's line
integral is left, whatever lies before or behind it. A roadmap lays the vessels of an earlier angiogram, bright, under
what moves now, dark. Windows come from assets/anatomy/beam.csv.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import Cells
from spineviz.geometry.fields import Distances, Points
from spineviz.views.marks import Grey
from spineviz.views.projection import Lattice, Projection, beam

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Image = NDArray[np.float32]
"""(rows, columns) line integral, or the like."""

_MOST_AT_ONCE = 1_000_000
"""Weights that are laid out in memory at one time."""
_SLACK = 0.3
"""By how much of a pixel a small volume may be wider than what it is spread over: its neighbours fill the rest."""
_BLACK = 0.04


def cell_matrix(seen: Projection, lattice: Lattice, cells: Cells) -> csr_array:
    """The way of each ray in each cell, mm: (rows * columns, cells), to be multiplied by coefficients of the cells."""
    from scipy.sparse import coo_array, csr_array

    shape = (lattice.rows * lattice.columns, len(cells.share))
    total = csr_array(shape, dtype=np.float32)
    for pixel, point, way in _spread(seen, lattice, cells.points_mm, cells.volume_mm3):
        total = total + coo_array((way, (pixel, cells.cell[point])), shape=shape).tocsr()
    return total


def shape_path(seen: Projection, lattice: Lattice, points_mm: Points, volume_mm3: Distances) -> Image:
    """The way of each ray in small volumes (N,) at points (N, 3), mm: (rows, columns); what moves needs no matrix."""
    count = lattice.rows * lattice.columns
    total = np.zeros(count)
    for pixel, _, way in _spread(seen, lattice, points_mm, volume_mm3):
        total += np.bincount(pixel, way, count)
    return total.reshape(lattice.rows, lattice.columns).astype(np.float32)


def _spread(
    seen: Projection, lattice: Lattice, points_mm: Points, volume_mm3: Distances
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.float32]]]:
    """Pixels, the points whose volume falls on them, and how much of a ray's way that is, mm.

    A volume is spread by a quadratic spline, which keeps all of it, over three times its own width, but at least over
    three pixels: a wide vessel may be told in larger pieces than a narrow one.
    """
    rows, columns, step = lattice.rows, lattice.columns, lattice.spacing_mm
    flat, depth = seen.flat(points_mm)
    far = seen.source_to_isocentre_mm
    scale = far / np.maximum(depth, 1.0)
    # as in `splat`: the section of a pixel's bundle of rays there, and the way of slanted rays
    amount = volume_mm3 * scale**2 * np.sqrt(1.0 + (flat**2).sum(axis=1) / far**2) / step**2
    width = np.maximum(np.ceil(np.cbrt(volume_mm3) * scale / step - _SLACK), 1.0).astype(int)
    x, y = flat[:, 0] / step + (columns - 1) / 2, (rows - 1) / 2 - flat[:, 1] / step
    reach = 1.5 * width
    lit = (depth > 1.0) & (x > -reach) & (x < columns - 1 + reach) & (y > -reach) & (y < rows - 1 + reach)
    for wide in np.unique(width[lit]):
        members = np.flatnonzero(lit & (width == wide))
        for mine in np.array_split(members, 1 + len(members) * 9 * int(wide) ** 2 // _MOST_AT_ONCE):
            i, across = _spline(x[mine], int(wide))
            j, down = _spline(y[mine], int(wide))
            weight = (amount[mine, None, None] * down[:, :, None] * across[:, None, :]).astype(np.float32)
            kept = ((j >= 0) & (j < rows))[:, :, None] & ((i >= 0) & (i < columns))[:, None, :]
            pixel = (j[:, :, None] * columns + i[:, None, :])[kept].astype(np.int32)
            point = np.broadcast_to(mine[:, None, None], weight.shape)[kept]
            yield pixel, point, weight[kept]


def _spline(place: NDArray[np.float64], wide: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The pixels (N, 3 * wide) round each place (N,), and the shares that they take of it, which add up to 1."""
    index = np.ceil(place - 1.5 * wide).astype(np.intp)[:, None] + np.arange(3 * wide)
    t = np.abs(index - place[:, None]) / wide
    share = np.where(t < 0.5, 0.75 - t**2, 0.5 * np.maximum(1.5 - t, 0.0) ** 2) / wide
    return index, share


def subtracted(contrast: Image, noise: Image) -> Grey:
    """An angiogram from the contrast's line integral and the noise of both pictures (H, W): vessels are dark on a pale
    ground, and what is twice as dense is never quite twice as dark."""
    ground = beam("angiogram_ground")
    x = (contrast + noise) / beam("angiogram_window")
    # straight above the ground, so that noise is as bright as it is dark
    shown = np.where(x > 0.0, np.exp(-np.maximum(x, 0.0)), 1.0 - x)
    return np.clip(_BLACK + (ground - _BLACK) * shown, 0.0, 1.0).astype(np.float32)


def mapped(vessels: Image, moving: Image, bone: Image, noise: Image) -> Grey:
    """A roadmap from line integrals (H, W): those of the stored vessels' contrast, bright; of what moves now, dark over
    them; of the bone, about 0, of which a trace is left; and the noise of both pictures."""
    ground, white = beam("roadmap_ground"), beam("roadmap_vessel")
    lifted = ground + (white - ground) * -np.expm1(-np.maximum(vessels, 0.0) / beam("roadmap_vessel_window"))
    dense = beam("roadmap_bone_share") * bone + noise
    shown = _BLACK + (lifted - _BLACK) * np.exp(-np.maximum(moving, 0.0) / beam("roadmap_device_window"))
    return np.clip(shown * np.exp(-dense), 0.0, 1.0).astype(np.float32)
