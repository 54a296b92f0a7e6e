"""How cement spreads: in rooms whose answer is known."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from spineviz.geometry.fields import box
from spineviz.geometry.grids import Grid, lattice
from spineviz.physics.cement import Fill, arrival, fill, in_pulses, level_reaching, permeability_noise

SPACING = 0.8


def room_of(field, spacing=SPACING) -> Grid:
    grid = lattice(field.bounds_mm, spacing, 2 * spacing)
    return Grid(grid.origin_mm, spacing, field(grid.points()).reshape(grid.values.shape))


@cache
def filled(seed: int, one_sided: bool = False) -> Fill:
    room = room_of(box([0, 0, 0], [36, 30, 22], 6))
    tips = np.array([[7.0, 6.0, -1.0]] if one_sided else [[7.0, 6.0, -1.0], [-7.0, 6.0, -1.0]])
    return fill(room, permeability_noise(room, seed, 4.5, 1.4, 0.65), tips, 1.2, 6.0)


def test_even_bone_is_filled_in_the_order_of_distance():
    room = room_of(box([0, 0, 0], [24, 24, 24]))
    times = arrival(room, np.ones(room.values.shape), np.zeros((1, 3)), 0.1)
    points = room.points().reshape((*room.values.shape, 3))
    inside = room.values < 0
    ratio = times[inside] / np.maximum(np.linalg.norm(points[inside], axis=1), 1.0)
    # a path over 26 neighbours is at most 13 % longer than the straight line, and never shorter
    assert ratio.max() < 1.13
    far = np.linalg.norm(points[inside], axis=1) > 4
    assert ratio[far].min() > 0.95


def test_doubling_the_speed_halves_every_arrival():
    room = room_of(box([0, 0, 0], [16, 16, 16]))
    speed = permeability_noise(room, 3, 4.5, 1.4, 0.6)
    tip = np.array([[1.0, 2.0, 0.0]])
    once, twice = arrival(room, speed, tip, 1.0), arrival(room, 2 * speed, tip, 1.0)
    inside = room.values < 0
    assert np.allclose(once[inside], 2 * twice[inside])


def test_a_wall_that_parts_the_room_keeps_the_cement_on_its_side():
    room = room_of(box([0, 0, 0], [30, 20, 20]))
    points = room.points().reshape((*room.values.shape, 3))
    values = np.maximum(room.values, 1.0 - np.abs(points[..., 0]))
    course = fill(Grid(room.origin_mm, SPACING, values), np.ones(values.shape), np.array([[8.0, 0, 0]]), 1.0, 99.0)
    mesh = course.mesh_at(float(course.volumes_ml[-1]), 1.0)
    assert mesh.points_mm[:, 0].min() > 0.0
    assert course.volumes_ml[-1] == pytest.approx(14 * 20 * 20 / 1000, rel=0.06)


def test_an_open_layer_is_filled_first():
    room = room_of(box([0, 0, 0], [30, 30, 20]))
    points = room.points().reshape((*room.values.shape, 3))
    layer = np.abs(points[..., 2] - 5) < 1.0
    times = arrival(room, np.where(layer, 4.0, 1.0), np.array([[0.0, 0.0, 0.0]]), 1.0)
    inside = room.values < 0
    far = np.abs(points[..., 0]) > 12
    assert times[inside & far & layer].mean() < 0.75 * times[inside & far & ~layer].mean()


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("one_sided", [True, False])
def test_surface_holds_the_volume_within_one_percent(seed, one_sided):
    course = filled(seed, one_sided)
    for volume in np.linspace(0.02, 5.8, 9):
        mesh = course.mesh_at(volume, SPACING)
        assert mesh.is_closed
        assert mesh.volume_ml == pytest.approx(volume, rel=0.01)


@pytest.mark.parametrize("volume", [0.05, 1.0, 3.3])
def test_a_finer_surface_holds_the_same_volume(volume):
    mesh = filled(7).mesh_at(volume, 0.3)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(volume, rel=0.01)


@given(st.integers(1, 3), st.floats(0.05, 5.5), st.floats(0.05, 5.5))
@settings(max_examples=14)
def test_cement_never_leaves_where_it_is(seed, first, second):
    course = filled(seed)
    less, more = sorted((first, second))
    assert (course.grid_at(less).values < 0)[course.grid_at(more).values >= 0].sum() == 0


@given(st.integers(1, 3), st.booleans(), st.floats(0.05, 5.8))
@settings(max_examples=14)
def test_cement_stays_in_the_room_and_joined_to_the_tips(seed, one_sided, volume):
    course = filled(seed, one_sided)
    inside = course.grid_at(volume).values < 0
    assert (course.room.values[inside] < 0).all()
    pieces, count = label(inside)
    assert 1 <= count <= (1 if one_sided else 2)
    assert set(np.unique(pieces[tuple(course.sources.T)])) - {0} == set(range(1, count + 1))


def test_what_was_reached_later_lies_behind_the_level_that_reaches_it():
    course = filled(7)
    points = course.room.points().reshape((*course.room.values.shape, 3))
    behind = points[..., 1] < -6.0
    level = level_reaching(course, behind)
    volume = course.volume_at(level)
    before = course.mesh_at(0.98 * volume, SPACING).points_mm[:, 1].min()
    assert before > -6.0 - SPACING
    assert course.mesh_at(1.1 * volume, SPACING).points_mm[:, 1].min() < before


def test_same_seed_same_bone_and_another_seed_another():
    room = room_of(box([0, 0, 0], [12, 12, 12]))
    first, again, other = (permeability_noise(room, seed, 4.5, 1.4, 0.65) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert first.min() > 0
    assert np.log(first).std() == pytest.approx(0.65, rel=0.2)


@given(st.integers(1, 40))
def test_pulses_start_at_nothing_end_at_all_and_never_go_back(pulses):
    shares = [in_pulses(s, pulses) for s in np.linspace(0, 1, 400)]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert all(b >= a - 1e-12 for a, b in pairwise(shares))
    assert all(in_pulses((k + 0.9) / pulses, pulses) == pytest.approx((k + 1) / pulses) for k in range(pulses))
