"""Incisions in the skin of the back, and the muscles that are parted for a needle or detached and held aside.

An incision runs along the spine and opens like a lens: its outline lies on the skin, its wall shows skin, fat and the
sheet over the muscles. For a needle the fibres of the muscle beside the spine are parted, as a slit that closes a
little way above and below; for open surgery the muscle is taken off spinous processes and laminae and slides aside
along the skin. That way each slice of it is only shifted, so it keeps its volume.

Everything is told in the trunk's own frame (x right, y forward, z along the trunk). Sizes lie in
assets/anatomy/incision.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.trunk import SQUARENESS, Sections, Strand, Trunk, lofted
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import sourced_table
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Distances, Field, Points, Vector, as_vector, box_bounds, unit
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import moved

_FURROW_HALF_WIDTH_MM = 20.0
_ABOVE_MM = 30.0
"""How far outside the skin a wound is still open."""
_ROW_MM = 6.0
"""Rows of the skin's surface lie so far apart where nothing is cut."""
_UNDER_SHEET_MM = 5.0
"""So deep under the sheet over the muscles the room behind them is as wide as it gets."""
_SIDES = 120
"""Points round a muscle: eight to a bundle of fibres."""


@cache
def sizes() -> dict[str, float]:
    """Name -> value of assets/anatomy/incision.csv (mm and shares)."""
    return {name: row.value for name, row in sourced_table(asset("anatomy", "incision.csv")).items()}


def back_y(skin: Sections, x: ArrayLike, z: ArrayLike, furrow: bool = True) -> NDArray[np.float64]:
    """Where the skin of the back lies at `x` and `z` (N,) of the trunk's frame, y in mm; beyond the flank its edge.

    Without `furrow` the midline's furrow is left out.
    """
    x, z = np.broadcast_arrays(np.asarray(x, float), np.asarray(z, float))
    held = np.clip(z, skin.z_mm[0], skin.z_mm[-1])
    width, behind = skin.at(held, "half_width"), skin.at(held, "behind")
    out = -behind * np.maximum(1.0 - np.minimum(np.abs(x) / width, 1.0) ** SQUARENESS, 0.0) ** (1.0 / SQUARENESS)
    if furrow:
        deep, outline = skin.at(held, "furrow") * np.exp(-((x / _FURROW_HALF_WIDTH_MM) ** 2)), out.copy()
        for _ in range(12):  # the furrow's reach depends on y itself, weakly
            share = np.clip(-out / behind, 0.0, 1.0)
            out = outline + deep * share * share * (3.0 - 2.0 * share)
    return np.asarray(skin.at(held, "middle_y") + out)


