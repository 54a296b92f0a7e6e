"""The same pieces as on one machine, drawn by the workers of a dask.distributed scheduler.

Each worker draws one batch at a time. Plans travel with the batch and pieces come back through the scheduler, so no
disk is shared. A worker that dies loses its batch, which another draws; one whose engines differ is refused by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spineviz.data.errors import FaultError, RequestError
from spineviz.film import pace
from spineviz.film.drawing import Job, Task
from spineviz.film.engine import differences, fingerprint
from spineviz.film.naming import sources
from spineviz.film.remote import Batch, Finished, finish, in_batches
from spineviz.film.store import PieceStore
from spineviz.film.workers import TRIES, Drawn, Places
from spineviz.procedures.kept import KeptFiles

if TYPE_CHECKING:
    from distributed import Client, Future

    from spineviz.film.render import Hands
    from spineviz.film.shows import Show

BATCH_S = 20.0
"""A batch is at least so much work: a process starts and loads a plan for each, which takes a few seconds."""

ANSWER_S = 10.0
"""How long a scheduler may take to answer."""

PATIENCE_S = 60.0
"""How long a render waits for a worker when there is none."""

_LOOK_EVERY_S = 1.0


def cluster_hands(address: str, show: Show) -> Hands:
    """Who draws `show` on the scheduler at `address`."""

    def draw(
        job: Job, places: Places, tasks: Sequence[Task], told: Callable[[int], None], planned: Callable[[], None]
    ) -> Drawn:
        with connected(address) as client:
            plans = show.plans()
            planned()
            batches = in_batches(tasks, pace.seconds_a_frame(show.name, job.rendition.size), BATCH_S) or [()]
            work = [Batch(job, batch, plans) for batch in batches]
            return _Render(client, address, PieceStore(places.store), told).finished(work)

    return draw


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at `address`.

    Raises FaultError where the extra is missing or no scheduler answers.
    """
    try:
        import distributed
    except ImportError:
        raise FaultError("--cluster needs dask.distributed; install it with: pip install 'spineviz[cluster]'") from None
    try:
        asyncio.run(_reach(address))  # a client that cannot connect complains again when it is thrown away
        client = distributed.Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:  # TypeError: encryption without a certificate
        raise FaultError(
            f"--cluster {address}: no scheduler answers there; start one with: dask scheduler, and give its address"
        ) from error
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


async def _reach(address: str) -> None:
    """Knock at `address`; whatever distributed raises where nothing of its kind answers."""
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(address, timeout=ANSWER_S, **Security().get_connection_args("client"))
    await comm.close()


def engine_here() -> dict[str, str]:
    """What a worker's bytes depend on besides the task: its engines, and the sources of this project."""
    return {**fingerprint(), "sources": sources()}


