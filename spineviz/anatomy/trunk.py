"""The trunk: skin all round, fat, the muscles beside the spine and the lungs, standing round a column.

Cross-sections are superellipses at right angles to the line from sacrum to T1, so the trunk leans with the column. The
back of the skin follows the tips of the spinous processes, a furrow between the bulges of the muscles beside them.
Sizes lie in assets/anatomy/trunk.csv; nothing here is a published person.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.column import SACRUM, Column
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.vertebra import landmarks_of, spinous_tip
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.once import Call
from spineviz.data.tables import LEVELS, morphometry, sourced_table
from spineviz.geometry.fields import Distances, Field, Points, Vector, as_vector, box_bounds, unit
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh, joined, mesh_field
from spineviz.geometry.operators import moved

SQUARENESS = 2.5
"""Exponent of the cross-sections: 2 is an ellipse, more is squarer."""
_STEP_MM = 2.0
_FURROW_HALF_WIDTH_MM = 20.0
_END_MM = 34.0
"""The trunk's two ends are rounded over this length."""
_BLEND_MM = 14.0
"""Fillet of the lungs' edges."""


@dataclass(frozen=True)
class Station:
    """One row of assets/anatomy/trunk.csv.

    Attributes:
        name: a level, or "neck", "hips", "thighs".
        above_mm: above that level's body (T1's for the neck, the sacrum's for the last two).
        half_width_mm, front_mm, behind_tip_mm: to the side, in front of the body, behind the spinous tip.
        furrow_mm: how far the skin beside the midline stands further back.
        fat_mm: under the skin.
    """

    name: str
    above_mm: float
    half_width_mm: float
    front_mm: float
    behind_tip_mm: float
    furrow_mm: float
    fat_mm: float

    @property
    def level(self) -> str:
        """The level or the sacrum that it is counted from."""
        return {"neck": "T1", "hips": SACRUM, "thighs": SACRUM}.get(self.name, self.name)


