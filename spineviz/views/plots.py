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

from spineviz.views.canvas import Canvas, Pixels, blit
from spineviz.views.text import HEADER, LABEL, NOTE, text_size
from spineviz.views.theme import Theme

Points = tuple[tuple[float, float], ...]

TRACE_PX, DASH = 4.0, (11.0, 11.0)
LETTER_PX = 28.0
"""How far the letters of two traces keep apart, design pixels."""

_HEADROOM = 1.15
"""How far the axes run beyond the curve's own ends."""


@dataclass(frozen=True)
class Trace:
    """One curve so far.

    Attributes:
        name: a letter or two at its end ("R", "L").
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
    """

    x_unit: str
    y_unit: str
    x_top: float
    y_top: float
    traces: tuple[Trace, ...]


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


PLOTS: Mapping[str, PlotReader] = MappingProxyType({"pressure": pressure})
"""Names that a PlotShot may give."""


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
    return Axes(widest + 22.0, 44.0, width - 46.0, height - 42.0, plot.x_top, plot.y_top)


def draw_plot(plot: Plot, size_px: tuple[int, int], theme: Theme, scale: float) -> Pixels:
    """The plot as a picture (H, W, 3) of `size_px` pixels on the panels' ground."""
    width, height = size_px[0] / scale, size_px[1] / scale
    out = np.empty((size_px[1], size_px[0], 3), np.uint8)
    out[:] = theme.rgb8("ground")
    canvas = Canvas(width, height, scale)
    axes = axes_of(plot, width, height)
    _grid(canvas, plot, axes, theme, height)
    drawn = [(trace, [axes.spot(x, y) for x, y in trace.points]) for trace in plot.traces if trace.points]
    for _, spots in drawn:
        if len(spots) > 1:
            canvas.path(spots, stroke=theme.colour("outline"), stroke_px=TRACE_PX + 3.0)
    for trace, spots in drawn:  # over all the rims, so that one shows through the other's gaps
        if len(spots) > 1:
            ink = theme.colour(trace.role)
            canvas.path(spots, stroke=ink, stroke_px=TRACE_PX, dash=DASH if trace.dashed else ())
    ends = [(trace, spots[-1]) for trace, spots in drawn]
    for trace, (x, y) in ends:
        ink, rim = theme.colour(trace.role), theme.colour("outline")
        if trace.dashed:
            canvas.panel(x - 8, y - 8, 16, 16, 3, fill=rim)
            canvas.panel(x - 5.5, y - 5.5, 11, 11, 2, fill=ink)
        else:
            canvas.disc(x, y, 14.0, fill=rim)
            canvas.disc(x, y, 11.0, fill=ink)
    for (trace, (x, _)), y in zip(ends, _letters([y for _, (_, y) in ends]), strict=True):
        canvas.text(trace.name, x + 20.0, y + 10.0, LABEL, theme.colour("text"))
    blit(out, canvas.layer())
    return out


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
    for value in _ticks(plot.x_top, axes.right - axes.left):
        x, y = axes.spot(value, 0.0)
        canvas.path([(x, y), (x, y + 6)], stroke=muted, stroke_px=2.0)
        canvas.text(_figure(value), x, y + 31, NOTE, muted, "ms")
    canvas.path(
        [(axes.left, axes.top - 8), (axes.left, axes.bottom), (axes.right + 8, axes.bottom)],
        stroke=muted,
        stroke_px=2.5,
    )
    canvas.text(plot.y_unit, axes.left + 10, axes.top - 14, HEADER, text)
    canvas.text(plot.x_unit, axes.right + 18, axes.bottom - 12, HEADER, text, "rs")


@lru_cache(maxsize=64)
def _ticks(top: float, length: float) -> tuple[float, ...]:
    """Round values from 0 on, at least 58 design pixels apart on an axis of `length`."""
    step = tick_step(top, max(1, min(5, int(length / 58.0))))
    return tuple(step * i for i in range(int(top / step + 1e-9) + 1))


def _figure(value: float) -> str:
    return f"{value:g}"
