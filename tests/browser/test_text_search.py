"""The search by text in a real JupyterLab: a sentence and Enter, hits with their maps, a word that means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser

CELLS = [
    "import mswin_viz as mv\nmodel, samples = mv.load_model(), mv.samples()[:12]\ntable = mv.embed(model, samples, progress=False)",
    "view = mv.TextSearchView(model, samples, table=table, k=3)\nview",
]
DONE = "() => document.querySelector('.mswin-text-work-status').innerText.includes('done')"


def test_a_sentence_and_enter_find_hits_with_maps_and_an_unknown_word_is_said(lab: Lab) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / "text_search.ipynb")
    lab.open("text_search.ipynb")
    lab.run_all(timeout=200)
    page, hit = lab.page, lab.page.locator(".mswin-hit")
    hit.first.wait_for(timeout=60000)
    page.wait_for_function(DONE, timeout=60000)  # the maps of the first text, once it is seen
    text = page.locator(".mswin-text-prompt input")
    text.fill("a zebra in green trousers")
    text.press("Enter")
    page.wait_for_function("() => document.querySelector('.mswin-text-unknown').innerText.includes('zebra')")
    page.wait_for_function("() => document.querySelectorAll('img.mswin-hit-map').length === 9", timeout=60000)
    lab.wait_idle()
    rows = eval(lab.ask("[one.rows.tolist() for one in view.results.hits]"))
    for modality, expected in zip(("RGB", "NI", "TI"), rows, strict=True):
        listed = page.locator(f".mswin-hits-list[data-modality={modality}] .mswin-hit")
        assert [
            int(one) for one in listed.evaluate_all("(all) => all.map((e) => e.dataset.number)")
        ] == expected
    sizes = page.locator(".mswin-hit img").evaluate_all("(all) => all.map((i) => i.naturalWidth)")
    assert len(sizes) == 18
    assert min(sizes) > 30
    hit.nth(1).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    lab.wait_idle()
    assert eval(lab.ask("view.selected")) == sorted([rows[0][1], rows[1][1]])
    assert eval(lab.ask("view.selection()['rank'].tolist()")) == [2, 2]
    text.fill("zebra")
    text.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.mswin-text-message').innerText.includes('never saw zebra')"
    )
    lab.check()
