"""Curves and tubes against calculus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import frames

from spineviz.geometry.curves import (
    Curve,
    curve_through,
    of_like_area,
    sides_within,
    transported_frames,
    tube_mesh,
    tube_rings,
)
from spineviz.geometry.meshes import mesh_field


def helix(radius: float, rise: float, turns: float, count: int = 2000) -> Curve:
    t = np.linspace(0, 2 * np.pi * turns, count)
    return Curve(np.column_stack([radius * np.cos(t), radius * np.sin(t), rise * t / (2 * np.pi)]))


@given(st.floats(2.0, 40.0), st.floats(0.0, 60.0), st.floats(0.25, 3.0))
def test_helix_has_the_length_of_calculus(radius, rise, turns):
    exact = turns * np.hypot(2 * np.pi * radius, rise)
    assert helix(radius, rise, turns).length_mm == pytest.approx(exact, rel=1e-5)


def test_spline_through_a_circle_has_its_length():
    t = np.linspace(0, 2 * np.pi, 60)
    curve = curve_through(np.column_stack([20 * np.cos(t), 20 * np.sin(t), 0 * t]), 0.1)
    assert curve.length_mm == pytest.approx(2 * np.pi * 20, rel=1e-3)


@given(st.floats(1.0, 100.0), st.floats(0.1, 3.0))
def test_two_points_give_the_straight_line(length, spacing):
    curve = curve_through([(0, 0, 0), (0, length, 0)], spacing)
    assert curve.length_mm == pytest.approx(length)
    assert np.diff(curve.arc_mm).max() <= spacing + 1e-9
    assert curve.at(length / 3)[0] == pytest.approx([0, length / 3, 0])


def test_curve_passes_its_knots():
    knots = np.array([(0, 0, 0), (10, 4, 3), (12, 14, 0), (3, 20, 8)], float)
    curve = curve_through(knots, 0.05)
    gap = np.linalg.norm(curve.points_mm[:, None] - knots[None], axis=2).min(0)
    assert (gap < 0.05).all()


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_parts_add_up_to_the_whole(a, b):
    curve = helix(10, 15, 1.5, 300)
    low, high = sorted((a * curve.length_mm, b * curve.length_mm))
    pieces = [curve.part(0.0, low), curve.part(low, high), curve.part(high, curve.length_mm)]
    assert sum(p.length_mm for p in pieces) == pytest.approx(curve.length_mm)


def test_way_is_held_to_the_ends():
    curve = helix(10, 15, 1.0)
    assert curve.at([-5.0, 1e9]) == pytest.approx(curve.points_mm[[0, -1]])


@settings(max_examples=25)
@given(st.floats(8.0, 40.0), st.floats(0.0, 30.0), st.floats(0.5, 3.0))
def test_tube_has_the_volume_of_pappus(radius, rise, tube_radius):
    curve = helix(radius, rise, 0.8, 160)
    mesh = tube_mesh(curve, tube_radius, sides=60)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(np.pi * tube_radius**2 * curve.length_mm / 1000, rel=5e-3)
    assert mesh.area_mm2 == pytest.approx(2 * np.pi * tube_radius * (curve.length_mm + tube_radius), rel=5e-3)


def test_field_of_a_tube_has_the_volume_of_pappus_and_two_half_balls():
    curve = helix(20, 12, 0.5, 120)
    exact = np.pi * 9 * curve.length_mm + 4 / 3 * np.pi * 27
    assert mesh_field(curve.tube(3.0), 0.5).volume_ml == pytest.approx(exact / 1000, rel=0.01)


def test_tapered_tube_is_a_frustum():
    curve = curve_through([(0, 0, 0), (0, 0, 30)], 1.0)
    mesh = tube_mesh(curve, np.linspace(2, 5, len(curve.points_mm)), sides=128)
    assert mesh.volume_ml == pytest.approx(np.pi * 30 / 3 * (4 + 10 + 25) / 1000, rel=2e-3)


@settings(max_examples=15)
@given(frames())
def test_frames_along_a_curve_do_not_twist_and_move_with_the_world(world_from_here):
    curve = helix(12, 20, 1.0, 200)
    along = transported_frames(curve, np.array([0.0, 0.0, 1.0]))
    assert np.einsum("mij,mik->mjk", along, along) == pytest.approx(np.broadcast_to(np.eye(3), along.shape), abs=1e-9)
    assert np.linalg.det(along) == pytest.approx(np.ones(len(along)))
    # neighbours turn by no more than the curve bends
    bend = np.arccos(np.clip((along[1:, :, 2] * along[:-1, :, 2]).sum(1), -1, 1))
    turn = np.arccos(np.clip((along[1:, :, 0] * along[:-1, :, 0]).sum(1), -1, 1))
    assert (turn <= bend + 1e-6).all()
    moved = transported_frames(
        Curve(world_from_here.points(curve.points_mm)), world_from_here.vector(np.array([0.0, 0.0, 1.0]))
    )
    assert moved == pytest.approx(world_from_here.rotation @ along, abs=1e-6)


def test_wrong_curves_are_named():
    with pytest.raises(ValueError, match="at least 2 points, got 1"):
        curve_through([(0, 0, 0)])
    with pytest.raises(ValueError, match="must not repeat a point"):
        curve_through([(0, 0, 0), (0, 0, 0), (1, 1, 1)])


@given(st.floats(0.1, 40.0), st.floats(0.001, 0.5))
def test_a_circle_has_as_few_sides_as_being_off_by_so_much_takes(radius, off):
    sides = sides_within(radius, off, 400)
    assert sides % 2 == 0
    assert sides >= 6
    assert radius * (1.0 - np.cos(np.pi / sides)) <= off * (1 + 1e-9) or sides == 400
    assert sides == 6 or radius * (1.0 - np.cos(np.pi / (sides - 2))) > off
    assert sides_within(radius, off, 8) == min(sides, 8)


@given(st.integers(3, 60))
def test_a_polygon_of_like_area_has_the_circle_s_area(sides):
    corners = of_like_area(sides) * np.exp(2j * np.pi * np.arange(sides) / sides)
    twice = (corners.conj() * np.roll(corners, -1)).imag.sum()
    assert twice / 2 == pytest.approx(np.pi)


@given(st.floats(4.0, 30.0), st.floats(0.2, 3.0), st.floats(0.01, 0.3))
@settings(max_examples=30, deadline=None)
def test_the_outside_of_a_bent_tube_is_off_by_what_is_allowed_where_it_has_few_rings(bend_mm, radius, off):
    turn = np.linspace(0.0, 1.5, 1500)
    curve = Curve(bend_mm * np.column_stack([np.cos(turn), np.sin(turn), 0.0 * turn]))
    keep = np.flatnonzero(tube_rings(curve, np.full(1500, radius), off))
    assert keep[0] == 0
    assert keep[-1] == 1499
    step = np.diff(turn[keep])
    sagitta = (bend_mm + radius) * (1.0 - np.cos(step / 2))
    assert sagitta.max() <= 1.05 * off
    assert len(keep) < 1.5 / step[0] + 3  # no more than it takes


def test_a_straight_tube_has_rings_where_its_width_changes():
    way = np.linspace(0.0, 100.0, 1001)
    curve = Curve(np.column_stack([way, 0.0 * way, 0.0 * way]))
    radius = 1.0 + 2.0 / (1.0 + np.exp(-(way - 50.0)))
    keep = tube_rings(curve, radius, 0.02)
    assert np.abs(np.interp(way, way[keep], radius[keep]) - radius).max() < 0.025
    assert keep[way < 30].sum() < 6
    assert keep.sum() < 60
