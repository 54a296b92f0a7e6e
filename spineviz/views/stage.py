"""The stage: structures in three dimensions, lit, with contact shadows, glass and cut faces.

A picture is drawn larger than it is shown in two passes: what is solid, then what is glass, hidden where something
solid is nearer. Contact shadows are found from the depth picture and darken only what is solid, so they do not tear
what is seen through glass; the glass is laid over them.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import as_points, corners
from spineviz.geometry.frames import Frame
from spineviz.views.camera import Camera
from spineviz.views.composer import differing
from spineviz.views.cutface import cut_face
from spineviz.views.offscreen import NOTHING_MM, Face, Kept, Offscreen, Shadows, Surface, Wanted
from spineviz.views.shaders import FINISHES, Finish
from spineviz.views.theme import ALIASES, Theme, rgb
from spineviz.views.theme import theme as read_theme

SPACINGS_MM = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
"""The mesh spacings that are asked for; few, so that makers build few meshes."""

INSTRUMENTS = frozenset({"steel", "wire", "catheter", "hub", "marker"})
"""Roles that carry a dark outline and are not cut by the plane."""

FINE = frozenset(
    {
        "steel", "wire", "catheter", "hub", "marker", "artery", "vein", "contrast", "balloon", "drug",
    }
)  # fmt: skip
"""Roles whose parts are thin: meshed twice as fine."""

LOBED = frozenset({"cement", "tumour", "necrosis"})
"""Roles with small lobes: meshed finer than what is smooth, and finely from nearby too."""

THIN = FINE | LOBED | {"roots", "cleft"}
"""Roles that may pass between the pixels of the half-size depth picture."""

NESTING = {
    "catheter": -5,
    "drug": -4,
    "contrast": -4,
    "artery": -3,
    "vein": -3,
    "balloon": -2,
    "necrosis": -1,
    "cavity": -1,
    "dura": -1,
    "disc": 1,
    "rim": 1,
    "bone": 2,
    "muscle": 3,
    "lung": 3,
    "fat": 4,
    "skin": 5,
    "cloth": 6,
}
"""What lies round what, by role, 0 for the rest: glass is laid from the inside out."""

SMOOTH = frozenset({"skin", "gown", "cloth", "muscle"})
"""Large soft forms: meshed half as coarse, where coarse cells would show as facets, but never finely."""

_MESHED = ((FINE, (0.5, 0.35)), (LOBED, (0.8, 0.5)), (SMOOTH, (0.5, 4.0)))
"""Of such roles the spacing as a share of that of others, and the least in mm."""

GROWN = frozenset(
    {"bone", "rim", "cavity", "disc", "tumour", "necrosis", "contrast", "skin", "muscle", "cloth", "gown", "glove"}
)
"""Roles without sharp edges: the normals of their meshes are smoothed."""

INNER = frozenset({"cord", "roots", "dura"})
"""Roles that bone hides for the most part, though it is nearer for a part of them only: drawn last."""

VESSELS = frozenset({"artery", "vein"})
"""Roles of thin tubes: one that is highlighted stands before a line of light, so that it is seen from afar."""

CONTENTS = frozenset({"contrast", "drug", "catheter", "wire", "marker"})
"""Roles of what lies in a vessel: it is drawn before the glass of a narrow one, whose rim would veil it."""

VOIDS = frozenset({"cavity"})
"""Roles in which there is nothing: their far wall is seen, behind a veil, and a cut leaves them open."""

ALWAYS_GLASS = frozenset({"rim"})
"""Roles that are shown as glass whatever a shot says: they are no thing of their own, but denser bone in bone."""

BODY = "body"
"""The name of the skin from head to foot: the one structure whose finish goes by its name."""

_HALO_PX, _HALO_WHITE = 1.2, 0.22
"""How far the light round a highlighted vessel, catheter or wire reaches, and how much lighter it is than that."""

_LIFT_MM = 2.5
"""How much nearer the contents of a vessel are drawn: the radius of what runs along a vertebra and a little more."""

_HALO_SOLID = 0.5
"""How much of what lies behind a vessel its light hides."""

_UNDER_MM = 1.5
"""How much farther a wire's outline is drawn, so that from afar it does not come out of the catheter round it."""

