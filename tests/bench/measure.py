"""What the project promises to be quick at, measured from a cold cache: start-up, a full-HD still, a draft film.

`make bench` prints one line each with its limit, and exits 1 where a limit is passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LIMIT_LIST_S = 0.4
LIMIT_STILL_S = 10.0
LIMIT_DRAFT_S = 360.0
LIMIT_MEMORY_GB = 1.5


def resident_gb(root: int) -> float:
    """The memory of the process `root` and all its descendants, GB; 0 where there is no /proc."""
    parents, pages = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry.name)], pages[int(entry.name)] = int(stat[1]), int(stat[21])
        except (OSError, IndexError, ValueError):  # it ended meanwhile
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(pages.get(pid, 0) for pid in family) * os.sysconf("SC_PAGE_SIZE") / 1e9


def timed(*arguments: str, folder: Path, cache: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB, the process and its workers) of one spineviz command; it must succeed."""
    environment = {**os.environ, "SPINEVIZ_CACHE": str(cache)}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "spineviz", *arguments], cwd=folder, env=environment)
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.5):
            peak = max(peak, resident_gb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    spent = time.perf_counter() - began
    ended.set()
    watcher.join()
    if code:
        sys.exit(f"spineviz {' '.join(arguments)} failed with {code}")
    return spent, peak


def main() -> None:
    """Measure and print; exit 1 where a limit is passed."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listing = min(timed("list", folder=folder, cache=folder / "a")[0] for _ in range(5))
        rows.append(("spineviz list", listing, LIMIT_LIST_S, "s"))
        still = ("still", "vertebroplasty", "--at", "150", "--quality", "fhd", "--out", "still.png")
        rows.append(
            ("still at full HD, cold cache", timed(*still, folder=folder, cache=folder / "b")[0], LIMIT_STILL_S, "s")
        )
        draft = ("render", "vertebroplasty", "--quality", "draft", "--out", "draft.mp4")
        spent, peak = timed(*draft, folder=folder, cache=folder / "c")
        rows.append(("draft film, cold cache", spent, LIMIT_DRAFT_S, "s"))
        rows.append(("its memory in all", peak, LIMIT_MEMORY_GB, "GB"))
    for what, value, limit, unit in rows:
        print(f"{what:32}{value:8.2f} {unit}   limit {limit:g} {unit}{'' if value <= limit else '   TOO MUCH'}")
    sys.exit(any(value > limit for _, value, limit, _ in rows))


if __name__ == "__main__":
    main()
