"""Sweeps on fewer rings."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.anatomy.sweeps import Sweep, sweep_along, thinned
from spineviz.geometry.curves import Curve


def bow(bend_mm: float) -> Sweep:
    """A round tube of 2 mm, straight for 60 mm and then on an arc of radius `bend_mm`, rings 1 mm apart."""
    turn = np.arange(0.0, 60.0) / bend_mm
    arc = np.column_stack([bend_mm * (1 - np.cos(turn)), 0 * turn, 60 + bend_mm * np.sin(turn)])
    line = np.column_stack([np.zeros(60), np.zeros(60), np.arange(60.0)])
    return sweep_along(Curve(np.concatenate([line, arc])), 2.0, 2.0, (0.0, 1.0, 0.0))


@pytest.mark.parametrize("off_mm", [0.03, 0.1])
@pytest.mark.parametrize("bend_mm", [20.0, 40.0])
def test_a_thinned_sweep_is_off_by_what_is_allowed_and_has_few_rings_where_it_is_straight(bend_mm, off_mm):
    whole = bow(bend_mm)
    few = thinned(whole, off_mm)
    assert np.array_equal(few.points_mm[[0, -1]], whole.points_mm[[0, -1]])
    straight, bent = few.points_mm[:, 2] < 58, few.points_mm[:, 2] > 60
    assert straight.sum() <= 60 / 12 + 2
    chord = np.linalg.norm(np.diff(few.points_mm[bent], axis=0), axis=1)
    allowed = np.sqrt(8 * off_mm * bend_mm)
    assert chord.max() < allowed + 1.0  # a ring more or less
    assert np.median(chord) > allowed - 1.5
    ways = whole.points_mm[:, None] - few.points_mm[None, :-1]
    step = np.diff(few.points_mm, axis=0)
    along = ((ways * step).sum(2) / (step**2).sum(1)).clip(0, 1)
    off = np.linalg.norm(ways - along[..., None] * step, axis=2).min(axis=1)
    assert off.max() < 1.02 * (allowed + 1.0) ** 2 / (8 * bend_mm)


def test_a_sweep_turned_about_its_own_line_or_mirrored_keeps_the_same_rings():
    whole = bow(30.0)
    turned = Sweep(whole.points_mm, whole.front, -whole.side, whole.front_mm, whole.side_mm)
    mirror = np.array([-1.0, 1.0, 1.0])
    mirrored = Sweep(whole.points_mm * mirror, whole.side * mirror, whole.front * mirror, whole.side_mm, whole.front_mm)
    few = thinned(whole, 0.05).points_mm
    assert np.array_equal(few, thinned(turned, 0.05).points_mm)
    assert np.array_equal(few * mirror, thinned(mirrored, 0.05).points_mm)


def test_of_the_shortest_sweep_all_rings_stay():
    short = sweep_along(Curve(np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 2]])), 1.0, 1.0)
    assert len(thinned(short, 5.0).points_mm) == 3
