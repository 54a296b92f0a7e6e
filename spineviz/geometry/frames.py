"""Rigid frames: where a thing stands, named by the chain `world_from_vertebra @ vertebra_from_needle`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import Points, Vector, as_points, as_vector, unit


@dataclass(frozen=True)
class Frame:
    """A rotation and an origin that carry inner coordinates to outer ones.

    Attributes:
        rotation: (3, 3) proper rotation; its columns are the inner axes seen from outside.
        origin_mm: (3,) the inner origin seen from outside.
    """

    rotation: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    origin_mm: Vector = field(default_factory=lambda: np.zeros(3))

    def __matmul__(self, inner: Frame) -> Frame:
        """`outer_from_middle @ middle_from_inner` is `outer_from_inner`."""
        return Frame(self.rotation @ inner.rotation, self.rotation @ inner.origin_mm + self.origin_mm)

    def inverse(self) -> Frame:
        """The frame that undoes this one."""
        return Frame(self.rotation.T, -self.rotation.T @ self.origin_mm)

    def points(self, points_mm: ArrayLike) -> Points:
        """`points_mm` (N, 3) carried outward."""
        return as_points(points_mm) @ self.rotation.T + self.origin_mm

    def point(self, point_mm: ArrayLike) -> Vector:
        """One point (3,) carried outward."""
        return self.rotation @ as_vector(point_mm, "point_mm") + self.origin_mm

    def vector(self, vector: ArrayLike) -> Vector:
        """One direction (3,) turned outward."""
        return self.rotation @ as_vector(vector)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The same as a (4, 4) homogeneous matrix."""
        out = np.zeros((4, 4))
        out[:3, :3], out[:3, 3], out[3, 3] = self.rotation, self.origin_mm, 1.0
        return out

    @property
    def key(self) -> bytes:
        """What tells this frame from another, to the last digit."""
        return self.rotation.tobytes() + self.origin_mm.tobytes()


def translation(offset_mm: ArrayLike) -> Frame:
    """A frame moved by `offset_mm` (3,) without turning."""
    return Frame(np.eye(3), as_vector(offset_mm, "offset_mm"))


def rotation_about(axis: ArrayLike, angle_deg: float, centre_mm: ArrayLike = (0.0, 0.0, 0.0)) -> Frame:
    """A right-handed turn of `angle_deg` about the line through `centre_mm` along `axis` (Rodrigues)."""
    x, y, z = unit(axis, "axis")
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.deg2rad(angle_deg)
    rotation = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    centre = as_vector(centre_mm, "centre_mm")
    return Frame(rotation, centre - rotation @ centre)


def looking_along(origin_mm: ArrayLike, forward: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> Frame:
    """A frame at `origin_mm` whose z axis is `forward` and whose y axis is nearest to `up`.

    Where `up` is parallel to `forward`, the axis that is least parallel takes its place.
    """
    z = unit(forward, "forward")
    hint = unit(up, "up")
    if abs(float(hint @ z)) > 1.0 - 1e-9:
        hint = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = unit(np.cross(hint, z))
    return Frame(np.stack([x, np.cross(z, x), z], axis=1), as_vector(origin_mm, "origin_mm"))
