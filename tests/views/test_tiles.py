"""Tiles against the pixels that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.views.tiles import (
    TILE_PX,
    box_round,
    corners_of,
    counted,
    filled_box,
    grown,
    marked,
    no_tiles,
    reached,
    rectangles,
    spread,
    tiles_under,
)

SIZES = [(320, 240), (331, 197), (16, 16)]


def pixels_of(tiles: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """(height, width) whether each pixel lies in one of `tiles`, the lowest row first."""
    whole = np.repeat(np.repeat(tiles, TILE_PX, axis=0), TILE_PX, axis=1)
    return whole[: size_px[1], : size_px[0]]


def some_tiles(size_px: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(no_tiles(size_px).shape) < 0.4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_the_tiles_under_boxes_are_those_that_hold_a_pixel_of_one(size, seed):
    ends = np.random.default_rng(seed).integers(0, (*size, *size), (7, 4), endpoint=True)
    boxes = np.concatenate([ends, [[5, 5, 5, 9], [9, 9, 3, 12]]])  # two of them are empty
    filled = np.zeros(size[::-1], bool)
    for left, low, right, high in boxes:
        filled[low:high, left:right] = True
    expected = no_tiles(size)
    rows, columns = np.nonzero(filled)
    expected[rows // TILE_PX, columns // TILE_PX] = True
    assert np.array_equal(tiles_under(boxes, size), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_rectangles_hold_each_pixel_of_the_tiles_once_and_no_other(size, seed):
    tiles = some_tiles(size, seed)
    times = np.zeros(size[::-1], int)
    for left, low, right, high in rectangles(tiles, size):
        assert left < right
        assert low < high
        times[low:high, left:right] += 1
    assert np.array_equal(times, pixels_of(tiles, size).astype(int))


@pytest.mark.parametrize("size", SIZES)
def test_the_box_round_tiles_is_the_smallest(size):
    tiles = some_tiles(size, 3)
    rows, columns = np.nonzero(pixels_of(tiles, size))
    assert box_round(tiles, size) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert box_round(no_tiles(size), size) == (0, 0, 0, 0)
    left, low, right, high = box_round(tiles, size)
    inside = np.zeros(size[::-1], bool)
    inside[low:high, left:right] = True
    assert np.array_equal(pixels_of(filled_box(tiles), size), inside)
    assert not filled_box(no_tiles(size)).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_a_box_reaches_the_tiles_of_which_it_holds_a_pixel(size, seed):
    tiles, random = some_tiles(size, seed) & some_tiles(size, seed + 9), np.random.default_rng(seed)
    ends = np.sort(random.integers(0, (*size, *size), (40, 4), endpoint=True).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    pixels = pixels_of(tiles, size)
    expected = [pixels[low:high, left:right].any() for left, low, right, high in ends]
    assert reached(ends, counted(tiles)).tolist() == expected


@pytest.mark.parametrize("side", [8, 16, 24, 32])
def test_marked_tiles_are_those_in_which_a_pixel_is_set(side):
    mask = np.random.default_rng(side).random((77, 131)) < 0.004
    expected = np.zeros((-(-77 // side), -(-131 // side)), bool)
    rows, columns = np.nonzero(mask)
    expected[rows // side, columns // side] = True
    assert np.array_equal(marked(mask, side), expected)


def test_a_spread_mask_holds_the_neighbours_of_what_is_set_and_no_more():
    mask = np.random.default_rng(2).random((33, 47)) < 0.02
    expected = np.zeros_like(mask)
    for row, column in zip(*np.nonzero(mask), strict=True):
        expected[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    assert np.array_equal(spread(mask), expected)


@pytest.mark.parametrize("reach", [(0, 0, 0, 0), (1, 0, 40, 3), (70.5, 20, 0, 16), (9e9, 9e9, 9e9, 9e9)])
def test_grown_tiles_hold_all_that_is_in_reach_and_none_that_lies_a_tile_further(reach):
    size = (20 * TILE_PX, 15 * TILE_PX)
    tiles = no_tiles(size)
    tiles[7, 9] = True
    rows, columns = np.nonzero(grown(tiles, *reach))
    for found, at, back, forth in ((columns, 9, reach[0], reach[2]), (rows, 7, reach[1], reach[3])):
        most = 19 if at == 9 else 14
        assert found.min() == max(0, at - int(min(np.ceil(back / TILE_PX), 99)))
        assert found.max() == min(most, at + int(min(np.ceil(forth / TILE_PX), 99)))
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_corners_are_two_triangles_over_each_box():
    spots = corners_of(np.array([(0, 0, 10, 20), (10, 5, 20, 10)]), (20, 20)).reshape(2, 2, 3, 2)
    for triangles, area in zip(spots, (1.0 * 2.0, 1.0 * 0.5), strict=True):
        edges = triangles[:, 1:] - triangles[:, :1]
        areas = 0.5 * (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
        assert areas == pytest.approx([area / 2, area / 2])
    assert spots[0].min() == -1.0
    assert corners_of(np.zeros((0, 4), int), (20, 20)).shape == (0, 2)
