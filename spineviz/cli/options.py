"""Options that several commands share, so that each reads and fails the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from spineviz.data.errors import RequestError

Command = TypeVar("Command", bound=Callable[..., Any])

QUALITIES = {"draft": "854x480 at 15", "hd": "1280x720 at 30", "fhd": "1920x1080 at 30", "uhd": "3840x2160 at 30"}
"""Name of a quality -> its pixels and frames a second, in words for --help."""


def case_options(command: Command) -> Command:
    """Add `--case FILE` (argument case_file: Path | None) and `--set KEY=VALUE` (settings: tuple[str, ...])."""
    command = click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        help="One key of the case, such as --set spine.level=T12; wins over the file. May be repeated.",
    )(command)
    return click.option(
        "--case",
        "case_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The patient and the choices made, a TOML file (spineviz case new writes one).",
    )(command)


def quality_option(default: str = "hd") -> Callable[[Command], Command]:
    """Add `--quality` (argument quality: str, a key of QUALITIES)."""
    words = ", ".join(f"{name} {text}" for name, text in QUALITIES.items())
    return click.option(
        "--quality", type=click.Choice(list(QUALITIES)), default=default, show_default=True, help=f"{words}."
    )


ASPECTS = ("16:9", "9:16", "1:1")
"""Width to height; those of spineviz.film.pieces, said here too so that --help answers at once."""


def aspect_option(command: Command) -> Command:
    """Add `--aspect` (argument aspect: str, one of ASPECTS)."""
    words = "Width to height; the shorter side is that of --quality's height."
    return click.option("--aspect", type=click.Choice(ASPECTS), default="16:9", show_default=True, help=words)(command)


def theme_option(command: Command) -> Command:
    """Add `--theme` (argument theme: str, a theme of this installation)."""
    from spineviz.views.theme import theme_names

    words = "Colours: dark ground, light ground, or the strongest contrast."
    return click.option("--theme", type=click.Choice(theme_names()), default="dark", show_default=True, help=words)(
        command
    )


def out_option(what: str, required: bool = False) -> Callable[[Command], Command]:
    """Add `--out PATH` (argument out: Path, or None where it is not `required`); `what` ends its help."""
    return click.option(
        "--out", metavar="PATH", type=click.Path(path_type=Path), required=required, help=f"Where to write {what}."
    )


def force_option(command: Command) -> Command:
    """Add `--force` (argument force: bool)."""
    return click.option("--force", is_flag=True, help="Replace a file that is in the way.")(command)


def json_option(command: Command) -> Command:
    """Add `--json` (argument as_json: bool)."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def check_out(out: Path, force: bool, endings: Sequence[str]) -> Path:
    """`out` if a file may be written there, before any work is spent on it.

    Raises RequestError, naming --out and the path, for an ending other than `endings` (".png"), a folder that is
    missing or cannot be written, a folder or special file in the way, and a file in the way without `force`.
    """
    if out.suffix.lower() not in endings:
        raise RequestError(f"--out {out}: the ending must be {' or '.join(endings)}")
    try:
        if not out.parent.is_dir():
            raise RequestError(f"--out {out}: the folder {out.parent} does not exist; give one that does")
        if out.is_dir() or (out.exists() and not out.is_file()):
            raise RequestError(f"--out {out}: is not a file; give the name of a file")
        if out.exists() and not force:
            raise RequestError(f"--out {out}: exists already; give another name or --force")
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise RequestError(f"--out {out}: {error.strerror or error}; give a path that can be written") from error
    if not os.access(out.parent, os.W_OK):
        raise RequestError(f"--out {out}: the folder {out.parent} cannot be written; give one that can")
    return out
