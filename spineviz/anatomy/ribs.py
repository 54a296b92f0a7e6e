"""Ribs of the thoracic levels: head, neck, tubercle, angle and the sweep round the thorax, clear of the vertebrae.

A rib is rigid with the vertebra of its number and is laid once in that vertebra's frame: its head over the upper
corner of its own body (ribs 2 to 10 reach the disc above, 1, 11 and 12 their own body alone), its tubercle before the
tip of the transverse process (not in 11 and 12), then round an ellipse, falling forward, until its published length is
used up.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spineviz.anatomy.column import COLUMN_LEVELS, Column, below_from_above, endplates, level_above
from spineviz.anatomy.structure import RANKS, Structure
from spineviz.anatomy.sweeps import Sweep, gradient, smooth_step, surface_of, sweep_along, sweep_field
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.once import once
from spineviz.data.tables import sourced_table
from spineviz.geometry.curves import Curve, curve_through, sides_within
from spineviz.geometry.fields import Field, Points, Vector
from spineviz.geometry.frames import Frame
from spineviz.geometry.meshes import Mesh
from spineviz.geometry.operators import moved, offset, union

_STEP_MM = 2.0
_SIDES = 16
_MIRROR = np.array([-1.0, 1.0, 1.0])


@cache
def rib_table() -> dict[str, dict[str, float]]:
    """Level -> length, thorax and cross-section of its rib, mm, from ribs.csv."""
    with asset("anatomy", "ribs.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["level"]: {name: float(text) for name, text in row.items() if name.endswith("_mm")}
            for row in csv.DictReader(file)
        }


@cache
def _shape(name: str) -> float:
    return sourced_table(asset("anatomy", "ribs-shape.csv"))[name].value


@cache
def _gap_mm() -> float:
    return sourced_table(asset("anatomy", "joints.csv"))["rib_joint_gap_mm"].value


@cache
def _bones_round(level: str) -> Field:
    """What the rib of `level` meets, in its vertebra's frame: that vertebra, and standing and lying the body above."""
    from spineviz.anatomy.bones import near_field
    from spineviz.anatomy.vertebra import vertebra

    parts = [near_field(level)]
    above = level_above(level)
    if above is not None:
        body = vertebra(above).body
        parts += [moved(body, below_from_above(above, lying).inverse()) for lying in (0.0, 1.0)]
    return union(*parts)


def _meets(start: Vector, towards: Vector, field: Field, distance_mm: float) -> Vector:
    """The first point from `start` along `towards` that is no more than `distance_mm` from `field`."""
    steps = np.arange(0.0, 45.0, 0.25)
    line = start + steps[:, None] * towards
    near = np.flatnonzero(field.distance(line) <= distance_mm)
    return line[near[0]] if len(near) else line[-1]


def _head(level: str) -> Vector:
    """(3,) the middle of the right rib's head: outside its facet, where the body (and the one above) lets it come."""
    from spineviz.anatomy.vertebra import vertebra

    facet = vertebra(level).landmarks["rib-head-right"].copy()
    if level not in ("T1", "T10", "T11", "T12"):
        # half of the head belongs to the vertebra above: it lies at the height of the disc
        facet[2] = endplates(level)[0].origin_mm[2] - 0.5
    out = np.array([0.97, -0.24, 0.0])
    return _meets(facet + 28.0 * out, -out, _bones_round(level), 0.9 * _shape("head_thickness_mm") / 2)


