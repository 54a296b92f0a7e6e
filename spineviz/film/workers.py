"""Warm processes that draw pieces: one thread each, gone when their parent is."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.data.errors import FaultError, RequestError
from spineviz.film.pieces import Piece, Quality

if TYPE_CHECKING:
    from spineviz.procedures.case import Case

ONE_THREAD = {
    name: "1"
    for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
"""Two processes of one thread beat one of two by 18 to 45 %."""

FORKS = sys.platform.startswith("linux")
"""Whether workers are forked; on other systems libraries of windows and threads do not outlive a fork."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_LATE_MODULES = (
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

MOST_WORKERS = 8
GIVE_BACK_EVERY = 10
"""After so many frames free memory is handed back to the system."""

TRIES = 2
"""How often a piece is tried whose worker died."""


@dataclass(frozen=True)
class SceneSource:
    """Where a film's scene class stands: the module's file and the class's name."""

    path: Path
    class_name: str


@dataclass(frozen=True)
class Job:
    """What every worker of a render is told.

    Attributes:
        source: the scene.
        case: the patient, or None where the scene needs none.
        quality: size and rate.
        folder: where segments are written; it is removed if the parent dies.
    """

    source: SceneSource
    case: Case | None
    quality: Quality
    folder: Path


def worker_count(pieces: int) -> int:
    """As many workers as this process may use cores, and no more than there are pieces."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, pieces, MOST_WORKERS))


@dataclass
class Drawn:
    """What the workers made.

    Attributes:
        parts: piece.index -> the segment's file and its number of frames.
        about: what the scene's plan says of itself: "resolved" and "measures".
    """

    parts: dict[int, tuple[Path, int]]
    about: dict[str, Any]


def draw_pieces(
    job: Job,
    pieces: Sequence[Piece],
    told: Callable[[int], None],
    count: int | None = None,
    planned: Callable[[], None] | None = None,
) -> Drawn:
    """Draw and encode `pieces` in `count` processes.

    Where processes can be forked, one loads the libraries, makes the plan and what every part of the film shows, and
    then forks the rest, which share all that with it. Elsewhere all load their libraries at once; then the first makes
    the plan, which the others find kept.

    Args:
        told: called with the number of frames that were finished since the last call.
        planned: called once, when the plan is there and drawing begins.

    Raises:
        RequestError, FaultError: as a worker raised them; FaultError where a worker died twice over one piece.
        RuntimeError: any other failure of a worker, with its traceback.
    """
    with _pool(job, count or worker_count(len(pieces))) as pool:
        pool[0].family.start()
        return _drawn(pool, list(pieces), told, planned or (lambda: None))


class _Family:
    """A process that is spawned, and those that it forks once it has planned: one worker for each of `count` pipes."""

    def __init__(self, job: Job, count: int) -> None:
        self.job = job
        self.started = False
        context = multiprocessing.get_context("spawn")
        self.pipes, far = zip(*(context.Pipe() for _ in range(count)), strict=True)
        self.process = context.Process(target=_work, args=(far, job), daemon=True)
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)  # the child inherits them; VTK and BLAS read them when they are loaded
        try:
            self.process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        for pipe in far:
            pipe.close()

    def start(self) -> None:
        """Let the process build its scene; a second call does nothing."""
        if not self.started:
            self.started = True
            with contextlib.suppress(OSError):
                self.pipes[0].send("start")


class _Worker:
    """The pipe to one process of a family."""

    def __init__(self, family: _Family, pipe: Connection) -> None:
        self.family, self.pipe = family, pipe
        self.piece: Piece | None = None
        # the forked ones tell theirs
        self.pid = family.process.pid if pipe is family.pipes[0] else None

    def give(self, piece: Piece) -> None:
        """Hand over a piece."""
        self.piece = piece
        with contextlib.suppress(OSError):  # a dead worker shows at its pipe's end
            self.pipe.send(piece)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it is alive."""
        # only it holds the pipe's other end: while that is open its number belongs to no other process
        if self.pid is not None and not self._ended(0.0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self) -> None:
        """See to it that the process is gone."""
        self.send_signal(signal.SIGTERM)
        if not self._ended(3.0):
            self.send_signal(_KILL)
            self._ended(3.0)
        self.pipe.close()
        if self.pid == self.family.process.pid:
            self.family.process.join(3.0)

    def how_it_ended(self) -> str:
        """In brackets after a space, "signal 9" or the like; empty where only its own family can know."""
        if self.pid not in (None, self.family.process.pid):
            return ""
        self.family.process.join(3.0)
        code = self.family.process.exitcode
        if code is None:
            return ""
        return f" (signal {-code})" if code < 0 else f" (exit {code})"

    def _ended(self, seconds: float) -> bool:
        """Whether the process lets go of its end of the pipe within `seconds`; what it still says is not heard."""
        until = time.monotonic() + seconds
        try:
            while self.pipe.poll(max(0.0, until - time.monotonic())):
                self.pipe.recv()
        except (EOFError, OSError):
            return True
        return False


