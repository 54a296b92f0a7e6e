"""spineviz state."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner

from spineviz.cli import main
from spineviz.cli.state import as_csv_text, flat
from spineviz.data.films import film
from spineviz.procedures.state import STATE_KEYS

FILM = "vertebroplasty"


def run(*args: str, code: int = 0):
    result = CliRunner().invoke(main, ["state", *args])
    assert result.exit_code == code, result.output
    return result


def test_one_moment_is_one_object_with_every_key():
    state = json.loads(run(FILM, "--at", "160", "--json").stdout)
    assert tuple(state) == STATE_KEYS
    assert state["step"] == "cement"
    assert state["time_s"] == 160
    assert state["cement_ml"] > 0
    assert state["balloon_right_ml"] is None


def test_many_moments_are_a_list_that_reaches_the_end():
    states = json.loads(run(FILM, "--every", "16", "--json").stdout)
    assert [state["time_s"] for state in states] == list(range(0, int(film(FILM).seconds) + 1, 16))
    assert states[0]["step"] == "title"
    assert states[-1]["step"] == "outcome"


def test_csv_has_the_same_numbers():
    states = json.loads(run(FILM, "--every", "50", "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(run(FILM, "--every", "50", "--csv").stdout)))
    assert [tuple(row) for row in rows] == [STATE_KEYS] * len(states)
    for row, state in zip(rows, states, strict=True):
        for key, value in state.items():
            assert row[key] == ("" if value is None else str(value))


def test_plain_text_has_a_line_for_each_key():
    lines = run(FILM, "--at", "0").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(STATE_KEYS)


def test_a_case_changes_the_numbers():
    one = json.loads(run(FILM, "--at", "200", "--json", "--set", "cement.volume_ml=1.0").stdout)
    assert one["cement_ml"] == pytest.approx(1.0)


def test_kyphoplasty_answers_with_the_same_keys():
    clock = film("kyphoplasty")
    moments = {name: clock.step(name).end_s - 0.1 for name in ("case", "inflation", "cement")}
    states = {name: json.loads(run("kyphoplasty", "--at", str(at), "--json").stdout) for name, at in moments.items()}
    for state in states.values():
        assert tuple(state) == STATE_KEYS
    assert states["case"]["balloon_right_ml"] is None
    assert states["inflation"]["balloon_right_ml"] == pytest.approx(2.0, rel=0.01)
    assert states["inflation"]["balloon_left_psi"] > 50.0
    assert states["inflation"]["cannula_left_mm"] > 0.0
    assert states["cement"]["balloon_right_ml"] is None
    assert states["cement"]["cement_ml"] > 4.0


def test_states_of_several_procedures_are_nested_in_json_and_dotted_elsewhere():
    rows = [
        {"time_s": 1.0, "step": "a", "vertebroplasty": {"cement_ml": None}, "kyphoplasty": {"cement_ml": 1.5}},
        {"time_s": 2.0, "step": "b", "vertebroplasty": {"cement_ml": 0.25}, "kyphoplasty": {"cement_ml": 2.0}},
    ]
    assert flat(rows[0]) == {
        "time_s": 1.0, "step": "a", "vertebroplasty.cement_ml": None, "kyphoplasty.cement_ml": 1.5,
    }  # fmt: skip
    assert as_csv_text(rows).splitlines() == [
        "time_s,step,vertebroplasty.cement_ml,kyphoplasty.cement_ml",
        "1.0,a,,1.5",
        "2.0,b,0.25,2.0",
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nofilm", "--at", "3"], "no film 'nofilm'; there is overview, vertebroplasty"),
        ([FILM], "--at SECONDS, 0 to"),
        ([FILM, "--at", "3", "--every", "1"], "--at SECONDS, 0 to"),
        ([FILM, "--at", "-1"], "--at: -1 s is outside the film; give 0 to"),
        ([FILM, "--at", "1e9"], "--at: 1e+09 s is outside the film; give 0 to"),
        ([FILM, "--at", "nan"], "--at: nan s is outside the film; give 0 to"),
        ([FILM, "--at", "3", "--set", f"seed={'9' * 5000}"], "--set seed: a number of thousands of digits"),
        ([FILM, "--at", "soon"], "'soon' is not a valid float"),
        ([FILM, "--every", "0"], "--every: 0 is not an interval"),
        ([FILM, "--every", "-2"], "--every: -2 is not an interval"),
        ([FILM, "--every", "nan"], "--every: nan is not an interval"),
        ([FILM, "--every", "1e-9"], "--every: 1e-09 is not an interval"),
        ([FILM, "--at", "3", "--json", "--csv"], "--csv: --json is given too"),
    ],
)
def test_refusals(args, said):
    result = run(*args, code=2)
    assert said in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) <= 3
