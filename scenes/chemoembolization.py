"""Chemoembolization: a catheter from the groin to the artery that feeds a tumour of the spine, and drug through it.

You should see: a tumour that has grown into the canal and presses on the cord; the artery at the top of the thigh; wire
and catheter on their way up the aorta while the body glows; the catheter's curve in the tumour's artery; angiograms
until the artery of the cord is found; a microcatheter in the tumour's own feeder; drug and particles; weeks later, room
again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spineviz.film.anchors import NOWHERE, Point, as_point, facing, middle
from spineviz.film.base import Moment
from spineviz.film.endovascular import FRONT_RIGHT, LEFT, EndovascularScene
from spineviz.film.shot import FluoroShot, Mark, PlotShot, SectionShot, Shot, StageShot, UltrasoundShot
from spineviz.procedures.navigation import Target
from spineviz.views.projection import Projection
from spineviz.views.stage import StageLook

PRESSED_SKIN = 0.24
"""How solid the skin is drawn while the artery under it is pressed."""
WIRE_SHOWS_MM = 61.0
"""So far from the skin the wire comes out of the needle's hub."""


class Chemoembolization(EndovascularScene):
    """The film of one transarterial chemoembolization, nine shots and three cards."""

    film_name = "chemoembolization"

    # ---- cards -------------------------------------------------------------------------------------------------------

    def shot_title(self, now: Moment) -> Shot:
        """The procedure's name beside the body that it leads through."""
        camera = self.title_view.orbited(14 * (1 - now.share))
        backdrop = StageShot(camera, self.body_look(), moment=("ascent", 0.0))
        return self.card(now, "title", backdrop=backdrop)

    def shot_case(self, now: Moment) -> Shot:
        """Who is treated, and why so."""
        picture = SectionShot("sagittal", 46.0, "sagittal", "Drawn section", moment=("compression", 1.0))
        return self.card(now, "case", picture=picture)

    def shot_outcome(self, now: Moment) -> Shot:
        """What was measured, what small series found, what can go wrong."""
        return self.card(now, "outcome")

    # ---- 1 the tumour presses ----------------------------------------------------------------------------------------

    def shot_compression(self, now: Moment) -> Shot:
        """The tumour grows out of the bone into the canal; canal and cord are measured."""
        at = self.at(now)
        camera = self.close.moved_towards(self.canal_view, now.beat("growth"))
        shown, root = now.shown("growth"), now.shown("root")
        depth = now.shown("depth", until="root")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.canal_look(), self.canal_view),
            section=SectionShot("axial", 24.0, self.words("compression", "axial")),
            focus="section" if now.during("depth") else "",
            labels=(
                self.label(
                    now, "tumour", "tumour", facing(at, "tumour", FRONT_RIGHT), "left", shown, rest=self.tumour_rest
                ),
                self.label(now, self.pressed, "cord", self.nerve_point(now), "right", now.shown("depth")),
                self.label(now, "root", "roots", self.root_point(now), "left", root, 0.9),
            ),
            marks=(*self.depth_mark(now, depth), self.depth_words(now, depth)),
            gauges=("canal", "cord_depth", "neural"),
        )

    def depth_mark(self, now: Moment, shown: float) -> tuple[Mark, ...]:
        """How deep the cord (or the sac) is, in the axial section."""
        front, back = self.across_nerve(self.at(now))
        return (Mark("measure", "section", (front, back), "", "text", shown=shown, side="right"),)

    def depth_words(self, now: Moment, shown: float) -> Mark:
        """What is measured there, in words behind the canal."""
        behind = np.array(self.across_nerve(self.at(now))[1]) - [0.0, 8.0, 0.0]
        return Mark("text", "section", (as_point(behind),), self.words("compression", "depth"), "text", shown=shown)

    # ---- 2 the groin -------------------------------------------------------------------------------------------------

    def shot_access(self, now: Moment) -> Shot:
        """On the back; the layers of the groin; needle, wire, sheath."""
        if not now.after("layers"):
            camera = self.room.moved_towards(self.room.nearer(1.08), now.beat("room"))
            at = self.at(now)
            inside = self.inside
            return self.told(
                now,
                layout="table",
                seen_from="the room",
                stage=StageShot(camera, StageLook(hidden=inside), self.room),
                labels=(
                    self.label(now, "patient", "skin", facing(at, "body", (0, 1, 0.2)), "left", now.shown("room")),
                ),
            )
        at, layers = self.at(now), now.shown("layers", until="nick")
        camera = self.groin_view.moved_towards(self.groin_near, now.beat("nick"))
        points = {name: as_point(self.at_groin[name]) for name in ("nerve", "artery", "vein", "ligament", "head")}
        device, place, rest = self.newest_device(now)
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.groin_look(), self.groin_near if now.after("nick") else self.groin_view),
            fluoroscopy=(FluoroShot(self.groin_picture, self.words("ascent", "front")),),
            section=UltrasoundShot("groin", 24.0, depth_mm=self.probe_mm, header=self.words("access", "groin")),
            focus="section" if now.during("ultrasound") else "",
            labels=(
                self.label(now, "nerve", "roots", points["nerve"], self.outer, layers),
                self.label(now, "artery", "artery", points["artery"], self.outer, layers),
                self.label(now, "vein", "vein", points["vein"], self.inner, layers),
                self.label(now, "ligament", "ligament", points["ligament"], self.inner, layers, 0.8),
                self.label(now, "head", "bone", self.head_point(at), self.inner, layers, 0.6),
                *(
                    (self.label(now, device, "steel", place, self.inner, now.shown("needle"), rest=rest),)
                    if device
                    else ()
                ),
            ),
            marks=self.groin_marks(now),
        )

    def groin_marks(self, now: Moment) -> tuple[Mark, ...]:
        """What ultrasound shows, by name; the head in the radiograph; the nick."""
        seen = now.shown("ultrasound", until="nick")
        skin = np.array(self.plan.puncture.skin_mm)
        half = np.array([2.5, 0.0, 0.0])
        # the words stand off each other: beside the outer two, over the artery
        words = (("nerve", "roots", self.outer), ("vein", "vein", self.inner))
        over = self.at_groin["artery"] + 9.0 * self.plan.planes["groin"].rotation[:, 1]
        return (
            *(Mark("ring", "section", (as_point(self.at_groin[name]),), self.words("access", name), role, 5.4, seen,
                   side=side) for name, role, side in words),
            Mark("ring", "section", (as_point(self.at_groin["artery"]),), "", "artery", 5.4, seen),
            Mark("text", "section", (as_point(over),), self.words("access", "artery"), "artery", shown=seen,
                 side=self.outer),
            Mark("line", "stage", (as_point(skin - half), as_point(skin + half)), "", "danger",
                 shown=now.shown("nick", until="sheath")),
            Mark("measure", "stage", (as_point(skin - 2.54 * half), as_point(skin + 2.54 * half)), "half an inch",
                 shown=now.shown("nick", until="needle"), side="left"),
        )  # fmt: skip

    def newest_device(self, now: Moment) -> tuple[str, Point, Point]:
        """The device that has just come, a place on it, and where that comes to rest."""
        at = self.at(now)
        for name, beat in (("sheath", "sheath"), ("wire", "wire"), ("needle", "needle")):
            if now.after(beat) and name in at:
                # the wire shows behind the needle's hub, the others at the skin
                far = WIRE_SHOWS_MM if name == "wire" else 14.0
                # the needle's tip, until that has come so far
                coming = max(far, -now.state.needle_mm) if name == "needle" else far
                return name, self.before_skin(coming), self.before_skin(far)
        return "", NOWHERE, NOWHERE

    def before_skin(self, far_mm: float) -> Point:
        """A point on the needle's way, so far outside the skin."""
        puncture = self.plan.puncture
        return as_point(np.array(puncture.skin_mm) - far_mm * np.array(puncture.direction))

    # ---- 3 the way up ------------------------------------------------------------------------------------------------

    def shot_ascent(self, now: Moment) -> Shot:
        """The body glows; wire and catheter climb; then down to the vertebra without a cut."""
        follow = self.following(self.tip_mm(now))
        camera = self.groin_near.moved_towards(follow, now.beat("lead"))
        camera = camera.moved_towards(self.spine_view, now.beat("top"))
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.body_look(), self.trunk_view),
            fluoroscopy=(FluoroShot(self.station(now), self.words("ascent", "front")),),
            labels=(
                self.label(now, "wire", "wire", self.tip_point(now, "wire"), "right", now.shown("lead", until="level")),
                self.label(now, "catheter", "catheter", self.tip_point(now, "catheter"), "left", now.shown("iliac")),
            ),
            gauges=("tip_level", "catheter"),
        )

    # ---- 4 the orifice -----------------------------------------------------------------------------------------------

    def shot_hook(self, now: Moment) -> Shot:
        """The curve re-forms, faces the back wall and slips into the artery; the wire comes out, and with it the view
        goes to the catheter's hub and comes back with the contrast."""
        camera = self.spine_view.moved_towards(self.at_orifice, now.beat("bare"))
        outside = now.beat("empty") - now.beat("back")
        camera = camera.moved_towards(self.hub_view, now.beat("empty")).moved_towards(self.at_orifice, now.beat("back"))
        at = self.at(now)
        there = now.shown("hook", until="empty")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.travel_look(outside), self.hub_view if outside > 0.0 else self.at_orifice),
            fluoroscopy=(FluoroShot(self.level_picture, self.words("hook", "front")),),
            section=SectionShot("orifice", 46.0, "axial, through the orifice"),
            focus="fluoroscopy" if now.after("contrast") else "",
            labels=(
                self.label(now, "catheter", "catheter", self.tip_point(now, "catheter"), "right",
                           now.shown("bare", until="empty"), rest=as_point(self.orifice)),
                self.label(now, "orifice", "artery", self.trunk_point, "left", there),
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left", there, 0.7),
                self.label(now, "syringe", "artery", self.syringe_point, self.inner, now.shown("blood", until="back")),
            ),
            gauges=("tip_level", "catheter"),
        )  # fmt: skip

    # ---- 5 the search ------------------------------------------------------------------------------------------------

    def shot_search(self, now: Moment) -> Shot:
        """Angiograms of one artery after the other, until the one that feeds the cord is found."""
        found = now.after("found")
        camera = self.at_orifice.moved_towards(self.cord_view, now.beat("others"))
        state, at = now.state, self.at(now)
        blush = now.shown("target", until="others") if now.time_s > now.step.beats["target"][0] + 2.4 else 0.0
        hairpin = now.shown("hairpin")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.cord_look(found), self.cord_view if now.after("others") else self.at_orifice),
            fluoroscopy=(self.angiogram(state, self.search_picture(now)),),
            focus="fluoroscopy",
            labels=(
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left",
                           now.shown("target", until="others")),
                self.label(now, "found", "contrast", self.cord_artery_point, "right", hairpin),
                self.label(now, "spinal", "contrast", self.spinal_point, "left", hairpin, 0.8),
            ),
            marks=(
                Mark("ring", "front", (as_point(middle(at["tumour"])),), self.words("search", "target"), "tumour", 11.0,
                     blush, side="right"),
                Mark("ring", "front", (as_point(self.hairpin_mm),), self.words("search", "hairpin"), "danger", 6.0,
                     hairpin if state.run else 0.0, side="right"),
            ),
            gauges=("tip_level", "contrast"),
        )  # fmt: skip

    def search_picture(self, now: Moment) -> Projection:
        """Where the C-arm stands: over the artery that is injected next."""
        if now.after("found"):
            return self.cord_picture
        if not now.after("others"):
            return self.level_picture
        return self.picture_of(self.run_ahead(now))

    def run_ahead(self, now: Moment) -> Target:
        """The artery that is being injected or gone to."""
        name = now.state.run or now.state.stretch
        number = int(name.removeprefix("run-")) if name.startswith("run-") else 1
        target: Target = self.plan.runs[number - 1]
        return target

    def angiogram(self, state: Any, over: Projection, words: str = "") -> FluoroShot:
        """Subtraction while contrast runs, live while the catheter moves."""
        if state.run and state.run != "test":
            return FluoroShot(over, words or self.words("search", "front"), "Angiogram", mode="subtraction")
        return FluoroShot(over, self.words("hook", "front"))

    # ---- 6 the feeder ------------------------------------------------------------------------------------------------

    def shot_feeder(self, now: Moment) -> Shot:
        """Back to the target; a microcatheter through the parked one, on a roadmap; one more look for the cord."""
        camera = self.cord_view.moved_towards(self.feeder_view, now.beat("safe"))
        at, state = self.at(now), now.state
        checking = state.run == "micro"
        if checking:
            picture = FluoroShot(self.feeder_picture, self.words("feeder", "check"), "Angiogram", mode="subtraction")
        elif now.after("wire"):
            picture = FluoroShot(self.feeder_picture, self.words("feeder", "front"), "Roadmap", mode="roadmap")
        else:
            picture = FluoroShot(self.level_picture, self.words("hook", "front"))
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, self.feeder_look(), self.feeder_view),
            fluoroscopy=(picture,),
            section=SectionShot("axial", 30.0, "axial, through the tumour"),
            focus="fluoroscopy" if now.after("check") else "",
            labels=(
                self.label(now, "catheter", "catheter", as_point(self.orifice), "right", now.shown("wire"), 0.8),
                self.label(now, "micro", "catheter", self.micro_point(now), "right", now.shown("micro"),
                           rest=self.micro_rest),
                self.label(now, "feeder", "artery", self.feeder_point, "left", now.shown("micro")),
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left", now.shown("safe"), 0.9),
            ),
            marks=(
                Mark("tick", "front", (as_point(self.canal + [0, 0, 24]),), self.words("feeder", "no_cord"), "safe",
                     shown=now.shown("check") if now.time_s > now.step.beats["check"][0] + 3.6 else 0.0, side="right"),
            ),
            gauges=("tip_level", "catheter", "contrast"),
        )  # fmt: skip

    # ---- 7 the drug --------------------------------------------------------------------------------------------------

    def shot_drug(self, now: Moment) -> Shot:
        """The syringe at the groin, and with the first pulse to the tumour; flow slows, stop; the last angiograms."""
        at, state = self.at(now), now.state
        final = now.after("final")
        near = self.feeder_view.nearer(1.18)
        camera = self.drug_view.moved_towards(near, now.beat("travel"))
        if final:
            camera = near.moved_towards(self.cord_view, now.beat("move"))
        header = "cord" if now.after("move") else "final"
        live = FluoroShot(self.feeder_picture, self.words("drug", "front"))
        over = self.cord_picture if now.after("move") else self.level_picture
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(
                camera,
                self.cord_look(True) if now.after("move") else self.drug_look(1.0 - now.beat("travel")),
                self.cord_view if final else near if now.after("pulses") else self.drug_view,
            ),
            fluoroscopy=(self.angiogram(state, over, self.words("drug", header)) if final else live,),
            plot=None if final else PlotShot("flow"),
            focus="fluoroscopy" if final else "",
            labels=(
                self.label(now, "syringe", "drug", self.drug_syringe_point, self.inner,
                           now.shown("mix", until="travel")),
                self.label(now, "micro", "catheter", self.micro_rest, "right", now.shown("arrived", until="final"),
                           0.8),
                self.label(now, "drug", "drug", self.drug_point, "left", now.shown("slow", until="final")),
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left",
                           now.shown("arrived", until="final")),
                self.label(now, "open", "artery", self.cord_artery_point, "right", now.shown("cord")),
            ),
            marks=(
                Mark("ring", "front", (as_point(middle(at["tumour"])),), self.words("drug", "gone"), "safe", 11.0,
                     now.shown("final", until="move"), side="right"),
                Mark("tick", "front", (as_point(self.hairpin_mm + [9, 0, 0]),), self.words("drug", "open"), "safe",
                     shown=now.shown("cord"), side="right"),
            ),
            gauges=("flow", "contrast") if not final else ("contrast",),
        )  # fmt: skip

    # ---- 8 closing ---------------------------------------------------------------------------------------------------

    def shot_closing(self, now: Moment) -> Shot:
        """Everything comes out; pressure; legs and pulses are checked."""
        start = self.cord_view.moved_towards(self.groin_view, now.beat("out"))
        camera = start.moved_towards(self.legs_view, now.beat("legs"))
        over = self.over_artery
        # glass turns to skin while it is pressed and back again: the body is there all the time
        solid = min(1.0, 5.0 * now.beat("press"), 5.0 * (1.0 - now.beat("press")))
        body = PRESSED_SKIN + (0.5 - PRESSED_SKIN) * (1.0 - now.beat("out")) + (1.0 - PRESSED_SKIN) * now.beat("legs")
        look = replace(self.body_look(faint={"body": body}), glassiness={"body": 1.0 - solid})
        inward = np.array([-1.0 if self.side == "right" else 1.0, 1.0, 1.0])
        press, legs = now.shown("press", until="legs"), now.shown("legs")
        feet = [as_point(self.foot(side)) for side in ("right", "left")]
        return self.told(
            now,
            layout="stage",
            stage=StageShot(camera, look, self.groin_view),
            labels=(
                self.label(now, "artery", "artery", as_point(self.plan.puncture.vessel_mm), self.outer, press),
            ),
            marks=(
                Mark("arrow", "stage", (as_point(over + inward * [62, 10, 34]), as_point(over + inward * [16, 8, 6])),
                     self.words("closing", "press"), "text", shown=press, side=self.inner),
                *(Mark("tick", "stage", (foot,), "", "safe", shown=legs) for foot in feet),
            ),
            gauges=("pressing",),
        )  # fmt: skip

    # ---- 9 weeks -----------------------------------------------------------------------------------------------------

    def shot_weeks(self, now: Moment) -> Shot:
        """Illustrative: the tumour shrinks, canal and cord get room again."""
        at = self.at(now)
        shown = now.shown("shrink")
        return self.told(
            now,
            layout="stage+insets",
            tag="illustrative",
            stage=StageShot(self.canal_view, self.canal_look()),
            section=SectionShot("axial", 24.0, self.words("weeks", "axial")),
            plot=PlotShot("response"),
            focus="section" if now.after("room") else "",
            labels=(
                self.label(now, "tumour", "tumour", facing(at, "tumour", FRONT_RIGHT), "left", shown),
                self.label(now, self.pressed, "cord", self.nerve_point(now), "right", shown),
            ),
            marks=self.depth_mark(now, now.shown("room")),
            gauges=("weeks", "canal", "neural"),
        )
