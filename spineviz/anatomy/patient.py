"""One patient: every structure of the body in view, for any share of collapse, posture and tumour growth.

This is what procedures call. The treated body's fracture, the tumour in it, the cleft, the neighbours that follow the
upper end-plate, discs, cord, dura, roots, ribs and the trunk are put together here; each part is made only when its
field or its surface is asked for, and parts that did not change keep their key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

import numpy as np
from numpy.typing import ArrayLike

from spineviz.anatomy.bones import carved_core, carved_field, carved_mesh
from spineviz.anatomy.column import COLUMN_LEVELS, Column, column, column_structures
from spineviz.anatomy.fracture import Fracture, fracture
from spineviz.anatomy.materials import bone_volume_share
from spineviz.anatomy.ribs import rib_structures
from spineviz.anatomy.structure import RANKS, Remains, Structure, remembered
from spineviz.anatomy.trunk import trunk
from spineviz.anatomy.tumour import Tumour, tumour
from spineviz.data.errors import RequestError
from spineviz.data.tables import known_level
from spineviz.geometry.fields import Distances, Points, Vector
from spineviz.geometry.grids import lattice
from spineviz.geometry.meshes import Mesh

SURROUNDINGS = ("none", "spine", "trunk")
"""How much of the patient: the treated vertebra with tumour and cleft alone; with its neighbours, discs and nerves;
with ribs, skin, muscle and lungs too."""

_STEPS = 1000
"""Collapse, posture and growth are rounded to thousandths, so that equal pictures have equal keys."""
_BONE_SPACING_MM = 0.8
"""Of the lattice on which trabecular bone is measured; bone moves by less than 1 % of it from amount to amount."""


def levels_in_view(treated: str) -> tuple[str, ...]:
    """The levels shown round `treated`, from above downward: three above and five below, so that at L1 both the last
    rib (T12) and the sacrum can be counted. RequestError for an unknown level."""
    known_level(treated)
    index = COLUMN_LEVELS.index(treated)
    low = min(index + 5, len(COLUMN_LEVELS) - 1)
    return COLUMN_LEVELS[max(0, index - 3) : low + 1]


@dataclass(frozen=True, eq=False)
class Patient:
    """A patient with one fractured vertebra; build it with `patient`.

    Attributes:
        level: the treated vertebra; its own frame is the world.
        fracture: what happens to its body.
        growing: makes the tumour that weakened it; None where there is none.
        seed: of everything that varies by chance.
    """

    level: str
    fracture: Fracture
    growing: Callable[[], Tumour] | None = None
    seed: int = 7
    _bone_ml: dict[float, float] = field(default_factory=dict, repr=False)
    _kept: OrderedDict[tuple, dict[str, Structure]] = field(default_factory=OrderedDict, repr=False)
    _around: OrderedDict[tuple, dict[str, Structure]] = field(default_factory=OrderedDict, repr=False)
    _columns: OrderedDict[tuple, Column] = field(default_factory=OrderedDict, repr=False)

    @cached_property
    def tumour(self) -> Tumour | None:
        """What weakened it, or None; fitted into the body when it is first asked for. RequestError, naming the key, as
        `tumour.tumour` says."""
        return None if self.growing is None else self.growing()

    def checked(self) -> Patient:
        """This patient, when the body is known to hold the tumour; RequestError, naming the key, where it does not."""
        _ = self.tumour
        return self

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels in view, "sacrum" among them where it is."""
        return levels_in_view(self.level)

    def amount(self, collapse: float, lying: float, lift: float = 0.0) -> float:
        """The fracture's amount (0 healthy to 1 the standing loss) at `collapse`, `lying` and `lift`, rounded as shapes
        are; RequestError for a share outside 0 to 1."""
        shares = _share(collapse, "collapse"), _share(lying, "lying"), _share(lift, "lift")
        return _rounded(self.fracture.amount(*shares))

    def column(self, collapse: float = 0.0, lying: float = 0.0, lift: float = 0.0) -> Column:
        """Where every vertebra stands at `collapse` (0 to 1), `lying` (0 standing to 1 lying) and `lift` (0 to 1)."""
        key = (self.amount(collapse, lying, lift), _rounded(lying))
        return remembered(
            self._columns, key, lambda: column(self.level, key[1], self.fracture.upper_endplate_motion(key[0]))
        )

    def structures(
        self,
        collapse: float = 0.0,
        lying: float = 0.0,
        tumour: float = 1.0,
        surroundings: str = "trunk",
        lift: float = 0.0,
    ) -> dict[str, Structure]:
        """Everything that exists, by name, in the world frame.

        Args:
            collapse: 0 healthy to 1 broken.
            lying: 0 standing to 1 lying, which also opens the fracture a little.
            tumour: 0 none to 1 full-grown.
            surroundings: see SURROUNDINGS.
            lift: the share of the loss left when lying that balloons take back, 0 none to 1 healthy.

        Returns "T10".."L5", "sacrum", "disc-L1-L2" and the like, "cord", "dura", "roots", "tumour", "cleft" (only while
        it gapes), and with the trunk "ribs-right", "ribs-left", "skin", "muscle" and, with thoracic levels in view,
        "lungs". The dict is the same object for equal (rounded) arguments: do not change it.
        Raises RequestError for a share outside 0 to 1 or unknown surroundings.
        """
        if surroundings not in SURROUNDINGS:
            raise RequestError(f"surroundings: there is no {surroundings!r}; give {', '.join(SURROUNDINGS)}")
        amount = self.amount(collapse, lying, lift)
        key = (amount, _rounded(lying), _rounded(_share(tumour, "tumour")), surroundings)
        return remembered(self._kept, key, lambda: self._assembled(*key, self.column(collapse, lying, lift)))

    def _assembled(
        self, amount: float, lying: float, growth: float, surroundings: str, here: Column
    ) -> dict[str, Structure]:
        around = self._around_at(amount, lying, surroundings, here)
        out = {**around, self.level: self.treated_bone(amount)}
        if self.tumour is not None and growth > 0.0:
            out["tumour"] = self.tumour_structure(amount, growth)
        if self.fracture.cleft_thickness_mm(amount, lying) > 0.05:
            out["cleft"] = self.cleft_structure(amount, lying)
        return out

    def _surroundings(self, amount: float, lying: float, surroundings: str, here: Column) -> dict[str, Structure]:
        """All but the treated vertebra and what is in it."""
        if surroundings == "none":
            return {}
        if surroundings == "spine":
            deformed = None if amount == 0.0 else (lambda points: self.fracture.forward(points, amount))
            return column_structures(here, self.levels, deformed, self._fracture_key(amount), ribs=False)
        outside = trunk(here).structures()
        if not any(level.startswith("T") for level in self.levels):
            del outside["lungs"]
        return {**self._around_at(amount, lying, "spine", here), **rib_structures(here, self.levels), **outside}

    def _around_at(self, amount: float, lying: float, surroundings: str, here: Column) -> dict[str, Structure]:
        return remembered(
            self._around,
            (amount, lying, surroundings),
            lambda: self._surroundings(amount, lying, surroundings, here),
        )

    def entry_on_skin(
        self, start_mm: ArrayLike, direction: ArrayLike, collapse: float = 1.0, lying: float = 1.0, lift: float = 0.0
    ) -> Vector:
        """Where the line from `start_mm` inside along `direction` (outward) leaves the skin, (3,) world mm; see
        `Trunk.entry_on_skin`."""
        return trunk(self.column(collapse, lying, lift)).entry_on_skin(start_mm, direction)

    def _fracture_key(self, amount: float) -> str:
        f = self.fracture
        return "" if amount == 0.0 else f"{f.level}-{f.shape}-{f.height_loss:g}-{f.seed}-{amount:.3f}"

    def treated_bone(self, amount: float) -> Structure:
        """The treated vertebra at `amount`: its carved surface carried through the fracture, world frame.

        Bone is crushed, not lost: its `bone_share` is the healthy share over what is left of the room. At amount 0 it
        is None, the same everywhere.
        """
        level, f = self.level, self.fracture
        return Structure(
            name=level,
            role="bone",
            material="cortical",
            field=f.warped(carved_field(level), amount),
            mesh=_once(lambda spacing_mm: f.deformed(carved_mesh(level, spacing_mm), amount)),
            key=f"bone-{level}" if amount == 0.0 else f"bone-{level}-{self._fracture_key(amount)}",
            rank=RANKS["bone"],
            core=f.warped(carved_core(level), amount),
            core_material="trabecular",
            bone_share=None if amount == 0.0 else lambda points: self.bone_share(points, amount),
            healthy=self._healthy(amount),
            lasting=amount == 0.0,
            remains=None
            if amount == 0.0
            else Remains(self.treated_bone(0.0), lambda points: f.carried(points, amount)),
        )

    def _healthy(self, amount: float) -> Callable[[Points], Points] | None:
        return None if amount == 0.0 else lambda points: self.fracture.inverse(points, amount)

    @property
    def trabecular_share(self) -> float:
        """The bone volume share BV/TV of the healthy trabecular core, 0 to 1: that of its material "trabecular"."""
        return bone_volume_share("trabecular").value

    def bone_share(self, points_mm: ArrayLike, amount: float) -> Distances:
        """The bone volume share BV/TV (N,) of the trabecular core of the treated vertebra at world points (N, 3)."""
        return self.trabecular_share / self.fracture.healthy_share(points_mm, amount)[1]

    def trabecular_bone_ml(self, amount: float = 0.0) -> float:
        """How much bone, without its marrow, the trabecular core of the treated vertebra holds at `amount`, mL.

        Measured: the bone share summed over a lattice of the whole core, body and arch. The tumour is not taken off
        (bone inside it counts as if it stood): crushing and packing move bone, whether or not a tumour grew there, so
        the sum is the same at every amount and is what a packed rim is checked against.
        """
        if amount not in self._bone_ml:
            self._bone_ml[amount] = self._measured_bone_ml(amount)
        return self._bone_ml[amount]

    def _measured_bone_ml(self, amount: float) -> float:
        core = self.fracture.warped(carved_core(self.level), amount)
        points = lattice(core.bounds_mm, _BONE_SPACING_MM).points()
        # cubes that the surface cuts count in part
        within = np.clip(0.5 - core.distance(points) / _BONE_SPACING_MM, 0.0, 1.0)
        held = np.flatnonzero(within)
        return float(within[held] @ self.bone_share(points[held], amount)) * _BONE_SPACING_MM**3 / 1000.0

    def tumour_structure(self, amount: float, growth: float) -> Structure:
        """The tumour grown to `growth`, carried along by the fracture at `amount`; RequestError if there is none."""
        grown, f = self.tumour, self.fracture
        if grown is None:
            raise RequestError("tumour: this patient has none; give tumour.diameter_mm")
        return Structure(
            name="tumour",
            role="tumour",
            material="tumour",
            field=f.warped(grown.field(growth), amount),
            mesh=_once(lambda spacing_mm: f.deformed(grown.mesh(growth, spacing_mm), amount)),
            key=f"{grown.key}-{growth:.3f}-{self._fracture_key(amount)}",
            rank=RANKS["tumour"],
            healthy=self._healthy(amount),
        )

    def cleft_structure(self, amount: float, lying: float = 1.0) -> Structure:
        """The gap under the upper end-plate at `amount` and `lying`."""
        f = self.fracture
        return Structure(
            name="cleft",
            role="cleft",
            material="cleft",
            field=f.cleft(amount, lying),
            mesh=_once(lambda spacing_mm: f.cleft_mesh(amount, spacing_mm, lying)),
            key=f"cleft-{self._fracture_key(amount)}-{lying:.3f}",
            rank=RANKS["cleft"],
        )


