"""One pass through a manim scene with a renderer that draws only what it is asked to draw, and writes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import inspect
import io
import os
import random
import sys
import sysconfig
import tempfile
import traceback
import warnings
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TextIO

import numpy as np
from manim import (
    Add,
    Animation,
    AnimationGroup,
    DrawBorderThenFill,
    Mobject,
    Rotating,
    Scene,
    Transform,
    Wait,
    config,
    tempconfig,
)
from manim.animation.creation import ShowPartial
from manim.constants import RendererType
from manim.mobject.types.image_mobject import ImageMobjectFromCamera
from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter

from spineviz.data.errors import FaultError, RequestError
from spineviz.film.manim_scenes import Frame, Play, Survey
from spineviz.film.opening import SceneSource, shown
from spineviz.film.pieces import QUALITIES, Quality

SEED = 0
"""Of random numbers where neither the scene nor manim's own settings give one."""

_UNNAMED = ("autocreated", "unnamed")
"""manim's names for sections that got none."""

_LOOKS = ("points", "rgbas", "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas", "stroke_width", "pixel_array")
"""What a mobject looks like, as far as it is drawn from arrays."""

_LOOK_STEP = 1e-4
"""Of an array's numbers, in manim's units (a frame is 8 high): a hundredth of a pixel at 1080p."""

_LOOK_OFFSET = 0.371
"""Share of a step by which the steps' edges lie off the round numbers that scenes are made of."""


_STEPLESS = (Transform, ShowPartial, DrawBorderThenFill, Rotating, Wait, Add)
"""manim's animations whose end is the same whatever steps led there: each begins from the first state."""


_SIDE_EFFECTS = ("reset_rotation_matrix", "update_sub_cameras")
"""Methods of manim's cameras that change more than the picture when they draw: a 3-D camera turns its matrix, a zoomed
scene's camera reshapes the frame of its window."""


class Enough(BaseException):
    """Ends construct() from within, past every `except Exception` of the scene."""

    def __init__(self, fault: FaultError | RequestError | None = None) -> None:
        super().__init__()
        self.fault = fault


class Watcher(Protocol):
    """Who follows a pass."""

    def draws(self, number: int) -> bool:
        """Whether the play `number` is drawn."""

    def take(self, work: Pass, frame: Frame, count: int) -> None:
        """A frame is drawn, which stands for `count` of them."""

    def step(self) -> bool:
        """Whether to go on; asked at every step."""

    def played(self, work: Pass, play: Play) -> None:
        """A play is over."""


class Pass:
    """One run of a scene's construct(), from the file's import on.

    Args:
        media: a folder for manim's own files.
        watcher: who says what is drawn, and gets it; None draws nothing and collects captions, chapters and sound.
    """

    def __init__(
        self, scene_source: SceneSource, quality: Quality, media: Path, watcher: Watcher | None = None
    ) -> None:
        self.scene_source, self.quality, self.media, self.watcher = scene_source, quality, media, watcher
        self.plays: list[Play] = []
        self.captions: list[tuple[float, float, str]] = []
        self.chapters: dict[float, str] = {}
        self.sound = b""
        self.frame = 0
        self.skipped_s = 0.0
        self._listened = 0  # how many captions were looked at
        self._heard: TextIO = sys.stdout

    def run(self) -> None:
        """Run the scene to its end; Enough where the watcher ends it, FaultError where the scene fails."""
        self._heard = sys.stdout
        with contextlib.ExitStack() as stack:
            # what a scene prints is no result of this program; it is told once, where nothing is drawn
            speech = stack.enter_context(Path(os.devnull).open("w")) if self.watcher else sys.stderr
            stack.enter_context(contextlib.redirect_stdout(speech))
            module = stack.enter_context(_imported(self.scene_source.path, self.quality, self.media))
            with _faults_told(self.scene_source.path):
                self._run(getattr(module, self.scene_source.class_name))

    def aside(self) -> contextlib.AbstractContextManager[Any]:
        """While the pass waits for others: they write to standard output as ever."""
        return contextlib.redirect_stdout(self._heard)

    def _run(self, scene_class: type[Scene]) -> None:
        if config.renderer != RendererType.CAIRO:
            raise Enough(RequestError(f"{self.scene_source}: asks for the OpenGL renderer; only Cairo's is there"))
        scene = scene_class()
        renderer = _Renderer(self, scene)
        scene.renderer = renderer
        size = (self.quality.height_px, self.quality.width_px)
        if renderer.camera.pixel_array.shape[:2] != size:
            raise Enough(
                RequestError(f"{self.scene_source}: sets pixel_width or pixel_height itself; leave that to --quality")
            )
        scene.render()
        self.listen(renderer.file_writer)
        if renderer.file_writer.includes_sound:
            whole = io.BytesIO()
            renderer.file_writer.audio_segment.export(whole, format="wav")
            self.sound = whole.getvalue()

    # what the renderer and the writer tell

    @property
    def time_s(self) -> float:
        """Seconds of film so far."""
        return self.frame / self.quality.frames_per_s

    def section(self, name: str) -> None:
        """A section begins."""
        if name not in _UNNAMED:
            self.chapters[self.time_s] = name

    def listen(self, writer: SceneFileWriter) -> None:
        """Take the captions that are new; manim's clock counts what sections skip, a film's does not."""
        new = writer.subcaptions[self._listened :]
        self._listened += len(new)
        if writer.sections[-1].skip_animations:
            return
        self.captions += [
            (one.start.total_seconds() - self.skipped_s, one.end.total_seconds() - self.skipped_s, one.content)
            for one in new
        ]


