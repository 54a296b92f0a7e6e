"""The operating room round a patient who lies face down, in the patient's coordinates (posterior is up in the room).

Furniture and people stand where assets/devices/theatre.csv says; none of it is measured anatomy. Up in the room is
taken as straight behind the treated vertebra, so that the patient lies level; the true long axis leans some 17 degrees
against that of L1, and the outline agrees with the skin of anatomy/trunk.py within 5 mm only round L1.

The C-arm turns about the long axis through the treated level: at 0 degrees its beam runs from the floor upward (AP
view), at 90 degrees from the patient's left to the right (lateral view), and the operator steps aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy import figure
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.data.tables import LEVELS, morphometry, sourced_table
from spineviz.devices.solids import Solid, all_of, arc, block, rod, tube
from spineviz.geometry.fields import Distances, Field, Points, box_bounds
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.grids import Grid
from spineviz.geometry.meshes import Mesh, mesh_field
from spineviz.geometry.operators import moved

PATIENT_SPACING_MM = 12.0
PERSON_SPACING_MM = 13.0
"""The room is seen from metres away: finer surfaces than these cost time and show nothing."""
_PATIENT, _CAP, _DRAPE = "patient", "patient-cap", "drape"


@cache
def sizes() -> dict[str, float]:
    """Name -> value of assets/devices/theatre.csv (mm, degrees)."""
    return {name: row.value for name, row in sourced_table(asset("devices", "theatre.csv")).items()}


def _structure(
    name: str,
    role: str,
    field: Field,
    local: Frame | None = None,
    mesh: Callable[[float], Mesh] | None = None,
    key: str = "",
) -> Structure:
    """A part of the room; `field` (and `mesh`) in the local frame, `key` (or else the name) naming its surface."""
    frame = local or Frame()
    return Structure(
        name=name,
        role=role,
        material="theatre",
        field=moved(field, frame),
        mesh=cache(mesh or (lambda spacing_mm: mesh_field(field, spacing_mm))),
        key=f"theatre-{key or name}",
        rank=RANKS["skin"],
        world_from_local=frame,
    )


def relocated(parts: Mapping[str, Structure], outer_from_inner: Frame) -> dict[str, Structure]:
    """`parts` as they stand when what carries them is moved; their surfaces stay what they are."""
    return {
        name: replace(
            part,
            field=moved(part.field, outer_from_inner),
            world_from_local=outer_from_inner @ part.world_from_local,
        )
        for name, part in parts.items()
    }


def furniture(name: str, role: str, solid: Solid, place: Frame | None = None, key: str = "") -> Structure:
    """A part of a room whose surface is the same at every spacing; `key` (or else the name) names that surface."""
    return _structure(name, role, solid.field, place, lambda spacing_mm: solid.mesh, key)


def _sampled(field: Field, least_mm: float) -> Callable[[float], Mesh]:
    """spacing -> the surface of `field`, kept, at `least_mm` or coarser."""
    kept = cache(lambda spacing_mm: mesh_field(field, spacing_mm))
    return lambda spacing_mm: kept(max(spacing_mm, least_mm))


@cache
def level_offset_mm(level: str) -> float:
    """How far `level`'s centre lies above L1's (below: negative), by the table's heights and discs."""
    rows = morphometry()
    high, low = sorted((LEVELS.index(level), LEVELS.index("L1")))
    way = 0.0
    for here, after in zip(LEVELS[high:low], LEVELS[high + 1 : low + 1], strict=True):
        half = (rows[here]["VBHp_use_mm"].value + rows[after]["VBHp_use_mm"].value) / 2
        way += half + rows[here]["disc_below_height_mm"].value
    return way if LEVELS.index(level) < LEVELS.index("L1") else -way


def _lying(level: str) -> Frame:
    """Where the patient of L1's world lies when `level` is the one that is treated."""
    return translation((0.0, 0.0, -level_offset_mm(level)))


