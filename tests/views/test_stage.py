"""The stage against geometry: what is seen is where, as large and as near as calculation says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

import spineviz.views.stage
from spineviz.anatomy.bones import carved_mesh
from spineviz.anatomy.patient import patient
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.errors import FaultError
from spineviz.geometry.fields import Field, box_bounds, cylinder, sphere
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.geometry.operators import moved
from spineviz.views.camera import Camera, camera_from
from spineviz.views.offscreen import (
    _RESTS_AFTER,
    Kept,
    Surface,
    Wanted,
    _context,
    lightened,
    one_panes,
    spiral,
    store,
    vertex_normals,
)
from spineviz.views.stage import (
    _SPACING_PX,
    _TRIANGLES,
    Stage,
    StageLook,
    _spacing_mm,
    ground,
    inner_to_outer,
    outside,
    pixels_in_sight_mm,
)
from spineviz.views.theme import theme

SIZE = (320, 240)
CAMERA = camera_from("behind", (0, 0, 0), 300.0, 20.0)


@cache
def ball_mesh(radius_mm: float, spacing_mm: float) -> Mesh:
    return mesh_field(sphere((0, 0, 0), radius_mm), min(spacing_mm, radius_mm / 20))


def ball(
    name: str = "ball", centre=(0.0, 0.0, 0.0), radius_mm: float = 20.0, role: str = "bone", pose: Frame | None = None
) -> Structure:
    frame = translation(centre) if pose is None else pose @ translation(centre)
    return Structure(
        name, role, "cortical", moved(sphere((0, 0, 0), radius_mm), frame), lambda s: ball_mesh(radius_mm, s),
        f"ball-{radius_mm}", RANKS.get(role, 30), frame,
    )  # fmt: skip


def together(*structures: Structure) -> dict[str, Structure]:
    return {s.name: s for s in structures}


@pytest.fixture(scope="module")
def stage():
    made = Stage(SIZE)
    yield made
    made.close()


def changed(stage: Stage, picture: np.ndarray) -> np.ndarray:
    """Where the picture is not the empty stage."""
    empty = stage.draw({}, CAMERA)
    return np.abs(picture.astype(int) - empty).max(axis=2) > 6


def silhouette_px(camera: Camera, radius_mm: float, size_px: tuple[int, int]) -> float:
    """The area of a centred sphere's picture: a disc of the tangent cone's slope."""
    slope = radius_mm / np.sqrt(camera.distance_mm**2 - radius_mm**2)
    focal = size_px[1] / 2 / np.tan(np.deg2rad(camera.view_angle_deg / 2))
    return float(np.pi * (slope * focal) ** 2)


@pytest.mark.parametrize("size", [SIZE, (321, 240), (320, 239), (333, 241)])
@pytest.mark.parametrize("supersample", [1, 1.5, 2])
def test_a_spheres_silhouette_has_the_area_and_place_of_its_projection(size, supersample):
    clear = Stage(size, supersample=supersample, clear=True)
    alpha = clear.draw(together(ball()), CAMERA)[:, :, 3] / 255.0
    clear.close()
    assert alpha.sum() == pytest.approx(silhouette_px(CAMERA, 20.0, size), rel=0.005)
    y, x = np.indices(alpha.shape) + 0.5
    middle = (alpha * x).sum() / alpha.sum(), (alpha * y).sum() / alpha.sum()
    assert middle == pytest.approx((size[0] / 2, size[1] / 2), abs=0.1)


def test_the_silhouette_is_right_to_half_a_percent_by_depth():
    stage = Stage((800, 600), supersample=1)
    stage.draw(together(ball(radius_mm=40.0)), CAMERA)
    covered = np.isfinite(stage.depth_mm).sum() * 4
    assert covered == pytest.approx(silhouette_px(CAMERA, 40.0, (800, 600)), rel=0.005)
    stage.close()


def test_depth_is_the_distance_along_the_line_of_sight(stage):
    stage.draw(together(ball()), CAMERA)
    middle = stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4]
    assert middle == pytest.approx(300.0 - 20.0, abs=0.05)
    assert np.isinf(stage.depth_mm[0, 0])


def test_a_small_bright_sphere_is_drawn_where_project_says(stage):
    for place in ((18.0, 4.0, -21.0), (-40.0, 30.0, 25.0), (5.0, -60.0, 12.0)):
        picture = stage.draw(together(ball("dot", place, 2.0, "wire")), CAMERA, StageLook(highlight=frozenset({"dot"})))
        row, column = np.nonzero(changed(stage, picture))
        pixels, depth = stage.project([place])
        assert (column.mean() + 0.5, row.mean() + 0.5) == pytest.approx(tuple(pixels[0]), abs=0.75)
        assert depth[0] == pytest.approx(300.0 + place[1])


def test_the_nearer_hides_the_farther_in_any_order(stage):
    near, far = ball("near", (0, -40, 0), 8.0, "cement"), ball("far", (0, 0, 0), 20.0)
    one, two = (stage.draw(together(*order), CAMERA) for order in ((near, far), (far, near)))
    assert (one == two).all()
    red, green, _ = one[SIZE[1] // 2, SIZE[0] // 2].astype(int)
    assert green > red + 20  # cement's green, not bone's ivory


def test_the_world_moved_with_its_camera_gives_the_same_picture(stage):
    frame = translation((40, -25, 60)) @ rotation_about((1, 2, 3), 71.0)
    scene = [("a", (0, 0, 0), 20.0, "disc"), ("b", (18, -20, 6), 9.0, "bone"), ("c", (-20, -25, -9), 5.0, "steel")]
    here = stage.draw(together(*(ball(n, c, r, role) for n, c, r, role in scene)), CAMERA)
    there = stage.draw(together(*(ball(n, c, r, role, frame) for n, c, r, role in scene)), CAMERA.moved(frame))
    gap = np.abs(here.astype(int) - there)
    assert (gap > 2).mean() < 0.002  # only where an edge falls on the other side of a sample
    assert gap.mean() < 0.02


def test_glass_shows_what_is_inside_and_solid_does_not(stage):
    shell, core = ball("shell", radius_mm=24.0), ball("core", radius_mm=10.0, role="tumour")
    alone = stage.draw(together(core), CAMERA)[SIZE[1] // 2, SIZE[0] // 2].astype(int)
    solid = stage.draw(together(shell, core), CAMERA)[SIZE[1] // 2, SIZE[0] // 2].astype(int)
    clear = stage.draw(together(shell, core), CAMERA, StageLook(glass=frozenset({"shell"})))
    seen = clear[SIZE[1] // 2, SIZE[0] // 2].astype(int)
    assert np.abs(seen - alone).max() < 60
    assert np.abs(solid - alone).max() > 60
    assert seen[2] > seen[1] + 30  # still the tumour's purple


def test_glass_is_brightest_at_its_silhouette(stage):
    picture = stage.draw(together(ball("shell", radius_mm=24.0)), CAMERA, StageLook(glass=frozenset({"shell"})))
    row = picture[SIZE[1] // 2].astype(int).sum(axis=1)
    radius = int(np.sqrt(silhouette_px(CAMERA, 24.0, SIZE) / np.pi))
    right = row[SIZE[0] // 2 + radius - 4 : SIZE[0] // 2 + radius + 1].max()
    assert right > 1.5 * row[SIZE[0] // 2 + radius // 3]


def test_glass_is_hidden_by_what_is_solid_and_nearer(stage):
    wall, pane = ball("wall", (0, -60, 0), 22.0), ball("pane", (0, 20, 0), 12.0)
    with_pane = stage.draw(together(wall, pane), CAMERA, StageLook(glass=frozenset({"pane"})))
    without = stage.draw(together(wall), CAMERA)
    assert (with_pane == without).mean() > 0.999


def plane(origin_mm=(0.0, 0.0, 0.0), angle_deg: float = 0.0) -> Frame:
    """A plane whose removed side (+z) looks at the camera, which stands at -y."""
    facing = Frame(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.asarray(origin_mm, float))
    return rotation_about((1, 0, 0), angle_deg, origin_mm) @ facing


def test_the_cut_face_of_a_sphere_is_the_disc_that_geometry_gives(stage):
    radius, offset = 30.0, 12.0
    picture = stage.draw(together(ball(radius_mm=radius)), CAMERA, StageLook(cut=plane((0, -offset, 0))))
    assert stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4] == pytest.approx(300.0 - offset, abs=0.2)
    flat = np.abs(stage.depth_mm - (300.0 - offset)) < 0.2
    focal = SIZE[1] / 2 / np.tan(np.deg2rad(CAMERA.view_angle_deg / 2))
    disc = np.pi * (radius**2 - offset**2) * (focal / (300.0 - offset)) ** 2
    assert flat.sum() * 4 == pytest.approx(disc, rel=0.02)
    assert picture[SIZE[1] // 2, SIZE[0] // 2].min() > 100  # filled with the colour of bone, not a dark hollow


def test_instruments_and_what_is_named_whole_are_not_cut(stage):
    bone, needle = ball(radius_mm=25.0), ball("needle", (0, -40, 0), 6.0, "steel")
    disc = ball("disc", (24, -40, 0), 6.0, "disc")
    stage.draw(together(bone, needle, disc), CAMERA, StageLook(cut=plane(), whole=frozenset({"disc"})))
    assert stage.visible([(0, -46, 0), (24 * 253 / 300, -46.2, 0)], slack_mm=1.5).all()
    column = int(stage.project([(24, -40, 0)])[0][0, 0]) // 2
    assert stage.depth_mm[SIZE[1] // 4, column] == pytest.approx(254, abs=1.0)
    stage.draw(together(bone, needle, disc), CAMERA, StageLook(cut=plane()))
    assert np.isinf(stage.depth_mm[SIZE[1] // 4, column])


def test_visible_is_a_test_of_depth(stage):
    stage.draw(together(ball()), CAMERA)
    points = [(0, -20, 0), (0, 20, 0), (0, -60, 0), (500, 0, 0), (0, -900, 0)]
    assert stage.visible(points).tolist() == [True, False, True, False, False]


def test_dimming_darkens_and_highlight_brightens(stage):
    mean = {}
    for name, look in (
        ("plain", StageLook()), ("dim", StageLook(dim=frozenset({"ball"}))),
        ("bright", StageLook(highlight=frozenset({"ball"}))),
    ):  # fmt: skip
        picture = stage.draw(together(ball(role="tumour")), CAMERA, look)
        mean[name] = picture[90:150, 130:190].mean()
    assert mean["dim"] < 0.7 * mean["plain"]
    assert mean["bright"] > 1.15 * mean["plain"]


def test_opacity_runs_from_nothing_to_solid(stage):
    core = ball("core", radius_mm=8.0, role="tumour")
    shell = ball("shell", radius_mm=24.0, role="cement")
    purple = []
    for value in (0.0, 0.3, 0.7, 1.0):
        picture = stage.draw(together(core, shell), CAMERA, StageLook(opacity={"shell": value}))
        middle = picture[SIZE[1] // 2, SIZE[0] // 2].astype(int)
        purple.append(middle[0] - middle[1])
    assert purple == sorted(purple, reverse=True)
    gone = stage.draw(together(core, shell), CAMERA, StageLook(opacity={"shell": 0.0}))
    assert (stage.draw(together(core), CAMERA) == gone).all()


def test_a_balloon_is_as_solid_as_its_theme_says_on_the_whole_clear_in_its_middle_and_solid_at_its_rim(stage):
    role, opacity = "balloon", theme().opacity_of("balloon")
    shade = {}
    for name, inside in (("dark", "cleft"), ("bright", "wire")):
        # two things behind it that differ in nothing but their brightness
        wall = ball("wall", (0, 60, 0), 55.0, inside)
        shade[name] = stage.draw(together(wall, ball("b", radius_mm=20.0, role=role)), CAMERA).astype(float)
        shade[name, "bare"] = stage.draw(together(wall), CAMERA).astype(float)
    bare = (shade["bright", "bare"] - shade["dark", "bare"]).sum(2)
    through = (shade["bright"] - shade["dark"]).sum(2) / np.where(np.abs(bare) > 30, bare, np.inf)
    radius = np.sqrt(silhouette_px(CAMERA, 20.0, SIZE) / np.pi)
    row, column = np.indices(through.shape)
    way = np.hypot(row + 0.5 - SIZE[1] / 2, column + 0.5 - SIZE[0] / 2) / radius
    assert through[way < 0.15].mean() == pytest.approx(1 - (opacity - 8 / 15) / (1 - 8 / 15), abs=0.05)
    assert through[(way > 0.94) & (way < 0.97)].mean() < 0.25
    assert through[way < 0.98].mean() == pytest.approx(1 - opacity, abs=0.04)
    rings = [through[(way >= a) & (way < a + 0.1)].mean() for a in np.arange(0.0, 0.9, 0.1)]
    assert rings == sorted(rings, reverse=True)


def test_markers_and_rod_are_seen_through_the_balloon_in_glass_bone(stage):
    look = StageLook(glass=frozenset({"L1"}))
    bone, skin = ball("L1", radius_mm=30.0), ball("balloon", radius_mm=12.0, role="balloon")
    marker = ball("marker", (4, 0, 3), 2.5, "marker")
    with_it, without = (stage.draw(together(bone, skin, *more), CAMERA, look).astype(int) for more in ((marker,), ()))
    (column, row), *_ = stage.project([(4, -2, 3)])[0]
    there = np.s_[round(row) - 1 : round(row) + 2, round(column) - 1 : round(column) + 2]
    assert with_it[there].sum(axis=2).mean() > 1.15 * without[there].sum(axis=2).mean()
    edge = np.abs(with_it - without).max(axis=2)
    assert (edge > 12).sum() > 20


def test_of_a_void_the_far_wall_is_seen_dark_and_what_lies_in_it_in_front(stage):
    look = StageLook(glass=frozenset({"L1"}))
    bone, void = ball("L1", radius_mm=30.0), ball("cavity", radius_mm=12.0, role="cavity")
    empty = stage.draw(together(bone), CAMERA, look).astype(int)
    hollow = stage.draw(together(bone, void), CAMERA, look).astype(int)
    assert stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4] == pytest.approx(300.0 + 12.0, abs=0.2)
    middle = hollow[SIZE[1] // 2, SIZE[0] // 2]
    assert middle[0] > middle[1] + 10  # blood, not cleft's grey, cement's green or tumour's purple
    assert middle[0] > middle[2] + 10
    assert middle.max() < 150
    assert np.abs(hollow - empty).max(axis=2)[SIZE[1] // 2, SIZE[0] // 2] > 10
    filled = stage.draw(together(bone, void, ball("c", (0, 3, 0), 6.0, "cement")), CAMERA, look).astype(int)
    assert stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4] == pytest.approx(300.0 - 3.0, abs=0.2)
    red, green, _ = filled[SIZE[1] // 2, SIZE[0] // 2]
    assert green > red + 15


def test_a_cut_leaves_a_void_open(stage):
    bone, void = ball("L1", radius_mm=30.0), ball("cavity", radius_mm=10.0, role="cavity")
    look = StageLook(cut=plane())
    stage.draw(together(bone, void), CAMERA, look)
    middle, beside = (stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4 + i] for i in (0, 17))
    assert middle == pytest.approx(300.0 + 10.0, abs=0.3)  # its far wall
    assert beside == pytest.approx(300.0, abs=0.3)  # the bone's face
    stage.draw(together(bone, void, ball("c", (0, 0, 0), 8.0, "cement")), CAMERA, look)
    assert stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4] == pytest.approx(300.0, abs=0.3)  # cement's own face


def test_a_cut_balloon_has_a_face(stage):
    balloon = ball("b", radius_mm=20.0, role="balloon")
    picture = stage.draw(together(balloon), CAMERA, StageLook(cut=plane())).astype(int)
    assert stage.depth_mm[SIZE[1] // 4, SIZE[0] // 4] == pytest.approx(300.0, abs=0.3)
    red, green, blue = picture[SIZE[1] // 2, SIZE[0] // 2]
    assert red > green > blue


def test_packed_bone_is_a_faint_shell_in_glass_bone_and_hidden_in_solid(stage):
    bone, rim = ball("L1", radius_mm=30.0), ball("rim", radius_mm=15.0, role="rim")
    for look, least, most in ((StageLook(glass=frozenset({"L1"})), 8, 110), (StageLook(), 0, 0)):
        gap = np.abs(
            stage.draw(together(bone, rim), CAMERA, look).astype(int) - stage.draw(together(bone), CAMERA, look)
        )
        assert least <= gap.max() <= most
        if most:
            assert gap[SIZE[1] // 2, SIZE[0] // 2].max() < 0.5 * gap.max()


def test_fade_and_turning_to_glass_begin_and_end_at_the_pictures_without_them(stage):
    scene = together(ball(), ball("other", (25, 0, 10), 9.0, "disc"))
    without = stage.draw(together(ball()), CAMERA)
    whole = stage.draw(scene, CAMERA)
    assert (stage.draw(scene, CAMERA, StageLook(fade={"other": 0.0})) == without).all()
    assert (stage.draw(scene, CAMERA, StageLook(fade={"other": 1.0})) == whole).all()
    half = stage.draw(scene, CAMERA, StageLook(fade={"other": 0.5})).astype(int)
    assert np.abs(half - (without.astype(int) + whole) / 2).max() <= 1
    glass = stage.draw(scene, CAMERA, StageLook(glass=frozenset({"ball"})))
    assert (stage.draw(scene, CAMERA, StageLook(glassiness={"ball": 1.0})) == glass).all()
    assert (stage.draw(scene, CAMERA, StageLook(glassiness={"ball": 0.0})) == whole).all()
    turning = stage.draw(scene, CAMERA, StageLook(glassiness={"ball": 0.5})).astype(int)
    assert np.abs(turning - (glass.astype(int) + whole) / 2).max() <= 1


def test_things_near_each_other_cast_contact_shadows(stage):
    corners = np.array([[-60, 20, -60], [60, 20, -60], [60, 20, 60], [-60, 20, 60.0]])
    square = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    floor = Structure(
        "floor", "bone", "cortical", Field(lambda p: p[:, 1] - 20.0, box_bounds((-60, 20, -60), (60, 22, 60))),
        lambda s: square, "floor", 30,
    )  # fmt: skip
    alone = stage.draw(together(floor), CAMERA).astype(int).sum(axis=2)
    shared = stage.draw(together(floor, ball(radius_mm=20.0)), CAMERA).astype(int).sum(axis=2)
    beyond = np.isclose(stage.depth_mm, 320.0, atol=0.5).repeat(2, axis=0).repeat(2, axis=1)
    darker = (alone - shared) / alone
    assert darker[beyond].max() > 0.1
    assert darker[:40, :40].max() < 0.02  # not far away
    assert np.percentile(darker[beyond], 1) > -0.02  # and not lighter, but for the ball's own soft edge


@pytest.mark.parametrize("up_mm", np.arange(8) * 0.05)
def test_instruments_carry_a_dark_outline_on_bone(stage, up_mm):
    """However their edges lie between the pixels; a pixel is 0.4 mm."""
    field = cylinder((-60, -33, up_mm), (60, -33, up_mm), 3.0)
    shaft = Structure("shaft", "steel", "steel", field, lambda s: mesh_field(field, 1.0), f"shaft-{up_mm}", 60)
    picture = stage.draw(together(ball(radius_mm=30.0), shaft), CAMERA).astype(int).sum(axis=2)
    column = picture[:, SIZE[0] // 2]
    top = round(stage.project([(0, -33, up_mm + 3.0)])[0][0, 1])
    edge = column[top - 3 : top + 2].min()
    assert edge < 0.6 * column[top - 9]
    assert edge < 0.6 * column[top + 5]


def test_equal_input_is_not_drawn_again(stage, monkeypatch):
    scene = together(ball())
    first = stage.draw(scene, CAMERA)
    monkeypatch.setattr(stage, "_mixed", lambda *_: pytest.fail("drawn again"))
    again = stage.draw(together(ball()), camera_from("behind", (0, 0, 0), 300.0, 20.0), StageLook())
    assert (first == again).all()
    again[:] = 0  # the caller's copy: the kept picture stays
    assert (first == stage.draw(scene, CAMERA)).all()


def test_what_stands_still_is_kept_and_the_pictures_are_those_of_a_fresh_stage(stage):
    look = StageLook(glass=frozenset({"pane"}), cut=plane((0, 4, 0), 20.0), whole=frozenset({"mover"}))
    standing = [ball(role="disc"), ball("b", (18, -20, 6), 9.0), ball("pane", (-22, -30, 5), 12.0)]
    steps = [together(*standing, ball("mover", (x, -34, 12 - x / 2), 5.0, "cement")) for x in range(-24, 26, 8)]
    steps[4] = together(
        *standing[1:], ball("mover", (9, -34, 4), 5.0, "cement")
    )  # one that stood is gone, and comes back
    drawn = []
    kept = stage._offscreen._draw_surfaces
    try:
        stage._offscreen._draw_surfaces = lambda s, *more: (drawn.append(len(s)), kept(s, *more))[1]
        pictures = [stage.draw(step, CAMERA, look) for step in steps]
    finally:
        del stage._offscreen._draw_surfaces
    assert min(n for n in drawn if n) == 1  # the mover, or the pane, alone
    for step, picture in zip(steps, pictures, strict=True):
        fresh = Stage(SIZE)
        assert (fresh.draw(step, CAMERA, look) == picture).all()
        fresh.close()


def test_a_window_that_others_outdraw_gives_back_memory_and_draws_as_before(stage):
    look = StageLook(glass=frozenset({"pane"}))
    steps = [
        together(ball(role="disc"), ball("pane", (x, -30, 5), 9.0), ball("m", (x, -34, 9), 4.0)) for x in (0, 6, 12)
    ]
    rests, busy = Stage(SIZE), Stage((64, 48))
    pictures = [rests.draw(step, CAMERA, look) for step in steps]
    assert rests._offscreen._glass is not None
    assert rests._offscreen._still is not None
    for x in range(_RESTS_AFTER + 2):
        busy.draw(together(ball("b", (x, 0, 0), 9.0)), CAMERA)
    assert rests._offscreen._glass is rests._offscreen._still is None
    rests._pictures.clear()
    for step, picture in zip(steps, pictures, strict=True):
        assert (rests.draw(step, CAMERA, look) == picture).all()
    rests.close()
    busy.close()


def test_of_two_surfaces_that_coincide_the_same_is_seen_in_any_order(stage):
    one, two = ball("one", role="disc"), ball("two", role="tumour")
    assert (stage.draw(together(one, two), CAMERA) == stage.draw(together(two, one), CAMERA)).all()
    fresh = Stage(SIZE)
    for stands, comes in ((one, two), (two, one)):
        fresh.draw(together(stands), CAMERA)
        fresh.draw(together(stands, ball("other", (40, 0, 0), 5.0)), CAMERA)  # it is kept now, and the rest drawn over
        late = fresh.draw(together(stands, comes), CAMERA)
        assert (late == stage.draw(together(one, two), CAMERA)).all()
        fresh._pictures.clear()
    fresh.close()


@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
def test_nothing_of_an_earlier_picture_is_left(size):
    one = together(ball("a", (-40, 0, 20), 9.0), ball("pane", (30, 0, -25), 8.0))
    two = together(ball("b", (35, 0, 22), 6.0, "disc"))
    look = StageLook(glass=frozenset({"pane"}))
    stage = Stage(size)
    for scene in (one, two, {}, two, one):
        fresh = Stage(size)
        assert (stage.draw(scene, CAMERA, look) == fresh.draw(scene, CAMERA, look)).all()
        assert (stage.depth_mm == fresh.depth_mm).all()
        fresh.close()
        stage._pictures.clear()
    stage.close()


def test_project_belongs_to_the_picture_drawn_last_even_when_it_was_kept(stage):
    other = camera_from("left", (0, 0, 0), 300.0, 20.0)
    stage.draw(together(ball()), other)
    stage.draw(together(ball()), CAMERA)
    stage.draw(together(ball()), other)
    assert stage.project([(0, 10, 0)])[0][0, 0] < SIZE[0] / 2
    assert stage.visible([(-20, 0, 0)]).all()


def test_a_mesh_is_asked_for_once_while_its_key_stays(stage):
    asked = []

    def make(spacing_mm: float) -> Mesh:
        asked.append(spacing_mm)
        return ball_mesh(20.0, spacing_mm)

    for x in (0.0, 1.0, 2.0):
        pose = translation((x, 0, 0))
        shape = Structure("b", "bone", "cortical", sphere((x, 0, 0), 20.0), make, "asked-once", 30, pose)
        stage.draw(together(shape), CAMERA)
    assert len(asked) == 1


def test_a_smaller_picture_asks_for_a_coarser_mesh():
    shape = ball()
    sizes = (1280, 920), (570, 400), (160, 120)
    spacing = [_spacing_mm(shape, pixels_in_sight_mm({"": shape}, CAMERA, size)[""]) for size in sizes]
    assert spacing == sorted(spacing)
    assert spacing[0] < spacing[1] < spacing[2]


def test_nothing_to_draw_is_the_ground(stage):
    mesh = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    empty = Structure("none", "cement", "cement", sphere((0, 0, 0), 1.0), lambda s: mesh, "none", 50)
    picture = stage.draw(together(empty), CAMERA)
    assert np.abs(picture / 255 - ground(SIZE, theme())).max() < 1 / 255 + 1e-3
    assert not stage.visible([(0, 0, 2000.0)]).any()


def test_a_room_of_metres_keeps_millimetre_depth_and_does_not_flicker():
    stage = Stage((200, 150))
    table = cylinder((-1500, 0, 0), (1500, 0, 0), 300.0)
    slab = Structure("table", "table", "steel", table, lambda s: mesh_field(table, 40.0), "table", 60)
    skin = cylinder((-1400, 0, 0), (1400, 0, 0), 303.0)  # three millimetres above the table, all along
    cloth = Structure("cloth", "cloth", "fat", skin, lambda s: mesh_field(skin, 40.0), "cloth", 10)
    camera = Camera((-1750, -2050, 2250), (0, 0, 0), (0, -1, 0), 30.0)
    near, far = camera.clip_range_mm(np.array([[-1500, -303, -303], [1500, 303, 303.0]]))
    assert far / near < 8  # a 24-bit buffer then resolves a hundredth of a millimetre at three metres
    resolution = far**2 / near * 2.0**-24
    assert resolution < 0.01
    assert (stage.draw(together(slab, cloth), camera) == stage.draw(together(cloth, slab), camera)).all()
    stage.close()


def test_what_is_out_of_the_picture_is_known():
    box = np.array([[x, y, z] for x in (-5, 5) for y in (-5, 5) for z in (-5, 5)], float)
    eye = CAMERA.world_from_camera.inverse()
    ways = np.array([(0, 0, 0), (200, 0, 0), (-200, 0, 0), (0, 0, 200), (0, 0, -200), (0, -400, 0)], float)
    boxes = np.stack([eye.points(box + way) for way in ways])
    assert outside(CAMERA, boxes, SIZE).tolist() == [False, True, True, True, True, True]
    balls = {str(way): ball(str(way), tuple(way), 5.0) for way in ways}
    pixels_mm = pixels_in_sight_mm(balls, CAMERA, SIZE)
    assert list(pixels_mm.values())[1:] == [None] * 5
    # the nearest part of the ball in the middle is 5 mm nearer than the middle
    assert pixels_mm[str(ways[0])] == pytest.approx(CAMERA.pixel_mm(SIZE[1]) * (1.0 - 5.0 / CAMERA.distance_mm))


def test_vertex_normals_of_a_sphere_are_radial_and_smoothing_brings_them_nearer():
    mesh = mesh_field(sphere((0.3, 0.2, 0.1), 20.0), 2.0)
    radial = (mesh.points_mm - (0.3, 0.2, 0.1)) / 20.0
    error = [1 - (vertex_normals(mesh, rounds) * radial).sum(axis=1).mean() for rounds in (0, 1, 2)]
    assert error[0] < 0.0015
    assert max(error[1:]) < 0.8 * error[0]


def test_a_light_surface_lies_on_the_dense_one_and_is_lit_as_it_is():
    dense = mesh_field(sphere((3, 2, 1), 20), 0.8)
    normals = vertex_normals(dense)
    light, lit = lightened(dense, normals, len(dense.triangles) // 5)
    assert len(light.triangles) == pytest.approx(len(dense.triangles) / 5, rel=0.02)
    middles = light.points_mm[light.triangles].mean(axis=1)
    for points in (light.points_mm, middles):
        assert np.abs(np.linalg.norm(points - (3, 2, 1), axis=1) - 20).max() < 0.05
    radial = (light.points_mm - (3, 2, 1)) / np.linalg.norm(light.points_mm - (3, 2, 1), axis=1, keepdims=True)
    assert np.rad2deg(np.arccos((lit * radial).sum(axis=1).clip(-1, 1))).max() < 1.5
    assert lightened(dense, normals, 10**6) == (dense, normals)


def test_glass_that_runs_on_in_other_glass_shows_no_wall_within_it(stage):
    left, right = ball("left", (-8.0, 0.0, 0.0)), ball("right", (8.0, 0.0, 0.0))
    look = StageLook(glass=frozenset({"left", "right"}))
    both = together(*(replace(one, runs_on="hollow") for one in (left, right)))
    one_hollow = stage.draw(both, CAMERA, look).astype(int)
    apart = stage.draw(together(left, right), CAMERA, look).astype(int)
    middle, twice = SIZE[0] // 2, 0
    for one, seen in ((left, np.s_[:, : middle - 2]), (right, np.s_[:, middle + 2 :])):
        alone = stage.draw(together(one), CAMERA, look).astype(int)
        assert np.abs(alone[seen] - one_hollow[seen]).max() <= 2
        twice = max(twice, np.abs(alone[seen] - apart[seen]).max())
    assert twice > 20  # the far wall of the one that is laid first


def test_a_hollow_lies_among_the_glass_at_its_mean_distance():
    far, near, own = (
        Surface(Kept([], {}, 0), Frame(), (1.0, 1.0, 1.0, 1.0), runs_on=name) for name in ("hollow", "hollow", "")
    )
    assert inner_to_outer([(0.0, -9.0, far), (0.0, -1.0, near), (0.0, -6.0, own)]) == [own, far, near]
    assert inner_to_outer([(0.0, -9.0, far), (0.0, -1.0, near), (0.0, -4.0, own)]) == [far, near, own]
    assert inner_to_outer([(2.0, -9.0, far), (0.0, -1.0, near), (1.0, -6.0, own)]) == [near, own, far]
    assert one_panes([own, far, near, own]) == [[own], [far, near], [own]]
    assert one_panes([own, own]) == [[own], [own]]


def test_what_is_carried_along_keeps_its_few_triangles_and_is_lit_as_the_many_are():
    def pushed(points):
        return points * (1.0, 1.0, 0.6) + (0.0, 0.02, 0.0) * points[:, 2:] ** 2

    ball = mesh_field(sphere((3, 2, 1), 20), 0.8)
    before = Wanted(("ball",), lambda: ball, rounds=1, triangles_per_mm2=0.5)
    after = replace(
        before, key=("pushed",), make=lambda: ball.with_points(pushed(ball.points_mm)), like=before, carried=pushed
    )
    (first, _), (second, lit) = before.made(), after.made()
    assert len(first.triangles) == round(0.5 * ball.area_mm2)
    assert np.array_equal(first.triangles, second.triangles)
    np.testing.assert_allclose(second.points_mm, pushed(first.points_mm))
    alone, normals = replace(after, like=None, carried=None, triangles_per_mm2=0.0).made()
    near = cKDTree(alone.points_mm).query(second.points_mm)[1]
    away = np.rad2deg(np.arccos((lit * normals[near]).sum(axis=1).clip(-1, 1)))
    assert away.mean() < 1.5  # the nearest of the many stands a little aside
    assert away.max() < 6.0


@pytest.mark.parametrize("fracture", [0.3, 1.0])
def test_a_broken_bone_is_drawn_with_as_few_triangles_as_a_whole_one_and_off_by_less_than_a_pixel(fracture):
    import pyvista as pv

    body = patient()
    amount = body.amount(fracture, 1.0, 0.0)
    whole, broken = body.treated_bone(0.0), body.treated_bone(amount)
    stage, camera = Stage(SIZE), camera_from("behind", (0, 0, 0), 500.0, 20.0)
    wanted = [
        stage._wanted(bone, pixels_in_sight_mm({"": bone}, camera, stage.size_px)[""]) for bone in (whole, broken)
    ]
    (light, _), (carried, _) = (w.made() for w in wanted)
    assert len(light.triangles) == len(carried.triangles)
    dense = broken.mesh(wanted[1].key[1])
    assert len(carried.triangles) < 0.6 * len(dense.triangles)
    pixel_mm = camera.pixel_mm(SIZE[1])
    off = np.abs(pv.PolyData(dense.points_mm).compute_implicit_distance(carried.polydata())["implicit_distance"])
    assert off.mean() < 0.1 * pixel_mm
    assert np.percentile(off, 99) < 0.4 * pixel_mm
    stage.close()


@pytest.mark.parametrize("level", ["T10", "L3"])
@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_bones_are_off_by_less_than_a_pixel_where_few_triangles_draw_them(level, spacing_mm):
    import pyvista as pv

    dense = carved_mesh(level, spacing_mm)
    pixel_mm = spacing_mm / _SPACING_PX
    light, _ = lightened(dense, vertex_normals(dense), round(_TRIANGLES / spacing_mm * dense.area_mm2))
    assert len(light.triangles) < 0.6 * len(dense.triangles)
    off = np.abs(pv.PolyData(dense.points_mm).compute_implicit_distance(light.polydata())["implicit_distance"])
    assert off.mean() < 0.1 * pixel_mm
    assert np.percentile(off, 99) < 0.35 * pixel_mm
    assert off.max() < 2 / 3 * pixel_mm


def test_the_kernel_lies_in_the_unit_disc_and_is_balanced():
    offsets = spiral(14)
    assert np.linalg.norm(offsets, axis=1).max() <= 1.0
    assert np.linalg.norm(offsets.mean(axis=0)) < 0.1


DRAWN = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_stage import *
stage = Stage(SIZE)
scene = together(ball(role="disc"), ball("b", (18, -20, 6), 9.0), ball("c", (-20, -25, -9), 5.0, "steel"))
look = StageLook(glass=frozenset({"b"}), cut=plane((0, 4, 0), 20.0))
print(hashlib.sha256(stage.draw(scene, CAMERA, look).tobytes()).hexdigest())
"""


