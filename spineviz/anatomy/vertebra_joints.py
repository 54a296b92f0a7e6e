"""Where the facet joints lie, so that the lower facets of one vertebra meet the upper ones of the next.

A joint belongs to the lower vertebra: it is placed over that one's upper rim, and the upper vertebra reaches for it
through the published disc and segment angle, standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from spineviz.anatomy.arch import Facet, Measures, superior_facet
from spineviz.anatomy.body import Plate, rim_planes
from spineviz.anatomy.vertebra_shape import (
    blended,
    calibration,
    joint_angles,
    lumbar_share,
    row_values,
    transverse_back_deg,
)
from spineviz.data.tables import LEVELS, level_below
from spineviz.geometry.fields import Vector
from spineviz.geometry.frames import Frame, rotation_about, translation


@cache
def built_to(level: str) -> dict[str, float]:
    """The published dimensions of `level` with its calibration added: what the shapes are made to."""
    row, shift = row_values(level), calibration(level)
    return {name: value + shift.get(name, 0.0) for name, value in row.items()}


@cache
def measures(level: str) -> Measures:
    """The arch's dimensions of `level`."""
    row = built_to(level)
    return Measures(
        row["SCW_use_mm"],
        row["SCD_use_mm"],
        row["PDW_zindrick_mm"],
        row["PDH_zindrick_mm"],
        row["pedicle_transverse_medial_deg"],
        row["pedicle_sagittal_cephalad_deg"],
        row["TPW_tip_to_tip_mm"],
        row["SP_length_mm"],
        row["SP_slope_below_horizontal_deg"],
        transverse_back_deg(level),
        row["VBHp_use_mm"],
        (row["EPDu_mm"] + row["EPDl_mm"]) / 2,
        (row["EPWu_mm"] + row["EPWl_mm"]) / 2,
    )


def _rims(row: Mapping[str, float]) -> tuple[Plate, Plate]:
    """The upper and lower rim that a row of measurements asks for."""
    upper, lower = (row["EPWu_mm"], row["EPDu_mm"]), (row["EPWl_mm"], row["EPDl_mm"])
    return rim_planes(upper, lower, row["VBHa_use_mm"], row["VBHp_use_mm"])


@cache
def plates(level: str) -> tuple[Plate, Plate]:
    """The upper and lower rim of `level` as published, in its own frame."""
    return _rims(row_values(level))


@cache
def built_plates(level: str) -> tuple[Plate, Plate]:
    """The same with the calibration: the rims that are built so that the measured ones are as published."""
    return _rims(built_to(level))


@cache
def plate_below(level: str) -> Frame:
    """The upper end-plate of the vertebra below `level` (of S1 below L5) in the frame of `level`, standing.

    The segment's angle runs from upper end-plate to upper end-plate and so holds the body's own wedge; the disc's
    height is that of its middle.
    """
    upper, lower = (plate.vertebra_from_plate for plate in plates(level))
    row = row_values(level)
    wedge = (lower.inverse() @ upper).rotation
    wedge_deg = float(np.degrees(np.arctan2(wedge[1, 2], wedge[2, 2])))
    half = rotation_about([1.0, 0.0, 0.0], (row["segment_angle_below_deg"] - wedge_deg) / 2)
    return lower @ half @ translation([0.0, 0.0, -row["disc_below_height_mm"]]) @ half


def _joint_over(row_level: str, joint: str, upper_rim_back: Vector) -> Facet:
    """The right joint named after the vertebra above it, over a rim whose arch is that of `row_level`."""
    shape = blended(lumbar_share(row_level, "upper_joint"))
    turn = joint_angles()[joint]
    return superior_facet(measures(row_level), shape, turn.yaw_deg, turn.pitch_deg, upper_rim_back)


@cache
def superior_joint(level: str) -> Facet:
    """The right superior facet of `level` in its frame."""
    place = LEVELS.index(level)
    joint = LEVELS[place - 1] if place else "C7"
    return _joint_over(level, joint, plates(level)[0].on_rim(-1.0))


@cache
def sacral_joint() -> Facet:
    """The right superior facet of the sacrum in the frame of S1's upper end-plate: over an arch as wide as L5's."""
    rim_back = np.array([0.0, -row_values("L5")["EPDl_mm"] / 2, 0.0])
    return _joint_over("L5", "L5", rim_back)


@cache
def inferior_joint(level: str) -> Facet:
    """The right inferior facet of `level` in its frame: the superior one of the next, seen from here."""
    below = level_below(level)
    if below is None:
        return sacral_joint().seen_from(plate_below(level))
    here_from_below = plate_below(level) @ plates(below)[0].vertebra_from_plate.inverse()
    return superior_joint(below).seen_from(here_from_below)
