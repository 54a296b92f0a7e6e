"""spineviz still: one frame as PNG."""

from __future__ import annotations

import math
from pathlib import Path

import click

from spineviz.cli.options import (
    aspect_option,
    case_options,
    check_out,
    force_option,
    out_option,
    quality_option,
    theme_option,
)
from spineviz.data.errors import RequestError
from spineviz.data.films import Film


def moment_of(clock: Film, at: float | None, step: str | None) -> float:
    """The second of film that --at or --step (its key frame) names.

    Raises RequestError unless exactly one of them is given, and for a time or a step that the film has not.
    """
    if (at is None) == (step is None):
        names = ", ".join(s.name for s in clock.steps)
        raise RequestError(f"give either --at SECONDS, 0 to {clock.seconds:g}, or --step NAME: {names}")
    if step is not None:
        found = clock.step(step)
        return found.start_s + found.key_s
    assert at is not None
    if not math.isfinite(at):
        raise RequestError(f"--at: {at} is not a time; give 0 to {clock.seconds:g}")
    clock.at(at)
    return at


@click.command("still")
@click.argument("film_name", metavar="FILM")
@click.option("--at", metavar="SECONDS", type=float, help="The moment, seconds of film.")
@click.option("--step", metavar="NAME", help="A step's key frame.")
@case_options
@quality_option("fhd")
@aspect_option
@theme_option
@out_option("the PNG; by default FILM-SECONDS.png or FILM-STEP.png here")
@force_option
def command(
    film_name: str,
    at: float | None,
    step: str | None,
    case_file: Path | None,
    settings: tuple[str, ...],
    quality: str,
    aspect: str,
    theme: str,
    out: Path | None,
    force: bool,
) -> None:
    """One frame of FILM as PNG."""
    from spineviz.data.films import film

    clock = film(film_name)
    time_s = moment_of(clock, at, step)
    path = check_out(out or Path(f"{film_name}-{step or f'{time_s:g}s'}.png"), force, (".png",))
    from spineviz.procedures.case import load_case

    case = load_case(case_file, settings)
    from spineviz.film.opening import opened
    from spineviz.film.pictures import lone_frame, write_png
    from spineviz.film.pieces import QUALITIES, sized

    with opened(film_name, case, sized(QUALITIES[quality], aspect), theme) as scene:
        write_png(path, lone_frame(scene, time_s))
    click.echo(str(path))
