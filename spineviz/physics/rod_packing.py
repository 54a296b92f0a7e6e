"""Courses of wires and catheters as plain numbers and arrays, so that a plan can be kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.physics.rod import Course, Lumen, Shape, Tube, catalogue_rods

Packed = tuple[dict[str, Any], dict[str, NDArray]]
"""Plain numbers, and arrays by name."""


def packed_course(course: Course) -> Packed:
    """`course`, whose devices are of the catalogue, as numbers and arrays; `unpacked_course` makes it again, the same
    to the last bit."""
    tubes, shapes = course.lumen.tubes, course.shapes
    plain = {
        "rods": [rod.name for rod, _ in course.rods[0]],
        "tube_ends": [list(tube.ends) for tube in tubes],
        "spacing_mm": course.spacing_mm,
    }
    return plain, {
        "way": course.lumen.points_mm,
        "tube": np.concatenate([np.column_stack([tube.points_mm, tube.radius_mm]) for tube in tubes]),
        "tube_count": np.array([len(tube.points_mm) for tube in tubes]),
        "facings": course.facings,
        "tips": course.tips_mm,
        "stations": course.stations,
        "advances": np.array([[advance for _, advance in rods] for rods in course.rods]),
        "points": np.concatenate([np.column_stack([shape.points_mm, shape.way_mm]) for shape in shapes]),
        "point_count": np.array([len(shape.points_mm) for shape in shapes]),
        "figures": np.array([[shape.energy_n_mm, shape.clearance_mm, shape.sharpest_mm] for shape in shapes]),
    }


def unpacked_course(plain: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Course:
    """The course of what `packed_course` gave; KeyError, TypeError or ValueError where that is damaged."""
    tubes = tuple(
        Tube(arrays["tube"][a:b, :3], arrays["tube"][a:b, 3], tuple(ends))
        for (a, b), ends in zip(_spans(arrays["tube_count"]), plain["tube_ends"], strict=True)
    )
    shapes = tuple(
        Shape(arrays["points"][a:b, :3], arrays["points"][a:b, 3], *(float(value) for value in figures))
        for (a, b), figures in zip(_spans(arrays["point_count"]), arrays["figures"], strict=True)
    )
    rods = [catalogue_rods()[name] for name in plain["rods"]]
    advances = tuple(tuple(zip(rods, row, strict=True)) for row in arrays["advances"].tolist())
    lumen, spacing = Lumen(arrays["way"], tubes), float(plain["spacing_mm"])
    return Course(lumen, arrays["facings"], arrays["stations"], advances, shapes, spacing, arrays["tips"])


def _spans(counts: NDArray) -> list[tuple[int, int]]:
    ends = [0, *np.cumsum(counts).tolist()]
    return list(pairwise(ends))
