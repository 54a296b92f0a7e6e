"""The names of pieces and films: digests of all that their pixels depend on."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.data.assets import asset, package_folder
from spineviz.data.films import Film
from spineviz.data.narration import narration
from spineviz.film.engine import fingerprint

if TYPE_CHECKING:
    from spineviz.film.opening import SceneSource
    from spineviz.film.pieces import Piece
    from spineviz.film.rendition import Rendition

_TEXT_ENDINGS = (".py", ".csv", ".toml")
_NOT_DRAWN = ("spineviz/cli/", "assets/films/", "assets/narration/", "assets/themes/", "scenes/")
"""What no pixel depends on, and what each film takes its own part of."""


def digest_of(told: Any) -> str:
    """SHA-256 of plain values: 64 hexadecimal signs."""
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def piece_name(film: Film, scene: SceneSource, case: str, rendition: Rendition, piece: Piece) -> str:
    """The name of `piece` of `film`, told by `scene`, for `case` (canonical JSON), drawn as `rendition` says: 64
    hexadecimal signs.

    It covers the case, the sources of package and scene, the assets and the words that the piece reads, quality, theme
    and format, and the engines' versions. A caption changes the names of those pieces alone that show it.
    """
    ground = film_ground(film, scene, rendition.theme, rendition.language)
    words = words_of_piece(film, rendition.language, piece)
    return digest_of([ground, case, asdict(rendition), [piece.start_s, piece.end_s], words])


def film_name(
    film: Film, scene: SceneSource, case: str, rendition: Rendition, steps: Sequence[int], sound: str = ""
) -> str:
    """What tells a finished film from every other: 64 hexadecimal signs.

    It covers all its pieces, all its words, its steps (counted from 0), and the digest of its `sound`.
    """
    ground = film_ground(film, scene, rendition.theme, rendition.language)
    words = _file_digest(asset("narration", rendition.language, f"{film.name}.toml"))
    return digest_of([ground, case, asdict(rendition), list(steps), words, sound])


@cache
def film_ground(film: Film, scene: SceneSource, theme: str, language: str) -> str:
    """A digest of what all pieces of a film have in common: sources, scene, clock, theme, phrases and engines."""
    return digest_of(
        [
            sources(),
            _file_digest(scene.path),
            scene.class_name,
            tomllib.loads(asset("films", f"{film.name}.toml").read_text("utf-8")),
            _file_digest(asset("films", "outcomes.csv")),
            _file_digest(asset("themes", f"{theme}.toml")),
            phrases(film.name, language),
            fingerprint(),
        ]
    )


def words_of_piece(film: Film, language: str, piece: Piece) -> dict[str, Any]:
    """The words that a piece may show.

    Those are: title, card and further words of its step and, since a film eases from one into the next, of the step
    before; the captions that are on while it lasts; and the label words of all steps, which labels elsewhere may take.
    """
    words = narration(film, language)
    step = film.step(piece.step)
    number = film.steps.index(step)
    near = film.steps[max(0, number - 1) : number + 1]
    begin, end = round(piece.start_s - step.start_s, 6), round(piece.end_s - step.start_s, 6)
    return {
        "labels": {name: dict(told.words) for name, told in words.items()},
        "steps": [_still_words(words[other.name]) for other in near],
        "captions": [
            [caption.text, caption.start_s, caption.end_s]
            for caption in words[step.name].captions
            if caption.start_s < end and caption.end_s > begin
        ],
    }


def _still_words(told: Any) -> list[Any]:
    """Title, where it is seen from and card of a step."""
    return [told.title, told.seen_from, None if told.card is None else asdict(told.card)]


def phrases(film_name: str, language: str) -> list[Any]:
    """The phrases that a film's words may take: its own, and those that it shares."""
    table = tomllib.loads(asset("narration", language, f"{film_name}.toml").read_text("utf-8"))
    shared = phrases(table["shares"], language) if "shares" in table else []
    return [*shared, table.get("phrases", {})]


@cache
def sources() -> str:
    """Of every source file of the package that draws and of every data file: 64 hexadecimal signs."""
    package = Path(__file__).resolve().parent.parent
    found = _files(package, "spineviz") | _files(package_folder("assets"), "assets")
    digest = hashlib.sha256()
    for inner, path in sorted(found.items()):
        if not inner.startswith(_NOT_DRAWN):
            digest.update(inner.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(root: Path, name: str) -> dict[str, Path]:
    """The text files under `root`, by the path that they have in a checkout.

    In a wheel scenes and assets lie inside the package; they are counted once, under the same names.
    """
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.suffix in _TEXT_ENDINGS}
    inner = ("scenes/", "assets/")
    return {f"{name}/{key}": path for key, path in files.items() if name != "spineviz" or not key.startswith(inner)}


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
