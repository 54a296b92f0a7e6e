"""What the table of measurements leaves open: the shape parameters of a region, blended where one region passes into
the next."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from spineviz.data.assets import asset
from spineviz.data.tables import Sourced, known_level, morphometry, sourced_table

Shape = Mapping[str, float]
"""Shape parameters by name; assets/anatomy/shape.csv says what each is a share of."""


@cache
def regions() -> dict[str, dict[str, float]]:
    """Region ("thoracic", "lumbar") -> shape parameter -> value, from assets/anatomy/shape.csv."""
    lines = asset("anatomy", "shape.csv").read_text("utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if line.strip() and not line.startswith("#")))
    return {region: {row["name"]: float(row[region]) for row in rows} for region in ("thoracic", "lumbar")}


@cache
def _levels() -> dict[str, dict[str, float]]:
    lines = asset("anatomy", "shape-levels.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    return {
        row["level"]: {key: float(row[key]) for key in ("whole", "upper_joint", "transverse_back_deg")} for row in rows
    }


def lumbar_share(level: str, part: str = "whole") -> float:
    """How lumbar `level` is, 0 to 1: the "whole" of it, or its "upper_joint" (T12's is still thoracic)."""
    return _levels()[known_level(level)][part]


def transverse_back_deg(level: str) -> float:
    """How far the transverse processes of `level` point back from straight sideways, deg."""
    return _levels()[known_level(level)]["transverse_back_deg"]


def blended(share: float) -> dict[str, float]:
    """The shape parameters between thoracic (0) and lumbar (1)."""
    thoracic, lumbar = regions()["thoracic"], regions()["lumbar"]
    return {name: (1 - share) * thoracic[name] + share * lumbar[name] for name in thoracic}


@cache
def row_values(level: str) -> dict[str, float]:
    """The plain numbers of `level`'s row of the table, by column."""
    return {name: cell.value for name, cell in morphometry()[known_level(level)].items()}


@cache
def calibration(level: str) -> dict[str, float]:
    """What is added to each published dimension of `level` before it is built, so that blends do not shift it.

    From assets/anatomy/shape-calibration.csv, made by `spineviz.anatomy.calibrate`; zero where a dimension is absent.
    """
    path = asset("anatomy", "shape-calibration.csv")
    if not path.exists():
        return {}
    lines = path.read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    for row in rows:
        if row.pop("level") == level:
            return {name: float(text) for name, text in row.items()}
    return {}


@dataclass(frozen=True)
class JointAngles:
    """How the superior facets of the vertebra below a joint are turned, deg.

    Attributes:
        yaw_deg: 0 faces back, 90 the midline, less than 0 outward.
        pitch_deg: how far they look up.
    """

    yaw_deg: float
    pitch_deg: float


@cache
def joint_angles() -> dict[str, JointAngles]:
    """The facet joints by the vertebra above ("C7" to "L5"), from assets/anatomy/shape-facets.csv."""
    lines = asset("anatomy", "shape-facets.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    return {row["joint_below"]: JointAngles(float(row["yaw_deg"]), float(row["pitch_deg"])) for row in rows}


@cache
def shell() -> dict[str, Sourced]:
    """Thickness of cortex and end-plates, from assets/anatomy/shape-shell.csv."""
    return sourced_table(asset("anatomy", "shape-shell.csv"))
