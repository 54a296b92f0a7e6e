"""Work that is done by a copy of this process while this one goes on.

What is made is the same wherever it is made: whether there is a copy, and how many cores, decides only how long it
takes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Generic, Self, TypeVar

from spineviz.data.once import Call

_T = TypeVar("_T")


FORKS = sys.platform.startswith("linux")
"""Whether a process may be copied; on other systems libraries of windows and threads do not outlive a fork."""


_GIVES_WAY = 10
"""By so many steps of niceness what is made beside something else gives way to it where it may not be needed."""


def two_at_once() -> bool:
    """Whether this process may be copied now, and the copy would have a core of its own. Not while another thread runs:
    what that holds locked at the moment stays locked in the copy for ever."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1 and FORKS and threading.active_count() == 1


class Aside(Generic[_T]):
    """What a forked copy of this process makes, which must not draw with OpenGL. What the copy keeps for itself is
    lost.

    Args:
        makes: each makes one result, of plain values and arrays; they run one after the other.
    """

    def __init__(self, makes: Sequence[Callable[[], _T]]) -> None:
        self._makes = list(makes)
        self._done: list[_T] | None = None
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # other threads than this one are those of numerical libraries, which expect to be copied
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            _make_and_end(makes, reading, writing)
        os.close(writing)
        self._pipe: IO[bytes] = os.fdopen(reading, "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the copy, if nobody waited for it."""
        if self._done is None:
            self._done = []
            self._pipe.close()
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)

    def result(self, index: int) -> _T:
        """Result `index`; made here where the copy failed, so that what is wrong is said here."""
        if self._done is None:
            self._done = self._received()
        return self._done[index] if index < len(self._done) else self._makes[index]()

    def _received(self) -> list[_T]:
        out: list[_T] = []
        # a pickle of our own copy's: it never lay anywhere
        with self._pipe as pipe, contextlib.suppress(EOFError, pickle.UnpicklingError, OSError):  # cut short
            while True:
                out.append(pickle.load(pipe))
        os.waitpid(self._child, 0)
        return out


def _make_and_end(makes: Sequence[Callable[[], Any]], reading: int, writing: int) -> None:
    made: list[bytes] = []
    try:
        os.close(reading)
        with contextlib.suppress(Exception):  # it is made, and fails, there
            for make in makes:
                made.append(pickle.dumps(make(), pickle.HIGHEST_PROTOCOL))
        # only now: a pipe holds little, and until somebody reads it the next one would wait to be made
        with os.fdopen(writing, "wb") as pipe, contextlib.suppress(OSError):
            pipe.writelines(made)
    finally:
        os._exit(0)  # a copy has nothing of the original's to clear away


@contextlib.contextmanager
def beside(calls: Sequence[Call], perhaps: Sequence[Call] = ()) -> Iterator[None]:
    """While the block runs, a copy of this process makes what `calls` give, of plain values and arrays, in their order,
    and whoever asks for one of them has it from there or makes it for all; then, giving way to others, what may be
    needed too. Where no copy may be made they are made when they are asked for."""
    if not calls or not two_at_once():
        yield
        return
    from spineviz.data import board

    def work() -> None:
        shared.work(calls)
        os.nice(_GIVES_WAY)
        shared.work(perhaps)

    with board.opened([*calls, *perhaps]) as shared, Aside([work]):
        yield


def make_ahead(calls: Sequence[Call]) -> None:
    """Make what `calls` give, of plain values and arrays, with a copy of this process: from both ends to the middle.

    A copy that makes them anyway is helped; they are fetched when they are asked for."""
    missing = [(function, arguments) for function, arguments in calls if not function.has(*arguments)]
    if len(missing) < 2 or not two_at_once():
        return
    from spineviz.data import board

    there = board.open_board()
    if there is not None and there.lists(missing):
        there.work(missing[::-1])
    else:
        with board.opened(missing) as shared, Aside([lambda: shared.work(missing)]) as copy:
            shared.work(missing[::-1])
            copy.result(0)
            for function, arguments in missing:
                function(*arguments)


def made_by_two(makes: Sequence[Callable[[], _T]]) -> list[_T]:
    """What each of `makes` gives; the later half of them, of plain values and arrays, in a copy of this process."""
    middle = (len(makes) + 1) // 2
    if middle == len(makes) or not two_at_once():
        return [make() for make in makes]
    with Aside(makes[middle:]) as aside:
        return [make() for make in makes[:middle]] + [aside.result(k) for k in range(len(makes) - middle)]
