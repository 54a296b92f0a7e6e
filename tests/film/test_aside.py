"""A picture made in a copy of the process is the picture that would have been made here."""

import subprocess
import sys
from pathlib import Path

import pytest

from spineviz.data.aside import FORKS

pytestmark = pytest.mark.skipif(not FORKS, reason="processes cannot be forked here")

LONE = """
import os, sys
from pathlib import Path

import numpy as np

from spineviz.film.base import quiet_manim
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.pictures import lone_frame
from spineviz.film.pieces import QUALITIES
from spineviz.film.shot import FluoroShot

source = SceneSource(Path(sys.argv[1]), "Standin")
with quiet_manim(QUALITIES["draft"]):
    usual, lone = load_scene(source)(), load_scene(source)()
    time_s = next(
        t for t in np.arange(0.0, usual.clock.seconds, 0.2)
        if any(isinstance(shown.view, FluoroShot) for shown in usual.screen._shown(usual.instant(t)))
    )
    here = []
    fluoroscopy = lone.screen.painter.fluoroscopy
    lone.screen.painter.fluoroscopy = lambda *a: here.append(os.getpid()) or fluoroscopy(*a)
    copied = len(os.sched_getaffinity(0)) > 1
    print(np.array_equal(lone_frame(lone, time_s), usual.frame_at(time_s)), bool(here) != copied)
"""
"""Run in a process of its own: one that has run other tests may have threads of theirs, and is not copied then."""


def test_a_lone_frame_is_that_of_the_film_and_its_radiographs_were_made_aside():
    standin = Path(__file__).with_name("standin.py")
    command = [sys.executable, "-W", "ignore", "-c", LONE, str(standin)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr
