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
from spineviz.geometry.curves import Curve, transported_frames
from spineviz.geometry.fields import Field, Points, in_box
from spineviz.geometry.grids import lattice

Ways = NDArray[np.float64]

_SAME_FORK_MM = 0.1
_ACROSS = 9
"""About how many small volumes stand side by side across a wide lumen."""
_FINEST_MM, _WIDEST_MM = 0.45, 1.2
"""Sizes of the small volumes in narrow and in wide lumens."""
_LEAST_PER_MM = 8.0
"""How many of them there are to a millimetre at least, or the narrowest vessels would be beads."""
_EVENLY = 1.3247179572447460 ** -np.arange(1.0, 3.0)
"""Steps of an additive sequence that fills a square evenly (the root of x^3 = x + 1 and its powers)."""
_FADING_KINDS, _FADING_SHARE = ("visceral", "muscular", "dorsal", "radicular", "spinal", "femoral", "iliac"), 0.4
"""Branches without further ones end where the tree does; in life they divide into vessels too fine to be seen. Over
this share of their length they fade out (chosen for legibility)."""
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
    fork, it is the other's. Where the tree ends but not the vessel, cells hold less and less than their room, so that
    no stump shows. RequestError for a branch that the tree has not.
    """
    if not cell_mm > 0:
        raise ValueError(f"cell_mm must be more than 0, got {cell_mm}")
    chosen = list(tree.branches) if names is None else [tree.branch(name).name for name in names]
    points, volumes, cells, where, first = [], [], [], {}, 0
    for name in chosen:
        ways = cell_ways_mm(tree, name, cell_mm)
        branch = tree.branch(name)
        goes_on = any(child.parent_mm > branch.length_mm - _SAME_FORK_MM for child in tree.children(name))
        place, volume, way = _filling(branch, goes_on)
        own = _is_own(tree, name, place)
        points.append(place[own])
        volumes.append((volume * _shown(tree, name, way))[own])
        last = len(ways) - 2
        cells.append(first + np.clip(np.searchsorted(ways, way[own], side="right") - 1, 0, last))
        where[name] = first, ways
        first += last + 1
    key = f"arteries|{tree.key}|{cell_mm:g}|{'all' if names is None else ','.join(chosen)}"
    return (
        Cells(np.concatenate(points), np.concatenate(volumes), np.concatenate(cells), np.zeros(first), key),
        where,
    )


def _filling(branch: Branch, goes_on: bool) -> tuple[Points, Ways, Ways]:
    """Small volumes that fill a lumen evenly: middles (N, 3), volumes (N,) mm3 and ways along it (N,).

    One comes after the other along it, and across it they follow a sequence that leaves neither gaps nor a pattern.
    Where others go on from its end, its round end is filled too.
    """
    line, radius = _round_ended(branch) if goes_on else (branch.centreline, branch.radius_mm)
    area = np.pi * radius**2
    filled = np.concatenate([[0.0], np.cumsum(np.diff(line.arc_mm) * (area[1:] + area[:-1]) / 2)])
    size = float(np.clip(2.0 * np.median(branch.radius_mm) / _ACROSS, _FINEST_MM, _WIDEST_MM))
    count = int(np.ceil(max(filled[-1] / size**3, _LEAST_PER_MM * branch.length_mm)))
    number = np.arange(count) + 0.5
    out, round_it = (number[:, None] * _EVENLY % 1.0).T
    way = np.interp(number / count * filled[-1], filled, line.arc_mm)
    away = np.interp(way, line.arc_mm, radius) * np.sqrt(out)
    frames = transported_frames(line)[np.clip(np.searchsorted(line.arc_mm, way), 0, len(radius) - 1)]
    across = np.stack([np.cos(2 * np.pi * round_it), np.sin(2 * np.pi * round_it)], axis=1)
    points = line.at(way) + away[:, None] * np.einsum("nij,nj->ni", frames[:, :, :2], across)
    return points, np.full(count, filled[-1] / count), way


def _round_ended(branch: Branch) -> tuple[Curve, Ways]:
    """The middle line and its radii with the half ball at the end."""
    points, last = branch.centreline.points_mm, float(branch.radius_mm[-1])
    beyond = last * np.sin(np.linspace(0.0, np.pi / 2, 9)[1:])
    onward = branch.centreline.tangents()[-1]
    line = Curve(np.concatenate([points, points[-1] + beyond[:, None] * onward]))
    return line, np.concatenate([branch.radius_mm, np.sqrt(np.maximum(last**2 - beyond**2, 0.0))])


def _shown(tree: ArterialTree, name: str, way_mm: Ways) -> Ways:
    """(K,) what of a branch is drawn at ways (K,) along it."""
    branch = tree.branch(name)
    if tree.children(name) or branch.kind not in _FADING_KINDS:
        return np.ones(len(way_mm))
    left = np.clip((branch.length_mm - way_mm) / (_FADING_SHARE * branch.length_mm), 0.0, 1.0)
    return left**2 * (3.0 - 2.0 * left)


def _is_own(tree: ArterialTree, name: str, points_mm: Points) -> NDArray[np.bool_]:
    """Whether points (N, 3) in the lumen of `name` lie in none of its elders' lumens, (N,)."""
    branch = tree.branch(name)
    own = np.ones(len(points_mm), bool)
    if branch.parent is None:
        return own
    elders = [tree.branch(branch.parent)]
    for sibling in tree.branches.values():
        if sibling.name == name:
            break
        if sibling.parent == branch.parent and abs(sibling.parent_mm - branch.parent_mm) < 2.0 * branch.radius_mm[0]:
            elders.append(sibling)
    for elder in elders:
        low, high = elder.field.bounds_mm
        near = np.flatnonzero(own & in_box(points_mm, low, high))
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
