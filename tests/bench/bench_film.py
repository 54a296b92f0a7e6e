"""What a frame costs: run it with python tests/bench/bench_film.py [QUALITY].

Processor time on one core: of chrome, labels and words alone; and for each step of each film of a run's first frame
and of a moving frame, neighbours that equal the one before left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from told import milliseconds, tell

from spineviz.data.films import film_names
from spineviz.film.base import ProcedureScene, quiet_manim
from spineviz.film.opening import SceneSource, load_scene, opened
from spineviz.film.pieces import QUALITIES, Quality
from spineviz.procedures.case import Case

RUN_FRAMES, SHARES = 8, (0.2, 0.45, 0.7)


def bench_screen(quality: Quality) -> None:
    """The overhead of everything but the views."""
    standin = SceneSource(Path(__file__).parents[1] / "film" / "standin.py", "Standin")
    with quiet_manim(quality):
        scene = load_scene(standin)()
        scene.frame_at(0.6)
        times = [0.6 + i / quality.frames_per_s for i in range(20)]
        tell(f"{quality.name}, chrome and words", [milliseconds(lambda t=t: scene.frame_at(t)) for t in times], "ms")


def run_of_frames(scene: ProcedureScene, begin_s: float, frames_per_s: int) -> list[float]:
    """Milliseconds of each frame of a run that differs from the one before."""
    spent, last = [], None
    for i in range(RUN_FRAMES):
        time_s = begin_s + i / frames_per_s
        key = scene.fingerprint(time_s)
        if key != last:
            spent.append(milliseconds(lambda t=time_s: scene.frame_at(t)))
        last = key
    return spent


def bench_film(name: str, quality: Quality) -> None:
    """Every step of a film."""
    with opened(name, Case(), quality) as scene:
        for step in scene.clock.steps:
            firsts, moving = [], []
            for share in SHARES:
                begin = round((step.start_s + share * step.seconds) * quality.frames_per_s) / quality.frames_per_s
                first, *rest = run_of_frames(scene, begin, quality.frames_per_s)
                firsts.append(first)
                moving += rest
            told = f"{name} {quality.name}, {step.name}"
            tell(f"{told}, first frame", firsts, "ms")
            if moving:
                tell(f"{told}, moving frame", moving, "ms")


if __name__ == "__main__":
    chosen = QUALITIES[sys.argv[1] if len(sys.argv) > 1 else "draft"]
    bench_screen(chosen)
    for film_name in film_names():
        bench_film(film_name, chosen)
