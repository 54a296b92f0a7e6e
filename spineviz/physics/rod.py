"""How wires and catheters lie in a vessel: thin elastic rods at rest in a lumen.

A device is a chain of nodes of fixed spacing, held at the puncture and free at its tip. It takes the shape of least
bending energy that stays within the lumen with the device's own radius: that is why it leans on the outer wall of a
bend. A shaped tip has a curvature of its own, about an axis that the operator turns. Friction and twist are left out.

The energy is that of a discrete elastic rod (Bergou et al. 2008, doi:10.1145/1360612.1360662) without twist; the walls
are a logarithmic barrier that is lowered step by step (interior point), each step solved by Newton's method with a
banded Hessian. Nothing is random: the same lumen, device and advance give the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.data.errors import RequestError
from spineviz.geometry.fields import Points

Floats = NDArray[np.float64]

SPACING_MM = 2.0
"""Distance of the nodes along a device, unless told otherwise."""

_STRETCH = (
    200.0  # stiffness against stretching, in units of bending stiffness / spacing²: strain under 0.1 % at r = 5 mm
)
_SHARE_LEFT = 1e-4  # the barrier that is left at the end, as a share of the bending energy
_SOFTNESS = 6.0  # exponent with which tubes that overlap are joined; any value has the same walls


@dataclass(frozen=True, eq=False)
class Tube:
    """One vessel: a polyline with a radius at each vertex; between two vertices the radius runs straight."""

    points_mm: Points
    radius_mm: Floats

    @cached_property
    def _steps(self) -> tuple[Points, Floats]:
        step = np.diff(self.points_mm, axis=0)
        return step, np.maximum((step * step).sum(1), 1e-30)

    def nearest(self, at_mm: Points, room_mm: float) -> tuple[Points, Points, Floats, Floats]:
        """For each of (M, 3) points the place on the centreline with most clearance.

        Returns the places (M, 3), the unit tangents there (M, 3), the radius there less `room_mm` (M,), and how it
        grows along the tangent (M,).
        """
        points, radius = self.points_mm, self.radius_mm - room_mm
        squared = (at_mm**2).sum(1)[:, None] + (points**2).sum(1) - 2.0 * at_mm @ points.T
        vertex = (radius - np.sqrt(np.maximum(squared, 0.0))).argmax(1)
        step, length2 = self._steps
        best: list[Floats] = []
        for segment in (np.maximum(vertex - 1, 0), np.minimum(vertex, len(step) - 1)):
            share = np.clip(((at_mm - points[segment]) * step[segment]).sum(1) / length2[segment], 0.0, 1.0)
            place = points[segment] + share[:, None] * step[segment]
            here = radius[segment] + share * (radius[segment + 1] - radius[segment])
            best.append(np.column_stack([here - np.linalg.norm(at_mm - place, axis=1), share, segment]))
        chosen = np.where((best[0][:, 0] > best[1][:, 0])[:, None], best[0], best[1])
        share, segment = chosen[:, 1], chosen[:, 2].astype(int)
        length = np.sqrt(length2[segment])
        tangent = step[segment] / length[:, None]
        growth = (radius[segment + 1] - radius[segment]) / length * ((share > 0) & (share < 1))
        place = points[segment] + share[:, None] * step[segment]
        return place, tangent, radius[segment] + share * (radius[segment + 1] - radius[segment]), growth


@dataclass(frozen=True, eq=False)
class Lumen:
    """The inside of the vessels that a device passes, along one way.

    Attributes:
        points_mm: (N, 3) the way, from the puncture to the end: the centrelines one after another.
        tubes: what is open to the device; their union is the lumen. Made by `lumen_along`.
    """

    points_mm: Points
    tubes: tuple[Tube, ...]

    @cached_property
    def arc_mm(self) -> Floats:
        """(N,) way from the puncture to each point."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1))])

    @property
    def length_mm(self) -> float:
        """The whole way."""
        return float(self.arc_mm[-1])

    def at(self, way_mm: ArrayLike) -> Points:
        """(K, 3) places on the way; beyond its ends it goes straight on."""
        way = np.atleast_1d(np.asarray(way_mm, float))
        inner = np.clip(way, 0.0, self.length_mm)
        out = np.stack([np.interp(inner, self.arc_mm, self.points_mm[:, i]) for i in range(3)], axis=1)
        last = self.points_mm[-1] - self.points_mm[-2]
        first = self.points_mm[1] - self.points_mm[0]
        out += np.maximum(way - self.length_mm, 0.0)[:, None] * last / np.linalg.norm(last)
        return out + np.minimum(way, 0.0)[:, None] * first / np.linalg.norm(first)

    def radius_at(self, way_mm: ArrayLike) -> Floats:
        """(K,) the lumen's radius at places on the way: that of the widest tube round them."""
        return self.clearance_mm(self.at(np.clip(way_mm, 0.0, self.length_mm)))

    def clearance_mm(self, points_mm: Points, radius_mm: float = 0.0) -> Floats:
        """(M,) how far a ball of `radius_mm` at each of (M, 3) points is from the wall; negative where it pierces it."""
        gaps = []
        for tube in self.tubes:
            place, _, radius, _ = tube.nearest(points_mm, radius_mm)
            gaps.append(radius - np.linalg.norm(points_mm - place, axis=1))
        return np.max(gaps, axis=0)

    def moved(self, rotation: ArrayLike, shift_mm: ArrayLike) -> Lumen:
        """The same lumen after a rotation (3, 3) and then a shift (3,)."""
        turn, shift = np.asarray(rotation, float), np.asarray(shift_mm, float)
        tubes = tuple(Tube(tube.points_mm @ turn.T + shift, tube.radius_mm) for tube in self.tubes)
        return Lumen(self.points_mm @ turn.T + shift, tubes)


