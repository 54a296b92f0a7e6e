"""Where the large arteries and their segmental branches run along a column.

Everything is laid along the bones as they stand: the aorta in front and to the left of the bodies, the iliac and
femoral arteries over the brim to the groin, the segmental arteries round the waist of each body to the foramen. A line
is laid by hand through a few places and then drawn taut round what is in its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES, groin, level_rows, side_sign, size
from spineviz.anatomy.arterial_tubes import Obstacle, even, solid, tapered_tube, taut, tube_points, tube_solid
from spineviz.anatomy.column import SACRUM, Column, level_above, level_below
from spineviz.anatomy.sweeps import smooth_step
from spineviz.data.assets import asset
from spineviz.data.once import once
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve, curve_through
from spineviz.geometry.fields import Distances, Field, Points, Vector
from spineviz.geometry.frames import Frame, rotation_about

_FINE_MM, _COARSE_MM = 0.5, 1.0
_RIB_REACH_MM = 130.0
"""How far to the side ribs are looked at."""


@dataclass(frozen=True, eq=False)
class Laid:
    """One branch as it was laid: what `arteries.Branch` is made of.

    Attributes:
        name, parent, kind: see `arteries.Branch`.
        line: (M, 3) mm; radius_mm: (M,).
        on_side: whether it springs from its parent's side (else it goes on from the parent's end).
    """

    name: str
    parent: str | None
    kind: str
    line: Points
    radius_mm: NDArray[np.float64]
    on_side: bool = True

    def moved(self, outer_from_inner: Frame) -> Laid:
        """The same carried outward by a rigid frame."""
        line = outer_from_inner.points(self.line)
        return Laid(self.name, self.parent, self.kind, line, self.radius_mm, self.on_side)


def tapering(line: Points, start_mm: float, end_mm: float) -> NDArray[np.float64]:
    """(M,) radii that fall evenly along `line` from diameter `start_mm` to `end_mm`."""
    arc = Curve(line).arc_mm
    return (start_mm + (end_mm - start_mm) * arc / arc[-1]) / 2


def flared(radius_mm: NDArray[np.float64], line: Points, wall_mm: float) -> NDArray[np.float64]:
    """`radius_mm` (M,) with the funnel of an orifice at `wall_mm` along `line`; it is widest before that."""
    arc = Curve(line).arc_mm
    first = float(np.interp(wall_mm, arc, radius_mm))
    past = np.maximum(arc - wall_mm, 0.0)
    return radius_mm + size("orifice_flare") * first * np.exp(-((past / (1.1 * first)) ** 1.3))


def wall_way_mm(line: Points, parent: Field) -> float:
    """The way along `line` (M, 3) at which it leaves `parent` for the last time; 0 where it never was inside."""
    depth = parent.distance(line)
    inside = np.flatnonzero(depth < 0.0)
    if not len(inside) or inside[-1] == len(line) - 1:
        return 0.0
    i = int(inside[-1])
    arc = Curve(line).arc_mm
    return float(arc[i] + (arc[i + 1] - arc[i]) * depth[i] / (depth[i] - depth[i + 1]))


# ---- what is in the way ---------------------------------------------------------------------------------------------


@once
def body_radius(level: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How far the body of `level` reaches from its axis: (A,) angles (0 front to pi back, deg), (Z,) heights mm from
    its middle, (A, Z) mm."""
    from spineviz.anatomy.vertebra import vertebra

    made = vertebra(level)
    half = float(made.landmarks["upper-front-rim"][2]) - 0.5
    angles, heights = np.arange(0.0, 181.0, 6.0), np.linspace(-half, half, 7)
    steps = np.arange(3.0, 42.0, 0.4)
    turn = np.deg2rad(angles)
    ahead = np.column_stack([np.sin(turn), np.cos(turn)])
    rays = steps[None, None, :, None] * ahead[:, None, None, :]
    points = np.zeros((len(angles), len(heights), len(steps), 3))
    points[..., :2] = rays
    points[..., 2] = heights[None, :, None]
    inside = made.body.distance(points.reshape(-1, 3)).reshape(points.shape[:3]) < 0
    reach = steps[inside.shape[2] - 1 - np.argmax(inside[:, :, ::-1], axis=2)]
    return angles, heights, reach + 0.2


