"""A stored ablation that was changed is refused in one line, or read as what it says."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mswin_viz.analysis.experiments.ablation_heads import windows_against_controls
from mswin_viz.analysis.experiments.stored_results import embedded_ablation, stored_ablation
from mswin_viz.errors import DataError
from mswin_viz.model.weights.embedded_config import EMBEDDED
from mswin_viz.view.reports import ablation_words

WRONG = [
    None,
    float("nan"),
    float("inf"),
    "abc",
    True,
    [],
    [[[]]],
    {},
    {"a": {}},
    -1,
    -0.5,
    2,
    1e9,
    10**400,
    10**4000,
    ["x"] * 3,
]


def reduced() -> dict[str, Any]:
    """The embedded model's results with four rows and two columns."""
    found = json.loads((EMBEDDED / "ablation.json").read_text(encoding="utf-8"))
    rows, columns = ("plain_cls", "windows_4", "windows_4_8_16", "mlp_on_cls"), ["RGB", "TI"]
    scores = {
        split: {row: {column: by_row[row][column] for column in columns} for row in rows}
        for split, by_row in found["scores"].items()
    }
    return found | {"rows": {row: found["rows"][row] for row in rows}, "columns": columns, "scores": scores}


SHOWN = (ablation_words.full, ablation_words.ablation_brief)
IGNORED = {"settings"}
"""Below these only some values are read."""


def test_the_model_card_shows_the_figures_that_are_stored() -> None:
    card = (EMBEDDED / "CARD.md").read_text(encoding="utf-8")
    stored = embedded_ablation()
    assert ablation_words.ablation_brief(stored) in card
    printed = set(ablation_words.full(stored).splitlines())
    columns = [line for line in card.splitlines() if line.startswith("| windows 4 + 8 + 16 |")]
    assert len(columns) == 5
    assert len(set(columns) & printed) == 4  # and one of the brief table


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def changed(value: Any, path: tuple, new: Any) -> Any:
    """A copy with another value at a place; ``places`` itself in place of a value takes the place away."""
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if new is places:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return found


def is_refused(file: Path) -> bool:
    """Whether it is; if not, it is shown without an error."""
    try:
        found = stored_ablation(file)
    except DataError as problem:
        said = str(problem)
        assert str(file) in said
        assert "\n" not in said
        assert len(said) < 700
        return True
    assert all(show(found) for show in SHOWN)
    return False


def test_the_results_of_the_package_are_read_and_answer_whether_the_windows_help() -> None:
    assert not is_refused(EMBEDDED / "ablation.json")
    found = embedded_ablation()
    assert set(found["scores"]) == {"standard", "look_alikes"}
    assert {"plain_cls", *windows_against_controls((4, 8, 16))} <= set(found["rows"])
    assert all(row["runs"] >= 3 for row in found["rows"].values() if row["trained"])


def test_a_wrong_value_anywhere_is_refused_or_changes_nothing_that_is_read(tmp_path: Path) -> None:
    good, file, taken = reduced(), tmp_path / "ablation.json", set()
    every = list(places(good))
    for at in np.random.default_rng(0).choice(len(every), 40, replace=False):
        for wrong in WRONG:
            file.write_text(json.dumps(changed(good, every[at], wrong)), encoding="utf-8")
            if not is_refused(file):
                taken.add((every[at], repr(wrong)[:20]))
    numbers = {
        (path, wrong)
        for path, wrong in taken
        if wrong in ("nan", "inf", "'abc'", "True", "[[[]]]", "10000000000000000000")
    }
    assert not {
        (p, w)
        for p, w in numbers
        if not {*p} & (IGNORED | {"words", "rule", "verdict", "reference", "trained"})
    }


def test_a_missing_place_is_refused_or_changes_nothing_that_is_read(tmp_path: Path) -> None:
    good, file = reduced(), tmp_path / "ablation.json"
    refused = 0
    every = list(places(good))
    for at in np.random.default_rng(1).choice(len(every), 120, replace=False):
        file.write_text(json.dumps(changed(good, every[at], places)), encoding="utf-8")
        refused += is_refused(file)
    assert refused > 30


def test_results_cut_off_anywhere_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    file, whole = tmp_path / "ablation.json", json.dumps(reduced()).encode()
    contents = [whole[:length] for length in range(0, len(whole) - 1, len(whole) // 40)]
    contents += [
        b"",
        b"[1]",
        b"null",
        b"\0" * 99,
        b"\xff\xfe",
        b"[" * 10**5,
        b'{"a":' * 10**5,
        b"9" * 10**5,
        b"NaN",
        b" " * (9 * 2**20),
    ]
    contents += [b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", os.urandom(500)]
    for content in contents:
        file.write_bytes(content)
        assert is_refused(file)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert is_refused(tmp_path)
    assert is_refused(tmp_path / "gone")


@pytest.mark.parametrize(
    ("path", "new", "said"),
    [
        (("scores", "standard", "windows_4", "RGB", "mAP", "mean"), "0.9", "mean: input should be a valid number, got '0.9'"),
        (("scores", "standard", "windows_4", "RGB", "mAP", "mean"), 96.4, "less than or equal to 1, got 96.4"),
        (("scores", "standard", "windows_4", "RGB", "mAP", "minus_plain", "verdict"), "best", "'better', 'worse'"),
        (("scores", "standard", "windows_4", "RGB", "mAP", "minus_plain", "mean"), None, "an interval has two ends and a mean"),
        (("scores", "standard", "windows_4", "RGB", "mAP", "low"), None, "an interval has two ends"),
        (("scores", "standard", "windows_4", "RGB", "mAP", "minus_plain"),
         {"mean": None, "low": None, "high": None, "per_seed": [None], "p": None, "verdict": "better"}, "the verdict 'better' needs a mean"),
        (("columns",), ["RGB"], "one entry for each of columns"),
        (("rows", "windows_4", "macs"), places, "rows.windows_4 lacks its costs"),
        (("rows", "plain_cls"), places, "lacks the row for plain CLS"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place_and_the_rule(tmp_path: Path, path: tuple, new: Any, said: str) -> None:
    file = tmp_path / "ablation.json"
    file.write_text(json.dumps(changed(reduced(), path, new)), encoding="utf-8")
    with pytest.raises(DataError, match=r"write one with `mswin-viz ablate --out FILE.json`") as caught:
        stored_ablation(file)
    assert said in str(caught.value)


def test_minp_has_a_column_where_it_was_stored_and_a_dash_where_it_was_not(tmp_path: Path) -> None:
    file, found = tmp_path / "ablation.json", reduced()
    before = ablation_words.full(found)
    assert "mINP" not in before + ablation_words.ablation_brief(found)
    for by_row in found["scores"].values():
        for cells in by_row.values():
            for cell in cells.values():
                cell["mINP"] = copy.deepcopy(cell["mAP"])
    del found["scores"]["standard"]["windows_4"]["TI"]["mINP"]
    file.write_text(json.dumps(found), encoding="utf-8")
    stored = stored_ablation(file)
    cell = stored["scores"]["standard"]["plain_cls"]["TI"]
    shown = f" / {100 * cell['rank1']['mean']:.1f} / {100 * cell['mAP']['mean']:.1f} |"
    lines = ablation_words.full(stored).splitlines()
    assert any(line.startswith("| plain CLS |") and line.endswith(shown) for line in lines)
    assert sum(" / \N{EN DASH} |" in line for line in lines) == 1
    brief = ablation_words.ablation_brief(stored)
    assert brief.splitlines()[2].count(" mINP |") == 2
    assert sum("\N{EN DASH}" in line for line in brief.splitlines()) == 1
