"""How a film is cut into pieces, by its clock alone: workers take them in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from spineviz.data.errors import RequestError
from spineviz.data.films import Film
from spineviz.views.designs import DESIGNS

LONGEST_S = 4.0
"""No piece lasts longer, seconds."""

_TICK_S = 0.2
"""Pieces begin at multiples of this, whole frames at 15 and at 30 a second."""


@dataclass(frozen=True)
class Quality:
    """Size, rate and aspect of a rendering."""

    name: str
    width_px: int
    height_px: int
    frames_per_s: int
    aspect: str = "16:9"

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.width_px, self.height_px


QUALITIES = {
    q.name: q
    for q in (
        Quality("draft", 854, 480, 15),
        Quality("hd", 1280, 720, 30),
        Quality("fhd", 1920, 1080, 30),
        Quality("uhd", 3840, 2160, 30),
    )
}

ASPECTS = tuple(DESIGNS)
"""Width to height, as a command takes them."""


def sized(quality: Quality, aspect: str) -> Quality:
    """`quality`, given at 16:9, at another of ASPECTS: the shorter side stays, so that text has the same size.

    Raises RequestError, listing them, for another aspect.
    """
    if aspect not in ASPECTS:
        raise RequestError(f"--aspect {aspect!r}: give {', '.join(ASPECTS)}")
    long, short = max(quality.size_px), min(quality.size_px)
    width, height = {"16:9": (long, short), "9:16": (short, long), "1:1": (short, short)}[aspect]
    return replace(quality, width_px=width, height_px=height, aspect=aspect)


@dataclass(frozen=True)
class Piece:
    """A run of frames of one step.

    Attributes:
        index: its place in the film that is made.
        step: the step's name.
        start_s, end_s: seconds of film.
    """

    index: int
    step: str
    start_s: float
    end_s: float

    def times_s(self, frames_per_s: int) -> tuple[float, ...]:
        """The moment of each frame: the first at `start_s`, the last before `end_s`."""
        count = round((self.end_s - self.start_s) * frames_per_s)
        return tuple(self.start_s + i / frames_per_s for i in range(count))


def pieces(film: Film, steps: Sequence[int] | None = None) -> tuple[Piece, ...]:
    """The film, or those of its steps (counted from 0), in pieces of at most LONGEST_S that cross no step's edge."""
    out: list[Piece] = []
    for number, step in enumerate(film.steps):
        if steps is not None and number not in steps:
            continue
        count = math.ceil(step.seconds / LONGEST_S - 1e-9)
        ticks = round(step.seconds / _TICK_S)
        edges = [round(step.start_s + _TICK_S * ((ticks * i) // count), 6) for i in range(count)] + [step.end_s]
        out += [Piece(len(out) + i, step.name, start, end) for i, (start, end) in enumerate(pairwise(edges))]
    return tuple(out)


def parse_steps(text: str, film: Film) -> tuple[int, ...]:
    """The steps (counted from 0) that `text` names, counted from 1: "4" or "3-5".

    Raises RequestError for another form and for numbers that the film has not.
    """
    count = len(film.steps)
    first, dash, last = text.partition("-")
    accepted = f"give a number or a range within 1-{count}, such as 3-5"
    if not (first.strip().isascii() and first.strip().isdigit()) or (
        dash and not (last.strip().isascii() and last.strip().isdigit())
    ):
        raise RequestError(f"--steps {text!r}: {accepted}")
    if max(len(first.strip()), len(last.strip())) > 6:
        raise RequestError(f"--steps {text[:20]!r}: {accepted}")
    low, high = int(first), int(last) if dash else int(first)
    if not 1 <= low <= high <= count:
        raise RequestError(f"--steps {text!r}: {accepted}")
    return tuple(range(low - 1, high))
