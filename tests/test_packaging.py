"""The wheel: it carries all that a film needs, and renders in an empty folder.

The wheel is installed alone (no dependencies) into a new virtual environment that is then shown the packages of the
running one. That proves that spineviz brings its own modules, scenes and assets and reads nothing from the checkout;
that the declared dependencies suffice is shown by `make test` itself, which installs them from nothing.
"""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from spineviz import __version__

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    code = f"import hatchling.build as b, os; os.chdir({str(ROOT)!r}); print(b.build_wheel({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of an environment that holds the wheel and, after it, the packages of this one."""
    home = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run(
        [python, "-c", where],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # a plain path: the .pth files in that folder, and so the checkout's own, are not read
    (Path(site) / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )
    return python.parent


def test_wheel_holds_scenes_and_assets_but_no_readme_pictures(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for wanted in (
        "spineviz/scenes/vertebroplasty.py",
        "spineviz/assets/anatomy/morphometry.csv",
        "spineviz/assets/devices/needles.csv",
        "spineviz/assets/films/vertebroplasty.toml",
        "spineviz/assets/narration/en/vertebroplasty.toml",
        "spineviz/assets/themes/dark.toml",
        f"spineviz-{__version__}.dist-info/licenses/LICENSE",
    ):
        assert wanted in names
    assert not [n for n in names if "readme/" in n or n.startswith("tests") or n.endswith((".pyc", ".keep"))]
    held = {path.relative_to(ROOT).as_posix() for path in (ROOT / "assets").rglob("*") if path.is_file()}
    for asset in held:
        if not asset.startswith("assets/readme/") and not asset.endswith(".keep"):
            assert f"spineviz/{asset}" in names


def test_wheel_says_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        data = email.message_from_bytes(archive.read(f"spineviz-{__version__}.dist-info/METADATA"))
    assert data["Requires-Python"] == ">=3.11"
    assert data["License-Expression"] == "MIT"
    needs = [line.split(";")[0] for line in data.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(n.startswith("manim") and "<0.23" in n for n in needs)
    assert {"cluster", "dev", "test"} == set(data.get_all("Provides-Extra", []))


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [str(installed / "spineviz"), *arguments]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def test_package_is_read_from_the_wheel_and_not_from_the_checkout(installed, tmp_path):
    code = (
        "import json, spineviz; from spineviz.data.assets import asset, package_folder; "
        "print(json.dumps([spineviz.__file__, str(asset()), str(package_folder('scenes'))]))"
    )
    call = [str(installed / "python"), "-c", code]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    for path in json.loads(done.stdout):
        assert Path(path).is_relative_to(installed.parent)
        assert not Path(path).is_relative_to(ROOT)


def test_wheel_answers_in_an_empty_folder(installed, tmp_path):
    listed = run(installed, tmp_path, "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)[0]["name"] == "overview"
    assert run(installed, tmp_path, "doctor").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_wheel_renders_a_step_in_draft_in_an_empty_folder(installed, tmp_path):
    import av

    done = run(
        installed, tmp_path, "render", "vertebroplasty", "--quality", "draft", "--steps", "1", "--out", "step.mp4"
    )
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "step.mp4")) as film:
        video = film.streams.video[0]
        assert (video.width, video.height) == (854, 480)
        assert sum(1 for _ in film.decode(video)) == 150
    assert {path.name for path in tmp_path.iterdir()} <= {"step.mp4", "step.json", "step.mp4.json"}
