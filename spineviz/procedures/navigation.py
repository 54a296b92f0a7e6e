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
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arteries import ArterialTree
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
    catalogue_rods,
    course,
    joined,
    lumen_within,
    rest,
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
        """From the puncture into a segmental artery, the aorta beyond its orifice open too."""
        branch = self.tree.branch(self.trunk(target))
        return self._lumen((branch.name, branch.wall_mm + 0.6 * (branch.length_mm - branch.wall_mm)))

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


@dataclass(frozen=True, eq=False)
class _Leading:
    """Makes one stretch after the other."""

    ways: Ways
    kit: Kit
    _parked: dict[tuple[Target, float, tuple[float, ...]], Course] = attribute(default_factory=dict)
    _onward: dict[tuple[Target, Target, float], Passage] = attribute(default_factory=dict)

    def parked_mm(self, target: Target) -> float:
        """How much of the catheter is in when its tip is parked in that artery."""
        return self.ways.wall_mm(target) + navigation_figure("parked_mm")

    def wire(self) -> Passage:
        """The wire alone, from the puncture on."""
        reach = navigation_figure("first_wire_mm")
        return Passage(course(self.ways.aorta, self.kit.wire, _steps(12.0, reach)), alone=True)

    def climb(self, target: Target) -> Passage:
        """The catheter over the wire from the groin to above the target; the wire leads."""
        top = self.top_mm(target)
        catheter = _steps(4.0, top)
        first = navigation_figure("first_wire_mm")
        wire = np.maximum(first, self._led(catheter))
        return self._in_aorta(catheter, wire, self.ways.facing(target))

    def _led(self, catheter_mm: Floats | float) -> Floats:
        """How far the wire is in that leads a catheter; at the arch it has less room to do so."""
        return np.minimum(catheter_mm + navigation_figure("wire_lead_mm"), self.ways.aorta.length_mm - 1.0)

    def top_mm(self, target: Target) -> float:
        """Where the tip re-forms."""
        return self.parked_mm(target) + navigation_figure("above_orifice_mm")

    def bare(self, target: Target, catheter_mm: float) -> Passage:
        """The wire is drawn back until the tip has its own shape, facing the target's wall."""
        lead, parked = float(self._led(catheter_mm)) - catheter_mm, navigation_figure("wire_parked_mm")
        wire = np.concatenate([np.arange(lead, -40.0, -12.0), [-60.0, -parked]]) + catheter_mm
        return self._in_aorta(np.full(len(wire), catheter_mm), wire, self.ways.facing(target))

    def hook(self, target: Target, from_mm: float, wire_mm: float = 0.0) -> Passage:
        """Drawn down the aorta until the tip goes into the target's artery; the wire, if there is one, stands."""
        end = min(self.parked_mm(target), from_mm)
        down = _steps(from_mm, end, 8.0)
        first = self._course(self.ways.aorta, down, np.full(len(down), wire_mm), self.ways.facing(target))
        into = self._course_parked(target, end, np.array([wire_mm]))
        return Passage(joined([first, self._sprung(target, first, into), into]))

    def _course_parked(self, target: Target, catheter_mm: float, wire_mm: Floats) -> Course:
        """The catheter in the target's artery, and the wire (K,) in it.

        Its tip is held as far past the wall as the catheter is longer than the way to it. Friction holds it there in
        the body; free, it would slip back into the funnel that the orifice is, or be pushed on as the shaft unbends."""
        key = (target, catheter_mm, tuple(wire_mm.tolist()))
        if key not in self._parked:
            lumen, facing = self.ways.into(target), self.ways.facing(target)
            place = self.ways.within(target, catheter_mm - self.ways.wall_mm(target))
            catheter = np.full(len(wire_mm), catheter_mm)
            self._parked[key] = self._course(lumen, catheter, wire_mm, facing, _ORIFICE_MM, place)
        return self._parked[key]

    def _sprung(self, target: Target, one: Course, two: Course) -> Course:
        """From the last shape of the one course to the first of the other, of which one lies in the target's artery and
        the other in the aorta: the tip slides along the aorta's wall to the orifice and through it, or back.

        In the body the tip springs there; it is led here, so that it can be followed."""
        start, end = one.shapes[-1], two.shapes[0]
        inward = self.ways.past_wall_mm(target, end.tip_mm) > self.ways.past_wall_mm(target, start.tip_mm)
        outer, inner = (start, end) if inward else (end, start)
        way = self.ways.through_orifice(target, outer.tip_mm, inner.tip_mm)
        tips = way.at(_steps(0.0, way.length_mm, _SPRING_MM))[1:-1]
        within = self.ways.into(target)
        lumen = Lumen(
            within.points_mm, tuple({id(tube): tube for tube in (*within.tubes, *self.ways.aorta.tubes)}.values())
        )
        # no more of it is put in meanwhile
        (_, catheter), (_, wire) = one.rods[-1]
        return self._course(
            lumen, np.full(len(tips), catheter), np.full(len(tips), wire), self.ways.facing(target), _ORIFICE_MM,
            tips if inward else tips[::-1], start,
        )  # fmt: skip

    def empty(self, target: Target, catheter_mm: float, wire_mm: float) -> Passage:
        """The wire out, the catheter parked."""
        # what is left of the wire's stiffness goes with its end: the tip comes to lie where it will be parked
        drawn = self._course_parked(target, catheter_mm, np.arange(wire_mm, 0.0, -60.0))
        return Passage(joined([drawn, self._course_parked(target, catheter_mm, np.zeros(1))]))

    def onward(self, here: Target, there: Target, catheter_mm: float) -> Passage:
        """From one parked place to the next: out of the orifice, turned, drawn down; led up by the wire where it lies
        higher."""
        key = (here, there, round(catheter_mm, 6))
        if key not in self._onward:
            self._onward[key] = self._led_on(here, there, catheter_mm)
        return self._onward[key]

    def _led_on(self, here: Target, there: Target, catheter_mm: float) -> Passage:
        facing = self.ways.facing(here)
        parts, dwell = (
            [self._out_of(here, self._course(self.ways.aorta, np.array([catheter_mm]), np.zeros(1), facing))],
            None,
        )
        at = catheter_mm
        if self.parked_mm(there) > catheter_mm + _HIGHER_MM:
            top, ahead = self.top_mm(there), float(self._led(at))
            inward = np.concatenate([np.arange(0.0, at - 40.0, 60.0), _steps(at - 40.0, ahead, 15.0)])
            up = _steps(at, top)
            last = float(self._led(top))
            back = np.concatenate([np.arange(last, top - 40.0, -12.0), np.arange(top - 60.0, 0.0, -60.0), [0.0]])
            parts += [
                self._course(self.ways.aorta, np.full(len(inward), at), inward, facing),
                self._course(self.ways.aorta, up, self._led(up), facing),
                self._course(self.ways.aorta, np.full(len(back), top), back, facing),
            ]
            at = top
            # the end of the stretch up: joined courses count their stations on
            dwell = sum(float(part.stations[-1]) for part in parts[:-1]) + len(parts) - 2.0
        turned = _turned(facing, self.ways.facing(there))
        parts.append(self._course(self.ways.aorta, np.full(len(turned), at), np.zeros(len(turned)), turned))
        return Passage(joined([*parts, self.hook(there, at).course]), dwell=dwell)

    def out(self, here: Target, catheter_mm: float) -> Passage:
        """The catheter drawn out."""
        down = _steps(catheter_mm, 6.0)
        drawn = self._course(self.ways.aorta, down, np.zeros(len(down)), self.ways.facing(here))
        return Passage(self._out_of(here, drawn))

    def _out_of(self, here: Target, after: Course) -> Course:
        """Out of the artery in which the catheter is parked, without a wire, and on in the aorta."""
        parked = self._course_parked(here, after.rods[0][0][1], np.zeros(1))
        return joined([parked, self._sprung(here, parked, after), after])

    def micro(self, target: Target, parked: Posture) -> dict[str, Passage]:
        """The fine wire and the microcatheter over it, from the catheter's tip into the feeder."""
        tip = parked.points_mm[-1]
        lumen, place = self.ways.feeder(target, tip, self.kit.micro)
        ahead = min(place + navigation_figure("micro_lead_mm"), lumen.length_mm - 0.5)
        leading = _advance_to(lumen, self.kit.micro_wire, ahead)
        reach = min(_advance_to(lumen, self.kit.micro, place), leading - 0.5 * navigation_figure("micro_lead_mm"))
        alone = course(lumen, self.kit.micro_wire, _steps(2.0, leading, 3.0), spacing_mm=FINE_MM)
        over = _steps(1.0, reach, 3.0)
        led = np.full(len(over), leading)
        return {
            "micro-wire": Passage(alone, alone=True),
            "micro": Passage(course(lumen, self.kit.micro, over, self.kit.micro_wire, led, spacing_mm=FINE_MM)),
            "micro-empty": Passage(
                course(
                    lumen,
                    self.kit.micro,
                    np.full(4, reach),
                    self.kit.micro_wire,
                    np.linspace(leading, 0.0, 4),
                    spacing_mm=FINE_MM,
                )
            ),
        }

    def _in_aorta(self, catheter: Floats, wire: Floats, facing: Floats) -> Passage:
        return Passage(self._course(self.ways.aorta, catheter, wire, facing))

    def _course(
        self, lumen: Lumen, catheter: Floats, wire: Floats, facing: Floats, spacing_mm: float = SPACING_MM,
        tips: Points | None = None, start: Shape | None = None,
    ) -> Course:  # fmt: skip
        return course(lumen, self.kit.catheter, catheter, self.kit.wire, wire, facing, spacing_mm, tips, start)


