"""Where everything stands on a screen, in design pixels: its shorter side is 1080 of them.

What all aspects share is here; the places themselves are in layout_wide and layout_narrow, and `designs` names them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

SHORT_SIDE = 1080.0
"""The shorter side of every design screen; a screen of other size is its design scaled."""

LAYOUTS = ("stage+insets", "two-plane", "table", "columns", "stage", "card")
ROOM = {
    "stage+insets": ("stage", "fluoro-0", "section", "plot"),
    "two-plane": ("fluoro-0", "fluoro-1", "section", "plot", "stage"),
    "table": ("stage", "fluoro-0"),
    "stage": ("stage",),
    "card": (),
}
"""What each layout but the columns may show."""

COLUMN_PARTS = ("stage", "below", "numbers")
MARGIN, GAP = 16.0, 14.0
HEADER, PAD = 50.0, 14.0
RADIUS = 16.0
TITLE_BOTTOM = 126.0
"""Nothing of a view's labels stands above this line on the title's side."""

TITLE_WIDTH = 760.0
TITLE_LEFT = 40.0
TAG_PAD, TAG_HEIGHT = 20.0, 46.0
"""Round a tag's words, left and right, and its height."""

FOCUS_SHARE, FOCUS_SHARE_OF_THREE = 0.6, 0.46
STAGE_SHARE = 0.54
COLUMN_HEADER, STRIP = 58.0, 150.0
"""A column's header line and the strip of numbers along its foot."""

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
        stacked: whether the muted words of its header stand under the bold ones, where it is too narrow for both.
    """

    rect: Rect
    picture: Rect
    framed: bool
    light: float = 1.0
    inset: bool = False
    stacked: bool = False

    def mixed(self, other: Panel, share: float) -> Panel:
        """The panel `share` of the way to `other`."""
        return Panel(
            self.rect.mixed(other.rect, share),
            self.picture.mixed(other.picture, share),
            other.framed if share > 0 else self.framed,
            (1 - share) * self.light + share * other.light,
            other.inset if share > 0 else self.inset,
            other.stacked if share > 0 else self.stacked,
        )


class Design(ABC):
    """The design screen of one aspect: the same panels, arranged to fit it.

    Attributes:
        aspect: "16:9", "9:16" or "1:1".
        width, height: design pixels.
    """

    aspect: str
    width: float
    height: float

    def arrangement(self, layout: str, views: Sequence[str], focus: str = "", gauges: bool = False) -> dict[str, Panel]:
        """The place of each of `views` in `layout`, in the order of drawing, over a bar with or without `gauges`.

        `views` are "stage", "fluoro-0", "fluoro-1", "section", "plot"; in "columns" "0:stage", "0:below", "0:numbers"
        and so on for each of two or three columns. `focus` is one of them, or "", in "columns" the number of a column,
        "stage" or "below". Raises ValueError for a layout that does not exist, a view that the layout has no room for
        and a focus that is not among the views.
        """
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        area = Rect(0.0, 0.0, self.width, self.bar_top(gauges))
        if layout == "columns":
            return self._columns(column_parts(views, focus), focus, area)
        room = ROOM[layout]
        for view in views:
            if view not in room:
                raise ValueError(f"layout {layout!r} has no room for {view!r}; it shows {', '.join(room) or 'a card'}")
        if focus and focus not in views:
            raise ValueError(f"focus {focus!r} is not shown; there is {', '.join(views)}")
        place = {
            "stage+insets": self._stage_and_insets,
            "two-plane": self._two_plane,
            "table": self._table,
            "stage": alone,
            "card": alone,
        }[layout]
        panels = place(tuple(views), focus, area)
        if focus:
            panels = {
                name: panel if name == focus or (name == "stage" and not panel.framed) else _dimmed(panel)
                for name, panel in panels.items()
            }
        return panels

    def stage_area(
        self, layout: str, views: Sequence[str], focus: str = "", stage: str = "stage", gauges: bool = False
    ) -> tuple[Rect, ...]:
        """Where labels of the stage in the slot `stage` may stand: the whole area, then what of it must stay free.

        The first rectangle is the area; the others (title, floating panel) are kept clear. Empty where it takes no
        labels.
        """
        panels = self.arrangement(layout, views, focus, gauges)
        if layout == "columns":
            return (panels[stage].picture.inset(14, 14, 14, 14),) if stage in panels else ()
        if "stage" not in panels or panels["stage"].framed:
            return ()
        area = panels["stage"].picture.inset(*self.label_margins)
        keep = [Rect(0, 0, TITLE_WIDTH, TITLE_BOTTOM)]
        keep += [panel.rect for name, panel in panels.items() if name != "stage" and panel.framed]
        return (area, *keep)

    def tag_place(self, words_width: float, title_width: float, under: bool) -> Rect:
        """Where a tag of words so wide stands: `under` the title, or beside it where panels begin at once."""
        x, y = (TITLE_LEFT, TITLE_BOTTOM + 2.0) if under else (TITLE_LEFT + title_width + 26.0, 27.0)
        return Rect(x, y, words_width + 2 * TAG_PAD, TAG_HEIGHT)

    def gauge_places(self, count: int) -> tuple[Rect, ...]:
        """Where `count` gauges (0 to 4) stand in the bar, left to right.

        Raises ValueError for more than four.
        """
        if not 0 <= count <= 4:
            raise ValueError(f"a shot has at most four gauges, got {count}")
        return self._gauges(count) if count else ()

    def column_gauge_places(self, strip: Rect, count: int) -> tuple[Rect, ...]:
        """Where `count` gauges (0 to 4) of a column stand in its strip of numbers.

        Raises ValueError for more than four.
        """
        if not 0 <= count <= 4:
            raise ValueError(f"a column has at most four gauges, got {count}")
        return self._tiles(strip, count) if count else ()

    def moved(self, layout: str, picture: Rect) -> tuple[float, float]:
        """How far to the right and up the subject of a stage moves in `picture`, shares of its height."""
        return 0.0, 0.0

    label_margins = (40.0, 24.0, 36.0, 24.0)
    """Left, top, right and bottom: how far labels keep from the edges of a bare stage."""

    @abstractmethod
    def bar_top(self, gauges: bool) -> float:
        """Where the bar begins that holds step dots, caption and, where there are any, `gauges`."""

    @abstractmethod
    def dots_place(self, gauges: bool) -> tuple[float, float, float]:
        """The first step dot's middle and the distance to the next, design pixels."""

    @abstractmethod
    def caption_place(self, gauges: bool) -> tuple[float, tuple[float, float]]:
        """The left end of the caption's lines and the base line of each, design pixels."""

    @abstractmethod
    def field(self, layout: str, picture: Rect, wide: Rect) -> float:
        """How many times as much as its camera says a stage shows from top to bottom of `picture`.

        Cameras are set up for 16:9, where the picture is `wide`; in a narrower one the field grows, so that the subject
        stays in it.
        """

    @abstractmethod
    def _stage_and_insets(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]: ...
    @abstractmethod
    def _two_plane(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]: ...
    @abstractmethod
    def _table(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]: ...
    @abstractmethod
    def _columns(self, parts: tuple[tuple[str, ...], ...], focus: str, area: Rect) -> dict[str, Panel]: ...
    @abstractmethod
    def _gauges(self, count: int) -> tuple[Rect, ...]: ...
    @abstractmethod
    def _tiles(self, strip: Rect, count: int) -> tuple[Rect, ...]: ...


