"""The neural arch: pedicles, articular processes with their facets, laminae, transverse and spinous processes.

Everything is built on the right (x > 0) and mirrored. Positions in assets/anatomy/shape.csv are shares: across, of the
pedicle's distance from the midline; back, of the canal's depth behind the body's back wall; up, of the body's posterior
height above the body's middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.vertebra_parts import Part, ball, cut, elliptical, loft, plate, smooth_maximum
from spineviz.anatomy.vertebra_shape import Shape
from spineviz.geometry.fields import Distances, Points, Vector, unit
from spineviz.geometry.frames import Frame

_CANAL_EDGE_MM = 1.2
"""How far the canal's edges above and below are rounded."""
_TOUCH_MM = 0.1
"""How far the two surfaces of a facet joint reach into each other before the cartilage's room is carved."""
_TIP_CAP = 1.4
"""How long the rounded end of a transverse process is, over the geometric mean of its half axes."""

_PEDICLE_SHARE = 0.385
"""Width of an ordinary lumbar pedicle over the body's height (L3 of the table: 10.3 / 26.7)."""
_HATCHET_LENGTH = 1.12
"""Length of an ordinary lumbar spinous process over the body's height (L3 of the table: 30 / 26.7)."""


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
    transverse_back_deg: float
    body_height: float
    body_depth: float
    body_width: float


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

    @property
    def along(self) -> Vector:
        """(3,) across the joint, outward and backward."""
        return np.cross(self.upward, self.normal)

    def receded(self, into_mm: float) -> Facet:
        """The surface parallel to this one, `into_mm` into the lower vertebra's bone (the upper's, if negative)."""
        return replace(self, centre_mm=self.centre_mm - into_mm * self.normal, radius_mm=self.radius_mm + into_mm)

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


def superior_facet(m: Measures, shape: Shape, yaw_deg: float, pitch_deg: float, upper_rim_back: Vector) -> Facet:
    """The right superior facet: placed over the upper rim's back edge.

    `yaw_deg` 0 faces straight back (a coronal joint), 90 faces the midline (a sagittal one), less than 0 outward;
    `pitch_deg` is how far it looks up.
    """
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    flat = np.array([-np.sin(yaw), -np.cos(yaw), 0.0])
    top = np.array([0.0, 0.0, 1.0])
    normal = np.cos(pitch) * flat + np.sin(pitch) * top
    upward = np.cos(pitch) * top - np.sin(pitch) * flat
    centre = upper_rim_back + np.array(
        [
            shape["facet_x"] * _arch_half_width(m, shape),
            -shape["facet_back"] * m.canal_depth,
            shape["facet_up"] * m.body_height,
        ]
    )
    return Facet(
        centre,
        normal,
        upward,
        shape["facet_radius"] * m.canal_width,
        shape["facet_half_height"] * m.body_height,
        shape["facet_half_width"] * m.body_height,
    )


