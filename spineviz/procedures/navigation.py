"""How wire, catheter and microcatheter come from the groin to the tumour's feeder: every stretch of their way.

    kit = chosen_kit(case, tree)
    way = plan_navigation(tree, kit, runs, access)      # runs: the segmental arteries that are injected, in order
    way.passages["climb"].at(0.4)                       # a Posture: the device's line and how far each is in

The route is found on the tree. Along the iliac arteries and the aorta the wire leads and the catheter follows; above
the orifice the wire is drawn back, the tip takes its own shape, faces the wall from which the artery springs, and is
drawn down into it. A catheter never advances without a wire before it: to reach a higher artery the wire goes in again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arteries import ArterialTree
from spineviz.data.aside import Aside, two_at_once
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Points, Vector, unit
from spineviz.physics.rod import (
    SPACING_MM,
    Course,
    Lumen,
    Rod,
    Shape,
    Task,
    catalogue_rods,
    coursing,
    joined,
    lumen_within,
    resting,
    together,
    turned_back,
)
from spineviz.physics.rod_packing import packed_course, unpacked_course
from spineviz.procedures.kept import Packed, taken, under

Floats = NDArray[np.float64]
Target = tuple[str, str]
"""(level, side) of a segmental artery."""

STEP_MM = 20.0
"""From one sought shape to the next along the great vessels."""
_SPRING_MM = 4.0
"""From one sought shape to the next while the tip springs into an orifice."""
_ORIFICE_MM = 1.0
"""Distance of the nodes where a catheter lies in an orifice, round whose rim it bends."""
FINE_MM = 0.5
"""Distance of the nodes along a microcatheter, whose vessels fork sharply."""
_TURN_DEG = 20.0
"""From one sought shape to the next while the tip is turned."""
_WIRE_WEIGHT = 0.25
"""A wire drawn through a catheter that stands is walked faster than a catheter that moves."""
_DWELL_MM = 280.0
"""How long a dwell is, as a way that is walked meanwhile."""
_ENTRY_STATIONS, _FEEDER_STATIONS = 6, 40
"""How many shapes are sought for an entry, and in the feeder, whose nodes are near to one another; about."""
_HIGHER_MM = 4.0
"""An orifice that lies higher by less is entered with the tip so much less deep."""


@cache
def navigation_figure(name: str) -> float:
    """The value `name` of assets/devices/navigation.csv."""
    return sourced_table(asset("devices", "navigation.csv"))[name].value


@dataclass(frozen=True)
class Kit:
    """The devices that are led, from the catalogue."""

    wire: Rod
    catheter: Rod
    micro: Rod
    micro_wire: Rod


@dataclass(frozen=True, eq=False)
class Posture:
    """Devices at a moment.

    Attributes:
        shape: the line from where they are held to the tip of the longest.
        outer_mm, wire_mm: how long the catheter (0: none yet) and the wire in it (0: out) are beyond that place.
    """

    shape: Shape
    outer_mm: float
    wire_mm: float

    @property
    def points_mm(self) -> Points:
        """(M, 3) the whole line."""
        return self.shape.points_mm

    @property
    def outer_line(self) -> Points | None:
        """(K, 3) the catheter's line, or None while it is not in."""
        return self._upto(self.outer_mm)

    @property
    def wire_line(self) -> Points | None:
        """(K, 3) the wire's line, or None while it is out."""
        return self._upto(self.wire_mm)

    @property
    def catheter_tip_mm(self) -> Vector:
        """(3,) the catheter's tip, or the wire's while that is alone."""
        line = self.outer_line
        return self.points_mm[-1] if line is None else line[-1]

    def _upto(self, way_mm: float) -> Points | None:
        return None if way_mm <= 0.5 else self.shape.upto(way_mm)


