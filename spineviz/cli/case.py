"""spineviz case: write a commented case file, check one, show it with "auto" resolved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from spineviz.cli.options import Command, case_options, check_out, force_option, json_option, out_option
from spineviz.data.errors import RequestError


@click.group("case")
def command() -> None:
    """Write, check or show a case file: one patient and the choices made for them."""


@command.command("new")
@out_option("the case file (.toml); standard output without it")
@force_option
def new(out: Path | None, force: bool) -> None:
    """Write the default case with every key, its range and its default explained."""
    from spineviz.procedures.case import commented_case

    text = commented_case()
    if out is None:
        click.echo(text, nl=False)
        return
    from spineviz.cli.files import write_whole

    write_whole(check_out(out, force, (".toml",)), lambda path: path.write_text(text, encoding="utf-8"))


def _film_option(about: str) -> Callable[[Command], Command]:
    return click.option("--film", "film_name", metavar="FILM", help=about)


def _procedures(film_name: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """The procedures that --film names, or `default`; RequestError for a film that is not of one procedure."""
    from spineviz.procedures.plans import PROCEDURES

    if film_name is None:
        return default or PROCEDURES
    if film_name not in PROCEDURES:
        raise RequestError(f"--film: {film_name!r} is no film of one procedure; give {' or '.join(PROCEDURES)}")
    return (film_name,)


@command.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_film_option("The procedure to check for; every one without it.")
@case_options
def check(file: Path | None, film_name: str | None, case_file: Path | None, settings: tuple[str, ...]) -> None:
    """Check FILE: every key, and that the procedures can be planned.

    A case is sound where at least one procedure can be planned; why another cannot is said.
    """
    from spineviz.procedures.case import load_case
    from spineviz.procedures.plans import procedure_plan

    names = _procedures(film_name, ())
    path = _one_of(file, case_file)
    case = load_case(path, settings)
    lines: list[str] = []
    refusals: list[RequestError] = []
    for name in names:
        try:
            lines.append(f"  {name}: {procedure_plan(name, case).summary()}")
        except RequestError as refusal:
            refusals.append(refusal)
            lines.append(f"  {name} refuses it: {refusal}".replace("\n", "\n    "))
    if len(refusals) == len(names):
        raise refusals[0]
    title = path.name if path is not None else "the default case"
    click.echo("\n".join([f"{title} is sound: {case.spine.level}, {case.needle.approach}", *lines]))


@command.command("show")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_film_option("The procedure whose plan decides what is auto; vertebroplasty without it.")
@case_options
@json_option
def show(
    file: Path | None, film_name: str | None, case_file: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Show FILE, or the default case, with what is "auto" resolved by the plan.

    How much cement is given differs between the procedures: --film kyphoplasty shows that one's.
    """
    from spineviz.procedures.case import case_text, checked_case, load_case
    from spineviz.procedures.plans import procedure_plan

    (name,) = _procedures(film_name, ("vertebroplasty",))
    resolved = procedure_plan(name, load_case(_one_of(file, case_file), settings)).resolved()
    click.echo(json.dumps(resolved, indent=2) if as_json else case_text(checked_case(resolved), comments=False).strip())


def _one_of(file: Path | None, case_file: Path | None) -> Path | None:
    if file is not None and case_file is not None:
        raise RequestError(f"--case {case_file}: FILE {file} is given too; give one of them")
    return file if file is not None else case_file
