"""Frames to segments and segments to one film, with PyAV, for every format."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from itertools import repeat
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from spineviz.film.engine import has_avx512
from spineviz.film.formats import Format
from spineviz.film.gif import check_gif_steps, gif_metadata, write_gif

Timed = tuple[float, float, str]
"""Start and end in seconds, and words: a chapter or a caption."""

_BT709 = 1
_PER_S = 1000
"""Chapters and captions are timed in milliseconds."""

_LOOKAHEAD, _LARGE_PX, _LARGE_LOOKAHEAD = 14, 2560 * 1440, 10
"""x264 holds the frames at which it looks ahead, in preset medium 40: 0.38 GB at 1080p. With 14 it takes 0.21 GB, and
0.8 to 1.0 dB of 46 in a file that is 2 to 8 % smaller. Of frames that are larger than this it looks at 10 ahead: 0.75
GB at 4K, and about 1 dB."""

_TILE_PX, _MARGIN_PX = 40, 2
"""The side of the tiles in which changes are looked for, of which most sizes are a whole number, and how many rows
beyond one tell its colours: both even, as two rows share a colour."""
_SHEET_ROWS = _TILE_PX + 2 * _MARGIN_PX
_TILES_AT_ONCE, _MOST_CHANGED, _MOST_IN_BOX = 48, 0.3, 0.7
"""Tiles that are converted side by side, the share from which on the box round them is converted instead, and that of
the box from which on the whole frame is."""

_DEMUXER = {"mp4": "mov", "mov": "mov", "webm": "matroska"}
_SOUND_RATE, _SOUND_BITS = 48000, 96000
_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""What the encoder of soft subtitles asks for; of it players heed the size and the colour."""


@dataclass(frozen=True)
class _Coding:
    """How a segment is written.

    Attributes:
        encoder, codec: FFmpeg's names of who writes and of what is written.
        container: what it lies in.
        pixels, decoded: how colours are stored, and how the decoder gives them.
        options: of the encoder.
        looks_ahead: whether it holds many frames in memory before it writes the first.
    """

    encoder: str
    codec: str
    container: str
    pixels: str
    decoded: str
    options: Mapping[str, str]
    looks_ahead: bool = False


_LOSSLESS = _Coding("png", "png", "mov", "rgb24", "rgb24", {"pred": "up", "compression_level": "1"})
_CODINGS = {
    # one closed group of pictures a segment, and the same headers for each, however long it is
    "mp4": _Coding(
        "libx264",
        "h264",
        "mp4",
        "yuv420p",
        "yuv420p",
        {
            "crf": "20",
            "preset": "medium",
            # x264's tree of macroblocks reads memory that nobody wrote where it uses AVX-512 (version 165): bytes then
            # differ from run to run. With AVX2 they do not, and are those of every other instruction set.
            "x264-params": "keyint=infinite:scenecut=0:open-gop=0:threads=1" + (":asm=AVX2" if has_avx512() else ""),
        },
        looks_ahead=True,
    ),
    "webm": _Coding(
        "libvpx-vp9",
        "vp9",
        "webm",
        "yuv420p",
        "yuv420p",
        {
            # on the films' frames the real-time search takes a sixth of the good one's time and keeps a decibel within
            # 0.5, for 5 to 10 % more bytes
            "deadline": "realtime",
            "cpu-used": "6",
            "crf": "24",
            "b:v": "0",
            "row-mt": "0",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "g": "99999",
        },
    ),
    "gif": _LOSSLESS,
    "mov": _Coding(
        "prores_ks", "prores", "mov", "yuva444p10le", "yuva444p12le", {"profile": "4444", "alpha_bits": "16"}
    ),
    "png": _LOSSLESS,
}


