"""Frames: a group that keeps lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import direction, frames, vector

from spineviz.geometry.frames import Frame, looking_along, rotation_about, translation


@given(frames(), frames(), vector)
def test_frames_chain_and_undo(world_from_a, a_from_b, point):
    there = (world_from_a @ a_from_b).point(point)
    assert there == pytest.approx(world_from_a.point(a_from_b.point(point)), abs=1e-9)
    assert (world_from_a.inverse() @ world_from_a).matrix == pytest.approx(np.eye(4), abs=1e-9)
    assert world_from_a.matrix @ [*point, 1] == pytest.approx([*world_from_a.point(point), 1], abs=1e-9)


@given(frames(), vector, vector)
def test_frames_keep_lengths_and_hands(frame, a, b):
    assert np.linalg.norm(frame.point(a) - frame.point(b)) == pytest.approx(np.linalg.norm(a - b), abs=1e-9)
    assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    assert frame.points(np.stack([a, b])) == pytest.approx(np.stack([frame.point(a), frame.point(b)]))
    assert frame.vector(a - b) == pytest.approx(frame.point(a) - frame.point(b), abs=1e-9)


@given(direction, st.floats(-720.0, 720.0), vector)
def test_rotation_leaves_its_axis_and_turns_by_its_angle(axis, angle_deg, centre):
    turn = rotation_about(axis, angle_deg, centre)
    assert turn.point(centre + 3.0 * axis) == pytest.approx(centre + 3.0 * axis, abs=1e-8)
    assert np.trace(turn.rotation) == pytest.approx(1 + 2 * np.cos(np.deg2rad(angle_deg)), abs=1e-9)


def test_rotation_is_right_handed():
    assert rotation_about((0, 0, 1), 90.0).point((1, 0, 0)) == pytest.approx([0, 1, 0], abs=1e-12)


@given(vector, direction, direction)
def test_looking_along_faces_forward_with_up_nearest(origin, forward, up):
    frame = looking_along(origin, forward, up)
    assert frame.rotation.T @ frame.rotation == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(frame.rotation) == pytest.approx(1.0)
    assert frame.vector((0, 0, 1)) == pytest.approx(forward / np.linalg.norm(forward))
    assert (
        frame.vector((1, 0, 0)) @ up / np.linalg.norm(up) == pytest.approx(0.0, abs=1e-6)
        or np.linalg.norm(np.cross(forward, up)) < 1e-8 * np.linalg.norm(forward) * np.linalg.norm(up) + 1e-4
    )
    assert frame.vector((0, 1, 0)) @ up >= -1e-6 * np.linalg.norm(up)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1)])
def test_looking_along_its_own_up_still_gives_a_frame(axis):
    frame = looking_along((0, 0, 0), axis, axis)
    assert frame.rotation.T @ frame.rotation == pytest.approx(np.eye(3))


def test_the_default_frame_is_the_world():
    assert (Frame() @ translation((1, 2, 3))).point((0, 0, 0)) == pytest.approx([1, 2, 3])
