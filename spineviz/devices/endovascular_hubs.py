"""What is done at the outer end of needle and catheter: the winged hub, the syringe that locks on it, blood that comes.

A syringe's own frame has the nozzle's end at the origin and z forward, into the hub; a catheter hub's has the tube's
outer end at the origin and z along the tube.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.arterial_tubes import branch_mesh, tapered_tube
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.devices.endovascular import EndovascularSize, endovascular_parts
from spineviz.devices.solids import Solid, all_of, arc, block, filleted, rod_profile, structure_of, turned
from spineviz.geometry.fields import Points, Vector, as_vector, unit
from spineviz.geometry.frames import Frame, looking_along, rotation_about, translation
from spineviz.geometry.meshes import joined
from spineviz.geometry.operators import union

FLUIDS: Mapping[str, str] = MappingProxyType({"contrast": "iohexol-300", "drug": "iohexol-150", "artery": "blood"})
"""Role of what is in a syringe -> its material: contrast; drug and particles mixed with contrast; blood drawn back."""

_SCALE_DEPTH_MM = 0.2
_GRAVITY_M_S2 = 9.81
_DOWN = np.array([0.0, -1.0, 0.0])
"""Where things fall while the patient lies on the back, world."""
_DROPS = 3


def _lying(tip_mm: ArrayLike, forward: ArrayLike) -> Frame:
    """Where a thing stands that points along `forward` (3,) and whose upper side (y) looks to the patient's front."""
    return looking_along(tip_mm, forward, up=(0.0, 1.0, 0.0))


# ---- the catheter's hub ----------------------------------------------------------------------------------------------


@cache
def _hub(outer_mm: float, inner_mm: float) -> Solid:
    """The winged hub round the end of a tube of those diameters: conical mouth behind, strain relief in front."""
    part = endovascular_parts()
    back, rim = -part["catheter_hub_length_mm"], part["catheter_hub_radius_mm"]
    tube_mm, bore = outer_mm / 2, inner_mm / 2
    deep = part["luer_depth_mm"] + 1.5
    waist = 0.82 * rim
    outside = filleted(
        [
            [_mouth_mm(0.0), back], [rim, back], [rim, back + 2.2], [waist, back + 3.0], [waist, -5.0],
            [tube_mm + 0.8, -1.0], [tube_mm + 0.25, 9.0], [tube_mm, 9.0],
        ],
        0.4,
    )  # fmt: skip
    inside = [[tube_mm, 0.0], [bore, 0.0], [bore, back + deep + 2.0], [_mouth_mm(deep), back + deep]]
    half, inner = part["wing_span_mm"] / 2, 0.9 * waist
    wings = [
        block(
            (side * (inner + half) / 2, 0.0, 0.42 * back),
            (half - inner, part["wing_thickness_mm"], 9.0),
            0.45 * part["wing_thickness_mm"],
        )
        for side in (-1.0, 1.0)
    ]
    return all_of(turned(np.vstack([outside, inside, outside[:1]])), *wings)


def _mouth_mm(depth_mm: float) -> float:
    """Radius of a hub's conical bore `depth_mm` from its mouth."""
    part = endovascular_parts()
    return (part["luer_mouth_mm"] - part["luer_taper"] * depth_mm) / 2


def catheter_hub(name: str, end_mm: ArrayLike, outward: ArrayLike, size: EndovascularSize) -> Structure:
    """The hub of a catheter of `size` whose outer end is at `end_mm` (3,), where it runs on along `outward` (3,).

    ValueError for what has no bore.
    """
    if size.inner_mm is None:
        raise ValueError(f"size must be a tube, got the {size.kind} {size.name}")
    stand = _lying(end_mm, -unit(outward, "outward"))
    return structure_of(name, "hub", "pmma", _hub(size.outer_mm, size.inner_mm), f"catheter-hub-{size.name}", stand)


def hub_mouth(end_mm: ArrayLike, outward: ArrayLike) -> Vector:
    """(3,) where the nozzle of a syringe ends that is locked on the hub of a catheter; arguments as `catheter_hub`."""
    part = endovascular_parts()
    away = part["catheter_hub_length_mm"] - part["luer_depth_mm"]
    return as_vector(end_mm, "end_mm") + away * unit(outward, "outward")


# ---- the syringe -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Syringe:
    """A syringe of so many mL: 1 for particles, 10 for contrast.

    Attributes:
        volume_ml: what it holds when it is full.
        bore_mm: inner diameter of the barrel.
    """

    volume_ml: int
    bore_mm: float

    @property
    def fluid_radius_mm(self) -> float:
        """Radius of the column of fluid."""
        return self.bore_mm / 2 - endovascular_parts()["syringe_film_mm"]

    @property
    def stroke_mm(self) -> float:
        """The piston's way from full to empty."""
        return float(1000.0 * self.volume_ml / (np.pi * self.fluid_radius_mm**2))

    @property
    def front_mm(self) -> float:
        """z of the barrel's inner end, where the piston stands when it is empty."""
        part = endovascular_parts()
        return -part["syringe_nozzle_mm"] - part["syringe_wall_mm"]

    @property
    def back_mm(self) -> float:
        """z of the barrel's open end."""
        return self.front_mm - self.stroke_mm - 1.6 * endovascular_parts()["syringe_piston_mm"]

    def piston_mm(self, filled_share: float) -> float:
        """z of the piston's face."""
        return self.front_mm - filled_share * self.stroke_mm


