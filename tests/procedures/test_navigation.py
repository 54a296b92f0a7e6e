"""How wire and catheters are led: always inside, the wire ahead, from one stretch to the next without a jump."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arteries import arterial_tree
from spineviz.anatomy.column import column
from spineviz.anatomy.tumour import tumour
from spineviz.data.errors import RequestError
from spineviz.physics.rod import SPACING_MM, turns
from spineviz.procedures.navigation import (
    Navigation,
    Ways,
    chosen_kit,
    least_clearance_mm,
    navigation_figure,
    plan_navigation,
)

CASES = [
    ("L1", "left", "right", ("T12", "left")),
    ("T5", "right", "left", ("T8", "right")),
    ("L4", "left", "left", ("L2", "right")),
]
"""Target level and side, groin, the cord's artery."""


@cache
def tree_of(level, side):
    return arterial_tree(column(level, lying=1.0), feeders=tumour(level, 12.0, side), target=(level, side))


@cache
def led(level, side, groin, cord):
    ways = Ways(tree_of(level, side), (f"femoral-{groin}", 12.0))
    return ways, plan_navigation(ways, chosen_kit(5, 2.7), ((level, side), cord), cord)


@cache
def balls(level, side):
    """Every lumen as balls on a fine centreline: an independent way to ask how deep a place lies."""
    from scipy.spatial import cKDTree

    points, radii = [], []
    for branch in tree_of(level, side).branches.values():
        way = np.arange(0.0, branch.length_mm, 0.2)
        points.append(branch.centreline.at(way))
        radii.append(branch.radius_at(way))
    return cKDTree(np.concatenate(points)), np.concatenate(points), np.concatenate(radii)


def depth_mm(level, side, points):
    """How deep points lie in the lumens, at least."""
    tree, centres, radii = balls(level, side)
    near = tree.query_ball_point(points, 14.0)
    return np.array(
        [(radii[i] - np.linalg.norm(centres[i] - p, axis=1)).max() for i, p in zip(near, points, strict=True)]
    )


everywhere = st.tuples(st.sampled_from(CASES), st.floats(0.0, 1.0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_every_stretch_stays_inside_and_none_is_bent_too_sharply(case):
    _, way = led(*case)
    assert least_clearance_mm(way) >= -1e-9
    for name, passage in way.passages.items():
        for rods, shape in zip(passage.course.rods, passage.course.shapes, strict=True):
            least = min(rod.least_bend_radius_mm for rod, advance in rods if advance > 0)
            assert shape.sharpest_mm >= least / 1.011, name


@settings(max_examples=40, deadline=None)
@given(everywhere, st.data())
def test_at_every_moment_the_device_is_inside_with_its_own_radius(moment, data):
    case, share = moment
    _, way = led(*case)
    name = data.draw(st.sampled_from(sorted(way.passages)))
    passage = way.passages[name]
    posture = passage.at(share)
    rods = [rod for rod, _ in passage.course.rods[0]]
    lines = [posture.wire_line] if passage.alone else [posture.outer_line, posture.wire_line]
    for line, rod in zip(lines, rods, strict=True):
        if line is not None and len(line) > 3:
            # the first nodes are held in the middle
            assert depth_mm(*case[:2], line[2:]).min() >= rod.radius_mm - 0.06, name
            # between two nodes it is straight, also round the rim of an orifice
            halfway = 0.5 * (line[2:-1] + line[3:])
            assert depth_mm(*case[:2], halfway).min() >= rod.radius_mm - 0.3, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_the_tip_springs_into_the_orifice_and_out_of_it_without_a_jump(case):
    _, way = led(*case)
    for name in ("hook", "run-2", "return", "check", "out"):
        passage = way.passages[name]
        lines = [passage.at(share) for share in np.linspace(0.0, 1.0, 900)]
        for one, two in pairwise(lines):
            moved = np.linalg.norm(two.catheter_tip_mm - one.catheter_tip_mm)
            assert moved - abs(two.outer_mm - one.outer_mm) < 2.0, name
        for posture in lines[::10]:
            edges = np.linalg.norm(np.diff(posture.points_mm, axis=0), axis=1)
            assert edges[1:].max() < 1.3 * max(SPACING_MM, edges[1]), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_the_wire_is_ahead_whenever_a_catheter_advances(case):
    _, way = led(*case)
    for name, passage in way.passages.items():
        if passage.alone:
            continue
        lengths = [passage.lengths(share) for share in np.linspace(0.0, 1.0, 240)]
        for (outer, _), (further, wire) in pairwise(lengths):
            if further > outer + 1e-6:
                assert wire >= further + 0.5 * navigation_figure("micro_lead_mm"), name
        if name == "climb":
            assert min(wire - outer for outer, wire in lengths) >= navigation_figure("wire_lead_mm") - 1e-6


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_one_stretch_begins_where_the_one_before_ends(case):
    _, way = led(*case)
    order = ["climb", "bare", "hook", "empty", "run-2"]
    for one, two in pairwise(order):
        end, begin = way.passages[one].end, way.passages[two].at(0.0)
        assert begin.outer_mm == pytest.approx(end.outer_mm, abs=1e-6)
        assert np.linalg.norm(begin.points_mm[-1] - end.points_mm[-1]) < 1.5 or two == "bare"
    assert np.allclose(way.passages["wire"].end.wire_mm, way.passages["climb"].at(0.0).wire_mm)


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:3])))
def test_the_tip_is_parked_in_the_right_artery_and_the_microcatheter_in_the_feeder(case):
    ways, way = led(*case)
    target, cord = case[:2], case[3]
    for name, artery in (("empty", target), ("run-2", cord), ("return", target), ("check", cord)):
        past = ways.past_wall_mm(artery, way.passages[name].end.points_mm[-1])
        assert 3.0 <= past <= 10.0, name
    feeder = ways.tree.branch("feeder-1")
    tip = way.passages["micro"].end.outer_line[-1]
    assert feeder.field.distance(tip[None])[0] < 0.0
    assert np.linalg.norm(feeder.centreline.points_mm - tip, axis=1).argmin() > 2