@cache
def _patient_parts() -> tuple[tuple[str, str, Field, Callable[[float], Mesh]], ...]:
    body, cap = figure.prone_patient(), figure.patient_cap()
    return (
        (_PATIENT, "skin", body, _sampled(body, PATIENT_SPACING_MM)),
        (_CAP, "gown", cap, _sampled(cap, 8.0)),
    )


@cache
def patient(level: str = "L1") -> dict[str, Structure]:
    """The whole patient, face down, `level` at the origin."""
    return {name: _structure(name, role, f, _lying(level), mesh) for name, role, f, mesh in _patient_parts()}


# ---- furniture -----------------------------------------------------------------------------------------------------


def _floor_y_mm() -> float:
    s = sizes()
    return s["table_top_mm"] + s["table_height_mm"]


@cache
def _table_parts() -> dict[str, tuple[str, Solid]]:
    s = sizes()
    top, head, foot = s["table_top_mm"], s["table_head_mm"], s["table_foot_mm"]
    middle, length, width, thick = (head + foot) / 2, head - foot, s["table_width_mm"], s["table_thickness_mm"]
    z, wide, floor_y = s["column_z_mm"], s["column_width_mm"], _floor_y_mm()
    under = top + s["mattress_mm"]
    low = under + thick
    sides = (-1.0, 1.0)
    frame = all_of(
        block((0, under + thick / 2, middle), (width, thick, length), 18),
        *(block((side * 318, under + 10, 610), (170, 28, 420), 12) for side in sides),  # arm boards
        block((0, low + 30, z + 40), (360, 76, 640), 26),
    )
    column = all_of(
        block((0, (low + floor_y) / 2, z), (wide, floor_y - low, wide * 1.15), 46),
        block((0, (low + floor_y) / 2 + 150, z), (wide + 56, floor_y - low - 300, wide * 1.15 + 56), 30),
        block((0, floor_y - 54, z), (580, 104, 980), 44),
    )
    mattress = all_of(
        block((0, top + s["mattress_mm"] / 2, middle), (width - 14, s["mattress_mm"], length - 20), 18),
        *(block((side * 318, top + 20, 610), (156, 44, 400), 18) for side in sides),
    )
    pads = all_of(
        block((0, top - 14, 150), (330, 58, 150), 26),  # under chest and pelvis: the belly hangs free
        block((0, top - 14, -235), (330, 58, 150), 26),
        block((0, top - 40, -1085), (420, 112, 116), 50),  # under the ankles
        *(block((side * 88, top - 8, 548), (70, 96, 230), 32) for side in sides),  # a face rest, open in the middle
        block((0, top - 8, 640), (230, 96, 66), 32),
    )
    return {
        "table": ("table", frame),
        "table-column": ("c-arm", column),
        "mattress": ("mattress", mattress),
        "pads": ("mattress", pads),
    }


@cache
def table(level: str = "L1") -> dict[str, Structure]:
    """The radiolucent table on its column, its mattress and pads, as the patient with `level` at the origin lies."""
    return {name: furniture(name, role, solid, _lying(level)) for name, (role, solid) in _table_parts().items()}


@cache
def _ring_parts() -> dict[str, tuple[str, Solid]]:
    s = sizes()
    radius, face, tube_y = s["ring_radius_mm"], s["detector_mm"], s["tube_mm"]
    size = s["detector_size_mm"]
    ring = all_of(
        arc(s["ring_half_arc_deg"], radius, s["ring_width_mm"], s["ring_depth_mm"], 16.0),
        block((0, -(face + radius) / 2 - 30, 0), (150, radius - face, 150), 30),  # the detector's carrier
        block((0, -face - 50, 0), (size, 100, size), 26),
        block((0, tube_y + 80, 0), (230, 190, 220), 46),  # the tube's tank
    )
    dark = all_of(
        block((0, -face - 6, 0), (size - 30, 26, size - 30), 10),
        tube([(-size / 2 - 26, -face - 50, -90), (-size / 2 - 26, -face - 50, 90)], 12),
        *(rod((-size / 2 - 26, -face - 50, z), (-size / 2 + 10, -face - 50, z), 10) for z in (-80.0, 80.0)),
        rod((0, tube_y + 10, 0), (0, tube_y - 34, 0), 62),
        arc(s["ring_half_arc_deg"] - 8, radius + s["ring_depth_mm"] / 2, 30, 10, 4.0),  # the rail
    )
    return {"c-arm-ring": ("c-arm", ring), "c-arm-detector": ("detector", dark)}


