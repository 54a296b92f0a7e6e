"""Kyphoplasty: one line through each pedicle for needle, pin, cannula, drill and balloon; a cavity, then cement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.patient import Patient
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.aside import made_by_two
from spineviz.data.errors import RequestError
from spineviz.devices.cannula import cannula_structures, dilator_structure
from spineviz.devices.catalogue import (
    BalloonSize,
    NeedleSize,
    balloon_size,
    balloon_sizes,
    cannula_size,
    cannula_sizes,
    drill_mm,
    filler_mm,
    kyphoplasty_parts,
    needle_before,
    pin_length_mm,
    tool_length_mm,
)
from spineviz.devices.drill import channel_structure, drill_structures
from spineviz.devices.filler import filler_structures
from spineviz.devices.needle import NeedleShape, needle_structures
from spineviz.devices.pin import pin_structures
from spineviz.devices.tamp import tamp_structures, working_ends_mm
from spineviz.geometry.fields import Field, capsule
from spineviz.geometry.meshes import Mesh, joined, mesh_field
from spineviz.geometry.operators import union
from spineviz.physics.balloon import Bed, Inflation, inflate
from spineviz.physics.cement import Fill, fill, in_pulses
from spineviz.physics.compaction import Rim, rim_round_cavities, rim_round_membranes, rim_speed
from spineviz.physics.displacement import Displacement, Hollow, pushed_aside
from spineviz.procedures.access import (
    PlannedNeedle,
    Widest,
    bone_ahead_of,
    needle_length_mm,
    plan_paths,
    rules,
    walls,
)
from spineviz.procedures.augmentation import (
    BEFORE_SKIN_MM,
    AugmentationPlan,
    Leg,
    case_patient,
    gain_words,
    height_words,
    planned,
    present,
    tumour_measures,
    way_along,
)
from spineviz.procedures.case import Case
from spineviz.procedures.filling import (
    Cement,
    auto_balloon_ml,
    back_quarter_mm,
    body_volume_ml,
    cement_figure,
    check_volume,
    kyphoplasty_figure,
    room_of,
    speed_in,
)
from spineviz.procedures.kept import Packed, taken, under
from spineviz.procedures.needle_path import NeedlePath, NoPathError, Rules, Surroundings, bone_ahead_mm, remeasured
from spineviz.procedures.state import Done, State, smoothstep

_STOPS = ("height", "contact", "pressure", "rating", "volume")
"""Why an inflation stops; where the two sides differ, the first of these is what is told."""
_THROUGH = 0.4
"""Share of a beat in which a tool runs through the cannula; in the rest it works. Chosen for legibility."""
_RIM_STEPS, _RIM_LETS = 40, 12
"""In how many steps rim and tumour follow the inflation, and with the cavity's volume the deflation."""
_TUMOUR_MM = 0.8
"""How finely a tumour that was pushed aside is meshed."""
_LEAST_PACKED_ML = 0.03
"""With less in them balloons have packed nothing yet."""
_STEEPEST_DEG = 20.0
"""About the steepest slant of a line to the midline through a narrow pedicle."""
_LEAST_SHOWN_LIFT = 0.01
"""A smaller lift is not told as one."""
_LEAST_BALLOON_ML = 0.02
"""With less in it a balloon is still its folded sleeve."""


@dataclass(frozen=True)
class Stations:
    """Where the instruments of one side rest on their line, as ways of their tips from the skin, and their lengths; mm.

    Attributes:
        needle_mm, pin_mm, cannula_mm, drill_mm, tamp_mm, filler_mm: the ways; of the tamp its foremost point.
        pin_long_mm, cannula_long_mm, drill_long_mm, tamp_long_mm, filler_long_mm: the lengths.
        ahead_mm: bone left in front of the drill.
        marker_clear_mm: from the cannula's tip to the balloon's rear marker.
    """

    needle_mm: float
    pin_mm: float
    cannula_mm: float
    drill_mm: float
    tamp_mm: float
    filler_mm: float
    pin_long_mm: float
    cannula_long_mm: float
    drill_long_mm: float
    tamp_long_mm: float
    filler_long_mm: float
    ahead_mm: float
    marker_clear_mm: float


