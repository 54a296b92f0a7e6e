"""Wires and catheters that go through arteries: sizes, and tubes along a line, remade as the line moves.

A line is a polyline from what lies outside to the tip. The surface is a tube swept along it, the field is the distance
to it found by a tree of points, and radiographs take the material as cells along it: all three are cheap enough to be
made anew for every frame.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Cells, Structure
from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table
from spineviz.geometry.curves import OFF_SHARE, Curve, of_like_area, sides_within, transported_frames, tube_rings
from spineviz.geometry.fields import Distances, Field, Points, Vector, as_points, bounds_of_points, unit
from spineviz.geometry.meshes import Mesh

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

SIDES = 20
"""Flats round a tube's surface at most."""
RING_MM = 1.0
"""Way between the vertices of a tube's line, of which those carry rings that its surface needs."""
_CELL_MM = 0.3
"""Way between the small volumes that radiographs see."""
_TREE_MM = 0.5
_THICK_MM = 1.0
"""A tube thicker than this has its cells spread round its wall."""
_ROUND = 8
_FOLD_MM = 1e-3
_DOME_DEG = (15.0, 32.0, 50.0, 68.0, 83.0)


@dataclass(frozen=True)
class EndovascularSize:
    """One row of assets/devices/endovascular.csv.

    Attributes:
        name: as plans name it ("catheter-cobra-5F").
        kind: needle, dilator, sheath, wire, catheter or microcatheter.
        french: outer size, of a sheath the size of what it lets through; None for needles and wires.
        outer_mm, inner_mm: diameters of tube and bore; a wire has no bore.
        length_mm: the whole length.
        use: what it is for.
    """

    name: str
    kind: str
    french: float | None
    outer_mm: float
    inner_mm: float | None
    length_mm: float
    use: str

    @property
    def section_mm2(self) -> float:
        """The area of material across it."""
        return float(np.pi * (self.outer_mm**2 - (self.inner_mm or 0.0) ** 2) / 4)


@cache
def endovascular_sizes() -> Mapping[str, EndovascularSize]:
    """Every needle, sheath, wire and catheter by name."""
    rows = csv.DictReader(asset("devices", "endovascular.csv").read_text("utf-8").splitlines())
    sizes = [
        EndovascularSize(
            row["name"],
            row["kind"],
            float(row["french"]) if row["french"] else None,
            float(row["outer_mm"]),
            float(row["inner_mm"]) if row["inner_mm"] else None,
            float(row["length_mm"]),
            row["use"],
        )
        for row in rows
    ]
    return MappingProxyType({size.name: size for size in sizes})


@cache
def endovascular_parts() -> dict[str, float]:
    """Name -> value of assets/devices/endovascular_parts.csv."""
    return {name: row.value for name, row in sourced_table(asset("devices", "endovascular_parts.csv")).items()}


# ---- a tube along a line ---------------------------------------------------------------------------------------------


def evenly(points_mm: ArrayLike, spacing_mm: float) -> Points:
    """(M, 3) the same line with vertices at equal ways of at most `spacing_mm`, no two neighbours equal.

    Repeated points do not matter, and a line that turns back on itself gets a bend instead of a point without
    direction. ValueError for a line without length.
    """
    line = as_points(points_mm)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    if len(line) < 2 or way[-1] < 1e-6:
        raise ValueError(f"points_mm must be a line with a length, got {len(line)} points over {way[-1]:g} mm")
    new = np.concatenate([[True], np.diff(way) > 0.0])
    stations = np.linspace(0.0, way[-1], max(2, int(np.ceil(way[-1] / spacing_mm - 1e-9)) + 1))
    out = np.stack([np.interp(stations, way[new], line[new, i]) for i in range(3)], axis=1)
    for i in np.flatnonzero(np.linalg.norm(out[2:] - out[:-2], axis=1) < _FOLD_MM) + 1:
        out[i + 1] += _FOLD_MM * _across(out[i] - out[i - 1])
    for i in np.flatnonzero(np.linalg.norm(np.diff(out, axis=0), axis=1) < _FOLD_MM):
        out[i + 1] += _FOLD_MM * _across(out[i] - out[i - 1])
    return out


def _across(way: Vector) -> Vector:
    """A unit vector square to `way`."""
    length = float(np.linalg.norm(way))
    along = way / length if length > 0.0 else np.eye(3)[0]
    return unit(np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))]))


