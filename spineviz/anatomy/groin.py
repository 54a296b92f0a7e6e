"""The groin: where the artery is entered, and what lies beside it: ligament, vein, nerve.

From outside in: nerve, artery, vein. The vena cava lies to the right of the aorta. Figures lie in
assets/anatomy/groin.csv.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import femoral_places, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES, side_sign
from spineviz.anatomy.arterial_tubes import branch_mesh, even, tapered_tube
from spineviz.anatomy.arteries import ArterialTree, arterial_tree
from spineviz.anatomy.column import Column, Shape, column_of
from spineviz.anatomy.column import column as column_at
from spineviz.anatomy.outline import entry_on_body
from spineviz.anatomy.pelvis import pelvis_structures
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.sweeps import Sweep, smooth_step, sweep_along, sweep_field
from spineviz.data.assets import asset
from spineviz.data.once import Call, once
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve, curve_through
from spineviz.geometry.fields import Distances, Field, Points, Vector, bounds_of_points, in_box, unit
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import union

_STEP_MM = 1.5
_VEIN_LEVELS = ("L4", "L3", "L2", "L1", "T12", "T11")
_ROUNDS = 60
_MEET_MM = 42.0
"""How far down the right common iliac artery the iliac veins meet, to its right; chosen where all have room."""
_BONE_REACH_MM = 20.0
"""Bones further away than this have no part in where a vein lies: more than its radius and its gap."""
_MOVED_OFF_MM = 20.0
"""No vein is moved further than this off arteries and bones."""
_SPLAY_MM = ((20.0, -6.0, 52.0), (11.0, -1.0, 58.0), (2.0, -2.0, 60.0), (6.0, -12.0, 50.0))
"""The nerve's branches: how far aside, ahead and down each ends; chosen for legibility."""


@cache
def groin_figure(name: str) -> float:
    """The value `name` of assets/anatomy/groin.csv."""
    return sourced_table(asset("anatomy", "groin.csv"))[name].value


@dataclass(frozen=True, eq=False)
class Puncture:
    """Where and how the femoral artery is entered, world frame.

    Attributes:
        column: of the patient.
        vessel_mm: (3,) the front wall of the artery; axis_mm: (3,) its middle.
        direction: (3,) unit, inward along the needle, towards the head.
        branch, way_mm: the artery, and the way along it from its beginning under the ligament.
        angle_deg: between needle and artery.
    """

    column: Column
    vessel_mm: Vector
    axis_mm: Vector
    direction: Vector
    branch: str
    way_mm: float
    angle_deg: float

    def packed(self) -> tuple[dict[str, Any], dict[str, Vector]]:
        """Its numbers and arrays, from which `unpacked` makes it again."""
        numbers = {"branch": self.branch, "way_mm": self.way_mm, "angle_deg": self.angle_deg}
        return numbers, {"vessel_mm": self.vessel_mm, "axis_mm": self.axis_mm, "direction": self.direction}

    @classmethod
    def unpacked(cls, column: Column, numbers: Mapping[str, Any], arrays: Mapping[str, Vector]) -> Puncture:
        """What `packed` gave, of the patient `column`."""
        places = arrays["vessel_mm"], arrays["axis_mm"], arrays["direction"]
        return cls(column, *places, numbers["branch"], numbers["way_mm"], numbers["angle_deg"])

    @cached_property
    def skin_mm(self) -> Vector:
        """(3,) where the needle passes the skin; sought when it is first asked for, as it takes the whole body."""
        return entry_on_body(self.column, self.axis_mm, -self.direction)


_trees: OrderedDict[str, ArterialTree] = OrderedDict()
_punctures: OrderedDict[tuple[str, str], Puncture] = OrderedDict()
_structures: OrderedDict[str, dict[str, Structure]] = OrderedDict()
_bone_fields: OrderedDict[tuple[str, bool], Field] = OrderedDict()


def _tree(column: Column) -> ArterialTree:
    """The arteries alone: where they lie does not depend on what feeds cord or tumour."""
    return remembered(_trees, column.pose_key, lambda: arterial_tree(column, "none"), 4)


def puncture(column: Column, side: str) -> Puncture:
    """Where the common femoral artery of `side` is entered: over the upper half of the femoral head, below the ligament
    and above the fork, at about 45 deg, towards the head (facts page F1). Cached by posture."""
    return remembered(_punctures, (column.pose_key, side), lambda: _punctured(column, side), 8)


