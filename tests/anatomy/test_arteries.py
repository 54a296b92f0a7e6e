"""The arterial tree: what springs from what, how wide and how long, and that it lies where there is room for it."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from spineviz.anatomy import arteries
from spineviz.anatomy.arterial_course import femoral_places, height_in, world_from_pelvis
from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES, artery_table, groin, groin_table, level_rows, size
from spineviz.anatomy.arteries import arterial_tree, parse_adamkiewicz
from spineviz.anatomy.bones import carved_mesh, near_field
from spineviz.anatomy.column import COLUMN_LEVELS, column, levels_between
from spineviz.anatomy.discs import discs
from spineviz.anatomy.neural import canal_line, cord_sweep, neural_structures
from spineviz.anatomy.ribs import rib_structures
from spineviz.anatomy.tumour import tumour
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.geometry.fields import sphere

VIEW = levels_between("T2", "sacrum")
UP = np.array([0.0, 0.0, 1.0])
ONCE = ("aorta", "coeliac", "superior-mesenteric", "adamkiewicz", "anterior-spinal", "anterior-spinal-upper")
ON_BOTH_SIDES = (
    "common-iliac", "external-iliac", "internal-iliac", "femoral", "superficial-femoral", "deep-femoral", "renal",
    *(f"{kind}-{level}" for kind in ("segmental", "muscular", "dorsal", "radicular") for level in SEGMENTAL_LEVELS),
)  # fmt: skip
NAMES = sorted([*ONCE, *(f"{name}-{side}" for name in ON_BOTH_SIDES for side in SIDES)])


@cache
def tree(level="L1", lying=1.0, adamkiewicz="left T12", feeders=False, side="left"):
    grown = tumour(level, 9.0, side) if feeders else None
    return arterial_tree(column(level, lying), adamkiewicz, grown, (level if feeders else "L1", side))


@cache
def surfaces():
    """Vertices of the surfaces of bones, discs and ribs about the default column, by name."""
    here = column("L1", 1.0)
    out = {level: carved_mesh(level, 0.8).moved(here.world_from_vertebra(level)).points_mm for level in VIEW}
    out |= {name: part.world_mesh(1.0).points_mm for name, part in discs(here, VIEW).items()}
    return out | {name: part.world_mesh(1.0).points_mm for name, part in rib_structures(here, VIEW).items()}


def least_way(branch, points):
    """The least way from the lumen to `points`, among those near its box."""
    low, high = branch.field.bounds_mm
    near = points[((points > low - 6.0) & (points < high + 6.0)).all(1)]
    return branch.field(near).min() if len(near) else np.inf


def local(here, level, points):
    return here.column.world_from_vertebra(level).inverse().points(points)


# ---- topology -------------------------------------------------------------------------------------------------------


def test_it_is_one_tree_with_the_aorta_as_its_root():
    import networkx as nx

    for made in (tree(), tree(adamkiewicz="none"), tree(feeders=True)):
        assert nx.is_arborescence(made.graph)
        assert [name for name, degree in made.graph.in_degree() if degree == 0] == ["aorta"]
        assert set(made.graph) == set(made.branches)
        for parent, child, data in made.graph.edges(data=True):
            assert made.branches[child].parent == parent
            assert data["way_mm"] == made.branches[child].parent_mm


def test_every_named_branch_is_there():
    assert set(tree().branches) == set(NAMES)
    assert SEGMENTAL_LEVELS == ("T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4")


def test_branches_begin_on_their_parents_middle_and_within_its_lumen():
    made = tree(feeders=True)
    for branch in made.branches.values():
        if branch.parent is None:
            continue
        parent = made.branches[branch.parent]
        start = branch.centreline.points_mm[0]
        assert np.linalg.norm(parent.centreline.at(branch.parent_mm)[0] - start) < 0.01, branch.name
        assert branch.radius_mm[0] <= parent.radius_at(branch.parent_mm)[0] + 1e-9, branch.name
        # its middle is in the parent's lumen up to the orifice, and past it never again
        way = branch.centreline.arc_mm
        depth = parent.field(branch.centreline.points_mm)
        if branch.wall_mm > 0.0:
            assert (depth[way < branch.wall_mm - 0.01] < 0.0).all(), branch.name
            assert (depth[way > branch.wall_mm + 0.01] > 0.0).all(), branch.name
        else:
            assert branch.parent_mm == parent.length_mm


def test_lumens_taper_and_never_grow_downstream():
    for branch in tree(feeders=True).branches.values():
        assert (branch.radius_mm > 0.1).all()
        assert np.diff(branch.radius_mm).max() <= 1e-9, branch.name
        assert branch.radius_mm[-1] < branch.radius_mm[0]


def test_lines_are_fine_and_smooth():
    for branch in tree(feeders=True).branches.values():
        tangent = branch.centreline.tangents()
        turn = np.rad2deg(np.arccos(np.clip((tangent[1:] * tangent[:-1]).sum(1), -1, 1)))
        assert np.diff(branch.centreline.arc_mm).max() < 1.2, branch.name
        assert turn.max() < 26.0, (branch.name, turn.max())
        # a bend's radius is more than the lumen's, or the wall would fold; where large ones go on, more than its width
        bend = np.deg2rad(turn) / np.diff(branch.centreline.arc_mm) * branch.radius_mm[1:]
        past = branch.centreline.arc_mm[1:] > branch.wall_mm
        large = branch.kind in ("aorta", "iliac", "femoral") and not branch.name.startswith("internal")
        assert bend[past].max() < (0.5 if large else 1.0), branch.name


# ---- published figures ----------------------------------------------------------------------------------------------


def test_the_aorta_is_as_wide_as_published():
    made = tree()
    for level, wide in (("T5", 23.6), ("T8", 22.3), ("T11", 21.7), ("L3", 17.5)):
        heights = local(made, level, made.branches["aorta"].centreline.points_mm)
        way = int(np.argmin(np.linalg.norm(heights[:, [0, 2]] * [0.2, 1.0], axis=1)))
        assert 2 * made.branches["aorta"].radius_mm[way] == pytest.approx(wide, abs=0.2)
    assert 2 * made.branches["aorta"].radius_mm[-1] == pytest.approx(15.8, abs=1e-6)


def test_lengths_are_as_published():
    made = tree()
    length = {name: branch.length_mm for name, branch in made.branches.items()}
    assert length["common-iliac-right"] == pytest.approx(60.3, abs=0.5)
    assert length["common-iliac-left"] == pytest.approx(61.2, abs=0.5)
    for side in SIDES:
        assert length[f"external-iliac-{side}"] == pytest.approx(105.0, abs=1.0)
        assert length[f"femoral-{side}"] == pytest.approx(40.0, abs=0.5)
    # from the arch to the fork about 40 cm
    assert length["aorta"] == pytest.approx(400.0, abs=20.0)
    # from a puncture in the common femoral artery to the orifice of L1 about 31 cm, to T8 about 45
    for level, way in (("L1", 310.0), ("T8", 450.0)):
        mouth = made.branches[f"segmental-{level}-left"].parent_mm
        assert made.distance_mm(("femoral-right", 40.0), ("aorta", mouth)) == pytest.approx(way, rel=0.05)


@pytest.mark.parametrize("side", SIDES)
def test_leg_arteries_are_as_wide_as_published(side):
    made = tree()
    middle = {name: 2 * made.radius_at(name, made.branches[name].length_mm / 2) for name in made.branches}
    assert middle[f"common-iliac-{side}"] == pytest.approx(10.85, abs=0.5)
    assert 7.0 <= middle[f"external-iliac-{side}"] <= 9.0
    assert 8.0 <= middle[f"femoral-{side}"] <= 9.0
    assert 2.0 <= 2 * made.radius_at(f"segmental-L2-{side}", made.branches[f"segmental-L2-{side}"].wall_mm + 6) <= 3.0


def test_the_aorta_forks_before_L4_and_the_organs_arteries_arise_where_published():
    made = tree()
    ends = {name: made.point_at("aorta", made.branches[name].parent_mm) for name in made.branches if
            made.branches[name].parent == "aorta"}  # fmt: skip
    fork = local(made, "L4", ends["common-iliac-left"][None])[0]
    assert height_in("L4", 1.0) < fork[2] < height_in("L4", 0.5)

    def between(name, top, bottom):
        high = local(made, top[0], ends[name][None])[0][2]
        low = local(made, bottom[0], ends[name][None])[0][2]
        return high <= height_in(*top) and low >= height_in(*bottom)

    assert between("coeliac", ("T12", 0.0), ("L1", 1.0))
    assert between("superior-mesenteric", ("T12", 0.0), ("L2", 1.0))
    assert between("renal-right", ("L1", 0.5), ("L2", 0.5))
    assert made.branches["coeliac"].parent_mm < made.branches["superior-mesenteric"].parent_mm
    assert made.branches["superior-mesenteric"].parent_mm < made.branches["renal-right"].parent_mm


def test_the_aorta_lies_in_front_and_to_the_left():
    made = tree()
    line = made.branches["aorta"].centreline.points_mm
    aside = {}
    for level in SEGMENTAL_LEVELS:
        inner = local(made, level, line)
        at = inner[np.argmin(np.where(np.linalg.norm(inner, axis=1) < 70, np.abs(inner[:, 2]), np.inf))]
        assert at[0] < -3.0, level
        assert at[1] > 0.0, level
        aside[level] = -at[0]
    # 19.7 ± 4.3 mm to the left at T8 or T9 (doi:10.1007/BF03207763)
    assert 19.7 - 4.3 < aside["T8"] < 19.7 + 4.3
    assert 19.7 - 4.3 < aside["T9"] < 19.7 + 4.3
    lumbar = [aside[level] for level in ("T12", "L1", "L2", "L3", "L4")]
    assert lumbar == sorted(lumbar, reverse=True)


def test_upper_segmental_arteries_arise_below_their_level_in_order():
    made = tree()
    for side in SIDES:
        mouths = [made.branches[f"segmental-{level}-{side}"].parent_mm for level in SEGMENTAL_LEVELS]
        assert mouths == sorted(mouths)
    for level, row in level_rows().items():
        for side in SIDES:
            branch = made.branches[f"segmental-{level}-{side}"]
            mouth = local(made, level, made.point_at("aorta", branch.parent_mm)[None])[0]
            assert mouth[2] == pytest.approx(-row.orifice_below_mm, abs=0.6)


@pytest.mark.parametrize("level", SEGMENTAL_LEVELS)
def test_orifices_lie_on_the_wall_that_faces_the_body(level):
    made = tree()
    for side in SIDES:
        branch = made.branches[f"segmental-{level}-{side}"]
        middle = made.point_at("aorta", branch.parent_mm)
        mouth = made.point_at(branch.name, branch.wall_mm)
        body = made.column.world_from_vertebra(level).point([0.0, 0.0, float(local(made, level, middle[None])[0][2])])
        out, inward = mouth - middle, body - middle
        angle = np.rad2deg(np.arccos(out @ inward / np.linalg.norm(out) / np.linalg.norm(inward)))
        assert angle == pytest.approx(size("orifice_half_angle_deg"), abs=8.0)


@pytest.mark.parametrize("side", SIDES)
def test_the_femoral_artery_lies_over_the_medial_half_of_the_head(side):
    made = tree()
    places = femoral_places(side)
    pelvis = world_from_pelvis(made.column).inverse()
    line = pelvis.points(made.branches[f"femoral-{side}"].centreline.points_mm)
    at = line[np.argmin(np.abs(line[:, 2] - places["head"][2]))]
    radius = groin("femoral_head_diameter_mm") / 2
    medial = (places["head"][0] - at[0]) * np.sign(places["head"][0])
    assert 0.0 < medial < radius
    assert at[1] - places["head"][1] > radius + made.branches[f"femoral-{side}"].radius_mm[0]
    # it begins under the ligament, above the head's middle, and forks below that
    assert np.linalg.norm(line[0] - places["ligament"]) < 3.0
    assert np.linalg.norm(line[-1] - places["fork"]) < 3.0
    assert line[0][2] > places["head"][2] > line[-1][2]


def test_forks_obey_areas_and_cubes():
    """Between equal areas (large arteries) and Murray's law of cubes (small ones)."""
    made = tree()
    forks = [("aorta", ("common-iliac-right", "common-iliac-left"))]
    for side in SIDES:
        forks.append((f"common-iliac-{side}", (f"external-iliac-{side}", f"internal-iliac-{side}")))
        forks.append((f"femoral-{side}", (f"superficial-femoral-{side}", f"deep-femoral-{side}")))
        forks += [
            (f"segmental-{level}-{side}", (f"muscular-{level}-{side}", f"dorsal-{level}-{side}"))
            for level in SEGMENTAL_LEVELS
        ]
    for parent, children in forks:
        before = made.branches[parent].radius_mm[-1]
        after = np.array([made.radius_at(name, 5.0 * before) for name in children])
        assert (after**2).sum() > 0.8 * before**2, parent
        assert (after**3).sum() < 1.15 * before**3, parent


