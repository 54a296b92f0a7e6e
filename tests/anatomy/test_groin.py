"""The groin: the artery is entered where it should be, and what lies beside it lies in its order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import column
from spineviz.anatomy.groin import groin_landmarks, groin_structures, puncture
from spineviz.anatomy.outline import body_outline

LYING = column("L1", lying=1.0)
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
    assert branch.field.distance(found.vessel_mm[None])[0] == pytest.approx(0.0, abs=0.15)


@sides
def test_the_needle_goes_in_at_45_degrees_towards_the_head(side):
    found = puncture(LYING, side)
    assert found.angle_deg == pytest.approx(45.0, abs=0.1)
    assert found.direction[2] > 0.4
    assert found.direction[1] < -0.4
    on_line = found.skin_mm + found.direction * float((found.axis_mm - found.skin_mm) @ found.direction)
    assert on_line == pytest.approx(found.axis_mm, abs=1e-6)
    assert body_outline(LYING).field.distance(found.skin_mm[None])[0] == pytest.approx(0.0, abs=0.1)
    assert 15.0 < float(np.linalg.norm(found.skin_mm - found.axis_mm)) < 60.0


@sides
def test_from_outside_in_nerve_artery_vein(side):
    places = groin_landmarks(LYING, side)
    aside = {name: abs(float(places[name][0])) for name in ("nerve", "artery", "vein")}
    assert aside["nerve"] > aside["artery"] + 6.0
    assert aside["artery"] > aside["vein"] + 6.0
    assert places["ligament"][2] > places["artery"][2] + 6.0
    assert places["ligament"][1] > places["head"][1]


def test_veins_keep_off_arteries_and_nothing_leaves_the_body():
    tree = arterial_tree(LYING, "none")
    # the right artery of the kidneys passes behind the vena cava
    arteries = tree.field([name for name in tree.branches if not name.startswith("renal")])
    body = body_outline(LYING).field
    for name, part in groin_structures(LYING).items():
        points = part.world_mesh(2.0).points_mm
        if part.role == "vein":
            assert arteries.distance(points).min() > (1.4 if name.startswith("femoral") else 0.2), name
        assert body.distance(points).max() < -4.0, name
        assert part.world_mesh(2.0).is_closed, name


def test_left_mirrors_right_but_for_the_arteries():
    for name in ("nerve", "ligament", "head"):
        right, left = (groin_landmarks(LYING, side)[name] for side in SIDES)
        assert right * [-1, 1, 1] == pytest.approx(left, abs=2.0)


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(SEGMENTAL_LEVELS), st.sampled_from(SIDES))
def test_what_is_called_the_world_changes_nothing(level, side):
    here = column(level, lying=1.0)
    carried = here.world_from_sacrum @ LYING.world_from_sacrum.inverse()
    one, two = puncture(LYING, side), puncture(here, side)
    assert carried.point(one.axis_mm) == pytest.approx(two.axis_mm, abs=0.2)
    assert carried.vector(one.direction) == pytest.approx(two.direction, abs=0.01)
