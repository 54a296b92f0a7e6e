"""The overview: lengths measured on the geometry, muscles that keep their volume, its clock, and its words."""

import json
import re
import tomllib
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.bones import bone
from spineviz.anatomy.column import column
from spineviz.anatomy.epidural import epidural
from spineviz.anatomy.incision import sizes
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.films import read_film
from spineviz.procedures import overview
from spineviz.procedures.case import Case
from spineviz.procedures.overview import (
    APPROACHES,
    PROCEDURES,
    SURGERY,
    MinimalPlan,
    OpenPlan,
    SurgeryPlan,
    plan_overview,
)
from spineviz.procedures.tracks import tracks
from spineviz.procedures.vertebroplasty import plan_vertebroplasty

CLOCK = read_film("overview", asset("films", "overview.toml"))
MOMENTS = st.tuples(st.sampled_from([step.name for step in CLOCK.steps]), st.floats(0.0, 1.0))
NARRATION = asset("narration", "en", "overview.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def plan():
    return plan_overview(Case())


@pytest.fixture(scope="module")
def ways(plan):
    return {name: plan.plans[name] for name in APPROACHES}


# moments


@settings(max_examples=40, deadline=None)
@given(MOMENTS, MOMENTS)
def test_wounds_only_open_and_instruments_only_go_in(plan, one, other):
    """Nothing that was cut, parted, freed or held is undone; the tumour only shrinks once it is whole."""
    clock = plan.film
    first, second = sorted(
        (one, other), key=lambda moment: clock.step(moment[0]).start_s + moment[1] * clock.step(moment[0]).seconds
    )
    before, after = plan.state_at(*first, measured=False), plan.state_at(*second, measured=False)
    for name in APPROACHES:
        for share in ("opened", "aside", "tool"):
            assert getattr(getattr(before, name), share) <= getattr(getattr(after, name), share) + 1e-9
    assert before.surgery.freed <= after.surgery.freed + 1e-9
    assert before.surgery.held <= after.surgery.held + 1e-9
    for name in PROCEDURES:
        assert getattr(before, name).time_s <= getattr(after, name).time_s + 1e-9


def test_the_state_nests_every_plan_under_its_name(plan):
    answer = plan.state_at_time(90.0).public()
    assert list(answer) == ["time_s", "step", *APPROACHES, *PROCEDURES, SURGERY]
    assert json.loads(json.dumps(answer)) == answer
    assert answer["open"]["incision_mm"] == pytest.approx(sizes()["open_length_mm"], abs=0.05)
    assert answer["minimal"]["incision_mm"] == pytest.approx(sizes()["nick_length_mm"], abs=0.05)
    assert answer["minimal"]["incisions"] == 2


def test_nothing_is_cut_before_its_step_and_all_is_done_after(plan):
    start, end = plan.state_at("families", 1.0), plan.state_at("scale", 0.0)
    for name in APPROACHES:
        assert getattr(start, name).opened == getattr(start, name).aside == getattr(start, name).tool == 0.0
        assert getattr(start, name).opening_mm is None
        assert getattr(end, name).opened == getattr(end, name).aside == getattr(end, name).tool == 1.0


def test_each_window_moves_while_its_line_is_told(plan):
    here = plan.film.step("lines")
    for name in PROCEDURES:
        start, end = here.beats[name]
        for other in PROCEDURES:
            shown = [
                getattr(plan.state_at("lines", float(t) / here.seconds, measured=False), other).time_s
                for t in np.linspace(start + 0.2, end - 0.8, 5)
            ]
            assert (len(set(shown)) > 1) == (other == name), (name, other)


def test_all_three_windows_move_at_once(plan):
    shares = np.linspace(0.1, 0.85, 6)
    for name in PROCEDURES:
        times = [getattr(plan.state_at("windows", float(s), measured=False), name).time_s for s in shares]
        assert all(b > a for a, b in pairwise(times))


def test_the_clock_of_the_film_follows_the_procedures_own(plan):
    found = tracks("overview", {name: plan.plans[name].film for name in PROCEDURES})
    assert set(found) == {step.name for step in CLOCK.steps}
    for name in (*APPROACHES, SURGERY):
        assert plan.moment_of(name, "open", 0.25) == ("open", 0.25)


# the two ways in


def test_measured_lengths_are_those_of_the_geometry(plan):
    """What `spineviz measure` reports is found again on the points of the cuts."""
    margins = plan.margins
    assert margins["mi_incisions"] == 2.0
    assert margins["op_incisions"] == 1.0
    for name, prefix in (("minimal", "mi_"), ("open", "op_")):
        for cut in plan.plans[name].incisions().values():
            points = cut.line(0.1).points_mm
            length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
            assert margins[f"{prefix}incision_mm"] == pytest.approx(length, rel=1e-4)
        assert margins[f"{prefix}muscle_after_ml"] == pytest.approx(margins[f"{prefix}muscle_before_ml"], rel=0.02)
    assert margins["op_incision_mm"] > 10.0 * margins["mi_incision_mm"]
    assert margins["mi_incision_mm"] < margins["half_inch_mm"] == 12.7
    assert margins["op_muscle_moved_mm"] > 5.0 * margins["mi_muscle_moved_mm"]


def test_needles_pass_their_nicks_and_no_muscle(ways):
    minimal = ways["minimal"]
    there = minimal.structures_at(minimal.state_at("scale", 0.0))
    for side, cut in minimal.incisions().items():
        needle = minimal.needles[side]
        assert np.linalg.norm(cut.middle() - needle.skin_mm) < 0.05
        axis = needle.skin_mm + np.arange(0.0, needle.contact_way_mm, 0.5)[:, None] * needle.path.forward
        assert there["muscle"].field(axis).min() > minimal.procedure.size.radius_mm
        assert float(there[f"needle-{side}"].field(needle.tip_at(needle.reach_mm - 5.0)[None])[0]) < 0.0


def test_the_retractor_stands_in_the_wound_and_off_the_spine(ways):
    open_way = ways["open"]
    there = open_way.structures_at(open_way.state_at("scale", 0.0))
    tool = there["retractor"].world_mesh(1.0).points_mm
    for name in ("T12", open_way.level, "L2"):
        assert there[name].field(tool).min() > 0.5
    # between the blades there is only air
    middle = open_way.incisions()["midline"].middle() - 20.0 * open_way.skin_out()
    across = middle + np.arange(-22.0, 22.1, 1.0)[:, None] * np.array([1.0, 0.0, 0.0])
    for name in ("skin", "muscle", "retractor"):
        assert there[name].field(across).min() > 0.0


@pytest.mark.parametrize("level", ["T9", "L3"])
@pytest.mark.parametrize("kind", [MinimalPlan, OpenPlan])
def test_other_levels_open_alike(level, kind):
    way = kind(plan_vertebroplasty(Case().with_values(spine={"level": level})))
    state = way.state_at("scale", 0.0)
    there = way.structures_at(state)
    assert there["skin"].mesh(4.0).is_closed
    expected = sizes()["open_length_mm" if kind is OpenPlan else "nick_length_mm"]
    assert state.incision_mm == pytest.approx(expected, abs=0.05)


# surgery


def test_surgery_frees_the_cord_before_it_holds_the_spine(plan):
    surgery = plan.plans[SURGERY]
    before = surgery.structures_at(surgery.state_at("who", 1.0))
    after = surgery.structures_at(surgery.state_at("pointer", 1.0))
    assert "tumour" in before
    assert "tumour" not in after
    assert {"screws", "rods", surgery.resected_name} <= set(after)
    assert not {surgery.level, surgery.opened_name} & set(after)
    # straight behind the canal there was bone, and is none
    start = vertebra(surgery.level).landmarks["canal-centre"]
    ray = start + np.arange(0.0, 60.0, 0.5)[:, None] * np.array([0.0, -1.0, 0.0])
    assert before[surgery.level].field(ray).min() < 0.0
    assert after[surgery.resected_name].field(ray).min() > 0.0


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("level", ["T8", "L1", "L3"])
def test_bone_is_taken_with_the_tumour_on_its_side_alone_and_leaves_one_piece(level, side):
    case = Case().with_values(spine={"level": level}, tumour={"side": side})
    surgery = SurgeryPlan(SimpleNamespace(
        case=case, level=level, column=column(level, 1.0), grown=epidural(level, case.tumour.diameter_mm, side),
    ))  # fmt: skip
    whole = bone(surgery.procedure.column, level)
    grown = surgery.procedure.grown.whole
    opened = surgery._cut("opened", whole, surgery._window, surgery._way)
    resected = surgery._cut("resected", whole, surgery._window, surgery._way, surgery._hollow)
    assert whole.mesh(1.0).volume_ml > opened.mesh(1.0).volume_ml > resected.mesh(1.0).volume_ml
    assert opened.mesh(1.0).pieces == resected.mesh(1.0).pieces == 1
    # where the tumour lay, and a rim round it, there is none left
    surface = grown.mesh(1.0, 0.8).points_mm
    assert resected.field(surface).min() > 0.5
    assert whole.field(surface).min() < -1.0
    # the inner half of the pedicle is open on its side; the other pedicle stands as it was
    sign = 1.0 if side == "right" else -1.0
    pedicle = vertebra(level).frames["pedicle-right"].origin_mm * [sign, 1.0, 1.0]
    inner = pedicle - [0.25 * sign * float(vertebra(level).row["PDW_zindrick_mm"].value), 0.0, 0.0]
    assert whole.field(inner[None])[0] < 0.0 < resected.field(inner[None])[0]
    other = pedicle * [-1.0, 1.0, 1.0]
    assert resected.field(other[None])[0] == pytest.approx(whole.field(other[None])[0], abs=0.2)


def test_screws_keep_out_of_the_canal_and_have_bone_beside_them(plan):
    assert all(value > 0.0 for name, value in plan.plans[SURGERY].margins.items() if name.startswith("screw"))


# structures and refusals


def test_structures_go_by_their_plan_and_name(plan):
    there = plan.structures_at_time(plan.film.step("scale").start_s)
    for name in ("open/wound-fat", "open/retractor", "minimal/nick-left-skin", "vertebroplasty/L1", "surgery/tumour"):
        assert name in there
    for name in APPROACHES:
        assert all(f"{name}/{part}" in there for part in plan.plans[name].groups["wound"])
    spans = plan.spans()
    assert spans["open/retractor"][0] > plan.film.step("open").start_s
    assert spans["surgery/screws"][0] > plan.film.step("pointer").start_s


def test_a_case_that_one_procedure_refuses_is_refused_with_its_reason(monkeypatch):
    def refused(case):
        raise RequestError("spine.level: not here")

    import spineviz.procedures.kyphoplasty as kyphoplasty

    monkeypatch.setattr(kyphoplasty, "plan_kyphoplasty", refused)
    with pytest.raises(RequestError, match=r"not here\n\(kyphoplasty refuses this case, so the three"):
        plan_overview(Case())


# words

STATEMENTS = {
    "why": ("to take out", "ease severe symptoms", "both reasons"),
    "who": ("may help people", "who may benefit"),
    "minimal": ("small incisions", "half an inch", "parted", "more commonly"),
    "open": ("larger incision", "detached", "option", "in certain cases", "chosen for legibility"),
    "recovery": ("mostly outpatient", "home the same day", "short recovery"),
    "none": (
        "two steady a broken bone", "one treats the tumour", "through its arteries",
        "none of the three takes the tumour out",
    ),
    "pointer": ("open surgery", "taken out"),
}  # fmt: skip


def spoken(entry):
    """All words of one step, as one line of small letters."""
    return re.sub(r"\s+", " ", json.dumps(entry, ensure_ascii=False).replace("\\n", " ").lower())


@pytest.mark.parametrize("step", STATEMENTS)
def test_every_statement_of_the_overview_is_made(step):
    words = spoken(tomllib.loads(NARRATION)["step"][step])
    for statement in STATEMENTS[step]:
        assert statement in words, statement


def test_nothing_is_promised():
    words = spoken(tomllib.loads(NARRATION)["step"])
    for promise in ("cures", "always", "no risk", "guarantee", "never"):
        assert promise not in words


def test_the_state_of_a_moment_outside_is_refused(plan):
    with pytest.raises(RequestError, match="not a share"):
        plan.state_at("open", 1.5)
    assert plan.film.name == overview.NAME
