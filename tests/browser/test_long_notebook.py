"""A notebook longer than the screen, in the modes in which JupyterLab takes cells that are out of sight from the page.

``contentVisibility`` is the default of JupyterLab 4.6, ``full`` that of the versions before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest
from support.every_explorer import CELLS, write_notebook
from support.lab_server import SETTINGS, TRACKER

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

LONG = "print(*range(200), sep='\\n')"
FREE = ".mswin-heatmap[data-key=free] canvas"
FUSED = ".mswin-heatmap[data-key=fused] canvas"
SLIDER = ".mswin-scale"
ROOTS = {
    "scales": ".mswin-explorer",
    "embeddings": ".mswin-embeddings",
}
"""Explorer -> its root in the page."""
SEEN = "(root) => root.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true })"


@pytest.fixture(scope="module", params=["contentVisibility", "full"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def long(mode: str, lab: Lab) -> Iterator[Lab]:
    """Two explorers with screens of numbers between and behind them."""
    lab.server.set(TRACKER, {**SETTINGS[TRACKER], "windowingMode": mode})
    path = lab.root / f"long_{mode}.ipynb"
    write_notebook(path, ("scales", "retrieval", "embeddings"))
    notebook = nbformat.read(path, as_version=4)
    cells = [nbformat.v4.new_code_cell(LONG) for _ in range(6)]
    setup, scales, retrieval, embeddings = notebook.cells
    retrieval.source = CELLS["retrieval"].splitlines()[0]  # the table, which the last explorer reads
    notebook.cells = [setup, retrieval, scales, *cells[:3], embeddings, *cells[3:]]
    nbformat.write(notebook, path)
    lab.open(path.name)
    lab.run_all(timeout=300)
    lab.wait_idle(timeout=120)
    yield lab
    lab.server.set(TRACKER, SETTINGS[TRACKER])


def show(lab: Lab, cell: int) -> None:
    """Scroll a cell to the top, as a person would; twice, since JupyterLab guesses heights of cells it has not shown."""
    for _ in range(2):
        lab.page.evaluate(
            "(cell) => jupyterapp.shell.currentWidget.content.scrollToItem(cell, 'start')", cell
        )
        lab.wait_idle()


def painted(lab: Lab, root: str) -> list[str]:
    """Every heatmap of an explorer, or the picture behind its point, as it is painted."""
    return lab.page.locator(f"{root} .mswin-heatmap canvas, {root} .mswin-picture canvas").evaluate_all(
        "(canvases) => canvases.map((canvas) => canvas.toDataURL())"
    )


def drawn(lab: Lab, root: str) -> np.ndarray:
    lab.page.mouse.move(0, 0)
    lab.wait_idle()
    return lab.screenshot(css=root)


@pytest.mark.parametrize(("name", "cell"), [("scales", 2), ("embeddings", 6)])
def test_an_explorer_that_was_out_of_sight_looks_as_before(long: Lab, name: str, cell: int) -> None:
    root = ROOTS[name]
    show(long, cell)
    before, canvases = drawn(long, root), painted(long, root)
    show(long, 9 if name == "scales" else 0)
    assert not long.page.locator(root).evaluate(SEEN)
    show(long, cell)
    after = drawn(long, root)
    assert after.shape == before.shape
    assert np.abs(after.astype(int) - before).max() <= 2  # round corners are smoothed by a level more or less
    assert painted(long, root) == canvases
    assert len(canvases) == (7 if name == "scales" else 0)  # maps are drawn by the graphics card
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 100
    long.check()


def test_what_changed_while_it_was_out_of_sight_is_shown_when_it_is_back(long: Lab) -> None:
    show(long, 2)
    long.execute("scales.controls.scale.value = 9")
    long.wait_idle()
    first, fused = long.canvas(FREE), long.canvas(FUSED)
    show(long, 9)
    long.execute("scales.controls.scale.value = 4; scales.strip.selected = 3")
    long.wait_idle()
    show(long, 2)
    assert long.slider_value(SLIDER) == 4
    late, late_fused = long.canvas(FREE), long.canvas(FUSED)
    assert late.shape == first.shape
    assert (late != first).any()
    assert (late_fused != fused).any()
    long.move_slider(SLIDER, keys=-1)
    long.move_slider(SLIDER, keys=1)
    assert (long.canvas(FREE) == late).all()
    long.execute("scales.controls.scale.value = 9; scales.strip.selected = 0")
    long.wait_idle()
    assert (long.canvas(FREE) == first).all()
    assert (long.canvas(FUSED) == fused).all()
    long.check()


def test_200_changes_while_a_cell_computes_end_in_the_state_that_was_chosen_last(long: Lab) -> None:
    """Widgets speak to the kernel over subshells, JupyterLab's default: callbacks run beside the cell."""
    show(long, 2)
    long.control(".mswin-slot-5 button", has_text="free").click()  # the kernel follows each move
    long.wait_idle()
    sent = long.messages_sent()
    long.execute("for _ in range(6): scales.figure()")
    page = long.page
    for turn in range(20):
        long.move_slider(SLIDER, keys=8 if turn % 2 else -9, wait=False)
        page.locator(".mswin-thumb").nth(turn % 8).click()
        long.control(".mswin-value select").select_option(index=turn % 3)
    scale = long.slider_value(SLIDER)
    long.wait_idle(timeout=120)
    assert long.messages_sent() - sent > 40  # moves that follow one another closely are sent as one
    assert long.ask("scales.controls.scale.value") == f"{scale:.0f}"
    assert long.ask("scales.strip.selected") == "3"
    assert page.locator(".mswin-heatmap-stale").count() == 0
    fast, fused = long.canvas(FREE), long.canvas(FUSED)
    long.execute("state = scales.state; scales.strip.selected = 1; scales.controls.scale.value = 12")
    long.wait_idle()
    assert (long.canvas(FUSED) != fused).any()
    long.execute("scales._apply(state)")
    long.wait_idle()
    assert (long.canvas(FREE) == fast).all()
    assert (long.canvas(FUSED) == fused).all()
    long.check()
