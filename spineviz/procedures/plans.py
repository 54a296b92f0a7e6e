"""Which plan belongs to which film."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spineviz.data.errors import RequestError
from spineviz.data.films import film_names

if TYPE_CHECKING:
    from spineviz.procedures.case import Case


def plan_for(film_name: str, case: Case) -> Any:
    """The plan that the film `film_name` shows of `case`: an AugmentationPlan, or of several a ComparisonPlan.

    Raises RequestError for an unknown film, and what the planning itself refuses.
    """
    if film_name == "vertebroplasty":
        from spineviz.procedures.vertebroplasty import plan_vertebroplasty

        return plan_vertebroplasty(case)
    if film_name == "kyphoplasty":
        from spineviz.procedures.kyphoplasty import plan_kyphoplasty

        return plan_kyphoplasty(case)
    if film_name == "comparison":
        from spineviz.procedures.comparison import plan_comparison

        return plan_comparison(case)
    raise RequestError(f"no film {film_name!r}; there is {', '.join(film_names())}")
