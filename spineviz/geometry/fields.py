"""Signed distance fields: a shape is a function from points to distances.

A distance is negative inside, in millimetres. Exact primitives return the Euclidean distance to the surface, so
they are 1-Lipschitz; blends and bends only promise the sign and are marked ``exact=False``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
"""(N, 3) positions, mm."""
Distances = NDArray[np.float64]
"""(N,) signed distances, mm, negative inside."""
Vector = NDArray[np.float64]
"""(3,) one position or direction."""


def as_points(points_mm: ArrayLike) -> Points:
    """`points_mm` as a float array of shape (N, 3).

    Raises ValueError, naming the shape, for anything else.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points_mm must have shape (N, 3), got {points.shape}")
    return points


def as_vector(vector: ArrayLike, name: str = "vector") -> Vector:
    """`vector` as a finite float array of shape (3,); ValueError names it otherwise."""
    array = np.asarray(vector, dtype=np.float64)
    if array.shape != (3,):
        raise ValueError(f"{name} must have shape (3,), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array.tolist()}")
    return array


def unit(vector: ArrayLike, name: str = "direction") -> Vector:
    """`vector` scaled to length one; ValueError names it if it has no length."""
    array = as_vector(vector, name)
    length = float(np.linalg.norm(array))
    if length == 0.0:
        raise ValueError(f"{name} must have a length, got {array.tolist()}")
    return array / length


@dataclass(frozen=True)
class Field:
    """A shape as a signed distance function.

    Attributes:
        distance: (N, 3) mm -> (N,) mm, pure, negative inside.
        bounds_mm: (2, 3) low and high corner of a box that holds the zero set.
        exact: False where only the sign is promised and the size is approximate.
    """

    distance: Callable[[Points], Distances]
    bounds_mm: NDArray[np.float64]
    exact: bool = True

    def __call__(self, points_mm: ArrayLike) -> Distances:
        """Signed distances (N,) mm at `points_mm` (N, 3); ValueError for another shape."""
        return self.distance(as_points(points_mm))

    def contains(self, points_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which of `points_mm` (N, 3) lie inside, (N,) bool."""
        return self(points_mm) < 0.0


def box_bounds(low_mm: ArrayLike, high_mm: ArrayLike) -> NDArray[np.float64]:
    """The (2, 3) bounds with corners `low_mm` and `high_mm`."""
    return np.array([np.asarray(low_mm, float), np.asarray(high_mm, float)])


def corners(bounds_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 8, 3) the corners of boxes given by their low and high one (..., 2, 3)."""
    return np.asarray(bounds_mm[..., _LOW_OR_HIGH, np.arange(3)])


_LOW_OR_HIGH = np.array(list(np.ndindex(2, 2, 2)))
"""(8, 3) of which bound each coordinate of each corner of a box is."""


def in_box(points_mm: Points, low_mm: ArrayLike, high_mm: ArrayLike) -> NDArray[np.bool_]:
    """Which of `points_mm` (N, 3) lie between the corners (3,), not on the faces, (N,). Axis by axis, as rows of three
    take five times as long."""
    x, y, z = points_mm.T
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low_mm), np.asarray(high_mm)
    return np.asarray((x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1))


def way_to_box(points_mm: Points, bounds_mm: NDArray[np.float64]) -> Distances:
    """The way (N,) from `points_mm` (N, 3) to the box `bounds_mm` (2, 3); 0 within. Axis by axis, as in `in_box`."""
    way = np.zeros(len(points_mm))
    for place, low, high in zip(points_mm.T, *bounds_mm, strict=True):
        off = np.abs(place - 0.5 * (low + high))
        off -= 0.5 * (high - low)
        np.maximum(off, 0.0, out=off)
        off *= off
        way += off
    return np.sqrt(way, out=way)


def bounds_of_points(points_mm: Points, margin_mm: float = 0.0) -> NDArray[np.float64]:
    """The (2, 3) bounds of `points_mm` (N, 3), grown by `margin_mm`."""
    return box_bounds(points_mm.min(0) - margin_mm, points_mm.max(0) + margin_mm)


def _positive(value: float, name: str) -> float:
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be more than 0, got {value}")
    return float(value)


