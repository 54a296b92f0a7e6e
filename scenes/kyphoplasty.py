"""Kyphoplasty: balloons lift the broken body and leave a cavity, cement keeps what they gained.

You should see: a tumour that has broken one vertebra; what lying down gives back by itself; cannulas through the
pedicles in two planes; a drill; balloons that are inflated while bone packs and the end-plate rises; the cavity they
leave; cement that fills it; standing, lying and treated side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

from spineviz.film.anchors import Point, as_point, facing
from spineviz.film.augmentation import BEHIND_LEFT, LEFT, NOTHING_FAINT, AugmentationScene
from spineviz.film.base import Moment
from spineviz.film.shot import ColumnShot, FluoroShot, Mark, PlotShot, SectionShot, Shot, StageShot
from spineviz.views.camera import camera_from

PUSHED_ASIDE: Mapping[str, float] = MappingProxyType({"tumour": 0.3})
"""The tumour lies like a shell over balloon, cavity and cement: they show through it."""


class Kyphoplasty(AugmentationScene):
    """The film of one kyphoplasty, nine shots and three cards."""

    film_name = "kyphoplasty"

    # ---- 3 the cannulas ----------------------------------------------------------------------------------------------

    def shot_access(self, now: Moment) -> Shot:
        """Needle, pin and cannula go one line through the pedicle, in two planes, by the same safety rule."""
        place = self.parts.on_cannula(self.sides[-1], 12.0)
        named = tuple(
            Mark("text", "lateral", (place,), self.words(now.step.name, name), shown=shown, side="right")
            for name, shown in (("pin", now.shown("pin", until="cannula")), ("cannula", now.shown("rest")))
        )
        return self.two_planes(now, marks=(*self.safety_rule(now, until="pin"), *named))

    # ---- 4 the drill -------------------------------------------------------------------------------------------------

    def shot_drill(self, now: Moment) -> Shot:
        """A hand drill makes the channel and stops behind the front cortex."""
        side = self.sides[-1]
        camera = self.behind.moved_towards(self.into_body, now.beat("drill"))
        end = self.plan.needles[side].path.tip_mm
        cortex = end + self.vocabulary["drill_stop_mm"] * self.plan.needles[side].path.forward
        stop = now.shown("stop", until="out")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.glass(PUSHED_ASIDE), self.into_body),
            fluoroscopy=(self.from_the_left,),
            section=SectionShot("axial", 38.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("stop") else "",
            labels=(
                self.label(now, "cannula", "steel", self.parts.on_cannula(side, 18.0), "left", now.shown("drill"), 0.8),
                self.label(now, "drill", "steel", as_point(end), "left", now.shown("stop", until="out")),
                self.label(now, "channel", "cavity", self.parts.in_channel(side), "left", now.shown("out")),
            ),
            marks=tuple(
                Mark("measure", view, tuple(map(as_point, (end, cortex))), f"{self.vocabulary['drill_stop_mm']:.0f} mm",
                     shown=stop, side="left")
                for view in ("lateral",)
            ),
        )  # fmt: skip

    # ---- 5 and 6 the balloons ----------------------------------------------------------------------------------------

    def shot_balloon(self, now: Moment) -> Shot:
        """Folded balloons in; both markers stand in front of the cannula's tip."""
        at = self.parts.at(now.state)
        shown = now.shown("markers")
        marks = []
        for order, side in enumerate(self.sides):
            last = order == len(self.sides) - 1
            for name in ("front", "rear"):
                marker = at.get(f"marker-{name}-{side}")
                if marker is None:
                    continue
                words = self.words(now.step.name, "markers") if last and name == "front" else ""
                place = as_point(marker.field.bounds_mm.mean(0))
                marks.append(Mark("ring", "ap", (place,), "", "safe", 3.2, shown))
                if last:
                    marks.append(Mark("ring", "lateral", (place,), words, "safe", 3.2, shown, side="left"))
        tip = self.parts.on_cannula(self.sides[-1], 0.0)
        marks.append(Mark("dot", "lateral", (tip,), self.words(now.step.name, "tip"), shown=shown, side="right"))
        return self.two_planes(now, marks=tuple(marks))

    def shot_inflation(self, now: Moment) -> Shot:
        """The balloons grow in two planes; then the end-plate lifts, measured; the back wall is watched."""
        if not now.after("lift"):
            return self.two_planes(now, seen_from="seen from behind", gauges=("balloon", "pressure", "wedge"))
        at, edges = self.parts.at(now.state), self.parts.edges(now.state)
        lying = self.parts.edges_of(self.plan.patient.amount(1.0, 1.0))
        side = self.sides[-1]
        shown = now.shown("lift")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(self.from_left, self.glass(PUSHED_ASIDE, highlight=frozenset(self.balloons))),
            fluoroscopy=(self.from_the_left,),
            plot=PlotShot("pressure"),
            focus="fluoroscopy" if now.during("watch") else "",
            labels=(
                self.label(now, "balloon", "balloon", facing(at, f"balloon-{side}", LEFT), "left", shown,
                           rest=self.balloon_at_rest),
                self.label(now, "endplate", "bone", edges["upper-front"], "left", shown, 0.8,
                           rest=self.parts.edges_of(self.peak_amount)["upper-front"]),
            ),
            marks=(
                *self.endplates("stage", now.state, shown),
                Mark("line", "stage", (lying["upper-back"], lying["upper-front"]), self.words("inflation", "lying"),
                     "muted", shown=shown, side="right", dashed=True),
                *self.endplates("lateral", now.state, shown if not now.after("watch") else 0.0),
                Mark("line", "lateral", self.parts.back_wall(now.state), self.words("inflation", "wall"),
                     "safe", shown=now.shown("watch"), side="right"),
                Mark("tick", "lateral", (self.parts.over_wall(now.state),), role="safe",
                     shown=now.shown("watch")),
            ),
            gauges=("balloon", self.height_gauge, "wedge"),
        )  # fmt: skip

    # ---- 7 the cavity ------------------------------------------------------------------------------------------------

    def shot_cavity(self, now: Moment) -> Shot:
        """The balloons empty and leave; the cavity stays."""
        at = self.parts.at(now.state)
        camera = self.from_left.moved_towards(self.into_body, now.beat("deflate"))
        stays = now.shown("stays")
        labels = []
        if "cavity" in at:
            labels.append(self.label(now, "cavity", "cavity", facing(at, "cavity", BEHIND_LEFT), "left", stays))
        if "rim" in at:
            labels.append(self.label(now, "rim", "bone", facing(at, "rim", (-0.8, 0.6, -0.1)), "left", stays, 0.8))
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.glass(PUSHED_ASIDE), self.into_body),
            fluoroscopy=(self.from_the_left,),
            section=SectionShot(f"needle-{self.sides[-1]}", 34.0 * self.size, self.words(now.step.name, "sagittal")),
            focus="section" if now.after("stays") else "",
            labels=tuple(labels),
            gauges=("cavity", self.height_gauge, "wedge"),
        )

    # ---- 8 cement ----------------------------------------------------------------------------------------------------

    def shot_cement(self, now: Moment) -> Shot:
        """Cement fills the cavity first, then a little beyond its wall; it stops, and AP is checked for leaks."""
        filler = self.parts.on_cannula(self.sides[-1], 24.0)
        checked = now.after("leak")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(self.into_body, self.glass(PUSHED_ASIDE, highlight=frozenset({"cement"}))),
            fluoroscopy=(self.from_behind if checked else self.from_the_left,),
            section=SectionShot("axial", 38.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("fill") else "",
            labels=(
                self.label(now, "filler", "steel", filler, "right", now.shown("prepare"), 0.7),
                *self.cement_labels(now, now.shown("fill")),
            ),
            marks=() if checked else self.stop_line(now, "stop"),
            gauges=("cement", "back_wall", "wedge"),
        )

    def shot_withdrawal(self, now: Moment) -> Shot:
        """The cannulas are drawn; dressing."""
        if now.after("dressing"):
            return self.dressed(now)
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(
                self.into_body.moved_towards(self.drawn, now.beat("draw")),
                self.glass(PUSHED_ASIDE, highlight=frozenset({"cement"})),
                self.drawn,
            ),
            fluoroscopy=(self.from_the_left,),
            section=SectionShot("axial", 40.0 * self.size, self.words(now.step.name, "axial")),
            focus="fluoroscopy" if now.during("draw") else "",
            labels=self.cement_labels(now),
            gauges=("cement", "back_wall", "wedge"),
        )

    # ---- 9 before, lying, after --------------------------------------------------------------------------------------

    def shot_result(self, now: Moment) -> Shot:
        """Standing, lying and treated side by side; then the cast cut open."""
        if now.after("cast"):
            return self.cut_body(now, self.cut_open)
        return self.told(now, layout="columns", columns=tuple(self.state_columns(now)), marks=self.state_marks(now))

    def state_columns(self, now: Moment) -> Iterator[ColumnShot]:
        """One column for each state of the body, from its beat on: how it stands, its radiograph, its numbers."""
        close = camera_from((274, 7), (0, -2, 0), 150 * self.size)
        for name, moment in self.states.items():
            faint = PUSHED_ASIDE if name == "after" else NOTHING_FAINT
            yield ColumnShot(
                name,
                self.words(now.step.name, name),
                self.words(now.step.name, f"{name}_note"),
                stage=StageShot(close, self.glass(faint, also_hidden=self.room_names, highlight=frozenset({"cement"}))),
                below=FluoroShot(self.lateral, live=False),
                gauges=(self.height_gauge, "wedge"),
                moment=moment,
                note="" if name == "before" else self.words(now.step.name, f"{name}_gain"),
                note_shown=now.shown(name),
            )

    @property
    def states(self) -> Mapping[str, tuple[str, float]]:
        """The three states that are set side by side, and when the film shows them."""
        return {"before": ("fracture", 1.0), "lying": ("table", 1.0), "after": ("result", 1.0)}

    def state_marks(self, now: Moment) -> tuple[Mark, ...]:
        """The end-plates' lines and their angle in each of the three, as its beat begins."""
        marks: tuple[Mark, ...] = ()
        for name, moment in self.states.items():
            state = self.state(*moment)
            marks += self.endplates(f"{name}:stage", state, now.shown(name))
        return marks

    # ---- what the shots share ----------------------------------------------------------------------------------------

    @property
    def balloons(self) -> tuple[str, ...]:
        """The names of the balloons."""
        return tuple(f"balloon-{side}" for side in self.sides)

    @cached_property
    def peak_amount(self) -> float:
        """How much of the fracture is left when the balloons are full."""
        return float(self.plan.patient.amount(1.0, 1.0, self.plan.state_at("inflation", 1.0).lift))

    @cached_property
    def balloon_at_rest(self) -> Point:
        """Where the full balloon shows from the left."""
        full = self.plan.structures_at(self.plan.state_at("inflation", 1.0))
        return facing(full, f"balloon-{self.sides[-1]}", LEFT)
