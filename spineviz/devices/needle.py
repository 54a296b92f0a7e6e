"""The bone needle: shaft, diamond point, hub with T-handle, and the stylet that comes out when cement goes in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.data.assets import asset
from spineviz.data.sourced import sourced_table
from spineviz.devices.catalogue import needle_size
from spineviz.devices.solids import Solid, all_of, lathe, standing_at, turned
from spineviz.geometry.fields import Field, cylinder, half_space
from spineviz.geometry.frames import Frame, looking_along
from spineviz.geometry.meshes import Mesh
from spineviz.geometry.operators import difference, intersection, moved

_SIDES = 36


@cache
def _parts() -> dict[str, float]:
    return {name: row.value for name, row in sourced_table(asset("devices", "needle_parts.csv")).items()}


def least_outside_mm() -> float:
    """How much of the shaft stays outside the skin, mm (chosen)."""
    return _parts()["outside_mm"]


@dataclass(frozen=True)
class NeedleShape:
    """A needle of the catalogue in its own frame: the point at the origin, z forward, the T-handle along x.

    Attributes:
        gauge, length_mm: its row and length.
        stylet: whether the stylet is in. Without it the tube is open; it is slid over
            the point as the stylet leaves, so that it ends where the point was.
    """

    gauge: int
    length_mm: float
    stylet: bool = True

    @property
    def tip_mm(self) -> float:
        """Length of the diamond point, which belongs to the stylet."""
        return _parts()["tip_length_over_outer"] * needle_size(self.gauge).outer_mm

    @property
    def key(self) -> str:
        """Names the shape."""
        return f"needle-{self.gauge}-{self.length_mm:g}-{'in' if self.stylet else 'out'}"

    def shaft_field(self) -> Field:
        """The steel: a tube filled by the stylet with its point, or an open tube."""
        return _shaft_field(self)

    def handle_field(self) -> Field:
        """Hub and T-handle behind the shaft, with the stylet's cap while it is in; without it the hub is open."""
        return _handle(self).field

    def shaft_mesh(self) -> Mesh:
        """The surface of the steel, closed."""
        return _shaft_mesh(self)

    def handle_mesh(self) -> Mesh:
        """The surfaces of hub, handle and cap, each closed."""
        return _handle(self).mesh


@cache
def _shaft_field(shape: NeedleShape) -> Field:
    size = needle_size(shape.gauge)
    back, front = [0.0, 0.0, -shape.length_mm], [0.0, 0.0, 0.0]
    tube = cylinder(back, front, size.radius_mm)
    if shape.stylet:
        flats = [half_space(np.zeros(3), [x, y, size.radius_mm / shape.tip_mm]) for x, y in _facets()]
        return intersection(tube, *flats)
    over = np.array([0.0, 0.0, 1.0])
    return difference(tube, cylinder(np.array(back) - over, np.array(front) + over, size.inner_mm / 2))


@cache
def _shaft_mesh(shape: NeedleShape) -> Mesh:
    size = needle_size(shape.gauge)
    outer, inner = size.radius_mm, size.inner_mm / 2
    # rings on the way keep the triangles short
    stations = np.linspace(-shape.length_mm, -shape.tip_mm if shape.stylet else 0.0, 12)
    if not shape.stylet:
        out = [[outer, z] for z in stations]
        back = [[inner, z] for z in stations[::-1]]
        return lathe(np.array([*out, *back, out[0]]))
    body = lathe(np.array([[0.0, stations[0]], *[[outer, z] for z in stations]]))
    return _joined_rings(body, _ground_point(outer, shape.tip_mm))


def _facets() -> NDArray[np.float64]:
    """(F, 2) directions across the shaft in which the point's flat facets face."""
    count = int(_parts()["tip_facets"])
    angle = 2 * np.pi * np.arange(count) / count
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _ground_point(radius_mm: float, length_mm: float) -> NDArray[np.float64]:
    """(R, sides, 3) rings from the shaft's end to just before the apex of a point ground flat on each facet."""
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    towards = (ring @ _facets().T).max(axis=1)  # cosine of the angle to the nearest facet
    rings = []
    for share in (0.2, 0.4, 0.6, 0.8, 0.94):
        around = np.minimum(radius_mm, radius_mm * (1.0 - share) / towards)
        rings.append(np.column_stack([ring * around[:, None], np.full(_SIDES, -length_mm * (1.0 - share))]))
    return np.array(rings)