def _punctured(column: Column, side: str) -> Puncture:
    from scipy.optimize import brentq

    branch = arterial_tree(column, "none", levels=()).branch(f"femoral-{side}")
    pelvis = world_from_pelvis(column)
    head = pelvis.point(femoral_places(side)["head"])
    up, front = pelvis.vector(np.array([0.0, 0.0, 1.0])), pelvis.vector(np.array([0.0, 1.0, 0.0]))
    line = branch.centreline
    above = (line.points_mm - head) @ up - groin_figure("above_centre_mm")
    near = int(np.argmin(np.abs(above)))
    axis, along = line.points_mm[near], -line.tangents()[near]  # towards the head
    outward = unit(front - (front @ along) * along)
    turn = np.deg2rad(groin_figure("needle_angle_deg"))
    inward = unit(np.cos(turn) * along - np.sin(turn) * outward)
    back_mm = brentq(lambda way: float(branch.field.distance((axis - way * inward)[None])[0]), 0.0, 20.0)
    vessel = axis - back_mm * inward
    return Puncture(
        column, vessel, axis, inward, branch.name, float(line.arc_mm[near]),
        float(np.rad2deg(np.arccos(np.clip(inward @ along, -1.0, 1.0)))),
    )  # fmt: skip


def groin_landmarks(column: Column, side: str) -> dict[str, Vector]:
    """Named places (3,) of one groin, world frame: "head" (centre of the femoral head), "artery", "vein" and "nerve"
    (their middles across the puncture), "ligament" (where it crosses the artery), "skin"."""
    pelvis, found = world_from_pelvis(column), puncture(column, side)

    def nearest(line: Points) -> Vector:
        place: Vector = line[int(np.argmin(np.linalg.norm(line - found.axis_mm, axis=1)))]
        return place

    band = _ligament_line(column, side)
    crossing = pelvis.point(femoral_places(side)["ligament"])
    return {
        "head": pelvis.point(femoral_places(side)["head"]),
        "artery": found.axis_mm,
        "vein": nearest(_vein_line(column, side)),
        "nerve": nearest(_nerve_line(column, side)),
        "ligament": band[int(np.argmin(np.linalg.norm(band - crossing, axis=1)))],
        "skin": found.skin_mm,
    }


def _at_places(side: str, name: str) -> Vector:
    """(3,) a place of groin.csv by its three figures, in the pelvis' axes."""
    return np.array(
        [
            side_sign(side) * groin_figure(f"{name}_aside_mm"),
            groin_figure(f"{name}_ahead_mm"),
            -groin_figure(f"{name}_below_mm"),
        ]
    )


def _ligament_line(column: Column, side: str) -> Points:
    """(N, 3) the inguinal ligament from the iliac spine to the pubic tubercle, in front of artery and vein."""
    pelvis = world_from_pelvis(column)
    branch = _tree(column).branch(f"femoral-{side}")
    gap, inner = groin_figure("ligament_before_artery_mm"), np.array([-side_sign(side), 0.0, 0.0])
    artery, vein = float(branch.radius_mm[0]), groin_figure("femoral_vein_diameter_mm") / 2
    crossing = femoral_places(side)["ligament"]
    over = crossing + np.array([0.0, artery + gap, 0.0])
    beside = artery + groin_figure("vein_gap_mm") + vein
    before_vein = crossing + beside * inner + np.array([0.0, vein + gap, -0.75 * beside])
    asis, tubercle = _at_places(side, "asis"), _at_places(side, "tubercle")
    knots = np.array([asis, 0.5 * (asis + over) + [0.0, 4.0, -2.0], over, before_vein, tubercle])
    return curve_through(pelvis.points(knots), _STEP_MM).points_mm


def _vein_line(column: Column, side: str) -> Points:
    """(N, 3) the middle line of the vein of one side, upward to the vena cava."""
    return _vein_of(column.shape, side)


@once
def _vein_of(shape: Shape, side: str) -> Points:
    column = column_of(shape)
    kept_off = [(_tree(column).field(), groin_figure("vein_gap_mm"))]
    kept_off += [(_bones(column, hips=True), groin_figure("vein_off_bone_mm"))]
    return _cleared(_vein_drawn(column, side, _cava_of(shape)), _vein_radius, kept_off, held=True)


