"""Hip bones, symphysis and the upper ends of the thigh bones.

The iliac wing is a plate that spans from the crest to the line between the spines and over the acetabulum; rami,
ischium and column are chains of tapered capsules blended with it; the acetabulum is hollowed for the head with its
cartilage. Places lie in assets/anatomy/pelvis.csv, in the pelvis' axes; the left is the right one's mirror image. The
hip bones stand with the sacrum; the thigh bones turn about the hip joints, so that they run on in the trunk's line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import femoral_places, sacral_slope_deg, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES, groin
from spineviz.anatomy.column import Column
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.geometry.curves import curve_through
from spineviz.geometry.fields import Distances, Field, Points, Vector, box_bounds, ellipsoid, round_cone, sphere, unit
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.grids import Grid, sample
from spineviz.geometry.meshes import Mesh, mesh_grid, simplified
from spineviz.geometry.operators import mirrored_x, moved, offset, smooth_difference, smooth_union

_GRID_MM = 1.5
_WING_RIBS, _WING_MM, _WING_BLEND_MM = 34, 3.4, 5.0
"""The wing is spanned by so many ribs of this half thickness, blended over this width (chosen for legibility)."""
_BLEND_MM = 9.0
_JOINT_GAP_MM, _NECK_GAP_MM, _SACROILIAC_GAP_MM = 2.6, 2.2, 1.4
"""Room for cartilage between head and acetabulum, for the neck at its rim, and between ilium and sacrum (chosen)."""
_NECK_TURNS_DEG = (0.0, 4.0, 8.0, 12.0, 16.0)
"""The extensions of the hip for which the acetabulum's rim gives room to the neck: from standing to lying."""
_OPENS = np.array([0.74, 0.40, -0.54])
"""The direction in which the acetabulum opens on the right: out, forward, down (remembered)."""
_RIM_MM, _LIP_MM = 31.5, 9.0
"""Radius of the acetabulum's wall from the head's middle, and how far beyond the head's middle its rim reaches."""
_SHELL_MM = 1.8
"""Thickness of the cortex (chosen within the literature's 1 to 3 mm)."""
_SYMPHYSIS_HALF_MM = 2.6
_TRIANGLES = 9000


@cache
def _rows(part: str) -> NDArray[np.float64]:
    """(K, 4) x, y, z and radius of `part`, pelvis' axes."""
    lines = [line for line in asset("anatomy", "pelvis.csv").read_text("utf-8").splitlines() if line[:1] != "#"]
    columns = ("x_mm", "y_mm", "z_mm", "radius_mm")
    return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(lines) if row["part"] == part])


def _chain(part: str) -> list[Field]:
    rows = _rows(part)
    return [round_cone(a[:3], b[:3], a[3], b[3]) for a, b in pairwise(rows)]


def _head_mm() -> Vector:
    """(3,) the middle of the right femoral head, pelvis' axes."""
    return femoral_places("right")["head"]


def _wing() -> Field:
    """The iliac wing: ribs from the crest to the hub, the crest thick, the fossa between thin."""
    crest, hub = (curve_through(_rows(part)[:, :3], 1.0) for part in ("crest", "hub"))
    shares = np.linspace(0.0, 1.0, _WING_RIBS)
    tops, feet = crest.at(shares * crest.length_mm), hub.at(shares * hub.length_mm)
    thick = np.interp(shares, np.linspace(0, 1, len(_rows("hub"))), _rows("hub")[:, 3])
    ribs = []
    for top, foot, radius in zip(tops, feet, thick, strict=True):
        middle = 0.45 * top + 0.55 * foot
        ribs += [round_cone(top, middle, _WING_MM + 0.8, _WING_MM), round_cone(middle, foot, _WING_MM, 0.8 * radius)]
    return smooth_union(*ribs, *_chain("crest"), *_chain("hub"), blend_mm=_WING_BLEND_MM)


def _acetabulum(bone: Field) -> Field:
    """`bone` with the wall round the femoral head, hollowed and open to its side."""
    head = _head_mm()
    opens = unit(_OPENS)
    wall = smooth_union(bone, sphere(head - 3.0 * opens, _RIM_MM), blend_mm=7.0)
    cup = sphere(head, groin("femoral_head_diameter_mm") / 2 + _JOINT_GAP_MM)
    beyond = Field(
        lambda p: np.maximum(
            _LIP_MM - (p - head) @ opens, np.linalg.norm(p - head - 20.0 * opens, axis=1) - (_RIM_MM + 12.0)
        ),
        box_bounds(head - 70.0, head + 70.0),
        exact=False,
    )
    return smooth_difference(wall, cup, beyond, blend_mm=2.0)


