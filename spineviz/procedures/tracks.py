"""Several plans in step: the clock between them, and what a plan of plans answers with.

When which moment of each procedure's own film is shown is data, in assets/films/FILM.toml: for each step and procedure
a list of [second of the step, "step.beat", share of the beat], linear between two entries and at rest before the first
and after the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import tomllib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from spineviz.data.aside import Aside, two_at_once
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.films import Film, film
from spineviz.procedures.film_plan import FilmPlan
from spineviz.procedures.kept import Packed, hand_over, is_kept, plan_digest, plans_made

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.frames import Frame
    from spineviz.procedures.case import Case

Track = tuple[tuple[float, float], ...]
"""(second of the step, second of the procedure's film), both rising or resting."""


@dataclass(frozen=True)
class StateInStep:
    """The numbers of one moment of several plans; a subclass has one more attribute for each, its State.

    Attributes:
        time_s: of the film that shows them all; step: its name; share: how much of the step is over.
    """

    time_s: float
    step: str
    share: float

    def public(self) -> dict[str, Any]:
        """time_s and step of this film, and under each plan's name what its State answers with."""
        own = [attribute.name for attribute in fields(self) if attribute.name not in ("time_s", "step", "share")]
        return {
            "time_s": round(self.time_s, 6),
            "step": self.step,
            **{name: getattr(self, name).public() for name in own},
        }


def tracks(film_name: str, clocks: Mapping[str, Film]) -> dict[str, dict[str, Track]]:
    """step -> procedure -> which second of the procedure's film is shown at which second of the step.

    `clocks` are the procedures' own films by name. Raises RequestError, naming step and procedure, for a track that is
    missing, leaves the step, names a beat that the procedure has not, or runs backwards, within a step or from one to
    the next.
    """
    table = tomllib.loads(asset("films", f"{film_name}.toml").read_text("utf-8"))
    out: dict[str, dict[str, Track]] = {}
    last = dict.fromkeys(clocks, 0.0)
    for entry in table["step"]:
        out[entry["name"]] = {}
        for name, clock in clocks.items():
            where = f"{film_name}.toml: step.{entry['name']}.{name}"
            track = tuple(_point(point, clock, float(entry["seconds"]), where) for point in entry.get(name, ()))
            if not track:
                raise RequestError(f'{where} is missing; give [[second, "step.beat", share], ...]')
            seconds = [last[name], *(shown for _, shown in track)]
            own = [at for at, _ in track]
            if own != sorted(own) or any(b < a - 1e-9 for a, b in pairwise(seconds)):
                raise RequestError(f"{where} runs backwards; entries follow one another in both films")
            last[name] = track[-1][1]
            out[entry["name"]][name] = track
    return out


def _point(point: Any, clock: Film, seconds: float, where: str) -> tuple[float, float]:
    """One entry of a track as seconds of the step and of the procedure's film."""
    at, moment, share = float(point[0]), str(point[1]), float(point[2])
    name, _, beat = moment.partition(".")
    step = clock.step(name)
    if beat not in step.beats:
        raise RequestError(f"{where}: {name} has no beat {beat!r}; it has {', '.join(step.beats)}")
    if not (0.0 <= at <= seconds and 0.0 <= share <= 1.0):
        raise RequestError(f"{where}: {point!r} is outside; seconds are 0 to {seconds:g}, shares 0 to 1")
    start, end = step.beats[beat]
    return at, step.start_s + start + share * (end - start)


def shown_s(track: Track, time_s: float) -> float:
    """Which second of the procedure's film `track` shows `time_s` seconds into the step."""
    before = track[0]
    for point in track:
        if point[0] > time_s:
            if before[0] >= time_s or point is track[0]:
                return before[1]
            share = (time_s - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


def _moves(track: Track, time_s: float) -> bool:
    """Whether a track is on its way at `time_s`."""
    return any(a[0] <= time_s < b[0] and b[1] > a[1] for a, b in pairwise(track))


@dataclass(frozen=True, eq=False)
class PlansInStep(FilmPlan):
    """Several procedures for one case, each shown at moments of its own film that the common clock chooses.

    Attributes:
        case: as given, the same for all.
        plans: by procedure.
    """

    NAME: ClassVar[str]
    PREFIXES: ClassVar[Mapping[str, str]]
    """What stands before the margins and words of each procedure that has some here."""

    case: Case
    plans: Mapping[str, Any]

    @abstractmethod
    def _state(self, time_s: float, step: str, share: float, states: Mapping[str, Any]) -> Any:
        """The state of this film of each plan's."""

    @property
    def digest(self) -> str:
        """Names the plan: equal digests, equal plans."""
        return hashlib.sha256(" ".join(plan.digest for plan in self.plans.values()).encode()).hexdigest()

    @property
    def film(self) -> Film:
        """The clock of the film that shows it."""
        return film(self.NAME)

    @property
    def level(self) -> str:
        """The treated vertebra."""
        return self.case.spine.level

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names that stand for several structures in an export, with the plan's before them."""
        return {
            f"{name}/{group}": tuple(f"{name}/{part}" for part in parts)
            for name, plan in self.plans.items()
            for group, parts in plan.groups.items()
        }

    # moments ----------------------------------------------------------------------------------------------------------

    @cached_property
    def tracks(self) -> dict[str, dict[str, Track]]:
        """See `tracks`; a plan that is told by this film's own clock needs none."""
        clocks = {name: plan.film for name, plan in self.plans.items()}
        return tracks(self.NAME, {name: clock for name, clock in clocks.items() if clock.name != self.NAME})

    def moment_of(self, procedure: str, step: str, share: float) -> tuple[str, float]:
        """The step and share of `procedure`'s own film that is shown when `share` of `step` is over.

        Raises RequestError for an unknown step or a share outside 0 to 1.
        """
        here = self.step_at(step, share)
        clock = self.plans[procedure].film
        if clock.name == self.NAME:
            return step, share
        own, own_share = clock.at(shown_s(self.tracks[step][procedure], share * here.seconds))
        return own.name, own_share

    def waits(self, procedure: str, step: str, share: float) -> bool:
        """Whether `procedure` stands still at that moment while another one goes on."""
        now = share * self.film.step(step).seconds
        moving = {name: _moves(track, now) for name, track in self.tracks[step].items()}
        return not moving[procedure] and any(moving.values())

    def state_at(self, step: str, share: float, measured: bool = True) -> Any:
        """Every number of all plans; see `FilmPlan.state_at`."""
        states = {
            name: plan.state_at(*self.moment_of(name, step, share), measured) for name, plan in self.plans.items()
        }
        here = self.film.step(step)
        return self._state(here.start_s + share * here.seconds, step, share, states)

    # structures -------------------------------------------------------------------------------------------------------

    def structures_at(self, state: Any, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by "PROCEDURE/NAME", world frame; all lie in one place."""
        return {
            f"{name}/{part}": structure
            for name, plan in self.plans.items()
            for part, structure in plan.structures_at(getattr(state, name), surroundings).items()
        }

    def coming(self, step: str, share: float) -> Iterator[str]:
        """The names of what exists when `share` of `step` is over and comes or goes in the film, "PROCEDURE/NAME"."""
        for procedure, plan in self.plans.items():
            for part in plan.coming(*self.moment_of(procedure, step, share)):
                yield f"{procedure}/{part}"

    @property
    def planes(self) -> dict[str, Frame]:
        """world_from_plane of each procedure's sections, by "PROCEDURE/NAME"."""
        return {f"{name}/{plane}": frame for name, plan in self.plans.items() for plane, frame in plan.planes.items()}

    # numbers ----------------------------------------------------------------------------------------------------------

    @property
    def margins(self) -> dict[str, float]:
        """Each procedure's margins, with what PREFIXES has before their names."""
        return self.prefixed(lambda name, plan: plan.margins)

    def prefixed(self, read: Callable[[str, Any], Mapping[str, Any]]) -> dict[str, Any]:
        """What `read` finds of each procedure (its name, its plan), with what PREFIXES has before the names."""
        return {
            f"{self.PREFIXES[name]}{key}": value
            for name, plan in self.plans.items()
            if name in self.PREFIXES
            for key, value in read(name, plan).items()
        }


def plans_of(case: Case, makers: Mapping[str, Callable[[Case], Any]], why: str) -> dict[str, Any]:
    """The plan of each of `makers` for `case`, by name; the last is the one that takes longest.

    Those before it are made in a copy of this process where that has a core of its own.

    Raises RequestError: which of the procedures refuses the case, and its reason; where all refuse it for the same
    reason, that reason. `why` ends the sentence: what cannot be done without them all.
    """
    plans: dict[str, Any] = {}
    refusals: dict[str, str] = {}

    def plan(name: str) -> None:
        try:
            plans[name] = makers[name](case)
        except RequestError as refusal:
            refusals[name] = str(refusal)

    *others, longest = [name for name in makers if not is_kept(plan_digest(name, case.canonical()))] or [""]
    if others and two_at_once():
        # they have nothing to do with one another
        with Aside([partial(_made_by, partial(makers[name], case)) for name in others]) as aside:
            plan(longest)
            for number in range(len(others)):
                hand_over(aside.result(number))
    for name in makers:
        if name not in plans and name not in refusals:
            plan(name)
    reasons = set(refusals.values())
    if len(refusals) == len(makers) and len(reasons) == 1:
        raise RequestError(reasons.pop())
    if refusals:
        name, reason = next(iter(refusals.items()))
        who = f"{name} refuses this case"
        if len(refusals) > 1:
            who = f"{name}'s reason; {'the other refuses' if len(makers) == 2 else 'another one refuses'} it too"
        raise RequestError(f"{reason}\n({who}, so {why})")
    return {name: plans[name] for name in makers}


def _made_by(plan: Callable[[], Any]) -> dict[str, Packed]:
    """The plans that `plan()` makes; none where the case is refused: whoever asks again is told why."""

    def willing() -> None:
        with contextlib.suppress(RequestError):
            plan()

    return plans_made(willing)


__all__ = ["PlansInStep", "StateInStep", "Track", "plans_of", "shown_s", "tracks"]