def _vein_drawn(column: Column, side: str, cava: Points) -> Points:
    """The way of the vein of one side into the vena cava (K, 3) before it is moved off arteries and bones.

    Medial of the artery at the groin, under the fork of the iliac arteries to their back, to the vena cava;
    the left one passes in front of the promontory and behind the right artery.
    """
    tree, axes, sign = _tree(column), world_from_pelvis(column).rotation, side_sign(side)
    out, front = sign * axes[:, 0], axes[:, 1]
    radius, gap = groin_figure("femoral_vein_diameter_mm") / 2, groin_figure("vein_gap_mm")

    def beside(name: str, way_mm: float, aside: float, ahead: float) -> Vector:
        way = unit(aside * out + ahead * front)
        return np.asarray(tree.point_at(name, way_mm) + (tree.radius_at(name, way_mm) + gap + radius) * way)

    thigh, groin, brim = f"superficial-femoral-{side}", f"femoral-{side}", f"external-iliac-{side}"
    knots = [beside(thigh, way, -1.0, -0.2) for way in (50.0, 28.0, 6.0)]
    knots += [beside(groin, way, -1.0, 0.0) for way in (22.0, 2.0)]
    knots += [beside(brim, way, *off) for way, off in ((84.0, (-1.0, -0.1)), (62.0, (-1.0, -0.5)))]
    knots += [beside(brim, way, *off) for way, off in ((34.0, (-0.4, -1.0)), (10.0, (0.6, -0.9)))]
    if side == "right":
        knots += [beside(f"common-iliac-{side}", 44.0, 0.4, -1.0)]
    else:
        promontory = column.world_from_sacrum.origin_mm + groin_figure("promontory_ahead_mm") * front + 3.0 * axes[:, 2]
        knots += [beside("common-iliac-left", way, *off) for way, off in ((56.0, (0.8, -0.7)), (44.0, (0.0, -1.0)))]
        knots += [promontory, beside("common-iliac-right", 48.0, 0.0, -1.0)]
    knots += [cava[0], cava[4]]
    return curve_through(np.array(knots), _STEP_MM).points_mm


def _vein_radius(line: Points) -> NDArray[np.float64]:
    """(N,) radii of the vein of one side: wider from the groin up."""
    arc = Curve(line).arc_mm
    low, high = groin_figure("femoral_vein_diameter_mm") / 2, groin_figure("common_iliac_vein_diameter_mm") / 2
    return np.asarray(low + (high - low) * smooth_step((arc - 100.0) / 60.0))


def _cava_radius(line: Points) -> NDArray[np.float64]:
    """(N,) radii of the vena cava: it begins as wide as what it is made of."""
    arc = Curve(line).arc_mm
    low, high = 0.55 * groin_figure("common_iliac_vein_diameter_mm"), groin_figure("vena_cava_diameter_mm") / 2
    return np.asarray(low + (high - low) * smooth_step((arc + 6.0) / 42.0))


@once
def _cava_of(shape: Shape) -> Points:
    """(K, 3) the middle line of the vena cava upward."""
    column = column_of(shape)
    kept_off = [(_tree(column).field(), groin_figure("vein_gap_mm"))]
    kept_off += [(_bones(column, hips=False), groin_figure("vein_off_bone_mm"))]
    return _cleared(_cava_drawn(column), _cava_radius, kept_off)


def vein_calls(treated: str) -> list[Call]:
    """What lays the vena cava of who lies, which sections of the loins show: to be made beside something else."""
    return [(_cava_of, (column_at(treated, lying=1.0).shape,))]


def _cava_drawn(column: Column) -> Points:
    """(K, 3) the vena cava upward from where the iliac veins meet, before it is moved off arteries and bones: right of
    the midline, on the bodies' front, farther before it the higher: the right artery of the kidneys passes behind it.
    """
    from spineviz.anatomy.vertebra import landmarks_of

    tree, axes = _tree(column), world_from_pelvis(column).rotation
    radius = groin_figure("vena_cava_diameter_mm") / 2
    off = unit(0.85 * axes[:, 0] - 0.5 * axes[:, 1])
    way = tree.radius_at("common-iliac-right", _MEET_MM) + groin_figure("vein_gap_mm") + 0.9 * radius
    places = [tree.point_at("common-iliac-right", _MEET_MM) + way * off]
    aheads = np.linspace(groin_figure("vena_cava_off_bone_low_mm"), groin_figure("vena_cava_off_bone_high_mm"), 6)
    for level, ahead in zip(_VEIN_LEVELS, aheads, strict=True):
        front = float(landmarks_of(level)["upper-front-rim"][1]) + radius + float(ahead)
        inner = np.array([groin_figure("vena_cava_right_mm"), front, 0.0])
        places.append(column.world_from_vertebra(level).point(inner))
    return curve_through(np.array(places), _STEP_MM).points_mm


