"""Words as pixels: one family, the same on every machine, rasterised once and kept.

Sizes are design pixels, those of a screen of 1080 lines; `scale` carries them to the screen that is drawn. The family
is Source Sans Pro (SIL Open Font License 1.1), which comes with the package font-source-sans-pro; its figures are
tabular, so a number that counts does not tremble.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

WEIGHTS = {"regular": "SourceSansPro-Regular", "semibold": "SourceSansPro-Semibold", "bold": "SourceSansPro-Bold"}
SMALLEST_PX = 24.0
"""Nothing on screen is smaller (design pixels)."""

_FINE = 4
"""Glyphs are drawn this many times larger and averaged: even spacing without the grid of hinting."""
_METRIC_PX = 512


@dataclass(frozen=True)
class TextStyle:
    """Size in design pixels (at least SMALLEST_PX; ValueError otherwise) and weight, a key of WEIGHTS."""

    size_px: float
    weight: str = "regular"

    def __post_init__(self) -> None:
        """Check the size and the weight."""
        if self.size_px < SMALLEST_PX:
            raise ValueError(f"size_px must be at least {SMALLEST_PX:g} of 1080 lines, got {self.size_px}")
        if self.weight not in WEIGHTS:
            raise ValueError(f"weight must be one of {', '.join(WEIGHTS)}, got {self.weight!r}")


TITLE = TextStyle(40, "bold")
SUBTITLE = TextStyle(26)
CAPTION = TextStyle(42)
LABEL = TextStyle(28, "semibold")
HEADER = TextStyle(26, "semibold")
COLUMN_TITLE = TextStyle(34, "bold")
NOTE = TextStyle(24)
GAUGE_NAME = TextStyle(28)
GAUGE_VALUE = TextStyle(36, "bold")
TILE_VALUE = TextStyle(50, "bold")


def font_file(weight: str) -> Path:
    """The TTF file of a weight, from the package font-source-sans-pro."""
    import font_source_sans_pro  # type: ignore[import-untyped]

    return Path(font_source_sans_pro.__file__).parent / "files" / f"{WEIGHTS[weight]}.ttf"


@cache
def _font(weight: str, size_px: float) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(font_file(weight)), size_px)


@lru_cache(maxsize=4096)
def text_size(words: str, style: TextStyle) -> tuple[float, float]:
    """The width of `words` and the height from ascender to descender, design pixels."""
    font = _font(style.weight, _METRIC_PX)
    share = style.size_px / _METRIC_PX
    ascent, descent = font.getmetrics()
    return float(font.getlength(words)) * share, (ascent + descent) * share


def cap_height(style: TextStyle) -> float:
    """The height of a capital, design pixels (0.66 of the size in this family)."""
    return 0.66 * style.size_px


@lru_cache(maxsize=2048)
def text_mask(words: str, style: TextStyle, scale: float) -> tuple[NDArray[np.uint8], int, int]:
    """Coverage (h, w) uint8 of `words`, and the mask's left and top against the left end of the base line, pixels."""
    font = _font(style.weight, style.size_px * scale * _FINE)
    box = font.getbbox(words, anchor="ls")
    left, top = math.floor(box[0] / _FINE), math.floor(box[1] / _FINE)
    width, height = max(1, math.ceil(box[2] / _FINE) - left), max(1, math.ceil(box[3] / _FINE) - top)
    from PIL import Image, ImageDraw

    image = Image.new("L", (width * _FINE, height * _FINE))
    ImageDraw.Draw(image).text((-left * _FINE, -top * _FINE), words, fill=255, font=font, anchor="ls")
    mask = np.asarray(image.reduce(_FINE))
    mask.setflags(write=False)
    return mask, left, top


def wrap(words: str, signs: int = 42, lines: int = 2) -> tuple[str, ...]:
    """`words` as at most `lines` lines of at most `signs` signs, as even as can be.

    A line break in them is kept where both its lines fit.

    Raises ValueError, with the words, where they do not fit.
    """
    parts = tuple(part.strip() for part in words.split("\n"))
    if len(parts) > 1 and len(parts) <= lines and all(len(part) <= signs for part in parts):
        return parts
    if len(parts) <= lines:  # a number may have grown since the break was chosen
        words = " ".join(part for part in parts if part)
    else:
        raise ValueError(f"{words!r} does not fit {lines} lines of {signs} signs")
    if len(words) <= signs:
        return (words,) if words else ()
    pieces = words.split()
    breaks = [(" ".join(pieces[:i]), " ".join(pieces[i:])) for i in range(1, len(pieces))]
    fitting = [pair for pair in breaks if max(map(len, pair)) <= signs]
    if lines < 2 or not fitting:
        raise ValueError(f"{words!r} does not fit {lines} lines of {signs} signs")
    # a sentence that ends near the middle is the better place to break
    return min(fitting, key=lambda pair: abs(len(pair[0]) - len(pair[1])) - (12 if pair[0][-1] in ".;:" else 0))
