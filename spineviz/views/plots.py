"""Curves as they are drawn: pressure against volume, one trace for each balloon."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.views.canvas import Canvas, Pixels, blit
from spineviz.views.text import HEADER, LABEL, NOTE, text_size
from spineviz.views.theme import Theme

Points = tuple[tuple[float, float], ...]

TRACE_PX, DASH = 4.0, (11.0, 11.0)
_LETTERS = 2
LETTER_PX, LEGEND_STEP = 28.0, 32.0
"""How far the letters of two traces keep apart, and names that stand below one another, design pixels."""

_LONG_S = 150.0
"""From how many seconds on an axis of time is in minutes."""

_HEADROOM = 1.15
"""How far the axes run beyond the curve's own ends."""


@dataclass(frozen=True)
class Trace:
    """One curve so far.

    Attributes:
        name: a letter or two at its end ("R", "L"); longer names stand above the axes, each with its colour.
        points: (x, y) in the axes' units, in the order of drawing.
        role: its colour.
        dashed: so that two traces are told apart without colour; a dashed one ends in a square, the other in a disc.
    """

    name: str
    points: Points
    role: str
    dashed: bool = False


@dataclass(frozen=True)
class Plot:
    """Axes and what is drawn on them.

    Attributes:
        x_unit, y_unit: at the axes' ends.
        x_top, y_top: where the axes end; they begin at 0.
        traces: the curves, the first one lowest.
        stop, stop_word: a level line, for what must be reached or not be passed, and the word on it.
    """

    x_unit: str
    y_unit: str
    x_top: float
    y_top: float
    traces: tuple[Trace, ...]
    stop: float | None = None
    stop_word: str = ""


PlotReader = Callable[[Any, Any], Plot]
"""(state, plan) -> the plot at that moment."""


def pressure(state: Any, plan: Any) -> Plot:
    """Each balloon's pressure, psi, against its volume, mL, as far as the inflation has gone.

    The axes are those of the whole curve, so that nothing moves but the curve.
    """
    course = plan.inflation
    sides = [side for side in ("right", "left") if side in course.stop]
    whole = np.concatenate([np.asarray(course.curve(side, 1.0), float) for side in sides])
    share = float(getattr(state, "inflation", 0.0) or 0.0)
    traces = []
    for side in sides:
        points = tuple((float(x), float(y)) for x, y in np.asarray(course.curve(side, share), float))
        traces.append(Trace(side[0].upper(), points, "balloon" if side == "right" else "text", side == "left"))
    x_unit = "mL, each balloon" if len(sides) > 1 else "mL"
    x_top, y_top = (float(top) for top in _HEADROOM * whole.max(0))
    return Plot(x_unit, "psi", x_top, y_top, tuple(traces))


def flow(state: Any, plan: Any) -> Plot:
    """Flow in the tumour's artery, % of the first, since the first pulse of particles, with the share at which one
    stops; in minutes where it takes long."""
    from spineviz.physics.transport import flow_figures

    times_s, share = (np.asarray(values, float) for values in plan.flow_course())
    unit, per_s = ("min", 1.0 / 60.0) if times_s[-1] > _LONG_S else ("s", 1.0)
    drawn = _so_far(times_s, [100.0 * share], getattr(state, "drug_s", None) or 0.0)[0]
    points = tuple((per_s * x, y) for x, y in drawn)
    stop = 100.0 * flow_figures()["stop_share"]
    return Plot(
        unit,
        "% of the first flow",
        1.06 * per_s * float(times_s[-1]),
        _HEADROOM * 100.0 * float(share.max()),
        (Trace("", points, "artery"),),
        stop,
        f"stop at {stop:.0f}%",
    )


def response(state: Any, plan: Any) -> Plot:
    """The tumour's diameter, % of what it was, and the free share of the canal, %, week by week. Illustrative."""
    weeks, diameter_mm, canal = (np.asarray(values, float) for values in plan.response_course())
    values = [100.0 * diameter_mm / diameter_mm[0], 100.0 * canal]
    drawn = _so_far(weeks, values, getattr(state, "weeks", None) or 0.0)
    traces = (Trace("canal free", drawn[1], "cord"), Trace("tumour diameter", drawn[0], "tumour", True))
    top = _HEADROOM * max(100.0, *(float(v.max()) for v in values))
    return Plot("weeks", "%", 1.06 * float(weeks[-1]), top, traces)


