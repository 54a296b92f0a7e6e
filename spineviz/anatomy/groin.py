"""The groin: where the artery is entered, and what lies beside it: ligament, vein, nerve.

From outside in: nerve, artery, vein. The vena cava lies to the right of the aorta. Figures lie in
assets/anatomy/groin.csv.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import femoral_places, tapering, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES, side_sign
from spineviz.anatomy.arterial_tubes import branch_mesh, even, tapered_tube
from spineviz.anatomy.arteries import ArterialTree, arterial_tree
from spineviz.anatomy.column import Column
from spineviz.anatomy.outline import entry_on_body
from spineviz.anatomy.pelvis import pelvis_structures
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.anatomy.sweeps import Sweep, smooth_step, sweep_along, sweep_field
from spineviz.data.assets import asset
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve, curve_through
from spineviz.geometry.fields import Field, Points, Vector, unit
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import union

_STEP_MM = 1.5
_VEIN_LEVELS = ("L4", "L3", "L2", "L1", "T12", "T11")
_ROUNDS = 40


@cache
def groin_figure(name: str) -> float:
    """The value `name` of assets/anatomy/groin.csv."""
    return sourced_table(asset("anatomy", "groin.csv"))[name].value


@dataclass(frozen=True, eq=False)
class Puncture:
    """Where and how the femoral artery is entered, world frame.

    Attributes:
        skin_mm: (3,) where the needle passes the skin; vessel_mm: (3,) the front wall of the artery; axis_mm: (3,) its
            middle.
        direction: (3,) unit, inward along the needle, towards the head.
        branch, way_mm: the artery, and the way along it from its beginning under the ligament.
        angle_deg: between needle and artery.
    """

    skin_mm: Vector
    vessel_mm: Vector
    axis_mm: Vector
    direction: Vector
    branch: str
    way_mm: float
    angle_deg: float


_trees: OrderedDict[str, ArterialTree] = OrderedDict()
_punctures: OrderedDict[tuple[str, str], Puncture] = OrderedDict()
_structures: OrderedDict[str, dict[str, Structure]] = OrderedDict()


def _tree(column: Column) -> ArterialTree:
    """The arteries alone: where they lie does not depend on what feeds cord or tumour."""
    return remembered(_trees, column.pose_key, lambda: arterial_tree(column, "none"), 4)


def puncture(column: Column, side: str) -> Puncture:
    """Where the common femoral artery of `side` is entered: over the upper half of the femoral head, below the ligament
    and above the fork, at about 45 deg, towards the head (facts page F1). Cached by posture."""
    return remembered(_punctures, (column.pose_key, side), lambda: _punctured(column, side), 8)


def _punctured(column: Column, side: str) -> Puncture:
    branch = _tree(column).branch(f"femoral-{side}")
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
    radius = float(branch.radius_mm[near])
    vessel = axis - inward * radius / np.sin(turn)
    return Puncture(
        entry_on_body(column, axis, -inward), vessel, axis, inward, branch.name, float(line.arc_mm[near]),
        float(np.rad2deg(np.arccos(np.clip(inward @ along, -1.0, 1.0)))),
    )  # fmt: skip


def groin_landmarks(column: Column, side: str) -> dict[str, Vector]:
    """Named places (3,) of one groin, world frame: "head" (centre of the femoral head), "artery", "vein" and "nerve"
    (their middles across the puncture), "ligament" (where it crosses the artery), "skin"."""
    pelvis, found = world_from_pelvis(column), puncture(column, side)
    lines = _lines(column, side)

    def nearest(line: Points) -> Vector:
        place: Vector = line[int(np.argmin(np.linalg.norm(line - found.axis_mm, axis=1)))]
        return place

    band = _ligament_line(column, side)
    crossing = pelvis.point(femoral_places(side)["ligament"])
    return {
        "head": pelvis.point(femoral_places(side)["head"]),
        "artery": found.axis_mm,
        "vein": nearest(lines["vein"]),
        "nerve": nearest(lines["nerve"]),
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
    """(N, 3) the inguinal ligament from the iliac spine to the pubic tubercle, over the artery."""
    pelvis = world_from_pelvis(column)
    branch = _tree(column).branch(f"femoral-{side}")
    before = float(branch.radius_mm[0]) + groin_figure("ligament_before_artery_mm")
    over = femoral_places(side)["ligament"] + np.array([0.0, before, 0.0])
    asis, tubercle = _at_places(side, "asis"), _at_places(side, "tubercle")
    knots = np.array([asis, 0.5 * (asis + over) + [0.0, 3.0, -2.0], over, 0.5 * (over + tubercle), tubercle])
    return curve_through(pelvis.points(knots), _STEP_MM).points_mm


def _lines(column: Column, side: str) -> dict[str, Points]:
    """The middle lines of the vein (upward, to the pelvic brim) and of the nerve (downward) of one side."""
    tree, pelvis = _tree(column), world_from_pelvis(column)
    sign = side_sign(side)
    route = tree.route((f"superficial-femoral-{side}", 52.0), (f"external-iliac-{side}", 6.0)).curve
    return {
        "vein": _vein_line(column, tree, route, sign, pelvis.rotation),
        "nerve": _nerve_line(column, tree, side, pelvis.rotation),
    }


def _vein_line(column: Column, tree: ArterialTree, route: Curve, sign: float, axes: NDArray[np.float64]) -> Points:
    """Beside the artery at the groin, behind and beside it in the pelvis, up to the brim."""
    share = route.arc_mm / route.length_mm
    radius = _vein_radius(share)
    inner, back = -sign * axes[:, 0], -axes[:, 1]
    behind = smooth_step((share - 0.5) / 0.5)[:, None]
    off = (1.0 - behind) * inner + behind * (0.75 * inner + 0.66 * back)
    off = off / np.linalg.norm(off, axis=1, keepdims=True)
    line = route.points_mm + (_route_radius(tree, route) + radius + groin_figure("vein_gap_mm"))[:, None] * off
    return _cleared(line, radius, [(_arteries(tree), groin_figure("vein_gap_mm")), (_bones(column), 1.5)])


def _arteries(tree: ArterialTree) -> Field:
    """All arteries but those of the kidneys, of which the right one passes behind the vena cava."""
    return tree.field([name for name, branch in tree.branches.items() if not name.startswith("renal")])


def _vein_radius(share: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = groin_figure("femoral_vein_diameter_mm") / 2, groin_figure("common_iliac_vein_diameter_mm") / 2
    return low + (high - low) * smooth_step((share - 0.4) / 0.5)


def _route_radius(tree: ArterialTree, route: Curve) -> NDArray[np.float64]:
    """(M,) how wide the arteries are along a line through them."""
    fields = [branch.field for branch in tree.branches.values() if branch.kind in ("iliac", "femoral", "aorta")]
    return -np.min([field.distance(route.points_mm) for field in fields], axis=0)


def _cava_places(column: Column) -> Points:
    """(K, 3) the vena cava from where the iliac veins meet upward: right of the midline, on the bodies' front."""
    from spineviz.anatomy.vertebra import vertebra

    out = []
    for level in _VEIN_LEVELS:
        front = vertebra(level).landmarks["upper-front-rim"][1]
        ahead = front + groin_figure("vena_cava_diameter_mm") / 2 + groin_figure("vena_cava_off_bone_mm")
        inner = np.array([groin_figure("vena_cava_right_mm"), ahead, 0.0])
        out.append(column.world_from_vertebra(level).point(inner))
    return np.array(out)


