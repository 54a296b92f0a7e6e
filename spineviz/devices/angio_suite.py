"""The angiography suite round a patient who lies on the back: what the operating room has, set up for the groin.

The room is level where the body lies level: its up is the front of the trunk, which leans against the treated vertebra.
Furniture and people stand where assets/devices/angio_suite.csv says, measured from the isocentre (the treated
vertebra), the groins and the ends of the body; none of it is measured anatomy. Parts come from the operating room,
whose patient lies face down: they are turned over.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.column import column
from spineviz.anatomy.outline import body_outline
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table
from spineviz.devices import theatre
from spineviz.devices.solids import Solid, all_of, block, rod, tube
from spineviz.devices.theatre import Sheet, furniture, relocated, sheet_field, sheet_heights
from spineviz.geometry.fields import Distances, Field, Points, Vector, box, box_bounds, half_space
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.meshes import mesh_field
from spineviz.geometry.operators import moved, offset, smooth_intersection

_BODY_MM = 11.0
"""Spacing of the body's surface on which the drape is laid."""
_OVER = rotation_about((0.0, 0.0, 1.0), 180.0)
"""This room from the operating room: what was behind the patient is in front."""


@cache
def suite_sizes() -> dict[str, float]:
    """Name -> value of assets/devices/angio_suite.csv (mm, degrees)."""
    return {name: row.value for name, row in sourced_table(asset("devices", "angio_suite.csv")).items()}


@cache
def world_from_room(level: str) -> Frame:
    """The room's frame: x the patient's right, y up, z towards the head, the isocentre at its origin."""
    return Frame(body_outline(column(level, lying=1.0)).world_from_local.rotation)


@cache
def _body_points(level: str) -> Points:
    """(N, 3) the body's surface in the room."""
    body = body_outline(column(level, lying=1.0))
    return world_from_room(level).inverse().points(body.world_mesh(_BODY_MM).points_mm)


@cache
def groins(level: str) -> NDArray[np.float64]:
    """(2, 3) where the femoral arteries are punctured, right and left, in the room."""
    pelvis, inward = world_from_pelvis(column(level, lying=1.0)), world_from_room(level).inverse()
    return np.array([inward.point(pelvis.point(femoral_places(side)["over"])) for side in ("right", "left")])


def _ends_mm(level: str) -> tuple[float, float, float]:
    """z of the feet and of the crown, and y of the mattress's upper face, in the room."""
    points = _body_points(level)
    back = float(points[:, 1].min()) + suite_sizes()["sink_mm"]
    return float(points[:, 2].min()), float(points[:, 2].max()), back


# ---- furniture -------------------------------------------------------------------------------------------------------


def _table(level: str) -> dict[str, Structure]:
    """The floating table: a long thin top that nothing holds under the trunk, its column under the legs."""
    s = suite_sizes()
    feet, crown, top = _ends_mm(level)
    low, high = feet - s["table_past_feet_mm"], crown + s["table_past_head_mm"]
    middle, length, wide, thick = (low + high) / 2, high - low, s["table_width_mm"], s["table_thickness_mm"]
    under = top - s["mattress_mm"]
    z, floor_y = float(groins(level)[0, 2]) - s["column_past_groin_mm"], s["floor_mm"]
    bottom = under - thick
    plate = all_of(
        block((0, under - thick / 2, middle), (wide, thick, length), 17),
        *(block((side * (wide / 2 + 9), under - 24, z + 60), (20, 34, 640), 8) for side in (-1.0, 1.0)),  # rails
        block((0, bottom - 30, z + 40), (380, 66, 900), 26),
    )
    column_height = bottom - floor_y
    stand = all_of(
        block((0, floor_y + column_height / 2, z), (300, column_height, 420), 52),
        block((0, floor_y + 0.36 * column_height, z), (366, 0.7 * column_height, 486), 40),
        block((0, floor_y + 46, z), (560, 90, 940), 40),
        block((wide / 2 + 22, under - 20, z + 225), (46, 56, 220), 18),  # the controls at the table's edge
    )
    return {
        "table": furniture("table", "table", plate, key=f"angio-table-{level}"),
        "table-column": furniture("table-column", "c-arm", stand, key=f"angio-column-{level}"),
        "mattress": furniture(
            "mattress",
            "mattress",
            all_of(
                block((0, top - s["mattress_mm"] / 2, middle), (wide - 14, s["mattress_mm"], length - 16), 17),
                block((0, top + 8, crown - 95), (330, 70, 250), 32),  # the pillow
            ),
            key=f"angio-mattress-{level}",
        ),
    }


