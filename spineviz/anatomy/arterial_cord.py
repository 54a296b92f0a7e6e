"""The arteries of the cord, and those that a tumour draws to itself.

The artery of Adamkiewicz goes on from a radicular artery: with the root through the sac to the cord, up its front
beside the midline, round a hairpin, and down as the anterior spinal artery.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import Laid, tapering, wall_way_mm
from spineviz.anatomy.arterial_data import side_sign, size
from spineviz.anatomy.arterial_tubes import Obstacle, even, solid, tapered_tube, taut
from spineviz.anatomy.column import SACRUM, Column
from spineviz.anatomy.neural import CanalLine, canal_line, cord_sweep, root_sweeps
from spineviz.anatomy.sweeps import Sweep, smooth_step
from spineviz.geometry.curves import Curve, curve_through
from spineviz.geometry.fields import Distances, Field, Points, Vector
from spineviz.geometry.grids import lattice

_STEP_MM = 0.4
_OFF_CORD_MM = 0.15
_TOP, _BOTTOM = "T1", "L5"
_FIRST = "T3"
"""Where the anterior spinal artery comes into view."""


@dataclass(frozen=True, eq=False)
class CordFront:
    """The cord's surface by the way along it and the distance from its middle plane.

    Attributes:
        line: the canal's middle; sweep: the cord.
    """

    line: CanalLine
    sweep: Sweep

    def axes(self, way_mm: NDArray[np.float64]) -> tuple[Points, Points, Points]:
        """(N, 3) the cord's middle, its axis to the right and its axis to the front at ways (N,)."""
        arc = self.sweep.curve.arc_mm
        middle, side, front = (
            np.stack([np.interp(way_mm, arc, values[:, i]) for i in range(3)], axis=1)
            for values in (self.sweep.points_mm, self.sweep.side, -self.sweep.front)  # the cord runs downward
        )
        return middle, side, front

    def half_sizes(
        self, way_mm: NDArray[np.float64], off_mm: NDArray[np.float64] | float
    ) -> tuple[Distances, Distances]:
        """(N,) half width and half depth of the cord grown by `off_mm`."""
        arc = self.sweep.curve.arc_mm
        return np.interp(way_mm, arc, self.sweep.side_mm) + off_mm, np.interp(way_mm, arc, self.sweep.front_mm) + off_mm

    def points(self, way_mm: NDArray[np.float64], right_mm: NDArray[np.float64], off_mm: float) -> Points:
        """(N, 3) on the front of the cord, `right_mm` (N,) to the right of its middle plane and `off_mm` off it."""
        middle, side, front = self.axes(way_mm)
        width, depth = self.half_sizes(way_mm, off_mm)
        share = np.clip(right_mm / width, -0.999, 0.999)
        return middle + right_mm[:, None] * side + (depth * np.sqrt(1.0 - share**2))[:, None] * front

    def outside(self, points_mm: Points, way_mm: NDArray[np.float64], off_mm: float) -> Points:
        """`points_mm` (N, 3), at ways (N,), moved out of the cord to `off_mm` off it where they are nearer."""
        middle, side, front = self.axes(way_mm)
        width, depth = self.half_sizes(way_mm, off_mm)
        offset = points_mm - middle
        u, v = (offset * side).sum(1), (offset * front).sum(1)
        value = np.maximum(np.hypot(u / width, v / depth), 1e-6)
        grow = np.maximum(1.0 / value, 1.0) - 1.0
        return points_mm + (grow * u)[:, None] * side + (grow * v)[:, None] * front


def cord_front(column: Column) -> CordFront:
    """The cord of the whole view of the arteries."""
    line = canal_line(column, _TOP, _BOTTOM)
    return CordFront(line, cord_sweep(line))


def _roots(column: Column, line: CanalLine, level: str, side: str) -> tuple[Points, Obstacle]:
    """(N, 3) the root of one level and side, from the cord outward; and all roots beside it as something in the way."""
    levels = [name for name in line.way_mm if name != SACRUM]
    sweeps = root_sweeps(column, line)
    here = levels.index(level)
    meshes = [sweep.mesh(10) for sweep in sweeps[2 * max(here - 4, 0) : 2 * here + 6]]
    around = solid(np.concatenate([m.points_mm for m in meshes]), np.concatenate([m.normals for m in meshes]), False)
    return sweeps[2 * here + (0 if side == "right" else 1)].points_mm, around