_KEPT_PICTURES = 2
_FACET_PX = 15.0
"""Triangles of edges up to so many pixels are small: light at their corners differs from light at every pixel by less
than three steps of 255 in all but 2 % of the pixels."""
_SPACING_PX = 6.0
_TRIANGLES = 0.8
"""Triangles of a lasting surface for each mm² at a spacing of 1 mm. A simplified surface is off by what is in inverse
proportion to their number, so that at other spacings, which go with the pixels, it is off by as much of a pixel: for
bones by less than a tenth on average, by two thirds of one at most (tests/views/test_stage.py)."""
_LIGHT_FROM_MM = 1.0
"""From this spacing on a lasting surface is simplified: a denser one takes longer to simplify than is won by it."""
_OCCLUSION_SHARE = 0.075
"""How far contact shadows reach, as a share of the picture's height."""


@dataclass(frozen=True)
class StageLook:
    """How the structures of one picture are shown; names that are not in the picture are ignored.

    Attributes:
        glass: shown as glass.
        hidden: not shown.
        cut: what lies on the +z side of this world frame is taken away and the cut face is filled; None for no cut.
        whole: not cut although the plane passes through; instruments never are.
        highlight: brighter, with a glowing rim; vessels, catheters and wires broader too, to be seen on a whole body.
        dim: darker and greyer.
        opacity: name -> 0 to 1, how solid a structure is drawn; below 1 it is laid over the solid picture like glass.
        glassiness: name -> 0 to 1, a structure on its way from solid (0) to glass (1): the two pictures are mixed.
        fade: name -> 0 to 1, a structure on its way in (1 is there): the pictures with and without it are mixed.
            What turns or comes at one moment does so together, by the mean of the shares.
    """

    glass: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    cut: Frame | None = None
    whole: frozenset[str] = frozenset()
    highlight: frozenset[str] = frozenset()
    dim: frozenset[str] = frozenset()
    opacity: Mapping[str, float] = field(default_factory=dict)
    glassiness: Mapping[str, float] = field(default_factory=dict)
    fade: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells this look from another."""
        return (
            self.glass, self.hidden, None if self.cut is None else self.cut.key, self.whole,
            self.highlight, self.dim, *(tuple(sorted(m.items())) for m in (self.opacity, self.glassiness, self.fade)),
        )  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """What decides, beside a structure itself, how it is drawn: from where and how it is looked at, what is `glass`,
    and the `voids` that a cut leaves open in it."""

    camera: Camera
    look: StageLook
    glass: frozenset[str]
    voids: tuple[Structure, ...]

    @property
    def key(self) -> Hashable:
        """What tells it from another."""
        return self.camera.key, self.look.key, self.glass, tuple(_key(void.name, void) for void in self.voids)


@dataclass(frozen=True, eq=False)
class _Part:
    """How a structure is drawn.

    Attributes:
        mesh: its surface.
        corners_mm: (8, 3) of the box round it, in the world.
        solid: groups of surfaces, each with whether bone hides it for the most part and how far away it begins.
        panes: what is laid over as glass, each with how far out it lies and how near.
        faces: of the cut through it.
    """

    mesh: Kept
    corners_mm: NDArray[np.float64]
    solid: list[tuple[bool, float, list[Surface]]]
    panes: list[tuple[float, float, Surface]]
    faces: list[Face]


class _Known(NamedTuple):
    """What is known of a structure in a picture.

    Attributes:
        pixel_mm: what a pixel shows of its nearest part; None where it is certainly out of the picture, so that it is
            not even made.
        wanted: its surface.
        part: how it is drawn; None where there is nothing to draw.
    """

    pixel_mm: float | None
    wanted: Wanted | None = None
    part: _Part | None = None


class Stage:
    """A stage of `size_px` (width, height) in `theme`.

    `supersample` pixels a side are drawn for each one shown (1.5 and 2 smooth edges; 1 is the fastest). A `clear` stage
    has no ground.
    """

    def __init__(
        self, size_px: tuple[int, int], theme: Theme | str = "dark", supersample: float = 1.5, clear: bool = False
    ) -> None:
        if min(size_px) < 16 or max(size_px) > 8192:
            raise ValueError(f"size_px must be 16 to 8192 a side, got {size_px}")
        if supersample not in (1, 1.5, 2):
            raise ValueError(f"supersample must be 1, 1.5 or 2, got {supersample}")
        self.size_px = (int(size_px[0]), int(size_px[1]))
        self.theme = read_theme(theme) if isinstance(theme, str) else theme
        self.supersample, self.clear = supersample, clear
        self._offscreen: Offscreen | None = None
        self._pictures: OrderedDict[object, tuple[NDArray[np.uint8], NDArray[np.float32]]] = OrderedDict()
        self._known: OrderedDict[Hashable, dict[Hashable, _Known]] = OrderedDict()
        self._camera: Camera | None = None
        self.depth_mm = np.full(((self.size_px[1] + 1) // 2, (self.size_px[0] + 1) // 2), np.inf, np.float32)

    def draw(
        self, structures: Mapping[str, Structure], camera: Camera, look: StageLook | None = None
    ) -> NDArray[np.uint8]:
        """The picture (H, W, 3), sRGB, of a clear stage (H, W, 4) with colours multiplied by alpha. Equal structures,
        camera and look give the kept picture, which must not be changed."""
        look = look or StageLook()
        key = (
            camera.key,
            look.key,
            tuple(_key(name, structure) for name, structure in sorted(structures.items())),
        )
        self._camera = camera
        if key not in self._pictures:
            picture, depth = self._mixed(structures, camera, look)
            self._pictures[key] = picture, np.where(depth < NOTHING_MM, depth, np.float32(np.inf))
            while len(self._pictures) > _KEPT_PICTURES:
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(key)
        picture, self.depth_mm = self._pictures[key]
        return picture

    def project(self, points_mm: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels (N, 2), x from the left edge and y from the top, and depths (N,) mm along the line of sight, in the
        picture drawn last. Raises ValueError before the first picture."""
        if self._camera is None:
            raise ValueError("project: nothing has been drawn yet")
        return self._camera.project(points_mm, self.size_px)

    def visible(self, points_mm: ArrayLike, slack_mm: float = 2.5) -> NDArray[np.bool_]:
        """Which of `points_mm` (N, 3) lie inside the picture drawn last and are not more than `slack_mm` behind what is
        solid there; glass hides nothing."""
        points = np.atleast_2d(np.asarray(points_mm, float))
        pixels, depth = self.project(as_points(points))
        width, height = self.size_px
        placed = np.nan_to_num(pixels, nan=-1.0)
        inside: NDArray[np.bool_] = np.all((placed >= 0) & (placed < (width, height)), axis=1)
        column, row = (np.where(inside[:, None], placed, 0) / 2).astype(int).T
        return inside & (depth <= self.depth_mm[row, column] + slack_mm)

    def close(self) -> None:
        """Give the window's memory back; the stage opens a new one when it draws again."""
        if self._offscreen is not None:
            self._offscreen.close()
            self._offscreen = None

    def _mixed(
        self, structures: Mapping[str, Structure], camera: Camera, look: StageLook
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The picture with what is on its way in or to glass: a mix of the picture before and the picture after."""
        turning = {n: v for n, v in look.glassiness.items() if n in structures and 0.0 < v < 1.0}
        coming = {n: v for n, v in look.fade.items() if n in structures and 0.0 < v < 1.0}
        glass = look.glass | {n for n, v in look.glassiness.items() if v >= 1.0}
        glass -= {n for n, v in look.glassiness.items() if v <= 0.0}
        hidden = look.hidden | {n for n, v in look.fade.items() if v <= 0.0}
        if not turning and not coming:
            return self._drawn(structures, camera, look, glass, hidden)
        ways = [(glass | turning.keys(), hidden), (glass - turning.keys(), hidden | coming.keys())]
        # what comes is added to the picture without it, what turns to the one in which it is glass: only that is drawn
        order = (1, 0) if coming else (0, 1)
        drawn = {i: self._drawn(structures, camera, look, *ways[i]) for i in order}
        (after, depth), (before, _) = drawn[0], drawn[1]
        share = round(256 * float(np.mean([*turning.values(), *coming.values()])))
        unlike = differing(before, after)
        if unlike is not None:
            left, top, right, bottom = unlike
            box = slice(top, bottom), slice(left, right)
            mixed = after[box].astype(np.uint16) * np.uint16(share)
            mixed += before[box].astype(np.uint16) * np.uint16(256 - share)
            after[box] = mixed >> 8
        return after, depth

    def _drawn(
        self,
        structures: Mapping[str, Structure],
        camera: Camera,
        look: StageLook,
        glass: frozenset[str],
        hidden: frozenset[str],
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        shown = {n: s for n, s in structures.items() if n not in hidden and look.opacity.get(n, 1.0) > 0.0}
        if self._offscreen is None:
            back = None if self.clear else ground(self.size_px, self.theme)
            self._offscreen = Offscreen(self.size_px, self.supersample, back)
        store = self._offscreen.store
        voids = tuple(s for _, s in sorted(shown.items()) if _role(s) in VOIDS)
        asked = _Asked(camera, look, frozenset(glass), voids)
        known = self._known.pop(asked.key, {})
        keys = {name: _key(name, structure) for name, structure in sorted(shown.items())}
        new = {name: shown[name] for name, key in keys.items() if key not in known}
        pixels_mm = pixels_in_sight_mm(new, camera, self.size_px)
        parts: dict[Hashable, _Known] = {}
        for name, key in keys.items():
            pixel_mm, wanted, part = known.get(key) or _Known(pixels_mm[name])
            if wanted is None and pixel_mm is not None:
                wanted = self._wanted(shown[name], pixel_mm)
            mesh = None if wanted is None else store.mesh(wanted)
            if mesh is None or mesh.bounds_mm is None or pixel_mm is None:
                part = None
            elif part is None or part.mesh is not mesh:  # that one may have been let go of meanwhile
                part = self._part(name, shown[name], mesh, pixel_mm, asked)
            parts[key] = _Known(pixel_mm, wanted, part)
        self._known[asked.key] = parts
        while len(self._known) > _KEPT_PICTURES:
            self._known.popitem(last=False)
        seen = [known.part for known in parts.values() if known.part is not None]
        bounds = np.array([[-1.0] * 3, [1.0] * 3]) + camera.target_mm
        if seen:
            every = np.concatenate([part.corners_mm for part in seen])
            bounds = np.stack([every.min(0), every.max(0)])
        # nearest first, so that what is hidden is not lit
        solid = sorted([group for part in seen for group in part.solid], key=lambda group: group[:2])
        nearest_first = [s for *_, surfaces in solid for s in surfaces]
        inner_first = inner_to_outer([pane for part in seen for pane in part.panes])
        faces = [face for part in seen for face in part.faces]
        reach_px = _OCCLUSION_SHARE * self.size_px[1]
        shadows = Shadows(reach_px, reach_px * camera.pixel_mm(self.size_px[1]))
        return self._offscreen.draw(
            camera, rounded_range(*camera.clip_range_mm(bounds)), nearest_first, faces, inner_first, shadows
        )

    def _part(self, name: str, structure: Structure, mesh: Kept, pixel_mm: float, asked: _Asked) -> _Part:
        """How the `structure` of that name is drawn, of whose nearest part a pixel shows `pixel_mm`."""
        camera, look, role = asked.camera, asked.look, _role(structure)
        assert mesh.bounds_mm is not None
        world = structure.world_from_local.points(corners(mesh.bounds_mm))
        z = (world - camera.position_mm) @ camera.world_from_camera.rotation[:, 2]
        opacity = look.opacity.get(name, self.theme.opacity_of(structure.role))
        glassy = name in asked.glass or opacity < 1.0
        pane = name in asked.glass or role in ALWAYS_GLASS
        surface = self._surface(structure, mesh, pixel_mm, asked, pane, opacity)
        solid: list[tuple[bool, float, list[Surface]]] = []
        panes: list[tuple[float, float, Surface]] = []
        face = None
        if surface.cut is not None and (role == "balloon" or not glassy):
            light = 0.5 if name in look.dim else 1.15 if name in look.highlight else 1.0
            hollow = () if role in VOIDS or role == "balloon" else asked.voids
            face = cut_face(structure, surface.cut, camera.pixel_mm(self.size_px[1]), self.theme, light, hollow)
        if role in VOIDS:
            # what lies behind a void is its far wall; the near one is a veil that tells where it ends
            far_wall = replace(surface, sides=-1, wall="hollow", at_vertices=False, tone=(*surface.tone[:3], 1.0))
            solid.append((False, -float(z.min()), [far_wall]))
            surface = self._surface(structure, mesh, pixel_mm, asked, True, opacity)
        if name in look.highlight and role in VESSELS:
            halo = self._halo(surface)
            halo = replace(halo, tone=(*halo.tone[:3], _HALO_SOLID))
            panes.append((NESTING.get(role, 0) - 0.5, float(z.mean()), halo))
        if glassy or role in VOIDS:
            panes.append((NESTING.get(role, 0), float(z.mean()), surface))
        else:
            lines = self._lines(surface, role, name in look.highlight, camera) if role in INSTRUMENTS else []
            solid.append((role in INNER, -float(z.max()), [surface, *lines]))
        return _Part(mesh, world, solid, panes, [] if face is None else [face])

    def _lines(self, surface: Surface, role: str, highlight: bool, camera: Camera) -> list[Surface]:
        """The dark outline of an instrument, and what is light round one that is to be seen from afar."""
        broad = _HALO_PX if highlight and role in CONTENTS else 0.0
        under = _UNDER_MM / camera.distance_mm if role == "wire" else 0.0
        tone = (*self.theme.colour("outline"), 1.0)
        line = replace(surface, tone=tone, hull_px=1.3 + broad, sides=-1, nearer=surface.nearer - under)
        return [self._halo(surface), line] if broad else [line]

    def _halo(self, surface: Surface) -> Surface:
        """Light round a thin thing, also behind its glass, before the dark outline that it may have."""
        red, green, blue = (value + _HALO_WHITE * (1.0 - value) for value in surface.tone[:3])
        nearer = surface.nearer + 1e-4
        return replace(surface, tone=(red, green, blue, 1.0), hull_px=_HALO_PX, sides=-1, nearer=nearer)

    def _wanted(self, structure: Structure, pixel_mm: float) -> Wanted:
        """The surface of `structure`, of whose nearest part a pixel shows `pixel_mm`."""
        spacing = _spacing_mm(structure, pixel_mm)
        before = _lasting_before(structure)
        light = (structure.lasting or before is not None) and spacing >= _LIGHT_FROM_MM
        if light and spacing < 2.0 * _LIGHT_FROM_MM:
            spacing = _LIGHT_FROM_MM  # a camera that draws near asks for few different ones
        wanted = Wanted(
            key=(structure.key, spacing),
            make=partial(structure.mesh, spacing),
            rounds=2 if _role(structure) in GROWN else 0,
            triangles_per_mm2=_TRIANGLES / spacing if light else 0.0,
        )
        if before is None:
            return wanted
        like = replace(wanted, key=(before.key, spacing), make=partial(before.mesh, spacing))
        return replace(wanted, like=like, carried=partial(_carried, structure))

    def _surface(
        self, structure: Structure, mesh: Kept, pixel_mm: float, asked: _Asked, glass: bool, opacity: float
    ) -> Surface:
        role, name, camera, look = _role(structure), structure.name, asked.camera, asked.look
        wall = "membrane" if role == "balloon" and opacity < 1.0 else ""
        finish = FINISHES.get(BODY if name == BODY else role, Finish())
        # a grain of five pixels is too small to be worth its time; from ten it is shown in full
        shown = min(max(2.0 - 10.0 * camera.pixel_mm(self.size_px[1]) / finish.grain_mm, 0.0), 1.0)
        cut = look.cut if name not in look.whole and role not in INSTRUMENTS else None
        lift = _LIFT_MM / camera.distance_mm if role in CONTENTS else 0.0
        return Surface(
            mesh=mesh,
            world_from_local=structure.world_from_local,
            nearer=1e-5 * zlib.crc32(name.encode()) / 2**32 + lift,
            tone=(*self.theme.colour(structure.role), opacity),
            sheen=(
                (finish.clear, finish.stain, 0.0, 0.0)
                if glass
                else (finish.gloss, finish.shine, finish.metal, finish.soft)
            ),
            grain=(finish.grain, shown, finish.grain_mm, finish.relief),
            mood=(finish.rim, float(name in look.dim), float(name in look.highlight), float(glass)),
            cut=cut,
            capped=cut is not None and not glass and opacity >= 1.0,
            wall=wall,
            at_vertices=not wall and mesh.edge_mm <= _FACET_PX * pixel_mm,
            thin=role in THIN,
            runs_on=structure.runs_on,
        )


def _spacing_mm(structure: Structure, pixel_mm: float) -> float:
    """How finely a structure is meshed of whose nearest part a pixel shows `pixel_mm`."""
    role = _role(structure)
    share, least = next((spacing for roles, spacing in _MESHED if role in roles), (1.0, 1.0))
    wanted = max(_SPACING_PX * pixel_mm * share, least)
    return min(SPACINGS_MM, key=lambda spacing: abs(log(spacing / wanted)))


def _key(name: str, structure: Structure) -> Hashable:
    """What tells how a structure of that name looks from how another does."""
    return name, structure.key, structure.role, structure.runs_on, structure.world_from_local.key


def _lasting_before(structure: Structure) -> Structure | None:
    """The lasting one that a structure is what remains of, if it is."""
    return structure.remains.of if structure.remains is not None and structure.remains.of.lasting else None


def _carried(structure: Structure, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points (N, 3) of what `structure` remains of, in its local frame, lie in that of `structure`."""
    assert structure.remains is not None
    in_world = structure.remains.of.world_from_local.points(points_mm)
    return structure.world_from_local.inverse().points(structure.remains.carried(in_world)[0])


def inner_to_outer(panes: Sequence[tuple[float, float, Surface]]) -> list[Surface]:
    """Panes of glass in the order in which they are laid, each given with how far out it lies and how near: those that
    are one hollow follow one another, at their mean distance."""
    near: dict[tuple[float, str], list[float]] = {}
    for out, nearness, surface in panes:
        near.setdefault((out, surface.runs_on), []).append(nearness)

    def place(pane: tuple[float, float, Surface]) -> tuple[float, float]:
        out, nearness, surface = pane
        return out, float(np.mean(near[out, surface.runs_on])) if surface.runs_on else nearness

    return [surface for *_, surface in sorted(panes, key=place)]


def _role(structure: Structure) -> str:
    return ALIASES.get(structure.role, structure.role)


def rounded_range(near_mm: float, far_mm: float) -> tuple[float, float]:
    """Near and far planes moved apart to steps of 10 %, so that what moves a little does not change them."""
    step = np.log(1.1)
    near, far = np.floor(np.log(near_mm) / step) * step, np.ceil(np.log(far_mm) / step) * step
    return float(np.exp(near)), float(np.exp(far))


def pixels_in_sight_mm(
    structures: Mapping[str, Structure], camera: Camera, size_px: tuple[int, int]
) -> dict[str, float | None]:
    """What a pixel shows of the nearest part of each of `structures`, mm; None of one that is certainly out of the
    picture."""
    if not structures:
        return {}
    boxes = np.stack([structure.field.bounds_mm for structure in structures.values()])
    eye = camera.world_from_camera.inverse().points(corners(boxes).reshape(-1, 3)).reshape(-1, 8, 3)
    away = np.linalg.norm(np.clip(camera.position_mm, boxes[:, 0], boxes[:, 1]) - camera.position_mm, axis=1)
    distance = np.maximum(away, 0.25 * camera.distance_mm)
    pixels = (camera.pixel_mm(size_px[1]) * distance / camera.distance_mm).tolist()
    gone = outside(camera, eye, size_px).tolist()
    return {name: None if out else mm for name, out, mm in zip(structures, gone, pixels, strict=True)}


def outside(camera: Camera, eye_points_mm: NDArray[np.float64], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) whether boxes with corners `eye_points_mm` (N, 8, 3), in the eye's frame, are certainly out of the
    picture."""
    slope = float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
    x, y, depth = eye_points_mm[..., 0], eye_points_mm[..., 1], -eye_points_mm[..., 2]
    wide = slope * size_px[0] / size_px[1] * depth
    tall = slope * depth
    beyond = np.stack([depth <= 0, x > wide, -x > wide, y > tall, -y > tall])
    return np.asarray(beyond.all(axis=2).any(axis=0))


def ground(size_px: tuple[int, int], theme: Theme) -> NDArray[np.float32]:
    """The empty stage (H, W, 3), 0 to 1: a vertical run of two colours, a little lighter behind the middle."""
    width, height = size_px
    y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    top, bottom = np.array(rgb(theme.ground_top), np.float32), np.array(rgb(theme.ground_bottom), np.float32)
    u = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :, None] * 2
    v = (np.arange(height, dtype=np.float32) / height - 0.42)[:, None, None] * 2
    out = np.empty((height, width, 3), np.float32)
    # paper is near white already: there is little left to lighten
    more = np.float32(0.05 if theme.light else 0.30)
    # a row after the other: whole pictures between would take half a gigabyte at 4K
    for row, far, line in zip(out, v, top + y * (bottom - top), strict=True):
        np.minimum(line * (1.0 + more * np.exp(-2.2 * (u[0] * u[0] + far * far))), 1.0, out=row)
    return out
