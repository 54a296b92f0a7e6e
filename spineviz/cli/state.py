"""spineviz state: every number of a moment, or of many."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from spineviz.cli.options import case_options, json_option
from spineviz.data.errors import RequestError

LEAST_EVERY_S = 0.01
"""The finest interval that --every takes."""


def moment_of(seconds: float, at: float) -> float:
    """`at`, if it lies within a film that lasts `seconds`; RequestError, naming --at, if not."""
    if not 0.0 <= at <= seconds:
        raise RequestError(f"--at: {at:g} s is outside the film; give 0 to {seconds:g}")
    return at


def times_of(seconds: float, at: float | None, every: float | None) -> list[float]:
    """The moments asked for, in seconds of a film that lasts `seconds`.

    Raises RequestError unless exactly one of --at (within the film) and --every (0.01 s and more) is given.
    """
    if (at is None) == (every is None):
        raise RequestError(f"give either --at SECONDS, 0 to {seconds:g}, or --every SECONDS")
    if at is not None:
        return [moment_of(seconds, at)]
    assert every is not None
    if not (math.isfinite(every) and LEAST_EVERY_S <= every <= seconds):
        raise RequestError(f"--every: {every:g} is not an interval; give {LEAST_EVERY_S:g} to {seconds:g} seconds")
    return [round(i * every, 6) for i in range(int(seconds / every + 1e-9) + 1)]


@click.command("state")
@click.argument("film_name", metavar="FILM")
@click.option("--at", metavar="SECONDS", type=float, help="One moment of the film.")
@click.option("--every", metavar="SECONDS", type=float, help="A list of moments, this far apart.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Answer in CSV.")
@case_options
def command(
    film_name: str,
    at: float | None,
    every: float | None,
    as_json: bool,
    as_csv: bool,
    case_file: Path | None,
    settings: tuple[str, ...],
) -> None:
    """Every number of FILM at a moment: volumes, lengths, heights; empty before a thing exists.

    Of a film that shows several procedures each has its own numbers, in JSON under its name, else after it and a dot.
    """
    if as_json and as_csv:
        raise RequestError("--csv: --json is given too; give one of them")
    from spineviz.data.films import film

    times = times_of(film(film_name).seconds, at, every)
    from spineviz.procedures.case import load_case
    from spineviz.procedures.plans import plan_for

    plan = plan_for(film_name, load_case(case_file, settings))
    rows = [plan.state_at_time(time).public() for time in times]
    if as_csv:
        click.echo(as_csv_text(rows), nl=False)
    elif as_json:
        click.echo(json.dumps(rows[0] if at is not None else rows, indent=None if at is None else 2))
    else:
        click.echo("\n\n".join(_plain(row) for row in rows))


def flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`row` without nesting: {"a": {"b": 1}} becomes {"a.b": 1}."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        out.update(flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value})
    return out


def as_csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """`rows` as CSV with a header; nothing stands for null."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(flat(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat(row) for row in rows)
    return stream.getvalue()


def _plain(row: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value

    lines = flat(row)
    wide = max(20, *(len(key) for key in lines)) + 2
    return "\n".join(f"{key:<{wide}}{text(value)}" for key, value in lines.items())
