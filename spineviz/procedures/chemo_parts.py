"""What exists in chemoembolization beside the body: arteries with what flows in them, devices, drug.

Devices are lines of the plan's passages with the sizes of the catalogue. Contrast and drug are told as cells with a
concentration each; on the stage contrast is a core in the lumen whose cross-section is its concentration, and particles
are beads, drawn larger than life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arteries import ArterialTree
from spineviz.anatomy.structure import RANKS, Cells, Structure
from spineviz.geometry.curves import Curve, tube_mesh
from spineviz.geometry.fields import Field, Points, box_bounds
from spineviz.geometry.meshes import Mesh, joined

FAINTEST = 0.04
"""A lower concentration of contrast is not drawn on the stage."""
FAINTEST_BLUSH = 0.002
"""A lower concentration in the tumour is not told."""
CORE = 0.93
"""How much of a lumen's radius undiluted contrast takes on the stage: the wall is to be seen; chosen for legibility."""
BEAD_MM = 0.34
"""Radius of the beads that stand for particles: larger than life; chosen for legibility."""
MOST_BEADS = 160
_CONTRAST_RANK = 43


def cells_of_both(arteries: Cells, tumour: Cells) -> Cells:
    """The cells of arteries and then those of the tumour as one."""
    return Cells(
        np.concatenate([arteries.points_mm, tumour.points_mm]),
        np.concatenate([arteries.volume_mm3, tumour.volume_mm3]),
        np.concatenate([arteries.cell, tumour.cell + len(arteries.share)]),
        np.concatenate([arteries.share, tumour.share]),
        f"{arteries.key}+{tumour.key}",
    )


def with_contrast(
    name: str,
    role: str,
    tree: ArterialTree,
    cells: Cells,
    where: Mapping[str, tuple[int, NDArray[np.float64]]],
    share: NDArray[np.float64],
    blush: float,
) -> Structure | None:
    """Contrast in the arteries, and in the tumour with the concentration `blush`; None where there is too little to
    see.

    Args:
        cells: of `cells_of_both`; only their shares are made anew.
        where: of `arterial_cells`; share: (C,) the concentration in each of its cells.
    """
    if float(share.max(initial=0.0)) < FAINTEST and blush < FAINTEST_BLUSH:
        return None
    held = _filled(cells, share, blush)
    filled = {n: _along(share, *where[n]) for n in where if _along(share, *where[n]).max() >= FAINTEST}
    tag = sha256(np.round(held.share, 4).tobytes()).hexdigest()[:16]

    def mesh(spacing_mm: float) -> Mesh:
        cores = [core for n in filled for core in _cores(tree, n, where[n][1], filled[n], spacing_mm)]
        return joined(*cores) if cores else Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))

    field = tree.field(filled) if filled else _nothing(tree)
    return Structure(name, role, "iohexol-300", field, mesh, f"{name}|{tree.key}|{tag}", _CONTRAST_RANK, cells=held)


def _filled(cells: Cells, share: NDArray[np.float64], blush: float) -> Cells:
    """`cells` with the concentration `share` (C,) in the arteries' and `blush` in the tumour's."""
    return replace(cells, share=np.concatenate([share, np.full(len(cells.share) - len(share), blush)]))


def _nothing(tree: ArterialTree) -> Field:
    middle = tree.branch("aorta").centreline.points_mm.mean(0)
    return Field(lambda p: np.full(len(p), 1e3), box_bounds(middle - 1.0, middle + 1.0))


def _along(share: NDArray[np.float64], first: int, ways: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the concentrations of one branch's cells."""
    return share[first : first + len(ways) - 1]


def _cores(
    tree: ArterialTree, name: str, ways: NDArray[np.float64], held: NDArray[np.float64], spacing_mm: float
) -> list[Mesh]:
    """The filled stretches of a branch as tubes whose cross-section goes with the concentration."""
    branch = tree.branch(name)
    middles = (ways[1:] + ways[:-1]) / 2
    step = max(0.8, 0.6 * spacing_mm)
    along = np.linspace(branch.wall_mm, branch.length_mm, max(3, int((branch.length_mm - branch.wall_mm) / step) + 1))
    there = np.interp(along, middles, held)
    seen = there >= FAINTEST
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(int)))
    out = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b - a < 3:
            continue
        radius = CORE * branch.radius_at(along[a:b]) * np.sqrt(np.minimum(there[a:b], 1.0))
        radius[[0, -1]] *= 0.6  # rounded off
        sides = 8 if branch.radius_mm.max() < 2.0 else 14
        out.append(tube_mesh(Curve(branch.centreline.at(along[a:b])), radius, sides))
    return out


