"""The sacrum: one closed bone of the published totals that carries L5."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spineviz.anatomy import bones, sacrum
from spineviz.anatomy.column import column
from spineviz.data.assets import asset
from spineviz.data.tables import sourced_table


@pytest.fixture(scope="module")
def mesh():
    return bones.carved_mesh("sacrum", 1.2)


def value(name):
    return sourced_table(asset("anatomy", "sacrum.csv"))[name].value


def test_it_is_closed_of_one_piece_and_symmetric(mesh):
    assert mesh.is_closed
    assert mesh.pieces == 1
    points = mesh.points_mm + np.array([0.05, 0.02, -0.03])
    field = bones.carved_field("sacrum")
    assert np.allclose(field(points), field(points * [-1.0, 1.0, 1.0]), atol=1e-4)


def test_width_and_height_are_the_published_ones(mesh):
    width = np.ptp(mesh.points_mm[:, 0])
    assert width == pytest.approx(value("width_mm"), rel=0.03)
    # height: from the promontory to the apex
    promontory = np.array([0.0, value("upper_endplate_depth_mm") / 2, 0.0])
    apex = sacrum.axis_points()[-1]
    assert np.linalg.norm(promontory - apex) == pytest.approx(value("height_mm"), rel=0.05)


def test_the_endplate_carries_the_disc_of_l5(mesh):
    field = sacrum.endplate_field()
    x = np.linspace(-30, 30, 601)
    across = field(np.column_stack([x, np.zeros_like(x), np.full_like(x, -2.5)])) < 0
    along = field(np.column_stack([np.zeros_like(x), x, np.full_like(x, -2.5)])) < 0
    assert np.ptp(x[across]) == pytest.approx(value("upper_endplate_width_mm"), rel=0.04)
    assert np.ptp(x[along]) == pytest.approx(value("upper_endplate_depth_mm"), rel=0.05)
    assert field(np.array([[0.0, 0.0, -0.5]]))[0] > 0  # hollow in the middle


def test_it_bends_forward_and_thins_to_its_apex():
    line = sacrum.axis_points()
    back = line[:, 1].argmin()
    assert 40 < back < 105  # most posterior in its lower half
    assert line[-1, 1] > line[back, 1] + 3.0
    field = bones.carved_field("sacrum")
    widths = []
    for way in (20, 55, 90, 108):
        x = np.linspace(0, 60, 241)
        points = np.array([sacrum.at(way, v) for v in x])
        widths.append(x[field(points) < 0].max())
    assert all(a > b for a, b in pairwise(widths))


def test_the_canal_is_open_from_s1_to_the_hiatus():
    field = bones.carved_field("sacrum")
    inner = sacrum.canal_centres()[3:-4]
    assert (field(inner) > 0.5).all()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_foramen_leads_from_the_canal_to_the_front_and_to_the_back(number):
    field = bones.carved_field("sacrum")
    for side in (1.0, -1.0):
        flip = np.array([side, 1.0, 1.0])
        mouth, fork = sacrum.foramen_mouth(number), sacrum.foramen_fork(number)
        front = sacrum.anterior_foramen(number, 1.0)
        for a, b in ((mouth, fork), (fork, front)):
            way = a + np.linspace(0, 1, 40)[:, None] * (b - a)
            assert (field(way * flip) > 0.5).all()
        # bone between the foramina and the middle of the body
        assert field(np.array([sacrum.at(40.0)]))[0] < 0


def test_the_first_anterior_foramen_is_as_wide_as_published():
    # the room round its middle is a ball of half its width; laterally it opens onto the wing
    room = bones.carved_field("sacrum")(sacrum.anterior_foramen(1, 1.0)[None])[0]
    assert 2 * room == pytest.approx(value("anterior_foramen_1_width_mm"), abs=1.5)


def test_the_endplate_is_bare_bone_of_the_whole_sacrum():
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-18, 18, 19), np.linspace(-11, 12, 13)))
    over, under = (np.column_stack([x, y, np.full_like(x, z)]) for z in (0.4, -2.2))
    assert (sacrum.uncarved()(over) > 0).all()
    assert (sacrum.uncarved()(under) < 0).all()


def test_it_meets_l5_and_stands_behind_and_below_it():
    here = column("L1")
    frame = here.world_from_sacrum
    l5 = here.world_from_vertebra("L5").origin_mm
    assert frame.origin_mm[2] < l5[2] - 10
    assert frame.origin_mm[1] < l5[1]
    mesh = bones.bone(here, "sacrum").world_mesh(1.2)
    assert mesh.points_mm[:, 1].min() < frame.origin_mm[1] - 60  # it slopes backward
