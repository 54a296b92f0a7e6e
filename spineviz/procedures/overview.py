"""Surgery for a spine tumour at a glance: a small and a large way in, three procedures in step, and what surgery holds.

A plan of six plans (see tracks.py): the two ways in through the skin of one patient's back ("minimal", "open"), the
three procedures, and "surgery", what an open operation can do at the same tumour. The procedures run on tracks; the
other three are told by the beats of this film itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from spineviz.anatomy.ahead import bones_ahead
from spineviz.anatomy.bones import carved_core, carved_field
from spineviz.anatomy.column import level_above, level_below
from spineviz.anatomy.incision import (
    Incision,
    cut_skin,
    detached,
    displaced_muscles,
    midline_incision,
    nick,
    parted,
)
from spineviz.anatomy.incision import sizes as incision_sizes
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.trunk import Trunk, trunk
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.films import Film, film
from spineviz.devices.needle import NeedleShape, needle_structures
from spineviz.devices.retractors import retractor, screw_bone_mm, screws_and_rods, wound_frame
from spineviz.geometry.fields import Field, box, capsule
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.geometry.operators import moved, offset, smooth_difference, union
from spineviz.procedures.access import PlannedNeedle
from spineviz.procedures.augmentation import BEFORE_SKIN_MM
from spineviz.procedures.film_plan import FilmPlan
from spineviz.procedures.kept import is_kept, plan_digest
from spineviz.procedures.state import Done, EndovascularState, State, progress, smoothstep
from spineviz.procedures.tracks import PlansInStep, StateInStep, plans_of

if TYPE_CHECKING:
    from spineviz.procedures.case import Case

NAME = "overview"
APPROACHES = ("minimal", "open")
SURGERY = "surgery"
PROCEDURES = ("vertebroplasty", "kyphoplasty", "chemoembolization")
PREFIXES: Mapping[str, str] = MappingProxyType({"minimal": "mi_", "open": "op_", SURGERY: "su_"})
"""What stands before the margins and words of each plan that is this film's own."""

INCH_MM = 25.4
SHOWN_OPEN = 0.03
"""A wound less open than this share is a closed line."""
STEPS_OPEN = 60
"""A wound opens in so many steps: equal pictures have equal keys."""
_KEPT = 6
_CUT_BONE_MM = 0.9
_BURR_MM = 1.5
"""How round the edges are of the window in the arch."""
_LEFT_SHARE, _JOINT_MM = 0.36, 9.0
"""The window reaches past the middle by so much of the canal's width, and this far beyond the joint that is removed."""
_RIM_MM = 1.5
"""So much bone goes with the tumour."""
_SPINE = ("bone", "disc", "cord", "roots", "dura", "tumour")
"""Roles of what "surgery" shows."""


@dataclass(frozen=True)
class ApproachState:
    """How far a way in through the skin is; told by the beats of the overview.

    Attributes:
        time_s: of the film; step: its name; share: how much of the step is over.
        opened: the wound's gape as a share of its greatest.
        aside: how far the muscles are parted or held aside, as a share.
        tool: needles on their way in, or the retractor in its place, 0 to 1.
        incisions: how many; incision_mm: each one's length along the skin.
        opening_mm: how wide each gapes; muscle_mm: how far muscle is moved. None before it is opened.
    """

    time_s: float
    step: str
    share: float
    opened: float
    aside: float
    tool: float
    incisions: int
    incision_mm: float
    opening_mm: float | None
    muscle_mm: float | None

    def public(self) -> dict[str, float | str | None]:
        """time_s, step, and what is measured on the geometry."""
        return {
            "time_s": round(self.time_s, 6),
            "step": self.step,
            "incisions": self.incisions,
            "incision_mm": round(self.incision_mm, 6),
            "opening_mm": None if self.opening_mm is None else round(self.opening_mm, 6),
            "muscle_mm": None if self.muscle_mm is None else round(self.muscle_mm, 6),
        }


