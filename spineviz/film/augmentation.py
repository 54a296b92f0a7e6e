"""What the films of vertebral augmentation share: cameras, the fracture, the table, the safety rule, the marks.

Vertebroplasty and kyphoplasty treat the same broken body in the same room by the same way through the pedicle; their
scenes say only what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from spineviz.devices.theatre import theatre_names
from spineviz.film.anchors import Point, as_point, facing
from spineviz.film.base import Moment, ProcedureScene
from spineviz.film.parts import BACK, LEFT, Parts
from spineviz.film.shot import FluoroShot, Label, Mark, ScanShot, SectionShot, Shot, Side, StageShot
from spineviz.geometry.frames import Frame, translation
from spineviz.procedures.state import State
from spineviz.views.camera import Camera, camera_from
from spineviz.views.fluoroscopy import projection
from spineviz.views.stage import StageLook

TRUNK = frozenset({"skin", "muscle", "lungs", "dressing"})
RIBS = frozenset({"ribs-right", "ribs-left"})
FAINT_NERVES = {"roots": 0.45, "dura": 0.3, "cord": 0.6}
NOTHING_FAINT: Mapping[str, float] = MappingProxyType({})
BEHIND_LEFT = (-0.7, -0.7, 0.15)


class AugmentationScene(ProcedureScene):
    """A film of one augmentation; a subclass gives `film_name` and a `shot_...` method for each step of its own.

    `tumour_beat` is the beat with which the cut body's tumour is named.
    """

    tumour_beat: ClassVar[str] = "cast"

    def setup_film(self) -> None:
        """Cameras, projections and the landmarks on which labels hang."""
        self.parts = Parts(self.plan, self.structures_of)
        self.level, self.sides, self.size = self.parts.level, self.parts.sides, self.parts.size
        self.height_gauge = self.parts.height_gauge
        size = self.size

        self.far = camera_from((328, 8), (0, -25, -42), 900)
        self.title_view = self.far.shifted(0.42, 0.04).nearer(1.04)
        self.near = camera_from((322, 14), (0, -26, 0), 300 * size)
        self.from_left = camera_from((274, 7), (0, -10, 0), 262 * size).shifted(0.1, -0.05)
        self.room = camera_from((-1500, -2350, 2500), (120, 60, -60), 4150, 30, BACK).shifted(-0.1, -0.07)
        self.over_back = camera_from((350, 6), (0, -90, 14), 400)
        self.behind = camera_from((0, 34), (0, -44, 4), 430 * size).shifted(0.0, -0.03)
        self.behind_near = camera_from((0, 30), (0, -30, 3), 330 * size)
        self.into_body = camera_from((298, 24), (0, -12, 0), 232 * size).shifted(0.1, -0.05)
        self.drawn = camera_from((296, 24), (0, -26, 2), 330 * size).shifted(0.08, -0.05)
        self.cut_open = camera_from((281, 9), (0, -8, 0), 225 * size).shifted(0.1, -0.05)
        # a true AP looks along the lower end-plate of the broken body, as the patient lies
        lying = self.parts.edges_of(self.plan.patient.amount(1.0, 1.0))
        along = np.array(lying["lower-front"]) - np.array(lying["lower-back"])
        tilt = float(np.rad2deg(np.arctan2(along[2], along[1])))
        self.ap = projection("ap", (0, -8, 0), 112 * size, tilt_deg=-tilt)
        self.lateral = projection("lateral", (0, -14, 0), 104 * size)
        self.ap_wide = projection("ap", (0, -8, -42), 310)
        self.lateral_wide = projection("lateral", (0, -20, -42), 310)

    def shot_title(self, now: Moment) -> Shot:
        """The procedure's name before the spine that it is about."""
        camera = self.title_view.orbited(-16 * (1 - now.share))
        return self.card(now, "title", backdrop=StageShot(camera, self.look(), moment=("fracture", 0.0)))

    def shot_case(self, now: Moment) -> Shot:
        """Who is treated, and why so."""
        beside = float(self.plan.planes["tumour"].origin_mm[0])
        picture = ScanShot(75.0, beside, "simulated, beside the middle", moment=("fracture", 1.0))
        return self.card(now, "case", picture=picture)

    def shot_outcome(self, now: Moment) -> Shot:
        """What was measured, what studies found, what can go wrong."""
        return self.card(now, "outcome")

    def shot_fracture(self, now: Moment) -> Shot:
        """A tumour grows, the body gives way, its heights are read out."""
        at = self.parts.at(now.state)
        state = now.state
        camera = self.near.moved_towards(self.from_left, now.beat("tumour"))
        wall = self.parts.back_wall(state)
        shown = now.shown("measure", until="back_wall")
        top, bottom, height = self.parts.measured_height(now.state)
        return self.told(
            now,
            layout="stage+insets",
            stage=StageShot(
                camera,
                self.look(glassiness={self.level: now.beat("tumour")}, highlight=frozenset({"tumour"})),
                self.from_left,
            ),
            # a film at the doctor's, taken before and again after: nobody has live X-ray when a bone gives way
            fluoroscopy=(
                FluoroShot(
                    self.lateral,
                    "lateral, standing",
                    title="Radiograph now" if now.over("collapse") else "Earlier radiograph",
                    live=False,
                    moment=("fracture", 1.0) if now.over("collapse") else ("fracture", 0.0),
                ),
            ),
            section=SectionShot("tumour", 34.0 * self.size, "sagittal, through the tumour"),
            focus="section" if now.during("collapse") else "",
            labels=(
                self.label(now, "tumour", "tumour", facing(at, "tumour", LEFT), "left", now.shown("tumour")),
                self.label(now, "wall", "bone", wall[1], "right", now.shown("back_wall")),
            ),
            marks=(
                Mark(
                    "measure",
                    "stage",
                    (top, bottom),
                    height,
                    shown=shown,
                    side="left" if self.height_gauge == "anterior_height" else "right",
                ),
                *self.endplates("stage", state, shown),
                Mark("line", "stage", wall, role="safe", shown=now.shown("back_wall")),
                Mark("tick", "stage", (wall[1],), role="safe", shown=now.shown("back_wall")),
                Mark("line", "section", wall, role="safe", shown=now.shown("back_wall")),
            ),
            gauges=(self.height_gauge, "wedge"),
        )

    def shot_table(self, now: Moment) -> Shot:
        """Face down; posture; the level is counted; true AP; the skin is numbed and nicked."""
        if not now.after("count"):
            camera = self.room.moved_towards(self.room.orbited(-7).nearer(1.03), now.beat("posture"))
            at = self.parts.at(now.state)
            return self.told(
                now,
                layout="table",
                stage=StageShot(camera, self.room_look(), self.room),
                fluoroscopy=(self.from_the_left,),
                labels=(
                    self.label(
                        now, "c_arm", "c-arm", facing(at, "c-arm-base", (-0.4, -0.3, 0.8)), "left", now.shown("room")
                    ),
                    self.label(now, "patient", "skin", self.on_patient, "left", now.shown("room")),
                ),
                marks=self.endplates("lateral", now.state, now.shown("posture"), "left"),
                gauges=(self.height_gauge, "wedge"),
            )
        if not now.after("numb"):
            counting = not now.after("true_ap")
            return self.told(
                now,
                layout="two-plane",
                seen_from="seen from behind",
                stage=StageShot(self.far, self.look(), header="the column"),
                fluoroscopy=(
                    FluoroShot(self.ap_wide if counting else self.ap, "AP, seen from behind"),
                    FluoroShot(self.lateral_wide if counting else self.lateral, "lateral, seen from the left"),
                ),
                section=SectionShot("axial", 45.0 * self.size, "axial, through the pedicles"),
                focus="" if counting else "ap",
                marks=self.counted(now) if counting else self.true_ap(now),
            )
        return self.told(
            now,
            layout="stage+insets",
            seen_from="seen from behind",
            stage=StageShot(self.over_back, self.room_look("patient", "drape", "table")),
            fluoroscopy=(self.from_behind,),
            section=SectionShot("axial", 76.0 * self.size, self.words(now.step.name, "axial")),
            marks=self.skin_marks(now),
        )

    def counted(self, now: Moment) -> tuple[Mark, ...]:
        """The level's name beside each body, down from the last rib and up from the sacrum."""
        at = self.parts.at(now.state)
        start, _ = now.step.beats["count"]
        marks = []
        for order, name in enumerate(n for n in self.plan.patient.levels if n in at):
            shown = min(1.0, max(0.0, (now.time_s - start - 0.35 * order) / 0.3))
            centre = at[name].world_from_local.origin_mm
            role = "safe" if name == self.level else "text"
            beside = np.array([34.0, 0.0, 0.0])
            marks += [
                Mark(
                    "text",
                    "ap",
                    (as_point(centre + beside),),
                    f"{name}, last rib" if name == "T12" else name,
                    role,
                    shown=shown,
                    side="right",
                ),
                Mark("text", "lateral", (as_point(centre + [0, 30.0, 0]),), name, role, shown=shown, side="left"),
            ]
        return tuple(marks)

    def true_ap(self, now: Moment) -> tuple[Mark, ...]:
        """What tells a true AP view."""
        shown = now.shown("true_ap", 0.8)
        edges = self.parts.edges(now.state)
        half = np.array([float(self.parts.bone.row["EPWl_mm"].value) / 2 + 6.0, 0.0, 0.0])
        low = np.array(edges["lower-back"])
        return (
            Mark(
                "line", "ap", (as_point(low - half), as_point(low + half)), "end-plate, flat", shown=shown, side="right"
            ),
            self.oval("right", shown, "pedicle", "right"),
            self.oval("left", shown, "pedicle", "left"),
            Mark(
                "dot",
                "ap",
                (as_point(self.parts.bone.landmarks["spinous-tip"]),),
                "spinous process, midway",
                "safe",
                shown=shown,
                side="right",
            ),
        )

    def skin_marks(self, now: Moment) -> tuple[Mark, ...]:
        """Where the skin is numbed and nicked, on the stage and down to the bone in the section."""
        marks: list[Mark] = []
        half_nick, half_inch = np.array([0.0, 0.0, 2.5]), np.array([0.0, 0.0, 6.35])
        numb, nick = now.shown("numb", until="nick"), now.shown("nick")
        for order, side in enumerate(self.sides):
            needle = self.plan.needles[side]
            skin, bone = needle.skin_mm, needle.path.contact_mm
            first = order == len(self.sides) - 1
            marks += [
                Mark("line", "section", (as_point(skin), as_point(bone)), "numbed to the bone" if first else "", "text",
                     shown=now.beat("numb"), dashed=True, side="left"),
                Mark("ring", "stage", (as_point(skin),), "numbed" if first else "", "text", 11.0, numb, side="left"),
                Mark("line", "stage", tuple(map(as_point, (skin - half_nick, skin + half_nick))),
                     role="danger", shown=nick),
            ]  # fmt: skip
        bar = self.plan.needles[self.sides[-1]].skin_mm * [0.6, 1.0, 1.0]
        marks.append(
            Mark(
                "measure",
                "stage",
                (as_point(bar - half_inch), as_point(bar + half_inch)),
                "half an inch",
                shown=nick,
                side="left",
            )
        )
        return tuple(marks)

    def endplates(
        self, view: str, state: State, shown: float, side: Side = "right", parts: Parts | None = None
    ) -> tuple[Mark, ...]:
        """The lines along both end-plates of the body of `parts` at `state`, with their angle."""
        edges = (parts or self.parts).edges(state)
        return (
            Mark("line", view, (edges["upper-back"], edges["upper-front"]), shown=shown),
            Mark("line", view, (edges["lower-back"], edges["lower-front"]), f"{state.wedge_deg:.1f}°",
                 shown=shown, side=side),
        )  # fmt: skip

    # ---- through the pedicle -----------------------------------------------------------------------------------------

    def two_planes(self, now: Moment, **parts: Any) -> Shot:
        """AP and lateral equal and large, the axial section along the instruments and the stage small; `parts` go to
        the Shot."""
        return self.told(
            now,
            layout="two-plane",
            stage=StageShot(self.behind_near, self.look(glass=frozenset({self.level})), header="from behind, above"),
            fluoroscopy=(self.from_behind, self.from_the_left),
            section=SectionShot("axial", 40.0 * self.size, self.words(now.step.name, "axial")),
            **parts,
        )

    def safety_rule(self, now: Moment, until: str) -> tuple[Mark, ...]:
        """In AP the tip stays outside the pedicle's inner edge until lateral shows it in front of the back wall; the
        signs go as the beat `until` begins."""
        rule, zone = now.shown("rule", until=until), now.shown("ring", until="pass_wall")
        wall = self.parts.back_wall(now.state)
        return (
            Mark("area", "ap", self.parts.canal_zone, "", "danger", shown=0.45 * zone),
            Mark("text", "ap", (self.parts.over_canal,), "canal", shown=zone, side="right"),
            *(self.oval(side, now.shown("ring")) for side in self.sides),
            *(Mark("tick", "ap", (self.parts.beside_pedicle(side),), role="safe", shown=rule) for side in self.sides),
            Mark("line", "lateral", wall, "back wall", shown=now.shown("advance"), side="left", dashed=True),
            Mark("tick", "lateral", (self.parts.over_wall(now.state),), role="safe", shown=rule),
        )

    def oval(self, side: str, shown: float, text: str = "", text_side: Side = "") -> Mark:
        """The pedicle's outline at its narrowest, as AP shows it."""
        return Mark("line", "ap", self.parts.pedicle_ring(side), text, shown=shown, side=text_side)

    def midline(self, now: Moment) -> tuple[Mark, ...]:
        """In AP: the midline and the pedicles, between which the tips rest."""
        high, low = (as_point((0.0, -30.0, z * self.size)) for z in (24.0, -24.0))
        rings = (self.oval(side, now.shown("rest")) for side in self.sides)
        return (
            Mark("line", "ap", (high, low), "midline", shown=now.shown("rest"), side="right", dashed=True),
            *rings,
        )

    # ---- cement ------------------------------------------------------------------------------------------------------

    def cement_labels(self, now: Moment, shown: float = 1.0) -> tuple[Label, ...]:
        """The label of the cement where it shows beside the tumour, once there is any."""
        at = self.parts.at(now.state)
        if "cement" not in at:
            return ()
        way, rest = self.parts.cement_label
        return (self.label(now, "cement", "cement", facing(at, "cement", way), "left", shown, rest=rest),)

    def cut_body(self, now: Moment, camera: Camera, marks: tuple[Mark, ...] = ()) -> Shot:
        """The body cut open: hard cement between the trabeculae, and the tumour that is still there."""
        plane, state = self.cast_plane, now.state
        cement = self.parts.on_cut("cement", plane, state)
        tumour = self.parts.on_cut("tumour", plane, state, beside="cement")
        return self.told(
            now,
            layout="stage+insets",
            seen_from="seen from the left, cut open",
            stage=StageShot(camera, self.look(cut=plane, highlight=frozenset({"cement"})), self.cut_open),
            fluoroscopy=(FluoroShot(self.lateral, "lateral, seen from the left", live=False),),
            section=SectionShot("axial", 38.0 * self.size, "axial, through the cement"),
            labels=(
                self.label(now, "cement", "cement", cement, "left", now.shown("cast")),
                self.label(now, "tumour", "tumour", tumour, "right", now.shown(self.tumour_beat)),
            ),
            marks=marks,
            gauges=("cement", self.height_gauge, "wedge"),
        )

    @cached_property
    def cast_plane(self) -> Frame:
        """A sagittal cut on the way to a needle's tip, where there is more cement than in the very middle."""
        tip = self.plan.needles[self.sides[-1]].path.tip_mm
        return translation((0.5 * tip[0], 0.0, 0.0)) @ self.plan.planes["sagittal"]

    # ---- afterwards --------------------------------------------------------------------------------------------------

    def dressed(self, now: Moment) -> Shot:
        """Pressure and a dressing on the skin while the cement hardens."""
        return self.told(
            now,
            layout="stage+insets",
            seen_from="seen from behind",
            stage=StageShot(
                self.over_back,
                StageLook(hidden=(TRUNK | RIBS) - {"skin", "dressing"}, fade={"dressing": now.beat("dressing")}),
            ),
            fluoroscopy=(self.from_the_left,),
            section=SectionShot("axial", 38.0 * self.size, "axial, through the cement"),
            gauges=("cement", "back_wall", "wedge"),
        )

    def stop_line(self, now: Moment, beat: str) -> tuple[Mark, ...]:
        """The back quarter of the body in lateral, where the cement stops; it appears with `beat`."""
        corners = self.parts.back_quarter(now.state)
        return (Mark("area", "lateral", corners, "back quarter", "danger", shown=now.shown(beat), side="right"),)

    @cached_property
    def room_names(self) -> frozenset[str]:
        """What the room holds."""
        return theatre_names()

    @cached_property
    def inside(self) -> frozenset[str]:
        """What lies inside the patient, and so does not show in the room."""
        return frozenset(self.plan.structures_at(self.plan.state_at("fracture", 1.0)))

    @property
    def from_behind(self) -> FluoroShot:
        """Live AP."""
        return FluoroShot(self.ap, "AP, seen from behind")

    @property
    def from_the_left(self) -> FluoroShot:
        """Live lateral."""
        return FluoroShot(self.lateral, "lateral, seen from the left")

    def second_half(self, now: Moment, beat: str) -> bool:
        """Whether `beat` is on and half over: the C-arm turns to AP for it."""
        return now.during(beat) and now.step.beat_share(beat, now.share) >= 0.5

    @property
    def on_patient(self) -> Point:
        """A point of the patient's bare shoulder."""
        return (-120.0, -40.0, 330.0)

    def glass(self, faint: Mapping[str, float] = NOTHING_FAINT, **parts: Any) -> StageLook:
        """The treated bone as glass, the nerves faint, as `faint` says of other parts; more as StageLook takes it."""
        return self.look(glass=frozenset({self.level}), opacity={**FAINT_NERVES, **faint}, **parts)

    def look(self, also_hidden: frozenset[str] = frozenset(), **parts: Any) -> StageLook:
        """The stage's usual look: bones, discs and nerves without the trunk; `parts` as StageLook takes them."""
        return StageLook(hidden=TRUNK | RIBS | also_hidden, **parts)

    def room_look(self, *only: str) -> StageLook:
        """The room without what lies inside the patient; with `only`, the parts whose names begin so."""
        left_out = {name for name in self.room_names if only and not name.startswith(only)}
        return StageLook(hidden=self.inside | left_out)
