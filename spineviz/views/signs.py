"""Signs over a view: the tick of safety, the stop sign, rings, lines, measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from spineviz.views.canvas import Canvas, Layer
from spineviz.views.layout import Rect
from spineviz.views.text import HEADER, cap_height, text_size
from spineviz.views.theme import RGB, Theme

WORDS = HEADER
SIGN_RADIUS = 19.0
RING_RADIUS = 14.0
DASH = (10.0, 8.0)
WORDS_PAD = 9.0
LETTER, LETTER_GAP = 34.0, 8.0
"""Of the patient's letters that are burnt into a radiograph or a section: a square that holds one, and how far it is
off its edge."""
BAR_SHARE, BAR_DEEP = 0.25, 60.0
"""The most of a section's width that its scale bar takes, and how high it stands with its words."""

Spot = tuple[float, float]
Point = tuple[float, float, float]
Side = Literal["left", "right", ""]


@dataclass(frozen=True)
class Mark:
    """A sign drawn over one view, at points of the world.

    Attributes:
        kind: "tick" (safe), "danger" (stop sign), "ring" (circle of `radius_mm` round the first point), "line" (through
            the points, drawn up to `shown` of its length), "area" (hatched polygon), "arrow" (from the first point to
            the last), "dot" (filled circle), "text", "measure" (a line between two points with end bars and `text`
            beside its middle).
        view: "stage", "section", or the name of a projection, "ap", "lateral".
        points_mm: in the world frame.
        text: words beside it, if any; every kind may have them.
        role: its colour, "safe", "danger", "text" or a structure's.
        radius_mm: of a ring; 0 is 14 screen pixels of 1080.
        shown: 0 to 1.
        dashed: of a line, ring or measure.
        side: where the words stand, left or right of the points; "" lets the film choose.
    """

    kind: Literal["tick", "danger", "ring", "line", "area", "arrow", "dot", "text", "measure"]
    view: str
    points_mm: tuple[Point, ...]
    text: str = ""
    role: str = "text"
    radius_mm: float = 0.0
    shown: float = 1.0
    dashed: bool = False
    side: Side = ""


def draw_mark(
    mark: Mark, points: Sequence[Spot], radius: float, view: Rect, words: Rect | None, theme: Theme, scale: float
) -> Layer | None:
    """One sign as a layer, cut to the rectangle `view`; None where nothing of it is to be seen.

    `points` are the mark's points on the screen and `radius` a ring's, both in design pixels; `words` is where its
    words stand, as `words_place` found it.
    """
    if mark.shown <= 0.0 or not points or any(math.isnan(v) for p in points for v in p):
        return None
    reach = max(radius, SIGN_RADIUS) + 14.0
    left, right = min(p[0] for p in points) - reach, max(p[0] for p in points) + reach
    top, bottom = min(p[1] for p in points) - reach, max(p[1] for p in points) + reach
    if words is not None:
        left, right = min(left, words.x - 2), max(right, words.right + 2)
        top, bottom = min(top, words.y - 2), max(bottom, words.bottom + 2)
    left, top, right, bottom = max(left, view.x), max(top, view.y), min(right, view.right), min(bottom, view.bottom)
    if right - left < 1 or bottom - top < 1:
        return None
    canvas = Canvas(right - left, bottom - top, scale, left, top)
    ink, rim = theme.colour(mark.role), theme.colour("plate")
    line_share = 1.0
    if mark.kind == "tick":
        _tick(canvas, points[0], theme)
    elif mark.kind == "danger":
        _stop(canvas, points[0], theme)
    elif mark.kind == "ring":
        _ring(canvas, points[0], radius or RING_RADIUS, ink, rim, mark.dashed)
    elif mark.kind == "dot":
        canvas.disc(*points[0], 9.0, fill=rim)
        canvas.disc(*points[0], 6.5, fill=ink)
    elif mark.kind == "area":
        _area(canvas, points, ink, theme.colour("text"))
    elif mark.kind == "arrow" and len(points) > 1:
        _arrow(canvas, points[0], points[-1], ink, rim)
    elif mark.kind in ("line", "measure") and len(points) > 1:
        line_share = mark.shown if mark.kind == "line" else 1.0
        drawn = _part(points, line_share)
        canvas.haloed_line(drawn, ink, rim, 3.0, DASH if mark.dashed else ())
        if mark.kind == "measure":
            _end_bars(canvas, points[0], points[-1], ink, rim)
    if words is not None:
        canvas.panel(words.x, words.y, words.w, words.h, 8, fill=theme.colour("plate"), alpha=0.72)
        middle = words.y + words.h / 2 + cap_height(WORDS) / 2
        canvas.text(mark.text, words.x + WORDS_PAD, middle, WORDS, theme.colour("text"))
    # a line grows; everything else fades in
    return canvas.layer().faded(1.0 if line_share < 1.0 or mark.kind == "line" else mark.shown)


