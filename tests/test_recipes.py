"""The developers' recipes are complete: their code, put where they say into a copy of the package, does what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "docs" / "developers").glob("recipe_*.md"))
HEAD = re.compile(r"# (?P<file>[\w/]+\.(pyi?|md))(, (?P<how>above|below|instead of): (?P<line>.+))?\n")
"""The first line of a block: a file that is written, or a line of a file and what is done to it."""
COPIED = ("mswin_viz", "data_samples", "docs/api", "tests", "pyproject.toml")
SHOWN = {
    "attribution_method": r"\(1, 256, 128\)(.|\n)*'n_samples': 25(.|\n)*Expected gradients",
    "data_set": r"platform7(.|\n)*3 samples can be used; no problem(.|\n)*\[\(2, 1, \['NI', 'RGB', 'TI'\]\)",
    "addon": r"gated_pooling\.GatedPooling(.|\n)*\[0\.\](.|\n)*scales 4/8/16, passed as a module(.|\n)*\[0\.\]",
    "panel": r"plain plain CLS cosine 128\nlength token lengths norm 128\n",
    "explorer": r"\['application/vnd\.jupyter\.widget-view\+json', 'image/png', 'text/html', 'text/plain'\](.|\n)*patches\.html",
}
"""Recipe -> what its ``see_it.py`` prints."""
INVENTORIES = (
    "test_architecture.py",
    "test_html_sources.py::test_no_other_module_makes_html",
    "test_writers.py::test_only_one_module_writes_renames_makes_or_deletes_files",
    "test_every_reader.py::test_every_reader_of_the_package_reads_a_good_file_here",
    "test_project.py::test_every_public_name_resolves",
    "test_examples.py::test_every_public_name_has_one_place_in_the_reference",
    "test_examples.py::test_the_first_page_of_the_reference_has_a_table_of_all_names_and_the_preamble",
    "test_examples.py::test_the_docstring_has_an_example_that_shows_a_result",
    "test_examples.py::test_examples_run_as_printed[NarrowFusion]",
    "test_examples.py::test_examples_run_as_printed[PatchExplorer]",
    "data/test_layouts.py",
    "data/test_strange_files.py",
    "data/test_reid_sets.py",
    "analysis/test_scale_view.py::test_the_panels_are_the_slots_the_free_scale_the_fusion_and_the_plain_cls",
    "view/test_guarded.py::test_every_callback_and_thread_of_a_view_is_guarded",
    "view/test_every_maker_of_html.py",
    "view/test_figure_names.py::test_no_figure_and_no_legend_is_made_any_other_way",
    "view/test_figure_names.py::test_every_function_that_draws_is_tested_here",
)
"""Tests that find what somebody forgot, and those that go through all data sets."""


@dataclass(frozen=True)
class Edit:
    """A block of a recipe: what is done to which file."""

    file: str
    how: str
    line: str
    text: str


def edits_of(recipe: Path) -> list[Edit]:
    blocks = re.findall(r"^```python\n(.*?)^```$", recipe.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    heads = [HEAD.match(block) for block in blocks]
    assert blocks
    assert all(heads), "every block of a recipe begins with its file"
    return [
        Edit(head["file"], head["how"] or "", (head["line"] or "").strip(), block[head.end() :])
        for head, block in zip(heads, blocks, strict=True)
        if head
    ]


def apply(edit: Edit, root: Path) -> None:
    file = root / edit.file
    if not edit.how:
        assert not file.exists(), f"{edit.file} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(edit.text, "utf-8")
        return
    lines = file.read_text("utf-8").splitlines(keepends=True)
    (at,) = (number for number, line in enumerate(lines) if line.strip() == edit.line)
    begin, end = {"above": (at, at), "below": (at + 1, at + 1), "instead of": (at, at + 1)}[edit.how]
    is_function = re.match(r"(def|class|@)", edit.text)  # which two empty lines keep from what follows
    lines[begin:end] = [edit.text, "\n\n" if is_function else ""]
    file.write_text("".join(lines), "utf-8")


def copy_with(recipes: list[Path], root: Path) -> Path:
    """A copy of the project with these recipes carried out; what shows one is there where it is alone."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    for edit in [edit for recipe in recipes for edit in edits_of(recipe)]:
        if edit.file != "see_it.py" or len(recipes) == 1:
            apply(edit, root)
    return root


def run(root: Path, *arguments: str) -> str:
    """The output of Python with the copy first on its path; it must end well. Its tests are not counted among those of this run."""
    path = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root, env=os.environ | {"PYTHONPATH": path, "LANES_FILE": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout


def test_there_is_a_recipe_for_each_kind_of_thing() -> None:
    assert {recipe.stem.removeprefix("recipe_") for recipe in RECIPES} == set(SHOWN)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_alone_gives_what_it_shows(recipe: Path, tmp_path: Path) -> None:
    root = copy_with([recipe], tmp_path)
    printed = run(root, "see_it.py")
    assert re.search(SHOWN[recipe.stem.removeprefix("recipe_")], printed), printed


def test_all_recipes_together_pass_their_tests_and_leave_no_inventory_incomplete(tmp_path: Path) -> None:
    root = copy_with(RECIPES, tmp_path)
    edited = {edit.file for recipe in RECIPES for edit in edits_of(recipe)}
    files = sorted(file for file in edited if not file.endswith(".md") and file != "see_it.py")
    own = [file for file in files if Path(file).name.startswith("test_") and not (ROOT / file).exists()]
    assert len(own) == 4  # a data set is tested by its names
    tests = [*own, *(f"tests/{name}" for name in INVENTORIES)]
    run(root, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    for check in (["check"], ["format", "--check"]):
        run(root, "-m", "ruff", *check, "--config", "pyproject.toml", "--no-cache", *files)


def test_every_command_of_the_makefile_is_in_the_guide() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    guide = (ROOT / "docs" / "developers" / "index.md").read_text("utf-8")
    assert [name for name in targets if f"`make {name}`" not in guide and name != "help"] == []
