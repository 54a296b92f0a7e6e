"""Words with a colour chip and a line to what they name: nothing overlaps and no line crosses another.

Labels stand in two columns, at the left and at the right of the area, their inner edges on one vertical line each. From
a column's top downward each place takes the point whose line leaves all remaining points below it: such straight lines
cannot cross (M. A. Bekos, M. Kaufmann, A. Symvonis, A. Wolff, Boundary labeling: models and efficient algorithms for
rectangular maps, Computational Geometry 36 (2007) 215-236, doi:10.1016/j.comgeo.2006.05.003). What still collides,
because there is no room, is left out, the least important first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.views.canvas import Canvas, Layer, contrast
from spineviz.views.layout import Rect
from spineviz.views.text import LABEL, cap_height, text_size
from spineviz.views.theme import RGB, Theme
from spineviz.views.theme import theme as named_theme

LEAST_CONTRAST = 3.0
"""A chip that stands out less from its panel is drawn with a hairline (WCAG 2.2, 1.4.11)."""

BOX_HEIGHT, BOX_GAP = 46.0, 22.0
CHIP_RADIUS, CHIP_ROOM, BOX_PAD = 9.5, 42.0, 15.0
LEAST_LEAD = 26.0
"""A line is at least this long across, design pixels: points nearer to a column, or under it, go to the other."""

SUBJECT_LEAD = 70.0
"""How far from the subject's outline a column stands, design pixels."""

Vec = NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """Where a label stands.

    Attributes:
        box: the chip's rectangle, design pixels.
        side: "left" or "right", its column.
        port: where its line begins, the middle of the box's inner edge.
    """

    box: Rect
    side: str

    @property
    def port(self) -> tuple[float, float]:
        """The middle of the edge that faces the subject."""
        return (self.box.right if self.side == "left" else self.box.x), self.box.y + self.box.h / 2


def label_size(text: str) -> tuple[float, float]:
    """Width and height of the box for `text`, design pixels."""
    return text_size(text, LABEL)[0] + CHIP_ROOM + BOX_PAD, BOX_HEIGHT


def place_labels(
    anchors_px: ArrayLike,
    sizes_px: Sequence[tuple[float, float]],
    area: Rect,
    sides: Sequence[str] = (),
    importance: Sequence[float] = (),
    keep_clear: Sequence[Rect] = (),
    subject: tuple[float, float] | None = None,
) -> tuple[Placed | None, ...]:
    """A place for each label, or None for one that there is no room for.

    Args:
        anchors_px: (N, 2) the points that the lines lead to; nan, or outside `area`, is left out.
        sizes_px: N sizes of boxes (width, height).
        area: where boxes may stand.
        sides: N wishes, "left", "right" or ""; a wish gives way where lines would cross or a label be lost.
        importance: N numbers; where there is no room the least is left out.
        keep_clear: rectangles inside the area that boxes and lines must not touch.
        subject: the left and right edge of what the labels are about; the columns stand beside it, and at the area's
            edges where it is as wide as that or None.

    Returns:
        Boxes inside `area` that do not meet each other nor what is kept clear; their lines cross neither each other
        nor a box. The answer depends on nothing but the arguments.

    Raises:
        ValueError: the arguments differ in length.
    """
    anchors = np.asarray(anchors_px, float).reshape(-1, 2)
    count = len(anchors)
    wishes = tuple(sides) or ("",) * count
    weights = tuple(float(w) for w in importance) or (1.0,) * count
    if not len(sizes_px) == len(wishes) == len(weights) == count:
        raise ValueError(f"{count} anchors, {len(sizes_px)} sizes, {len(wishes)} sides, {len(weights)} importances")
    best: tuple[Placed | None, ...] = (None,) * count
    lowest = np.inf
    for chosen in _assignments(anchors, wishes):
        places = _placed(anchors, sizes_px, area, chosen, weights, keep_clear, subject)
        places = settled(places, anchors, area, weights, keep_clear)
        cost = _cost(places, anchors, wishes, weights)
        if cost < lowest:
            best, lowest = places, cost
    return best


def settled(
    places: Sequence[Placed | None],
    anchors_px: ArrayLike,
    area: Rect,
    importance: Sequence[float],
    keep_clear: Sequence[Rect] = (),
) -> tuple[Placed | None, ...]:
    """`places` without those that collide now that the anchors are at `anchors_px` (N, 2), the least important first.

    Used for each frame: places stay while anchors move, and a line that would come to cross another is not drawn.
    """
    anchors = np.asarray(anchors_px, float).reshape(-1, 2)
    kept: list[int] = []
    for i in sorted(range(len(places)), key=lambda k: (-importance[k], k)):
        place = places[i]
        if place is None or not _sound(place, anchors[i], area, keep_clear):
            continue
        others = ((places[k], anchors[k]) for k in kept)
        if not any(other is not None and _collide(place, anchors[i], other, at) for other, at in others):
            kept.append(i)
    return tuple(place if i in kept else None for i, place in enumerate(places))


