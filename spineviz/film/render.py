"""From a request to one finished file: the pieces that are missing, joining, and the move into place at the end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from spineviz.data.cache import cache_folder, write_whole
from spineviz.data.errors import FaultError, RequestError
from spineviz.film import pace
from spineviz.film.drawing import Job, Task
from spineviz.film.shows import Show
from spineviz.film.store import FULL, KeptPiece, PieceStore, limit_bytes, lives, piece_store, told_as_fault
from spineviz.film.workers import TRIES, Drawn, Places, draw_tasks

PART = ".spineviz-part"


@dataclass(frozen=True)
class Request:
    """What is to be rendered.

    Attributes:
        show: the film.
        out: the file to write; a folder for a format that has no file.
        force: replace what is there.
    """

    show: Show
    out: Path
    force: bool = False

    @property
    def frames(self) -> int:
        """How many frames the result has."""
        return sum(task.count for task in self.show.tasks)

    @property
    def seconds(self) -> float:
        """How long the result lasts."""
        return self.frames / self.show.rendition.size.frames_per_s

    @property
    def sidecar(self) -> Path:
        """The JSON beside the film."""
        return self.out.with_name(f"{self.out.stem if self.out.suffix else self.out.name}.json")


class Progress(Protocol):
    """Who is told how far a render is."""

    def stage(self, words: str) -> None:
        """A new part of the work has begun."""

    def kept(self, count: int) -> None:
        """So many frames need not be drawn: they are there from an earlier run."""

    def frames(self, count: int) -> None:
        """So many more frames are finished."""


class Hands(Protocol):
    """Who draws: this machine's processes, or a cluster."""

    def __call__(
        self,
        job: Job,
        places: Places,
        tasks: Sequence[Task],
        told: Callable[[int], None],
        planned: Callable[[], None],
    ) -> Drawn:
        """As spineviz.film.workers.draw_tasks."""


def local_hands(jobs: int | None = None) -> Hands:
    """`jobs` processes of this machine; None for as many as cores and memory allow."""

    def draw(
        job: Job, places: Places, tasks: Sequence[Task], told: Callable[[int], None], planned: Callable[[], None]
    ) -> Drawn:
        return draw_tasks(job, places, tasks, told, jobs, planned)

    return draw


def is_up_to_date(request: Request) -> bool:
    """Whether what is there already is what is asked for; its embedded digest says so.

    Raises RequestError where something else is in the way and `force` is not given.
    """
    from spineviz.film.encode import read_metadata
    from spineviz.film.sidecar import digest_of, is_sidecar

    try:
        film, beside = request.out.exists(), request.sidecar.exists()
    except OSError as error:  # with .json at its end a name may be too long
        raise RequestError(f"--out {request.out}: {error.strerror}; give a path that can be written") from error
    if request.force:
        return False
    if film:
        if digest_of(read_metadata(request.out)) == request.show.digest:
            return True
        raise RequestError(f"--out {request.out}: exists already and is another film; give another name or --force")
    if beside and not is_sidecar(request.sidecar):
        raise RequestError(f"--out {request.out}: {request.sidecar.name} beside it is in the way; give --force")
    return False


def missing(request: Request, store: PieceStore) -> tuple[dict[str, KeptPiece], list[Task]]:
    """The pieces of `request` that are kept, by name, and the tasks that are left."""
    counts = {task.name: task.count for task in request.show.tasks}
    found = {name: piece for name, piece in store.find(counts).items() if piece.count == counts[name]}
    return found, [task for task in request.show.tasks if task.name not in found]


def needed_bytes(request: Request, left: Sequence[Task]) -> float:
    """A generous guess at what the file and the pieces that are `left` will take."""
    size, output = request.show.rendition.size, request.show.rendition.output
    frames = request.frames + sum(task.count for task in left)
    return max(5e6, output.bytes_per_pixel * size.width_px * size.height_px * frames)


def check_room(request: Request, left: Sequence[Task]) -> None:
    """FaultError where the disk of --out has less room than the film may need."""
    need, free = needed_bytes(request, left), shutil.disk_usage(request.out.parent).free
    if free < need:
        raise FaultError(
            f"--out {request.out}: {free / 1e6:.0f} MB are free there; this film may need {need / 1e6:.0f} MB"
        )


def render_film(request: Request, progress: Progress, hands: Hands | None = None) -> None:
    """Render `request` into its file, with the JSON beside it.

    Pieces that are kept from earlier runs are not drawn again. The file appears whole, at the end, or not at all: an
    interruption (Ctrl-C, SIGTERM, SIGHUP, SIGKILL) leaves no process alive and loses no finished piece, and the next
    run goes on from there to the same bytes.

    Raises:
        RequestError: the case cannot be planned, or the folder cannot be written.
        FaultError: the disk is full, the cache cannot be written, the same file is being made, a process dies.
    """
    limit, store = limit_bytes(), piece_store()
    store.sweep()
    with _stoppable(), _alone(request.out), _part_folder(request.out) as folder:
        try:
            _render_into(request, progress, hands or local_hands(), store, folder)
        except OSError as error:
            what = "make room and" if error.errno in FULL else "see to it and"
            raise FaultError(
                f"--out {request.out}: {error.strerror or error}; {what} try again: finished pieces are kept"
            ) from error
        store.evict(limit, (task.name for task in request.show.tasks))