def test_a_picture_is_the_same_to_the_byte_also_in_another_process(stage):
    scene = together(ball(role="disc"), ball("b", (18, -20, 6), 9.0), ball("c", (-20, -25, -9), 5.0, "steel"))
    look = StageLook(glass=frozenset({"b"}), cut=plane((0, 4, 0), 20.0))
    here = hashlib.sha256(stage.draw(scene, CAMERA, look).tobytes()).hexdigest()
    fresh = Stage(SIZE)
    assert hashlib.sha256(fresh.draw(scene, CAMERA, look).tobytes()).hexdigest() == here
    fresh.close()
    there = subprocess.run(
        [sys.executable, "-c", DRAWN, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert there.stdout.strip() == here


def test_no_opengl_is_a_fault_of_the_machine_that_names_the_remedy(monkeypatch):
    import moderngl

    def broken(**_):
        raise Exception("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(moderngl, "create_context", broken)
    with pytest.raises(FaultError, match=r"off-screen OpenGL: libEGL.so.1: cannot open .*; spineviz doctor"):
        _context.__wrapped__()


@pytest.mark.parametrize("size", [(8, 100), (100, 10_000)])
def test_a_silly_size_is_refused(size):
    with pytest.raises(ValueError, match="size_px must be 16 to 8192 a side"):
        Stage(size)


def test_supersample_is_one_of_three():
    with pytest.raises(ValueError, match=r"supersample must be 1, 1\.5 or 2, got 3"):
        Stage(SIZE, supersample=3)


def test_project_before_the_first_picture_is_refused():
    with pytest.raises(ValueError, match="nothing has been drawn yet"):
        Stage(SIZE).project([(0, 0, 0)])


@pytest.mark.parametrize(("supersample", "most"), [(1, 0.30), (1.5, 0.14), (2, 0.14)])
def test_an_edge_covers_of_each_pixel_what_is_covered_of_it(supersample, most):
    """Against the share of each pixel that lies within the projected sphere, counted on 16 x 16 places."""
    stage = Stage(SIZE, supersample=supersample, clear=True)
    alpha = stage.draw(together(ball(radius_mm=30.0)), CAMERA)[:, :, 3] / 255.0
    stage.close()
    radius = np.sqrt(silhouette_px(CAMERA, 30.0, SIZE) / np.pi)
    y, x = (np.indices((16 * SIZE[1], 16 * SIZE[0])) + 0.5) / 16.0
    inside = np.hypot(x - SIZE[0] / 2, y - SIZE[1] / 2) < radius
    covered = inside.reshape(SIZE[1], 16, SIZE[0], 16).mean((1, 3))
    edge = (covered > 0.0) & (covered < 1.0)
    assert np.abs(alpha - covered)[edge].mean() < most


def tube(name: str, radius_mm: float, role: str, reach_mm: float = 30.0) -> Structure:
    """A rod along x, that far to either side."""
    field = cylinder((-reach_mm, 0, 0), (reach_mm, 0, 0), radius_mm)
    key = f"rod-{radius_mm}-{reach_mm}"
    mesh = mesh_field(field, radius_mm / 4)
    return Structure(name, role, "blood", field, lambda _: mesh, key, RANKS.get(role, 42))


def apart(picture: np.ndarray, role: str, row: int = SIZE[1] // 2) -> float:
    """How far the middle of a row is from the hue of `role`, as the angle between the two colours, degrees."""
    one, two = picture[row, SIZE[0] // 2].astype(float), np.array(theme().rgb8(role), float)
    return float(np.rad2deg(np.arccos(one @ two / np.linalg.norm(one) / np.linalg.norm(two))))


@pytest.mark.parametrize("role", ["contrast", "drug", "catheter"])
def test_what_lies_in_a_narrow_vessel_keeps_its_colour_behind_its_glass(stage, role):
    artery, content = tube("artery", 2.0, "artery"), tube("content", 1.7, role)
    glass = StageLook(glass=frozenset({"artery"}))
    seen = stage.draw(together(artery, content), CAMERA, glass)
    assert apart(seen, role) < 4.0
    assert apart(stage.draw(together(artery), CAMERA, glass), role) > 12.0


@pytest.mark.parametrize("lit", [frozenset(), frozenset({"catheter"})])
@pytest.mark.parametrize("distance_mm", [300.0, 1500.0])
def test_a_wire_in_a_catheter_stays_hidden_in_it(stage, distance_mm, lit):
    catheter, wire = tube("catheter", 0.83, "catheter"), tube("wire", 0.45, "wire", 20.0)
    camera, look = camera_from("behind", (0, 0, 0), distance_mm, 20.0), StageLook(highlight=lit)
    alone, both = (stage.draw(together(*parts), camera, look) for parts in ((catheter,), (catheter, wire)))
    assert np.abs(alone.astype(int) - both).max() < 8


@pytest.mark.parametrize("role", ["catheter", "wire"])
def test_a_highlighted_catheter_or_wire_is_seen_from_afar_with_its_outline(stage, role):
    camera = camera_from("behind", (0, 0, 0), 1500.0, 20.0)
    behind = ball("bone", (0, 60, 0), 40.0)
    rows = {}
    for lit in (frozenset(), frozenset({"x"})):
        picture = stage.draw(together(behind, tube("x", 0.5, role)), camera, StageLook(highlight=lit))
        rows[bool(lit)] = picture[:, SIZE[0] // 2].astype(int).sum(axis=1)
    core, around = (slice(SIZE[1] // 2 - reach, SIZE[1] // 2 + reach) for reach in (2, 6))
    assert rows[True][core].max() > rows[False][core].max() + 80
    assert rows[True][around].min() < 0.6 * rows[True][SIZE[1] // 2 - 9]  # the bone above it


def test_the_glass_of_a_vessel_is_stained_and_that_of_bone_is_not(stage):
    look = StageLook(glass=frozenset({"ball"}))
    for role, least, most in (("artery", 30, 255), ("vein", 12, 255), ("bone", -9, 9)):
        picture = stage.draw(together(ball(role=role)), CAMERA, look).astype(int)
        red, _, blue = picture[changed(stage, picture)].mean(0) - stage.draw({}, CAMERA).astype(int).mean((0, 1))
        assert least < (red - blue if role == "artery" else blue - red) < most, role


def test_the_body_is_hardly_more_than_its_silhouette(stage):
    """Clearer in the middle than a pane of skin, and as bright at its rim."""
    empty = stage.draw({}, CAMERA).astype(int)
    added = {}
    for name in ("skin", "body"):
        picture = stage.draw(together(ball(name, role="skin")), CAMERA, StageLook(glass=frozenset({name})))
        row = (picture.astype(int) - empty).mean(axis=2)[SIZE[1] // 2]
        added[name] = row[SIZE[0] // 2], row.max()
    assert added["body"][0] < 0.5 * added["skin"][0]
    assert added["body"][1] > 0.8 * added["skin"][1]
    assert added["body"][1] > 15 * added["body"][0]


@pytest.mark.parametrize("glass", [frozenset(), frozenset({"artery"})])
def test_a_highlighted_artery_is_broader_and_brighter_solid_and_as_glass(stage, glass):
    artery = together(tube("artery", 0.6, "artery"))
    plain = stage.draw(artery, CAMERA, StageLook(glass=glass))
    lit = stage.draw(artery, CAMERA, StageLook(glass=glass, highlight=frozenset({"artery"})))
    assert lit[SIZE[1] // 2].astype(int).sum() > 1.15 * plain[SIZE[1] // 2].astype(int).sum()
    assert changed(stage, lit).sum() > 1.2 * changed(stage, plain).sum()


@pytest.mark.parametrize(
    "look",
    [
        StageLook(),
        StageLook(glass=frozenset({"bone"})),
        StageLook(cut=Frame(), whole=frozenset({"disc"})),
        StageLook(opacity={"bone": 0.3}, highlight=frozenset({"artery", "wire"}), dim=frozenset({"disc"})),
        StageLook(glassiness={"bone": 0.4}, fade={"disc": 0.7}),
        StageLook(hidden=frozenset({"bone", "disc", "artery", "wire", "cavity"})),
    ],
    ids=["solid", "glass", "cut", "thin", "turning", "empty"],
)
@pytest.mark.parametrize("supersample", [1, 1.5, 2])
def test_a_clear_stage_over_the_ground_is_the_stage(look, supersample):
    shown = together(
        ball("bone"), ball("disc", (14, -12, 10), 11.0, "disc"), ball("artery", (-24, -10, 0), 4.0, "artery"),
        ball("wire", (-24, -10, 12), 1.0, "wire"), ball("cavity", (-4, -12, -8), 7.0, "cavity"),
    )  # fmt: skip
    opaque, clear = Stage(SIZE, supersample=supersample), Stage(SIZE, supersample=supersample, clear=True)
    for camera in (CAMERA, camera_from("left", (5, 0, 3), 120.0, 25.0)):
        picture, layer = opaque.draw(shown, camera, look), clear.draw(shown, camera, look)
        assert layer.shape == (*picture.shape[:2], 4)
        assert np.array_equal(opaque.depth_mm, clear.depth_mm)
        assert (layer[:, :, :3] <= layer[:, :, 3:]).all()
        over = layer[:, :, :3] + (1 - layer[:, :, 3:] / 255) * 255 * ground(SIZE, theme("dark"))
        assert np.abs(over - picture).max() <= 2.0
        assert (layer[0, 0] == 0).all()
    inside = layer[SIZE[1] // 2, SIZE[0] // 2, 3]
    assert (inside == 0) if "bone" in look.hidden else (inside == 255) if look == StageLook() else True
    if "bone" in look.glass or look.opacity:
        assert ((layer[:, :, 3] > 20) & (layer[:, :, 3] < 235)).mean() > 0.1
    opaque.close()
    clear.close()


@pytest.mark.parametrize("role", ["bone", "tumour", "roots", "steel"])
def test_light_at_the_corners_of_small_triangles_is_that_of_every_pixel(monkeypatch, role):
    shown, pictures = together(ball("ball", (0, 0, 0), 25.0, role)), []
    for facet_px in (0.0, 15.0):
        monkeypatch.setattr(spineviz.views.stage, "_FACET_PX", facet_px)
        stage = Stage(SIZE)
        pictures.append(stage.draw(shown, CAMERA).astype(int))
        stage.close()
    every_pixel, corners = pictures
    away = np.abs(every_pixel - corners).max(axis=2)
    assert away.max() > 0  # they were drawn in two ways
    assert (away > 8).mean() < 0.02


KINDS = ("bone", "disc", "roots", "steel", "tumour", "catheter", "cavity")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1))
def test_a_picture_does_not_depend_on_those_before_it(stage, seed):
    """Where all is another, and where the eye rests and something comes, goes, moves, fades or turns to glass."""
    rng, camera = np.random.default_rng(seed), CAMERA
    cut = Frame(np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))
    parts: dict[str, Structure] = {}
    shares: dict[str, dict[str, float]] = {"fade": {}, "glassiness": {}}
    look = StageLook()
    for _ in range(9):
        name, does = f"part-{rng.integers(0, 5)}", rng.choice(["come", "go", "move", "share", "glass", "cut", "turn"])
        if does == "come" or not parts:
            parts |= {f"part-{i}": some_part(f"part-{i}", rng) for i in rng.integers(0, 5, 3)}
        elif does == "go":
            parts.pop(name, None)
        elif does == "move" and name in parts:
            step = translation(rng.uniform(-3, 3, 3))
            pose = step @ parts[name].world_from_local
            parts[name] = replace(parts[name], world_from_local=pose, field=moved(parts[name].field, step))
        elif does == "share":
            shares[str(rng.choice(list(shares)))][name] = float(rng.choice([0.0, 0.3, 0.8, 1.0]))
        elif does == "turn":
            camera = CAMERA if rng.random() < 0.5 else camera_from("left", (5, 0, 3), 120.0, 25.0)
        else:
            glass = look.glass ^ {name} if does == "glass" else look.glass
            look = StageLook(glass=glass, cut=cut if does == "cut" and look.cut is None else None)
        now, fresh = replace(look, **{key: dict(value) for key, value in shares.items()}), Stage(SIZE)
        assert np.array_equal(stage.draw(parts, camera, now), fresh.draw(parts, camera, now)), does
        assert np.array_equal(stage.depth_mm, fresh.depth_mm)
        fresh.close()


def some_part(name: str, rng: np.random.Generator) -> Structure:
    role = str(rng.choice(KINDS))
    if rng.random() < 0.5:
        rod, place = tube(name, float(rng.choice([0.5, 2.0, 4.0])), role), translation(rng.uniform(-25, 25, 3))
        return replace(rod, world_from_local=place, field=moved(rod.field, place))
    return ball(name, tuple(rng.uniform(-35, 35, 3)), float(rng.choice([2.0, 8.0, 20.0])), role)


def test_a_cut_takes_away_one_side_and_nothing_of_the_other(stage):
    beside = Frame(np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]))  # what lies towards +x goes
    stage.draw(together(ball()), CAMERA)
    whole = stage.depth_mm
    stage.draw(together(ball()), CAMERA, StageLook(cut=beside))
    place = CAMERA.project(np.array([[0.0, -20.0, 0.0]]), SIZE)[0][0, 0] / 2
    goes_right = CAMERA.project(np.array([[10.0, -20.0, 0.0]]), SIZE)[0][0, 0] / 2 > place
    columns = np.arange(whole.shape[1])
    kept = columns < place - 2 if goes_right else columns > place + 2
    gone = columns > place + 2 if goes_right else columns < place - 2
    assert np.array_equal(stage.depth_mm[:, kept], whole[:, kept])
    assert np.isfinite(whole[:, gone]).any()
    assert not np.isfinite(stage.depth_mm[:, gone]).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_plane_parts_the_triangles_of_the_blocks_that_it_passes_through(seed):
    """Those wholly behind it, those that it splits, and no others; each block keeps its own."""
    rng, mesh = np.random.default_rng(seed), ball_mesh(20.0, 1.0)
    kept = store().mesh(Wanted(("a ball",), lambda: mesh))
    normal, offset_mm = rng.normal(size=3), float(rng.uniform(-21.0, 21.0))
    normal /= np.linalg.norm(normal)
    corner = kept.corners_mm @ normal - offset_mm
    crossed = (corner.min(axis=1) < 0.0) & (corner.max(axis=1) > 0.0)
    ahead = mesh.points_mm.astype(np.float32) @ normal.astype(np.float32) > np.float32(offset_mm)

    def of_blocks(one: Kept) -> list[set[tuple[int, ...]]]:
        triangles = np.frombuffer(one.parts[1].read(), np.uint32).reshape(-1, 3) if one.parts[1] else np.zeros((0, 3))
        return [set(map(tuple, triangles[a // 3 : b // 3].tolist())) for a, b in pairwise(one.blocks.tolist())]

    behind, split = map(of_blocks, store().halves(kept, normal, offset_mm, crossed))
    for block, (own, here, parted) in enumerate(zip(of_blocks(kept), behind, split, strict=True)):
        count = {triangle: int(ahead[list(triangle)].sum()) for triangle in own}
        assert here == {triangle for triangle in own if crossed[block] and count[triangle] == 0}
        assert parted == {triangle for triangle in own if crossed[block] and 0 < count[triangle] < 3}


def test_no_dark_line_runs_between_the_face_of_a_cut_and_the_surface_round_it(stage):
    """The face is as fine as the pixels, the surface is not: where it lies further out its inner side shows."""
    above, level = camera_from("behind above", (0, 0, 0), 300.0, 20.0), Frame(np.eye(3), np.zeros(3))
    coarse = replace(ball(), mesh=lambda _: ball_mesh(20.8, 1.0), key="coarse ball")
    picture = stage.draw(together(coarse), above, StageLook(cut=level)).max(axis=2)
    turn = np.deg2rad(np.linspace(20.0, 140.0, 400))  # of the rim what is away from the eye
    rim = 20.4 * np.stack([np.cos(turn), np.sin(turn), 0.0 * turn], axis=1)
    column, row = np.round(stage.project(rim)[0]).astype(int).T
    assert picture[row, column].min() > 110
