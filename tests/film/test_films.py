"""Every step of every film: labels, signs, captions and panels as they come on screen, without drawing."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from spineviz.data.films import film, film_names
from spineviz.data.narration import caption_faults, narration
from spineviz.film.base import quiet_manim
from spineviz.film.opening import load_scene, scene_source
from spineviz.film.pieces import QUALITIES
from spineviz.film.screen import column_gauges, label_area, panels_of
from spineviz.views.gauges import fits_one_line, fits_tile
from spineviz.views.labels import line_meets, lines_cross
from spineviz.views.layout import WIDTH, Rect, caption_place, gauge_places
from spineviz.views.text import CAPTION, COLUMN_TITLE, LABEL, NOTE, SUBTITLE, TITLE, text_size, wrap

EVERY_S = 0.4
STEPS = [(name, step.name) for name in film_names() for step in film(name).steps]


@pytest.fixture(scope="module")
def scenes():
    from spineviz.procedures.case import Case

    with quiet_manim(QUALITIES["draft"]):
        yield {name: load_scene(scene_source(name))(case=Case()) for name in film_names()}


def moments(clock, step):
    found = clock.step(step)
    count = round(found.seconds / EVERY_S)
    return [found.start_s + EVERY_S * i for i in range(count)] + [found.end_s - 0.05]


@pytest.fixture(scope="module")
def told(scenes):
    """film, step -> (time, shot, its labels as drawn) throughout the step, found once for all tests."""

    @cache
    def find(name, step):
        scene = scenes[name]
        shots = [(time, scene.shot_at(time)) for time in moments(scene.clock, step)]
        return [(time, shot, scene.screen.labels_of(shot, time)) for time, shot in shots]

    return find


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_labels_never_overlap_cross_or_leave_the_stage(told, name, step):
    for time, shot, drawn in told(name, step):
        for label, place, at in drawn:
            area, *keep = label_area(shot, label.view)
            assert area.holds(place.box), time
            assert not any(place.box.meets(rect) or line_meets(place.port, at, rect) for rect in keep), time
        for (_, one, at_one), (_, two, at_two) in combinations(drawn, 2):
            assert not one.box.meets(two.box), time
            assert not lines_cross(one.port, at_one, two.port, at_two), time
            assert not line_meets(one.port, at_one, two.box), time


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_labels_do_not_jump(told, name, step):
    """Within one layout a label that has appeared keeps its place until it goes."""
    before = {}
    for time, shot, drawn in told(name, step):
        now = {(label.view, label.text): place.box for label, place, _ in drawn}
        key = (shot.layout, shot.focus)
        for text, box in now.items():
            if (key, text) in before:
                assert abs(before[key, text].x - box.x) + abs(before[key, text].y - box.y) < 30, (time, text)
        before = {(key, text): box for text, box in now.items()}


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_no_label_is_left_out_of_a_key_frame(scenes, name, step):
    scene = scenes[name]
    found = scene.clock.step(step)
    time = found.start_s + found.key_s
    shot = scene.shot_at(time)
    wanted = {(label.view, label.text) for label in shot.labels if label.shown > 0}
    assert {(label.view, label.text) for label, _, _ in scene.screen.labels_of(shot, time)} == wanted


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_words_fit_the_screen_at_every_moment(scenes, told, name, step):
    scene = scenes[name]
    for time, shot, _ in told(name, step):
        panels = panels_of(shot)
        room = gauge_places(len(shot.gauges))[0].x if shot.gauges else WIDTH
        for line in wrap(shot.caption):
            assert caption_place()[0] + text_size(line, CAPTION)[0] < room - 20, (time, line)
        if shot.title and shot.layout != "card":
            words = Rect(40, 30, max(text_size(shot.title, TITLE)[0], text_size(shot.seen_from, SUBTITLE)[0]), 80)
            assert not any(panel.framed and panel.rect.meets(words, 8) for panel in panels.values()), time
        for gauge, place in zip(shot.gauges, gauge_places(len(shot.gauges)), strict=True):
            reading = scene.reading(gauge, time)
            assert reading is None or fits_one_line(reading, place), (time, gauge)
        for column, gauge, place in column_gauges(shot):
            reading = scene.reading(gauge, time, column.moment, column.plan)
            assert reading is None or fits_tile(reading, place), (time, column.name, gauge)
        for column in shot.columns:
            (frame,) = [p for name, p in panels.items() if p.framed and name.startswith(f"{column.name}:")]
            words = text_size(column.title, COLUMN_TITLE)[0] + text_size(column.header, NOTE)[0]
            assert words + 60 < frame.rect.w, (time, column.name)
            assert text_size(column.note, LABEL)[0] + 56 < frame.picture.w, (time, column.name)


@pytest.mark.parametrize("name", film_names())
def test_captions_can_be_read_in_their_time(scenes, name):
    scene = scenes[name]
    faults = []
    for step in scene.clock.steps:
        for caption in narration(scene.clock)[step.name].captions:
            text = "\n".join(wrap(scene.fill(caption.text, step.name)))
            faults += caption_faults(caption, text, step.name)
    assert faults == []


@pytest.mark.parametrize("name", film_names())
def test_a_shot_is_a_pure_function_of_time(scenes, name):
    scene = scenes[name]
    times = np.linspace(0, scene.clock.seconds, 23)
    first = [scene.screen.fingerprint(scene.instant(float(time))) for time in times]
    scene._shots.clear()
    again = [scene.screen.fingerprint(scene.instant(float(time))) for time in times[::-1]][::-1]
    assert first == again
