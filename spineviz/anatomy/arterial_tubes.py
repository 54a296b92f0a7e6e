"""Tapering tubes round smooth lines: as a field, as a closed surface, and laid taut round what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.curves import OFF_SHARE, Curve, of_like_area, sides_within, transported_frames, tube_rings
from spineviz.geometry.fields import Distances, Field, Points, box_bounds
from spineviz.geometry.meshes import Mesh

_MIRROR = np.array([-1.0, 1.0, 1.0])
_NEAR_MM, _THIN_MM = 8.0, 2.0
_AT_ONCE = 2000
"""Points that all boxes of `gathered` are compared with at once: a table of them for many tubes."""
_INSET_MM = 0.12
"""How far under the parent's surface a branch's surface begins."""


def tapered_tube(line: Points, radius_mm: NDArray[np.float64]) -> Field:
    """All points within `radius_mm` (M,) of the line (M, 3), M of at least 2, round ends included.

    Looks at the two stretches beside the nearest vertex. Inexact by the square of the taper, which is less than a
    hundredth of a radius in an artery.
    """
    tree: list = []
    # component by component in memory, as all that is made of it then is too: three times as fast
    begin = np.ascontiguousarray(line.T)
    step = np.diff(begin, axis=1)
    length2 = np.maximum((step * step).sum(0), 1e-12)
    grow = np.diff(radius_mm)
    last = len(grow) - 1

    def distance(p: Points) -> Distances:
        from scipy.spatial import cKDTree

        if not len(p):
            return np.zeros(0)
        if not tree:
            tree.append(cKDTree(line))
        _, near = tree[0].query(p)
        places = np.ascontiguousarray(p.T)
        out = np.full(len(p), np.inf)
        for i in (np.maximum(near - 1, 0), np.minimum(near, last)):
            way, along = places - begin.take(i, axis=1), step.take(i, axis=1)
            share = np.clip(np.einsum("in,in->n", way, along) / length2.take(i), 0.0, 1.0)
            way -= share * along
            away = np.sqrt(np.einsum("in,in->n", way, way))
            np.minimum(out, away - (radius_mm.take(i) + share * grow.take(i)), out=out)
        return out

    reach = radius_mm[:, None]
    return Field(distance, box_bounds((line - reach).min(0), (line + reach).max(0)), exact=False)


def gathered(fields: Sequence[Field], lines: Sequence[Points], widest_mm: Sequence[float]) -> Field:
    """The union of many tubes with their middle lines, each asked only about the points that it can be nearest to.

    The tube of the nearest vertex gives a bound; of the others those are asked whose box comes nearer than that. Far
    from every lumen (`_NEAR_MM`) thin ones are not asked: there the way may be too long by a thin one's radius.
    """
    boxes = np.array([field.bounds_mm for field in fields])
    wide = np.asarray(widest_mm) > _THIN_MM
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    tree: list = []

    def looked(p: Points) -> Distances:
        first = owner[tree[0].query(p)[1]]
        out = np.full(len(p), np.inf)
        for i in np.unique(first):
            mine = np.flatnonzero(first == i)
            out[mine] = fields[i].distance(p[mine])
        bound = np.maximum(out, 0.0)[:, None]
        asked = wide | (out < _NEAR_MM)[:, None]
        asked[np.arange(len(p)), first] = False
        # all boxes at once, for there are many of them, and an axis after the other
        for axis, place in enumerate(p.T[:, :, None]):
            asked &= (place > boxes[:, 0, axis] - bound) & (place < boxes[:, 1, axis] + bound)
        for i in np.flatnonzero(asked.any(axis=0)).tolist():
            near = np.flatnonzero(asked[:, i])
            out[near] = np.minimum(out[near], fields[i].distance(p[near]))
        return out

    def distance(p: Points) -> Distances:
        from scipy.spatial import cKDTree

        if not tree:
            tree.append(cKDTree(np.concatenate(lines)))
        return np.concatenate([looked(part) for part in np.array_split(p, len(p) // _AT_ONCE + 1)])

    return Field(distance, box_bounds(boxes[:, 0].min(0), boxes[:, 1].max(0)), exact=False)


def _cap(
    centre: Points, axes: NDArray[np.float64], radius: float, direction: float, ring: Points, rounds: int
) -> list[Points]:
    """Rings (sides, 3) of half a ball beyond an end, the widest first, its pole left out."""
    angle = np.linspace(0.0, np.pi / 2, rounds + 1)[1:-1]
    return [centre + radius * (np.cos(a) * ring @ axes[:, :2].T + direction * np.sin(a) * axes[:, 2]) for a in angle]


def _sides_for(radius_mm: float, off_mm: float) -> int:
    """How many sides a tube of this radius is drawn with that may be off by `off_mm`."""
    return sides_within(radius_mm, off_mm, int(np.clip(round(11.0 * radius_mm**0.55), 10, 40) // 2 * 2))


def branch_mesh(line: Points, radius_mm: NDArray[np.float64], parent: Field | None, spacing_mm: float = 1.0) -> Mesh:
    """The closed surface of a tapering tube.

    Args:
        line: (M, 3) middle; radius_mm: (M,).
        parent: what it springs from on the side: its surface then begins on the parent's, as a saddle. None: it begins
            with half a ball, which lies within the parent that it goes on from.
        spacing_mm: how fine it is: it is off by a small share of that.
    """
    curve, off_mm = Curve(line), OFF_SHARE * spacing_mm
    held = tube_rings(curve, radius_mm, off_mm)
    if parent is not None:
        held |= _beside(parent, line, radius_mm)
    keep = np.flatnonzero(held)
    frames = transported_frames(curve)[keep]
    sides = _sides_for(float(radius_mm.max()), off_mm)
    middle, radius = line[keep], of_like_area(sides) * radius_mm[keep]
    angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    around = np.einsum("mij,sj->msi", frames[:, :, :2], ring) * radius[:, None, None]
    body = middle[:, None, :] + around
    rounds = 5 if radius.max() > 2.0 else 3
    rings: list[Points] = []
    if parent is None:
        start = middle[0] - radius[0] * frames[0][:, 2]
        rings += _cap(middle[0], frames[0], float(radius[0]), -1.0, ring, rounds)[::-1]
        rings += list(body)
    else:
        rings += _from_the_wall(body, parent)
        start = rings[0].mean(0)
    rings += _cap(middle[-1], frames[-1], float(radius[-1]), 1.0, ring, rounds)
    end = middle[-1] + radius[-1] * frames[-1][:, 2]
    return _skin(rings, start, end)


def _beside(parent: Field, line: Points, radius_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which vertices of a branch's line carry a ring so that its saddle on the `parent` is round: as often as it is
    thick, until it has left that."""
    left = np.flatnonzero(parent.distance(line) > 1.5 * radius_mm)
    last = int(left[0]) if len(left) else len(line) - 1
    way = Curve(line).arc_mm
    out = np.zeros(len(line), bool)
    out[: last + 1][np.diff(np.floor(way / (0.9 * radius_mm + 0.15))[: last + 1], prepend=-1.0) > 0] = True
    return out


