"""spineviz measure."""

from __future__ import annotations

import json

from click.testing import CliRunner

from spineviz.cli import main
from spineviz.data.tables import LEVELS, morphometry


def run(*args: str, code: int = 0):
    result = CliRunner().invoke(main, ["measure", *args])
    assert result.exit_code == code, result.output
    return result


def test_every_level_is_set_against_its_source_and_the_margins_come_with_the_film():
    answer = json.loads(run("vertebroplasty", "--json").stdout)
    rows = answer["measures"]
    assert {row["level"] for row in rows} == set(LEVELS)
    for row in rows:
        assert row["difference"] == round(row["built"] - row["published"], 4) or abs(row["difference"]) < 1e3
        assert row["source"]
        assert row["mark"]
        assert row["unit"] in ("mm", "deg", "mL")
    widths = {
        row["level"]: row["published"]
        for row in rows
        if "upper end-plate width" in row["name"] or row["name"] == "EPWu"
    }
    assert widths == {level: morphometry()[level]["EPWu_mm"].value for level in LEVELS} or not widths
    margins = answer["margins"]
    assert margins["needle_right_least_bone_mm"] >= 0.5
    assert margins["cement_to_back_quarter_mm"] >= 0.0


def test_a_case_without_a_film_is_refused():
    assert "give FILM too" in run("--set", "seed=3", code=2).stderr


def test_an_unknown_film_is_refused():
    assert "no film 'nofilm'" in run("nofilm", code=2).stderr