@dataclass(frozen=True)
class SurgeryState:
    """How far an open operation at the tumour is; told by the beats of the overview.

    Attributes:
        time_s: of the film; step: its name; share: how much of the step is over.
        freed: how much of the bone behind the canal has been taken away, 0 to 1.
        taken: how much of the tumour has been taken out, and of the bone on the way to it, 0 to 1.
        tumour: the tumour's diameter as a share of the whole: it grows as the film begins and is taken out at its end.
        held: screws and rods in their place, 0 to 1.
    """

    time_s: float
    step: str
    share: float
    freed: float
    taken: float
    tumour: float
    held: float

    def public(self) -> dict[str, float | str]:
        """time_s, step and the shares."""
        return {
            "time_s": round(self.time_s, 6),
            "step": self.step,
            "freed_share": round(self.freed, 6),
            "taken_share": round(self.taken, 6),
            "tumour_share": round(self.tumour, 6),
            "held_share": round(self.held, 6),
        }


@dataclass(frozen=True)
class OverviewState(StateInStep):
    """The numbers of one moment of all that the overview shows.

    Attributes:
        minimal, open: the two ways in; surgery: what open surgery does at the tumour.
        vertebroplasty, kyphoplasty, chemoembolization: each plan's State; `time_s` and `step` are of its own film.
    """

    minimal: ApproachState
    open: ApproachState
    vertebroplasty: State
    kyphoplasty: State
    chemoembolization: EndovascularState
    surgery: SurgeryState


@dataclass(frozen=True, eq=False)
class OwnPlan(FilmPlan):
    """What the overview itself tells of the patient of a procedure.

    Attributes:
        procedure: that procedure's plan.
    """

    NAME: ClassVar[str]

    procedure: Any
    _kept: OrderedDict[Any, Any] = field(default_factory=OrderedDict, repr=False, init=False)

    @property
    def case(self) -> Case:
        """As given."""
        return self.procedure.case

    @property
    def level(self) -> str:
        """The vertebra with the tumour."""
        return str(self.procedure.level)

    @property
    def digest(self) -> str:
        """Names the plan."""
        return f"{self.NAME}-{self.procedure.digest}"

    @property
    def film(self) -> Film:
        """The clock that it is told by: the overview's own."""
        return film(NAME)


# ---- the two ways in -------------------------------------------------------------------------------------------------


