"""The sacrum: five fused vertebrae on a curved axis, with wings, canal, foramina, crest and processes to carry L5.

Its frame: origin in the middle of the upper end-plate of S1, z that plate's outward normal, y forward, x right. Totals
(width, height, foramina) are published; how they are joined is constructed (sacrum.csv).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import Structure
from spineviz.data.assets import asset
from spineviz.data.once import once
from spineviz.data.tables import sourced_table
from spineviz.geometry.fields import Distances, Field, Points, box_bounds, capsule, in_box, round_cone, sphere
from spineviz.geometry.operators import _smooth_minimum, smooth_union

if TYPE_CHECKING:
    from spineviz.anatomy.column import Column

_STATIONS_MM = np.array([0.0, 15.0, 31.0, 56.0, 77.0, 94.0, 113.0])
"""Way along the axis: top of S1, its middle, then the lower ends of S1 to S5."""
_HEADING_DEG = np.array([4.0, 8.0, 13.0, 10.0, -6.0, -30.0, -58.0])
"""How far the axis points backward there (from straight down); negative is forward."""
_JUNCTIONS_MM = _STATIONS_MM[2:6]
"""Where two bodies have fused; a pair of foramina lies at each."""


def _along(values: list[float]) -> NDArray[np.float64]:
    """Values at the stations (7,) read at every millimetre of the axis."""
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(_STATIONS_MM, values)(np.arange(0.0, _STATIONS_MM[-1] + 0.5))


@dataclass(frozen=True, eq=False)
class _Profile:
    """Sizes at every millimetre of the axis, mm; "front" and "back" count from the axis forward."""

    body_half_width: NDArray[np.float64]
    body_half_depth: NDArray[np.float64]
    wing_half_width: NDArray[np.float64]
    wing_front: NDArray[np.float64]
    wing_back: NDArray[np.float64]
    canal_half_width: NDArray[np.float64]
    canal_half_depth: NDArray[np.float64]


@cache
def _value(name: str) -> float:
    return sourced_table(asset("anatomy", "sacrum.csv"))[name].value


@cache
def _profile() -> _Profile:
    half = _value("upper_endplate_width_mm") / 2
    deep = _value("upper_endplate_depth_mm") / 2
    wide = _value("width_mm") / 2
    canal_wide, canal_deep = _value("canal_width_at_S1_mm") / 2, _value("canal_depth_at_S1_mm") / 2
    return _Profile(
        body_half_width=_along([half, 0.87 * half, 0.74 * half, 15.0, 12.0, 10.0, 6.0]),
        body_half_depth=_along([deep, 0.88 * deep, 0.76 * deep, 9.5, 7.5, 6.0, 3.5]),
        wing_half_width=_along([0.93 * wide, wide, 0.97 * wide, 0.80 * wide, 0.61 * wide, 0.44 * wide, 10.0]),
        wing_front=_along([5.0, 8.0, 9.5, 7.5, 5.5, 4.0, 2.5]),
        wing_back=_along([-22.0, -25.0, -25.0, -20.0, -14.5, -10.0, -4.0]),
        canal_half_width=_along([canal_wide, 0.92 * canal_wide, 0.84 * canal_wide, 8.5, 6.5, 5.0, 4.0]),
        canal_half_depth=_along([canal_deep, 0.95 * canal_deep, 0.85 * canal_deep, 4.6, 3.4, 2.6, 2.0]),
    )


@cache
def axis_points() -> Points:
    """(114, 3) the middle of the bodies from the upper end-plate to the apex, a millimetre apart, sacrum frame."""
    from scipy.interpolate import PchipInterpolator

    way = np.arange(0.0, _STATIONS_MM[-1] + 0.5)
    heading = np.deg2rad(PchipInterpolator(_STATIONS_MM, _HEADING_DEG)(way))
    step = np.column_stack([np.zeros_like(way), -np.sin(heading), -np.cos(heading)])
    return np.concatenate([np.zeros((1, 3)), np.cumsum((step[:-1] + step[1:]) / 2, axis=0)])


@cache
def _forward() -> Points:
    """(114, 3) unit normals of the axis, to the front."""
    from scipy.interpolate import PchipInterpolator

    heading = np.deg2rad(PchipInterpolator(_STATIONS_MM, _HEADING_DEG)(np.arange(0.0, _STATIONS_MM[-1] + 0.5)))
    return np.column_stack([np.zeros_like(heading), np.cos(heading), -np.sin(heading)])


def at(way_mm: float, right_mm: float = 0.0, forward_mm: float = 0.0) -> NDArray[np.float64]:
    """(3,) the point at `way_mm` along the axis, offset to the right and forward, sacrum frame."""
    way = np.arange(len(axis_points()))
    point = np.array([np.interp(way_mm, way, axis_points()[:, i]) for i in range(3)])
    normal = np.array([np.interp(way_mm, way, _forward()[:, i]) for i in range(3)])
    return point + normal * forward_mm + np.array([right_mm, 0.0, 0.0])


@cache
def canal_centres() -> Points:
    """(K, 3) the middle of the sacral canal from S1 to the hiatus, sacrum frame."""
    profile = _profile()
    count = int(_value("hiatus_way_mm"))
    back = -(profile.body_half_depth + profile.canal_half_depth)[:count]
    return axis_points()[:count] + _forward()[:count] * back[:, None]


def canal_half_sizes_mm(way_mm: float) -> tuple[float, float]:
    """Half the width and half the depth of the canal at `way_mm` along the axis."""
    way = np.arange(len(axis_points()))
    profile = _profile()
    return (
        float(np.interp(way_mm, way, profile.canal_half_width)),
        float(np.interp(way_mm, way, profile.canal_half_depth)),
    )


def anterior_foramen(number: int, side: float) -> NDArray[np.float64]:
    """(3,) the middle of the anterior foramen of S`number` (1 to 4) on the right (`side` 1) or left (-1)."""
    way = float(_JUNCTIONS_MM[number - 1])
    index = round(way)
    out = _profile().body_half_width[index] + 4.5
    return at(way, side * out, float(_profile().wing_front[index]))


def foramen_fork(number: int) -> NDArray[np.float64]:
    """(3,) where the right foramen S`number` parts into a canal to the front and one to the back."""
    way = float(_JUNCTIONS_MM[number - 1])
    front = anterior_foramen(number, 1.0)
    return at(way - 2.0, float(front[0]) - 1.0, _canal_back_mm(way) * 0.55)


def foramen_mouth(number: int) -> NDArray[np.float64]:
    """(3,) where the right foramen S`number` leaves the sacral canal."""
    way = float(_JUNCTIONS_MM[number - 1])
    return at(way - 8.0 + number, canal_half_sizes_mm(way)[0] * 0.7, _canal_back_mm(way))


def station_mm(name: str, share: float) -> float:
    """The way along the axis at `share` (0 top, 1 bottom) of the sacral vertebra `name`, S1 to S5."""
    ends = (0.0, *_STATIONS_MM[2:])
    number = int(name[1:])
    return float(ends[number - 1] + share * (ends[number] - ends[number - 1]))


def _canal_back_mm(way_mm: float) -> float:
    """How far before the axis (so, negative) the middle of the canal lies."""
    profile = _profile()
    back = -(profile.body_half_depth + profile.canal_half_depth)
    return float(np.interp(way_mm, np.arange(len(back)), back))


class _Axial:
    """Way along the axis and distance before it for any point: a map over the mid plane, made once."""

    spacing_mm = 0.5
    low = np.array([-75.0, -130.0])
    high = np.array([45.0, 35.0])

    def __init__(self) -> None:
        from scipy.spatial import cKDTree

        axes = [np.arange(a, b + 0.1, self.spacing_mm) for a, b in zip(self.low, self.high, strict=True)]
        yy, zz = np.meshgrid(*axes, indexing="ij")
        points = np.column_stack([yy.ravel(), zz.ravel()])
        line, normal = axis_points()[:, 1:], _forward()[:, 1:]
        tangent = np.column_stack([normal[:, 1], -normal[:, 0]])  # downward along the axis
        _, near = cKDTree(line).query(points)
        offset = points - line[near]
        way = near + (offset * tangent[near]).sum(1)
        self.way = np.clip(way, -40.0, len(line) + 30.0).reshape(yy.shape)
        self.ahead = (offset * normal[near]).sum(1).reshape(yy.shape)

    def __call__(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from scipy.ndimage import map_coordinates

        index = ((points[:, 1:] - self.low) / self.spacing_mm).T
        return (
            map_coordinates(self.way, index, order=1, mode="nearest"),
            map_coordinates(self.ahead, index, order=1, mode="nearest"),
        )


@cache
def _axial() -> _Axial:
    return _Axial()


def _superellipse(
    x: NDArray, y: NDArray, half_x: NDArray | float, half_y: NDArray | float, power: float
) -> tuple[Distances, NDArray[np.float64]]:
    """First-order distances to a superellipse, and its own radius (1 on it)."""
    u, v = np.abs(x) / half_x, np.abs(y) / half_y
    value = (u**power + v**power) ** (1.0 / power)
    safe = np.maximum(value, 1e-6)
    slope = np.hypot((u / safe) ** (power - 1) / half_x, (v / safe) ** (power - 1) / half_y)
    return (value - 1.0) / np.maximum(slope, 1e-6), value


def _body(points: Points, way: NDArray, ahead: NDArray) -> tuple[Distances, Distances, Distances]:
    """The fused bodies, cut by the upper end-plate with its rim and its hollow; that end-plate (positive above it);
    and the bodies' side wall."""
    profile = _profile()
    held = np.clip(way, 0, len(profile.body_half_width) - 1)
    index = np.arange(len(profile.body_half_width))
    half_width, half_depth = (
        np.interp(held, index, profile.body_half_width),
        np.interp(held, index, profile.body_half_depth),
    )
    # above the end-plate the axis is straight: its own coordinates serve there
    side, value = _superellipse(points[:, 0], ahead, half_width, half_depth, 2.3)
    plate = points[:, 2] + _value("upper_endplate_concavity_mm") * np.clip(1.0 - value**2, 0.0, 1.0)
    out = -_smooth_minimum(-side, -plate, 1.6)
    return np.maximum(out, way - index[-1]), plate, side