def _bones(column: Column) -> Field:
    """What veins lie beside."""
    from spineviz.anatomy.bones import bone
    from spineviz.anatomy.sacrum import sacrum_structure

    hips = [part.field for name, part in pelvis_structures(column).items() if name.startswith("hip-")]
    return union(sacrum_structure(column).field, *hips, *(bone(column, level).field for level in _VEIN_LEVELS))


def _cleared(line: Points, radius: NDArray[np.float64], kept_off: list[tuple[Field, float]]) -> Points:
    """`line` (N, 3) pushed off each field until a tube of `radius` (N,) keeps its gap, and kept smooth."""
    from scipy.ndimage import gaussian_filter1d

    from spineviz.anatomy.sweeps import gradient

    points = np.array(line)
    for turn in range(_ROUNDS):
        push = np.zeros_like(points)
        for field, gap in kept_off:
            lack = radius + gap - field.distance(points)
            short = lack > 0.0
            if short.any():
                push[short] += np.minimum(lack[short] + 0.1, 2.5)[:, None] * gradient(field, points[short])
        if not push.any():
            break
        points = points + gaussian_filter1d(push, 2.0 if turn < _ROUNDS // 2 else 0.8, axis=0)
        if turn < _ROUNDS // 2:
            smooth = gaussian_filter1d(points, 1.5, axis=0)
            smooth[[0, -1]] = points[[0, -1]]
            points = smooth
    return even(points, _STEP_MM)


def _nerve_line(column: Column, tree: ArterialTree, side: str, axes: NDArray[np.float64]) -> Points:
    """From beside L4 over the iliopsoas to the outer side of the artery at the groin."""
    sign = side_sign(side)
    femoral = tree.branch(f"femoral-{side}").centreline
    beside = groin_figure("nerve_beside_artery_mm") * sign * axes[:, 0]
    start = column.world_from_vertebra("L4").point([sign * groin_figure("nerve_root_aside_mm"), -4.0, -8.0])
    end = femoral.points_mm[-1] + beside - 2.0 * axes[:, 1]
    top = femoral.points_mm[0] + beside - 4.0 * axes[:, 1] + 6.0 * axes[:, 2]
    brim = 0.5 * (start + top) + 12.0 * sign * axes[:, 0] - 6.0 * axes[:, 1]
    return curve_through(np.array([start, brim, top, end]), _STEP_MM).points_mm


# ---- structures ------------------------------------------------------------------------------------------------------


def groin_structures(column: Column) -> dict[str, Structure]:
    """ "inguinal-ligament-right", "femoral-vein-right" and "femoral-nerve-right", those of the left, and "vena-cava",
    world frame.

    The veins between the pelvic brim and the vena cava are left out: they run behind the arteries, close on the bone.
    Cached by posture; do not change the dict.
    """
    return remembered(_structures, column.pose_key, lambda: _made(column), 4)


def _made(column: Column) -> dict[str, Structure]:
    key = column.pose_key
    out: dict[str, Structure] = {}
    cava = curve_through(_cava_places(column), _STEP_MM)
    wide = np.full(len(cava.points_mm), groin_figure("vena_cava_diameter_mm") / 2)
    tree = _tree(column)
    line = _cleared(cava.points_mm, wide, [(_arteries(tree), 0.6), (_bones(column), 1.5)])
    wide = np.full(len(line), wide[0])
    out["vena-cava"] = _tube("vena-cava", "vein", "blood", [(line, wide)], key)
    for side in SIDES:
        lines = _lines(column, side)
        vein = lines["vein"]
        share = Curve(vein).arc_mm / Curve(vein).length_mm
        out[f"femoral-vein-{side}"] = _tube(f"femoral-vein-{side}", "vein", "blood", [(vein, _vein_radius(share))], key)
        out[f"femoral-nerve-{side}"] = _tube(
            f"femoral-nerve-{side}", "nerve", "roots", _nerve_tubes(column, side, lines["nerve"]), key
        )
        band = _band(column, side)
        out[f"inguinal-ligament-{side}"] = Structure(
            f"inguinal-ligament-{side}", "ligament", "ligament", sweep_field([band]), _band_mesh(band),
            f"inguinal-ligament-{side}|{key}", RANKS["muscle"] + 1,
        )  # fmt: skip
    return out


def _band_mesh(band: Sweep) -> Callable[[float], Mesh]:
    return lambda _: band.mesh(12)


def _nerve_tubes(column: Column, side: str, line: Points) -> list[tuple[Points, NDArray[np.float64]]]:
    """The nerve and its branches below the ligament."""
    axes, sign = world_from_pelvis(column).rotation, side_sign(side)
    thick = groin_figure("nerve_diameter_mm")
    tubes = [(line, tapering(line, thick, 0.8 * thick))]
    end, before = line[-1], line[-8]
    along = unit(end - before)
    for aside, ahead, length in ((14.0, -10.0, 46.0), (3.0, -7.0, 50.0), (-5.0, -12.0, 48.0)):
        aim = end + length * along + sign * aside * axes[:, 0] + ahead * axes[:, 1]
        branch = curve_through(np.array([before, end, 0.5 * (end + aim) + 2.0 * axes[:, 1], aim]), _STEP_MM).points_mm
        thin = groin_figure("nerve_branch_diameter_mm")
        tubes.append((branch, tapering(branch, thin, 0.7 * thin)))
    return tubes


def _band(column: Column, side: str) -> Sweep:
    """The ligament as a flat band."""
    line = _ligament_line(column, side)
    wide, deep = groin_figure("ligament_half_width_mm"), groin_figure("ligament_half_depth_mm")
    up = world_from_pelvis(column).vector(np.array([0.0, 0.0, 1.0]))
    return sweep_along(Curve(line), np.full(len(line), wide), np.full(len(line), deep), up)


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
