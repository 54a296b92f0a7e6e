"""A frame is a function of time; layouts ease into each other; labels stay in their places."""

from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineviz.film.base import _state_key, quiet_manim
from spineviz.film.opening import SceneSource, load_scene
from spineviz.film.painter import Painter
from spineviz.film.pieces import ASPECTS, QUALITIES, sized
from spineviz.film.screen import (
    _dimmed,
    _header,
    column_gauges,
    cover,
    cuts,
    frozen,
    label_area,
    note_lines,
    panels_of,
    shot_key,
    tag_place,
    view_names,
    views_of,
)
from spineviz.film.shot import (
    TRANSITION_S,
    ColumnShot,
    FluoroShot,
    PlotShot,
    SectionShot,
    Shot,
    StageShot,
    UltrasoundShot,
    appear,
    smooth,
)
from spineviz.geometry.frames import Frame
from spineviz.views.canvas import blit
from spineviz.views.layout import Rect
from spineviz.views.layout_wide import BAR_TOP, COLUMN_PITCH
from spineviz.views.text import COLUMN_TITLE, LABEL, TITLE, text_size
from spineviz.views.theme import theme
from spineviz.views.ultrasound import figure

Standin = load_scene(SceneSource(Path(__file__).with_name("standin.py"), "Standin"))
Pair = load_scene(SceneSource(Path(__file__).with_name("standin.py"), "Pair"))
Matte = load_scene(SceneSource(Path(__file__).with_name("standin.py"), "Matte"))


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


@pytest.fixture(scope="module")
def matte():
    with quiet_manim(QUALITIES["draft"]):
        yield Matte(), Matte(transparent=True)


@given(time=st.floats(0.0, 4.39))
@settings(max_examples=60, deadline=None)
def test_a_transparent_frame_over_the_ground_is_the_frame(matte, time):
    opaque, clear = (scene.frame_at(time) for scene in matte)
    assert (opaque.shape, clear.shape) == ((480, 854, 3), (480, 854, 4))
    share = clear[:, :, 3:] / 255
    over = clear[:, :, :3] * share + np.array(theme("dark").rgb8("ground")) * (1 - share)
    assert np.abs(over - opaque).max() <= 2.0
    rect = panels_of(matte[0].shot_at(time))
    bar = slice(round(BAR_TOP * 480 / 1080) + 10, 480)
    assert (clear[bar, 20:-20, 3] == 255).all()
    if matte[0].instant(time).previous is None:
        for panel in rect.values():
            x, y, w, h = panel.picture.pixels(480 / 1080)
            alpha = clear[y : y + h, x : x + w, 3]
            assert (alpha == 255).all() if panel.framed else alpha.min() < 255


@pytest.mark.parametrize("light", [0.5, 0.65, 1.0])
def test_a_dimmed_clear_picture_dims_what_shows_through_it(light):
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (40, 50, 1))
    picture = np.concatenate([rng.integers(0, alpha + 1, (40, 50, 3)), alpha], axis=2).astype(np.uint8)
    back = rng.integers(0, 256, (40, 50, 3))

    def over(layer):
        return layer[:, :, :3] + (1 - layer[:, :, 3:] / 255) * back

    assert np.abs(over(_dimmed(picture, light, theme("dark"))) - light * over(picture)).max() <= 1.01
    assert np.array_equal(_dimmed(picture[:, :, :3], light, theme("dark")), np.round(picture[:, :, :3] * light))


def test_the_ground_of_a_transparent_film_is_clear_and_its_columns_are_not(matte):
    assert (matte[1].frame_at(0.2)[:, :, 3] == 0).mean() > 0.15
    with quiet_manim(QUALITIES["draft"]):
        opaque, clear = (Pair(transparent=flag).frame_at(1.0) for flag in (False, True))
    solid = clear[:, :, 3] == 255
    assert solid.mean() > 0.8
    assert np.array_equal(clear[solid][:, :3], opaque[solid])


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


def test_frozen_keeps_what_it_made_of_what_never_changes_and_only_that():
    here, same = Frame(np.eye(3), np.ones(3)), Frame(np.eye(3), np.ones(3))
    there = replace(here, origin_mm=np.zeros(3))
    assert frozen(here) is frozen(here)
    assert frozen(here) == frozen(same) != frozen(there)
    assert frozen(there) == frozen(Frame(np.eye(3), np.zeros(3)))

    @dataclass
    class Changing:
        place: float

    thing = Changing(1.0)
    before = frozen(thing)
    thing.place = 2.0
    assert frozen(thing) == frozen(Changing(2.0)) != before


