"""The plot draws the curve that it is given, in its units, and moves nothing but the curve."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.physics.transport import flow_figures
from spineviz.views.layout import PAD
from spineviz.views.layout_wide import COLUMN
from spineviz.views.plots import (
    LEGEND_STEP,
    PLOTS,
    TITLES,
    Axes,
    Plot,
    Trace,
    axes_of,
    draw_plot,
    flow,
    pressure,
    response,
    tick_step,
)
from spineviz.views.text import HEADER, NOTE, text_size
from spineviz.views.theme import theme

DARK = theme("dark")
SIZE = (600, 320)


class Course:
    """A straight curve to 2 mL and 100 psi on each side, the left one at half the pressure."""

    def __init__(self, *sides):
        self.stop = dict.fromkeys(sides, "volume")

    def curve(self, side, share):
        x = np.linspace(0.0, 2.0 * share, 21)
        return np.column_stack([x, (50.0 if side == "right" else 25.0) * x])


def at(share, *sides):
    return pressure(SimpleNamespace(inflation=share), SimpleNamespace(inflation=Course(*(sides or ("right", "left")))))


def role_mask(picture, role):
    return np.abs(picture.astype(int) - DARK.rgb8(role)).max(2) <= 12


def test_the_plot_holds_the_curve_so_far_and_the_whole_curve_s_axes():
    half, whole = at(0.5), at(1.0)
    assert [trace.name for trace in half.traces] == ["R", "L"]
    assert half.traces[0].points[-1] == pytest.approx((1.0, 50.0))
    assert whole.traces[1].points[-1] == pytest.approx((2.0, 50.0))
    assert (half.x_top, half.y_top) == (whole.x_top, whole.y_top)
    assert half.x_top > 2.0
    assert half.y_top > 100.0


def test_one_balloon_gives_one_trace():
    assert [trace.name for trace in at(0.7, "left").traces] == ["L"]


def test_sides_are_told_apart_without_colour():
    right, left = at(1.0).traces
    assert (right.dashed, left.dashed) == (False, True)
    assert right.name != left.name


def test_the_present_point_stands_at_its_value():
    for share in (0.25, 0.5, 1.0):
        plot = at(share, "right")
        axes = axes_of(plot, *SIZE)
        picture = draw_plot(plot, SIZE, DARK, 1.0)
        x, y = axes.spot(*plot.traces[0].points[-1])
        rows, columns = np.nonzero(role_mask(picture, "balloon"))
        near = np.hypot(columns - x, rows - y) < 11.5
        assert near.sum() > 300  # the disc at the end of the curve
        assert columns.max() < x + 12.0  # and nothing of the curve beyond it


def test_only_the_curve_moves():
    early, late = (draw_plot(at(share, "right"), SIZE, DARK, 1.0) for share in (0.0, 0.4))
    axes = axes_of(at(0.4, "right"), *SIZE)
    x, y = axes.spot(0.8, 40.0)
    changed = np.argwhere((early != late).any(2))
    assert changed[:, 1].max() < x + 44.0
    assert changed[:, 0].min() > y - 30.0


def test_two_curves_that_run_together_are_both_seen():
    line = tuple((0.1 * i, 5.0 * i) for i in range(20))
    plot = Plot("mL", "psi", 2.2, 110.0, (Trace("R", line, "balloon"), Trace("L", line, "text", True)))
    picture = draw_plot(plot, SIZE, DARK, 1.0)
    axes = axes_of(plot, *SIZE)
    along = np.round([axes.spot(0.01 * i, 0.5 * i) for i in range(20, 170)]).astype(int)
    seen = picture[along[:, 1], along[:, 0]]
    for role in ("balloon", "text"):
        assert 0.25 < (np.abs(seen.astype(int) - DARK.rgb8(role)).max(1) <= 12).mean() < 0.75
    x, y = axes.spot(*line[-1])
    end = picture[round(y) - 14 : round(y) + 15, round(x) - 14 : round(x) + 15]
    for role in ("balloon", "text"):
        assert role_mask(end, role).sum() > 60


def test_a_dashed_trace_has_gaps_and_a_square_end():
    line = ((0.0, 0.0), (2.0, 100.0))
    solid, dashed = (
        draw_plot(Plot("mL", "psi", 2.2, 110.0, (Trace("R", line, "balloon", d),)), SIZE, DARK, 1.0)
        for d in (False, True)
    )
    assert role_mask(dashed, "balloon").sum() < 0.8 * role_mask(solid, "balloon").sum()


def test_everything_lies_inside_at_every_size():
    for size, scale in (((568, 210), 1.0), ((252, 93), 480 / 1080), ((1136, 420), 2.0)):
        picture = draw_plot(at(1.0), size, DARK, scale)
        assert picture.shape == (size[1], size[0], 3)
        edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (np.abs(edge.astype(int) - DARK.rgb8("ground")).max(1) <= 3).all()


@given(st.floats(1e-3, 1e4))
def test_tick_steps_are_round_and_few(top):
    step = tick_step(top)
    assert 1 <= top / step <= 5.0 + 1e-9 or top / step < 1
    assert any(step == pytest.approx(k * 10.0 ** np.floor(np.log10(step / k) + 0.5)) for k in (1.0, 2.0, 5.0))


def test_an_axis_must_have_a_length():
    with pytest.raises(ValueError, match="above 0, got 0"):
        tick_step(0.0)


@given(st.floats(0, 3), st.floats(0, 200))
def test_spots_rise_with_their_values_and_stay_in_the_axes(x, y):
    axes = Axes(60.0, 40.0, 560.0, 280.0, 2.3, 115.0)
    px, py = axes.spot(x, y)
    assert axes.left <= px <= axes.right
    assert axes.top <= py <= axes.bottom
    assert axes.spot(0.0, 0.0) == (axes.left, axes.bottom)


# through the arteries


def slowing(last_s=300.0):
    times = np.linspace(0.0, last_s, 11)
    return SimpleNamespace(flow_course=lambda: (times, np.linspace(1.0, 0.1, 11)))


@given(st.floats(0.0, 400.0))
def test_the_flow_is_drawn_up_to_now_in_minutes_where_it_takes_long(now):
    plot = flow(SimpleNamespace(drug_s=now), slowing())
    held = min(now, 300.0)
    assert plot.x_unit == "min"
    assert plot.traces[0].points[-1] == pytest.approx((held / 60.0, 100.0 * (1.0 - 0.9 * held / 300.0)))
    assert plot.x_top > 5.0
    assert flow(SimpleNamespace(drug_s=now), slowing(90.0)).x_unit == "s"


def test_before_the_first_pulse_the_flow_is_whole():
    assert flow(SimpleNamespace(drug_s=None), slowing()).traces[0].points == ((0.0, 100.0),)


def test_the_stop_line_lies_at_the_share_at_which_one_stops():
    plot = flow(SimpleNamespace(drug_s=0.0), slowing())
    assert plot.stop == pytest.approx(100.0 * flow_figures()["stop_share"])
    axes, picture = axes_of(plot, *SIZE), draw_plot(plot, SIZE, DARK, 1.0)
    y = int(axes.spot(0.0, plot.stop)[1])
    across = slice(round(axes.left) + 100, round(axes.right) - 10)
    seen = role_mask(picture[:, across], "text").any(1)
    assert np.flatnonzero(seen[: round(axes.bottom) - 3]).tolist()[-1] == pytest.approx(y, abs=2)
    bare = draw_plot(replace(plot, stop=None), SIZE, DARK, 1.0)
    assert (
        role_mask(picture[y : y + 1], "text").sum()
        > 0.4 * (axes.right - axes.left)
        > role_mask(bare[y : y + 1], "text").sum()
    )


def recovering():
    weeks = np.linspace(0.0, 12.0, 25)
    return SimpleNamespace(response_course=lambda: (weeks, 22.0 - 0.7 * weeks, 0.5 + 0.02 * weeks))


@given(st.floats(0.0, 12.0))
def test_the_response_begins_at_the_whole_tumour_and_moves_along_its_curves(now):
    plot = response(SimpleNamespace(weeks=now), recovering())
    ends = {trace.name: trace.points[-1] for trace in plot.traces}
    assert ends["tumour diameter"] == pytest.approx((now, 100.0 * (22.0 - 0.7 * now) / 22.0))
    assert ends["canal free"] == pytest.approx((now, 50.0 + 2.0 * now))
    assert [trace.points[0] for trace in plot.traces] == [(0.0, 50.0), (0.0, 100.0)]
    assert len({trace.dashed for trace in plot.traces}) == 2
    still = response(SimpleNamespace(weeks=None), recovering())
    assert (still.x_top, still.y_top) == (plot.x_top, plot.y_top)


def test_long_names_stand_above_the_axes_and_not_at_the_curves():
    plot = response(SimpleNamespace(weeks=6.0), recovering())
    for size in ((568, 210), (568, 320)):
        picture = draw_plot(plot, size, DARK, 1.0)
        nameless = draw_plot(replace(plot, traces=tuple(replace(t, name="") for t in plot.traces)), size, DARK, 1.0)
        changed = np.argwhere((picture != nameless).any(2))
        assert changed[:, 0].max() < axes_of(plot, *size).top
        assert np.ptp(changed[:, 1]) > 200


def test_every_plot_has_a_title_that_fits_its_panel_and_the_response_says_what_it_is():
    assert set(TITLES) == set(PLOTS)
    for title, header in TITLES.values():
        assert text_size(title, HEADER)[0] + text_size(header, NOTE)[0] + 24.0 < COLUMN - 2 * PAD - 12.0
    assert TITLES["response"][1] == "illustrative"


def test_names_that_do_not_stand_beside_each_other_stand_below_each_other():
    points = ((0.0, 10.0), (1.0, 20.0))
    plot = Plot("weeks", "%", 2.0, 30.0, (Trace("canal free", points, "cord"), Trace("tumour size", points, "tumour")))
    wide, narrow = axes_of(plot, 572.0, 400.0), axes_of(plot, 350.0, 400.0)
    assert wide.top == 44.0
    assert narrow.top == 44.0 + 2 * LEGEND_STEP
    light = draw_plot(plot, (350, 400), theme("dark"), 1.0).astype(int).min(2) > 180
    rows = np.flatnonzero(light[: round(narrow.top), 100:].any(1))
    assert len(np.flatnonzero(np.diff(rows) > 1)) >= 1  # two lines of words, a gap between them
    words = light[: round(narrow.top) - 34, :60]
    assert not words.any()  # where the axis and its unit stand
