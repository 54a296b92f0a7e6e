"""Workers: the same film whatever their number, errors told, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from spineviz.data.aside import FORKS
from spineviz.data.errors import FaultError, RequestError
from spineviz.film import workers
from spineviz.film.drawing import FilmJob, Task
from spineviz.film.opening import SceneSource
from spineviz.film.pieces import QUALITIES, Piece
from spineviz.film.rendition import Rendition
from spineviz.film.store import PieceStore
from spineviz.film.workers import Places, draw_tasks, in_runs, next_task, worker_count

STANDIN = Path(__file__).with_name("standin.py")
DRAFT = Rendition(quality="draft")
SPANS = (("first", 0.0, 1.2), ("first", 1.2, 2.0), ("second", 2.0, 3.0))
TASKS = tuple(
    Task(f"{i:064x}", piece, len(piece.times_s(15)))
    for i, piece in enumerate(Piece(i, step, start, end) for i, (step, start, end) in enumerate(SPANS))
)
JOB = FilmJob(SceneSource(STANDIN, "Standin"), None, DRAFT)


def drawn(folder, job=JOB, tasks=TASKS, count=1, told=lambda n: None):
    """What workers make in a folder: name -> (bytes, frames), and what the drawer said."""
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    store = PieceStore(folder / "pieces")
    made = draw_tasks(job, Places(store.folder, folder / "scratch"), tasks, told, count)
    assert store.find(task.name for task in tasks) == made.kept
    return {name: (piece.path.read_bytes(), piece.count) for name, piece in made.kept.items()}, made.about


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    made = {}
    for count in (1, 2, 4):
        frames = []
        made[count], about = drawn(tmp_path / str(count), count=count, told=frames.append)
        assert sum(frames) == sum(number for _, number in made[count].values()) == 45
        assert about["measures"]["cement_ml"] == 3.0
    assert made[1] == made[2] == made[4]


def test_the_bytes_do_not_depend_on_what_was_drawn_before(tmp_path):
    forth, _ = drawn(tmp_path / "forth")
    back, _ = drawn(tmp_path / "back", tasks=TASKS[::-1])
    alone = {}
    for task in TASKS:
        alone |= drawn(tmp_path / task.name[-1], tasks=[task])[0]
    assert forth == back == alone


def test_with_nothing_to_draw_a_worker_says_what_it_would_draw(tmp_path):
    made, about = drawn(tmp_path, tasks=())
    assert made == {}
    assert about["measures"]["cement_ml"] == 3.0


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ("request", RequestError, "X9 is not a level"),
        ("crash", FaultError, r"ended unexpectedly \(exit 7\)"),
        ("defect", RuntimeError, "two and two"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_told(tmp_path, monkeypatch, fault, kind, told):
    monkeypatch.setenv("STANDIN_FAULT", fault)
    with pytest.raises(kind, match=told):
        drawn(tmp_path)


def witness(folder, monkeypatch, **told):
    """The job of a film that writes to `folder` who plans and draws."""
    monkeypatch.setenv("WITNESS", str(folder))
    for name, value in told.items():
        monkeypatch.setenv(f"WITNESS_{name}", str(value))
    return FilmJob(SceneSource(STANDIN.with_name("witness.py"), "Witness"), None, DRAFT)


@pytest.mark.skipif(not FORKS, reason="elsewhere each worker loads the plan")
def test_one_plans_for_all(tmp_path, monkeypatch):
    made, _ = drawn(tmp_path, witness(tmp_path, monkeypatch), count=3)
    assert len(made) == 3
    planned, drew = ((tmp_path / name).read_text().split() for name in ("plans", "drawn"))
    assert len(planned) == 1
    assert planned[0] in drew
    assert len(set(drew)) >= 2
    assert alive(map(int, set(drew))) == []


@pytest.mark.parametrize("fatal_s", [0.4, 2.4])  # of the first worker, which forked the other, and of the other
def test_the_piece_of_a_dead_worker_is_drawn_by_another(tmp_path, monkeypatch, fatal_s):
    expected, _ = drawn(tmp_path / "quiet")
    made, _ = drawn(tmp_path, witness(tmp_path, monkeypatch, FATAL_S=fatal_s), count=2)
    assert (tmp_path / "died").exists()
    assert made == expected
    assert alive(map(int, (tmp_path / "drawn").read_text().split())) == []


def test_a_piece_that_kills_twice_is_given_up(tmp_path, monkeypatch):
    asked = witness(tmp_path, monkeypatch, FATAL_S=2.4, AGAIN=1)
    with pytest.raises(FaultError, match=r"ended unexpectedly.* at 2 s of the film; is there enough memory\? What is"):
        drawn(tmp_path, asked, count=2)
    assert alive(map(int, (tmp_path / "drawn").read_text().split())) == []


def test_no_more_workers_than_pieces_cores_and_memory(monkeypatch):
    draft, uhd = QUALITIES["draft"], QUALITIES["uhd"]
    monkeypatch.setattr(workers, "free_bytes", lambda: 1e12)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert worker_count(1, draft) == 1
    assert worker_count(1000, draft) == worker_count(1000, uhd) == 6
    monkeypatch.setattr(workers, "free_bytes", lambda: 4e9)
    assert worker_count(1000, draft) == 6
    assert worker_count(1000, uhd) == 2
    monkeypatch.setattr(workers, "free_bytes", lambda: 1e6)
    assert worker_count(1000, uhd) == 1


def test_every_piece_is_taken_once_by_neighbours_and_nobody_idles():
    tasks = [Task(str(i), Piece(i, "s", 4.0 * i, 4.0 * i + 4.0), 60) for i in range(11)]
    runs = in_runs(tasks, 3)
    assert [task for run in runs for task in run] == tasks
    assert max(map(len, runs)) - min(map(len, runs)) <= 1
    taken = []
    for place in (0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0):
        task = next_task(runs, place)
        taken.append(None if task is None else task.piece.index)
    assert sorted(index for index in taken if index is not None) == list(range(11))
    assert taken[-1] is None


RENDER = """
import sys
from pathlib import Path
from spineviz.film.opening import SceneSource
from spineviz.film.render import Request, local_hands, render_film
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.procedures.case import Case

