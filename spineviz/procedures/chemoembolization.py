"""Transarterial chemoembolization: from the groin to the tumour's feeder, drug and particles, and weeks of response.

    plan = plan_chemoembolization(load_case())
    plan.state_at("ascent", 0.5), plan.structures_at(...), plan.margins["route_mm"]

The patient lies on the back; the bone is not broken; the tumour has grown into the canal. What is planned (and kept)
is how the devices lie on every stretch of their way (navigation.py); flow, drug and response follow from it in closed
form.
"""

from __future__ import annotations

import csv
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.ahead import bones_ahead
from spineviz.anatomy.arterial_cells import arterial_cells, tumour_cells
from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS
from spineviz.anatomy.arteries import ArterialTree, arterial_tree, parse_adamkiewicz
from spineviz.anatomy.column import Column, column
from spineviz.anatomy.epidural import Epidural, EpiduralMeasures, epidural
from spineviz.anatomy.epidural_shape import Shape
from spineviz.anatomy.fracture import Heights, fracture
from spineviz.anatomy.groin import Puncture, puncture
from spineviz.anatomy.structure import Cells, Structure, remembered
from spineviz.anatomy.whole_body import whole_body
from spineviz.data.aside import made_by_two
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.films import Film, film
from spineviz.data.sourced import Sourced
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Points, unit
from spineviz.geometry.frames import Frame
from spineviz.geometry.operators import offset
from spineviz.physics.response import Response, default_response
from spineviz.physics.transport import Embolization, FlowTree, Transport, embolize, flow_figures
from spineviz.procedures import chemo_clock as clock
from spineviz.procedures.angiography import CELL_MM, BloodFlow, reached, run_seconds, runs_of
from spineviz.procedures.case import Case
from spineviz.procedures.chemo_devices import devices_at
from spineviz.procedures.chemo_parts import bead_places, beads, cells_of_both, in_flight, roadmap, with_contrast
from spineviz.procedures.film_plan import FilmPlan
from spineviz.procedures.kept import Packed, keep_plan, kept_plan, plan_digest, taken, under
from spineviz.procedures.navigation import (
    Kit,
    Navigation,
    Posture,
    Target,
    Ways,
    chosen_kit,
    least_clearance_mm,
    navigation_figure,
    plan_navigation,
    sharpest_mm,
)
from spineviz.procedures.state import EndovascularState, progress, smoothstep

NAME = "chemoembolization"
CORD_ARTERIES = ("adamkiewicz", "anterior-spinal", "anterior-spinal-upper")
_KEPT = 24
_LARGE_ML, _SMALL_ML = 10, 1
"""Syringes for contrast, and for the small pulses of drug and particles."""


@cache
def drug_doses() -> Mapping[str, Sourced]:
    """Agent -> its dose, mg, of assets/devices/drugs.csv."""
    with asset("devices", "drugs.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["name"]: Sourced(float(row["dose_mg"]), "mg", row["citation"], row["mark"])
            for row in csv.DictReader(file)
        }


