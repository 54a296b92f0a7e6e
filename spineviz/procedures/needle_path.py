"""Where a needle goes: through the pedicle into the front third of the body, with bone on every side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spineviz.geometry.fields import Distances, Points, Vector, unit
from spineviz.geometry.frames import Frame

STEP_MM = 1.0
"""Between the stations at which a path is looked at while it is searched."""

_ANGLES = 2 * np.pi * np.arange(24) / 24


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a path through one pedicle has to respect; vertebra frame, mm.

    Attributes:
        side: "right" or "left".
        bone, canal: (N, 3) -> (N,) signed distance to the bone as it lies, and to the canal's room.
        pedicle: its frame: origin at the isthmus, y along its axis into the body, z up.
        pedicle_width_mm, pedicle_height_mm: at the isthmus.
        entry_mm: (3,) where the facet meets the transverse process.
        back_wall_y_mm, front_wall_y_mm: the body's walls as the lateral view shows them.
        inner_edge_x_mm: how far from the midline the pedicle's inner edge lies in the AP view.
        middle_z_mm: y (N,) mm -> (N,) height of the body's middle between its end-plates there.
    """

    side: str
    bone: Callable[[Points], Distances]
    canal: Callable[[Points], Distances]
    pedicle: Frame
    pedicle_width_mm: float
    pedicle_height_mm: float
    entry_mm: Vector
    back_wall_y_mm: float
    front_wall_y_mm: float
    inner_edge_x_mm: float
    middle_z_mm: Callable[[Distances], Distances]

    @property
    def outward(self) -> float:
        """1 on the right, -1 on the left."""
        return 1.0 if self.side == "right" else -1.0

    @property
    def body_depth_mm(self) -> float:
        """From the back wall to the front wall."""
        return self.front_wall_y_mm - self.back_wall_y_mm


@dataclass(frozen=True)
class Rules:
    """What counts as safe, mm; shares are of the body's depth (assets/devices/cement.csv).

    Attributes:
        least_bone_mm: on every side of the needle.
        front_share: the tip lies in this share of the body at its front.
        tip_to_cortex_mm: bone left beyond the tip, ahead and towards the end-plates.
        seat_mm: within this way of meeting the bone the needle has bone on every side.
    """

    least_bone_mm: float
    front_share: float
    tip_to_cortex_mm: float
    seat_mm: float = 9.0


@dataclass(frozen=True, eq=False)
class NeedlePath:
    """One needle's way, vertebra frame.

    Attributes:
        side: "right" or "left".
        forward: (3,) unit direction.
        tip_mm, contact_mm, wall_mm: (3,) where its point ends, where it meets bone, and where it passes the back wall.
        radius_mm: of the needle.
        bone_mm: the least bone beside the needle from where it is seated to its tip.
        pedicle_bone_mm: the same within the pedicle.
        medial_mm: the least way to the canal.
        lower_mm: the least bone below the needle within the pedicle.
        seat_mm: the way from meeting the bone to bone on every side.
        past_midline_mm: how far the tip lies beyond the midline (negative: short of it).
    """

    side: str
    forward: Vector
    tip_mm: Vector
    contact_mm: Vector
    wall_mm: Vector
    radius_mm: float
    bone_mm: float
    pedicle_bone_mm: float
    medial_mm: float
    lower_mm: float
    seat_mm: float
    past_midline_mm: float

    def at(self, way_mm: float) -> Vector:
        """(3,) the place `way_mm` behind (negative) or beyond the tip."""
        return self.tip_mm + way_mm * self.forward


class NoPathError(Exception):
    """No safe path. `where` is "pedicle" or "body"; `room_mm` the widest needle radius that the pedicle would take."""

    def __init__(self, where: str, room_mm: float):
        super().__init__(where)
        self.where = where
        self.room_mm = room_mm


