"""Names that are no text: they are shown and written escaped, everything else stays as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import short_text, shown_text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain_cam1.jpg", "plain_cam1.jpg"),
        ("café 人 ß \xa0.jpg", "café 人 ß \xa0.jpg"),
        ("C:\\data\\a.jpg", "C:\\data\\a.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\udce9.jpg"),
        ("two\nlines.jpg", "two\\nlines.jpg"),
        ("bell\x07tab\t\x00.jpg", "bell\\x07tab\\t\\x00.jpg"),
        ("separators\u2028\u2029\x85", "separators\\u2028\\u2029\\x85"),
        ("no character \ufffe", "no character \\ufffe"),
        ("turned \u202egnp.a\u2066", "turned \\u202egnp.a\\u2066"),
        ("joined 👩\u200d🔬.jpg", "joined 👩\u200d🔬.jpg"),
    ],
)
def test_what_is_no_text_stands_escaped(name: str, shown: str) -> None:
    assert shown_text(name) == shown
    assert shown_text(Path(name)) == shown


@given(st.text(st.characters(codec=None)))
def test_every_name_becomes_one_line_that_every_file_format_takes(name: str) -> None:
    shown = shown_text(name)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert json.loads(json.dumps(shown)) == shown


@given(st.text(st.characters(codec=None)), st.integers(4, 40))
def test_a_short_text_begins_and_ends_as_the_whole_does(name: str, most: int) -> None:
    whole, short = shown_text(name), short_text(name, most)
    assert len(short) == min(len(whole), most)
    first, _, last = (whole, "", "") if short == whole else short.rpartition("…")
    assert whole.startswith(first)
    assert whole.endswith(last)


def test_line_breaks_can_be_kept() -> None:
    assert shown_text("a\nb\udce9", keep="\n") == "a\nb\\udce9"


@pytest.mark.parametrize(
    "source",
    [Path(os.fsdecode(b"/set/caf\xe9.jpg")), Crop(Path(os.fsdecode(b"/set/caf\xe9.jpg")), (0, 0, 5, 9))],
)
def test_a_sample_is_named_in_text(source: Path | Crop) -> None:
    assert Sample(1, 1, {"RGB": source}).name == "caf\\udce9"
