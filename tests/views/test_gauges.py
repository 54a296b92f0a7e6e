"""Gauges say what is measured, and their bars are as long as the figure."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.data.tables import level_below
from spineviz.views.designs import WIDE
from spineviz.views.gauges import (
    GAUGES,
    LADDER,
    PARTS_GAP,
    Reading,
    back_wall_y_mm,
    draw_gauge,
    draw_tile,
    fits_one_line,
    fits_tile,
)
from spineviz.views.layout import Rect
from spineviz.views.text import NOTE, text_size
from spineviz.views.theme import theme

DARK = theme("dark")
PLACE = WIDE.gauge_places(3)[0]
WORDS = {
    "cement_planned_ml": 3.2, "cement_ml": 3.2, "standing_wedge_deg": 17.04, "standing_anterior_mm": 16.0,
}  # fmt: skip


def state(**values):
    return SimpleNamespace(
        **{"cement_ml": None, "wedge_deg": None, "anterior_height_mm": None, "middle_height_mm": None} | values
    )


def filled_px(reading, role="cement"):
    """How many pixels of the bar's middle row are of the filled part's colour."""
    layer = draw_gauge(reading, PLACE, DARK, 1.0)
    near = np.abs(layer.pixels[:, :, :3].astype(int) - DARK.rgb8(role)).max(2) <= 3
    return int(near.sum(1).max())


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "figure"),
    [(3.64, "mL", 1, "3.6 mL"), (12.55, "°", 1, "12.6°"), (-2.0, "mm", 0, "−2 mm"), (-0.01, "mm", 1, "0.0 mm")],
)
def test_figures_are_written_with_their_units(value, unit, decimals, figure):
    assert Reading("x", value, unit, decimals).figure == figure


@given(st.floats(0.4, 3.4))
def test_the_bar_is_as_long_as_the_figure(value):
    reading = Reading("cement", value, "mL", full=3.6, role="cement")
    assert filled_px(reading) == pytest.approx(PLACE.w * value / 3.6, abs=2.5)


def test_a_bar_never_runs_over():
    assert filled_px(Reading("cement", 99.0, "mL", full=3.6, role="cement")) <= PLACE.w + 1


def test_the_mark_stands_at_its_value():
    plain = draw_gauge(Reading("x", 0.0, "mL", full=4.0), PLACE, DARK, 1.0)
    marked = draw_gauge(Reading("x", 0.0, "mL", full=4.0, mark=3.0, mark_word="planned"), PLACE, DARK, 1.0)
    row = round(PLACE.y + 40 + 18 + 7)  # the middle of the track
    bright = np.flatnonzero(marked.pixels[row - marked.y_px, :, 0] > 200) + marked.x_px
    assert bright.mean() == pytest.approx(PLACE.x + 0.75 * PLACE.w, abs=1.0)
    assert not (plain.pixels[row - plain.y_px, :, 0] > 200).any()


def test_gauges_read_the_state_and_its_reference():
    now = state(cement_ml=2.5, wedge_deg=12.6, anterior_height_mm=18.9, lying=1.0)
    assert GAUGES["cement"](now, None, WORDS).value == 2.5
    assert GAUGES["cement"](now, None, WORDS).mark == 3.2
    assert GAUGES["wedge"](now, None, WORDS).note == "17.0° standing"
    height = GAUGES["anterior_height"](now, None, WORDS)
    assert (height.value, height.unit, height.note) == (18.9, "mm", "16.0 mm standing")


def test_the_way_to_the_back_wall_is_read_off_the_cement():
    rear = 3.0

    def cement_structure(volume_ml):
        points = np.array([[0.0, rear, 0.0], [0.0, 9.0, 0.0]])[: 2 if volume_ml > 0.1 else 0]
        return SimpleNamespace(mesh=lambda _: SimpleNamespace(points_mm=points))

    plan = SimpleNamespace(level="L1", cement_structure=cement_structure, back_quarter_y_mm=-8.0)
    wall = back_wall_y_mm("L1")
    reading = GAUGES["back_wall"](state(cement_ml=1.0), plan, WORDS)
    assert reading.value == pytest.approx(rear - wall)
    assert reading.mark == pytest.approx(-8.0 - wall)
    assert GAUGES["back_wall"](state(cement_ml=0.02), plan, WORDS) is None  # a drop too small to have a surface


def test_before_there_is_anything_to_measure():
    assert GAUGES["cement"](state(), None, WORDS).figure == "0.0 mL"
    for name in ("back_wall", "wedge", "anterior_height", "middle_height"):
        assert GAUGES[name](state(), None, WORDS) is None


KYPHOPLASTY = WORDS | {
    "balloons": "2", "balloon_ml": 2.0, "rated_ml": 4.0, "rated_psi": 400.0, "inflated_ml": 4.0,
    "healthy_wedge_deg": 3.4, "lying_wedge_deg": 12.5, "healthy_anterior_mm": 24.5, "lying_anterior_mm": 18.9,
    "healthy_middle_mm": 22.0, "standing_middle_mm": 17.9, "lying_middle_mm": 19.3,
}  # fmt: skip


def inflated(right, left, **values):
    found = {"balloon_right_ml": right, "balloon_left_ml": left, "balloon_right_psi": 90.0, "balloon_left_psi": 120.0}
    return state(**found | values)


def test_balloons_are_read_together_and_each():
    now = inflated(1.5, 1.2)
    both = GAUGES["balloon"](now, None, KYPHOPLASTY)
    assert (both.name, both.value, both.mark, both.limit) == ("both balloons", pytest.approx(2.7), 4.0, 8.0)
    assert GAUGES["balloon_left"](now, None, KYPHOPLASTY).value == 1.2
    assert GAUGES["balloon_left"](now, None, KYPHOPLASTY).limit == 4.0
    alone = state(balloon_right_ml=1.5)
    assert GAUGES["balloon"](alone, None, KYPHOPLASTY | {"balloons": "1"}).limit == 4.0
    assert GAUGES["balloon_left"](alone, None, KYPHOPLASTY) is None


def test_the_pressure_is_the_higher_one_and_says_limit():
    reading = GAUGES["pressure"](inflated(1.0, 1.0), None, KYPHOPLASTY)
    assert (reading.figure, reading.limit, reading.limit_word) == ("120 psi", 400.0, "limit")


def test_the_cavity_is_set_against_what_the_balloons_held():
    reading = GAUGES["cavity"](state(cavity_ml=3.9), None, KYPHOPLASTY)
    assert (reading.value, reading.mark, reading.mark_word) == (3.9, 4.0, "balloons")


@pytest.mark.parametrize("name", ["balloon", "balloon_right", "balloon_left", "pressure", "cavity"])
def test_nothing_is_read_before_there_is_a_balloon(name):
    assert GAUGES[name](state(), None, KYPHOPLASTY) is None


@given(st.floats(0.0, 1.0), st.floats(0.0, 8.0))
def test_what_posture_gave_stays_apart_from_what_the_balloons_give(lying, lifted):
    """The two parts always add up to the whole, and posture's does not change while a balloon lifts."""
    standing, flat = KYPHOPLASTY["standing_wedge_deg"], KYPHOPLASTY["lying_wedge_deg"]
    wedge = standing + lying * (flat - standing)
    turning = GAUGES["gain"](state(wedge_deg=wedge, lift=0.0, collapse=1.0), None, KYPHOPLASTY)
    assert [word for word, _, _ in turning.parts] == ["posture"]
    assert turning.value == pytest.approx(lying * (standing - flat))
    raised = GAUGES["gain"](state(wedge_deg=flat - lifted, lift=0.3, collapse=1.0), None, KYPHOPLASTY)
    (_, posture, _), (_, balloon, _) = raised.parts
    assert posture == pytest.approx(standing - flat)
    assert balloon == pytest.approx(lifted)
    assert posture + balloon == pytest.approx(raised.value)
    assert raised.full == pytest.approx(standing - KYPHOPLASTY["healthy_wedge_deg"])