@cache
def endplate_field() -> Field:
    """The body of S1 alone: what the lowest disc stands on."""

    def distance(p: Points) -> Distances:
        return _body(p, *_axial()(p))[0]

    return Field(distance, box_bounds([-30, -40, -60], [30, 25, 2]), exact=False)


@once
def uncarved() -> Field:
    """The whole sacrum before its joints with L5 are carved. Inexact."""
    profile = _profile()
    index = np.arange(len(profile.body_half_width))
    hiatus = _value("hiatus_way_mm")
    process = _superior_process()
    crest = _crest()
    foramina = _foramina()

    def distance(p: Points) -> Distances:
        way, ahead = _axial()(p)
        held = np.clip(way, 0, len(index) - 1)
        read = {
            name: np.interp(held, index, getattr(profile, name))
            for name in ("wing_half_width", "wing_front", "wing_back", "body_half_depth", "canal_half_width",
                         "canal_half_depth")
        }  # fmt: skip
        right = np.column_stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]])
        x = right[:, 0]
        body, plate, side = _body(p, way, ahead)
        middle = (read["wing_front"] + read["wing_back"]) / 2
        # the wing swings forward as it leaves the body, so that the pelvis' inlet is round
        swing = 5.0 * np.clip((x - 20.0) / 30.0, 0.0, 1.0) ** 1.5 * np.clip(1.0 - way / 60.0, 0.0, 1.0)
        thick = (read["wing_front"] - read["wing_back"]) / 2
        wing, _ = _superellipse(x, ahead - middle - swing, read["wing_half_width"], thick, 2.6)
        roof = (p[:, 2] + 3.0 + 0.30 * np.clip(x - 20.0, 0.0, None) - 0.12 * p[:, 1]) * 0.95
        wing = -_smooth_minimum(-wing, -roof, 11.0)
        wing = np.maximum(wing, way - (len(index) - 1))
        out = _smooth_minimum(body, wing, 8.0)

        canal_middle = -(read["body_half_depth"] + read["canal_half_depth"])
        canal, _ = _superellipse(x, ahead - canal_middle, read["canal_half_width"], read["canal_half_depth"], 2.2)
        wall = 4.6 - 1.4 * np.clip(way / hiatus, 0.0, 1.0)
        arch = np.maximum(canal - wall, np.maximum(9.0 - way, way - hiatus + 4.0))
        out = _smooth_minimum(out, arch, 4.0)
        out = _where_near(crest, right, out, lambda a, b: _smooth_minimum(a, b, 9.0), 10.0)
        out = _where_near(process, right, out, lambda a, b: _smooth_minimum(a, b, 5.0), 6.0)
        # wings and arch have swelled over the end-plate: lay it bare again
        out = -_smooth_minimum(-out, -_smooth_minimum(plate, 1.5 - side, 2.5), 1.0)
        # the canal: open above behind the body, open below at the hiatus
        room = np.maximum(canal, way - hiatus)
        room = np.where(way < 2.0, np.maximum(room, -(p[:, 1] - at(0.0)[1] + profile.body_half_depth[0] + 40.0)), room)
        out = -_smooth_minimum(-out, room, 1.5)
        for foramen in foramina:
            out = _where_near(foramen, right, out, lambda a, b: -_smooth_minimum(-a, b, 2.5), 3.5)
        return out

    wide = _value("width_mm") / 2 + 4.0
    low, high = axis_points().min(0), axis_points().max(0)
    return Field(distance, box_bounds([-wide, low[1] - 42.0, low[2] - 6.0], [wide, 24.0, high[2] + 32.0]), exact=False)


