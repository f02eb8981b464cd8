"""The notebook a newcomer opens, in a real JupyterLab: run it, move the slider, look at the pixels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .lab import Lab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
FREE = ".mswin-heatmap canvas >> nth=3"


@pytest.fixture(scope="module")
def explorer(lab: Lab) -> Lab:
    """The notebook with every cell run; the explorer on screen."""
    shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", lab.root / "explore_scales.ipynb")
    lab.open("explore_scales.ipynb")
    lab.run_all(timeout=300)
    lab.check()
    return lab


def test_every_cell_runs_and_four_heatmaps_are_drawn(explorer: Lab) -> None:
    assert explorer.page.locator(".mswin-heatmap canvas").count() == 4


def test_the_keyboard_moves_the_scale_and_repaints_the_free_heatmap(explorer: Lab) -> None:
    before, scale = explorer.canvas(FREE), explorer.slider_value(".mswin-scale")
    explorer.move_slider(".mswin-scale", keys=3)
    explorer.check()
    assert explorer.slider_value(".mswin-scale") == scale + 3
    assert (explorer.canvas(FREE) != before).any()


def test_the_mouse_moves_the_scale_and_repaints_the_free_heatmap(explorer: Lab) -> None:
    before = explorer.canvas(FREE)
    explorer.move_slider(".mswin-scale", drag=0.75)
    explorer.check()
    assert explorer.slider_value(".mswin-scale") > 80
    assert (explorer.canvas(FREE) != before).any()
    assert (
        f"scale {explorer.slider_value('.mswin-scale'):.0f}:"
        in explorer.page.locator(".mswin-words").inner_text()
    )


def test_a_slot_that_is_switched_off_changes_the_score(explorer: Lab) -> None:
    before = explorer.page.locator(".mswin-score").inner_text()
    explorer.page.locator(".mswin-slot-8 button", has_text="off").click()
    explorer.wait_idle()
    explorer.check()
    assert explorer.page.locator(".mswin-score").inner_text() != before


def test_an_unreadable_path_is_said_and_the_explorer_goes_on(explorer: Lab) -> None:
    box = explorer.page.locator(".mswin-path input")
    box.fill("/no/such/folder")
    box.press("Enter")
    explorer.wait_idle()
    assert "/no/such/folder" in explorer.page.locator(".mswin-message").inner_text()
    before = explorer.canvas(FREE)
    explorer.move_slider(".mswin-scale", keys=-30)
    explorer.check()
    assert (explorer.canvas(FREE) != before).any()
