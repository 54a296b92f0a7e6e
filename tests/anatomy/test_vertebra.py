"""The vertebrae T1 to L5: surfaces, symmetry, landmarks, neighbours, time."""

import time

import numpy as np
import pytest

from spineviz.anatomy.column import below_from_above
from spineviz.anatomy.vertebra import vertebra
from spineviz.anatomy.vertebra_parts import ball, joined, loft, outline_distance, plate, smooth_outline
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS, level_below
from spineviz.geometry.fields import box_bounds

THORACIC = [level for level in LEVELS if level[0] == "T"]
LUMBAR = [level for level in LEVELS if level[0] == "L"]


# --- building blocks ----------------------------------------------------------------------------------------------


def test_a_straight_round_loft_is_a_capsule():
    part = loft([[0, 0, 0], [0, 10, 0]], [[2, 2], [2, 2]], [1, 0, 0])
    points = np.array([[0, 5, 0], [3, 5, 0], [0, 5, -4], [0, 14, 0], [0, -3, 0]])
    assert part.distance(points.astype(float)) == pytest.approx([-2, 1, 2, 2, 1])


def test_a_loft_lies_in_its_box():
    part = loft([[0, 0, 0], [3, 6, 2], [1, 14, -3]], [[2, 3], [4, 1.5], [1, 2]], [1, 0, 0.3])
    rng = np.random.default_rng(0)
    points = rng.uniform(part.low_mm - 6, part.high_mm + 6, (40_000, 3))
    inside = points[part.distance(points) < 0]
    assert len(inside) > 500
    assert (inside >= part.low_mm).all()
    assert (inside <= part.high_mm).all()


def test_outline_distance_of_a_square_is_exact():
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    points = np.array([[0, 0], [3, 0], [2, 2], [0.5, 0], [-1, -4]], float)
    assert outline_distance(square, points) == pytest.approx([-1, 2, np.sqrt(2), -0.5, 3])


def test_a_smooth_outline_keeps_the_centre_and_stays_within_the_corners():
    corners = np.array([[-3, -2], [3, -2], [3, 2], [-3, 2]], float)
    line = smooth_outline(corners, 8)
    assert line.mean(0) == pytest.approx([0, 0], abs=1e-12)
    assert (np.abs(line) < [3, 2]).all()


def test_a_plate_is_as_thick_as_asked():
    part = plate([[-10, -10], [10, -10], [10, 10], [-10, 10]], lambda y, z: np.full_like(y, 1.5), 1.5, 0.5)
    assert part.distance(np.array([[0.0, 0, 0], [4.0, 0, 0]])) == pytest.approx([-1.5, 2.5])


def test_a_hollow_is_cut_out_and_nothing_else():
    part = joined((ball(np.zeros(3), 5.0),), (1.0,), (ball(np.array([5.0, 0, 0]), 2.0),), 0.2)
    assert part.distance(np.array([[4.0, 0, 0]]))[0] > 0
    assert part.distance(np.array([[-4.0, 0, 0]]))[0] == pytest.approx(-1.0)


# --- surfaces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_the_surface_is_closed_manifold_and_one_piece(level):
    for spacing_mm in (0.8, 1.15):
        mesh = vertebra(level).mesh(spacing_mm)
        assert mesh.is_closed
        assert mesh.pieces == 1


@pytest.mark.parametrize("level", ["T1", "T6", "T12", "L2", "L5"])
def test_the_surface_is_closed_at_other_spacings_too(level):
    for spacing_mm in (0.6, 1.5):
        mesh = vertebra(level).mesh(spacing_mm)
        assert mesh.is_closed
        assert mesh.pieces == 1


