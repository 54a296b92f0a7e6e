"""The instruments of chemoembolization as they stand at a moment: lines of the plan with sizes of the catalogue.

Wire and catheters are two structures each: the part inside the arteries ("wire", "catheter", "microcatheter") and what
lies outside the puncture ("wire-outside" and so on), with a hub at its end ("catheter-hub"). Radiographs take them as
cells along their line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spineviz.anatomy.outline import entry_on_body
from spineviz.anatomy.structure import Structure
from spineviz.devices.endovascular import (
    EndovascularSize,
    catheter_structures,
    endovascular_parts,
    endovascular_sizes,
    wire_structure,
)
from spineviz.devices.endovascular_hubs import back_flow, catheter_hub, hub_mouth, syringe_structures
from spineviz.devices.vascular_access import pressure_pad, puncture_needle_structures, sheath_structures
from spineviz.geometry.fields import Points, Vector, unit
from spineviz.procedures.navigation import navigation_figure

if TYPE_CHECKING:
    from spineviz.procedures.chemoembolization import ChemoembolizationPlan
    from spineviz.procedures.state import EndovascularState

BEFORE_SKIN_MM = 40.0
"""How far outside the skin the needle comes into view; chosen for legibility."""
FRONT = (0.0, 1.0, 0.0)
"""Where the skin over the puncture faces."""
OUTSIDE_MM = 110.0
"""How much of the catheter is shown outside the puncture; chosen for legibility."""
_BENDS_MM = 60.0
BEYOND_MM = 60.0
"""How much further wire and microcatheter are shown, which run through it; chosen for legibility."""


def sheath_size(french: int) -> EndovascularSize:
    """The sheath that a catheter of so many French runs in."""
    return endovascular_sizes()[f"sheath-{french}F"]


def devices_at(plan: ChemoembolizationPlan, state: EndovascularState) -> dict[str, Structure]:
    """Every instrument at `state`, by name."""
    sizes = endovascular_sizes()
    out: dict[str, Structure] = {}
    outside = outer_line(plan, OUTSIDE_MM)
    beyond = outer_line(plan, OUTSIDE_MM + BEYOND_MM)
    posture = plan.posture(state.stretch, state.walked)
    if posture is not None:
        if (line := posture.wire_line) is not None:
            out["wire"] = wire_structure("wire", line, sizes[plan.kit.wire.name])
            out["wire-outside"] = wire_structure("wire-outside", beyond, sizes[plan.kit.wire.name])
        if (line := posture.outer_line) is not None and len(line) > 1:
            size = sizes[plan.kit.catheter.name]
            out |= catheter_structures("catheter", line, size)
            out |= catheter_structures("catheter-outside", outside, size)
            out["catheter-hub"] = catheter_hub("catheter-hub", *outer_end(outside), size)
    micro = plan.micro_posture(state.micro_stretch, state.micro_walked)
    if micro is not None:
        if (line := micro.wire_line) is not None:
            out["micro-wire"] = wire_structure("micro-wire", line, sizes[plan.kit.micro_wire.name])
        if (line := micro.outer_line) is not None:
            size = sizes[plan.kit.micro.name]
            out |= catheter_structures("microcatheter", line, size)
            out["microcatheter-outside"] = catheter_structures("microcatheter-outside", beyond, size)[
                "microcatheter-outside"
            ]
            out["microcatheter-hub"] = catheter_hub("microcatheter-hub", *outer_end(beyond), size)
    if state.syringe is not None:
        role, volume_ml, filled = state.syringe
        end, outward = outer_end(outside if micro is None else beyond)
        out |= syringe_structures("syringe", hub_mouth(end, outward), -outward, filled, role, volume_ml)
    puncture = plan.puncture
    if state.needle_mm is not None:
        size, direction = sizes["needle-18G"], np.asarray(puncture.direction)
        tip = np.asarray(puncture.skin_mm) + state.needle_mm * direction
        out |= puncture_needle_structures("needle", tip, direction, size)
        out |= back_flow("blood", tip, direction, size, state.blood_share)
    if state.sheath_mm is not None:
        size = sheath_size(plan.case.catheter.french)
        line, ahead = sheath_line(plan, state.sheath_mm)
        out |= sheath_structures("sheath", line, size, state.dilator, ahead)
    if state.pressure_min is not None and 0.0 < state.pressure_min < navigation_figure("pressure_min"):
        # over the hole in the artery, which lies further up than the one in the skin
        out |= pressure_pad(entry_on_body(plan.column, np.asarray(puncture.vessel_mm), np.asarray(FRONT)), FRONT)
    return out


def outer_line(plan: ChemoembolizationPlan, length_mm: float = OUTSIDE_MM) -> Points:
    """(K, 3) what lies outside: from the artery's middle through the skin and on, sinking to the thigh, tip last."""
    puncture = plan.puncture
    inward = unit(np.asarray(puncture.direction))
    way = np.linspace(length_mm, 0.0, round(length_mm / 2.75))
    start = np.asarray(puncture.skin_mm)
    # it bends down at first and then runs on straight
    bent = np.clip(way - 30.0, 0.0, _BENDS_MM)
    sunk = 1.6e-3 * (bent**2 + 2.0 * bent * np.maximum(way - 30.0 - _BENDS_MM, 0.0))
    away = start - way[:, None] * inward + np.array([0.0, -1.0, 0.0]) * sunk[:, None]
    return np.concatenate([away, np.linspace(start, np.asarray(puncture.axis_mm), 12)[1:]])


def outer_end(line: Points) -> tuple[Vector, Vector]:
    """(3,) where such a line ends outside, and (3,) the way in which it would run on."""
    return line[0], unit(line[0] - line[1])


def sheath_line(plan: ChemoembolizationPlan, inside_mm: float) -> tuple[Points, Points]:
    """(K, 3) the sheath's way from outside the skin into the artery, `inside_mm` of it past the skin, hub first; and
    (M, 3) the way that its dilator takes from its tip on, in the artery too."""
    puncture = plan.puncture
    size = sheath_size(plan.case.catheter.french)
    skin, axis = np.asarray(puncture.skin_mm), np.asarray(puncture.axis_mm)
    to_axis = float(np.linalg.norm(axis - skin))
    lumen = plan.ways.aorta
    ahead_mm = endovascular_parts()["dilator_ahead_mm"]
    reach = np.arange(-(size.length_mm - inside_mm), inside_mm + 0.1, 2.5)
    tip = len(reach)
    reach = np.concatenate([reach, reach[-1] + np.arange(2.5, ahead_mm + 5.0, 2.5)])
    inward = unit(np.asarray(puncture.direction))
    out: list[Vector] = []
    for way in reach:
        if way <= to_axis:
            out.append(skin + way * inward)
        else:
            out.append(lumen.at(way - to_axis)[0])
    line = _rounded_corner(np.array(out))
    return line[:tip], line[tip:]


def _rounded_corner(line: Points) -> Points:
    """The same line with its one corner, where it enters the vessel, rounded off as a tube bends."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(line, 2.2, axis=0, mode="nearest")
    smooth[0], smooth[-1] = line[0], line[-1]
    return np.asarray(smooth)
