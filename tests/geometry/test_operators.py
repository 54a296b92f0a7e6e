"""Operators: set algebra, motion, blends within their bound; operands stay as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import exact_fields, frames

from spineviz.geometry import fields as f
from spineviz.geometry import operators as o
from spineviz.geometry.meshes import mesh_field


def cloud(seed: int, count: int = 150, reach: float = 90.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-reach, reach, (count, 3))


@given(exact_fields(), frames(), st.integers(0, 1000))
def test_moving_the_world_moves_the_answer(field, world_from_here, seed):
    points = cloud(seed)
    moved = o.moved(field, world_from_here)
    assert moved(world_from_here.points(points)) == pytest.approx(field(points), abs=1e-8)
    assert moved.exact == field.exact


@given(st.lists(exact_fields(), min_size=1, max_size=5), st.integers(0, 1000))
def test_union_and_intersection_are_minimum_and_maximum(shapes, seed):
    points = cloud(seed)
    each = np.stack([s(points) for s in shapes])
    assert (o.union(*shapes)(points) == each.min(0)).all()
    assert (o.intersection(*shapes)(points) == each.max(0)).all()
    assert (o.complement(o.union(*shapes))(points) == -each.min(0)).all()


def test_union_takes_1500_fields():
    rng = np.random.default_rng(0)
    centres = rng.uniform(-50, 50, (1500, 3))
    balls = [f.sphere(c, 1.5) for c in centres]
    points = cloud(1, 300)
    expected = np.linalg.norm(points[:, None] - centres[None], axis=2).min(1) - 1.5
    assert o.union(*balls)(points) == pytest.approx(expected)
    assert np.isfinite(o.smooth_union(*balls, blend_mm=1.0)(points)).all()


@given(exact_fields(), exact_fields(), st.integers(0, 1000))
def test_difference_is_inside_the_first_and_outside_the_second(a, b, seed):
    points = cloud(seed)
    left = o.difference(a, b)(points)
    clear = (np.abs(a(points)) > 1e-9) & (np.abs(b(points)) > 1e-9)
    assert ((left < 0) == (a.contains(points) & ~b.contains(points)))[clear].all()


@given(st.lists(exact_fields(), min_size=2, max_size=6), st.floats(0.0, 12.0), st.integers(0, 1000))
def test_smooth_union_stays_within_its_bound(shapes, blend, seed):
    points = cloud(seed)
    plain, smooth = o.union(*shapes)(points), o.smooth_union(*shapes, blend_mm=blend)(points)
    gain = o.smooth_gain_mm(len(shapes), blend)
    assert (smooth <= plain + 1e-12).all()
    assert (smooth >= plain - gain - 1e-9).all()
    assert gain <= blend
    if len(shapes) == 2:
        assert gain == pytest.approx(blend / 4)


@given(st.lists(exact_fields(), min_size=1, max_size=5), st.floats(0.0, 20.0), st.integers(0, 1000))
def test_parts_that_are_asked_only_near_them_unite_as_they_do_when_asked_everywhere(shapes, blend, seed):
    points = cloud(seed)
    whole, near = o.smooth_union(*shapes, blend_mm=blend), o.near_union(*shapes, blend_mm=blend)
    assert near(points) == pytest.approx(whole(points), abs=1e-9)
    assert np.array_equal(near.bounds_mm, whole.bounds_mm)
    assert not near.exact


def test_a_part_is_not_asked_about_points_far_from_it():
    asked = []

    def distance(p):
        asked.append(len(p))
        return f.sphere((0, 0, 0), 2.0).distance(p)

    far = f.Field(distance, f.sphere((0, 0, 0), 2.0).bounds_mm)
    body = f.sphere((30, 0, 0), 5.0)
    o.near_union(body, far, blend_mm=3.0)([[30.0, 0.0, 0.0], [30.0, 8.0, 0.0], [3.0, 0.0, 0.0]])
    assert asked == [1]  # the last one: the others are nearer to the body than to its box


def test_smooth_gain_is_reached_by_fields_that_coincide():
    ball = f.sphere((0, 0, 0), 10)
    for count in (2, 3, 8):
        blended = o.smooth_union(*[ball] * count, blend_mm=4.0)
        assert blended([[10.0, 0, 0]])[0] == pytest.approx(-o.smooth_gain_mm(count, 4.0))
        low, high = blended.bounds_mm
        assert mesh_field(blended, 1.0).is_closed
        assert high[0] - low[0] >= 2 * (10 + o.smooth_gain_mm(count, 4.0)) - 1e-9


@given(st.lists(exact_fields(), min_size=2, max_size=4), st.floats(0.5, 8.0), st.integers(0, 1000))
def test_smooth_operators_are_1_lipschitz(shapes, blend, seed):
    points = cloud(seed)
    moves = np.random.default_rng(seed + 7).normal(size=points.shape)
    moves *= 0.3 / np.linalg.norm(moves, axis=1, keepdims=True)
    for field in (
        o.smooth_union(*shapes, blend_mm=blend),
        o.smooth_intersection(*shapes, blend_mm=blend),
        o.smooth_difference(*shapes, blend_mm=blend),
        o.shell(shapes[0], blend),
        o.offset(shapes[0], blend),
    ):
        assert (np.abs(field(points + moves) - field(points)) <= 0.3 + 1e-9).all()


@given(exact_fields(), exact_fields(), st.floats(0.0, 8.0), st.integers(0, 1000))
def test_smooth_cuts_never_add_material(a, b, blend, seed):
    points = cloud(seed)
    assert (o.smooth_difference(a, b, blend_mm=blend)(points) >= o.difference(a, b)(points) - 1e-12).all()
    assert (o.smooth_intersection(a, b, blend_mm=blend)(points) >= o.intersection(a, b)(points) - 1e-12).all()


def test_without_blend_a_smooth_union_is_the_union():
    a, b, points = f.sphere((0, 0, 0), 10), f.box((8, 0, 0), (9, 9, 9)), cloud(3)
    assert (o.smooth_union(a, b, blend_mm=0.0)(points) == o.union(a, b)(points)).all()


def test_operators_leave_their_operands_unchanged():
    a, b, points = f.sphere((0, 0, 0), 10), f.box((8, 0, 0), (9, 9, 9)), cloud(4)
    before = a(points).copy(), b(points).copy(), a.bounds_mm.copy(), b.bounds_mm.copy(), points.copy()
    made = [
        o.union(a, b),
        o.intersection(a, b),
        o.difference(a, b),
        o.complement(a),
        o.smooth_union(a, b, blend_mm=3.0),
        o.smooth_difference(a, b, blend_mm=3.0),
        o.smooth_intersection(a, b, blend_mm=3.0),
        o.offset(a, 2.0),
        o.shell(a, 2.0),
        o.mirrored_x(a),
        o.both_sides(a),
        o.scaled(a, 2.0),
        o.warped(a, lambda p: p * 1.1, a.bounds_mm),
    ]
    for field in made:
        field(points)
    after = a(points), b(points), a.bounds_mm, b.bounds_mm, points
    for x, y in zip(before, after, strict=True):
        assert (x == y).all()


@given(exact_fields(), st.floats(0.1, 8.0), st.integers(0, 1000))
def test_offset_scale_and_mirror(field, amount, seed):
    points = cloud(seed)
    assert o.offset(field, amount)(points) == pytest.approx(field(points) - amount)
    assert o.scaled(field, amount)(points * amount) == pytest.approx(field(points) * amount, abs=1e-8)
    flip = np.array([-1.0, 1.0, 1.0])
    assert o.mirrored_x(field)(points * flip) == pytest.approx(field(points))
    assert o.both_sides(field)(points) == pytest.approx(o.both_sides(field)(points * flip))


def test_shell_has_the_volume_between_two_balls():
    layer = o.shell(f.sphere((0, 0, 0), 20), 3.0)
    mesh = mesh_field(layer, 0.8)
    assert mesh.volume_ml == pytest.approx(4 / 3 * np.pi * (20**3 - 17**3) / 1000, rel=0.01)
    assert mesh.pieces == 2


def test_lens_of_two_balls_has_its_published_volume():
    """V = pi (R+r-d)^2 (d^2 + 2dr - 3r^2 + 2dR + 6rR - 3R^2) / (12d); E. Weisstein, Sphere-Sphere Intersection."""
    big, small, d = 20.0, 14.0, 22.0
    exact = np.pi * (big + small - d) ** 2
    exact *= (d**2 + 2 * d * small - 3 * small**2 + 2 * d * big + 6 * small * big - 3 * big**2) / (12 * d)
    lens = o.intersection(f.sphere((0, 0, 0), big), f.sphere((d, 0, 0), small))
    assert mesh_field(lens, 0.5).volume_ml == pytest.approx(exact / 1000, rel=0.01)


def test_nothing_to_unite_is_an_error():
    for operator in (o.union, o.intersection, lambda: o.smooth_union(blend_mm=1.0)):
        with pytest.raises(ValueError, match="give at least one field"):
            operator()
    with pytest.raises(ValueError, match="factor must be more than 0, got 0"):
        o.scaled(f.sphere((0, 0, 0), 1), 0)