def _so_far(x: NDArray[np.float64], values: Sequence[NDArray[np.float64]], now: float) -> list[Points]:
    """Of curves over one `x` (N,), rising, the part up to `now`, its end between two given points."""
    end = float(np.clip(now, x[0], x[-1]))
    along = np.append(x[x < end], end)
    return [tuple(zip(along.tolist(), np.interp(along, x, y).tolist(), strict=True)) for y in values]


PLOTS: Mapping[str, PlotReader] = MappingProxyType({"pressure": pressure, "flow": flow, "response": response})
"""Names that a PlotShot may give."""

TITLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "pressure": ("Pressure and volume", ""),
        "flow": ("Flow in the tumour's artery", ""),
        "response": ("Weeks after treatment", "illustrative"),
    }
)
"""Each plot's title and header where a shot gives none."""


def tick_step(top: float, most: int = 5) -> float:
    """The round step (1, 2 or 5 times a power of ten) that puts at most `most` ticks above 0 on an axis up to `top`.

    Raises ValueError unless `top` is above 0.
    """
    if not top > 0.0:
        raise ValueError(f"top must be above 0, got {top}")
    power = 10.0 ** math.floor(math.log10(top / most))
    return next(power * k for k in (1.0, 2.0, 5.0, 10.0, 20.0) if top / (power * k) <= most)


@dataclass(frozen=True)
class Axes:
    """Where a plot's axes lie in a picture of `width` by `height` design pixels.

    Attributes:
        left, top, right, bottom: the area of the curves, design pixels.
        x_top, y_top: what its right and upper edge stand for.
    """

    left: float
    top: float
    right: float
    bottom: float
    x_top: float
    y_top: float

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """Where the values (x, y) lie, design pixels."""
        across, up = min(x / self.x_top, 1.0), min(y / self.y_top, 1.0)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def axes_of(plot: Plot, width: float, height: float) -> Axes:
    """The axes of `plot` in a picture of `width` by `height` design pixels."""
    widest = max(text_size(_figure(v), NOTE)[0] for v in _ticks(plot.y_top, height))
    left, right = widest + 22.0, width - 46.0
    names = [text_size(trace.name, NOTE)[0] + 52.0 for trace in named(plot)]
    # where the names do not stand beside each other and the unit, each has a line of its own
    narrow = sum(names) + text_size(plot.y_unit, HEADER)[0] > right - left
    return Axes(
        left, 44.0 + (LEGEND_STEP * len(names) if narrow else 0.0), right, height - 42.0, plot.x_top, plot.y_top
    )


def named(plot: Plot) -> list[Trace]:
    """The traces whose names stand above the axes."""
    return [trace for trace in plot.traces if len(trace.name) > _LETTERS]


def draw_plot(plot: Plot, size_px: tuple[int, int], theme: Theme, scale: float) -> Pixels:
    """The plot as a picture (H, W, 3) of `size_px` pixels on the panels' ground."""
    width, height = size_px[0] / scale, size_px[1] / scale
    out = np.empty((size_px[1], size_px[0], 3), np.uint8)
    out[:] = theme.rgb8("ground")
    canvas = Canvas(width, height, scale)
    axes = axes_of(plot, width, height)
    _grid(canvas, plot, axes, theme, height)
    _stop(canvas, plot, axes, theme)
    _legend(canvas, named(plot), axes, theme)
    drawn = [(trace, [axes.spot(x, y) for x, y in trace.points]) for trace in plot.traces if trace.points]
    for _, spots in drawn:
        if len(spots) > 1:
            canvas.path(spots, stroke=theme.colour("plate"), stroke_px=TRACE_PX + 3.0)
    for trace, spots in drawn:  # over all the rims, so that one shows through the other's gaps
        if len(spots) > 1:
            ink = theme.colour(trace.role)
            canvas.path(spots, stroke=ink, stroke_px=TRACE_PX, dash=DASH if trace.dashed else ())
    ends = [(trace, spots[-1]) for trace, spots in drawn]
    for trace, (x, y) in ends:
        _end(canvas, trace, x, y, theme)
    for (trace, (x, _)), y in zip(ends, _letters([y for _, (_, y) in ends]), strict=True):
        if trace in named(plot):
            continue
        canvas.text(trace.name, x + 20.0, y + 10.0, LABEL, theme.colour("text"))
    blit(out, canvas.layer())
    return out


