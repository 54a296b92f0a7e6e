"""From a request to one finished file: pieces, workers, joining, and the move into place at the end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from spineviz.data.errors import FaultError, RequestError
from spineviz.data.films import Film, film
from spineviz.film.pieces import Piece, Quality, pieces
from spineviz.film.workers import Job, SceneSource, draw_pieces

if TYPE_CHECKING:
    from spineviz.procedures.case import Case

BYTES_PER_PIXEL_S = {15: 0.6, 30: 0.9}
"""A generous guess at the size of what is written, bytes a pixel and second of film, by rate."""

PART = ".spineviz-part"


@dataclass(frozen=True)
class Request:
    """What is to be rendered.

    Attributes:
        film_name, case, quality: which film, of whom, how large.
        steps: its steps, counted from 0; all of them where this is the whole film.
        out: the file to write.
        force: replace what is there.
        source: the scene; None is the film's own.
    """

    film_name: str
    case: Case
    quality: Quality
    steps: tuple[int, ...]
    out: Path
    force: bool = False
    source: SceneSource | None = None

    @property
    def clock(self) -> Film:
        """The film's steps."""
        return film(self.film_name)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is drawn."""
        return pieces(self.clock, self.steps)

    @property
    def seconds(self) -> float:
        """How long the result lasts."""
        return sum(piece.end_s - piece.start_s for piece in self.pieces)

    @property
    def frames(self) -> int:
        """How many frames the result has."""
        return sum(len(piece.times_s(self.quality.frames_per_s)) for piece in self.pieces)

    @property
    def sidecar(self) -> Path:
        """The JSON beside the film."""
        return self.out.with_suffix(".json")

    def digest(self) -> str:
        """What tells this rendering from every other."""
        from spineviz.film.sidecar import film_digest

        return film_digest(self.film_name, self.case.canonical(), self.quality.name, self.steps)


class Progress(Protocol):
    """Who is told how far a render is."""

    def stage(self, words: str) -> None:
        """A new part of the work has begun."""

    def frames(self, count: int) -> None:
        """So many more frames are finished."""


def default_out(film_name: str, quality: str, level: str, default_level: str = "L1") -> str:
    """FILM-QUALITY.mp4, with the level when it is not the default."""
    return f"{film_name}{'' if level == default_level else f'-{level}'}-{quality}.mp4"


def is_up_to_date(request: Request) -> bool:
    """Whether the file that is there already is what is asked for; its embedded digest says so.

    Raises RequestError where another file is in the way and `force` is not given.
    """
    from spineviz.film.encode import read_metadata
    from spineviz.film.sidecar import digest_of, is_sidecar

    if request.force:
        return False
    if request.out.exists():
        if digest_of(read_metadata(request.out)) == request.digest():
            return True
        raise RequestError(f"--out {request.out}: exists already and is another film; give another name or --force")
    if request.sidecar.exists() and not is_sidecar(request.sidecar):
        raise RequestError(f"--out {request.out}: {request.sidecar.name} beside it is in the way; give --force")
    return False


def check_room(request: Request) -> None:
    """FaultError where the disk of --out has less room than the film may need."""
    size = request.quality
    need = size.width_px * size.height_px * request.seconds * BYTES_PER_PIXEL_S.get(size.frames_per_s, 1.0) * 2
    need = max(need, 5e6)
    free = shutil.disk_usage(request.out.parent).free
    if free < need:
        raise FaultError(
            f"--out {request.out}: {free / 1e6:.0f} MB are free there; this film may need {need / 1e6:.0f} MB"
        )


def render_film(request: Request, progress: Progress, workers: int | None = None) -> None:
    """Render `request` into its file, with the JSON beside it.

    The file appears whole, at the end, or not at all: an interruption (Ctrl-C, SIGTERM, SIGHUP) leaves nothing
    behind and no process alive.

    Raises:
        RequestError: the case cannot be planned, or the folder cannot be written.
        FaultError: the disk is full, or a drawing process dies.
    """
    check_room(request)
    with _stoppable(), _part_folder(request.out) as folder:
        try:
            _render_into(request, progress, workers, folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise FaultError(f"--out {request.out}: {error.strerror}; make room and try again") from error
            raise


def _render_into(request: Request, progress: Progress, workers: int | None, folder: Path) -> None:
    from spineviz.film.opening import scene_source

    job = Job(request.source or scene_source(request.film_name), request.case, request.quality, folder)
    progress.stage("planning")
    drawn = draw_pieces(job, request.pieces, progress.frames, workers, lambda: progress.stage("drawing"))
    progress.stage("joining")
    from spineviz.film.encode import join_segments
    from spineviz.film.formats import FORMATS
    from spineviz.film.sidecar import description, tags

    told = description(
        request.film_name,
        film_title(request.film_name),
        request.digest(),
        request.quality.name,
        [request.clock.steps[i].name for i in request.steps],
        request.seconds,
        request.case.table(),
        drawn.about["resolved"],
        drawn.about["measures"],
    )
    order = [drawn.parts[piece.index] for piece in request.pieces]
    whole, beside = folder / request.out.name, folder / request.sidecar.name
    paths, counts = [path for path, _ in order], [count for _, count in order]
    join_segments(whole, paths, counts, FORMATS["mp4"], tags(told))
    beside.write_text(json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8")
    for path in (whole, beside):
        _onto_disk(path)
    beside.replace(request.sidecar)
    whole.replace(request.out)


def film_title(film_name: str) -> str:
    """The film's name as people write it."""
    return film_name.replace("-", " ").capitalize()


@contextlib.contextmanager
def _part_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` for what is not finished, gone afterwards.

    Raises RequestError where the folder of `out` cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=PART, dir=out.parent))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise FaultError(f"--out {out}: {error.strerror}; make room and try again") from error
        raise RequestError(f"--out {out}: {error.strerror}; give a folder that can be written") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the work as an exception does, so that everything is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: list[tuple[int, Any]] = [(number, signal.signal(number, stop)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _onto_disk(path: Path) -> None:
    """Make sure that what is moved into place outlives a power cut."""
    with path.open("rb") as stream, contextlib.suppress(OSError):
        os.fsync(stream.fileno())


ProgressMaker = Callable[[str, int], Progress]
