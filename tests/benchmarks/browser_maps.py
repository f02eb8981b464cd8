"""Two linked maps of 10,000 points in headless Chromium: how long they take to open, to pan and to select.

Run ``python tests/benchmarks/browser_maps.py [points] [rounds]``; ``make benchmarks`` does. It prints a table and never
fails on a clock; it does fail if the second map does not follow the first.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.lab import Lab  # noqa: E402  (the tests are no package)

PLAIN, ENHANCED = ".mswin-map-plain canvas", ".mswin-map-enhanced canvas"
PREPARE = """import numpy as np
from mswin_viz.view.widgets.map_colours import by_category
from mswin_viz.view.widgets.map_places import MapPoints
from mswin_viz.view.widgets.maps import LinkedMaps
n = {n}
rng = np.random.default_rng(0)
identity = rng.integers(0, n // 20, n)
plain = rng.normal(size=(n // 20, 2))[identity] + 0.05 * rng.normal(size=(n, 2))
points = MapPoints(plain, plain + 0.02 * rng.normal(size=(n, 2)), {{"identity": [str(i) for i in identity]}})
colours = by_category([str(i) for i in identity])"""
SHOW = "maps = LinkedMaps(points, colours)\nmaps"


def main(n: int = 10_000, rounds: int = 10) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), timeout=300) as lab:
        cells = [nbformat.v4.new_code_cell(source) for source in (PREPARE.format(n=n), SHOW)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, Path(folder) / "maps.ipynb")
        lab.open("maps.ipynb")
        lab.run_all(timeout=300)  # imports and Chromium's shaders are warm from here on
        print(f"{n} points on two linked maps, ms: median (slowest) of {rounds}")
        for what, times in _rows(lab, rounds):
            print(f"{what:58s} {statistics.median(times):7.0f} ({max(times):.0f})")
        lab.check()


def _rows(lab: Lab, rounds: int) -> Iterator[tuple[str, list[float]]]:
    yield "open: from running the cell to a page at rest (0.4 s off)", [_opened(lab) for _ in range(3)]
    yield "pan: from the press to other pixels in this map", [_panned(lab, PLAIN, at) for at in range(rounds)]
    yield "pan: the same, in the other map", [_panned(lab, ENHANCED, at) for at in range(rounds)]
    yield (
        "select 500 rows from the kernel, until the page is at rest",
        [_selected(lab, at) for at in range(rounds)],
    )
    both = lab.ask("[len(s.widget.selection) for s in maps.scatters]")
    if both != "[500, 500]":
        raise AssertionError(f"the maps are not linked: {both}")


def _opened(lab: Lab) -> float:
    started = time.perf_counter()
    lab.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
    lab.page.wait_for_selector(ENHANCED)
    lab.wait_idle()
    return 1000 * (time.perf_counter() - started - 0.4)


def _panned(lab: Lab, watched: str, at: int) -> float:
    box = lab.page.locator(PLAIN).first.bounding_box()
    x, y, mouse = box["x"] + 8, box["y"] + 8, lab.page.mouse
    step = 30 if at % 2 == 0 else -30
    if step < 0:
        x, y = x + 30, y + 30

    def drag() -> None:
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + step, y + step, steps=3)

    took = lab.latency(watched, drag)
    mouse.up()
    lab.wait_idle()
    return took


def _selected(lab: Lab, at: int) -> float:
    started = time.perf_counter()
    lab.ask(f"setattr(maps, 'selected', list(range({at}, {at} + 500)))")
    lab.wait_idle()
    return 1000 * (time.perf_counter() - started - 0.4)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