def lumen(points_mm: ArrayLike, radius_mm: ArrayLike) -> Lumen:
    """One vessel: centreline (N, 3) and its radius, one number or (N,)."""
    return lumen_along([(points_mm, radius_mm)])


def lumen_along(
    parts: Sequence[tuple[ArrayLike, ArrayLike]], rooms: Sequence[tuple[ArrayLike, ArrayLike]] = ()
) -> Lumen:
    """Vessels passed one after another, each as centreline (N, 3) and radius (one number or (N,)), in mm.

    Args:
        parts: from the puncture on. Where a part does not begin at the end of the part before (a branch whose
            centreline starts at the wall of its parent), a straight piece with its first radius leads to it.
        rooms: further vessels that are open to the device, such as the parent beyond the branch.

    Raises ValueError for shapes that do not fit, points that repeat, or a radius that is not positive.
    """
    tubes: list[Tube] = []
    way: list[Points] = []
    for points_mm, radius_mm in parts:
        tube = _tube(points_mm, radius_mm)
        if way and np.linalg.norm(tube.points_mm[0] - way[-1][-1]) > 1e-6:
            tube = Tube(
                np.concatenate([way[-1][-1:], tube.points_mm]),
                np.concatenate([tube.radius_mm[:1], tube.radius_mm]),
            )
        tubes.append(tube)
        way.append(tube.points_mm if not way else tube.points_mm[1:])
    if not tubes:
        raise ValueError("parts must hold at least one vessel")
    points = np.concatenate(way)
    first, last = points[0] - points[1], points[-1] - points[-2]
    tubes[0] = _continued(tubes[0], first / np.linalg.norm(first), start=True)
    tubes[-1] = _continued(tubes[-1], last / np.linalg.norm(last), start=False)
    return Lumen(points, (*tubes, *(_tube(*room) for room in rooms)))


def _tube(points_mm: ArrayLike, radius_mm: ArrayLike) -> Tube:
    points = np.asarray(points_mm, float)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
        raise ValueError(f"points_mm must have shape (N, 3) with N of at least 2, got {points.shape}")
    if (np.linalg.norm(np.diff(points, axis=0), axis=1) <= 0).any():
        raise ValueError("points_mm must not repeat a point")
    radius = np.array(np.broadcast_to(np.asarray(radius_mm, float), len(points)))
    if not (radius > 0).all():
        raise ValueError(f"radius_mm must be positive, got {radius.min():g}")
    return Tube(points, radius)


def _continued(tube: Tube, outward: Floats, start: bool, by_mm: float = 40.0) -> Tube:
    """The tube with a straight piece at one end: a device is cut off at its advance, not stopped by a cap."""
    place = 0 if start else len(tube.points_mm)
    end = tube.points_mm[0 if start else -1] + by_mm * outward
    return Tube(
        np.insert(tube.points_mm, place, end, axis=0),
        np.insert(tube.radius_mm, place, tube.radius_mm[0 if start else -1]),
    )


@dataclass(frozen=True)
class Rod:
    """A wire or catheter.

    Attributes:
        radius_mm: outer radius.
        stiffness_n_mm2: flexural rigidity E I of the shaft.
        least_bend_radius_mm: no place of it may be bent more sharply.
        tip_curve: the free shape of the tip as (length_mm, angle_deg) of arcs one after another, from the very tip
            backwards; a negative angle bends the other way. Behind them the device is straight when free.
        soft_mm, soft_stiffness_n_mm2: the stiffness falls evenly to this at the tip over this length.
        name: how messages call it.
    """

    radius_mm: float
    stiffness_n_mm2: float
    least_bend_radius_mm: float
    tip_curve: tuple[tuple[float, float], ...] = ()
    soft_mm: float = 0.0
    soft_stiffness_n_mm2: float = 0.0
    name: str = "device"

    def __post_init__(self) -> None:
        for name in ("radius_mm", "stiffness_n_mm2", "least_bend_radius_mm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{self.name}: {name} must be positive, got {getattr(self, name):g}")
        if self.soft_mm > 0 and not 0 < self.soft_stiffness_n_mm2:
            raise ValueError(f"{self.name}: soft_stiffness_n_mm2 must be positive, got {self.soft_stiffness_n_mm2:g}")
        for length_mm, angle_deg in self.tip_curve:
            if abs(np.deg2rad(angle_deg)) * self.least_bend_radius_mm > length_mm * (1 + 1e-9):
                raise ValueError(
                    f"{self.name}: its own tip ({angle_deg:g} deg in {length_mm:g} mm) is bent more sharply than "
                    f"least_bend_radius_mm {self.least_bend_radius_mm:g}"
                )

    def stiffness_at(self, behind_mm: Floats) -> Floats:
        """Flexural rigidity in N mm² at distances behind the tip."""
        if self.soft_mm <= 0:
            return np.full(np.shape(behind_mm), self.stiffness_n_mm2)
        return np.interp(behind_mm, [0.0, self.soft_mm], [self.soft_stiffness_n_mm2, self.stiffness_n_mm2])

    def curvature_at(self, behind_mm: Floats) -> Floats:
        """Curvature when free, 1/mm, at distances behind the tip."""
        out = np.zeros(np.shape(behind_mm))
        start = 0.0
        for length_mm, angle_deg in self.tip_curve:
            here = (behind_mm >= start) & (behind_mm < start + length_mm)
            out[here] = np.deg2rad(angle_deg) / length_mm
            start += length_mm
        return out