@dataclass
class _Render:
    """One render on a cluster."""

    client: Client
    address: str
    store: PieceStore
    told: Callable[[int], None]
    out: Drawn = field(default_factory=Drawn)
    good: set[str] = field(default_factory=set)
    asked: dict[str, Future] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)

    def finished(self, waiting: list[Batch]) -> Drawn:
        """Draw all batches; raises as spineviz.film.render.Hands do."""
        on: dict[str, tuple[Future, Batch]] = {}
        total, idle_since = len(waiting), time.monotonic()
        done = 0
        while done < total:
            self._look_at_workers()
            for worker, (future, batch) in list(on.items()):
                if future.done():
                    del on[worker]
                    if self._taken(future, batch):
                        done += 1
                    else:
                        waiting.insert(0, batch)
                elif worker not in self.good:  # it is gone, and its batch with it
                    future.cancel()
                    del on[worker]
                    waiting.insert(0, self._again(batch))
            for worker in sorted(self.good - on.keys()):
                if waiting:
                    batch = waiting.pop(0)
                    on[worker] = self._submitted(worker, finish, batch), batch
            if on:
                idle_since = time.monotonic()
                self._wait([future for future, _ in on.values()])
            elif time.monotonic() - idle_since > PATIENCE_S or (self.refused and not self.good | self.asked.keys()):
                raise FaultError(self._nobody())
            else:
                time.sleep(_LOOK_EVERY_S)
        return self.out

    def _wait(self, futures: list[Future]) -> None:
        from distributed import wait
        from distributed.client import FuturesCancelledError

        # nothing came yet, or the scheduler went and took the futures along: that shows when it is asked next
        with contextlib.suppress(TimeoutError, FuturesCancelledError), self.client.as_current():
            wait(futures, timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED")

    def _look_at_workers(self) -> None:
        """Who is there; a new one is asked for its engines."""
        there = self._workers()
        self.good &= there.keys()
        for worker in self.asked.keys() - there.keys():
            self.asked.pop(worker).cancel()
        for worker in there.keys() - self.good - self.refused.keys() - self.asked.keys():
            self.asked[worker] = self._submitted(worker, engine_here)
        # one that hangs holds up nobody else
        for worker in [worker for worker, future in self.asked.items() if future.done()]:
            try:
                engine = self.asked.pop(worker).result(timeout=ANSWER_S)
            except Exception as error:  # whatever it lacks, it cannot draw
                self._refuse(worker, there[worker], f"it cannot draw: {error or type(error).__name__}")
                continue
            wrong = differences(engine_here(), engine)
            if wrong:
                self._refuse(worker, there[worker], "; ".join(wrong))
            else:
                self.good.add(worker)

    def _submitted(self, worker: str, work: Callable[..., Any], *arguments: Any) -> Future:
        """What `worker` alone is to do; FaultError where the scheduler is gone."""
        try:
            return self.client.submit(work, *arguments, workers=[worker], pure=False, retries=0)
        except Exception as error:
            raise FaultError(self._gone()) from error

    def _refuse(self, worker: str, name: str, why: str) -> None:
        self.refused[worker] = f"worker {name} at {worker} is refused, {why}"
        print(self.refused[worker], file=sys.stderr, flush=True)

    def _workers(self) -> dict[str, str]:
        """Address -> name of every worker; FaultError where the scheduler is gone."""
        if self.client.status not in ("running", "connecting"):
            raise FaultError(self._gone())
        try:
            told: Any = self.client.sync(self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_S)
        except Exception as error:
            raise FaultError(self._gone()) from error
        return {worker: str(about.get("name", "")) for worker, about in told["workers"].items()}

    def _taken(self, future: Future, batch: Batch) -> bool:
        """Keep what a batch became; False where it is to be drawn again."""
        if future.status != "finished":
            error = future.exception(timeout=ANSWER_S) if future.status == "error" else None
            self._again(batch, f"the worker said: {error!r}" if error else "the worker died")
            return False
        try:
            finished: Finished = future.result(timeout=PATIENCE_S)
        except Exception as error:  # a scheduler that is gone shows when it is asked next
            self._again(batch, f"its result did not come: {error or type(error).__name__}")
            return False
        if finished.failure is not None:
            kind, words = finished.failure
            if kind == "request":
                raise RequestError(words)
            if kind == "defect":
                raise RuntimeError(words)
            self._again(batch, words)
            return False
        suffix = batch.job.rendition.output.segment_suffix
        for task in batch.tasks:
            data, count = finished.pieces[task.name]
            self.out.kept[task.name] = self.store.keep_bytes(data, suffix, task.name, count)
            self.told(count)
        self.out.about = self.out.about or finished.about
        self.out.seconds_a_frame = finished.seconds_a_frame or self.out.seconds_a_frame
        return True

    def _again(self, batch: Batch, why: str = "the worker died") -> Batch:
        """The batch, to be drawn again; FaultError where that was tried before."""
        self.tries[id(batch)] = self.tries.get(id(batch), 0) + 1
        if self.tries[id(batch)] > TRIES:
            raise FaultError(
                f"--cluster {self.address}: a batch failed {TRIES + 1} times, {why}; what is finished is kept"
            )
        return batch

    def _gone(self) -> str:
        return f"--cluster {self.address}: the scheduler is gone; what is finished is kept: start it and render again"

    def _nobody(self) -> str:
        if self.refused:
            return f"--cluster {self.address}: no worker can draw: {next(iter(self.refused.values()))}"
        wanted = "what is finished is kept: start one and render again"
        return f"--cluster {self.address}: no worker for {PATIENCE_S:g} s; {wanted}"


__all__ = ["BATCH_S", "KeptFiles", "cluster_hands", "connected", "engine_here"]
