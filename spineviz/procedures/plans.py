"""Which plan belongs to which film."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineviz.data.errors import RequestError
from spineviz.data.films import film_names

if TYPE_CHECKING:
    from spineviz.procedures.case import Case
    from spineviz.procedures.vertebroplasty import Plan


def plan_for(film_name: str, case: Case) -> Plan:
    """The plan that the film `film_name` shows of `case`.

    Raises RequestError for an unknown film, and what the planning itself refuses.
    """
    if film_name == "vertebroplasty":
        from spineviz.procedures.vertebroplasty import plan_vertebroplasty

        return plan_vertebroplasty(case)
    raise RequestError(f"no film {film_name!r}; there is {', '.join(film_names())}")
