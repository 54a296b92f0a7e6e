"""Finished pieces, kept between runs: each file is whole or not there, and says by its name what its bytes are."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spineviz.data.cache import cache_folder, evict, remove, used_ns
from spineviz.data.errors import FaultError, RequestError

LIMIT_GB = 20.0
"""How much is kept where SPINEVIZ_CACHE_GB says nothing else, gigabytes (chosen)."""

_KEPT = re.compile(r"([0-9a-f]{64})-([0-9a-f]{32})-(\d+)(\.[a-z0-9]+)")
_PART = ".part-"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How the system says that a disk takes no more: no room, no more for this user, no larger file."""


@dataclass(frozen=True)
class KeptPiece:
    """A finished piece.

    Attributes:
        path: its file.
        name: the digest of all that its pixels depend on.
        count: its frames.
        check: the first half of the SHA-256 of its bytes, hexadecimal.
    """

    path: Path
    name: str
    count: int
    check: str

    def is_whole(self) -> bool:
        """Whether the file still holds the bytes that were kept."""
        try:
            return _check_of(self.path) == self.check
        except OSError:
            return False


class PieceStore:
    """The pieces kept in `folder`.

    A file is NAME-CHECK-COUNT.SUFFIX: the piece's name, half of the SHA-256 of its bytes, its frames. It comes into
    being by a move, so that it is never half there; what is truncated, damaged or foreign does not fit its own name.

    Raises FaultError, naming the folder and the remedy, where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with told_as_fault(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass

    def find(self, names: Iterable[str]) -> dict[str, KeptPiece]:
        """Those of `names` that are here and whole; what claims to be one and is not is removed."""
        wanted, found = set(names), {}
        for piece in self._pieces():
            if piece.name in wanted and piece.name not in found:
                if piece.is_whole():
                    found[piece.name] = piece
                else:
                    remove(piece.path)
        self._note_use(found.values())
        return found

    @contextmanager
    def part(self, suffix: str) -> Iterator[Path]:
        """A new file of this folder to write a piece into; gone afterwards unless it was kept.

        Raises FaultError where the disk is full.
        """
        with told_as_fault(self.folder):
            handle, name = tempfile.mkstemp(prefix=f"{_PART}{os.getpid()}-", suffix=suffix, dir=self.folder)
            os.close(handle)
        path = Path(name)
        try:
            yield path
        finally:
            remove(path)

    def keep(self, part: Path, name: str, count: int) -> KeptPiece:
        """Move the finished file `part` of this folder into place as the piece `name` of `count` frames.

        Raises FaultError where the disk does not take it.
        """
        with told_as_fault(self.folder):
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())
            check = _check_of(part)
            piece = KeptPiece(self.folder / f"{name}-{check}-{count}{part.suffix}", name, count, check)
            part.replace(piece.path)
        self._note_use([piece])
        return piece

    def keep_bytes(self, data: bytes, suffix: str, name: str, count: int) -> KeptPiece:
        """Keep a piece that was made elsewhere; raises as `keep`."""
        with self.part(suffix) as part:
            with told_as_fault(self.folder):
                part.write_bytes(data)
            return self.keep(part, name, count)

    def evict(self, limit_bytes: float, pinned: Iterable[str] = ()) -> int:
        """Remove the pieces used longest ago until all take at most `limit_bytes`; never one of the names `pinned`.

        Returns how many were removed.
        """
        self.sweep()
        names, pieces = set(pinned), list(self._pieces())
        return evict([piece.path for piece in pieces], limit_bytes, {p.path for p in pieces if p.name in names})

    def sweep(self) -> None:
        """Remove what writers left behind that are no longer alive."""
        for path in self.folder.glob(f"{_PART}*"):
            if not is_being_written(path):
                remove(path)

    def _pieces(self) -> Iterator[KeptPiece]:
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                if match := _KEPT.fullmatch(path.name):
                    yield KeptPiece(path, match[1], int(match[3]), match[2])

    def _note_use(self, pieces: Iterable[KeptPiece]) -> None:
        """Note that pieces were used, in an order that a clock set back does not upset."""
        latest = max((used_ns(piece.path) for piece in self._pieces()), default=0)
        for number, piece in enumerate(pieces, 1):
            now = max(time.time_ns(), latest) + number
            with contextlib.suppress(OSError):
                os.utime(piece.path, ns=(now, now))


def is_being_written(path: Path) -> bool:
    """Whether a file of a store is one that a living process has begun and not finished."""
    pid = path.name.removeprefix(_PART).partition("-")[0]
    return path.name.startswith(_PART) and pid.isdigit() and lives(int(pid))


def remove_parts_of(folder: Path, pid: int) -> None:
    """Remove what the process `pid` has begun in `folder` and not finished."""
    for path in folder.glob(f"{_PART}{pid}-*"):
        remove(path)


def piece_store() -> PieceStore:
    """The store of this user's cache; raises as PieceStore."""
    return PieceStore(cache_folder() / "pieces")


def limit_bytes() -> float:
    """How much the pieces may take: SPINEVIZ_CACHE_GB gigabytes, or LIMIT_GB.

    Raises RequestError for what is no number of at least 0.
    """
    text = os.environ.get("SPINEVIZ_CACHE_GB", "")
    try:
        limit = float(text) if text else LIMIT_GB
    except ValueError:
        limit = -1.0
    if not 0.0 <= limit < float("inf"):
        raise RequestError(f"SPINEVIZ_CACHE_GB={text!r}: give gigabytes, a number from 0 on, such as {LIMIT_GB:g}")
    return limit * 1e9


@contextmanager
def told_as_fault(folder: Path) -> Iterator[None]:
    """An error of the disk under `folder` as FaultError, one sentence with the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise FaultError(
                f"the cache {folder}: {error.strerror}; make room (spineviz cache clear) or set SPINEVIZ_CACHE to"
                " another folder; what is finished is kept"
            ) from error
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> FaultError:
    return FaultError(
        f"the cache {folder} cannot be written: {error.strerror or error}; set SPINEVIZ_CACHE to a folder that can"
    )


def _check_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def lives(pid: int) -> bool:
    """Whether a process of that number runs; one that has ended and that nobody has waited for does not."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
