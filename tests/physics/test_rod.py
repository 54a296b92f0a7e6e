"""Wires and catheters at rest: in lumens whose answer is known, and in any lumen what must always hold."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.geometry.curves import curve_through
from spineviz.physics.rod import (
    Rod,
    catalogue_rods,
    coursing,
    joined,
    lumen_along,
    lumen_of,
    lumen_within,
    resting,
    turns,
)
from spineviz.physics.rod_solver import together

CATHETER = Rod(0.8, 160.0, 5.0, name="catheter")
WIRE = Rod(0.45, 500.0, 3.0, name="wire")
SHAPED = replace(CATHETER, tip_curve=((10.0, 60.0), (25.0, 50.0)))


def rest(*arguments, **named):
    """The shape that `resting` finds, sought alone."""
    return together([resting(*arguments, **named)])[0]


def course(*arguments, **named):
    """The course that `coursing` finds, sought alone."""
    return together([coursing(*arguments, **named)])[0]


def straight(length_mm: float, radius_mm: float):
    return lumen_of(np.linspace([0, 0, 0], [0, 0, length_mm], 60), radius_mm)


def ring(bend_mm: float, angle: float, radius_mm: float):
    """A vessel that begins at the origin along +x and bends towards +y."""
    turn = np.linspace(0.0, angle, int(bend_mm * angle) + 2)
    return lumen_of(np.stack([bend_mm * np.sin(turn), bend_mm * (1 - np.cos(turn)), 0 * turn], 1), radius_mm)


@st.composite
def lumens(draw):
    """Smooth vessels of 120 to 250 mm that bend in space and taper."""
    steps = draw(st.integers(3, 5))
    floats = st.floats(-0.7, 0.7)
    heading, points = np.array([0.0, 0.0, 1.0]), [np.zeros(3)]
    for _ in range(steps):
        heading = heading + np.array([draw(floats), draw(floats), 0.2])
        heading = heading / np.linalg.norm(heading)
        points.append(points[-1] + 45.0 * heading)
    curve = curve_through(points, 1.0)
    first, last = draw(st.floats(1.5, 9.0)), draw(st.floats(1.2, 9.0))
    return lumen_of(curve.points_mm, np.linspace(first, last, len(curve.points_mm)))


def spinning(seed: int):
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def along_middle(lumen, advance_mm):
    return lumen.at(np.linspace(0.0, advance_mm, max(3, round(advance_mm / 2.0) + 1)))


def bending_energy(points, stiffness):
    curvature, mean = turns(points)
    return 0.5 * stiffness * float((curvature**2 * mean).sum())


def test_in_a_straight_vessel_it_lies_straight_in_the_middle():
    shape = rest(straight(150, 4.0), CATHETER, 120.0)
    assert np.abs(shape.points_mm[:, :2]).max() < 1e-9
    assert shape.tip_mm[2] == pytest.approx(120.0, abs=1e-6)
    assert shape.energy_n_mm < 1e-12
    assert shape.clearance_mm == pytest.approx(3.2)
    assert shape.sharpest_mm > 1e6


def test_in_a_long_bend_it_leans_on_the_outer_wall():
    shape = rest(ring(50, 1.7 * np.pi, 4.0), CATHETER, 250.0)
    out = np.linalg.norm(shape.points_mm - [0, 50, 0], axis=1) - 50
    inner = slice(len(out) // 3, len(out) // 2)
    assert out[inner] == pytest.approx(4.0 - 0.8, abs=0.03)
    assert np.abs(shape.points_mm[:, 2]).max() < 1e-6
    assert shape.clearance_mm >= 0


def test_energy_in_a_tight_ring_is_that_of_the_arc():
    shape = rest(ring(50, np.pi, 0.81), CATHETER, 120.0)
    # the last half node at either end does not bend
    assert shape.energy_n_mm == pytest.approx(0.5 * 160 * (120 - 2) / 50**2, rel=0.01)
    assert shape.sharpest_mm == pytest.approx(50, rel=0.02)


def test_between_two_clamps_it_bends_as_a_beam_does():
    # a wide vessel, and off to one side of its round end a narrow one that holds the tip straight
    side, wide = 5.0, 8.0
    lumen = lumen_along(
        [(np.array([[0, 0, 0], [0, 0, 40], [side, 0, 115]]), 2.0), (np.array([[side, 0, 115], [side, 0, 160]]), 0.802)],
        rooms=[(np.linspace([0, 0, 0], [0, 0, 120], 60), wide)],
    )
    clamp = 120 + np.sqrt((wide - 0.8) ** 2 - side**2)
    shape = rest(lumen, CATHETER, clamp + 14.0, spacing_mm=1.0)
    x, _, z = shape.points_mm.T
    expected = side * (3 * (z / clamp) ** 2 - 2 * (z / clamp) ** 3)
    assert np.abs(x - np.where(z < clamp, expected, side)).max() < 0.12
    # it goes on bending for some mm in the narrow vessel's play, as a beam that is a little longer
    assert shape.energy_n_mm == pytest.approx(6 * 160 * side**2 / (clamp + 3.0) ** 3, rel=0.05)


def test_a_free_shaped_tip_has_its_own_shape_and_faces_as_told():
    shape = rest(straight(200, 60.0), SHAPED, 120.0, facing=(0, -1, 0))
    assert shape.energy_n_mm < 1e-3
    last = shape.points_mm[-1] - shape.points_mm[-2]
    # the last edge shows the direction half a node before the tip
    assert np.degrees(np.arctan2(-last[1], last[2])) == pytest.approx(110.0 - 6.0, abs=0.5)
    assert np.abs(shape.points_mm[:, 0]).max() < 1e-3


def test_drawing_the_wire_back_lets_the_tip_re_form_against_the_walls():
    aorta = straight(200, 9.0)
    over = rest(aorta, SHAPED, 120.0, over=(WIRE, 170.0), facing=(0, -1, 0))
    free = rest(aorta, SHAPED, 120.0, facing=(0, -1, 0))
    bare = over.upto(120.0)
    assert np.degrees(turns(bare)[0].sum() * 2.0) < 45
    assert np.degrees((turns(free.points_mm)[0] * turns(free.points_mm)[1]).sum()) > 70
    assert free.tip_mm[1] < -3
    # it braces itself on the wall across
    assert free.points_mm[:, 1].max() > 4


def test_the_shaped_tip_hooks_the_orifice():
    aorta = (np.linspace([0, 0, 0], [0, 0, 200], 100), 9.0)
    low = (np.linspace([0, 0, 0], [0, 0, 120], 60), 9.0)
    branch = (np.array([[0, -9, 120], [0, -20, 119], [0, -35, 117.0]]), 1.5)
    shape = rest(lumen_along([low, branch], rooms=[aorta]), SHAPED, 137.0, facing=(0, -1, 0))
    assert shape.tip_mm[1] < -10
    assert shape.tip_mm[2] == pytest.approx(119.5, abs=1.5)
    assert shape.clearance_mm >= 0
    assert shape.points_mm[:, 1].max() > 5


def test_drawn_down_the_aorta_it_goes_on_into_the_orifice():
    aorta = (np.linspace([0, 0, 0], [0, 0, 200], 100), 9.0)
    branch = (np.array([[0, 0, 120], [0, -20, 119], [0, -40, 117.0]]), 1.5)
    up = lumen_within(aorta[0], [aorta])
    way = np.concatenate([np.linspace([0, 0, 0], [0, 0, 120], 60), branch[0][1:]])
    into = lumen_within(way, [aorta, branch])
    assert into.radius_at([60.0, 150.0]) == pytest.approx([9.0, 1.5])
    whole = joined([course(up, SHAPED, [140.0, 132.0]), course(into, SHAPED, [132.0, 138.0])])
    shapes = [whole.at(station) for station in np.linspace(0, whole.stations[-1], 40)]
    tips = np.array([shape.tip_mm for shape in shapes])
    assert min(shape.clearance_mm for shape in shapes) >= -1e-9
    assert np.linalg.norm(np.diff(tips, axis=0), axis=1).max() < 2.5
    assert tips[-1][1] < -10
    with pytest.raises(ValueError, match="same devices"):
        joined([course(up, CATHETER, [50.0]), course(into, SHAPED, [50.0])])


def test_a_way_outside_the_vessels_is_refused():
    with pytest.raises(ValueError, match="way_mm must lie within"):
        lumen_within([[0, 0, 0], [0, 20, 100.0]], [([[0, 0, 0], [0, 0, 100.0]], 5.0)])


@settings(max_examples=25)
@given(lumen=lumens(), share=st.floats(0.2, 1.0), stiff=st.sampled_from([4.0, 160.0]))
def test_always_inside_never_more_energy_than_the_middle_and_as_long_as_its_advance(lumen, share, stiff):
    rod = Rod(0.8, stiff, 3.0)
    advance = share * lumen.length_mm
    shape = rest(lumen, rod, advance)
    assert shape.clearance_mm >= 0
    assert (lumen.clearance_mm(shape.points_mm[1:], 0.8) >= -1e-9).all()
    middle = bending_energy(along_middle(lumen, advance), stiff)
    assert bending_energy(shape.points_mm, stiff) <= middle * 1.002 + 1e-9
    assert shape.length_mm == pytest.approx(advance, rel=1e-3)
    assert shape.way_mm[-1] == pytest.approx(advance)
    assert shape.points_mm[0] == pytest.approx(lumen.points_mm[0])
    assert shape.sharpest_mm >= 0.99 * 3.0


@settings(max_examples=6)
@given(lumen=lumens(), seed=st.integers(0, 99))
def test_moving_the_patient_moves_the_device(lumen, seed):
    turn, shift = spinning(seed), np.array([40.0, -7.0, 300.0])
    one = rest(lumen, SHAPED, 100.0, facing=(0.3, -1, 0.2))
    two = rest(lumen.moved(turn, shift), SHAPED, 100.0, facing=turn @ [0.3, -1, 0.2])
    assert two.points_mm == pytest.approx(one.points_mm @ turn.T + shift, abs=5e-3)
    assert two.energy_n_mm == pytest.approx(one.energy_n_mm, rel=1e-3, abs=1e-6)


def test_the_shape_does_not_depend_on_how_stiff_all_of_it_is():
    lumen = ring(40, 2.0, 5.0)
    one, two = rest(lumen, CATHETER, 70.0), rest(lumen, replace(CATHETER, stiffness_n_mm2=16.0), 70.0)
    assert one.points_mm == pytest.approx(two.points_mm, abs=1e-4)
    assert one.energy_n_mm == pytest.approx(10 * two.energy_n_mm, rel=1e-4)


def test_scaling_the_patient_scales_the_shape():
    turn = np.linspace(0.0, 2.0, 80)
    points = 40 * np.stack([np.sin(turn), 1 - np.cos(turn), 0.2 * turn], 1)
    one = rest(lumen_of(points, 4.0), CATHETER, 70.0)
    two = rest(lumen_of(2 * points, 8.0), Rod(1.6, 160.0, 10.0), 140.0, spacing_mm=4.0)
    assert two.points_mm == pytest.approx(2 * one.points_mm, abs=0.02)
    assert two.energy_n_mm == pytest.approx(one.energy_n_mm / 2, rel=2e-3)


def test_over_a_wire_both_stiffnesses_count():
    lumen = ring(40, 2.2, 5.0)
    both = rest(lumen, CATHETER, 80.0, over=(WIRE, 80.0))
    one = rest(lumen, replace(CATHETER, stiffness_n_mm2=660.0), 80.0)
    assert both.points_mm == pytest.approx(one.points_mm, abs=1e-6)
    assert both.energy_n_mm == pytest.approx(one.energy_n_mm)


def test_a_soft_catheter_lies_nearer_to_where_its_wire_would():
    lumen = ring(40, 2.2, 5.0)
    soft = Rod(0.45, 8.0, 3.0, tip_curve=((30.0, 60.0),))
    alone, over, wire = (
        rest(lumen, soft, 80.0, facing=(0, 0, 1)),
        rest(lumen, soft, 80.0, over=(WIRE, 80.0), facing=(0, 0, 1)),
        rest(lumen, WIRE, 80.0),
    )
    gap = [np.linalg.norm(shape.points_mm - wire.points_mm, axis=1).max() for shape in (alone, over)]
    assert gap[1] < 0.25 * gap[0]


def test_the_wire_leads():
    lumen = ring(60, 2.0, 4.0)
    shape = rest(lumen, CATHETER, 70.0, over=(WIRE, 100.0))
    assert shape.length_mm == pytest.approx(100.0, rel=1e-3)
    tip = int(np.abs(shape.way_mm - 70.0).argmin())
    assert shape.way_mm[tip] == pytest.approx(70.0)  # the outer tip is a node, which has the outer radius
    assert shape.upto(70.0) == pytest.approx(shape.points_mm[: tip + 1])
    assert lumen.clearance_mm(shape.points_mm[: tip + 1], CATHETER.radius_mm).min() >= 0
    # the bare wire has more room than the catheter
    bare = shape.way_mm > 72.0
    assert (lumen.clearance_mm(shape.points_mm[bare], WIRE.radius_mm) >= 0).all()


def test_no_bend_is_sharper_than_the_device_allows():
    # a corner in a wide vessel: even there it turns at 32 mm
    points = np.array([[0, 0, 0], [40, 0, 0], [40, 40, 0.0]])
    lumen = lumen_of(points, 9.0)
    free = rest(lumen, replace(CATHETER, least_bend_radius_mm=2.0), 70.0)
    assert free.sharpest_mm < 35
    held = rest(lumen, replace(CATHETER, least_bend_radius_mm=1.08 * free.sharpest_mm), 70.0)
    assert held.sharpest_mm >= 0.99 * 1.08 * free.sharpest_mm
    assert held.energy_n_mm > free.energy_n_mm
    assert held.clearance_mm >= 0


def test_a_bend_that_is_too_sharp_is_refused_with_both_radii():
    with pytest.raises(RequestError, match=r"catheter: .* radius of \d\.\d mm .* allows 20\.0 mm"):
        rest(ring(8, 3.0, 2.5), replace(CATHETER, least_bend_radius_mm=20.0), 20.0)


def test_a_device_wider_than_the_vessel_is_refused_with_both_sizes():
    lumen = lumen_of(np.linspace([0, 0, 0], [0, 0, 100], 50), np.linspace(4.0, 0.7, 50))
    with pytest.raises(RequestError, match=r"catheter: 1\.60 mm wide, but the vessel is only 1\.4\d mm wide"):
        rest(lumen, CATHETER, 99.0)
    assert rest(lumen, CATHETER, 60.0).clearance_mm > 0
    with pytest.raises(RequestError, match=r"catheter: an advance of 130\.0 mm .* 100\.0 mm"):
        rest(lumen, CATHETER, 130.0)
    with pytest.raises(RequestError, match="wire: an advance"):
        rest(lumen, CATHETER, 40.0, over=(WIRE, 130.0))


def test_a_tip_that_breaks_its_own_rule_is_refused():
    with pytest.raises(ValueError, match="catheter: its own tip"):
        replace(CATHETER, tip_curve=((5.0, 90.0),))
    with pytest.raises(ValueError, match="wire: stiffness_n_mm2 must be positive"):
        replace(WIRE, stiffness_n_mm2=0.0)


@settings(max_examples=4)
@given(lumen=lumens(), seed=st.integers(0, 9))
def test_on_its_way_the_tip_moves_continuously_and_stays_inside(lumen, seed):
    way = course(lumen, CATHETER, np.arange(20.0, lumen.length_mm, 15.0))
    moments = np.linspace(0.0, way.stations[-1], 60)
    shapes = [way.at(moment) for moment in moments]
    assert min(shape.clearance_mm for shape in shapes) >= -1e-9
    assert min(shape.sharpest_mm for shape in shapes) >= 5.0 * 0.99
    tips = np.array([shape.tip_mm for shape in shapes])
    step = 15.0 * (moments[1] - moments[0])
    assert np.linalg.norm(np.diff(tips, axis=0), axis=1).max() < step + 1.5
    # the same moment gives the same shape, whatever was asked before
    again = course(lumen, CATHETER, np.arange(20.0, lumen.length_mm, 15.0)).at(moments[20 + seed])
    assert (again.points_mm == shapes[20 + seed].points_mm).all()


def test_a_search_from_a_neighbour_ends_where_one_from_the_middle_does():
    lumen = ring(45, 3.5, 4.0)
    way = course(lumen, CATHETER, np.arange(20.0, 150.0, 10.0))
    for advance in (50.0, 90.0, 140.0):
        cold, warm = rest(lumen, CATHETER, advance), way.at_advance(advance)
        assert np.linalg.norm(cold.points_mm - warm.points_mm, axis=1).max() < 0.1


def test_a_wire_that_is_drawn_back_leaves_the_catheter_by_itself():
    aorta = straight(200, 9.0)
    way = course(aorta, SHAPED, [120.0] * 4, over=WIRE, over_mm=[170.0, 130.0, 90.0, 0.0])
    last, free = way.at(3.0), rest(aorta, SHAPED, 120.0)
    assert last.points_mm == pytest.approx(free.points_mm, abs=0.2)
    assert way.clearance_mm >= 0
    tips = np.array([way.at(s).at(120.0)[0] for s in np.linspace(0, 3, 40)])
    assert np.linalg.norm(np.diff(tips, axis=0), axis=1).max() < 4.0


@given(lumen=lumens(), seed=st.integers(0, 99))
def test_the_ball_that_a_point_lies_deepest_in_is_found_among_all_and_from_beside_it(lumen, seed):
    rng = np.random.default_rng(seed)
    points = lumen.at(rng.uniform(0.0, lumen.length_mm, 60)) + rng.normal(0.0, 1.5, (60, 3))
    tube = lumen.all_tubes
    depths = tube.radius_mm - np.linalg.norm(points[:, None] - tube.points_mm, axis=2)
    depth, vertex = tube.deepest_balls(points)
    assert depth == pytest.approx(depths.max(1))
    assert depths[np.arange(60), vertex] == pytest.approx(depth)
    # from one that is up to three vertices off it is found again, or one that is as good there
    off = np.clip(vertex + rng.integers(-1, 2, 60), 0, len(tube.points_mm) - 1)
    again = tube.vertices_near(points.T, off)
    assert (depths[np.arange(60), again] >= depths[np.arange(60), off] - 1e-9).all()
    assert (np.abs(again - off) <= 3).all()


def test_what_is_asked_is_not_changed():
    points, radius = np.linspace([0, 0, 0], [0, 10, 100], 40), np.full(40, 4.0)
    before = points.copy(), radius.copy()
    rest(lumen_of(points, radius), CATHETER, 80.0)
    assert (points == before[0]).all()
    assert (radius == before[1]).all()


@pytest.mark.parametrize(
    ("points", "radius", "message"),
    [
        ([[0, 0, 0]], 1.0, "points_mm must have shape"),
        ([[0, 0, 0], [0, 0, 0]], 1.0, "repeat"),
        ([[0, 0, 0], [0, 0, 1]], [1.0, -1.0], "radius_mm must be positive"),
    ],
)
def test_a_lumen_that_is_none_is_refused(points, radius, message):
    with pytest.raises(ValueError, match=message):
        lumen_of(points, radius)


def test_the_catalogue_fits_together():
    rods = catalogue_rods()
    with asset("devices", "endovascular.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    bore = {name: float(row["inner_mm"]) for name, row in rows.items() if row["inner_mm"]}
    for outer, inner in [
        ("needle-18G", "wire-035-J"),
        ("needle-21G", "wire-018"),
        ("sheath-5F", "dilator-5F"),
        ("dilator-5F", "wire-035-J"),
        ("sheath-4F", "catheter-cobra-4F"),
        ("sheath-5F", "catheter-cobra-5F"),
        ("catheter-cobra-5F", "wire-035-angled"),
        ("catheter-cobra-4F", "microcatheter-2.7F"),
        ("microcatheter-2.0F", "wire-014"),
    ]:
        if outer == "needle-18G":
            # as in every catalogue: the wall is thin, the bore a little wider than the chart's
            assert rods[inner].radius_mm * 2 <= bore[outer] + 0.06
        else:
            assert rods[inner].radius_mm * 2 <= bore[outer] + 1e-9, (outer, inner)
    for name, row in rows.items():
        assert row["citation"], name
        assert row["mark"], name
        if row["kind"] in ("catheter", "microcatheter"):
            assert float(row["outer_mm"]) == pytest.approx(float(row["french"]) / 3, abs=0.006)
        if row["kind"] == "sheath":
            assert float(row["inner_mm"]) == pytest.approx(float(row["french"]) / 3, abs=0.006)
