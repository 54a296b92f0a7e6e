"""What a film says: titles and captions of each step, apart from choreography, read from assets/narration.

    [step.cement]
    title = "Cement fills the spaces in the bone"
    seen_from = "seen from behind, right"
    [[step.cement.caption]]
    beat = "fill"                     # shown from the beat's beginning to the next caption; "" is the step's beginning
    text = "{cement_ml:.1f} mL of cement\\nspread between the trabeculae."
    [step.cement.words]               # any other words of the step, by name (labels, rows of cards)
    label = "cement"
    [step.outcome.card]               # a card: heading, lines, notes, and columns of rows (name, value, note)
    [phrases.shape.wedge]             # more placeholders where the plan's word "shape" has the value "wedge"
    sinks = "its front sinks"

and at its top, where films have phrases in common,

    shares = "augmentation"           # the phrases of assets/narration/LANGUAGE/augmentation.toml, to which it may add

Placeholders are filled from the plan, so another case changes the words too.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.films import Film, Step

LINE_SIGNS, LINES, SIGNS_PER_S = 42, 2, 17.0
"""A caption's limits: signs a line, lines, signs a second."""


@dataclass(frozen=True)
class Caption:
    """Words under the picture.

    Attributes:
        text: as it stands in the file, with placeholders.
        start_s, end_s: from when to when it is shown, seconds of the step.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class ColumnWords:
    """A column of a card: its title, the beat with which it appears ("" at once), rows of (name, value, note)."""

    title: str
    beat: str
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class CardWords:
    """The words of a card: heading, lines under it, notes at its foot, columns."""

    heading: str
    lines: tuple[str, ...]
    notes: tuple[str, ...]
    columns: tuple[ColumnWords, ...]


@dataclass(frozen=True)
class StepWords:
    """The words of one step: `title`, `seen_from`, captions in order, any others by name, and its card's."""

    title: str
    seen_from: str
    captions: tuple[Caption, ...]
    words: Mapping[str, str]
    card: CardWords | None = None

    def caption_at(self, seconds: float) -> Caption | None:
        """The caption on screen `seconds` after the step began."""
        return next((c for c in reversed(self.captions) if c.start_s <= seconds), None)


@cache
def narration(film: Film, language: str = "en") -> Mapping[str, StepWords]:
    """The words of `film` by step name.

    Raises RequestError as `read_narration`.
    """
    return read_narration(film, asset("narration", language, f"{film.name}.toml"))


def read_narration(film: Film, path: Path) -> dict[str, StepWords]:
    """The words in the file `path`, checked against the film's clock.

    Raises RequestError, naming file, step and what is wrong: a step or beat that the film has not, a step without
    title, an unknown key, captions out of order.
    """
    where = path.name
    table = tomllib.loads(path.read_text("utf-8")).get("step", {})
    names = [step.name for step in film.steps]
    for name in table:
        if name not in names:
            raise RequestError(f"{where}: step.{name} is not a step of {film.name}; it has {', '.join(names)}")
    out = {}
    for step in film.steps:
        entry = table.get(step.name)
        if entry is None or "title" not in entry:
            raise RequestError(f"{where}: step.{step.name} has no title")
        for key in entry:
            if key not in ("title", "seen_from", "caption", "words", "card"):
                raise RequestError(
                    f"{where}: step.{step.name}.{key} is unknown; a step has title, seen_from, caption, words, card"
                )
        out[step.name] = StepWords(
            entry["title"], entry.get("seen_from", ""), _captions(step, entry.get("caption", []), where),
            dict(entry.get("words", {})), _card(step, entry["card"], where) if "card" in entry else None,
        )  # fmt: skip
    return out


