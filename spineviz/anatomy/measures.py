"""Every published dimension measured back on the built vertebra, by the definitions of assets/anatomy/SOURCES.md.

The surface alone is read: sections of the field by planes, and chords inside them. What the shape was built to is not
consulted; landmarks serve only to start a search.

- End-plate: a straight edge is laid on the plate in the mid-sagittal plane; where it touches in front and behind lies
  the rim's crest. Depth and width are the rim's outer spans within 2.5 mm below that edge; heights go from crest to
  crest.
- Canal: the hole in the transverse section at mid-height of the pedicle.
- Pedicle: chords normal to its axis, which is the line through the centroids of the coronal sections in its narrowest
  third. The sagittal angle is positive where the pedicle rises from the body backward, as thoracic ones do.
- Spinous process: what stands out behind the laminae; the line from the middle of its root, on the laminae's back edge,
  to its tip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.vertebra import Vertebra, vertebra
from spineviz.data.tables import Sourced, known_level
from spineviz.geometry.fields import Field, Vector, unit
from spineviz.geometry.frames import Frame
from spineviz.geometry.sections import PlaneGrid, contours

_RIM_ZONE_MM = 2.5
"""How far below its crest the rim still counts as rim."""
_RASTER_MM = 0.4
_CORONAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""A coronal plane's axes: picture right is x, picture up is z."""


@dataclass(frozen=True)
class Measure:
    """One dimension, built and published.

    Attributes:
        level: T1 to L5.
        name: the column of morphometry.csv that counts.
        built: measured on the built surface.
        published: the table's figure with its source and mark.
        tolerance: how far `built` may lie from it, same unit.
        unit: "mm" or "deg".
    """

    level: str
    name: str
    built: float
    published: Sourced
    tolerance: float
    unit: str

    @property
    def difference(self) -> float:
        """Built less published."""
        return self.built - self.published.value

    @property
    def within(self) -> bool:
        """Whether the difference is inside the tolerance."""
        return abs(self.difference) <= self.tolerance


TOLERANCES: dict[str, tuple[float, float]] = {
    "EPWu_mm": (0.5, 0.02),
    "EPWl_mm": (0.5, 0.02),
    "EPDu_mm": (0.5, 0.02),
    "EPDl_mm": (0.5, 0.02),
    "VBHp_use_mm": (0.5, 0.02),
    "VBHa_use_mm": (0.5, 0.02),
    "SCW_use_mm": (0.5, 0.02),
    "SCD_use_mm": (0.5, 0.02),
    "PDW_zindrick_mm": (0.5, 0.03),
    "PDH_zindrick_mm": (0.5, 0.03),
    "pedicle_transverse_medial_deg": (3.0, 0.0),
    "pedicle_sagittal_cephalad_deg": (3.0, 0.0),
    "TPW_tip_to_tip_mm": (1.0, 0.02),
    "SP_length_mm": (2.0, 0.0),
    "SP_slope_below_horizontal_deg": (5.0, 0.0),
}
"""The counted columns: how near the built vertebra comes, in mm or degrees, or as a share; the larger one holds."""


def tolerance(name: str, published: float) -> float:
    """The tolerance of the dimension `name` where `published` is its figure; KeyError for another name."""
    absolute, share = TOLERANCES[name]
    return max(absolute, share * abs(published))


def measure_vertebra(level: str) -> list[Measure]:
    """Every counted dimension of `level` on its built surface; RequestError for a level that does not exist.

    Disc height and segment angle belong to two vertebrae and are measured on the column.
    """
    bone = vertebra(known_level(level))
    built = built_dimensions(level)
    return [
        Measure(level, name, built[name], bone.row[name], tolerance(name, bone.row[name].value), bone.row[name].unit)
        for name in TOLERANCES
    ]


@cache
def built_dimensions(level: str) -> dict[str, float]:
    """The measured value of every counted column of `level`."""
    return dimensions_of(vertebra(level))


