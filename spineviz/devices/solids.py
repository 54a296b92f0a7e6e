"""Furniture: solids whose surface is written down instead of sampled, so that edges are crisp and cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.geometry.curves import Curve, tube_mesh
from spineviz.geometry.fields import Distances, Field, Points, box, box_bounds, cylinder, polyline_tube
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import moved, union

_BEVEL = 3
"""Segments round a quarter of a rounded edge."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A shape with its field and its closed surface (mm); a solid of several keeps the surfaces of all."""

    field: Field
    mesh: Mesh

    def moved(self, outer_from_inner: Frame) -> Solid:
        """The solid carried outward by a rigid frame."""
        return Solid(moved(self.field, outer_from_inner), self.mesh.moved(outer_from_inner))


def all_of(*solids: Solid) -> Solid:
    """Several solids as one; where they overlap their surfaces run through each other."""
    return Solid(union(*(s.field for s in solids)), joined(*(s.mesh for s in solids)))


def block(centre_mm: ArrayLike, size_mm: ArrayLike, rounding_mm: float) -> Solid:
    """A box of full size `size_mm` (3,) with rounded edges; ValueError as `box` raises it."""
    field = box(centre_mm, size_mm, rounding_mm)
    inner = np.asarray(size_mm, float) / 2 - rounding_mm
    # a ball cut along its three great planes; its eighths move out to the corners
    quarter = np.linspace(0.0, np.pi / 2, _BEVEL + 1)
    latitude = np.concatenate([-quarter[::-1], quarter])
    longitude = np.concatenate([quarter + k * np.pi / 2 for k in range(4)])
    lat, lon = np.meshgrid(latitude, longitude, indexing="ij")
    normal = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    side_z = np.where(np.arange(len(latitude)) < len(quarter), -1.0, 1.0)[:, None] * np.ones_like(lon)
    octant = np.arange(len(longitude)) // len(quarter)
    side_x = np.where(np.isin(octant, (0, 3)), 1.0, -1.0)[None, :] * np.ones_like(lat)
    side_y = np.where(np.isin(octant, (0, 1)), 1.0, -1.0)[None, :] * np.ones_like(lat)
    corner = np.stack([side_x, side_y, side_z], axis=-1) * inner
    points = np.asarray(centre_mm, float) + corner + rounding_mm * normal
    return Solid(field, _sheet(points))


def _sheet(points: NDArray[np.float64]) -> Mesh:
    """A closed surface over a grid of rings (R, S, 3) from the lower end to the upper; ends are closed with a fan."""
    rings, sides = points.shape[:2]
    here = np.arange(sides)
    after = (here + 1) % sides
    faces = []
    for i in range(rings - 1):
        a, b = i * sides + here, i * sides + after
        faces += [np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)]
    flat = points.reshape(-1, 3)
    start, end = len(flat), len(flat) + 1
    last = (rings - 1) * sides
    faces += [
        np.stack([np.full(sides, start), after, here], 1),
        np.stack([np.full(sides, end), last + here, last + after], 1),
    ]
    ends = np.stack([points[0].mean(0), points[-1].mean(0)])
    return _without_slivers(Mesh(np.concatenate([flat, ends]), np.concatenate(faces).astype(np.int64)))


def _without_slivers(mesh: Mesh) -> Mesh:
    """The same surface with vertices that coincide made one, and triangles without area left out."""
    _, first, which = np.unique(np.round(mesh.points_mm, 6), axis=0, return_index=True, return_inverse=True)
    triangles = which.reshape(-1)[mesh.triangles]
    a, b, c = triangles.T
    return Mesh(mesh.points_mm[first], triangles[(a != b) & (b != c) & (c != a)])


def rod(start_mm: ArrayLike, end_mm: ArrayLike, radius_mm: float, sides: int = 28) -> Solid:
    """A cylinder with flat ends."""
    curve = Curve(np.array([start_mm, end_mm], float))
    return Solid(cylinder(start_mm, end_mm, radius_mm), tube_mesh(curve, radius_mm, sides))


def tube(points_mm: Sequence[ArrayLike], radius_mm: float, sides: int = 20) -> Solid:
    """A round bar along a polyline (M, 3), its ends domed in the field and flat in the surface."""
    curve = Curve(np.array(points_mm, float))
    return Solid(polyline_tube(curve.points_mm, radius_mm), tube_mesh(curve, radius_mm, sides))


def arc(half_deg: float, radius_mm: float, width_mm: float, depth_mm: float, rounding_mm: float) -> Solid:
    """A C of rounded rectangular profile about z, its middle on +x, reaching `half_deg` to both sides. Inexact."""
    half = np.deg2rad(half_deg)
    u_half, v_half = depth_mm / 2 - rounding_mm, width_mm / 2 - rounding_mm

    def distance(p: Points) -> Distances:
        angle = np.arctan2(p[:, 1], p[:, 0])
        radial = np.hypot(p[:, 0], p[:, 1])
        past = np.maximum(np.abs(angle) - half, 0.0) * radial
        u, v = np.abs(radial - radius_mm) - u_half, np.abs(p[:, 2]) - v_half
        outside = np.sqrt(np.maximum(u, 0.0) ** 2 + np.maximum(v, 0.0) ** 2 + past**2)
        return outside + np.minimum(np.maximum(u, v), 0.0) - rounding_mm

    reach = radius_mm + depth_mm / 2
    field = Field(distance, box_bounds([-reach, -reach, -width_mm / 2], [reach, reach, width_mm / 2]), exact=False)
    quarter = np.linspace(0.0, np.pi / 2, _BEVEL + 1)
    turn = np.concatenate([quarter + k * np.pi / 2 for k in range(4)])
    octant = np.arange(len(turn)) // len(quarter)
    u = np.where(np.isin(octant, (0, 3)), u_half, -u_half) + rounding_mm * np.cos(turn)
    v = np.where(np.isin(octant, (0, 1)), v_half, -v_half) + rounding_mm * np.sin(turn)
    way = np.linspace(-half, half, 73)
    radial = radius_mm + u
    points = np.stack(
        [
            np.cos(way)[:, None] * radial,
            np.sin(way)[:, None] * radial,
            np.broadcast_to(v, (len(way), len(v))),
        ],
        axis=-1,
    )
    return Solid(field, _sheet(points[::-1]))
