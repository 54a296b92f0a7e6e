"""Bone round a balloon is packed, not lost."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
from beds import ALONE, CRUSHED, DEFAULT, DISHED, Situation, inflation, situations
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from spineviz.geometry.grids import lattice
from spineviz.physics import compaction
from spineviz.physics.balloon import inflation_table, lifted_amount
from spineviz.physics.compaction import Rim, rim_round_cavities, rim_round_membranes, rim_speed

CAP = inflation_table()["rim_cap"].value


@cache
def round_cavities(situation: Situation) -> Rim:
    rim = rim_round_cavities(inflation(situation))
    assert rim is not None
    return rim


def bone_ml(rim: Rim, spacing_mm: float, share) -> float:
    """`share` of points (N, 3) summed over the whole trabecular core, on a lattice of its own."""
    core = rim.patient.treated_bone(rim.amount).core
    assert core is not None
    points = lattice(core.bounds_mm, spacing_mm, 0.37).points()
    within = np.clip(0.5 - core.distance(points) / spacing_mm, 0.0, 1.0)
    held = np.flatnonzero(within)
    return float(within[held] @ share(points[held])) * spacing_mm**3 / 1000.0


def around(rim: Rim, count: int = 6000) -> np.ndarray:
    """Points by chance in and round the hollows, within the trabecular core."""
    low, high = rim.field.bounds_mm
    points = np.random.default_rng(5).uniform(low - 1.0, high + 1.0, (count, 3))
    core = rim.patient.treated_bone(rim.amount).core
    assert core is not None
    return points[core.distance(points) < 0]


def inside(rim: Rim, points: np.ndarray) -> np.ndarray:
    return np.any([hollow.field.distance(points) < 0 for hollow in rim.hollows.values()], axis=0)


@given(situations, st.floats(0.15, 1.0))
@example(DEFAULT, 1.0)
@example(CRUSHED, 1.0)
@settings(max_examples=4, phases=(Phase.explicit, Phase.generate))  # to shrink would take minutes
def test_all_the_bone_is_still_there(situation: Situation, share: float):
    whole = inflation(situation)
    now = whole.at(share)
    rim = rim_round_membranes(whole, now.volume_ml, now.lift) if share < 1.0 else round_cavities(situation)
    assert rim is not None
    before = situation.here.trabecular_bone_ml(0.0)
    assert bone_ml(rim, 0.83, rim.bone_share) == pytest.approx(before, rel=0.02)
    # the whole core holds much that never moved: what was moved is all there too
    gone = bone_ml(rim, 0.83, lambda p: situation.here.bone_share(p, rim.amount) * inside(rim, p))
    assert rim.displaced_ml == pytest.approx(gone, rel=0.04, abs=0.002)
    assert rim.added_ml == pytest.approx(rim.displaced_ml, rel=1e-3)


@pytest.mark.parametrize("situation", [DEFAULT, CRUSHED, DISHED, ALONE], ids=lambda s: s.level)
def test_a_hollow_is_empty_its_wall_is_dense_and_beyond_the_rim_nothing_changes(situation):
    rim = round_cavities(situation)
    points = around(rim)
    share, before = rim.bone_share(points), situation.here.bone_share(points, rim.amount)
    hollow, way = inside(rim, points), rim.way_mm(points)
    assert (share[hollow] == 0.0).all()
    assert (share[~hollow] >= before[~hollow] - 1e-12).all()
    assert share[~hollow].max() <= max(CAP, before.max()) + 1e-9
    assert share.max() <= rim.share_max + 0.1
    beyond = ~hollow & (way > rim.width_mm)
    assert np.array_equal(share[beyond], before[beyond])
    near, far = (~hollow & (way < 0.3 * rim.width_mm)), (~hollow & (way > 0.7 * rim.width_mm) & (way < rim.width_mm))
    added = share - before
    assert added[near].mean() > 4.0 * added[far].mean() > 0.0
    assert rim.share_max > 2.0 * situation.here.trabecular_share


def test_the_rim_grows_with_the_balloons():
    whole = inflation(DEFAULT)
    rims = [rim_round_membranes(whole, dict.fromkeys(whole.sides, volume), 0.0) for volume in (0.1, 0.4, 0.9, 1.6)]
    assert all(rim is not None for rim in rims)
    assert np.all(np.diff([rim.added_ml for rim in rims]) > 0)
    assert np.all(np.diff([rim.share_max for rim in rims]) > 0)
    assert rim_round_membranes(whole, dict.fromkeys(whole.sides, 0.0), 0.0) is None


def test_where_bone_cannot_be_packed_denser_the_rim_is_wider(monkeypatch):
    usual = round_cavities(DEFAULT)
    table = dict(inflation_table())
    table["rim_cap"] = dataclasses.replace(table["rim_cap"], value=0.15)
    monkeypatch.setattr(compaction, "inflation_table", lambda: table)
    rim = rim_round_cavities(inflation(DEFAULT))
    assert rim is not None
    assert rim.width_mm > usual.width_mm
    assert rim.added_ml == pytest.approx(rim.displaced_ml, rel=1e-3)


@pytest.mark.parametrize("situation", [DEFAULT, CRUSHED, ALONE], ids=lambda s: s.level)
def test_the_drawn_rim_is_a_closed_skin_round_each_hollow(situation):
    rim = round_cavities(situation)
    mesh = rim.mesh()
    assert mesh.is_closed
    assert mesh.pieces == 2 * len(situation.sides)
    core = situation.here.treated_bone(rim.amount).core
    assert core is not None
    assert core.distance(mesh.points_mm).max() < 0.0
    assert not inside(rim, mesh.points_mm).any()
    assert rim.field.distance(mesh.points_mm).max() < 0.25
    assert mesh.volume_ml > 0.2


def test_a_rim_follows_the_end_plate_as_it_sinks():
    whole = inflation(DEFAULT)
    rim = round_cavities(DEFAULT)
    assert rim.amount == lifted_amount(DEFAULT.here, whole.sunk_lift)
    up = rim_round_cavities(whole, 0.0)
    assert up is not None
    assert up.amount == lifted_amount(DEFAULT.here, whole.lift_peak)
    tops = [max(h.mesh.bounds_mm[1, 2] for h in r.hollows.values()) for r in (up, rim)]
    assert tops[0] > tops[1] + 0.02


def test_cement_is_slower_the_denser_the_bone():
    share = np.array([0.0, 0.05, 0.08, 0.16, 0.32])
    speed = rim_speed(share, 0.08)
    assert np.array_equal(speed[:3], [1.0, 1.0, 1.0])
    assert (np.diff(speed[2:]) < 0).all()
    assert speed.min() > 0.0
