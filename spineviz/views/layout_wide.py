"""Where everything stands at 16:9: the stage on the left, insets in a column on the right, the bar at the foot."""

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

BAR_TOP = 914.0
COLUMN, COLUMN_FOCUS = 600.0, 720.0
COLUMN_PITCH = {2: (954.0, 20.0), 3: (630.0, 14.0)}
"""Columns of a shot -> from one column to the next, and the gap between them. The pitch is a multiple of nine, so that
the columns' pictures have the same number of pixels at every quality and equal ones are drawn once."""


class Wide(Design):
    """16:9."""

    aspect = "16:9"
    width, height = 1920.0, 1080.0

    def bar_top(self, gauges: bool) -> float:
        """The bar is of one height: gauges stand beside the caption."""
        return BAR_TOP

    def dots_place(self, gauges: bool) -> tuple[float, float, float]:
        """Over the caption."""
        return 44.0, BAR_TOP + 30.0, 26.0

    def caption_place(self, gauges: bool) -> tuple[float, tuple[float, float]]:
        """On the left."""
        return 40.0, (BAR_TOP + 92.0, BAR_TOP + 142.0)

    def field(self, layout: str, picture: Rect, wide: Rect) -> float:
        """Cameras are set up for this screen."""
        return 1.0

    def _gauges(self, count: int) -> tuple[Rect, ...]:
        left, right, gap = 904.0, self.width - 40.0, 40.0
        width = min(300.0, (right - left - gap * (count - 1)) / count)
        start = right - count * width - (count - 1) * gap
        return tuple(Rect(start + i * (width + gap), BAR_TOP + 18.0, width, 132.0) for i in range(count))

    def _tiles(self, strip: Rect, count: int) -> tuple[Rect, ...]:
        gap = 40.0
        width = (strip.w - 12.0 - gap * (count - 1)) / count
        return tuple(Rect(strip.x + 6.0 + i * (width + gap), strip.y, width, strip.h) for i in range(count))

    def _stage_and_insets(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        insets = [name for name in ("fluoro-0", "section", "plot") if name in views]
        width = COLUMN_FOCUS if focus in insets else COLUMN
        left = area.right - MARGIN - width
        stage = Rect(0.0, 0.0, left - MARGIN if insets else area.right, area.bottom)
        panels = {"stage": Panel(stage, stage, False)} if "stage" in views else {}
        return panels | (_column(insets, focus, left, width) if insets else {})

    def _two_plane(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        planes = [name for name in ("fluoro-0", "fluoro-1") if name in views]
        small = [name for name in ("section", "plot", "stage") if name in views]
        column = 500.0 if focus in planes else 640.0 if focus else 560.0
        right = area.right - MARGIN - (column + GAP if small else 0.0)
        panels, x = {}, MARGIN
        room = right - MARGIN - GAP * (len(planes) - 1)
        weights = [1.12 if name == focus else 1.0 for name in planes]
        for name, weight in zip(planes, weights, strict=True):
            width = room * weight / sum(weights)
            panels[name] = framed(Rect(x, TITLE_BOTTOM - 6.0, width, area.bottom - MARGIN - TITLE_BOTTOM + 6.0))
            x += width + GAP
        return panels | (_column(small, focus, area.right - MARGIN - column, column) if small else {})

    def _table(self, views: tuple[str, ...], focus: str, area: Rect) -> dict[str, Panel]:
        panels = alone(("stage",), "", area)
        if "fluoro-0" in views:
            width, height = (720.0, 640.0) if focus == "fluoro-0" else (560.0, 470.0)
            panels["fluoro-0"] = framed(Rect(area.right - MARGIN - width, MARGIN, width, height))
        return {name: panel for name, panel in panels.items() if name in views}

    def _columns(self, parts: tuple[tuple[str, ...], ...], focus: str, area: Rect) -> dict[str, Panel]:
        """Frames side by side."""
        count = len(parts)
        pitch, gap = COLUMN_PITCH[count]
        left = (area.right - pitch * count + gap) / 2
        top = TITLE_BOTTOM - 6.0
        frames = [Rect(left + i * pitch, top, pitch - gap, area.bottom - MARGIN - top) for i in range(count)]
        return column_panels(frames, parts, focus, count == 2, Strip(STRIP))


def _column(names: Sequence[str], focus: str, x: float, width: float) -> dict[str, Panel]:
    """Panels above one another, from the top margin to the bar."""
    height = BAR_TOP - 2 * MARGIN - GAP * (len(names) - 1)
    panels, y = {}, MARGIN
    for name, share in zip(names, shares(names, focus), strict=True):
        panels[name] = framed(Rect(x, y, width, share * height))
        y += share * height + GAP
    return panels
