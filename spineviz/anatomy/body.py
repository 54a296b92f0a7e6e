"""The vertebral body: rims, concave end-plates, waist, slightly concave back wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.vertebra_parts import Part, smooth_maximum
from spineviz.anatomy.vertebra_shape import Shape
from spineviz.geometry.fields import Distances, Points, Vector
from spineviz.geometry.frames import Frame, rotation_about

_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 181)
"""Directions in which the outline is tabled, from straight back to straight forward, on the right side."""


@dataclass(frozen=True)
class Plate:
    """One end-plate's rim.

    Attributes:
        vertebra_from_plate: origin at the centre of the rim, y forward along it, z up and square to it.
        width_mm, depth_mm: spans of the rim, left to right and front to back in the mid-sagittal plane.
    """

    vertebra_from_plate: Frame
    width_mm: float
    depth_mm: float

    def on_rim(self, share: float) -> Vector:
        """(3,) the mid-sagittal rim: -1 at the back, 1 at the front."""
        return self.vertebra_from_plate.point([0.0, share * self.depth_mm / 2, 0.0])


def rim_planes(
    upper: tuple[float, float], lower: tuple[float, float], front_mm: float, back_mm: float
) -> tuple[Plate, Plate]:
    """The two rims (width, depth) set so that they lie `front_mm` and `back_mm` apart, mirrored about the body's axis.

    Returns the upper and the lower `Plate`. The body's z axis halves the wedge between them.
    """
    tilt, height = 0.0, (front_mm + back_mm) / 2
    du, dl = upper[1], lower[1]
    for _ in range(20):  # converges at once: the depths hardly differ
        shift = (du - dl) / 2 * np.cos(tilt)
        rise_front = np.sqrt(front_mm**2 - shift**2)
        rise_back = np.sqrt(back_mm**2 - shift**2)
        tilt = float(np.arcsin((rise_back - rise_front) / (du + dl)))
        height = (rise_front + rise_back) / 2
    down = rotation_about([1.0, 0.0, 0.0], -np.degrees(tilt)).rotation
    up = rotation_about([1.0, 0.0, 0.0], np.degrees(tilt)).rotation
    return (
        Plate(Frame(down, np.array([0.0, 0.0, height / 2])), *upper),
        Plate(Frame(up, np.array([0.0, 0.0, -height / 2])), *lower),
    )


def _rim_outline(width_mm: float, depth_mm: float, shape: Shape) -> NDArray[np.float64]:
    """Radius (K,) of the rim in each of `_ANGLES` about its pole, which lies on the widest line."""
    pole = shape["body_widest"] * depth_mm
    notch = shape["body_notch"] * depth_mm
    front, back = depth_mm / 2 - pole, depth_mm / 2 + pole + notch
    c, s = np.abs(np.cos(_ANGLES)), np.abs(np.sin(_ANGLES))
    half = width_mm / 2
    nf, nb = shape["body_front_power"], shape["body_back_power"]
    forward = ((c / half) ** nf + (s / front) ** nf) ** (-1 / nf)
    backward = ((c / half) ** nb + (s / back) ** nb) ** (-1 / nb)
    x = backward * c / half
    backward = backward - notch * np.exp(-((x / 0.38) ** 2)) * s
    return np.where(_ANGLES > 0, forward, backward)


@dataclass(frozen=True)
class Body:
    """A vertebral body between two rims.

    Attributes:
        upper, lower: its end-plates' rims.
        part: its distance function and box.
        pole_y_mm: (2,) where the outlines' pole lies, below and above.
    """

    upper: Plate
    lower: Plate
    part: Part
    plates: Part

    def back_wall_y_mm(self, z_mm: float) -> float:
        """y of the back wall in the mid-sagittal plane at the height `z_mm`."""
        low, high = self.lower.on_rim(-1.0)[1] - 2.0, 0.0
        for _ in range(8):  # each takes that of 32 pieces in which the wall lies
            y = np.linspace(low, high, 33)
            outside = self.part.distance(np.column_stack([np.zeros(33), y, np.full(33, z_mm)])) > 0
            first = max(int(np.argmin(outside)), 1)
            low, high = float(y[first - 1]), float(y[first])
        return (low + high) / 2


def make_body(upper: Plate, lower: Plate, shape: Shape) -> Body:
    """The body between `upper` and `lower`; `shape` gives what the table leaves open."""
    outline_u = _rim_outline(upper.width_mm, upper.depth_mm, shape)
    outline_l = _rim_outline(lower.width_mm, lower.depth_mm, shape)
    depth = (upper.depth_mm + lower.depth_mm) / 2
    width = (upper.width_mm + lower.width_mm) / 2
    side, fore = np.abs(np.cos(_ANGLES)), np.sin(_ANGLES)
    waist = (
        width * shape["body_waist_side"] * side**2
        + depth * np.where(fore > 0, shape["body_waist_front"], shape["body_waist_back"]) * fore**2
    )
    waist += depth * shape["body_basin"] * np.exp(-((_ANGLES + np.pi / 2) ** 2) / 0.35**2)
    mean = (outline_u + outline_l) / 2
    slope = np.gradient(mean, _ANGLES) / mean
    squareness = 1.0 / np.sqrt(1.0 + slope**2)
    pole_u, pole_l = shape["body_widest"] * upper.depth_mm, shape["body_widest"] * lower.depth_mm
    frame_u, frame_l = upper.vertebra_from_plate, lower.vertebra_from_plate
    normal_u, normal_l = frame_u.rotation[:, 2], frame_l.rotation[:, 2]
    offset_u, offset_l = float(frame_u.origin_mm @ normal_u), float(frame_l.origin_mm @ normal_l)
    power, rounding = shape["body_waist_power"], shape["body_rim_rounding"]
    apex = shape["dish_apex"] * depth
    dishes = [(shape["dish_upper"] * depth, upper), (shape["dish_lower"] * depth, lower)]
    step = _ANGLES[1] - _ANGLES[0]

    def dish(p: Points, depth_mm: float, plate: Plate) -> Distances:
        y = p[:, 1] - apex
        reach = 0.92 * np.where(y > 0, plate.depth_mm / 2 - apex, plate.depth_mm / 2 + apex)
        q = (p[:, 0] / (0.46 * plate.width_mm)) ** 2 + (y / reach) ** 2
        return depth_mm * np.maximum(1.0 - q, 0.0) ** 2 * (1.0 + 0.6 * np.minimum(q, 1.0))

    def caps(p: Points) -> tuple[Distances, Distances, Distances, Distances]:
        above = p @ normal_u - offset_u
        below = offset_l - p @ normal_l
        return above, below, above + dish(p, *dishes[0]), below + dish(p, *dishes[1])

    def distance(p: Points) -> Distances:
        above, below, top, bottom = caps(p)
        s = np.clip(above / np.minimum(above + below, -1.0), 0.0, 1.0)
        y = p[:, 1] - ((1 - s) * pole_u + s * pole_l)
        x = np.abs(p[:, 0])
        radius = np.hypot(x, y)
        place = (np.arctan2(y, x) + np.pi / 2) / step
        index = np.minimum(place.astype(np.intp), len(_ANGLES) - 2)
        share = place - index

        def read(table: NDArray[np.float64]) -> Distances:
            low = table[index]
            return low + share * (table[index + 1] - low)

        pinch = 1.0 - np.abs(2.0 * s - 1.0) ** power
        wall = radius - ((1 - s) * read(outline_u) + s * read(outline_l) - pinch * read(waist))
        return smooth_maximum(wall * read(squareness), np.maximum(top, bottom), rounding)

    def plates_distance(p: Points) -> Distances:
        _, _, top, bottom = caps(p)
        return np.maximum(top, bottom)

    reach_x = max(upper.width_mm, lower.width_mm) / 2
    rims = np.array([plate.on_rim(side) for plate in (upper, lower) for side in (-1.0, 1.0)])
    notch = shape["body_notch"] * depth
    low = np.array([-reach_x, rims[:, 1].min() - notch, rims[:, 2].min()])
    high = np.array([reach_x, rims[:, 1].max(), rims[:, 2].max()])
    return Body(upper, lower, Part(distance, low, high), Part(plates_distance, low, high))
