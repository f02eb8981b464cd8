"""Notebooks as pages of the site: what goes wrong in one is said with its name, and what is gone leaves no page behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.small_site import build, write_notebook, write_pages

# An explorer that needs no model, known by its name as the real ones are.
SMALL = """
import ipywidgets as widgets

class SavedAsPage(widgets.VBox):
    __module__ = "mswin_viz.view.page.saved_page"
    def page(self, images=None):
        return f"<!doctype html><p>{self.words}"

def small(words):
    explorer = SavedAsPage()
    explorer.words = words
    return explorer
"""
BOXES = [SMALL, "widgets.HBox([small('left'), widgets.VBox([small('right')])])"]
MIXED = [SMALL, "widgets.VBox([small('alone'), widgets.HTML('words')])"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with an explorer in each of two notebooks, built once."""
    pytest.importorskip("myst_nb", reason="the site cannot be built: pip install 'mswin-viz[docs]'")
    folder = tmp_path_factory.mktemp("site")
    write_pages(folder, "boxes", "old")
    write_notebook(folder, "boxes", *BOXES)
    write_notebook(folder, "old", "1 + 1")
    built = build(folder, "built")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def second(folder: Path) -> subprocess.CompletedProcess[str]:
    """The build after a notebook was renamed, one with a widget was added, and the pages of explorers were lost."""
    before = {page.name for page in (folder / "built" / "notebooks").iterdir()}
    assert {"boxes.html", "old.html"} <= before
    (folder / "built" / "of_others.html").write_text("kept")
    for page in (folder / "kept" / "state" / "live").iterdir():
        page.unlink()
    write_pages(folder, "boxes", "new", "mixed")
    (folder / "notebooks" / "old.ipynb").rename(folder / "notebooks" / "new.ipynb")
    write_notebook(folder, "mixed", *MIXED)
    return build(folder, "built")


def test_a_box_with_nothing_but_explorers_is_shown_as_their_pages(folder: Path, second: object) -> None:
    text = (folder / "built" / "notebooks" / "boxes.html").read_text()
    assert text.count('<iframe class="live-view"') == 2
    pages = {page.read_text() for page in (folder / "built" / "live").glob("SavedAsPage_*.html")}
    assert pages == {"<!doctype html><p>left", "<!doctype html><p>right"}


def test_a_page_that_is_gone_from_the_kept_outputs_is_made_again(folder: Path, second: object) -> None:
    assert len(list((folder / "kept" / "state" / "live").glob("SavedAsPage_*.html"))) >= 2


def test_only_pages_of_notebooks_that_are_gone_are_removed(folder: Path, second: object) -> None:
    pages = {page.name for page in (folder / "built" / "notebooks").glob("*.html")}
    assert pages == {"boxes.html", "new.html", "mixed.html"}
    assert not (folder / "built" / "live" / "old.html").exists()
    assert (folder / "built" / "of_others.html").read_text() == "kept"


@pytest.fixture(scope="module")
def failed(folder: Path, second: object) -> str:
    """What the third build says, in which a cell fails."""
    write_notebook(folder, "new", "1 + 1", "# second\nraise ValueError('the message')")
    built = build(folder, "built")
    assert built.returncode == 1
    return built.stderr


def test_a_widget_that_no_page_can_show_is_a_warning_in_each_build(
    second: subprocess.CompletedProcess[str], failed: str
) -> None:
    assert second.returncode == 1
    for said in (second.stderr, failed):
        assert said.count("mixed.ipynb: WARNING: each widget in an output must be an explorer") == 1
        assert said.count("display the explorer by itself") == 1


def test_a_cell_that_fails_is_named_with_its_notebook_and_its_error(failed: str) -> None:
    assert (
        "notebooks/new.ipynb: WARNING: the cell that begins with '# second' failed: ValueError: the message"
        in failed
    )
    assert "Traceback" not in failed
    assert "\x1b" not in failed
