"""What a new shape of wire and catheter costs: python tests/bench/bench_devices.py.

They bend anew in every frame: a line of 600 mm and 300 points becomes surface, field and cells, and a radiograph of a
patient whose picture is kept takes them up. Then the angiography suite, which is made once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from told import milliseconds, tell

from spineviz.anatomy.column import column
from spineviz.anatomy.structure import Structure
from spineviz.anatomy.whole_body import whole_body
from spineviz.devices.angio_suite import angio_suite
from spineviz.devices.endovascular import catheter_structures, endovascular_sizes, wire_structure
from spineviz.views.fluoroscopy import Fluoroscope, projection

NAMES = ("wire-035-angled", "catheter-cobra-5F", "microcatheter-2.7F")
SIZE_PX = (360, 415)
FRAMES = 8
LIMIT_MADE_MS, LIMIT_PICTURE_MS, LIMIT_SUITE_MS = 15.0, 60.0, 4000.0


def line(number: int) -> NDArray[np.float64]:
    """(300, 3) a way up the aorta, each number another."""
    t = np.linspace(0.0, 1.0, 300)
    return np.column_stack([-12 + 14 * np.sin(5 * t + 0.01 * number), 35 - 10 * np.cos(4 * t), -400 + 588 * t])


def made(name: str, number: int) -> dict[str, Structure]:
    """The device of that size along a line of its own, its surface and the first place of its field."""
    size = endovascular_sizes()[name]
    along = line(number)
    out = {name: wire_structure(name, along, size)} if size.kind == "wire" else catheter_structures(name, along, size)
    for part in out.values():
        part.mesh(0.5)
        part.field(np.zeros((1, 3)))
    return out


def main() -> None:
    """Measure devices, radiograph and suite."""
    made(NAMES[0], 0)  # scipy's own loading is not what is timed
    for name in NAMES:
        tell(f"{name} made", [milliseconds(lambda i=i, n=name: made(n, i)) for i in range(FRAMES)], "ms", LIMIT_MADE_MS)
    body = whole_body(column("L1", lying=1.0))
    scope = Fluoroscope(SIZE_PX, projection("ap", field_of_view_mm=150))
    scope.image(body)
    spent = []
    for i in range(FRAMES):
        parts = {**body, **made(NAMES[0], i), **made(NAMES[1], i)}
        spent.append(milliseconds(lambda p=parts, t=0.2 * i: scope.image(p, t)))
    tell("radiograph, new wire and catheter", spent, "ms", LIMIT_PICTURE_MS)
    suite = milliseconds(lambda: [part.world_mesh(12.0) for part in angio_suite("L1").values()])
    tell("angiography suite made", [suite], "ms", LIMIT_SUITE_MS)


if __name__ == "__main__":
    main()
