"""The neural arch: pedicles, articular processes with their facets, laminae, transverse and spinous processes.

Everything is built on the right (x > 0) and mirrored. Positions in assets/anatomy/shape.csv are shares: across, of the
pedicle's distance from the midline; back, of the canal's depth behind the body's back wall; up, of the body's posterior
height above the body's middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.vertebra_parts import Part, cut, cylinder_patch, loft, plate, smooth_minimum
from spineviz.anatomy.vertebra_shape import Shape
from spineviz.geometry.fields import Distances, Points, Vector, unit
from spineviz.geometry.frames import Frame


@dataclass(frozen=True)
class Measures:
    """The dimensions of one vertebra that its arch is built to, mm and degrees."""

    canal_width: float
    canal_depth: float
    pedicle_width: float
    pedicle_height: float
    pedicle_medial_deg: float
    pedicle_cephalad_deg: float
    tip_to_tip: float
    spinous_length: float
    spinous_slope_deg: float
    body_height: float
    body_depth: float


@dataclass(frozen=True)
class Facet:
    """A joint surface in its vertebra's frame.

    Attributes:
        centre_mm: (3,) its middle.
        normal: (3,) out of the upward-facing (superior) process of the lower vertebra, so into the upper vertebra's.
        upward: (3,) along the joint.
        radius_mm: of the cylinder on which both surfaces lie.
        half_height_mm, half_width_mm: its reach along and across.
    """

    centre_mm: Vector
    normal: Vector
    upward: Vector
    radius_mm: float
    half_height_mm: float
    half_width_mm: float

    def seen_from(self, outer_from_inner: Frame) -> Facet:
        """The same surface in another frame."""
        return Facet(
            outer_from_inner.point(self.centre_mm),
            outer_from_inner.vector(self.normal),
            outer_from_inner.vector(self.upward),
            self.radius_mm,
            self.half_height_mm,
            self.half_width_mm,
        )


def superior_facet(m: Measures, shape: Shape, upper_rim_back: Vector) -> Facet:
    """The right superior facet: placed over the upper rim's back edge, turned by the region."""
    yaw, pitch = np.radians(shape["facet_yaw_deg"]), np.radians(shape["facet_pitch_deg"])
    # yaw 0: facing straight back (coronal joint); 90: facing the midline (sagittal joint)
    flat = np.array([-np.sin(yaw), -np.cos(yaw), 0.0])
    normal = np.cos(pitch) * flat + np.sin(pitch) * np.array([0.0, 0.0, 1.0])
    upward = np.cos(pitch) * np.array([0.0, 0.0, 1.0]) - np.sin(pitch) * flat
    centre = upper_rim_back + np.array(
        [
            shape["facet_x_canal"] * m.canal_width / 2 + shape["facet_x_pedicle"] * m.pedicle_width,
            -shape["facet_back"] * m.canal_depth,
            shape["facet_up"] * m.body_height,
        ]
    )
    scale = m.body_height
    return Facet(
        centre, normal, upward, shape["facet_radius"] * m.canal_width,
        shape["facet_half_height"] * scale, shape["facet_half_width"] * scale,
    )  # fmt: skip


