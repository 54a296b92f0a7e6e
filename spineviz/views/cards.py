"""Cards: the title, the patient, the outcome, two procedures set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from spineviz.views.canvas import Canvas, Layer
from spineviz.views.designs import WIDE
from spineviz.views.layout import Design, Panel, Rect, framed
from spineviz.views.text import NOTE, TextStyle, cap_height, text_size
from spineviz.views.theme import Theme

HEADING = TextStyle(92, "bold")
CASE_HEADING = TextStyle(56, "bold")
LINE = TextStyle(34)
COLUMN_TITLE = TextStyle(28, "semibold")
ROW_NAME, ROW_VALUE = TextStyle(28), TextStyle(30, "semibold")
COMPARED_TITLE, COMPARED_VALUE = TextStyle(38, "bold"), TextStyle(36, "semibold")
COMPARED_STEP, NAME_SHARE = 42.0, 0.28
ROW_STEP, NOTE_STEP, VALUE_STEP = 62.0, 32.0, 36.0
LEAST_ROW, MOST_ROW = 40.0, 86.0
"""How far a table's rows may be drawn together or apart to fit its room, design pixels."""


@dataclass(frozen=True)
class CardRow:
    """One line of a card's table: a muted name, the value, and a muted note after it; `shown` 0 to 1."""

    name: str
    value: str
    note: str = ""
    shown: float = 1.0


@dataclass(frozen=True)
class CardColumn:
    """A titled block of rows; one for each of the card's columns."""

    title: str
    rows: tuple[CardRow, ...] = ()
    shown: float = 1.0


class Card(Protocol):
    """What a card says; spineviz.film.shot.CardShot is one."""

    @property
    def kind(self) -> str:
        """ "title", "case", "outcome" or "comparison"."""

    @property
    def heading(self) -> str:
        """The largest words."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Under the heading."""

    @property
    def columns(self) -> tuple[CardColumn, ...]:
        """The blocks of the table."""

    @property
    def notes(self) -> tuple[str, ...]:
        """At the foot."""


