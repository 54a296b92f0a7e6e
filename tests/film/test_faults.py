"""Whatever the machine or its user does to a render: one clear sentence, the right exit code, nothing half-written, no
process left, and nothing that was finished is lost: the next run goes on to the bytes of an undisturbed one."""

import io
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import psutil
import pytest

from spineviz.cli import main
from spineviz.data.errors import FaultError
from spineviz.film import pace, render
from spineviz.film.opening import SceneSource
from spineviz.film.render import Request, local_hands, missing, render_film
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.film.store import KeptPiece, piece_store
from spineviz.film.workers import Drawn
from spineviz.procedures.case import Case

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sends POSIX signals")

FAULTY = Path(__file__).with_name("faulty.py")
SHOW = FilmShow("vertebroplasty", Case(), Rendition(quality="draft"), (0,), SceneSource(FAULTY, "Faulty"))
ASKED = ("render", f"{FAULTY}:Faulty", "--quality", "draft", "--steps", "1")


def run(*arguments):
    """Exit code, standard output, standard error of the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main.main([str(argument) for argument in arguments], prog_name="spineviz")
    return end.value.code, out.getvalue(), err.getvalue()


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "spineviz", *map(str, arguments)]


def started(*arguments, **environment):
    """The command line as a process that heads a group of its own."""
    # a shell's background jobs ignore SIGINT, and their children would inherit that
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = {**os.environ, **environment}
    return subprocess.Popen(command(*arguments), start_new_session=True, preexec_fn=heed, env=env, **streams)


def is_one_sentence(err):
    return err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def kept():
    """Name -> inode of each piece that is finished; all are whole."""
    pieces = list(piece_store()._pieces())
    assert all(piece.is_whole() for piece in pieces)
    return {piece.path.name: piece.path.stat().st_ino for piece in pieces}


def below(process):
    return psutil.Process(process.pid).children(recursive=True)


def are_gone(processes):
    """Whether all end within ten seconds; a zombie that nobody has waited for has."""
    until = time.monotonic() + 10
    while left := [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]:
        if time.monotonic() > until:
            return not left
        time.sleep(0.05)
    return True


def within(seconds, true):
    until = time.monotonic() + seconds
    while not (said := true()) and time.monotonic() < until:
        time.sleep(0.01)
    return said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The film's file and its cache, from a run of the real command line that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    env = {**os.environ, "SPINEVIZ_CACHE": str(folder / "cache")}
    subprocess.run(command(*ASKED, "--out", folder / "film.mp4", "--jobs", "2"), env=env, check=True)
    return folder / "film.mp4", folder / "cache"


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Where to render to, in a folder of its own; the cache is new."""
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAULT", raising=False)
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "film.mp4"


@pytest.fixture
def drawn(out, undisturbed):
    """The same, with a cache in which all pieces are."""
    shutil.copytree(undisturbed[1], os.environ["SPINEVIZ_CACHE"])
    return out


# --- what befalls a worker ---


def test_whatever_ends_a_worker_is_told_and_the_pieces_before_it_are_kept(out, undisturbed, monkeypatch):
    before = {}
    for fault, told in {
        "memory@4": "not enough memory; what is finished is kept; try fewer --jobs or a lower --quality",
        "kill@4": "ended unexpectedly (signal 9) at 3.2 s of the film; is there enough memory? What is finished is",
        "quota@4": "File too large; make room (spineviz cache clear) or set SPINEVIZ_CACHE to another folder; what is",
        "library@4": "libGL.so.1: cannot open shared object file; spineviz doctor names what is missing and how to",
    }.items():
        monkeypatch.setenv("FAULT", fault)
        code, said, err = run(*ASKED, "--out", str(out), "--jobs", "1")
        assert (code, said) == (1, ""), fault
        assert told in err, fault
        assert is_one_sentence(err), fault
        assert names(out.parent) == []
        assert len(kept()) == 1
        assert names(piece_store().folder) == list(kept())
        assert before in ({}, kept()), fault
        before = kept()
        assert are_gone(psutil.Process().children(recursive=True)[1:])  # one of them is multiprocessing's own
    monkeypatch.delenv("FAULT")
    assert run(*ASKED, "--out", str(out))[0] == 0
    assert before.items() <= kept().items()
    assert out.read_bytes() == undisturbed[0].read_bytes()


