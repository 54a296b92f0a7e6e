"""A frame is a function of time; layouts ease into each other; labels stay in their places."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from spineviz.film.base import quiet_manim
from spineviz.film.opening import load_scene
from spineviz.film.pieces import QUALITIES
from spineviz.film.screen import cover, frozen, panels_of, shot_key
from spineviz.film.shot import TRANSITION_S, appear, smooth
from spineviz.film.workers import SceneSource
from spineviz.views.layout import BAR_TOP

Standin = load_scene(SceneSource(Path(__file__).with_name("standin.py"), "Standin"))


@pytest.fixture(scope="module")
def scene():
    with quiet_manim(QUALITIES["draft"]):
        yield Standin()


@pytest.fixture
def fresh():
    with quiet_manim(QUALITIES["draft"]):
        yield Standin()


def test_a_frame_has_the_size_asked_for(scene):
    assert scene.frame_at(0.0).shape == (480, 854, 3)


def test_frames_do_not_depend_on_the_order_of_drawing(scene, fresh):
    times = (0.3, 0.6, 1.8, 2.1, 4.3)
    forward = {time: scene.frame_at(time) for time in times}
    for time in reversed(times):
        assert np.array_equal(fresh.frame_at(time), forward[time]), time


def test_equal_fingerprints_mean_equal_frames_and_stillness_is_seen(scene):
    still = (3.4, 3.9, 4.2)
    assert len({scene.fingerprint(time) for time in still}) == 1
    assert all(np.array_equal(scene.frame_at(3.4), scene.frame_at(time)) for time in still)
    assert scene.fingerprint(0.6) != scene.fingerprint(0.8)
    assert not np.array_equal(scene.frame_at(0.6), scene.frame_at(0.8))


def test_fingerprints_tell_the_moments_of_a_change_apart(scene):
    times = [2.42 + i / 30 for i in range(4)]  # the step's own fading is over, the change of layout is not
    assert all(scene.instant(time).share < 1 for time in times)
    assert len({scene.fingerprint(time) for time in times}) == 4


def test_what_does_not_change_is_not_drawn_again(fresh):
    fresh.frame_at(3.4)
    drawn = len(fresh._painter.drawn)
    fresh.frame_at(3.9)
    assert len(fresh._painter.drawn) == drawn


def test_a_change_of_layout_is_eased_without_a_jump(scene):
    step = 1 / 30
    # the first moments after the change still look like the last before it, but for what has faded
    before, after = scene.frame_at(2.0 - step), scene.frame_at(2.0 + 1e-3)
    column = slice(round(0.75 * 854), 854)
    top = slice(0, round(BAR_TOP * 480 / 1080))
    assert np.abs(before[top, column].astype(int) - after[top, column]).mean() < 4.0
    assert scene.instant(2.0).previous is not None
    assert scene.instant(2.0 + TRANSITION_S + 0.05).previous is None
    shares = [scene.instant(2.0 + k * step).share for k in range(20)]
    assert shares == sorted(shares)
    assert shares[0] < 0.02
    assert shares[-1] == 1.0


def test_a_change_of_focus_is_found_whatever_the_rate(scene):
    for rate in (15, 30, 24):
        times = [i / rate for i in range(int(2 * rate))]
        changing = [time for time in times if scene.instant(time).previous is not None]
        assert min(changing) == pytest.approx(0.4, abs=1 / rate + 1e-6)
        assert max(changing) < 0.4 + TRANSITION_S + 0.04


def test_labels_keep_their_places_while_they_fade_in(scene):
    places = {}
    for time in (0.45, 0.7, 1.0, 1.9):
        shot = scene.shot_at(time)
        for label, place, _ in scene.screen.labels_of(shot, time):
            places.setdefault(label.text, set()).add(place)
    assert set(places) == {"cement", "disc"}
    assert all(len(found) == 1 for found in places.values())


def test_settled_panels_do_not_meet(scene):
    for time in (0.1, 1.0, 3.0):
        panels = panels_of(scene.shot_at(time))
        for one, two in combinations(panels.values(), 2):
            assert not one.rect.meets(two.rect)


def test_only_layout_views_focus_and_card_ask_for_easing(scene):
    shot = scene.shot_at(0.2)
    assert shot_key(shot) == shot_key(replace(shot, title="other", caption="other", gauges=()))
    assert shot_key(shot) != shot_key(replace(shot, focus="section"))


def test_the_caption_s_words_reach_the_screen(scene):
    frame = scene.frame_at(1.9)
    bar = frame[round(BAR_TOP * 480 / 1080) + 20 :, :400].astype(int)
    assert (bar.min(2) > 180).sum() > 300
    bare = replace(scene.shot_at(1.9), caption="")
    layers = scene.screen.layers(replace(scene.instant(1.9), shot=bare))
    assert len(layers) == len(scene.screen.layers(scene.instant(1.9))) - 1


def test_a_picture_covers_its_panel():
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    assert cover(picture, (160, 90)) is picture
    assert np.array_equal(cover(picture, (100, 90)), picture[:, 30:130])
    for size in ((50, 90), (320, 90), (33, 77)):
        assert cover(picture, size).shape == (size[1], size[0], 3)


def test_frozen_is_equal_where_the_contents_are():
    one, two = np.arange(6.0), np.arange(6.0)
    assert frozen({"b": one, "a": [1, (2, two)]}) == frozen({"a": [1, (2, one)], "b": two})
    assert frozen(one) != frozen(one.reshape(2, 3))
    assert hash(frozen({"a": one})) == hash(frozen({"a": two}))


def test_appearing():
    assert appear(1.0, 1.0) == 0.0
    assert appear(1.4, 1.0) == 1.0
    assert appear(1.2, 1.0) == pytest.approx(0.5)
    assert appear(3.0, 1.0, until_s=3.0) == 0.0
    assert [smooth(x) for x in (-1, 0, 0.5, 1, 2)] == [0, 0, 0.5, 1, 1]
