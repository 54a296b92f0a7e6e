"""Where plans and pieces are kept between runs."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder (it may not exist yet): SPINEVIZ_CACHE where it is set, else the platform's place for caches."""
    chosen = os.environ.get("SPINEVIZ_CACHE")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("spineviz", appauthor=False)


def write_whole(path: Path, data: bytes) -> None:
    """Write `path`, its folder made if need be, so that it is either as before or complete; OSError as it comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def evict(paths: Iterable[Path], limit_bytes: float, spared: Collection[Path] = ()) -> int:
    """Remove of the files `paths` those used longest ago until all take at most `limit_bytes`; none of `spared`.

    Returns how many were removed.
    """
    aged = sorted((used_ns(path), path.name, path) for path in paths)
    total, removed = sum(_size(path) for *_, path in aged), 0
    for *_, path in aged:
        if total <= limit_bytes:
            break
        if path not in spared:
            total -= _size(path)
            remove(path)
            removed += 1
    return removed


def used_ns(path: Path) -> int:
    """When a file was used last, as its time says; 0 where it is gone, as another process may have removed it."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def remove(path: Path) -> None:
    """Remove a file, if it is there and can be."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
