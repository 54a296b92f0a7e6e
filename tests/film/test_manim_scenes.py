"""Any manim scene by ranges of its plays: the very frames that manim itself makes, wherever a range begins."""

from __future__ import annotations

import importlib.util
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import wave
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from manim import config, tempconfig

from spineviz.data.errors import FaultError, RequestError
from spineviz.film import manim_pass
from spineviz.film.encode import decode
from spineviz.film.manim_scenes import (
    Play,
    SceneRun,
    frames_of_range,
    is_film_scene,
    parse_scene_file,
    ranges_of,
    survey,
)
from spineviz.film.opening import SceneSource
from spineviz.film.pieces import Quality

EXAMPLES = Path(__file__).with_name("examples.py")
SMALL = Quality("small", 192, 108, 15)


def scene(name: str) -> SceneSource:
    return SceneSource(EXAMPLES, name)


def frames_of_manim(name: str, folder: Path) -> list[np.ndarray]:
    """What manim itself writes, without loss."""
    settings = {
        "pixel_width": SMALL.width_px,
        "pixel_height": SMALL.height_px,
        "frame_rate": SMALL.frames_per_s,
        "media_dir": str(folder),
        "disable_caching": True,
        "progress_bar": "none",
        "verbosity": "ERROR",
        "seed": 0,
        "video_codec": "libx264rgb",
        "pixel_format": "rgb24",
        "video_encoder_options": {"crf": "0", "preset": "ultrafast"},
    }
    spec = importlib.util.spec_from_file_location("as_manim_runs_it", EXAMPLES)
    module = importlib.util.module_from_spec(spec)
    with tempconfig(settings):
        spec.loader.exec_module(module)
        getattr(module, name)().render()
    (film,) = (path for path in folder.rglob(f"{name}.mp4") if "partial" not in str(path))
    return decode(film)


@pytest.mark.filterwarnings("ignore:'mode' parameter")  # manim's use of Pillow for images
@pytest.mark.parametrize("name", ["Plays", "Counts", "Stepless", "Sections", "Solid", "Closer", "Zoomed"])
def test_every_range_alone_gives_the_very_frames_of_manim(tmp_path, name):
    expected = frames_of_manim(name, tmp_path / "reference")
    told = survey(scene(name), SMALL, tmp_path / "media")
    assert sum(play.frames for play in told.plays) == len(expected)
    ranges = ranges_of(told.plays, SMALL.frames_per_s, most_s=0.5)
    assert len(ranges) > 1
    for piece in reversed(ranges):
        drawn = list(frames_of_range(scene(name), SMALL, piece, tmp_path / "media"))
        assert len(drawn) == piece.frames
        assert {frame.shape for frame in drawn} == {(108, 192, 3)}
        np.testing.assert_array_equal(drawn, expected[piece.start_frame : piece.start_frame + piece.frames])


@pytest.mark.parametrize("name", ["Plays", "Stepless", "Solid", "Closer"])
def test_a_leap_through_a_play_ends_where_its_steps_end_to_the_last_bit(tmp_path, monkeypatch, name):
    monkeypatch.setattr(manim_pass, "_LOOK_STEP", 2.0**-60)
    leaps = []
    kept = manim_pass._is_stepless
    monkeypatch.setattr(manim_pass, "_is_stepless", lambda scene: leaps.append(kept(scene)) or leaps[-1])
    leapt = survey(scene(name), SMALL, tmp_path)
    assert any(leaps)
    monkeypatch.setattr(manim_pass, "_is_stepless", lambda scene: False)
    assert survey(scene(name), SMALL, tmp_path) == leapt


def test_one_run_gives_the_same_frames_whether_it_goes_on_leaps_or_begins_anew(tmp_path):
    told = survey(scene("Counts"), SMALL, tmp_path)
    ranges = ranges_of(told.plays, SMALL.frames_per_s, most_s=0.3)
    assert len(ranges) == 3
    alone = [list(frames_of_range(scene("Counts"), SMALL, piece, tmp_path)) for piece in ranges]
    with SceneRun(scene("Counts"), SMALL, tmp_path) as run:
        for index in (0, 1, 2, 0, 2, 1, 1):
            np.testing.assert_array_equal(list(run.frames(ranges[index])), alone[index])


def test_a_frame_that_stands_is_one_array(tmp_path):
    told = survey(scene("Plays"), SMALL, tmp_path)
    drawn = list(frames_of_range(scene("Plays"), SMALL, ranges_of(told.plays[1:2], 15)[0], tmp_path))
    assert len(drawn) == 7
    assert len({id(frame) for frame in drawn}) == 1