def _bones(column: Column, hips: bool) -> Field:
    """What veins lie beside; the vena cava ends above the `hips` and the sacrum."""
    from spineviz.anatomy.bones import bone
    from spineviz.anatomy.sacrum import sacrum_structure

    def make() -> Field:
        spine = [bone(column, level).field for level in ("L5", *_VEIN_LEVELS)]
        if not hips:
            return _nearby(spine, _BONE_REACH_MM)
        beside = [part.field for name, part in pelvis_structures(column).items() if name.startswith("hip-")]
        return _nearby([sacrum_structure(column).field, *beside, *spine], _BONE_REACH_MM)

    return remembered(_bone_fields, (column.pose_key, hips), make, 8)


def _nearby(fields: Sequence[Field], reach_mm: float) -> Field:
    """The union of `fields`, each asked only about points nearer than `reach_mm` to its box; infinite where none is."""
    boxes = [field.bounds_mm for field in fields]

    def distance(p: Points) -> Distances:
        out = np.full(len(p), np.inf)
        for field, (low, high) in zip(fields, boxes, strict=True):
            near = np.flatnonzero(in_box(p, low - reach_mm, high + reach_mm))
            if len(near):
                out[near] = np.minimum(out[near], field.distance(p[near]))
        return out

    return Field(distance, union(*fields).bounds_mm, exact=False)


def _cleared(
    line: Points,
    radius_of: Callable[[Points], NDArray[np.float64]],
    kept_off: list[tuple[Field, float]],
    held: bool = False,
) -> Points:
    """`line` (N, 3) pushed off each field until a tube of radius `radius_of(line)` keeps its gap, and kept smooth.

    `held`: its last point stays, for it lies within what the tube opens into.
    """
    from scipy.ndimage import gaussian_filter1d

    from spineviz.anatomy.sweeps import gradient

    points, end = even(np.array(line), _STEP_MM), np.array(line[-1])
    for turn in range(_ROUNDS):
        push, radius = np.zeros_like(points), radius_of(points)
        for field, gap in kept_off:
            lack = radius + gap - field.distance(points)
            short = lack > 0.0
            if short.any():
                push[short] += np.minimum(lack[short] + 0.1, 2.5)[:, None] * gradient(field, points[short])
        if not push.any():
            break
        light = turn >= _ROUNDS * 3 // 4
        points = points + gaussian_filter1d(push, 0.8 if light else 2.0, axis=0)
        if not light:
            smooth = gaussian_filter1d(points, 1.5, axis=0)
            smooth[[0, -1]] = points[[0, -1]]
            points = smooth
        if held:
            points[-1] = end
        points = even(points, _STEP_MM)
    return points


def _nerve_line(column: Column, side: str) -> Points:
    """From beside L4 over the iliopsoas to the outer side of the artery at the groin, to where it splays."""
    tree, axes, sign = _tree(column), world_from_pelvis(column).rotation, side_sign(side)
    name = f"femoral-{side}"
    beside = groin_figure("nerve_beside_artery_mm") * sign * axes[:, 0]
    start = column.world_from_vertebra("L4").point([sign * groin_figure("nerve_root_aside_mm"), -4.0, -8.0])
    splay = tree.branch(name).length_mm - groin_figure("nerve_splays_above_fork_mm")
    end = tree.point_at(name, splay) + beside - 3.0 * axes[:, 1]
    top = tree.point_at(name, 0.0) + beside - 4.0 * axes[:, 1] + 3.0 * axes[:, 2]
    brim = 0.5 * (start + top) + 12.0 * sign * axes[:, 0] - 6.0 * axes[:, 1]
    return curve_through(np.array([start, brim, top, end]), _STEP_MM).points_mm


# ---- structures ------------------------------------------------------------------------------------------------------


def groin_structures(column: Column) -> dict[str, Structure]:
    """ "inguinal-ligament-right", "femoral-vein-right" and "femoral-nerve-right", those of the left, and "vena-cava",
    world frame.

    The vein of a side holds the iliac ones too, up to the vena cava. Cached by posture; do not change the dict.
    """
    return remembered(_structures, column.pose_key, lambda: _made(column), 4)


def _made(column: Column) -> dict[str, Structure]:
    key = column.pose_key
    cava = _cava_drawn(column)
    out = {"vena-cava": _vein("vena-cava", key, cava, _cava_radius, partial(_cava_of, column.shape))}
    for side in SIDES:
        drawn = _vein_drawn(column, side, cava)
        out[f"femoral-vein-{side}"] = _vein(
            f"femoral-vein-{side}", key, drawn, _vein_radius, partial(_vein_line, column, side)
        )
        nerve = _nerve_tubes(column, side, _nerve_line(column, side))
        out[f"femoral-nerve-{side}"] = _tube(f"femoral-nerve-{side}", "nerve", "roots", nerve, key)
        band = _band(column, side)
        out[f"inguinal-ligament-{side}"] = Structure(
            f"inguinal-ligament-{side}", "ligament", "ligament", sweep_field([band]), _band_mesh(band),
            f"inguinal-ligament-{side}|{key}", RANKS["muscle"] + 1,
        )  # fmt: skip
    return out


