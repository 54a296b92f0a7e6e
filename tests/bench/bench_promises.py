"""What the project promises, measured from a cold cache: python tests/bench/bench_promises.py [FILM...].

Start-up; of each film (all of them by default) the planning of its case, with an empty cache and when the plan is kept,
a full-HD still, and the time and the memory of a draft render. Each has its limit. Exits 1 where one is passed.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from told import tell

import spineviz
from spineviz.data.films import film_names

LIMIT_LIST_S = 0.4
LIMIT_PLAN_S = 3.0
LIMIT_KEPT_S = 0.3
LIMIT_STILL_S = 6.0
LIMIT_DRAFT_S = 180.0
LIMIT_MEMORY_GB = 1.5


def descendants(root: int | None = None) -> set[int]:
    """All processes below `root`, or below this one; none without /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):  # it ended meanwhile
            continue
    first = os.getpid() if root is None else root
    family = {first}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {first}


def share_bytes(pid: int) -> float:
    """A process's proportional share of memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0.0


def held_bytes(root: int) -> float:
    """The memory of the process `root` and all its descendants, what they share counted once; 0 without /proc."""
    return sum(map(share_bytes, {root} | descendants(root)))


def installed(cache: Path) -> dict[str, str]:
    """The environment of a command of an installation that keeps its files in `cache`: with the byte code that pip
    leaves beside the sources, whatever this process may say of that."""
    environment = {**os.environ, "SPINEVIZ_CACHE": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def timed(*arguments: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB, the process and its workers) of one spineviz command; it must succeed."""
    command = [sys.executable, "-m", "spineviz", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=installed(cache), stdout=subprocess.DEVNULL)
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.5):
            peak = max(peak, held_bytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    spent = time.perf_counter() - began
    ended.set()
    watcher.join()
    if code:
        sys.exit(f"spineviz {' '.join(arguments)} failed with {code}")
    return spent, peak / 1e9


PLANNING = """
import sys, time
import spineviz.cli
import scipy.interpolate, scipy.linalg.lapack, scipy.ndimage, scipy.spatial
from spineviz.procedures.case import Case
from spineviz.procedures.plans import plan_for
began = time.perf_counter()
plan_for(sys.argv[1], Case())
print(time.perf_counter() - began)
"""
"""Planning alone, with the threads that the command gives to libraries: what they take to load is part of the other
promises."""


def planned_s(film: str, cache: Path) -> float:
    """Seconds in which a new process plans the default case of a film."""
    command = [sys.executable, "-c", PLANNING, film]
    return float(subprocess.run(command, env=installed(cache), check=True, capture_output=True, text=True).stdout)


def main(films: list[str]) -> None:
    """Measure and tell; exit 1 where a limit is passed."""
    compileall.compile_dir(Path(spineviz.__file__).parent, quiet=2)
    kept = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listing = [timed("list", "--json", folder=folder, cache=folder / "cache")[0] for _ in range(5)]
        kept.append(tell("spineviz list", listing, "s", LIMIT_LIST_S))
        for film in films:
            cache = folder / f"{film}-plan"
            kept.append(tell(f"plan {film}, cold cache", [planned_s(film, cache)], "s", LIMIT_PLAN_S))
            kept.append(tell(f"plan {film}, kept", [planned_s(film, cache) for _ in range(3)], "s", LIMIT_KEPT_S))
            still = ("still", film, "--at", "150", "--quality", "fhd", "--out", f"{film}.png")
            spent, _ = timed(*still, folder=folder, cache=folder / f"{film}-still")
            kept.append(tell(f"still {film} fhd, cold cache", [spent], "s", LIMIT_STILL_S))
            draft = ("render", film, "--quality", "draft", "--out", f"{film}.mp4")
            spent, peak = timed(*draft, folder=folder, cache=folder / f"{film}-draft")
            kept.append(tell(f"render {film} draft, cold cache", [spent], "s", LIMIT_DRAFT_S))
            kept.append(tell(f"render {film} draft, memory", [peak], "GB", LIMIT_MEMORY_GB))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main(sys.argv[1:] or list(film_names()))
