"""What a copy of the process makes is what would have been made here."""

import os
import select
import threading
import time

import numpy as np
import pytest

from spineviz.data import aside
from spineviz.data.aside import FORKS, Aside, beside, made_by_two, make_ahead
from spineviz.data.once import once

pytestmark = pytest.mark.skipif(not FORKS, reason="processes cannot be forked here")


def test_results_come_back_in_their_order_and_from_another_process():
    with Aside([lambda: {"a": np.arange(3)}, os.getpid, lambda: 1.5]) as copy:
        assert copy.result(2) == 1.5
        assert np.array_equal(copy.result(0)["a"], np.arange(3))
        assert copy.result(1) != os.getpid()


def test_what_fails_there_is_made_here_and_says_what_is_wrong():
    here = os.getpid()

    def bad() -> None:
        raise ValueError("copy" if os.getpid() != here else "here")

    with Aside([lambda: 1, bad]) as copy:
        assert copy.result(0) == 1
        with pytest.raises(ValueError, match="here"):
            copy.result(1)


def test_what_a_pipe_cannot_hold_does_not_keep_the_next_from_being_made(tmp_path):
    made = tmp_path / "made"
    with Aside([lambda: np.zeros(1_000_000), lambda: made.write_text("both")]) as copy:
        for _ in range(200):  # nobody has asked for the first yet
            if made.exists():
                break
            time.sleep(0.05)
        assert made.exists()
        assert copy.result(1) == 4
        assert len(copy.result(0)) == 1_000_000


def test_a_copy_that_nobody_waits_for_is_ended():
    with pytest.raises(KeyError), Aside([lambda: time.sleep(60.0)]) as copy:
        raise KeyError
    with pytest.raises(ChildProcessError):
        os.waitpid(copy._child, 0)


@pytest.mark.parametrize("cores", [1, 2])
def test_what_is_made_ahead_is_made_once_by_one_or_the_other(monkeypatch, tmp_path, cores):
    monkeypatch.setattr(aside, "two_at_once", lambda: cores > 1)

    @once
    def squared(number: int) -> int:
        with (tmp_path / str(number)).open("x"):  # fails where it is there
            time.sleep(0.05)
        return number * number

    squared(3)
    make_ahead([(squared, (number,)) for number in range(8)])
    assert len(list(tmp_path.iterdir())) == (8 if cores > 1 else 1)
    assert [squared(number) for number in range(8)] == [number * number for number in range(8)]
    assert len(list(tmp_path.iterdir())) == 8


def test_what_a_copy_makes_anyway_is_made_ahead_with_its_help(monkeypatch):
    monkeypatch.setattr(aside, "two_at_once", lambda: True)

    @once
    def maker(number: int) -> int:
        time.sleep(0.2)
        return os.getpid()

    calls = [(maker, (number,)) for number in range(8)]
    with beside(calls):
        make_ahead(calls[:6])
        assert len({maker(number) for number in range(6)}) == 2


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_what_two_make_is_in_its_order_and_the_first_half_of_it_from_here(monkeypatch, cores, count):
    monkeypatch.setattr(aside, "two_at_once", lambda: cores > 1)
    made = made_by_two([lambda number=number: (number, os.getpid()) for number in range(count)])
    assert [number for number, _ in made] == list(range(count))
    here = [pid == os.getpid() for _, pid in made]
    assert here == [cores == 1 or number < (count + 1) // 2 for number in range(count)]


def test_a_copy_does_not_wait_for_what_a_thread_of_the_original_was_making():
    begun, go_on = threading.Event(), threading.Event()

    @once
    def made(name: str) -> str:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            go_on.wait()
        return name.upper()

    thread = threading.Thread(target=made, args=("a",))
    thread.start()
    begun.wait()
    assert not aside.two_at_once()
    with Aside([lambda: made("a")]) as copy:
        ready, _, _ = select.select([copy._pipe], [], [], 20.0)
        go_on.set()
        thread.join()
        assert ready
        assert copy.result(0) == "A"
