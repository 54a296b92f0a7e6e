"""Vertebroplasty and kyphoplasty of one and the same fracture, side by side.

You should see: one patient and one broken vertebra, twice; lying down opens both by the same amount; a needle on the
left and a cannula on the right; balloons that lift an end-plate while the needle waits; cement in both; what was
measured of each, in two columns and then in a table; what studies that compared the two have found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np

from spineviz.film.anchors import Point, facing
from spineviz.film.augmentation import LEFT, AugmentationScene
from spineviz.film.base import Moment
from spineviz.film.parts import Parts
from spineviz.film.shot import ColumnShot, FluoroShot, Label, Mark, ScanShot, SectionShot, Shot, StageShot, smooth
from spineviz.geometry.frames import Frame, translation
from spineviz.procedures.comparison import PROCEDURES
from spineviz.views.camera import camera_from
from spineviz.views.stage import StageLook

VERTEBROPLASTY, KYPHOPLASTY = PROCEDURES
TOOL = {VERTEBROPLASTY: "needle", KYPHOPLASTY: "cannula"}
"""What each procedure rests in the pedicle."""


class Comparison(AugmentationScene):
    """The film of both procedures for one case: ten steps of two columns, four cards."""

    film_name = "comparison"

    def setup_film(self) -> None:
        """The augmentations' cameras, those for upright pictures, and the parts of each plan."""
        super().setup_film()
        size = self.size
        self.of = {name: Parts(plan, partial(self.structures_of, plan=name)) for name, plan in self.plan.plans.items()}
        self.upright_left = camera_from((274, 7), (0, -8, 0), 225 * size).shifted(0.14, 0.0)
        self.upright_behind = camera_from((0, -4), (0, -30, 2), 350 * size)
        self.upright_body = camera_from((296, 20), (0, -8, 0), 232 * size).shifted(0.14, 0.0)
        self.upright_cut = camera_from((279, 8), (0, -6, 0), 205 * size).shifted(0.14, 0.0)

    def columns(
        self,
        now: Moment,
        stage: Callable[[str], StageShot],
        below: Callable[[str], FluoroShot | SectionShot],
        header: str,
        gauges: tuple[str, ...] = (),
        waits: tuple[str, str, str | None] | None = None,
        **parts: Any,
    ) -> Shot:
        """Both procedures side by side: `stage` and `below` by procedure, `header` over the lower view.

        `waits` is the procedure that has nothing to do, the beat with which its wait begins ("": with the step) and the
        one with which it ends (None: not in this step): its column says so, and dims. `parts` go to the Shot.
        """
        who, start, end = waits or ("", "", None)
        waiting = bool(waits) and (not start or now.after(start)) and not (end and now.after(end))
        if waiting:
            parts.setdefault("focus", next(name for name in PROCEDURES if name != who))
        columns = tuple(
            ColumnShot(
                name,
                name.capitalize(),
                header,
                stage(name),
                below(name),
                gauges,
                plan=name,
                note=self.words(now.step.name, "waits") if name == who else "",
                note_shown=(now.shown(start, until=end) if start else 1.0) if waiting else 0.0,
            )
            for name in PROCEDURES
        )
        return self.told(now, layout="columns", columns=columns, **parts)

    # ---- the cards ---------------------------------------------------------------------------------------------------

    def shot_title(self, now: Moment) -> Shot:
        """Both names before the spine that they are about."""
        camera = self.title_view.orbited(-16 * (1 - now.share))
        return self.card(now, "title", backdrop=StageShot(camera, self.look(), plan=VERTEBROPLASTY))

    def shot_case(self, now: Moment) -> Shot:
        """The one patient whom both treat."""
        beside = float(self.plan.plans[VERTEBROPLASTY].planes["tumour"].origin_mm[0])
        picture = ScanShot(75.0, beside, "simulated, beside the middle", moment=("fracture", 1.0), plan=VERTEBROPLASTY)
        return self.card(now, "case", picture=picture)

    def shot_table(self, now: Moment) -> Shot:
        """What was measured on both plans."""
        return self.card(now, "comparison")

    def shot_published(self, now: Moment) -> Shot:
        """What studies found, each with its people and its method."""
        return self.card(now, "outcome")

    # ---- one fracture, one posture -----------------------------------------------------------------------------------

    def shot_fracture(self, now: Moment) -> Shot:
        """The same vertebra breaks twice; height and angle are read out."""
        shown = now.shown("measure")
        # films at the doctor's, taken before and again after: nobody has live X-ray when a bone gives way
        taken = ("fracture", 1.0) if now.over("collapse") else ("fracture", 0.0)
        return self.columns(
            now,
            lambda name: StageShot(self.upright_left, self.look(glassiness={self.level: 1.0})),
            lambda name: FluoroShot(self.lateral, live=False, moment=taken),
            self.words(now.step.name, "after" if now.over("collapse") else "before"),
            (self.height_gauge, "wedge"),
            marks=tuple(mark for name in PROCEDURES for mark in self.measured(now, name, "stage", shown)),
            labels=tuple(
                self.beside(now, name, "tumour", "tumour", self.tumour(now, name), "left", now.shown("same"), rest=end)
                for name, end in self.tumours.items()
            ),
        )

    def tumour(self, now: Moment, name: str) -> Point:
        """Where the tumour of one procedure's body shows from the left."""
        return facing(self.of[name].at(getattr(now.state, name)), "tumour", LEFT)

    @cached_property
    def tumours(self) -> Mapping[str, Point]:
        """Of each procedure, where the tumour shows once the bone is broken."""
        broken = self.plan.state_at("fracture", 1.0)
        return {n: facing(parts.at(getattr(broken, n)), "tumour", LEFT) for n, parts in self.of.items()}

    def shot_posture(self, now: Moment) -> Shot:
        """Face down; lying opens both by the same amount."""
        if not now.after("posture"):
            camera = self.room.moved_towards(self.room.orbited(-5).nearer(1.03), now.beat("room"))
            at = self.of[VERTEBROPLASTY].at(now.state.vertebroplasty)
            base = facing(at, "c-arm-base", (-0.4, -0.3, 0.8))
            return self.told(
                now,
                layout="stage",
                seen_from=self.words(now.step.name, "room"),
                stage=StageShot(camera, self.room_look(), self.room, plan=VERTEBROPLASTY),
                labels=(
                    self.label(now, "c_arm", "c-arm", base, "left", now.shown("room")),
                    self.label(now, "patient", "skin", self.on_patient, "left", now.shown("room")),
                ),
            )
        shown = now.shown("posture")
        return self.columns(
            now,
            lambda name: StageShot(self.upright_left, self.look(glassiness={self.level: 1.0})),
            lambda name: FluoroShot(self.lateral),
            self.words(now.step.name, "lateral"),
            (self.height_gauge, "wedge", self.gain_gauge),
            marks=tuple(mark for name in PROCEDURES for mark in self.measured(now, name, "lateral", shown)),
        )

    # ---- the way in --------------------------------------------------------------------------------------------------

    def shot_access(self, now: Moment) -> Shot:
        """The same way through the pedicle: then on with the needle, or out with it and in with a cannula."""
        # the rule asks for both planes: AP first, then lateral
        lateral = now.after("onward") or self.second_half(now, "rule")
        camera = self.upright_behind.moved_towards(self.upright_body, now.beat("onward"))
        rest = self.upright_body if now.after("onward") else self.upright_behind
        marks: list[Mark] = []
        for name in PROCEDURES:
            ring, rule = now.shown("approach"), now.shown("rule", until="onward")
            if lateral:
                state = getattr(now.state, name)
                wall, over = self.of[name].back_wall(state), self.of[name].over_wall(state)
                marks.append(Mark("tick", f"{name}:lateral", (over,), role="safe", shown=rule))
                marks.append(
                    Mark("line", f"{name}:lateral", wall, self.words("access", "wall"), shown=1.0, side="left",
                         dashed=True)
                )  # fmt: skip
                continue
            view = f"{name}:ap"
            marks.append(Mark("area", view, self.parts.canal_zone, "", "danger", shown=0.45 * ring))
            marks.append(Mark("text", view, (self.parts.over_canal,), self.words("access", "canal"), shown=ring,
                              side="right"))  # fmt: skip
            for side in self.sides:
                marks.append(Mark("line", view, self.parts.pedicle_ring(side), shown=ring))
                marks.append(Mark("tick", view, (self.parts.beside_pedicle(side),), role="safe", shown=rule))
        return self.columns(
            now,
            lambda name: StageShot(camera, self.glass(), rest),
            lambda name: self.from_the_left if lateral else self.from_behind,
            self.words(now.step.name, "lateral" if lateral else "ap"),
            seen_from=self.words("access", "onward") if now.over("onward") else "seen from behind",
            marks=tuple(marks),
            labels=tuple(self.tool_label(now, name, now.shown("rest")) for name in PROCEDURES),
        )

    def tool_label(self, now: Moment, name: str, shown: float) -> Label:
        """The label of the needle or the cannula at rest."""
        side, parts = self.sides[-1], self.of[name]
        anchor = parts.on_cannula(side, 3.0) if name == KYPHOPLASTY else self.at_rest(name, 16.0)
        return self.beside(now, name, TOOL[name], "steel", anchor, "left", shown, 0.8)

    def at_rest(self, name: str, back_mm: float) -> Point:
        """The point `back_mm` behind the needle's tip where it comes to rest."""
        line = self.plan.plans[name].needles[self.sides[-1]]
        x, y, z = (float(v) for v in line.tip_at(line.reach_mm - back_mm))
        return x, y, z

    # ---- balloons, while the needle waits ----------------------------------------------------------------------------

    def shot_channel(self, now: Moment) -> Shot:
        """A channel is drilled, folded balloons go in; the needle takes a sample, then waits."""
        shown = now.shown("markers")
        at = self.of[KYPHOPLASTY].at(now.state.kyphoplasty)
        marks = []
        for side in self.sides:
            for end in ("front", "rear"):
                marker = at.get(f"marker-{end}-{side}")
                if marker is not None:
                    x, y, z = (float(v) for v in np.asarray(marker.field.bounds_mm).mean(0))
                    marks.append(Mark("ring", "kyphoplasty:lateral", ((x, y, z),), "", "safe", 3.2, shown))
                    if (side, end) == (self.sides[-1], "front"):
                        under = (x, y, z - 11.0 * self.size)
                        words = self.words("channel", "markers")
                        marks.append(Mark("text", "kyphoplasty:lateral", (under,), words, shown=shown, side="right"))
        labels = [self.tool_label(now, name, 1.0) for name in PROCEDURES]
        folded = at.get(f"balloon-{self.sides[-1]}")
        if now.after("markers") and folded is not None:
            x, y, z = (float(v) for v in np.asarray(folded.field.bounds_mm).mean(0))
            labels[1] = self.beside(now, KYPHOPLASTY, "balloon", "balloon", (x, y, z), "left", shown)
        return self.columns(
            now,
            lambda name: StageShot(self.upright_body, self.glass(self.faint(name, now.beat("insert")))),
            lambda name: self.from_the_left,
            self.words(now.step.name, "lateral"),
            waits=(VERTEBROPLASTY, "insert", None),
            marks=tuple(marks),
            labels=tuple(labels),
        )

    def shot_inflation(self, now: Moment) -> Shot:
        """Balloons grow and the end-plate lifts on one side; nothing changes on the other."""
        at = self.of[KYPHOPLASTY].at(now.state.kyphoplasty)
        opened = smooth(2.2 * now.step.beat_share("inflate", now.share))
        camera = self.upright_body.moved_towards(self.upright_left, opened)
        lift = now.shown("lift")
        labels = (
            self.beside(now, KYPHOPLASTY, "balloon", "balloon", facing(at, f"balloon-{self.sides[-1]}", LEFT), "left",
                        now.shown("lift"), rest=self.full_balloon),
        )  # fmt: skip
        lying = self.parts.edges_of(self.plan.patient.amount(1.0, 1.0))
        before = (lying["upper-back"], lying["upper-front"])
        return self.columns(
            now,
            lambda name: StageShot(
                camera, self.glass(self.faint(name), highlight=self.balloons), self.upright_left
            ),
            lambda name: self.from_the_left,
            self.words(now.step.name, "lateral"),
            ("balloon", self.height_gauge, self.gain_gauge),
            waits=(VERTEBROPLASTY, "", None),
            labels=labels,
            marks=(
                *(mark for name in PROCEDURES for mark in self.measured(now, name, "lateral", lift)),
                Mark("line", "kyphoplasty:stage", before, self.words("inflation", "lying"), "muted", shown=lift,
                     side="left", dashed=True),
            ),
        )  # fmt: skip

    def shot_cavity(self, now: Moment) -> Shot:
        """The balloons empty and leave; a cavity stays on one side."""
        at = self.of[KYPHOPLASTY].at(now.state.kyphoplasty)
        labels: tuple[Label, ...] = ()
        if "cavity" in at:
            labels = (
                self.beside(now, KYPHOPLASTY, "cavity", "cavity", facing(at, "cavity", LEFT), "left",
                            now.shown("stays")),
            )  # fmt: skip
        side = self.sides[-1]
        cut = now.after("stays")
        return self.columns(
            now,
            lambda name: StageShot(self.upright_left, self.glass(self.faint(name))),
            lambda name: SectionShot(f"needle-{side}", 36.0 * self.size) if cut else self.from_the_left,
            self.words(now.step.name, "section" if cut else "lateral"),
            ("cavity", self.height_gauge, self.gain_gauge),
            waits=(VERTEBROPLASTY, "", None),
            labels=labels,
        )

    # ---- cement ------------------------------------------------------------------------------------------------------

    def shot_cement(self, now: Moment) -> Shot:
        """Cement in both: between trabeculae here, into the cavity there; both stop before the back quarter."""
        camera = self.upright_left.moved_towards(self.upright_body, now.beat("prepare"))
        behind = now.after("leak")  # AP is checked: what leaks sideways shows there
        marks = () if behind else tuple(mark for name in PROCEDURES for mark in self.back_quarter(now, name))
        return self.columns(
            now,
            lambda name: StageShot(camera, self.cementing(name), self.upright_body),
            lambda name: self.from_behind if behind else self.from_the_left,
            self.words(now.step.name, "ap" if behind else "lateral"),
            ("cement", "back_wall", "wedge"),
            labels=self.cements(now, now.shown("fill")),
            marks=marks,
        )

    def back_quarter(self, now: Moment, name: str) -> tuple[Mark, ...]:
        """Where the cement stops, in lateral."""
        parts, state = self.of[name], getattr(now.state, name)
        corners = parts.back_quarter(state)
        view, shown = f"{name}:lateral", now.shown("stop")
        under = (0.0, corners[2][1], corners[2][2] - 9.0 * self.size)
        return (
            Mark("area", view, corners, role="danger", shown=shown),
            Mark("text", view, (under,), self.words("cement", "quarter"), shown=shown, side="right"),
        )

    def shot_withdrawal(self, now: Moment) -> Shot:
        """Needles and cannulas out; the cement hardens."""
        camera = self.upright_body.moved_towards(self.upright_left, now.beat("harden"))
        return self.columns(
            now,
            lambda name: StageShot(camera, self.cementing(name), self.upright_body),
            lambda name: self.from_the_left,
            self.words(now.step.name, "lateral"),
            ("cement", "back_wall", "wedge"),
            waits=(KYPHOPLASTY, "stylet", "draw"),
            labels=self.cements(now, 1.0) if not now.after("harden") else (),
        )

    def cements(self, now: Moment, shown: float) -> tuple[Label, ...]:
        """The labels of the cement, where there is any."""
        out = []
        for name, parts in self.of.items():
            at = parts.at(getattr(now.state, name))
            if "cement" in at:
                way, rest = parts.cement_label
                anchor = facing(at, "cement", way)
                out.append(self.beside(now, name, "cement", "cement", anchor, "left", shown, rest=rest))
        return tuple(out)

    # ---- after -------------------------------------------------------------------------------------------------------

    def shot_after(self, now: Moment) -> Shot:
        """Both bodies cut open, with what was measured under each."""
        camera = self.upright_left.moved_towards(self.upright_cut, now.beat("posture"))
        labels = []
        for name, parts in self.of.items():
            at = parts.at(getattr(now.state, name))
            anchor = facing(at, "cement", LEFT)
            labels.append(self.beside(now, name, "cement", "cement", anchor, "left", now.shown("cement")))
        shown = now.shown("posture", until="cast")
        return self.columns(
            now,
            lambda name: StageShot(camera, self.look(cut=self.cut, highlight=frozenset({"cement"})), self.upright_cut),
            lambda name: FluoroShot(self.lateral, live=False),
            self.words(now.step.name, "lateral"),
            ("cement", self.height_gauge, self.gain_gauge),
            focus="stage",
            labels=tuple(labels),
            marks=tuple(mark for name in PROCEDURES for mark in self.measured(now, name, "lateral", shown)),
        )

    @cached_property
    def cut(self) -> Frame:
        """One sagittal cut for both: through the tumour where an instrument goes to its side, or else halfway to a
        needle's tip."""
        plan = self.plan.plans[VERTEBROPLASTY]
        if self.plan.case.tumour.side in self.sides:
            return plan.planes["tumour"]
        tip = plan.needles[self.sides[-1]].path.tip_mm
        return translation((0.5 * tip[0], 0.0, 0.0)) @ plan.planes["sagittal"]

    # ---- what the shots share ----------------------------------------------------------------------------------------

    def measured(self, now: Moment, name: str, view: str, shown: float) -> tuple[Mark, ...]:
        """The lines along both end-plates of one procedure's body, with their angle."""
        state = getattr(now.state, name)
        return self.endplates(f"{name}:{view}", state, shown, "left", self.of[name])

    def beside(self, now: Moment, name: str, word: str, role: str, *place: Any, **more: Any) -> Label:
        """A label on one procedure's stage, with the film's word for it; `place` and `more` as `label` takes them."""
        return self.label(now, word, role, *place, view=f"{name}:stage", words_of="access", **more)

    def faint(self, name: str, share: float = 1.0) -> dict[str, float]:
        """How solid the tumour is: what lies in it, balloon, cavity and cement, shows through it."""
        return {"tumour": 1.0 - 0.7 * share} if name == KYPHOPLASTY else {}

    def cementing(self, name: str) -> StageLook:
        """The bone as glass, the cement bright."""
        return self.glass(self.faint(name), highlight=frozenset({"cement"}))

    @property
    def gain_gauge(self) -> str:
        """The gauge of what this fracture gets back."""
        return {"angle": "gain", "front": "front_gain", "middle": "middle_gain"}[self.vocabulary["regained_as"]]

    @property
    def balloons(self) -> frozenset[str]:
        """The names of the balloons."""
        return frozenset(f"balloon-{side}" for side in self.sides)

    @cached_property
    def full_balloon(self) -> Point:
        """Where the full balloon shows from the left."""
        full = self.of[KYPHOPLASTY].at(self.plan.state_at("inflation", 1.0).kyphoplasty)
        return facing(full, f"balloon-{self.sides[-1]}", LEFT)

    def look(self, also_hidden: frozenset[str] = frozenset(), **parts: Any) -> StageLook:
        """The stage's usual look, without the room that stands round the patient in the step "posture"."""
        return super().look(also_hidden | self.room_names, **parts)

    @cached_property
    def inside(self) -> frozenset[str]:
        """What lies inside the patient, and so does not show in the room."""
        return frozenset(self.of[VERTEBROPLASTY].at(self.plan.state_at("fracture", 1.0).vertebroplasty))
