"""The board of heatmaps in the browser, against a plain-loop oracle of which patches must light."""

from __future__ import annotations

import nbformat
import numpy as np
import pytest
from matplotlib import colormaps
from support.held_kernel import kernel_held
from support.lab import Lab

pytestmark = pytest.mark.browser

ROWS, COLS, SCALE, HOT = 4, 6, 5, 2
PATCH = 28  # CSS pixels: the largest width, 168, over 6 columns
CANVAS = ".mswin-heatmap canvas"
CELLS = [
    "import numpy as np\nimport ipywidgets\nfrom mswin_viz.analysis.scales.panels import Panel\n"
    "from mswin_viz.analysis.windows.geometry import windows\nfrom mswin_viz.view.widgets.board import BoardRow, HeatmapBoard",
    "scale = ipywidgets.IntSlider(value=5, min=1, max=24)\n"
    "scale.add_class('scale')\n"
    "board = HeatmapBoard((4, 6), opacity=1.0, outline=False, cmap='viridis', watched={'scale': (scale, 'value')})\n"
    "values = np.array([[0.0, 0.0, 1.0, 0.0]])\n"
    "panel = Panel('free', 'Scale 5', 'trained', windows((4, 6), 5), values, 'norm', '')\n"
    "board.show([panel], rows=[BoardRow('picture')], answered={'scale': 5})",
    "opacity = ipywidgets.FloatSlider(value=1.0, min=0, max=1, step=0.1)\n"
    "opacity.add_class('opacity')\n"
    "cmap = ipywidgets.SelectionSlider(options=['auto', 'viridis', 'cividis', 'magma', 'RdBu_r'], value='viridis')\n"
    "cmap.add_class('cmap')\n"
    "board.follow({'opacity': (opacity, 'value'), 'cmap': (cmap, 'value')})\n"
    "ipywidgets.VBox([scale, opacity, cmap, board])",
]


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Lab:
    """The notebook above, open."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.root / "heatmap.ipynb")
    lab.open("heatmap.ipynb")
    return lab


@pytest.fixture
def heatmap(opened: Lab) -> Lab:
    """The notebook above, every cell run anew."""
    opened.page.mouse.move(0, 0)
    opened.run_all()
    return opened


def patches(pixels: np.ndarray) -> dict[int, np.ndarray]:
    """Inner pixels [height, width, 3] of each token's patch, off its edges."""
    inside = slice(3, PATCH - 3)
    corners = {r * COLS + c: (r * PATCH, c * PATCH) for r in range(ROWS) for c in range(COLS)}
    return {token: pixels[top:, left:][inside, inside, :3] for token, (top, left) in corners.items()}


def colour(name: str, place: float) -> np.ndarray:
    return np.array(colormaps[name](place, bytes=True)[:3])


def is_flat(patch: np.ndarray, expected: np.ndarray) -> bool:
    return bool((np.abs(patch.astype(int) - expected) <= 1).all())


def is_grey_stripes(patch: np.ndarray) -> bool:
    grey = np.ptp(patch.astype(int), axis=2) <= 2
    return bool(grey.all() and patch.min() < 100 and patch.max() > 200)


def test_one_hot_window_lights_exactly_its_patches(heatmap: Lab) -> None:
    seen = patches(heatmap.canvas(CANVAS))
    lit = {token for token, patch in seen.items() if is_flat(patch, colour("viridis", 1.0))}
    cold = {token for token, patch in seen.items() if is_flat(patch, colour("viridis", 0.0))}
    assert lit == set(range(HOT * SCALE, (HOT + 1) * SCALE))
    assert cold == set(range(20)) - lit


def test_the_dropped_tail_is_hatched(heatmap: Lab) -> None:
    seen = patches(heatmap.canvas(CANVAS))
    assert {token for token, patch in seen.items() if is_grey_stripes(patch)} == {20, 21, 22, 23}


def test_the_root_holds_one_canvas_with_a_name(heatmap: Lab) -> None:
    canvases = heatmap.page.locator(CANVAS)
    assert heatmap.page.locator(".mswin-heatmap").count() == canvases.count() == 1
    assert canvases.get_attribute("role") == "img"
    assert canvases.get_attribute("aria-label") == "picture, Scale 5, trained: 4 windows, values 0 to 1"