@contextlib.contextmanager
def _pool(job: Job, count: int) -> Iterator[list[_Worker]]:
    pool: list[_Worker] = []
    try:
        for size in [count] if FORKS else [1] * count:
            family = _Family(job, size)
            pool += [_Worker(family, pipe) for pipe in family.pipes]
        yield pool
    finally:
        for worker in pool:
            worker.send_signal(signal.SIGTERM)
        for worker in pool:
            worker.end()


def _drawn(
    pool: list[_Worker], waiting: list[Piece], told: Callable[[int], None], planned: Callable[[], None]
) -> Drawn:
    tries = dict.fromkeys((piece.index for piece in waiting), 0)
    total, out = len(waiting), Drawn({}, {})
    runs = in_runs(waiting, len(pool))
    while len(out.parts) < total:
        for pipe in wait([worker.pipe for worker in pool]):
            place = next(i for i, worker in enumerate(pool) if worker.pipe is pipe)
            worker = pool[place]
            try:
                kind, *rest = worker.pipe.recv()
            except (EOFError, OSError):
                pool[place] = _after_death(worker, runs[place], tries)
                continue
            if kind == "frames":
                told(rest[0])
            elif kind == "failed":
                _raise(*rest)
            elif kind == "done":
                out.parts[rest[0]] = (rest[1], rest[2])
                worker.piece = None
            elif kind == "ready":
                worker.pid = rest[0]
                if not out.about:
                    out.about = rest[1]
                    planned()
                    for other in pool:
                        other.family.start()
            following = next_piece(runs, place) if kind in ("ready", "done") else None
            if following is not None:
                worker.give(following)
    return out


def in_runs(pieces: Sequence[Piece], count: int) -> list[list[Piece]]:
    """`pieces` as `count` runs of neighbours of about equal length.

    A worker that stays in one part of the film keeps what that part shows and builds little else, which halves memory.
    """
    edges = [round(i * len(pieces) / count) for i in range(count + 1)]
    return [list(pieces[a:b]) for a, b in pairwise(edges)]


def next_piece(runs: list[list[Piece]], place: int) -> Piece | None:
    """The piece that the worker at `place` takes, off its own run's front or else off the longest run's end."""
    if runs[place]:
        return runs[place].pop(0)
    longest = max(runs, key=len)
    return longest.pop() if longest else None


def _after_death(worker: _Worker, waiting: list[Piece], tries: dict[int, int]) -> _Worker:
    """A new worker in the place of a dead one, whose piece waits again; FaultError where that was tried before."""
    how, piece = worker.how_it_ended(), worker.piece
    worker.end()
    if piece is None:
        raise FaultError(f"a drawing process ended unexpectedly{how} while it started; run: spineviz doctor")
    tries[piece.index] += 1
    if tries[piece.index] >= TRIES:
        raise FaultError(
            f"a drawing process ended unexpectedly{how} at {piece.start_s:g} s of the film; is there enough memory?"
        )
    waiting.insert(0, piece)
    family = _Family(worker.family.job, 1)
    family.start()
    return _Worker(family, family.pipes[0])


def _raise(kind: str, message: str, trace: str) -> None:
    if kind == "request":
        raise RequestError(message)
    if kind == "fault":
        raise FaultError(message)
    raise RuntimeError(f"a drawing process failed: {message}\n{trace}")


# --- in the worker ---


