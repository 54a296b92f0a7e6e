"""Names of pieces: they change with all that pixels depend on, and with nothing else."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from spineviz.data import narration as words_module
from spineviz.data.assets import asset
from spineviz.data.films import film, film_names
from spineviz.film import naming
from spineviz.film.naming import film_name, piece_name, words_of_piece
from spineviz.film.opening import SceneSource, opened, scene_source
from spineviz.film.pieces import QUALITIES, pieces
from spineviz.film.rendition import Rendition
from spineviz.procedures.case import Case

CASE = Case().canonical()


HD = Rendition()


def names(clock, rendition=HD, case=CASE, scene=None):
    scene = scene or scene_source(clock.name)
    return [piece_name(clock, scene, case, rendition, piece) for piece in pieces(clock)]


def test_every_piece_of_every_film_has_a_name_of_its_own():
    every = [name for film_key in film_names() for name in names(film(film_key))]
    assert len(set(every)) == len(every) > 200
    assert all(len(name) == 64 and int(name, 16) >= 0 for name in every)


@pytest.mark.parametrize(
    "change",
    [{"quality": "draft"}, {"aspect": "9:16"}, {"theme": "light"}, {"format": "webm"}],
)
def test_size_shape_theme_and_format_change_all_names(change):
    clock = film("vertebroplasty")
    assert not set(names(clock)) & set(names(clock, replace(HD, **change)))


def test_case_scene_and_engines_change_all_names(tmp_path, monkeypatch):
    clock = film("vertebroplasty")
    usual = set(names(clock))
    assert not usual & set(names(clock, case=Case().with_values(seed=8).canonical()))
    other = tmp_path / "vertebroplasty.py"
    other.write_text(scene_source("vertebroplasty").path.read_text("utf-8") + "\n")
    assert not usual & set(names(clock, scene=SceneSource(other, "Vertebroplasty")))
    naming.film_ground.cache_clear()
    there = dict(naming.fingerprint()) | {"libavcodec": "1.2.3"}
    monkeypatch.setattr(naming, "fingerprint", lambda: there)
    assert not usual & set(names(clock))
    naming.film_ground.cache_clear()


def reworded(monkeypatch, name, change):
    """The film's words with `change` made to their table, while the test lasts."""
    table = tomllib.loads(asset("narration", "en", f"{name}.toml").read_text("utf-8"))
    change(table)
    monkeypatch.setattr(words_module.tomllib, "loads", lambda _: table)
    read = words_module.read_narration(film(name), asset("narration", "en", f"{name}.toml"))
    monkeypatch.undo()
    monkeypatch.setattr(naming, "narration", lambda *_: read)
    return read


@pytest.mark.parametrize("name", film_names())
def test_a_caption_changes_the_names_of_those_pieces_alone_that_show_it(monkeypatch, name):
    clock, before = film(name), names(film(name))
    for step in clock.steps:
        captions = words_module.narration(clock)[step.name].captions
        for number, caption in enumerate(captions):
            with monkeypatch.context() as patch:

                def change(table, step=step, number=number):
                    table["step"][step.name]["caption"][number]["text"] = "Other words."

                reworded(patch, name, change)
                after = names(clock)
            shows = [
                piece.step == step.name
                and piece.start_s < step.start_s + caption.end_s
                and piece.end_s > step.start_s + caption.start_s
                for piece in pieces(clock)
            ]
            assert [one != two for one, two in zip(before, after, strict=True)] == shows
            assert 1 <= sum(shows) <= len(pieces(clock, [clock.steps.index(step)]))


@pytest.mark.parametrize("name", ["vertebroplasty", "comparison"])
def test_no_frame_shows_words_that_its_pieces_name_does_not_cover(name):
    """Of every piece at its beginning, its middle and its end: all words on screen are among those of its name."""
    with opened(name, Case(), QUALITIES["draft"]) as scene:
        clock = scene.clock
        for piece in pieces(clock):
            covered = str(words_of_piece(clock, "en", piece))
            times = piece.times_s(15)
            for time_s in (times[0], times[1], times[len(times) // 2], times[-1]):
                now = scene.instant(time_s)
                step, _ = clock.at(time_s)
                words = words_module.narration(clock)[step.name].caption_at(time_s - step.start_s)
                if words is not None and now.shot.caption:
                    assert repr(words.text)[1:-1] in covered
                for shot in (now.shot, now.previous):
                    if shot is None:
                        continue
                    told = {scene.fill(w.title, s): w.title for s, w in words_module.narration(clock).items()}
                    if shot.title in told:
                        assert repr(told[shot.title])[1:-1] in covered


def test_the_finished_film_is_told_apart_by_steps_words_and_sound():
    clock, scene = film("vertebroplasty"), scene_source("vertebroplasty")
    every = range(len(clock.steps))
    made = {
        film_name(clock, scene, CASE, Rendition(), every),
        film_name(clock, scene, CASE, Rendition(), [0]),
        film_name(clock, scene, CASE, Rendition(), every, "ab" * 32),
        film_name(clock, scene, CASE, Rendition(quality="draft"), every),
    }
    assert len(made) == 4


def test_what_draws_is_covered_and_the_command_line_is_not(tmp_path, monkeypatch):
    package = Path(naming.__file__).resolve().parent.parent
    found = naming._files(package, "spineviz")
    drawn = {inner for inner in found if not inner.startswith(naming._NOT_DRAWN)}
    assert {"spineviz/film/screen.py", "spineviz/views/stage.py", "spineviz/physics/cement.py"} <= drawn
    assert not any(inner.startswith("spineviz/cli/") for inner in drawn)
    assert not any(inner.startswith(("spineviz/scenes/", "spineviz/assets/")) for inner in drawn)
