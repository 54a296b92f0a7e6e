"""How a film is cut, and how steps are asked for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.cli.options import ASPECTS as CLI_ASPECTS
from spineviz.data.errors import RequestError
from spineviz.data.films import Film, Step, film, film_names
from spineviz.film.pieces import ASPECTS, LONGEST_S, QUALITIES, parse_steps, pieces, sized
from spineviz.views.designs import design_of


@st.composite
def films(draw):
    lengths = draw(st.lists(st.integers(1, 150), min_size=1, max_size=13))
    steps, start = [], 0
    for i, ticks in enumerate(lengths):
        steps.append(Step(f"s{i}", round(0.2 * start, 3), 0.2 * ticks, 0.0, {}))
        start += ticks
    return Film("f", "F", (), tuple(steps))


@given(films())
def test_pieces_cover_the_film_without_gaps_and_cross_no_step(clock):
    cut = pieces(clock)
    assert cut[0].start_s == 0.0
    assert cut[-1].end_s == pytest.approx(clock.seconds)
    for one, two in pairwise(cut):
        assert one.end_s == pytest.approx(two.start_s)
    for piece in cut:
        step = clock.step(piece.step)
        assert step.start_s - 1e-6 <= piece.start_s < piece.end_s <= step.end_s + 1e-6
        assert piece.end_s - piece.start_s <= LONGEST_S + 1e-6
    assert [piece.index for piece in cut] == list(range(len(cut)))


@pytest.mark.parametrize("rate", [15, 30])
@given(films())
def test_frames_of_the_pieces_are_those_of_the_film(rate, clock):
    times = [time for piece in pieces(clock) for time in piece.times_s(rate)]
    assert times == pytest.approx([i / rate for i in range(round(clock.seconds * rate))], abs=1e-5)


@pytest.mark.parametrize("name", film_names())
def test_a_film_lasts_as_long_as_promised(name):
    clock = film(name)
    assert 190 <= clock.seconds <= 240
    assert 10 <= len(clock.steps) <= 13
    for step in clock.steps:
        assert 0 <= step.key_s <= step.seconds
        assert all(0 <= start < end <= step.seconds for start, end in step.beats.values())
        # stillness at the end of each step
        assert max((end for _, end in step.beats.values()), default=0.0) <= step.seconds - 0.8 + 1e-9


def test_qualities_are_sixteen_to_nine_with_even_sides():
    for quality in QUALITIES.values():
        assert quality.width_px % 2 == quality.height_px % 2 == 0
        assert quality.width_px / quality.height_px == pytest.approx(16 / 9, abs=0.002)


def test_aspects_keep_the_shorter_side_and_have_even_sides():
    shapes = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0}
    assert set(ASPECTS) == set(shapes) == set(CLI_ASPECTS)
    for quality in QUALITIES.values():
        for aspect, shape in shapes.items():
            made = sized(quality, aspect)
            assert made.aspect == aspect
            assert min(made.size_px) == min(quality.size_px)
            assert made.width_px % 2 == made.height_px % 2 == 0
            assert made.width_px / made.height_px == pytest.approx(shape, abs=0.002)
            assert (made.name, made.frames_per_s) == (quality.name, quality.frames_per_s)
            assert design_of(made.size_px).aspect == aspect
        assert sized(quality, "16:9") == quality
        assert sized(sized(quality, "9:16"), "16:9") == quality
    assert sized(QUALITIES["hd"], "9:16").size_px == (720, 1280)
    assert sized(QUALITIES["draft"], "1:1").size_px == (480, 480)


def test_another_aspect_is_refused_with_those_there_are():
    with pytest.raises(RequestError, match="--aspect '4:3': give 16:9, 9:16, 1:1"):
        sized(QUALITIES["hd"], "4:3")


CLOCK = Film("f", "F", (), tuple(Step(f"s{i}", i, 1.0, 0.5, {}) for i in range(12)))


def test_steps_are_counted_from_one():
    assert parse_steps("4", CLOCK) == (3,)
    assert parse_steps("3-5", CLOCK) == (2, 3, 4)
    assert parse_steps("1-12", CLOCK) == tuple(range(12))


@pytest.mark.parametrize(
    "text", ["", "0", "13", "5-3", "1-13", "-", "3-", "-3", "a", "1,2", "1-2-3", "²", "1.5", "9" * 5000]
)
def test_steps_that_are_not_there_are_refused_with_what_is(text):
    with pytest.raises(RequestError, match=r"--steps .*: give a number or a range within 1-12, such as 3-5"):
        parse_steps(text, CLOCK)
