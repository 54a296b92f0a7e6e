"""When what happens in chemoembolization: which stretch the devices are on and which angiogram is on screen.

Beats of the film's clock (assets/films/chemoembolization.toml) are shared out here: the arteries that are injected
after the first one have one beat together, however many they are, and the one that shows the cord's artery has the
last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS
from spineviz.procedures.angiography import run_seconds
from spineviz.procedures.navigation import Target
from spineviz.procedures.state import Done, smoothstep

Runs = tuple[Target, ...]
"""The arteries that are injected, in order."""

MOVE_SHARE, CLIMB_MOVE_SHARE = 0.45, 0.72
"""Of the time that one further artery has, how much its catheter is on its way there, and how much where the wire must
lead it up again; chosen for legibility."""
CLIMB_WEIGHT, CLIMB_SHARE = 3.0, 0.6
"""An artery to which the wire must lead has so many times more time, and where many arteries share it at least this
share of the others' time together; chosen for legibility."""
RUNNING_SHARE = 0.7
"""How much of an injection's time its pictures run; then the last one stands."""
FOUND_MOVE_SHARE = 0.36
"""The same for the last one, whose injection is seen longest."""


@dataclass(frozen=True)
class Leg:
    """One thing in its time: from the share `since` of `beat` of `step` to the share `until`.

    Attributes:
        name: of a passage ("climb", "run-2") or of an injection ("run-1", "micro").
    """

    name: str
    step: str
    beat: str
    since: float = 0.0
    until: float = 1.0

    def over(self, done: Done) -> float:
        """How much of it is over, 0 to 1."""
        return min(1.0, max(0.0, (done(self.step, self.beat) - self.since) / (self.until - self.since)))


@cache
def catheter_legs(runs: Runs) -> tuple[Leg, ...]:
    """The catheter's passages in order."""
    return (
        Leg("wire", "access", "wire"),
        Leg("climb", "ascent", "climb"),
        Leg("bare", "hook", "bare"),
        Leg("hook", "hook", "hook"),
        Leg("empty", "hook", "empty"),
        *(Leg(f"run-{n}", "search", beat, since, since + move) for n, beat, since, _, move in _slots(runs)),
        Leg("return", "feeder", "safe"),
        Leg("check", "drug", "move"),
        Leg("out", "closing", "out"),
    )


MICRO_LEGS = (
    Leg("micro-wire", "feeder", "wire"),
    Leg("micro", "feeder", "micro"),
    Leg("micro-empty", "feeder", "open"),
)
"""The microcatheter's passages in order; it is drawn with the beat "out" of the step "drug"."""


@cache
def injections(runs: Runs) -> tuple[Leg, ...]:
    """What is injected, in order."""
    return (
        Leg("test", "hook", "contrast"),
        Leg("run-1", "search", "target"),
        *(Leg(f"run-{n}", "search", beat, since + move, until) for n, beat, since, until, move in _slots(runs)),
        Leg("micro", "feeder", "check"),
        Leg("final", "drug", "final"),
        Leg("final-cord", "drug", "cord"),
    )


def _slots(runs: Runs) -> Iterator[tuple[int, str, float, float, float]]:
    """Number, beat, begin, end and the way's part of it, of every artery after the first."""
    climbs = [SEGMENTAL_LEVELS.index(there) < SEGMENTAL_LEVELS.index(here) for (here, _), (there, _) in pairwise(runs)]
    long = max(CLIMB_WEIGHT, CLIMB_SHARE * len(climbs))
    weights = [long if climb else 1.0 for climb in climbs[:-1]]
    since = 0.0
    for number, (climb, weight) in enumerate(zip(climbs, weights, strict=False), start=2):
        share = weight / sum(weights)
        yield number, "others", since, since + share, share * (CLIMB_MOVE_SHARE if climb else MOVE_SHARE)
        since += share
    yield len(runs), "found", 0.0, 1.0, CLIMB_MOVE_SHARE if climbs[-1] else FOUND_MOVE_SHARE


def on_way(done: Done, runs: Runs) -> tuple[str, float]:
    """The catheter's passage and how much of it is over; ("", 0) before the first wire and when all is out."""
    if done("closing", "out") >= 1.0:
        return "", 0.0
    begun = [leg for leg in catheter_legs(runs) if leg.over(done) > 0.0]
    return (begun[-1].name, smoothstep(begun[-1].over(done))) if begun else ("", 0.0)


def micro_on_way(done: Done) -> tuple[str, float]:
    """The same of the microcatheter; drawn out it goes back the way it came."""
    drawn = smoothstep(done("drug", "out"))
    if drawn >= 1.0:
        return "", 0.0
    if drawn > 0.0:
        return "micro-out", drawn
    begun = [leg for leg in MICRO_LEGS if leg.over(done) > 0.0]
    return (begun[-1].name, smoothstep(begun[-1].over(done))) if begun else ("", 0.0)


def injected(done: Done, runs: Runs) -> tuple[str, float]:
    """The injection that was last begun, and seconds since its beginning; ("", 0) while there is none to be seen.

    A picture stays on screen until the catheter moves again or the step ends.
    """
    begun = [leg for leg in injections(runs) if leg.over(done) > 0.0]
    if not begun:
        return "", 0.0
    last = begun[-1]
    moving = [leg for leg in catheter_legs(runs) if 0.0 < leg.over(done) < 1.0]
    if moving or (last.over(done) >= 1.0 and not _still_there(last, done)):
        return "", 0.0
    return last.name, followed_s(last.name, last.over(done))


def _still_there(leg: Leg, done: Done) -> bool:
    """Whether the step of `leg` is still on."""
    following = {"hook": ("search", "target"), "search": ("feeder", "safe"), "feeder": ("drug", "mix"),
                 "drug": ("closing", "out")}  # fmt: skip
    step, beat = following[leg.step]
    return done(step, "start") <= 0.0 and done(step, beat) <= 0.0


def followed_s(injection: str, over: float) -> float:
    """Seconds since an injection began when `over` (0 to 1) of its time is over; in the end its last picture stands."""
    return min(1.0, over / RUNNING_SHARE) * seconds_of(injection)


def kind_of(injection: str) -> str:
    """The kind of an injection, "test", "segmental" or "micro": how much is given and how fast."""
    return injection if injection in ("test", "micro") else "segmental"


def seconds_of(injection: str) -> float:
    """How long an injection is followed."""
    return run_seconds(kind_of(injection))
