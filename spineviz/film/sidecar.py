"""What a finished film says about itself: in its metadata and in a JSON file beside it."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spineviz import __version__
from spineviz.data.assets import asset, package_folder

PACKAGES = ("manim", "numpy", "scipy", "pyvista", "vtk", "av", "pillow", "pycairo", "font-source-sans-pro")
"""Whose versions can change a picture."""

SIDECAR_MARK = "spineviz film"

_CITATION_COLUMNS = ("citation", "source")
_TEXT_ENDINGS = (".py", ".csv", ".toml")


def versions() -> dict[str, str]:
    """The versions of this project and of what it draws with."""
    out = {"spineviz": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "missing"
    return out


@cache
def sources_digest() -> str:
    """Of every source file of the package, every scene and every data file: 64 hexadecimal signs."""
    package = Path(__file__).resolve().parent.parent
    roots = [(package, "spineviz"), (package_folder("scenes"), "scenes"), (package_folder("assets"), "assets")]
    files: dict[str, Path] = {}
    for root, name in roots:
        for path in root.rglob("*"):
            if path.suffix in _TEXT_ENDINGS and "__pycache__" not in path.parts and path.is_file():
                inner = path.relative_to(root).as_posix()
                # in a wheel scenes and assets lie inside the package: count them once, under the same name
                if name != "spineviz" or not inner.startswith(("scenes/", "assets/")):
                    files[f"{name}/{inner}"] = path
    digest = hashlib.sha256()
    for inner in sorted(files):
        digest.update(inner.encode() + b"\0" + hashlib.sha256(files[inner].read_bytes()).digest())
    return digest.hexdigest()


def film_digest(film_name: str, case: str, quality: str, steps: tuple[int, ...]) -> str:
    """What tells one rendering from every other: film, case (canonical JSON), quality, steps, sources, versions."""
    told = [film_name, case, quality, list(steps), sources_digest(), versions()]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


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


def description(
    film_name: str,
    title: str,
    digest: str,
    quality: str,
    steps: list[str],
    seconds: float,
    case: dict[str, Any],
    resolved: dict[str, Any],
    measures: dict[str, Any],
) -> dict[str, Any]:
    """All that a film says about itself, as plain values; the JSON beside it."""
    return {
        "made_by": SIDECAR_MARK,
        "film": film_name,
        "title": title,
        "about": "animation of a constructed case; for education, not for clinical use",
        "digest": digest,
        "quality": quality,
        "steps": steps,
        "seconds": round(seconds, 3),
        "case": case,
        "resolved": resolved,
        "measures": measures,
        "versions": versions(),
        "sources": citations(),
    }


def tags(told: dict[str, Any]) -> dict[str, str]:
    """The video file's own tags; the citations are as in the JSON."""
    return {
        "title": f"{told['title']} · {told['resolved'].get('spine', {}).get('level', '')}".rstrip(" ·"),
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
