"""How long the stage takes, by the picture's size: python tests/bench/bench_stage.py.

Moving: the camera orbits, everything is drawn. Resting: the camera stands and one thing moves. Room: the table, the
C-arm and the team. Memory is the most that the process has held over what it held once anatomy and plan were there.
"""

from __future__ import annotations

import resource
from functools import partial

from told import milliseconds, tell

from spineviz.devices.theatre import theatre as room_of
from spineviz.procedures.case import load_case
from spineviz.procedures.vertebroplasty import plan_vertebroplasty
from spineviz.views.camera import Camera, camera_from
from spineviz.views.stage import Stage, StageLook

SIZES = {"draft": (570, 400), "hd": (853, 613), "fhd": (1280, 920)}
TRUNK = frozenset({"skin", "muscle", "lungs", "aorta", "cava", "ribs-right", "ribs-left"})


def megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every size."""
    plan = plan_vertebroplasty(load_case(None, []))
    look = StageLook(glass=frozenset({plan.case.spine.level}), hidden=TRUNK)
    camera = camera_from((320, 18), (0, -22, 0), 330, 24)
    room = Camera((-1750, -2050, 2250), (90, 120, -60), (0, -1, 0), 30)
    scenes = [dict(plan.structures_at(plan.state_at("cement", 0.3 + 0.1 * i))) for i in range(6)]
    theatre = room_of(plan.case.spine.level)
    before = megabytes()
    for name, size in SIZES.items():
        stage = Stage(size)
        for scene in scenes:
            stage.draw(scene, camera.orbited(40), look)  # anatomy's own time is not the stage's
        draw = partial(partial, stage.draw)
        works = {
            "first": [draw(scenes[0], camera, look)],
            "moving": [draw(scenes[0], camera.orbited(2 * i), look) for i in range(1, 7)],
            "": [draw(scene, camera, look) for scene in scenes[:3]],
            "resting": [draw(scene, camera, look) for scene in scenes[3:]],
            "same": [draw(scenes[-1], camera, look)] * 3,
            "room": [draw(theatre, room.orbited(i)) for i in range(4)],
        }
        for what, frames in works.items():
            spent = [milliseconds(frame) for frame in frames]
            if what:
                tell(f"stage {name}, {what}", spent, "ms")
        tell(f"stages to {name}, memory", [megabytes() - before], "MB")
        stage.close()


if __name__ == "__main__":
    main()
