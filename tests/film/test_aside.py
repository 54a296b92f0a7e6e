"""A picture made in a copy of the process is the picture that would have been made here."""

import os
from pathlib import Path

import numpy as np
import pytest

from spineviz.film.aside import Aside
from spineviz.film.base import quiet_manim
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.pictures import lone_frame
from spineviz.film.pieces import QUALITIES
from spineviz.film.shot import FluoroShot
from spineviz.film.workers import FORKS

pytestmark = pytest.mark.skipif(not FORKS, reason="processes cannot be forked here")


def test_pictures_come_back_in_their_order_and_from_another_process():
    first = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    processes = np.zeros((1, 8), np.uint8)

    def who() -> np.ndarray:
        return processes + np.frombuffer(os.getpid().to_bytes(8, "little"), np.uint8)

    aside = Aside([lambda: first, who, lambda: first[::-1]])
    assert np.array_equal(aside.picture(2), first[::-1])
    assert np.array_equal(aside.picture(0), first)
    assert int.from_bytes(aside.picture(1).tobytes(), "little") not in (0, os.getpid())


def test_a_picture_that_fails_there_is_made_here_and_says_what_is_wrong():
    good = np.full((3, 3), 7, np.uint8)
    here = os.getpid()

    def bad() -> np.ndarray:
        raise ValueError("copy" if os.getpid() != here else "here")

    aside = Aside([lambda: good, bad, lambda: good])
    assert np.array_equal(aside.picture(0), good)
    with pytest.raises(ValueError, match="here"):
        aside.picture(1)
    assert np.array_equal(aside.picture(2), good)


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