@dataclass(frozen=True)
class _Words:
    """A card's words alone, which name its layer."""

    kind: str
    heading: str
    lines: tuple[str, ...]
    columns: tuple[CardColumn, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """How a card lies on the design screen of an aspect.

    Attributes:
        left, right: the margins of words.
        gap: between blocks that stand side by side, and columns that are compared.
        title: the left end and the base line of a title card's first line under the heading.
        picture: where a case card's picture lies.
        turned: whether blocks come one after the other, each in the last one's place: there is no room for all.
        above: whether a case card's picture lies under its blocks, else right of them.
    """

    left: float
    right: float
    gap: float
    title: tuple[float, float]
    picture: Rect
    turned: bool = False
    above: bool = False


PAGES = {
    "9:16": Page(60.0, 1020.0, 40.0, (70.0, 1330.0), Rect(60.0, 1040.0, 960.0, 520.0), above=True),
    "1:1": Page(60.0, 1020.0, 40.0, (70.0, 560.0), Rect(610.0, 150.0, 410.0, 730.0), turned=True),
}
"""Aspect -> its page, beside that of 16:9, whose margins differ from card to card."""


def picture_place(design: Design = WIDE) -> Panel:
    """Where a case card's picture lies, framed, design pixels."""
    if design is WIDE:
        return framed(Rect(1210.0, 150.0, 650.0, 690.0))
    return framed(PAGES[design.aspect].picture, design.aspect == "1:1")


def draw_card(card: Card, theme: Theme, scale: float, pictured: bool = False, design: Design = WIDE) -> Layer:
    """A card's words and rules over a transparent screen, as a layer; kept between frames.

    `pictured` leaves room for a picture at `picture_place(design)`.

    Raises ValueError, naming the words, where a line is wider than its column.
    """
    words = _Words(card.kind, card.heading, card.lines, card.columns, card.notes)
    return _card_layer(words, pictured, theme.name, scale, design)


def forget_cards() -> None:
    """Drop the cards that were drawn."""
    _card_layer.cache_clear()


@lru_cache(maxsize=2)
def _card_layer(card: _Words, pictured: bool, theme_name: str, scale: float, design: Design) -> Layer:
    from spineviz.views.theme import theme as named

    canvas = Canvas(design.width, design.height, scale)
    theme = named(theme_name)
    if card.kind == "title":
        _title(canvas, card, theme, design)
    elif card.kind == "case":
        _case(canvas, card, theme, design, pictured)
    elif card.kind == "comparison":
        _comparison(canvas, card, theme, design)
    else:
        _outcome(canvas, card, theme, design)
    return canvas.layer()


def _title(canvas: Canvas, card: Card, theme: Theme, design: Design) -> None:
    left, base = (150.0, 470.0) if design is WIDE else PAGES[design.aspect].title
    room = design.width - 2 * left
    beside = room if design.aspect != "1:1" else 590.0  # the lines keep clear of what is behind, as at 16:9
    heading = [card.heading] if design is WIDE else _fitted(card.heading, room + 8.0, HEADING)
    rise = HEADING.size_px * (len(heading) - 1)
    canvas.panel(left, base - 196 - rise, 96, 8, 4, fill=theme.colour("cement"))
    for i, line in enumerate(heading):
        canvas.text(line, left - 4, base - 70 - rise + HEADING.size_px * i, HEADING, theme.colour("text"))
    y = base
    for i, line in enumerate(card.lines):
        colour, style = (theme.colour("text"), TextStyle(38)) if i == 0 else (theme.colour("muted"), LINE)
        for part in [line] if design is WIDE else _fitted(line, beside, style):
            canvas.text(part, left, y, style, colour)
            y += 52
    _notes(canvas, card.notes, left, design.height - 70.0, theme, min(1500.0, room))


def _case(canvas: Canvas, card: Card, theme: Theme, design: Design, pictured: bool) -> None:
    page = PAGES.get(design.aspect)
    left = 120.0 if page is None else page.left
    width = full = 1680.0 if page is None else page.right - left
    if pictured and (page is None or not page.above):
        width = 1010.0 if page is None else page.picture.x - left - 40.0
    canvas.text(card.heading, left - 2, 128.0, CASE_HEADING, theme.colour("text"))
    y = 168.0
    for line in card.lines:
        y += 12.0
        canvas.text(line, left, y, TextStyle(28), theme.colour("muted"))
        y += 28.0
    y += 14.0
    foot = design.bar_top(False) - 34.0
    bottom = foot - _notes(canvas, card.notes, left, foot, theme, width if page is None else full) - 10.0
    if pictured and page is not None and page.above:
        bottom = page.picture.y - 30.0
    columns = card.columns
    if page is not None and page.turned:
        _turned(canvas, columns, Rect(left, y, width, bottom - y), theme, ROW_STEP)
        return
    room = bottom - y - 26.0 * (len(columns) - 1)
    step = _row_step([columns], width, room, ROW_STEP)
    for column in columns:
        y = _block(canvas, column, left, y, width, theme, step) + 26.0


def _outcome(canvas: Canvas, card: Card, theme: Theme, design: Design) -> None:
    page = PAGES.get(design.aspect)
    left, right, gap = (100.0, design.width - 100.0, 64.0) if page is None else (page.left, page.right, page.gap)
    canvas.text(card.heading, left - 2, 118.0, CASE_HEADING, theme.colour("text"))
    for i, line in enumerate(card.lines):
        canvas.text(line, left, 166.0 + 36 * i, TextStyle(28), theme.colour("muted"))
    top = 190.0 + 36.0 * len(card.lines)
    foot = design.bar_top(False) - 34.0
    bottom = foot - _notes(canvas, card.notes, left, foot, theme, right - left) - 24.0
    if page is None:
        count = max(1, len(card.columns))
        width = (right - left - gap * (count - 1)) / count
        step = _row_step([(column,) for column in card.columns], width, bottom - top, MOST_ROW)
        for i, column in enumerate(card.columns):
            _block(canvas, column, left + i * (width + gap), top, width, theme, step)
    elif page.turned:
        _turned(canvas, card.columns, Rect(left, top, right - left, bottom - top), theme, MOST_ROW)
    else:
        step = _row_step([card.columns], right - left, bottom - top - gap * (len(card.columns) - 1), MOST_ROW)
        for column in card.columns:
            top = _block(canvas, column, left, top, right - left, theme, step) + gap


def _turned(canvas: Canvas, columns: Sequence[CardColumn], room: Rect, theme: Theme, most: float) -> None:
    """Blocks one after the other in the same place: one is gone before the next appears; each says which it is."""
    step = _row_step([(column,) for column in columns], room.w, room.h, most)
    for i, column in enumerate(columns):
        shown = column.shown if i == 0 else max(0.0, 2.0 * column.shown - 1.0)
        if i + 1 < len(columns):
            shown *= max(0.0, 1.0 - 2.0 * columns[i + 1].shown)
        if shown > 0.0:
            _block(canvas, replace(column, shown=shown), room.x, room.y, room.w, theme, step)
            count = f"{i + 1} of {len(columns)}"
            canvas.text(count, room.right, room.y + 28.0, NOTE, theme.colour("muted"), "rs", shown)


@dataclass(frozen=True)
class ComparedRow:
    """One row of a comparison: what is compared, each column's cell (None where it has no such row)."""

    name: str
    cells: tuple[CardRow | None, ...]
    shown: float


def compared(columns: Sequence[CardColumn]) -> tuple[tuple[str, ...], tuple[ComparedRow, ...]]:
    """The titles of a comparison, and its rows in the order in which their names first come.

    Columns of one title continue each other; a row is as much shown as the cell that is shown most.
    """
    titles = tuple(dict.fromkeys(column.title for column in columns))
    names = dict.fromkeys(row.name for column in columns for row in column.rows)
    rows = []
    for name in names:
        cells: list[CardRow | None] = [None] * len(titles)
        shown = 0.0
        for column in columns:
            for row in column.rows:
                if row.name == name:
                    cells[titles.index(column.title)] = row
                    shown = max(shown, column.shown * row.shown)
        rows.append(ComparedRow(name, tuple(cells), shown))
    return titles, tuple(rows)


def _comparison(canvas: Canvas, card: Card, theme: Theme, design: Design) -> None:
    """A table: what is compared on the left, then one column for each title; a note that all cells share stands
    once, under the row's name."""
    page = PAGES.get(design.aspect)
    left, right, gap = (100.0, design.width - 100.0, 56.0) if page is None else (page.left, page.right, page.gap)
    canvas.text(card.heading, left - 2, 112.0, CASE_HEADING, theme.colour("text"))
    for i, line in enumerate(card.lines):
        canvas.text(line, left, 158.0 + 36 * i, TextStyle(28), theme.colour("muted"))
    titles, rows = compared(card.columns)
    top = 150.0 + 36.0 * len(card.lines)
    foot = design.bar_top(False) - 30.0
    bottom = foot - _notes(canvas, card.notes, left, foot, theme, right - left) - 16.0
    first = NAME_SHARE * (right - left)
    width = (right - left - first - gap * len(titles)) / max(1, len(titles))
    xs = [left + first + gap + i * (width + gap) for i in range(len(titles))]
    for x, title in zip(xs, titles, strict=True):
        canvas.text(title, x, top + 34.0, COMPARED_TITLE, theme.colour("text"))
        canvas.path([(x, top + 50), (x + width, top + 50)], stroke=theme.colour("cement"), stroke_px=3.0)
    canvas.path([(left, top + 50), (left + first, top + 50)], stroke=theme.colour("cement"), stroke_px=3.0)
    heights = [_compared_height(row, first, width) for row in rows]
    spare = bottom - top - 50.0 - sum(heights)
    if rows and spare < 0.0:
        raise ValueError(f"a card has more rows than fit: {-spare:.0f} design pixels too many")
    more = min(spare / max(1, len(rows)), 22.0)
    y = top + 50.0
    for row, height in zip(rows, heights, strict=True):
        _compared_row(canvas, row, (left, y, first), xs, width, height + more, theme)
        y += height + more
        canvas.path([(left, y), (right, y)], stroke=theme.colour("edge"), stroke_px=1.5, alpha=row.shown)


def _shared_note(row: ComparedRow) -> str:
    """The note that all the cells of a row have, or ""."""
    notes = {cell.note for cell in row.cells if cell is not None}
    return notes.pop() if len(notes) == 1 and len(row.cells) > 1 else ""


def _compared_height(row: ComparedRow, first: float, width: float) -> float:
    """The least that a row of a comparison takes, design pixels."""
    shared = _shared_note(row)
    name = COMPARED_STEP * len(_fitted(row.name, first, ROW_NAME))
    tallest = name + NOTE_STEP * len(_fitted(shared, first, NOTE))
    for cell in row.cells:
        if cell is not None:
            own = "" if shared else cell.note
            lines = COMPARED_STEP * len(_fitted(cell.value, width, COMPARED_VALUE))
            tallest = max(tallest, lines + NOTE_STEP * len(_fitted(own, width, NOTE)))
    return tallest + 16.0


def _compared_row(
    canvas: Canvas,
    row: ComparedRow,
    name_place: tuple[float, float, float],
    xs: Sequence[float],
    width: float,
    height: float,
    theme: Theme,
) -> None:
    left, top, first = name_place
    shared = _shared_note(row)
    _stack(canvas, row.name, shared, (left, top, first), height, (ROW_NAME, "muted"), theme, row.shown)
    for x, cell in zip(xs, row.cells, strict=True):
        if cell is not None:
            own = "" if shared else cell.note
            _stack(canvas, cell.value, own, (x, top, width), height, (COMPARED_VALUE, "text"), theme, row.shown)


def _stack(
    canvas: Canvas,
    words: str,
    note: str,
    place: tuple[float, float, float],
    height: float,
    style: tuple[TextStyle, str],
    theme: Theme,
    alpha: float,
) -> None:
    """Words and a small note under them, in the middle of a row's height."""
    x, top, width = place
    lines, notes = _fitted(words, width, style[0]), _fitted(note, width, NOTE)
    base = top + (height - COMPARED_STEP * len(lines) - NOTE_STEP * len(notes)) / 2 + 0.76 * COMPARED_STEP
    for line in lines:
        canvas.text(line, x, base, style[0], theme.colour(style[1]), alpha=alpha)
        base += COMPARED_STEP
    for line in notes:
        canvas.text(line, x, base - COMPARED_STEP + NOTE_STEP, NOTE, theme.colour("muted"), alpha=alpha)
        base += NOTE_STEP


def _row_step(stacks: Sequence[Sequence[CardColumn]], width: float, room: float, most: float) -> float:
    """How far apart rows may be for the tallest of `stacks` (blocks above one another) to fit `room`.

    Raises ValueError where it does not fit with the rows as near as can be.
    """
    steps = [most]
    for stack in stacks:
        rows = sum(len(column.rows) for column in stack)
        if rows:
            steps.append((room - sum(_height(column, width, 0.0) for column in stack)) / rows)
    if min(steps) < LEAST_ROW:
        raise ValueError(f"a card has more rows than fit: {min(steps):.0f} design pixels a row, least {LEAST_ROW:g}")
    return min(steps)


def _height(column: CardColumn, width: float, step: float) -> float:
    """How tall a block is with its rows `step` apart."""
    return 46.0 + sum(step + _more_lines(row, width) for row in column.rows)


def _more_lines(row: CardRow, width: float) -> float:
    """What a row takes beyond one line: further lines of its value, and its note."""
    values = _fitted(row.value, _value_room(row, width), ROW_VALUE)
    notes = _fitted(row.note, width, NOTE) if row.note else []
    return VALUE_STEP * (len(values) - 1) + NOTE_STEP * len(notes)


def _value_room(row: CardRow, width: float) -> float:
    return width - text_size(row.name, ROW_NAME)[0] - 24.0


def _block(canvas: Canvas, column: CardColumn, x: float, top: float, width: float, theme: Theme, step: float) -> float:
    """A titled table with rows `step` apart; returns where it ends."""
    shown = column.shown
    canvas.text(column.title, x, top + 28.0, COLUMN_TITLE, theme.colour("text"), alpha=shown)
    canvas.path([(x, top + 46), (x + width, top + 46)], stroke=theme.colour("cement"), stroke_px=3.0, alpha=shown)
    y = top + 46.0
    for row in column.rows:
        alpha = shown * row.shown
        base = y + step / 2 + cap_height(ROW_VALUE) / 2
        canvas.text(row.name, x, base, ROW_NAME, theme.colour("muted"), alpha=alpha)
        for i, line in enumerate(_fitted(row.value, _value_room(row, width), ROW_VALUE)):
            canvas.text(line, x + width, base + VALUE_STEP * i, ROW_VALUE, theme.colour("text"), "rs", alpha)
        y += step + _more_lines(row, width)
        notes = _fitted(row.note, width, NOTE) if row.note else []
        for i, line in enumerate(reversed(notes)):
            canvas.text(
                line,
                x,
                y - step / 2 + cap_height(ROW_VALUE) / 2 - NOTE_STEP * i,
                NOTE,
                theme.colour("muted"),
                alpha=alpha,
            )
        canvas.path([(x, y), (x + width, y)], stroke=theme.colour("edge"), stroke_px=1.5, alpha=alpha)
    return y


def _notes(canvas: Canvas, notes: Sequence[str], x: float, bottom: float, theme: Theme, width: float) -> float:
    """Small lines, the last one ending at `bottom`; returns how much room they take."""
    lines = [line for note in notes for line in _fitted(note, width, NOTE)]
    for i, line in enumerate(reversed(lines)):
        canvas.text(line, x, bottom - NOTE_STEP * i, NOTE, theme.colour("muted"))
    return NOTE_STEP * len(lines)


def _fitted(words: str, width: float, style: TextStyle) -> list[str]:
    """`words` broken into lines no wider than `width`; ValueError where one word is wider."""
    lines: list[str] = []
    for word in words.split():
        if text_size(word, style)[0] > width:
            raise ValueError(f"{word!r} of {words!r} is wider than the {width:.0f} design pixels of its column")
        if lines and text_size(f"{lines[-1]} {word}", style)[0] <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def heading_width(card: Card) -> float:
    """The width of the card's heading, design pixels."""
    return text_size(card.heading, HEADING if card.kind == "title" else CASE_HEADING)[0]