def test_without_opengl_nothing_is_drawn_and_the_doctor_is_named(tmp_path, out):
    for library in ("libEGL.so", "libEGL.so.1", "libGL.so", "libGL.so.1"):
        (tmp_path / library).touch()
    process = started(*ASKED, "--out", out, LD_LIBRARY_PATH=str(tmp_path))
    said, err = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert "off-screen OpenGL: " in err
    assert "spineviz doctor names the missing library" in err
    assert is_one_sentence(err)
    assert names(out.parent) == []


# --- disks ---

OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")
MAY_MOUNT = shutil.which("unshare") is not None and not subprocess.run(
    [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
).returncode  # fmt: skip


def on_a_small_disk(folder, size, script, **environment):
    """Exit code and what is said by a shell script that sees a disk of `size` at `folder`, gone afterwards."""
    folder.mkdir(exist_ok=True)
    lines = f"set -e; mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))}; set +e; {script}"
    env = {**os.environ, **environment}
    return subprocess.run([*OWN_MOUNTS, "sh", "-c", lines], capture_output=True, text=True, env=env, check=False)


@pytest.mark.skipif(not MAY_MOUNT, reason="nobody may mount a disk here; the quota above stands for it")
def test_a_cache_whose_disk_fills_while_drawing(tmp_path, out, undisturbed):
    asked, pieces = shlex.join(command(*ASKED, "--out", out, "--jobs", "1")), tmp_path / "cache" / "pieces"
    script = f"""
FAULT=fill@4 {asked}; echo exit $?; ls -A1i {pieces}; ls -A {out.parent}; rm "$FILL"; echo again
{asked} > /dev/null; echo exit $?; ls -A1i {pieces}"""
    done = on_a_small_disk(tmp_path / "cache", "64m", script, FILL=str(tmp_path / "cache" / "filler"))
    first, _, second = done.stdout.partition("again\n")
    assert "No space left on device; make room (spineviz cache clear) or set SPINEVIZ_CACHE" in done.stderr
    assert is_one_sentence(done.stderr)
    code, *finished = map(str.strip, first.splitlines())
    assert code == "exit 1"
    assert len(finished) == 1  # a piece; no part of one, and nothing beside the film
    code, *pieces = map(str.strip, second.splitlines())
    assert code == "exit 0"
    assert len(pieces) == 3
    assert finished[0] in pieces
    assert out.read_bytes() == undisturbed[0].read_bytes()


@pytest.mark.skipif(not MAY_MOUNT, reason="nobody may mount a disk here; the limit below stands for it")
def test_a_disk_of_out_that_fills_while_drawing_then_a_disk_that_takes_nothing(tmp_path, out, undisturbed):
    disk = tmp_path / "disk"
    asked = shlex.join(command(*ASKED, "--out", disk / "film.mp4", "--jobs", "2"))
    script = f"""
FAULT=fill@9 {asked}; echo exit $?; ls -A {disk}; rm "$FILL"; echo again
{asked} > /dev/null; echo exit $?; ls -A {disk}; cp {disk}/film.mp4 {out}; echo again
mount -o remount,ro {disk}; {asked} --force; echo exit $?; ls -A {disk}"""
    done = on_a_small_disk(disk, "7m", script, FILL=str(disk / "filler"))
    full, read_only = done.stderr.splitlines(keepends=True)
    assert is_one_sentence(full)
    assert f"--out {disk / 'film.mp4'}: No space left on device; make room and try again: finished pieces are" in full
    assert is_one_sentence(read_only)
    assert f"the folder {disk} cannot be written; give one that can" in read_only
    assert [part.split() for part in done.stdout.split("again\n")] == [
        ["exit", "1", "filler"],
        ["exit", "0", "film.json", "film.mp4"],
        ["exit", "2", "film.json", "film.mp4"],
    ]
    assert out.read_bytes() == undisturbed[0].read_bytes()


def test_a_film_that_is_larger_than_a_file_may_be(drawn, undisturbed):
    pieces = kept()
    asked = shlex.join(command(*ASKED, "--out", drawn))
    done = subprocess.run(["prlimit", "--fsize=40000", "sh", "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"--out {drawn}: File too large; make room and try again: finished pieces are kept" in done.stderr
    assert is_one_sentence(done.stderr)
    assert names(drawn.parent) == []
    assert kept() == pieces


@pytest.mark.parametrize("path", ["/proc/film.mp4", "/sys/film.mp4"])
def test_a_folder_that_takes_no_file_is_refused(out, path):
    code, said, err = run(*ASKED, "--out", path)
    assert (code, said) == (2, "")
    assert f"--out {path}: " in err
    assert "give" in err
    assert is_one_sentence(err)


@pytest.mark.parametrize("part", ["", "pieces", "locks"])
def test_a_cache_that_cannot_be_written(tmp_path, out, monkeypatch, part):
    in_the_way = tmp_path / "elsewhere" / part
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.write_text("mine")
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "elsewhere"))
    code, said, err = run(*ASKED, "--out", out)
    assert (code, said) == (1, "")
    assert "cannot be written: " in err
    assert "set SPINEVIZ_CACHE to a folder that can" in err
    assert is_one_sentence(err)
    assert names(out.parent) == []
    assert in_the_way.read_text() == "mine"


# --- killed ---

MOMENTS = """
import sys, time
from pathlib import Path
from spineviz.film import render
from spineviz.film.opening import SceneSource
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.procedures.case import Case

def say(words):
    print(words, flush=True)

class Told:
    def stage(self, words): say(words)
    def kept(self, count): say(f"kept {count}")
    def frames(self, count): say("frame")

def slowly(name):
    real = getattr(render, name)
    def do(*arguments):
        say(name)
        time.sleep(0.02)
        real(*arguments)
    setattr(render, name, do)

if __name__ == "__main__":
    slowly("_onto_disk")
    slowly("_move")
    source = SceneSource(Path(sys.argv[1]), "Faulty")
    show = FilmShow("vertebroplasty", Case(), Rendition(quality="draft"), (0, 1), source)
    render.render_film(render.Request(show, Path(sys.argv[2])), Told(), render.local_hands(2))
    say("whole")
"""


@pytest.fixture
def told_moments(tmp_path, out):
    """Starts a render of 26 s of film in 2 processes, which says where it is; MOMENTS' own words."""
    (tmp_path / "render.py").write_text(MOMENTS)

    def start():
        asked = [sys.executable, str(tmp_path / "render.py"), str(FAULTY), str(out)]
        return subprocess.Popen(
            asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    return start


def killed(start, moment, count, whom, after_s):
    """Start, wait until `moment` was said `count` times and `after_s` seconds more, and kill; what was said before."""
    with start() as process:
        said = []
        while said.count(moment) < count:
            said.append(process.stdout.readline().strip())
            assert said[-1], process.stderr.read()
        time.sleep(after_s)
        family = [child for child in below(process) if "resource_tracker" not in " ".join(child.cmdline())]
        if whom == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif whom == "parent":
            process.kill()
        else:
            drawing = [child for child in family if "spawn_main" in " ".join(child.cmdline())]
            drawing[whom].kill()
        rest, err = process.communicate(timeout=100)
    assert are_gone(family)
    return process.returncode, [*said, *rest.split("\n")], err, family


def test_killed_at_any_moment_a_render_goes_on_to_the_same_bytes(told_moments, tmp_path, out, monkeypatch):
    chance, finished, whole = random.Random(5), {}, None
    moments = [
        ("planning", 1, "parent"), ("planning", 1, "group"),
        ("drawing", 1, "parent"), ("frame", 70, "group"), ("frame", 60, "parent"), ("frame", 5, 0),
        ("joining", 1, "parent"), ("_onto_disk", 1, "group"), ("_onto_disk", 2, "parent"), ("_move", 1, "parent"),
        ("_move", 1, "group"), ("joining", 1, "group"),
    ]  # fmt: skip
    for moment, count, whom in moments:
        code, said, err, family = killed(told_moments, moment, count, whom, chance.uniform(0.0, 0.1))
        where = (moment, count, whom, err)
        if isinstance(whom, int):  # one that draws: another takes its place
            assert (code, said[-2], err) == (0, "whole", ""), where
            whole = out.read_bytes()
        elif code == 0:
            assert "_move" in said, where  # it was done before it could be killed
        else:
            assert code == -signal.SIGKILL, where
        left = [name for name in names(out.parent) if name not in ("film.json", "film.mp4")]
        assert all(name.startswith(render.part_begin(out)) for name in left), where
        begun = set(names(piece_store().folder)) - kept().keys()
        if family and whom != "group":  # where nobody lives on to clear it away, what is begun waits for the next run
            assert not left, where
            assert not begun, where
        if out.exists():
            assert out.read_bytes() == whole, where
            out.unlink()
        assert finished.items() <= kept().items(), where
        finished = kept()
    assert len(finished) == 7
    with told_moments() as process:
        said, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert "frame" not in said
    assert out.read_bytes() == whole
    assert names(out.parent) == ["film.json", "film.mp4"]
    assert names(piece_store().folder) == sorted(finished)
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "other"))
    out.unlink()
    with told_moments() as process:  # the undisturbed run
        said, err = process.communicate(timeout=100)
    assert said.count("frame") == 390
    assert out.read_bytes() == whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_twice_a_render_clears_everything_away(out, number, code):
    process = started(*ASKED, "--out", out, "--jobs", "2", FAULT="stop@4")
    with process:
        assert within(60, lambda: names(out.parent) and len(list(piece_store().folder.glob(".part-*"))) == 2)
        family = below(process)
        os.killpg(process.pid, number)
        time.sleep(0.02)
        os.killpg(process.pid, number)
        said, err = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, "")
    assert err.strip() == ("error: interrupted" if number == signal.SIGINT else "")
    assert are_gone(family)
    assert names(out.parent) == []
    assert names(piece_store().folder) == list(kept())


