"""How wires and catheters lie in a vessel: thin elastic rods at rest in a lumen.

A device is a chain of nodes of fixed spacing, held at the puncture and free at its tip. It takes the shape of least
bending energy that stays within the lumen with the device's own radius: that is why it leans on the outer wall of a
bend. A shaped tip has a curvature of its own, about an axis that the operator turns. Friction and twist are left out.

The energy is that of a discrete elastic rod (Bergou et al. 2008, doi:10.1145/1360612.1360662) without twist; how its
least is found stands in rod_solver.py. Nothing is random: the same lumen, device and advance give the same shape.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.geometry.fields import Points
from spineviz.physics.rod_solver import SHARE_LEFT, SPACING_MM, Chain, Problem, Settling, Task, together

Floats = NDArray[np.float64]

_FINE_TAIL_MM = 60.0  # how much of a device has finer nodes where those are asked for
_TAIL_MM = 30.0  # what is laid anew of a shape that is led further
_FAR_MM = 12.0  # a shape whose tip is further away is no help
_NEIGHBOURS = np.arange(-3, 4)
_BESIDE = slice(2, 5)  # the nearest of them with the vertex itself
_CORNER = np.deg2rad(15.0)  # a centreline that turns by more at one vertex has a corner there
_BOX_MM = 12.0  # what is further from a vessel than this has no part in it
_FINE_MM = 1.5  # no segment of a centreline is longer


@dataclass(frozen=True, eq=False)
class Tube:
    """One vessel: a polyline with a radius at each vertex; between two vertices the radius runs straight."""

    points_mm: Points
    radius_mm: Floats
    ends: tuple[int, ...] = ()  # of several tubes in a row, where each but the last ends: no wall leads across

    def and_then(self, others: Sequence[Tube]) -> Tube:
        """This tube and `others` in a row."""
        ends: list[int] = []
        count = 0
        for tube in (self, *others):
            ends += [count + end for end in tube.ends]
            count += len(tube.points_mm)
            ends.append(count)
        return Tube(
            np.concatenate([tube.points_mm for tube in (self, *others)]),
            np.concatenate([tube.radius_mm for tube in (self, *others)]),
            tuple(ends[:-1]),
        )

    def deepest_balls(self, at_mm: Points) -> tuple[Floats, NDArray[np.int64]]:
        """How deep each of (M, 3) points lies in the ball of the vertex that it lies deepest in, (M,), and that
        vertex (M,)."""
        from scipy.spatial.distance import cdist

        depth = cdist(at_mm, self.points_mm)
        np.subtract(self.radius_mm, depth, out=depth)  # to ask for so much room takes as long as to fill it
        best = depth.argmax(1)
        return depth[np.arange(len(best)), best], best

    @cached_property
    def _first_last(self) -> NDArray[np.int64]:
        """(2, N) the first and last vertex of the tube that each vertex is of."""
        cuts = [0, *self.ends, len(self.points_mm)]
        return np.concatenate([np.tile([[a], [b - 1]], (1, b - a)) for a, b in pairwise(cuts)], axis=1)

    @cached_property
    def _around(self) -> tuple[NDArray[np.int64], Floats]:
        """Each vertex and those beside it on the same tube: (7, N) which, and (4, 7, N) their places and radii."""
        first, last = self._first_last
        which = np.clip(np.arange(len(self.points_mm)) + _NEIGHBOURS[:, None], first, last)
        return which, np.concatenate([self.points_mm[which].transpose(2, 0, 1), self.radius_mm[which][None]])

    @cached_property
    def _beside(self) -> tuple[NDArray[np.int64], Floats]:
        """Of `_around` the vertex itself and its next ones, (3, N) and (4, 3, N)."""
        which, places = self._around
        return which[_BESIDE], np.ascontiguousarray(places[:, _BESIDE])

    @cached_property
    def _segments(self) -> Floats:
        """(9, 2, N) the segments that end and that begin at each vertex: where each begins (3), its unit tangent (3),
        its length, the radius where it begins and how that grows along it."""
        first, last = self._first_last
        vertex = np.arange(len(self.points_mm))
        begin = np.stack([np.maximum(vertex - 1, first), np.minimum(vertex, last - 1)])
        step = self.points_mm[begin + 1] - self.points_mm[begin]
        length = np.maximum(np.linalg.norm(step, axis=2), 1e-15)
        rise = self.radius_mm[begin + 1] - self.radius_mm[begin]
        start, along = (part.transpose(2, 0, 1) for part in (self.points_mm[begin], step / length[:, :, None]))
        return np.concatenate([start, along, np.stack([length, self.radius_mm[begin], rise / length])])

    @cached_property
    def bends(self) -> Points:
        """(3, N) curvature vectors at the vertices, 1/mm, towards the inner side of the bend."""
        step = np.diff(self.points_mm, axis=0)
        length = np.maximum(np.linalg.norm(step, axis=1), 1e-15)
        out = np.zeros_like(self.points_mm)
        out[1:-1] = np.diff(step / length[:, None], axis=0) / (0.5 * (length[1:] + length[:-1]))[:, None]
        for end in self.ends:
            out[end - 1 : end + 1] = 0.0
        return np.ascontiguousarray(out.T)

    def vertices_near(self, at_mm: Points, vertex: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each of (3, M) points the vertex of the centreline whose ball it lies deepest in, sought only among the
        neighbours of (M,) vertices."""
        found = _deepest_beside(*self._beside, at_mm, vertex)
        # mostly it is the same as before; only where it is another one those further off are looked at
        gone = np.flatnonzero(found != vertex)
        if len(gone):
            found[gone] = _deepest_beside(*self._around, at_mm[:, gone], vertex[gone])
        return found

    def nearest(self, at_mm: Points, vertex: NDArray[np.int64]) -> tuple[Points, Points, Floats, Floats]:
        """For each of (3, M) points the place on the centreline with most clearance, beside the vertex `vertex` (M,).

        Returns the ways (3, M) from there to the points, the unit tangents there (3, M), the radius there (M,), and how
        it grows along the tangent (M,).
        """
        segment = self._segments.take(vertex, axis=2)
        along, length, wide, growth = segment[3:6], segment[6], segment[7], segment[8]
        off = at_mm[:, None] - segment[:3]
        way = np.einsum("ism,ism->sm", off, along)
        held = np.minimum(np.maximum(way, 0.0), length)
        off -= held * along
        wide = wide + held * growth
        gap = wide - np.sqrt(np.einsum("ism,ism->sm", off, off))
        second = gap[1] >= gap[0]
        growth = growth * (held == way)  # beyond an end of the tube it grows no more
        return (
            np.where(second, off[:, 1], off[:, 0]), np.where(second, along[:, 1], along[:, 0]),
            np.where(second, wide[1], wide[0]), np.where(second, growth[1], growth[0]),
        )  # fmt: skip


