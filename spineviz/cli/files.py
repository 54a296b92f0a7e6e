"""Writing of results: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spineviz.data.errors import FaultError


def write_whole(out: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file beside `out`, and move it there when it is complete.

    Raises FaultError, naming --out, where the disk does not take it; nothing half-written is left.
    """
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=".spineviz-", suffix=out.suffix.lower())
    except OSError as error:
        raise FaultError(f"--out {out}: {error.strerror or error}; free some room or choose another folder") from None
    part = Path(name)
    try:
        os.close(handle)
        write(part)
        if part.stat().st_size == 0:
            raise FaultError(f"--out {out}: nothing could be written; free some room or choose another folder")
        part.chmod(0o666 & ~_umask())
        part.replace(out)
    except OSError as error:
        raise FaultError(f"--out {out}: {error.strerror or error}; free some room or choose another folder") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
