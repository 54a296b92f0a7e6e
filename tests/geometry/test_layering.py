"""The geometry stands alone."""

from __future__ import annotations

import subprocess
import sys


def test_geometry_imports_without_manim_pyvista_or_scipy():
    code = (
        "import sys, spineviz.geometry.fields, spineviz.geometry.operators, spineviz.geometry.frames, "
        "spineviz.geometry.curves, spineviz.geometry.grids, spineviz.geometry.meshes, spineviz.geometry.rays, "
        "spineviz.geometry.sections; print([m for m in ('manim', 'pyvista', 'vtk', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
