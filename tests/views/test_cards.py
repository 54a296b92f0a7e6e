"""Cards: everything is on them, nothing runs over."""

from dataclasses import replace

import numpy as np
import pytest

from spineviz.film.shot import CardColumn, CardRow, CardShot
from spineviz.views.cards import draw_card, picture_place
from spineviz.views.layout import BAR_TOP, HEIGHT, WIDTH, Rect
from spineviz.views.theme import theme

DARK = theme("dark")
ROWS = tuple(CardRow(f"Name {i}", f"value {i}", "a note" if i % 2 else "") for i in range(3))
BLOCKS = tuple(CardColumn(title, ROWS) for title in ("Patient", "Spine", "Why"))
CARDS = {
    "title": CardShot("title", "Vertebroplasty", ("L1, metastasis", "Animation"), notes=("For education.",)),
    "case": CardShot("case", "Case", (), BLOCKS, ("Constructed.",)),
    "outcome": CardShot("outcome", "Outcome", (), BLOCKS, ("Sources: a, b.",)),
}


def drawn(card, pictured=False):
    layer = draw_card(card, DARK, 1.0, pictured)
    height, width = layer.pixels.shape[:2]
    return layer, Rect(layer.x_px, layer.y_px, width, height)


@pytest.mark.parametrize("kind", list(CARDS))
def test_a_card_lies_inside_the_screen_and_above_the_bar(kind):
    bottom = HEIGHT if kind == "title" else BAR_TOP
    assert Rect(40, 40, WIDTH - 80, bottom - 56).holds(drawn(CARDS[kind])[1])


def test_words_leave_the_picture_free():
    layer, _ = drawn(CARDS["case"], pictured=True)
    place = picture_place()
    covered = layer.pixels[:, max(0, round(place.x) - layer.x_px) :, 3]
    assert not covered.any()


def test_rows_draw_together_to_fit_and_then_refuse():
    many = tuple(CardRow(f"Name {i}", "value") for i in range(3))
    full = replace(CARDS["case"], columns=tuple(CardColumn(t, many) for t in "ABC"))
    drawn(full)
    with pytest.raises(ValueError, match="more rows than fit"):
        drawn(replace(full, columns=tuple(CardColumn(t, many * 3) for t in "ABC")))


def test_a_word_wider_than_its_column_is_named():
    wide = CardColumn("A", (CardRow("Name", "Donaudampfschifffahrt" * 4),))
    with pytest.raises(ValueError, match="wider than"):
        drawn(replace(CARDS["outcome"], columns=(wide, wide, wide)))


def test_rows_fade_with_what_is_shown():
    faint = replace(CARDS["outcome"], columns=tuple(replace(c, shown=0.0) for c in CARDS["outcome"].columns))
    shown, hidden = (np.count_nonzero(draw_card(c, DARK, 1.0).pixels[:, :, 3]) for c in (CARDS["outcome"], faint))
    assert hidden < 0.3 * shown
