"""The stage: structures in three dimensions, lit, with contact shadows, glass and cut faces.

A picture is made in two passes of one hidden OpenGL window at twice the size: what is solid, then what is glass, hidden
where something solid is nearer. Contact shadows are found from the depth picture and darken only what is solid, so they
do not tear what is seen through glass; the glass is laid over them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import as_points
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.views import occlusion
from spineviz.views.camera import Camera
from spineviz.views.offscreen import Drawn, Offscreen
from spineviz.views.shaders import FINISHES, KEY_LIGHT, Finish
from spineviz.views.theme import ALIASES, Theme, rgb
from spineviz.views.theme import theme as read_theme

SPACINGS_MM = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0)
"""The mesh spacings that are asked for; few, so that makers build few meshes."""

INSTRUMENTS = frozenset({"steel", "wire", "hub"})
"""Roles that carry a dark outline and are not cut by the plane."""

FINE = frozenset({"steel", "wire", "hub", "roots", "cement", "cleft", "artery", "balloon", "drug", "tumour"})
"""Roles whose parts are thin: meshed twice as fine."""

_KEPT_PICTURES = 4
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
        highlight: brighter, with a glowing rim.
        dim: darker and greyer.
        opacity: name -> 0 to 1, how solid a structure is drawn; below 1 it is laid over the solid picture like glass.
        glassiness: name -> 0 to 1, a structure on its way from solid (0) to glass (1): the two pictures are mixed.
        fade: name -> 0 to 1, a structure on its way in (1 is there): the pictures with and without it are mixed.
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
            self.glass, self.hidden, None if self.cut is None else self.cut.matrix.tobytes(), self.whole,
            self.highlight, self.dim, *(tuple(sorted(m.items())) for m in (self.opacity, self.glassiness, self.fade)),
        )  # fmt: skip


@dataclass(frozen=True)
class _Solid:
    """What the first pass left behind, at the picture's own size."""

    colour: NDArray[np.float32]
    depth_mm: NDArray[np.float32]


