"""Intervertebral discs: what lies between two end-plates, whatever the posture and the fracture do to them.

A disc follows the real surfaces of its two neighbours. Each end-plate is read off its bone once, as heights over a
polar raster in the end-plate's own frame; a disc is then the ruled body between two such sheets wherever they stand,
so it stays continuous while the vertebra above moves or the treated body gives way.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import SACRUM, Column, Deformation, endplates, level_below
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.once import once
from spineviz.data.tables import sourced_table
from spineviz.geometry.fields import Distances, Field, Points, box_bounds
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.geometry.operators import moved

_AROUND = 72
"""Directions of the polar raster."""
_OUTWARD = 9
"""Rings of the polar raster, the middle left out."""
_WALL = 5
"""Rings of the annulus' side between the two sheets."""
_FEWER_FROM_MM, _FEWEST_FROM_MM = 1.4, 2.8
"""Who asks for a surface of such spacing gets every fourth ring of its sheets, which lie on bone, and every second of
its side; and from the latter on every second direction."""
_SEARCH_MM = (-9.0, 4.0)
"""Where an end-plate's surface is looked for along its outward normal."""
_KEPT = 24
"""Discs kept in memory: all in view, and the few that a moving vertebra leaves behind."""


def disc_name(upper: str) -> str:
    """The name of the disc below `upper`: "disc-T12-L1", "disc-L5-S1"."""
    below = level_below(upper)
    if below is None:
        raise RequestError(f"no disc lies below {upper}")
    return f"disc-{upper}-{'S1' if below == SACRUM else below}"


@cache
def _joint(name: str) -> float:
    return sourced_table(asset("anatomy", "joints.csv"))[name].value


def _bisected(field: Field, inside: Points, outside: Points, rounds: int = 16) -> NDArray[np.float64]:
    """(N,) share of the way from `inside` to `outside` at which `field` turns positive."""
    low, high = np.zeros(len(inside)), np.ones(len(inside))
    for _ in range(rounds):
        middle = (low + high) / 2
        within = field.distance(inside + middle[:, None] * (outside - inside)) < 0
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return (low + high) / 2


@once
def endplate_sheet(level: str, upper: bool) -> Points:
    """(1 + rings * directions, 3) points of an end-plate of `level` on its bone's surface, in the vertebra's frame, mm.

    The middle first, then ring after ring outward, each from the right by way of the front. The outermost ring lies on
    the rim's flank, `disc_rim_depth_mm` (joints.csv) below the rim plane.
    """
    if level == SACRUM:
        from spineviz.anatomy.sacrum import endplate_field

        body = endplate_field()
    else:
        from spineviz.anatomy.vertebra import vertebra

        body = vertebra(level).body
    plate = endplates(level)[0 if upper else 1]
    outward = 1.0 if upper else -1.0  # both frames look up; the lower plate's outside is below
    angle = np.linspace(0.0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(_AROUND)])
    depth = np.array([0.0, 0.0, -outward * _joint("disc_rim_depth_mm")])
    share = _bisected(body, plate.points(5.0 * ring + 6.0 * depth), plate.points(40.0 * ring + 6.0 * depth))
    near = 5.0 + share * 35.0  # the waist below the rim, surely inside
    start, end = (0.8 * near)[:, None] * ring + depth, (near + 4.0)[:, None] * ring + depth
    # walk inward from outside to the last crossing: the flank of the rim
    steps = np.linspace(1.0, 0.0, 40)
    on_the_way = start + steps[:, None, None] * (end - start)
    inside = body.distance(plate.points(on_the_way.reshape(-1, 3))).reshape(len(steps), -1) < 0
    first = np.argmax(inside, axis=0)
    far, back = steps[np.maximum(first - 1, 0)], steps[first]
    run = end - start
    share = _bisected(body, plate.points(start + back[:, None] * run), plate.points(start + far[:, None] * run))
    rim = start + (back + share * (far - back))[:, None] * run
    radius = np.hypot(rim[:, 0], rim[:, 1])
    shares = np.linspace(0.0, 1.0, _OUTWARD + 1)[1:-1]
    flat = np.concatenate([np.zeros((1, 3)), *[s * radius[:, None] * ring for s in shares]])
    low, high = flat.copy(), flat.copy()
    low[:, 2], high[:, 2] = outward * _SEARCH_MM[0], outward * _SEARCH_MM[1]
    share = _bisected(body, plate.points(low), plate.points(high))
    flat[:, 2] = outward * (_SEARCH_MM[0] + share * (_SEARCH_MM[1] - _SEARCH_MM[0]))
    return plate.points(np.concatenate([flat, rim]))


