"""How far a render is: a bar a film on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spineviz.film.render import Progress, Request


@contextmanager
def shown_progress(request: Request) -> Iterator[Progress]:
    """A bar with frames, speed and time left on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Quiet()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[film]}, {task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("frames {task.fields[told]}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield RichProgress(bar, request.show.name, request.frames)


class RichProgress:
    """A bar that knows how many frames are done, how fast, and how long the rest will take.

    Speed and time left come from the frames that were drawn, not from those that were kept.
    """

    def __init__(self, bar: Any, film: str, frames: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.bar, self.total, self.clock = bar, frames, clock
        self.there = self.drawn = 0
        self.started = clock()
        self.task = bar.add_task("planning", total=frames, film=film, told="")

    def stage(self, words: str) -> None:
        """Name the part of the work that begins."""
        if words == "drawing":
            self.started = self.clock()
        self.bar.update(self.task, description=words)

    def kept(self, count: int) -> None:
        """Count frames that need not be drawn."""
        self.there += count
        self.bar.update(self.task, advance=count)

    def frames(self, count: int) -> None:
        """Move the bar on."""
        self.drawn += count
        self.bar.update(self.task, advance=count, told=self.speed_and_rest())

    def speed_and_rest(self) -> str:
        """Frames a second, and the time left, in words; empty while nothing was drawn."""
        from spineviz.film.pace import spoken

        spent = self.clock() - self.started
        if not self.drawn or spent <= 0:
            return ""
        speed = self.drawn / spent
        return f"{speed:.1f} a second, {spoken(max(0, self.total - self.there - self.drawn) / speed)} left"


class Quiet:
    """Says nothing."""

    def stage(self, words: str) -> None:
        """A new part of the work has begun."""

    def kept(self, count: int) -> None:
        """So many frames need not be drawn."""

    def frames(self, count: int) -> None:
        """So many more frames are finished."""
