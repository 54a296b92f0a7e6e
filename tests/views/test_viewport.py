"""Arrays as manim mobjects, and the laying of layers over each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manim import BLUE, Circle, Square, tempconfig

from spineviz.views.canvas import Canvas, Layer, blit, dithered, straight
from spineviz.views.viewport import FilmCamera, Viewport

SEEDS = st.integers(0, 2**32 - 1)


def layer_of(rng, height, width, x, y, opacity):
    alpha = rng.choice([0, 255, 17, 128], size=(height, width, 1)).astype(np.uint8)
    colour = (rng.random((height, width, 3)) * (alpha + 0.999)).astype(np.uint8)
    return Layer(np.concatenate([colour, alpha], axis=2), x, y, opacity)


def camera(width=64, height=36):
    with tempconfig({"pixel_width": width, "pixel_height": height, "verbosity": "ERROR"}):
        return FilmCamera()


@given(SEEDS, st.integers(-9, 20), st.integers(-9, 20), st.sampled_from([1.0, 0.5, 0.25, 0.0]))
def test_laying_over_is_the_textbook_formula(seed, x, y, opacity):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    layer = layer_of(rng, 11, 13, x, y, opacity)
    expected = frame.astype(float)
    for row in range(11):
        for column in range(13):
            if 0 <= y + row < 20 and 0 <= x + column < 24:
                pixel = layer.pixels[row, column].astype(float) * opacity
                expected[y + row, x + column] = pixel[:3] + expected[y + row, x + column] * (1 - pixel[3] / 255)
    blit(frame, layer)
    assert np.abs(frame - expected).max() <= 1.6


@given(SEEDS, st.sampled_from([1.0, 0.5, 0.25]), st.booleans())
def test_layers_on_a_clear_frame_over_any_ground_are_the_layers_on_that_ground(seed, opacity, solid):
    rng = np.random.default_rng(seed)
    back = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    clear, opaque = np.zeros((20, 24, 4), np.uint8), back.copy()
    layers = [layer_of(rng, 11, 13, 3 * i - 2, 2 * i - 1, opacity) for i in range(3)]
    if solid:
        layers[1] = Layer(layers[1].pixels[:, :, :3], layers[1].x_px, layers[1].y_px, opacity)
    for layer in layers:
        blit(clear, layer)
        blit(opaque, layer)
    assert (clear[:, :, :3] <= clear[:, :, 3:]).all()
    share = straight(clear).astype(float)
    over = share[:, :, :3] * share[:, :, 3:] / 255 + back * (1 - share[:, :, 3:] / 255)
    assert np.abs(over - opaque).max() <= 3.1  # half a step for each rounding: three layers twice, and the last
    assert (clear[13:, :2] == 0).all()
    if solid and opacity == 1.0:
        x, y = layers[1].x_px, layers[1].y_px
        assert (clear[y : y + 2, x : x + 2, 3] == 255).all()


@given(SEEDS)
def test_straight_colours_multiplied_again_are_what_they_were(seed):
    rng = np.random.default_rng(seed)
    alpha = rng.integers(0, 256, (30, 30, 1))
    given_ = np.concatenate([rng.integers(0, alpha + 1, (30, 30, 3)), alpha], axis=2).astype(np.uint8)
    found = straight(given_)
    assert np.array_equal(found[:, :, 3], given_[:, :, 3])
    assert np.abs(np.round(found[:, :, :3] * (alpha / 255)) - given_[:, :, :3]).max() <= 0
    full = alpha[:, :, 0] == 255
    assert np.array_equal(found[full], given_[full])
    assert (found[alpha[:, :, 0] == 0] == 0).all()


@given(SEEDS, st.integers(-30, 30), st.integers(-30, 30), st.sampled_from([1.0, 0.6]))
def test_the_solid_part_changes_nothing_but_the_time(seed, x, y, opacity):
    rng = np.random.default_rng(seed)
    pixels = layer_of(rng, 40, 60, 0, 0, 1.0).pixels.copy()
    pixels[8:30, 5:50, 3] = 255
    one = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    two = one.copy()
    blit(one, Layer(pixels, x, y, opacity))
    blit(two, Layer(pixels, x, y, opacity, solid=(5, 8, 50, 30)))
    assert np.array_equal(one, two)


def test_an_opaque_layer_is_copied_to_the_pixel():
    rng = np.random.default_rng(1)
    frame, picture = np.zeros((36, 64, 3), np.uint8), rng.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    blit(frame, Layer(picture, 0, 0))
    assert np.array_equal(frame, picture)


def test_a_canvas_panel_knows_its_solid_part():
    canvas = Canvas(200, 100, 1.0, 10, 20)
    canvas.panel(10, 20, 200, 100, 16, fill=(0.2, 0.4, 0.6))
    layer = canvas.layer()
    left, top, right, bottom = layer.solid
    assert (layer.pixels[top:bottom, left:right, 3] == 255).all()
    assert (right - left) * (bottom - top) > 0.65 * 200 * 100


def test_a_canvas_keeps_only_what_is_drawn():
    canvas = Canvas(1920, 1080, 0.5)
    canvas.disc(400, 300, 20, fill=(1, 1, 1))
    layer = canvas.layer()
    assert layer.pixels.shape[0] == pytest.approx(20, abs=2)
    assert (layer.x_px, layer.y_px) == (pytest.approx(190, abs=1), pytest.approx(140, abs=1))


def test_a_gradient_keeps_its_mean_and_is_the_same_each_time():
    slow = np.full((80, 80, 4), 0.3)
    slow[:, :, :3] *= 0.1
    out = dithered(slow)
    assert out[:, :, 3].mean() == pytest.approx(255 * 0.3, abs=0.05)
    assert np.array_equal(out, dithered(slow))
    assert (out[:, :, :3] <= out[:, :, 3:]).all()


def test_the_camera_shows_a_viewport_pixel_for_pixel():
    rng, cam = np.random.default_rng(2), camera()
    picture = rng.integers(0, 256, (36, 64, 3), dtype=np.uint8)
    cam.capture_mobjects([Viewport([Layer(picture, 0, 0)])])
    assert np.array_equal(cam.pixel_array[:, :, :3], picture)


def test_only_a_clear_viewport_touches_alpha():
    rng, cam = np.random.default_rng(3), camera()
    layer = layer_of(rng, 20, 30, 5, 4, 0.7)
    for clear in (False, True):
        cam.pixel_array[:] = 0
        cam.capture_mobjects([Viewport([layer], clear=clear)])
        assert cam.pixel_array[4:24, 5:35, 3].any() == clear


def test_viewports_and_manim_shapes_keep_their_order():
    cam = camera()
    red = np.zeros((36, 64, 3), np.uint8)
    red[:] = (200, 10, 10)
    cam.capture_mobjects([Circle(radius=9, fill_opacity=1), Viewport([Layer(red, 0, 0)])])
    assert np.array_equal(cam.pixel_array[:, :, :3], red)
    cam.capture_mobjects([Viewport([Layer(red, 0, 0)]), Square(side_length=30, fill_color=BLUE, fill_opacity=1)])
    assert not np.array_equal(cam.pixel_array[18, 32, :3], red[18, 32])


def test_an_empty_viewport_shows_nothing():
    cam = camera()
    before = cam.pixel_array.copy()
    cam.capture_mobjects([Viewport()])
    assert np.array_equal(cam.pixel_array, before)
