"""Hip bones, symphysis and the upper ends of the thigh bones.

The iliac wing is a curved plate from the crest to the line between the lower spines, thin in the fossa and thick beside
the sacrum; the column behind the hip and the body of the pubis are plates too, rami and ischium smooth tubes, all
blended; the acetabulum is hollowed for the head with its cartilage. Places lie in assets/anatomy/pelvis.csv, in the
pelvis' axes; the left is the right one's mirror image. The hip bones stand with the sacrum; the thigh bones turn about
the hip joints, so that they run on in the trunk's line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.arterial_course import femoral_places, sacral_slope_deg, world_from_pelvis
from spineviz.anatomy.arterial_data import SIDES, groin
from spineviz.anatomy.arterial_tubes import tapered_tube
from spineviz.anatomy.column import Column
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.data.assets import asset
from spineviz.data.once import Call, once
from spineviz.geometry.curves import curve_through
from spineviz.geometry.fields import (
    Distances,
    Field,
    Points,
    Vector,
    box_bounds,
    ellipsoid,
    half_space,
    round_cone,
    sphere,
    unit,
    way_to_box,
)
from spineviz.geometry.frames import Frame, rotation_about, translation
from spineviz.geometry.grids import Grid, late_field, sample
from spineviz.geometry.meshes import Mesh, mesh_grid, simplified
from spineviz.geometry.operators import (
    mirrored_x,
    moved,
    near_union,
    offset,
    smooth_difference,
    smooth_intersection,
    smooth_union,
)

_GRID_MM, _MARGIN_MM = 1.5, 4.0
_WING_BLEND_MM, _BLEND_MM = 5.0, 9.0
"""How broad the fillets are between crest and wing, and between the other parts (chosen for legibility)."""
_JOINT_GAP_MM, _NECK_GAP_MM, _SACROILIAC_GAP_MM = 2.6, 2.2, 1.4
"""Room for cartilage between head and acetabulum, for the neck at its rim, and between ilium and sacrum (chosen)."""
_NECK_TURNS_DEG = (0.0, 4.0, 8.0, 12.0, 16.0)
"""The extensions of the hip for which the acetabulum's rim gives room to the neck: from standing to lying."""
_OPENS = np.array([0.74, 0.40, -0.54])
"""The direction in which the acetabulum opens on the right: out, forward, down (remembered)."""
_RIM_MM, _LIP_MM, _MEDIAL_WALL_MM = 31.5, 9.0, 57.0
"""Radius of the acetabulum's wall from the head's middle, how far beyond the head's middle its rim reaches, and how
far aside its flat inner face lies."""
_SHELL_MM = 1.8
"""Thickness of the cortex (chosen within the literature's 1 to 3 mm)."""
_SYMPHYSIS_HALF_MM = 2.6
_TRIANGLES = {"hip": 12000, "femur": 6000}
_TUBE_STEP_MM, _PLATE_STEP_MM, _FAR_MM = 3.0, 1.5, 32.0
"""How far apart the samples of tubes and plates lie, and the distance beyond which they only say that it is farther."""
_SACRUM_REACH_MM, _NECK_REACH_MM = 66.0, 75.0
"""How far aside the sacrum, and how far from the head's middle the thigh bone, is looked at."""


@cache
def _rows(part: str) -> NDArray[np.float64]:
    """(K, 4) x, y, z and radius of `part`, pelvis' axes."""
    lines = [line for line in asset("anatomy", "pelvis.csv").read_text("utf-8").splitlines() if line[:1] != "#"]
    columns = ("x_mm", "y_mm", "z_mm", "radius_mm")
    return np.array([[float(row[c]) for c in columns] for row in csv.DictReader(lines) if row["part"] == part])


def _looked_at_near(field: Field) -> Field:
    """`field`, of which points far from its box are only told how far the box is: to look takes long."""

    def distance(p: Points) -> Distances:
        out = way_to_box(p, field.bounds_mm)
        near = out < _FAR_MM
        out[near] = field.distance(p[near])
        return out

    return Field(distance, field.bounds_mm, exact=False)


def _tube(part: str) -> Field:
    """A round tube along the smooth curve through the places of `part`."""
    from scipy.interpolate import PchipInterpolator

    rows = _rows(part)
    curve = curve_through(rows[:, :3], _TUBE_STEP_MM)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(rows[:, :3], axis=0), axis=1))])
    radius = PchipInterpolator(chord, rows[:, 3])(np.linspace(0.0, chord[-1], len(curve.points_mm)))
    return _looked_at_near(tapered_tube(curve.points_mm, radius))


def _plate(*parts: str) -> Field:
    """A curved plate over the surface through the places of `parts`, its edges side by side, each with as many places;
    the radius there is half its thickness. Inexact by the distance of its samples: a tenth of a millimetre."""
    from scipy.interpolate import RectBivariateSpline

    rows = np.array([_rows(part) for part in parts])  # (edges, places, 4)
    knots = [np.arange(float(count)) for count in rows.shape[:2]]
    spans = [np.linalg.norm(np.diff(rows[..., :3], axis=axis), axis=-1).sum(axis).max() for axis in (0, 1)]
    at = [np.linspace(0.0, k[-1], int(span / _PLATE_STEP_MM)) for k, span in zip(knots, spans, strict=True)]
    bends = [min(3, len(k) - 1) for k in knots]
    places = [RectBivariateSpline(*knots, rows[..., i], kx=bends[0], ky=bends[1])(*at).ravel() for i in range(3)]
    points = np.column_stack(places)
    half = RectBivariateSpline(*knots, rows[..., 3], kx=1, ky=1)(*at).ravel()
    tree: list = []

    def distance(p: Points) -> Distances:
        from scipy.spatial import cKDTree

        if not tree:
            tree.append(cKDTree(points, leafsize=64))  # most points are far from all samples: a third faster
        away, near = tree[0].query(p, distance_upper_bound=_FAR_MM)  # farther off, finding the nearest takes long
        return np.minimum(away, _FAR_MM) - np.append(half, 0.0)[near]

    bounds = box_bounds(points.min(0) - half.max(), points.max(0) + half.max())
    return _looked_at_near(Field(distance, bounds, exact=False))