def sphere(centre_mm: ArrayLike, radius_mm: float) -> Field:
    """A ball. Exact. ValueError if `radius_mm` is not more than 0."""
    centre = as_vector(centre_mm, "centre_mm")
    radius = _positive(radius_mm, "radius_mm")
    return Field(
        lambda p: np.linalg.norm(p - centre, axis=1) - radius,
        box_bounds(centre - radius, centre + radius),
    )


def half_space(point_mm: ArrayLike, normal: ArrayLike, reach_mm: float = 1000.0) -> Field:
    """Everything behind the plane through `point_mm` with outward `normal`. Exact; bounded to `reach_mm`."""
    point, direction = as_vector(point_mm, "point_mm"), unit(normal, "normal")
    return Field(lambda p: (p - point) @ direction, box_bounds(point - reach_mm, point + reach_mm))


def box(centre_mm: ArrayLike, size_mm: ArrayLike, rounding_mm: float = 0.0) -> Field:
    """A box of full size `size_mm` (3,), its edges rounded by `rounding_mm` within that size. Exact."""
    centre, half = as_vector(centre_mm, "centre_mm"), as_vector(size_mm, "size_mm") / 2
    if (half <= 0).any():
        raise ValueError(f"size_mm must be more than 0 on every axis, got {(half * 2).tolist()}")
    if not 0 <= rounding_mm <= half.min():
        raise ValueError(f"rounding_mm must be 0 to {half.min()}, got {rounding_mm}")
    inner = half - rounding_mm

    def distance(p: Points) -> Distances:
        q = np.abs(p - centre) - inner
        outside = np.linalg.norm(np.maximum(q, 0.0), axis=1)
        return outside + np.minimum(q.max(axis=1), 0.0) - rounding_mm

    return Field(distance, box_bounds(centre - half, centre + half))


def capsule(start_mm: ArrayLike, end_mm: ArrayLike, radius_mm: float) -> Field:
    """All points within `radius_mm` of a segment. Exact."""
    return polyline_tube([start_mm, end_mm], radius_mm)


def round_cone(start_mm: ArrayLike, end_mm: ArrayLike, start_radius_mm: float, end_radius_mm: float) -> Field:
    """The convex hull of two balls (a tapered capsule). Exact, also where one ball holds the other."""
    a, b = as_vector(start_mm, "start_mm"), as_vector(end_mm, "end_mm")
    r1, r2 = _positive(start_radius_mm, "start_radius_mm"), _positive(end_radius_mm, "end_radius_mm")
    span = float(np.linalg.norm(b - a))
    if span <= abs(r1 - r2):  # one ball swallows the other: the hull is the larger ball
        return sphere(a, r1) if r1 >= r2 else sphere(b, r2)
    axis = (b - a) / span
    sine = (r1 - r2) / span
    cosine = np.sqrt(1.0 - sine * sine)

    def distance(p: Points) -> Distances:
        along = (p - a) @ axis
        radial = np.sqrt(np.maximum(((p - a) ** 2).sum(1) - along**2, 0.0))
        # position along the slanted side, measured from the first ball's centre
        slant = along * cosine - radial * sine
        flank = radial * cosine + along * sine - r1
        near_start = np.hypot(along, radial) - r1
        near_end = np.hypot(along - span, radial) - r2
        return np.where(slant < 0, near_start, np.where(slant > span * cosine, near_end, flank))

    low = np.minimum(a - r1, b - r2)
    high = np.maximum(a + r1, b + r2)
    return Field(distance, box_bounds(low, high))


def cylinder(start_mm: ArrayLike, end_mm: ArrayLike, radius_mm: float) -> Field:
    """A solid cylinder with flat ends. Exact."""
    return capped_cone(start_mm, end_mm, radius_mm, radius_mm)


