"""Numbers read off what is shown: a name, a figure, and where it has limits a bar with a mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from spineviz.data.tables import LEVELS
from spineviz.views.canvas import Canvas, Layer, contrast
from spineviz.views.labels import LEAST_CONTRAST
from spineviz.views.layout import STRIP, Rect
from spineviz.views.text import GAUGE_NAME, GAUGE_VALUE, NOTE, TILE_VALUE, text_size
from spineviz.views.theme import Theme
from spineviz.views.theme import theme as named_theme

TRACK, PARTS_GAP = 14.0, 16.0
"""The thickness of a bar, and the least between the words of its parts, design pixels."""

LADDER = ("groin", "sacrum", *reversed(LEVELS))
"""Where a tip may be, from the puncture up: what the level counter climbs."""

LADDER_ABOVE = 3.0
"""How many rungs above the target the counter's bar goes on: the neighbours are looked at too."""


@dataclass(frozen=True)
class Reading:
    """What a gauge says at a moment.

    Attributes:
        name: what is measured, in a word or two.
        value: the figure, in `unit`; with `word` only where the bar ends.
        unit: after the figure ("mL", "mm", "°").
        decimals: how many are shown.
        full: the bar's right end, in `unit`; None draws no bar.
        mark, mark_word: a tick on the bar, and the word under it ("planned", "stop").
        limit, limit_word: a second tick, at what must not be passed.
        parts: (word, value, role) of what the figure is made of, in order; the bar shows them one after the other.
        note: muted words under the figure where there is no bar ("17.0° standing").
        role: the colour of the bar's filled part.
        flag: "" or "safe" or "danger": a sign beside the figure.
        word: what is written in place of a number, for what is told by name ("L3").
    """

    name: str
    value: float
    unit: str
    decimals: int = 1
    full: float | None = None
    mark: float | None = None
    mark_word: str = ""
    note: str = ""
    role: str = "disc"
    flag: str = ""
    limit: float | None = None
    limit_word: str = "limit"
    parts: tuple[tuple[str, float, str], ...] = ()
    word: str = ""

    @property
    def figure(self) -> str:
        """The value as it is written, or the word; a minus sign is a minus sign, and there is no minus zero."""
        return self.word or self._written(self.value)

    def part_words(self, width: float) -> list[str]:
        """Each part's word and value as they are written within `width` design pixels: where there is no room the unit
        is left out, and then the value."""
        full = [f"{word} {self._written(value)}" for word, value, _ in self.parts]
        bare = [f"{word} {self._number(value)}" for word, value, _ in self.parts]
        for words in (full, bare):
            if sum(text_size(text, NOTE)[0] for text in words) + PARTS_GAP * (len(words) - 1) <= width:
                return words
        return [word for word, _, _ in self.parts]

    def _written(self, value: float) -> str:
        return self._number(value) + (self.unit if self.unit in ("°", "%") else f" {self.unit}")

    def _number(self, value: float) -> str:
        text = f"{value:.{self.decimals}f}"
        if float(text) == 0.0:
            text = text.lstrip("-")
        return text.replace("-", "−")


Reader = Callable[[Any, Any, Mapping[str, Any]], Reading | None]
"""(state, plan, plan.words()) -> what the gauge says, or None before there is anything to measure."""


