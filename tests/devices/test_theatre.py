"""The operating room: nothing runs through anything, and the beam goes where the film says."""

from __future__ import annotations

import time

import numpy as np
import pytest

from spineviz.anatomy import figure
from spineviz.data.tables import LEVELS
from spineviz.devices import theatre
from spineviz.devices.solids import arc, block, rod
from spineviz.geometry.meshes import mesh_field
from spineviz.views.theme import theme


@pytest.fixture(scope="module")
def room():
    return theatre.theatre("L1", 0.0)


def test_the_names_are_told_without_the_room(room):
    assert theatre.theatre_names() == set(room)


def test_every_part_is_closed_has_a_colour_and_a_matching_name(room):
    for name, part in room.items():
        mesh = part.world_mesh(12.0)
        assert part.name == name
        assert mesh.is_closed, name
        assert mesh.volume_ml > 0, name
        theme("dark").colour(part.role)


def test_surface_lies_on_the_field(room):
    for name, part in room.items():
        points = part.world_mesh(12.0).points_mm
        # the centre of a fan or a flat end may lie on another part of the same furniture, never outside it
        assert np.percentile(np.abs(part.field(points)), 60) < 3.0 or (part.field(points) < 3.0).all(), name


def test_the_whole_room_is_meshed_in_a_moment():
    theatre.drape.cache_clear()
    began = time.process_time()
    for part in theatre.theatre("L1", 30.0).values():
        part.world_mesh(12.0)
    assert time.process_time() - began < 3.0


@pytest.mark.parametrize("angle_deg", [0.0, 37.0, 90.0])
def test_beam_passes_the_isocentre_at_every_angle(angle_deg):
    parts = theatre.c_arm(angle_deg)
    ring = parts["c-arm-ring"].world_from_local
    detector, tube = ring.point((0.0, -420.0, 0.0)), ring.point((0.0, 560.0, 0.0))
    along = (tube - detector) / np.linalg.norm(tube - detector)
    assert np.linalg.norm(np.cross(-detector, along)) == pytest.approx(0.0, abs=1e-9)
    assert parts["c-arm-base"].world_from_local.matrix == pytest.approx(np.eye(4))


def test_beam_runs_up_through_the_patient_at_0_and_from_the_left_at_90():
    up = theatre.c_arm(0.0)["c-arm-ring"].world_from_local.vector((0.0, -1.0, 0.0))
    across = theatre.c_arm(90.0)["c-arm-ring"].world_from_local.vector((0.0, -1.0, 0.0))
    assert up == pytest.approx([0.0, -1.0, 0.0])  # posterior is up in the room
    assert across == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)  # detector on the right, tube on the left


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 60.0, 90.0])
def test_c_arm_touches_neither_patient_nor_table_nor_team(angle_deg):
    room = theatre.theatre("L1", angle_deg)
    surface = np.concatenate([room[n].world_mesh(12.0).points_mm for n in ("c-arm-ring", "c-arm-detector")])
    for name in ("patient", "table", "table-column", "mattress", "operator-gown", "assistant-apron", "drape"):
        assert room[name].field(surface).min() > 0.0, name
    gown = room["operator-gown"].world_mesh(12.0).points_mm
    for name in ("instrument-table", "table", "patient"):
        assert room[name].field(gown).min() > 0.0, name


def test_c_arm_stands_clear_of_the_floor_at_every_angle():
    floor_y = theatre.sizes()["table_top_mm"] + theatre.sizes()["table_height_mm"]
    for angle_deg in (0.0, 45.0, 90.0):
        for part in theatre.c_arm(angle_deg).values():
            assert part.world_mesh(12.0).bounds_mm[1, 1] <= floor_y + 1.0


def test_patient_lies_on_the_table_and_under_the_drape(room):
    patient = room["patient"].world_mesh(12.0).points_mm
    trunk = patient[(patient[:, 2] > -300) & (patient[:, 2] < 260)]
    top = theatre.sizes()["table_top_mm"]
    assert top - 40 < trunk[:, 1].max() < top + 6  # on its pads, hardly pressed into the mattress
    sheet = room["drape"].world_mesh(12.0).points_mm
    assert room["patient"].field(sheet).min() > -6.0


