"""Solids that are turned on a lathe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.devices.solids import filleted, lathe, rod_profile, standing_at, tube_profile, turned
from spineviz.geometry.fields import capped_cone, cylinder, sphere

_ARC = np.linspace(0.0, np.pi, 801)
HALF_CIRCLE = 5.0 * np.column_stack([np.r_[0.0, np.sin(_ARC[1:-1]), 0.0], -np.cos(_ARC)])
BOTTLE = np.array([[0, 0], [4, 0], [4, 9], [1.5, 12], [1.5, 15], [0.7, 15], [0.7, 11], [3, 8], [3, 1], [0, 1]], float)


def swept_ml(profile):
    """The volume between a profile and the axis (the divergence theorem over each cone frustum)."""
    (r0, z0), (r1, z1) = profile[:-1].T, profile[1:].T
    return float((np.pi / 3 * (z1 - z0) * (r0**2 + r0 * r1 + r1**2)).sum() / 1000)


def flat_sided(sides):
    """What a round section loses to `sides` flats."""
    return sides / (2 * np.pi) * np.sin(2 * np.pi / sides)


@pytest.mark.parametrize(
    ("made", "known"),
    [
        (turned(rod_profile(3.0, -7.0, 4.0)), cylinder([0, 0, -7], [0, 0, 4], 3.0)),
        (turned([[0, 1], [5, 1], [2, 6], [0, 6]]), capped_cone([0, 0, 1], [0, 0, 6], 5.0, 2.0)),
        (turned([[0, 0], [2, 0], [0, 5]]), capped_cone([0, 0, 0], [0, 0, 5], 2.0, 0.0)),
    ],
)
def test_field_is_that_of_the_primitive(made, known):
    points = np.random.default_rng(1).uniform(-9, 9, (4000, 3))
    assert np.abs(made.field(points) - known(points)).max() < 1e-9
    assert made.field.exact
    assert np.allclose(made.field.bounds_mm, known.bounds_mm)


def test_field_of_a_turned_circle_is_that_of_the_ball():
    points = np.random.default_rng(2).uniform(-9, 9, (2000, 3))
    assert np.abs(turned(HALF_CIRCLE).field(points) - sphere([0, 0, 0], 5)(points)).max() < 1e-4


def test_field_of_a_tube_is_positive_in_its_bore():
    field = turned(tube_profile(3.0, 2.0, 0.0, 10.0)).field
    assert np.allclose(field([[0, 0, 5], [2.5, 0, 5], [0, 3.5, 5], [0, 2.5, 12]]), [2.0, -0.5, 0.5, 2.0])


@given(st.lists(st.floats(-16, 16), min_size=6, max_size=6))
def test_field_is_1_lipschitz(six):
    a, b = np.array(six[:3]), np.array(six[3:])
    one, other = turned(BOTTLE).field([a, b])
    assert abs(one - other) <= np.linalg.norm(a - b) + 1e-9


def test_distance_is_the_way_to_the_surface():
    from scipy.spatial import cKDTree

    made = turned(BOTTLE)
    ends, shares = np.stack([BOTTLE[:-1], BOTTLE[1:]]), np.linspace(0, 1, 200)
    r, z = np.concatenate([a + (b - a) * shares[:, None] for a, b in zip(*ends, strict=True)]).T
    points = np.random.default_rng(3).uniform([-6, -6, -2], [6, 6, 17], (3000, 3))
    flat = np.column_stack([np.hypot(points[:, 0], points[:, 1]), points[:, 2]])
    way, _ = cKDTree(np.column_stack([r, z])).query(flat)
    assert np.abs(np.abs(made.field(points)) - way).max() < 0.04  # samples along the profile are that far apart


@pytest.mark.parametrize("profile", [BOTTLE, tube_profile(3.0, 2.0, -80.0, 1.0), rod_profile(2.0, -1.0, 40.0)])
@pytest.mark.parametrize("sides", [12, 48])
def test_mesh_holds_what_calculus_gives(profile, sides):
    mesh = turned(profile, sides=sides).mesh
    assert mesh.is_closed
    assert mesh.pieces == 1
    assert mesh.volume_ml == pytest.approx(swept_ml(profile) * flat_sided(sides), rel=1e-9)
    assert np.abs(turned(profile).field(mesh.points_mm)).max() < 1e-9


def test_lathe_of_a_cone_has_the_volume_that_calculus_gives():
    mesh = lathe(np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 12.0]]), sides=400)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(np.pi * 25 * 12 / 3 / 1000, rel=1e-3)


def test_shading_of_a_flank_is_not_bent_by_its_edge():
    mesh = turned(rod_profile(3.0, 0.0, 10.0)).mesh
    flank = (np.hypot(*mesh.points_mm[:, :2].T) > 2.9) & (np.abs(mesh.points_mm[:, 2] - 5) < 4.96)
    assert flank.any()
    assert np.abs(mesh.normals[flank][:, 2]).max() < 0.02


@pytest.mark.parametrize("round_mm", [0.5, 1.0])
def test_a_rounded_rim_takes_away_what_pappus_says(round_mm):
    radius, high = 4.0, 10.0
    profile = filleted([[0, 0], [radius, 0], [radius, high], [0, high]], round_mm, segments=400)
    # between square and quarter circle lies (1 - pi/4) r2, its centroid this far from the corner
    area = (1 - np.pi / 4) * round_mm**2
    centroid = radius - round_mm * (10 - 3 * np.pi) / (12 - 3 * np.pi)
    whole = np.pi * radius**2 * high
    assert swept_ml(profile) * 1000 == pytest.approx(whole - 2 * 2 * np.pi * centroid * area, rel=1e-5)


def test_a_fillet_never_eats_more_than_half_a_side():
    profile = filleted([[0, 0], [2, 0], [2, 1], [0, 1]], 50.0)
    assert (profile >= 0).all()
    assert profile[:, 0].max() == pytest.approx(2.0, abs=0.02)
    assert turned(profile).mesh.is_closed


@settings(max_examples=40)
@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(0, 360), st.floats(-90, 90))
def test_standing_at_puts_the_tip_and_turns_about_the_axis(medial_deg, down_deg, turn_deg, more_deg):
    a, b = np.radians([medial_deg, down_deg])
    forward = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])
    tip = np.array([7.0, 9.0, -2.0])
    stand = standing_at(tip, 3.0 * forward, turn_deg)
    assert np.allclose(stand.point([0, 0, 0]), tip)
    assert np.allclose(stand.vector([0, 0, 1]), forward)
    further = standing_at(tip, forward, turn_deg + more_deg)
    cosine = further.vector([1, 0, 0]) @ stand.vector([1, 0, 0])
    sine = np.cross(stand.vector([1, 0, 0]), further.vector([1, 0, 0])) @ forward
    assert np.allclose([cosine, sine], [np.cos(np.radians(more_deg)), np.sin(np.radians(more_deg))])
