"""What a process and its copies make for one another: each thing is made by the one that needs it first.

A board lists calls of `once` functions. Whoever asks for one of them looks there: where it has been made it is read,
where another process is making it that one is waited for, and else it is made here and laid on the board.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import pickle
import struct
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from spineviz.data.once import Call, ask_first, once

_SIZE = struct.Struct("q")
"""Of each thing how many bytes it has: none until it is there."""
_ROOM = 1 << 32
"""So far apart things begin in the file, which holds only what is written."""


class Board:
    """The results of `calls`, plain values and arrays, for this process and for all that are copied from it.

    It is a file in memory: a table of sizes, then what was made, each thing in its own place. The lock of a thing is
    held by who makes it, and the system frees it should that one die; then the next one that needs it makes it.

    Args:
        calls: what is on it.
        outer: is asked for all that is not.
    """

    def __init__(self, calls: Sequence[Call], outer: Board | None = None) -> None:
        self.calls, self.outer = list(dict.fromkeys(calls)), outer
        self._places = {call: place for place, call in enumerate(self.calls)}
        self._file = os.memfd_create("spineviz-board")
        os.ftruncate(self._file, _SIZE.size * len(self.calls))
        self._table = mmap.mmap(self._file, _SIZE.size * len(self.calls))

    def close(self) -> None:
        """Let go of what lies there; who asks for it later makes it."""
        self._table.close()
        os.close(self._file)

    def made(self, function: once[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], Any]) -> Any:
        """What `function` gives for `arguments`, which `make` makes."""
        place = self._places.get((function, arguments))
        if place is None:
            return self._made_beyond(function, arguments, make)
        if self.is_there(place):
            return self._read(place)
        with self._held(place):
            if self.is_there(place):  # while this one waited for it
                return self._read(place)
            found = self._made_beyond(function, arguments, make)
            self._lay(place, found)
            return found

    def _made_beyond(self, function: once[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], Any]) -> Any:
        """What the outer board has, or `make` makes."""
        return make() if self.outer is None else self.outer.made(function, arguments, make)

    def is_there(self, place: int) -> bool:
        """Whether the thing at `place` has been made."""
        return self._size(place) > 0

    def work(self, calls: Sequence[Call]) -> None:
        """Make what is missing of `calls`, one after the other, but not what another process is making."""
        for function, arguments in calls:
            place = self._places[function, arguments]
            if not self.is_there(place) and self._is_free(place):
                function(*arguments)

    def lists(self, calls: Sequence[Call]) -> bool:
        """Whether all of `calls` are on the board."""
        return all(call in self._places for call in calls)

    def _size(self, place: int) -> int:
        return int(_SIZE.unpack_from(self._table, _SIZE.size * place)[0])

    def _read(self, place: int) -> Any:
        # a pickle of our own: nobody else knows of the file
        return pickle.loads(os.pread(self._file, self._size(place), _ROOM * (place + 1)))

    def _lay(self, place: int, made: Any) -> None:
        packed = pickle.dumps(made, pickle.HIGHEST_PROTOCOL)
        written = 0
        try:
            while written < len(packed):
                written += os.pwrite(self._file, packed[written:], _ROOM * (place + 1) + written)
        except OSError:  # no room, or files may not be so long here: the others make it themselves
            return
        _SIZE.pack_into(self._table, _SIZE.size * place, len(packed))  # last: from here on it is there

    def _is_free(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return False
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
        return True

    @contextlib.contextmanager
    def _held(self, place: int) -> Iterator[None]:
        """The lock of an entry, held by this process; waits for another one's."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, place)
        except OSError as error:
            # two threads here and another process that wait for one another only seem to wait for ever: the system
            # does not know of threads. What is made twice is the same.
            if error.errno != errno.EDEADLK:
                raise
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


_open: list[Board] = []


@contextlib.contextmanager
def opened(calls: Sequence[Call]) -> Iterator[Board]:
    """A board of `calls` that is asked first while the block runs, here and in copies of this process."""
    board = Board(calls, open_board())
    _open.append(board)
    ask_first(board)
    try:
        yield board
    finally:
        _open.remove(board)
        ask_first(_open[-1] if _open else None)
        board.close()


def open_board() -> Board | None:
    """The board that is asked now, if there is one."""
    return _open[-1] if _open else None