def encode_segment(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fmt: Format,
    size_px: tuple[int, int],
    frames_per_s: int,
    count: int,
) -> int:
    """Write `frames` as one closed group of pictures; returns how many were written.

    The encoder runs on one thread, whose bytes do not depend on the machine's cores. An array that is the very same
    object as the one before it is not converted again. One that looks ahead is given the first frame when the last one
    is drawn, so that what draws need not be held beside what it holds; till then they lie in the folder of `path`.

    Args:
        frames: (H, W, 3) sRGB each, or (H, W, 4) with straight alpha where the format has alpha.
        size_px: width and height, both even.
        count: how many frames are to come. ValueError where there are others.
    """
    coding = _CODINGS[fmt.name]
    written = 0
    with av.open(str(path), "w", format=coding.container, options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(coding.encoder, rate=frames_per_s)
        stream.width, stream.height = size_px
        stream.pix_fmt = coding.pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, frames_per_s)
        stream.codec_context.thread_count = 1
        if coding.pixels.startswith("yuv"):
            # 1 is BT.709 for three of them, and limited range for the last
            for name in ("color_primaries", "color_trc", "colorspace", "color_range"):
                setattr(stream.codec_context, name, _BT709)
        stream.options = _options(coding, size_px)
        pictures = _as_pictures(frames, fmt, coding.pixels)
        for picture in _drawn_first(pictures, path) if coding.looks_ahead else pictures:
            picture.pts, picture.time_base = written, Fraction(1, frames_per_s)
            container.mux(stream.encode(picture))
            written += 1
        container.mux(stream.encode(None))
    if written != count:
        raise ValueError(f"{path.name}: {written} frames came, not {count}")
    return written


def _options(coding: _Coding, size_px: tuple[int, int]) -> dict[str, str]:
    """What the encoder of pictures of `size_px` is told."""
    out = dict(coding.options)
    if coding.encoder == "libx264":
        large = size_px[0] * size_px[1] > _LARGE_PX
        out["x264-params"] += f":rc-lookahead={_LARGE_LOOKAHEAD if large else _LOOKAHEAD}"
    return out


def _as_pictures(frames: Iterable[NDArray[np.uint8]], fmt: Format, pixels: str) -> Iterator[Any]:
    """What the encoder takes for each of `frames`; the very same one where the frame is."""
    last: NDArray[np.uint8] | None = None
    picture: Any = None
    converter = _Converter(fmt, pixels)
    for frame in frames:
        if frame is not last:
            picture, last = converter.picture(frame, last, picture), frame
        yield picture


def _drawn_first(pictures: Iterable[Any], path: Path) -> Iterator[Any]:
    """`pictures` when the last one is there, out of a file without a name in the folder of `path`; one that comes
    several times running lies there once.

    An OSError of that file names `path`, as those of the container do.
    """
    turns: list[int] = []
    last: Any = None
    with _as_of(path):
        file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - it is closed below
    with file:
        for picture in pictures:
            if picture is last:
                turns[-1] += 1
                continue
            with _as_of(path):
                for plane in picture.planes:
                    file.write(plane)
            last = picture
            turns.append(1)
        with _as_of(path):
            file.seek(0)
        for times in turns:
            with _as_of(path):
                for plane in last.planes:  # the encoder has copied what was there
                    file.readinto(plane)
            yield from repeat(last, times)