def _from_the_wall(body: NDArray[np.float64], parent: Field) -> list[Points]:
    """The rings (M, sides, 3) from where each of their long lines leaves `parent` for the last time."""
    count, sides, _ = body.shape
    depth = parent.distance(body.reshape(-1, 3)).reshape(count, sides) + _INSET_MM
    inside = depth < 0.0
    last = np.where(inside.any(0), count - 1 - np.argmax(inside[::-1], axis=0), 0)
    last = np.minimum(last, count - 2)
    column = np.arange(sides)
    a, b = depth[last, column], depth[last + 1, column]
    share = np.clip(np.where(b - a > 1e-9, -a / np.maximum(b - a, 1e-9), 0.0), 0.0, 1.0)
    start = last + share  # in rings, where each long line begins
    first = min(int(np.ceil(start.max())) + 1, count - 1)
    out = []
    for t in np.linspace(0.0, 1.0, max(3, first - int(start.min()) + 1))[:-1]:
        at = start + t * (first - start)
        low = np.minimum(at.astype(int), count - 2)
        part = (at - low)[:, None]
        out.append((1.0 - part) * body[low, column] + part * body[low + 1, column])
    return out + list(body[first:])


def _skin(rings: Sequence[Points], start: Points, end: Points) -> Mesh:
    """Rings (sides, 3) joined to a closed surface between two poles."""
    sides, count = len(rings[0]), len(rings)
    points = np.concatenate([*rings, start[None], end[None]])
    here = np.arange(sides)
    after = (here + 1) % sides
    first = (np.arange(count - 1) * sides)[:, None]
    a, b = (first + here).ravel(), (first + after).ravel()
    top, bottom, last = count * sides, count * sides + 1, (count - 1) * sides
    triangles = np.concatenate(
        [
            np.stack([a, b, b + sides], 1),
            np.stack([a, b + sides, a + sides], 1),
            np.stack([np.full(sides, top), after, here], 1),
            np.stack([np.full(sides, bottom), last + here, last + after], 1),
        ]
    )
    return Mesh(points, triangles.astype(np.int64))


