"""Where everything stands on a 16:9 screen, in design pixels: 1920 across, 1080 down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1920.0, 1080.0
"""The design screen; a screen of other size is this one scaled."""

LAYOUTS = ("stage+insets", "two-plane", "table", "columns", "stage", "card")
BAR_TOP = 914.0
MARGIN, GAP = 16.0, 14.0
HEADER, PAD = 50.0, 14.0
RADIUS = 16.0
TITLE_BOTTOM = 126.0
"""Nothing of a view's labels stands above this line on the title's side."""

TITLE_WIDTH = 760.0
TAG_PAD, TAG_HEIGHT = 20.0, 46.0
"""Round a tag's words, left and right, and its height."""

STAGE_RIGHT = 1290.0
COLUMN, COLUMN_FOCUS = 600.0, 720.0
FOCUS_SHARE, FOCUS_SHARE_OF_THREE = 0.6, 0.46
STAGE_SHARE = 0.54
COLUMN_HEADER, STRIP = 58.0, 150.0
"""A column's header line and the strip of numbers along its foot."""

COLUMN_PITCH = {2: (954.0, 20.0), 3: (630.0, 14.0)}
"""Columns of a shot -> from one column to the next, and the gap between them. The pitch is a multiple of nine, so that
the columns' pictures have the same number of pixels at every quality and equal ones are drawn once."""
DIM_LIGHT, COLUMN_DIM_LIGHT = 0.5, 0.65


@dataclass(frozen=True)
class Rect:
    """A rectangle: left, top, width, height in design pixels."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h

    def inset(self, left: float, top: float, right: float, bottom: float) -> Rect:
        """The rectangle with its edges moved inward."""
        return Rect(self.x + left, self.y + top, self.w - left - right, self.h - top - bottom)

    def holds(self, other: Rect, slack: float = 1e-6) -> bool:
        """Whether `other` lies wholly inside."""
        return (
            other.x >= self.x - slack
            and other.y >= self.y - slack
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )

    def meets(self, other: Rect, gap: float = 0.0) -> bool:
        """Whether the two overlap or come nearer than `gap`."""
        return (
            self.x < other.right + gap
            and other.x < self.right + gap
            and self.y < other.bottom + gap
            and other.y < self.bottom + gap
        )

    def mixed(self, other: Rect, share: float) -> Rect:
        """The rectangle `share` of the way to `other`."""
        a, b = 1.0 - share, share
        return Rect(
            a * self.x + b * other.x, a * self.y + b * other.y, a * self.w + b * other.w, a * self.h + b * other.h
        )

    def pixels(self, scale: float) -> tuple[int, int, int, int]:
        """Left, top, width and height in whole pixels of a screen `scale` times the design; touching edges still do."""
        x, y = round(self.x * scale), round(self.y * scale)
        return x, y, max(1, round(self.right * scale) - x), max(1, round(self.bottom * scale) - y)


@dataclass(frozen=True)
class Panel:
    """The place of one view.

    Attributes:
        rect: the whole panel.
        picture: where the picture lies within it.
        framed: whether it is a rounded panel with a header line; the large stage is not.
        light: 1, or less where another view is in focus.
        inset: whether it lies within another view's frame.
    """

    rect: Rect
    picture: Rect
    framed: bool
    light: float = 1.0
    inset: bool = False

    def mixed(self, other: Panel, share: float) -> Panel:
        """The panel `share` of the way to `other`."""
        return Panel(
            self.rect.mixed(other.rect, share),
            self.picture.mixed(other.picture, share),
            other.framed if share > 0 else self.framed,
            (1 - share) * self.light + share * other.light,
            other.inset if share > 0 else self.inset,
        )


def arrangement(layout: str, views: Sequence[str], focus: str = "") -> dict[str, Panel]:
    """The place of each of `views` in `layout`, in the order of drawing.

    `views` are "stage", "fluoro-0", "fluoro-1", "section", "plot"; in "columns" "0:stage", "0:below", "0:numbers" and
    so on for each of two or three columns. `focus` is one of them, or "", in "columns" the number of a column, "stage"
    or "below". Raises ValueError for a layout that does not exist, a view that the layout has no room for and a focus
    that is not among the views.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if layout == "columns":
        return _columns(tuple(views), focus)
    room = {
        "stage+insets": ("stage", "fluoro-0", "section", "plot"),
        "two-plane": ("fluoro-0", "fluoro-1", "section", "plot", "stage"),
        "table": ("stage", "fluoro-0"),
        "stage": ("stage",),
        "card": (),
    }[layout]
    for view in views:
        if view not in room:
            raise ValueError(f"layout {layout!r} has no room for {view!r}; it shows {', '.join(room) or 'a card'}")
    if focus and focus not in views:
        raise ValueError(f"focus {focus!r} is not shown; there is {', '.join(views)}")
    place = {
        "stage+insets": _stage_and_insets,
        "two-plane": _two_plane,
        "table": _table,
        "stage": _alone,
        "card": _alone,
    }[layout]
    panels = place(tuple(views), focus)
    if focus:
        panels = {
            name: panel if name == focus or (name == "stage" and not panel.framed) else _dimmed(panel)
            for name, panel in panels.items()
        }
    return panels