@dataclass(frozen=True)
class Packing:
    """Round what bone is packed: balloons that hold `volumes_ml` by side at `lift`, or, once the balloons let go, the
    cavity when `deflated` (0 to 1) of that is over."""

    volumes_ml: Mapping[str, float]
    lift: float
    deflated: float | None

    @property
    def key(self) -> str:
        """Names it."""
        if self.deflated is not None:
            return f"cavity-{self.deflated:.3f}"
        return "-".join(f"{volume:.3f}" for volume in self.volumes_ml.values()) + f"-{self.lift:.4f}"

    def rim(self, inflation: Inflation) -> Rim:
        """The packed bone."""
        if self.deflated is not None:
            found = rim_round_cavities(inflation, self.deflated)
        else:
            found = rim_round_membranes(inflation, self.volumes_ml, self.lift)
        assert found is not None  # there is something to lie round
        return found

    def hollow(self, inflation: Inflation, side: str) -> Field:
        """The balloon or cavity of `side`."""
        if self.deflated is not None:
            return inflation.cavity(side, self.deflated)
        return inflation.membrane(side, self.volumes_ml[side], self.lift)

    def tumour(self, here: Patient, inflation: Inflation, tag: str) -> Structure:
        """The tumour beside it: soft tissue is pushed aside and keeps its volume."""
        amount = self.amount(here, inflation)
        before = here.tumour_structure(amount, 1.0)
        core = here.treated_bone(amount).core
        assert core is not None
        by = Displacement(
            [Hollow(inflation.chambers[side].bed, self.hollow(inflation, side)) for side in inflation.sides], core
        )
        shape = pushed_aside(before.field, before.mesh(_TUMOUR_MM).volume_ml, by)
        healthy = before.healthy

        @cache
        def mesh(spacing_mm: float) -> Mesh:
            return mesh_field(shape, min(spacing_mm, _TUMOUR_MM))

        return replace(
            before, field=shape, mesh=mesh, key=f"{before.key}-{tag}-{self.key}",
            healthy=None if healthy is None else lambda points: healthy(by.origin(points)[0]),
        )  # fmt: skip

    def amount(self, here: Patient, inflation: Inflation) -> float:
        """The fracture's amount then."""
        lift = self.lift if self.deflated is None else inflation.sinking_lift(self.deflated)
        return here.amount(1.0, 1.0, lift)