@pytest.mark.parametrize("level", ["T1", "T7", "L1", "L5"])
def test_drape_is_open_over_the_treated_level_and_closed_beside_it(level):
    mesh = theatre.drape(level)["drape"].world_mesh(12.0)
    assert mesh.is_closed
    assert mesh.pieces == 1
    sheet = mesh.points_mm
    inside = (np.abs(sheet[:, 0]) < 70) & (np.abs(sheet[:, 2]) < 90)
    assert not inside.any()
    assert ((np.abs(sheet[:, 0]) < 70) & (sheet[:, 2] < -150) & (sheet[:, 1] < 0)).any()


def test_instruments_lie_on_their_table_and_people_stand_on_the_floor(room):
    top = room["instrument-table"].world_mesh(12.0).bounds_mm[0, 1]
    assert room["instruments"].world_mesh(12.0).bounds_mm[1, 1] == pytest.approx(top, abs=4.0)
    floor_y = theatre.sizes()["table_top_mm"] + theatre.sizes()["table_height_mm"]
    for who in ("operator", "assistant"):
        shoes = room[f"{who}-shoes"].world_mesh(12.0).bounds_mm
        cap = room[f"{who}-cap"].world_mesh(12.0).bounds_mm
        assert shoes[1, 1] == pytest.approx(floor_y, abs=8.0)
        assert 1650 < floor_y - cap[0, 1] < 1850


def test_team_keeps_out_of_a_beam_that_runs_across():
    room = theatre.theatre("L1", 90.0)
    beam = np.column_stack([np.linspace(-640, 400, 200), np.zeros(200), np.zeros(200)])
    for name, part in room.items():
        if name.startswith(("operator", "assistant")):
            assert part.field(beam).min() > 100.0, name


def test_another_level_moves_the_patient_and_nothing_else():
    here, there = theatre.theatre("L1"), theatre.theatre("T6")
    up = theatre.level_offset_mm("T6")
    assert up > 150
    assert there["patient"].world_from_local.origin_mm == pytest.approx([0.0, 0.0, -up])
    assert there["c-arm-ring"].world_from_local.origin_mm == pytest.approx([0.0, 0.0, 0.0])
    assert there["patient"].mesh(12.0) is here["patient"].mesh(12.0)


def test_levels_are_stacked_in_order():
    way = [theatre.level_offset_mm(level) for level in LEVELS]
    assert (np.diff(way) < 0).all()
    assert theatre.level_offset_mm("L1") == 0.0


def test_standing_figures_wear_what_they_should(room):
    assert {"operator-gown", "operator-cap", "operator-mask", "assistant-apron", "assistant-cap"} <= set(room)
    face, mask = (mesh_field(f, 6.0).points_mm for f in (figure.standing_face(), figure.standing_mask()))
    covered = face[np.abs(face[:, 2] - mask[:, 2].mean()) < 12.0]
    assert mask[:, 1].max() > covered[:, 1].max() + 3.0  # the mask lies over nose and chin


@pytest.mark.parametrize("rounding_mm", [2.0, 9.0])
def test_block_has_the_volume_of_a_rounded_box(rounding_mm):
    a, b, c = 40.0, 60.0, 30.0
    solid = block((5, 6, 7), (a, b, c), rounding_mm)
    x, y, z = a - 2 * rounding_mm, b - 2 * rounding_mm, c - 2 * rounding_mm
    exact = x * y * z + 2 * rounding_mm * (x * y + y * z + z * x)
    exact += np.pi * rounding_mm**2 * (x + y + z) + 4 / 3 * np.pi * rounding_mm**3  # Steiner
    assert solid.mesh.is_closed
    assert solid.mesh.pieces == 1
    assert solid.mesh.volume_ml == pytest.approx(exact / 1000, rel=0.02)
    assert np.abs(solid.field(solid.mesh.points_mm)).max() < 1e-6 + a  # on or, at the fans' centres, inside
    assert (solid.field(solid.mesh.points_mm) < 1e-6).all()


def test_rod_and_arc_hold_their_volumes():
    bar = rod((0, 0, 0), (0, 30, 40), 6.0, 60)
    assert bar.mesh.is_closed
    assert bar.mesh.volume_ml == pytest.approx(np.pi * 36 * 50 / 1000, rel=0.01)
    c = arc(90.0, 100.0, 20.0, 10.0, 1.0)
    assert c.mesh.is_closed
    profile = 20.0 * 10.0 - (4 - np.pi) * 1.0
    assert c.mesh.volume_ml == pytest.approx(profile * np.pi * 100.0 / 1000, rel=0.02)  # Pappus
