"""Gauges say what is measured, and their bars are as long as the figure."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.views.gauges import GAUGES, Reading, draw_gauge, fits_one_line
from spineviz.views.layout import Rect, gauge_places
from spineviz.views.theme import theme

DARK = theme("dark")
PLACE = gauge_places(3)[0]
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


def test_before_there_is_anything_to_measure():
    assert GAUGES["cement"](state(), None, WORDS).figure == "0.0 mL"
    for name in ("back_wall", "wedge", "anterior_height", "middle_height"):
        assert GAUGES[name](state(), None, WORDS) is None


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_gauge_of_a_shot_stays_in_its_place(count):
    readings = [
        Reading("cement", 12.3, "mL", full=13.0, mark=12.0, mark_word="planned"),
        Reading("back wall", 14.9, "mm", full=20.0, mark=7.0, mark_word="stop"),
        Reading("wedge", 12.5, "°", note="16.9° standing"),
        Reading("front height", 18.9, "mm", note="16.0 mm standing"),
    ][:count]
    for reading, place in zip(readings, gauge_places(count), strict=True):
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
        assert fits_one_line(reading, gauge_places(3)[0])
