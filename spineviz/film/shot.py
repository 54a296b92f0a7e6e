"""What is on screen at a moment, as plain data: scenes make it, tests and workers read it without drawing.

A scene answers `shot_at(time_s) -> Shot`; the film draws it. All that a Shot holds is in millimetres, words and
shares; pixels, panels and fades between layouts are the film's business. The layouts (look.md; 16:9):

    "stage+insets"   stage large on the left, right column: fluoroscopy[0] above, section below. With one inset only,
                     that one takes the whole column.
    "two-plane"      fluoroscopy[0] (AP) and fluoroscopy[1] (lateral) equal and large, section and stage small, right.
    "table"          the stage over the whole width (the room); fluoroscopy[0], if any, floats at the top right.
    "before-after"   `stage` and `after` equal, side by side, each with its own header and moment.
    "stage"          the stage alone over the whole width.
    "card"           `card` alone; no views but the picture that the card names.

Under each but the title card lies the bar: step dots, caption, gauges. Top left stand title and the muted line
"vertebroplasty · L1 · seen from behind". `focus` names the view that matters: its panel grows and the others dim; "" is
balance. A change of layout or focus is eased by the film, over `TRANSITION_S`, whenever `shot_at` returns another one:
the scene says only what holds from that moment on.

Fading is the scene's: `shown` of a label or mark is 0 to 1, taken from a beat with `appear()`. List a step's labels
from its beginning with shown=0, so that the places are settled before the first appears and nothing jumps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from spineviz.views.cards import CardColumn, CardRow
from spineviz.views.signs import Mark, Point, Side

if TYPE_CHECKING:
    from spineviz.views.camera import Camera
    from spineviz.views.fluoroscopy import Projection
    from spineviz.views.stage import StageLook

Layout = Literal["stage+insets", "two-plane", "table", "before-after", "stage", "card"]

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
    """

    text: str
    role: str
    anchor_mm: Point
    side: Side = ""
    importance: float = 1.0
    shown: float = 1.0
    place_mm: Point | None = None


@dataclass(frozen=True)
class StageShot:
    """The 3-D view.

    Attributes:
        camera, look: as spineviz.views.stage takes them.
        place_camera: the camera for which labels are placed, where it moves: that of the move's end; None is `camera`.
        moment: (step, share) whose structures are shown, where it is not the film's own ("before" of before-after).
        header: the panel's words in "before-after" and "two-plane" ("standing, before"); elsewhere not shown.
    """

    camera: Camera
    look: StageLook
    place_camera: Camera | None = None
    moment: tuple[str, float] | None = None
    header: str = ""


@dataclass(frozen=True)
class FluoroShot:
    """A simulated radiograph.

    Attributes:
        projection: as spineviz.views.fluoroscopy takes it; its name ("ap", "lateral") is what marks refer to.
        header: muted words at the right of the panel's header ("AP, seen from behind").
        title: bold words at its left.
        live: False holds the noise still (a stored picture).
        moment: as in StageShot.
    """

    projection: Projection
    header: str = ""
    title: str = "Fluoroscopy"
    live: bool = True
    moment: tuple[str, float] | None = None


@dataclass(frozen=True)
class SectionShot:
    """A drawn plane.

    Attributes:
        plane: a key of the plan's planes: "axial", "sagittal", "needle-right", "needle-left".
        half_width_mm: half of what the panel's shorter side shows, mm.
        header: muted words at the right of the panel's header ("axial, through the needles").
        title: bold words at its left.
        moment: as in StageShot.
    """

    plane: str
    half_width_mm: float = 45.0
    header: str = ""
    title: str = "Section"
    moment: tuple[str, float] | None = None


@dataclass(frozen=True)
class ScanShot:
    """A simulated mid-sagittal image, grey as a T1-weighted MR, for the case card.

    Attributes:
        half_width_mm: half of what the picture's shorter side shows, mm.
        x_mm: how far to the patient's right the slice lies.
        title, header, moment: as in SectionShot.
    """

    half_width_mm: float = 75.0
    x_mm: float = 0.0
    header: str = "simulated"
    title: str = "Sagittal image"
    moment: tuple[str, float] | None = None


@dataclass(frozen=True)
class CardShot:
    """A card.

    Attributes:
        kind: "title" (the procedure's name large, lines under it), "case" (columns on the left, a picture on the
            right), "outcome" (columns side by side as a table, foot notes with the sources).
        heading: the largest words.
        lines: under the heading, one a line (title: level and pathology, "animation of a constructed case").
        columns: the table's blocks.
        notes: small muted lines at the foot (sources, "for education, not for clinical use").
        picture: shown on a case card, or None; its header says "simulated".
        backdrop: a stage shown dimmed behind a title card, or None.
    """

    kind: Literal["title", "case", "outcome"]
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
        stage, after, fluoroscopy, section, card: the views that the layout asks for.
        focus: "stage", "fluoroscopy", "section", or in "two-plane" also "ap", "lateral"; "" for balance.
        labels: of the stage.
        marks: over any view.
        gauges: names of spineviz.views.gauges.GAUGES, left to right, at most four: "cement", "back_wall", "wedge",
            "anterior_height", "middle_height".
        caption: at most two lines of at most 42 signs, the line break as "\\n" or left to the film.
        caption_shown: 0 to 1.
    """

    layout: Layout
    title: str = ""
    seen_from: str = ""
    stage: StageShot | None = None
    after: StageShot | None = None
    fluoroscopy: tuple[FluoroShot, ...] = ()
    section: SectionShot | None = None
    card: CardShot | None = None
    focus: str = ""
    labels: tuple[Label, ...] = ()
    marks: tuple[Mark, ...] = ()
    gauges: tuple[str, ...] = ()
    caption: str = ""
    caption_shown: float = field(default=1.0)


def smooth(share: float) -> float:
    """`share` clipped to 0..1 with rest at both ends (smoothstep)."""
    x = min(1.0, max(0.0, share))
    return x * x * (3.0 - 2.0 * x)


def appear(time_s: float, from_s: float, fade_s: float = 0.4, until_s: float | None = None) -> float:
    """How much is shown at `time_s` of what fades in at `from_s` within `fade_s` and, if given, is out by `until_s`."""
    rise = smooth((time_s - from_s) / fade_s)
    return rise if until_s is None else min(rise, smooth((until_s - time_s) / fade_s))


__all__ = [
    "TRANSITION_S", "CardColumn", "CardRow", "CardShot", "FluoroShot", "Label", "Layout", "Mark", "Point", "ScanShot",
    "SectionShot", "Shot", "Side", "StageShot", "appear", "smooth",
]  # fmt: skip