@dataclass(frozen=True, eq=False)
class ChemoembolizationPlan(FilmPlan):
    """What will be done for one case; build it with `plan_chemoembolization`.

    Attributes:
        case: as given.
        digest: names the plan: equal digests, equal plans.
        runs: the segmental arteries that are injected, the target first and the cord's last.
        grown: the tumour.
        navigation: how the devices lie on every stretch of their way.
        puncture: where the artery is entered.
    """

    PROCEDURE: ClassVar[str] = NAME

    case: Case
    digest: str
    runs: tuple[Target, ...]
    grown: Epidural
    navigation: Navigation
    puncture: Puncture
    _kept: OrderedDict[tuple, Any] = field(default_factory=OrderedDict, repr=False, init=False)

    # what it is about -------------------------------------------------------------------------------------------------

    @property
    def level(self) -> str:
        """The vertebra with the tumour."""
        return self.case.spine.level

    @property
    def target(self) -> Target:
        """(level, side) of the segmental artery that feeds the tumour."""
        return self.runs[0]

    @property
    def cord(self) -> Target:
        """(level, side) of the segmental artery from which the cord's artery springs."""
        return self.runs[-1]

    @property
    def film(self) -> Film:
        """The clock of the film that shows it."""
        return film(NAME)

    @cached_property
    def column(self) -> Column:
        """The column as the patient lies."""
        return column(self.level, lying=1.0)

    @cached_property
    def tree(self) -> ArterialTree:
        """The arteries, the tumour's feeders with them."""
        return case_tree(self.case, self.grown)

    @cached_property
    def ways(self) -> Ways:
        """The ways on the tree from the puncture."""
        return case_ways(self.case, self.tree)

    @cached_property
    def flow(self) -> BloodFlow:
        """The blood."""
        return BloodFlow(self.tree, float(self._tumour_cells.volume_mm3.sum()) / 1000.0)

    @cached_property
    def response(self) -> Response:
        """The illustrative law of the weeks afterwards."""
        return default_response()

    @property
    def has_cord(self) -> bool:
        """Whether the cord reaches down to the tumour; else it presses on roots alone."""
        return self.grown.has_cord

    def summary(self) -> str:
        """What will be done, in a line."""
        groin, far = self.case.artery.access_side, self.parked.outer_mm / 10.0
        return (
            f"{self.case.catheter.french} French catheter from the {groin} groin, {far:.0f} cm to {self.target[1]} "
            f"{self.level}; {len(self.runs)} arteries injected, the cord's is {self.cord[1]} {self.cord[0]}"
        )

    # devices ----------------------------------------------------------------------------------------------------------

    @cached_property
    def kit(self) -> Kit:
        """The devices that are led."""
        return chosen_kit(self.case.catheter.french, self.case.catheter.micro_french)

    def posture(self, stretch: str, walked: float) -> Posture | None:
        """How the devices of a stretch lie; None where there are none."""
        if not stretch:
            return None
        key = ("posture", stretch, round(walked, 5))
        return self._remembered(key, lambda: self.navigation.passages[stretch].at(round(walked, 5)))

    def micro_posture(self, stretch: str, walked: float) -> Posture | None:
        """The same of the microcatheter, from the catheter's tip on."""
        if stretch == "micro-out":
            return self.posture("micro", 1.0 - walked)
        return self.posture(stretch, walked)

    def _lengths(self, stretch: str, walked: float) -> tuple[float, float]:
        if not stretch:
            return 0.0, 0.0
        return self.navigation.passages[stretch].lengths(round(walked, 5))

    @cached_property
    def parked(self) -> Posture:
        """The catheter in the target's artery, back from the search."""
        return self.navigation.passages["return"].end

    @cached_property
    def micro_tip(self) -> tuple[str, float]:
        """The vessel and the way along it where the microcatheter's tip comes to lie."""
        feeder = self.tree.branch("feeder-1")
        tip = self.navigation.passages["micro"].end
        point = (tip.outer_line if tip.outer_line is not None else tip.points_mm)[-1]
        line = feeder.centreline
        return feeder.name, float(line.arc_mm[np.argmin(np.linalg.norm(line.points_mm - point, axis=1))])

    # blood, contrast, drug --------------------------------------------------------------------------------------------

    def transport(self, injection: str) -> Transport:
        """What the injection of that name does."""
        return self._remembered(("transport", injection), lambda: self._transport(injection))

    def _transport(self, injection: str) -> Transport:
        if injection == "micro":
            return self.flow.injected(*self.micro_tip, "micro")
        target = self.injected_artery(injection)
        trunk = self.tree.branch(self.ways.trunk(target))
        way = trunk.wall_mm + navigation_figure("parked_mm")
        after = self.treated_flow if injection.startswith("final") else None
        return self.flow.injected(trunk.name, way, clock.kind_of(injection), after)

    def contrast_ml(self, done: clock.Done) -> float | None:
        """How much contrast has been given in all; None before the first."""
        begun = [leg for leg in clock.injections(self.runs) if leg.over(done) > 0.0]
        if not begun:
            return None
        return sum(
            self.transport(leg.name).injections[0].given_ml(clock.followed_s(leg.name, leg.over(done))) for leg in begun
        )

    def injected_artery(self, injection: str) -> Target:
        """The segmental artery that the injection of that name goes into."""
        if injection.startswith("run-"):
            return self.runs[int(injection.removeprefix("run-")) - 1]
        return self.cord if injection == "final-cord" else self.target

    @cached_property
    def embolization(self) -> Embolization:
        """The pulses of drug and particles, and when to stop."""
        piece, at = self.flow.place(*self.micro_tip)
        figures = flow_figures()
        return embolize(
            self.flow.flow,
            piece,
            at,
            figures["pulse_ml"],
            figures["pulse_ml_s"],
            navigation_figure("every_s"),
            round(navigation_figure("most_pulses")),
            figures["particles_mg"] / navigation_figure("mix_ml"),
            navigation_figure("capacity_mg"),
        )

    @cached_property
    def treated_flow(self) -> FlowTree:
        """The blood when the tumour's bed is closed as far as the particles closed it."""
        flow = self.flow.flow
        left = self._bed_left
        return flow.with_open(flow.open_share * np.where(flow.tumour_share > 0, left, 1.0))

    @property
    def _bed_left(self) -> float:
        return max(1e-3, 1.0 - float(self.embolization.lodged_mg[-1]) / navigation_figure("capacity_mg"))

    @property
    def drug_s(self) -> float:
        """How long the pulses take in life, seconds."""
        return self.embolization.pulses[-1].end_s

    @property
    def dose_planned_mg(self) -> float:
        """The dose of the agent in all of the mixture."""
        return drug_doses()[self.case.drug.agent].value

    def dose_mg(self, drug_s: float) -> float:
        """What of the drug has been given `drug_s` seconds after the first pulse began."""
        given = sum(pulse.given_ml(drug_s) for pulse in self.embolization.pulses)
        return self.dose_planned_mg * min(1.0, given / navigation_figure("mix_ml"))

    @cached_property
    def reaches_cord_mg(self) -> float:
        """Particles that go to the arteries of the cord: none in any plan that goes on."""
        ends = [self.flow.pieces(name)[-1] for name in CORD_ARTERIES if name in self.tree.branches]
        return float(self.embolization.astray_mg[ends].sum())

    # moments ----------------------------------------------------------------------------------------------------------

    def state_at(self, step: str, share: float, measured: bool = True, placed: bool = True) -> EndovascularState:
        """See `FilmPlan.state_at`; where it is not `placed`, the level of the tip, for which the device's shape must be
        found, is left out too."""
        here = self.step_at(step, share)
        done = progress(self.film, step, share)
        stretch, walked = clock.on_way(done, self.runs)
        micro, micro_walked = clock.micro_on_way(done)
        run, run_s = clock.injected(done, self.runs)
        outer, wire = self._lengths(stretch, walked)
        micro_mm, micro_wire = self._micro_lengths(micro, micro_walked)
        drug_s = done("drug", "pulses") * self.drug_s if done("drug", "pulses") > 0.0 else None
        weeks = done("weeks", "time") * self.response.weeks if done("weeks", "start") > 0.0 else None
        size = self.tumour_share(smoothstep(done("compression", "growth")), weeks)
        found = self.measures(size) if measured and size > 0.0 else None
        tip = self.posture(stretch, walked) if placed else None
        return EndovascularState(
            time_s=here.start_s + share * here.seconds,
            step=step,
            share=share,
            anterior_height_mm=self._heights.anterior_mm,
            posterior_height_mm=self._heights.posterior_mm,
            wedge_deg=self._heights.wedge_deg,
            catheter_mm=outer or None,
            wire_mm=self.parked.outer_mm + micro_wire if micro_wire else wire or None,
            micro_mm=self.parked.outer_mm + micro_mm if micro_mm else None,
            dose_mg=None if drug_s is None else self.dose_mg(drug_s),
            lodged_mg=None if drug_s is None else self.embolization.lodged_mg_at(drug_s),
            tumour_diameter_mm=None if found is None else found.diameter_mm,
            tumour_neural_mm=None if found is None else found.neural_mm,
            canal_share=1.0 if size <= 0.0 else None if found is None else found.canal_share,
            cord_depth_mm=self.measures(size).cord_depth_mm if measured else None,
            tumour=size,
            dead_share=0.0 if weeks is None else self.response.dead_share(weeks),
            weeks=weeks,
            tip_level=None if tip is None else self.tree.nearest_level(tip.catheter_tip_mm),
            stretch=stretch,
            walked=walked,
            micro_stretch=micro,
            micro_walked=micro_walked,
            run=run,
            run_s=run_s,
            contrast_ml=self.contrast_ml(done),
            drug_s=drug_s,
            flow_share=None if drug_s is None else self.embolization.flow_share_at(drug_s),
            pressure_min=self._pressure_min(done("closing", "press")),
            in_room=done("access", "start") > 0.0 and done("access", "layers") <= 0.0,
            numb_share=done("access", "room"),
            nick_share=done("access", "nick"),
            syringe=self._syringe(done, run, run_s, drug_s),
            **self._access(done),
        )

    def _syringe(self, done: clock.Done, run: str, run_s: float, drug_s: float | None) -> tuple[str, int, float] | None:
        """The syringe on the catheter: blood drawn back, contrast of an injection, small pulses of drug."""
        drawn = done("hook", "blood")
        if drawn > 0.0 and done("hook", "contrast") <= 0.0:
            return "artery", _LARGE_ML, smoothstep(drawn) * navigation_figure("drawn_back_ml") / _LARGE_ML
        if run:
            given = self.transport(run).injections[0].given_ml(run_s)
            return "contrast", _LARGE_ML, max(0.0, 1.0 - given / _LARGE_ML)
        if done("drug", "mix") > 0.0 and done("drug", "out") <= 0.0:
            return "drug", _SMALL_ML, self._left_in_syringe(drug_s)
        return None

    def _left_in_syringe(self, drug_s: float | None) -> float:
        """How full the syringe is from which pulses are given: it is filled again between two of them."""
        if drug_s is None:
            return 1.0
        pulses = self.embolization.pulses
        last = [pulse for pulse in pulses if pulse.start_s <= drug_s][-1]
        pause = navigation_figure("every_s") - (last.end_s - last.start_s)
        refilled = 0.0 if last is pulses[-1] else min(1.0, max(0.0, (drug_s - last.end_s) / pause))
        return 1.0 - (1.0 - refilled) * last.given_ml(drug_s) / _SMALL_ML

    def _access(self, done: clock.Done) -> dict[str, Any]:
        """Needle, sheath and dilator: the needle goes when the wire is in, the dilator when the sheath is."""
        from spineviz.procedures.chemo_devices import BEFORE_SKIN_MM

        out: dict[str, Any] = {}
        reach = float(np.linalg.norm(self.puncture.axis_mm - self.puncture.skin_mm))
        needle, sheath = smoothstep(done("access", "needle")), smoothstep(done("access", "sheath"))
        drawn = smoothstep(2.5 * done("access", "sheath"))
        if done("access", "needle") > 0.0 and drawn < 1.0:
            way = -BEFORE_SKIN_MM + needle * (reach + BEFORE_SKIN_MM)
            out["needle_mm"] = way - drawn * (reach + BEFORE_SKIN_MM)
            # blood comes when the tip is in the artery, until the wire goes in
            out["blood_share"] = smoothstep(done("access", "blood")) if done("access", "wire") <= 0.0 else 0.0
        pulled = smoothstep((done("closing", "out") - 0.6) / 0.4)
        into = smoothstep((done("access", "sheath") - 0.4) / 0.6)
        if sheath > 0.4 and into > 0.0 and pulled < 1.0:
            out["sheath_mm"] = self.sheath_reach_mm * into * (1.0 - pulled)
            out["dilator"] = 1.0 - smoothstep(done("access", "ready"))
        return out

    @cached_property
    def sheath_reach_mm(self) -> float:
        """How much of the sheath is past the skin when it is in."""
        from spineviz.procedures.chemo_devices import sheath_size

        return sheath_size(self.case.catheter.french).length_mm

    def _micro_lengths(self, stretch: str, walked: float) -> tuple[float, float]:
        if stretch == "micro-out":
            outer, _ = self._lengths("micro", 1.0 - walked)
            return outer, 0.0
        return self._lengths(stretch, walked)

    def _pressure_min(self, pressed: float) -> float | None:
        return None if pressed <= 0.0 else navigation_figure("pressure_min") * pressed

    def tumour_share(self, growth: float, weeks: float | None) -> float:
        """The tumour's diameter as a share of the full-grown one, at `growth` before and at `weeks` after."""
        return round(growth if weeks is None else self.response.diameter_share(weeks), 3)

    def measures(self, share: float) -> EpiduralMeasures:
        """What is measured when the tumour has `share` of its diameter."""
        return self._remembered(
            ("measures", round(share, 3)), lambda: self.grown.measures(whole_body(self.column), round(share, 3))
        )

    @cached_property
    def _heights(self) -> Heights:
        return fracture(self.level, "wedge", 0.35, self.case.seed).heights(0.0)

    # structures -------------------------------------------------------------------------------------------------------

    def structures_at(self, state: EndovascularState, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; `surroundings` "spine" leaves out what lies round it."""
        out = {**self.body_at(state.tumour), **self._vessels(state)}
        if surroundings != "trunk":
            out = {name: part for name, part in out.items() if part.role not in ("skin", "muscle", "lung")}
        out |= devices_at(self, state)
        out |= self._given(state)
        if state.in_room and surroundings == "trunk":
            from spineviz.devices.angio_suite import angio_suite

            out |= angio_suite(self.level)
        return out

    def body_at(self, tumour: float) -> dict[str, Structure]:
        """The body with the tumour at a share of its diameter, and what it presses aside."""
        return self._remembered(("body", tumour), lambda: self._body_at(tumour))

    def _body_at(self, tumour: float) -> dict[str, Structure]:
        arteries = {name: part for name, part in self.tree.structures().items() if name in CORD_ARTERIES}
        out = {**self.grown.displaced({**whole_body(self.column), **arteries}, tumour)}
        if tumour > 0.0:
            out["tumour"] = self.grown.tumour(tumour)
        return out

    def _vessels(self, state: EndovascularState) -> dict[str, Structure]:
        """The arteries but those of the cord; the tumour's own are there once it has grown."""
        fed = state.weeks is not None or state.tumour >= 1.0
        return {
            name: part
            for name, part in self.tree.structures().items()
            if name not in CORD_ARTERIES and (fed or not name.startswith("feeder"))
        }

    def _given(self, state: EndovascularState) -> dict[str, Structure]:
        """Contrast, roadmap, drug, and the tumour's dead centre."""
        out: dict[str, Structure | None] = {}
        if state.run:
            out["contrast"] = self.contrast(state.run, state.run_s)
        if state.step == "feeder":
            out["roadmap"] = self._remembered(("roadmap",), self._roadmap)
        if state.drug_s is not None:
            out["drug"] = self._drug(state)
        if state.dead_share > 0.02:
            out["necrosis"] = self.grown.dead_core(state.tumour, round(state.dead_share, 3))
        return {name: part for name, part in out.items() if part is not None}

    @cached_property
    def _told(self) -> tuple[Cells, dict[str, tuple[int, NDArray[np.float64]]]]:
        """What contrast is told in, arteries and tumour; and which of its cells are whose."""
        arteries, where = arterial_cells(self.tree, CELL_MM)
        return cells_of_both(arteries, self._tumour_cells), where

    @cached_property
    def _tumour_cells(self) -> Cells:
        """The tumour with the rim of bone round it that blushes too."""
        grown = self.grown.tumour(1.0)
        return tumour_cells(offset(grown.field, flow_figures()["blush_rim_mm"]), grown.key)

    def contrast(self, injection: str, time_s: float) -> Structure | None:
        """Contrast of the injection of that name, `time_s` after it began."""
        key = ("contrast", injection, round(time_s, 3))

        def make() -> Structure | None:
            transport = self.transport(injection)
            share, blush = self.flow.shares(transport, time_s), self.flow.blush(transport, time_s)
            return with_contrast("contrast", "contrast", self.tree, *self._told, share, blush)

        return self._remembered(key, make)

    def _roadmap(self) -> Structure:
        return roadmap(self.tree, self._told[0], self.flow.peak(self.transport("run-1"), run_seconds("segmental")))

    @cached_property
    def _bead_places(self) -> Points:
        return bead_places(self.grown.tumour(1.0).field, self.case.seed)

    def _drug(self, state: EndovascularState) -> Structure | None:
        """Beads that have lodged, and those on their way; they stay with the tumour as it shrinks."""
        assert state.drug_s is not None
        capacity = navigation_figure("capacity_mg")
        places = self._bead_places
        lodged = places[: round(len(places) * min(1.0, (state.lodged_mg or 0.0) / capacity))]
        if state.weeks is not None:
            lodged = self.grown.shrunk_points(lodged, state.tumour)
        flying = np.zeros((0, 3))
        if state.step == "drug" and 0.0 < state.drug_s < self.drug_s:
            name, way = self.micro_tip
            line = self.tree.branch(name).centreline
            flying = in_flight(
                Curve(line.part(way, line.length_mm).points_mm),
                state.drug_s,
                navigation_figure("every_s"),
                self.case.seed,
            )
        return beads(np.concatenate([lodged, flying]), self.digest[:12])

    def coming(self, step: str, share: float) -> Iterator[str]:
        """See `FilmPlan.coming`."""
        state = self.state_at(step, share, measured=False, placed=False)
        pairs = {
            "wire": state.wire_mm is not None and not state.micro_stretch,
            "catheter": state.catheter_mm is not None,
            "microcatheter": state.micro_mm is not None,
            "micro-wire": state.micro_stretch != "" and state.wire_mm is not None,
            "needle": state.needle_mm is not None,
            "blood": state.blood_share > 0.0,
            "syringe": state.syringe is not None,
            "sheath": state.sheath_mm is not None,
            "tumour": state.tumour > 0.0,
            "contrast": state.run != "",
            "drug": state.drug_s is not None and (state.lodged_mg or 0.0) > 0.0,
            "necrosis": state.dead_share > 0.02,
        }
        yield from (name for name, there in pairs.items() if there)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names that stand for several structures in an export: "vessels" is every artery."""
        return {"vessels": tuple(self.tree.structures())}

    # planes -----------------------------------------------------------------------------------------------------------

    @cached_property
    def planes(self) -> dict[str, Frame]:
        """world_from_plane of the sections: x is the picture's right, y its up, z towards who looks.

        Seen from the front: "axial" through the tumour in the canal, front uppermost, left on screen right; "sagittal"
        beside the middle on the tumour's side, head up, front on the left; "orifice" like "axial", where the target's
        artery springs, midway from the aorta's middle to the canal's; "groin" across the vessels at the puncture, front
        uppermost.
        """
        axial = np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
        sagittal = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        middle = self.grown.canal_point_mm
        trunk = self.tree.branch(self.ways.trunk(self.target))
        orifice = trunk.centreline.at(trunk.wall_mm + 2.0)[0]
        between = (trunk.centreline.points_mm[0][1] + middle[1]) / 2
        return {
            "axial": Frame(axial, np.array([0.0, 0.45 * middle[1], middle[2]])),
            "sagittal": Frame(sagittal, np.array([0.6 * middle[0], 0.0, 0.0])),
            "orifice": Frame(axial, np.array([0.0, between, orifice[2]])),
            "groin": self._groin_plane(),
        }

    def _groin_plane(self) -> Frame:
        """Across the femoral artery where it is entered."""
        name, way = self.puncture.branch, self.puncture.way_mm
        line = self.tree.branch(name).centreline
        near = int(np.argmin(np.abs(line.arc_mm - way)))
        along = line.tangents()[near]  # down the leg
        right = unit(np.array([-1.0, 0.0, 0.0]) + along[0] * along)
        out = np.cross(along, right)
        return Frame(np.stack([right, out, np.cross(right, out)], axis=1), self.puncture.axis_mm)

    # numbers ----------------------------------------------------------------------------------------------------------

    @cached_property
    def margins(self) -> dict[str, float]:
        """How long the way is, how near the plan comes to what it must not touch, and what it gains."""
        before, after = self.measures(1.0), self.measures(self.tumour_share(1.0, self.response.weeks))
        return {
            "route_mm": self.parked.outer_mm,
            "route_to_feeder_mm": self.parked.outer_mm + self.navigation.passages["micro"].end.outer_mm,
            "route_middle_mm": self.ways.wall_mm(self.target),
            "least_wall_clearance_mm": least_clearance_mm(self.navigation),
            "sharpest_bend_mm": min(sharpest_mm(self.navigation).values()),
            "past_aortic_wall_mm": self.ways.past_wall_mm(self.target, self.parked.points_mm[-1]),
            "arteries_injected": float(len(self.runs)),
            "canal_share_before": before.canal_share,
            "canal_share_after": after.canal_share,
            "cord_depth_before_mm": before.cord_depth_mm,
            "cord_depth_after_mm": after.cord_depth_mm,
            "neural_before_mm": before.neural_mm,
            "neural_after_mm": after.neural_mm,
            "tumour_before_mm": before.diameter_mm,
            "tumour_after_mm": after.diameter_mm,
            "particles_to_cord_mg": self.reaches_cord_mg,
            "contrast_to_cord_ml": self._contrast_to_cord_ml,
        }

    @cached_property
    def _contrast_to_cord_ml(self) -> float:
        """What an injection from the microcatheter sends into the cord's artery."""
        found = reached(self.flow, self.transport("micro"), 60.0)
        return sum(found[name] for name in CORD_ARTERIES if name in found)

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name, by placeholder."""
        m, healthy = self.margins, self.measures(0.0)
        given = self.embolization
        return {
            "level": self.level,
            "access_side": self.case.artery.access_side,
            "target_side": self.target[1],
            "cord_level": self.cord[0],
            "cord_side": self.cord[1],
            "agent": self.case.drug.agent,
            "tumour_mm": self.case.tumour.diameter_mm,
            "tumour_side": self.case.tumour.side,
            "presses": "cord" if self.has_cord else "roots",
            "french": float(self.case.catheter.french),
            "micro_french": self.case.catheter.micro_french,
            "runs": float(len(self.runs)),
            "route_cm": m["route_mm"] / 10.0,
            "top_cm": self.navigation.passages["climb"].end.outer_mm / 10.0,
            "before_canal_pct": 100.0 * m["canal_share_before"],
            "after_canal_pct": 100.0 * m["canal_share_after"],
            "healthy_cord_depth_mm": healthy.cord_depth_mm,
            "before_cord_depth_mm": m["cord_depth_before_mm"],
            "after_cord_depth_mm": m["cord_depth_after_mm"],
            "before_neural_mm": m["neural_before_mm"],
            "after_neural_mm": m["neural_after_mm"],
            "before_diameter_mm": m["tumour_before_mm"],
            "after_diameter_mm": m["tumour_after_mm"],
            "smaller_pct": 100.0 * (1.0 - m["tumour_after_mm"] / m["tumour_before_mm"]),
            "stop_reason": given.stop,
            "stop_flow_pct": 100.0 * flow_figures()["stop_share"],
            "end_flow_pct": 100.0 * float(given.flow_share[-1]),
            "pulses": float(len(given.pulses)),
            "drug_min": self.drug_s / 60.0,
            "dose_planned_mg": self.dose_planned_mg,
            "dose_given_mg": self.dose_mg(self.drug_s),
            "weeks": self.response.weeks,
            "pressure_min": navigation_figure("pressure_min"),
            "contrast_ml": self.contrast_ml(lambda step, beat: 1.0) or 0.0,
            **m,
        }

    def flow_course(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) seconds since the first pulse, and (N,) flow in the feeder as a share of the first."""
        times = [0.0, *(pulse.end_s for pulse in self.embolization.pulses)]
        return np.array(times), np.asarray(self.embolization.flow_share)

    def response_course(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(N,) weeks, (N,) the tumour's diameter, mm, and (N,) the share of the canal that is free."""
        return self._remembered(("response",), self._response_course)

    def _response_course(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        weeks = np.linspace(0.0, self.response.weeks, 25)
        found = [self.measures(self.tumour_share(1.0, float(week))) for week in weeks]
        return weeks, np.array([m.diameter_mm for m in found]), np.array([m.canal_share for m in found])

    def resolved(self) -> dict[str, Any]:
        """The case as nested values with "auto" resolved, as far as this procedure decides it."""
        table = self.case.table()
        if table["tumour"]["extent"] == "auto":
            table["tumour"]["extent"] = "epidural"
        return table

    def _remembered(self, key: tuple, make: Any) -> Any:
        return remembered(self._kept, key, make, _KEPT if key[0] != "measures" else 256)


# ---- planning -------------------------------------------------------------------------------------------------------


def case_tumour(case: Case, shape: Shape | None = None) -> Epidural:
    """The tumour of `case`, of a `shape` that was kept; RequestError, naming the key, where it cannot be."""
    if case.tumour.extent == "body":
        raise RequestError(
            "tumour.extent: body is a tumour inside the bone alone; this film shows one that presses on cord or "
            "roots;\ngive auto or epidural"
        )
    return epidural(case.spine.level, case.tumour.diameter_mm, case.tumour.side, case.seed, shape)


def case_tree(case: Case, grown: Epidural) -> ArterialTree:
    """The arteries of `case` as the patient lies, with the feeders of the tumour `grown`; equal cases, equal trees."""
    target = (case.spine.level, case.artery.target_side)
    return arterial_tree(column(case.spine.level, lying=1.0), case.artery.adamkiewicz, grown.bone_part.field, target)


def led_tree(case: Case, grown: Epidural | None) -> ArterialTree:
    """Those arteries of `case_tree` that devices are led through; without a tumour those but its feeders."""
    levels = {level for level, _ in case_runs(case)}
    target = (case.spine.level, case.artery.target_side)
    return arterial_tree(
        column(case.spine.level, lying=1.0), "none", None if grown is None else grown.bone_part.field, target,
        [level for level in SEGMENTAL_LEVELS if level in levels],
    )  # fmt: skip


def case_puncture(case: Case) -> Puncture:
    """Where the artery is entered."""
    return puncture(column(case.spine.level, lying=1.0), case.artery.access_side)


def case_ways(case: Case, tree: ArterialTree) -> Ways:
    """The ways on the `tree` of `case` from the puncture."""
    found = case_puncture(case)
    return Ways(tree, (found.branch, found.way_mm))


def case_runs(case: Case) -> tuple[Target, ...]:
    """The segmental arteries that are injected; RequestError where the cord's artery forbids it, or is not found."""
    if case.spine.level not in SEGMENTAL_LEVELS:
        raise RequestError(f"spine.level: {case.spine.level} has no segmental artery here; give T4 to L4")
    found = parse_adamkiewicz(case.artery.adamkiewicz)
    cord = None if found is None else (found[1], found[0])
    return runs_of((case.spine.level, case.artery.target_side), cord)


def plan_chemoembolization(case: Case) -> ChemoembolizationPlan:
    """The plan for `case`, read from the cache or made and kept there.

    Raises RequestError, naming the key: where the tumour cannot be as asked, the level has no segmental artery, the
    cord's artery shares the tumour's or is not found, or a device is wider than a vessel.
    """
    runs = case_runs(case)
    digest = plan_digest(NAME, case.canonical())
    found = kept_plan(digest)
    if found is not None:
        try:
            return _unpacked(case, digest, runs, found)
        except (KeyError, TypeError, ValueError):
            pass  # a damaged file is made anew
    bones_ahead()
    kit = chosen_kit(case.catheter.french, case.catheter.micro_french)
    # the arteries are laid while a copy grows the tumour; its feeders are added to them at once
    makes: list[Callable[[], Any]] = [lambda: led_tree(case, None), lambda: case_tumour(case).shape]
    _, grown = made_by_two(makes)
    ways = case_ways(case, led_tree(case, case_tumour(case, grown)))
    numbers, arrays = plan_navigation(ways, kit, runs, runs[-1]).packed()
    entered, places = case_puncture(case).packed()
    arrays |= under("tumour", grown.packed()) | under("puncture", places)
    packed = {**numbers, "puncture": entered}, arrays
    keep_plan(digest, *packed)
    return _unpacked(case, digest, runs, packed)


def _unpacked(case: Case, digest: str, runs: tuple[Target, ...], packed: Packed) -> ChemoembolizationPlan:
    numbers, arrays = packed
    grown = case_tumour(case, Shape.unpacked(taken("tumour", arrays)))
    patient = column(case.spine.level, lying=1.0)
    entered = Puncture.unpacked(patient, numbers["puncture"], taken("puncture", arrays))
    return ChemoembolizationPlan(case, digest, runs, grown, Navigation.unpacked(numbers, arrays), entered)


__all__ = ["NAME", "ChemoembolizationPlan", "case_runs", "case_tumour", "drug_doses", "plan_chemoembolization"]
