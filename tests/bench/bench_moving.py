"""What a frame costs when much of the body moves: python tests/bench/bench_moving.py [QUALITY].

Processor time on one core of the frames of a beat in which the treated bone, its discs and the column above change all
the time, after those before it are drawn.
"""

from __future__ import annotations

import sys

from told import milliseconds, tell

from spineviz.data.films import film
from spineviz.film.opening import opened
from spineviz.film.pieces import QUALITIES, Quality
from spineviz.procedures.case import Case

BEATS = (("vertebroplasty", "fracture", "collapse"), ("vertebroplasty", "table", "posture"))
FRAMES = 24
LIMIT_DRAFT_MS = 300.0


def bench_beat(name: str, step_name: str, beat: str, quality: Quality) -> None:
    """A beat's middle."""
    step = film(name).step(step_name)
    start, end = step.beats[beat]
    begin = round((step.start_s + 0.35 * (end - start) + start) * quality.frames_per_s)
    with opened(name, Case(), quality) as scene:
        spent = [milliseconds(lambda i=i: scene.frame_at((begin + i) / quality.frames_per_s)) for i in range(FRAMES)]
    # neighbours share radiographs (of one pulse), so the mean of a few frames is what a frame costs
    means = [sum(spent[i : i + 4]) / 4 for i in range(4, FRAMES, 4)]
    limit = LIMIT_DRAFT_MS if (quality.name, beat) == ("draft", "collapse") else None
    tell(f"{name} {quality.name}, {step_name}, {beat}", means, "ms", limit)


if __name__ == "__main__":
    chosen = QUALITIES[sys.argv[1] if len(sys.argv) > 1 else "draft"]
    for place in BEATS:
        bench_beat(*place, chosen)
