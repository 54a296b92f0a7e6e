"""Soft tissue beside a balloon: out of its way, within the walls, and as much as before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.geometry.fields import Field, box, capsule, sphere
from spineviz.geometry.meshes import mesh_field
from spineviz.physics.balloon import Bed
from spineviz.physics.displacement import BEYOND_MM, Displacement, Hollow, pushed_aside

CORE = box([0, 0, 0], [44, 34, 26])


def balloon(x_mm: float, radius_mm: float) -> Hollow:
    rear, front = np.array([x_mm, -7.5, 0.0]), np.array([x_mm, 7.5, 0.0])
    return Hollow(Bed("right", rear, front, 1.2), capsule(rear, front, radius_mm))


@given(st.floats(-16.0, 16.0), st.floats(-5.0, 5.0), st.floats(3.0, 6.0), st.floats(2.0, 6.5))
@settings(max_examples=12, deadline=None)
def test_tissue_keeps_its_volume_out_of_the_hollows_and_within_the_walls(x, z, tissue_mm, hollow_mm):
    tissue = sphere([x, 0.0, z], tissue_mm)
    inside = Field(lambda p: np.maximum(tissue.distance(p), CORE.distance(p)), tissue.bounds_mm, exact=False)
    by = Displacement([balloon(-9.0, hollow_mm), balloon(9.0, hollow_mm)], CORE)
    volume = mesh_field(inside, 0.6).volume_ml
    mesh = mesh_field(pushed_aside(inside, volume, by), 0.6)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(volume, rel=0.05, abs=0.01)
    assert CORE(mesh.points_mm).max() <= 0.02
    for hollow in by.hollows:
        assert hollow.field(mesh.points_mm).min() > -0.1


def test_what_lies_far_away_or_at_the_walls_stays():
    by = Displacement([balloon(9.0, 6.0)], CORE)
    rng = np.random.default_rng(1)
    flat = np.column_stack([rng.uniform(-22, 22, 200), rng.uniform(-17, 17, 200), np.full(200, 12.999)])
    assert np.linalg.norm(by.origin(flat)[0] - flat, axis=1).max() < 0.2
    far = rng.uniform([-22, -17, -13], [-14, 17, 13], (200, 3))
    assert np.linalg.norm(by.origin(far)[0] - far, axis=1).max() < 1.0


def test_tissue_in_the_middle_is_drawn_in_to_the_axis_and_rings_keep_their_order():
    by = Displacement([balloon(0.0, 6.0)], CORE)
    radii = np.linspace(6.01, 16.9, 60)
    rays = np.column_stack([np.zeros(60), np.zeros(60), radii * 0.0]) + radii[:, None] * np.array([1.0, 0.0, 0.0])
    before, outside = by.origin(rays)
    was = before[:, 0]
    assert was[0] == pytest.approx(0.0, abs=0.6)
    assert (np.diff(was) > 0).all()
    assert (was <= radii + 1e-9).all()
    assert outside == pytest.approx(radii - 6.0)


def test_beyond_the_walls_nothing_is_asked_for_and_nothing_moves():
    def asked(points):
        assert CORE.distance(points).max() < BEYOND_MM
        return hollow.field.distance(points)

    hollow = balloon(9.0, 6.0)
    by = Displacement([Hollow(hollow.bed, Field(asked, hollow.field.bounds_mm))], CORE)
    points = np.random.default_rng(4).uniform(-40.0, 40.0, (3000, 3))
    before, outside = by.origin(points)
    beyond = CORE.distance(points) >= 0.0
    assert np.array_equal(before[beyond], points[beyond])
    assert np.isinf(outside[CORE.distance(points) >= BEYOND_MM]).all()
    inside = CORE.distance(points) < BEYOND_MM
    assert np.array_equal(outside[inside], hollow.field.distance(points[inside]))


def test_two_balloons_do_not_push_across_the_middle():
    by = Displacement([balloon(-9.0, 6.0), balloon(9.0, 6.0)], CORE)
    points = np.column_stack([np.full(50, -0.01), np.linspace(-12, 12, 50), np.linspace(-10, 10, 50)])
    assert np.linalg.norm(by.origin(points)[0] - points, axis=1).max() < 0.8
    assert (by.origin(points)[0][:, 0] < 0.8).all()
