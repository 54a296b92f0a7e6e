"""Where the stage is seen from, and the mathematics that carry millimetres to pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import Points, Vector, as_points, as_vector, corners, unit
from spineviz.geometry.frames import Frame, rotation_about

DIRECTIONS = {
    "front": (0.0, 1.0, 0.0),
    "behind": (0.0, -1.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "above": (0.0, 0.0, 1.0),
    "below": (0.0, 0.0, -1.0),
}
"""Words of `seen from ...` and the way from the target to the eye; right and left are the patient's."""

_NEAR_SHARE, _NEAR_LEAST_MM = 0.98, 1.0


def smoothstep(share: float) -> float:
    """0 to 1 with rest at both ends; outside it stays there."""
    t = min(1.0, max(0.0, share))
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True, eq=False)
class Camera:
    """An eye with perspective.

    Attributes:
        position_mm: (3,) the eye.
        target_mm: (3,) the point in the middle of the picture.
        up: (3,) the way that is up in the picture; need not be at right angles to the line of sight.
        view_angle_deg: the whole vertical angle of view.
    """

    position_mm: Vector
    target_mm: Vector
    up: Vector
    view_angle_deg: float = 30.0

    def __post_init__(self) -> None:
        """Check and copy the arrays; ValueError names what is wrong."""
        for name in ("position_mm", "target_mm", "up"):
            object.__setattr__(self, name, as_vector(getattr(self, name), name).copy())
        if not 0.0 < self.view_angle_deg < 170.0:
            raise ValueError(f"view_angle_deg must be more than 0 and less than 170, got {self.view_angle_deg}")
        if self.distance_mm <= 0:
            raise ValueError("position_mm and target_mm must differ")
        if np.linalg.norm(np.cross(self.up, self.target_mm - self.position_mm)) <= 1e-9 * self.distance_mm:
            raise ValueError("up must not lie along the line of sight")

    def __eq__(self, other: object) -> bool:
        """Whether the two see the same picture, number by number."""
        return isinstance(other, Camera) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def key(self) -> tuple[bytes, bytes, bytes, float]:
        """What tells this camera from another."""
        return self.position_mm.tobytes(), self.target_mm.tobytes(), self.up.tobytes(), float(self.view_angle_deg)

    @cached_property
    def distance_mm(self) -> float:
        """From the eye to the target."""
        return float(np.linalg.norm(self.position_mm - self.target_mm))

    @cached_property
    def world_from_camera(self) -> Frame:
        """The eye's frame: x right and y up in the picture, z towards the viewer."""
        z = unit(self.position_mm - self.target_mm)
        x = unit(np.cross(self.up, z))
        return Frame(np.stack([x, np.cross(z, x), z], axis=1), self.position_mm)

    def visible_height_mm(self) -> float:
        """How many mm at the target fill the picture from top to bottom."""
        return 2.0 * self.distance_mm * float(np.tan(np.deg2rad(self.view_angle_deg) / 2))

    def pixel_mm(self, height_px: int) -> float:
        """The size of a pixel at the target in a picture of `height_px` rows, mm."""
        return self.visible_height_mm() / height_px

    def moved(self, world_from_old: Frame) -> Camera:
        """The camera carried by a rigid frame; a world carried with it gives the same picture."""
        return Camera(
            world_from_old.point(self.position_mm),
            world_from_old.point(self.target_mm),
            world_from_old.vector(self.up),
            self.view_angle_deg,
        )

    def nearer(self, factor: float) -> Camera:
        """The same view from 1/`factor` of the distance: things look about `factor` times as large."""
        if factor <= 0:
            raise ValueError(f"factor must be more than 0, got {factor}")
        offset = (self.position_mm - self.target_mm) / factor
        return Camera(self.target_mm + offset, self.target_mm, self.up, self.view_angle_deg)

    def widened(self, factor: float) -> Camera:
        """The same eye with a field `factor` times as high at the target."""
        if factor <= 0:
            raise ValueError(f"factor must be more than 0, got {factor}")
        if factor == 1.0:
            return self
        tangent = factor * float(np.tan(np.deg2rad(self.view_angle_deg) / 2))
        return Camera(self.position_mm, self.target_mm, self.up, 2 * float(np.rad2deg(np.arctan(tangent))))

    def shifted(self, right_share: float, up_share: float) -> Camera:
        """The camera moved sideways so that its target appears off the middle.

        The shares are of the picture's height: `right_share` 0.1 moves the subject a tenth of it to the right.
        """
        frame = self.world_from_camera
        step = -self.visible_height_mm() * (right_share * frame.rotation[:, 0] + up_share * frame.rotation[:, 1])
        return Camera(self.position_mm + step, self.target_mm + step, self.up, self.view_angle_deg)

    def orbited(self, azimuth_deg: float, elevation_deg: float = 0.0) -> Camera:
        """The camera turned about its target: first `azimuth_deg` about world z, then `elevation_deg` upward."""
        swing = rotation_about((0, 0, 1), azimuth_deg, self.target_mm)
        turned = self.moved(swing)
        side = turned.world_from_camera.rotation[:, 0]
        return turned.moved(rotation_about(side, -elevation_deg, self.target_mm))

    def moved_towards(self, other: Camera, share: float) -> Camera:
        """The view `share` of the way to `other`, eased at both ends, on an arc about the target.

        The target moves on a straight line, the distance in proportion, and the eye and its up turn about one axis,
        so that the camera never passes through what it looks at.
        """
        t = smoothstep(share)
        if t == 0.0:
            return self
        if t == 1.0:
            return other
        here, there = self.world_from_camera.rotation, other.world_from_camera.rotation
        rotation = _turned(here, there, t)
        target = self.target_mm + t * (other.target_mm - self.target_mm)
        distance = self.distance_mm ** (1 - t) * other.distance_mm**t
        tangents = [float(np.tan(np.deg2rad(c.view_angle_deg) / 2)) for c in (self, other)]
        angle = 2 * np.rad2deg(np.arctan(tangents[0] ** (1 - t) * tangents[1] ** t))
        return Camera(target + distance * rotation[:, 2], target, rotation[:, 1], float(angle))

    def view_matrix(self) -> NDArray[np.float64]:
        """(4, 4) world -> eye, as OpenGL has it (looking along -z)."""
        return self.world_from_camera.inverse().matrix

    def projection_matrix(self, size_px: tuple[int, int], near_mm: float, far_mm: float) -> NDArray[np.float64]:
        """(4, 4) eye -> clip for a picture of (width, height), as OpenGL has it."""
        width, height = size_px
        f = 1.0 / float(np.tan(np.deg2rad(self.view_angle_deg) / 2))
        out = np.zeros((4, 4))
        out[0, 0], out[1, 1] = f * height / width, f
        out[2, 2], out[2, 3] = -(far_mm + near_mm) / (far_mm - near_mm), -2 * far_mm * near_mm / (far_mm - near_mm)
        out[3, 2] = -1.0
        return out

    def project(
        self, points_mm: ArrayLike, size_px: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where `points_mm` (N, 3) appear in a picture of (width, height).

        Returns pixels (N, 2), x from the left edge and y from the top one (the middle of the first pixel is 0.5), and
        the depths (N,) mm along the line of sight; a point at or behind the eye has nan pixels.
        """
        width, height = size_px
        eye = self.world_from_camera.inverse().points(as_points(points_mm))
        depth = -eye[:, 2]
        f = height / 2 / float(np.tan(np.deg2rad(self.view_angle_deg) / 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            x = width / 2 + f * eye[:, 0] / depth
            y = height / 2 - f * eye[:, 1] / depth
        pixels = np.column_stack([x, y])
        pixels[depth <= 0] = np.nan
        return pixels, depth

    def ray(self, pixel: ArrayLike, size_px: tuple[int, int]) -> Vector:
        """(3,) the unit way from the eye through `pixel` (x, y from the top left)."""
        width, height = size_px
        x, y = np.asarray(pixel, float)
        f = height / 2 / float(np.tan(np.deg2rad(self.view_angle_deg) / 2))
        return unit(self.world_from_camera.vector((x - width / 2, height / 2 - y, -f)))

    def clip_range_mm(self, bounds_mm: NDArray[np.float64]) -> tuple[float, float]:
        """Near and far planes that hold a world box (2, 3) and keep as much depth precision as can be."""
        depth = -self.world_from_camera.inverse().points(corners(bounds_mm))[:, 2]
        far = max(float(depth.max()) * 1.02, 2 * _NEAR_LEAST_MM)
        near = max(float(depth.min()) * _NEAR_SHARE, far / 4000.0, _NEAR_LEAST_MM)
        return min(near, far / 2), far


def direction(seen_from: str) -> Vector:
    """(3,) the unit way from the target to the eye for words such as "behind", "behind right", "front above left".

    The first word weighs 2 when there are several, the others 1. Raises ValueError that lists the words.
    """
    words = [w for w in re.split(r"[\s,-]+", seen_from.strip().lower()) if w and w != "and"]
    if not words or any(w not in DIRECTIONS for w in words):
        raise ValueError(f"seen from {seen_from!r}: the words are {', '.join(DIRECTIONS)}")
    weights = [1.0] if len(words) == 1 else [2.0] + [1.0] * (len(words) - 1)
    total = sum(w * np.array(DIRECTIONS[word]) for w, word in zip(weights, words, strict=True))
    return unit(total, "seen_from")


def direction_at(azimuth_deg: float, elevation_deg: float) -> Vector:
    """(3,) the unit way from the target to the eye: azimuth 0 is behind, 90 the patient's right, 180 the front, 270 the
    left; elevation is upward."""
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    flat = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    return np.cos(elevation) * flat + np.sin(elevation) * np.array([0.0, 0.0, 1.0])


def camera_from(
    seen_from: str | tuple[float, float] | ArrayLike,
    target_mm: ArrayLike = (0.0, 0.0, 0.0),
    distance_mm: float = 400.0,
    view_angle_deg: float = 26.0,
    up: ArrayLike = (0.0, 0.0, 1.0),
) -> Camera:
    """A camera at `distance_mm` from `target_mm`.

    `seen_from` is words ("behind", "behind right above"), a pair (azimuth_deg, elevation_deg) as in `direction_at`, or
    a vector (3,) from the target to the eye. Seen from above or below, the front is up in the picture.
    """
    if isinstance(seen_from, str):
        way = direction(seen_from)
    else:
        values = np.asarray(seen_from, float)
        if values.shape == (2,):
            way = direction_at(float(values[0]), float(values[1]))
        else:
            way = unit(as_vector(values, "seen_from"), "seen_from")
    upward = unit(up, "up")
    if abs(float(upward @ way)) > 1.0 - 1e-6:
        upward = np.array([0.0, 1.0, 0.0]) if abs(way[1]) < 0.5 else np.array([0.0, 0.0, 1.0])
    target = as_vector(target_mm, "target_mm")
    return Camera(target + distance_mm * way, target, upward, view_angle_deg)


def framing(
    seen_from: str | tuple[float, float] | ArrayLike,
    points_mm: Points,
    size_px: tuple[int, int],
    fill: float = 0.86,
    view_angle_deg: float = 26.0,
    up: ArrayLike = (0.0, 0.0, 1.0),
) -> Camera:
    """The camera from which `points_mm` (N, 3) just fill `fill` of the picture's width or height."""
    points = as_points(points_mm)
    camera = camera_from(seen_from, points.mean(0), 1000.0, view_angle_deg, up)
    axes = camera.world_from_camera.rotation
    half = np.tan(np.deg2rad(view_angle_deg) / 2) * fill
    limits = np.array([half * size_px[0] / size_px[1], half])
    for _ in range(12):  # centring changes the depths and the depths the centring; it settles within a few turns
        local = (points - camera.target_mm) @ axes
        # the eye stands at z = d; each point asks for d >= z + |x| / limit
        need = local[:, 2:3] + np.abs(local[:, :2]) / limits
        distance = max(float(need.max()), 1.0)
        seen = local[:, :2] / (distance - local[:, 2:3])
        middle = (seen.max(0) + seen.min(0)) / 2 * distance
        target = camera.target_mm + axes[:, :2] @ middle
        camera = Camera(target + distance * axes[:, 2], target, camera.up, view_angle_deg)
    return camera


def _turned(here: NDArray[np.float64], there: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The rotation `share` of the way from one to the other about a single axis, the short way round."""
    delta = there @ here.T
    cosine = float(np.clip((np.trace(delta) - 1) / 2, -1.0, 1.0))
    angle = float(np.arccos(cosine))
    if angle < 1e-9:
        return there if share > 0.5 else here
    if np.pi - angle < 1e-6:  # a half turn: the axis comes from the symmetric part; prefer to swing about world z
        values, vectors = np.linalg.eigh((delta + delta.T) / 2)
        axis = vectors[:, int(np.argmax(values))]
        axis = axis if axis[2] >= 0 else -axis
    else:
        axis = np.array([delta[2, 1] - delta[1, 2], delta[0, 2] - delta[2, 0], delta[1, 0] - delta[0, 1]])
        axis /= 2 * np.sin(angle)
    return rotation_about(axis, float(np.rad2deg(angle)) * share).rotation @ here
