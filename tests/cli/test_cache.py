"""spineviz cache: what it shows and clears."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from spineviz.cli.cache import KINDS, command
from spineviz.film.kept_sums import kept_arrays
from spineviz.film.store import piece_store


@pytest.fixture
def filled(tmp_path, monkeypatch):
    """A cache of one plan, two pieces and one sum, and a file that belongs to somebody else."""
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "cache"))
    store = piece_store()
    for number in range(2):
        store.keep_bytes(bytes(1000), ".mp4", f"{number:064x}", 3)
    plans = tmp_path / "cache" / "plans"
    plans.mkdir()
    (plans / "a.json").write_bytes(bytes(50))
    kept_arrays(("ball",), lambda: {"weight": np.zeros(5000)})
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    return tmp_path / "cache"


def run(*arguments):
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_it_shows_folder_and_sizes(filled):
    told = json.loads(run("show", "--json").output)
    assert told["folder"] == str(filled)
    assert told["plans"] == {"files": 1, "bytes": 50}
    assert told["pieces"] == {"files": 2, "bytes": 2000}
    assert told["sums"]["files"] == 1
    assert told["sums"]["bytes"] > 40_000
    assert told["limit_bytes"] == 20e9
    assert told["sums_limit_bytes"] == 1e9
    words = run("show").output
    assert str(filled) in words
    assert "finished pieces of films: 2 files, 0.0 MB of at most 20 GB" in words
    assert "what radiographs are summed from: 1 file, 0.0 MB of at most 1 GB" in words


def test_it_clears_all_or_one_kind_and_nothing_else(filled):
    assert "2 files removed" in run("clear", "--only", "pieces").output
    assert json.loads(run("show", "--json").output)["plans"]["files"] == 1
    assert "1 file removed" in run("clear", "--only", "sums").output
    assert "1 file removed" in run("clear").output
    told = json.loads(run("show", "--json").output)
    assert all(told[kind] == {"files": 0, "bytes": 0} for kind in KINDS)
    assert (filled / "notes.txt").exists()


def test_a_cache_that_is_not_there_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "none"))
    assert json.loads(run("show", "--json").output)["pieces"] == {"files": 0, "bytes": 0}
    assert "0 files removed" in run("clear").output
    assert not (tmp_path / "none").exists()
