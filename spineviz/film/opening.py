"""Finding a film's scene and opening it at a size."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spineviz.data.assets import package_folder
from spineviz.data.films import film
from spineviz.film.pieces import Quality
from spineviz.film.workers import SceneSource

if TYPE_CHECKING:
    from spineviz.film.base import ProcedureScene
    from spineviz.procedures.case import Case


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
    """The scene of a film in a theme, ready for `frame_at`, in this process."""
    from spineviz.film.base import quiet_manim

    with quiet_manim(quality):
        yield load_scene(scene_source(film_name))(case=case, theme=theme)
