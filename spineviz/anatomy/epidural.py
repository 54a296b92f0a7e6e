"""A tumour that grows from a whole vertebra into its canal, what it presses aside, and what is measured of both.

    grown = epidural("L1", 14.0, "left")
    grown.tumour(1.0)                                   the full-grown tumour
    grown.displaced(whole_body(lying), 0.7)             the nerves beside it when 0.7 of its diameter is left
    grown.measures(whole_body(lying), 0.7).canal_share  how much of the canal is free then

The patient lies; the vertebra's own frame is the world. Where nothing is reached, nothing moves and keys stay.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS
from spineviz.anatomy.epidural_depth import least_depth_mm
from spineviz.anatomy.epidural_push import Push, push
from spineviz.anatomy.epidural_shape import CORD_LEVELS, Shape, figure, grown, read_directions
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.sweeps import EVERY_RING_MM
from spineviz.anatomy.tumour import SIDES, Tumour, greatest_diameter_mm
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.errors import RequestError
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds, in_box
from spineviz.geometry.frames import Frame
from spineviz.geometry.grids import Grid
from spineviz.geometry.meshes import Mesh, mesh_field

NERVES = ("cord", "dura", "roots", "adamkiewicz", "anterior-spinal", "anterior-spinal-upper")
"""What a tumour in the canal can push aside, by name."""
_SWEPT = ("cord", "dura", "roots")
"""Those whose surfaces leave out rings where they run straight, which they do no more when they are pushed."""
_KEPT_PUSHES, _KEPT_MEASURES = 24, 256
_SLICE_MM = 1.5
"""Between the planes in which the canal's free share is counted, and (a third of it) between the points."""
_INNER = 0.5
"""The share of the sac's width, round its middle, in which its depth is measured."""
_BESIDE_MM = 3.0
"""How far above and below where the tumour reaches deepest the cord's depth is measured."""


@dataclass(frozen=True)
class EpiduralMeasures:
    """What is measured at one size of the tumour.

    Attributes:
        diameter_mm: the tumour's greatest diameter.
        neural_mm: the least way from its surface to the cord or, below its end, the nearest root; inf without a tumour.
        canal_share: the least share of the canal's cross-section that is free of it.
        cord_depth_mm: the least depth, front to back, of the cord (below its end: of the sac's inner half) beside it.
    """

    diameter_mm: float
    neural_mm: float
    canal_share: float
    cord_depth_mm: float


