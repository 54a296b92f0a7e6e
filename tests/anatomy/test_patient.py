"""The assembled patient: what there is, what moves, what is remembered."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.materials import materials
from spineviz.anatomy.patient import levels_in_view, patient
from spineviz.anatomy.structure import RANKS
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS


def test_at_l1_the_last_rib_and_the_sacrum_can_be_counted():
    assert levels_in_view("L1") == ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "sacrum")


@pytest.mark.parametrize("level", LEVELS)
def test_every_view_is_an_unbroken_window_with_neighbours_on_both_sides(level):
    order = (*LEVELS, "sacrum")
    view = levels_in_view(level)
    index = order.index(view[0])
    assert view == order[index : index + len(view)]
    here = view.index(level)
    assert here == min(3, LEVELS.index(level))
    assert len(view) - here > 1


def test_an_unknown_level_has_no_view():
    with pytest.raises(RequestError, match="C7"):
        levels_in_view("C7")


def test_what_there_is():
    names = set(patient().structures(1.0, 1.0, 1.0))
    assert {"T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "sacrum"} <= names
    assert {"disc-T10-T11", "disc-T12-L1", "disc-L1-L2", "disc-L5-S1"} <= names
    assert {"cord", "dura", "roots", "tumour", "cleft", "ribs-right", "ribs-left", "skin", "muscle", "lungs"} <= names
    healthy = set(patient().structures(0.0, 0.0, 0.0))
    assert names - healthy == {"tumour", "cleft"}
    assert set(patient().structures(1.0, 0.0, 1.0, "none")) == {"L1", "tumour", "cleft"}
    assert "skin" not in patient().structures(1.0, 0.0, 1.0, "spine")
    assert "tumour" not in patient(tumour_diameter_mm=None).structures(1.0, 0.0, 1.0, "none")


def test_every_structure_is_named_and_made_of_something():
    for name, structure in patient().structures(1.0, 1.0, 1.0).items():
        assert structure.name == name
        assert structure.material in materials()
        assert structure.core_material is None or structure.core_material in materials()
        assert (structure.core is None) == (structure.core_material is None)
        assert structure.rank in RANKS.values()


def test_equal_arguments_give_the_same_object_at_once():
    here = patient()
    first = here.structures(0.4, 0.0, 1.0)
    assert here.structures(0.4 + 1e-9, 0.0, 1.0) is first
    start = time.perf_counter()
    for _ in range(100):
        here.structures(0.4, 0.0, 1.0)
    assert (time.perf_counter() - start) / 100 < 1e-3
    assert patient() is here


def test_a_changed_collapse_is_put_together_quickly():
    here = patient()
    here.structures(0.0, 0.0, 1.0)
    spent = []
    for collapse in (0.11, 0.22, 0.33, 0.44):
        start = time.process_time()
        here.structures(collapse, 0.0, 1.0)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.12  # about 0.03 s on an idle machine


def test_only_what_changed_has_a_new_key():
    here = patient()
    before, after = here.structures(0.5, 0.0, 1.0), here.structures(0.8, 0.0, 1.0)
    for name in ("T11", "L2", "L4", "disc-L2-L3", "disc-T10-T11"):
        assert before[name].key == after[name].key
    for name in ("L1", "tumour", "cleft", "disc-T12-L1", "disc-L1-L2", "skin", "dura"):
        assert before[name].key != after[name].key
    growing = here.structures(0.5, 0.0, 0.7)
    assert {n for n in before if before[n].key != growing[n].key} == {"tumour"}
    assert all(growing[n] is before[n] for n in before if n not in ("tumour", "L1", "cleft"))


@settings(max_examples=8)
@given(st.sampled_from(["T6", "L1"]), st.sampled_from(["wedge", "crush", "biconcave"]), st.sampled_from([0.0, 1.0]))
def test_the_treated_surface_is_the_healthy_one_carried_by_the_fracture(level, shape, lying):
    here = patient(level, shape, 0.4, None)
    amount = here.amount(1.0, lying)
    healthy, broken = (here.structures(c, lying, 0.0, "none")[level].mesh(2.0) for c in (0.0, 1.0))
    assert (healthy.triangles == broken.triangles).all()
    assert here.fracture.inverse(broken.points_mm, amount) == pytest.approx(healthy.points_mm, abs=1e-6)
    assert broken.is_closed
    assert broken.pieces == 1


@pytest.mark.parametrize(("lying", "lift"), [(0.0, 0.0), (1.0, 0.0), (1.0, 0.4)])
def test_everything_above_follows_the_end_plate_and_nothing_below_moves(lying, lift):
    here = patient()
    healthy, broken = here.column(0.0, lying), here.column(1.0, lying, lift)
    motion = here.fracture.upper_endplate_motion(here.amount(1.0, lying, lift))
    for level in ("T10", "T12"):
        expected = (motion @ healthy.world_from_vertebra(level)).matrix
        assert broken.world_from_vertebra(level).matrix == pytest.approx(expected, abs=1e-9)
    for level in ("L1", "L2", "sacrum"):
        assert (broken.world_from_vertebra(level).matrix == healthy.world_from_vertebra(level).matrix).all()


@pytest.mark.parametrize("shape", ["wedge", "crush", "biconcave"])
def test_bones_do_not_sink_into_each_other_when_the_body_gives_way(shape):
    here = patient("L1", shape, 0.5)
    for lying, lift in ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5)):
        parts = here.structures(1.0, lying, 1.0, "spine", lift)
        above = parts["T12"].world_mesh(1.6).points_mm
        assert parts["L1"].field(above).min() > 0.6


@pytest.mark.parametrize(
    ("collapse", "lying", "lift"), [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.5)]
)
def test_discs_stay_in_touch_with_the_broken_body(collapse, lying, lift):
    parts = patient().structures(collapse, lying, 1.0, "spine", lift)
    for name, low in (("disc-T12-L1", True), ("disc-L1-L2", False)):
        mesh = parts[name].mesh(1.5)
        facing = mesh.normals[:, 2] * (-1 if low else 1) > 0.8
        world = mesh.moved(parts[name].world_from_local).points_mm[facing]
        gap = np.abs(parts["L1"].field(world))
        assert np.quantile(gap, 0.9) < 0.6


# lift -----------------------------------------------------------------------------------------------------------------


def test_without_lift_all_is_as_it_was():
    here = patient()
    assert here.amount(1.0, 1.0) == here.amount(1.0, 1.0, 0.0)
    assert here.column(1.0, 1.0) is here.column(1.0, 1.0, 0.0)
    assert here.structures(1.0, 1.0, 1.0, "none") is here.structures(1.0, 1.0, 1.0, "none", 0.0)


@settings(max_examples=6)
@given(st.sampled_from(["T7", "L1", "L3"]), st.sampled_from(["wedge", "crush", "biconcave"]))
def test_a_whole_lift_is_the_healthy_patient_lying_down(level, shape):
    here = patient(level, shape, 0.4, None)
    lifted, healthy = here.structures(1.0, 1.0, 0.0, "spine", 1.0), here.structures(0.0, 1.0, 0.0, "spine")
    assert lifted.keys() == healthy.keys()
    for name in lifted:
        assert lifted[name].key == healthy[name].key
        assert (lifted[name].world_from_local.matrix == healthy[name].world_from_local.matrix).all()


def test_lift_changes_what_stands_above_and_nothing_below():
    here = patient()
    before, after = (here.structures(1.0, 1.0, 1.0, "spine", lift) for lift in (0.1, 0.3))
    for name in ("T11", "L2", "L4", "sacrum", "disc-L2-L3"):
        assert before[name].key == after[name].key
    for name in ("L1", "tumour", "cleft", "disc-T12-L1", "disc-L1-L2", "dura"):
        assert before[name].key != after[name].key
    raised = [
        parts["T12"].world_from_local.point([0.0, 15.0, 0.0])[2]
        - parts["T12"].world_from_local.point([0.0, -15.0, 0.0])[2]
        for parts in (before, after)
    ]
    assert raised[1] > raised[0] + 0.3  # T12 tips back


# the bone -------------------------------------------------------------------------------------------------------------


def test_healthy_bone_is_the_same_everywhere_and_stands_where_it_stood():
    bone = patient().treated_bone(0.0)
    assert bone.bone_share is None
    assert bone.healthy is None


@settings(max_examples=10)
@given(
    st.sampled_from(["T6", "L1"]),
    st.sampled_from(["wedge", "crush", "biconcave"]),
    st.sampled_from([(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.4)]),
)
def test_crushed_bone_is_denser_by_as_much_as_its_room_is_less(level, shape, moment):
    here = patient(level, shape, 0.35, None)
    amount = here.amount(*moment)
    bone = here.treated_bone(amount)
    marks = np.random.default_rng(4).uniform([-14, -10, -8], [14, 12, 8], (500, 3))
    seen = here.fracture.forward(marks, amount)
    assert bone.healthy(seen) == pytest.approx(marks, abs=1e-6)
    share = bone.bone_share(seen)
    assert share * here.fracture.volume_share(marks, amount) == pytest.approx(np.full(500, 0.08), rel=1e-5)
    assert share.max() > 0.085
    assert share.max() < 1.0
    # the arch is not crushed
    arch = np.array([[0.0, -45.0, -5.0], [16.0, -24.0, 3.0]])
    assert bone.bone_share(arch) == pytest.approx([0.08, 0.08])


def test_the_more_it_is_lifted_the_looser_the_bone():
    here = patient()
    under_the_plate = here.fracture.forward(np.array([[3.0, 8.0, 7.0]]), here.amount(1.0, 1.0))
    shares = []
    for lift in (0.0, 0.25, 0.5, 0.75):
        amount = here.amount(1.0, 1.0, lift)
        carried = here.fracture.forward(here.fracture.inverse(under_the_plate, here.amount(1.0, 1.0)), amount)
        shares.append(float(here.bone_share(carried, amount)[0]))
    assert (np.diff(shares) < 0).all()


@pytest.mark.parametrize(
    ("level", "shape", "loss"),
    [
        ("T5", "crush", 0.6),
        ("T5", "wedge", 0.35),
        ("L1", "wedge", 0.35),
        ("L1", "biconcave", 0.5),
        ("L5", "crush", 0.6),
    ],
)
def test_no_bone_is_lost_or_won_on_the_way(level, shape, loss):
    here = patient(level, shape, loss, None)
    healthy = here.trabecular_bone_ml()
    for moment in ((1.0, 0.0), (0.5, 0.0), (1.0, 1.0), (1.0, 1.0, 0.5)):
        assert here.trabecular_bone_ml(here.amount(*moment)) == pytest.approx(healthy, rel=0.01)
    assert here.trabecular_bone_ml(here.amount(1.0, 1.0, 1.0)) == healthy


def test_trabecular_bone_is_its_share_of_the_core():
    here = patient()
    core = here.treated_bone(0.0).core
    low, high = core.bounds_mm
    points = np.random.default_rng(8).uniform(low, high, (400_000, 3))
    core_ml = core.contains(points).mean() * np.prod(high - low) / 1000
    assert here.trabecular_bone_ml() == pytest.approx(here.trabecular_share * core_ml, rel=0.02)
    assert patient(tumour_diameter_mm=None).trabecular_bone_ml() == here.trabecular_bone_ml()  # tumour ignored


def test_bone_shares_come_quickly():
    bone = patient().treated_bone(0.658)
    points = np.random.default_rng(2).uniform([-20, -15, -14], [20, 17, 14], (15_000, 3))
    spent = []
    for _ in range(4):
        start = time.process_time()
        bone.bone_share(points)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05  # about 0.01 s on an idle machine


@pytest.mark.parametrize("moment", [(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.5)])
def test_tumour_and_cleft_lie_inside_the_broken_body(moment):
    collapse, lying, lift = moment
    parts = patient().structures(collapse, lying, 1.0, "none", lift)
    core = parts["L1"].core
    assert core is not None
    for name in ("tumour", "cleft"):
        assert core(parts[name].world_mesh(1.0).points_mm).max() < 0


def test_the_needle_nick_lies_on_the_skin():
    here = patient()
    nick = here.entry_on_skin([18.0, -20.0, 3.0], [0.2, -1.0, 0.05])
    skin = here.structures(1.0, 1.0, 1.0)["skin"]
    assert np.abs(skin.field(nick[None])) < 1e-6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1.2, 0.0, 1.0), "collapse: 1.2"),
        ((0.5, -0.1, 1.0), "lying: -0.1"),
        ((0.5, 0.0, float("nan")), "tumour: nan"),
        ((0.5, 0.0, 1.0, "everything"), "surroundings: .*'everything'.*none, spine, trunk"),
        ((0.5, 0.0, 1.0, "none", 1.01), "lift: 1.01"),
    ],
)
def test_wrong_shares_are_refused_by_name(arguments, said):
    with pytest.raises(RequestError, match=said):
        patient().structures(*arguments)


def test_a_patient_without_a_tumour_has_none_to_show():
    with pytest.raises(RequestError, match="tumour"):
        patient(tumour_diameter_mm=None).tumour_structure(1.0, 1.0)