def _render_into(request: Request, progress: Progress, hands: Hands, store: PieceStore, folder: Path) -> None:
    show = request.show
    kept, left = missing(request, store)
    check_room(request, left)
    if kept:
        progress.kept(sum(piece.count for piece in kept.values()))
    for _ in range(TRIES):
        about = _drawn_into(kept, left, request, progress, hands, store, folder)
        progress.stage("joining")
        with contextlib.suppress(_PieceGoneError):
            _join(request, [kept[task.name] for task in show.tasks], about, folder)
            return
        kept, left = missing(request, store)  # the cache was cleared, or another render needed the room
    raise FaultError(
        f"the cache {store.folder} was cleared again and again meanwhile; render once more, or set SPINEVIZ_CACHE to a"
        " folder of its own"
    )


def _drawn_into(
    kept: dict[str, KeptPiece],
    left: Sequence[Task],
    request: Request,
    progress: Progress,
    hands: Hands,
    store: PieceStore,
    folder: Path,
) -> dict[str, Any]:
    """Draw what is `left` and add it to `kept`; returns what the drawer says of itself."""
    show, about = request.show, _kept_about(request.show.about_name)
    if left or about is None:
        progress.stage("planning")
        places = Places(store.folder, folder)
        drawn = hands(show.job, places, left, progress.frames, lambda: progress.stage("drawing"))
        kept.update(drawn.kept)
        about = drawn.about
        _keep_about(show.about_name, about)
        if drawn.seconds_a_frame:
            pace.note(show.name, show.rendition.size, drawn.seconds_a_frame)
    return about


class _PieceGoneError(Exception):
    """A piece that was finished is no longer there."""


def _join(request: Request, parts: Sequence[KeptPiece], about: dict[str, Any], folder: Path) -> None:
    from spineviz.film.encode import join_segments
    from spineviz.film.sidecar import tags

    told = request.show.told(about)
    whole, beside = folder / request.out.name, folder / request.sidecar.name
    sound = folder / "sound.wav" if request.show.sound else None
    if sound is not None:
        sound.write_bytes(request.show.sound)
    try:
        join_segments(
            whole,
            [piece.path for piece in parts],
            [piece.count for piece in parts],
            request.show.rendition.output,
            tags(told.description),
            told.chapters,
            told.captions,
            sound,
            told.language,
        )
    except FileNotFoundError as error:
        if all(piece.path.exists() for piece in parts):
            raise
        shutil.rmtree(whole, ignore_errors=True)
        raise _PieceGoneError from error
    beside.write_text(json.dumps(told.description, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for path in (whole, beside):
        _onto_disk(path)
    beside.replace(request.sidecar)
    _move(whole, request.out)


def _move(whole: Path, out: Path) -> None:
    """Move a finished file or folder into place; a folder that is there is put aside first and removed last."""
    if whole.is_dir() and out.exists():
        out.replace(whole.with_name("old"))
    whole.replace(out)


# what a drawer said of itself, kept between runs


def _about_path(name: str) -> Path:
    return cache_folder() / "about" / f"{name}.json"


def _kept_about(name: str) -> dict[str, Any] | None:
    try:
        record = json.loads(_about_path(name).read_bytes())
        text = json.dumps(record["about"], sort_keys=True)
        known = isinstance(record["about"], dict) and record["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return record["about"] if known else None


def _keep_about(name: str, about: Mapping[str, Any]) -> None:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    with contextlib.suppress(OSError):  # it is found out anew next time
        write_whole(_about_path(name), json.dumps({"about": about, "sha256": digest}).encode())


# one render of a file at a time, in a folder of its own


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Nobody else renders into `out` meanwhile; FaultError where somebody does."""
    from filelock import FileLock, Timeout

    folder = cache_folder() / "locks"
    lock = FileLock(folder / f"{hashlib.sha256(os.fsencode(out.resolve())).hexdigest()[:32]}.lock")
    with told_as_fault(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FaultError(
                f"--out {out}: another spineviz render is writing it; wait until that is done, or give another name"
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _part_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` for what is not finished, gone afterwards; those of killed runs go too.

    Its name holds this process's number, by which it is told from that of a run that is on with another cache.

    Raises RequestError where the folder of `out` cannot be written.
    """
    begin = part_begin(out)
    for left in out.parent.glob(f"{begin}*{PART}"):
        pid = left.name.removeprefix(begin).partition("-")[0]
        if not (pid.isdigit() and lives(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{begin}{os.getpid()}-", suffix=PART, dir=out.parent))
    except OSError as error:
        if error.errno in (*FULL, errno.EIO):
            raise FaultError(f"--out {out}: {error.strerror}; make room and try again") from error
        raise RequestError(f"--out {out}: {error.strerror}; give a folder that can be written") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def part_begin(out: Path) -> str:
    """How the name of a hidden folder for `out` begins; short, however long that of `out` is."""
    return f".{hashlib.sha256(os.fsencode(out.name)).hexdigest()[:16]}-"


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the work as an exception does, so that everything is cleared away.

    From then on further ones are not heeded, until the process has ended: they would leave half of it behind, or take
    the exit code's place.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    stopped = False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        for other, _handler in before:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for name in names if signal.getsignal(number := getattr(signal, name)) != signal.SIG_IGN]
    before: list[tuple[int, Any]] = [(number, signal.getsignal(number)) for number in numbers]
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before if not stopped else []:
            signal.signal(number, handler)


def _onto_disk(path: Path) -> None:
    """Make sure that what is moved into place outlives a power cut."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb") as stream, contextlib.suppress(OSError):
            os.fsync(stream.fileno())
