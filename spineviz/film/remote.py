"""Drawing on behalf of a process that is no part of this program, such as a cluster's worker.

It runs as a process of its own, `python -m spineviz.film.remote`, whose engines are set up exactly as on one machine: a
batch comes in by standard input, finished pieces go out by standard output. It ends when its caller does.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from spineviz.data.errors import FaultError, RequestError
from spineviz.film.drawing import Job, Task
from spineviz.procedures.kept import KeptFiles, put_files

_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Batch:
    """Some tasks of a job, with the plans that it needs."""

    job: Job
    tasks: tuple[Task, ...]
    plans: KeptFiles = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """What a batch became.

    Attributes:
        pieces: task.name -> the piece's bytes and its frames.
        about: what is drawn says of itself.
        seconds_a_frame: what drawing one took.
        failure: ("request" or "fault", the sentence), or None.
    """

    pieces: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    seconds_a_frame: float = 0.0
    failure: tuple[str, str] | None = None


def finish(batch: Batch) -> Finished:
    """Draw `batch` in a process of its own and wait for it; a process that dies is a failure, not an exception."""
    command = [sys.executable, "-m", "spineviz.film.remote"]
    question = _measured(pickle.dumps(batch))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(question)
            process.stdin.flush()  # and it stays open: its end tells the other side that nobody waits any more
            answer = process.stdout.read()
        except BrokenPipeError:
            answer = b""
        finally:
            process.stdin.close()
    length, data = int.from_bytes(answer[:_LENGTH_BYTES], "big"), answer[_LENGTH_BYTES:]
    if not answer or len(data) != length:
        return Finished(failure=("fault", f"a drawing process ended unexpectedly (exit {process.returncode})"))
    finished: Finished = pickle.loads(data)
    return finished


def draw(batch: Batch) -> Finished:
    """Draw `batch` here, by one worker, in a folder that is gone afterwards."""
    from spineviz.film.workers import Places, draw_tasks

    put_files(batch.plans)
    with tempfile.TemporaryDirectory(prefix="spineviz-") as name:
        places = Places(Path(name) / "pieces", Path(name) / "scratch")
        try:
            drawn = draw_tasks(batch.job, places, batch.tasks, lambda _: None, 1)
        except RequestError as error:
            return Finished(failure=("request", str(error)))
        except FaultError as error:
            return Finished(failure=("fault", str(error)))
        except RuntimeError as error:
            return Finished(failure=("defect", str(error)))
        pieces = {name: (piece.path.read_bytes(), piece.count) for name, piece in drawn.kept.items()}
        return Finished(pieces, drawn.about, drawn.seconds_a_frame)


def main() -> None:
    """Read a batch, draw it, write what became of it."""
    source, answer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answer
    batch: Batch = pickle.loads(source.read(int.from_bytes(source.read(_LENGTH_BYTES), "big")))
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    answer.write(_measured(pickle.dumps(draw(batch))))
    answer.close()
    os._exit(0)  # the thread still reads, which the interpreter's usual end does not bear


def _measured(data: bytes) -> bytes:
    """`data` with its length before it, by which the other side knows that it is whole."""
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def _end_with(source: BinaryIO) -> None:
    """End this process as soon as its caller is gone; those that it started see that and end too."""
    source.read()
    os._exit(1)


def in_batches(tasks: Sequence[Task], seconds_a_frame: float, least_s: float) -> list[tuple[Task, ...]]:
    """Neighbours together until they are `least_s` seconds of work."""
    batches: list[tuple[Task, ...]] = []
    batch: list[Task] = []
    for task in tasks:
        batch.append(task)
        if seconds_a_frame * sum(t.count for t in batch) >= least_s:
            batches.append(tuple(batch))
            batch = []
    return [*batches, tuple(batch)] if batch else batches


if __name__ == "__main__":
    # under its own name, so that what it sends is of the classes that its caller knows
    from spineviz.film import remote

    remote.main()
