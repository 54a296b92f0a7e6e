"""Points of structures on which labels and marks hang, found on the shapes themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import Field, as_vector, unit

Point = tuple[float, float, float]

NOWHERE: Point = (math.nan, math.nan, math.nan)
"""A point that is on no screen."""

_STEP_MM = 0.5


def as_point(vector: ArrayLike) -> Point:
    """`vector` (3,) as a plain tuple, mm."""
    x, y, z = (float(v) for v in as_vector(vector))
    return x, y, z


def surface_towards(field: Field, from_mm: ArrayLike, direction: ArrayLike, reach_mm: float = 120.0) -> Point:
    """The outermost point of `field` on the ray from `from_mm` (3,) along `direction` (3,), world frame, mm.

    Where the ray meets nothing within `reach_mm`, `from_mm` itself.
    """
    return as_point(surfaces_towards(field, [as_vector(from_mm, "from_mm")], direction, reach_mm)[0])


def surfaces_towards(
    field: Field, from_mm: ArrayLike, direction: ArrayLike, reach_mm: float = 120.0
) -> NDArray[np.float64]:
    """The same for many starts (N, 3) at once, (N, 3)."""
    starts, way = np.asarray(from_mm, float), unit(direction)
    along = np.arange(0.0, reach_mm, _STEP_MM)
    places = starts[:, None, :] + along[:, None] * way
    inside = field(places.reshape(-1, 3)).reshape(len(starts), len(along)) < 0.0
    last = len(along) - 1 - np.argmax(inside[:, ::-1], axis=1)
    return np.where(inside.any(axis=1)[:, None], places[np.arange(len(starts)), last], starts)


def middle(structure: Structure) -> np.ndarray:
    """(3,) the middle of the structure's bounds, world frame, mm."""
    return np.asarray(structure.field.bounds_mm).mean(0)


def facing(structures: Mapping[str, Structure], name: str, direction: ArrayLike) -> Point:
    """The surface point of the structure `name` on the way from its middle along `direction` (3,), mm.

    NOWHERE while the structure does not exist: what hangs there is not drawn.
    """
    structure = structures.get(name)
    if structure is None:
        return NOWHERE
    return surface_towards(structure.field, middle(structure), direction)