def survey_of(scene_source: SceneSource, quality: Quality, media: Path) -> Survey:
    """As manim_scenes.survey."""
    work = Pass(scene_source, quality, media)
    with _files_read() as read:
        try:
            work.run()
        except Enough as end:
            assert end.fault is not None  # nobody else ends a survey
            raise end.fault from None
    if not work.frame:
        raise RequestError(f"{scene_source}: shows nothing; a film needs a play() or a wait() in construct()")
    end_s = work.time_s
    captions = [(max(0.0, start), min(end, end_s), text) for start, end, text in work.captions]
    return Survey(
        tuple(work.plays),
        tuple(sorted(one for one in captions if one[0] < one[1])),
        tuple((start, name) for start, name in work.chapters.items() if start < end_s),
        work.sound,
        _sources(scene_source.path, read, media),
    )


def classes_of(scene_source: SceneSource) -> tuple[list[str], list[str]]:
    """Names of the file's Scene classes, and of all else that stands in it."""
    with _alone(scene_source.path) as module:
        scenes = [
            name
            for name, found in inspect.getmembers(module, inspect.isclass)
            if issubclass(found, Scene) and found.__module__ == module.__name__
        ]
        return scenes, [name for name in vars(module) if name not in scenes and not name.startswith("__")]


def is_procedure_scene(scene_source: SceneSource) -> bool:
    """As manim_scenes.is_film_scene."""
    from spineviz.film.base import ProcedureScene

    with _alone(scene_source.path) as module:
        return issubclass(getattr(module, scene_source.class_name), ProcedureScene)


class _Renderer(CairoRenderer):
    """manim's renderer, that goes through every step of every play and draws those that are wanted."""

    def __init__(self, work: Pass, scene: Scene) -> None:
        super().__init__(file_writer_class=partial(_Writer, work))
        self.work = work
        self.camera = scene.camera
        self.drawing = self.leaping = False
        self.init_scene(scene, scene.session_spec, scene.file_writer_settings)

    def play(self, scene: Scene, *args: Any, **kwargs: Any) -> None:
        """Go through a play, drawing or not, and tell of it."""
        work, number, start = self.work, self.num_plays, self.work.frame
        work.listen(self.file_writer)
        skipped = self.file_writer.sections[-1].skip_animations
        self.drawing = work.watcher is not None and not skipped and work.watcher.draws(number)
        super().play(scene, *args, **kwargs)
        if self.leaping:
            self.skip_animations = False
            self.add_frame(None, len(np.arange(0, scene.duration, 1 / config.frame_rate)))  # counted as manim does
        self.drawing = self.leaping = False
        if skipped:
            work.skipped_s += scene.duration
        play = Play(number, float(scene.duration), start, work.frame - start, _look(scene))
        work.plays.append(play)
        if work.watcher is not None:
            work.watcher.played(work, play)

    def update_frame(self, scene: Scene, mobjects: Any = None, *args: Any, **kwargs: Any) -> None:
        """Draw, where that is wanted."""
        if self.drawing:
            super().update_frame(scene, mobjects, *args, **kwargs)
        else:
            for name in _SIDE_EFFECTS:
                getattr(self.camera, name, lambda: None)()

    def save_static_frame_data(self, scene: Scene, static_mobjects: Any) -> Any:
        """Draw what stands, before a play begins; one that is not drawn is taken in a leap where that is the same."""
        if not self.drawing and not self.skip_animations and not scene.is_current_animation_frozen_frame():
            self.leaping = self.skip_animations = _is_stepless(scene)
        return super().save_static_frame_data(scene, static_mobjects)

    def get_frame(self) -> Any:
        """The picture (H, W, 4); the camera's own array where nothing is drawn."""
        return super().get_frame() if self.drawing else self.camera.pixel_array

    def add_frame(self, frame: Any, num_frames: int = 1) -> None:
        """Count frames, and hand over those that are drawn."""
        if self.skip_animations:
            return
        for count in [1] * num_frames if self.leaping else [num_frames]:
            self.time += count * (1 / self.camera.frame_rate)  # rounded as manim's
        self.work.frame += num_frames
        watcher = self.work.watcher
        if watcher is None:
            return
        if not watcher.step():
            raise Enough
        if self.drawing:
            watcher.take(self.work, np.ascontiguousarray(frame[:, :, :3]), num_frames)