def _where_near(
    field: Field,
    points: Points,
    values: Distances,
    join: Callable[[Distances, Distances], Distances],
    reach_mm: float,
) -> Distances:
    """`join` of `values` with `field`, worked out only within `reach_mm` of the field's box."""
    low, high = field.bounds_mm
    near = np.flatnonzero(in_box(points, low - reach_mm, high + reach_mm))
    out = values.copy()
    out[near] = join(values[near], field.distance(points[near]))
    return out


def _crest() -> Field:
    """The median crest: four spinous tubercles on a ridge, and to the right a row of lateral ones."""
    profile = _profile()
    parts = []
    tops = []
    for way, radius in ((18.0, 4.8), (40.0, 5.0), (62.0, 4.2), (80.0, 3.2)):
        i = round(way)
        back = -(profile.body_half_depth[i] + 2 * profile.canal_half_depth[i] + 4.2)
        tops.append((at(way, 0.0, float(back)), radius))
        parts.append(sphere(tops[-1][0], radius))
    for (a, ra), (b, rb) in itertools.pairwise(tops):
        parts.append(round_cone(a, b, ra * 0.8, rb * 0.8))
    for way, out, radius in ((16.0, 36.0, 5.0), (38.0, 34.0, 5.0), (60.0, 28.0, 4.2), (80.0, 21.0, 3.4)):
        i = round(way)
        parts.append(sphere(at(way, out, float(profile.wing_back[i]) + 3.8), radius))
    return smooth_union(*parts, blend_mm=3.0)


