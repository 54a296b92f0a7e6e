"""How long radiographs and sections take: python tests/bench/bench_views.py.

Cold is the first picture of a patient whose fields are made already; then one thing moves.
"""

from __future__ import annotations

from collections.abc import Callable

from told import milliseconds, tell

from spineviz.procedures.augmentation import AugmentationPlan
from spineviz.procedures.case import load_case
from spineviz.procedures.vertebroplasty import plan_vertebroplasty
from spineviz.views.fluoroscopy import Fluoroscope, projection
from spineviz.views.scan import sagittal_scan
from spineviz.views.section import draw_section

SIZES = {"draft": (270, 190), "fhd": (620, 430)}
MOVES = {"cement": ("cement", 0.30), "needles": ("pedicle", 0.30), "collapse": ("fracture", 0.40)}


def patient_at(plan: AugmentationPlan, step: str, share: float) -> dict:
    """What radiographs and sections show at a moment."""
    structures = plan.structures_at(plan.state_at(step, share))
    return {name: s for name, s in structures.items() if s.material != "theatre"}


def main() -> None:
    """Measure every picture."""
    plan = plan_vertebroplasty(load_case(None, []))
    for structure in patient_at(plan, "cement", 0.2).values():  # make the anatomy, which is not what is timed
        structure.field.distance(structure.field.bounds_mm)
        if structure.core is not None:
            structure.core.distance(structure.field.bounds_mm)
    for quality, size in SIZES.items():
        views: dict[str, Callable[[dict, float], object]] = {}
        for name, centre in (("ap", (0, -8, 0)), ("lateral", (0, -14, 0))):
            scope = Fluoroscope(size, projection(name, centre, 112))
            views[f"radiograph {name}"] = scope.image
        for plane in ("axial", "sagittal"):
            views[f"section {plane}"] = lambda s, _t, p=plane, px=size: draw_section(s, plan.planes[p], 45.0, px)
        views["scan"] = lambda s, _t, px=size: sagittal_scan(s, px)
        for moving, (step, share) in MOVES.items():
            frames = [patient_at(plan, step, share + 0.01 * i) for i in range(4)]
            for name, draw in views.items():
                if name == "scan" and moving != "cement":
                    continue
                spent = [milliseconds(lambda d=draw, f=f, i=i: d(f, 0.2 * i)) for i, f in enumerate(frames)]
                tell(f"{name} {quality}, {moving}, cold", spent[:1], "ms")
                tell(f"{name} {quality}, {moving}, moving", spent[1:], "ms")


if __name__ == "__main__":
    main()