def _gantry(level: str, c_arm_deg: float) -> dict[str, Structure]:
    """The C-arm: tube under the table, detector over the belly, its C from the patient's right and head.

    While the artery is entered it is parked towards the head, so that hands have room over the groin.
    """
    s = suite_sizes()
    parked = max(s["gantry_park_mm"], float(groins(level)[0, 2]) + s["gantry_from_groin_mm"])
    turn = translation((0.0, 0.0, parked)) @ rotation_about((0.0, 1.0, 0.0), -s["gantry_turn_deg"])
    # the C-arm of the operating room comes from the right with its detector at -y: upside down it comes from the left
    place = turn @ rotation_about((1.0, 0.0, 0.0), 180.0)
    return relocated(theatre.c_arm(c_arm_deg), place)


def _boom(level: str) -> dict[str, Structure]:
    """Four screens on a boom from the ceiling: the spine, vessels as a tree, and curves."""
    s = suite_sizes()
    wide, tall = s["screen_width_mm"], s["screen_height_mm"]
    # in its own frame the screens look along -z, x to the viewer's left, y up
    dark, lit, drawn = [], [], []
    for i, (side, row) in enumerate(((-1.0, 1.0), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))):
        place = translation((side * (wide / 2 + 5), row * (tall / 2 + 5), 0)) @ rotation_about((0, 1, 0), side * 7.0)
        dark.append(block((0, 0, 0), (wide, tall, 46), 14).moved(place))
        lit.append(block((0, 0, -19), (wide - 30, tall - 30, 14), 5).moved(place))
        drawn += [solid.moved(place @ translation((0, 0, -26))) for solid in _picture(i)]
    dark += [
        block((0, 0, 46), (2 * wide - 160, tall * 1.5, 50), 20),
        rod((0, 0, 66), (0, tall + 150, 66), 34),
        block((0, tall + 150, 66), (130, 90, 130), 30),
    ]
    arm = all_of(rod((0, tall + 150, 66), (0, s["ceiling_mm"] - s["boom_height_mm"], 66), 46))
    here = np.array([s["boom_x_mm"], s["boom_height_mm"], float(groins(level)[0, 2]) - s["boom_below_groin_mm"]])
    viewer = np.array([s["operator_x_mm"], 0.0, float(groins(level)[0, 2]) - s["operator_below_groin_mm"]])
    back = (here - viewer) * (1.0, 0.0, 1.0)
    back /= np.linalg.norm(back)
    up = np.array([0.0, 1.0, 0.0])
    stand = Frame(np.stack([np.cross(up, back), up, back], axis=1), here)
    return {
        "boom": furniture("boom", "detector", all_of(*dark), stand, "angio-boom"),
        "boom-arm": furniture("boom-arm", "c-arm", arm, stand, "angio-boom-arm"),
        "boom-screens": furniture("boom-screens", "floor", all_of(*lit), stand, "angio-boom-screens"),
        "boom-images": furniture("boom-images", "ligament", all_of(*drawn), stand, "angio-boom-images"),
    }


def _picture(which: int) -> list[Solid]:
    """What stands on a screen, about its middle: vertebrae with an artery, the same from the side, or curves."""
    if which < 2:
        bodies = [block((0, (i - 2) * 58.0, 0), (88 - 16 * which, 42, 8), 4) for i in range(5)]
        aorta = tube([(64 - 130 * which, -140, 0), (58 - 122 * which, 140, 0)], 9)
        return [*bodies, aorta]
    if which == 2:
        trunk = tube([(20, -140, 0), (10, 0, 0), (16, 140, 0)], 8)
        branches = [
            tube([(12, y, 0), (12 + side * 60, y + 14, 0), (12 + side * 130, y - 26, 0)], 4)
            for y in (-80.0, -10.0, 60.0)
            for side in (-1.0, 1.0)
        ]
        return [trunk, *branches]
    way = np.linspace(-220.0, 220.0, 60)
    return [
        tube([(x, y + 26.0 * np.exp(-(((x + 220.0) % 110.0 - 30.0) ** 2) / 120.0), 0) for x in way], 4)
        for y in (-80.0, 0.0, 80.0)
    ]


def _instruments(level: str) -> dict[str, Structure]:
    """The instrument table behind the team."""
    s = suite_sizes()
    parts = relocated(theatre.instruments(), _OVER)
    stands = next(iter(parts.values())).world_from_local.origin_mm
    z = float(groins(level)[0, 2]) - s["instruments_below_groin_mm"]
    return relocated(parts, translation((s["instruments_x_mm"] - stands[0], 0.0, z - stands[2])))


