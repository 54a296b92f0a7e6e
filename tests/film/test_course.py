"""A course: what its table may say, which films it makes, and how they end."""

import csv
import itertools

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from spineviz.cli import batch as command_module
from spineviz.cli import exit_code_of
from spineviz.cli.batch import command
from spineviz.data.errors import FaultError, RequestError
from spineviz.data.films import film, film_names
from spineviz.film import render
from spineviz.film.course import RESULTS, Course, read_course
from spineviz.film.pieces import QUALITIES


def course(tmp_path, text):
    path = tmp_path / "course.toml"
    path.write_text(text)
    return path


@given(
    films=st.lists(st.sampled_from(film_names()), min_size=1, unique=True),
    levels=st.lists(st.sampled_from(["T12", "L1", "L3"]), unique=True),
    qualities=st.lists(st.sampled_from(sorted(QUALITIES)), min_size=1, unique=True),
)
def test_it_makes_every_film_of_every_level_in_every_quality_once(films, levels, qualities):
    made = list(Course.model_validate({"schema": 1, "films": films, "levels": levels, "qualities": qualities}).shows())
    wanted = list(itertools.product(films, levels or ["L1"], qualities))
    assert [(show.name, show.case.spine.level, show.rendition.quality) for show in made] == wanted
    assert len({show.digest for show in made}) == len(made)
    assert all(len(show.steps) == len(film(show.name).steps) for show in made)


def test_its_case_goes_for_all(tmp_path):
    text = 'schema = 1\nfilms = ["vertebroplasty"]\nlevels = ["T12", "L2"]\n[case.needle]\ngauge = 13\n'
    shows = list(read_course(course(tmp_path, text)).shows())
    assert [(show.case.spine.level, show.case.needle.gauge) for show in shows] == [("T12", 13), ("L2", 13)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "COURSE: schema: is missing; give 1"),
        ("schema = 1", "COURSE: films: is missing; give some of overview"),
        ("schema = 2\nfilms = ['overview']", "COURSE: schema: 2 is not known; give 1"),
        ("schema = 1\nfilms = []", "COURSE: films: is empty"),
        ("schema = 1\nfilms = ['scoliosis']", 'COURSE: films: "scoliosis" is not one of them; give overview'),
        ("schema = 1\nfilms = ['overview', 'overview']", "names one twice"),
        ("schema = 1\nfilms = 'overview'", 'COURSE: films: "overview" is not a list of words'),
        ("schema = 1\nfilms = ['overview']\nqualities = ['8k']", 'COURSE: qualities: "8k" is not one of them'),
        ("schema = 1\nfilms = ['overview']\nlevels = ['L9']", 'spine.level: "L9"'),
        ("schema = 1\nfilms = ['overview']\n[case.needle]\ngauge = 1", "needle.gauge: 1"),
        ("schema = 1\nfilms = ['overview']\nfilm = 1", "unknown key; a course takes schema, films, levels"),
        ("schema = ", "COURSE: course.toml is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_accepted(tmp_path, text, told):
    with pytest.raises(RequestError) as refused:
        read_course(course(tmp_path, text))
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 2


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(RequestError, match=r"COURSE: there is no file /"):
        read_course(tmp_path / "none.toml")


TABLE = 'schema = 1\nfilms = ["vertebroplasty", "kyphoplasty", "overview"]\nqualities = ["draft"]\n'


def run(*arguments):
    out = []
    code = exit_code_of(
        lambda: out.append(command.main(list(arguments), prog_name="batch", standalone_mode=False)) or out[-1]
    )
    return code


@pytest.fixture
def drawing(monkeypatch):
    """Films are not drawn; those in `ends` fail as it says. What was asked for is noted."""
    asked, ends = [], {}

    def render_film(request, progress, hands):
        asked.append(request.show.name)
        if request.show.name in ends:
            raise ends[request.show.name]

    monkeypatch.setattr(render, "render_film", render_film)
    monkeypatch.setattr(command_module, "hands_for", lambda *_: None)
    return asked, ends


def results(folder):
    with (folder / RESULTS).open(newline="") as stream:
        return {row["film"]: row for row in csv.DictReader(stream)}


def test_one_that_fails_or_is_refused_does_not_stop_the_others(tmp_path, drawing, capsys):
    asked, ends = drawing
    ends |= {"vertebroplasty": FaultError("the disk broke"), "kyphoplasty": RequestError("needle.gauge: too wide")}
    assert run(str(course(tmp_path, TABLE)), "--out", str(tmp_path)) == 1
    assert asked == ["vertebroplasty", "kyphoplasty", "overview"]
    rows = results(tmp_path)
    assert {name: row["status"] for name, row in rows.items()} == {
        "vertebroplasty": "failed", "kyphoplasty": "refused", "overview": "done",
    }  # fmt: skip
    assert rows["kyphoplasty"]["message"] == "needle.gauge: too wide"
    assert rows["overview"]["file"] == "overview-draft.mp4"
    told = capsys.readouterr()
    assert [line.split()[3] for line in told.out.splitlines()[1:]] == ["failed", "refused", "done"]
    assert "the disk broke" in told.err


@pytest.mark.parametrize(("ends", "code"), [({}, 0), ({"overview": RequestError("no")}, 2)])
def test_the_exit_code_tells(tmp_path, drawing, ends, code):
    drawing[1].update(ends)
    assert run(str(course(tmp_path, TABLE)), "--out", str(tmp_path)) == code


def test_what_is_there_is_not_made_again(tmp_path, drawing, monkeypatch):
    monkeypatch.setattr(render, "is_up_to_date", lambda request: request.show.name == "overview")
    assert run(str(course(tmp_path, TABLE)), "--out", str(tmp_path)) == 0
    assert drawing[0] == ["vertebroplasty", "kyphoplasty"]
    assert results(tmp_path)["overview"]["status"] == "up to date"


def test_a_folder_that_is_not_there_is_refused_before_any_work(tmp_path, drawing):
    assert run(str(course(tmp_path, TABLE)), "--out", str(tmp_path / "none")) == 2
    assert drawing[0] == []


def test_help_tells_what_it_takes():
    text = CliRunner().invoke(command, ["--help"]).output
    for words in ("COURSE", "--jobs", "--cluster", "--out", "--force", "--dry-run", "results.csv"):
        assert words in text
