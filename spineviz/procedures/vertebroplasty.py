"""Vertebroplasty: needles through the pedicles, cement in the fractured body; plan, state and structures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.fracture import Heights
from spineviz.anatomy.patient import Patient, patient
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.trunk import trunk
from spineviz.anatomy.tumour import greatest_diameter_mm
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.films import Film, film
from spineviz.data.sourced import Sourced, sourced_table
from spineviz.devices.catalogue import NeedleSize, needle_size, needle_sizes
from spineviz.devices.dressing import dressing
from spineviz.devices.needle import NeedleShape, least_outside_mm, needle_structures
from spineviz.devices.theatre import theatre
from spineviz.geometry.fields import Field, Vector, unit
from spineviz.geometry.frames import Frame
from spineviz.geometry.grids import Grid, lattice
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.physics.cement import Fill, fill, in_pulses, level_reaching, permeability_noise
from spineviz.procedures.case import Case
from spineviz.procedures.kept import keep_plan, kept_plan, plan_digest
from spineviz.procedures.needle_path import NeedlePath, NoPathError, Rules, Surroundings, find_path
from spineviz.procedures.state import State, smoothstep

PROCEDURE = "vertebroplasty"
SIDES = ("right", "left")

LATTICE_MM = 0.8
"""Spacing of the lattice on which the cement spreads."""
LEAST_SHOWN_ML = 0.01
"""A drop smaller than the lattice has no surface yet."""
TUMOUR_PLANE_SHARE = 0.15
"""How far beside the middle the plane "tumour" lies, as a share of the body's width; chosen for legibility."""
_HALFWAY = (0.35, 0.7)
"""A tip that AP shows within these shares of the way from midline to pedicle is said to lie halfway."""
_AT_MIDLINE_MM = 4.0
_BEFORE_SKIN_MM = 40.0
"""How far outside the skin a needle comes into view."""
_PAST_WALL_MM = 4.0
"""How far in front of the back wall the tip stands when the inner edge may be passed."""
_UPPER_THORACIC = ("T1", "T2", "T3", "T4", "T5", "T6")


@cache
def cement_table() -> dict[str, Sourced]:
    """The figures of assets/devices/cement.csv by name."""
    return sourced_table(asset("devices", "cement.csv"))


def _figure(name: str) -> float:
    return cement_table()[name].value


def rules() -> Rules:
    """What counts as a safe path."""
    return Rules(_figure("least_bone_mm"), _figure("front_share"), _figure("tip_to_cortex_mm"))


@dataclass(frozen=True, eq=False)
class PlannedNeedle:
    """One needle of the plan, world frame.

    Attributes:
        path: its way through the bone.
        skin_mm: (3,) where it passes the skin.
        length_mm: the length chosen from the catalogue.
    """

    path: NeedlePath
    skin_mm: Vector
    length_mm: float

    @property
    def reach_mm(self) -> float:
        """The tip's way from the skin when it rests."""
        return float(np.linalg.norm(self.path.tip_mm - self.skin_mm))

    @property
    def contact_way_mm(self) -> float:
        """The tip's way from the skin when it meets bone."""
        return float((self.path.contact_mm - self.skin_mm) @ self.path.forward)

    @property
    def wall_way_mm(self) -> float:
        """The tip's way from the skin when it stands at the back wall."""
        return float((self.path.wall_mm - self.skin_mm) @ self.path.forward)

    def tip_at(self, way_mm: float) -> Vector:
        """(3,) the tip `way_mm` from the skin."""
        return self.skin_mm + way_mm * self.path.forward


@dataclass(frozen=True)
class Cement:
    """How much goes in, mL.

    Attributes:
        body_ml: the healthy body's volume, measured.
        asked_ml: the ceiling: given, or 15 % of the body.
        total_ml: what goes in in the end.
        stylet_ml: the part of it that the stylets drive out of the bores.
        room_ml: what the body can take in front of its back quarter.
        back_ml: what is in when the cement would reach the back quarter.
        stop_reason: "volume", "posterior" or "full".
    """

    body_ml: float
    asked_ml: float
    total_ml: float
    stylet_ml: float
    room_ml: float
    back_ml: float
    stop_reason: str

    @property
    def syringe_ml(self) -> float:
        """What is in when the filling stops, before the stylets go back."""
        return self.total_ml - self.stylet_ml

    @property
    def pulses(self) -> int:
        """In how many small steps the syringe gives its part."""
        return max(1, round(self.syringe_ml / _figure("pulse_ml")))


