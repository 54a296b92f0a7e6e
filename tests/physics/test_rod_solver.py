"""Rods that are sought side by side lie as each does that is sought alone."""

import numpy as np
import pytest
from test_rod import CATHETER, SHAPED, WIRE, course, rest, ring, straight

from spineviz.data.errors import RequestError
from spineviz.physics.rod import coursing, resting, turned_back
from spineviz.physics.rod_solver import _banded, together

ASKED = [
    (straight(150.0, 4.0), CATHETER, 90.0, None),
    (ring(60.0, 1.8, 3.0), CATHETER, 100.0, None),
    (ring(60.0, 1.8, 3.0), SHAPED, 70.0, (WIRE, 40.0)),
    (ring(25.0, 2.5, 2.5), WIRE, 50.0, None),
]


def test_each_lies_as_it_does_alone():
    side_by_side = together([resting(*asked) for asked in ASKED])
    for asked, found in zip(ASKED, side_by_side, strict=True):
        alone = rest(*asked)
        assert np.abs(found.points_mm - alone.points_mm).max() < 1e-6
        assert found.clearance_mm == pytest.approx(alone.clearance_mm, abs=1e-6)


def test_the_same_rods_side_by_side_are_the_same_to_the_last_bit():
    one, two = (together([resting(*asked) for asked in ASKED]) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        assert np.array_equal(first.points_mm, second.points_mm)


def test_a_task_may_wait_for_others():
    def tree(depth):
        if not depth:
            return (yield from resting(*ASKED[0])).length_mm
        return sum((yield [tree(depth - 1), tree(depth - 1)]))

    (found,) = together([tree(3)])
    assert found == pytest.approx(8 * rest(*ASKED[0]).length_mm, rel=1e-9)


def test_nothing_to_do_is_done():
    def idle():
        return (yield [])

    assert together([]) == []
    assert together([idle()]) == [[]]


def test_what_one_refuses_is_said():
    with pytest.raises(RequestError, match="too much"):
        together([resting(*ASKED[0]), resting(straight(50.0, 4.0), CATHETER, 90.0)])


def test_a_course_beside_others_is_that_course():
    lumen, steps = ring(60.0, 1.8, 3.0), np.arange(20.0, 100.0, 15.0)
    alone = course(lumen, CATHETER, steps)
    found, _ = together([coursing(lumen, CATHETER, steps), coursing(lumen, WIRE, steps)])
    assert np.array_equal(found.stations, alone.stations)
    for one, two in zip(found.shapes, alone.shapes, strict=True):
        assert np.abs(one.points_mm - two.points_mm).max() < 1e-4


def test_turned_back_it_ends_where_it_began():
    way = course(ring(60.0, 1.8, 3.0), CATHETER, np.arange(20.0, 100.0, 15.0))
    back = turned_back(way)
    for station in (0.0, 0.4, 1.0, 2.7):
        end = float(way.stations[-1])
        assert np.abs(back.at(end - station).tip_mm - way.at(station).tip_mm).max() < 1e-6


def test_bands_hold_the_lower_half_of_the_block_matrix():
    rng = np.random.default_rng(3)
    width = 6
    own, first, second = rng.normal(size=(6, width)), rng.normal(size=(3, 3, width - 1)), rng.normal(size=(3, 3, 4))
    whole = np.zeros((3 * width, 3 * width))
    for k in range(width):
        for number, (i, j) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
            whole[3 * k + i, 3 * k + j] = whole[3 * k + j, 3 * k + i] = own[number, k]
    for blocks, apart in ((first, 1), (second, 2)):
        for k in range(width - apart):
            here, there = slice(3 * k, 3 * k + 3), slice(3 * (k + apart), 3 * (k + apart) + 3)
            whole[here, there], whole[there, here] = blocks[:, :, k], blocks[:, :, k].T
    bands = _banded(own, first, second)
    for below in range(9):
        assert np.array_equal(bands[below, : 3 * width - below], np.diagonal(whole, -below))
