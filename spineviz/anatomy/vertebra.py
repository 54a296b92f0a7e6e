"""The vertebrae T1 to L5, computed from the published measurements: field, core, landmarks and frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache, cached_property

import numpy as np

from spineviz.anatomy.arch import Arch, make_arch, pedicle_rotation
from spineviz.anatomy.body import Body, Plate, make_body
from spineviz.anatomy.costal import RibFacets, rib_facets
from spineviz.anatomy.vertebra_joints import built_plates, inferior_joint, measures, plates, superior_joint
from spineviz.anatomy.vertebra_parts import cut, join, joined
from spineviz.anatomy.vertebra_shape import blended, lumbar_share, row_values, shell
from spineviz.data.once import once
from spineviz.data.tables import Sourced, known_level, morphometry
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds
from spineviz.geometry.frames import Frame
from spineviz.geometry.grids import Grid, sample
from spineviz.geometry.meshes import Mesh, mesh_grid

_GRID_MM = 0.65
"""Spacing of the sampled stand-in."""
_PAD_BLEND_MM = 3.0
"""How softly the swellings under the rib facets rise from the body."""


@dataclasses.dataclass(frozen=True, eq=False)
class Vertebra:
    """A healthy vertebra in its own frame: origin at the middle of the body, x right, y anterior, z along the body.

    Attributes:
        level: T1 to L5.
        field: the whole bone. Inexact, symmetric.
        core: the inside of cortex and end-plates, where the bone is trabecular.
        body: the body alone, without the arch.
        canal: the room of the spinal canal, a prism along z that reaches past the bone above and below.
        landmarks: named points (3,) mm, and unit vectors whose names end in "-normal".
        frames: "upper-endplate", "lower-endplate" (origin in the middle of the rim, z up), "pedicle-right",
            "pedicle-left" (origin at the isthmus, y forward along the axis).
        row: the published measurements by column.
    """

    level: str
    field: Field
    core: Field
    body: Field
    canal: Field
    landmarks: dict[str, Vector]
    frames: dict[str, Frame]
    row: dict[str, Sourced] = dataclasses.field(repr=False)
    _meshes: dict[float, Mesh] = dataclasses.field(default_factory=dict, repr=False)

    def mesh(self, spacing_mm: float) -> Mesh:
        """The closed surface with vertices about `spacing_mm` apart; made once."""
        key = round(float(spacing_mm), 4)
        if key not in self._meshes:
            grid = _mirrored_grid(self.field, key)
            grid.values[np.abs(grid.values) < 1e-4 * key] = 1e-4 * key
            self._meshes[key] = mesh_grid(grid)
        return self._meshes[key]

    def grid(self) -> Grid:
        """The whole bone sampled every 0.65 mm, right within about 6 mm of its surface; made once."""
        return self._grid

    @cached_property
    def _grid(self) -> Grid:
        return _mirrored_grid(self.field, _GRID_MM)

    @cached_property
    def fast(self) -> Field:
        """The sampled stand-in of `field`, for many queries."""
        return self._grid.field()

    @cached_property
    def fast_core(self) -> Field:
        """The sampled stand-in of `core`."""
        grid = self._grid
        points = grid.points()
        values = grid.values.ravel().astype(np.float64)
        near = values < 2.0
        values[near] += _thickness(self.level)(points[near])
        values[~near] += 1.0
        return Grid(grid.origin_mm, grid.spacing_mm, values.reshape(grid.values.shape).astype(np.float32)).field()


def _mirrored_grid(whole: Field, spacing_mm: float) -> Grid:
    """`whole`, which is the same on the right and the left, sampled on the right only and mirrored; x = 0 is a node."""
    low, high = whole.bounds_mm
    right = Field(whole.distance, box_bounds([0.0, low[1], low[2]], high), whole.exact)
    margin = 2.0 * spacing_mm
    bounds = box_bounds([margin, low[1], low[2]], high)  # `sample` takes the margin off again: x starts at 0
    half = sample(right, spacing_mm, margin_mm=margin, bounds_mm=bounds)
    values = np.concatenate([half.values[:0:-1], half.values], axis=0)
    origin = half.origin_mm - np.array([(half.values.shape[0] - 1) * spacing_mm, 0.0, 0.0])
    return Grid(origin, half.spacing_mm, np.ascontiguousarray(values))


def _thickness(level: str) -> Callable[[Points], Distances]:
    """(N, 3) mm -> (N,) mm, how thick the compact bone is: end-plates, the body's shell, the arch's cortex."""
    body = _body(level)
    plate, wall, arch = (shell()[name].value for name in ("endplate_mm", "body_shell_mm", "arch_cortex_mm"))
    wall_y = body.lower.on_rim(-1.0)[1]

    def distance(p: Points) -> Distances:
        # near an end-plate within 3 mm its own thickness; behind the back wall, over 4 mm, that of the arch
        near_plate = np.clip(1.0 + (body.plates.distance(p) + 1.0) / 2.0, 0.0, 1.0) * (p[:, 1] > wall_y)
        behind = np.clip((wall_y - p[:, 1]) / 4.0, 0.0, 1.0)
        out = wall + (plate - wall) * near_plate
        return out + (arch - out) * behind

    return distance


@cache
def _body(level: str) -> Body:
    return make_body(*built_plates(level), blended(lumbar_share(level)))


@cache
def _arch(level: str) -> Arch:
    m = measures(level)
    shape = blended(lumbar_share(level))
    pedicle_z = (0.5 - shape["pedicle_drop"]) * m.body_height - m.pedicle_height / 2
    wall = _body(level).back_wall_y_mm(pedicle_z)
    return make_arch(m, shape, wall, superior_joint(level), inferior_joint(level))


@cache
def _ribs(level: str) -> RibFacets:
    return rib_facets(level, _body(level), _arch(level), blended(lumbar_share(level)), measures(level).body_height)


def _whole(level: str) -> Field:
    body, arch, ribs = _body(level), _arch(level), _ribs(level)
    trunk = body.part
    if ribs.pads:
        # the pads may thicken the rim, never stand over an end-plate
        pads = tuple(cut(pad, lambda p: -body.plates.distance(p), 1.5) for pad in ribs.pads)
        trunk = joined((trunk, *pads), (1.0, *(_PAD_BLEND_MM for _ in pads)), ribs.hollows, 0.8)
    parts, blends = (trunk, *arch.parts), (1.0, *arch.blends_mm)

    def distance(p: Points) -> Distances:
        right = p.copy()
        np.abs(right[:, 0], out=right[:, 0])
        return join(parts, blends, right)

    low = np.min([part.low_mm for part in parts], axis=0) - 0.5
    high = np.max([part.high_mm for part in parts], axis=0) + 0.5
    reach = max(abs(low[0]), abs(high[0]))
    return Field(distance, box_bounds([-reach, *low[1:]], [reach, *high[1:]]), exact=False)


def _mirror(point: Vector) -> Vector:
    return point * np.array([-1.0, 1.0, 1.0])


def _crest(body: Body, plate: Plate, up: float, front: float) -> Vector:
    """The mid-sagittal point of the rim that stands highest over its plate, `up` and `front` 1.0 or -1.0."""
    frame = plate.vertebra_from_plate
    along = np.linspace(0.6, 1.0, 41) * front * plate.depth_mm / 2
    low, size = np.full(len(along), -4.0), 8.0
    shares = np.linspace(0.0, 1.0, 17)[1:-1]
    for _ in range(6):  # the surface over each place along the plate: each takes that of 16 pieces in which it lies
        over = low[:, None] + size * shares
        places = np.stack([np.zeros_like(over), np.broadcast_to(along[:, None], over.shape), up * over], axis=-1)
        inside = body.part.distance(frame.points(places.reshape(-1, 3))).reshape(over.shape) < 0
        size /= 16
        low = low + size * np.logical_and.accumulate(inside, axis=1).sum(1)
    best = int(np.argmax(low))
    return frame.point([0.0, along[best], up * low[best]])


def _end(level: str, root: Vector, tip: Vector) -> Vector:
    """Where a process ends on the way from its `root` to the `tip` it was built to."""
    span = np.linspace(0.5, 1.3, 401)[:, None]
    line = root + span * (tip - root)
    return line[np.flatnonzero(_whole(level).distance(line) < 0)[-1]]


def _outermost(level: str, near: Vector) -> Vector:
    """The bone's point farthest to the right among those within 6 mm of `near`."""
    aside = np.arange(-6.0, 6.01, 0.75)
    whole = _whole(level)
    for inward in np.array_split(np.arange(0.5, -8.0, -0.15), 8):  # from the right, a slab at a time
        cloud = near + np.stack(np.meshgrid(inward, aside, aside, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = cloud[whole.distance(cloud) < 0]
        if len(inside):
            return np.asarray(inside[np.argmax(inside[:, 0])])
    raise ValueError(f"{level}: there is no bone within 6 mm of {np.round(near, 1).tolist()}")


def _needle_entry(level: str) -> Vector:
    """Where a line along the right pedicle, in its upper outer part, meets the bone from behind: the corner between
    superior facet and transverse process."""
    row, pedicle = row_values(level), _pedicle(level)
    beside = [0.2 * row["PDW_zindrick_mm"], 0.0, 0.15 * row["PDH_zindrick_mm"]]
    way = np.arange(-40.0, 0.0, 0.1)
    line = pedicle.points(beside + way[:, None] * np.array([0.0, 1.0, 0.0]))
    met = np.flatnonzero(_whole(level).distance(line) < 0)
    return line[met[0]]


@cache
def _pedicle(level: str) -> Frame:
    """The right pedicle's frame at its published angles (the arch is built to calibrated ones, for fillets turn it)."""
    row = row_values(level)
    rotation = pedicle_rotation(row["pedicle_transverse_medial_deg"], row["pedicle_sagittal_cephalad_deg"])
    return Frame(rotation, _arch(level).pedicle.origin_mm)


@once
def spinous_tip(level: str) -> Vector:
    """(3,) the landmark "spinous-tip" of `level`, without the others."""
    points = _arch(level).points
    return _end(level, points["spinous-base"], points["spinous-tip"])


@once
def landmarks_of(level: str) -> dict[str, Vector]:
    """The named places of `level`; see `Vertebra.landmarks`."""
    body, arch = _body(level), _arch(level)
    upper, lower = plates(level)
    pedicle_z = float(arch.pedicle.origin_mm[2])
    m = measures(level)
    wall = body.back_wall_y_mm(pedicle_z)
    out = {
        "upper-front-rim": _crest(body, upper, 1.0, 1.0),
        "upper-back-rim": _crest(body, upper, 1.0, -1.0),
        "lower-front-rim": _crest(body, lower, -1.0, 1.0),
        "lower-back-rim": _crest(body, lower, -1.0, -1.0),
        "body-back-centre": np.array([0.0, body.back_wall_y_mm(0.0), 0.0]),
        "canal-centre": np.array([0.0, wall - m.canal_depth / 2, pedicle_z]),
        "spinous-tip": spinous_tip(level),
        "spinous-base": arch.points["spinous-base"],
    }
    tip = _outermost(level, arch.points["transverse-tip"])
    entry = _needle_entry(level)
    sided = {
        "transverse-tip": (tip, False),
        "superior-facet": (arch.superior.centre_mm, False),
        "superior-facet-normal": (arch.superior.normal, True),
        "inferior-facet": (arch.inferior.centre_mm, False),
        "inferior-facet-normal": (-arch.inferior.normal, True),
        "pedicle-upper-outer": (entry, False),
    }
    ribs = _ribs(level)
    for name, point in ribs.points.items():
        sided[name] = (point, False)
        sided[f"{name}-normal"] = (ribs.normals[name], True)
    for name, (value, is_normal) in sided.items():
        stem = name.removesuffix("-normal") if is_normal else name
        ending = "-normal" if is_normal else ""
        out[f"{stem}-right{ending}"] = value
        out[f"{stem}-left{ending}"] = _mirror(value)
    return out


def _mirrored_frame(frame: Frame) -> Frame:
    """The frame on the other side; its x axis keeps pointing right, so that it stays right-handed."""
    flip = np.diag([-1.0, 1.0, 1.0])
    return Frame(flip @ frame.rotation @ flip, flip @ frame.origin_mm)


@once
def vertebra(level: str) -> Vertebra:
    """The healthy vertebra `level`, T1 to L5; RequestError, naming what there is, for another."""
    known_level(level)
    body, arch = _body(level), _arch(level)
    whole = _whole(level)
    thickness = _thickness(level)
    core = Field(lambda p: whole.distance(p) + thickness(p), whole.bounds_mm, exact=False)
    body_low, body_high = body.part.low_mm, body.part.high_mm
    upper, lower = plates(level)
    m = measures(level)
    wall = float(body.back_wall_y_mm(float(arch.pedicle.origin_mm[2])))
    pedicle = _pedicle(level)
    half_width = m.canal_width / 2
    low_z, high_z = whole.bounds_mm[:, 2]
    return Vertebra(
        level=level,
        field=whole,
        core=core,
        body=Field(body.part.distance, box_bounds(body_low, body_high), exact=False),
        canal=Field(
            arch.canal, box_bounds([-half_width, wall - m.canal_depth, low_z], [half_width, wall, high_z]), False
        ),
        landmarks=landmarks_of(level),
        frames={
            "upper-endplate": upper.vertebra_from_plate,
            "lower-endplate": lower.vertebra_from_plate,
            "pedicle-right": pedicle,
            "pedicle-left": _mirrored_frame(pedicle),
        },
        row=morphometry()[level],
    )
