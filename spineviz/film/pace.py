"""How long drawing takes here, as earlier renders found it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from spineviz.data.cache import cache_folder, write_whole
from spineviz.film.pieces import Quality

USUAL_S_PER_MPX = 0.08
"""Seconds a worker takes for a frame of a million pixels where no render has told (measured, see tests/bench)."""


def seconds_a_frame(film_name: str, size: Quality) -> float:
    """What one worker takes for a frame of this film at this size."""
    pixels = size.width_px * size.height_px
    kept = _kept().get(_key(film_name, size))
    return kept if isinstance(kept, (int, float)) and 0.0 < kept < 1e6 else USUAL_S_PER_MPX * pixels / 1e6


def note(film_name: str, size: Quality, seconds: float) -> None:
    """Keep what one worker took for a frame; a cache that cannot be written is no reason to fail."""
    with contextlib.suppress(OSError):
        write_whole(_path(), json.dumps({**_kept(), _key(film_name, size): round(seconds, 4)}, sort_keys=True).encode())


def spoken(seconds: float) -> str:
    """A time in words: "42 s", "7 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _key(film_name: str, size: Quality) -> str:
    return f"{film_name} {size.width_px}x{size.height_px}@{size.frames_per_s}"


def _path() -> Path:
    return cache_folder() / "pace.json"


def _kept() -> dict[str, float]:
    try:
        found = json.loads(_path().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