def test_every_figure_says_where_it_is_from():
    words = ("verified", "memory", "derived", "constructed")
    for table in (artery_table(), groin_table()):
        for name, row in table.items():
            assert row.citation, name
            assert row.mark.startswith(words), name
    assert set(level_rows()) == set(SEGMENTAL_LEVELS)


# ---- where there is room --------------------------------------------------------------------------------------------


def test_nothing_enters_bone_disc_or_rib():
    for branch in tree().branches.values():
        wide = size("aorta_wall_mm") - 0.2 if branch.kind in ("aorta", "iliac", "visceral") else 0.1
        for name, points in surfaces().items():
            assert least_way(branch, points) > wide, (branch.name, name)


@settings(deadline=None, max_examples=8)
@given(level=st.sampled_from(SEGMENTAL_LEVELS), lying=st.sampled_from([0.0, 1.0]))
def test_middle_lines_are_outside_every_bone_whatever_is_treated(level, lying):
    made = tree(level, lying)
    points = np.concatenate([branch.centreline.points_mm for branch in made.branches.values()])
    radius = np.concatenate([branch.radius_mm for branch in made.branches.values()])
    for bone in VIEW:
        inner = made.column.world_from_vertebra(bone).inverse().points(points)
        near = np.linalg.norm(inner, axis=1) < 90.0
        assert (near_field(bone)(inner[near]) - radius[near]).min() > 0.0, bone