def lines_cross(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> bool:
    """Whether the segments a-b and c-d (each (2,)) meet."""
    p, q, r, s = (np.asarray(v, float) for v in (a, b, c, d))

    def turn(u: Vec, v: Vec, w: Vec) -> float:
        return float((v[0] - u[0]) * (w[1] - u[1]) - (v[1] - u[1]) * (w[0] - u[0]))

    def within(u: Vec, v: Vec, w: Vec) -> bool:
        return bool(np.all(np.minimum(u, v) - 1e-9 <= w) and np.all(w <= np.maximum(u, v) + 1e-9))

    first, second, third, fourth = turn(p, q, r), turn(p, q, s), turn(r, s, p), turn(r, s, q)
    if first * second < 0 and third * fourth < 0:
        return True
    touching = ((first, p, q, r), (second, p, q, s), (third, r, s, p), (fourth, r, s, q))
    return any(abs(value) < 1e-9 and within(u, v, w) for value, u, v, w in touching)


def line_meets(a: ArrayLike, b: ArrayLike, rect: Rect) -> bool:
    """Whether the segment a-b enters `rect` (Liang-Barsky)."""
    start, way = np.asarray(a, float), np.asarray(b, float) - np.asarray(a, float)
    low, high = 0.0, 1.0
    for axis, (near, far) in enumerate(((rect.x, rect.right), (rect.y, rect.bottom))):
        if abs(way[axis]) < 1e-12:
            if not near < start[axis] < far:
                return False
            continue
        t0, t1 = sorted(((near - start[axis]) / way[axis], (far - start[axis]) / way[axis]))
        low, high = max(low, t0), min(high, t1)
    return low < high


def spaced(wanted: Sequence[float], low: float, high: float, step: float) -> list[float]:
    """The positions nearest to `wanted` (rising), at least `step` apart, in `low`..`high` (least squares).

    There must be room: (N - 1) * step <= high - low.
    """
    shifted = [w - i * step for i, w in enumerate(wanted)]
    blocks: list[list[float]] = []  # mean, count: pool adjacent violators
    for value in shifted:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, n = blocks.pop()
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * n) / (blocks[-1][1] + n), blocks[-1][1] + n]
    flat = [mean for mean, n in blocks for _ in range(int(n))]
    top = high - (len(wanted) - 1) * step
    return [min(max(value, low), top) + i * step for i, value in enumerate(flat)]


def draw_label(text: str, role: str, box: Rect, theme: Theme, scale: float) -> Layer:
    """The chip with its words, as a layer; kept between frames."""
    return _label_layer(text, role, box, scale, theme.name)


def draw_leader(port: tuple[float, float], anchor: tuple[float, float], theme: Theme, scale: float) -> Layer:
    """The line from a label to its point, with a dot at the end, as a layer; kept between frames."""
    half = [round(2 * v * scale) / (2 * scale) for v in (*port, *anchor)]
    return _leader_layer(half[0], half[1], half[2], half[3], scale, theme.colour("line"), theme.colour("plate"))


@lru_cache(maxsize=48)
def _label_layer(text: str, role: str, box: Rect, scale: float, theme_name: str) -> Layer:
    theme = named_theme(theme_name)
    panel, chip = theme.colour("panel"), theme.colour(role)
    canvas = Canvas(box.w + 4, box.h + 4, scale, box.x - 2, box.y - 2)
    canvas.panel(box.x, box.y, box.w, box.h, 10.0, fill=panel, stroke=theme.colour("edge"), stroke_px=2.0, alpha=0.94)
    middle = box.y + box.h / 2
    # a void is as dark as the panel: its chip has a hairline
    rim = theme.colour("muted") if contrast(chip, panel) < LEAST_CONTRAST else None
    canvas.disc(box.x + 22.0, middle, CHIP_RADIUS, fill=chip, stroke=rim)
    canvas.text(text, box.x + CHIP_ROOM, middle + cap_height(LABEL) / 2, LABEL, theme.colour("text"))
    return canvas.layer()


@lru_cache(maxsize=24)
def _leader_layer(x0: float, y0: float, x1: float, y1: float, scale: float, ink: RGB, rim: RGB) -> Layer:
    left, top, room = min(x0, x1), min(y0, y1), 10.0
    canvas = Canvas(abs(x1 - x0) + 2 * room, abs(y1 - y0) + 2 * room, scale, left - room, top - room)
    canvas.haloed_line(((x0, y0), (x1, y1)), ink, rim, 2.0)
    canvas.disc(x1, y1, 7.0, fill=rim)
    canvas.disc(x1, y1, 5.0, fill=ink)
    return canvas.layer()


def _assignments(anchors: Vec, wishes: Sequence[str]) -> list[tuple[str, ...]]:
    """Ways to share the labels between the columns: by the wishes, and by each vertical cut through the points."""
    order = np.argsort(np.nan_to_num(anchors[:, 0], nan=0.0), kind="stable")
    out: list[tuple[str, ...]] = []
    for cut in range(len(order) + 1):
        left = set(order[:cut].tolist())
        plain = tuple("left" if i in left else "right" for i in range(len(order)))
        out.append(tuple(wish or side for wish, side in zip(wishes, plain, strict=True)))
        out.append(plain)
    return list(dict.fromkeys(out))