# ---- laying ---------------------------------------------------------------------------------------------------------

Obstacle = Callable[[Points], tuple[Distances, Points]]
"""Points (N, 3) -> how far they are from what is in the way (N,), and the unit ways out of it (N, 3)."""


def solid(points_mm: Points, normals: Points, alike: bool = True) -> Obstacle:
    """What is bounded by a dense cloud of surface points (K, 3) with outward unit normals (K, 3).

    `alike`: it is the same on both sides, so that only its right half is looked at.
    """
    from scipy.spatial import cKDTree

    if alike:
        right = points_mm[:, 0] > -0.5
        points_mm, normals = points_mm[right], normals[right]
    tree = cKDTree(points_mm, balanced_tree=False, compact_nodes=False)

    def away(p: Points) -> tuple[Distances, Points]:
        mirror = np.where(p[:, :1] < 0.0, _MIRROR, 1.0) if alike else np.ones((1, 3))
        q = p * mirror
        way, near = tree.query(q)
        offset = q - points_mm[near]
        out = np.einsum("ij,ij->i", offset, normals[near]) > 0.0
        along = offset / np.maximum(way, 1e-9)[:, None]
        return np.where(out, way, -way), np.where((out & (way > 0.3))[:, None], along, normals[near]) * mirror

    return away


def tube_solid(line: Points, radius_mm: NDArray[np.float64]) -> Obstacle:
    """A tube as something in the way; its vertices (M, 3) are taken for its line."""
    from scipy.spatial import cKDTree

    tree = cKDTree(line)

    def away(p: Points) -> tuple[Distances, Points]:
        way, near = tree.query(p)
        return way - radius_mm[near], (p - line[near]) / np.maximum(way, 1e-9)[:, None]

    return away


def tube_points(line: Points, radius_mm: NDArray[np.float64], sides: int = 12) -> tuple[Points, Points]:
    """Points (K, 3) of a tube's surface and their outward normals (K, 3)."""
    frames = transported_frames(Curve(line))
    angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    normals = np.einsum("mij,sj->msi", frames[:, :, :2], ring)
    return (line[:, None] + radius_mm[:, None, None] * normals).reshape(-1, 3), normals.reshape(-1, 3)


def even(line: Points, spacing_mm: float) -> Points:
    """The line with vertices about `spacing_mm` apart, its ends kept."""
    curve = Curve(line)
    count = max(3, int(np.ceil(curve.length_mm / spacing_mm)) + 1)
    return curve.at(np.linspace(0.0, curve.length_mm, count))


def taut(
    lines: Sequence[Points],
    reach_mm: Sequence[NDArray[np.float64] | float],
    obstacles: Sequence[Obstacle],
    held: Sequence[tuple[int, int]],
    rounds: int = 24,
    pull: float = 0.5,
) -> list[Points]:
    """Each of `lines` (N, 3) drawn smooth like a string and pushed off `obstacles`, so that it hugs what it passes.

    Args:
        reach_mm: for each line, one number or (N,): how far its middle keeps from what is in the way.
        held: for each line, how many vertices stay at its start and at its end.
        rounds: how often it is drawn and pushed; the last third is drawn lightly.
        pull: how strongly a round draws, 0 to 1.
    """
    points = np.concatenate(lines)
    reach = np.concatenate(
        [np.broadcast_to(np.asarray(r, float), len(line)) for r, line in zip(reach_mm, lines, strict=True)]
    )
    ends = np.cumsum([len(line) for line in lines])[:-1]
    free = np.concatenate([_between(len(line), *ends_held) for line, ends_held in zip(lines, held, strict=True)])
    inner = np.concatenate([_between(len(line), 1, 1) for line in lines])
    drawn = np.flatnonzero(free & inner)
    moving = np.flatnonzero(free)
    for turn in range(rounds):
        draw = pull if turn < 2 * rounds // 3 else 0.15
        middle = (points[drawn - 1] + points[drawn + 1]) / 2
        points[drawn] = (1.0 - draw) * points[drawn] + draw * middle
        for obstacle in obstacles:
            way, out = obstacle(points[moving])
            lack = reach[moving] - way
            short = lack > 0.0
            points[moving[short]] += np.minimum(lack[short] + 0.01, 1.5)[:, None] * out[short]
    return np.split(points, ends)


def _between(count: int, start: int, end: int) -> NDArray[np.bool_]:
    """(count,) whether a vertex lies past the first `start` and before the last `end`."""
    place = np.arange(count)
    return (place >= start) & (place < count - end)
