"""Surgery for a spine tumour at a glance: why and for whom, two ways in drawn to one scale, three procedures in step.

You should see: a tumour that grows out of a vertebra and presses on the cord; two backs side by side, one with two
nicks beside the midline, one with a long cut; needles between parted muscle fibres; muscles held aside until the
laminae lie bare; both wounds with their measured lengths; three windows in which needle, balloon and catheter move; and
what open surgery can do that none of the three does: free the cord, take the tumour out, hold the spine with screws and
rods.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from spineviz.anatomy.column import level_above, level_below
from spineviz.anatomy.incision import back_y, sizes
from spineviz.anatomy.vertebra import vertebra
from spineviz.devices.retractors import sizes as instrument_sizes
from spineviz.devices.theatre import theatre_names
from spineviz.film.anchors import NOWHERE, Point, as_point, facing, surface_towards
from spineviz.film.base import Moment, ProcedureScene
from spineviz.film.parts import Parts
from spineviz.film.shot import ColumnShot, Label, Mark, SectionShot, Shot, StageShot
from spineviz.geometry.frames import rotation_about
from spineviz.procedures.overview import APPROACHES, PROCEDURES, SURGERY
from spineviz.views.camera import Camera, camera_from
from spineviz.views.stage import StageLook

MINIMAL, OPEN = APPROACHES
VERTEBROPLASTY, KYPHOPLASTY, CHEMOEMBOLIZATION = PROCEDURES
LEFT, BACK = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)
WITHIN = frozenset({"lungs", "ribs-right", "ribs-left", "cord", "dura", "roots", "cleft"})
"""What lies in the patient and is not told of from behind."""
SCALE_MM = 50.0
NOTHING: Mapping[str, float] = MappingProxyType({})


class Overview(ProcedureScene):
    """The film that introduces the others: thirteen steps, four cards."""

    film_name = "overview"

    def setup_film(self) -> None:
        """Cameras and the landmarks on which labels hang."""
        plans = self.plan.plans
        self.level: str = self.plan.level
        self.parts = Parts(plans[VERTEBROPLASTY], partial(self.structures_of, plan=VERTEBROPLASTY))
        self.size = self.parts.size
        self.trunk = plans[OPEN].trunk
        self.right, forward, self.up = self.trunk.world_from_trunk.rotation.T
        self.out = -forward
        self.cut = plans[OPEN].incisions()["midline"]
        self.nicks = plans[MINIMAL].incisions()
        self.outer = max(self.nicks, key=lambda side: side == "left")

        under = self.cut.middle() - 18.0 * self.out
        self.over_back = camera_from(self.out, under, 455.0, up=self.up)
        self.aslant = self.seen(-34.0, 16.0, under, 440.0).shifted(-0.05, -0.03)
        self.into_wound = self.seen(-22.0, 6.0, under, 400.0).shifted(0.02, -0.07)
        spot = self.nicks[self.outer].middle()
        self.at_fibres = self.seen(28.0, 10.0, spot - 18.0 * self.out, 190.0).shifted(0.02, -0.02)

        size = self.size
        self.far = camera_from((328, 8), (0, -25, -42), 900).shifted(0.42, 0.04).nearer(1.04)
        self.front_left = camera_from((236, 16), (0, -10, 0), 250 * size).shifted(0.06, -0.03)
        self.front_near = camera_from((252, 26), (0, -12, 0), 205 * size).shifted(0.06, -0.03)
        self.behind_left = camera_from((322, 20), (0, -22, 0), 300 * size).shifted(0.05, -0.04)
        self.behind_near = camera_from((336, 34), (0, -22, 0), 225 * size).shifted(0.05, -0.02)
        self.behind_rods = camera_from((354, 16), (-4, -22, 0), 262 * size).shifted(0.03, -0.02)
        self.at_tumour = camera_from((302, 22), (0, -18, 0), 205 * size).shifted(0.05, -0.02)
        self.window_bone = camera_from((296, 20), (0, -12, 0), 250 * size)
        groin = np.array(plans[CHEMOEMBOLIZATION].puncture.axis_mm)
        self.window_body = camera_from((184, 6), 0.5 * groin * [0, 1, 1] + [0, 0, 15], 1080)
        canal = np.array(plans[CHEMOEMBOLIZATION].grown.canal_point_mm)
        self.window_tumour = camera_from((252, 18), canal * [0.5, 0.3, 1.0], 230 * size)

    def seen(self, aside_deg: float, above_deg: float, target_mm: Any, distance_mm: float) -> Camera:
        """A camera that looks at the back from straight behind, turned aside about the spine (towards the patient's
        left is negative) and upward."""
        way = rotation_about(self.up, -aside_deg).vector(self.out)
        way = rotation_about(np.cross(self.up, way), -above_deg).vector(way)
        return camera_from(way, target_mm, distance_mm, up=self.up)

    # ---- why and for whom --------------------------------------------------------------------------------------------

    def shot_title(self, now: Moment) -> Shot:
        """The film's name before the spine that it is about."""
        camera = self.far.orbited(-16 * (1 - now.share))
        look = StageLook(hidden=self.room | WITHIN - {"cord", "dura", "roots"} | {"skin", "muscle"})
        return self.card(now, "title", backdrop=StageShot(camera, look, plan=VERTEBROPLASTY))

    def shot_why(self, now: Moment) -> Shot:
        """A tumour grows, presses; it may be taken out, or symptoms eased, or both."""
        at = self.at(now, SURGERY)
        camera = self.front_left.moved_towards(self.front_near, now.beat("grows"))
        shown, pressed = now.shown("grows"), now.shown("presses")
        look = StageLook(
            glass=frozenset({self.level}),
            hidden=self.far_bones,
            opacity={"dura": 0.3, "roots": 0.85},
            highlight=frozenset({"tumour"}),
        )
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, look, self.front_near, plan=SURGERY),
            section=SectionShot("axial", 27.0, self.words("why", "axial"), plan=SURGERY),
            focus="section" if now.during("presses") else "",
            labels=(
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left", shown, rest=self.tumour_rest),
                self.label(now, self.pressed, self.pressed, self.nerve, "right", pressed),
            ),
        )

    def shot_who(self, now: Moment) -> Shot:
        """Who may benefit, and what is weighed."""
        return self.card(now, "outcome")

    # ---- two ways in -------------------------------------------------------------------------------------------------

    def shot_families(self, now: Moment) -> Shot:
        """One back twice, with the cuts that are planned."""
        marks = (
            *self.scale_bars(now.shown("both")),
            *self.nick_marks("minimal:stage", now.shown("minimal"), self.words("families", "half_inch"),
                             self.words("families", "nick")),
            *self.cut_marks("open:stage", now.shown("open"), self.words("families", "line"), dashed=True),
        )  # fmt: skip
        return self.backs(now, StageLook(hidden=WITHIN), self.over_back, marks=marks)

    def backs(
        self,
        now: Moment,
        look: StageLook,
        camera: Camera,
        headers: Mapping[str, str] = MappingProxyType({}),
        **parts: Any,
    ) -> Shot:
        """Both ways in side by side, seen alike; `headers` are words at the right of a column's frame."""
        columns = tuple(
            ColumnShot(
                name,
                self.words("families", name),
                headers.get(name, ""),
                StageShot(camera, look, self.over_back),
                plan=name,
            )
            for name in APPROACHES
        )
        marks = (*parts.pop("marks", ()), *self.sides())
        return self.told(now, layout="columns", columns=columns, marks=marks, **parts)

    def sides(self) -> tuple[Mark, ...]:
        """The patient's left and right, and where the head lies, in both columns."""
        spots = (("L", -78.0, 60.0), ("R", 78.0, 60.0), ("H", 0.0, 86.0))
        return tuple(
            Mark("text", f"{name}:stage", (self.on_skin(aside, along),), word)
            for name in APPROACHES
            for word, aside, along in spots
        )

    def shot_minimal(self, now: Moment) -> Shot:
        """Nicks; needles between muscle fibres that are parted; this is done more often."""
        camera = self.over_back.nearer(1.35).moved_towards(self.at_fibres, now.beat("needle"))
        camera = camera.moved_towards(self.aslant, now.beat("common"))
        inside = now.after("common")
        nick = now.shown("nick", until="needle")
        # the cut edges go with the skin, or they would hang round the needles
        edges = {
            name: 1.0 - now.beat("needle") for prefix, cut in self.nick_edges.items() for name in cut.layers(prefix)
        }
        look = StageLook(hidden=WITHIN, glassiness={"skin": now.beat("needle")}, opacity=edges)
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, look, self.aslant if inside else self.at_fibres, plan=MINIMAL),
            section=SectionShot("axial", 56.0 * self.size, self.words("minimal", "axial"), plan=MINIMAL),
            focus="section" if now.during("part") else "",
            labels=(
                self.label(now, "muscle", "muscle", self.by_needle, "left", now.shown("part")),
                self.label(now, "needle", "steel", self.on_needle, "left", now.shown("part")),
            ),
            marks=self.nick_marks("stage", nick, self.words("minimal", "half_inch"), self.words("minimal", "nick")),
        )

    def shot_open(self, now: Moment) -> Shot:
        """A long cut; muscles come off the spine and are held aside; laminae lie bare."""
        camera = self.over_back.moved_towards(self.into_wound, now.beat("detach"))
        look = StageLook(hidden=WITHIN)
        line, bare = now.shown("line", until="detach"), now.shown("bare")
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, look, self.into_wound, plan=OPEN),
            section=SectionShot("axial", 66.0 * self.size, self.words("open", "axial"), plan=OPEN),
            focus="section" if now.during("detach") else "",
            labels=(
                self.label(now, "spinous", "bone", self.spinous_tip, "left", bare),
                self.label(now, "lamina", "bone", self.lamina, "left", bare, 0.9),
                self.label(now, "retractor", "steel", self.on_retractor, "right", now.shown("retract")),
            ),
            marks=self.cut_marks("stage", line, self.words("open", "line"), dashed=not now.after("cut")),
        )

    def shot_scale(self, now: Moment) -> Shot:
        """Both wounds to one scale, with their lengths; then the muscles under the skin."""
        shown = now.shown("lengths")
        # the small cuts go with the skin that they lie in; labels of what is under it come in their stead
        nicks = now.shown("lengths", until="muscles")
        marks = (
            *self.scale_bars(1.0),
            *self.nick_marks("minimal:stage", nicks, self.words("scale", "half_inch"), self.words("scale", "nick")),
            *self.cut_marks("open:stage", shown, self.words("scale", "line")),
        )
        hidden = WITHIN | {name for side in self.nicks for name in (f"needle-{side}", f"handle-{side}")}
        hidden |= {"wound-lining"}  # it would lie over the muscles under the glass skin
        look = StageLook(hidden=hidden, glassiness={"skin": now.beat("muscles")})
        labels = (
            Label(self.words("scale", "parted"), "muscle", self.on_muscle(MINIMAL), "right", 1.0,
                  now.shown("muscles"), None, "minimal:stage"),
            Label(self.words("scale", "detached"), "muscle", self.on_muscle(OPEN), "left", 1.0,
                  now.shown("muscles"), None, "open:stage"),
        )  # fmt: skip
        headers = {OPEN: self.words("scale", "chosen")}
        return self.backs(now, look, self.over_back, headers, marks=marks, labels=labels)

    def on_muscle(self, name: str) -> Point:
        """A point of the muscle under the skin: at the gap round a needle, or where it is held aside."""
        state = getattr(self.state("scale", 1.0), name)
        muscle = self.plan.plans[name].structures_at(state)["muscle"]
        inside = np.array(self.on_skin(-40.0, 32.0)) - 45.0 * self.out
        if name == MINIMAL:
            nick = self.nicks["right" if "right" in self.nicks else self.outer]
            inside = nick.middle() - 30.0 * self.out + 17.0 * self.up + 1.5 * self.right
        return surface_towards(muscle.field, inside, self.out, 60.0)

    def shot_recovery(self, now: Moment) -> Shot:
        """What differs for the patient."""
        return self.card(now, "comparison")

    # ---- three procedures --------------------------------------------------------------------------------------------

    def shot_windows(self, now: Moment) -> Shot:
        """Needle, balloon and catheter on their way."""
        return self.three(now, self.window_body)

    def shot_lines(self, now: Moment) -> Shot:
        """One line each, as each goes on."""
        focus = next((name for name in reversed(PROCEDURES) if now.after(name)), "")
        notes = {name: (self.words("lines", name), now.shown(name)) for name in PROCEDURES}
        camera = self.window_body.moved_towards(self.window_tumour, now.beat(VERTEBROPLASTY))
        return self.three(now, camera, notes, focus=focus)

    def shot_none(self, now: Moment) -> Shot:
        """What each does; and that the tumour stays."""
        left = now.after("none")
        notes = {
            name: (self.words("none", "stays" if left else name),
                   now.shown("none") if left else now.shown("steady" if name != CHEMOEMBOLIZATION else "artery"))
            for name in PROCEDURES
        }  # fmt: skip
        focus = CHEMOEMBOLIZATION if now.during("artery") else ""
        lit = frozenset({"tumour"}) if left else frozenset()
        return self.three(now, self.window_tumour, notes, lit, focus=focus)

    def three(
        self,
        now: Moment,
        camera: Camera,
        notes: Mapping[str, tuple[str, float]] = MappingProxyType({}),
        lit: frozenset[str] = frozenset(),
        **parts: Any,
    ) -> Shot:
        """Three windows, each with its procedure's structures; `camera` is that of chemoembolization."""
        columns = []
        for name in PROCEDURES:
            if name == CHEMOEMBOLIZATION:
                stage = StageShot(camera, self.vessel_look(camera, lit), camera)
            else:
                cast = now.step.name == "none"
                stage = StageShot(self.window_bone, self.bone_look(name, cast, lit), self.window_bone)
            words, shown = notes.get(name, ("", 0.0))
            near = "front" if now.step.name == "windows" else "left"
            side = self.words("windows", near if name == CHEMOEMBOLIZATION else "behind")
            columns.append(
                ColumnShot(name, self.words("windows", name), side, stage, plan=name, note=words, note_shown=shown)
            )
        return self.told(now, layout="columns", columns=tuple(columns), **parts)

    def bone_look(self, name: str, cast: bool, lit: frozenset[str]) -> StageLook:
        """The broken vertebra as glass, its cement bright; `cast`: what it holds in the end, without the tracks."""
        # pressed aside round the cement it lies over it: as glass it shows that the cement is within
        faint = {"tumour": 0.5 if lit else 0.35} if name == KYPHOPLASTY else NOTHING
        # what the instruments left is not told of here, and would be taken for a part of the tumour
        tracks = {"channel-right", "channel-left", "rim", "cleft"} if cast else set()
        return StageLook(
            glass=frozenset({self.level}),
            hidden=self.room | {"skin", "muscle", "lungs", "ribs-right", "ribs-left", "dressing"} | tracks,
            opacity={"dura": 0.3, "roots": 0.45, "cord": 0.6, **faint},
            highlight=frozenset({"cement"}) | lit,
        )

    def vessel_look(self, camera: Camera, lit: frozenset[str]) -> StageLook:
        """The body as glass with its arteries lit; near the tumour without the body."""
        near = camera.distance_mm < 500.0
        out = {"muscle", "lungs", "roots", "dura", *self.groin_nerves, *self.veins}
        if near:
            return StageLook(
                glass=frozenset({self.level}) | self.vessels,
                hidden=frozenset({"body", "ribs-right", "ribs-left", *out, *self.pelvis}),
                opacity={"tumour": 0.5 if not lit else 1.0, "cord": 0.7},
                highlight=frozenset({"drug"}) | lit,
            )
        return StageLook(
            glass=frozenset({"body"}) | self.vessels,
            hidden=frozenset({"cord", *out}),
            opacity=dict.fromkeys(self.skeleton, 0.5),
            highlight=self.vessels,
        )

    # ---- open surgery ------------------------------------------------------------------------------------------------

    def shot_pointer(self, now: Moment) -> Shot:
        """The cord is freed, the tumour taken out, the spine held."""
        at = self.at(now, SURGERY)
        camera = self.behind_left.moved_towards(self.behind_near, now.beat("free"))
        camera = camera.moved_towards(self.at_tumour, min(1.0, 2.5 * now.beat("take_out")))
        camera = camera.moved_towards(self.behind_rods, now.beat("hold"))
        state, taking = getattr(now.state, SURGERY), now.after("take_out") and not now.after("hold")
        look = StageLook(
            hidden=self.far_bones,
            opacity={
                self.level: 1.0 - state.freed,
                self.resected: 1.0 - 0.55 * min(1.0, 4.0 * now.beat("take_out")) * (1.0 - now.beat("hold")),
                "dura": 0.4,
                "roots": 0.8,
                "screws": min(1.0, 2.0 * state.held),
                "rods": min(1.0, 2.0 * state.held),
                # once they are in, the screws show in the bone that holds them
                **dict.fromkeys(self.held, 1.0 - 0.62 * max(0.0, 2.0 * state.held - 1.0)),
            },
            highlight=frozenset({"tumour"}),
        )
        rest = self.behind_rods if now.after("hold") else self.at_tumour if taking else self.behind_near
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(camera, look, rest, plan=SURGERY),
            section=SectionShot("axial", 34.0 * self.size, self.words("pointer", "axial"), plan=SURGERY),
            focus="section" if now.during("take_out") else "",
            labels=(
                self.label(now, "dura", "dura", self.on_dura, "right", now.shown("free", until="take_out")),
                self.label(
                    now,
                    "tumour",
                    "tumour",
                    facing(at, "tumour", LEFT),
                    "left",
                    now.shown("take_out", until="hold") if state.tumour > 0.1 else 0.0,
                    rest=self.tumour_rest,
                ),
                self.label(now, "screws", "steel", self.on_rod(at), "left", now.shown("hold")),
            ),
            marks=self.surgery_marks(now, at),
        )

    def surgery_marks(self, now: Moment, at: Mapping[str, Any]) -> tuple[Mark, ...]:
        """In the section: where the tumour was, and which of the round things is a rod."""
        grown, shown = self.plan.plans[CHEMOEMBOLIZATION].grown, now.shown("hold")
        hollow = np.mean([grown.canal_point_mm, grown.root_mm], axis=0)
        sac = np.array(self.on_dura) * [0.0, 1.0, 1.0]
        return (
            Mark("ring", "section", (as_point(hollow),), self.words("pointer", "hollow"), "tumour",
                 0.5 * grown.diameter_mm, shown, side="right"),
            Mark("text", "section", (as_point(sac),), self.words("pointer", "freed"), "text", shown=shown),
            Mark("text", "section", (self.on_rod(at),), self.words("pointer", "rod"), "text", shown=shown),
        )  # fmt: skip

    def on_rod(self, at: Mapping[str, Any]) -> Point:
        """A place on the left rod at the height of the tumour's vertebra; nowhere without rods."""
        if "rods" not in at:
            return NOWHERE
        points = at["rods"].world_mesh(1.0).points_mm
        left = points[(points[:, 0] < 0.0) & (np.abs(points[:, 2] - 2.0) < 8.0)]
        return surface_towards(at["rods"].field, left.mean(0), BACK, 12.0)

    def shot_summary(self, now: Moment) -> Shot:
        """All of it on one card."""
        return self.card(now, "outcome")

    # ---- signs -------------------------------------------------------------------------------------------------------

    def on_skin(self, aside_mm: float, along_mm: float) -> Point:
        """A point of the skin, to the right of the midline and upward from the middle of the long cut."""
        z = (self.cut.low_mm + self.cut.high_mm) / 2 + along_mm
        y = float(back_y(self.trunk.skin, np.array([aside_mm]), np.array([z]))[0])
        return as_point(self.trunk.world_from_trunk.point((aside_mm, y, z)))

    def scale_bars(self, shown: float) -> tuple[Mark, ...]:
        """The same bar of 50 mm in both columns, at the same place."""
        low = self.cut.low_mm - (self.cut.low_mm + self.cut.high_mm) / 2 - 16.0
        first = np.array(self.on_skin(-84.0, low))
        ends = (as_point(first), as_point(first + SCALE_MM * self.right))
        return tuple(
            Mark("measure", f"{name}:stage", ends, self.words("families", "scale"), shown=shown, side="right")
            for name in APPROACHES
        )

    def nick_marks(self, view: str, shown: float, half_inch: str, length: str = "") -> tuple[Mark, ...]:
        """Each small cut with its length, and a bar of half an inch beside the outer one."""
        marks = []
        for side, nick in self.nicks.items():
            ends = nick.line().points_mm[[0, -1]]
            marks.append(Mark("line", view, tuple(map(as_point, ends)), role="danger", shown=shown))
            if length and (side != self.outer or len(self.nicks) == 1):
                away = 9.0 * self.right * (1.0 if self.outer == "left" else -1.0)
                beside = tuple(as_point(end + away) for end in ends)
                inward = "right" if self.outer == "left" else "left"
                marks.append(Mark("measure", view, beside, length, shown=shown, side=inward))
        nick = self.nicks[self.outer]
        sign = 1.0 if self.outer == "right" else -1.0
        half = 0.5 * sizes()["half_inch_mm"] * self.up
        middle = nick.middle() + sign * 10.0 * self.right
        bar = (as_point(middle - half), as_point(middle + half))
        marks.append(Mark("measure", view, bar, half_inch, shown=shown, side=self.outer))
        return tuple(marks)

    def cut_marks(self, view: str, shown: float, length: str, dashed: bool = False) -> tuple[Mark, ...]:
        """The long cut's line, and a bar beside it with its length."""
        line = self.cut.line().points_mm[::16]
        ends = self.cut.line().points_mm[[0, -1]] + 62.0 * self.right
        bar = Mark("measure", view, tuple(map(as_point, ends)), length, shown=shown, side="right")
        if not dashed:
            return (bar,)
        return (Mark("line", view, tuple(map(as_point, line)), role="danger", shown=shown, dashed=True), bar)

    # ---- places ------------------------------------------------------------------------------------------------------

    def at(self, now: Moment, plan: str) -> Mapping[str, Any]:
        """All that exists now in one of the plans."""
        return self.structures(now.step.start_s + now.time_s, None, plan)

    @cached_property
    def room(self) -> frozenset[str]:
        """Furniture and people."""
        return theatre_names()

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """The whole body that chemoembolization shows."""
        found: Mapping[str, Any] = self.plan.plans[CHEMOEMBOLIZATION].body_at(0.0)
        return found

    @cached_property
    def vessels(self) -> frozenset[str]:
        """The arteries."""
        return frozenset(self.plan.plans[CHEMOEMBOLIZATION].tree.structures())

    @cached_property
    def veins(self) -> frozenset[str]:
        """The veins."""
        return frozenset(name for name, part in self.body.items() if part.role == "vein")

    @cached_property
    def groin_nerves(self) -> frozenset[str]:
        """The femoral nerves."""
        return frozenset(name for name in self.body if name.startswith("femoral-nerve"))

    @cached_property
    def pelvis(self) -> frozenset[str]:
        """Hip bones, thigh bones and what joins them."""
        return frozenset(name for name in self.body if name.startswith(("hip-", "femur-", "symphysis")))

    @cached_property
    def skeleton(self) -> frozenset[str]:
        """All bones and discs."""
        return frozenset(name for name, part in self.body.items() if part.role in ("bone", "disc"))

    @cached_property
    def far_bones(self) -> frozenset[str]:
        """Bones and discs beyond the neighbours of the tumour's vertebra."""
        near = {self.level, level_above(self.level), level_below(self.level)}
        discs = {name for name in self.skeleton if name.startswith("disc-") and self.level in name.split("-")}
        return self.skeleton - near - discs

    @cached_property
    def resected(self) -> str:
        """The name of the vertebra that the tumour has been taken out of."""
        return str(self.plan.plans[SURGERY].resected_name)

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The vertebrae that the screws stand in."""
        return tuple(self.plan.plans[SURGERY].held_levels)

    @cached_property
    def pressed(self) -> str:
        """What the tumour presses on: "cord", or below its end "root"."""
        return "cord" if self.plan.plans[CHEMOEMBOLIZATION].has_cord else "root"

    @cached_property
    def whole_tumour(self) -> Mapping[str, Any]:
        """The spine with the full-grown tumour."""
        found: Mapping[str, Any] = self.plan.plans[SURGERY].structures_at(self.state("who", 0.0).surgery)
        return found

    @cached_property
    def tumour_rest(self) -> Point:
        """Where the full-grown tumour shows from the left."""
        return facing(self.whole_tumour, "tumour", LEFT)

    @cached_property
    def nerve(self) -> Point:
        """Where the cord (or a root) shows from the front and left, over the glass vertebra."""
        field = self.whole_tumour["cord" if self.pressed == "cord" else "roots"].field
        middle = np.array(vertebra(self.level).landmarks["canal-centre"]) + [0.0, 0.0, 9.0 * self.size]
        return surface_towards(field, middle, (-0.8, 0.4, 0.0), 12.0)

    @cached_property
    def on_dura(self) -> Point:
        """A point of the sac behind the tumour's vertebra."""
        return surface_towards(self.whole_tumour["dura"].field, vertebra(self.level).landmarks["canal-centre"], BACK)

    @cached_property
    def on_needle(self) -> Point:
        """A point of the outer needle outside the skin."""
        needle = self.plan.plans[MINIMAL].needles[self.outer]
        return as_point(needle.skin_mm - 16.0 * needle.path.forward)

    @cached_property
    def by_needle(self) -> Point:
        """A point of the muscle above the gap round the outer needle."""
        nick = self.nicks[self.outer]
        inside = nick.middle() - 30.0 * self.out + 13.0 * self.up + 4.0 * self.right
        muscle = self.plan.plans[MINIMAL].structures_at(self.state("scale", 0.0).minimal)["muscle"]
        return surface_towards(muscle.field, inside, self.out, 60.0)

    @cached_property
    def spinous_tip(self) -> Point:
        """The tip of the spinous process of the tumour's vertebra."""
        return as_point(vertebra(self.level).landmarks["spinous-tip"])

    @property
    def nick_edges(self) -> Mapping[str, Any]:
        """What the names of the nicks' cut edges begin with -> the nick."""
        return {f"nick-{side}": nick for side, nick in self.nicks.items()}

    @cached_property
    def lamina(self) -> Point:
        """A point of the bare lamina above, beside its spinous process."""
        above = level_above(self.level) or self.level
        bone = self.plan.plans[OPEN].structures_at(self.state("scale", 0.0).open)[above]
        base = bone.world_from_local.point(vertebra(above).landmarks["spinous-base"])
        return surface_towards(bone.field, base - [8.0 * self.size, 0.0, 0.0], self.out, 30.0)

    @cached_property
    def on_retractor(self) -> Point:
        """A point of the retractor's right arm."""
        aside = self.cut.opening_mm() / 2 + instrument_sizes()["lip_mm"]
        tool = self.plan.plans[OPEN].structures_at(self.state("scale", 0.0).open)["retractor"]
        return surface_towards(tool.field, np.array(self.on_skin(aside, -26.0)) - 4.0 * self.out, self.out, 40.0)


__all__ = ["Overview"]
