"""Layers of pixels: drawn once with cairo, kept, and laid over a frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cairo
import numpy as np
from numpy.typing import NDArray

from spineviz.views.text import TextStyle, text_mask, text_size
from spineviz.views.theme import RGB

Pixels = NDArray[np.uint8]
"""(H, W, 3) opaque, or (H, W, 4) with colours already multiplied by alpha."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; the last two lie outside."""

_ROWS_AT_ONCE = 64
"""Rows of a picture that are worked out at one time: numbers of a whole one would take half a gigabyte at 4K."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture and where its top left corner lies on the frame.

    Attributes:
        pixels: (h, w, 3) opaque uint8, or (h, w, 4) uint8 with colours premultiplied by alpha.
        x_px, y_px: the corner, pixels from the frame's top left; it may lie outside.
        opacity: 0 to 1, over what the pixels say.
        solid: left, top, right, bottom within the picture of a part that hides what is below; None where there is none.
    """

    pixels: Pixels
    x_px: int
    y_px: int
    opacity: float = 1.0
    solid: tuple[int, int, int, int] | None = None

    def faded(self, opacity: float) -> Layer:
        """The same layer at `opacity` of what it had."""
        return replace(self, opacity=self.opacity * opacity)

    @property
    def box(self) -> Box:
        """What it covers of the frame."""
        height, width = self.pixels.shape[:2]
        return self.x_px, self.y_px, self.x_px + width, self.y_px + height


def common(one: Box, other: Box) -> Box | None:
    """The box that two boxes share; None where they do not overlap."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def blit(frame: Pixels, layer: Layer, within: Box | None = None) -> None:
    """Lay `layer` over `frame`, in place; what lies outside the frame, or outside the box `within` of it, is left out.

    `frame` is (H, W, 3), or (H, W, 4) with colours multiplied by alpha.
    """
    height, width, channels = frame.shape
    box = common(layer.box, (0, 0, width, height))
    if box is not None and within is not None:
        box = common(box, within)
    opacity = min(1.0, max(0.0, layer.opacity))
    if box is None or round(255 * opacity) == 0:
        return
    left, top, right, bottom = box
    x, y = layer.x_px, layer.y_px
    target = frame[top:bottom, left:right]
    if layer.pixels.shape[2] == 3 and round(255 * opacity) == 255:
        copy_channels(target, layer.pixels[top - y : bottom - y, left - x : right - x])
        target[:, :, 3:] = 255
    elif channels == 4 and frame.flags.c_contiguous:
        _paint(_surface(frame), layer, box, opacity)
    else:  # cairo knows four channels only
        four = np.full((bottom - top, right - left, 4), 255, np.uint8)
        copy_channels(four, target)
        _paint(_surface(four), replace(layer, x_px=x - left, y_px=y - top), (0, 0, right - left, bottom - top), opacity)
        copy_channels(target, four)


def copy_channels(target: Pixels, source: Pixels) -> None:
    """Copy `source` (h, w, 3 or 4) to `target`, of which a fourth channel is opaque where `source` has none: channel by
    channel, which is four times as fast as pixel by pixel."""
    if target.shape == source.shape:
        target[:] = source
        return
    for i in range(3):
        target[:, :, i] = source[:, :, i]
    target[:, :, 3:] = 255


def straight(premultiplied: Pixels) -> Pixels:
    """(H, W, 4) with colours that are not multiplied by alpha, and black where nothing is, from such as are."""
    out = premultiplied.copy()
    alpha = premultiplied[:, :, 3]
    part = (alpha > 0) & (alpha < 255)  # the rest, most of a frame, is what it is
    cover = alpha[part].astype(np.uint16)[:, None]
    out[part, :3] = np.minimum((out[part, :3] * np.uint16(255) + cover // 2) // cover, 255)
    return out


def _surface(pixels: Pixels) -> cairo.ImageSurface:
    """A surface on the memory of `pixels` (h, w, 4). Its red is cairo's blue, which no blending tells."""
    height, width = pixels.shape[:2]
    return cairo.ImageSurface.create_for_data(pixels.data, cairo.FORMAT_ARGB32, width, height, 4 * width)


