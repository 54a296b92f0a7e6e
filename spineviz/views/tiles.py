"""Which square tiles of a picture something may show in, so that the rest of it need not be worked on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spineviz.views.canvas import Box

TILE_PX = 16
"""A tile's side; even, so that a picture of half the size has tiles of half the side."""

Tiles = NDArray[np.bool_]
"""(rows, columns): which tiles; counted from the picture's lower left corner, as OpenGL counts pixels."""


def no_tiles(size_px: tuple[int, int]) -> Tiles:
    """None of the tiles of a picture of (width, height)."""
    return np.zeros((-(-size_px[1] // TILE_PX), -(-size_px[0] // TILE_PX)), bool)


def tiles_under(boxes_px: NDArray[np.integer], size_px: tuple[int, int]) -> Tiles:
    """The tiles that boxes (N, 4) reach into: left, low, right, high within the picture; an empty box reaches none."""
    rows, columns = no_tiles(size_px).shape
    full = boxes_px[(boxes_px[:, 0] < boxes_px[:, 2]) & (boxes_px[:, 1] < boxes_px[:, 3])]
    left, low = full[:, 0] // TILE_PX, full[:, 1] // TILE_PX
    right, high = -(-full[:, 2] // TILE_PX), -(-full[:, 3] // TILE_PX)
    # each box adds one in the tile where it begins and takes it away where it ends: running sums count the boxes
    count = np.zeros((rows + 1, columns + 1), np.int32)
    for row, column, step in ((low, left, 1), (low, right, -1), (high, left, -1), (high, right, 1)):
        np.add.at(count, (row, column), step)
    return np.asarray(count.cumsum(0).cumsum(1)[:-1, :-1] > 0)


def marked(mask: NDArray[np.bool_], side: int) -> Tiles:
    """The tiles of `side` pixels, a multiple of 8, in which `mask` (H, W) has anything; it begins with a tile."""
    height, width = mask.shape
    columns = -(-width // side)
    if width < columns * side:
        mask = np.pad(mask, ((0, 0), (0, columns * side - width)))
    words = np.bitwise_or.reduceat(mask.view(np.uint64), np.arange(0, height, side), axis=0)  # eight pixels in one
    return np.asarray(words.reshape(len(words), columns, side // 8).any(axis=2))


def spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is set in `mask` (H, W) and the eight pixels round each."""
    out = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    rows = out.copy()
    out[:, 1:] |= rows[:, :-1]
    out[:, :-1] |= rows[:, 1:]
    return out


def counted(tiles: Tiles) -> NDArray[np.int32]:
    """(rows + 1, columns + 1) how many of `tiles` lie below and left of each corner between tiles."""
    out = np.zeros((tiles.shape[0] + 1, tiles.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(tiles, axis=0, dtype=np.int32), axis=1, out=out[1:, 1:])
    return out


def reached(boxes_px: NDArray[np.integer], count: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) which of the boxes (N, 4) reach into any of the tiles that were `counted`; an empty box reaches none."""
    left, low = boxes_px[:, 0] // TILE_PX, boxes_px[:, 1] // TILE_PX
    right, high = -(-boxes_px[:, 2] // TILE_PX), -(-boxes_px[:, 3] // TILE_PX)
    inside = count[high, right] - count[high, left] - count[low, right] + count[low, left]
    return np.asarray((inside > 0) & (boxes_px[:, 0] < boxes_px[:, 2]) & (boxes_px[:, 1] < boxes_px[:, 3]))


def filled_box(tiles: Tiles) -> Tiles:
    """All tiles of the smallest box round `tiles`."""
    rows, columns = (np.flatnonzero(tiles.any(axis)) for axis in (1, 0))
    out = np.zeros_like(tiles)
    if len(rows):
        out[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return out


def grown(tiles: Tiles, left_px: float, low_px: float, right_px: float, high_px: float) -> Tiles:
    """`tiles` and those that lie so far to each side of one of them."""
    out = tiles
    for axis, back, forth in ((1, left_px, right_px), (0, low_px, high_px)):
        start = out
        for step in range(1, min(tiles.shape[axis], int(np.ceil(max(back, forth) / TILE_PX))) + 1):
            out = out | _stepped(start, axis, -step) if (step - 1) * TILE_PX < back else out
            out = out | _stepped(start, axis, step) if (step - 1) * TILE_PX < forth else out
    return out


def _stepped(tiles: Tiles, axis: int, step: int) -> Tiles:
    out = np.zeros_like(tiles)
    into, source = [slice(None)] * 2, [slice(None)] * 2
    into[axis] = slice(step, None) if step > 0 else slice(None, step)
    source[axis] = slice(None, -step) if step > 0 else slice(-step, None)
    out[tuple(into)] = tiles[tuple(source)]
    return out


def box_round(tiles: Tiles, size_px: tuple[int, int]) -> Box:
    """Left, low, right and high of the smallest box round `tiles`, within the picture; empty where there are none."""
    rows, columns = np.flatnonzero(tiles.any(1)), np.flatnonzero(tiles.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return (
        int(columns[0]) * TILE_PX, int(rows[0]) * TILE_PX,
        min(size_px[0], (int(columns[-1]) + 1) * TILE_PX), min(size_px[1], (int(rows[-1]) + 1) * TILE_PX),
    )  # fmt: skip


def rectangles(tiles: Tiles, size_px: tuple[int, int]) -> NDArray[np.int64]:
    """Boxes (N, 4), left, low, right, high, that together are `tiles`, cut to the picture, and do not overlap."""
    edges = np.diff(tiles.astype(np.int8), axis=1, prepend=0, append=0)
    # in the order of rows a run of tiles begins for each that ends
    rows, starts = np.nonzero(edges > 0)
    ends = np.nonzero(edges < 0)[1]
    # runs of like columns follow each other upwards: those of neighbouring rows make one box
    order = np.lexsort((rows, ends, starts))
    rows, starts, ends = rows[order], starts[order], ends[order]
    same = (np.diff(rows) == 1) & (np.diff(starts) == 0) & (np.diff(ends) == 0)
    inner = np.concatenate([[False], same, [False]])[: len(rows) + 1]
    first, last = np.flatnonzero(~inner[:-1]), np.flatnonzero(~inner[1:])
    boxes = TILE_PX * np.stack([starts[first], rows[first], ends[first], rows[last] + 1], axis=1)
    return np.minimum(boxes, (*size_px, *size_px))


def corners_of(boxes: NDArray[np.int64], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """(6 * N, 2) the corners of two triangles for each of `boxes` (N, 4), as shares -1 to 1 of a picture of (width,
    height)."""
    box = boxes.reshape(-1, 2, 2) / size_px * 2.0 - 1.0
    (left, low), (right, high) = box[:, 0].T, box[:, 1].T
    spots = [(left, low), (right, low), (right, high), (left, low), (right, high), (left, high)]
    return np.stack([np.stack(spot, axis=1) for spot in spots], axis=1).reshape(-1, 2).astype(np.float32)
