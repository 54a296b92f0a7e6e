"""Cord and sac before there is a tumour, as outlines in axial planes, and how the cord gives way to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import level_above, level_below
from spineviz.anatomy.epidural_shape import CORD_LEVELS, figure, lying, nerves
from spineviz.anatomy.sweeps import smooth_step
from spineviz.data.once import once
from spineviz.geometry.fields import Distances, Field, Points, Vector

STEP_MM, TURNS = 0.7, 96
"""Between the planes, and how many directions there are in each."""
_CORE_SHARE = 0.12
"""Where the cord is thinner than this share of the sac, so much round it moves as a whole."""
_FLATTEST = 0.7
"""The share of its thickness that the cord keeps at least."""

Table = NDArray[np.float64]
"""(heights, turns) values; row by height, column by the direction round the cord's middle."""


@dataclass(frozen=True, eq=False)
class Canal:
    """Cord and sac before there is a tumour, by height and direction round the cord's middle.

    Attributes:
        height_mm: (M,) z of the planes.
        middle_mm: (M,) y of the cord's (below its end the filum's) middle; its x is 0.
        cord_mm: the outline of what moves as a whole; dura_mm: that of the sac.
    """

    height_mm: NDArray[np.float64]
    middle_mm: NDArray[np.float64]
    cord_mm: Table
    dura_mm: Table


def around() -> NDArray[np.float64]:
    """(TURNS, 2) unit vectors."""
    turn = 2 * np.pi * np.arange(TURNS) / TURNS
    return np.column_stack([np.cos(turn), np.sin(turn)])


def read_tables(tables: Sequence[Table], rows: NDArray[np.float64], turn: NDArray[np.float64]) -> list[Distances]:
    """Each of `tables`, all of one shape, at rows (N,) and angles (N,) rad, (N,): between the four values round a
    place; beyond the first and the last row it is that row."""
    count = len(tables[0])
    row = np.clip(rows, 0.0, count - 1.0)
    low = np.minimum(row.astype(np.intp), max(count - 2, 0))
    column = (turn / (2 * np.pi)) % 1.0 * TURNS
    left = np.minimum(column.astype(np.intp), TURNS - 1)
    up, across = row - low, column - left
    first = low * TURNS
    high = np.minimum(first + TURNS, (count - 1) * TURNS)
    right = np.where(left == TURNS - 1, 0, left + 1)
    corners = first + left, first + right, high + left, high + right
    out = []
    for table in tables:
        a, b, c, d = (table.take(corner) for corner in corners)
        a += across * (b - a)
        c += across * (d - c)
        a += up * (c - a)
        out.append(a)
    return out


def read_table(table: Table, rows: NDArray[np.float64], turn: NDArray[np.float64]) -> Distances:
    """One table, as `read_tables` reads it."""
    return read_tables([table], rows, turn)[0]


@once
def canal(level: str) -> Canal:
    """The nerves of `level` and 1.2 vertebrae above and below, as the patient lies."""
    here = lying(level)
    above, below = level_above(level), level_below(level)
    assert above is not None
    assert below is not None
    top = 1.2 * float(here.world_from_vertebra(above).origin_mm[2])
    bottom = 1.2 * float(here.world_from_vertebra(below).origin_mm[2])
    top = min(top, float(nerves(level)["dura"].field.bounds_mm[1, 2]) - 2.0)
    heights = np.arange(bottom, top, STEP_MM)
    cord, dura = nerves(level)["cord"].field, nerves(level)["dura"].field
    middle = _middles(cord, dura, heights)
    sac = _rings(dura, heights, middle)
    least = _CORE_SHARE * sac
    if level not in CORD_LEVELS:
        # the roots in the middle stand for it
        least = np.maximum(least, np.minimum(0.8 * figure("core_mm"), 0.4 * sac))
    return Canal(heights, middle, np.maximum(_rings(cord, heights, middle), least), sac)


def _middles(cord: Field, dura: Field, heights: Distances) -> Distances:
    """(M,) y of the middle of the cord at `heights` (M,)."""
    low, high = dura.bounds_mm[:, 1]
    y = np.arange(low, high, 0.1)
    points = np.stack(np.meshgrid(heights, y, indexing="ij"), -1).reshape(-1, 2)
    values = cord.distance(np.column_stack([np.zeros(len(points)), points[:, 1], points[:, 0]])).reshape(-1, len(y))
    at = np.arange(len(heights))
    inside = values < 0.0
    first, last = inside.argmax(1), len(y) - 1 - inside[:, ::-1].argmax(1)

    def crossing(i: NDArray[np.int64], j: NDArray[np.int64]) -> Distances:
        a, b = values[at, i], values[at, j]
        return y[i] + (y[j] - y[i]) * a / (a - b)

    return (crossing(np.maximum(first - 1, 0), first) + crossing(last, np.minimum(last + 1, len(y) - 1))) / 2


