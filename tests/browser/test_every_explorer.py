"""What all explorers have in common, in a real JupyterLab: stale marks, keys of their own, and a kernel that is gone."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from support.axe import axe_file, serious_findings
from support.every_explorer import CELLS, write_notebook
from support.lab import Lab
from support.map_hands import drawn, in_sight, lasso_around_some

from .conftest import unavailable

pytestmark = pytest.mark.browser

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "explore_scales.ipynb"
OF_NOTEBOOK_7 = "page: Cannot read properties of undefined (reading 'schema')"
"""Notebook 7.6 says so of itself as it starts, before any cell has run."""
STATUS = ".mswin-heatmap-status"
FOCUSABLE = "input, select, textarea, button, [tabindex='0'], .noUi-handle"


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Lab:
    write_notebook(lab.root / "every.ipynb")
    lab.open("every.ipynb")
    lab.run_all(timeout=300)
    lab.wait_idle(timeout=120)
    return lab


def sources(lab: Lab) -> list[str]:
    read = "() => jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.sharedModel.source)"
    return lab.page.evaluate(read)


def statuses(lab: Lab, name: str) -> set[str]:
    nodes = lab.page.locator(f"[data-test-explorer={name}] {STATUS}")
    return {text for text in nodes.all_inner_texts() if text}


@pytest.fixture(scope="module")
def explorers(opened: Lab) -> Lab:
    """Every root marked with its name."""
    marked = opened.page.evaluate(
        """(names) => {
          const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].slice(1);
          return cells.map((cell, at) => {
            const root = cell.querySelector('.jp-OutputArea-output > .mswin-view');
            root.dataset.testExplorer = names[at];
            return root.dataset.lmSuppressShortcuts;
          });
        }""",
        list(CELLS),
    )
    assert marked == ["true"] * len(CELLS)
    return opened


# ---- what is out of date --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\\x89PNG\\r\\n\\x1a\\n", b"\\xff\\xd8\\xff\\xe0cut"]
)
def test_a_broken_file_in_the_path_box_marks_every_heatmap(explorers: Lab, content: bytes) -> None:
    lab = explorers
    (lab.root / "broken.png").write_bytes(content)
    box = lab.control("[data-test-explorer=scales] .mswin-path input[type=text]")
    assert statuses(lab, "scales") == set()
    box.fill(str(lab.root / "broken.png"))
    box.press("Enter")
    lab.wait_idle()
    assert statuses(lab, "scales") == {"out of date"}
    box.fill(str(lab.root / "people" / "p0.png"))
    box.press("Enter")
    lab.wait_idle()
    assert statuses(lab, "scales") == set()
    lab.check()


# ---- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_typed_keys_reach_the_widget_and_never_the_notebook(explorers: Lab, name: str) -> None:
    lab, before = explorers, sources(explorers)
    parts = lab.page.locator(f"[data-test-explorer={name}]").locator(FOCUSABLE)
    tried = 0
    for at in range(parts.count()):
        part = parts.nth(at)
        if not part.is_visible() or not part.is_enabled():
            continue
        part.evaluate("(part) => part.focus()")
        for key in ("d", "d", "b", "a", "x", "0", "0"):
            lab.page.keyboard.press(key)
        tried += 1
        assert sources(lab) == before, part.evaluate("(part) => part.outerHTML.slice(0, 200)")
        assert lab.page.locator(".jp-Dialog").count() == 0  # "00" asks to restart the kernel
    assert tried > 5
    lab.wait_idle()


def test_a_shortcut_with_ctrl_is_still_the_notebook_s(explorers: Lab) -> None:
    heard = explorers.page.evaluate(
        """() => { window.savedBy = []; jupyterapp.commands.commandExecuted.connect((_, { id }) => savedBy.push(id)); }"""
    )
    assert heard is None
    explorers.handle("[data-test-explorer=scales] .mswin-scale").focus()
    explorers.page.keyboard.press("Control+s")
    explorers.wait_idle()
    assert "docmanager:save" in explorers.page.evaluate("() => savedBy")


def test_arrow_keys_move_the_slider(explorers: Lab) -> None:
    slider = "[data-test-explorer=scales] .mswin-scale"
    before = explorers.slider_value(slider)
    assert explorers.move_slider(slider, keys=-2) == before - 2
    explorers.check()


def test_the_notebook_of_the_scale_explorer_works_in_notebook_7_too(lab: Lab, tmp_path: Path) -> None:
    if importlib.util.find_spec("notebook") is None:
        unavailable("Notebook 7 is not installed (pip install 'notebook>=7')")
    shutil.copy(NOTEBOOK, tmp_path)
    with Lab(tmp_path, app="notebook", beside=lab) as seven:
        seven.open(NOTEBOOK.name)
        seven.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        seven.wait_idle(timeout=300)
        assert seven.page.locator(".mswin-heatmap canvas").count() == 6
        free, fused = (f".mswin-heatmap[data-key={key}] canvas" for key in ("free", "fused"))
        painted, fixed = seven.canvas(free), seven.canvas(fused)
        before, cells = seven.slider_value(".mswin-scale"), sources(seven)
        assert seven.move_slider(".mswin-scale", keys=-3) == before - 3
        assert (seven.canvas(free) != painted).any()
        assert (seven.canvas(fused) == fixed).all()
        seven.page.keyboard.press("ArrowDown")
        assert seven.slider_value(".mswin-scale") == before - 4
        seven.control(".mswin-thumb").focus()
        for key in "ddbax":
            seven.page.keyboard.press(key)
        assert sources(seven) == cells
        seven.page.locator(".mswin-thumb").nth(5).click()
        seven.wait_idle()
        assert seven.ask("explorer.strip.selected") == "5"
        assert (seven.canvas(fused) != fixed).any()
        assert set(seven.problems()) <= {OF_NOTEBOOK_7}


# ---- accessibility --------------------------------------------------------------------------------

PARTS = """(root) => {
  const pressed = [...root.querySelectorAll(".widget-toggle-button, .widget-toggle-buttons button")]
    .map((one) => [one.getAttribute("aria-pressed"), String(one.classList.contains("mod-active"))]);
  const nameless = [...root.querySelectorAll("[role=slider], .noUi-handle, select")]
    .filter((one) => !(one.ariaLabel || one.getAttribute("aria-labelledby") || one.labels?.length));
  return { pressed, nameless: nameless.map((one) => one.outerHTML) };
}"""


@pytest.mark.parametrize("name", CELLS)
def test_toggle_buttons_say_whether_they_are_pressed_and_sliders_and_menus_have_names(
    explorers: Lab, name: str
) -> None:
    found = explorers.page.locator(f"[data-test-explorer={name}]").evaluate(PARTS)
    assert found["nameless"] == []
    assert all(said == shown for said, shown in found["pressed"])
    # these have none before a result is chosen, or none at all
    if name not in ("retrieval", "findings"):
        assert ["true", "true"] in found["pressed"]


@pytest.mark.parametrize("name", CELLS)
def test_an_explorer_has_no_serious_accessibility_finding(explorers: Lab, name: str) -> None:
    script = axe_file()
    if script is None:
        unavailable("axe-core is not there (npm install --prefix .venv --no-save axe-core@4)")
    if name == "attributions":
        explorers.execute(
            "attributions.controls.methods.value = ('gradient_x_input',); _ = attributions.start().join(60)"
        )
        explorers.wait_idle(timeout=120)
    found = serious_findings(explorers.page, f"[data-test-explorer={name}]", script)
    assert not found, "\n".join(found)


# ---- tags -----------------------------------------------------------------------------------------

NEW_CELL = """async (source) => {
  const { content } = jupyterapp.shell.currentWidget;
  content.model.sharedModel.addCell({ cell_type: 'code', source });
  content.activeCellIndex = content.widgets.length - 1;
  await jupyterapp.commands.execute('notebook:run-cell');
  const root = content.activeCell.node.querySelector('.jp-OutputArea-output > .mswin-view');
  root.dataset.testExplorer = 'again';
}"""

LAST_CELL_GONE = """() => {
  const { sharedModel } = jupyterapp.shell.currentWidget.content.model;
  sharedModel.deleteCell(sharedModel.cells.length - 1);
}"""


def test_a_lasso_is_tagged_beside_the_data_and_a_later_explorer_shows_only_that(explorers: Lab) -> None:
    lab, root, again = explorers, "[data-test-explorer=embeddings]", "[data-test-explorer=again]"
    rows = lasso_around_some(lab, root, 3)
    assert eval(lab.ask("embeddings.maps.selected")) == rows
    lab.page.locator(f"{root} .mswin-tag-name input").fill("red bag")
    lab.page.locator(f"{root} .mswin-tag-add").click()
    lab.wait_idle()
    assert "3 images tagged" in lab.page.locator(f"{root} .mswin-tag-message").inner_text()
    lines = [json.loads(line) for line in (lab.root / "people" / "tags.jsonl").read_text().splitlines()]
    assert [(line["path"], line["tag"]) for line in lines] == [(f"p{row}.png", "red bag") for row in rows]

    lab.page.evaluate(NEW_CELL, f"again = {CELLS['embeddings'].splitlines()[0].split(' = ')[1]}\nagain")
    seen = np.flatnonzero(in_sight(lab, again))
    lab.wait_idle(quiet=1)
    assert all(drawn(lab, again, seen))
    lab.page.locator(f"{again} .mswin-tag-mode select").select_option(label="show only")
    lab.wait_idle(quiet=0.6)
    assert lab.page.locator(f"{again} .mswin-tag-shown").inner_text().strip() == "3 of 8 points shown"
    assert drawn(lab, again, seen) == [row in rows for row in seen]
    lab.page.evaluate(LAST_CELL_GONE)
    lab.execute("again.close(); mv.open_tags(folder).remove(samples, 'red bag')")
    lab.page.locator("[data-test-explorer=scales]").evaluate("(e) => e.scrollIntoView()")  # as it was before
    lab.wait_idle()
    lab.check()


# ---- closed ---------------------------------------------------------------------------------------


def test_a_closed_view_says_so_until_its_cell_runs_again(explorers: Lab) -> None:
    scales = explorers.page.locator(".mswin-view", has=explorers.page.locator(".mswin-scale"))
    assert scales.count() == 1
    explorers.execute("scales.close()")
    closed = explorers.page.locator(".mswin-frame-closed")
    closed.wait_for(timeout=20_000)
    assert "run the cell again" in closed.inner_text()
    assert scales.count() == 0
    explorers.run_all(timeout=300)
    assert closed.count() == 0
    assert explorers.page.locator(".mswin-frame-gone").count() == 0
    assert scales.count() == 1
    explorers.check()


# ---- no kernel ------------------------------------------------------------------------------------


@pytest.fixture
def alone(lab: Lab) -> Lab:
    """The scale and the attribution explorer, with a kernel that may die."""
    write_notebook(lab.root / "alone.ipynb", ("scales", "attributions"))
    lab.open("alone.ipynb")
    lab.run_all(timeout=300)
    lab.wait_idle(timeout=120)
    return lab


DIE = "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.{}()"


@pytest.mark.parametrize("end", ["dies", "restart", "shutdown"])
def test_what_waits_for_a_kernel_that_is_gone_says_so(alone: Lab, end: str) -> None:
    pid = alone.ask("__import__('os').getpid()")
    alone.execute("import time; scales._lock.acquire(); time.sleep(600)")
    alone.page.locator(".mswin-thumb").nth(2).click()  # the scale alone is drawn without the kernel
    working = alone.page.locator(STATUS, has_text="working")
    working.first.wait_for(timeout=20_000)
    if end == "dies":
        os.kill(int(pid), signal.SIGKILL)
    else:
        alone.page.evaluate(DIE.format(end))
    alone.page.locator(STATUS, has_text="kernel gone").first.wait_for(timeout=30_000)
    assert working.count() == 0
    words = alone.page.locator(".mswin-frame-gone")
    assert words.count() == 2
    assert all("run the cell again" in text for text in words.all_inner_texts())
    assert not alone.page.locator(".mswin-attribution-run").first.is_visible()
