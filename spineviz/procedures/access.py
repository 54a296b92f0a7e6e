"""The way to the body: which line an instrument takes through each pedicle, and the refusal where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.patient import Patient
from spineviz.anatomy.trunk import skin_calls, trunk
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.aside import beside
from spineviz.data.errors import RequestError
from spineviz.devices.catalogue import NeedleSize
from spineviz.devices.needle import least_outside_mm
from spineviz.geometry.fields import Distances, Field, Points, Vector, capsule
from spineviz.procedures.case import Case
from spineviz.procedures.filling import cement_figure
from spineviz.procedures.needle_path import (
    NeedlePath,
    NoPathError,
    Rules,
    Surroundings,
    bone_ahead_mm,
    find_path,
    remeasured,
)

SIDES = ("right", "left")

_UPPER_THORACIC = ("T1", "T2", "T3", "T4", "T5", "T6")


def rules() -> Rules:
    """What counts as a safe path."""
    return Rules(cement_figure("least_bone_mm"), cement_figure("front_share"), cement_figure("tip_to_cortex_mm"))


@dataclass(frozen=True, eq=False)
class PlannedNeedle:
    """One line through a pedicle, and the needle that takes it first; world frame.

    Attributes:
        path: its way through the bone.
        skin_mm: (3,) where it passes the skin.
        length_mm: the length chosen from the catalogue.
    """

    path: NeedlePath
    skin_mm: Vector
    length_mm: float

    @property
    def reach_mm(self) -> float:
        """The way from the skin to the end of the line."""
        return float(np.linalg.norm(self.path.tip_mm - self.skin_mm))

    @property
    def contact_way_mm(self) -> float:
        """The tip's way from the skin when it meets bone."""
        return float((self.path.contact_mm - self.skin_mm) @ self.path.forward)

    @property
    def wall_way_mm(self) -> float:
        """The tip's way from the skin when it stands at the back wall."""
        return float((self.path.wall_mm - self.skin_mm) @ self.path.forward)

    def tip_at(self, way_mm: float) -> Vector:
        """(3,) the tip `way_mm` from the skin."""
        return self.skin_mm + way_mm * self.path.forward


@dataclass(frozen=True)
class Widest:
    """The widest instrument that takes a line, as its refusal names it.

    Attributes:
        key: of the case ("needle.gauge").
        kind: "needle" or "working cannula".
        gauge: the one asked for.
        sizes: the catalogue of its kind by gauge, widest first.
    """

    key: str
    kind: str
    gauge: int
    sizes: Mapping[int, NeedleSize]

    @property
    def size(self) -> NeedleSize:
        """Its row of the catalogue."""
        return self.sizes[self.gauge]


def check_access(case: Case) -> None:
    """RequestError where no needle should go: the back wall is broken, or the tumour lies in the canal."""
    decided = "in practice the team decides case by case"
    if case.fracture.back_wall == "broken":
        raise RequestError(
            "fracture.back_wall: broken leaves nothing to keep cement out of the canal, so this film shows no such "
            f"case; {decided};\ngive intact"
        )
    if case.tumour.extent == "epidural":
        raise RequestError(
            "tumour.extent: epidural is a tumour in the canal, and what is pressed into the body may press it further "
            f"back; {decided};\ngive auto or body"
        )


def walls(here: Patient) -> tuple[float, float]:
    """y of the back wall and of the front wall of the broken body, lying, as the lateral view shows them."""
    marks = vertebra(here.level).landmarks
    corners = np.array([marks["upper-front-rim"], marks["lower-front-rim"]])
    moved = here.fracture.forward(corners, here.amount(1.0, 1.0))
    return float(marks["body-back-centre"][1]), float(moved[:, 1].mean())


