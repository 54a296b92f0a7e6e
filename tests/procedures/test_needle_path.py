"""The search for a path, in a bone made of a ball and a tube, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.geometry.fields import box, capsule, cylinder
from spineviz.geometry.frames import rotation_about, translation
from spineviz.geometry.operators import union
from spineviz.procedures.needle_path import NoPathError, Rules, Surroundings, find_path

RULES = Rules(least_bone_mm=0.5, front_share=1 / 3, tip_to_cortex_mm=2.5)


def around(side: str = "right", pedicle_mm: float = 9.0, medial_deg: float = 10.0) -> Surroundings:
    """A box body (44 x 34 x 26) with a round pedicle that leads to it past a round canal."""
    sign = 1.0 if side == "right" else -1.0
    frame = translation([sign * 16.0, -21.0, 2.0]) @ rotation_about([0, 0, 1], sign * medial_deg)
    axis = frame.rotation[:, 1]
    bone = union(
        box([0, 0, 0], [44, 34, 26], 3),
        capsule(frame.origin_mm - 14 * axis, frame.origin_mm + 8 * axis, pedicle_mm / 2),
    )
    canal = cylinder([0, -26, -40], [0, -26, 40], 11.0)
    return Surroundings(
        side=side,
        bone=bone.distance,
        canal=canal.distance,
        pedicle=frame,
        pedicle_width_mm=pedicle_mm,
        pedicle_height_mm=pedicle_mm,
        entry_mm=frame.origin_mm - 16 * axis,
        back_wall_y_mm=-17.0,
        front_wall_y_mm=17.0,
        inner_edge_x_mm=9.0,
        middle_z_mm=np.zeros_like,
    )


def surface_of(path, start_mm: float, end_mm: float) -> np.ndarray:
    """Points on the needle between two ways behind its tip."""
    first = np.cross(path.forward, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    second = np.cross(first, path.forward)
    way, angle = np.meshgrid(np.arange(start_mm, end_mm, 0.2), np.linspace(0, 2 * np.pi, 48))
    ring = np.cos(angle)[..., None] * first + np.sin(angle)[..., None] * second
    return (path.tip_mm - way[..., None] * path.forward + path.radius_mm * ring).reshape(-1, 3)


@given(st.sampled_from([0.9, 1.2, 1.5, 2.1]), st.floats(7.0, 12.0), st.floats(0.0, 20.0), st.floats(-2.0, 9.0))
@settings(max_examples=15)
def test_a_path_is_safe_or_there_is_none(radius, pedicle, medial, target):
    here = around("right", pedicle, medial)
    try:
        path = find_path(here, radius, RULES, target)
    except NoPathError:
        return
    contact = float((path.tip_mm - path.contact_mm) @ path.forward)
    inside = surface_of(path, 0.0, contact - path.seat_mm)
    assert -here.bone(inside).max() >= RULES.least_bone_mm - 0.05
    assert here.canal(surface_of(path, 0.0, contact)).min() >= RULES.least_bone_mm - 0.05
    assert here.front_wall_y_mm - path.tip_mm[1] <= here.body_depth_mm / 3 + 1e-9
    assert -here.bone(path.tip_mm[None])[0] >= RULES.tip_to_cortex_mm - 1e-6
    assert path.wall_mm[1] == pytest.approx(here.back_wall_y_mm)
    assert path.wall_mm[0] >= here.inner_edge_x_mm - 1e-9


def test_a_needle_as_thick_as_the_pedicle_finds_no_way():
    with pytest.raises(NoPathError) as error:
        find_path(around(pedicle_mm=4.0), 1.6, RULES, 8.0)
    assert error.value.where == "pedicle"
    assert error.value.room_mm == pytest.approx(1.5, abs=0.15)


def test_left_is_right_seen_in_a_mirror():
    right, left = (find_path(around(side), 1.5, RULES, 8.0) for side in ("right", "left"))
    flip = np.array([-1.0, 1.0, 1.0])
    assert np.allclose(left.tip_mm * flip, right.tip_mm)
    assert np.allclose(left.forward * flip, right.forward)
    assert left.pedicle_bone_mm == pytest.approx(right.pedicle_bone_mm)


def test_the_tip_goes_where_it_is_wanted():
    for target in (7.0, 3.0):
        path = find_path(around(pedicle_mm=11.0, medial_deg=15.0), 1.2, RULES, target)
        assert path.tip_mm[0] == pytest.approx(target, abs=1.0)


def test_the_same_question_has_the_same_answer():
    first, again = (find_path(around(), 1.5, RULES, 8.0) for _ in range(2))
    assert np.array_equal(first.tip_mm, again.tip_mm)
    assert np.array_equal(first.forward, again.forward)