def cord_branches(column: Column, radicular: Laid, level: str, side: str) -> list[Laid]:
    """The artery of Adamkiewicz as it goes on from `radicular`, and the anterior spinal artery down and up from the
    turn; with the radicular artery itself, wide enough to carry it, first."""
    front = cord_front(column)
    sign = side_sign(side)
    wide = size("adamkiewicz_diameter_mm")
    radius = wide / 2
    off = radius + _OFF_CORD_MM
    start = radicular.line[-1]
    arc = front.line.curve.arc_mm

    def way_of(points: Points) -> NDArray[np.float64]:
        from scipy.spatial import cKDTree

        return arc[cKDTree(front.line.curve.points_mm).query(points)[1]]

    # along the root, before it, from the sleeve up
    root, roots = _roots(column, front.line, level, side)
    door = int(np.argmin(np.linalg.norm(root - start, axis=1)))
    along = root[: max(door - 1, 2)][::-1]
    ways = way_of(along)
    turn = size("hairpin_radius_mm")
    first = float(way_of(start[None])[0])
    top = min(first - size("adamkiewicz_rise_mm"), front.line.conus_mm - 26.0)
    top = max(top, front.line.way_mm[_FIRST] + 4.0)
    leave = first - 0.55 * (first - top)
    along, ways = along[ways > leave], ways[ways > leave]
    _, _, ahead = front.axes(ways)
    strand_off = 0.55 + radius + 0.1
    beside = front.outside(along + strand_off * ahead, ways, off)
    # over the cord's side to its front, still climbing
    count = max(8, int((leave - top) / 1.5))
    climb = np.linspace(leave, top, count)
    base = beside[-1] if len(beside) else start
    middle, across, _ = front.axes(np.array([leave]))
    aside = float((base - middle[0]) @ across[0])
    width, _ = front.half_sizes(climb, off)
    aim = sign * np.minimum(2.0 * turn, 0.8 * width)
    share = smooth_step((leave - climb) / (0.8 * (leave - top)))
    held = np.clip(aside + (aim - aside) * share, -0.98 * width, 0.98 * width)
    on_front = front.points(climb, held, off)
    blend = smooth_step((leave - climb) / (0.3 * (leave - top)))[:, None]
    lifted, _, _ = front.axes(climb)
    on_front = front.outside((base - middle[0] + lifted) * (1.0 - blend) + on_front * blend, climb, off)
    knots = _thinned(np.concatenate([start[None], beside, on_front[1:]]), 2.2)
    cord = front.sweep.mesh(32)
    in_the_way = [roots, solid(cord.points_mm, cord.normals, False)]
    reach = radius + _OFF_CORD_MM
    limb = even(curve_through(knots, _STEP_MM).points_mm, 0.8)
    (limb,) = taut([limb], [reach], in_the_way, [(1, 3)], rounds=36, pull=0.4)
    limb = even(limb, _STEP_MM)
    # the hairpin: half a circle on the cord's front, from the limb over to the middle and down
    angle = np.linspace(0.0, np.pi, 22)[1:]
    wide_turn = abs(float(aim[-1])) / 2
    bow = front.points(top - turn * np.sin(angle), sign * wide_turn * (1.0 + np.cos(angle)), off)
    down = front.points(top + np.array([0.8, 1.6]), np.zeros(2), off)
    line = even(np.concatenate([limb, bow, down]), _STEP_MM)
    lower, upper = size("anterior_spinal_diameter_mm"), size("anterior_spinal_upper_diameter_mm")
    feeder = Laid(
        radicular.name, radicular.parent, radicular.kind, radicular.line, tapering(radicular.line, 1.1 * wide, wide)
    )
    out = [feeder, Laid("adamkiewicz", radicular.name, "adamkiewicz", line, tapering(line, wide, 0.86 * wide), False)]
    end = min(front.line.conus_mm - 3.0, front.line.sac_mm - 6.0)
    for name, ways, thick in (
        ("anterior-spinal", np.arange(top + 1.6, end, 1.2), lower),
        ("anterior-spinal-upper", np.arange(top + 1.6, front.line.way_mm[_FIRST] - 8.0, -1.2), upper),
    ):
        off_here = thick / 2 + _OFF_CORD_MM
        lift = smooth_step(np.abs(ways - ways[0]) / 6.0)
        line = front.points(ways, np.zeros(len(ways)), off) * (1.0 - lift)[:, None]
        line = line + front.points(ways, np.zeros(len(ways)), off_here) * lift[:, None]
        line = even(curve_through(line, _STEP_MM).points_mm, _STEP_MM)
        taper = tapering(line, thick, 0.5 * thick if name == "anterior-spinal" else 0.8 * thick)
        out.append(Laid(name, "adamkiewicz", "spinal", line, taper, on_side=False))
    return out


