"""Disc height and segment angle measured back on the built column, by the definitions of SOURCES.md.

The surfaces alone are read. Each body is cut in the mid-sagittal plane and a straight edge is laid on either end-plate;
where it touches in front and behind lies the rim's crest. A disc's height is the way, in its middle, from the edge
above to the edge below; a segment's angle is the one between its upper edge and the upper edge of the next vertebra
(of S1 below L5), positive where it is kyphotic.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.bones import uncarved
from spineviz.anatomy.column import SACRUM, Column, level_below
from spineviz.anatomy.measures import Measure
from spineviz.data.tables import LEVELS, morphometry
from spineviz.geometry.fields import Field
from spineviz.geometry.frames import Frame
from spineviz.geometry.sections import PlaneGrid, contours

DISC_TOLERANCE_MM = 0.3
ANGLE_TOLERANCE_DEG = 1.0
_RASTER_MM = 0.25
_SAGITTAL = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Columns: the section's right is y, its up is z, its normal is x."""


@cache
def straight_edges(level: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The straight edges on the upper and the lower end-plate of `level` in its own frame, read off its surface.

    Each is (2, 3) mm: the crest behind, then the crest in front. The sacrum has only an upper one, given twice.
    """
    if level == SACRUM:
        from spineviz.anatomy.sacrum import endplate_field

        body: Field = endplate_field()
        centre, half_width, half_height = np.array([0.0, -5.0, -14.0]), 28.0, 20.0
    else:
        body = uncarved(level)
        centre, half_width, half_height = np.zeros(3), 26.0, 24.0
    raster = PlaneGrid(Frame(_SAGITTAL, centre), half_width, half_height, _RASTER_MM)
    outlines = contours(body, raster)
    # the body is the outline round the middle; the spinous process is another
    loops = [line + centre[1:] for line in outlines if _holds(line, np.zeros(2))]
    loop = max(loops, key=len)
    edges = []
    for up in (1.0, -1.0):
        hull = _upper_hull(loop * np.array([1.0, up]))
        spans = np.diff(hull[:, 0])
        longest = int(np.argmax(spans))
        behind, front = hull[longest] * [1.0, up], hull[longest + 1] * [1.0, up]
        edges.append(np.array([[0.0, *behind], [0.0, *front]]))
    return edges[0], edges[0] if level == SACRUM else edges[1]


def _holds(line: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Whether `point` (2,) lies inside the closed polyline `line` (K, 2)."""
    a, b = line - point, np.roll(line, -1, axis=0) - point
    turn = np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
    return abs(float(turn.sum())) > np.pi


def _upper_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 2) the upper convex hull of `points` (N, 2), from left to right (Andrew's monotone chain)."""
    hull: list[NDArray[np.float64]] = []
    for point in points[np.lexsort((-points[:, 1], points[:, 0]))]:
        while len(hull) > 1 and _left_turn(hull[-2], hull[-1], point) >= 0:
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _left_turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def built_segment(column: Column, level: str) -> tuple[float, float]:
    """(disc height mm, segment angle deg) below `level` (T1 to L5) as it stands in `column`."""
    below = level_below(level)
    assert below is not None, level
    frame, next_frame = column.world_from_vertebra(level), column.world_from_vertebra(below)
    upper, lower = (frame.points(edge) for edge in straight_edges(level))
    under = next_frame.points(straight_edges(below)[0])
    normal = _normal(lower) + _normal(under)
    normal /= np.linalg.norm(normal)
    height = float((lower.mean(0) - under.mean(0)) @ normal)
    # seen from the lower edge: a forward lean of the upper one is kyphotic
    along, across = _normal(under), under[1] - under[0]
    across = across / np.linalg.norm(across)
    lean = _normal(upper)
    return height, float(np.degrees(np.arctan2(lean @ across, lean @ along)))


def _normal(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) the upward normal of a sagittal edge."""
    y, z = (edge[1] - edge[0])[1:]
    return np.array([0.0, -z, y]) / np.hypot(y, z)


def measure_column(column: Column) -> list[Measure]:
    """Disc height and segment angle below every level T1 to L5 as built, beside the table's (standing) figures.

    `column` is to stand upright for the angles to be within their tolerance: lying, the curves flatten.
    """
    out = []
    for level in LEVELS:
        height, angle = built_segment(column, level)
        row = morphometry()[level]
        for name, built, tolerance in (
            ("disc_below_height_mm", height, DISC_TOLERANCE_MM),
            ("segment_angle_below_deg", angle, ANGLE_TOLERANCE_DEG),
        ):
            out.append(Measure(level, name, built, row[name], tolerance, row[name].unit))
    return out