@cache
def patient(
    level: str = "L1",
    shape: str = "wedge",
    height_loss: float = 0.35,
    tumour_diameter_mm: float | None = 14.0,
    tumour_side: str = "left",
    seed: int = 7,
    extent: str = "auto",
) -> Patient:
    """The patient of a case: equal arguments, the same object.

    Args:
        level: T1 to L5; shape, height_loss: see `fracture`; tumour_diameter_mm, tumour_side, extent: see `tumour`
            (None for no tumour).

    Raises RequestError, naming the key, for what `fracture` refuses; what `tumour` refuses is raised where the tumour
    is first asked for (`Patient.checked`).
    """
    growing = None
    if tumour_diameter_mm is not None:
        growing = partial(tumour, level, tumour_diameter_mm, tumour_side, seed, extent)
    return Patient(level, fracture(level, shape, height_loss, seed), growing, seed)


def _share(value: float, name: str) -> float:
    if not 0.0 <= value <= 1.0:
        raise RequestError(f"{name}: {value:g} is not a share; give 0 to 1")
    return float(value)


def _rounded(share: float) -> float:
    return round(share * _STEPS) / _STEPS


def _once(make: Callable[[float], Mesh]) -> Callable[[float], Mesh]:
    """`make` that keeps what it made, by spacing."""
    made: dict[float, Mesh] = {}

    def mesh(spacing_mm: float) -> Mesh:
        key = round(float(spacing_mm), 4)
        if key not in made:
            made[key] = make(key)
        return made[key]

    return mesh
