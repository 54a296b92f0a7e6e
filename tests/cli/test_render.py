"""spineviz render: what it refuses, what it says, when it is done already."""

import errno
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from spineviz.cli import exit_code_of
from spineviz.cli import render as command_module
from spineviz.cli.progress import Quiet, RichProgress, shown_progress
from spineviz.cli.render import command, requested
from spineviz.data.errors import FaultError, RequestError
from spineviz.film.encode import encode_segment, join_segments
from spineviz.film.formats import FORMATS
from spineviz.film.render import Request
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
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
        (["vertebroplasty", "--jobs", "0"], "--jobs"),
        (["vertebroplasty", "--jobs", "two"], "--jobs"),
        (["vertebroplasty", "--jobs", "2", "--cluster", "tcp://127.0.0.1:1"], "give one of them"),
        (["vertebroplasty", "--format", "avi"], "'mp4', 'webm', 'gif', 'mov', 'png'"),
        (["vertebroplasty", "--format", "webm", "--out", "film.mp4"], "the ending must be .webm"),
        (["vertebroplasty", "--aspect", "4:3"], "'16:9', '9:16', '1:1'"),
        (["vertebroplasty", "--theme", "pink"], "'contrast', 'dark', 'light'"),
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
    for option in (
        "--case", "--set", "--quality", "--steps", "--out", "--force", "--dry-run", "--aspect", "--format", "--theme",
        "--jobs", "--cluster",
    ):  # fmt: skip
        assert option in text
    for word in ("path/to/scene.py:ClassName", "default_rng(7)", "clock", "config.seed"):  # asked of a scene
        assert word in text
    for later in ("--language", "--narration"):
        assert later not in text


def asked(films=("vertebroplasty",), settings=(), steps=None, out=None, force=False, **look):
    return requested(films, None, settings, Rendition(**look), steps, out, force)


def test_the_usual_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(asked()[0].out) == "vertebroplasty-hd.mp4"
    assert str(asked(settings=("spine.level=T12",), quality="draft")[0].out) == "vertebroplasty-T12-draft.mp4"
    assert str(asked(aspect="9:16", theme="light", format="webm")[0].out) == "vertebroplasty-9x16-light-hd.webm"
    assert str(asked(format="png")[0].out) == "vertebroplasty-hd"
    folder = tmp_path / "films"
    folder.mkdir()
    assert asked(out=folder)[0].out == folder / "vertebroplasty-hd.mp4"


def test_steps_choose_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = asked(steps="3-4", quality="draft")[0]
    assert request.show.steps == (2, 3)
    assert request.seconds == pytest.approx(sum(request.show.clock.steps[i].seconds for i in (2, 3)))
    assert request.frames == round(15 * request.seconds)


def first_step(out):
    return Request(FilmShow("vertebroplasty", Case(), Rendition(quality="draft"), (0,)), out)


@pytest.fixture
def made(tmp_path):
    """A file that says it is the first step in draft."""
    request = first_step(tmp_path / "film.mp4")
    part = tmp_path / "part.mp4"
    encode_segment(part, [np.zeros((72, 128, 3), np.uint8)] * 3, FORMATS["mp4"], (128, 72), 15, 3)
    tags = {"comment": json.dumps({"digest": request.show.digest})}
    join_segments(request.out, [part], [3], FORMATS["mp4"], tags)
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


@pytest.mark.parametrize(("error", "code"), [(FaultError("the disk broke"), 1), (RequestError("too wide"), 2)])
def test_one_failing_film_does_not_stop_the_others(tmp_path, monkeypatch, error, code):
    from spineviz.film import render

    def render_film(request, *_):
        if request.show.name == "kyphoplasty":
            raise error

    monkeypatch.setattr(render, "render_film", render_film)
    monkeypatch.chdir(tmp_path)
    ended, out, err = run("vertebroplasty", "kyphoplasty", "comparison")
    assert ended == code
    assert "vertebroplasty-hd.mp4: 224 s of film" in out
    assert out.splitlines()[-3:] == ["vertebroplasty: done", "kyphoplasty: failed", "comparison: done"]
    assert err.strip() == f"kyphoplasty: {error}"


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path, monkeypatch):
    from spineviz.procedures import plans

    planned = []
    monkeypatch.setattr(plans, "plan_for", lambda name, case: planned.append((name, case.spine.level)))
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("vertebroplasty", "--quality", "draft", "--steps", "3", "--dry-run")
    assert code == 0
    told = r"vertebroplasty-draft.mp4: would be 14 s, 210 frames of 854x480 at 15, in 4 pieces; about \d+ (s|min) with "
    assert re.match(told + r"\d process(es)? and \d+ MB of disk: healthy\n", out)
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

    monkeypatch.setattr(render, "draw_tasks", fill)
    code, _, err = run("vertebroplasty", "--quality", "draft", "--out", str(tmp_path / "film.mp4"))
    assert code == 1
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_frames_speed_and_time_left(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with shown_progress(first_step(Path("film.mp4"))) as progress:
        progress.stage("drawing")
        progress.kept(25)
        progress.frames(50)
        progress.bar.refresh()
    text = screen.getvalue()
    for words in ("vertebroplasty, drawing", "75/150", "a second", "left"):
        assert words in text


def test_what_is_no_terminal_is_left_quiet(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with shown_progress(first_step(Path("film.mp4"))) as progress:
        assert isinstance(progress, Quiet)
        progress.stage("drawing")
        progress.kept(25)
        progress.frames(50)
    assert stream.getvalue() == ""


def test_speed_and_time_left_come_from_what_is_drawn():
    now = [0.0]

    class Bar:
        def add_task(self, *_, **__):
            return 0

        def update(self, *_, **told):
            self.told = told

    progress = RichProgress(Bar(), "film", 100, lambda: now[0])
    progress.kept(40)
    now[0] = 50.0
    progress.stage("drawing")
    now[0] = 60.0
    progress.frames(20)
    assert progress.bar.told["told"] == "2.0 a second, 20 s left"


def test_several_films_need_a_folder(tmp_path):
    with pytest.raises(RequestError, match="2 films need a folder"):
        asked(("vertebroplasty", "kyphoplasty"), out=tmp_path / "film.mp4")


def test_the_exit_code_tells_the_worst():
    fault, refusal = FaultError("x"), RequestError("y")
    assert command_module.exit_code([None, fault, refusal]) == 1
    assert command_module.exit_code([refusal, None]) == 2
    assert command_module.exit_code([None, None]) == 0