# ---- cloth and people ------------------------------------------------------------------------------------------------


@cache
def _drape(level: str) -> Structure:
    """The sheet over belly and legs with a round opening over each groin."""
    s = suite_sizes()
    feet, _, top = _ends_mm(level)
    middles = groins(level)
    head = float(middles[:, 2].mean()) + s["drape_head_mm"]
    sheet = Sheet(s["table_width_mm"] / 2, -top, feet - 40.0, head, s["drape_hang_mm"], s["drape_thickness_mm"])
    heights = sheet_heights(sheet, _OVER.points(_body_points(level)), 60.0)

    def opening(x: Distances, z: Distances) -> Distances:
        # the sheet is laid in the turned room, where the patient's right is at -x
        away = [np.hypot(x + middle[0], z - middle[2]) for middle in middles]
        return np.minimum(*away) - s["window_radius_mm"]

    field = sheet_field(sheet, heights, opening)
    kept = cache(lambda: mesh_field(field, 0.8 * sheet.thickness_mm))
    return Structure(
        "drape", "drape", "theatre", moved(field, _OVER), lambda spacing_mm: kept(), f"angio-drape-{level}",
        RANKS["skin"], _OVER,
    )  # fmt: skip


@cache
def _cap(level: str) -> Structure:
    """The patient's cap: the head's own surface, a little larger, down to the brow."""
    s = suite_sizes()
    _, crown, _ = _ends_mm(level)
    head = _body_points(level)[_body_points(level)[:, 2] > crown - 60.0]
    brow = np.array([0.0, float(head[:, 1].mean()), crown - s["cap_depth_mm"]])
    body = moved(body_outline(column(level, lying=1.0)).field, world_from_room(level).inverse())
    room = box(brow + [0.0, 0.0, 100.0], (240.0, 300.0, 400.0))
    cap = smooth_intersection(offset(body, 5.0), half_space(brow, (0.0, 0.35, -1.0)), room, blend_mm=6.0)
    low, high = room.bounds_mm
    field = Field(cap.distance, box_bounds(low, np.minimum(high, [high[0], high[1], crown + 20.0])), exact=False)
    kept = cache(lambda: mesh_field(field, 7.0))
    return Structure(
        "patient-cap", "gown", "theatre", field, lambda spacing_mm: kept(), f"angio-cap-{level}", RANKS["skin"]
    )


def _team(level: str) -> dict[str, Structure]:
    """Operator and assistant side by side at the patient's right, both turned to the groin."""
    s, groin = suite_sizes(), groins(level)[0]
    out: dict[str, Structure] = {}
    for who in ("operator", "assistant"):
        x, z = s[f"{who}_x_mm"], float(groin[2]) - s[f"{who}_below_groin_mm"]
        # people are placed in the turned room
        out |= theatre.person(who, who, -x, z, (x - float(groin[0]), float(groin[2]) - z))
    return relocated(out, _OVER)


def up_in_room(level: str) -> Vector:
    """(3,) up in the room, in the world: what a camera in the room holds upright."""
    return world_from_room(level).vector((0.0, 1.0, 0.0))


@cache
def angio_suite(level: str, c_arm_deg: float = 0.0, drape: bool = True) -> dict[str, Structure]:
    """The whole room but the patient, `level` at the isocentre, in the world of a patient who lies on the back.

    Args:
        c_arm_deg: how far the C has slid in its cradle; 0 is frontal, the detector straight above. More leans the
            detector towards the patient's right and head.
        drape: whether the sheet lies over the patient.

    Raises ValueError for an angle beyond `gantry_slide_deg` of angio_suite.csv: the C would come near the table.
    """
    most = suite_sizes()["gantry_slide_deg"]
    if not abs(c_arm_deg) <= most:
        raise ValueError(f"c_arm_deg must be {-most:g} to {most:g}, got {c_arm_deg}")
    parts = {
        **relocated(theatre.floor(), _OVER),
        **_table(level),
        **_gantry(level, c_arm_deg),
        **_boom(level),
        **_instruments(level),
        **({"drape": _drape(level)} if drape else {}),
        "patient-cap": _cap(level),
        **_team(level),
    }
    return relocated(parts, world_from_room(level))


__all__ = ["angio_suite", "groins", "suite_sizes", "up_in_room", "world_from_room"]
