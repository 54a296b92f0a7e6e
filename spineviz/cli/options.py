"""Options that several commands share, so that each reads and fails the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spineviz.data.errors import RequestError

if TYPE_CHECKING:
    from spineviz.film.render import Hands
    from spineviz.film.shows import Show

Command = TypeVar("Command", bound=Callable[..., Any])

QUALITIES = {"draft": "854x480 at 15", "hd": "1280x720 at 30", "fhd": "1920x1080 at 30", "uhd": "3840x2160 at 30"}
"""Name of a quality -> its pixels and frames a second, in words for --help."""

FORMATS = {
    "mp4": "H.264",
    "webm": "VP9",
    "gif": "480 pixels wide, 10 frames a second, no sound",
    "mov": "ProRes 4444 with a clear ground",
    "png": "a folder of pictures alone",
}
"""Name of a format -> what it is, in words for --help."""


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


def format_option(command: Command) -> Command:
    """Add `--format` (argument format_name: str, a key of FORMATS)."""
    words = ", ".join(f"{name}: {text}" for name, text in FORMATS.items())
    return click.option(
        "--format", "format_name", type=click.Choice(list(FORMATS)), default="mp4", show_default=True, help=f"{words}."
    )(command)


def jobs_option(command: Command) -> Command:
    """Add `--jobs` (argument jobs: int | None)."""
    return click.option(
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 64),
        help="So many processes of this machine; by default as many as its cores and free memory allow.",
    )(command)


def cluster_option(command: Command) -> Command:
    """Add `--cluster` (argument cluster: str | None)."""
    return click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Draw on the workers of a dask.distributed scheduler, such as tcp://127.0.0.1:8786.",
    )(command)


def hands_for(show: Show, jobs: int | None, cluster: str | None) -> Hands:
    """Who draws `show`: a cluster, or so many processes of this machine.

    Raises RequestError where both are asked for.
    """
    from spineviz.film.render import local_hands

    if cluster is None:
        return local_hands(jobs)
    if jobs is not None:
        raise RequestError("--jobs: goes with this machine alone, not with --cluster; give one of them")
    from spineviz.film.cluster import cluster_hands

    return cluster_hands(cluster, show)


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


def check_folder(folder: Path, option: str = "--out") -> Path:
    """`folder` if files may be written into it; RequestError, naming the option and the folder, where not."""
    try:
        if not folder.is_dir():
            raise RequestError(f"{option} {folder}: there is no such folder; give one that exists")
    except (OSError, ValueError) as error:
        raise RequestError(f"{option} {str(folder)[:60]}: {error}; give a folder that exists") from error
    if not os.access(folder, os.W_OK):
        raise RequestError(f"{option} {folder}: the folder cannot be written; give one that can")
    return folder


def check_out(out: Path, force: bool, endings: Sequence[str]) -> Path:
    """`out` if a file may be written there, before any work is spent on it; the ending "" stands for a folder.

    Raises RequestError, naming --out and the path, for an ending other than `endings` (".png"), a folder that is
    missing or cannot be written, a folder, special file or dangling link in the way, and a file in the way without
    `force`.
    """
    if out.suffix.lower() not in endings:
        raise RequestError(f"--out {out}: the ending must be {' or '.join(endings)}")
    try:
        if not out.parent.is_dir():
            raise RequestError(f"--out {out}: the folder {out.parent} does not exist; give one that does")
        if out.is_symlink() and not out.exists():
            raise RequestError(f"--out {out}: is a link that leads nowhere; remove it or give another name")
        if "" in endings and out.exists() and not out.is_dir():
            raise RequestError(f"--out {out}: is not a folder; give the name of one")
        if "" not in endings and out.exists() and not out.is_file():
            raise RequestError(f"--out {out}: is not a file; give the name of a file")
        if out.exists() and not force:
            raise RequestError(f"--out {out}: exists already; give another name or --force")
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise RequestError(f"--out {out}: {error.strerror or error}; give a path that can be written") from error
    if not os.access(out.parent, os.W_OK):
        raise RequestError(f"--out {out}: the folder {out.parent} cannot be written; give one that can")
    return out