def _is_stepless(scene: Scene) -> bool:
    """Whether the play that begins ends the same, to the last bit, if only its last step is taken."""
    on_screen = scene.get_mobject_family_members()
    animated = [one for animation in scene.animations or () for one in animation.mobject.get_family()]
    if scene.updaters or scene.always_update_mobjects or any(one.updaters for one in [*on_screen, *animated]):
        return False
    if any(tracker in animated for tracker in _camera_trackers(scene)):
        return False  # a 3-D camera's matrix, which scenes may ask for, is that of the last frame and not of the end
    if getattr(scene.camera, "image_mobjects_from_cameras", None):
        return False  # each frame reshapes the window of a zoomed scene
    return all(map(_forgets_steps, scene.animations or ()))


def _camera_trackers(scene: Scene) -> list[Mobject]:
    """What steers a 3-D camera; nothing for others."""
    found: list[Mobject] = getattr(scene.camera, "get_value_trackers", list)()
    return found


def _forgets_steps(animation: Animation) -> bool:
    if not type(animation).__module__.startswith("manim."):
        return False  # what others write may count its steps
    if isinstance(animation, AnimationGroup):
        return all(map(_forgets_steps, animation.animations))
    return isinstance(animation, _STEPLESS) and getattr(animation, "stop_condition", None) is None


class _Writer(SceneFileWriter):
    """manim's writer, that keeps sounds and sections and writes nothing."""

    def __init__(self, work: Pass, settings: Any) -> None:
        self.work = work
        super().__init__(settings)

    def next_section(self, name: str, type_: str, skip_animations: bool) -> None:
        """Begin a section."""
        if self.sections:
            self.work.listen(self)
        super().next_section(name, type_, skip_animations)
        if not skip_animations:
            self.work.section(name)

    def add_sound(self, sound_file: Any, time: float | None = None, gain: float | None = None, **kwargs: Any) -> None:
        """Mix a sound in; only where that is collected."""
        if self.work.watcher is None:
            at = None if time is None else time - self.work.skipped_s
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # pydub leaves the file to the garbage collector
                super().add_sound(sound_file, at, gain, **kwargs)


# --- import and settings ---


def _settings(quality: Quality, media: Path) -> dict[str, Any]:
    """manim's settings for a pass: the size, no output, no words, no network, its own files in `media`."""
    return {
        "pixel_width": quality.width_px,
        "pixel_height": quality.height_px,
        "frame_rate": quality.frames_per_s,
        "dry_run": True,
        "disable_caching": True,
        "preview": False,
        "live_preview": False,
        "enable_gui": False,
        "show_in_file_browser": False,
        "from_animation_number": 0,
        "upto_animation_number": -1,
        "progress_bar": "none",
        "verbosity": "ERROR",
        "log_to_file": False,
        "notify_outdated_version": False,
        "media_dir": str(media),
        "text_dir": "{media_dir}/texts",
        "tex_dir": "{media_dir}/Tex",
    }


@contextlib.contextmanager
def _imported(path: Path, quality: Quality, media: Path) -> Iterator[ModuleType]:
    """The scene's file as a fresh module, with manim's settings and seeded random numbers; all put back afterwards.

    Raises FaultError where the file fails.
    """
    settings = _settings(quality, media)
    name = f"spineviz_scene_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the path ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    loaded, places, bytecode = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True  # nothing is written beside the scene
    try:
        with tempconfig({**settings, "input_file": str(path), "seed": SEED if config.seed is None else config.seed}):
            random.seed(config.seed)
            np.random.seed(config.seed)  # noqa: NPY002 - as manim does for scenes
            with _faults_told(path):
                spec.loader.exec_module(module)
            config.update(settings)  # whatever the file says of sizes and output
            yield module
    finally:
        sys.path[:], sys.dont_write_bytecode = places, bytecode
        for other in [key for key in sys.modules if key not in loaded]:
            file = getattr(sys.modules[other], "__file__", None)
            if file is not None and _is_users(Path(file), path.parent):
                del sys.modules[other]  # modules beside the scene begin anew with it


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[ModuleType]:
    """The scene's file as a module, for a look at its classes."""
    with (
        tempfile.TemporaryDirectory() as media,
        contextlib.redirect_stdout(io.StringIO()),
        _imported(path, QUALITIES["draft"], Path(media)) as module,
    ):
        yield module


