"""Hubs, syringes, blood at the needle: nothing runs through anything, and a syringe holds what its marks say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.devices.endovascular import endovascular_parts, endovascular_sizes
from spineviz.devices.endovascular_hubs import FLUIDS, back_flow, catheter_hub, hub_mouth, syringe_structures, syringes
from spineviz.devices.vascular_access import puncture_needle_structures
from spineviz.geometry.frames import Frame, rotation_about
from spineviz.views.theme import theme

SIZES = endovascular_sizes()
CATHETERS = [name for name, size in SIZES.items() if size.kind in ("catheter", "microcatheter")]
END, OUT = np.zeros(3), np.array([0.0, 0.0, -1.0])

shares = st.floats(0.0, 1.0)
volumes = st.sampled_from([1, 10])
turns = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.2, 1), st.floats(-180, 180))
shifts = st.tuples(*[st.floats(-300, 300)] * 3)


def locked_on(share=0.6, role="contrast", volume_ml=10):
    """A syringe on the hub of a catheter that ends at the origin and comes from z."""
    return syringe_structures("syringe", hub_mouth(END, OUT), -OUT, share, role, volume_ml)


def points(part):
    return part.world_mesh(1.0).points_mm


def frame(turn, shift):
    return Frame(rotation_about(turn[:3], turn[3]).rotation, np.array(shift))


# ---- the syringe -----------------------------------------------------------------------------------------------------


@given(shares, shares, volumes)
@settings(max_examples=25, deadline=None)
def test_the_fluid_is_the_share_of_the_volume(one, other, volume_ml):
    held = [locked_on(share, volume_ml=volume_ml)["syringe-fluid"].world_mesh(1.0).volume_ml for share in (one, other)]
    # a polygon of 48 sides is 0.3 % smaller than its circle; what is in the nozzle is the same
    assert held[0] - held[1] == pytest.approx((one - other) * volume_ml, rel=0.01, abs=1e-4 * volume_ml)


@given(shares, volumes)
@settings(max_examples=25, deadline=None)
def test_the_piston_closes_the_fluid_and_nothing_runs_through_the_barrel(share, volume_ml):
    parts = locked_on(share, volume_ml=volume_ml)
    piston, fluid = points(parts["syringe-piston"]), points(parts["syringe-fluid"])
    if share > 0.001:
        assert piston[:, 2].max() == pytest.approx(fluid[:, 2].min(), abs=2e-3)
    for name in ("syringe-piston", "syringe-fluid", "syringe-plunger"):
        assert parts["syringe"].field(points(parts[name])).min() > -1e-9, name  # emptied, the piston touches the front
    # the disc for the thumb stays behind the flange
    assert points(parts["syringe-plunger"])[:, 2].min() < points(parts["syringe"])[:, 2].min()


@pytest.mark.parametrize("volume_ml", [1, 10])
def test_the_marks_stand_where_the_piston_does(volume_ml):
    marks = locked_on(0.0, volume_ml=volume_ml)["syringe-scale"].world_mesh(1.0)
    assert marks.pieces == 10
    for k in range(1, 11):
        face = points(locked_on(k / 10, volume_ml=volume_ml)["syringe-piston"])[:, 2].max()
        assert np.abs(marks.points_mm[:, 2] - face).min() < 0.6, k


def test_the_larger_syringe_is_the_wider_and_holds_ten_times_as_much():
    one, ten = syringes()[1], syringes()[10]
    assert ten.bore_mm > 2 * one.bore_mm
    for syringe in (one, ten):
        assert np.pi * syringe.fluid_radius_mm**2 * syringe.stroke_mm == pytest.approx(1000.0 * syringe.volume_ml)


@given(turns, shifts, shares)
@settings(max_examples=20, deadline=None)
def test_a_syringe_stands_where_it_is_told(turn, shift, share):
    carried = frame(turn, shift)
    direction = carried.vector((0.0, 0.0, 1.0))
    here = syringe_structures("syringe", np.zeros(3), (0.0, 0.0, 1.0), share, "drug")
    there = syringe_structures("syringe", carried.origin_mm, direction, share, "drug")
    for name, part in there.items():
        assert part.key == here[name].key
        along = (points(part) - carried.origin_mm) @ direction
        assert along == pytest.approx(points(here[name])[:, 2], abs=1e-6), name


@given(st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8), st.floats(0.5, 1.0)))
@settings(max_examples=15, deadline=None)
def test_the_marks_look_to_the_front_as_far_as_the_syringe_lets_them(direction):
    parts = syringe_structures("syringe", np.zeros(3), direction, 0.5, "contrast")
    way = np.array(direction) / np.linalg.norm(direction)
    marks, front = points(parts["syringe-scale"]).mean(0), np.array([0.0, 1.0, 0.0])
    across, wanted = marks - (marks @ way) * way, front - (front @ way) * way
    assert across @ wanted == pytest.approx(np.linalg.norm(across) * np.linalg.norm(wanted))


def test_what_a_syringe_cannot_be_is_told():
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="filled_share must be 0 to 1"):
            locked_on(share)
    with pytest.raises(ValueError, match="role must be contrast, drug, artery, got cement"):
        locked_on(role="cement")
    with pytest.raises(ValueError, match="volume_ml must be 1 or 10, got 5"):
        locked_on(volume_ml=5)


# ---- the hub ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATHETERS)
@pytest.mark.parametrize("volume_ml", [1, 10])
def test_a_syringe_sits_in_the_hub_and_does_not_run_through_it(name, volume_ml):
    hub, syringe = catheter_hub("hub", END, OUT, SIZES[name]), locked_on(volume_ml=volume_ml)["syringe"]
    assert hub.field(points(syringe)).min() > 0.0
    assert syringe.field(points(hub)).min() > 0.0
    part = endovascular_parts()
    depth = points(syringe)[:, 2].max() - points(hub)[:, 2].min()
    assert depth == pytest.approx(part["luer_depth_mm"])
    # it sits close: nowhere on the nozzle's flank is there more room than its gap, but for flats of the round bodies
    nozzle = points(syringe)
    far, z = np.hypot(*nozzle[:, :2].T), nozzle[:, 2]
    flank = (z > points(hub)[:, 2].min() + 0.5) & (z < z.max() - 0.01) & (far > 1.5) & (far < part["luer_mouth_mm"] / 2)
    seated = nozzle[flank]
    assert len(seated) > 40
    assert hub.field(seated).max() < part["luer_gap_mm"] + 0.01


@pytest.mark.parametrize("name", CATHETERS)
def test_the_way_through_the_hub_is_as_wide_as_the_catheter(name):
    hub = catheter_hub("hub", END, OUT, SIZES[name])
    low, high = points(hub)[:, 2].min(), points(hub)[:, 2].max()
    axis = np.column_stack([np.zeros(200), np.zeros(200), np.linspace(low, high, 200)])
    room = hub.field(axis)
    assert room.min() > 0.0
    assert room[(axis[:, 2] > -15.0) & (axis[:, 2] < -1.0)] == pytest.approx(SIZES[name].inner_mm / 2)
    # round the tube itself the strain relief is as wide as the tube
    assert room[axis[:, 2] > 2.0].min() >= SIZES[name].outer_mm / 2 - 1e-9


def test_a_wire_has_no_hub():
    with pytest.raises(ValueError, match="size must be a tube, got the wire wire-014"):
        catheter_hub("hub", END, OUT, SIZES["wire-014"])


# ---- blood -----------------------------------------------------------------------------------------------------------


@given(st.floats(0.05, 1.0), st.tuples(st.floats(-0.5, 0.5), st.floats(-0.9, -0.2), st.floats(0.3, 1.0)))
@settings(max_examples=20, deadline=None)
def test_blood_leaves_the_hub_backwards_and_falls(share, forward):
    size, forward = SIZES["needle-18G"], np.array(forward) / np.linalg.norm(forward)
    jet = back_flow("blood", np.zeros(3), forward, size, share)["blood"]
    hub = points(puncture_needle_structures("needle", np.zeros(3), forward, size)["needle-hub"])
    back = (hub @ -forward).max()
    blood = points(jet)
    gone = blood @ -forward
    assert gone.min() < back
    # never above the line on which it leaves, but for its own thickness
    off = blood + gone[:, None] * forward
    assert (off @ [0.0, 1.0, 0.0]).max() < 2.0
    full = points(back_flow("blood", np.zeros(3), forward, size, 1.0)["blood"]) @ -forward
    assert gone.max() <= full.max() + 1e-9


def test_the_jet_falls_as_a_stone_does():
    size, part = SIZES["needle-18G"], endovascular_parts()
    level = np.array([0.0, 0.0, 1.0])
    blood = points(back_flow("blood", np.zeros(3), level, size, 1.0)["blood"])
    start = size.length_mm - 3.0 + part["needle_hub_length_mm"]
    last = blood[blood[:, 2] < blood[:, 2].min() + 0.3]
    flown_s = 1e-3 * (-last[:, 2].mean() - start) / part["jet_speed_m_s"]
    # no more than the last drop's own size from the parabola of a throw
    assert last[:, 1].mean() == pytest.approx(-1e3 * 0.5 * 9.81 * flown_s**2, abs=1.0)


def test_no_blood_before_the_artery_is_met():
    assert back_flow("blood", np.zeros(3), (0.0, -1.0, 1.0), SIZES["needle-18G"], 0.0) == {}
    with pytest.raises(ValueError, match=r"blood_share must be 0 to 1, got 1\.5"):
        back_flow("blood", np.zeros(3), (0.0, -1.0, 1.0), SIZES["needle-18G"], 1.5)


# ---- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(FLUIDS))
def test_everything_is_closed_lies_on_its_field_and_has_a_colour(role):
    parts = {
        **locked_on(role=role),
        "hub": catheter_hub("hub", END, OUT, SIZES["catheter-cobra-5F"]),
        **back_flow("blood", np.zeros(3), (0.2, -0.6, 0.8), SIZES["needle-21G"], 0.7),
    }
    assert parts["syringe-fluid"].role == role
    for name, part in parts.items():
        mesh = part.world_mesh(1.0)
        assert part.name == name
        assert mesh.is_closed, name
        assert mesh.volume_ml > 0.0, name
        assert (part.field(mesh.points_mm) < 0.25).all(), name
        theme("dark").colour(part.role)


def test_keys_tell_shapes_apart():
    keys = [locked_on(share)["syringe-fluid"].key for share in (0.1, 0.2, 0.2)]
    assert keys[0] != keys[1] == keys[2]
    assert locked_on(0.1)["syringe-plunger"].key == locked_on(0.9)["syringe-plunger"].key
    assert locked_on(volume_ml=1)["syringe"].key != locked_on(volume_ml=10)["syringe"].key