def canal_outline(width_mm: float, depth_mm: float, shape: Shape) -> Callable[[NDArray[np.float64]], Distances]:
    """The canal's cross-section: (N, 2) mm, x from the midline and y backward from its front, -> (N,) signed mm.

    Rounded triangle where `canal_power_back` is near 1, round where it is near 2.
    """
    angles = np.linspace(-np.pi / 2, np.pi / 2, 121)
    widest = shape["canal_widest"] * depth_mm
    half = width_mm / 2
    c, s = np.abs(np.cos(angles)), np.abs(np.sin(angles))
    nf, nb = shape["canal_power_front"], shape["canal_power_back"]
    forward = ((c / half) ** nf + (s / widest) ** nf) ** (-1 / nf)
    backward = ((c / half) ** nb + (s / (depth_mm - widest)) ** nb) ** (-1 / nb)
    table = np.where(angles > 0, forward, backward)
    slope = np.gradient(table, angles) / table
    squareness = 1 / np.sqrt(1 + slope**2)
    step = angles[1] - angles[0]

    def distance(q: NDArray[np.float64]) -> Distances:
        x, y = np.abs(q[:, 0]), widest - q[:, 1]
        place = (np.arctan2(y, x) + np.pi / 2) / step
        index = np.minimum(place.astype(np.intp), len(angles) - 2)
        share = place - index
        radius = table[index] + share * (table[index + 1] - table[index])
        return (np.hypot(x, y) - radius) * (squareness[index] + share * (squareness[index + 1] - squareness[index]))

    return distance


@dataclass(frozen=True)
class Arch:
    """The neural arch of one vertebra, in its frame.

    Attributes:
        parts, blends_mm: its pieces in the order of joining (canal already cut out of them).
        canal: (N, 3) mm -> (N,) mm, the canal's room without ends.
        pedicle: frame of the right pedicle: origin at the isthmus, y along its axis into the body.
        superior, inferior: the right facets.
        points: named points of the right side.
    """

    parts: tuple[Part, ...]
    blends_mm: tuple[float, ...]
    canal: Callable[[Points], Distances]
    pedicle: Frame
    superior: Facet
    inferior: Facet
    points: dict[str, Vector]


def pedicle_frame(m: Measures, shape: Shape, wall_y_mm: float) -> Frame:
    """The right pedicle's isthmus, its inner edge on the canal's side wall, y along the axis into the body.

    Medial: the axis nears the midline going forward. Cephalad: it rises going backward from the body, as thoracic
    pedicles do (Gray's Anatomy: "directed backward and slightly upward").
    """
    medial, cephalad = np.radians(m.pedicle_medial_deg), np.radians(m.pedicle_cephalad_deg)
    forward = unit([-np.tan(medial), 1.0, -np.tan(cephalad)])
    x = m.canal_width / 2 + m.pedicle_width / 2 / np.cos(medial) + shape["pedicle_gap_mm"]
    y = wall_y_mm - shape["pedicle_back"] * m.canal_depth
    z = (0.5 - shape["pedicle_drop"]) * m.body_height - m.pedicle_height / 2
    across = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    return Frame(np.stack([across, forward, np.cross(across, forward)], axis=1), np.array([x, y, z]))


