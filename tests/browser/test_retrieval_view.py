"""The retrieval view in a real JupyterLab: marks, keys, shares of a chosen pair, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator
    from support.lab import Lab

pytestmark = pytest.mark.browser

CELLS = [
    "import mswin_viz as mv\nmodel, samples = mv.load_model(), mv.samples()[:24]",
    "view = mv.RetrievalView(model, samples, k=5)\nview",
]
RUN, STOP, STATUS = (f".mswin-retrieval-work-{name}" for name in ("run", "stop", "status"))
NEIGHBOUR, PICTURE = ".mswin-neighbour", ".mswin-pair-panel .mswin-heatmap[data-key=fused] canvas"


@pytest.fixture(scope="module")
def ranked(lab: Lab) -> Lab:
    """The view with everything embedded by a press of the button."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / "retrieval.ipynb")
    lab.open("retrieval.ipynb")
    lab.run_all(timeout=200)
    assert lab.page.locator(NEIGHBOUR).count() == 0
    lab.page.locator(RUN).click()
    lab.page.locator(NEIGHBOUR).first.wait_for(timeout=120000)
    lab.page.wait_for_function(f"() => document.querySelector('{STATUS}').innerText.includes('done')")
    lab.wait_idle()
    lab.check()
    return lab


@pytest.fixture
def view(ranked: Lab) -> Lab:
    """The view as it was at first."""
    ranked.execute(
        "view.query, view.modality, view.k, view.rule = 0, 'RGB', 5, 'camera'; view.strip.clicked = -1"
    )
    ranked.wait_idle()
    yield ranked
    ranked.check()


def lists(lab: Lab) -> list[Locator]:
    return [
        lab.page.locator(f".mswin-neighbours-list[data-feature={name}]") for name in ("plain", "enhanced")
    ]


def wait_for_shares(lab: Lab) -> None:
    lab.page.locator(PICTURE).first.wait_for(timeout=60000)
    lab.page.wait_for_function("() => !document.querySelector('.mswin-retrieval-pair-run').disabled")
    lab.wait_idle()


def test_both_lists_hold_the_ranking_with_signs_for_right_and_wrong(view: Lab) -> None:
    for feature, part in zip(("plain", "enhanced"), lists(view), strict=True):
        marks = eval(view.ask(f"view.results['{feature}'].marks"))
        signs = part.locator(".mswin-neighbour-sign").all_inner_texts()
        assert signs == [{"right": "✓", "wrong": "✗"}[mark] for mark in marks]
        assert len(set(marks)) == 2
    style = "(e) => getComputedStyle(e.querySelector('.mswin-neighbour-frame')).borderTopStyle"
    right, wrong = (view.page.locator(f"{NEIGHBOUR}[data-mark={mark}]").first for mark in ("right", "wrong"))
    assert (right.evaluate(style), wrong.evaluate(style)) == ("solid", "dashed")


def test_every_neighbour_has_a_decoded_picture_and_a_name(view: Lab) -> None:
    sizes = view.page.locator(f"{NEIGHBOUR} img").evaluate_all("(all) => all.map((i) => i.naturalWidth)")
    assert len(sizes) == 10
    assert min(sizes) > 30
    name = view.page.locator(NEIGHBOUR).first.get_attribute("title")
    assert "\nrank 1, plain CLS: id " in name
    assert ", cosine 0." in name


def test_a_click_shows_where_the_similarity_comes_from(view: Lab) -> None:
    lists(view)[1].locator(NEIGHBOUR).nth(1).click()
    wait_for_shares(view)
    assert view.ask("view.strip.clicked") == view.ask("view.results['enhanced'].rows[1].item()")
    pixels = view.canvas(PICTURE).astype(int)
    assert (np.abs(pixels[..., 0] - pixels[..., 2]) > 40).mean() > 0.05  # red or blue heat
    bars = view.page.locator(".mswin-pair-bars").inner_text()
    for words in ("split over the query", "split over the result", "CLS", "scale 16", "bias", "= cosine"):
        assert words in bars
    assert f"{float(view.ask('view.pair.shares.similarity')):.4f}" in bars
    chosen = view.page.locator(f"{NEIGHBOUR}[aria-selected=true]")
    assert 1 <= chosen.count() <= 2  # the same image in either list
    chosen.first.click()
    view.wait_idle()
    assert not view.page.locator(".mswin-pair-bars").is_visible()


