"""What is burnt into a picture: side letters, small words, a scale bar, the rounded edge of a monitor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Vector
from spineviz.geometry.frames import Frame

Grey = NDArray[np.float32]
"""(H, W) brightness or coverage, 0 to 1."""
Colour = tuple[float, float, float]

_SIDES = (("L", "R"), ("P", "A"), ("F", "H"))
"""The letters of the patient's directions: minus and plus of x, y and z."""
_SEEN_FROM = (("the left", "the right"), ("behind", "the front"), ("below", "above"))
SMALLEST_SHARE = 24.0 / 1080.0
"""The smallest type of a film as a share of its height (design: 24 px of 1080)."""


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    spec = find_spec("font_source_sans_pro")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package font-source-sans-pro is missing; pip install font-source-sans-pro")
    return Path(spec.origin).parent / "files"


@lru_cache(maxsize=256)
def text_coverage(text: str, size_px: float, weight: str = "Semibold") -> Grey:
    """`text` in Source Sans Pro as coverage (h, w), cropped to its line; the same on every machine.

    `size_px` is the type's size; `weight` one of the family's (Regular, Semibold, Bold).
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(_font_folder() / f"SourceSansPro-{weight}.ttf"), max(6.0, float(size_px)))
    left, top, right, bottom = font.getbbox(text)
    margin = 2
    canvas = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin), 0)
    ImageDraw.Draw(canvas).text((margin - left, margin - top), text, fill=255, font=font)
    out = np.asarray(canvas, np.float32) / 255.0
    out.setflags(write=False)
    return out


@lru_cache(maxsize=64)
def _halo(text: str, size_px: float, weight: str) -> Grey:
    """The outline of a text as coverage, wider than the text by its rim on every side."""
    from scipy.ndimage import maximum_filter

    rim = _rim_px(size_px)
    out = np.asarray(0.8 * maximum_filter(np.pad(text_coverage(text, size_px, weight), rim), size=2 * rim + 1))
    out.setflags(write=False)
    return out


def _rim_px(size_px: float) -> int:
    return max(1, round(size_px / 14))


def _lay(picture: NDArray[np.float32], cover: Grey, top: int, left: int, ink: NDArray[np.float32]) -> None:
    """Lay `ink` over `picture` (H, W) or (H, W, 3), 0 to 1, in place, where `cover` says; clipped at the edges."""
    rows, columns = picture.shape[:2]
    t0, l0 = max(0, top), max(0, left)
    t1, l1 = min(rows, top + cover.shape[0]), min(columns, left + cover.shape[1])
    if t1 <= t0 or l1 <= l0:
        return
    part = cover[t0 - top : t1 - top, l0 - left : l1 - left]
    view = picture[t0:t1, l0:l1]
    if picture.ndim == 3:
        part = part[..., None]
    view += part * (ink - view)


def burn_text(
    picture: NDArray[np.float32],
    text: str,
    at_px: tuple[float, float],
    size_px: float,
    anchor: tuple[float, float] = (0.0, 0.0),
    ink: float | Colour = 1.0,
    halo: float | Colour | None = 0.0,
    weight: str = "Semibold",
) -> tuple[int, int, int, int]:
    """Write `text` into `picture` in place and return the box (left, top, right, bottom) that it took, px.

    Args:
        picture: (H, W) or (H, W, 3), 0 to 1.
        at_px: x and y of the anchor.
        anchor: which point of the text lies there: (0, 0) its top left, (1, 1) its bottom right.
        halo: the outline's colour, which keeps the letters legible on any ground; None for none.
    """
    cover = text_coverage(text, size_px, weight)
    rim = _rim_px(size_px)
    left = round(at_px[0] - anchor[0] * cover.shape[1])
    top = round(at_px[1] - anchor[1] * cover.shape[0])
    if halo is not None:
        _lay(picture, _halo(text, size_px, weight), top - rim, left - rim, np.asarray(halo, np.float32))
    _lay(picture, cover, top, left, np.asarray(ink, np.float32))
    return left, top, left + cover.shape[1], top + cover.shape[0]


def direction_letter(direction: Vector, least: float = 0.75) -> str:
    """The patient's letter (R, L, A, P, H, F) for a direction, or "" where no axis has a share of `least` in it."""
    axis = int(np.argmax(np.abs(direction)))
    if abs(float(direction[axis])) < least * float(np.linalg.norm(direction)):
        return ""
    return _SIDES[axis][int(direction[axis] > 0)]


