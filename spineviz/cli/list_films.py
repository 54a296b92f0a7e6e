"""spineviz list: the films that there are."""

from __future__ import annotations

import json
from typing import Any

import click

from spineviz.cli.options import json_option


def entry(film_name: str) -> dict[str, Any]:
    """One film as plain values: name, title, seconds, steps (name, start_s, end_s), views."""
    from spineviz.data.films import film

    clock = film(film_name)
    return {
        "name": clock.name,
        "title": clock.name.replace("-", " ").capitalize(),
        "seconds": clock.seconds,
        "steps": [{"name": step.name, "start_s": step.start_s, "end_s": step.end_s} for step in clock.steps],
        "views": list(clock.views),
    }


@click.command("list")
@json_option
def command(as_json: bool) -> None:
    """The films: name, title, seconds, steps, views."""
    from spineviz.data.films import film_names

    films = [entry(name) for name in film_names()]
    if as_json:
        click.echo(json.dumps(films, indent=2))
        return
    for found in films:
        minutes, seconds = divmod(round(found["seconds"]), 60)
        click.echo(f"{found['name']}   {found['title']}, {minutes}:{seconds:02d}, views: {', '.join(found['views'])}")
        for number, step in enumerate(found["steps"], 1):
            click.echo(f"  {number:>2}  {step['name']:<12}{step['start_s']:>7.1f} to {step['end_s']:>5.1f} s")
