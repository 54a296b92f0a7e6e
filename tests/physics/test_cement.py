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
from spineviz.physics.cement import Fill, LevelTable, arrival, fill, in_pulses, level_reaching, permeability_noise

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


@pytest.mark.parametrize("spacing", [SPACING, 0.3])
def test_every_volume_on_the_way_is_held(spacing):
    course = filled(1)
    for volume in np.geomspace(0.02, 5.8, 60):
        assert course.mesh_at(volume, spacing).volume_ml == pytest.approx(volume, rel=3e-3)


def growing(level: float) -> float:
    """A volume that grows as a ball does, with a pocket that joins at level 3.3."""
    return 0.01 * level**3 + (0.2 if level > 3.3 else 0.0)


def course_of(table: int) -> LevelTable:
    levels = np.linspace(0.0, 8.0, table)
    about = np.array([1.3 * growing(level) for level in levels])
    return LevelTable(growing, levels, about, {})


@pytest.mark.parametrize("table", [2, 9, 41])
def test_a_level_holds_what_is_asked_or_lies_where_a_pocket_joins(table):
    course = course_of(table)
    volumes = np.linspace(0.003, 5.3, 400)
    levels = [course.level_at(volume) for volume in volumes]
    assert all(b >= a for a, b in pairwise(levels))
    for volume, level in zip(volumes, levels, strict=True):
        if growing(3.3) < volume < growing(3.3001):
            assert level == pytest.approx(3.3, abs=2e-3)
        else:
            assert growing(level) == pytest.approx(volume, rel=5e-3, abs=2e-4)
    assert course.level_at(99.0) == 8.0
    assert course.level_at(0.0) == 0.0


def test_the_level_of_a_volume_does_not_depend_on_what_was_asked_before():
    volumes = np.random.default_rng(3).uniform(0.01, 5.2, 60)
    course = course_of(9)
    forth = [course.level_at(volume) for volume in volumes]
    assert [course.level_at(volume) for volume in volumes[::-1]] == forth[::-1]
    assert [course_of(9).level_at(volume) for volume in volumes] == forth


def test_a_level_near_one_that_was_asked_needs_no_new_measurement():
    measured = []

    def held(level: float) -> float:
        measured.append(level)
        return growing(level)

    course = LevelTable(held, np.linspace(0.0, 8.0, 41), np.array([growing(v) for v in np.linspace(0.0, 8.0, 41)]), {})
    for volume in np.linspace(1.0, 1.2, 40):
        course.level_at(volume)
    assert len(measured) == len(set(measured)) <= 8


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


# a void first ---------------------------------------------------------------------------------------------------------


RADIUS = 6.0
BALLS = (np.array([9.0, 4.0, -1.0]), np.array([-9.0, 4.0, 0.0]))


def wide_room() -> Grid:
    return room_of(box([0, 0, 0], [40, 34, 26], 6))


def ball_walls(room: Grid) -> np.ndarray:
    points = room.points()
    ways = [np.linalg.norm(points - middle, axis=1) - RADIUS for middle in BALLS]
    return np.min(ways, axis=0).reshape(room.values.shape)


@cache
def filled_void(seed: int, slow: float = 1.0) -> Fill:
    """Two balls that balloons left; bone above them lets cement through `slow` times as fast."""
    room = wide_room()
    speed = permeability_noise(room, seed, 4.5, 1.4, 0.65)
    speed = np.where(room.points()[:, 2].reshape(speed.shape) > 0, speed * slow, speed)
    tips = np.array([middle + [0.0, 3.0, 0.0] for middle in BALLS])
    return fill(room, speed, tips, 1.2, 4.0, ball_walls(room))


