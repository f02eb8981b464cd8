"""The attribution notebook in a real JupyterLab: every figure is drawn, the button works, and stop stops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
RUN, STOP, STATUS = (f".mswin-attribution-{name}" for name in ("run", "stop", "status"))
FIGURE = ".mswin-attribution-board"
FEWER = {
    "[:4]": "[:2]",
    '"n_steps": 12, "n_samples": 6': '"n_steps": 2, "n_samples": 2',
    '"n_steps": 6, "n_random": 2': '"n_steps": 2, "n_random": 2',
    "[::12]": "[::24]",
}
"""What is written in the notebook, where nbval runs it with all its images and steps, and here."""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Lab:
    """The notebook with every cell run, on fewer images and in fewer steps; the explorer on screen."""
    made = nbformat.read(ROOT / "notebooks" / "attributions.ipynb", as_version=4)
    sources = "\0".join(cell.source for cell in made.cells)
    for written, fewer in FEWER.items():
        assert sources.count(written) == 1
        sources = sources.replace(written, fewer)
    for cell, source in zip(made.cells, sources.split("\0"), strict=True):
        cell.source = source
    nbformat.write(made, lab.root / "attributions.ipynb")
    lab.open("attributions.ipynb")
    lab.run_all(timeout=500)
    return lab


def wait_for(lab: Lab, words: str, *, timeout: float = 120) -> None:
    lab.page.wait_for_function(
        f"() => document.querySelector('{STATUS}').innerText.includes('{words}')", timeout=timeout * 1000
    )
    lab.wait_idle()
    lab.check()


def test_every_cell_runs_and_every_figure_is_a_picture(notebook: Lab) -> None:
    pictures = notebook.page.locator(".jp-RenderedImage img")
    assert pictures.count() == 5
    widths = [pictures.nth(i).evaluate("(image) => image.naturalWidth") for i in range(5)]
    assert min(widths) > 300
    notebook.check()


def test_a_click_draws_maps_in_red_and_blue(notebook: Lab) -> None:
    notebook.page.locator(RUN).click()
    wait_for(notebook, "done")
    pixels = notebook.screenshot(css=FIGURE).astype(int)
    warm = (pixels[..., 0] - pixels[..., 2] > 60).mean()
    cold = (pixels[..., 2] - pixels[..., 0] > 60).mean()
    assert warm > 0.01
    assert cold > 0.005
    assert notebook.ask("len(explorer.maps)") == "6"


def test_progress_moves_and_stop_stops(notebook: Lab) -> None:
    notebook.ask("setattr(explorer.controls.methods, 'value', ('occlusion',))")
    before = notebook.screenshot(css=FIGURE)
    notebook.page.locator(RUN).click()
    notebook.page.wait_for_function(f"() => !document.querySelector('{STOP}').disabled")
    notebook.page.wait_for_function(
        "() => parseFloat(document.querySelector('.mswin-attribution-progress .progress-bar').style.width) > 0"
    )
    notebook.page.locator(STOP).click()
    wait_for(notebook, "stopped")
    assert notebook.page.locator(RUN).is_enabled()
    after = notebook.screenshot(css=FIGURE)
    assert before.shape[2] == after.shape[2] == 3
    assert np.ptp(after) > 0
