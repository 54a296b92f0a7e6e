"""Long parts with an elliptical cross-section that changes along a curve: ribs, cord, dura, roots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.curves import OFF_SHARE, Curve, rings_within
from spineviz.geometry.fields import Distances, Field, Points, box_bounds, in_box
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh, joined

_LEAST_RADIUS_MM = 0.05
EVERY_RING_MM = 0.2
"""Who asks for a surface of this spacing or less gets every ring of it: to bend it, or to measure it."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """An ellipse carried along a curve.

    Attributes:
        points_mm: (M, 3) centres, M of at least 3, about evenly spaced.
        side, front: (M, 3) unit axes of the ellipse, normal to the curve and to each other.
        side_mm, front_mm: (M,) half axes along them.
        egg: how much narrower the ellipse is towards its front axis and wider away from it; 0 for none.
    """

    points_mm: Points
    side: Points
    front: Points
    side_mm: NDArray[np.float64]
    front_mm: NDArray[np.float64]
    egg: float = 0.0

    @property
    def curve(self) -> Curve:
        """The centre line."""
        return Curve(self.points_mm)

    @cached_property
    def tangents(self) -> Points:
        """(M, 3) unit tangents."""
        return np.cross(self.side, self.front)

    def moved(self, outer_from_inner: Frame) -> Sweep:
        """The sweep carried outward by a rigid frame."""
        turn = outer_from_inner.rotation.T
        return Sweep(
            outer_from_inner.points(self.points_mm),
            self.side @ turn,
            self.front @ turn,
            self.side_mm,
            self.front_mm,
            self.egg,
        )

    def mesh(self, sides: int = 12) -> Mesh:
        """The closed surface: rings of `sides` vertices, each end closed over its middle."""
        angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
        across = np.cos(angle) * (1.0 - self.egg * np.sin(angle))
        around = (
            across[None, :, None] * (self.side_mm[:, None] * self.side)[:, None, :]
            + np.sin(angle)[None, :, None] * (self.front_mm[:, None] * self.front)[:, None, :]
        )
        rings = len(self.points_mm)
        points = np.concatenate(
            [(self.points_mm[:, None, :] + around).reshape(-1, 3), self.points_mm[:1], self.points_mm[-1:]]
        )
        here = np.arange(sides)
        after = (here + 1) % sides
        first = (np.arange(rings - 1) * sides)[:, None]
        a, b = (first + here).ravel(), (first + after).ravel()
        c, d = a + sides, b + sides
        start, end = rings * sides, rings * sides + 1
        last = (rings - 1) * sides
        triangles = np.concatenate(
            [
                np.stack([a, b, d], 1),
                np.stack([a, d, c], 1),
                np.stack([np.full(sides, start), after, here], 1),
                np.stack([np.full(sides, end), last + here, last + after], 1),
            ]
        )
        return Mesh(points, triangles.astype(np.int64))

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) a box that holds the sweep."""
        reach = np.maximum(self.side_mm, self.front_mm)[:, None]
        return box_bounds((self.points_mm - reach).min(0), (self.points_mm + reach).max(0))


