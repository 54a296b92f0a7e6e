"""Line integrals of attenuation along the rays of a cone beam: Beer-Lambert, without what a monitor makes of it.

Where structures overlap, the one of higher rank takes the other's place: each adds, over its own extent, the
difference between its own coefficient and that of what lies under it. The line integral of every structure is
therefore an image of its own, kept by (key, pose, what lies under it), and a frame costs only what has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import le
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import RANKS, Structure
from spineviz.geometry.fields import Points, corners
from spineviz.geometry.frames import Frame
from spineviz.views.angiography import Image, cell_matrix, shape_path
from spineviz.views.projection import Lattice, Projection, beam, lattice_over, splat
from spineviz.views.rasters import Band, Shelf, spline_weights
from spineviz.views.voxels import (
    BLOCK,
    Absorption,
    CarriedVoxels,
    Seen,
    Voxels,
    absorption_at,
    absorption_per_mm,
    carried_voxels,
    rank_order,
    voxels,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_NEEDLE_MM, _BALLOON_MM, _FAINT_MM = 0.45, 0.75, 1.6
"""Largest sizes of the cubes of cement and steel, of balloons, and of what hardly differs from water."""
_FINEST_MM, _FINEST_CEMENT_MM = 0.3, 0.4
"""Smallest size of those of steel and balloons: the detector blurs by more; and of cement, whose edge is soft, and
which is another in every pulse while it flows."""
_BONE_MM, _FAR_BONE_MM = (0.6, 0.75, 1.0), (0.9, 1.2, 1.8)
"""Those of bone, and of what reaches far beyond the picture (ribs), where pixels are small, and where they are not."""
_PIXELS_MM = (0.3, 0.6)
"""From which pixels on they are of the second and of the third size."""
_FAINT_PER_MM = 0.005
"""What differs from water by less leaves no edge that fine cubes would show."""
_VOIDS = ("cavity", "channel")
"""Roles that leave an edge although they hardly differ from water: bone ends at them."""
_PACKED_BY = ("balloon", "cavity")
"""Roles round which bone is packed: no packed bone lies in them."""
_LIKE_WHAT_IS_ROUND_IT = ("cord", "root", "roots", "artery", "vein", "nerve")
"""Roles that attenuate as the sac or the flesh does in which they lie: they add nothing."""
_GROUND_EDGE_MM = 1.0
_SOFT_STEP_MM = 8.0
_SOFT_LATTICE_MM = 5.0
_NEVER_SETS_BRIGHTNESS = RANKS["cement"]
_BY_FAR = 10.0
"""A thing that attenuates so many times more than another takes its place without its being missed."""
_LEEWAY_MM = 10.0
"""How far what reaches beyond the picture may move until its cubes are chosen anew."""
_MOST_CUBES_BYTES, _MOST_IMAGES_BYTES, _MOST_MATRICES_BYTES = 12_000_000, 6_000_000, 12_000_000
"""Cubes held by all monitors, and images and matrices of cells by each, beyond those of what moves just now."""
Keep = Callable[[tuple[Hashable, ...], Callable[[], dict[str, NDArray]]], Mapping[str, NDArray]]
"""Arrays that depend on what a tuple of plain values names and on the project's sources: made, or found where an
earlier picture, also of another process, left them."""
ROADMAP = "roadmap"
"""The role of vessels that are there in a roadmap only: no radiograph shows them."""


def made_anew(_: tuple[Hashable, ...], make: Callable[[], dict[str, NDArray]]) -> Mapping[str, NDArray]:
    """The Keep that keeps nothing."""
    return make()


def _stands(structure: Structure) -> bool:
    """Whether the cubes of `structure` serve other films and pieces too: it is bone, and nothing broke it."""
    return structure.role == "bone" and structure.healthy is None


def _place_key(structure: Structure) -> tuple[Hashable, ...]:
    """What tells a structure, its place and its size from another, in any process; a key alone may be rounded."""
    return (*_pose_key(structure), structure.field.bounds_mm.tobytes())


def _pose_key(structure: Structure) -> tuple[str, bytes]:
    # to the last digit: of two poses that are nearly alike it would be told by what was drawn before which one is shown
    return structure.key, structure.world_from_local.key


def _over(name: str) -> tuple[str, str]:
    """Under which what a thing adds where it covers what moves is kept."""
    return name, "over"


def _touch(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    # plain numbers: as arrays of three they take four times as long
    (low_a, high_a), (low_b, high_b) = a.tolist(), b.tolist()
    return all(map(le, low_a, high_b)) and all(map(le, low_b, high_a))


def _under(structure: Structure, present: Sequence[Structure]) -> list[Structure]:
    """What may lie where `structure` is, from the lowest rank up. Bones, discs and the sac never share room with each
    other, so only soft tissue lies under them; tumour, cleft, cement and steel lie in any of them."""
    highest = structure.rank if structure.rank >= RANKS["cleft"] else RANKS["fat"]
    return [
        s
        for s in present
        if s.rank <= highest
        and s.cells is None
        and rank_order(s) < rank_order(structure)
        and s.role not in _LIKE_WHAT_IS_ROUND_IT
        and _touch(structure.field.bounds_mm, s.field.bounds_mm)
    ]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Cubes, and the pose in which those were chosen that a picture sees."""

    body: Voxels
    pose: Frame


