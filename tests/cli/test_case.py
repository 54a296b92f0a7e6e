"""spineviz case."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.testing import CliRunner

from spineviz.cli import main


def run(*args: str, code: int = 0):
    result = CliRunner().invoke(main, args)
    assert result.exit_code == code, result.output
    if code:
        assert 1 <= len(result.stderr.strip().splitlines()) <= 3
        assert result.stdout == ""
    return result


def test_new_writes_to_standard_output_or_to_a_file(tmp_path):
    from spineviz.procedures.case import Case, checked_case, commented_case

    assert run("case", "new").stdout == commented_case()
    out = tmp_path / "case.toml"
    run("case", "new", "--out", str(out))
    assert checked_case(tomllib.loads(out.read_text("utf-8"))) == Case()


def test_new_leaves_a_file_in_the_way_alone(tmp_path):
    out = tmp_path / "case.toml"
    out.write_text("mine")
    assert "exists already" in run("case", "new", "--out", str(out), code=2).stderr
    assert out.read_text() == "mine"
    run("case", "new", "--out", str(out), "--force")
    assert out.read_text() != "mine"


def test_check_says_what_each_plan_holds(tmp_path):
    out = tmp_path / "mine.toml"
    out.write_text("[needle]\ngauge = 13\n")
    said = run("case", "check", str(out)).stdout
    assert run("case", "check", "--case", str(out)).stdout == said
    first, *lines = said.splitlines()
    assert first == "mine.toml is sound: L1, bipedicular"
    assert [line.split(":")[0] for line in lines] == ["  vertebroplasty", "  kyphoplasty", "  chemoembolization"]
    assert "13 gauge needle" in lines[0]
    assert "10 gauge cannula" in lines[1]
    assert "15 mm balloons to 2.0 mL each" in lines[1]
    assert "5 French catheter from the right groin, 31 cm to left L1" in lines[2]


def test_check_of_one_film_says_its_plan_alone():
    lines = run("case", "check", "--film", "kyphoplasty", "--set", "needle.approach=left").stdout.splitlines()
    assert len(lines) == 2
    assert "15 mm balloon to 2.0 mL, " in lines[1]


def test_a_case_that_one_procedure_refuses_is_sound_for_the_other():
    settings = ("--set", "balloon.length_mm=20", "--set", "spine.level=T9")
    said = run("case", "check", *settings).stdout
    assert "vertebroplasty: 11 gauge needle" in said
    assert "kyphoplasty refuses it: balloon.length_mm: 20 is longer than the" in said
    assert "give 10 or 15" in said
    assert "balloon.length_mm: 20" in run("case", "check", "--film", "kyphoplasty", *settings, code=2).stderr


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_film_of_more_than_one_procedure_decides_nothing(command):
    said = run("case", command, "--film", "comparison", code=2).stderr
    assert "--film: 'comparison' is no film of one procedure; give vertebroplasty or kyphoplasty" in said


def test_check_refuses_what_does_not_fit():
    said = run("case", "check", "--film", "vertebroplasty", "--set", "cement.volume_ml=19", code=2).stderr
    assert "cement.volume_ml: 19 is more than the" in said


def test_check_takes_one_file():
    assert "one of them" in run("case", "check", "a.toml", "--case", "b.toml", code=2).stderr


def test_show_resolves_auto_and_is_a_case_again():
    shown = run("case", "show", "--set", "seed=3").stdout
    assert '"auto"' not in shown
    table = tomllib.loads(shown)
    assert table["seed"] == 3
    assert table["cement"]["volume_ml"] > 1.0
    assert json.loads(run("case", "show", "--set", "seed=3", "--json").stdout) == table


def test_show_resolves_auto_as_the_film_decides_it():
    shown = {
        film: json.loads(run("case", "show", "--film", film, "--json").stdout)
        for film in ("vertebroplasty", "kyphoplasty")
    }
    assert shown["vertebroplasty"]["cement"] != shown["kyphoplasty"]["cement"]
    assert shown["kyphoplasty"]["cement"]["volume_ml"] == pytest.approx(4.9, abs=0.01)
    assert shown["kyphoplasty"]["balloon"]["volume_ml"] == 2.0
    assert json.loads(run("case", "show", "--json").stdout) == shown["vertebroplasty"]


@pytest.mark.parametrize("command", ["new", "check", "show"])
def test_help_tells_what_it_does(command):
    assert "case" in run("case", command, "--help").stdout
