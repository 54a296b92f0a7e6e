"""Cord, sac and roots lie where they should and never in bone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from spineviz.anatomy import bones, sacrum
from spineviz.anatomy.column import COLUMN_LEVELS, column, endplates, levels_between
from spineviz.anatomy.neural import (
    canal_line,
    cord_and_sac,
    cord_sweep,
    dura_sweep,
    neural_structures,
    outer_root,
    root_sweeps,
)
from spineviz.anatomy.ribs import rib_structures
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.tables import LEVELS
from spineviz.geometry.frames import rotation_about

VIEW = levels_between("T9", "sacrum")


@cache
def made(top, bottom, lying):
    here = column("L1", lying)
    return here, neural_structures(here, levels_between(top, bottom))


@pytest.mark.parametrize("name", ["cord", "dura", "roots"])
def test_surfaces_are_closed(name):
    _, parts = made("T9", "sacrum", 0.0)
    mesh = parts[name].mesh(1.0)
    assert mesh.is_closed
    assert mesh.pieces == (1 if name != "roots" else 2 * (9 + 4))


@pytest.mark.parametrize("lying", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("view", [("T1", "T9"), ("T9", "sacrum")])
def test_nothing_neural_runs_through_bone(view, lying):
    here, parts = made(*view, lying)
    for name, part in parts.items():
        points = part.world_mesh(1.0).points_mm
        near = cKDTree(points)
        for level in levels_between(*view):
            local = here.world_from_vertebra(level).inverse().points(points)
            assert bones.carved_field(level)(local).min() > 0.0, (name, level)
            surface = bones.carved_mesh(level, 1.2).moved(here.world_from_vertebra(level)).points_mm
            assert part.field(surface).min() > 0.0, (name, level)
            assert near.query(surface)[0].min() > 0.1, (name, level)


@given(lying=st.floats(0, 1), turn=st.floats(0, 14))
@settings(max_examples=6)
def test_the_sac_stays_out_of_bone_while_the_spine_above_a_fracture_tips_forward(lying, turn):
    hinge = endplates("L1")[0].origin_mm - np.array([0.0, 16.0, 0.0])
    here = column("L1", lying, rotation_about([1, 0, 0], -turn, hinge))
    line = canal_line(here, "T11", "L3")
    for sweep in (cord_sweep(line), dura_sweep(line)):
        points = sweep.mesh(24).points_mm
        for level in ("T11", "T12", "L1", "L2"):
            local = here.world_from_vertebra(level).inverse().points(points)
            assert bones.carved_field(level)(local).min() > -0.6, level


def test_the_cord_lies_inside_the_sac_and_the_strands_do_not_leave_it():
    here, parts = made("T9", "sacrum", 0.0)
    assert parts["dura"].field(parts["cord"].world_mesh(1.0).points_mm).max() < 1e-6
    line = canal_line(here, "T9", "sacrum")
    dura = parts["dura"].field
    for sweep in root_sweeps(here, line):
        start = sweep.points_mm[: len(sweep.points_mm) // 4]
        assert dura(start).max() < 0.3


def test_the_cord_ends_in_the_lower_third_of_l1_and_the_filum_goes_on():
    here, _ = made("T9", "sacrum", 0.0)
    line = canal_line(here, "T9", "sacrum")
    cord = cord_sweep(line)
    thick = cord.side_mm > 0.7
    tip = here.world_from_vertebra("L1").inverse().point(cord.points_mm[np.flatnonzero(thick)[-1]])
    upper, lower = (plate.origin_mm[2] for plate in endplates("L1"))
    share = (upper - tip[2]) / (upper - lower)
    assert 0.65 < share < 1.0
    assert cord.side_mm[-1] == pytest.approx(0.6)
    # mid T12 it is still a cord of published size
    middle = np.argmin(np.linalg.norm(cord.points_mm - here.frames["T11"].point([0, -22, 0]), axis=1))
    assert 2 * cord.side_mm[middle] == pytest.approx(9.4, abs=0.4)


def test_the_sac_ends_at_the_middle_of_s2():
    here, parts = made("T9", "sacrum", 0.0)
    points = here.world_from_sacrum.inverse().points(parts["dura"].world_mesh(1.0).points_mm)
    end = points[points[:, 2].argmin()]
    way = np.argmin(np.linalg.norm(sacrum.canal_centres() - end, axis=1))
    assert sacrum.station_mm("S2", 0.2) < way < sacrum.station_mm("S2", 0.8)


@pytest.mark.parametrize("level", LEVELS)
def test_a_root_leaves_close_under_its_own_pedicle(level):
    points, radius = outer_root(level)
    pedicle = vertebra(level).frames["pedicle-right"].origin_mm
    row = vertebra(level).row
    below = np.argmin(np.abs(points[:, 0] - pedicle[0]))
    floor = pedicle[2] - row["PDH_zindrick_mm"].value / 2
    assert points[below, 2] < floor
    assert points[below, 2] > floor - 9.0
    assert points[-1, 0] > pedicle[0] + 12.0  # and on, outward
    assert radius.max() > 1.3 * np.median(radius[-12:-4])  # with its ganglion
    assert (np.diff(points[:below, 0]) > -0.6).all()


def test_ten_to_twenty_strands_hang_below_the_cord():
    here = column("L1")
    line = canal_line(here, "T9", "sacrum")
    height = here.world_from_vertebra("L3").point([0, 0, 10])
    crossing = [s for s in root_sweeps(here, line) if s.points_mm[0, 2] > height[2] > s.points_mm[-1, 2]]
    assert 10 <= len(crossing) <= 20
    places = []
    for sweep in crossing:
        places.append(sweep.points_mm[np.argmin(np.abs(sweep.points_mm[:, 2] - height[2]))])
    way = cKDTree(places).query(places, k=2)[0][:, 1]
    assert way.min() > 0.5  # none lies in another


def test_right_and_left_are_mirror_images():
    _, parts = made("T9", "sacrum", 1.0)
    points = parts["roots"].world_mesh(1.0).points_mm
    assert cKDTree(points).query(points * [-1, 1, 1])[0].max() < 0.8
    field = parts["dura"].field
    assert np.allclose(field(points[::7]), field(points[::7] * [-1, 1, 1]), atol=1e-6)


def test_roots_keep_clear_of_the_ribs():
    here, parts = made("T9", "sacrum", 1.0)
    points = parts["roots"].world_mesh(1.0).points_mm
    for rib in rib_structures(here, VIEW).values():
        assert rib.field(points).min() > 0.0


def test_views_without_cord_or_without_sacrum():
    here = column("L3")
    low = neural_structures(here, levels_between("L3", "L5"))
    assert set(low) == {"cord", "dura", "roots"}  # of the cord only the filum
    assert np.ptp(low["cord"].mesh(1.0).points_mm[:, 0]) < 1.5
    assert neural_structures(here, ("sacrum",)) == {}
    assert set(COLUMN_LEVELS) == {*LEVELS, "sacrum"}


@pytest.mark.parametrize("name", ["cord", "dura", "roots"])
def test_field_and_surface_say_the_same(name):
    _, parts = made("T9", "sacrum", 0.0)
    points = parts[name].world_mesh(1.0).points_mm
    way = parts[name].field(points)
    assert way.max() < 0.25  # a strand may begin inside the next one's root, never outside its own surface
    assert np.percentile(np.abs(way), 90) < 0.1


def test_cord_and_sac_are_those_that_lie_among_the_roots():
    here, levels = column("L1", 1.0), ("T10", "L3")
    whole, alone = neural_structures(here, levels), cord_and_sac(here, levels)
    assert set(alone) == {"cord", "dura"}
    for name, part in alone.items():
        assert part.key == whole[name].key
        assert np.array_equal(part.mesh(0.2).points_mm, whole[name].mesh(0.2).points_mm)
    assert cord_and_sac(here, ("sacrum",)) == {}
