"""Beds for balloons in any body, laid without a plan, and inflations in them that tests share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from hypothesis import strategies as st

from spineviz.anatomy.patient import Patient, patient
from spineviz.anatomy.vertebra import vertebra
from spineviz.physics.balloon import Bed, Inflation, inflate

RATED_ML = {10.0: 3.0, 15.0: 4.0}
RATED_PSI = 400.0
BOTH = ("right", "left")


@dataclass(frozen=True)
class Situation:
    """A broken body and what is to be put into it."""

    level: str = "L1"
    shape: str = "wedge"
    height_loss: float = 0.35
    seed: int = 7
    length_mm: float = 15.0
    share: float = 0.5
    """of the rated volume that is asked for"""
    sides: tuple[str, ...] = BOTH

    @property
    def here(self) -> Patient:
        return patient(self.level, self.shape, self.height_loss, 10.0, "left", self.seed)

    @property
    def quarter_y_mm(self) -> float:
        return _walls(self)[2]

    @property
    def beds(self) -> dict[str, Bed]:
        """A little oblique, half way between the end-plates, the front end 4 mm behind the front wall, or so far back
        as the back quarter allows."""
        _, front, quarter, middle = _walls(self)
        out = {}
        for side in self.sides:
            sign = 1.0 if side == "right" else -1.0
            width = vertebra(self.level).row["EPWu_mm"].value
            lean = np.array([-0.22 * sign, 0.975, 0.0])
            y = max(front - 4.0, quarter + 0.4 + 0.975 * self.length_mm)
            tip = np.array([sign * 0.16 * width if len(self.sides) == 2 else -sign, y, middle(y)])
            rear = tip - self.length_mm * lean
            rear[2] = middle(rear[1])
            forward = (tip - rear) / np.linalg.norm(tip - rear)
            out[side] = Bed(side, tip - self.length_mm * forward, tip, 1.2)
        return out

    @property
    def fits(self) -> bool:
        """Whether the front end keeps 3 mm from the front wall."""
        return bool(max(bed.front_mm[1] for bed in self.beds.values()) < _walls(self)[1] - 3.0)


@cache
def _walls(situation: Situation) -> tuple:
    here = situation.here
    marks = vertebra(situation.level).landmarks
    back = float(marks["body-back-centre"][1])
    names = [f"{end}-{way}-rim" for end in ("upper", "lower") for way in ("front", "back")]
    uf, ub, lf, lb = here.fracture.forward(np.array([marks[name] for name in names]), here.amount(1.0, 1.0))
    front = float((uf[1] + lf[1]) / 2)

    def middle(y: float) -> float:
        return float(np.mean([r[2] + (y - r[1]) * (f[2] - r[2]) / (f[1] - r[1]) for r, f in ((ub, uf), (lb, lf))]))

    return back, front, back + 0.25 * (front - back), middle


@cache
def inflation(situation: Situation, rated_psi: float = RATED_PSI) -> Inflation:
    """The inflation of `situation`."""
    rated = RATED_ML[situation.length_mm]
    asked = dict.fromkeys(situation.sides, situation.share * rated)
    return inflate(situation.beds, situation.here, asked, rated, rated_psi, situation.quarter_y_mm, situation.seed)


DEFAULT = Situation()
FORCED = Situation(share=1.0)
"""As much as the balloons are rated for."""
SLIGHT = Situation(level="T11", shape="biconcave", height_loss=0.1, length_mm=10.0, share=1.0)
CRUSHED = Situation(level="T5", shape="crush", height_loss=0.6, seed=3, length_mm=10.0, share=0.8)
DISHED = Situation(level="L4", shape="biconcave", height_loss=0.45, seed=11, share=0.7)
ALONE = Situation(level="L2", height_loss=0.4, seed=5, share=0.75, sides=("right",))
NAMED = (DEFAULT, FORCED, SLIGHT, CRUSHED, DISHED, ALONE)

situations = st.builds(
    Situation,
    level=st.sampled_from(["T5", "T6", "T8", "T10", "T12", "L2", "L3", "L5"]),
    shape=st.sampled_from(["wedge", "biconcave", "crush"]),
    height_loss=st.sampled_from([0.05, 0.2, 0.4, 0.6]),
    seed=st.integers(1, 50),
    length_mm=st.sampled_from([10.0, 15.0]),
    share=st.floats(0.1, 1.0),
    sides=st.sampled_from([BOTH, BOTH, BOTH, ("left",)]),
).filter(lambda situation: situation.fits)