@settings(deadline=None, max_examples=10)
@given(level=st.sampled_from(SEGMENTAL_LEVELS), other=st.sampled_from(COLUMN_LEVELS[:-1]))
def test_what_is_called_the_world_changes_nothing(level, other):
    a, b = tree(level), arterial_tree(column(other, 1.0))
    carry = a.column.world_from_vertebra("T9") @ b.column.world_from_vertebra("T9").inverse()
    for name, branch in a.branches.items():
        moved_line = carry.points(b.branches[name].centreline.points_mm)
        assert np.abs(moved_line - branch.centreline.points_mm).max() < 1e-6


@pytest.mark.parametrize("level", SEGMENTAL_LEVELS)
@pytest.mark.parametrize("side", SIDES)
def test_segmental_arteries_hug_the_body_and_end_before_the_foramen(level, side):
    made = tree()
    branch = made.branches[f"segmental-{level}-{side}"]
    points = np.concatenate([points for name, points in surfaces().items() if not name.startswith("ribs")])
    way = branch.centreline.arc_mm
    past = (way > branch.wall_mm + 5.0) & (way < way[-1] - 7.0)  # it stands off where it leaves and where it divides
    gap = cKDTree(points).query(branch.centreline.points_mm)[0] - branch.radius_mm
    assert gap[past].max() < 2.6
    assert np.median(gap[past]) < 1.2
    inner = local(made, level, branch.centreline.points_mm)
    end = inner[-1] * [1.0 if side == "right" else -1.0, 1.0, 1.0]
    # beside the pedicle, behind the body's middle, below the pedicle's axis
    assert end[0] > 10.0
    assert end[1] < -2.0
    axis = vertebra(level).frames["pedicle-right"].origin_mm
    assert end[2] < axis[2]
    assert end[1] > axis[1]


