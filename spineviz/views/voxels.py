"""What structures are made of, for X-rays: the attenuation of every material and place, and shapes as small cubes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.materials import bone_volume_share
from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import Field, Points, corners
from spineviz.geometry.frames import Frame
from spineviz.views.projection import beam

Seen = Callable[[Points, float], NDArray[np.bool_]]
"""Which of the points (N, 3) are seen, with a margin in mm."""
Absorption = Callable[[str], float]
"""Material -> linear attenuation, 1/mm."""

BLOCK = 4
"""Voxels a side of the blocks in which the surface is looked for and in which the ground under a structure is taken."""
_STEEPNESS = 1.3
"""How steep a field that is not exact may be (a body that has lost a third of its height reads 1.5 times as steep, but
only within the body)."""


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


def rank_order(structure: Structure) -> tuple[int, str]:
    """Who wins: the higher rank, and among equals the later name."""
    return structure.rank, structure.name


def absorption_at(
    structures: Sequence[Structure],
    points_mm: Points,
    edge_mm: float,
    absorption: Absorption,
    below_per_mm: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The coefficient (N,) 1/mm at `points_mm` (N, 3): what lies `below_per_mm` (N,), or air, and over it each
    structure by rank, with surfaces softened over `edge_mm`."""
    out = np.zeros(len(points_mm))
    left = np.ones(len(points_mm))  # how much of a point is still open to what is lower: nothing is asked for nothing
    for structure in sorted(structures, key=rank_order, reverse=True):
        low, high = structure.field.bounds_mm
        near = (points_mm >= low - edge_mm) & (points_mm <= high + edge_mm)
        met = np.flatnonzero(near.all(axis=1) & (left > 0.0))
        if len(met):
            there = points_mm[met]
            taken = left[met] * occupancy(structure.field.distance(there), edge_mm)
            out[met] += taken * _coefficient_at(structure, there, edge_mm, absorption)
            left[met] -= taken
    return out + left * (absorption("air") if below_per_mm is None else below_per_mm)


def _coefficient_at(
    structure: Structure, points_mm: Points, edge_mm: float, absorption: Absorption
) -> NDArray[np.float64] | float:
    """The coefficient of `structure` itself at `points_mm` (N, 3) in it, or one for all."""
    own = absorption(structure.material)
    if structure.bone_share is not None:
        inner: NDArray | float = bone_absorption_per_mm(structure.bone_share(points_mm), absorption)
    elif structure.core_material is not None:
        inner = absorption(structure.core_material)
    else:
        return own
    inside = 1.0 if structure.core is None else occupancy(structure.core.distance(points_mm), edge_mm)
    return np.asarray(own + (inner - own) * inside, float)


# --- shapes as cubes ---


