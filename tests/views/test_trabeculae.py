"""The pattern of struts: seeded, continuous, upright, dense under the shell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.views.trabeculae import SPACING_MM, mottled_share, trabecular_share


def line(axis, length_mm=400.0, count=20000, through=(3.0, 5.0, 7.0)):
    """Points along one axis."""
    points = np.tile(np.asarray(through, float), (count, 1))
    points[:, axis] += np.linspace(0.0, length_mm, count)
    return points


def struts_per_mm(axis):
    """How many struts a line along `axis` meets in a millimetre, over many lines."""
    rng = np.random.default_rng(1)
    met = 0
    for _ in range(12):
        share = trabecular_share(line(axis, through=rng.uniform(-40, 40, 3)), softness_mm=0.05)
        met += int(((share[1:] > 0.5) & (share[:-1] <= 0.5)).sum())
    return met / (12 * 400.0)


def test_the_same_seed_gives_the_same_struts():
    points = np.random.default_rng(2).uniform(-30, 30, (5000, 3))
    assert np.array_equal(trabecular_share(points), trabecular_share(points.copy()))
    assert np.abs(trabecular_share(points, seed=7) - trabecular_share(points, seed=8)).mean() > 0.1


def test_a_point_s_share_does_not_depend_on_its_company():
    points = np.random.default_rng(3).uniform(-30, 30, (400, 3))
    alone = np.concatenate([trabecular_share(points[i : i + 1]) for i in range(0, 400, 40)])
    assert np.array_equal(alone, trabecular_share(points)[::40])


@given(x=st.floats(-60, 60), y=st.floats(-60, 60), z=st.floats(-60, 60))
@settings(max_examples=40)
def test_the_pattern_is_continuous(x, y, z):
    step = 1e-3
    here = np.array([[x, y, z]]) + step * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    share = trabecular_share(here, softness_mm=0.25)
    assert ((share >= 0) & (share <= 1)).all()
    # an edge takes 0.25 mm, so a thousandth of a millimetre may change it by little more than 0.004
    assert np.abs(share[1:] - share[0]).max() < 0.03


def test_upright_struts_dominate():
    across, along = struts_per_mm(0), struts_per_mm(2)
    assert across > 1.35 * along
    assert struts_per_mm(1) == pytest.approx(across, rel=0.15)


def test_struts_stand_as_far_apart_as_can_be_seen():
    assert 1.4 < 1.0 / struts_per_mm(0) < 2.5
    assert 1.6 <= SPACING_MM <= 2.5


def test_the_pattern_does_not_repeat_within_a_body():
    u, v = np.meshgrid(np.arange(0, 24, 0.3), np.arange(0, 24, 0.3))
    flat = np.column_stack([u.ravel(), np.full(u.size, 4.0), v.ravel()])
    here = trabecular_share(flat)
    for shift in ([0, 0, 20.9], [20.9, 0, 0], [0, 0, 35.5]):
        assert np.corrcoef(here, trabecular_share(flat + shift))[0, 1] < 0.5


def test_the_network_is_denser_under_the_shell():
    points = np.random.default_rng(4).uniform(-30, 30, (20000, 3))
    means = [trabecular_share(points, np.full(len(points), depth)).mean() for depth in (0.0, 0.5, 1.5, 4.0, 12.0)]
    assert means[0] > means[1] > means[2] > means[3] >= means[4]
    assert means[0] > 1.8 * means[-1]
    assert 0.15 < means[-1] < 0.45


def test_packing_thickens_the_struts_where_they_stand():
    points = np.random.default_rng(6).uniform(-30, 30, (20000, 3))
    usual = trabecular_share(points)
    assert np.array_equal(trabecular_share(points, packing=np.ones(len(points))), usual)
    means = [usual.mean()]
    last = usual
    for packing in (1.5, 2.5, 4.0):
        now = trabecular_share(points, packing=np.full(len(points), packing))
        assert (now >= last - 1e-6).all()  # no strut goes, none comes
        means.append(now.mean())
        last = now
    assert means[1] == pytest.approx(1.35 * means[0], rel=0.12)
    assert 0.6 < means[-1] < 0.95
    assert trabecular_share(points, packing=np.zeros(len(points))).mean() < 0.15 * means[0]


def test_clouds_stay_between_their_ends():
    share = mottled_share(np.random.default_rng(5).uniform(-90, 90, (5000, 3)))
    assert ((share >= 0) & (share <= 1)).all()
    assert share.std() > 0.1


def test_points_must_have_three_columns():
    with pytest.raises(ValueError, match=r"points_mm must have shape \(N, 3\), got \(3,\)"):
        trabecular_share(np.zeros(3))
