"""People as smooth outlines: the patient face down on the table, and the standing team.

Every station (centre and half axes) is a row of assets/anatomy/figure.csv. The patient is in the world of L1; the
standing figure has its own frame: x to its right, y the way it faces, z up, the origin between its feet.
"""

from __future__ import annotations

import csv
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spineviz.data.assets import asset
from spineviz.geometry.fields import Distances, Field, Points, box_bounds, ellipsoid, polyline_tube, round_cone
from spineviz.geometry.frames import rotation_about
from spineviz.geometry.operators import both_sides, intersection, moved, smooth_difference, smooth_union, union

SQUARENESS = 2.4
"""Exponent of the trunk's cross-sections: 2 is an ellipse, more is squarer."""


BOW_DEG = 20.0
NAPE_MM = (0.0, 8.0, 1560.0)
"""How far, and about which point, the standing figure's head is bowed; chosen for legibility."""
FOLD_FADE = 0.75
"""The share of a gown's height over which its folds fade out."""


@cache
def stations(part: str) -> NDArray[np.float64]:
    """(K, 6) rows of `part`: x, y, z of the centre and half width, depth, height, mm; nan where a part has none.

    Raises KeyError naming the part for one that is not in the table.
    """
    rows = csv.DictReader(asset("anatomy", "figure.csv").read_text("utf-8").splitlines())
    columns = ("x_mm", "y_mm", "z_mm", "half_width_mm", "half_depth_mm", "half_height_mm")
    table = [[float(row[c]) if row[c] else np.nan for c in columns] for row in rows if row["part"] == part]
    if not table:
        raise KeyError(f"figure.csv has no part {part!r}")
    return np.array(table)


def loft(rows: NDArray[np.float64], squareness: float = SQUARENESS, folds_mm: float = 0.0) -> Field:
    """A solid through superellipse sections across z, as `stations` gives them (K, 6), z rising or falling. Inexact.

    `folds_mm` is how deep cloth folds run at its lower end; they fade out towards the upper.
    """
    from scipy.interpolate import PchipInterpolator

    rows = rows[np.argsort(rows[:, 2])]
    z = rows[:, 2]
    profile = PchipInterpolator(z, rows[:, [0, 1, 3, 4]], axis=0)
    middle, half = (z[0] + z[-1]) / 2, (z[-1] - z[0]) / 2

    def distance(p: Points) -> Distances:
        x, y, width, depth = profile(np.clip(p[:, 2], z[0], z[-1])).T
        u, v = np.abs(p[:, 0] - x) / width, np.abs(p[:, 1] - y) / depth
        radius = (u**squareness + v**squareness) ** (1.0 / squareness)
        # the way to the surface along the ray from the axis
        side = np.hypot(u * width, v * depth) * (1.0 - 1.0 / np.maximum(radius, 1e-6))
        side = np.where(radius < 1e-3, -np.minimum(width, depth), side)
        if folds_mm:
            angle = np.arctan2(p[:, 1] - y, p[:, 0] - x)
            fade = np.clip((z[0] + FOLD_FADE * (z[-1] - z[0]) - p[:, 2]) / (FOLD_FADE * (z[-1] - z[0])), 0.0, 1.0)
            side = side + folds_mm * fade * (np.cos(9.0 * angle + 0.6) + 0.5 * np.sin(14.0 * angle)) * (side > -60.0)
        return np.maximum(side, np.abs(p[:, 2] - middle) - half)

    reach = rows[:, 3:5]
    low = [(rows[:, 0] - reach[:, 0]).min(), (rows[:, 1] - reach[:, 1]).min(), z[0]]
    high = [(rows[:, 0] + reach[:, 0]).max(), (rows[:, 1] + reach[:, 1]).max(), z[-1]]
    return Field(distance, box_bounds(low, high), exact=False)


def limb(part: str) -> Field:
    """The chain of tapered capsules through the stations of `part`."""
    rows = stations(part)
    return union(*(round_cone(a[:3], b[:3], a[3], b[3]) for a, b in pairwise(rows)))


def blob(part: str) -> Field:
    """The ellipsoid of `part`."""
    row = stations(part)[0]
    return ellipsoid(row[:3], row[3:])