def edge_letters(world_from_view: Frame) -> dict[str, str]:
    """The letters at the edges "left", "right", "top", "bottom" of a picture whose right is x and whose up is y."""
    right, up = world_from_view.rotation[:, 0], world_from_view.rotation[:, 1]
    return {
        "left": direction_letter(-right),
        "right": direction_letter(right),
        "top": direction_letter(up),
        "bottom": direction_letter(-up),
    }


def seen_from(world_from_view: Frame) -> str:
    """Where the eye stands, in words: "seen from behind, right"; the picture's z points to the eye."""
    towards = world_from_view.rotation[:, 2]
    order = np.argsort(-np.abs(towards))
    words = [_SEEN_FROM[i][int(towards[i] > 0)] for i in order if abs(towards[i]) > 0.2]
    return "seen from " + ", ".join([words[0], *(w.removeprefix("the ") for w in words[1:])])


def burn_edges(
    picture: NDArray[np.float32],
    letters: dict[str, str],
    size_px: float,
    which: Iterable[str] = ("left", "right", "top", "bottom"),
    ink: float | Colour = 1.0,
    halo: float | Colour | None = 0.0,
) -> None:
    """Write the side letters at the middle of the picture's edges, in place."""
    rows, columns = picture.shape[:2]
    gap = 0.45 * size_px
    place = {
        "left": ((gap, rows / 2), (0.0, 0.5)),
        "right": ((columns - gap, rows / 2), (1.0, 0.5)),
        "top": ((columns / 2, gap), (0.5, 0.0)),
        "bottom": ((columns / 2, rows - gap), (0.5, 1.0)),
    }
    for edge in which:
        if letters.get(edge):
            at, anchor = place[edge]
            burn_text(picture, letters[edge], at, size_px, anchor, ink, halo, "Bold")


def bar_length_mm(width_mm: float) -> float:
    """A round length (1, 2 or 5 times a power of ten) of at most a quarter of `width_mm`, for a scale bar."""
    room = 0.25 * width_mm
    power = 10.0 ** np.floor(np.log10(room))
    return float(max(step * power for step in (1.0, 2.0, 5.0) if step * power <= room))


_PLATE = 0.72  # how solid the plate of a scale bar is


def burn_scale_bar(
    picture: NDArray[np.float32],
    px_per_mm: float,
    size_px: float,
    ink: float | Colour = 1.0,
    halo: float | Colour = 0.0,
) -> float:
    """Draw a scale bar with its length at the lower left, in place, on a plate of the halo's colour: it must be read on
    pale bone too. Returns the length in mm."""
    rows, columns = picture.shape[:2]
    length_mm = bar_length_mm(columns / px_per_mm)
    gap = 0.55 * size_px
    thick = max(2, round(size_px / 9))
    left, width = round(gap), round(length_mm * px_per_mm)
    bottom = round(rows - gap)
    words = f"{length_mm:g} mm"
    text = text_coverage(words, size_px, "Semibold")
    pad, high = round(0.3 * size_px), round(thick + 0.3 * size_px) + text.shape[0]
    plate = rounded_mask((max(width, text.shape[1]) + 2 * pad, high + 2 * pad), float(pad))
    _lay(picture, _PLATE * plate, bottom - high - pad, left - pad, np.asarray(halo, np.float32))
    for grow, colour in ((max(1, thick // 2), halo), (0, ink)):
        cover = np.ones((thick + 2 * grow, width + 2 * grow), np.float32)
        _lay(
            picture, cover * (0.8 if grow else 1.0), bottom - thick - grow, left - grow, np.asarray(colour, np.float32)
        )
    burn_text(picture, words, (left, bottom - thick - 0.3 * size_px), size_px, (0.0, 1.0), ink, halo)
    return length_mm


@lru_cache(maxsize=6)
def rounded_mask(size_px: tuple[int, int], radius_px: float) -> Grey:
    """Coverage (H, W) of a rounded rectangle that fills `size_px` (width, height)."""
    width, height = size_px
    x = np.abs(np.arange(width) + 0.5 - width / 2)[None, :] - (width / 2 - radius_px)
    y = np.abs(np.arange(height) + 0.5 - height / 2)[:, None] - (height / 2 - radius_px)
    distance = np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0) - radius_px
    out = np.clip(0.5 - distance, 0.0, 1.0).astype(np.float32)
    out.setflags(write=False)
    return out