@pytest.mark.parametrize(
    ("gauge", "key", "name"),
    [("front_gain", "anterior_height_mm", "anterior_mm"), ("middle_gain", "middle_height_mm", "middle_mm")],
)
def test_heights_regained_have_the_same_two_parts(gauge, key, name):
    standing, lying = KYPHOPLASTY[f"standing_{name}"], KYPHOPLASTY[f"lying_{name}"]
    reading = GAUGES[gauge](state(**{key: lying + 1.5}, lift=0.2, collapse=1.0), None, KYPHOPLASTY)
    assert reading.unit == "mm"
    assert [round(value, 9) for _, value, _ in reading.parts] == [round(lying - standing, 9), 1.5]
    assert reading.full == pytest.approx(KYPHOPLASTY[f"healthy_{name}"] - standing)
    assert GAUGES[gauge](state(collapse=1.0), None, KYPHOPLASTY) is None


def test_there_is_no_gain_before_the_fracture():
    assert GAUGES["gain"](state(wedge_deg=10.0, collapse=0.5), None, KYPHOPLASTY) is None


def test_parts_lie_one_after_the_other():
    reading = Reading("regained", 7.0, "°", full=14.0, parts=(("posture", 4.0, "disc"), ("balloon", 3.0, "balloon")))
    layer = draw_gauge(reading, PLACE, DARK, 1.0)
    row = round(PLACE.y + 40 + 18 + 7) - layer.y_px
    pixels = layer.pixels[row, :, :3].astype(int)
    for role, start, end in (("disc", 0.0, 4.0), ("balloon", 4.0, 7.0)):
        found = np.flatnonzero(np.abs(pixels - DARK.rgb8(role)).max(1) <= 3) + layer.x_px
        assert found.min() == pytest.approx(PLACE.x + PLACE.w * start / 14.0, abs=5.0)
        assert found.max() == pytest.approx(PLACE.x + PLACE.w * end / 14.0, abs=5.0)
    written = (["posture 4.0°", "balloon 3.0°"], ["posture 4.0", "balloon 3.0"], ["posture", "balloon"])
    for words in written:  # as much as there is room for
        room = sum(text_size(word, NOTE)[0] for word in words) + PARTS_GAP
        assert reading.part_words(room + 0.1) == words


