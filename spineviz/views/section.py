"""A drawn plane section, and the colours of the same material for the stage's cut face.

A plane is asked point by point: which structure is there, how deep. Fill, outline and texture follow from the signed
distance, softened over one pixel, so that edges are as crisp as the screen allows; every layer is kept while neither it
nor the plane changes, and what moves is laid over what stands.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.materials import bone_volume_share
from spineviz.anatomy.structure import RANKS, Structure, remembered
from spineviz.geometry.fields import Field, Points, as_points, corners
from spineviz.geometry.frames import Frame
from spineviz.views.canvas import copy_channels
from spineviz.views.marks import Colour, burn_edges, burn_scale_bar, burn_text, edge_letters
from spineviz.views.rasters import Shelf, spline_weights
from spineviz.views.theme import Theme
from spineviz.views.theme import theme as theme_named
from spineviz.views.trabeculae import mottled_share, stippled_share, trabecular_share

Colours = NDArray[np.float32]
"""(N, 3) red, green, blue, 0 to 1."""

_SOFT = ("skin", "muscle", "fat", "lung")
_FIELD_STEP_MM = 0.45
"""Smooth shapes are asked on a raster no finer than this, and interpolated; instruments on every pixel."""
_FAT_MM, _FAT_BEHIND_MM = 12.0, 4.0
"""How far from the sac epidural fat is drawn, within the canal, and behind the sac (chosen for legibility)."""
_HALF_DISC_MM = 4.0
_CANAL_GROWN_MM = 2.0
_THIN_WALL_MM = 0.6
_WIDEST_BORE_MM = 3.6
_VOID_EDGE_MM, _MEMBRANE_MM = 0.25, 0.3
"""The bright edge of a void and of a balloon as drawn (chosen for legibility)."""
_VESSEL_WALL_MM, _STIPPLE_MM, _BUNDLE_MM = 0.45, 1.0, 1.5
"""A vessel's wall, the dots of drug and the bundles of a nerve as drawn (chosen for legibility)."""
_TUBE_WALL_SHARE, _THIN_TUBE_MM = 0.36, 0.2
"""A catheter's wall as a share of its radius (5 F: 1.67 mm across and 1.1 mm clear), and how deep it is at most where
the field is that of the wall alone."""
_UNEVEN = ("cement", "balloon", "cavity", "cleft", "tumour", "cord", "root", "roots")
"""Roles whose fields only promise the sign: their outlines are evened."""
_CELL = 6
"""Pixels a side of the cells of a raster in which a structure is looked for first."""
_STEEPEST, _FAR_MM = 2.0, 2.0
"""How much too large a distance may read, and from how far outside nothing of a structure is drawn."""
_MOST_LAYERS_BYTES = 6_000_000
"""Layers held beyond those of what moves just now."""
_KEPT_GROUNDS = 4


@dataclass(frozen=True)
class SectionMarks:
    """What is written over a section.

    Attributes:
        letters: side letters at the edges.
        scale_bar: with its length in mm.
        words: a small line at the lower right ("" for none).
        text_px: type size; None is 24 pixels on a panel of 415.
    """

    letters: bool = True
    scale_bar: bool = True
    words: str = ""
    text_px: float | None = None


