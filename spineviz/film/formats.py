"""The formats a film is written in, by the name that --format takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spineviz.film.pieces import Quality

GIF_WIDTH_PX, GIF_FRAMES_PER_S = 480, 10
"""What a GIF is drawn at, whatever the quality."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: what --format takes.
        suffix: of the finished file, with its dot; "" where it is a folder.
        segment_suffix: of the file in which a finished piece is kept.
        alpha: whether frames are (H, W, 4) with straight alpha instead of (H, W, 3).
        bytes_per_pixel: a generous guess at what a frame takes, for each of its pixels.
    """

    name: str
    suffix: str
    segment_suffix: str
    alpha: bool = False
    bytes_per_pixel: float = 0.03

    def drawn_at(self, quality: Quality) -> Quality:
        """`quality` as this format shows it: a GIF is 480 px wide, of the same shape, with 10 frames a second."""
        if self.name != "gif":
            return quality
        height = 2 * round(GIF_WIDTH_PX * quality.height_px / quality.width_px / 2)
        return replace(quality, width_px=GIF_WIDTH_PX, height_px=height, frames_per_s=GIF_FRAMES_PER_S)


FORMATS = {
    f.name: f
    for f in (
        Format("mp4", ".mp4", ".mp4"),
        Format("webm", ".webm", ".webm"),
        # frames are kept as they are until all of them are there to choose the colours from
        Format("gif", ".gif", ".mov", bytes_per_pixel=1.5),
        Format("mov", ".mov", ".mov", alpha=True, bytes_per_pixel=2.0),
        Format("png", "", ".mov", bytes_per_pixel=1.5),
    )
}