@dataclass(frozen=True, eq=False)
class Plan:
    """What will be done for one case; build it with `plan_vertebroplasty`.

    Attributes:
        case: as given.
        digest: names the plan: equal digests, equal plans.
        needles: by side.
        cement: the volumes.
        filling: the course of the cement.
        back_quarter_y_mm: the cement stays in front of this plane.
    """

    case: Case
    digest: str
    needles: dict[str, PlannedNeedle]
    cement: Cement
    filling: Fill
    back_quarter_y_mm: float
    _kept: OrderedDict[tuple, Structure] = field(default_factory=OrderedDict, repr=False)

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
        return film(PROCEDURE)

    # moments ----------------------------------------------------------------------------------------------------------

    def state_at(self, step: str, share: float) -> State:
        """Every number when `share` (0 to 1) of `step` is over. Depends on nothing else.

        Raises RequestError for an unknown step or a share outside 0 to 1.
        """
        return self._moment(step, share, measured=True)

    def _moment(self, step: str, share: float, measured: bool) -> State:
        """`state_at`, without what must be `measured` on the tumour where that is not wanted."""
        here = self.film.step(step)
        if not 0.0 <= share <= 1.0:
            raise RequestError(f"{step}: {share:g} is not a share of the step; give 0 to 1")
        done = _progress(self.film, step, share)
        collapse = smoothstep(done("fracture", "collapse"))
        growth = smoothstep(done("fracture", "tumour"))
        lying = smoothstep(done("table", "posture"))
        amount = self.patient.amount(collapse, lying)
        heights = _heights(self.patient, amount)
        ways = {side: self._way(side, done) for side in SIDES}
        diameter, neural, canal = None, None, None
        if measured:
            diameter, neural, canal = self._tumour_numbers(round(amount, 3), round(growth, 3), round(lying, 3))
        stylet = 1.0 - smoothstep(done("target", "biopsy") * 4.0) + smoothstep(done("withdrawal", "stylet"))
        return State(
            time_s=here.start_s + share * here.seconds,
            step=step,
            cement_ml=self._cement_ml(done),
            needle_right_mm=None if ways["right"] is None else max(0.0, ways["right"]),
            needle_left_mm=None if ways["left"] is None else max(0.0, ways["left"]),
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
            right_way_mm=ways["right"],
            left_way_mm=ways["left"],
            stylet=stylet,
            turn_deg=360.0 * smoothstep(done("withdrawal", "turn")),
            hardness=smoothstep(done("withdrawal", "harden")),
            load_share=smoothstep(done("cast", "load")),
            c_arm_deg=_c_arm_deg(step, done),
            numb_share=done("table", "numb"),
            nick_share=done("table", "nick"),
            biopsy_share=done("target", "biopsy"),
            dressing_share=done("withdrawal", "dressing"),
        )

    def state_at_time(self, time_s: float) -> State:
        """Every number `time_s` seconds into the film; RequestError for a time outside it."""
        step, share = self.film.at(time_s)
        return self.state_at(step.name, share)

    def _way(self, side: str, done: Callable[[str, str], float]) -> float | None:
        if side not in self.needles or done("entry", "start") <= 0.0 or done("withdrawal", "draw") >= 1.0:
            return None
        needle = self.needles[side]
        past = min(needle.wall_way_mm + _PAST_WALL_MM, needle.reach_mm)
        legs = (
            (-_BEFORE_SKIN_MM, "entry", "approach", -1.0),
            (-1.0, "entry", "advance", needle.contact_way_mm),
            (needle.contact_way_mm, "pedicle", "advance", needle.wall_way_mm),
            (needle.wall_way_mm, "pedicle", "pass_wall", past),
            (past, "target", "advance", needle.reach_mm),
            (needle.reach_mm, "withdrawal", "draw", -_BEFORE_SKIN_MM),
        )
        way = legs[0][0]
        for start, step, beat, end in legs:
            way += (end - start) * smoothstep(done(step, beat))
        return way

    def _cement_ml(self, done: Callable[[str, str], float]) -> float | None:
        filled = done("cement", "fill")
        if filled <= 0.0:
            return None
        driven = smoothstep(done("withdrawal", "stylet"))
        return self.cement.syringe_ml * in_pulses(filled, self.cement.pulses) + self.cement.stylet_ml * driven

    def _tumour_numbers(self, amount: float, growth: float, lying: float) -> tuple[float | None, float | None, float]:
        if growth <= 0.0:
            return None, None, 1.0
        return _measured_tumour(self.case.canonical(), amount, growth, lying)

    # structures -------------------------------------------------------------------------------------------------------

    def structures_at(self, state: State, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; `surroundings` as Patient.structures takes it."""
        out = dict(self.patient.structures(state.collapse, state.lying, state.tumour, surroundings))
        if state.c_arm_deg is not None and surroundings == "trunk":
            out.update(theatre(self.level, state.c_arm_deg))
        if state.dressing_share > 0.0 and "skin" in out:
            nicks = [needle.skin_mm for needle in self.needles.values()]
            out["dressing"] = dressing(out["skin"].field, out["skin"].key, nicks)
        if state.cement_ml is not None and state.cement_ml >= LEAST_SHOWN_ML:
            out["cement"] = self.cement_structure(state.cement_ml)
        for side, needle in self.needles.items():
            way = state.way_mm(side)
            if way is None:
                continue
            shape = NeedleShape(self.size.gauge, needle.length_mm, stylet=state.stylet > 0.5)
            out.update(
                needle_structures(f"needle-{side}", shape, needle.tip_at(way), needle.path.forward, state.turn_deg)
            )
        return out

    def spans(self) -> dict[str, tuple[float, float]]:
        """From when to when (seconds of film, to a tenth) the structures exist that come or go."""
        out: dict[str, tuple[float, float]] = {}
        for tenth in range(round(10 * self.film.seconds) + 1):
            time = min(tenth / 10, self.film.seconds)
            step, share = self.film.at(time)
            state = self._moment(step.name, share, measured=False)
            here = [
                f"{part}-{side}" for side in SIDES if state.way_mm(side) is not None for part in ("needle", "handle")
            ]
            if state.cement_ml is not None and state.cement_ml >= LEAST_SHOWN_ML:
                here.append("cement")
            if state.tumour > 0.0:
                here.append("tumour")
            if self.patient.fracture.cleft_thickness_mm(self.patient.amount(state.collapse, state.lying)) > 0.05:
                here.append("cleft")
            for name in here:
                out[name] = (out.get(name, (time, time))[0], time)
        return out

    def cement_structure(self, volume_ml: float) -> Structure:
        """The cement when `volume_ml` are in; its surface holds that volume within 1 %."""
        volume = round(volume_ml, 3)
        key = ("cement", volume)
        if key not in self._kept:
            made: dict[float, Mesh] = {}

            def mesh(spacing_mm: float) -> Mesh:
                place = LATTICE_MM if spacing_mm > 0.67 * LATTICE_MM else LATTICE_MM / 2
                if place not in made:
                    made[place] = self.filling.mesh_at(volume, place)
                return made[place]

            self._kept[key] = Structure(
                "cement", "cement", "cement", self.filling.field_at(volume), mesh,
                f"cement-{self.digest[:16]}-{volume:.3f}", RANKS["cement"],
            )  # fmt: skip
            while len(self._kept) > 16:
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
        limits = rules()
        front = self._front_wall_y_mm()
        depth = (front - self.back_quarter_y_mm) / (1.0 - _figure("back_share"))
        out: dict[str, float] = {"least_bone_asked_mm": limits.least_bone_mm}
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
                f"needle_{side}_reach_mm": needle.reach_mm,
            }
        points = self.cement_structure(self.cement.total_ml).mesh(LATTICE_MM).points_mm
        out |= {
            "cement_to_back_quarter_mm": float(points[:, 1].min() - self.back_quarter_y_mm),
            "cement_to_canal_mm": float(vertebra(self.level).canal.distance(points).min()),
            "cement_room_ml": self.cement.room_ml,
        }
        return out

    def _front_wall_y_mm(self) -> float:
        return _walls(self.patient)[1]

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name, by placeholder."""
        f, case = self.patient.fracture, self.case
        healthy, standing = f.heights(0.0), f.heights(self.patient.amount(1.0, 0.0))
        lying = f.heights(self.patient.amount(1.0, 1.0))
        diameter, neural, canal = self._tumour_numbers(round(self.patient.amount(1.0, 1.0), 3), 1.0, 1.0)
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
            "gauge": float(case.needle.gauge),
            "needles": float(len(self.needles)),
            "needle_length_mm": max(n.length_mm for n in self.needles.values()),
            "contact_mm": max(n.contact_way_mm for n in self.needles.values()),
            "reach_mm": max(n.reach_mm for n in self.needles.values()),
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
            "healthy_anterior_mm": healthy.anterior_mm,
            "healthy_posterior_mm": healthy.posterior_mm,
            "healthy_wedge_deg": healthy.wedge_deg,
            "standing_anterior_mm": standing.anterior_mm,
            "standing_posterior_mm": standing.posterior_mm,
            "standing_wedge_deg": standing.wedge_deg,
            "healthy_middle_mm": healthy.middle_mm,
            "standing_middle_mm": standing.middle_mm,
            "final_middle_mm": lying.middle_mm,
            "ap_target": self._ap_target(),
            "counting": _counting(self.patient.levels),
            "lying_anterior_mm": lying.anterior_mm,
            "lying_wedge_deg": lying.wedge_deg,
            "final_anterior_mm": lying.anterior_mm,
            "final_wedge_deg": lying.wedge_deg,
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
            table["balloon"]["volume_ml"] = round(2.0 * self.cement.body_ml / body_volume_ml("L1"), 2)
        return table


def _progress(clock: Film, step: str, share: float) -> Callable[[str, str], float]:
    """beat of a step -> how much of it is over: 1 in steps gone by, 0 in steps to come. "start" is the step's own."""
    order = [s.name for s in clock.steps]
    now = order.index(step)

    def done(name: str, beat: str) -> float:
        place = order.index(name)
        if place != now:
            return 1.0 if place < now else 0.0
        return 1.0 if beat == "start" else clock.steps[now].beat_share(beat, share)

    return done


def _counting(levels: tuple[str, ...]) -> str:
    """From where the level is counted in the levels in view: "both" ends, "sacrum", "last-rib" or "first-rib"."""
    if "T12" in levels and "sacrum" in levels:
        return "both"
    if "sacrum" in levels:
        return "sacrum"
    return "last-rib" if "T12" in levels else "first-rib" if "T1" in levels else "neighbours"


def _c_arm_deg(step: str, done: Callable[[str, str], float]) -> float | None:
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
    """Greatest diameter, the way to the cord or the nearest root, and the share of the canal that is free."""
    here = case_patient(Case.model_validate_json(case))
    collapse = amount if lying == 0.0 else amount / (1.0 - lying * (1.0 - here.fracture.lying_amount))
    mesh = here.tumour_structure(amount, growth).mesh(1.5)
    # at this level the nerves hardly move with posture and collapse: tenths of these place them within 0.1 mm
    nerves = here.structures(round(min(1.0, collapse), 1), round(lying, 1), 1.0, "spine")
    points = mesh.points_mm
    neural = min(float(nerves[name].field(points).min()) for name in ("cord", "roots") if name in nerves)
    home = vertebra(here.level)
    z = home.landmarks["canal-centre"][2]
    low, high = home.canal.bounds_mm
    x, y = np.meshgrid(np.linspace(low[0], high[0], 40), np.linspace(low[1], high[1], 40))
    slices = [np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z + up)]) for up in (-6.0, -3.0, 0.0, 3.0, 6.0)]
    taken = here.tumour_structure(amount, growth).field
    shares = []
    for points_mm in slices:
        canal = points_mm[home.canal.contains(points_mm)]
        shares.append(1.0 - float(taken.contains(canal).mean()))
    return greatest_diameter_mm(mesh), neural, min(shares)