@cache
def syringes() -> Mapping[int, Syringe]:
    """The syringes by mL."""
    part = endovascular_parts()
    return MappingProxyType({ml: Syringe(ml, part[f"syringe_{ml}_bore_mm"]) for ml in (1, 10)})


@cache
def _barrel(syringe: Syringe) -> Solid:
    """The clear barrel: flange, nozzle, and round it the collar that locks on a hub's rim."""
    part, inner = endovascular_parts(), syringe.bore_mm / 2
    outer, back, shoulder = inner + part["syringe_wall_mm"], syringe.back_mm, -part["syringe_nozzle_mm"]
    wide, collar = outer + part["syringe_flange_mm"], part["syringe_collar_mm"] / 2
    bore = part["syringe_nozzle_bore_mm"] / 2
    tip = _mouth_mm(part["luer_depth_mm"]) - part["luer_gap_mm"]
    base = tip - part["luer_taper"] / 2 * (shoulder + 1.2)
    front = -part["luer_depth_mm"] + 3.5  # the collar ends round the rim of the hub
    ring = [
        [inner, back], [wide, back], [wide, back + 1.8], [outer, back + 1.8], [outer, shoulder - 0.8],
        [collar, shoulder + 0.4], [collar, front], [collar - 0.8, front], [collar - 0.8, shoulder + 1.2],
        [base, shoulder + 1.2], [tip, 0.0], [bore, 0.0], [bore, syringe.front_mm], [inner, syringe.front_mm],
        [inner, back],
    ]  # fmt: skip
    return turned(np.array(ring))


@cache
def _scale(syringe: Syringe) -> Solid:
    """Ten marks on the barrel's upper side (+y), the fifth and the last longer."""
    radius = syringe.bore_mm / 2 + endovascular_parts()["syringe_wall_mm"]
    marks = [
        arc(62.0 if k in (5, 10) else 38.0, radius, 0.045 * syringe.stroke_mm / 10 + 0.2, _SCALE_DEPTH_MM, 0.06).moved(
            translation((0.0, 0.0, syringe.piston_mm(k / 10)))
        )
        for k in range(1, 11)
    ]
    return all_of(*marks).moved(rotation_about((0.0, 0.0, 1.0), 90.0))


@cache
def _piston(syringe: Syringe) -> Solid:
    """The rubber piston, its face at z = 0: two lips that touch the barrel and a groove between them."""
    radius, long = syringe.fluid_radius_mm, endovascular_parts()["syringe_piston_mm"]
    groove = 0.88 * radius
    sides = [
        [0.0, -long], [radius, -long], [radius, -0.7 * long], [groove, -0.6 * long], [groove, -0.4 * long],
        [radius, -0.3 * long], [radius, 0.0], [0.0, 0.0],
    ]  # fmt: skip
    return turned(filleted(sides, 0.25))


@cache
def _plunger(syringe: Syringe) -> Solid:
    """The plunger behind the piston, whose face is at z = 0: a rod of crossed ribs and a disc for the thumb."""
    radius, long = syringe.fluid_radius_mm, endovascular_parts()["syringe_piston_mm"]
    end = syringe.back_mm - syringe.front_mm - 4.0  # emptied, the disc still stands clear of the flange
    rib = (1.7 * radius, 0.28 * radius, -end - long + 0.4)
    middle = (0.0, 0.0, (end - long) / 2)
    disc = turned(filleted(rod_profile(max(1.05 * radius, 4.6), end - 1.8, end + 0.2), 0.6))
    crossed = block(middle, rib, 0.1 * radius).moved(rotation_about((0.0, 0.0, 1.0), 90.0))
    return all_of(block(middle, rib, 0.1 * radius), crossed, disc)


def _fluid(syringe: Syringe, filled_share: float) -> Solid:
    """What is in the barrel, and in the nozzle as far as it is seen: up to the hub that it sits in."""
    part, radius = endovascular_parts(), syringe.fluid_radius_mm
    front, face = syringe.front_mm, syringe.piston_mm(filled_share)
    bore = part["syringe_nozzle_bore_mm"] / 2 - part["syringe_film_mm"]
    nozzle = [[bore, front], [bore, -part["luer_depth_mm"]], [0.0, -part["luer_depth_mm"]]]
    column = [[0.0, face], [radius, face], [radius, front]] if front - face > 1e-3 else [[0.0, front]]
    return turned(np.array([*column, *nozzle]))


