"""The building blocks of a vertebra: lofts along a bent centre line, plates of a drawn outline, and their joining.

They are cheap, slightly inexact signed distances: the sign is right, the size is right near the surface. A part is
evaluated only near its box; farther off the way to the box stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import Distances, Points, Vector, unit, way_to_box

_REACH_MM = 5.0
"""How far from its box a part is still evaluated; more than any blend."""


@dataclass(frozen=True)
class Part:
    """A piece of bone: its distance function and the box that holds it.

    Attributes:
        distance: (N, 3) mm -> (N,) mm.
        low_mm, high_mm: (3,) corners of the box.
    """

    distance: Callable[[Points], Distances]
    low_mm: Vector
    high_mm: Vector

    def near(self, points_mm: Points) -> tuple[Distances, NDArray[np.intp]]:
        """The way (N,) from `points_mm` to the box, and the places of the points within reach of it."""
        way = way_to_box(points_mm, np.array([self.low_mm, self.high_mm]))
        return way, np.flatnonzero(way < _REACH_MM)


def smooth_minimum(a: Distances, b: Distances, blend_mm: float) -> Distances:
    """The smaller of `a` and `b`, (N,) mm, with the edge between them rounded over `blend_mm` (I. Quilez, 2013)."""
    h = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.minimum(a, b) - h * h * (0.25 / blend_mm)


def smooth_maximum(a: Distances, b: Distances, blend_mm: float) -> Distances:
    """The larger of `a` and `b`, (N,) mm, with the edge between them rounded over `blend_mm`."""
    h = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.maximum(a, b) + h * h * (0.25 / blend_mm)


def _polynomial(places: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (K,), lowest power first, of the polynomial through `values` (K,) at `places` (K,)."""
    solved = np.linalg.solve(np.vander(places, increasing=True), values[:, None])
    return np.asarray(solved[:, 0], np.float64)


def _horner(coefficients: NDArray[np.float64], t: Distances) -> Distances:
    out = np.full(len(t), coefficients[-1])
    for c in coefficients[-2::-1]:
        out *= t
        out += c
    return out


def elliptical(k0: Distances, k1: Distances, least_mm: Distances | float) -> Distances:
    """First-order signed distances (N,) to an ellipse, mm.

    `k0` is the length of the offset over the half axes, `k1` that of the offset over their squares; on the axis itself
    both vanish and the depth is the least half axis.
    """
    ratio = k0 / np.where(k1 > 1e-9, k1, 1.0)
    return np.where(k1 > 1e-9, np.maximum(ratio * (k0 - 1.0), -least_mm), -least_mm)


def loft(nodes_mm: ArrayLike, half_axes_mm: ArrayLike, across: ArrayLike, cap: float = 1.0) -> Part:
    """A limb of elliptical cross-section along a bent centre line.

    Args:
        nodes_mm: (K, 3) positions of the centre line, K of 2 to 4; it runs as a polynomial over the chord from the
            first to the last, and the cross-sections stand square to that chord.
        half_axes_mm: (K, 2) half axes there, the first along `across`.
        across: (3,) direction of the first half axis, made square to the chord.
        cap: length of the rounded ends as a share of the half axes' geometric mean there.
    """
    nodes = np.asarray(nodes_mm, float)
    axes = np.asarray(half_axes_mm, float)
    chord = nodes[-1] - nodes[0]
    length = float(np.linalg.norm(chord))
    along = chord / length
    first = unit(np.asarray(across, float) - (np.asarray(across, float) @ along) * along)
    second = np.cross(along, first)
    start = nodes[0]
    rest = nodes - start
    places = rest @ along / length
    bend_u = _polynomial(places, rest @ first)
    bend_v = _polynomial(places, rest @ second)
    swell_a = _polynomial(places, axes[:, 0])
    swell_b = _polynomial(places, axes[:, 1])
    caps = np.maximum(np.sqrt(axes[:, 0] * axes[:, 1]) * cap, 0.5)
    least = 0.3

    def distance(p: Points) -> Distances:
        r = p - start
        way = r @ along
        t = np.clip(way / length, 0.0, 1.0)
        u = r @ first - _horner(bend_u, t)
        v = r @ second - _horner(bend_v, t)
        over = way - t * length
        a = np.maximum(_horner(swell_a, t), least)
        b = np.maximum(_horner(swell_b, t), least)
        c = np.where(over < 0, caps[0], caps[-1])
        qa, qb, qc = u / a, v / b, over / c
        k0 = np.sqrt(qa * qa + qb * qb + qc * qc)
        k1 = np.sqrt((qa / a) ** 2 + (qb / b) ** 2 + (qc / c) ** 2)
        return elliptical(k0, k1, np.minimum(a, b))

    t = np.linspace(0, 1, 17)
    line = (
        start + np.outer(t * length, along) + np.outer(_horner(bend_u, t), first) + np.outer(_horner(bend_v, t), second)
    )
    grow_a, grow_b = np.maximum(_horner(swell_a, t), least), np.maximum(_horner(swell_b, t), least)
    reach = np.sqrt(np.outer(grow_a, first) ** 2 + np.outer(grow_b, second) ** 2) + np.abs(along) * caps.max()
    return Part(distance, (line - reach).min(0), (line + reach).max(0))


