"""Both procedures of one case in step: the same patient, the same posture, and a clock that only goes forward."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.data.errors import RequestError
from spineviz.data.films import film
from spineviz.data.narration import narration
from spineviz.procedures import tracks as in_step
from spineviz.procedures.case import Case
from spineviz.procedures.comparison import (
    PREFIXES,
    PROCEDURES,
    ComparisonPlan,
    plan_comparison,
)
from spineviz.procedures.kyphoplasty import plan_kyphoplasty
from spineviz.procedures.state import STATE_KEYS
from spineviz.procedures.tracks import shown_s, tracks
from spineviz.procedures.vertebroplasty import plan_vertebroplasty

CLOCK = film("comparison")
MOMENTS = st.tuples(st.sampled_from([step.name for step in CLOCK.steps]), st.floats(0.0, 1.0))
TRACK = ((1.0, 10.0), (3.0, 20.0), (3.0, 26.0), (5.0, 30.0))


@pytest.fixture(scope="module")
def plan():
    return plan_comparison(Case())


# the clock


def test_a_track_is_linear_between_its_entries_and_rests_outside_them():
    assert [shown_s(TRACK, t) for t in (0.0, 1.0, 2.0, 4.0, 5.0, 9.0)] == [10.0, 10.0, 15.0, 28.0, 30.0, 30.0]
    assert shown_s(TRACK, 3.0) == 26.0  # a jump is over at its second


@given(st.floats(0, 6), st.floats(0, 6))
def test_a_track_never_runs_backwards(a, b):
    first, second = sorted((a, b))
    assert shown_s(TRACK, first) <= shown_s(TRACK, second) + 1e-9


def test_both_films_are_told_from_the_fracture_to_the_cast(plan):
    """Every procedure begins before the bone breaks and ends when all of its cement is in and hard."""
    first, last = (plan.state_at(CLOCK.steps[i].name, share) for i, share in ((0, 0.0), (-1, 1.0)))
    for name in PROCEDURES:
        assert getattr(first, name).collapse == 0.0
        end = getattr(last, name)
        assert end.cement_ml == pytest.approx(plan.plans[name].cement.total_ml)
        assert end.hardness == 1.0
        assert not end.ways_mm


def faulty(monkeypatch, change):
    """The tracks of the film's file after `change` of its text."""
    text = in_step.asset("films", "comparison.toml").read_text("utf-8")
    changed = change(text)
    assert changed != text
    monkeypatch.setattr(in_step, "asset", lambda *_: SimpleNamespace(read_text=lambda *_: changed))
    return tracks("comparison", {name: film(name) for name in PROCEDURES})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kyphoplasty = [[0.0, "result.before", 0.0]]', "", r"step\.after\.kyphoplasty is missing"),
        ('"cavity.deflate", 0.0]', '"cavity.burst", 0.0]', "cavity has no beat 'burst'; it has deflate"),
        ('[8.8, "fracture.collapse", 1.0]', '[3.0, "fracture.collapse", 1.0]', r"fracture\.vertebroplasty runs back"),
        ('[[0.0, "target.biopsy", 1.0]]', '[[0.0, "target.biopsy", 0.5]]', r"inflation\.vertebroplasty runs back"),
        ('[14.0, "inflation.inflate", 1.0]', '[34.0, "inflation.inflate", 1.0]', "is outside; seconds are 0 to 21"),
    ],
)
def test_a_faulty_clock_is_named(monkeypatch, old, new, said):
    with pytest.raises(RequestError, match=said):
        faulty(monkeypatch, lambda text: text.replace(old, new, 1))


def test_what_stands_still_waits_only_while_the_other_goes_on(plan):
    assert plan.waits("vertebroplasty", "inflation", 0.3)
    assert not plan.waits("kyphoplasty", "inflation", 0.3)
    assert not plan.waits("vertebroplasty", "inflation", 0.95)  # both rest
    assert not any(plan.waits(name, "cement", 0.3) for name in PROCEDURES)


@pytest.mark.parametrize(
    ("who", "step", "start", "end"),
    [
        ("vertebroplasty", "channel", "insert", None),
        ("vertebroplasty", "inflation", "", None),
        ("vertebroplasty", "cavity", "", None),
        ("kyphoplasty", "withdrawal", "stylet", "draw"),
    ],
)
def test_what_its_column_says_to_wait_does_not_change(plan, who, step, start, end):
    here = CLOCK.step(step)
    last = here.beats[end][0] / here.seconds if end else 1.0
    first = here.beats[start][0] / here.seconds if start else 0.0
    states = [plan.state_at(step, float(s)) for s in np.linspace(first, last, 9)]
    other = next(name for name in PROCEDURES if name != who)
    assert len({repr(getattr(state, who)) for state in states}) == 1
    assert len({repr(getattr(state, other)) for state in states}) > 2


