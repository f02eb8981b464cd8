"""The retrieval view of two models, in a real JupyterLab: sorted by where they disagree, by mouse and keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser
CELL = """import mswin_viz as mv
plain, model = mv.load_model(addon=None, device="cpu"), mv.load_model(device="cpu")
samples = mv.samples()[:16]
tables = {
    name: mv.embed(one, samples, modalities=["TI"], progress=False)
    for name, one in (("baseline", plain), ("windows <b>", model))
}
view = mv.RetrievalView(tables, k=4)
view"""
ORDER, QUERY = (f".mswin-retrieval-{name} select" for name in ("order", "query"))
LISTS = ".mswin-neighbours-list"
ROWS = "(all) => all.map((one) => one.dataset.number)"


def test_the_queries_on_which_two_models_disagree_come_first(lab: Lab) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, lab.root / "several_models.ipynb")
    lab.open("several_models.ipynb")
    lab.run_all(timeout=200)
    lab.wait_idle()
    page = lab.page
    titles = page.locator(f"{LISTS} .mswin-list-title").all_inner_texts()
    assert titles == ["baseline", "windows <b>"]
    before = page.locator(".mswin-neighbour").evaluate_all(ROWS)
    page.locator(ORDER).select_option(label="where the lists disagree first")
    lab.wait_idle()
    fewest = int(float(lab.ask("view.queries()['in_common'].min().item()")))
    first = page.locator(QUERY).evaluate("(menu) => menu.selectedOptions[0].text").replace("\xa0", " ")
    assert first.startswith(f"{fewest} of 4 shared | id ")
    sorted_first = page.locator(".mswin-neighbour").evaluate_all(ROWS)
    assert sorted_first != before
    shown = [
        {
            item.get_attribute("data-number")
            for item in page.locator(LISTS).nth(at).locator("[data-number]").all()
        }
        for at in range(2)
    ]
    assert len(shown[0] & shown[1]) == fewest
    moved = page.locator(".mswin-neighbour-moved").all_inner_texts()
    assert any(words.startswith("baseline: ") for words in moved)
    page.locator(".mswin-retrieval-following").click()
    lab.wait_idle()
    second = page.locator(QUERY).evaluate("(menu) => menu.selectedOptions[0].text").replace("\xa0", " ")
    assert second != first
    assert page.locator(".mswin-neighbour").evaluate_all(ROWS) != sorted_first
    assert page.locator(".mswin-list-changes table tr").count() == 3
    page.locator(".mswin-neighbour").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    lab.wait_idle()
    assert lab.ask("view.strip.clicked") == lab.ask("view.results['windows <b>'].rows[0].item()")
    assert page.get_by_text("needs the model that made a table").is_visible()
    lab.check()
