"""Sections: outlines and areas that school geometry gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import frames

from spineviz.geometry import fields as f
from spineviz.geometry import operators as o
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.sections import PlaneGrid, contours, enclosed_area_mm2, marching_squares


def raster(frame: Frame = Frame(), half: float = 30.0, spacing: float = 0.25) -> PlaneGrid:  # noqa: B008
    return PlaneGrid(frame, half, half, spacing)


@settings(max_examples=25)
@given(st.floats(6.0, 20.0), st.floats(-1.3, 1.3), frames())
def test_section_of_a_ball_is_its_circle(radius, height_share, world_from_plane):
    height = height_share * radius
    ball = f.sphere(world_from_plane.point((0.0, 0.0, height)), radius)
    lines = contours(ball, raster(world_from_plane))
    if abs(height) >= radius:
        assert lines == [] or enclosed_area_mm2(lines) < 1.0
        return
    exact = np.pi * (radius**2 - height**2)
    assert enclosed_area_mm2(lines) == pytest.approx(exact, rel=5e-3, abs=0.3)
    if exact > 3.0:
        assert len(lines) == 1
        assert np.linalg.norm(lines[0], axis=1) == pytest.approx(
            np.full(len(lines[0]), np.sqrt(exact / np.pi)), abs=0.1
        )


def test_oblique_section_of_a_cylinder_is_an_ellipse():
    rod = f.cylinder((0, 0, -200), (0, 0, 200), 8.0)
    tilted = raster(rotation_about((1, 0, 0), 40.0))
    assert enclosed_area_mm2(contours(rod, tilted)) == pytest.approx(np.pi * 64 / np.cos(np.deg2rad(40)), rel=2e-3)


def test_section_of_a_ring_counts_its_hole_off():
    washer = o.difference(f.sphere((0, 0, 0), 20), f.sphere((3, 0, 0), 9))
    lines = contours(washer, raster())
    assert len(lines) == 2
    assert enclosed_area_mm2(lines) == pytest.approx(np.pi * (400 - 81), rel=2e-3)


def test_outlines_are_closed_with_the_inside_on_the_left():
    washer = o.difference(f.sphere((0, 0, 0), 20), f.sphere((3, 0, 0), 9))
    for line in contours(washer, raster()):
        assert (line[0] == line[-1]).all()
        step = np.diff(line, axis=0)
        middle = (line[1:] + line[:-1]) / 2
        long = np.linalg.norm(step, axis=1) > 1e-3
        left = np.column_stack([-step[:, 1], step[:, 0]])[long] / np.linalg.norm(step, axis=1)[long, None]
        inside = middle[long] + 0.2 * left
        assert (washer(np.column_stack([inside, np.zeros(len(inside))])) < 0).all()


def test_an_outline_that_leaves_the_raster_is_closed_along_its_edge():
    lines = contours(f.half_space((0, 0, 0), (0, 1, 0)), raster(half=10.0))
    assert len(lines) == 1
    assert enclosed_area_mm2(lines) == pytest.approx(200.0, rel=5e-3)


def test_picture_runs_from_the_top_left():
    grid = PlaneGrid(translation((1.0, 2.0, 3.0)), 4.0, 2.0, 1.0)
    assert grid.shape == (5, 9)
    points = grid.points()
    assert points[0] == pytest.approx([-3.0, 4.0, 3.0])
    assert points[8] == pytest.approx([5.0, 4.0, 3.0])
    assert points[-1] == pytest.approx([5.0, 0.0, 3.0])


def test_distances_are_true_near_the_shape():
    ball, grid = f.sphere((0, 0, 0), 6.0), raster(half=12.0, spacing=0.5)
    near = ball(grid.points()).reshape(grid.shape)
    got = grid.distances(ball)
    low, high = ball.bounds_mm
    inside = np.linalg.norm(grid.points() - np.clip(grid.points(), low, high), axis=1).reshape(grid.shape) < 1.4
    assert got[inside] == pytest.approx(near[inside])
    assert (got[~inside] > 0).all()


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(3, 14), st.integers(3, 14))
def test_marching_squares_splits_the_plane_as_the_signs_do(seed, rows, columns):
    """On random signs every line closes, and the winding round each node says whether it is inside."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (rows, columns))
    values[[0, -1]] = values[:, [0, -1]] = 1.0
    lines = marching_squares(values, np.arange(columns, dtype=float), np.arange(rows, dtype=float), 0.0)
    nodes = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    winding = np.zeros(len(nodes))
    for line in lines:
        assert (line[0] == line[-1]).all()
        a, b = line[:-1, None] - nodes, line[1:, None] - nodes
        winding += np.arctan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(-1)).sum(0) / (2 * np.pi)
    assert np.round(winding).astype(int).reshape(rows, columns).tolist() == (values < 0).astype(int).tolist()


def test_pruning_far_blocks_changes_no_outline():
    shape = o.smooth_union(f.sphere((-6, 0, 0), 7), f.capsule((0, 0, 0), (14, 9, 2), 1.5), blend_mm=2.0)
    grid = raster(half=25.0, spacing=0.3)
    full = shape(grid.points()).reshape(grid.shape)
    padded = np.full((grid.shape[0] + 2, grid.shape[1] + 2), 50.0)
    padded[1:-1, 1:-1] = full[::-1]
    u = np.linspace(-25.3, 25.3, grid.shape[1] + 2)
    expected = enclosed_area_mm2(marching_squares(padded, u, u, 0.0))
    assert enclosed_area_mm2(contours(shape, grid)) == pytest.approx(expected, rel=0.02)
    assert sum(map(len, contours(shape, grid))) == sum(map(len, marching_squares(padded, u, u, 0.0)))