def _tick(canvas: Canvas, at: Spot, theme: Theme) -> None:
    x, y = at
    canvas.disc(x, y, SIGN_RADIUS + 2.5, fill=theme.colour("plate"))
    canvas.disc(x, y, SIGN_RADIUS, fill=theme.colour("safe"))
    canvas.path([(x - 9, y + 1), (x - 3, y + 8), (x + 10, y - 8)], stroke=theme.colour("plate"), stroke_px=5.0)


def _stop(canvas: Canvas, at: Spot, theme: Theme) -> None:
    """An octagon in red with a white outline and a white bar."""
    x, y = at

    def octagon(radius: float) -> list[Spot]:
        angles = [math.pi / 8 + i * math.pi / 4 for i in range(8)]
        return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]

    canvas.path(octagon(SIGN_RADIUS + 5), fill=theme.colour("outline"), closed=True)
    canvas.path(octagon(SIGN_RADIUS + 2.5), fill=theme.colour("sign"), closed=True)
    canvas.path(octagon(SIGN_RADIUS), fill=theme.colour("danger"), closed=True)
    canvas.path([(x - 10, y), (x + 10, y)], stroke=theme.colour("sign"), stroke_px=6.0)


def _ring(canvas: Canvas, at: Spot, radius: float, ink: RGB, rim: RGB, dashed: bool) -> None:
    steps = 64
    circle = [
        (at[0] + radius * math.cos(2 * math.pi * i / steps), at[1] + radius * math.sin(2 * math.pi * i / steps))
        for i in range(steps + 1)
    ]
    canvas.haloed_line(circle, ink, rim, 3.0, DASH if dashed else ())


def _area(canvas: Canvas, points: Sequence[Spot], ink: RGB, outline: RGB) -> None:
    """A hatched polygon with a light outline: told by its hatching, not by colour alone."""
    context = canvas.context
    canvas.path(points, fill=ink, alpha=0.35, closed=True)
    context.save()
    for i, point in enumerate(points):
        (context.move_to if i == 0 else context.line_to)(*point)
    context.close_path()
    context.clip()
    low, high = min(p[0] for p in points), max(p[0] for p in points)
    top, bottom = min(p[1] for p in points), max(p[1] for p in points)
    x = low - (bottom - top)
    while x < high:
        canvas.path([(x, bottom), (x + bottom - top, top)], stroke=ink, stroke_px=3.0)
        x += 12.0
    context.restore()
    canvas.path(points, stroke=outline, stroke_px=2.0, closed=True)


def _arrow(canvas: Canvas, start: Spot, end: Spot, ink: RGB, rim: RGB) -> None:
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    if length < 1e-6:
        return
    ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    head = min(18.0, 0.6 * length)
    neck = (end[0] - head * ux, end[1] - head * uy)
    side = (-0.55 * head * uy, 0.55 * head * ux)
    wings = [(neck[0] + side[0], neck[1] + side[1]), end, (neck[0] - side[0], neck[1] - side[1])]
    canvas.path([start, neck], stroke=rim, stroke_px=7.0, alpha=0.75)
    canvas.path(wings, fill=rim, stroke=rim, stroke_px=5.0, alpha=0.75, closed=True)
    canvas.path([start, neck], stroke=ink, stroke_px=4.0)
    canvas.path(wings, fill=ink, closed=True)


