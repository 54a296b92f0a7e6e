"""The memory of a render: python tests/bench/bench_memory.py [QUALITY...].

Two workers draw, encode and check the first frames of pieces from all over a film, as a render does that has two
cores, and then of the same pieces again. The last frame of each piece is held until the encoder has seen as many as it
holds in memory when it looks ahead: whole pieces take no more. The proportional share of memory of every process is
looked at five times a second. The peak of a worker on the second way through the film over that on the first tells
whether it grows with the film's length.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_promises import descendants, share_bytes
from told import tell

from spineviz.data.films import film as clock_of
from spineviz.film.drawing import FilmDrawer, FilmJob, Task
from spineviz.film.opening import scene_source
from spineviz.film.pieces import Piece, pieces
from spineviz.film.rendition import Rendition
from spineviz.film.workers import Places, draw_tasks
from spineviz.procedures.case import Case

LIMITS_MB = {"fhd": 700.0, "uhd": 1600.0}
LIMIT_GROWTH = 1.1
FILMS = ("vertebroplasty", "chemoembolization")
WORKERS, PIECES, FRAMES, HELD = 2, 15, 4, 36


class Holding(FilmDrawer):
    """Draws what is asked for and holds the last frame."""

    def frames(self, piece: Piece) -> Iterator[np.ndarray]:
        """As FilmDrawer does, and HELD more."""
        for frame in super().frames(piece):
            yield frame
        for _ in range(HELD):
            yield frame


@dataclass(frozen=True)
class HoldingJob:
    """A FilmJob that holds the last frame of each piece."""

    job: FilmJob
    forks = True

    @property
    def rendition(self) -> Rendition:
        """How it is drawn."""
        return self.job.rendition

    @contextmanager
    def opened(self) -> Iterator[Holding]:
        """The scene of the film."""
        with self.job.opened() as drawer:
            yield Holding(drawer.scene, drawer.frames_per_s)


def begun(film: str, frames_per_s: int) -> list[Task]:
    """The beginnings of PIECES pieces from all over the film, and the same again."""
    every = pieces(clock_of(film))
    chosen = [every[round(i * (len(every) - 1) / (PIECES - 1))] for i in range(PIECES)]
    shorter = [Piece(p.index, p.step, p.start_s, p.start_s + FRAMES / frames_per_s) for p in chosen]
    return [Task(f"{way}{piece.index:063}", piece, FRAMES + HELD) for way in (1, 2) for piece in shorter]


def measure(film: str, quality: str) -> list[bool]:
    """Watch the processes that draw `film` in `quality`."""
    rendition = Rendition(quality=quality)
    tasks = begun(film, rendition.size.frames_per_s)
    total, told, ended = sum(task.count for task in tasks), 0, threading.Event()
    workers: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(2))
    peak = 0.0

    def finished(frames: int) -> None:
        nonlocal told
        told += frames

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.2):
            way = min(1, 2 * told // total)
            shares = {pid: share_bytes(pid) for pid in descendants()}
            for pid, share in shares.items():
                workers[pid][way] = max(workers[pid][way], share)
            peak = max(peak, sum(shares.values()))

    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder) / "pieces", Path(folder) / "scratch")
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            draw_tasks(HoldingJob(FilmJob(scene_source(film), Case(), rendition)), places, tasks, finished, WORKERS)
        finally:
            ended.set()
            watcher.join()
    peaks = np.array(list(workers.values())).max(axis=0)
    kept = [
        tell(f"worker {film} {quality}, memory", [1e-6 * float(peaks.max())], "MB", LIMITS_MB[quality]),
        tell(f"worker {film} {quality}, second way over first", [float(peaks[1] / peaks[0])], "times", LIMIT_GROWTH),
    ]
    tell(f"{WORKERS} workers {film} {quality}, memory", [1e-6 * peak], "MB")
    return kept


if __name__ == "__main__":
    asked = [(film, quality) for quality in sys.argv[1:] or LIMITS_MB for film in FILMS]
    sys.exit(not all([kept for film, quality in asked for kept in measure(film, quality)]))
