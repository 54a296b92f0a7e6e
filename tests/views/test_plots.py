"""The plot draws the curve that it is given, in its units, and moves nothing but the curve."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.views.plots import Axes, Plot, Trace, axes_of, draw_plot, pressure, tick_step
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
