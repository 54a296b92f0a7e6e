"""Where the parts of one augmentation plan are: the points on which labels, marks and lines hang."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import level_above, level_below
from spineviz.anatomy.structure import remembered
from spineviz.anatomy.vertebra import vertebra
from spineviz.film.anchors import NOWHERE, Point, as_point, facing, surface_towards, surfaces_towards

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.fields import Field
    from spineviz.geometry.frames import Frame
    from spineviz.procedures.state import State

UP, DOWN, BACK = (0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0)
LEFT, RIGHT = (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)
_L1_WIDTH_MM = 41.2
_CUT_REACH_MM = 24.0
"""How far from its origin a cut face of L1 is looked at."""


class Parts:
    """The treated vertebra of `plan` (of an augmentation) and the instruments in it, as points in the world, mm.

    `at` finds all that exists at a state of the plan; by default it is made anew.
    """

    def __init__(self, plan: Any, at: Callable[[State], Mapping[str, Structure]] | None = None) -> None:
        self.plan = plan
        self.at = at or plan.structures_at
        self.level: str = plan.level
        self.above, self.below = level_above(self.level), level_below(self.level)
        self.bone = vertebra(self.level)
        approach = plan.case.needle.approach
        self.sides: tuple[str, ...] = ("right", "left") if approach == "bipedicular" else (approach,)
        self._edges: OrderedDict[float, Mapping[str, Point]] = OrderedDict()  # of the latest few amounts
        self._rings: OrderedDict[str, tuple[Point, ...]] = OrderedDict()  # of each side
        self._nerves: tuple[Hashable, Point] = (None, NOWHERE)  # of which parts, and where

    # the body ---------------------------------------------------------------------------------------------------------

    @property
    def size(self) -> float:
        """The treated vertebra's width against that of L1: cameras and panels stand nearer to a smaller one."""
        return float(self.bone.row["EPWu_mm"].value) / _L1_WIDTH_MM

    @property
    def height_gauge(self) -> str:
        """The gauge of the height that this fracture takes."""
        return "middle_height" if self.plan.case.fracture.shape == "biconcave" else "anterior_height"

    def edges(self, state: State) -> Mapping[str, Point]:
        """The corners of the treated body in the middle plane, where fracture, posture and balloons have them, and the
        back wall's waist."""
        return self.edges_of(self.plan.patient.amount(state.collapse, state.lying, state.lift))

    def edges_of(self, amount: float) -> Mapping[str, Point]:
        """The same at the fracture's `amount`: "upper-front", "upper-back", "lower-front", "lower-back", "waist"."""
        return remembered(self._edges, amount, lambda: self._moved_edges(amount))

    def _moved_edges(self, amount: float) -> Mapping[str, Point]:
        marks = {name: f"{name}-rim" for name in ("upper-front", "upper-back", "lower-front", "lower-back")}
        marks["waist"] = "body-back-centre"
        healthy = np.array([self.bone.landmarks[mark] for mark in marks.values()])
        moved = self.plan.patient.fracture.forward(healthy, amount)
        return MappingProxyType(dict(zip(marks, map(as_point, moved), strict=True)))

    def back_wall(self, state: State) -> tuple[Point, ...]:
        """The back wall in the middle plane, from its upper corner by its waist to its lower one."""
        edges = self.edges(state)
        return edges["upper-back"], edges["waist"], edges["lower-back"]

    def over_wall(self, state: State) -> Point:
        """A place behind the back wall's upper corner, for a sign."""
        return as_point(np.array(self.edges(state)["upper-back"]) + [0.0, -7.0, 9.0])

    def back_quarter(self, state: State) -> tuple[Point, ...]:
        """The corners of the back quarter in the middle plane, from the wall's waist to where the cement must stop."""
        edges = self.edges(state)
        corners = []
        stops = (float(self.bone.landmarks["body-back-centre"][1]), float(self.plan.back_quarter_y_mm))
        for end, order in (("upper", stops), ("lower", stops[::-1])):
            back, front = np.array(edges[f"{end}-back"]), np.array(edges[f"{end}-front"])
            corners += [as_point(back + (y - back[1]) / (front[1] - back[1]) * (front - back)) for y in order]
        return tuple(corners)

    def across(self, state: State, share: float) -> tuple[Point, Point]:
        """The upper and the lower edge of the body, `share` of the way from back to front."""
        edges = self.edges(state)
        ends = []
        for end in ("upper", "lower"):
            back, front = np.array(edges[f"{end}-back"]), np.array(edges[f"{end}-front"])
            ends.append(as_point(back + share * (front - back)))
        return ends[0], ends[1]

    def measured_height(self, state: State) -> tuple[Point, Point, str]:
        """Where the lost height is read on the body, and what it says."""
        edges = self.edges(state)
        if self.height_gauge == "anterior_height":
            return edges["upper-front"], edges["lower-front"], f"{state.anterior_height_mm:.1f} mm"
        body = self.at(state)[self.level].field
        y = float(np.mean([edges["upper-front"][1], edges["upper-back"][1]]))
        ends = [surface_towards(body, (0.0, y, 0.0), way, 40.0) for way in (UP, DOWN)]
        return ends[0], ends[1], f"{state.middle_height_mm:.1f} mm"

    @property
    def disc_above(self) -> str:
        """The name of the disc over the treated body (under it at T1)."""
        return f"disc-{self.above}-{self.level}" if self.above else f"disc-{self.level}-{self.below}"

    # pedicles, canal, nerves ------------------------------------------------------------------------------------------

    def pedicle(self, side: str) -> NDArray[np.float64]:
        """(3,) the middle of the pedicle's isthmus."""
        return self.bone.frames[f"pedicle-{side}"].origin_mm

    @property
    def ring_mm(self) -> float:
        """Half the pedicle's width: the radius of its ring from behind."""
        return float(self.bone.row["PDW_zindrick_mm"].value) / 2

    @property
    def pedicle_half_mm(self) -> float:
        """Half the pedicle's height."""
        return float(self.bone.row["PDH_zindrick_mm"].value) / 2

    def pedicle_ring(self, side: str) -> tuple[Point, ...]:
        """The pedicle's outline at its narrowest, as AP shows it, closed."""
        return remembered(self._rings, side, lambda: self._ring(side))

    def _ring(self, side: str) -> tuple[Point, ...]:
        frame = self.bone.frames[f"pedicle-{side}"]
        turn = np.linspace(0.0, 2 * np.pi, 33)
        across, up = frame.rotation[:, 0], frame.rotation[:, 2]
        ring = (
            frame.origin_mm
            + self.ring_mm * np.cos(turn)[:, None] * across
            + self.pedicle_half_mm * np.sin(turn)[:, None] * up
        )
        return tuple(map(as_point, ring))

    def beside_pedicle(self, side: str) -> Point:
        """A place outside the pedicle's ring, under the needle's way, for a sign."""
        outward = 1.0 if side == "right" else -1.0
        return as_point(self.pedicle(side) + [outward * 3.2 * self.ring_mm, 0, -1.2 * self.pedicle_half_mm])

    @property
    def over_canal(self) -> Point:
        """A place over the canal's zone, for its name."""
        return as_point((-4.0, -20.0, float(self.pedicle("left")[2]) + 1.5 * self.pedicle_half_mm))

    @property
    def canal_zone(self) -> tuple[Point, ...]:
        """Between the inner edges of the pedicles, where the canal lies in AP."""
        half = float(self.bone.row["SCW_use_mm"].value) / 2
        z, high = float(self.pedicle("left")[2]), self.pedicle_half_mm
        return tuple((x, -20.0, z + dz) for x, dz in ((-half, high), (half, high), (half, -high), (-half, -high)))

    def nerves(self, state: State) -> Point:
        """A point of the dura that shows from behind, in a gap between two laminae."""
        at = self.at(state)
        bones = [at[name] for name in (self.above, self.level, self.below) if name and name in at]
        key = tuple((s.key, s.world_from_local.key) for s in (at["dura"], *bones))
        if key != self._nerves[0]:
            self._nerves = key, self._clearest(at["dura"].field, [bone.field for bone in bones])
        return self._nerves[1]

    def _clearest(self, dura: Field, bones: Sequence[Field]) -> Point:
        """The point on the back of `dura` from which the way out runs farthest from all `bones`."""
        start = np.asarray(self.bone.landmarks["canal-centre"], float)
        heights = np.linspace(-1.1, 1.1, 23) * float(self.bone.row["VBHp_use_mm"].value)
        points = surfaces_towards(dura, start + heights[:, None] * [0.0, 0.0, 1.0], BACK)
        behind = points[:, None, :] + np.arange(0.0, 60.0, 1.0)[:, None] * np.array(BACK)
        clear = np.min([bone(behind.reshape(-1, 3)).reshape(len(points), -1).min(axis=1) for bone in bones], axis=0)
        return as_point(points[int(np.argmax(clear))])

    # instruments and cement -------------------------------------------------------------------------------------------

    def on_needle(self, state: State, side: str, back_mm: float) -> Point:
        """The point of the needle `back_mm` behind its tip, or the skin's entry while there is none."""
        way = state.way_mm(side)
        return as_point(self.plan.needles[side].tip_at((way if way is not None else 0.0) - back_mm))

    def in_bone(self, side: str, back_mm: float) -> Point:
        """The point of the needle `back_mm` behind its tip once it has met bone."""
        needle = self.plan.needles[side]
        return as_point(needle.tip_at(needle.contact_way_mm - back_mm))

    def on_cannula(self, side: str, back_mm: float) -> Point:
        """The point of the cannula at rest `back_mm` behind its tip."""
        return as_point(self.plan.needles[side].tip_at(self.plan.cannula_way_mm(side) - back_mm))

    def in_channel(self, side: str) -> Point:
        """The middle of the drilled channel."""
        needle = self.plan.needles[side]
        return as_point(needle.tip_at((self.plan.cannula_way_mm(side) + needle.reach_mm) / 2))

    def on_cut(self, name: str, plane: Frame, state: State, beside: str = "") -> Point:
        """The point of the cut face on `plane` that lies deepest in `name`, and not in `beside` where that is named;
        the nearest to it where the plane misses it."""
        at = self.at(state)
        reach = np.arange(-_CUT_REACH_MM, _CUT_REACH_MM + 0.1, 1.0) * self.size
        across, up = np.meshgrid(reach, reach)
        face = plane.points(np.column_stack([across.ravel(), up.ravel(), np.zeros(across.size)]))
        depth = at[name].field(face)
        if beside in at:
            depth = np.maximum(depth, -at[beside].field(face))
        return as_point(face[int(depth.argmin())])

    @cached_property
    def cement_label(self) -> tuple[tuple[float, float, float], Point]:
        """The way from the cement's middle to where it shows beside the tumour, and the surface point there at last."""
        last = self.plan.film.steps[-1].name
        at = self.at(self.plan.state_at(last, 1.0))
        ways = ((-1.0, 0.0, 0.0), (-0.8, 0.5, 0.1), (-0.6, 0.4, -0.7), (-0.6, 0.4, 0.7))
        points = [facing(at, "cement", way) for way in ways]
        best = int(np.argmax(at["tumour"].field(np.array(points))))
        return ways[best], points[best]
