"""The scene under every film: a frame is a function of case and time.

A film is one short module in scenes/, a subclass that says what is on screen when:

    from spineviz.film.base import ProcedureScene
    from spineviz.film.shot import FluoroShot, Label, SectionShot, Shot, StageShot, appear

    class Vertebroplasty(ProcedureScene):
        '''You should see: ...'''

        film_name = "vertebroplasty"

        def setup_film(self):                        # once, after self.plan is there: cameras, projections, landmarks
            self.behind = Camera(...)
            self.ap = projection("ap", ...)

        def shot_cement(self, now: Moment) -> Shot:  # one for each step; pure: no drawing, no state kept
            state = now.state                        # self.plan.state_at(step, share)
            return self.told(                        # a Shot with title, seen_from and caption of the narration
                now,
                layout="stage+insets",
                stage=StageShot(self.behind, StageLook(glass=frozenset({"L1"}))),
                fluoroscopy=(FluoroShot(self.lateral, "lateral, seen from the left"),),
                section=SectionShot("axial", 45.0, "axial, through the needles"),
                focus="fluoroscopy" if now.during("fill") else "",
                labels=(Label("cement", "cement", tuple(state.cement_front_mm), shown=now.shown("fill")),),
                gauges=("cement", "back_wall", "wedge"),
            )

It renders with `spineviz render` and with plain manim alike; there the case comes from the variable SPINEVIZ_CASE (a
file) and SPINEVIZ_SET (KEY=VALUE, one a line), or is the default.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from manim import Animation, Scene, config, linear, tempconfig
from numpy.typing import NDArray

from spineviz import __version__
from spineviz.data.assets import asset
from spineviz.data.films import Film, Step, film
from spineviz.data.narration import filled, narration, with_phrases
from spineviz.data.tables import sourced_table
from spineviz.film.fitting import fitted
from spineviz.film.pieces import Piece, Quality, pieces
from spineviz.film.screen import Instant, Paints, Screen, frozen, shot_key, slots_of
from spineviz.film.shot import (
    TRANSITION_S,
    CardColumn,
    CardKind,
    CardRow,
    CardShot,
    Label,
    PlotShot,
    Point,
    Shot,
    Side,
    StageShot,
    appear,
    smooth,
)
from spineviz.geometry.fields import corners
from spineviz.views.designs import design_of
from spineviz.views.gauges import GAUGES, Reading
from spineviz.views.plots import PLOTS, Plot
from spineviz.views.theme import theme as named_theme
from spineviz.views.viewport import FilmCamera, Viewport

if TYPE_CHECKING:
    from spineviz.anatomy.structure import Structure
    from spineviz.geometry.frames import Frame
    from spineviz.procedures.case import Case

_TICK_S = 1.0 / 30.0
"""The grid on which a change of layout is looked for, seconds: that of the finest rate."""

SUBJECT_ROLES = frozenset({"bone", "disc", "skin"})
"""What labels stand beside; they may lie over instruments, which run to the edge of the screen."""

_CAPTION_FADE_S = 0.25
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


@dataclass(frozen=True)
class Moment:
    """A moment of one step, as a scene's `shot_...` methods get it.

    Attributes:
        step: the step's clock.
        share: 0 to 1, how much of it is over.
        find_state: what `state` asks.
    """

    step: Step
    share: float
    find_state: Callable[[str, float], Any]

    @property
    def time_s(self) -> float:
        """Seconds since the step began."""
        return self.share * self.step.seconds

    @property
    def state(self) -> Any:
        """The plan's State now."""
        return self.find_state(self.step.name, self.share)

    def beat(self, name: str) -> float:
        """How much of the beat `name` is over, 0 to 1, eased; KeyError for one that the step has not."""
        return smooth(self.step.beat_share(name, self.share))

    def during(self, name: str) -> bool:
        """Whether the beat `name` is on."""
        start, end = self.step.beats[name]
        return start <= self.time_s < end

    def after(self, name: str) -> bool:
        """Whether the beat `name` has begun."""
        return self.time_s >= self.step.beats[name][0] - 1e-9

    def over(self, name: str) -> bool:
        """Whether the beat `name` is over."""
        return self.time_s >= self.step.beats[name][1] - 1e-9

    def shown(self, name: str, fade_s: float = 0.4, until: str | None = None) -> float:
        """0 to 1: fades in as the beat `name` begins and, if given, is gone as the beat `until` begins."""
        end = None if until is None else self.step.beats[until][0]
        return appear(self.time_s, self.step.beats[name][0], fade_s, end)


