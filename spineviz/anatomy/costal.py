"""The joints for the ribs on thoracic vertebrae: hollows on the body or beside the pedicle."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np

from spineviz.anatomy.arch import Arch
from spineviz.anatomy.body import Body
from spineviz.anatomy.vertebra_parts import Part, ball
from spineviz.anatomy.vertebra_shape import Shape
from spineviz.data.assets import asset
from spineviz.geometry.fields import Vector, unit


@dataclass(frozen=True)
class RibFacets:
    """The hollows of one vertebra, on its right.

    Attributes:
        pads: low swellings of the body that carry the rib heads' hollows.
        hollows: balls to be cut out of body and pads, before the arch is joined on.
        points: "rib-head", "rib-head-lower", "rib-facet" where the vertebra has them, (3,) mm.
        normals: the same names, (3,) unit vectors out of the bone.
    """

    pads: tuple[Part, ...]
    hollows: tuple[Part, ...]
    points: dict[str, Vector]
    normals: dict[str, Vector]


@cache
def _pattern() -> dict[str, dict[str, float]]:
    lines = asset("anatomy", "shape-ribs.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    return {row["level"]: {k: float(row[k]) for k in ("upper", "lower", "on_pedicle", "transverse")} for row in rows}


def _surface(body: Body, toward: Vector, start: Vector) -> Vector:
    """Where the ray from `start` (inside) along `toward` leaves the body."""
    low, high = 0.0, 60.0
    for _ in range(40):
        middle = (low + high) / 2
        if body.part.distance((start + middle * toward)[None])[0] < 0:
            low = middle
        else:
            high = middle
    return start + low * toward


def rib_facets(level: str, body: Body, arch: Arch, shape: Shape, height_mm: float) -> RibFacets:
    """The rib facets of `level`; empty for a lumbar vertebra. Gray's Anatomy says which vertebra has which."""
    pattern = _pattern().get(level)
    if pattern is None:
        return RibFacets((), (), {}, {})
    pads: list[Part] = []
    hollows: list[Part] = []
    points: dict[str, Vector] = {}
    normals: dict[str, Vector] = {}
    radius = shape["rib_head_radius"] * height_mm
    dent = shape["rib_dent"] * height_mm
    angle = np.radians(shape["rib_head_angle_deg"])
    outward = np.array([np.cos(angle), -np.sin(angle), 0.0])

    def place(name: str, at: Vector, normal: Vector) -> None:
        """A pad that stands `dent` proud of `at`, hollowed down to it."""
        pads.append(ball(at - normal * (0.8 * radius - dent), 0.8 * radius))
        hollows.append(ball(at + normal * radius, radius))
        points[name], normals[name] = at, normal

    upper, lower = body.upper.vertebra_from_plate, body.lower.vertebra_from_plate
    drop = shape["rib_head_drop"] * height_mm
    if pattern["on_pedicle"]:
        side = unit([1.0, -0.2, 0.0])
        root = arch.pedicle.origin_mm + arch.pedicle.rotation[:, 1] * shape["rib_ahead"] * height_mm
        place("rib-head", root + side * arch.pedicle_half_width_mm, side)
    elif pattern["upper"]:
        # a half facet reaches up to the rim, a whole one lies below it
        start = upper.origin_mm - upper.rotation[:, 2] * drop * 2 * pattern["upper"]
        place("rib-head", _surface(body, outward, start), unit(outward + np.array([0.0, 0.0, 0.1])))
    if pattern["lower"]:
        start = lower.origin_mm + lower.rotation[:, 2] * drop
        place("rib-head-lower", _surface(body, outward, start), unit(outward - np.array([0.0, 0.0, 0.1])))
    if pattern["transverse"]:
        points["rib-facet"], normals["rib-facet"] = arch.points["rib-facet"], arch.rib_normal
    return RibFacets(tuple(pads), tuple(hollows), points, normals)