def _placed(
    anchors: Vec,
    sizes: Sequence[tuple[float, float]],
    area: Rect,
    sides: Sequence[str],
    importance: Sequence[float],
    keep_clear: Sequence[Rect],
    subject: tuple[float, float] | None,
) -> tuple[Placed | None, ...]:
    """The two columns for one way to share the labels."""
    places: list[Placed | None] = [None] * len(anchors)
    for side in ("left", "right"):
        members = [
            i
            for i in range(len(anchors))
            if sides[i] == side
            and area.x <= anchors[i, 0] <= area.right
            and area.y <= anchors[i, 1] <= area.bottom
            and sizes[i][0] <= area.w
        ]
        members = _reachable(members, anchors, sizes, area, side)
        if not members:
            continue
        # as wide as any label, whichever column it goes to: the edge does not move when one changes sides or goes
        width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
        edge = area.x + width if side == "left" else area.right - width
        if subject is not None and side == "left":
            edge = max(edge, min(subject[0] - SUBJECT_LEAD, min(anchors[i, 0] for i in members) - LEAST_LEAD))
        elif subject is not None:
            edge = min(edge, max(subject[1] + SUBJECT_LEAD, max(anchors[i, 0] for i in members) + LEAST_LEAD))
        column = Rect(edge - width if side == "left" else edge, area.y, width, area.h)
        low, high = _free_run(column, keep_clear)
        step = height + BOX_GAP
        room = int((high - low + BOX_GAP) // step) if high > low else 0
        members = sorted(sorted(members, key=lambda i: (-importance[i], i))[:room], key=lambda i: anchors[i, 1])
        middles = spaced([float(anchors[i, 1]) for i in members], low + height / 2, high - height / 2, step)
        for middle in middles:
            # the point whose line leaves every other point of the column below it
            first = min(members, key=lambda i: (anchors[i, 1] - middle) / max(abs(anchors[i, 0] - edge), 1e-9))
            members.remove(first)
            w, h = sizes[first]
            x = edge - w if side == "left" else edge
            places[first] = Placed(Rect(x, middle - h / 2, w, h), side)
    return tuple(places)


def _reachable(
    members: list[int], anchors: Vec, sizes: Sequence[tuple[float, float]], area: Rect, side: str
) -> list[int]:
    """Those of `members` that lie far enough inward of their own column."""
    width = max(w for w, _ in sizes)
    if side == "left":
        return [i for i in members if anchors[i, 0] >= area.x + width + LEAST_LEAD]
    return [i for i in members if anchors[i, 0] <= area.right - width - LEAST_LEAD]


def _free_run(column: Rect, keep_clear: Sequence[Rect]) -> tuple[float, float]:
    """The longest stretch from top to bottom of `column` that nothing kept clear reaches into."""
    blocked = sorted(
        (r.y - BOX_GAP, r.bottom + BOX_GAP) for r in keep_clear if r.x < column.right and column.x < r.right
    )
    runs, low = [], column.y
    for start, end in blocked:
        runs.append((low, min(start, column.bottom)))
        low = max(low, end)
    runs.append((low, column.bottom))
    return max(runs, key=lambda run: run[1] - run[0])


def _sound(place: Placed, anchor: Vec, area: Rect, keep_clear: Sequence[Rect]) -> bool:
    """Whether a label alone is right: inside the area, its line long enough and clear of what must stay free."""
    if np.isnan(anchor).any() or not area.holds(place.box):
        return False
    reach = anchor[0] - place.port[0] if place.side == "left" else place.port[0] - anchor[0]
    if reach < LEAST_LEAD / 2 or not (area.y <= anchor[1] <= area.bottom and area.x <= anchor[0] <= area.right):
        return False
    return not any(place.box.meets(rect) or line_meets(place.port, anchor, rect) for rect in keep_clear)


def _collide(one: Placed, at_one: Vec, two: Placed, at_two: Vec) -> bool:
    """Whether two labels disturb each other: boxes, lines, or a line under the other's box."""
    return (
        one.box.meets(two.box, 4.0)
        or lines_cross(one.port, at_one, two.port, at_two)
        or line_meets(one.port, at_one, two.box)
        or line_meets(two.port, at_two, one.box)
    )


def _cost(places: Sequence[Placed | None], anchors: Vec, wishes: Sequence[str], importance: Sequence[float]) -> float:
    """What is bad about a solution, the worst first: labels left out, wishes not met, lines long, columns uneven."""
    cost = 0.0
    for place, anchor, wish, weight in zip(places, anchors, wishes, importance, strict=True):
        if place is None:
            cost += 1e6 * (0.1 + max(weight, 0.0))
            continue
        cost += 3e3 * (wish not in ("", place.side)) + float(np.hypot(*(anchor - np.array(place.port))))
    sides = [place.side for place in places if place is not None]
    return cost + 60.0 * abs(sides.count("left") - sides.count("right"))
