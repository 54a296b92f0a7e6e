"""What one process made another one reads; nothing is made twice, and nobody waits for what will not come."""

import os
import threading
import time

import numpy as np
import pytest

from spineviz.data.aside import FORKS, Aside, beside, two_at_once
from spineviz.data.once import once

board = pytest.importorskip("spineviz.data.board", reason="processes cannot be forked here")
pytestmark = pytest.mark.skipif(not FORKS, reason="processes cannot be forked here")


def _wait(until):
    for _ in range(400):
        if until():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_what_another_process_made_is_read_and_not_made_here():
    @once
    def made(number: int) -> tuple[int, np.ndarray]:
        return os.getpid(), np.arange(number)

    with board.opened([(made, (3,)), (made, (200_000,))]) as shared, Aside([lambda: shared.work(shared.calls)]) as copy:
        copy.result(0)
        for number in (3, 200_000):
            who, values = made(number)
            assert who != os.getpid()
            assert np.array_equal(values, np.arange(number))
        assert made(5)[0] == os.getpid()  # is not on the board
    assert made(3)[0] != os.getpid()  # stays known


def test_what_another_process_is_making_is_waited_for(tmp_path):
    begun = tmp_path / "begun"

    @once
    def made(name: str) -> int:
        begun.touch()
        time.sleep(0.3)
        return os.getpid()

    with board.opened([(made, ("a",))]) as shared, Aside([lambda: shared.work(shared.calls)]):
        _wait(begun.exists)
        assert made("a") != os.getpid()


def test_what_dies_with_its_maker_is_made_by_the_next(tmp_path):
    begun, here = tmp_path / "begun", os.getpid()

    @once
    def made(name: str) -> int:
        if os.getpid() != here:
            begun.touch()
            time.sleep(0.2)
            os._exit(1)
        return os.getpid()

    with board.opened([(made, ("a",))]) as shared, Aside([lambda: shared.work(shared.calls)]):
        _wait(begun.exists)
        assert made("a") == here


def test_what_fails_there_fails_here_and_says_what_is_wrong():
    here = os.getpid()

    @once
    def made(name: str) -> int:
        raise ValueError("here" if os.getpid() == here else "copy")

    with board.opened([(made, ("a",))]) as shared, Aside([lambda: shared.work(shared.calls)]):
        with pytest.raises(ValueError, match="here"):
            made("a")
        with pytest.raises(ValueError, match="here"):
            made("a")


def test_what_needs_other_things_of_the_board_is_made_by_whoever_has_them():
    @once
    def one(number: int) -> int:
        return number if number < 2 else one(number - 1) + one(number - 2)

    calls = [(one, (number,)) for number in range(40)]
    with board.opened(calls) as shared, Aside([lambda: shared.work(calls)]) as copy:
        shared.work(calls[::-1])
        copy.result(0)
        assert all(shared.is_there(place) for place in range(40))
        assert one(39) == 63245986


def test_two_boards_lie_over_each_other():
    @once
    def made(name: str) -> int:
        return os.getpid()

    with board.opened([(made, ("outer",))]) as outer, Aside([lambda: outer.work(outer.calls)]) as copy:
        copy.result(0)
        with board.opened([(made, ("inner",))]) as inner:
            assert inner.lists([(made, ("inner",))])
            assert not inner.lists([(made, ("inner",)), (made, ("outer",))])
            assert made("outer") != os.getpid()
            assert made("inner") == os.getpid()
            assert inner.is_there(0)
        assert board.open_board() is outer
    assert board.open_board() is None


def test_what_lies_on_the_outer_board_is_not_made_again_for_the_inner_one():
    @once
    def made(name: str) -> int:
        return os.getpid()

    calls = [(made, ("both",))]
    with board.opened(calls) as outer, Aside([lambda: outer.work(calls)]) as copy:
        copy.result(0)
        with board.opened(calls) as inner:
            assert made("both") != os.getpid()
            assert inner.is_there(0)


def test_threads_lay_what_they_made_side_by_side():
    @once
    def made(number: int) -> np.ndarray:
        return np.full(50_000, number)

    with board.opened([(made, (number,)) for number in range(8)]) as shared:
        threads = [threading.Thread(target=made, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made.cache_clear()
        assert all((made(number) == number).all() for number in range(8))
        assert all(shared.is_there(place) for place in range(8))


def test_what_does_not_fit_is_made_by_whoever_needs_it(monkeypatch):
    calls = []

    @once
    def made(name: str) -> str:
        calls.append(name)
        return name.upper()

    def full(*_):
        raise OSError(27, "File too large")

    with board.opened([(made, ("a",))]) as shared:
        monkeypatch.setattr("os.pwrite", full)
        assert made("a") == made("a") == "A"
        assert not shared.is_there(0)
        made.cache_clear()
        assert made("a") == "A"
    assert calls == ["a", "a"]


def test_what_is_made_beside_a_block_is_ended_with_it_and_changes_nothing():
    @once
    def made(name: str) -> str:
        if name == "long":
            time.sleep(60.0)
        return name.upper()

    begun = time.monotonic()
    if two_at_once():
        with beside([(made, ("a",)), (made, ("long",))]):
            assert made("a") == "A"
    assert time.monotonic() - begun < 30.0
    assert made("b") == "B"
