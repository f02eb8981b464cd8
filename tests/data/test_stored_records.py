"""What the program reads back of its own is checked once, with one message."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from mswin_viz.data.storage.stored_records import StoredRecord, checked, json_value, read_json
from mswin_viz.errors import OptionError, WeightsError


class Losses(StoredRecord):
    losses: list[float]
    step: int


WRONG = {
    "nan": ({"losses": [1.0, float("nan")], "step": 1}, "losses.1: input should be a finite number, got nan"),
    "infinite": ({"losses": [float("inf")], "step": 1}, "losses.0: input should be a finite number, got inf"),
    "text": ({"losses": ["0.5"], "step": 1}, "losses.0: input should be a valid number, got '0.5'"),
    "boolean": ({"losses": [], "step": True}, "step: input should be a valid integer, got True"),
    "fraction": ({"losses": [], "step": 1.5}, "step: input should be a valid integer, got 1.5"),
    "absent": ({"losses": []}, "step: field required"),
    "no object": ([1], "cannot be used: the whole should be a valid dictionary, got "),
    "none": (None, "cannot be used: the whole should be a valid dictionary, got "),
    "many": ({"losses": ["a", "b", "c", "d"], "step": 1}, "and 1 more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_with_its_place_and_the_way_on(name: str) -> None:
    value, words = WRONG[name]
    with pytest.raises(WeightsError, match=r"the state a\.pt cannot be used") as caught:
        checked(Losses, value, what="the state a.pt", remedy="delete it to start again", error=WeightsError)
    assert words in str(caught.value)
    assert str(caught.value).endswith("; delete it to start again")


def test_a_right_value_is_taken_and_later_keys_are_left_alone() -> None:
    found = checked(
        Losses, {"losses": [1, 2.5], "step": 2, "later": {}}, what="the state", remedy="delete it"
    )
    assert (found.losses, found.step) == ([1.0, 2.5], 2)


def test_a_message_stays_short_and_printable_whatever_the_value() -> None:
    with pytest.raises(OptionError) as caught:
        checked(Losses, {"losses": "\udce9\n" * 10_000, "step": 1}, what="the state", remedy="delete it")
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()


REFUSED = {
    "nested": ("[" * 100_000 + "]" * 100_000, "must be JSON"),
    "deeper than any record": ("[" * 70 + "]" * 70, "more than 64 lists and objects"),
    "nan": ('{"a": NaN}', "NaN is not a number"),
    "infinity": ("-Infinity", "-Infinity is not a number"),
    "digits": ("1" + "0" * 6000, "digits"),
    "cut off": ('{"a": [1', "must be JSON"),
    "empty": ("", "must be JSON"),
    "bytes of another encoding": (b"\xff\xfe\xfd", "must be JSON"),
    "long": ("x" * 9_000_000, "must have at most 8,388,608 bytes: it has 9,000,000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_text_that_is_no_sensible_json_is_refused_at_once(name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(OptionError) as caught:
        json_value(text, what="the state", remedy="leave it out")
    assert words in str(caught.value)
    assert str(caught.value).startswith("the state m")
    assert len(str(caught.value)) < 250


def test_the_depth_that_is_allowed_is_read() -> None:
    value = json_value("[" * 64 + "]" * 64, what="the state", remedy="leave it out")
    for _ in range(63):
        (value,) = value
    assert value == []


def test_a_large_file_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("wb") as stream:
        stream.truncate(2**31)
    tracemalloc.start()
    with pytest.raises(
        OptionError, match=r"the index .*large.json must have at most 8,388,608 bytes: it has 2,147,483,648"
    ):
        read_json(file, what="the index", remedy="delete it")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20


@pytest.mark.parametrize("name", ["absent", "folder", "a\0b", "x" * 300])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OptionError, match=r"the index .* must be a readable file .*; delete it"):
        read_json(tmp_path / name, what="the index", remedy="delete it")
