"""spineviz still."""

import numpy as np
import pytest
from PIL import Image

from spineviz.cli import exit_code_of
from spineviz.cli.still import command, moment_of
from spineviz.data.errors import RequestError
from spineviz.data.films import film
from spineviz.film.pictures import write_png

CLOCK = film("vertebroplasty")


def run(*arguments):
    return exit_code_of(lambda: command.main(list(arguments), prog_name="still", standalone_mode=False))


def test_a_step_is_its_key_frame_and_a_time_is_itself():
    step = CLOCK.step("cement")
    assert moment_of(CLOCK, None, "cement") == step.start_s + step.key_s
    assert moment_of(CLOCK, 12.5, None) == 12.5
    assert moment_of(CLOCK, CLOCK.seconds, None) == CLOCK.seconds


@pytest.mark.parametrize(
    ("at", "step", "told"),
    [
        (None, None, "give either --at SECONDS, 0 to 224, or --step NAME: title, case"),
        (3.0, "cement", "give either --at"),
        (-1.0, None, "-1 s is outside the film; give 0 to 224"),
        (224.1, None, "outside the film"),
        (float("nan"), None, "--at: nan is not a time"),
        (float("inf"), None, "--at: inf is not a time"),
        (None, "lunch", "no step 'lunch'; it has title, case"),
    ],
)
def test_a_moment_that_is_not_there_is_refused(at, step, told):
    with pytest.raises(RequestError) as error:
        moment_of(CLOCK, at, step)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["vertebroplasty", "--at", "999"], "outside the film"),
        (["vertebroplasty", "--at", "soon"], "'soon' is not a valid float"),
        (["vertebroplasty", "--at", "1", "--aspect", "2:1"], "'2:1' is not one of '16:9', '9:16', '1:1'"),
        (["vertebroplasty", "--at", "1", "--theme", "sepia"], "'sepia' is not one of 'contrast', 'dark', 'light'"),
        (["surgery", "--at", "1"], "no film 'surgery'"),
        (["vertebroplasty", "--at", "1", "--out", "x.jpg"], "the ending must be .png"),
        (["vertebroplasty", "--at", "1", "--set", "needle.gauge=12"], "needle.gauge"),
    ],
)
def test_a_wrong_request_writes_nothing(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.strip().splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_is_there_is_kept(tmp_path, capsys):
    path = tmp_path / "x.png"
    path.write_text("mine")
    assert run("vertebroplasty", "--at", "1", "--out", str(path)) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_a_frame_is_written_whole(tmp_path):
    frame = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    write_png(tmp_path / "x.png", frame)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), frame)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_frame_that_cannot_be_written_leaves_nothing(tmp_path):
    frame = np.zeros((3, 4, 3), np.uint8)
    with pytest.raises(RequestError, match="--out"):
        write_png(tmp_path / "missing" / "x.png", frame)
    (tmp_path / "x.png").mkdir()
    with pytest.raises(RequestError, match="--out"):
        write_png(tmp_path / "x.png", frame)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