@cache
def _hip() -> Grid:
    """The right hip bone in the pelvis' axes."""
    from spineviz.anatomy.bones import quick_field

    trunk = smooth_union(
        _wing(),
        *(piece for part in ("column", "joint", "ischium", "spine", "superior-ramus", "pubis", "inferior-ramus")
          for piece in _chain(part)),
        blend_mm=_BLEND_MM,
    )  # fmt: skip
    whole = _acetabulum(trunk)
    sacrum, thigh = quick_field("sacrum"), _femur().field()
    sacrum_from_pelvis = rotation_about([1.0, 0.0, 0.0], sacral_slope_deg())

    turns = [_about_hips(deg) for deg in _NECK_TURNS_DEG]

    def distance(p: Points) -> Distances:
        joint = _SACROILIAC_GAP_MM - sacrum.distance(sacrum_from_pelvis.points(p))
        neck = _NECK_GAP_MM - np.min([thigh.distance(turn.points(p)) for turn in turns], axis=0)
        return np.max([whole.distance(p), joint, neck, _SYMPHYSIS_HALF_MM - p[:, 0]], axis=0)

    return sample(Field(distance, whole.bounds_mm, exact=False), _GRID_MM, margin_mm=4.0, steepness=1.7)


@cache
def _femur() -> Grid:
    """The upper end of the right thigh bone in the pelvis' axes."""
    head = sphere(_head_mm(), groin("femoral_head_diameter_mm") / 2)
    neck = smooth_union(*_chain("neck"), *_chain("shaft"), *_chain("trochanter"), *_chain("lesser"), blend_mm=8.0)
    whole = smooth_union(head, neck, blend_mm=4.0)
    return sample(whole, _GRID_MM, margin_mm=4.0)


@cache
def _symphysis() -> Field:
    """The disc between the pubic bones, pelvis' axes."""
    top, low = _rows("pubis")[0], _rows("pubis")[-1]
    middle = 0.5 * (top[:3] + low[:3]) * [0.0, 1.0, 1.0]
    return ellipsoid(middle, (_SYMPHYSIS_HALF_MM - 0.2, 8.5, 19.0))


@cache
def _surface(part: str, side: str) -> Mesh:
    grid = _hip() if part == "hip" else _femur()
    mesh = simplified(mesh_grid(grid), _TRIANGLES)
    if side == "right":
        return mesh
    return Mesh(mesh.points_mm * [-1.0, 1.0, 1.0], mesh.triangles[:, ::-1])


def _bone(part: str, side: str, frame: Frame) -> Structure:
    grid = _hip() if part == "hip" else _femur()
    local = grid.field() if side == "right" else mirrored_x(grid.field())
    world = moved(local, frame)
    return Structure(
        f"{part}-{side}", "bone", "cortical", world, _kept(part, side), f"{part}-{side}", RANKS["bone"], frame,
        offset(world, -_SHELL_MM), "trabecular",
    )  # fmt: skip


def extension_deg(column: Column) -> float:
    """How far the thighs stand back from the pelvis' own upright, deg: lying, legs and trunk lie in one line, and the
    line from the sacrum to T1 leans forward of the pelvis, for the lordosis has flattened."""
    world = column.world_from_vertebra("T1").origin_mm - column.world_from_sacrum.origin_mm
    line = world_from_pelvis(column).inverse().vector(world)
    return float(np.rad2deg(np.arctan2(line[1], line[2])))


def _world_from_thigh(column: Column) -> Frame:
    """The pelvis' axes turned about the hip joints by the extension, world frame."""
    return world_from_pelvis(column) @ _about_hips(-extension_deg(column))


def _about_hips(turn_deg: float) -> Frame:
    """A turn about the line through both hip joints, pelvis' axes; positive carries the knees forward."""
    joints = _head_mm() * [0.0, 1.0, 1.0]
    return translation(joints) @ rotation_about([1.0, 0.0, 0.0], turn_deg) @ translation(-joints)


def _kept(part: str, side: str) -> Callable[[float], Mesh]:
    return lambda spacing_mm: _surface(part, side)


def pelvis_structures(column: Column) -> dict[str, Structure]:
    """ "hip-right", "hip-left", "symphysis", "femur-right" and "femur-left", world frame: rigid; hip bones and
    symphysis stand with the sacrum, the thigh bones in the trunk's line."""
    frame = world_from_pelvis(column)
    stands = {"hip": frame, "femur": _world_from_thigh(column)}
    out = {f"{part}-{side}": _bone(part, side, stands[part]) for part in stands for side in SIDES}
    disc = _symphysis()
    out["symphysis"] = Structure(
        "symphysis", "cartilage", "cartilage", moved(disc, frame), _disc_mesh, "symphysis", RANKS["disc"], frame
    )
    return out


@cache
def _disc_mesh(spacing_mm: float) -> Mesh:
    from spineviz.geometry.meshes import mesh_field

    return mesh_field(_symphysis(), min(max(spacing_mm, 0.8), 1.5))
