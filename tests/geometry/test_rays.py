"""Path lengths: the chords that geometry gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import frames

from spineviz.geometry import fields as f
from spineviz.geometry import operators as o
from spineviz.geometry.rays import path_lengths


@given(st.floats(3.0, 25.0), st.floats(0.0, 0.999), frames())
def test_ray_through_a_ball_has_its_chord(radius, offset_share, frame):
    offset = offset_share * radius
    ball = f.sphere(frame.point((0.0, 0.0, 0.0)), radius)
    start, end = frame.point((-60.0, offset, 0.0)), frame.point((60.0, offset, 0.0))
    chord = 2 * np.sqrt(radius**2 - offset**2)
    # a chord that is shorter than the search step may be missed, no other
    expected = pytest.approx([chord], abs=1e-4)
    got = path_lengths(ball, [start], [end])
    assert got == expected or (chord < 0.5 and got == pytest.approx([0.0]))


def test_rays_that_start_or_end_inside():
    ball = f.sphere((0, 0, 0), 10)
    starts = [[0, 0, 0], [-30, 0, 0], [-3, 0, 0], [20, 20, 20]]
    ends = [[30, 0, 0], [0, 0, 0], [4, 0, 0], [30, 30, 30]]
    assert path_lengths(ball, starts, ends) == pytest.approx([10, 10, 7, 0], abs=1e-6)


def test_several_crossings_add_up():
    row = o.union(*(f.sphere((x, 0, 0), 3.0) for x in (-20, 0, 20)))
    assert path_lengths(row, [[-50, 1, 0]], [[50, 1, 0]]) == pytest.approx([6 * np.sqrt(8)], abs=1e-4)


@given(st.integers(0, 500))
def test_a_box_is_crossed_as_by_slabs(seed):
    rng = np.random.default_rng(seed)
    starts, ends = rng.uniform(-40, -15, (20, 3)), rng.uniform(15, 40, (20, 3))
    half = np.array([9.0, 6.0, 12.0])
    run = ends - starts
    near = np.minimum((-half - starts) / run, (half - starts) / run).max(1)
    far = np.maximum((-half - starts) / run, (half - starts) / run).min(1)
    exact = np.maximum(np.minimum(far, 1) - np.maximum(near, 0), 0) * np.linalg.norm(run, axis=1)
    got = path_lengths(f.box((0, 0, 0), 2 * half), starts, ends)
    seen = (exact > 0.6) | (exact == 0)
    assert got[seen] == pytest.approx(exact[seen], abs=1e-4)


def test_a_way_and_its_return_are_equally_long():
    blob = o.smooth_union(f.sphere((0, 0, 0), 8), f.box((9, 2, 1), (8, 6, 7)), blend_mm=3.0)
    rng = np.random.default_rng(2)
    a, b = rng.uniform(-30, 30, (40, 3)), rng.uniform(-30, 30, (40, 3))
    there, back = path_lengths(blob, a, b, 0.2), path_lengths(blob, b, a, 0.2)
    assert there == pytest.approx(back, abs=0.3)


def test_no_rays():
    assert path_lengths(f.sphere((0, 0, 0), 1), np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
