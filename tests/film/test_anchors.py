"""Where labels hang."""

import numpy as np
import pytest

from spineviz.anatomy.structure import Structure
from spineviz.film.anchors import NOWHERE, facing, surface_towards
from spineviz.geometry.fields import sphere
from spineviz.views.labels import label_size, place_labels
from spineviz.views.layout import Rect

BALL = Structure("ball", "bone", "cortical", sphere((10.0, 0.0, 0.0), 5.0), None, "ball", 30)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [(1.0, 0.0, 0.0), (0.0, -2.0, 0.0), (1.0, 1.0, 1.0)])
def test_a_point_faces_the_way_it_is_asked(way):
    expected = np.array([10.0, 0.0, 0.0]) + 5.0 * np.array(way) / np.linalg.norm(way)
    assert facing({"ball": BALL}, "ball", way) == pytest.approx(expected, abs=0.6)


def test_a_ray_that_meets_nothing_stays_where_it_is():
    assert surface_towards(BALL.field, (10.0, 0.0, 20.0), (0.0, 0.0, 1.0)) == (10.0, 0.0, 20.0)


def test_what_does_not_exist_yet_is_nowhere_and_takes_no_place():
    assert facing({}, "tumour", (1.0, 0.0, 0.0)) is NOWHERE
    assert place_labels([NOWHERE[:2]], [label_size("tumour")], Rect(0, 0, 900, 600)) == (None,)
