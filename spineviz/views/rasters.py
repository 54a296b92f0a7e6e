"""Pictures on regular rasters: resampling by splines, wide blurs. Both axes are done one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""(rows, columns)."""


def spline_weights(targets: NDArray[np.floating], first: float, step: float, count: int) -> NDArray[np.float32]:
    """(targets, count) Catmull-Rom weights that carry values at first + i*step to `targets`."""
    place = (targets - first) / step
    base = np.floor(place).astype(int)
    t = place - base
    parts = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1.0 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2.0 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    out = np.zeros((len(targets), count), np.float32)
    for shift, part in zip((-1, 0, 1, 2), parts, strict=True):
        np.add.at(out, (np.arange(len(targets)), np.clip(base + shift, 0, count - 1)), part.astype(np.float32))
    return out


def blurred_wide(image: Image, spread_px: float, coarse: int) -> Image:
    """A wide Gaussian blur, done on a picture `coarse` times smaller."""
    from scipy.ndimage import gaussian_filter

    rows, columns = image.shape
    small_rows, small_columns = -(-rows // coarse), -(-columns // coarse)
    padded = np.pad(image, ((0, small_rows * coarse - rows), (0, small_columns * coarse - columns)), mode="edge")
    small = padded.reshape(small_rows, coarse, small_columns, coarse).mean((1, 3))
    soft = gaussian_filter(small, spread_px / coarse, mode="nearest")
    middle = (coarse - 1) / 2
    down = spline_weights(np.arange(rows, dtype=float), middle, coarse, small_rows)
    across = spline_weights(np.arange(columns, dtype=float), middle, coarse, small_columns)
    return down @ soft @ across.T
