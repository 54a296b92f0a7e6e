"""What every plan answers: what there is at each moment of the film that tells it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from spineviz.data.errors import RequestError
from spineviz.data.films import Film, Step

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.frames import Frame


class FilmPlan(ABC):
    """A plan told by the clock of a film; its moments depend on case and time alone."""

    @property
    @abstractmethod
    def film(self) -> Film:
        """The clock of the film that shows it."""

    @property
    @abstractmethod
    def planes(self) -> Mapping[str, Frame]:
        """world_from_plane of its sections, by name: x is the picture's right, y its up, z towards who looks."""

    @abstractmethod
    def state_at(self, step: str, share: float, measured: bool = True) -> Any:
        """Every number when `share` (0 to 1) of `step` is over.

        Where it is not `measured`, what must be measured on surfaces is left out (None): pictures do without it, and
        it takes longer than all the rest. Raises RequestError for an unknown step or a share outside 0 to 1.
        """

    @abstractmethod
    def structures_at(self, state: Any, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; `surroundings` as Patient.structures takes it."""

    @abstractmethod
    def coming(self, step: str, share: float) -> Iterator[str]:
        """The names of what exists when `share` of `step` is over and comes or goes in the film.

        Raises RequestError as `state_at` does.
        """

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Names that stand for several structures in an export."""
        return {}

    def step_at(self, step: str, share: float) -> Step:
        """The step of that name; RequestError for an unknown one or a share outside 0 to 1."""
        here = self.film.step(step)
        if not 0.0 <= share <= 1.0:
            raise RequestError(f"{step}: {share:g} is not a share of the step; give 0 to 1")
        return here

    def state_at_time(self, time_s: float) -> Any:
        """Every number `time_s` seconds into the film; RequestError for a time outside it."""
        step, share = self.film.at(time_s)
        return self.state_at(step.name, share)

    def structures_at_time(self, time_s: float) -> dict[str, Structure]:
        """All that exists `time_s` seconds into the film; RequestError for a time outside it."""
        step, share = self.film.at(time_s)
        return self.structures_at(self.state_at(step.name, share, measured=False))

    def spans(self) -> dict[str, tuple[float, float]]:
        """From when to when (seconds of film, to a tenth) the structures exist that come or go."""
        out: dict[str, tuple[float, float]] = {}
        for tenth in range(round(10 * self.film.seconds) + 1):
            time = min(tenth / 10, self.film.seconds)
            step, share = self.film.at(time)
            for name in self.coming(step.name, share):
                out[name] = (out.get(name, (time, time))[0], time)
        return out


__all__ = ["FilmPlan"]
