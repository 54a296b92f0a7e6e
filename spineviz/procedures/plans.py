"""Which plan belongs to which film."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from spineviz.data.errors import RequestError
from spineviz.data.films import film_names

if TYPE_CHECKING:
    from spineviz.procedures.augmentation import AugmentationPlan
    from spineviz.procedures.case import Case
    from spineviz.procedures.chemoembolization import ChemoembolizationPlan
    from spineviz.procedures.tracks import PlansInStep

Plan: TypeAlias = "AugmentationPlan | ChemoembolizationPlan | PlansInStep"
"""What a film shows: the plan of one procedure, or of several."""

PROCEDURES = ("vertebroplasty", "kyphoplasty", "chemoembolization")
"""The films that show one procedure."""


def procedure_plan(name: str, case: Case) -> AugmentationPlan | ChemoembolizationPlan:
    """The plan of the procedure `name`, one of PROCEDURES; RequestError for another, and what the planning refuses."""
    if name == "vertebroplasty":
        from spineviz.procedures.vertebroplasty import plan_vertebroplasty

        return plan_vertebroplasty(case)
    if name == "kyphoplasty":
        from spineviz.procedures.kyphoplasty import plan_kyphoplasty

        return plan_kyphoplasty(case)
    if name == "chemoembolization":
        from spineviz.procedures.chemoembolization import plan_chemoembolization

        return plan_chemoembolization(case)
    raise RequestError(f"no procedure {name!r}; there is {', '.join(PROCEDURES)}")


def plan_for(film_name: str, case: Case) -> Plan:
    """The plan that the film `film_name` shows of `case`: of one procedure, or of several.

    Raises RequestError for an unknown film, and what the planning itself refuses.
    """
    if film_name in PROCEDURES:
        return procedure_plan(film_name, case)
    if film_name == "comparison":
        from spineviz.procedures.comparison import plan_comparison

        return plan_comparison(case)
    if film_name == "overview":
        from spineviz.procedures.overview import plan_overview

        return plan_overview(case)
    raise RequestError(f"no film {film_name!r}; there is {', '.join(film_names())}")
