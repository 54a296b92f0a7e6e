"""A picture made in a copy of the process is the picture that would have been made here."""

import os

import numpy as np
import pytest

from spineviz.film.aside import Aside
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