def test_no_more_than_a_few_frames_are_held(tmp_path):
    told = survey(scene("Stepless"), SMALL, tmp_path)
    seen, most = [], 0
    with SceneRun(scene("Stepless"), SMALL, tmp_path) as run:
        for piece in ranges_of(told.plays, 15):
            for frame in run.frames(piece):
                seen.append(weakref.ref(frame))
                most = max(most, sum(kept() is not None for kept in seen))
    assert len(seen) > 60
    assert most <= 2


def test_the_survey_counts_as_manim_does_and_draws_nothing(tmp_path, monkeypatch):
    from manim.camera.camera import Camera

    def drawn(*_, **__):
        raise AssertionError("drawn")

    monkeypatch.setattr(Camera, "capture_mobjects", drawn)
    told = survey(scene("Plays"), SMALL, tmp_path)
    assert [(play.number, play.run_time_s, play.start_frame, play.frames) for play in told.plays] == [
        (0, 1.0, 0, 15),
        (1, 0.5, 15, 7),
        (2, 0.7, 22, 11),
        (3, 0.4, 33, 6),
        (4, 0.3, 39, 5),
        (5, 0.4, 44, 6),
        (6, 0.3, 50, 4),  # manim cuts a wait that stands to whole frames
    ]
    assert survey(scene("Plays"), SMALL, tmp_path) == told


def test_the_range_is_all_that_is_run(tmp_path):
    told = survey(scene("Plays"), SMALL, tmp_path)
    first = ranges_of(told.plays[:1], 15)[0]
    assert len(list(frames_of_range(scene("Raises"), SMALL, replace_looks("Raises", first, tmp_path), tmp_path))) == 3
    frames = frames_of_range(scene("Plays"), SMALL, first, tmp_path)
    next(frames)
    assert runs_alive("Plays")
    frames.close()
    assert not runs_alive("Plays")


def runs_alive(name: str) -> list[threading.Thread]:
    """Threads in which the scene is still running."""
    return [thread for thread in threading.enumerate() if thread.name == str(scene(name))]