def _paint(target: cairo.ImageSurface, layer: Layer, box: Box, opacity: float) -> None:
    """Blend the part of `layer` that lies in `box` with cairo, exact to the byte in rounding."""
    left, top, right, bottom = (box[0] - layer.x_px, box[1] - layer.y_px, box[2] - layer.x_px, box[3] - layer.y_px)
    source = layer.pixels
    if source.shape[2] == 3:
        four = np.full((bottom - top, right - left, 4), 255, np.uint8)
        copy_channels(four, source[top:bottom, left:right])
        source, left, top = four, 0, 0
    context = cairo.Context(target)
    context.rectangle(box[0], box[1], box[2] - box[0], box[3] - box[1])
    context.clip()
    context.set_source_surface(_surface(np.require(source, np.uint8, ["C", "W"])), box[0] - left, box[1] - top)
    context.paint_with_alpha(opacity)
    target.flush()


class Canvas:
    """A transparent cairo picture whose unit is the design pixel of a 1080-line screen.

    Args:
        width, height: size in design pixels; the picture is cut to the whole pixels that hold it.
        scale: pixels a design pixel (screen height / 1080).
        x, y: where its top left corner lies on the screen, design pixels; drawing coordinates are the screen's.
    """

    def __init__(self, width: float, height: float, scale: float, x: float = 0.0, y: float = 0.0) -> None:
        self.scale = scale
        self.x_px, self.y_px = math.floor(x * scale + 1e-6), math.floor(y * scale + 1e-6)
        self.width_px = max(1, math.ceil((x + width) * scale - 1e-6) - self.x_px)
        self.height_px = max(1, math.ceil((y + height) * scale - 1e-6) - self.y_px)
        self.surface = cairo.ImageSurface(cairo.FORMAT_ARGB32, self.width_px, self.height_px)
        self.context = cairo.Context(self.surface)
        self.context.translate(-self.x_px, -self.y_px)
        self.context.scale(scale, scale)
        self.context.set_line_cap(cairo.LINE_CAP_ROUND)
        self.context.set_line_join(cairo.LINE_JOIN_ROUND)

    def panel(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float,
        fill: RGB | None = None,
        stroke: RGB | None = None,
        stroke_px: float = 1.5,
        alpha: float = 1.0,
    ) -> None:
        """A rectangle with rounded corners."""
        c = self.context
        r = min(radius, width / 2, height / 2)
        c.new_sub_path()
        c.arc(x + width - r, y + r, r, -math.pi / 2, 0)
        c.arc(x + width - r, y + height - r, r, 0, math.pi / 2)
        c.arc(x + r, y + height - r, r, math.pi / 2, math.pi)
        c.arc(x + r, y + r, r, math.pi, 1.5 * math.pi)
        c.close_path()
        self._paint(fill, stroke, stroke_px, alpha)

    def disc(
        self,
        x: float,
        y: float,
        radius: float,
        fill: RGB | None = None,
        stroke: RGB | None = None,
        stroke_px: float = 1.5,
        alpha: float = 1.0,
    ) -> None:
        """A circle round (x, y)."""
        self.context.new_sub_path()
        self.context.arc(x, y, radius, 0, 2 * math.pi)
        self._paint(fill, stroke, stroke_px, alpha)

    def path(
        self,
        points: Iterable[Sequence[float]],
        fill: RGB | None = None,
        stroke: RGB | None = None,
        stroke_px: float = 2.0,
        alpha: float = 1.0,
        closed: bool = False,
        dash: Sequence[float] = (),
    ) -> None:
        """A polygon or polyline through `points`."""
        self.context.new_sub_path()
        for point in points:
            self.context.line_to(float(point[0]), float(point[1]))
        if closed:
            self.context.close_path()
        self.context.set_dash(list(dash))
        self._paint(fill, stroke, stroke_px, alpha)
        self.context.set_dash([])

    def haloed_line(
        self,
        points: Sequence[Sequence[float]],
        colour: RGB,
        halo: RGB,
        stroke_px: float = 2.0,
        dash: Sequence[float] = (),
    ) -> None:
        """A line with a dark rim, so that it reads on bone and on the ground alike."""
        self.path(points, stroke=halo, stroke_px=stroke_px + 3.0, alpha=0.75)
        self.path(points, stroke=colour, stroke_px=stroke_px, dash=dash)

    def text(
        self, words: str, x: float, y: float, style: TextStyle, colour: RGB, anchor: str = "ls", alpha: float = 1.0
    ) -> float:
        """Write `words` with the base line at `y`; returns their width in design pixels.

        `anchor` is "ls", "ms" or "rs": x is the left end, the middle or the right end.
        """
        mask, left_px, top_px = text_mask(words, style, self.scale)
        width = text_size(words, style)[0]
        start = x - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * width
        stride = cairo.ImageSurface.format_stride_for_width(cairo.FORMAT_A8, mask.shape[1])
        padded = np.zeros((mask.shape[0], stride), np.uint8)
        padded[:, : mask.shape[1]] = mask
        surface = cairo.ImageSurface.create_for_data(
            padded.data,
            cairo.FORMAT_A8,
            mask.shape[1],
            mask.shape[0],
            stride,
        )
        c = self.context
        c.save()
        c.identity_matrix()
        c.set_source_rgba(*colour, alpha)
        c.mask_surface(
            surface, round(start * self.scale) + left_px - self.x_px, round(y * self.scale) + top_px - self.y_px
        )
        c.restore()
        surface.finish()
        return width

    def lay(self, premultiplied: NDArray[np.floating]) -> None:
        """Put pixels (h, w, 4), 0 to 1 and multiplied by their alpha, onto the whole canvas, before anything else."""
        self.surface.flush()
        raw = np.ndarray(
            (self.height_px, self.width_px, 4),
            np.uint8,
            self.surface.get_data(),
            strides=(self.surface.get_stride(), 4, 1),
        )
        raw[:] = dithered(premultiplied)[:, :, [2, 1, 0, 3]]
        self.surface.mark_dirty()

    def layer(self) -> Layer:
        """What has been drawn, cut to where there is something."""
        self.surface.flush()
        raw = np.ndarray(
            (self.height_px, self.width_px, 4),
            np.uint8,
            self.surface.get_data(),
            strides=(self.surface.get_stride(), 4, 1),
        )
        drawn = raw[:, :, 3] > 0
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        if not len(rows):
            return Layer(np.zeros((1, 1, 4), np.uint8), self.x_px, self.y_px)
        top, left = int(rows[0]), int(columns[0])
        cut = raw[top : rows[-1] + 1, left : columns[-1] + 1]
        pixels = np.empty(cut.shape, np.uint8)
        for i, channel in enumerate((2, 1, 0, 3)):  # cairo's blue is first
            pixels[:, :, i] = cut[:, :, channel]
        return Layer(pixels, self.x_px + left, self.y_px + top, solid=_solid(pixels[:, :, 3]))

    def _paint(self, fill: RGB | None, stroke: RGB | None, stroke_px: float, alpha: float) -> None:
        c = self.context
        if fill is not None:
            c.set_source_rgba(*fill, alpha)
            if stroke is None:
                c.fill()
            else:
                c.fill_preserve()
        if stroke is not None:
            c.set_source_rgba(*stroke, alpha)
            c.set_line_width(stroke_px)
            c.stroke()
        c.new_path()


