"""A run of frames is the same, byte for byte, whatever the process drew before: pieces go to any worker."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.data.films import film
from spineviz.film.opening import opened
from spineviz.film.pieces import QUALITIES
from spineviz.procedures.case import Case
from spineviz.views import attenuation

DRAFT = QUALITIES["draft"]
RUNS = {"posture": ("table", 4.6), "insertion": ("pedicle", 8.0), "cement": ("cement", 9.0)}
"""What moves -> step and seconds of it at which a run begins: bones and camera, instruments, a growing thing."""


def run_of(scene, name: str, count: int = 4) -> list[np.ndarray]:
    """Frames one after the other, after everything before is forgotten."""
    step, second = RUNS[name]
    begin = round((film("vertebroplasty").step(step).start_s + second) * DRAFT.frames_per_s)
    scene.forget()
    return [scene.frame_at((begin + i) / DRAFT.frames_per_s) for i in range(count)]


@pytest.fixture(scope="module")
def fresh() -> dict[str, list[np.ndarray]]:
    """Each run by a scene of its own, with no line integral kept."""
    out = {}
    for name in RUNS:
        attenuation._shared_voxels.clear()
        attenuation._shared_remains.clear()
        attenuation._shared_grounds.clear()
        with opened("vertebroplasty", Case(), DRAFT) as scene:
            out[name] = run_of(scene, name)
    return out


def test_runs_are_the_same_whatever_was_drawn_before(fresh):
    with opened("vertebroplasty", Case(), DRAFT) as scene:
        for name in ("insertion", "cement", "posture", "posture", "insertion", "cement"):
            step, second = RUNS[name]
            begin_s = film("vertebroplasty").step(step).start_s + second
            for before_s in (1.3, 1 / 15, 1e-3):  # another moment, the frame before, and what is nearly the first one
                scene.frame_at(begin_s - before_s)
            for one, other in zip(run_of(scene, name), fresh[name], strict=True):
                assert np.array_equal(one, other), name


def test_a_run_moves(fresh):
    for name, frames in fresh.items():
        assert not np.array_equal(frames[0], frames[-1]), name
