"""Points of structures on which labels and marks hang, found on the shapes themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

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
    start, way = as_vector(from_mm, "from_mm"), unit(direction)
    along = np.arange(0.0, reach_mm, _STEP_MM)
    inside = field(start + along[:, None] * way) < 0.0
    if not inside.any():
        return as_point(start)
    return as_point(start + along[np.flatnonzero(inside)[-1]] * way)


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
