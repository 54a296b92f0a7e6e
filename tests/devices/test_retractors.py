"""The retractor's blades stand where they are asked to; screws lie in bone and rods in their heads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.column import column
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.devices.retractors import (
    retractor,
    rod_seat_mm,
    screw_bone_mm,
    screw_line,
    screw_radius_mm,
    screws_and_rods,
    sizes,
    widest_mm,
    wound_frame,
)
from spineviz.geometry.fields import unit
from spineviz.geometry.frames import Frame, rotation_about

LEVELS = ("T6", "T9", "T12", "L1", "L2", "L3", "L4")


@pytest.mark.parametrize("opening", [10.0, 30.0, 54.0, 80.0])
def test_the_blades_stand_as_far_apart_as_asked(opening):
    tool = retractor(Frame(), opening, 130.0)
    deep = -0.6 * (sizes()["blade_depth_mm"] - 12.0)
    across = np.column_stack([np.arange(-90.0, 90.0, 0.05), np.full(3600, deep), np.zeros(3600)])
    steel = across[tool.field(across) < 0.0, 0]
    assert steel.max() == pytest.approx(opening / 2, abs=0.1)
    assert steel.min() == pytest.approx(-opening / 2, abs=0.1)
    between = np.abs(steel).min()
    assert between == pytest.approx(opening / 2 - sizes()["blade_thickness_mm"], abs=0.1)


def test_its_surface_is_closed_and_lies_on_its_field():
    tool = retractor(Frame(), 50.0, 130.0)
    mesh = tool.mesh(1.0)
    assert mesh.is_closed
    # parts run through each other: what lies on the outside lies on the field
    assert np.abs(tool.field(mesh.points_mm).max()) < 0.1


def test_the_rack_lies_beyond_the_wound():
    for wound in (60.0, 130.0):
        mesh = retractor(Frame(), 40.0, wound).mesh(1.0)
        wide = mesh.points_mm[np.abs(mesh.points_mm[:, 0]) < 10.0]
        assert wide[:, 2].min() > wound / 2


@given(st.floats(-50.0, 4.0 - 1e-3) | st.floats(widest_mm() + 1e-3, 400.0))
def test_what_the_rack_cannot_give_is_refused(opening):
    with pytest.raises(RequestError, match="opening_mm"):
        retractor(Frame(), opening, 130.0)


@given(st.floats(-180.0, 180.0), st.floats(-60.0, 60.0))
def test_a_wound_frame_is_a_rotation_that_opens_outward(turn, lean):
    out = rotation_about((0, 0, 1), turn).vector((0.0, -1.0, 0.0))
    frame = wound_frame((1.0, 2.0, 3.0), out, np.array([0.0, 0.3, 1.0]) + np.array([0.1, 0.0, 0.0]) * lean / 60)
    assert frame.rotation.T @ frame.rotation == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    assert frame.rotation[:, 1] == pytest.approx(out)


@pytest.mark.parametrize("level", LEVELS)
def test_screws_lie_in_the_pedicle_and_the_body(level):
    assert screw_bone_mm(level) > 0.0
    pedicle = vertebra(level).row["PDW_zindrick_mm"].value
    assert 2 * screw_radius_mm(level) <= 0.8 * pedicle


@pytest.mark.parametrize("level", LEVELS)
def test_screws_are_mirror_images_that_lean_towards_the_middle(level):
    (start, tip), (other, other_tip) = screw_line(level, "right"), screw_line(level, "left")
    assert start == pytest.approx(other * [-1, 1, 1], abs=0.6)
    assert tip == pytest.approx(other_tip * [-1, 1, 1], abs=0.6)
    assert 0.0 < tip[0] < start[0]
    assert tip[1] > start[1]


@settings(max_examples=6)
@given(st.sampled_from([("T12", "L2"), ("L1", "L3"), ("T8", "T10"), ("L2", "L3", "L4")]), st.sampled_from([0.0, 1.0]))
def test_every_rod_runs_through_its_heads(levels, lying):
    here = column("L1", lying)
    frames = [here.world_from_vertebra(level) for level in levels]
    found = screws_and_rods(levels, frames)
    assert list(found) == ["screws", "rods"]
    for structure in found.values():
        assert structure.mesh(1.0).is_closed
    assert found["rods"].mesh(1.0).pieces == 2
    for level, frame in zip(levels, frames, strict=True):
        for side in ("right", "left"):
            entry, tip = (frame.point(end) for end in screw_line(level, side))
            seat = rod_seat_mm(entry, unit(tip - entry))
            assert float(found["rods"].field(seat[None])[0]) == pytest.approx(-sizes()["rod_mm"] / 2, abs=0.4)
            middle = entry + 0.5 * (tip - entry)
            assert float(found["screws"].field(middle[None])[0]) < -0.5 * screw_radius_mm(level)


def test_a_rod_joins_at_least_two():
    with pytest.raises(RequestError, match="at least two"):
        screws_and_rods(("L1",), (Frame(),))
