"""Drawn planes: sides, areas, who wins, what is kept, the same struts on the cut face, and the simulated scan."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.geometry.fields import Field, capsule, sphere
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.operators import difference, moved
from spineviz.views import section as module
from spineviz.views.marks import bar_length_mm, edge_letters, seen_from
from spineviz.views.scan import sagittal_scan, signal
from spineviz.views.section import SectionMarks, draw_section, material_texture, plane_frame
from spineviz.views.theme import theme
from spineviz.views.trabeculae import stippled_share

KEYS = count()
BARE = SectionMarks(letters=False, scale_bar=False)
ROLE_RANK = {"roots": "root"}


def part(name, field, role="bone", rank=None, pose=None, core=None, material=None):
    pose = pose or Frame()
    rank = RANKS[ROLE_RANK.get(role, role)] if rank is None else rank
    inner = moved(core, pose) if core is not None else None
    return Structure(
        name, role, material or role, moved(field, pose), None, f"{name}-{next(KEYS)}", rank, pose, inner,
        "trabecular" if core is not None else None,
    )  # fmt: skip


def together(*parts):
    return {p.name: p for p in parts}


def near(picture, role, tolerance=60):
    """Which pixels of `picture` are about the colour of `role`."""
    colour = np.asarray(theme("dark").colour(role)) * 255
    return np.abs(picture.astype(float) - colour).sum(axis=2) < tolerance


# --- sides ---


@pytest.mark.parametrize(
    ("kind", "edges"),
    [
        ("axial", {"left": "L", "right": "R", "top": "P", "bottom": "A"}),
        ("sagittal", {"left": "A", "right": "P", "top": "H", "bottom": "F"}),
        ("coronal", {"left": "L", "right": "R", "top": "H", "bottom": "F"}),
    ],
)
def test_planes_lie_as_the_films_show_them(kind, edges):
    frame = plane_frame(kind, [1, 2, 3])
    assert edge_letters(frame) == edges
    assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    # and the drawing obeys: a thing on each side appears there
    reach = {"L": [-1, 0, 0], "R": [1, 0, 0], "A": [0, 1, 0], "P": [0, -1, 0], "H": [0, 0, 1], "F": [0, 0, -1]}
    for edge, letter in edges.items():
        centre = np.array([1, 2, 3]) + 20 * np.array(reach[letter])
        picture = draw_section(together(part("x", sphere(centre, 5), "steel")), frame, 40, (80, 80), marks=BARE)
        row, column = np.nonzero(near(picture, "steel", 150))
        place = {"left": -column.mean(), "right": column.mean(), "top": -row.mean(), "bottom": row.mean()}[edge]
        assert place == pytest.approx(59.5 if edge in ("right", "bottom") else -19.5, abs=1.5)


def test_where_the_eye_stands_is_said():
    assert seen_from(plane_frame("coronal")) == "seen from behind"
    assert seen_from(plane_frame("sagittal")) == "seen from the left"
    turned = rotation_about([0, 0, 1], 30) @ plane_frame("coronal")
    assert seen_from(turned) == "seen from behind, right"


def test_an_oblique_edge_has_no_letter():
    letters = edge_letters(rotation_about([0, 0, 1], 45) @ plane_frame("coronal"))
    assert letters["left"] == letters["right"] == ""
    assert letters["top"] == "H"


# --- what is drawn ---


def test_a_ball_is_drawn_with_the_area_of_its_circle():
    ball = together(part("ball", sphere([4, 0, 0], 15), "bone"))
    side = np.arange(-24.85, 25, 0.3)
    uu, vv = np.meshgrid(side, side)
    rgba = material_texture(ball, np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)]), 0.3)
    half = np.abs(rgba[:, 3] - 0.5) < 0.3  # what is half covered has the whole colour
    assert np.allclose(rgba[half, :3], theme("dark").colour("bone"), atol=0.01)
    assert rgba[:, 3].sum() * 0.3**2 == pytest.approx(np.pi * 15**2, rel=0.002)
    drawn = draw_section(ball, Frame(), 30.0, (240, 200), marks=BARE)
    assert near(drawn, "bone", 200).sum() * 0.3**2 == pytest.approx(np.pi * 15**2, rel=0.01)


def test_the_higher_rank_is_drawn_over_the_lower():
    parts = together(
        part("a", sphere([0, 0, 0], 20), "bone", core=sphere([0, 0, 0], 18)),
        part("b", sphere([0, 0, 0], 10), "tumour"),
        part("c", sphere([0, 0, 0], 5), "steel"),
    )
    # from the middle outwards: steel, tumour, marrow with struts, shell, nothing
    rgba = material_texture(parts, np.array([[0.0, 0, 0], [7.5, 0, 0], [19.4, 0, 0], [25.0, 0, 0]]))
    look = theme("dark")
    assert np.abs(rgba[0, :3] - look.colour("steel")).max() < 0.35
    assert rgba[1, 2] > 1.3 * rgba[1, 1]
    assert np.allclose(rgba[2, :3], look.colour("bone"), atol=0.02)
    assert rgba[:, 3].tolist() == [1.0, 1.0, 1.0, 0.0]
    shuffled = dict(reversed(list(parts.items())))
    assert np.array_equal(draw_section(parts, Frame(), 30, (90, 90)), draw_section(shuffled, Frame(), 30, (90, 90)))


def test_the_shell_is_never_thinner_than_a_pixel_and_a_half():
    bone = together(part("a", sphere([0, 0, 0], 20), core=sphere([0, 0, 0], 19.9)))
    picture = draw_section(bone, Frame(), 40, (160, 160), marks=BARE)
    row = near(picture, "bone", 40)[80]
    left = row[: 80 - 20]
    assert 1 <= left.sum() <= 4


def test_section_and_cut_face_show_the_same_material():
    bone = part("a", sphere([3, 0, 0], 22), core=sphere([3, 0, 0], 20.5))
    parts = together(bone, part("b", sphere([-8, 3, 0], 7), "tumour"), part("c", sphere([12, -3, 0], 6), "cement"))
    size, half = (110, 90), 22.5
    px = 2 * half / 90
    plane = plane_frame("axial", [1, 2, 0.5])
    drawn = draw_section(parts, plane, half, size, marks=BARE)
    u = (np.arange(110) + 0.5 - 55) * px
    v = (45 - np.arange(90) - 0.5) * px
    uu, vv = np.meshgrid(u, v)
    points = plane.points(np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)]))
    rgba = material_texture(parts, points, px)
    panel = np.asarray(theme("dark").colour("panel"), np.float32)
    face = rgba[:, :3] * rgba[:, 3:] + panel * (1 - rgba[:, 3:])
    solid = (rgba[:, 3] > 0.99).reshape(90, 110)
    assert np.abs(drawn - 255 * face.reshape(90, 110, 3))[solid].max() < 2.0


def test_moving_world_and_plane_together_changes_nothing():
    def scene(pose):
        return together(
            part("a", sphere([0, 0, 0], 20), pose=pose, core=sphere([0, 0, 0], 18)),
            part("b", capsule([0, -30, 0], [0, 2, 0], 1.5), "steel", pose=pose),
        )

    pose = translation([12, 34, -5]) @ rotation_about([1, 1, 2], 70)
    plane = plane_frame("axial")
    here = draw_section(scene(Frame()), plane, 30, (120, 120), marks=BARE).astype(int)
    there = draw_section(scene(pose), pose @ plane, 30, (120, 120), marks=BARE).astype(int)
    assert np.abs(here - there).max() <= 3


def test_smooth_shapes_keep_their_outline_at_high_resolution():
    ball = together(part("a", sphere([0, 0, 0], 15), "tumour"))
    picture = draw_section(ball, Frame(), 20, (640, 640), marks=BARE)
    px = 40 / 640
    row, column = np.nonzero(~near(picture, "panel", 30))
    radius = np.hypot(row - 319.5, column - 319.5).max() * px
    assert radius == pytest.approx(15 + 0.2, abs=0.12)


def test_a_tube_is_not_full_of_bone():
    wall = difference(capsule([0, -60, 0], [0, 0, 0], 1.5), capsule([0, -70, 0], [0, 10, 0], 1.15))
    bone = part("a", sphere([0, 0, 0], 20), core=sphere([0, 0, 0], 18))
    tube = part("n", wall, "steel")
    mass = part("m", sphere([0, 6, 0], 5), "cement")
    px = 30 / 150
    for parts, role in ((together(bone, tube), "outline"), (together(bone, tube, mass), "cement")):
        picture = draw_section(parts, plane_frame("axial"), 15, (150, 150), marks=BARE)
        lumen = picture[75 - round(8 / px) : 75 - round(3 / px), 75]
        assert np.abs(lumen / 255 - np.array(theme("dark").colour(role))).max() < 0.1
    solid = part("n", capsule([0, -60, 0], [0, 0, 0], 1.5), "steel")
    picture = draw_section(together(bone, solid), plane_frame("axial"), 15, (150, 150), marks=BARE)
    assert (picture[75 - round(8 / px) : 75 - round(3 / px), 75].mean(axis=1) > 180).all()


def test_fat_fills_the_canal_round_the_sac_and_nothing_else():
    from spineviz.anatomy.vertebra import vertebra

    bone = vertebra("L2")
    centre = bone.landmarks["canal-centre"]
    sac = capsule(centre - [0, 0, 40], centre + [0, 0, 40], 5.0)
    shell = Structure("L2", "bone", "cortical", bone.fast, None, "bone-L2", RANKS["bone"], Frame(), bone.fast_core, "x")
    parts = together(shell, part("dura", sac, "dura"))
    fat, panel = (np.array(theme("dark").colour(n)) for n in ("fat", "panel"))
    beside = centre + [7.0, 0, 0]
    rgba = material_texture(parts, np.array([beside, centre - [0, 60.0, 0], centre + [0, 0, 70.0]]), 0.3)
    assert np.allclose(rgba[0, :3], fat, atol=0.02)
    assert rgba[:, 3].tolist() == [1.0, 0.0, 0.0]
    picture = draw_section(parts, plane_frame("axial", centre), 22, (160, 160), marks=BARE) / 255
    # no dark gap is left between sac and bone: every point of the canal is coloured
    row, column = np.indices((160, 160))
    px = 44 / 160
    flat = np.column_stack([(column.ravel() - 79.5) * px, (79.5 - row.ravel()) * px, np.zeros(row.size)])
    inside = (bone.canal(plane_frame("axial", centre).points(flat)) < -0.3).reshape(160, 160)
    assert inside.sum() > 2000
    assert (np.abs(picture - panel).max(axis=2)[inside] > 0.05).mean() > 0.99


# --- bone that moved, was packed, or is gone ---


def drawn_struts(bone, at, size=160, half=12.0):
    """How light the picture of `bone` is in a plane through `at`, 0 marrow to 1 strut."""
    picture = draw_section(together(bone), plane_frame("sagittal", at), half, (size, size), marks=BARE) / 255
    marrow, strut = (np.array(theme("dark").colour(n)) for n in ("marrow", "trabecula"))
    return np.clip((picture - marrow) @ (strut - marrow) / ((strut - marrow) @ (strut - marrow)), 0, 1)


def bone_of(name="b", radius=30.0, **more):
    return replace(
        part(name, sphere([0, 0, 0], radius), core=sphere([0, 0, 0], radius - 1.0), material="cortical"), **more
    )


def test_struts_are_carried_along():
    shift = np.array([0.0, 0.0, 5.0])
    still = drawn_struts(bone_of(core_material="trabecular"), (0, 0, 0))
    there = drawn_struts(
        bone_of(
            core_material="trabecular", healthy=lambda p: p - shift, field=sphere(shift, 30.0), core=sphere(shift, 29.0)
        ),
        shift,
    )
    assert np.abs(still - there).max() < 0.03
    asked = material_texture(
        together(bone_of(core_material="trabecular", healthy=lambda p: p * [1, 1, 0.5])),
        np.array([[3.0, 4.0, 8.0]]),
        0.2,
    )
    plain = material_texture(together(bone_of(core_material="trabecular")), np.array([[3.0, 4.0, 4.0]]), 0.2)
    assert np.allclose(asked, plain, atol=1e-6)


def test_struts_crowd_where_bone_was_crushed():
    def crossings(light):
        return int(((light[1:] > 0.5) & (light[:-1] <= 0.5)).sum())  # down the picture, along z

    usual = drawn_struts(bone_of(core_material="trabecular"), (0, 0, 0))
    crushed = drawn_struts(bone_of(core_material="trabecular", healthy=lambda p: p * [1, 1, 2.0]), (0, 0, 0))
    assert crossings(crushed) > 1.5 * crossings(usual)
    with_share = drawn_struts(
        bone_of(
            core_material="trabecular", healthy=lambda p: p * [1, 1, 2.0], bone_share=lambda p: np.full(len(p), 0.16)
        ),
        (0, 0, 0),
    )
    assert with_share.mean() > 1.3 * usual.mean()  # bone is crushed, not lost


def test_more_bone_is_drawn_as_more_strut_and_the_usual_share_as_usual():
    plain = drawn_struts(bone_of(core_material="trabecular"), (0, 0, 0))
    means = []
    for share in (0.05, 0.08, 0.12, 0.2, 0.3):
        told = bone_of(core_material="trabecular", bone_share=lambda p, v=share: np.full(len(p), v))
        light = drawn_struts(told, (0, 0, 0))
        means.append(light.mean())
        if share == 0.08:
            assert np.abs(light - plain).max() < 0.01
    assert means == sorted(means)
    assert means[-1] > 2 * means[1]
    assert means[-1] < 0.97  # marrow is still seen


def test_the_rim_goes_on_with_the_struts_of_the_bone():
    share = {"bone_share": lambda p: np.full(len(p), 0.2)}
    bone = bone_of(core_material="trabecular", **share)
    rim = replace(part("r", sphere([0, 0, 0], 8.0), "rim", material="trabecular"), rank=RANKS["rim"], **share)
    points = np.random.default_rng(5).uniform(-5, 5, (4000, 3))
    with_rim, alone = (material_texture(together(*parts), points, 0.2) for parts in ((bone, rim), (bone,)))
    assert np.abs(with_rim - alone).max() < 0.02


def test_voids_are_dark_with_a_bright_edge_and_balloons_have_a_membrane():
    look = theme("dark")
    for role, middle_of in (("cavity", "cavity"), ("channel", "cavity"), ("balloon", "balloon")):
        hole = replace(part("h", sphere([0, 0, 0], 8.0), role, material="blood"), rank=RANKS[role])
        picture = draw_section(together(bone_of(), hole), plane_frame("axial"), 14, (280, 280), marks=BARE) / 255
        middle, wall = picture[140, 140], picture[140, 140 + round(7.8 / 0.1)]
        assert np.argmax(middle) == np.argmax(look.colour(middle_of)) == 0
        assert middle.sum() <= sum(look.colour(middle_of)) + 0.02
        assert wall.sum() > middle.sum() + 0.3  # the edge
        assert picture[140, 140 + round(8.0 / 0.1)].sum() < 0.9  # the dark line outside it


def test_cement_fills_a_cavity_and_markers_lie_on_top():
    void = replace(part("v", sphere([0, 0, 0], 8.0), "cavity"), rank=RANKS["cavity"])
    cement = replace(part("c", sphere([0, 3, 0], 6.0), "cement"), rank=RANKS["cement"])
    marker = replace(part("m", sphere([0, 3, 0], 1.0), "marker"), rank=RANKS["marker"])
    rgba = material_texture(
        together(bone_of(), void, cement, marker), np.array([[0.0, 3, 0], [3, 3, 0], [0, -6, 0]]), 0.2
    )
    assert rgba[0, :3].min() > 0.5
    assert np.argmax(rgba[1, :3]) == 1
    assert rgba[2, 0] > 2 * rgba[2, 1:3].max()


def test_what_is_far_from_a_raster_is_not_asked_and_makes_no_difference():
    rod = capsule([-8, 0, 0], [8, 5, 0], 3.0)
    asked = []
    counted = Field(lambda p: (asked.append(len(p)), rod.distance(p))[1], np.array([[-60.0] * 3, [60.0] * 3]))
    thing = Structure("x", "disc", "disc", counted, None, "sparse", RANKS["disc"], Frame(), counted)
    sampled = module._sample(thing, Frame(), (300, 260), 0.25)
    u, v = module._pixel_axes((300, 260), 0.25)
    full = rod.distance(module._plane_points(Frame(), u, v)).reshape(260, 300)
    near = np.abs(full) < 1.0
    window = sampled.distance_mm[near[sampled.top :, sampled.left :][: sampled.distance_mm.shape[0]]]
    assert np.abs(window - full[near]).max() < 0.02
    assert sampled.distance_mm.min() == pytest.approx(full.min(), abs=0.1)  # a ridge, rounded by the raster
    assert sum(asked) < 0.5 * 2 * (75 / 0.45) * (65 / 0.45)


# --- what is kept ---


def test_only_what_moves_is_asked_again():
    asked = []
    ball = sphere([0, 0, 0], 20)
    counted = Field(lambda p: (asked.append(len(p)), ball.distance(p))[1], ball.bounds_mm)
    still = Structure("still", "bone", "cortical", counted, None, "still-section", RANKS["bone"])

    def frame(way):
        return together(still, part("n", capsule([0, -40, 0], [0, way, 0], 1.5), "steel"))

    draw_section(frame(0.0), Frame(), 30, (120, 100))
    assert asked
    asked.clear()
    draw_section(frame(1.0), Frame(), 30, (120, 100))
    assert not asked


def test_a_drawing_does_not_depend_on_what_was_drawn_before():
    bone = part("a", sphere([0, 0, 0], 20), core=sphere([0, 0, 0], 18))
    cement, steel = part("b", sphere([3, 0, 0], 6), "cement"), part("c", capsule([0, -40, 0], [0, 3, 0], 2), "steel")
    for parts in (together(bone), together(bone, steel), together(bone, cement, steel)):
        draw_section(parts, Frame(), 30, (100, 100))
    warm = draw_section(together(bone, steel), Frame(), 30, (100, 100))
    module._sampled.clear()
    module._grounds.clear()
    assert np.array_equal(warm, draw_section(together(bone, steel), Frame(), 30, (100, 100)))


# --- marks ---


def test_the_scale_bar_is_as_long_as_it_says():
    size, half = (300, 200), 50.0
    without = draw_section({}, plane_frame("axial"), half, size, marks=BARE)
    marked = draw_section({}, plane_frame("axial"), half, size, marks=SectionMarks(letters=False))
    assert (without == np.round(np.array(theme("dark").colour("panel")) * 255)).all()
    ink = near(marked, "text", 30)
    longest = max(ink[-20:].sum(axis=1))
    assert longest == pytest.approx(bar_length_mm(150.0) * 2.0, abs=1)


@pytest.mark.parametrize(("width", "length"), [(150.0, 20.0), (90.0, 20.0), (60.0, 10.0), (500.0, 100.0), (9.0, 2.0)])
def test_scale_bars_have_round_lengths(width, length):
    assert bar_length_mm(width) == length


def test_letters_and_words_stand_at_the_edges():
    marked = draw_section({}, plane_frame("axial"), 50, (200, 160), marks=SectionMarks(words="through the needles"))
    ink = near(marked, "text", 60)
    assert ink[60:100, :30].any()
    assert ink[60:100, -30:].any()
    assert ink[:30, 85:115].any()
    assert ink[130:, 85:115].any()
    assert ink[130:, 120:].any()


def test_wrong_requests_are_named():
    with pytest.raises(ValueError, match="half_width_mm must be more than 0"):
        draw_section({}, Frame(), 0.0, (80, 80))
    with pytest.raises(ValueError, match=r"'tilted'.*axial, sagittal, coronal"):
        plane_frame("tilted")
    with pytest.raises(ValueError, match=r"shape \(N, 3\)"):
        material_texture({}, np.zeros((4, 2)))


# --- the simulated scan ---


def test_the_scan_shows_marrow_bright_fluid_and_tumour_dark():
    parts = together(
        part("flesh", sphere([0, 0, 0], 90), "muscle", material="muscle"),
        part("body", sphere([0, 20, 0], 20), core=sphere([0, 20, 0], 19), material="cortical"),
        part("tumour", sphere([0, 28, 0], 6), "tumour", material="tumour"),
        part("sac", capsule([0, -15, -60], [0, -15, 60], 8), "dura", material="dura"),
        part("cord", capsule([0, -15, 0], [0, -15, 60], 4), "cord", material="cord"),
    )
    picture = sagittal_scan(parts, (300, 300), 60).astype(float)

    def at(y, z):
        row, column = int(150 - z * 2.5), int(150 - y * 2.5)
        return picture[row - 3 : row + 4, column - 3 : column + 4].mean()

    marrow, tumour, fluid, cord, flesh = at(10, 8), at(28, 0), at(-15, -30), at(-15, 30), at(-40, -30)
    assert fluid < tumour < marrow
    assert fluid < flesh < cord < 1.2 * marrow
    assert signal("cortical") < signal("dura") < signal("muscle") < signal("trabecular") < signal("fat")


def test_the_scan_is_the_same_for_the_same_seed_and_says_that_it_is_simulated():
    parts = together(part("flesh", sphere([0, 0, 0], 90), "muscle", material="muscle"))
    first = sagittal_scan(parts, (200, 240), 60, seed=1)
    assert first.shape == (240, 200)
    assert first.dtype == np.uint8
    assert np.array_equal(first, sagittal_scan(parts, (200, 240), 60, seed=1))
    assert not np.array_equal(first, sagittal_scan(parts, (200, 240), 60, seed=2))
    assert (first[215:235, 120:195] > 230).sum() > 50


# --- vessels and what lies in them ---

ACROSS = plane_frame("axial", (0, 0, 0), "front")
VESSEL = capsule((0, 0, -20), (0, 0, 20), 6.0)


def at(picture, x_mm, y_mm, half_mm=12.0):
    """The colour at a point of a square picture of ACROSS, 0 to 255."""
    size = picture.shape[0]
    px = 2.0 * half_mm / size
    return picture[int(size / 2 - y_mm / px), int(size / 2 - x_mm / px)].astype(int)


def like(colour, role, share=1.0, slack=30):
    return np.abs(colour - share * 255 * np.asarray(theme("dark").colour(role))).max() < slack


def test_a_plane_from_the_front_has_its_sides_where_they_are_seen():
    assert edge_letters(ACROSS) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    structures = together(part("vein", capsule((5, 3, -9), (5, 3, 9), 3.0), "vein", 42))
    row, column = np.nonzero(near(draw_section(structures, ACROSS, 12, (240, 240), marks=BARE), "vein", 130))
    assert column.mean() == pytest.approx(120 - 50, abs=2)  # the patient's right is on screen left
    assert row.mean() == pytest.approx(120 - 30, abs=2)  # and the front is up


@pytest.mark.parametrize("role", ["artery", "vein"])
def test_a_vessel_has_blood_a_paler_wall_and_an_outline(role):
    picture = draw_section(together(part("v", VESSEL, role, 42)), ACROSS, 12, (480, 480), marks=BARE)
    middle, wall, outline = at(picture, 0, 0), at(picture, 0, 5.75), at(picture, 0, 6.12)
    assert like(middle, role, 0.92)
    assert wall.sum() > middle.sum() + 90
    assert outline.max() < 60


def test_vessels_that_run_into_each_other_have_one_outline():
    branch = part("branch", capsule((0, 0, 0), (10, 0, 0), 3.0), "artery", 42)
    trunk = part("trunk", VESSEL, "artery", 42)
    joined = draw_section(together(trunk, branch), ACROSS, 14, (480, 480), marks=BARE)
    row = [at(joined, x, 0.0, 14.0) for x in np.linspace(-5.0, 9.0, 60)]
    assert all(colour[0] > 150 and colour[0] > 2 * colour[1] for colour in row)
    # the order in which they are given does not matter, nor what was drawn before
    again = draw_section(together(branch, trunk), ACROSS, 14, (480, 480), marks=BARE)
    assert (joined == again).all()


def test_a_catheter_is_a_ring_and_a_wire_in_it_a_white_dot_with_a_dark_rim():
    tube, wire = capsule((0, 0, -9), (0, 0, 9), 2.0), capsule((0, 0, -9), (0, 0, 9), 0.5)
    artery = part("v", VESSEL, "artery", 42)
    empty = draw_section(together(artery, part("c", tube, "catheter", 60)), ACROSS, 12, (480, 480), marks=BARE)
    full = draw_section(
        together(artery, part("c", tube, "catheter", 60), part("w", wire, "wire", 62)), ACROSS, 12, (480, 480),
        marks=BARE,
    )  # fmt: skip
    assert at(empty, 0, 0).max() < 40  # the lumen
    assert like(at(empty, 1.6, 0), "catheter", slack=45)
    assert at(empty, 2.15, 0).max() < 60  # the outline on blood
    assert at(full, 0, 0).min() > 245
    assert at(full, 0.65, 0).max() < 60
    assert (at(full, 1.6, 0) == at(empty, 1.6, 0)).all()


def test_drug_is_stippled_contrast_is_not_and_necrosis_is_mottled():
    """Told apart without colour: dots with a spacing, an even fill, patches."""
    ball = sphere((0, 0, 0), 9.0)
    spread = {}
    for role in ("drug", "contrast", "necrosis"):
        picture = draw_section(together(part("x", ball, role, 50)), ACROSS, 12, (480, 480), marks=BARE)
        middle = picture[160:320, 160:320].astype(float).mean(axis=2)
        spread[role] = middle.std(), (middle < 0.6 * middle.max()).mean()
    assert spread["contrast"][0] < 4.0
    assert spread["drug"][0] > 30.0
    assert 0.08 < spread["drug"][1] < 0.45
    assert spread["necrosis"][0] > 12.0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_stipples_lie_everywhere_alike_and_stay_clear_of_each_other(dimensions):
    points = np.random.default_rng(4).uniform(-20, 20, (60_000, dimensions))
    share = stippled_share(points, 1.0)
    expected = 2 * (np.pi * 0.3**2 if dimensions == 2 else 4 / 3 * np.pi * 0.3**3)
    halves = [share[points[:, 0] > 0].mean(), share[points[:, 0] < 0].mean()]
    assert halves[0] == pytest.approx(halves[1], rel=0.06)
    assert 0.45 * expected < share.mean() < 1.5 * expected
    assert (share == stippled_share(points, 1.0)).all()


def test_a_nerve_has_bundles_and_a_clear_sheath():
    nerve = part("n", capsule((0, 0, -20), (0, 0, 20), 4.0), "nerve", 43)
    picture = draw_section(together(nerve), ACROSS, 12, (480, 480), marks=BARE)
    inner = np.array([at(picture, x, y) for x in np.linspace(-2.5, 2.5, 40) for y in (-1.0, 0.0, 1.0)])
    sheath = np.array([at(picture, 3.8 * np.cos(a), 3.8 * np.sin(a)) for a in np.linspace(0, 6.2, 40)])
    assert inner.sum(axis=1).std() > 4 * sheath.sum(axis=1).std()