def prone_patient() -> Field:
    """The whole patient face down, arms beside the head, in the world of L1 (posterior up in the room). Inexact."""
    sides = both_sides(
        smooth_union(
            blob("buttock"),
            limb("leg"),
            limb("foot"),
            smooth_union(limb("arm"), blob("hand"), limb("thumb"), blend_mm=14.0),
            blob("shoulder-blade"),
            blend_mm=26.0,
        )
    )
    head = smooth_union(blob("skull"), blob("jaw"), blob("nose"), both_sides(blob("ear")), limb("neck"), blend_mm=22.0)
    body = smooth_union(loft(stations("trunk")), sides, head, blend_mm=44.0)
    furrow = stations("furrow")
    return smooth_difference(body, polyline_tube(furrow[:, :3], furrow[:, 3].max()), blend_mm=26.0)


def patient_cap() -> Field:
    """The cap over the patient's hair: the crown alone, the face stays free. Inexact."""
    return _above(blob("cap"), np.array([0.0, 44.0, 566.0]), np.array([0.0, 0.72, -0.69]))


def _above(field: Field, point_mm: NDArray[np.float64], outward: NDArray[np.float64]) -> Field:
    """The part of `field` behind the plane through `point_mm` with the outward normal `outward`."""
    normal = outward / np.linalg.norm(outward)
    plane = Field(lambda p: (p - point_mm) @ normal, field.bounds_mm)
    return intersection(field, plane)


def _bowed(field: Field) -> Field:
    """A part of the standing figure's head, looking down at the table."""
    return moved(field, rotation_about((1.0, 0.0, 0.0), -BOW_DEG, NAPE_MM))


def standing_gown() -> Field:
    """A gown with its sleeves, arms reaching forward at table height. Inexact."""
    return smooth_union(loft(stations("staff-gown"), 2.2, folds_mm=9.0), standing_sleeves(), blend_mm=46.0)


def standing_sleeves() -> Field:
    """Two sleeves, arms reaching forward at table height. Inexact."""
    return both_sides(limb("staff-sleeve"))


def standing_scrubs() -> Field:
    """The shirt under an apron: sleeves and shoulders. Inexact."""
    rows = stations("staff-gown")
    shirt = rows[rows[:, 2] > 1200.0] * np.array([1, 1, 1, 0.9, 0.9, 1])
    return smooth_union(loft(shirt, 2.2), standing_sleeves(), blend_mm=40.0)


def standing_legs() -> Field:
    """Trousers under the gown's hem. Inexact."""
    return both_sides(limb("staff-trouser"))


def standing_shoes() -> Field:
    """Two shoes. Inexact."""
    return both_sides(limb("staff-shoe"))


def standing_gloves() -> Field:
    """Two gloved hands held together over the table. Inexact."""
    hand = smooth_union(limb("staff-glove"), blob("staff-hand"), limb("staff-fingers"), blend_mm=22.0)
    return both_sides(smooth_union(hand, limb("staff-thumb"), blend_mm=10.0))


def standing_face() -> Field:
    """Head and neck. Inexact."""
    head = smooth_union(blob("staff-head"), both_sides(blob("staff-ear")), blend_mm=10.0)
    return smooth_union(_bowed(head), limb("staff-neck"), blend_mm=20.0)


def standing_cap() -> Field:
    """A surgical cap, down to the brow in front and to the nape behind. Inexact."""
    return _bowed(_above(blob("staff-cap"), np.array([0.0, 100.0, 1674.0]), np.array([0.0, 0.42, -1.0])))


def standing_mask() -> Field:
    """A mask over nose and chin. Inexact."""
    return _bowed(_above(blob("staff-mask"), np.array([0.0, 110.0, 1634.0]), np.array([0.0, 0.25, 1.0])))


def standing_glasses() -> Field:
    """Lead glasses. Inexact."""
    return _bowed(blob("staff-glasses"))


def standing_apron() -> Field:
    """A lead apron with its thyroid collar. Inexact."""
    return smooth_union(loft(stations("staff-apron"), 2.3, folds_mm=4.0), limb("staff-collar"), blend_mm=14.0)
