"""Kept pieces: whole or not there, whatever becomes of the files, the clock and the disk."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineviz.data.errors import FaultError, RequestError
from spineviz.film import store as module
from spineviz.film.store import LIMIT_GB, PieceStore, limit_bytes, lives, piece_store

NAMES = [f"{i:064x}" for i in range(1, 9)]


def kept(store, number, data=b"frames", count=3):
    return store.keep_bytes(data, ".mp4", NAMES[number], count)


def test_a_piece_is_found_under_its_name_with_its_frames(tmp_path):
    store = PieceStore(tmp_path / "pieces")
    made = kept(store, 0, b"one", 7)
    found = PieceStore(tmp_path / "pieces").find(NAMES)
    assert found == {NAMES[0]: made}
    assert made.path.read_bytes() == b"one"
    assert made.count == 7
    assert [p.name for p in store.folder.iterdir()] == [made.path.name]


@given(data=st.binary(min_size=1, max_size=200), spoil=st.data())
def test_what_is_damaged_truncated_or_longer_is_not_found_and_is_gone(tmp_path_factory, data, spoil):
    store = PieceStore(tmp_path_factory.mktemp("pieces"))
    path = kept(store, 0, data).path
    kind = spoil.draw(st.sampled_from(["cut", "flip", "grow"]))
    place = spoil.draw(st.integers(0, len(data) - 1))
    if kind == "cut":
        path.write_bytes(data[:place])
    elif kind == "flip":
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << spoil.draw(st.integers(0, 7))]) + data[place + 1 :])
    else:
        path.write_bytes(data + b"x")
    assert store.find(NAMES) == {}
    assert not path.exists()


def test_foreign_files_are_left_alone_and_not_taken_for_pieces(tmp_path):
    store = PieceStore(tmp_path)
    notes = [tmp_path / "notes.txt", tmp_path / f"{NAMES[0]}.mp4", tmp_path / f"{NAMES[0]}-{'0' * 31}-3.mp4"]
    for path in notes:
        path.write_text("mine")
    assert store.find(NAMES) == {}
    store.evict(0.0)
    assert all(path.exists() for path in notes)


def test_a_file_that_claims_to_be_a_piece_is_replaced_by_the_true_one(tmp_path):
    store = PieceStore(tmp_path)
    true = kept(store, 0, b"true")
    true.path.write_bytes(b"false")
    assert store.find(NAMES) == {}
    assert kept(store, 0, b"true") == true
    assert store.find(NAMES) == {NAMES[0]: true}


def test_what_was_begun_and_not_kept_is_gone(tmp_path):
    store = PieceStore(tmp_path)

    def begin():
        with store.part(".mp4") as part:
            part.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        begin()
    assert list(tmp_path.iterdir()) == []


def test_what_dead_writers_left_is_swept_and_that_of_the_living_stays(tmp_path):
    store = PieceStore(tmp_path)
    dead = tmp_path / f".part-{2**22 + 1}-abc.mp4"
    dead.write_bytes(b"half")
    with store.part(".mp4") as part:
        store.sweep()
        assert part.exists()
    assert not dead.exists()


def test_a_process_that_has_ended_writes_no_more_though_nobody_has_waited_for_it():
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert lives(process.pid)
        process.stdout.read()  # to its end
        until = time.monotonic() + 10
        while lives(process.pid) and time.monotonic() < until:
            time.sleep(0.01)
        assert process.returncode is None
        assert not lives(process.pid)
    assert lives(os.getpid())
    assert not lives(10**30)


def test_the_pieces_used_longest_ago_go_first_and_those_in_use_stay(tmp_path):
    store = PieceStore(tmp_path)
    for number in range(5):
        kept(store, number, bytes(100))
    store.find([NAMES[0]])
    assert store.evict(300, pinned=[NAMES[1]]) == 2
    assert set(store.find(NAMES)) == {NAMES[0], NAMES[1], NAMES[4]}
    assert store.evict(0, pinned=[NAMES[1]]) == 2
    assert set(store.find(NAMES)) == {NAMES[1]}


def test_a_clock_set_back_does_not_change_the_order(tmp_path, monkeypatch):
    store = PieceStore(tmp_path)
    kept(store, 0, bytes(100))
    monkeypatch.setattr(module.time, "time_ns", lambda: 10**9)
    kept(store, 1, bytes(100))
    kept(store, 2, bytes(100))
    store.evict(200)
    assert set(store.find(NAMES)) == {NAMES[1], NAMES[2]}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_fault_with_a_remedy_and_loses_nothing(tmp_path, monkeypatch, number):
    store = PieceStore(tmp_path)
    made = kept(store, 0)

    def full(*_):
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(FaultError, match=r"the cache .*: No space left on device; make room \(spineviz cache clear\)"):
        kept(store, 1)
    assert set(store.find(NAMES)) == {made.name}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_told_with_its_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPINEVIZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(FaultError, match=r"cannot be written: .*; set SPINEVIZ_CACHE to a folder that can"):
        piece_store()


@pytest.mark.parametrize(("text", "size"), [("", LIMIT_GB * 1e9), ("0.5", 5e8), ("0", 0.0)])
def test_the_limit(monkeypatch, text, size):
    monkeypatch.setenv("SPINEVIZ_CACHE_GB", text)
    assert limit_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv("SPINEVIZ_CACHE_GB", text)
    with pytest.raises(RequestError, match=r"SPINEVIZ_CACHE_GB=.*give gigabytes"):
        limit_bytes()


def test_a_piece_is_moved_into_place_never_written_there(tmp_path, monkeypatch):
    store, seen = PieceStore(tmp_path), []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (seen.append((self.name, to.name)), replace(self, to))[1])
    made = kept(store, 0)
    assert [to for _, to in seen] == [made.path.name]
    assert seen[0][0].startswith(f".part-{os.getpid()}-")
