"""Vertebroplasty and kyphoplasty of one and the same case, in step: a plan of two plans (see tracks.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from spineviz.anatomy.vertebra import vertebra
from spineviz.procedures.state import State
from spineviz.procedures.tracks import PlansInStep, StateInStep, plans_of

if TYPE_CHECKING:
    from spineviz.anatomy.patient import Patient
    from spineviz.procedures.augmentation import AugmentationPlan
    from spineviz.procedures.case import Case

NAME = "comparison"
PROCEDURES = ("vertebroplasty", "kyphoplasty")
PREFIXES: Mapping[str, str] = MappingProxyType({"vertebroplasty": "vp_", "kyphoplasty": "kp_"})
"""What stands before the words of each procedure."""

REGAINED_AS: Mapping[str, str] = MappingProxyType({"wedge": "angle", "crush": "front", "biconcave": "middle"})
"""Shape of the fracture -> what shows its recovery: the angle, the front height or the middle height."""


@dataclass(frozen=True)
class ComparisonState(StateInStep):
    """The numbers of one moment of both procedures.

    Attributes:
        vertebroplasty, kyphoplasty: each plan's State; its `time_s` and `step` are those of the procedure's own film.
    """

    vertebroplasty: State
    kyphoplasty: State


@dataclass(frozen=True, eq=False)
class ComparisonPlan(PlansInStep):
    """Both procedures for one case; build it with `plan_comparison`."""

    NAME: ClassVar[str] = NAME
    PREFIXES: ClassVar[Mapping[str, str]] = PREFIXES

    plans: Mapping[str, AugmentationPlan]

    def _state(self, time_s: float, step: str, share: float, states: Mapping[str, State]) -> ComparisonState:
        return ComparisonState(time_s, step, share, **states)

    @property
    def patient(self) -> Patient:
        """The body that both treat, one object."""
        return self.plans["vertebroplasty"].patient

    # numbers ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _words(self) -> dict[str, float | str]:
        own = {name: plan.words() for name, plan in self.plans.items()}
        first, second = (own[name] for name in PROCEDURES)
        # the level, the fracture, standing and lying: what the two have in common stands without a prefix as well; of
        # what differs the first one's, which phrases of the augmentations' common narration ask for
        shared = {**second, **first}
        return {
            **shared,
            **self.prefixed(lambda name, plan: own[name]),
            "regained_as": REGAINED_AS[self.case.fracture.shape],
            **self.prefixed(lambda name, plan: {"cement_to_back_wall_mm": _to_back_wall_mm(plan)}),
        }

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name: both plans' words with "vp_" and "kp_" before them, what both share
        without; each one's cement_to_back_wall_mm; and regained_as: "angle", "front" or "middle", by which the
        fracture's recovery is told."""
        return dict(self._words)

    def resolved(self) -> dict[str, Any]:
        """The case with "auto" resolved as each procedure decides it: what both agree on, and under each one's name
        what it alone decides."""
        own = {name: plan.resolved() for name, plan in self.plans.items()}
        out: dict[str, Any] = {}
        for section, values in own["vertebroplasty"].items():
            if not isinstance(values, dict):
                out[section] = values
                continue
            same = {k: v for k, v in values.items() if all(other[section][k] == v for other in own.values())}
            out[section] = same
            for name, other in own.items():
                apart = {k: v for k, v in other[section].items() if k not in same}
                if apart:
                    out.setdefault(name, {})[section] = apart
        return out


def _to_back_wall_mm(plan: AugmentationPlan) -> float:
    """From the rearmost cement, when all is in, to the back wall of the body, mm."""
    wall = float(vertebra(plan.level).landmarks["body-back-centre"][1])
    return plan.margins["cement_to_back_quarter_mm"] + plan.back_quarter_y_mm - wall


def plan_comparison(case: Case) -> ComparisonPlan:
    """Both plans for `case`.

    Raises RequestError: which of the procedures refuses the case, and why; where both refuse it for the same reason,
    that reason.
    """
    from spineviz.procedures.kyphoplasty import plan_kyphoplasty
    from spineviz.procedures.vertebroplasty import plan_vertebroplasty

    makers: dict[str, Callable[[Case], Any]] = {"vertebroplasty": plan_vertebroplasty, "kyphoplasty": plan_kyphoplasty}
    return ComparisonPlan(case, MappingProxyType(plans_of(case, makers, "the two cannot be set side by side")))


__all__ = ["NAME", "PROCEDURES", "ComparisonPlan", "ComparisonState", "plan_comparison"]