# --- several at once ---


def test_two_renders_of_one_film_at_once(out, undisturbed):
    other = out.with_name("other.mp4")
    one, two = (started(*ASKED, "--out", path, "--jobs", "1") for path in (out, other))
    assert within(30, lambda: [name for name in names(out.parent) if name.startswith(render.part_begin(out))])
    code, said, err = run(*ASKED, "--out", out)
    assert (code, said) == (1, "")
    assert "another spineviz render is writing it; wait until that is done, or give another name" in err
    assert is_one_sentence(err)
    for process in (one, two):
        _, err = process.communicate(timeout=100)
        assert (process.returncode, err) == (0, "")
    assert names(out.parent) == ["film.json", "film.mp4", "other.json", "other.mp4"]
    assert out.read_bytes() == other.read_bytes() == undisturbed[0].read_bytes()
    assert len(kept()) == 3


def test_a_render_with_another_cache_leaves_what_is_begun_alone(out):
    with render._part_folder(out) as first:
        (first / "film.mp4").write_text("half")
        with render._part_folder(out) as second:
            assert first != second
            assert (first / "film.mp4").read_text() == "half"
    assert names(out.parent) == []


class Told:
    """Remembers what it is told, and does something when so many frames are finished."""

    def __init__(self, at=0, do=lambda: None):
        self.count, self.at, self.do, self.there = 0, at, do, 0

    def stage(self, words):
        pass

    def kept(self, count):
        self.there += count

    def frames(self, count):
        self.count += count
        if self.count == self.at:
            self.do()


