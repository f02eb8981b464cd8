"""What a message counts is said right of a single one: "1 image", never "1 images"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import structure

from mswin_viz.data.shown_text import counted, n_of, numbered

THINGS = [
    "cameras",
    "captions",
    "choices",
    "columns",
    "comparisons",
    "files",
    "figures",
    "heatmaps",
    "identities",
    "images",
    "items",
    "keys",
    "lines",
    "maps",
    "modalities",
    "names",
    "neighbours",
    "pages",
    "parameters",
    "people",
    "pictures",
    "points",
    "prompts",
    "queries",
    "rows",
    "samples",
    "scales",
    "seeds",
    "shards",
    "shots",
    "slots",
    "steps",
    "tags",
    "tests",
    "tokens",
    "tracks",
    "windows",
]
_COUNTS = re.compile(rf" (?!with )(?:[a-z-]+ )?(?:{'|'.join(THINGS)})\b")
_NUMBER = re.compile(r"len\(.*\)|(?:\w+\.)*n|(?:\w+\.)*n_\w+|(?:\w+\.)*total|int\(.*\)|sum\(.*\)")
MORE_THAN_ONE = {
    "view.paper.occlusion": " seeds)",
    "view.reports.ablation_words": " trained heads are",
    "view.retrieval.ranked_words": " tests",
    "view.retrieval.view": " samples are",
    "view.scales.result_cache": " images ",
}
"""Module -> what stands behind a number that is at least 2 there."""
MODULES = structure.modules()


def test_one_thing_is_said_as_one() -> None:
    assert [counted(0, "images"), counted(1, "images"), counted(1200, "images")] == [
        "0 images", "1 image", "1,200 images",
    ]  # fmt: skip
    assert [counted(1, name) for name in ("TI queries", "identities", "patches", "boxes", "image files")] == [
        "1 TI query", "1 identity", "1 patch", "1 box", "1 image file",
    ]  # fmt: skip
    assert [counted(n, "images are", "image is") for n in (1, 2)] == ["1 image is", "2 images are"]


def test_some_of_all_and_numbers_of_one_thing_are_said_without_a_range() -> None:
    assert [n_of(1, 1, "images"), n_of(1, 1, "queries"), n_of(1, 4, "images"), n_of(0, 1, "images")] == [
        "1 image", "1 query", "1 of 4 images", "0 of 1 image",
    ]  # fmt: skip
    assert [numbered(1), numbered(3)] == ["0, the only one", "one of 0..2"]


def plain_counts(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Numbers in f-strings that stand before several things, and what stands behind them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for number, behind in zip(node.values, node.values[1:], strict=False):
                is_count = isinstance(number, ast.FormattedValue) and _NUMBER.fullmatch(
                    ast.unparse(number.value)
                )
                if is_count and isinstance(behind, ast.Constant) and _COUNTS.match(str(behind.value)):
                    yield ast.unparse(number.value), str(behind.value)


def test_a_plain_count_is_found() -> None:
    source = ast.parse(
        "f'{len(found)} gallery images of {n_pids:,} identities and {counted(n, \"rows\")} in {view.n} maps'"
    )
    assert [number for number, _ in plain_counts(source)] == ["len(found)", "n_pids", "view.n"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_message_counts_by_the_one_road(module: structure.Module) -> None:
    allowed = MORE_THAN_ONE.get(module.name, "\n")
    found = [one for one in plain_counts(module.tree) if not one[1].startswith(allowed)]
    assert not found, f"{module.name} says {found}: use counted() or n_of() of data.shown_text"