@pytest.mark.parametrize("seed", [1, 7])
def test_every_place_of_a_void_is_filled_before_any_bone(seed):
    course = filled_void(seed)
    void = course.void
    assert void is not None
    inside = void.walls < 0
    bone = ~inside & (course.room.values < 0)
    assert course.arrivals[inside].max() <= void.full_mm <= course.arrivals[bone].min()
    assert course.void_ml == pytest.approx(2 * 4 / 3 * np.pi * RADIUS**3 / 1000.0, rel=0.02)
    for volume in np.linspace(0.05, 0.99, 6) * course.void_ml:
        taken = course.grid_at(volume).values < 0
        assert not taken[bone].any()
    for volume in (course.void_ml + 0.05, 3.0, 3.8):
        taken = course.grid_at(volume).values < 0
        assert taken[inside].all()
        assert taken[bone].any()


@given(st.integers(1, 2), st.floats(0.02, 3.9))
@settings(max_examples=14)
def test_a_fill_that_begins_in_a_void_holds_its_volume_in_one_piece_for_each_part(seed, volume):
    course = filled_void(seed)
    mesh = course.mesh_at(volume, SPACING)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(volume, rel=0.01)
    assert 1 <= mesh.pieces <= 2


def test_a_full_void_has_its_own_smooth_wall():
    course = filled_void(7)
    points = course.mesh_at(0.998 * course.void_ml, 0.4).points_mm
    away = np.min([np.linalg.norm(points - middle, axis=1) for middle in BALLS], axis=0)
    assert np.abs(away - RADIUS).max() < 0.25
    later = course.mesh_at(course.void_ml + 0.6, 0.4).points_mm
    beyond = np.min([np.linalg.norm(later - middle, axis=1) for middle in BALLS], axis=0) - RADIUS
    assert beyond.min() > -0.25
    assert beyond.max() > 1.0  # it runs on between the trabeculae, here more, there less
    assert np.quantile(beyond, 0.2) < 0.4


def test_nothing_jumps_when_the_void_is_full():
    course = filled_void(7)
    full = course.level_at(course.void_ml)
    volumes = [course.volume_at(full + way) for way in (-0.4, 0.0, 0.2, 0.4)]
    assert all(b >= a for a, b in pairwise(volumes))
    assert volumes[2] - volumes[1] < 0.25


def test_cement_goes_less_where_packed_bone_is_slow():
    def above(course: Fill) -> float:
        taken = (course.grid_at(course.void_ml + 0.8).values < 0) & (course.void.walls >= 0)
        up = course.room.points()[:, 2].reshape(taken.shape) > 0
        return float((taken & up).sum() / taken.sum())

    assert above(filled_void(7, 0.3)) < 0.5 * above(filled_void(7))


def test_a_part_of_a_void_without_a_tip_is_filled_like_bone():
    room = wide_room()
    course = fill(room, np.ones(room.values.shape), BALLS[0][None, :], 1.2, 2.0, ball_walls(room))
    assert course.void_ml == pytest.approx(4 / 3 * np.pi * RADIUS**3 / 1000.0, rel=0.02)
    assert course.mesh_at(1.5, SPACING).pieces == 1


def test_no_void_is_the_filling_that_it_was():
    room = room_of(box([0, 0, 0], [16, 16, 16]))
    speed = permeability_noise(room, 3, 4.5, 1.4, 0.6)
    tip = np.array([[1.0, 2.0, 0.0]])
    plain, empty = (fill(room, speed, tip, 1.0, 1.5, first) for first in (None, np.full(room.values.shape, 4.0)))
    assert np.array_equal(plain.order.values, empty.order.values)
    assert plain.void_ml == empty.void_ml == 0.0


@pytest.mark.parametrize("course", [filled(7), filled_void(7)], ids=["bone", "void"])
def test_a_packed_filling_is_the_same(course):
    again = Fill.unpacked(*course.packed())
    twice = Fill.unpacked(*again.packed())
    assert again.void_ml == pytest.approx(course.void_ml, abs=1e-3)
    for volume in (0.6, 2.9):
        one, other = again.mesh_at(volume, SPACING), twice.mesh_at(volume, SPACING)
        assert np.array_equal(one.points_mm, other.points_mm)
        assert np.abs(one.bounds_mm - course.mesh_at(volume, SPACING).bounds_mm).max() < 0.05