def _bytes(image: NDArray) -> int:
    return image.nbytes


def _csr_bytes(matrix: csr_array) -> int:
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


_shared_voxels: Shelf[_Chosen] = Shelf(lambda chosen: chosen.body.nbytes, _MOST_CUBES_BYTES)
"""The cubes of structures: two views of one patient need them once."""
_shared_remains: Shelf[CarriedVoxels] = Shelf(lambda body: body.nbytes, _MOST_CUBES_BYTES // 2)
"""The same cubes where what is left of something is made of them."""
_shared_grounds: Shelf[NDArray[np.float64]] = Shelf(_bytes, _MOST_CUBES_BYTES // 8)
"""What lies under the blocks of those cubes."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The line integral of everything but instruments, cement and what is told in cells.

    Attributes:
        key: the same for the same anatomy.
        total: (H, W).
        soft: (H, W) that of skin, muscle, lung and fat alone.
    """

    key: tuple
    total: Image
    soft: Image


@dataclass(eq=False)
class LineIntegrals:
    """Line integrals of structures through one projection.

    Attributes:
        size_px: width and height of the picture.
        projection: where source and detector stand.
        absorption: material -> 1/mm; by default the table of the project.
        keep: where what takes long is kept; nothing that moves is. It must not be shared by absorptions.
    """

    size_px: tuple[int, int]
    projection: Projection
    absorption: Absorption = absorption_per_mm
    keep: Keep = made_anew
    _images: Shelf[Image] = field(default_factory=lambda: Shelf(_bytes, _MOST_IMAGES_BYTES), repr=False)
    _matrices: Shelf[csr_array] = field(default_factory=lambda: Shelf(_csr_bytes, _MOST_MATRICES_BYTES), repr=False)
    _own_pose: set[Hashable] = field(default_factory=set, repr=False)
    _carried: dict[str, Hashable] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        width, height = self.size_px
        if min(width, height) < 16:
            raise ValueError(f"size_px must be at least 16 by 16, got {width} by {height}")
        self.mm_per_px = self.projection.field_of_view_mm / min(width, height)
        self._pixels = Lattice(height, width, self.mm_per_px)
        self._lattices: dict[float, Lattice] = {self.mm_per_px: self._pixels}
        self._soft = lattice_over(self.size_px, self.mm_per_px, max(_SOFT_LATTICE_MM, self.mm_per_px))
        self._up: dict[int, tuple[Band, Band]] = {}
        self._soft_is_first = True

    def present(self, structures: Mapping[str, Structure]) -> list[Structure]:
        """What X-rays meet of `structures`, in order of rank, things of several parts by these; a picture begins."""
        for shelf in (_shared_voxels, _shared_remains, _shared_grounds, self._images, self._matrices):
            shelf.turn()
        met = [s for s in structures.values() if s.role != ROADMAP]
        return sorted((part for s in met for part in s.parts or (s,)), key=rank_order)

    def forget(self) -> bool:
        """Drop the images for which cubes were carried from the pose in which they were made, and carry none until they
        have been made anew; returns whether there were any.

        A pose turns numbers in their last digit, so that without this an image would tell what was drawn before it.
        """
        for name, thing in self._carried.items():
            self._images.drop_all(name)
            self._images.drop_all(_over(name))
            _shared_grounds.drop_all(thing)
        any_carried = bool(self._carried)
        self._carried.clear()
        self._own_pose.clear()
        return any_carried

    def anatomy_key(self, present: Sequence[Structure]) -> tuple:
        """What `anatomy` depends on."""
        return tuple(_pose_key(s) for part in self._anatomy_parts(present) for s in part)

    def anatomy(self, present: Sequence[Structure]) -> Anatomy:
        """Everything but instruments, cement and what is told in cells, on pixels."""
        soft, still = self._anatomy_parts(present)
        background = self._on_pixels(self._soft_image(soft), self._soft)
        total = self._added(background.copy(), still, [*soft, *still])
        return Anatomy(self.anatomy_key(present), total, background)

    def _anatomy_parts(self, present: Sequence[Structure]) -> tuple[list[Structure], list[Structure]]:
        """Soft tissue, and what stands in it and is in the beam."""
        told = [s for s in present if s.cells is None]
        return [s for s in told if s.rank <= RANKS["fat"]], self._in_beam(
            s for s in told if RANKS["fat"] < s.rank < _NEVER_SETS_BRIGHTNESS and s.role not in _LIKE_WHAT_IS_ROUND_IT
        )

    def instruments(self, present: Sequence[Structure]) -> Image:
        """What cement and steel add, and what is told in cells, on pixels."""
        moving = self._in_beam(s for s in present if s.cells is None and s.rank >= _NEVER_SETS_BRIGHTNESS)
        return self._added(self.in_cells(present), moving, present)

    def _added(self, total: Image, structures: Sequence[Structure], present: Sequence[Structure]) -> Image:
        """`total`, on pixels, and what `structures` add to it over what lies under them, put there in place."""
        sums: dict[float, Image] = {}
        for structure in structures:
            image, lattice = self._own_image(structure, present)
            sums[lattice.spacing_mm] = sums.get(lattice.spacing_mm, 0.0) + image
        for spacing, image in sums.items():
            total += self._on_pixels(image, self._lattices[spacing])
        return total

    def in_cells(self, structures: Sequence[Structure]) -> Image:
        """What those of `structures` that are told in cells add to the blood in whose place they are, on pixels."""
        total = np.zeros((self._pixels.rows, self._pixels.columns), np.float32)
        for structure in structures:
            if structure.cells is not None:
                total += self._cells_image(structure)
        return total

    def _cells_image(self, structure: Structure) -> Image:
        cells = structure.cells
        assert cells is not None
        more = self.absorption(structure.material) - self.absorption("blood")
        if len(cells.share) == 1:  # the shape of a device: the next one is another
            path = self._images.get(
                structure.name,
                cells.key,
                lambda: shape_path(self.projection, self._pixels, cells.points_mm, cells.volume_mm3),
            )
            return np.asarray(more * cells.share[0] * path, np.float32)
        matrix = self._matrices.get(cells.key, "", lambda: cell_matrix(self.projection, self._pixels, cells))
        line = matrix @ (more * cells.share).astype(np.float32)
        return np.asarray(line, np.float32).reshape(self._pixels.rows, self._pixels.columns)

    def _in_beam(self, structures: Iterable[Structure]) -> list[Structure]:
        """Those of `structures` that the beam meets."""
        asked = list(structures)
        boxes = corners(np.array([s.field.bounds_mm for s in asked]).reshape(-1, 2, 3))
        flat = self.projection.flat(boxes.reshape(-1, 3))[0].reshape(-1, 8, 2)
        reach = np.array(self.size_px) / 2 * self.mm_per_px + 3.0
        met = (flat.min(1) < reach).all(1) & (flat.max(1) > -reach).all(1)
        return [structure for structure, is_met in zip(asked, met, strict=True) if is_met]

    def _sees(self, points_mm: Points, margin_mm: float) -> NDArray[np.bool_]:
        """Which of `points_mm` (N, 3) lie within the picture grown by `margin_mm` at the isocentre, (N,)."""
        reach = np.array(self.size_px) / 2 * self.mm_per_px + margin_mm
        return np.asarray((np.abs(self.projection.flat(points_mm)[0]) < reach).all(axis=1), bool)

    def _own_image(self, structure: Structure, present: Sequence[Structure]) -> tuple[Image, Lattice]:
        """What `structure` adds to the picture, over what lies under it."""
        spacing, lattice = self._raster(structure)
        under = self._covered(structure, present)
        still = [s for s in under if s.rank < _NEVER_SETS_BRIGHTNESS]
        moving = under[len(still) :]
        key = (_pose_key(structure), *(_pose_key(s) for s in still))
        image = self._images.get(structure.name, key, lambda: self._projected(structure, still, spacing, lattice))
        if moving:
            key += tuple(_pose_key(s) for s in moving)
            image = image + self._images.get(
                _over(structure.name), key, lambda: self._covering(structure, still, moving, spacing, lattice)
            )
        return image, lattice

    def _projected(self, structure: Structure, still: Sequence[Structure], spacing: float, lattice: Lattice) -> Image:
        """What `structure` adds over what stands still under it."""
        body = self._cubes(structure, spacing)
        if not len(body.volume_mm3):
            return np.zeros((lattice.rows, lattice.columns), np.float32)
        ground = self._ground(structure, body, spacing, still).astype(np.float32)
        more = body.coefficient_per_mm - body.by_cube(ground)
        return splat(self.projection, lattice, self._in_view(structure, body), body.volume_mm3 * more)

    def _covering(
        self,
        structure: Structure,
        still: Sequence[Structure],
        moving: Sequence[Structure],
        spacing: float,
        lattice: Lattice,
    ) -> Image:
        """What it adds to that where what it covers moves: there are few such cubes, and those of cement that flows are
        others in every picture."""
        body = self._cubes(structure, spacing)
        below = self._ground(structure, body, spacing, still)
        points = structure.world_from_local.points(body.block_points_mm)
        less = (below - absorption_at(moving, points, _GROUND_EDGE_MM, self.absorption, below)).astype(np.float32)
        cubes = np.flatnonzero(body.by_cube(less != 0.0))
        weight = body.volume_mm3[cubes] * body.by_cube(less)[cubes]
        return splat(self.projection, lattice, self._in_view(structure, body)[:, cubes], weight)

    def _in_view(self, structure: Structure, body: Voxels | CarriedVoxels) -> NDArray[np.float32]:
        """(3, N) the middles of cubes in the view's frame."""
        return body.points_in(self.projection.world_from_view.inverse() @ structure.world_from_local)

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
        self, structure: Structure, body: Voxels | CarriedVoxels, spacing: float, still: Sequence[Structure]
    ) -> NDArray[np.float64]:
        """The coefficient of what stands `still` under each block of `structure`; it is kept."""
        points = structure.world_from_local.points(body.block_points_mm)
        thing = self._voxels_thing(structure, spacing)
        version = (_pose_key(structure), len(points), *(_pose_key(s) for s in still))
        return _shared_grounds.get(
            thing, version, lambda: absorption_at(still, points, _GROUND_EDGE_MM, self.absorption)
        )

    def _raster(self, structure: Structure) -> tuple[float, Lattice]:
        """The size of the cubes for `structure`, mm, and the lattice on which they are laid.

        One cube, or a whole number of them, to a cell: else the two rasters beat, and stripes show.
        """
        own, water = self.absorption(structure.material), self.absorption("water")
        if structure.rank >= _NEVER_SETS_BRIGHTNESS and own > 3 * water:
            finest = _FINEST_CEMENT_MM if structure.role == "cement" else _FINEST_MM
            if self.mm_per_px >= finest:
                largest = _BALLOON_MM if structure.role == "balloon" else _NEEDLE_MM
                return self.mm_per_px / float(np.ceil(self.mm_per_px / largest)), self._pixels
            spacing = finest
        elif self._is_faint(structure):
            spacing = _FAINT_MM
        else:
            sizes = _BONE_MM if self._is_small(structure) else _FAR_BONE_MM
            spacing = sizes[sum(self.mm_per_px >= pixel for pixel in _PIXELS_MM)]
        spacing = max(spacing, self.mm_per_px)
        if spacing not in self._lattices:
            self._lattices[spacing] = lattice_over(self.size_px, self.mm_per_px, spacing)
        return spacing, self._lattices[spacing]

    def _is_small(self, structure: Structure) -> bool:
        return bool(np.ptp(structure.field.bounds_mm, axis=0).max() < 0.8 * max(self.size_px) * self.mm_per_px)

    def _voxels_thing(self, structure: Structure, spacing: float) -> tuple:
        """What is small is made whole, once for every view and pose; of a rib only what is seen is made."""
        view = "" if self._is_small(structure) else f"{self.projection.key}{self.size_px}"
        return structure.name, round(spacing, 4), self.absorption, view

    def _cubes(self, structure: Structure, spacing: float) -> Voxels | CarriedVoxels:
        """`structure` as cubes; what is left of something has those of that, carried."""
        remains = structure.remains
        if remains is None or not (self._is_small(structure) and self._is_small(remains.of)):
            return self._voxels(structure, spacing)

        thing, version = self._voxels_thing(structure, spacing), (*_pose_key(structure), structure.material)
        return _shared_remains.get(
            thing, version, lambda: carried_voxels(structure, self._voxels(remains.of, spacing), self.absorption)
        )

    def _voxels(self, structure: Structure, spacing: float) -> Voxels:
        thing, version = self._voxels_thing(structure, spacing), (structure.key, structure.material)
        mottle = beam("trabecular_mottle") if structure.core is not None else 0.0
        low_high = corners(structure.field.bounds_mm)
        whole = self._is_small(structure)

        def choose() -> _Chosen:
            leeway = _LEEWAY_MM * self._most_magnified(low_high)
            seen: Seen | None = None if whole else (lambda p, margin: self._sees(p, margin + leeway))

            def make() -> dict[str, NDArray]:
                return voxels(structure, spacing, self.absorption, mottle, seen).arrays()

            view = None if whole else self._view_key
            name = ("cubes", *_place_key(structure), structure.material, structure.core_material, spacing, view)
            arrays = self.keep(name, make) if _stands(structure) else make()
            return _Chosen(Voxels(BLOCK * spacing, **arrays), structure.world_from_local)

        found = _shared_voxels.get(thing, version, choose)
        if found.pose.key != structure.world_from_local.key:
            stays = (thing, version) in self._own_pose
            if stays and not whole:
                # what was chosen in another pose serves while nothing has moved further than the margin
                there = found.pose.points(structure.world_from_local.inverse().points(low_high))
                stays = float(np.linalg.norm(there - low_high, axis=1).max()) <= _LEEWAY_MM
            if stays:
                self._carried[structure.name] = thing
            else:
                _shared_voxels.drop(thing, version)
                found = _shared_voxels.get(thing, version, choose)
        self._own_pose.add((thing, version))
        return found.body

    def _most_magnified(self, points_mm: Points) -> float:
        """How much larger a step at one of `points_mm` (N, 3) may be at the isocentre."""
        _, depth = self.projection.flat(points_mm)
        return 1.5 * self.projection.source_to_isocentre_mm / max(1.0, float(depth.min()))

    def _soft_image(self, soft: Sequence[Structure]) -> Image:
        """The line integral of skin, muscle, lung and fat, by marching the rays through them in wide steps."""
        lattice = self._soft

        def march() -> dict[str, NDArray]:
            return {"image": self._marched(soft, lattice)}

        def make() -> Image:
            # flesh that moves is another one in every picture: only what a monitor shows first is worth keeping
            first, self._soft_is_first = self._soft_is_first, False
            name = ("soft", *((*_place_key(s), s.material) for s in soft), self._view_key)
            return self.keep(name, march)["image"] if first else march()["image"]

        return self._images.get("soft", tuple(_pose_key(s) for s in soft), make)

    @property
    def _view_key(self) -> tuple[Hashable, ...]:
        """What tells the projection and the picture's size from others, to the last digit."""
        seen = self.projection
        where = seen.world_from_view.key
        return where, seen.field_of_view_mm, seen.source_to_isocentre_mm, seen.source_to_detector_mm, self.size_px

    def _marched(self, soft: Sequence[Structure], lattice: Lattice) -> Image:
        out = np.zeros((lattice.rows, lattice.columns), np.float32)
        if soft:
            view, far = self.projection.world_from_view, self.projection.source_to_isocentre_mm
            ends = np.concatenate([corners(s.field.bounds_mm) for s in soft])
            depth = ((ends - view.origin_mm) @ view.rotation)[:, 2] + far
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

    def _on_pixels(self, image: Image, lattice: Lattice) -> Image:
        if lattice is self._pixels or lattice.spacing_mm == self._pixels.spacing_mm:
            return image
        if id(lattice) not in self._up:
            down = spline_weights(-self._pixels.up_mm, -lattice.up_mm[0], lattice.spacing_mm, lattice.rows)
            across = spline_weights(self._pixels.right_mm, lattice.right_mm[0], lattice.spacing_mm, lattice.columns)
            self._up[id(lattice)] = Band(down), Band(across)
        rows, columns = self._up[id(lattice)]
        return rows.down(columns.across(image))
