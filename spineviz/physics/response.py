"""How a tumour answers over weeks: an illustrative law, since no curve has been published for the spine.

The diameter, as a share of what it was, is

    1 + s (t / p) exp(1 - t / p) - (1 - f) (1 - exp(-(t / T)²)) / (1 - exp(-(E / T)²))

at t weeks: a swelling s that is largest at p weeks, and a shrinkage to the final share f at E weeks. The final share is
that of a partial response (at least 30 % less diameter: Eisenhauer 2009, doi:10.1016/j.ejca.2008.10.026); all else is
constructed (assets/anatomy/flow.csv). Whatever shows it must say that it is illustrative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table


@dataclass(frozen=True)
class Response:
    """The law's numbers.

    Attributes:
        weeks: E, when it is over.
        final_diameter: f, share of the diameter that is left then.
        time_weeks: T, how soon it shrinks.
        swelling: s, how much the diameter grows at first, as a share; 0 for none.
        swelling_weeks: p, when that is largest.
        dead_core: share of the diameter in which the centre has died at the end.
    """

    weeks: float
    final_diameter: float
    time_weeks: float
    swelling: float
    swelling_weeks: float
    dead_core: float

    def __post_init__(self) -> None:
        if not (self.weeks > 0 and self.time_weeks > 0 and self.swelling_weeks > 0 and self.swelling >= 0):
            raise ValueError("weeks, time_weeks and swelling_weeks must be positive, and swelling not negative")
        if not (0 < self.final_diameter <= 1 and 0 <= self.dead_core <= 1):
            raise ValueError("final_diameter must lie in 0 to 1 (0 left out), dead_core in 0 to 1")

    def shrunk(self, weeks: float) -> float:
        """How far it has shrunk, 0 to 1."""
        t = min(max(weeks, 0.0), self.weeks)
        return float(np.expm1(-((t / self.time_weeks) ** 2)) / np.expm1(-((self.weeks / self.time_weeks) ** 2)))

    def diameter_share(self, weeks: float) -> float:
        """The diameter as a share of what it was; held at its value at `self.weeks` from then on."""
        t = min(max(weeks, 0.0), self.weeks)
        swollen = self.swelling * t / self.swelling_weeks * np.exp(1.0 - t / self.swelling_weeks)
        return float(1.0 + swollen - (1.0 - self.final_diameter) * self.shrunk(t))

    def volume_share(self, weeks: float) -> float:
        """The volume as a share of what it was: the diameter's cube."""
        return self.diameter_share(weeks) ** 3

    def dead_share(self, weeks: float) -> float:
        """The diameter of the dead centre as a share of the tumour's own at that time."""
        return self.dead_core * self.shrunk(weeks)


@cache
def default_response(swelling: bool = True) -> Response:
    """The law as assets/anatomy/flow.csv states it, with or without its early swelling."""
    rows = sourced_table(asset("anatomy", "flow.csv"))
    value = {name.removeprefix("response_"): row.value for name, row in rows.items() if name.startswith("response_")}
    return Response(
        weeks=value["weeks"],
        final_diameter=value["final_diameter"],
        time_weeks=value["time_weeks"],
        swelling=value["swelling"] if swelling else 0.0,
        swelling_weeks=value["swelling_weeks"],
        dead_core=value["dead_core"],
    )