def plane_frame(kind: str, origin_mm: ArrayLike = (0.0, 0.0, 0.0), uppermost: str = "back") -> Frame:
    """The plane "axial", "sagittal" or "coronal" through `origin_mm`, turned as the patient lies on the table.

    With the back uppermost, as in vertebroplasty: axial back up and left on screen left; coronal from behind, left on
    screen left. With the front uppermost, as in chemoembolization: axial front up and left on screen right; coronal
    from the front, left on screen right. Sagittal is head up, front on screen left in both. ValueError for another
    kind, or for what is neither "back" nor "front".
    """
    if uppermost not in ("back", "front"):
        raise ValueError(f"uppermost {uppermost!r}; there is back, front")
    axes = {
        "axial": [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
        "sagittal": [[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        "coronal": [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
    }
    if kind not in axes:
        raise ValueError(f"kind {kind!r}; there is {', '.join(axes)}")
    turned = np.array(axes[kind])
    if uppermost == "front" and kind != "sagittal":  # half a turn about the long axis
        turned = np.diag([-1.0, -1.0, 1.0]) @ turned
    return Frame(turned, np.asarray(origin_mm, float))


# --- colours of material ---


def _mix(a: ArrayLike, b: ArrayLike, share: ArrayLike) -> Colours:
    """`a` where `share` is 0, `b` where it is 1; shapes broadcast to (N, 3)."""
    part = np.asarray(share, np.float32)
    part = part[:, None] if part.ndim == 1 else part
    first, second = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return first + part * (second - first)


def _cover(distance_mm: NDArray, width_mm: float) -> NDArray[np.float32]:
    return np.clip(0.5 - distance_mm / width_mm, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Spot:
    """What the painters are told of the points inside one structure: where they are, depth below the surface and below
    the shell (N,), the width of a pixel, and the theme."""

    structure: Structure
    place: Callable[[], Points]
    distance_mm: NDArray
    core_mm: NDArray | None
    px_mm: float
    theme: Theme

    @cached_property
    def points_mm(self) -> Points:
        """(N, 3) in the world; many colours can do without."""
        return self.place()

    @cached_property
    def local_mm(self) -> Points:
        """(N, 3) in the structure's frame."""
        return (self.points_mm - self.structure.world_from_local.origin_mm) @ self.structure.world_from_local.rotation

    def grown_mm(self, which: NDArray[np.bool_] | slice = slice(None)) -> Points:
        """Where what is there grew, in the local frame: textures are carried along with what moves."""
        return self.local_mm[which] if self.structure.healthy is None else self.structure.healthy(self.points_mm[which])

    def struts(self, which: NDArray[np.bool_] | slice, depth_mm: NDArray | None) -> NDArray[np.float32]:
        """How much of each point is strut: struts stand closer where bone was crushed, and are thicker where packed."""
        softness = max(0.16, self.px_mm)
        own = self.structure
        if own.healthy is None and own.bone_share is None:
            return trabecular_share(self.local_mm[which], depth_mm, softness_mm=softness)
        points = self.points_mm[which]  # one array, so that what both need is worked out once
        grown = self.local_mm[which] if own.healthy is None else own.healthy(points)
        packing = None
        if own.bone_share is not None:
            name = own.material if own.core_material is None else own.core_material
            packing = own.bone_share(points) / bone_volume_share(name).value
        return trabecular_share(grown, depth_mm, softness_mm=softness, packing=packing)


def _bone_colours(spot: _Spot) -> Colours:
    bone, strut, marrow = (spot.theme.colour(n) for n in ("bone", "trabecula", "marrow"))
    shell = np.broadcast_to(np.asarray(bone, np.float32), (len(spot.distance_mm), 3))
    if spot.core_mm is None:
        return shell
    # the drawn shell is at least a pixel and a half thick: it is 0.3 to 0.6 mm in life
    depth = -np.maximum(spot.core_mm, spot.distance_mm + 1.6 * spot.px_mm)
    out = shell.copy()
    within = depth > -spot.px_mm
    if within.any():
        inner = _mix(marrow, strut, spot.struts(within, depth[within]))
        out[within] = _mix(bone, inner, _cover(-depth[within], spot.px_mm))
    return out


def _rim_colours(spot: _Spot) -> Colours:
    return _mix(spot.theme.colour("marrow"), spot.theme.colour("trabecula"), spot.struts(slice(None), None))


def _disc_colours(spot: _Spot) -> Colours:
    disc = np.asarray(spot.theme.colour("disc"), np.float32)
    deep, pale = 0.62 * disc + 0.38 * np.asarray(spot.theme.colour("panel")), disc + 0.45 * (1.0 - disc)
    if spot.core_mm is None:  # no nucleus given: it takes the inner half
        low, high = spot.structure.field.bounds_mm
        offset = (spot.points_mm - (low + high) / 2) / np.maximum((high - low) / 2, 1.0)
        ring, within = np.hypot(offset[:, 0], offset[:, 1]) * 8.0, 0.55 * 8.0
        ring = ring - within
    else:
        ring = spot.core_mm
    # about a dozen fibre rings can be told apart; they are drawn a millimetre apart (chosen for legibility)
    lamella = 0.5 + 0.5 * np.cos(ring * 2 * np.pi / max(1.0, 4.0 * spot.px_mm))
    annulus = _mix(disc, deep, 0.7 * lamella * np.clip(ring / 0.8, 0.0, 1.0))
    return _mix(annulus, pale, _cover(ring, max(0.5, spot.px_mm)))


def _tumour_colours(spot: _Spot) -> Colours:
    tumour = np.asarray(spot.theme.colour("tumour"), np.float32)
    share = mottled_share(spot.grown_mm(), grain_mm=2.2)
    return _mix(0.68 * tumour, tumour + 0.22 * (1.0 - tumour), share)


def _cement_colours(spot: _Spot) -> Colours:
    cement = np.asarray(spot.theme.colour("cement"), np.float32)
    light = cement + 0.30 * (1.0 - cement)
    rim = np.clip(1.0 + spot.distance_mm / 0.9, 0.0, 1.0)  # lighter at the skin of the mass, so that it stands out
    return _mix(_mix(cement, light, 0.35 * mottled_share(spot.local_mm, 5, 1.3)), light, 0.75 * rim)


def _steel_colours(spot: _Spot) -> Colours:
    steel = np.asarray(spot.theme.colour(spot.structure.role), np.float32)
    deep = float(max(0.3, -spot.distance_mm.min()))
    roundness = np.sqrt(np.clip(-spot.distance_mm / deep, 0.0, 1.0))
    return np.clip(_mix(0.62 * steel, steel + 0.5 * (1.0 - steel), roundness), 0.0, 1.0)


def _dura_colours(spot: _Spot) -> Colours:
    wall = np.asarray(spot.theme.colour("dura"), np.float32)
    fluid = 0.34 * np.asarray(spot.theme.colour("muted"), np.float32) + 0.66 * np.asarray(spot.theme.colour("panel"))
    thick = max(0.55, 1.6 * spot.px_mm)
    return _mix(fluid, wall, _cover(-thick - spot.distance_mm, spot.px_mm))


def _cord_colours(spot: _Spot) -> Colours:
    cord = np.asarray(spot.theme.colour("cord"), np.float32)
    return _mix(0.80 * cord, cord, np.clip(-spot.distance_mm / 1.4, 0.0, 1.0))


def _skin_colours(spot: _Spot) -> Colours:
    skin, fat, panel = (np.asarray(spot.theme.colour(n), np.float32) for n in ("skin", "fat", "panel"))
    # fat under the skin; what lies deeper is not told apart and stays calm
    thick = max(1.8, 2.0 * spot.px_mm)
    out = np.empty((len(spot.distance_mm), 3), np.float32)
    out[:] = _mix(panel, fat, 0.26 - 0.19)
    told = np.flatnonzero(spot.distance_mm > -max(6.0 + 18.0, thick + spot.px_mm))
    distance = spot.distance_mm[told]
    deep = np.clip((-distance - 6.0) / 18.0, 0.0, 1.0)
    out[told] = _mix(_mix(panel, fat, 0.26 - 0.19 * deep), 0.85 * skin, _cover(-thick - distance, spot.px_mm))
    return out


def _muscle_colours(spot: _Spot) -> Colours:
    muscle, panel = (np.asarray(spot.theme.colour(n), np.float32) for n in ("muscle", "panel"))
    streaks = mottled_share(spot.local_mm * np.array([1.0, 1.0, 0.2]), 9, 3.0)
    return _mix(panel, muscle, 0.30 + 0.14 * (streaks - 0.5))


def _lung_colours(spot: _Spot) -> Colours:
    lung, panel = (np.asarray(spot.theme.colour(n), np.float32) for n in ("lung", "panel"))
    return _mix(panel, lung, 0.16 + 0.08 * mottled_share(spot.local_mm, 13, 3.0))


def _cleft_colours(spot: _Spot) -> Colours:
    cleft = np.asarray(spot.theme.colour("cleft"), np.float32)
    return np.broadcast_to(cleft, (len(spot.distance_mm), 3))


def _void_colours(spot: _Spot) -> Colours:
    void, bone = (np.asarray(spot.theme.colour(n), np.float32) for n in ("cavity", "bone"))
    # the smooth wall catches the light; the middle is darker still
    deep = _mix(void, 0.6 * void, np.clip(-spot.distance_mm / 4.0, 0.0, 1.0))
    thick = max(_VOID_EDGE_MM, 1.2 * spot.px_mm)
    return _mix(deep, void + 0.45 * (bone - void), _cover(-thick - spot.distance_mm, spot.px_mm))


def _vessel_colours(spot: _Spot) -> Colours:
    blood = np.asarray(spot.theme.colour(spot.structure.role), np.float32)
    lumen = _mix(0.80 * blood, 0.92 * blood, np.clip(-spot.distance_mm / 1.5, 0.0, 1.0))
    # the wall is drawn paler and at least a pixel and a half thick; of the narrowest vessels it leaves a middle
    deep = float(max(1e-3, -spot.distance_mm.min()))
    thick = min(max(_VESSEL_WALL_MM, 1.5 * spot.px_mm), 0.6 * deep)
    return _mix(lumen, blood + 0.42 * (1.0 - blood), _cover(-thick - spot.distance_mm, spot.px_mm))


def _contrast_colours(spot: _Spot) -> Colours:
    medium = np.asarray(spot.theme.colour("contrast"), np.float32)
    return _mix(medium, medium + 0.45 * (1.0 - medium), np.clip(-spot.distance_mm / 1.2, 0.0, 1.0))


def _drug_colours(spot: _Spot) -> Colours:
    drug, dot = (np.asarray(spot.theme.colour(n), np.float32) for n in ("drug", "outline"))
    spacing = max(_STIPPLE_MM, 4.5 * spot.px_mm)
    return _mix(drug + 0.12 * (1.0 - drug), dot, 0.8 * stippled_share(spot.local_mm, spacing))


def _tube_colours(spot: _Spot) -> Colours:
    wall, room = (np.asarray(spot.theme.colour(n), np.float32) for n in ("catheter", "outline"))
    deep = float(max(1e-3, -spot.distance_mm.min()))
    if deep < _THIN_TUBE_MM:  # the wall alone is given
        return np.broadcast_to(wall, (len(spot.distance_mm), 3))
    return _mix(room, wall + 0.15 * (1.0 - wall), _cover(-_TUBE_WALL_SHARE * deep - spot.distance_mm, spot.px_mm))


def _wire_colours(spot: _Spot) -> Colours:
    return np.broadcast_to(np.asarray(spot.theme.colour("wire"), np.float32), (len(spot.distance_mm), 3))


def _necrosis_colours(spot: _Spot) -> Colours:
    dead, hollow = (np.asarray(spot.theme.colour(n), np.float32) for n in ("necrosis", "outline"))
    share = mottled_share(spot.grown_mm(), 19, 1.5)
    patches = np.clip((share - 0.42) / 0.10, 0.0, 1.0)  # firm islands in what has come apart
    return _mix(dead + 0.38 * (hollow - dead), dead + 0.20 * (1.0 - dead), patches)


def _ligament_colours(spot: _Spot) -> Colours:
    band = np.asarray(spot.theme.colour("ligament"), np.float32)
    fibres = mottled_share(spot.local_mm * np.array([0.25, 1.0, 1.0]), 21, 1.2)
    return _mix(0.74 * band, band, fibres)


def _nerve_colours(spot: _Spot) -> Colours:
    nerve = np.asarray(spot.theme.colour("roots"), np.float32)
    # bundles run along z and are drawn a millimetre and a half apart, clear of the sheath (chosen for legibility)
    bundles = stippled_share(spot.local_mm[:, :2], max(_BUNDLE_MM, 4.0 * spot.px_mm), 0.30)
    inner = np.clip((-spot.distance_mm - 0.3) / 0.3, 0.0, 1.0)
    return _mix(nerve, 0.62 * nerve, bundles * inner)


def _balloon_colours(spot: _Spot) -> Colours:
    fluid = np.asarray(spot.theme.colour("balloon"), np.float32)
    filled = _mix(fluid, 0.86 * fluid, np.clip(-spot.distance_mm / 5.0, 0.0, 1.0))
    thick = max(_MEMBRANE_MM, 1.4 * spot.px_mm)
    return _mix(filled, fluid + 0.55 * (1.0 - fluid), _cover(-thick - spot.distance_mm, spot.px_mm))


_PAINTERS = {
    "bone": _bone_colours,
    "disc": _disc_colours,
    "tumour": _tumour_colours,
    "cement": _cement_colours,
    "steel": _steel_colours,
    "marker": _steel_colours,
    "balloon": _balloon_colours,
    "cavity": _void_colours,
    "channel": _void_colours,
    "rim": _rim_colours,
    "dura": _dura_colours,
    "cord": _cord_colours,
    "root": _cord_colours,
    "roots": _cord_colours,
    "skin": _skin_colours,
    "muscle": _muscle_colours,
    "lung": _lung_colours,
    "cleft": _cleft_colours,
    "artery": _vessel_colours,
    "vein": _vessel_colours,
    "contrast": _contrast_colours,
    "drug": _drug_colours,
    "catheter": _tube_colours,
    "wire": _wire_colours,
    "necrosis": _necrosis_colours,
    "ligament": _ligament_colours,
    "nerve": _nerve_colours,
}
_OUTLINED = (
    "steel", "marker", "balloon", "cavity", "channel", "cement", "tumour", "cord", "roots", "root", "hub", "disc",
    "cleft", "artery", "vein", "drug", "catheter", "wire", "nerve", "ligament",
)  # fmt: skip
_JOINED = ("artery", "vein")
"""Roles whose parts run into each other: they are drawn as one, with one outline."""
_PRESSED = ("cord", "dura", "roots")
"""Nerves that something pushed aside are pressed thinner than a raster for the others would see."""
_SHARP = ("artery", "vein", "contrast", "drug", "catheter", "wire")
"""Roles of what is thinner than the raster of smooth shapes; what ranks as steel is asked on every pixel too."""


def _colours(spot: _Spot) -> Colours:
    painter = _PAINTERS.get(spot.structure.role)
    if painter is not None:
        return painter(spot)
    return np.broadcast_to(np.asarray(spot.theme.colour(spot.structure.role), np.float32), (len(spot.distance_mm), 3))


def _outline_mm(structure: Structure, px_mm: float) -> float:
    """The width of the dark line round a structure: what touches bone must stand off from it."""
    if structure.role not in _OUTLINED:
        return 0.0
    wide = structure.rank >= RANKS["cement"]
    return max(0.32 if wide else 0.2, (1.4 if wide else 0.9) * px_mm)


def _order(structure: Structure) -> tuple[int, str]:
    return structure.rank, structure.name


@cache
def _canal_of(level: str) -> Field:
    """The canal's room behind one body and half of the discs beside it, in the vertebra's frame."""
    from spineviz.anatomy.vertebra import vertebra

    bone = vertebra(level)
    room = bone.canal
    low_z = bone.landmarks["lower-back-rim"][2] - _HALF_DISC_MM
    high_z = bone.landmarks["upper-back-rim"][2] + _HALF_DISC_MM
    # a little wider than the canal: bone is drawn over it, so that no gap is left along the walls
    bounds = room.bounds_mm + _CANAL_GROWN_MM * np.array([[-1.0], [1.0]])
    bounds[:, 2] = low_z, high_z
    middle_y = bone.landmarks["canal-centre"][1]

    def distance(p: Points) -> NDArray[np.float64]:
        # only forwards: behind a sloping lamina the grown room would come out
        grown = _CANAL_GROWN_MM * np.clip((p[:, 1] - middle_y) / 4.0, -0.4, 1.0)
        return np.maximum(room.distance(p) - grown, np.maximum(low_z - p[:, 2], p[:, 2] - high_z))

    return Field(distance, bounds, exact=False)


_fats: OrderedDict[str, Structure] = OrderedDict()


def _epidural(structures: Sequence[Structure]) -> Structure | None:
    """The fat between dura and canal, as a structure under the dura: the canal's room at the levels in view."""
    from spineviz.data.tables import LEVELS

    bones = [s for s in structures if s.name in LEVELS]
    dura = next((s for s in structures if s.name == "dura"), None)
    if dura is None or not bones:
        return None
    key = "epidural:" + ";".join(_pose_key(s) for s in [dura, *bones])
    return remembered(_fats, key, lambda: _fat(dura, bones, key), 4)


def _fat(dura: Structure, bones: Sequence[Structure], key: str) -> Structure:
    from spineviz.geometry.operators import moved, union

    rooms = union(*(moved(_canal_of(s.name), s.world_from_local) for s in bones))
    grown = dura.field.bounds_mm + _FAT_MM * np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
    low_z, high_z = dura.field.bounds_mm[:, 2]

    def distance(p: Points) -> NDArray[np.float64]:
        ends = np.maximum(low_z - p[:, 2], p[:, 2] - high_z)
        to_sac = dura.field.distance(p)
        # behind the sac less: between the laminae the canal is open, and only the yellow ligament ends it
        forwards = dura.field.distance(p + np.array([0.0, 1.0, 0.0])) - to_sac
        reach = _FAT_BEHIND_MM + (_FAT_MM - _FAT_BEHIND_MM) * np.clip((forwards + 0.7) / 0.7, 0.0, 1.0)
        return np.maximum(np.maximum(rooms.distance(p), to_sac - reach), ends)

    near = Field(distance, grown, False)
    return replace(dura, name="epidural fat", role="fat", material="fat", field=near, key=key, rank=RANKS["fat"])


def _pose_key(structure: Structure) -> str:
    # to the last digit: of two poses that are nearly alike it would be told by what was drawn before which one is shown
    return f"{structure.name}|{structure.role}|{structure.key}@{structure.world_from_local.key.hex()}"


def material_texture(
    structures: Mapping[str, Structure],
    world_points: ArrayLike,
    px_mm: float = 0.3,
    theme: Theme | None = None,
    epidural: bool = True,
) -> NDArray[np.float32]:
    """The colours of what is at `world_points` (N, 3) mm: (N, 4) red, green, blue and solidity, 0 to 1.

    The same struts, rings and grains as `draw_section` draws, so a cut face and a section agree. Solidity is 0 where
    there is nothing; `px_mm` is the width over which edges are softened.
    """
    points = as_points(world_points)
    look = theme or theme_named("dark")
    out = np.zeros((len(points), 4), np.float32)
    present = _with_epidural(structures) if epidural else sorted(structures.values(), key=_order)
    for structure in present:
        low, high = structure.field.bounds_mm
        margin = px_mm + _outline_mm(structure, px_mm)
        near = np.flatnonzero(((points >= low - margin) & (points <= high + margin)).all(axis=1))
        if len(near):
            distance = structure.field.distance(points[near])
            core = structure.core.distance(points[near]) if structure.core is not None else None
            _lay(out, near, structure, lambda which, near=near: points[near[which]], distance, core, px_mm, look)  # type: ignore[misc]
    out[:, :3] /= np.maximum(out[:, 3:], 1e-6)  # laid over nothing, a half covered point came out half as bright
    return out


def _with_epidural(structures: Mapping[str, Structure]) -> list[Structure]:
    present = list(structures.values())
    fat = _epidural(present)
    return sorted([*present, fat] if fat is not None else present, key=_order)


def _lay(
    out: NDArray[np.float32],
    index: NDArray[np.intp],
    structure: Structure,
    place: Callable[[NDArray[np.intp]], Points],
    distance_mm: NDArray,
    core_mm: NDArray | None,
    px_mm: float,
    theme: Theme,
) -> None:
    """Lay one structure over the colours `out` (M, 4) at `index` (N,), in place; `place` says where some of the N are
    in the world."""
    line = _outline_mm(structure, px_mm)
    inside = np.flatnonzero(distance_mm < 0.5 * px_mm)
    if line:
        rim = np.flatnonzero((distance_mm < line + 0.5 * px_mm) & (distance_mm > -px_mm))
        cover = _cover(distance_mm[rim] - line, px_mm) * 0.9
        spot = index[rim]
        out[spot, :3] += cover[:, None] * (np.asarray(theme.colour("outline"), np.float32) - out[spot, :3])
        out[spot, 3] += cover * (1.0 - out[spot, 3])
    if not len(inside):
        return
    distance, spot = distance_mm[inside], index[inside]
    core = core_mm[inside] if core_mm is not None else None
    colours = np.array(_colours(_Spot(structure, lambda: place(inside), distance, core, px_mm, theme)), np.float32)
    cover = _cover(distance, px_mm)
    edge = np.flatnonzero(cover < 1.0)  # elsewhere nothing of what lies below is left
    below, part = out[spot[edge]], cover[edge]
    colours[edge] = below[:, :3] + part[:, None] * (colours[edge] - below[:, :3])
    out[spot, :3] = colours
    out[spot, 3] = 1.0
    out[spot[edge], 3] = below[:, 3] + part * (1.0 - below[:, 3])


# --- the drawing ---


@dataclass(frozen=True, eq=False)
class Sampled:
    """A structure's distances in a window of the picture: rows and columns from `top` and `left`; of a tube also which
    pixels of the window, (N,) counted row by row, lie between its walls."""

    top: int
    left: int
    distance_mm: NDArray[np.float32]
    core_mm: NDArray[np.float32] | None = None
    lumen: NDArray[np.intp] | None = None

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return sum(a.nbytes for a in (self.distance_mm, self.core_mm, self.lumen) if a is not None)


_sampled: Shelf[Sampled | None] = Shelf(lambda layer: 0 if layer is None else layer.nbytes, _MOST_LAYERS_BYTES, rest=8)
_grounds: OrderedDict[tuple, NDArray[np.float32]] = OrderedDict()


def forget() -> None:
    """Drop what was composed of planes; the distances in them stay."""
    _grounds.clear()


def _plane_points(world_from_plane: Frame, u_mm: NDArray, v_mm: NDArray) -> Points:
    uu, vv = np.meshgrid(u_mm, v_mm)
    flat = np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)])
    return world_from_plane.points(flat)


def _pixel_axes(size_px: tuple[int, int], px_mm: float) -> tuple[NDArray, NDArray]:
    width, height = size_px
    u = (np.arange(width) + 0.5 - width / 2) * px_mm
    v = (height / 2 - np.arange(height) - 0.5) * px_mm
    return u, v


def _window(structure: Structure, plane: Frame, size_px: tuple[int, int], px_mm: float) -> tuple[int, int, int, int]:
    """The rows and columns (top, bottom, left, right) that the structure's bounds can reach; empty if none."""
    local = plane.inverse().points(corners(structure.field.bounds_mm))
    if local[:, 2].min() > 1.0 or local[:, 2].max() < -1.0:
        return 0, 0, 0, 0
    margin = 3.0 + 0.6 / px_mm
    left, right = local[:, 0].min() / px_mm + size_px[0] / 2, local[:, 0].max() / px_mm + size_px[0] / 2
    top, bottom = size_px[1] / 2 - local[:, 1].max() / px_mm, size_px[1] / 2 - local[:, 1].min() / px_mm
    return (
        max(0, int(top - margin)),
        min(size_px[1], int(bottom + margin) + 1),
        max(0, int(left - margin)),
        min(size_px[0], int(right + margin) + 1),
    )


def _sample(structure: Structure, plane: Frame, size_px: tuple[int, int], px_mm: float) -> Sampled | None:
    top, bottom, left, right = _window(structure, plane, size_px, px_mm)
    if bottom - top < 1 or right - left < 1:
        return None
    u, v = _pixel_axes(size_px, px_mm)
    u, v = u[left:right], v[top:bottom]
    pressed = structure.healthy is not None and structure.role in _PRESSED
    sharp = structure.rank >= RANKS["steel"] or structure.role in _SHARP or pressed
    step = 2.0 if structure.role in _SOFT else _FIELD_STEP_MM
    fields = [structure.field] if structure.core is None else [structure.field, structure.core]
    if sharp or px_mm >= 0.8 * step:
        raster = _near_distances(fields, plane, u, v)
        found = [values.astype(np.float32) for values in raster]
    else:
        count_u, count_v = (int(np.ceil(px_mm * len(axis) / step)) + 5 for axis in (u, v))
        wide_u, wide_v = u[0] + (np.arange(count_u) - 2) * step, v[0] - (np.arange(count_v) - 2) * step
        raster = _near_distances(fields, plane, wide_u, wide_v)
        down = spline_weights(v[0] - v, -2.0 * step, step, count_v)
        across = spline_weights(u - u[0], -2.0 * step, step, count_u).T
        found = [down @ values.astype(np.float32) @ across for values in raster]
    if not (found[0] < 1.0 + px_mm).any():
        return None
    if structure.role in _UNEVEN and min(found[0].shape) > 2:
        found[0] = _evened(found[0], px_mm)
    lumen = _lumen(found[0], px_mm) if structure.role == "steel" else None
    return Sampled(top, left, found[0], found[1] if len(found) > 1 else None, lumen)


def _near_distances(fields: Sequence[Field], plane: Frame, u_mm: NDArray, v_mm: NDArray) -> list[NDArray[np.float64]]:
    """The distances of each field on the raster, (rows, columns): asked only in cells that the first of them, the
    structure's own, may reach; elsewhere "far outside" is all that is said."""
    rows, columns = len(v_mm), len(u_mm)
    row_cells, column_cells = np.arange(rows) // _CELL, np.arange(columns) // _CELL
    middle_u = np.array([(u_mm[i] + u_mm[min(i + _CELL, columns) - 1]) / 2 for i in range(0, columns, _CELL)])
    middle_v = np.array([(v_mm[i] + v_mm[min(i + _CELL, rows) - 1]) / 2 for i in range(0, rows, _CELL)])
    step = max(abs(axis[-1] - axis[0]) / max(1, len(axis) - 1) for axis in (u_mm, v_mm))
    at_middle = fields[0].distance(_plane_points(plane, middle_u, middle_v)).reshape(len(middle_v), len(middle_u))
    near = (at_middle < _STEEPEST * _CELL * step / np.sqrt(2) + _FAR_MM + 3 * step)[row_cells][:, column_cells]
    points = _plane_points(plane, u_mm, v_mm)[near.ravel()]
    out = []
    for field in fields:
        values = np.full((rows, columns), _FAR_MM + 3 * step)
        if len(points):
            values[near] = field.distance(points)
        out.append(values)
    return out


def _evened(distance_mm: NDArray[np.float32], px_mm: float) -> NDArray[np.float32]:
    """Distances within the plane, from values whose slope is not 1: so an outline has one width, however the field
    was made and however aslant the plane meets the surface."""
    down, across = np.gradient(distance_mm, px_mm)
    return (distance_mm / np.clip(np.hypot(down, across), 0.25, 2.0)).astype(np.float32)


def _layer(structure: Structure, plane: Frame, key: tuple, size_px: tuple[int, int], px_mm: float) -> Sampled | None:
    """The distances of `structure` in the plane that `key` names, kept while it stays where it is."""
    version = _pose_key(structure)
    return _sampled.get((key, structure.name), version, lambda: _sample(structure, plane, size_px, px_mm))


def sampled_layers(
    structures: Mapping[str, Structure], world_from_plane: Frame, half_width_mm: float, size_px: tuple[int, int]
) -> list[tuple[Structure, Sampled]]:
    """The structures that a plane meets, from the lowest rank up, with their distances on the picture's pixels; the
    epidural fat is among them. Arguments as in `draw_section`."""
    px_mm = 2.0 * half_width_mm / min(size_px)
    key = _plane_key(world_from_plane, size_px, px_mm)
    _sampled.turn()
    out = []
    for structure in _with_epidural(structures):
        layer = _layer(structure, world_from_plane, key, size_px, px_mm)
        if layer is not None:
            out.append((structure, layer))
    return out


def _plane_key(plane: Frame, size_px: tuple[int, int], px_mm: float) -> tuple:
    return tuple(np.round(plane.matrix[:3].ravel(), 4)), size_px, round(px_mm, 6)


def draw_section(
    structures: Mapping[str, Structure],
    world_from_plane: Frame,
    half_width_mm: float,
    size_px: tuple[int, int],
    theme: Theme | None = None,
    marks: SectionMarks | None = None,
    ground: Colour | None = None,
) -> NDArray[np.uint8]:
    """The plane as a drawing, (H, W, 3) uint8.

    Args:
        world_from_plane: x is right and y up on screen; its origin is the picture's centre.
        half_width_mm: half of what the picture's shorter side shows.
        size_px: width and height.
        marks: letters and scale bar; by default both.
        ground: the colour where there is nothing; by default the theme's panel.

    Raises:
        ValueError: for a size or width of 0 or less.
    """
    if min(size_px) < 1 or not half_width_mm > 0:
        raise ValueError(f"size_px and half_width_mm must be more than 0, got {size_px} and {half_width_mm}")
    look = theme or theme_named("dark")
    marks = marks or SectionMarks()
    px_mm = 2.0 * half_width_mm / min(size_px)
    plane_key = _plane_key(world_from_plane, size_px, px_mm)
    back = look.colour("panel") if ground is None else ground
    base = (plane_key, look.name, back)
    _sampled.turn()
    present = _with_epidural(structures)
    keys = [_pose_key(s) for s in present]
    # the longest run of layers, from the lowest up, that was composed before
    done = next((n for n in range(len(keys), 0, -1) if (base, *keys[:n]) in _grounds), 0)
    if done:
        out = _grounds[(base, *keys[:done])].copy()
        _grounds.move_to_end((base, *keys[:done]))
    else:
        out = np.empty((size_px[1] * size_px[0], 4), np.float32)
        out[:] = (*back, 1.0)
    standing = _standing(present)
    filled = any(s.role == "cement" for s in present)
    for i in range(done, len(present)):
        structure = present[i]
        if structure.role in _JOINED:
            alike = [s for s in present if (s.role, s.rank) == (structure.role, structure.rank)]
            layers = (
                [_layer(s, world_from_plane, plane_key, size_px, px_mm) for s in alike] if structure is alike[0] else []
            )
            found = _together([layer for layer in layers if layer is not None])
        else:
            found = _layer(structure, world_from_plane, plane_key, size_px, px_mm)
        if found is not None:
            _draw_layer(out, found, structure, world_from_plane, size_px, px_mm, look, filled)
        if i + 1 in standing:
            _grounds[base, *keys[: i + 1]] = out.copy()
            while len(_grounds) > _KEPT_GROUNDS:
                _grounds.popitem(last=False)
    picture = out.reshape(size_px[1], size_px[0], 4)
    _write(picture[:, :, :3], world_from_plane, 1.0 / px_mm, look, marks)
    np.clip(picture, 0.0, 1.0, out=picture)
    picture *= 255.0
    np.rint(picture, out=picture)
    shown = np.empty((*picture.shape[:2], 3), np.uint8)
    copy_channels(shown, picture.astype(np.uint8))
    return shown


def _together(layers: Sequence[Sampled]) -> Sampled | None:
    """The distances to the nearest of several things, in one window, so that they have one outline."""
    if not layers:
        return None
    top, left = min(layer.top for layer in layers), min(layer.left for layer in layers)
    bottom = max(layer.top + layer.distance_mm.shape[0] for layer in layers)
    right = max(layer.left + layer.distance_mm.shape[1] for layer in layers)
    out = np.full((bottom - top, right - left), np.float32(_FAR_MM))
    for layer in layers:
        rows, columns = layer.distance_mm.shape
        part = out[layer.top - top : layer.top - top + rows, layer.left - left : layer.left - left + columns]
        np.minimum(part, layer.distance_mm, out=part)
    return Sampled(top, left, out)


def _standing(present: Sequence[Structure]) -> set[int]:
    """How many of the layers, from the lowest, seldom move: all below the packed rim, and below cement and steel."""
    return {sum(s.rank < RANKS[name] for s in present) for name in ("rim", "cement")}


def _draw_layer(
    out: NDArray[np.float32],
    found: Sampled,
    structure: Structure,
    plane: Frame,
    size_px: tuple[int, int],
    px_mm: float,
    theme: Theme,
    filled: bool,
) -> None:
    reach = _outline_mm(structure, px_mm) + 0.5 * px_mm
    met = np.flatnonzero(found.distance_mm < reach)
    if not len(met):
        return

    def on_picture(which: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        row, column = np.divmod(which, found.distance_mm.shape[1])
        return row + found.top, column + found.left

    if found.lumen is not None:  # no bone stands there
        row, column = on_picture(found.lumen)
        out[row * size_px[0] + column, :3] = np.asarray(theme.colour("cement" if filled else "outline"), np.float32)
    row, column = on_picture(met)

    def place(which: NDArray[np.intp]) -> Points:
        u, v = _pixel_axes(size_px, px_mm)
        return plane.points(np.column_stack([u[column[which]], v[row[which]], np.zeros(len(which))]))

    core = found.core_mm.ravel()[met] if found.core_mm is not None else None
    index = row * size_px[0] + column
    _lay(out, index, structure, place, found.distance_mm.ravel()[met], core, px_mm, theme)


def _lumen(distance_mm: NDArray[np.float32], px_mm: float) -> NDArray[np.intp] | None:
    """Which of the pixels (rows, columns), counted row by row, lie in the room between the walls of a tube; None for a
    solid rod, which has none."""
    from scipy.ndimage import distance_transform_edt

    wall = distance_mm < 0.0
    if not wall.any() or float(distance_mm.min()) < -_THIN_WALL_MM:
        return None
    rows, columns = np.flatnonzero(wall.any(axis=1)), np.flatnonzero(wall.any(axis=0))
    top, left = rows[0], columns[0]
    wall = wall[top : rows[-1] + 1, left : columns[-1] + 1]
    # a closing: grown by half of the widest bore, then shrunk by as much
    reach = _WIDEST_BORE_MM / 2 / px_mm
    margin = int(np.ceil(reach)) + 1
    grown = distance_transform_edt(~np.pad(wall, margin)) < reach
    closed = distance_transform_edt(grown)[margin:-margin, margin:-margin] > reach
    row, column = np.nonzero(closed & ~wall)
    return np.asarray((top + row) * distance_mm.shape[1] + left + column, np.intp)


def _write(
    picture: NDArray[np.float32], world_from_plane: Frame, px_per_mm: float, theme: Theme, marks: SectionMarks
) -> None:
    height, width = picture.shape[:2]
    size = marks.text_px or max(11.0, 24.0 * min(width, height) / 415.0)
    ink, halo = theme.colour("text"), theme.colour("panel")
    if marks.letters:
        burn_edges(picture, edge_letters(world_from_plane), 1.1 * size, ink=ink, halo=halo)
    if marks.scale_bar:
        burn_scale_bar(picture, px_per_mm, 0.95 * size, ink, halo)
    if marks.words:
        gap = 0.55 * size
        burn_text(picture, marks.words, (width - gap, height - gap), 0.95 * size, (1.0, 1.0), ink, halo)
