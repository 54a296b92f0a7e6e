"""Rasters of fields: the same values whenever they are made."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from spineviz.geometry.fields import sphere
from spineviz.geometry.grids import _CHUNK, Grid, late_field, sample
from spineviz.geometry.operators import smooth_union


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


@pytest.mark.parametrize("low", [-9.0, -4.0, 0.3, 6.0])
def test_a_part_of_a_raster_has_the_values_of_the_whole(low):
    shape = smooth_union(sphere([1.0, 2.0, 3.0], 5.0), sphere([4.0, 2.0, -3.0], 4.0), blend_mm=2.0)
    whole = sample(shape, 0.4, margin_mm=2.0)
    box = np.array([[low, 0.0, -2.0], [low + 3.0, 4.5, 60.0]])
    part = sample(shape, 0.4, margin_mm=2.0, part_mm=box)
    first = np.rint((part.origin_mm - whole.origin_mm) / 0.4).astype(int)
    assert part.origin_mm == pytest.approx(whole.origin_mm + 0.4 * first, abs=1e-12)
    there = tuple(slice(f, f + n) for f, n in zip(first, part.values.shape, strict=True))
    assert np.array_equal(part.values, whole.values[there])
    inside = np.clip(box, *whole.bounds_mm)
    assert (part.bounds_mm[0] <= inside[0] + 1e-9).all()
    assert (part.bounds_mm[1] >= inside[1] - 1e-9).all()
    assert part.values.size < 0.6 * whole.values.size


@pytest.mark.parametrize("shape", [(7, 5, 6), (4, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_raster_is_read_as_scipy_reads_it(shape, kind):
    random = np.random.default_rng(3)
    grid = Grid(np.array([1.0, -2.0, 0.5]), 0.7, random.normal(size=shape).astype(kind))
    low, high = grid.bounds_mm
    points = random.uniform(low - 1.5, high + 1.5, (400, 3))
    index = ((points - low) / 0.7).T
    expected = map_coordinates(grid.values.astype(float), index, order=1, mode="nearest")
    assert grid.at(points) == pytest.approx(expected, abs=1e-12)
    way = np.linalg.norm(points - np.clip(points, low, high), axis=1)
    assert grid.field().distance(points) == pytest.approx(expected + way, abs=1e-12)
    assert np.array_equal(grid.at(points, outside=9.0) == 9.0, way > 0.0)
    assert grid.at(grid.points()) == pytest.approx(grid.values.ravel(), abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, _CHUNK, _CHUNK + 1, 2 * _CHUNK + 5])
def test_many_points_are_read_as_one_by_one(count):
    random = np.random.default_rng(4)
    grid = Grid(np.zeros(3), 0.7, random.normal(size=(6, 5, 4)))
    points = random.uniform(-1.0, 5.0, (count, 3))
    some = random.integers(0, count, 20) if count else np.zeros(0, int)
    for read in (grid.at, grid.field().distance):
        values = read(points)
        assert values.shape == (count,)
        # to the last digits: a single one is summed in another order
        assert values[some] == pytest.approx(np.array([read(points[i : i + 1])[0] for i in some]), abs=1e-14)
