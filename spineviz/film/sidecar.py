"""What a finished film says about itself: in its metadata and in a JSON file beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.data.assets import asset
from spineviz.film.engine import versions

if TYPE_CHECKING:
    from spineviz.film.shows import FilmShow

SIDECAR_MARK = "spineviz film"

_CITATION_COLUMNS = ("citation", "source")


def citations() -> list[str]:
    """Every citation of the data files, once, in alphabetical order."""
    found = set()
    for path in sorted(asset().rglob("*.csv")):
        lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        for row in csv.DictReader(lines):
            for column, text in row.items():
                if column and column.lower().startswith(_CITATION_COLUMNS) and text and not text.startswith("as "):
                    found.add(text.strip())
    return sorted(found)


def description(show: FilmShow, about: Mapping[str, Any]) -> dict[str, Any]:
    """All that a film says about itself, as plain values; the JSON beside it."""
    from spineviz.film.shows import film_title

    return {
        "made_by": SIDECAR_MARK,
        "film": show.name,
        "title": film_title(show.name),
        "about": "animation of a constructed case; for education, not for clinical use",
        "digest": show.digest,
        **asdict(show.rendition),
        "steps": list(show.parts),
        "seconds": round(show.seconds, 3),
        "case": show.case.table(),
        "resolved": about["resolved"],
        "measures": about["measures"],
        "versions": versions(),
        "sources": citations(),
    }


def tags(told: dict[str, Any]) -> dict[str, str]:
    """The video file's own tags; the citations are as in the JSON."""
    return {
        "title": f"{told['title']} · {told.get('resolved', {}).get('spine', {}).get('level', '')}".rstrip(" ·"),
        "comment": json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str),
        "genre": "education",
    }


def digest_of(metadata: dict[str, str]) -> str | None:
    """The digest in a video's tags, or None where there is none."""
    try:
        told = json.loads(metadata.get("comment", ""))
    except (ValueError, RecursionError):
        return None
    digest = told.get("digest") if isinstance(told, dict) else None
    return digest if isinstance(digest, str) else None


def is_sidecar(path: Path) -> bool:
    """Whether a JSON file was written by this project."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("made_by") == SIDECAR_MARK
