"""Finding a film's scene and opening it at a size."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.data.aside import beside
from spineviz.data.assets import package_folder
from spineviz.data.films import film
from spineviz.data.once import Call
from spineviz.film.drawing import part_large
from spineviz.film.pieces import Quality

if TYPE_CHECKING:
    from spineviz.film.base import ProcedureScene
    from spineviz.procedures.case import Case


@dataclass(frozen=True)
class SceneSource:
    """Where a scene class stands, this project's or a user's.

    Attributes:
        path: the Python file, absolute.
        class_name: the class, a manim Scene.
    """

    path: Path
    class_name: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.class_name}"


def shown(path: Path) -> str:
    """A path for people: relative to the working folder where it lies in it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def scene_source(film_name: str) -> SceneSource:
    """Where the scene of a film stands; RequestError, listing the films, for an unknown one."""
    return SceneSource(package_folder("scenes") / f"{film_name}.py", film(film_name).scene)


def load_scene(source: SceneSource) -> type[ProcedureScene]:
    """The scene class in a file, imported under a name of its own."""
    path = Path(source.path).resolve()
    name = f"spineviz_scene_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    module: Any = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(f"{path}: not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    found: type[ProcedureScene] = getattr(module, source.class_name)
    return found


@contextmanager
def opened(film_name: str, case: Case | None, quality: Quality, theme: str = "dark") -> Iterator[ProcedureScene]:
    """The scene of a film in a theme, ready for `frame_at`, in this process.

    The bones in view and what is laid by them, which are the same whatever is planned, are made by a copy of this
    process while libraries are loaded, the plan is made and the first frame is drawn. It is no thread: that would keep
    the planning from having a copy of its own.
    """
    part_large()  # memory that planning lets go is taken again: every third page that is asked for, 3 % of the time
    shown, perhaps = ([], []) if case is None else _calls(film_name, case)
    with beside(shown, perhaps):
        from spineviz.film.base import quiet_manim

        with quiet_manim(quality):
            yield load_scene(scene_source(film_name))(case=case, theme=theme)


def _calls(film_name: str, case: Case) -> tuple[list[Call], list[Call]]:
    """What most pictures of a film show, and what some do."""
    from spineviz.anatomy.ahead import (
        body_calls,
        canal_calls,
        near_calls,
        outline_raster_calls,
        spine_calls,
        way_calls,
    )
    from spineviz.anatomy.arteries import parse_adamkiewicz
    from spineviz.anatomy.groin import vein_calls
    from spineviz.anatomy.patient import levels_in_view
    from spineviz.views.trabeculae import network_calls

    level = case.spine.level
    in_view = levels_in_view(level)
    if film_name not in ("chemoembolization", "overview"):
        return [*spine_calls(level, in_view), *network_calls()], []
    way = [*way_calls(level, parse_adamkiewicz(case.artery.adamkiewicz)), *canal_calls(level)]
    if film_name == "chemoembolization":
        cut = [*outline_raster_calls(level), *vein_calls(level), *near_calls(level, in_view), *network_calls()]
        return [*way, *cut], body_calls(level)
    # the overview: from the groin to the tumour in one picture, few sections and no radiographs
    return [*way, *body_calls(level)], [*near_calls(level, in_view), *network_calls()]
