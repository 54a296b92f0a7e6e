"""Scenes as other people write them, for the rendering of any manim file."""

from __future__ import annotations

import random
import time

import numpy as np
from manim import (
    DEGREES,
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Annulus,
    ApplyMatrix,
    Circle,
    Circumscribe,
    Create,
    Cube,
    CyclicReplace,
    Dot,
    FadeIn,
    FadeOut,
    FadeToColor,
    Flash,
    GrowFromCenter,
    ImageMobject,
    Indicate,
    LaggedStart,
    MoveAlongPath,
    MovingCameraScene,
    PhaseFlow,
    ReplacementTransform,
    Rotate,
    Rotating,
    Scene,
    ShrinkToCenter,
    Square,
    Succession,
    Text,
    ThreeDScene,
    TracedPath,
    Transform,
    TransformMatchingShapes,
    Uncreate,
    Unwrite,
    VGroup,
    Wait,
    Wiggle,
    Write,
    ZoomedScene,
    always_redraw,
    there_and_back,
)


class NotAScene:
    """Something else that stands in the file."""


class Plays(Scene):
    """You should see: a circle that becomes a square, with waits that stand and a dot that draws its own way."""

    def construct(self):
        circle, square = Circle(), Square().shift(RIGHT)
        self.play(Create(circle))
        self.wait(0.5)
        dot = Dot(LEFT).add_updater(lambda m, dt: m.shift(dt * (2 * m.get_center()[0] * UP + RIGHT)))
        self.add(TracedPath(dot.get_center), dot)
        self.play(Transform(circle, square), run_time=0.7)
        self.wait(0.4)
        dot.clear_updaters()
        self.wait(0.3)
        self.play(FadeIn(Text("type")), circle.animate.shift(random.random() * UP), run_time=0.4)
        self.pause(0.3)


class Counts(Scene):
    """You should see: what depends on the number of steps taken: a noisy dot, a flow, a wait that ends by itself."""

    def construct(self):
        noisy, flowing = Dot(), Dot(RIGHT)
        noisy.add_updater(lambda m: m.shift(0.05 * np.random.uniform(-1, 1, 3) * (1, 1, 0)))  # noqa: NPY002
        self.add(noisy)
        self.play(PhaseFlow(lambda point: np.array([-point[1], point[0], 0.0]), flowing, run_time=0.6))
        link = always_redraw(lambda: Circle(0.1).move_to(noisy))
        self.add(link)
        self.wait_until(lambda: noisy.get_center()[0] > 0.12, max_time=2.0)
        self.play(FadeOut(flowing), run_time=0.4)


class Stepless(Scene):
    """You should see: one of each kind of animation that ends the same whatever its steps."""

    def construct(self):
        words, ring = Text("words"), Annulus()
        squares = VGroup(*(Square(0.3) for _ in range(4))).arrange().shift(DOWN)
        self.play(Write(words), GrowFromCenter(ring), run_time=0.6)
        self.play(LaggedStart(*(FadeIn(square, shift=UP) for square in squares), lag_ratio=0.3), run_time=0.6)
        self.play(Succession(squares[0].animate.shift(UP), Rotate(squares[0]), squares[0].animate.scale(2)), run_time=1)
        self.play(squares[1:].animate.arrange(DOWN).set_color("#FF0000"), Rotating(ring, run_time=0.5), run_time=0.5)
        self.play(Indicate(words), Circumscribe(ring), Flash(squares[1].get_center()), run_time=0.5)
        self.play(ApplyMatrix([[1, 0.5], [0, 1]], squares), CyclicReplace(*squares[:2]), run_time=0.5)
        self.play(ReplacementTransform(words, other := Text("word")), rate_func=there_and_back, run_time=0.5)
        self.play(TransformMatchingShapes(other, last := Text("sword")), MoveAlongPath(squares[0], ring), run_time=0.5)
        self.play(Wiggle(last), FadeToColor(ring, "#00FF00"), run_time=0.5)
        self.play(Uncreate(ring), ShrinkToCenter(last), Unwrite(squares), run_time=0.5)


