"""Pictures from OpenGL without a window: surfaces in, a lit picture and its depth out."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from spineviz.data.errors import FaultError
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.views import shaders
from spineviz.views.camera import Camera
from spineviz.views.canvas import Box

_KEPT_BYTES = 24_000_000
"""Vertex buffers held at most; the one unused for longest goes first."""

_RESTS_AFTER = 30
"""A window that others have drawn so many pictures since gives back what only a moving film needs."""

_MOST_TRIANGLES = 3000
"""A surface of more is drawn block by block, those out of the picture not at all."""

_PAD_PX = 10
"""Outlines reach so far beyond what they belong to."""

NOTHING_MM = 9e8
"""A depth beyond this means that nothing is there."""

_CLIP_DISTANCE_0 = 0x3000
Four = tuple[float, float, float, float]
Key = tuple[object, ...]


@dataclass(eq=False)
class Kept:
    """What lies in the graphics memory for one surface or one paint.

    Attributes:
        bounds_mm: (2, 3) low and high corner of a surface in its local frame; None when there is nothing to draw.
        blocks: where each block of neighbouring triangles begins among the indices, and where the last one ends.
        corners_mm: (blocks, 8, 3) the corners of the blocks' boxes, in the local frame.
    """

    parts: list[Any]
    draws: dict[tuple[str, ...], Any]
    size: int
    bounds_mm: NDArray[np.float64] | None = None
    blocks: NDArray[np.int64] | None = None
    corners_mm: NDArray[np.float64] | None = None


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
        sides: 1 draws near sides only, -1 far sides only, 0 both.
        hull_px: more than 0: drawn as a flat outline grown by so many pixels.
        wall: "" for a surface like any other; "membrane" lets more through in its middle than at its silhouette,
            "hollow" is lit on the side that looks inwards.
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
    sides: int = 1
    hull_px: float = 0.0
    nearer: float = 0.0
    wall: str = ""

    @property
    def key(self) -> Key:
        """What tells it from another surface of the picture."""
        cut = None if self.cut is None else self.cut.matrix.tobytes()
        pose = self.world_from_local.matrix.tobytes()
        return self.mesh, pose, self.tone, self.sheen, self.grain, self.mood, cut, self.sides, self.hull_px, self.wall

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which parts of the shader it needs."""
        if self.hull_px > 0.0:
            return ("OUTLINE",)
        if self.mood[3] > 0.0:
            return ("GLASS",)
        fine = ("FINE",) if self.grain[0] > 0.0 and self.grain[1] > 0.0 else ()
        wall = (self.wall.upper(),) if self.wall else ()
        return ("LIT", *fine, *(("METAL",) if self.sheen[2] > 0.0 else ()), *wall)


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

    @property
    def full_key(self) -> Key:
        """What tells it from another face of the picture."""
        return self.key, self.light

    @property
    def bounds_mm(self) -> NDArray[np.float64]:
        """(2, 3) low and high corner in the plane."""
        left, bottom, width, height = self.window_mm
        return np.array([[left, bottom, 0.0], [left + width, bottom + height, 0.0]])


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


