"""How a benchmark tells its result: one line of JSON on standard output."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

_AS_WORKER = {name: "1" for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
if not _AS_WORKER.keys() <= os.environ.keys():  # read when the libraries are loaded, which they may be by now
    os.environ.update(_AS_WORKER)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


@cache
def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, and system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": name or platform.processor(), "cores": cores, "system": platform.platform(terse=True)}


@cache
def versions() -> dict[str, str]:
    """What the result may depend on."""
    packages = ("spineviz", "numpy", "scipy", "manim", "vtk", "moderngl", "av")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def tell(benchmark: str, values: Sequence[float], unit: str, limit: float | None = None) -> bool:
    """Print a benchmark's median; returns whether it keeps its limit."""
    median = statistics.median(values)
    kept = limit is None or median <= limit
    line: dict[str, Any] = {"benchmark": benchmark, "median": round(median, 3), "unit": unit, "runs": len(values)}
    if limit is not None:
        line |= {"limit": limit, "kept": kept}
    print(json.dumps(line | {"machine": machine(), "versions": versions()}), flush=True)
    return kept


def milliseconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)
