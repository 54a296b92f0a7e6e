"""What draws and encodes here, by version: two machines whose fingerprints are equal make the same bytes."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spineviz import __version__

PACKAGES = (
    "manim", "numpy", "scipy", "networkx", "pyvista", "vtk", "fast-simplification", "moderngl", "av", "pillow",
    "pycairo", "font-source-sans-pro",
)  # fmt: skip
"""Whose versions can change a picture."""


@cache
def versions() -> dict[str, str]:
    """The versions of this project and of what it draws with."""
    out = {"spineviz": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "missing"
    return out


@cache
def fingerprint() -> dict[str, str]:
    """Name -> version of everything on which the bytes of a piece depend but the project's own files: packages,
    codec libraries, font, rasteriser, system, and the processor's instructions that numpy uses.

    Raises FaultError where no OpenGL can be had.
    """
    return {**versions(), **_codecs(), "font": _font(), "rasteriser": rasteriser(), "processor": _processor()}


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """What differs between two fingerprints, "NAME: HERE here, THERE there" each."""
    names = dict.fromkeys((*here, *there))
    pairs = [(name, here.get(name, "missing"), there.get(name, "missing")) for name in names]
    return [f"{name}: {one} here, {other} there" for name, one, other in pairs if one != other]


@cache
def rasteriser() -> str:
    """What draws triangles: renderer and version, as OpenGL says them; FaultError where no OpenGL can be had."""
    from spineviz.views.offscreen import store

    info = store().gl.info
    return f"{info['GL_RENDERER']}, {info['GL_VERSION']}"


def _codecs() -> dict[str, str]:
    import av

    return {name: ".".join(map(str, number)) for name, number in sorted(av.library_versions.items())}


def _font() -> str:
    from spineviz.views.text import WEIGHTS, font_file

    digest = hashlib.sha256()
    for path in map(font_file, WEIGHTS):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    return f"{platform.machine()} {' '.join(processor_extensions())}".strip()


@cache
def processor_extensions() -> tuple[str, ...]:
    """The processor's groups of instructions that numpy found here."""
    import numpy as np

    shown: Any = np.show_config(mode="dicts")
    return tuple(shown.get("SIMD Extensions", {}).get("found", ()))


def has_avx512() -> bool:
    """Whether the processor has AVX-512."""
    return any(name.startswith(("AVX512", "X86_V4")) for name in processor_extensions())