def _knots(level: str) -> tuple[Points, int]:
    """(K, 3) points of the right rib's line, longer than it will be, and the index of the tubercle."""
    from spineviz.anatomy.vertebra import vertebra

    row = rib_table()[level]
    marks = vertebra(level).landmarks
    head = _head(level)
    if "rib-facet-right" in marks:
        away = (row["shaft_thickness_mm"] + _shape("tubercle_swell_mm")) / 2 + _gap_mm()
        tubercle = marks["rib-facet-right"] + away * marks["rib-facet-right-normal"]
    else:
        # ribs 11 and 12 have no joint with the transverse process: they pass before it
        tip = marks["transverse-tip-right"]
        tubercle = np.array([max(tip[0] + 4.0, head[0] + 4.0), min(tip[1] + 10.0, head[1] - 9.0), head[2] - 3.0])
    neck = (head + tubercle) / 2 + np.array([0.0, -0.5, 0.0])
    back = tubercle[1] - _shape("angle_behind_mm")
    half_x, half_y = row["half_width_mm"], (row["front_mm"] - back) / 2
    middle = back + half_y
    start = np.arcsin(min(0.9, (tubercle[0] + _shape("angle_beyond_mm")) / half_x))
    angle = np.linspace(start, np.deg2rad(172.0), 9)
    # flatter behind than an ellipse, as a thorax is
    sweep = np.column_stack(
        [half_x * np.sin(angle), middle - half_y * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85, 0 * angle]
    )
    sweep[:, 2] = tubercle[2]
    return np.concatenate([[head, neck, tubercle], sweep]), 2


@once
def rib_sweep(level: str) -> Sweep:
    """The right rib of `level` (T1 to T12) in its vertebra's frame; RequestError for another level."""
    if level not in rib_table():
        raise RequestError(f"level: {level!r} has no rib; give T1 to T12")
    row = rib_table()[level]
    knots, index = _knots(level)
    whole = curve_through(knots, 0.5)
    tubercle_mm = float(whole.arc_mm[np.argmin(np.linalg.norm(whole.points_mm - knots[index], axis=1))])
    points = whole.points_mm.copy()
    # the fall is spread over what will be left of the rib; it lengthens the way a little, so cut afterwards
    fall = np.clip((whole.arc_mm - tubercle_mm) / (row["length_mm"] - tubercle_mm), 0.0, 1.5)
    points[:, 2] -= row["drop_mm"] * (0.35 * fall + 0.65 * fall**1.6)
    cut = Curve(points).part(0.0, row["length_mm"])
    ways = _ways(cut.length_mm)
    line = cut.at(ways)
    arc = Curve(line).arc_mm
    return _clear(line, *_section(level, arc, tubercle_mm), level, tubercle_mm)


def _ways(length_mm: float) -> NDArray[np.float64]:
    """Where rings lie: every 2 mm, and closer at both ends so that they come out round."""
    tip = np.array([0.0, 0.15, 0.5, 1.0, 1.7, 2.6])
    count = int(np.ceil((length_mm - 8.0) / _STEP_MM)) + 1
    return np.concatenate([tip, np.linspace(4.0, length_mm - 4.0, count), length_mm - tip[::-1]])


def _section(level: str, arc: NDArray[np.float64], tubercle_mm: float) -> tuple[NDArray, NDArray]:
    """(M,) half height and half thickness along the rib."""
    row = rib_table()[level]
    share = smooth_step((arc - 0.5 * tubercle_mm) / (0.9 * tubercle_mm + 8.0))
    off_head = smooth_step(arc / max(0.6 * tubercle_mm, 6.0))
    height = _shape("neck_height_mm") + (row["shaft_height_mm"] - _shape("neck_height_mm")) * share
    thick = _shape("neck_thickness_mm") + (row["shaft_thickness_mm"] - _shape("neck_thickness_mm")) * share
    height = height + (_shape("head_height_mm") - height) * (1 - off_head)
    thick = thick + (_shape("head_thickness_mm") - thick) * (1 - off_head)
    if level not in ("T11", "T12"):
        thick = thick + _shape("tubercle_swell_mm") * np.exp(-(((arc - tubercle_mm) / 5.0) ** 2))
    left = arc[-1] - arc
    pointed = 40.0 if level in ("T11", "T12") else 10.0
    height = height * (0.45 + 0.55 * smooth_step(left / pointed)) if pointed > 20 else height
    ends = np.ones_like(arc)
    for way, radius in ((left, 3.5), (arc, 4.5)):  # a quarter circle closes each end
        ends = ends * np.sqrt(np.clip(1 - (1 - np.clip(way / radius, 0, 1)) ** 2, 1e-4, 1))
    return height / 2 * ends, thick / 2 * ends