def ball(centre_mm: Vector, radius_mm: float) -> Part:
    """A ball."""

    def distance(p: Points) -> Distances:
        r = p - centre_mm
        return np.sqrt(np.einsum("ij,ij->i", r, r)) - radius_mm

    return Part(distance, centre_mm - radius_mm, centre_mm + radius_mm)


def outline_distance(outline: NDArray[np.float64], q: NDArray[np.float64]) -> Distances:
    """Exact signed distances (N,) of `q` (N, 2) to the closed polygon `outline` (K, 2), negative inside."""
    squared = np.full(len(q), np.inf)
    inside = np.zeros(len(q), bool)
    x, y = q[:, 0], q[:, 1]
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        ex, ey = bx - ax, by - ay
        dx, dy = x - ax, y - ay
        share = np.clip((dx * ex + dy * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        squared = np.minimum(squared, (dx - share * ex) ** 2 + (dy - share * ey) ** 2)
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (x < ax + (y - ay) * (ex / ey))
    return np.where(inside, -1.0, 1.0) * np.sqrt(squared)


@dataclass(frozen=True)
class _Raster:
    """Values on a square raster in a plane, read back bilinearly and carried on outside by the way to its edge."""

    low: NDArray[np.float64]
    step_mm: float
    values: NDArray[np.float64]

    def read(self, x: Distances, y: Distances) -> Distances:
        u, v = (x - self.low[0]) / self.step_mm, (y - self.low[1]) / self.step_mm
        cu = np.clip(u, 0.0, self.values.shape[0] - 1.001)
        cv = np.clip(v, 0.0, self.values.shape[1] - 1.001)
        i, j = cu.astype(np.intp), cv.astype(np.intp)
        fu, fv = cu - i, cv - j
        flat = self.values.ravel()
        place = i * self.values.shape[1] + j
        below = flat[place] + fv * (flat[place + 1] - flat[place])
        place = place + self.values.shape[1]
        above = flat[place] + fv * (flat[place + 1] - flat[place])
        return below + fu * (above - below) + self.step_mm * np.hypot(u - cu, v - cv)


def smooth_outline(corners: NDArray[np.float64], per_corner: int = 4) -> NDArray[np.float64]:
    """(K * per_corner, 2) points on the closed uniform cubic B-spline that `corners` (K, 2) pull at."""
    t = (np.arange(per_corner) / per_corner)[None, :, None]
    weights = ((1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6)
    rings = (np.roll(corners, 1 - d, axis=0)[:, None, :] for d in range(4))
    pulled = [w * ring for w, ring in zip(weights, rings, strict=True)]
    return np.sum(pulled, axis=0).reshape(-1, 2)


def plate(
    corners_yz: ArrayLike,
    half_thickness: Callable[[Distances, Distances], Distances],
    most_mm: float,
    rounding_mm: float,
) -> Part:
    """A plate in the mid-sagittal plane.

    Args:
        corners_yz: (K, 2) points in y and z, mm, that pull at its smooth outline.
        half_thickness: (N,) y, (N,) z mm -> (N,) half thickness along x, mm.
        most_mm: the largest half thickness.
        rounding_mm: how far its edges are rounded.
    """
    outline = smooth_outline(np.asarray(corners_yz, float))
    low, high = outline.min(0), outline.max(0)
    step, margin = 0.6, 6.0
    axes = [np.arange(a - margin, b + margin, step) for a, b in zip(low, high, strict=True)]
    lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    flat = outline_distance(outline, lattice.reshape(-1, 2)).reshape(lattice.shape[:2])
    raster = _Raster(low - margin, step, flat)

    def distance(p: Points) -> Distances:
        edge = raster.read(p[:, 1], p[:, 2])
        return smooth_maximum(edge, np.abs(p[:, 0]) - half_thickness(p[:, 1], p[:, 2]), rounding_mm)

    return Part(distance, np.array([-most_mm, *low]), np.array([most_mm, *high]))


def cut(part: Part, cutter: Callable[[Points], Distances], blend_mm: float) -> Part:
    """`part` without the inside of `cutter`, the new edges rounded over `blend_mm`."""
    return Part(lambda p: smooth_maximum(part.distance(p), -cutter(p), blend_mm), part.low_mm, part.high_mm)


def join(parts: Sequence[Part], blends_mm: Sequence[float], points_mm: Points) -> Distances:
    """All `parts` together at `points_mm` (N, 3), each grown onto what came before over its blend."""
    out = np.full(len(points_mm), np.inf)
    for part, blend in zip(parts, blends_mm, strict=True):
        way, near = part.near(points_mm)
        held = out[near]
        np.minimum(out, np.where(way < _REACH_MM, np.inf, way), out=out)
        if len(near):
            out[near] = smooth_minimum(np.minimum(held, 1e3), part.distance(points_mm[near]), blend)
    return out


def joined(parts: Sequence[Part], blends_mm: Sequence[float], hollows: Sequence[Part], edge_mm: float) -> Part:
    """`parts` as one, less `hollows`, whose edges are rounded over `edge_mm`."""

    def distance(p: Points) -> Distances:
        out = join(parts, blends_mm, p)
        for hollow in hollows:
            _, near = hollow.near(p)
            if len(near):
                out[near] = smooth_maximum(out[near], -hollow.distance(p[near]), edge_mm)
        return out

    low = np.min([part.low_mm for part in parts], axis=0)
    return Part(distance, low, np.max([part.high_mm for part in parts], axis=0))
