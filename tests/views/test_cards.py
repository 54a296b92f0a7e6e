"""Cards: everything is on them, nothing runs over."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from spineviz.film.shot import CardColumn, CardRow, CardShot
from spineviz.views.cards import compared, draw_card, picture_place
from spineviz.views.designs import DESIGNS, WIDE
from spineviz.views.layout import Rect
from spineviz.views.theme import theme

DARK = theme("dark")
ROWS = tuple(CardRow(f"Name {i}", f"value {i}", "a note" if i % 2 else "") for i in range(3))
BLOCKS = tuple(CardColumn(title, ROWS) for title in ("Patient", "Spine", "Why"))
CARDS = {
    "title": CardShot("title", "Vertebroplasty", ("L1, metastasis", "Animation"), notes=("For education.",)),
    "case": CardShot("case", "Case", (), BLOCKS, ("Constructed.",)),
    "outcome": CardShot("outcome", "Outcome", (), BLOCKS, ("Sources: a, b.",)),
    "comparison": CardShot(
        "comparison",
        "Side by side",
        (),
        (
            CardColumn("Vertebroplasty", (CardRow("Wedge", "12.5°", "standing 16.9°"), CardRow("Cement", "3.8 mL"))),
            CardColumn("Kyphoplasty", (CardRow("Wedge", "9.9°", "standing 16.9°"), CardRow("Cement", "4.9 mL", "a"))),
            CardColumn("Kyphoplasty", (CardRow("Cavity", "4.0 mL"),), 0.5),
        ),
        ("One case.",),
    ),
}


@pytest.fixture(params=DESIGNS.values(), ids=DESIGNS)
def design(request):
    return request.param


def drawn(card, pictured=False, design=WIDE):
    layer = draw_card(card, DARK, 1.0, pictured, design)
    height, width = layer.pixels.shape[:2]
    return layer, Rect(layer.x_px, layer.y_px, width, height)


@pytest.mark.parametrize("kind", list(CARDS))
def test_a_card_lies_inside_the_screen_and_above_the_bar(design, kind):
    bottom = design.height if kind == "title" else design.bar_top(False)
    assert Rect(40, 40, design.width - 80, bottom - 56).holds(drawn(CARDS[kind], design=design)[1])


def test_words_leave_the_picture_free(design):
    place = picture_place(design).rect
    assert Rect(0, 0, design.width, design.bar_top(False)).holds(place)
    screen = full(drawn(CARDS["case"], pictured=True, design=design)[0], design)
    assert not screen[round(place.y) : round(place.bottom), round(place.x) : round(place.right)].any()


def test_blocks_that_take_turns_are_never_seen_together():
    square = DESIGNS["1:1"]

    def turned(*shown):
        columns = tuple(replace(c, shown=s) for c, s in zip(BLOCKS, shown, strict=True))
        return full(drawn(replace(CARDS["outcome"], columns=columns, notes=()), design=square)[0], square)

    bare = turned(0.0, 0.0, 0.0)
    alone = [turned(*(1.0 if i <= last else 0.0 for i in range(3))) - bare for last in range(3)]
    assert all((part > 0).sum() > 3000 for part in alone)
    assert np.array_equal(turned(1.0, 0.5, 0.0), bare)  # one has gone before the next comes
    assert (turned(1.0, 0.25, 0.0) != bare).any()
    assert (turned(1.0, 0.75, 0.0) != bare).any()


def test_an_upright_card_has_its_blocks_in_one_column():
    upright = DESIGNS["9:16"]
    places = []
    for i in range(3):
        columns = tuple(replace(c, shown=float(k == i)) for k, c in enumerate(BLOCKS))
        bare = tuple(replace(c, shown=0.0) for c in BLOCKS)
        one, none = (
            full(drawn(replace(CARDS["outcome"], columns=c), design=upright)[0], upright) for c in (columns, bare)
        )
        rows, across = np.nonzero(one != none)
        places.append((rows.min(), rows.max(), across.min(), across.max()))
    assert all(one[1] < two[0] for one, two in pairwise(places))
    assert len({place[2:] for place in places}) == 1


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


def test_a_comparison_has_a_row_for_each_name_and_a_column_for_each_title():
    titles, rows = compared(CARDS["comparison"].columns)
    assert titles == ("Vertebroplasty", "Kyphoplasty")
    assert [row.name for row in rows] == ["Wedge", "Cement", "Cavity"]
    assert [cell and cell.value for cell in rows[1].cells] == ["3.8 mL", "4.9 mL"]
    assert rows[2].cells[0] is None
    assert [row.shown for row in rows] == [1.0, 1.0, 0.5]


def test_figures_compared_stand_at_one_height_in_columns_of_their_own():
    """Each figure alone lies right of the last column's and level with its neighbour in the row."""
    places = {}
    for column in range(2):
        for row in range(2):
            columns = [replace(c, rows=tuple(replace(r, shown=0.0, note="") for r in c.rows)) for c in BOTH]
            rows = list(columns[column].rows)
            rows[row] = replace(rows[row], shown=1.0)
            columns[column] = replace(columns[column], rows=tuple(rows))
            card = replace(CARDS["comparison"], columns=tuple(columns))
            hidden = replace(card, columns=tuple(replace(c, shown=0.0) for c in columns))
            one, none = (draw_card(c, DARK, 1.0) for c in (card, hidden))
            changed = np.argwhere(full(one) != full(none))
            # the name at the left is the row's own: the figures are what lies in the columns
            figures = changed[changed[:, 1] > 620]
            places[column, row] = figures.min(0), figures.max(0)
    for row in range(2):
        assert places[0, row][0][0] == places[1, row][0][0]
    for column in range(2):
        assert places[column, 0][1][0] < places[column, 1][0][0]


BOTH = CARDS["comparison"].columns[:2]


def full(layer, design=WIDE):
    out = np.zeros((int(design.height), int(design.width)), int)
    height, width = layer.pixels.shape[:2]
    out[layer.y_px : layer.y_px + height, layer.x_px : layer.x_px + width] = layer.pixels[:, :, 3]
    return out


def test_a_comparison_with_too_many_rows_is_refused():
    rows = tuple(CardRow(f"Name {i}", "value", "note") for i in range(12))
    with pytest.raises(ValueError, match="more rows than fit"):
        drawn(replace(CARDS["comparison"], columns=(CardColumn("A", rows), CardColumn("B", rows))))