# what is the same in both


def test_both_treat_one_patient(plan):
    first, second = plan.plans.values()
    assert first.patient is second.patient is plan.patient
    assert first.case is second.case is plan.case


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["title", "case", "fracture", "posture"]), st.floats(0.0, 1.0))
def test_up_to_the_first_instrument_the_two_are_identical(plan, step, share):
    state = plan.state_at(step, share)
    left, right = state.vertebroplasty.public(), state.kyphoplasty.public()
    for key in STATE_KEYS:
        if key not in ("time_s", "step"):
            assert left[key] == right[key], key
    assert (state.vertebroplasty.lying, state.vertebroplasty.collapse) == pytest.approx(
        (state.kyphoplasty.lying, state.kyphoplasty.collapse), abs=1e-12
    )


def test_equal_moments_have_equal_structures(plan):
    state = plan.state_at("posture", 0.4)
    shapes = [
        {name: part.key for name, part in own.structures_at(getattr(state, procedure)).items()}
        for procedure, own in plan.plans.items()
    ]
    assert shapes[0] == shapes[1]


@settings(deadline=None, max_examples=30)
@given(st.floats(0.0, 1.0))
def test_vertebroplasty_keeps_what_posture_gave_and_kyphoplasty_never_has_less(plan, share):
    for step in ("inflation", "cavity", "cement", "after"):
        state = plan.state_at(step, share)
        words = plan.words()
        assert state.vertebroplasty.wedge_deg == pytest.approx(words["lying_wedge_deg"], abs=1e-9)
        assert state.kyphoplasty.wedge_deg <= state.vertebroplasty.wedge_deg + 1e-9


def test_posture_s_gain_is_the_same_and_the_balloons_add_to_it(plan):
    words = plan.words()
    for unit in ("deg", "mm", "middle_mm"):
        assert words[f"vp_posture_gain_{unit}"] == words[f"kp_posture_gain_{unit}"] == words[f"posture_gain_{unit}"]
        assert words[f"vp_total_gain_{unit}"] == words[f"posture_gain_{unit}"]
        assert words[f"kp_total_gain_{unit}"] == pytest.approx(
            words[f"posture_gain_{unit}"] + words[f"kp_balloon_gain_{unit}"], abs=2e-6
        )
    assert words["kp_balloon_gain_deg"] > 0.5
    assert 5.0 <= words["kp_total_gain_deg"] <= 8.0


# what it answers with


def test_a_moment_nests_both_and_is_plain(plan):
    public = plan.state_at("inflation", 0.5).public()
    assert list(public) == ["time_s", "step", *PROCEDURES]
    assert json.loads(json.dumps(public)) == public
    for name in PROCEDURES:
        assert tuple(public[name]) == STATE_KEYS
    assert public["kyphoplasty"]["balloon_left_ml"] > 0.0
    assert public["vertebroplasty"]["balloon_left_ml"] is None


@settings(deadline=None, max_examples=25)
@given(MOMENTS)
def test_each_state_is_that_of_the_procedure_s_own_film(plan, moment):
    step, share = moment
    state = plan.state_at(step, share)
    assert state.time_s == pytest.approx(CLOCK.step(step).start_s + share * CLOCK.step(step).seconds)
    for name, own in plan.plans.items():
        assert getattr(state, name).public() == own.state_at(*plan.moment_of(name, step, share)).public()


def test_a_state_that_is_not_measured_lacks_the_tumour_s_numbers_only(plan):
    whole, quick = (plan.state_at("inflation", 0.6, measured).public() for measured in (True, False))
    for name in PROCEDURES:
        for key in STATE_KEYS:
            if key in ("tumour_diameter_mm", "tumour_neural_mm", "canal_share"):
                assert quick[name][key] is None
            else:
                assert quick[name][key] == whole[name][key], key


def test_a_moment_by_its_second(plan):
    step = CLOCK.step("cement")
    assert plan.state_at_time(step.start_s + 6.0).public() == plan.state_at("cement", 6.0 / step.seconds).public()
    with pytest.raises(RequestError, match="outside the film"):
        plan.state_at_time(CLOCK.seconds + 1.0)
    with pytest.raises(RequestError, match="not a share"):
        plan.state_at("cement", 1.5)
    with pytest.raises(RequestError, match="no step 'lunch'"):
        plan.state_at("lunch", 0.5)