def _reach(level: str, angle_deg: NDArray[np.float64], height_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how far the body reaches at angles (N,) to either side of the front and heights (N,)."""
    from scipy.interpolate import RegularGridInterpolator

    angles, heights, reach = body_radius(level)
    asked = np.column_stack([np.clip(np.abs(angle_deg), 0, 180), np.clip(height_mm, heights[0], heights[-1])])
    return RegularGridInterpolator((angles, heights), reach)(asked)


@once
def bone_points(level: str) -> tuple[Points, Points]:
    """Points of the right half of `level` with the near part of its rib, and their outward normals, in its frame."""
    from spineviz.anatomy.bones import carved_mesh
    from spineviz.anatomy.ribs import rib_sweep, rib_table

    mesh = carved_mesh(level, 1.2)
    near = (mesh.points_mm[:, 1] > -58.0) & (mesh.points_mm[:, 0] > -0.5)  # no vessel passes behind the laminae
    points, normals = [mesh.points_mm[near]], [mesh.normals[near]]
    if level in rib_table():
        rib = rib_sweep(level).mesh(16)
        beside = rib.points_mm[:, 0] < _RIB_REACH_MM
        points.append(rib.points_mm[beside])
        normals.append(rib.normals[beside])
    return np.concatenate(points), np.concatenate(normals)


def _annulus(column: Column, upper: str) -> tuple[Points, Points]:
    """Points of the side of the disc below `upper`, and their outward normals, in the world."""
    from spineviz.anatomy.discs import disc

    made, world_from_disc = disc(column, upper)
    shares = (0.1, 0.3, 0.5, 0.7, 0.9)
    points = world_from_disc.points(np.concatenate([made.side(share) for share in shares]))
    return points, np.tile(made.outward @ world_from_disc.rotation.T, (len(shares), 1))


def _in_the_way(
    column: Column, bones: Sequence[str], discs: Sequence[str], to: Frame, roots: Sequence[str]
) -> Obstacle:
    """The bones, the sides of the discs below `discs` and the roots of `roots`, seen from `to` (world_from_to)."""
    from spineviz.anatomy.neural import outer_root

    inner = to.inverse()
    points, normals = [], []

    def add(found: tuple[Points, Points], frame: Frame) -> None:
        points.append(frame.points(found[0]))
        normals.append(found[1] @ frame.rotation.T)

    for level in bones:
        add(bone_points(level), inner @ column.world_from_vertebra(level))
    for level in discs:
        add(_annulus(column, level), inner)
    for level in roots:
        line, radius = outer_root(level)
        add(tube_points(line, radius), inner @ column.world_from_vertebra(level))
    return solid(np.concatenate(points), np.concatenate(normals))


# ---- aorta ----------------------------------------------------------------------------------------------------------


@cache
def sacral_slope_deg() -> float:
    """By how much the end-plate of S1 slopes in a standing person, deg (curvature.csv)."""
    return sourced_table(asset("anatomy", "curvature.csv"))["sacral_slope_standing_deg"].value


def world_from_pelvis(column: Column) -> Frame:
    """The axes in which the groin is given (arteries-groin.csv): origin in the middle of the end-plate of S1, z up
    along the standing body, y forward, x right."""
    return column.world_from_sacrum @ Frame(rotation_about([1.0, 0.0, 0.0], sacral_slope_deg()).rotation, np.zeros(3))


def height_in(level: str, share: float) -> float:
    """The height (z in the frame of `level`) at `share` of its body from the upper rim (0) to the lower (1)."""
    from spineviz.anatomy.vertebra import landmarks_of

    marks = landmarks_of(level)
    upper = (marks["upper-front-rim"][2] + marks["upper-back-rim"][2]) / 2
    lower = (marks["lower-front-rim"][2] + marks["lower-back-rim"][2]) / 2
    return float(upper + share * (lower - upper))


def _beside_body(level: str, left_deg: float, height_mm: float, radius_mm: float) -> Vector:
    """(3,) where a vessel of `radius_mm` lies beside the body of `level`, in its frame."""
    angle = np.array([left_deg])
    ends = body_radius(level)[1]
    reach = max(_reach(level, angle, np.array([z]))[0] for z in (ends[0], ends[-1]))
    way = float(reach) + size("aorta_wall_mm") + radius_mm
    turn = np.deg2rad(left_deg)
    return np.array([-way * np.sin(turn), way * np.cos(turn), height_mm])


def _arch(column: Column) -> Points:
    """(4, 3) places of the end of the arch, the first farthest upstream, in the world: over the root of the left lung,
    backward and to the left."""
    axes = world_from_pelvis(column).rotation
    start = column.world_from_vertebra("T4").origin_mm
    places = np.array([[4.0, 70.0, -6.0], [-2.0, 60.0, 9.0], [-12.0, 43.5, 16.5], [-20.5, 26.0, 12.0]])
    return start + places @ axes.T


def aorta(column: Column) -> Laid:
    """The aorta from the end of its arch at T3 and T4 to its fork at L4."""
    rows = level_rows()
    places, diameters = list(_arch(column)), [size("aorta_arch_diameter_mm")] * 4
    for level in SEGMENTAL_LEVELS:
        row = rows[level]
        inner = _beside_body(level, row.left_of_front_deg, 0.0, row.aorta_diameter_mm / 2)
        places.append(column.world_from_vertebra(level).point(inner))
        diameters.append(row.aorta_diameter_mm)
    end = size("bifurcation_diameter_mm")
    fork = _beside_body("L4", size("bifurcation_left_deg"), height_in("L4", size("bifurcation_share_of_L4")), end / 2)
    places.append(column.world_from_vertebra("L4").point(fork))
    diameters.append(end)
    curve = curve_through(np.array(places), _COARSE_MM)
    ways = [float(curve.arc_mm[np.argmin(np.linalg.norm(curve.points_mm - place, axis=1))]) for place in places]
    from scipy.interpolate import PchipInterpolator

    radius = np.minimum.accumulate(PchipInterpolator(ways, diameters)(curve.arc_mm)) / 2
    around = _in_the_way(column, ("T2", "T3", *SEGMENTAL_LEVELS, "L5"), ("T2", "T3", *SEGMENTAL_LEVELS), Frame(), ())
    line = _pushed(curve.points_mm, radius + size("aorta_wall_mm"), around)
    return Laid("aorta", None, "aorta", line, radius, on_side=False)


def _pushed(line: Points, reach_mm: NDArray[np.float64], around: Obstacle) -> Points:
    """`line` (N, 3), a millimetre a step, moved off `around` to `reach_mm` (N,) in one long sweep without waves."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    points = line
    for _ in range(4):
        way, out = around(points)
        lack = maximum_filter1d(np.maximum(reach_mm - way, 0.0), 31)
        if not lack.any():
            break
        smooth = gaussian_filter1d(lack, 10.0)
        direction = gaussian_filter1d(out, 12.0, axis=0)
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
        points = points + smooth[:, None] * direction
    return points


# ---- iliac and femoral ----------------------------------------------------------------------------------------------


def femoral_places(side: str) -> dict[str, Vector]:
    """Named places (3,) of the groin in the axes of the pelvis: "head" (centre of the femoral head), "ligament" (where
    the artery passes under it), "fork" (end of the common femoral artery)."""
    sign = side_sign(side)
    head = np.array([groin("hip_centre_aside_mm"), groin("hip_centre_ahead_mm"), -groin("hip_centre_below_mm")])
    radius = size("common_femoral_diameter_mm") / 2
    ahead = groin("femoral_head_diameter_mm") / 2 + groin("artery_before_head_mm") + radius
    over = head + np.array([-groin("artery_medial_of_centre_mm"), ahead, 0.0])
    ligament = over + np.array([-5.5, -4.5, groin("ligament_above_centre_mm")])
    fork = over + np.array([1.0, -1.5, -groin("fork_below_centre_mm")])
    return {name: place * np.array([sign, 1.0, 1.0]) for name, place in
            (("head", head), ("over", over), ("ligament", ligament), ("fork", fork))}  # fmt: skip


def iliac_branches(column: Column, trunk: Laid, side: str) -> list[Laid]:
    """Common, external and internal iliac artery and the femoral arteries of one side."""
    sign = side_sign(side)
    pelvis = world_from_pelvis(column)
    start, along = trunk.line[-1], Curve(trunk.line).tangents()[-1]
    places = femoral_places(side)
    fork = np.array([groin("iliac_fork_aside_mm"), groin("iliac_fork_ahead_mm"), groin("iliac_fork_above_mm")])
    fork = fork * np.array([sign, 1.0, 1.0])
    first = pelvis.inverse().points([start])[0]
    along = pelvis.inverse().vector(along)
    out = np.array([sign, 0.0, 0.0])
    low = size("femoral_stub_mm")
    common, external = size(f"common_iliac_{side}_mm"), size("external_iliac_mm")
    femoral = size("common_femoral_mm")
    end = places["fork"] + low * np.array([-0.10 * sign, -0.22, -0.97])
    bones = _in_the_way(column, ("L4", "L5", SACRUM), ("L4", "L5"), Frame(), ())
    start_mm, end_mm = size("common_iliac_diameter_mm"), size("common_femoral_end_diameter_mm")

    def laid(dip: float) -> Points:
        """The line from the aorta's fork to the thigh; `dip` mm deeper over the brim of the pelvis."""
        deep = dip * np.array([0.12 * sign, -0.75, -0.65])
        half = (fork + places["ligament"]) / 2
        knots = np.array(
            [
                first, first + 5.0 * along + 1.8 * out, first + 0.45 * (fork - first) + 1.0 * out + [0.0, 3.0, 0.0],
                fork + 0.6 * deep, half + np.array([2.0 * sign, -5.0, -4.0]) + deep,
                places["ligament"], places["fork"], end,
            ]
        )  # fmt: skip
        return curve_through(pelvis.points(knots), _COARSE_MM).points_mm

    ligament = pelvis.point(places["ligament"])
    wanted, reach = common + external, start_mm / 2 + size("aorta_wall_mm")

    def length(line: Points) -> float:
        """How far the ligament lies along `line`."""
        return float(Curve(line).arc_mm[np.argmin(np.linalg.norm(line - ligament, axis=1))])

    from scipy.optimize import brentq

    dips = np.arange(-20.0, 61.0, 10.0)
    lengths = [length(laid(dip)) for dip in dips]
    shortest = int(np.argmin(lengths))
    lost = 0.0  # what drawing it taut takes off
    for _ in range(3):
        dip = dips[shortest]
        if lengths[shortest] < wanted + lost < lengths[-1]:
            aim = wanted + lost
            dip = brentq(lambda d, aim=aim: length(laid(d)) - aim, dips[shortest], dips[-1], xtol=0.05)
        line = laid(dip)
        (line,) = taut([line], [reach], [bones], [(2, len(line) // 2)], rounds=12, pull=0.2)
        lost += wanted - length(line)
    whole = Curve(line)
    cuts = [0.0, common, common + external, common + external + femoral, whole.length_mm]
    pieces = [even(whole.part(a, b).points_mm, _COARSE_MM) for a, b in pairwise(cuts)]
    # it begins as wide as the aorta ends, so that the fork is smooth
    arc = Curve(pieces[0]).arc_mm
    parent = trunk.radius_mm[-1]
    radius = tapering(pieces[0], start_mm, size("common_iliac_end_diameter_mm"))
    radius = radius + (parent - radius[0]) * (1.0 - smooth_step(arc / 24.0))
    names = [f"common-iliac-{side}", f"external-iliac-{side}", f"femoral-{side}", f"superficial-femoral-{side}"]
    outer = [("external_iliac_diameter_mm", "external_iliac_end_diameter_mm")]
    outer += [("common_femoral_diameter_mm", "common_femoral_end_diameter_mm")]
    branches = [Laid(names[0], trunk.name, "iliac", pieces[0], radius, on_side=False)]
    for i, (a, b) in enumerate(outer, start=1):
        radius = tapering(pieces[i], size(a), size(b))
        radius = _blended_start(pieces[i], radius, float(branches[-1].radius_mm[-1]))
        branches.append(Laid(names[i], names[i - 1], "iliac" if i == 1 else "femoral", pieces[i], radius, False))
    shallow = size("superficial_femoral_diameter_mm")
    radius = _blended_start(pieces[3], tapering(pieces[3], shallow, 0.96 * shallow), end_mm / 2)
    branches.append(Laid(names[3], names[2], "femoral", pieces[3], radius, on_side=False))
    branches.append(_deep_femoral(pelvis, branches[2], side))
    branches.append(_internal_iliac(pelvis, branches[0], branches[1], side, bones))
    return branches


def _blended_start(line: Points, radius: NDArray[np.float64], before_mm: float) -> NDArray[np.float64]:
    """`radius` that begins with what the parent ended with and falls to its own within a few of its widths."""
    arc = Curve(line).arc_mm
    return radius + max(before_mm - radius[0], 0.0) * (1.0 - smooth_step(arc / (4.0 * before_mm)))


def _deep_femoral(pelvis: Frame, parent: Laid, side: str) -> Laid:
    sign = side_sign(side)
    turn = pelvis.rotation
    start, along = parent.line[-1], Curve(parent.line).tangents()[-1]
    knots = [start, start + 6.0 * along]
    for x, y, z in ((3.0, -3.0, -8.0), (8.5, -10.5, -24.0), (9.0, -18.0, -46.0)):
        knots.append(start + turn @ np.array([sign * x, y, z - 4.0]))
    line = even(curve_through(np.array(knots), _COARSE_MM).points_mm, _COARSE_MM)
    deep = size("deep_femoral_diameter_mm")
    radius = _blended_start(line, tapering(line, deep, 0.94 * deep), float(parent.radius_mm[-1]))
    return Laid(f"deep-femoral-{side}", parent.name, "femoral", line, radius, on_side=False)


def _internal_iliac(pelvis: Frame, parent: Laid, beside: Laid, side: str, bones: Obstacle) -> Laid:
    sign = side_sign(side)
    turn = pelvis.rotation
    start, along = parent.line[-1], Curve(parent.line).tangents()[-1]
    knots = [start, start + 5.0 * along]
    for x, y, z in ((1.5, -8.0, -13.0), (2.5, -16.0, -27.0), (-1.0, -25.0, -44.0)):
        knots.append(start + turn @ np.array([sign * x, y, z]))
    wide = size("internal_iliac_diameter_mm")
    line = even(curve_through(np.array(knots), _COARSE_MM).part(0.0, size("internal_iliac_drawn_mm")).points_mm, 1.0)
    (line,) = taut([line], [wide / 2 + size("aorta_wall_mm") - 1.0], [bones], [(6, 0)], rounds=12, pull=0.3)
    radius = _blended_start(line, tapering(line, wide, 0.92 * wide), float(parent.radius_mm[-1]))
    return Laid(f"internal-iliac-{side}", parent.name, "iliac", line, radius, on_side=False)


# ---- branches to the organs -----------------------------------------------------------------------------------------


def _on_aorta(column: Column, trunk: Laid, level: str, height_mm: float) -> Vector:
    """(3,) the aorta's middle at a height of `level`, in that level's frame."""
    inner = column.world_from_vertebra(level).inverse().points(trunk.line)
    near = np.flatnonzero(np.linalg.norm(inner, axis=1) < 75.0)
    order = near[np.argsort(inner[near, 2])]
    return np.array([np.interp(height_mm, inner[order, 2], inner[order, i]) for i in range(3)])


def organ_branches(column: Column, trunk: Laid) -> list[Laid]:
    """The stubs of coeliac trunk, superior mesenteric and renal arteries."""
    out = []
    plans: list[tuple[str, str, str, float, list[tuple[float, float, float]]]] = [
        ("coeliac", "coeliac", "T12", size("coeliac_share"), [(0, 1, 0), (0.5, 14, -1.5), (2, 25, -6), (4, 38, -8)]),
        ("superior-mesenteric", "mesenteric", "L1", size("mesenteric_share"),
         [(0, 1, 0), (0, 13, -2), (1.5, 21, -12), (3, 27, -34), (5, 29, -72)]),
        ("renal-right", "renal", "L1", size("renal_right_share"),
         [(1, 0.62, 0), (13, 6.0, -0.5), (30, -2, -3.5), (50, -20, -6), (70, -30, -8)]),
        ("renal-left", "renal", "L1", size("renal_left_share"),
         [(-1, 0.12, 0), (-13, 0.5, -0.5), (-26, -6, -3), (-46, -22, -6), (-70, -34, -8)]),
    ]  # fmt: skip
    for name, row, level, share, offsets in plans:
        frame = column.world_from_vertebra(level)
        start = _on_aorta(column, trunk, level, height_in(level, share))
        knots = [start, *[start + np.array(offset, float) for offset in offsets[1:]]]
        curve = curve_through(np.array(knots), _FINE_MM)
        radius = float(trunk.radius_mm[np.argmin(np.linalg.norm(trunk.line - frame.point(start), axis=1))])
        line = even(curve.part(0.0, radius + size(f"{row}_drawn_mm")).points_mm, _FINE_MM)
        wide = size(f"{row}_diameter_mm")
        line = frame.points(line)
        wall = wall_way_mm(line, tapered_tube(trunk.line, trunk.radius_mm))
        out.append(Laid(name, trunk.name, "visceral", line, flared(tapering(line, wide, 0.94 * wide), line, wall)))
    return out


# ---- segmental arteries ---------------------------------------------------------------------------------------------


def beside_foramen(column: Column, level: str) -> Obstacle:
    """What lies round the foramina of `level`, in its frame: bones, ribs, discs and roots."""
    above, below = level_above(level), level_below(level)
    bones = [name for name in (above, level, below) if name is not None]
    discs = [name for name in (above, level) if name is not None]
    return _in_the_way(column, bones, discs, column.world_from_vertebra(level), discs)


def _fork(level: str, around: Obstacle) -> Vector:
    """(3,) where the right segmental artery of `level` divides, in its frame: beside the body, before the foramen."""
    from spineviz.anatomy.vertebra import vertebra

    made = vertebra(level)
    row = made.row
    pedicle = made.frames["pedicle-right"].origin_mm
    half_width, half_height = row["PDW_zindrick_mm"].value / 2, row["PDH_zindrick_mm"].value / 2
    thick = level_rows()[level].trunk_diameter_mm / 2
    lumbar = level.startswith("L") or level == "T12"
    place = np.array(
        [
            pedicle[0] + half_width + thick + (0.2 if lumbar else 1.2),
            pedicle[1] + (6.0 if lumbar else 5.5),
            pedicle[2] - half_height - (1.6 if lumbar else 0.4),
        ]
    )
    (line,) = taut([place[None]], [thick + size("segmental_clearance_mm") + 0.3], [around], [(0, 0)], rounds=14)
    return line[0]


def _trunk_knots(column: Column, trunk: Laid, level: str, side: str, end: Vector) -> tuple[Points, float]:
    """(K, 3) places that the segmental artery of `level` passes, in its frame, from the aorta's middle to `end`, and
    the aorta's radius there."""
    sign = side_sign(side)
    row = level_rows()[level]
    frame = column.world_from_vertebra(level)
    start = _on_aorta(column, trunk, level, -row.orifice_below_mm)
    left_deg = float(np.rad2deg(np.arctan2(-start[0], start[1])))
    wide = float(trunk.radius_mm[np.argmin(np.linalg.norm(trunk.line - frame.point(start), axis=1))])
    away = float(np.hypot(start[0], start[1]))
    inward = -np.array([start[0], start[1], 0.0]) / away
    turn = np.deg2rad(left_deg)
    rightward = np.array([np.cos(turn), np.sin(turn), 0.0])
    half = np.deg2rad(size("orifice_half_angle_deg"))
    way = np.cos(half) * inward + sign * np.sin(half) * rightward
    # where it comes to lie on the body, and how far round it goes
    first = -left_deg + sign * (np.rad2deg(np.arcsin(min(0.9, (wide + 1.0) * np.sin(half) / (away - wide)))) + 9.0)
    last = float(np.rad2deg(np.arctan2(end[0], end[1]))) - sign * 12.0
    angles = np.linspace(first, last, max(3, int(abs(last - first) / 9.0) + 1))
    share = (angles - first) / (last - first)
    climb = smooth_step(share / 0.75) if abs(last - first) > 70.0 else share
    heights = start[2] + (min(0.0, 0.5 * end[2]) - start[2]) * climb
    reach = _reach(level, angles, heights) + row.trunk_diameter_mm / 2 + size("segmental_clearance_mm") + 0.2
    ring = np.column_stack([reach * np.sin(np.deg2rad(angles)), reach * np.cos(np.deg2rad(angles)), heights])
    return np.concatenate([[start, start + 0.55 * wide * way, start + (wide + 0.9) * way], ring, [end]]), wide


def _trunks(column: Column, trunk: Laid, level: str, end: Vector, around: Obstacle) -> list[Laid]:
    """The right and the left segmental artery of `level`, in the world, from the aorta to where they divide."""
    row = level_rows()[level]
    thick = row.trunk_diameter_mm / 2
    frame = column.world_from_vertebra(level)
    own = tube_solid(frame.inverse().points(trunk.line), trunk.radius_mm)
    lines, held, starts = [], [], []
    for side in SIDES:
        knots, wide = _trunk_knots(column, trunk, level, side, end * np.array([side_sign(side), 1.0, 1.0]))
        lines.append(even(curve_through(knots, _FINE_MM).points_mm, 0.8))
        held.append((int(np.searchsorted(Curve(lines[-1]).arc_mm, wide + 0.8)), 1))
        starts.append(knots[0])

    def off_aorta(p: Points) -> tuple[Distances, Points]:
        way, out = own(p)
        # past its orifice it keeps off the aorta too
        gone = np.linalg.norm(p - starts[0], axis=1) > wide + 3.2 * thick
        return np.where(gone, way, 50.0), out

    reach = thick + size("segmental_clearance_mm") + 0.1
    lines = taut(lines, [reach, reach], [off_aorta, around], held, rounds=30)
    tube = tapered_tube(trunk.line, trunk.radius_mm)
    out = []
    for side, line in zip(SIDES, lines, strict=True):
        world = frame.points(even(line, _FINE_MM))
        radius = tapering(world, row.trunk_diameter_mm, size("trunk_end_share") * row.trunk_diameter_mm)
        flare = flared(radius, world, wall_way_mm(world, tube))
        out.append(Laid(f"segmental-{level}-{side}", trunk.name, "segmental", world, flare))
    return out


def _outer_lines(level: str, start: Vector, around: Obstacle) -> dict[str, Points]:
    """The lines of the right "muscular", "dorsal" and "radicular" branches of `level`, in its frame.

    The radicular branch begins on the dorsal one, goes in through the foramen before the root and ends at its sleeve.
    """
    from spineviz.anatomy.neural import outer_root
    from spineviz.anatomy.ribs import rib_sweep, rib_table
    from spineviz.anatomy.vertebra import vertebra

    made = vertebra(level)
    thick = size("trunk_end_share") * level_rows()[level].trunk_diameter_mm / 2
    tip = made.landmarks["transverse-tip-right"]
    lower = made.landmarks["inferior-facet-right"]
    if level in rib_table():
        sweep = rib_sweep(level)
        arc = sweep.curve.arc_mm
        chosen = np.flatnonzero((arc > 34.0) & (arc < 34.0 + size("muscular_thoracic_mm")))[::4]
        below = np.maximum(sweep.side_mm[chosen], sweep.front_mm[chosen]) + thick + 0.7
        along = sweep.points_mm[chosen] - below[:, None] * np.array([0.0, 0.0, 1.0]) + np.array([-1.0, 1.0, 0.0])
        muscular = np.concatenate([[start, start + np.array([6.0, -3.0, -0.5])], along])
    else:
        muscular = start + np.array(
            [[0, 0, 0], [5, -3.0, -2.5], [14, -7.5, -6.0], [27, -12.0, -11.0], [42, -15.0, -16.0], [56, -11.0, -20.0]],
            float,
        )
    behind = np.array([max(tip[0] * 0.66, lower[0] + 7.0), lower[1] - 1.0, (tip[2] + lower[2]) / 2 - 1.5])
    dorsal = np.array([start, start + [3.4, -4.6, 0.2], behind, behind + [-1.5, -11.0, -5.0]])
    clear = size("segmental_clearance_mm")
    lines = [even(curve_through(knots, _FINE_MM).points_mm, 0.8) for knots in (muscular, dorsal)]
    reach = [size("muscular_share") * thick + clear, size("dorsal_share") * thick + clear]
    coarse = taut([line[::3] for line in lines], reach, [around], [(1, 0), (1, 0)], rounds=24, pull=0.5)
    lines = [even(curve_through(line, _FINE_MM).points_mm, 0.8) for line in coarse]
    muscular, dorsal = taut(lines, reach, [around], [(1, 0), (1, 0)], rounds=12, pull=0.5)
    # with the root: before it, from the dorsal branch in through the foramen
    root, root_radius = outer_root(level)
    small = 0.55 * size("adamkiewicz_diameter_mm")  # any of them may have to carry the cord's artery
    mouth = int(np.argmin(np.linalg.norm(root - start, axis=1)))
    inward, inward_radius = root[3 : mouth - 1][::-1], root_radius[3 : mouth - 1][::-1]
    tangent = np.gradient(inward, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    ahead = np.array([0.0, 0.9, 0.45]) - tangent * (tangent @ np.array([0.0, 0.9, 0.45]))[:, None]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    beside = inward + (inward_radius + small + 0.3)[:, None] * ahead
    base = dorsal[int(np.searchsorted(Curve(dorsal).arc_mm, 3.2))]
    line = even(curve_through(np.concatenate([[base], beside[1:]]), _FINE_MM).points_mm, 0.6)
    (radicular,) = taut([line], [small + 0.25], [around], [(1, 0)], rounds=20, pull=0.35)
    return {name: even(line, _FINE_MM) for name, line in
            (("muscular", muscular), ("dorsal", dorsal), ("radicular", radicular))}  # fmt: skip


def segmental_branches(column: Column, trunk: Laid, level: str) -> list[Laid]:
    """Both segmental arteries of a level with their muscular, dorsal and radicular branches, in the world."""
    around = beside_foramen(column, level)
    end = _fork(level, around)
    own = _trunks(column, trunk, level, end, around)
    lines = _outer_lines(level, end, around)
    frame = column.world_from_vertebra(level)
    tail, small = size("tail_share"), size("radicular_diameter_mm")
    out = list(own)
    for side, parent in zip(SIDES, own, strict=True):
        world = {name: frame.points(line * np.array([side_sign(side), 1.0, 1.0])) for name, line in lines.items()}
        before = 2.0 * float(parent.radius_mm[-1])
        for name, share in (("muscular", "muscular_share"), ("dorsal", "dorsal_share")):
            wide = size(share) * before
            radius = tapering(world[name], wide, tail * wide)
            if name == "muscular":
                radius = _blended_start(world[name], radius, before / 2)
            out.append(Laid(f"{name}-{level}-{side}", parent.name, name, world[name], radius, name == "dorsal"))
        radius = tapering(world["radicular"], small, tail * small)
        out.append(Laid(f"radicular-{level}-{side}", out[-1].name, "radicular", world["radicular"], radius))
    return out


def stem(column: Column) -> list[Laid]:
    """The aorta, first, with the branches to the organs and down to the groins, parents before their children."""
    trunk = aorta(column)
    out = [trunk, *organ_branches(column, trunk)]
    for side in SIDES:
        out += iliac_branches(column, trunk, side)
    return out
