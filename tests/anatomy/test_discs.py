"""Discs fill the room between two end-plates, whatever the posture and the fracture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from spineviz.anatomy import bones
from spineviz.anatomy.column import column, endplates, level_below, levels_between
from spineviz.anatomy.discs import disc, disc_name, disc_structure, discs, endplate_sheet
from spineviz.anatomy.neural import neural_structures
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS, morphometry
from spineviz.geometry.frames import rotation_about, translation
from spineviz.geometry.grids import lattice
from spineviz.geometry.meshes import Mesh


def wedged(share):
    """A stand-in for a fracture of L1: its upper front gives way by `share`, its back stays."""
    top = endplates("L1")[0].origin_mm[2]

    def deform(points):
        up = np.clip((points[:, 2] + 6.0) / (top + 6.0), 0.0, None)
        front = np.clip((points[:, 1] + 16.0) / 34.0, 0.0, 1.2)
        return points - np.column_stack([np.zeros((len(points), 2)), 9.0 * share * up * front])

    return deform


def body_of(level):
    """What a disc lies on: the vertebral body, without the swellings that carry ribs; the whole sacrum."""
    return bones.uncarved(level) if level == "sacrum" else vertebra(level).body


@pytest.mark.parametrize("lying", [0.0, 1.0])
@pytest.mark.parametrize("level", LEVELS)
def test_every_disc_is_closed_of_one_piece_and_as_large_as_its_room(level, lying):
    here = column("L1", lying)
    shape, _ = disc(here, level)
    mesh = shape.mesh()
    assert mesh.is_closed
    assert mesh.pieces == 1
    row, below = morphometry()[level], level_below(level)
    under = morphometry().get(below or "", row)
    width = (row["EPWl_mm"].value + under["EPWu_mm"].value) / 2
    depth = (row["EPDl_mm"].value + under["EPDu_mm"].value) / 2
    block = width * depth * row["disc_below_height_mm"].value / 1000
    assert 0.75 * block < mesh.volume_ml < 1.9 * block  # more than the rims' room: both end-plates are hollow


@pytest.mark.parametrize("level", ["T3", "T9", "T12", "L2", "L5"])
def test_a_coarser_surface_has_fewer_triangles_and_is_hardly_further_off(level):
    shape, _ = disc(column("L1"), level)

    def away(mesh: Mesh) -> np.ndarray:
        return np.abs(shape.field()(mesh.points_mm[mesh.triangles].mean(axis=1)))

    fine = shape.mesh(1.0)
    near, counts = cKDTree(fine.points_mm), [len(fine.triangles)]
    for spacing in (1.4, 2.8):
        mesh = shape.mesh(spacing)
        assert mesh.is_closed
        assert mesh.pieces == 1
        assert near.query(mesh.points_mm)[0].max() == 0.0  # of its points some are left out
        assert mesh.volume_ml == pytest.approx(fine.volume_ml, rel=0.03)
        counts.append(len(mesh.triangles))
        off = away(mesh)
        assert np.sqrt((off**2).mean()) < np.sqrt((away(fine) ** 2).mean()) + 0.07
        assert off.max() < away(fine).max() + 0.15
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < counts[0] / 5


@pytest.mark.parametrize(("level", "upper"), [("T4", True), ("T10", False), ("L1", True), ("L3", False), ("L5", False)])
def test_the_sheets_lie_on_the_bones_surface(level, upper):
    assert np.abs(vertebra(level).body(endplate_sheet(level, upper))).max() < 0.05


@pytest.mark.parametrize("lying", [0.0, 1.0])
@pytest.mark.parametrize("level", ["T3", "T9", "T12", "L2", "L4", "L5"])
def test_a_disc_touches_both_bones_and_sinks_into_neither(level, lying):
    here = column("L1", lying)
    points = disc_structure(here, level).world_mesh(1.0).points_mm
    for neighbour in (level, level_below(level)):
        local = here.world_from_vertebra(neighbour).inverse().points(points)
        way = body_of(neighbour)(local)
        # on the sacrum the annulus reaches onto the roots of the wings
        assert way.min() > (-0.7 if neighbour == "sacrum" else -0.3)
        assert (np.abs(way) < 0.2).sum() > 300


def test_the_field_holds_the_volume_of_the_surface_and_the_nucleus_lies_inside():
    made = disc_structure(column("L1"), "L2")
    shape, frame = disc(column("L1"), "L2")
    mesh = shape.mesh()
    grid = lattice(mesh.bounds_mm, 0.7, 1.0)
    points = frame.points(grid.points())
    inside = made.field(points) < 0
    assert inside.sum() * 0.7**3 / 1000 == pytest.approx(mesh.volume_ml, rel=0.04)
    assert made.core is not None
    core = made.core(points) < 0
    assert not (core & ~inside).any()
    assert 0.2 < core.sum() / inside.sum() < 0.5  # White and Panjabi: 30-50 % of the area
    assert np.abs(made.field(made.world_mesh(1.0).points_mm)).max() < 0.8


def test_the_annulus_stands_out_past_the_rims_but_hardly_into_the_canal():
    shape, _ = disc(column("L1"), "L3")
    rim, middle = (shape.above[-72:] + shape.below[-72:]) / 2, shape.side(0.5)
    out = ((middle - rim) * shape.outward).sum(1)
    front, back = np.argmax(rim[:, 1]), np.argmin(rim[:, 1] + np.abs(rim[:, 0]))
    assert out.min() > 0.2
    assert out[front] > 2 * out[back]
    assert out.max() < 1.5


@given(share=st.floats(0, 1), lying=st.floats(0, 1))
@settings(max_examples=12)
def test_discs_beside_a_fracture_stay_sound(share, lying):
    hinge = endplates("L1")[0].origin_mm - np.array([0.0, 16.0, 0.0])
    here = column("L1", lying, rotation_about([1, 0, 0], -14.0 * share, hinge))
    for level in ("T12", "L1"):
        mesh = disc(here, level, wedged(share))[0].mesh()
        assert mesh.is_closed
        assert mesh.volume_ml > 3.0


def test_discs_move_continuously_with_the_collapse():
    hinge = endplates("L1")[0].origin_mm - np.array([0.0, 16.0, 0.0])
    last = None
    for share in np.linspace(0, 1, 11):
        here = column("L1", 0.0, rotation_about([1, 0, 0], -14.0 * share, hinge))
        shape, frame = disc(here, "T12", wedged(share))
        points = frame.points(shape.mesh().points_mm)
        if last is not None:
            assert np.abs(points - last).max() < 2.0  # 10 mm at the front rim in ten steps
        last = points


def test_only_discs_on_an_end_plate_that_moves_know_of_the_fracture():
    here, view = column("L1"), levels_between("T10", "L4")
    plain, broken = discs(here, view), discs(here, view, wedged(0.5), "half")
    changed = {name for name in plain if plain[name].key != broken[name].key}
    assert changed == {"disc-T12-L1"}  # the lower end-plate of L1 stays
    sunk = discs(here, view, lambda points: points * [1.0, 1.0, 0.8], "both")
    assert {name for name in plain if plain[name].key != sunk[name].key} == {"disc-T12-L1", "disc-L1-L2"}


def test_a_disc_that_did_not_change_is_not_made_again():
    """The same surface and the same answers, wherever the disc stands."""
    here, sunk = column("L1"), column("L1", 0.0, translation([0.0, 0.0, -1.5]))
    view = levels_between("T10", "L4")
    before, after = discs(here, view), discs(sunk, view, wedged(0.3), "third")
    for name in before:
        same = name != "disc-T12-L1"
        assert (before[name].key == after[name].key) == same
        assert (before[name].mesh(1.2) is after[name].mesh(1.2)) == same
    carried = before["disc-T10-T11"].world_mesh(1.2).points_mm
    moved_points = after["disc-T10-T11"].world_mesh(1.2).points_mm
    assert moved_points == pytest.approx(carried + [0.0, 0.0, -1.5], abs=1e-9)
    inner = carried * 0.9 + carried.mean(0) * 0.1
    assert after["disc-T10-T11"].field(inner + [0.0, 0.0, -1.5]) == pytest.approx(
        before["disc-T10-T11"].field(inner), abs=1e-6
    )


def test_no_disc_touches_the_sac():
    view = levels_between("T9", "sacrum")
    for lying in (0.0, 1.0):
        here = column("L1", lying)
        dura = neural_structures(here, view)["dura"].field
        for name, made in discs(here, view).items():
            assert dura(made.world_mesh(1.0).points_mm).min() > 0.0, name


def test_names_and_refusals():
    assert disc_name("T12") == "disc-T12-L1"
    assert disc_name("L5") == "disc-L5-S1"
    with pytest.raises(RequestError, match="no disc lies below sacrum"):
        disc_name("sacrum")
    assert set(discs(column("L1"), ("T12", "L2"))) == set()
