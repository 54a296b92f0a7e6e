"""Pictures from OpenGL without a window: surfaces in, a lit picture and its depth out."""

from __future__ import annotations

import ctypes
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import ceil
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import remembered
from spineviz.data.errors import FaultError
from spineviz.geometry.fields import corners
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh, simplified
from spineviz.views import shaders
from spineviz.views.camera import Camera
from spineviz.views.canvas import Box
from spineviz.views.tiles import (
    TILE_PX,
    Tiles,
    box_round,
    corners_of,
    counted,
    filled_box,
    grown,
    marked,
    no_tiles,
    reached,
    rectangles,
    spread,
    tiles_under,
)

_KEPT_BYTES = 10_000_000
"""Vertex buffers held at most, but for those of the last pictures; the one unused for longest goes first."""

_RESTS_AFTER = 30
"""A window that others have drawn so many pictures since gives back what only a moving film needs."""

_MOST_TRIANGLES = 128
"""A surface of more is drawn block by block, those out of the picture not at all."""

_INSIDE, _CAPPED_INSIDE = 0.10, 0.80
"""How bright the inner side of a surface is: dark, but where it is seen between a cut's face and the surface round it,
which is drawn with fewer triangles, about as the face is."""

_MOST_HALVES = 2
"""Of so many cuts through one surface the triangles on either side are remembered."""

_CELL = 16
"""Paint is drawn in squares of so many of its pixels, those with nothing in them not at all."""

_PAD_PX = 6
"""Outlines reach so far beyond what they belong to, and the softening of shadows a little further."""

NOTHING_MM = 9e8
"""A depth beyond this means that nothing is there."""

_SPOTS_BYTES = 48 * 256 * 512
"""Room for the corners of all boxes into which the tiles of a picture of 8192 pixels a side can fall."""

_MOSTLY = 0.4
"""Where more than this share of a picture is cleared, all of it is cleared sooner."""

_KEY_WAY = tuple((np.array(shaders.KEY_LIGHT) / np.linalg.norm(shaders.KEY_LIGHT)).tolist())
_CLIP_DISTANCE_0 = 0x3000
_READ_FRAMEBUFFER, _COLOUR_ATTACHMENT, _DEPTH, _COLOUR_AND_DEPTH, _NEAREST = 0x8CA8, 0x8CE0, 0x100, 0x4100, 0x2600
Four = tuple[float, float, float, float]
Key = tuple[object, ...]


@dataclass(eq=False)
class Kept:
    """What lies in the graphics memory for one surface or one paint.

    Attributes:
        bounds_mm: (2, 3) low and high corner of a surface in its local frame; None when there is nothing to draw.
        blocks: where each block of neighbouring triangles begins among the indices, and where the last one ends.
        corners_mm: (blocks, 8, 3) the corners of the blocks' boxes, in the local frame.
        edge_mm: how long the edges of a surface's triangles are, were they all alike and equilateral.
        used_at: how many pictures the store had seen when it was used last.
        halves: of the planes asked for last, of the blocks that each passes through the triangles wholly behind it and
            those that it splits, block by block as in `blocks`; in the order of use.
    """

    parts: list[Any]
    draws: dict[tuple[str, ...], Any]
    size: int
    bounds_mm: NDArray[np.float64] | None = None
    blocks: NDArray[np.int64] | None = None
    corners_mm: NDArray[np.float64] | None = None
    edge_mm: float = 0.0
    used_at: int = 0
    halves: OrderedDict[bytes, tuple[Kept, Kept]] = field(default_factory=OrderedDict)

    def release(self) -> None:
        """Give the memory back."""
        for both in self.halves.values():
            _release_halves(both)
        for part in (*self.draws.values(), *self.parts):
            part.release()


def _release_halves(both: tuple[Kept, Kept]) -> None:
    """Give back what they have beside the vertices, which are those of the whole."""
    for half in both:
        for part in (*half.draws.values(), half.parts[1]):
            if part is not None:
                part.release()


@dataclass(frozen=True)
class Wanted:
    """A surface that is to be drawn.

    Attributes:
        key: names it; with an equal key it is kept.
        make: makes it.
        rounds: how often its normals are smoothed.
        triangles_per_mm2: more than 0: it is simplified to so many.
        like: another surface of the same triangles, which this one is when `carried` has moved its points (N, 3), both
            in the local frame: it is simplified to the very triangles that the other one is, so that they do not
            change from picture to picture while this one does. None: it is simplified for itself.
    """

    key: Key
    make: Callable[[], Mesh]
    rounds: int = 0
    triangles_per_mm2: float = 0.0
    like: Wanted | None = None
    carried: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None

    @property
    def full_key(self) -> Key:
        """What tells it from every other."""
        return *self.key, self.rounds, self.triangles_per_mm2

    def made(self) -> tuple[Mesh, NDArray[np.float32]]:
        """The surface and the normals (N, 3) at its vertices."""
        mesh = self.make()
        normals = vertex_normals(mesh, self.rounds)
        if self.triangles_per_mm2 <= 0.0:
            return mesh, normals
        if self.like is None or self.carried is None:
            return lightened(mesh, normals, round(self.triangles_per_mm2 * mesh.area_mm2))
        few = remembered(_few, self.like.full_key, self.like.thinned, _MOST_FEW)
        return few.mesh.with_points(self.carried(few.mesh.points_mm)), few.lit(normals)

    def thinned(self) -> Few:
        """What it is simplified to."""
        mesh = self.make()
        return thinned(mesh, round(self.triangles_per_mm2 * mesh.area_mm2))


