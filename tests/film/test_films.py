"""Every step of every film: labels, signs, captions and panels as they come on screen, without drawing."""

import math
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from spineviz.data.films import film, film_names
from spineviz.data.narration import caption_faults, narration
from spineviz.film.base import quiet_manim
from spineviz.film.opening import load_scene, scene_source
from spineviz.film.pieces import ASPECTS, QUALITIES, sized
from spineviz.film.screen import _header, column_gauges, label_area, note_lines, panels_of, tag_place, views_of
from spineviz.views.cards import draw_card
from spineviz.views.gauges import fits_one_line, fits_tile, is_tile
from spineviz.views.labels import line_meets, lines_cross
from spineviz.views.layout import Rect
from spineviz.views.text import CAPTION, COLUMN_TITLE, HEADER, LABEL, NOTE, SUBTITLE, TITLE, text_size, wrap

EVERY_S = {"16:9": 0.4, "9:16": 8.0, "1:1": 8.0}
"""How finely each aspect is looked at, besides the key frames: what moves, moves alike in all."""

STEPS = [(aspect, name, step.name) for aspect in ASPECTS for name in film_names() for step in film(name).steps]


@pytest.fixture(scope="module")
def scenes():
    """aspect, film -> its scene; the plans are made once."""
    from spineviz.procedures.case import Case

    @cache
    def find(aspect, name):
        with quiet_manim(sized(QUALITIES["draft"], aspect)):
            return load_scene(scene_source(name))(case=Case())

    return find


def key_s(clock, step):
    found = clock.step(step)
    return found.start_s + found.key_s


def moments(clock, step, every_s):
    found = clock.step(step)
    count = math.ceil(found.seconds / every_s - 1e-6)
    steady = [found.start_s + every_s * i for i in range(count)]
    return sorted({*steady, key_s(clock, step), found.end_s - 0.05})


@pytest.fixture(scope="module")
def told(scenes):
    """aspect, film, step -> (time, shot, its labels as drawn) throughout the step, found once for all tests."""

    @cache
    def find(aspect, name, step):
        scene = scenes(aspect, name)
        shots = [(time, scene.shot_at(time)) for time in moments(scene.clock, step, EVERY_S[aspect])]
        return [(time, shot, scene.screen.labels_of(shot, time)) for time, shot in shots]

    return find


@pytest.mark.parametrize(("aspect", "name", "step"), STEPS)
def test_labels_never_overlap_cross_or_leave_the_stage(scenes, told, aspect, name, step):
    design = scenes(aspect, name).design
    for time, shot, drawn in told(aspect, name, step):
        for label, place, at in drawn:
            area, *keep = label_area(shot, label.view, design)
            assert area.holds(place.box), time
            assert not any(place.box.meets(rect) or line_meets(place.port, at, rect) for rect in keep), time
        for (_, one, at_one), (_, two, at_two) in combinations(drawn, 2):
            assert not one.box.meets(two.box), time
            assert not lines_cross(one.port, at_one, two.port, at_two), time
            assert not line_meets(one.port, at_one, two.box), time


@pytest.mark.parametrize(("aspect", "name", "step"), STEPS)
def test_labels_do_not_jump(told, aspect, name, step):
    """Within one layout a label that has appeared keeps its place until it goes, or goes slowly with what it names."""
    before, last = {}, 0.0
    for time, shot, drawn in told(aspect, name, step):
        slow = 30 * max(1.0, (time - last) / EVERY_S["16:9"])
        now = {(label.view, label.text): place.box for label, place, _ in drawn}
        key = (shot.layout, shot.focus)
        for text, box in now.items():
            if (key, text) in before:
                assert abs(before[key, text].x - box.x) + abs(before[key, text].y - box.y) < slow, (time, text)
        before, last = {(key, text): box for text, box in now.items()}, time


@pytest.mark.parametrize(("aspect", "name", "step"), STEPS)
def test_no_label_is_left_out_of_a_key_frame(scenes, aspect, name, step):
    scene = scenes(aspect, name)
    time = key_s(scene.clock, step)
    shot = scene.shot_at(time)
    wanted = {(label.view, label.text) for label in shot.labels if label.shown > 0}
    assert {(label.view, label.text) for label, _, _ in scene.screen.labels_of(shot, time)} == wanted


