"""Pictures on regular rasters: resampling by splines, blurs (both axes one after the other), and a shelf for what was
made of each thing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

_FINE_PX = 2.5
"""A blur's spread on the smaller picture on which it is done."""

Image = NDArray[np.float32]
"""(rows, columns)."""


def spline_weights(targets: NDArray[np.floating], first: float, step: float, count: int) -> NDArray[np.float32]:
    """(targets, count) Catmull-Rom weights that carry values at first + i*step to `targets`."""
    place = (targets - first) / step
    base = np.floor(place).astype(int)
    t = place - base
    parts = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1.0 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2.0 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    out = np.zeros((len(targets), count), np.float32)
    for shift, part in zip((-1, 0, 1, 2), parts, strict=True):
        np.add.at(out, (np.arange(len(targets)), np.clip(base + shift, 0, count - 1)), part.astype(np.float32))
    return out


def blurred(image: Image, spread_px: float) -> Image:
    """A Gaussian blur, its edges carried on; a wide one is done on a smaller picture, where it costs little."""
    return blurred_wide(image, spread_px, max(1, int(spread_px / _FINE_PX)))


def blurred_wide(image: Image, spread_px: float, coarse: int) -> Image:
    """A Gaussian blur, its edges carried on, done on a picture `coarse` times smaller."""
    (shrink_down, enlarge_down), (shrink_across, enlarge_across) = (
        _blur(count, spread_px, coarse) for count in image.shape
    )
    small = shrink_across.across(shrink_down.down(image))
    return enlarge_down.down(enlarge_across.across(small)) if coarse > 1 else small


class Band:
    """What carries one axis of a picture to another, as weights (there, here): most of them are 0, and what lies within
    the band that is left is multiplied by a few rows at a time."""

    _ROWS = 32

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self.count = len(weights)
        self._parts: list[tuple[slice, slice, NDArray[np.float32]]] = []
        for first in range(0, self.count, self._ROWS):
            there = slice(first, min(first + self._ROWS, self.count))
            used = np.flatnonzero(weights[there].any(axis=0))
            here = slice(int(used[0]), int(used[-1]) + 1)
            self._parts.append((there, here, np.ascontiguousarray(weights[there, here])))

    def down(self, image: Image) -> Image:
        """The rows of `image` (here, columns) carried, (there, columns)."""
        out = np.empty((self.count, image.shape[1]), np.float32)
        for there, here, weights in self._parts:
            np.matmul(weights, image[here], out=out[there])
        return out

    def across(self, image: Image) -> Image:
        """The columns of `image` (rows, here) carried, (rows, there)."""
        out = np.empty((image.shape[0], self.count), np.float32)
        for there, here, weights in self._parts:
            np.matmul(image[:, here], weights.T, out=out[:, there])
        return out


@lru_cache(maxsize=32)
def _blur(count: int, spread_px: float, coarse: int) -> tuple[Band, Band]:
    """What blurs `count` pixels onto means of `coarse` of them, and what carries those back to all the pixels."""
    small = -(-count // coarse)
    means, pixels = np.arange(small)[:, None], np.arange(small * coarse).reshape(small, coarse)
    pooled = np.zeros((small, count))
    np.add.at(pooled, (means, np.minimum(pixels, count - 1)), 1.0 / coarse)
    spread = spread_px / coarse
    reach = np.arange(-int(4.0 * spread + 0.5), int(4.0 * spread + 0.5) + 1)
    bell = np.exp(-0.5 * (reach / spread) ** 2)
    soft = np.zeros((small, small))
    np.add.at(soft, (means, np.clip(means + reach, 0, small - 1)), bell / bell.sum())
    back = spline_weights((np.arange(count) - (coarse - 1) / 2) / coarse, 0.0, 1.0, small)
    return Band((soft @ pooled).astype(np.float32)), Band(back)


def normal_deviates(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """(count,) independent numbers of mean 0 and deviation 1, normally distributed: each is one of 65,536 that are
    equally likely, which is far finer than a picture's grey and takes a quarter of the time."""
    return _quantiles().take(np.frombuffer(rng.bytes(2 * count), "<u2"))


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float32]:
    """(65536,) the middles of as many equally likely parts of the normal distribution, of deviation 1."""
    from scipy.special import ndtri

    middles = ndtri((np.arange(65536) + 0.5) / 65536)
    out = (middles / middles.std()).astype(np.float32)
    out.setflags(write=False)
    return out


_shelves: WeakSet[Shelf[Any]] = WeakSet()


def settle_shelves() -> None:
    """A run of pictures is done: no shelf holds more than its `most_bytes`, whenever that was used."""
    for shelf in list(_shelves):
        shelf.settle()


class Shelf(Generic[T]):
    """Keeps what was made: of each thing the latest few versions, as what moves never comes back, and of the whole no
    more than `most_bytes` beyond what was used lately.

    Args:
        size: bytes of a value.
        versions: of one thing, so that two states of it may take turns.
        rest: so many calls of `turn` after its last use a value may go.
    """

    def __init__(self, size: Callable[[T], int], most_bytes: int, versions: int = 2, rest: int = 24) -> None:
        self._size, self._most_bytes, self._versions, self._rest = size, most_bytes, versions, rest
        self._made: OrderedDict[tuple[Hashable, Hashable], tuple[T, int]] = OrderedDict()
        self._of: dict[Hashable, list[Hashable]] = {}
        self._round, self.held_bytes = 0, 0
        _shelves.add(self)

    def __len__(self) -> int:
        return len(self._made)

    def get(self, thing: Hashable, version: Hashable, make: Callable[[], T]) -> T:
        """The value of this version of the thing, made where it is not at hand."""
        found = self._made.pop((thing, version), None)
        if found is None:
            value = make()
            self.held_bytes += self._size(value)
            mine = self._of.setdefault(thing, [])
            mine.append(version)
            if len(mine) > self._versions:
                self._drop(thing, mine[0])
        else:
            value = found[0]
            mine = self._of[thing]  # the one used last goes last
            mine.remove(version)
            mine.append(version)
        self._made[thing, version] = value, self._round
        return value

    def drop_all(self, thing: Hashable) -> None:
        """Forget every version of the thing."""
        for version in list(self._of.get(thing, ())):
            self._drop(thing, version)

    def drop(self, thing: Hashable, version: Hashable) -> None:
        """Forget this version of the thing, if it is there."""
        if (thing, version) in self._made:
            self._drop(thing, version)

    def turn(self) -> None:
        """A picture begins: what was used long ago goes while too much is held."""
        self._round += 1
        self._let_go(self._round - self._rest)

    def settle(self) -> None:
        """What was used longest ago goes while too much is held."""
        self._let_go(self._round + 1)

    def clear(self) -> None:
        """Forget everything."""
        self._made.clear()
        self._of.clear()
        self.held_bytes = 0

    def _let_go(self, before: int) -> None:
        """While too much is held let go of what was not used since the turn `before`."""
        while self._made and self.held_bytes > self._most_bytes:
            (thing, version), (_, last) = next(iter(self._made.items()))
            if last >= before:
                break
            self._drop(thing, version)

    def _drop(self, thing: Hashable, version: Hashable) -> None:
        value, _ = self._made.pop((thing, version))
        self.held_bytes -= self._size(value)
        self._of[thing].remove(version)
        if not self._of[thing]:
            del self._of[thing]
