"""Plans kept on disk between runs: numbers in JSON, arrays in .npz (never pickle), named by a digest of all that
they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spineviz.data.assets import asset
from spineviz.data.cache import cache_folder, write_whole

Arrays = dict[str, NDArray]
Packed = tuple[dict[str, Any], Arrays]
"""Plain numbers, and arrays by name."""

KeptFiles = dict[str, bytes]
"""Kept plans as they lie on disk: file name -> bytes."""

_made: ContextVar[dict[str, Packed] | None] = ContextVar("made", default=None)
_used: ContextVar[set[str] | None] = ContextVar("used", default=None)


@cache
def _sources_digest() -> str:
    """Of the sources of the packages up to procedures, of the tables, and of the versions of numpy and scipy."""
    import scipy

    digest = hashlib.sha256(f"numpy {np.__version__} scipy {scipy.__version__}".encode())
    package = Path(__file__).resolve().parent.parent
    folders = [package / name for name in ("data", "geometry", "anatomy", "devices", "physics", "procedures")]
    for folder in [*folders, asset("anatomy"), asset("devices")]:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".csv"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def plan_digest(procedure: str, case: str) -> str:
    """The name under which the plan of `procedure` for `case` (canonical JSON) is kept: 64 hexadecimal signs."""
    return hashlib.sha256(f"{procedure}\n{case}\n{_sources_digest()}".encode()).hexdigest()


def keep_plan(digest: str, numbers: dict[str, Any], arrays: Arrays) -> None:
    """Keep `numbers` and `arrays` under `digest`; a cache that cannot be written is no reason to fail."""
    _note_use(digest)
    made = _made.get()
    if made is not None:
        made[digest] = numbers, arrays
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    packed = stream.getvalue()
    text = json.dumps({"arrays_sha256": hashlib.sha256(packed).hexdigest(), "numbers": numbers}, sort_keys=True)
    with contextlib.suppress(OSError):
        folder = cache_folder() / "plans"
        write_whole(folder / f"{digest}.npz", packed)
        write_whole(folder / f"{digest}.json", text.encode())


def is_kept(digest: str) -> bool:
    """Whether something is kept under `digest`, be it damaged."""
    return (cache_folder() / "plans" / f"{digest}.json").exists()


_handed: dict[str, Packed] = {}


def hand_over(plans: Mapping[str, Packed]) -> None:
    """Take plans, by their digests, that a copy of this process made: the next `kept_plan` of each finds it."""
    _handed.update(plans)


def plans_made(plan: Callable[[], object]) -> dict[str, Packed]:
    """The plans that `plan()` makes, by digest."""
    token = _made.set({})
    try:
        plan()
        return _made.get() or {}
    finally:
        _made.reset(token)


def kept_plan(digest: str) -> tuple[dict[str, Any], Arrays] | None:
    """What is kept under `digest`, or None where there is nothing, or it is damaged."""
    _note_use(digest)
    if digest in _handed:
        return _handed.pop(digest)
    folder = cache_folder() / "plans"
    try:
        record = json.loads((folder / f"{digest}.json").read_bytes())
        packed = (folder / f"{digest}.npz").read_bytes()
        if hashlib.sha256(packed).hexdigest() != record["arrays_sha256"]:
            return None
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            return record["numbers"], {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def files_used(plan: Callable[[], object]) -> KeptFiles:
    """The kept plans that `plan()` makes or reads, as files for another machine's cache."""
    token = _used.set(set())
    try:
        plan()
        digests = _used.get() or set()
    finally:
        _used.reset(token)
    folder, out = cache_folder() / "plans", {}
    for name in (f"{digest}{suffix}" for digest in sorted(digests) for suffix in (".npz", ".json")):
        with contextlib.suppress(OSError):  # what cannot be kept here is planned anew there
            out[name] = (folder / name).read_bytes()
    return out


def put_files(files: KeptFiles) -> None:
    """Put kept plans of another machine into this one's cache; a cache that cannot be written is no reason to fail."""
    for name, data in files.items():
        path = cache_folder() / "plans" / Path(name).name
        if not path.exists():
            with contextlib.suppress(OSError):
                write_whole(path, data)


def _note_use(digest: str) -> None:
    used = _used.get()
    if used is not None:
        used.add(digest)


def under(name: str, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """`arrays` with "NAME-" before their names."""
    return {f"{name}-{key}": array for key, array in arrays.items()}


def taken(name: str, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Those of `arrays` that were put `under` `name`, with their own names."""
    return {key.removeprefix(f"{name}-"): array for key, array in arrays.items() if key.startswith(f"{name}-")}
