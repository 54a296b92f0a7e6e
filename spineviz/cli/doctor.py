"""spineviz doctor: what this machine lacks for rendering, each with the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

LEAST_DISK_MB = 200
"""What a film at 720p takes with its pieces, and some room."""
OPENGL_TIMEOUT_S = 120.0

OPENGL_PROBE = """
import numpy as np
from spineviz.views.camera import Camera
from spineviz.views.offscreen import Offscreen, Shadows, _context
window = Offscreen((64, 48), 1, np.zeros((48, 64, 3), np.float32))
camera = Camera(np.array([0.0, -100.0, 0.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]), 30.0)
picture, depth = window.draw(camera, (10.0, 200.0), [], [], [], Shadows(8.0, 5.0))
assert picture.shape == (48, 64, 3) and depth.min() > 1e8
info = _context().info
print(info["GL_RENDERER"], "OpenGL", info["GL_VERSION"].split()[0])
"""
"""Opens an off-screen context, compiles the shaders, draws a tiny picture and says who drew it."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: whether it is as it should be.
        detail: what was found, in a few words.
        remedy: the command that mends it; empty where it is ok.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


REMEDIES: dict[str, dict[str, str]] = {
    "cairo": {"apt": "libcairo2", "dnf": "cairo", "brew": "cairo"},
    "pango": {"apt": "libpango-1.0-0 libpangocairo-1.0-0 libpangoft2-1.0-0", "dnf": "pango", "brew": "pango"},
    "opengl": {"apt": "libegl1 libgl1 libgl1-mesa-dri", "dnf": "mesa-libEGL mesa-libGL mesa-dri-drivers"},
}
"""System packages by the tool that installs them."""


def install_command(what: str) -> str:
    """The command that installs the system packages for `what` on this platform, or what to do where there is none."""
    packages = REMEDIES[what]
    if sys.platform == "darwin":
        return f"brew install {packages['brew']}" if "brew" in packages else "update macOS: OpenGL comes with it"
    if sys.platform == "win32":
        return (
            "install the graphics card's driver"
            if what == "opengl"
            else reinstall(what)  # on Windows these libraries lie in the wheels
        )
    sudo = "" if hasattr(os, "geteuid") and os.geteuid() == 0 else "sudo "
    for tool in ("apt", "dnf"):
        if shutil.which(tool):
            return f"{sudo}{tool} install {packages[tool]}"
    return f"install {packages['apt']} (Debian's names) with this system's package manager"


def reinstall(what: str) -> str:
    """The command that installs the Python package behind `what` anew."""
    package = {"cairo": "pycairo", "pango": "manimpango", "font": "font-source-sans-pro", "encoder": "av"}.get(
        what, what
    )
    return f"{Path(sys.executable)} -m pip install --force-reinstall {package}"


def first_line(error: Exception) -> str:
    """The first words of an error that speaks at length."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def check_python() -> Finding:
    """Python is new enough."""
    version = platform.python_version()
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, version, "" if ok else "install Python 3.11 or newer and spineviz in it")


def check_cairo() -> Finding:
    """cairo loads."""
    try:
        import cairo
    except ImportError as error:
        return Finding("cairo", False, first_line(error), f"{install_command('cairo')} && {reinstall('cairo')}")
    return Finding("cairo", True, cairo.cairo_version_string())


def check_pango() -> Finding:
    """Pango loads, as manim binds it."""
    try:
        import manimpango
    except ImportError as error:
        return Finding("Pango", False, first_line(error), f"{install_command('pango')} && {reinstall('pango')}")
    return Finding("Pango", True, manimpango.pango_version())


def check_opengl() -> Finding:
    """A tiny picture can be drawn off screen; in a process of its own, for a broken driver may crash."""
    name = "off-screen OpenGL"
    try:
        done = subprocess.run(
            [sys.executable, "-c", OPENGL_PROBE], capture_output=True, text=True, timeout=OPENGL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(name, False, f"no picture within {OPENGL_TIMEOUT_S:g} s", install_command("opengl"))
    if done.returncode == 0:
        return Finding(name, True, done.stdout.strip())
    said = [line for line in done.stderr.strip().splitlines() if line.strip()]
    reason = said[-1].split("Error: ")[-1].split("; spineviz doctor")[0] if said else ""
    reason = reason or f"the driver crashed (exit {done.returncode})"
    return Finding(name, False, reason, install_command("opengl"))


def check_fonts() -> Finding:
    """The sans family of the films is installed and can be read."""
    try:
        from PIL import ImageFont

        from spineviz.views.text import WEIGHTS, font_file

        families = {ImageFont.truetype(str(font_file(weight)), 32).getname()[0] for weight in WEIGHTS}
    except (ImportError, OSError) as error:
        return Finding("fonts", False, str(error), reinstall("font"))
    return Finding("fonts", True, ", ".join(sorted(name for name in families if name)))


def check_encoder() -> Finding:
    """PyAV can write H.264."""
    try:
        import av
        from av.codec import Codec

        Codec("libx264", "w")
    except (ImportError, ValueError) as error:
        return Finding("encoder libx264", False, str(error), reinstall("encoder"))
    return Finding("encoder libx264", True, f"PyAV {av.__version__}")


def check_assets() -> Finding:
    """Tables and films of this installation are complete."""
    from spineviz.data.films import film, film_names

    try:
        names = [film(name).name for name in film_names()]
    except Exception as error:  # any damage to the files
        return Finding("films and tables", False, str(error), reinstall("spineviz"))
    return Finding("films and tables", True, ", ".join(names))


def check_disk(folder: Path) -> Finding:
    """There is room for a film in the working folder."""
    free_mb = shutil.disk_usage(folder).free / 1e6
    ok = free_mb >= LEAST_DISK_MB
    remedy = "" if ok else f"free {LEAST_DISK_MB - free_mb:.0f} MB there, or render with --out on another disk"
    return Finding("disk space", ok, f"{free_mb / 1000:.1f} GB free in {folder}", remedy)


def check_cache(folder: Path) -> Finding:
    """The cache folder can be written; nothing is left in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"spineviz")
    except OSError as error:
        remedy = "set SPINEVIZ_CACHE to a folder that can be written"
        return Finding("cache folder", False, f"{folder}: {error.strerror or error}", remedy)
    return Finding("cache folder", True, str(folder))


def findings() -> Iterator[Finding]:
    """Every check, in order, as it is made."""
    from spineviz.data.cache import cache_folder

    checks: tuple[Callable[[], Finding], ...] = (
        check_python,
        check_cairo,
        check_pango,
        check_opengl,
        check_fonts,
        check_encoder,
        check_assets,
        lambda: check_disk(Path.cwd()),
        lambda: check_cache(cache_folder()),
    )
    for check in checks:
        yield check()


@click.command("doctor")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check that this machine can render; name the command that mends what is missing."""
    failed = False
    for finding in findings():
        click.echo(f"{'ok' if finding.ok else 'MISSING':8}{finding.name}: {finding.detail}")
        if not finding.ok:
            click.echo(f"{'':8}mend: {finding.remedy}")
            failed = True
    if failed:
        click.echo("rendering would fail here")
        ctx.exit(1)
    click.echo("this machine can render")