@dataclass(frozen=True, eq=False)
class Shape:
    """A device at rest.

    Attributes:
        points_mm: (M, 3) its centre line from the puncture to the tip.
        energy_n_mm: bending energy (what a free tip would not have).
        clearance_mm: smallest distance of its surface to the wall.
        sharpest_mm: radius of its sharpest bend; infinite where it is straight.
    """

    points_mm: Points
    energy_n_mm: float
    clearance_mm: float
    sharpest_mm: float

    @cached_property
    def way_mm(self) -> Floats:
        """(M,) length of the device from the puncture to each point."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1))])

    @property
    def tip_mm(self) -> Points:
        """(3,) the tip."""
        return self.points_mm[-1]

    def at(self, way_mm: ArrayLike) -> Points:
        """(K, 3) places at a length from the puncture, held to the ends."""
        way = np.atleast_1d(np.asarray(way_mm, float))
        return np.stack([np.interp(way, self.way_mm, self.points_mm[:, i]) for i in range(3)], axis=1)

    def upto(self, way_mm: float) -> Points:
        """(K, 3) the part up to a length from the puncture: the outer of two devices, one in the other."""
        inner = self.way_mm < way_mm - 1e-9
        return np.concatenate([self.points_mm[inner], self.at(way_mm)])


def turns(points_mm: Points) -> tuple[Floats, Floats]:
    """At each inner vertex (M - 2,) the curvature 2 tan(angle / 2) / mean length, 1/mm, and that mean length, mm."""
    edge = np.diff(points_mm, axis=0)
    length = np.linalg.norm(edge, axis=1)
    tangent = edge / length[:, None]
    mean = 0.5 * (length[1:] + length[:-1])
    cosine = np.clip((tangent[1:] * tangent[:-1]).sum(1), -1.0, 1.0)
    sine = np.linalg.norm(np.cross(tangent[:-1], tangent[1:]), axis=1)
    return 2.0 * sine / (1.0 + cosine + 1e-12) / mean, mean


@dataclass(frozen=True, eq=False)
class _Chain:
    """One or two devices, one in the other, cut into edges: what the solver needs of them.

    Edge lengths (M,); at the M inner vertices (the puncture first) stiffness, free curvature and largest curvature;
    at the M free nodes the radius.
    """

    length_mm: Floats
    stiffness: Floats
    free: Floats
    sharpest: Floats
    radius_mm: Floats
    axis: Floats

    @property
    def way_mm(self) -> Floats:
        return np.concatenate([[0.0], np.cumsum(self.length_mm)])


def _chain(rods: Sequence[tuple[Rod, float]], axis: Floats, spacing_mm: float) -> _Chain:
    """Edges counted from the tip, so that a shaped tip moves unchanged; what is left over lies at the puncture."""
    reach = max(advance for _, advance in rods)
    count = max(2, round(reach / spacing_mm))
    length = np.full(count, spacing_mm)
    length[0] = reach - spacing_mm * (count - 1)
    if length[0] < 0.25 * spacing_mm:
        length[:] = reach / count
    way = np.concatenate([[0.0], np.cumsum(length)])
    vertex, node = way[:-1], way[1:]
    stiffness, moment, sharpest, radius = np.zeros(count), np.zeros(count), np.full(count, np.inf), np.zeros(count)
    for rod, advance in rods:
        # a device ends between two vertices: its share of the turn at a vertex is what it covers of the way there
        covers = np.clip((advance - vertex) / spacing_mm + 0.5, 0.0, 1.0)
        behind = np.maximum(advance - vertex, 0.0)
        own = rod.stiffness_at(behind) * covers
        stiffness += own
        moment += own * rod.curvature_at(behind)
        sharpest = np.where(covers > 0, np.minimum(sharpest, 1.0 / rod.least_bend_radius_mm), sharpest)
        radius = np.where(node <= advance + 1e-9, np.maximum(radius, rod.radius_mm), radius)
    return _Chain(length, stiffness, moment / stiffness, sharpest, radius, axis)