@dataclass(frozen=True, eq=False)
class Voxels:
    """A structure as small cubes in its local frame.

    They are many and are kept for every bone in the picture, so each takes four bytes: its place in its block, and
    rounded to what no picture shows, how full it is and what it is made of.

    Attributes:
        side_mm: of a block; a cube's is a quarter of it.
        corner: (B, 3) where each block lies on the lattice of blocks that is tied to the local origin.
        first: (B + 1,) the first cube of each block, which has at least one, and where the last one's end.
        place: (N,) which of its block each cube is, counted with z fastest.
        share: (N,) how much of each cube the structure takes, 1 to 255 of 255.
        coefficient_per_mm: (N,) its own attenuation there.
    """

    side_mm: float
    corner: NDArray[np.int16]
    first: NDArray[np.int32]
    place: NDArray[np.uint8]
    share: NDArray[np.uint8]
    coefficient_per_mm: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        """How much memory they take, with what is worked out once."""
        return sum(array.nbytes for array in self.arrays().values()) + 24 * len(self.corner)

    def arrays(self) -> dict[str, NDArray]:
        """Everything as named arrays, from which `Voxels(side_mm, **arrays)` makes the same."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "side_mm"}

    def by_cube(self, of_blocks: NDArray) -> NDArray:
        """(N,) for each cube what `of_blocks` (B,) says of its block."""
        return np.repeat(of_blocks, np.diff(self.first))

    def points_in(self, there_from_local: Frame) -> NDArray[np.float32]:
        """(3, N) centres in another frame, axis by axis."""
        middles = there_from_local.points((self.corner + 0.5) * self.side_mm).T.astype(np.float32)
        cells = (_cell(BLOCK, self.side_mm / BLOCK) @ there_from_local.rotation.T).T.astype(np.float32)
        out = np.empty((3, len(self.place)), np.float32)
        for line, middle, cell in zip(out, middles, cells, strict=True):
            np.add(self.by_cube(middle), cell[self.place], out=line)
        return out

    @property
    def volume_mm3(self) -> NDArray[np.float32]:
        """(N,) how much of each cube the structure takes."""
        return self.share * np.float32((self.side_mm / BLOCK) ** 3 / 255.0)

    @property
    def weight_mm2(self) -> NDArray[np.float32]:
        """(N,) that volume times its own attenuation."""
        return self.volume_mm3 * self.coefficient_per_mm.astype(np.float32)

    @cached_property
    def block_points_mm(self) -> NDArray[np.float64]:
        """(B, 3) where what lies under a block is asked for: the middle of what the structure takes of it."""
        if not len(self.corner):
            return np.zeros((0, 3))
        total = np.add.reduceat(self.share, self.first[:-1], dtype=float)
        cells = _cell(BLOCK, self.side_mm / BLOCK)
        off = [np.add.reduceat(self.share * cells[:, i][self.place], self.first[:-1]) / total for i in range(3)]
        return np.asarray((self.corner + 0.5) * self.side_mm + np.stack(off, axis=1), float)


@dataclass(frozen=True, eq=False)
class CarriedVoxels:
    """The cubes of a healthy structure, carried to where its remains lie.

    Attributes:
        healthy: the cubes.
        local_mm: (3, N) where their middles lie now, axis by axis, in the frame of the remains.
        volume_mm3: (N,) what is left of each.
        coefficient_per_mm: (N,) their attenuation now.
        block_points_mm: (B, 3) as of `Voxels`, where they lie now.
    """

    healthy: Voxels
    local_mm: NDArray[np.float32]
    volume_mm3: NDArray[np.float32]
    coefficient_per_mm: NDArray[np.float32]
    block_points_mm: NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        """How much memory they take beside the healthy ones."""
        return sum(
            array.nbytes for array in (self.local_mm, self.volume_mm3, self.coefficient_per_mm, self.block_points_mm)
        )

    def by_cube(self, of_blocks: NDArray) -> NDArray:
        """(N,) for each cube what `of_blocks` (B,) says of its block."""
        return self.healthy.by_cube(of_blocks)

    def points_in(self, there_from_local: Frame) -> NDArray[np.float32]:
        """(3, N) middles in another frame, axis by axis."""
        turned = there_from_local.rotation.astype(np.float32) @ self.local_mm
        turned += there_from_local.origin_mm.astype(np.float32)[:, None]
        return np.asarray(turned, np.float32)


def carried_voxels(structure: Structure, healthy: Voxels, absorption: Absorption) -> CarriedVoxels:
    """`structure`, whose `remains` says how it came from the one that `healthy` are the cubes of.

    Its core is that much denser as there is less room for it; the rest is as dense as it was.
    """
    remains = structure.remains
    assert remains is not None
    pose, local = remains.of.world_from_local, structure.world_from_local.inverse()
    there, left = remains.carried(healthy.points_in(pose).T.astype(float))
    blocks, _ = remains.carried(pose.points(healthy.block_points_mm))
    coefficient = healthy.coefficient_per_mm.astype(np.float32)
    if structure.core_material is not None:
        own, inner = absorption(structure.material), absorption(structure.core_material)
        share = bone_volume_share(structure.core_material).value
        # how much of a cube's weight its core has, whatever its mottle
        core = np.minimum((own - coefficient) / np.float32(own - inner), 1.0)
        denser = bone_absorption_per_mm(share / left, absorption) / inner - 1.0
        coefficient += (coefficient - own * (1.0 - core)) * denser.astype(np.float32)
    return CarriedVoxels(
        healthy,
        np.ascontiguousarray(local.points(there).T, np.float32),
        healthy.volume_mm3 * left.astype(np.float32),
        coefficient,
        local.points(blocks),
    )


def occupancy(distance_mm: NDArray, spacing_mm: float) -> NDArray[np.float32]:
    """How much of a cube of `spacing_mm` whose middle is so far from a surface lies inside it, 0 to 1."""
    return np.clip(0.5 - distance_mm / spacing_mm, 0.0, 1.0).astype(np.float32)


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
    carried = pose.inverse().points(corners(structure.field.bounds_mm))
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
_CUBES_FROM_OCTANTS = np.einsum("ia,jb,kc->ijkabc", _HALVES, _HALVES, _HALVES).reshape(BLOCK**3, 8)
_CUBE_OF_OCTANT = np.arange(BLOCK**3).reshape(2, 2, 2, 2, 2, 2).transpose(0, 2, 4, 1, 3, 5).reshape(8, 8)
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
    share = np.zeros((len(shapes), len(middles_mm), BLOCK**3), np.float32)
    side = BLOCK * spacing_mm
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
            part[near] = occupancy(shape.distance(fine), spacing_mm).reshape(len(near), 8)
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
    middles, distance = _blocks_near(structure, BLOCK * spacing_mm, spacing_mm, seen)
    cell = _cell(BLOCK, spacing_mm)
    world = pose.points(middles) if len(middles) else middles
    core = structure.core if structure.core_material is not None else None
    shapes, at_middle = [structure.field], [distance]
    if core is not None:
        shapes, at_middle = [structure.field, core], [distance, core.distance(world)]
    # the field of a broken bone says too little rather than too much
    spare = 0.0 if structure.healthy is not None else _STEEPNESS * 2.0 * spacing_mm
    share, *inside = _filled(shapes, world, np.array(at_middle), pose.rotation, spacing_mm, spare)
    full = np.round(255.0 * share).astype(np.uint8)
    kept = full.any(axis=1)  # so that no block is without cubes
    full = full[kept]
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
    used = full > 0
    side_mm = BLOCK * spacing_mm
    return Voxels(
        side_mm,
        np.floor(middles / side_mm).astype(np.int16),
        np.r_[0, np.cumsum(used.sum(axis=1))].astype(np.int32),
        np.broadcast_to(np.arange(BLOCK**3, dtype=np.uint8), used.shape)[used],
        full[used],
        coefficient[used].astype(np.float16),
    )


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
    octants = _cell(2, BLOCK / 2 * spacing_mm) @ structure.world_from_local.rotation.T
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
