"""The design screen of each aspect."""

from __future__ import annotations

from types import MappingProxyType

from spineviz.views.layout import Design
from spineviz.views.layout_narrow import Square, Upright
from spineviz.views.layout_wide import Wide

WIDE = Wide()
DESIGNS: MappingProxyType[str, Design] = MappingProxyType({"16:9": WIDE, "9:16": Upright(), "1:1": Square()})
"""Aspect, as a command takes it -> its design."""


def design_of(size_px: tuple[int, int]) -> Design:
    """The design whose aspect is nearest to that of a screen of (width, height) pixels."""
    ratio = size_px[0] / size_px[1]
    return min(DESIGNS.values(), key=lambda d: max(ratio / (d.width / d.height), (d.width / d.height) / ratio))
