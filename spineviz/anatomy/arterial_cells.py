"""Arteries and tumours as cells whose contents change: what contrast and drug are told in.

    template, where = arterial_cells(tree, cell_mm=4.0)
    Structure(..., cells=replace(template, share=np.concatenate(transport.concentration(time_s, 4.0))))

The cells stand in the order of the branches and along each from its beginning; forks cut a branch as the flow does, so
that the concentrations of pieces, one after the other, are the shares of the cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arteries import ArterialTree, Branch
from spineviz.anatomy.structure import Cells
from spineviz.geometry.curves import transported_frames
from spineviz.geometry.fields import Field, Points
from spineviz.geometry.grids import lattice

Ways = NDArray[np.float64]

_SAME_FORK_MM = 0.1
_ACROSS = 9
"""About how many small volumes stand side by side across a wide lumen."""
_FINEST_MM, _WIDEST_MM = 0.45, 1.2
"""Sizes of the small volumes in narrow and in wide lumens."""
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))
_TUMOUR_VOLUME_MM = 0.8
_MOTTLE = 0.45
_PATCH_MM = 2.2
"""How unevenly a tumour takes contrast up (deviation of the logarithm), and over what width it changes (chosen for
legibility)."""


def cell_ways_mm(tree: ArterialTree, name: str, cell_mm: float) -> Ways:
    """(n + 1,) the ends of the cells along a branch: equal ones, about `cell_mm` long, from fork to fork."""
    branch = tree.branch(name)
    cuts = [0.0]
    for fork in sorted(child.parent_mm for child in tree.children(name)):
        if _SAME_FORK_MM < fork < branch.length_mm - _SAME_FORK_MM and fork - cuts[-1] > _SAME_FORK_MM:
            cuts.append(float(fork))
    cuts.append(branch.length_mm)
    pieces = [
        np.linspace(first, last, max(1, int(np.ceil((last - first) / cell_mm - 1e-9))) + 1)
        for first, last in pairwise(cuts)
    ]
    return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])


def arterial_cells(
    tree: ArterialTree, cell_mm: float = 4.0, names: Iterable[str] | None = None
) -> tuple[Cells, dict[str, tuple[int, Ways]]]:
    """The lumens of `names`, or of all branches, in cells of about `cell_mm`.

    Returns the cells, all empty, and for every branch its first cell and the ends of its cells along it, (n + 1,) mm.
    No room is in two cells: where a branch still lies in its parent's lumen, or in that of another branch of the same
    fork, it is the other's. RequestError for a branch that the tree has not.
    """
    if not cell_mm > 0:
        raise ValueError(f"cell_mm must be more than 0, got {cell_mm}")
    chosen = list(tree.branches) if names is None else [tree.branch(name).name for name in names]
    points, volumes, cells, where, first = [], [], [], {}, 0
    for name in chosen:
        ways = cell_ways_mm(tree, name, cell_mm)
        place, volume, way = _filling(tree.branch(name))
        own = _is_own(tree, name, place)
        points.append(place[own])
        volumes.append(volume[own])
        last = len(ways) - 2
        cells.append(first + np.clip(np.searchsorted(ways, way[own], side="right") - 1, 0, last))
        where[name] = first, ways
        first += last + 1
    key = f"arteries|{tree.key}|{cell_mm:g}|{'all' if names is None else ','.join(chosen)}"
    return (
        Cells(np.concatenate(points), np.concatenate(volumes), np.concatenate(cells), np.zeros(first), key),
        where,
    )


def _filling(branch: Branch) -> tuple[Points, Ways, Ways]:
    """Small volumes that fill a lumen evenly: middles (N, 3), volumes (N,) mm3 and ways along it (N,).

    Slice by slice a spiral of equal areas, each slice turned against the last, so that none stands behind another.
    """
    wide = float(np.median(branch.radius_mm))
    step = float(np.clip(2.0 * wide / _ACROSS, _FINEST_MM, _WIDEST_MM))
    count = max(2, int(np.ceil(branch.length_mm / step)))
    thick = branch.length_mm / count
    way = (np.arange(count) + 0.5) * thick
    radius = branch.radius_at(way)
    frames = _frames_at(branch, way)
    in_slice = np.maximum(1, np.round(np.pi * radius**2 / step**2)).astype(int)
    which = np.repeat(np.arange(count), in_slice)
    number = np.arange(len(which)) - np.repeat(np.cumsum(in_slice) - in_slice, in_slice)
    away = radius[which] * np.sqrt((number + 0.5) / in_slice[which])
    away[in_slice[which] == 1] = 0.0
    angle = _GOLDEN * (number + 0.5) + _GOLDEN**2 * which
    across = np.cos(angle)[:, None] * frames[which, :, 0] + np.sin(angle)[:, None] * frames[which, :, 1]
    # within the thickness of a slice no two middles stand at the same height
    along = thick * ((number * 0.61803398875 + 0.5) % 1.0 - 0.5)
    along[in_slice[which] == 1] = 0.0
    points = branch.centreline.at(way)[which] + away[:, None] * across + along[:, None] * frames[which, :, 2]
    volume = np.pi * radius[which] ** 2 * thick / in_slice[which]
    return points, volume, way[which] + along


def _frames_at(branch: Branch, way_mm: Ways) -> NDArray[np.float64]:
    """(K, 3, 3) two directions across and the one along, at ways (K,)."""
    frames = transported_frames(branch.centreline)
    nearest = np.clip(np.searchsorted(branch.centreline.arc_mm, way_mm), 0, len(frames) - 1)
    return np.asarray(frames[nearest])


def _is_own(tree: ArterialTree, name: str, points_mm: Points) -> NDArray[np.bool_]:
    """Whether points (N, 3) in the lumen of `name` lie in none of its elders' lumens, (N,)."""
    branch = tree.branch(name)
    own = np.ones(len(points_mm), bool)
    if branch.parent is None:
        return own
    elders: list[Branch] = []
    if branch.wall_mm > 0:
        elders.append(tree.branch(branch.parent))
    for sibling in tree.branches.values():
        if sibling.name == name:
            break
        if sibling.parent == branch.parent and abs(sibling.parent_mm - branch.parent_mm) < 2.0 * branch.radius_mm[0]:
            elders.append(sibling)
    for elder in elders:
        low, high = elder.field.bounds_mm
        near = np.flatnonzero(own & ((points_mm > low) & (points_mm < high)).all(axis=1))
        if len(near):
            own[near] = elder.field.distance(points_mm[near]) >= 0.0
    return own