def _clear(line: Points, half_height: NDArray, half_thick: NDArray, level: str, tubercle_mm: float) -> Sweep:
    """The sweep, its line moved off the bones until the whole section keeps the joint's gap."""
    field = _bones_round(level)
    points = line.copy()
    near = Curve(line).arc_mm < tubercle_mm + 25.0
    for turn in range(12):
        sweep = sweep_along(Curve(points), half_height, half_thick, (0.0, 0.0, 1.0))
        slope = gradient(field, points[near])
        reach = np.hypot(
            (slope * sweep.side[near]).sum(1) * half_height[near], (slope * sweep.front[near]).sum(1) * half_thick[near]
        )
        lack = reach + _gap_mm() - field.distance(points[near])
        if turn >= 6 and not (lack > 0.05).any():
            break
        moved_by = np.maximum(lack, 0.0)[:, None] * slope
        points[near] += (
            np.minimum(1.0, 2.0 / np.maximum(np.linalg.norm(moved_by, axis=1, keepdims=True), 1e-9)) * moved_by
        )
        if turn < 8:
            arc = Curve(points).arc_mm
            share = ((arc[1:-1] - arc[:-2]) / (arc[2:] - arc[:-2]))[:, None]
            points[1:-1] = 0.5 * points[1:-1] + 0.5 * ((1 - share) * points[:-2] + share * points[2:])
    return sweep_along(Curve(points), half_height, half_thick, (0.0, 0.0, 1.0))


def mirrored_sweep(sweep: Sweep) -> Sweep:
    """The same on the other side; its axes stay right-handed about its line."""
    return Sweep(sweep.points_mm * _MIRROR, sweep.side * _MIRROR, -sweep.front * _MIRROR, sweep.side_mm, sweep.front_mm)


def rib_structures(column: Column, levels: Sequence[str]) -> dict[str, Structure]:
    """ "ribs-right" and "ribs-left": the ribs of the thoracic `levels`; none where there is no such level.

    Their parts are the ribs, "rib-T12-right" and the like: in another posture these stand otherwise to each other.
    """
    view = [level for level in COLUMN_LEVELS if level in set(levels) and level in rib_table()]
    if not view:
        return {}
    first = view[0]
    frame = column.world_from_vertebra(first)
    tag = "|".join(column.relative_key(level, first) for level in view)
    out = {}
    for side in ("right", "left"):
        name = f"ribs-{side}"
        sweeps = [_sweep(level, side).moved(column.relative(level, first)) for level in view]
        shape, mesh = sweep_field(sweeps), surface_of(sweeps, _sides)
        parts = tuple(_rib(level, side, column.world_from_vertebra(level)) for level in view)
        out[name] = replace(_bone(name, f"{name}|{tag}", shape, mesh, frame), parts=parts)
    return out


@cache
def _sweep(level: str, side: str) -> Sweep:
    """The rib of `level` on one side in its vertebra's frame."""
    return rib_sweep(level) if side == "right" else mirrored_sweep(rib_sweep(level))


@cache
def _shape_of(level: str, side: str) -> tuple[Field, Callable[[float], Mesh]]:
    """That rib as a field, and its surface."""
    sweeps = [_sweep(level, side)]
    return sweep_field(sweeps), surface_of(sweeps, _sides)


def _rib(level: str, side: str, world_from_vertebra: Frame) -> Structure:
    """One rib, which is rigid with its vertebra."""
    name = f"rib-{level}-{side}"
    return _bone(name, name, *_shape_of(level, side), world_from_vertebra)


def _bone(name: str, key: str, shape: Field, mesh: Callable[[float], Mesh], world_from_local: Frame) -> Structure:
    """What has `shape` in its own frame, as bone with a cortex."""
    field = moved(shape, world_from_local)
    return Structure(
        name=name,
        role="bone",
        material="cortical",
        field=field,
        mesh=mesh,
        key=key,
        rank=RANKS["bone"],
        world_from_local=world_from_local,
        core=offset(field, -_shape("cortex_mm")),
        core_material="trabecular",
    )


def _sides(sweep: Sweep, off_mm: float) -> int:
    return sides_within(float(max(sweep.side_mm.max(), sweep.front_mm.max())), off_mm, _SIDES)
