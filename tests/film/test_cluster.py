"""A cluster makes the same bytes as one machine, whoever dies meanwhile; what is not there or does not fit is told."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest

from spineviz.data.errors import FaultError
from spineviz.film import cluster as module
from spineviz.film.cluster import cluster_hands, engine_here
from spineviz.film.drawing import Task
from spineviz.film.engine import differences
from spineviz.film.opening import SceneSource
from spineviz.film.pieces import Piece
from spineviz.film.remote import in_batches
from spineviz.film.render import Request, local_hands, render_film
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.procedures.case import Case

SOURCE = SceneSource(Path(__file__).with_name("witness.py"), "Slow")
SHOW = FilmShow("vertebroplasty", Case(), Rendition(quality="draft"), (0, 1), SOURCE)


class Told:
    def __init__(self):
        self.count, self.there, self.after = 0, 0, lambda: None

    def stage(self, words):
        pass

    def kept(self, count):
        self.there += count

    def frames(self, count):
        self.count += count
        self.after()


class Cluster:
    """A scheduler and its workers, processes of their own on this machine."""

    def __init__(self, folder):
        self.folder, self.running = folder, {}
        self.environment = {**os.environ, "WITNESS": str(folder), "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False"}
        self.address = ""

    def start(self, *arguments, name, **environment):
        env = {**self.environment, "SPINEVIZ_CACHE": str(self.folder / f"{name}-cache"), **environment}
        command = [sys.executable, "-m", "dask", *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=self.folder)

    def scheduler(self):
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", name="scheduler")
        self.address = self.said("scheduler", r"Scheduler at:\s+(tcp://\S+)")

    def worker(self, name, **environment):
        options = ("--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.start("worker", self.address, *options, name=name, **environment)
        self.said(name, r"(Registered to)")

    def said(self, name, pattern):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if found := re.search(pattern, (self.folder / f"{name}.log").read_text(errors="replace")):
                return found[1]
            assert self.running[name].poll() is None, (self.folder / f"{name}.log").read_text()
            time.sleep(0.1)
        raise AssertionError(f"{name} did not start")

    def kill(self, name, number=signal.SIGKILL):
        self.running[name].send_signal(number)
        self.running.pop(name).wait(20)

    def close(self):
        for name in list(self.running):
            self.kill(name)


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    try:
        made.scheduler()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The film's bytes as one machine makes them, in a cache of its own."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINEVIZ_CACHE", str(folder / "cache"))
        patch.setenv("WITNESS", str(folder))
        render_film(Request(SHOW, folder / "film.mp4"), Told(), local_hands(2))
    return (folder / "film.mp4").read_bytes()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "BATCH_S", 0.1)  # a piece a batch


def children_left(folder):
    """Processes that draw for a worker of this test and still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (
                str(folder).encode() in (entry / "environ").read_bytes()
                and b"spineviz.film.remote" in (entry / "cmdline").read_bytes()
            ):
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_a_worker_killed_in_the_middle_changes_nothing(cluster, alone, tmp_path):
    cluster.worker("one")
    cluster.worker("two")
    told = Told()

    def kill_once():
        if "one" in cluster.running:
            cluster.kill("one")

    told.after = kill_once
    out = tmp_path / "film.mp4"
    render_film(Request(SHOW, out), told, cluster_hands(cluster.address, SHOW))
    assert "one" not in cluster.running
    assert out.read_bytes() == alone
    assert told.count == sum(task.count for task in SHOW.tasks)
    until = time.monotonic() + 10
    while children_left(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert children_left(tmp_path) == []


def test_a_scheduler_that_goes_away_is_told_and_finished_pieces_are_kept(cluster, alone, tmp_path):
    cluster.worker("one")
    told = Told()
    told.after = lambda: "scheduler" in cluster.running and cluster.kill("scheduler")
    out = tmp_path / "film.mp4"
    with pytest.raises(FaultError, match=r"--cluster tcp://.*: the scheduler is gone; what is finished is kept"):
        render_film(Request(SHOW, out), told, cluster_hands(cluster.address, SHOW))
    assert not out.exists()
    again = Told()
    render_film(Request(SHOW, out), again, local_hands(1))
    assert again.there == told.count > 0
    assert out.read_bytes() == alone


def test_a_scheduler_that_goes_away_while_it_is_waited_for_is_told(cluster, tmp_path, monkeypatch):
    cluster.worker("one")
    real = distributed.wait

    def wait(futures, **options):
        if "scheduler" in cluster.running:
            cluster.kill("scheduler")
        ends = time.monotonic() + 20.0
        while not any(future.cancelled() for future in futures) and time.monotonic() < ends:
            time.sleep(0.05)
        return real(futures, **options)

    monkeypatch.setattr(distributed, "wait", wait)
    with pytest.raises(FaultError, match=r"--cluster tcp://.*: the scheduler is gone; what is finished is kept"):
        render_film(Request(SHOW, tmp_path / "film.mp4"), Told(), cluster_hands(cluster.address, SHOW))


def test_a_scheduler_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    with pytest.raises(FaultError, match=r"--cluster tcp://127\.0\.0\.1:9: no scheduler answers there; start one"):
        render_film(Request(SHOW, tmp_path / "film.mp4"), Told(), cluster_hands("tcp://127.0.0.1:9", SHOW))
    assert not list(tmp_path.glob("film*"))


def test_a_worker_with_other_engines_is_refused_by_name(cluster, tmp_path, monkeypatch, capsys):
    cluster.worker("odd")
    here = engine_here() | {"libavcodec": "1.2.3"}
    monkeypatch.setattr(module, "differences", lambda _, there: differences(here, there))
    with pytest.raises(FaultError, match=r"no worker can draw: worker odd at tcp://.* is refused, libavcodec: 1\.2\.3"):
        render_film(Request(SHOW, tmp_path / "film.mp4"), Told(), cluster_hands(cluster.address, SHOW))
    assert "worker odd at tcp://" in capsys.readouterr().err


def test_no_worker_is_told(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 1.0)
    with pytest.raises(FaultError, match=r"no worker for 1 s; what is finished is kept: start one and render again"):
        render_film(Request(SHOW, tmp_path / "film.mp4"), Told(), cluster_hands(cluster.address, SHOW))


def test_a_worker_that_hangs_holds_up_nobody_and_when_all_die_what_is_finished_is_kept(
    cluster, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_S", 3.0)
    cluster.worker("one")
    cluster.worker("two")
    cluster.running["one"].send_signal(signal.SIGSTOP)
    told, out = Told(), tmp_path / "film.mp4"

    def end():
        for name in cluster.running.keys() - {"scheduler"}:
            cluster.kill(name)

    told.after = end
    with pytest.raises(FaultError, match=r"no worker for 3 s; what is finished is kept: start one and render again"):
        render_film(Request(SHOW, out), told, cluster_hands(cluster.address, SHOW))
    assert told.count > 0
    assert not list(tmp_path.glob("*film*"))
    again = Told()
    render_film(Request(SHOW, out), again, local_hands(1))
    assert again.there == told.count
    assert out.read_bytes() == alone


@pytest.mark.parametrize("address", ["", "nonsense", "tls://127.0.0.1:9", "http://x", "tcp://[::1", "tcp://127.0.0.1"])
def test_an_address_that_cannot_be_is_told(tmp_path, monkeypatch, address):
    monkeypatch.setattr(module, "ANSWER_S", 1.0)
    with pytest.raises(FaultError, match=rf"--cluster {re.escape(address)}: no scheduler answers there; start one"):
        render_film(Request(SHOW, tmp_path / "film.mp4"), Told(), cluster_hands(address, SHOW))
    assert not list(tmp_path.glob("*film*"))


def test_batches_are_neighbours_of_so_much_work():
    tasks = [Task(str(i), Piece(i, "s", 4.0 * i, 4.0 * i + 4.0), 60) for i in range(11)]
    batches = in_batches(tasks, 0.1, 20.0)
    assert [task for batch in batches for task in batch] == tasks
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert in_batches([], 0.1, 20.0) == []


def test_fingerprints_tell_what_differs():
    here = engine_here()
    assert differences(here, dict(here)) == []
    assert {"numpy", "av", "libavcodec", "font", "rasteriser", "processor", "sources"} <= set(here)
    assert differences(here, here | {"numpy": "1.0"}) == [f"numpy: {here['numpy']} here, 1.0 there"]
    assert differences(here, {k: v for k, v in here.items() if k != "font"}) == [
        f"font: {here['font']} here, missing there"
    ]