def _arch_half_width(m: Measures, shape: Shape) -> float:
    """From the midline to the pillar behind the pedicle, mm: what shares across are of."""
    return m.canal_width / 2 + shape["arch_pedicle_share"] * m.pedicle_width + shape["arch_wall"] * m.body_height


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
        rib_normal: (3,) out of the rib's joint at the transverse process's tip.
        pedicle_half_width_mm: half the least width of the pedicle.
    """

    parts: tuple[Part, ...]
    blends_mm: tuple[float, ...]
    canal: Callable[[Points], Distances]
    pedicle: Frame
    superior: Facet
    inferior: Facet
    points: dict[str, Vector]
    rib_normal: Vector
    pedicle_half_width_mm: float


def pedicle_rotation(medial_deg: float, cephalad_deg: float) -> NDArray[np.float64]:
    """(3, 3) axes of the right pedicle: across (outward), forward along it into the body, upward.

    Medial: the axis nears the midline going forward. Cephalad: it rises going backward from the body, as thoracic
    pedicles do (Gray's Anatomy: "directed backward and slightly upward").
    """
    forward = unit([-np.tan(np.radians(medial_deg)), 1.0, -np.tan(np.radians(cephalad_deg))])
    across = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    return np.stack([across, forward, np.cross(across, forward)], axis=1)


def pedicle_frame(m: Measures, shape: Shape, wall_y_mm: float) -> Frame:
    """The right pedicle's isthmus, its inner edge on the canal's side wall, y along the axis into the body."""
    x = m.canal_width / 2 + m.pedicle_width / 2 / np.cos(np.radians(m.pedicle_medial_deg)) + shape["pedicle_gap_mm"]
    y = wall_y_mm - shape["pedicle_back"] * m.canal_depth
    z = (0.5 - shape["pedicle_drop"]) * m.body_height - m.pedicle_height / 2
    return Frame(pedicle_rotation(m.pedicle_medial_deg, m.pedicle_cephalad_deg), np.array([x, y, z]))


def make_arch(m: Measures, shape: Shape, wall_y_mm: float, superior: Facet, inferior: Facet) -> Arch:
    """The arch of a vertebra whose body's back wall stands at `wall_y_mm` at the height of the pedicles.

    `superior` and `inferior` are the right joint surfaces, the lower one as the vertebra below asks for it.
    """
    frame = pedicle_frame(m, shape, wall_y_mm)
    depth, height = m.canal_depth, m.body_height
    across = _arch_half_width(m, shape)

    def at(name: str, level_mm: float = 0.0) -> Vector:
        """The point `name`, of which the table gives shares; its height counts from `level_mm`."""
        return np.array(
            [
                shape[f"{name}_x"] * across,
                wall_y_mm - shape[f"{name}_y"] * depth,
                level_mm + shape[f"{name}_z"] * height,
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
    reach = shape["pedicle_reach"] * depth
    # both ends lie on one parabola, so the isthmus stays the thinnest place; the front one just enters the body
    ends = np.array([-reach, 0.0, shape["pedicle_back"] * depth + 0.05 * m.body_depth])
    half_axes = np.array([m.pedicle_width / 2, m.pedicle_height / 2])
    swell = (shape["pedicle_flare"] - 1.0) * np.minimum(half_axes, _PEDICLE_SHARE * height / 2)
    hourglass = half_axes + (ends[:, None] / reach) ** 2 * swell
    stations = frame.origin_mm + np.outer(ends, axis)
    pedicle = loft(stations, hourglass, frame.rotation[:, 0], cap=0.5)
    # it sinks into the body; a very wide one (L5) runs out along the body's side, or it would end there in a step
    wide = max(0.0, m.pedicle_width - _PEDICLE_SHARE * height)  # what a pedicle has more than an ordinary one
    inner = np.array(
        [
            shape["pedicle_sink_x"] * m.body_width / 2 + 0.4 * wide,
            wall_y_mm + shape["pedicle_sink_y"] * m.body_depth + 0.8 * wide,
            frame.origin_mm[2] + shape["pedicle_sink_z"] * height,
        ]
    )
    ahead = frame.origin_mm + ends[2] * axis
    slim = half_axes * [0.45, 0.75] if wide > 0 else half_axes * [0.6, 1.0]
    sink = loft([ahead, inner], [hourglass[2], slim], frame.rotation[:, 0])

    # behind the pedicle the canal's side wall goes on to the lamina, however far outward the pedicle runs (T1)
    wall_thick = shape["wall_thick"] * height + shape["wall_wide"] * wide
    wall_half = shape["wall_tall"] * m.pedicle_height / 2
    wall_back = wall_y_mm - shape["wall_reach"] * depth
    wall_front = float(frame.origin_mm[1])
    pedicle_z = float(frame.origin_mm[2])

    def wall_distance(p: Points) -> Distances:
        sheet = np.abs(canal(p) - wall_thick / 2) - wall_thick / 2
        ends = np.maximum(
            np.abs(p[:, 2] - pedicle_z) - wall_half, np.maximum(p[:, 1] - wall_front, wall_back - p[:, 1])
        )
        return smooth_maximum(sheet, ends, wall_thick)

    wall = Part(
        wall_distance,
        np.array([0.0, wall_back, pedicle_z - wall_half]),
        np.array([m.canal_width / 2 + wall_thick, wall_front, pedicle_z + wall_half]),
    )

    # the pillar behind it carries both articular processes and the transverse process
    root = at("root")
    stand = np.array([0.0, 0.0, half("root")[1] * 0.4])
    pillar = loft([root + stand, root - stand], [half("root"), half("root")], [1.0, 0.0, 0.0])

    # where a process grows onto its facet the fillet lifts the joint's surface, so it is cut that much deeper
    lower_side = superior.receded(shape["blend_sap"] * height / 4 - _TOUCH_MM)
    upper_side = inferior.receded(_TOUCH_MM - shape["blend_iap"] * height / 4)

    # superior articular process: a neck, and a lens whose hollow face is the joint
    thick = shape["sap_thick"] * height
    over = superior.centre_mm - superior.normal * thick * 0.5
    sap_neck = loft(
        [at("sap_foot"), over + superior.along * shape["sap_side"] * height],
        [half("sap_foot"), half("sap_neck")],
        superior.along,
    )
    sap = facet_lens(lower_side, -1.0, thick)
    knob = (
        over
        + superior.along * shape["mamillary_side"] * height
        - superior.normal * shape["mamillary_out"] * height
        + superior.upward * shape["mamillary_up"] * height
    )
    rise = superior.upward * shape["mamillary_a"] * height
    mamillary = loft([knob - rise, knob + rise], [half("mamillary"), half("mamillary")], superior.along)

    # inferior articular process, from the pars down
    thick = shape["iap_thick"] * height
    over = inferior.centre_mm + inferior.normal * thick * 0.5
    iap_neck = loft(
        [at("iap_root"), at("pars"), over + inferior.along * shape["iap_side"] * height],
        [half("iap_root"), half("pars"), half("iap_neck")],
        inferior.along,
    )
    iap = facet_lens(upper_side, 1.0, thick)

    # lamina: a sloping plate from the pars to the midline
    lamina_out, lamina_in = at("lamina_out", pedicle_z), at("lamina_in", pedicle_z)
    slope = np.radians(shape["lamina_slope_deg"])
    lamina_up = np.array([0.0, np.sin(slope), np.cos(slope)])
    lamina = loft([lamina_out, lamina_in], [half("lamina_out"), half("lamina_in")], lamina_up)

    # transverse process
    # a wide pedicle carries a thick process (L5)
    stout = 1.0 + shape["transverse_stout"] * (m.pedicle_width / (_PEDICLE_SHARE * height) - 1.0)
    thickness = np.array([half("transverse_foot"), half("transverse_mid"), half("transverse_tip")]) * [1.0, stout]
    thickness[:2, 0] *= 1.0 + 0.4 * (stout - 1.0)
    tip_half = thickness[2]
    tip_x = m.tip_to_tip / 2
    foot = at("transverse_foot")
    more = shape["transverse_yield"] * (m.pedicle_width - _PEDICLE_SHARE * height)
    foot += [0.8 * more, -more, 0.0]
    tip_y = foot[1] - np.tan(np.radians(m.transverse_back_deg)) * (tip_x - foot[0])
    tip = np.array([tip_x, tip_y, shape["transverse_tip_z"] * height])
    middle = (foot + tip) / 2 + [0.0, -shape["transverse_bow_y"] * depth, shape["transverse_bow_z"] * height]
    along = unit(tip - foot)
    cap_mm = float(np.sqrt(tip_half.prod())) * _TIP_CAP
    end = tip - np.array([cap_mm, 0, 0]) * min(1.0, 1.0 / abs(along[0]))
    transverse = loft([foot, middle, end], thickness, [0.0, 0.0, 1.0], cap=_TIP_CAP)
    # the joint for the rib's tubercle: a hollow in front of the tip
    rib_normal = unit([-along[1], along[0], shape["rib_tubercle_up"]])
    rib_radius = shape["rib_tubercle_radius"] * height
    rib_facet = end + rib_normal * (tip_half[1] - shape["rib_tubercle_dent"] * height)
    if shape["rib_tubercle_dent"] > 0:
        transverse = cut(transverse, ball(rib_facet + rib_normal * rib_radius, rib_radius).distance, 0.8)

    # the pedicle runs out into its root
    heel_end = np.minimum(half_axes * shape["heel_share"], 1.15 * thickness[0, ::-1])
    heel_from = frame.origin_mm - reach * axis
    heel = loft([heel_from, foot], [hourglass[0], heel_end], frame.rotation[:, 0])

    # spinous process, in the mid-sagittal plane
    dip = np.radians(m.spinous_slope_deg)
    base = np.array([0.0, wall_y_mm - depth - shape["lamina_thick"] * height, pedicle_z + shape["spinous_z"] * height])
    backward = np.array([0.0, -np.cos(dip), -np.sin(dip)])
    square = np.array([0.0, -np.sin(dip), np.cos(dip)])
    spinous_tip = base + backward * m.spinous_length
    spinous = _spinous(m, shape, base, backward, square)

    open_side = beyond_joint(lower_side, 1.0, -superior.half_height_mm)
    sap_neck, mamillary = cut(sap_neck, open_side, 1.0), cut(mamillary, open_side, 1.0)
    iap_neck = cut(iap_neck, beyond_joint(upper_side, -1.0, inferior.half_height_mm), 1.0)
    parts = tuple(
        cut(part, canal, _CANAL_EDGE_MM)
        for part in (pedicle, sink, heel, wall, pillar, sap_neck, sap, mamillary, iap_neck, iap, lamina, spinous)
    )
    points = {
        "root": root,
        "spinous-base": base,
        "spinous-tip": spinous_tip,
        "transverse-tip": tip,
        "rib-facet": rib_facet,
        "transverse-foot": foot,
        "lamina": lamina_in,
    }
    parts = (*parts, transverse)
    names = (
        "pedicle",
        "pedicle",
        "pedicle",
        "wall",
        "pillar",
        "sap",
        "sap",
        "mamillary",
        "iap",
        "iap",
        "lamina",
        "spinous",
        "transverse",
    )
    blends = tuple(shape[f"blend_{name}"] * height for name in names)
    return Arch(parts, blends, canal, frame, superior, inferior, points, rib_normal, m.pedicle_width / 2)


def beyond_joint(facet: Facet, side: float, end_mm: float) -> Callable[[Points], Distances]:
    """The room that the process on one side of a joint leaves to the other: (N, 3) mm -> (N,) mm.

    `side` 1.0 is the room of the upper vertebra, from `end_mm` (along the joint, from its middle) upward; -1.0 that of
    the lower vertebra, from `end_mm` downward.
    """
    axis_point = facet.centre_mm + facet.radius_mm * facet.normal

    def distance(p: Points) -> Distances:
        r = p - axis_point
        wall = np.hypot(r @ facet.normal, r @ facet.along) - facet.radius_mm
        return np.maximum(side * wall, side * (end_mm - r @ facet.upward))

    return distance


def facet_lens(facet: Facet, side: float, thick_mm: float) -> Part:
    """The plate of bone under a joint surface: an ellipse on the joint's cylinder, `thick_mm` deep in its middle.

    `side` -1.0 is the lower vertebra's (outside the cylinder), 1.0 the upper one's (inside it).
    """
    axis_point = facet.centre_mm + facet.radius_mm * facet.normal
    axes = np.array([facet.half_width_mm, facet.half_height_mm])

    def distance(p: Points) -> Distances:
        r = p - axis_point
        across, ahead = r @ facet.along, -(r @ facet.normal)
        reach = np.hypot(ahead, across)
        depth = side * (facet.radius_mm - reach)  # into the bone
        arc = facet.radius_mm * np.arctan2(across, ahead)
        q = np.column_stack([arc, r @ facet.upward]) / axes
        k0 = np.sqrt(np.einsum("ij,ij->i", q, q))
        q /= axes
        k1 = np.sqrt(np.einsum("ij,ij->i", q, q))
        rim = elliptical(k0, k1, float(axes.min()))
        # round behind, with a crisp edge round the joint surface
        return smooth_maximum(smooth_maximum(rim, depth - thick_mm, 1.6 * thick_mm), -depth, 1.0)

    reach = np.full(3, float(axes.max()))
    return Part(distance, facet.centre_mm - reach, facet.centre_mm + reach)


def _spinous(m: Measures, shape: Shape, base: Vector, backward: Vector, square: Vector) -> Part:
    """The spinous process: a hatchet by its outline where `spinous_hatchet` is near 1, a slender spine near 0."""
    height = m.body_height
    length = m.spinous_length
    # a short process is a low one too (L5)
    tall = height * (length / (_HATCHET_LENGTH * height)) ** shape["spinous_shortening"]
    rows = []
    for i in range(6):
        along, up, down = shape[f"spinous_{i}_s"], shape[f"spinous_{i}_up"], shape[f"spinous_{i}_down"]
        rows.append((along * length, up * tall, down * tall))
    top = [base[1:] + a * backward[1:] + u * square[1:] for a, u, _ in rows]
    bottom = [base[1:] + a * backward[1:] - d * square[1:] for a, _, d in rows]
    tip = base[1:] + backward[1:] * length * 1.06
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
