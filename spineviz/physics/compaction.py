"""Packed bone round a balloon or the cavity that it leaves: trabeculae are moved, not lost.

The bone that stood where the membrane is now lies in a rim round it, the more the nearer. How much is solved so that
all of it is there: the trabecular bone of the body is the same before and after. Where the rim would have to be denser
than bone can be packed, it is wider instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.patient import Patient
from spineviz.geometry.fields import Distances, Field, Points, as_points, box_bounds
from spineviz.geometry.grids import lattice
from spineviz.geometry.meshes import Mesh, joined
from spineviz.physics.balloon import Inflation, inflation_table, lifted_amount

_LATTICE_MM = 1.4
"""Of the lattice on which the packing is solved."""
_SURFACE_MM = 1.0
"""Spacing of the surfaces from which ways are taken."""
_LEAST_ML = 0.02
"""A balloon that holds less has not moved any bone yet."""
_WIDEST_MM = 12.0
_SKIN_MM = 0.08
"""Least thickness of the drawn rim, and its distance from the cortex."""
_MOST = 60.0
"""A factor at which everything in the rim is as dense as it can be."""


def _figure(name: str) -> float:
    return inflation_table()[name].value


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(share, 0.0, 1.0)
    return held * held * (3.0 - 2.0 * held)


@dataclass(frozen=True, eq=False)
class Hollow:
    """What bone has made room for on one side: a membrane or a cavity.

    Attributes:
        field, mesh: its shape.
    """

    field: Field
    mesh: Mesh

    @cached_property
    def _near(self) -> tuple:
        from scipy.spatial import cKDTree

        return cKDTree(self.mesh.points_mm), self.mesh.normals

    def way_mm(self, points: Points, largest_mm: float) -> Distances:
        """(N,) the way from the surface to `points` (N, 3) outside it, inf beyond `largest_mm`; 0 on it and inside."""
        tree, normals = self._near
        out = np.full(len(points), np.inf)
        low, high = self.mesh.bounds_mm + np.array([[-largest_mm], [largest_mm]])
        near = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
        far, index = tree.query(points[near], distance_upper_bound=largest_mm + _SURFACE_MM)
        known = np.isfinite(far)
        near, index = near[known], index[known]
        # to the surface's tangent there; a vertex is further away than the surface between vertices
        plane = ((points[near] - self.mesh.points_mm[index]) * normals[index]).sum(1)
        out[near] = np.maximum(plane, 0.0)
        return out


@dataclass(frozen=True, eq=False)
class Rim:
    """Packed bone at one moment; build it with `rim_round_membranes` or `rim_round_cavities`.

    Attributes:
        patient, amount: whose bone, and the fracture's amount.
        hollows: what it lies round, by side.
        width_mm: how far it reaches.
        factor: how much is laid on.
        displaced_ml, added_ml: bone, without marrow, that the hollows moved, and that lies in the rim in addition.
        share_max: the densest share of bone in it.
    """

    patient: Patient
    amount: float
    hollows: dict[str, Hollow]
    width_mm: float
    factor: float
    displaced_ml: float
    added_ml: float
    share_max: float

    def way_mm(self, points: Points) -> Distances:
        """(N,) the way to the nearest hollow, inf beyond the rim."""
        return np.min([hollow.way_mm(points, self.width_mm) for hollow in self.hollows.values()], axis=0)

    def bone_share(self, points_mm: ArrayLike) -> Distances:
        """The bone volume share (N,) of the trabecular core at `points_mm` (N, 3): 0 in the hollows, packed round
        them, beyond the rim that of the fractured bone."""
        points = as_points(points_mm)
        before = self.patient.bone_share(points, self.amount)
        way = self.way_mm(points)
        near = np.flatnonzero(way < self.width_mm)
        out = before.copy()
        out[near] += _packed(before[near], _weight(way[near], self.width_mm), self.factor)
        for hollow in self.hollows.values():
            low, high = hollow.mesh.bounds_mm
            inside = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
            out[inside[hollow.field.distance(points[inside]) < 0]] = 0.0
        return out

    @property
    def field(self) -> Field:
        """The region that holds more bone than before: round the hollows, in the trabecular core. Inexact."""
        core = self.patient.treated_bone(self.amount).core
        assert core is not None
        bounds = np.array([hollow.mesh.bounds_mm for hollow in self.hollows.values()])

        def distance(points: Points) -> Distances:
            way = np.minimum(self.way_mm(points), 2.0 * self.width_mm) - self.width_mm
            out = np.maximum(way, core.distance(points))
            for hollow in self.hollows.values():
                out = np.maximum(out, -hollow.field.distance(points))
            return out

        return Field(
            distance, box_bounds(bounds[:, 0].min(0) - self.width_mm, bounds[:, 1].max(0) + self.width_mm), exact=False
        )

    def mesh(self) -> Mesh:
        """The surface of the region, closed: round each hollow a skin, and the hollow's own wall turned inward.

        The two sides' skins meet half way and do not cross.
        """
        shells = []
        for side, hollow in self.hollows.items():
            others = [other for name, other in self.hollows.items() if name != side]
            # a little outside the hollow's own surface, so that drawn together neither shows through the other
            wall = hollow.mesh.points_mm + _SKIN_MM * hollow.mesh.normals
            shells += [self._skin(hollow, others), Mesh(wall, hollow.mesh.triangles[:, ::-1])]
        return joined(*shells)

    def _skin(self, hollow: Hollow, others: list[Hollow]) -> Mesh:
        """The outer end of the rim of `hollow`: as far out as it reaches, or to the cortex, or half way to others."""
        core = self.patient.treated_bone(self.amount).core
        assert core is not None
        points, normals = hollow.mesh.points_mm, hollow.mesh.normals
        low, high = np.zeros(len(points)), np.full(len(points), self.width_mm)
        for step in range(7):
            middle = high if step == 0 else (low + high) / 2
            here = points + middle[:, None] * normals
            free = core.distance(here) < -_SKIN_MM
            for other in others:
                free &= other.way_mm(here, self.width_mm) > middle + _SKIN_MM
            low = np.where(free, middle, low)
            high = high if step == 0 else np.where(free, high, middle)
        return hollow.mesh.with_points(points + np.maximum(low, 2.0 * _SKIN_MM)[:, None] * normals)


def _weight(way_mm: Distances, width_mm: float) -> Distances:
    """1 at the hollow's wall, 0 with slope 0 at the end of the rim."""
    return 1.0 - _smooth(way_mm / width_mm)


