"""What is wrong with a request is said in a few lines, with exit code 2 and nothing written, by every command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from spineviz.cli import main

WRONG_FILES = {
    "unknown-key.toml": (b"[spine]\nlevl = 3\n", "spine.levl: unknown key"),
    "unit.toml": (b'[tumour]\ndiameter_mm = "14 mm"\n', 'tumour.diameter_mm: "14 mm" is text'),
    "nan.toml": (b"[cement]\nvolume_ml = nan\n", "cement.volume_ml: nan is not a finite number"),
    "level.toml": (b'[spine]\nlevel = "L9"\n', 'spine.level: "L9"'),
    "volume.toml": (b"[cement]\nvolume_ml = 19\n", "cement.volume_ml: 19 is more than the"),
    "not-toml.toml": (b"what is this\n", "is not TOML"),
    "nested.toml": (b"seed = " + b"[" * 5000, "nested too deeply"),
    "bytes.toml": (b"\x80\x81\x82", "is not UTF-8"),
    "schema.toml": (b"schema = 9\n", "schema: 9"),
}


def commands(tmp_path: Path) -> dict[str, list[str]]:
    out = str(tmp_path / "out" / "x.stl")
    return {
        "state": ["state", "vertebroplasty", "--at", "3"],
        "measure": ["measure", "vertebroplasty"],
        "export": ["export", "L1", "vertebroplasty", "--at", "3", "--out", out],
        "case check": ["case", "check", "--film", "vertebroplasty"],
        "case show": ["case", "show"],
    }


@pytest.mark.parametrize("command", ["state", "measure", "export", "case check", "case show"])
@pytest.mark.parametrize("name", [*WRONG_FILES, "missing.toml", "folder.toml"])
def test_a_wrong_case_is_refused(tmp_path, command, name):
    (tmp_path / "out").mkdir()
    path = tmp_path / name
    said = {"missing.toml": "there is no file", "folder.toml": "is a folder"}.get(name, "")
    if name in WRONG_FILES:
        content, said = WRONG_FILES[name]
        path.write_bytes(content)
    elif name == "folder.toml":
        path.mkdir()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    result = CliRunner().invoke(main, [*commands(tmp_path)[command], "--case", str(path)])
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert 1 <= len(result.stderr.strip().splitlines()) <= 3
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["state", "export", "case check", "case show"])
def test_a_wrong_setting_is_refused(tmp_path, command):
    (tmp_path / "out").mkdir()
    result = CliRunner().invoke(main, [*commands(tmp_path)[command], "--set", "spine.level=L9"])
    assert result.exit_code == 2
    assert 'spine.level: "L9"' in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_path_that_is_not_there_says_which_gauge_fits(tmp_path):
    result = CliRunner().invoke(
        main, ["state", "vertebroplasty", "--at", "3", "--set", "spine.level=T5", "--set", "needle.gauge=8"]
    )
    assert result.exit_code == 2
    assert "largest needle of the catalogue that fits is" in result.stderr
    assert "parapedicular" in result.stderr
