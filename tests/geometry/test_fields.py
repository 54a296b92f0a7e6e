"""Primitives: true distances, everywhere finite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import coordinate, direction, exact_fields, size, vector

from spineviz.geometry import fields as f


def cloud(seed: int, count: int = 200, reach: float = 90.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-reach, reach, (count, 3))


@given(exact_fields(), st.integers(0, 10_000), st.floats(1e-3, 5.0))
def test_exact_field_is_1_lipschitz(field, seed, step):
    points = cloud(seed)
    moves = np.random.default_rng(seed + 1).normal(size=points.shape)
    moves *= step / np.linalg.norm(moves, axis=1, keepdims=True)
    change = np.abs(field(points + moves) - field(points))
    assert field.exact
    assert (change <= step * (1 + 1e-9) + 1e-9).all()


@given(exact_fields(), st.integers(0, 10_000))
def test_exact_field_is_a_distance(field, seed):
    """The surface is as far away as the field says: a step of d along the gradient ends on it."""
    points = cloud(seed, 60)
    d = field(points)
    h = 1e-5
    axes = np.eye(3) * h
    gradient = np.stack([(field(points + e) - field(points - e)) / (2 * h) for e in axes], axis=1)
    length = np.linalg.norm(gradient, axis=1)
    outside = (d > 1e-3) & (length > 0.999)  # not on a ridge, where several points are nearest
    assert (length <= 1.0 + 1e-6).all()
    landed = points[outside] - d[outside, None] * gradient[outside] / length[outside, None]
    assert np.abs(field(landed)) == pytest.approx(np.zeros(int(outside.sum())), abs=2e-3)


@given(vector, direction, size, size)
def test_fields_are_finite_on_axes_and_at_centres(a, way, r1, r2):
    b = a + way
    shapes = [
        f.sphere(a, r1),
        f.box(a, (r1, r1, r2)),
        f.capsule(a, b, r1),
        f.capsule(a, a, r1),  # a segment without length is a ball
        f.round_cone(a, b, r1, r2),
        f.cylinder(a, b, r1),
        f.capped_cone(a, b, r1, 0.0),
        f.torus(a, way, r1, r2),
        f.polyline_tube([a, a, b], r1),
        f.ellipsoid(a, (r1, r2, r1)),
        f.half_space(a, way),
    ]
    on_axis = a + np.linspace(-2.0, 3.0, 41)[:, None] * way
    points = np.concatenate([on_axis, [a, b, (a + b) / 2], a + np.eye(3) * r1, a - np.eye(3) * r2])
    for shape in shapes:
        assert np.isfinite(shape(points)).all()


@given(exact_fields(), st.integers(0, 1000))
def test_bounds_hold_the_shape(field, seed):
    low, high = field.bounds_mm
    inside = field.contains(points := cloud(seed, 400))
    if high.max() - low.min() < 1500:  # a half space reaches beyond any box
        assert ((points[inside] >= low - 1e-9) & (points[inside] <= high + 1e-9)).all()


@given(vector, size, st.integers(0, 1000))
def test_sphere_is_the_distance_to_its_centre_less_the_radius(centre, radius, seed):
    points = cloud(seed)
    assert f.sphere(centre, radius)(points) == pytest.approx(np.linalg.norm(points - centre, axis=1) - radius)


def test_box_distances_by_hand():
    box = f.box((0, 0, 0), (2, 4, 6))
    points = [[0, 0, 0], [1, 0, 0], [3, 0, 0], [1 + 3, 2 + 4, 0], [1 + 2, 2 + 3, 3 + 6]]
    assert box(points) == pytest.approx([-1, 0, 2, 5, 7])


def test_cylinder_and_cone_distances_by_hand():
    cylinder = f.cylinder((0, 0, 0), (0, 0, 10), 3)
    assert cylinder([[0, 0, 5], [6, 0, 5], [0, 0, 14], [6, 0, 14], [0, 0, 9]]) == pytest.approx([-3, 3, 4, 5, -1])
    cone = f.capped_cone((0, 0, 0), (0, 0, 4), 3, 0)  # its side is 5 long
    assert cone([[0, 0, 4], [0, 0, 6], [0, 0, -2], [0, 0, 1.5]]) == pytest.approx([0, 2, 2, -1.5])
    assert cone([[3 + 0.8, 0, 0.6]]) == pytest.approx([np.hypot(0.8, 0.6)], abs=0.02)


def test_round_cone_is_the_hull_of_its_balls():
    cone = f.round_cone((0, 0, 0), (0, 0, 20), 6, 2)
    rng = np.random.default_rng(5)
    points = rng.uniform(-30, 40, (500, 3))
    share = np.linspace(0, 1, 4001)
    balls = np.min(
        [np.linalg.norm(points - [0, 0, 20 * s], axis=1) - (6 - 4 * s) for s in share],
        axis=0,
    )
    outside = balls > 0
    assert cone(points)[outside] == pytest.approx(balls[outside], abs=2e-3)


def test_a_ball_that_holds_the_other_is_the_hull():
    points = cloud(2)
    assert f.round_cone((0, 0, 0), (1, 0, 0), 9, 3)(points) == pytest.approx(f.sphere((0, 0, 0), 9)(points))


@given(vector, st.tuples(size, size, size).map(np.array), st.integers(0, 1000))
def test_ellipsoid_has_the_right_sign_and_a_first_order_size(centre, radii, seed):
    field = f.ellipsoid(centre, radii)
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(200, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    surface = centre + normal * radii
    assert field(surface) == pytest.approx(np.zeros(200), abs=1e-9)
    points = cloud(seed)
    level = np.linalg.norm((points - centre) / radii, axis=1)
    clear = np.abs(level - 1) > 1e-9
    assert (np.sign(field(points)) == np.sign(level - 1))[clear].all()
    outward = normal / radii
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    step = 1e-4 * radii.min()
    assert field(surface + step * outward) == pytest.approx(np.full(200, step), rel=0.05)
    assert field(surface - step * outward) == pytest.approx(np.full(200, -step), rel=0.05)


@pytest.mark.parametrize(("radii", "most"), [((20, 20, 20), 1.0), ((30, 10, 20), 1.5), ((60, 6, 25), 2.5)])
def test_ellipsoid_promises_little_more_room_than_there_is(radii, most):
    """`sample` leaves out what is further away than the field says; outside nothing may be promised too much."""
    field = f.ellipsoid((0, 0, 0), radii)
    rng = np.random.default_rng(1)
    normal = rng.normal(size=(20_000, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    surface = normal * radii
    points = np.concatenate([rng.uniform(-90, 90, (200, 3)), rng.uniform(-1, 1, (200, 3)) * radii])
    true = np.array([np.linalg.norm(surface - p, axis=1).min() for p in points])
    outside = field(points) > 0
    assert (field(points)[outside] <= true[outside] + 0.1).all()
    assert (-field(points)[~outside] <= most * true[~outside] + 0.1).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: f.sphere((0, 0, 0), 0), "radius_mm must be more than 0, got 0"),
        (lambda: f.sphere((0, 0, 0), float("nan")), "radius_mm must be more than 0, got nan"),
        (lambda: f.sphere((0, 0), 1), r"centre_mm must have shape \(3,\), got \(2,\)"),
        (lambda: f.sphere((0, 0, np.inf), 1), "centre_mm must be finite"),
        (lambda: f.sphere((0, 0, 0), 1)([1.0, 2.0, 3.0]), r"points_mm must have shape \(N, 3\), got \(3,\)"),
        (lambda: f.box((0, 0, 0), (1, 0, 1)), "size_mm must be more than 0"),
        (lambda: f.box((0, 0, 0), (4, 4, 4), 3), "rounding_mm must be 0 to 2.0, got 3"),
        (lambda: f.half_space((0, 0, 0), (0, 0, 0)), "normal must have a length"),
        (lambda: f.cylinder((1, 1, 1), (1, 1, 1), 2), "start_mm and end_mm must differ"),
        (lambda: f.capped_cone((0, 0, 0), (0, 0, 1), 0, 0), "radii must be 0 or more and not both 0"),
        (lambda: f.polyline_tube([(0, 0, 0)], 1), "at least 2 points, got 1"),
        (lambda: f.ellipsoid((0, 0, 0), (1, -1, 1)), "radii_mm must be more than 0"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@given(coordinate)
def test_no_points_no_distances(x):
    assert f.sphere((x, 0, 0), 1)(np.zeros((0, 3))).shape == (0,)


def test_what_lies_in_a_box_lies_between_its_corners_on_every_axis():
    points = np.random.default_rng(3).uniform(-2.0, 2.0, (400, 3))
    low, high = np.array([-1.0, -1.5, 0.0]), np.array([1.0, 0.5, 1.9])
    points[0], points[1] = low, high  # the faces do not count
    found = f.in_box(points, low, high)
    assert 0 < found.sum() < 200
    assert np.array_equal(found, ((points > low) & (points < high)).all(axis=1))
    assert len(f.in_box(points[:0], low, high)) == 0


def test_the_way_to_a_box_is_nothing_within_and_the_nearest_way_outside():
    bounds = np.array([[-1.0, -2.0, 0.0], [3.0, 1.0, 4.0]])
    points = np.random.default_rng(5).uniform(-6.0, 8.0, (300, 3))
    expected = np.linalg.norm(points - np.clip(points, *bounds), axis=1)
    assert f.way_to_box(points, bounds) == pytest.approx(expected, abs=1e-12)
    assert len(f.way_to_box(points[:0], bounds)) == 0