@dataclass(frozen=True, eq=False)
class SweptTube:
    """Material between two radii along a line; with no bore its tip is a dome.

    Attributes:
        line: (M, 3) as `evenly` gives it, tip last.
        outer_mm, inner_mm: radii; `inner_mm` 0 for what is solid.
        tip_mm: the outer radius at the tip, over the last `taper_mm`; None for a tube that keeps its width.
    """

    line: Curve
    outer_mm: float
    inner_mm: float = 0.0
    tip_mm: float | None = None
    taper_mm: float = 0.0

    @cached_property
    def key(self) -> str:
        """Names the shape and where it lies."""
        shape = (self.outer_mm, self.inner_mm, self.tip_mm, self.taper_mm)
        return sha256(np.round(self.line.points_mm, 3).tobytes() + repr(shape).encode()).hexdigest()[:20]

    @cached_property
    def frames(self) -> NDArray[np.float64]:
        """(M, 3, 3) across and along the line at each vertex."""
        return transported_frames(self.line)

    def radius_at(self, way_mm: Distances) -> Distances:
        """(K,) the outer radius `way_mm` (K,) from the start."""
        if self.tip_mm is None:
            return np.full(len(way_mm), self.outer_mm)
        share = np.clip((self.line.length_mm - way_mm) / self.taper_mm, 0.0, 1.0)
        return self.tip_mm + (self.outer_mm - self.tip_mm) * share

    @property
    def _dome_mm(self) -> float:
        return 0.0 if self.inner_mm else min(self.outer_mm, 0.5 * self.line.length_mm)

    @property
    def volume_mm3(self) -> float:
        """The material's volume along the line, as if it were straight; of a tube that keeps its width."""
        whole = np.pi * (self.outer_mm**2 - self.inner_mm**2) * self.line.length_mm
        return float(whole - np.pi * self.outer_mm**2 * self._dome_mm / 3)

    def mesh(self, spacing_mm: float) -> Mesh:
        """The closed surface, world frame, off by a small share of `spacing_mm`."""
        off_mm = OFF_SHARE * spacing_mm
        sides = sides_within(self.outer_mm, off_mm, SIDES)
        grow = of_like_area(sides)
        radius = self.radius_at(self.line.arc_mm)
        keep = np.flatnonzero(tube_rings(self.line, radius, off_mm))
        points, frames, radius, ways = (v[keep] for v in (self.line.points_mm, self.frames, radius, self.line.arc_mm))
        if self.inner_mm:
            out = _rings(points, frames, grow * radius, sides)
            bore = _rings(points, frames, np.full(len(points), grow * self.inner_mm), sides)
            return stitched(np.concatenate([out, bore[::-1]]), ring=True)
        # the dome's rings stand along the last tangent
        dome, tip, last = self._dome_mm, points[-1], frames[-1]
        body = ways < ways[-1] - dome - 1e-9
        angle = np.deg2rad(np.array([0.0, *_DOME_DEG]))
        middles = self.line.at(ways[-1] - dome * (1.0 - np.sin(angle)))
        centres = np.concatenate([points[body], middles])
        turned_by = np.concatenate([frames[body], np.broadcast_to(last, (len(angle), 3, 3))])
        radius = np.concatenate([np.full(int(body.sum()), self.outer_mm), self.outer_mm * np.cos(angle)])
        return stitched(_rings(centres, turned_by, grow * radius, sides), ends=(centres[0], tip))

    def field(self) -> Field:
        """The shape by its distance to the line. Inexact past the ends and where the line bends sharply."""
        points = evenly(self.line.points_mm, _TREE_MM)
        near = _nearest(points)
        length, inner, dome = self.line.length_mm, self.inner_mm, self._dome_mm

        def distance(p: Points) -> Distances:
            radial, way = near(p)
            inside = np.clip(way, 0.0, length)
            # a dome narrows within its own length of the tip
            outer = self.radius_at(inside)
            if dome:
                rise = np.clip((inside - (length - dome)) / dome, 0.0, 1.0)
                outer = outer * np.sqrt(1.0 - rise**2)
            wall = radial - outer
            if inner:
                wall = np.maximum(wall, inner - radial)
            past = np.maximum(-way, way - length)
            return np.where(past > 0.0, np.hypot(past, np.maximum(wall, 0.0)), np.maximum(wall, past))

        return Field(distance, bounds_of_points(points, self.outer_mm), exact=False)

    def cells(self) -> Cells:
        """Small volumes along the line that hold all the material of a tube that keeps its width."""
        length = self.line.length_mm
        count = max(1, int(np.ceil(length / _CELL_MM)))
        ways = (np.arange(count) + 0.5) * length / count
        points = self.line.at(ways)
        if 2 * self.outer_mm > _THICK_MM:
            frames = self.frames[np.clip(np.searchsorted(self.line.arc_mm, ways), 0, len(self.frames) - 1)]
            middle = np.sqrt((self.outer_mm**2 + self.inner_mm**2) / 2)
            points = _rings(points, frames, np.full(count, middle), _ROUND).reshape(-1, 3)
        volume = np.full(len(points), self.volume_mm3 / len(points))
        return Cells(points, volume, np.zeros(len(points), np.int64), np.ones(1), f"{self.key}-cells")

    def structure(self, name: str, role: str, material: str, rank: int, *, told: bool = True) -> Structure:
        """The tube as the structure `name`; `told` in cells or not."""
        return Structure(
            name, role, material, self.field(), cache(self.mesh), f"{role}-{self.key}", rank,
            cells=self.cells() if told else None,
        )  # fmt: skip