def syringe_structures(
    name: str, tip_mm: ArrayLike, direction: ArrayLike, filled_share: float, role: str, volume_ml: int = 10
) -> dict[str, Structure]:
    """A syringe with its nozzle's end at `tip_mm` (3,), pointing along `direction` (3,): barrel, scale, plunger, fluid.

    The barrel is clear: a picture shows it as glass.

    Args:
        filled_share: 0 emptied to 1 full; what is in the nozzle stays in it.
        role: of the fluid, a key of FLUIDS.
        volume_ml: 1 or 10.

    Raises ValueError for a share, a role or a volume that is none of these.
    """
    if not 0.0 <= filled_share <= 1.0:
        raise ValueError(f"filled_share must be 0 to 1, got {filled_share}")
    if role not in FLUIDS:
        raise ValueError(f"role must be {', '.join(FLUIDS)}, got {role}")
    if volume_ml not in syringes():
        raise ValueError(f"volume_ml must be {' or '.join(map(str, syringes()))}, got {volume_ml}")
    syringe, key, stand = syringes()[volume_ml], f"syringe-{volume_ml}", _lying(tip_mm, direction)
    pushed = stand @ translation((0.0, 0.0, syringe.piston_mm(filled_share)))
    share = round(filled_share, 5)
    made = [
        structure_of(name, "hub", "pmma", _barrel(syringe), key, stand),
        structure_of(f"{name}-scale", "detector", "pmma", _scale(syringe), f"{key}-scale", stand),
        structure_of(f"{name}-plunger", "ligament", "pmma", _plunger(syringe), f"{key}-plunger", pushed),
        structure_of(f"{name}-piston", "detector", "pmma", _piston(syringe), f"{key}-piston", pushed),
        structure_of(
            f"{name}-fluid", role, FLUIDS[role], _fluid(syringe, share), f"{key}-fluid-{share:g}", stand, "cement"
        ),
    ]
    return {structure.name: structure for structure in made}


# ---- blood at the needle ---------------------------------------------------------------------------------------------


def back_flow(
    name: str, tip_mm: ArrayLike, direction: ArrayLike, size: EndovascularSize, blood_share: float
) -> dict[str, Structure]:
    """Blood that spurts from the hub of a needle in an artery, bright and in pulses; nothing while `blood_share` is 0.

    Args:
        tip_mm, direction, size: (3,), (3,): as the needle stands.
        blood_share: how far the jet has come, 0 to 1; ValueError outside.
    """
    if not 0.0 <= blood_share <= 1.0:
        raise ValueError(f"blood_share must be 0 to 1, got {blood_share}")
    if blood_share == 0.0:
        return {}
    line, radius = _jet(as_vector(tip_mm, "tip_mm"), unit(direction, "direction"), size)
    way = np.linspace(0.0, 1.0, len(line))
    # the stream tears into drops where it is longest
    flown = way <= max(0.72 * blood_share, 0.05)
    stream, wide = line[flown], radius[flown]
    wide = wide * np.sqrt(np.clip((1.0 - np.linspace(0.0, 1.0, len(wide))) / 0.12, 0.16, 1.0))
    fields, meshes = [tapered_tube(stream, wide)], [branch_mesh(stream, wide, None)]
    for k in range(_DROPS):
        at = blood_share * (0.79 + 0.1 * k)
        i = round(at * (len(line) - 1))
        drop = _drop(float((1.15 - 0.15 * k) * radius[0])).moved(translation(line[i]))
        fields.append(drop.field)
        meshes.append(drop.mesh)
    mesh = joined(*meshes)
    place = "-".join(f"{v:.3f}" for v in (*line[0], *line[-1], blood_share))
    return {
        name: Structure(
            name, "artery", "blood", union(*fields), lambda spacing_mm: mesh, f"jet-{size.name}-{place}", RANKS["steel"]
        )
    }


def _jet(tip_mm: Vector, forward: Vector, size: EndovascularSize) -> tuple[Points, NDArray[np.float64]]:
    """(K, 3) the way that blood flies from within the needle's hub, and its radius (K,)."""
    part = endovascular_parts()
    hub = 6.0
    start = tip_mm - (size.length_mm - 3.0 + part["needle_hub_length_mm"] - hub) * forward
    way = np.linspace(0.0, part["jet_mm"], 96)
    flown_s = 1e-3 * np.maximum(way - hub, 0.0) / part["jet_speed_m_s"]
    fall_mm = 1e3 * 0.5 * _GRAVITY_M_S2 * flown_s**2
    line = start - way[:, None] * forward + fall_mm[:, None] * _DOWN
    swell = 1.0 + part["jet_pulse_share"] * np.sin(2 * np.pi * way / part["jet_pulse_mm"])
    return line, 0.5 * (size.inner_mm or size.outer_mm) * swell


def _drop(radius_mm: float) -> Solid:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    profile = np.column_stack([np.cos(angle), np.sin(angle)]) * radius_mm
    profile[[0, -1], 0] = 0.0
    return turned(profile, sides=20)
