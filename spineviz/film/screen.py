"""A shot becomes a stack of layers: views in their panels, chrome, labels, signs, words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import remembered
from spineviz.data.aside import Aside
from spineviz.film.shot import (
    CardShot,
    ColumnShot,
    FluoroShot,
    Label,
    Mark,
    PlotShot,
    ScanShot,
    SectionShot,
    Shot,
    StageShot,
    UltrasoundShot,
    smooth,
)
from spineviz.views import layout as places
from spineviz.views.canvas import Canvas, Layer, Pixels, dithered
from spineviz.views.cards import draw_card, forget_cards, picture_place
from spineviz.views.composer import Composer
from spineviz.views.designs import WIDE, design_of
from spineviz.views.gauges import Reading, draw_gauge, draw_tile, fits_one_line, is_tile
from spineviz.views.labels import Placed, draw_label, draw_leader, label_size, place_labels, settled
from spineviz.views.layout import Design, Panel, Rect
from spineviz.views.plots import TITLES, Plot, draw_plot
from spineviz.views.signs import draw_mark, words_place
from spineviz.views.text import CAPTION, COLUMN_TITLE, HEADER, LABEL, NOTE, SUBTITLE, TITLE, cap_height, text_size, wrap
from spineviz.views.theme import Theme
from spineviz.views.theme import theme as named_theme
from spineviz.views.ultrasound import picture_number

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.frames import Frame

View = StageShot | FluoroShot | SectionShot | UltrasoundShot | ScanShot | PlotShot
Moment = tuple[str, float]

TYPE_PX = 28.0
"""Size of the type that views burn in, design pixels."""

CUT_SHARE = 0.08
"""A camera that stands further than this share of its distance from where it stood has not just moved on."""

MOST_PICTURES, MOST_MARKS = 12, 16
"""How many pictures are kept, each under the moment it was drawn for and under what it shows; and how many signs."""

TITLE_FADE_S = 0.4
PICTURE_RADIUS = 10.0
CAPTION_WIDTH = 1000.0
"""The room of a caption's lines, design pixels."""

SHADE_REACH = 340.0
"""How far the darkness behind the title runs out, design pixels."""


class Source(Protocol):
    """Where a screen finds what a shot only names."""

    def structures(self, time_s: float, moment: Moment | None, plan: str = "") -> Mapping[str, Structure]:
        """All that exists in `plan` at `moment`, or at `time_s` of the film where that is None."""

    def state_key(self, time_s: float, moment: Moment | None, plan: str = "") -> Hashable:
        """The same for moments whose structures are the same."""

    def step_start_s(self, time_s: float) -> float:
        """When the step that is on at `time_s` began."""

    def outline(self, time_s: float, shot: StageShot) -> NDArray[np.float64]:
        """Points (N, 3) mm round what the stage is about, the same throughout a step; labels stand beside them."""

    def plane(self, name: str, plan: str = "") -> Frame:
        """world_from_plane of a section."""

    def reading(self, name: str, time_s: float, moment: Moment | None = None, plan: str = "") -> Reading | None:
        """What a gauge says."""

    def plot(self, time_s: float, shot: PlotShot) -> Plot:
        """What a plot shows."""


class Paints(Protocol):
    """What draws views; see spineviz.film.painter.Painter."""

    def stage(self, size_px: tuple[int, int], structures: Any, shot: StageShot, clear: bool = False) -> Pixels: ...
    def fluoroscopy(
        self, size_px: tuple[int, int], structures: Any, shot: FluoroShot, time_s: float, type_px: float
    ) -> Pixels: ...
    def section(
        self, size_px: tuple[int, int], structures: Any, plane: Any, shot: SectionShot, type_px: float
    ) -> Pixels: ...
    def ultrasound(
        self, size_px: tuple[int, int], structures: Any, plane: Any, shot: UltrasoundShot, time_s: float, type_px: float
    ) -> Pixels: ...
    def scan(self, size_px: tuple[int, int], structures: Any, shot: ScanShot, type_px: float) -> Pixels: ...
    def project_stage(self, size_px: tuple[int, int], shot: StageShot, points_mm: Any) -> NDArray[np.float64]: ...
    def project_fluoroscopy(
        self, size_px: tuple[int, int], shot: FluoroShot, points_mm: Any
    ) -> NDArray[np.float64]: ...
    def project_section(
        self, size_px: tuple[int, int], plane: Any, shot: SectionShot, points_mm: Any
    ) -> NDArray[np.float64]: ...
    def project_ultrasound(
        self, size_px: tuple[int, int], plane: Any, shot: UltrasoundShot, points_mm: Any
    ) -> NDArray[np.float64]: ...
    def forget(self) -> None: ...
    def pulse(self, shot: FluoroShot, time_s: float) -> int: ...
    def pulse_start_s(self, shot: FluoroShot, time_s: float) -> float: ...


@dataclass(frozen=True)
class Instant:
    """A shot in its place in the film.

    Attributes:
        time_s: seconds of film.
        shot: what is on screen.
        previous: the shot before the last change of layout or focus, while that is still being eased; else None.
        changed_s: when it changed.
        share: 0 to 1, how much of the change is done (eased).
        step, steps: the step's index and how many there are.
        age_s: seconds since the step began.
        subtitle: the muted line's beginning, "vertebroplasty · L1".
    """

    time_s: float
    shot: Shot
    previous: Shot | None
    changed_s: float
    share: float
    step: int
    steps: int
    age_s: float
    subtitle: str


@dataclass(frozen=True)
class Shown:
    """A view on its way to the screen: drawn at `size_px` for the moment `time_s`, laid into `panel`."""

    name: str
    view: View
    size_px: tuple[int, int]
    panel: Panel
    opacity: float
    shot: Shot
    time_s: float


_PLAIN = frozenset({int, float, str, bool, type(None), frozenset})
_KNOWN: dict[type, tuple[tuple[str, ...], bool]] = {}
"""Of the dataclasses that were seen the fields, which take longer to ask for than all the rest; and whether an object
keeps what `frozen` made of it: it never changes, and has room for it."""