def test_appearing():
    assert appear(1.0, 1.0) == 0.0
    assert appear(1.4, 1.0) == 1.0
    assert appear(1.2, 1.0) == pytest.approx(0.5)
    assert appear(3.0, 1.0, until_s=3.0) == 0.0
    assert [smooth(x) for x in (-1, 0, 0.5, 1, 2)] == [0, 0, 0.5, 1, 1]


# several plans


@pytest.fixture
def pair():
    with quiet_manim(QUALITIES["draft"]):
        yield Pair()


def test_views_of_columns_are_called_by_column_and_take_its_plan(pair):
    shot = pair.shot_at(1.0)
    views = views_of(shot)
    assert list(views) == ["one:stage", "one:lateral", "two:stage", "two:lateral"]
    assert {name: view.plan for name, view in views.items()} == {n: n.partition(":")[0] for n in views}
    assert views["two:stage"].title == "Two"
    assert views["two:lateral"].title == "Fluoroscopy"


def test_a_view_of_a_column_may_say_its_own_moment_and_plan():
    column = ColumnShot(
        "now", below=FluoroShot(Pair.shot_at.__globals__["projection"]("ap"), moment=("first", 0.2), plan="other"),
        moment=("second", 1.0), plan="mine",
    )  # fmt: skip
    assert column.view_names == {"below": "now:ap"}
    assert (column.views["below"].moment, column.views["below"].plan) == (("first", 0.2), "other")


def test_gauges_read_the_plan_of_their_column_or_the_one_they_name(pair):
    time = 0.9
    one, two = (pair.reading("cement", time, None, name) for name in ("one", "two"))
    assert one.value > two.value > 0.0
    assert pair.reading("two:cement", time) == two
    assert [(c.name, g) for c, g, _ in column_gauges(pair.shot_at(time))] == [
        ("one", "cement"), ("one", "wedge"), ("two", "cement"), ("two", "wedge"),
    ]  # fmt: skip
    with pytest.raises(KeyError, match="no plan 'three'"):
        pair.reading("three:cement", time)


def test_labels_stand_on_the_stage_of_their_column(pair):
    shot = pair.shot_at(1.0)
    drawn = pair.screen.labels_of(shot, 1.0)
    assert [label.view for label, _, _ in drawn] == ["one:stage", "two:stage"]
    for label, place, at in drawn:
        (area,) = label_area(shot, label.view)
        assert area.holds(place.box)
        assert area.x <= at[0] <= area.right


def test_what_two_plans_show_alike_is_drawn_once(pair):
    pair.frame_at(0.1)
    assert sorted(pair._painter.drawn) == ["fluoroscopy", "stage"]
    pair.frame_at(0.9)
    assert sorted(pair._painter.drawn) == ["fluoroscopy"] * 3 + ["stage"] * 3


def test_fingerprints_tell_apart_what_only_one_plan_shows(pair):
    # the second plan runs 0.2 s behind: at 1.45 s only it still fills
    assert pair.fingerprint(1.45) != pair.fingerprint(1.55)
    assert pair.fingerprint(1.75) == pair.fingerprint(1.85)


