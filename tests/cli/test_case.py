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


def test_check_says_what_the_plan_holds(tmp_path):
    out = tmp_path / "mine.toml"
    out.write_text("[needle]\ngauge = 13\n")
    said = run("case", "check", str(out)).stdout
    assert "mine.toml is sound: L1, bipedicular, 13 gauge" in said
    assert run("case", "check", "--case", str(out)).stdout == said


def test_check_refuses_what_does_not_fit():
    said = run("case", "check", "--set", "cement.volume_ml=19", code=2).stderr
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


@pytest.mark.parametrize("command", ["new", "check", "show"])
def test_help_tells_what_it_does(command):
    assert "case" in run("case", command, "--help").stdout
