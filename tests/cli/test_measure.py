"""spineviz measure."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from spineviz.cli import main


def run(*args: str, code: int = 0):
    result = CliRunner().invoke(main, ["measure", *args])
    assert result.exit_code == code, result.output
    return result


def test_every_dimension_is_set_against_its_source_and_the_margins_come_with_the_film(monkeypatch):
    # every level is measured by the tests of anatomy
    monkeypatch.setattr("spineviz.cli.measure.LEVELS", ("T6", "L1"))
    monkeypatch.setattr("spineviz.anatomy.measures_column.LEVELS", ("T6", "L1"))
    answer = json.loads(run("vertebroplasty", "--json").stdout)
    rows = answer["measures"]
    assert {row["level"] for row in rows} == {"T6", "L1"}
    assert len({(row["level"], row["name"]) for row in rows}) == len(rows) >= 28
    assert {"disc_below_height_mm", "segment_angle_below_deg"} <= {row["name"] for row in rows}
    for row in rows:
        assert row["difference"] == pytest.approx(row["built"] - row["published"], abs=1e-3)
        assert row["source"]
        assert row["mark"]
        assert row["unit"] in ("mm", "deg", "mL")
    margins = answer["margins"]
    assert margins["needle_right_least_bone_mm"] >= 0.5
    assert margins["cement_to_back_quarter_mm"] >= 0.0
    lines = run("vertebroplasty").stdout.splitlines()
    assert sum(line.startswith(("T6 ", "L1 ")) for line in lines) == len(rows)


def test_the_margins_of_kyphoplasty_are_its_own(monkeypatch):
    monkeypatch.setattr("spineviz.cli.measure.measured_rows", list)
    margins = json.loads(run("kyphoplasty", "--json").stdout)["margins"]
    for side in ("right", "left"):
        assert margins[f"needle_{side}_least_bone_mm"] >= 0.5
        assert margins[f"marker_{side}_clear_mm"] >= 1.0
        assert 3.0 <= margins[f"drill_{side}_stop_mm"] <= 5.0
        assert margins[f"balloon_{side}_to_back_quarter_mm"] >= 0.0


def test_a_case_without_a_film_is_refused():
    assert "give FILM too" in run("--set", "seed=3", code=2).stderr


def test_an_unknown_film_is_refused():
    assert "no film 'nofilm'" in run("nofilm", code=2).stderr