def roadmap(tree: ArterialTree, cells: Cells, peak: NDArray[np.float64]) -> Structure:
    """The arteries of a stored angiogram at their strongest, for the operator's view: radiographs alone show it.

    `cells` of `cells_of_both`, `peak` (C,) the concentration in the arteries'.
    """
    tag = sha256(np.round(peak, 4).tobytes()).hexdigest()[:16]
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    return Structure(
        "roadmap", "roadmap", "iohexol-300", _nothing(tree), lambda _: empty, f"roadmap|{tree.key}|{tag}",
        _CONTRAST_RANK, cells=_filled(cells, peak, 0.0),
    )  # fmt: skip


# ---- drug -----------------------------------------------------------------------------------------------------------


def bead_places(tumour: Field, seed: int) -> Points:
    """(MOST_BEADS, 3) places in the tumour where particles lodge, from its middle outward, the same for a seed."""
    rng = np.random.default_rng([seed, 97])
    low, high = tumour.bounds_mm
    points = rng.uniform(low, high, (60 * MOST_BEADS, 3))
    depth = -tumour.distance(points)
    points = points[depth > BEAD_MM + 0.25][:MOST_BEADS]
    middle = points.mean(0)
    order = np.argsort(np.linalg.norm(points - middle, axis=1) * rng.uniform(0.6, 1.4, len(points)))
    return points[order]


def in_flight(line: Curve, drug_s: float, every_s: float, seed: int) -> Points:
    """(K, 3) beads of the pulse that is under way in the feeder, `drug_s` seconds after the first pulse began."""
    since = drug_s % every_s
    rng = np.random.default_rng([seed, int(drug_s / every_s), 5])
    start = rng.uniform(0.0, 0.25, 9)
    way = (since / every_s * 1.5 - start) * line.length_mm
    under_way = (way > 0.0) & (way < line.length_mm)
    return line.at(way[under_way]) if under_way.any() else np.zeros((0, 3))


def beads(points_mm: Points, key: str) -> Structure | None:
    """The particles with the drug as a structure "drug"; None where there are none."""
    if not len(points_mm):
        return None
    tag = sha256(np.round(points_mm, 3).tobytes()).hexdigest()[:16]

    def distance(p: Points) -> NDArray[np.float64]:
        from scipy.spatial import cKDTree

        return cKDTree(points_mm).query(p)[0] - BEAD_MM

    def mesh(_: float) -> Mesh:
        ball = _ball()
        return joined(*[ball.with_points(ball.points_mm + point) for point in points_mm])

    bounds = box_bounds(points_mm.min(0) - BEAD_MM, points_mm.max(0) + BEAD_MM)
    return Structure(
        "drug", "drug", "blood-iodine-15", Field(distance, bounds), mesh, f"drug|{key}|{tag}", RANKS["cement"]
    )


@cache
def _ball() -> Mesh:
    """An icosahedron, once divided, of the beads' size."""
    golden = (1.0 + 5.0**0.5) / 2.0
    base = np.array([[0, s, t * golden] for s in (-1, 1) for t in (-1, 1)], float)
    points = np.concatenate([base, base[:, [2, 0, 1]], base[:, [1, 2, 0]]])
    from scipy.spatial import ConvexHull

    hull = ConvexHull(points)
    edges = {
        tuple(sorted((int(a), int(b)))) for t in hull.simplices for a, b in ((t[0], t[1]), (t[1], t[2]), (t[0], t[2]))
    }
    points = np.concatenate([points, [(points[a] + points[b]) / 2 for a, b in sorted(edges)]])
    points = BEAD_MM * points / np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices.astype(np.int64)
    normal = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    turned = (normal * points[triangles].mean(1)).sum(1) < 0
    triangles[turned] = triangles[turned][:, ::-1]
    return Mesh(points, triangles)
