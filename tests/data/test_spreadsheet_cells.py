"""What a spreadsheet would compute is written as text, and read back as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mswin_viz as mv
from mswin_viz.data.storage.spreadsheet_cells import csv_file, guarded, unguarded

FORMULAS = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  -x", '=HYPERLINK("http://x")', "=cmd|'/c calc'!A1",
    "-", "=", "'=1", "''+1", "\uff1d1", "\uff0b1", "\uff0dx", "\uff20x",
)  # fmt: skip
PLAIN = ("", "a", "1", "a=1", "'", "'a", "a\t=1", "x@y", "RGB/000001.jpg", "0.5", "\u00e4", "(-1)", "'tis")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_as_a_formula_is_marked_as_text(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n a\uff1d"), max_size=6))
def test_every_text_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_numbers_stay_numbers_and_text_beside_them_is_marked() -> None:
    frame = pd.DataFrame({"x": [-1.5, 2.0], "n": [-3, 4], "-name": ["-a", "b"], "mixed": [-1, "=2"]})
    rows = list(csv.reader(io.StringIO(csv_file(frame).decode())))
    assert rows == [["x", "n", "'-name", "mixed"], ["-1.5", "-3", "'-a", "-1"], ["2.0", "4", "b", "'=2"]]
    assert pd.read_csv(io.BytesIO(csv_file(frame))).x.tolist() == [-1.5, 2.0]


def test_categories_and_missing_values_are_written_too() -> None:
    frame = pd.DataFrame({"kind": pd.Categorical(["=a", "b"]), "text": ["+c", None], "number": [-1.0, None]})
    assert csv_file(frame).decode().splitlines() == ["kind,text,number", "'=a,'+c,-1.0", "b,,"]


def test_a_table_of_our_own_gives_captions_and_paths_back_unmarked(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("=1.png", "'-2.png"):  # the second is really called so
        Image.new("RGB", (6, 9)).save(tmp_path / name)
    frame = pd.DataFrame({"RGB": ["=1.png", "'-2.png"], "pid": [1, 2], "caption": ["=a man", "-a woman"]})
    (tmp_path / "manifest.csv").write_bytes(csv_file(frame))
    found = mv.samples(tmp_path)
    assert [sample.caption for sample in found] == ["=a man", "-a woman"]
    assert [sample.images["RGB"].name for sample in found] == ["=1.png", "'-2.png"]
