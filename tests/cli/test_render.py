"""spineviz render: what it refuses, what it says, when it is done already."""

import errno
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from spineviz.cli import exit_code_of
from spineviz.cli.render import PlainProgress, command, progress_on_stderr, requested
from spineviz.data.errors import RequestError
from spineviz.film.encode import encode_segment, join_segments
from spineviz.film.formats import FORMATS
from spineviz.film.pieces import QUALITIES
from spineviz.film.render import Request
from spineviz.procedures.case import Case


def run(*arguments):
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    from contextlib import redirect_stderr, redirect_stdout

    with redirect_stdout(out), redirect_stderr(err):
        code = exit_code_of(lambda: command.main(list(arguments), prog_name="render", standalone_mode=False))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["kyphoplasty-2"], "no film 'kyphoplasty-2'; there is overview, vertebroplasty"),
        (["vertebroplasty", "--steps", "0"], "--steps '0': give a number or a range within 1-12"),
        (["vertebroplasty", "--steps", "5-99"], "within 1-12, such as 3-5"),
        (["vertebroplasty", "--quality", "8k"], "'draft', 'hd', 'fhd', 'uhd'"),
        (["vertebroplasty", "--out", "film.avi"], "the ending must be .mp4"),
        (["vertebroplasty", "--out", "nowhere/film.mp4"], "the folder nowhere does not exist"),
        (["vertebroplasty", "--out", "x" * 5000 + ".mp4"], "give a path that can be written"),
        (["vertebroplasty", "--set", "spine.level=L9"], "spine.level"),
        (["vertebroplasty", "--set", "cement.volume_ml=nan"], "cement.volume_ml"),
        (["vertebroplasty", "--case", "missing.toml"], "missing.toml"),
        (["vertebroplasty", "vertebroplasty"], "names a film twice"),
        ([], "FILM"),
    ],
)
def test_a_wrong_request_is_refused_in_a_few_lines(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert told in err
    assert 1 <= len(err.strip().splitlines()) <= 3
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_only_what_works_is_offered():
    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--case", "--set", "--quality", "--steps", "--out", "--force", "--dry-run"):
        assert option in text
    for later in ("--aspect", "--format", "--theme", "--language", "--jobs", "--narration"):
        assert later not in text


def asked(films=("vertebroplasty",), settings=(), quality="hd", steps=None, out=None, force=False):
    return requested(films, None, settings, quality, steps, out, force)


def test_the_usual_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(asked()[0].out) == "vertebroplasty-hd.mp4"
    assert str(asked(settings=("spine.level=T12",), quality="draft")[0].out) == "vertebroplasty-T12-draft.mp4"
    folder = tmp_path / "films"
    folder.mkdir()
    assert asked(out=folder)[0].out == folder / "vertebroplasty-hd.mp4"


def test_steps_choose_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = asked(steps="3-4", quality="draft")[0]
    assert request.steps == (2, 3)
    assert request.seconds == pytest.approx(sum(request.clock.steps[i].seconds for i in (2, 3)))
    assert request.frames == round(15 * request.seconds)


@pytest.fixture
def made(tmp_path):
    """A file that says it is the first step in draft."""
    import numpy as np

    request = Request("vertebroplasty", Case(), QUALITIES["draft"], (0,), tmp_path / "film.mp4")
    part = tmp_path / "part.mp4"
    encode_segment(part, [np.zeros((72, 128, 3), np.uint8)] * 3, FORMATS["mp4"], (128, 72), 15, 3)
    join_segments(request.out, [part], [3], FORMATS["mp4"], {"comment": json.dumps({"digest": request.digest()})})
    part.unlink()
    return request


def test_what_is_there_already_is_up_to_date(made):
    before = made.out.read_bytes()
    code, out, err = run("vertebroplasty", "--quality", "draft", "--steps", "1", "--out", str(made.out))
    assert (code, err) == (0, "")
    assert "up to date" in out
    assert made.out.read_bytes() == before


def test_another_file_is_refused_and_kept(made):
    before = made.out.read_bytes()
    code, _, err = run("vertebroplasty", "--quality", "hd", "--steps", "1", "--out", str(made.out))
    assert code == 2
    assert "exists already" in err
    assert "--force" in err
    assert made.out.read_bytes() == before


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path, monkeypatch):
    from spineviz.procedures import plans

    planned = []
    monkeypatch.setattr(plans, "plan_for", lambda name, case: planned.append((name, case.spine.level)))
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("vertebroplasty", "--quality", "draft", "--steps", "3", "--dry-run")
    assert code == 0
    assert "vertebroplasty-draft.mp4: would be 14 s, 210 frames of 854x480 at 15 in 4 pieces: healthy" in out
    assert planned == [("vertebroplasty", "L1")]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_cannot_be_planned(tmp_path, monkeypatch):
    from spineviz.procedures import plans

    def refuse(name, case):
        raise RequestError("needle.gauge: 8 does not fit; the largest that fits is 11")

    monkeypatch.setattr(plans, "plan_for", refuse)
    monkeypatch.chdir(tmp_path)
    code, _, err = run("vertebroplasty", "--dry-run")
    assert (code, err.strip()) == (2, "error: needle.gauge: 8 does not fit; the largest that fits is 11")


def test_a_full_disk_is_exit_1(tmp_path, monkeypatch):
    from spineviz.film import render

    def fill(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(render, "draw_pieces", fill)
    code, _, err = run("vertebroplasty", "--quality", "draft", "--out", str(tmp_path / "film.mp4"))
    assert code == 1
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_a_bar_with_the_time_left(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    request = Request("vertebroplasty", Case(), QUALITIES["draft"], (0,), Path("film.mp4"))
    with progress_on_stderr(request) as progress:
        progress.stage("drawing")
        progress.frames(75)
        progress.bar.refresh()
    text = screen.getvalue()
    assert "drawing" in text
    assert "50%" in text
    assert "left" in text


def test_plain_progress_tells_the_time_left():
    now = [0.0]
    stream = io.StringIO()
    progress = PlainProgress(100, stream, lambda: now[0])
    progress.stage("planning")
    now[0] = 50.0
    progress.stage("drawing")
    for _ in range(99):
        now[0] += 1.0
        progress.frames(1)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["planning", "drawing"]
    assert lines[2] == "10 of 100 frames, 10 %, 90 s left" or lines[2] == "10 of 100 frames, 10 %, 2 min left"
    assert lines[-1] == "90 of 100 frames, 90 %, 10 s left"
    assert len(lines) == 2 + 9
