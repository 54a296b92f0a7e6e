"""Any manim scene as something to render: its plays in ranges take the place of a film's steps."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.film.drawing import Task
from spineviz.film.engine import fingerprint, versions
from spineviz.film.manim_scenes import Range, SceneRun, Survey, ranges_of, survey
from spineviz.film.naming import digest_of
from spineviz.film.opening import SceneSource
from spineviz.film.pieces import Piece
from spineviz.film.rendition import Rendition
from spineviz.film.shows import Told
from spineviz.film.sidecar import SIDECAR_MARK
from spineviz.procedures.kept import KeptFiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PlaysPiece(Piece):
    """A piece that consists of plays; its `step` names them."""

    plays: Range


@dataclass(frozen=True)
class PlaysJob:
    """A scene of the user's; `opened` gives what draws its plays."""

    scene: SceneSource
    rendition: Rendition
    forks = False
    """A scene stands still in a thread, which a copy of the process would not have."""

    @contextmanager
    def opened(self) -> Iterator[PlaysDrawer]:
        """The scene, standing before its first play."""
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # manim's bars want a lock between processes, which a stopped worker leaks
        with (
            tempfile.TemporaryDirectory(prefix="spineviz-") as media,
            SceneRun(self.scene, self.rendition.size, Path(media)) as run,
        ):
            yield PlaysDrawer(self.scene, run)


class PlaysDrawer:
    """Draws ranges of plays."""

    def __init__(self, scene: SceneSource, run: SceneRun) -> None:
        self.scene, self.run = scene, run

    @property
    def about(self) -> dict[str, Any]:
        """The class; a scene says nothing else of itself."""
        return {"scene": self.scene.class_name}

    def share(self) -> None:
        """Nothing: its processes share nothing."""

    def frames(self, piece: Piece) -> Iterator[NDArray[np.uint8]]:
        """As spineviz.film.drawing.Drawer says."""
        assert isinstance(piece, PlaysPiece)
        yield from self.run.frames(piece.plays)


@dataclass(frozen=True)
class PlaysShow:
    """A scene of the user's.

    Attributes:
        scene, rendition: which, and how drawn.
    """

    scene: SceneSource
    rendition: Rendition

    @property
    def name(self) -> str:
        """The class's name."""
        return self.scene.class_name

    @cached_property
    def survey(self) -> Survey:
        """What a pass without drawing finds; raises as spineviz.film.manim_scenes.survey."""
        with tempfile.TemporaryDirectory(prefix="spineviz-") as media:
            return survey(self.scene, self.rendition.size, Path(media))

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Its ranges in order, by name."""
        rate = self.rendition.size.frames_per_s
        ranges = ranges_of(self.survey.plays, rate)
        return tuple(Task(digest_of([self._ground, asdict(part)]), _piece(part, rate), part.frames) for part in ranges)

    @cached_property
    def _ground(self) -> str:
        """Of all that every piece depends on: what the scene reads, the class, the look, the engines."""
        files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.survey.files]
        return digest_of(["plays", sorted(files), self.scene.class_name, asdict(self.rendition), fingerprint()])

    @property
    def parts(self) -> tuple[str, ...]:
        """Which plays each piece has, in words."""
        return tuple(task.piece.step for task in self.tasks)

    @property
    def job(self) -> PlaysJob:
        """What a worker is told."""
        return PlaysJob(self.scene, self.rendition)

    @property
    def sound(self) -> bytes:
        """What the scene's own sounds give, a WAV file; empty for none."""
        return self.survey.sound

    def check(self) -> None:
        """Run it without drawing; raises as `survey`."""
        _ = self.survey

    def plans(self) -> KeptFiles:
        """None: a scene is made anew wherever it is drawn."""
        return {}

    @cached_property
    def digest(self) -> str:
        """What tells this film from every other."""
        return digest_of([[task.name for task in self.tasks], hashlib.sha256(self.sound).hexdigest()])

    @property
    def about_name(self) -> str:
        """Of the scene."""
        return digest_of(["about", self._ground])

    def told(self, about: dict[str, Any]) -> Told:
        """What it is and what it is made with; its sections as chapters, its subcaptions as captions."""
        rate = self.rendition.size.frames_per_s
        seconds = sum(task.count for task in self.tasks) / rate
        starts = [start for start, _ in self.survey.chapters]
        ends = [*starts[1:], seconds][: len(starts)]
        chapters = tuple((a, b, name) for (a, name), b in zip(self.survey.chapters, ends, strict=True))
        description = {
            "made_by": SIDECAR_MARK,
            "film": self.name,
            "title": self.name,
            "about": "animation of a manim scene",
            "digest": self.digest,
            **asdict(self.rendition),
            "scene": self.scene.path.name,
            "plays": len(self.survey.plays),
            "seconds": round(seconds, 3),
            "versions": versions(),
        }
        return Told(description, chapters, self.survey.captions)


def _piece(part: Range, frames_per_s: int) -> PlaysPiece:
    words = f"play {part.first + 1}" if part.first == part.last else f"plays {part.first + 1} to {part.last + 1}"
    start_s = part.start_frame / frames_per_s
    return PlaysPiece(part.index, words, start_s, start_s + part.frames / frames_per_s, part)
