"""Frames to one GIF: a palette of all of them, and how many bytes each step takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter

from spineviz.data.errors import RequestError

MOST_STEP_BYTES = 10_000_000
"""A step that takes more is refused: pages and mail programs do not play larger ones."""

_DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
"""An ordered dither stands still where the picture does, so that only what moves is stored."""

_EXTENSION, _IMAGE, _COMMENT, _CONTROL = 0x21, 0x2C, 0xFE, 0xF9


def check_gif_step(count: int, step: str) -> None:
    """RequestError where a step of `count` bytes is more than a GIF's step may be."""
    if count > MOST_STEP_BYTES:
        raise RequestError(
            f"--format gif: step {step} would be {count / 1e6:.1f} MB, more than {MOST_STEP_BYTES / 1e6:.0f} MB; "
            "give --steps without it, or --format webm"
        )


def write_gif(
    path: Path,
    frames: Iterable[Iterator[Any]],
    size_px: tuple[int, int],
    frames_per_s: int,
    metadata: Mapping[str, str],
) -> None:
    """Write a GIF that plays for ever.

    Args:
        frames: twice the same av.VideoFrames: the first run gives the palette, the second the pictures.
        metadata: kept as a comment, JSON; see `gif_metadata`.
    """
    first, second = frames
    palette = _palette(first, size_px, frames_per_s)
    with av.open(str(path), "w", format="gif", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("gif", rate=frames_per_s)
        stream.width, stream.height = size_px
        stream.pix_fmt = "pal8"
        for i, frame in enumerate(_in_palette(second, palette, size_px, frames_per_s)):
            frame.pts, frame.time_base = i, Fraction(1, frames_per_s)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    at = next(_blocks(data))[1]
    path.write_bytes(data[:at] + _comment(json.dumps(dict(metadata), ensure_ascii=False)) + data[at:])


def frame_bytes(path: Path) -> list[int]:
    """How many bytes each frame of a GIF takes; what stands before the first counts to it, the end to the last."""
    data, out, begun = path.read_bytes(), [], 0
    for kind, _, end in _blocks(data):
        if kind == _IMAGE:
            out.append(end - begun)
            begun = end
    if out:
        out[-1] += len(data) - begun
    return out


def check_gif_steps(path: Path, frames_per_s: int, chapters: Sequence[tuple[float, float, str]]) -> None:
    """RequestError for the first step (start and end in seconds, name) whose share of the file is too large."""
    sizes = frame_bytes(path)
    for start_s, end_s, name in chapters:
        check_gif_step(sum(sizes[round(start_s * frames_per_s) : round(end_s * frames_per_s)]), name)


def gif_metadata(path: Path) -> dict[str, str]:
    """What `write_gif` was told; empty for another file."""
    try:
        data = path.read_bytes()
        comment = next(data[start:end] for kind, start, end in _blocks(data) if kind == _COMMENT)
        found = json.loads(b"".join(_sub_blocks(comment, 2)))
    except (OSError, StopIteration, ValueError, RecursionError):
        return {}
    return {str(k): v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _palette(frames: Iterator[Any], size_px: tuple[int, int], frames_per_s: int) -> Any:
    graph = av.filter.Graph()
    source = _source(graph, size_px, "bgra", frames_per_s)
    source.link_to(maker := graph.add("palettegen", "stats_mode=full"))
    maker.link_to(graph.add("buffersink"))
    graph.configure()
    for i, frame in enumerate(frames):
        picture = frame.reformat(format="bgra")
        picture.pts, picture.time_base = i, Fraction(1, frames_per_s)
        source.push(picture)
    source.push(None)
    return graph.pull()


def _in_palette(frames: Iterator[Any], palette: Any, size_px: tuple[int, int], frames_per_s: int) -> Iterator[Any]:
    graph = av.filter.Graph()
    source = _source(graph, size_px, "bgra", frames_per_s)
    colours = _source(graph, (16, 16), "bgra", frames_per_s)
    user = graph.add("paletteuse", _DITHER)
    source.link_to(user, 0, 0)
    colours.link_to(user, 0, 1)
    user.link_to(graph.add("buffersink"))
    graph.configure()
    palette.pts, palette.time_base = 0, Fraction(1, frames_per_s)
    colours.push(palette)
    colours.push(None)
    for i, frame in enumerate(frames):
        picture = frame.reformat(format="bgra")
        picture.pts, picture.time_base = i, Fraction(1, frames_per_s)
        source.push(picture)
        yield from _ready(graph)
    source.push(None)
    yield from _ready(graph)


def _source(graph: Any, size_px: tuple[int, int], pixels: str, frames_per_s: int) -> Any:
    return graph.add_buffer(
        width=size_px[0], height=size_px[1], format=av.VideoFormat(pixels), time_base=Fraction(1, frames_per_s)
    )


def _ready(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def _blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each block of a GIF after its header (GIF89a specification, appendix A); a comment's and
    a control's kind is its label. ValueError for what is none."""
    if data[:6] != b"GIF89a" or len(data) < 13:
        raise ValueError("no GIF")
    at = 13 + _table_bytes(data[10])
    while at < len(data):
        start, kind = at, data[at]
        if kind == _EXTENSION and at + 1 < len(data):
            kind, at = data[at + 1], at + 2
        elif kind == _IMAGE and at + 9 < len(data):
            at += 11 + _table_bytes(data[at + 9])
        else:
            return
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        if at > len(data):
            raise ValueError("a GIF that ends too soon")
        yield kind, start, at


def _table_bytes(flags: int) -> int:
    """Length of the colour table that `flags` announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _sub_blocks(block: bytes, at: int) -> Iterator[bytes]:
    while at < len(block) and block[at]:
        yield block[at + 1 : at + 1 + block[at]]
        at += 1 + block[at]


def _comment(words: str) -> bytes:
    """A comment block; a comment's bytes are cut into runs of 255."""
    told = words.encode()
    runs = (told[i : i + 255] for i in range(0, len(told), 255))
    return bytes([_EXTENSION, _COMMENT]) + b"".join(bytes([len(run)]) + run for run in runs) + b"\0"
