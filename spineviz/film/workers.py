"""Warm processes that draw pieces: one thread each, gone when their parent is."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

    All of them load their libraries at once; then the first makes the plan, which the others find kept.

    Args:
        told: called with the number of frames that were finished since the last call.
        planned: called once, when the plan is there and drawing begins.

    Raises:
        RequestError, FaultError: as a worker raised them; FaultError where a worker died twice over one piece.
        RuntimeError: any other failure of a worker, with its traceback.
    """
    with _pool(job, count or worker_count(len(pieces))) as pool:
        pool[0].start()
        return _drawn(pool, list(pieces), told, planned or (lambda: None))


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.piece: Piece | None = None
        self.started = False
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
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
        far.close()

    def start(self) -> None:
        """Let the worker build its scene; a second call does nothing."""
        if not self.started:
            self.started = True
            with contextlib.suppress(OSError):
                self.pipe.send("start")

    def give(self, piece: Piece) -> None:
        """Hand over a piece."""
        self.piece = piece
        with contextlib.suppress(OSError):  # a dead worker shows at its pipe's end
            self.pipe.send(piece)

    def end(self) -> None:
        """Stop the process, now."""
        self.process.terminate()
        self.process.join(3.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(3.0)
        self.pipe.close()


@contextlib.contextmanager
def _pool(job: Job, count: int) -> Iterator[list[_Worker]]:
    pool: list[_Worker] = []
    try:
        for _ in range(count):
            pool.append(_Worker(job))
        yield pool
    finally:
        for worker in pool:
            worker.process.terminate()
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
            elif kind == "ready" and not out.about:
                out.about = rest[0]
                planned()
                for other in pool:
                    other.start()
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
    worker.process.join(3.0)
    code, piece = worker.process.exitcode, worker.piece
    worker.end()
    how = f"signal {-code}" if code is not None and code < 0 else f"exit {code}"
    if piece is None:
        raise FaultError(f"a drawing process ended unexpectedly ({how}) while it started; run: spineviz doctor")
    tries[piece.index] += 1
    if tries[piece.index] >= TRIES:
        raise FaultError(
            f"a drawing process ended unexpectedly ({how}) at {piece.start_s:g} s of the film; is there enough memory?"
        )
    waiting.insert(0, piece)
    fresh = _Worker(worker.job)
    fresh.start()
    return fresh


def _raise(kind: str, message: str, trace: str) -> None:
    if kind == "request":
        raise RequestError(message)
    if kind == "fault":
        raise FaultError(message)
    raise RuntimeError(f"a drawing process failed: {message}\n{trace}")


# --- in the worker ---


def _work(pipe: Connection, job: Job) -> None:
    """Build the scene, then draw pieces until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    _leave_with_parent(job.folder)
    try:
        import spineviz.film.base  # noqa: F401 - the slow imports, while the parent makes the plan

        pipe.recv()
        _serve(pipe, job)
    except EOFError:
        return
    except BaseException as error:
        known = isinstance(error, (FaultError, OSError, MemoryError))
        kind = "request" if isinstance(error, RequestError) else "fault" if known else "other"
        message = str(error) or type(error).__name__
        with contextlib.suppress(OSError):
            pipe.send(("failed", kind, message, traceback.format_exc()))


def _serve(pipe: Connection, job: Job) -> None:
    from spineviz.film.base import quiet_manim
    from spineviz.film.opening import load_scene

    with quiet_manim(job.quality):
        scene = load_scene(job.source)(case=job.case)
        pipe.send(("ready", about(scene.plan)))
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


def _leave_with_parent(folder: Path) -> None:
    """End this process, and remove what it wrote, as soon as the parent is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
