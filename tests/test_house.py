"""The house itself: what lies where, how it reads, and that the tools find nothing."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

from spineviz import __version__
from spineviz.cli import main
from spineviz.data.films import film, film_names

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "scenes", "spineviz", "assets", "tests", "pyproject.toml", "README.md",
    "Makefile", "LICENSE", "CHANGELOG.md", "CITATION.cff",
}  # fmt: skip
PACKAGES = ("data", "geometry", "anatomy", "devices", "physics", "procedures", "views", "film", "cli")


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the repository; where there is none (an unpacked source archive), every file but what tools leave."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())
    left = {".venv", "build", "dist", "media", "__pycache__"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(p in left or p.startswith(".") for p in path.relative_to(ROOT).parts[:-1])
    )


def modules(*folders: str) -> list[Path]:
    """The Python files of `folders`."""
    roots = [ROOT / folder for folder in folders]
    return [path for path in tracked() if path.suffix == ".py" and any(root in path.parents for root in roots)]


def text_of(path: Path) -> str | None:
    """The words of a text file; None for a picture."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None


def test_top_level_holds_only_what_belongs_there():
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= ALLOWED
    assert {"scenes", "spineviz", "assets", "tests"} <= top


def test_pictures_of_the_readme_lie_in_assets_readme_and_nothing_is_large():
    for path in tracked():
        if path.suffix in (".png", ".jpg", ".mp4", ".stl"):
            assert path.is_relative_to(ROOT / "assets" / "readme") or path.is_relative_to(ROOT / "tests"), path
        assert path.stat().st_size < 2_000_000, path


def test_no_path_of_one_machine_in_any_file():
    pattern = re.compile("/(" + "|".join(["tmp", "work", "root", "farm", "home"]) + r")/[\w.]")
    for path in tracked():
        words = text_of(path)
        if words is not None:
            assert not pattern.search(words), f"{path.relative_to(ROOT)}: {pattern.search(words)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_class_and_public_function_says_what_it_is(package):
    for path in [*modules(f"spineviz/{package}"), *modules("scenes")]:
        tree = ast.parse(path.read_text("utf-8"))
        where = path.relative_to(ROOT)
        assert ast.get_docstring(tree), f"{where} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{where}: {node.name} has no docstring"


def test_no_stub_and_no_loose_end():
    loose = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    for path in modules("spineviz", "scenes", "tests"):
        found = loose.search(path.read_text("utf-8"))
        assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    offered = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    declared = {re.split(r"[\s<>=!~\[]", item)[0].lower() for item in offered}
    names = {
        "PIL": "pillow",
        "cairo": "pycairo",
        "fast_simplification": "fast-simplification",
        "vtkmodules": "pyvista",  # pyvista is VTK for Python
        "manimpango": "manim",
        "tqdm": "manim",
        "font_source_sans_pro": "font-source-sans-pro",
    }
    for path in modules("spineviz", "scenes"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found = [node.module]
            for name in (n.split(".")[0] for n in found):
                if name not in sys.stdlib_module_names and name not in ("spineviz", "__future__"):
                    assert names.get(name, name).lower() in declared, f"{path.relative_to(ROOT)} imports {name}"


def test_every_data_file_names_its_source_and_licence():
    for path in tracked():
        if not path.is_relative_to(ROOT / "assets") or path.is_relative_to(ROOT / "assets" / "readme"):
            continue
        if path.name.startswith("SOURCES") or path.name == ".keep":
            continue
        beside = "".join(near.read_text("utf-8") for folder in path.parents for near in folder.glob("SOURCES*.md"))
        assert "MIT" in beside
        assert re.search(rf"(?<![\w-]){re.escape(path.name)}", beside), (
            f"{path.relative_to(ROOT)}: no SOURCES.md names it"
        )


def test_a_films_scene_is_a_manim_scene_that_plain_manim_finds():
    code = f"""
import sys
from pathlib import Path
from manim.utils.module_ops import get_module, get_scene_classes_from_module
from spineviz.data.films import film
for name in {film_names()!r}:
    found = get_scene_classes_from_module(get_module(Path("scenes") / (name + ".py")))
    assert [c.__name__ for c in found] == [film(name).scene], found
    assert "You should see:" in sys.modules[found[0].__module__].__doc__ or "You should see:" in found[0].__doc__
"""
    quiet = ["-W", "ignore"]  # what other packages warn of when they are imported is none of ours
    done = subprocess.run([sys.executable, *quiet, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_films_are_as_long_as_the_look_asks():
    for name in film_names():
        clock = film(name)
        assert 190.0 <= clock.seconds <= 240.0
        assert 10 <= len(clock.steps) <= 13
        for step in clock.steps:
            assert 10.0 <= step.seconds <= 25.0
            assert round(step.seconds * 15, 6) == int(round(step.seconds * 15, 6))  # whole frames at 15 and 30


def test_version_is_the_same_everywhere():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## {__version__} " in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_readme_shows_the_picture_the_commands_and_every_film():
    readme = (ROOT / "README.md").read_text("utf-8")
    for command in ("make film", "make test"):
        assert command in readme
    for name in film_names():
        minutes, seconds = divmod(round(film(name).seconds), 60)
        (row,) = (line for line in readme.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {minutes} min {seconds} s |" in row
        assert ", ".join(film(name).views) in row
    pictures = re.findall(r"\]\((assets/readme/[^)]+)\)", readme)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


def test_every_command_of_the_readme_is_understood():
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = [line.strip() for line in readme.splitlines() if line.strip().startswith("spineviz ")]
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(re.split(r"\s{3,}", line)[0])[1:]
        group, name = main, "spineviz"
        while isinstance(group, click.Group):
            name = words.pop(0)
            command = group.get_command(click.Context(group), name)
            assert command is not None, line
            group = command
        group.make_context(name, words)  # raises where an option or an argument is unknown


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
        ["mypy"],
        ["importlinter.cli", "lint"],
    ],
    ids=["ruff check", "ruff format", "mypy", "import ladder"],
)
def test_tools_find_nothing(command):
    call = [sys.executable, "-m", *command]
    if command[0].startswith("importlinter"):
        call = [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()",
        ]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