def make_arch(m: Measures, shape: Shape, wall_y_mm: float, superior: Facet, inferior: Facet) -> Arch:
    """The arch of a vertebra whose body's back wall stands at `wall_y_mm` at the height of the pedicles.

    `superior` and `inferior` are the right joint surfaces, the lower one as the vertebra below asks for it.
    """
    frame = pedicle_frame(m, shape, wall_y_mm)
    px, _, pz = frame.origin_mm
    depth, height = m.canal_depth, m.body_height

    def at(name: str) -> Vector:
        """The point `name`, of which the table gives shares."""
        return np.array(
            [
                shape[f"{name}_x"] * px,
                wall_y_mm - shape[f"{name}_y"] * depth,
                shape[f"{name}_z"] * height,
            ]
        )

    def half(name: str) -> NDArray[np.float64]:
        """Its two half axes, shares of the body's height."""
        return np.array([shape[f"{name}_a"], shape[f"{name}_b"]]) * height

    # the canal: a prism whose front lies inside the body
    section = canal_outline(m.canal_width, m.canal_depth, shape)

    def canal(p: Points) -> Distances:
        return section(np.column_stack([p[:, 0], wall_y_mm - p[:, 1]]))

    # pedicle: an hourglass along its axis, thinnest at the isthmus
    axis = frame.rotation[:, 1]
    ends = np.array([-shape["pedicle_reach_back"] * depth, 0.0, shape["pedicle_reach_front"] * m.body_depth])
    flare = np.array([shape["pedicle_flare_back"], 1.0, shape["pedicle_flare_front"]])
    pedicle = loft(
        frame.origin_mm + ends[:, None] * axis,
        np.column_stack([m.pedicle_width / 2 * flare, m.pedicle_height / 2 * flare]),
        frame.rotation[:, 0],
    )

    # the pillar behind it carries both articular processes and the transverse process
    root = at("root")
    pillar = loft([root + [0, 0, half("root")[1] * 0.4], root - [0, 0, half("root")[1] * 0.4]],
                  [half("root"), half("root")], [1.0, 0.0, 0.0])  # fmt: skip

    # superior articular process: a plate along its facet
    facet_along = np.cross(superior.upward, superior.normal)
    behind = -superior.normal * shape["sap_thick"] * height
    up_half, side_half = superior.half_height_mm, superior.half_width_mm
    sap_top = (
        superior.centre_mm + behind + superior.upward * up_half * 0.75 + facet_along * shape["sap_top_side"] * height
    )
    sap_mid = superior.centre_mm + behind + facet_along * shape["sap_mid_side"] * height
    sap_foot = at("sap_foot")
    thick = shape["sap_thick"] * height
    sap = loft(
        [sap_foot, sap_mid, sap_top],
        [half("sap_foot"), [side_half, thick * 1.15], [side_half * shape["sap_top_width"], thick]],
        facet_along,
    )
    mamillary = loft([at("mamillary"), at("mamillary") + [0.5, -0.5, height * 0.16]],
                     [half("mamillary"), half("mamillary") * 0.9], [1.0, 0.0, 0.0])  # fmt: skip

    # inferior articular process, from the pars down
    ahead = inferior.normal * shape["iap_thick"] * height
    iap_along = np.cross(inferior.upward, inferior.normal)
    iap_mid = inferior.centre_mm + ahead + iap_along * shape["iap_mid_side"] * height
    iap_low = iap_mid - inferior.upward * inferior.half_height_mm * 0.8 + iap_along * shape["iap_low_side"] * height
    iap_thick = shape["iap_thick"] * height
    iap = loft(
        [root + [0.0, 0.0, -0.02 * height], at("pars"), iap_mid, iap_low],
        [half("root") * 0.8, half("pars"), [inferior.half_width_mm, iap_thick * 1.2],
         [inferior.half_width_mm * shape["iap_low_width"], iap_thick]],
        iap_along,
    )  # fmt: skip

    # lamina: a sloping plate from the pars to the midline
    lamina_out, lamina_in = at("lamina_out"), at("lamina_in")
    slope = np.radians(shape["lamina_slope_deg"])
    lamina_up = np.array([0.0, np.sin(slope), np.cos(slope)])
    lamina = loft([lamina_out, lamina_in], [half("lamina_out"), half("lamina_in")], lamina_up)

    # transverse process
    tip_half = half("transverse_tip")
    tip_x = m.tip_to_tip / 2
    tip = np.array([tip_x, wall_y_mm - shape["transverse_tip_y"] * depth, shape["transverse_tip_z"] * height])
    foot = at("transverse_foot")
    middle = (foot + tip) / 2 + [0.0, -shape["transverse_bow_y"] * depth, shape["transverse_bow_z"] * height]
    along = unit(tip - foot)
    cap_mm = float(tip_half.min())
    end = tip - np.array([cap_mm, 0, 0]) * min(1.0, 1.0 / abs(along[0]))
    transverse = loft([foot, middle, end], [half("transverse_foot"), half("transverse_mid"), tip_half], [0.0, 0.0, 1.0])

    # spinous process, in the mid-sagittal plane
    dip = np.radians(m.spinous_slope_deg)
    base = np.array([0.0, wall_y_mm - depth - shape["lamina_thick"] * height, shape["spinous_z"] * height])
    backward = np.array([0.0, -np.cos(dip), -np.sin(dip)])
    square = np.array([0.0, -np.sin(dip), np.cos(dip)])
    spinous_tip = base + backward * m.spinous_length
    spinous = _spinous(m, shape, base, backward, square)

    blend_canal = 1.2
    carved = [cut(part, canal, blend_canal) for part in (pillar, sap, mamillary, iap, lamina, spinous)]
    pillar, sap, mamillary, iap, lamina, spinous = carved
    room_above = cylinder_patch(
        superior.centre_mm, superior.normal, superior.upward, superior.radius_mm, -up_half, 40.0)  # fmt: skip
    room_below = cylinder_patch(
        inferior.centre_mm, inferior.normal, inferior.upward, inferior.radius_mm, -40.0, inferior.half_height_mm)  # fmt: skip
    sap = cut(sap, room_above, 1.0)
    mamillary = cut(mamillary, room_above, 1.0)
    iap = cut(iap, lambda p: -np.minimum(room_below(p), 1e3) if False else _outside(inferior)(p), 1.0)
    points = {
        "root": root,
        "spinous-base": base,
        "spinous-tip": spinous_tip,
        "transverse-tip": tip,
        "transverse-foot": foot,
        "lamina": lamina_in,
    }
    parts = (pedicle, pillar, sap, mamillary, iap, lamina, transverse, spinous)
    blends = tuple(
        shape[f"blend_{name}"] * height
        for name in ("pedicle", "pillar", "sap", "mamillary", "iap", "lamina", "transverse", "spinous")
    )
    return Arch(parts, blends, canal, frame, superior, inferior, points)


