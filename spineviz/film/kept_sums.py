"""What radiographs are summed from, kept on disk: pieces are drawn each by itself, and all need the same bones."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Hashable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.data.cache import cache_folder, evict, write_whole
from spineviz.film.engine import processor_extensions, versions
from spineviz.film.naming import digest_of, sources
from spineviz.film.store import limit_bytes

_MARK_BYTES = 32
"""A file begins with a digest of its name and of the rest."""
SHARE_OF_PIECES = 0.05
"""How much they may take, as a share of what finished pieces may: 1 GB of 20. A film needs some 20 MB (chosen)."""


def kept_arrays(name: tuple[Hashable, ...], make: Callable[[], dict[str, NDArray]]) -> Mapping[str, NDArray]:
    """What `make` gives, from the file that is kept under `name`, this project's sources and engines, or else made and
    kept there; a file that is damaged is made anew, and a cache that cannot be written is no reason to fail.

    What was used longest ago goes when all together take more than `most_bytes`. Raises RequestError for a limit of
    pieces that is none.
    """
    most = most_bytes()
    told = hashlib.sha256(f"{_ground()}\n{name!r}".encode()).hexdigest()
    path = cache_folder() / "sums" / f"{told}.sum"
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError):
        held = path.read_bytes()
        packed = held[_MARK_BYTES:]
        if _mark(told, packed) == held[:_MARK_BYTES]:
            with np.load(io.BytesIO(packed), allow_pickle=False) as file:
                found = {key: file[key] for key in file.files}
            with contextlib.suppress(OSError):
                os.utime(path)
            return found
    made = make()
    stream = io.BytesIO()
    np.savez(stream, **made)  # type: ignore[arg-type]
    with contextlib.suppress(OSError):
        write_whole(path, _mark(told, stream.getvalue()) + stream.getvalue())
        evict(path.parent.glob("*.sum"), most)
    return made


def most_bytes() -> float:
    """How much all of them may take on disk; raises RequestError for a limit of pieces that is none."""
    return SHARE_OF_PIECES * limit_bytes()


def _mark(told: str, packed: bytes) -> bytes:
    return hashlib.sha256(told.encode() + packed).digest()


@cache
def _ground() -> str:
    """A digest of what all of them depend on."""
    return digest_of([sources(), versions(), processor_extensions()])
