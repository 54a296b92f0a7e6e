"""The memory of a worker: python tests/bench/bench_memory.py [QUALITY...].

A process draws and encodes the first frames of every second piece of a film, one after the other, as one worker does;
its proportional share of memory is looked at ten times a second. The peak of the last third of the film over that of
the first tells whether it grows. The last frame of each piece is held until the encoder has seen as many as it holds in
memory when it looks ahead: whole pieces take no more.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from told import tell

LIMITS_MB = {"fhd": 700.0, "uhd": 1600.0}
LIMIT_GROWTH = 1.25
FILMS = ("vertebroplasty", "chemoembolization")
FRAMES, HELD, EVERY = 6, 54, 2


def draw(film: str, quality: str) -> None:
    """What the measured process does; it tells its progress a line a piece."""
    from spineviz.film.drawing import FilmJob, give_back
    from spineviz.film.encode import encode_segment
    from spineviz.film.opening import scene_source
    from spineviz.film.pieces import Piece, pieces
    from spineviz.film.rendition import Rendition
    from spineviz.procedures.case import Case

    rendition = Rendition(quality=quality)
    size = rendition.size
    with (
        FilmJob(scene_source(film), Case(), rendition).opened() as drawer,
        tempfile.TemporaryDirectory() as folder,
    ):
        drawer.share()
        every = pieces(drawer.scene.clock)[::EVERY]
        for i, piece in enumerate(every):
            short = Piece(piece.index, piece.step, piece.start_s, piece.start_s + FRAMES / size.frames_per_s)

            def frames(short: Piece = short) -> Iterator[np.ndarray]:
                for frame in drawer.frames(short):
                    yield frame
                give_back()
                for _ in range(HELD):
                    yield frame

            path, count = Path(folder) / "piece.mp4", FRAMES + HELD
            encode_segment(path, frames(), rendition.output, size.size_px, size.frames_per_s, count)
            print(i / len(every), flush=True)


def share_mb(pid: int) -> float:
    """A process's proportional share of memory, MB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(1.024e-3 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0.0


def measure(film: str, quality: str) -> list[bool]:
    """Watch a process that draws `film` in `quality`."""
    process = subprocess.Popen([sys.executable, __file__, "draw", film, quality], stdout=subprocess.PIPE, text=True)
    peaks, place, ended = np.zeros(3), 0, threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peaks[place] = max(peaks[place], share_mb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdout is not None
    for line in process.stdout:
        place = min(2, int(3.0 * float(line)))
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        sys.exit(f"the process that draws {film} in {quality} failed with {code}")
    return [
        tell(f"worker {film} {quality}, memory", [float(peaks.max())], "MB", LIMITS_MB[quality]),
        tell(f"worker {film} {quality}, last third over first", [float(peaks[2] / peaks[0])], "times", LIMIT_GROWTH),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["draw"]:
        draw(*sys.argv[2:])
    else:
        asked = [(film, quality) for quality in sys.argv[1:] or LIMITS_MB for film in FILMS]
        told = [kept for film, quality in asked for kept in measure(film, quality)]
        sys.exit(not all(told))
