"""The plan of chemoembolization: what must hold for every side, level and moment, and what it refuses."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy import epidural
from spineviz.data.errors import RequestError
from spineviz.data.films import film
from spineviz.procedures.case import load_case
from spineviz.procedures.chemoembolization import CORD_ARTERIES, case_runs, plan_chemoembolization
from spineviz.procedures.state import STATE_KEYS

CASES = (
    (),
    (
        "spine.level=T8",
        "artery.target_side=right",
        "tumour.side=right",
        "tumour.diameter_mm=11",
        "artery.access_side=left",
    ),
    ("spine.level=L3", "artery.adamkiewicz=left L1", "seed=3"),
)
"""Settings over the default case."""


@cache
def plan(settings_):
    return plan_chemoembolization(load_case(None, settings_))


cases = pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case[:2]) or "default")
moments = st.floats(0.0, 1.0).map(lambda share: share * film("chemoembolization").seconds)
several = st.sampled_from(CASES)


# ---- states ----------------------------------------------------------------------------------------------------------


@cases
def test_every_moment_answers_with_the_keys_of_every_film(case):
    made = plan(case)
    for time_s in np.linspace(0.0, made.film.seconds, 25):
        public = made.state_at_time(float(time_s)).public()
        assert tuple(public) == STATE_KEYS
        assert public["cement_ml"] is None
        assert public["balloon_left_psi"] is None


@cases
def test_while_the_catheter_advances_the_wire_is_ahead(case):
    made = plan(case)
    search = made.film.step("search")
    # a long search is told in quick time: there the catheter rises and its wire is back within a second
    within = np.arange(search.start_s, search.end_s, 0.005)
    times = np.union1d(np.arange(0.0, made.film.seconds, 0.025), within)
    before = None
    for time_s in times:
        step, share = made.film.at(float(time_s))
        state = made.state_at(step.name, share, measured=False, placed=False)
        if before is not None and before.catheter_mm is not None and state.catheter_mm is not None:
            if state.catheter_mm > before.catheter_mm + 1e-6:
                assert state.wire_mm is not None, time_s
                assert state.wire_mm >= state.catheter_mm + 3.0, time_s
            if state.micro_mm is not None and before.micro_mm is not None and state.micro_mm > before.micro_mm + 1e-6:
                assert state.wire_mm > state.micro_mm + 3.0, time_s
        before = state


@settings(max_examples=8, deadline=None)
@given(several, st.floats(0.0, 0.5))
def test_so_it_is_seen_from_one_half_second_to_the_next(case, first_s):
    made = plan(case)
    steps = [made.film.at(float(time_s)) for time_s in np.arange(first_s, made.film.seconds, 0.5)]
    states = [made.state_at(step.name, share, measured=False, placed=False) for step, share in steps]
    for before, state in pairwise(states):
        if before.catheter_mm is not None and (state.catheter_mm or 0.0) > before.catheter_mm + 1e-6:
            assert state.wire_mm is not None, state.time_s
            assert state.wire_mm > state.catheter_mm + 3.0, state.time_s


@settings(max_examples=60, deadline=None)
@given(several, moments)
def test_contrast_and_drug_flow_only_with_the_wire_out(case, time_s):
    made = plan(case)
    step, share = made.film.at(time_s)
    state = made.state_at(step.name, share, measured=False, placed=False)
    giving = (state.run and state.run_s > 0.0) or (step.name == "drug" and 0.0 < step.beat_share("pulses", share) < 1.0)
    if giving:
        assert state.wire_mm is None


@cases
def test_a_pure_function_of_case_and_moment(case):
    made = plan(case)
    times = [float(t) for t in np.linspace(0.0, made.film.seconds, 31)]
    one = [made.state_at_time(t) for t in times]
    made._kept.clear()
    assert one == [made.state_at_time(t) for t in times[::-1]][::-1]


@cases
def test_nothing_is_given_before_the_cords_artery_is_found(case):
    made = plan(case)
    found = next(s for s in made.film.steps if s.name == "search")
    for time_s in np.linspace(0.0, found.end_s, 40):
        state = made.state_at_time(float(time_s))
        assert state.dose_mg is None
        assert state.drug_s is None


# ---- safety ----------------------------------------------------------------------------------------------------------


@cases
def test_nothing_of_drug_or_particles_reaches_the_cords_artery(case):
    made = plan(case)
    assert made.reaches_cord_mg == 0.0
    assert made.margins["contrast_to_cord_ml"] == pytest.approx(0.0, abs=1e-9)
    piece, _ = made.flow.place(*made.micro_tip)
    behind = {made.flow.names[made.flow.forks.vessel[k]] for k in made.flow.flow.behind(piece)}
    assert not behind & set(CORD_ARTERIES)


@cases
def test_particles_go_to_the_tumour_slow_its_flow_and_stop_in_time(case):
    course = plan(case).embolization
    assert course.stop in ("stasis", "reflux", "dose")
    assert (np.diff(course.flow_share) <= 1e-12).all()
    assert (np.diff(course.lodged_mg) >= -1e-12).all()
    given_mg = sum(p.volume_ml for p in course.pulses) * 40.0 / 8.0
    assert course.lodged_mg[-1] + course.astray_mg.sum() == pytest.approx(given_mg, rel=1e-2)
    assert course.flow_share[-1] < 0.35


@cases
def test_mass_is_kept_in_every_injection(case):
    made = plan(case)
    for name in ("run-1", f"run-{len(made.runs)}", "micro", "final", "final-cord"):
        moved = made.transport(name)
        for time_s in (0.4, 2.0, 6.0, 20.0):
            totals = moved.totals(time_s)
            there = totals.tree_ml + totals.tumour_ml + totals.washed_ml
            assert there == pytest.approx(totals.injected_ml, rel=1e-2, abs=1e-9), name


@cases
def test_after_the_treatment_the_blush_is_gone_and_the_cords_artery_open(case):
    made = plan(case)
    before = made.flow.blush(made.transport("run-1"), 3.8)
    after = made.flow.blush(made.transport("final"), 3.8)
    assert after < 0.3 * before
    one, two = made.transport(f"run-{len(made.runs)}"), made.transport("final-cord")
    piece = made.flow.pieces("adamkiewicz")[0]
    assert two.arrived_ml(6.0)[piece] == pytest.approx(one.arrived_ml(6.0)[piece], rel=0.1)


# ---- response --------------------------------------------------------------------------------------------------------


@cases
def test_canal_cord_and_distance_are_never_worse_after_the_response_than_before(case):
    margins = plan(case).margins
    assert margins["canal_share_after"] >= margins["canal_share_before"]
    assert margins["cord_depth_after_mm"] >= margins["cord_depth_before_mm"] - 0.05
    assert margins["neural_after_mm"] >= margins["neural_before_mm"] - 0.05
    assert margins["tumour_after_mm"] == pytest.approx(0.7 * margins["tumour_before_mm"], rel=0.03)
    assert 0.0 < margins["canal_share_before"] < 1.0


def test_the_canal_follows_the_tumour_in_every_week():
    weeks, diameter, canal = plan(()).response_course()
    assert weeks[0] == 0.0
    order = np.argsort(diameter)
    assert (np.diff(canal[order]) <= 1e-3).all()


# ---- where things are ------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(several, moments)
def test_structures_exist_when_the_spans_say_so(case, time_s):
    made = plan(case)
    spans = made.spans()
    there = made.structures_at_time(time_s)
    for name, (first, last) in spans.items():
        if first + 0.2 < time_s < last - 0.2 and name in ("sheath", "tumour", "catheter"):
            assert name in there, (name, time_s)
        if not first - 0.2 <= time_s <= last + 0.2:
            assert name not in there, (name, time_s)


@cases
def test_the_margins_say_what_the_shapes_say(case):
    made = plan(case)
    margins = made.margins
    middle = margins["route_middle_mm"]
    assert 0.9 * middle < margins["route_mm"] < 1.1 * middle
    assert margins["least_wall_clearance_mm"] >= -1e-6
    assert margins["sharpest_bend_mm"] >= 1.4
    assert 3.0 <= margins["past_aortic_wall_mm"] <= 10.0
    assert margins["arteries_injected"] == len(case_runs(made.case))


def test_vessels_stand_for_every_artery():
    made = plan(())
    there = made.structures_at_time(100.0)
    assert set(made.groups["vessels"]) <= set(there)
    assert {there[name].role for name in made.groups["vessels"]} == {"artery"}


def test_planes_lie_as_chemoembolization_is_seen():
    made = plan(())
    for name in ("axial", "orifice"):
        right, up, out = made.planes[name].rotation.T
        assert right == pytest.approx([-1, 0, 0])  # the patient's left on screen right
        assert up == pytest.approx([0, 1, 0])
        assert out == pytest.approx([0, 0, -1])
    for plane in made.planes.values():
        assert np.linalg.det(plane.rotation) == pytest.approx(1.0)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        (("artery.adamkiewicz=left L1",), r"artery\.adamkiewicz: left L1 .* shares .* trunk"),
        (("artery.adamkiewicz=none",), r"artery\.adamkiewicz: none .* no drug"),
        (("spine.level=T2",), r"spine\.level"),
        (("spine.level=L5",), r"spine\.level"),
        (("tumour.extent=body",), r"tumour\.extent: body"),
        (("tumour.diameter_mm=60",), r"tumour\.diameter_mm: 60"),
        (("artery.adamkiewicz=left T2",), r"artery\.adamkiewicz"),
        (("catheter.french=6",), r"catheter\.french: 6"),
        (("catheter.micro_french=3",), r"catheter\.micro_french"),
    ],
)
def test_what_cannot_be_is_refused_by_key_and_value(settings_, words):
    with pytest.raises(RequestError, match=words):
        plan_chemoembolization(load_case(None, settings_))


def test_removing_or_moving_the_cords_artery_moves_the_search():
    near = case_runs(load_case(None, ()))
    far = case_runs(load_case(None, ("artery.adamkiewicz=left T9",)))
    assert near[-1] == ("T12", "left")
    assert far[-1] == ("T9", "left")
    assert set(near) < set(far) | {near[-1]}


@pytest.mark.parametrize("time_s", [65.8, 66.0, 66.1, 66.3, 66.7])
def test_the_dilator_goes_up_the_artery_and_not_through_its_back_wall(time_s):
    """What of it is past the artery's middle lies in the artery."""
    made = plan(())
    out = made.structures_at_time(time_s)
    points = out["dilator"].world_mesh(0.5).points_mm
    puncture = made.puncture
    past = points[(points - puncture.axis_mm) @ puncture.direction > 3.0]
    arteries = np.min([out[name].field(past) for name in made.groups["vessels"]], axis=0) if len(past) else np.zeros(0)
    assert (arteries < 0.6).all()
    assert len(past) > 50 or time_s < 66.0