def dimensions_of(bone: Vertebra) -> dict[str, float]:
    """The counted dimensions read off the surface of `bone`."""
    out = _body_dimensions(bone)
    pedicle, axis = _pedicle_dimensions(bone)
    out |= pedicle
    out |= _canal_dimensions(bone, axis)
    out["TPW_tip_to_tip_mm"] = _tip_to_tip(bone)
    out |= _spinous_dimensions(bone)
    return out


# --- sections -----------------------------------------------------------------------------------------------------


def _sagittal(x_mm: float, y_mm: float, z_mm: float) -> Frame:
    """A parasagittal plane through the point: picture right is y, picture up is z."""
    rotation = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return Frame(rotation, np.array([x_mm, y_mm, z_mm]))


def _outlines(
    shape: Field, plane: Frame, half_mm: tuple[float, float], spacing_mm: float = _RASTER_MM
) -> list[NDArray[np.float64]]:
    return contours(shape, PlaneGrid(plane, half_mm[0], half_mm[1], spacing_mm))


def _encloses(line: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    x, y = line[:, 0] - point[0], line[:, 1] - point[1]
    nx, ny = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > 0) != (ny > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (0 - y) / (ny - y) * (nx - x)
    return bool(np.count_nonzero(crosses & (at > 0)) % 2)


def _area(line: NDArray[np.float64]) -> float:
    x, y = line.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _centroid(line: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = line.T
    nx, ny = np.roll(x, -1), np.roll(y, -1)
    cross = x * ny - nx * y
    return np.array([np.sum((x + nx) * cross), np.sum((y + ny) * cross)]) / (3.0 * np.sum(cross))


def _smallest_round(lines: list[NDArray[np.float64]], point: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The tightest outline round `point`."""
    found = [line for line in lines if _encloses(line, point)]
    return min(found, key=lambda line: abs(_area(line))) if found else None


def _chord(shape: Field, start: Vector, direction: Vector, reach_mm: float) -> float:
    """The way from `start`, inside `shape`, along `direction` to its surface; `reach_mm` if it is not met."""
    way = np.arange(0.0, reach_mm + 0.1, 0.1)
    value = shape.distance(start + way[:, None] * direction)
    outside = np.flatnonzero(value > 0)
    if not len(outside) or outside[0] == 0:
        return reach_mm if not len(outside) else 0.0
    i = outside[0]
    return float(way[i - 1] + 0.1 * value[i - 1] / (value[i - 1] - value[i]))


# --- body ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rim:
    """A straight edge on an end-plate in the mid-sagittal plane (y, z)."""

    front: NDArray[np.float64]
    back: NDArray[np.float64]
    along: NDArray[np.float64]
    normal: NDArray[np.float64]
    depth_mm: float


def _rim(outline: NDArray[np.float64], up: float) -> _Rim:
    """The rim of the upper (`up` 1.0) or the lower (-1.0) end-plate on the body's mid-sagittal `outline` (K, 2)."""
    middle = (outline.min(0) + outline.max(0)) / 2
    front, back = outline[outline[:, 0] > middle[0]], outline[outline[:, 0] < middle[0]]
    along = np.array([1.0, 0.0])
    for _ in range(8):
        normal = up * np.array([-along[1], along[0]])
        touch_front, touch_back = front[np.argmax(front @ normal)], back[np.argmax(back @ normal)]
        along = (touch_front - touch_back) / np.linalg.norm(touch_front - touch_back)
    normal = up * np.array([-along[1], along[0]])
    zone = outline[outline @ normal > touch_front @ normal - _RIM_ZONE_MM]
    return _Rim(touch_front, touch_back, along, normal, float(np.ptp(zone @ along)))


def _body_dimensions(bone: Vertebra) -> dict[str, float]:
    outlines = _outlines(bone.field, _sagittal(0.0, 0.0, 0.0), (30.0, 24.0))
    body = _smallest_round(outlines, np.zeros(2))
    assert body is not None, f"{bone.level}: no body in the mid-sagittal plane"
    upper, lower = _rim(body, 1.0), _rim(body, -1.0)
    return {
        "EPWu_mm": _rim_width(bone.field, upper),
        "EPWl_mm": _rim_width(bone.field, lower),
        "EPDu_mm": upper.depth_mm,
        "EPDl_mm": lower.depth_mm,
        "VBHp_use_mm": float(np.linalg.norm(upper.back - lower.back)),
        "VBHa_use_mm": float(np.linalg.norm(upper.front - lower.front)),
    }


def _rim_width(shape: Field, rim: _Rim) -> float:
    """The widest left-right span of the rim: chords across its middle, within its zone."""
    middle = (rim.front + rim.back) / 2
    shares = np.linspace(-0.15, 0.2, 15) * rim.depth_mm
    drops = np.linspace(0.6, _RIM_ZONE_MM, 9)
    share, drop = (a.ravel() for a in np.meshgrid(shares, drops))
    inner = middle + share[:, None] * rim.along - drop[:, None] * rim.normal
    starts = np.column_stack([np.zeros(len(inner)), inner])
    low, high = np.full(len(inner), 6.0), np.full(len(inner), 40.0)
    # the body's side wall is met once on the way out, below the hollow of the plate
    for _ in range(24):
        half = (low + high) / 2
        inside = shape.distance(starts + half[:, None] * np.array([1.0, 0.0, 0.0])) < 0
        low, high = np.where(inside, half, low), np.where(inside, high, half)
    return 2.0 * float(low.max())


# --- pedicle and canal --------------------------------------------------------------------------------------------


def _pedicle_dimensions(bone: Vertebra) -> tuple[dict[str, float], Frame]:
    """The right pedicle's dimensions and its measured frame (y forward along the axis)."""
    seed = bone.frames["pedicle-right"]
    start, ahead = seed.origin_mm, seed.rotation[:, 1] / seed.rotation[1, 1]
    step = 0.5
    stations = np.arange(-6.0, 6.01, step)
    areas, centres = np.full(len(stations), np.inf), np.zeros((len(stations), 3))
    for i, station in enumerate(stations):
        at = start + station * ahead
        line = _smallest_round(_outlines(bone.field, Frame(_CORONAL, at), (13.0, 12.0), 0.5), np.zeros(2))
        if line is not None:
            areas[i] = abs(_area(line))
            centres[i] = at + np.insert(_centroid(line), 1, 0.0)
    slim = int(np.argmin(areas))
    # the pedicle ends where it has swollen to the body or the arch
    swollen = areas > 1.8 * areas[slim]
    first = slim - int(np.argmax(np.append(swollen[slim::-1], True))) + 1
    last = slim + int(np.argmax(np.append(swollen[slim:], True)))
    reach = max(round((last - first) / 3), 6)
    starts = range(max(0, slim - reach), min(slim, len(stations) - 1 - reach) + 1)
    window = min(starts, key=lambda i: areas[i : i + reach + 1].max())
    points = centres[window : window + reach + 1]
    origin = points.mean(0)
    _, _, spread = np.linalg.svd(points - origin)
    axis = spread[0] * np.sign(spread[0] @ ahead)
    across = unit(np.cross(axis, [0.0, 0.0, 1.0]))
    upward = np.cross(across, axis)
    widths, heights = [], []
    for station in np.arange(-4.0, 4.01, 0.25):
        at = origin + station * axis
        widths.append(_chord(bone.field, at, across, 20.0) + _chord(bone.field, at, -across, 20.0))
        heights.append(_chord(bone.field, at, upward, 20.0) + _chord(bone.field, at, -upward, 20.0))
    width, height = min(widths), min(heights)
    frame = Frame(np.stack([across, axis, upward], axis=1), origin)
    return {
        "PDW_zindrick_mm": width,
        "PDH_zindrick_mm": height,
        "pedicle_transverse_medial_deg": float(np.degrees(np.arctan2(-axis[0], axis[1]))),
        "pedicle_sagittal_cephalad_deg": float(np.degrees(np.arctan2(-axis[2], axis[1]))),
    }, frame


def _canal_dimensions(bone: Vertebra, pedicle: Frame) -> dict[str, float]:
    centre = bone.landmarks["canal-centre"]
    plane = Frame(np.eye(3), np.array([0.0, centre[1], pedicle.origin_mm[2]]))
    hole = _smallest_round(_outlines(bone.field, plane, (24.0, 20.0)), np.zeros(2))
    assert hole is not None, f"{bone.level}: the canal is open at the pedicles' height"
    start = plane.origin_mm
    bone_outside = Field(lambda p: -bone.field.distance(p), bone.field.bounds_mm, exact=False)
    backward = np.array([0.0, 1.0, 0.0])
    return {
        "SCW_use_mm": float(np.ptp(hole[:, 0])),
        "SCD_use_mm": _chord(bone_outside, start, backward, 25.0) + _chord(bone_outside, start, -backward, 25.0),
    }


# --- processes ----------------------------------------------------------------------------------------------------


def _tip_to_tip(bone: Vertebra) -> float:
    points = bone.mesh(0.8).points_mm
    behind = points[points[:, 1] < bone.landmarks["body-back-centre"][1]]
    return float(np.ptp(behind[:, 0]))


def _spinous_dimensions(bone: Vertebra) -> dict[str, float]:
    """Length and dip of the line from the middle of the process's root, on the laminae's back edge, to its tip."""
    low, high = bone.field.bounds_mm
    behind_y = bone.landmarks["canal-centre"][1]
    beside = 0.5 * _canal_half_width(bone)
    step = 0.4
    y = np.arange(low[1], behind_y, step)
    z = np.arange(low[2], high[2], step)
    yy, zz = np.meshgrid(y, z, indexing="ij")
    flat = [np.full(yy.size, 0.0), yy.ravel(), zz.ravel()]
    middle = (bone.field.distance(np.column_stack(flat)) < 0).reshape(yy.shape)
    flat[0] = np.full(yy.size, beside)
    lamina = (bone.field.distance(np.column_stack(flat)) < 0).reshape(yy.shape)
    # what stands out behind the hindmost bone beside the midline; heights without any belong to the process
    edge = np.where(lamina.any(0), y[np.argmax(lamina, axis=0)], np.inf)
    free = middle & (yy < edge)
    root = free & (yy > edge - 2.0 * step) & np.isfinite(edge)[None]
    base = np.array([yy[root].mean(), zz[root].mean()])
    region = np.column_stack([yy[free], zz[free]])
    along = _unit_flat(region.mean(0) - base)
    for _ in range(6):
        way = (region - base) @ along
        tip = region[way > way.max() - 3.0].mean(0)
        along = _unit_flat(tip - base)
    direction = np.array([0.0, *along])
    halfway = np.array([0.0, *(base + 0.6 * (tip - base))])
    length = 0.6 * float(np.linalg.norm(tip - base)) + _chord(bone.field, halfway, direction, 60.0)
    return {
        "SP_length_mm": length,
        "SP_slope_below_horizontal_deg": float(np.degrees(np.arctan2(-direction[2], -direction[1]))),
    }


def _unit_flat(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """`vector` (2,) scaled to length one."""
    return vector / np.linalg.norm(vector)


def _canal_half_width(bone: Vertebra) -> float:
    """Half the canal's width at its middle, by a chord."""
    outside = Field(lambda p: -bone.field.distance(p), bone.field.bounds_mm, exact=False)
    return _chord(outside, bone.landmarks["canal-centre"], np.array([1.0, 0.0, 0.0]), 25.0)