class ApproachPlan(OwnPlan):
    """One way in through the skin of the back: that of the patient of vertebroplasty, whose needles the small way
    takes."""

    @cached_property
    def trunk(self) -> Trunk:
        """The trunk as the patient lies face down."""
        return trunk(self.procedure.patient.column(1.0, 1.0))

    @abstractmethod
    def incisions(self, opened: float = 1.0) -> dict[str, Incision]:
        """The cuts by name, `opened` (0 to 1) of their way apart."""

    @abstractmethod
    def _cuts(self, opened: float) -> dict[str, Incision]:
        """The same by what the names of their walls begin with."""

    @abstractmethod
    def _shares(self, done: Done) -> tuple[float, float, float]:
        """opened, aside and tool of ApproachState."""

    @abstractmethod
    def _made(self, opened: float, aside: float, tool: float) -> dict[str, Structure]:
        """What differs from the untouched body."""

    @abstractmethod
    def muscle_mm(self, aside: float) -> float:
        """How far muscle is moved at most."""

    def state_at(self, step: str, share: float, measured: bool = True) -> ApproachState:
        """How far it is; see `FilmPlan.state_at`."""
        here = self.step_at(step, share)
        opened, aside, tool = self._shares(progress(self.film, step, share))
        opened, aside = round(opened * STEPS_OPEN) / STEPS_OPEN, round(aside * STEPS_OPEN) / STEPS_OPEN
        cuts = self.incisions(opened)
        first = next(iter(cuts.values()))
        return ApproachState(
            here.start_s + share * here.seconds, step, share, opened, aside, tool, len(cuts), first.length_mm(),
            first.opening_mm() if opened > SHOWN_OPEN else None, self.muscle_mm(aside) if aside > 0.0 else None,
        )  # fmt: skip

    def structures_at(self, state: ApproachState, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; `surroundings` as Patient.structures takes it."""
        body = self.procedure.patient.structures(1.0, 1.0, 1.0, surroundings)
        if surroundings != "trunk":
            return dict(body)
        key = (state.opened, state.aside, round(state.tool, 4))
        made: dict[str, Structure] = remembered(self._kept, key, lambda: self._made(*key), _KEPT)
        return {**body, **made}

    def coming(self, step: str, share: float) -> Iterator[str]:
        """See `FilmPlan.coming`."""
        state = self.state_at(step, share)
        untouched = self.procedure.patient.structures(1.0, 1.0, 1.0, "trunk")
        yield from (name for name in self.structures_at(state) if name not in untouched)

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names that stand for several structures in an export: "wound", the cut skin with the layers of its wall."""
        return {"wound": ("skin", *(name for prefix, cut in self._cuts(1.0).items() for name in cut.layers(prefix)))}

    @property
    def planes(self) -> dict[str, Frame]:
        """world_from_plane of its section: "axial", across the wound where the laminae of the treated vertebra meet,
        back uppermost and left on the left."""
        axes, (cut, *_) = self.trunk.world_from_trunk.rotation, self.incisions().values()
        right, out = axes[:, 0], -axes[:, 1]
        along = np.cross(right, out)
        middle = (cut.middle() - out * incision_sizes()["section_depth_mm"]) * [0.0, 1.0, 1.0]
        # half the way from the body's middle down to where its spinous process springs from: body and laminae are cut
        base = 0.5 * vertebra(self.level).landmarks["spinous-base"]
        return {"axial": Frame(np.stack([right, out, along], axis=1), middle + ((base - middle) @ along) * along)}

    @cached_property
    def margins(self) -> dict[str, float]:
        """What is measured on the geometry, mm and mL."""
        (cut, *others) = self.incisions().values()
        before = displaced_muscles(self.trunk, None).mesh(4.0).volume_ml
        after = self._made(1.0, 1.0, 1.0)["muscle"].mesh(4.0).volume_ml
        return {
            "incisions": 1.0 + len(others),
            "incision_mm": cut.length_mm(),
            "opening_mm": cut.opening_mm(),
            "muscle_moved_mm": self.muscle_mm(1.0),
            "muscle_before_ml": before,
            "muscle_after_ml": after,
        }

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name."""
        return {**self.margins, "incision_inch": self.margins["incision_mm"] / INCH_MM}

    def skin_out(self) -> np.ndarray:
        """(3,) straight out of the back."""
        return np.asarray(-self.trunk.world_from_trunk.rotation[:, 1])


class MinimalPlan(ApproachPlan):
    """Small incisions: a nick for each needle, fibres of the muscle parted."""

    NAME = "minimal"

    @property
    def planes(self) -> dict[str, Frame]:
        """world_from_plane of its section: "axial", which holds the needles, back uppermost and left on the left."""
        return {"axial": self.procedure.planes["axial"]}

    @property
    def needles(self) -> Mapping[str, PlannedNeedle]:
        """The needles by side."""
        found: Mapping[str, PlannedNeedle] = self.procedure.needles
        return found

    def incisions(self, opened: float = 1.0) -> dict[str, Incision]:
        """A nick for each needle."""
        return {side: nick(self.trunk, needle.skin_mm, opened) for side, needle in self.needles.items()}

    def _cuts(self, opened: float) -> dict[str, Incision]:
        return {f"nick-{side}": cut for side, cut in self.incisions(opened).items()}

    def muscle_mm(self, aside: float) -> float:
        """Half the gap between the fibres."""
        return incision_sizes()["parting_half_mm"] * aside

    def _shares(self, done: Done) -> tuple[float, float, float]:
        needle = done("minimal", "needle")
        return smoothstep(done("minimal", "nick")), smoothstep(3.0 * needle), smoothstep(needle)

    def _made(self, opened: float, aside: float, tool: float) -> dict[str, Structure]:
        out: dict[str, Structure] = {}
        if opened > SHOWN_OPEN:
            out["skin"] = cut_skin(self.trunk, list(self.incisions(opened).values()))
            for prefix, cut in self._cuts(opened).items():
                out |= cut.layers(prefix)
        lines = [(needle.skin_mm, needle.path.forward) for needle in self.needles.values()]
        out["muscle"] = displaced_muscles(self.trunk, parted(self.trunk, lines, aside) if aside > 0.0 else None)
        if tool > 0.0:
            for side, needle in self.needles.items():
                shape = NeedleShape(self.procedure.size.gauge, needle.length_mm)
                way = -BEFORE_SKIN_MM + tool * (needle.reach_mm + BEFORE_SKIN_MM)
                out |= needle_structures(f"needle-{side}", shape, needle.tip_at(way), needle.path.forward, 0.0)
        return out


class OpenPlan(ApproachPlan):
    """A large incision: muscles taken off the spine and held aside by a retractor."""

    NAME = "open"

    @cached_property
    def middle_mm(self) -> float:
        """The height of the treated vertebra in the trunk's frame."""
        return float(self.trunk.world_from_trunk.inverse().point(np.zeros(3))[2])

    def incisions(self, opened: float = 1.0) -> dict[str, Incision]:
        """The one in the midline."""
        return {"midline": midline_incision(self.trunk, self.middle_mm, opened)}

    def _cuts(self, opened: float) -> dict[str, Incision]:
        return {"wound": self.incisions(opened)["midline"]}

    def muscle_mm(self, aside: float) -> float:
        """How far the muscles' inner border is held aside."""
        return incision_sizes()["muscle_aside_mm"] * aside

    def _shares(self, done: Done) -> tuple[float, float, float]:
        first = incision_sizes()["cut_share"]
        cut, spread = smoothstep(done("open", "cut")), smoothstep(done("open", "retract"))
        opened = first * cut + (1.0 - first) * spread
        aside = first * smoothstep(done("open", "detach")) + (1.0 - first) * spread
        return opened, aside, smoothstep(4.0 * done("open", "retract"))

    def _made(self, opened: float, aside: float, tool: float) -> dict[str, Structure]:
        out: dict[str, Structure] = {}
        cut = self.incisions(max(opened, SHOWN_OPEN))["midline"]
        if opened > SHOWN_OPEN:
            out["skin"] = cut_skin(self.trunk, [cut])
            out |= cut.layers("wound")
        out["muscle"] = displaced_muscles(self.trunk, detached(self.trunk, cut, aside) if aside > 0.0 else None)
        if tool > 0.0:
            along = -self.trunk.world_from_trunk.rotation[:, 2]
            held = max(cut.opening_mm() - 1.0, 5.0)
            lifted = cut.middle() + (1.0 - tool) * incision_sizes()["lifted_mm"] * self.skin_out()
            out["retractor"] = retractor(wound_frame(lifted, self.skin_out(), along), held, cut.length_mm())
        return out


# ---- what open surgery does at the tumour ----------------------------------------------------------------------------


class SurgeryPlan(OwnPlan):
    """An open operation at the tumour that chemoembolization is planned for: the cord freed, the tumour taken out, the
    spine held."""

    NAME = SURGERY

    @property
    def opened_name(self) -> str:
        """The name of the vertebra with a window in its arch."""
        return f"{self.level}-opened"

    @property
    def resected_name(self) -> str:
        """The name of the vertebra with the hollow that the tumour leaves."""
        return f"{self.level}-resected"

    @property
    def held_levels(self) -> tuple[str, ...]:
        """The neighbours that the rods join, from above downward."""
        names = (level_above(self.level), level_below(self.level))
        return tuple(name if name and name != "sacrum" else self.level for name in names)

    def state_at(self, step: str, share: float, measured: bool = True) -> SurgeryState:
        """How far it is; see `FilmPlan.state_at`."""
        here = self.step_at(step, share)
        done = progress(self.film, step, share)
        taken = smoothstep(done("pointer", "take_out"))
        return SurgeryState(
            here.start_s + share * here.seconds,
            step,
            share,
            freed=smoothstep(done("pointer", "free")),
            taken=taken,
            tumour=round(smoothstep(done("why", "grows")) * (1.0 - taken), 2),
            held=smoothstep(done("pointer", "hold")),
        )

    def structures_at(self, state: SurgeryState, surroundings: str = "trunk") -> dict[str, Structure]:
        """All that exists at `state`, by name, world frame; the spine alone, whatever lies round it."""
        body = self.procedure.body_at(state.tumour)
        out = {name: part for name, part in body.items() if part.role in _SPINE and not name.startswith("ribs")}
        whole = out[self.level]
        if state.freed > 0.0 and state.taken <= 0.0:
            out[self.opened_name] = self._cut(self.opened_name, whole, self._window, self._way)
        if state.freed >= 1.0:
            del out[self.level]
        if state.taken > 0.0:
            out[self.resected_name] = self._cut(self.resected_name, whole, self._window, self._way, self._hollow)
        if state.held > 0.0:
            out |= self._implants
        return out

    @cached_property
    def _side(self) -> float:
        """The sign of x on the tumour's side."""
        return 1.0 if self.procedure.case.tumour.side == "right" else -1.0

    @cached_property
    def _window(self) -> Field:
        """What is taken away to free the cord: the spinous process, the laminae over the sac, and on the tumour's side
        the joint below; the joints of the other side are left. Vertebra's frame."""
        home = vertebra(self.level)
        width, marks = float(home.row["SCW_use_mm"].value), home.landmarks
        middle, joint = float(marks["canal-centre"][1]), marks["inferior-facet-right"]
        inner, outer = _LEFT_SHARE * width, 0.5 * width + 1.0
        far = abs(float(joint[0])) + _JOINT_MM
        base, pars = float(marks["spinous-base"][2]), float(joint[2]) + _JOINT_MM
        rounding = min(4.0, 0.2 * width)

        def between(low_x: float, high_x: float, low_z: float, high_z: float) -> Field:
            x = sorted((self._side * low_x, self._side * high_x))
            centre = ((x[0] + x[1]) / 2, middle - 40.0, (low_z + high_z) / 2)
            return box(centre, (x[1] - x[0], 80.0, high_z - low_z), rounding)

        arch = between(-inner, outer, base - 60.0, base + 24.0)
        return union(arch, between(-inner, far, base - 60.0, pars))

    @cached_property
    def _way(self) -> Field:
        """The way to the tumour: the inner part of the pedicle and of the back wall on its side. Vertebra's frame."""
        home = vertebra(self.level)
        half = 0.5 * float(home.row["PDW_zindrick_mm"].value)
        pedicle = np.array(home.frames["pedicle-right"].origin_mm) * [self._side, 1.0, 1.0]
        inside = pedicle - [self._side * half, 0.0, 0.0]
        behind = inside - [0.0, 3.5 * half, 0.0]
        wide = half + _RIM_MM
        return union(capsule(np.array(self.procedure.grown.root_mm), inside, wide), capsule(inside, behind, wide))

    @property
    def _hollow(self) -> Field:
        """The room of the tumour with a rim of bone. Vertebra's frame, which is the world."""
        return offset(self.procedure.grown.whole.full, _RIM_MM)

    def _cut(self, name: str, whole: Structure, *cutters: Field) -> Structure:
        """The vertebra `name`: `whole` without `cutters`."""
        return remembered(self._kept, (name, whole.key), lambda: self._made_cut(name, whole, cutters), _KEPT)

    def _made_cut(self, name: str, whole: Structure, cutters: tuple[Field, ...]) -> Structure:
        local = smooth_difference(carved_field(self.level), *cutters, blend_mm=_BURR_MM)
        core = smooth_difference(carved_core(self.level), *cutters, blend_mm=_BURR_MM)
        made: dict[float, Mesh] = {}

        def mesh(spacing_mm: float) -> Mesh:
            fine = max(round(spacing_mm, 2), _CUT_BONE_MM)
            if fine not in made:
                made[fine] = mesh_field(local, fine)
            return made[fine]

        place = whole.world_from_local
        field_here: Field = moved(local, place)
        return Structure(
            name, "bone", "cortical", field_here, mesh, f"{whole.key}-{name}", RANKS["bone"], place,
            moved(core, place), "trabecular",
        )  # fmt: skip

    @cached_property
    def _implants(self) -> dict[str, Structure]:
        frames = [self.procedure.column.world_from_vertebra(level) for level in self.held_levels]
        return screws_and_rods(self.held_levels, frames)

    def coming(self, step: str, share: float) -> Iterator[str]:
        """See `FilmPlan.coming`."""
        state = self.state_at(step, share)
        there = {
            "tumour": state.tumour > 0.0,
            self.opened_name: state.freed > 0.0 and state.taken <= 0.0,
            self.resected_name: state.taken > 0.0,
            "screws": state.held > 0.0,
            "rods": state.held > 0.0,
        }
        yield from (name for name, present in there.items() if present)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Names that stand for several structures in an export: "implants", the screws and rods."""
        return {"implants": ("screws", "rods")}

    @property
    def planes(self) -> dict[str, Frame]:
        """Those of chemoembolization."""
        found: dict[str, Frame] = self.procedure.planes
        return found

    @cached_property
    def margins(self) -> dict[str, float]:
        """The least bone beside the screws, mm, by level."""
        return {f"screw_{level}_least_bone_mm": screw_bone_mm(level) for level in self.held_levels}

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name."""
        return {"held_from": self.held_levels[0], "held_to": self.held_levels[-1]}


# ---- all of them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OverviewPlan(PlansInStep):
    """All that the overview shows of one case; build it with `plan_overview`."""

    NAME: ClassVar[str] = NAME
    PREFIXES: ClassVar[Mapping[str, str]] = PREFIXES

    def _state(self, time_s: float, step: str, share: float, states: Mapping[str, Any]) -> OverviewState:
        return OverviewState(time_s, step, share, **states)

    @cached_property
    def margins(self) -> dict[str, float]:
        """The lengths of the incisions and what else is measured on the two ways in, and the bone beside the screws."""
        return {**self.prefixed(lambda name, plan: plan.margins), "half_inch_mm": incision_sizes()["half_inch_mm"]}

    @cached_property
    def _words(self) -> dict[str, float | str]:
        return {
            "level": self.level,
            "tumour_mm": self.case.tumour.diameter_mm,
            "nicks": "one" if len(self.plans["minimal"].incisions()) == 1 else "two",
            "half_inch_mm": incision_sizes()["half_inch_mm"],
            **self.prefixed(lambda name, plan: plan.words()),
        }

    def words(self) -> dict[str, float | str]:
        """What captions and cards may name: the level, the tumour's size, the number of nicks, and the words of the
        ways in and of surgery with "mi_", "op_" and "su_" before them."""
        return dict(self._words)

    def resolved(self) -> dict[str, Any]:
        """The case as nested values."""
        return self.case.table()


def plan_overview(case: Case) -> OverviewPlan:
    """All plans that the overview shows of `case`.

    Raises RequestError: which of the procedures refuses the case, and why.
    """
    from spineviz.procedures.chemoembolization import plan_chemoembolization
    from spineviz.procedures.kyphoplasty import plan_kyphoplasty
    from spineviz.procedures.vertebroplasty import plan_vertebroplasty

    makers: dict[str, Callable[[Case], Any]] = {
        "vertebroplasty": plan_vertebroplasty,
        "kyphoplasty": plan_kyphoplasty,
        "chemoembolization": plan_chemoembolization,
    }
    if not all(is_kept(plan_digest(name, case.canonical())) for name in makers):
        bones_ahead()
    found = plans_of(case, makers, "the three cannot be shown together")
    own = {
        "minimal": MinimalPlan(found["vertebroplasty"]),
        "open": OpenPlan(found["vertebroplasty"]),
        SURGERY: SurgeryPlan(found["chemoembolization"]),
    }
    return OverviewPlan(case, MappingProxyType({**own, **found}))


__all__ = [
    "APPROACHES", "NAME", "PROCEDURES", "SURGERY", "ApproachState", "OverviewPlan", "OverviewState", "SurgeryState",
    "plan_overview",
]  # fmt: skip
