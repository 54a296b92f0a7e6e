"""Warm processes that draw pieces: one thread each, gone when their parent is."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from spineviz.data.aside import FORKS
from spineviz.data.errors import FaultError, RequestError
from spineviz.film.drawing import Drawer, Job, Task, draw_piece, settle
from spineviz.film.pieces import Quality
from spineviz.film.store import KeptPiece, PieceStore, remove_parts_of

ENVIRONMENT = {
    **dict.fromkeys(
        ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    ),
    "PYTHONHASHSEED": "0",
}
"""What workers run under. Two processes of one thread beat one of two by 18 to 45 %; and the order of a set is the same
in all, also in a scene of the user's."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
MOST_WORKERS = 8
TRIES = 2
"""How often a piece is tried whose worker died."""


WORKER_MB, PIXEL_BYTES = 470.0, 125.0
"""What a worker holds that shares with another: so many megabytes, and bytes for each pixel of a frame (measured, see
tests/bench)."""


@dataclass(frozen=True)
class Places:
    """Where workers write.

    Attributes:
        store: the folder of the pieces.
        scratch: a folder that belongs to this render alone; it is removed if the parent dies.
    """

    store: Path
    scratch: Path


def worker_count(pieces: int, size: Quality) -> int:
    """As many workers as this process may use cores and free memory holds, and no more than there are pieces."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    need = 1e6 * WORKER_MB + PIXEL_BYTES * size.width_px * size.height_px
    return max(1, min(cores, pieces, MOST_WORKERS, int(free_bytes() / need)))


def free_bytes() -> float:
    """The memory that this process may still take: what the machine has free, within its control group's limit."""
    import psutil

    free = float(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no such group, or "max"
        group = Path("/sys/fs/cgroup")
        limit, used = (float((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used)
    return free


@dataclass
class Drawn:
    """What the workers made.

    Attributes:
        kept: task.name -> the finished piece.
        about: what is drawn says of itself.
        seconds_a_frame: what one worker took for a frame; 0 where none was drawn.
    """

    kept: dict[str, KeptPiece] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    seconds_a_frame: float = 0.0


def draw_tasks(
    job: Job,
    places: Places,
    tasks: Sequence[Task],
    told: Callable[[int], None],
    count: int | None = None,
    planned: Callable[[], None] | None = None,
) -> Drawn:
    """Draw and encode `tasks` in `count` processes; with no task, only find out what is drawn says of itself.

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
    most = max(1, min(len(tasks), count or worker_count(len(tasks), job.rendition.size)))
    began = time.monotonic()

    def begin() -> None:
        nonlocal began
        began = time.monotonic()
        if planned is not None:
            planned()

    with _pool(job, places, most) as pool:
        pool[0].family.start()
        drawn = _drawn(pool, list(tasks), told, begin)
    if tasks:
        drawn.seconds_a_frame = most * (time.monotonic() - began) / sum(task.count for task in tasks)
    return drawn


class _Family:
    """A process that is spawned, and those that it forks once it has planned: one worker for each of `count` pipes."""

    def __init__(self, job: Job, places: Places, count: int) -> None:
        self.job, self.places = job, places
        self.started = False
        context = multiprocessing.get_context("spawn")
        self.pipes, far = zip(*(context.Pipe() for _ in range(count)), strict=True)
        self.process = context.Process(target=_work, args=(far, job, places), daemon=True)
        before = {name: os.environ.get(name) for name in ENVIRONMENT}
        os.environ.update(ENVIRONMENT)  # the child inherits them; VTK and BLAS read them when they are loaded
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
        self.task: Task | None = None
        # the forked ones tell theirs
        self.pid = family.process.pid if pipe is family.pipes[0] else None

    def give(self, task: Task) -> None:
        """Hand over a piece."""
        self.task = task
        with contextlib.suppress(OSError):  # a dead worker shows at its pipe's end
            self.pipe.send(task)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it is alive."""
        # only it holds the pipe's other end: while that is open its number belongs to no other process
        if self.pid is not None and not self._ended(0.0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self) -> None:
        """See to it that the process is gone, and what it had begun."""
        self.send_signal(signal.SIGTERM)
        if not self._ended(3.0):
            self.send_signal(_KILL)
            self._ended(3.0)
        self.pipe.close()
        if self.pid == self.family.process.pid:
            self.family.process.join(3.0)
        if self.pid is not None:
            remove_parts_of(self.family.places.store, self.pid)

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
def _pool(job: Job, places: Places, count: int) -> Iterator[list[_Worker]]:
    pool: list[_Worker] = []
    try:
        for size in [count] if FORKS and job.forks else [1] * count:
            family = _Family(job, places, size)
            pool += [_Worker(family, pipe) for pipe in family.pipes]
        yield pool
    finally:
        for worker in pool:
            worker.send_signal(signal.SIGTERM)
        for worker in pool:
            worker.end()


def _drawn(pool: list[_Worker], waiting: list[Task], told: Callable[[int], None], planned: Callable[[], None]) -> Drawn:
    tries = dict.fromkeys((task.name for task in waiting), 0)
    total, out = len(waiting), Drawn()
    runs = in_runs(waiting, len(pool))
    while len(out.kept) < total or not out.about:
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
                out.kept[rest[0].name] = rest[0]
                worker.task = None
            elif kind == "ready":
                worker.pid = rest[0]
                if not out.about:
                    out.about = rest[1]
                    planned()
                    for other in pool:
                        other.family.start()
            following = next_task(runs, place) if kind in ("ready", "done") else None
            if following is not None:
                worker.give(following)
    return out


def in_runs(tasks: Sequence[Task], count: int) -> list[list[Task]]:
    """`tasks` as `count` runs of neighbours of about equal length.

    A worker that stays in one part of the film keeps what that part shows and builds little else, which halves memory.
    """
    edges = [round(i * len(tasks) / count) for i in range(count + 1)]
    return [list(tasks[a:b]) for a, b in pairwise(edges)]


def next_task(runs: list[list[Task]], place: int) -> Task | None:
    """What the worker at `place` takes, off its own run's front or else off the longest run's end."""
    if runs[place]:
        return runs[place].pop(0)
    longest = max(runs, key=len)
    return longest.pop() if longest else None


def _after_death(worker: _Worker, waiting: list[Task], tries: dict[str, int]) -> _Worker:
    """A new worker in the place of a dead one, whose piece waits again; FaultError where that was tried before."""
    how, task = worker.how_it_ended(), worker.task
    worker.end()
    if task is None:
        raise FaultError(f"a drawing process ended unexpectedly{how} while it started; run: spineviz doctor")
    tries[task.name] += 1
    if tries[task.name] >= TRIES:
        raise FaultError(
            f"a drawing process ended unexpectedly{how} at {task.piece.start_s:g} s of the film; is there enough"
            " memory? What is finished is kept; try fewer --jobs or a lower --quality"
        )
    waiting.insert(0, task)
    family = _Family(worker.family.job, worker.family.places, 1)
    family.start()
    return _Worker(family, family.pipes[0])


def _raise(kind: str, message: str, trace: str) -> None:
    if kind == "request":
        raise RequestError(message)
    if kind == "fault":
        raise FaultError(message)
    raise RuntimeError(f"a drawing process failed: {message}\n{trace}")


# --- in the worker ---


def _work(pipes: Sequence[Connection], job: Job, places: Places) -> None:
    """Open the job, fork a process for each further pipe, then draw pieces until the own pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    watch = _Watch(places)
    watch.start()
    _answering(pipes[0], watch, lambda: _open_and_serve(pipes, job, places, watch))


def _answering(pipe: Connection, watch: _Watch, work: Callable[[], None]) -> None:
    """Do `work`; what goes wrong is told through `pipe`."""
    try:
        work()
    except EOFError:
        watch.end(2.0)  # the parent is gone or has no more use for this process
    except BaseException as error:
        known = isinstance(error, (FaultError, OSError, MemoryError)) or _is_missing_library(error)
        kind = "request" if isinstance(error, RequestError) else "fault" if known else "other"
        message = _message(error)
        with contextlib.suppress(OSError):
            pipe.send(("failed", kind, message, traceback.format_exc()))


def _message(error: BaseException) -> str:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "not enough memory; what is finished is kept; try fewer --jobs or a lower --quality"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if _is_missing_library(error):
        return f"{error}; spineviz doctor names what is missing and how to mend it"
    return str(error) or type(error).__name__


def _is_missing_library(error: BaseException) -> bool:
    return isinstance(error, ImportError) and not (error.name or "").startswith("spineviz")


def _open_and_serve(pipes: Sequence[Connection], job: Job, places: Places, watch: _Watch) -> None:
    import spineviz.film.base  # noqa: F401 - the slow imports, which others do meanwhile too where nothing is forked

    pipes[0].recv()
    with job.opened() as drawer:
        about = drawer.about
        mine = pipes[0]
        if len(pipes) > 1:
            drawer.share()
            mine = _fork(pipes, watch)
        serve = partial(_serve, mine, job, drawer, places, about)
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
    settle()
    mine = next((pipe for pipe in pipes[1:] if os.fork() == 0), pipes[0])
    for pipe in pipes:
        if pipe is not mine:
            pipe.close()
    watch.start()
    return mine


def _serve(pipe: Connection, job: Job, drawer: Drawer, places: Places, about: dict[str, Any]) -> None:
    pipe.send(("ready", os.getpid(), about))
    store = PieceStore(places.store)
    while True:
        task: Task = pipe.recv()
        kept = draw_piece(drawer, task, job.rendition, store, lambda n: pipe.send(("frames", n)))
        pipe.send(("done", kept))


class _Watch:
    """Ends this process, and removes what is not finished, as soon as the parent is gone, however it went."""

    def __init__(self, places: Places) -> None:
        self.places = places
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
            shutil.rmtree(self.places.scratch, ignore_errors=True)
            remove_parts_of(self.places.store, os.getpid())
            os._exit(1)
