"""Balloons in broken bodies: what they hold, where they may be, what they lift, and what they leave."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from beds import (
    ALONE,
    BOTH,
    CRUSHED,
    DEFAULT,
    DISHED,
    FORCED,
    NAMED,
    RATED_PSI,
    SLIGHT,
    Situation,
    inflation,
    situations,
)  # fmt: skip
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from spineviz.data import aside
from spineviz.physics.balloon import (
    LATTICE_MM,
    LIFTS,
    Bed,
    Chamber,
    Inflation,
    inflate,
    inflation_table,
    lifted_amount,
    rays,
)

SPACING = 0.8


def figure(name: str) -> float:
    return inflation_table()[name].value


# one balloon where the answer is known --------------------------------------------------------------------------------


def chamber(wall=None, firmness=None, bed=None, origin=(-20.0, -20.0, -20.0)) -> Chamber:
    """A bed along y in a wide room; `wall` and `firmness` are functions of points (N, 3)."""
    bed = bed or Bed("right", np.array([0.0, -7.5, 0.0]), np.array([0.0, 7.5, 0.0]), 1.2)
    shape = (41, 41, 41)
    points = np.stack(np.meshgrid(*[np.arange(n) * LATTICE_MM for n in shape], indexing="ij"), -1).reshape(-1, 3)
    points = points + origin
    walls = np.full(len(points), -50.0) if wall is None else wall(points)
    firm = np.ones(len(points)) if firmness is None else firmness(points)
    held = np.tile(walls.reshape((1, *shape)), (len(LIFTS), 1, 1, 1)).astype(np.float32)
    return Chamber(bed, None, -1e3, np.array(origin), held, firm.reshape(shape).astype(np.float32))


def alone(here: Chamber) -> Inflation:
    """An inflation of which only the shapes are asked."""
    whole = inflation(ALONE)
    table = whole.tables["right"]
    return Inflation(whole.patient, {"right": here}, {"right": table}, whole.course)


@pytest.mark.parametrize(("volume", "length", "width"), [(2.0, 18.0, 14.6), (3.0, 20.0, 16.9), (4.0, 22.0, 18.6)])
def test_a_free_balloon_is_as_long_and_as_wide_as_a_prolate_spheroid_of_its_volume(volume, length, width):
    points = alone(chamber()).membrane_mesh("right", volume, 0.0, SPACING).points_mm
    assert np.ptp(points[:, 1]) == pytest.approx(length, rel=0.05)
    assert np.ptp(points[:, 0]) == pytest.approx(width, rel=0.05)
    assert np.ptp(points[:, 2]) == pytest.approx(np.ptp(points[:, 0]), rel=0.01)


def test_shapes_move_with_the_world():
    away = np.array([3.0, -2.0, 5.0])
    bed = Bed("right", np.array([0.0, -7.5, 0.0]) + away, np.array([0.0, 7.5, 0.0]) + away, 1.2)
    here = alone(chamber()).membrane_mesh("right", 1.5, 0.0, SPACING)
    there = alone(chamber(bed=bed, origin=tuple(away - 20.0))).membrane_mesh("right", 1.5, 0.0, SPACING)
    assert np.allclose(there.points_mm, here.points_mm + away, atol=1e-6)


def test_a_balloon_is_longer_where_bone_is_soft():
    soft_ahead = alone(chamber(firmness=lambda p: np.where(p[:, 1] > 0, 0.8, 1.25)))
    points = soft_ahead.membrane_mesh("right", 2.0, 0.0, SPACING).points_mm
    even = alone(chamber()).membrane_mesh("right", 2.0, 0.0, SPACING).points_mm
    assert points[:, 1].max() > even[:, 1].max() + 0.15
    assert np.ptp(points[points[:, 1] > 3, 0]) > 1.15 * np.ptp(points[points[:, 1] < -3, 0])


def test_a_balloon_is_flat_on_a_wall_and_never_beyond_it():
    against = alone(chamber(wall=lambda p: p[:, 2] - 4.0))
    mesh = against.membrane_mesh("right", 3.0, 0.0, SPACING)
    assert mesh.points_mm[:, 2].max() < 4.05
    on_it = mesh.points_mm[mesh.points_mm[:, 2] > 3.7]
    assert np.ptp(on_it[:, 0]) > 7.0
    assert np.ptp(on_it[:, 1]) > 9.0
    assert mesh.points_mm[:, 2].min() < -8.0  # what is held above goes below


# in the body ----------------------------------------------------------------------------------------------------------


@given(situations, st.floats(0.02, 1.0))
@example(CRUSHED, 1.0)
@example(FORCED, 1.0)
@settings(max_examples=7, phases=(Phase.explicit, Phase.generate))  # to shrink would take minutes
def test_membranes_hold_their_volume_inside_the_room_and_apart(situation: Situation, share: float):
    whole = inflation(situation)
    now = whole.at(share)
    core = situation.here.treated_bone(lifted_amount(situation.here, now.lift)).core
    assert core is not None
    for side, volume in now.volume_ml.items():
        mesh = whole.membrane_mesh(side, volume, now.lift, SPACING)
        assert mesh.is_closed
        assert mesh.pieces == 1
        assert abs(mesh.volume_ml - volume) <= max(0.02 * volume, 0.02)
        assert core.distance(mesh.points_mm).max() < 0
        assert mesh.points_mm[:, 1].min() > situation.quarter_y_mm + 1.8
        # the field is the same shape: it holds the mesh shrunk a little and nothing of it grown a little
        middle = mesh.points_mm.mean(0)
        field = whole.membrane(side, volume, now.lift)
        assert field.contains(middle + 0.94 * (mesh.points_mm - middle)).all()
        assert not field.contains(middle + 1.06 * (mesh.points_mm - middle)).any()
        for other in set(now.volume_ml) - {side}:
            assert not whole.membrane(other, now.volume_ml[other], now.lift).contains(mesh.points_mm).any()


@pytest.mark.parametrize("volume", [0.004, 0.02, 0.1, 0.31, 0.9, 1.7])
@pytest.mark.parametrize("spacing", [0.5, 0.8, 2.0])
def test_every_mesh_holds_the_volume_from_the_first_drop(volume, spacing):
    mesh = inflation(DEFAULT).membrane_mesh("right", volume, 0.1, spacing)
    assert mesh.is_closed
    assert mesh.volume_ml == pytest.approx(volume, rel=1e-3)


def test_nothing_in_it_is_nothing():
    whole = inflation(DEFAULT)
    assert len(whole.membrane_mesh("left", 0.0, 0.0, SPACING).points_mm) == 0
    assert not whole.membrane("left", 0.0, 0.0).contains(DEFAULT.beds["left"].centre_mm[None, :]).any()


@pytest.mark.parametrize("situation", [DEFAULT, CRUSHED, DISHED, ALONE], ids=lambda s: s.level)
def test_membranes_are_nested_as_they_grow(situation):
    whole = inflation(situation)
    for side in whole.sides:
        full = whole.volume_ml[side]
        for less, more in pairwise(full * np.linspace(0.15, 1.0, 5)):
            mesh = whole.membrane_mesh(side, less, 0.1, SPACING)
            middle = mesh.points_mm.mean(0)
            assert whole.membrane(side, more, 0.1).contains(middle + 0.99 * (mesh.points_mm - middle)).all()


# the lift -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("situation", NAMED, ids=lambda s: f"{s.level}-{s.share}")
def test_lift_and_measured_heights_never_fall_while_balloons_grow(situation):
    whole = inflation(situation)
    f = situation.here.fracture
    seen = [whole.at(share).lift for share in np.linspace(0.0, 1.0, 60)]
    assert seen[0] == 0.0
    assert all(after >= before for before, after in pairwise(seen))
    heights = [f.heights(lifted_amount(situation.here, lift)) for lift in seen]
    # a biconcave fracture leaves the front as it is, but for the thousandths by which its fold lengthens a line
    slack = 0.01 if situation.shape == "biconcave" else 1e-9
    for before, after in pairwise(heights):
        assert after.anterior_mm >= before.anterior_mm - slack
        assert after.middle_mm >= before.middle_mm - 1e-9
        assert after.wedge_deg <= before.wedge_deg + slack
    # each volume alone as well
    for side in whole.sides:
        held = {other: 0.6 * whole.volume_ml[other] for other in whole.sides}
        lifts = [whole.lift_at({**held, side: volume}) for volume in np.linspace(0.0, 3.0, 40)]
        assert all(after >= before for before, after in pairwise(lifts))


def test_two_balloons_lift_more_than_one():
    whole = inflation(DEFAULT)
    both = whole.lift_at(whole.volume_ml)
    assert both > 0.15
    for side in BOTH:
        assert both > 1.4 * whole.lift_at({side: whole.volume_ml[side]})


def test_the_default_case_ends_five_to_eight_degrees_better_than_it_began():
    whole = inflation(DEFAULT)
    here = DEFAULT.here
    standing, lying, peak, final = (
        here.fracture.heights(amount)
        for amount in (1.0, here.fracture.lying_amount, lifted_amount(here, whole.lift_peak),
                       lifted_amount(here, whole.sunk_lift))
    )  # fmt: skip
    assert 5.0 < standing.wedge_deg - final.wedge_deg < 8.0
    assert standing.wedge_deg > lying.wedge_deg > final.wedge_deg > peak.wedge_deg
    regained = peak.anterior_mm - lying.anterior_mm
    assert peak.anterior_mm - final.anterior_mm == pytest.approx(0.128 * regained, rel=5e-3)


# the course -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("situation", NAMED, ids=lambda s: f"{s.level}-{s.share}")
def test_volumes_grow_from_nothing_and_pressure_keeps_to_the_rating(situation):
    whole = inflation(situation)
    assert set(whole.stop) == set(situation.sides)
    for side in whole.sides:
        curve = whole.curve(side, 1.0)
        assert curve[0] == pytest.approx([0.0, 0.0])
        assert (np.diff(curve[:, 0]) >= 0).all()
        assert curve[-1, 0] == pytest.approx(whole.volume_ml[side])
        assert curve[:, 1].min() >= 0
        assert whole.peak_psi[side] == curve[:, 1].max() <= RATED_PSI
        half = whole.curve(side, 0.5)
        assert np.array_equal(half[:-1], curve[: len(half) - 1])


@pytest.mark.parametrize("side", BOTH)
def test_the_curve_has_the_features_of_a_balloon_in_bone(side):
    whole = inflation(DEFAULT)
    curve = whole.curve(side, 1.0)
    volume, pressure = curve.T
    # it seats at about 50 psi
    seated = pressure[np.searchsorted(volume, figure("seat_ml") - 1e-9)]
    assert seated == pytest.approx(50.0, abs=3.0)
    # each step raises pressure, which decays while the volume is held
    still = np.diff(volume) < 1e-9
    assert (np.diff(pressure)[still] <= 1e-9).all()
    holds = [part for part in np.split(np.arange(len(still)), np.flatnonzero(np.diff(still)) + 1) if still[part[0]]]
    assert len(holds) >= 5
    assert min(pressure[part[0]] - pressure[part[-1]] for part in holds[1:]) > 12.0
    # trabeculae give way: drops while it still grows
    growing = np.diff(volume) > 1e-4
    assert (np.diff(pressure)[growing & (volume[:-1] > 0.5)] < -1.0).sum() >= 2
    # and a plateau below 220 psi in such bone
    assert pressure[volume > 1.2].min() > 100.0
    assert pressure.max() < 220.0


def test_pressure_rises_steeply_when_a_balloon_lies_on_end_plate_and_wall():
    whole = inflation(FORCED)
    assert set(whole.stop.values()) == {"contact"}
    for side in BOTH:
        volume, pressure = whole.curve(side, 1.0).T
        last = volume[-1]
        peaks = [pressure[(volume > low) & (volume <= low + 0.45)].max() for low in (1.2, 1.65, last - 0.45)]
        assert peaks[2] - peaks[1] > 2.5 * max(peaks[1] - peaks[0], 0.0)
        assert peaks[2] > 200.0


def test_right_and_left_differ_by_their_bone():
    whole = inflation(DEFAULT)
    right, left = (whole.curve(side, 1.0)[:, 1] for side in BOTH)
    assert np.abs(right - left).max() > 3.0


def test_it_says_what_stopped_each_side():
    assert set(inflation(DEFAULT).stop.values()) == {"volume"}
    slight = inflation(SLIGHT)
    assert slight.lift_peak == 1.0
    assert "height" in slight.stop.values()
    weak = inflation(FORCED, 150.0)
    assert set(weak.stop.values()) == {"pressure"}
    assert max(weak.peak_psi.values()) <= 150.0
    assert max(weak.volume_ml.values()) < min(inflation(FORCED).volume_ml.values())
    rated = inflate(DEFAULT.beds, DEFAULT.here, dict.fromkeys(BOTH, 9.0), 1.1, 400.0, DEFAULT.quarter_y_mm, 7)
    assert rated.stop == {"right": "rating", "left": "rating"}
    assert rated.volume_ml == pytest.approx({"right": 1.1, "left": 1.1})


def test_a_side_that_has_stopped_waits_for_the_other():
    whole = inflate(
        DEFAULT.beds, DEFAULT.here, {"right": 0.7, "left": 1.5}, 4.0, 400.0, DEFAULT.quarter_y_mm, 7
    )  # fmt: skip
    assert whole.volume_ml == pytest.approx({"right": 0.7, "left": 1.5})
    moments = [whole.at(share) for share in np.linspace(0.0, 1.0, 80)]
    for now in moments:
        assert now.volume_ml["right"] <= now.volume_ml["left"] + 1e-9
    waiting = [now for now in moments if now.volume_ml["left"] > 1.0]
    assert {now.volume_ml["right"] for now in waiting} == {0.7}


# afterwards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("situation", NAMED, ids=lambda s: f"{s.level}-{s.share}")
def test_a_cavity_stays_that_is_a_little_less_than_what_was_in(situation):
    whole = inflation(situation)
    here = situation.here
    core = here.treated_bone(lifted_amount(here, whole.sunk_lift)).core
    assert core is not None
    for side in whole.sides:
        held = whole.volume_ml[side]
        shrinking = [whole.cavity_ml(side, deflated) for deflated in (0.0, 0.4, 0.7, 1.0)]
        assert shrinking[0] == held
        assert all(after <= before for before, after in pairwise(shrinking))
        assert 0.9 * held < shrinking[-1] < held or whole.lift_peak == 0.0
        mesh = whole.cavity_mesh(side)
        assert core.distance(mesh.points_mm).max() < 0
        middle = mesh.points_mm.mean(0)
        assert whole.cavity(side).contains(middle + 0.95 * (mesh.points_mm - middle)).all()
        assert not whole.cavity(side).contains(middle + 1.05 * (mesh.points_mm - middle)).any()


@pytest.mark.parametrize("situation", [DEFAULT, CRUSHED], ids=lambda s: s.level)
def test_a_balloon_empties_within_its_cavity(situation):
    whole = inflation(situation)
    for side in whole.sides:
        volumes = [whole.emptying_ml(side, deflated) for deflated in np.linspace(0.0, 1.0, 11)]
        assert volumes[0] == whole.volume_ml[side]
        assert volumes[-1] == 0.0
        assert all(after < before for before, after in pairwise(volumes))
        for deflated in (0.0, 0.3, 0.8):
            mesh = whole.emptying_mesh(side, deflated, SPACING)
            volume = whole.emptying_ml(side, deflated)
            assert abs(mesh.volume_ml - volume) <= max(0.01 * volume, 0.01)
            middle = mesh.points_mm.mean(0)
            assert whole.cavity(side, deflated).contains(middle + 0.98 * (mesh.points_mm - middle)).all()


# kept -----------------------------------------------------------------------------------------------------------------


def test_packed_and_unpacked_are_the_same():
    whole = inflation(DEFAULT)
    numbers, arrays = whole.packed()
    again = Inflation.unpacked(numbers, arrays, DEFAULT.here)
    assert again.stop == whole.stop
    assert again.at(0.37) == whole.at(0.37)
    assert again.lift_at({"right": 1.3, "left": 1.7}) == whole.lift_at({"right": 1.3, "left": 1.7})
    for side in BOTH:
        one, other = (i.membrane_mesh(side, 1.234, 0.2, SPACING).points_mm for i in (whole, again))
        assert np.array_equal(one, other)
        assert whole.cavity_ml(side) == again.cavity_ml(side)
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())


def test_the_same_seed_is_the_same_inflation_and_another_another():
    here = Situation(seed=21, share=0.4)
    first, second = (
        inflate(here.beds, here.here, dict.fromkeys(BOTH, 1.6), 4.0, 400.0, here.quarter_y_mm, 21).packed()
        for _ in range(2)
    )
    other = inflate(here.beds, here.here, dict.fromkeys(BOTH, 1.6), 4.0, 400.0, here.quarter_y_mm, 22).packed()
    assert all(first[1][name].tobytes() == second[1][name].tobytes() for name in first[1])
    assert not np.array_equal(first[1]["pressures-right"], other[1]["pressures-right"])


def test_it_is_the_same_to_the_last_bit_however_many_processes_table_it(monkeypatch):
    packed = []
    for two in (True, False):
        monkeypatch.setattr(aside, "two_at_once", lambda two=two: two and aside.FORKS)
        here = Situation(seed=21, share=0.4)
        made = inflate(here.beds, here.here, dict.fromkeys(BOTH, 1.6), 4.0, 400.0, here.quarter_y_mm, 21)
        packed.append(made.packed()[1])
    assert all(packed[0][name].tobytes() == packed[1][name].tobytes() for name in packed[0])


def test_membranes_that_are_sought_together_are_those_that_are_sought_alone():
    here = inflation(DEFAULT).chambers["right"]
    room, grid = here.room(0.3), rays(9, 14)
    together = here.surfaces([0.7, 3.1, 5.2], room, grid)
    for level, found in zip((0.7, 3.1, 5.2), together, strict=True):
        assert np.array_equal(found.points_mm, here.surface(level, room, grid).points_mm)


def test_both_cavities_are_where_each_is_alone():
    whole = inflation(DEFAULT)
    points = np.random.default_rng(2).uniform(-18.0, 18.0, (500, 3))
    again = Inflation.unpacked(*whole.packed(), DEFAULT.here)
    for side in BOTH:  # the second is read with what the first has remembered, and not at other points or moments
        expected = Inflation.unpacked(*whole.packed(), DEFAULT.here).cavity(side, 0.6).distance(points)
        assert np.array_equal(again.cavity(side, 0.6).distance(points), expected)
        assert not np.array_equal(again.cavity(side, 0.3).distance(points), expected)
        assert not np.array_equal(again.cavity(side, 0.6).distance(points + 0.5), expected)


def test_what_of_a_bed_lies_in_the_back_quarter_stays_folded():
    bed = DEFAULT.beds["right"]
    back = Bed("right", bed.rear_mm - 6.0 * bed.forward, bed.front_mm, 1.2)
    whole = inflate({"right": back}, DEFAULT.here, {"right": 2.0}, 4.0, 400.0, DEFAULT.quarter_y_mm, 7)
    assert back.rear_mm[1] < DEFAULT.quarter_y_mm
    mesh = whole.membrane_mesh("right", 2.0, whole.lift_peak, SPACING)
    assert mesh.points_mm[:, 1].min() > DEFAULT.quarter_y_mm + 1.8
    assert mesh.volume_ml == pytest.approx(2.0, rel=1e-3)
    with pytest.raises(ValueError, match="right balloon"):
        inflate({"right": back}, DEFAULT.here, {"right": 2.0}, 4.0, 400.0, float(back.front_mm[1]) - 2.0, 7)


def test_a_bed_outside_the_bone_is_refused():
    bed = DEFAULT.beds["right"]
    out = Bed("right", bed.rear_mm, bed.front_mm + [0.0, 12.0, 0.0], 1.2)
    with pytest.raises(ValueError, match="right balloon"):
        inflate({"right": out}, DEFAULT.here, {"right": 2.0}, 4.0, 400.0, DEFAULT.quarter_y_mm, 7)
