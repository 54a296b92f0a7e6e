"""The arterial tree of the trunk: branches with stored topology, smooth middle lines and tapering lumens.

    tree = arterial_tree(column("L1", lying=1.0), adamkiewicz="left T12", feeders=tumour("L1"), target=("L1", "left"))
    tree.path("aorta", "feeder-1")                  -> ("aorta", "segmental-L1-left", "feeder-1")
    tree.route(("femoral-right", 12.0), ("segmental-L1-left", 20.0)).curve      the way of a catheter
    tree.field(["aorta"]), tree.structures()["segmental-L1-left"].world_mesh(1.0)

Flow runs from the root, the end of the arch, to every leaf; a branch begins on its parent's middle line. Figures lie in
assets/anatomy/arteries*.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.arterial_cord import cord_branches, feeder_branches
from spineviz.anatomy.arterial_course import Laid, segmental_branches, stem, wall_way_mm
from spineviz.anatomy.arterial_data import SEGMENTAL_LEVELS, SIDES
from spineviz.anatomy.arterial_tubes import branch_mesh, gathered, tapered_tube
from spineviz.anatomy.column import COLUMN_LEVELS, Column, Shape, column_of
from spineviz.anatomy.structure import Structure
from spineviz.data.errors import RequestError
from spineviz.data.once import Call, once
from spineviz.geometry.curves import Curve
from spineviz.geometry.fields import Field, Vector
from spineviz.geometry.meshes import Mesh, joined
from spineviz.geometry.operators import moved

if TYPE_CHECKING:
    import networkx as nx

    from spineviz.anatomy.tumour import Tumour

ROOT = "aorta"
NO_ADAMKIEWICZ = "none"
ARTERY_RANK = 42
"""Above the tumour, so that a feeder is seen in it, and below whatever is put into a lumen."""
_RUN_ON = ("aorta", "iliac", "femoral")
"""Kinds of branches that run on in one another. What springs from their sides is seen through them where it begins."""


@dataclass(frozen=True, eq=False)
class Branch:
    """One vessel between two forks.

    Attributes:
        name: "aorta", "segmental-L1-left" and the like.
        parent: the branch that it springs from, None for the root.
        kind: "aorta", "iliac", "femoral", "visceral", "segmental", "muscular", "dorsal", "radicular", "feeder",
            "adamkiewicz" or "spinal".
        centreline: its middle, in the direction of flow, mm, world frame; it begins on the parent's middle.
        radius_mm: (M,) of the lumen at the vertices of `centreline`; it never grows downstream.
        parent_mm: the way along the parent at which it begins.
        wall_mm: the way along itself at which its middle leaves the parent's lumen: its orifice; 0 where it goes on
            from the parent's end.
    """

    name: str
    parent: str | None
    kind: str
    centreline: Curve
    radius_mm: NDArray[np.float64]
    parent_mm: float
    wall_mm: float

    @property
    def length_mm(self) -> float:
        """From the parent's middle to its end."""
        return self.centreline.length_mm

    def radius_at(self, way_mm: ArrayLike) -> NDArray[np.float64]:
        """(K,) radii of the lumen at ways (K,) along it, held to its ends."""
        return np.interp(np.atleast_1d(np.asarray(way_mm, float)), self.centreline.arc_mm, self.radius_mm)

    @cached_property
    def field(self) -> Field:
        """Its lumen, world frame, round at both ends. Inexact."""
        return tapered_tube(self.centreline.points_mm, self.radius_mm)