def alone(views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
    """Each view, bare, over the whole `area`."""
    return {name: Panel(area, area, False) for name in views}


def framed(rect: Rect, stacked: bool = False) -> Panel:
    """A panel with a header, of two lines where it is `stacked`."""
    return Panel(rect, rect.inset(PAD, HEADER + (STACKED if stacked else 0.0), PAD, PAD), True, stacked=stacked)


def shares(names: Sequence[str], focus: str) -> list[float]:
    """How a length is shared by `names`: equally, or FOCUS_SHARE (of three: a little less) to the one in focus."""
    if focus not in names or len(names) == 1:
        return [1.0 / len(names)] * len(names)
    most = FOCUS_SHARE if len(names) == 2 else FOCUS_SHARE_OF_THREE
    return [most if name == focus else (1 - most) / (len(names) - 1) for name in names]


def column_parts(views: Sequence[str], focus: str) -> tuple[tuple[str, ...], ...]:
    """What each column shows, the first column first.

    Raises ValueError for columns that are not numbered from 0 on, fewer than two or more than three of them, for what
    a column has no room for and a focus that is not shown.
    """
    numbers = sorted({view.partition(":")[0] for view in views})
    if numbers != [str(i) for i in range(len(numbers))] or len(numbers) not in (2, 3):
        raise ValueError(f"layout 'columns' shows two or three columns from 0 on, got {', '.join(numbers) or 'none'}")
    parts = tuple(tuple(view.partition(":")[2] for view in views if view.partition(":")[0] == n) for n in numbers)
    for n, found in zip(numbers, parts, strict=True):
        for part in found:
            if part not in COLUMN_PARTS:
                raise ValueError(f"layout 'columns' has no room for '{n}:{part}'; it shows {', '.join(COLUMN_PARTS)}")
    if focus and focus not in (*numbers, "stage", "below"):
        raise ValueError(f"focus {focus!r} is not shown; there is {', '.join(numbers)}, stage, below")
    return parts


def column_panels(
    frames: Sequence[Rect],
    parts: Sequence[tuple[str, ...]],
    focus: str,
    abreast: bool,
    strip: Strip,
    stacked: bool = False,
) -> dict[str, Panel]:
    """Panels of columns in `frames`; the first view of each carries the frame, the others lie within it.

    `abreast` sets a stage and what belongs to it side by side, else above one another; `strip` is where in a column's
    room its numbers stand.
    """
    panels: dict[str, Panel] = {}
    single = focus.isdigit()
    for i, (frame, found) in enumerate(zip(frames, parts, strict=True)):
        n = str(i)
        room = frame.inset(PAD, COLUMN_HEADER + (STACKED if stacked else 0.0), PAD, PAD)
        light = COLUMN_DIM_LIGHT if single and focus != n else 1.0
        # every column leaves room for numbers where one has them, so that their pictures are of one size
        if any("numbers" in others for others in parts):
            numbers, room = strip.cut(room)
            if "numbers" in found:
                panels[f"{n}:numbers"] = Panel(numbers, numbers, False, 1.0, True)
        pictures = _pictures(room, [p for p in found if p != "numbers"], abreast, focus)
        for part, place in pictures.items():
            first = f"{n}:stage" not in panels
            panels[f"{n}:{part}"] = Panel(
                frame if first else place, place, first, light, not first, stacked=first and stacked
            )
    return panels


@dataclass(frozen=True)
class Strip:
    """A strip of numbers `deep` design pixels deep, along a column's foot or at its right side."""

    deep: float
    right: bool = False

    def cut(self, room: Rect) -> tuple[Rect, Rect]:
        """The strip in `room`, and what is left of that."""
        if self.right:
            return (
                Rect(room.right - self.deep, room.y, self.deep, room.h),
                replace(room, w=room.w - self.deep - GAP),
            )
        strip = Rect(room.x, room.bottom + PAD - self.deep, room.w, self.deep)
        return strip, room.inset(0, 0, 0, self.deep - PAD + 4.0)


STACKED = 32.0
"""What the second line of a header takes, design pixels."""


def _dimmed(panel: Panel) -> Panel:
    return replace(panel, light=DIM_LIGHT)


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
