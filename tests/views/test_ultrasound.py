"""The ultrasound picture: depth, what is black and bright, what sound leaves behind, one grain for one tissue."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.geometry.fields import Field, box, capsule, sphere
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.operators import moved
from spineviz.views.ultrasound import (
    _reverberated,
    _speckle,
    brightness,
    draw_ultrasound,
    face_mm,
    figure,
    picture_number,
    pixel_mm,
    seen_frame,
)

SIZE, HALF_MM, DEPTH_MM = (280, 240), 24.0, 22.0
PLANE = Frame(np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]]), np.zeros(3))
"""Across the groin as seen from the feet: front up, the patient's right on the left."""
KEYS = count()


def part(name: str, role: str, field: Field, rank: int | None = None) -> Structure:
    place = RANKS.get(role, 42) if rank is None else rank
    return Structure(name, role, role, field, None, f"{name}-{next(KEYS)}", place)


def tube(x_mm: float, y_mm: float, radius_mm: float) -> Field:
    return capsule((x_mm, y_mm, -30.0), (x_mm, y_mm, 30.0), radius_mm)


def up_to(y_mm: float) -> Field:
    """A block of tissue whose flat front lies at `y_mm`."""
    return box((0.0, y_mm - 60.0, 0.0), (180.0, 120.0, 80.0))


THIGH = part("skin", "skin", up_to(DEPTH_MM))
MUSCLE = part("muscle", "muscle", up_to(12.0))
ARTERY = part("artery", "artery", tube(0.0, 0.0, 4.5))
VEIN = part("vein", "vein", tube(-12.0, -1.0, 5.5))
NERVE = part("nerve", "nerve", tube(13.0, 0.0, 3.0), 43)
HEAD = part("femur", "bone", sphere((0.0, -36.0, 0.0), 22.0))


def seen(*parts: Structure, seed: int = 7, plane: Frame = PLANE, size=SIZE, pulse: int = 0) -> np.ndarray:
    frame = seen_frame(plane, DEPTH_MM, HALF_MM, size)
    return brightness({p.name: p for p in (THIGH, MUSCLE, *parts)}, frame, HALF_MM, size, seed, pulse)


def around(picture: np.ndarray, x_mm: float, y_mm: float, reach_mm: float = 1.5) -> float:
    """The mean round a point of the world in the plane."""
    px = pixel_mm(HALF_MM, SIZE)
    row, column = (DEPTH_MM - y_mm) / px, SIZE[0] / 2 - x_mm / px
    reach = reach_mm / px
    return float(picture[round(row - reach) : round(row + reach), round(column - reach) : round(column + reach)].mean())


def test_blood_is_black_muscle_grey_nerve_and_skin_bright():
    picture = seen(ARTERY, VEIN, NERVE)
    blood = max(around(picture, 0.0, 0.0), around(picture, -12.0, -1.0))
    muscle, nerve = around(picture, 0.0, -16.0, 3.0), around(picture, 13.0, 0.0)
    skin = around(picture, 0.0, DEPTH_MM - 1.0, 0.6)
    assert blood < 0.15
    assert blood + 0.2 < muscle < nerve - 0.05
    assert skin > muscle


def test_a_wall_is_bright_where_sound_meets_it_square_on():
    picture = seen(ARTERY)
    for y_mm in (4.5, -4.5):
        assert around(picture, 0.0, y_mm, 0.5) > 0.75
    assert around(picture, 4.5, 0.0, 0.4) < around(picture, 0.0, 4.5, 0.4) - 0.2


def test_what_lies_behind_blood_is_brighter_and_behind_bone_black():
    plain, behind = seen(), seen(ARTERY)
    gained_db = (around(behind, 0.0, -9.0) - around(plain, 0.0, -9.0)) * figure("range_db")
    lost = 2.0 * figure("frequency_mhz") / 10.0 * (figure("loss_muscle") - figure("loss_blood"))
    assert gained_db == pytest.approx(9.0 * lost, abs=1.5)  # 9 mm of blood in place of muscle
    bone = seen(HEAD)
    assert around(bone, 0.0, -14.0, 0.5) > 0.85
    assert around(bone, 0.0, -20.0) < 0.12
    assert around(bone, 19.0, -16.0) == pytest.approx(around(plain, 19.0, -16.0), abs=0.02)  # beside it nothing is lost


def test_a_needle_is_the_brightest_and_echoes_below_itself():
    needle = part("needle", "steel", capsule((30.0, 12.0, 0.0), (-30.0, 12.0, 0.0), 0.6))
    picture, plain = seen(needle), seen()
    assert around(picture, 0.0, 12.0, 0.5) > 0.9
    px = pixel_mm(HALF_MM, SIZE)
    more = (picture - plain).mean(axis=1)[round((DEPTH_MM - 12.0) / px) :]
    turns = [round(turn * figure("echo_gap_mm") / px) for turn in (1, 2)]
    between = round(1.5 * figure("echo_gap_mm") / px)
    assert more[turns[0]] > more[turns[1]] > 0.05
    assert more[turns[0]] > more[between]


