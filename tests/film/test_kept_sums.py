"""What radiographs are summed from, kept on disk."""

from __future__ import annotations

import os

import numpy as np
import pytest

from spineviz.data.errors import RequestError
from spineviz.film import kept_sums
from spineviz.film.kept_sums import kept_arrays

ARRAYS = {"corner": np.arange(6, dtype=np.int16).reshape(2, 3), "coefficient": np.linspace(0, 1, 5, dtype=np.float16)}
NAME = ("cubes", "bone-L2", b"\x00\x01", 0.75, None)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path))
    return tmp_path / "sums"


def never():
    raise AssertionError("made again")


def test_what_is_kept_comes_back_to_the_last_bit_and_is_not_made_again(folder):
    kept_arrays(NAME, lambda: ARRAYS)
    found = kept_arrays(NAME, never)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert len(list(folder.iterdir())) == 1


def test_another_name_is_another_thing(folder):
    kept_arrays(NAME, lambda: ARRAYS)
    other = {"image": np.ones(3)}
    assert kept_arrays((*NAME[:-1], "lateral"), lambda: other) is other
    assert set(kept_arrays(NAME, never)) == set(ARRAYS)


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "foreign"])
def test_a_damaged_file_is_made_anew(folder, damage):
    kept_arrays(NAME, lambda: ARRAYS)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    kept_arrays(("another",), lambda: {"corner": np.zeros(3)})
    foreign = next(other for other in folder.iterdir() if other != path).read_bytes()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    path.write_bytes({"empty": b"", "cut": whole[:-1], "changed": changed, "foreign": foreign}[damage])
    assert kept_arrays(NAME, lambda: ARRAYS) is ARRAYS
    assert path.read_bytes() == whole


def kept(folder, name, used_s):
    """The file of a picture that was used last at `used_s`."""
    there = {*folder.glob("*")}
    kept_arrays((name,), lambda: {"image": np.zeros(1000)})
    (path,) = {*folder.iterdir()} - there
    os.utime(path, (used_s, used_s))
    return path


def test_what_was_used_longest_ago_goes_where_too_much_is_kept(folder, monkeypatch):
    middle, oldest, latest = (kept(folder, name, at) for name, at in (("a", 2), ("b", 1), ("c", 3)))
    monkeypatch.setattr(kept_sums, "most_bytes", lambda: 3.5 * oldest.stat().st_size)
    new = kept(folder, "d", 4)
    assert {*folder.iterdir()} == {middle, latest, new}


def test_what_is_found_counts_as_used(folder, monkeypatch):
    first, second = kept(folder, "a", 1), kept(folder, "b", 2)
    kept_arrays(("a",), never)
    monkeypatch.setattr(kept_sums, "most_bytes", lambda: 2.5 * first.stat().st_size)
    new = kept(folder, "c", 3)
    assert {*folder.iterdir()} == {first, new}
    assert not second.exists()


@pytest.mark.parametrize(("pieces_gb", "sums"), [("20", 1e9), ("0", 0.0)])
def test_their_limit_is_a_twentieth_of_that_of_pieces(folder, monkeypatch, pieces_gb, sums):
    monkeypatch.setenv("SPINEVIZ_CACHE_GB", pieces_gb)
    assert kept_sums.most_bytes() == pytest.approx(sums)
    kept_arrays(NAME, lambda: ARRAYS)
    assert len(list(folder.iterdir())) == (sums > 0)


def test_a_limit_that_is_none_is_refused_before_anything_is_made(folder, monkeypatch):
    monkeypatch.setenv("SPINEVIZ_CACHE_GB", "lots")
    with pytest.raises(RequestError, match="SPINEVIZ_CACHE_GB"):
        kept_arrays(NAME, never)


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "file"))
    assert kept_arrays(NAME, lambda: ARRAYS) is ARRAYS
