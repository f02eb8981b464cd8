"""Two models in one scale explorer, in a real JupyterLab: three rows that move together, without the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pytest

from .test_heatmap import is_orange
from .test_layout import scrolled, seen

if TYPE_CHECKING:
    from support.lab import Lab

pytestmark = pytest.mark.browser
CELL = """import mswin_viz as mv
plain, windows = mv.load_model(addon=None, device="cpu"), mv.load_model(device="cpu")
explorer = mv.ScaleExplorer({"plain CLIP": plain, "windows": windows}, mv.samples()[:6])
explorer"""
N_ROWS = 3
FREE = ".mswin-heatmap[data-key=free] canvas"
SCALE_8 = ".mswin-heatmap[data-key=scale-8]"


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Lab:
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), lab.root / "two_models.ipynb"
    )
    lab.open("two_models.ipynb")
    lab.run_all(timeout=300)
    lab.wait_idle()
    return lab


@pytest.fixture
def explorer(opened: Lab) -> Iterator[Lab]:
    yield opened
    opened.execute("explorer._reset()")
    opened.page.mouse.move(0, 0)
    opened.wait_idle()
    opened.check()


def canvases(lab: Lab, css: str) -> list[np.ndarray]:
    """Of each row."""
    lab.page.mouse.move(0, 0)
    return [lab.canvas(f"{css} >> nth={row}") for row in range(N_ROWS)]


def picture(pixels: np.ndarray) -> np.ndarray:
    """Without the colour bar."""
    return pixels[: 2 * pixels.shape[1], :, :3].astype(int)


def test_the_slider_moves_all_three_rows_without_the_kernel(explorer: Lab) -> None:
    before, sent = canvases(explorer, FREE), explorer.messages_sent()
    waiting = (
        "async () => { await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); }"
    )
    moved = explorer.page.locator(".mswin-scale [role=slider]").evaluate(
        "async (node) => { const read = () => [...document.querySelectorAll('.mswin-heatmap[data-key=free] canvas')].map((one) => one.toDataURL());"
        " const seen = [read()]; for (let at = 0; at < 5; at++) {"
        " node.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));"
        f" await ({waiting})(); seen.push(read()); }}"
        " return seen[0].map((_, row) => new Set(seen.map((all) => all[row])).size); }"
    )
    assert moved == [6, 6, 6]  # another picture at each step, in each row
    assert explorer.messages_sent() == sent
    explorer.wait_idle()
    assert explorer.messages_sent() - sent <= 1  # where it rests
    live = canvases(explorer, FREE)
    assert all((now != was).any() for now, was in zip(live, before, strict=True))
    scale = int(explorer.slider_value(".mswin-scale"))
    assert explorer.ask("explorer.controls.scale.value") == str(scale)
    explorer.execute(
        "explorer.board.show_every_scale((), fits={})"
    )  # what follows is the kernel's own answer
    explorer.wait_idle()
    for own, drawn in zip(canvases(explorer, FREE), live, strict=True):
        np.testing.assert_array_equal(own, drawn)


def test_rows_say_whose_they_are_and_what_is_not_there(explorer: Lab) -> None:
    names = explorer.page.locator(".mswin-row-name").all_inner_texts()
    assert names == ["plain CLIP, RGB", "windows, RGB", "windows minus plain CLIP, RGB"]
    words = explorer.page.locator(f"{SCALE_8} .mswin-heatmap-status").all_inner_texts()
    assert words == ["not in this model", "", "not in both models"]
    explorer.page.locator(f"{SCALE_8} canvas").first.hover()
    assert explorer.page.locator(".mswin-board-tip").inner_text() == "not in this model"
    assert (
        "value of windows minus value of plain CLIP"
        in explorer.page.locator(".mswin-differences").inner_text()
    )


def test_differences_are_signed_colours_on_a_scale_of_their_own(explorer: Lab) -> None:
    explorer.execute("explorer.controls.opacity.value = 1.0; explorer.controls.outline.value = False")
    explorer.wait_idle()
    plain, windows, difference = map(picture, canvases(explorer, FREE))
    values = explorer.ask("{panel.key: panel.values[2].tolist() for panel in explorer.panels}['free']")
    numbers = np.array(eval(values))
    token = 12 * int(np.nanargmax(np.abs(numbers)))  # the first of its window
    row, col = divmod(token, 8)
    side = plain.shape[1] / 8
    red, _, blue = difference[int((row + 0.5) * side), int((col + 0.5) * side)]
    assert (red > blue + 60) == (numbers[token // 12] > 0)  # an end of blue to red
    assert abs(red - blue) > 60
    green = windows[..., 1] - windows[..., 0]
    assert green.max() > 40  # violet to yellow through green


def test_a_pin_is_marked_in_each_row_that_has_its_panel_and_told_of_both_models(explorer: Lab) -> None:
    explorer.page.locator(FREE).nth(2).click(position={"x": 20, "y": 20})
    explorer.wait_idle()
    assert all(is_orange(pixels).sum() > 20 for pixels in canvases(explorer, FREE))
    shown = explorer.page.locator(".mswin-inspection").inner_text()
    assert "Window 0 of scale 12, RGB" in shown
    assert "nothing to remove" in shown  # in plain CLIP
    values = eval(
        explorer.ask("{panel.key: panel.values[:, 0].tolist() for panel in explorer.panels}['free']")
    )
    names = ("plain CLIP", "windows", "windows minus plain CLIP")
    each = "; ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
    assert f"activation norm: {each}" in shown


@pytest.mark.parametrize("rows", ["one", "modalities"])
def test_the_slider_and_the_heatmaps_are_seen_at_once(explorer: Lab, rows: str) -> None:
    before = explorer.page.viewport_size
    explorer.page.set_viewport_size({"width": 1440, "height": 900})
    explorer.execute(f"explorer.controls.rows.value = {rows!r}")
    scrolled(explorer)
    assert seen(explorer, ".mswin-scale") == [1]
    parts = seen(explorer, ".mswin-heatmap canvas")
    assert len(parts) == {"one": 18, "modalities": 54}[rows]
    assert min(parts[:18]) >= 2 / 3  # of three modalities, those of the first image
    explorer.page.set_viewport_size(before)