def _thinned(points: Points, least_mm: float) -> Points:
    """`points` (N, 3) without those that come nearer than `least_mm` to the one kept before; both ends stay."""
    kept = [points[0]]
    for point in points[1:-1]:
        if np.linalg.norm(point - kept[-1]) >= least_mm and np.linalg.norm(point - points[-1]) >= 0.7 * least_mm:
            kept.append(point)
    return np.array([*kept, points[-1]])


# ---- tumour ---------------------------------------------------------------------------------------------------------

_FEEDERS = (
    ("feeder-1", None, 0.0, (0.1, 0.0, 0.0)),
    ("feeder-2", None, -8.0, (0.0, 0.5, 0.55)),
    ("feeder-3", None, 6.5, (0.0, -0.5, -0.55)),
    ("feeder-4", "feeder-1", 0.5, (0.2, 0.55, -0.45)),
    ("feeder-5", "feeder-1", 0.62, (0.35, -0.35, 0.6)),
)
"""Name, parent (None: the segmental artery), where it springs (mm from the place nearest to the tumour; for a twig the
share of its parent), and where in the tumour it ends, as shares of its half size from its middle (away from the
artery, forward, up)."""


def feeder_branches(trunk: Laid, tumour: Field, wall_mm: float) -> list[Laid]:
    """Arteries from `trunk`, the segmental artery of the tumour's level, into `tumour` (world frame).

    They enter the bone: a tumour's vessels come through its nutrient holes. `wall_mm` is where the trunk leaves the
    aorta; none springs in the 14 mm past it, where a catheter is parked (less in a short artery).
    """
    inside = _inside(tumour)
    middle = inside.mean(0)
    half = np.ptp(inside, axis=0) / 2
    arc = Curve(trunk.line).arc_mm
    # past where a catheter is parked
    fit = (arc > wall_mm + min(14.0, 0.45 * (arc[-1] - wall_mm))) & (arc < arc[-1] - 2.5)
    nearest = float(arc[fit][np.argmin(np.linalg.norm(trunk.line[fit] - middle, axis=1))])
    away = middle - Curve(trunk.line).at(nearest)[0]
    away = away / np.linalg.norm(away)
    made: dict[str, Laid] = {}
    for number, (name, parent, where, (far, ahead, up)) in enumerate(_FEEDERS, start=1):
        aim = middle + half.min() * far * away + np.array([0.0, half[1] * ahead, half[2] * up])
        # the place inside nearest to where it aims
        end = inside[np.argmin(np.linalg.norm(inside - aim, axis=1))]
        own = made[parent] if parent is not None else trunk
        whole = Curve(own.line)
        way = where * whole.length_mm if parent is not None else float(np.clip(nearest + where, *arc[fit][[0, -1]]))
        made[name] = _feeder(name, own, whole, way, end, number)
    return list(made.values())


def _feeder(name: str, own: Laid, whole: Curve, way_mm: float, end: Vector, number: int) -> Laid:
    near = int(np.argmin(np.abs(whole.arc_mm - way_mm)))
    start, along = whole.points_mm[near], whole.tangents()[near]
    reach = end - start
    span = float(np.linalg.norm(reach))
    turned = np.cross(along, reach / span)
    turned = turned / max(float(np.linalg.norm(turned)), 1e-6)
    bend = np.cross(reach / span, turned)
    swing = 0.09 * span * (-1.0) ** number
    knots = np.array(
        [
            start,
            start + 0.30 * reach + 0.4 * swing * turned + 0.06 * span * bend,
            start + 0.62 * reach - 0.7 * swing * turned,
            start + 0.85 * reach + 0.3 * swing * turned,
            end,
        ]
    )
    line = even(curve_through(knots, _STEP_MM).points_mm, _STEP_MM)
    wide = size(f"feeder_{number}_diameter_mm")
    wide = min(wide, 1.9 * float(own.radius_mm[near]))
    wall = wall_way_mm(line, tapered_tube(own.line, own.radius_mm))
    radius = tapering(line, wide, 0.6 * wide)
    radius = radius * (1.0 + 0.12 * np.exp(-np.maximum(Curve(line).arc_mm - wall, 0.0) / wide))
    return Laid(name, own.name, "feeder", line, np.minimum(radius, 0.97 * float(own.radius_mm[near])))


def _inside(tumour: Field) -> Points:
    """(K, 3) points well inside the tumour, a tenth of its size apart."""
    low, high = tumour.bounds_mm
    spacing = float((high - low).max()) / 18.0
    points = lattice(tumour.bounds_mm, spacing).points()
    depth = -tumour.distance(points)
    inside = points[depth > max(0.22 * float(depth.max()), 0.9)]
    return inside if len(inside) else points[[int(np.argmax(depth))]]