@dataclass(frozen=True)
class Surface:
    """One surface of one picture.

    Attributes:
        mesh: vertex buffers, from `Store.mesh`.
        world_from_local: where it stands.
        tone: red, green, blue and how solid, 0 to 1.
        sheen: gloss, shine, metal, soft, as in Finish.
        grain: strength, how much of its fine part the pixels can show, size mm, relief mm.
        mood: rim, dimming, glow, glass, 0 to 1.
        cut: removes what lies on the +z side of this world frame.
        capped: a painted face closes the cut, so that the inner side is seen only at the very edge of it.
        sides: 1 draws near sides only, -1 far sides only, 0 both.
        hull_px: more than 0: drawn as a flat outline grown by so many pixels.
        wall: "" for a surface like any other; "membrane" lets more through in its middle than at its silhouette,
            "hollow" is lit on the side that looks inwards.
        at_vertices: light is worked out at the corners of its triangles, not at every pixel.
        thin: it may pass between the pixels of the half-size depth picture, so that this does not tell where it is.
        runs_on: with those of the same name that follow it among the glass it is one pane; "" for a pane of its own.
        nearer: a share of its distance by which it is drawn nearer, so that of two surfaces that coincide the same one
            is seen in whatever order they are drawn.
    """

    mesh: Kept
    world_from_local: Frame
    tone: Four
    sheen: Four = (0.15, 24.0, 0.0, 0.2)
    grain: Four = (0.0, 0.0, 1.0, 0.0)
    mood: Four = (0.5, 0.0, 0.0, 0.0)
    cut: Frame | None = None
    capped: bool = False
    sides: int = 1
    hull_px: float = 0.0
    nearer: float = 0.0
    wall: str = ""
    at_vertices: bool = False
    thin: bool = False
    runs_on: str = ""

    @cached_property
    def key(self) -> Key:
        """What tells it from another surface of the picture."""
        cut = None if self.cut is None else self.cut.key
        how = self.capped, self.sides, self.hull_px, self.kinds, self.runs_on
        looks = self.tone, self.sheen, self.grain, self.mood, *how
        return self.mesh, self.world_from_local.key, cut, looks

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which parts of the shader it needs."""
        if self.hull_px > 0.0:
            return ("OUTLINE",)
        if self.mood[3] > 0.0:
            return ("GLASS",)
        fine = ("FINE",) if self.grain[0] > 0.0 and self.grain[1] > 0.0 else ()
        wall = (self.wall.upper(),) if self.wall else ()
        at_vertices = ("AT_VERTICES",) if self.at_vertices else ()
        return ("LIT", *fine, *(("METAL",) if self.sheen[2] > 0.0 else ()), *wall, *at_vertices)


@dataclass(frozen=True)
class Face:
    """A painted rectangle in a plane: the filled face of a cut.

    Attributes:
        key: names the paint; with an equal key it is kept.
        window_mm: left, bottom, width, height in the plane.
        world_from_plane: where the plane stands.
        paint: makes (h, w, 4) bytes, top row first; clear where nothing is cut.
        light: brightens or darkens it.
    """

    key: tuple[object, ...]
    window_mm: Four
    world_from_plane: Frame
    paint: Callable[[], NDArray[np.uint8]]
    light: float = 1.0

    @cached_property
    def full_key(self) -> Key:
        """What tells it from another face of the picture."""
        return self.key, self.light

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) low and high corner in the plane."""
        left, bottom, width, height = self.window_mm
        return np.array([[left, bottom, 0.0], [left + width, bottom + height, 0.0]])


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a thing shows.

    Attributes:
        boxes_px: (blocks, 4) left, low, right, high of each block of it, with room round it.
        crossed: (blocks,) which of them a cut passes through; those that it takes away have empty boxes.
        near_mm: no block is nearer, along the line of sight.
    """

    boxes_px: NDArray[np.int64]
    crossed: NDArray[np.bool_]
    near_mm: float


class _Boxes(NamedTuple):
    """The boxes round the blocks of a thing: clip_from_local (4, 4), their corners (blocks, 8, 3) in the local frame,
    and of a cut the unit normal (3,) and how far from the origin it lies along that, mm."""

    clip_from_local: NDArray[np.float64]
    corners_mm: NDArray[np.float64]
    cut: tuple[NDArray[np.float64], float] | None


def places_of(things: Sequence[_Boxes], size_px: tuple[int, int]) -> list[_Place]:
    """Where things show in a picture of `size_px`, all worked out at once; a block that reaches behind the eye may show
    anywhere in it."""
    if not things:
        return []
    ends = np.cumsum([len(thing.corners_mm) for thing in things])
    parts = [slice(*part) for part in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]
    seen, beyond = np.empty((ends[-1], 8, 3)), np.full((ends[-1], 8), -1.0)
    for (clip, corners_mm, cut), part in zip(things, parts, strict=True):
        seen[part] = corners_mm @ clip[[0, 1, 3], :3].T + clip[[0, 1, 3], 3]
        if cut is not None:
            beyond[part] = corners_mm @ cut[0] - cut[1]
    near = seen[..., 2].min(axis=1)
    behind = near <= 0.0
    pixels = (0.5 + 0.5 * seen[..., :2] / np.where(behind[:, None], 1.0, seen[..., 2])[..., None]) * size_px
    low = np.where(behind[:, None], 0.0, np.floor(pixels.min(axis=1)) - _PAD_PX)
    high = np.where(behind[:, None], size_px, np.ceil(pixels.max(axis=1)) + _PAD_PX)
    boxes = np.clip(np.concatenate([low, high], axis=1), 0, (*size_px, *size_px)).astype(np.int64)
    first, last = beyond.min(axis=1), beyond.max(axis=1)
    boxes[first >= 0.0] = 0
    crossed = (first < 0.0) & (last > 0.0)
    nearest = np.minimum.reduceat(near, [part.start for part in parts])
    return [_Place(boxes[part], crossed[part], float(mm)) for part, mm in zip(parts, nearest, strict=True)]


@dataclass(frozen=True, eq=False)
class _Last:
    """What the last picture was put together from, to tell where the next one is another.

    Attributes:
        colour, depth: (h, w) of what is solid, as drawn.
        light: (h / 2, w / 2) how open it is to the light and how far away, two numbers in one.
    """

    colour: NDArray[np.uint32]
    depth: NDArray[np.uint32]
    light: NDArray[np.uint64]


@dataclass(frozen=True)
class Shadows:
    """How contact shadows are cast: `reach_px` pixels of the picture, about `reach_mm` at the target."""

    reach_px: float
    reach_mm: float


@cache
def _context() -> Any:
    """The one OpenGL context of this process."""
    try:
        import moderngl
    except ImportError as error:
        raise FaultError(f"off-screen OpenGL: {error}; spineviz doctor names what is missing") from error
    tries: list[dict[str, Any]] = [{"backend": "egl"}, {}] if sys.platform.startswith("linux") else [{}]
    reason = ""
    for options in tries:
        try:
            return moderngl.create_context(standalone=True, require=330, **options)
        except Exception as error:  # the backends raise bare Exception
            reason = reason or str(error)
    raise FaultError(f"off-screen OpenGL: {reason}; spineviz doctor names the missing library")


class Program:
    """A shader whose numbers are set where they change: asking for one and setting it takes longer than comparing it.

    Args:
        made: the program of moderngl.
    """

    def __init__(self, made: Any) -> None:
        self.made = made
        self._uniforms = {name: made[name] for name in made}
        self._values: dict[str, object] = {}

    def put(self, name: str, value: object) -> None:
        """Set a number of the shader, unless this kind of it has no use for it."""
        if self._values.get(name) != value:
            self._values[name] = value
            uniform = self._uniforms.get(name)
            if uniform is not None:
                uniform.value = value


class Store:
    """Shaders, vertex buffers and paints of the one context, shared by all stages of the process."""

    def __init__(self) -> None:
        self.gl = _context()
        # moderngl copies whole pictures only; a part of one is copied, where nothing is scaled, as fast as memory is
        context = self.gl.mglo._context
        self._bind = ctypes.CFUNCTYPE(None, *[ctypes.c_uint] * 2)(context.load("glBindFramebuffer"))
        self._read_buffer = ctypes.CFUNCTYPE(None, ctypes.c_uint)(context.load("glReadBuffer"))
        self._blit = ctypes.CFUNCTYPE(None, *[ctypes.c_int] * 8, *[ctypes.c_uint] * 2)(
            context.load("glBlitFramebuffer")
        )
        self._programs: dict[tuple[str, ...], Program] = {}
        self._kept: OrderedDict[tuple[object, ...], Kept] = OrderedDict()
        self._held = 0
        self._round = 0
        self._windows: WeakSet[Offscreen] = WeakSet()
        gl = self.gl
        self.faces = Program(gl.program(vertex_shader=shaders.FACE_VERTEX, fragment_shader=shaders.FACE_FRAGMENT))
        occlusion = shaders.OCCLUSION_FRAGMENT % (
            shaders.OCCLUSION_SAMPLES, shaders.SHADOW_STEPS, shaders.SHADOW_REACH,
        )  # fmt: skip
        self.spots = gl.buffer(reserve=_SPOTS_BYTES, dynamic=True)
        self.screens: dict[str, tuple[Program, Any]] = {}
        for name, fragment in (
            ("clear", shaders.CLEAR_FRAGMENT), ("open", shaders.OPEN_FRAGMENT), ("depth", shaders.DEPTH_FRAGMENT),
            ("occlusion", occlusion), ("blur", shaders.BLUR_FRAGMENT),
            ("finish", shaders.finish_fragment(glazed=False)), ("glazed", shaders.finish_fragment(glazed=True)),
        ):  # fmt: skip
            program = gl.program(vertex_shader=shaders.SCREEN_VERTEX, fragment_shader=fragment)
            self.screens[name] = Program(program), gl.vertex_array(program, [(self.spots, "2f", "corner")])

    def fill(self, name: str, boxes: NDArray[np.int64], size_px: tuple[int, int]) -> None:
        """Run the screen shader `name` on every pixel of `boxes` (N, 4), left, low, right, high, in a picture of
        `size_px`."""
        if len(boxes):
            self.spots.write(corners_of(boxes, size_px).tobytes())
            self.screens[name][1].render(self.gl.TRIANGLES, vertices=6 * len(boxes))

    def copy(self, target: Any, source: Any, boxes: NDArray[np.int64], parts: int = _COLOUR_AND_DEPTH) -> None:
        """Copy colour and depth, or the depth alone, of `boxes` (N, 4), left, low, right, high, from one framebuffer to
        another of its size."""
        target.scissor = None
        target.use()
        self._bind(_READ_FRAMEBUFFER, source.glo)
        self._read_buffer(_COLOUR_ATTACHMENT)  # moderngl leaves none there after it has read a depth
        for box in boxes.tolist():
            self._blit(*box, *box, parts, _NEAREST)

    def program(self, kinds: tuple[str, ...]) -> Program:
        """The surface shader with `kinds` defined; what a surface has not is not computed for it."""
        if kinds not in self._programs:
            head = "#version 330\n" + "".join(f"#define {kind}\n" for kind in kinds) + shaders.CLOUD + shaders.LIGHT
            self._programs[kinds] = Program(
                self.gl.program(
                    vertex_shader=head + shaders.SURFACE_VERTEX, fragment_shader=head + shaders.SURFACE_FRAGMENT
                )
            )
        return self._programs[kinds]

    def mesh(self, wanted: Wanted) -> Kept:
        """The buffers of a surface; its maker is asked only where it is new."""
        return self._get(("mesh", *wanted.full_key), lambda: self._upload(*wanted.made()))

    def halves(
        self, kept: Kept, normal: NDArray[np.float64], offset_mm: float, crossed: NDArray[np.bool_]
    ) -> tuple[Kept, Kept]:
        """The blocks of a surface that are `crossed` (blocks,) by a plane in its local frame, given by its unit
        `normal` (3,) and how far from the origin it lies along that: the triangles wholly behind it, and those that it
        splits."""
        key = np.append(normal, offset_mm).tobytes()
        if key not in kept.halves:
            kept.halves[key] = self._halved(kept, normal, offset_mm, crossed)
            while len(kept.halves) > _MOST_HALVES:
                _release_halves(kept.halves.popitem(last=False)[1])
        kept.halves.move_to_end(key)
        return kept.halves[key]

    def _halved(
        self, kept: Kept, normal: NDArray[np.float64], offset_mm: float, crossed: NDArray[np.bool_]
    ) -> tuple[Kept, Kept]:
        assert kept.blocks is not None
        counts = np.diff(kept.blocks) // 3
        block = np.repeat(np.arange(len(counts)), counts)
        triangles = np.frombuffer(kept.parts[1].read(), np.uint32).reshape(-1, 3)[crossed[block]]
        block = block[crossed[block]]
        points = np.frombuffer(kept.parts[0].read(), np.float32).reshape(-1, 6)[:, :3]
        beyond = (points @ normal.astype(np.float32) > np.float32(offset_mm))[triangles].sum(axis=1)
        out = []
        for mine in (beyond == 0, (beyond > 0) & (beyond < 3)):
            ends = 3 * np.cumsum([0, *np.bincount(block[mine], minlength=len(counts))])
            indices = np.ascontiguousarray(triangles[mine])
            buffer = self.gl.buffer(indices.tobytes()) if len(indices) else None
            out.append(Kept([kept.parts[0], buffer], {}, indices.nbytes, kept.bounds_mm, ends, kept.corners_mm))
        return out[0], out[1]

    def draw_face(self, face: Face) -> None:
        """Draw the paint of `face` with the shader of faces, of which all else was told."""
        kept = self._get(("face", *face.key), lambda: self._upload_paint(face.paint()))
        if kept.parts:
            kept.parts[0].use(0)
            kept.draws[("FACE",)].render(self.gl.TRIANGLES)

    def drawer(self, kept: Kept, kinds: tuple[str, ...]) -> Any:
        """The surface bound to the shader with `kinds`."""
        if kinds not in kept.draws:
            flat = kinds == ("VEIL",)  # needs no normals
            content = [(kept.parts[0], *(("3f 12x", "place") if flat else ("3f 3f", "place", "normal")))]
            kept.draws[kinds] = self.gl.vertex_array(self.program(kinds).made, content, kept.parts[1])
        return kept.draws[kinds]

    def begin(self, window: Offscreen) -> None:
        """`window` draws; the others that have not for long go to rest."""
        self._round += 1
        window.drawn_at = self._round
        self._windows.add(window)
        for other in list(self._windows):
            if self._round - other.drawn_at > _RESTS_AFTER:
                other.rest()
                self._windows.discard(other)

    def trim(self) -> None:
        """Let go of what was unused for longest, down to the limit, but not of what the last pictures show, which would
        be made anew for each. Not while a picture is being made."""
        while self._held > _KEPT_BYTES and self._kept:
            key, old = next(iter(self._kept.items()))
            if old.used_at >= self._round - 2:
                return
            del self._kept[key]
            self._held -= old.size
            old.release()

    def _get(self, key: tuple[object, ...], make: Callable[[], Kept]) -> Kept:
        if key not in self._kept:
            self._kept[key] = make()
            self._held += self._kept[key].size
        self._kept.move_to_end(key)
        self._kept[key].used_at = self._round
        return self._kept[key]

    def _upload(self, mesh: Mesh, normals: NDArray[np.float32]) -> Kept:
        if not len(mesh.triangles):
            return Kept([], {}, 0)
        data = np.concatenate([mesh.points_mm, normals], axis=1, dtype=np.float32)
        one, two, three = (data[mesh.triangles[:, i], :3] for i in range(3))
        blocks = in_blocks((one + two + three) / 3.0, _MOST_TRIANGLES)
        order, starts = np.concatenate(blocks), np.cumsum([0, *map(len, blocks)])
        indices = np.ascontiguousarray(mesh.triangles[order], np.uint32)
        parts = [self.gl.buffer(data.tobytes()), self.gl.buffer(indices.tobytes())]
        low = np.minimum.reduceat(np.minimum(np.minimum(one, two), three)[order], starts[:-1])
        high = np.maximum.reduceat(np.maximum(np.maximum(one, two), three)[order], starts[:-1])
        ends, boxes = 3 * starts, corners(np.stack([low, high], axis=1).astype(float))
        area_mm2 = 0.5 * float(np.linalg.norm(np.cross(two - one, three - one), axis=1).mean())
        edge_mm = (4.0 / 3.0**0.5 * area_mm2) ** 0.5
        return Kept(parts, {}, data.nbytes + indices.nbytes, mesh.bounds_mm, ends, boxes, edge_mm)

    def _upload_paint(self, paint: NDArray[np.uint8]) -> Kept:
        rows, columns = paint.shape[:2]
        spots = painted_cells(paint[::-1, :, 3] > 0)
        if not len(spots):
            return Kept([], {}, 0)
        texture = self.gl.texture((columns, rows), 4, np.ascontiguousarray(paint[::-1]).tobytes())
        texture.filter = self.gl.LINEAR, self.gl.LINEAR  # it is painted about as finely as it is seen
        texture.repeat_x = texture.repeat_y = False
        buffer = self.gl.buffer(spots.tobytes())
        drawn: dict[tuple[str, ...], Any] = {("FACE",): self.gl.vertex_array(self.faces.made, [(buffer, "2f", "spot")])}
        return Kept([texture, buffer], drawn, paint.nbytes + spots.nbytes)


@cache
def store() -> Store:
    """The store of this process; FaultError where no OpenGL can be had."""
    return Store()


class Offscreen:
    """Draws pictures of `size_px` (width, height), with `factor` pixels a side for each one shown, 1, 1.5 or 2, over a
    `ground` (H, W, 3), 0 to 1, or over nothing.

    Raises FaultError where no OpenGL can be had.
    """

    def __init__(self, size_px: tuple[int, int], factor: float, ground: NDArray[np.float32] | None) -> None:
        self.size_px, self.factor = size_px, factor
        self.store = store()
        gl = self._gl = self.store.gl
        width, height = size_px
        large, small = (ceil(width * factor), ceil(height * factor)), ((width + 1) // 2, (height + 1) // 2)
        # what is drawn may reach half a pixel beyond what is shown, to the right and up
        share = np.array([width * factor / large[0], height * factor / large[1], 1.0])
        self._fit = np.diag([*share, 1.0])
        self._fit[:3, 3] = share - 1.0
        self._solid, self._depth = gl.texture(large, 4), gl.depth_texture(large)
        self._depth.compare_func = ""
        self._scene = gl.framebuffer([self._solid], self._depth)
        self.drawn_at = 0
        self._glass: Any = None
        self._panes: Any = None
        self._still: Any = None
        self._seen_from: object = None
        self._base: frozenset[Key] = frozenset()
        self._before: frozenset[Key] = frozenset()
        self._rested = 0
        self._places: dict[Key, _Place] = {}
        self._order: tuple[Key, ...] = ()
        self._covered = ~no_tiles(size_px)  # what may hold more than the ground: at first nobody knows
        self._glazed = ~no_tiles(size_px)
        self._filled = ~no_tiles(size_px)  # where contact shadows may lie
        self._bare = no_tiles(size_px)  # what shows the ground and nothing else
        self._small, self._open, self._rough = (gl.texture(small, n, dtype="f4") for n in (1, 2, 2))
        self._small_target, self._open_target, self._rough_target = (
            gl.framebuffer([t]) for t in (self._small, self._open, self._rough)
        )
        # what was read last: the picture's highest row first, the depths' lowest
        self._picture = np.zeros((height, width, 3 if ground is not None else 4), np.uint8)
        self._nearest = np.full(small[::-1], 1e9, np.float32)
        self._last: _Last | None = None
        self._shown = gl.texture(size_px, 4)
        self._target = gl.framebuffer([self._shown])
        self._clear = ground is None
        back = np.zeros((height, width, 4), np.uint8) if ground is None else dithered_bytes(ground)
        self._ground = gl.texture(size_px, 4, back.tobytes())
        self._ground_source = gl.framebuffer([self._ground])
        for texture in (self._depth, self._small, self._open, self._rough, self._ground):
            texture.filter = gl.NEAREST, gl.NEAREST
        for texture in (self._solid, self._small, self._open, self._rough):
            texture.repeat_x = texture.repeat_y = False

    def draw(
        self,
        camera: Camera,
        range_mm: tuple[float, float],
        solid: Sequence[Surface],
        faces: Sequence[Face],
        glass: Sequence[Surface],
        shadows: Shadows,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The picture (H, W, 3), or without a ground (H, W, 4) with colours multiplied by alpha; and, at half its
        size, the depth of what is solid in mm along the line of sight (1e9 where there is nothing); both top row
        first. `glass` is laid over the rest in the order given."""
        gl = self._gl
        self.store.begin(self)
        view = camera.view_matrix()
        projection = camera.projection_matrix(self.size_px, *range_mm)
        clip, projection = projection @ view, self._fit @ projection
        seen_from, before = (camera.key, range_mm, shadows), self._places
        if seen_from != self._seen_from:
            self._seen_from, self._base, self._before, before = seen_from, frozenset(), frozenset(), {}
            self._rested = 0
        order, self._order = self._order, tuple(("glass", *s.key) for s in glass)
        self._places = self._placed(clip, solid, faces, glass, before)
        now = frozenset([s.key for s in solid] + [f.full_key for f in faces])
        # an eye that moves may draw two pictures from one place, to mix them: only a third one tells that it rests
        standing = now & self._before if self._rested >= 2 else frozenset()
        self._rested += 1
        based = bool(self._base) and self._base <= now and 2 * len(self._base) >= len(standing)
        last, self._before = self._before, now
        covered = self._under(self._places)
        worked = self._covered | covered
        self._covered = covered
        hard = worked
        if before and (based or not standing) and self._same_order(before, order):
            hard = self._under({k: self._places.get(k) or before[k] for k in before.keys() ^ self._places.keys()})
            if not hard.any():
                return self._picture.copy(), self._nearest[::-1].copy()
        gl.disable(gl.BLEND)
        gl.enable(gl.DEPTH_TEST)
        gl.depth_func = "<="
        grown_only = hard is not worked and last <= now  # what came is drawn over what is there
        if not grown_only:
            self._restore(hard, based, all_of_it=hard is worked)
        self._scene.scissor = self._limited(hard)
        self._scene.use()
        if not based:
            self._base = standing
            if standing:
                self._keep_standing(solid, faces, standing, view, projection)
        self._draw_parts(solid, faces, now - (last if grown_only else self._base), view, projection)
        # what was drawn again may look as before: a rod that is pushed along itself changes little but its ends
        deeper, shaded = self._measure(range_mm, hard), worked
        if hard is not worked:
            shaded = self._shadowed(deeper, camera, range_mm, solid, shadows) & worked
        thin = self._under({s.key: self._places[s.key] for s in solid if s.thin})
        self._cast(camera, shadows, shaded, covered & (thin | self._solid_tiles()))
        if hard is worked or self._rested <= 2:  # two pictures of an eye that moves on are not worth comparing
            self._last, other = None, hard | shaded
        else:
            other = self._unlike(hard, shaded) & worked
        panes, left = self._under({key: self._places[key] for key in self._order}), self._glazed
        self._glazed = panes
        if (hard & (panes | left)).any():
            self._draw_glass(glass, view, projection, hard & (panes | left))
            other |= hard & (panes | left)
        bare = ~(self._filled | panes)
        emptied = bare & ~self._bare
        self._bare = bare
        self._finish(range_mm, shadows, other & ~bare & ~panes, other & panes, emptied)
        self._read(box_round((other & ~bare) | emptied, self.size_px))
        self.store.trim()
        return self._picture.copy(), self._nearest[::-1].copy()

    def _placed(
        self,
        clip: NDArray[np.float64],
        solid: Sequence[Surface],
        faces: Sequence[Face],
        glass: Sequence[Surface],
        before: Mapping[Key, _Place],
    ) -> dict[Key, _Place]:
        """Where each thing shows; what stands in `before` has not moved."""
        surfaces = {**{s.key: s for s in solid}, **{("glass", *s.key): s for s in glass}}
        boxes: dict[Key, _Boxes] = {}
        for key, surface in surfaces.items():
            if key not in before:
                assert surface.mesh.corners_mm is not None
                local = clip @ surface.world_from_local.matrix
                boxes[key] = _Boxes(local, surface.mesh.corners_mm, _cut_plane(surface))
        for face in (face for face in faces if face.full_key not in before):
            local = clip @ face.world_from_plane.matrix
            boxes[face.full_key] = _Boxes(local, corners(face.bounds_mm)[None], None)
        made = dict(zip(boxes, places_of(list(boxes.values()), self.size_px), strict=True))
        return {key: before.get(key) or made[key] for key in [*surfaces, *(face.full_key for face in faces)]}

    def _under(self, places: Mapping[Key, _Place]) -> Tiles:
        """The tiles in which any of `places` lies."""
        if not places:
            return no_tiles(self.size_px)
        return tiles_under(np.concatenate([place.boxes_px for place in places.values()]), self.size_px)

    def _same_order(self, before: Mapping[Key, _Place], order: Sequence[Key]) -> bool:
        """Whether those panes that were there `before`, in this `order`, are laid in the same one now."""
        return [k for k in order if k in self._places] == [k for k in self._order if k in before]

    def _shadowed(
        self,
        tiles: Tiles,
        camera: Camera,
        range_mm: tuple[float, float],
        solid: Sequence[Surface],
        shadows: Shadows,
    ) -> Tiles:
        """`tiles` and all on which what stands in them may cast a contact shadow."""
        # the nearest depth at which a shadow may fall: there a step is the most pixels
        near = min((self._places[s.key].near_mm for s in solid), default=range_mm[0])
        nearest = max(range_mm[0], near)
        width, height = self.size_px
        focal = height / 2 / float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
        way = (shaders.SHADOW_REACH + 0.1) * shadows.reach_mm
        left = nearest - way * (_KEY_WAY[2] + 0.1)
        if left <= 0.0:
            return np.ones_like(tiles)
        across = [way * (focal * _KEY_WAY[0] + x * _KEY_WAY[2]) / left for x in (-width / 2, width / 2)]
        up = [way * (focal * _KEY_WAY[1] + y * _KEY_WAY[2]) / left for y in (-height / 2, height / 2)]
        reach = shadows.reach_px
        # a shadow falls the other way than the march towards the light goes
        return grown(
            tiles, max(reach, *across) + _PAD_PX, max(reach, *up) + _PAD_PX,
            max(reach, *(-x for x in across)) + _PAD_PX, max(reach, *(-y for y in up)) + _PAD_PX,
        )  # fmt: skip

    def _limited(self, tiles: Tiles) -> Box:
        """Draw only what shows in `tiles`; returns the box round them as left, low, width and height in what is
        drawn."""
        self._counted = counted(tiles)
        return _as_viewport(self._box_round(tiles, self.factor))

    def _box_round(self, tiles: Tiles, factor: float) -> Box:
        """The smallest box round `tiles` in a picture `factor` times as large as what is shown."""
        left, low, right, high = _scaled(np.array([box_round(tiles, self.size_px)]), factor)[0].tolist()
        return left, low, right, high

    def _restore(self, tiles: Tiles, based: bool, all_of_it: bool) -> None:
        """Leave in `tiles` what is kept of what stands still if it is `based` on that, or nothing. They may be
        `all_of_it`: elsewhere there is nothing already."""
        boxes = _scaled(rectangles(tiles, self.size_px), self.factor)
        if based:
            self.store.copy(self._scene, self._still, boxes)
            return
        self._scene.scissor = None
        if all_of_it and tiles.mean() > _MOSTLY:
            self._scene.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        else:
            self._scene.use()
            self._gl.depth_func = "1"
            self.store.fill("clear", boxes, self._solid.size)
            self._gl.depth_func = "<="

    def _read(self, box: Box) -> None:
        """Fetch what was drawn in `box`."""
        left, low, right, high = box
        top, bottom, depth = self.size_px[1] - high, self.size_px[1] - low, self._picture.shape[2]
        new = self._target.read(viewport=(left, top, right - left, bottom - top), components=depth, alignment=1)
        self._picture[top:bottom, left:right] = np.frombuffer(new, np.uint8).reshape(bottom - top, right - left, depth)

    def _keep_standing(
        self,
        solid: Sequence[Surface],
        faces: Sequence[Face],
        standing: frozenset[Key],
        view: NDArray[np.float64],
        projection: NDArray[np.float64],
    ) -> None:
        """Draw what stood there in two pictures running and keep its colour and depth: while the eye rests only the
        others are drawn over it."""
        self._draw_parts(solid, faces, standing, view, projection)
        if self._still is None:
            gl, size = self._gl, self._solid.size
            self._still = gl.framebuffer([gl.texture(size, 4)], gl.depth_texture(size))
            self._still.depth_attachment.compare_func = ""
        self.store.copy(self._still, self._scene, np.array([(0, 0, *self._solid.size)]))
        self._scene.use()

    def _draw_parts(
        self,
        solid: Sequence[Surface],
        faces: Sequence[Face],
        wanted: frozenset[Key],
        view: NDArray[np.float64],
        projection: NDArray[np.float64],
    ) -> None:
        # the faces of a cut hide the inner sides behind them, which then are not lit
        self._draw_faces([f for f in faces if f.full_key in wanted], view, projection)
        self._draw_surfaces([s for s in solid if s.key in wanted], view, projection)

    def _draw_surfaces(
        self,
        surfaces: Sequence[Surface],
        view: NDArray[np.float64],
        projection: NDArray[np.float64],
        kinds: tuple[str, ...] | None = None,
    ) -> None:
        gl = self._gl
        for surface in surfaces:
            kind = surface.kinds if kinds is None else kinds
            program, draw = self.store.program(kind), self.store.drawer(surface.mesh, kind)
            program.put("projection", _columns(projection))
            eye_from_local = view @ surface.world_from_local.matrix
            eye_from_local[:3] *= 1.0 - surface.nearer  # towards the eye, so it covers the same pixels
            program.put("eyeFromLocal", _columns(eye_from_local))
            program.put("keyWay", _KEY_WAY)
            program.put("pictureSize", self._solid.size)
            program.put("hullPx", surface.hull_px * self.factor)
            program.put("slope", 2.0 / float(projection[1, 1]) / self._solid.size[1])
            for name in ("tone", "sheen", "grain", "mood"):
                program.put(name, getattr(surface, name))
            program.put("cut", _eye_plane(surface.cut, view))
            program.put("inside", _CAPPED_INSIDE if surface.capped else _INSIDE)
            open_side = 0 if surface.cut is not None and surface.sides > 0 else surface.sides
            self._show_sides(surface.sides if surface.capped else open_side)
            place = self._places[surface.key if surface.key in self._places else ("glass", *surface.key)]
            for first, count in self._in_sight(surface.mesh, place, crossed=False):
                draw.render(first=first, vertices=count)
            plane = _cut_plane(surface)
            if plane is not None and place.crossed.any():
                whole, split = self.store.halves(surface.mesh, *plane, place.crossed)
                self._draw_run(whole, kind, place)
                self._show_sides(open_side)
                # who clips some triangles of a run looks at all of them
                gl.enable_direct(_CLIP_DISTANCE_0)
                self._draw_run(split, kind, place)
                gl.disable_direct(_CLIP_DISTANCE_0)
        gl.disable(gl.CULL_FACE)

    def _show_sides(self, sides: int) -> None:
        """Draw near sides only (1), far sides only (-1), or both (0)."""
        if sides:
            self._gl.enable(self._gl.CULL_FACE)
            self._gl.cull_face = "back" if sides > 0 else "front"
        else:
            self._gl.disable(self._gl.CULL_FACE)

    def _draw_run(self, half: Kept, kind: tuple[str, ...], place: _Place) -> None:
        """Draw what is in sight of those blocks that a cut passes through."""
        for first, count in self._in_sight(half, place, crossed=True):
            self.store.drawer(half, kind).render(first=first, vertices=count)

    def _in_sight(self, mesh: Kept, place: _Place, crossed: bool) -> list[tuple[int, int]]:
        """Which runs of indices of `mesh` may show where is being drawn: (first, count) of each. They are of the blocks
        that a cut passes through, or of the others."""
        assert mesh.blocks is not None
        seen = np.zeros(len(place.boxes_px) + 2, bool)
        seen[1:-1] = (place.crossed == crossed) & reached(place.boxes_px, self._counted)
        edges = mesh.blocks[np.flatnonzero(seen[1:] != seen[:-1])].tolist()
        return [(a, b - a) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]

    def _draw_faces(self, faces: Sequence[Face], view: NDArray[np.float64], projection: NDArray[np.float64]) -> None:
        program = self.store.faces
        for face in faces:
            program.put("projection", _columns(projection))
            program.put("eyeFromLocal", _columns(view @ face.world_from_plane.matrix))
            program.put("window", face.window_mm)
            facing = abs(float((view[:3, :3] @ face.world_from_plane.rotation)[2, 2]))
            program.put("light", face.light * (0.84 + 0.16 * facing))
            program.put("paint", 0)
            self.store.draw_face(face)

    def _draw_glass(
        self, glass: Sequence[Surface], view: NDArray[np.float64], projection: NDArray[np.float64], tiles: Tiles
    ) -> None:
        """The panes, where they show in the box round `tiles`: what is blended is drawn once in a place that was
        cleared."""
        gl = self._gl
        if self._glass is None:
            self._glass = gl.texture(self._solid.size, 4)
            self._glass.repeat_x = self._glass.repeat_y = False
            self._panes = gl.framebuffer([self._glass], gl.depth_texture(self._solid.size))
        box = filled_box(tiles)
        # panes hide each other, but nothing that is solid
        self.store.copy(self._panes, self._scene, _scaled(rectangles(box, self.size_px), self.factor), _DEPTH)
        self._panes.scissor = self._limited(box)
        self._panes.use()
        self._panes.depth_mask = False  # what is solid hides what lies behind it
        self._panes.clear(0.0, 0.0, 0.0, 0.0, viewport=self._panes.scissor)
        self._panes.depth_mask = True
        gl.enable(gl.BLEND)
        gl.blend_func = gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA
        for pane in one_panes(glass):
            # a first drawing takes the depth alone, so that only the nearest wall of a pane is seen
            self._panes.color_mask = False, False, False, False
            self._draw_surfaces(pane, view, projection, ("VEIL",))
            self._panes.color_mask = True, True, True, True
            self._draw_surfaces(pane, view, projection)
        gl.disable(gl.BLEND)

    def _unlike(self, drawn: Tiles, shaded: Tiles) -> Tiles:
        """Where the picture may be another than the last one, of which colour and depth of what is solid are new where
        it was `drawn` and contact shadows where it was `shaded`: everywhere, if nothing was kept of that."""
        fresh = self._last is None
        if self._last is None:
            kinds = ((self._solid, np.uint32), (self._depth, np.uint32), (self._open, np.uint64))
            self._last = _Last(*(np.zeros(texture.size[::-1], kind) for texture, kind in kinds))
            drawn = shaded = np.ones_like(drawn)
        other = self._redrawn(self._last, drawn)
        if shaded.any():
            other |= self._relit(self._last, shaded)
        return drawn if fresh else other

    def _redrawn(self, last: _Last, drawn: Tiles) -> Tiles:
        """Those of the `drawn` tiles in which colour or depth is another than in the `last` picture."""
        box = self._box_round(drawn, self.factor)
        colour = self._scene.read(_as_viewport(box), 4, alignment=1)
        depth = self._scene.read(_as_viewport(box), 1, attachment=-1, alignment=1, dtype="u4")
        unlike = _replaced(last.colour, colour, box) | _replaced(last.depth, depth, box)
        return self._marked(unlike, box, round(TILE_PX * self.factor))

    def _relit(self, last: _Last, shaded: Tiles) -> Tiles:
        """Where pixels ask for contact shadows, in the `shaded` tiles, that are not those of the `last` picture."""
        box = self._box_round(shaded, 0.5)
        light = self._open_target.read(_as_viewport(box), 2, alignment=1, dtype="f4")
        out = np.zeros(last.light.shape, bool)
        out[box[1] : box[3], box[0] : box[2]] = _replaced(last.light, light, box)
        # a pixel of the picture also asks those of the half-size one beside its own
        return marked(spread(out), TILE_PX // 2)

    def _marked(self, mask: NDArray[np.bool_], box: Box, side: int) -> Tiles:
        """The tiles in which a `mask` of a `box` that begins with a tile has anything, where tiles have that `side`."""
        out, found = no_tiles(self.size_px), marked(mask, side)
        row, column = box[1] // side, box[0] // side
        out[row : row + found.shape[0], column : column + found.shape[1]] = found
        return out

    def _measure(self, range_mm: tuple[float, float], tiles: Tiles) -> Tiles:
        """Take the half-size depth in `tiles`; returns those where it is another than it was."""
        self._gl.disable(self._gl.DEPTH_TEST)
        program = self.store.screens["depth"][0]
        self._depth.use(0)
        program.put("depth", 0)
        program.put("range", range_mm)
        program.put("factor", self.factor)
        self._small_target.use()
        self.store.fill("depth", _scaled(rectangles(tiles, self.size_px), 0.5), self._small.size)
        self._gl.enable(self._gl.DEPTH_TEST)
        box = self._box_round(tiles, 0.5)
        read = self._small_target.read(viewport=_as_viewport(box), components=1, alignment=1, dtype="f4")
        return self._marked(_replaced(self._nearest, read, box), box, TILE_PX // 2)

    def _solid_tiles(self) -> Tiles:
        """Where the half-size depth shows anything solid, or a neighbouring tile does right at the edge."""
        return marked(spread(self._nearest < NOTHING_MM), TILE_PX // 2)

    def _cast(self, camera: Camera, shadows: Shadows, shaded: Tiles, filled: Tiles) -> None:
        """How open to the light all is in `shaded`; of the picture `filled` holds something."""
        gl = self._gl
        width, height = self.size_px
        emptied, filled_now = self._filled & ~filled, filled & (shaded | ~self._filled)
        self._filled = filled
        small, boxes = self._small.size, _scaled(rectangles(filled_now, self.size_px), 0.5)
        gl.disable(gl.DEPTH_TEST)
        for target in (self._rough_target, self._open_target):
            target.use()
            self.store.fill("open", _scaled(rectangles(emptied, self.size_px), 0.5), small)
        program = self.store.screens["occlusion"][0]
        self._small.use(0)
        focal = height / 2 / float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
        program.put("depth", 0)
        program.put("lens", (focal / 2, width / 4, height / 4))
        program.put("reach", shadows.reach_mm)
        program.put("size", small)
        program.put("keyWay", _KEY_WAY)
        program.put(
            "offsets", tuple(map(tuple, np.round(0.5 * shadows.reach_px * spiral(shaders.OCCLUSION_SAMPLES)).tolist()))
        )
        self._rough_target.use()
        self.store.fill("occlusion", boxes, small)
        program = self.store.screens["blur"][0]
        self._rough.use(0)
        program.put("open", 0)
        program.put("like", 0.05 * shadows.reach_mm)
        self._open_target.use()
        self.store.fill("blur", boxes, small)
        gl.enable(gl.DEPTH_TEST)

    def _finish(
        self, range_mm: tuple[float, float], shadows: Shadows, plain: Tiles, glazed: Tiles, bare: Tiles
    ) -> None:
        """What is shown, where there is no glass, where there is some, and where there is nothing but the ground."""
        gl = self._gl
        ground = _upside_down(rectangles(bare, self.size_px), self.size_px)
        self.store.copy(self._target, self._ground_source, ground)
        gl.disable(gl.DEPTH_TEST)
        sources = {"solid": self._solid, "buffer": self._depth, "open": self._open, "ground": self._ground}
        self._target.use()
        for kind, tiles in (("finish", plain), ("glazed", glazed)):
            program = self.store.screens[kind][0]
            for unit, (name, texture) in enumerate((sources | {"glass": self._glass}).items()):
                if texture is not None:
                    texture.use(unit)
                    program.put(name, unit)
            program.put("factor", self.factor)
            program.put("clear", self._clear)
            program.put("range", range_mm)
            program.put("like", 0.05 * shadows.reach_mm)
            boxes = _upside_down(rectangles(tiles, self.size_px), self.size_px)
            self.store.fill(kind, boxes, self.size_px)

    def forget(self) -> None:
        """Draw the next picture as if it were the first."""
        self._last = None
        self._covered, self._glazed, self._filled = (~no_tiles(self.size_px) for _ in range(3))
        self._bare = no_tiles(self.size_px)
        self._seen_from = None

    def rest(self) -> None:
        """Give back the picture of what stands still and that of the glass; they are made again when it draws."""
        parts = [self._panes, self._glass, None if self._panes is None else self._panes.depth_attachment]
        if self._still is not None:
            parts += [self._still, *self._still.color_attachments, self._still.depth_attachment]
        for part in parts:
            if part is not None:
                part.release()
        self._panes = self._glass = self._still = None
        self.forget()

    def close(self) -> None:
        """Give the memory back."""
        self.rest()
        parts = [self._scene, self._small_target, self._open_target, self._rough_target, self._target]
        parts += [self._ground_source]
        parts += [self._solid, self._depth, self._small, self._open, self._rough, self._shown, self._ground]
        for part in parts:
            part.release()


def one_panes(glass: Sequence[Surface]) -> list[list[Surface]]:
    """`glass` in its order, those together that are one pane."""
    out: list[list[Surface]] = []
    for surface in glass:
        if out and surface.runs_on and surface.runs_on == out[-1][-1].runs_on:
            out[-1].append(surface)
        else:
            out.append([surface])
    return out


def _as_viewport(box: Box) -> Box:
    """Left, low, width and height of a box."""
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def _replaced(kept: NDArray[Any], read: bytes, box: Box) -> NDArray[np.bool_]:
    """Put what was `read` into its `box` of what is `kept`; returns where that was unlike."""
    left, low, right, high = box
    part, new = kept[low:high, left:right], np.frombuffer(read, kept.dtype).reshape(high - low, right - left)
    out = part != new
    part[:] = new
    return np.asarray(out)


def _upside_down(boxes: NDArray[np.int64], size_px: tuple[int, int]) -> NDArray[np.int64]:
    """The same boxes (N, 4) in a picture whose highest row comes first."""
    return np.stack([boxes[:, 0], size_px[1] - boxes[:, 3], boxes[:, 2], size_px[1] - boxes[:, 1]], axis=1)


def _scaled(boxes: NDArray[np.int64], factor: float) -> NDArray[np.int64]:
    """The same boxes (N, 4) in a picture `factor` times as large."""
    return np.concatenate([np.floor(factor * boxes[:, :2]), np.ceil(factor * boxes[:, 2:])], axis=1).astype(np.int64)


def dithered_bytes(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(H, W, 4) bytes of colours (H, W, 3), 0 to 1, with an ordered dither of one step, so that slow runs show no
    bands; the last channel is full."""
    height, width = picture.shape[:2]
    y, x = np.indices((4, 4))
    z = x ^ y
    order = ((z & 1) << 3) | ((y & 1) << 2) | (z & 2) | ((y & 2) >> 1)
    step = np.tile((order / 16.0 - 0.46875).astype(np.float32), (-(-height // 4), -(-width // 4)))
    colours = 255.0 * picture.astype(np.float32)
    colours += step[:height, :width, None]
    out = np.full((height, width, 4), 255, np.uint8)
    out[:, :, :3] = np.clip(np.rint(colours, out=colours), 0.0, 255.0, out=colours)
    return out


def painted_cells(solid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(6 * N, 2) the corners, as shares of width and height, of two triangles for each square cell of a paint (H, W)
    in which any of it may show that is `solid`. Cells share their corners, so that no gap opens between them."""
    rows, columns = np.nonzero(marked(spread(solid), _CELL))  # a pixel mixes the paint of neighbours
    low = np.stack([columns, rows], axis=1) * _CELL
    boxes = np.concatenate([low, low + _CELL], axis=1)
    size = solid.shape[::-1]
    spots = corners_of(np.minimum(boxes, (*size, *size)), size)
    return np.ascontiguousarray(0.5 * spots + 0.5, np.float32)


def _cut_plane(surface: Surface) -> tuple[NDArray[np.float64], float] | None:
    """The unit normal (3,) of a surface's cut, in its local frame, towards what is taken away, and how far from the
    origin the cut lies along that, mm; None where it has none."""
    if surface.cut is None:
        return None
    normal = surface.world_from_local.rotation.T @ surface.cut.rotation[:, 2]
    return normal, float(surface.world_from_local.inverse().points(surface.cut.origin_mm[None])[0] @ normal)


def _eye_plane(cut: Frame | None, view: NDArray[np.float64]) -> tuple[float, ...]:
    """The plane in the eye's frame; for no cut one that has everything on its near side."""
    if cut is None:
        return 0.0, 0.0, 0.0, -1.0
    normal = cut.rotation[:, 2]
    return tuple(np.append(normal, -normal @ cut.origin_mm) @ np.linalg.inv(view))


def _columns(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(matrix.T.ravel())


def in_blocks(centres_mm: NDArray[np.floating], most: int) -> list[NDArray[np.intp]]:
    """The numbers 0 to N-1 of `centres_mm` (N, 3) in blocks of neighbours, `most` in each but the last: one stretch
    after the other of the curve that Morton (1966) laid through a box."""
    low, span = centres_mm.min(axis=0), float(np.ptp(centres_mm, axis=0).max())
    cell = ((centres_mm - low) * (1023.0 / max(span, 1e-9))).astype(np.uint32)
    place = _spread(cell[:, 0]) | _spread(cell[:, 1]) << np.uint32(1) | _spread(cell[:, 2]) << np.uint32(2)
    order = np.argsort(place, kind="stable")
    # within a block the order stays that of the mesh, in which neighbours share their corners
    return [np.sort(order[first : first + most]) for first in range(0, len(order), most)]


def _spread(number: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The ten bits of each number with two empty ones between them."""
    out = number
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        out = (out | (out << np.uint32(shift))) & np.uint32(mask)
    return out


@cache
def spiral(samples: int) -> NDArray[np.float64]:
    """(samples, 2) offsets in the unit disc on a golden spiral, denser in the middle."""
    turn = np.arange(samples) * np.pi * (3.0 - np.sqrt(5.0))
    radius = ((np.arange(samples) + 0.5) / samples) ** 0.75
    return radius[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])


@dataclass(frozen=True, eq=False)
class Few:
    """Few triangles in the place of many.

    Attributes:
        mesh: the few.
        near, weight: (N, K) which vertices of the many are near each vertex of the few, and how much each counts.
    """

    mesh: Mesh
    near: NDArray[np.intp]
    weight: NDArray[np.float64]

    def lit(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """The unit normals of the few, mixed from those (M, 3) of the many: the few are lit as the many were."""
        mixed = (normals[self.near] * self.weight[:, :, None]).sum(axis=1)
        return np.asarray(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-20), np.float32)


_few: OrderedDict[Key, Few] = OrderedDict()
_MOST_FEW = 4


def thinned(mesh: Mesh, triangles: int) -> Few:
    """About `triangles` triangles in place of `mesh`, all of its own if it has fewer."""
    from scipy.spatial import cKDTree

    light = simplified(mesh, triangles)
    if light is mesh:
        return Few(mesh, np.arange(len(mesh.points_mm))[:, None], np.ones((len(mesh.points_mm), 1)))
    away_mm, near = cKDTree(mesh.points_mm).query(light.points_mm, k=4)
    return Few(light, near, 1.0 / (away_mm + 0.05 * np.median(away_mm)) ** 2)


def lightened(mesh: Mesh, normals: NDArray[np.float32], triangles: int) -> tuple[Mesh, NDArray[np.float32]]:
    """About `triangles` triangles in place of `mesh`, and their vertices' unit normals, from the `normals` (N, 3) of
    its own."""
    few = thinned(mesh, triangles)
    return (mesh, normals) if few.mesh is mesh else (few.mesh, few.lit(normals))


def vertex_normals(mesh: Mesh, rounds: int = 0) -> NDArray[np.float32]:
    """(N, 3) unit normals at the vertices of `mesh`, weighted by area; in each of `rounds` averaged with those of the
    triangles around, which takes the lattice of a coarse mesh out of its shading."""
    corners = mesh.points_mm.astype(np.float32)[mesh.triangles]
    spread = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index, count = mesh.triangles.ravel(), len(mesh.points_mm)
    unit = np.zeros((count, 3), np.float32)
    for turn in range(rounds + 1):
        if turn:
            spread = unit[mesh.triangles].sum(axis=1)
        total = np.stack([np.bincount(index, np.repeat(spread[:, i], 3), count) for i in range(3)], axis=1)
        unit = (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)).astype(np.float32)
    return unit