class Told:
    def stage(self, words): print(words, flush=True)
    def kept(self, count): print("kept", count, flush=True)
    def frames(self, count): print("frame", flush=True)

if __name__ == "__main__":
    source = SceneSource(Path(sys.argv[1]), sys.argv[3])
    show = FilmShow("vertebroplasty", Case(), Rendition(quality="draft"), (0,), source)
    render_film(Request(show, Path(sys.argv[2])), Told(), local_hands(2))
"""


@pytest.fixture
def rendering(tmp_path, monkeypatch):
    """Starts a render of a class of witness.py into a folder of the test, with a cache of the test."""
    script, out = tmp_path / "render.py", tmp_path / "folder" / "film.mp4"
    out.parent.mkdir()
    script.write_text(RENDER)
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WITNESS", str(tmp_path))

    def start(name):
        command = [sys.executable, str(script), str(STANDIN.with_name("witness.py")), str(out), name]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # a shell's background jobs ignore SIGINT, and their children would inherit that
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(command, start_new_session=True, preexec_fn=heed, **streams), out

    return start


def children_of(pid):
    """Every process below `pid`."""
    found, parents = [], {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
    wave = [pid]
    while wave:
        wave = [child for child, parent in parents.items() if parent in wave]
        found += wave
    return found


def alive(pids):
    """Those that still run; a zombie that nobody has waited for does not.

    A process closes its pipes, which is what a render waits for, a moment before the system says that it has ended:
    whoever still seems to run is looked at again for up to a second.
    """
    out, until = list(pids), time.monotonic() + 1.0
    while out := [pid for pid in out if runs(pid)]:
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return out


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sends POSIX signals")


def wait_for(process, line):
    while (said := process.stdout.readline()) and said != line:
        pass
    assert said == line, process.stderr.read()


def gone(below, folder):
    """Whether all processes and all files of a folder go within ten seconds."""
    deadline = time.monotonic() + 10
    while (alive(below) or any(folder.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return alive(below) == [] and not any(folder.iterdir())


@ON_LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_render_leaves_no_file_and_no_process(rendering, number):
    process, out = rendering("Stuck")
    with process:
        wait_for(process, "frame\n")
        below = children_of(process.pid)
        assert len(below) >= 3  # what multiprocessing keeps besides, and two that draw
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        process.wait(20)
    assert process.returncode != 0
    assert gone(below, out.parent)


@ON_LINUX
def test_a_killed_render_goes_on_to_the_bytes_of_an_undisturbed_one(rendering, tmp_path, monkeypatch):
    process, out = rendering("Slow")
    pieces = tmp_path / "cache" / "pieces"
    with process:
        # killed as soon as the first piece is there
        while not [path for path in pieces.glob("*.mp4") if path.name[0] != "."]:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        below = children_of(process.pid)
        process.kill()
        process.wait(20)
    assert gone(below, out.parent)
    assert [path for path in pieces.iterdir() if path.name.startswith(".")] == []
    finished = {path.name: path.stat().st_ino for path in pieces.iterdir()}
    assert 1 <= len(finished) < 3

    process, out = rendering("Slow")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "kept" in said
    assert {name: (pieces / name).stat().st_ino for name in finished} == finished
    resumed = out.read_bytes()

    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "other"))
    for path in out.parent.iterdir():
        path.unlink()
    process, out = rendering("Slow")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "kept" not in said
    assert out.read_bytes() == resumed