class PlayPiece(Animation):
    """One piece of a film as a manim animation: alpha is the piece's own clock."""

    def __init__(self, scene: ProcedureScene, piece: Piece) -> None:
        # manim counts frames up to the run time with rounding errors: a hair less gives exactly the piece's frames
        super().__init__(scene.viewport, run_time=piece.end_s - piece.start_s - 1e-6, rate_func=linear)
        self.scene, self.piece = scene, piece

    def interpolate_mobject(self, alpha: float) -> None:
        """Show the film at the share `alpha` of the piece."""
        seconds = self.piece.start_s + alpha * (self.piece.end_s - self.piece.start_s)
        self.scene.show(min(seconds, self.scene.clock.seconds))


class ProcedureScene(Scene):
    """A film of one procedure and one case.

    Args:
        case: the patient; None takes SPINEVIZ_CASE and SPINEVIZ_SET of the environment, or the default.
        painter: what draws views; None is the project's own.
        theme: the name of its colours.
        transparent: frames are without their ground.

    A subclass gives `film_name` and a `shot_...` method for each step, and may give `setup_film`. See the module's
    docstring.
    """

    film_name: ClassVar[str] = ""
    language: ClassVar[str] = "en"

    def __init__(
        self,
        *args: Any,
        case: Case | None = None,
        painter: Paints | None = None,
        theme: str = "dark",
        transparent: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("camera_class", FilmCamera)
        # pieces are functions of time already; hashing them would only cost
        config.disable_caching = True
        super().__init__(*args, **kwargs)
        self.clock: Film = self.find_clock()
        self.size_px = (int(self.camera.pixel_width), int(self.camera.pixel_height))
        self.design = design_of(self.size_px)
        self.theme = named_theme(theme)
        self.plan: Any = self.make_plan(case)
        self._painter = painter
        self.transparent = transparent
        self._screen: Screen | None = None
        self._shots: OrderedDict[int, Shot] = OrderedDict()
        self._structures: OrderedDict[Hashable, Mapping[str, Structure]] = OrderedDict()
        self._states: OrderedDict[tuple[str, float], Any] = OrderedDict()
        self._state_keys: OrderedDict[tuple[str, str, float], Hashable] = OrderedDict()
        self._outlines: OrderedDict[Hashable, NDArray[np.float64]] = OrderedDict()
        self._words: dict[str, Mapping[str, Any]] = {}
        self.viewport = Viewport(clear=transparent)
        self.add(self.viewport)
        self.setup_film()

    # what a film says

    def setup_film(self) -> None:
        """Called once, when `plan` is there: cameras, projections, landmarks."""

    def shot_at(self, time_s: float) -> Shot:
        """What is on screen at `time_s` of the film: a pure function. It is told by `shot_STEP(moment)`, and fitted to
        the aspect that the camera's pixels have."""
        now = self.moment(time_s)
        told: Shot = getattr(self, f"shot_{now.step.name}")(now)
        return fitted(told, slots_of(told, self.design), slots_of(told), self.design)

    def make_plan(self, case: Case | None) -> Any:
        """The plan that the film shows."""
        from spineviz.procedures.plans import plan_for

        return plan_for(self.film_name, case if case is not None else case_of_environment())

    def find_clock(self) -> Film:
        """The film's steps and beats."""
        return film(self.film_name)

    def make_painter(self) -> Paints:
        """What draws views."""
        from spineviz.film.kept_sums import kept_arrays
        from spineviz.film.painter import Painter

        return Painter(self.theme, seed=int(getattr(self.plan.case, "seed", 0)), keep=kept_arrays)

    # what a scene may use

    def moment(self, time_s: float) -> Moment:
        """The step that is on, as `shot_...` methods take it."""
        step, share = self.clock.at(time_s)
        return Moment(step, share, self.state)

    def state(self, step: str, share: float) -> Any:
        """The plan's State at a share of a step, without what no picture shows; the latest are kept."""
        key = (step, round(share, 9))
        return _kept(self._states, key, lambda: self.plan.state_at(step, share, measured=False), 64)

    def structures_of(self, state: Any, plan: str = "") -> Mapping[str, Structure]:
        """All that exists in `plan` at one of its states."""
        return self._existing(plan, _state_key(state), lambda: state)

    def told(self, now: Moment, **parts: Any) -> Shot:
        """A Shot of `parts` with title, seen_from and caption of the step's narration, unless `parts` has them."""
        words = narration(self.clock, self.language)[now.step.name]
        parts.setdefault("title", self.fill(words.title, now.step.name))
        parts.setdefault("seen_from", words.seen_from)
        caption = words.caption_at(now.time_s)
        if caption is not None and "caption" not in parts:
            parts["caption"] = self.fill(caption.text, now.step.name)
            parts.setdefault("caption_shown", appear(now.time_s, caption.start_s, _CAPTION_FADE_S))
        return Shot(**parts)

    def said(self) -> dict[str, Any]:
        """What the film says, filled, as plain values: step -> its title and captions (start_s, end_s, text)."""
        told = narration(self.clock, self.language)
        out = {}
        for step in self.clock.steps:
            words = told[step.name]
            captions = [
                [round(step.start_s + c.start_s, 3), round(step.start_s + c.end_s, 3), self.fill(c.text, step.name)]
                for c in words.captions
            ]
            out[step.name] = {"title": self.fill(words.title, step.name), "captions": captions}
        return out

    def words(self, step: str, name: str) -> str:
        """Other words of the step, by name (`[step.NAME.words]` of the narration), filled."""
        return self.fill(narration(self.clock, self.language)[step].words[name], step)

    def label(
        self,
        now: Moment,
        name: str,
        role: str,
        anchor: Point,
        side: Side,
        shown: float,
        importance: float = 1.0,
        rest: Point | None = None,
        view: str = "stage",
        words_of: str = "",
    ) -> Label:
        """A label on a stage with the word `name` of the step, or of the step `words_of`; `rest` is where its anchor
        comes to rest."""
        return Label(self.words(words_of or now.step.name, name), role, anchor, side, importance, shown, rest, view)

    def fill(self, text: str, step: str) -> str:
        """`text` with its placeholders filled from the plan; the sign before a negative number is a minus sign."""
        return _MINUS.sub("−", filled(text, self.vocabulary, step)) if "{" in text else text

    @cached_property
    def vocabulary(self) -> Mapping[str, Any]:
        """What placeholders may name: the plan's words, published outcomes, the version, and phrases for the case."""
        outcomes = {name: row.value for name, row in sourced_table(asset("films", "outcomes.csv")).items()}
        return with_phrases(
            {"version": __version__, **outcomes, **getattr(self.plan, "margins", {}), **self.plan.words()},
            self.clock.name,
            self.language,
        )

    def card(self, now: Moment, kind: CardKind, **parts: Any) -> Shot:
        """The step's card with the words of its narration; a column appears with its beat.

        `parts` go to the CardShot ("picture", "backdrop").
        """
        step = now.step.name
        words = narration(self.clock, self.language)[step].card
        if words is None:
            raise KeyError(f"step {step}: the narration has no card")
        columns = tuple(
            CardColumn(
                self.fill(column.title, step),
                tuple(CardRow(*(self.fill(text, step) for text in row)) for row in column.rows),  # type: ignore[arg-type]
                now.shown(column.beat) if column.beat else 1.0,
            )
            for column in words.columns
        )
        card = CardShot(
            kind,
            self.fill(words.heading, step),
            tuple(self.fill(line, step) for line in words.lines),
            columns,
            tuple(self.fill(note, step) for note in words.notes),
            **parts,
        )
        return self.told(now, layout="card", card=card)

    # what a screen asks (spineviz.film.screen.Source)

    def structures(self, time_s: float, moment: tuple[str, float] | None, plan: str = "") -> Mapping[str, Structure]:
        """All that exists in `plan` at `moment`, or at `time_s` of the film."""
        key = self.state_key(time_s, moment, plan)
        return self._existing(plan, key, lambda: self._state(time_s, moment, plan))

    def _existing(self, plan: str, key: Hashable, find_state: Callable[[], Any]) -> Mapping[str, Structure]:
        """The structures of the state that `key` tells from others; the latest are kept."""
        most = max(4, 2 * len(self.plans))
        return _kept(self._structures, (plan, key), lambda: self.plan_of(plan).structures_at(find_state()), most)

    def state_key(self, time_s: float, moment: tuple[str, float] | None, plan: str = "") -> Hashable:
        """The same for moments whose structures are the same."""
        step, share = self._asked(time_s, moment)
        return _kept(
            self._state_keys,
            (plan, step, round(share, 9)),
            lambda: _state_key(self._state(time_s, moment, plan)),
            64 * max(1, len(self.plans)),
        )

    def step_start_s(self, time_s: float) -> float:
        """When the step that is on at `time_s` began."""
        return self.clock.at(time_s)[0].start_s

    def outline(self, time_s: float, shot: StageShot) -> NDArray[np.float64]:
        """The corners (N, 3) mm of the boxes round the body's parts that the stage shows when the step begins."""
        moment = shot.moment or (self.clock.at(time_s)[0].name, 0.0)
        key = (moment, shot.plan, shot.look.hidden)
        return _kept(self._outlines, key, lambda: self._outline(time_s, moment, shot), 4)

    def _outline(self, time_s: float, moment: tuple[str, float], shot: StageShot) -> NDArray[np.float64]:
        boxes = [
            corners(structure.field.bounds_mm)
            for name, structure in self.structures(time_s, moment, shot.plan).items()
            if structure.role in SUBJECT_ROLES and name not in shot.look.hidden
        ]
        return np.array(boxes).reshape(-1, 3)

    def plane(self, name: str, plan: str = "") -> Frame:
        """world_from_plane of a section; KeyError, listing the planes, for one that the plan has not."""
        planes = self.plan_of(plan).planes
        if name not in planes:
            raise KeyError(f"no plane {name!r}; there is {', '.join(planes)}")
        found: Frame = planes[name]
        return found

    def reading(
        self, name: str, time_s: float, moment: tuple[str, float] | None = None, plan: str = ""
    ) -> Reading | None:
        """What the gauge `name` ("wedge", or of another plan "PLAN:wedge") says; KeyError, listing the gauges, for
        another."""
        given, _, gauge = name.rpartition(":")
        plan = given or plan
        if gauge not in GAUGES:
            raise KeyError(f"no gauge {gauge!r}; there is {', '.join(GAUGES)}")
        return GAUGES[gauge](self._state(time_s, moment, plan), self.plan_of(plan), self._plan_words(plan))

    def plot(self, time_s: float, shot: PlotShot) -> Plot:
        """What a plot shows; KeyError, listing the plots, for one that does not exist."""
        if shot.plot not in PLOTS:
            raise KeyError(f"no plot {shot.plot!r}; there is {', '.join(PLOTS)}")
        return PLOTS[shot.plot](self._state(time_s, shot.moment, shot.plan), self.plan_of(shot.plan))

    @property
    def plans(self) -> Mapping[str, Any]:
        """The plans that views may name; "" is the film's own."""
        return {"": self.plan, **getattr(self.plan, "plans", {})}

    def plan_of(self, name: str) -> Any:
        """The plan that views call `name`; KeyError, listing them, for another."""
        if name not in self.plans:
            raise KeyError(f"no plan {name!r}; there is {', '.join(repr(known) for known in self.plans)}")
        return self.plans[name]

    def _plan_words(self, name: str) -> Mapping[str, Any]:
        """What gauges of the plan `name` may read."""
        if name and name not in self._words:
            self._words[name] = self.plan_of(name).words()
        return self._words[name] if name else self.vocabulary

    def _asked(self, time_s: float, moment: tuple[str, float] | None) -> tuple[str, float]:
        """`moment`, or the one at `time_s` of the film."""
        if moment is not None:
            return moment
        step, share = self.clock.at(time_s)
        return step.name, share

    def _state(self, time_s: float, moment: tuple[str, float] | None, plan: str = "") -> Any:
        self.plan_of(plan)  # says which plans there are where there is none of the name
        state = self.state(*self._asked(time_s, moment))
        return getattr(state, plan) if plan else state

    # frames

    @property
    def screen(self) -> Screen:
        """What turns shots into layers, at the camera's size."""
        if self._screen is None:
            self._screen = Screen(
                self.size_px, self, self._painter or self.make_painter(), self.theme, self.transparent
            )
        return self._screen

    def instant(self, time_s: float) -> Instant:
        """The shot at `time_s` in its place in the film."""
        step, share = self.clock.at(time_s)
        shot = self._shot(time_s)
        previous, changed_s, eased = self._change(time_s, shot)
        return Instant(
            time_s=time_s,
            shot=shot,
            previous=previous,
            changed_s=changed_s,
            share=eased,
            step=self.clock.steps.index(step),
            steps=len(self.clock.steps),
            age_s=share * step.seconds,
            subtitle=self.subtitle,
        )

    @property
    def subtitle(self) -> str:
        """The beginning of the muted line under each title: procedure and level."""
        level = getattr(getattr(self.plan.case, "spine", None), "level", "")
        return f"{self.film_name} · {level}" if level else self.film_name

    def fingerprint(self, time_s: float) -> Hashable:
        """The same for moments whose frames are the same, found without drawing."""
        return self.screen.fingerprint(self.instant(time_s))

    def show(self, time_s: float) -> None:
        """Put the film's frame at `time_s` into the viewport, for manim to display."""
        self.viewport.layers = tuple(self.screen.layers(self.instant(time_s)))

    def frame_at(self, time_s: float) -> NDArray[np.uint8]:
        """The frame at `time_s`, (H, W, 3) sRGB, or of a transparent film (H, W, 4) with straight alpha."""
        return self.screen.frame(self.instant(time_s))

    def forget(self) -> None:
        """Drop what earlier frames left that could show in later ones, so that a piece is the same whoever draws it."""
        self._shots.clear()
        if self._screen is not None:
            self._screen.forget()

    def construct(self) -> None:
        """Play the film piece by piece; manim calls this."""
        for piece in pieces(self.clock):
            self.play(PlayPiece(self, piece))

    def _shot(self, time_s: float) -> Shot:
        return _kept(self._shots, round(time_s * 3000), lambda: self.shot_at(time_s), 64)

    def _change(self, time_s: float, shot: Shot) -> tuple[Shot | None, float, float]:
        """The shot before the last change of layout, when it was, and the eased share of the change that is done."""
        key, tick = shot_key(shot, self.design), int(time_s / _TICK_S + 1e-6)
        low = max(0, tick - int(TRANSITION_S / _TICK_S + 0.5))
        if tick == 0 or shot_key(self._shot(low * _TICK_S), self.design) == key:
            return None, time_s, 1.0
        high = tick
        if shot_key(self._shot(tick * _TICK_S), self.design) != key:  # changed between the tick and now
            low = tick
            high = tick + 1
        while high - low > 1:
            middle = (low + high) // 2
            if shot_key(self._shot(middle * _TICK_S), self.design) == key:
                high = middle
            else:
                low = middle
        share = smooth((time_s - low * _TICK_S) / TRANSITION_S)
        if share >= 1.0:
            return None, time_s, 1.0
        return self._shot(low * _TICK_S), low * _TICK_S, share


def case_of_environment() -> Case:
    """The case that SPINEVIZ_CASE (a file) and SPINEVIZ_SET (KEY=VALUE, one a line) name, or the default."""
    from spineviz.procedures.case import load_case

    path = os.environ.get("SPINEVIZ_CASE")
    settings = [line for line in os.environ.get("SPINEVIZ_SET", "").splitlines() if line.strip()]
    return load_case(Path(path) if path else None, settings)


@contextmanager
def quiet_manim(quality: Quality) -> Iterator[None]:
    """manim set to a quality, writing no file and no progress."""
    with tempconfig(
        {
            "pixel_width": quality.width_px,
            "pixel_height": quality.height_px,
            "frame_rate": quality.frames_per_s,
            "dry_run": True,
            "disable_caching": True,
            "progress_bar": "none",
            "verbosity": "ERROR",
        }
    ):
        yield


def _state_key(state: Any) -> Hashable:
    """The same for states whose structures are the same."""
    values = {k: v for k, v in vars(state).items() if k not in ("time_s", "step", "share", "_frozen")}
    # the theatre stands in the picture or not whatever the numbers say: the step tells
    return getattr(state, "step", ""), frozen(values)


def _kept(store: OrderedDict[Any, Any], key: Hashable, make: Callable[[], Any], most: int) -> Any:
    """The value under `key`, made if missing; the one used longest ago is dropped when there are more than `most`."""
    if key not in store:
        store[key] = make()
        while len(store) > most:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]
