"""How one piece is drawn: by a function of (film, case, rendition, piece) and nothing else."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from spineviz.data.errors import FaultError
from spineviz.film.pieces import Piece
from spineviz.film.rendition import Rendition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from spineviz.film.base import ProcedureScene
    from spineviz.film.opening import SceneSource
    from spineviz.film.store import KeptPiece, PieceStore
    from spineviz.procedures.case import Case

GIVE_BACK_EVERY = 10
"""After so many frames free memory is handed back to the system."""

LARGE_BYTES = 16 * 2**20
"""What is larger is parted from the rest of the memory."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_LATE_MODULES = (
    "fast_simplification",
    "moderngl",
    "scipy.interpolate",
    "spineviz.film.encode",
    "spineviz.views.fluoroscopy",
    "spineviz.views.scan",
    "spineviz.views.section",
    "spineviz.views.stage",
    "vtkmodules.util.numpy_support",
    "vtkmodules.vtkFiltersCore",
)


@dataclass(frozen=True)
class Task:
    """A piece that is to be made.

    Attributes:
        name: the digest of all that its pixels depend on; the same name means the same bytes.
        piece: which part of the film it is.
        count: how many frames it has.
    """

    name: str
    piece: Piece
    count: int


class Drawer(Protocol):
    """What draws pieces: it lives in one process, and what it drew before changes nothing."""

    @property
    def about(self) -> dict[str, Any]:
        """What is drawn says of itself, as plain values."""

    def share(self) -> None:
        """Make what every piece shows, before the process is copied."""

    def frames(self, piece: Piece) -> Iterator[NDArray[np.uint8]]:
        """The frames of `piece`, (H, W, 3) or (H, W, 4); the very same array where a frame equals the one before."""


class Job(Protocol):
    """What every worker of a render is told."""

    @property
    def rendition(self) -> Rendition:
        """How it is drawn."""

    @property
    def forks(self) -> bool:
        """Whether its drawer may be copied with its process."""

    def opened(self) -> AbstractContextManager[Drawer]:
        """A drawer in this process."""


@dataclass(frozen=True)
class FilmJob:
    """A film of one case.

    Attributes:
        source: its scene.
        case: the patient, or None where the scene needs none.
        rendition: how it is drawn.
    """

    source: SceneSource
    case: Case | None
    rendition: Rendition
    forks = True

    @contextmanager
    def opened(self) -> Iterator[FilmDrawer]:
        """The scene, planned, at its size."""
        import spineviz.film.base
        from spineviz.film.opening import load_scene

        part_large()
        with spineviz.film.base.quiet_manim(self.rendition.size):
            scene = load_scene(self.source)(
                case=self.case, theme=self.rendition.theme, transparent=self.rendition.output.alpha
            )
            yield FilmDrawer(scene, self.rendition.size.frames_per_s)


class FilmDrawer:
    """Draws pieces of a film."""

    def __init__(self, scene: ProcedureScene, frames_per_s: int) -> None:
        self.scene, self.frames_per_s = scene, frames_per_s
        scene.camera.let_go()

    @property
    def about(self) -> dict[str, Any]:
        """Resolved case and measures of the plan, and what the film says: titles and captions, filled."""
        plan = self.scene.plan
        told = {
            "resolved": plan.resolved() if hasattr(plan, "resolved") else {},
            "measures": {**plan.words(), "margins": dict(getattr(plan, "margins", {}))},
            "said": self.scene.said(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(told, default=str))
        return plain

    def share(self) -> None:
        """Make what every part of the film shows, in whatever posture: the rasters of bones and skin. Load what is
        loaded late."""
        for module in _LATE_MODULES:
            importlib.import_module(module)
        for structure in self.scene.structures(0.0, None).values():
            if getattr(structure, "role", "") in ("bone", "skin"):
                middle = structure.field.bounds_mm.mean(axis=0, keepdims=True)
                for shape in (structure.field, structure.core):
                    if shape is not None:
                        shape.distance(middle)

    def frames(self, piece: Piece) -> Iterator[NDArray[np.uint8]]:
        """As Drawer says; equal frames are drawn once. Windows are closed when the last one was taken."""
        self.scene.forget()
        last_key: Any = None
        frame: Any = None
        for time_s in piece.times_s(self.frames_per_s):
            key = self.scene.fingerprint(time_s)
            if frame is None or key != last_key:
                frame, last_key = self.scene.frame_at(time_s), key
            yield frame
        self.scene.forget()


def draw_piece(
    drawer: Drawer, task: Task, rendition: Rendition, store: PieceStore, told: Callable[[int], None]
) -> KeptPiece:
    """Draw `task`, write it under a temporary name, check it, and keep it in `store`.

    `told` is called with 1 after each frame. Raises FaultError where what was written is not whole, or the disk is
    full.
    """
    from spineviz.film.encode import check_segment, encode_segment
    from spineviz.film.store import told_as_fault

    size, output = rendition.size, rendition.output

    def counted() -> Iterator[NDArray[np.uint8]]:
        for number, frame in enumerate(drawer.frames(task.piece), 1):
            yield frame
            if number % GIVE_BACK_EVERY == 0:
                give_back()
            told(1)
        give_back()

    with store.part(output.segment_suffix) as part:
        try:
            encode_segment(part, counted(), output, size.size_px, size.frames_per_s, task.count)
        except OSError as error:
            if error.filename == str(part):  # what is drawn reads and writes files of its own
                with told_as_fault(store.folder):
                    raise
            raise
        fault = check_segment(part, output, size.size_px, size.frames_per_s, task.count)
        if fault:
            raise FaultError(f"the piece at {task.piece.start_s:g} s of the film was not written whole: {fault}")
        return store.keep(part, task.name, task.count)


def settle() -> None:
    """Before this process is copied: what is there is not looked through again, which would write to shared pages."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Hand memory that is free back to the system; glibc keeps it otherwise."""
    _glibc("malloc_trim", 0)


def part_large() -> None:
    """From here on ask the system for memory of its own for what is large, such as 4K frames, and give that back at
    once. glibc keeps what is smaller than 32 MB among the rest, where it leaves holes: up to 0.6 GB at 4K. What is
    smaller than this costs more time than it is worth. And have one heap for all threads: what one of them lets go
    another can take."""
    _glibc("mallopt", _M_ARENA_MAX, 1)
    _glibc("mallopt", _M_MMAP_THRESHOLD, LARGE_BYTES)
    # what a frame lets go the next one takes: it goes back to the system with `give_back` only
    _glibc("mallopt", _M_TRIM_THRESHOLD, 4 * LARGE_BYTES)


def _glibc(function: str, *numbers: int) -> None:
    """Call a function of glibc, where there is one."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            getattr(ctypes.CDLL("libc.so.6"), function)(*numbers)