@dataclass(frozen=True, eq=False)
class KyphoplastyPlan(AugmentationPlan):
    """What will be done for one case; build it with `plan_kyphoplasty`.

    Attributes:
        stations: where the instruments rest, by side. The lines of `needles` end where the drill does.
        inflation: the course of the balloons.
    """

    PROCEDURE = "kyphoplasty"

    stations: dict[str, Stations]
    inflation: Inflation
    _tumours: dict[str, tuple[float, float, float]] = field(default_factory=dict, repr=False, init=False)
    _measured: dict[tuple[str, int], float] = field(default_factory=dict, repr=False, init=False)

    # what it is about -------------------------------------------------------------------------------------------------

    @property
    def size(self) -> NeedleSize:
        """The access needle's row of the catalogue."""
        return _access_needle(self.case)

    @property
    def balloon(self) -> BalloonSize:
        """The balloon tamp's row of the catalogue."""
        return balloon_size(self.case.balloon.length_mm)

    @property
    def final_amount(self) -> float:
        """The fracture's amount when all is done."""
        return self.patient.amount(1.0, 1.0, self.inflation.sunk_lift)

    @cached_property
    def cavity_ml(self) -> float:
        """What the balloons leave, measured."""
        return sum(self._left_ml(side, 1.0) for side in self.inflation.sides)

    @property
    def beyond_ml(self) -> float:
        """What of the cement goes beyond the cavity's wall."""
        return self.cement.total_ml - self.cavity_ml

    def cannula_way_mm(self, side: str) -> float:
        """The way from the skin of the cannula's tip when it rests."""
        return self.stations[side].cannula_mm

    def bed(self, side: str) -> Bed:
        """Where the balloon of `side` lies."""
        return _bed(self.needles[side], self.stations[side].tamp_mm, self.balloon)

    # moments ----------------------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """What will be done, in a line."""
        balloons, words = len(self.inflation.sides), self.words()
        each = " each" if balloons == 2 else ""
        return (
            f"{self.case.cannula.gauge} gauge cannula, {self._in_pedicle}, {self.case.balloon.length_mm} mm "
            f"balloon{'s' if each else ''} to {float(words['inflated_ml']) / balloons:.1f} mL{each}, "
            f"{self.cement.total_ml:.1f} mL of cement"
        )

    def _own(self, done: Done) -> dict[str, Any]:
        ways: dict[str, float] = {}
        drilled: dict[str, float] = {}
        for side, at in self.stations.items():
            ways |= {f"{tool}-{side}": way for tool, way in _ways(at, self.needles[side], done).items()}
            bitten = way_along(_drilling(at), done)
            if bitten > at.cannula_mm + 0.05:
                drilled[side] = bitten
        cement = self._cement_ml(done)
        return {
            "ways_mm": ways,
            "drilled_mm": drilled,
            "stylet": 0.0 if done("access", "pin") > 0.0 else 1.0,
            "turn_deg": self._turn_deg(drilled),
            "cement_ml": cement,
            "plunger": 0.0 if cement is None else cement / self.cement.total_ml,
            **self._balloons(done, ways),
        }

    def _turn_deg(self, drilled: Mapping[str, float]) -> float:
        on = max((way - self.stations[side].cannula_mm for side, way in drilled.items()), default=0.0)
        return 360.0 * on / kyphoplasty_figure("drill_lead_mm")

    def _cement_ml(self, done: Done) -> float | None:
        filled = done("cement", "fill")
        if filled <= 0.0:
            return None
        void_ml = self.filling.void_ml
        then_ml = self.cement.total_ml - void_ml
        into, beyond = in_pulses(filled, _pulses(void_ml)), in_pulses(done("cement", "beyond"), _pulses(then_ml))
        return void_ml * into + then_ml * beyond

    def _balloons(self, done: Done, ways: Mapping[str, float]) -> dict[str, Any]:
        share, deflated = done("inflation", "inflate"), done("cavity", "deflate")
        moment = self.inflation.at(share)
        out: dict[str, Any] = {"inflation": share, "deflation": deflated}
        out["lift"] = moment.lift if deflated <= 0.0 else self.inflation.sinking_lift(deflated)
        for side, _ in present(ways, "tamp"):
            volume, psi = moment.volume_ml[side], moment.pressure_psi[side]
            if deflated > 0.0:
                volume = self._emptying_ml(side, deflated)
                psi *= max(0.0, 1.0 - 4.0 * deflated)  # the plunger is drawn back: the gauge falls before the balloon
            out[f"balloon_{side}_ml"], out[f"balloon_{side}_psi"] = volume, psi
        if deflated > 0.0:
            out["cavity_ml"] = sum(self._left_ml(side, deflated) for side in self.inflation.sides)
        return out

    def _left_ml(self, side: str, deflated: float) -> float:
        """What the cavity of `side` holds; measured at a few moments, and between them in a straight line."""
        step = min(int(deflated * _RIM_LETS), _RIM_LETS - 1)
        volumes = []
        for at in (step, step + 1):
            if (side, at) not in self._measured:
                self._measured[side, at] = self.inflation.cavity_ml(side, at / _RIM_LETS)
            volumes.append(self._measured[side, at])
        part = deflated * _RIM_LETS - step
        return (1.0 - part) * volumes[0] + part * volumes[1]

    def _emptying_ml(self, side: str, deflated: float) -> float:
        """What is left in a balloon that lets go."""
        return self._left_ml(side, deflated) * (1.0 - smoothstep(deflated))

    # structures -------------------------------------------------------------------------------------------------------

    def _own_names(self, state: State) -> Iterator[str]:
        for side in self.stations:
            for tool, parts in PARTS.items():
                if state.way_mm(side, tool) is not None:
                    yield from (f"{part}-{side}" for part in parts)
            if side in state.drilled_mm:
                yield f"channel-{side}"
        if self._has_cavity(state):
            yield "cavity"
        if self._packing(state.inflation, state.deflation) is not None:
            yield "rim"

    def _own_structures(self, state: State) -> dict[str, Structure]:
        out: dict[str, Structure] = {}
        gauge = self.case.cannula.gauge
        for side, at in self.stations.items():
            line = self.needles[side]
            forward = line.path.forward
            tips = {tool: line.tip_at(way) for tool in PARTS if (way := state.way_mm(side, tool)) is not None}
            if "needle" in tips:
                shape = NeedleShape(self.size.gauge, line.length_mm, stylet=state.stylet > 0.5)
                out |= needle_structures(f"needle-{side}", shape, tips["needle"], forward)
            if "pin" in tips:
                out |= pin_structures(side, at.pin_long_mm, tips["pin"], forward, self.size.gauge)
            if "dilator" in tips:
                dilator = dilator_structure(
                    side, gauge, at.cannula_long_mm, tips["dilator"], forward, self.size.gauge
                )  # fmt: skip
                out[dilator.name] = dilator
            if "cannula" in tips:
                out |= cannula_structures(side, gauge, at.cannula_long_mm, tips["cannula"], forward)
            if "drill" in tips:
                out |= drill_structures(side, gauge, at.drill_long_mm, tips["drill"], forward, state.turn_deg)
            if "tamp" in tips:
                out |= tamp_structures(side, self.case.balloon.length_mm, at.tamp_long_mm, tips["tamp"], forward)
                out[f"balloon-{side}"] = self._balloon_structure(side, state)
            if "filler" in tips:
                out |= filler_structures(side, gauge, at.filler_long_mm, tips["filler"], forward, state.plunger)
            if side in state.drilled_mm:
                rear, front = line.tip_at(at.cannula_mm), line.tip_at(state.drilled_mm[side])
                out[f"channel-{side}"] = channel_structure(side, drill_mm(gauge) / 2, rear, front)
        if self._has_cavity(state):
            out["cavity"] = self.cavity_structure(state.deflation)
        packing = self._packing(state.inflation, state.deflation)
        if packing is not None:
            out["rim"] = self._rim_structure(packing)
            if state.tumour > 0.0:
                out["tumour"] = self._tumour_structure(packing)
        return out

    def _has_cavity(self, state: State) -> bool:
        return state.deflation > 0.0 and (state.cement_ml is None or state.cement_ml < self.filling.void_ml - 1e-6)

    def _balloon_structure(self, side: str, state: State) -> Structure:
        """The balloon of `side`: folded, growing, or emptying within its cavity."""
        volume = getattr(state, f"balloon_{side}_ml")
        name, tag = f"balloon-{side}", f"balloon-{side}-{self.digest[:16]}"
        rank = RANKS["balloon"]
        if volume < _LEAST_BALLOON_ML:
            bed = _bed(self.needles[side], state.way_mm(side, "tamp") or 0.0, self.balloon)
            sleeve = capsule(bed.rear_mm, bed.front_mm, bed.folded_radius_mm)
            way = round(state.way_mm(side, "tamp") or 0.0, 3)
            return Structure(
                name, "balloon", "water", sleeve, lambda spacing_mm: mesh_field(sleeve, min(spacing_mm, 0.6)),
                f"{tag}-folded-{way:.3f}", rank,
            )  # fmt: skip
        deflated, inflation = state.deflation, self.inflation
        if deflated <= 0.0:
            lift = inflation.at(state.inflation).lift
            return self._remembered(
                (name, round(volume, 4), round(lift, 4)),
                lambda: Structure(
                    name, "balloon", "contrast", inflation.membrane(side, volume, lift),
                    lambda spacing_mm: inflation.membrane_mesh(side, volume, lift, spacing_mm),
                    f"{tag}-{volume:.4f}-{lift:.4f}", rank,
                ),
            )  # fmt: skip
        asked = inflation.volume_ml[side] * volume / self._left_ml(side, deflated)
        return self._remembered(
            (name, "emptying", round(deflated, 4)),
            lambda: Structure(
                name, "balloon", "contrast", inflation.membrane(side, asked, inflation.sinking_lift(deflated)),
                lambda spacing_mm: inflation.emptying_mesh(side, deflated, spacing_mm),
                f"{tag}-emptying-{deflated:.4f}", rank,
            ),
        )  # fmt: skip

    def cavity_structure(self, deflated: float = 1.0) -> Structure:
        """The void that the balloons leave, when `deflated` (0 to 1) of their letting out is over."""
        inflation = self.inflation

        def mesh(spacing_mm: float) -> Mesh:
            return joined(*(inflation.cavity_mesh(side, deflated, spacing_mm) for side in inflation.sides))

        def make() -> Structure:
            shape = union(*(inflation.cavity(side, deflated) for side in inflation.sides))
            key = f"cavity-{self.digest[:16]}-{deflated:.4f}"
            return Structure("cavity", "cavity", "cavity", shape, mesh, key, RANKS["cavity"])

        return self._remembered(("cavity", round(deflated, 4)), make)

    def _packing(self, inflation: float, deflation: float) -> Packing | None:
        """Round what bone is packed at these shares, in steps, so that rim and tumour are not made for each frame."""
        if deflation > 0.0:
            return Packing({}, 0.0, round(deflation * _RIM_LETS) / _RIM_LETS)
        moment = self.inflation.at(round(inflation * _RIM_STEPS) / _RIM_STEPS)
        volumes = {side: round(volume, 3) for side, volume in moment.volume_ml.items()}
        return Packing(volumes, round(moment.lift, 4), None) if max(volumes.values()) >= _LEAST_PACKED_ML else None

    def _rim_structure(self, packing: Packing) -> Structure:
        """The packed bone round balloons or cavity."""

        def make() -> Structure:
            rim, amount = packing.rim(self.inflation), packing.amount(self.patient, self.inflation)
            return Structure(
                "rim", "rim", "trabecular", rim.field, lambda _: rim.mesh(), f"rim-{self.digest[:16]}-{packing.key}",
                RANKS["rim"], bone_share=rim.bone_share, healthy=self.patient.treated_bone(amount).healthy,
            )  # fmt: skip

        return self._remembered(("rim", packing.key), make)

    def _tumour_structure(self, packing: Packing) -> Structure:
        """The tumour as balloons or cavity have pushed it aside."""
        return self._remembered(
            ("tumour", packing.key), lambda: packing.tumour(self.patient, self.inflation, self.digest[:16])
        )

    def _tumour_numbers(
        self, amount: float, growth: float, lying: float, own: Mapping[str, Any]
    ) -> tuple[float | None, float | None, float]:
        packing = self._packing(own.get("inflation", 0.0), own.get("deflation", 0.0))
        if packing is None or growth <= 0.0:
            return super()._tumour_numbers(amount, growth, lying, own)
        if packing.key not in self._tumours:
            at = packing.amount(self.patient, self.inflation)
            self._tumours[packing.key] = tumour_measures(self.patient, self._tumour_structure(packing), at, lying)
        return self._tumours[packing.key]

    # numbers ----------------------------------------------------------------------------------------------------------

    @cached_property
    def rim(self) -> Rim:
        """The packed bone that stays round the cavity."""
        return Packing({}, 0.0, 1.0).rim(self.inflation)

    def _needle_reach_mm(self, side: str) -> float:
        return self.stations[side].needle_mm

    def _own_margins(self) -> dict[str, float]:
        out: dict[str, float] = {}
        canal = vertebra(self.level).canal
        for side, at in self.stations.items():
            line, bed = self.needles[side], self.bed(side)
            mesh = self.inflation.membrane_mesh(
                side, self.inflation.volume_ml[side], self.inflation.lift_peak, 0.8
            )  # fmt: skip
            out |= {
                f"cannula_{side}_inside_wall_mm": at.cannula_mm - line.wall_way_mm,
                f"cannula_{side}_length_mm": at.cannula_long_mm,
                f"drill_{side}_reach_mm": at.drill_mm,
                f"drill_{side}_stop_mm": at.ahead_mm,
                f"marker_{side}_clear_mm": at.marker_clear_mm,
                f"balloon_{side}_rear_to_back_quarter_mm": float(bed.rear_mm[1] - self.back_quarter_y_mm),
                f"balloon_{side}_to_back_quarter_mm": float(mesh.points_mm[:, 1].min() - self.back_quarter_y_mm),
                f"balloon_{side}_to_canal_mm": float(canal.distance(mesh.points_mm).min()),
                f"balloon_{side}_psi_left": self.balloon.rated_psi - self.inflation.peak_psi[side],
            }
        return out

    def _own_words(self) -> dict[str, float | str]:
        f, here, inflation = self.patient.fracture, self.patient, self.inflation
        lying = f.heights(here.amount(1.0, 1.0))
        peak, final = f.heights(here.amount(1.0, 1.0, inflation.lift_peak)), f.heights(self.final_amount)
        sides = list(self.stations.values())
        return {
            "access_gauge": float(self.size.gauge),
            "cannula_gauge": float(self.case.cannula.gauge),
            "cannula_length_mm": max(at.cannula_long_mm for at in sides),
            "cannula_in_mm": max(
                at.cannula_mm - self.needles[side].wall_way_mm for side, at in self.stations.items()
            ),
            "drill_stop_mm": min(at.ahead_mm for at in sides),
            "marker_clear_mm": min(at.marker_clear_mm for at in sides),
            "balloons": str(len(inflation.sides)),
            "balloon_mm": float(self.balloon.length_mm),
            "balloon_ml": self._asked_balloon_ml,
            "inflated_ml": sum(inflation.volume_ml.values()),
            "rated_ml": self.balloon.rated_ml,
            "rated_psi": self.balloon.rated_psi,
            "peak_psi": max(inflation.peak_psi.values()),
            "lifted": "yes" if inflation.lift_peak >= _LEAST_SHOWN_LIFT else "no",
            "inflation_stop": next(stop for stop in _STOPS if stop in inflation.stop.values()),
            **{f"inflation_stop_{side}": stop for side, stop in inflation.stop.items()},
            "rim_share_max": self.rim.share_max,
            "rim_share_max_pct": 100.0 * self.rim.share_max,
            "trabecular_share_pct": 100.0 * self.patient.trabecular_share,
            "rim_mm": self.rim.width_mm,
            "cavity_ml": self.cavity_ml,
            "beyond_ml": self.beyond_ml,
            **height_words("peak", peak),
            **gain_words("balloon", lying, final),
            "sink_deg": round(final.wedge_deg - peak.wedge_deg, 6) + 0.0,
            "sink_mm": round(peak.anterior_mm - final.anterior_mm, 6) + 0.0,
            "sink_middle_mm": round(peak.middle_mm - final.middle_mm, 6) + 0.0,
        }  # fmt: skip

    @property
    def _asked_balloon_ml(self) -> float:
        given = self.case.balloon.volume_ml
        return auto_balloon_ml(self.level) if isinstance(given, str) else given

    def resolved(self) -> dict[str, Any]:
        """The case as nested values with "auto" resolved, as far as this procedure decides it."""
        table = super().resolved()
        if self.case.balloon.volume_ml == "auto":
            table["balloon"]["volume_ml"] = round(max(self.inflation.volume_ml.values()), 2)
        return table

    # packing ----------------------------------------------------------------------------------------------------------

    def packed(self) -> Packed:
        """As of every augmentation plan, with stations and inflation."""
        numbers, arrays = super().packed()
        plain, tables = self.inflation.packed()
        numbers["stations"] = {side: asdict(at) for side, at in self.stations.items()}
        numbers["inflation"] = plain
        return numbers, arrays | under("inflation", tables)

    @classmethod
    def _own_unpacked(cls, case: Case, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> dict[str, Any]:
        tables = taken("inflation", arrays)
        return {
            "stations": {side: Stations(**at) for side, at in numbers["stations"].items()},
            "inflation": Inflation.unpacked(numbers["inflation"], tables, case_patient(case)),
        }


# where the instruments are --------------------------------------------------------------------------------------------

PARTS = {
    "needle": ("needle", "handle"),
    "pin": ("pin",),
    "dilator": ("dilator",),
    "cannula": ("cannula", "cannula-hub"),
    "drill": ("drill", "drill-handle"),
    "tamp": ("tamp", "tamp-stylet", "tamp-neck", "tamp-hub", "marker-front", "marker-rear", "balloon"),
    "filler": ("filler", "filler-handle", "filler-plunger"),
}
"""Each tool, and the structures that it brings."""


def _drilling(at: Stations) -> tuple[Leg, ...]:
    return (
        Leg("drill", "drill", at.cannula_mm, until=_THROUGH),
        Leg("drill", "drill", at.drill_mm, since=_THROUGH),
    )


def _ways(at: Stations, line: PlannedNeedle, done: Done) -> dict[str, float]:
    """The tip's way from the skin of each tool that is there."""
    away = -BEFORE_SKIN_MM
    legs: dict[str, tuple[bool, tuple[Leg, ...]]] = {
        "needle": (
            done("access", "start") > 0.0 and done("access", "exchange") < 1.0,
            (
                Leg("access", "approach", -1.0),
                Leg("access", "advance", line.wall_way_mm),
                Leg("access", "pass_wall", at.needle_mm),
                Leg("access", "exchange", away),
            ),
        ),
        "pin": (
            done("access", "pin") > 0.0 and done("access", "rest") < 1.0,
            (Leg("access", "pin", at.pin_mm), Leg("access", "rest", away)),
        ),
        "dilator": (
            done("access", "cannula") > 0.0 and done("access", "rest") < 1.0,
            (Leg("access", "cannula", at.cannula_mm), Leg("access", "rest", away)),
        ),
        "cannula": (
            done("access", "cannula") > 0.0 and done("withdrawal", "draw") < 1.0,
            (Leg("access", "cannula", at.cannula_mm), Leg("withdrawal", "draw", away, since=_THROUGH)),
        ),
        "drill": (
            done("drill", "drill") > 0.0 and done("drill", "out") < 1.0,
            (*_drilling(at), Leg("drill", "out", away)),
        ),
        "tamp": (
            done("balloon", "insert") > 0.0 and done("cavity", "withdraw") < 1.0,
            (
                Leg("balloon", "insert", at.cannula_mm, until=_THROUGH),
                Leg("balloon", "insert", at.tamp_mm, since=_THROUGH),
                Leg("cavity", "withdraw", away),
            ),
        ),
        "filler": (
            done("cement", "prepare") > 0.0 and done("withdrawal", "draw") < 0.6,
            (Leg("cement", "prepare", at.filler_mm), Leg("withdrawal", "draw", away, until=0.6)),
        ),
    }
    return {tool: way_along(way, done) for tool, (there, way) in legs.items() if there}


# planning -------------------------------------------------------------------------------------------------------------


def _access_needle(case: Case) -> NeedleSize:
    return needle_before(case.cannula.gauge, case.needle.gauge)


def _pulses(volume_ml: float) -> int:
    """In how many small steps `volume_ml` is given."""
    return max(1, round(volume_ml / cement_figure("pulse_ml")))


def _bed(line: PlannedNeedle, tamp_way_mm: float, size: BalloonSize) -> Bed:
    forward = line.path.forward
    rear, front = working_ends_mm(size.length_mm, line.tip_at(tamp_way_mm), forward)
    return Bed(line.path.side, rear, front, size.folded_radius_mm)


def _limits(here: Patient) -> Rules:
    """What counts as safe for the drill, whose end lies nearer to the front cortex than a needle's tip."""
    figure, back_and_front = kyphoplasty_figure, walls(here)
    stop = figure("drill_stop_mm") + 1.0  # the front wall is a little in front of where a slanting line meets it
    share = min(rules().front_share, stop / 0.68 / (back_and_front[1] - back_and_front[0]))
    return Rules(rules().least_bone_mm, share, figure("drill_stop_least_mm") - 0.5)


def _to_the_stop(around: Surroundings, path: NeedlePath, limits: Rules, case: Case) -> NeedlePath:
    """`path` that ends where the drill stops: as far behind the front cortex as leaves the balloon its room."""
    figure, size = kyphoplasty_figure, balloon_size(case.balloon.length_mm)
    wanted, least, most = figure("drill_stop_mm"), figure("drill_stop_least_mm"), figure("drill_stop_most_mm")
    quarter = back_quarter_mm(around.back_wall_y_mm, around.front_wall_y_mm)
    ahead = bone_ahead_mm(around, path)
    best: NeedlePath | None = None
    for stop in (wanted, (wanted + least) / 2, least, most):
        ended = remeasured(around, path, limits, ahead - stop)
        if min(ended.bone_mm, ended.pedicle_bone_mm, ended.medial_mm) < limits.least_bone_mm:
            continue
        room = float(ended.tip_mm[1] - quarter) / float(path.forward[1]) - size.nose_mm
        if room >= size.length_mm + figure("rear_clear_mm"):
            return ended
        best = best if stop == most and best is not None else ended
    if best is None:
        raise NoPathError("body", 0.0)
    return best


def plan_lines(here: Patient, case: Case) -> dict[str, PlannedNeedle]:
    """The lines of `case` in the body `here`, by side, wide enough for the working cannula all the way to the drill's
    end, each with the length of the access needle.

    Raises RequestError where no safe line exists: with the cannula that fits and, at upper thoracic levels, the route
    that is used in practice.
    """
    tool = Widest("cannula.gauge", "working cannula", cannula_size(case.cannula.gauge).gauge, cannula_sizes())
    limits = _limits(here)
    found = plan_paths(
        here, case, tool, limits, lambda around, path: _to_the_stop(around, path, limits, case)
    )  # fmt: skip
    out = {}
    for side, (path, skin) in found.items():
        line = PlannedNeedle(path, skin, 0.0)
        rest = line.wall_way_mm + kyphoplasty_figure("past_wall_mm")
        out[side] = PlannedNeedle(path, skin, needle_length_mm(_access_needle(case), rest))
    return out


def _stations(here: Patient, case: Case, line: PlannedNeedle) -> Stations:
    figure, gauge = kyphoplasty_figure, case.cannula.gauge
    wall = line.wall_way_mm
    needle, cannula = wall + figure("past_wall_mm"), wall + figure("cannula_in_mm")
    pin, drill = needle + figure("pin_past_mm"), line.reach_mm
    tamp = drill  # its soft nose fills the hole that the drill's point has left
    size = balloon_size(case.balloon.length_mm)
    # the folded balloon may reach into the back quarter; inflated, the membrane is kept out of it
    room = tamp - size.nose_mm - cannula - _behind_the_balloon_mm(size)
    if size.length_mm > room:
        raise _too_long(case, room)
    long = cannula_size(gauge).length_for(cannula, figure("cannula_outside_mm"))
    filler = max(drill - figure("filler_back_mm"), cannula + 1.0)
    return Stations(
        needle_mm=needle,
        pin_mm=pin,
        cannula_mm=cannula,
        drill_mm=drill,
        tamp_mm=tamp,
        filler_mm=filler,
        pin_long_mm=pin_length_mm(tool_length_mm(max(long, line.length_mm), pin - needle)),
        cannula_long_mm=long,
        drill_long_mm=tool_length_mm(long, drill - cannula),
        tamp_long_mm=tool_length_mm(long, tamp - cannula),
        filler_long_mm=tool_length_mm(long, filler - cannula),
        ahead_mm=bone_ahead_of(here, line.path),
        marker_clear_mm=tamp - size.nose_mm - size.length_mm - size.marker_length_mm / 2 - cannula,
    )


def _behind_the_balloon_mm(size: BalloonSize) -> float:
    """From the cannula's tip to the rear end of the working length, at least."""
    return kyphoplasty_figure("marker_clear_mm") + size.marker_length_mm / 2


def _too_long(case: Case, room_mm: float) -> RequestError:
    fitting = [str(length) for length in balloon_sizes() if length <= room_mm]
    return RequestError(
        f"balloon.length_mm: {case.balloon.length_mm} is longer than the {room_mm:.1f} mm that the body of "
        f"{case.spine.level} leaves between cannula and drill's end;\n"
        f"{'give ' + ' or '.join(fitting) if fitting else 'no balloon of the catalogue fits'}"
    )


def _most_room_mm(here: Patient, case: Case) -> float:
    """More than the body leaves for a balloon on any line: its depth on the steepest slant that is tried."""
    figure, size = kyphoplasty_figure, balloon_size(case.balloon.length_mm)
    back, front = walls(here)
    taken_mm = figure("cannula_in_mm") + figure("drill_stop_least_mm") + size.nose_mm + _behind_the_balloon_mm(size)
    return (front - back) / float(np.cos(np.radians(_STEEPEST_DEG))) - taken_mm


def _inflation(
    here: Patient, case: Case, lines: Mapping[str, PlannedNeedle], stations: Mapping[str, Stations], quarter: float
) -> Inflation:
    size = balloon_size(case.balloon.length_mm)
    given = case.balloon.volume_ml
    ceiling = auto_balloon_ml(here.level) if isinstance(given, str) else given
    beds = {side: _bed(line, stations[side].tamp_mm, size) for side, line in lines.items()}
    return inflate(
        beds, here, dict.fromkeys(beds, ceiling), size.rated_ml, size.rated_psi, quarter, case.seed
    )  # fmt: skip


def _planned_cement(
    here: Patient, case: Case, lines: Mapping[str, PlannedNeedle], stations: Mapping[str, Stations],
    inflation: Inflation, quarter: float,
) -> tuple[Cement, Fill]:  # fmt: skip
    amount = here.amount(1.0, 1.0, inflation.sunk_lift)
    room = room_of(here, amount, quarter)
    room_ml, body_ml = room.volume_ml(), body_volume_ml(here.level)
    cavity_ml = sum(inflation.cavity_ml(side) for side in inflation.sides)
    given = case.cement.volume_ml
    if isinstance(given, str):
        share = kyphoplasty_figure("cement_share") * sum(inflation.volume_ml.values())
        asked = min(max(share, cavity_ml + kyphoplasty_figure("cavity_slack_ml")), room_ml)
    else:
        asked = given
    check_volume(asked, cavity_ml, room_ml, f"the {cavity_ml:.2f} mL of the cavity")
    points, shape = room.lattice.points(), room.lattice.values.shape

    def void() -> NDArray[np.float64]:
        """mm to the walls of the cavities, negative inside."""
        return np.asarray(np.min([inflation.cavity(side).distance(points) for side in inflation.sides], axis=0))

    def speed() -> NDArray[np.float64]:
        """How fast the front runs: slower in the tumour beside the cavities, and in the bone packed round them."""
        tumour = None if here.tumour is None else Packing({}, 0.0, 1.0).tumour(here, inflation, "").field
        out, rim = speed_in(here, amount, room.lattice, case.seed, tumour), rim_round_cavities(inflation)
        if rim is None:
            return out
        return np.asarray(out * rim_speed(rim.bone_share(points), here.trabecular_share).reshape(shape))

    walls_mm, front = made_by_two([void, speed])
    tips = np.array([lines[side].tip_at(at.filler_mm) for side, at in stations.items()])
    bore = filler_mm(case.cannula.gauge) / 2 - kyphoplasty_parts()["tube_wall_mm"]
    filling = fill(room.lattice, front, tips, bore, asked + 0.5, walls_mm.reshape(shape))
    total, back_ml, reason = room.stop(filling, asked, cavity_ml)
    return Cement(body_ml, asked, total, 0.0, room_ml, back_ml, reason), filling


def _made(case: Case, digest: str) -> KyphoplastyPlan:
    here = case_patient(case).checked()
    quarter = back_quarter_mm(*walls(here))
    if case.balloon.length_mm > _most_room_mm(here, case):
        raise _too_long(case, _most_room_mm(here, case))
    lines = plan_lines(here, case)
    stations = {side: _stations(here, case, line) for side, line in lines.items()}
    inflation = _inflation(here, case, lines, stations, quarter)
    cement, filling = _planned_cement(here, case, lines, stations, inflation, quarter)
    return KyphoplastyPlan(
        case=case, digest=digest, needles=lines, cement=cement, filling=filling, back_quarter_y_mm=quarter,
        stations=stations, inflation=inflation,
    )  # fmt: skip


def plan_kyphoplasty(case: Case) -> KyphoplastyPlan:
    """The plan for `case`, read from the cache or made and kept there.

    Raises RequestError, naming the key, where the body cannot be as asked, where the cannula finds no safe line, where
    the balloon is too long, or where the cement is less than the cavity or more than the room.
    """
    return planned(KyphoplastyPlan, case, _made)


__all__ = ["KyphoplastyPlan", "Packing", "Stations", "plan_kyphoplasty", "plan_lines"]