def test_right_segmental_arteries_are_longer():
    made = tree()
    for level in SEGMENTAL_LEVELS:
        right, left = (made.branches[f"segmental-{level}-{side}"] for side in SIDES)
        assert right.length_mm > left.length_mm + 5.0, level


def test_outer_branches_are_mirrored():
    made = tree(adamkiewicz="none")
    for level, kind in itertools.product(SEGMENTAL_LEVELS, ("muscular", "dorsal", "radicular")):
        right, left = (made.branches[f"{kind}-{level}-{side}"] for side in SIDES)
        a, b = local(made, level, right.centreline.points_mm), local(made, level, left.centreline.points_mm)
        assert np.abs(a - b * [-1.0, 1.0, 1.0]).max() < 1e-9
        assert np.abs(right.radius_mm - left.radius_mm).max() < 0.02


def test_no_lumen_touches_another_but_at_its_joint():
    made = tree()
    for a, b in itertools.combinations(made.branches.values(), 2):
        thin, thick = sorted((a, b), key=lambda branch: branch.radius_mm.max())
        if a.parent == b.name or b.parent == a.name:
            continue
        joint = _shared_room(made, a, b)
        points = thin.centreline.points_mm
        gap = thick.field(points) - thin.radius_mm
        if joint is not None:
            middle, reach = joint
            gap = gap[np.linalg.norm(points - middle, axis=1) > reach]
        assert not len(gap) or gap.min() > 0.05, (a.name, b.name)