@cache
def _base_parts() -> dict[str, tuple[str, Solid]]:
    s = sizes()
    x, floor_y, radius = s["base_x_mm"], _floor_y_mm(), s["ring_radius_mm"]
    sides = (-1.0, 1.0)
    leaning = translation((x + 150, floor_y - 700, 0)) @ rotation_about((0, 0, 1), 24.0)
    light = all_of(
        block((radius + 76, 0, 0), (140, 270, 160), 34),  # the cradle in which the C slides
        block(((radius + x) / 2 + 40, 0, 0), (x - radius + 40, 130, 120), 34),
        block((x, floor_y / 2 - 40, 0), (170, floor_y - 60, 210), 44),
        block((x + 120, floor_y - 370, 0), (430, 560, 400), 60),
        *(block((x - 120, floor_y - 86, side * 215), (840, 74, 84), 30) for side in sides),
        block((x + 120, floor_y - 96, 0), (300, 90, 500), 36),
    )
    dark = all_of(
        block((0, 0, 0), (250, 34, 300), 14).moved(leaning),
        *(
            rod((wx, floor_y - 50, side * 215 - 26), (wx, floor_y - 50, side * 215 + 26), 50)
            for wx in (x - 480, x + 240)
            for side in sides
        ),
    )
    return {"c-arm-base": ("c-arm", light), "c-arm-trim": ("detector", dark)}


def c_arm(angle_deg: float = 0.0) -> dict[str, Structure]:
    """The mobile C-arm, its isocentre at the origin, turned by `angle_deg` about the long axis: 0 AP, 90 lateral."""
    turned = rotation_about((0.0, 0.0, 1.0), angle_deg)
    ring = {name: furniture(name, role, solid, turned) for name, (role, solid) in _ring_parts().items()}
    return {**ring, **{name: furniture(name, role, solid) for name, (role, solid) in _base_parts().items()}}


@cache
def monitor() -> dict[str, Structure]:
    """Two screens on a cart across the table from the operator, with the spine in both views on them."""
    s = sizes()
    x, z, width = s["monitor_x_mm"], s["monitor_z_mm"], s["monitor_width_mm"]
    floor_y = _floor_y_mm()
    dark = [
        rod((0, -330, 40), (0, floor_y - 60, 40), 30),
        block((0, floor_y - 70, 40), (520, 70, 420), 24),
        block((0, -420, 34), (width * 2 - 220, 60, 40), 18),
    ]
    lit, drawn = [], []
    for side in (-1.0, 1.0):
        place = translation((side * (width / 2 + 6), -440, -20)) @ rotation_about((0, 1, 0), side * 10.0)
        dark.append(block((0, 0, 0), (width, 350, 44), 14).moved(place))
        lit.append(block((0, 0, -18), (width - 34, 316, 14), 5).moved(place))
        for i in range(5):
            lean = rotation_about((0, 0, 1), 4.0 * (i - 2)) if side > 0 else Frame()
            here = place @ translation((0.0, (i - 2) * 60.0, -24.0)) @ lean
            drawn.append(block((0, 0, 0), (96 if side < 0 else 78, 44, 8), 4).moved(here))
            if side > 0:  # the lateral view: spinous processes behind the bodies
                drawn.append(block((86, 12, 0), (56, 20, 8), 4).moved(here))
        drawn.append(
            tube([(-200, -40, -25), (0, 0, -25)] if side < 0 else [(190, -40, -25), (-6, 2, -25)], 4).moved(place)
        )
    # the screens look along -z of their own frame, in the room at the operator
    toward = np.array([s["operator_x_mm"] - x, 0.0, s["operator_z_mm"] - z])
    back = -toward / np.linalg.norm(toward)
    down = np.array([0.0, 1.0, 0.0])
    stand = Frame(np.stack([np.cross(down, back), down, back], axis=1), np.array([x, 0.0, z]))
    return {
        "monitor": furniture("monitor", "detector", all_of(*dark), stand),
        "monitor-screen": furniture("monitor-screen", "ligament", all_of(*lit), stand),
        "monitor-image": furniture("monitor-image", "table", all_of(*drawn), stand),
    }


