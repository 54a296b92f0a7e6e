"""A simulated mid-sagittal image for the case card: grey as a T1-weighted MR, from the structures of every view.

It carries the word "simulated". Signal of each material: assets/anatomy/scan.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.frames import Frame
from spineviz.views.marks import burn_edges, burn_text, edge_letters, rounded_mask
from spineviz.views.section import plane_frame, sampled_layers
from spineviz.views.trabeculae import mottled_share


@cache
def signal(name: str) -> float:
    """One number of assets/anatomy/scan.csv; KeyError for a name that it has not."""
    from spineviz.data.assets import asset
    from spineviz.data.tables import sourced_table

    return float(sourced_table(asset("anatomy", "scan.csv"))[name].value)


def sagittal_scan(
    structures: Mapping[str, Structure],
    size_px: tuple[int, int],
    half_width_mm: float = 75.0,
    world_from_plane: Frame | None = None,
    seed: int = 0,
    text_px: float | None = None,
) -> NDArray[np.uint8]:
    """The mid-sagittal slice as a simulated T1-weighted image, (H, W) uint8, marked "simulated".

    Args:
        size_px: width and height.
        half_width_mm: half of what the picture's shorter side shows.
        world_from_plane: another plane; by default the sagittal one through the world's origin, head up, front left.
        seed: of the noise.
        text_px: size of the burnt-in type; by default 24 pixels on a panel of 415.
    """
    from scipy.ndimage import gaussian_filter

    plane = world_from_plane or plane_frame("sagittal")
    px_mm = 2.0 * half_width_mm / min(size_px)
    grey = np.full((size_px[1], size_px[0]), signal("air"), np.float32)
    for structure, layer in sampled_layers(structures, plane, half_width_mm, size_px):
        rows, columns = layer.distance_mm.shape
        window = grey[layer.top : layer.top + rows, layer.left : layer.left + columns]
        own: NDArray[np.float32] | float = signal(structure.material)
        if layer.core_mm is not None and structure.core_material is not None:
            inner = signal("nucleus" if structure.role == "disc" else structure.core_material)
            # chemical shift and partial volume make the shell look about a millimetre thick
            within = np.clip(0.5 - np.maximum(layer.core_mm, layer.distance_mm + 1.0) / px_mm, 0.0, 1.0)
            own = own + (inner - own) * within
        window += np.clip(0.5 - layer.distance_mm / px_mm, 0.0, 1.0) * (own - window)
    row, column = np.indices(grey.shape)
    flat = np.column_stack(
        [
            (column.ravel() + 0.5 - size_px[0] / 2) * px_mm,
            (size_px[1] / 2 - row.ravel() - 0.5) * px_mm,
            np.zeros(grey.size),
        ]
    )
    world = plane.points(flat)
    grey *= (0.88 + 0.24 * mottled_share(world, 17, 3.0)).reshape(grey.shape)
    grey = gaussian_filter(grey, signal("blur_mm") / px_mm)
    behind = float(world[:, 1].min())
    grey *= np.exp(-(world[:, 1] - behind).reshape(grey.shape) / signal("coil_fall_mm")).astype(np.float32) * 1.25
    noise = np.random.default_rng([seed & 0xFFFFFFFF, 77]).standard_normal((2, *grey.shape), dtype=np.float32)
    # magnitude of a complex signal: noise never makes the dark darker than black
    grey = np.hypot(grey + signal("noise_share") * noise[0], signal("noise_share") * noise[1])
    grey = np.clip(grey, 0.0, 1.0).astype(np.float32) ** np.float32(0.85)
    size = text_px or max(11.0, 24.0 * min(size_px) / 415.0)
    burn_edges(grey, edge_letters(plane), 1.1 * size, ("left", "right", "top"))
    gap = 0.6 * size
    burn_text(grey, "simulated", (size_px[0] - gap, size_px[1] - gap), size, (1.0, 1.0))
    return np.round(255.0 * grey * rounded_mask(size_px, 0.04 * min(size_px))).astype(np.uint8)
