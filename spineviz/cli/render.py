"""spineviz render: films to video files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spineviz.cli.options import case_options, check_out, force_option, out_option, quality_option
from spineviz.data.errors import RequestError

if TYPE_CHECKING:
    from spineviz.film.render import Progress, Request

PLAIN_EVERY_S = 10.0
"""Where standard error is no terminal, a line is written this often."""


@click.command("render")
@click.argument("films", metavar="FILM...", nargs=-1, required=True)
@case_options
@quality_option()
@click.option("--steps", metavar="N[-M]", help="Only these steps, counted from 1, such as 3-5.")
@out_option("the film; with several films, or to keep the usual name, a folder")
@force_option
@click.option("--dry-run", is_flag=True, help="Check everything and say what would be done, but draw nothing.")
def command(
    films: tuple[str, ...],
    case_file: Path | None,
    settings: tuple[str, ...],
    quality: str,
    steps: str | None,
    out: Path | None,
    force: bool,
    dry_run: bool,
) -> None:
    """Render each FILM to an MP4 file, with a JSON beside it that names case, values, versions and sources."""
    requests = requested(films, case_file, settings, quality, steps, out, force)
    from spineviz.film.render import check_room, is_up_to_date, render_film

    for request in requests:
        if is_up_to_date(request):
            click.echo(f"{request.out}: up to date")
            continue
        if dry_run:
            check_room(request)
            from spineviz.procedures.plans import plan_for

            plan_for(request.film_name, request.case)
            click.echo(_intended(request))
            continue
        started = time.monotonic()
        with progress_on_stderr(request) as progress:
            render_film(request, progress)
        click.echo(f"{request.out}: {request.seconds:g} s of film, rendered in {time.monotonic() - started:.0f} s")


def requested(
    films: Sequence[str],
    case_file: Path | None,
    settings: Sequence[str],
    quality: str,
    steps: str | None,
    out: Path | None,
    force: bool,
) -> list[Request]:
    """What the options ask for, checked.

    Raises RequestError for an unknown film, a wrong case, wrong steps, and an --out that cannot be.
    """
    from spineviz.data.films import film
    from spineviz.film.pieces import QUALITIES, parse_steps
    from spineviz.film.render import Request, default_out

    clocks = [film(name) for name in films]
    if len(set(films)) < len(films):
        raise RequestError(f"FILM: {' '.join(films)} names a film twice; give each once")
    chosen = [parse_steps(steps, clock) if steps is not None else tuple(range(len(clock.steps))) for clock in clocks]
    folder = Path() if out is None else out if _is_folder(out) else None
    if folder is None and len(films) > 1:
        raise RequestError(f"--out {out}: {len(films)} films need a folder; give one that exists")
    from spineviz.procedures.case import Case, load_case

    case = load_case(case_file, settings)
    made = []
    for clock, numbers in zip(clocks, chosen, strict=True):
        name = default_out(clock.name, quality, case.spine.level, Case().spine.level)
        path = out if folder is None else folder / name
        assert path is not None
        made.append(
            # a film that is there may be the very one that is asked for; that is looked at later
            Request(clock.name, case, QUALITIES[quality], numbers, check_out(path, True, (".mp4",)), force)
        )
    return made


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder that may not be looked into: check_out says so
        return False


def _intended(request: Request) -> str:
    names = [request.clock.steps[i].name for i in request.steps]
    size = request.quality
    return (
        f"{request.out}: would be {request.seconds:g} s, {request.frames} frames of {size.width_px}x{size.height_px} "
        f"at {size.frames_per_s} in {len(request.pieces)} pieces: {', '.join(names)}"
    )


@contextmanager
def progress_on_stderr(request: Request) -> Iterator[Progress]:
    """A bar with the time left on standard error, or plain lines where that is no terminal."""
    if not sys.stderr.isatty():
        yield PlainProgress(request.frames, sys.stderr)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield RichProgress(bar, request.frames)


class RichProgress:
    """A bar that knows how many frames are done."""

    def __init__(self, bar: Any, frames: int) -> None:
        self.bar = bar
        self.task = bar.add_task("planning", total=frames)

    def stage(self, words: str) -> None:
        """Name the part of the work that begins."""
        self.bar.update(self.task, description=words)

    def frames(self, count: int) -> None:
        """Move the bar on."""
        self.bar.update(self.task, advance=count)


class PlainProgress:
    """A line now and then: how far, and how long it will still take."""

    def __init__(self, frames: int, stream: Any, clock: Any = time.monotonic) -> None:
        self.total, self.stream, self.clock = frames, stream, clock
        self.done = 0
        self.started = self.told = clock()

    def stage(self, words: str) -> None:
        """Name the part of the work that begins; the time left is counted from the first drawing on."""
        if words == "drawing":
            self.started = self.told = self.clock()
        self._say(words)

    def frames(self, count: int) -> None:
        """Count frames, and now and then say so."""
        self.done += count
        now = self.clock()
        if now - self.told >= PLAIN_EVERY_S and self.done < self.total:
            self.told = now
            left = (now - self.started) / self.done * (self.total - self.done)
            self._say(f"{self.done} of {self.total} frames, {100 * self.done // self.total} %, {_spoken(left)} left")

    def _say(self, words: str) -> None:
        print(words, file=self.stream, flush=True)


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
