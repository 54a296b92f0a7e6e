"""Labels never overlap, and their lines never cross."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spineviz.views.labels import (
    BOX_GAP,
    draw_label,
    draw_leader,
    label_size,
    line_meets,
    lines_cross,
    place_labels,
    settled,
    spaced,
)
from spineviz.views.layout import Rect
from spineviz.views.theme import theme

AREA = Rect(40, 24, 1214, 866)
TITLE = Rect(0, 0, 760, 126)

ANCHORS = st.lists(st.tuples(st.floats(0, 1290), st.floats(0, 914)), min_size=1, max_size=9)
WORDS = ["cement", "needle, 11 gauge", "spinal cord", "disc", "tumour", "root", "healthy vertebra above", "dura", "L1"]


def sizes_of(count):
    return [label_size(word) for word in WORDS[:count]]


def assert_clean(places, anchors, area=AREA, keep=(TITLE,)):
    kept = [(place, anchor) for place, anchor in zip(places, anchors, strict=True) if place is not None]
    for place, anchor in kept:
        assert area.holds(place.box)
        assert not any(place.box.meets(rect) or line_meets(place.port, anchor, rect) for rect in keep)
    for (one, at_one), (two, at_two) in combinations(kept, 2):
        assert not one.box.meets(two.box)
        assert not lines_cross(one.port, at_one, two.port, at_two)
        assert not line_meets(one.port, at_one, two.box)
        assert not line_meets(two.port, at_two, one.box)


@given(ANCHORS, st.lists(st.sampled_from(["left", "right", ""]), min_size=9, max_size=9))
def test_labels_never_overlap_and_lines_never_cross(anchors, sides):
    places = place_labels(anchors, sizes_of(len(anchors)), AREA, sides[: len(anchors)], keep_clear=(TITLE,))
    assert_clean(places, anchors)


@given(st.lists(st.tuples(st.floats(480, 780), st.floats(160, 860)), min_size=1, max_size=8, unique=True))
def test_nothing_is_left_out_where_there_is_room(anchors):
    ys = sorted(y for _, y in anchors)
    assume(all(b - a > 2.0 for a, b in pairwise(ys)))
    places = place_labels(anchors, sizes_of(len(anchors)), AREA, keep_clear=(TITLE,))
    assert None not in places


@given(ANCHORS, st.floats(-200, 200), st.floats(-200, 200))
def test_moving_the_screen_moves_the_places(anchors, dx, dy):
    sizes = sizes_of(len(anchors))
    here = place_labels(anchors, sizes, AREA)
    there = place_labels(np.array(anchors) + np.array([dx, dy]), sizes, Rect(AREA.x + dx, AREA.y + dy, AREA.w, AREA.h))
    # a point that lies on the area's very edge may fall to either side by rounding
    assume(
        all(min(abs(x - AREA.x), abs(x - AREA.right), abs(y - AREA.y), abs(y - AREA.bottom)) > 0.01 for x, y in anchors)
    )
    assert [p is None for p in here] == [p is None for p in there]


def test_when_crowded_the_least_important_is_left_out():
    count = 30
    anchors = [(600.0 + i, 150.0 + 20 * i) for i in range(count)]
    importance = [float(i) for i in range(count)]
    places = place_labels(anchors, [label_size("cement")] * count, AREA, importance=importance)
    shown = [weight for weight, place in zip(importance, places, strict=True) if place is not None]
    assert len(shown) >= 20
    assert min(shown) >= count - 2 * int((AREA.h + BOX_GAP) // (label_size("cement")[1] + BOX_GAP))


def test_a_wish_is_granted_where_it_harms_nothing():
    anchors = [(600.0, 300.0), (640.0, 500.0), (620.0, 700.0)]
    places = place_labels(anchors, sizes_of(3), AREA, ["left", "right", "left"])
    assert [place.side for place in places] == ["left", "right", "left"]


def test_places_pushed_together_are_given_out_so_that_no_line_crosses():
    # all wish for the same column, whose top pushes their places down: by height alone the lines would cross
    anchors = [(500.0, 30.0), (700.0, 34.0), (1000.0, 38.0), (900.0, 50.0)]
    places = place_labels(anchors, [label_size("cement")] * 4, AREA, ["right"] * 4)
    assert [place.side for place in places] == ["right"] * 4
    assert_clean(places, anchors, keep=())


def test_a_wish_that_would_cross_gives_way():
    # each wishes for the far side, at the same height: the lines would run over each other
    anchors = [(400.0, 400.0), (900.0, 400.0)]
    places = place_labels(anchors, sizes_of(2), AREA, ["right", "left"])
    assert None not in places
    assert_clean(places, anchors)


def test_points_outside_the_area_or_nowhere_are_left_out():
    places = place_labels([(600.0, 2000.0), (np.nan, np.nan), (600.0, 400.0)], sizes_of(3), AREA)
    assert places[0] is None
    assert places[1] is None
    assert places[2] is not None


@given(ANCHORS, ANCHORS)
def test_places_stay_while_anchors_move_and_what_collides_is_not_drawn(anchors, moved):
    count = min(len(anchors), len(moved))
    places = place_labels(anchors[:count], sizes_of(count), AREA, keep_clear=(TITLE,))
    drawn = settled(places, moved[:count], AREA, [1.0] * count, (TITLE,))
    assert all(now is None or now == place for now, place in zip(drawn, places, strict=True))
    assert_clean(drawn, moved[:count])


@given(st.lists(st.floats(0, 900), min_size=1, max_size=10).map(sorted))
def test_spacing_is_kept_and_nothing_moves_without_need(wanted):
    low, high, step = 0.0, 900.0, 68.0
    out = spaced(wanted, low, high, step)
    assert all(low - 1e-6 <= value <= high + 1e-6 for value in out)
    assert all(b - a >= step - 1e-6 for a, b in pairwise(out))
    if all(b - a >= step for a, b in pairwise(wanted)):
        assert out == pytest.approx(wanted)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=4, max_size=4))
def test_crossing_does_not_depend_on_the_order_of_points(points):
    a, b, c, d = points
    answers = {lines_cross(a, b, c, d), lines_cross(b, a, c, d), lines_cross(c, d, a, b), lines_cross(d, c, b, a)}
    assert len(answers) == 1


def test_crossings_by_hand():
    assert lines_cross((0, 0), (2, 2), (0, 2), (2, 0))
    assert lines_cross((0, 0), (2, 0), (1, 0), (1, 5))
    assert not lines_cross((0, 0), (2, 2), (3, 0), (5, 5))
    assert not lines_cross((0, 0), (1, 1), (2, 2), (3, 3))
    assert line_meets((0, 0), (10, 10), Rect(4, 4, 2, 2))
    assert not line_meets((0, 0), (3, 3), Rect(4, 4, 2, 2))
    assert not line_meets((0, 4), (10, 4), Rect(4, 4, 2, 2))


def test_a_label_fits_its_box_and_carries_the_chip_of_its_role():
    dark, box = theme("dark"), Rect(100, 200, *label_size("needle, 11 gauge"))
    layer = draw_label("needle, 11 gauge", "cement", box, dark, 1.0)
    height, width = layer.pixels.shape[:2]
    assert box.x - 3 <= layer.x_px
    assert layer.x_px + width <= box.right + 3
    assert box.y - 3 <= layer.y_px
    assert layer.y_px + height <= box.bottom + 3
    chip = layer.pixels[round(box.y + box.h / 2) - layer.y_px, round(box.x + 22) - layer.x_px]
    assert np.allclose(chip[:3], dark.rgb8("cement"), atol=2)


def test_a_line_ends_at_its_point():
    layer = draw_leader((300.0, 200.0), (120.0, 90.0), theme("dark"), 1.0)
    end = layer.pixels[90 - layer.y_px, 120 - layer.x_px]
    assert end[3] > 240
    assert min(end[:3]) > 230


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="2 anchors, 1 sizes"):
        place_labels([(1, 1), (2, 2)], sizes_of(1), AREA)
