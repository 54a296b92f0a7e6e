"""Where the data files lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def package_folder(name: str) -> Path:
    """The folder `name` (assets or scenes) of this installation; FileNotFoundError if there is none."""
    package = Path(__file__).resolve().parent.parent
    for root in (package, package.parent):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"spineviz: the folder {name} is missing from this installation")


def asset(*parts: str) -> Path:
    """The path of one asset, such as asset("anatomy", "morphometry.csv")."""
    return package_folder("assets").joinpath(*parts)