def tumour_cells(field: Field, key: str, cell_mm: float = 4.0, seed: int = 7) -> Cells:
    """A tumour in cells of about `cell_mm`, a few dozen, all empty; together they take the room of `field`.

    The blush is uneven: of small volumes some hold more and some less of a cell's content than their room says.

    Args:
        key: names the field.
        seed: of what is uneven.
    """
    if not cell_mm > 0:
        raise ValueError(f"cell_mm must be more than 0, got {cell_mm}")
    size = min(_TUMOUR_VOLUME_MM, cell_mm / 2)
    points = lattice(field.bounds_mm, size, margin_mm=size).points()
    room = np.clip(0.5 - field.distance(points) / size, 0.0, 1.0)
    inside = room > 0.0
    points, room = points[inside], room[inside] * size**3
    if not len(points):
        raise ValueError("a tumour without room has no cells")
    taken = room * np.exp(_MOTTLE * _patches(points, seed))
    place = np.floor((points - field.bounds_mm.mean(axis=0)) / cell_mm + 0.5).astype(np.int64)
    _, cell = np.unique(place, axis=0, return_inverse=True)
    cell = cell.reshape(-1).astype(np.int64)
    # each cell keeps its room
    held, wanted = np.bincount(cell, taken), np.bincount(cell, room)
    volume = taken * (wanted / held)[cell]
    return Cells(points, volume, cell, np.zeros(len(held)), f"tumour-cells|{key}|{cell_mm:g}|{seed}")


def _patches(points_mm: Points, seed: int) -> NDArray[np.float64]:
    """A smooth pattern of mean 0 and deviation 1 in space: waves of about `_PATCH_MM` in all directions, (N,)."""
    rng = np.random.default_rng([seed, 41])
    waves = 24
    direction = rng.standard_normal((waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = _PATCH_MM * rng.uniform(1.5, 4.0, waves)
    phase = rng.uniform(0.0, 2.0 * np.pi, waves)
    turns = 2.0 * np.pi * points_mm @ (direction / length[:, None]).T
    return np.asarray(np.cos(turns + phase).sum(axis=1) * np.sqrt(2.0 / waves))
