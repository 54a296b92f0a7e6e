"""The command line as a whole: quick, lazy, and short of words when something is wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from spineviz import __version__
from spineviz.cli import COMMANDS, exit_code_of, main
from spineviz.cli.options import check_out
from spineviz.data.errors import FaultError, RequestError

HEAVY = ("manim", "pyvista", "vtk", "scipy", "av", "moderngl", "PIL", "pydantic")


def spineviz(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "spineviz", *arguments], capture_output=True, text=True, **options)


def test_version_and_help_name_every_command():
    runner = CliRunner()
    assert runner.invoke(main, ["--version"]).output == f"spineviz {__version__}\n"
    result = runner.invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_exists_and_explains_itself(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: main {name}")
    assert len(result.output.splitlines()) > 4


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"], *[[n, "--help"] for n in COMMANDS]])
def test_answers_at_once_import_nothing_heavy(arguments):
    code = f"""
import sys
from spineviz.cli import main
try:
    main({arguments!r})
except SystemExit as left:
    assert not left.code
print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_list_answers_in_under_0_4_s_of_processor_time():
    spineviz("list")  # byte code
    spent = []
    for _ in range(5):
        before = os.times()
        spineviz("list", check=True)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) < 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dance"], "no command 'dance'; there is list, render"),
        (["list", "--colour"], "--colour"),
        (["render", "nosuchfilm"], "nosuchfilm"),
        (["state", "nosuchfilm", "--at", "1"], "nosuchfilm"),
        (["still", "vertebroplasty", "--at", "nan", "--out", "x.png"], "nan"),
        (["still", "vertebroplasty", "--at", "1e9", "--out", "x.png"], "1e+09"),
        (["still", "vertebroplasty", "--step", "dessert", "--out", "x.png"], "dessert"),
        (["still", "vertebroplasty", "--at", "5", "--quality", "imax"], "imax"),
        (["render", "vertebroplasty", "--set", "spine.level=L9"], "L9"),
        (["render", "vertebroplasty", "--set", "spine.colour=3"], "spine.colour"),
        (["render", "vertebroplasty", "--case", "missing.toml"], "missing.toml"),
        (["export", "L9", "--out", "x.stl"], "L9"),
        (["export", "L3", "--out", "x.doc"], ".stl"),
    ],
)
def test_wrong_requests_exit_2_in_three_lines_and_write_nothing(arguments, words, tmp_path):
    done = spineviz(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def raising(error: BaseException):
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RequestError("cement.volume_ml: 19 is too much"), 2, "error: cement.volume_ml: 19 is too much\n"),
        (FaultError("no OpenGL\nspineviz doctor says more"), 1, "error: no OpenGL\nspineviz doctor says more\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.mp4"), 1, "error: a.mp4: No space left on device\n"),
        (OSError(errno.EROFS, "Read-only file system", "b.mp4"), 1, "error: b.mp4: Read-only file system\n"),
        (MemoryError(), 1, "error: not enough memory"),
        (
            ImportError("libcairo.so.2: cannot open shared object file", name="cairo._cairo"),
            1,
            "error: libcairo.so.2: cannot open shared object file\nspineviz doctor names",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (click.Abort(), 130, "error: interrupted\n"),
        (RequestError("\n".join("abcdefg")), 2, "error: a\nb\nc\n"),
    ],
)
def test_failures_become_exit_codes(error, code, words, capsys):
    assert exit_code_of(raising(error)) == code
    assert capsys.readouterr().err.startswith(words)


def test_a_defect_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: 1 // 0)
    with pytest.raises(ImportError):
        exit_code_of(raising(ImportError("cannot import name 'x'", name="spineviz.film")))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_exits_130_without_a_traceback():
    code = (
        "import time, click\nfrom spineviz.cli import main\nimport spineviz.cli.list_films as l\n"
        "@click.command()\ndef slow():\n    print('begun', flush=True)\n    time.sleep(60)\n"
        "l.command = slow\nmain(['list'])"
    )
    # a shell's background jobs ignore SIGINT, and their children would inherit that
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip() == "error: interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close differently there")
def test_a_reader_that_goes_away_is_no_error_message():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "spineviz", "list"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1


def test_output_is_refused_before_any_work(tmp_path: Path):
    taken = tmp_path / "film.mp4"
    taken.write_bytes(b"mine")
    (tmp_path / "folder.mp4").mkdir()
    assert check_out(tmp_path / "new.mp4", False, [".mp4"]) == tmp_path / "new.mp4"
    assert check_out(taken, True, [".mp4"]) == taken
    cases = [
        (taken, "exists already; give another name or --force"),
        (tmp_path / "folder.mp4", "is not a file"),
        (tmp_path / "no" / "new.mp4", "does not exist"),
        (tmp_path / "new.avi", "the ending must be .mp4"),
        (tmp_path / ("x" * 300 + ".mp4"), "give a path that can be written"),
    ]
    for out, words in cases:
        with pytest.raises(RequestError, match=words):
            check_out(out, False, [".mp4"])
    assert taken.read_bytes() == b"mine"
