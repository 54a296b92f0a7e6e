"""A film's scene also renders with plain manim."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from manim import tempconfig

from spineviz.film.base import quiet_manim
from spineviz.film.encode import decode
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.pieces import QUALITIES

STANDIN = Path(__file__).with_name("standin.py")


def test_manim_plays_the_pieces_and_shows_the_same_frames(tmp_path):
    settings = {
        "pixel_width": 256,
        "pixel_height": 144,
        "frame_rate": 15,
        "media_dir": str(tmp_path),
        "progress_bar": "none",
        "verbosity": "ERROR",
        "notify_outdated_version": False,
    }
    with tempconfig(settings):
        scene = load_scene(SceneSource(STANDIN, "Standin"))()
        scene.render()
        films = [path for path in tmp_path.rglob("Standin.mp4") if "partial" not in str(path)]
        assert len(films) == 1
        frames = decode(films[0])
        assert len(frames) == round(scene.clock.seconds * 15)
        for index in (5, 20, 50):
            drawn = scene.frame_at(index / 15)
            assert np.abs(frames[index].astype(int) - drawn).mean() < 6.0, index


def test_a_scene_in_quiet_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with quiet_manim(QUALITIES["draft"]):
        load_scene(SceneSource(STANDIN, "Standin"))().frame_at(0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [[], ["spine.level=T12"]])
def test_plain_manim_finds_its_case_in_the_environment(monkeypatch, tmp_path, settings):
    from spineviz.film.base import case_of_environment

    case = tmp_path / "case.toml"
    case.write_text("[needle]\ngauge = 13\n")
    monkeypatch.setenv("SPINEVIZ_CASE", str(case))
    monkeypatch.setenv("SPINEVIZ_SET", "\n".join(settings))
    found = case_of_environment()
    assert found.needle.gauge == 13
    assert found.spine.level == ("T12" if settings else "L1")


def test_what_is_pure_needs_no_manim():
    pure = ("shot", "pieces", "screen", "sidecar", "workers", "opening", "render", "encode", "pictures", "manim_scenes")
    script = (
        "import importlib, json, sys\n"
        f"for name in {pure!r}: importlib.import_module('spineviz.film.' + name)\n"
        "print(json.dumps([name for name in ('manim', 'pyvista', 'scipy', 'vtkmodules') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