def _nearest(points: Points) -> Callable[[Points], tuple[Distances, Distances]]:
    """points (N, 3) -> (distance to the line, way along it) (N,); beyond an end the way runs on and the distance is
    that from the line drawn on."""
    step = float(np.linalg.norm(points[1] - points[0]))
    segments = np.diff(points, axis=0)
    squared = (segments**2).sum(1)

    @cache
    def tree() -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(points)

    def near(p: Points) -> tuple[Distances, Distances]:
        _, index = tree().query(p)
        best, way = np.full(len(p), np.inf), np.zeros(len(p))
        for first in (np.maximum(index - 1, 0), np.minimum(index, len(segments) - 1)):
            offset = p - points[first]
            share = (offset * segments[first]).sum(1) / squared[first]
            low, high = np.where(first == 0, -np.inf, 0.0), np.where(first == len(segments) - 1, np.inf, 1.0)
            share = np.clip(share, low, high)
            found = np.linalg.norm(offset - share[:, None] * segments[first], axis=1)
            better = found < best
            best, way = np.where(better, found, best), np.where(better, (first + share) * step, way)
        return best, way

    return near


def _rings(centres: Points, frames: NDArray[np.float64], radius: Distances, sides: int = SIDES) -> NDArray[np.float64]:
    """(K, sides, 3) circles of `radius` (K,) across the third axes of `frames` (K, 3, 3)."""
    angle = 2 * np.pi * np.arange(sides) / sides
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return centres[:, None, :] + radius[:, None, None] * (frames[:, :, :2] @ circle).transpose(0, 2, 1)


def stitched(rings: NDArray[np.float64], ring: bool = False, ends: tuple[Vector, Vector] | None = None) -> Mesh:
    """The closed surface over rings (K, S, 3): the last joined to the first (`ring`), or both closed over `ends`."""
    count, sides = rings.shape[:2]
    here = np.arange(sides)
    after = (here + 1) % sides
    low = (np.arange(count if ring else count - 1) * sides)[:, None]
    high = (low + sides) % (count * sides)
    faces = [
        np.stack([low + here, low + after, high + after], axis=-1).reshape(-1, 3),
        np.stack([low + here, high + after, high + here], axis=-1).reshape(-1, 3),
    ]
    points = rings.reshape(-1, 3)
    if ends is not None:
        start, end, last = len(points), len(points) + 1, (count - 1) * sides
        points = np.concatenate([points, np.stack(ends)])
        faces += [
            np.stack([after, here, np.full(sides, start)], 1),
            np.stack([last + here, last + after, np.full(sides, end)], 1),
        ]
    return Mesh(points, np.concatenate(faces).astype(np.int64))


def swept(points_mm: ArrayLike, outer_mm: float, inner_mm: float | None = None) -> SweptTube:
    """A tube along `points_mm` (N, 3) by its diameters; ValueError for a line without length."""
    return SweptTube(Curve(evenly(points_mm, RING_MM)), outer_mm / 2, (inner_mm or 0.0) / 2)


# ---- wires and catheters ---------------------------------------------------------------------------------------------


def wire_structure(name: str, points_mm: ArrayLike, size: EndovascularSize) -> Structure:
    """The wire along `points_mm` (N, 3), its rounded tip last; ValueError for a line without length."""
    return swept(points_mm, size.outer_mm).structure(name, "wire", "nitinol", RANKS["steel"])


def catheter_structures(name: str, points_mm: ArrayLike, size: EndovascularSize) -> dict[str, Structure]:
    """The catheter along `points_mm` (N, 3), open at its tip, which is last; a microcatheter has a marker there.

    Its wall is filled so that X-rays see it, and holds a steel braid. ValueError for a line without length.
    """
    made = swept(points_mm, size.outer_mm, size.inner_mm)
    out = {name: made.structure(name, "catheter", "catheter-wall", RANKS["steel"] - 1)}
    if size.kind == "microcatheter":
        part, line = endovascular_parts(), made.line
        end = line.part(max(0.0, line.length_mm - part["marker_length_mm"]), line.length_mm)
        ring = SweptTube(
            Curve(evenly(end.points_mm, 0.25)),
            made.outer_mm + part["marker_proud_mm"],
            (made.outer_mm + made.inner_mm) / 2,
        )
        out[f"{name}-marker"] = ring.structure(f"{name}-marker", "marker", "platinum", RANKS["marker"])
    return out
