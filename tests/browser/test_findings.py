"""The list of findings in a real JupyterLab: the next page, a click and a key choose items, and the kernel knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

CELLS = [
    "import mswin_viz as mv\nsamples = mv.samples()[:12]\n"
    'table = mv.embed(mv.load_model(), [*samples, *samples[3:6]], modalities=["RGB"], progress=False)',
    "view = mv.FindingsView([mv.near_duplicates(table), mv.outliers(table)], per_page=2)\nview",
]


def test_pages_are_turned_and_a_click_or_a_key_chooses(lab: Lab) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / "findings.ipynb")
    lab.open("findings.ipynb")
    lab.run_all()
    page, item = lab.page, lab.page.locator(".mswin-finding")
    assert item.count() == 2
    page.locator(".mswin-findings-next").click()
    page.locator(".mswin-finding[data-number='2']").wait_for()
    lab.wait_idle()
    assert item.count() == 1
    sizes = page.locator(".mswin-finding img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert len(sizes) == 2
    assert min(sizes) > 30
    item.first.click()
    lab.wait_idle()
    assert item.first.get_attribute("aria-selected") == "true"
    assert eval(lab.ask("(view.place, view.selected, view.selection().what.tolist())")) == (
        1,
        [2],
        ["same file"],
    )
    page.keyboard.press("Enter")
    lab.wait_idle()
    assert eval(lab.ask("view.selected")) == []
    lab.execute("view.selected = [0, 2]")
    page.locator(".mswin-finding[aria-selected=true]").wait_for()
    page.locator(".mswin-findings-previous").click()
    page.locator(".mswin-finding[data-number='0'][aria-selected=true]").wait_for()
    assert item.nth(1).get_attribute("aria-selected") == "false"
    lab.wait_idle()
    lab.check()
