"""Workers: the same film whatever their number, errors told, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from spineviz.data.errors import FaultError, RequestError
from spineviz.film.pieces import QUALITIES, Piece
from spineviz.film.workers import FORKS, Job, SceneSource, draw_pieces, in_runs, next_piece, worker_count

STANDIN = Path(__file__).with_name("standin.py")
PIECES = (Piece(0, "first", 0.0, 1.2), Piece(1, "first", 1.2, 2.0), Piece(2, "second", 2.0, 3.0))


def job(folder):
    return Job(SceneSource(STANDIN, "Standin"), None, QUALITIES["draft"], folder)


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    made = {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        frames = []
        drawn = draw_pieces(job(folder), PIECES, frames.append, count)
        assert sum(frames) == sum(number for _, number in drawn.parts.values()) == 45
        assert drawn.about["measures"]["cement_ml"] == 3.0
        made[count] = [drawn.parts[piece.index][0].read_bytes() for piece in PIECES]
    assert made[1] == made[2]


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
        draw_pieces(job(tmp_path), PIECES, lambda n: None, 1)


def witness(folder, monkeypatch, **told):
    """The job of a film that writes to `folder` who plans and draws."""
    monkeypatch.setenv("WITNESS", str(folder))
    for name, value in told.items():
        monkeypatch.setenv(f"WITNESS_{name}", str(value))
    return Job(SceneSource(STANDIN.with_name("witness.py"), "Witness"), None, QUALITIES["draft"], folder)


@pytest.mark.skipif(not FORKS, reason="elsewhere each worker loads the plan")
def test_one_plans_for_all(tmp_path, monkeypatch):
    drawn = draw_pieces(witness(tmp_path, monkeypatch), PIECES, lambda n: None, 3)
    assert len(drawn.parts) == 3
    planned, drew = ((tmp_path / name).read_text().split() for name in ("plans", "drawn"))
    assert len(planned) == 1
    assert planned[0] in drew
    assert len(set(drew)) >= 2
    assert alive(map(int, set(drew))) == []


@pytest.mark.parametrize("fatal_s", [0.4, 2.4])  # of the first worker, which forked the other, and of the other
def test_the_piece_of_a_dead_worker_is_drawn_by_another(tmp_path, monkeypatch, fatal_s):
    quiet = draw_pieces(job(tmp_path), PIECES, lambda n: None, 1)
    expected = {index: (path.read_bytes(), count) for index, (path, count) in quiet.parts.items()}
    drawn = draw_pieces(witness(tmp_path, monkeypatch, FATAL_S=fatal_s), PIECES, lambda n: None, 2)
    assert (tmp_path / "died").exists()
    assert {index: (path.read_bytes(), count) for index, (path, count) in drawn.parts.items()} == expected
    assert alive(map(int, (tmp_path / "drawn").read_text().split())) == []


def test_a_piece_that_kills_twice_is_given_up(tmp_path, monkeypatch):
    asked = witness(tmp_path, monkeypatch, FATAL_S=2.4, AGAIN=1)
    with pytest.raises(FaultError, match=r"ended unexpectedly.* at 2 s of the film; is there enough memory\?"):
        draw_pieces(asked, PIECES, lambda n: None, 2)
    assert alive(map(int, (tmp_path / "drawn").read_text().split())) == []


def test_no_more_workers_than_pieces():
    assert worker_count(1) == 1
    assert 1 <= worker_count(1000) <= 8


def test_every_piece_is_taken_once_by_neighbours_and_nobody_idles():
    pieces = [Piece(i, "s", 4.0 * i, 4.0 * i + 4.0) for i in range(11)]
    runs = in_runs(pieces, 3)
    assert [piece for run in runs for piece in run] == pieces
    assert max(map(len, runs)) - min(map(len, runs)) <= 1
    taken = []
    for place in (0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0):
        piece = next_piece(runs, place)
        taken.append(None if piece is None else piece.index)
    assert sorted(index for index in taken if index is not None) == list(range(11))
    assert taken[-1] is None


RENDER = """
import sys
from functools import partial
from pathlib import Path
from spineviz.film.pieces import QUALITIES
from spineviz.film.render import Request, render_film
from spineviz.film.workers import SceneSource
from spineviz.procedures.case import Case

class Quiet:
    def stage(self, words): print(words, flush=True)
    def frames(self, count): print("frame", flush=True)

if __name__ == "__main__":
    source = SceneSource(Path(sys.argv[1]), "Stuck")
    asked = Request("vertebroplasty", Case(), QUALITIES["draft"], (0,), Path(sys.argv[2]), False, source)
    render_film(asked, Quiet(), 2)
"""


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_render_leaves_no_file_and_no_process(tmp_path, number):
    script, out = tmp_path / "render.py", tmp_path / "folder" / "film.mp4"
    out.parent.mkdir()
    script.write_text(RENDER)
    command = [sys.executable, str(script), str(STANDIN.with_name("witness.py")), str(out)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a shell's background jobs ignore SIGINT, and their children would inherit that
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=heed, **streams)
    with process:
        while (line := process.stdout.readline()) and line != "frame\n":
            pass
        assert line == "frame\n", process.stderr.read()
        below = children_of(process.pid)
        assert len(below) >= 3  # what multiprocessing keeps besides, and two that draw
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        process.wait(20)
    assert process.returncode != 0
    deadline = time.monotonic() + 10
    while (alive(below) or any(out.parent.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(below) == []
    assert list(out.parent.iterdir()) == []