def test_the_cache_is_cleared_while_a_render_is_on(out, undisturbed):
    cleared = []
    told = Told(130, lambda: cleared.append(run("cache", "clear")))
    render_film(Request(SHOW, out), told, local_hands(1))
    assert cleared[0][0] == 0
    assert "2 files removed" in cleared[0][1]  # the pieces; not the one that is being written
    assert told.count == 150 + 48 + 51
    assert out.read_bytes() == undisturbed[0].read_bytes()
    assert len(kept()) == 3


def test_a_cache_that_is_cleared_again_and_again(out):
    def vanish(job, places, tasks, told, planned):
        gone = {task.name: KeptPiece(places.store / task.name, task.name, task.count, "") for task in tasks}
        return Drawn(gone, {"said": {"title": {"title": "", "captions": []}}, "resolved": {}, "measures": {}})

    with pytest.raises(FaultError, match=r"was cleared again and again meanwhile; render once more, or set SPINEVIZ"):
        render_film(Request(SHOW, out), Told(), vanish)
    assert names(out.parent) == []


# --- what becomes of the cache between runs ---


def spoil(path, how, other):
    data = path.read_bytes()
    if how == "recount":
        path.rename(path.with_name(path.name.replace(".mp4", "9.mp4")))
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: len(data) // 3])
    elif how == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif how == "other":
        path.write_bytes(other.read_bytes())
    elif how == "huge":
        with path.open("ab") as stream:
            stream.truncate(10**9)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_cache_that_is_spoilt_at_random_changes_nothing(drawn, undisturbed, seed):
    chance, cache = random.Random(seed), Path(os.environ["SPINEVIZ_CACHE"])
    paths = sorted(piece_store().folder.iterdir())
    ways = chance.sample(["recount", "empty", "cut", "flip", "other", "huge"], 3)
    for path, how in zip(paths, ways, strict=True):
        spoil(path, how, chance.choice([other for other in paths if other != path]))
    for path in [*(cache / "about").iterdir(), cache / "pace.json", *(cache / "plans").glob("*")]:
        path.write_bytes(chance.choice([b"", b"{", b"[[[", b"\xff\xfe", chance.randbytes(100), b'{"about": {}}']))
    notes = [cache / "pieces" / "notes.txt", cache / "about" / "notes.txt", cache / "notes.txt"]
    for path in notes:
        path.write_text("mine")
    code, _, err = run(*ASKED, "--out", drawn, "--jobs", "1")
    assert (code, err) == (0, ""), ways
    assert drawn.read_bytes() == undisturbed[0].read_bytes(), ways
    assert [path.read_text() for path in notes] == ["mine"] * 3
    assert missing(Request(SHOW, drawn), piece_store())[1] == []