def thinned(sweep: Sweep, off_mm: float) -> Sweep:
    """The sweep on those of its rings that it takes for a surface that is off by about `off_mm`: few where it runs
    straight, all where it bends."""
    arc = sweep.curve.arc_mm

    def slope(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.gradient(values, arc, axis=0))

    # how the middle bends, the breadths swell and, where they differ, the ellipse turns
    bend = np.linalg.norm(slope(slope(sweep.points_mm)), axis=1)
    bend += np.maximum(np.abs(slope(slope(sweep.side_mm))), np.abs(slope(slope(sweep.front_mm))))
    bend += np.abs(sweep.side_mm - sweep.front_mm) * (slope(sweep.side) ** 2).sum(axis=1)
    keep = rings_within(arc, bend, off_mm)
    keep[len(arc) // 2] = True  # a sweep has three rings at least
    return Sweep(
        sweep.points_mm[keep], sweep.side[keep], sweep.front[keep], sweep.side_mm[keep], sweep.front_mm[keep], sweep.egg
    )


def surface_of(sweeps: Sequence[Sweep], sides: Callable[[Sweep, float], int]) -> Callable[[float], Mesh]:
    """spacing in mm -> the surface of all `sweeps`, off by a small share of that and kept; `sides` says how many a
    sweep has round it that may be off by so many mm."""
    made: dict[float, Mesh] = {}

    def mesh(spacing_mm: float) -> Mesh:
        if spacing_mm not in made:
            off_mm = OFF_SHARE * spacing_mm
            few = [thinned(sweep, off_mm) for sweep in sweeps] if spacing_mm > EVERY_RING_MM else sweeps
            made[spacing_mm] = joined(*[sweep.mesh(sides(sweep, off_mm)) for sweep in few])
        return made[spacing_mm]

    return mesh


def sweep_along(
    curve: Curve,
    side_mm: ArrayLike,
    front_mm: ArrayLike,
    side_hint: ArrayLike = (1.0, 0.0, 0.0),
    egg: float = 0.0,
) -> Sweep:
    """An ellipse along `curve` whose side axis stays as near as it can to `side_hint` ((3,) or (M, 3)).

    The hint must not run along the curve. `side_mm`, `front_mm`: one number or (M,).
    """
    count = len(curve.points_mm)
    tangent = curve.tangents()
    hint = np.broadcast_to(np.asarray(side_hint, float), (count, 3))
    side = hint - (hint * tangent).sum(1)[:, None] * tangent
    side = side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    return Sweep(
        curve.points_mm,
        side,
        np.cross(tangent, side),
        np.maximum(np.broadcast_to(np.asarray(side_mm, float), count), _LEAST_RADIUS_MM),
        np.maximum(np.broadcast_to(np.asarray(front_mm, float), count), _LEAST_RADIUS_MM),
        egg,
    )


def sweep_field(sweeps: Sequence[Sweep]) -> Field:
    """All of `sweeps` as one field. Inexact: the sign is right and the size is first order near the surface.

    The nearest centre is looked up in one tree, so the cost hardly grows with the number of sweeps.
    """
    boxes = np.array([s.bounds_mm for s in sweeps])
    made: list[Callable[[Points], Distances]] = []

    def distance(p: Points) -> Distances:
        if not made:
            made.append(_asked(sweeps, boxes))
        return made[0](p)

    return Field(distance, box_bounds(boxes[:, 0].min(0), boxes[:, 1].max(0)), exact=False)


def _asked(sweeps: Sequence[Sweep], boxes: NDArray[np.float64]) -> Callable[[Points], Distances]:
    """What `sweep_field` works out when it is first asked. `boxes` (sweeps, 2, 3) hold one sweep each."""
    from scipy.spatial import cKDTree

    centres = np.concatenate([s.points_mm for s in sweeps])
    side = np.concatenate([s.side for s in sweeps])
    front = np.concatenate([s.front for s in sweeps])
    tangents = np.concatenate([s.tangents for s in sweeps])
    half_side = np.concatenate([s.side_mm for s in sweeps])
    half_front = np.concatenate([s.front_mm for s in sweeps])
    egg = np.concatenate([np.full(len(s.points_mm), s.egg) for s in sweeps])
    ends = np.cumsum([0, *[len(s.points_mm) for s in sweeps]])
    slope_side, slope_front = _slopes(centres, np.stack([half_side, half_front]), ends)
    at_start = np.zeros(len(centres), bool)
    at_end = np.zeros(len(centres), bool)
    at_start[ends[:-1]] = True
    at_end[ends[1:] - 1] = True
    belongs = np.repeat(np.arange(len(sweeps)), np.diff(ends))
    thickest = float(max(half_side.max(), half_front.max()))
    every = cKDTree(centres)
    each: dict[int, cKDTree] = {}

    def tree(k: int) -> cKDTree:
        """That of one sweep, made when it is first asked for: most lie far from what is asked."""
        if k not in each:
            each[k] = cKDTree(sweeps[k].points_mm)
        return each[k]

    def one(p: Points, i: NDArray[np.intp]) -> Distances:
        """Distances (N,) to the ellipse of centre `i` (N,)."""
        offset = p - centres[i]
        along = np.einsum("ij,ij->i", offset, tangents[i])
        u = np.einsum("ij,ij->i", offset, side[i])
        v = np.einsum("ij,ij->i", offset, front[i])
        a = np.maximum(half_side[i] + along * slope_side[i], _LEAST_RADIUS_MM)
        b = np.maximum(half_front[i] + along * slope_front[i], _LEAST_RADIUS_MM)
        a = a * (1.0 - egg[i] * np.clip(v / b, -1.0, 1.0))
        value = np.hypot(u / a, v / b)
        gradient = np.hypot(u / a**2, v / b**2)
        least = np.minimum(a, b)
        out = np.where(gradient > 1e-9, value * (value - 1.0) / np.maximum(gradient, 1e-9), -least)
        out = np.maximum(out, -least)
        beyond = np.where(at_end[i], along, np.where(at_start[i], -along, -np.inf))
        return np.where(beyond > 0, np.hypot(np.maximum(out, 0.0), beyond), np.maximum(out, beyond))

    def distance(p: Points) -> Distances:
        if not len(p):
            return np.zeros(0)
        way, nearest = every.query(p)
        out = one(p, nearest)
        if len(sweeps) == 1:
            return out
        # beside a thin sweep the thick one may be nearer though its middle is not
        near = np.flatnonzero(way < 1.5 * thickest + 1.0)
        beside, owner = p[near], belongs[nearest[near]]
        for k, (low, high) in enumerate(boxes):
            # where the nearest middle is this sweep's own its distance is there already
            asked = np.flatnonzero((owner != k) & in_box(beside, low - 1.0, high + 1.0))
            if len(asked):
                _, own = tree(k).query(beside[asked])
                there = near[asked]
                out[there] = np.minimum(out[there], one(beside[asked], own + ends[k]))
        return out

    return distance


def _slopes(centres_mm: Points, radii_mm: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """How `radii_mm` (R, M) change per mm along sweeps, (R, M); the rings of sweep k are those from `ends[k]` to
    `ends[k + 1]`. It is the slope of the parabola through three rings, at a sweep's ends that between two."""
    step = np.linalg.norm(np.diff(centres_mm, axis=0), axis=1)
    rise = np.diff(radii_mm, axis=1) / np.where(step > 0.0, step, 1.0)
    before, after = step[:-1], step[1:]
    out = np.empty_like(radii_mm)
    out[:, 1:-1] = (after * rise[:, :-1] + before * rise[:, 1:]) / np.maximum(before + after, 1e-12)
    out[:, ends[:-1]], out[:, ends[1:] - 1] = rise[:, ends[:-1]], rise[:, ends[1:] - 2]
    return np.clip(out, -1.0, 1.0)


def smooth_step(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1 with flat ends, for shares (N,) held to 0..1."""
    held = np.clip(share, 0.0, 1.0)
    return held * held * (3.0 - 2.0 * held)


def gradient(field: Field, points_mm: Points, step_mm: float = 0.4) -> Points:
    """(N, 3) unit directions in which `field` grows."""
    shifts = np.eye(3) * step_mm
    both = np.concatenate([points_mm + s for s in shifts] + [points_mm - s for s in shifts])
    values = field.distance(both).reshape(6, -1)
    slope = (values[:3] - values[3:]).T
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
