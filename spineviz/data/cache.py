"""Where plans and pieces are kept between runs."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