def _end_bars(canvas: Canvas, start: Spot, end: Spot, ink: RGB, rim: RGB) -> None:
    length = math.hypot(end[0] - start[0], end[1] - start[1]) or 1.0
    nx, ny = -(end[1] - start[1]) / length * 9.0, (end[0] - start[0]) / length * 9.0
    for x, y in (start, end):
        canvas.haloed_line([(x - nx, y - ny), (x + nx, y + ny)], ink, rim, 3.0)


def _part(points: Sequence[Spot], share: float) -> list[Spot]:
    """The first `share` of a polyline's length."""
    lengths = [math.dist(a, b) for a, b in pairwise(points)]
    left = share * sum(lengths)
    out = [points[0]]
    for a, b, length in zip(points, points[1:], lengths, strict=False):
        if length >= left:
            part = left / length if length else 0.0
            return [*out, (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]))]
        out.append(b)
        left -= length
    return out


def words_place(
    mark: Mark, points: Sequence[Spot], radius: float, view: Rect, taken: Sequence[Rect] = ()
) -> Rect | None:
    """Where a sign's words stand: beside it, inside `view`, clear of `taken` and of what is burnt into the picture
    where that can be; None without words.

    The side that the mark wishes comes first, then the other, then above and below.
    """
    if not mark.text or not points or any(math.isnan(v) for p in points for v in p):
        return None
    width, height = text_size(mark.text, WORDS)[0] + 2 * WORDS_PAD, 38.0
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    spread = mark.kind in ("measure", "area", "arrow")
    right, left = (max(xs), min(xs)) if spread else (points[-1][0], points[-1][0])
    top, bottom = (min(ys), max(ys)) if spread else (points[-1][1], points[-1][1])
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    gap = 8.0 if mark.kind in ("text", "line", "measure", "area") else max(radius, SIGN_RADIUS) + 6.0
    beside = [
        Rect(right + gap, middle_y - height / 2, width, height),
        Rect(left - gap - width, middle_y - height / 2, width, height),
    ]
    if mark.side == "left" or (mark.side == "" and right + gap + width + 6 > view.right):
        beside.reverse()
    tried = [
        *beside,
        Rect(middle_x - width / 2, top - gap - height, width, height),
        Rect(middle_x - width / 2, bottom + gap, width, height),
        *(Rect(r.x, r.y + k * (height + 4), width, height) for k in (-1, 1, -2, 2) for r in beside),
    ]
    held = [_inside(rect, view) for rect in tried]
    clear = [rect for rect in held if not any(rect.meets(other, 3.0) for other in taken)]
    free = [rect for rect in clear if not any(rect.meets(other) for other in burnt_in(mark.view, view))]
    return next(iter((*free, *clear, *held)))


def burnt_in(name: str, view: Rect) -> tuple[Rect, ...]:
    """What words keep off in the picture `view` of the view `name`: the patient's letters at the middles of its edges,
    and in a section the scale bar; a stage has neither."""
    kind = name.rpartition(":")[2]
    if kind == "stage":
        return ()
    x, y, near = view.x + (view.w - LETTER) / 2, view.y + (view.h - LETTER) / 2, LETTER_GAP
    spots = ((view.x + near, y), (view.right - near - LETTER, y), (x, view.y + near), (x, view.bottom - near - LETTER))
    letters = tuple(Rect(*spot, LETTER, LETTER) for spot in spots)
    bar = Rect(view.x, view.bottom - BAR_DEEP, BAR_SHARE * view.w + 3 * LETTER_GAP, BAR_DEEP)
    return (*letters, bar) if kind == "section" else letters


def _inside(rect: Rect, view: Rect) -> Rect:
    """`rect` moved into `view`, a little off its edge."""
    x = min(max(rect.x, view.x + 6.0), view.right - rect.w - 6.0)
    return Rect(x, min(max(rect.y, view.y + 6.0), view.bottom - rect.h - 6.0), rect.w, rect.h)
