"""Any manim scene file as a film in pieces: its plays are counted once, then drawn by ranges, in any order.

    scene = parse_scene_file("lecture/waves.py:Waves")
    told = survey(scene, quality, media)          # runs construct() once and draws nothing
    with SceneRun(scene, quality, media) as run:  # one a worker: ranges that follow one another cost one pass
        for piece in ranges_of(told.plays):
            for frame in run.frames(piece):
                ...

manim's own skipping jumps to each play's end with one long step, after which whatever counts steps (updaters, traces,
flows) stands elsewhere than in a film that was drawn. Here earlier plays are gone through frame by frame and merely not
drawn, so a piece's frames are those of the whole film, wherever it begins.

manim's settings, its random numbers and the folder of imports belong to the whole process: run one scene at a time in
it, and draw nothing else with manim while a SceneRun is open.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spineviz.data.errors import FaultError, RequestError
from spineviz.film.opening import SceneSource
from spineviz.film.pieces import LONGEST_S, Quality

if TYPE_CHECKING:
    from spineviz.film.manim_pass import Pass

Frame = NDArray[np.uint8]

IMPURE = "so the scene is not the same each time it runs; seed its random numbers and ask no clock (see render --help)"


@dataclass(frozen=True)
class Play:
    """One play() or wait() of a scene.

    Attributes:
        number: its place, counted from 0.
        run_time_s: what the scene asks for.
        start_frame, frames: where it lies in the film and how long; 0 frames in a section that is skipped.
        look: a digest of all that is on screen when it is over, coarse enough for another processor's rounding.
    """

    number: int
    run_time_s: float
    start_frame: int
    frames: int
    look: str


@dataclass(frozen=True)
class Range:
    """Plays that are drawn together, one piece of the film.

    Attributes:
        index: its place in the film.
        plays: consecutive plays.
    """

    index: int
    plays: tuple[Play, ...]

    @property
    def first(self) -> int:
        """The number of its first play."""
        return self.plays[0].number

    @property
    def last(self) -> int:
        """The number of its last play."""
        return self.plays[-1].number

    @property
    def start_frame(self) -> int:
        """The frame of the film with which it begins."""
        return self.plays[0].start_frame

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return sum(play.frames for play in self.plays)


@dataclass(frozen=True)
class Survey:
    """What one pass through a scene without drawing finds.

    Attributes:
        plays: every play() and wait().
        captions: (start_s, end_s, text) of every subcaption, seconds of the film, in order.
        chapters: (start_s, name) of every section that was given a name.
        sound: the sounds of add_sound(), mixed, as a WAV file; empty where there are none.
        files: the scene's file, the modules beside it and every file that it read: what its pictures depend on.
    """

    plays: tuple[Play, ...]
    captions: tuple[tuple[float, float, str], ...]
    chapters: tuple[tuple[float, str], ...]
    sound: bytes
    files: tuple[Path, ...]


def parse_scene_file(text: str) -> SceneSource | None:
    """The scene that `text` (path/to/scene.py:ClassName) names; None where it is a plain film's name.

    Raises:
        RequestError: the file is missing or no Python file, or has no such Scene; the message lists those that it has.
        FaultError: the file fails when it is imported.
    """
    place, colon, name = text.rpartition(":")
    if not colon or name.endswith(".py"):
        place, name = text, ""
    if not colon and not place.endswith(".py") and not {"/", os.sep} & set(place):
        return None
    path = Path(place)
    if path.suffix != ".py":
        raise RequestError(f"FILM {text!r}: not a Python file; give path/to/scene.py:ClassName")
    try:
        found = path.is_file()
    except (OSError, ValueError) as error:
        raise RequestError(f"FILM {text[:80]!r}: not a path; give path/to/scene.py:ClassName") from error
    if not found:
        raise RequestError(f"FILM {text}: there is no file {place}; give path/to/scene.py:ClassName")
    from spineviz.film.manim_pass import classes_of

    scene_source = SceneSource(path.resolve(), name)
    scenes, others = classes_of(scene_source)
    has = f"the file has {', '.join(scenes)}" if scenes else "the file has no Scene"
    if not name:
        raise RequestError(f"FILM {text}: give the scene's class too, {place}:ClassName; {has}")
    if name in others:
        raise RequestError(f"FILM {text}: {name} is not a manim Scene; {has}")
    if name not in scenes:
        raise RequestError(f"FILM {text}: no class {name}; {has}")
    return scene_source


def is_film_scene(scene_source: SceneSource) -> bool:
    """Whether the class is a film of this project's kind, a ProcedureScene, which is drawn by time and not by plays."""
    from spineviz.film.manim_pass import is_procedure_scene

    return is_procedure_scene(scene_source)


def survey(scene_source: SceneSource, quality: Quality, media: Path) -> Survey:
    """Run the scene once without drawing.

    Args:
        media: a folder for what manim writes meanwhile (type and formulas as SVG), of this process alone.

    Raises:
        RequestError: the scene plays nothing, or is not for the Cairo renderer.
        FaultError: the scene fails; the message names file, line and exception.
    """
    from spineviz.film.manim_pass import survey_of

    return survey_of(scene_source, quality, media)


