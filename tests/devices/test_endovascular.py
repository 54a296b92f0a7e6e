"""Wires, catheters, sheaths: what runs in what, how much material there is, and that a line carries everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.materials import attenuation, density
from spineviz.anatomy.structure import RANKS
from spineviz.devices.endovascular import (
    catheter_structures,
    endovascular_parts,
    endovascular_sizes,
    evenly,
    wire_structure,
)
from spineviz.devices.vascular_access import pressure_pad, puncture_needle_structures, sheath_structures
from spineviz.geometry.curves import OFF_SHARE, Curve
from spineviz.geometry.fields import unit
from spineviz.geometry.frames import Frame, rotation_about
from spineviz.views.theme import theme

SIZES = endovascular_sizes()
TUBES = [name for name, size in SIZES.items() if size.kind in ("sheath", "catheter", "microcatheter")]
WIRES = [name for name, size in SIZES.items() if size.kind == "wire"]


def straight(length_mm=80.0):
    return np.linspace([3.0, -2.0, 5.0], [3.0, -2.0, 5.0 + length_mm], 7)


def winding(length_mm=400.0):
    t = np.linspace(0.0, 1.0, 300)
    return np.column_stack([30 * np.sin(5 * t), 20 * np.cos(4 * t), 0.95 * length_mm * t])


def sheath(line, name="sheath-5F", dilator=1.0):
    """That sheath along `line`, its dilator straight ahead."""
    ahead = line[-1] + np.outer(np.linspace(2.0, 80.0, 40), unit(line[-1] - line[-2]))
    return sheath_structures("sheath", line, SIZES[name], dilator, ahead)


def made(name, line):
    """The tube or wire of that size along `line`, and what comes with it."""
    size = SIZES[name]
    if size.kind == "wire":
        return {"it": wire_structure("it", line, size)}
    if size.kind == "sheath":
        return {n.replace("sheath", "it"): part for n, part in sheath(line, name).items()}
    return catheter_structures("it", line, size)


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, size in SIZES.items() if size.inner_mm])
def test_every_tube_has_a_wall(name):
    assert 0.0 < SIZES[name].inner_mm < SIZES[name].outer_mm < SIZES[name].length_mm


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("wire-018", "needle-21G"),
        ("wire-035-J", "needle-18G"),
        ("wire-035-J", "dilator-5F"),
        ("wire-035-angled", "catheter-cobra-4F"),
        ("wire-035-angled", "catheter-cobra-5F"),
        ("catheter-cobra-4F", "sheath-4F"),
        ("catheter-cobra-5F", "sheath-5F"),
        ("microcatheter-2.7F", "catheter-cobra-4F"),
        ("microcatheter-2.7F", "catheter-cobra-5F"),
        ("wire-014", "microcatheter-2.0F"),
        ("wire-014", "microcatheter-2.7F"),
    ],
)
def test_what_runs_in_what_fits_and_is_not_loose(inside, outside):
    # a catheter's French is its sheath's, so that the two may be the same size
    assert SIZES[inside].outer_mm <= SIZES[outside].inner_mm
    assert SIZES[inside].outer_mm > 0.5 * SIZES[outside].inner_mm


@pytest.mark.parametrize("name", ["catheter-cobra-4F", "catheter-cobra-5F", "microcatheter-2.4F", "sheath-6F"])
def test_three_french_are_a_millimetre(name):
    size = SIZES[name]
    told = size.inner_mm if size.kind == "sheath" else size.outer_mm  # French names the inside of a sheath
    assert told == pytest.approx(size.french / 3, abs=0.02)


def test_the_wall_is_mixed_by_volume():
    share = endovascular_parts()["braid_share"]
    parts = [(1.0 - share, "pmma-baso4-30"), (share, "steel")]
    wall = sum(part * density(name).value for part, name in parts)
    assert density("catheter-wall").value == pytest.approx(wall, abs=0.006)
    for kev in (40.0, 50.0, 55.0, 60.0, 65.0, 70.0, 80.0):
        mixed = sum(part * attenuation(name, kev).value for part, name in parts)
        assert attenuation("catheter-wall", kev).value == pytest.approx(mixed, rel=0.005)


# ---- tubes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TUBES)
def test_a_tube_holds_what_calculus_says(name):
    size, tube = SIZES[name], made(name, straight())["it"]
    wall = np.pi * (size.outer_mm**2 - size.inner_mm**2) / 4 * 80.0
    assert tube.world_mesh(0.5).volume_ml * 1000 == pytest.approx(wall, rel=0.02)
    assert tube.cells.volume_mm3.sum() == pytest.approx(wall, rel=1e-9)


@pytest.mark.parametrize("name", WIRES)
def test_a_wire_holds_a_rod_and_half_a_ball(name):
    r, wire = SIZES[name].outer_mm / 2, made(name, straight())["it"]
    whole = np.pi * r**2 * (80.0 - r) + 2 / 3 * np.pi * r**3
    assert wire.world_mesh(0.5).volume_ml * 1000 == pytest.approx(whole, rel=0.02)
    assert wire.cells.volume_mm3.sum() == pytest.approx(whole, rel=1e-9)
    assert wire.world_mesh(0.5).points_mm[:, 2].max() == pytest.approx(85.0, abs=1e-9)


@pytest.mark.parametrize("spacing_mm", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("name", [*TUBES, *WIRES])
def test_surface_is_off_by_its_share_of_the_spacing_along_a_winding_line(name, spacing_mm):
    for part in made(name, winding(120.0)).values():
        if part.name in ("it", "it-marker", "dilator"):
            mesh = part.world_mesh(spacing_mm)
            assert mesh.is_closed, part.name
            assert mesh.pieces == 1
            middles = mesh.points_mm[mesh.triangles].mean(axis=1)
            off_mm = OFF_SHARE * spacing_mm
            assert np.abs(part.field(mesh.points_mm)).max() < off_mm + 0.005, part.name
            # between the corners what it is off along the line comes to what it is off round it
            assert part.field(middles).max() < 2.0 * off_mm + 0.005, part.name


@pytest.mark.parametrize("name", TUBES)
def test_a_tube_is_open_and_a_wire_fits_through_it(name):
    size, tube = SIZES[name], made(name, straight())["it"]
    axis = np.linspace([3.0, -2.0, 4.0], [3.0, -2.0, 86.0], 200)
    assert (tube.field(axis) > 0.0).all()
    assert tube.field(axis[100:101])[0] == pytest.approx(size.inner_mm / 2, abs=1e-6)
    wall = (size.inner_mm + size.outer_mm) / 4
    assert (tube.field(axis[10:-10] + [wall, 0.0, 0.0]) < 0.0).all()
    assert (tube.field(axis[[0, -1]] + [wall, 0.0, 0.0]) > 0.0).all()  # past both ends


def test_the_field_is_the_distance_to_the_line():
    line, r = winding(100.0), SIZES["wire-035-J"].outer_mm / 2
    wire = wire_structure("wire", line, SIZES["wire-035-J"])
    rng = np.random.default_rng(3)
    points = line[rng.integers(20, 280, 400)] + rng.normal(0.0, 3.0, (400, 3))
    dense = Curve(line).at(np.linspace(0.0, Curve(line).length_mm, 40_000))
    true = np.array([np.linalg.norm(dense - p, axis=1).min() for p in points]) - r
    assert np.abs(wire.field(points) - true).max() < 0.02


def test_cells_are_fine_and_lie_in_the_wall():
    for name in ("wire-035-J", "catheter-cobra-5F", "microcatheter-2.7F"):
        part = made(name, winding(100.0))["it"]
        cells = part.cells
        assert cells.share.tolist() == [1.0]
        assert not cells.cell.any()
        assert len(cells.points_mm) == len(cells.volume_mm3) == len(cells.cell)
        # one upon another along the line, however many there are across
        across = 1 if SIZES[name].outer_mm <= 1.0 else 8
        middles = cells.points_mm.reshape(-1, across, 3).mean(axis=1)
        assert np.linalg.norm(np.diff(middles, axis=0), axis=1).max() <= 0.3 + 1e-3
        if across > 1:
            assert (part.field(cells.points_mm) < 0.0).all()


def test_a_microcatheter_carries_a_platinum_ring_of_a_millimetre_at_its_tip():
    out = catheter_structures("micro", straight(), SIZES["microcatheter-2.7F"])
    assert set(out) == {"micro", "micro-marker"}
    ring = out["micro-marker"]
    z = ring.world_mesh(0.5).points_mm[:, 2]
    assert (z.min(), z.max()) == (pytest.approx(84.0), pytest.approx(85.0))
    assert (ring.role, ring.material, ring.rank) == ("marker", "platinum", RANKS["marker"])
    assert set(catheter_structures("catheter", straight(), SIZES["catheter-cobra-5F"])) == {"catheter"}


def test_wire_wins_over_catheter_over_sheath():
    wire = made("wire-035-J", straight())["it"].rank
    catheter = made("catheter-cobra-5F", straight())["it"].rank
    sheath = made("sheath-5F", straight())["it"].rank
    assert RANKS["steel"] == wire > catheter > sheath > RANKS["balloon"]


# ---- moving ----------------------------------------------------------------------------------------------------------

turns = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.2, 1), st.floats(-180, 180))
shifts = st.tuples(*[st.floats(-300, 300)] * 3)


def frame(turn, shift):
    return Frame(rotation_about(turn[:3], turn[3]).rotation, np.array(shift))


@given(turns, shifts, st.sampled_from(["wire-014", "catheter-cobra-5F", "microcatheter-2.0F", "sheath-5F"]))
@settings(max_examples=25, deadline=None)
def test_moving_the_line_moves_everything(turn, shift, name):
    carried, line = frame(turn, shift), winding(60.0)
    here, there = made(name, line), made(name, carried.points(line))
    assert here.keys() == there.keys()
    probe = line[::20] + [0.4, 0.1, 0.0]
    for key in ("it", "it-marker", "dilator"):
        if key in here:
            a, b = here[key], there[key]
            assert b.field(carried.points(probe)) == pytest.approx(a.field(probe), abs=1e-4)
            assert b.world_mesh(0.5).volume_ml == pytest.approx(a.world_mesh(0.5).volume_ml, rel=1e-6)
            # a ring may begin elsewhere round the tube; its middle may not
            assert b.world_mesh(0.5).points_mm.mean(0) == pytest.approx(
                carried.points(a.world_mesh(0.5).points_mm).mean(0), abs=0.02
            )


@given(turns, shifts)
@settings(max_examples=20, deadline=None)
def test_keys_tell_lines_apart_and_know_them_again(turn, shift):
    line, moved_line = winding(40.0), frame(turn, shift).points(winding(40.0))
    first, again = (made("catheter-cobra-5F", line)["it"] for _ in range(2))
    other = made("catheter-cobra-5F", moved_line)["it"]
    assert (first.key, first.cells.key) == (again.key, again.cells.key)
    if np.abs(moved_line - line).max() > 0.01:
        assert first.key != other.key
        assert first.cells.key != other.cells.key
    assert first.key != made("catheter-cobra-4F", line)["it"].key


# ---- awkward lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wire-035-J", "catheter-cobra-5F", "microcatheter-2.7F"])
@pytest.mark.parametrize(
    "line",
    [
        [[0, 0, 0], [0, 0, 1.0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 1e-9], [0, 0, 20], [0, 0, 20], [5, 0, 40]],
        [[0, 0, 0], [0, 0, 20], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 20.3], [0, 0, 3.1], [0, 0, 11.7]],
        [[0, 0, 0.0], [0, 0, 0.2]],
    ],
)
def test_short_repeated_and_folded_lines_work(name, line):
    for part in made(name, line).values():
        mesh = part.world_mesh(0.5)
        assert np.isfinite(mesh.points_mm).all()
        assert mesh.is_closed
        assert np.isfinite(part.field(np.vstack([mesh.points_mm, np.zeros((1, 3))]))).all()
        assert np.isfinite(part.cells.points_mm).all()
        assert part.cells.volume_mm3.min() > 0.0


def test_a_line_without_length_is_told():
    for line in (np.zeros((4, 3)), [[1.0, 2.0, 3.0]]):
        with pytest.raises(ValueError, match="a line with a length"):
            evenly(line, 1.0)


# ---- the way in ------------------------------------------------------------------------------------------------------


def test_the_sheath_has_its_valve_behind_and_its_dilator_before():
    out = sheath(straight())
    assert set(out) == {"sheath", "sheath-hub", "dilator"}
    z = {name: part.world_mesh(0.5).points_mm[:, 2] for name, part in out.items()}
    assert z["sheath-hub"].max() < 5.0 + 4.0
    assert z["sheath-hub"].min() < 5.0 - endovascular_parts()["valve_length_mm"] + 1e-6
    assert z["dilator"].max() == pytest.approx(85.0 + endovascular_parts()["dilator_ahead_mm"])
    half = sheath(straight(), dilator=0.5)["dilator"].world_mesh(0.5).points_mm
    assert half[:, 2].max() == pytest.approx(85.0 + endovascular_parts()["dilator_ahead_mm"] / 2)
    assert set(sheath(straight(), dilator=0.0)) == {"sheath", "sheath-hub"}


def test_the_dilator_takes_the_artery_s_way_from_the_sheath_s_tip_on():
    line = straight()
    turned = line[-1] + np.outer(np.arange(1.0, 80.0, 1.0), (0.6, 0.0, 0.8))
    out = sheath_structures("sheath", line, SIZES["sheath-5F"], 1.0, turned)["dilator"].world_mesh(0.5).points_mm
    far = out[out[:, 2] > line[-1, 2] + 3.0]
    way = np.cross(far - line[-1], (0.6, 0.0, 0.8))
    assert np.linalg.norm(way, axis=1).max() <= SIZES["sheath-5F"].inner_mm / 2 + 1e-6
    assert np.ptp((far - line[-1]) @ (0.6, 0.0, 0.8)) > 15.0


def test_the_dilator_narrows_to_the_wire_and_fits_the_sheath():
    dilator = sheath(straight())["dilator"]
    points = dilator.world_mesh(0.5).points_mm
    far = np.hypot(points[:, 0] - 3.0, points[:, 1] + 2.0)
    assert far.max() <= SIZES["sheath-5F"].inner_mm / 2
    assert far[points[:, 2] > points[:, 2].max() - 1e-6].max() < 1.15 * SIZES["dilator-5F"].inner_mm / 2
    assert far.min() * 2 >= SIZES["wire-035-J"].outer_mm


@given(turns, shifts)
@settings(max_examples=20, deadline=None)
def test_the_needle_stands_with_its_point_and_bevel(turn, shift):
    carried = frame(turn, shift)
    size, forward = SIZES["needle-18G"], carried.vector((0.0, 0.0, 1.0))
    out = puncture_needle_structures("needle", carried.origin_mm, forward, size)
    assert set(out) == {"needle", "needle-hub"}
    points = out["needle"].world_mesh(0.5).points_mm - carried.origin_mm
    along = points @ forward
    assert along.max() == pytest.approx(0.0, abs=1e-9)
    assert along.min() == pytest.approx(-size.length_mm, abs=1e-9)
    assert np.linalg.norm(points - along[:, None] * forward, axis=1).max() == pytest.approx(size.outer_mm / 2)
    assert np.abs(out["needle"].field(points + carried.origin_mm)).max() < 1e-6
    hub = (out["needle-hub"].world_mesh(0.5).points_mm - carried.origin_mm) @ forward
    assert hub.max() < -0.9 * size.length_mm


def test_the_needle_holds_a_tube_cut_aslant():
    size = SIZES["needle-18G"]
    mesh = puncture_needle_structures("needle", np.zeros(3), (0.0, 0.0, 1.0), size)["needle"].world_mesh(0.5)
    slant = size.outer_mm / np.tan(np.deg2rad(endovascular_parts()["needle_bevel_deg"]))
    assert mesh.is_closed
    # a plane through the axis half way along the bevel takes as much as it leaves
    assert mesh.volume_ml * 1000 == pytest.approx(size.section_mm2 * (size.length_mm - slant / 2), rel=0.02)


def test_the_swab_lies_on_the_skin_and_the_hand_presses_on_it():
    out = pressure_pad((10.0, 20.0, -200.0), (0.0, 1.0, 0.0))
    assert set(out) == {"pad", "hand"}
    pad, hand = (out[name].world_mesh(2.0) for name in ("pad", "hand"))
    assert pad.points_mm[:, 1].min() == pytest.approx(20.0, abs=4.0)
    assert hand.pieces == 1
    assert hand.points_mm[:, 1].min() > 20.0  # no finger in the skin
    touching = out["hand"].field(pad.points_mm).min()
    assert -4.0 < touching < 1.0
    colours = {theme("dark").colour(role) for role in (out["pad"].role, out["hand"].role, "drape", "skin")}
    assert len(colours) == 4  # gauze, glove, sheet and skin are told apart
    assert all(part.material == "theatre" for part in out.values())


def test_everything_is_closed_and_has_a_colour():
    parts = {
        **sheath(winding(80.0)),
        **puncture_needle_structures("needle", np.zeros(3), (0.0, 1.0, 0.0), SIZES["needle-18G"]),
        **pressure_pad(np.zeros(3), (0.0, 1.0, 0.0)),
    }
    for name, part in parts.items():
        mesh = part.world_mesh(2.0)
        assert part.name == name
        assert mesh.is_closed, name
        assert mesh.volume_ml > 0.0, name
        assert (part.field(mesh.points_mm) < 1.0).all(), name
        theme("dark").colour(part.role)


@pytest.mark.parametrize("outward", [(0.0, 1.0, 0.0), (0.1, 0.95, -0.3)])
def test_the_hand_is_a_right_one_that_comes_from_the_patients_right(outward):
    hand = pressure_pad(np.zeros(3), outward)["hand"]
    points, inward = hand.world_mesh(2.0).points_mm, -np.asarray(outward)
    far = points[np.linalg.norm(points, axis=1) > 190.0].mean(0)
    assert far[0] > 120.0  # the wrist
    assert far[2] < 0.0
    # of what is near the swab, the thumb is the one that lies apart: palm down and fingers ahead it is on the left
    ahead = -far + (far @ inward) * inward / (inward @ inward)
    left = np.cross(ahead, inward)
    left /= np.linalg.norm(left)
    near = points[(np.linalg.norm(points - 0.12 * far, axis=1) < 60.0)]
    side = near @ left
    low = near @ inward > -32.0
    assert side[low].max() > 45.0 > 40.0 > -side[low].min()
