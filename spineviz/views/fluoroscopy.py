"""A simulated radiograph: Beer-Lambert along the rays of a cone beam, from the attenuation of each structure.

Where structures overlap, the one of higher rank takes the other's place: each adds, over its own extent, the
difference between its own coefficient and that of what lies under it. The line integral of every structure is
therefore an image of its own, kept by (key, pose, what lies under it), and a frame costs only what has moved.

Live fluoroscopy: dense is dark. Attenuation comes from `spineviz.anatomy.materials`; beam, detector and display from
assets/anatomy/beam.csv.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.geometry.fields import Field, Points, as_points, as_vector
from spineviz.geometry.frames import Frame, rotation_about
from spineviz.views.marks import (
    Colour,
    Grey,
    burn_edges,
    burn_text,
    edge_letters,
    rounded_mask,
    seen_from,
)
from spineviz.views.rasters import Shelf, blurred_wide, spline_weights

Image = NDArray[np.float32]
"""(rows, columns) line integral of attenuation, without unit, or the like."""
Seen = Callable[[Points, float], NDArray[np.bool_]]
"""Which of the points (N, 3) are seen, with a margin in mm."""
Absorption = Callable[[str], float]
"""Material -> linear attenuation, 1/mm."""

PROJECTIONS = ("ap", "lateral", "oblique")
_AXES = {
    # columns: right on screen, up on screen, towards the eye
    "ap": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "lateral": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
}
_BLOCK = 4
"""Voxels a side of the blocks in which the surface is looked for and in which the ground under a structure is taken."""
_STEEPNESS = 1.3
"""How steep a field that is not exact may be (a body that has lost a third of its height reads 1.5 times as steep, but
only within the body)."""
_NEEDLE_MM, _BALLOON_MM, _FAINT_MM = 0.45, 0.75, 1.6
"""Sizes of the cubes of cement and steel, of balloons, and of what hardly differs from water."""
_BONE_MM, _FAR_BONE_MM = (0.6, 0.75), (0.9, 1.2)
"""Those of bone, and of what reaches far beyond the picture (ribs), where pixels are small and where they are not."""
_FINE_PIXEL_MM = 0.3
_FAINT_PER_MM = 0.005
"""What differs from water by less leaves no edge that fine cubes would show."""
_VOIDS = ("cavity", "channel")
"""Roles that leave an edge although they hardly differ from water: bone ends at them."""
_PACKED_BY = ("balloon", "cavity")
"""Roles round which bone is packed: no packed bone lies in them."""
_LIKE_THE_SAC = ("cord", "root", "roots")
"""Roles that attenuate as the sac does in which they lie: they add nothing."""
_GROUND_EDGE_MM = 1.0
_DETECTOR_MM = 0.33
_SOFT_STEP_MM = 8.0
_SOFT_LATTICE_MM = 5.0
_NEVER_SETS_BRIGHTNESS = RANKS["cement"]
_BY_FAR = 10.0
"""A thing that attenuates so many times more than another takes its place without its being missed."""
_LEEWAY_MM = 10.0
"""How far what reaches beyond the picture may move until its cubes are chosen anew."""
_MOST_CUBES_BYTES, _MOST_IMAGES_BYTES = 12_000_000, 6_000_000
"""Cubes held by all monitors, and images by each, beyond those of what moves just now."""
_KEPT_SUMS = 3


@cache
def beam(name: str) -> float:
    """One number of assets/anatomy/beam.csv; KeyError for a name that it has not."""
    from spineviz.data.assets import asset
    from spineviz.data.tables import sourced_table

    return float(sourced_table(asset("anatomy", "beam.csv"))[name].value)


@cache
def absorption_per_mm(material: str) -> float:
    """The linear attenuation of `material` at the beam's energy, 1/mm; KeyError for an unknown one."""
    from spineviz.anatomy.materials import attenuation

    return attenuation(material, beam("beam_kev")).value / 10.0


