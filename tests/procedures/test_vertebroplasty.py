"""The plan of vertebroplasty: safe needles, cement that stays, and states that tell the truth."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from spineviz.anatomy.vertebra import vertebra
from spineviz.data.cache import cache_folder
from spineviz.data.errors import RequestError
from spineviz.data.films import film
from spineviz.data.tables import LEVELS
from spineviz.devices.catalogue import needle_size, needle_sizes
from spineviz.procedures.augmentation import case_patient
from spineviz.procedures.case import Case
from spineviz.procedures.state import STATE_KEYS
from spineviz.procedures.vertebroplasty import VertebroplastyPlan, plan_needles, plan_vertebroplasty

LEAST_MM = 0.5


@cache
def default_plan() -> VertebroplastyPlan:
    return plan_vertebroplasty(Case())


def surface_of(needle, radius_mm: float, end_mm: float) -> np.ndarray:
    """(N, 3) points on the needle's surface from its tip to `end_mm` behind it."""
    forward = needle.path.forward
    first = np.cross(forward, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    second = np.cross(first, forward)
    way, angle = np.meshgrid(np.arange(0.0, end_mm, 0.3), np.linspace(0, 2 * np.pi, 36, endpoint=False))
    ring = np.cos(angle)[..., None] * first + np.sin(angle)[..., None] * second
    return (needle.path.tip_mm - way[..., None] * forward + radius_mm * ring).reshape(-1, 3)


def check_apart(needles, radius_mm: float) -> None:
    """Two instruments have a millimetre between them, from bone to tip."""
    axes = [
        needle.path.tip_mm - np.arange(0.0, needle.reach_mm - needle.contact_way_mm, 0.5)[:, None] * needle.path.forward
        for needle in needles.values()
    ]
    for one, other in pairwise(axes):
        gap = np.linalg.norm(one[:, None, :] - other[None, :, :], axis=2).min() - 2 * radius_mm
        assert gap >= 1.0 - 0.05


def check_needles(case: Case, needles) -> None:
    """Each needle keeps its bone on every side, measured on its surface against the broken, lying vertebra."""
    here = case_patient(case)
    home = vertebra(here.level)
    bone = here.treated_bone(here.amount(1.0, 1.0)).field
    radius = needle_size(case.needle.gauge).radius_mm
    assert set(needles) == ({"right", "left"} if case.needle.approach == "bipedicular" else {case.needle.approach})
    check_apart(needles, radius)
    for side, needle in needles.items():
        path = needle.path
        contact = float((path.tip_mm - path.contact_mm) @ path.forward)
        seated = surface_of(needle, radius, contact - path.seat_mm)
        assert -bone(seated).max() >= LEAST_MM - 0.03
        assert home.canal(surface_of(needle, radius, contact)).min() >= LEAST_MM - 1e-6
        assert path.pedicle_bone_mm >= LEAST_MM
        assert path.seat_mm <= 9.0
        # all along the pedicle there is bone beside it: it is seated before the isthmus
        isthmus = home.frames[f"pedicle-{side}"].origin_mm
        assert float((isthmus - path.tip_mm) @ -path.forward) < contact - path.seat_mm
        corners = here.fracture.forward(
            np.array([home.landmarks["upper-front-rim"], home.landmarks["lower-front-rim"]]), here.amount(1.0, 1.0)
        )
        front, back = corners[:, 1].mean(), home.landmarks["body-back-centre"][1]
        assert 0.0 < front - path.tip_mm[1] <= (front - back) / 3 + 1e-9
        assert (needle.skin_mm - path.contact_mm) @ path.forward < -10.0
        assert needle.length_mm > needle.reach_mm or needle.length_mm == 150.0


REFUSALS = re.compile(
    r"needle\.gauge: \d+ .*mm of bone on every side through the (right|left) pedicle.*;\n"
    r"(the largest needle of the catalogue that fits is \d+ gauge|no needle of the catalogue)|"
    r"tumour\.diameter_mm: .* does not fit",
    re.DOTALL,
)


@pytest.mark.parametrize("approach", ["bipedicular", "right", "left"])
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_and_approach_plans_safely_or_refuses_with_its_reason(level, approach):
    case = Case().with_values(spine__level=level, needle__approach=approach)
    try:
        needles = plan_needles(case_patient(case), case)
    except RequestError as error:
        refusal = str(error)
    else:
        check_needles(case, needles)
        return
    assert REFUSALS.match(refusal), refusal
    assert ("parapedicular" in refusal) == (level in ("T1", "T2", "T3", "T4", "T5", "T6"))


@pytest.mark.parametrize("level", ["T3", "T5", "T7"])
def test_a_needle_that_is_too_thick_is_refused_with_the_largest_that_fits(level):
    thick = Case().with_values(spine__level=level, needle__gauge=8)
    with pytest.raises(RequestError) as error:
        plan_needles(case_patient(thick), thick)
    assert len(str(error.value).splitlines()) <= 3
    found = re.search(r"largest needle of the catalogue that fits is (\d+) gauge", str(error.value))
    assert found, error.value
    fitting = Case().with_values(spine__level=level, needle__gauge=int(found[1]))
    check_needles(fitting, plan_needles(case_patient(fitting), fitting))


cases = st.builds(
    lambda level, approach, gauge, shape, loss, side, seed: Case().with_values(
        spine__level=level, needle__approach=approach, needle__gauge=gauge, fracture__shape=shape,
        fracture__height_loss=loss, tumour__side=side, tumour__diameter_mm=9.0, seed=seed,
    ),
    st.sampled_from(LEVELS), st.sampled_from(["bipedicular", "right", "left"]), st.sampled_from(list(needle_sizes())),
    st.sampled_from(["wedge", "biconcave", "crush"]), st.integers(5, 60).map(lambda n: n / 100),
    st.sampled_from(["right", "left"]), st.integers(0, 4),
)  # fmt: skip


@given(cases)
@settings(max_examples=16, phases=[Phase.generate])  # a case is told in full; making it smaller takes minutes
def test_every_case_is_safe_or_refused(case):
    try:
        plan = plan_vertebroplasty(case)
    except RequestError as error:
        plan, refusal = None, str(error)
    if plan is None:
        assert REFUSALS.match(refusal), refusal
        return
    check_needles(case, plan.needles)
    cement, home = plan.cement, vertebra(plan.level)
    assert 0.0 < cement.total_ml <= cement.asked_ml + 1e-9
    assert cement.asked_ml == pytest.approx(min(0.15 * cement.body_ml, cement.room_ml))
    assert cement.stop_reason == ("volume" if cement.total_ml == cement.asked_ml else "posterior")
    assert 0.0 < cement.stylet_ml <= 0.5 * cement.total_ml + 1e-9
    for volume in (0.4 * cement.total_ml, cement.total_ml):
        mesh = plan.cement_structure(volume).mesh(0.8)
        assert mesh.is_closed
        assert mesh.volume_ml == pytest.approx(volume, rel=0.01)
        assert mesh.points_mm[:, 1].min() >= plan.back_quarter_y_mm
        assert home.canal(mesh.points_mm).min() > 1.0
        bone = plan.patient.treated_bone(plan.patient.amount(1.0, 1.0)).field
        assert bone(mesh.points_mm).max() < 0.0


def test_a_given_volume_is_a_ceiling_and_what_stopped_it_is_said():
    little = plan_vertebroplasty(Case().with_values(cement__volume_ml=0.5)).cement
    assert (little.total_ml, little.stop_reason) == (0.5, "volume")
    assert little.syringe_ml == pytest.approx(0.25)
    much = plan_vertebroplasty(Case().with_values(cement__volume_ml=10.0)).cement
    assert much.stop_reason == "posterior"
    assert little.total_ml < much.total_ml == much.back_ml < 10.0


def test_a_volume_that_the_body_cannot_take_is_refused_with_what_it_can():
    with pytest.raises(RequestError) as error:
        plan_vertebroplasty(Case().with_values(cement__volume_ml=19.0))
    found = re.fullmatch(
        r"cement\.volume_ml: 19 is more than the ([\d.]+) mL that this body can take; give 0\.5 to \1", str(error.value)
    )
    assert found, error.value
    assert plan_vertebroplasty(Case().with_values(cement__volume_ml=float(found[1]))).cement.total_ml > 1.0


def test_default_cement_is_15_percent_of_the_measured_body():
    cement = default_plan().cement
    assert cement.body_ml == pytest.approx(vertebra("L1").row["vb_volume_ml"].value, rel=0.15)
    assert cement.asked_ml == pytest.approx(0.15 * cement.body_ml)
    assert cement.stop_reason == "volume"


def test_the_stylets_drive_out_what_their_bores_hold():
    plan = default_plan()
    held = sum(np.pi * (2.39 / 2) ** 2 * needle.length_mm / 1000 for needle in plan.needles.values())
    assert plan.cement.stylet_ml == pytest.approx(held)
    before, after = plan.state_at("cement", 1.0), plan.state_at("withdrawal", 0.3)
    assert after.cement_ml - before.cement_ml == pytest.approx(held)
    assert after.cement_ml == pytest.approx(plan.cement.total_ml)


def test_seeds_change_the_cement_and_nothing_else_of_its_volume():
    one, other = default_plan(), plan_vertebroplasty(Case().with_values(seed=8))
    assert one.cement.body_ml == other.cement.body_ml
    assert not np.array_equal(one.filling.order.values, other.filling.order.values)


# states ---------------------------------------------------------------------------------------------------------------


def moments(every_s: float = 1.0) -> list[float]:
    return np.arange(0.0, film("vertebroplasty").seconds + 1e-9, every_s).tolist()


def test_every_moment_has_the_same_keys_and_plain_numbers():
    for time in moments(7.0):
        public = default_plan().state_at_time(time).public()
        assert tuple(public) == STATE_KEYS
        assert json.loads(json.dumps(public)) == public
        assert public["time_s"] == pytest.approx(time)
        for key in ("cannula_right_mm", "balloon_left_ml", "balloon_right_psi", "catheter_mm", "wire_mm", "dose_mg"):
            assert public[key] is None


def test_things_are_null_before_they_exist():
    state = default_plan().state_at("healthy", 1.0).public()
    for key in ("cement_ml", "needle_right_mm", "needle_left_mm", "tumour_diameter_mm", "tumour_neural_mm"):
        assert state[key] is None
    assert state["canal_share"] == 1.0


def test_cement_never_shrinks_and_starts_with_its_step():
    plan = default_plan()
    start = plan.film.step("cement").start_s
    volumes = [(time, plan.state_at_time(time).cement_ml) for time in moments(0.2)]
    assert all(volume is None for time, volume in volumes if time <= start)
    given_ = [volume for _, volume in volumes if volume is not None]
    assert all(b >= a - 1e-12 for a, b in pairwise(given_))
    assert given_[-1] == pytest.approx(plan.cement.total_ml)
    steps = np.diff(given_[: int(16 / 0.2)])
    assert (steps < 1e-9).sum() > 5  # it rests between its pulses


def test_needles_go_in_rest_and_come_out():
    plan = default_plan()
    needle = plan.needles["right"]
    assert plan.state_at("table", 1.0).way_mm("right") is None
    assert plan.state_at("entry", 0.0).needle_right_mm == 0.0  # in sight, still outside the skin
    assert plan.state_at("entry", 1.0).needle_right_mm == pytest.approx(needle.contact_way_mm)
    assert plan.state_at("pedicle", 15 / 25).needle_right_mm == pytest.approx(needle.wall_way_mm)
    assert plan.state_at("target", 0.5).needle_right_mm == pytest.approx(needle.reach_mm)
    assert plan.state_at("cement", 0.5).needle_right_mm == pytest.approx(needle.reach_mm)
    assert plan.state_at("withdrawal", 0.9).needle_right_mm is None
    ways = [plan.state_at_time(t).way_mm("right") for t in np.arange(87.0, 130.0, 0.5)]
    assert all(b >= a - 1e-9 for a, b in pairwise(ways))


def test_the_safety_rule_holds_at_every_moment():
    """In AP the tip stays outside the pedicle's inner edge until it stands in front of the back wall."""
    plan = default_plan()
    home = vertebra("L1")
    inner, wall = home.row["SCW_use_mm"].value / 2, home.landmarks["body-back-centre"][1]
    for time in np.arange(87.0, 140.0, 0.25):
        for side, needle in plan.needles.items():
            tip = needle.tip_at(plan.state_at_time(time).way_mm(side))
            if tip[1] < wall - 1e-6:
                assert abs(tip[0]) >= inner


def test_heights_and_wedge_follow_the_story():
    plan = default_plan()
    healthy, broken = plan.state_at("healthy", 1.0), plan.state_at("fracture", 1.0)
    lying, outcome = plan.state_at("table", 1.0), plan.state_at("outcome", 1.0)
    assert broken.anterior_height_mm == pytest.approx(0.65 * healthy.anterior_height_mm, rel=0.01)
    assert broken.anterior_height_mm < lying.anterior_height_mm < healthy.anterior_height_mm
    assert healthy.wedge_deg < lying.wedge_deg < broken.wedge_deg
    assert outcome.anterior_height_mm == lying.anterior_height_mm
    assert broken.wedge_deg == pytest.approx(17.0, abs=2.0)
    assert lying.wedge_deg == pytest.approx(12.6, abs=2.0)


def test_the_canal_is_free_of_a_tumour_of_the_body():
    plan = default_plan()
    for step in ("fracture", "outcome"):
        state = plan.state_at(step, 1.0)
        assert state.canal_share == 1.0
        assert state.tumour_neural_mm > 1.0
        assert state.tumour_diameter_mm == pytest.approx(14.0, rel=0.08)  # the fracture bends it a little


def test_a_state_depends_on_nothing_else_than_its_moment():
    plan = default_plan()
    late = plan.state_at("withdrawal", 0.4)
    plan.state_at("title", 0.0)
    assert plan.state_at("withdrawal", 0.4) == late
    assert plan.state_at_time(late.time_s).public() == late.public()


@pytest.mark.parametrize(("step", "share"), [("nowhere", 0.5), ("cement", 1.5), ("cement", float("nan"))])
def test_a_moment_that_is_none_is_refused(step, share):
    with pytest.raises(RequestError):
        default_plan().state_at(step, share)


# structures -----------------------------------------------------------------------------------------------------------


def test_structures_exist_when_their_numbers_do():
    plan = default_plan()
    spans = plan.spans()
    for time in (5.0, 60.0, 100.0, 160.0, 200.0):
        state = plan.state_at_time(time)
        there = plan.structures_at(state)
        assert ("needle-right" in there) == (state.needle_right_mm is not None)
        assert ("cement" in there) == (state.cement_ml is not None)
        assert ("tumour" in there) == (state.tumour_diameter_mm is not None)
        for name, (first, last) in spans.items():
            assert (name in there) == (first <= time <= last), (name, time)
        assert {"L1", "T12", "disc-L1-L2", "dura", "skin"} <= set(there)


def test_the_exported_cement_is_what_the_gauge_says():
    plan = default_plan()
    for time in (150.0, 165.0, 200.0):
        state = plan.state_at_time(time)
        mesh = plan.structures_at(state, "none")["cement"].world_mesh(0.4)
        assert mesh.volume_ml == pytest.approx(state.cement_ml, rel=0.01)
        assert mesh.is_closed


def test_the_needle_stands_with_its_tip_where_the_state_says():
    plan = default_plan()
    state = plan.state_at("pedicle", 0.5)
    needle = plan.needles["left"]
    points = plan.structures_at(state, "none")["needle-left"].world_mesh(1.0).points_mm
    deepest = points[((points - needle.skin_mm) @ needle.path.forward).argmax()]
    assert np.linalg.norm(deepest - needle.skin_mm) == pytest.approx(state.needle_left_mm, abs=1e-6)


def test_unmoved_structures_keep_their_keys():
    plan = default_plan()
    one, other = (plan.structures_at(plan.state_at("cement", share)) for share in (0.3, 0.31))
    assert all(one[name].key == other[name].key for name in one if name != "cement")


def test_planes_hold_the_needles_and_show_the_sides_as_asked():
    plan = default_plan()
    for frame in plan.planes.values():
        assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    axial, sagittal = plan.planes["axial"], plan.planes["sagittal"]
    assert axial.rotation[0, 0] == 1.0  # the patient's right on the right
    assert axial.rotation[1, 1] < -0.9  # back uppermost
    assert sagittal.rotation[:, 0].tolist() == [0.0, -1.0, 0.0]  # front on the left
    for side, needle in plan.needles.items():
        upright = plan.planes[f"needle-{side}"].inverse()
        for point in (needle.path.tip_mm, needle.path.contact_mm):
            assert abs(upright.point(point)[2]) < 1e-6
            assert abs(axial.inverse().point(point)[2]) < needle.path.radius_mm


# words and margins ----------------------------------------------------------------------------------------------------


def test_words_agree_with_states():
    plan = default_plan()
    words, state = plan.words(), plan.state_at("outcome", 1.0)
    assert words["cement_ml"] == pytest.approx(state.cement_ml)
    assert words["filled_ml"] == pytest.approx(plan.state_at("cement", 1.0).cement_ml)
    assert words["final_anterior_mm"] == pytest.approx(state.anterior_height_mm)
    assert words["standing_wedge_deg"] == pytest.approx(plan.state_at("fracture", 1.0).wedge_deg)
    assert words["least_bone_mm"] >= LEAST_MM
    assert words["stop_reason"] in ("volume", "posterior", "full")


def test_margins_are_all_kept():
    margins = default_plan().margins
    for side in ("right", "left"):
        assert margins[f"needle_{side}_least_bone_mm"] >= LEAST_MM
        assert margins[f"needle_{side}_canal_mm"] >= LEAST_MM
        assert 0.0 < margins[f"needle_{side}_tip_front_share"] <= 1 / 3 + 1e-9
    assert margins["cement_to_back_quarter_mm"] >= 0.0
    assert margins["cement_to_canal_mm"] > 0.0


def test_auto_is_resolved():
    table = default_plan().resolved()
    assert table["cement"]["volume_ml"] == pytest.approx(default_plan().cement.asked_ml, abs=1e-3)
    assert table["balloon"]["volume_ml"] == 2.0
    assert table["tumour"]["extent"] == "body"


# kept plans -----------------------------------------------------------------------------------------------------------


def files_of(plan: VertebroplastyPlan):
    return [cache_folder() / "plans" / f"{plan.digest}{ending}" for ending in (".json", ".npz")]


def test_a_kept_plan_is_the_same_to_the_last_bit(monkeypatch, tmp_path):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path))
    made, read = plan_vertebroplasty(Case()), plan_vertebroplasty(Case())
    assert all(path.exists() for path in files_of(made))
    assert not list((tmp_path / "plans").glob(".part-*"))
    assert made.cement == read.cement
    assert np.array_equal(made.filling.order.values, read.filling.order.values)
    assert made.state_at("cement", 0.7) == read.state_at("cement", 0.7)
    assert made.digest == read.digest


def test_a_damaged_plan_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path))
    made = plan_vertebroplasty(Case())
    for path in files_of(made):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert plan_vertebroplasty(Case()).cement == made.cement
        assert path.read_bytes() == whole


def test_another_case_has_another_digest():
    assert default_plan().digest != plan_vertebroplasty(Case().with_values(cement__volume_ml=1.0)).digest