@contextmanager
def _as_of(path: Path) -> Iterator[None]:
    """An OSError within says that it is of `path`."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


class _Converter:
    """Makes what the encoder takes of frames.

    Colours at half the resolution take most of the time, and from frame to frame little changes: only tiles in which
    something has are converted anew, many side by side. To the last bit they are what the whole frame would give: a
    pixel depends on two rows above and below it, and on no column but the other of its pair.
    """

    def __init__(self, fmt: Format, pixels: str) -> None:
        self._form, self._pixels = "rgba" if fmt.alpha else "rgb24", pixels
        # each keeps its tables from one picture to the next, as long as that has the same size
        self._whole, self._box, self._sheet = VideoReformatter(), VideoReformatter(), VideoReformatter()

    def picture(self, frame: NDArray[np.uint8], before: NDArray[np.uint8] | None, shown: Any) -> Any:
        """`frame` for the encoder; `before` is the frame before it, if there was one, and `shown` its picture."""
        frame = np.ascontiguousarray(frame)
        if not self._pixels.startswith("yuv"):
            return av.VideoFrame.from_ndarray(frame, format=self._form)
        if self._pixels == "yuv420p" and before is not None:
            changed = _changed_tiles(before, frame)
            if changed is not None and changed.mean() < _MOST_CHANGED:
                return self._with_tiles(frame, _twin(shown), np.argwhere(changed))
            if changed is not None and _box_share(changed) < _MOST_IN_BOX:
                return self._with_box(frame, _twin(shown), changed)
        return self._converted(frame, self._whole)

    def _converted(self, frame: NDArray[np.uint8], reformatter: VideoReformatter) -> Any:
        # a view of the frame's own memory: what is made of it has its own
        seen = av.VideoFrame.from_numpy_buffer(frame, format=self._form)
        return reformatter.reformat(
            seen, format=self._pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )

    def _with_box(self, frame: NDArray[np.uint8], picture: Any, changed: NDArray[np.bool_]) -> Any:
        """`picture` with the box round the tiles that have `changed` as in `frame`."""
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) * _TILE_PX for axis in (1, 0))
        top, bottom, left, right = rows[0], rows[-1] + _TILE_PX, columns[0], columns[-1] + _TILE_PX
        high, low = max(0, top - _MARGIN_PX), min(len(frame), bottom + _MARGIN_PX)
        made = self._converted(np.ascontiguousarray(frame[high:low, left:right]), self._box)
        for plane, part in zip(_planes(picture), _planes(made), strict=True):
            half = frame.shape[1] // plane.shape[1]  # 2 for colours
            first, last = (top - high) // half, (bottom - high) // half
            plane[top // half : bottom // half, left // half : right // half] = part[first:last]
        return picture

    def _with_tiles(self, frame: NDArray[np.uint8], picture: Any, tiles: NDArray[np.intp]) -> Any:
        """`picture` with the `tiles` (N, 2), rows and columns of them, as in `frame`."""
        height, width = frame.shape[:2]
        by_tile = frame.reshape(height, width // _TILE_PX, -1)
        for first in range(0, len(tiles), _TILES_AT_ONCE):
            # always as many, the last one again and again
            down, across = tiles[np.minimum(first + np.arange(_TILES_AT_ONCE), len(tiles) - 1)].T
            # an edge of the frame is one of the sheet too: colours end there as they do there
            top = np.clip(down * _TILE_PX - _MARGIN_PX, 0, height - _SHEET_ROWS)
            sheet = by_tile[top + np.arange(_SHEET_ROWS)[:, None], across].reshape(_SHEET_ROWS, -1, frame.shape[2])
            made = self._converted(sheet, self._sheet)
            for plane, part in zip(_planes(picture), _planes(made), strict=True):
                half = width // plane.shape[1]  # 2 for colours
                side = _TILE_PX // half
                rows = ((down * _TILE_PX - top) // half)[:, None] + np.arange(side)
                there = plane.reshape(height // _TILE_PX, side, width // _TILE_PX, side)
                there[down, :, across] = part.reshape(len(part), -1, side)[rows, np.arange(len(rows))[:, None]]
        return picture


def _changed_tiles(before: NDArray[np.uint8], frame: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """(rows, columns) whether two frames (H, W, 3) differ in a tile, or so near it that it shows in its colours; None
    where the frame is no whole number of tiles."""
    height, width = frame.shape[:2]
    uneven = height % _TILE_PX or width % _TILE_PX or height < _SHEET_ROWS
    if uneven or before.shape != frame.shape or not before.flags.c_contiguous:
        return None
    # eight bytes at a time
    old, new = (picture.reshape(height, -1).view(np.uint64) for picture in (before, frame))
    unlike = (old != new).reshape(height // _TILE_PX, _TILE_PX, -1)
    rows = np.bitwise_or.reduce(unlike, axis=1)
    rows[1:] |= unlike[:-1, -_MARGIN_PX:].any(axis=1)
    rows[:-1] |= unlike[1:, :_MARGIN_PX].any(axis=1)
    return np.asarray(rows.reshape(len(rows), width // _TILE_PX, -1).any(axis=2))


def _box_share(changed: NDArray[np.bool_]) -> float:
    """The share of a frame that the box round the tiles that have `changed` takes."""
    return float(np.prod([np.ptp(np.flatnonzero(changed.any(axis=axis))) + 1 for axis in (0, 1)]) / changed.size)


def _planes(picture: Any) -> list[NDArray[np.uint8]]:
    """The memory of a picture's planes, (rows, columns) each."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in picture.planes
    ]


def _twin(picture: Any) -> Any:
    """A picture of its own that holds the same."""
    out = av.VideoFrame(picture.width, picture.height, picture.format.name)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(out, name, getattr(picture, name))
    for there, here in zip(_planes(out), _planes(picture), strict=True):
        there[:] = here
    return out


