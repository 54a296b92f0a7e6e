"""A film of two steps with painted squares for views, so that the machinery is tried without a plan."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from spineviz.data.errors import RequestError
from spineviz.data.films import Film, Step, film
from spineviz.film.base import ProcedureScene
from spineviz.film.shot import ColumnShot, FluoroShot, Label, Mark, SectionShot, Shot, StageShot
from spineviz.geometry.frames import Frame
from spineviz.views.camera import Camera
from spineviz.views.fluoroscopy import projection
from spineviz.views.theme import theme

CLOCK = Film(
    "standin",
    "Standin",
    ("stage", "fluoroscopy", "section"),
    (
        Step("first", 0.0, 2.0, 1.0, {"fill": (0.4, 1.4)}),
        Step("second", 2.0, 2.4, 2.0, {"rest": (0.2, 1.0)}),
    ),
)


class FlatPainter:
    """Views as plain grounds with a square at each point of the structures."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def _flat(self, name: str, size_px: tuple[int, int], value: int) -> np.ndarray:
        self.drawn.append(name)
        picture = np.empty((size_px[1], size_px[0], 3), np.uint8)
        picture[:] = (30, 40, 60)
        picture[: size_px[1] // 2, : size_px[0] // 2] = value
        return picture

    def stage(self, size_px: tuple[int, int], structures: Any, shot: StageShot, clear: bool = False) -> np.ndarray:
        picture = self._flat("stage", size_px, 40 + structures["value"])
        if not clear:
            return picture
        solid = np.zeros((*picture.shape[:2], 1), np.uint8)
        solid[: size_px[1] // 2, : size_px[0] // 2] = 255
        return np.concatenate([np.where(solid, picture, 0), solid], axis=2)

    def fluoroscopy(self, size_px: Any, structures: Any, shot: Any, time_s: float, type_px: float) -> np.ndarray:
        return self._flat("fluoroscopy", size_px, 200)

    def section(self, size_px: Any, structures: Any, plane: Any, shot: Any, type_px: float) -> np.ndarray:
        return self._flat("section", size_px, 120)

    def scan(self, size_px: Any, structures: Any, shot: Any, type_px: float) -> np.ndarray:
        return self._flat("scan", size_px, 90)

    def project_stage(self, size_px: tuple[int, int], shot: StageShot, points_mm: Any) -> np.ndarray:
        return shot.camera.project(np.array(points_mm, float).reshape(-1, 3), size_px)[0]

    def project_fluoroscopy(self, size_px: tuple[int, int], shot: Any, points_mm: Any) -> np.ndarray:
        return np.array(points_mm, float).reshape(-1, 3)[:, [0, 2]] + np.array(size_px) / 2

    def project_section(self, size_px: tuple[int, int], plane: Any, shot: Any, points_mm: Any) -> np.ndarray:
        return np.array(points_mm, float).reshape(-1, 3)[:, :2] + np.array(size_px) / 2

    def forget(self) -> None:
        """Nothing is kept."""

    def pulse(self, shot: FluoroShot, time_s: float) -> int:
        return 0

    def pulse_start_s(self, shot: FluoroShot, time_s: float) -> float:
        return time_s


class OneGroundPainter(FlatPainter):
    """The same, with stages on the screen's own ground."""

    def stage(self, size_px: tuple[int, int], structures: Any, shot: StageShot, clear: bool = False) -> np.ndarray:
        picture = super().stage(size_px, structures, shot, clear)
        if not clear:
            picture[(picture == (30, 40, 60)).all(axis=2)] = theme("dark").rgb8("ground")
        return picture


class StandinPlan:
    """Numbers that rise with the step."""

    def __init__(self) -> None:
        self.case = SimpleNamespace(seed=1, spine=SimpleNamespace(level="L1"))
        self.planes = {"axial": Frame()}

    def state_at(self, step: str, share: float, measured: bool = True) -> Any:
        fill = CLOCK.step("first").beat_share("fill", share) if step == "first" else 1.0
        return SimpleNamespace(
            cement_ml=3.0 * fill,
            wedge_deg=12.6,
            anterior_height_mm=20.0,
            back_wall_mm=20 - 8 * fill,
            key=round(fill, 6),
        )

    def structures_at(self, state: Any) -> Any:
        return {"value": int(100 * state.cement_ml / 3.0)}

    def words(self) -> dict[str, Any]:
        return {"cement_ml": 3.0, "cement_planned_ml": 3.2, "standing_wedge_deg": 17.0}


class Standin(ProcedureScene):
    """You should see: a square that brightens, then a pause."""

    film_name = "standin"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("painter", FlatPainter())
        super().__init__(*args, **kwargs)

    def make_plan(self, case: Any) -> Any:
        fault = os.environ.get("STANDIN_FAULT", "")
        if fault == "crash":
            os._exit(7)
        if fault == "request":
            raise RequestError("spine.level: X9 is not a level; give T1 to L5")
        if fault == "defect":
            raise AssertionError("two and two")
        return StandinPlan()

    @property
    def vocabulary(self) -> Any:
        return self.plan.words()

    def find_clock(self) -> Film:
        return CLOCK

    def said(self) -> dict[str, Any]:
        return {
            step.name: {"title": step.name, "captions": [[step.start_s, step.end_s, f"See {step.name}."]]}
            for step in self.clock.steps
        }

    def outline(self, time_s: float, shot: StageShot) -> np.ndarray:
        return np.array([[-30.0, 0.0, 0.0], [30.0, 0.0, 0.0]])

    def shot_at(self, time_s: float) -> Shot:
        now = self.moment(time_s)
        camera = Camera((0, -400, 0), (0, 0, 0), (0, 0, 1), 26.0)
        first = now.step.name == "first"
        return Shot(
            layout="stage+insets" if first else "two-plane",
            title="Cement fills the spaces in the bone" if first else "It rests",
            seen_from="seen from behind",
            stage=StageShot(camera, None),  # type: ignore[arg-type]
            fluoroscopy=(FluoroShot(projection("lateral"), "lateral, seen from the left"),)
            if first
            else (FluoroShot(projection("ap"), "AP, seen from behind"), FluoroShot(projection("lateral"), "lateral")),
            section=SectionShot("axial", 45.0, "axial, through the needles"),
            focus="fluoroscopy" if first and now.after("fill") else "",
            labels=(
                Label("cement", "cement", (10.0, 0.0, 5.0), shown=now.shown("fill")),
                Label("disc", "disc", (-12.0, 0.0, 20.0), side="left"),
            )
            if first
            else (),
            marks=(Mark("tick", "lateral", ((0.0, 0.0, 0.0),), "safe", "safe"),),
            gauges=("cement", "wedge", "anterior_height"),
            caption="The cement spreads between the trabeculae. It stops before the back quarter of it.",
        )


class Matte(Standin):
    """You should see: the same on one ground."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, painter=OneGroundPainter(), **kwargs)


class Pair(Standin):
    """You should see: two squares side by side, the right one brightening behind the left one."""

    def make_plan(self, case: Any) -> Any:
        plan = StandinPlan()
        late = StandinPlan()
        late.state_at = lambda step, share, measured=True: plan.state_at(step, max(0.0, share - 0.1))
        plan.plans = {"one": plan, "two": late}
        both = StandinPlan()
        both.plans = plan.plans
        both.state_at = lambda step, share, measured=True: SimpleNamespace(
            one=plan.state_at(step, share), two=late.state_at(step, share)
        )
        return both

    def shot_at(self, time_s: float) -> Shot:
        now = self.moment(time_s)
        camera = Camera((0, -400, 0), (0, 0, 0), (0, 0, 1), 26.0)
        columns = tuple(
            ColumnShot(
                name, name.capitalize(), "lateral", StageShot(camera, None),  # type: ignore[arg-type]
                FluoroShot(projection("lateral")), ("cement", "wedge"), plan=name,
                note="waits" if name == "one" else "",
            )
            for name in ("one", "two")
        )  # fmt: skip
        return Shot(
            layout="columns",
            title="Side by side",
            columns=columns,
            focus="two" if now.step.name == "second" else "",
            labels=tuple(Label("cement", "cement", (10.0, 0.0, 5.0), view=f"{name}:stage") for name in ("one", "two")),
            marks=(Mark("tick", "two:lateral", ((0.0, 0.0, 0.0),), "safe", "safe"),),
            gauges=("two:cement",),
        )


class Flat(Standin):
    """You should see: one grey stage for as long as vertebroplasty lasts."""

    film_name = "vertebroplasty"

    def find_clock(self) -> Film:
        return film("vertebroplasty")

    def shot_at(self, time_s: float) -> Shot:
        if os.environ.get("STANDIN_FAULT") == "slow":
            time.sleep(0.2)
        camera = Camera((0, -400, 0), (0, 0, 0), (0, 0, 1), 26.0)
        return Shot("stage", self.moment(time_s).step.name, stage=StageShot(camera, None))  # type: ignore[arg-type]