class Sections(Scene):
    """You should see: three named sections, of which the second is left out."""

    def construct(self):
        dot = Dot()
        self.next_section("first")
        self.add_subcaption("before", duration=0.4)
        self.play(FadeIn(dot), run_time=0.6, subcaption="it comes", subcaption_offset=0.2)
        self.next_section("left out", skip_animations=True)
        self.play(dot.animate.shift(UP), run_time=1.0, subcaption="never told")
        self.next_section("last")
        self.play(FadeOut(dot), run_time=0.4, subcaption="it goes")


class Sounds(Scene):
    """You should hear: a tone that the environment names, in the middle of a wait."""

    def construct(self):
        self.add(Square())
        self.wait(0.4)
        self.add_sound("tone.wav", time_offset=0.2)
        self.wait(0.8)


class Solid(ThreeDScene):
    """You should see: a cube, round which the camera goes."""

    def construct(self):
        self.set_camera_orientation(phi=60 * DEGREES, theta=30 * DEGREES)
        cube, name = Cube(), Text("cube").to_edge(UP)
        self.add_fixed_in_frame_mobjects(name)
        self.play(FadeIn(cube), run_time=0.4)
        self.begin_ambient_camera_rotation(1.0)
        self.wait(0.4)
        self.stop_ambient_camera_rotation()
        self.move_camera(phi=30 * DEGREES, run_time=0.4)
        self.add(Dot(2 * self.camera.get_rotation_matrix()[1]))
        self.play(Rotate(cube, 1.0), run_time=0.4)


class Closer(MovingCameraScene):
    """You should see: the camera go to one of two squares and back."""

    def construct(self):
        pair = VGroup(Square(), Circle()).arrange()
        self.add(pair)
        self.camera.frame.save_state()
        self.play(self.camera.frame.animate.scale(0.5).move_to(pair[0]), run_time=0.4)
        self.play(Wait(0.2))
        self.play(self.camera.frame.animate.restore(), run_time=0.4)


class Zoomed(ZoomedScene):
    """You should see: a window that shows a dot larger, and goes."""

    def __init__(self, **kwargs):
        super().__init__(zoom_factor=0.3, zoomed_display_height=2, zoomed_display_width=4, **kwargs)

    def construct(self):
        self.add(Dot(LEFT), ImageMobject(np.uint8([[0, 100], [200, 255]])))
        self.activate_zooming(animate=True)
        self.play(self.zoomed_camera.frame.animate.shift(0.5 * UP), run_time=0.4)
        self.play(self.get_zoomed_display_pop_out_animation(), rate_func=lambda t: 1 - t, run_time=0.4)


class Slow(Scene):
    """You should see: a dot that takes ten minutes to go nowhere, then a circle."""

    def construct(self):
        self.add(Dot().add_updater(lambda m, dt: time.sleep(0.04)))
        self.wait(1000)
        self.play(Create(Circle()))


class Raises(Scene):
    """It fails in its second play."""

    def construct(self):
        self.play(Create(Circle()), run_time=0.2)
        self.fail(0)

    def fail(self, number):
        self.play(FadeIn(Dot().shift(RIGHT / 1 if 1 // number else UP)))


class Empty(Scene):
    """It plays nothing."""

    def construct(self):
        self.add(Circle())


class OwnSize(Scene):
    """It fights over the size."""

    def construct(self):
        self.wait(0.4)


class Noise(Scene):
    """Not pure: its generator has no seed."""

    def construct(self):
        rng = np.random.default_rng()
        self.play(Create(Circle()), run_time=0.2)
        self.play(Create(Dot(rng.random(3))), run_time=0.4)


class Clock(Scene):
    """Not pure: the run time comes from a clock."""

    def construct(self):
        self.play(Create(Circle()), run_time=0.2)
        self.wait(1.0 + 10.0 * (time.perf_counter() % 1.0))


class Fewer(Scene):
    """Not pure: it plays one time fewer in each run."""

    left = [3]  # noqa: RUF012 - the fault is meant

    def construct(self):
        for _ in range(2):
            self.wait(0.2)
