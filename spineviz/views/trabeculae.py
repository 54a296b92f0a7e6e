"""The texture of cancellous bone and of tumour: seeded patterns that are continuous in space.

A section and the cut face of the stage ask the same function at the same points, so they show the same struts. The
real network (struts 0.10 to 0.16 mm thick, 0.7 to 1.2 mm apart; Hildebrand 1999, doi:10.1359/jbmr.1999.14.7.1167,
from memory) is finer than a screen can show: spacing and thickness are chosen for legibility, the direction of the
struts is not.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.data.once import Call, once
from spineviz.geometry.fields import as_points

Share = NDArray[np.float32]
"""(N,) 0 to 1."""

SPACING_MM = 1.9
"""Between neighbouring struts as drawn (chosen for legibility; 0.7 to 1.2 mm in life)."""
STRUT_MM = 0.42
"""Thickness of a strut as drawn (chosen for legibility; 0.10 to 0.16 mm in life)."""
COMPACTED_MM = 2.2
"""How deep under shell and end-plate the network is denser (chosen for legibility)."""

_PACKED_POWER = 0.8
"""How the struts' thickness grows with the share of bone: in step with it they would close too early (chosen)."""

_SPACINGS = 11
"""The pattern repeats after so many spacings, each way."""
_PER_SPACING = 6
"""Samples of the pattern in one spacing."""
_STRETCH_Z = 1.7
"""How much longer than wide the marrow spaces stand (chosen; struts along z dominate in life)."""


