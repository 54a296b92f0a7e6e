"""Signs over a view."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.film.screen import TYPE_PX
from spineviz.views.layout import Rect
from spineviz.views.marks import burn_edges, burn_scale_bar
from spineviz.views.signs import Mark, burnt_in, draw_mark, words_place
from spineviz.views.theme import theme

DARK = theme("dark")
VIEW = Rect(100, 50, 600, 500)
KINDS = ("tick", "danger", "ring", "line", "area", "arrow", "dot", "text", "measure")
SPOTS = st.tuples(st.floats(100, 700), st.floats(50, 550))
SQUARE = [(200.0, 200.0), (300.0, 200.0), (300.0, 300.0), (200.0, 300.0)]


def mark(kind, **parts):
    return Mark(kind, "stage", ((0.0, 0.0, 0.0),), **parts)


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(SPOTS, min_size=4, max_size=4))
def test_nothing_is_drawn_outside_the_view(kind, spots):
    sign = mark(kind, text="inner edge")
    layer = draw_mark(sign, spots, 20.0, VIEW, words_place(sign, spots, 20.0, VIEW), DARK, 1.0)
    assert layer is not None
    height, width = layer.pixels.shape[:2]
    assert VIEW.inset(-1, -1, -1, -1).holds(Rect(layer.x_px, layer.y_px, width, height))


@given(st.lists(SPOTS, min_size=2, max_size=5), st.sampled_from(["left", "right", ""]))
def test_words_stay_inside_and_apart_where_there_is_room(spots, side):
    taken = []
    for spot in spots:
        place = words_place(mark("tick", text="safe", side=side), [spot], 0.0, VIEW, taken)
        assert VIEW.holds(place)
        taken.append(place)
    if len(spots) <= 3:
        assert not any(one.meets(two) for one, two in combinations(taken, 2))


def test_a_wish_for_a_side_is_granted():
    spot = [(400.0, 300.0)]
    assert words_place(mark("tick", text="safe", side="left"), spot, 0.0, VIEW).right < 400
    assert words_place(mark("tick", text="safe", side="right"), spot, 0.0, VIEW).x > 400


@pytest.mark.parametrize("name", ["section", "ap", "kyphoplasty:section"])
@given(st.sampled_from(range(5)), st.floats(-20, 20), st.floats(-20, 20), st.sampled_from(["left", "right", ""]))
def test_words_keep_off_the_patient_s_letters_and_the_scale_bar(name, which, aside, up, side):
    """Points at a letter or at the bar, and words that would lie on it."""
    burnt = burnt_in(name, VIEW)
    at = burnt[which % len(burnt)]
    spot = (at.x + at.w / 2 + aside, at.y + at.h / 2 + up)
    place = words_place(Mark("text", name, ((0.0, 0.0, 0.0),), "depth", side=side), [spot], 0.0, VIEW)
    assert VIEW.holds(place)
    assert not any(place.meets(rect) for rect in burnt)


def test_the_letters_and_the_bar_of_a_drawn_section_lie_where_words_keep_off():
    """What `burnt_in` says is where marks.py writes: on an empty picture nothing else is inked."""
    picture = np.zeros((int(VIEW.h), int(VIEW.w), 3), np.float32)
    burn_edges(picture, dict(left="R", right="L", top="A", bottom="P"), 1.1 * TYPE_PX)
    burn_scale_bar(picture, 5.0, 0.95 * TYPE_PX)
    for rect in burnt_in("section", Rect(0, 0, VIEW.w, VIEW.h)):
        x, y, w, h = rect.pixels(1.0)
        picture[y : y + h, x : x + w] = 0.0
    assert not picture.any()


def test_a_line_grows():
    lengths = []
    for shown in (0.25, 0.5, 1.0):
        sign = mark("line", role="safe", shown=shown)
        lengths.append(draw_mark(sign, [(150.0, 300.0), (550.0, 300.0)], 0.0, VIEW, None, DARK, 1.0).pixels.shape[1])
    assert lengths == [pytest.approx(400 * share, abs=12) for share in (0.25, 0.5, 1.0)]


def test_what_is_not_shown_or_nowhere_is_not_drawn():
    assert draw_mark(mark("tick", shown=0.0), [(300.0, 300.0)], 0.0, VIEW, None, DARK, 1.0) is None
    assert draw_mark(mark("tick"), [(np.nan, 0.0)], 0.0, VIEW, None, DARK, 1.0) is None
    assert draw_mark(mark("tick"), [(3000.0, 300.0)], 0.0, VIEW, None, DARK, 1.0) is None


def test_danger_is_told_by_form_too():
    """The stop sign carries white, and the forbidden area is hatched: neither relies on red."""
    stop = draw_mark(mark("danger"), [(300.0, 300.0)], 0.0, VIEW, None, DARK, 1.0).pixels
    assert (stop[:, :, :3].min(2) > 220).sum() > 100
    area = draw_mark(mark("area", role="danger"), SQUARE, 0.0, VIEW, None, DARK, 1.0).pixels
    middle = area[area.shape[0] // 2, 20:-20, 3].astype(int)
    assert len(set(middle.tolist())) > 3