def case_patient(case: Case) -> Patient:
    """The body that `case` describes; RequestError, naming the key, where it cannot be."""
    return patient(
        case.spine.level,
        case.fracture.shape,
        case.fracture.height_loss,
        case.tumour.diameter_mm,
        case.tumour.side,
        case.seed,
        case.tumour.extent,
    )


@cache
def body_volume_ml(level: str) -> float:
    """The volume of the healthy body of `level`, measured on its surface, mL."""
    return mesh_field(vertebra(level).body, 1.0).volume_ml


# planning -------------------------------------------------------------------------------------------------------------


def _walls(here: Patient) -> tuple[float, float]:
    """y of the back wall and of the front wall of the broken body, lying, as the lateral view shows them."""
    marks = vertebra(here.level).landmarks
    corners = np.array([marks["upper-front-rim"], marks["lower-front-rim"]])
    moved = here.fracture.forward(corners, here.amount(1.0, 1.0))
    return float(marks["body-back-centre"][1]), float(moved[:, 1].mean())


def _around(here: Patient, side: str, bone: Field) -> Surroundings:
    home = vertebra(here.level)
    marks = home.landmarks
    names = [f"{end}-{way}-rim" for end in ("upper", "lower") for way in ("front", "back")]
    upper_front, upper_back, lower_front, lower_back = here.fracture.forward(
        np.array([marks[name] for name in names]), here.amount(1.0, 1.0)
    )
    back, front = _walls(here)

    def height(rear: Vector, fore: Vector, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return rear[2] + (y - rear[1]) * (fore[2] - rear[2]) / (fore[1] - rear[1])

    return Surroundings(
        side=side,
        bone=bone.distance,
        canal=home.canal.distance,
        pedicle=home.frames[f"pedicle-{side}"],
        pedicle_width_mm=home.row["PDW_zindrick_mm"].value,
        pedicle_height_mm=home.row["PDH_zindrick_mm"].value,
        entry_mm=marks[f"pedicle-upper-outer-{side}"],
        back_wall_y_mm=back,
        front_wall_y_mm=front,
        inner_edge_x_mm=home.row["SCW_use_mm"].value / 2,
        middle_z_mm=lambda y: (height(upper_back, upper_front, y) + height(lower_back, lower_front, y)) / 2,
    )


def _target_x_mm(around: Surroundings, approach: str) -> float:
    """Halfway from pedicle to midline with two needles; just past the midline with one."""
    return float(abs(around.pedicle.origin_mm[0])) / 2 if approach == "bipedicular" else -2.0


def _best_path(around: Surroundings, size: NeedleSize, case: Case) -> NeedlePath:
    thicker = tuple(other.radius_mm for other in needle_sizes().values() if other.outer_mm > size.outer_mm)
    return find_path(around, size.radius_mm, rules(), _target_x_mm(around, case.needle.approach), thicker[::-1])


def _refusal(here: Patient, around: Surroundings, case: Case, error: NoPathError) -> RequestError:
    limits, sizes = rules(), needle_sizes()
    size = sizes[case.needle.gauge]
    fitting = None
    for gauge, other in sizes.items():
        if other.outer_mm < size.outer_mm:
            try:
                _best_path(around, other, case)
            except NoPathError:
                continue
            fitting = gauge
            break
    where = f"the {around.side} pedicle of {here.level} ({around.pedicle_width_mm:g} mm wide)"
    if error.where == "body":
        where += f" and on into the front third of its body, broken by {case.fracture.height_loss:.0%}"
    first = (
        f"needle.gauge: {size.gauge} ({size.outer_mm:g} mm thick) finds no way with {limits.least_bone_mm:g} mm of "
        f"bone on every side through {where}"
    )
    if fitting is not None:
        second = f"the largest needle of the catalogue that fits is {fitting} gauge ({sizes[fitting].outer_mm:g} mm)"
    else:
        second = f"no needle of the catalogue ({', '.join(map(str, sizes))} gauge) fits"
    if here.level in _UPPER_THORACIC:
        second += "; at upper thoracic levels a parapedicular route is used in practice"
    return RequestError(f"{first};\n{second}")


def plan_needles(here: Patient, case: Case) -> dict[str, PlannedNeedle]:
    """The needles of `case` in the body `here`, by side.

    Raises RequestError where no safe path exists: with the largest gauge that fits and, at upper thoracic levels, the
    route that is used in practice.
    """
    bone = here.treated_bone(here.amount(1.0, 1.0)).field
    skin = trunk(here.column(1.0, 1.0))
    size = needle_size(case.needle.gauge)
    out = {}
    for side in SIDES if case.needle.approach == "bipedicular" else (case.needle.approach,):
        around = _around(here, side, bone)
        try:
            path = _best_path(around, size, case)
        except NoPathError as error:
            raise _refusal(here, around, case, error) from None
        point = skin.entry_on_skin(path.contact_mm, -path.forward)
        reach = float(np.linalg.norm(path.tip_mm - point))
        out[side] = PlannedNeedle(path, point, size.length_for(reach, least_outside_mm()))
    return out


def _body_lattice(here: Patient) -> Grid:
    """The lattice over the broken body, lying, with the signed distance to the walls of its trabecular room."""
    structure = here.treated_bone(here.amount(1.0, 1.0))
    home = vertebra(here.level)
    bounds = home.body.bounds_mm.copy()
    bounds[1, 1] += 3.0  # the front wall folds forward
    bounds[0, 0], bounds[1, 0] = bounds[0, 0] - 2.0, bounds[1, 0] + 2.0
    # nodes on whole multiples of the spacing, so that the bone's unevenness stays where it is from body to body
    bounds[0] = np.floor(bounds[0] / LATTICE_MM) * LATTICE_MM
    grid = lattice(bounds, LATTICE_MM, 2 * LATTICE_MM)
    assert structure.core is not None
    values = structure.core.distance(grid.points()).reshape(grid.values.shape) + _figure("cortex_clear_mm")
    edge = np.ones(values.shape, bool)
    edge[1:-1, 1:-1, 1:-1] = False
    values[edge] = np.maximum(values[edge], LATTICE_MM)
    return Grid(grid.origin_mm, grid.spacing_mm, values.astype(np.float32))


def _speed(here: Patient, room: Grid, seed: int) -> NDArray[np.float64]:
    """How fast the front runs at each node: uneven bone, faster in the cleft, slower in the tumour."""
    speed = permeability_noise(room, seed, _figure("lobe_mm"), _figure("finger_mm"), _figure("noise_log_sd"))
    points = room.points()
    amount = here.amount(1.0, 1.0)
    cleft = here.fracture.cleft(amount).distance(points).reshape(speed.shape)
    speed = np.where(cleft < 0.5 * LATTICE_MM, speed * _figure("cleft_speed"), speed)
    if here.tumour is not None:
        inside = here.tumour_structure(amount, 1.0).field.contains(points).reshape(speed.shape)
        speed = np.where(inside, speed * _figure("tumour_speed"), speed)
    return speed


def _planned_cement(here: Patient, case: Case, needles: dict[str, PlannedNeedle]) -> tuple[Cement, Fill, float]:
    room = _body_lattice(here)
    back, front = _walls(here)
    quarter = back + _figure("back_share") * (front - back)
    nodes_y = room.points()[:, 1].reshape(room.values.shape)
    ahead = (room.values < 0) & (nodes_y > quarter)
    room_ml = float(ahead.sum()) * LATTICE_MM**3 / 1000.0
    body_ml = body_volume_ml(here.level)
    least = _figure("least_volume_ml")
    given = case.cement.volume_ml
    asked = min(_figure("share_of_body") * body_ml, room_ml) if isinstance(given, str) else given
    if asked > room_ml:
        raise RequestError(
            f"cement.volume_ml: {asked:g} is more than the {_floor(room_ml):g} mL that this body can take; "
            f"give {least:g} to {_floor(room_ml):g}"
        )
    size = needle_size(case.needle.gauge)
    shapes = [(needle, NeedleShape(size.gauge, needle.length_mm)) for needle in needles.values()]
    tips = np.array([needle.path.at(way) for needle, shape in shapes for way in (-0.5 * shape.tip_mm, 0.0)])
    filling = fill(room, _speed(here, room, case.seed), tips, size.inner_mm / 2, asked + 0.5)
    # one lattice width to spare: the surface runs between the nodes
    level = level_reaching(filling, nodes_y < quarter + LATTICE_MM)
    back_ml = filling.volume_at(level) if np.isfinite(level) else float("inf")
    full_ml = float(filling.volumes_ml[-1])
    total = min(asked, back_ml, full_ml)
    reason = "volume" if total == asked else "posterior" if total == back_ml else "full"
    bores = sum(size.bore_ml(needle.length_mm) for needle in needles.values())
    # where little is given the bores are only part filled, so that half of it still comes from the syringe
    cement = Cement(body_ml, asked, total, min(bores, 0.5 * total), room_ml, min(back_ml, 1e6), reason)
    return cement, filling, quarter


def _floor(volume_ml: float) -> float:
    return float(np.floor(volume_ml * 10.0) / 10.0)


def plan_vertebroplasty(case: Case) -> Plan:
    """The plan for `case`, read from the cache or made and kept there.

    Raises RequestError, naming the key, where the body cannot be as asked, where no safe path exists, or where the
    volume does not fit.
    """
    digest = plan_digest(PROCEDURE, case.canonical())
    found = kept_plan(digest)
    if found is not None:
        try:
            return _unpacked(case, digest, *found)
        except (KeyError, TypeError, ValueError):
            pass  # a damaged file is made anew
    here = case_patient(case)
    needles = plan_needles(here, case)
    cement, filling, quarter = _planned_cement(here, case, needles)
    packed = _packed(Plan(case, digest, needles, cement, filling, quarter))
    keep_plan(digest, *packed)
    return _unpacked(case, digest, *packed)  # the same numbers to the last bit whether made now or kept


def _packed(plan: Plan) -> tuple[dict[str, Any], dict[str, NDArray]]:
    needles = {}
    for side, needle in plan.needles.items():
        path = {f.name: getattr(needle.path, f.name) for f in fields(NeedlePath)}
        plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in path.items()}
        needles[side] = {"path": plain, "skin_mm": needle.skin_mm.tolist(), "length_mm": needle.length_mm}
    filling = plan.filling
    numbers = {
        "needles": needles,
        "cement": asdict(plan.cement),
        "back_quarter_y_mm": plan.back_quarter_y_mm,
        "origin_mm": filling.room.origin_mm.tolist(),
        "spacing_mm": filling.room.spacing_mm,
    }
    arrays: dict[str, NDArray] = {
        "room": filling.room.values.astype(np.float32),
        "order": filling.order.values.astype(np.float32),
        "sources": filling.sources,
        "levels_mm": filling.levels_mm,
        "volumes_ml": filling.volumes_ml,
    }
    return numbers, arrays


def _unpacked(case: Case, digest: str, numbers: dict[str, Any], arrays: dict[str, NDArray]) -> Plan:
    needles = {}
    for side, entry in numbers["needles"].items():
        path: dict[str, Any] = {
            name: np.array(value) if isinstance(value, list) else value for name, value in entry["path"].items()
        }
        needles[side] = PlannedNeedle(NeedlePath(**path), np.array(entry["skin_mm"]), float(entry["length_mm"]))
    origin, spacing = np.array(numbers["origin_mm"]), float(numbers["spacing_mm"])
    filling = Fill(
        Grid(origin, spacing, arrays["room"]),
        Grid(origin, spacing, arrays["order"]),
        arrays["sources"],
        arrays["levels_mm"],
        arrays["volumes_ml"],
    )
    return Plan(case, digest, needles, Cement(**numbers["cement"]), filling, float(numbers["back_quarter_y_mm"]))


__all__ = ["PROCEDURE", "Cement", "Plan", "PlannedNeedle", "case_patient", "plan_needles", "plan_vertebroplasty"]