def _advance_to(lumen: Lumen, rod: Rod, station_mm: float) -> float:
    """How much of a device is in when its tip has come to a place on the way: it may take bends shorter."""
    for advance in np.arange(station_mm, station_mm - 6.0, -0.4):
        tip = rest(lumen, rod, float(advance), spacing_mm=FINE_MM).tip_mm
        if float(lumen.station_mm(tip[None])[0]) <= station_mm and _ends_within(lumen, tip):
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

    Raises RequestError, with both sizes, where a device is wider than a vessel, and where one would be bent more
    sharply than it allows.
    """
    target = runs[0]
    leading = _Leading(ways, kit)
    made = {"wire": leading.wire(), "climb": leading.climb(target)}
    made["bare"] = leading.bare(target, made["climb"].end.outer_mm)
    bare = made["bare"].end
    made["hook"] = leading.hook(target, bare.outer_mm, bare.wire_mm)
    parked = made["hook"].end
    made["empty"] = leading.empty(target, parked.outer_mm, parked.wire_mm)
    here, at = target, parked.outer_mm
    for number, there in enumerate(runs[1:], start=2):
        made[f"run-{number}"] = leading.onward(here, there, at)
        here, at = there, made[f"run-{number}"].end.outer_mm
    made["return"] = leading.onward(here, target, at)
    parked = made["return"].end
    made |= leading.micro(target, parked)
    made["check"] = leading.onward(target, cord, parked.outer_mm)
    made["out"] = leading.out(cord, made["check"].end.outer_mm)
    return Navigation(made, ways.orifice_mm(target))


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