@cache
def instruments() -> dict[str, Structure]:
    """The instrument table under its drape, with what lies on it."""
    s = sizes()
    floor_y = _floor_y_mm()
    legs = all_of(
        *(rod((a, 300, b), (a, 900, b), 16) for a in (-210, 210) for b in (-340, 340)),
        block((0, 850, 0), (440, 26, 700), 12),
    )
    steel = all_of(
        *(rod((a, -9, -60), (a + 12, -9, 110), 7) for a in (-150, -100, -50)),
        rod((100, 0, 250), (100, -40, 250), 74),
        block((90, -12, 10), (130, 24, 200), 10),
    )
    hubs = all_of(
        *(block((a, -17, -96), (34, 34, 66), 12) for a in (-151, -101, -51)),
        rod((20, -16, 120), (180, -16, 110), 15),  # a syringe
    )
    cloth = block((0, 190, 0), (520, 380, 800), 26)
    place = translation((s["instruments_x_mm"], floor_y - 900.0, s["instruments_z_mm"]))
    return {
        "instrument-table": furniture("instrument-table", "drape", cloth, place),
        "instrument-legs": furniture("instrument-legs", "c-arm", legs, place),
        "instruments": furniture("instruments", "steel", steel, place),
        "instrument-handles": furniture("instrument-handles", "hub", hubs, place),
    }


@cache
def floor() -> dict[str, Structure]:
    """A round patch of floor, so that the room stands on something."""
    y = _floor_y_mm() + 2.0
    return {"floor": furniture("floor", "floor", rod((150, y + 60, -200), (150, y, -200), 1900.0, 96))}


# ---- cloth ---------------------------------------------------------------------------------------------------------

_CLOTH_STEP_MM = 10.0


@dataclass(frozen=True)
class Sheet:
    """A cloth over somebody who lies on a table, in a room where -y is up.

    Attributes:
        half_mm: half the table's width.
        top_mm: y of the table's upper face.
        foot_mm, head_mm: z of its two edges.
        hang_mm: how far it hangs down at the sides.
        thickness_mm: as it is drawn.
    """

    half_mm: float
    top_mm: float
    foot_mm: float
    head_mm: float
    hang_mm: float
    thickness_mm: float


def sheet_heights(sheet: Sheet, points_mm: Points, beyond_mm: float) -> Grid:
    """How high the sheet lies: height over (x, z) as a grid of one layer that reaches `beyond_mm` past its head.

    The sheet rests on somebody's surface `points_mm` (N, 3) and on the table, and is drawn taut across the hollows
    between them.
    """
    from scipy.ndimage import gaussian_filter, maximum_filter

    half = sheet.half_mm
    x = np.arange(-half - 60.0, half + 60.1, _CLOTH_STEP_MM)
    z = np.arange(sheet.foot_mm - 60.0, sheet.head_mm + beyond_mm + 0.1, _CLOTH_STEP_MM)
    height = np.full((len(x), len(z)), -sheet.top_mm)  # heights above the world's x-z plane, up positive
    column = np.round((points_mm[:, 0] - x[0]) / _CLOTH_STEP_MM).astype(int)
    row = np.round((points_mm[:, 2] - z[0]) / _CLOTH_STEP_MM).astype(int)
    inside = (column >= 0) & (column < len(x)) & (row >= 0) & (row < len(z))
    np.maximum.at(height, (column[inside], row[inside]), -points_mm[inside, 1])
    height = maximum_filter(height, size=3)
    taut = np.maximum(height, gaussian_filter(maximum_filter(height, size=(15, 9)), (3.5, 3.0)) - 4.0)
    beyond = np.maximum(np.abs(x) - half + 14.0, 0.0)[:, None]
    return Grid(np.array([x[0], 0.0, z[0]]), _CLOTH_STEP_MM, (gaussian_filter(taut, 1.5) + 9.0 - beyond)[:, None, :])