def contrast(one: RGB, other: RGB) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""

    def luminance(colour: RGB) -> float:
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def dithered(premultiplied: NDArray[np.floating]) -> Pixels:
    """Pixels (h, w, 4) from values 0 to 1, rounded up or down by chance so that a slow gradient shows no bands."""
    rng, out = np.random.default_rng(0), np.empty(premultiplied.shape, np.uint8)
    for top in range(0, len(out), _ROWS_AT_ONCE):
        few = premultiplied[top : top + _ROWS_AT_ONCE]
        pixels = np.floor(255.0 * few + rng.random((*few.shape[:2], 1))).clip(0, 255).astype(np.uint8)
        # a colour multiplied by alpha is never more than alpha
        np.minimum(pixels, pixels[:, :, 3:], out=out[top : top + _ROWS_AT_ONCE])
    return out


def _solid(alpha: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """A large opaque rectangle (left, top, right, bottom) round the middle of `alpha` (h, w), or None."""
    full = alpha == 255
    row, column = alpha.shape[0] // 2, alpha.shape[1] // 2
    if not full[row, column]:
        return None
    left, right = _run(full[row], column)
    top, bottom = _run(full[:, left:right].all(1), row)
    return (left, top, right, bottom) if (right - left) * (bottom - top) > 2000 else None


def _run(full: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """The stretch of True values that holds the index `at`."""
    before, after = np.flatnonzero(~full[:at]), np.flatnonzero(~full[at:])
    return (int(before[-1]) + 1 if len(before) else 0), (at + int(after[0]) if len(after) else len(full))
