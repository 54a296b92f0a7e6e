"""Frames to H.264 and segments to one file, with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

CRF = 20
PRESET = "veryfast"
_BT709 = 1


def encode_segment(
    path: Path, frames: Iterable[NDArray[np.uint8]], size_px: tuple[int, int], frames_per_s: int, count: int
) -> int:
    """Write `frames`, (H, W, 3) sRGB each, as one closed group of pictures; returns how many were written.

    x264 runs on one thread, whose bytes do not depend on the machine's cores. An array that is the very same object as
    the one before it is not converted again. `count` is the number of frames to come, which bounds the group.
    """
    width, height = size_px
    written = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=frames_per_s)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, frames_per_s)
        stream.codec_context.thread_count = 1
        for name in ("color_primaries", "color_trc", "colorspace", "color_range"):
            setattr(stream.codec_context, name, _BT709)  # 1 is BT.709 for three of them, and limited range for the last
        stream.options = {
            "crf": str(CRF),
            "preset": PRESET,
            "x264-params": f"keyint={max(count, 1)}:min-keyint={max(count, 1)}:scenecut=0:open-gop=0:threads=1",
        }
        last: NDArray[np.uint8] | None = None
        picture: Any = None
        for frame in frames:
            if frame is not last:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
                    format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                )
                last = frame
            picture.pts, picture.time_base = written, Fraction(1, frames_per_s)
            for packet in stream.encode(picture):
                container.mux(packet)
            written += 1
        for packet in stream.encode(None):
            container.mux(packet)
    return written


def join_segments(path: Path, segments: Sequence[Path], frames: Sequence[int], metadata: Mapping[str, str]) -> None:
    """Write the segments one after another into `path` (MP4, its index in front), without encoding again.

    `frames` are the segments' lengths. `metadata` are the file's global tags ("title", "comment").
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update(metadata)
        stream: Any = None
        offset = 0
        for segment, count in zip(segments, frames, strict=True):
            with av.open(str(segment)) as source:
                origin = source.streams.video[0]
                if stream is None:
                    stream = container.add_stream_from_template(origin)
                    rate = origin.average_rate
                    assert rate is not None
                    stream.time_base = origin.time_base
                per_frame = round(1 / (rate * origin.time_base))  # type: ignore[operator]
                for packet in source.demux(origin):
                    if packet.pts is None:
                        continue
                    packet.pts += offset * per_frame
                    packet.dts = None
                    packet.stream = stream
                    container.mux(packet)
            offset += count


def read_metadata(path: Path) -> dict[str, str]:
    """The global tags of a video file; empty for a file that is none."""
    try:
        with av.open(str(path)) as container:
            return dict(container.metadata)
    except (av.FFmpegError, OSError, ValueError):
        return {}


def decode(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a video, (H, W, 3) sRGB."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
