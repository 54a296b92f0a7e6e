"""What several threads ask for at once is made once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spineviz.data.once import once


def test_threads_that_ask_at_once_get_the_one_thing_that_was_made():
    asked = threading.Barrier(8)
    calls = []

    @once
    def made(name: str) -> object:
        calls.append(name)
        return object()

    def ask(name: str) -> object:
        asked.wait()
        return made(name)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, ["a", "b"] * 4))
    assert sorted(calls) == ["a", "b"]
    assert len({id(one) for one in found[::2]}) == len({id(one) for one in found[1::2]}) == 1
    made.cache_clear()
    assert made("a") is not found[0]


def test_what_is_let_go_is_made_again_and_nothing_else():
    calls = []

    @once
    def made(name: str) -> object:
        calls.append(name)
        return object()

    first, other = made("a"), made("b")
    made.forget("a")
    made.forget("never made")
    assert made("b") is other
    assert made("a") is not first
    assert calls == ["a", "b", "a"]


def test_what_failed_is_asked_again():
    fails = [True]

    @once
    def made() -> int:
        if fails.pop():
            fails.append(False)
            raise ValueError("not yet")
        return 3

    with pytest.raises(ValueError, match="not yet"):
        made()
    assert made() == 3