def _directions(around: Surroundings, medial_deg: NDArray[np.float64], down_deg: NDArray[np.float64]) -> Points:
    """Unit directions (N, 3) that turn to the midline by `medial_deg` and down by `down_deg` on the way forward."""
    medial, down = np.radians(medial_deg), np.radians(down_deg)
    raw = np.column_stack([-around.outward * np.tan(medial), np.ones_like(medial), -np.tan(down)])
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def _pedicle_angles(around: Surroundings) -> tuple[float, float]:
    axis = around.pedicle.rotation[:, 1]
    axis = axis if axis[1] > 0 else -axis
    return float(np.degrees(np.arctan2(-around.outward * axis[0], axis[1]))), float(
        np.degrees(np.arctan2(-axis[2], axis[1]))
    )


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Lines: they pass the isthmus at `across_mm` (outward) and `up_mm`, and turn by `medial_deg`, `down_deg`."""

    across_mm: NDArray[np.float64]
    up_mm: NDArray[np.float64]
    medial_deg: NDArray[np.float64]
    down_deg: NDArray[np.float64]
    depth_share: NDArray[np.float64]

    def some(self, which: NDArray) -> _Candidates:
        return _Candidates(
            self.across_mm[which], self.up_mm[which], self.medial_deg[which], self.down_deg[which],
            self.depth_share[which],
        )  # fmt: skip

    @property
    def table(self) -> NDArray[np.float64]:
        return np.column_stack([self.across_mm, self.up_mm, self.medial_deg, self.down_deg, self.depth_share])


def _first_grid(around: Surroundings, radius_mm: float, rules: Rules) -> _Candidates:
    medial, down = _pedicle_angles(around)
    wide = max(0.2, around.pedicle_width_mm / 2 - radius_mm - rules.least_bone_mm)
    tall = max(0.2, around.pedicle_height_mm / 2 - radius_mm - rules.least_bone_mm)
    axes = [
        np.linspace(-wide, wide, 7),
        np.linspace(-tall, tall, 7),
        medial + np.array([-9.0, -5.0, -2.0, 1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0, 24.0]),
        np.unique(np.concatenate([down + np.array([-10.0, -4.0, 0.0, 4.0, 10.0]), [-4.0, 2.0, 8.0, 14.0, 20.0]])),
        np.array([0.93 * rules.front_share]),
    ]
    return _Candidates(*[m.ravel() for m in np.meshgrid(*axes, indexing="ij")])


def _round_about(best: NDArray[np.float64], spread: NDArray[np.float64], count: int, seed: int) -> _Candidates:
    shift = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 5)) * spread
    shift[0] = 0.0
    table = best + shift
    return _Candidates(*table.T)


def _score(
    around: Surroundings, lines: _Candidates, radius_mm: float, rules: Rules, target_x_mm: float, least_bone_mm: float
) -> tuple[NDArray[np.float64], float, bool]:
    """A score for each line, infinite where it is unsafe; the widest radius that any pedicle stretch allows; whether
    any line passed the pedicle."""
    frame = around.pedicle
    forward = _directions(around, lines.medial_deg, lines.down_deg)
    anchor = (
        frame.origin_mm
        + around.outward * lines.across_mm[:, None] * frame.rotation[:, 0]
        + lines.up_mm[:, None] * np.array([0.0, 0.0, 1.0])
    )
    score = np.full(len(anchor), np.inf)
    # the pedicle first: most lines end there
    back_way = -6.0
    wall_way = (around.back_wall_y_mm - anchor[:, 1]) / forward[:, 1]
    stations = np.linspace(0.0, 1.0, 12)
    way = back_way + stations[None, :] * (wall_way + 3.0 - back_way)[:, None]
    points = anchor[:, None, :] + way[:, :, None] * forward[:, None, :]
    bone = -around.bone(points.reshape(-1, 3)).reshape(way.shape)
    canal = around.canal(points.reshape(-1, 3)).reshape(way.shape)
    room = np.minimum(bone, canal).min(axis=1)
    widest = float(room.max() - rules.least_bone_mm)
    at_wall = anchor + wall_way[:, None] * forward
    outside = around.outward * at_wall[:, 0] >= around.inner_edge_x_mm
    fits = np.flatnonzero((room >= radius_mm + least_bone_mm) & outside)
    if not len(fits):
        return score, widest, False
    anchor, forward, room, share = anchor[fits], forward[fits], room[fits], lines.depth_share[fits]
    tip_y = around.front_wall_y_mm - share * around.body_depth_mm
    tip_way = (tip_y - anchor[:, 1]) / forward[:, 1]
    tip = anchor + tip_way[:, None] * forward
    # the body, from the back wall to a little beyond the tip
    start = wall_way[fits]
    stations = np.linspace(0.0, 1.0, 14)
    way = start[:, None] + stations[None, :] * (tip_way - start)[:, None]
    points = anchor[:, None, :] + way[:, :, None] * forward[:, None, :]
    inside = -around.bone(points.reshape(-1, 3)).reshape(way.shape)
    in_body = inside.min(axis=1)
    at_tip = inside[:, -1]
    # back to where it meets the bone
    back = -6.0 - np.arange(0.0, 32.0, STEP_MM)
    points = anchor[:, None, :] + back[None, :, None] * forward[:, None, :]
    behind = -around.bone(points.reshape(-1, 3)).reshape(len(anchor), -1)
    out = behind <= 0.0
    contact = np.where(out.any(axis=1), out.argmax(axis=1), len(back) - 1)
    bare = behind < radius_mm + least_bone_mm
    seated = np.where(bare.any(axis=1), bare.argmax(axis=1), len(back) - 1)
    seat = (contact - seated) * STEP_MM
    aside = around.canal(points.reshape(-1, 3)).reshape(len(anchor), -1)
    # behind its entry the needle is in the soft tissue, where the canal's open ends do not count
    aside = np.where(np.arange(len(back))[None, :] <= contact[:, None], aside, np.inf).min(axis=1)
    entry = anchor + back[contact][:, None] * forward
    safe = (
        (in_body >= radius_mm + least_bone_mm)
        & (at_tip >= rules.tip_to_cortex_mm)
        & out.any(axis=1)
        & (aside >= radius_mm + least_bone_mm)
        & (seat <= rules.seat_mm)
    )
    ease = np.minimum(np.minimum(room, in_body) - radius_mm, 1.6)
    cost = (
        0.55 * np.abs(tip[:, 0] * around.outward - target_x_mm)
        + 0.40 * np.linalg.norm((entry - around.entry_mm)[:, [0, 2]], axis=1)
        + 0.10 * np.abs(entry[:, 1] - around.entry_mm[1])
        + 0.30 * np.abs(tip[:, 2] - around.middle_z_mm(tip[:, 1]))
        + 0.25 * seat
        + 12.0 * np.abs(share - 0.68 * rules.front_share)
        - 3.0 * ease
    )
    score[fits] = np.where(safe, cost, np.inf)
    return score, widest, True


def find_path(
    around: Surroundings, radius_mm: float, rules: Rules, target_x_mm: float, thicker_mm: tuple[float, ...] = ()
) -> NeedlePath:
    """The best safe path of a needle of `radius_mm` through one pedicle.

    `target_x_mm` is where the tip should lie: the way from the midline towards its own side, negative beyond it. A
    coarse search over place and direction in the pedicle is refined four times; what is found is then measured on
    the needle's surface, and searched anew with more bone if a side falls short. Where the coarse search finds
    nothing, the paths of `thicker_mm` needles are tried: what lets a thicker one through is wide enough.

    Raises NoPathError where nothing is safe.
    """
    first: NoPathError | None = None
    for searched in (radius_mm, *thicker_mm):
        try:
            return _searched_path(around, searched, radius_mm, rules, target_x_mm)
        except NoPathError as error:
            first = first or error
    assert first is not None
    raise first


def _searched_path(
    around: Surroundings, searched_mm: float, radius_mm: float, rules: Rules, target_x_mm: float
) -> NeedlePath:
    """The best path for a needle of radius `searched_mm`, measured for one of `radius_mm`."""
    ask = rules.least_bone_mm + 0.05
    widest = 0.0
    passed = False
    for _ in range(4):
        lines = _first_grid(around, searched_mm, rules)
        score, room, through = _score(around, lines, searched_mm, rules, target_x_mm, ask)
        widest, passed = max(widest, room), passed or through
        spread = np.array([1.2, 1.6, 3.5, 4.0, 0.25 * rules.front_share])
        if not np.isfinite(score).any():
            # between the nodes of the coarse grid there may still be a way
            lines = _Candidates(*_dense(lines, spread).T)
            score, room, through = _score(around, lines, searched_mm, rules, target_x_mm, ask)
            widest, passed = max(widest, room), passed or through
            if not np.isfinite(score).any():
                raise NoPathError("body" if passed else "pedicle", widest)
        best = lines.table[int(score.argmin())]
        for turn in range(4):
            lines = _round_about(best, spread, 400, turn)
            lines = replace(lines, depth_share=np.clip(lines.depth_share, 0.45 * rules.front_share,
                                                       0.97 * rules.front_share))  # fmt: skip
            score, _, _ = _score(around, lines, searched_mm, rules, target_x_mm, ask)
            if np.isfinite(score).any():
                best = lines.table[int(score.argmin())]
            spread = spread * 0.45
        path = measured_path(around, best, radius_mm, rules)
        least = min(path.bone_mm, path.pedicle_bone_mm, path.medial_mm)
        if least >= rules.least_bone_mm:
            return path
        ask += 0.05 + rules.least_bone_mm - least
    raise NoPathError("body" if passed else "pedicle", widest)


def _dense(lines: _Candidates, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.repeat(lines.table, 2, axis=0)
    shift = np.random.default_rng(1).uniform(-1.0, 1.0, table.shape) * spread * 0.8
    return table + shift


def measured_path(around: Surroundings, line: NDArray[np.float64], radius_mm: float, rules: Rules) -> NeedlePath:
    """The path along `line` (its place and turn in the pedicle, and depth), measured on the needle's surface."""
    across, up, medial, down, share = line
    forward = _directions(around, np.array([medial]), np.array([down]))[0]
    frame = around.pedicle
    anchor = frame.origin_mm + around.outward * across * frame.rotation[:, 0] + up * np.array([0.0, 0.0, 1.0])
    tip_y = around.front_wall_y_mm - share * around.body_depth_mm
    return _measured(around, anchor, forward, anchor + (tip_y - anchor[1]) / forward[1] * forward, radius_mm, rules)


