"""Operators on fields. None changes its operands; unions take any number of fields at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spineviz.geometry.fields import Distances, Field, Points, box_bounds, corners, way_to_box
from spineviz.geometry.frames import Frame


def _at_least_one(fields: tuple[Field, ...]) -> None:
    if not fields:
        raise ValueError("give at least one field")


def _hull(fields: tuple[Field, ...], margin_mm: float = 0.0) -> np.ndarray:
    low = np.min([f.bounds_mm[0] for f in fields], axis=0) - margin_mm
    high = np.max([f.bounds_mm[1] for f in fields], axis=0) + margin_mm
    return box_bounds(low, high)


def _overlap(fields: tuple[Field, ...]) -> np.ndarray:
    low = np.max([f.bounds_mm[0] for f in fields], axis=0)
    high = np.min([f.bounds_mm[1] for f in fields], axis=0)
    return box_bounds(low, np.maximum(low, high))


def union(*fields: Field) -> Field:
    """All of `fields` together. Exact outside where each is exact."""
    _at_least_one(fields)

    def distance(p: Points) -> Distances:
        out = fields[0].distance(p)
        for other in fields[1:]:
            out = np.minimum(out, other.distance(p))
        return out

    return Field(distance, _hull(fields), exact=all(f.exact for f in fields) and len(fields) == 1)


def intersection(*fields: Field) -> Field:
    """What all of `fields` share. Inexact: a lower bound of the distance outside."""
    _at_least_one(fields)

    def distance(p: Points) -> Distances:
        out = fields[0].distance(p)
        for other in fields[1:]:
            out = np.maximum(out, other.distance(p))
        return out

    return Field(distance, _overlap(fields), exact=all(f.exact for f in fields) and len(fields) == 1)


def complement(field: Field) -> Field:
    """The outside of `field`, kept in the same bounds."""
    return Field(lambda p: -field.distance(p), field.bounds_mm, field.exact)


def difference(field: Field, *cutters: Field) -> Field:
    """`field` without any of `cutters`."""

    def distance(p: Points) -> Distances:
        out = field.distance(p)
        for cutter in cutters:
            out = np.maximum(out, -cutter.distance(p))
        return out

    return Field(distance, field.bounds_mm, exact=False)


def _smooth_minimum(a: Distances, b: Distances, blend_mm: float) -> Distances:
    """Quadratic polynomial smooth minimum: 1-Lipschitz where a and b are, below the minimum by at most a quarter
    of `blend_mm` (I. Quilez, smooth minimum, 2013)."""
    if blend_mm <= 0:
        return np.minimum(a, b)
    h = np.maximum(blend_mm - np.abs(a - b), 0.0) / blend_mm
    return np.minimum(a, b) - h * h * blend_mm * 0.25


def smooth_gain_mm(count: int, blend_mm: float) -> float:
    """How far at most a smooth union of `count` 1-Lipschitz fields lies outside their plain union.

    A quarter of `blend_mm` for two; each further field adds less, and all together never reach `blend_mm`.
    """
    gain = 0.0
    if blend_mm > 0:
        for _ in range(count - 1):
            gain += (1.0 - gain / blend_mm) ** 2 * blend_mm / 4
    return gain


def smooth_union(*fields: Field, blend_mm: float) -> Field:
    """All of `fields` together with fillets of about `blend_mm`. Inexact.

    Parts nearer than `blend_mm` to each other grow together: never use it across a gap that must stay open.
    """
    _at_least_one(fields)

    def distance(p: Points) -> Distances:
        out = fields[0].distance(p)
        for other in fields[1:]:
            out = _smooth_minimum(out, other.distance(p), blend_mm)
        return out

    return Field(distance, _hull(fields, smooth_gain_mm(len(fields), blend_mm)), exact=False)


def near_union(*fields: Field, blend_mm: float) -> Field:
    """`smooth_union` of parts that are nowhere nearer than their boxes, such as tubes: all but the first are asked only
    about points to which their box is so near that they can make a difference. Inexact."""
    _at_least_one(fields)

    def distance(p: Points) -> Distances:
        out = fields[0].distance(p)
        for other in fields[1:]:
            near = np.flatnonzero(way_to_box(p, other.bounds_mm) <= np.maximum(out + blend_mm, 0.0))
            if len(near):
                out[near] = _smooth_minimum(out[near], other.distance(p[near]), blend_mm)
        return out

    return Field(distance, smooth_union(*fields, blend_mm=blend_mm).bounds_mm, exact=False)


def smooth_difference(field: Field, *cutters: Field, blend_mm: float) -> Field:
    """`field` without `cutters`, the edges of the cut rounded by about `blend_mm`. Inexact."""

    def distance(p: Points) -> Distances:
        out = field.distance(p)
        for cutter in cutters:
            out = -_smooth_minimum(-out, cutter.distance(p), blend_mm)
        return out

    return Field(distance, field.bounds_mm, exact=False)


def smooth_intersection(*fields: Field, blend_mm: float) -> Field:
    """What `fields` share, its edges rounded by about `blend_mm`. Inexact."""
    _at_least_one(fields)

    def distance(p: Points) -> Distances:
        out = -fields[0].distance(p)
        for other in fields[1:]:
            out = _smooth_minimum(out, -other.distance(p), blend_mm)
        return -out

    return Field(distance, _overlap(fields), exact=False)


def offset(field: Field, grow_mm: float) -> Field:
    """`field` grown (or, with a negative `grow_mm`, shrunk) by a distance."""
    bounds = box_bounds(field.bounds_mm[0] - grow_mm, field.bounds_mm[1] + grow_mm)
    return Field(lambda p: field.distance(p) - grow_mm, bounds, field.exact and grow_mm >= 0)


def shell(field: Field, thickness_mm: float) -> Field:
    """The layer of `thickness_mm` that lies just inside the surface of `field`."""
    return Field(lambda p: np.maximum((d := field.distance(p)), -thickness_mm - d), field.bounds_mm, exact=False)


def moved(field: Field, outer_from_inner: Frame) -> Field:
    """`field`, given in inner coordinates, seen from outside. Exact where `field` is."""
    inner_from_outer = outer_from_inner.inverse()
    carried = outer_from_inner.points(corners(field.bounds_mm))
    return Field(
        lambda p: field.distance(inner_from_outer.points(p)),
        box_bounds(carried.min(0), carried.max(0)),
        field.exact,
    )


def mirrored_x(field: Field) -> Field:
    """`field` with right and left exchanged."""
    flip = np.array([-1.0, 1.0, 1.0])
    low, high = field.bounds_mm
    bounds = box_bounds([-high[0], low[1], low[2]], [-low[0], high[1], high[2]])
    return Field(lambda p: field.distance(p * flip), bounds, field.exact)


def both_sides(field: Field) -> Field:
    """`field` (given on the right, x > 0) together with its mirror image."""
    low, high = field.bounds_mm
    reach = max(abs(low[0]), abs(high[0]))
    bounds = box_bounds([-reach, low[1], low[2]], [reach, high[1], high[2]])

    def distance(p: Points) -> Distances:
        return field.distance(np.column_stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]]))

    return Field(distance, bounds, exact=False)


def scaled(field: Field, factor: float) -> Field:
    """`field` grown about the origin by `factor`, which must be more than 0. Exact where `field` is."""
    if factor <= 0:
        raise ValueError(f"factor must be more than 0, got {factor}")
    return Field(lambda p: field.distance(p / factor) * factor, field.bounds_mm * factor, field.exact)


def warped(field: Field, rest_from_bent: Callable[[Points], Points], bounds_mm: np.ndarray) -> Field:
    """`field` bent: `rest_from_bent` takes bent points (N, 3) back to where `field` is known. Inexact."""
    return Field(lambda p: field.distance(rest_from_bent(p)), bounds_mm, exact=False)
