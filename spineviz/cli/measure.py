"""spineviz measure: the built anatomy set against the published table, and a plan's margins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from spineviz.cli.options import case_options, json_option
from spineviz.data.errors import RequestError
from spineviz.data.tables import LEVELS


@click.command("measure")
@click.argument("film_name", metavar="[FILM]", required=False)
@json_option
@case_options
def command(film_name: str | None, as_json: bool, case_file: Path | None, settings: tuple[str, ...]) -> None:
    """Every dimension of the healthy vertebrae, built and published; with FILM, the margins of its plan too."""
    if film_name is None and (case_file is not None or settings):
        raise RequestError("--case, --set: only a film's plan depends on a case; give FILM too")
    margins = None
    if film_name is not None:
        from spineviz.data.films import film
        from spineviz.procedures.case import load_case
        from spineviz.procedures.plans import plan_for

        film(film_name)
        margins = plan_for(film_name, load_case(case_file, settings)).margins
    rows = measured_rows()
    if as_json:
        answer: dict[str, Any] = {"measures": rows}
        if margins is not None:
            answer["margins"] = {name: round(value, 4) for name, value in margins.items()}
        click.echo(json.dumps(answer, indent=1))
        return
    lines = [f"{'level':<6}{'dimension':<36}{'built':>9}{'published':>11}{'difference':>12}  within  mark"]
    lines += [
        f"{row['level']:<6}{row['name']:<36}{row['built']:>9.2f}{row['published']:>11.2f}{row['difference']:>12.2f}"
        f"  {'yes' if row['within'] else 'NO':<6}  {row['mark']}"
        for row in rows
    ]
    if margins is not None:
        lines += ["", *(f"{name:<42}{value:>9.2f}" for name, value in margins.items())]
    click.echo("\n".join(lines))


def measured_rows() -> list[dict[str, Any]]:
    """One entry for each dimension of each level: built, published, their difference, source and mark."""
    from spineviz.anatomy.column import column
    from spineviz.anatomy.measures import measure_vertebra
    from spineviz.anatomy.measures_column import measure_column

    return [
        {
            "level": measure.level,
            "name": measure.name,
            "built": round(float(measure.built), 4),
            "published": measure.published.value,
            "difference": round(float(measure.difference), 4),
            "tolerance": round(float(measure.tolerance), 4),
            "within": bool(measure.within),
            "unit": measure.unit,
            "source": measure.published.citation,
            "mark": measure.published.mark,
        }
        for measure in (*(m for level in LEVELS for m in measure_vertebra(level)), *measure_column(column("L1")))
    ]
