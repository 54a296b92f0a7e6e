"""Where everything stands at 9:16 and 1:1: the stage above, insets below, the bar with its caption at the foot.

Text is of the size that it has at 16:9, so a caption takes the width of the screen and gauges stand under it.
"""

from __future__ import annotations

from collections.abc import Sequence

from spineviz.views.layout import (
    GAP,
    MARGIN,
    STRIP,
    TITLE_BOTTOM,
    Design,
    Panel,
    Rect,
    Strip,
    alone,
    column_panels,
    framed,
    shares,
)
from spineviz.views.layout_wide import Wide

ONE_LINE = 480.0
"""A panel narrower than this has its header on two lines, design pixels."""

SUBJECT_RATIO = 1.2
"""What a camera is about lies within this many times the height of its picture at 16:9, across."""

SIDE, GAUGE_STEP = 306.0, 106.0
"""How wide a strip of numbers at a row's right side is, and the least height of a number with its bar."""

ROOM_RATIO = 1.6
"""The same for the whole room."""


class Narrow(Design):
    """What upright and square screens share.

    Attributes:
        insets_height, insets_focus: how tall the insets under a stage are, at rest and with one of them in focus.
        planes_share, planes_focus, planes_calm: how much of the height two planes take from the views under them: at
            rest, with one of them in focus, and with one of the others.
    """

    width = 1080.0
    label_margins = (20.0, 20.0, 20.0, 20.0)
    insets_height: float
    insets_focus: float
    bar_bare: float
    bar_full: float
    planes_share, planes_focus, planes_calm = 0.58, 0.66, 0.46

    def bar_top(self, gauges: bool) -> float:
        """Gauges stand under the caption: a bar without any is lower."""
        return self.height - (self.bar_full if gauges else self.bar_bare)

    def dots_place(self, gauges: bool) -> tuple[float, float, float]:
        """Over the caption."""
        return 44.0, self.bar_top(gauges) + 30.0, 26.0

    def caption_place(self, gauges: bool) -> tuple[float, tuple[float, float]]:
        """Over the gauges."""
        top = self.bar_top(gauges)
        return 40.0, (top + 86.0, top + 134.0)

    def _gauges(self, count: int) -> tuple[Rect, ...]:
        gap, left, right = 36.0, 40.0, self.width - 40.0
        width = min(310.0, (right - left - gap * (count - 1)) / count)
        return tuple(Rect(left + i * (width + gap), self.bar_top(True) + 146.0, width, 110.0) for i in range(count))

    def _tiles(self, strip: Rect, count: int) -> tuple[Rect, ...]:
        """Side by side along the foot of a wide row, else above one another."""
        if strip.w > 700.0:
            return _WIDE.column_gauge_places(strip, count)
        height = min(STRIP, strip.h / count)
        return tuple(Rect(strip.x + 8.0, strip.y + i * height, strip.w - 14.0, height) for i in range(count))

    def field(self, layout: str, picture: Rect, wide: Rect) -> float:
        """A bare stage has one scale whatever its height, so that a change of focus moves nothing in it; a framed one
        holds what it holds at 16:9, as far as that is the subject."""
        if layout in ("stage", "stage+insets", "table"):
            return picture.h / self.bare_px(layout, picture)
        return max(1.0, min(wide.w / wide.h, SUBJECT_RATIO) / (picture.w / picture.h))

    def bare_px(self, layout: str, picture: Rect) -> float:
        """On how many design pixels the angle of view of the camera of a bare stage in `picture` falls."""
        if layout == "stage+insets":
            least = self.bar_top(True) - self.insets_focus - 2 * MARGIN
            return min(self.width / SUBJECT_RATIO, least)
        return self.width / (ROOM_RATIO if layout == "table" else SUBJECT_RATIO)

    def _stage_and_insets(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        insets = [name for name in ("fluoro-0", "section", "plot") if name in views]
        height = self.insets_focus if focus in insets else self.insets_height
        top = area.bottom - MARGIN - height
        stage = Rect(0.0, 0.0, area.w, top - MARGIN if insets else area.h)
        panels = {"stage": Panel(stage, stage, False)} if "stage" in views else {}
        return panels | _row(insets, focus, Rect(MARGIN, top, area.w - 2 * MARGIN, height))

    def _table(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        return self._stage_and_insets(views, focus, area)

    def _two_plane(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        planes = [name for name in ("fluoro-0", "fluoro-1") if name in views]
        small = [name for name in ("section", "plot", "stage") if name in views]
        room = area.inset(MARGIN, TITLE_BOTTOM - 6.0, MARGIN, MARGIN)
        share = self.planes_focus if focus in planes else self.planes_calm if focus else self.planes_share
        high = share * (room.h - GAP) if small else room.h
        widths = [1.12 if name == focus else 1.0 for name in planes]
        panels: dict[str, Panel] = {}
        x = room.x
        for name, weight in zip(planes, widths, strict=True):
            width = (room.w - GAP * (len(planes) - 1)) * weight / sum(widths)
            panels[name] = framed(Rect(x, room.y, width, high), width < ONE_LINE)
            x += width + GAP
        return panels | _row(small, focus, Rect(room.x, room.y + high + GAP, room.w, room.h - high - GAP))

    def _rows(self, count: int, area: Rect) -> list[Rect]:
        """Frames above one another, under the title."""
        top = TITLE_BOTTOM - 6.0
        pitch = _pitch(area.bottom - MARGIN - top, count)
        return [Rect(MARGIN, top + i * pitch, area.w - 2 * MARGIN, pitch - GAP) for i in range(count)]


class Upright(Narrow):
    """9:16: columns become rows."""

    aspect = "9:16"
    height = 1920.0
    bar_bare, bar_full = 176.0, 276.0
    insets_height, insets_focus = 640.0, 728.0

    def _columns(self, parts: tuple[tuple[str, ...], ...], focus: str, area: Rect) -> dict[str, Panel]:
        strip = Strip(STRIP) if len(parts) == 2 else Strip(SIDE, right=True)
        return column_panels(self._rows(len(parts), area), parts, focus, True, strip)


class Square(Narrow):
    """1:1: a section alone stands beside its stage, other insets under it; columns whose stages have something beside
    them become rows with their numbers at the right."""

    aspect = "1:1"
    height = 1080.0
    bar_bare, bar_full = 160.0, 272.0
    insets_height, insets_focus = 336.0, 364.0
    beside, beside_focus = 450.0, 484.0
    """How wide a section beside a stage is, at rest and in focus."""

    def bare_px(self, layout: str, picture: Rect) -> float:
        """Narrower where an inset stands beside the stage."""
        if layout == "stage+insets" and picture.w < self.width:
            return (self.width - self.beside_focus - 2 * MARGIN) / SUBJECT_RATIO
        if layout == "stage":
            return self.bar_top(True)
        return super().bare_px(layout, picture)

    def moved(self, layout: str, picture: Rect) -> tuple[float, float]:
        """In a row's small picture the subject moves to the right, from under its label, in one of three columns up,
        from behind the note of two lines at its foot; in a low bare one down, from under the title."""
        if layout == "columns":
            small, third = picture.h < picture.w < 420.0, picture.w < 340.0
            return (0.12 if small else 0.0), (0.14 if small and third else 0.0)
        return 0.0, (-0.08 if layout == "stage+insets" and picture.h < 500.0 else 0.0)

    def _stage_and_insets(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        insets = [name for name in ("fluoro-0", "section", "plot") if name in views]
        if insets != ["section"] or "stage" not in views:
            return super()._stage_and_insets(views, focus, area)
        width = self.beside_focus if focus in insets else self.beside
        left, top = area.right - MARGIN - width, TITLE_BOTTOM - 6.0
        stage = Rect(0.0, 0.0, left - MARGIN, area.h)
        inset = Rect(left, top, width, area.bottom - MARGIN - top)
        return {"stage": Panel(stage, stage, False), "section": framed(inset)}

    def _table(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        """As at 16:9 the radiograph floats at the right, here under the title."""
        panels = alone(("stage",), "", area)
        if "fluoro-0" in views:
            width, height = (500.0, 450.0) if focus == "fluoro-0" else (420.0, 370.0)
            panels["fluoro-0"] = framed(Rect(area.right - MARGIN - width, TITLE_BOTTOM - 6.0, width, height), True)
        return {name: panel for name, panel in panels.items() if name in views}

    def _columns(self, parts: tuple[tuple[str, ...], ...], focus: str, area: Rect) -> dict[str, Panel]:
        count = len(parts)
        if count == 2 and any("below" in found for found in parts):
            return column_panels(self._rows(2, area), parts, focus, True, Strip(SIDE, right=True))
        top, pitch = TITLE_BOTTOM - 6.0, _pitch(area.w - 2 * MARGIN, count)
        left = (area.w - pitch * count + GAP) // 2
        frames = [Rect(left + i * pitch, top, pitch - GAP, area.bottom - MARGIN - top) for i in range(count)]
        return column_panels(frames, parts, focus, False, Strip(2 * GAUGE_STEP), True)


_WIDE = Wide()


def _pitch(room: float, count: int) -> float:
    """From one of `count` frames in `room` to the next: a multiple of nine, so that equal pictures have equally many
    pixels at every quality, and are drawn once."""
    return 9.0 * ((room + GAP) / count // 9.0)


def _row(names: Sequence[str], focus: str, room: Rect) -> dict[str, Panel]:
    """Panels side by side over the whole of `room`; all have one kind of header, so that their pictures are level."""
    panels: dict[str, Panel] = {}
    x = room.x
    widths = [share * (room.w - GAP * (len(names) - 1)) for share in shares(names, focus)] if names else []
    for name, width in zip(names, widths, strict=True):
        panels[name] = framed(Rect(x, room.y, width, room.h), min(widths) < ONE_LINE)
        x += width + GAP
    return panels