def test_focus_on_a_column_is_eased_and_keeps_its_numbers_lit(pair):
    still, told = pair.instant(1.9), pair.instant(2.0 + TRANSITION_S + 0.05)
    assert told.shot.focus == "two"
    assert pair.instant(2.2).previous is not None
    before, after = pair.frame_at(1.9), pair.frame_at(told.time_s)
    panels = panels_of(still.shot)
    for name, dimmed in (("one:stage", True), ("two:stage", False)):
        x, y, w, h = panels[name].picture.pixels(480 / 1080)
        part = np.s_[y + h // 2 : y + h - 40, x + w // 2 : x + w - 10]
        assert (after[part].mean() < 0.75 * before[part].mean()) == dimmed
    (_, _, rect), *_ = column_gauges(still.shot)
    x, y, w, h = rect.pixels(480 / 1080)
    assert np.array_equal(before[y + 4 : y + h, x : x + w], after[y + 4 : y + h, x : x + w])


# a tag, and ultrasound where a section may stand


@pytest.mark.parametrize("layout", ["stage+insets", "two-plane"])
def test_a_tag_stays_clear_of_title_labels_and_panels(scene, layout):
    time = 1.9 if layout == "stage+insets" else 3.9
    shot = replace(scene.shot_at(time), tag="illustrative")
    assert shot.layout == layout
    place = tag_place(shot)
    title = Rect(40.0, 64.0 - 30.0, text_size(shot.title, TITLE)[0], 40.0)
    assert not place.meets(title, 10.0)
    for panel in panels_of(shot).values():
        assert not panel.framed or not place.meets(panel.rect)
    for _, placed, _ in scene.screen.labels_of(shot, time):
        assert not place.meets(placed.box)
    if layout == "stage+insets":
        assert place in label_area(shot)


def test_a_tag_is_on_every_frame_that_it_holds_for_and_on_no_other(scene):
    def bright(now, place):
        frame = np.zeros((480, 854, 3), np.uint8)
        for layer in scene.screen.layers(now):
            blit(frame, layer)
        x, y, w, h = place.pixels(480 / 1080)
        return int((frame[y : y + h, x : x + w].min(axis=2) > 180).sum())

    for time in (0.2, 2.05, 2.3, 3.9):  # while the layout eases too
        now = scene.instant(time)
        tagged = replace(now.shot, tag="illustrative")
        old = None if now.previous is None else replace(now.previous, tag="illustrative")
        place = tag_place(tagged)
        assert bright(replace(now, shot=tagged, previous=old), place) > 100, time
        assert bright(now, place) < 10, time


def test_ultrasound_stands_where_a_section_may_and_runs_on(scene):
    shot = replace(scene.shot_at(1.9), section=UltrasoundShot("axial", 20.0, 25.0))
    assert view_names(shot)["section"] == "section"
    assert isinstance(views_of(shot)["section"], UltrasoundShot)
    now = replace(scene.instant(1.9), shot=shot)
    screen, step = scene.screen, 1.0 / figure("pictures_per_s")
    prints = [screen.fingerprint(replace(now, time_s=1.9 + late)) for late in (0.0, 0.5 * step, 1.01 * step)]
    assert prints[0] == prints[1] != prints[2]
    still = replace(now, shot=replace(shot, section=replace(shot.section, live=False)))
    assert screen.fingerprint(still) == screen.fingerprint(replace(still, time_s=1.9 + 1.01 * step))
    assert cuts(SectionShot("axial"), shot.section)
    assert not cuts(shot.section, replace(shot.section, title="other"))


@given(st.floats(-15.0, 15.0), st.floats(-20.0, 20.0), st.sampled_from([(280, 240), (572, 300), (300, 420)]))
def test_marks_over_ultrasound_lie_at_their_depth(x_mm, y_mm, size):
    shot = UltrasoundShot("groin", 24.0, 22.0)
    painter = Painter(theme("dark"))
    plane = Frame()
    (at,) = painter.project_ultrasound(size, plane, shot, ((x_mm, y_mm, 3.0),))
    px_mm = 48.0 / min(size)
    assert at[0] == pytest.approx(size[0] / 2 + x_mm / px_mm)
    assert at[1] == pytest.approx((22.0 - y_mm) / px_mm)  # the upper edge is the probe's face


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=12))
def test_a_column_s_note_keeps_its_words_on_as_few_lines_as_it_can(words):
    width = COLUMN_PITCH[3][0] - 100.0
    text = " ".join(words)
    lines = note_lines(text, width)
    assert " ".join(lines) == text
    whole = text_size(text, LABEL)[0]
    assert len(lines) == (1 if whole <= width or len(words) == 1 else 2)
    longest = max(text_size(word, LABEL)[0] for word in words)
    assert max(text_size(line, LABEL)[0] for line in lines) <= max(width, 0.5 * whole + longest)


def test_three_columns_have_room_for_a_line_and_a_number_each():
    columns = tuple(
        ColumnShot(name, name.title(), stage=StageShot(None, None), gauges=("cement",), note="a line of its own")
        for name in ("vertebroplasty", "kyphoplasty", "chemoembolization")
    )
    shot = Shot("columns", "Three procedures", columns=columns)
    panels = panels_of(shot)
    assert len({(panel.picture.w, panel.picture.h) for panel in panels.values() if panel.framed}) == 1
    for (column, _, rect), name in zip(
        column_gauges(shot), ("vertebroplasty", "kyphoplasty", "chemoembolization"), strict=False
    ):
        stage = panels[f"{name}:stage"]
        assert stage.rect.holds(rect)
        assert not rect.meets(stage.picture)
        assert text_size(column.title, COLUMN_TITLE)[0] < stage.rect.w - 40.0


