"""What a render gains: python tests/bench/bench_render.py.

Two processes against one, a second identical run, and what is drawn again after one caption has changed. Exits 1 where
a limit is passed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_promises import timed
from told import tell

LEAST_GAIN = 1.7
LIMIT_AGAIN_S = 3.0
FILM = ("vertebroplasty", "--quality", "draft")
"""What two processes are set against one with."""


def gain(folder: Path) -> bool:
    """How much faster two processes are than one; planning is done before, as its time is the same."""
    cache = folder / "gain"
    timed("render", *FILM, "--dry-run", folder=folder, cache=cache)
    spent = {}
    for jobs in ("1", "2"):
        shutil.rmtree(cache / "pieces", ignore_errors=True)
        out = ("--jobs", jobs, "--out", f"{jobs}.mp4", "--force")
        spent[jobs], _ = timed("render", *FILM, *out, folder=folder, cache=cache)
    same = (folder / "1.mp4").read_bytes() == (folder / "2.mp4").read_bytes()
    print(f"two processes make {'the same' if same else 'OTHER'} bytes", file=sys.stderr)
    again, _ = timed("render", *FILM, "--out", "again.mp4", folder=folder, cache=cache)
    kept = tell("a second identical run, draft", [again], "s", LIMIT_AGAIN_S)
    factor = spent["1"] / spent["2"]
    return tell("two processes against one, draft", [-factor], "times, negative", -LEAST_GAIN) and kept and same


def reworded(folder: Path) -> bool:
    """How many frames are drawn again after one caption has changed: at most those of the step that shows it."""
    copy = folder / "copy"
    root = Path(__file__).parents[2]
    for name in ("spineviz", "scenes", "assets"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(copy), "SPINEVIZ_CACHE": str(folder / "reworded")}
    command = [sys.executable, "-m", "spineviz", "render", "vertebroplasty", "--quality", "draft", "--steps", "3"]
    subprocess.run([*command, "--out", "a.mp4"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    words = copy / "assets" / "narration" / "en" / "vertebroplasty.toml"
    text = words.read_text("utf-8")
    begin = text.index('text = "', text.index("[step.healthy]")) + len('text = "')
    words.write_text(text[:begin] + "See: " + text[begin:], "utf-8")
    dry = subprocess.run(
        [*command, "--out", "b.mp4", "--dry-run"], cwd=folder, env=environment, check=True, text=True,
        capture_output=True,
    ).stdout  # fmt: skip
    total, kept = int(dry.split(" frames")[0].split()[-1]), int(dry.split(" of them kept")[0].split()[-1])
    return tell("frames drawn again after a caption has changed, of its step", [100 * (1 - kept / total)], "%", 60.0)


def main() -> None:
    """Measure and tell; exit 1 where a limit is passed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = [gain(folder), reworded(folder)]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