def test_an_interruption_ends_a_run_that_is_still_on_its_way(tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    frames = frames_of_range(scene("Slow"), SMALL, ranges_of([Play(1, 1.0, 15000, 15, "")], 15)[0], tmp_path)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(Interrupted):
            next(frames)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not runs_alive("Slow")
    assert time.monotonic() - started < 300  # the steps alone would take ten minutes


def replace_looks(name: str, piece, media: Path):
    """The range of the first play of `name`, of which nothing but its frames and its look is known."""
    from spineviz.film.manim_pass import Pass

    work = Pass(scene(name), SMALL, media)
    with pytest.raises(FaultError):
        work.run()
    return replace(piece, plays=(work.plays[0],))


def test_captions_chapters_and_skipped_sections(tmp_path):
    told = survey(scene("Sections"), SMALL, tmp_path)
    assert [play.frames for play in told.plays] == [9, 0, 6]
    assert [(round(a, 3), round(b, 3), text) for a, b, text in told.captions] == [
        (0.0, 0.4, "before"),
        (0.2, 0.8, "it comes"),
        (0.6, 1.0, "it goes"),
    ]
    assert told.chapters == ((0.0, "first"), (0.6, "last"))


def test_sounds_are_mixed_where_they_belong(tmp_path, monkeypatch):
    tone = (10000 * np.sin(np.arange(4410) / 5)).astype("<i2")
    with wave.open(str(tmp_path / "tone.wav"), "wb") as out:
        out.setparams((1, 2, 44100, 0, "NONE", ""))
        out.writeframes(tone.tobytes())
    monkeypatch.chdir(tmp_path)
    told = survey(scene("Sounds"), SMALL, tmp_path / "media")
    with wave.open(io.BytesIO(told.sound)) as mixed:
        rate, channels = mixed.getframerate(), mixed.getnchannels()
        heard = np.frombuffer(mixed.readframes(mixed.getnframes()), "<i2").reshape(-1, channels)[:, 0]
    loud = np.flatnonzero(np.abs(heard) > 100) / rate
    assert loud[0] == pytest.approx(0.6, abs=0.005)
    assert loud[-1] == pytest.approx(0.7, abs=0.005)
    assert tmp_path / "tone.wav" in told.files
    assert survey(scene("Plays"), SMALL, tmp_path / "media").sound == b""


@pytest.mark.parametrize(
    ("durations", "grouped"),
    [
        ((15, 15, 15, 15, 15), [[0, 1, 2, 3], [4]]),
        ((60, 1, 90, 1), [[0], [1], [2], [3]]),
        ((61, 30, 30), [[0], [1, 2]]),
        ((10, 0, 10), [[0], [2]]),
        ((0, 0), []),
    ],
)
def test_plays_are_grouped_up_to_four_seconds(durations, grouped):
    starts = np.cumsum((0, *durations))
    plays = [Play(i, n / 15, int(starts[i]), n, "") for i, n in enumerate(durations)]
    ranges = ranges_of(plays, 15)
    assert [[play.number for play in piece.plays] for piece in ranges] == grouped
    assert [piece.index for piece in ranges] == list(range(len(ranges)))


@pytest.mark.parametrize(
    ("name", "says"),
    [("Noise", "what is on screen after play 2 differs"), ("Clock", "play 2 has")],
)
def test_a_scene_that_is_not_the_same_each_time_is_refused(tmp_path, name, says):
    told = survey(scene(name), SMALL, tmp_path)
    whole = ranges_of(told.plays, 15, most_s=1000.0)[0]
    with pytest.raises(FaultError, match=f"examples.py:{name}: {says}.*seed its random numbers") as caught:
        list(frames_of_range(scene(name), SMALL, whole, tmp_path))
    assert "\n" not in str(caught.value)


def test_a_scene_that_ends_earlier_than_before_is_refused(tmp_path):
    told = survey(scene("Fewer"), SMALL, tmp_path)
    later = ranges_of([replace(told.plays[-1], number=2, start_frame=6)], 15)[0]
    with pytest.raises(FaultError, match="it ends before play 3"):
        list(frames_of_range(scene("Fewer"), SMALL, later, tmp_path))


def test_a_scene_that_fails_is_told_by_file_line_and_exception(tmp_path):
    line = next(n for n, text in enumerate(EXAMPLES.read_text().splitlines(), 1) if "1 // number" in text)
    with pytest.raises(FaultError) as caught:
        survey(scene("Raises"), SMALL, tmp_path)
    assert str(caught.value).endswith(f"examples.py:{line}: ZeroDivisionError: integer division or modulo by zero")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("from manim import *\nclass A(Scene)\n    pass\n", r"broken.py:2: SyntaxError: expected ':'"),
        ("import manim\n\nimport no_such_package\n", "broken.py:3: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n", "broken.py:1: SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_by_line(tmp_path, source, says):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(FaultError, match=says):
        parse_scene_file(f"{tmp_path}/broken.py:A")


def test_a_scene_file_is_parsed_and_what_is_wrong_is_said(tmp_path, monkeypatch):
    assert parse_scene_file("vertebroplasty") is None
    assert parse_scene_file(f"{EXAMPLES}:Plays") == SceneSource(EXAMPLES, "Plays")
    monkeypatch.chdir(EXAMPLES.parent)
    assert parse_scene_file("examples.py:Plays") == SceneSource(EXAMPLES, "Plays")
    (tmp_path / "near.py").write_text("from manim import Scene\nclass Plays(Scene): pass\n")
    (tmp_path / "other.py").write_text("from near import Plays\n")
    for text, says in {
        "no/such.py:Plays": "there is no file no/such.py",
        "examples.py": "give the scene's class too, examples.py:ClassName; the file has .*Plays.*Sections",
        "examples.py:Nobody": "no class Nobody; the file has .*Plays",
        "examples.py:NotAScene": "NotAScene is not a manim Scene; the file has .*Plays",
        "examples.py:np": "np is not a manim Scene",
        "examples.txt:Plays": "not a Python file",
        "films:Plays": "not a Python file",
        f"{tmp_path}/other.py:Plays": "Plays is not a manim Scene; the file has no Scene",
        "a" * 5000 + ".py:Plays": "not a path|no file",
    }.items():
        with pytest.raises(RequestError, match=says):
            parse_scene_file(text)


def test_a_scene_without_a_film_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"examples.py:Empty: shows nothing; a film needs a play\(\) or a wait\(\)"):
        survey(scene("Empty"), SMALL, tmp_path)
    (tmp_path / "gl.py").write_text("from manim import *\nconfig.renderer = 'opengl'\nclass A(Scene): pass\n")
    with pytest.raises(RequestError, match="asks for the OpenGL renderer"):
        survey(SceneSource(tmp_path / "gl.py", "A"), SMALL, tmp_path / "media")
    assert config.renderer.value == "cairo"


@pytest.mark.parametrize("seed", [None, 5])
def test_random_numbers_of_the_file_are_seeded_as_those_of_construct(tmp_path, seed):
    (tmp_path / "chance.py").write_text(
        "import random\nimport numpy as np\nfrom manim import *\n"
        + ("" if seed is None else f"config.seed = {seed}\n")
        + "a, b = random.random(), np.random.random()\n"
        "class A(Scene):\n    def construct(self):\n"
        "        c, d = random.random(), np.random.random()\n"
        "        self.add_subcaption(repr((a, b, c, d)))\n        self.wait(0.2)\n"
    )
    rng, numpy_rng = random.Random(0), np.random.RandomState(0)
    file = rng.random(), numpy_rng.random_sample()
    rng, numpy_rng = random.Random(seed or 0), np.random.RandomState(seed or 0)
    told = survey(SceneSource(tmp_path / "chance.py", "A"), SMALL, tmp_path / "media")
    assert eval(told.captions[0][2]) == (*file, rng.random(), numpy_rng.random_sample())


def test_the_size_asked_for_wins_over_the_files_own(tmp_path):
    (tmp_path / "own.py").write_text(
        "from manim import *\nconfig.pixel_width = 400\nconfig.frame_rate = 60\nconfig.background_color = BLUE\n"
        "class A(Scene):\n    def construct(self):\n        self.wait(0.4)\n"
    )
    own = SceneSource(tmp_path / "own.py", "A")
    told = survey(own, SMALL, tmp_path / "media")
    frames = list(frames_of_range(own, SMALL, ranges_of(told.plays, 15)[0], tmp_path / "media"))
    assert len(frames) == 6
    assert frames[0].shape == (108, 192, 3)
    assert frames[0][0, 0].tolist() == [0x58, 0xC4, 0xDD]  # manim's BLUE


def test_a_film_of_this_kind_is_told_from_other_scenes(tmp_path):
    (tmp_path / "my.py").write_text(
        "from spineviz.film.base import ProcedureScene\n"
        "class MyFilm(ProcedureScene):\n    film_name = 'vertebroplasty'\n"
    )
    assert is_film_scene(parse_scene_file(f"{tmp_path}/my.py:MyFilm"))
    assert not is_film_scene(scene("Plays"))


def test_modules_beside_the_scene_and_files_that_it_reads_count_among_its_sources(tmp_path):
    beside, folder = tmp_path / "beside", tmp_path / "data"
    beside.mkdir()
    folder.mkdir()
    (beside / "near.py").write_text("SHIFT = 1\nruns = []\n")
    (folder / "way.csv").write_text("1,2\n")
    (beside / "scene.py").write_text(
        "from manim import *\nfrom near import SHIFT, runs\n"
        "class A(Scene):\n    def construct(self):\n"
        f"        with open({str(folder / 'way.csv')!r}) as stream:\n            way = stream.read()\n"
        "        runs.append(way)\n        print('a word')\n        self.wait(0.2 * len(runs))\n"
    )
    a = SceneSource(beside / "scene.py", "A")
    told = survey(a, SMALL, tmp_path / "media")
    assert set(told.files) == {beside / "near.py", beside / "scene.py", folder / "way.csv"}
    assert "near" not in sys.modules
    assert survey(a, SMALL, tmp_path / "media") == told


def test_nothing_is_written_but_in_the_folder_for_it(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "scene.py").write_text(EXAMPLES.read_text().replace("import random", "import near\nimport random", 1))
    (work / "near.py").write_text("SHIFT = 1\n")
    (work / "manim.cfg").write_text(
        "[CLI]\nmedia_dir = ./m\ntext_dir = ./t\ntex_dir = ./x\nlog_to_file = True\nformat = mp4\n"
        "verbosity = DEBUG\nprogress_bar = leave\nupto_animation_number = 1\n"
    )
    script = (
        "import sys; from pathlib import Path\n"
        "from spineviz.film.manim_scenes import *\n"
        "from spineviz.film.pieces import Quality\n"
        "q, media = Quality('small', 192, 108, 15), Path(sys.argv[1])\n"
        "found = parse_scene_file('scene.py:Plays')\n"
        "told = survey(found, q, media)\n"
        "print(sum(1 for piece in ranges_of(told.plays, 15) for _ in frames_of_range(found, q, piece, media)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "media")],
        cwd=work, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "54\n"
    assert done.stderr == ""
    assert {path.name for path in work.iterdir()} == {"scene.py", "near.py", "manim.cfg"}
    assert list((tmp_path / "media").iterdir())


def test_what_a_scene_prints_is_told_once_and_never_as_a_result(tmp_path, capsys):
    (tmp_path / "loud.py").write_text(
        "from manim import *\n"
        "class A(Scene):\n    def construct(self):\n        print('a word')\n        self.wait(0.2)\n"
    )
    loud = SceneSource(tmp_path / "loud.py", "A")
    told = survey(loud, SMALL, tmp_path / "media")
    assert capsys.readouterr() == ("", "a word\n")
    frames = frames_of_range(loud, SMALL, ranges_of(told.plays, 15)[0], tmp_path / "media")
    next(frames)
    print("a result")
    frames.close()
    assert capsys.readouterr() == ("a result\n", "")


def test_manims_settings_and_the_imports_are_as_they_were(tmp_path):
    before, places, modules = config.copy(), list(sys.path), set(sys.modules)
    told = survey(scene("Plays"), SMALL, tmp_path)
    list(frames_of_range(scene("Plays"), SMALL, ranges_of(told.plays, 15)[0], tmp_path))
    assert dict(config) == dict(before)
    assert sys.path == places
    assert not [name for name in set(sys.modules) - modules if "scene_examples" in name]