@pytest.mark.parametrize("level", ["T4", "L3"])
def test_right_and_left_are_mirror_images(level):
    bone = vertebra(level)
    points = np.random.default_rng(1).uniform(*bone.field.bounds_mm, (4000, 3))
    assert bone.field(points) == pytest.approx(bone.field(points * [-1, 1, 1]), abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_the_field_is_finite_and_its_box_holds_the_bone(level):
    bone = vertebra(level)
    low, high = bone.field.bounds_mm
    points = np.random.default_rng(2).uniform(low - 15, high + 15, (6000, 3))
    values = bone.field(points)
    assert np.isfinite(values).all()
    outside = ((points < low) | (points > high)).any(1)
    assert (values[outside] > 0).all()
    special = np.array([[0.0, 0, 0], bone.landmarks["canal-centre"], bone.frames["pedicle-right"].origin_mm])
    assert np.isfinite(bone.field(special)).all()


@pytest.mark.parametrize("level", ["T2", "T9", "L1", "L5"])
def test_the_sampled_stand_in_agrees_near_the_surface(level):
    bone = vertebra(level)
    points = np.random.default_rng(3).uniform(*bone.field.bounds_mm, (20_000, 3))
    exact, fast = bone.field(points), bone.fast(points)
    near = np.abs(exact) < 1.0
    assert np.abs(exact - fast)[near].mean() < 0.03
    far = np.abs(exact) > 0.5
    assert ((exact > 0) == (fast > 0))[far].mean() > 0.9995


@pytest.mark.parametrize("level", ["T5", "L1"])
def test_the_core_lies_inside_compact_bone(level):
    bone = vertebra(level)
    points = np.random.default_rng(4).uniform(*bone.field.bounds_mm, (20_000, 3))
    whole, core = bone.field(points), bone.core(points)
    assert (core >= whole + 0.49).all()
    assert (core <= whole + 1.01).all()
    near = np.abs(core) < 0.8
    assert np.abs(bone.fast_core(points) - core)[near].mean() < 0.04
    # the middle of the body is trabecular
    assert bone.core([[0.0, 0.0, 0.0]])[0] < -5


# --- anatomy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_landmarks_lie_on_the_bone(level):
    bone = vertebra(level)
    marks = bone.landmarks
    rims = [f"{plate}-{side}-rim" for plate in ("upper", "lower") for side in ("front", "back")]
    assert np.abs(bone.field([marks[name] for name in [*rims, "body-back-centre"]])).max() < 0.1
    facets = [f"{which}-facet-{side}" for which in ("superior", "inferior") for side in ("right", "left")]
    assert np.abs(bone.field([marks[name] for name in facets])).max() < 0.8
    assert np.abs(bone.field([marks["spinous-tip"], marks["transverse-tip-right"]])).max() < 0.2
    assert 2 * marks["transverse-tip-right"][0] == pytest.approx(bone.row["TPW_tip_to_tip_mm"].value, abs=1.0)
    assert np.abs(bone.field([marks["pedicle-upper-outer-right"], marks["pedicle-upper-outer-left"]])).max() < 0.15
    for name in (name for name in marks if name.endswith("-normal")):
        assert np.linalg.norm(marks[name]) == pytest.approx(1.0)
    assert bone.canal([marks["canal-centre"]])[0] < -4
    assert bone.field([marks["canal-centre"]])[0] > 4


@pytest.mark.parametrize("level", LEVELS)
def test_frames_are_where_they_say(level):
    bone = vertebra(level)
    upper, lower = bone.frames["upper-endplate"], bone.frames["lower-endplate"]
    assert upper.origin_mm[2] > 0 > lower.origin_mm[2]
    for frame in bone.frames.values():
        assert frame.rotation.T @ frame.rotation == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    right, left = bone.frames["pedicle-right"], bone.frames["pedicle-left"]
    assert right.origin_mm == pytest.approx(left.origin_mm * [-1, 1, 1])
    assert right.rotation[:, 1] == pytest.approx(left.rotation[:, 1] * [-1, 1, 1])
    assert bone.field([right.origin_mm, left.origin_mm]).max() < -1.5
    # following the axis forward leads into the body
    assert bone.body([right.point([0.0, 14.0, 0.0])])[0] < 0


@pytest.mark.parametrize("level", LEVELS)
def test_the_end_plates_are_hollow_the_lower_one_deeper_with_the_apex_behind(level):
    bone = vertebra(level)
    depths = {}
    for name, up in (("upper", 1.0), ("lower", -1.0)):
        frame = bone.frames[f"{name}-endplate"]
        along = np.linspace(-0.35, 0.35, 71) * bone.row["EPDu_mm"].value
        low, high = np.full(71, -6.0), np.full(71, 2.0)
        for _ in range(20):
            middle = (low + high) / 2
            inside = bone.body(frame.points(np.column_stack([np.zeros(71), along, up * middle]))) < 0
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        depths[name] = -low.min()
        assert along[np.argmin(low)] < 0
    assert 0.3 < depths["upper"] < depths["lower"] < 3.6


@pytest.mark.parametrize("level", LEVELS)
def test_processes_have_the_shape_of_their_region(level):
    marks = vertebra(level).landmarks
    facing = marks["superior-facet-right-normal"]
    if level in THORACIC:
        assert facing[1] < -0.8, "thoracic superior facets look back"
        assert marks["transverse-tip-right"][1] < marks["canal-centre"][1], "and the transverse processes go back"
        assert "rib-head-right" in marks
        assert ("rib-facet-right" in marks) == (level not in ("T11", "T12"))
    else:
        assert facing[0] < -0.6, "lumbar ones look inward"
        assert not any(name.startswith("rib") for name in marks)
    below = marks["inferior-facet-right-normal"]
    assert (below[0] > 0.6) == (level in LUMBAR or level == "T12")


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_facets_of_neighbours_meet(level):
    upper, lower = vertebra(level).landmarks, vertebra(level_below(level)).landmarks
    link = below_from_above(level)
    for side in ("right", "left"):
        gap = upper[f"inferior-facet-{side}"] - link.point(lower[f"superior-facet-{side}"])
        assert np.linalg.norm(gap) < 1.0
        facing = upper[f"inferior-facet-{side}-normal"] @ link.vector(lower[f"superior-facet-{side}-normal"])
        assert facing < -0.98


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_the_canal_goes_on_into_the_next_vertebra(level):
    here, next_one = vertebra(level), vertebra(level_below(level))
    link = below_from_above(level)
    start, end = here.landmarks["canal-centre"], link.point(next_one.landmarks["canal-centre"])
    way = start + np.linspace(0, 1, 40)[:, None] * (end - start)
    room = np.minimum(here.field(way), next_one.field(link.inverse().points(way)))
    assert room.min() > 3.5


def test_lumbar_vertebrae_have_hatchets_and_thoracic_ones_slender_spines():
    def height_mm(level: str) -> float:
        bone = vertebra(level)
        base, tip = bone.landmarks["spinous-base"], bone.landmarks["spinous-tip"]
        z = np.arange(-45.0, 30.0, 0.2)
        middle = base + 0.6 * (tip - base)
        line = np.column_stack([np.zeros_like(z), np.full_like(z, middle[1]), z])
        slope = np.cos(np.arctan2(base[2] - tip[2], base[1] - tip[1]))
        return 0.2 * np.count_nonzero(bone.field(line) < 0) * slope

    assert all(height_mm(level) > 13 for level in ("L1", "L2", "L3", "L4"))
    assert all(height_mm(level) < 10 for level in ("T4", "T6", "T8"))


def test_an_unknown_level_is_refused_with_what_there_is():
    with pytest.raises(RequestError, match="T1 to T12"):
        vertebra("T13")


def test_a_vertebra_is_made_once():
    assert vertebra("L1") is vertebra("L1")
    assert vertebra("L1").mesh(0.8) is vertebra("L1").mesh(0.8)


def test_building_and_meshing_is_quick():
    from spineviz.anatomy.vertebra import _mirrored_grid

    bone = vertebra("L4")
    start = time.process_time()
    _mirrored_grid(bone.field, 0.8)
    assert time.process_time() - start < 1.5  # 0.2 s alone on one core; the margin is for busy machines


def test_bounds_are_a_box():
    assert vertebra("L2").field.bounds_mm.shape == box_bounds([0, 0, 0], [1, 1, 1]).shape