def capped_cone(start_mm: ArrayLike, end_mm: ArrayLike, start_radius_mm: float, end_radius_mm: float) -> Field:
    """A cone frustum with flat ends; one radius may be 0 (a pointed tip). Exact and finite on its axis."""
    a, b = as_vector(start_mm, "start_mm"), as_vector(end_mm, "end_mm")
    span = float(np.linalg.norm(b - a))
    if span == 0.0:
        raise ValueError("start_mm and end_mm must differ")
    if min(start_radius_mm, end_radius_mm) < 0 or max(start_radius_mm, end_radius_mm) <= 0:
        raise ValueError(f"radii must be 0 or more and not both 0, got {start_radius_mm}, {end_radius_mm}")
    axis = (b - a) / span
    # the frustum's half profile is a convex polygon in (radial, along)
    corners = np.array([[0.0, 0.0], [start_radius_mm, 0.0], [end_radius_mm, span], [0.0, span]])

    def distance(p: Points) -> Distances:
        along = (p - a) @ axis
        radial = np.sqrt(np.maximum(((p - a) ** 2).sum(1) - along**2, 0.0))
        q = np.stack([radial, along], axis=1)
        squared = np.full(len(p), np.inf)
        for first, second in ((0, 1), (1, 2), (2, 3)):  # the fourth side is the axis itself, not a surface
            edge = corners[second] - corners[first]
            length2 = float(edge @ edge)
            if length2 == 0.0:
                continue
            offset = q - corners[first]
            share = np.clip(offset @ edge / length2, 0.0, 1.0)
            squared = np.minimum(squared, ((offset - share[:, None] * edge) ** 2).sum(1))
        width = start_radius_mm + (end_radius_mm - start_radius_mm) * along / span
        inside = (along >= 0) & (along <= span) & (radial <= width)
        return np.where(inside, -1.0, 1.0) * np.sqrt(squared)

    reach = np.sqrt(np.maximum(1.0 - axis**2, 0.0))
    low = np.minimum(a - reach * start_radius_mm, b - reach * end_radius_mm)
    high = np.maximum(a + reach * start_radius_mm, b + reach * end_radius_mm)
    return Field(distance, box_bounds(low, high))


def torus(centre_mm: ArrayLike, normal: ArrayLike, ring_radius_mm: float, tube_radius_mm: float) -> Field:
    """A ring of `tube_radius_mm` round a circle of `ring_radius_mm`. Exact."""
    centre, axis = as_vector(centre_mm, "centre_mm"), unit(normal, "normal")
    ring, tube = _positive(ring_radius_mm, "ring_radius_mm"), _positive(tube_radius_mm, "tube_radius_mm")

    def distance(p: Points) -> Distances:
        along = (p - centre) @ axis
        radial = np.sqrt(np.maximum(((p - centre) ** 2).sum(1) - along**2, 0.0))
        return np.hypot(radial - ring, along) - tube

    reach = ring * np.sqrt(np.maximum(1.0 - axis**2, 0.0)) + tube
    return Field(distance, box_bounds(centre - reach, centre + reach))


def polyline_tube(points_mm: Sequence[ArrayLike] | Points, radius_mm: float) -> Field:
    """All points within `radius_mm` of a polyline (M, 3), M of at least 2. Exact."""
    line = as_points(np.asarray(points_mm, float))
    radius = _positive(radius_mm, "radius_mm")
    if len(line) < 2:
        raise ValueError(f"points_mm must have at least 2 points, got {len(line)}")

    def distance(p: Points) -> Distances:
        squared = np.full(len(p), np.inf)
        for a, b in pairwise(line):
            edge = b - a
            length2 = float(edge @ edge)
            offset = p - a
            share = np.clip(offset @ edge / length2, 0.0, 1.0) if length2 > 0 else np.zeros(len(p))
            squared = np.minimum(squared, ((offset - share[:, None] * edge) ** 2).sum(1))
        return np.sqrt(squared) - radius

    return Field(distance, bounds_of_points(line, radius))


def ellipsoid(centre_mm: ArrayLike, radii_mm: ArrayLike) -> Field:
    """An ellipsoid with half axes `radii_mm` (3,). Inexact: the sign is right and the size first order.

    Outside it is never more than the true distance; inside it may be, by half where one axis is three times another.
    """
    centre, radii = as_vector(centre_mm, "centre_mm"), as_vector(radii_mm, "radii_mm")
    if (radii <= 0).any():
        raise ValueError(f"radii_mm must be more than 0, got {radii.tolist()}")
    smallest = float(radii.min())

    def distance(p: Points) -> Distances:
        q = (p - centre) / radii
        value = np.linalg.norm(q, axis=1)
        gradient = np.linalg.norm(q / radii, axis=1)
        # value/gradient is the first-order step; at the centre the gradient vanishes and the least radius is meant
        step = np.where(gradient > 1e-9, value * (value - 1.0) / np.maximum(gradient, 1e-9), -smallest)
        return np.maximum(step, -smallest)

    return Field(distance, box_bounds(centre - radii, centre + radii), exact=False)