@dataclass(frozen=True, eq=False)
class Epidural:
    """A tumour of body and canal; build it with `epidural`.

    Attributes:
        level, diameter_mm, side: as chosen.
        shape: the tumour as it would be on the right.
        whole: the full-grown tumour on its side, in the vertebra's frame, which is the world.
        key: names it; equal keys, equal tumours.
    """

    level: str
    diameter_mm: float
    side: str
    shape: Shape
    whole: Tumour
    key: str
    _pushes: OrderedDict[float, Push | None] = field(default_factory=OrderedDict, repr=False)
    _measured: OrderedDict[float, EpiduralMeasures] = field(default_factory=OrderedDict, repr=False)

    @property
    def has_cord(self) -> bool:
        """Whether cord lies beside it; below L1 there are roots alone."""
        return self.level in CORD_LEVELS

    @property
    def root_mm(self) -> Vector:
        """(3,) where in the body it begins, and what it shrinks towards."""
        return self.whole.centre_mm

    @cached_property
    def canal_point_mm(self) -> Vector:
        """(3,) the middle of its part in the canal."""
        points = self.whole.mesh(1.0, 1.0).points_mm
        wall = float(vertebra(self.level).landmarks["body-back-centre"][1])
        behind = points[points[:, 1] < wall]
        return behind.mean(0) if len(behind) else points[int(points[:, 1].argmin())]

    # the tumour ------------------------------------------------------------------------------------------------------

    def tumour(self, share: float) -> Structure:
        """The tumour at `share` of its full diameter: 0 to 1 while it grows, after that up to a little over 1.

        RequestError for a share outside of that.
        """
        size = _checked(share)
        return Structure(
            name="tumour",
            role="tumour",
            material="tumour",
            field=self.whole.field(size),
            mesh=lambda spacing_mm: self.whole.mesh(size, spacing_mm),
            key=f"{self.key}-{size:.3f}",
            rank=RANKS["tumour"],
        )

    def dead_core(self, share: float, dead_share: float) -> Structure | None:
        """The dead centre of the tumour at `share`: `dead_share` (0 to 1) of its diameter, round its middle; None
        where there is none. It has the tumour's outline and stays inside it."""
        size = _checked(share)
        part = round(min(float(dead_share), 0.85), 3)
        if size <= 0.0 or part <= 0.0:
            return None
        living = self.whole.field(size)
        middle = self.root_mm + size * (self._middle_mm - self.root_mm)

        def distance(p: Points) -> Distances:
            return part * living.distance(middle + (p - middle) / part)

        def mesh(spacing_mm: float) -> Mesh:
            surface = self.whole.mesh(size, spacing_mm)
            return surface.with_points(middle + part * (surface.points_mm - middle))

        return Structure(
            name="necrosis",
            role="necrosis",
            material="tumour",
            field=Field(distance, middle + part * (living.bounds_mm - middle), exact=False),
            mesh=mesh,
            key=f"necrosis-{self.key}-{size:.3f}-{part:.3f}",
            rank=RANKS["tumour"] + 1,
        )

    @cached_property
    def _middle_mm(self) -> Vector:
        """(3,) the point deepest inside the full-grown tumour among those near its surface's middle."""
        return self.whole.mesh(1.0, 1.0).points_mm.mean(0)

    @cached_property
    def bone_part(self) -> Structure:
        """The part of the full-grown tumour that lies in the body: what its arteries go to."""
        full = self.whole.full
        wall = float(vertebra(self.level).landmarks["body-back-centre"][1]) + 1.0
        bounds = box_bounds(
            [full.bounds_mm[0, 0], max(wall, full.bounds_mm[0, 1]), full.bounds_mm[0, 2]], full.bounds_mm[1]
        )
        part = Field(lambda p: np.maximum(full.distance(p), wall - p[:, 1]), bounds, exact=False)
        return replace(
            self.tumour(1.0),
            field=part,
            mesh=lambda spacing_mm: mesh_field(part, spacing_mm),
            key=f"{self.key}-in-bone",
        )

    def shrunk_points(self, points_mm: Points, share: float) -> Points:
        """Where points (N, 3) of the full-grown tumour are at `share`."""
        return self.root_mm + _checked(share) * (points_mm - self.root_mm)

    # what it presses aside -------------------------------------------------------------------------------------------

    def push(self, share: float) -> Push | None:
        """What it does to the nerves at `share`; None where it reaches nothing."""
        size = _checked(share)
        if size <= 0.0:
            return None
        return remembered(self._pushes, size, lambda: self._push(size), _KEPT_PUSHES)

    def _push(self, size: float) -> Push | None:
        flip = _flip(self.side)
        shape = self.shape

        def reach(away: Points) -> Distances:
            return size * read_directions(shape.reach_mm, away * flip)

        return push(self.level, self.whole.field(size), self.root_mm, reach, shape.towards * flip)

    def displaced(self, structures: Mapping[str, Structure], share: float) -> dict[str, Structure]:
        """`structures` by name as they lie beside the tumour at `share`: those of NERVES pushed aside, the others, and
        all where nothing is reached, the same objects."""
        moved = self.push(share)
        if moved is None:
            return dict(structures)
        tag = f"|{self.key}-{_checked(share):.3f}"
        return {
            name: _carried(part, moved, tag) if name in NERVES and _touches(part, moved) else part
            for name, part in structures.items()
        }

    # what is measured ------------------------------------------------------------------------------------------------

    def measures(self, structures: Mapping[str, Structure], share: float) -> EpiduralMeasures:
        """The measures at `share`; `structures` holds the nerves before they were pushed ("cord", "dura", "roots")."""
        size = _checked(share)
        return remembered(self._measured, size, lambda: self._measure(structures, size), _KEPT_MEASURES)

    def _measure(self, structures: Mapping[str, Structure], size: float) -> EpiduralMeasures:
        lie = self.displaced({name: structures[name] for name in ("cord", "dura", "roots")}, size)
        neural = np.inf
        if size > 0.0:
            tumour = self.whole.field(size)
            low, high = self.whole.full.bounds_mm + 25.0 * np.array([[-1.0], [1.0]])
            points = lie["cord" if self.has_cord else "roots"].world_mesh(1.0).points_mm
            near = points[in_box(points, low, high)]
            neural = max(0.0, float(tumour.distance(near).min()))
        return EpiduralMeasures(
            diameter_mm=size * self._full_diameter_mm,
            neural_mm=neural,
            canal_share=self._canal_share(size),
            cord_depth_mm=self._depth_mm(lie["cord" if self.has_cord else "dura"].world_mesh(1.0)),
        )

    @cached_property
    def _full_diameter_mm(self) -> float:
        return greatest_diameter_mm(self.whole.mesh(1.0, 0.8))

    @cached_property
    def _taken(self) -> tuple[NDArray[np.float64], ...]:
        """For each plane across the canal the shares of the diameter from which on its points are taken, in order."""
        here = vertebra(self.level)
        low, high = here.canal.bounds_mm
        middle = float(here.landmarks["canal-centre"][2])
        step = _SLICE_MM / 3.0
        x, y = np.meshgrid(np.arange(low[0], high[0] + step, step), np.arange(low[1], high[1] + step, step))
        out = []
        for up in np.arange(-9.0, 9.01, _SLICE_MM):
            points = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, middle + up)])
            out.append(np.sort(self.shape.share_at(points[here.canal.contains(points)])))
        return tuple(out)

    def _canal_share(self, size: float) -> float:
        return 1.0 - max(float(np.searchsorted(taken, size)) / len(taken) for taken in self._taken)

    @cached_property
    def _deepest_z_mm(self) -> float:
        """z at which the full-grown tumour takes most of the canal."""
        middle = float(vertebra(self.level).landmarks["canal-centre"][2])
        taken = [float(np.searchsorted(plane, 1.0)) for plane in self._taken]
        return middle - 9.0 + _SLICE_MM * int(np.argmax(taken))

    def _depth_mm(self, surface: Mesh) -> float:
        inner = 1.0 if self.has_cord else _INNER
        heights = self._deepest_z_mm + np.array([-_BESIDE_MM, 0.0, _BESIDE_MM])
        return min(least_depth_mm(surface, float(z), inner) for z in heights)


