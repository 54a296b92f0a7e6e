"""Single pictures: a frame as PNG, and a sheet of every step's key frame."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spineviz.data.aside import two_at_once
from spineviz.data.errors import FaultError, RequestError
from spineviz.views.canvas import Canvas, Layer, blit
from spineviz.views.layout import Rect
from spineviz.views.text import NOTE, TITLE, TextStyle, wrap
from spineviz.views.theme import Theme

if TYPE_CHECKING:
    from spineviz.film.base import ProcedureScene

TILES = {"16:9": (3, 640, 360), "9:16": (5, 576, 1024), "1:1": (3, 640, 640)}
"""Aspect -> a storyboard's columns, and a frame's width and height on it, pixels."""

_GAP, _HEAD, _WORDS = 40, 130, 160


def write_png(path: Path, frame: NDArray[np.uint8]) -> None:
    """Write `frame` (H, W, 3) to `path`, whole or not at all.

    Raises RequestError where the folder cannot be written, FaultError where the disk is full.
    """
    from PIL import Image

    part = ""
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".png", dir=path.parent)
        os.close(handle)
        Image.fromarray(frame).save(part, "PNG", compress_level=4)  # twice as fast as 6, 7 % larger
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(part, 0o666 & ~umask)  # noqa: PTH101 - what any newly created file gets
        Path(part).replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise FaultError(f"--out {path}: {error.strerror}; make room and try again") from error
        raise RequestError(f"--out {path}: {error.strerror or error}; give a path that can be written") from error
    finally:
        if part:
            with contextlib.suppress(OSError):
                Path(part).unlink()


def lone_frame(scene: ProcedureScene, time_s: float) -> NDArray[np.uint8]:
    """The frame at `time_s`, (H, W, 3), where no other will be asked for: its radiographs are drawn beside the rest,
    in a copy of this process that has a core of its own."""
    if two_at_once():
        scene.screen.paint_aside(scene.instant(time_s))
    return scene.frame_at(time_s)


def storyboard_sheet(scene: ProcedureScene) -> NDArray[np.uint8]:
    """Every step's key frame in reading order, with number, title and caption, (H, W, 3)."""
    from PIL import Image

    steps = scene.clock.steps
    columns, *tile = TILES[scene.design.aspect]
    rows = -(-len(steps) // columns)
    width = columns * tile[0] + (columns + 1) * _GAP
    height = _HEAD + rows * (tile[1] + _WORDS) + _GAP
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = scene.theme.rgb8("ground")
    blit(sheet, _heading(scene, width))
    for i, step in enumerate(steps):
        x = _GAP + (i % columns) * (tile[0] + _GAP)
        y = _HEAD + (i // columns) * (tile[1] + _WORDS)
        time_s = step.start_s + step.key_s
        frame = Image.fromarray(scene.frame_at(time_s)).resize((tile[0], tile[1]), Image.Resampling.LANCZOS)
        sheet[y - 2 : y + tile[1] + 2, x - 2 : x + tile[0] + 2] = scene.theme.rgb8("edge")
        sheet[y : y + tile[1], x : x + tile[0]] = np.asarray(frame)
        shot = scene.shot_at(time_s)
        words = (shot.title or step.name, shot.caption)
        blit(sheet, _words(scene.theme, i + 1, words, step.start_s, Rect(x, y + tile[1], tile[0], _WORDS)))
    return sheet


def _heading(scene: ProcedureScene, width: int) -> Layer:
    canvas = Canvas(width, _HEAD, 1.0)
    x = canvas.text(scene.film_name.capitalize(), _GAP, 80, TextStyle(52, "bold"), scene.theme.colour("text")) + _GAP
    level = scene.subtitle.partition(" · ")[2]
    words = " · ".join([*([level] if level else []), f"{scene.clock.seconds:g} s", "animation of a constructed case"])
    canvas.text(words, x + 30, 80, TextStyle(28), scene.theme.colour("muted"))
    return canvas.layer()


def _words(theme: Theme, number: int, words: tuple[str, str], start_s: float, place: Rect) -> Layer:
    """A frame's number, title and start, and its caption under them."""
    (title, caption), x, y = words, place.x, place.y
    canvas = Canvas(place.w, place.h, 1.0, x, y)
    style = TextStyle(28, TITLE.weight)
    start = canvas.text(f"{number}", x, y + 40, style, theme.colour("cement")) + 14
    canvas.text(title, x + start, y + 40, style, theme.colour("text"))
    minutes, seconds = divmod(int(start_s), 60)
    canvas.text(f"{minutes}:{seconds:02d}", place.right, y + 40, NOTE, theme.colour("muted"), "rs")
    for i, line in enumerate(wrap(caption)):
        canvas.text(line, x, y + 78 + 32 * i, NOTE, theme.colour("muted"))
    return canvas.layer()