@given(st.integers(8, 60), st.floats(0.1, 0.4))
def test_reverberations_never_outshine_the_needle(row, px_mm):
    metal = np.zeros((120, 3), np.float32)
    metal[row, 1] = 1.0
    out = _reverberated(metal, px_mm)
    assert out[row, 1] == 1.0
    assert (out[:row] == 0.0).all()
    below = out[row + 1 :, 1]
    assert below.max() < 0.6
    echoes = below[below > 0.0]
    assert (np.diff(echoes) < 0.0).all()
    assert not out[:, [0, 2]].any()


def test_the_grain_is_rayleigh_before_looks_are_added():
    """Of one look the deviation is 0.523 of the mean; of n independent ones that over the root of n."""
    grain = _speckle((400, 400), (1.5, 2.5), 3)
    assert grain.mean() == pytest.approx(1.0, abs=1e-5)
    expected = np.sqrt(4.0 / np.pi - 1.0) / np.sqrt(figure("looks"))
    assert grain.std() == pytest.approx(expected, rel=0.06)


def test_the_grain_belongs_to_the_tissue_and_the_noise_to_the_picture():
    one, same, next_one, other = seen(), seen(), seen(pulse=1), seen(seed=8)
    assert (one == same).all()
    assert 0.0 < np.abs(one - next_one).mean() < 0.006 < np.abs(one - other).mean()
    assert picture_number(0.999 / figure("pictures_per_s")) == 0
    assert picture_number(1.0 / figure("pictures_per_s")) == 1


@settings(max_examples=8)
@given(st.floats(-180.0, 180.0), st.floats(-50.0, 50.0))
def test_world_and_probe_moved_together_leave_walls_and_shadows_where_they_are(angle_deg, shift_mm):
    world = translation((shift_mm, 7.0, -shift_mm)) @ rotation_about((1.0, 2.0, 3.0), angle_deg)
    parts = [part(p.name, p.role, moved(p.field, world), p.rank) for p in (THIGH, MUSCLE, ARTERY, HEAD)]
    frame = seen_frame(world @ PLANE, DEPTH_MM, HALF_MM, SIZE)
    there = brightness({p.name: p for p in parts}, frame, HALF_MM, SIZE, 7)
    here = seen(ARTERY, HEAD)
    for x_mm, y_mm, reach_mm in ((0.0, 0.0, 1.5), (0.0, -4.5, 0.4), (0.0, -14.0, 0.5), (0.0, -22.0, 1.5)):
        assert around(there, x_mm, y_mm, reach_mm) == pytest.approx(around(here, x_mm, y_mm, reach_mm), abs=0.03)


def test_depth_is_told_from_the_probe_and_the_skin_is_at_the_top():
    assert face_mm(THIGH.field, PLANE, 20.0) == pytest.approx(DEPTH_MM, abs=0.5)
    dome = sphere((0.0, 0.0, 0.0), 50.0)
    assert face_mm(dome, PLANE, 20.0) == pytest.approx(50.0, abs=0.5)
    upper = seen_frame(PLANE, DEPTH_MM, HALF_MM, SIZE).points([[0.0, SIZE[1] / 2 * pixel_mm(HALF_MM, SIZE), 0.0]])
    assert upper[0] == pytest.approx((0.0, DEPTH_MM, 0.0))


@pytest.mark.parametrize("size", [(280, 240), (572, 300), (300, 420)])
def test_sides_and_depth_are_written_and_what_the_probe_does_not_cover_is_ground(size):
    structures = {p.name: p for p in (THIGH, MUSCLE, ARTERY)}
    picture = draw_ultrasound(structures, PLANE, HALF_MM, size, seed=7, depth_mm=DEPTH_MM)
    bare = seen(ARTERY, size=size)
    px = pixel_mm(HALF_MM, size)
    half = round(figure("probe_mm") / 2 / px)
    assert picture.shape == (size[1], size[0], 3)
    if size[0] / 2 > half + 20:
        assert len(np.unique(picture[:, : size[0] // 2 - half - 2].reshape(-1, 3), axis=0)) == 1
    changed = np.abs(picture[:, :, 0] / 255.0 - bare) > 0.02
    left, right = max(0, size[0] // 2 - half), min(size[0], size[0] // 2 + half)
    corner = round(14.0 / 48.0 * min(size) / 2)
    assert changed[:corner, left + 2 : left + corner].any()  # R
    assert changed[:corner, right - corner : right - 2].any()  # L
    for mm in (10.0, 20.0, 30.0):
        row = round(mm / px)
        assert changed[row - 1 : row + 1, right - corner : right + corner].any()


def test_a_picture_without_a_size_is_refused():
    for size, half in (((0, 100), 20.0), ((100, 100), 0.0)):
        with pytest.raises(ValueError, match="more than 0"):
            draw_ultrasound({}, PLANE, half, size)
