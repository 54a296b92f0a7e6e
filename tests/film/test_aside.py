"""A picture made in a copy of the process is the picture that would have been made here."""

import os
from pathlib import Path

import numpy as np
import pytest

from spineviz.data.aside import FORKS
from spineviz.film.base import quiet_manim
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.pictures import lone_frame
from spineviz.film.pieces import QUALITIES
from spineviz.film.shot import FluoroShot

pytestmark = pytest.mark.skipif(not FORKS, reason="processes cannot be forked here")


def test_a_lone_frame_is_that_of_the_film_and_its_radiographs_were_made_aside(monkeypatch):
    source = SceneSource(Path(__file__).with_name("standin.py"), "Standin")
    with quiet_manim(QUALITIES["draft"]):
        usual, lone = load_scene(source)(), load_scene(source)()
        time_s = next(
            t for t in np.arange(0.0, usual.clock.seconds, 0.2)
            if any(isinstance(shown.view, FluoroShot) for shown in usual.screen._shown(usual.instant(t)))
        )  # fmt: skip
        here = []
        fluoroscopy = lone.screen.painter.fluoroscopy
        monkeypatch.setattr(lone.screen.painter, "fluoroscopy", lambda *a: here.append(os.getpid()) or fluoroscopy(*a))
        assert np.array_equal(lone_frame(lone, time_s), usual.frame_at(time_s))
        assert not here