def _outside(facet: Facet) -> Callable[[Points], Distances]:
    """The room beyond the joint surface, where the process above may not reach, below the facet's upper end."""
    axis_point = facet.centre_mm + facet.radius_mm * facet.normal
    sideways = np.cross(facet.upward, facet.normal)

    def distance(p: Points) -> Distances:
        r = p - axis_point
        wall = facet.radius_mm - np.hypot(r @ facet.normal, r @ sideways)
        height = r @ facet.upward
        return np.maximum(wall, height - facet.half_height_mm)

    return distance


def _spinous(m: Measures, shape: Shape, base: Vector, backward: Vector, square: Vector) -> Part:
    """The spinous process: a hatchet by its outline where `spinous_hatchet` is near 1, a slender spine near 0."""
    height = m.body_height
    length = m.spinous_length
    rows = []
    for i in range(6):
        along, up, down = shape[f"spinous_{i}_s"], shape[f"spinous_{i}_up"], shape[f"spinous_{i}_down"]
        rows.append((along * length, up * height, down * height))
    top = [base[1:] + a * backward[1:] + u * square[1:] for a, u, _ in rows]
    bottom = [base[1:] + a * backward[1:] - d * square[1:] for a, _, d in rows]
    tip = base[1:] + backward[1:] * length
    outline = np.array([*top, tip, *bottom[::-1]])
    thin, thick = shape["spinous_thin"] * height, shape["spinous_thick"] * height
    foot = shape["spinous_foot"] * height

    def half_thickness(y: Distances, z: Distances) -> Distances:
        s = np.clip(((y - base[1]) * backward[1] + (z - base[2]) * backward[2]) / length, -0.3, 1.0)
        out = thin + (thick - thin) * np.clip(s, 0, 1) ** 2 + (foot - thin) * np.maximum(0.5 - s, 0.0) ** 2 * 4
        w = ((y - base[1]) * square[1] + (z - base[2]) * square[2]) / height
        # the lower edge is thicker than the upper
        return out * (1.0 - shape["spinous_ridge"] * w)

    return plate(outline, half_thickness, max(thin, thick, foot) * 1.6, shape["spinous_rounding"] * height)


__all__ = ["Arch", "Facet", "Measures", "canal_outline", "make_arch", "pedicle_frame", "smooth_minimum",
           "superior_facet"]  # fmt: skip
