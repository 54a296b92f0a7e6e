"""Vertebroplasty: needles through the pedicles, cement in the fractured body; plan, state and structures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spineviz.anatomy.patient import Patient
from spineviz.anatomy.structure import Structure
from spineviz.devices.catalogue import needle_size, needle_sizes
from spineviz.devices.needle import NeedleShape, needle_structures
from spineviz.physics.cement import Fill, fill, in_pulses
from spineviz.procedures.access import PlannedNeedle, Widest, needle_length_mm, plan_paths, rules, walls
from spineviz.procedures.augmentation import (
    BEFORE_SKIN_MM,
    AugmentationPlan,
    Leg,
    case_patient,
    planned,
    present,
    way_along,
)
from spineviz.procedures.case import Case
from spineviz.procedures.filling import (
    Cement,
    back_quarter_mm,
    body_volume_ml,
    cement_figure,
    check_volume,
    room_of,
    speed_in,
)
from spineviz.procedures.state import Done, State, smoothstep

_PAST_WALL_MM = 4.0
"""How far in front of the back wall the tip stands when the inner edge may be passed."""


class VertebroplastyPlan(AugmentationPlan):
    """What will be done for one case; build it with `plan_vertebroplasty`."""

    PROCEDURE = "vertebroplasty"

    def summary(self) -> str:
        """What will be done, in a line."""
        cement = f"{self.cement.total_ml:.1f} mL of cement"
        return f"{self.case.needle.gauge} gauge needle, {self._in_pedicle}, {cement}"

    def _own(self, done: Done) -> dict[str, Any]:
        ways = {}
        if done("entry", "start") > 0.0 and done("withdrawal", "draw") < 1.0:
            ways = {f"needle-{side}": way_along(_legs(needle), done) for side, needle in self.needles.items()}
        return {
            "ways_mm": ways,
            "cement_ml": self._cement_ml(done),
            "stylet": 1.0 - smoothstep(done("target", "biopsy") * 4.0) + smoothstep(done("withdrawal", "stylet")),
            "turn_deg": 360.0 * smoothstep(done("withdrawal", "turn")),
            "load_share": smoothstep(done("cast", "load")),
            "biopsy_share": done("target", "biopsy"),
        }

    def _cement_ml(self, done: Done) -> float | None:
        filled = done("cement", "fill")
        if filled <= 0.0:
            return None
        driven = smoothstep(done("withdrawal", "stylet"))
        return self.cement.syringe_ml * in_pulses(filled, self.cement.pulses) + self.cement.stylet_ml * driven

    def _own_structures(self, state: State) -> dict[str, Structure]:
        out: dict[str, Structure] = {}
        for side, way in present(state.ways_mm, "needle"):
            needle = self.needles[side]
            shape = NeedleShape(self.size.gauge, needle.length_mm, stylet=state.stylet > 0.5)
            tip = needle.tip_at(way)
            out |= needle_structures(f"needle-{side}", shape, tip, needle.path.forward, state.turn_deg)
        return out

    def _own_names(self, state: State) -> Iterator[str]:
        for side, _ in present(state.ways_mm, "needle"):
            yield from (f"needle-{side}", f"handle-{side}")

    def _own_words(self) -> dict[str, float | str]:
        return {}


def _legs(needle: PlannedNeedle) -> tuple[Leg, ...]:
    past = min(needle.wall_way_mm + _PAST_WALL_MM, needle.reach_mm)
    return (
        Leg("entry", "approach", -1.0),
        Leg("entry", "advance", needle.contact_way_mm),
        Leg("pedicle", "advance", needle.wall_way_mm),
        Leg("pedicle", "pass_wall", past),
        Leg("target", "advance", needle.reach_mm),
        Leg("withdrawal", "draw", -BEFORE_SKIN_MM),
    )


def plan_needles(here: Patient, case: Case) -> dict[str, PlannedNeedle]:
    """The needles of `case` in the body `here`, by side.

    Raises RequestError where no safe path exists: with the largest gauge that fits and, at upper thoracic levels, the
    route that is used in practice.
    """
    size = needle_size(case.needle.gauge)
    tool = Widest("needle.gauge", "needle", size.gauge, needle_sizes())
    out = {}
    for side, (path, skin) in plan_paths(here, case, tool, rules()).items():
        reach = float(np.linalg.norm(path.tip_mm - skin))
        out[side] = PlannedNeedle(path, skin, needle_length_mm(size, reach))
    return out


def _planned_cement(here: Patient, case: Case, needles: dict[str, PlannedNeedle]) -> tuple[Cement, Fill, float]:
    amount = here.amount(1.0, 1.0)
    room = room_of(here, amount, back_quarter_mm(*walls(here)))
    room_ml, body_ml = room.volume_ml(), body_volume_ml(here.level)
    given = case.cement.volume_ml
    asked = min(cement_figure("share_of_body") * body_ml, room_ml) if isinstance(given, str) else given
    check_volume(asked, min(cement_figure("least_volume_ml"), room_ml), room_ml)
    size = needle_size(case.needle.gauge)
    shapes = [(needle, NeedleShape(size.gauge, needle.length_mm)) for needle in needles.values()]
    tips = np.array([needle.path.at(way) for needle, shape in shapes for way in (-0.5 * shape.tip_mm, 0.0)])
    tumour = None if here.tumour is None else here.tumour_structure(amount, 1.0).field
    speed = speed_in(here, amount, room.lattice, case.seed, tumour)
    filling = fill(room.lattice, speed, tips, size.inner_mm / 2, asked + 0.5)
    total, back_ml, reason = room.stop(filling, asked)
    bores = sum(size.bore_ml(needle.length_mm) for needle in needles.values())
    # where little is given the bores are only part filled, so that half of it still comes from the syringe
    cement = Cement(body_ml, asked, total, min(bores, 0.5 * total), room_ml, back_ml, reason)
    return cement, filling, room.back_quarter_y_mm


def _made(case: Case, digest: str) -> VertebroplastyPlan:
    here = case_patient(case).checked()
    needles = plan_needles(here, case)
    return VertebroplastyPlan(case, digest, needles, *_planned_cement(here, case, needles))


def plan_vertebroplasty(case: Case) -> VertebroplastyPlan:
    """The plan for `case`, read from the cache or made and kept there.

    Raises RequestError, naming the key, where the body cannot be as asked, where no safe path exists, or where the
    volume does not fit.
    """
    return planned(VertebroplastyPlan, case, _made)