def _head_mm() -> Vector:
    """(3,) the middle of the right femoral head, pelvis' axes."""
    return femoral_places("right")["head"]


def _acetabulum(bone: Field) -> Field:
    """`bone` with the wall round the femoral head: flat towards the pelvis, hollowed, open to its side, with the fossa
    and the notch below in which the ligament of the head lies."""
    head = _head_mm()
    opens = unit(_OPENS)
    down = unit(np.array([0.0, 0.0, -1.0]) + opens[2] * opens)
    ball = sphere(head - 3.0 * opens, _RIM_MM)
    flat = half_space([_MEDIAL_WALL_MM, 0.0, 0.0], [-1.0, 0.0, 0.0])
    wall = smooth_union(bone, smooth_intersection(ball, flat, blend_mm=8.0), blend_mm=7.0)
    cup = sphere(head, groin("femoral_head_diameter_mm") / 2 + _JOINT_GAP_MM)
    fossa = round_cone(head - 10.0 * opens, head + 5.0 * opens + 28.0 * down, 17.0, 7.0)
    beyond = Field(
        lambda p: np.maximum(
            _LIP_MM - (p - head) @ opens, np.linalg.norm(p - head - 20.0 * opens, axis=1) - (_RIM_MM + 12.0)
        ),
        box_bounds(head - 70.0, head + 70.0),
        exact=False,
    )
    return smooth_difference(wall, cup, beyond, fossa, blend_mm=2.0)


@cache
def _hip() -> Field:
    """The right hip bone in the pelvis' axes, as it is described."""
    from spineviz.anatomy.bones import quick_field

    trunk = near_union(
        near_union(_plate("wing-1", "wing-2", "wing-3", "wing-4"), _tube("crest"), blend_mm=_WING_BLEND_MM),
        _plate("column-back", "column-front"),
        _plate("pubis-inner", "pubis-outer"),
        *(_tube(part) for part in ("joint", "wall", "ischium", "spine", "superior-ramus", "inferior-ramus")),
        blend_mm=_BLEND_MM,
    )
    whole = _acetabulum(trunk)
    sacrum = quick_field("sacrum")
    sacrum_from_pelvis = rotation_about([1.0, 0.0, 0.0], sacral_slope_deg())

    turns = [_about_hips(deg) for deg in _NECK_TURNS_DEG]

    def distance(p: Points) -> Distances:
        out = np.maximum(whole.distance(p), _SYMPHYSIS_HALF_MM - p[:, 0])
        beside = p[:, 0] < _SACRUM_REACH_MM
        out[beside] = np.maximum(
            out[beside], _SACROILIAC_GAP_MM - sacrum.distance(sacrum_from_pelvis.points(p[beside]))
        )
        round_hip = np.linalg.norm(p - _head_mm(), axis=1) < _NECK_REACH_MM
        thigh = _grid("femur").field()
        neck = [thigh.distance(turn.points(p[round_hip])) for turn in turns]
        out[round_hip] = np.maximum(out[round_hip], _NECK_GAP_MM - np.min(neck, axis=0))
        return out

    return Field(distance, whole.bounds_mm, exact=False)


@cache
def _femur() -> Field:
    """The upper end of the right thigh bone in the pelvis' axes, as it is described."""
    head = sphere(_head_mm(), groin("femoral_head_diameter_mm") / 2)
    neck = near_union(*(_tube(part) for part in ("neck", "shaft", "trochanter", "lesser")), blend_mm=8.0)
    return smooth_union(head, neck, blend_mm=4.0)


_DESCRIBED = {"hip": (_hip, 1.4), "femur": (_femur, 1.5)}
"""Each bone, and how steep its field is at most."""


@once
def _grid(part: str) -> Grid:
    """The right bone `part` sampled."""
    described, steepness = _DESCRIBED[part]
    return sample(described(), _GRID_MM, _MARGIN_MM, steepness=steepness)


@cache
def _right(part: str) -> Field:
    """The right bone `part`, read off its raster, which is made at the first query: most pictures show none of it."""
    described, _ = _DESCRIBED[part]
    return late_field(lambda: _grid(part), described().bounds_mm, _GRID_MM, _MARGIN_MM)


@cache
def _symphysis() -> Field:
    """The disc between the pubic bones, pelvis' axes."""
    top, low = _rows("pubis-inner")[0], _rows("pubis-inner")[-1]
    middle = 0.5 * (top[:3] + low[:3]) * [0.0, 1.0, 1.0]
    return ellipsoid(middle, (_SYMPHYSIS_HALF_MM - 0.2, 8.5, 19.0))


@once
def _surface(part: str, side: str) -> Mesh:
    if side == "right":
        return simplified(mesh_grid(_grid(part)), _TRIANGLES[part])
    mesh = _surface(part, "right")
    return Mesh(mesh.points_mm * [-1.0, 1.0, 1.0], mesh.triangles[:, ::-1])


def pelvis_calls() -> list[Call]:
    """What makes hip and thigh bones, whatever the posture: to be made beside something else."""
    grids: list[Call] = [(_grid, (part,)) for part in ("femur", "hip")]
    return grids + [(_surface, (part, "right")) for part in _TRIANGLES]


def _bone(part: str, side: str, frame: Frame) -> Structure:
    local = _right(part) if side == "right" else mirrored_x(_right(part))
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
