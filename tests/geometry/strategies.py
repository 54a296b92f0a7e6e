"""Random points, frames and exact shapes for the geometry tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from spineviz.geometry import fields as f
from spineviz.geometry.frames import Frame, rotation_about, translation

coordinate = st.floats(-60.0, 60.0, allow_nan=False)
size = st.floats(0.2, 30.0, allow_nan=False)
vector = st.tuples(coordinate, coordinate, coordinate).map(np.array)
direction = vector.filter(lambda v: np.linalg.norm(v) > 1e-3)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A turn about any axis and a move."""
    turn = rotation_about(draw(direction), draw(st.floats(-360.0, 360.0)))
    return translation(draw(vector)) @ turn


@st.composite
def exact_fields(draw: st.DrawFn) -> f.Field:
    """Any primitive that promises Euclidean distances."""
    kind = draw(st.sampled_from(["sphere", "half", "box", "capsule", "cone", "cylinder", "frustum", "torus", "tube"]))
    a = draw(vector)
    b = a + draw(direction)
    r1, r2 = draw(size), draw(size)
    if kind == "sphere":
        return f.sphere(a, r1)
    if kind == "half":
        return f.half_space(a, b - a)
    if kind == "box":
        sides = np.array([r1, r2, draw(size)])
        return f.box(a, sides, draw(st.floats(0.0, 1.0)) * sides.min() / 2)
    if kind == "capsule":
        return f.capsule(a, b, r1)
    if kind == "cone":
        return f.round_cone(a, b, r1, r2)
    if kind == "cylinder":
        return f.cylinder(a, b, r1)
    if kind == "frustum":
        return f.capped_cone(a, b, r1, draw(st.sampled_from([0.0, r2])))
    if kind == "torus":
        return f.torus(a, b - a, r1 + r2, r2)
    return f.polyline_tube([a, b, b + draw(direction)], r1)