def _shared_room(made, a, b):
    """Where two branches of one parent may still be one: (middle, reach); None where they share nothing."""
    if a.parent != b.parent or a.parent is None or abs(a.parent_mm - b.parent_mm) > 12.0:
        return None
    wide = made.radius_at(a.parent, a.parent_mm)
    middle = made.point_at(a.parent, (a.parent_mm + b.parent_mm) / 2)
    # siblings part within a few widths of their parent; those of the aorta's sides are apart at its wall
    return middle, (1.05 * wide if a.wall_mm and b.wall_mm else 6.0 * wide)


def test_children_leave_their_parents_for_good():
    made = tree()
    for branch in made.branches.values():
        if branch.parent is None:
            continue
        parent = made.branches[branch.parent]
        past = branch.wall_mm + 4.0 * branch.radius_mm[-1] + 1.5
        if branch.wall_mm == 0.0:
            continue  # it goes on from the end
        way = branch.centreline.arc_mm
        gap = parent.field(branch.centreline.points_mm) - branch.radius_mm
        assert gap[way > past].min() > 0.05, branch.name


def test_nothing_neural_is_pierced_but_the_sac_by_the_cords_artery():
    made = tree()
    parts = neural_structures(made.column, levels_between("T1", "L5"))
    for name in ("cord", "roots", "dura"):
        points = parts[name].world_mesh(1.0).points_mm
        for branch in made.branches.values():
            if name == "dura" and branch.name == "adamkiewicz":
                continue
            assert least_way(branch, points) > 0.0, (name, branch.name)


# ---- the cord's artery ----------------------------------------------------------------------------------------------

CORDS = ("left T12", "right T12", "left T10", "left T8", "right L1", "left L2", "left T5", "left L4", "right T4")