def test_the_artery_is_pressed_over_its_hole_not_over_the_one_in_the_skin():
    here = plan(CASES[0])
    there, puncture = here.structures_at(here.state_at("closing", 0.5, measured=False)), here.puncture
    pad = there["pad"].world_mesh(2.0).points_mm[:, [0, 2]]
    assert (pad.min(0) + pad.max(0)) / 2 == pytest.approx(puncture.vessel_mm[[0, 2]], abs=4.0)
    # straight in front of the hole there is a finger, in front of the nick in the skin the swab alone
    ahead = np.arange(0.0, 60.0, 0.5)[:, None] * np.array([0.0, 1.0, 0.0])
    assert there["hand"].field(puncture.vessel_mm + ahead).min() < 0.0
    assert there["pad"].field(puncture.skin_mm + ahead).min() < 0.0


def test_a_kept_plan_is_the_same_to_the_last_bit_and_grows_no_tumour_anew(monkeypatch):
    made = plan(CASES[0])
    monkeypatch.setattr(epidural, "grown", lambda *_: pytest.fail("the tumour was grown again"))
    read = plan_chemoembolization(load_case(None, CASES[0]))
    assert read is not made
    shapes = (made.grown.shape.packed(), read.grown.shape.packed())
    assert all(np.array_equal(shapes[0][name], shapes[1][name]) for name in shapes[0])
    for step, share in (("ascent", 0.4), ("feeder", 0.8), ("drug", 0.5), ("weeks", 0.7)):
        assert made.state_at(step, share) == read.state_at(step, share)