@cache
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    ours = Path(__file__).resolve().parents[1]
    return (*{Path(sysconfig.get_path(name)).resolve() for name in names}, ours)


def _is_users(file: Path, folder: Path | None = None) -> bool:
    """Whether a file is the user's own and no library's; with `folder`, whether it also lies in it."""
    file = file.absolute()
    if folder is not None and not file.is_relative_to(folder):
        return False
    return "site-packages" not in file.parts and not any(
        file.is_relative_to(library) or file.resolve().is_relative_to(library) for library in _library_folders()
    )


# --- faults ---


@contextlib.contextmanager
def _faults_told(path: Path) -> Iterator[None]:
    """What goes wrong in the user's scene as a FaultError that names file, line and exception."""
    try:
        yield
    except (Enough, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        where = _where(error, path)
        if where is None:
            raise  # nothing of the user's is in it: a defect of ours
        words = (str(error).strip().splitlines() or [""])[0]
        if isinstance(error, SyntaxError):
            words = error.msg
        raise FaultError(f"{where}: {type(error).__name__}{': ' if words else ''}{words[:300]}") from error


def _where(error: BaseException, path: Path) -> str | None:
    """FILE:LINE of the last of the user's lines on the way to an error; None where there is none."""
    if isinstance(error, SyntaxError) and error.filename and _is_users(Path(error.filename), path.parent):
        return f"{shown(Path(error.filename))}:{error.lineno}"
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file == path or _is_users(file, path.parent):
            found = f"{shown(file)}:{line}"
    return found


# --- what a film depends on ---


def _look(scene: Scene) -> str:
    """A digest of all that is on screen, of where the camera stands and of the random numbers to come."""
    digest = hashlib.blake2b(repr(random.getstate()).encode(), digest_size=8)
    _, numbers, place, *_ = np.random.get_state()  # noqa: NPY002 - manim's own
    digest.update(np.asarray(numbers).tobytes() + str(place).encode())
    camera = scene.camera
    watched = [*scene.get_mobject_family_members(), *_camera_trackers(scene)]
    if hasattr(camera, "frame"):
        watched.append(camera.frame)
    for mobject in watched:
        digest.update(type(mobject).__name__.encode())
        for name in _LOOKS:
            value = getattr(mobject, name, None)
            # what a window of a zoomed scene shows is there only when it is drawn
            if value is not None and not (name == "pixel_array" and isinstance(mobject, ImageMobjectFromCamera)):
                # another processor rounds the last digits otherwise: that must not cross a step's edge
                steps = np.floor(np.asarray(value, float) / _LOOK_STEP + _LOOK_OFFSET) + 0.0
                digest.update(steps.tobytes())
    return digest.hexdigest()


_reading: set[Path] | None = None
"""Where paths are noted that this process opens to read; None while nobody asks."""


@cache
def _install_ear() -> None:
    sys.addaudithook(_hear)  # it cannot be taken out again


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" or _reading is None:
        return
    place, _, flags = args
    if isinstance(place, str | bytes | os.PathLike) and not (flags or 0) & (os.O_WRONLY | os.O_RDWR):
        _reading.add(Path(os.fsdecode(place)).resolve())


@contextlib.contextmanager
def _files_read() -> Iterator[set[Path]]:
    """The files that Python opens for reading meanwhile."""
    global _reading
    _install_ear()
    found: set[Path] = set()
    _reading = found
    try:
        yield found
    finally:
        _reading = None


def _sources(path: Path, read: Iterable[Path], media: Path) -> tuple[Path, ...]:
    """The scene's file and those of `read` that are the user's, in alphabetical order."""
    systems = (Path("/proc"), Path("/sys"), Path("/dev"), media.resolve())
    kept = {
        file
        for file in read
        if file.suffix != ".pyc" and _is_users(file) and file.is_file() and not any(map(file.is_relative_to, systems))
    }
    return tuple(sorted(kept | {path}))