@pytest.mark.parametrize("text", CORDS)
def test_adamkiewicz_comes_in_on_its_side_and_level_and_turns_back(text):
    side, level = text.split()
    made = tree(adamkiewicz=text)
    assert made.path("aorta", "anterior-spinal") == (
        "aorta", f"segmental-{level}-{side}", f"dorsal-{level}-{side}", f"radicular-{level}-{side}", "adamkiewicz",
        "anterior-spinal",
    )  # fmt: skip
    branch = made.branches["adamkiewicz"]
    assert 0.8 <= 2 * branch.radius_mm[-1] <= 2 * branch.radius_mm[0] <= 1.3
    assert made.branches[f"radicular-{level}-{side}"].radius_mm[-1] >= branch.radius_mm[0] - 1e-9
    points, tangent = branch.centreline.points_mm, branch.centreline.tangents()
    up = local(made, level, points)[:, 2]
    sign = 1.0 if side == "right" else -1.0
    assert (local(made, level, points[:5])[:, 0] * sign > 2.0).all()
    # it climbs, turns within a few millimetres, and comes down
    top = int(np.argmax(points @ made.column.vertical()))
    before = tangent[max(top - 14, 0)]
    after = tangent[-1]
    assert before @ after < -0.85
    assert np.linalg.norm(points[-1] - points[max(top - 14, 0)]) < 8.0
    # round the hairpin it comes nearer to the middle all the way
    turning = points[branch.centreline.arc_mm > branch.length_mm - 6.0, 0] * sign
    assert (np.diff(turning) < 0.02).all()
    assert turning[0] < 2.0 * size("hairpin_radius_mm") + 0.2
    # less than two and a half bodies and discs, but to one that comes in far below the cord
    assert 15.0 < up.max() - up[0] < (95.0 if level < "L3" or level[0] == "T" else 125.0)
    assert np.abs(points[-1][0]) < 0.05


@pytest.mark.parametrize("text", ["left T12", "right T9", "left L3"])
def test_the_anterior_spinal_artery_runs_along_the_front_of_the_cord(text):
    made = tree(adamkiewicz=text)
    parts = neural_structures(made.column, levels_between("T1", "L5"))
    cord = cord_sweep(canal_line(made.column, "T1", "L5"))
    for name in ("anterior-spinal", "anterior-spinal-upper"):
        branch = made.branches[name]
        points = branch.centreline.points_mm
        gap = parts["cord"].field(points) - branch.radius_mm
        assert gap.min() > -0.05
        assert gap.max() < 0.9
        assert np.abs(points[:, 0]).max() < 0.05
        near = cKDTree(cord.points_mm).query(points)[1]
        offset = points - cord.points_mm[near]
        # the cord runs downward, so that its sweep's own front looks back
        ahead, aside = (-(offset * cord.front[near]).sum(1), (offset * cord.side[near]).sum(1))
        assert (ahead > 20.0 * np.abs(aside)).all()
        assert (parts["dura"].field(points) + branch.radius_mm < 0.0).all()
    assert made.branches["anterior-spinal"].centreline.points_mm[-1] @ UP < made.point_at("adamkiewicz", 1e6) @ UP


def test_without_it_there_is_none():
    made = tree(adamkiewicz="none")
    assert not {"adamkiewicz", "anterior-spinal", "anterior-spinal-upper"} & set(made.branches)
    assert set(tree().branches) - set(made.branches) == {"adamkiewicz", "anterior-spinal", "anterior-spinal-upper"}


# ---- tumour ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "side"), [("L1", "left"), ("L1", "right"), ("T6", "left"), ("T10", "right"),
                                             ("L4", "left"), ("T4", "right")])  # fmt: skip
def test_feeders_spring_from_the_target_and_end_in_the_tumour(level, side):
    made = tree(level, 1.0, "left T12", True, side)
    grown = tumour(level, 9.0, side)
    feeders = [branch for branch in made.branches.values() if branch.kind == "feeder"]
    assert [branch.name for branch in feeders] == [f"feeder-{i}" for i in range(1, 6)]
    trunk = f"segmental-{level}-{side}"
    for branch in feeders:
        assert trunk in made.path("aorta", branch.name)
        assert grown.full(branch.centreline.points_mm[-1:])[0] < 0.0
        assert grown.full(branch.centreline.points_mm[-1:])[0] < -branch.radius_mm[-1] / 2
        assert 2 * branch.radius_mm.min() >= 0.3
        assert 2 * branch.radius_mm.max() <= 1.9
    main = made.branches["feeder-1"]
    # a 2.7 F microcatheter (0.9 mm) enters the main one
    assert 2 * main.radius_at(main.wall_mm + 2.0)[0] > 0.9 + 0.2
    assert main.parent_mm > made.branches[trunk].wall_mm + 4.0


def test_feeders_grow_into_whatever_field_is_given():
    ball = sphere([-9.0, 2.0, 3.0], 5.0)
    made = arterial_tree(column("L1", 1.0), feeders=ball, target=("L1", "left"))
    ends = np.array([b.centreline.points_mm[-1] for b in made.branches.values() if b.kind == "feeder"])
    assert (ball(ends) < 0.0).all()
    assert made.key != tree(feeders=True).key