def test_a_limit_is_marked_beside_the_plan():
    plain = Reading("x", 0.0, "mL", full=4.0, mark=1.0, mark_word="planned")
    limited = Reading("x", 0.0, "mL", full=4.0, mark=1.0, mark_word="planned", limit=3.0)
    row = round(PLACE.y + 40 + 18 + 7)
    for reading, expected in ((plain, [1.0]), (limited, [1.0, 3.0])):
        layer = draw_gauge(reading, PLACE, DARK, 1.0)
        bright = np.flatnonzero(layer.pixels[row - layer.y_px, :, 0] > 200) + layer.x_px
        ticks = np.split(bright, np.flatnonzero(np.diff(bright) > 5) + 1)
        assert [tick.mean() for tick in ticks] == pytest.approx([PLACE.x + PLACE.w * v / 4.0 for v in expected], abs=1)


def test_a_dark_bar_has_a_hairline():
    reading = Reading("cavity", 2.0, "mL", full=4.0, role="cavity")
    layer = draw_gauge(reading, PLACE, DARK, 1.0)
    row = round(PLACE.y + 40 + 18) - layer.y_px  # the bar's upper edge
    left = round(PLACE.x) - layer.x_px
    bright = layer.pixels[row - 1 : row + 2, left + 20 : left + 100, :3].max((0, 2))
    assert (bright > 100).all()