@cache
def _sheet() -> Sheet:
    s = sizes()
    return Sheet(
        s["table_width_mm"] / 2, s["table_top_mm"], s["drape_foot_mm"], s["drape_head_mm"], s["drape_hang_mm"],
        s["drape_thickness_mm"],
    )  # fmt: skip


@cache
def _cloth_heights() -> Grid:
    """How high the sheet over the patient lies, in L1's world."""
    return sheet_heights(_sheet(), _patient_parts()[0][3](PATIENT_SPACING_MM).points_mm, 240.0)


def _opening(x: NDArray[np.float64], z: NDArray[np.float64], centre_z_mm: float) -> NDArray[np.float64]:
    """Signed distance in the sheet to its window over the level, negative inside it."""
    s = sizes()
    u = np.abs(x) - s["drape_window_width_mm"] / 2 + 24.0
    v = np.abs(z - centre_z_mm) - s["drape_window_length_mm"] / 2 + 24.0
    return np.hypot(np.maximum(u, 0.0), np.maximum(v, 0.0)) + np.minimum(np.maximum(u, v), 0.0) - 24.0


def sheet_field(sheet: Sheet, heights: Grid, opening: Callable[[Distances, Distances], Distances]) -> Field:
    """The sheet: its top over who lies there and the table, and a curtain in folds down each side. Inexact.

    `heights` as `sheet_heights` gives them; `opening` takes x and z (N,) to a distance in the sheet (N,) that is
    negative where the sheet has a hole.
    """
    slope_x, slope_z = np.gradient(heights.values[:, 0, :], _CLOTH_STEP_MM)
    steep = Grid(heights.origin_mm, heights.spacing_mm, np.sqrt(1.0 + slope_x**2 + slope_z**2)[:, None, :])
    half, thick = sheet.half_mm + 14.0, sheet.thickness_mm
    low_y, high_y = -float(heights.values.max()) - 20.0, sheet.top_mm + sheet.hang_mm

    def distance(p: Points) -> Distances:
        x, z = np.abs(p[:, 0]), p[:, 2]
        above = -p[:, 1] - heights.at(np.column_stack([p[:, 0], np.zeros(len(p)), z]))
        above = above / steep.at(np.column_stack([p[:, 0], np.zeros(len(p)), z]))
        top = np.maximum(np.abs(above), x - half)
        # folds open towards the hem
        down = np.clip((p[:, 1] - sheet.top_mm) / sheet.hang_mm, 0.0, 1.0)
        wave = np.sin(z / 26.0) + 0.55 * np.sin(z / 15.0 + 0.9 + 0.8 * np.sign(p[:, 0]))
        curtain = np.maximum(np.abs(x - half - 6.0 - 13.0 * down * (1.0 + wave)) / np.sqrt(1.0 + down**2), above)
        hem = high_y - 12.0 * np.cos(z / 160.0)
        cloth = np.minimum(top, curtain) - thick / 2
        rim = np.maximum.reduce([sheet.foot_mm - z, z - sheet.head_mm, p[:, 1] - hem])
        return np.maximum.reduce([cloth, rim, -opening(p[:, 0], z)])

    reach = half + 60.0
    bounds = box_bounds([-reach, low_y, sheet.foot_mm], [reach, high_y + 12.0, sheet.head_mm])
    return Field(distance, bounds, exact=False)


def _cloth_field(level: str) -> Field:
    """The sheet over the patient, open over `level`; it reaches past its window."""
    sheet, centre_z = _sheet(), level_offset_mm(level)
    head = max(sheet.head_mm, centre_z + sizes()["drape_window_length_mm"] / 2 + 60.0)
    return sheet_field(replace(sheet, head_mm=head), _cloth_heights(), lambda x, z: _opening(x, z, centre_z))