class Stage:
    """A stage of `size_px` (width, height) in `theme`.

    `supersample` pixels a side are drawn for each one shown (2 smooths edges; 1 is the fastest).
    """

    def __init__(self, size_px: tuple[int, int], theme: Theme | str = "dark", supersample: int = 2) -> None:
        if min(size_px) < 16 or max(size_px) > 8192:
            raise ValueError(f"size_px must be 16 to 8192 a side, got {size_px}")
        if supersample not in (1, 2):
            raise ValueError(f"supersample must be 1 or 2, got {supersample}")
        self.size_px = (int(size_px[0]), int(size_px[1]))
        self.theme = read_theme(theme) if isinstance(theme, str) else theme
        self.supersample = supersample
        self._offscreen: Offscreen | None = None
        self._background = ground(self.size_px, self.theme)
        self._pictures: OrderedDict[object, tuple[NDArray[np.uint8], NDArray[np.float32]]] = OrderedDict()
        self._camera: Camera | None = None
        self._depth_mm = np.full((self.size_px[1], self.size_px[0]), np.inf, np.float32)

    def draw(
        self, structures: Mapping[str, Structure], camera: Camera, look: StageLook | None = None
    ) -> NDArray[np.uint8]:
        """The picture (H, W, 3), sRGB. Equal structures, camera and look give the kept picture."""
        look = look or StageLook()
        key = (
            camera.key,
            look.key,
            tuple((n, s.key, s.role, s.world_from_local.matrix.tobytes()) for n, s in sorted(structures.items())),
        )
        self._camera = camera
        if key not in self._pictures:
            picture, depth = self._mixed(structures, camera, look)
            self._pictures[key] = picture, depth
            while len(self._pictures) > _KEPT_PICTURES:
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(key)
        picture, self._depth_mm = self._pictures[key]
        return picture.copy()

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
        inside = np.isfinite(pixels).all(1)
        inside[inside] &= ((pixels[inside] >= 0) & (pixels[inside] < (width, height))).all(1)
        column, row = np.where(inside[:, None], pixels, 0).astype(int).T
        return inside & (depth <= self._depth_mm[row, column] + slack_mm)

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
        after = self._colours(structures, camera, look, glass | turning.keys(), hidden)
        if turning or coming:
            before = self._colours(structures, camera, look, glass - turning.keys(), hidden | coming.keys())
            share = float(np.mean([*turning.values(), *coming.values()]))
            after = _Solid(before.colour + np.float32(share) * (after.colour - before.colour), after.depth_mm)
        return encoded(after.colour), after.depth_mm

    def _colours(
        self,
        structures: Mapping[str, Structure],
        camera: Camera,
        look: StageLook,
        glass: frozenset[str] | set[str],
        hidden: frozenset[str] | set[str],
    ) -> _Solid:
        shown = {n: s for n, s in structures.items() if n not in hidden and look.opacity.get(n, 1.0) > 0.0}
        size = (self.size_px[0] * self.supersample, self.size_px[1] * self.supersample)
        if self._offscreen is None:
            self._offscreen = Offscreen(size)
        solid: list[Drawn] = []
        panes: list[tuple[float, float, list[Drawn]]] = []
        boxes: list[NDArray[np.float64]] = []
        for name in sorted(shown):
            structure = shown[name]
            spacing = self._spacing_mm(structure, camera)
            mesh = structure.mesh(spacing)
            if not len(mesh.triangles):
                continue
            world = structure.world_from_local.points(corners(mesh.bounds_mm))
            boxes.append(np.stack([world.min(0), world.max(0)]))
            opacity = look.opacity.get(name, self.theme.opacity_of(structure.role))
            numbers = self._numbers(structure, look, name in glass, opacity, camera)
            cut = None
            if look.cut is not None and name not in look.whole and _role(structure) not in INSTRUMENTS:
                cut = look.cut
            drawn = (name, structure.key, spacing, mesh, structure.world_from_local, numbers, cut)
            if name in glass or opacity < 1.0:
                depth = float(camera.world_from_camera.inverse().point(world.mean(0))[2])
                panes.append((-float(structure.rank), depth, _pane(*drawn)))
            else:
                solid += _solid(*drawn, outlined=_role(structure) in INSTRUMENTS, pixel=float(self.supersample))
        bounds = np.array([[-1.0] * 3, [1.0] * 3]) + camera.target_mm
        if boxes:
            bounds = np.stack([np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0)])
        near, far = camera.clip_range_mm(bounds)
        self._offscreen.look(camera, near, far)
        picture, buffer = self._offscreen.draw_opaque(solid)
        colour, cover = shrunk(picture, self.supersample)
        depth_mm = linear_depth(buffer[:: self.supersample, :: self.supersample], near, far)
        colour *= self._shadow(depth_mm, far, camera, colour)
        colour += self._background * (1.0 - cover[..., None])
        if panes:
            panes.sort(key=lambda pane: pane[:2])
            pane, veil = shrunk(self._offscreen.draw_glass([d for *_, parts in panes for d in parts]), self.supersample)
            colour *= 1.0 - veil[..., None]
            colour += pane
        depth_mm[depth_mm >= far * 0.9999] = np.inf
        return _Solid(colour, depth_mm)

    def _spacing_mm(self, structure: Structure, camera: Camera) -> float:
        low, high = structure.field.bounds_mm
        nearest = np.clip(camera.position_mm, low, high)
        distance = max(float(np.linalg.norm(nearest - camera.position_mm)), 0.25 * camera.distance_mm)
        pixel = camera.pixel_mm(self.size_px[1]) * distance / camera.distance_mm
        wanted = 2.6 * pixel * (0.5 if _role(structure) in FINE else 1.0)
        floor = 0.35 if _role(structure) in FINE else 1.0
        fitting = [s for s in SPACINGS_MM if s <= max(wanted, floor)]
        return fitting[-1] if fitting else SPACINGS_MM[0]

    def _numbers(
        self, structure: Structure, look: StageLook, glass: bool, opacity: float, camera: Camera
    ) -> dict[str, float | tuple[float, float, float]]:
        role, name = _role(structure), structure.name
        finish = FINISHES.get(role, Finish())
        key = np.asarray(KEY_LIGHT) / np.linalg.norm(KEY_LIGHT)
        pixel = camera.pixel_mm(self.size_px[1])
        return {
            "surface": self.theme.colour(structure.role),
            "keyWay": (float(key[0]), float(key[1]), float(key[2])),
            "gloss": finish.gloss,
            "shine": finish.shine,
            "metal": finish.metal,
            "soft": finish.soft,
            "grain": finish.grain,
            "grainShown": float(np.clip(1.6 - 1.1 * pixel / finish.grain_mm, 0.0, 1.0)),
            "grainMm": finish.grain_mm,
            "relief": finish.relief,
            "rim": finish.rim,
            "dimming": 1.0 if name in look.dim else 0.0,
            "glow": 1.0 if name in look.highlight else 0.0,
            "glassy": 1.0 if glass else 0.0,
            "solid": opacity,
            "hullPx": 0.0,
        }

    def _shadow(
        self, depth_mm: NDArray[np.float32], far_mm: float, camera: Camera, colour: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """What is left of the light in creases and under things, (H, W, 3), 0 to 1."""
        width, height = self.size_px
        small = np.ascontiguousarray(depth_mm[::2, ::2])
        focal = height / 2 / float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
        eye = occlusion.Eye(focal / 2, (width / 4, height / 4))
        reach_px = _OCCLUSION_SHARE * height / 2
        reach_mm = reach_px * camera.distance_mm / (focal / 2)
        small = np.minimum(small, camera.distance_mm * 50)
        open_share = occlusion.obscurance(small, eye, reach_px, reach_mm)
        key = occlusion.key_shadow(small, eye, KEY_LIGHT, 1.6 * reach_mm, 1.6 * reach_px)
        left = occlusion.smoothed(open_share * (0.42 + 0.58 * key), small, 0.05 * reach_mm)
        left = occlusion.spread(left, small, depth_mm, 0.05 * reach_mm)[..., None]
        # light that bounces between bright walls fills their creases with their own colour (Jimenez et al. 2016)
        bounce = np.clip(colour, 0.0, 1.0)
        return left + left * (1.0 - left) * 0.55 * bounce


def _role(structure: Structure) -> str:
    return ALIASES.get(structure.role, structure.role)


def _solid(
    name: str, key: str, spacing: float, mesh: Mesh, pose: Frame, numbers: dict, cut: Frame | None,
    outlined: bool, pixel: float,
) -> list[Drawn]:  # fmt: skip
    parts = [Drawn((name, key, spacing, "solid"), mesh, pose, numbers, cut)]
    if outlined:
        outline = {**numbers, "hullPx": 1.3 * pixel, "surface": (0.02, 0.035, 0.06)}
        parts.append(Drawn((name, key, spacing, "outline"), mesh, pose, outline, cut, one_sided=-1))
    return parts


def _pane(
    name: str, key: str, spacing: float, mesh: Mesh, pose: Frame, numbers: dict, cut: Frame | None
) -> list[Drawn]:  # fmt: skip
    """A first, invisible drawing takes the depth, so that only the nearest wall of a pane is seen."""
    veil = {**numbers, "solid": 0.0, "gloss": 0.0}
    return [
        Drawn((name, key, spacing, "veil"), mesh, pose, veil, cut, one_sided=1),
        Drawn((name, key, spacing, "pane"), mesh, pose, numbers, cut, one_sided=1),
    ]


def corners(bounds_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8, 3) the corners of a box (2, 3)."""
    low, high = bounds_mm
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def linear_depth(buffer: NDArray[np.float32], near_mm: float, far_mm: float) -> NDArray[np.float32]:
    """An OpenGL depth buffer (0 near, 1 far) as mm along the line of sight."""
    near, far = np.float32(near_mm), np.float32(far_mm)
    return (near * far) / (far - buffer * (far - near))


def shrunk(picture: NDArray[np.uint8], factor: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (H, W, 3) and coverage (H, W), 0 to 1, of a picture drawn `factor` times as large a side."""
    if factor == 1:
        out = picture.astype(np.float32)
    else:
        pairs = picture[0::2].astype(np.uint16)
        pairs += picture[1::2]
        total = pairs[:, 0::2] + pairs[:, 1::2]
        out = total.astype(np.float32)
    out *= np.float32(1.0 / (255 * factor * factor))
    return out[..., :3], out[..., 3]


def encoded(colour: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0 to 1 as bytes, with an ordered dither of half a step so that the ground shows no bands."""
    height, width = colour.shape[:2]
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16
    tiled = np.tile(bayer, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    scaled = colour * np.float32(255)
    scaled += tiled
    return np.clip(scaled, 0, 255).astype(np.uint8)


def ground(size_px: tuple[int, int], theme: Theme) -> NDArray[np.float32]:
    """The empty stage (H, W, 3), 0 to 1: a vertical run of two colours, a little lighter behind the middle."""
    width, height = size_px
    y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    top, bottom = np.array(rgb(theme.ground_top), np.float32), np.array(rgb(theme.ground_bottom), np.float32)
    out = top + y * (bottom - top) + np.zeros((1, width, 1), np.float32)
    u = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :, None] * 2
    v = (np.arange(height, dtype=np.float32) / height - 0.42)[:, None, None] * 2
    out *= 1.0 + 0.30 * np.exp(-2.2 * (u * u + v * v))
    return out