def _rings(shape: Field, heights: Distances, middle: Distances) -> Table:
    """How far `shape` reaches in every direction round (0, middle (M,)) at `heights` (M,)."""
    low = np.zeros((len(heights), TURNS))
    high = np.full_like(low, 14.0)
    for _ in range(13):
        half = (low + high) / 2
        inside = shape.distance(points_at(heights, np.zeros(len(heights)), middle, half).reshape(-1, 3)) < 0.0
        inside = inside.reshape(half.shape)
        low, high = np.where(inside, half, low), np.where(inside, high, half)
    return (low + high) / 2


def points_at(heights: Distances, x: Distances, y: Distances, way: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, T, 3) points `way` (M, T) from the middles x, y (M,) in every direction of `around`."""
    unit = around()
    return np.stack(
        [x[:, None] + way * unit[:, 0], y[:, None] + way * unit[:, 1], np.broadcast_to(heights[:, None], way.shape)], -1
    )


def outline_points(rest: Canal, table: Table) -> Points:
    """(N, 3) the points of all outlines in `table`, plane after plane."""
    return points_at(rest.height_mm, np.zeros(len(rest.height_mm)), rest.middle_mm, table).reshape(-1, 3)


def planes_near(rest: Canal, tumour: Field, margin_mm: float) -> NDArray[np.int64]:
    """(K,) the planes that a tumour reaches, or comes to within `margin_mm` of."""
    low, high = tumour.bounds_mm[:, 2]
    return np.flatnonzero((rest.height_mm > low - margin_mm) & (rest.height_mm < high + margin_mm))


def cord_way(rest: Canal, tumour: Field, towards: Vector) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(M,) how far the cord must go, and (M,) how much of its thickness it keeps."""
    gap, step = figure("dura_gap_mm") + figure("cord_gap_mm"), 0.25
    need = np.zeros(len(rest.height_mm))
    room = np.zeros(len(rest.height_mm))
    near = planes_near(rest, tumour, 1.0)
    ways = np.arange(0.0, 7.0, step)
    part = Canal(rest.height_mm[near], rest.middle_mm[near], rest.cord_mm[near], rest.dura_mm[near])
    outline = outline_points(part, part.cord_mm)
    if not len(near):
        return need, np.ones(len(need))
    worst = np.stack([tumour.distance(outline + way * towards).reshape(len(near), -1).min(1) for way in ways], axis=1)
    short = worst < gap
    last = len(ways) - 1 - short[:, ::-1].argmax(1)
    rows = np.arange(len(near))
    after = np.minimum(last + 1, len(ways) - 1)
    a, b = worst[rows, last] - gap, worst[rows, after] - gap
    found = ways[last] + step * np.clip(a / np.minimum(a - b, -1e-9), 0.0, 1.0)
    need[near] = np.where(short.any(1), found, 0.0)
    if not need.any():
        return need, np.ones(len(need))
    need = _bent(rest.height_mm, need)
    turn = np.arctan2(towards[1], towards[0])
    all_rows = np.arange(len(need), dtype=float)
    thick = read_table(rest.cord_mm, all_rows, np.full(len(need), turn))
    behind = read_table(rest.dura_mm, all_rows, np.full(len(need), turn))
    room = np.maximum(behind - thick - figure("cord_gap_mm"), 0.0)
    lack = np.maximum(need - room, 0.0)
    flat = np.clip(1.0 - lack / (2.0 * thick), _FLATTEST, 1.0)
    return need - thick * (1.0 - flat), flat


def _bent(height: Distances, need: Distances) -> Distances:
    """`need` (M,) as a stiff cord follows it: never less, smooth, and 0 at both ends."""
    from scipy.ndimage import gaussian_filter1d

    reach = figure("stiffness_share") * min(-float(height[0]), float(height[-1])) / 1.2
    away = np.abs(height[:, None] - height[None, :]) / reach
    bump = np.where(away < 1.0, np.cos(0.5 * np.pi * np.minimum(away, 1.0)) ** 2, 0.0)
    smooth = gaussian_filter1d((need[None, :] * bump).max(1), 2.0 / STEP_MM)
    lack = float(np.max(need - smooth))
    if lack > 0.0:
        smooth = smooth + lack * bump[int(np.argmax(need - smooth))]
        smooth = smooth * max(1.0, float(np.max(need[need > 0] / smooth[need > 0])))
    ends = smooth_step(np.minimum(height - height[0], height[-1] - height) / 4.0)
    return smooth * ends


def flattened(table: Table, flat: NDArray[np.float64], towards: Vector) -> Table:
    """The outlines pressed to `flat` (M,) of their thickness along `towards`, as much wider across: areas stay."""
    unit = around()
    along = unit @ towards[:2]
    across = unit @ np.array([-towards[1], towards[0]])
    if (flat == 1.0).all():
        return table
    out = np.empty_like(table)
    asked = 2 * np.pi * np.arange(TURNS) / TURNS
    for row, share in enumerate(flat):
        u, v = table[row] * along * share, table[row] * across / share
        x, y = u * towards[0] - v * towards[1], u * towards[1] + v * towards[0]
        out[row] = np.interp(asked, np.arctan2(y, x) % (2 * np.pi), np.hypot(x, y), period=2 * np.pi)
    return out
