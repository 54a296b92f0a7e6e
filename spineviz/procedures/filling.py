"""What the body can take and where the cement stops: the lattice of its room, uneven bone, and the stop rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.patient import Patient
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced, sourced_table
from spineviz.geometry.fields import Field
from spineviz.geometry.grids import Grid, lattice
from spineviz.geometry.meshes import mesh_field
from spineviz.physics.cement import Fill, level_reaching, permeability_noise

LATTICE_MM = 0.8
"""Spacing of the lattice on which the cement spreads."""


@cache
def cement_table() -> dict[str, Sourced]:
    """The figures of assets/devices/cement.csv by name."""
    return sourced_table(asset("devices", "cement.csv"))


def cement_figure(name: str) -> float:
    """One figure of assets/devices/cement.csv."""
    return cement_table()[name].value


@cache
def kyphoplasty_table() -> dict[str, Sourced]:
    """The figures of assets/devices/kyphoplasty.csv by name."""
    return sourced_table(asset("devices", "kyphoplasty.csv"))


def kyphoplasty_figure(name: str) -> float:
    """One figure of assets/devices/kyphoplasty.csv."""
    return kyphoplasty_table()[name].value


@dataclass(frozen=True)
class Cement:
    """How much goes in, mL.

    Attributes:
        body_ml: the healthy body's volume, measured.
        asked_ml: the ceiling: given, or the procedure's own.
        total_ml: what goes in in the end.
        stylet_ml: the part of it that the stylets drive out of the bores.
        room_ml: what the body can take in front of its back quarter.
        back_ml: what is in when the cement would reach the back quarter.
        stop_reason: "volume", "posterior" or "full".
    """

    body_ml: float
    asked_ml: float
    total_ml: float
    stylet_ml: float
    room_ml: float
    back_ml: float
    stop_reason: str

    @property
    def syringe_ml(self) -> float:
        """What is in when the filling stops, before the stylets go back."""
        return self.total_ml - self.stylet_ml

    @property
    def pulses(self) -> int:
        """In how many small steps the syringe gives its part."""
        return max(1, round(self.syringe_ml / cement_figure("pulse_ml")))


@cache
def body_volume_ml(level: str) -> float:
    """The volume of the healthy body of `level`, measured on its surface, mL."""
    return mesh_field(vertebra(level).body, 1.0).volume_ml


def auto_balloon_ml(level: str) -> float:
    """What "auto" gives each balloon: a published volume at L1 and in proportion to the body elsewhere, mL."""
    return kyphoplasty_figure("balloon_at_l1_ml") * body_volume_ml(level) / body_volume_ml("L1")


def back_quarter_mm(back_y_mm: float, front_y_mm: float) -> float:
    """y of the plane in front of which cement stays, between the walls of the body."""
    return back_y_mm + cement_figure("back_share") * (front_y_mm - back_y_mm)


@dataclass(frozen=True, eq=False)
class Room:
    """What cement may fill.

    Attributes:
        lattice: over the body, with the signed distance to the walls of its trabecular room, mm, negative inside.
        back_quarter_y_mm: cement stays in front of this plane.
    """

    lattice: Grid
    back_quarter_y_mm: float

    @property
    def _y_mm(self) -> NDArray[np.float64]:
        return self.lattice.points()[:, 1].reshape(self.lattice.values.shape)

    def volume_ml(self) -> float:
        """What the room in front of the back quarter holds, mL."""
        ahead = (self.lattice.values < 0) & (self._y_mm > self.back_quarter_y_mm)
        return float(ahead.sum()) * self.lattice.spacing_mm**3 / 1000.0

    def stop(self, filling: Fill, asked_ml: float, least_ml: float = 0.0) -> tuple[float, float, str]:
        """What goes in of `asked_ml`, what is in when the back quarter is reached (mL, at most 1e6), and which of
        "volume", "posterior" and "full" ends it.

        `least_ml` goes in at any rate: a void that lies in front of the back quarter is filled.
        """
        # one lattice width to spare: the surface runs between the nodes
        near = self._y_mm < self.back_quarter_y_mm + self.lattice.spacing_mm
        if filling.void is not None:
            near &= filling.void.walls >= 0
        level = level_reaching(filling, near)
        least = max(least_ml, filling.void_ml)
        back_ml = max(filling.volume_at(level), least) if np.isfinite(level) else float("inf")
        total = min(asked_ml, back_ml, float(filling.volumes_ml[-1]))
        reason = "volume" if total == asked_ml else "posterior" if total == back_ml else "full"
        return total, min(back_ml, 1e6), reason


def room_of(here: Patient, amount: float, back_quarter_y_mm: float) -> Room:
    """The room that cement may fill in the treated body at `amount` of its fracture."""
    structure = here.treated_bone(amount)
    bounds = vertebra(here.level).body.bounds_mm.copy()
    bounds[1, 1] += 3.0  # the front wall folds forward
    bounds[0, 0], bounds[1, 0] = bounds[0, 0] - 2.0, bounds[1, 0] + 2.0
    # nodes on whole multiples of the spacing, so that the bone's unevenness stays where it is from body to body
    bounds[0] = np.floor(bounds[0] / LATTICE_MM) * LATTICE_MM
    grid = lattice(bounds, LATTICE_MM, 2 * LATTICE_MM)
    assert structure.core is not None
    values = structure.core.distance(grid.points()).reshape(grid.values.shape) + cement_figure("cortex_clear_mm")
    edge = np.ones(values.shape, bool)
    edge[1:-1, 1:-1, 1:-1] = False
    values[edge] = np.maximum(values[edge], LATTICE_MM)
    return Room(Grid(grid.origin_mm, grid.spacing_mm, values.astype(np.float32)), back_quarter_y_mm)


def speed_in(here: Patient, amount: float, room: Grid, seed: int, tumour: Field | None) -> NDArray[np.float64]:
    """How fast the front runs at each node: uneven bone, faster in the cleft, slower in the `tumour`."""
    figure = cement_figure
    speed = permeability_noise(room, seed, figure("lobe_mm"), figure("finger_mm"), figure("noise_log_sd"))
    points = room.points()
    cleft = here.fracture.cleft(amount).distance(points).reshape(speed.shape)
    speed = np.where(cleft < 0.5 * LATTICE_MM, speed * figure("cleft_speed"), speed)
    if tumour is not None:
        low, high = tumour.bounds_mm  # nothing of it lies beyond
        inside = ((points > low) & (points < high)).all(axis=1)
        inside[inside] = tumour.contains(points[inside])
        speed = np.where(inside.reshape(speed.shape), speed * figure("tumour_speed"), speed)
    return speed


def check_volume(asked_ml: float, least_ml: float, room_ml: float, least_is: str = "") -> None:
    """RequestError unless `least_ml` to `room_ml` holds `asked_ml`; `least_is` says what the least is."""
    low, high = np.ceil(least_ml * 10.0) / 10.0, np.floor(room_ml * 10.0) / 10.0
    if asked_ml > room_ml:
        raise RequestError(
            f"cement.volume_ml: {asked_ml:g} is more than the {high:g} mL that this body can take; "
            f"give {low:g} to {high:g}"
        )
    if asked_ml < least_ml:
        raise RequestError(f"cement.volume_ml: {asked_ml:g} is less than {least_is}; give {low:g} to {high:g}")
