"""The figures of the arteries: diameters, lengths, origins, and where the groin lies."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from spineviz.data.assets import asset
from spineviz.data.sourced import Sourced
from spineviz.data.tables import LEVELS, sourced_table

SEGMENTAL_LEVELS: tuple[str, ...] = LEVELS[LEVELS.index("T4") : LEVELS.index("L4") + 1]
"""The levels that have a pair of segmental arteries here, from above downward."""
SIDES = ("right", "left")
"""The patient's own, as everywhere."""


@cache
def artery_table() -> dict[str, Sourced]:
    """The figures of assets/anatomy/arteries.csv by name."""
    return sourced_table(asset("anatomy", "arteries.csv"))


@cache
def groin_table() -> dict[str, Sourced]:
    """The figures of assets/anatomy/arteries-groin.csv by name."""
    return sourced_table(asset("anatomy", "arteries-groin.csv"))


def size(name: str) -> float:
    """The value `name` of arteries.csv."""
    return artery_table()[name].value


def groin(name: str) -> float:
    """The value `name` of arteries-groin.csv."""
    return groin_table()[name].value


@dataclass(frozen=True)
class LevelRow:
    """One row of assets/anatomy/arteries-levels.csv.

    Attributes:
        left_of_front_deg: the aorta's middle seen from the body's, to the left of straight ahead.
        aorta_diameter_mm: of the lumen at mid height.
        orifice_below_mm: how far below mid height the segmental pair arises.
        trunk_diameter_mm: of the segmental artery past its orifice.
    """

    left_of_front_deg: float
    aorta_diameter_mm: float
    orifice_below_mm: float
    trunk_diameter_mm: float


@cache
def level_rows() -> dict[str, LevelRow]:
    """Level -> its row, T4 to L4."""
    lines = asset("anatomy", "arteries-levels.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    names = tuple(LevelRow.__dataclass_fields__)
    return {row["level"]: LevelRow(*(float(row[name]) for name in names)) for row in rows}


def side_sign(side: str) -> float:
    """1 on the right, -1 on the left."""
    return 1.0 if side == "right" else -1.0
