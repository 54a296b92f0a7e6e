"""Contact shadows from depth: how much of the room each pixel's surface sees, found from the depth picture alone.

Alchemy ambient obscurance (McGuire et al. 2011, doi:10.1145/2018323.2018327) with one kernel for all pixels, so that
every sample is a shifted view of the depth picture and numpy does it without gathering; and a short march towards the
key light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Eye:
    """How a depth picture was seen.

    Attributes:
        focal_px: pixels a unit of slope.
        centre_px: (x, y) of the line of sight, from the top left.
    """

    focal_px: float
    centre_px: tuple[float, float]


def positions(depth_mm: Picture, eye: Eye) -> tuple[Picture, Picture, Picture]:
    """Where each pixel's surface lies in the eye's frame (x right, y up, z towards the viewer), three (H, W) mm."""
    height, width = depth_mm.shape
    x = ((np.arange(width, dtype=np.float32) + 0.5) - eye.centre_px[0]) / eye.focal_px
    y = (eye.centre_px[1] - (np.arange(height, dtype=np.float32) + 0.5)) / eye.focal_px
    return x[None, :] * depth_mm, y[:, None] * depth_mm, -depth_mm


def normals(place: tuple[Picture, Picture, Picture]) -> tuple[Picture, Picture, Picture]:
    """Unit normals from the smaller of the two steps to either side, so that an edge does not bend them."""
    steps = []
    for axis in (1, 0):
        forward = [np.diff(c, axis=axis, append=np.take(c, [-1], axis)) for c in place]
        backward = [np.diff(c, axis=axis, prepend=np.take(c, [0], axis)) for c in place]
        pick = np.abs(forward[2]) < np.abs(backward[2])
        edge = [slice(None), slice(None)]
        edge[axis] = slice(0, 1)
        pick[tuple(edge)] = True
        edge[axis] = slice(-1, None)
        pick[tuple(edge)] = False
        steps.append([np.where(pick, f, b) for f, b in zip(forward, backward, strict=True)])
    (ax, ay, az), (bx, by, bz) = steps
    # rows run downwards, so the second step is taken negative
    nx, ny, nz = bz * ay - by * az, bx * az - bz * ax, by * ax - bx * ay
    length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-12)
    return nx / length, ny / length, nz / length


@cache
def kernel(samples: int) -> tuple[tuple[float, float], ...]:
    """`samples` offsets in the unit disc on a golden spiral, denser in the middle."""
    golden = np.pi * (3.0 - np.sqrt(5.0))
    turn = np.arange(samples) * golden
    radius = ((np.arange(samples) + 0.5) / samples) ** 0.75
    return tuple((float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radius, turn, strict=True))


def obscurance(
    depth_mm: Picture,
    eye: Eye,
    radius_px: float,
    radius_mm: float,
    samples: int = 14,
    strength: float = 1.0,
) -> Picture:
    """How open each pixel is to the room, (H, W), 1 open to 0 closed.

    `depth_mm` (H, W) is the way along the line of sight, far away where there is nothing. The kernel reaches
    `radius_px` pixels, about `radius_mm` at the target.
    """
    height, width = depth_mm.shape
    px, py, pz = positions(depth_mm, eye)
    nx, ny, nz = normals((px, py, pz))
    # a little off the surface, against the steps of a coarse mesh
    slack = np.float32(0.035 * radius_mm)
    limit = np.float32((0.06 * radius_mm) ** 2)
    reach2 = np.float32(1.0 / (radius_mm * radius_mm * 2.2))
    total = np.zeros_like(depth_mm)
    count = np.zeros_like(depth_mm)
    for ox, oy in kernel(samples):
        dx, dy = round(ox * radius_px), round(oy * radius_px)
        if dx == 0 and dy == 0:
            continue
        here = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx)))
        vx, vy, vz = px[there] - px[here], py[there] - py[here], pz[there] - pz[here]
        along = vx * nx[here]
        along += vy * ny[here]
        along += vz * nz[here]
        along -= slack
        np.maximum(along, 0, out=along)
        vx *= vx
        vy *= vy
        vz *= vz
        vx += vy
        vx += vz
        # McGuire's estimator, faded out beyond the radius so that a thing far in front casts no halo
        along /= vx + limit
        vx *= reach2
        np.subtract(1, vx, out=vx)
        np.maximum(vx, 0, out=vx)
        along *= vx
        total[here] += along
        count[here] += 1
    total *= np.float32(2.0 * strength * 0.55 * radius_mm) / np.maximum(count, 1)
    return np.maximum(1.0 - total, 0.0)


def key_shadow(
    depth_mm: Picture,
    eye: Eye,
    light: tuple[float, float, float],
    reach_mm: float,
    reach_px: float,
    steps: int = 10,
) -> Picture:
    """How much of the key light comes past what stands near, (H, W), 1 all to 0 none.

    A march of `reach_mm` from each pixel's surface towards `light` (in the eye's frame); shadows are soft because a
    farther blocker counts less.
    """
    height, width = depth_mm.shape
    lx, ly, lz = np.asarray(light) / np.linalg.norm(light)
    blocked = np.zeros_like(depth_mm)
    thick = np.float32(0.55 * reach_mm)
    for i in range(1, steps + 1):
        share = (i / steps) ** 1.5
        dx, dy = round(lx * share * reach_px), round(-ly * share * reach_px)
        if dx == 0 and dy == 0:
            continue
        here = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx)))
        # the ray rises towards the viewer by lz; what is nearer than the ray, but not far in front of it, blocks
        gap = depth_mm[here] - np.float32(lz * share * reach_mm) - depth_mm[there]
        gap -= np.float32(0.02 * reach_mm)
        weight = np.float32(1.0 - 0.75 * share)
        inside = (gap > 0) & (gap < thick)
        part = blocked[here]
        np.maximum(part, inside * weight, out=part)
    return 1.0 - blocked


def spread(values: Picture, depth_small: Picture, depth_mm: Picture, softness_mm: float) -> Picture:
    """`values` of a picture of half the size carried to the full one, over pixels of like depth only.

    `values` and `depth_small` are (h, w), `depth_mm` (H, W) with H, W of 2h, 2w or one less.
    """
    padded_v, padded_d = np.pad(values, 1, mode="edge"), np.pad(depth_small, 1, mode="edge")
    out = np.empty_like(depth_mm)
    inv = np.float32(1.0 / softness_mm)
    for oy in (0, 1):
        for ox in (0, 1):
            target = depth_mm[oy::2, ox::2]
            h, w = target.shape
            total, weights = np.zeros_like(target), np.zeros_like(target)
            for sy, wy in ((1, 0.75), (2 * oy, 0.25)):
                for sx, wx in ((1, 0.75), (2 * ox, 0.25)):
                    weight = np.abs(padded_d[sy : sy + h, sx : sx + w] - target)
                    weight *= inv
                    weight += 1
                    np.divide(np.float32(wx * wy), weight * weight, out=weight)
                    weights += weight
                    weight *= padded_v[sy : sy + h, sx : sx + w]
                    total += weight
            out[oy::2, ox::2] = total / weights
    return out


def smoothed(values: Picture, depth_mm: Picture, softness_mm: float) -> Picture:
    """A 3 by 3 blur of `values` that does not cross steps of depth."""
    out, weights = values.copy(), np.ones_like(values)
    inv = np.float32(1.0 / softness_mm)
    height, width = values.shape
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dx == 0 and dy == 0:
                continue
            here = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
            there = (slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx)))
            weight = np.abs(depth_mm[there] - depth_mm[here]) * inv
            weight += 1
            np.divide(np.float32(1.0 if dx == 0 or dy == 0 else 0.7), weight * weight, out=weight)
            weights[here] += weight
            weight *= values[there]
            out[here] += weight
    return out / weights
