"""spineviz render: films to video files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spineviz.cli.options import (
    aspect_option,
    case_options,
    check_out,
    cluster_option,
    force_option,
    format_option,
    hands_for,
    jobs_option,
    out_option,
    quality_option,
    theme_option,
)
from spineviz.cli.progress import shown_progress
from spineviz.data.errors import FaultError, RequestError

if TYPE_CHECKING:
    from spineviz.film.render import Hands, Request
    from spineviz.film.rendition import Rendition
    from spineviz.film.shows import Show
    from spineviz.procedures.case import Case

PURE_HELP = """FILM may also be path/to/scene.py:ClassName, any manim scene for the Cairo renderer. Its construct() is
run once without drawing, to count its plays, and again in each worker, which draws only the plays of its own pieces. So
construct() must do the same each time. Random numbers from random and numpy.random are seeded for it (with config.seed,
or 0); a generator of its own needs a seed, as in numpy.random.default_rng(7). No clock, no network and no order of a
set may decide what is shown. It keeps nothing in files or modules from one run to the next, and does not read the
picture that was drawn. Updaters may count their steps: plays that a worker does not draw are gone through all the same.
A scene that has other plays in another run, or ends one with another picture, is refused and told so."""
"""What is asked of a scene."""


@click.command("render", epilog=PURE_HELP)
@click.argument("films", metavar="FILM...", nargs=-1, required=True)
@case_options
@quality_option()
@aspect_option
@format_option
@theme_option
@click.option("--steps", metavar="N[-M]", help="Only these steps, counted from 1, such as 3-5.")
@jobs_option
@cluster_option
@out_option("the film; with several films, or to keep the usual name, a folder")
@force_option
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done, but draw nothing.")
def command(
    films: tuple[str, ...],
    case_file: Path | None,
    settings: tuple[str, ...],
    quality: str,
    aspect: str,
    format_name: str,
    theme: str,
    steps: str | None,
    jobs: int | None,
    cluster: str | None,
    out: Path | None,
    force: bool,
    dry_run: bool,
) -> int:
    """Render each FILM to a video file, with a JSON beside it that names case, values, versions and sources.

    A render that was stopped, however it was, goes on where it stopped when it is asked for again.
    """
    from spineviz.film.rendition import Rendition

    rendition = Rendition(quality, aspect, format_name, theme)
    requests = requested(films, case_file, settings, rendition, steps, out, force)
    from spineviz.film.render import is_up_to_date

    done = [is_up_to_date(request) for request in requests]  # refusals come before any work
    todo = [request for request, ready in zip(requests, done, strict=True) if not ready]
    for request in requests:
        if request not in todo:
            click.echo(f"{request.out}: up to date")
    if dry_run:
        for request in todo:
            click.echo(intended(request, jobs))
        return 0
    return exit_code(rendered(todo, [hands_for(request.show, jobs, cluster) for request in todo]))


def requested(
    films: Sequence[str],
    case_file: Path | None,
    settings: Sequence[str],
    rendition: Rendition,
    steps: str | None,
    out: Path | None,
    force: bool,
) -> list[Request]:
    """What the options ask for, checked.

    Raises RequestError for an unknown film, a wrong case, wrong steps, and an --out that cannot be.
    """
    from spineviz.film.render import Request

    if len(set(films)) < len(films):
        raise RequestError(f"FILM: {' '.join(films)} names a film twice; give each once")
    suffix = rendition.output.suffix
    folder = Path() if out is None else out if suffix and _is_folder(out) else None
    if folder is None and len(films) > 1:
        raise RequestError(f"--out {out}: {len(films)} films need a folder; give one that exists")
    from spineviz.procedures.case import load_case

    case = load_case(case_file, settings)
    made = []
    for name in films:
        show = show_of(name, case, rendition, steps, case_file is not None or bool(settings))
        path = out if folder is None else folder / named_out(show)
        assert path is not None
        # a film that is there may be the very one that is asked for; that is looked at later
        made.append(Request(show, check_out(path, True, (suffix,)), force))
    return made


def show_of(name: str, case: Case, rendition: Rendition, steps: str | None, case_given: bool) -> Show:
    """The film called `name`, or the manim scene that path/to/scene.py:ClassName names.

    Raises RequestError for what is neither, and for options that a manim scene does not take.
    """
    from spineviz.data.films import film, film_names
    from spineviz.film.manim_scenes import is_film_scene, parse_scene_file
    from spineviz.film.opening import load_scene
    from spineviz.film.pieces import parse_steps
    from spineviz.film.plays import PlaysShow
    from spineviz.film.rendition import Rendition
    from spineviz.film.shows import FilmShow

    scene, source = parse_scene_file(name), None
    if scene is not None and is_film_scene(scene):
        source, name = scene, load_scene(scene).film_name
    if scene is None or name in film_names():
        clock = film(name)
        chosen = parse_steps(steps, clock) if steps is not None else tuple(range(len(clock.steps)))
        return FilmShow(clock.name, case, rendition, chosen, source)
    for option, given in (
        ("--case or --set", case_given),
        ("--steps", steps is not None),
        ("--theme", rendition.theme != Rendition().theme),
        (f"--format {rendition.format}", rendition.output.alpha),
    ):
        if given:
            raise RequestError(f"{option}: goes with this project's films, not with a scene of your own; leave it out")
    return PlaysShow(scene, rendition)


def named_out(show: Show) -> str:
    """FILM-QUALITY.mp4, with what is not the default between them: the level, the aspect, the theme."""
    from spineviz.film.rendition import Rendition
    from spineviz.film.shows import FilmShow
    from spineviz.procedures.case import Case

    usual, rendition = Rendition(), show.rendition
    parts = [show.name]
    if isinstance(show, FilmShow) and show.case.spine.level != Case().spine.level:
        parts.append(show.case.spine.level)
    parts += [rendition.aspect.replace(":", "x")] if rendition.aspect != usual.aspect else []
    parts += [rendition.theme] if rendition.theme != usual.theme else []
    return "-".join([*parts, rendition.quality]) + rendition.output.suffix


def rendered(requests: Sequence[Request], hands: Sequence[Hands]) -> list[FaultError | RequestError | None]:
    """Render each of `requests`, whatever becomes of the others; what went wrong with each, or None.

    With several, a summary names each with its status.
    """
    from spineviz.film.render import render_film

    ends: list[FaultError | RequestError | None] = []
    for request, drawing in zip(requests, hands, strict=True):
        started = time.monotonic()
        try:
            with shown_progress(request) as progress:
                render_film(request, progress, drawing)
        except (FaultError, RequestError) as error:
            if len(requests) == 1:
                raise
            ends.append(error)
            click.echo(f"{request.show.name}: {error}", err=True)
            continue
        ends.append(None)
        spent = time.monotonic() - started
        click.echo(f"{request.out}: {request.seconds:g} s of film, rendered in {spent:.0f} s")
    if len(requests) > 1:
        for request, end in zip(requests, ends, strict=True):
            click.echo(f"{request.show.name}: {'done' if end is None else 'failed'}")
    return ends


def exit_code(ends: Sequence[FaultError | RequestError | None]) -> int:
    """1 where the machine failed one of several films, else 2 where one was refused, else 0."""
    failed = [end for end in ends if end is not None]
    return 0 if not failed else 1 if any(isinstance(end, FaultError) for end in failed) else 2


def intended(request: Request, jobs: int | None) -> str:
    """What would be done, in one line; the case is planned and the disk's room looked at.

    Raises RequestError and FaultError as rendering would.
    """
    from spineviz.film.pace import seconds_a_frame, spoken
    from spineviz.film.render import check_room, missing, needed_bytes
    from spineviz.film.store import piece_store
    from spineviz.film.workers import worker_count

    show, size = request.show, request.show.rendition.size
    kept, left = missing(request, piece_store())
    check_room(request, left)
    show.check()
    workers = jobs or worker_count(len(left), size)
    drawn = sum(task.count for task in left)
    seconds = drawn * seconds_a_frame(show.name, size) / max(1, min(workers, len(left)))
    kept_frames = f", {request.frames - drawn} of them kept" if kept else ""
    return (
        f"{request.out}: would be {request.seconds:g} s, {request.frames} frames of {size.width_px}x{size.height_px} "
        f"at {size.frames_per_s}{kept_frames}, in {len(show.tasks)} pieces; about {spoken(seconds)} with "
        f"{workers} {'process' if workers == 1 else 'processes'} and {needed_bytes(request, left) / 1e6:.0f} MB of "
        f"disk: {', '.join(show.parts)}"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder that may not be looked into: check_out says so
        return False