def _end(canvas: Canvas, trace: Trace, x: float, y: float, theme: Theme) -> None:
    """The present point: a disc, of a dashed trace a square."""
    ink, rim = theme.colour(trace.role), theme.colour("plate")
    if trace.dashed:
        canvas.panel(x - 8, y - 8, 16, 16, 3, fill=rim)
        canvas.panel(x - 5.5, y - 5.5, 11, 11, 2, fill=ink)
    else:
        canvas.disc(x, y, 14.0, fill=rim)
        canvas.disc(x, y, 11.0, fill=ink)


def _legend(canvas: Canvas, traces: Sequence[Trace], axes: Axes, theme: Theme) -> None:
    """The names of traces above the axes, from the right, each after the sign that ends it; or below one another."""
    x, stacked = axes.right + 18.0, axes.top > 44.0
    for i, trace in enumerate(reversed(traces)):
        y = 30.0 + LEGEND_STEP * (len(traces) - 1 - i) if stacked else axes.top - 14
        x -= text_size(trace.name, NOTE)[0]
        canvas.text(trace.name, x, y, NOTE, theme.colour("text"))
        _end(canvas, trace, x - 18.0, y - 8.0, theme)
        x = axes.right + 18.0 if stacked else x - 52.0


def _stop(canvas: Canvas, plot: Plot, axes: Axes, theme: Theme) -> None:
    """The level line with its word above its left end, where a falling curve has not come yet."""
    if plot.stop is None:
        return
    start, end = axes.spot(0.0, plot.stop), axes.spot(plot.x_top, plot.stop)
    canvas.haloed_line([start, end], theme.colour("text"), theme.colour("plate"), 2.5, DASH)
    canvas.text(plot.stop_word, start[0] + 12.0, start[1] - 10.0, NOTE, theme.colour("text"))


def _letters(ends: Sequence[float]) -> list[float]:
    """How low each trace's letter stands beside its end, the letters clear of each other."""
    order = sorted(range(len(ends)), key=lambda i: (ends[i], i))
    out = list(ends)
    for above, below in pairwise(order):
        short = LETTER_PX - (out[below] - out[above])
        if short > 0.0:
            out[above] -= short / 2
            out[below] += short / 2
    return out


def _grid(canvas: Canvas, plot: Plot, axes: Axes, theme: Theme, height: float) -> None:
    edge, muted, text = theme.colour("edge"), theme.colour("muted"), theme.colour("text")
    for value in _ticks(plot.y_top, height):
        x, y = axes.spot(0.0, value)
        canvas.path([(x, y), (axes.right, y)], stroke=edge, stroke_px=1.5)
        canvas.text(_figure(value), x - 12, y + 8, NOTE, muted, "rs")
    ticks = _ticks(plot.x_top, axes.right - axes.left)
    for value in ticks:
        x, y = axes.spot(value, 0.0)
        canvas.path([(x, y), (x, y + 6)], stroke=muted, stroke_px=2.0)
        # the unit stands over the axis, or where a level line runs there, after the last figure
        unit = f" {plot.x_unit}" if plot.stop is not None and value == ticks[-1] else ""
        canvas.text(_figure(value) + unit, x, y + 31, NOTE, muted, "ms")
    canvas.path(
        [(axes.left, axes.top - 8), (axes.left, axes.bottom), (axes.right + 8, axes.bottom)],
        stroke=muted,
        stroke_px=2.5,
    )
    canvas.text(plot.y_unit, axes.left + 10, axes.top - 14, HEADER, text)
    if plot.stop is None:
        canvas.text(plot.x_unit, axes.right + 18, axes.bottom - 12, HEADER, text, "rs")


@lru_cache(maxsize=64)
def _ticks(top: float, length: float) -> tuple[float, ...]:
    """Round values from 0 on, at least 58 design pixels apart on an axis of `length`."""
    step = tick_step(top, max(1, min(5, int(length / 58.0))))
    return tuple(step * i for i in range(int(top / step + 1e-9) + 1))


def _figure(value: float) -> str:
    return f"{value:g}"
