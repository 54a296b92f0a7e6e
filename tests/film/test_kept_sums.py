"""What radiographs are summed from, kept on disk."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "file"))
    assert kept_arrays(NAME, lambda: ARRAYS) is ARRAYS
