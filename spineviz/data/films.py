"""The films' clocks: steps and the moments within them, read from assets/films."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a film.

    Attributes:
        name: its key in narration and on the command line.
        start_s, seconds: when it begins and how long it lasts.
        key_s: the second within it that a storyboard shows.
        beats: named moments within it, each (start_s, end_s) counted from its beginning.
    """

    name: str
    start_s: float
    seconds: float
    key_s: float
    beats: dict[str, tuple[float, float]]

    @property
    def end_s(self) -> float:
        """When the step ends, seconds of film."""
        return self.start_s + self.seconds

    def beat_share(self, beat: str, share: float) -> float:
        """How much of `beat` is over, 0 to 1, when `share` of the step is; KeyError for a beat it has not."""
        start, end = self.beats[beat]
        return min(1.0, max(0.0, (share * self.seconds - start) / (end - start)))


@dataclass(frozen=True, eq=False)
class Film:
    """A film's clock.

    Attributes:
        name: its key on the command line.
        scene: the class in scenes/NAME.py.
        steps: in order, without gaps.
    """

    name: str
    scene: str
    views: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """The whole length."""
        return self.steps[-1].end_s

    def at(self, time_s: float) -> tuple[Step, float]:
        """The step that is on at `time_s` and its share; the film's end belongs to the last step.

        Raises RequestError for a time outside the film.
        """
        if not 0.0 <= time_s <= self.seconds:
            raise RequestError(f"{self.name}: {time_s:g} s is outside the film; give 0 to {self.seconds:g}")
        for step in self.steps:
            if time_s < step.end_s:
                return step, (time_s - step.start_s) / step.seconds
        return self.steps[-1], 1.0

    def step(self, name: str) -> Step:
        """The step called `name`; RequestError lists the names for another."""
        for step in self.steps:
            if step.name == name:
                return step
        raise RequestError(f"{self.name}: no step {name!r}; it has {', '.join(s.name for s in self.steps)}")


def film_names() -> tuple[str, ...]:
    """The films that this installation can show, in the order of teaching."""
    return tuple(tomllib.loads(asset("films", "order.toml").read_text("utf-8"))["films"])


@cache
def film(name: str) -> Film:
    """The clock of the film `name`; RequestError lists the films for another."""
    if name not in film_names():
        raise RequestError(f"no film {name!r}; there is {', '.join(film_names())}")
    return read_film(name, asset("films", f"{name}.toml"))


def read_film(name: str, path: Path) -> Film:
    """The clock in the file `path`."""
    table = tomllib.loads(path.read_text("utf-8"))
    steps: list[Step] = []
    start = 0.0
    for entry in table["step"]:
        beats = {key: (float(span[0]), float(span[1])) for key, span in entry.get("beats", {}).items()}
        steps.append(Step(entry["name"], round(start, 3), float(entry["seconds"]), float(entry["key_s"]), beats))
        start += float(entry["seconds"])
    return Film(name, table["scene"], tuple(table["views"]), tuple(steps))