def _packed(before: Distances, weight: Distances, factor: float) -> Distances:
    """What is added to a share of `before`: `factor` times `weight`, less where bone comes near its densest."""
    room = np.maximum(_figure("rim_cap") - before, 1e-6)
    return room * -np.expm1(-factor * weight / room)


def _rim(here: Patient, amount: float, hollows: dict[str, Hollow]) -> Rim | None:
    if not hollows:
        return None
    bounds = np.array([hollow.mesh.bounds_mm for hollow in hollows.values()])
    points = lattice(box_bounds(bounds[:, 0].min(0), bounds[:, 1].max(0)), _LATTICE_MM, _WIDEST_MM / 2).points()
    cell_ml = _LATTICE_MM**3 / 1000.0
    core = here.treated_bone(amount).core
    assert core is not None
    way = np.min([hollow.way_mm(points, _WIDEST_MM / 2) for hollow in hollows.values()], axis=0)
    near = np.flatnonzero(np.isfinite(way))
    points, way = points[near], way[near]
    # cubes that a surface cuts count in part
    open_ = np.min([hollow.field.distance(points) for hollow in hollows.values()], axis=0)
    hollow_share = np.clip(0.5 - open_ / _LATTICE_MM, 0.0, 1.0)
    inside = np.clip(0.5 - core.distance(points) / _LATTICE_MM, 0.0, 1.0)
    before = here.bone_share(points, amount)
    # a small hollow is a few cubes only: its volume is that of its surface
    volume_ml = sum(hollow.mesh.volume_ml for hollow in hollows.values())
    displaced = volume_ml * float((before * inside * hollow_share).sum() / max(hollow_share.sum(), 1e-9))
    kept = inside * (1.0 - hollow_share)
    width = _figure("rim_mm")
    while True:
        weight = _weight(way, width)

        def added(factor: float, weight: Distances = weight) -> float:
            return float((_packed(before, weight, factor) * kept).sum()) * cell_ml

        if added(_MOST) >= 1.02 * displaced or width >= _WIDEST_MM / 2:
            break
        width = min(1.2 * width, _WIDEST_MM / 2)
    low, high = 0.0, _MOST
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if added(middle) < displaced else (low, middle)
    after = (before + _packed(before, weight, high))[(kept > 0.5) & (weight > 0)]
    densest = float(after.max()) if len(after) else here.trabecular_share
    return Rim(here, amount, hollows, width, high, displaced, added(high), densest)


def rim_round_membranes(inflation: Inflation, volumes_ml: Mapping[str, float], lift: float) -> Rim | None:
    """The rim round the balloons while they hold `volumes_ml` at `lift`; None while they hold next to nothing."""
    hollows = {
        side: Hollow(inflation.membrane(side, volume, lift), inflation.membrane_mesh(side, volume, lift, _SURFACE_MM))
        for side, volume in volumes_ml.items()
        if volume > _LEAST_ML
    }
    return _rim(inflation.patient, lifted_amount(inflation.patient, lift), hollows)


def rim_round_cavities(inflation: Inflation, deflated: float = 1.0) -> Rim | None:
    """The rim round the cavities when `deflated` (0 to 1) of the deflation is over."""
    hollows = {
        side: Hollow(inflation.cavity(side, deflated), inflation.cavity_mesh(side, deflated, _SURFACE_MM))
        for side in inflation.sides
        if inflation.volume_ml[side] > _LEAST_ML
    }
    return _rim(inflation.patient, lifted_amount(inflation.patient, inflation.sinking_lift(deflated)), hollows)


def rim_speed(bone_share: Distances, mean_share: float) -> Distances:
    """How fast cement runs through bone of `bone_share` (N,), against bone of `mean_share`: packed bone is tight."""
    return (mean_share / np.maximum(bone_share, mean_share)) ** _figure("rim_speed_power")


__all__ = ["Hollow", "Rim", "rim_round_cavities", "rim_round_membranes", "rim_speed"]
