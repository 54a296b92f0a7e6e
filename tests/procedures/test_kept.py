"""Plans kept on disk."""

from __future__ import annotations

import numpy as np
import pytest

from spineviz.procedures.kept import hand_over, is_kept, keep_plan, kept_plan, plan_digest, plans_made

NUMBERS = {"volume_ml": 3.7684213, "names": ["right", "left"], "wide": 1e300}
ARRAYS = {"room": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4), "nodes": np.arange(6).reshape(2, 3)}
DIGEST = "0" * 64


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path))
    return tmp_path / "plans"


def test_what_is_kept_comes_back_to_the_last_bit(folder):
    keep_plan(DIGEST, NUMBERS, ARRAYS)
    numbers, arrays = kept_plan(DIGEST)
    assert numbers == NUMBERS
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)
    assert sorted(path.name for path in folder.iterdir()) == [f"{DIGEST}.json", f"{DIGEST}.npz"]


def test_what_a_copy_made_is_found_once_without_a_file(folder):
    made = plans_made(lambda: keep_plan(DIGEST, NUMBERS, ARRAYS))
    assert is_kept(DIGEST)
    for path in folder.iterdir():
        path.unlink()
    assert not is_kept(DIGEST)
    hand_over(made)
    numbers, arrays = kept_plan(DIGEST)
    assert numbers == NUMBERS
    assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())
    assert kept_plan(DIGEST) is None


def test_nothing_kept_is_none(folder):
    assert kept_plan(DIGEST) is None


@pytest.mark.parametrize("ending", [".json", ".npz"])
@pytest.mark.parametrize("damage", [b"", b"{", b'{"numbers": 3}', b"PK\x03\x04", b"[" * 5000, b"\xff\xfe"])
def test_a_damaged_file_is_as_good_as_none(folder, ending, damage):
    keep_plan(DIGEST, NUMBERS, ARRAYS)
    (folder / f"{DIGEST}{ending}").write_bytes(damage)
    assert kept_plan(DIGEST) is None


def test_arrays_of_another_plan_are_not_taken(folder):
    keep_plan(DIGEST, NUMBERS, ARRAYS)
    keep_plan("1" * 64, NUMBERS, {"room": np.zeros(3)})
    (folder / f"{'1' * 64}.npz").replace(folder / f"{DIGEST}.npz")
    assert kept_plan(DIGEST) is None


def test_pickled_arrays_are_never_read(folder):
    folder.mkdir(parents=True)
    with (folder / f"{DIGEST}.npz").open("wb") as stream:
        np.savez(stream, evil=np.array([{"a": 1}], dtype=object))
    packed = (folder / f"{DIGEST}.npz").read_bytes()
    import hashlib
    import json

    record = {"arrays_sha256": hashlib.sha256(packed).hexdigest(), "numbers": {}}
    (folder / f"{DIGEST}.json").write_text(json.dumps(record))
    assert kept_plan(DIGEST) is None


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "file"))
    keep_plan(DIGEST, NUMBERS, ARRAYS)
    assert kept_plan(DIGEST) is None


def test_digest_depends_on_procedure_and_case():
    digests = {plan_digest(procedure, case) for procedure in ("a", "b") for case in ("{}", '{"seed":1}')}
    assert len(digests) == 4
    assert all(len(digest) == 64 for digest in digests)
    assert plan_digest("a", "{}") == plan_digest("a", "{}")