@dataclass(frozen=True, eq=False)
class Disc:
    """One disc in its own frame (middle of the disc, z up).

    Attributes:
        above, below: (1 + rings * directions, 3) the sheets on the two end-plates.
    """

    above: Points
    below: Points

    def mesh(self, spacing_mm: float = 1.2) -> Mesh:
        """The closed surface. Its vertices are those of the sheets, of which a coarser one leaves some out."""
        if spacing_mm < _FEWER_FROM_MM:
            return self._surface
        return self._fewer if spacing_mm < _FEWEST_FROM_MM else self._fewest

    @cached_property
    def _surface(self) -> Mesh:
        return self._meshed(_raster(1, 1, 1))

    @cached_property
    def _fewer(self) -> Mesh:
        return self._meshed(_raster(1, 4, 2))

    @cached_property
    def _fewest(self) -> Mesh:
        return self._meshed(_raster(2, 4, 2))

    def _meshed(self, raster: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Mesh:
        chosen, triangles = raster
        wall = [self.side(share) for share in np.linspace(0.0, 1.0, _WALL + 2)[1:-1]]
        return Mesh(np.concatenate([self.below, self.above, *wall])[chosen], triangles)

    def side(self, share: float) -> Points:
        """(directions, 3) the annulus at `share` of its height, from the lower sheet (0) to the upper (1)."""
        low, high = self.below[-_AROUND:], self.above[-_AROUND:]
        bulge = 4.0 * share * (1.0 - share) * self.bulge_mm
        return (1.0 - share) * low + share * high + bulge[:, None] * self.outward

    @property
    def outward(self) -> Points:
        """(directions, 3) horizontal unit normals of the annulus."""
        rim = (self.below[-_AROUND:] + self.above[-_AROUND:]) / 2
        along = np.roll(rim, -1, axis=0) - np.roll(rim, 1, axis=0)
        out = np.column_stack([along[:, 1], -along[:, 0], np.zeros(_AROUND)])
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)

    @property
    def bulge_mm(self) -> NDArray[np.float64]:
        """(directions,) how far the annulus stands out at half its height; never more than a third of that height."""
        behind = np.clip(-self.outward[:, 1], 0.0, 1.0) ** 2
        wanted = _joint("disc_bulge_mm") * (1 - behind) + _joint("disc_bulge_behind_mm") * behind
        height = np.linalg.norm(self.above[-_AROUND:] - self.below[-_AROUND:], axis=1)
        return np.minimum(wanted, height / 3.0)

    def height_mm(self) -> float:
        """The height in the disc's middle, bone to bone."""
        return float(np.linalg.norm(self.above[0] - self.below[0]))

    def field(self) -> Field:
        """The disc as a field. Inexact."""
        return self._fields[0]

    def nucleus(self) -> Field:
        """The nucleus: the disc's core, a little behind its middle. Inexact."""
        return self._fields[1]

    @cached_property
    def _fields(self) -> tuple[Field, Field]:
        room = np.concatenate([self.above, self.below])
        reach = _joint("disc_bulge_mm")
        margin = np.array([reach, reach, 0.0])
        bounds = box_bounds(room.min(0) - margin, room.max(0) + margin)
        rim = (self.below[-_AROUND:] + self.above[-_AROUND:]) / 2
        centre = np.array([0.0, rim[:, 1].mean(), 0.0])
        half_width, half_depth = np.ptp(rim[:, 0]) / 2, np.ptp(rim[:, 1]) / 2
        made: list = []

        def maps() -> list:
            if not made:
                made.extend(self._maps(rim, centre))
            return made

        def parts(p: Points) -> tuple[Distances, Distances, Distances]:
            origin, spacing, tops, bottoms, angle, radius, bulge = maps()
            top, bottom = _looked_up(p, origin, spacing, tops), _looked_up(p, origin, spacing, bottoms)
            half = np.maximum((top - bottom) / 2, 0.05)
            share = (p[:, 2] - (top + bottom) / 2) / half
            around = np.arctan2(p[:, 1] - centre[1], p[:, 0])
            out = np.hypot(p[:, 0], p[:, 1] - centre[1]) - np.interp(around, angle, radius)
            out = out - np.interp(around, angle, bulge) * np.clip(1.0 - share**2, 0.0, 1.0)
            return share, half, out

        def distance(p: Points) -> Distances:
            share, half, out = parts(p)
            flat = (np.abs(share) - 1.0) * half
            return np.where(
                (flat > 0) & (out > 0), np.hypot(np.maximum(flat, 0), np.maximum(out, 0)), np.maximum(flat, out)
            )

        def nucleus(p: Points) -> Distances:
            share, half, out = parts(p)
            size = _joint("nucleus_share")
            back = centre[1] - 2 * half_depth * _joint("nucleus_behind_share")
            flat = np.hypot(p[:, 0] / (size * half_width), (p[:, 1] - back) / (size * half_depth))
            # superelliptic in section: flat towards the end-plates, round at its side
            value = (flat**3 + np.abs(share / _joint("nucleus_height_share")) ** 3) ** (1 / 3)
            return np.maximum((value - 1.0) * half, out + 2.0)

        return Field(distance, bounds, exact=False), Field(nucleus, bounds, exact=False)

    def _maps(self, rim: Points, centre: Points) -> tuple:
        """Heights of both sheets over a square raster, and the outline by direction."""
        spacing = 1.0
        reach = 3.0
        low = np.minimum(self.above[:, :2].min(0), self.below[:, :2].min(0)) - reach
        high = np.maximum(self.above[:, :2].max(0), self.below[:, :2].max(0)) + reach
        shape = (np.ceil((high - low) / spacing) + 1).astype(int)
        heights = [_heights(sheet, low, spacing, shape) for sheet in (self.above, self.below)]
        around = np.arctan2(rim[:, 1] - centre[1], rim[:, 0])
        order = np.argsort(around)
        angle = np.concatenate([around[order] - 2 * np.pi, around[order], around[order] + 2 * np.pi])
        radius = np.tile(np.hypot(rim[:, 0], rim[:, 1] - centre[1])[order], 3)
        return low, spacing, heights[0], heights[1], angle, radius, np.tile(self.bulge_mm[order], 3)