@pytest.mark.parametrize("told", ["NaN", "-1", "1e999", "1" + "0" * 400, "true", '"fast"', "[]", "null"])
def test_a_pace_that_cannot_be_is_not_believed(out, told):
    cache = Path(os.environ["SPINEVIZ_CACHE"])
    cache.mkdir()
    size = SHOW.rendition.size
    usual = pace.seconds_a_frame("vertebroplasty", size)
    (cache / "pace.json").write_text(f'{{"{pace._key("vertebroplasty", size)}": {told}}}')
    assert pace.seconds_a_frame("vertebroplasty", size) in (usual, True)
    pace.note("vertebroplasty", size, 0.25)
    assert pace.seconds_a_frame("vertebroplasty", size) == 0.25


def test_a_clock_that_was_set_back(drawn, undisturbed, monkeypatch):
    cache, later = Path(os.environ["SPINEVIZ_CACHE"]), 4102444800  # the year 2100
    for path in cache.rglob("*"):
        os.utime(path, (later, later))
    inodes = kept()
    old = piece_store().keep_bytes(bytes(1000), ".mp4", "f" * 64, 3)
    code, _, err = run(*ASKED, "--out", drawn)
    assert (code, err) == (0, "")
    assert drawn.read_bytes() == undisturbed[0].read_bytes()
    assert inodes.items() <= kept().items()
    held = sum(piece.path.stat().st_size for piece in piece_store()._pieces())
    assert piece_store().evict(held - 1) == 1  # that which was used longest ago goes first all the same
    assert not old.path.exists()
    os.utime(drawn, (later, later))
    assert "up to date" in run(*ASKED, "--out", drawn)[1]