def _joined_rings(body: Mesh, rings: NDArray[np.float64]) -> Mesh:
    """`body`, an open lathe whose last ring is its last vertices, closed by `rings` and an apex at the origin."""
    points = np.concatenate([body.points_mm, rings.reshape(-1, 3), np.zeros((1, 3))])
    first = len(body.points_mm) - _SIDES
    here = np.arange(_SIDES)
    sheets = [body.triangles]
    for i in range(len(rings)):
        a, b = first + i * _SIDES + here, first + i * _SIDES + np.roll(here, -1)
        sheets += [np.stack([a, b, b + _SIDES], 1), np.stack([a, b + _SIDES, a + _SIDES], 1)]
    last = first + len(rings) * _SIDES
    sheets.append(np.stack([last + here, last + np.roll(here, -1), np.full(_SIDES, len(points) - 1)], 1))
    return Mesh(points, np.concatenate(sheets).astype(np.int64))


@cache
def _handle(shape: NeedleShape) -> Solid:
    part, size = _parts(), needle_size(shape.gauge)
    z, wide, half = -shape.length_mm, part["hub_radius_mm"], part["handle_span_mm"] / 2
    middle, neck = z - part["hub_length_mm"], size.radius_mm + 0.9
    front = [[wide, middle + 6.0], [neck, z - 0.8], [neck - 0.4, z]]
    if shape.stylet:
        hub = turned([[0, middle], [wide, middle], *front, [0, z]])
        bulge = half * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 21))  # closer stations where the ends are rounded
        bar = turned(np.column_stack([_arm_width(bulge), bulge])).moved(looking_along([0, 0, middle], [1, 0, 0]))
        top, cap = middle - part["cap_length_mm"], part["cap_radius_mm"]
        return all_of(hub, bar, turned([[0, top], [cap - 1.2, top], [cap, top + 1.2], [cap, middle], [0, middle]]))
    # the way for pin and cement is open: the hub is pierced, and the arms begin beside its bore
    bore = size.inner_mm / 2
    back, near = middle - part["handle_radius_mm"] - 0.6, bore + 0.8
    hub = turned([[near, back], [wide, back], *front, [bore, z], [bore, back + 2.0], [near, back]])
    way = half * np.sin(np.linspace(np.arcsin(near / half), np.pi / 2, 12))
    arm = turned(np.vstack([[0.0, near], np.column_stack([_arm_width(way), way])]))
    return all_of(hub, *(arm.moved(looking_along([0, 0, middle], [to, 0, 0])) for to in (-1.0, 1.0)))


def _arm_width(along_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The T-handle's radius at places along it, measured from its middle; 0 at its ends."""
    radius, half = _parts()["handle_radius_mm"], _parts()["handle_span_mm"] / 2
    ends = np.sqrt(np.clip(1.0 - (np.abs(along_mm) / half) ** 6, 0.0, 1.0))
    width = radius * ends * (0.82 + 0.18 * np.cos(along_mm / half * np.pi) ** 2)
    return np.where(np.isclose(np.abs(along_mm), half), 0.0, width)


def needle_structures(
    name: str, shape: NeedleShape, tip_mm: NDArray[np.float64], forward: NDArray[np.float64], turn_deg: float = 0.0
) -> dict[str, Structure]:
    """The needle `name` ("needle-right") with its point at `tip_mm`, pushed along `forward`: shaft and handle; the very
    same while it rests.

    Args:
        tip_mm: (3,) world.
        forward: (3,) unit, from skin to target.
        turn_deg: how far it is turned about its own axis.
    """
    key = (name, shape, np.asarray(tip_mm, float).tobytes(), np.asarray(forward, float).tobytes(), turn_deg)
    made = remembered(_standing, key, lambda: _made(name, shape, standing_at(tip_mm, forward, turn_deg)))
    return dict(made)


_standing: OrderedDict[tuple, dict[str, Structure]] = OrderedDict()


def _made(name: str, shape: NeedleShape, world_from_needle: Frame) -> dict[str, Structure]:
    handle = name.replace("needle", "handle")
    return {
        name: Structure(
            name, "steel", "steel", moved(shape.shaft_field(), world_from_needle), lambda _: shape.shaft_mesh(),
            f"{shape.key}-shaft", RANKS["steel"], world_from_needle,
        ),
        handle: Structure(
            handle, "hub", "pmma", moved(shape.handle_field(), world_from_needle), lambda _: shape.handle_mesh(),
            f"{shape.key}-handle", RANKS["steel"], world_from_needle,
        ),
    }  # fmt: skip
