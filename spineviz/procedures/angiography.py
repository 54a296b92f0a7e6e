"""Which arteries are injected until the cord's artery is found, and what an injection shows.

The arteries of both sides at the tumour's level and at the levels above and below are injected, and then further ones,
where it usually arises first, until the artery that feeds the cord is seen. Where it shares the tumour's artery, or is
not found, nothing is given (facts page, Corrections: not seeing it is no clearance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arteries import ArterialTree
from spineviz.data.errors import RequestError
from spineviz.physics.transport import Bed, FlowTree, Forks, Injection, Transport, cut_at_forks, flow_figures
from spineviz.procedures.navigation import Target, navigation_figure

CELL_MM = 4.0
"""How finely contrast is told apart along an artery."""
_USUAL = range(SEGMENTAL_LEVELS.index("T8"), SEGMENTAL_LEVELS.index("L1") + 1)
"""Where the cord's artery arises in 89 % of those who have it (facts page F3, PMC6620248)."""
PEAK_TIMES = 24
"""At how many moments of a run its strongest filling is looked for."""


def runs_of(target: Target, cord: Target | None) -> tuple[Target, ...]:
    """The segmental arteries that are injected, in order, the last one that of the cord: the target first.

    Raises RequestError where the cord's artery springs from the target, or is not there to be found.
    """
    if cord is None:
        raise RequestError(
            "artery.adamkiewicz: none means that the cord's artery is not found, and not seeing it is no clearance: no "
            "drug is given;\ngive a side and a level from T4 to L4, such as 'left T12'"
        )
    level, side = target
    if cord == target:
        raise RequestError(
            f"artery.adamkiewicz: {cord[1]} {cord[0]} is the artery that feeds the tumour: the cord's artery shares "
            f"its trunk, and drug there could reach the cord;\ngive another side or level, or treat another way"
        )
    here = SEGMENTAL_LEVELS.index(level)
    other = (level, SIDES[1 - SIDES.index(side)])
    nearest = [(other,), *(_pair(here + step, cord) for step in (1, -1))]
    # which of the first ones shows it is known afterwards: that one comes last here
    nearest.sort(key=lambda pair: cord in pair)
    out = [target, *(run for pair in nearest for run in pair)]
    # from above downward, so that the catheter is drawn down from one to the next
    for number in (*_USUAL, *(k for k in range(len(SEGMENTAL_LEVELS)) if k not in _USUAL)):
        for run in _pair(number, cord):
            if cord in out:
                return tuple(out)
            if run not in out:
                out.append(run)
    return tuple(out)


def _pair(number: int, cord: Target) -> tuple[Target, ...]:
    """Both sides of a level, the cord's last; none beyond the levels that there are."""
    if not 0 <= number < len(SEGMENTAL_LEVELS):
        return ()
    level = SEGMENTAL_LEVELS[number]
    return tuple(sorted(((level, side) for side in SIDES), key=lambda run: run == cord))


@dataclass(frozen=True, eq=False)
class BloodFlow:
    """The blood of an arterial tree, cut at its forks, with a tumour that draws more than its arteries' share.

    Attributes:
        tree: the arteries.
        tumour_ml: the room in which the blush spreads: tumour and the rim round it.
    """

    tree: ArterialTree
    tumour_ml: float

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The vessels in the order of the pieces."""
        return tuple(self.tree.branches)

    @cached_property
    def forks(self) -> Forks:
        """The vessels cut where others spring."""
        branches = list(self.tree.branches.values())
        number = {branch.name: i for i, branch in enumerate(branches)}
        return cut_at_forks(
            [-1 if branch.parent is None else number[branch.parent] for branch in branches],
            [branch.parent_mm for branch in branches],
            [branch.length_mm for branch in branches],
        )

    @cached_property
    def flow(self) -> FlowTree:
        """How blood divides."""
        forks, branches = self.forks, list(self.tree.branches.values())
        radius = np.array(
            [
                float(branches[vessel].radius_at(np.linspace(a, b, 5)).mean())
                for vessel, a, b in zip(forks.vessel, forks.first_mm, forks.last_mm, strict=True)
            ]
        )
        tumour = np.array([float(branches[vessel].kind == "feeder") for vessel in forks.vessel])
        ends = np.isin(np.arange(len(radius)), forks.parent, invert=True)
        return FlowTree(
            forks.parent,
            forks.length_mm,
            radius,
            flow_figures()["descending_ml_s"],
            open_share=np.where(ends & (tumour > 0), flow_figures()["tumour_draw"], 1.0),
            tumour_share=tumour,
        )

    def place(self, name: str, way_mm: float) -> tuple[int, float]:
        """The piece, and the way along it, of a way along the vessel `name`."""
        return self.forks.place(self.names.index(name), way_mm)

    def pieces(self, name: str) -> NDArray[np.int64]:
        """The pieces of the vessel `name`, from its beginning on."""
        return np.flatnonzero(self.forks.vessel == self.names.index(name))

    def injected(self, name: str, way_mm: float, kind: str, flow: FlowTree | None = None) -> Transport:
        """What an injection of `kind` ("test", "segmental", "micro") at a place does, in the `flow` of that time.

        It is given by hand: no faster than the artery takes it, but for a little that runs back.
        """
        piece, at = self.place(name, way_mm)
        figures, blood = flow_figures(), flow or self.flow
        takes = figures["hand_margin"] * figures["surge"] * float(blood.flow_ml_s[piece])
        given = Injection(piece, figures[f"{kind}_ml"], min(figures[f"{kind}_ml_s"], takes), 0.0, at)
        return Transport(blood, (given,), Bed())

    def shares(self, transport: Transport, time_s: float) -> NDArray[np.float64]:
        """(C,) the concentration of contrast in every cell of the arteries, piece after piece, at a time."""
        return np.concatenate(transport.concentration(time_s, CELL_MM))

    def blush(self, transport: Transport, time_s: float) -> float:
        """The concentration of contrast in the tissue that blushes."""
        return transport.tumour_ml(time_s) / max(self.tumour_ml, 1e-3)

    def peak(self, transport: Transport, last_s: float) -> NDArray[np.float64]:
        """(C,) the strongest concentration that each cell has reached by `last_s`: a roadmap."""
        times = np.linspace(0.0, last_s, PEAK_TIMES + 1)[1:]
        return np.max([self.shares(transport, float(time)) for time in times], axis=0)


def reached(flow: BloodFlow, transport: Transport, time_s: float) -> Mapping[str, float]:
    """How much contrast, mL, has entered each vessel by `time_s`."""
    passed = np.zeros(len(flow.names))
    held = transport.contained_ml(time_s) + transport.arrived_ml(time_s)
    np.add.at(passed, flow.forks.vessel, held)
    return MappingProxyType(dict(zip(flow.names, passed.tolist(), strict=True)))


def run_seconds(kind: str) -> float:
    """How long an injection of `kind` ("test", "segmental", "micro") is followed, seconds."""
    return navigation_figure({"test": "test_run_s", "segmental": "run_s", "micro": "micro_run_s"}[kind])
