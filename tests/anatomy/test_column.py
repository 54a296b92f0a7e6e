"""The column stands as published, lying and standing, and its bones meet without sharing a point."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from spineviz.anatomy import bones
from spineviz.anatomy.column import (
    COLUMN_LEVELS,
    SACRUM,
    column,
    column_structures,
    endplates,
    level_above,
    level_below,
    levels_around,
    levels_between,
    tilt_deg,
)
from spineviz.anatomy.measures_column import ANGLE_TOLERANCE_DEG, built_segment, measure_column
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS, morphometry, sourced_table
from spineviz.geometry.frames import rotation_about

SPACING_MM = 1.2
JOINTS = [(level, level_below(level)) for level in LEVELS]


def plate(here, level):
    """The upper end-plate of `level` in the world."""
    return here.world_from_vertebra(level) @ endplates(level)[0]


@cache
def surface(level):
    return bones.carved_mesh(level, SPACING_MM).points_mm


@cache
def tree(level):
    return cKDTree(surface(level))


def facet_zone(level, points):
    """Which `points` (N, 3) in the frame of `level` lie at its lower facet joints: behind the body, off the midline."""
    return (points[:, 1] < endplates(level)[1].origin_mm[1] - 16.0) & (np.abs(points[:, 0]) > 4.0)


# ---- where the bones stand ------------------------------------------------------------------------------------------


def test_every_disc_height_and_segment_angle_is_as_published_on_the_built_surfaces():
    measures = measure_column(column("L1"))
    assert len(measures) == 2 * len(LEVELS)
    wrong = [(m.level, m.name, m.built, m.published.value) for m in measures if not m.within]
    assert not wrong


def test_published_curves_are_the_sums_of_the_segments():
    standing = column("L1")
    assert tilt_deg(plate(standing, "L1"), plate(standing, SACRUM)) == pytest.approx(-50.5, abs=1e-6)
    assert tilt_deg(plate(standing, "T1"), plate(standing, "T12")) == pytest.approx(43.4, abs=1e-6)


def test_lying_lordosis_is_the_published_one():
    curve = sourced_table(asset("anatomy", "curvature.csv"))
    lying = column("L1", 1.0)
    # the volunteers' T12-S1 runs from the lower end of T12, so from the upper end-plate of L1 with the disc between
    whole = -tilt_deg(plate(lying, "L1"), plate(lying, SACRUM))
    low = -tilt_deg(plate(lying, "L4"), plate(lying, SACRUM))
    assert whole == pytest.approx(curve["lordosis_lying_T12_S1_deg"].value, abs=1.0)
    assert low == pytest.approx(curve["lordosis_lying_L4_S1_deg"].value, abs=0.5)


@given(lying=st.floats(0, 1))
@settings(max_examples=15)
def test_disc_height_is_kept_and_angles_flatten_in_proportion_when_lying(lying):
    here, standing, flat = column("L1", lying), column("L1", 0.0), column("L1", 1.0)
    for level, below in JOINTS:
        lower = here.world_from_vertebra(level) @ endplates(level)[1]
        under = plate(here, below)
        height = np.linalg.norm(lower.origin_mm - under.origin_mm)
        assert height == pytest.approx(morphometry()[level]["disc_below_height_mm"].value, abs=0.12)
        ends = [tilt_deg(plate(c, level), plate(c, below)) for c in (standing, flat)]
        now = tilt_deg(plate(here, level), plate(here, below))
        assert now == pytest.approx(ends[0] + lying * (ends[1] - ends[0]), abs=1e-6)


@pytest.mark.parametrize("lying", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("treated", ["T1", "T7", "L1", "L5"])
def test_the_treated_vertebra_is_the_world(treated, lying):
    assert np.allclose(column(treated, lying).world_from_vertebra(treated).matrix, np.eye(4), atol=1e-12)


@given(treated=st.sampled_from(LEVELS), lying=st.floats(0, 1), level=st.sampled_from(COLUMN_LEVELS))
@settings(max_examples=40)
def test_the_world_does_not_change_how_bones_stand_to_each_other(treated, lying, level):
    here, there = column("L1", lying), column(treated, lying)
    assert np.allclose(here.relative(level, "T9").matrix, there.relative(level, "T9").matrix, atol=1e-9)
    assert here.relative_key(level, "T9") == there.relative_key(level, "T9")


def test_a_collapse_moves_what_is_above_it_and_nothing_else():
    motion = rotation_about([1, 0, 0], -8.0, [0.0, -15.0, 10.0])
    healthy, broken = column("L1", 0.3), column("L1", 0.3, motion)
    for level in COLUMN_LEVELS:
        was, now = healthy.world_from_vertebra(level).matrix, broken.world_from_vertebra(level).matrix
        wanted = motion.matrix @ was if healthy.is_above(level) else was
        assert np.allclose(now, wanted, atol=1e-12), level
    assert healthy.relative_key("T12", "T10") == broken.relative_key("T12", "T10")
    assert healthy.relative_key("T12", "L1") != broken.relative_key("T12", "L1")


def test_the_sacral_endplate_slopes_as_published_below_a_standing_person():
    here = column("L3")
    normal = here.world_from_sacrum.rotation[:, 2]
    slope = np.degrees(np.arccos(normal @ here.vertical()))
    assert slope == pytest.approx(sourced_table(asset("anatomy", "curvature.csv"))["sacral_slope_standing_deg"].value)
    # plumb line: the body of L1 stands above the back of S1, not in front of or behind the pelvis
    way = here.world_from_vertebra("L1").origin_mm - here.world_from_sacrum.origin_mm
    across = way - (way @ here.vertical()) * here.vertical()
    assert np.linalg.norm(across) < 60.0


@pytest.mark.parametrize(("level", "lying"), [("C7", 0.0), ("l1", 0.0), ("sacrum", 0.0), ("L1", -0.1), ("L1", 1.01)])
def test_a_wrong_level_or_share_is_refused(level, lying):
    with pytest.raises(RequestError, match=r"give (T1 to L5|0 \(standing\) to 1)"):
        column(level, lying)


def test_neighbours_and_views_of_levels():
    assert level_above("T1") is None
    assert level_below("L5") == SACRUM
    assert level_below(SACRUM) is None
    assert levels_between("L4", SACRUM) == ("L4", "L5", SACRUM)
    assert levels_around("L4", 3) == ("L1", "L2", "L3", "L4", "L5", SACRUM)


# ---- the bones together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", COLUMN_LEVELS)
def test_every_carved_bone_is_closed_and_in_one_piece(level):
    mesh = bones.carved_mesh(level, SPACING_MM)
    assert mesh.is_closed
    assert mesh.pieces == 1


@pytest.mark.parametrize("lying", [0.0, 0.25, 0.6, 1.0])
def test_no_two_neighbours_overlap_and_every_facet_joint_meets(lying):
    gap = sourced_table(asset("anatomy", "joints.csv"))["facet_gap_mm"].value
    here = column("L1", lying)
    for level, below in JOINTS:
        there = here.relative(below, level).points(surface(below))
        assert (bones.carved_field(level)(there) > 0.0).all(), (level, below)
        back = here.relative(level, below).points(surface(level))
        assert (bones.carved_field(below)(back) > 0.0).all(), (below, level)
        way, _ = tree(level).query(there)
        assert way.min() > 0.85 * gap, (level, below)
        joint = facet_zone(level, there)
        for side in (1.0, -1.0):
            here_side = joint & (side * there[:, 0] > 0)
            assert way[here_side].min() <= 2.5, (level, below, side)
            assert (way[here_side] <= 2.5).sum() >= 8, (level, below, side)


@pytest.mark.parametrize("treated", ["T9", "T12", "L1", "L3"])
def test_a_wedge_fracture_opens_the_joints_and_pushes_no_bone_into_another(treated):
    above = level_above(treated)
    hinge = endplates(treated)[0].origin_mm - np.array([0.0, 14.0, 0.0])
    for turn in (5.0, 14.0):
        here = column(treated, 0.0, rotation_about([1, 0, 0], -turn, hinge))
        carried = here.world_from_vertebra(above).points(surface(above))
        behind = carried[:, 1] < hinge[1] - 2.0  # the body itself sinks into the healthy one: its bone gave way
        assert (bones.carved_field(treated)(carried[behind]) > 0.0).all()


def test_bones_two_apart_never_meet():
    here = column("L1", 0.0)
    for i, level in enumerate(COLUMN_LEVELS[:-2]):
        second = COLUMN_LEVELS[i + 2]
        way, _ = tree(level).query(here.relative(second, level).points(surface(second)))
        assert way.min() > 0.5, (level, second)


def test_a_bones_surface_belongs_to_its_level_and_not_to_the_posture():
    view = ("T12", "L1", "L2")
    stand = column_structures(column("L1", 0.0), view, neural=False, ribs=False)
    lie = column_structures(column("L1", 1.0), view, neural=False, ribs=False)
    for level in view:
        assert stand[level].key == lie[level].key
        assert stand[level].mesh(SPACING_MM) is lie[level].mesh(SPACING_MM)
    assert stand["disc-T12-L1"].key != lie["disc-T12-L1"].key


def test_a_bones_field_and_core_follow_its_frame():
    here = column("L1", 1.0)
    bone = bones.bone(here, "L3")
    inside = here.world_from_vertebra("L3").point([8.0, 0.0, 0.0])[None]
    assert bone.field(inside)[0] < -5.0
    assert bone.core is not None
    assert bone.core(inside)[0] < -4.0
    points = bone.world_mesh(SPACING_MM).points_mm
    assert np.abs(bone.field(points)).max() < 0.6
    assert bone.core(points).min() > 0.0  # cortex everywhere, over the carved facets too


def test_what_is_made_beside_is_all_that_a_bone_is_asked_for():
    for function, arguments in [*bones.surface_calls(["T7", "T8"]), *bones.raster_calls(["T8"])]:
        function(*arguments)
    made = {function: set(function._made) for function in (bones._surface, bones.carved_half, bones._core_half)}
    for level in ("T7", "T8"):
        bones.carved_mesh(level, 1.2)
    bones.carved_field("T8").distance(np.zeros((1, 3)))
    bones.carved_core("T8").distance(np.zeros((1, 3)))
    assert all(set(function._made) == keys for function, keys in made.items())


def test_structures_of_a_view_are_named_as_they_are_exported():
    view = levels_between("T11", SACRUM)
    names = set(column_structures(column("L1"), view))
    discs = {"disc-T11-T12", "disc-T12-L1", "disc-L1-L2", "disc-L2-L3", "disc-L3-L4", "disc-L4-L5", "disc-L5-S1"}
    assert names == {*view, *discs, "cord", "dura", "roots", "ribs-right", "ribs-left"}


def test_measured_angles_see_a_column_that_stands_wrong():
    # the measure reads the surfaces: lying, the lumbar angles are out of the standing tolerance
    _, angle = built_segment(column("L1", 1.0), "L3")
    assert abs(angle - morphometry()["L3"]["segment_angle_below_deg"].value) > ANGLE_TOLERANCE_DEG