@cache
def _phrases(film_name: str, language: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    table = tomllib.loads(asset("narration", language, f"{film_name}.toml").read_text("utf-8"))
    shared = _phrases(table["shares"], language) if "shares" in table else {}
    own = table.get("phrases", {})
    return {
        key: {
            value: {**shared.get(key, {}).get(value, {}), **own.get(key, {}).get(value, {})}
            for value in dict.fromkeys((*shared.get(key, {}), *own.get(key, {})))
        }
        for key in dict.fromkeys((*shared, *own))
    }


def with_phrases(words: Mapping[str, Any], film_name: str, language: str = "en") -> dict[str, Any]:
    """`words` and those that the narration adds for their values: [phrases.shape.wedge] when words["shape"] is "wedge".

    Raises RequestError for a key that `words` has not, or a value for which the narration has no words.
    """
    out = dict(words)
    for key, values in _phrases(film_name, language).items():
        chosen = str(words.get(key, ""))
        if chosen not in values:
            raise RequestError(
                f"{film_name}.toml: phrases.{key} has no words for {chosen!r}; it has {', '.join(values)}"
            )
        out.update({name: filled(text, out, f"phrases.{key}") for name, text in values[chosen].items()})
    return out


def _card(step: Step, entry: Mapping[str, Any], where: str) -> CardWords:
    for key in entry:
        if key not in ("heading", "lines", "notes", "column"):
            raise RequestError(f"{where}: step.{step.name}.card.{key} is unknown; it has heading, lines, notes, column")
    columns = []
    for column in entry.get("column", []):
        beat = column.get("beat", "")
        if beat and beat not in step.beats:
            raise RequestError(f"{where}: step.{step.name}.card: no beat {beat!r}; it has {', '.join(step.beats)}")
        rows = []
        for row in column["rows"]:
            if len(row) != 3:
                raise RequestError(f"{where}: step.{step.name}.card: {row!r} must be name, value, note")
            rows.append((str(row[0]), str(row[1]), str(row[2])))
        columns.append(ColumnWords(column["title"], beat, tuple(rows)))
    return CardWords(
        entry.get("heading", ""), tuple(entry.get("lines", [])), tuple(entry.get("notes", [])), tuple(columns)
    )


def filled(text: str, words: Mapping[str, Any], step: str) -> str:
    """`text` with its placeholders filled from `words`.

    Raises RequestError, naming the step and the placeholder, for one that `words` has not or whose format does not fit.
    """
    try:
        return string.Formatter().vformat(text, (), dict(words))
    except (KeyError, IndexError) as error:
        known = ", ".join(sorted(words))
        raise RequestError(
            f"step {step}: unknown placeholder {{{error.args[0]}}} in {text!r}; there is {known}"
        ) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"step {step}: {text!r} cannot be filled: {error}") from None


def caption_faults(caption: Caption, text: str, step: str) -> list[str]:
    """What is wrong with a caption once filled: more lines, signs or haste than a reader can follow; empty if nothing.

    `text` is the filled text with its line breaks.
    """
    lines = text.split("\n")
    faults = []
    if len(lines) > LINES:
        faults.append(f"step {step}: {text!r} has {len(lines)} lines; at most {LINES}")
    faults += [
        f"step {step}: {line!r} has {len(line)} signs; at most {LINE_SIGNS}" for line in lines if len(line) > LINE_SIGNS
    ]
    seconds = caption.end_s - caption.start_s
    if len(text) > SIGNS_PER_S * seconds + 1e-9:
        faults.append(
            f"step {step}: {text!r} has {len(text)} signs in {seconds:.1f} s; at most {SIGNS_PER_S:g} a second"
        )
    return faults


def _captions(step: Step, entries: list[dict[str, Any]], where: str) -> tuple[Caption, ...]:
    starts = []
    for entry in entries:
        for key in entry:
            if key not in ("beat", "text"):
                raise RequestError(f"{where}: step.{step.name}.caption.{key} is unknown; a caption has beat, text")
        beat = entry.get("beat", "")
        if "text" not in entry:
            raise RequestError(f"{where}: step.{step.name}.caption at {beat!r} has no text")
        if beat and beat not in step.beats:
            raise RequestError(
                f"{where}: step.{step.name}.caption: no beat {beat!r}; it has {', '.join(step.beats) or 'none'}"
            )
        starts.append(step.beats[beat][0] if beat else 0.0)
    if any(b <= a for a, b in pairwise(starts)):
        raise RequestError(f"{where}: step.{step.name}: captions must follow one another as their beats do")
    ends = [*starts[1:], step.seconds]
    return tuple(Caption(entry["text"], start, end) for entry, start, end in zip(entries, starts, ends, strict=False))