def cement(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Cement in the body, mL, with the planned volume marked."""
    planned = float(words["cement_planned_ml"])
    return Reading(
        "cement",
        state.cement_ml or 0.0,
        "mL",
        1,
        full=max(planned, float(words["cement_ml"])) * 1.12,
        mark=planned,
        mark_word="planned",
        role="cement",
    )


def back_wall(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """From the rearmost cement to the back wall of the body, mm, with the back quarter's edge, where it must stop."""
    if not state.cement_ml:
        return None
    wall = back_wall_y_mm(plan.level)
    points = plan.cement_structure(state.cement_ml).mesh(1.0).points_mm
    if not len(points):  # a drop too small to have a surface
        return None
    rear = float(points[:, 1].min())
    stop = float(plan.back_quarter_y_mm) - wall
    return Reading(
        "to back wall", rear - wall, "mm", 1, full=3.2 * stop, mark=stop, mark_word=f"stop {stop:.1f}", role="disc"
    )


def _reference(state: Any, form: str, words: Mapping[str, Any], name: str) -> str:
    """What to compare with: the healthy figure while the bone breaks, the standing one from then on."""
    if getattr(state, "lying", 0.0) > 0.0:
        key, word = f"standing_{name}", "standing"
    else:
        key, word = f"healthy_{name}", "healthy"
    return f"{form.format(words[key])} {word}" if key in words else ""


def wedge(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The angle between the body's end-plates, degrees, with the figure to compare it with."""
    if state.wedge_deg is None:
        return None
    note = _reference(state, "{:.1f}°", words, "wedge_deg")
    return Reading("wedge", state.wedge_deg, "°", 1, note=note)


def anterior_height(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The height of the body's front, mm, with the figure to compare it with."""
    if state.anterior_height_mm is None:
        return None
    note = _reference(state, "{:.1f} mm", words, "anterior_mm")
    return Reading("front height", state.anterior_height_mm, "mm", 1, note=note)


def middle_height(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The height of the body's middle, mm, with the figure to compare it with."""
    if state.middle_height_mm is None:
        return None
    return Reading(
        "middle height", state.middle_height_mm, "mm", 1, note=_reference(state, "{:.1f} mm", words, "middle_mm")
    )


def balloon(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """What the balloons hold, mL, all together, with what is planned and what they are rated for."""
    held = _balloons(state, "ml")
    if not held:
        return None
    count = float(words["balloons"])
    return _held("both balloons" if count > 1.0 else "balloon", sum(held.values()), count, words)


def balloon_right(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """What the right balloon holds, mL."""
    held = _balloons(state, "ml")
    return _held("balloon, right", held["right"], 1.0, words) if "right" in held else None


def balloon_left(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """What the left balloon holds, mL."""
    held = _balloons(state, "ml")
    return _held("balloon, left", held["left"], 1.0, words) if "left" in held else None


def _balloons(state: Any, unit: str) -> dict[str, float]:
    """Side -> volume ("ml") or pressure ("psi") of the balloons that are there."""
    found = {side: getattr(state, f"balloon_{side}_{unit}", None) for side in ("right", "left")}
    return {side: value for side, value in found.items() if value is not None}


def _held(name: str, volume_ml: float, count: float, words: Mapping[str, Any]) -> Reading:
    rated = count * float(words["rated_ml"])
    return Reading(
        name,
        volume_ml,
        "mL",
        1,
        full=1.06 * rated,
        mark=count * float(words["balloon_ml"]),
        mark_word="planned",
        role="balloon",
        limit=rated,
    )


def pressure(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The pressure in the balloons, psi, the higher of the two, with the balloon's limit."""
    held = _balloons(state, "psi")
    if not held:
        return None
    rated = float(words["rated_psi"])
    return Reading("pressure", max(held.values()), "psi", 0, full=1.06 * rated, role="balloon", limit=rated)


def cavity(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The cavity's volume, mL, with what the balloons held when it was made."""
    volume = getattr(state, "cavity_ml", None)
    if volume is None:
        return None
    held = float(words["inflated_ml"])
    return Reading("cavity", volume, "mL", 1, full=1.12 * held, mark=held, mark_word="balloons", role="cavity")


def gain(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """By how much the wedge is smaller than standing, degrees: what posture gave and what the balloons gave apart."""
    return _regained(state, words, state.wedge_deg, "wedge_deg", "°", -1.0)


def front_gain(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """By how much the front is higher than standing, mm, posture's part and the balloons' apart."""
    return _regained(state, words, state.anterior_height_mm, "anterior_mm", "mm", 1.0)


def middle_gain(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """By how much the middle is higher than standing, mm, posture's part and the balloons' apart."""
    return _regained(state, words, state.middle_height_mm, "middle_mm", "mm", 1.0)


def _regained(
    state: Any, words: Mapping[str, Any], now: float | None, name: str, unit: str, sign: float
) -> Reading | None:
    if now is None or getattr(state, "collapse", 1.0) < 1.0:
        return None
    healthy, standing, lying = (float(words[f"{when}_{name}"]) for when in ("healthy", "standing", "lying"))
    raised = getattr(state, "lift", 0.0) > 0.0
    parts = [("posture", sign * ((lying if raised else now) - standing), "disc")]
    if raised:
        parts.append(("balloon", sign * (now - lying), "balloon"))
    full = max(sign * (healthy - standing), 1.0)
    return Reading("regained", sign * (now - standing), unit, 1, full=full, parts=tuple(parts))


def tip_level(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """At the height of which vertebra the leading tip lies, on a ladder from the groin up, with the treated level."""
    at = state.tip_level
    if at is None:
        return None
    goal = plan.case.spine.level
    if at not in LADDER:
        return Reading("tip at", 0.0, "", note=f"target {goal}", word=at)
    top = LADDER.index(goal) + LADDER_ABOVE
    return Reading(
        "tip at", float(LADDER.index(at)), "", full=top, mark=float(LADDER.index(goal)), mark_word=f"target {goal}",
        role="catheter", word=at,
    )  # fmt: skip


def catheter(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """How far the innermost tube, or before there is one the wire, is in from the puncture, cm, with the whole way."""
    inside = (("microcatheter", state.micro_mm), ("catheter", state.catheter_mm), ("wire", state.wire_mm))
    name, way_mm = next(((name, way) for name, way in inside if way is not None), ("", None))
    if way_mm is None:
        return None
    way_cm, route_cm = way_mm / 10.0, float(words["route_mm"]) / 10.0
    role = "wire" if name == "wire" else "catheter"
    # the microcatheter goes on beyond the artery's mouth, which is where the way of the catheter ends
    word, full = ("orifice", 1.03 * way_cm) if name == "microcatheter" else ("target", 0.0)
    return Reading(name, way_cm, "cm", 0, full=max(1.08 * route_cm, full), mark=route_cm, mark_word=word, role=role)


def canal(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """How much of the canal is free, %; weeks after treatment with the share before it."""
    if state.canal_share is None:
        return None
    found = Reading("canal free", 100.0 * state.canal_share, "%", 0, full=100.0, role="cord")
    if state.weeks is None:
        return found
    return replace(found, mark=float(words["before_canal_pct"]), mark_word="before")


def cord_depth(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The sac's or cord's depth from front to back where it is narrowest, mm, with the depth before treatment."""
    return _since("cord depth", state, state.cord_depth_mm, words["before_cord_depth_mm"])


def neural(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """From the tumour to the cord or, below its end, to the nearest root, mm, with the distance before treatment."""
    return _since("to cord" if plan.has_cord else "to root", state, state.tumour_neural_mm, words["before_neural_mm"])


def diameter(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """The tumour's greatest diameter, mm, with that before treatment."""
    return _since("tumour", state, state.tumour_diameter_mm, words["before_diameter_mm"])


def _since(name: str, state: Any, now_mm: float | None, before_mm: Any) -> Reading | None:
    """What is measured now; weeks after treatment with what it was before."""
    if now_mm is None:
        return None
    return Reading(name, now_mm, "mm", 1, note="" if state.weeks is None else f"{float(before_mm):.1f} mm before")


def flow(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Flow in the tumour's artery, % of the first, with the share at which the injection stops."""
    if state.flow_share is None:
        return None
    stop = float(words["stop_flow_pct"])
    return Reading(
        "feeder flow", 100.0 * state.flow_share, "%", 0, full=106.0, mark=stop, mark_word=f"stop {stop:.0f}",
        role="artery",
    )  # fmt: skip


def dose(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Drug given, mg, with what is planned."""
    if state.dose_mg is None:
        return None
    planned = float(words["dose_planned_mg"])
    return Reading("drug", state.dose_mg, "mg", 0, full=1.12 * planned, mark=planned, mark_word="planned", role="drug")


def contrast_given(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Contrast medium given so far, mL."""
    return None if state.contrast_ml is None else Reading("contrast", state.contrast_ml, "mL", 0, role="contrast")


def weeks(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Weeks since the treatment; no published curve stands behind them, and the gauge says so."""
    if state.weeks is None:
        return None
    unit = "week" if round(state.weeks) == 1 else "weeks"
    return Reading("after", state.weeks, unit, 0, note="illustrative")


def pressing(state: Any, plan: Any, words: Mapping[str, Any]) -> Reading | None:
    """Minutes of pressure over the artery, with how many there are to be."""
    if state.pressure_min is None:
        return None
    whole = float(words["pressure_min"])
    return Reading(
        "pressed", state.pressure_min, "min", 0, full=1.06 * whole, mark=whole, mark_word=f"{whole:.0f} min",
        role="glove",
    )  # fmt: skip


@cache
def back_wall_y_mm(level: str) -> float:
    """y of the back wall of the body of `level` in the world, mm; a fracture leaves it where it is."""
    from spineviz.anatomy.vertebra import vertebra

    return float(vertebra(level).landmarks["body-back-centre"][1])


GAUGES: Mapping[str, Reader] = MappingProxyType(
    {
        "cement": cement,
        "back_wall": back_wall,
        "wedge": wedge,
        "anterior_height": anterior_height,
        "middle_height": middle_height,
        "balloon": balloon,
        "balloon_right": balloon_right,
        "balloon_left": balloon_left,
        "pressure": pressure,
        "cavity": cavity,
        "gain": gain,
        "front_gain": front_gain,
        "middle_gain": middle_gain,
        "tip_level": tip_level,
        "catheter": catheter,
        "canal": canal,
        "cord_depth": cord_depth,
        "neural": neural,
        "diameter": diameter,
        "flow": flow,
        "dose": dose,
        "contrast": contrast_given,
        "weeks": weeks,
        "pressing": pressing,
    }
)
"""Names that a shot may list."""


def fits_one_line(reading: Reading, place: Rect) -> bool:
    """Whether name and figure stand side by side in `place`."""
    return text_size(reading.name, GAUGE_NAME)[0] + text_size(reading.figure, GAUGE_VALUE)[0] + 12 <= place.w


def is_tile(place: Rect) -> bool:
    """Whether a column's number has room for a figure under its name."""
    return place.h >= STRIP


def fits_tile(reading: Reading, place: Rect) -> bool:
    """Whether name, figure and note of a tile are no wider than `place`."""
    words = [(reading.name, GAUGE_NAME), (reading.figure, TILE_VALUE)]
    if reading.full is None:
        words.append((reading.note, NOTE))
    return max(text_size(text, style)[0] for text, style in words) <= place.w


def draw_gauge(reading: Reading, place: Rect, theme: Theme, scale: float, stacked: bool = False) -> Layer:
    """One gauge as a layer, the figure beside its name or, `stacked`, below it; kept between frames."""
    return _gauge_layer(reading, place, theme.name, scale, stacked)


def draw_tile(reading: Reading, place: Rect, theme: Theme, scale: float) -> Layer:
    """One gauge as a tile of a column: the name, the figure large under it, then bar or note; kept between frames."""
    return _tile_layer(reading, place, theme.name, scale)


@lru_cache(maxsize=16)
def _tile_layer(reading: Reading, place: Rect, theme_name: str, scale: float) -> Layer:
    theme = named_theme(theme_name)
    canvas = Canvas(place.w + 40, place.h + 8, scale, place.x - 20, place.y)
    text, muted = theme.colour("text"), theme.colour("muted")
    canvas.text(reading.name, place.x, place.y + 28.0, GAUGE_NAME, muted)
    canvas.text(reading.figure, place.x, place.y + 76.0, TILE_VALUE, text)
    if reading.full is not None:
        _bar(canvas, reading, Rect(place.x, place.y + 92.0, place.w, TRACK), theme)
    elif reading.note:
        canvas.text(reading.note, place.x, place.y + 112.0, NOTE, muted)
    return canvas.layer()


@lru_cache(maxsize=16)
def _gauge_layer(reading: Reading, place: Rect, theme_name: str, scale: float, stacked: bool) -> Layer:
    theme = named_theme(theme_name)
    canvas = Canvas(place.w + 40, place.h + 8, scale, place.x - 20, place.y)
    text, muted = theme.colour("text"), theme.colour("muted")
    base = place.y + (40.0 if not stacked else 66.0)
    canvas.text(reading.name, place.x, place.y + (38.0 if not stacked else 26.0), GAUGE_NAME, muted)
    canvas.text(reading.figure, place.right, base, GAUGE_VALUE, text, "rs")
    if reading.full is not None:
        _bar(canvas, reading, Rect(place.x, base + 18.0, place.w, TRACK), theme)
    elif reading.note:
        canvas.text(reading.note, place.right, base + 40.0, NOTE, muted, "rs")
    return canvas.layer()


def _bar(canvas: Canvas, reading: Reading, track: Rect, theme: Theme) -> None:
    assert reading.full is not None
    canvas.panel(
        track.x, track.y, track.w, track.h, track.h / 2, fill=theme.colour("ground"), stroke=theme.colour("edge")
    )
    if reading.parts:
        _segments(canvas, reading, track, theme)
    else:
        share = min(1.0, max(0.0, reading.value / reading.full))
        if share > 0:
            width = max(track.h, share * track.w)
            fill = theme.colour(reading.role)
            # a void is as dark as the track: what is filled has a hairline
            rim = theme.colour("muted") if contrast(fill, theme.colour("ground")) < LEAST_CONTRAST else None
            canvas.panel(track.x, track.y, width, track.h, track.h / 2, fill=fill, stroke=rim)
    limit = _tick(canvas, reading, reading.limit, reading.limit_word, track, theme, track.right)
    _tick(canvas, reading, reading.mark, reading.mark_word, track, theme, limit)


def _tick(
    canvas: Canvas, reading: Reading, value: float | None, word: str, track: Rect, theme: Theme, right: float
) -> float:
    """A tick on the bar with its word, which ends at `right` at the latest; returns where it begins."""
    assert reading.full is not None
    if value is None or not 0 <= value <= reading.full:
        return right
    x = track.x + track.w * value / reading.full
    canvas.path([(x, track.y - 7), (x, track.bottom + 7)], stroke=theme.colour("ground"), stroke_px=6.0)
    canvas.path([(x, track.y - 7), (x, track.bottom + 7)], stroke=theme.colour("text"), stroke_px=3.0)
    width = text_size(word, NOTE)[0]
    left = max(min(x - width / 2, right - width), track.x)
    canvas.text(word, left, track.bottom + 32.0, NOTE, theme.colour("muted"))
    return left - 14.0


def _segments(canvas: Canvas, reading: Reading, track: Rect, theme: Theme) -> None:
    """The parts along the bar, a gap between them, and their words under it: the first left, the last right."""
    assert reading.full is not None
    start = 0.0
    ends = []
    for _, value, role in reading.parts:
        stop = start + max(0.0, value) / reading.full
        ends.append(stop)
        if stop > start:
            left, right = (track.x + track.w * min(1.0, share) for share in (start, stop))
            canvas.panel(left, track.y, max(right - left, 4.0), track.h, track.h / 2, fill=theme.colour(role))
        start = stop
    for end in ends[:-1]:
        x = track.x + track.w * min(1.0, end)
        canvas.path([(x, track.y - 3), (x, track.bottom + 3)], stroke=theme.colour("plate"), stroke_px=5.0)
    for i, word in enumerate(reading.part_words(track.w)):
        anchor, x = ("ls", track.x) if i == 0 else ("rs", track.right)
        canvas.text(word, x, track.bottom + 32.0, NOTE, theme.colour("muted"), anchor)
