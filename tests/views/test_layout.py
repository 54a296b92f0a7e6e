"""Where everything stands on the screen."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.views.layout import (
    BAR_TOP,
    HEIGHT,
    LAYOUTS,
    WIDTH,
    Rect,
    arrangement,
    caption_place,
    column_gauge_places,
    gauge_places,
    stage_area,
)

VIEWS = {
    "stage+insets": ("stage", "fluoro-0", "section", "plot"),
    "two-plane": ("fluoro-0", "fluoro-1", "section", "plot", "stage"),
    "table": ("stage", "fluoro-0"),
    "columns": ("0:stage", "0:below", "0:numbers", "1:stage", "1:below", "1:numbers"),
    "stage": ("stage",),
    "card": (),
}
COLUMN_FOCUS = ("", "0", "1", "stage", "below")
CASES = [
    (layout, focus)
    for layout, views in VIEWS.items()
    for focus in (COLUMN_FOCUS if layout == "columns" else ("", *views))
]
SINGLE = [case for case in CASES if case[0] != "columns" and case[1] and len(VIEWS[case[0]]) > 1]
ABOVE_BAR = Rect(0, 0, WIDTH, BAR_TOP)


def test_every_layout_is_tried():
    assert set(VIEWS) == set(LAYOUTS)


@pytest.mark.parametrize(("layout", "focus"), CASES)
def test_every_view_has_its_place_above_the_bar(layout, focus):
    panels = arrangement(layout, VIEWS[layout], focus)
    assert set(panels) == set(VIEWS[layout])
    for panel in panels.values():
        assert ABOVE_BAR.holds(panel.rect)
        assert panel.rect.holds(panel.picture)
        assert min(panel.picture.w, panel.picture.h) > 110


@pytest.mark.parametrize(("layout", "focus"), CASES)
def test_panels_do_not_meet(layout, focus):
    panels = arrangement(layout, VIEWS[layout], focus)
    for (a, one), (b, two) in combinations(panels.items(), 2):
        floats = layout == "table" and {a, b} == {"stage", "fluoro-0"}
        if layout == "columns":  # what lies in a frame stays clear of the picture that carries it
            assert not one.picture.meets(two.picture, 3.0), (a, b)
        if not (one.inset or two.inset):
            assert floats or not one.rect.meets(two.rect, 5.0), (a, b)


@pytest.mark.parametrize(("layout", "focus"), SINGLE)
def test_what_is_in_focus_grows_and_the_rest_dims(layout, focus):
    calm, told = arrangement(layout, VIEWS[layout]), arrangement(layout, VIEWS[layout], focus)
    assert told[focus].light == 1.0
    if calm[focus].framed:
        assert told[focus].picture.w * told[focus].picture.h > 1.05 * calm[focus].picture.w * calm[focus].picture.h
    for name, panel in told.items():
        bare_stage = name == "stage" and not panel.framed
        assert panel.light == 1.0 if name == focus or bare_stage else panel.light < 1.0


def test_the_two_planes_are_equal_and_large():
    panels = arrangement("two-plane", VIEWS["two-plane"])
    ap, lateral = panels["fluoro-0"].picture, panels["fluoro-1"].picture
    assert (ap.w, ap.h) == pytest.approx((lateral.w, lateral.h))
    assert ap.w * ap.h > 1.5 * panels["section"].picture.w * panels["section"].picture.h


def test_a_single_inset_takes_the_whole_column():
    both, alone = (
        arrangement("stage+insets", ("stage", "fluoro-0", "section")),
        arrangement("stage+insets", ("stage", "section")),
    )
    assert alone["section"].rect.h > 2 * both["section"].rect.h


@pytest.mark.parametrize("layout", ["stage+insets", "table", "stage"])
def test_labels_keep_clear_of_title_and_floating_panels(layout):
    area, *keep = stage_area(layout, VIEWS[layout])
    panels = arrangement(layout, VIEWS[layout])
    assert panels["stage"].picture.holds(area)
    assert keep[0].holds(Rect(40, 30, 500, 80))
    for name, panel in panels.items():
        if panel.framed:
            assert panel.rect in keep or not area.meets(panel.rect), name


@pytest.mark.parametrize("layout", ["two-plane", "card"])
def test_a_small_stage_takes_no_labels(layout):
    assert stage_area(layout, VIEWS[layout]) == ()


def columns(count, *parts):
    return tuple(f"{i}:{part}" for i in range(count) for part in parts)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("parts", [("stage",), ("stage", "below"), ("stage", "below", "numbers"), ("below", "numbers")])
@pytest.mark.parametrize("scale", [480 / 1080, 2 / 3, 1.0, 2.0])
def test_columns_are_alike_to_the_pixel(count, parts, scale):
    """Equal pictures of two columns can then be drawn once."""
    panels = arrangement("columns", columns(count, *parts))
    for part in parts:
        sizes = {panels[f"{i}:{part}"].picture.pixels(scale)[2:] for i in range(count)}
        assert len(sizes) == 1
        tops = {panels[f"{i}:{part}"].picture.y for i in range(count)}
        assert len(tops) == 1


def test_a_column_holds_its_views_in_one_frame():
    panels = arrangement("columns", columns(3, "stage", "below", "numbers"))
    for i in range(3):
        frame = panels[f"{i}:stage"]
        assert frame.framed
        assert not frame.inset
        for part in ("below", "numbers"):
            assert frame.rect.holds(panels[f"{i}:{part}"].picture)
            assert panels[f"{i}:{part}"].inset


def test_columns_keep_their_pictures_size_when_only_one_has_numbers():
    panels = arrangement("columns", ("0:stage", "1:stage", "1:numbers"))
    assert panels["0:stage"].picture.h == panels["1:stage"].picture.h


def test_focus_on_a_column_dims_the_others_and_on_a_row_grows_it():
    views = columns(2, "stage", "below", "numbers")
    calm = arrangement("columns", views)
    one = arrangement("columns", views, "1")
    assert one["0:stage"].light < 1.0 == one["1:stage"].light
    assert one["0:numbers"].light == 1.0
    assert one["0:stage"].picture == calm["0:stage"].picture
    below = arrangement("columns", views, "below")
    assert below["0:below"].picture.w > 1.2 * calm["0:below"].picture.w


def test_labels_may_stand_on_each_stage_of_columns():
    views = columns(2, "stage", "below")
    panels = arrangement("columns", views)
    for slot in ("0:stage", "1:stage"):
        (area,) = stage_area("columns", views, "", slot)
        assert panels[slot].picture.holds(area)


@pytest.mark.parametrize("count", range(5))
def test_a_column_s_gauges_stand_in_its_strip(count):
    strip = arrangement("columns", columns(2, "stage", "numbers"))["0:numbers"].picture
    rects = column_gauge_places(strip, count)
    assert len(rects) == count
    assert all(strip.holds(rect) for rect in rects)
    assert not any(one.meets(two, 20.0) for one, two in combinations(rects, 2))


def test_columns_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="two or three columns"):
        arrangement("columns", ("0:stage",))
    with pytest.raises(ValueError, match="two or three columns"):
        arrangement("columns", ("0:stage", "2:stage"))
    with pytest.raises(ValueError, match="no room for '1:after'"):
        arrangement("columns", ("0:stage", "1:after"))
    with pytest.raises(ValueError, match="focus '3' is not shown"):
        arrangement("columns", columns(2, "stage"), "3")
    with pytest.raises(ValueError, match="at most four gauges"):
        column_gauge_places(Rect(0, 0, 900, 116), 5)


def test_unknown_words_are_named():
    with pytest.raises(ValueError, match="got 'wall'"):
        arrangement("wall", ())
    with pytest.raises(ValueError, match="no room for 'section'"):
        arrangement("table", ("stage", "section"))
    with pytest.raises(ValueError, match="focus 'after' is not shown"):
        arrangement("stage", ("stage",), "after")


@pytest.mark.parametrize("count", range(5))
def test_gauges_stand_in_the_bar_right_of_the_caption(count):
    rects = gauge_places(count)
    assert len(rects) == count
    for rect in rects:
        assert Rect(0, BAR_TOP, WIDTH, HEIGHT - BAR_TOP).holds(rect)
        assert rect.x > caption_place()[0] + 860
    for one, two in combinations(rects, 2):
        assert not one.meets(two, 20.0)


def test_five_gauges_are_too_many():
    with pytest.raises(ValueError, match="at most four gauges, got 5"):
        gauge_places(5)


RECTS = st.builds(Rect, st.floats(0, 1000), st.floats(0, 500), st.floats(10, 900), st.floats(10, 500))


@given(RECTS, RECTS, st.floats(0, 1))
def test_a_mixed_rectangle_lies_between(one, two, share):
    mixed = one.mixed(two, share)
    for name in ("x", "y", "right", "bottom"):
        low, high = sorted((getattr(one, name), getattr(two, name)))
        assert low - 1e-9 <= getattr(mixed, name) <= high + 1e-9


@given(st.floats(0, 1000), st.floats(10, 500), st.floats(10, 500), st.sampled_from([480 / 1080, 2 / 3, 1.0, 2.0]))
def test_rectangles_that_touch_still_touch_in_pixels(x, first, second, scale):
    left, right = Rect(x, 0, first, 10).pixels(scale), Rect(x + first, 0, second, 10).pixels(scale)
    assert abs(left[0] + left[2] - right[0]) <= (0 if first * scale > 1.5 else 1)
