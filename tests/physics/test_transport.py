"""Contrast, drug and particles in a tree of arteries: one tube whose answer is known, and any tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.data.errors import RequestError
from spineviz.physics.transport import Bed, FlowTree, Injection, Transport, cut_at_forks, embolize, flow_figures

# aorta, segmental artery with a feeder and a muscular branch, aorta below, two iliacs
AORTA = FlowTree(
    [-1, 0, 0, 1, 1, 2, 2],
    [120, 40, 100, 20, 30, 60, 60],
    [9.0, 1.25, 8.8, 0.6, 0.9, 5.0, 5.0],
    70.0,
    tumour_share=[0, 0, 0, 1, 0, 0, 0],
)
SEGMENTAL, FEEDER, MUSCULAR = 1, 3, 4


def tube(spread_s, inflow=2.0, **bed):
    tree = FlowTree([-1], [100.0], [1.5], inflow, tumour_share=[1.0])
    return lambda *injections: Transport(tree, injections, Bed(**bed) if bed else Bed(), spread_s)


@st.composite
def trees(draw):
    count = draw(st.integers(1, 14))
    parent = [-1] + [draw(st.integers(max(0, k - 4), k - 1)) for k in range(1, count)]
    floats = st.floats(0.4, 9.0)
    return FlowTree(
        parent,
        [draw(st.floats(3.0, 150.0)) for _ in range(count)],
        [draw(floats) for _ in range(count)],
        draw(st.floats(0.2, 80.0)),
        draw(st.sampled_from([2.0, 3.0])),
        [draw(st.sampled_from([1.0, 1.0, 0.5, 0.02])) for _ in range(count)],
        [draw(st.sampled_from([0.0, 0.0, 1.0, 0.3])) for _ in range(count)],
    )


@st.composite
def transports(draw):
    tree = draw(trees())
    injections = []
    for _ in range(draw(st.integers(1, 3))):
        branch = draw(st.integers(0, len(tree) - 1))
        injections.append(
            Injection(
                branch,
                draw(st.floats(0.1, 30.0)),
                draw(st.floats(0.1, 15.0)),
                draw(st.floats(0.0, 5.0)),
                draw(st.floats(0.0, 1.0)) * float(tree.length_mm[branch]),
            )
        )
    bed = Bed(draw(st.floats(2.0, 20.0)), draw(st.sampled_from([0.0, 0.4, 1.0])))
    return Transport(tree, tuple(injections), bed, draw(st.sampled_from([0.0, 0.03, 0.12, 0.5])))


def test_a_sharp_bolus_moves_at_flow_by_area():
    injection = Injection(0, 0.4, 2.0)
    moved = tube(0.0)(injection)
    speed = 1000 * 2.0 / (np.pi * 1.5**2)
    assert moved.tree.speed_mm_s[0] == pytest.approx(speed)
    for time in (0.05, 0.15, 0.25, 0.3):
        cells = moved.concentration(time, 0.1)[0]
        where = np.flatnonzero(cells > 0.5) * 0.1
        assert where.max() + 0.1 == pytest.approx(speed * time, abs=0.11)
        assert where.min() == pytest.approx(speed * max(time - 0.2, 0), abs=0.11)
        assert cells.max() == pytest.approx(1.0)


def test_what_goes_into_twice_the_flow_is_half_as_strong():
    cells = tube(0.0, inflow=4.0)(Injection(0, 0.4, 2.0)).concentration(0.15, 1.0)[0]
    assert cells.max() == pytest.approx(0.5)


def test_a_bolus_spreads_on_its_way_and_keeps_its_middle():
    spread = 0.1
    moved = tube(spread, inflow=0.5)(Injection(0, 0.0005, 0.5))
    times = np.linspace(0, 6, 6001)
    passed = np.array([moved.arrived_ml(t)[0] for t in times]) / 0.0005
    mean = np.trapezoid(1 - passed, times)
    variance = np.trapezoid(2 * times * (1 - passed), times) - mean**2
    transit = 100.0 / moved.tree.speed_mm_s[0]
    assert mean == pytest.approx(transit + 0.0005, abs=2e-3)
    assert variance == pytest.approx(spread * transit, rel=0.01)


def test_the_way_through_two_vessels_is_that_through_one_of_their_length():
    one = FlowTree([-1], [100.0], [1.5], 2.0)
    two = FlowTree([-1, 0], [35.0, 65.0], [1.5, 1.5], 2.0)
    for time in (0.2, 0.35, 0.5, 1.0):
        injection = Injection(0, 0.4, 2.0, 0.05, 10.0)
        whole = Transport(one, (injection,)).concentration(time, 5.0)[0]
        halves = np.concatenate(Transport(two, (injection,)).concentration(time, 5.0))
        assert halves == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("spread_s", [0.0, 0.12])
@pytest.mark.parametrize("kept", [0.0, 0.6])
def test_the_tumour_fills_and_empties_as_its_equation_says(spread_s, kept):
    moved = tube(spread_s, washout_s=4.0, kept_share=kept)(Injection(0, 1.5, 1.0, 0.3))
    times = np.arange(0.0, 20.0, 0.002)
    came = np.array([moved.arrived_ml(t)[0] for t in times])
    # dM/dt = inflow - M / T, step by step, for what is not kept
    loose, held = 0.0, [0.0]
    decay = np.exp(-0.002 / 4.0)
    for step in np.diff(came):
        loose = loose * decay + (1 - kept) * step * np.sqrt(decay)
        held.append(loose)
    expected = np.array(held) + kept * came
    assert [moved.tumour_ml(t) for t in times[::500]] == pytest.approx(expected[::500], abs=2e-4)


@given(tree=trees())
def test_what_comes_to_a_branch_point_goes_on(tree):
    flow = tree.flow_ml_s
    for k, children in enumerate(tree.children):
        if len(children):
            assert flow[children].sum() == pytest.approx(flow[k])
    assert flow[tree.is_end].sum() == pytest.approx(tree.inflow_ml_s)
    assert (flow >= 0).all()


def test_blood_divides_by_the_power_of_the_radius():
    for power in (2.0, 3.0):
        tree = FlowTree([-1, 0, 0], [50, 50, 50], [3, 2, 1], 9.0, power)
        assert tree.flow_ml_s[1] / tree.flow_ml_s[2] == pytest.approx(2**power)


@settings(max_examples=80)
@given(moved=transports(), time=st.floats(0.0, 60.0))
def test_injected_is_in_the_tree_in_the_tumour_or_washed_out(moved, time):
    totals = moved.totals(time)
    parts = (totals.tree_ml, totals.tumour_ml, totals.washed_ml)
    assert sum(parts) == pytest.approx(totals.injected_ml, rel=1e-9, abs=1e-12)
    assert min(parts) >= -1e-9
    # what the pictures show is what the sums say
    cells = moved.concentration(time, 7.0)
    shown = np.array([c.mean() for c in cells]) * moved.tree.volume_ml
    assert shown == pytest.approx(moved.contained_ml(time), abs=1e-9)
    assert min(c.min() for c in cells) >= -1e-9
    # nowhere stronger than all catheters together
    assert max(c.max() for c in cells) <= len(moved.injections) + 1e-6


@settings(max_examples=40)
@given(moved=transports(), one=st.floats(0.0, 30.0), more=st.floats(0.0, 30.0))
def test_what_has_left_never_comes_back(moved, one, more):
    before, after = moved.totals(one), moved.totals(one + more)
    assert after.washed_ml >= before.washed_ml - 1e-9
    assert (moved.arrived_ml(one + more) >= moved.arrived_ml(one) - 1e-9).all()


def test_in_the_end_all_of_it_is_washed_out():
    totals = Transport(AORTA, (Injection(SEGMENTAL, 4.0, 1.5), Injection(0, 30.0, 15.0))).totals(400.0)
    assert totals.washed_ml == pytest.approx(34.0)
    assert totals.tree_ml + totals.tumour_ml < 1e-9


def test_the_blush_outlasts_the_arteries():
    moved = Transport(AORTA, (Injection(FEEDER, 0.1, 0.05),))
    after = moved.totals(8.0)
    assert after.tree_ml < 1e-6
    assert after.tumour_ml > 0.02


def test_nothing_reaches_what_is_not_behind_the_tip():
    moved = Transport(AORTA, (Injection(FEEDER, 0.1, 0.02),))
    assert moved.runs_back_ml_s() == 0
    arrived = moved.arrived_ml(60.0)
    assert arrived[FEEDER] == pytest.approx(0.1)
    assert np.delete(arrived, FEEDER).max() == 0


def test_too_fast_runs_back_into_the_neighbours_and_is_still_counted():
    rate = 3.0 * float(AORTA.flow_ml_s[FEEDER])
    moved = Transport(AORTA, (Injection(FEEDER, 1.0, rate),), surge=2.0)
    assert moved.runs_back_ml_s() == pytest.approx(rate / 3)
    arrived = moved.arrived_ml(200.0)
    assert arrived[FEEDER] == pytest.approx(2 / 3)
    assert arrived[MUSCULAR] == pytest.approx(1 / 3)
    assert moved.totals(200.0).washed_ml == pytest.approx(1.0)


def test_a_segmental_injection_that_is_far_too_fast_reaches_the_aorta():
    moved = Transport(AORTA, (Injection(SEGMENTAL, 4.0, 20.0),))
    contents = moved.contained_ml(0.1)
    assert contents[2] > contents[SEGMENTAL] > 0
    # upstream of the branch point there is none
    assert contents[0] == 0


def test_a_closed_bed_draws_no_blood_and_takes_nothing():
    open_share = np.ones(7)
    open_share[FEEDER] = 0.0
    closed = AORTA.with_open(open_share)
    assert closed.flow_ml_s[FEEDER] == 0
    assert closed.flow_ml_s[MUSCULAR] == pytest.approx(closed.flow_ml_s[SEGMENTAL])
    moved = Transport(closed, (Injection(SEGMENTAL, 4.0, 1.5),))
    assert moved.arrived_ml(50.0)[FEEDER] == 0
    assert moved.totals(50.0).tumour_ml == 0
    assert AORTA.open_share[FEEDER] == 1


def test_particles_slow_the_flow_until_one_stops():
    done = embolize(AORTA, FEEDER, 5.0, 0.02, 0.02, 3.0, 200, 20.0, 10.0, surge=20.0, slower=False)
    assert done.stop == "stasis"
    assert (np.diff(done.flow_share) < 0).all()
    assert done.flow_share[-1] <= flow_figures()["stop_share"] < done.flow_share[-2]
    given_mg = sum(pulse.volume_ml for pulse in done.pulses) * 20.0
    assert done.lodged_mg[-1] + done.astray_mg.sum() == pytest.approx(given_mg)
    assert done.astray_mg.sum() == 0
    # each pulse is carried by the flow that was left
    flows = [float(pulse.tree.flow_ml_s[FEEDER]) for pulse in done.pulses]
    assert flows == sorted(flows, reverse=True)
    assert done.flow_share_at(-1.0) == 1
    assert done.flow_share_at(1e6) == done.flow_share[-1]
    times = np.linspace(0, done.pulses[-1].end_s, 200)
    assert (np.diff([done.flow_share_at(t) for t in times]) <= 1e-12).all()
    assert (np.diff([done.lodged_mg_at(t) for t in times]) >= -1e-12).all()
    assert Transport(AORTA, done.pulses, surge=20.0).totals(500.0).washed_ml == pytest.approx(given_mg / 20.0)


def test_one_stops_before_particles_run_back():
    first = float(AORTA.flow_ml_s[FEEDER])
    done = embolize(AORTA, FEEDER, 5.0, 0.01, 0.5 * first, 3.0, 500, 20.0, 10.0, slower=False)
    assert done.stop == "reflux"
    assert done.flow_share[-1] < 0.5 < done.flow_share[-2]
    moved = Transport(AORTA, done.pulses, surge=1.0)
    assert max(moved.runs_back_ml_s(i) for i in range(len(done.pulses))) == 0


def test_pulses_become_slower_and_smaller_with_the_flow_and_never_run_back():
    done = embolize(AORTA, FEEDER, 5.0, 0.2, 0.2, 3.0, 500, 20.0, 10.0)
    assert done.stop == "stasis"
    rates = [pulse.rate_ml_s for pulse in done.pulses]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < 0.2
    assert all(pulse.volume_ml == pytest.approx(pulse.rate_ml_s) for pulse in done.pulses)
    moved = Transport(AORTA, done.pulses, surge=1.0)
    assert max(moved.runs_back_ml_s(i) for i in range(len(done.pulses))) == 0
    assert np.delete(moved.arrived_ml(1e4), FEEDER).max() == 0


def test_a_tumour_that_draws_more_takes_its_blood_from_the_whole_way():
    thirsty = np.ones(7)
    thirsty[FEEDER] = 5.0
    more = AORTA.with_open(thirsty)
    # 5 x 0.6³ + 0.9³ in place of 0.6³ + 0.9³ at the fork, and the segmental artery draws as much more
    assert more.flow_ml_s[FEEDER] / more.flow_ml_s[MUSCULAR] == pytest.approx(5 * (0.6 / 0.9) ** 3)
    grown = (5 * 0.6**3 + 0.9**3) / (0.6**3 + 0.9**3)
    assert more.flow_ml_s[SEGMENTAL] / more.flow_ml_s[2] == pytest.approx(
        grown * AORTA.flow_ml_s[SEGMENTAL] / AORTA.flow_ml_s[2]
    )


def test_the_whole_dose_may_be_given_first():
    done = embolize(AORTA, FEEDER, 5.0, 0.01, 0.01, 3.0, 3, 20.0, 10.0)
    assert (done.stop, len(done.pulses)) == ("dose", 3)


def test_given_from_further_up_particles_go_astray():
    done = embolize(AORTA, SEGMENTAL, 5.0, 0.05, 0.05, 3.0, 20, 20.0, 1000.0)
    assert done.astray_mg[MUSCULAR] > done.lodged_mg[-1] > 0


def test_a_branch_without_tumour_and_a_first_pulse_too_fast_are_refused():
    with pytest.raises(RequestError, match="feeds no tumour"):
        embolize(AORTA, MUSCULAR, 5.0, 0.1, 0.1, 3.0, 5, 20.0, 10.0)
    with pytest.raises(RequestError, match=r"9 mL/s would run back, the branch takes 0\.\d\d mL/s"):
        embolize(AORTA, FEEDER, 5.0, 1.0, 9.0, 3.0, 5, 20.0, 10.0, slower=False)


@pytest.mark.parametrize(
    ("parent", "length", "message"),
    [([0, -1], [1, 1], "parent"), ([-1, 2, 0], [1, 1, 1], "parent"), ([-1], [0.0], "length_mm must be positive")],
)
def test_a_tree_that_is_none_is_refused(parent, length, message):
    with pytest.raises(ValueError, match=message):
        FlowTree(parent, length, np.ones(len(parent)), 1.0)


def test_a_tip_outside_its_branch_is_refused():
    with pytest.raises(ValueError, match="at_mm 50 does not lie on branch 3"):
        Transport(AORTA, (Injection(FEEDER, 1.0, 1.0, at_mm=50.0),))


def test_vessels_are_cut_where_others_spring():
    # an aorta with a pair of branches at 40 mm, one at 70 mm and two from its end
    forks = cut_at_forks([-1, 0, 0, 0, 0, 0], [0, 40, 40.02, 70, 100, 100], [100, 30, 31, 20, 60, 61])
    assert forks.parent.tolist() == [-1, 0, 1, 0, 0, 1, 2, 2]
    assert forks.vessel.tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert forks.length_mm == pytest.approx([40, 30, 30, 30, 31, 20, 60, 61], abs=0.05)
    assert forks.place(0, 55.0) == (1, pytest.approx(15.0))
    assert forks.place(0, 0.0) == (0, 0.0)
    assert forks.place(3, 20.0) == (5, pytest.approx(20.0))
    assert (forks.ends(0), forks.ends(2)) == (2, 4)
    tree = FlowTree(forks.parent, forks.length_mm, np.full(8, 1.0), 8.0)
    assert tree.flow_ml_s == pytest.approx([8, 8 / 3, 4 / 3, 8 / 3, 8 / 3, 4 / 3, 2 / 3, 2 / 3])
    with pytest.raises(ValueError, match="vessel 1 springs from 120 mm of one that is 100 mm long"):
        cut_at_forks([-1, 0], [0, 120], [100, 30])


@given(tree=trees())
def test_cutting_keeps_every_length_and_every_way_from_the_root(tree):
    share = np.linspace(0.2, 1.0, len(tree))
    parent_mm = np.where(tree.parent >= 0, share * tree.length_mm[tree.parent], 0.0)
    forks = cut_at_forks(tree.parent.tolist(), parent_mm, tree.length_mm)
    assert np.bincount(forks.vessel, forks.length_mm) == pytest.approx(tree.length_mm)

    def way(parents, lengths, k):
        return 0.0 if k < 0 else lengths[k] + way(parents, lengths, parents[k])

    for k in range(len(tree)):
        direct, above = float(tree.length_mm[k]), k
        while tree.parent[above] >= 0:
            direct, above = direct + float(parent_mm[above]), int(tree.parent[above])
        assert way(forks.parent, forks.length_mm, forks.ends(k)) == pytest.approx(direct, abs=1.5)
