"""Space curves with known arc length, and the tubes round them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.fields import Field, Points, Vector, as_points, polyline_tube
from spineviz.geometry.meshes import Mesh


@dataclass(frozen=True, eq=False)
class Curve:
    """A polyline fine enough to stand for a smooth curve.

    Attributes:
        points_mm: (M, 3) vertices in order, M of at least 2, no two neighbours equal.
    """

    points_mm: Points

    @cached_property
    def arc_mm(self) -> NDArray[np.float64]:
        """(M,) way from the start to each vertex."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1))])

    @property
    def length_mm(self) -> float:
        """The whole length."""
        return float(self.arc_mm[-1])

    def at(self, way_mm: ArrayLike) -> Points:
        """(K, 3) positions at `way_mm` (K,) from the start, held to the ends."""
        way = np.clip(np.atleast_1d(np.asarray(way_mm, float)), 0.0, self.length_mm)
        return np.stack([np.interp(way, self.arc_mm, self.points_mm[:, i]) for i in range(3)], axis=1)

    def tangents(self) -> Points:
        """(M, 3) unit tangents at the vertices (central differences)."""
        step = np.gradient(self.points_mm, self.arc_mm, axis=0)
        return step / np.linalg.norm(step, axis=1, keepdims=True)

    def part(self, start_mm: float, end_mm: float) -> Curve:
        """The stretch between two ways from the start."""
        inner = self.arc_mm[(self.arc_mm > start_mm) & (self.arc_mm < end_mm)]
        return Curve(self.at(np.concatenate([[start_mm], inner, [end_mm]])))

    def tube(self, radius_mm: float) -> Field:
        """All points within `radius_mm` of the curve, round ends included."""
        return polyline_tube(self.points_mm, radius_mm)


def curve_through(points_mm: ArrayLike, spacing_mm: float = 1.0) -> Curve:
    """A smooth curve through `points_mm` (K, 3), K of at least 2, with vertices about `spacing_mm` apart.

    A natural cubic spline over chord length; through two points, the straight line.
    """
    knots = as_points(points_mm)
    if len(knots) < 2:
        raise ValueError(f"points_mm must have at least 2 points, got {len(knots)}")
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    if (np.diff(chord) <= 0).any():
        raise ValueError("points_mm must not repeat a point")
    count = max(2, int(np.ceil(chord[-1] / spacing_mm)) + 1)
    way = np.linspace(0.0, chord[-1], count)
    if len(knots) == 2:
        return Curve(knots[0] + (way / chord[-1])[:, None] * (knots[1] - knots[0]))
    from scipy.interpolate import CubicSpline

    return Curve(CubicSpline(chord, knots, bc_type="natural")(way))