@dataclass(frozen=True, eq=False)
class Passage:
    """A stretch of the way, walked evenly.

    Attributes:
        course: shapes on it.
        alone: whether the course's device is the wire itself, without a catheter.
        dwell: the station at which everything rests for a while; None for none. A wire that has led a catheter up is
            seen ahead of it before it is drawn back.
    """

    course: Course
    alone: bool = False
    dwell: float | None = None

    @cached_property
    def _walked(self) -> Floats:
        """(S,) 0 to 1, how much of the stretch is over at each station."""
        rods = np.array([[advance for _, advance in rods] for rods in self.course.rods])
        moved = np.abs(np.diff(rods[:, 0]))
        if rods.shape[1] > 1:
            moved = np.maximum(moved, _WIRE_WEIGHT * np.abs(np.diff(rods[:, 1])))
        tips = np.array([shape.at(row[0])[0] for shape, row in zip(self.course.shapes, rods, strict=True)])
        swung = np.linalg.norm(np.diff(tips, axis=0), axis=1)
        step = np.maximum(moved, 0.6 * swung) + 1e-3
        if self.dwell is not None:
            step[int(np.argmin(np.abs(self.course.stations - self.dwell)))] += _DWELL_MM
        total = np.concatenate([[0.0], np.cumsum(step)])
        return total / total[-1]

    def at(self, share: float) -> Posture:
        """The devices when `share` (0 to 1) of the stretch is over."""
        shape = self.course.at(float(np.interp(share, self._walked, self.course.stations)))
        return Posture(shape, *self.lengths(share))

    def lengths(self, share: float) -> tuple[float, float]:
        """How long catheter (0: none) and wire (0: out) are beyond where they are held, at `share` of the stretch."""
        station = float(np.interp(share, self._walked, self.course.stations))
        first, *within = (
            float(np.interp(station, self.course.stations, [rods[k][1] for rods in self.course.rods]))
            for k in range(len(self.course.rods[0]))
        )
        if self.alone:
            return 0.0, first
        return first, within[0] if within else 0.0

    @property
    def end(self) -> Posture:
        """Where it ends."""
        return self.at(1.0)

    def packed(self) -> Packed:
        """Plain numbers and arrays; `unpacked` makes it again."""
        plain, arrays = packed_course(self.course)
        return {"course": plain, "alone": self.alone, "dwell": self.dwell}, arrays

    @classmethod
    def unpacked(cls, plain: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Passage:
        """The passage of what `packed` gave."""
        return cls(unpacked_course(plain["course"], arrays), bool(plain["alone"]), plain["dwell"])


@dataclass(frozen=True, eq=False)
class Navigation:
    """All stretches.

    Attributes:
        passages: by name: "wire", "climb", "bare", "hook", "empty", then "run-2" and so on to each artery that is
            injected, "return" to the target, "micro-wire" and "micro" in the feeder (held at the catheter's tip),
            "check" to the cord's artery, "out".
        orifice_mm: way from the puncture to the target's orifice, along the middle lines.
    """

    passages: Mapping[str, Passage]
    orifice_mm: float

    def packed(self) -> Packed:
        """Plain numbers and arrays; `unpacked` makes it again."""
        plain: dict[str, Any] = {"orifice_mm": self.orifice_mm, "passages": {}}
        arrays: dict[str, NDArray] = {}
        for name, passage in self.passages.items():
            plain["passages"][name], own = passage.packed()
            arrays |= under(name, own)
        return plain, arrays

    @classmethod
    def unpacked(cls, plain: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> Navigation:
        """What `packed` gave; KeyError, TypeError or ValueError where that is damaged."""
        return cls(
            {name: Passage.unpacked(entry, taken(name, arrays)) for name, entry in plain["passages"].items()},
            float(plain["orifice_mm"]),
        )


# ---- the ways on the tree -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ways:
    """The lumens from a puncture, and where the segmental arteries spring, on the tree.

    Attributes:
        tree: the arteries.
        start: (branch, way mm) of the puncture.
    """

    tree: ArterialTree
    start: tuple[str, float]
    _into: dict[Target, Lumen] = attribute(default_factory=dict, repr=False)

    def trunk(self, target: Target) -> str:
        """The name of a segmental artery."""
        return f"segmental-{target[0]}-{target[1]}"

    def orifice_mm(self, target: Target) -> float:
        """The way along the middle lines to where a segmental artery begins in the aorta's middle."""
        return self.tree.distance_mm(self.start, ("aorta", self.tree.branch(self.trunk(target)).parent_mm))

    def wall_mm(self, target: Target) -> float:
        """The way along the middle lines to where that artery's middle leaves the aorta."""
        return self.orifice_mm(target) + self.tree.branch(self.trunk(target)).wall_mm

    def past_wall_mm(self, target: Target, point_mm: Vector) -> float:
        """How far a point (3,) in that artery is past the aorta's wall."""
        branch = self.tree.branch(self.trunk(target))
        line = branch.centreline
        near = int(np.argmin(np.linalg.norm(line.points_mm - point_mm, axis=1)))
        along = float((point_mm - line.points_mm[near]) @ line.tangents()[near])
        return float(line.arc_mm[near]) + along - branch.wall_mm

    def facing(self, target: Target) -> Vector:
        """(3,) the way out of the aorta into that artery."""
        branch = self.tree.branch(self.trunk(target))
        return unit(branch.centreline.at(branch.wall_mm + 2.0)[0] - branch.centreline.points_mm[0])

    def within(self, target: Target, past_mm: float) -> Vector:
        """(3,) the place in the middle of that artery so far past the aorta's wall."""
        branch = self.tree.branch(self.trunk(target))
        return np.asarray(branch.centreline.at(branch.wall_mm + past_mm)[0])

    def through_orifice(self, target: Target, outside_mm: Points, inside_mm: Points) -> Curve:
        """From a place (3,) in the aorta through the middle of the target's orifice to a place (3,) in its artery."""
        branch = self.tree.branch(self.trunk(target))
        past = max(self.past_wall_mm(target, inside_mm), 0.5)
        middle = branch.centreline.at(branch.wall_mm + np.arange(-1.0, past, 1.0))
        return Curve(np.concatenate([outside_mm[None], middle, inside_mm[None]]))

    @cached_property
    def aorta(self) -> Lumen:
        """From the puncture up to the arch."""
        return self._lumen(("aorta", 2.0))

    def into(self, target: Target) -> Lumen:
        """From the puncture into a segmental artery, the aorta beyond its orifice open too; made once."""
        if target not in self._into:
            branch = self.tree.branch(self.trunk(target))
            end = branch.name, branch.wall_mm + 0.6 * (branch.length_mm - branch.wall_mm)
            self._into[target] = self._lumen(end)
        return self._into[target]

    def _lumen(self, end: tuple[str, float]) -> Lumen:
        route = self.tree.route(self.start, end)
        return lumen_within(route.curve.points_mm, [self._tube(name) for name in route.branches])

    def _tube(self, name: str) -> tuple[Points, Floats]:
        branch = self.tree.branch(name)
        return branch.centreline.points_mm, branch.radius_mm

    def feeder(self, target: Target, from_mm: Points, micro: Rod) -> tuple[Lumen, float]:
        """From a catheter's tip (3,) in the target's artery into the tumour's main feeder, and how far a microcatheter
        goes on it; RequestError, with both sizes, where it does not fit."""
        trunk, feeder = self.tree.branch(self.trunk(target)), self.tree.branch("feeder-1")
        near = float(trunk.centreline.arc_mm[np.argmin(np.linalg.norm(trunk.centreline.points_mm - from_mm, axis=1))])
        fits = feeder.centreline.arc_mm[feeder.radius_mm > micro.radius_mm + navigation_figure("micro_room_mm")]
        if not len(fits) or fits[-1] <= feeder.wall_mm:
            widest = 2.0 * float(feeder.radius_at(feeder.wall_mm)[0])
            raise RequestError(
                f"catheter.micro_french: {micro.name} is {2 * micro.radius_mm:.2f} mm wide and the tumour's feeder "
                f"{widest:.2f} mm; give a smaller one"
            )
        inner = trunk.centreline.part(near + 2.0, feeder.parent_mm).points_mm
        way = np.concatenate([from_mm[None], inner, feeder.centreline.points_mm[1:]])
        lumen = lumen_within(way, [self._tube(trunk.name), self._tube(feeder.name)])
        to_fork = Curve(np.concatenate([from_mm[None], inner])).length_mm
        return lumen, to_fork + float(fits[-1]) - navigation_figure("micro_short_mm")


# ---- the stretches --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _InAorta:
    """A part of the way in the aorta: how long catheter and wire (0: out) are, (K,) each, and where the tip bends to.

    `alone`: there is no catheter, the wire itself is led.
    """

    catheter_mm: tuple[float, ...]
    wire_mm: tuple[float, ...]
    facing: tuple[Target, ...]
    alone: bool = False


@dataclass(frozen=True)
class _Parked:
    """The catheter in an artery, and the wire (K,) in it."""

    target: Target
    catheter_mm: float
    wire_mm: tuple[float, ...]


@dataclass(frozen=True)
class _Entry:
    """From the aorta into an artery, or `back` out of it, with a catheter and a wire (0: out) that stand."""

    target: Target
    catheter_mm: float
    wire_mm: float
    back: bool = False


_Part = _InAorta | _Parked | _Entry


@dataclass(frozen=True)
class _Stretch:
    """The parts of a stretch; `dwell`: the one at whose end everything rests for a while, None for none."""

    parts: tuple[_Part, ...]
    dwell: int | None = None


@dataclass(frozen=True, eq=False)
class _Leading:
    """Makes the stretches: how long everything is at the ends of each is known beforehand, so that all their parts can
    be sought side by side."""

    ways: Ways
    kit: Kit

    # what is in where ------------------------------------------------------------------------------------------------

    def parked_mm(self, target: Target) -> float:
        """How much of the catheter is in when its tip is parked in that artery."""
        return self.ways.wall_mm(target) + navigation_figure("parked_mm")

    def top_mm(self, target: Target) -> float:
        """Where the tip re-forms."""
        return self.parked_mm(target) + navigation_figure("above_orifice_mm")

    def _ahead_mm(self, catheter_mm: Floats | float) -> Floats:
        """How far the wire is in that leads a catheter; at the arch it has less room to do so."""
        return np.minimum(catheter_mm + navigation_figure("wire_lead_mm"), self.ways.aorta.length_mm - 1.0)

    def _is_higher(self, there: Target, catheter_mm: float) -> bool:
        return self.parked_mm(there) > catheter_mm + _HIGHER_MM

    def arrived_mm(self, there: Target, catheter_mm: float) -> float:
        """How much of the catheter is in when it has come to the artery `there`, `catheter_mm` before."""
        from_mm = self.top_mm(there) if self._is_higher(there, catheter_mm) else catheter_mm
        return min(self.parked_mm(there), from_mm)

    # the stretches ---------------------------------------------------------------------------------------------------

    def stretches(self, runs: Sequence[Target], cord: Target) -> dict[str, _Stretch]:
        """Every stretch but those in the feeder; see `plan_navigation`."""
        target, top, parked = runs[0], self.top_mm(runs[0]), self.parked_mm(runs[0])
        resting_mm = top - navigation_figure("wire_parked_mm")
        out = {
            "wire": self._wire(), "climb": self._climb(target), "bare": self._bare(target, top),
            "hook": _Stretch(self._hook(target, top, resting_mm)), "empty": self._empty(target, parked, resting_mm),
        }  # fmt: skip
        here, at = target, parked
        for number, there in enumerate(runs[1:], start=2):
            out[f"run-{number}"] = self._onward(here, there, at)
            here, at = there, self.arrived_mm(there, at)
        out["return"] = self._onward(here, target, at)
        at = self.arrived_mm(target, at)
        out["check"] = self._onward(target, cord, at)
        out["out"] = self._out(cord, self.arrived_mm(cord, at))
        return out

    def _wire(self) -> _Stretch:
        """The wire alone, from the puncture on."""
        wire = _steps(12.0, navigation_figure("first_wire_mm"))
        return _Stretch((_InAorta((), tuple(wire.tolist()), (), alone=True),))

    def _climb(self, target: Target) -> _Stretch:
        """The catheter over the wire from the groin to above the target; the wire leads."""
        catheter = _steps(4.0, self.top_mm(target))
        wire = np.maximum(navigation_figure("first_wire_mm"), self._ahead_mm(catheter))
        return _Stretch((_in_aorta(catheter, wire, target),))

    def _bare(self, target: Target, catheter_mm: float) -> _Stretch:
        """The wire is drawn back until the tip has its own shape, facing the target's wall."""
        lead, parked = float(self._ahead_mm(catheter_mm)) - catheter_mm, navigation_figure("wire_parked_mm")
        wire = np.concatenate([np.arange(lead, -40.0, -12.0), [-60.0, -parked]]) + catheter_mm
        return _Stretch((_in_aorta(np.full(len(wire), catheter_mm), wire, target),))

    def _hook(self, target: Target, from_mm: float, wire_mm: float = 0.0) -> tuple[_Part, ...]:
        """Drawn down the aorta until the tip goes into the target's artery; the wire, if there is one, stands."""
        end = min(self.parked_mm(target), from_mm)
        down = _steps(from_mm, end, 8.0)
        return _in_aorta(down, np.full(len(down), wire_mm), target), _Entry(target, end, wire_mm)

    def _empty(self, target: Target, catheter_mm: float, wire_mm: float) -> _Stretch:
        """The wire out, the catheter parked."""
        # what is left of the wire's stiffness goes with its end: the tip comes to lie where it will be parked
        wire = tuple(np.arange(wire_mm, 0.0, -60.0).tolist())
        return _Stretch((_Parked(target, catheter_mm, wire), _Parked(target, catheter_mm, (0.0,))))

    def _onward(self, here: Target, there: Target, catheter_mm: float) -> _Stretch:
        """From one parked place to the next: out of the orifice, turned, drawn down; led up by the wire where it lies
        higher."""
        parts: list[_Part] = [_Entry(here, catheter_mm, 0.0, back=True)]
        dwell, at = None, catheter_mm
        if self._is_higher(there, at):
            top, ahead = self.top_mm(there), float(self._ahead_mm(at))
            inward = np.concatenate([np.arange(0.0, at - 40.0, 60.0), _steps(at - 40.0, ahead, 15.0)])
            up = _steps(at, top)
            last = float(self._ahead_mm(top))
            back = np.concatenate([np.arange(last, top - 40.0, -12.0), np.arange(top - 60.0, 0.0, -60.0), [0.0]])
            parts += [
                _in_aorta(np.full(len(inward), at), inward, here), _in_aorta(up, self._ahead_mm(up), here),
                _in_aorta(np.full(len(back), top), back, here),
            ]  # fmt: skip
            at, dwell = top, 2
        parts += [_InAorta((at,), (0.0,), (here, there)), *self._hook(there, at)]
        return _Stretch(tuple(parts), dwell)

    def _out(self, here: Target, catheter_mm: float) -> _Stretch:
        """The catheter drawn out."""
        down = _steps(catheter_mm, 6.0)
        return _Stretch((_Entry(here, catheter_mm, 0.0, back=True), _in_aorta(down, np.zeros(len(down)), here)))

    # how they lie ----------------------------------------------------------------------------------------------------

    def led(self, stretches: Mapping[str, _Stretch]) -> dict[str, Passage]:
        """How the devices lie on `stretches`, by name; after a "return" to the target those in its feeder too."""
        asked = dict.fromkeys(part for stretch in stretches.values() for part in stretch.parts)
        home = stretches["return"].parts[-1] if "return" in stretches else None
        entries = dict.fromkeys(replace(part, back=False) for part in asked if isinstance(part, _Entry))
        tasks: list[Task[Any]] = [self._entered(part, part == home) for part in entries]
        others = [part for part in asked if not isinstance(part, _Entry)]
        found = together(tasks + [self._course(part) for part in others])
        courses: dict[_Part, tuple[Course, ...]] = {
            part: (way,) for part, way in zip(others, found[len(entries) :], strict=True)
        }
        fine: dict[str, Passage] = {}
        for entry, (sprung, parked, *further) in zip(entries, found, strict=False):
            courses[entry] = sprung, parked
            courses[replace(entry, back=True)] = parked, turned_back(sprung)
            fine.update(*further)
        return {name: _passage(stretch, courses) for name, stretch in stretches.items()} | fine

    def _course(self, part: _InAorta | _Parked) -> Task[Course]:
        if isinstance(part, _Parked):
            return self._in_artery(part.target, part.catheter_mm, np.array(part.wire_mm))
        if part.alone:
            return coursing(self.ways.aorta, self.kit.wire, part.wire_mm)
        facings = [self.ways.facing(target) for target in part.facing]
        facing = facings[0] if len(facings) == 1 else _turned(*facings)
        count = max(len(part.catheter_mm), 1 if len(facings) == 1 else len(facing))
        catheter, wire = np.broadcast_to(part.catheter_mm, count), np.broadcast_to(part.wire_mm, count)
        return self._coursing(self.ways.aorta, catheter, wire, facing)

    def _in_artery(self, target: Target, catheter_mm: float, wire_mm: Floats) -> Task[Course]:
        """The catheter in the target's artery, and the wire (K,) in it.

        Its tip is held as far past the wall as the catheter is longer than the way to it. Friction holds it there in
        the body; free, it would slip back into the funnel that the orifice is, or be pushed on as the shaft unbends."""
        place = self.ways.within(target, catheter_mm - self.ways.wall_mm(target))
        catheter = np.full(len(wire_mm), catheter_mm)
        return self._coursing(
            self.ways.into(target), catheter, wire_mm, self.ways.facing(target), _ORIFICE_MM, place
        )  # fmt: skip

    def _entered(self, entry: _Entry, home: bool) -> Task[tuple[Any, ...]]:
        """From the aorta into an artery, and in it: the tip slides along the aorta's wall to the orifice and through
        it; and, where it is `home`, the target's, from there into its feeder.

        In the body the tip springs there; it is led here, so that it can be followed."""
        target, catheter, wire = entry.target, np.array([entry.catheter_mm]), np.array([entry.wire_mm])
        ways, facing = self.ways, self.ways.facing(entry.target)
        before, parked = yield [
            self._coursing(ways.aorta, catheter, wire, facing),
            self._in_artery(target, entry.catheter_mm, wire),
        ]
        way = ways.through_orifice(target, before.shapes[0].tip_mm, parked.shapes[0].tip_mm)
        tips = way.at(_steps(0.0, way.length_mm, _SPRING_MM))[1:-1]
        within = ways.into(target)
        lumen = Lumen(within.points_mm, (*within.tubes, *ways.aorta.tubes))
        # no more of it is put in meanwhile
        spring = self._coursing(
            lumen, np.repeat(catheter, len(tips)), np.repeat(wire, len(tips)), facing, _ORIFICE_MM, tips,
            before.shapes[0],
        )  # fmt: skip
        sprung, *fine = yield [spring, self._micro(target, parked.shapes[-1])] if home else [spring]
        return sprung, parked, *fine

    def _micro(self, target: Target, parked: Shape) -> Task[dict[str, Passage]]:
        """The fine wire and the microcatheter over it, from the catheter's tip into the feeder."""
        micro, fine = self.kit.micro, self.kit.micro_wire
        lumen, place = self.ways.feeder(target, parked.tip_mm, micro)
        ahead = min(place + navigation_figure("micro_lead_mm"), lumen.length_mm - 0.5)
        leading, reach = yield [_advance_to(lumen, fine, ahead), _advance_to(lumen, micro, place)]
        reach = min(reach, leading - 0.5 * navigation_figure("micro_lead_mm"))
        over = _steps(1.0, reach, 3.0)
        alone, led, empty = yield [
            coursing(lumen, fine, _steps(2.0, leading, 3.0), spacing_mm=FINE_MM),
            coursing(lumen, micro, over, fine, np.full(len(over), leading), spacing_mm=FINE_MM),
            coursing(lumen, micro, np.full(4, reach), fine, np.linspace(leading, 0.0, 4), spacing_mm=FINE_MM),
        ]
        return {"micro-wire": Passage(alone, alone=True), "micro": Passage(led), "micro-empty": Passage(empty)}

    def _coursing(
        self, lumen: Lumen, catheter: Floats, wire: Floats, facing: Floats, spacing_mm: float = SPACING_MM,
        tips: Points | None = None, start: Shape | None = None,
    ) -> Task[Course]:  # fmt: skip
        return coursing(lumen, self.kit.catheter, catheter, self.kit.wire, wire, facing, spacing_mm, tips, start)


def _in_aorta(catheter_mm: Floats, wire_mm: Floats, target: Target) -> _InAorta:
    return _InAorta(tuple(catheter_mm.tolist()), tuple(wire_mm.tolist()), (target,))


def _passage(stretch: _Stretch, courses: Mapping[_Part, tuple[Course, ...]]) -> Passage:
    """The parts of a stretch one after another."""
    ways = [way for part in stretch.parts for way in courses[part]]
    dwell = None
    if stretch.dwell is not None:
        # joined courses count their stations on
        before = [way for part in stretch.parts[: stretch.dwell + 1] for way in courses[part]]
        dwell = sum(float(way.stations[-1]) for way in before) + len(before) - 1.0
    alone = any(isinstance(part, _InAorta) and part.alone for part in stretch.parts)
    return Passage(joined(ways), alone=alone, dwell=dwell)


def _advance_to(lumen: Lumen, rod: Rod, station_mm: float) -> Task[float]:
    """How much of a device is in when its tip has come to a place on the way: it may take bends shorter."""
    for advance in np.arange(station_mm, station_mm - 6.0, -0.4):
        found = yield from resting(lumen, rod, float(advance), spacing_mm=FINE_MM)
        if float(lumen.station_mm(found.tip_mm[None])[0]) <= station_mm and _ends_within(lumen, found.tip_mm):
            return float(advance)
    return station_mm - 6.0


def _ends_within(lumen: Lumen, tip_mm: Vector) -> bool:
    """Whether a tip has not gone past the end of the way."""
    last = lumen.points_mm[-1] - lumen.points_mm[-2]
    return bool((tip_mm - lumen.points_mm[-1]) @ last <= 0.0)


def _steps(first_mm: float, last_mm: float, step_mm: float = STEP_MM) -> Floats:
    """From the one to the other in even steps of about `step_mm`; both are among them."""
    return np.linspace(first_mm, last_mm, max(2, int(np.ceil(abs(last_mm - first_mm) / step_mm)) + 1))


def _turned(one: Vector, two: Vector) -> Floats:
    """(K, 3) directions from the one to the other, the short way round."""
    angle = float(np.arccos(np.clip(one @ two, -1.0, 1.0)))
    count = max(2, int(np.ceil(np.rad2deg(angle) / _TURN_DEG)) + 1)
    if angle < 1e-6:
        return np.array([one, two])
    shares = np.linspace(0.0, 1.0, count)
    mixed = (np.sin((1.0 - shares) * angle)[:, None] * one + np.sin(shares * angle)[:, None] * two) / np.sin(angle)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def chosen_kit(french: int, micro_french: float) -> Kit:
    """The devices of the catalogue by the catheter's and the microcatheter's French size."""
    rods = catalogue_rods()
    return Kit(
        rods["wire-035-angled"], rods[f"catheter-cobra-{french}F"], rods[f"microcatheter-{micro_french:.1f}F"],
        rods["wire-014"],
    )  # fmt: skip


def plan_navigation(ways: Ways, kit: Kit, runs: Sequence[Target], cord: Target) -> Navigation:
    """Every stretch, from the puncture to the target `runs[0]`, to the other `runs` in their order, back to the target,
    into its feeder, to the `cord`'s artery, and out.

    Half of them are sought in a copy of this process where that has a core of its own; they are the same in any case.

    Raises RequestError, with both sizes, where a device is wider than a vessel, and where one would be bent more
    sharply than it allows.
    """
    leading = _Leading(ways, kit)
    first, second = _halves(leading.stretches(runs, cord))
    if two_at_once():
        with Aside([lambda: {name: passage.packed() for name, passage in leading.led(first).items()}]) as aside:
            last = leading.led(second)
            made = {name: Passage.unpacked(*packed) for name, packed in aside.result(0).items()}
    else:
        made, last = leading.led(first), leading.led(second)
    return Navigation(made | last, ways.orifice_mm(runs[0]))


def _halves(stretches: Mapping[str, _Stretch]) -> tuple[dict[str, _Stretch], dict[str, _Stretch]]:
    """The stretches up to one of them, and those from it on, among which is the "return"; about equal in stations."""
    names = list(stretches)
    counts = np.cumsum(
        [_stations(stretch) + _FEEDER_STATIONS * (name == "return") for name, stretch in stretches.items()]
    )
    cut = min(int(np.searchsorted(counts, 0.5 * counts[-1])) + 1, names.index("return"))
    return {name: stretches[name] for name in names[:cut]}, {name: stretches[name] for name in names[cut:]}


def _stations(stretch: _Stretch) -> int:
    return sum(_ENTRY_STATIONS if isinstance(part, _Entry) else len(part.wire_mm) for part in stretch.parts)


def least_clearance_mm(navigation: Navigation) -> float:
    """The smallest way from any device's surface to a wall, over every shape that was sought."""
    return min(passage.course.clearance_mm for passage in navigation.passages.values())


def sharpest_mm(navigation: Navigation) -> dict[str, float]:
    """Passage -> the radius of its sharpest bend."""
    return {name: passage.course.sharpest_mm for name, passage in navigation.passages.items()}


__all__ = [
    "Kit", "Navigation", "Passage", "Posture", "Shape", "Target", "Ways", "chosen_kit", "least_clearance_mm",
    "navigation_figure", "plan_navigation", "sharpest_mm",
]  # fmt: skip
