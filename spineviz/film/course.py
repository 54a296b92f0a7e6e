"""Many films from one table: films times levels times renditions, for a whole course of lectures.

schema = 1
films = ["vertebroplasty", "kyphoplasty"]
levels = ["T12", "L1"]                # each gives a case of its own; by default that of the case
qualities = ["hd"]
aspects = ["16:9"]
formats = ["mp4"]
themes = ["dark"]
[case.needle]                         # any keys of a case, for all of them
gauge = 13
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spineviz.data.cache import write_whole
from spineviz.data.errors import RequestError
from spineviz.data.films import film_names
from spineviz.film.formats import FORMATS
from spineviz.film.pieces import ASPECTS, QUALITIES
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.procedures.case import checked_case, read_toml, shown
from spineviz.views.theme import theme_names

RESULTS = "results.csv"


def _some(default: Sequence[str]) -> Any:
    return Field(tuple(default), min_length=1)


class Course(BaseModel):
    """The table, checked; `read_course` raises what is wrong with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_: Annotated[Literal[1], Field(alias="schema")]
    films: tuple[str, ...] = Field(min_length=1)
    levels: tuple[str, ...] = ()
    qualities: tuple[str, ...] = _some(["hd"])
    aspects: tuple[str, ...] = _some(["16:9"])
    formats: tuple[str, ...] = _some(["mp4"])
    themes: tuple[str, ...] = _some(["dark"])
    case: dict[str, Any] = Field(default_factory=dict)

    def shows(self) -> Iterator[FilmShow]:
        """Every film of the course, in the order of the table."""
        from spineviz.data.films import film

        levels = self.levels or (checked_case(self.case).spine.level,)
        looks = [Rendition(*names) for names in product(self.qualities, self.aspects, self.formats, self.themes)]
        for name, level, rendition in product(self.films, levels, looks):
            case = checked_case(_with_level(self.case, level))
            yield FilmShow(name, case, rendition, tuple(range(len(film(name).steps))))


def read_course(path: Path) -> Course:
    """The course in the file `path`.

    Raises RequestError, naming key, value and what is accepted.
    """
    table = read_toml(path, "COURSE", "course")
    try:
        course = Course.model_validate(table)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in item["loc"])
        raise RequestError(f"COURSE: {key}: {_reason(item['type'], item['input'], key)}") from None
    accepted: Mapping[str, Sequence[str]] = {
        "films": film_names(), "qualities": tuple(QUALITIES), "aspects": ASPECTS, "formats": tuple(FORMATS),
        "themes": theme_names(),
    }  # fmt: skip
    for key, names in accepted.items():
        for value in getattr(course, key):
            if value not in names:
                raise RequestError(f"COURSE: {key}: {shown(value)} is not one of them; give {', '.join(names)}")
    for key in (*accepted, "levels"):
        values = getattr(course, key)
        if len(set(values)) < len(values):
            raise RequestError(f"COURSE: {key}: {', '.join(values)} names one twice; give each once")
    for level in course.levels or ("",):  # a key of the case that is wrong is found before any work
        checked_case(_with_level(course.case, level) if level else course.case)
    return course


def _with_level(table: Mapping[str, Any], level: str) -> dict[str, Any]:
    spine = table.get("spine", {})
    return {**table, "spine": {**(spine if isinstance(spine, dict) else {}), "level": level}}


def _reason(kind: str, value: Any, key: str) -> str:
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in Course.model_fields.items()]
        return f"unknown key; a course takes {', '.join(known)}"
    if kind == "missing":
        return "is missing; give " + ("1" if key == "schema" else f"some of {', '.join(film_names())}")
    if key == "schema":
        return f"{shown(value)} is not known; give 1"
    if kind == "too_short":
        return "is empty; give at least one"
    return f"{shown(value)} is not a list of words" if key != "case" else f"{shown(value)} is not a table"


@dataclass(frozen=True)
class Result:
    """A row of the table of results.

    Attributes:
        status: "done", "up to date", "refused" (the case cannot be shown) or "failed" (the machine).
        render_s: how long it took.
        message: why it was refused or failed.
    """

    film: str
    level: str
    quality: str
    aspect: str
    format: str
    theme: str
    status: str
    render_s: float
    file: str
    message: str = ""


def result_of(show: FilmShow, status: str, render_s: float, out: Path, message: str = "") -> Result:
    """The row of `show`."""
    look = show.rendition
    return Result(
        show.name, show.case.spine.level, look.quality, look.aspect, look.format, look.theme, status,
        round(render_s, 1), out.name, message,
    )  # fmt: skip


def write_results(folder: Path, results: Sequence[Result]) -> None:
    """The table of results as CSV in `folder`, whole; after each film, so that nothing is lost."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(Result)])
    writer.writerows([list(asdict(result).values()) for result in results])
    write_whole(folder / RESULTS, stream.getvalue().encode())


def course_exit(results: Sequence[Result]) -> int:
    """0 where all are there, 1 where the machine failed one, else 2 where one was refused."""
    states = {result.status for result in results}
    return 1 if "failed" in states else 2 if "refused" in states else 0
