"""Search among queries, and the order of jumps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mswin_viz.data.sample import Sample
from mswin_viz.view.retrieval.query_choice import jump_order, matching, query_name, summary

NAN = float("nan")
SAMPLES = [
    Sample(1, 1, {"RGB": Path("000001_cam1.jpg")}, "a black vest", scene=4),
    Sample(1, 2, {"RGB": Path("000001_cam2.jpg")}, "a black vest"),
    Sample(12, 1, {"RGB": Path("000012_cam1.jpg")}, "a red coat"),
    Sample(-1, -1, {"RGB": Path("own.png")}),
]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", [0, 1, 2, 3]),
        ("id 1", [0, 1]),
        ("ID:12", [2]),
        ("person 1 camera 2", [1]),
        ("black cam1", [0]),
        ("scene 4", [0]),
        ("own", [3]),
        ("purple", []),
    ],
)
def test_a_search_finds_numbers_as_wholes_and_words_as_parts(search: str, found: list[int]) -> None:
    assert matching(SAMPLES, search) == found


def test_a_query_is_told_by_what_is_known() -> None:
    assert query_name(SAMPLES[0]) == "id 1, camera 1, scene 4, 000001_cam1"
    assert query_name(SAMPLES[3]) == "own"


def test_the_worst_queries_come_first_and_those_without_a_match_never() -> None:
    before, after = np.array([0.5, 0.9, NAN, 0.1, 0.3]), np.array([0.4, 0.2, NAN, 0.2, 0.3])
    assert jump_order("worst", before, after).tolist() == [1, 3, 4, 0]
    assert jump_order("most changed", before, after).tolist() == [1, 0, 3, 4]


def test_a_summary_counts_gains_and_losses() -> None:
    plain, enhanced = np.array([0.5, 0.5, 0.25, NAN]), np.array([0.25, 1.0, 0.25, NAN])
    words = summary({"plain": plain, "enhanced": enhanced})
    assert "mAP plain 0.417, enhanced 0.500; of 3 queries 1 gained, 1 lost, 1 did not change" in words
    assert "no query" in summary({"plain": np.array([NAN]), "enhanced": np.array([NAN])})
    several = summary({"a": plain, "b": enhanced, "c": plain})
    assert several == "mAP a 0.417, b 0.500, c 0.417; over 3 queries"
