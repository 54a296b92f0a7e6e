"""Frames composed step by step equal frames composed at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spineviz.views.canvas import Layer, blit
from spineviz.views.composer import Composer, changed, differing

SIZE_PX = (90, 70)


def noise(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """A picture by chance, its colours multiplied by its alpha."""
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    if channels == 4:
        pixels[:, :, 3] = rng.choice([0, 90, 255], (height, width))
        pixels[:, :, :3] = np.minimum(pixels[:, :, :3], pixels[:, :, 3:])
    return pixels


def layer(rng: np.random.Generator) -> Layer:
    """One that may reach beyond the frame."""
    height, width = (int(n) for n in rng.integers(3, 50, 2))
    x, y = int(rng.integers(-20, 80)), int(rng.integers(-20, 60))
    return Layer(noise(rng, height, width, int(rng.choice([3, 4]))), x, y, float(rng.choice([1.0, 0.4])))


def step(rng: np.random.Generator, layers: list[Layer]) -> list[Layer]:
    """One layer goes, comes, changes a few of its pixels, moves or passes over its neighbour."""
    at, kind = int(rng.integers(1, len(layers))), int(rng.integers(0, 5))
    out = list(layers)
    if kind == 0 and len(out) > 2:
        del out[at]
    elif kind == 1 and len(out) < 9:
        out.insert(at, layer(rng))
    elif kind == 2:
        pixels = out[at].pixels.copy()
        y, x = int(rng.integers(0, pixels.shape[0])), int(rng.integers(0, pixels.shape[1]))
        pixels[y : y + 3, x : x + 2] = 0
        out[at] = replace(out[at], pixels=pixels)
    elif kind == 3:
        out[at] = replace(out[at], x_px=out[at].x_px + 3)
    else:
        out[at : at + 2] = reversed(out[at : at + 2])
    return out


@pytest.mark.parametrize("seed", range(4))
def test_a_frame_is_the_same_whatever_was_composed_before(seed):
    rng = np.random.default_rng(seed)
    layers = [Layer(noise(rng, SIZE_PX[1], SIZE_PX[0], 3), 0, 0), layer(rng), layer(rng)]
    composer = Composer(SIZE_PX)
    for _ in range(150):
        layers = step(rng, layers)
        plain = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
        for one in layers:
            blit(plain, one)
        assert np.array_equal(composer.frame(layers), plain)


def test_only_what_differs_is_laid_anew():
    rng = np.random.default_rng(5)
    ground, picture = Layer(noise(rng, 70, 90, 3), 0, 0), Layer(noise(rng, 30, 40, 3), 20, 10)
    other = picture.pixels.copy()
    other[4:9, 7:11] ^= 1
    assert changed([ground, picture], [ground, picture]) == []
    assert changed([ground, picture], [ground, replace(picture, pixels=other)]) == [(27, 14, 31, 19)]
    assert changed([ground, picture], [ground]) == [picture.box]
    assert changed([ground], [ground, picture]) == [picture.box]
    assert differing(other, other.copy()) is None


def test_a_frame_that_was_given_does_not_change_later():
    rng = np.random.default_rng(6)
    ground, composer = Layer(noise(rng, 70, 90, 3), 0, 0), Composer(SIZE_PX)
    first = composer.frame([ground])
    composer.frame([ground, layer(rng), layer(rng)])
    assert np.array_equal(first, ground.pixels)


def test_one_that_has_forgotten_holds_no_picture_and_composes_the_same_again():
    composer, layers = Composer(SIZE_PX), [Layer(noise(np.random.default_rng(5), *SIZE_PX[::-1], 3), 0, 0)]
    before = composer.frame(layers)
    composer.forget()
    assert not [value for value in vars(composer).values() if getattr(value, "nbytes", 0)]
    assert np.array_equal(composer.frame(layers), before)
