"""spineviz storyboard: every step's key frame on one sheet."""

from __future__ import annotations

from pathlib import Path

import click

from spineviz.cli.options import aspect_option, case_options, check_out, force_option, out_option, theme_option


@click.command("storyboard")
@click.argument("film_name", metavar="FILM")
@case_options
@aspect_option
@theme_option
@out_option("the PNG; by default FILM-storyboard.png here")
@force_option
def command(
    film_name: str,
    case_file: Path | None,
    settings: tuple[str, ...],
    aspect: str,
    theme: str,
    out: Path | None,
    force: bool,
) -> None:
    """Every step's key frame of FILM on one sheet (PNG), each with its number, title and caption."""
    from spineviz.data.films import film

    film(film_name)
    path = check_out(out or Path(f"{film_name}-storyboard.png"), force, (".png",))
    from spineviz.procedures.case import load_case

    case = load_case(case_file, settings)
    from spineviz.film.opening import opened
    from spineviz.film.pictures import storyboard_sheet, write_png
    from spineviz.film.pieces import QUALITIES, sized

    with opened(film_name, case, sized(QUALITIES["hd"], aspect), theme) as scene:
        write_png(path, storyboard_sheet(scene))
    click.echo(str(path))
