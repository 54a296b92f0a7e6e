"""What the two augmentation procedures share: moments, planes, margins, words and packing of their plans.

A plan of either is an `AugmentationPlan`; vertebroplasty.py and kyphoplasty.py hold what differs: which instruments
stand where at a moment, what the body is lifted by, and where the cement comes from.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.fracture import Heights
from spineviz.anatomy.patient import Patient, patient
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.tumour import greatest_diameter_mm
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.films import Film, film
from spineviz.devices.catalogue import NeedleSize, needle_size
from spineviz.devices.dressing import dressing
from spineviz.devices.theatre import theatre
from spineviz.geometry.fields import unit
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.physics.cement import Fill
from spineviz.procedures.access import SIDES, PlannedNeedle, check_access, least_apart_mm, rules, walls
from spineviz.procedures.case import Case
from spineviz.procedures.filling import LATTICE_MM, Cement, auto_balloon_ml, cement_figure
from spineviz.procedures.film_plan import FilmPlan
from spineviz.procedures.kept import Packed, keep_plan, kept_plan, plan_digest, taken, under
from spineviz.procedures.needle_path import NeedlePath
from spineviz.procedures.state import Done, State, progress, smoothstep

LEAST_SHOWN_ML = 0.01
"""A drop smaller than the lattice has no surface yet."""
TUMOUR_PLANE_SHARE = 0.15
"""How far beside the middle the plane "tumour" lies, as a share of the body's width; chosen for legibility."""
BEFORE_SKIN_MM = 40.0
"""How far outside the skin an instrument comes into view; chosen for legibility."""
_HALFWAY = (0.35, 0.7)
"""A tip that AP shows within these shares of the way from midline to pedicle is said to lie halfway."""
_AT_MIDLINE_MM = 4.0
_KEPT_SHAPES = 12
"""Shapes of cement, balloons and cavity kept in memory."""


@dataclass(frozen=True)
class Leg:
    """One piece of an instrument's way: from the share `since` of `beat` of `step` to the share `until` its tip goes on
    to `end_mm` from the skin."""

    step: str
    beat: str
    end_mm: float
    since: float = 0.0
    until: float = 1.0


def way_along(legs: tuple[Leg, ...], done: Done, start_mm: float = -BEFORE_SKIN_MM) -> float:
    """Where a tip that starts at `start_mm` stands on its `legs`, mm from the skin, each leg eased."""
    way = last = start_mm
    for leg in legs:
        way += (leg.end_mm - last) * smoothstep((done(leg.step, leg.beat) - leg.since) / (leg.until - leg.since))
        last = leg.end_mm
    return way


