"""spineviz storyboard."""

from pathlib import Path

import numpy as np
import pytest

from spineviz.cli import exit_code_of
from spineviz.cli.storyboard import command
from spineviz.film.base import quiet_manim
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.pictures import TILES, storyboard_sheet
from spineviz.film.pieces import ASPECTS, QUALITIES, sized

STANDIN = Path(__file__).parents[1] / "film" / "standin.py"


def run(*arguments):
    return exit_code_of(lambda: command.main(list(arguments), prog_name="storyboard", standalone_mode=False))


@pytest.mark.parametrize("aspect", ASPECTS)
def test_every_step_is_on_the_sheet_with_its_words(aspect):
    columns, width, height = TILES[aspect]
    with quiet_manim(sized(QUALITIES["draft"], aspect)):
        scene = load_scene(SceneSource(STANDIN, "Standin"))()
        sheet = storyboard_sheet(scene)
        assert sheet.shape[1] > columns * width
        found = 0
        for step in scene.clock.steps:
            frame = scene.frame_at(step.start_s + step.key_s)
            # the bar at the frame's foot is the same on sheet and screen, up to resizing
            colour = np.median(frame[-12:, 300:380].reshape(-1, 3), axis=0)
            near = np.abs(sheet.astype(int) - colour).max(2) <= 3
            found += near.any()
        assert found == len(scene.clock.steps)
    ground = np.array(scene.theme.rgb8("ground"))
    words = sheet[130 + height : 130 + height + 150, 40 : 40 + width]
    assert (np.abs(words.astype(int) - ground).max(2) > 60).sum() > 500


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["opera"], "no film 'opera'"),
        (["vertebroplasty", "--out", "x.pdf"], "the ending must be .png"),
        (["vertebroplasty", "--aspect", "4:3"], "'4:3' is not one of '16:9', '9:16', '1:1'"),
        (["vertebroplasty", "--theme", "neon"], "'neon' is not one of 'contrast', 'dark', 'light'"),
    ],
)
def test_a_wrong_request_writes_nothing(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
