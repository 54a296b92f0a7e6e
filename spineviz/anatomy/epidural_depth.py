"""How thick a surface is, front to back, in a plane across it."""

from __future__ import annotations

import numpy as np

from spineviz.geometry.fields import Distances
from spineviz.geometry.meshes import Mesh

_LINES = 41


def _crossings(mesh: Mesh, z_mm: float) -> tuple[Distances, Distances]:
    """(K, 2, 2) x and y of both ends of the pieces in which the plane z = `z_mm` cuts the triangles."""
    points = mesh.points_mm
    above = points[:, 2] > z_mm
    up = above[mesh.triangles]
    cut = mesh.triangles[up.any(1) & ~up.all(1)]
    ends = []
    for triangle in cut:
        pair = []
        for a, b in ((0, 1), (1, 2), (2, 0)):
            p, q = points[triangle[a]], points[triangle[b]]
            if (p[2] > z_mm) != (q[2] > z_mm):
                pair.append((p + (q - p) * (z_mm - p[2]) / (q[2] - p[2]))[:2])
        ends.append(pair)
    found = np.array(ends).reshape(-1, 2, 2)
    return found[:, 0], found[:, 1]


def least_depth_mm(mesh: Mesh, z_mm: float, inner: float) -> float:
    """The depth along y of the cut of `mesh` with the plane z = `z_mm`: its whole depth where `inner` is 1, else the
    shortest line through it among those in the `inner` share of its width round its middle."""
    first, last = _crossings(mesh, z_mm)
    ends = np.concatenate([first, last])
    if inner >= 1.0:
        return float(np.ptp(ends[:, 1]))
    middle, half = (ends[:, 0].min() + ends[:, 0].max()) / 2, np.ptp(ends[:, 0]) / 2
    depths = []
    for x in np.linspace(middle - inner * half, middle + inner * half, _LINES):
        hit = (first[:, 0] - x) * (last[:, 0] - x) < 0.0
        a, b = first[hit], last[hit]
        y = a[:, 1] + (b[:, 1] - a[:, 1]) * (x - a[:, 0]) / (b[:, 0] - a[:, 0])
        if len(y):
            depths.append(float(np.ptp(y)))
    return min(depths)