def remeasured(around: Surroundings, path: NeedlePath, rules: Rules, on_mm: float = 0.0) -> NeedlePath:
    """`path` with its end `on_mm` further along its line, measured anew."""
    frame = around.pedicle
    across = np.cross(frame.rotation[:, 0], [0.0, 0.0, 1.0])
    way = float((frame.origin_mm - path.tip_mm) @ across) / float(path.forward @ across)
    return _measured(around, path.at(way), path.forward, path.at(on_mm), path.radius_mm, rules)


def bone_ahead_mm(around: Surroundings, path: NeedlePath, reach_mm: float = 40.0) -> float:
    """The way from the path's end along its line to the bone's outer face."""
    way = np.arange(0.0, reach_mm, 0.05)
    out = np.flatnonzero(around.bone(path.tip_mm + way[:, None] * path.forward) > 0.0)
    return float(way[out[0]]) if len(out) else reach_mm


def _measured(
    around: Surroundings, anchor: Vector, forward: Vector, tip: Vector, radius_mm: float, rules: Rules
) -> NeedlePath:
    """The path along `forward` through `anchor`, in the pedicle's isthmus, to `tip`."""
    frame = around.pedicle
    wall = anchor + (around.back_wall_y_mm - anchor[1]) / forward[1] * forward
    length = float((tip - anchor) @ forward) + 40.0
    way = np.arange(0.0, length, 0.25)
    axis = tip - way[:, None] * forward
    on_axis = around.bone(axis)
    isthmus = int(np.argmin(np.abs(way - (tip - anchor) @ forward)))
    out = np.flatnonzero(on_axis[isthmus:] > 0)
    contact = isthmus + (int(out[0]) if len(out) else len(way) - 1 - isthmus)
    # rings of points on the needle's surface
    first = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    second = np.cross(first, forward)
    ring = np.cos(_ANGLES)[:, None] * first + np.sin(_ANGLES)[:, None] * second
    rings = axis[: contact + 1, None, :] + radius_mm * ring[None, :, :]
    bone = -around.bone(rings.reshape(-1, 3)).reshape(rings.shape[:2])
    canal = around.canal(rings.reshape(-1, 3)).reshape(rings.shape[:2])
    # the diamond point is slimmer than the shaft, so its first rings are on the safe side
    least = bone.min(axis=1)
    bare = np.flatnonzero(least[isthmus:] < rules.least_bone_mm)
    seated = isthmus + (int(bare[0]) - 1 if len(bare) else contact - isthmus)
    seated = max(seated, isthmus)
    # the pedicle reaches as far behind its isthmus as the back wall lies before it
    behind = 2.0 * frame.origin_mm[1] - around.back_wall_y_mm
    y = axis[: contact + 1, 1]
    pedicle = np.flatnonzero((y <= around.back_wall_y_mm) & (y >= behind))
    below = np.abs(_ANGLES - 1.5 * np.pi) < 0.6 if second[2] > 0 else np.abs(_ANGLES - 0.5 * np.pi) < 0.6
    return NeedlePath(
        side=around.side,
        forward=forward,
        tip_mm=tip,
        contact_mm=axis[contact],
        wall_mm=wall,
        radius_mm=radius_mm,
        bone_mm=float(least[: seated + 1].min()),
        pedicle_bone_mm=float(least[pedicle].min()),
        medial_mm=float(canal.min()),
        lower_mm=float(bone[pedicle][:, below].min()),
        seat_mm=float(0.25 * (contact - seated)),
        past_midline_mm=float(-around.outward * tip[0]),
    )