def _foramina() -> list[Field]:
    """The four right canals for the roots: from the sacral canal out to the front, and a smaller one to the back."""
    profile = _profile()
    first = (_value("anterior_foramen_1_height_mm") + _value("anterior_foramen_1_width_mm")) / 4
    second = _value("anterior_foramen_2_height_mm") / 2
    back_first = (_value("posterior_foramen_1_height_mm") + _value("posterior_foramen_1_width_mm")) / 4
    front_radius = [first, second * 0.93, 4.6, 3.8]
    back_radius = [back_first, _value("posterior_foramen_2_height_mm") / 2, 2.9, 2.4]
    foramina = []
    for number, way in enumerate(_JUNCTIONS_MM):
        i = round(float(way))
        front = anterior_foramen(number + 1, 1.0)
        canal, fork = foramen_mouth(number + 1), foramen_fork(number + 1)
        outward = front + (front - fork) * 0.9 + np.array([3.0, 0.0, 0.0])
        radius = front_radius[number]
        back = at(float(way) - 1.0, float(front[0]) + 0.5, float(profile.wing_back[i]) - 5.0)
        foramina.append(
            smooth_union(
                round_cone(canal, fork, radius * 0.62, radius * 0.75),
                round_cone(fork, front, radius * 0.75, radius * 0.98),
                round_cone(front, outward, radius * 0.98, radius * 1.25),
                capsule(fork, back, back_radius[number]),
                blend_mm=1.5,
            )
        )
    return foramina


def _superior_process() -> Field:
    """The right process that faces the lower facet of L5: it stands on the wing and reaches that joint."""
    facet, normal = _joint_with_l5()
    bulb = facet + normal * 6.0
    root = np.array([bulb[0] + 1.5, bulb[1] - 0.5, -14.0])
    top = bulb + np.array([0.0, 0.0, 5.0])
    return smooth_union(
        round_cone(root, bulb, 8.5, 6.2),
        round_cone(bulb, top, 6.2, 4.6),
        blend_mm=2.0,
    )


@cache
def _joint_with_l5() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The right lower facet of L5 and its outward normal, standing, sacrum frame."""
    from spineviz.anatomy.column import below_from_above
    from spineviz.anatomy.vertebra import vertebra

    sacrum_from_l5 = below_from_above("L5").inverse()
    marks = vertebra("L5").landmarks
    return sacrum_from_l5.point(marks["inferior-facet-right"]), sacrum_from_l5.vector(
        marks["inferior-facet-right-normal"]
    )


def sacrum_structure(column: Column) -> Structure:
    """The sacrum standing below L5, as a Structure ("sacrum", role "bone")."""
    from spineviz.anatomy.bones import bone

    return bone(column, "sacrum")
