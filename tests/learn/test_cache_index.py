import threading

import pytest

from qcbench.learn.cache_index import CacheIndex, Entry, file_state


@pytest.fixture
def index(tmp_path):
    return CacheIndex(path=tmp_path / "cache" / "volumes.json")


def test_an_image_keeps_its_row_and_is_absent_until_it_was_written(index):
    assert index.hand_out({"a": "1", "b": "1"}, n_rows=0) == {"a": 0, "b": 1}
    assert index.read() == {"a": Entry(row=0), "b": Entry(row=1)}
    index.note({"b": Entry(row=1, file="1", hash="x")})
    assert index.hand_out({"a": "1", "b": "1", "c": "1"}, n_rows=2) == {"a": 0, "c": 2}
    assert index.hand_out({"b": "2"}, n_rows=2) == {"b": 1}
    assert index.read()["b"] == Entry(row=1, hash="x")


def test_what_is_damaged_cut_or_without_a_hash_is_written_again(index):
    index.hand_out({"a": "1", "b": "1", "c": "1"}, n_rows=0)
    index.note({name: Entry(row=row, file="1", hash="x") for row, name in enumerate("ab")})
    index.note({"c": Entry(row=2, file="1")})
    states = {"a": "1", "b": "1", "c": "1"}
    assert index.hand_out(states, n_rows=3, damaged={"a"}) == {"a": 0, "c": 2}
    assert index.hand_out({"b": "1"}, n_rows=1) == {"b": 1}


def test_what_others_wrote_meanwhile_is_not_taken_back(index):
    index.hand_out({"a": "1"}, n_rows=0)
    index.hand_out({"b": "1"}, n_rows=0)
    index.note({"b": Entry(row=1, file="1", hash="y")})
    index.note({"a": Entry(row=0, file="1", hash="x")})
    assert index.read() == {"a": Entry(row=0, file="1", hash="x"), "b": Entry(row=1, file="1", hash="y")}


def test_a_row_written_from_two_states_of_a_file_counts_as_absent(index):
    index.hand_out({"a": "1"}, n_rows=0)
    index.note({"a": Entry(row=0, file="2", hash="new")})
    index.note({"a": Entry(row=0, file="1", hash="old")})
    assert index.read() == {"a": Entry(row=0)}


def test_rows_begin_behind_those_of_an_index_that_was_lost(index):
    index.hand_out({"a": "1"}, n_rows=0)
    index.path.write_text('{"a": ')
    assert index.hand_out({"b": "1"}, n_rows=1) == {"b": 1}
    index.note({"a": Entry(row=0, file="1", hash="x")})
    assert index.read() == {"b": Entry(row=1)}


def test_many_builders_at_once_are_given_rows_of_their_own(index):
    given = {}
    names = [f"{builder}-{number}" for builder in range(4) for number in range(5)]
    threads = [threading.Thread(target=lambda n=n: given.update(index.hand_out({n: "1"}, n_rows=0))) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given.values()) == list(range(20))
    assert {name: entry.row for name, entry in index.read().items()} == given


def test_the_state_of_a_file_changes_when_it_is_written(tmp_path):
    path = tmp_path / "volume.nii"
    assert file_state(path) is None
    path.write_bytes(b"one")
    first = file_state(path)
    path.write_bytes(b"other")
    assert file_state(path) != first
