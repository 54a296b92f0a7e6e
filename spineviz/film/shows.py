"""What can be rendered: the project's films, and any other manim scene. Each is cut into tasks and says what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from spineviz.data.films import Film, film
from spineviz.film.drawing import FilmJob, Job, Task
from spineviz.film.naming import digest_of, film_name, piece_name
from spineviz.film.opening import SceneSource, scene_source
from spineviz.film.pieces import Piece, pieces
from spineviz.film.rendition import Rendition
from spineviz.procedures.kept import KeptFiles, files_used

if TYPE_CHECKING:
    from spineviz.procedures.case import Case


@dataclass(frozen=True)
class Told:
    """What a finished film says of itself.

    Attributes:
        description: all of it, as plain values: the JSON beside the film.
        chapters, captions: (start_s, end_s, text) each, seconds of what is written.
        language: of the captions, a code of ISO 639-1; empty where nobody knows.
    """

    description: dict[str, Any]
    chapters: tuple[tuple[float, float, str], ...]
    captions: tuple[tuple[float, float, str], ...]
    language: str = ""


class Show(Protocol):
    """What one file is made of."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def rendition(self) -> Rendition:
        """How it is drawn."""

    @property
    def tasks(self) -> Sequence[Task]:
        """Its pieces in order."""

    @property
    def parts(self) -> Sequence[str]:
        """What it consists of, in words: the steps of a film."""

    @property
    def job(self) -> Job:
        """What a worker is told."""

    def check(self) -> None:
        """Find out whether it can be drawn; RequestError where not."""

    def plans(self) -> KeptFiles:
        """The plans that it needs, for another machine's cache; raises as `check`."""

    @property
    def sound(self) -> bytes:
        """A WAV file that is laid under it; empty for none."""

    @property
    def digest(self) -> str:
        """What tells the finished file from every other."""

    @property
    def about_name(self) -> str:
        """The digest of all that `about` depends on: what a drawer says of itself, kept between runs."""

    def told(self, about: dict[str, Any]) -> Told:
        """What the finished file says of itself."""


@dataclass(frozen=True)
class FilmShow:
    """A film, or some of its steps, of one case.

    Attributes:
        name, case, rendition: which film, of whom, how drawn.
        steps: its steps, counted from 0.
        source: the scene; None is the film's own.
        sound: a WAV file that is laid under it; empty for none.
    """

    name: str
    case: Case
    rendition: Rendition
    steps: tuple[int, ...]
    source: SceneSource | None = None
    sound: bytes = b""

    @property
    def scene(self) -> SceneSource:
        """What tells it."""
        return self.source or scene_source(self.name)

    @property
    def clock(self) -> Film:
        """The film's steps."""
        return film(self.name)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """What is drawn."""
        return pieces(self.clock, self.steps)

    @property
    def seconds(self) -> float:
        """How long the result lasts."""
        return sum(piece.end_s - piece.start_s for piece in self.pieces)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Its pieces in order, by name."""
        case, rate = self.case.canonical(), self.rendition.size.frames_per_s
        return tuple(
            Task(piece_name(self.clock, self.scene, case, self.rendition, piece), piece, len(piece.times_s(rate)))
            for piece in self.pieces
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The steps' names."""
        return tuple(self.clock.steps[i].name for i in self.steps)

    def check(self) -> None:
        """Plan the case; RequestError where it cannot be planned."""
        from spineviz.procedures.plans import plan_for

        plan_for(self.name, self.case)

    def plans(self) -> KeptFiles:
        """The plans of its case."""
        return files_used(self.check)

    @property
    def job(self) -> FilmJob:
        """What a worker is told."""
        return FilmJob(self.scene, self.case, self.rendition)

    @cached_property
    def digest(self) -> str:
        """What tells this film from every other."""
        sound = hashlib.sha256(self.sound).hexdigest() if self.sound else ""
        return film_name(self.clock, self.scene, self.case.canonical(), self.rendition, self.steps, sound)

    @cached_property
    def about_name(self) -> str:
        """Of the film, its case and all its words."""
        rendition = Rendition(theme=self.rendition.theme, language=self.rendition.language)
        every = range(len(self.clock.steps))
        return digest_of(["about", film_name(self.clock, self.scene, self.case.canonical(), rendition, every)])

    def told(self, about: dict[str, Any]) -> Told:
        """Description, a chapter for each step, and the captions."""
        from spineviz.film.sidecar import description

        chapters, captions, begin = [], [], 0.0
        for number in self.steps:
            step = self.clock.steps[number]
            said, shift = about["said"][step.name], begin - step.start_s
            chapters.append((round(begin, 3), round(begin + step.seconds, 3), said["title"]))
            captions += [(round(a + shift, 3), round(b + shift, 3), text) for a, b, text in said["captions"]]
            begin += step.seconds
        return Told(description(self, about), tuple(chapters), tuple(captions), self.rendition.language)


def film_title(name: str) -> str:
    """A film's name as people write it."""
    return name.replace("-", " ").capitalize()
