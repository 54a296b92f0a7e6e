"""Solids whose surface is written down instead of sampled, so that edges are crisp and cost nothing.

Furniture is made of blocks, rods and arcs; instruments are turned on a lathe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.geometry.curves import Curve, tube_mesh
from spineviz.geometry.fields import Distances, Field, Points, box, box_bounds, cylinder, polyline_tube
from spineviz.geometry.frames import Frame, looking_along, rotation_about
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import moved, union

_BEVEL = 3
"""Segments round a quarter of a rounded edge."""
_SIDES = 36
_TURNED_SIDES = 48
_EDGE_MM = 0.05
"""A vertex so near to a sharp edge on either side of it keeps its shading to the edge."""
_SHARP_DEG = 30.0
_LONGEST_MM = 12.0
"""Long flanks are divided, which keeps their triangles short."""

Profile = NDArray[np.float64]
"""(K, 2) radius and z, mm."""


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
    return Solid(field, sheet(points))


def sheet(points: NDArray[np.float64]) -> Mesh:
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
    return Solid(field, sheet(points[::-1]))


def lathe(profile: Profile, sides: int = _SIDES) -> Mesh:
    """The closed surface that `profile` (K, 2), radius and z in mm, sweeps round the z axis.

    It runs from the axis to the axis, or round a ring when its first and last points are equal and off the axis;
    outward lies on its right as z grows.
    """
    ring = bool(np.allclose(profile[0], profile[-1]))
    rows = profile[:-1] if ring else profile
    angle = 2 * np.pi * np.arange(sides) / sides
    points: list[NDArray[np.float64]] = []
    index: list[NDArray[np.int64]] = []
    for radius, z in rows:
        start = sum(len(p) for p in points)
        if radius == 0.0:
            points.append(np.array([[0.0, 0.0, z]]))
            index.append(np.full(sides, start))
        else:
            points.append(np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.full(sides, z)]))
            index.append(start + np.arange(sides))
    triangles: list[NDArray[np.int64]] = []
    pairs = list(zip(index, index[1:] + (index[:1] if ring else []), strict=ring))
    for low, high in pairs:
        a, b, c, d = low, np.roll(low, -1), high, np.roll(high, -1)
        if low[0] != low[1]:
            triangles.append(np.stack([a, b, d], 1))
        if high[0] != high[1]:
            triangles.append(np.stack([a, d, c], 1))
    return Mesh(np.concatenate(points), np.concatenate(triangles).astype(np.int64))


def turned(*profiles: ArrayLike, sides: int = _TURNED_SIDES) -> Solid:
    """What `profiles` (K, 2), radius and z in mm, sweep round the z axis; each as `lathe` takes it.

    None may touch another. The field is the exact distance to the round body; the
    surface has `sides` flats round it.
    """
    rows = [np.asarray(profile, float) for profile in profiles]
    starts = np.concatenate([row[:-1] for row in rows])
    ends = np.concatenate([row[1:] for row in rows])

    def distance(p: Points) -> Distances:
        q = np.column_stack([np.hypot(p[:, 0], p[:, 1]), p[:, 2]])
        squared = np.full(len(q), np.inf)
        inside = np.zeros(len(q), bool)
        for start, end in zip(starts, ends, strict=True):
            edge, offset = end - start, q - start
            share = np.clip(offset @ edge / float(edge @ edge), 0.0, 1.0)
            squared = np.minimum(squared, ((offset - share[:, None] * edge) ** 2).sum(1))
            if edge[1] != 0.0:  # how often the way outward crosses the profile tells inside from outside
                level = (start[1] > q[:, 1]) != (end[1] > q[:, 1])
                inside ^= level & (q[:, 0] < start[0] + (q[:, 1] - start[1]) * edge[0] / edge[1])
        return np.where(inside, -1.0, 1.0) * np.sqrt(squared)

    reach = float(max(row[:, 0].max() for row in rows))
    low, high = min(row[:, 1].min() for row in rows), max(row[:, 1].max() for row in rows)
    field = Field(distance, box_bounds([-reach, -reach, low], [reach, reach, high]))
    return Solid(field, joined(*(lathe(_with_edges_kept(row), sides) for row in rows)))


def _with_edges_kept(profile: Profile) -> Profile:
    """`profile` with vertices on both sides of each sharp corner, and long flanks divided."""
    way = np.diff(profile, axis=0)
    length = np.linalg.norm(way, axis=1)
    heading = np.degrees(np.arctan2(way[:, 1], way[:, 0]))
    bend = np.abs((np.diff(heading, append=heading[:1]) + 180.0) % 360.0 - 180.0)  # at the end of each side
    ring = np.allclose(profile[0], profile[-1])
    out = [profile[0]]
    for k, (start, step, long) in enumerate(zip(profile, way, length, strict=False)):
        near = min(_EDGE_MM, 0.3 * long) / long
        first_sharp = bend[k - 1] > _SHARP_DEG if k or ring else False
        last_sharp = bend[k] > _SHARP_DEG if k < len(way) - 1 or ring else False
        low, high = near if first_sharp else 0.0, 1.0 - near if last_sharp else 1.0
        shares = np.linspace(low, high, max(2, int(np.ceil(long / _LONGEST_MM)) + 1))
        shares = np.unique(np.concatenate([shares[shares > 0.0], [1.0]]))
        out += [start + share * step for share in shares]
    out[-1] = profile[-1]
    return np.array(out)


def filleted(corners: ArrayLike, radius_mm: float, segments: int = 4) -> Profile:
    """The profile through `corners` (K, 2), each but the first and last rounded by at most `radius_mm`."""
    path = np.asarray(corners, float)
    out = [path[0]]
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        there, back = after - corner, before - corner
        far, near = float(np.linalg.norm(there)), float(np.linalg.norm(back))
        there, back = there / far, back / near
        half = 0.5 * float(np.arccos(np.clip(there @ back, -1.0, 1.0)))
        if half > np.radians(85.0):
            out.append(corner)
            continue
        away = min(radius_mm / np.tan(half), 0.45 * far, 0.45 * near)
        round_mm = away * np.tan(half)
        middle = corner + (there + back) / np.linalg.norm(there + back) * np.hypot(away, round_mm)
        ends = [corner + away * back - middle, corner + away * there - middle]
        first, last = (np.arctan2(v[1], v[0]) for v in ends)
        sweep = (last - first + np.pi) % (2 * np.pi) - np.pi
        angle = first + sweep * np.linspace(0.0, 1.0, segments + 1)
        out += list(middle + round_mm * np.column_stack([np.cos(angle), np.sin(angle)]))
    out.append(path[-1])
    return np.array(out)


def rod_profile(radius_mm: float, start_mm: float, end_mm: float) -> Profile:
    """The profile of a solid round bar from z `start_mm` up to `end_mm`."""
    return np.array([[0.0, start_mm], [radius_mm, start_mm], [radius_mm, end_mm], [0.0, end_mm]])


def tube_profile(outer_mm: float, inner_mm: float, start_mm: float, end_mm: float) -> Profile:
    """The profile of a pipe between two radii from z `start_mm` up to `end_mm`, open at both ends."""
    return np.array(
        [[outer_mm, start_mm], [outer_mm, end_mm], [inner_mm, end_mm], [inner_mm, start_mm], [outer_mm, start_mm]]
    )


def standing_at(tip_mm: ArrayLike, forward: ArrayLike, turn_deg: float = 0.0) -> Frame:
    """Where an instrument stands whose own frame has the tip at the origin and z forward.

    Args:
        tip_mm: (3,) world.
        forward: (3,) from skin to target; its length does not matter.
        turn_deg: how far it is turned about its own axis. Unturned, its y axis is as near to the world's z as can be.
    """
    return looking_along(tip_mm, forward) @ rotation_about((0.0, 0.0, 1.0), turn_deg)


def structure_of(
    name: str, role: str, material: str, solid: Solid, key: str, world_from_local: Frame, rank: str = "steel"
) -> Structure:
    """`solid` as the structure `name`, standing at `world_from_local`; `key` names its shape, `rank` a row of RANKS."""
    field = moved(solid.field, world_from_local)
    return Structure(name, role, material, field, lambda _: solid.mesh, key, RANKS[rank], world_from_local)
