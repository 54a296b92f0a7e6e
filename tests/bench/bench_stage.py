"""How long the stage takes: `python tests/bench/bench_stage.py` prints one line a picture size.

Moving: the camera orbits, everything is drawn. Resting: the camera stands and one thing moves. Room: the table, the
C-arm and the team. Memory is what the process holds over what it held once anatomy and plan were there.
"""

from __future__ import annotations

import os

os.environ.setdefault("LP_NUM_THREADS", "1")  # as a worker of the film draws
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import resource
import time
from collections.abc import Callable, Iterable
from functools import partial

from spineviz.devices.theatre import theatre as room_of
from spineviz.procedures.case import load_case
from spineviz.procedures.vertebroplasty import plan_vertebroplasty
from spineviz.views.camera import Camera, camera_from
from spineviz.views.stage import Stage, StageLook

SIZES = {"draft": (570, 400), "hd": (853, 613), "fhd": (1280, 920)}
TRUNK = frozenset({"skin", "muscle", "lungs", "aorta", "cava", "ribs-right", "ribs-left"})


def milliseconds(works: Iterable[Callable[[], object]]) -> float:
    """Processor time of each of `works`, the mean."""
    start, count = time.process_time(), 0
    for work in works:
        work()
        count += 1
    return 1000 * (time.process_time() - start) / count


def megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    plan = plan_vertebroplasty(load_case(None, []))
    look = StageLook(glass=frozenset({plan.case.spine.level}), hidden=TRUNK)
    camera = camera_from((320, 18), (0, -22, 0), 330, 24)
    room = Camera((-1750, -2050, 2250), (90, 120, -60), (0, -1, 0), 30)
    scenes = [dict(plan.structures_at(plan.state_at("cement", 0.3 + 0.1 * i))) for i in range(6)]
    theatre = room_of(plan.case.spine.level)
    before = megabytes()
    print(f"{'stage':8}{'first':>9}{'moving':>9}{'resting':>9}{'same':>9}{'room':>9}   ms of one core; memory MB")
    for name, size in SIZES.items():
        stage = Stage(size)
        for scene in scenes:
            stage.draw(scene, camera.orbited(40), look)  # anatomy's own time is not the stage's
        first = milliseconds([partial(stage.draw, scenes[0], camera, look)])
        moving = milliseconds([partial(stage.draw, scenes[0], camera.orbited(2 * i), look) for i in range(1, 7)])
        for scene in scenes[:3]:
            stage.draw(scene, camera, look)
        resting = milliseconds([partial(stage.draw, scene, camera, look) for scene in scenes[3:]])
        same = milliseconds([partial(stage.draw, scenes[-1], camera, look)] * 3)
        stage.draw(theatre, room)
        turned = milliseconds([partial(stage.draw, theatre, room.orbited(i)) for i in range(1, 4)])
        row = "".join(f"{v:9.1f}" for v in (first, moving, resting, same, turned))
        print(f"{name:8}{row}   {megabytes() - before:.0f}")
        stage.close()


if __name__ == "__main__":
    main()