def _vein(
    name: str, key: str, drawn: Points, radius_of: Callable[[Points], NDArray[np.float64]], laid: Callable[[], Points]
) -> Structure:
    """A vein that is laid when its field or surface is first asked for: most pictures show none of it. `laid` gives its
    middle line, moved off arteries and bones, and `drawn` is that line before."""

    @cache
    def tube() -> Structure:
        line = laid()
        return _tube(name, "vein", "blood", [(line, radius_of(line))], key)

    bounds = bounds_of_points(drawn, float(radius_of(drawn).max()) + _MOVED_OFF_MM)
    field = Field(lambda p: tube().field.distance(p), bounds, exact=False)
    rank = RANKS["muscle"] + 2
    return Structure(name, "vein", "blood", field, lambda spacing_mm: tube().mesh(spacing_mm), f"{name}|{key}", rank)


def _band_mesh(band: Sweep) -> Callable[[float], Mesh]:
    return lambda _: band.mesh(24)


def _nerve_tubes(column: Column, side: str, line: Points) -> list[tuple[Points, NDArray[np.float64]]]:
    """The nerve and its branches below the ligament, which leave it as a brush does its handle."""
    axes, sign = world_from_pelvis(column).rotation, side_sign(side)
    thick, thin = groin_figure("nerve_diameter_mm"), groin_figure("nerve_branch_diameter_mm")
    tubes = [(line, np.full(len(line), thick / 2) * np.where(np.arange(len(line)) > len(line) - 6, 0.9, 1.0))]
    end, along = line[-1], unit(line[-1] - line[-8])
    arteries = _tree(column).field()
    for aside, ahead, length in _SPLAY_MM:
        aim = end + length * along + sign * aside * axes[:, 0] + ahead * axes[:, 1]
        half = end + 0.45 * length * along + 0.35 * (sign * aside * axes[:, 0] + ahead * axes[:, 1])
        free = curve_through(np.array([line[-9], line[-1], half, aim]), _STEP_MM).points_mm
        branch = _cleared(free, lambda points: np.full(len(points), thin / 2), [(arteries, 1.0)])
        arc = Curve(branch).arc_mm
        narrowing = smooth_step((arc - 8.0 * _STEP_MM) / 22.0)
        tubes.append((branch, (thick + (thin - thick) * narrowing) / 2 * (1.0 - 0.25 * arc / arc[-1])))
    return tubes


def _band(column: Column, side: str) -> Sweep:
    """The ligament as a flat band that fans out towards its ends."""
    line = _ligament_line(column, side)
    arc = Curve(line).arc_mm
    to_end = np.minimum(arc, arc[-1] - arc)
    round_off = np.sqrt(np.clip(1.0 - (1.0 - np.minimum(to_end / 5.0, 1.0)) ** 2, 0.02, 1.0))
    wide = groin_figure("ligament_half_width_mm") * (1.0 + 0.5 * np.exp(-((to_end / 14.0) ** 2))) * round_off
    deep = groin_figure("ligament_half_depth_mm") * round_off
    up = world_from_pelvis(column).vector(np.array([0.0, 0.0, 1.0]))
    return sweep_along(Curve(line), wide, deep, up)


def _tube(name: str, role: str, material: str, tubes: list[tuple[Points, NDArray[np.float64]]], key: str) -> Structure:
    fields = [tapered_tube(line, radius) for line, radius in tubes]
    rank = RANKS["root"] if role == "nerve" else RANKS["muscle"] + 2
    field = fields[0] if len(fields) == 1 else union(*fields)
    return Structure(name, role, material, field, _mesh_of(tubes), f"{name}|{key}", rank)


def _mesh_of(tubes: list[tuple[Points, NDArray[np.float64]]]) -> Callable[[float], Mesh]:
    made: dict[float, Mesh] = {}

    def mesh(spacing_mm: float) -> Mesh:
        key = round(float(spacing_mm), 3)
        if key not in made:
            made[key] = joined(*[branch_mesh(line, radius, None, key) for line, radius in tubes])
        return made[key]

    return mesh
