"""A finished film: whole, described, found up to date; and what is refused."""

import errno
import json
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from spineviz.data.errors import FaultError, RequestError
from spineviz.film import render
from spineviz.film.encode import decode, read_metadata
from spineviz.film.pieces import QUALITIES
from spineviz.film.render import Request, check_room, default_out, is_up_to_date, render_film
from spineviz.film.workers import SceneSource
from spineviz.procedures.case import Case

SOURCE = SceneSource(Path(__file__).with_name("standin.py"), "Flat")


class Told:
    """Remembers what it is told."""

    def __init__(self):
        self.stages, self.count = [], 0

    def stage(self, words):
        self.stages.append(words)

    def frames(self, count):
        self.count += count


def request(out, **changes):
    return replace(Request("vertebroplasty", Case(), QUALITIES["draft"], (0,), out, False, SOURCE), **changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    asked = request(tmp_path_factory.mktemp("finished") / "film.mp4")
    told = Told()
    render_film(asked, told, 1)
    return asked, told


def test_a_film_is_whole_and_nothing_else_is_left(finished):
    asked, told = finished
    assert sorted(path.name for path in asked.out.parent.iterdir()) == ["film.json", "film.mp4"]
    assert len(decode(asked.out)) == asked.frames == told.count == 150
    assert told.stages == ["planning", "drawing", "joining"]


def test_film_and_sidecar_say_what_they_are(finished):
    asked, _ = finished
    beside = json.loads(asked.sidecar.read_text("utf-8"))
    tags = read_metadata(asked.out)
    assert json.loads(tags["comment"]) == beside
    assert tags["title"].startswith("Vertebroplasty")
    assert beside["case"] == Case().table()
    assert beside["digest"] == asked.digest()
    assert beside["steps"] == ["title"]
    assert {"spineviz", "manim", "numpy", "vtk", "av"} <= set(beside["versions"])
    assert len(beside["sources"]) > 10
    assert all(isinstance(source, str) and source for source in beside["sources"])


def test_the_same_request_is_up_to_date_and_any_other_is_refused(finished):
    asked, _ = finished
    assert is_up_to_date(asked)
    for other in (
        replace(asked, steps=(0, 1)),
        replace(asked, case=Case().with_values(spine__level="T12")),
        replace(asked, quality=QUALITIES["hd"]),
    ):
        with pytest.raises(RequestError, match=r"--out .*: exists already and is another film"):
            is_up_to_date(other)
        assert not is_up_to_date(replace(other, force=True))


def test_what_is_in_the_way_is_refused(tmp_path):
    asked = request(tmp_path / "film.mp4")
    assert not is_up_to_date(asked)
    asked.sidecar.write_text('{"patients": 3}')
    with pytest.raises(RequestError, match=r"film\.json beside it is in the way"):
        is_up_to_date(asked)
    asked.out.write_text("my notes")
    with pytest.raises(RequestError, match="exists already"):
        is_up_to_date(asked)


def test_a_full_disk_is_told_before_anything_is_drawn(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(render.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(FaultError, match="0 MB are free there; this film may need"):
        check_room(request(tmp_path / "film.mp4"))


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, FaultError), (errno.EACCES, RequestError), (errno.EROFS, RequestError)]
)
def test_a_folder_that_takes_nothing(tmp_path, monkeypatch, number, kind):
    def refuse(**_):
        raise OSError(number, "told by the system")

    monkeypatch.setattr(render.tempfile, "mkdtemp", refuse)
    with pytest.raises(kind, match="told by the system"):
        render_film(request(tmp_path / "film.mp4"), Told(), 1)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_drawing_is_a_fault_and_leaves_nothing(tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(render, "draw_pieces", fill)
    with pytest.raises(FaultError, match="No space left"):
        render_film(request(tmp_path / "film.mp4"), Told(), 1)
    assert list(tmp_path.iterdir()) == []


def test_the_usual_name_has_the_level_when_it_is_not_the_usual_one():
    assert default_out("vertebroplasty", "hd", "L1") == "vertebroplasty-hd.mp4"
    assert default_out("vertebroplasty", "draft", "T12") == "vertebroplasty-T12-draft.mp4"