def _rows(name: str) -> list[dict[str, str]]:
    lines = [line for line in asset("anatomy", name).read_text("utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


@cache
def stations() -> tuple[Station, ...]:
    """The trunk's cross-sections from below upward."""
    numbers = ("above_mm", "half_width_mm", "front_mm", "behind_tip_mm", "furrow_mm", "fat_mm")
    return tuple(Station(row["station"], *(float(row[n]) for n in numbers)) for row in reversed(_rows("trunk.csv")))


@cache
def _lung() -> dict[str, float]:
    return {name: figure.value for name, figure in sourced_table(asset("anatomy", "lung.csv")).items()}


@cache
def _muscle(name: str) -> dict[str, dict[str, float]]:
    """The rows of one muscle from below upward: level -> column -> mm."""
    numbers = ("aside_mm", "ahead_mm", "half_width_mm", "half_depth_mm")
    rows = [row for row in _rows("muscle.csv") if row["muscle"] == name]
    return {row["level"]: {n: float(row[n]) for n in numbers if row[n]} for row in rows}


@dataclass(frozen=True, eq=False)
class Sections:
    """Superellipse cross-sections by height, in the trunk's frame.

    Attributes:
        z_mm: (K,) rising.
        middle_y, half_width, behind, before, furrow, fat: (K,) mm each.
    """

    z_mm: NDArray[np.float64]
    middle_y: NDArray[np.float64]
    half_width: NDArray[np.float64]
    behind: NDArray[np.float64]
    before: NDArray[np.float64]
    furrow: NDArray[np.float64]
    fat: NDArray[np.float64]

    def at(self, z: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """One of the columns at heights `z`."""
        return np.interp(z, self.z_mm, getattr(self, name))

    def distance(self, p: Points) -> Distances:
        """Signed distance of the skin, along rays from the axis. Inexact."""
        x, y, z = p.T
        held = np.clip(z, self.z_mm[0], self.z_mm[-1])
        middle, width = self.at(held, "middle_y"), self.at(held, "half_width")
        behind, before = self.at(held, "behind"), self.at(held, "before")
        eased = y - middle
        eased = eased - self.at(held, "furrow") * np.exp(-((x / _FURROW_HALF_WIDTH_MM) ** 2)) * _smooth(-eased / behind)
        depth = np.where(eased < 0, behind, before)
        radius = ((np.abs(x) / width) ** SQUARENESS + (np.abs(eased) / depth) ** SQUARENESS) ** (1 / SQUARENESS)
        side = np.hypot(x, eased) * (1.0 - 1.0 / np.maximum(radius, 1e-6))
        side = np.where(radius < 0.05, -np.minimum(width, depth), side)
        return np.maximum(side, np.abs(z - held) + np.where(z == held, -np.inf, 0.0))

    def ring(self, z: float, angle: NDArray[np.float64]) -> Points:
        """(N, 3) points of the skin at height `z` in directions `angle` from the axis (0 right, pi/2 front)."""
        at = np.array([z])
        middle, width, behind, before, furrow = (
            float(self.at(at, name)[0]) for name in ("middle_y", "half_width", "behind", "before", "furrow")
        )
        cosine, sine = np.cos(angle), np.sin(angle)
        depth = np.where(sine < 0, behind, before)
        radius = ((np.abs(cosine) / width) ** SQUARENESS + (np.abs(sine) / depth) ** SQUARENESS) ** (-1 / SQUARENESS)
        x, eased = radius * cosine, radius * sine
        y = eased.copy()
        for _ in range(12):  # the furrow's reach depends on y itself, weakly
            y = eased + furrow * np.exp(-((x / _FURROW_HALF_WIDTH_MM) ** 2)) * _smooth(-y / behind)
        return np.column_stack([x, middle + y, np.full_like(x, z)])


@dataclass(frozen=True, eq=False)
class Strand:
    """A muscle or vessel that runs along the spine: elliptic cross-sections by height, on one or both sides.

    Attributes:
        z_mm: (K,) rising; x, y: (K,) middle; a, b: (K,) half axes across and in depth, mm.
        both_sides: whether its mirror image belongs to it.
    """

    z_mm: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    both_sides: bool = True

    def distance(self, p: Points) -> Distances:
        """Signed distance. Inexact."""
        z = np.clip(p[:, 2], self.z_mm[0], self.z_mm[-1])
        x, y, a, b = (np.interp(z, self.z_mm, column) for column in (self.x, self.y, self.a, self.b))
        across = (np.abs(p[:, 0]) if self.both_sides else p[:, 0]) - x
        value = np.hypot(across / a, (p[:, 1] - y) / b)
        side = (value - 1.0) * np.minimum(a, b)
        return np.maximum(side, np.where(p[:, 2] == z, -np.inf, np.abs(p[:, 2] - z)))

    def mesh(self, spacing_mm: float) -> Mesh:
        """The closed surface, or both."""
        span = float(self.z_mm[-1] - self.z_mm[0])
        z = np.linspace(self.z_mm[0], self.z_mm[-1], max(8, int(span / max(spacing_mm, 3.0))))
        angle = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
        x, y, a, b = (np.interp(z, self.z_mm, column) for column in (self.x, self.y, self.a, self.b))
        rings = [
            np.column_stack([x[i] + a[i] * np.cos(angle), y[i] + b[i] * np.sin(angle), np.full_like(angle, z[i])])
            for i in range(len(z))
        ]
        one = lofted(rings)
        if not self.both_sides:
            return one
        return joined(one, Mesh(one.points_mm * [-1.0, 1.0, 1.0], one.triangles[:, ::-1]))


def lofted(rings: list[Points]) -> Mesh:
    """The closed surface through rings of equally many points, each counter-clockwise seen from above, rising."""
    count = len(rings[0])
    here = np.arange(count)
    after = (here + 1) % count
    sheets = []
    for i in range(len(rings) - 1):
        a, b = i * count + here, i * count + after
        sheets += [np.stack([a, b, b + count], 1), np.stack([a, b + count, a + count], 1)]
    points = np.concatenate([*rings, rings[0].mean(0, keepdims=True), rings[-1].mean(0, keepdims=True)])
    low, last = len(points) - 2, (len(rings) - 1) * count
    sheets += [
        np.stack([np.full(count, low), after, here], 1),
        np.stack([np.full(count, low + 1), last + here, last + after], 1),
    ]
    return Mesh(points, np.concatenate(sheets).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Trunk:
    """The trunk round one posture of the column; build it with `trunk`.

    Attributes:
        world_from_trunk: x right, y forward, z from the sacrum to T1; the origin is the world's.
        column: what it stands round.
        skin: the outline's sections.
        spine: (M, 3) middles of the bodies in the trunk's frame, sacrum first, T1 last.
        key: equal keys, equal trunks.
    """

    world_from_trunk: Frame
    column: Column
    skin: Sections
    spine: Points
    key: str
    _meshes: dict[tuple[str, float], Mesh] = field(default_factory=dict, repr=False)

    @cached_property
    def muscles(self) -> dict[str, Strand]:
        """Erector spinae and psoas, by name."""
        return _muscles(self.column, self.world_from_trunk.inverse(), self.skin)

    def distance(self, points_mm: Points) -> Distances:
        """Signed distance of the skin at world points (N, 3), mm, negative inside. Inexact."""
        return self.skin.distance(self.world_from_trunk.inverse().points(points_mm))

    def entry_on_skin(self, start_mm: ArrayLike, direction: ArrayLike) -> Vector:
        """Where the line from `start_mm` (inside) along `direction` leaves the skin, (3,) world mm.

        This is the point to nick for a needle that ends at `start_mm`, with `direction` pointing back out along it.
        Raises RequestError if the start lies outside the skin.
        """
        start, way = as_vector(start_mm, "start_mm"), unit(direction)
        if float(self.distance(start[None])[0]) >= 0:
            raise RequestError(f"start_mm: {np.round(start, 1).tolist()} lies outside the skin; give a point inside")
        reach = np.arange(0.0, 900.0, 2.0)
        outside = self.distance(start + reach[:, None] * way) >= 0
        if not outside.any():
            raise RequestError(f"direction: {np.round(way, 3).tolist()} does not leave the trunk; point to the skin")
        high = float(reach[int(np.argmax(outside))])
        low = high - 2.0
        for _ in range(40):
            middle = (low + high) / 2
            if float(self.distance((start + middle * way)[None])[0]) < 0:
                low = middle
            else:
                high = middle
        return start + (low + high) / 2 * way

    def skin_mesh(self, spacing_mm: float) -> Mesh:
        """The skin's closed surface in the trunk's frame; rings no nearer than 6 mm."""
        return self._kept("skin", spacing_mm, lambda: self._skin_mesh(max(spacing_mm, 6.0)))

    def _skin_mesh(self, spacing_mm: float) -> Mesh:
        s = self.skin
        z = np.linspace(s.z_mm[0], s.z_mm[-1], int(np.ceil((s.z_mm[-1] - s.z_mm[0]) / spacing_mm)) + 1)
        # directions lie closer together behind, where the furrow is
        even = np.linspace(0.0, 2 * np.pi, 112, endpoint=False)
        angle = even - 0.7 * np.sin(even - 1.5 * np.pi)
        return lofted([s.ring(float(height), angle) for height in z])

    def _kept(self, name: str, spacing_mm: float, make: Callable[[], Mesh]) -> Mesh:
        key = (name, round(float(spacing_mm), 3))
        if key not in self._meshes:
            self._meshes[key] = make()
        return self._meshes[key]

    def _lung_distance(self, p: Points) -> Distances:
        """Both lungs in the trunk's frame: within the chest wall, beside the mediastinum, above the diaphragm."""
        x, y, z = p.T
        m = _lung()
        ahead = y - np.interp(z, self.spine[:, 2], self.spine[:, 1])
        top = float(self.spine[-1, 2]) + m["apex_above_t1_mm"]
        high = float(np.interp(LEVELS.index("T9"), *self._by_index(2))) + m["dome_above_t9_mm"]
        edge = float(np.interp(LEVELS.index("T12"), *self._by_index(2)))
        # the mediastinum is narrow beside the bodies and wide in front of them
        beside = m["beside_spine_mm"] + (m["beside_heart_mm"] - m["beside_spine_mm"]) * _smooth((ahead - 8.0) / 40.0)
        # the diaphragm is a dome on either side
        away = np.hypot(
            (np.abs(x) - m["dome_aside_mm"]) / m["dome_half_width_mm"],
            (ahead - m["dome_ahead_mm"]) / m["dome_half_depth_mm"],
        )
        dome = high - (high - edge) * _smooth(0.8 * away)
        wall = m["wall_mm"] + (m["wall_behind_mm"] - m["wall_mm"]) * _smooth((-ahead - 18.0) / 20.0)
        chest = _rounded_maximum(self.skin.distance(p) + wall, beside - np.abs(x), _BLEND_MM)
        return _rounded_maximum(chest, np.maximum(dome - z, z - top), _BLEND_MM)

    def _by_index(self, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Indices in LEVELS, rising, and that coordinate of their bodies."""
        bodies = self.spine[1:][::-1]  # from T1 down to L5
        return np.arange(len(LEVELS), dtype=float), bodies[:, axis]

    def structures(self) -> dict[str, Structure]:
        """ "skin" (fat within the outline, softer tissue in its core), "muscle" and "lungs", world frame."""
        s, inner = self.skin, self.world_from_trunk
        reach = float(max(s.half_width.max(), s.behind.max(), s.before.max()))
        low_y, high_y = float((s.middle_y - s.behind).min()), float((s.middle_y + s.before).max())
        bounds = box_bounds([-reach, low_y, s.z_mm[0]], [reach, high_y, s.z_mm[-1]])
        whole = Field(s.distance, bounds, exact=False)
        within = Field(lambda p: s.distance(p) + np.interp(p[:, 2], s.z_mm, s.fat), bounds, exact=False)
        strands = tuple(self.muscles.values())

        def muscle(p: Points) -> Distances:
            out = np.min([strand.distance(p) for strand in strands], axis=0)
            return np.maximum(out, within.distance(p))

        chest = box_bounds(
            [-reach, low_y, float(np.interp(11, *self._by_index(2))) - 40.0], [reach, high_y, s.z_mm[-1]]
        )
        lungs = Field(self._lung_distance, chest, exact=False)
        muscle_field = Field(muscle, bounds, exact=False)
        return {
            "skin": Structure(
                "skin", "skin", "adipose", moved(whole, inner), self.skin_mesh, f"skin-{self.key}", RANKS["skin"],
                inner, moved(within, inner), "viscera",
            ),
            "muscle": Structure(
                "muscle", "muscle", "muscle", moved(muscle_field, inner),
                lambda spacing: self._kept("muscle", spacing, lambda: joined(*[m.mesh(spacing) for m in strands])),
                f"muscle-{self.key}", RANKS["muscle"], inner,
            ),
            "lungs": Structure(
                "lungs", "lung", "lung", moved(lungs, inner),
                lambda spacing: self._kept("lungs", spacing, lambda: mesh_field(lungs, max(spacing, 5.0))),
                f"lungs-{self.key}", RANKS["lung"], inner,
            ),
        }  # fmt: skip


def trunk(column: Column) -> Trunk:
    """The trunk that stands round `column`, in its posture."""
    key = column.pose_key
    if key not in _TRUNKS:
        while len(_TRUNKS) > 8:
            _TRUNKS.pop(next(iter(_TRUNKS)))
        _TRUNKS[key] = _built(column, key)
    return _TRUNKS[key]


_TRUNKS: dict[str, Trunk] = {}


def skin_calls() -> list[Call]:
    """What the midline of every trunk is laid by and is not there yet, to be made beside something else."""
    return [(spinous_tip, (level,)) for level in LEVELS if not spinous_tip.has(level)]


def _built(column: Column, key: str) -> Trunk:
    from scipy.interpolate import PchipInterpolator

    frames = {level: column.world_from_vertebra(level) for level in (*LEVELS, SACRUM)}
    up = unit(frames["T1"].origin_mm - frames[SACRUM].origin_mm)
    world_from_trunk = Frame(np.stack([[1.0, 0.0, 0.0], np.cross(up, [1.0, 0.0, 0.0]), up], axis=1), np.zeros(3))
    inward = world_from_trunk.inverse()
    spine = inward.points([frames[level].origin_mm for level in (SACRUM, *reversed(LEVELS))])
    body_y = PchipInterpolator(spine[:, 2], spine[:, 1], extrapolate=False)
    tips = inward.points([frames[level].point(spinous_tip(level)) for level in reversed(LEVELS)])
    tips = tips[np.concatenate([[True], np.diff(np.maximum.accumulate(tips[:, 2])) > 2.0])]
    tip_y = PchipInterpolator(tips[:, 2], tips[:, 1], extrapolate=False)

    heights, rows = [], []
    for station in stations():
        at = float(inward.point(frames[station.level].origin_mm)[2]) + station.above_mm
        body = float(body_y(np.clip(at, spine[0, 2], spine[-1, 2])))
        tip = float(tip_y(np.clip(at, tips[0, 2], tips[-1, 2])))
        heights.append(at)
        rows.append(
            [
                tip,
                station.behind_tip_mm,
                body + station.front_mm,
                station.half_width_mm,
                station.furrow_mm,
                station.fat_mm,
            ]
        )
    z = np.arange(heights[0], heights[-1], _STEP_MM)
    tip_line, behind_tip, front, half_width, furrow, fat = PchipInterpolator(heights, np.array(rows), axis=0)(z).T
    within = (z > tips[0, 2]) & (z < tips[-1, 2])
    tip_line[within] = tip_y(z[within])  # between the stations, too, the midline follows the tips
    back = _moving_mean(tip_line - behind_tip, 9) - furrow
    end = np.minimum(z - z[0], z[-1] - z)
    dome = np.sqrt(np.maximum(1.0 - np.clip(1.0 - end / _END_MM, 0.0, 1.0) ** 2, 1e-3))
    middle = (back + front) / 2
    depth = (front - back) / 2 * dome
    sections = Sections(z, middle, half_width * dome, depth, depth, furrow * dome, fat)
    return Trunk(world_from_trunk, column, sections, spine, key)


def _muscles(column: Column, inward: Frame, skin: Sections) -> dict[str, Strand]:
    """Erector spinae between laminae and skin, and psoas beside the lumbar bodies."""

    def place(level: str, mark: str | None = None) -> Vector:
        own = np.zeros(3) if mark is None else landmarks_of(level)[mark]
        return inward.point(column.world_from_vertebra(level).point(own))

    def edge(level: str) -> float:
        return morphometry()["L5" if level == SACRUM else level]["EPWu_mm"].value / 2

    rows = _muscle("psoas")
    at = np.array([place(level) for level in rows])
    size = {name: np.array([row[name] for row in rows.values()]) for name in next(iter(rows.values()))}
    psoas = Strand(
        at[:, 2],
        np.array([edge(level) for level in rows]) + size["aside_mm"],
        at[:, 1] + size["ahead_mm"],
        size["half_width_mm"],
        size["half_depth_mm"],
    )

    rows = _muscle("erector")
    known = np.array([place(level)[2] for level in rows])
    bases = np.array([place(level, "spinous-base") for level in reversed(LEVELS)])
    # over the sacrum the laminae go on in the same line
    low = bases[0] + (place(SACRUM) - place("L5")) * 1.3
    z = np.concatenate([[low[2]], bases[:, 2]])
    lamina = np.concatenate([[low[1]], bases[:, 1]]) + 4.0
    skin_y = skin.at(z, "middle_y") - skin.at(z, "behind")
    depth = np.maximum((lamina - skin_y - skin.at(z, "fat")) / 2, 6.0)
    aside, width = (np.interp(z, known, [row[n] for row in rows.values()]) for n in ("aside_mm", "half_width_mm"))
    return {"erector": Strand(z, aside, lamina - depth, width, depth), "psoas": psoas}


def _moving_mean(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    padded = np.concatenate([np.full(count, values[0]), values, np.full(count, values[-1])])
    kernel = np.hanning(2 * count + 3)[1:-1]
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _rounded_maximum(a: Distances, b: Distances, blend_mm: float) -> Distances:
    h = np.maximum(blend_mm - np.abs(a - b), 0.0) / blend_mm
    return np.maximum(a, b) + h * h * blend_mm * 0.25


def _smooth(share: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(share, 0.0, 1.0)
    return held * held * (3.0 - 2.0 * held)