@once
def _network(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A periodic honeycomb of upright cells: the distance to the nearest wall in spacings, and that wall's thickness as
    a share of the usual one (0: a gap), both (n, n, n) over a cube of spacings, z already stretched.

    The cells are the Voronoi cells of a shaken lattice; a wall's distance is exact: that to the plane half-way between
    the two nearest seeds.
    """
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(seed)
    high = round(_SPACINGS / _STRETCH_Z)
    grid = np.stack(
        np.meshgrid(np.arange(_SPACINGS), np.arange(_SPACINGS), np.arange(high), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    squeeze = high / _SPACINGS  # z is squeezed while the cells are found, so that they come out round there
    box = np.array([_SPACINGS, _SPACINGS, high], float)
    # every other layer is shifted, as in a stack of balls, and all seeds are shaken
    seeds = (grid + [0.5, 0.5, 0.0] * (grid[:, 2:] % 2) + rng.uniform(-0.45, 0.45, grid.shape)) % box
    n = _SPACINGS * _PER_SPACING
    place = (np.arange(n) / _PER_SPACING).astype(float)
    p = np.stack(np.meshgrid(place, place, place * squeeze, indexing="ij"), axis=-1).reshape(-1, 3)
    near, who = cKDTree(seeds, boxsize=box).query(p, k=2)
    apart = seeds[who[:, 1]] - seeds[who[:, 0]]
    apart -= box * np.round(apart / box)
    length = np.maximum(np.linalg.norm(apart, axis=1), 1e-6)
    normal = apart / length[:, None]
    # back to true z: a plane's distance shrinks by the length of its stretched normal
    true = np.sqrt(normal[:, 0] ** 2 + normal[:, 1] ** 2 + (normal[:, 2] * squeeze) ** 2)
    distance = (near[:, 1] ** 2 - near[:, 0] ** 2) / (2.0 * length) / true
    # each wall has its own thickness; the level ones are thinner and oftener open, which leaves rods
    first, second = np.minimum(who[:, 0], who[:, 1]), np.maximum(who[:, 0], who[:, 1])
    mixed = (first * 2654435761 + second * 40503 + seed * 97) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 2246822519) & 0xFFFFFFFF
    chance = ((mixed ^ (mixed >> 13)) & 0xFFFF) / 65535.0
    level = (normal[:, 2] * squeeze / true) ** 2
    thick = np.clip(1.55 * chance + 0.25, 0.0, 1.45) * (1.0 - 0.35 * level)
    thick[chance < 0.10 + 0.22 * level] = 0.0
    shape = (n, n, n)
    out = distance.reshape(shape).astype(np.float32), thick.reshape(shape).astype(np.float32)
    for array in out:
        array.setflags(write=False)
    return out


@lru_cache(maxsize=4)
def _clouds(seed: int) -> NDArray[np.float32]:
    """A periodic smooth field (48, 48, 48) of mean 0 and deviation 1 with grains about 6 samples apart."""
    rng = np.random.default_rng(seed)
    k = np.fft.fftfreq(48) * 6.0
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)
    band = np.exp(-(((radius - 0.6) / 0.3) ** 2))
    value = np.fft.ifftn(np.fft.fftn(rng.standard_normal((48, 48, 48))) * band).real
    out = (value / value.std()).astype(np.float32)
    out.setflags(write=False)
    return out


def _looked_up(tile: NDArray[np.float32], cells: NDArray[np.float32]) -> Share:
    """Trilinear values of the periodic `tile` at `cells` (N, 3) in cell units."""
    n = len(tile)
    base = np.floor(cells).astype(np.int32)
    part = (cells - base).astype(np.float32)
    low, high = base % n, (base + 1) % n
    flat = tile.ravel()
    x0, x1 = low[:, 0] * (n * n), high[:, 0] * (n * n)
    y0, y1 = low[:, 1] * n, high[:, 1] * n
    z0, z1 = low[:, 2], high[:, 2]
    fx, fy, fz = part[:, 0], part[:, 1], part[:, 2]

    def along_z(row: NDArray) -> NDArray[np.float32]:
        a, b = flat[row + z0], flat[row + z1]
        return a + fz * (b - a)

    near = along_z(x0 + y0)
    near = near + fy * (along_z(x0 + y1) - near)
    far = along_z(x1 + y0)
    far = far + fy * (along_z(x1 + y1) - far)
    return near + fx * (far - near)


_SEED = 7


def network_calls() -> list[Call]:
    """What makes the pattern of struts: to be made beside something else."""
    return [(_network, (_SEED,))]


def trabecular_share(
    points_mm: ArrayLike,
    depth_mm: ArrayLike | None = None,
    seed: int = _SEED,
    spacing_mm: float = SPACING_MM,
    strut_mm: float = STRUT_MM,
    softness_mm: float = 0.25,
    packing: ArrayLike | None = None,
) -> Share:
    """How much of each point is strut rather than marrow, (N,) 0 to 1.

    Struts along z dominate, as they carry the load; thinner cross struts tie them, with gaps.

    Args:
        points_mm: (N, 3) in the bone's own frame, z along the body; of bone that has moved, the places where it grew.
        depth_mm: (N,) how far each point lies inside the shell; the network is denser just below it. None: deep.
        softness_mm: width over which an edge is softened, about the size of a pixel.
        packing: (N,) how many times the usual share of bone there is: packed struts are thicker. None: the usual.
    """
    p = as_points(points_mm).astype(np.float32)
    # a lean and a slow swing hide that the pattern repeats and that it began as a lattice
    x, y, z = p.T
    lean = np.stack([x + 0.07 * z, y + 0.05 * z, z + 0.11 * x + 0.17 * y], axis=1, dtype=np.float32)
    cells = lean * np.float32(_PER_SPACING / spacing_mm)
    slow = _clouds(seed + 1)
    swing = np.float32(0.45 * _PER_SPACING)
    cells = cells + swing * np.stack(
        [_looked_up(slow, p / np.float32(1.6) + shift) for shift in (0.0, 17.0, 31.0)], axis=1
    ) * np.array([0.5, 0.5, 0.35], np.float32)
    wall, thick = _network(seed)
    distance = _looked_up(wall, cells) * np.float32(spacing_mm)
    half = np.float32(strut_mm / 2) * _looked_up(thick, cells)
    if packing is not None:
        half = half * np.maximum(np.asarray(packing, np.float32), 0.0) ** np.float32(_PACKED_POWER)
    if depth_mm is not None:
        below = np.maximum(np.asarray(depth_mm, np.float32), 0.0)
        half = half + np.float32(strut_mm) * np.exp(-below / np.float32(COMPACTED_MM / 2))
    open_wall = np.where(half > 0.02, np.float32(0.5), np.float32(0.0))
    return np.clip(open_wall + (half - distance) / np.float32(max(softness_mm, 1e-3)), 0.0, 1.0)


def mottled_share(points_mm: ArrayLike, seed: int = 11, grain_mm: float = 2.6) -> Share:
    """A soft, cloudy pattern (N,) 0 to 1 at `points_mm` (N, 3), for tumour and other tissue without fibres."""
    p = as_points(points_mm).astype(np.float32)
    cells = p * np.float32(6.0 / grain_mm)
    tile = _clouds(seed)
    fine, coarse = _looked_up(tile, cells), _looked_up(tile, cells / np.float32(2.3) + 17.0)
    return np.clip(0.5 + 0.16 * fine + 0.22 * coarse, 0.0, 1.0).astype(np.float32)


def stippled_share(points_mm: ArrayLike, spacing_mm: float = 0.9, radius_share: float = 0.3) -> Share:
    """Dots (N,), 1 inside one and 0 between them, softened, at `points_mm` (N, 2) or (N, 3): two lattices of
    `spacing_mm`, one in the gaps of the other, whose dots, of `radius_share` of that, are shaken from their places."""
    points = np.asarray(points_mm, float) / spacing_mm
    out = np.zeros(len(points), np.float32)
    for turn, offset in enumerate((0.0, 0.5)):
        cell = np.floor(points + offset)
        mixed = cell.astype(np.int64) @ np.array([73856093, 19349663, 83492791])[: points.shape[1]] + 7919 * turn
        mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
        shaken = np.stack([((mixed >> (7 * axis)) & 0xFF) / 255.0 - 0.5 for axis in range(points.shape[1])], axis=1)
        # no further than that the dot stays in its cell
        middle = cell + 0.5 - offset + 2.0 * max(0.0, 0.5 - radius_share) * shaken
        away = np.linalg.norm(points - middle, axis=1)
        out = np.maximum(out, np.clip((radius_share - away) / 0.12 + 0.5, 0.0, 1.0).astype(np.float32))
    return out
