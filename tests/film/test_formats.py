"""The table of formats."""

import pytest

from spineviz.film.formats import FORMATS
from spineviz.film.pieces import QUALITIES, Quality


def test_the_five_formats_and_what_they_are_kept_in():
    assert {name: (f.suffix, f.segment_suffix, f.alpha) for name, f in FORMATS.items()} == {
        "mp4": (".mp4", ".mp4", False),
        "webm": (".webm", ".webm", False),
        "gif": (".gif", ".mov", False),
        "mov": (".mov", ".mov", True),
        "png": ("", ".mov", False),
    }
    assert all(fmt.name == name for name, fmt in FORMATS.items())


@pytest.mark.parametrize("name", ["mp4", "webm", "mov", "png"])
def test_only_a_gif_is_drawn_smaller(name):
    assert all(FORMATS[name].drawn_at(quality) == quality for quality in QUALITIES.values())


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((854, 480), (480, 270)),
        ((1280, 720), (480, 270)),
        ((3840, 2160), (480, 270)),
        ((1080, 1080), (480, 480)),
        ((720, 1280), (480, 854)),
        ((480, 854), (480, 854)),
    ],
)
def test_a_gif_is_480_wide_of_the_same_shape_and_even(size, drawn):
    gif = FORMATS["gif"].drawn_at(Quality("any", *size, 30))
    assert (gif.name, gif.size_px, gif.frames_per_s) == ("any", drawn, 10)
    assert all(side % 2 == 0 for side in gif.size_px)
    assert gif.width_px / gif.height_px == pytest.approx(size[0] / size[1], rel=0.005)
    assert FORMATS["gif"].drawn_at(gif) == gif
