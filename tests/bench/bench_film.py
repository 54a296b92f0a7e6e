"""What a frame costs: run it with python tests/bench/bench_film.py [QUALITY].

Prints, for each step of each film, CPU milliseconds a frame over runs of neighbouring frames, the cost of the first
frame of a run, and an estimate of the whole film; and what the screen alone (chrome, labels, words) takes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from spineviz.data.films import film_names
from spineviz.film.base import quiet_manim
from spineviz.film.opening import load_scene, opened
from spineviz.film.pieces import QUALITIES, Quality
from spineviz.film.workers import SceneSource

RUN_FRAMES, SHARES = 8, (0.2, 0.45, 0.7)


def bench_screen(quality: Quality) -> None:
    """The overhead of everything but the views."""
    standin = SceneSource(Path(__file__).parents[1] / "film" / "standin.py", "Standin")
    with quiet_manim(quality):
        scene = load_scene(standin)()
        scene.frame_at(0.6)
        start, count = time.process_time(), 20
        for i in range(count):
            scene.frame_at(0.6 + i / quality.frames_per_s)
        print(f"{quality.name}: chrome, labels and words {1e3 * (time.process_time() - start) / count:.1f} ms a frame")


def bench_film(name: str, quality: Quality) -> None:
    """Every step of a film."""
    from spineviz.procedures.case import Case

    whole, start = 0.0, time.process_time()
    with opened(name, Case(), quality) as scene:
        print(f"{name} {quality.name}: plan and scene {time.process_time() - start:.1f} s")
        for step in scene.clock.steps:
            firsts, rest = [], []
            for share in SHARES:
                begin = round((step.start_s + share * step.seconds) * quality.frames_per_s) / quality.frames_per_s
                last = None
                for i in range(RUN_FRAMES):
                    start = time.process_time()
                    key = scene.fingerprint(begin + i / quality.frames_per_s)
                    if key != last:
                        scene.frame_at(begin + i / quality.frames_per_s)
                    last = key
                    (rest if i else firsts).append(time.process_time() - start)
            mean = sum(rest) / len(rest)
            whole += mean * step.seconds * quality.frames_per_s + sum(firsts)
            print(f"  {step.name:<12}{1e3 * mean:6.0f} ms a frame, first {max(firsts):.1f} s")
        print(f"  the film: about {whole:.0f} s of one core before encoding")


if __name__ == "__main__":
    chosen = QUALITIES[sys.argv[1] if len(sys.argv) > 1 else "draft"]
    bench_screen(chosen)
    for film_name in film_names():
        bench_film(film_name, chosen)