def _deepest_beside(
    which: NDArray[np.int64], places: Floats, at_mm: Points, vertex: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each of (3, M) points the vertex whose ball it lies deepest in, of the K beside `vertex` (M,): those are
    `which` (K, N) of each vertex, their places and radii `places` (4, K, N)."""
    near = places.take(vertex, axis=2)
    off = near[:3] - at_mm[:, None]
    best = (near[3] - np.sqrt(np.einsum("ikm,ikm->km", off, off))).argmax(0)
    return np.asarray(which[best, vertex])


@dataclass(frozen=True, eq=False)
class Lumen:
    """The inside of the vessels that a device passes, along one way.

    Attributes:
        points_mm: (N, 3) the way, from the puncture to the end: the centrelines one after another.
        tubes: what is open to the device; their union is the lumen. Made by `lumen_of`, `lumen_along` or
            `lumen_within`.
    """

    points_mm: Points
    tubes: tuple[Tube, ...]

    @cached_property
    def all_tubes(self) -> Tube:
        """All tubes in one row."""
        return self.tubes[0].and_then(self.tubes[1:])

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

    def station_mm(self, points_mm: Points) -> Floats:
        """(M,) how far along the way the place nearest to each of (M, 3) points lies."""
        step = np.diff(self.points_mm, axis=0)
        share = np.einsum("mni,ni->mn", points_mm[:, None] - self.points_mm[:-1], step) / (step * step).sum(1)
        share = np.clip(share, 0.0, 1.0)
        off = np.linalg.norm(self.points_mm[:-1] + share[:, :, None] * step - points_mm[:, None], axis=2)
        best = off.argmin(1)
        along = share[np.arange(len(best)), best]
        return self.arc_mm[best] + along * np.diff(self.arc_mm)[best]

    def radius_at(self, way_mm: ArrayLike) -> Floats:
        """(K,) the lumen's radius at places on the way: that of the widest tube round them."""
        return self.clearance_mm(self.at(np.clip(way_mm, 0.0, self.length_mm)))

    @cached_property
    def free_mm(self) -> Floats:
        """(N,) the lumen's radius at every whole millimetre of the way, and at its end."""
        return self.radius_at(np.arange(0.0, self.length_mm + 1.0, 1.0))

    def clearance_mm(self, points_mm: Points, radius_mm: ArrayLike = 0.0) -> Floats:
        """(M,) how far a ball of `radius_mm` (one number or (M,)) at each of (M, 3) points is from the wall; negative
        in or behind it."""
        return self.deepest(points_mm, radius_mm)[2]

    def deepest(self, points_mm: Points, radius_mm: ArrayLike = 0.0) -> tuple[Points, Floats, Floats]:
        """For each of (M, 3) points the place (M, 3) with most clearance on the centreline of the tube that it lies
        deepest in, the radius (M,) there less `radius_mm`, and the clearance (M,)."""
        node, vertex, starts = self.pairs(points_mm)
        off, _, wide, _ = self.all_tubes.nearest(points_mm.T[:, node], vertex)
        radius = wide - np.broadcast_to(radius_mm, len(points_mm))[node]
        gap = radius - np.sqrt(np.einsum("im,im->m", off, off))
        most = np.maximum.reduceat(gap, starts)
        # of several that are as deep the first
        which = np.flatnonzero(gap == most[node])
        which = which[np.searchsorted(node[which], np.arange(len(points_mm)))]
        return points_mm - off.T[which], radius[which], most

    def pairs(
        self, points_mm: Points, behind_mm: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Which of (M, 3) points lies in which tube: (P,) the points, (P,) the vertex of `all_tubes` that each lies
        deepest in, and (M,) where the pairs of each point begin.

        Of each point the tubes that it may lie deepest in, and those whose wall it is behind by less than `behind_mm`.
        """
        depth, vertex = self._depths(points_mm, self._far_boxes)
        if not (depth.max(1) > _FINE_MM - _BOX_MM).all():  # far from all of them
            depth, vertex = self._depths(points_mm, [(np.full(3, -np.inf), np.full(3, np.inf))] * len(self.tubes))
        # on a segment beside the vertex it may be deeper by no more than the segment is long
        near = (depth > -behind_mm) | (depth >= depth.max(1, keepdims=True) - _FINE_MM)
        node, which = np.nonzero(near)
        return node, vertex[node, which], np.searchsorted(node, np.arange(len(points_mm)))

    @cached_property
    def _far_boxes(self) -> list[tuple[Points, Points]]:
        """For each tube the corners of the box outside of which everything is behind its wall by `_BOX_MM` and more."""
        reach = [float(tube.radius_mm.max()) + _BOX_MM for tube in self.tubes]
        return [
            (tube.points_mm.min(0) - far, tube.points_mm.max(0) + far)
            for tube, far in zip(self.tubes, reach, strict=True)
        ]

    def _depths(self, points_mm: Points, boxes: Sequence[tuple[Points, Points]]) -> tuple[Floats, NDArray[np.int64]]:
        """How deep each of (M, 3) points lies in the ball of each tube (M, K) that it lies deepest in, and that ball's
        vertex of `all_tubes`; minus infinity outside the tube's box."""
        depth = np.full((len(points_mm), len(self.tubes)), -np.inf)
        vertex = np.zeros(depth.shape, np.int64)
        begin = 0
        for k, (tube, (low, high)) in enumerate(zip(self.tubes, boxes, strict=True)):
            inside = np.flatnonzero(((points_mm > low) & (points_mm < high)).all(1))
            if len(inside):
                depth[inside, k], best = tube.deepest_balls(points_mm[inside])
                vertex[inside, k] = begin + best
            begin += len(tube.points_mm)
        return depth, vertex

    def moved(self, rotation: ArrayLike, shift_mm: ArrayLike) -> Lumen:
        """The same lumen after a rotation (3, 3) and then a shift (3,)."""
        turn, shift = np.asarray(rotation, float), np.asarray(shift_mm, float)
        tubes = tuple(Tube(tube.points_mm @ turn.T + shift, tube.radius_mm) for tube in self.tubes)
        return Lumen(self.points_mm @ turn.T + shift, tubes)


def lumen_of(points_mm: ArrayLike, radius_mm: ArrayLike) -> Lumen:
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
    tubes += [_tube(*room) for room in rooms]
    return Lumen(points, tuple(piece for tube in tubes for piece in _smooth_pieces(tube)))


def lumen_within(way_mm: ArrayLike, tubes: Sequence[tuple[ArrayLike, ArrayLike]]) -> Lumen:
    """Vessels that are open to a device as (centreline (N, 3), radius) each, and its way (M, 3) through them, in mm.

    For a tree whose branches begin on their parents' middle lines: every branch on the way, whole. A tube that ends
    where the way ends goes on a little.

    Raises ValueError as `lumen_along` does, and for a way that leaves the tubes.
    """
    way = np.asarray(way_mm, float)
    opened = []
    for points_mm, radius_mm in tubes:
        tube = _tube(points_mm, radius_mm)
        for end, inner, start in ((0, 1, True), (-1, -2, False)):
            outward = tube.points_mm[end] - tube.points_mm[inner]
            if min(np.linalg.norm(way[[0, -1]] - tube.points_mm[end], axis=1)) < 1.0:
                tube = _continued(tube, outward / np.linalg.norm(outward), start)
        opened += _smooth_pieces(tube)
    made = Lumen(_tube(way, 1.0).points_mm, tuple(opened))
    if made.clearance_mm(made.points_mm).min() <= 0:
        raise ValueError("way_mm must lie within the tubes")
    return made


def _smooth_pieces(tube: Tube) -> list[Tube]:
    """A tube cut at its corners: the wall's edge at the inner side of a corner is where two tubes meet, not one."""
    tangent = np.diff(tube.points_mm, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    corners = np.flatnonzero((tangent[1:] * tangent[:-1]).sum(1) < np.cos(_CORNER)) + 1
    cuts = [0, *corners.tolist(), len(tube.points_mm) - 1]
    return [Tube(tube.points_mm[a : b + 1], tube.radius_mm[a : b + 1]) for a, b in pairwise(cuts)]


def _tube(points_mm: ArrayLike, radius_mm: ArrayLike) -> Tube:
    points = np.asarray(points_mm, float)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
        raise ValueError(f"points_mm must have shape (N, 3) with N of at least 2, got {points.shape}")
    if (np.linalg.norm(np.diff(points, axis=0), axis=1) <= 0).any():
        raise ValueError("points_mm must not repeat a point")
    radius = np.array(np.broadcast_to(np.asarray(radius_mm, float), len(points)))
    if not (radius > 0).all():
        raise ValueError(f"radius_mm must be positive, got {radius.min():g}")
    # further vertices on long segments: a device's nodes are followed from vertex to vertex
    length = np.linalg.norm(np.diff(points, axis=0), axis=1)
    place = np.concatenate(
        [i + np.arange(n) / n for i, n in enumerate(np.ceil(length / _FINE_MM).astype(int))] + [[len(points) - 1]]
    )
    index = np.arange(len(points))
    fine = np.stack([np.interp(place, index, points[:, i]) for i in range(3)], axis=1)
    return Tube(fine, np.interp(place, index, radius))


def _continued(tube: Tube, outward: Floats, start: bool, by_mm: float = 40.0) -> Tube:
    """The tube with a straight piece at one end: a device is cut off at its advance, not stopped by a cap."""
    end = 0 if start else -1
    ahead = tube.points_mm[end] + np.arange(_FINE_MM, by_mm, _FINE_MM)[:, None] * outward
    radius = np.full(len(ahead), tube.radius_mm[end])
    if start:
        return Tube(np.concatenate([ahead[::-1], tube.points_mm]), np.concatenate([radius, tube.radius_mm]))
    return Tube(np.concatenate([tube.points_mm, ahead]), np.concatenate([tube.radius_mm, radius]))


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
        if self.soft_mm > 0 and not self.soft_stiffness_n_mm2 > 0:
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

    def curvature_at(self, behind_mm: Floats, over_mm: ArrayLike) -> Floats:
        """Curvature when free, 1/mm: the mean over `over_mm` round places at distances behind the tip."""
        if not self.tip_curve:
            return np.zeros(np.shape(behind_mm))
        over_mm = np.asarray(over_mm, float)
        ends = np.concatenate([[0.0], np.cumsum([length for length, _ in self.tip_curve])])
        turned = np.concatenate([[0.0], np.cumsum(np.deg2rad([angle for _, angle in self.tip_curve]))])
        behind = np.interp(behind_mm + 0.5 * over_mm, ends, turned)
        return np.asarray((behind - np.interp(behind_mm - 0.5 * over_mm, ends, turned)) / over_mm)


@cache
def catalogue_rods() -> dict[str, Rod]:
    """Every device of assets/devices/endovascular.csv that bends, by name."""
    rows = csv.DictReader(asset("devices", "endovascular.csv").read_text("utf-8").splitlines())
    return {
        row["name"]: Rod(
            float(row["outer_mm"]) / 2,
            float(row["stiffness_n_mm2"]),
            float(row["least_bend_radius_mm"]),
            tuple((float(mm), float(deg)) for mm, deg in (arc.split(":") for arc in row["tip_curve"].split())),
            float(row["soft_mm"] or 0),
            float(row["soft_stiffness_n_mm2"] or 0),
            row["name"],
        )
        for row in rows
        if row["stiffness_n_mm2"]
    }


@dataclass(frozen=True, eq=False)
class Shape:
    """A device at rest.

    Attributes:
        points_mm: (M, 3) its centre line from the puncture to the tip; where a wire leads, one point is the outer tip.
        way_mm: (M,) length of the device from the puncture to each point.
        energy_n_mm: bending energy (what a free tip would not have).
        clearance_mm: smallest distance of its surface to the wall.
        sharpest_mm: radius of its sharpest bend; infinite where it is straight.
    """

    points_mm: Points
    way_mm: Floats
    energy_n_mm: float
    clearance_mm: float
    sharpest_mm: float

    @property
    def length_mm(self) -> float:
        """Its length as it lies: that of the device, but for what little it is stretched."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())

    @property
    def tip_mm(self) -> Points:
        """(3,) the tip."""
        return self.points_mm[-1]

    def at(self, way_mm: ArrayLike) -> Points:
        """(K, 3) places at a length from the puncture, on a smooth curve through the nodes; held to the ends."""
        way = np.clip(np.atleast_1d(np.asarray(way_mm, float)), 0.0, self.way_mm[-1])
        return self._smooth(way)

    @cached_property
    def _smooth(self) -> Callable[[Floats], Points]:
        from scipy.interpolate import CubicSpline

        spline: Callable[[Floats], Points] = CubicSpline(self.way_mm, self.points_mm)
        return spline

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


def _chain(rods: Sequence[tuple[Rod, float]], axis: Floats, spacing_mm: float) -> Chain:
    """Edges counted from the outer tip, so that it is a node and a shaped tip moves unchanged; what is left over lies
    at the puncture, and a wire that leads has even edges of its own."""
    reach, outer = max(advance for _, advance in rods), rods[0][1]
    length = _edges(outer, spacing_mm)
    if reach > outer + 1e-9:
        count = max(1, round((reach - outer) / spacing_mm))
        length = np.concatenate([length, np.full(count, (reach - outer) / count)])
    way = np.concatenate([[0.0], np.cumsum(length)])
    vertex, node = way[:-1], way[1:]
    count = len(length)
    mean = 0.5 * (length + np.concatenate([length[:1], length[:-1]]))
    stiffness, moment, sharpest, radius = np.zeros(count), np.zeros(count), np.full(count, np.inf), np.zeros(count)
    for rod, advance in rods:
        # a device ends at a vertex or between two: its share of the turn there is what it covers of the way round it
        covers = np.clip((advance - vertex) / mean + 0.5, 0.0, 1.0)
        behind = np.maximum(advance - vertex, 0.0)
        own = rod.stiffness_at(behind) * covers
        stiffness += own
        moment += own * rod.curvature_at(behind, mean)
        sharpest = np.where(covers > 0, np.minimum(sharpest, 1.0 / rod.least_bend_radius_mm), sharpest)
        radius = np.where(node <= advance + 1e-9, np.maximum(radius, rod.radius_mm), radius)
    return Chain(length, stiffness, moment / stiffness, sharpest, radius, axis)


def _edges(reach_mm: float, spacing_mm: float) -> Floats:
    """Lengths of the edges up to a tip; the first one takes what is left over.

    Nodes that are nearer to one another than usual are so towards the tip.
    """
    fine = np.full(int(_FINE_TAIL_MM / spacing_mm), spacing_mm) if spacing_mm < SPACING_MM else np.zeros(0)
    if fine.sum() > reach_mm - 2.0 * SPACING_MM:
        fine, coarse = np.zeros(0), spacing_mm
    else:
        coarse = max(spacing_mm, SPACING_MM)
    left = reach_mm - float(fine.sum())
    count = max(2, round(left / coarse))
    length = np.full(count, coarse)
    length[0] = left - coarse * (count - 1)
    if length[0] < 0.25 * coarse:
        length[:] = left / count
    return np.concatenate([length, fine])


def _inside(lumen: Lumen, nodes: Points, radius_mm: Floats, least: float, loosened: float = 0.0) -> Points:
    """`nodes` with those in or behind a wall drawn towards their centreline until they have `least` of its room.

    Before that all come nearer to the middle by the share `loosened`, so that those on a wall come off it without a
    kink.
    """
    centre, wide, _ = lumen.deepest(nodes, radius_mm)
    off = (1.0 - loosened) * (nodes - centre)
    share = (off * off).sum(1) / wide**2
    shrink = np.where(share > 1 - least, np.sqrt((1 - least) / np.maximum(share, 1e-12)), 1.0)
    return centre + shrink[:, None] * off


def _refuse_what_is_too_wide(lumen: Lumen, rods: Sequence[tuple[Rod, float]]) -> None:
    for rod, advance in rods:
        if advance <= 0:
            raise RequestError(f"{rod.name}: an advance of {advance:g} mm leaves it outside; give more than 0")
        if advance > lumen.length_mm + 1e-6:
            raise RequestError(
                f"{rod.name}: an advance of {advance:.1f} mm is too much, the way is {lumen.length_mm:.1f} mm long"
            )
        free = lumen.free_mm[: int(np.ceil(advance)) + 1]
        if (free <= rod.radius_mm).any():
            raise RequestError(
                f"{rod.name}: {2 * rod.radius_mm:.2f} mm wide, but the vessel is only {2 * free.min():.2f} mm wide "
                f"{free.argmin()} mm from the puncture; choose a thinner one"
            )


def resting(
    lumen: Lumen,
    rod: Rod,
    advance_mm: float,
    over: tuple[Rod, float] | None = None,
    facing: ArrayLike = (0.0, -1.0, 0.0),
    start: Shape | None = None,
    spacing_mm: float = SPACING_MM,
    tip_mm: ArrayLike | None = None,
) -> Task[Shape]:
    """A task for `together`: the shape of least bending energy of a device within a lumen.

    Args:
        lumen: what it lies in.
        rod: the device; it is held at the puncture in the direction of the vessel.
        advance_mm: its length beyond the puncture.
        over: the wire within it and that wire's own length beyond the puncture. Where both are, their stiffnesses add
            up; where the wire leads, the shape goes on to the wire's tip.
        facing: (3,) the direction to which a shaped tip bends.
        start: a shape near the one that is sought (of a neighbouring advance): the search begins there.
        spacing_mm: of the nodes.
        tip_mm: (3,) where the tip is led; None leaves it free.

    Raises RequestError for an advance beyond the lumen's end, for a device wider than the vessel (with both sizes), and
    where the lumen bends it more sharply than it allows (with both radii).
    """
    rods = [(rod, advance_mm)] + ([over] if over else [])
    _refuse_what_is_too_wide(lumen, rods)
    problem = _problem(lumen, rods, facing, spacing_mm, tip_mm)
    chain = problem.chain
    way = chain.way_mm
    if start is not None and abs(start.way_mm[-1] - way[-1]) <= _FAR_MM:
        nodes = _begun(lumen, start, way[1:])
        energy = start.energy_n_mm
    else:
        nodes = lumen.at(way[1:])
        energy = problem.energy(nodes)
    barrier = problem.least_barrier(energy) / SHARE_LEFT
    nodes = _inside(lumen, nodes, chain.radius_mm, least=0.005, loosened=0.005)
    nodes = yield from _settled(problem, nodes, barrier)
    _refuse_what_is_too_sharp(problem, nodes, rods)
    return _measured(problem, nodes)


def _settled(problem: Problem, nodes: Points, barrier: float, most: int = 200) -> Task[Points]:
    """The minimum near `nodes`, and again with ever heavier bends where it bends the device too sharply."""
    nodes = yield Settling(problem, nodes, barrier, 0.0, most)
    guard = 10.0
    while problem.too_sharp(nodes) > 1e-3 * (1 - problem.largest_cosine) and guard < 1e5:
        nodes = yield Settling(problem, nodes, problem.least_barrier(problem.energy(nodes)), guard, most)
        guard *= 10.0
    return nodes


def _problem(
    lumen: Lumen,
    rods: Sequence[tuple[Rod, float]],
    facing: ArrayLike,
    spacing_mm: float,
    tip_mm: ArrayLike | None = None,
) -> Problem:
    chain = _chain(rods, _axis(lumen, rods, facing), spacing_mm)
    led = None if tip_mm is None else np.asarray(tip_mm, float)
    return Problem(lumen, chain, lumen.at([-chain.length_mm[0], 0.0]), led)


def _begun(lumen: Lumen, start: Shape, way: Floats) -> Points:
    """Places along a shape of a neighbouring advance; nearing the middle towards its tip, and in it beyond."""
    nodes = start.at(way)
    end = start.way_mm[-1]
    if way[-1] <= end:
        return nodes
    tail = way > end - _TAIL_MM
    station = lumen.station_mm(start.at(np.minimum(way[tail], end)))
    left = np.clip((end - way[tail]) / _TAIL_MM, 0.0, 1.0)
    left = (left * left * (3 - 2 * left))[:, None]
    middle = lumen.at(station + np.maximum(way[tail] - end, 0.0))
    nodes[tail] = left * nodes[tail] + (1 - left) * middle
    return _spaced(np.concatenate([start.points_mm[:1], nodes]), way)


def _spaced(points_mm: Points, way: Floats) -> Points:
    """Places at lengths `way` along a row of points, from the second on; beyond its end straight on."""
    from scipy.interpolate import CubicSpline

    length = np.linalg.norm(np.diff(points_mm, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(length)])
    last = (points_mm[-1] - points_mm[-2]) / length[-1]
    out: Points = CubicSpline(arc, points_mm)(np.minimum(way, arc[-1]))
    return out + np.maximum(way - arc[-1], 0.0)[:, None] * last


def _axis(lumen: Lumen, rods: Sequence[tuple[Rod, float]], facing: ArrayLike) -> Floats:
    """The unit axis about which shaped tips bend, so that they face where they are told to."""
    shaped = [(rod, advance) for rod, advance in rods if rod.tip_curve] or list(rods)
    rod, advance = shaped[0]
    tail = advance - sum(length for length, _ in rod.tip_curve)
    ahead = np.diff(lumen.at([tail - 1.0, tail + 1.0]), axis=0)[0]
    axis = np.cross(ahead, np.asarray(facing, float))
    if np.linalg.norm(axis) < 1e-6:
        axis = np.cross(ahead, np.eye(3)[int(np.argmin(np.abs(ahead)))])
    return axis / np.linalg.norm(axis)


def _measured(problem: Problem, nodes: Points) -> Shape:
    curvature, _ = turns(np.concatenate([problem.base, nodes]))
    gap = problem.lumen.clearance_mm(nodes) - problem.chain.radius_mm
    sharpest = 1 / curvature.max() if curvature.max() > 1e-9 else np.inf
    points = np.concatenate([problem.base[1:], nodes])
    return Shape(points, problem.chain.way_mm, problem.energy(nodes), float(gap.min()), float(sharpest))


def _refuse_what_is_too_sharp(problem: Problem, nodes: Points, rods: Sequence[tuple[Rod, float]]) -> None:
    curvature, _ = turns(np.concatenate([problem.base, nodes]))
    share = curvature / problem.chain.sharpest
    worst = int(share.argmax())
    if share[worst] > 1.01:
        rod = next(r for r, _ in rods if np.isclose(1 / r.least_bend_radius_mm, problem.chain.sharpest[worst]))
        raise RequestError(
            f"{rod.name}: the vessel bends it to a radius of {1 / curvature[worst]:.1f} mm "
            f"{problem.chain.way_mm[worst]:.0f} mm from the puncture, but it allows {rod.least_bend_radius_mm:.1f} mm; "
            "choose a softer one"
        )


_CLOSE_MM = 1.0  # how far a mixed shape may lie from the one that is sought
_POLISH = 3  # steps that take the kinks out of a mixed shape
_IN_A_ROW = 6  # longer courses are sought in several rows side by side
_SHORT_MM = 2.5  # stations closer than this are never divided


@dataclass(frozen=True, eq=False)
class Course:
    """A device on its way: its shapes at some stations, and at any moment between two of them.

    Attributes:
        lumen: as in `rest`.
        facings: (S, 3) at each station the direction to which a shaped tip bends: an operator turns it on the way.
        stations: (S,) where the shapes were sought, in numbers of the stations that were asked for (0 to K - 1).
        rods: at each of them the devices, one in the other, with their lengths beyond the puncture.
        shapes: at each of them.
        spacing_mm: of the nodes.
        tips_mm: (S, 3) at each of them where the tip is led; NaN where it is free.
    """

    lumen: Lumen
    facings: Floats
    stations: Floats
    rods: tuple[tuple[tuple[Rod, float], ...], ...]
    shapes: tuple[Shape, ...]
    spacing_mm: float
    tips_mm: Floats

    @property
    def clearance_mm(self) -> float:
        """The smallest distance to a wall over all stations."""
        return min(shape.clearance_mm for shape in self.shapes)

    @property
    def sharpest_mm(self) -> float:
        """The radius of the sharpest bend over all stations."""
        return min(shape.sharpest_mm for shape in self.shapes)

    def at(self, station: float) -> Shape:
        """The shape at a station or between two of them: `station` 0 to K - 1, a real number.

        Between two stations the shapes are mixed place by place along the device, drawn inside where that left the
        lumen, and brought nearer to rest; at the stations they are the shapes themselves.
        """
        place = min(max(float(station), 0.0), float(self.stations[-1]))
        after = int(np.searchsorted(self.stations, place))
        if self.stations[after] == place:
            return self.shapes[after]
        before = after - 1
        share = (place - self.stations[before]) / (self.stations[after] - self.stations[before])
        return _between(self, before, float(share))

    def at_advance(self, advance_mm: float) -> Shape:
        """The shape at a length of the outer device; the stations' lengths must grow or fall throughout."""
        advances, stations = np.array([rods[0][1] for rods in self.rods]), self.stations
        if advances[-1] < advances[0]:
            advances, stations = advances[::-1], stations[::-1]
        return self.at(float(np.interp(advance_mm, advances, stations)))


def turned_back(way: Course) -> Course:
    """The same from its last station to its first."""
    return Course(
        way.lumen, way.facings[::-1], way.stations[-1] - way.stations[::-1], way.rods[::-1], way.shapes[::-1],
        way.spacing_mm, way.tips_mm[::-1],
    )  # fmt: skip


def joined(courses: Sequence[Course]) -> Course:
    """Courses of the same devices one after another, as one: from the last shape of each to the first of the next too.

    So a catheter that is drawn down the aorta in one lumen goes on into a branch in another; the lumen is the union of
    theirs. The stations of a course begin 1 after the end of the course before. Raises ValueError for other devices.
    """
    last = courses[-1]
    names = [rod for rod, _ in last.rods[0]]
    tubes: dict[bytes, Tube] = {}
    stations: list[Floats] = []
    begin = 0.0
    for each in courses:
        if [rod for rod, _ in each.rods[0]] != names:
            raise ValueError("courses to be joined must be of the same devices")
        tubes.update((tube.points_mm.tobytes() + tube.radius_mm.tobytes(), tube) for tube in each.lumen.tubes)
        stations.append(begin + each.stations)
        begin = float(stations[-1][-1]) + 1.0
    return Course(
        Lumen(last.lumen.points_mm, tuple(tubes.values())),
        np.concatenate([each.facings for each in courses]),
        np.concatenate(stations),
        tuple(rods for each in courses for rods in each.rods),
        tuple(shape for each in courses for shape in each.shapes),
        min(each.spacing_mm for each in courses),
        np.concatenate([each.tips_mm for each in courses]),
    )


def _between(course: Course, before: int, share: float) -> Shape:
    rods = _rods_between(course.rods[before], course.rods[before + 1], share)
    facing = _facing_between(course.facings[before], course.facings[before + 1], share)
    within = [(rod, advance) for rod, advance in rods if advance > 0]
    problem = _problem(course.lumen, within, facing, course.spacing_mm)
    nodes = _mixed(course.shapes[before], course.shapes[before + 1], share, problem.chain.way_mm)[1:]
    nodes = _inside(course.lumen, nodes, problem.chain.radius_mm, least=1e-4)
    # a free tip is led too, so that a few steps do not pull it towards either station
    problem = replace(problem, tip_mm=_tip_between(course, before, share, nodes[-1]))
    energy = (1 - share) * course.shapes[before].energy_n_mm + share * course.shapes[before + 1].energy_n_mm
    (nodes,) = together([_settled(problem, nodes, problem.least_barrier(energy), _POLISH)])
    return _measured(problem, nodes)


def _tip_between(course: Course, before: int, share: float, mixed_mm: Points) -> Points:
    """(3,) where the tip is led between two stations; where it is free at both, to where mixing has put it."""
    tips, shapes = course.tips_mm[before : before + 2], course.shapes[before : before + 2]
    if np.isnan(tips).all():
        return mixed_mm.copy()
    one, two = (shape.tip_mm if np.isnan(tip).any() else tip for tip, shape in zip(tips, shapes, strict=True))
    return np.asarray((1 - share) * one + share * two)


def _rods_between(
    one: tuple[tuple[Rod, float], ...], two: tuple[tuple[Rod, float], ...], share: float
) -> tuple[tuple[Rod, float], ...]:
    return tuple((rod, (1 - share) * a + share * b) for (rod, a), (_, b) in zip(one, two, strict=True))


def _facing_between(one: Floats, two: Floats, share: float) -> Floats:
    """(3,) the direction between two; where they are opposite, the first."""
    mixed = (1 - share) * one + share * two
    length = float(np.linalg.norm(mixed))
    return mixed / length if length > 1e-6 else one


def _mixed(one: Shape, two: Shape, share: float, way: Floats) -> Points:
    """Places between those of two shapes, length by length from the puncture; the shorter goes on beside the longer."""
    if one.way_mm[-1] > two.way_mm[-1]:
        return _mixed(two, one, 1 - share, way)
    end = one.way_mm[-1]
    first, second = one.at(way), two.at(way)
    beyond = way > end
    first[beyond] = second[beyond] + (one.tip_mm - two.at(end)[0])
    return (1 - share) * first + share * second


def _ill_between(
    stations: Sequence[float], rods: Sequence[tuple[tuple[Rod, float], ...]], shapes: Sequence[Shape]
) -> list[int]:
    """The stations behind which another is wanted, in order.

    How well two neighbours can be mixed is seen at each station from what its own neighbours, mixed, make of it: over
    half the distance that error is a quarter.
    """
    ways = [max(abs(a - b) for (_, a), (_, b) in zip(one, two, strict=True)) for one, two in pairwise(rods)]
    ill = {0} if len(stations) == 2 else set()
    for k in range(1, len(stations) - 1):
        share = (stations[k] - stations[k - 1]) / (stations[k + 1] - stations[k - 1])
        mixed = _mixed(shapes[k - 1], shapes[k + 1], share, shapes[k].way_mm)
        if np.linalg.norm(mixed - shapes[k].points_mm, axis=1).max() > 4.0 * _CLOSE_MM:
            ill |= {k - 1, k}
    return sorted(before for before in ill if ways[before] > _SHORT_MM)


def coursing(
    lumen: Lumen,
    rod: Rod,
    advances_mm: ArrayLike,
    over: Rod | None = None,
    over_mm: ArrayLike = 0.0,
    facing: ArrayLike = (0.0, -1.0, 0.0),
    spacing_mm: float = SPACING_MM,
    tips_mm: ArrayLike | None = None,
    start: Shape | None = None,
) -> Task[Course]:
    """A task for `together`: a device at each of a row of advances (K,), most searches beginning from the shape before.

    Where mixing two neighbours would not give what lies between, the shape halfway becomes a station too, and so on.

    Args:
        lumen, rod: as in `resting`.
        advances_mm: (K,) its length beyond the puncture at each station; about 10 to 20 mm apart.
        over: the wire within it, and over_mm its own length beyond the puncture, one number or (K,); 0 is out.
        facing: as in `resting`, one for all or (K, 3).
        spacing_mm: of the nodes.
        tips_mm: where the tip is led, one place (3,) for all or (K, 3); None leaves it free.
        start: a shape near the first.

    Raises RequestError as `resting` does.
    """
    advances = np.atleast_1d(np.asarray(advances_mm, float))
    wires = np.broadcast_to(np.asarray(over_mm, float), len(advances))
    asked: list[tuple[tuple[Rod, float], ...]] = [
        ((rod, float(advance)), (over, float(wire))) if over is not None else ((rod, float(advance)),)
        for advance, wire in zip(advances, wires, strict=True)
    ]

    def sought(rods: tuple[tuple[Rod, float], ...], towards: Floats, tip: Floats, start: Shape | None) -> Task[Shape]:
        (outer, advance), *within = rods
        wire = within[0] if within and within[0][1] > 0 else None
        led = None if np.isnan(tip).any() else tip
        return resting(lumen, outer, advance, wire, towards, start, spacing_mm, led)

    stations = [float(number) for number in range(len(asked))]
    rods = list(asked)
    facings = list(np.broadcast_to(np.asarray(facing, float), (len(asked), 3)))
    tips = list(np.broadcast_to(np.asarray(np.nan if tips_mm is None else tips_mm, float), (len(asked), 3)))

    def in_a_row(numbers: Sequence[int]) -> Task[list[Shape]]:
        row: list[Shape | None] = [start if numbers[0] == 0 else None]
        for number in numbers:
            row.append((yield from sought(asked[number], facings[number], tips[number], row[-1])))
        return [shape for shape in row[1:] if shape is not None]

    rows = yield [in_a_row(row.tolist()) for row in np.array_split(np.arange(len(asked)), -(-len(asked) // _IN_A_ROW))]
    shapes: list[Shape] = [shape for row in rows for shape in row]
    while wanted := _ill_between(stations, rods, shapes):
        tasks = []
        for more, before in enumerate(wanted):
            here = before + more
            stations.insert(here + 1, 0.5 * (stations[here] + stations[here + 1]))
            rods.insert(here + 1, _rods_between(rods[here], rods[here + 1], 0.5))
            facings.insert(here + 1, _facing_between(facings[here], facings[here + 1], 0.5))
            tips.insert(here + 1, 0.5 * (tips[here] + tips[here + 1]))
            tasks.append(sought(rods[here + 1], facings[here + 1], tips[here + 1], shapes[before]))
        between = yield tasks
        for more, before in enumerate(wanted):
            shapes.insert(before + more + 1, between[more])
    return Course(lumen, np.array(facings), np.array(stations), tuple(rods), tuple(shapes), spacing_mm, np.array(tips))
