"""The published dimensions, measured on the built surfaces."""

import csv

import numpy as np
import pytest

from spineviz.anatomy.calibrate import solve
from spineviz.anatomy.measures import (
    TOLERANCES,
    Measure,
    _area,
    _centroid,
    _chord,
    _encloses,
    _rim,
    measure_vertebra,
    tolerance,
)
from spineviz.anatomy.vertebra import vertebra
from spineviz.data.assets import asset
from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced
from spineviz.data.tables import LEVELS
from spineviz.geometry.fields import box, sphere


@pytest.mark.parametrize("level", LEVELS)
def test_every_dimension_is_within_its_tolerance(level):
    measures = measure_vertebra(level)
    assert [m.name for m in measures] == list(TOLERANCES)
    outside = [f"{m.name} {m.built:.2f} for {m.published.value}" for m in measures if not m.within]
    assert outside == []


def test_measure_knows_difference_and_tolerance():
    published = Sourced(50.0, "mm", "c", "m")
    assert Measure("L1", "EPWu_mm", 50.9, published, tolerance("EPWu_mm", 50.0), "mm").within
    far = Measure("L1", "EPWu_mm", 51.1, published, tolerance("EPWu_mm", 50.0), "mm")
    assert far.difference == pytest.approx(1.1)
    assert not far.within


def test_an_unknown_level_is_refused():
    with pytest.raises(RequestError):
        measure_vertebra("S1")


# --- the instruments, on shapes whose answer is known -------------------------------------------------------------


def test_a_chord_from_the_centre_of_a_ball_is_its_radius():
    assert _chord(sphere([0, 0, 0], 7.3), np.zeros(3), np.array([0.0, 1.0, 0.0]), 20.0) == pytest.approx(7.3, abs=1e-6)


def test_area_and_centroid_of_a_rectangle():
    line = np.array([[1, 1], [5, 1], [5, 3], [1, 3]], float)
    assert _area(line) == pytest.approx(8.0)
    assert _centroid(line) == pytest.approx([3, 2])
    assert _encloses(line, np.array([2.0, 2.0]))
    assert not _encloses(line, np.array([6.0, 2.0]))


def test_the_rim_of_a_tilted_hollow_plate_is_found_with_its_depth():
    corners = np.array([[-15.0, -10.0], [0.0, -8.0], [15.0, -10.0], [15.0, 10.0], [0.0, 9.0], [-15.0, 10.0]])
    side = [np.linspace(a, b, 200, endpoint=False) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    angle = np.radians(5.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = np.concatenate(side) @ turn.T
    upper, lower = _rim(outline, 1.0), _rim(outline, -1.0)
    assert upper.depth_mm == pytest.approx(30.0, abs=0.01)
    assert np.linalg.norm(upper.back - lower.back) == pytest.approx(20.0, abs=0.01)
    assert np.degrees(np.arctan2(upper.along[1], upper.along[0])) == pytest.approx(5.0, abs=0.1)


def test_measuring_reads_the_surface_and_not_the_table():
    """A vertebra that is grown by a tenth measures a tenth more."""
    from dataclasses import replace

    from spineviz.anatomy.measures import dimensions_of
    from spineviz.geometry.frames import Frame
    from spineviz.geometry.operators import scaled

    bone = vertebra("L2")
    grown = replace(
        bone,
        field=scaled(bone.field, 1.1),
        landmarks={name: point * 1.1 for name, point in bone.landmarks.items()},
        frames={name: Frame(f.rotation, f.origin_mm * 1.1) for name, f in bone.frames.items()},
        _meshes={},
    )
    before, after = dimensions_of(bone), dimensions_of(grown)
    for name in ("EPDu_mm", "EPWl_mm", "VBHp_use_mm", "SCW_use_mm", "SCD_use_mm", "PDH_zindrick_mm"):
        assert after[name] == pytest.approx(1.1 * before[name], rel=0.02)
    assert box([0, 0, 0], [1, 1, 1]).exact


# --- calibration --------------------------------------------------------------------------------------------------


def test_the_calibration_table_is_what_its_solver_finds():
    with asset("anatomy", "shape-calibration.csv").open(encoding="utf-8") as file:
        rows = {row.pop("level"): row for row in csv.DictReader(file)}
    assert tuple(rows) == LEVELS
    found = solve("L2")
    assert {name: float(text) for name, text in rows["L2"].items()} == pytest.approx(found, abs=0.05)