def stage_area(layout: str, views: Sequence[str], focus: str = "", stage: str = "stage") -> tuple[Rect, ...]:
    """Where labels of the stage in the slot `stage` may stand: the whole area, then what of it must stay free.

    The first rectangle is the area; the others (title, floating panel) are kept clear. Empty where it takes no labels.
    """
    panels = arrangement(layout, views, focus)
    if layout == "columns":
        return (panels[stage].picture.inset(14, 14, 14, 14),) if stage in panels else ()
    if "stage" not in panels or panels["stage"].framed:
        return ()
    area = panels["stage"].picture.inset(40, 24, 36, 24)
    keep = [Rect(0, 0, TITLE_WIDTH, TITLE_BOTTOM)]
    keep += [panel.rect for name, panel in panels.items() if name != "stage" and panel.framed]
    return (area, *keep)


def tag_place(words_width: float, title_width: float, under: bool) -> Rect:
    """Where a tag of words so wide stands: `under` the title, or beside it where panels begin at once."""
    x, y = (40.0, TITLE_BOTTOM + 2.0) if under else (40.0 + title_width + 26.0, 27.0)
    return Rect(x, y, words_width + 2 * TAG_PAD, TAG_HEIGHT)


def dots_place() -> tuple[float, float, float]:
    """The first step dot's middle and the distance to the next, design pixels."""
    return 44.0, BAR_TOP + 30.0, 26.0


def caption_place() -> tuple[float, tuple[float, float]]:
    """The left end of the caption's lines and the base line of each, design pixels."""
    return 40.0, (BAR_TOP + 92.0, BAR_TOP + 142.0)


def gauge_places(count: int) -> tuple[Rect, ...]:
    """Where `count` gauges (0 to 4) stand in the bar, left to right.

    Raises ValueError for more than four.
    """
    if not 0 <= count <= 4:
        raise ValueError(f"a shot has at most four gauges, got {count}")
    if count == 0:
        return ()
    left, right, gap = 904.0, WIDTH - 40.0, 40.0
    width = min(300.0, (right - left - gap * (count - 1)) / count)
    start = right - count * width - (count - 1) * gap
    return tuple(Rect(start + i * (width + gap), BAR_TOP + 18.0, width, 132.0) for i in range(count))


def _framed(rect: Rect) -> Panel:
    return Panel(rect, rect.inset(PAD, HEADER, PAD, PAD), True)


def _dimmed(panel: Panel) -> Panel:
    return Panel(panel.rect, panel.picture, panel.framed, DIM_LIGHT)


def _shares(names: Sequence[str], focus: str) -> list[float]:
    """How a length is shared by `names`: equally, or FOCUS_SHARE (of three: a little less) to the one in focus."""
    if focus not in names or len(names) == 1:
        return [1.0 / len(names)] * len(names)
    most = FOCUS_SHARE if len(names) == 2 else FOCUS_SHARE_OF_THREE
    return [most if name == focus else (1 - most) / (len(names) - 1) for name in names]


def _column(names: Sequence[str], focus: str, x: float, width: float) -> dict[str, Panel]:
    """Panels above one another, from the top margin to the bar."""
    height = BAR_TOP - 2 * MARGIN - GAP * (len(names) - 1)
    panels, y = {}, MARGIN
    for name, share in zip(names, _shares(names, focus), strict=True):
        panels[name] = _framed(Rect(x, y, width, share * height))
        y += share * height + GAP
    return panels


def _stage_and_insets(views: tuple[str, ...], focus: str) -> dict[str, Panel]:
    insets = [name for name in ("fluoro-0", "section", "plot") if name in views]
    width = COLUMN_FOCUS if focus in insets else COLUMN
    left = WIDTH - MARGIN - width
    stage = Rect(0.0, 0.0, left - MARGIN if insets else WIDTH, BAR_TOP)
    panels = {"stage": Panel(stage, stage, False)} if "stage" in views else {}
    return panels | (_column(insets, focus, left, width) if insets else {})