def test_a_plot_says_its_own_name_where_the_shot_gives_none():
    assert _header(PlotShot("pressure")) == ("Pressure and volume", "")
    assert _header(PlotShot("response")) == ("Weeks after treatment", "illustrative")
    assert _header(PlotShot("response", "of the tumour", "Later")) == ("Later", "of the tumour")


# other aspects and themes


@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_frame_has_the_size_of_its_aspect_and_is_covered(aspect):
    quality = sized(QUALITIES["draft"], aspect)
    with quiet_manim(quality):
        scene = Standin()
        assert scene.frame_at(1.0).shape == (quality.height_px, quality.width_px, 3)
        for layer in scene.screen.layers(scene.instant(3.0)):
            frame = np.zeros((quality.height_px, quality.width_px, 3), np.uint8)
            blit(frame, layer)  # no layer is of another size than the screen takes
        foot = scene.frame_at(1.0)[-6:, 6:-6]
        assert np.abs(foot.astype(int) - np.array(scene.theme.rgb8("panel"))).max() <= 2


@pytest.mark.parametrize("aspect", [aspect for aspect in ASPECTS if aspect != "16:9"])
def test_the_bar_rises_for_its_gauges(aspect):
    with quiet_manim(sized(QUALITIES["draft"], aspect)):
        scene = Standin()
        shot = replace(scene.shot_at(3.9), gauges=("cement",))
        bare = replace(shot, gauges=())
        assert shot_key(shot, scene.design) != shot_key(bare, scene.design)
        assert shot_key(shot) == shot_key(bare)  # at 16:9 it is of one height
        now = replace(scene.instant(3.9), shot=shot, previous=bare, changed_s=3.8)
        panel, tops = np.array(scene.theme.rgb8("panel")), []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            frame = np.zeros((*scene.frame_at(0.0).shape[:2], 3), np.uint8)
            for layer in scene.screen.layers(replace(now, share=share)):
                blit(frame, layer)
            other = np.flatnonzero(np.abs(frame[:, -4].astype(int) - panel).max(1) > 2)
            tops.append(int(other.max()) + 1)
        assert tops == sorted(tops, reverse=True)
        assert tops[0] == pytest.approx(scene.design.bar_top(False) * 480 / 1080, abs=9)
        assert tops[-1] == pytest.approx(scene.design.bar_top(True) * 480 / 1080, abs=9)


@pytest.mark.parametrize("name", ["light", "contrast"])
def test_a_theme_is_the_scene_s_own(name):
    with quiet_manim(QUALITIES["draft"]):
        themed, plain = Standin(theme=name), Standin()
        frames = themed.frame_at(1.0), plain.frame_at(1.0)
        assert themed.theme is theme(name)
        assert (frames[0] != frames[1]).any()
        assert np.array_equal(frames[1], Standin().frame_at(1.0))  # one scene's theme leaves the next alone
        bar = frames[0][-8:, 100:200].reshape(-1, 3)
        assert np.abs(np.median(bar, axis=0) - np.array(theme(name).rgb8("panel"))).max() <= 2


def test_what_is_out_of_focus_pales_on_paper_and_darkens_in_the_dark():
    picture = np.full((4, 4, 3), (30, 120, 220), np.uint8)
    dark, light = (_dimmed(picture, 0.5, theme(name))[0, 0].astype(int) for name in ("dark", "light"))
    assert dark.tolist() == [15, 60, 110]
    paper = np.array(theme("light").rgb8("panel"))
    assert light == pytest.approx((np.array([30, 120, 220]) + paper) / 2, abs=1)


@dataclass(frozen=True)
class Numbers:
    step: str
    share: float
    time_s: float
    height_mm: float


@dataclass(frozen=True)
class Both:
    step: str
    share: float
    time_s: float
    one: Numbers


def test_the_key_of_a_state_does_not_tell_what_it_was_asked_in_before():
    """States of several procedures hold those of each, whose keys are asked too."""
    first, later = Numbers("s", 0.1, 1.0, 20.0), Numbers("s", 0.2, 2.0, 20.0)
    assert _state_key(first) == _state_key(later)
    _state_key(Both("s", 0.1, 1.0, first))
    assert _state_key(first) == _state_key(later)
