"""The groin: the artery is entered where it should be, and what lies beside it lies in its order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import COLUMN_LEVELS, column, column_structures
from spineviz.anatomy.groin import groin_landmarks, groin_structures, puncture
from spineviz.anatomy.outline import body_outline, entry_on_body
from spineviz.anatomy.pelvis import pelvis_structures

LYING = column("L1", lying=1.0)
PARTS = groin_structures(LYING)
sides = pytest.mark.parametrize("side", SIDES)


@sides
def test_the_artery_is_entered_below_the_ligament_over_the_upper_half_of_the_head(side):
    found = puncture(LYING, side)
    branch = arterial_tree(LYING, "none").branch(found.branch)
    assert branch.name == f"femoral-{side}"
    assert 8.0 < found.way_mm < branch.length_mm - 8.0  # between ligament and fork
    pelvis = world_from_pelvis(LYING).inverse()
    above = pelvis.point(found.axis_mm) - femoral_places(side)["head"]
    assert 0.0 < above[2] < 24.0
    assert branch.centreline.at(found.way_mm)[0] == pytest.approx(found.axis_mm, abs=0.01)
    assert branch.field.distance(found.vessel_mm[None])[0] == pytest.approx(0.0, abs=1e-6)


@sides
def test_the_needle_goes_in_at_45_degrees_towards_the_head(side):
    found = puncture(LYING, side)
    assert found.angle_deg == pytest.approx(45.0, abs=0.1)
    assert found.direction[2] > 0.4
    assert found.direction[1] < -0.4
    on_line = found.skin_mm + found.direction * float((found.axis_mm - found.skin_mm) @ found.direction)
    assert on_line == pytest.approx(found.axis_mm, abs=1e-6)
    assert body_outline(LYING).field.distance(found.skin_mm[None])[0] == pytest.approx(0.0, abs=1e-5)
    assert 15.0 < float(np.linalg.norm(found.skin_mm - found.axis_mm)) < 60.0


@sides
def test_from_outside_in_nerve_artery_vein(side):
    places = groin_landmarks(LYING, side)
    aside = {name: abs(float(places[name][0])) for name in ("nerve", "artery", "vein")}
    assert aside["nerve"] > aside["artery"] + 6.0
    assert aside["artery"] > aside["vein"] + 6.0
    assert places["ligament"][2] > places["artery"][2] + 6.0
    assert places["ligament"][1] > places["head"][1]


@pytest.mark.parametrize("level", ["T4", "L1", "L4"])
def test_the_box_of_a_vein_that_is_not_laid_yet_holds_it(level):
    parts = groin_structures(column(level, lying=1.0))
    for name in ("vena-cava", *(f"femoral-vein-{side}" for side in SIDES)):
        low, high = parts[name].field.bounds_mm
        points = parts[name].world_mesh(1.0).points_mm
        assert (points > low).all()
        assert (points < high).all()


def test_no_bone_is_asked_for_before_a_vein_is_looked_at(monkeypatch):
    def asked(*_, **__):
        raise AssertionError("a vein was laid")

    monkeypatch.setattr("spineviz.anatomy.groin._bones", asked)
    parts = groin_structures(column("L2", lying=0.987))  # a posture that no other test has laid veins in
    with pytest.raises(AssertionError, match="a vein was laid"):
        parts["vena-cava"].field.distance(np.zeros((1, 3)))


def test_veins_keep_off_arteries_and_bone_and_nothing_leaves_the_body():
    arteries = arterial_tree(LYING, "none").field()
    bones = [part.field for part in column_structures(LYING, COLUMN_LEVELS[10:]).values() if part.role == "bone"]
    bones += [part.field for name, part in pelvis_structures(LYING).items() if name.startswith("hip-")]
    body = body_outline(LYING).field
    for name, part in PARTS.items():
        mesh = part.world_mesh(0.5)
        assert mesh.is_closed, name
        assert body.distance(mesh.points_mm).max() < -4.0, name
        if part.role != "ligament":
            assert arteries.distance(mesh.points_mm).min() > 1.5, name
        if part.role == "vein":
            # the left one is least far off where it passes between the fifth lumbar vertebra and the right artery
            assert min(bone.distance(mesh.points_mm).min() for bone in bones) > 1.3, name


@sides
def test_blood_finds_its_way_from_the_groin_to_the_vena_cava(side):
    vein, cava = PARTS[f"femoral-vein-{side}"], PARTS["vena-cava"]
    points = vein.world_mesh(2.0).points_mm
    assert cava.field.distance(points).min() < -1.0
    assert vein.world_mesh(2.0).pieces == 1
    low = float(groin_landmarks(LYING, side)["head"][2])
    assert points[:, 2].min() < low - 40.0
    assert cava.world_mesh(2.0).points_mm[:, 2].max() > LYING.world_from_vertebra("T12").origin_mm[2]


def test_the_vena_cava_lies_right_of_the_aorta():
    aorta = arterial_tree(LYING, "none").branch("aorta").centreline.points_mm
    cava = PARTS["vena-cava"].world_mesh(2.0).points_mm
    for z in range(-100, 60, 20):
        ring = cava[np.abs(cava[:, 2] - z) < 6.0]
        assert ring[:, 0].min() > float(np.interp(-z, -aorta[:, 2], aorta[:, 0])) + 6.0


@sides
def test_the_ligament_passes_in_front_of_nerve_artery_and_vein(side):
    band = PARTS[f"inguinal-ligament-{side}"]
    axes = world_from_pelvis(LYING).rotation
    points = band.world_mesh(2.0).points_mm
    tree = arterial_tree(LYING, "none")
    for field in (
        PARTS[f"femoral-nerve-{side}"].field,
        PARTS[f"femoral-vein-{side}"].field,
        tree.field([f"femoral-{side}", f"external-iliac-{side}"]),
    ):
        assert 0.5 < field.distance(points).min() < 8.0
        behind = points - np.arange(1.0, 16.0)[:, None, None] * axes[:, 1]
        ahead = points + np.arange(1.0, 16.0)[:, None, None] * axes[:, 1]
        assert field.distance(behind.reshape(-1, 3)).min() < 0.0
        assert field.distance(ahead.reshape(-1, 3)).min() > 0.0


@sides
def test_the_ligament_springs_from_the_iliac_spine_and_ends_on_the_pubic_bone(side):
    hip = pelvis_structures(LYING)[f"hip-{side}"].field
    points = PARTS[f"inguinal-ligament-{side}"].world_mesh(2.0).points_mm
    for end in (points[:, 2] > points[:, 2].max() - 4.0, points[:, 2] < points[:, 2].min() + 4.0):
        assert -6.0 < hip.distance(points[end]).min() < 1.5


@sides
def test_the_skin_over_the_femoral_artery_is_18_to_35_mm_away(side):
    branch = arterial_tree(LYING, "none").branch(f"femoral-{side}")
    front = world_from_pelvis(LYING).rotation[:, 1]
    for middle, radius in zip(branch.centreline.points_mm[::6], branch.radius_mm[::6], strict=True):
        skin = entry_on_body(LYING, middle, front)
        assert 17.9 < float((skin - middle) @ front) - radius < 35.0


def test_left_mirrors_right_but_for_the_arteries():
    for name in ("nerve", "ligament", "head", "artery", "vein", "skin"):
        right, left = (groin_landmarks(LYING, side)[name] for side in SIDES)
        assert right * [-1, 1, 1] == pytest.approx(left, abs=2.0), name


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(SEGMENTAL_LEVELS), st.sampled_from(SIDES))
def test_what_is_called_the_world_changes_nothing(level, side):
    here = column(level, lying=1.0)
    carried = here.world_from_sacrum @ LYING.world_from_sacrum.inverse()
    one, two = puncture(LYING, side), puncture(here, side)
    assert carried.point(one.axis_mm) == pytest.approx(two.axis_mm, abs=0.2)
    assert carried.vector(one.direction) == pytest.approx(two.direction, abs=0.01)
    assert carried.point(one.skin_mm) == pytest.approx(two.skin_mm, abs=1.0)
    assert one.way_mm == pytest.approx(two.way_mm, abs=0.1)