# --- where to ---


@pytest.mark.parametrize(
    "name", ["a film", "Ω 脊椎 é", "e\u0301", "-", "--force", "$(id) *?[a]", "new\nline", "x" * 250, "é" * 125]
)
def test_an_odd_name_is_a_name(drawn, undisturbed, name):
    path = drawn.with_name(f"{name}.mp4")
    code, said, err = run(*ASKED, "--out", path)
    assert (code, err) == (0, "")
    assert said.startswith(f"{path}: 10 s of film, rendered")
    assert names(path.parent) == [f"{name}.json", f"{name}.mp4"]
    assert path.read_bytes() == undisturbed[0].read_bytes()


@pytest.mark.parametrize("length", [251, 252, 5000])
def test_a_name_that_is_too_long_is_refused_before_any_work(out, length):
    code, said, err = run(*ASKED, "--out", out.with_name("x" * length + ".mp4"))
    assert (code, said) == (2, "")
    assert "File name too long; give a path that can be written" in err
    assert is_one_sentence(err)
    assert names(out.parent) == []


def test_a_link_is_replaced_and_what_it_points_to_is_kept(drawn, undisturbed):
    target = drawn.with_name("precious.mp4")
    target.write_text("precious")
    drawn.symlink_to(target)
    code, _, err = run(*ASKED, "--out", drawn)
    assert (code, is_one_sentence(err)) == (2, True)
    assert "exists already and is another film; give another name or --force" in err
    assert drawn.is_symlink()
    assert run(*ASKED, "--out", drawn, "--force")[0] == 0
    assert target.read_text() == "precious"
    assert not drawn.is_symlink()
    assert drawn.read_bytes() == undisturbed[0].read_bytes()


@pytest.mark.parametrize("kind", ["nothing", "itself", "device", "pipe", "socket"])
def test_what_is_no_file_is_refused_and_left(out, kind):
    if kind == "pipe":
        os.mkfifo(out)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(out))
    else:
        out.symlink_to({"nothing": "nowhere", "itself": out.name, "device": "/dev/null"}[kind])
    mode = out.lstat().st_mode
    for more in ((), ("--force",)):
        code, said, err = run("render", "vertebroplasty", "--dry-run", "--out", out, *more)
        assert (code, said) == (2, ""), err
        assert "--out" in err
        assert is_one_sentence(err)
    assert out.lstat().st_mode == mode
    assert names(out.parent) == ["film.mp4"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "-", "", ".", "..", "/", "film", "film.mp4/"])
def test_what_is_no_name_of_a_film_is_refused(out, monkeypatch, path):
    monkeypatch.chdir(out.parent)
    code, said, err = run("render", "vertebroplasty", "--quality", "draft", "--dry-run", "--out", path)
    if path in ("", ".", "..", "/"):  # a folder that is there; what would lie in it has the usual name
        assert (code, err) == (0, "")
        assert "vertebroplasty-draft.mp4: would be" in said
    elif path == "film.mp4/":
        assert code == 0
    else:
        assert (code, said) == (2, "")
        assert "--out" in err
        assert is_one_sentence(err)
    assert names(out.parent) == []