def test_narrow_arteries_hold_the_tip_too_and_the_other_side_of_a_level_needs_no_climb():
    ways = Ways(tree_of("L1", "left"), ("femoral-right", 12.0))
    runs = [("L1", "left"), *((level, side) for level in ("T8", "T7") for side in SIDES)]
    way = plan_navigation(ways, chosen_kit(5, 2.7), runs, runs[-1])
    for number, artery in enumerate(runs[1:], start=2):
        passage = way.passages[f"run-{number}"]
        assert 3.0 <= ways.past_wall_mm(artery, passage.end.points_mm[-1]) <= 10.0, artery
        outer = [rods[0][1] for rods in passage.course.rods]
        if runs[number - 2][0] == artery[0]:
            assert max(outer) == outer[0], artery


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(CASES), st.data())
def test_it_never_has_more_energy_than_the_middle_line(case, data):
    ways, way = led(*case)
    course = way.passages["climb"].course
    number = data.draw(st.integers(2, len(course.shapes) - 1))
    (catheter, advance), (wire, lead) = course.rods[number]
    middle = ways.aorta.at(np.linspace(0.0, lead, round(lead / SPACING_MM) + 1))
    curvature, length = turns(middle)
    way_mm = np.arange(1, len(middle) - 1) * SPACING_MM
    stiff = wire.stiffness_at(lead - way_mm) + np.where(way_mm < advance, catheter.stiffness_at(advance - way_mm), 0.0)
    own = catheter.curvature_at(np.maximum(advance - way_mm, 0.0), SPACING_MM) * (way_mm < advance)
    own = own + wire.curvature_at(np.maximum(lead - way_mm, 0.0), SPACING_MM)
    # the middle, were all its bends against what a free tip wants at least as cheap as can be
    cheapest = 0.5 * float((stiff * np.maximum(curvature - np.abs(own), 0.0) ** 2 * length).sum())
    dearest = 0.5 * float((stiff * (curvature + np.abs(own)) ** 2 * length).sum())
    assert course.shapes[number].energy_n_mm <= dearest * (1 + 1e-6)
    assert cheapest <= dearest


def test_a_plan_that_was_packed_is_the_same():
    _, way = led(*CASES[0])
    again = Navigation.unpacked(*way.packed())
    assert set(again.passages) == set(way.passages)
    for name in way.passages:
        for share in (0.0, 0.37, 1.0):
            one, two = way.passages[name].at(share), again.passages[name].at(share)
            assert (one.points_mm == two.points_mm).all()
            assert (one.outer_mm, one.wire_mm) == (two.outer_mm, two.wire_mm)


def test_it_is_the_same_however_many_processes_seek_it(monkeypatch):
    from spineviz.procedures import navigation

    ways = Ways(tree_of("L1", "left"), ("femoral-right", 12.0))
    packed = []
    for two in (True, False):
        monkeypatch.setattr(navigation, "two_at_once", lambda two=two: two)
        packed.append(plan_navigation(ways, chosen_kit(5, 2.7), (CASES[0][:2], CASES[0][3]), CASES[0][3]).packed())
    (plain, arrays), (alone, alone_arrays) = packed
    assert plain == alone
    assert set(arrays) == set(alone_arrays)
    assert all(np.array_equal(arrays[name], alone_arrays[name], equal_nan=True) for name in arrays)


def test_a_catheter_that_is_wider_than_its_artery_is_refused_with_both_sizes():
    from dataclasses import replace

    ways = Ways(tree_of("L1", "left"), ("femoral-right", 12.0))
    kit = chosen_kit(5, 2.7)
    wide = replace(kit, catheter=replace(kit.catheter, radius_mm=1.9, least_bend_radius_mm=2.0))
    with pytest.raises(RequestError, match=r"3\.80? mm.*\d\.\d+ mm"):
        plan_navigation(ways, wide, (("L1", "left"), ("T12", "left")), ("T12", "left"))
    wide = replace(kit, micro=replace(kit.micro, radius_mm=0.8))
    with pytest.raises(RequestError, match=r"catheter\.micro_french: .* 1\.60 mm .* 1\.\d\d mm"):
        plan_navigation(ways, wide, (("L1", "left"), ("T12", "left")), ("T12", "left"))


@given(st.sampled_from(SEGMENTAL_LEVELS), st.sampled_from(SIDES))
def test_every_segmental_artery_has_a_way_to_it(level, side):
    ways = Ways(tree_of("L1", "left"), ("femoral-left", 12.0))
    assert 180.0 < ways.orifice_mm((level, side)) < ways.wall_mm((level, side)) < 520.0
    assert ways.facing((level, side))[1] < 0.2  # they spring from the wall that faces the body
