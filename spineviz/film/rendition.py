"""How a film is drawn, whatever it shows: size and rate, format, theme, language."""

from __future__ import annotations

from dataclasses import dataclass

from spineviz.film.formats import FORMATS, Format
from spineviz.film.pieces import QUALITIES, Quality, sized


@dataclass(frozen=True)
class Rendition:
    """Names of choices; their tables are QUALITIES, ASPECTS, FORMATS, the themes' files and the narrations' folders."""

    quality: str = "hd"
    aspect: str = "16:9"
    format: str = "mp4"
    theme: str = "dark"
    language: str = "en"

    @property
    def output(self) -> Format:
        """What is written."""
        return FORMATS[self.format]

    @property
    def size(self) -> Quality:
        """Size and rate at which frames are drawn."""
        return self.output.drawn_at(sized(QUALITIES[self.quality], self.aspect))