def check_segment(path: Path, fmt: Format, size_px: tuple[int, int], frames_per_s: int, count: int) -> str | None:
    """None where the file is a whole segment of `count` frames; else what is wrong, in one clause.

    The container's boxes must fill the file to its last byte, and every frame is decoded. A changed byte is noticed
    where container or decoder can tell: PNG always does (it carries check sums), H.264, VP9 and ProRes not always.
    """
    coding = _CODINGS[fmt.name]
    try:
        if not _is_whole(path, coding.container):
            return f"it is no whole {coding.container} file"
        with av.open(str(path), format=_DEMUXER[coding.container]) as container:
            if len(container.streams) != 1 or len(container.streams.video) != 1:
                return "it holds other than one picture track"
            stream: Any = container.streams.video[0]
            context = stream.codec_context
            found = (context.name, context.pix_fmt, (context.width, context.height), stream.average_rate)
            asked = (coding.codec, coding.decoded, tuple(size_px), Fraction(frames_per_s))
            for name, is_, should in zip(("codec", "pixel format", "size", "frame rate"), found, asked, strict=True):
                if is_ != should:
                    return f"its {name} is {_said(is_)}, not {_said(should)}"
            context.thread_count = 1
            context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            return _wrong_frame(container.decode(stream), stream.time_base * frames_per_s, found[2], count)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except (av.FFmpegError, ValueError):
        return "it cannot be decoded"


def _wrong_frame(frames: Iterable[Any], per_tick: Fraction, size_px: tuple[int, int], count: int) -> str | None:
    """What is wrong with the first of decoded frames that is not as it should be."""
    number = 0
    for frame in frames:
        if number == count:
            return f"it holds more than {count} frames"
        if frame.is_corrupt or (frame.width, frame.height) != size_px:
            return f"frame {number} is damaged"
        if frame.pts is None or round(frame.pts * per_tick) != number:
            return f"frame {number} is out of its turn"
        number += 1
    return None if number == count else f"it holds {number} frames, not {count}"


