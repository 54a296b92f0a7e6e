"""The solver behind assets/anatomy/shape-calibration.csv: what to build so that the published dimensions are measured.

Rounded rims, fillets and the canal's cut shift a dimension away from the number that its part was made to, by up to a
few millimetres. The shift is found once: build, measure, add what is missing, again. `python -m
spineviz.anatomy.calibrate` writes the table anew; at run time it is only read.
"""

from __future__ import annotations

import sys
from pathlib import Path

from spineviz.anatomy import vertebra as vertebra_module
from spineviz.anatomy import vertebra_joints, vertebra_shape
from spineviz.anatomy.measures import TOLERANCES, dimensions_of
from spineviz.data.assets import asset
from spineviz.data.tables import LEVELS, morphometry

ROUNDS = 9
_LIMITS = {"mm": 5.0, "deg": 25.0}
"""How far a built dimension may lie from its figure."""


def _forget() -> None:
    """Drop everything that was built with an earlier calibration."""
    for module in (vertebra_joints, vertebra_module):
        for value in vars(module).values():
            if hasattr(value, "cache_clear") and getattr(value, "__module__", "") == module.__name__:
                value.cache_clear()


def solve(level: str, rounds: int = ROUNDS, start: dict[str, float] | None = None) -> dict[str, float]:
    """What is to be added to each counted dimension of `level`, same units, found in `rounds` of build and measure.

    A pure function of the tables: it begins at `start` (nothing by default) and leaves the calibration in use alone.
    """
    published = {name: morphometry()[level][name] for name in TOLERANCES}
    shift = dict(start) if start else dict.fromkeys(TOLERANCES, 0.0)
    best, least = dict(shift), float("inf")
    in_use = vertebra_joints.calibration
    try:
        for turn in range(rounds):
            trial = dict(shift)
            vertebra_joints.calibration = lambda asked, trial=trial: trial if asked == level else in_use(asked)  # type: ignore[assignment]
            _forget()
            built = dimensions_of(vertebra_module.vertebra(level))
            error = {name: built[name] - cell.value for name, cell in published.items()}
            worst = max(abs(error[name]) / (3.0 if cell.unit == "deg" else 0.5) for name, cell in published.items())
            if worst < least:
                best, least = trial, worst
            for name, cell in published.items():
                step = (0.5 if cell.unit == "deg" else 0.8) * (1.0 if turn < 5 else 0.6)
                limit = _LIMITS[cell.unit]
                shift[name] = min(limit, max(-limit, shift[name] - step * error[name]))
    finally:
        vertebra_joints.calibration = in_use
        _forget()
    return {name: round(value, 3) for name, value in best.items()}


def write(path: Path, levels: tuple[str, ...] = LEVELS) -> None:
    """Solve every level and write the table to `path`."""
    lines = ["level," + ",".join(TOLERANCES)]
    for level in levels:
        shift = solve(level)
        lines.append(level + "," + ",".join(f"{shift[name]:g}" for name in TOLERANCES))
        print(f"{level} solved", file=sys.stderr)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    vertebra_shape.calibration.cache_clear()
    _forget()


if __name__ == "__main__":
    write(asset("anatomy", "shape-calibration.csv"))