# ---- fields, surfaces, ways -----------------------------------------------------------------------------------------


def test_the_field_of_all_is_the_least_of_each():
    made = tree(feeders=True)
    rng = np.random.default_rng(3)
    middle = np.concatenate([branch.centreline.points_mm for branch in made.branches.values()])
    points = middle[rng.integers(0, len(middle), 3000)] + rng.normal(0.0, 4.0, (3000, 3))
    each = np.min([branch.field(points) for branch in made.branches.values()], axis=0)
    whole = made.field()(points)
    near = each < 5.0
    assert np.abs(whole - each)[near].max() < 1e-9
    assert (np.abs(whole - each) < 2.0).all()
    assert made.field(["aorta"])(points) == pytest.approx(made.branches["aorta"].field(points))


def test_on_the_middle_the_depth_is_the_radius():
    for branch in tree(feeders=True).branches.values():
        depth = -branch.field(branch.centreline.points_mm)
        assert (depth >= branch.radius_mm - 1e-9).all()
        assert depth.max() < branch.radius_mm.max() + 1e-6


def test_surfaces_are_closed_and_lie_on_the_lumen():
    made = tree(feeders=True)
    for name, branch in made.branches.items():
        mesh = made.mesh(name, 0.5)
        assert mesh.is_closed, name
        assert mesh.pieces == 1, name
        assert mesh.volume_ml > 0.0, name
        off = branch.field(mesh.points_mm)
        assert off.max() < 0.2 + 0.08 * branch.radius_mm.max(), name
        if branch.wall_mm > 0.0:
            # it begins under its parent's surface: no gap, and nothing of it inside the parent
            depth = made.branches[branch.parent].field(mesh.points_mm)
            assert -0.5 - 0.2 * branch.radius_mm[0] < depth.min() < 0.0, name
        if branch.length_mm > 20.0 * branch.radius_mm.max():
            arc = branch.centreline.arc_mm
            volume = np.trapezoid(np.pi * branch.radius_mm**2, arc)[()] / 1000.0
            inside = np.trapezoid(np.pi * (branch.radius_mm**2)[arc <= branch.wall_mm], arc[arc <= branch.wall_mm])
            assert mesh.volume_ml == pytest.approx(volume - inside / 1000.0, rel=0.08), name


def test_the_great_arteries_are_one_hollow_and_their_branches_are_not():
    parts = tree(feeders=True).structures()
    great = {name for name, part in parts.items() if part.runs_on}
    assert great == {"aorta", "iliac-right", "iliac-left", "femoral-right", "femoral-left"}
    assert len({parts[name].runs_on for name in great}) == 1


def test_structures_hold_every_branch_once():
    made = tree(feeders=True)
    parts = made.structures()
    assert {"aorta", "iliac-right", "iliac-left", "femoral-right", "segmental-L1-left", "adamkiewicz", "feeder-1",
            "anterior-spinal", "coeliac", "superior-mesenteric", "renal-left"} <= set(parts)  # fmt: skip
    assert sorted(itertools.chain(*made.groups().values())) == sorted(made.branches)
    assert all((part.role, part.material) == ("artery", "blood") for part in parts.values())
    assert len({part.key for part in parts.values()}) == len(parts)
    assert set(made.structures(each=True)) == set(made.branches)
    mesh = parts["segmental-L1-left"].world_mesh(1.0)
    assert mesh.is_closed
    assert mesh.pieces == 4
    assert parts["segmental-L1-left"].field(mesh.points_mm).max() < 0.2