@dataclass(frozen=True, eq=False)
class Route:
    """A way through the tree, upstream or downstream, as one line.

    Attributes:
        curve: its middle, mm, world frame.
        radius_mm: (M,) of the lumen at the vertices.
        names: (M,) the branch of every vertex.
    """

    curve: Curve
    radius_mm: NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that it passes, in order, each once."""
        return tuple(name for i, name in enumerate(self.names) if i == 0 or name != self.names[i - 1])

    def radius_at(self, way_mm: ArrayLike) -> NDArray[np.float64]:
        """(K,) radii of the lumen at ways (K,) along the route."""
        return np.interp(np.atleast_1d(np.asarray(way_mm, float)), self.curve.arc_mm, self.radius_mm)

    def branch_at(self, way_mm: float) -> str:
        """The branch at a way along the route."""
        near = int(np.searchsorted(self.curve.arc_mm, way_mm, side="right")) - 1
        return self.names[min(max(near, 0), len(self.names) - 1)]


@dataclass(frozen=True, eq=False)
class ArterialTree:
    """The tree in one posture; build it with `arterial_tree`.

    Attributes:
        branches: by name, parents before their children.
        column: the posture.
        target: (level, side) of the segmental artery that feeds the tumour.
        adamkiewicz: (side, level) of the cord's artery, or None.
        key: names it; equal keys, equal trees.
    """

    branches: Mapping[str, Branch]
    column: Column
    target: tuple[str, str]
    adamkiewicz: tuple[str, str] | None
    key: str
    _meshes: dict[tuple[str, float], Mesh] = attribute(default_factory=dict, repr=False)

    @cached_property
    def graph(self) -> nx.DiGraph:
        """The topology in the direction of flow: nodes are branch names (with "kind" and "length_mm"), an edge leads
        from a parent to its child (with "way_mm", where on the parent it begins)."""
        import networkx as nx

        out = nx.DiGraph()
        for branch in self.branches.values():
            out.add_node(branch.name, kind=branch.kind, length_mm=branch.length_mm)
            if branch.parent is not None:
                out.add_edge(branch.parent, branch.name, way_mm=branch.parent_mm)
        return out

    def branch(self, name: str) -> Branch:
        """The branch `name`; RequestError, naming what there is, for one that the tree has not."""
        if name not in self.branches:
            kinds = sorted({f"{b.kind} ({b.name})" for b in self.branches.values()})
            raise RequestError(f"artery: there is no branch {name!r}; there are {', '.join(kinds[:4])} and others")
        return self.branches[name]

    def children(self, name: str) -> tuple[Branch, ...]:
        """The branches that spring from `name`, in the order of flow."""
        found = [self.branches[child] for child in self.graph.successors(self.branch(name).name)]
        return tuple(sorted(found, key=lambda branch: branch.parent_mm))

    def path(self, start: str, end: str) -> tuple[str, ...]:
        """The names of the branches from `start` to `end`, both with, whichever way the blood flows in them."""
        up, down = self._to_root(start), self._to_root(end)
        shared = next(name for name in up if name in down)
        return (*up[: up.index(shared) + 1], *down[: down.index(shared)][::-1])

    def _to_root(self, name: str) -> list[str]:
        out = [self.branch(name).name]
        while (parent := self.branches[out[-1]].parent) is not None:
            out.append(parent)
        return out

    def point_at(self, name: str, way_mm: float) -> Vector:
        """(3,) the middle of `name` at `way_mm` from its begin."""
        return self.branch(name).centreline.at(way_mm)[0]

    def radius_at(self, name: str, way_mm: float) -> float:
        """The lumen's radius of `name` at `way_mm` from its begin, mm."""
        return float(self.branch(name).radius_at(way_mm)[0])

    def route(self, start: tuple[str, float], end: tuple[str, float]) -> Route:
        """The way along the middle lines from (branch, way mm) to (branch, way mm); RequestError for an unknown
        branch."""
        names = self.path(start[0], end[0])
        lines, radii, owners = [], [], []
        for i, name in enumerate(names):
            branch = self.branches[name]
            first = start[1] if i == 0 else self._door_mm(names[i - 1], name)
            last = end[1] if i == len(names) - 1 else self._door_mm(names[i + 1], name)
            ways = _stretch(branch.centreline, first, last)
            lines.append(branch.centreline.at(ways))
            radii.append(branch.radius_at(ways))
            owners += [name] * len(ways)
        points, radius = np.concatenate(lines), np.concatenate(radii)
        keep = np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6])
        if keep.sum() < 2:
            raise RequestError(f"artery: a route needs a length; {start} and {end} are the same place")
        return Route(Curve(points[keep]), radius[keep], tuple(np.array(owners)[keep].tolist()))

    def _door_mm(self, other: str, name: str) -> float:
        """The way along `name` at which `other`, its parent or its child, joins it."""
        return self.branches[other].parent_mm if self.branches[other].parent == name else 0.0

    def distance_mm(self, start: tuple[str, float], end: tuple[str, float]) -> float:
        """The length of the way along the middle lines from (branch, way mm) to (branch, way mm)."""
        names = self.path(start[0], end[0])
        total = 0.0
        for i, name in enumerate(names):
            first = start[1] if i == 0 else self._door_mm(names[i - 1], name)
            last = end[1] if i == len(names) - 1 else self._door_mm(names[i + 1], name)
            total += abs(last - first)
        return total

    def nearest_level(self, point_mm: ArrayLike) -> str:
        """The vertebra, or "sacrum", whose middle is at the height of (3,) `point_mm`: what a level counter shows."""
        up = self.column.vertical()
        height = float(np.asarray(point_mm, float) @ up)
        middles = {level: float(self.column.world_from_vertebra(level).origin_mm @ up) for level in COLUMN_LEVELS}
        return min(middles, key=lambda level: abs(middles[level] - height))

    def field(self, names: Iterable[str] | None = None) -> Field:
        """The lumens of `names`, or of all, as one field, world frame. Inexact; RequestError for an unknown branch."""
        chosen = [self.branch(name) for name in (self.branches if names is None else names)]
        if len(chosen) == 1:
            return chosen[0].field
        widest = [float(b.radius_mm.max()) for b in chosen]
        return gathered([b.field for b in chosen], [b.centreline.points_mm for b in chosen], widest)

    def mesh(self, name: str, spacing_mm: float = 1.0) -> Mesh:
        """The closed surface of one branch, world frame; where it springs from a parent's side it begins there."""
        branch = self.branch(name)
        key = (name, round(float(spacing_mm), 3))
        if key not in self._meshes:
            parent = self.branches[branch.parent].field if branch.parent is not None and branch.wall_mm > 0 else None
            self._meshes[key] = branch_mesh(branch.centreline.points_mm, branch.radius_mm, parent, key[1])
        return self._meshes[key]

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Which branches each structure holds: the iliac ones of a side together, the femoral ones, and a segmental
        artery with its muscular, dorsal and radicular branches."""
        out: dict[str, list[str]] = {}
        for branch in self.branches.values():
            out.setdefault(_group(branch), []).append(branch.name)
        return {name: tuple(names) for name, names in out.items()}

    def structures(self, each: bool = False) -> dict[str, Structure]:
        """Everything by name: "aorta", "iliac-right", "femoral-left", "segmental-L1-left", "adamkiewicz",
        "anterior-spinal", "feeder-1" ...; role "artery", material "blood".

        Args:
            each: every branch for itself ("muscular-L1-left", "external-iliac-right" ...) instead of the groups.
        """
        groups = {name: (name,) for name in self.branches} if each else self.groups()
        return {name: self._structure(name, names) for name, names in groups.items()}

    def _structure(self, name: str, names: tuple[str, ...]) -> Structure:
        def mesh(spacing_mm: float) -> Mesh:
            return joined(*[self.mesh(branch, spacing_mm) for branch in names])

        runs_on = "great arteries" if self.branches[names[0]].kind in _RUN_ON else ""
        return Structure(
            name, "artery", "blood", self.field(names), _once(mesh), f"{name}|{self.key}", ARTERY_RANK, runs_on=runs_on
        )


def _once(make: Callable[[float], Mesh]) -> Callable[[float], Mesh]:
    made: dict[float, Mesh] = {}

    def mesh(spacing_mm: float) -> Mesh:
        key = round(float(spacing_mm), 3)
        if key not in made:
            made[key] = make(key)
        return made[key]

    return mesh


def _group(branch: Branch) -> str:
    side = branch.name.rsplit("-", 1)[-1]
    if branch.kind in ("iliac", "femoral"):
        return f"{branch.kind}-{side}"
    if branch.kind in ("muscular", "dorsal", "radicular"):
        return f"segmental-{branch.name.split('-', 1)[1]}"
    return "anterior-spinal" if branch.kind == "spinal" else branch.name


def _stretch(curve: Curve, first_mm: float, last_mm: float) -> NDArray[np.float64]:
    """(K,) ways from one to the other, the vertices between them with it, in that order."""
    low, high = sorted(float(np.clip(w, 0.0, curve.length_mm)) for w in (first_mm, last_mm))
    inner = curve.arc_mm[(curve.arc_mm > low + 1e-9) & (curve.arc_mm < high - 1e-9)]
    ways = np.concatenate([[low], inner, [high]])
    return ways if first_mm <= last_mm else ways[::-1]


def parse_adamkiewicz(text: str) -> tuple[str, str] | None:
    """ "left T12" -> ("left", "T12"), "none" -> None; RequestError, naming what is accepted, for anything else."""
    if text == NO_ADAMKIEWICZ:
        return None
    parts = text.split()
    if len(parts) != 2 or parts[0] not in SIDES or parts[1] not in SEGMENTAL_LEVELS:
        raise RequestError(
            f"artery.adamkiewicz: {text!r} is no side and level; give left or right and T4 to L4, as in 'left T12', "
            f"or 'none'"
        )
    return parts[0], parts[1]


def _still(posture: Column) -> Shape:
    """The column along which the arteries are laid.

    What lies round a column does not depend on which of its vertebrae is called the world, so that one course serves
    every treated level; only a collapse is a column of its own.
    """
    return posture.shape if posture.collapse is not None else ("L1", posture.lying, ())


@once
def _stem(shape: Shape) -> tuple[Laid, ...]:
    """The aorta and what does not belong to a level, along the column `shape`."""
    return tuple(stem(column_of(shape)))


@once
def _segmental(shape: Shape, level: str) -> tuple[Laid, ...]:
    """The segmental arteries of `level`."""
    return tuple(segmental_branches(column_of(shape), _stem(shape)[0], level))


@once
def _cord(shape: Shape, side: str, level: str) -> tuple[Laid, ...]:
    """The arteries of the cord that are fed from `side` of `level`, first the radicular one as they widen it."""
    radicular = next(laid for laid in _segmental(shape, level) if laid.name == f"radicular-{level}-{side}")
    return tuple(cord_branches(column_of(shape), radicular, level, side))


def artery_calls(column: Column, cord: tuple[str, str] | None = None) -> list[Call]:
    """What makes the arteries of `column` but the tumour's: to be made beside something else. Those of the cord are
    among them where they are fed from `cord` (side, level)."""
    shape = _still(column)
    out: list[Call] = [(_stem, (shape,)), *((_segmental, (shape, level)) for level in SEGMENTAL_LEVELS)]
    return out if cord is None else [*out, (_cord, (shape, *cord))]


def _course(posture: Column, cord: tuple[str, str] | None, levels: Iterable[str]) -> list[Laid]:
    """All arteries but the tumour's, along the column of `_still`, each part made once: the stem, the segmental ones
    of `levels`, and those of the cord."""
    shape = _still(posture)
    common = [*_stem(shape), *(laid for level in levels for laid in _segmental(shape, level))]
    if cord is None:
        return common
    side, level = cord
    wide, *further = _cord(shape, side, level)
    return [wide if laid.name == wide.name else laid for laid in common] + further


def _feeders(laid: list[Laid], grown: Tumour | Field, posture: Column, target: tuple[str, str]) -> list[Laid]:
    field = grown if isinstance(grown, Field) else moved(grown.full, posture.world_from_vertebra(grown.level))
    trunk = next(part for part in laid if part.name == f"segmental-{target[0]}-{target[1]}")
    parent = next(part for part in laid if part.name == trunk.parent)
    return feeder_branches(trunk, field, wall_way_mm(trunk.line, tapered_tube(parent.line, parent.radius_mm)))


def arterial_tree(
    column: Column,
    adamkiewicz: str = "left T12",
    feeders: Tumour | Field | None = None,
    target: tuple[str, str] = ("L1", "left"),
    levels: Sequence[str] = SEGMENTAL_LEVELS,
) -> ArterialTree:
    """The arteries along a column.

    Args:
        column: the posture; chemoembolization is done lying (`column(level, lying=1.0)`).
        adamkiewicz: side and level of the artery that feeds the cord, "left T12" and the like, or "none"; without it
            the anterior spinal artery, which is then fed from above the view, is not drawn.
        feeders: the tumour (or its field in the world frame) that arteries are to grow into, or None.
        target: level, T4 to L4, and side of the segmental artery that the feeders spring from.
        levels: those whose segmental arteries are laid, among them that of `target` where there are feeders and that
            of the cord's artery. The others are what takes longest.

    Raises RequestError, naming the key, for a side or level that is none.
    """
    cord = parse_adamkiewicz(adamkiewicz)
    level, side = target
    if level not in SEGMENTAL_LEVELS:
        raise RequestError(f"spine.level: {level!r} has no segmental artery here; give T4 to L4")
    if side not in SIDES:
        raise RequestError(f"artery.target_side: there is no side {side!r}; give left or right")
    world = column.world_from_sacrum @ column_of(_still(column)).world_from_sacrum.inverse()
    laid = [part.moved(world) for part in _course(column, cord, levels)]
    key = f"{column.pose_key}|{adamkiewicz}"
    if tuple(levels) != SEGMENTAL_LEVELS:
        key += f"|{' '.join(levels)}"
    if feeders is not None:
        laid += _feeders(laid, feeders, column, target)
        drawn = np.concatenate([part.line for part in laid if part.kind == "feeder"])
        key += f"|{level}-{side}|{sha256(np.round(drawn, 3).tobytes()).hexdigest()[:12]}"
    return ArterialTree(_branches(laid), column, target, cord, key)


def _branches(laid: Iterable[Laid]) -> dict[str, Branch]:
    out: dict[str, Branch] = {}
    for part in laid:
        curve = Curve(part.line)
        parent_mm = wall_mm = 0.0
        if part.parent is not None:
            parent = out[part.parent]
            if part.on_side:
                near = np.linalg.norm(parent.centreline.points_mm - part.line[0], axis=1)
                parent_mm = _nearest_way_mm(parent.centreline, part.line[0], int(np.argmin(near)))
                wall_mm = wall_way_mm(part.line, parent.field)
            else:
                parent_mm = parent.length_mm
        out[part.name] = Branch(part.name, part.parent, part.kind, curve, part.radius_mm, parent_mm, wall_mm)
    return out


def _nearest_way_mm(curve: Curve, point: Vector, near: int) -> float:
    """The way along `curve` nearest to `point`, whose nearest vertex is `near`."""
    best, found = np.inf, 0.0
    for a, b in pairwise(range(max(0, near - 1), min(len(curve.points_mm), near + 2))):
        start, step = curve.points_mm[a], curve.points_mm[b] - curve.points_mm[a]
        share = float(np.clip((point - start) @ step / (step @ step), 0.0, 1.0))
        away = float(np.linalg.norm(start + share * step - point))
        if away < best:
            best, found = away, float(curve.arc_mm[a] + share * (curve.arc_mm[b] - curve.arc_mm[a]))
    return found