def frozen(value: Any) -> Hashable:
    """`value` as something hashable that is equal where the contents are, for dataclasses, arrays and containers.

    A dataclass that is frozen keeps it: shots, views and cameras are asked several times a frame.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in _KNOWN:
        names, keeps = _KNOWN[kind]
        if not keeps:
            return _frozen_fields(value, names)
        held: dict[str, Hashable] = vars(value)
        if "_frozen" not in held:
            held["_frozen"] = _frozen_fields(value, names)
        return held["_frozen"]
    if isinstance(value, (list, tuple)):
        # points are most of a shot: their numbers are not asked one by one
        return tuple([item if type(item) in _PLAIN else frozen(item) for item in value])
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return tuple((key, frozen(value[key])) for key in sorted(value))
    if is_dataclass(value) and not isinstance(value, type):
        names = tuple(f.name for f in fields(value) if f.init)
        _KNOWN[kind] = names, kind.__dataclass_params__.frozen and hasattr(value, "__dict__")
        return frozen(value)
    return value


def _frozen_fields(value: Any, names: Iterable[str]) -> Hashable:
    return type(value).__name__, *[frozen(getattr(value, name)) for name in names]


def view_names(shot: Shot) -> dict[str, str]:
    """The layout's slot of each view of `shot` -> the view's own name ("stage", "after", "section", a projection's)."""
    if shot.layout == "card":
        return {}
    names = {"stage": "stage"} if shot.stage is not None else {}
    for i, fluoroscopy in enumerate(shot.fluoroscopy):
        names[f"fluoro-{i}"] = fluoroscopy.projection.name
    if shot.section is not None:
        names["section"] = "section"
    if shot.plot is not None:
        names["plot"] = "plot"
    for i, column in enumerate(shot.columns):
        names |= {f"{i}:{slot}": name for slot, name in column.view_names.items()}
    return names


def views_of(shot: Shot) -> dict[str, View]:
    """Every view of `shot` that its layout shows, by the name that labels and marks call it by."""
    named: dict[str, View | None] = {"stage": shot.stage, "section": shot.section, "plot": shot.plot}
    named |= {f.projection.name: f for f in shot.fluoroscopy}
    for column in shot.columns:
        named |= {column.view_names[slot]: view for slot, view in column.views.items()}
    return {name: view for name in view_names(shot).values() if (view := named[name]) is not None}


def cuts(old: View, new: View) -> bool:
    """Whether `new` shows something else than `old`, so that the pictures are to pass into each other: another
    projection, plane or set of structures, or a camera that has not just moved on."""
    if isinstance(old, StageShot) and isinstance(new, StageShot):
        step = float(np.linalg.norm(old.camera.position_mm - new.camera.position_mm))
        wider = old.camera.visible_height_mm() / old.camera.distance_mm * new.camera.distance_mm
        zoomed = abs(np.log(wider / new.camera.visible_height_mm())) > np.log(1.0 + CUT_SHARE)
        return step > CUT_SHARE * new.camera.distance_mm or bool(zoomed) or _hidden(old) != _hidden(new)
    if isinstance(old, FluoroShot) and isinstance(new, FluoroShot):
        return (old.projection.key, old.mode) != (new.projection.key, new.mode)
    if isinstance(old, (SectionShot, UltrasoundShot)) and isinstance(new, (SectionShot, UltrasoundShot)):
        return (type(old), old.plane, old.half_width_mm) != (type(new), new.plane, new.half_width_mm)
    return False


def shot_key(shot: Shot, design: Design = WIDE) -> Hashable:
    """What decides the layout; where it changes, the film eases."""
    card = None if shot.card is None else (shot.card.kind, shot.card.heading)
    return shot.layout, tuple(view_names(shot).values()), shot.focus, card, design.bar_top(bool(shot.gauges))


def panels_of(shot: Shot, design: Design = WIDE) -> dict[str, Panel]:
    """The settled place of each view of `shot`, by the view's own name.

    Raises ValueError for a shot that its layout cannot show.
    """
    names = view_names(shot)
    return {names[slot]: panel for slot, panel in slots_of(shot, design).items() if slot in names}


def slots_of(shot: Shot, design: Design = WIDE) -> Mapping[str, Panel]:
    """The settled place of each slot of `shot`, those of numbers too."""
    numbers = [f"{i}:numbers" for i, column in enumerate(shot.columns) if column.gauges]
    return _arrangement(design, shot.layout, (*view_names(shot), *numbers), _focus(shot), bool(shot.gauges))


@lru_cache(maxsize=64)
def _arrangement(design: Design, layout: str, slots: tuple[str, ...], focus: str, gauges: bool) -> Mapping[str, Panel]:
    """As the design says; it is asked many times a frame."""
    return MappingProxyType(design.arrangement(layout, slots, focus, gauges))


def label_area(shot: Shot, view: str = "stage", design: Design = WIDE) -> tuple[Rect, ...]:
    """Where the labels of a stage may stand, then what must stay clear; empty where it takes none."""
    names = view_names(shot)
    slot = next((slot for slot, name in names.items() if name == view), "")
    if not slot:
        return ()
    area = design.stage_area(shot.layout, tuple(slots_of(shot, design)), _focus(shot), slot, bool(shot.gauges))
    return (*area, tag_place(shot, design)) if area and shot.tag and shot.layout != "columns" else area


def tag_place(shot: Shot, design: Design = WIDE) -> Rect:
    """Where the tag of `shot` stands: under the title on a bare stage, else beside it."""
    bare = bool(label_area(replace(shot, tag=""), design=design)) and shot.layout != "columns"
    return design.tag_place(text_size(shot.tag, LABEL)[0], text_size(shot.title, TITLE)[0], bare)


def column_gauges(shot: Shot, design: Design = WIDE) -> tuple[tuple[ColumnShot, str, Rect], ...]:
    """Every gauge in a column's strip of numbers, and where it stands."""
    slots, out = slots_of(shot, design), []
    for i, column in enumerate(shot.columns):
        if column.gauges:
            rects = design.column_gauge_places(slots[f"{i}:numbers"].picture, len(column.gauges))
            out += [(column, name, rect) for name, rect in zip(column.gauges, rects, strict=True)]
    return tuple(out)


class Screen:
    """Draws instants as layers for a screen of `size_px` (width, height), in the design of its aspect.

    A `clear` one has no ground, nor has a stage there that stands in no frame.
    """

    def __init__(
        self, size_px: tuple[int, int], source: Source, painter: Paints, theme: Theme, clear: bool = False
    ) -> None:
        self.size_px, self.source, self.painter, self.theme = size_px, source, painter, theme
        self.clear = clear
        self.design = design_of(size_px)
        self.scale = min(size_px) / places.SHORT_SIDE
        self._pictures: OrderedDict[Hashable, Pixels] = OrderedDict()
        self._aside: dict[Hashable, Callable[[], Pixels]] = {}
        self._places: OrderedDict[Hashable, tuple[Placed | None, ...]] = OrderedDict()
        self._marks: OrderedDict[Hashable, tuple[Layer | None, Rect | None]] = OrderedDict()
        self._composer = Composer(size_px, clear)

    def fingerprint(self, now: Instant) -> Hashable:
        """The same for instants whose frames are the same, found without drawing."""
        shots = [(now.shot, now.time_s)]
        if now.previous is not None:
            shots.append((now.previous, now.changed_s))
        seen: list[Any] = [now.share if now.previous is not None else 1.0, now.step, min(now.age_s, TITLE_FADE_S)]
        for shot, time_s in shots:
            seen.append(shot)
            views: list[View | None] = list(views_of(shot).values())
            if shot.card is not None:
                views += [shot.card.picture, shot.card.backdrop]
            for view in views:
                if view is not None:
                    seen.append(self.source.state_key(self._seen_s(view, time_s), view.moment, view.plan))
                seen.append(self._pulse(view, time_s))
            seen += [self.source.reading(name, time_s) for name in shot.gauges]
            seen += [self.source.reading(n, time_s, c.moment, c.plan) for c in shot.columns for n in c.gauges]
        return frozen(seen)

    def frame(self, now: Instant) -> Pixels:
        """The frame, (H, W, 3), or of a clear screen (H, W, 4) with straight alpha. Only what has changed since the
        last one is laid anew."""
        return self._composer.frame(self.layers(now))

    def forget(self) -> None:
        """Drop every picture and every layer that was drawn, so that what follows cannot depend on it. Meshes, textures
        and line integrals stay."""
        for layer in (_veil, _frame, _note, _title, _tag, _bar, _caption):
            layer.cache_clear()
        forget_cards()
        self._pictures.clear()
        self._places.clear()
        self._marks.clear()
        self._composer.forget()
        self.painter.forget()

    def layers(self, now: Instant) -> list[Layer]:
        """The frame, lowest layer first; together they cover it unless it is clear."""
        out = [] if self.clear else [_ground(self.size_px, self.theme.name)]
        views = self._shown(now)
        if self._aside:  # what is made aside is waited for last
            for shown in sorted(views, key=lambda shown: isinstance(shown.view, FluoroShot)):
                self._picture(shown.view, shown.size_px, shown.time_s, _bare(shown))
        for shown in views:
            out += self._view_layers(shown)
        out += self._column_layers(now)
        for shot, opacity in self._cards(now):
            out += self._card_layers(shot, opacity, now)
        if now.previous is not None and now.share < 0.5:
            # words over a stage that is moving away would point at nothing: they go first
            out += self._label_layers(now.previous, now.changed_s, 1.0 - 6.0 * now.share)
            if now.previous.title != now.shot.title:
                out += self._title_layers(now.previous, now, 1.0 - 2.0 * now.share)
            words = 2.0 * now.share
        else:
            words = 1.0
        arriving = 1.0 if now.previous is None else max(0.0, 2.0 * now.share - 1.0)
        out += self._label_layers(now.shot, now.time_s, arriving)
        stays = now.previous is not None and now.previous.title == now.shot.title
        out += self._title_layers(now.shot, now, 1.0 if stays else arriving)
        out += self._tag_layers(now)
        out += self._bar_layers(now, words)
        return [layer for layer in out if layer.opacity > 0]

    def labels_of(self, shot: Shot, time_s: float) -> tuple[tuple[Label, Placed, tuple[float, float]], ...]:
        """The labels of `shot` that are drawn at `time_s`: each with its place and its line's end, design pixels."""
        out: list[tuple[Label, Placed, tuple[float, float]]] = []
        for view in dict.fromkeys(label.view for label in shot.labels):
            out += self._labels_on(shot, view, tuple(label for label in shot.labels if label.view == view), time_s)
        return tuple(out)

    def _labels_on(
        self, shot: Shot, view: str, labels: tuple[Label, ...], time_s: float
    ) -> list[tuple[Label, Placed, tuple[float, float]]]:
        """Those of one stage."""
        area, *keep = label_area(shot, view, self.design) or (None,)
        stage = views_of(shot).get(view)
        if area is None or not isinstance(stage, StageShot):
            return []
        at_rest = replace(stage, camera=stage.place_camera or stage.camera)
        frame = panels_of(shot, self.design)[view].picture
        rest = self._on_stage(at_rest, tuple(label.place_mm or label.anchor_mm for label in labels), frame)
        now = self._on_stage(stage, tuple(label.anchor_mm for label in labels), frame)
        sizes = [label_size(label.text) for label in labels]
        sides, weights = [label.side for label in labels], [label.importance for label in labels]
        outline = self._on_stage(at_rest, self.source.outline(time_s, stage), frame)[:, 0]
        outline = outline[np.isfinite(outline)]
        subject = (float(outline.min()), float(outline.max())) if len(outline) else None
        key = (tuple(sizes), tuple(sides), tuple(weights), np.round(rest, 1).tobytes(), area, tuple(keep), subject)
        if key not in self._places:
            self._places[key] = place_labels(rest, sizes, area, sides, weights, keep, subject)
            while len(self._places) > 64:
                self._places.popitem(last=False)
        visible = [place if label.shown > 0 else None for place, label in zip(self._places[key], labels, strict=True)]
        clear = settled(visible, now, area, weights, keep)
        return [
            (label, place, (float(now[i, 0]), float(now[i, 1])))
            for i, (label, place) in enumerate(zip(labels, clear, strict=True))
            if place is not None
        ]

    # views

    def _shown(self, now: Instant) -> list[Shown]:
        """Every view on screen, lowest first, at the size at which it is drawn."""
        new = panels_of(now.shot, self.design)
        if now.previous is None:
            return _ordered([self._settled(now.shot, name, panel, 1.0, now.time_s) for name, panel in new.items()])
        old, out = panels_of(now.previous, self.design), []
        for name, panel in old.items():
            if name not in new:
                out.append(self._settled(now.previous, name, panel, 1.0 - now.share, now.changed_s))
        for name, panel in new.items():
            if name not in old:
                out.append(self._settled(now.shot, name, panel, now.share, now.time_s))
                continue
            shown = self._settled(now.shot, name, panel, 1.0, now.time_s)
            before = old[name].picture.pixels(self.scale)[2:]
            if isinstance(shown.view, StageShot) and before[0] * before[1] > shown.size_px[0] * shown.size_px[1]:
                shown = replace(shown, size_px=before)
            passing = old[name].mixed(panel, now.share)
            if cuts(_view(now.previous, name), shown.view):  # the old picture stays below until the new one is there
                leaving = self._settled(now.previous, name, old[name], 1.0, now.changed_s)
                out.append(replace(leaving, panel=passing))
                shown = replace(shown, opacity=now.share)
            out.append(replace(shown, panel=passing))
        return _ordered(out)

    def _settled(self, shot: Shot, name: str, panel: Panel, opacity: float, time_s: float) -> Shown:
        return Shown(name, _view(shot, name), panel.picture.pixels(self.scale)[2:], panel, opacity, shot, time_s)

    def _picture(self, view: View, size_px: tuple[int, int], time_s: float, bare: bool = False) -> Pixels:
        """A view's picture; the latest few are kept. A `bare` one of a clear screen has no ground."""
        if isinstance(view, PlotShot):
            return draw_plot(self.source.plot(time_s, view), size_px, self.theme, self.scale)
        pulse = self._pulse(view, time_s)
        time_s = self._seen_s(view, time_s)
        clear = self.clear and bare
        key = (type(view), size_px, frozen(view), self.source.state_key(time_s, view.moment, view.plan), pulse, clear)
        if key not in self._pictures:
            alike, make = self._to_paint(view, size_px, time_s, pulse, clear)
            if alike not in self._pictures:
                self._pictures[alike] = self._aside.pop(alike, make)()
            self._pictures[key] = self._pictures[alike]
            while len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(key)
        return self._pictures[key]

    def _to_paint(
        self, view: View, size_px: tuple[int, int], time_s: float, pulse: int, clear: bool = False
    ) -> tuple[Hashable, Callable[[], Pixels]]:
        """The same for views that show the same, and what paints one at `time_s`, the moment that it shows."""
        structures = self.source.structures(time_s, view.moment, view.plan)
        plane = None
        if isinstance(view, (SectionShot, UltrasoundShot)):
            plane = self.source.plane(view.plane, view.plan)
        # two plans are alike until their instruments are in: what is shown alike is drawn once
        alike = (type(view), size_px, _look(view), _shapes(structures), plane and plane.key, pulse, clear)
        return alike, partial(self._painted, view, size_px, structures, plane, time_s, clear)

    def paint_aside(self, now: Instant) -> None:
        """Begin the radiographs of the frame in a copy of this process, to draw that one frame the sooner."""
        makes: dict[Hashable, Callable[[], Pixels]] = {}
        for shown in self._shown(now):
            if isinstance(shown.view, FluoroShot):
                time_s, pulse = self._seen_s(shown.view, shown.time_s), self._pulse(shown.view, shown.time_s)
                alike, make = self._to_paint(shown.view, shown.size_px, time_s, pulse)
                makes[alike] = make
        if makes:
            aside = Aside(list(makes.values()))
            self._aside = {alike: partial(aside.result, index) for index, alike in enumerate(makes)}

    def _painted(
        self, view: View, size_px: tuple[int, int], structures: Any, plane: Any, time_s: float, clear: bool
    ) -> Pixels:
        if isinstance(view, StageShot):
            return self.painter.stage(size_px, structures, view, clear)
        if isinstance(view, FluoroShot):
            return self.painter.fluoroscopy(size_px, structures, view, time_s, TYPE_PX * self.scale)
        if isinstance(view, ScanShot):
            return self.painter.scan(size_px, structures, view, TYPE_PX * self.scale)
        if isinstance(view, UltrasoundShot):
            return self.painter.ultrasound(size_px, structures, plane, view, time_s, TYPE_PX * self.scale)
        assert isinstance(view, SectionShot)
        return self.painter.section(size_px, structures, plane, view, TYPE_PX * self.scale)

    def _pulse(self, view: View | None, time_s: float) -> int:
        """The number of the picture on the monitor of what runs; 0 for what has none."""
        if isinstance(view, FluoroShot):
            return self.painter.pulse(view, time_s)
        return picture_number(time_s) if isinstance(view, UltrasoundShot) and view.live else 0

    def _seen_s(self, view: View, time_s: float) -> float:
        """The moment that a view shows: live X-ray stands still from pulse to pulse, as a monitor does."""
        if not isinstance(view, FluoroShot) or not view.live:
            return time_s
        return max(self.painter.pulse_start_s(view, time_s), self.source.step_start_s(time_s))

    def _view_layers(self, shown: Shown) -> list[Layer]:
        bare = _bare(shown)
        picture = self._picture(shown.view, shown.size_px, shown.time_s, bare)
        x, y, width, height = shown.panel.picture.pixels(self.scale)
        out = []
        if shown.panel.framed:
            column = shown.shot.layout == "columns"
            lit = shown.shot.focus != "" and shown.panel.light >= 1.0 and _focus(shown.shot) != ""
            if column:  # "stage" and "below" are in every column
                lit = shown.name.startswith(f"{shown.shot.focus}:")
            title, header = _header(shown.view)
            frame = _frame(shown.panel, self.theme.name, self.scale, title, header, lit, column)
            out.append(frame.faded(shown.opacity))
        fitted = cover(picture, (width, height))
        if shown.panel.light < 1.0:
            fitted = _dimmed(fitted, shown.panel.light, self.theme)
        if not bare:
            fitted = _rounded(fitted, max(2, round(PICTURE_RADIUS * self.scale)), self.theme.rgb8("panel"))
        out.append(Layer(fitted, x, y, shown.opacity))
        taken: list[Rect] = []
        for mark in shown.shot.marks:
            if mark.view == shown.name:
                out += self._mark_layers(mark, shown, taken)
        return out

    def _mark_layers(self, mark: Mark, shown: Shown, taken: list[Rect]) -> list[Layer]:
        """A sign; where its words stand is added to `taken`, also before it is shown, so that none moves later."""
        key = (frozen(mark), frozen(shown.view), shown.size_px, shown.panel.picture, tuple(taken))
        layer, words = remembered(self._marks, key, lambda: self._drawn_mark(mark, shown, taken), MOST_MARKS)
        if words is not None:
            taken.append(words)
        return [] if layer is None else [layer.faded(shown.opacity * shown.panel.light)]

    def _drawn_mark(self, mark: Mark, shown: Shown, taken: Sequence[Rect]) -> tuple[Layer | None, Rect | None]:
        """A sign, and where its words stand."""
        spots = self._projected(shown.view, shown.size_px, mark.points_mm)
        radius = 0.0
        if mark.radius_mm > 0:
            radius = self._radius_px(mark, shown)
        rect = shown.panel.picture
        factor, left, top = _cover_map(shown.size_px, (rect.w * self.scale, rect.h * self.scale))
        points = [
            ((px * factor + left) / self.scale + rect.x, (py * factor + top) / self.scale + rect.y) for px, py in spots
        ]
        reach = radius * factor / self.scale
        words = words_place(mark, points, reach, rect, taken)
        return draw_mark(mark, points, reach, rect, words, self.theme, self.scale), words

    def _radius_px(self, mark: Mark, shown: Shown) -> float:
        """A ring's radius in pixels of the picture: that of a sphere round its first point, seen from the eye."""
        if isinstance(shown.view, (SectionShot, UltrasoundShot)):
            return mark.radius_mm * min(shown.size_px) / (2 * shown.view.half_width_mm)
        centre = np.array(mark.points_mm[0], float)
        around = [tuple(centre + mark.radius_mm * axis) for axis in (*np.eye(3), *-np.eye(3))]
        spots = self._projected(shown.view, shown.size_px, (tuple(centre), *around))
        return float(np.hypot(*(spots[1:] - spots[0]).T).max())

    def _projected(self, view: View, size_px: tuple[int, int], points_mm: Any) -> NDArray[np.float64]:
        if isinstance(view, StageShot):
            return self.painter.project_stage(size_px, view, points_mm)
        if isinstance(view, FluoroShot):
            return self.painter.project_fluoroscopy(size_px, view, points_mm)
        if isinstance(view, (ScanShot, PlotShot)):
            raise ValueError("marks cannot be laid over a scan or a plot")
        plane = self.source.plane(view.plane, view.plan)
        if isinstance(view, UltrasoundShot):
            return self.painter.project_ultrasound(size_px, plane, view, points_mm)
        return self.painter.project_section(size_px, plane, view, points_mm)

    # words

    def _on_stage(self, stage: StageShot, points_mm: Any, rect: Rect) -> NDArray[np.float64]:
        """Points of the world on the stage settled in `rect`, design pixels (N, 2)."""
        size = rect.pixels(self.scale)[2:]
        pixels = self.painter.project_stage(size, stage, points_mm)
        return np.column_stack([rect.x + pixels[:, 0] / self.scale, rect.y + pixels[:, 1] / self.scale])

    def _label_layers(self, shot: Shot, time_s: float, opacity: float) -> list[Layer]:
        if opacity <= 0 or not any(label.shown > 0 for label in shot.labels):
            return []
        lines, boxes = [], []
        for label, place, at in self.labels_of(shot, time_s):
            lines.append(draw_leader(place.port, at, self.theme, self.scale).faded(opacity * label.shown))
            boxes.append(
                draw_label(label.text, label.role, place.box, self.theme, self.scale).faded(opacity * label.shown)
            )
        return lines + boxes

    def _title_layers(self, shot: Shot, now: Instant, opacity: float) -> list[Layer]:
        if shot.layout == "card" or not shot.title:
            return []
        subtitle = " · ".join(part for part in (now.subtitle, shot.seen_from) if part)
        fade = smooth(now.age_s / TITLE_FADE_S)
        stage = panels_of(shot, self.design).get("stage")
        shaded = stage.picture.right if stage is not None and label_area(shot, design=self.design) else 0.0
        return [_title(shot.title, subtitle, self.theme.name, self.scale, shaded).faded(opacity * fade)]

    def _tag_layers(self, now: Instant) -> list[Layer]:
        """The tag of what holds now; from one shot to the next with the same tag it stays as it is."""
        shot = now.shot
        if shot.layout == "card" or not shot.tag:
            return []
        stays = now.previous is None or (now.previous.tag == shot.tag and now.previous.layout != "card")
        return [
            _tag(shot.tag, tag_place(shot, self.design), self.theme.name, self.scale).faded(1.0 if stays else now.share)
        ]

    def _column_layers(self, now: Instant) -> list[Layer]:
        """The numbers along the foot of columns, and what is written over their stages."""
        shots = [(now.shot, now.time_s, 1.0 if now.previous is None else now.share)]
        if now.previous is not None:
            if tuple(c.name for c in now.previous.columns) == tuple(c.name for c in now.shot.columns):
                shots = [(now.shot, now.time_s, 1.0)]  # the frames stay
            else:
                shots.insert(0, (now.previous, now.changed_s, 1.0 - now.share))
        out = []
        for shot, time_s, opacity in shots:
            for column, name, rect in column_gauges(shot, self.design):
                reading = self.source.reading(name, time_s, column.moment, column.plan)
                if reading is not None:
                    draw = draw_tile if is_tile(rect) else draw_gauge
                    out.append(draw(reading, rect, self.theme, self.scale).faded(opacity))
            panels = panels_of(shot, self.design) if shot.columns else {}
            for column in shot.columns:
                place = panels.get(f"{column.name}:stage")
                if column.note and column.note_shown > 0 and place is not None:
                    note = _note(column.note, place.picture, self.theme.name, self.scale)
                    out.append(note.faded(opacity * column.note_shown))
        return out

    def _bar_layers(self, now: Instant, words: float) -> list[Layer]:
        opacity = _bar_opacity(now.shot)
        settled_top = top = self.design.bar_top(bool(now.shot.gauges))
        if now.previous is not None:
            opacity = (1 - now.share) * _bar_opacity(now.previous) + now.share * opacity
            before = self.design.bar_top(bool(now.previous.gauges))
            if before != top:  # the bar rises for its gauges
                top = (1 - now.share) * before + now.share * top
        if opacity <= 0:
            return []
        rise = round((top - settled_top) * self.scale)
        theme, scale, gauges = self.theme, self.scale, bool(now.shot.gauges)
        out = [_bar(now.step, now.steps, theme.name, scale, self.design, gauges, top).faded(opacity)]
        if now.shot.caption:
            caption = _caption(now.shot.caption, theme.name, scale, self.design, gauges)
            out.append(_risen(caption, rise).faded(opacity * now.shot.caption_shown))
        read = [self.source.reading(name, now.time_s) for name in now.shot.gauges]
        rects = self.design.gauge_places(len(read))
        stacked = any(r is not None and not fits_one_line(r, rect) for r, rect in zip(read, rects, strict=True))
        for reading, rect in zip(read, rects, strict=True):
            if reading is not None:
                out.append(_risen(draw_gauge(reading, rect, theme, scale, stacked), rise).faded(opacity * words))
        return out

    # cards

    def _cards(self, now: Instant) -> list[tuple[Shot, float]]:
        out = []
        if now.previous is not None and now.previous.card is not None and now.previous.layout == "card":
            out.append((now.previous, max(0.0, 1.0 - 2.0 * now.share)))
        if now.shot.card is not None and now.shot.layout == "card":
            out.append((now.shot, 1.0 if now.previous is None else max(0.0, 2.0 * now.share - 1.0)))
        return [(shot, opacity) for shot, opacity in out if opacity > 0]

    def _card_layers(self, shot: Shot, opacity: float, now: Instant) -> list[Layer]:
        card = shot.card
        assert card is not None
        time_s = now.time_s if shot is now.shot else now.changed_s
        out = []
        if card.backdrop is not None:
            picture = self._picture(card.backdrop, self.size_px, time_s, bare=True)
            out.append(Layer(picture, 0, 0, opacity))
            out.append(_veil(self.size_px, self.theme.name, self.design).faded(opacity))
        if card.picture is not None:
            panel = picture_place(self.design)
            title, header = _header(card.picture)
            x, y, width, height = panel.picture.pixels(self.scale)
            frame = _frame(panel, self.theme.name, self.scale, title, header or "simulated", False)
            out.append(frame.faded(opacity))
            picture = self._picture(card.picture, (width, height), time_s)
            picture = _rounded(picture, max(2, round(PICTURE_RADIUS * self.scale)), self.theme.rgb8("panel"))
            out.append(Layer(picture, x, y, opacity))
        out.append(draw_card(card, self.theme, self.scale, card.picture is not None, self.design).faded(opacity))
        return out


def cover(picture: Pixels, size_px: tuple[int, int]) -> Pixels:
    """`picture` scaled to cover `size_px` (width, height), its middle kept, what is over cut off."""
    height, width = picture.shape[:2]
    if (width, height) == size_px:
        return picture
    factor, left, top = _cover_map((width, height), size_px)
    if factor != 1.0:
        from PIL import Image

        box = (-left / factor, -top / factor, (size_px[0] - left) / factor, (size_px[1] - top) / factor)
        box = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
        # colours that are multiplied by alpha already are scaled apart from it, as they are
        parts = [picture] if picture.shape[2] == 3 else [picture[:, :, :3], picture[:, :, 3]]
        scaled = [
            np.asarray(Image.fromarray(np.ascontiguousarray(p)).resize(size_px, Image.Resampling.BILINEAR, box=box))
            for p in parts
        ]
        return scaled[0] if len(scaled) == 1 else np.dstack(scaled)
    x, y = round(-left), round(-top)
    return picture[y : y + size_px[1], x : x + size_px[0]]


def _cover_map(size_px: tuple[float, float], into_px: tuple[float, float]) -> tuple[float, float, float]:
    """The factor and the offset (x, y) that carry a picture's pixels into the rectangle that it covers."""
    factor = max(into_px[0] / size_px[0], into_px[1] / size_px[1])
    # a large stage whose height stays keeps its scale to the pixel
    if abs(factor - 1.0) < 2e-3:
        factor = 1.0
    return factor, (into_px[0] - factor * size_px[0]) / 2, (into_px[1] - factor * size_px[1]) / 2


def _focus(shot: Shot) -> str:
    """The slot that the shot's focus names, or "" where it is not shown."""
    names = view_names(shot)
    if shot.layout == "columns":
        columns = [column.name for column in shot.columns]
        return str(columns.index(shot.focus)) if shot.focus in columns else shot.focus
    if shot.focus in names:
        return shot.focus
    if shot.focus == "fluoroscopy" and "fluoro-0" in names:
        return "fluoro-0"
    return next((slot for slot, name in names.items() if name == shot.focus), "")


def _view(shot: Shot, name: str) -> View:
    return views_of(shot)[name]


_WORDS = frozenset({"title", "header", "plan", "moment"})
"""What of a view its picture does not show."""


def _look(view: View) -> Hashable:
    """All of a view that its picture shows: neither its words nor whose structures it names."""
    return _frozen_fields(view, [f.name for f in fields(view) if f.init and f.name not in _WORDS])


def _shapes(structures: Any) -> Hashable:
    """The same for structures that look the same: their names, surfaces, places and what their cells hold."""
    return tuple(
        (name, part.key, part.role, frozen(part.world_from_local), _held(part.cells))
        if hasattr(part, "key")
        else (name, frozen(part))
        for name, part in structures.items()
    )


def _held(cells: Any) -> Hashable:
    return None if cells is None else (cells.key, cells.share.tobytes())


def _ordered(shown: list[Shown]) -> list[Shown]:
    """Bare stages below framed panels, and while panels pass over each other the larger below the smaller."""
    return sorted(
        shown, key=lambda s: (s.panel.framed or s.panel.inset, s.panel.inset, -s.panel.rect.w * s.panel.rect.h)
    )


def _bare(shown: Shown) -> bool:
    """Whether a view stands in no frame."""
    return not (shown.panel.framed or shown.panel.inset)


def _hidden(view: StageShot) -> frozenset[str]:
    return view.look.hidden if view.look is not None else frozenset()


def _header(view: View) -> tuple[str, str]:
    if isinstance(view, PlotShot):
        title, header = TITLES.get(view.plot, ("", ""))
        return view.title or title, view.header or header
    return view.title, view.header


def _bar_opacity(shot: Shot) -> float:
    return 0.0 if shot.card is not None and shot.card.kind == "title" else 1.0


@lru_cache(maxsize=1)
def _ground(size_px: tuple[int, int], theme_name: str) -> Layer:
    colour = np.array(named_theme(theme_name).rgb8("ground"), np.uint8)
    return Layer(np.broadcast_to(colour, (size_px[1], size_px[0], 3)), 0, 0)


@lru_cache(maxsize=1)
def _veil(size_px: tuple[int, int], theme_name: str, design: Design) -> Layer:
    """The ground's colour over a card's backdrop, deepest where the words stand: on the left, of an upright screen
    below."""
    if design.height > design.width:
        down = np.interp(np.linspace(0, 1, size_px[1]), [0.0, 0.3, 0.55, 1.0], [0.1, 0.2, 0.86, 0.96])
        alpha = down[:, None, None]
    else:
        ends = [0.0, 0.62, 0.9, 1.0] if design.aspect == "1:1" else [0.0, 0.45, 0.8, 1.0]
        across = np.interp(np.linspace(0, 1, size_px[0]), ends, [0.96, 0.86, 0.25, 0.15])
        alpha = across[None, :, None]
    colour = alpha * np.array(named_theme(theme_name).colour("ground"))
    run = np.concatenate([colour, alpha], axis=2)
    return Layer(dithered(np.broadcast_to(run, (size_px[1], size_px[0], 4))), 0, 0)


@lru_cache(maxsize=8)
def _frame(
    panel: Panel, theme_name: str, scale: float, title: str, header: str, lit: bool, column: bool = False
) -> Layer:
    """A panel with its header line, larger over a `column`; the muted words under the bold ones where it is stacked."""
    theme, rect = named_theme(theme_name), panel.rect
    canvas = Canvas(rect.w, rect.h, scale, rect.x, rect.y)
    edge = theme.colour("muted") if lit else theme.colour("edge")
    canvas.panel(rect.x + 1, rect.y + 1, rect.w - 2, rect.h - 2, places.RADIUS, theme.colour("panel"), edge, 2.0)
    base = rect.y + (41.0 if column else 35.0)
    left, right = rect.x + places.PAD + 6, rect.right - places.PAD - 6
    canvas.text(title, left, base, COLUMN_TITLE if column else HEADER, theme.colour("text"))
    if panel.stacked:
        canvas.text(header, left, base + places.STACKED, NOTE, theme.colour("muted"))
    else:
        canvas.text(header, right, base, NOTE, theme.colour("muted"), "rs")
    return canvas.layer()


@lru_cache(maxsize=6)
def _note(words: str, picture: Rect, theme_name: str, scale: float) -> Layer:
    """Words on a dark band at the lower edge of a picture, on two lines where one is too narrow."""
    theme = named_theme(theme_name)
    lines = note_lines(words, picture.w - 56.0)
    height = 16.0 + 36.0 * len(lines)
    canvas = Canvas(picture.w, height, scale, picture.x, picture.bottom - height)
    left, top = picture.x + 10.0, picture.bottom - height
    width = max(text_size(line, LABEL)[0] for line in lines)
    canvas.panel(left, top, min(width + 36.0, picture.w - 20.0), height - 10.0, 10.0,
                 fill=theme.colour("plate"), alpha=0.82)  # fmt: skip
    for i, line in enumerate(lines):
        canvas.text(line, left + 18.0, top + 30.0 + 36.0 * i, LABEL, theme.colour("text"))
    return canvas.layer()


def note_lines(words: str, width: float) -> tuple[str, ...]:
    """A column's note as one line, or two as even as can be where one is wider than `width` design pixels."""
    pieces = words.split()
    if text_size(words, LABEL)[0] <= width or len(pieces) < 2:
        return (words,)
    pairs = [(" ".join(pieces[:i]), " ".join(pieces[i:])) for i in range(1, len(pieces))]
    return min(pairs, key=lambda pair: max(text_size(line, LABEL)[0] for line in pair))


@lru_cache(maxsize=2)
def _title(title: str, subtitle: str, theme_name: str, scale: float, shaded: float) -> Layer:
    """Title and muted line, shaded as far to the right as the bare stage under them goes."""
    theme = named_theme(theme_name)
    width = 40 + max(text_size(title, TITLE)[0], text_size(subtitle, SUBTITLE)[0])
    canvas = Canvas(width + SHADE_REACH + 20, 110 + 0.5 * SHADE_REACH, scale, 0, 0)
    if shaded:
        _shade(canvas, width, 104.0, theme.colour("ground"), shaded)
    canvas.text(title, 40, 64, TITLE, theme.colour("text"))
    canvas.text(subtitle, 40, 104, SUBTITLE, theme.colour("muted"))
    return canvas.layer()


@lru_cache(maxsize=4)
def _tag(words: str, place: Rect, theme_name: str, scale: float) -> Layer:
    """A word on a chip with a bright rim."""
    theme = named_theme(theme_name)
    canvas = Canvas(place.w, place.h, scale, place.x, place.y)
    canvas.panel(
        place.x + 1.5, place.y + 1.5, place.w - 3, place.h - 3, place.h / 2, theme.colour("panel"),
        theme.colour("text"), 2.5,
    )  # fmt: skip
    middle = place.y + place.h / 2 + cap_height(LABEL) / 2
    canvas.text(words, place.x + places.TAG_PAD, middle, LABEL, theme.colour("text"))
    return canvas.layer()


def _shade(canvas: Canvas, width: float, height: float, colour: tuple[float, float, float], right: float) -> None:
    """The ground's colour behind words at the top left, even where they stand and gone softly beyond: they read on bone
    too. It ends at `right`."""
    x = np.arange(canvas.width_px) / canvas.scale
    across = np.interp(x, [width, width + SHADE_REACH], [1.0, 0.0]) * (x < right)
    down = np.interp(np.arange(canvas.height_px) / canvas.scale, [height, height + 0.5 * SHADE_REACH], [1.0, 0.0])
    alpha = 0.82 * (across * across * (3 - 2 * across))[None, :] * (down * down * (3 - 2 * down))[:, None]
    canvas.lay(np.concatenate([alpha[:, :, None] * np.array(colour), alpha[:, :, None]], axis=2))


@lru_cache(maxsize=2)
def _bar(step: int, steps: int, theme_name: str, scale: float, design: Design, gauges: bool, top: float) -> Layer:
    """The bar from `top` down with its step dots: those done and the present one filled, the present one ringed."""
    theme = named_theme(theme_name)
    canvas = Canvas(design.width, design.height - top, scale, 0, top)
    canvas.panel(0, top, design.width, design.height - top + 40, 18, theme.colour("panel"))
    x, y, pitch = design.dots_place(gauges)
    y += top - design.bar_top(gauges)
    for i in range(steps):
        colour = theme.colour("cement") if i <= step else theme.colour("edge")
        if i == step:
            canvas.disc(x + i * pitch, y, 11.0, fill=theme.colour("text"))
            canvas.disc(x + i * pitch, y, 8.5, fill=theme.colour("panel"))
        canvas.disc(x + i * pitch, y, 7.5, fill=colour)
    return canvas.layer()


@lru_cache(maxsize=2)
def _caption(text: str, theme_name: str, scale: float, design: Design, gauges: bool) -> Layer:
    theme, top = named_theme(theme_name), design.bar_top(gauges)
    x, lines = design.caption_place(gauges)
    canvas = Canvas(CAPTION_WIDTH, design.height - top, scale, x - 4, top)
    for line, y in zip(wrap(text), lines, strict=False):
        canvas.text(line, x, y, CAPTION, theme.colour("text"))
    return canvas.layer()


def _risen(layer: Layer, rows_px: int) -> Layer:
    """`layer` so many rows lower."""
    return replace(layer, y_px=layer.y_px + rows_px) if rows_px else layer


def _dimmed(picture: Pixels, light: float, theme: Theme) -> Pixels:
    """`picture` with `light` of its brightness, or on a light theme of what tells it from the panel; and so what shows
    through a clear one."""
    away = np.array(theme.rgb8("panel") if theme.light else (0, 0, 0))
    tables = np.round(np.arange(256)[:, None] * light + (1.0 - light) * away).astype(np.uint8)
    if not theme.light and picture.shape[2] == 3:
        return tables[:, 0][picture]
    colours = [tables[:, c][picture[:, :, c]] for c in range(3)]
    covered = np.round(np.arange(256) * light).astype(np.uint8)
    return np.dstack(colours if picture.shape[2] == 3 else [*colours, 255 - covered[255 - picture[:, :, 3]]])


@lru_cache(maxsize=8)
def _corner(radius: int) -> NDArray[np.float32]:
    """Coverage (r, r, 1) of a rounded upper left corner."""
    fine = (np.arange(4 * radius) + 0.5) / 4
    inside = np.hypot(fine[:, None] - radius, fine[None, :] - radius) <= radius
    return inside.reshape(radius, 4, radius, 4).mean((1, 3)).astype(np.float32)[:, :, None]


def _rounded(picture: Pixels, radius: int, panel: tuple[int, int, int]) -> Pixels:
    """`picture` with its four corners rounded off onto the panel's colour."""
    out = np.array(picture)
    mask, ground = _corner(radius), np.array(panel, np.float32)
    for rows, columns, turned in (
        (slice(0, radius), slice(0, radius), mask),
        (slice(0, radius), slice(-radius, None), mask[:, ::-1]),
        (slice(-radius, None), slice(0, radius), mask[::-1]),
        (slice(-radius, None), slice(-radius, None), mask[::-1, ::-1]),
    ):
        out[rows, columns] = np.round(turned * out[rows, columns] + (1 - turned) * ground)
    return out


__all__ = [
    "CardShot", "Instant", "Screen", "column_gauges", "label_area", "panels_of", "shot_key", "slots_of", "tag_place",
    "view_names",
]  # fmt: skip