def test_the_keyboard_reaches_every_neighbour_and_types_nothing_into_the_notebook(view: Lab) -> None:
    n_cells = view.page.locator(".jp-Cell").count()
    view.page.locator(NEIGHBOUR).first.focus()  # wherever the tests before left the focus
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "b", "a", "Enter"):
        view.page.keyboard.press(key)
    wait_for_shares(view)
    assert view.ask("view.strip.clicked") == view.ask("view.results['enhanced'].rows[2].item()")
    assert view.page.locator(".jp-Cell").count() == n_cells
    assert view.page.locator(f"{NEIGHBOUR}[tabindex='0']").count() == 1


def test_all_modalities_together_are_ranked_shown_and_split(view: Lab) -> None:
    view.page.get_by_role("button", name="three together", exact=True).click()
    view.wait_idle()
    assert view.page.locator(".mswin-neighbours-query figure.mswin-used").count() == 3
    wide = view.page.locator(f"{NEIGHBOUR} img").first.evaluate("(i) => i.naturalWidth / i.naturalHeight")
    assert wide > 1.3
    view.page.locator(NEIGHBOUR).first.click()
    wait_for_shares(view)
    bars = view.page.locator(".mswin-pair-bars").inner_text()
    assert all(f"{name} scale 8" in bars for name in ("RGB", "NI", "TI"))
    before = view.canvas(".mswin-pair-panel .mswin-picture canvas")
    view.page.locator(".mswin-pair-modality button", has_text="TI").click()
    view.wait_idle()
    assert (view.canvas(".mswin-pair-panel .mswin-picture canvas") != before).any()


def test_jumps_and_search_choose_the_query(view: Lab) -> None:
    view.page.locator(".mswin-retrieval-worst").click()
    view.wait_idle()
    assert "worst: " in view.page.locator(".mswin-retrieval-jump").inner_text()
    view.page.locator(".mswin-retrieval-search input").fill("id 3")
    view.wait_idle()
    assert "id 3, " in view.page.locator(".mswin-neighbours-query .mswin-neighbour-words").inner_text()
    view.page.locator(".mswin-retrieval-search input").fill("")
    view.wait_idle()


def test_a_query_that_cannot_be_answered_is_a_sentence(view: Lab) -> None:
    view.execute("import dataclasses; full = view.strip.table; view.strip.replace(full[[0]], 0)")
    view.wait_idle()
    assert "at least one candidate" in view.page.locator(".mswin-neighbours-message").inner_text()
    view.execute("view.strip.replace(full, 0)")
    view.wait_idle()
    assert view.page.locator(NEIGHBOUR).count() == 10


def test_embedding_shows_progress_and_stops(view: Lab) -> None:
    view.execute("view.table = None; view._samples = samples * 40")
    view.wait_idle()
    view.page.locator(RUN).click()
    view.page.wait_for_function(  # the bar still stands where the run before left it
        f"() => document.querySelector('{STATUS}').innerText.includes('embedding: ')"
    )
    view.page.wait_for_function(
        "() => parseFloat(document.querySelector('.mswin-retrieval-work-progress .progress-bar').style.width) > 0"
    )
    view.page.locator(STOP).click()
    view.page.wait_for_function(
        f"() => document.querySelector('{STATUS}').innerText.includes('stopped')", timeout=60000
    )
    view.wait_idle()
    assert view.page.locator(RUN).is_enabled()
    view.execute("view._samples = samples; view.table = view.strip.table")
    view.wait_idle()
