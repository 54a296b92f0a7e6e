"""spineviz case: write a commented case file, check one, show it with "auto" resolved."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spineviz.cli.options import case_options, check_out, force_option, json_option, out_option
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


@command.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@case_options
def check(file: Path | None, case_file: Path | None, settings: tuple[str, ...]) -> None:
    """Check FILE: every key, and that the procedure can be planned."""
    from spineviz.procedures.case import load_case
    from spineviz.procedures.plans import plan_for

    path = _one_of(file, case_file)
    plan = plan_for("vertebroplasty", load_case(path, settings))
    words = plan.words()
    name = path.name if path is not None else "the default case"
    click.echo(
        f"{name} is sound: {plan.level}, {plan.case.needle.approach}, {plan.case.needle.gauge} gauge, "
        f"{words['least_bone_mm']:.1f} mm of bone round the needle in the pedicle, "
        f"{words['cement_ml']:.1f} mL of cement"
    )


@command.command("show")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@case_options
@json_option
def show(file: Path | None, case_file: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Show FILE, or the default case, with what is "auto" resolved by the plan."""
    from spineviz.procedures.case import case_text, checked_case, load_case
    from spineviz.procedures.plans import plan_for

    resolved = plan_for("vertebroplasty", load_case(_one_of(file, case_file), settings)).resolved()
    click.echo(json.dumps(resolved, indent=2) if as_json else case_text(checked_case(resolved), comments=False).strip())


def _one_of(file: Path | None, case_file: Path | None) -> Path | None:
    if file is not None and case_file is not None:
        raise RequestError(f"--case {case_file}: FILE {file} is given too; give one of them")
    return file if file is not None else case_file
