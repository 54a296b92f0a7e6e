"""Where everything stands on the screen."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.views.designs import DESIGNS, WIDE, design_of
from spineviz.views.layout import LAYOUTS, SHORT_SIDE, Rect
from spineviz.views.layout_narrow import SUBJECT_RATIO
from spineviz.views.text import CAPTION, text_size

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
NARROW = [design for design in DESIGNS.values() if design is not WIDE]


@pytest.fixture(params=DESIGNS.values(), ids=DESIGNS)
def design(request):
    return request.param


def test_every_design_has_its_aspect_and_the_same_shorter_side(design):
    across, down = (float(part) for part in design.aspect.split(":"))
    assert design.width / design.height == pytest.approx(across / down)
    assert min(design.width, design.height) == SHORT_SIDE


@pytest.mark.parametrize("short", [480, 720, 1080, 2160])
def test_a_screen_finds_its_design(design, short):
    scale = short / SHORT_SIDE
    size = (2 * round(design.width * scale / 2), 2 * round(design.height * scale / 2))
    assert design_of(size) is design


def test_every_layout_is_tried():
    assert set(VIEWS) == set(LAYOUTS)


@pytest.mark.parametrize("gauges", [False, True])
@pytest.mark.parametrize(("layout", "focus"), CASES)
def test_every_view_has_its_place_above_the_bar(design, layout, focus, gauges):
    panels = design.arrangement(layout, VIEWS[layout], focus, gauges)
    assert set(panels) == set(VIEWS[layout])
    for panel in panels.values():
        assert Rect(0, 0, design.width, design.bar_top(gauges)).holds(panel.rect)
        assert panel.rect.holds(panel.picture)
        assert min(panel.picture.w, panel.picture.h) > 110


@pytest.mark.parametrize("gauges", [False, True])
@pytest.mark.parametrize(("layout", "focus"), CASES)
def test_panels_do_not_meet(design, layout, focus, gauges):
    panels = design.arrangement(layout, VIEWS[layout], focus, gauges)
    for (a, one), (b, two) in combinations(panels.items(), 2):
        floats = layout == "table" and {a, b} == {"stage", "fluoro-0"}
        if layout == "columns":  # what lies in a frame stays clear of the picture that carries it
            assert not one.picture.meets(two.picture, 3.0), (a, b)
        if not (one.inset or two.inset):
            assert floats or not one.rect.meets(two.rect, 5.0), (a, b)


@pytest.mark.parametrize(("layout", "focus"), SINGLE)
def test_what_is_in_focus_grows_and_the_rest_dims(design, layout, focus):
    calm, told = design.arrangement(layout, VIEWS[layout]), design.arrangement(layout, VIEWS[layout], focus)
    assert told[focus].light == 1.0
    if calm[focus].framed:
        assert told[focus].picture.w * told[focus].picture.h > 1.05 * calm[focus].picture.w * calm[focus].picture.h
    for name, panel in told.items():
        bare_stage = name == "stage" and not panel.framed
        assert panel.light == 1.0 if name == focus or bare_stage else panel.light < 1.0


def test_the_two_planes_are_equal_and_large(design):
    panels = design.arrangement("two-plane", VIEWS["two-plane"])
    ap, lateral = panels["fluoro-0"].picture, panels["fluoro-1"].picture
    assert (ap.w, ap.h) == pytest.approx((lateral.w, lateral.h))
    assert ap.w * ap.h > 1.5 * panels["section"].picture.w * panels["section"].picture.h


def test_a_single_inset_takes_the_room_of_two(design):
    both, alone = (
        design.arrangement("stage+insets", ("stage", "fluoro-0", "section")),
        design.arrangement("stage+insets", ("stage", "section")),
    )
    areas = [panels["section"].rect.w * panels["section"].rect.h for panels in (both, alone)]
    assert areas[1] > 1.9 * areas[0]


@pytest.mark.parametrize("layout", ["stage+insets", "table", "stage"])
def test_labels_keep_clear_of_title_and_floating_panels(design, layout):
    area, *keep = design.stage_area(layout, VIEWS[layout])
    panels = design.arrangement(layout, VIEWS[layout])
    assert panels["stage"].picture.holds(area)
    assert keep[0].holds(Rect(40, 30, 500, 80))
    for name, panel in panels.items():
        if panel.framed:
            assert panel.rect in keep or not area.meets(panel.rect), name


@pytest.mark.parametrize("layout", ["two-plane", "card"])
def test_a_small_stage_takes_no_labels(design, layout):
    assert design.stage_area(layout, VIEWS[layout]) == ()


@pytest.mark.parametrize("design", NARROW, ids=[design.aspect for design in NARROW])
@pytest.mark.parametrize("views", [("stage", "fluoro-0", "section"), ("stage", "section"), ("stage", "fluoro-0")])
def test_a_bare_stage_keeps_its_scale_whatever_is_in_focus(design, views):
    """What it shows from top to bottom grows as its height does, and it holds the subject of the 16:9 picture."""
    scales = set()
    for focus in ("", *views[1:]):
        for gauges in (False, True):
            picture = design.arrangement("stage+insets", views, focus, gauges)["stage"].picture
            wide = WIDE.arrangement("stage+insets", views, focus, gauges)["stage"].picture
            field = design.field("stage+insets", picture, wide)
            scales.add(round(picture.h / field, 6))
            assert field >= 1.0 - 1e-9
            assert field * picture.w / picture.h >= SUBJECT_RATIO - 1e-9
    assert len(scales) == 1


def test_at_16_9_cameras_show_what_they_say():
    for layout in ("stage+insets", "stage", "table"):
        picture = WIDE.arrangement(layout, VIEWS[layout])["stage"].picture
        assert WIDE.field(layout, picture, picture) == 1.0


def columns(count, *parts):
    return tuple(f"{i}:{part}" for i in range(count) for part in parts)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("parts", [("stage",), ("stage", "below"), ("stage", "below", "numbers"), ("below", "numbers")])
@pytest.mark.parametrize("scale", [480 / 1080, 2 / 3, 1.0, 2.0])
def test_columns_are_alike_to_the_pixel(design, count, parts, scale):
    """Equal pictures of two columns can then be drawn once."""
    panels = design.arrangement("columns", columns(count, *parts))
    for part in parts:
        places = [panels[f"{i}:{part}"].picture for i in range(count)]
        assert len({place.pixels(scale)[2:] for place in places}) == 1
        assert len({place.y for place in places}) == 1 or len({place.x for place in places}) == 1


def test_a_column_holds_its_views_in_one_frame(design):
    panels = design.arrangement("columns", columns(3, "stage", "below", "numbers"))
    for i in range(3):
        frame = panels[f"{i}:stage"]
        assert frame.framed
        assert not frame.inset
        for part in ("below", "numbers"):
            assert frame.rect.holds(panels[f"{i}:{part}"].picture)
            assert panels[f"{i}:{part}"].inset


def test_columns_keep_their_pictures_size_when_only_one_has_numbers(design):
    panels = design.arrangement("columns", ("0:stage", "1:stage", "1:numbers"))
    one, two = panels["0:stage"].picture, panels["1:stage"].picture
    assert (one.w, one.h) == (two.w, two.h)


def test_focus_on_a_column_dims_the_others_and_on_a_row_grows_it(design):
    views = columns(2, "stage", "below", "numbers")
    calm = design.arrangement("columns", views)
    one = design.arrangement("columns", views, "1")
    assert one["0:stage"].light < 1.0 == one["1:stage"].light
    assert one["0:numbers"].light == 1.0
    assert one["0:stage"].picture == calm["0:stage"].picture
    below = design.arrangement("columns", views, "below")
    grown, before = below["0:below"].picture, calm["0:below"].picture
    assert grown.w * grown.h > 1.2 * before.w * before.h


def test_labels_may_stand_on_each_stage_of_columns(design):
    views = columns(2, "stage", "below")
    panels = design.arrangement("columns", views)
    for slot in ("0:stage", "1:stage"):
        (area,) = design.stage_area("columns", views, "", slot)
        assert panels[slot].picture.holds(area)


@pytest.mark.parametrize("gauges", [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2)])
def test_a_column_s_gauges_stand_in_its_strip(design, gauges):
    count, most = gauges
    strip = design.arrangement("columns", columns(count, "stage", "below", "numbers"))["0:numbers"].picture
    rects = design.column_gauge_places(strip, most)
    assert len(rects) == most
    assert all(strip.holds(rect) for rect in rects)
    assert not any(one.meets(two) for one, two in combinations(rects, 2))
    assert min(rect.h for rect in rects) >= 100.0  # the word under a bar ends above the next name


def test_columns_have_room_for_no_gauge(design):
    assert design.column_gauge_places(Rect(0, 0, 900, 150), 0) == ()


def test_columns_that_cannot_be_are_named(design):
    with pytest.raises(ValueError, match="two or three columns"):
        design.arrangement("columns", ("0:stage",))
    with pytest.raises(ValueError, match="two or three columns"):
        design.arrangement("columns", ("0:stage", "2:stage"))
    with pytest.raises(ValueError, match="no room for '1:after'"):
        design.arrangement("columns", ("0:stage", "1:after"))
    with pytest.raises(ValueError, match="focus '3' is not shown"):
        design.arrangement("columns", columns(2, "stage"), "3")
    with pytest.raises(ValueError, match="at most four gauges"):
        design.column_gauge_places(Rect(0, 0, 900, 116), 5)


def test_unknown_words_are_named(design):
    with pytest.raises(ValueError, match="got 'wall'"):
        design.arrangement("wall", ())
    with pytest.raises(ValueError, match="no room for 'section'"):
        design.arrangement("table", ("stage", "section"))
    with pytest.raises(ValueError, match="focus 'after' is not shown"):
        design.arrangement("stage", ("stage",), "after")


@pytest.mark.parametrize("count", range(5))
def test_gauges_stand_in_the_bar_clear_of_the_caption(design, count):
    rects = design.gauge_places(count)
    assert len(rects) == count
    x, lines = design.caption_place(count > 0)
    size = CAPTION.size_px
    words = Rect(x, lines[0] - 0.72 * size, 860.0, lines[1] - lines[0] + 0.95 * size)
    assert Rect(0, design.bar_top(count > 0), design.width, design.height).holds(words)
    for rect in rects:
        assert Rect(0, design.bar_top(True), design.width, design.height - design.bar_top(True)).holds(rect)
        assert not rect.meets(words)
    for one, two in combinations(rects, 2):
        assert not one.meets(two, 20.0)


def test_a_caption_of_42_wide_signs_fits_the_screen(design):
    x, _ = design.caption_place(False)
    assert x + text_size("The back wall holds, the canal is free. mm", CAPTION)[0] < design.width - 40.0


def test_five_gauges_are_too_many(design):
    with pytest.raises(ValueError, match="at most four gauges, got 5"):
        design.gauge_places(5)


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