@dataclass(frozen=True, eq=False)
class Incision:
    """One cut along the spine, open or still closed; trunk's frame, mm.

    Attributes:
        trunk: whose skin is cut.
        aside_mm: to the right of the midline.
        low_mm, high_mm: heights of its two ends.
        gape_mm: between its edges at the middle.
        roundness: exponent of its outline, 2 and more.
        under_mm: the wound's floor lies so far in front of the laminae; None: it ends at the sheet over the muscles.
    """

    trunk: Trunk
    aside_mm: float
    low_mm: float
    high_mm: float
    gape_mm: float
    roundness: float = 2.0
    under_mm: float | None = None

    @property
    def key(self) -> str:
        """Equal keys, equal wounds in equal trunks."""
        deep = "fascia" if self.under_mm is None else f"{self.under_mm:g}"
        return f"{self.aside_mm:.2f}-{self.low_mm:.2f}-{self.high_mm:.2f}-{self.gape_mm:.2f}-{deep}"

    @property
    def edge_mm(self) -> float:
        """How thick its wall is drawn in its own colour: thinner in a small cut."""
        return min(sizes()["edge_mm"], 0.2 * self.gape_mm)

    def ease(self, z: ArrayLike) -> NDArray[np.float64]:
        """1 at the middle to 0 at both ends and beyond."""
        half = (self.high_mm - self.low_mm) / 2
        u = np.abs(np.asarray(z, float) - (self.low_mm + self.high_mm) / 2) / half
        return np.asarray(1.0 - np.minimum(u, 1.0) ** self.roundness)

    def half_gape(self, z: ArrayLike) -> NDArray[np.float64]:
        """Half the way between the edges at heights `z` (N,), mm; 0 beyond the ends."""
        return 0.5 * self.gape_mm * self.ease(z)

    def line(self, step_mm: float = 0.5) -> Curve:
        """The closed cut on the skin, from its lower end to its upper one, world frame."""
        z = np.linspace(self.low_mm, self.high_mm, max(3, int((self.high_mm - self.low_mm) / step_mm) + 1))
        return Curve(self._on_skin(np.full_like(z, self.aside_mm), z))

    def rows(self) -> NDArray[np.float64]:
        """Heights at which its surfaces are drawn: closer together at the ends, where the outline is round."""
        turn = np.linspace(0.0, np.pi, 13 if self.under_mm is None else 61)
        return (self.low_mm + self.high_mm) / 2 - (self.high_mm - self.low_mm) / 2 * np.cos(turn)

    def outline(self, count: int = 60) -> tuple[Curve, Curve]:
        """The right and the left edge of the opening on the skin, from below upward, world frame."""
        z = np.linspace(self.low_mm, self.high_mm, count)
        half = self.half_gape(z)
        return Curve(self._on_skin(self.aside_mm + half, z)), Curve(self._on_skin(self.aside_mm - half, z))

    def length_mm(self) -> float:
        """How long the cut is, measured along the skin."""
        return self.line().length_mm

    def opening_mm(self) -> float:
        """How wide it gapes, measured between its edges."""
        right, left = (edge.points_mm for edge in self.outline(61))
        return float(np.linalg.norm(right - left, axis=1).max())

    def middle(self) -> Vector:
        """(3,) the middle of the cut on the skin, world frame."""
        z = np.array([(self.low_mm + self.high_mm) / 2])
        return self._on_skin(np.array([self.aside_mm]), z)[0]

    def _on_skin(self, x: NDArray[np.float64], z: NDArray[np.float64]) -> Points:
        return self.trunk.world_from_trunk.points(np.column_stack([x, back_y(self.trunk.skin, x, z), z]))

    # depths -----------------------------------------------------------------------------------------------------------

    def fascia_mm(self, z: ArrayLike) -> NDArray[np.float64]:
        """How deep under the skin of its edge the sheet over the muscles ends, mm."""
        skin = self.trunk.skin
        # in the furrow the skin lies nearer to the sheet
        edge = abs(self.aside_mm) + self.half_gape(z)
        near = back_y(skin, edge, z) - back_y(skin, edge, z, furrow=False)
        fat = np.maximum(skin.at(np.asarray(z, float), "fat") - near, sizes()["skin_mm"] + 1.5)
        return np.asarray(fat + sizes()["fascia_mm"])

    def floor_mm(self, z: ArrayLike) -> NDArray[np.float64]:
        """How deep under the skin of its edge the wound ends, mm; 0 at its ends."""
        top, open_here = self.fascia_mm(z), np.minimum(1.0, 1.8 * self.ease(z))
        if self.under_mm is None:
            return np.asarray(top * open_here)
        erector = self.trunk.muscles["erector"]
        lamina = np.interp(np.asarray(z, float), erector.z_mm, erector.y + erector.b)
        return np.asarray((lamina + self.under_mm - back_y(self.trunk.skin, self.aside_mm, z)) * open_here)

    def _wall_mm(self, z: ArrayLike) -> NDArray[np.float64]:
        """How thick the wall is drawn at `z`: nothing at the ends."""
        return np.asarray(self.edge_mm * np.sqrt(self.ease(z)))

    def _inner(self, z: NDArray[np.float64], deep_mm: ArrayLike) -> NDArray[np.float64]:
        """Half the way between the walls `deep_mm` (N,) under the skin: a wide wound narrows downward."""
        slope = sizes()["slope"] * min(1.0, self.gape_mm / sizes()["open_gape_mm"]) * np.sqrt(self.ease(z))
        return np.asarray(np.maximum(self.half_gape(z) - slope * np.maximum(deep_mm, 0.0), 0.0))

    def _wide(self, z: ArrayLike) -> NDArray[np.float64]:
        """Half the width of the room under the sheet, behind the muscles that are held aside; where the floor rises to
        the wound's ends and lies above the sheet, that of the opening."""
        aside = sizes()["muscle_aside_mm"] * min(1.0, self.gape_mm / sizes()["open_gape_mm"])
        under = np.clip((self.floor_mm(z) - self.fascia_mm(z)) / _UNDER_SHEET_MM, 0.0, 1.0)
        return np.asarray(self.half_gape(z) + aside * np.minimum(1.0, 2.0 * self.ease(z)) * under)

    def _at(self, p: Points) -> tuple[Distances, Distances, Distances]:
        """Of points (N, 3) of the trunk's frame: the way from the cut's line aside, the depth under the skin of the
        nearest edge, and how far beyond an end they lie."""
        x, y, z = p.T
        across = x - self.aside_mm
        nearest = np.clip(across, -self.half_gape(z), self.half_gape(z))
        deep = y - back_y(self.trunk.skin, self.aside_mm + nearest, z)
        return np.abs(across), deep, np.maximum(self.low_mm - z, z - self.high_mm)

    def _bounds(self) -> NDArray[np.float64]:
        z = np.linspace(self.low_mm, self.high_mm, 33)
        wide = float((self._wide(z) if self.under_mm is not None else self.half_gape(z)).max()) + 4.0
        back = back_y(self.trunk.skin, self.aside_mm, z)
        deepest = float((back + self.floor_mm(z)).max())
        return box_bounds(
            [self.aside_mm - wide, float(back.min()) - _ABOVE_MM, self.low_mm - 1.0],
            [self.aside_mm + wide, deepest + 4.0, self.high_mm + 1.0],
        )

    # shapes -----------------------------------------------------------------------------------------------------------

    def room(self) -> Field:
        """Where there is nothing: from the opening in the skin down to the floor, trunk's frame. Inexact."""

        def distance(p: Points) -> Distances:
            across, deep, beyond = self._at(p)
            half, floor, top = self.half_gape(p[:, 2]), self.floor_mm(p[:, 2]), self.fascia_mm(p[:, 2])
            # the two parts of a deep wound overlap, or a film would be left between them
            low = np.minimum(top if self.under_mm is None else top + 2.0, floor)
            upper = np.max([across - half, deep - low, -deep - _ABOVE_MM, beyond], axis=0)
            if self.under_mm is None:
                return np.asarray(upper)
            lower = np.max([across - self._wide(p[:, 2]), deep - floor, top - deep, beyond], axis=0)
            return np.minimum(upper, lower)

        return Field(distance, self._bounds(), exact=False)

    def profile(self, z: float) -> Points:
        """The cut in the skin's own surface at height `z`, (10, 3) points from the left edge down, across and up to the
        right one, trunk's frame; at the ends and beyond all lie on one point of the skin."""
        half, floor = float(self.half_gape(z)), float(self.floor_mm(z))
        top = min(float(self.fascia_mm(z)), floor)
        edge = half + 0.7 * float(self._wall_mm(z))  # the wall's own layers line the opening
        wide = float(self._wide(z)) if self.under_mm is not None and half > 0.0 else edge
        left = [(-edge, 0.0), (-edge, top), (-wide, top), (-wide, (top + floor) / 2), (-wide, floor)]
        path = np.array([*left, *((-x, deep) for x, deep in reversed(left))])
        skin = back_y(self.trunk.skin, self.aside_mm + np.sign(path[:, 0]) * edge, z)
        return np.column_stack([self.aside_mm + path[:, 0], skin + path[:, 1], np.full(len(path), z)])

    def layers(self, prefix: str) -> dict[str, Structure]:
        """The wall of the opening, "PREFIX-skin", "PREFIX-fat" and "PREFIX-fascia", and of a deep wound the sheet's
        underside beside it, "PREFIX-lining", and its floor, "PREFIX-bed", world frame."""
        skin, sheet = sizes()["skin_mm"], sizes()["fascia_mm"]

        def fat_mm(z: NDArray[np.float64]) -> NDArray[np.float64]:
            return self.fascia_mm(z) - sheet

        def skin_mm(z: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.full_like(z, skin)

        out = [
            # a hair above the skin, so that the cut edge shows as a line on it
            self._layer(f"{prefix}-skin", "muscle", "muscle", lambda z: np.full_like(z, -0.25), skin_mm),
            self._layer(f"{prefix}-fat", "fat", "adipose", skin_mm, fat_mm),
            self._layer(f"{prefix}-fascia", "ligament", "muscle", fat_mm, self.fascia_mm),
        ]
        if self.under_mm is not None:
            out += [self._lining(f"{prefix}-lining"), self._bed(f"{prefix}-bed")]
        return {structure.name: structure for structure in out}

    def _structure(self, name: str, role: str, material: str, field: Field, make: Callable[[], Mesh]) -> Structure:
        inner, made = self.trunk.world_from_trunk, cache(make)
        return Structure(
            name, role, material, moved(field, inner), lambda spacing_mm: made(), f"{name}-{self.trunk.key}-{self.key}",
            RANKS["muscle"] - 1, inner,
        )  # fmt: skip

    def _layer(self, name: str, role: str, material: str, top: _Depth, bottom: _Depth) -> Structure:
        """One layer of both walls, from `top` to `bottom` under the skin."""

        def distance(p: Points) -> Distances:
            across, deep, beyond = self._at(p)
            z = p[:, 2]
            half, low = self.half_gape(z), np.minimum(bottom(z), self.floor_mm(z))
            beside = np.maximum(self._inner(z, deep) - across, across - half - self._wall_mm(z))
            return np.max([beside, deep - low, np.minimum(top(z), low) - deep, beyond], axis=0)

        def make() -> Mesh:
            z = self.rows()
            half, low = self.half_gape(z), np.minimum(bottom(z), self.floor_mm(z))
            high, outer = np.minimum(top(z), low), half + self._wall_mm(z)
            halves = []
            for sign in (-1.0, 1.0):
                path = [(self._inner(z, high), high), (outer, high), (outer, low), (self._inner(z, low), low)]
                if sign < 0.0:
                    path.reverse()
                edge = back_y(self.trunk.skin, self.aside_mm + sign * half, z)
                across = np.stack([aside for aside, _ in path], axis=1) * sign + self.aside_mm
                deep = edge[:, None] + np.stack([under for _, under in path], axis=1)
                halves.append(lofted(list(np.stack([across, deep, np.repeat(z[:, None], 4, axis=1)], axis=2))))
            return joined(*halves)

        return self._structure(name, role, material, Field(distance, self._bounds(), exact=False), make)

    def _bed_top(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """How deep the border of a deep wound's floor lies beside the muscles held aside, mm."""
        rise = sizes()["bed_rise_mm"] * np.minimum(1.0, 2.0 * self.ease(z))
        return np.maximum(self.floor_mm(z) - rise, 0.0)

    def _lining(self, name: str) -> Structure:
        """The sheet's underside from the opening to the muscles held aside, and its border down to them.

        It is drawn as thick as skin and reaches into the fat, so that no skin is told of down there.
        """

        def reach(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
            """Half the widths of opening, room and border, and the depths of upper side, underside and border."""
            floor, wide = self.floor_mm(z), self._wide(z)
            thick = sizes()["skin_mm"] * np.minimum(1.0, 2.0 * self.ease(z))
            under = np.minimum(self.fascia_mm(z), floor)
            low = np.maximum(np.minimum(self._bed_top(z), floor), under)
            return self.half_gape(z), wide, wide + thick, np.maximum(under - thick, 0.0), under, low

        def distance(p: Points) -> Distances:
            across, deep, beyond = self._at(p)
            half, wide, outer, high, under, low = reach(p[:, 2])
            shelf = np.maximum(half - across, deep - under)
            border = np.maximum(wide - across, deep - low)
            return np.max([np.minimum(shelf, border), across - outer, high - deep, beyond], axis=0)

        def make() -> Mesh:
            z = self.rows()
            half, wide, outer, high, under, low = reach(z)
            path = [(half, high), (outer, high), (outer, low), (wide, low), (wide, under), (half, under)]
            halves = []
            for sign, way in ((-1.0, path[::-1]), (1.0, path)):
                edge = back_y(self.trunk.skin, self.aside_mm + sign * half, z)
                across = np.stack([aside for aside, _ in way], axis=1) * sign + self.aside_mm
                deep = edge[:, None] + np.stack([down for _, down in way], axis=1)
                halves.append(lofted(list(np.stack([across, deep, np.repeat(z[:, None], len(way), axis=1)], axis=2))))
            return joined(*halves)

        return self._structure(name, "muscle", "muscle", Field(distance, self._bounds(), exact=False), make)

    def _bed(self, name: str) -> Structure:
        """Deep muscle that stays: the floor of a deep wound, and its border beside the muscles held aside."""

        def reach(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
            """Half the width outside and inside, and the depths of border, floor and what lies under it."""
            s, open_here = sizes(), np.minimum(1.0, 2.0 * self.ease(z))
            wide, floor = self._wide(z), self.floor_mm(z)
            top = self._bed_top(z)
            thick = s["bed_mm"] * open_here
            # it reaches into what lies round it, so that no skin is told of down there
            outer, under = wide + s["skin_mm"] * open_here, floor + s["skin_mm"] * open_here
            return outer, np.maximum(wide - thick, 0.0), top, np.maximum(floor - thick, top), under

        def distance(p: Points) -> Distances:
            across, deep, beyond = self._at(p)
            outer, inner, top, floor, under = reach(p[:, 2])
            hollow = np.maximum(across - inner, deep - floor)
            return np.max([across - outer, deep - under, -hollow, top - deep, beyond], axis=0)

        def make() -> Mesh:
            z = self.rows()
            outer, inner, top, floor, under = reach(z)
            back = back_y(self.trunk.skin, self.aside_mm + self.half_gape(z), z)
            across = np.stack([-outer, -inner, -inner, inner, inner, outer, outer, -outer], axis=1)
            deep = np.stack([top, top, floor, floor, top, top, under, under], axis=1) + back[:, None]
            return lofted(list(np.stack([across + self.aside_mm, deep, np.repeat(z[:, None], 8, axis=1)], axis=2)))

        return self._structure(name, "muscle", "muscle", Field(distance, self._bounds(), exact=False), make)


_Depth = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Heights (N,) -> mm under the skin."""


def midline_incision(trunk: Trunk, middle_mm: float, opened: float = 1.0) -> Incision:
    """The long cut of open surgery along the midline, its middle at height `middle_mm` of the trunk's frame, `opened`
    (0 to 1) of its way apart."""
    s = sizes()
    low, high = _ends(trunk, 0.0, middle_mm, s["open_length_mm"])
    return Incision(trunk, 0.0, low, high, s["open_gape_mm"] * opened, s["open_roundness"], s["under_mm"])


def nick(trunk: Trunk, skin_mm: ArrayLike, opened: float = 1.0) -> Incision:
    """The small cut at `skin_mm` (3,) world through which a needle passes, `opened` (0 to 1) of its way apart."""
    s = sizes()
    x, _, z = trunk.world_from_trunk.inverse().point(as_vector(skin_mm, "skin_mm"))
    low, high = _ends(trunk, float(x), float(z), s["nick_length_mm"])
    return Incision(trunk, float(x), low, high, s["nick_gape_mm"] * opened, s["nick_roundness"])


def _ends(trunk: Trunk, aside_mm: float, middle_mm: float, length_mm: float) -> tuple[float, float]:
    """The heights between which a cut round `middle_mm` is `length_mm` long on the skin."""
    z = np.linspace(middle_mm - length_mm, middle_mm + length_mm, 801)
    way = Curve(np.column_stack([np.zeros_like(z), back_y(trunk.skin, aside_mm, z), z])).arc_mm
    centre = float(np.interp(middle_mm, z, way))
    low, high = np.interp([centre - length_mm / 2, centre + length_mm / 2], way, z)
    return float(low), float(high)


# ---- the skin --------------------------------------------------------------------------------------------------------


def cut_skin(trunk: Trunk, incisions: Sequence[Incision]) -> Structure:
    """ "skin" of `trunk` with `incisions` in it, world frame.

    Raises RequestError where two of them lie side by side so near that they would run together.
    """
    cuts = sorted((cut for cut in incisions if cut.gape_mm > 0.0), key=lambda cut: cut.aside_mm)
    for left, right in pairwise(cuts):
        if left.aside_mm + left.gape_mm / 2 + 1.0 > right.aside_mm - right.gape_mm / 2:
            raise RequestError(f"incisions at {left.aside_mm:.1f} and {right.aside_mm:.1f} mm run together")
    whole = trunk.structures()["skin"]
    if not cuts:
        return whole
    inner = trunk.world_from_trunk
    rooms = [cut.room() for cut in cuts]

    def carved(field: Field) -> Field:
        def distance(p: Points) -> Distances:
            local = inner.inverse().points(p)
            return np.max([field.distance(p), *(-room.distance(local) for room in rooms)], axis=0)

        return Field(distance, field.bounds_mm, exact=False)

    core = whole.core
    made = cache(lambda: _cut_surface(trunk, cuts))
    key = "-".join(cut.key for cut in cuts)
    return Structure(
        "skin", "skin", "adipose", carved(whole.field), lambda spacing_mm: made(), f"skin-{trunk.key}-{key}",
        RANKS["skin"], inner, None if core is None else carved(core), "viscera",
    )  # fmt: skip


def _cut_surface(trunk: Trunk, cuts: Sequence[Incision]) -> Mesh:
    """The closed surface of the skin: rings that dip into each cut."""
    skin = trunk.skin
    rows = [np.arange(float(skin.z_mm[0]), float(skin.z_mm[-1]), _ROW_MM), skin.z_mm[-1:]]
    rows += [cut.rows() for cut in cuts]
    z = np.unique(np.round(np.concatenate(rows), 4))
    keep = np.concatenate([[True], np.diff(z) > 0.02])
    return _welded(lofted([_cut_ring(trunk, cuts, float(height)) for height in z[keep]]))


def _welded(mesh: Mesh) -> Mesh:
    """The same surface with points that coincide made one, and triangles without area left out."""
    _, first, which = np.unique(np.round(mesh.points_mm, 5), axis=0, return_index=True, return_inverse=True)
    a, b, c = which.reshape(-1)[mesh.triangles].T
    return Mesh(mesh.points_mm[first], np.column_stack([a, b, c])[(a != b) & (b != c) & (c != a)])


_AROUND, _BETWEEN = 104, 22
"""Points of a ring round the front, and between two cuts."""


def _cut_ring(trunk: Trunk, cuts: Sequence[Incision], z: float) -> Points:
    """One ring (N, 3) counter-clockwise seen from above, from the rightmost cut's right edge round to it again."""
    skin = trunk.skin
    profiles = [cut.profile(z) for cut in cuts]
    first, last = float(profiles[-1][-1, 0]), float(profiles[0][0, 0])
    turn = np.linspace(-np.pi / 2, 0.0, 200)
    # the directions from the axis, behind it, in which the two outermost edges lie
    half = skin.ring(z, turn)[:, 0]
    right, left = (float(np.sign(x) * np.interp(abs(x), half, turn + np.pi / 2)) - np.pi / 2 for x in (first, last))
    share = np.linspace(0.0, 1.0, _AROUND + 2)[1:-1]
    share = share - 0.11 * np.sin(2 * np.pi * share)  # closer together behind, where the furrow is
    left += 2 * np.pi
    ring = [skin.ring(z, right + (left - right) * share)]
    for before, after in zip([*profiles], [*profiles[1:], None], strict=True):
        ring.append(before)
        if after is not None:
            x = np.linspace(float(before[-1, 0]), float(after[0, 0]), _BETWEEN + 2)[1:-1]
            ring.append(np.column_stack([x, back_y(skin, x, z), np.full_like(x, z)]))
    return np.concatenate(ring)


# ---- the muscles -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Detached:
    """The muscles beside the spine taken off it and held aside, on both sides; trunk's frame.

    Attributes:
        trunk: whose muscles.
        middle_mm: the height at which they are held furthest aside.
        aside_mm: how far there.
        reach_mm: they are moved over so much above and below.
    """

    trunk: Trunk
    middle_mm: float
    aside_mm: float
    reach_mm: float

    @property
    def key(self) -> str:
        """Equal keys, equal muscles of equal trunks."""
        return f"aside-{self.middle_mm:.2f}-{self.aside_mm:.2f}-{self.reach_mm:.1f}"

    def moved_mm(self, z: ArrayLike) -> NDArray[np.float64]:
        """How far they are moved at heights `z` (N,): most at the middle, gently less to both ends."""
        u = np.minimum(np.abs(np.asarray(z, float) - self.middle_mm) / self.reach_mm, 1.0)
        return np.asarray(self.aside_mm * np.cos(0.5 * np.pi * u) ** 2)

    def forward(self, points_mm: Points) -> Points:
        """Where points (N, 3) of the muscle go: aside, and along the curve of the back. Each slice slides, so volume is
        kept."""
        return self._slid(points_mm, 1.0)

    def back(self, points_mm: Points) -> Points:
        """Where tissue that is found at points (N, 3) outside of the gap lay before."""
        return self._slid(points_mm, -1.0)

    def gap_mm(self, points_mm: Points) -> Distances:
        """How deep points (N, 3) lie between the muscles, where there is none of them; 0 and less elsewhere."""
        return np.asarray(self.moved_mm(points_mm[:, 2]) - np.abs(points_mm[:, 0]))

    def _slid(self, p: Points, sign: float) -> Points:
        x, y, z = p.T
        aside = x + sign * np.where(x < 0.0, -1.0, 1.0) * self.moved_mm(z)
        skin = self.trunk.skin
        curve = back_y(skin, aside, z, furrow=False) - back_y(skin, x, z, furrow=False)
        return np.column_stack([aside, y + curve, z])


@dataclass(frozen=True, eq=False)
class Parted:
    """Fibres of the muscles pushed apart round straight instruments; trunk's frame.

    Attributes:
        lines: (start (3,), unit direction (3,)) of each instrument's axis.
        open_share: 0 closed to 1 as wide as it is.
    """

    lines: tuple[tuple[Vector, Vector], ...]
    open_share: float = 1.0

    @property
    def key(self) -> str:
        """Equal keys, equal gaps."""
        spots = "-".join(f"{value:.2f}" for start, way in self.lines for value in (*start, *way))
        return f"parted-{self.open_share:.2f}-{spots}"

    def _gap(self, start: Vector, way: Vector, p: Points) -> tuple[Distances, Distances]:
        """The axis' x at the depth of points (N, 3), and half the gap there."""
        along = (p[:, 1] - start[1]) / way[1]
        x, z = start[0] + along * way[0], start[2] + along * way[2]
        u = np.minimum(np.abs(p[:, 2] - z) / sizes()["parting_length_mm"], 1.0)
        return x, self.open_share * sizes()["parting_half_mm"] * (1.0 - u * u) ** 2

    def forward(self, points_mm: Points) -> Points:
        """Where points (N, 3) of the muscle go: aside, less the further they lie from the instrument."""
        out, reach = points_mm.copy(), sizes()["parting_reach_mm"]
        for start, way in self.lines:
            x, half = self._gap(start, way, points_mm)
            away = points_mm[:, 0] - x
            sign = np.where(away < 0.0, -1.0, 1.0)
            out[:, 0] += sign * half * np.maximum(1.0 - np.abs(away) / reach, 0.0)
        return out

    def back(self, points_mm: Points) -> Points:
        """Where tissue that is found at points (N, 3) outside of the gaps lay before."""
        out, reach = points_mm.copy(), sizes()["parting_reach_mm"]
        for start, way in self.lines:
            x, half = self._gap(start, way, points_mm)
            away = np.abs(points_mm[:, 0] - x)
            before = np.maximum(away - half, 0.0) * reach / (reach - half)
            shift = np.where(away < reach, before - away, 0.0)
            out[:, 0] += np.where(points_mm[:, 0] < x, -shift, shift)
        return out

    def gap_mm(self, points_mm: Points) -> Distances:
        """How deep points (N, 3) lie in a gap between the fibres; 0 and less elsewhere."""
        deep = np.full(len(points_mm), -np.inf)
        for start, way in self.lines:
            x, half = self._gap(start, way, points_mm)
            deep = np.maximum(deep, half - np.abs(points_mm[:, 0] - x))
        return deep


def displaced_muscles(trunk: Trunk, change: Detached | Parted | None) -> Structure:
    """ "muscle" of `trunk` after `change` (None: as it lies), its bundles of fibres standing out, world frame.

    The psoas lies in front of the spine and stays where it is.
    """
    erector, psoas, inner = trunk.muscles["erector"], trunk.muscles["psoas"], trunk.world_from_trunk
    skin = trunk.skin
    whole = trunk.structures()["muscle"]

    def distance(world_mm: Points) -> Distances:
        p = inner.inverse().points(world_mm)
        before = p if change is None else change.back(p)
        beside = np.maximum(_bundled(erector, before), skin.distance(before) + _fat(skin, before))
        if change is not None:
            beside = np.maximum(beside, change.gap_mm(p))
        return np.minimum(beside, np.maximum(psoas.distance(p), skin.distance(p) + _fat(skin, p)))

    def make(spacing_mm: float) -> Mesh:
        return joined(_bundled_mesh(erector, change), psoas.mesh(4.0))

    reach = sizes()["muscle_aside_mm"] + 2.0
    bounds = box_bounds(whole.field.bounds_mm[0] - [reach, 4.0, 4.0], whole.field.bounds_mm[1] + [reach, 4.0, 4.0])
    made = cache(make)
    key = "rest" if change is None else change.key
    return Structure(
        "muscle", "muscle", "muscle", Field(distance, bounds, exact=False), lambda spacing_mm: made(4.0),
        f"muscle-{trunk.key}-{key}", RANKS["muscle"], inner,
    )  # fmt: skip


def _fat(skin: Sections, p: Points) -> Distances:
    return np.asarray(np.interp(p[:, 2], skin.z_mm, skin.fat))


def _relief(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 and a little more or less, by the direction from a muscle's axis: bundles and the furrows between them."""
    s = sizes()
    return 1.0 + s["bundle_relief"] * (np.abs(np.cos(0.5 * s["bundles"] * angle)) - 0.6366)


def _bundled(strand: Strand, p: Points) -> Distances:
    """Signed distance of `strand` with its bundles. Inexact."""
    z = np.clip(p[:, 2], strand.z_mm[0], strand.z_mm[-1])
    x, y, a, b = (np.interp(z, strand.z_mm, column) for column in (strand.x, strand.y, strand.a, strand.b))
    u, v = (np.abs(p[:, 0]) - x) / a, (p[:, 1] - y) / b
    side = (np.hypot(u, v) - _relief(np.arctan2(v, u))) * np.minimum(a, b)
    return np.maximum(side, np.where(p[:, 2] == z, -np.inf, np.abs(p[:, 2] - z)))


def _bundled_mesh(strand: Strand, change: Detached | Parted | None) -> Mesh:
    """The closed surfaces of both sides of `strand` with its bundles, after `change`."""
    halves = []
    for side in (1.0, -1.0):
        flip = np.array([side, 1.0, 1.0])
        if isinstance(change, Parted):
            # on the left all is done as on the right, mirrored
            lines = tuple((at * flip, way * flip) for at, way in change.lines if side * at[0] > 0.0)
            half = _parted_mesh(strand, Parted(lines, change.open_share))
        else:
            half = lofted(list(_rings(strand, _heights(strand), _even())))
        points = half.points_mm * flip
        if isinstance(change, Detached):
            points = change.forward(points)
        halves.append(Mesh(points, half.triangles if side > 0.0 else half.triangles[:, ::-1]))
    return joined(*halves)


def _even() -> NDArray[np.float64]:
    return np.linspace(0.0, 2 * np.pi, _SIDES, endpoint=False)


def _heights(strand: Strand) -> NDArray[np.float64]:
    return np.linspace(strand.z_mm[0], strand.z_mm[-1], int((strand.z_mm[-1] - strand.z_mm[0]) / 4.0))


def _rings(strand: Strand, z: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, N, 3) the right muscle's surface at heights `z` (K,) in directions `angle` (N,) or (K, N) from its axis."""
    turn = np.broadcast_to(angle, (len(z), np.shape(angle)[-1]))
    x, y, a, b = (np.interp(z, strand.z_mm, column)[:, None] for column in (strand.x, strand.y, strand.a, strand.b))
    relief = _relief((turn + np.pi) % (2 * np.pi) - np.pi)
    height = np.repeat(z[:, None], turn.shape[1], axis=1)
    return np.stack([x + a * relief * np.cos(turn), y + b * relief * np.sin(turn), height], axis=2)


def _parted_mesh(strand: Strand, change: Parted) -> Mesh:
    """The closed surface of the right muscle, dipping into the gap round the one instrument that passes it."""
    z = _heights(strand)
    if not change.lines:
        return lofted(list(_rings(strand, z, _even())))
    start, way = change.lines[0]
    z = np.linspace(strand.z_mm[0], strand.z_mm[-1], 2 * len(z))
    # where the instrument's axis meets the muscle's back at each height
    behind = np.linspace(np.pi, 2 * np.pi, 241)
    surface = _rings(strand, z, behind)
    axis = start[0] + (surface[:, :, 1] - start[1]) / way[1] * way[0]
    meets = behind[np.abs(surface[:, :, 0] - axis).argmin(axis=1)]
    share = (np.arange(_SIDES) + 0.5) / _SIDES
    share = share - 0.12 * np.sin(2 * np.pi * share)  # closer together beside the gap
    rings = _rings(strand, z, meets[:, None] + 2 * np.pi * share[None, :])
    flat = change.forward(rings.reshape(-1, 3)).reshape(rings.shape)
    top = _rings(strand, z, meets[:, None])[:, 0]
    # the slit runs out above and below: where it is closed it has no depth
    opened = change._gap(start, way, top)[1] / sizes()["parting_half_mm"]
    deep = np.minimum(1.0, 4.0 * opened) * (np.interp(z, strand.z_mm, strand.y + 0.8 * strand.b) - top[:, 1])
    y = top[:, 1:2] + np.linspace(0.0, 1.0, _DIP)[None, :] * np.maximum(deep, 0.0)[:, None]
    spots = np.stack([np.zeros_like(y), y, np.repeat(z[:, None], _DIP, axis=1)], axis=2)
    x, half = change._gap(start, way, spots.reshape(-1, 3))
    x, half = x.reshape(y.shape), half.reshape(y.shape)
    left, right = spots.copy(), spots[:, ::-1].copy()
    left[:, :, 0], right[:, :, 0] = x - half, (x + half)[:, ::-1]
    return _welded(lofted(list(np.concatenate([flat, left, right], axis=1))))


_DIP = 8
"""Points down either side of a gap."""


def detached(trunk: Trunk, incision: Incision, share: float = 1.0) -> Detached:
    """The muscles held aside in `incision`, `share` (0 to 1) of the way."""
    s = sizes()
    middle = (incision.low_mm + incision.high_mm) / 2
    reach = s["muscle_reach_share"] * (incision.high_mm - incision.low_mm)
    return Detached(trunk, middle, s["muscle_aside_mm"] * share, reach)


def parted(trunk: Trunk, lines: Sequence[tuple[ArrayLike, ArrayLike]], share: float = 1.0) -> Parted:
    """The muscles parted round instruments along `lines`, each (point (3,), direction (3,)) of the world."""
    inward = trunk.world_from_trunk.inverse()
    own = tuple((inward.point(as_vector(at)), unit(inward.vector(as_vector(way)))) for at, way in lines)
    return Parted(own, share)


__all__ = [
    "Detached", "Incision", "Parted", "back_y", "cut_skin", "detached", "displaced_muscles", "midline_incision", "nick",
    "parted", "sizes",
]  # fmt: skip