@cache
def drape(level: str = "L1") -> dict[str, Structure]:
    """The sheet over the patient, open over `level`."""
    field = _cloth_field(level)
    thickness = sizes()["drape_thickness_mm"]
    kept = cache(lambda: mesh_field(field, 0.8 * thickness))  # coarser than the sheet is thick it would fall into holes
    return {_DRAPE: _structure(_DRAPE, "drape", field, _lying(level), lambda spacing_mm: kept(), key=f"drape-{level}")}


# ---- people --------------------------------------------------------------------------------------------------------

_OPERATOR: dict[str, tuple[str, Callable[[], Field]]] = {
    "gown": ("gown", figure.standing_gown),
    "legs": ("gown", figure.standing_legs),
    "shoes": ("detector", figure.standing_shoes),
    "gloves": ("ligament", figure.standing_gloves),
    "face": ("skin", figure.standing_face),
    "cap": ("drape", figure.standing_cap),
    "mask": ("ligament", figure.standing_mask),
    "glasses": ("floor", figure.standing_glasses),
}
_ASSISTANT = {
    **{name: part for name, part in _OPERATOR.items() if name != "gown"},
    "scrubs": ("gown", figure.standing_scrubs),
    "apron": ("hub", figure.standing_apron),
}


_LARGE = {"gown", "legs", "scrubs", "apron"}


@cache
def _person_part(part: str) -> tuple[str, Field, Callable[[float], Mesh]]:
    role, build = {**_OPERATOR, **_ASSISTANT}[part]
    field = build()
    return role, field, _sampled(field, PERSON_SPACING_MM if part in _LARGE else PERSON_SPACING_MM / 2)


def _standing(x_mm: float, z_mm: float, facing: tuple[float, float]) -> Frame:
    """World from a standing figure with its feet at (x, floor, z), looking along `facing` (x, z)."""
    forward = np.array([facing[0], 0.0, facing[1]]) / np.hypot(*facing)
    up = np.array([0.0, -1.0, 0.0])
    return Frame(np.stack([np.cross(forward, up), forward, up], axis=1), np.array([x_mm, _floor_y_mm(), z_mm]))


def team(aside: float = 0.0) -> dict[str, Structure]:
    """The operator at the patient's left and the assistant across the table.

    `aside` (0 to 1) is how far the operator has stepped out of a beam that runs across.
    """
    s = sizes()
    x, z = s["operator_x_mm"] + aside * s["operator_aside_x_mm"], s["operator_z_mm"] + aside * s["operator_aside_z_mm"]
    return {
        **person("operator", "operator", x, z, (-x, s["operator_looks_at_z_mm"] - z)),
        **person("assistant", "assistant", s["assistant_x_mm"], s["assistant_z_mm"], (-1.0, 0.55)),
    }


def person(who: str, kind: str, x_mm: float, z_mm: float, facing: tuple[float, float]) -> dict[str, Structure]:
    """One of the team, "operator" in a sterile gown or "assistant" in an apron, standing as `_standing` says."""
    out = {}
    for part in {"operator": _OPERATOR, "assistant": _ASSISTANT}[kind]:
        role, field, mesh = _person_part(part)
        name = f"{who}-{part}"
        out[name] = _structure(name, role, field, _standing(x_mm, z_mm, facing), mesh, key=f"team-{part}")
    return out


def theatre(level: str = "L1", c_arm_deg: float = 0.0) -> dict[str, Structure]:
    """The whole room, `level` at the isocentre, the C-arm at `c_arm_deg`; the operator steps aside for it."""
    return {
        **floor(),
        **table(level),
        **patient(level),
        **drape(level),
        **c_arm(c_arm_deg),
        **monitor(),
        **instruments(),
        **team(abs(np.sin(np.deg2rad(c_arm_deg)))),
    }


def theatre_names() -> frozenset[str]:
    """The names of all that `theatre` holds. Patient and drape, which take long, are not made for that."""
    furnished = (floor(), table(), c_arm(), monitor(), instruments(), team())
    return frozenset({_PATIENT, _CAP, _DRAPE}.union(*furnished))
