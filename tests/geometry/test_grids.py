"""Rasters of fields: the same values whenever they are made."""

from __future__ import annotations

import numpy as np

from spineviz.geometry.fields import sphere
from spineviz.geometry.grids import Grid, late_field, sample


def test_a_late_field_is_that_of_the_raster_which_is_made_at_the_first_query():
    shape, made = sphere([1.0, 2.0, 3.0], 5.0), []

    def grid() -> Grid:
        if not made:
            made.append(sample(shape, 0.7, margin_mm=2.0))
        return made[0]

    late = late_field(grid, shape.bounds_mm, 0.7, 2.0)
    assert not made
    points = np.random.default_rng(1).uniform(-12.0, 14.0, (500, 3))
    assert np.array_equal(late.distance(points), grid().field().distance(points))
    assert np.array_equal(late.bounds_mm, grid().bounds_mm)