def _heights(sheet: Points, low: NDArray, spacing_mm: float, shape: NDArray[np.int64]) -> NDArray[np.float64]:
    """The height of `sheet` (N, 3) over a raster of `shape` nodes from `low` (2,): on its triangles, and beside them
    that of the nearest point."""
    from scipy.spatial import cKDTree

    corners = sheet[_fan_and_rings(0, _rings(1, 1))]
    xy = (corners[:, :, :2] - low) / spacing_mm
    first = np.floor(xy.min(1)).astype(int)
    reach = (np.ceil(xy.max(1)).astype(int) - first).max(1) + 1
    out = np.full(shape, np.nan)
    for most in np.unique(reach):  # large triangles are few: the small ones need not look so far
        _lay_heights(out, xy[reach == most], corners[reach == most, :, 2], first[reach == most], int(most))
    beside = np.argwhere(np.isnan(out))
    out[tuple(beside.T)] = sheet[cKDTree(sheet[:, :2]).query(low + spacing_mm * beside)[1], 2]
    return out


def _lay_heights(out: NDArray, xy: NDArray, z: NDArray, first: NDArray[np.int64], most: int) -> None:
    """Write heights into the nodes of `out` that triangles cover, given by their corners' places `xy` (T, 3, 2) in
    steps and heights `z` (T, 3); of each the `most` by `most` nodes from `first` (T, 2) on are looked at."""
    steps = np.stack(np.meshgrid(np.arange(most), np.arange(most), indexing="ij"), axis=-1).reshape(-1, 2)
    nodes = first[:, None, :] + steps
    # how much of each corner a node has: the areas over against it
    a, b = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    off = nodes - xy[:, None, 0]
    safe = np.where(np.abs(area) > 1e-12, area, np.inf)[:, None]
    second = (off[..., 0] * b[:, None, 1] - off[..., 1] * b[:, None, 0]) / safe
    third = (a[:, None, 0] * off[..., 1] - a[:, None, 1] * off[..., 0]) / safe
    within = (second >= -1e-9) & (third >= -1e-9) & (second + third <= 1.0 + 1e-9) & np.isfinite(safe)
    heights = z[:, None, 0] + second * (z[:, 1] - z[:, 0])[:, None] + third * (z[:, 2] - z[:, 0])[:, None]
    out[tuple(nodes[within].T)] = heights[within]


def _looked_up(p: Points, origin: NDArray, spacing_mm: float, values: NDArray) -> NDArray[np.float64]:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, ((p[:, :2] - origin) / spacing_mm).T, order=1, mode="nearest")


