"""Words as pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.views.text import CAPTION, LABEL, WEIGHTS, TextStyle, text_mask, text_size, wrap

WORDS = st.lists(st.text("abcdefgh.", min_size=1, max_size=9), min_size=1, max_size=14).map(" ".join)


@pytest.mark.parametrize("weight", list(WEIGHTS))
def test_figures_are_tabular(weight):
    widths = {text_size(digit, TextStyle(30, weight))[0] for digit in "0123456789"}
    assert len(widths) == 1


@given(WORDS, st.floats(24, 90), st.floats(1.1, 3.0))
def test_width_is_proportional_to_size(words, size, factor):
    small, large = text_size(words, TextStyle(size))[0], text_size(words, TextStyle(size * factor))[0]
    assert large == pytest.approx(small * factor, rel=1e-9)


@pytest.mark.parametrize("scale", [480 / 1080, 720 / 1080, 1.0, 2.0])
def test_drawn_width_is_the_measured_one_at_every_scale(scale):
    words = "It stops before the back quarter"
    mask, left, _ = text_mask(words, CAPTION, scale)
    drawn = np.flatnonzero(mask.any(0))
    right_px = left + drawn[-1] + 1
    assert right_px == pytest.approx(text_size(words, CAPTION)[0] * scale, abs=3.0 + 2.0 * scale)


def test_ink_lies_above_the_base_line_without_descenders():
    mask, _, top = text_mask("THE BONE", LABEL, 1.0)
    rows = np.flatnonzero(mask.max(1) > 64)
    assert top + rows[-1] + 1 in (0, 1)
    assert -top - rows[0] == pytest.approx(0.66 * LABEL.size_px, abs=1.5)


@pytest.mark.parametrize("size", [10.0, 23.9])
def test_nothing_is_smaller_than_24(size):
    with pytest.raises(ValueError, match="at least 24"):
        TextStyle(size)


def test_an_unknown_weight_is_named():
    with pytest.raises(ValueError, match="regular, semibold, bold, got 'heavy'"):
        TextStyle(30, "heavy")


@given(WORDS)
def test_wrapping_keeps_the_words_and_the_limits_or_refuses(words):
    pieces = words.split()
    breaks = [(" ".join(pieces[:i]), " ".join(pieces[i:])) for i in range(len(pieces))]
    if all(max(map(len, pair)) > 42 for pair in breaks):
        with pytest.raises(ValueError, match="does not fit 2 lines of 42 signs"):
            wrap(words)
        return
    lines = wrap(words)
    assert " ".join(lines).split() == words.split()
    assert len(lines) <= 2
    assert all(len(line) <= 42 for line in lines)


def test_a_line_break_is_kept_and_a_sentence_end_preferred():
    assert wrap("short\nsecond") == ("short", "second")
    assert wrap("The cement spreads between trabeculae. It stops before the back.") == (
        "The cement spreads between trabeculae.",
        "It stops before the back.",
    )


def test_a_line_break_that_no_longer_fits_gives_way():
    lines = wrap("The stylet goes back in: 1.1 mL left in the\nbore is injected, and counted.")
    assert " ".join(lines) == "The stylet goes back in: 1.1 mL left in the bore is injected, and counted."
    assert max(map(len, lines)) <= 42


def test_three_lines_are_refused():
    with pytest.raises(ValueError, match="2 lines of 42"):
        wrap("a\nb\nc")
