"""Pictures as manim mobjects: arrays laid straight into the camera's pixels.

manim's own ImageMobject costs about 140 ms a full-HD frame; a copy costs a quarter of a millisecond. Two habits of it
are met here: only mobjects with points are displayed, and the table of display functions is built anew at each look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from manim import Camera, Mobject

from spineviz.views.canvas import Layer, blit


class Viewport(Mobject):
    """Layers of pixels that a FilmCamera lays over the frame, the first one lowest.

    Attributes:
        layers: in pixels of the camera's frame; replace them to show something else.
        clear: whether the layers may leave the frame clear; else its alpha is not touched.
    """

    def __init__(self, layers: Sequence[Layer] = (), clear: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clear = clear
        self.layers: tuple[Layer, ...] = tuple(layers)

    def reset_points(self) -> None:
        """One point at the centre: manim does not display a mobject without any."""
        self.points = np.zeros((1, 3))


class FilmCamera(Camera):
    """manim's camera, which also knows Viewport."""

    def type_or_raise(self, mobject: Mobject) -> type[Mobject]:
        """The type that decides how `mobject` is displayed; TypeError for one that cannot be."""
        found: type[Mobject] = super().type_or_raise(mobject)
        # manim has just built the table anew, also when it only looks one mobject ahead
        self.display_funcs[Viewport] = self.display_viewports
        return Viewport if isinstance(mobject, Viewport) else found

    def let_go(self) -> None:
        """Drop the camera's own picture and its ground, of which frames that are not manim's have no need."""
        self.background = np.zeros((0, 0, self.n_channels), self.pixel_array_dtype)
        self.pixel_array = self.background

    def display_viewports(self, viewports: list[Viewport], pixels: np.ndarray) -> None:
        """Lay the layers of `viewports` over `pixels` (H, W, 4; colours multiplied by alpha), in place."""
        for viewport in viewports:
            for layer in viewport.layers:
                blit(pixels if viewport.clear else pixels[:, :, :3], layer)