def _fan_and_rings(middle: int, rings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The triangles of a sheet: a point in the middle, and rings round it."""
    first = rings[0]
    fan = np.stack([np.full(len(first), middle), first, np.roll(first, -1)], axis=1)
    return np.concatenate([fan, *[_band(inner, outer)[:, ::-1] for inner, outer in itertools.pairwise(rings)]])


def _band(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """The triangles between two rings, the lower one first, seen from outside."""
    after, above = np.roll(low, -1), np.roll(high, -1)
    return np.concatenate([np.stack([low, above, high], 1), np.stack([low, after, above], 1)])


def _rings(around: int, outward: int) -> list[NDArray[np.int64]]:
    """The points of a sheet in every `outward`th ring, the outermost one of them, and every `around`th direction."""
    here = np.arange(0, _AROUND, around)
    return [1 + ring * _AROUND + here for ring in (*range(outward - 1, _OUTWARD - 1, outward), _OUTWARD - 1)]


@cache
def _raster(around: int, outward: int, wall: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which points of both sheets and the side make the surface of a disc, every `around`th direction, `outward`th ring
    and `wall`th ring of the side, and its triangles (M, 3) of these; the same for every disc."""
    count, here = 1 + _OUTWARD * _AROUND, np.arange(0, _AROUND, around)
    sheet = _rings(around, outward)
    side = [2 * count + ring * _AROUND + here for ring in range(wall - 1, _WALL, wall)]
    rings = [sheet[-1], *side, count + sheet[-1]]
    bands = [_band(low, high) for low, high in itertools.pairwise(rings)]
    plate = _fan_and_rings(0, sheet)
    whole = np.concatenate([plate[:, ::-1], count + plate, *bands])
    chosen, triangles = np.unique(whole, return_inverse=True)
    return chosen, triangles.reshape(-1, 3).astype(np.int64)


_discs: OrderedDict[str, Disc] = OrderedDict()


def _world_from_disc(column: Column, upper: str, lower: str) -> Frame:
    """Midway between the healthy end-plates."""
    above = column.world_from_vertebra(upper) @ endplates(upper)[1]
    below = column.world_from_vertebra(lower) @ endplates(lower)[0]
    z = above.rotation[:, 2] + below.rotation[:, 2]
    z = z / np.linalg.norm(z)
    x = above.rotation[:, 0] - (above.rotation[:, 0] @ z) * z
    x = x / np.linalg.norm(x)
    return Frame(np.stack([x, np.cross(z, x), z], axis=1), (above.origin_mm + below.origin_mm) / 2)


def disc(
    column: Column, upper: str, deformation: Deformation | None = None, deformation_key: str = ""
) -> tuple[Disc, Frame]:
    """The disc below `upper` and its world frame.

    Args:
        column: the posture.
        upper: the vertebra above, T1 to L5.
        deformation: healthy points of the treated vertebra to fractured ones, in its frame; used where the treated
            vertebra is one of the two neighbours.
        deformation_key: names it (unused here; see `disc_structure`).
    """
    lower = level_below(upper)
    if lower is None:
        raise RequestError(f"no disc lies below {upper}")
    world_from_disc = _world_from_disc(column, upper, lower)
    disc_from_world = world_from_disc.inverse()

    def sheet(level: str, is_upper: bool) -> Points:
        points = endplate_sheet(level, is_upper)
        if deformation is not None and level == column.treated:
            points = deformation(points)
        return (disc_from_world @ column.world_from_vertebra(level)).points(points)

    return Disc(sheet(upper, False), sheet(lower, True)), world_from_disc


def disc_structure(
    column: Column, upper: str, deformation: Deformation | None = None, deformation_key: str = ""
) -> Structure:
    """The disc below `upper` as a Structure: role "disc", material "disc", its nucleus as the core.

    Arguments as `disc`; `deformation_key` goes into the key where the deformation moves one of its end-plates. A disc
    whose key was met lately is not made again.
    """
    lower = str(level_below(upper))
    touched = deformation is not None and _moves_endplate(column, upper, lower, deformation)
    key = f"{disc_name(upper)}|{column.relative_key(upper, lower)}|{deformation_key if touched else ''}"
    world_from_disc = _world_from_disc(column, upper, lower)
    shape = remembered(_discs, key, lambda: disc(column, upper, deformation)[0], _KEPT)
    return Structure(
        name=disc_name(upper),
        role="disc",
        material="disc",
        field=moved(shape.field(), world_from_disc),
        mesh=shape.mesh,
        key=key,
        rank=RANKS["disc"],
        world_from_local=world_from_disc,
        core=moved(shape.nucleus(), world_from_disc),
        core_material="disc",
    )


def _moves_endplate(column: Column, upper: str, lower: str, deformation: Deformation) -> bool:
    """Whether `deformation` of the treated vertebra changes the disc between `upper` and `lower`."""
    if column.treated not in (upper, lower):
        return False
    sheet = endplate_sheet(column.treated, column.treated == lower)
    return bool(np.abs(deformation(sheet) - sheet).max() > 1e-9)


def discs(
    column: Column, levels: Sequence[str], deformation: Deformation | None = None, deformation_key: str = ""
) -> dict[str, Structure]:
    """Every disc with both its neighbours in `levels`, by name. Arguments as `disc_structure`."""
    view = set(levels)
    return {
        disc_name(level): disc_structure(column, level, deformation, deformation_key)
        for level in levels
        if level != SACRUM and level_below(level) in view
    }