def _flip(side: str) -> Vector:
    return np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])


def _checked(share: float) -> float:
    """`share` to thousandths; RequestError where the tumour was not made for it."""
    most = figure("swell_share")
    if not 0.0 <= share <= most:
        raise RequestError(f"tumour: {share:g} of its diameter was asked for; give 0 to {most:g}")
    return round(float(share), 3)


def _touches(part: Structure, moved: Push) -> bool:
    low, high = moved.bounds_mm
    return bool(((part.field.bounds_mm[0] < high) & (part.field.bounds_mm[1] > low)).all())


def _carried(part: Structure, moved: Push, tag: str) -> Structure:
    """`part`, whose local frame is the world, as it lies now."""
    made: dict[float, Mesh] = {}

    def mesh(spacing_mm: float) -> Mesh:
        key = round(float(spacing_mm), 3)
        if key not in made:
            rest = part.world_mesh(min(spacing_mm, EVERY_RING_MM) if part.name in _SWEPT else spacing_mm)
            made[key] = rest.with_points(moved.forward(rest.points_mm))
        return made[key]

    low, high = part.field.bounds_mm
    reach = float(np.abs(moved.shift_mm).max()) + float(moved.root_mm.max()) + 1.0
    bounds = box_bounds(low - np.array([reach, reach, 0.0]), high + np.array([reach, reach, 0.0]))
    shape = Field(lambda p: part.field.distance(moved.inverse(p)), bounds, exact=False)
    return replace(part, field=shape, mesh=mesh, key=part.key + tag, world_from_local=Frame(), healthy=moved.inverse)


@lru_cache(maxsize=16)
def _made(level: str, diameter_mm: float, side: str, seed: int) -> Epidural:
    return _of_shape(level, diameter_mm, side, seed, grown(level, diameter_mm, seed))


def _of_shape(level: str, diameter_mm: float, side: str, seed: int, shape: Shape) -> Epidural:
    key = f"epidural-{level}-{diameter_mm:g}-{side}-{seed}"
    grid, start = shape.grid, shape.centre_mm
    if side == "left":
        values = np.ascontiguousarray(grid.values[::-1])
        right = float(grid.bounds_mm[1, 0])
        grid = Grid(np.array([-right, grid.origin_mm[1], grid.origin_mm[2]]), grid.spacing_mm, values)
        start = start * _flip(side)
    whole = Tumour(level, diameter_mm, side, start, grid.field(), key)
    return Epidural(level, diameter_mm, side, shape, whole, key)


def epidural(
    level: str, diameter_mm: float = 14.0, side: str = "left", seed: int = 7, shape: Shape | None = None
) -> Epidural:
    """The tumour of `level` that grows into its canal; without a shape: equal arguments, the same object.

    Args:
        level: T4 to L4.
        diameter_mm: its greatest diameter, measured on its surface within 2 %.
        side: "left" or "right", where it begins, beside the pedicle.
        shape: the one that was found for these arguments; None finds it.

    Raises RequestError, naming the key: for a level or side that is none, and for a diameter that body and canal cannot
    hold.
    """
    if level not in SEGMENTAL_LEVELS:
        raise RequestError(f"spine.level: {level!r} has no tumour in its canal here; give T4 to L4")
    if side not in SIDES:
        raise RequestError(f"tumour.side: there is no side {side!r}; give {' or '.join(SIDES)}")
    if not (np.isfinite(diameter_mm) and diameter_mm >= 4.0):
        raise RequestError(f"tumour.diameter_mm: {diameter_mm:g} is too small to show; give 4 or more")
    if shape is not None:
        return _of_shape(level, float(diameter_mm), side, int(seed), shape)
    return _made(level, float(diameter_mm), side, int(seed))