def ranges_of(plays: Sequence[Play], frames_per_s: float, most_s: float = LONGEST_S) -> tuple[Range, ...]:
    """The plays in runs of at most `most_s` seconds of film; a longer play is one by itself."""
    most = most_s * frames_per_s + 1e-6
    runs: list[list[Play]] = []
    for play in plays:
        if not play.frames:
            continue  # a skipped section's
        if runs and sum(one.frames for one in runs[-1]) + play.frames <= most and _follows(runs[-1][-1], play):
            runs[-1].append(play)
        else:
            runs.append([play])
    return tuple(Range(index, tuple(run)) for index, run in enumerate(runs))


def _follows(before: Play, after: Play) -> bool:
    return after.number == before.number + 1


def frames_of_range(scene_source: SceneSource, quality: Quality, wanted: Range, media: Path) -> Iterator[Frame]:
    """The frames (H, W, 3) sRGB of a range, in a run of its own; see SceneRun.frames."""
    with SceneRun(scene_source, quality, media) as run:
        yield from run.frames(wanted)


class SceneRun:
    """A scene that stands still in construct() between the frames that it is asked for.

    A range behind the last one goes on from there; one before it begins anew. construct() runs in a thread of its own,
    which only ever works while `frames` waits for it.

    Args:
        media: as for `survey`.
    """

    def __init__(self, scene_source: SceneSource, quality: Quality, media: Path) -> None:
        self.scene_source, self.quality, self.media = scene_source, quality, media
        self._thread: threading.Thread | None = None
        self._next = 0
        self._stopping = False

    def __enter__(self) -> SceneRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frames(self, wanted: Range) -> Iterator[Frame]:
        """The frames (H, W, 3) sRGB of the range, as manim draws them; a frame that stands is the same array again.

        Raises FaultError where the scene fails, or is not the one that was surveyed.
        """
        if self._thread is None or wanted.first < self._next:
            self.close()
            self._start(wanted)
        else:
            self._orders.put(wanted)
        whole = False
        try:
            while True:
                kind, *rest = self._made.get()
                if kind == "failed":
                    raise rest[0]
                if kind == "done":
                    break
                frame, count = rest
                for _ in range(count):
                    yield frame
                self._orders.put("on")
            whole = True
            self._next = wanted.last + 1
        finally:
            if not whole:
                self.close()

    def close(self) -> None:
        """End the run; the next `frames` begins anew."""
        if self._thread is not None:
            self._stopping = True
            self._orders.put(None)
            self._thread.join()
            self._thread = None

    def _start(self, wanted: Range) -> None:
        self._orders: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._wanted, self._next, self._stopping = wanted, 0, False
        self._thread = threading.Thread(target=self._run, name=str(self.scene_source), daemon=True)
        self._thread.start()

    # --- in the thread ---

    def _run(self) -> None:
        from spineviz.film.manim_pass import Enough, Pass

        work = Pass(self.scene_source, self.quality, self.media, self)
        try:
            work.run()
            self._made.put(("failed", self._differs(f"it ends before play {len(work.plays) + 1}, which it had before")))
        except Enough as end:
            if end.fault is not None:
                self._made.put(("failed", end.fault))
        except BaseException as error:
            self._made.put(("failed", error))

    def draws(self, number: int) -> bool:
        """Whether the play `number` is drawn (a Pass asks)."""
        return number >= self._wanted.first

    def take(self, work: Pass, frame: Frame, count: int) -> None:
        """Hand over a frame that stands for `count` of them (a Pass calls this)."""
        self._made.put(("frame", frame, count))
        self._order(work)

    def step(self) -> bool:
        """Whether to go on (a Pass asks at every step)."""
        return not self._stopping

    def played(self, work: Pass, play: Play) -> None:
        """Compare a play with the survey's, and wait for the next range where this one is over (a Pass calls this)."""
        from spineviz.film.manim_pass import Enough

        if play.number < self._wanted.first:
            return
        known = self._wanted.plays[play.number - self._wanted.first]
        where = f"play {play.number + 1}"
        if play.frames != known.frames:
            fault = self._differs(f"{where} has {play.frames} frames, and {known.frames} in the run before")
        elif play.start_frame != known.start_frame:
            fault = self._differs(f"{where} begins at frame {play.start_frame}, and {known.start_frame} before")
        elif play.look != known.look:
            fault = self._differs(f"what is on screen after {where} differs from run to run")
        else:
            fault = None
        if fault is not None:
            raise Enough(fault)
        if play.number == self._wanted.last:
            self._made.put(("done",))
            self._wanted = self._order(work)

    def _order(self, work: Pass) -> Any:
        from spineviz.film.manim_pass import Enough

        with work.aside():
            order = self._orders.get()
        if order is None:
            raise Enough
        return order

    def _differs(self, how: str) -> FaultError:
        return FaultError(f"{self.scene_source}: {how}; {IMPURE}")