@settings(deadline=None, max_examples=40)
@given(
    a=st.sampled_from(NAMES), b=st.sampled_from(NAMES), c=st.sampled_from(NAMES),
    shares=st.tuples(*[st.floats(0.05, 0.95)] * 3),
)  # fmt: skip
def test_ways_through_the_tree_add_up(a, b, c, shares):
    made = tree()
    places = [(name, share * made.branches[name].length_mm) for name, share in zip((a, b, c), shares, strict=True)]
    ab, ba = made.distance_mm(places[0], places[1]), made.distance_mm(places[1], places[0])
    assert ab == pytest.approx(ba)
    assert ab <= made.distance_mm(places[0], places[2]) + made.distance_mm(places[2], places[1]) + 1e-6
    assert made.path(a, b) == made.path(b, a)[::-1]
    if ab > 1e-3:
        way, back = made.route(places[0], places[1]), made.route(places[1], places[0])
        assert way.curve.length_mm == pytest.approx(ab, abs=0.02 * len(way.branches))
        assert np.allclose(way.curve.points_mm[::-1], back.curve.points_mm)
        assert np.allclose(way.curve.points_mm[0], made.point_at(*places[0]))
        assert np.allclose(way.curve.points_mm[-1], made.point_at(*places[1]))
        assert way.branches == made.path(a, b) or len(way.branches) < len(made.path(a, b))
        assert (made.field()(way.curve.points_mm) < 0.0).all()


def test_a_catheters_way_and_what_the_level_counter_says():
    made = tree(feeders=True)
    way = made.route(("femoral-right", 20.0), ("feeder-1", 8.0))
    assert way.branches == (
        "femoral-right", "external-iliac-right", "common-iliac-right", "aorta", "segmental-L1-left", "feeder-1",
    )  # fmt: skip
    seen = [made.nearest_level(point) for point in way.curve.points_mm]
    order = [COLUMN_LEVELS.index(level) for level, _ in itertools.groupby(seen)]
    assert seen[0] == "sacrum"
    assert seen[-1] == "L1"
    assert order == sorted(order, reverse=True)
    assert way.branch_at(0.0) == "femoral-right"
    assert way.branch_at(1e6) == "feeder-1"
    assert (np.diff(way.radius_at(np.linspace(0.0, 40.0, 9))) > -1e-9).all()  # upstream it widens


def test_building_it_again_gives_the_same():
    first = tree(feeders=True)
    for made in (arteries._stem, arteries._segmental, arteries._cord):
        made.cache_clear()
    again = arterial_tree(column("L1", 1.0), "left T12", tumour("L1", 9.0, "left"), ("L1", "left"))
    assert again.key == first.key
    assert list(again.branches) == list(first.branches)
    for name, branch in again.branches.items():
        assert np.array_equal(branch.centreline.points_mm, first.branches[name].centreline.points_mm)
        assert np.array_equal(branch.radius_mm, first.branches[name].radius_mm)


def test_fewer_levels_change_nothing_of_the_others():
    whole = arterial_tree(column("L1", 1.0), "none")
    part = arterial_tree(column("L1", 1.0), "none", levels=("T12", "L1"))
    assert part.key != whole.key
    segmental = {name for name in part.branches if part.branches[name].kind == "segmental"}
    assert segmental == {f"segmental-{level}-{side}" for level in ("T12", "L1") for side in ("right", "left")}
    for name, branch in part.branches.items():
        assert np.array_equal(branch.centreline.points_mm, whole.branches[name].centreline.points_mm)
        assert np.array_equal(branch.radius_mm, whole.branches[name].radius_mm)


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "T12", "left", "left T3", "left L5", "middle T12", "left T12 again", "None"])
def test_a_wrong_adamkiewicz_is_refused_with_what_is_accepted(text):
    with pytest.raises(RequestError, match=r"artery\.adamkiewicz.*T4 to L4.*none"):
        parse_adamkiewicz(text)


def test_wrong_targets_and_branches_are_refused():
    with pytest.raises(RequestError, match=r"spine\.level: 'L5'.*T4 to L4"):
        arterial_tree(column("L5", 1.0), target=("L5", "left"))
    with pytest.raises(RequestError, match=r"artery\.target_side: .*left or right"):
        arterial_tree(column("L1", 1.0), target=("L1", "middle"))
    with pytest.raises(RequestError, match="no branch 'carotid'"):
        tree().branch("carotid")
    with pytest.raises(RequestError, match="same place"):
        tree().route(("aorta", 10.0), ("aorta", 10.0))