def _two_plane(views: tuple[str, ...], focus: str) -> dict[str, Panel]:
    planes = [name for name in ("fluoro-0", "fluoro-1") if name in views]
    small = [name for name in ("section", "plot", "stage") if name in views]
    column = 500.0 if focus in planes else 640.0 if focus else 560.0
    right = WIDTH - MARGIN - (column + GAP if small else 0.0)
    panels, x = {}, MARGIN
    room = right - MARGIN - GAP * (len(planes) - 1)
    weights = [1.12 if name == focus else 1.0 for name in planes]
    for name, weight in zip(planes, weights, strict=True):
        width = room * weight / sum(weights)
        panels[name] = _framed(Rect(x, TITLE_BOTTOM - 6.0, width, BAR_TOP - MARGIN - TITLE_BOTTOM + 6.0))
        x += width + GAP
    return panels | (_column(small, focus, WIDTH - MARGIN - column, column) if small else {})


def _table(views: tuple[str, ...], focus: str) -> dict[str, Panel]:
    panels = _alone(("stage",), "")
    if "fluoro-0" in views:
        width, height = (720.0, 640.0) if focus == "fluoro-0" else (560.0, 470.0)
        panels["fluoro-0"] = _framed(Rect(WIDTH - MARGIN - width, MARGIN, width, height))
    return {name: panel for name, panel in panels.items() if name in views}


def _columns(views: tuple[str, ...], focus: str) -> dict[str, Panel]:
    """Frames side by side; the first view of each carries the frame, the others lie within it."""
    numbers = sorted({view.partition(":")[0] for view in views})
    parts = {n: [view.partition(":")[2] for view in views if view.partition(":")[0] == n] for n in numbers}
    if numbers != [str(i) for i in range(len(numbers))] or len(numbers) not in COLUMN_PITCH:
        raise ValueError(f"layout 'columns' shows two or three columns from 0 on, got {', '.join(numbers) or 'none'}")
    for n, found in parts.items():
        for part in found:
            if part not in ("stage", "below", "numbers"):
                raise ValueError(f"layout 'columns' has no room for '{n}:{part}'; it shows stage, below, numbers")
    if focus and focus not in (*numbers, "stage", "below"):
        raise ValueError(f"focus {focus!r} is not shown; there is {', '.join(numbers)}, stage, below")
    pitch, gap = COLUMN_PITCH[len(numbers)]
    left = (WIDTH - pitch * len(numbers) + gap) / 2
    top = TITLE_BOTTOM - 6.0
    panels: dict[str, Panel] = {}
    for i, n in enumerate(numbers):
        frame = Rect(left + i * pitch, top, pitch - gap, BAR_TOP - MARGIN - top)
        room = frame.inset(PAD, COLUMN_HEADER, PAD, PAD)
        light = COLUMN_DIM_LIGHT if focus in numbers and focus != n else 1.0
        # every column leaves room for numbers where one has them, so that their pictures are of one size
        if any("numbers" in found for found in parts.values()):
            strip = Rect(room.x, room.bottom + PAD - STRIP, room.w, STRIP)
            room = room.inset(0, 0, 0, STRIP - PAD + 4.0)
            if "numbers" in parts[n]:
                panels[f"{n}:numbers"] = Panel(strip, strip, False, 1.0, True)
        for part, place in _pictures(room, [p for p in parts[n] if p != "numbers"], len(numbers) == 2, focus).items():
            first = f"{n}:stage" not in panels
            panels[f"{n}:{part}"] = Panel(frame if first else place, place, first, light, not first)
    return panels


def _pictures(room: Rect, parts: Sequence[str], abreast: bool, focus: str) -> dict[str, Rect]:
    """Stage and what belongs to it in a column's room, abreast or above one another."""
    if len(parts) < 2:
        return dict.fromkeys(parts, room)
    share = FOCUS_SHARE if focus == "stage" else 1.0 - FOCUS_SHARE if focus == "below" else STAGE_SHARE
    first, second = share, 1.0 - share
    if abreast:
        width = round((room.w - GAP) * first)
        return {
            "stage": Rect(room.x, room.y, width, room.h),
            "below": Rect(room.x + width + GAP, room.y, room.w - GAP - width, room.h),
        }
    height = round((room.h - GAP) * first)
    return {
        "stage": Rect(room.x, room.y, room.w, height),
        "below": Rect(room.x, room.y + height + GAP, room.w, (room.h - GAP) * second),
    }


def column_gauge_places(strip: Rect, count: int) -> tuple[Rect, ...]:
    """Where `count` gauges (0 to 4) of a column stand along its foot, left to right.

    Raises ValueError for more than four.
    """
    if not 0 <= count <= 4:
        raise ValueError(f"a column has at most four gauges, got {count}")
    gap = 40.0
    width = (strip.w - 12.0 - gap * (count - 1)) / max(count, 1)
    return tuple(Rect(strip.x + 6.0 + i * (width + gap), strip.y, width, strip.h) for i in range(count))


def _alone(views: tuple[str, ...], focus: str) -> dict[str, Panel]:
    whole = Rect(0.0, 0.0, WIDTH, BAR_TOP)
    return {name: Panel(whole, whole, False) for name in views}