def transported_frames(curve: Curve, first_normal: Vector | None = None) -> NDArray[np.float64]:
    """(M, 3, 3) frames along `curve` without twist: columns normal, binormal, tangent.

    Double reflection (Wang et al. 2008, doi:10.1145/1330511.1330513).
    """
    tangent = curve.tangents()
    if first_normal is None:
        first_normal = np.eye(3)[int(np.argmin(np.abs(tangent[0])))]
    normal = first_normal - (first_normal @ tangent[0]) * tangent[0]
    normal /= np.linalg.norm(normal)
    step = np.diff(curve.points_mm, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    # the mirror between two neighbours, and then the one that makes the mirrored tangent the true one
    mirrored = tangent[:-1] - 2.0 * (step * tangent[:-1]).sum(1, keepdims=True) * step
    second = tangent[1:] - mirrored
    length2 = (second * second).sum(1)
    normals = np.empty_like(tangent)
    normals[0] = normal
    for i in range(len(step)):
        normal = normal - 2.0 * (step[i] @ normal) * step[i]
        if length2[i] > 1e-18:
            normal = normal - (2.0 / length2[i]) * (second[i] @ normal) * second[i]
        normals[i + 1] = normal
    return np.stack([normals, np.cross(tangent, normals), tangent], axis=2)


OFF_SHARE = 0.06
"""How far a surface along a curve may be off, as a share of the spacing that is asked for."""
_FURTHEST_MM = 12.0
"""Rings of such a surface are so far apart at most."""
_LEAST_SIDES = 6


def rings_within(arc_mm: NDArray[np.float64], bend: NDArray[np.float64], off_mm: float) -> NDArray[np.bool_]:
    """(M,) which of the rings at the ways `arc_mm` (M,) along a curve it takes for a surface that is off by about
    `off_mm`: few where it runs straight, all where it bends; the first and the last are among them.

    `bend` (M,), 1/mm: how strongly each long line of the surface bends. A chord of length c is off by bend * c**2 / 8.
    """
    step = np.diff(arc_mm)
    near = np.maximum.reduce([bend, np.append(bend[1:], 0.0), np.append(0.0, bend[:-1])])
    longest = np.sqrt(8.0 * off_mm / np.maximum(near[1:], 1e-6)).clip(1e-6, _FURTHEST_MM)
    count = np.concatenate([[0.0], np.cumsum(step / longest)])
    keep = np.concatenate([[True], np.diff(np.floor(count)) > 0])
    keep[-1] = True
    return np.asarray(keep)


def tube_rings(curve: Curve, radius_mm: NDArray[np.float64], off_mm: float) -> NDArray[np.bool_]:
    """(M,) which vertices of `curve` carry a ring of a tube of `radius_mm` (M,) round it that is off by about `off_mm`
    on the outer side of its bends; see `rings_within`."""
    arc = curve.arc_mm
    if len(arc) < 3:
        return np.ones(len(arc), bool)
    turn = np.linalg.norm(np.gradient(curve.tangents(), arc, axis=0), axis=1)
    bend = turn * (1.0 + turn * radius_mm) + np.abs(np.gradient(np.gradient(radius_mm, arc), arc))
    return rings_within(arc, bend, off_mm)


def sides_within(radius_mm: float, off_mm: float, most: int) -> int:
    """How many sides a circle of this radius needs to be off by `off_mm`: an even number, `most` at most."""
    turn = np.arccos(np.clip(1.0 - off_mm / max(radius_mm, 1e-9), 0.0, 1.0))
    return int(min(max(2 * np.ceil(0.5 * np.pi / turn), _LEAST_SIDES), most))


def of_like_area(sides: int) -> float:
    """How much larger than a circle's radius that of a polygon's corners is that has the circle's area."""
    return float(np.sqrt(2.0 * np.pi / (sides * np.sin(2.0 * np.pi / sides))))


def tube_mesh(curve: Curve, radius_mm: ArrayLike, sides: int = 24) -> Mesh:
    """A closed tube with flat ends round `curve`; `radius_mm` is one number or (M,) along it."""
    radius = np.broadcast_to(np.asarray(radius_mm, float), len(curve.points_mm))
    frames = transported_frames(curve)
    angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    around = np.einsum("mij,sj->msi", frames[:, :, :2], ring) * radius[:, None, None]
    points = (curve.points_mm[:, None, :] + around).reshape(-1, 3)
    rings = len(curve.points_mm)
    here = np.arange(sides)
    after = (here + 1) % sides
    a = (np.arange(rings - 1) * sides)[:, None] + here
    b = (np.arange(rings - 1) * sides)[:, None] + after
    start, end, last = len(points), len(points) + 1, (rings - 1) * sides
    triangles = [
        np.stack([a, b, b + sides], axis=-1).reshape(-1, 3),
        np.stack([a, b + sides, a + sides], axis=-1).reshape(-1, 3),
        np.stack([np.full(sides, start), after, here], 1),
        np.stack([np.full(sides, end), last + here, last + after], 1),
    ]
    points = np.concatenate([points, curve.points_mm[:1], curve.points_mm[-1:]])
    return Mesh(points, np.concatenate(triangles).astype(np.int64))
