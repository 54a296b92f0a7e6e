"""The camera: words to places, places to pixels, and the way from one view to the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.views.camera import Camera, camera_from, direction, direction_at, framing, smoothstep

SIZE = (640, 400)
numbers = st.floats(-60.0, 60.0)
points = st.tuples(numbers, numbers, numbers)
angles = st.floats(0.0, 360.0)


@pytest.mark.parametrize(
    ("words", "way"),
    [
        ("behind", (0, -1, 0)), ("front", (0, 1, 0)), ("left", (-1, 0, 0)), ("right", (1, 0, 0)), ("above", (0, 0, 1)),
        ("behind right", (1, -2, 0)), ("behind, right and above", (1, -2, 1)), ("left front", (-2, 1, 0)),
    ],
)  # fmt: skip
def test_words_are_ways_to_the_eye(words, way):
    assert direction(words) == pytest.approx(np.array(way) / np.linalg.norm(way))


@given(st.floats(0.3, 4.0), angles, points)
def test_a_wider_field_shows_the_same_things_nearer_to_the_middle(factor, azimuth, point):
    camera = camera_from((azimuth, 10.0), (1, 2, 3), 300.0)
    wider = camera.widened(factor)
    assert wider.visible_height_mm() == pytest.approx(factor * camera.visible_height_mm())
    middle = np.array(SIZE) / 2
    before, after = (c.project([point], SIZE)[0][0] - middle for c in (camera, wider))
    assert after == pytest.approx(before / factor, abs=1e-9)


def test_a_field_cannot_be_nothing():
    with pytest.raises(ValueError, match="factor must be more than 0, got 0"):
        camera_from("behind").widened(0)


def test_unknown_words_are_refused_with_the_words_there_are():
    with pytest.raises(ValueError, match="front, behind, right, left, above, below"):
        camera_from("yonder")


def test_azimuth_runs_from_behind_over_the_right():
    for azimuth, words in ((0, "behind"), (90, "right"), (180, "front"), (270, "left")):
        assert direction_at(azimuth, 0.0) == pytest.approx(direction(words), abs=1e-12)
    assert direction_at(123.0, 90.0) == pytest.approx((0, 0, 1), abs=1e-12)


def test_sides_are_where_the_clinician_expects_them():
    right_of_patient, above, front = (10.0, 0, 0), (0, 0, 10.0), (0, 10.0, 0)
    pixels, _ = camera_from("behind").project([right_of_patient, above], SIZE)
    assert pixels[0, 0] > SIZE[0] / 2
    assert pixels[1, 1] < SIZE[1] / 2
    pixels, _ = camera_from("left").project([front], SIZE)
    assert pixels[0, 0] < SIZE[0] / 2  # lateral: front on screen left
    pixels, _ = camera_from("above").project([front], SIZE)
    assert pixels[0, 1] < SIZE[1] / 2


def test_target_is_the_middle_and_the_height_is_what_trigonometry_gives():
    camera = camera_from("behind", (3, 4, 5), 250.0, 40.0)
    pixels, depth = camera.project([(3, 4, 5), (3, 4, 5 + camera.visible_height_mm() / 2)], SIZE)
    assert pixels == pytest.approx(np.array([[320, 200], [320, 0]]), abs=1e-9)
    assert depth == pytest.approx([250, 250])
    assert camera.visible_height_mm() == pytest.approx(2 * 250 * np.tan(np.deg2rad(20)))
    assert camera.pixel_mm(400) * 400 == pytest.approx(camera.visible_height_mm())


@given(points, angles, st.floats(-70, 70), points)
def test_project_is_what_the_matrices_say(target, azimuth, elevation, point):
    camera = camera_from((azimuth, elevation), target, 300.0, 25.0)
    clip = camera.projection_matrix(SIZE, 10.0, 1000.0) @ camera.view_matrix() @ np.append(point, 1.0)
    pixel = (clip[:2] / clip[3] * (0.5, -0.5) + 0.5) * SIZE
    pixels, depth = camera.project([point], SIZE)
    assert pixels[0] == pytest.approx(pixel, abs=1e-6)
    assert depth[0] == pytest.approx(clip[3], abs=1e-9)


@given(points, angles, st.floats(-70, 70))
def test_ray_through_a_pixel_passes_the_point_that_is_seen_there(point, azimuth, elevation):
    camera = camera_from((azimuth, elevation), (1, 2, 3), 300.0, 25.0)
    pixels, _ = camera.project([point], SIZE)
    way = np.array(point) - camera.position_mm
    assert camera.ray(pixels[0], SIZE) == pytest.approx(way / np.linalg.norm(way), abs=1e-9)


def test_points_behind_the_eye_have_no_pixels():
    pixels, depth = camera_from("behind").project([(0, -900.0, 0)], SIZE)
    assert np.isnan(pixels).all()
    assert depth[0] < 0


def test_vtk_projects_alike():
    from vtkmodules.vtkRenderingCore import vtkCamera

    camera = camera_from("behind right above", (5, -3, 8), 333.0, 27.0)
    other = vtkCamera()
    other.SetPosition(*camera.position_mm)
    other.SetFocalPoint(*camera.target_mm)
    other.SetViewUp(*camera.up)
    other.SetViewAngle(camera.view_angle_deg)
    other.SetClippingRange(50.0, 800.0)
    matrix = other.GetCompositeProjectionTransformMatrix(SIZE[0] / SIZE[1], -1.0, 1.0)
    theirs = np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])
    ours = camera.projection_matrix(SIZE, 50.0, 800.0) @ camera.view_matrix()
    assert ours == pytest.approx(theirs, abs=1e-9)


@given(points, angles, points)
def test_moving_the_world_with_the_camera_changes_nothing(axis, angle, point):
    frame = rotation_about((axis[0], axis[1], axis[2] + 200.0), angle) if angle else translation(axis)
    camera = camera_from("behind right", (1, 2, 3), 280.0)
    there, _ = camera.moved(frame).project([frame.point(point)], SIZE)
    here, _ = camera.project([point], SIZE)
    assert there == pytest.approx(here, abs=1e-6)


@given(angles, angles, st.floats(-60, 60), st.floats(0.0, 1.0))
def test_the_way_between_two_views_is_an_arc_about_the_target(one, two, elevation, share):
    here, there = camera_from((one, elevation), (0, 0, 0), 300.0), camera_from((two, -elevation / 2), (10, 0, 0), 500.0)
    camera = here.moved_towards(there, share)
    eased = smoothstep(share)
    assert camera.target_mm == pytest.approx(np.array([10 * eased, 0, 0]), abs=1e-9)
    assert camera.distance_mm == pytest.approx(300 ** (1 - eased) * 500**eased, rel=1e-9)


def test_the_way_rests_at_both_ends_and_is_level_between_level_views():
    here, there = camera_from("behind", distance_mm=300), camera_from("left", distance_mm=300)
    assert here.moved_towards(there, 0.0) is here
    assert here.moved_towards(there, 1.0) is there
    step = np.linalg.norm(here.moved_towards(there, 0.01).position_mm - here.position_mm)
    middle = np.linalg.norm(here.moved_towards(there, 0.51).position_mm - here.moved_towards(there, 0.5).position_mm)
    assert step < 0.05 * middle
    half = here.moved_towards(there, 0.5)
    assert half.position_mm == pytest.approx(300 * direction_at(315, 0), abs=1e-9)
    assert half.up == pytest.approx((0, 0, 1), abs=1e-12)


def test_a_half_turn_goes_round_the_patient_and_not_over_the_head():
    half = camera_from("behind").moved_towards(camera_from("front"), 0.5)
    assert abs(half.position_mm[2]) < 1e-9
    assert half.distance_mm == pytest.approx(400.0)


@given(angles, st.floats(-50, 50))
def test_framing_fills_the_picture_without_cropping(azimuth, elevation):
    box = np.array([[x, y, z] for x in (-30, 40) for y in (-50, 20) for z in (-80, 60)], float)
    camera = framing((azimuth, elevation), box, SIZE, fill=0.9)
    pixels, _ = camera.project(box, SIZE)
    shares = np.abs(pixels / SIZE - 0.5) * 2
    assert shares.max() == pytest.approx(0.9, abs=0.02)
    assert (pixels.max(0) + pixels.min(0)) / 2 == pytest.approx(np.array(SIZE) / 2, abs=0.02 * SIZE[0])


@given(points, angles)
def test_clip_range_holds_the_box(centre, azimuth):
    camera = camera_from((azimuth, 10.0), (0, 0, 0), 700.0)
    box = np.array([np.array(centre) - 90, np.array(centre) + 90])
    near, far = camera.clip_range_mm(box)
    corners = np.array([[x, y, z] for x in box[:, 0] for y in box[:, 1] for z in box[:, 2]])
    _, depth = camera.project(corners, SIZE)
    assert 0 < near <= depth.min()
    assert depth.max() <= far


def test_nearer_and_shifted_do_what_they_say():
    camera = camera_from("behind", (1, 2, 3), 400.0)
    assert camera.nearer(2.0).distance_mm == pytest.approx(200.0)
    pixels, _ = camera.shifted(0.1, -0.05).project([(1, 2, 3)], SIZE)
    assert pixels[0] == pytest.approx((320 + 40, 200 + 20), abs=1e-9)


def test_orbit_keeps_distance_and_target():
    camera = camera_from((0, 0), (1, 2, 3), 400.0)
    turned = camera.orbited(30.0, 20.0)
    assert turned.distance_mm == pytest.approx(400.0)
    assert turned.position_mm == pytest.approx(camera_from((30, 20), (1, 2, 3), 400.0).position_mm, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"view_angle_deg": 0.0}, "view_angle_deg must be more than 0"),
        ({"target_mm": (0, -400, 0)}, "position_mm and target_mm must differ"),
        ({"up": (0, 1, 0)}, "up must not lie along the line of sight"),
    ],
)
def test_an_impossible_camera_is_refused(wrong, message):
    given_ = {"position_mm": (0, -400, 0), "target_mm": (0, 0, 0), "up": (0, 0, 1), **wrong}
    with pytest.raises(ValueError, match=message):
        Camera(**given_)


def test_equal_numbers_make_equal_cameras():
    assert camera_from("behind") == camera_from("behind")
    assert hash(camera_from("behind")) == hash(camera_from("behind"))
    assert camera_from("behind") != camera_from("behind", distance_mm=401)
    assert camera_from("behind").world_from_camera.rotation == pytest.approx(
        Frame(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])).rotation
    )
