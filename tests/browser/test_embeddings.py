"""The embedding explorer in a real JupyterLab: linked maps, thumbnails, heatmaps of the point, morph."""

from __future__ import annotations

import ast

import nbformat
import numpy as np
import pytest
from support.lab import Lab

pytestmark = pytest.mark.browser

PLAIN, ENHANCED = ".mswin-map-plain", ".mswin-map-enhanced"
TIP = "() => [...document.querySelectorAll('.mswin-maps div')].find((d) => d.style.backgroundImage.includes('data:image'))"
CELLS = [
    "import mswin_viz as mv\n"
    "model, samples = mv.load_model(), mv.samples()[:20]\n"
    "explorer = mv.EmbeddingExplorer(model, samples, modalities=('RGB', 'TI'))\n"
    "explorer",
]
# Screen position of a row of a map, in CSS pixels of the page.
PLACE = """([css, row]) => {
  const map = document.querySelector(css);
  const { api } = [...map.querySelectorAll('div')].find((d) => d.api);
  const box = map.querySelector('canvas').getBoundingClientRect();
  const [x, y] = api.getScreenPosition(row);
  return [box.x + x, box.y + y];
}"""


@pytest.fixture(scope="module")
def explorer(lab: Lab) -> Lab:
    """The explorer, computed by its own button."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / "maps.ipynb")
    lab.open("maps.ipynb")
    lab.wait_idle(quiet=1.5)  # JupyterLab goes on loading for a while, and widgets have two seconds to begin
    lab.run_all()
    assert lab.page.locator(PLAIN).count() == 0  # nothing long is done before the button is pressed
    lab.page.locator(".mswin-embedding-run").click()
    lab.page.wait_for_function(
        "() => document.querySelector('.mswin-embedding-status').innerText.includes('done in')"
    )
    lab.page.wait_for_selector(f"{ENHANCED} canvas")
    lab.wait_idle(quiet=1)
    lab.check()
    return lab


@pytest.fixture
def maps(explorer: Lab) -> Lab:
    """The explorer with nothing selected and the mouse elsewhere."""
    explorer.page.mouse.move(2, 2)
    explorer.ask("setattr(explorer.controls.morph, 'value', False)")
    explorer.ask("setattr(explorer.maps, 'selected', [])")
    explorer.page.wait_for_timeout(300)
    explorer.wait_idle()
    return explorer


def place(lab: Lab, css: str, row: int) -> tuple[float, float]:
    lab.page.locator(css).first.scroll_into_view_if_needed()
    x, y = lab.page.evaluate(PLACE, [css, row])
    return x, y


def hover(lab: Lab, css: str, row: int) -> tuple[float, float]:
    x, y = place(lab, css, row)
    lab.page.mouse.move(x - 4, y - 4)
    lab.page.mouse.move(x, y, steps=4)
    lab.page.wait_for_timeout(300)
    return x, y


def selections(lab: Lab) -> list[list[int]]:
    return ast.literal_eval(
        lab.ask("[sorted(int(r) for r in s.widget.selection) for s in explorer.maps.scatters]")
    )


def apart(lab: Lab) -> int:
    """A row that lies far from its neighbours on the enhanced map, so that a mouse can hit it."""
    return int(
        lab.ask(
            "int(__import__('scipy.spatial').spatial.cKDTree(explorer.view.projection.enhanced)"
            ".query(explorer.view.projection.enhanced, 2)[0][:, 1].argmax())"
        )
    )


def test_a_click_in_one_map_selects_in_the_other_and_opens_the_image(maps: Lab) -> None:
    row = apart(maps)
    maps.page.mouse.click(*hover(maps, ENHANCED, row))
    maps.wait_idle(quiet=0.8)
    assert selections(maps) == [[row], [row]]
    pid, modality = ast.literal_eval(
        maps.ask(f"(int(explorer.view.table.pid[{row}]), str(explorer.view.table.modality[{row}]))")
    )
    title = maps.page.locator(".mswin-point-title").inner_text()
    assert f"id {pid}, " in title
    assert f", {modality}, " in title
    heat = maps.page.locator(".mswin-point .mswin-heatmap canvas").first
    heat.wait_for(state="visible")
    assert np.ptp(maps.canvas(".mswin-point .mswin-heatmap canvas")[..., :3]) > 50
    assert maps.ask("explorer.strip.row") == str(row)
    maps.check()


def test_a_click_on_a_neighbour_shows_the_windows_shares_of_the_similarity(maps: Lab) -> None:
    maps.ask("explorer.open_row(3)")
    maps.wait_idle()
    items = maps.page.locator(".mswin-neighbour")
    items.first.scroll_into_view_if_needed()
    items.first.click()
    maps.wait_idle(quiet=0.8)
    assert maps.ask("explorer.panel.rows.value") == "'pair'"
    total, score = ast.literal_eval(
        maps.ask(
            "(sum(v for _, v in __import__('mswin_viz.view.scales.share_bars').view.scales.share_bars.share_rows(explorer.panel.result)),"
            " float(explorer.panel.result.view.cosine.score[0]))"
        )
    )
    assert total == pytest.approx(score, abs=1e-6)
    assert maps.page.locator(".mswin-point .mswin-pair").inner_text().startswith("Similarity of the two")
    maps.check()


def test_hover_shows_the_picture_and_the_words_and_marks_the_point_in_both_maps(maps: Lab) -> None:
    row = apart(maps)
    hover(maps, ENHANCED, row)
    maps.page.wait_for_function(TIP)
    maps.wait_idle()
    hovered = maps.ask("[s.widget.hovering for s in explorer.maps.scatters]")
    assert ast.literal_eval(hovered) == [row, row]
    words = maps.page.locator(ENHANCED).inner_text()
    assert maps.ask(f"str(explorer.view.table.pid[{row}])").strip("'") in words
    kind = maps.page.evaluate(f"({TIP})().style.backgroundImage.slice(0, 22)")
    assert kind.startswith('url("data:image/jpeg')
    maps.check()


def test_a_lasso_selects_many_and_draws_their_arrows(maps: Lab) -> None:
    before = maps.screenshot(css=f"{PLAIN} canvas").astype(int)
    box = maps.page.locator(f"{PLAIN} canvas").first.bounding_box()
    left, top = box["x"] + 4, box["y"] + 4
    right, bottom = left + box["width"] - 8, top + box["height"] - 8
    mouse = maps.page.mouse
    buttons = maps.page.locator(f"{PLAIN} button")
    buttons.nth(1).click()  # the lasso; the first one pans
    mouse.move(left, top)
    mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top)):
        mouse.move(*corner, steps=12)
        maps.page.wait_for_timeout(60)
    mouse.up()
    maps.wait_idle(quiet=0.8)
    buttons.nth(0).click()
    first, second = selections(maps)
    assert first == second
    assert len(first) > 20
    mouse.move(2, 2)
    maps.wait_idle()
    after = maps.screenshot(css=f"{PLAIN} canvas").astype(int)
    orange = [(np.abs(pixels - (255, 140, 0)) <= 24).all(axis=2).sum() for pixels in (before, after)]
    assert orange[1] > orange[0] + 100
    assert f"{len(first)} rows" in maps.page.locator(".mswin-embedding-selection").inner_text()
    maps.check()


def test_a_search_selects_an_identity_in_both_maps(maps: Lab) -> None:
    maps.page.locator(".mswin-map-search input").fill("2")
    maps.page.keyboard.press("Enter")
    maps.wait_idle()
    rows = ast.literal_eval(maps.ask("[int(r) for r in (explorer.view.table.pid == 2).nonzero()[0]]"))
    assert len(rows) == 8  # two cameras, two shots, two modalities
    assert selections(maps) == [rows, rows]
    maps.page.locator(".mswin-map-search input").fill("no such person")
    maps.page.keyboard.press("Enter")
    maps.wait_idle()
    assert "No identity" in maps.page.locator(".mswin-embedding-selection").inner_text()
    maps.check()


def test_the_plain_map_morphs_into_the_enhanced_one_and_back(maps: Lab) -> None:
    row = int(
        maps.ask(
            "int(abs(explorer.view.projection.plain - explorer.view.projection.enhanced).sum(1).argmax())"
        )
    )
    maps.page.locator(
        ".mswin-map-morph"
    ).scroll_into_view_if_needed()  # as the click does, which would move the map
    before = np.array(maps.page.evaluate(PLACE, [PLAIN, row]))
    picture = maps.screenshot(css=f"{PLAIN} canvas")
    maps.page.locator(".mswin-map-morph").click()
    maps.page.wait_for_timeout(2500)
    maps.wait_idle()
    morphed = np.array(maps.page.evaluate(PLACE, [PLAIN, row]))
    offset = np.array(maps.page.evaluate(PLACE, [PLAIN, 0])) - maps.page.evaluate(PLACE, [ENHANCED, 0])
    np.testing.assert_allclose(morphed - offset, maps.page.evaluate(PLACE, [ENHANCED, row]), atol=1)
    assert np.abs(morphed - before).max() > 5
    assert (maps.screenshot(css=f"{PLAIN} canvas") != picture).any()
    assert "moved to its enhanced places" in maps.page.locator(".mswin-map-title-plain").inner_text()
    maps.page.locator(".mswin-map-morph").click()
    maps.page.wait_for_timeout(2500)
    np.testing.assert_allclose(maps.page.evaluate(PLACE, [PLAIN, row]), before, atol=1)
    maps.check()


def test_a_drag_pans_both_maps(maps: Lab) -> None:
    before = [np.array(maps.page.evaluate(PLACE, [css, 0])) for css in (PLAIN, ENHANCED)]
    box = maps.page.locator(f"{PLAIN} canvas").first.bounding_box()
    x, y = box["x"] + 6, box["y"] + 6
    mouse = maps.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 40, y + 30, steps=8)
    mouse.up()
    maps.wait_idle()
    moved = [
        np.array(maps.page.evaluate(PLACE, [css, 0])) - old
        for css, old in zip((PLAIN, ENHANCED), before, strict=True)
    ]
    np.testing.assert_allclose(moved[0], [40, 30], atol=3)
    np.testing.assert_allclose(moved[1], moved[0], atol=3)
    mouse.move(x + 40, y + 30)
    mouse.down()
    mouse.move(x, y, steps=8)
    mouse.up()
    maps.check()


def test_the_maps_turn_dark_with_the_page(maps: Lab) -> None:
    change = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    light = maps.screenshot(css=f"{PLAIN} canvas")
    maps.page.evaluate(change, "JupyterLab Dark")
    maps.wait_idle(quiet=1)
    dark = maps.screenshot(css=f"{PLAIN} canvas")
    maps.page.evaluate(change, "JupyterLab Light")
    maps.wait_idle(quiet=1)
    assert np.median(light) > 240
    assert np.median(dark) < 40
    maps.check()