def test_a_tile_stays_in_its_place_and_its_figure_is_large():
    place = Rect(36.0, 748.0, 271.0, 150.0)
    readings = [
        Reading("cement", 12.3, "mL", full=13.0, mark=12.0, mark_word="planned", limit=12.9),
        Reading("front height", 18.9, "mm", note="16.0 mm standing"),
        Reading("regained", 7.0, "°", full=14.0, parts=(("posture", 4.0, "disc"), ("balloon", 3.0, "balloon"))),
    ]
    for reading in readings:
        assert fits_tile(reading, place)
        layer = draw_tile(reading, place, DARK, 1.0)
        height, width = layer.pixels.shape[:2]
        assert place.inset(-4, 0, -4, 4).holds(Rect(layer.x_px, layer.y_px, width, height)), reading.name
    assert not fits_tile(Reading("x", 1.0, "mm", note="a note that is far too long for a tile"), place)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_gauge_of_a_shot_stays_in_its_place(count):
    readings = [
        Reading("cement", 12.3, "mL", full=13.0, mark=12.0, mark_word="planned"),
        Reading("back wall", 14.9, "mm", full=20.0, mark=7.0, mark_word="stop"),
        Reading("wedge", 12.5, "°", note="16.9° standing"),
        Reading("front height", 18.9, "mm", note="16.0 mm standing"),
    ][:count]
    for reading, place in zip(readings, WIDE.gauge_places(count), strict=True):
        stacked = not fits_one_line(reading, place)
        layer = draw_gauge(reading, place, DARK, 1.0, stacked)
        height, width = layer.pixels.shape[:2]
        drawn = Rect(layer.x_px, layer.y_px, width, height)
        assert place.inset(-4, -4, -4, -12).holds(drawn), reading.name


def test_three_gauges_stand_on_one_line():
    for reading in (
        Reading("front height", 18.9, "mm"),
        Reading("back wall", 14.9, "mm"),
        Reading("cement", 3.7, "mL"),
    ):
        assert fits_one_line(reading, WIDE.gauge_places(3)[0])


# the way through the arteries

CHEMO = {
    "before_canal_pct": 48.0, "before_cord_depth_mm": 5.1, "before_diameter_mm": 22.0, "before_neural_mm": 0.0,
    "route_mm": 412.0, "stop_flow_pct": 15.0, "dose_planned_mg": 50.0,
    "pressure_min": 10.0,
}  # fmt: skip
ABSENT = (
    "wire_mm", "catheter_mm", "micro_mm", "tip_level", "dose_mg", "lodged_mg", "contrast_ml", "flow_share", "weeks",
    "tumour_diameter_mm", "tumour_neural_mm", "canal_share", "cord_depth_mm", "pressure_min",
)  # fmt: skip
ARTERIAL = (
    "tip_level", "catheter", "canal", "cord_depth", "neural", "diameter", "flow", "dose", "contrast", "weeks",
    "pressing",
)  # fmt: skip


def inside(**values):
    return SimpleNamespace(**dict.fromkeys(ABSENT) | values)


def treated(level="L1", has_cord=True):
    return SimpleNamespace(case=SimpleNamespace(spine=SimpleNamespace(level=level)), has_cord=has_cord)


def read(name, plan=None, **values):
    return GAUGES[name](inside(**values), plan or treated(), CHEMO)


@pytest.mark.parametrize("name", ARTERIAL)
def test_nothing_of_the_arteries_is_read_before_it_is_there(name):
    assert read(name) is None


@given(st.sampled_from(LADDER[1:]), st.sampled_from(LADDER[2:18]))
def test_the_level_counter_climbs_and_meets_its_mark_at_the_target(at, goal):
    plan = treated(goal)
    here, below = (read("tip_level", plan, tip_level=rung) for rung in (at, LADDER[LADDER.index(at) - 1]))
    assert here.figure == at
    assert here.value == below.value + 1
    assert (here.value == here.mark) == (at == goal)
    assert 0.0 <= here.mark < here.full
    assert goal in here.mark_word


def test_a_tip_beyond_the_ladder_is_told_by_its_name_alone():
    reading = read("tip_level", tip_level="arch")
    assert (reading.figure, reading.full, reading.note) == ("arch", None, "target L1")