class Store:
    """Shaders, vertex buffers and paints of the one context, shared by all stages of the process."""

    def __init__(self) -> None:
        self.gl = _context()
        self._programs: dict[tuple[str, ...], Any] = {}
        self._kept: OrderedDict[tuple[object, ...], Kept] = OrderedDict()
        self._held = 0
        self._round = 0
        self._windows: WeakSet[Offscreen] = WeakSet()
        gl = self.gl
        self.faces = gl.program(vertex_shader=shaders.FACE_VERTEX, fragment_shader=shaders.FACE_FRAGMENT)
        unit_square = gl.buffer(np.array([0, 0, 1, 0, 0, 1, 1, 1], np.float32).tobytes())
        self.face_quad = gl.vertex_array(self.faces, [(unit_square, "2f", "spot")])
        triangle = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        occlusion = shaders.OCCLUSION_FRAGMENT % (
            shaders.OCCLUSION_SAMPLES, shaders.SHADOW_STEPS, shaders.SHADOW_REACH,
        )  # fmt: skip
        self.screens: dict[str, tuple[Any, Any]] = {}
        for name, fragment in (
            ("depth", shaders.DEPTH_FRAGMENT), ("occlusion", occlusion), ("blur", shaders.BLUR_FRAGMENT),
            ("finish", shaders.FINISH_FRAGMENT),
        ):  # fmt: skip
            program = gl.program(vertex_shader=shaders.SCREEN_VERTEX, fragment_shader=fragment)
            self.screens[name] = program, gl.vertex_array(program, [(triangle, "2f", "corner")])

    def program(self, kinds: tuple[str, ...]) -> Any:
        """The surface shader with `kinds` defined; what a surface has not is not computed for it."""
        if kinds not in self._programs:
            head = "#version 330\n" + "".join(f"#define {kind}\n" for kind in kinds) + shaders.CLOUD
            self._programs[kinds] = self.gl.program(
                vertex_shader=head + shaders.SURFACE_VERTEX, fragment_shader=head + shaders.SURFACE_FRAGMENT
            )
        return self._programs[kinds]

    def mesh(self, key: tuple[object, ...], make: Callable[[], Mesh], rounds: int = 0) -> Kept:
        """The buffers of a surface, its normals smoothed so many rounds; `make` is asked only where `key` is new."""
        return self._get(("mesh", *key, rounds), lambda: self._upload(make(), rounds))

    def paint(self, face: Face) -> Any:
        """The paint of a face as a texture."""
        return self._get(("face", *face.key), lambda: self._upload_paint(face.paint())).parts[0]

    def drawer(self, kept: Kept, kinds: tuple[str, ...]) -> Any:
        """The surface bound to the shader with `kinds`."""
        if kinds not in kept.draws:
            flat = kinds == ("VEIL",)  # needs no normals
            content = [(kept.parts[0], *(("3f 12x", "place") if flat else ("3f 3f", "place", "normal")))]
            kept.draws[kinds] = self.gl.vertex_array(self.program(kinds), content, kept.parts[1])
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
        """Let go of what was unused for longest, down to the limit. Not while a picture is being made."""
        while self._held > _KEPT_BYTES and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._held -= old.size
            for part in (*old.draws.values(), *old.parts):
                part.release()

    def _get(self, key: tuple[object, ...], make: Callable[[], Kept]) -> Kept:
        if key not in self._kept:
            self._kept[key] = make()
            self._held += self._kept[key].size
        self._kept.move_to_end(key)
        return self._kept[key]

    def _upload(self, mesh: Mesh, rounds: int) -> Kept:
        if not len(mesh.triangles):
            return Kept([], {}, 0)
        data = np.empty((len(mesh.points_mm), 6), np.float32)
        data[:, :3] = mesh.points_mm
        data[:, 3:] = vertex_normals(mesh, rounds)
        one, two, three = (data[mesh.triangles[:, i], :3] for i in range(3))
        blocks = in_blocks((one + two + three) / 3.0, _MOST_TRIANGLES)
        order, starts = np.concatenate(blocks), np.cumsum([0, *map(len, blocks)])
        indices = np.ascontiguousarray(mesh.triangles[order], np.uint32)
        parts = [self.gl.buffer(data.tobytes()), self.gl.buffer(indices.tobytes())]
        low = np.minimum.reduceat(np.minimum(np.minimum(one, two), three)[order], starts[:-1])
        high = np.maximum.reduceat(np.maximum(np.maximum(one, two), three)[order], starts[:-1])
        ends, boxes = 3 * starts, corners(np.stack([low, high], axis=1).astype(float))
        return Kept(parts, {}, data.nbytes + indices.nbytes, mesh.bounds_mm, ends, boxes)

    def _upload_paint(self, paint: NDArray[np.uint8]) -> Kept:
        rows, columns = paint.shape[:2]
        texture = self.gl.texture((columns, rows), 4, np.ascontiguousarray(paint[::-1]).tobytes())
        texture.build_mipmaps()
        texture.filter = self.gl.LINEAR_MIPMAP_LINEAR, self.gl.LINEAR
        texture.repeat_x = texture.repeat_y = False
        return Kept([texture], {}, paint.nbytes * 4 // 3)


@cache
def store() -> Store:
    """The store of this process; FaultError where no OpenGL can be had."""
    return Store()


class Offscreen:
    """Draws pictures of `size_px` (width, height), with `factor` pixels a side for each one shown, over a `ground`
    (H, W, 3), 0 to 1, or over nothing.

    Raises FaultError where no OpenGL can be had.
    """

    def __init__(self, size_px: tuple[int, int], factor: int, ground: NDArray[np.float32] | None) -> None:
        self.size_px, self.factor = size_px, factor
        self.store = store()
        gl = self._gl = self.store.gl
        width, height = size_px
        large, small = (width * factor, height * factor), ((width + 1) // 2, (height + 1) // 2)
        self._solid, self._depth = gl.texture(large, 4), gl.depth_texture(large)
        self._depth.compare_func = ""
        self._scene = gl.framebuffer([self._solid], self._depth)
        self.drawn_at = 0
        self._glass: Any = None
        self._panes: Any = None
        self._still: Any = None
        self._worked_px: Box = (0, 0, *size_px)
        self._seen_from: object = None
        self._base: frozenset[Key] = frozenset()
        self._before: frozenset[Key] = frozenset()
        self._places: dict[Key, Box | None] = {}
        self._order: tuple[Key, ...] = ()
        self._glazed = False
        self._small, self._open, self._rough = (gl.texture(small, n, dtype="f4") for n in (1, 2, 2))
        self._small_target, self._open_target, self._rough_target = (
            gl.framebuffer([t]) for t in (self._small, self._open, self._rough)
        )
        # what was read last, the lowest row first
        self._picture = np.zeros((height, width, 3 if ground is not None else 4), np.uint8)
        self._nearest = np.full(small[::-1], 1e9, np.float32)
        self._shown = gl.texture(size_px, 4)
        self._target = gl.framebuffer([self._shown])
        self._clear = ground is None
        back = np.zeros((height, width, 3), np.float32) if ground is None else ground
        self._ground = gl.texture(size_px, 3, np.ascontiguousarray(back[::-1], np.float16).tobytes(), dtype="f2")
        for texture in (self._depth, self._small, self._open, self._rough, self._ground):
            texture.filter = gl.NEAREST, gl.NEAREST

    def draw(
        self,
        camera: Camera,
        range_mm: tuple[float, float],
        solid: Sequence[Surface],
        faces: Sequence[Face],
        glass: Sequence[Surface],
        shadows: Shadows,
        within_px: Box | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The picture (H, W, 3), or without a ground (H, W, 4) with colours multiplied by alpha; and, at half its
        size, the depth of what is solid in mm along the line of sight (1e9 where there is nothing); both top row
        first. `glass` is laid over the rest in the order given.
        `within_px` (left, top, right, bottom) holds all that is drawn; None where that is not known."""
        gl = self._gl
        self.store.begin(self)
        view = camera.view_matrix()
        projection = camera.projection_matrix(self.size_px, *range_mm)
        clip = projection @ view
        seen_from, before = (camera.key, range_mm, shadows), self._places
        if seen_from != self._seen_from:
            self._seen_from, self._base, self._before, before = seen_from, frozenset(), frozenset(), {}
        order, self._order = self._order, tuple(("glass", *s.key) for s in glass)
        self._places = {
            **{s.key: self._place_px(clip, s.world_from_local, s.mesh.bounds_mm) for s in solid},
            **{("glass", *s.key): self._place_px(clip, s.world_from_local, s.mesh.bounds_mm) for s in glass},
            **{f.full_key: self._place_px(clip, f.world_from_plane, f.bounds_mm) for f in faces},
        }
        now = frozenset([s.key for s in solid] + [f.full_key for f in faces])
        standing = now & self._before
        based = bool(self._base) and self._base <= now and 2 * len(self._base) >= len(standing)
        self._before = now
        box: Box | None = None
        if before and (based or not standing):
            box = self._changed_px(before, order)
        if box is not None and box[0] >= box[2]:
            return self._picture[::-1].copy(), self._nearest[::-1].copy()
        worked, self._worked_px = self._worked_px, within_px or (0, 0, *self.size_px)
        if box is None:
            hard, soft = (0, 0, *self.size_px), self._even(_joined(worked, self._worked_px))
        else:
            hard = self._even(box)
            soft = self._even(self._grown(box, camera, clip, range_mm, solid, shadows))
        self._limit(hard, soft)
        gl.disable(gl.BLEND)
        gl.enable(gl.DEPTH_TEST)
        gl.depth_func = "<="
        self._scene.use()  # copying heeds the limits of what is in use
        if based:
            gl.copy_framebuffer(self._scene, self._still)
        else:
            self._scene.clear(0.0, 0.0, 0.0, 0.0, depth=1.0, viewport=self._scene.scissor)
            self._base = standing
            if standing:
                self._keep_standing(solid, faces, standing, view, projection)
        self._draw_parts(solid, faces, now - self._base, view, projection)
        self._cast(camera, range_mm, shadows)
        if glass or self._glazed:
            gl.enable_direct(_CLIP_DISTANCE_0)
            self._draw_glass(glass, view, projection)
            gl.disable_direct(_CLIP_DISTANCE_0)
            self._glazed = bool(glass) or box is not None
        self._finish(range_mm, shadows, self._glazed)
        self._read()
        self.store.trim()
        return self._picture[::-1].copy(), self._nearest[::-1].copy()

    def _place_px(self, clip: NDArray[np.float64], pose: Frame, bounds_mm: NDArray[np.float64] | None) -> Box | None:
        """The box of the picture that holds a thing with such bounds; None where it reaches behind the eye."""
        assert bounds_mm is not None
        x, y, _, w = (clip @ np.c_[pose.points(corners(bounds_mm)), np.ones(8)].T).tolist()
        if min(w) <= 0.0:
            return None
        width, height = self.size_px
        across = [(0.5 + 0.5 * a / b) * width for a, b in zip(x, w, strict=True)]
        down = [(0.5 - 0.5 * a / b) * height for a, b in zip(y, w, strict=True)]
        left, top = max(0, int(min(across)) - _PAD_PX), max(0, int(min(down)) - _PAD_PX)
        return left, top, min(width, int(max(across)) + _PAD_PX), min(height, int(max(down)) + _PAD_PX)

    def _changed_px(self, before: Mapping[Key, Box | None], order: Sequence[Key]) -> Box | None:
        """The box outside of which this picture shows the same things as the one `before`, at the same depths; empty
        where all is the same, None where no such box is known."""
        now = self._places
        if [k for k in order if k in now] != [k for k in self._order if k in before]:
            return None
        out: Box = (*self.size_px, 0, 0)
        for key in before.keys() ^ now.keys():
            place = now[key] if key in now else before[key]
            if place is None:
                return None
            if place[0] < place[2] and place[1] < place[3]:
                out = _joined(out, place)
        return out

    def _grown(
        self,
        box: Box,
        camera: Camera,
        clip: NDArray[np.float64],
        range_mm: tuple[float, float],
        solid: Sequence[Surface],
        shadows: Shadows,
    ) -> Box:
        """`box` and all on which what stands in it may cast a contact shadow."""
        # the nearest depth at which a shadow may fall: there a step is the most pixels
        near = [(clip[3] @ np.c_[s.world_from_local.points(corners(s.mesh.bounds_mm)), np.ones(8)].T).min()
                for s in solid if s.mesh.bounds_mm is not None]  # fmt: skip
        nearest = max(range_mm[0], min(near, default=range_mm[0]))
        width, height = self.size_px
        focal = height / 2 / float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
        key = np.array(shaders.KEY_LIGHT) / np.linalg.norm(shaders.KEY_LIGHT)
        way = (shaders.SHADOW_REACH + 0.1) * shadows.reach_mm
        left = nearest - way * (key[2] + 0.1)
        if left <= 0.0:
            return 0, 0, width, height
        across = [way * (focal * key[0] + x * key[2]) / left for x in (-width / 2, width / 2)]
        down = [way * (-focal * key[1] + y * key[2]) / left for y in (-height / 2, height / 2)]
        reach = shadows.reach_px
        return (
            max(0, int(box[0] - max(reach, *across)) - _PAD_PX), max(0, int(box[1] - max(reach, *down)) - _PAD_PX),
            min(width, int(box[2] - min(-reach, *across)) + _PAD_PX),
            min(height, int(box[3] - min(-reach, *down)) + _PAD_PX),
        )  # fmt: skip

    def _even(self, box: Box) -> Box:
        """`box` with some pixels round it, in OpenGL's rows (left, low, right, high), of which two make one row of the
        small pictures."""
        width, height = self.size_px
        left, low = max(0, box[0] - _PAD_PX) // 2 * 2, max(0, height - box[3] - _PAD_PX) // 2 * 2
        return left, low, min(width, box[2] + _PAD_PX + 1), min(height, height - box[1] + _PAD_PX + 1)

    def _limit(self, hard: Box, soft: Box) -> None:
        """Draw only within `hard`, and cast shadows and finish only within `soft`."""
        k = self.factor
        large = k * hard[0], k * hard[1], k * (hard[2] - hard[0]), k * (hard[3] - hard[1])
        self._scene.scissor = self._drawn_px = large
        self._small_target.scissor = _half(hard)
        self._rough_target.scissor = self._open_target.scissor = _half(soft)
        self._target.scissor = soft[0], soft[1], soft[2] - soft[0], soft[3] - soft[1]

    def _read(self) -> None:
        """Fetch what was drawn."""
        x, y, width, height = self._target.scissor
        depth = self._picture.shape[2]
        new = self._target.read(viewport=(x, y, width, height), components=depth, alignment=1)
        self._picture[y : y + height, x : x + width] = np.frombuffer(new, np.uint8).reshape(height, width, depth)
        x, y, width, height = self._small_target.scissor
        new = self._small_target.read(viewport=(x, y, width, height), components=1, alignment=1, dtype="f4")
        self._nearest[y : y + height, x : x + width] = np.frombuffer(new, np.float32).reshape(height, width)

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
        self._still.use()
        self._gl.copy_framebuffer(self._still, self._scene)
        self._scene.use()

    def _draw_parts(
        self,
        solid: Sequence[Surface],
        faces: Sequence[Face],
        wanted: frozenset[Key],
        view: NDArray[np.float64],
        projection: NDArray[np.float64],
    ) -> None:
        self._gl.enable_direct(_CLIP_DISTANCE_0)
        self._draw_surfaces([s for s in solid if s.key in wanted], view, projection)
        self._gl.disable_direct(_CLIP_DISTANCE_0)
        self._draw_faces([f for f in faces if f.full_key in wanted], view, projection)

    def _draw_surfaces(
        self,
        surfaces: Sequence[Surface],
        view: NDArray[np.float64],
        projection: NDArray[np.float64],
        kinds: tuple[str, ...] | None = None,
    ) -> None:
        gl = self._gl
        key = np.array(shaders.KEY_LIGHT) / np.linalg.norm(shaders.KEY_LIGHT)
        for surface in surfaces:
            kind = surface.kinds if kinds is None else kinds
            program, draw = self.store.program(kind), self.store.drawer(surface.mesh, kind)
            _put(program, "projection", _columns(projection))
            eye_from_local = view @ surface.world_from_local.matrix
            eye_from_local[:3] *= 1.0 - surface.nearer  # towards the eye, so it covers the same pixels
            _put(program, "eyeFromLocal", _columns(eye_from_local))
            _put(program, "keyWay", tuple(key))
            _put(program, "pictureSize", self._solid.size)
            _put(program, "hullPx", surface.hull_px * self.factor)
            for name in ("tone", "sheen", "grain", "mood"):
                _put(program, name, getattr(surface, name))
            _put(program, "cut", _eye_plane(surface.cut, view))
            sides = 0 if surface.cut is not None and surface.sides > 0 else surface.sides
            if sides:
                gl.enable(gl.CULL_FACE)
                gl.cull_face = "back" if sides > 0 else "front"
            else:
                gl.disable(gl.CULL_FACE)
            for first, count in self._in_sight(surface.mesh, projection @ eye_from_local):
                draw.render(first=first, vertices=count)
        gl.disable(gl.CULL_FACE)

    def _in_sight(self, mesh: Kept, clip_from_local: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Which runs of indices of `mesh` may show where is being drawn: (first, count) of each."""
        assert mesh.blocks is not None
        assert mesh.corners_mm is not None
        x, y, width, height = self._drawn_px
        size = np.array(self._solid.size)
        low = 2.0 * (np.array([x, y]) - _PAD_PX * self.factor) / size - 1.0
        high = 2.0 * (np.array([x + width, y + height]) + _PAD_PX * self.factor) / size - 1.0
        places = mesh.corners_mm @ clip_from_local[:, :3].T + clip_from_local[:, 3]
        flat, w = places[..., :2], places[..., 3:]
        beyond = np.concatenate([flat < low * w, flat > high * w, w <= 0.0], axis=2).all(axis=1).any(axis=1)
        edges = np.flatnonzero(np.diff(np.r_[True, beyond, True].astype(np.int8)))
        starts, ends = mesh.blocks[edges[::2]], mesh.blocks[edges[1::2]]
        return [(int(a), int(b - a)) for a, b in zip(starts, ends, strict=True)]

    def _draw_faces(self, faces: Sequence[Face], view: NDArray[np.float64], projection: NDArray[np.float64]) -> None:
        program = self.store.faces
        for face in faces:
            paint = self.store.paint(face)
            _put(program, "projection", _columns(projection))
            _put(program, "eyeFromLocal", _columns(view @ face.world_from_plane.matrix))
            _put(program, "window", face.window_mm)
            facing = abs(float((view[:3, :3] @ face.world_from_plane.rotation)[2, 2]))
            _put(program, "light", face.light * (0.84 + 0.16 * facing))
            _put(program, "paint", 0)
            paint.use(0)
            self.store.face_quad.render(self._gl.TRIANGLE_STRIP)

    def _draw_glass(self, glass: Sequence[Surface], view: NDArray[np.float64], projection: NDArray[np.float64]) -> None:
        gl = self._gl
        if self._glass is None:
            self._glass = gl.texture(self._solid.size, 4)
            self._panes = gl.framebuffer([self._glass], self._depth)
        self._panes.scissor = self._drawn_px
        self._panes.use()
        self._panes.depth_mask = False  # what is solid goes on hiding what lies behind it
        self._panes.clear(0.0, 0.0, 0.0, 0.0, viewport=self._drawn_px)
        self._panes.depth_mask = True
        gl.enable(gl.BLEND)
        gl.blend_func = gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA
        for surface in glass:
            # a first drawing takes the depth alone, so that only the nearest wall of a pane is seen
            self._panes.color_mask = False, False, False, False
            self._draw_surfaces([surface], view, projection, ("VEIL",))
            self._panes.color_mask = True, True, True, True
            self._draw_surfaces([surface], view, projection)
        gl.disable(gl.BLEND)

    def _cast(self, camera: Camera, range_mm: tuple[float, float], shadows: Shadows) -> None:
        gl = self._gl
        width, height = self.size_px
        gl.disable(gl.DEPTH_TEST)
        program, quad = self.store.screens["depth"]
        self._depth.use(0)
        program["depth"].value, program["range"].value, program["step"].value = 0, range_mm, 2 * self.factor
        self._small_target.use()
        quad.render(gl.TRIANGLES)
        program, quad = self.store.screens["occlusion"]
        self._small.use(0)
        key = np.array(shaders.KEY_LIGHT) / np.linalg.norm(shaders.KEY_LIGHT)
        focal = height / 2 / float(np.tan(np.deg2rad(camera.view_angle_deg) / 2))
        program["depth"].value, program["lens"].value = 0, (focal / 2, width / 4, height / 4)
        program["reach"].value, program["keyWay"].value = (shadows.reach_px / 2, shadows.reach_mm), tuple(key)
        program["offsets"].write(spiral(shaders.OCCLUSION_SAMPLES).astype(np.float32).tobytes())
        self._rough_target.use()
        quad.render(gl.TRIANGLES)
        program, quad = self.store.screens["blur"]
        self._rough.use(0)
        program["open"].value, program["like"].value = 0, 0.05 * shadows.reach_mm
        self._open_target.use()
        quad.render(gl.TRIANGLES)
        gl.enable(gl.DEPTH_TEST)

    def _finish(self, range_mm: tuple[float, float], shadows: Shadows, glazed: bool) -> None:
        gl = self._gl
        gl.disable(gl.DEPTH_TEST)
        program, quad = self.store.screens["finish"]
        sources = {
            "solid": self._solid, "buffer": self._depth, "open": self._open,
            "ground": self._ground, "glass": self._glass if glazed else self._solid,
        }  # fmt: skip
        for unit, (name, texture) in enumerate(sources.items()):
            texture.use(unit)
            program[name].value = unit
        program["factor"].value, program["glazed"].value, program["clear"].value = self.factor, glazed, self._clear
        program["range"].value, program["like"].value = range_mm, 0.05 * shadows.reach_mm
        self._target.use()
        quad.render(gl.TRIANGLES)

    def forget(self) -> None:
        """Draw the next picture as if it were the first."""
        self._worked_px = (0, 0, *self.size_px)
        self._seen_from = None

    def rest(self) -> None:
        """Give back the picture of what stands still and that of the glass; they are made again when it draws."""
        parts = [self._panes, self._glass]
        if self._still is not None:
            parts += [self._still, *self._still.color_attachments, self._still.depth_attachment]
        for part in parts:
            if part is not None:
                part.release()
        self._panes = self._glass = self._still = self._seen_from = None
        self._glazed = False

    def close(self) -> None:
        """Give the memory back."""
        self.rest()
        parts = [self._scene, self._small_target, self._open_target, self._rough_target, self._target]
        parts += [self._solid, self._depth, self._small, self._open, self._rough, self._shown, self._ground]
        for part in parts:
            part.release()


def _joined(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _half(box: Box) -> tuple[int, int, int, int]:
    """Left, low, width and height of the same box in a picture of half the size."""
    left, low = box[0] // 2, box[1] // 2
    return left, low, (box[2] + 1) // 2 - left, (box[3] + 1) // 2 - low


def _put(program: Any, name: str, value: object) -> None:
    """Set a number of the shader, unless this kind of it has no use for it."""
    uniform = program.get(name, None)
    if uniform is not None:
        uniform.value = value


def _eye_plane(cut: Frame | None, view: NDArray[np.float64]) -> tuple[float, ...]:
    """The plane in the eye's frame; for no cut one that has everything on its near side."""
    if cut is None:
        return 0.0, 0.0, 0.0, -1.0
    normal = cut.rotation[:, 2]
    return tuple(np.append(normal, -normal @ cut.origin_mm) @ np.linalg.inv(view))


def _columns(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(matrix.T.ravel())


_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)


def corners(bounds_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 8, 3) the corners of boxes (..., 2, 3)."""
    low, high = bounds_mm[..., :1, :], bounds_mm[..., 1:, :]
    return np.asarray(low + _CORNERS * (high - low), float)


def in_blocks(centres_mm: NDArray[np.floating], most: int) -> list[NDArray[np.intp]]:
    """The numbers 0 to N-1 of `centres_mm` (N, 3) in blocks of neighbours, at most `most` in each: halved across the
    longest side again and again."""
    whole = [np.arange(len(centres_mm))]
    out = []
    while whole:
        block = whole.pop()
        if len(block) <= most:
            out.append(block)
            continue
        places = centres_mm[block]
        axis = int(np.ptp(places, axis=0).argmax())
        order = np.argpartition(places[:, axis], len(block) // 2)
        # within a block the order stays that of the mesh, in which neighbours share their corners
        whole += [block[np.sort(half)] for half in np.array_split(order, [len(block) // 2])]
    return out


@cache
def spiral(samples: int) -> NDArray[np.float64]:
    """(samples, 2) offsets in the unit disc on a golden spiral, denser in the middle."""
    turn = np.arange(samples) * np.pi * (3.0 - np.sqrt(5.0))
    radius = ((np.arange(samples) + 0.5) / samples) ** 0.75
    return radius[:, None] * np.column_stack([np.cos(turn), np.sin(turn)])


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
