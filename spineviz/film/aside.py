"""Work that is done by a copy of this process while this one goes on."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

Make = Callable[[], NDArray[np.uint8]]


class Aside:
    """Pictures made by a forked copy of this process, which must not draw with OpenGL; for one frame drawn in a
    process that has nothing else to do. What the copy keeps for its next picture is lost.

    Args:
        makes: each makes one picture; they run one after the other.
    """

    def __init__(self, makes: Sequence[Make]) -> None:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # other threads than this one are those of numerical libraries, which expect to be copied
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            _make_and_end(makes, reading, writing)
        os.close(writing)
        self._pipe: IO[bytes] | None = os.fdopen(reading, "rb")
        self._makes = list(makes)
        self._done: list[NDArray[np.uint8]] | None = None

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Picture `index`; made here where the copy failed, so that what is wrong is said here."""
        if self._done is None:
            self._done = self._received()
        return self._done[index] if index < len(self._done) else self._makes[index]()

    def _received(self) -> list[NDArray[np.uint8]]:
        assert self._pipe is not None
        with self._pipe as pipe:
            packed = pipe.read()
        os.waitpid(self._child, 0)
        stream, out = io.BytesIO(packed), []
        with contextlib.suppress(ValueError, EOFError, OSError):  # cut short
            while stream.tell() < len(packed):
                out.append(np.load(stream, allow_pickle=False))
        return out


def _make_and_end(makes: Sequence[Make], reading: int, writing: int) -> None:
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            for make in makes:
                packed = io.BytesIO()  # an array is not saved to a pipe, which has no place to tell
                np.save(packed, make(), allow_pickle=False)
                pipe.write(packed.getvalue())
    finally:
        os._exit(0)  # a copy has nothing of the original's to clear away
