"""The filled face that a plane leaves in what it cuts: one painted rectangle a structure, clear where it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.structure import Structure
from spineviz.geometry.fields import corners
from spineviz.geometry.frames import Frame, translation
from spineviz.views.offscreen import Face
from spineviz.views.theme import Theme

PIXELS_MM = (0.12, 0.2, 0.3, 0.45, 0.7, 1.1, 1.8, 3.0)
"""How finely faces are painted; few steps, so that a moving camera seldom asks for new paint."""

_MOST_POINTS = 700_000
_CELL = 6
_STEEPEST, _OUTLINE_MM = 1.6, 0.8
_LIFT_MM = 0.004
"""A higher rank lies so much above the next, so that cement shows on bone; far less than a pixel."""
_EDGE_MM = 0.3
"""The width of the line round a void that the plane opens."""


def face_window(structure: Structure, world_from_plane: Frame) -> tuple[float, float, float, float] | None:
    """Left, bottom, width and height in mm of the part of the plane that `structure` can reach; None where the plane
    passes it by."""
    inner = world_from_plane.inverse().points(corners(structure.field.bounds_mm))
    if inner[:, 2].min() > 0.0 or inner[:, 2].max() < 0.0:
        return None
    # only the edges of the box that cross the plane bound its part of it
    spots = []
    for i in range(8):
        for bit in (1, 2, 4):
            a, b = inner[i], inner[i ^ bit]
            if i < i ^ bit and (a[2] <= 0.0) != (b[2] <= 0.0):
                spots.append(a[:2] + (b[:2] - a[:2]) * (a[2] / (a[2] - b[2])))
    if not spots:
        return None
    left_bottom, right_top = np.min(spots, axis=0), np.max(spots, axis=0)
    width, height = right_top - left_bottom
    if min(width, height) <= 0.0:
        return None
    return float(left_bottom[0]), float(left_bottom[1]), float(width), float(height)


def painted(
    structure: Structure,
    world_from_plane: Frame,
    window_mm: tuple[float, float, float, float],
    px_mm: float,
    theme: Theme,
    hollow: Sequence[Structure] = (),
) -> NDArray[np.uint8]:
    """(rows, columns, 4) red, green, blue and solidity of `structure` in the window of the plane, top row first; clear
    outside it and in what is `hollow`. Colours and texture are those of the drawn section."""
    from spineviz.views.section import material_texture

    left, bottom, width, height = window_mm
    columns, rows = max(1, round(width / px_mm / _CELL)) * _CELL, max(1, round(height / px_mm / _CELL)) * _CELL

    def spots(across: int, down: int) -> NDArray[np.float64]:
        u = left + (np.arange(across) + 0.5) * width / across
        v = bottom + height - (np.arange(down) + 0.5) * height / down
        uu, vv = np.meshgrid(u, v)
        return world_from_plane.points(np.column_stack([uu.ravel(), vv.ravel(), np.zeros(uu.size)]))

    # asked first at the middles of coarse cells: where even the nearest corner is outside, nothing is painted
    middle = structure.field.distance(spots(columns // _CELL, rows // _CELL)).reshape(rows // _CELL, columns // _CELL)
    half_diagonal = _CELL / 2 * float(np.hypot(width / columns, height / rows))
    near = np.repeat(np.repeat(middle < _STEEPEST * half_diagonal + _OUTLINE_MM, _CELL, axis=0), _CELL, axis=1)
    out = np.zeros((rows, columns, 4), np.uint8)
    points = spots(columns, rows)[near.ravel()]
    if len(points):
        colours = material_texture({structure.name: structure}, points, px_mm=px_mm, theme=theme, epidural=False)
        for void in hollow:
            _open(colours, void, points, px_mm, theme)
        out[near] = np.clip(colours * 255 + 0.5, 0, 255).astype(np.uint8)
    return out


def _open(
    colours: NDArray[np.float32], void: Structure, points_mm: NDArray[np.float64], px_mm: float, theme: Theme
) -> None:
    """Take `void` out of the colours (N, 4) at `points_mm` (N, 3), in place, and draw a line round it."""
    low, high = void.field.bounds_mm
    margin = px_mm + _EDGE_MM
    near = np.flatnonzero(((points_mm > low - margin) & (points_mm < high + margin)).all(axis=1))
    distance = void.field.distance(points_mm[near])
    line = np.clip(0.5 + (max(_EDGE_MM, 1.2 * px_mm) - distance) / px_mm, 0.0, 1.0)[:, None]
    colours[near, :3] += 0.85 * line * (np.asarray(theme.colour("outline"), np.float32) - colours[near, :3])
    colours[near, 3] *= np.clip(0.5 + distance / px_mm, 0.0, 1.0)


def cut_face(
    structure: Structure,
    world_from_plane: Frame,
    px_mm: float,
    theme: Theme,
    light: float = 1.0,
    hollow: Sequence[Structure] = (),
) -> Face | None:
    """The face of `structure` in the plane, painted about `px_mm` fine when it is first drawn; None where the plane
    passes it by. `light` brightens or darkens it; what is `hollow` and outranks it is left open."""
    window = face_window(structure, world_from_plane)
    if window is None:
        return None
    hollow = [void for void in hollow if void.rank > structure.rank and face_window(void, world_from_plane) is not None]
    fine = min(PIXELS_MM, key=lambda step: abs(np.log(step / (1.3 * px_mm))))
    fine = max(fine, float(np.sqrt(window[2] * window[3] / _MOST_POINTS)))
    key = (
        "face", structure.key, structure.role, structure.world_from_local.key,
        world_from_plane.key, fine, theme.name,
        *((void.key, void.world_from_local.key) for void in hollow),
    )  # fmt: skip
    return Face(
        key=key,
        window_mm=window,
        world_from_plane=world_from_plane @ translation((0.0, 0.0, _LIFT_MM * structure.rank)),
        paint=lambda: painted(structure, world_from_plane, window, fine, theme, hollow),
        light=light,
    )