def _work(pipes: Sequence[Connection], job: Job) -> None:
    """Build the scene, fork a process for each further pipe, then draw pieces until the own pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    watch = _Watch(job.folder)
    watch.start()
    _answering(pipes[0], watch, lambda: _plan_and_serve(pipes, job, watch))


def _answering(pipe: Connection, watch: _Watch, work: Callable[[], None]) -> None:
    """Do `work`; what goes wrong is told through `pipe`."""
    try:
        work()
    except EOFError:
        watch.end(2.0)  # the parent is gone or has no more use for this process
    except BaseException as error:
        known = isinstance(error, (FaultError, OSError, MemoryError))
        kind = "request" if isinstance(error, RequestError) else "fault" if known else "other"
        message = str(error) or type(error).__name__
        with contextlib.suppress(OSError):
            pipe.send(("failed", kind, message, traceback.format_exc()))


def _plan_and_serve(pipes: Sequence[Connection], job: Job, watch: _Watch) -> None:
    import spineviz.film.base  # the slow imports, which others do meanwhile too where nothing is forked

    pipes[0].recv()
    from spineviz.film.opening import load_scene

    with spineviz.film.base.quiet_manim(job.quality):
        scene = load_scene(job.source)(case=job.case)
        ready = about(scene.plan)
        mine = pipes[0]
        if len(pipes) > 1:
            make_shared(scene)
            mine = _fork(pipes, watch)
        serve = partial(_serve, mine, job, scene, ready)
        if mine is pipes[0]:
            serve()
            return
        try:
            _answering(mine, watch, serve)
        finally:
            os._exit(0)  # a copy has nothing of the original's to clear away


def _fork(pipes: Sequence[Connection], watch: _Watch) -> Connection:
    """Copy this process once for each further pipe; each comes back with the pipe that is its own, the only one that it
    keeps open."""
    watch.end()  # a copy has no other thread than this
    gc.collect()
    gc.freeze()  # what is there is not looked through again: that would write to pages, which are shared until then
    _give_back()
    mine = next((pipe for pipe in pipes[1:] if os.fork() == 0), pipes[0])
    for pipe in pipes:
        if pipe is not mine:
            pipe.close()
    watch.start()
    return mine


def make_shared(scene: Any) -> None:
    """Make what every part of the film shows, in whatever posture: the bones' rasters. Load what is loaded late."""
    for module in _LATE_MODULES:
        importlib.import_module(module)
    for structure in scene.structures(0.0, None).values():
        if getattr(structure, "role", "") == "bone":
            middle = structure.field.bounds_mm.mean(axis=0, keepdims=True)
            for shape in (structure.field, structure.core):
                if shape is not None:
                    shape.distance(middle)


def _serve(pipe: Connection, job: Job, scene: Any, ready: dict[str, Any]) -> None:
    pipe.send(("ready", os.getpid(), ready))
    while True:
        piece: Piece = pipe.recv()
        path = job.folder / f"piece-{piece.index:04d}.mp4"
        count = draw_piece(scene, piece, job.quality, path, lambda n: pipe.send(("frames", n)))
        pipe.send(("done", piece.index, path, count))


def about(plan: Any) -> dict[str, Any]:
    """What a plan says of itself, as plain values for the sidecar."""
    return {
        "resolved": plan.resolved() if hasattr(plan, "resolved") else {},
        "measures": {**plan.words(), "margins": dict(getattr(plan, "margins", {}))},
    }


def draw_piece(scene: Any, piece: Piece, quality: Quality, path: Path, told: Callable[[int], None]) -> int:
    """Draw the frames of `piece` and write them to `path`; returns their number. Equal frames are drawn once."""
    from spineviz.film.encode import encode_segment

    times = piece.times_s(quality.frames_per_s)

    def frames() -> Iterator[Any]:
        last_key: Any = None
        frame: Any = None
        for number, time_s in enumerate(times, 1):
            key = scene.fingerprint(time_s)
            if frame is None or key != last_key:
                frame, last_key = scene.frame_at(time_s), key
            yield frame
            if number % GIVE_BACK_EVERY == 0:
                _give_back()
            told(1)

    return encode_segment(path, frames(), quality.size_px, quality.frames_per_s, len(times))


def _give_back() -> None:
    """Hand memory that is free back to the system; glibc keeps it otherwise."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


class _Watch:
    """Ends this process, and removes what it wrote to `folder`, as soon as the parent is gone, however it went."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        parent = multiprocessing.parent_process()
        assert parent is not None
        self._sentinel = parent.sentinel

    def start(self) -> None:
        """Begin to watch."""
        self._wake, self._woken = multiprocessing.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self, after_s: float = 0.0) -> None:
        """Watch no more, but for `after_s` seconds."""
        self._thread.join(after_s)
        self._woken.close()
        self._thread.join()
        self._wake.close()

    def _watch(self) -> None:
        if self._sentinel in wait([self._sentinel, self._wake]):
            shutil.rmtree(self.folder, ignore_errors=True)
            os._exit(1)