def _said(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_whole(path: Path, container: str) -> bool:
    """Whether the outermost boxes of a file fill it to its last byte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = _matroska_length(head) if container == "webm" else _box_length(head)
            if length is None:
                return False
            at += length
    return size > 0 and at == size


def _box_length(head: bytes) -> int | None:
    """Length of the box that begins with `head` (ISO/IEC 14496-12, 4.2); None where there is none."""
    if len(head) < 8:
        return None
    short, kind = struct.unpack(">I4s", head[:8])
    if not kind.isalnum():
        return None
    if short == 1 and len(head) == 16:
        return max(16, int.from_bytes(head[8:], "big"))
    return short if short >= 8 else None


def _matroska_length(head: bytes) -> int | None:
    """Length of the element that begins with `head`, four bytes of name and its size (RFC 8794); None for another."""
    if len(head) < 12 or head[0] >> 4 != 1 or not head[4]:
        return None
    width = 9 - head[4].bit_length()
    return 4 + width + (int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1))


# --- the finished film ---


def join_segments(
    path: Path,
    segments: Sequence[Path],
    counts: Sequence[int],
    fmt: Format,
    metadata: Mapping[str, str],
    chapters: Sequence[Timed] = (),
    captions: Sequence[Timed] = (),
    sound: Path | None = None,
    language: str = "",
) -> None:
    """Write the segments one after another into `path`, without encoding them again (but for GIF).

    Equal segments give equal bytes: no time of making is written. A GIF and a folder of PNG hold pictures alone.

    Args:
        path: the file, or the folder that is made for PNG.
        counts: the segments' numbers of frames; ValueError where one has others or was encoded differently.
        metadata: the film's own tags ("title", "comment"); see `read_metadata`.
        chapters: start, end (s) and title of each; the steps, by which a GIF's size is judged.
        captions: start, end (s) and words of each, as soft subtitles, in order.
        sound: a WAV file.
        language: of captions and sound, a code of ISO 639-1 by which players name them; empty where nobody knows.

    Raises:
        RequestError: a GIF's step would be too large.
    """
    if fmt.name == "gif":
        _join_gif(path, segments, metadata, chapters)
    elif fmt.name == "png":
        _join_png(path, segments, counts, metadata)
    else:
        _join_film(path, segments, counts, fmt, metadata, chapters, captions, sound, language)


def _join_film(
    path: Path,
    segments: Sequence[Path],
    counts: Sequence[int],
    fmt: Format,
    metadata: Mapping[str, str],
    chapters: Sequence[Timed],
    captions: Sequence[Timed],
    sound: Path | None,
    language: str,
) -> None:
    options = {"fflags": "+bitexact"}
    if fmt.name == "webm":
        options["default_mode"] = "infer_no_subs"  # the captions are in the picture already: shown when asked for
    else:
        # a .mov file's own short tags hold 64 kB at most
        options["movflags"] = "+faststart" + ("+use_metadata_tags" if fmt.name == "mov" else "")
    with (
        av.open(str(segments[0]), format=_DEMUXER[fmt.name]) as first,
        av.open(str(path), "w", format=fmt.name, options=options) as container,
    ):
        container.metadata.update(metadata)
        origin = first.streams.video[0]
        stream: Any = container.add_stream_from_template(origin)
        stream.time_base = origin.time_base
        assert origin.average_rate is not None
        stream.codec_context.framerate = origin.average_rate
        stream.codec_context.codec_tag = origin.codec_context.codec_tag  # which kind of ProRes it is stands there
        tracks = [_copied(stream, segments, counts, fmt, origin.codec_context.extradata, origin.average_rate)]
        if sound is not None:
            heard = _sound_stream(container, sound, fmt)
            heard.metadata["language"] = _LANGUAGES[language]
            tracks.append(_sounding(heard, sound))
        if captions:
            read = _caption_stream(container, fmt)
            read.metadata["language"] = _LANGUAGES[language]
            tracks.append(_caption_packets(read, captions, fmt))
        if chapters:
            container.set_chapters([_chapter(i, chapter) for i, chapter in enumerate(chapters, 1)])
        for _, packet in merge(*tracks, key=lambda item: item[0]):
            container.mux(packet)


_LANGUAGES = {"": "und", "en": "eng"}
"""Code of ISO 639-1 -> that of ISO 639-2, which containers hold."""

Track = Iterator[tuple[Fraction, Any]]
"""Packets with their times in seconds, in the order in which they are to be written."""


def _copied(
    stream: Any, segments: Sequence[Path], counts: Sequence[int], fmt: Format, headers: bytes | None, rate: Fraction
) -> Track:
    begun = 0
    for segment, count in zip(segments, counts, strict=True):
        found = 0
        with av.open(str(segment), format=_DEMUXER[fmt.name]) as source:
            origin = source.streams.video[0]
            if origin.codec_context.extradata != headers or origin.average_rate != rate:
                raise ValueError(f"{segment.name}: not encoded as the others are")
            assert origin.time_base is not None
            for packet in source.demux(origin):
                if packet.pts is None:
                    continue
                packet.pts = begun + round(packet.pts * origin.time_base * rate)
                packet.dts = None  # the muxer finds the order of decoding from the pictures' own
                packet.duration, packet.time_base, packet.stream = 1, 1 / rate, stream
                yield Fraction(begun + found) / rate, packet
                found += 1
        if found != count:
            raise ValueError(f"{segment.name}: {found} frames, not {count}")
        begun += count


def _chapter(number: int, chapter: Timed) -> Any:
    start_s, end_s, title = chapter
    return {
        "id": number,
        "start": round(start_s * _PER_S),
        "end": round(end_s * _PER_S),
        "time_base": Fraction(1, _PER_S),
        "metadata": {"title": title},
    }


def _caption_stream(container: Any, fmt: Format) -> Any:
    if fmt.name == "webm":
        return container.add_mux_stream("webvtt", time_base=Fraction(1, _PER_S))
    stream = container.add_stream("mov_text")
    stream.codec_context.subtitle_header = _ASS_HEADER
    stream.time_base = stream.codec_context.time_base = Fraction(1, _PER_S)
    return stream


def _caption_packets(stream: Any, captions: Sequence[Timed], fmt: Format) -> Track:
    for start, end, words in _cues(captions):
        told = words.encode() if fmt.name != "webm" else _escaped(words).encode()
        packet: Any = av.Packet(told if fmt.name == "webm" else struct.pack(">H", len(told)) + told)
        packet.pts = packet.dts = start
        packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, _PER_S), stream
        yield Fraction(start, _PER_S), packet


def _cues(captions: Sequence[Timed]) -> Iterator[tuple[int, int, str]]:
    """Start, end (ms) and words of each caption, no two at once."""
    times = [(round(start_s * _PER_S), round(end_s * _PER_S), words) for start_s, end_s, words in captions]
    free = 0
    for i, (start, end, words) in enumerate(times):
        start, end = max(start, free), min(end, *(later[0] for later in times[i + 1 : i + 2]), end)
        if end <= start:
            continue
        yield start, end, "\n".join(line for line in words.split("\n") if line.strip())
        free = end


def _sound_stream(container: Any, sound: Path, fmt: Format) -> Any:
    with av.open(str(sound), format="wav") as source:
        layout = "mono" if source.streams.audio[0].layout.nb_channels == 1 else "stereo"
    stream = container.add_stream("libopus" if fmt.name == "webm" else "aac", rate=_SOUND_RATE, layout=layout)
    stream.bit_rate = _SOUND_BITS
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _sounding(stream: Any, sound: Path) -> Track:
    with av.open(str(sound), format="wav") as source:
        for frame in (*source.decode(audio=0), None):
            for packet in stream.encode(frame):
                yield packet.pts * packet.time_base, packet


def _pictures(segments: Sequence[Path]) -> Iterator[Any]:
    """The decoded frames of lossless segments."""
    for segment in segments:
        with av.open(str(segment), format="mov") as source:
            source.streams.video[0].codec_context.thread_count = 1
            yield from source.decode(video=0)


def _join_gif(path: Path, segments: Sequence[Path], metadata: Mapping[str, str], chapters: Sequence[Timed]) -> None:
    with av.open(str(segments[0]), format="mov") as first:
        stream = first.streams.video[0]
        size, rate = (stream.width, stream.height), int(stream.average_rate or 1)
    write_gif(path, (_pictures(segments), _pictures(segments)), size, rate, metadata)
    check_gif_steps(path, rate, chapters)


def _join_png(path: Path, segments: Sequence[Path], counts: Sequence[int], metadata: Mapping[str, str]) -> None:
    path.mkdir()
    number = 0
    for segment, count in zip(segments, counts, strict=True):
        begun = number
        with av.open(str(segment), format="mov") as source:
            for packet in source.demux(video=0):
                if packet.pts is None:
                    continue
                number += 1
                picture = bytes(packet)
                (path / f"{number:05d}.png").write_bytes(_with_words(picture, metadata) if number == 1 else picture)
        if number - begun != count:
            raise ValueError(f"{segment.name}: {number - begun} frames, not {count}")


_PNG_HEAD = 33
"""A PNG's signature and first chunk (PNG specification, 5.2 and 11.2.1)."""


def _with_words(picture: bytes, words: Mapping[str, str]) -> bytes:
    """A PNG with `words` as international text (PNG specification, 11.3.3.4)."""
    chunks = b""
    for key, text in words.items():
        told = b"iTXt" + key.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
        chunks += struct.pack(">I", len(told) - 4) + told + struct.pack(">I", zlib.crc32(told))
    return picture[:_PNG_HEAD] + chunks + picture[_PNG_HEAD:]


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_metadata(path: Path) -> dict[str, str]:
    """The film's own tags, as `join_segments` was told them; empty for what is no film.

    For a folder those of its first picture. Only files that begin as a film does are opened at all: others may name
    further files, which are to be left alone.
    """
    try:
        if path.is_dir():
            return _png_words(path / "00001.png")
        with path.open("rb") as file:
            head = file.read(12)
        if head[:6] == b"GIF89a":
            return gif_metadata(path)
        demuxer = "matroska" if head[:4] == b"\x1a\x45\xdf\xa3" else "mov" if head[4:8] == b"ftyp" else ""
        if not demuxer:
            return {}
        with av.open(str(path), format=demuxer) as container:
            return {key.lower(): text for key, text in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError):
        return {}


def _png_words(path: Path) -> dict[str, str]:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as picture:
        return {key: str(text) for key, text in getattr(picture, "text", {}).items()}


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a video, (H, W, 3) sRGB."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
