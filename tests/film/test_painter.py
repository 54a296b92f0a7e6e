"""Windows of the stage: few are open, and what they show does not depend on it."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.film.painter import STAGE_CLOSES_AFTER, Painter
from spineviz.film.shot import FluoroShot, StageShot
from spineviz.geometry.fields import sphere
from spineviz.geometry.meshes import mesh_field
from spineviz.views.camera import Camera
from spineviz.views.projection import projection
from spineviz.views.stage import StageLook
from spineviz.views.theme import theme

BALL = sphere([0, 0, 0], 10.0)
PARTS = {
    "L1": Structure("L1", "bone", "cortical", BALL, lambda s: mesh_field(BALL, s), "ball-of-windows", RANKS["bone"])
}
LARGE, OTHER, SMALL = (128, 96), (120, 96), (32, 24)


def shot(turn: float = 0.0) -> StageShot:
    return StageShot(Camera((80.0 + turn, -60.0, 20.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), StageLook())


@pytest.fixture
def painter():
    made = Painter(theme("dark"))
    yield made
    made.close()


def open_windows(painter: Painter) -> set[tuple[int, int]]:
    return {size for size, _ in painter._stages}


def test_a_large_window_gives_way_to_another_and_a_small_one_stays(painter):
    painter.stage(LARGE, PARTS, shot())
    painter.stage(SMALL, PARTS, shot())
    assert open_windows(painter) == {LARGE, SMALL}
    painter.stage(OTHER, PARTS, shot())
    assert open_windows(painter) == {OTHER}


def test_windows_that_are_drawn_in_turn_stay_open(painter):
    for turn in range(4):
        for size in (LARGE, OTHER):
            painter.stage(size, PARTS, shot(turn))
    assert open_windows(painter) == {LARGE, OTHER}


def test_a_window_that_is_not_drawn_is_closed_after_a_while(painter):
    painter.stage(SMALL, PARTS, shot())
    for turn in range(STAGE_CLOSES_AFTER):
        painter.stage(LARGE, PARTS, shot(turn))
    assert open_windows(painter) == {LARGE}


def test_what_is_forgotten_leaves_no_window_and_no_turn(painter):
    for size in (LARGE, OTHER):
        painter.stage(size, PARTS, shot())
    painter.forget()
    assert open_windows(painter) == set()
    for size in (OTHER, LARGE):  # LARGE was just closed, but nobody remembers
        painter.stage(size, PARTS, shot())
    assert open_windows(painter) == {LARGE}


def test_pictures_are_the_same_whichever_windows_were_closed(painter):
    fresh = painter.stage(LARGE, PARTS, shot(1.0))
    for size in (OTHER, SMALL, OTHER):
        painter.stage(size, PARTS, shot(2.0))
    assert np.array_equal(painter.stage(LARGE, PARTS, shot(1.0)), fresh)


def test_what_no_view_looked_through_since_the_last_piece_is_given_back(painter):
    front, side = (FluoroShot(projection(name), live=False) for name in ("ap", "lateral"))
    for seen in (front, side):
        painter.fluoroscopy(SMALL, PARTS, seen, 0.0, 12.0)
    painter.forget()
    assert len(painter._fluoroscopes) == 2
    picture = painter.fluoroscopy(SMALL, PARTS, side, 0.0, 12.0)
    painter.forget()
    assert [key for _, key in painter._fluoroscopes] == [side.projection.key]
    assert np.array_equal(painter.fluoroscopy(SMALL, PARTS, side, 0.0, 12.0), picture)
    painter.forget()
    painter.forget()
    assert not painter._fluoroscopes
