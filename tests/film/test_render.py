"""A finished film: whole, described, found up to date; and what is refused."""

import errno
import json
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import av
import pytest

from spineviz.data.errors import FaultError, RequestError
from spineviz.film import render
from spineviz.film.encode import read_metadata
from spineviz.film.opening import SceneSource
from spineviz.film.render import Request, check_room, is_up_to_date, local_hands, missing, render_film
from spineviz.film.rendition import Rendition
from spineviz.film.shows import FilmShow
from spineviz.film.store import piece_store
from spineviz.procedures.case import Case

SOURCE = SceneSource(Path(__file__).with_name("standin.py"), "Flat")
DRAFT = Rendition(quality="draft")


class Told:
    """Remembers what it is told."""

    def __init__(self):
        self.stages, self.count, self.there = [], 0, 0

    def stage(self, words):
        self.stages.append(words)

    def kept(self, count):
        self.there += count

    def frames(self, count):
        self.count += count


def request(out, force=False, **changes):
    show = replace(FilmShow("vertebroplasty", Case(), DRAFT, (0,), SOURCE), **changes)
    return Request(show, out, force)


def rendered(asked, count=1):
    told = Told()
    render_film(asked, told, local_hands(count))
    return told


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    asked = request(tmp_path_factory.mktemp("finished") / "film.mp4")
    return asked, rendered(asked)


def test_a_film_is_whole_and_nothing_else_is_left(finished):
    asked, told = finished
    assert sorted(path.name for path in asked.out.parent.iterdir()) == ["film.json", "film.mp4"]
    with av.open(str(asked.out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == asked.frames == told.count == 150
    assert told.stages == ["planning", "drawing", "joining"]


def test_film_and_sidecar_say_what_they_are(finished):
    asked, _ = finished
    beside = json.loads(asked.sidecar.read_text("utf-8"))
    tags = read_metadata(asked.out)
    assert json.loads(tags["comment"]) == beside
    assert tags["title"].startswith("Vertebroplasty")
    assert beside["case"] == Case().table()
    assert beside["digest"] == asked.show.digest
    assert beside["steps"] == ["title"]
    assert {"spineviz", "manim", "numpy", "vtk", "av"} <= set(beside["versions"])
    assert len(beside["sources"]) > 10
    assert all(isinstance(source, str) and source for source in beside["sources"])


def test_the_same_request_is_up_to_date_and_any_other_is_refused(finished):
    asked, _ = finished
    assert is_up_to_date(asked)
    for other in (
        {"steps": (0, 1)},
        {"case": Case().with_values(spine__level="T12")},
        {"rendition": Rendition()},
        {"rendition": replace(DRAFT, theme="light")},
    ):
        with pytest.raises(RequestError, match=r"--out .*: exists already and is another film"):
            is_up_to_date(request(asked.out, **other))
        assert not is_up_to_date(request(asked.out, force=True, **other))


def test_a_second_run_draws_nothing_and_gives_the_same_bytes(finished):
    asked, _ = finished
    again = request(asked.out.with_name("again.mp4"))
    told = rendered(again)
    assert (told.count, told.there) == (0, 150)
    assert told.stages == ["joining"]
    assert again.out.read_bytes() == asked.out.read_bytes()
    for path in (again.out, again.sidecar):
        path.unlink()


@pytest.mark.parametrize("spoil", ["cut", "flip", "foreign"])
def test_a_damaged_piece_is_drawn_anew_and_the_film_is_the_same(finished, spoil):
    asked, _ = finished
    found, left = missing(asked, piece_store())
    assert left == []
    piece = found[asked.show.tasks[1].name]
    data = piece.path.read_bytes()
    spoilt = {"cut": data[: len(data) // 2], "flip": data[:-9] + b"x" + data[-8:], "foreign": b"my notes"}[spoil]
    assert spoilt != data
    piece.path.write_bytes(spoilt)
    again = request(asked.out.with_name("again.mp4"))
    told = rendered(again)
    assert told.count == piece.count
    assert told.there == asked.frames - piece.count
    assert again.out.read_bytes() == asked.out.read_bytes()
    assert piece.path.read_bytes() == data
    for path in (again.out, again.sidecar):
        path.unlink()


def test_what_killed_runs_left_beside_the_film_is_cleared_away(finished):
    asked, _ = finished
    again = request(asked.out.with_name("again.mp4"))
    left = asked.out.with_name(f"{render.part_begin(again.out)}{2**22 + 1}-abc{render.PART}")
    left.mkdir()
    (left / "again.mp4").write_bytes(b"half")
    rendered(again)
    assert not left.exists()
    for path in (again.out, again.sidecar):
        path.unlink()


def test_two_renders_of_one_file_at_once_are_refused(tmp_path):
    asked = request(tmp_path / "film.mp4")
    with (
        render._alone(asked.out),
        pytest.raises(FaultError, match=r"another spineviz render is writing it; wait until that is done"),
    ):
        rendered(asked)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_cache_is_told_and_nothing_is_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(FaultError, match="set SPINEVIZ_CACHE to a folder that can"):
        rendered(request(tmp_path / "out" / "film.mp4"))
    assert list((tmp_path / "out").iterdir()) == []


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
        check_room(request(tmp_path / "film.mp4"), [])


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, FaultError), (errno.EACCES, RequestError), (errno.EROFS, RequestError)]
)
def test_a_folder_that_takes_nothing(tmp_path, monkeypatch, number, kind):
    def refuse(**_):
        raise OSError(number, "told by the system")

    monkeypatch.setattr(render.tempfile, "mkdtemp", refuse)
    with pytest.raises(kind, match="told by the system"):
        rendered(request(tmp_path / "film.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_drawing_is_a_fault_and_leaves_nothing(tmp_path):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(FaultError, match="No space left on device; make room and try again: finished pieces are kept"):
        render_film(request(tmp_path / "film.mp4", case=Case().with_values(seed=99)), Told(), fill)
    assert list(tmp_path.iterdir()) == []
