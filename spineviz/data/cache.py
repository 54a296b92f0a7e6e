"""Where plans and pieces are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder (it may not exist yet): SPINEVIZ_CACHE where it is set, else the platform's place for caches."""
    chosen = os.environ.get("SPINEVIZ_CACHE")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("spineviz", appauthor=False)
