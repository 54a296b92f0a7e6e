"""spineviz cache: what is kept between runs, and how to be rid of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from spineviz.cli.options import json_option
from spineviz.data.cache import cache_folder
from spineviz.data.errors import FaultError

KINDS = {
    "plans": "plans of cases",
    "pieces": "finished pieces of films",
    "about": "what films say of themselves",
    "sums": "what radiographs are summed from",
}
"""Folder of the cache -> what lies there."""


@click.group("cache")
def command() -> None:
    """What is kept between runs: plans, and finished pieces of films.

    It lies where this system keeps caches, or in the folder that SPINEVIZ_CACHE names. SPINEVIZ_CACHE_GB limits the
    pieces, and a twentieth of it what radiographs are summed from; what was used longest ago goes first.
    """


@command.command("show")
@json_option
def show(as_json: bool) -> None:
    """Where the cache is, and what it holds."""
    from spineviz.film.kept_sums import most_bytes
    from spineviz.film.store import limit_bytes

    limits = {"pieces": limit_bytes(), "sums": most_bytes()}
    told = {
        "folder": str(cache_folder()),
        "limit_bytes": limits["pieces"],
        "sums_limit_bytes": limits["sums"],
        **{kind: _held(kind) for kind in KINDS},
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(told["folder"])
    for kind, words in KINDS.items():
        held: Any = told[kind]
        limit = f" of at most {limits[kind] / 1e9:g} GB" if kind in limits else ""
        click.echo(f"{words}: {_counted(held['files'])}, {held['bytes'] / 1e6:.1f} MB{limit}")


@command.command("clear")
@click.option("--only", "kind", type=click.Choice(list(KINDS)), help="Only these; all by default.")
def clear(kind: str | None) -> None:
    """Remove what is kept. Films that are finished are not touched; a render that is on draws again what it needs."""
    from spineviz.film.store import is_being_written

    removed = size = 0
    for name in KINDS if kind is None else [kind]:
        for path in _files(name):
            if is_being_written(path):
                continue
            try:
                taken = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FaultError(f"{path}: {error.strerror or error}; remove it by hand") from error
            removed, size = removed + 1, size + taken
    click.echo(f"{cache_folder()}: {_counted(removed)} removed, {size / 1e6:.1f} MB")


def _counted(files: int) -> str:
    return f"{files} file{'' if files == 1 else 's'}"


def _files(kind: str) -> Iterator[Path]:
    folder = cache_folder() / kind
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.is_file())


def _held(kind: str) -> dict[str, int]:
    sizes = []
    for path in _files(kind):
        with contextlib.suppress(FileNotFoundError):  # a render that is on moves what it has finished
            sizes.append(path.stat().st_size)
    return {"files": len(sizes), "bytes": sum(sizes)}