def test_opacity_and_colour_map_change_while_the_kernel_is_blocked(heatmap: Lab) -> None:
    before = heatmap.canvas(CANVAS)
    with kernel_held(heatmap):
        heatmap.move_slider(".opacity", keys=-3, wait=False)
        fainter = heatmap.wait_for_change(CANVAS, before)
        heatmap.move_slider(".cmap", keys=1, wait=False)
        heatmap.wait_for_change(CANVAS, fainter)
    heatmap.wait_idle()
    heatmap.check()
    assert heatmap.ask("board.cmap, round(board.opacity, 3)") == "('cividis', 0.7)"


def test_the_mouse_moves_a_slider_and_the_pixels(heatmap: Lab) -> None:
    before = heatmap.canvas(CANVAS)
    assert heatmap.move_slider(".cmap", drag=0.75) == 3
    assert (heatmap.canvas(CANVAS) != before).any()
    assert is_flat(patches(heatmap.canvas(CANVAS))[HOT * SCALE], colour("magma", 1.0))
    heatmap.check()


def test_hover_names_the_window(heatmap: Lab) -> None:
    heatmap.page.locator(CANVAS).hover(position={"x": 4.5 * PATCH, "y": 1.5 * PATCH})
    tip = heatmap.page.locator(".mswin-board-tip")
    tip.wait_for(state="visible")
    words = [line.replace("\N{EN DASH}", "-") for line in tip.inner_text().splitlines()]
    assert words == [
        *("Window 2", "tokens 10-14", "row 1, columns 4-5; row 2, columns 0-2"),
        *("disconnected: it wraps a row end", "value 1"),
    ]
    heatmap.page.locator(CANVAS).hover(position={"x": 1.5 * PATCH, "y": 3.5 * PATCH})
    assert tip.inner_text().startswith("Window 3")
    heatmap.page.locator(CANVAS).hover(position={"x": 5.5 * PATCH, "y": 3.5 * PATCH})
    assert "dropped" in tip.inner_text()
    heatmap.check()


def test_a_picture_that_no_longer_fits_its_control_is_marked_until_an_answer_comes(heatmap: Lab) -> None:
    element = heatmap.page.locator(".mswin-heatmap")
    assert "mswin-heatmap-stale" not in element.get_attribute("class")
    heatmap.move_slider(".scale", keys=1)
    assert "mswin-heatmap-stale" in element.get_attribute("class")
    assert heatmap.page.locator(".mswin-heatmap .mswin-heatmap-status").inner_text() == "working …"
    assert element.get_attribute("aria-busy") == "true"
    heatmap.execute("board.failed = {'scale': 6}")
    heatmap.wait_idle()
    assert heatmap.page.locator(".mswin-heatmap .mswin-heatmap-status").inner_text() == "out of date"
    heatmap.execute("board.show([panel], answered={'scale': 6})")
    heatmap.wait_idle()
    assert "mswin-heatmap-stale" not in element.get_attribute("class")
    heatmap.check()


def test_a_click_pins_a_window_and_a_second_one_lets_it_go(heatmap: Lab) -> None:
    place = {"x": 4.5 * PATCH, "y": 1.5 * PATCH}
    canvas = heatmap.page.locator(CANVAS)
    canvas.click(position=place)
    heatmap.wait_idle()
    assert heatmap.ask("board.pinned") == "{'key': 'free', 'row': 0, 'window': 2}"
    assert is_orange(heatmap.canvas(CANVAS)).sum() > 200
    canvas.click(position=place)
    heatmap.wait_idle()
    assert heatmap.ask("board.pinned") == "None"
    assert is_orange(heatmap.canvas(CANVAS)).sum() == 0
    heatmap.check()


def test_the_keyboard_walks_over_the_patches_and_pins(heatmap: Lab) -> None:
    heatmap.page.locator(CANVAS).focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight"):
        heatmap.page.keyboard.press(key)
    said = heatmap.page.locator(".mswin-board-says").inner_text()
    assert said.startswith("Window 1, tokens 5")
    assert "row 0, column 5; row 1, columns 0" in said
    heatmap.page.keyboard.press("Enter")
    heatmap.wait_idle()
    assert heatmap.ask("board.pinned['window']") == "1"
    heatmap.page.keyboard.press("Enter")
    heatmap.page.keyboard.press("Escape")
    heatmap.wait_idle()
    assert heatmap.ask("board.pinned") == "None"
    heatmap.check()


def is_orange(pixels: np.ndarray) -> np.ndarray:
    """Where the colour of pins and of disconnected windows is."""
    return (np.abs(pixels[..., :3].astype(int) - (255, 176, 0)) <= 12).all(axis=2)