@lru_cache(maxsize=4)
def _bone_line(absorption: Absorption) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bone volume shares (K,), rising from marrow to cortex, and the coefficients (K,) there, 1/mm."""
    from spineviz.anatomy.materials import materials

    rows = {row.bone_share: row.name for row in materials().values() if row.bone_share is not None}
    shares = sorted(rows)
    return np.array(shares), np.array([absorption(rows[share]) for share in shares])


def bone_absorption_per_mm(
    bone_share: NDArray[np.floating], absorption: Absorption = absorption_per_mm
) -> NDArray[np.float64]:
    """The coefficient of marrow with a share `bone_share` (any shape, 0 to 1) of bone in it, 1/mm: it goes with the
    mass of bone in the way, on a line between the rows of the table that have a share."""
    return np.interp(bone_share, *_bone_line(absorption))


@dataclass(frozen=True, eq=False)
class Projection:
    """Where source and detector stand.

    Attributes:
        name: "ap", "lateral" or "oblique".
        world_from_view: x is right and y up on screen, z points to the detector and the eye; its origin, the isocentre,
            is the picture's centre.
        field_of_view_mm: what the picture's shorter side shows at the isocentre.
        source_to_isocentre_mm, source_to_detector_mm: along the central ray.
    """

    name: str
    world_from_view: Frame
    field_of_view_mm: float
    source_to_isocentre_mm: float
    source_to_detector_mm: float

    @property
    def source_mm(self) -> NDArray[np.float64]:
        """(3,) the focal spot, world frame."""
        return self.world_from_view.point([0.0, 0.0, -self.source_to_isocentre_mm])

    @property
    def world_from_detector(self) -> Frame:
        """The detector's plane: the same axes, its origin where the central ray meets it."""
        away = self.source_to_detector_mm - self.source_to_isocentre_mm
        return Frame(self.world_from_view.rotation, self.world_from_view.point([0.0, 0.0, away]))

    @property
    def magnification(self) -> float:
        """How much larger than life a thing at the isocentre is on the detector."""
        return self.source_to_detector_mm / self.source_to_isocentre_mm

    @cached_property
    def key(self) -> str:
        """The same for projections that give the same picture."""
        numbers = [
            *self.world_from_view.matrix[:3].ravel(),
            self.field_of_view_mm,
            self.source_to_isocentre_mm,
            self.source_to_detector_mm,
        ]
        return self.name + ":" + ",".join(f"{v:.4f}" for v in numbers)

    def flat(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the rays through `points_mm` (N, 3) cross the isocentre's plane, (N, 2) mm right and up of the centre,
        and how far along the central ray the points lie from the source, (N,) mm."""
        local = (as_points(points_mm) - self.world_from_view.origin_mm) @ self.world_from_view.rotation
        depth = local[:, 2] + self.source_to_isocentre_mm
        return local[:, :2] * (self.source_to_isocentre_mm / depth)[:, None], depth


def projection(
    name: str,
    centre_mm: ArrayLike = (0.0, 0.0, 0.0),
    field_of_view_mm: float = 150.0,
    turn_deg: float | None = None,
    tilt_deg: float = 0.0,
) -> Projection:
    """A C-arm's projection.

    Args:
        name: "ap" (patient prone, seen from behind: left on screen left), "lateral" (head up, front on screen left) or
            "oblique" (from behind, the detector turned to one side).
        centre_mm: (3,) the isocentre, world frame.
        field_of_view_mm: what the picture's shorter side shows there.
        turn_deg: of the detector about the patient's long axis, towards the patient's right (in a lateral, towards
            the back); by default 0, for "oblique" the table's.
        tilt_deg: of the detector towards the head.

    Raises:
        ValueError: for another name, or a field of view of 0 or less.
    """
    if name not in PROJECTIONS:
        raise ValueError(f"projection name {name!r}; there is {', '.join(PROJECTIONS)}")
    if not field_of_view_mm > 0:
        raise ValueError(f"field_of_view_mm must be more than 0, got {field_of_view_mm}")
    turn = turn_deg if turn_deg is not None else (beam("oblique_turn_deg") if name == "oblique" else 0.0)
    axes = Frame(_AXES["lateral" if name == "lateral" else "ap"], np.zeros(3))
    turned = rotation_about([0.0, 0.0, 1.0], turn) @ axes
    tilted = turned @ rotation_about([1.0, 0.0, 0.0], -tilt_deg)
    return Projection(
        name,
        Frame(tilted.rotation, as_vector(centre_mm, "centre_mm")),
        float(field_of_view_mm),
        beam("source_to_isocentre_mm"),
        beam("source_to_detector_mm"),
    )


# --- what a structure is made of, as weighted points ---


@dataclass(frozen=True, eq=False)
class Voxels:
    """A structure as small cubes in its local frame.

    Attributes:
        points_mm: (N, 3) centres.
        volume_mm3: (N,) how much of each cube the structure takes.
        weight_mm2: (N,) that volume times its own attenuation.
        block: (N,) the block in which each cube lies.
        block_points_mm: (B, 3) where what lies under a block is asked for.
    """

    points_mm: NDArray[np.float32]
    volume_mm3: NDArray[np.float32]
    weight_mm2: NDArray[np.float32]
    block: NDArray[np.int32]
    block_points_mm: NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return sum(array.nbytes for array in vars(self).values())


def _occupancy(distance_mm: NDArray, spacing_mm: float) -> NDArray[np.float32]:
    return np.clip(0.5 - distance_mm / spacing_mm, 0.0, 1.0).astype(np.float32)


def _corners(bounds_mm: NDArray[np.float64]) -> Points:
    low, high = bounds_mm
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def _cell(count: int, step_mm: float) -> Points:
    """(count^3, 3) places of `count` equal steps on each axis, centred on 0."""
    offsets = (np.arange(count) - (count - 1) / 2) * step_mm
    return np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), axis=-1).reshape(-1, 3)


def _reach(side_mm: float, exact: bool) -> float:
    """How far from a cube's middle its surface may read, mm: half its diagonal; more for a field that is not exact."""
    return float(np.sqrt(3.0) / 2 * side_mm * (1.0 if exact else _STEEPNESS))


def _blocks_near(
    structure: Structure, side_mm: float, margin_mm: float, seen: Seen | None
) -> tuple[Points, NDArray[np.float64]]:
    """The middles (B, 3) in the local frame of the cubes of `side_mm` that `structure` may reach and that are `seen`,
    and its distances there (B,). Wider cubes are asked first, so that a thin thing in a wide box costs little."""
    pose, exact = structure.world_from_local, structure.field.exact
    carried = pose.inverse().points(_corners(structure.field.bounds_mm))
    wide = 4 * side_mm
    # the lattice is tied to the local origin, so that a structure that grows keeps its cubes
    first = np.floor((carried.min(0) - margin_mm) / wide).astype(int)
    count = np.ceil((carried.max(0) + margin_mm) / wide).astype(int) - first
    axes = [(first[i] + np.arange(count[i]) + 0.5) * wide for i in range(3)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.zeros(len(middles))
    for side in (wide, wide / 2, wide / 4):
        if side != wide:
            middles = (middles[:, None, :] + _cell(2, side)).reshape(-1, 3)
        world = pose.points(middles)
        if seen is not None:
            kept = seen(world, side)
            middles, world = middles[kept], world[kept]
        distance = structure.field.distance(world)
        near = distance < _reach(side, exact) + margin_mm
        middles, distance = middles[near], distance[near]
        if not len(middles):
            break
    return middles, distance


_HALVES = np.array([[1.25, -0.25], [0.75, 0.25], [0.25, 0.75], [-0.25, 1.25]])
"""What is known in the middles of the two halves of a block, carried on a line to the middles of its four cubes."""
_CUBES_FROM_OCTANTS = np.einsum("ia,jb,kc->ijkabc", _HALVES, _HALVES, _HALVES).reshape(_BLOCK**3, 8)
_CUBE_OF_OCTANT = np.arange(_BLOCK**3).reshape(2, 2, 2, 2, 2, 2).transpose(0, 2, 4, 1, 3, 5).reshape(8, 8)
"""(octant, place in it) -> the cube of the block, counted with z fastest."""


def _filled(
    shapes: Sequence[Field],
    middles_mm: Points,
    at_middle_mm: NDArray,
    turn: NDArray,
    spacing_mm: float,
    spare_mm: float,
) -> NDArray[np.float32]:
    """How much of each small cube of each block the `shapes` take, (shapes, B, cubes): asked in full only near their
    surfaces, and all of them at the same points, so that what they share is worked out once.

    `middles_mm` (B, 3) lie in the world, `turn` is the world_from_local rotation, `at_middle_mm` (shapes, B) are the
    distances at the middles; fields that are not exact may read `spare_mm` too much.
    """
    share = np.zeros((len(shapes), len(middles_mm), _BLOCK**3), np.float32)
    side = _BLOCK * spacing_mm
    octants, cubes = _cell(2, side / 2) @ turn.T, _cell(2, spacing_mm) @ turn.T

    def edges(distance_mm: NDArray, wide_mm: float) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """What lies wholly inside each shape, and what any surface may run through."""
        spare = np.array([0.0 if f.exact else spare_mm for f in shapes])
        reach = np.array([_reach(wide_mm - spacing_mm, f.exact) for f in shapes]) + spacing_mm / 2 + spare
        reach = reach[:, None]
        return distance_mm <= -reach, np.flatnonzero((np.abs(distance_mm) < reach).any(axis=0))

    full, edge = edges(at_middle_mm, side)
    share[full] = 1.0
    for chunk in np.array_split(edge, max(1, len(edge) // 512 + 1)):
        if not len(chunk):
            continue
        points = (middles_mm[chunk, None, :] + octants).reshape(-1, 3)
        full, near = edges(np.array([shape.distance(points) for shape in shapes]), side / 2)
        fine = (points[near, None, :] + cubes).reshape(-1, 3)
        for k, shape in enumerate(shapes):
            part = full[k, :, None].repeat(8, axis=1).astype(np.float32)
            part[near] = _occupancy(shape.distance(fine), spacing_mm).reshape(len(near), 8)
            share[k, chunk[:, None, None], _CUBE_OF_OCTANT] = part.reshape(len(chunk), 8, 8)
    return share


def voxels(
    structure: Structure,
    spacing_mm: float,
    absorption: Absorption,
    mottle: float = 0.0,
    seen: Seen | None = None,
) -> Voxels:
    """`structure` as cubes of `spacing_mm`, antialiased at its surfaces, evaluated in full only near them.

    `mottle` varies the density of the core by that share of itself, as struts and marrow do; where bone was crushed the
    pattern is carried along. Where `seen` says no to points of the world (with a margin), the cubes are left out.
    """
    pose = structure.world_from_local
    middles, distance = _blocks_near(structure, _BLOCK * spacing_mm, spacing_mm, seen)
    cell = _cell(_BLOCK, spacing_mm)
    world = pose.points(middles) if len(middles) else middles
    core = structure.core if structure.core_material is not None else None
    shapes, at_middle = [structure.field], [distance]
    if core is not None:
        shapes, at_middle = [structure.field, core], [distance, core.distance(world)]
    # the field of a broken bone says too little rather than too much
    spare = 0.0 if structure.healthy is not None else _STEEPNESS * 2.0 * spacing_mm
    share, *inside = _filled(shapes, world, np.array(at_middle), pose.rotation, spacing_mm, spare)
    kept = share.any(axis=1)
    middles, world, share = middles[kept], world[kept], share[kept]
    own = absorption(structure.material)
    coefficient = np.full(share.shape, own, np.float32)
    if len(world) and (inside or structure.bone_share is not None):
        inner, places = _marrow(structure, middles, world, cell, spacing_mm, absorption)
        if mottle:
            inner = inner * (1.0 + mottle * _mottle(places).reshape(share.shape))
        # the weight is own * shell + inner * core; kept as a coefficient so that one multiplication remains
        within = np.minimum(inside[0][kept], share) if inside else share
        coefficient = (own + (inner - own) * within / np.maximum(share, 1e-6)).astype(np.float32)
    used = share > 0.0
    block = np.repeat(np.arange(len(middles), dtype=np.int32), len(cell)).reshape(share.shape)[used]
    places = (middles[:, None, :] + cell)[used].astype(np.float32)
    volume = share[used] * np.float32(spacing_mm**3)
    total = np.maximum(np.bincount(block, volume, len(middles)), 1e-12)
    heart = np.stack([np.bincount(block, volume * places[:, i], len(middles)) / total for i in range(3)], axis=1)
    return Voxels(places, volume, (volume * coefficient[used]).astype(np.float32), block, heart)


def _marrow(
    structure: Structure,
    middles_mm: Points,
    world_mm: Points,
    cell_mm: Points,
    spacing_mm: float,
    absorption: Absorption,
) -> tuple[NDArray | float, NDArray[np.float32]]:
    """The coefficient of the core (or of the whole, where there is none) in each cube of each block, (B, cubes) or one
    for all, and where the tissue of the cubes grew, (B * cubes, 3) mm in the local frame.

    What a broken bone says of itself is asked in the middles of the blocks' octants and carried on from there.
    """
    name = structure.core_material if structure.core is not None else structure.material
    inner: NDArray | float = absorption(str(name))
    octants = _cell(2, _BLOCK / 2 * spacing_mm) @ structure.world_from_local.rotation.T
    points = (world_mm[:, None, :] + octants).reshape(-1, 3)
    if structure.bone_share is not None:
        known = np.asarray(structure.bone_share(points)).reshape(len(world_mm), 8)
        # where there is no bone at all, as in a balloon, nothing is said of the bone beside it
        beside = known.max(axis=1, keepdims=True)
        known = np.where(known > 0.0, known, np.where(beside > 0.0, beside, known.max(initial=0.0)))
        inner = bone_absorption_per_mm(np.maximum(known @ _CUBES_FROM_OCTANTS.T, 0.0), absorption)
    if structure.healthy is None:
        return inner, (middles_mm[:, None, :] + cell_mm).reshape(-1, 3).astype(np.float32)
    grown = np.asarray(structure.healthy(points), np.float32).reshape(len(world_mm), 8, 3).transpose(0, 2, 1)
    places = grown.reshape(-1, 8) @ _CUBES_FROM_OCTANTS.T.astype(np.float32)
    return inner, places.reshape(len(world_mm), 3, -1).transpose(0, 2, 1).reshape(-1, 3)


@lru_cache(maxsize=1)
def _mottle_tile() -> NDArray[np.float32]:
    """A periodic pattern (48, 48, 48) of mean 0 and deviation 1, one value a millimetre, drawn out along z."""
    rng = np.random.default_rng(20)
    n = 48
    k = np.fft.fftfreq(n)
    radius = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + (2.2 * k[None, None, :]) ** 2)
    band = np.exp(-(((radius - 0.28) / 0.12) ** 2))
    tile = np.fft.ifftn(np.fft.fftn(rng.standard_normal((n, n, n))) * band).real
    return ((tile - tile.mean()) / tile.std()).astype(np.float32)


def _mottle(points_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    tile = _mottle_tile()
    index = np.floor(points_mm).astype(np.int32) % len(tile)
    return tile[index[:, 0], index[:, 1], index[:, 2]]


# --- images of line integrals ---


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where an image is sampled on the isocentre's plane: `columns` by `rows`, centred, row 0 at the top."""

    rows: int
    columns: int
    spacing_mm: float

    @property
    def right_mm(self) -> NDArray[np.floating]:
        """(columns,) positions from left to right."""
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.spacing_mm

    @property
    def up_mm(self) -> NDArray[np.floating]:
        """(rows,) positions from top to bottom, so falling."""
        return ((self.rows - 1) / 2 - np.arange(self.rows)) * self.spacing_mm


def _lattice_over(size_px: tuple[int, int], mm_per_px: float, spacing_mm: float) -> Lattice:
    """A lattice of about `spacing_mm` (never finer than the pixels) that reaches two cells past the picture."""
    if spacing_mm <= mm_per_px:
        return Lattice(size_px[1], size_px[0], mm_per_px)
    columns, rows = (int(np.ceil(n * mm_per_px / spacing_mm)) + 5 for n in size_px)
    return Lattice(rows, columns, spacing_mm)


def splat(seen: Projection, lattice: Lattice, points_mm: NDArray, weight_mm2: NDArray) -> NDArray[np.float32]:
    """The line integrals of small bodies: (rows, columns).

    Each point (N, 3) mm, world frame, carries a volume times a coefficient, mm^2; it is spread over 3 by 3 cells by a
    quadratic spline, which keeps its whole weight.
    """
    rows, columns, step = lattice.rows, lattice.columns, lattice.spacing_mm
    view = seen.world_from_view
    local = (points_mm - view.origin_mm.astype(np.float32)) @ view.rotation.astype(np.float32)
    far = np.float32(seen.source_to_isocentre_mm)
    scale = far / (local[:, 2] + far)
    u, v = local[:, 0] * scale, local[:, 1] * scale
    # a cell's bundle of rays has the section step^2/scale^2 here, and slanted rays run longer in it by 1/cosine
    amount = weight_mm2 * scale**2 * np.sqrt(1.0 + (u * u + v * v) / far**2) / np.float32(step**2)
    x = u / np.float32(step) + np.float32((columns - 1) / 2)
    y = np.float32((rows - 1) / 2) - v / np.float32(step)
    i, j = np.rint(x).astype(np.int32), np.rint(y).astype(np.int32)
    kept = (i >= 0) & (i < columns) & (j >= 0) & (j < rows)
    if not kept.all():
        x, y, i, j, amount = x[kept], y[kept], i[kept], j[kept], amount[kept]
    a, b = x - i, y - j
    across = (0.5 * (0.5 - a) ** 2, 0.75 - a * a, 0.5 * (0.5 + a) ** 2)
    down = (0.5 * (0.5 - b) ** 2, 0.75 - b * b, 0.5 * (0.5 + b) ** 2)
    wide = columns + 2
    out = np.zeros((rows + 2) * wide)
    cell = ((j + 1) * wide + i + 1).astype(np.intp)
    for dy in (-1, 0, 1):
        line = amount * down[dy + 1]
        for dx in (-1, 0, 1):
            # counted at the middle cell and then shifted: no new index for each of the nine
            shift = dy * wide + dx
            part = np.bincount(cell, line * across[dx + 1], len(out))
            out[max(shift, 0) : len(out) + min(shift, 0)] += part[max(-shift, 0) : len(out) - max(shift, 0)]
    return out.reshape(rows + 2, wide)[1:-1, 1:-1].astype(np.float32)


def _order(structure: Structure) -> tuple[int, str]:
    """Who wins: the higher rank, and among equals the later name."""
    return structure.rank, structure.name


def _touch(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool((a[0] <= b[1]).all() and (b[0] <= a[1]).all())


def _laid_over(
    ground: NDArray[np.float64], structure: Structure, points_mm: Points, edge_mm: float, absorption: Absorption
) -> None:
    """Lay `structure` over the coefficients `ground` (N,) at `points_mm` (N, 3), in place."""
    low, high = structure.field.bounds_mm
    near = np.flatnonzero(((points_mm >= low - edge_mm) & (points_mm <= high + edge_mm)).all(axis=1))
    if not len(near):
        return
    there = points_mm[near]
    share = _occupancy(structure.field.distance(there), edge_mm)
    own: NDArray | float = absorption(structure.material)
    inner: NDArray | float | None = None
    if structure.bone_share is not None:
        inner = bone_absorption_per_mm(structure.bone_share(there), absorption)
    elif structure.core_material is not None:
        inner = absorption(structure.core_material)
    if inner is not None:
        inside = 1.0 if structure.core is None else _occupancy(structure.core.distance(there), edge_mm)
        own = own + (inner - own) * inside
    ground[near] += share * (own - ground[near])


def _under(structure: Structure, present: Sequence[Structure]) -> list[Structure]:
    """What may lie where `structure` is, from the lowest rank up. Bones, discs and the sac never share room with each
    other, so only soft tissue lies under them; tumour, cleft, cement and steel lie in any of them."""
    highest = structure.rank if structure.rank >= RANKS["cleft"] else RANKS["fat"]
    return [
        s
        for s in present
        if s.rank <= highest
        and _order(s) < _order(structure)
        and s.role not in _LIKE_THE_SAC
        and _touch(structure.field.bounds_mm, s.field.bounds_mm)
    ]


def absorption_at(
    structures: Sequence[Structure], points_mm: Points, edge_mm: float, absorption: Absorption
) -> NDArray[np.float64]:
    """The coefficient (N,) 1/mm at `points_mm` (N, 3): air, and over it each structure by rank, with surfaces softened
    over `edge_mm`."""
    ground = np.full(len(points_mm), absorption("air"))
    for structure in sorted(structures, key=_order):
        _laid_over(ground, structure, points_mm, edge_mm, absorption)
    return ground


def _pose_key(structure: Structure) -> str:
    return structure.key + "@" + ",".join(f"{v:.3f}" for v in structure.world_from_local.matrix[:3].ravel())


# --- the picture ---


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Cubes, and the pose in which those were chosen that a picture sees."""

    body: Voxels
    pose: Frame


def _bytes(image: NDArray) -> int:
    return image.nbytes


_shared_voxels: Shelf[_Chosen] = Shelf(lambda chosen: chosen.body.nbytes, _MOST_CUBES_BYTES)
"""The cubes of structures: two views of one patient need them once."""
_shared_grounds: Shelf[NDArray[np.float64]] = Shelf(_bytes, _MOST_CUBES_BYTES // 8)
"""What lies under the blocks of those cubes."""


@dataclass(frozen=True, eq=False)
class _Tone:
    """How densities are shown: that of the middle, what is evened out (H, W), and those of the bright and dark end."""

    level: float
    slow: Image
    bright: float
    dark: float


@dataclass(frozen=True, eq=False)
class _Anatomy:
    """The line integral of everything but instruments and cement, (H, W), and how it is shown."""

    total: Image
    tone: _Tone


@dataclass(eq=False)
class Fluoroscope:
    """A C-arm with its monitor: pictures of structures through one projection.

    Attributes:
        size_px: width and height of the picture; the monitor takes all of it.
        projection: where source and detector stand.
        seed: of the noise.
        text_px: size of the burnt-in type; by default 24 pixels on a panel of 415.
        words: whether "seen from ..." and the pulse counter are burnt in beside the letters.
        absorption: material -> 1/mm; by default the table of the project.
    """

    size_px: tuple[int, int]
    projection: Projection
    seed: int = 0
    text_px: float | None = None
    words: bool = True
    absorption: Absorption = absorption_per_mm
    _images: Shelf[Image] = field(default_factory=lambda: Shelf(_bytes, _MOST_IMAGES_BYTES), repr=False)
    _sums: OrderedDict[tuple, _Anatomy] = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        width, height = self.size_px
        if min(width, height) < 16:
            raise ValueError(f"size_px must be at least 16 by 16, got {width} by {height}")
        self.mm_per_px = self.projection.field_of_view_mm / min(width, height)
        self._pixels = Lattice(height, width, self.mm_per_px)
        self._lattices: dict[float, Lattice] = {self.mm_per_px: self._pixels}
        self._soft = _lattice_over(self.size_px, self.mm_per_px, max(_SOFT_LATTICE_MM, self.mm_per_px))
        self._up: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    # what the film overlays

    def project(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2) from the top left of `points_mm` (N, 3), and how far each lies from the source, (N,) mm."""
        flat, depth = self.projection.flat(points_mm)
        width, height = self.size_px
        return np.stack([width / 2 + flat[:, 0] / self.mm_per_px, height / 2 - flat[:, 1] / self.mm_per_px], 1), depth

    @property
    def mask(self) -> Grey:
        """(H, W) how much of each pixel the rounded monitor takes, 0 to 1."""
        return rounded_mask(self.size_px, 0.05 * min(self.size_px))

    # line integrals

    def attenuation(self, structures: Mapping[str, Structure], instruments: bool = True) -> Image:
        """The line integral of attenuation for every pixel, (H, W): minus the logarithm of the light that is left.

        Without `instruments` cement and steel are left out.
        """
        present = self._present(structures)
        total = self._anatomy(present).total
        return total + self._instruments(present) if instruments else total.copy()

    def _present(self, structures: Mapping[str, Structure]) -> list[Structure]:
        """`structures` in order of rank; a picture begins."""
        for shelf in (_shared_voxels, _shared_grounds, self._images):
            shelf.turn()
        return sorted(structures.values(), key=_order)

    def _instruments(self, present: Sequence[Structure]) -> Image:
        """What cement and steel add, on pixels."""
        total = np.zeros((self._pixels.rows, self._pixels.columns), np.float32)
        for structure in present:
            if structure.rank >= _NEVER_SETS_BRIGHTNESS and self._in_beam(structure):
                total += self._upsampled(*self._own_image(structure, present))
        return total

    def _anatomy(self, present: Sequence[Structure]) -> _Anatomy:
        """Everything but instruments and cement, on pixels; kept while nothing of it changes."""
        soft = [s for s in present if s.rank <= RANKS["fat"]]
        still = [
            s
            for s in present
            if RANKS["fat"] < s.rank < _NEVER_SETS_BRIGHTNESS and s.role not in _LIKE_THE_SAC and self._in_beam(s)
        ]
        key = tuple(_pose_key(s) for s in (*soft, *still))
        if key not in self._sums:
            background = self._upsampled(self._soft_image(soft), self._soft)
            sums: dict[float, Image] = {}
            for structure in still:
                image, lattice = self._own_image(structure, [*soft, *still])
                sums[lattice.spacing_mm] = sums.get(lattice.spacing_mm, 0.0) + image
            total = background.copy()
            for spacing, image in sums.items():
                total += self._upsampled(image, self._lattices[spacing])
            self._sums[key] = _Anatomy(total, self._tone(total, background))
            while len(self._sums) > _KEPT_SUMS:
                self._sums.popitem(last=False)
        self._sums.move_to_end(key)
        return self._sums[key]

    def _in_beam(self, structure: Structure) -> bool:
        flat, _ = self.projection.flat(_corners(structure.field.bounds_mm))
        reach = np.array(self.size_px) / 2 * self.mm_per_px + 3.0
        return bool((flat.min(0) < reach).all() and (flat.max(0) > -reach).all())

    def _sees(self, points_mm: Points, margin_mm: float) -> NDArray[np.bool_]:
        """Which of `points_mm` (N, 3) lie within the picture grown by `margin_mm` at the isocentre, (N,)."""
        reach = np.array(self.size_px) / 2 * self.mm_per_px + margin_mm
        return np.asarray((np.abs(self.projection.flat(points_mm)[0]) < reach).all(axis=1), bool)

    def _own_image(self, structure: Structure, present: Sequence[Structure]) -> tuple[Image, Lattice]:
        """What `structure` adds to the picture, over what lies under it."""
        spacing, lattice = self._raster(structure)
        under = self._covered(structure, present)
        key = (_pose_key(structure), *(_pose_key(s) for s in under))
        image = self._images.get(structure.name, key, lambda: self._projected(structure, under, spacing, lattice))
        return image, lattice

    def _projected(self, structure: Structure, under: Sequence[Structure], spacing: float, lattice: Lattice) -> Image:
        body, pose = self._voxels(structure, spacing), structure.world_from_local
        weight = body.weight_mm2
        if len(weight):
            weight = weight - body.volume_mm3 * self._ground(structure, body, spacing, under)[body.block]
        world = body.points_mm @ pose.rotation.T.astype(np.float32) + pose.origin_mm.astype(np.float32)
        return splat(self.projection, lattice, world, weight)

    def _covered(self, structure: Structure, present: Sequence[Structure]) -> list[Structure]:
        """What `structure` takes the place of, as far as it would be missed: steel hides bone in any case, plastic is
        seen in air alone, and packed bone leaves room for what it was packed by."""
        own, under = self.absorption(structure.material), _under(structure, present)
        if structure.rank >= RANKS["steel"]:
            under = [s for s in under if own <= _BY_FAR * self.absorption(s.material)]
            if self._is_faint(structure):
                return [s for s in under if s.rank <= RANKS["fat"]]
        return [s for s in under if s.role != "rim" or structure.role not in _PACKED_BY]

    def _is_faint(self, structure: Structure) -> bool:
        """Whether it differs from water by too little to leave an edge."""
        plain = structure.bone_share is None and structure.role not in _VOIDS
        return plain and abs(self.absorption(structure.material) - self.absorption("water")) < _FAINT_PER_MM

    def _ground(
        self, structure: Structure, body: Voxels, spacing: float, under: Sequence[Structure]
    ) -> NDArray[np.float32]:
        """The coefficient of what lies under each block of `structure`; what stands still there is kept."""
        points = structure.world_from_local.points(body.block_points_mm)
        still = [s for s in under if s.rank < _NEVER_SETS_BRIGHTNESS]
        thing = self._voxels_thing(structure, spacing)
        version = (_pose_key(structure), len(points), *(_pose_key(s) for s in still))
        kept = _shared_grounds.get(
            thing, version, lambda: absorption_at(still, points, _GROUND_EDGE_MM, self.absorption)
        )
        ground = kept.copy()
        for moving in under[len(still) :]:
            _laid_over(ground, moving, points, _GROUND_EDGE_MM, self.absorption)
        return ground.astype(np.float32)

    def _raster(self, structure: Structure) -> tuple[float, Lattice]:
        """The size of the cubes for `structure`, mm, and the lattice on which they are laid.

        One cube, or a whole number of them, to a cell: else the two rasters beat, and stripes show.
        """
        own, water = self.absorption(structure.material), self.absorption("water")
        if structure.rank >= _NEVER_SETS_BRIGHTNESS and own > 3 * water:
            finest = _BALLOON_MM if structure.role == "balloon" else _NEEDLE_MM
            return self.mm_per_px / float(np.ceil(self.mm_per_px / finest)), self._pixels
        if self._is_faint(structure):
            spacing = _FAINT_MM
        else:
            sizes = _BONE_MM if self._is_small(structure) else _FAR_BONE_MM
            spacing = sizes[self.mm_per_px >= _FINE_PIXEL_MM]
        spacing = max(spacing, self.mm_per_px)
        if spacing not in self._lattices:
            self._lattices[spacing] = _lattice_over(self.size_px, self.mm_per_px, spacing)
        return spacing, self._lattices[spacing]

    def _is_small(self, structure: Structure) -> bool:
        return bool(np.ptp(structure.field.bounds_mm, axis=0).max() < 0.8 * max(self.size_px) * self.mm_per_px)

    def _voxels_thing(self, structure: Structure, spacing: float) -> tuple:
        """What is small is made whole, once for every view and pose; of a rib only what is seen is made."""
        view = "" if self._is_small(structure) else f"{self.projection.key}{self.size_px}"
        return structure.name, round(spacing, 4), self.absorption, view

    def _voxels(self, structure: Structure, spacing: float) -> Voxels:
        thing, version = self._voxels_thing(structure, spacing), (structure.key, structure.material)
        mottle = beam("trabecular_mottle") if structure.core is not None else 0.0
        low_high = _corners(structure.field.bounds_mm)
        whole = self._is_small(structure)

        def choose() -> _Chosen:
            leeway = _LEEWAY_MM * self._most_magnified(low_high)
            seen: Seen | None = None if whole else (lambda p, margin: self._sees(p, margin + leeway))
            return _Chosen(voxels(structure, spacing, self.absorption, mottle, seen), structure.world_from_local)

        found = _shared_voxels.get(thing, version, choose)
        if not whole:
            # what was chosen in another pose serves while nothing has moved further than the margin
            there = found.pose.points(structure.world_from_local.inverse().points(low_high))
            if float(np.linalg.norm(there - low_high, axis=1).max()) > _LEEWAY_MM:
                _shared_voxels.drop(thing, version)
                found = _shared_voxels.get(thing, version, choose)
        return found.body

    def _most_magnified(self, points_mm: Points) -> float:
        """How much larger a step at one of `points_mm` (N, 3) may be at the isocentre."""
        _, depth = self.projection.flat(points_mm)
        return 1.5 * self.projection.source_to_isocentre_mm / max(1.0, float(depth.min()))

    def _soft_image(self, soft: Sequence[Structure]) -> Image:
        """The line integral of skin, muscle, lung and fat, by marching the rays through them in wide steps."""
        lattice = self._soft
        return self._images.get("soft", tuple(_pose_key(s) for s in soft), lambda: self._marched(soft, lattice))

    def _marched(self, soft: Sequence[Structure], lattice: Lattice) -> Image:
        out = np.zeros((lattice.rows, lattice.columns), np.float32)
        if soft:
            view, far = self.projection.world_from_view, self.projection.source_to_isocentre_mm
            corners = np.concatenate([_corners(s.field.bounds_mm) for s in soft])
            depth = ((corners - view.origin_mm) @ view.rotation)[:, 2] + far
            first, last = max(1.0, depth.min() - _SOFT_STEP_MM), depth.max() + _SOFT_STEP_MM
            count = int(np.ceil((last - first) / _SOFT_STEP_MM))
            step = (last - first) / count
            u, v = np.meshgrid(lattice.right_mm, lattice.up_mm)
            flat = np.stack([u.ravel(), v.ravel(), np.full(u.size, far)], axis=1)
            slant = np.linalg.norm(flat, axis=1) / far
            rays = (flat / far) @ view.rotation.T
            along = first + (np.arange(count) + 0.5) * step
            there = self.projection.source_mm + along[:, None, None] * rays
            met = absorption_at(soft, there.reshape(-1, 3), step, self.absorption).reshape(count, -1)
            total = np.zeros(u.size)
            for one in met:  # one after the other: pairwise sums would differ in the last digit
                total += one
            out = (total * step * slant).reshape(u.shape).astype(np.float32)
        return out

    def _upsampled(self, image: Image, lattice: Lattice) -> Image:
        if lattice is self._pixels or lattice.spacing_mm == self._pixels.spacing_mm:
            return image
        if id(lattice) not in self._up:
            down = -spline_weights(-self._pixels.up_mm, -lattice.up_mm[0], lattice.spacing_mm, lattice.rows)
            across = spline_weights(self._pixels.right_mm, lattice.right_mm[0], lattice.spacing_mm, lattice.columns)
            self._up[id(lattice)] = (-down, across.T.copy())
        down, across = self._up[id(lattice)]
        return np.asarray(down @ image @ across, np.float32)

    # what the monitor shows

    def brightness(self, structures: Mapping[str, Structure], time_s: float = 0.0, live: bool = True) -> Grey:
        """The monitor's picture without marks, (H, W) 0 to 1.

        Automatic brightness looks at the anatomy alone, so instruments and cement do not change it and a frame depends
        on nothing that was drawn before. The noise belongs to the seed and the pulse; without `live` it stands still.
        """
        from scipy.ndimage import gaussian_filter

        present = self._present(structures)
        anatomy = self._anatomy(present)
        tone, px = anatomy.tone, self.mm_per_px
        # blur and scatter act on the evened picture: scatter comes from the tissue, not from the free beam beside it
        light = np.exp(tone.level + tone.slow - anatomy.total - self._instruments(present))
        scattered = blurred_wide(np.minimum(light, 2.0), beam("scatter_spread_mm") / px, self._coarse)
        light = gaussian_filter(light, max(0.35, beam("blur_mm") / px)) + beam("scatter_share") * scattered
        # the detector's own element is no finer than a third of a millimetre
        quanta = beam("quanta_per_mm2") * max(px, _DETECTOR_MM) ** 2 * np.exp(np.minimum(-tone.slow, 3.0))
        light = light + np.sqrt(light / quanta) * self._noise(self.pulse(time_s) if live else 0)
        dense = -np.log(np.maximum(light, 1e-4))
        dense += beam("edge_gain") * (dense - gaussian_filter(dense, beam("edge_spread_mm") / px))
        return _display_curve((dense - tone.bright) / (tone.dark - tone.bright))

    def _tone(self, total: Image, background: Image) -> _Tone:
        """How the monitor shows densities: the processor evens out most of the body's own thickness, as wedge filters
        and harmonisation do, and fits the rest between bright and dark."""
        seen = self.mask > 0.5
        inside = seen & (total > 0.5 * float(np.median(total[seen])))
        body = total[inside] if inside.any() else total[seen]
        level = float(np.median(body))
        even = blurred_wide(background, beam("levelling_spread_mm") / self.mm_per_px, self._coarse)
        slow = beam("levelling_share") * (even - float(np.median(even[inside] if inside.any() else even)))
        shown = (total - level - slow)[inside] if inside.any() else (total - level - slow)[seen]
        veil = np.log1p(beam("scatter_share"))
        bright, dark = (float(v) - veil for v in np.percentile(shown, [3.0, 98.7]))
        return _Tone(level, slow, bright, max(dark, bright + 0.4))

    @property
    def _coarse(self) -> int:
        return max(1, round(4.0 / self.mm_per_px))

    def pulse(self, time_s: float) -> int:
        """The number of the X-ray pulse that is on screen at `time_s`."""
        return int(np.floor(time_s * beam("pulses_per_s") + 1e-6))

    def _noise(self, pulse: int) -> Image:
        view = 0 if self.projection.name == "ap" else 1
        rng = np.random.default_rng([self.seed & 0xFFFFFFFF, pulse + 1, view])
        return rng.standard_normal((self.size_px[1], self.size_px[0]), dtype=np.float32)

    def image(self, structures: Mapping[str, Structure], time_s: float = 0.0, live: bool = True) -> NDArray[np.uint8]:
        """The picture with its burnt-in marks, (H, W) uint8; the corners outside the round monitor are black."""
        grey = self.brightness(structures, time_s, live)
        self._burn(grey, time_s, live)
        return np.round(255.0 * grey * self.mask).astype(np.uint8)

    def picture(
        self,
        structures: Mapping[str, Structure],
        time_s: float = 0.0,
        live: bool = True,
        ground: Colour = (0.0, 0.0, 0.0),
    ) -> NDArray[np.uint8]:
        """The picture on a panel of colour `ground`, (H, W, 3) uint8."""
        grey = self.brightness(structures, time_s, live)
        self._burn(grey, time_s, live)
        cover = self.mask[..., None]
        return np.round(255.0 * (grey[..., None] * cover + np.asarray(ground, np.float32) * (1.0 - cover))).astype(
            np.uint8
        )

    def _burn(self, grey: Grey, time_s: float, live: bool) -> None:
        width, height = self.size_px
        size = self.text_px or max(11.0, 24.0 * min(width, height) / 415.0)
        letters = edge_letters(self.projection.world_from_view)
        burn_edges(grey, letters, 1.15 * size, ("left", "right", "top"))
        if self.words:
            gap = 0.6 * size
            burn_text(grey, seen_from(self.projection.world_from_view), (gap, height - gap), 0.9 * size, (0.0, 1.0))
            note = f"pulse {self.pulse(time_s) % 1000:03d}" if live else "stored"
            burn_text(grey, note, (width - gap, height - gap), 0.9 * size, (1.0, 1.0))


def _display_curve(x: NDArray[np.floating]) -> Grey:
    """Density, 0 at the bright and 1 at the dark end of the anatomy, to brightness: straight between, with a shoulder
    towards the air's white and a toe towards the metal's black."""
    bright, dark = 0.90, 0.20
    slope = bright - dark
    middle = bright - slope * np.clip(x, 0.0, 1.0)
    shoulder = 1.0 - (1.0 - bright) * np.exp(np.minimum(x, 0.0) * slope / (1.0 - bright))
    floor = 0.03
    toe = floor + (dark - floor) * np.exp(-np.maximum(x - 1.0, 0.0) * slope / (dark - floor))
    return np.where(x < 0.0, shoulder, np.where(x > 1.0, toe, middle)).astype(np.float32)