@pytest.mark.parametrize(("aspect", "name", "step"), STEPS)
def test_words_fit_the_screen_at_every_moment(scenes, told, aspect, name, step):
    scene = scenes(aspect, name)
    design = scene.design
    for time, shot, _ in told(aspect, name, step):
        panels = panels_of(shot, design)
        gauges = design.gauge_places(len(shot.gauges))
        x, lines = design.caption_place(bool(gauges))
        for line, base in zip(wrap(shot.caption), lines, strict=False):
            words = Rect(x, base - 30.0, text_size(line, CAPTION)[0] + 20.0, 40.0)
            assert words.right < design.width, (time, line)
            assert not any(place.meets(words) for place in gauges), (time, line)
        if shot.title and shot.layout != "card":
            subtitle = f"{scene.subtitle} · {shot.seen_from}"
            words = Rect(40, 30, max(text_size(shot.title, TITLE)[0], text_size(shot.seen_from, SUBTITLE)[0]), 80)
            assert not any(panel.framed and panel.rect.meets(words, 8) for panel in panels.values()), time
            assert 40 + max(text_size(shot.title, TITLE)[0], text_size(subtitle, SUBTITLE)[0]) < design.width, time
        if shot.tag:
            assert tag_place(shot, design).right < design.width, time
        for gauge, place in zip(shot.gauges, gauges, strict=True):
            reading = scene.reading(gauge, time)
            assert reading is None or fits_one_line(reading, place), (time, gauge)
        for column, gauge, place in column_gauges(shot, design):
            reading = scene.reading(gauge, time, column.moment, column.plan)
            fits = fits_tile if is_tile(place) else fits_one_line
            assert reading is None or fits(reading, place), (time, column.name, gauge)
        for view_name, view in views_of(shot).items():
            if panels[view_name].framed:
                style = COLUMN_TITLE if shot.layout == "columns" else HEADER
                title, header = text_size(_header(view)[0], style)[0], text_size(_header(view)[1], NOTE)[0]
                needed = max(title, header) + 34 if panels[view_name].stacked else title + header + 60
                assert needed < panels[view_name].rect.w, (time, view_name)
        for column in shot.columns:
            (frame,) = [p for name, p in panels.items() if p.framed and name.startswith(f"{column.name}:")]
            words = note_lines(column.note, frame.picture.w - 56)
            assert max(text_size(line, LABEL)[0] for line in words) + 56 < frame.picture.w, (time, column.name)
            assert aspect != "16:9" or len(words) == 1, (time, column.name)


@pytest.mark.parametrize(("aspect", "name", "step"), STEPS)
def test_a_card_s_words_fit_their_columns(scenes, aspect, name, step):
    """draw_card refuses what does not fit; all of its text lies inside the screen and above the bar."""
    scene = scenes(aspect, name)
    card = scene.shot_at(key_s(scene.clock, step)).card
    if card is not None:
        layer = draw_card(card, scene.theme, 0.25, card.picture is not None, scene.design)
        bottom = scene.design.height if card.kind == "title" else scene.design.bar_top(False)
        assert layer.x_px > 0.25 * 30
        assert layer.x_px + layer.pixels.shape[1] < 0.25 * (scene.design.width - 30)
        assert layer.y_px + layer.pixels.shape[0] < 0.25 * bottom


@pytest.mark.parametrize("name", film_names())
def test_captions_can_be_read_in_their_time(scenes, name):
    scene = scenes("16:9", name)
    faults = []
    for step in scene.clock.steps:
        for caption in narration(scene.clock)[step.name].captions:
            text = "\n".join(wrap(scene.fill(caption.text, step.name)))
            faults += caption_faults(caption, text, step.name)
    assert faults == []


@pytest.mark.parametrize("name", film_names())
def test_a_shot_is_a_pure_function_of_time(scenes, name):
    scene = scenes("16:9", name)
    times = np.linspace(0, scene.clock.seconds, 23)
    first = [scene.screen.fingerprint(scene.instant(float(time))) for time in times]
    scene._shots.clear()
    again = [scene.screen.fingerprint(scene.instant(float(time))) for time in times[::-1]][::-1]
    assert first == again


def test_the_needle_s_label_points_at_the_needle_as_it_comes(scenes):
    scene = scenes("16:9", "chemoembolization")
    step = scene.clock.step("access")
    words = scene.words("access", "needle")
    first, last = step.beats["needle"]
    seen = 0
    for time in step.start_s + np.arange(first, last, 0.1):
        for label in scene.shot_at(time).labels:
            if label.text == words and label.shown > 0.0:
                needle = scene.structures(time, None)["needle"].field
                assert needle.distance(np.array([label.anchor_mm]))[0] < 1.0, time
                seen += 1
    assert seen > 10
