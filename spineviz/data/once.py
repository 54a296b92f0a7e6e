"""What is made once in a process, whichever of its threads asks first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Elsewhere(Protocol):
    """Where else a thing may have been made."""

    def made(self, function: once[..., Any], arguments: tuple[Hashable, ...], make: Callable[[], Any]) -> Any:
        """What `function` gives for `arguments`: what another process made, or else what `make` makes."""


_every: WeakSet[once[..., Any]] = WeakSet()
_elsewhere: list[Elsewhere] = []


def ask_first(elsewhere: Elsewhere | None) -> None:
    """From here on let every `once` ask `elsewhere` before it makes a thing."""
    _elsewhere[:] = [] if elsewhere is None else [elsewhere]


class once(Generic[_P, _T]):
    """`make`, a pure function of hashable arguments, asked once for each of them.

    Unlike with functools.cache, a thread that asks for what another one is making waits for it instead of making it
    again. What `make` raises is not kept. What is made must not need itself.
    """

    def __init__(self, make: Callable[_P, _T]) -> None:
        self._make = make
        self._made: dict[Hashable, _T] = {}
        self._locks: dict[Hashable, threading.Lock] = {}
        update_wrapper(self, make)
        _every.add(self)

    def __call__(self, *arguments: _P.args, **named: _P.kwargs) -> _T:
        """What `make` gives for these arguments."""
        key = arguments, tuple(sorted(named.items()))
        if key not in self._made:
            with self._locks.setdefault(key, threading.Lock()):
                if key not in self._made:
                    if _elsewhere and not named:
                        make = partial(self._make, *arguments, **named)
                        self._made[key] = _elsewhere[0].made(self, arguments, make)
                    else:
                        self._made[key] = self._make(*arguments, **named)
        return self._made[key]

    def has(self, *arguments: _P.args, **named: _P.kwargs) -> bool:
        """Whether it was made for these arguments."""
        return (arguments, tuple(sorted(named.items()))) in self._made

    def forget(self, *arguments: _P.args, **named: _P.kwargs) -> None:
        """Let go of what was made for these arguments."""
        self._made.pop((arguments, tuple(sorted(named.items()))), None)

    def cache_clear(self) -> None:
        """Forget what was made."""
        self._made.clear()


Call = tuple[once[..., Any], tuple[Hashable, ...]]
"""A function whose results are kept, and its arguments."""


def _unlocked() -> None:
    """In a copy of this process: those who held locks are not there."""
    for one in _every:
        one._locks = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlocked)