def test_the_innermost_tube_is_counted():
    assert read("catheter", wire_mm=310.0).figure == "31 cm"
    assert [read("catheter", wire_mm=310.0).name, read("catheter", wire_mm=310.0).role] == ["wire", "wire"]
    assert read("catheter", wire_mm=310.0, catheter_mm=280.0).name == "catheter"
    parked = read("catheter", catheter_mm=412.0)
    assert parked.value == pytest.approx(parked.mark)
    deep = read("catheter", wire_mm=450.0, catheter_mm=412.0, micro_mm=436.0)
    assert (deep.name, deep.figure, deep.mark_word) == ("microcatheter", "44 cm", "orifice")
    assert deep.mark == parked.mark < deep.value < deep.full


def test_what_the_tumour_presses_on_is_set_against_before():
    pressed = {"canal_share": 0.61, "cord_depth_mm": 6.4, "tumour_neural_mm": 0.0, "tumour_diameter_mm": 17.25}
    names = ("canal", "cord_depth", "neural", "diameter")
    # until it has been treated there is no "before"
    untold = {name: GAUGES[name](inside(**pressed), treated(), CHEMO) for name in names}
    assert all(reading.mark is None and reading.note == reading.mark_word == "" for reading in untold.values())
    found = {name: GAUGES[name](inside(**pressed, weeks=3.0), treated(), CHEMO) for name in names}
    assert [reading.figure for reading in untold.values()] == [reading.figure for reading in found.values()]
    assert {name: reading.figure for name, reading in found.items()} == {
        "canal": "61%", "cord_depth": "6.4 mm", "neural": "0.0 mm", "diameter": "17.2 mm",
    }  # fmt: skip
    assert (found["canal"].mark, found["canal"].mark_word) == (48.0, "before")
    assert found["cord_depth"].note == "5.1 mm before"
    assert found["diameter"].note == "22.0 mm before"
    assert found["neural"].name == "to cord"
    assert read("neural", treated(has_cord=False), tumour_neural_mm=1.0).name == "to root"


@given(st.floats(0.0, 1.0))
def test_flow_passes_its_stop_when_it_is_less(share):
    reading = read("flow", flow_share=share)
    assert reading.value == pytest.approx(100.0 * share)
    assert (reading.value < reading.mark) == (100.0 * share < CHEMO["stop_flow_pct"])
    assert reading.full > 100.0


def test_what_is_given_and_what_is_planned():
    dose = read("dose", dose_mg=31.4)
    assert (dose.figure, dose.mark, dose.mark_word, dose.role) == ("31 mg", 50.0, "planned", "drug")
    assert read("contrast", contrast_ml=22.6).figure == "23 mL"


def test_weeks_say_that_they_are_illustrative():
    assert [read("weeks", weeks=week).figure for week in (0.0, 1.2, 6.0)] == ["0 weeks", "1 week", "6 weeks"]
    assert read("weeks", weeks=3.0).note == "illustrative"


def test_minutes_of_pressure_are_set_against_how_many_there_are_to_be():
    reading = read("pressing", pressure_min=7.0)
    assert (reading.figure, reading.mark) == ("7 min", 10.0)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_gauges_of_the_arteries_stay_in_their_places(count):
    whole = inside(
        wire_mm=430.0, catheter_mm=412.0, micro_mm=436.0, tip_level="sacrum", dose_mg=50.0, contrast_ml=123.0,
        flow_share=1.0, weeks=12.0, tumour_diameter_mm=22.0, tumour_neural_mm=10.5, canal_share=1.0,
        cord_depth_mm=12.1, pressure_min=10.0,
    )  # fmt: skip
    place = WIDE.gauge_places(count)[0]
    for name in ARTERIAL:
        reading = GAUGES[name](whole, treated("T10"), CHEMO)
        layer = draw_gauge(reading, place, DARK, 1.0, not fits_one_line(reading, place))
        height, width = layer.pixels.shape[:2]
        assert place.inset(-4, -4, -4, -12).holds(Rect(layer.x_px, layer.y_px, width, height)), name
        if count <= 3:
            assert fits_one_line(reading, place), name


@pytest.mark.parametrize("level", LADDER[3:])
def test_a_vertebra_stands_a_rung_above_the_next_one_down(level):
    assert LADDER.index(level) == LADDER.index(level_below(level)) + 1
    assert LADDER[:3] == ("groin", "sacrum", "L5")
