"""Layers laid over each other to a frame; from one frame to the next only where something has changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spineviz.views.canvas import Box, Layer, Pixels, blit, common, copy_channels, straight

_ROWS = 32
"""Rows that are compared at once."""

_ALL_ABOVE = 0.7
"""Where more than this share of a frame has changed, all of it is laid anew."""


class Composer:
    """Composes frames of `size_px` (width, height) from layers, the first one lowest.

    Together they must cover it, unless it is `clear`: then it has an alpha of its own.

    A frame is the same whatever was composed before: what is left alone shows the same layers at the same places.
    """

    def __init__(self, size_px: tuple[int, int], clear: bool = False) -> None:
        self.size_px, self.clear = size_px, clear
        self._layers: tuple[Layer, ...] = ()
        self._frame = self._shown = np.empty((0, 0, 4), np.uint8)

    def frame(self, layers: Sequence[Layer]) -> Pixels:
        """The frame, (H, W, 3), or of a clear one (H, W, 4) with straight alpha.

        The layers' pixels must not change afterwards.
        """
        whole = (0, 0, *self.size_px)
        boxes = _apart([clipped for box in changed(self._layers, layers) if (clipped := common(box, whole))])
        if not self._layers or sum(_area(box) for box in boxes) > _ALL_ABOVE * _area(whole):
            boxes = [whole]
        if not self._layers:
            width, height = self.size_px
            self._frame = np.full((height, width, 4), 255, np.uint8)  # cairo blends four channels
            self._shown = np.empty((height, width, 4 if self.clear else 3), np.uint8)
        for box in boxes:
            self._lay(layers, box)
        self._layers = tuple(layers)
        return self._shown.copy()

    def forget(self) -> None:
        """Compose the next frame as if it were the first; until then no memory is held."""
        self._layers = ()
        self._frame = self._shown = np.empty((0, 0, 4), np.uint8)

    def _lay(self, layers: Sequence[Layer], box: Box) -> None:
        """All of `layers` within `box`, from the highest one up that hides what is below."""
        left, top, right, bottom = box
        frame, shown = self._frame[top:bottom, left:right], self._shown[top:bottom, left:right]
        if self.clear:
            frame[:] = 0
        lowest = max((i for i, layer in enumerate(layers) if _hides(layer, box)), default=0)
        for layer in layers[lowest:]:
            blit(self._frame, layer, box)
        if self.clear:
            shown[:] = straight(frame)
        else:
            copy_channels(shown, frame)


def changed(before: Sequence[Layer], after: Sequence[Layer]) -> list[Box]:
    """The boxes outside of which `after` looks as `before` did."""
    places: dict[tuple[object, ...], list[int]] = {}
    for i, layer in enumerate(before):
        places.setdefault(_key(layer), []).append(i)
    out: list[Box] = []
    last = start = 0
    for k, layer in enumerate(after):
        same = next((i for i in places.get(_key(layer), ()) if i >= last), None)
        if same is not None:
            out += _differences(before[last:same], after[start:k])
            last, start = same + 1, k + 1
    return out + _differences(before[last:], after[start:])


def _differences(before: Sequence[Layer], after: Sequence[Layer]) -> list[Box]:
    """Where two stacks differ that have no layer in common: a picture that took another's place, where the two differ;
    of all others their whole extent."""
    out, first = [], 0
    for layer in after:
        place = next((i for i in range(first, len(before)) if _takes_place(layer, before[i])), None)
        if place is None:
            out.append(layer.box)
            continue
        out += [old.box for old in before[first:place]]
        first = place + 1
        box = differing(before[place].pixels, layer.pixels)
        if box is not None:
            x, y = layer.x_px, layer.y_px
            out.append((box[0] + x, box[1] + y, box[2] + x, box[3] + y))
    return out + [old.box for old in before[first:]]


def differing(one: Pixels, other: Pixels) -> Box | None:
    """The smallest box of the pixels in which two pictures of one shape differ; None for equal ones."""
    height, width = one.shape[:2]
    parts = [slice(row, row + _ROWS) for row in range(0, height, _ROWS)]
    unlike = [part for part in parts if not np.array_equal(one[part], other[part])]
    if not unlike:
        return None
    first, last = unlike[0], unlike[-1]
    top = first.start + int(np.flatnonzero((one[first] != other[first]).any((1, 2)))[0])
    bottom = last.start + int(np.flatnonzero((one[last] != other[last]).any((1, 2)))[-1]) + 1
    columns = np.flatnonzero((one[top:bottom] != other[top:bottom]).any(0).reshape(width, -1).any(1))
    return int(columns[0]), top, int(columns[-1]) + 1, bottom


def _takes_place(new: Layer, old: Layer) -> bool:
    return (new.x_px, new.y_px, new.opacity, new.pixels.shape) == (old.x_px, old.y_px, old.opacity, old.pixels.shape)


def _key(layer: Layer) -> tuple[object, ...]:
    return id(layer.pixels), layer.x_px, layer.y_px, layer.opacity


def _hides(layer: Layer, box: Box) -> bool:
    """Whether `layer` is opaque all over `box`."""
    if layer.opacity < 1.0:
        return False
    if layer.pixels.shape[2] == 3:
        return common(layer.box, box) == box
    if layer.solid is None:
        return False
    left, top, right, bottom = layer.solid
    x, y = layer.x_px, layer.y_px
    return common((left + x, top + y, right + x, bottom + y), box) == box


def _apart(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that together hold `boxes` and do not overlap."""
    out: list[Box] = []
    for box in boxes:
        met = [other for other in out if common(other, box)]
        while met:
            out = [other for other in out if other not in met]
            edges = list(zip(box, *met, strict=True))
            box = min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3])
            met = [other for other in out if common(other, box)]
        out.append(box)
    return out


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
