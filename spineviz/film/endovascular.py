"""What the film of a treatment through the arteries is told with: cameras, looks, C-arm positions, places for labels.

The scene says what is on screen when; here is how the body is looked at and where things are in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import level_above, level_below
from spineviz.anatomy.groin import groin_landmarks
from spineviz.devices.angio_suite import world_from_room
from spineviz.film.anchors import NOWHERE, Point, as_point, facing, surface_towards
from spineviz.film.base import Moment, ProcedureScene
from spineviz.film.shot import Side
from spineviz.geometry.frames import Frame
from spineviz.procedures.chemo_devices import BEYOND_MM, OUTSIDE_MM, outer_end, outer_line
from spineviz.procedures.navigation import Target
from spineviz.views.camera import Camera, camera_from
from spineviz.views.projection import Projection, projection
from spineviz.views.stage import StageLook
from spineviz.views.ultrasound import face_mm

FRONT, LEFT = (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)
FRONT_RIGHT = (0.7, 0.7, 0.3)
"""Where the tumour shows past the cut bone, seen from above and in front."""
STATION_MM = 72.0
"""How far the table moves from one picture of the way to the next."""
NOTHING: Mapping[str, float] = MappingProxyType({})
CORD_ARTERIES = frozenset({"adamkiewicz", "anterior-spinal", "anterior-spinal-upper"})

Vector = NDArray[np.float64]


class EndovascularScene(ProcedureScene):
    """A film of one treatment through the arteries, seen from the front; a subclass tells its steps."""

    def setup_film(self) -> None:
        """Cameras; those that need arteries or the body are found when they are first looked through."""
        plan = self.plan
        self.level: str = plan.level
        self.side = self.plan.case.artery.access_side
        self.groin = np.array(plan.puncture.axis_mm)
        self.canal = np.array(plan.grown.canal_point_mm)
        out = 1.0 if self.side == "right" else -1.0

        half_way = 0.5 * self.groin
        self.whole = camera_from((180, 6), half_way * [0, 1, 1] + [0, 0, 60], 1750)
        self.title_view = camera_from((180, 8), half_way * [0, 1, 1] + [0, 0, 40], 1290).shifted(0.5, 0.02)
        self.trunk_view = camera_from((186, 6), half_way * [0, 1, 1] + [0, 0, 15], 1050)
        self.close = camera_from((232, 16), self.canal * [0.5, 0.4, 1.0], 215).shifted(0.06, -0.03)
        self.canal_view = camera_from((206, 46), self.canal * [0.35, 0.75, 1.0], 150).shifted(0.05, 0.0)
        # through the bone where the tumour reaches farthest into the canal
        self.through_canal = Frame(np.eye(3), self.canal * [0.0, 0.0, 1.0])
        self.groin_view = camera_from((180 - 16 * out, 18), self.groin + [-6 * out, 0, 6], 360).shifted(0.03, -0.02)
        self.groin_near = camera_from((180 - 40 * out, 14), self.groin + [0, 14, -24], 290).shifted(0.03, -0.02)
        self.legs_view = camera_from((180, 10), self.groin * [0, 1, 1] + [0, 0, -330], 1700)

    @cached_property
    def orifice(self) -> Vector:
        """(3,) where the target's artery leaves the aorta."""
        trunk = self.plan.tree.branch(self.plan.ways.trunk(self.plan.target))
        return np.array(trunk.centreline.at(trunk.wall_mm)[0])

    @cached_property
    def at_orifice(self) -> Camera:
        """Near it."""
        return camera_from((218, 16), 0.6 * self.orifice + [0, 0, 8], 250).shifted(0.06, -0.03)

    @cached_property
    def spine_view(self) -> Camera:
        """The column and the aorta before it."""
        return camera_from((205, 8), self.orifice * [0.3, 0.2, 1.0] + [0, 0, 24], 430).shifted(0.05, 0.0)

    @cached_property
    def room(self) -> Camera:
        """The angiography suite."""
        room = world_from_room(self.plan.level)  # the body lies level in it, and people stand upright
        return camera_from(
            room.vector((-1750, 2500, 1100)), room.point((60, 20, -160)), 3900, 30, room.vector(FRONT)
        ).shifted(-0.06, -0.05)

    @cached_property
    def drug_view(self) -> Camera:
        """Where the drug is drawn up; it is beside the hub, which lies outside the body and takes that to find."""
        end, away = outer_end(outer_line(self.plan))
        return self._towards_hub(end + 62.0 * away, 300)

    @cached_property
    def hub_view(self) -> Camera:
        """Where catheters are changed."""
        end, away = outer_end(outer_line(self.plan))
        return self._towards_hub(end - 6.0 * away, 390)

    def _towards_hub(self, target_mm: Vector, distance_mm: float) -> Camera:
        turn = 34 if self.side == "right" else -34
        return camera_from((180 - turn, 24), target_mm, distance_mm).shifted(0.05, -0.02)

    @cached_property
    def at_groin(self) -> dict[str, Vector]:
        """The landmarks of the groin on which labels hang; sought when it is first seen, as they take the body."""
        return groin_landmarks(self.plan.column, self.side)

    def state(self, step: str, share: float) -> Any:
        """The plan's State with what is measured on the tumour: gauges show it all through the film."""
        return self.plan.state_at(step, share)

    # ---- looks -------------------------------------------------------------------------------------------------------

    def at(self, now: Moment) -> Mapping[str, Any]:
        """All that exists now."""
        return self.structures(now.step.start_s + now.time_s, None)

    @cached_property
    def inside(self) -> frozenset[str]:
        """What lies inside the patient, and so does not show in the room."""
        body = self.plan.body_at(0.0)
        return frozenset(name for name in (*body, *self.plan.tree.structures()) if name != "body")

    @cached_property
    def ribs(self) -> frozenset[str]:
        """The ribs."""
        return frozenset({"ribs-right", "ribs-left"})

    @cached_property
    def around(self) -> frozenset[str]:
        """What lies round spine and vessels."""
        return frozenset({"body", "muscle", "lungs"})

    @cached_property
    def far_things(self) -> frozenset[str]:
        """What a view of spine and vessels leaves out."""
        return self.around | self.ribs | self.pelvis | self.beside_arteries

    @cached_property
    def pelvis(self) -> frozenset[str]:
        """Hip bones, thigh bones and what joins them."""
        return frozenset(name for name in self.plan.body_at(0.0) if name.startswith(("hip-", "femur-", "symphysis")))

    @cached_property
    def bones(self) -> frozenset[str]:
        """Every vertebra and the sacrum."""
        return frozenset(name for name, part in self.plan.body_at(0.0).items() if part.role in ("bone", "disc"))

    def body_look(self, faint: Mapping[str, float] = NOTHING) -> StageLook:
        """The body as glass; bones faint within it, arteries lit."""
        return StageLook(
            glass=frozenset({"body"}) | self.vessels,
            hidden=frozenset({"muscle", "lungs", "roots", "dura", "cord"}) | self.beside_arteries,
            opacity={**dict.fromkeys(self.bones | self.ribs | self.pelvis, 0.5), **faint},
            highlight=self.vessels,
        )

    @cached_property
    def vessels(self) -> frozenset[str]:
        """The arteries."""
        return frozenset(self.plan.tree.structures())

    @cached_property
    def beside_arteries(self) -> frozenset[str]:
        """Veins, nerves and ligaments of the groin."""
        roles = ("vein", "nerve", "ligament")
        return frozenset(name for name, part in self.plan.body_at(0.0).items() if part.role in roles)

    def canal_look(self) -> StageLook:
        """The vertebra cut open across the canal, nerves and tumour standing in it."""
        above, below = level_above(self.level), level_below(self.level)
        near = {self.level, below}
        far = frozenset(name for name in self.bones if name in self.plan.column.frames and name not in near)
        discs = frozenset(n for n in self.bones if n.startswith("disc-") and n != f"disc-{self.level}-{below}")
        return StageLook(
            hidden=self.far_things | self.vessels | far | discs | frozenset({"contrast", "drug", str(above)}),
            cut=self.through_canal,
            whole=frozenset({"cord", "roots", "dura", "tumour", "necrosis"}),
            opacity={"dura": 0.3},
            highlight=frozenset({"tumour"}),
        )  # fmt: skip

    def groin_look(self) -> StageLook:
        """Bones, ligament, nerve, artery and vein of the groin, the skin as glass."""
        spine = frozenset(name for name in self.bones if name not in self.pelvis)
        return StageLook(
            glass=frozenset({"body"}),
            hidden=frozenset({"muscle", "lungs", "roots", "dura", "cord", *self.ribs}) | spine,
        )

    def vessel_look(self, **parts: Any) -> StageLook:
        """The spine with its vessels as glass, so that what is led in them is seen."""
        return StageLook(
            glass=self.vessels,
            hidden=self.far_things | frozenset({"roots", "dura"}),
            opacity={self.level: 0.45},
            **parts,
        )  # fmt: skip

    def travel_look(self, outside: float, **parts: Any) -> StageLook:
        """`vessel_look`, and as the camera comes to the groin (`outside` 0 to 1) the body about it."""
        skin = self.theme.opacity_of("skin")
        return StageLook(
            glass=self.vessels | {"body", "syringe"},
            hidden=frozenset({"muscle", "lungs", "roots", "dura"}) | self.ribs | self.beside_arteries,
            opacity={self.level: 0.45, "body": skin * outside, **dict.fromkeys(self.pelvis, 0.5 * outside)},
            **parts,
        )  # fmt: skip

    def cord_look(self, found: bool) -> StageLook:
        """Bones as glass, the cord and its artery within."""
        lit = CORD_ARTERIES if found else frozenset()
        return StageLook(
            glass=self.bones | (self.vessels - lit),
            hidden=self.far_things | frozenset({"roots", "dura"}),
            opacity={"cord": 0.22} if found else NOTHING,
            highlight=lit | frozenset({"tumour"}),
        )  # fmt: skip

    def feeder_look(self, lit: frozenset[str] = frozenset()) -> StageLook:
        """The vertebra as glass, the tumour clear enough to see what is in it."""
        return StageLook(
            glass=frozenset({self.level}) | self.vessels,
            hidden=self.far_things | frozenset({"dura"}),
            opacity={"tumour": 0.45, "roots": 0.5, "cord": 0.7},
            highlight=lit,
        )

    def drug_look(self, outside: float) -> StageLook:
        """`feeder_look` with the beads lit, and at the groin (`outside` 0 to 1) the body about it."""
        near, far = self.feeder_look(frozenset({"drug"})), self.travel_look(outside)
        return StageLook(
            near.glass | far.glass,
            far.hidden | {"dura"},
            opacity={**near.opacity, **far.opacity, self.level: 1.0},
            highlight=near.highlight,
        )

    # ---- places ------------------------------------------------------------------------------------------------------

    @cached_property
    def over_artery(self) -> Vector:
        """(3,) the skin in front of the hole in the artery, where it is pressed."""
        return np.array(surface_towards(self.plan.body_at(0.0)["body"].field, self.plan.puncture.vessel_mm, FRONT))

    @property
    def outer(self) -> Side:
        """The side of the screen on which the outside of the thigh lies, seen from the front."""
        return "left" if self.side == "right" else "right"

    @property
    def inner(self) -> Side:
        """The other side."""
        return "right" if self.side == "right" else "left"

    @property
    def nerve(self) -> str:
        """What the tumour presses on: the cord, or below it the sac with its roots."""
        return "cord" if self.plan.has_cord else "dura"

    @property
    def pressed(self) -> str:
        """The word for it."""
        return "cord" if self.plan.has_cord else "sac"

    def nerve_point(self, now: Moment) -> Point:
        """A place on it above the tumour."""
        field = self.at(now)[self.nerve].field
        start = np.array([0.0, 0.0, self.canal[2] + 16.0])
        y = np.linspace(self.canal[1] - 16.0, self.canal[1] + 10.0, 53)
        line = np.column_stack([np.zeros(53), y, np.full(53, start[2])])
        start[1] = float(y[int(np.argmin(field(line)))])
        return surface_towards(field, start, (-0.7, 0.7, 0.0), 14.0)

    def root_point(self, now: Moment) -> Point:
        """A place on the root that leaves under the pedicle on the tumour's side."""
        side = -1.0 if self.plan.case.tumour.side == "left" else 1.0
        field = self.at(now)["roots"].field
        start = self.canal + np.array([side * 12.0, -2.0, -10.0])
        offsets = np.stack(np.meshgrid(*[np.linspace(-9, 9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
        points = start + offsets
        return as_point(points[int(np.argmin(field(points)))])

    @cached_property
    def tumour_rest(self) -> Point:
        """Where the tumour's label hangs when it is full-grown."""
        return facing(self.plan.body_at(1.0), "tumour", FRONT_RIGHT)

    def tip_mm(self, now: Moment) -> Vector:
        """(3,) the leading tip."""
        posture = self.plan.posture(now.state.stretch, now.state.walked)
        return self.groin if posture is None else np.array(posture.points_mm[-1])

    def tip_point(self, now: Moment, name: str) -> Point:
        """The tip of "wire" or "catheter"; nowhere while it is not in."""
        posture = self.plan.posture(now.state.stretch, now.state.walked)
        line = None if posture is None else posture.wire_line if name == "wire" else posture.outer_line
        return NOWHERE if line is None else as_point(line[-1])

    def micro_point(self, now: Moment) -> Point:
        """The microcatheter's tip."""
        posture = self.plan.micro_posture(now.state.micro_stretch, now.state.micro_walked)
        line = None if posture is None else posture.outer_line
        return NOWHERE if line is None else as_point(line[-1])

    @cached_property
    def syringe_point(self) -> Point:
        """A place on the syringe at the catheter's hub."""
        end, away = outer_end(outer_line(self.plan))
        return as_point(end + 50.0 * away)

    @cached_property
    def drug_syringe_point(self) -> Point:
        """A place on the small one at the microcatheter's hub."""
        end, away = outer_end(outer_line(self.plan, OUTSIDE_MM + BEYOND_MM))
        return as_point(end + 50.0 * away)

    @cached_property
    def micro_rest(self) -> Point:
        """Where the microcatheter's tip comes to rest."""
        return as_point(self.plan.navigation.passages["micro"].end.outer_line[-1])

    @cached_property
    def trunk_point(self) -> Point:
        """A place on the target's segmental artery past the orifice."""
        trunk = self.plan.tree.branch(self.plan.ways.trunk(self.plan.target))
        return as_point(trunk.centreline.at(trunk.wall_mm + 12.0)[0])

    @cached_property
    def feeder_point(self) -> Point:
        """A place on the tumour's feeder."""
        feeder = self.plan.tree.branch("feeder-1")
        return as_point(feeder.centreline.at(0.85 * feeder.length_mm)[0])

    @cached_property
    def drug_point(self) -> Point:
        """A place among the beads."""
        return as_point(self.plan.structures_at(self.plan.state_at("drug", 1.0, False))["drug"].field.bounds_mm.mean(0))

    @cached_property
    def hairpin_mm(self) -> Vector:
        """(3,) the turn of the cord's artery."""
        line = self.plan.tree.branch("adamkiewicz").centreline.points_mm
        return np.array(line[int(np.argmax(line[:, 2]))])

    @cached_property
    def cord_artery_point(self) -> Point:
        """A place on the rising limb of the cord's artery."""
        branch = self.plan.tree.branch("adamkiewicz")
        return as_point(branch.centreline.at(0.7 * branch.length_mm)[0])

    @cached_property
    def spinal_point(self) -> Point:
        """A place on the anterior spinal artery below the hairpin."""
        branch = self.plan.tree.branch("anterior-spinal")
        return as_point(branch.centreline.at(min(26.0, 0.5 * branch.length_mm))[0])

    # ---- cameras and projections that the plan decides ---------------------------------------------------------------

    @cached_property
    def cord_view(self) -> Camera:
        """The tumour's level and the hairpin in one picture."""
        low, high = sorted((float(self.canal[2]), float(self.hairpin_mm[2])))
        centre = np.array([0.0, 0.0, (low + high) / 2 + 4.0])
        return camera_from((212, 8), centre, max(300.0, 3.2 * (high - low + 50.0))).shifted(0.05, 0.0)

    @cached_property
    def feeder_view(self) -> Camera:
        """The target's artery from its orifice to the tumour."""
        centre = (self.orifice + self.canal) / 2
        return camera_from((236, 20), centre, 165).shifted(0.05, -0.02)

    @cached_property
    def level_picture(self) -> Projection:
        """The C-arm over the tumour's level."""
        return projection("front", (0.0, 0.0, float(self.orifice[2])), 130.0)

    @cached_property
    def feeder_picture(self) -> Projection:
        """The same, close."""
        centre = (self.orifice + self.canal) / 2
        return projection("front", (float(centre[0]), 0.0, float(centre[2])), 74.0)

    @cached_property
    def cord_picture(self) -> Projection:
        """The C-arm over the cord's artery, its hairpin and the trunk it springs from."""
        trunk = self.plan.tree.branch(self.plan.ways.trunk(self.plan.cord))
        low, high = sorted((float(trunk.centreline.points_mm[0][2]), float(self.hairpin_mm[2])))
        return projection("front", (0.0, 0.0, (low + high) / 2 - 6.0), max(110.0, high - low + 56.0))

    @cached_property
    def probe_mm(self) -> float:
        """How deep the artery lies under the ultrasound probe on the skin."""
        body = self.plan.body_at(0.0)["body"].field
        return face_mm(body, self.plan.planes["groin"], 20.0)

    @cached_property
    def groin_picture(self) -> Projection:
        """The C-arm over the femoral head."""
        return projection("front", as_point(self.groin), 150.0)

    def station(self, now: Moment) -> Projection:
        """The C-arm over the tip; the table moves in steps."""
        z = float(self.tip_mm(now)[2])
        step = STATION_MM * np.floor((z - float(self.groin[2])) / STATION_MM + 0.5)
        shares = np.clip(step / (0.0 - float(self.groin[2])), 0.0, 1.0)
        x = (1.0 - shares) * 0.7 * float(self.groin[0])
        return projection("front", (round(x, 1), 0.0, float(self.groin[2]) + step), 170.0)

    def across_nerve(self, at: Mapping[str, Any]) -> tuple[Point, Point]:
        """Front and back of the nerve in the section through the tumour, on the line through where it is thickest."""
        tumour, field = at.get("tumour"), at[self.nerve].field

        def nerve(points: Vector) -> Vector:
            # where the tumour lies what it pushed aside is not: there the field of that says nothing
            return np.asarray(field(points) if tumour is None else np.maximum(field(points), -tumour.field(points)))

        z = float(self.canal[2])
        x, y = np.meshgrid(np.arange(-10.0, 10.1, 0.25), self.canal[1] + np.arange(-16.0, 8.1, 0.25))
        plane = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)])
        deepest = plane[int(np.argmin(nerve(plane)))]
        way = np.arange(0.0, 16.0, 0.05)
        ends = []
        for sign in (1.0, -1.0):
            line = deepest + (sign * way)[:, None] * np.array([0.0, 1.0, 0.0])
            ends.append(as_point(line[int(np.argmax(nerve(line) >= 0.0))]))
        return ends[0], ends[1]

    def head_point(self, at: Mapping[str, Any]) -> Point:
        """A place on the front of the femoral head."""
        return surface_towards(at[f"femur-{self.side}"].field, self.at_groin["head"], (0.3, 1.0, -0.4), 60.0)

    def following(self, tip: Vector) -> Camera:
        """The whole trunk, a little drawn to where the tip is."""
        z = 0.35 * float(tip[2]) + 0.65 * float(self.trunk_view.target_mm[2])
        shift = np.array([0.0, 0.0, z - float(self.trunk_view.target_mm[2])])
        view = self.trunk_view
        return Camera(view.position_mm + shift, view.target_mm + shift, view.up, view.view_angle_deg)

    def picture_of(self, target: Target) -> Projection:
        """The C-arm over one segmental artery."""
        trunk = self.plan.tree.branch(self.plan.ways.trunk(target))
        z = float(trunk.centreline.points_mm[0][2])
        return projection("front", (0.0, 0.0, z), 130.0)

    def foot(self, side: str) -> Vector:
        """A place in front of the shin, where a pulse is felt."""
        sign = 1.0 if side == "right" else -1.0
        low = float(self.at_groin["head"][2]) - 640.0
        return np.array([sign * 95.0, 40.0, low])
