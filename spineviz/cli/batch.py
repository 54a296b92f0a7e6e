"""spineviz batch: many films from one table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spineviz.cli.options import check_folder, cluster_option, force_option, hands_for, jobs_option
from spineviz.cli.progress import shown_progress
from spineviz.data.errors import FaultError, RequestError

if TYPE_CHECKING:
    from spineviz.film.course import Result
    from spineviz.film.render import Request


@click.command("batch")
@click.argument("course_file", metavar="COURSE", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="FOLDER", type=click.Path(path_type=Path), default=Path(), help="Where to write the films."
)
@jobs_option
@cluster_option
@force_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, but draw nothing.")
def command(course_file: Path, out: Path, jobs: int | None, cluster: str | None, force: bool, dry_run: bool) -> int:
    """Render every film of COURSE, a TOML file: films times levels times qualities.

    One that fails or is refused does not stop the others. What is there already is not made again, so a batch that was
    stopped goes on when it is asked for again. The results are told and written to results.csv beside the films.
    """
    from spineviz.cli.render import intended, named_out
    from spineviz.film.course import course_exit, read_course, write_results
    from spineviz.film.render import Request

    shows = list(read_course(course_file).shows())
    folder = check_folder(out)
    requests = [Request(show, folder / named_out(show), force) for show in shows]
    if dry_run:
        for request in requests:
            click.echo(intended(request, jobs))
        return 0
    results: list[Result] = []
    for request in requests:
        results.append(_made(request, jobs, cluster))
        write_results(folder, results)
    _tell(results)
    return course_exit(results)


def _made(request: Request, jobs: int | None, cluster: str | None) -> Result:
    from spineviz.film.course import result_of
    from spineviz.film.render import is_up_to_date, render_film
    from spineviz.film.shows import FilmShow

    show, started = request.show, time.monotonic()
    assert isinstance(show, FilmShow)
    try:
        if is_up_to_date(request):
            return result_of(show, "up to date", 0.0, request.out)
        with shown_progress(request) as progress:
            render_film(request, progress, hands_for(show, jobs, cluster))
    except RequestError as error:
        return result_of(show, "refused", time.monotonic() - started, request.out, str(error))
    except FaultError as error:
        return result_of(show, "failed", time.monotonic() - started, request.out, str(error))
    return result_of(show, "done", time.monotonic() - started, request.out)


def _tell(results: list[Result]) -> None:
    """The table on standard output."""
    rows = [("film", "level", "quality", "status", "seconds", "file")]
    rows += [(r.film, r.level, r.quality, r.status, f"{r.render_s:.0f}", r.file) for r in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for result in results:
        if result.message:
            click.echo(f"{result.file}: {result.message}", err=True)
