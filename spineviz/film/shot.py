"""What is on screen at a moment, as plain data: scenes make it, tests and workers read it without drawing.

A scene answers `shot_at(time_s) -> Shot`; the film draws it. All that a Shot holds is in millimetres, words and
shares; pixels, panels and fades between layouts are the film's business. The layouts, told for 16:9 (on upright and
square screens the same views stand above and below one another, and cameras are fitted to them):

    "stage+insets"   stage large on the left, right column: fluoroscopy[0] above, section below. With one inset only,
                     that one takes the whole column; `plot` stands below both.
    "two-plane"      fluoroscopy[0] (AP) and fluoroscopy[1] (lateral) equal and large; section, plot and stage small,
                     right, as many of them as the shot gives.
    "table"          the stage over the whole width (the room); fluoroscopy[0], if any, floats at the top right.
    "columns"        two or three `columns` of equal width, each in a frame of its own with its name, its stage, its
                     `below` (beside the stage where there are two columns, under it where there are three) and its
                     numbers along its foot: two procedures, or three states of one, set side by side.
    "stage"          the stage alone over the whole width.
    "card"           `card` alone; no views but the picture that the card names.

Under each but the title card lies the bar: step dots, caption, gauges. Top left stand title and the muted line
"vertebroplasty · L1 · seen from behind". `focus` names the view that matters: its panel grows and the others dim; "" is
balance. In "columns" it is the name of a column (the others dim), or "stage" or "below" (those pictures grow). A change
of layout or focus is eased by the film, over `TRANSITION_S`, whenever `shot_at` returns another one:
the scene says only what holds from that moment on.

Fading is the scene's: `shown` of a label or mark is 0 to 1, taken from a beat with `appear()`. List a step's labels
from its beginning with shown=0, so that the places are settled before the first appears and nothing jumps.

A film may show several plans. A view names the one that it shows (`plan`, a key of the scene's `plans`), a gauge too
("vertebroplasty:wedge"); "" is the film's own. Views of a column are called "COLUMN:stage", "COLUMN:lateral" and so on
by labels and marks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from spineviz.views.cards import CardColumn, CardRow
from spineviz.views.signs import Mark, Point, Side

if TYPE_CHECKING:
    from spineviz.views.camera import Camera
    from spineviz.views.fluoroscopy import Mode, Projection
    from spineviz.views.stage import StageLook

Layout = Literal["stage+insets", "two-plane", "table", "columns", "stage", "card"]

CardKind = Literal["title", "case", "outcome", "comparison"]

TRANSITION_S = 0.6
"""How long the film takes to ease from one layout or focus to the next, seconds."""


@dataclass(frozen=True)
class Label:
    """Words with a colour chip and a line to a point of the stage.

    Attributes:
        text: a word or two; one line.
        role: the chip's colour, a name of the theme ("bone", "cement", "steel").
        anchor_mm: where the line ends now, world frame, on the visible surface.
        side: the column where it should stand, "left" or "right" on screen; "" lets the film choose.
        importance: when there is no room, the label with the least is left out.
        shown: 0 to 1, its opacity.
        place_mm: the anchor for which its place is chosen, where the anchor moves (a needle tip: where it comes to
            rest); None is `anchor_mm`.
        view: the stage that it belongs to, "stage" or "COLUMN:stage".
    """

    text: str
    role: str
    anchor_mm: Point
    side: Side = ""
    importance: float = 1.0
    shown: float = 1.0
    place_mm: Point | None = None
    view: str = "stage"


@dataclass(frozen=True)
class StageShot:
    """The 3-D view.

    Attributes:
        camera, look: as spineviz.views.stage takes them.
        place_camera: the camera for which labels are placed, where it moves: that of the move's end; None is `camera`.
        moment: (step, share) of the film's clock whose structures are shown, where it is not now.
        header: muted words of the panel's header in "two-plane"; elsewhere not shown.
        title: bold words of that header.
        plan: whose structures; see the module's docstring.
    """

    camera: Camera
    look: StageLook
    place_camera: Camera | None = None
    moment: tuple[str, float] | None = None
    header: str = ""
    title: str = "3-D view"
    plan: str = ""


@dataclass(frozen=True)
class FluoroShot:
    """A simulated radiograph.

    Attributes:
        projection: as spineviz.views.fluoroscopy takes it; its name ("ap", "lateral", "front") is what marks refer to.
        header: muted words at the right of the panel's header ("AP, seen from behind").
        title: bold words at its left.
        live: False holds the noise still (a stored picture).
        moment, plan: as in StageShot.
        mode: "live"; "subtraction", the vessels that hold contrast alone; "roadmap", those of a structure of the role
            "roadmap" bright under what moves now. No other view shows such a structure.
        contrast: names or roles of what subtraction leaves; all else is in its mask.
    """

    projection: Projection
    header: str = ""
    title: str = "Fluoroscopy"
    live: bool = True
    moment: tuple[str, float] | None = None
    plan: str = ""
    mode: Mode = "live"
    contrast: tuple[str, ...] = ("contrast",)


@dataclass(frozen=True)
class SectionShot:
    """A drawn plane.

    Attributes:
        plane: a key of the plan's planes: "axial", "sagittal", "needle-right", "needle-left".
        half_width_mm: half of what the panel's shorter side shows, mm.
        header: muted words at the right of the panel's header ("axial, through the needles").
        title: bold words at its left.
        moment, plan: as in StageShot.
    """

    plane: str
    half_width_mm: float = 45.0
    header: str = ""
    title: str = "Section"
    moment: tuple[str, float] | None = None
    plan: str = ""


@dataclass(frozen=True)
class UltrasoundShot:
    """A simulated ultrasound picture of a plane, where a section may stand; labels and marks call it "section".

    Attributes:
        plane: a key of the plan's planes ("groin"); its y runs from the depth towards the probe.
        half_width_mm: half of what the panel's shorter side shows, mm.
        depth_mm: how deep under the probe's face the plane's origin lies, mm, as spineviz.views.ultrasound.face_mm
            finds it.
        live: False holds the noise still.
        title, header, moment, plan: as in SectionShot.
    """

    plane: str
    half_width_mm: float = 22.0
    depth_mm: float = 25.0
    header: str = ""
    title: str = "Ultrasound"
    live: bool = True
    moment: tuple[str, float] | None = None
    plan: str = ""


@dataclass(frozen=True)
class ScanShot:
    """A simulated mid-sagittal image, grey as a T1-weighted MR, for the case card.

    Attributes:
        half_width_mm: half of what the picture's shorter side shows, mm.
        x_mm: how far to the patient's right the slice lies.
        title, header, moment, plan: as in SectionShot.
    """

    half_width_mm: float = 75.0
    x_mm: float = 0.0
    header: str = "simulated"
    title: str = "Sagittal image"
    moment: tuple[str, float] | None = None
    plan: str = ""


@dataclass(frozen=True)
class PlotShot:
    """A curve, as far as it has been drawn.

    Attributes:
        plot: a name of spineviz.views.plots.PLOTS, "pressure": each balloon's pressure against its volume; "flow": in
            the tumour's artery as particles lodge; "response": tumour and canal over weeks.
        title, header: as in SectionShot; "" is the plot's own, of spineviz.views.plots.TITLES.
        moment, plan: as in SectionShot.
    """

    plot: str = "pressure"
    header: str = ""
    title: str = ""
    moment: tuple[str, float] | None = None
    plan: str = ""


@dataclass(frozen=True)
class ColumnShot:
    """One column of "columns": a procedure, or a state of one.

    Attributes:
        name: what labels, marks and `focus` call it by; its views are "NAME:stage", "NAME:lateral" and so on.
        title, header: bold words at the left of its frame and muted ones at the right.
        stage, below: its views, one of them at least.
        gauges: the numbers along its foot, left to right, at most four; two where there are three columns.
        moment, plan: as in StageShot; they hold for gauges and for views that say nothing else.
        note: words laid over the lower edge of its stage ("waits: no balloon here"), on one line or two, faded by
            `note_shown`.
    """

    name: str
    title: str = ""
    header: str = ""
    stage: StageShot | None = None
    below: FluoroShot | SectionShot | UltrasoundShot | PlotShot | None = None
    gauges: tuple[str, ...] = ()
    moment: tuple[str, float] | None = None
    plan: str = ""
    note: str = ""
    note_shown: float = 1.0

    @property
    def views(self) -> dict[str, StageShot | FluoroShot | SectionShot | UltrasoundShot | PlotShot]:
        """Slot, "stage" or "below" -> the view with what it takes from the column."""
        found = {"stage": self.stage, "below": self.below}
        views = {
            slot: replace(view, moment=view.moment or self.moment, plan=view.plan or self.plan)
            for slot, view in found.items()
            if view is not None
        }
        for slot in list(views)[:1]:  # the first one carries the column's frame
            views[slot] = replace(views[slot], title=self.title, header=self.header)
        return views

    @property
    def view_names(self) -> dict[str, str]:
        """Slot, "stage" or "below" -> what the view is called by."""
        return {slot: f"{self.name}:{view_name(view)}" for slot, view in self.views.items()}


@dataclass(frozen=True)
class CardShot:
    """A card.

    Attributes:
        kind: "title" (the procedure's name large, lines under it), "case" (columns on the left, a picture on the
            right), "outcome" (columns side by side as a table, foot notes with the sources), "comparison" (one table:
            a row for each name, a column for each title; columns of one title continue each other).
        heading: the largest words.
        lines: under the heading, one a line (title: level and pathology, "animation of a constructed case").
        columns: the table's blocks.
        notes: small muted lines at the foot (sources, "for education, not for clinical use").
        picture: shown on a case card, or None; its header says "simulated".
        backdrop: a stage shown dimmed behind a title card, or None.
    """

    kind: CardKind
    heading: str = ""
    lines: tuple[str, ...] = ()
    columns: tuple[CardColumn, ...] = ()
    notes: tuple[str, ...] = ()
    picture: FluoroShot | SectionShot | ScanShot | None = None
    backdrop: StageShot | None = None


@dataclass(frozen=True)
class Shot:
    """Everything on screen at one moment.

    Attributes:
        layout: which views there are and where; see the module's docstring.
        title: the step's title, at most about 45 signs.
        seen_from: the end of the muted line under it ("seen from behind").
        tag: a word that must stay in view as long as it holds ("illustrative"), on a chip under the title.
        stage, fluoroscopy, section, plot, columns, card: the views that the layout asks for.
        focus: "stage", "fluoroscopy", "section", "plot", in "two-plane" also "ap", "lateral", in "columns" a column's
            name or "stage", "below"; "" for balance.
        labels: of the stage.
        marks: over any view.
        gauges: names of spineviz.views.gauges.GAUGES, left to right, at most four: "cement", "back_wall", "wedge",
            "anterior_height", "middle_height", "balloon", "pressure", "cavity", "gain", "front_gain",
            "middle_gain", "tip_level", "catheter", "contrast", "flow", "dose", "canal", "cord_depth", "neural",
            "diameter", "weeks", "pressing"; of another plan than the film's own "PLAN:NAME".
        caption: at most two lines of at most 42 signs, the line break as "\\n" or left to the film.
        caption_shown: 0 to 1.
    """

    layout: Layout
    title: str = ""
    seen_from: str = ""
    tag: str = ""
    stage: StageShot | None = None
    fluoroscopy: tuple[FluoroShot, ...] = ()
    section: SectionShot | UltrasoundShot | None = None
    plot: PlotShot | None = None
    columns: tuple[ColumnShot, ...] = ()
    card: CardShot | None = None
    focus: str = ""
    labels: tuple[Label, ...] = ()
    marks: tuple[Mark, ...] = ()
    gauges: tuple[str, ...] = ()
    caption: str = ""
    caption_shown: float = field(default=1.0)


def view_name(view: StageShot | FluoroShot | SectionShot | UltrasoundShot | PlotShot) -> str:
    """What labels and marks call a view by: "stage", "section", "plot" or its projection's name."""
    if isinstance(view, FluoroShot):
        return view.projection.name
    return {StageShot: "stage", SectionShot: "section", UltrasoundShot: "section", PlotShot: "plot"}[type(view)]


def smooth(share: float) -> float:
    """`share` clipped to 0..1 with rest at both ends (smoothstep)."""
    x = min(1.0, max(0.0, share))
    return x * x * (3.0 - 2.0 * x)


def appear(time_s: float, from_s: float, fade_s: float = 0.4, until_s: float | None = None) -> float:
    """How much is shown at `time_s` of what fades in at `from_s` within `fade_s` and, if given, is out by `until_s`."""
    rise = smooth((time_s - from_s) / fade_s)
    return rise if until_s is None else min(rise, smooth((until_s - time_s) / fade_s))


__all__ = [
    "TRANSITION_S", "CardColumn", "CardKind", "CardRow", "CardShot", "ColumnShot", "FluoroShot", "Label", "Layout",
    "Mark", "PlotShot", "Point", "ScanShot", "SectionShot", "Shot", "Side", "StageShot", "UltrasoundShot", "appear",
    "smooth", "view_name",
]  # fmt: skip
