"""Ribs: published lengths, joints that meet with a small gap, and the sweeps that they and the nerves are made of."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.anatomy import bones
from spineviz.anatomy.column import column, level_above, level_below
from spineviz.anatomy.ribs import mirrored_sweep, rib_structures, rib_sweep, rib_table
from spineviz.anatomy.sweeps import _slopes, sweep_along, sweep_field
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.geometry.curves import Curve
from spineviz.geometry.frames import rotation_about

THORACIC = [f"T{i}" for i in range(1, 13)]


def clearance(level, other, points, lying):
    here = column(level, lying)
    return bones.near_field(other)(here.world_from_vertebra(other).inverse().points(points))


@pytest.mark.parametrize("level", THORACIC)
def test_a_rib_is_as_long_as_published(level):
    assert rib_sweep(level).curve.length_mm == pytest.approx(rib_table()[level]["length_mm"], rel=0.02)


def test_the_last_rib_is_about_half_the_last_but_one_and_both_end_free():
    lengths = {level: rib_sweep(level).curve.length_mm for level in THORACIC}
    assert 0.45 < lengths["T12"] / lengths["T11"] < 0.65
    assert max(lengths, key=lengths.__getitem__) in {"T5", "T6", "T7"}
    assert rib_sweep("T12").points_mm[-1, 1] < 40.0  # does not come round to the front
    assert rib_sweep("T7").points_mm[-1, 1] > 70.0


@pytest.mark.parametrize("lying", [0.0, 1.0])
@pytest.mark.parametrize("level", THORACIC)
def test_a_rib_sinks_into_no_vertebra_and_meets_its_own(level, lying):
    sweep = rib_sweep(level)
    points = sweep.mesh(16).points_mm
    ways = [clearance(level, level, points, lying)]
    for other in (level_above(level), level_below(level)):
        if other is not None:
            ways.append(clearance(level, other, points, lying))
    assert np.min(ways) > 0.3
    own = np.min(ways, axis=0)
    head = np.linalg.norm(points - sweep.points_mm[0], axis=1) < 9.0
    assert own[head].min() < 2.5
    if level not in ("T11", "T12"):
        tip = vertebra(level).landmarks["transverse-tip-right"]
        tubercle = np.linalg.norm(points - tip, axis=1) < 16.0
        assert own[tubercle].min() < 2.5


@pytest.mark.parametrize("level", THORACIC)
def test_a_rib_turns_at_its_angle_sweeps_outward_and_falls_forward(level):
    line = rib_sweep(level).points_mm
    back = line[:, 1].argmin()
    assert line[back, 1] < line[0, 1] - 6.0
    assert 5 < back < len(line) - 10
    assert line[:, 0].max() > 1.3 * line[back, 0] or level == "T12"
    assert line[-1, 2] < line[back, 2] + 1.0


def test_structures_are_closed_pairs_on_their_own_sides():
    parts = rib_structures(column("L1"), ("T10", "T11", "T12", "L1"))
    assert set(parts) == {"ribs-right", "ribs-left"}
    for name, part in parts.items():
        mesh = part.world_mesh(1.2)
        assert mesh.is_closed
        assert mesh.pieces == 3
        sign = 1.0 if name == "ribs-right" else -1.0
        assert (sign * mesh.points_mm[:, 0] > 5.0).all()
        assert np.abs(part.field(mesh.points_mm)).max() < 0.5
        assert part.core is not None
        assert part.core(mesh.points_mm).min() > 0.0
    right, left = parts["ribs-right"].mesh(1.2), parts["ribs-left"].mesh(1.2)
    assert right.volume_ml == pytest.approx(left.volume_ml, rel=0.01)
    assert rib_structures(column("L1"), ("L1", "L2")) == {}


def test_ribs_above_a_fracture_keep_their_surface():
    motion = rotation_about([1, 0, 0], -10.0)
    healthy, broken = (rib_structures(column("L1", 0.0, c), ("T10", "T11", "T12")) for c in (None, motion))
    assert healthy["ribs-right"].key == broken["ribs-right"].key
    assert not np.allclose(
        healthy["ribs-right"].world_from_local.origin_mm, broken["ribs-right"].world_from_local.origin_mm
    )


@pytest.mark.parametrize("lying", [0.0, 0.4, 1.0])
def test_ribs_are_the_union_of_their_parts_which_stay_the_same_in_every_posture(lying):
    view = ("T10", "T11", "T12")
    standing, here = (rib_structures(column("L1", posture), view) for posture in (0.0, lying))
    for name, ribs in here.items():
        surface = ribs.world_mesh(1.2).points_mm
        points = surface + np.random.default_rng(0).normal(0.0, 1.0, surface.shape)
        together = np.min([part.field(points) for part in ribs.parts], axis=0)
        assert np.abs(together - ribs.field(points)).max() < 1e-6
        assert [part.key for part in ribs.parts] == [part.key for part in standing[name].parts]
        joined = np.concatenate([part.world_mesh(1.2).points_mm for part in ribs.parts])
        assert np.abs(joined - surface).max() < 1e-6
    assert len({part.key for ribs in here.values() for part in ribs.parts}) == 6


def test_a_lumbar_level_has_no_rib():
    with pytest.raises(RequestError, match="'L1' has no rib; give T1 to T12"):
        rib_sweep("L1")


# ---- sweeps ---------------------------------------------------------------------------------------------------------


def straight(count=41, length=40.0):
    return Curve(np.column_stack([np.zeros(count), np.zeros(count), np.linspace(0.0, length, count)]))


def test_a_straight_sweep_has_the_volume_of_its_elliptic_cylinder():
    sweep = sweep_along(straight(), 3.0, 2.0)
    assert sweep.mesh(96).volume_ml == pytest.approx(np.pi * 3 * 2 * 40 / 1000, rel=2e-3)
    assert sweep.mesh(12).is_closed


def test_slopes_along_sweeps_are_those_of_each_by_itself():
    rng = np.random.default_rng(1)
    counts = (3, 7, 20)
    lines = [np.cumsum(rng.uniform(0.5, 2.0, (count, 3)), axis=0) for count in counts]
    lines[1] += lines[0][-1] - lines[1][0]  # begins where the one before ends
    radii = rng.uniform(2.0, 2.5, (2, sum(counts)))
    ends = np.cumsum([0, *counts])
    said = _slopes(np.concatenate(lines), radii, ends)
    for k, line in enumerate(lines):
        mine = slice(ends[k], ends[k + 1])
        assert said[:, mine] == pytest.approx(np.clip(np.gradient(radii[:, mine], Curve(line).arc_mm, axis=1), -1, 1))


def test_the_field_of_a_round_sweep_is_the_distance_to_its_tube():
    field = sweep_field([sweep_along(straight(), 2.0, 2.0)])
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-6, 6, (500, 2)), rng.uniform(2, 38, 500)])
    assert np.allclose(field(points), np.hypot(points[:, 0], points[:, 1]) - 2.0, atol=1e-9)
    assert field(np.array([[0.0, 0.0, 43.0]]))[0] == pytest.approx(3.0)
    assert field(np.array([[0.0, 0.0, 20.0]]))[0] == pytest.approx(-2.0)
    assert len(field(np.zeros((0, 3)))) == 0


def test_surface_and_field_of_an_egg_agree_and_move_with_a_frame():
    frame = rotation_about([1.0, 2.0, 0.5], 40.0, [3.0, 0.0, 1.0])
    sweep = sweep_along(straight(), np.linspace(2.0, 4.0, 41), 2.5, egg=0.2)
    for one in (sweep, sweep.moved(frame), mirrored_sweep(sweep)):
        points = one.mesh(24).points_mm[:-2]
        assert np.abs(sweep_field([one])(points)).max() < 0.12
        assert one.mesh(24).volume_ml > 0
    assert np.allclose(sweep_field([sweep.moved(frame)])(frame.points(points)), sweep_field([sweep])(points))


def test_many_sweeps_are_one_field():
    left = sweep_along(Curve(straight().points_mm - [5.0, 0, 0]), 1.0, 1.0)
    right = sweep_along(Curve(straight().points_mm + [5.0, 0, 0]), 1.5, 1.5)
    field = sweep_field([left, right])
    assert field(np.array([[-5.0, 0, 10], [5.0, 0, 10], [0.5, 0, 10]])) == pytest.approx([-1.0, -1.5, 3.0])


def test_a_thin_sweep_beside_a_thick_one_does_not_hide_it():
    thick = sweep_along(straight(), 3.0, 3.0)
    thin = sweep_along(Curve(straight().points_mm + [3.4, 0, 0]), 0.3, 0.3)
    rng = np.random.default_rng(5)
    points = np.column_stack([rng.uniform(0, 5, (800, 1)), rng.uniform(-3, 3, (800, 1)), rng.uniform(4, 36, (800, 1))])
    wanted = np.minimum(np.hypot(points[:, 0], points[:, 1]) - 3.0, np.hypot(points[:, 0] - 3.4, points[:, 1]) - 0.3)
    way = sweep_field([thick, thin])(points)
    near = wanted < 0.9
    assert np.allclose(way[near], wanted[near], atol=1e-6)
    assert (way >= wanted - 1e-6).all()