def test_structures_stand_under_their_procedure_s_name(plan):
    there = plan.structures_at_time(CLOCK.step("inflation").start_s + 15.0)
    assert {"vertebroplasty/L1", "vertebroplasty/needle-left", "kyphoplasty/L1", "kyphoplasty/balloon-left"} <= set(
        there
    )
    assert "vertebroplasty/balloon-left" not in there
    assert {name.partition("/")[0] for name in there} == set(PROCEDURES)


def test_spans_say_when_structures_come_and_go(plan):
    spans = plan.spans()
    for name in (
        "vertebroplasty/cement",
        "kyphoplasty/cement",
        "kyphoplasty/balloon-right",
        "vertebroplasty/needle-left",
    ):
        first, last = spans[name]
        for time, there in ((first, True), (last, True), (first - 0.2, False), (last + 0.2, False)):
            if 0.0 <= time <= CLOCK.seconds:
                assert (name in plan.structures_at_time(time)) == there, (name, time)


def test_words_of_each_are_prefixed_and_what_is_shared_is_not(plan):
    words = plan.words()
    for name, own in plan.plans.items():
        for key, value in own.words().items():
            assert words[f"{PREFIXES[name]}{key}"] == value
    assert words["standing_wedge_deg"] == words["vp_standing_wedge_deg"] == words["kp_standing_wedge_deg"]
    assert plan.margins["kp_cement_to_canal_mm"] == plan.plans["kyphoplasty"].margins["cement_to_canal_mm"]
    assert all(math.isfinite(value) for value in plan.margins.values())


def test_the_table_s_way_to_the_back_wall_is_the_gauge_s(plan):
    from spineviz.views.gauges import GAUGES

    for name, own in plan.plans.items():
        state = own.state_at(own.film.steps[-1].name, 1.0)
        reading = GAUGES["back_wall"](state, own, own.words())
        assert plan.words()[f"{PREFIXES[name]}cement_to_back_wall_mm"] == pytest.approx(reading.value)


def test_no_caption_names_without_prefix_what_differs(plan):
    """{cement_ml} would say one procedure's figure for both."""
    own = [p.words() for p in plan.plans.values()]
    differ = {key for key in own[0].keys() & own[1].keys() if own[0][key] != own[1][key]}
    differ |= own[0].keys() ^ own[1].keys()
    differ -= {"balloons"}  # only one has them
    texts = []
    for step in narration(CLOCK).values():
        texts += [step.title, *(caption.text for caption in step.captions), *step.words.values()]
        if step.card is not None:
            texts += [text for column in step.card.columns for row in column.rows for text in row]
    for text in texts:
        for key in differ:
            assert f"{{{key}:" not in text, (key, text)
            assert f"{{{key}}}" not in text, (key, text)


def test_planes_are_those_of_each(plan):
    for name, own in plan.plans.items():
        for plane, frame in own.planes.items():
            assert np.array_equal(plan.planes[f"{name}/{plane}"].matrix, frame.matrix)


def test_the_resolved_case_says_what_each_decides(plan):
    told = plan.resolved()
    assert told["spine"]["level"] == "L1"
    for name, own in plan.plans.items():
        assert told[name]["cement"]["volume_ml"] == own.resolved()["cement"]["volume_ml"]
    assert "volume_ml" not in told["cement"]


def test_equal_cases_have_equal_plans(plan):
    again = plan_comparison(Case())
    assert again.digest == plan.digest
    assert again.state_at("cement", 0.6).public() == plan.state_at("cement", 0.6).public()


# refusals


def case(**sections):
    return Case.model_validate(sections)


def test_a_refusal_names_the_procedure_and_the_reason():
    thin = case(spine={"level": "T5"}, needle={"gauge": 15}, cannula={"gauge": 8})
    with pytest.raises(RequestError) as own:
        plan_kyphoplasty(thin)
    plan_vertebroplasty(thin)
    with pytest.raises(RequestError) as refused:
        plan_comparison(thin)
    assert str(refused.value).startswith(str(own.value))
    assert "kyphoplasty refuses this case" in str(refused.value)


def test_what_both_refuse_alike_is_said_once():
    broken = case(fracture={"back_wall": "broken"})
    with pytest.raises(RequestError) as own:
        plan_vertebroplasty(broken)
    with pytest.raises(RequestError) as refused:
        plan_comparison(broken)
    assert str(refused.value) == str(own.value)


def test_another_case_moves_both():
    plan = plan_comparison(case(spine={"level": "T12"}, needle={"approach": "left"}))
    assert isinstance(plan, ComparisonPlan)
    state = plan.state_at("access", 1.0)
    assert set(state.vertebroplasty.ways_mm) == {"needle-left"}
    assert "cannula-left" in state.kyphoplasty.ways_mm
    assert "cannula-right" not in state.kyphoplasty.ways_mm