@dataclass(frozen=True, eq=False)
class AugmentationPlan(FilmPlan):
    """What will be done for one case.

    Attributes:
        case: as given.
        digest: names the plan: equal digests, equal plans.
        needles: the lines through the pedicles, by side.
        cement: the volumes.
        filling: the course of the cement.
        back_quarter_y_mm: the cement stays in front of this plane.
    """

    PROCEDURE: ClassVar[str]

    case: Case
    digest: str
    needles: dict[str, PlannedNeedle]
    cement: Cement
    filling: Fill
    back_quarter_y_mm: float
    _kept: OrderedDict[tuple, Structure] = field(default_factory=OrderedDict, repr=False, init=False)

    # what it is about -------------------------------------------------------------------------------------------------

    @cached_property
    def patient(self) -> Patient:
        """The case's body."""
        return case_patient(self.case)

    @property
    def level(self) -> str:
        """The treated vertebra."""
        return self.case.spine.level

    @property
    def size(self) -> NeedleSize:
        """The needle's row of the catalogue."""
        return needle_size(self.case.needle.gauge)

    @property
    def film(self) -> Film:
        """The clock of the film that shows it."""
        return film(self.PROCEDURE)

    # what differs -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def _own(self, done: Done) -> dict[str, Any]:
        """What of the State is the procedure's own, by attribute: instruments, balloons, lift, cement."""

    @abstractmethod
    def _own_structures(self, state: State) -> dict[str, Structure]:
        """The instruments and what they make, at `state`; the cement is not among them."""

    @abstractmethod
    def _own_names(self, state: State) -> Iterator[str]:
        """The names of `_own_structures`, without making them."""

    @abstractmethod
    def _own_words(self) -> dict[str, float | str]:
        """What captions may name beside the words that both procedures have."""

    @abstractmethod
    def summary(self) -> str:
        """What will be done, in a line."""

    @property
    def _in_pedicle(self) -> str:
        return f"{self.words()['least_bone_mm']:.1f} mm of bone round it in the pedicle"

    def _needle_reach_mm(self, side: str) -> float:
        """The way from the skin of the needle's tip where it rests."""
        return self.needles[side].reach_mm

    def _own_margins(self) -> dict[str, float]:
        """Margins beside those that both procedures have."""
        return {}

    @property
    def final_amount(self) -> float:
        """The fracture's amount when all is done."""
        return self.patient.amount(1.0, 1.0)

    # moments ----------------------------------------------------------------------------------------------------------

    def state_at(self, step: str, share: float, measured: bool = True) -> State:
        """See `FilmPlan.state_at`; what is measured is the tumour."""
        here = self.step_at(step, share)
        done = progress(self.film, step, share)
        collapse = smoothstep(done("fracture", "collapse"))
        growth = smoothstep(done("fracture", "tumour"))
        lying = smoothstep(done("table", "posture"))
        own = self._own(done)
        amount = self.patient.amount(collapse, lying, own.get("lift", 0.0))
        heights = _heights(self.patient, amount)
        diameter, neural, canal = None, None, None
        if measured:
            diameter, neural, canal = self._tumour_numbers(round(amount, 3), round(growth, 3), round(lying, 3), own)
        return State(
            time_s=here.start_s + share * here.seconds,
            step=step,
            anterior_height_mm=heights.anterior_mm,
            posterior_height_mm=heights.posterior_mm,
            wedge_deg=heights.wedge_deg,
            tumour_diameter_mm=diameter,
            tumour_neural_mm=neural,
            canal_share=canal,
            share=share,
            collapse=collapse,
            lying=lying,
            tumour=growth,
            middle_height_mm=heights.middle_mm,
            hardness=smoothstep(done("withdrawal", "harden")),
            c_arm_deg=_c_arm_deg(step, done),
            numb_share=done("table", "numb"),
            nick_share=done("table", "nick"),
            dressing_share=done("withdrawal", "dressing"),
            **own,
        )

    def _tumour_numbers(
        self, amount: float, growth: float, lying: float, own: Mapping[str, Any]
    ) -> tuple[float | None, float | None, float]:
        """See `tumour_measures`; `own` is what `_own` says of the moment."""
        if growth <= 0.0:
            return None, None, 1.0
        return _measured_tumour(self.case.canonical(), amount, growth, lying)

    # structures -------------------------------------------------------------------------------------------------------

    def structures_at(self, state: State, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; `surroundings` as Patient.structures takes it."""
        body = self.patient.structures(state.collapse, state.lying, state.tumour, surroundings, state.lift)
        out = {**body}
        if state.c_arm_deg is not None and surroundings == "trunk":
            out.update(theatre(self.level, state.c_arm_deg))
        if state.dressing_share > 0.0 and "skin" in out:
            nicks = [needle.skin_mm for needle in self.needles.values()]
            out["dressing"] = dressing(out["skin"].field, out["skin"].key, nicks)
        if _has_cement(state):
            assert state.cement_ml is not None
            out["cement"] = self.cement_structure(state.cement_ml)
        return {**out, **self._own_structures(state)}

    def coming(self, step: str, share: float) -> Iterator[str]:
        """See `FilmPlan.coming`."""
        state = self.state_at(step, share, measured=False)
        yield from self._own_names(state)
        if _has_cement(state):
            yield "cement"
        if state.tumour > 0.0:
            yield "tumour"
        amount = self.patient.amount(state.collapse, state.lying, state.lift)
        if self.patient.fracture.cleft_thickness_mm(amount, state.lying) > 0.05:
            yield "cleft"

    def cement_structure(self, volume_ml: float) -> Structure:
        """The cement when `volume_ml` are in; its surface holds that volume within 1 %."""
        volume = round(volume_ml, 3)

        def make() -> Structure:
            made: dict[float, Mesh] = {}

            def mesh(spacing_mm: float) -> Mesh:
                place = LATTICE_MM if spacing_mm > 0.67 * LATTICE_MM else LATTICE_MM / 2
                if place not in made:
                    made[place] = self.filling.mesh_at(volume, place)
                return made[place]

            return Structure(
                "cement", "cement", "cement", self.filling.field_at(volume), mesh,
                f"cement-{self.digest[:16]}-{volume:.3f}", RANKS["cement"],
            )  # fmt: skip

        return self._remembered(("cement", volume), make)

    def _remembered(self, key: tuple, make: Callable[[], Structure]) -> Structure:
        """The structure of `key`, made if it is not there; the oldest are let go."""
        if key not in self._kept:
            self._kept[key] = make()
            while len(self._kept) > _KEPT_SHAPES:
                self._kept.popitem(last=False)
        return self._kept[key]

    # planes -----------------------------------------------------------------------------------------------------------

    @cached_property
    def planes(self) -> dict[str, Frame]:
        """world_from_plane of the sections: x is the picture's right, y its up, z towards who looks.

        "axial" holds the needles and lies as the patient does, back uppermost, left on the left; "sagittal" is the
        mid-sagittal plane, head up, front on the left; "needle-right" and "needle-left" stand upright through a needle;
        "tumour" is sagittal, a little to the tumour's side.
        """
        forward = unit(np.mean([n.path.forward for n in self.needles.values()], axis=0) * [0.0, 1.0, 1.0])
        middle = np.mean([(n.path.tip_mm + n.path.contact_mm) / 2 for n in self.needles.values()], axis=0)
        right = np.array([1.0, 0.0, 0.0])
        origin = np.array([0.0, middle[1], middle[2]])
        out = {
            "axial": Frame(np.stack([right, -forward, np.cross(right, -forward)], axis=1), origin),
            "sagittal": Frame(np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.zeros(3)),
        }
        # beside the middle, on the tumour's side, where one plane holds tumour and canal
        beside = TUMOUR_PLANE_SHARE * vertebra(self.level).row["EPWu_mm"].value
        offset = beside if self.case.tumour.side == "right" else -beside
        out["tumour"] = Frame(out["sagittal"].rotation, np.array([offset, 0.0, 0.0]))
        for side, needle in self.needles.items():
            back = unit(-needle.path.forward * [1.0, 1.0, 0.0])
            up = np.array([0.0, 0.0, 1.0])
            centre = (needle.path.tip_mm + needle.path.contact_mm) / 2
            out[f"needle-{side}"] = Frame(np.stack([back, up, np.cross(back, up)], axis=1), centre)
        return out

    # numbers ----------------------------------------------------------------------------------------------------------

    @cached_property
    def margins(self) -> dict[str, float]:
        """How near the plan comes to what it must not touch, by name; lengths mm, volumes mL."""
        front = walls(self.patient)[1]
        depth = (front - self.back_quarter_y_mm) / (1.0 - cement_figure("back_share"))
        out: dict[str, float] = {"least_bone_asked_mm": rules().least_bone_mm}
        for side, needle in self.needles.items():
            path = needle.path
            out |= {
                f"needle_{side}_least_bone_mm": path.bone_mm,
                f"needle_{side}_pedicle_bone_mm": path.pedicle_bone_mm,
                f"needle_{side}_canal_mm": path.medial_mm,
                f"needle_{side}_pedicle_lower_edge_mm": path.lower_mm,
                f"needle_{side}_seating_mm": path.seat_mm,
                f"needle_{side}_tip_front_share": float((front - path.tip_mm[1]) / depth),
                f"needle_{side}_tip_past_midline_mm": path.past_midline_mm,
                f"needle_{side}_length_mm": needle.length_mm,
                f"needle_{side}_reach_mm": self._needle_reach_mm(side),
            }
        apart = least_apart_mm({side: needle.path for side, needle in self.needles.items()})
        if apart is not None:
            out["instruments_apart_mm"] = apart
        points = self.cement_structure(self.cement.total_ml).mesh(LATTICE_MM).points_mm
        out |= {
            "cement_to_back_quarter_mm": float(points[:, 1].min() - self.back_quarter_y_mm),
            "cement_to_canal_mm": float(vertebra(self.level).canal.distance(points).min()),
            "cement_room_ml": self.cement.room_ml,
        }
        return out | self._own_margins()

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name, by placeholder."""
        f, case = self.patient.fracture, self.case
        healthy, standing = f.heights(0.0), f.heights(self.patient.amount(1.0, 0.0))
        lying, final = f.heights(self.patient.amount(1.0, 1.0)), f.heights(self.final_amount)
        diameter, neural, canal = self._tumour_numbers(round(self.patient.amount(1.0, 1.0), 3), 1.0, 1.0, {})
        return {
            "level": self.level,
            "shape": case.fracture.shape,
            "height_loss_pct": 100.0 * case.fracture.height_loss,
            "tumour_mm": case.tumour.diameter_mm,
            "tumour_side": case.tumour.side,
            "tumour_diameter_mm": diameter or 0.0,
            "tumour_neural_mm": neural or 0.0,
            "canal_share_pct": 100.0 * canal,
            "approach": case.needle.approach,
            "gauge": float(self.size.gauge),
            "needles": float(len(self.needles)),
            "needle_length_mm": max(n.length_mm for n in self.needles.values()),
            "contact_mm": max(n.contact_way_mm for n in self.needles.values()),
            "reach_mm": max(self._needle_reach_mm(side) for side in self.needles),
            "least_bone_mm": min(n.path.pedicle_bone_mm for n in self.needles.values()),
            "canal_mm": min(n.path.medial_mm for n in self.needles.values()),
            "cement_planned_ml": self.cement.asked_ml,
            "cement_ml": self.cement.total_ml,
            "filled_ml": self.cement.syringe_ml,
            "dead_space_ml": self.cement.stylet_ml,
            "body_ml": self.cement.body_ml,
            "room_ml": self.cement.room_ml,
            "stop_reason": self.cement.stop_reason,
            "pulse_ml": self.cement.syringe_ml / self.cement.pulses,
            **height_words("healthy", healthy),
            **height_words("standing", standing),
            **height_words("lying", lying),
            **height_words("final", final),
            **gain_words("posture", standing, lying),
            **gain_words("total", standing, final),
            "ap_target": self._ap_target(),
            "counting": _counting(self.patient.levels),
            **self._own_words(),
            **self.margins,
        }

    def _ap_target(self) -> str:
        """Where AP shows the tips: "halfway" from pedicle to midline, "between", at the "midline" or "towards" it."""
        pedicle = abs(float(vertebra(self.level).frames["pedicle-right"].origin_mm[0]))
        off = [abs(float(needle.path.tip_mm[0])) for needle in self.needles.values()]
        if len(off) == 1:
            return "midline" if off[0] <= _AT_MIDLINE_MM else "towards"
        low, high = _HALFWAY
        return "halfway" if all(low <= x / pedicle <= high for x in off) else "between"

    def resolved(self) -> dict[str, Any]:
        """The case as nested values with "auto" resolved, as far as this procedure decides it."""
        table = self.case.table()
        table["cement"]["volume_ml"] = round(self.cement.asked_ml, 3)
        if table["tumour"]["extent"] == "auto":
            table["tumour"]["extent"] = "body"
        if table["balloon"]["volume_ml"] == "auto":
            table["balloon"]["volume_ml"] = round(auto_balloon_ml(self.level), 2)
        return table

    # packing ----------------------------------------------------------------------------------------------------------

    def packed(self) -> Packed:
        """The plan as plain numbers and arrays; `unpacked` makes it again, the same to the last bit."""
        plain, tables = self.filling.packed()
        numbers = {
            "needles": {side: _packed_needle(needle) for side, needle in self.needles.items()},
            "cement": asdict(self.cement),
            "back_quarter_y_mm": self.back_quarter_y_mm,
            "filling": plain,
        }
        return numbers, under("filling", tables)

    @classmethod
    def unpacked(cls, case: Case, digest: str, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Self:
        """The plan of what `packed` gave; KeyError, TypeError or ValueError where that is damaged."""
        return cls(
            case=case,
            digest=digest,
            needles={side: _unpacked_needle(entry) for side, entry in numbers["needles"].items()},
            cement=Cement(**numbers["cement"]),
            filling=Fill.unpacked(numbers["filling"], taken("filling", arrays)),
            back_quarter_y_mm=float(numbers["back_quarter_y_mm"]),
            **cls._own_unpacked(case, numbers, arrays),
        )

    @classmethod
    def _own_unpacked(cls, case: Case, numbers: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> dict[str, Any]:
        """The attributes that only this procedure's plan has, of what `packed` gave."""
        return {}


_Plan = TypeVar("_Plan", bound=AugmentationPlan)


def planned(kind: type[_Plan], case: Case, make: Callable[[Case, str], _Plan]) -> _Plan:
    """The plan of `kind` for `case`, read from the cache, or made by `make` (case, digest) and kept there."""
    check_access(case)
    digest = plan_digest(kind.PROCEDURE, case.canonical())
    found = kept_plan(digest)
    if found is not None:
        try:
            return kind.unpacked(case, digest, *found)
        except (KeyError, TypeError, ValueError):
            pass  # a damaged file is made anew
    packed = make(case, digest).packed()
    keep_plan(digest, *packed)
    return kind.unpacked(case, digest, *packed)  # the same numbers to the last bit whether made now or kept


def case_patient(case: Case) -> Patient:
    """The body that `case` describes; `Patient.checked` tells whether it holds its tumour.

    Raises RequestError, naming the key, where it cannot be.
    """
    return patient(
        case.spine.level,
        case.fracture.shape,
        case.fracture.height_loss,
        case.tumour.diameter_mm,
        case.tumour.side,
        case.seed,
        case.tumour.extent,
    )


def present(way_mm: Mapping[str, float], tool: str) -> Iterator[tuple[str, float]]:
    """The sides on which `tool` is, each with its tip's way from the skin."""
    for side in SIDES:
        if f"{tool}-{side}" in way_mm:
            yield side, way_mm[f"{tool}-{side}"]


def _has_cement(state: State) -> bool:
    return state.cement_ml is not None and state.cement_ml >= LEAST_SHOWN_ML


def height_words(when: str, heights: Heights) -> dict[str, float | str]:
    """The heights and the angle of a moment: WHEN_anterior_mm, WHEN_middle_mm, WHEN_posterior_mm, WHEN_wedge_deg."""
    return {
        f"{when}_anterior_mm": heights.anterior_mm,
        f"{when}_middle_mm": heights.middle_mm,
        f"{when}_posterior_mm": heights.posterior_mm,
        f"{when}_wedge_deg": heights.wedge_deg,
    }


def gain_words(of: str, before: Heights, after: Heights) -> dict[str, float | str]:
    """What `of` ("posture") gives back: OF_gain_deg of the angle, OF_gain_mm in front, OF_gain_middle_mm midway."""
    gains = {
        "deg": before.wedge_deg - after.wedge_deg,
        "mm": after.anterior_mm - before.anterior_mm,
        "middle_mm": after.middle_mm - before.middle_mm,
    }
    return {f"{of}_gain_{unit}": round(gain, 6) + 0.0 for unit, gain in gains.items()}  # never -0.0


def _packed_needle(needle: PlannedNeedle) -> dict[str, Any]:
    path = {f.name: getattr(needle.path, f.name) for f in fields(NeedlePath)}
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in path.items()}
    return {"path": plain, "skin_mm": needle.skin_mm.tolist(), "length_mm": needle.length_mm}


def _unpacked_needle(entry: Mapping[str, Any]) -> PlannedNeedle:
    path: dict[str, Any] = {
        name: np.array(value) if isinstance(value, list) else value for name, value in entry["path"].items()
    }
    return PlannedNeedle(NeedlePath(**path), np.array(entry["skin_mm"]), float(entry["length_mm"]))


def _counting(levels: tuple[str, ...]) -> str:
    """From where the level is counted in the levels in view: "both" ends, "sacrum", "last-rib" or "first-rib"."""
    if "T12" in levels and "sacrum" in levels:
        return "both"
    if "sacrum" in levels:
        return "sacrum"
    return "last-rib" if "T12" in levels else "first-rib" if "T1" in levels else "neighbours"


def _c_arm_deg(step: str, done: Done) -> float | None:
    """How the C-arm stands while the room is in view: it swings to lateral, and back for the skin."""
    counting = done("table", "count") > 0.0 and done("table", "numb") <= 0.0
    if step != "table" or counting:
        return None
    return round(90.0 * smoothstep(done("table", "room")), 1) if done("table", "count") <= 0.0 else 0.0


@lru_cache(maxsize=1024)
def _heights(here: Patient, amount: float) -> Heights:
    return here.fracture.heights(amount)


@lru_cache(maxsize=512)
def _measured_tumour(case: str, amount: float, growth: float, lying: float) -> tuple[float, float, float]:
    here = case_patient(Case.model_validate_json(case))
    return tumour_measures(here, here.tumour_structure(amount, growth), amount, lying)


def tumour_measures(here: Patient, tumour: Structure, amount: float, lying: float) -> tuple[float, float, float]:
    """Greatest diameter, the way to the cord or the nearest root (mm), and the share of the canal that is free, of
    `tumour` as it is at the fracture's `amount` and at `lying`."""
    collapse = amount if lying == 0.0 else amount / (1.0 - lying * (1.0 - here.fracture.lying_amount))
    mesh = tumour.mesh(1.5)
    # at this level the nerves hardly move with posture and collapse: tenths of these place them within 0.1 mm
    nerves = here.structures(round(min(1.0, collapse), 1), round(lying, 1), 1.0, "spine")
    points = mesh.points_mm
    neural = min(float(nerves[name].field(points).min()) for name in ("cord", "roots") if name in nerves)
    home = vertebra(here.level)
    z = home.landmarks["canal-centre"][2]
    low, high = home.canal.bounds_mm
    x, y = np.meshgrid(np.linspace(low[0], high[0], 40), np.linspace(low[1], high[1], 40))
    slices = [np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z + up)]) for up in (-6.0, -3.0, 0.0, 3.0, 6.0)]
    shares = []
    reach = tumour.field.bounds_mm
    for points_mm in slices:
        canal = points_mm[home.canal.contains(points_mm)]
        near = canal[((canal >= reach[0]) & (canal <= reach[1])).all(axis=1)]
        shares.append(1.0 - float(tumour.field.contains(near).sum()) / len(canal))
    return greatest_diameter_mm(mesh), neural, min(shares)