def surroundings_of(here: Patient, side: str, bone: Field) -> Surroundings:
    """What a path through the pedicle of `side` has to respect in the broken body, lying, whose bone is `bone`."""
    home = vertebra(here.level)
    marks = home.landmarks
    names = [f"{end}-{way}-rim" for end in ("upper", "lower") for way in ("front", "back")]
    upper_front, upper_back, lower_front, lower_back = here.fracture.forward(
        np.array([marks[name] for name in names]), here.amount(1.0, 1.0)
    )
    back, front = walls(here)

    def height(rear: Vector, fore: Vector, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return rear[2] + (y - rear[1]) * (fore[2] - rear[2]) / (fore[1] - rear[1])

    return Surroundings(
        side=side,
        bone=bone.distance,
        canal=home.canal.distance,
        pedicle=home.frames[f"pedicle-{side}"],
        pedicle_width_mm=home.row["PDW_zindrick_mm"].value,
        pedicle_height_mm=home.row["PDH_zindrick_mm"].value,
        entry_mm=marks[f"pedicle-upper-outer-{side}"],
        back_wall_y_mm=back,
        front_wall_y_mm=front,
        inner_edge_x_mm=home.row["SCW_use_mm"].value / 2,
        middle_z_mm=lambda y: (height(upper_back, upper_front, y) + height(lower_back, lower_front, y)) / 2,
    )


def _target_x_mm(around: Surroundings, approach: str) -> float:
    """Halfway from pedicle to midline with two needles; just past the midline with one."""
    return float(abs(around.pedicle.origin_mm[0])) / 2 if approach == "bipedicular" else -2.0


def _own_half(around: Surroundings, apart_mm: float, rules: Rules) -> Surroundings:
    """`around` without the bone of the other side, so that two instruments are at least `apart_mm` from each other."""

    def bone(points: Points) -> Distances:
        return np.maximum(around.bone(points), apart_mm / 2 - rules.least_bone_mm - around.outward * points[:, 0])

    return replace(around, bone=bone)


def _best_path(around: Surroundings, size: NeedleSize, tool: Widest, case: Case, limits: Rules) -> NeedlePath:
    thicker = tuple(other.radius_mm for other in tool.sizes.values() if other.outer_mm > size.outer_mm)
    return find_path(around, size.radius_mm, limits, _target_x_mm(around, case.needle.approach), thicker[::-1])


def _fits(arounds: Sequence[Surroundings], size: NeedleSize, tool: Widest, case: Case, limits: Rules) -> bool:
    """Whether an instrument of `size` finds its way on every side."""
    try:
        for around in arounds:
            _best_path(around, size, tool, case, limits)
    except NoPathError:
        return False
    return True


def _refusal(
    around: Surroundings, tool: Widest, case: Case, limits: Rules, error: NoPathError, fitting: int | None
) -> RequestError:
    """Why `tool` finds no way through `around`, and the gauge that does, if any is `fitting`."""
    size, level = tool.size, case.spine.level
    where = f"the {around.side} pedicle of {level} ({around.pedicle_width_mm:g} mm wide)"
    if error.where == "body":
        half = "its half of " if case.needle.approach == "bipedicular" else ""
        where += f" and on into {half}the front third of the body, broken by {case.fracture.height_loss:.0%}"
    elif around.pedicle_width_mm > size.outer_mm + 2 * limits.least_bone_mm:
        where += ", on its inner edge's outer side up to the back wall"
    first = (
        f"{tool.key}: {size.gauge} ({size.outer_mm:g} mm thick) finds no way with {limits.least_bone_mm:g} mm of "
        f"bone on every side through {where}"
    )
    if fitting is not None:
        outer = tool.sizes[fitting].outer_mm
        second = f"the largest {tool.kind} of the catalogue that fits is {fitting} gauge ({outer:g} mm)"
    else:
        second = f"no {tool.kind} of the catalogue ({', '.join(map(str, tool.sizes))} gauge) fits"
    if level in _UPPER_THORACIC:
        second += "; at upper thoracic levels a parapedicular route is used in practice"
    return RequestError(f"{first};\n{second}")


def plan_paths(
    here: Patient,
    case: Case,
    tool: Widest,
    limits: Rules,
    settled: Callable[[Surroundings, NeedlePath], NeedlePath] = lambda around, path: path,
) -> dict[str, tuple[NeedlePath, Vector]]:
    """By side, the path of `tool` in the body `here` and where it passes the skin, (3,) world mm.

    `settled` may move a path's end once its line is known. Two keep to their own halves of the body, so that they are
    a stated way apart.
    Raises RequestError where no safe path exists: with the largest of the catalogue that fits and, at upper thoracic
    levels, the route that is used in practice.
    """
    check_access(case)
    two = case.needle.approach == "bipedicular"
    apart = cement_figure("instruments_apart_mm")
    found: dict[str, NeedlePath] = {}
    with beside(skin_calls()):
        bone = here.treated_bone(here.amount(1.0, 1.0)).field
        whole = [surroundings_of(here, side, bone) for side in (SIDES if two else (case.needle.approach,))]
        halves = [_own_half(around, apart, limits) for around in whole] if two else whole
        for around, half in zip(whole, halves, strict=True):
            try:
                path = settled(half, _best_path(half, tool.size, tool, case, limits))
            except NoPathError as error:
                thinner = (g for g, size in tool.sizes.items() if size.outer_mm < tool.size.outer_mm)
                fitting = next((g for g in thinner if _fits(halves, tool.sizes[g], tool, case, limits)), None)
                raise _refusal(half, tool, case, limits, error, fitting) from None
            found[around.side] = remeasured(around, path, limits)
    skin = trunk(here.column(1.0, 1.0))
    return {side: (path, skin.entry_on_skin(path.contact_mm, -path.forward)) for side, path in found.items()}


def bone_ahead_of(here: Patient, path: NeedlePath) -> float:
    """Bone left in front of the end of `path`, along it, in the broken body, lying, mm."""
    bone = here.treated_bone(here.amount(1.0, 1.0)).field
    return bone_ahead_mm(surroundings_of(here, path.side, bone), path)


def needle_length_mm(size: NeedleSize, reach_mm: float) -> float:
    """The length of the catalogue with which `size` reaches `reach_mm` below the skin."""
    return size.length_for(reach_mm, least_outside_mm())


def least_apart_mm(paths: Mapping[str, NeedlePath]) -> float | None:
    """The least way between the surfaces of two instruments in bone; None where there is only one."""
    if len(paths) < 2:
        return None
    first, second = paths.values()
    way = np.arange(0.0, float(np.linalg.norm(second.tip_mm - second.contact_mm)) + 0.25, 0.25)
    points = second.tip_mm - way[:, None] * second.forward
    return float(capsule(first.contact_mm, first.tip_mm, first.radius_mm)(points).min()) - second.radius_mm
