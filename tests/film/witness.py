"""The stand-in film, which writes down when it plans and who draws, and whose workers may be made to die."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from spineviz.film.opening import SceneSource, load_scene

_FILE = Path(__file__).with_name("standin.py")
Standin: Any = load_scene(SceneSource(_FILE, "Standin"))
Flat: Any = load_scene(SceneSource(_FILE, "Flat"))


def wrote(name: str, words: str) -> None:
    """Add a line to a file of the folder that WITNESS names."""
    with (Path(os.environ["WITNESS"]) / name).open("a") as file:
        file.write(words + "\n")


class Witness(Standin):  # type: ignore[misc]
    """You should see: what Standin shows."""

    def make_plan(self, case: Any) -> Any:
        wrote("plans", str(os.getpid()))
        return super().make_plan(case)

    def frame_at(self, time_s: float) -> Any:
        wrote("drawn", str(os.getpid()))
        died = Path(os.environ["WITNESS"]) / "died"
        fatal = os.environ.get("WITNESS_FATAL_S")
        if fatal is not None and time_s >= float(fatal) and (os.environ.get("WITNESS_AGAIN") or not died.exists()):
            died.touch()
            os._exit(9)
        return super().frame_at(time_s)


class Stuck(Flat):  # type: ignore[misc]
    """You should see: one grey stage, slowly, and after six seconds nothing more."""

    def shot_at(self, time_s: float) -> Any:
        time.sleep(60.0 if time_s > 6.0 else 0.1)
        return super().shot_at(time_s)


class Slow(Flat):  # type: ignore[misc]
    """You should see: one grey stage, slowly."""

    def shot_at(self, time_s: float) -> Any:
        time.sleep(0.02)
        return super().shot_at(time_s)
