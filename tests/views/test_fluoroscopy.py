"""Radiographs: analytic chords, cone-beam geometry, who wins where two overlap, sides, noise, and what is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.materials import attenuation
from spineviz.anatomy.structure import RANKS, Remains, Structure
from spineviz.geometry.fields import Field, box, capsule, cylinder, ellipsoid, sphere
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.operators import difference, moved, union
from spineviz.views.fluoroscopy import PROJECTIONS, Fluoroscope, beam, projection
from spineviz.views.rasters import Shelf, settle_shelves
from spineviz.views.voxels import Voxels, absorption_at, absorption_per_mm, bone_absorption_per_mm, voxels

COEFFICIENT = {"air": 0.0, "water": 0.0, "one": 1.0, "two": 2.0, "five": 5.0}
UNIT = COEFFICIENT.__getitem__
KEYS = count()


def part(name, field, material="one", rank=30, pose=None, **more):
    """A structure with a key that no other has: field is given in its own frame, which stands at `pose`."""
    pose = pose or Frame()
    return Structure(name, "bone", material, moved(field, pose), None, f"{name}-{next(KEYS)}", rank, pose, **more)


def together(*parts):
    return {p.name: p for p in parts}


def scope(view, size=(128, 128), **more):
    return Fluoroscope(size, view, absorption=UNIT, words=False, **more)


def chords(fluoroscope, centre, radius):
    """(H, W) analytic path through a ball along the ray of every pixel, and how far each ray passes its centre."""
    view = fluoroscope.projection
    width, height = fluoroscope.size_px
    u = (np.arange(width) + 0.5 - width / 2) * fluoroscope.mm_per_px
    v = (height / 2 - np.arange(height) - 0.5) * fluoroscope.mm_per_px
    uu, vv = np.meshgrid(u, v)
    through = view.world_from_view.points(np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)]))
    ray = through - view.source_mm
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    passing = np.linalg.norm(np.cross(np.asarray(centre) - view.source_mm, ray), axis=1)
    chord = 2 * np.sqrt(np.maximum(radius**2 - passing**2, 0.0))
    return chord.reshape(height, width), passing.reshape(height, width)


# --- path lengths ---


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize("rank", [RANKS["bone"], RANKS["steel"]])
@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (12.0, -9.0, 7.0)])
def test_a_ball_has_the_chord_that_geometry_gives(name, rank, centre):
    seen = scope(projection(name, field_of_view_mm=80))
    image = seen.attenuation(together(part("ball", sphere(centre, 18.0), rank=rank)))
    chord, passing = chords(seen, centre, 18.0)
    off_the_edge = np.abs(passing - 18.0) > 2.0
    assert np.abs(image - chord)[off_the_edge].max() < 0.01 * 36.0


@given(
    x=st.floats(-15, 15), y=st.floats(-40, 40), z=st.floats(-15, 15), radius=st.floats(6, 12),
    turn=st.floats(-90, 90), tilt=st.floats(-25, 25),
)  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_any_ball_in_any_projection_keeps_its_volume(x, y, z, radius, turn, tilt):
    seen = scope(projection("ap", (0, 0, 0), 124, turn, tilt), (124, 124))  # the whole ball lies in the picture
    image = seen.attenuation(together(part("ball", sphere([x, y, z], radius))))
    ray = seen.projection.world_from_view.rotation[:, 2]
    depth = np.array([x, y, z]) @ ray + seen.projection.source_to_isocentre_mm
    flat, _ = seen.projection.flat([[x, y, z]])
    slant = np.sqrt(1 + (flat**2).sum() / seen.projection.source_to_isocentre_mm**2)
    # the shadow on the isocentre's plane is larger by the square of the magnification, and by the slant of its rays
    volume = image.sum() * seen.mm_per_px**2 * (depth / seen.projection.source_to_isocentre_mm) ** 2 / slant
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.012)


def test_cubes_hold_the_volume_of_the_shape():
    for field, expected in (
        (sphere([1.3, -2.1, 0.4], 9.0), 4 / 3 * np.pi * 9**3),
        (box([0, 0, 0], [20, 12, 30]), 20 * 12 * 30),
        (cylinder([-40, 0, 0], [40, 5, 9], 1.5), np.pi * 1.5**2 * np.sqrt(80**2 + 5**2 + 9**2)),
        (ellipsoid([0, 0, 0], [22, 9, 14]), 4 / 3 * np.pi * 22 * 9 * 14),  # not exact
    ):
        body = voxels(part("body", field), 0.5, UNIT)
        assert body.volume_mm3.sum() == pytest.approx(expected, rel=0.01)
        assert body.weight_mm2.sum() == pytest.approx(expected, rel=0.01)


def test_shell_and_core_weigh_what_they_are_made_of():
    bone = part("bone", sphere([0, 0, 0], 12.0), "five", core=sphere([0, 0, 0], 11.0), core_material="one")
    inner = 4 / 3 * np.pi * 11**3
    outer = 4 / 3 * np.pi * 12**3
    assert voxels(bone, 0.7, UNIT).weight_mm2.sum() == pytest.approx(5 * (outer - inner) + inner, rel=0.005)
    image = scope(projection("ap", field_of_view_mm=60)).attenuation(together(bone))
    # struts and marrow vary along the ray, so one ray is near its mean, not on it
    assert image[60:69, 60:69].mean() == pytest.approx(2 * 5.0 + 22 * 1.0, rel=0.03)


# --- geometry of the cone beam ---


@pytest.mark.parametrize("away", [-60.0, 0.0, 60.0])
def test_magnification_is_that_of_similar_triangles(away):
    view = projection("ap")
    toward = view.world_from_view.rotation[:, 2]
    flat, depth = view.flat([toward * away + [10.0, 0.0, 0.0]])
    assert depth[0] == pytest.approx(view.source_to_isocentre_mm + away)
    assert flat[0, 0] == pytest.approx(10.0 * view.source_to_isocentre_mm / (view.source_to_isocentre_mm + away))
    on_detector = flat[0, 0] * view.magnification
    straight = 10.0 * view.source_to_detector_mm / (view.source_to_isocentre_mm + away)
    assert on_detector == pytest.approx(straight, rel=1e-12)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_the_shadow_of_a_bead_lies_where_project_says(name):
    seen = scope(projection(name, (3, -4, 5), 120), (150, 110))
    for point in ([20.0, 10.0, 15.0], [-18.0, -30.0, -12.0]):
        image = seen.attenuation(together(part("bead", sphere(point, 2.0), rank=RANKS["steel"])))
        row, column = np.indices(image.shape)
        centroid = np.array([(image * (column + 0.5)).sum(), (image * (row + 0.5)).sum()]) / image.sum()
        pixel, _ = seen.project([point])
        assert np.abs(centroid - pixel[0]).max() < 0.1


def test_source_detector_and_centre_are_in_line():
    view = projection("oblique", (5, 6, 7), 140)
    a, b, c = view.source_mm, view.world_from_view.origin_mm, view.world_from_detector.origin_mm
    assert np.linalg.norm(b - a) == pytest.approx(view.source_to_isocentre_mm)
    assert np.linalg.norm(c - a) == pytest.approx(view.source_to_detector_mm)
    assert np.linalg.norm(np.cross(b - a, c - a)) == pytest.approx(0.0, abs=1e-6)


def scene(pose=None):
    pose = pose or Frame()
    bone = box([0, 0, 0], [40, 30, 26], 3.0)
    inner = moved(box([0, 0, 0], [38, 28, 24], 2.5), pose)
    return together(
        part("trunk", box([0, 10, 0], [260, 180, 400], 60.0), "muscle", RANKS["skin"], pose),
        part("vertebra", bone, "cortical", RANKS["bone"], pose, core=inner, core_material="trabecular"),
        part("needle", capsule([10, -70, 4], [8, 6, 0], 1.5), "steel", RANKS["steel"], pose),
        part("mass", sphere([-8, 4, 2], 6.0), "cement", RANKS["cement"], pose),
    )


def test_moving_the_world_and_the_c_arm_together_changes_nothing():
    view = projection("ap", field_of_view_mm=110)
    pose = translation([31.0, -17.0, 55.0]) @ rotation_about([1.0, 2.0, 3.0], 40.0)
    there = replace(view, world_from_view=pose @ view.world_from_view)
    here = Fluoroscope((120, 90), view).brightness(scene())
    moved_too = Fluoroscope((120, 90), there).brightness(scene(pose))
    assert np.abs(here - moved_too).max() < 0.02


# --- sides ---


def dark_centre(image):
    row, column = np.indices(image.shape)
    return np.array([(image * column).sum(), (image * row).sum()]) / image.sum() - (np.array(image.shape[::-1]) - 1) / 2


@pytest.mark.parametrize(
    ("name", "point", "axis", "sign"),
    [
        ("ap", [-20, 0, 0], 0, -1),  # the patient's left on screen left
        ("ap", [20, 0, 0], 0, 1),
        ("ap", [0, 0, 20], 1, -1),  # head up
        ("lateral", [0, 20, 0], 0, -1),  # front on screen left
        ("lateral", [0, 0, 20], 1, -1),
        ("oblique", [-20, 0, 0], 0, -1),
    ],
)
def test_sides_are_as_the_films_show_them(name, point, axis, sign):
    image = scope(projection(name, field_of_view_mm=90)).attenuation(together(part("ball", sphere(point, 5.0))))
    assert sign * dark_centre(image)[axis] > 10


def test_turning_towards_the_right_shows_what_lies_behind_further_left():
    behind = together(part("ball", sphere([0, -30, 0], 4.0)))
    straight = dark_centre(scope(projection("ap", field_of_view_mm=90)).attenuation(behind))[0]
    turned = dark_centre(scope(projection("ap", field_of_view_mm=90, turn_deg=20)).attenuation(behind))[0]
    assert turned < straight - 5


def test_tilting_towards_the_head_shows_what_lies_behind_lower():
    behind = together(part("ball", sphere([0, -30, 0], 4.0)))
    straight = dark_centre(scope(projection("ap", field_of_view_mm=90)).attenuation(behind))[1]
    tilted = dark_centre(scope(projection("ap", field_of_view_mm=90, tilt_deg=15)).attenuation(behind))[1]
    assert tilted > straight + 5


# --- who wins ---


def test_the_higher_rank_takes_the_place_of_the_lower():
    outer, inner = sphere([0, 0, 0], 20.0), sphere([3.0, 0, 0], 8.0)
    both = together(part("a", outer, "one", 30), part("b", inner, "five", 50))
    seen = scope(projection("ap", field_of_view_mm=70))
    image = seen.attenuation(both)
    whole, far = chords(seen, [0, 0, 0], 20.0)
    hole, near = chords(seen, [3.0, 0, 0], 8.0)
    sure = (np.abs(far - 20) > 2) & (np.abs(near - 8) > 2)
    expected = whole - hole + 5 * hole
    assert np.abs(image - expected)[sure].max() < 0.01 * expected.max()


def test_a_hole_of_lesser_density_shows_brighter():
    both = together(part("a", sphere([0, 0, 0], 20.0), "five", 30), part("b", sphere([0, 0, 0], 8.0), "one", 40))
    seen = scope(projection("ap", field_of_view_mm=70))
    assert seen.attenuation(both)[64, 64] == pytest.approx(5 * 24 + 16, rel=0.01)


def test_the_order_of_the_dict_does_not_matter():
    parts = [
        part("a", sphere([0, 0, 0], 20.0), "one", 30),
        part("b", sphere([5, 0, 0], 9.0), "five", 30),
        part("c", sphere([0, 0, 9], 9.0), "two", 50),
    ]
    view = projection("lateral", field_of_view_mm=70)
    first = scope(view).attenuation(together(*parts))
    second = scope(view).attenuation(together(*parts[::-1]))
    assert np.array_equal(first, second)


def test_what_lies_where_is_the_winner_s_coefficient():
    stack = [part("a", sphere([0, 0, 0], 20.0), "one", 0), part("b", sphere([0, 0, 0], 10.0), "five", 50)]
    found = absorption_at(stack, np.array([[0.0, 0, 0], [15.0, 0, 0], [30.0, 0, 0]]), 0.5, UNIT)
    assert found.tolist() == [5.0, 1.0, 0.0]


def test_what_is_laid_over_another_thing_is_that_over_all_that_lies_below():
    points = np.random.default_rng(2).uniform(-25.0, 25.0, (400, 3))
    low = [part("a", sphere([0, 0, 0], 20.0), "one", 0), part("b", sphere([4.0, 0, 0], 10.0), "five", 40)]
    high = part("c", sphere([8.0, 0, 0], 9.0), "two", 50)
    below = absorption_at(low, points, 2.0, UNIT)
    kept = below.copy()
    assert absorption_at([high], points, 2.0, UNIT, below) == pytest.approx(
        absorption_at([*low, high], points, 2.0, UNIT), abs=1e-6
    )
    assert (below == kept).all()


def test_steel_in_cement_that_grows_takes_the_cement_s_place_and_no_more():
    cement = [part("cement", sphere([3.0, 0, 0], r), "two", RANKS["cement"]) for r in (6.0, 9.0, 12.0)]
    bone, steel = part("bone", sphere([0, 0, 0], 20.0)), part("steel", sphere([0, 0, 0], 5.0), "five", RANKS["steel"])
    seen = scope(projection("ap", field_of_view_mm=70))
    for grown in cement:  # what stands still is kept from one to the next
        everything = together(bone, grown, steel)
        image = seen.attenuation(everything)
        radius = grown.field.bounds_mm[1, 1]
        steel_mm = 10.0
        cement_mm = 2 * np.sqrt(radius**2 - 9.0) - steel_mm
        assert image[64, 64] == pytest.approx(40.0 + 4 * steel_mm + cement_mm, rel=0.01)
        assert np.array_equal(image, scope(projection("ap", field_of_view_mm=70)).attenuation(everything))


def test_soft_tissue_is_counted_through_its_whole_thickness():
    trunk = part("trunk", box([0, 0, 0], [300, 200, 400]), "one", RANKS["skin"])
    lung = part("lung", box([0, 0, 0], [300, 80, 400]), "air", RANKS["lung"])
    seen = scope(projection("ap", field_of_view_mm=100))
    image = seen.attenuation(together(trunk, lung))
    assert image[64, 64] == pytest.approx(120.0, rel=0.02)


# --- shares of bone, balloons, voids ---


@pytest.mark.parametrize("percent", [5, 8, 12, 20])
@pytest.mark.parametrize("kev", [40.0, 60.0, 80.0])
def test_bone_and_marrow_mix_by_volume_as_the_table_says(percent, kev):
    marrow, cortex = (attenuation(name, kev).value for name in ("marrow", "cortical"))
    mixed = marrow + percent / 100 * (cortex - marrow)
    assert mixed == pytest.approx(attenuation(f"trabecular-{percent}", kev).value, rel=0.006)
    here = attenuation(f"trabecular-{percent}", beam("beam_kev")).value / 10
    assert bone_absorption_per_mm(np.array([percent / 100]))[0] == pytest.approx(here, rel=1e-12)


def cancellous(share, radius=14.0, name="bone", key=None, **more):
    """A ball of cancellous bone within a thin shell, whose share of bone is `share` of the place."""
    bone = Structure(
        name, "bone", "cortical", sphere([0, 0, 0], radius), None, key or f"{name}-{next(KEYS)}", RANKS["bone"],
        Frame(), sphere([0, 0, 0], radius - 0.6), "trabecular", share, **more,
    )  # fmt: skip
    return bone


@given(share=st.floats(0.02, 0.6), slope=st.floats(-0.01, 0.01))
@settings(max_examples=10, deadline=None)
def test_a_core_weighs_what_its_share_of_bone_weighs(share, slope):
    ball = cancellous(lambda p: np.clip(share + slope * p[:, 2], 0.0, 1.0), radius=12.0)
    body = voxels(ball, 0.7, absorption_per_mm)
    inner, outer = 4 / 3 * np.pi * 11.4**3, 4 / 3 * np.pi * 12**3
    points = np.random.default_rng(0).uniform(-11.4, 11.4, (60000, 3))
    points = points[(points**2).sum(1) < 11.4**2]
    mean = bone_absorption_per_mm(np.clip(share + slope * points[:, 2], 0.0, 1.0)).mean()
    assert body.weight_mm2.sum() == pytest.approx(
        absorption_per_mm("cortical") * (outer - inner) + mean * inner, rel=0.006
    )


def test_the_usual_share_of_bone_is_the_material_itself():
    seen = Fluoroscope((90, 80), projection("ap", field_of_view_mm=60), words=False)
    plain, told = (cancellous(share, key=f"usual-{share}") for share in (None, lambda p: np.full(len(p), 0.08)))
    same = seen.attenuation(together(plain)), seen.attenuation(together(told))
    assert np.abs(same[0] - same[1]).max() < 1e-5


def test_bone_that_moved_as_a_whole_keeps_its_mottle():
    shift = np.array([0.0, 0.0, 6.0])
    here = cancellous(None)
    there = replace(here, key=f"moved-{next(KEYS)}", field=moved(here.field, translation(shift)),
                    core=moved(here.core, translation(shift)), healthy=lambda p: p - shift)  # fmt: skip
    seen, away = (scope_of(at) for at in ((0, 0, 0), shift))
    assert np.abs(seen.attenuation(together(here)) - away.attenuation(together(there))).max() < 0.02
    still = replace(there, key=f"still-{next(KEYS)}", healthy=None)
    assert np.abs(seen.attenuation(together(here)) - away.attenuation(together(still))).max() > 0.05


def crushed(healthy, share):
    """A ball of bone pressed flat to `share` of its height, and what it came from."""
    to = np.array([1.0, 1.0, share])
    return replace(
        healthy,
        key=f"crushed-{next(KEYS)}",
        field=Field(lambda p: healthy.field.distance(p / to) * share, healthy.field.bounds_mm, exact=False),
        core=Field(lambda p: healthy.core.distance(p / to) * share, healthy.core.bounds_mm, exact=False),
        bone_share=lambda p: np.full(len(p), 0.08 / share),
        healthy=lambda p: p / to,
        remains=Remains(healthy, lambda p: (p * to, np.full(len(p), share))),
    )


@given(share=st.floats(0.4, 1.0))
@settings(max_examples=8, deadline=None)
def test_remains_weigh_and_stand_as_their_own_cubes_would(share):
    flat = crushed(cancellous(None, radius=12.0), share)
    seen = Fluoroscope((90, 80), projection("lateral", field_of_view_mm=60), words=False)
    carried, own = (seen.attenuation(together(thing)) for thing in (flat, replace(flat, remains=None)))
    inner, outer = 4 / 3 * np.pi * share * 11.4**3, 4 / 3 * np.pi * share * 12**3
    packed = bone_absorption_per_mm(np.array([0.08 / share]))[0]
    expected = absorption_per_mm("cortical") * (outer - inner) + packed * inner
    assert carried.sum() * seen.mm_per_px**2 == pytest.approx(expected, rel=0.012)
    assert np.abs(carried - own).mean() < 0.01 * own.max()
    rows, columns = np.indices(own.shape)
    for index in (rows, columns):
        assert (carried * index).sum() / carried.sum() == pytest.approx((own * index).sum() / own.sum(), abs=0.05)


def test_remains_are_made_of_the_cubes_of_what_they_are_left_of(monkeypatch):
    import spineviz.views.attenuation as module

    made = []
    asked = module.voxels
    monkeypatch.setattr(module, "voxels", lambda s, *more: (made.append(s.key), asked(s, *more))[1])
    healthy, seen = cancellous(None, radius=12.0), scope_of((0, 0, 0))
    for share in (0.9, 0.7, 0.5):
        fresh = scope_of((0, 0, 0)).attenuation(together(crushed(healthy, share)))
        assert np.array_equal(seen.attenuation(together(crushed(healthy, share))), fresh)
    assert made == [healthy.key]


def test_a_thing_of_several_parts_is_seen_as_these():
    seen = scope(projection("ap", field_of_view_mm=80))
    left, right = part("a", sphere([-15, 0, 0], 9.0)), part("b", sphere([15, 0, 0], 7.0))
    whole = replace(part("ribs", union(left.field, right.field)), parts=(left, right))
    both = seen.attenuation(together(left, right))
    assert np.array_equal(seen.attenuation(together(whole)), both)
    assert np.abs(seen.attenuation(together(replace(whole, parts=()))) - both).max() < 0.05 * both.max()


def scope_of(centre):
    return Fluoroscope((90, 80), projection("ap", centre, 60), words=False)


def balloon(radius, centre=(0.0, 0.0, 0.0), name="balloon"):
    return Structure(
        name, "balloon", "contrast", sphere(centre, radius), None, f"{name}-{next(KEYS)}", RANKS["balloon"]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["ap", "lateral"])
def test_a_balloon_in_bone_darkens_by_its_chord_of_contrast(name):
    seen = Fluoroscope((120, 110), projection(name, field_of_view_mm=60), words=False)
    bone = replace(cancellous(None), core=None, core_material=None, material="trabecular")
    added = seen.attenuation(together(bone, balloon(8.0))) - seen.attenuation(together(bone))
    chord, passing = chords(seen, [0, 0, 0], 8.0)
    expected = (absorption_per_mm("contrast") - absorption_per_mm("trabecular")) * chord
    assert absorption_per_mm("contrast") == pytest.approx(0.135)  # iohexol, 150 mg iodine a mL, 60 keV
    assert np.abs(added - expected)[np.abs(passing - 8.0) > 1.0].max() < 0.01 * expected.max()


def test_what_is_added_is_the_sum_of_what_each_thing_adds():
    seen = Fluoroscope((120, 110), projection("ap", field_of_view_mm=70), words=False)
    bone = cancellous(lambda p: np.full(len(p), 0.1), radius=20.0)
    right, left = balloon(6.0, (8, 0, 0), "right"), balloon(5.0, (-8, 0, 0), "left")
    alone = seen.attenuation(together(bone))
    both = seen.attenuation(together(bone, right, left))
    each = [seen.attenuation(together(bone, one)) - alone for one in (right, left)]
    assert np.abs(both - alone - sum(each)).max() < 1e-5


def packed_round(radius, width=3.0, share=0.3, within=0.08):
    """Bone packed round a hollow of `radius`, as the rim says it: nothing in the hollow, dense beside it."""
    shell = Field(
        lambda p: np.abs(np.linalg.norm(p, axis=1) - radius - width / 2) - width / 2,
        sphere((0, 0, 0), radius + width).bounds_mm,
        False,
    )

    def bone_share(p):
        way = np.linalg.norm(p, axis=1) - radius
        return np.where(way < 0, 0.0, within + (share - within) * np.clip(1 - way / width, 0, 1))

    return Structure(
        "rim", "rim", "trabecular", shell, None, f"rim-{next(KEYS)}", RANKS["rim"], Frame(), None, None, bone_share
    )


def test_packed_bone_adds_its_bone_and_unpacked_bone_adds_nothing():
    seen = Fluoroscope((120, 110), projection("lateral", field_of_view_mm=60), words=False)
    bone = replace(
        cancellous(lambda p: np.full(len(p), 0.08), radius=20.0), core=None, core_material=None, material="trabecular"
    )
    alone = seen.attenuation(together(bone))
    none = packed_round(8.0, share=0.08)
    assert np.abs(seen.attenuation(together(bone, none)) - alone).max() < 1e-4
    added = seen.attenuation(together(bone, packed_round(8.0))) - alone
    # the shell's bone: the mean share of a linear fall from the wall outwards, over its volume
    ways = np.linspace(0, 3, 4001)
    shares = 0.08 + 0.22 * (1 - ways / 3)
    extra = bone_absorption_per_mm(shares) - bone_absorption_per_mm(np.array([0.08]))
    weight = np.trapezoid(extra * 4 * np.pi * (8 + ways) ** 2, ways)
    assert added.sum() * seen.mm_per_px**2 == pytest.approx(weight, rel=0.04)


def test_the_rim_of_a_cavity_is_seen_against_the_bone_round_it():
    seen = Fluoroscope((300, 260), projection("lateral", field_of_view_mm=80), words=False)
    shell = cancellous(lambda p: np.full(len(p), 0.08), radius=20.0)
    flesh = part("flesh", box([0, 0, 0], [200, 200, 200], 20.0), "muscle", RANKS["skin"])
    void = Structure("cavity", "cavity", "cavity", sphere((0, 0, 0), 8.0), None, f"void-{next(KEYS)}", RANKS["cavity"])
    scene = together(flesh, shell, packed_round(8.0, 2.5, 0.35), void)
    light = np.exp(-seen.attenuation(scene))
    _, passing = chords(seen, [0, 0, 0], 8.0)
    ring, inside, round_it = ((passing > a) & (passing < b) for a, b in ((8.0, 8.8), (0.0, 5.0), (11.0, 14.0)))
    contrast = 1 - np.median(light[ring]) / np.median(light[round_it])
    assert contrast > 0.05  # a radiologist sees 2 to 3 % on a disc of this size
    assert np.median(light[inside]) > np.median(light[ring]) * 1.05
    shown = seen.brightness(scene, live=False)
    assert np.median(shown[round_it]) - np.median(shown[ring]) > 0.04


def test_markers_are_black_in_a_folded_balloon():
    seen = Fluoroscope((160, 140), projection("lateral", field_of_view_mm=50), words=False)
    bone, flesh = cancellous(None, radius=18.0), part("flesh", box([0, 0, 0], [200, 200, 200], 20.0), "muscle", 0)
    ring = difference(cylinder([0, -6.5, 0], [0, -5.5, 0], 0.9), cylinder([0, -7, 0], [0, -5, 0], 0.5))
    marker = Structure("marker", "marker", "platinum", ring, None, f"marker-{next(KEYS)}", RANKS["marker"])
    folded = Structure("b", "balloon", "water", cylinder([0, -7.5, 0], [0, 7.5, 0], 1.1), None, f"f-{next(KEYS)}", 54)
    shown = seen.brightness(together(flesh, bone, marker, folded), live=False)
    (column, row), (far, _) = (seen.project([[0, y, 0]])[0][0].astype(int) for y in (-6, 0))
    assert shown[row, column] < 0.15
    assert shown[row, far] > 0.4


def test_a_rib_that_moves_keeps_its_cubes_and_its_picture(monkeypatch):
    import spineviz.views.attenuation as module

    made = []
    asked = module.voxels
    monkeypatch.setattr(module, "voxels", lambda s, *more: (made.append(s.name), asked(s, *more))[1])
    rod = capsule([-120, 0, -20], [120, 10, 30], 4.0)

    def picture(seen, way):
        pose = translation([way, 0, 0.5 * way])
        return seen.attenuation(
            together(Structure("rib", "bone", "one", moved(rod, pose), None, "a-long-rib", RANKS["bone"], pose))
        )

    view, fresh = projection("ap", field_of_view_mm=80), {}
    for way in (0.0, 3.0, 6.0, 40.0):
        module._shared_voxels.clear()  # a fresh monitor finds nothing made
        fresh[way] = picture(scope(view), way)
    module._shared_voxels.clear()
    made.clear()
    used, counts = scope(view), []
    for way in (0.0, 3.0, 6.0, 40.0, 3.0):
        assert np.array_equal(picture(used, way), fresh[way])
        counts.append(len(made))
    assert counts == [1, 1, 1, 2, 2]  # the last picture was still at hand


def test_of_what_moves_two_versions_are_kept_and_no_more():
    made = []

    def make(name):
        return lambda: (made.append(name), np.zeros(10, np.int8))[1]

    shelf = Shelf(lambda value: value.nbytes, most_bytes=25, versions=2, rest=1)
    for version in ("a", "b", "a", "c", "a", "b"):
        shelf.get("bone", version, make(version))
    assert made == ["a", "b", "c", "b"]  # "b" was used longest ago when "c" came
    assert (len(shelf), shelf.held_bytes) == (2, 20)
    for name in ("rib", "disc"):
        shelf.get(name, "", make(name))
    assert shelf.held_bytes == 40  # what is in use is never let go
    shelf.turn()
    shelf.get("disc", "", make("disc"))
    shelf.turn()
    assert (len(shelf), shelf.held_bytes) == (2, 20)
    assert shelf.get("disc", "", make("again")) is not None
    assert "again" not in made
    shelf.clear()
    assert (len(shelf), shelf.held_bytes) == (0, 0)


def test_a_shelf_that_settles_lets_go_of_what_was_used_longest_ago_down_to_its_limit():
    shelf = Shelf(lambda value: value.nbytes, most_bytes=25, rest=100)
    for name in ("bone", "rib", "disc", "rib"):
        shelf.get(name, "", lambda: np.zeros(10, np.int8))
    shelf.turn()
    assert shelf.held_bytes == 30  # all of it was used lately
    settle_shelves()
    assert (len(shelf), shelf.held_bytes) == (2, 20)
    made = []
    for name in ("rib", "disc", "bone"):
        shelf.get(name, "", lambda name=name: (made.append(name), np.zeros(10, np.int8))[1])
    assert made == ["bone"]


# --- the picture ---


def test_cement_stands_out_three_times_as_strongly_as_cortex():
    flesh = attenuation("muscle", beam("beam_kev")).value
    cortex = attenuation("cortical", beam("beam_kev")).value
    assert attenuation("cement", beam("beam_kev")).value - flesh > 3 * (cortex - flesh)
    assert absorption_per_mm("cement") == pytest.approx(attenuation("cement", beam("beam_kev")).value / 10)


def test_dense_is_dark():
    seen = Fluoroscope((150, 120), projection("ap", field_of_view_mm=110), words=False)
    everything = scene()
    shown = seen.brightness(everything)
    without = seen.brightness({k: v for k, v in everything.items() if k not in ("needle", "mass")})

    def at(picture, point):
        column, row = np.floor(seen.project([point])[0][0]).astype(int)
        return picture[row - 2 : row + 3, column - 2 : column + 3].mean()

    cement, bone, flesh = at(shown, [-8, 4, 2]), at(without, [-8, 4, 2]), at(shown, [-40, 0, 0])
    assert cement < 0.4 * bone < bone < flesh
    assert at(shown, [9.0, -30.0, 2.0]) < 0.6 * bone


def test_instruments_do_not_change_the_brightness_of_the_rest():
    seen = Fluoroscope((150, 120), projection("ap", field_of_view_mm=110), words=False)
    everything = scene()
    without = {k: v for k, v in everything.items() if k != "needle"}
    difference = seen.brightness(everything, 0.0) - seen.brightness(without, 0.0)
    assert np.abs(difference[:, :40]).max() < 0.05


def test_noise_belongs_to_seed_and_pulse():
    view, things = projection("ap", field_of_view_mm=110), scene()
    seen = Fluoroscope((96, 80), view, seed=3, words=False)
    pulse = 1.0 / beam("pulses_per_s")
    first = seen.image(things, 0.2 * pulse)
    assert np.array_equal(first, seen.image(things, 0.8 * pulse))
    assert np.array_equal(first, Fluoroscope((96, 80), view, seed=3, words=False).image(things, 0.5 * pulse))
    assert not np.array_equal(first, seen.image(things, 1.2 * pulse))
    assert not np.array_equal(first, Fluoroscope((96, 80), view, seed=4, words=False).image(things, 0.2 * pulse))
    stored = seen.image(things, 0.0, live=False)
    assert np.array_equal(stored, seen.image(things, 9.0, live=False))


def test_a_frame_does_not_depend_on_what_was_drawn_before():
    view, things = projection("lateral", field_of_view_mm=110), scene()
    used = Fluoroscope((96, 80), view)
    used.image({k: v for k, v in things.items() if k != "mass"}, 3.0)
    used.image({k: v for k, v in things.items() if k in ("trunk", "needle")}, 5.0)
    assert np.array_equal(used.image(things, 1.0), Fluoroscope((96, 80), view).image(things, 1.0))


def test_only_what_moves_is_projected_again():
    asked = []
    bone = sphere([0, 0, 0], 15.0)
    counted = Field(lambda p: (asked.append(len(p)), bone.distance(p))[1], bone.bounds_mm)
    still = Structure("still", "bone", "one", counted, None, "still", RANKS["bone"])
    seen = scope(projection("ap", field_of_view_mm=70))

    def frame(way):
        needle = part("needle", capsule([0, -60, 0], [0, -30 + way, 0], 1.5), "five", RANKS["steel"])
        return {"still": still, "needle": replace(needle, key=f"needle-{way}")}

    seen.image(frame(0.0))
    first = sum(asked)
    asked.clear()
    seen.image(frame(0.5))
    # the needle asks what lies under its own blocks, no more
    assert sum(asked) < 0.02 * first


def test_the_picture_has_the_size_and_the_round_corners_of_the_monitor():
    seen = Fluoroscope((160, 100), projection("ap"))
    image = seen.image(scene())
    picture = seen.on_panel(image, (0.2, 0.4, 0.6))
    assert image.shape == (100, 160)
    assert image.dtype == np.uint8
    assert picture.shape == (100, 160, 3)
    assert image[0, 0] == 0
    assert picture[0, 0].tolist() == [51, 102, 153]
    assert (picture[50, 80] == image[50, 80]).all()
    assert seen.mask[50, 80] == 1.0
    assert (image[5:-5, 5:-5].std() > 3).all()


def test_sides_and_words_are_burnt_in():
    things, view = scene(), projection("ap", field_of_view_mm=110)
    plain = Fluoroscope((160, 120), view, words=False)
    bare = np.round(255 * plain.brightness(things) * plain.mask)
    lettered, worded = plain.image(things), Fluoroscope((160, 120), view).image(things)
    changed = np.abs(lettered - bare) > 60
    assert changed[50:70, :20].any()
    assert changed[50:70, -20:].any()
    assert changed[:20, 70:90].any()
    assert not changed[90:, :60].any()
    assert (np.abs(worded.astype(float) - bare) > 60)[95:, :60].any()


def test_an_empty_room_is_white():
    image = Fluoroscope((64, 64), projection("ap"), words=False).brightness({})
    assert image.shape == (64, 64)
    assert np.isfinite(image).all()


def test_wrong_requests_are_named():
    with pytest.raises(ValueError, match=r"'pa'.*ap, lateral, oblique"):
        projection("pa")
    with pytest.raises(ValueError, match="field_of_view_mm must be more than 0, got -3"):
        projection("ap", field_of_view_mm=-3)
    with pytest.raises(ValueError, match="at least 16 by 16, got 8 by 90"):
        Fluoroscope((8, 90), projection("ap"))


def test_a_kept_radiograph_is_that_of_a_fresh_process_to_the_last_bit_and_what_is_broken_is_not_kept():
    import spineviz.views.attenuation as module

    shelf, made = {}, []

    def keep(name, make):
        if name not in shelf:
            made.append(name[0])
            shelf[name] = make()
        return shelf[name]

    rod, flesh = cancellous(None, radius=14.0), part("flesh", box([0, 0, 0], [200, 160, 200], 20.0), "muscle", 0)
    rib = Structure("rib", "bone", "cortical", capsule([-120, 0, -20], [120, 10, 30], 4.0), None, "rib", RANKS["bone"])
    broken = replace(cancellous(None, radius=9.0), name="broken", key=f"broken-{next(KEYS)}", healthy=lambda p: p)
    things, pictures = together(flesh, rod, rib, broken), []
    for kept in (module.made_anew, keep, keep):
        module._shared_voxels.clear()
        module._shared_grounds.clear()
        seen = Fluoroscope((96, 80), projection("ap", field_of_view_mm=60), words=False, keep=kept)
        pictures.append(seen.attenuation(things))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    assert sorted(made) == ["cubes", "cubes", "soft"]
    # elsewhere, or from elsewhere, a long bone is another thing; a small one is the same in every view
    module._shared_voxels.clear()
    Fluoroscope((96, 80), projection("lateral", field_of_view_mm=60), words=False, keep=keep).attenuation(things)
    assert sorted(made) == ["cubes", "cubes", "cubes", "soft", "soft"]


def test_cubes_are_the_same_from_their_arrays():
    body = voxels(cancellous(None), 0.7, absorption_per_mm)
    same = Voxels(body.side_mm, **body.arrays())
    for name in ("volume_mm3", "weight_mm2", "block_points_mm"):
        assert np.array_equal(getattr(body, name), getattr(same, name))
    assert set(same.arrays()) == set(body.arrays())
    assert body.nbytes == same.nbytes < 6 * len(body.place)


def test_cubes_and_what_blocks_hold_lie_where_the_shape_does():
    ball = part("ball", sphere([5.0, -3.0, 2.0], 9.0))
    body, pose = voxels(ball, 0.7, UNIT), rotation_about([1.0, 2.0, 3.0], 40.0, [4.0, 0.0, 1.0])
    local = body.points_in(Frame())
    assert ball.field.distance(local.T.astype(float)).max() <= 0.5 * 0.7 + 1e-4
    assert np.average(local, axis=1, weights=body.volume_mm3) == pytest.approx([5.0, -3.0, 2.0], abs=0.01)
    assert np.abs(body.points_in(pose).T - pose.points(local.T)).max() < 1e-4
    for number in (0, 7, len(body.corner) - 1):
        mine = slice(body.first[number], body.first[number + 1])
        middle = np.average(local[:, mine], axis=1, weights=body.volume_mm3[mine])
        assert body.block_points_mm[number] == pytest.approx(middle, abs=1e-4)
        assert (body.by_cube(np.arange(len(body.corner)))[mine] == number).all()


def test_a_thing_of_which_nothing_is_seen_has_no_cubes():
    body = voxels(part("ball", sphere([0.0, 0.0, 0.0], 9.0)), 0.7, UNIT, 0.0, lambda p, margin: np.zeros(len(p), bool))
    assert body.points_in(Frame()).shape == (3, 0)
    assert body.block_points_mm.shape == (0, 3)


def test_many_bodies_are_summed_as_few_are(monkeypatch):
    from spineviz.views import projection as module

    rng = np.random.default_rng(0)
    points, weights = rng.uniform(-40, 40, (3, 5000)).astype(np.float32), rng.uniform(0, 1, 5000).astype(np.float32)
    seen, lattice = projection("ap", field_of_view_mm=60), module.Lattice(70, 90, 1.0)
    whole = module.splat(seen, lattice, points, weights)
    monkeypatch.setattr(module, "_AT_ONCE", 700)
    assert np.allclose(module.splat(seen, lattice, points, weights), whole, atol=1e-6)
