"""What every test runs under: a fixed hypothesis profile, drawing without a display, a cache of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, settings

if sys.platform == "linux":  # without a display VTK would warn about X at every window
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
# one software-rendering thread each: pytest-xdist's workers share the cores already
os.environ.setdefault("LP_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile(
    "spineviz",
    derandomize=True,  # the same cases on every machine; a failure can be run again
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("spineviz")

_own_cache: str | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Keep plans in a folder of this run, the same for all workers (they inherit the variable)."""
    global _own_cache
    if not hasattr(config, "workerinput"):
        _own_cache = tempfile.mkdtemp(prefix="spineviz-test-cache-")
        os.environ["SPINEVIZ_CACHE"] = _own_cache


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that folder."""
    if _own_cache:
        shutil.rmtree(_own_cache, ignore_errors=True)
