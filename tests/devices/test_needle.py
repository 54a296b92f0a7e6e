"""The bone needle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.devices.catalogue import needle_size
from spineviz.devices.needle import NeedleShape, needle_structures

GAUGES = (8, 10, 11, 13, 15)


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("stylet", [True, False])
def test_every_needle_is_closed_and_its_mesh_lies_on_its_field(gauge, stylet):
    shape = NeedleShape(gauge, 125.0, stylet)
    mesh = shape.shaft_mesh()
    assert mesh.is_closed
    assert mesh.pieces == 1
    assert np.abs(shape.shaft_field()(mesh.points_mm)).max() < 1e-9
    handle = shape.handle_mesh()
    assert handle.is_closed
    assert handle.volume_ml > 0
    assert shape.handle_field()(handle.points_mm).max() < 1e-6


def test_open_tube_has_the_volume_that_calculus_gives():
    size, shape = needle_size(11), NeedleShape(11, 100.0, stylet=False)
    wall = np.pi * (size.outer_mm**2 - size.inner_mm**2) / 4 * 100.0 / 1000
    assert shape.shaft_mesh().volume_ml == pytest.approx(wall, rel=0.006)  # 36 sides


def test_the_point_is_the_foremost_place_of_the_steel():
    mesh = NeedleShape(11, 125.0).shaft_mesh()
    assert mesh.points_mm[:, 2].max() == 0.0
    assert np.allclose(mesh.points_mm[mesh.points_mm[:, 2].argmax()], 0.0)
    assert NeedleShape(11, 125.0, stylet=False).shaft_mesh().points_mm[:, 2].max() == 0.0


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(0, 360))
def test_structure_stands_with_its_tip_and_direction(medial_deg, down_deg, turn_deg):
    a, b = np.radians([medial_deg, down_deg])
    forward = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])
    tip = np.array([7.0, 9.0, -2.0])
    made = needle_structures("needle-right", NeedleShape(11, 100.0), tip, forward, turn_deg)
    assert set(made) == {"needle-right", "handle-right"}
    points = made["needle-right"].world_mesh(0.5).points_mm
    along = (points - tip) @ forward
    assert along.max() == pytest.approx(0.0, abs=1e-9)
    assert along.min() == pytest.approx(-100.0, abs=1e-9)
    across = np.linalg.norm((points - tip) - along[:, None] * forward, axis=1)
    assert across.max() == pytest.approx(1.525, abs=1e-9)
    assert np.abs(made["needle-right"].field(points)).max() < 1e-6


def test_a_needle_that_rests_is_the_very_same_and_one_that_moves_is_another():
    shape, tip, forward = NeedleShape(11, 120.0), np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])
    first = needle_structures("needle-left", shape, tip, forward)
    again = needle_structures("needle-left", shape, tip.copy(), forward.copy())
    assert all(again[name] is part for name, part in first.items())
    again.clear()
    assert needle_structures("needle-left", shape, tip, forward) == first
    for other in (
        needle_structures("needle-left", shape, tip + [0.0, 1e-9, 0.0], forward),
        needle_structures("needle-left", shape, tip, forward, 1.0),
        needle_structures("needle-left", NeedleShape(13, 120.0), tip, forward),
        needle_structures("needle-right", shape, tip, forward),
    ):
        assert not any(part in first.values() for part in other.values())
