"""How long a hand waits for the explorer: from an input event to other pixels, in headless Chromium.

Run ``python tests/benchmarks/browser_latency.py [rounds]``; ``make benchmarks`` does. It prints a table and never fails
on a clock. "messages" are those to the kernel for each input event: where a slider's value goes there once it rests, 1 is
sent after the pixels have changed.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import v4

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from measured_pages import TIMINGS, note_timing  # noqa: E402
from support.lab import Lab  # noqa: E402  (the tests are no package)

from mswin_viz.view.widgets.labels import KERNELS, ROWS, VALUES  # noqa: E402

FREE = ".mswin-heatmap[data-key=free] canvas"
FUSED = ".mswin-heatmap[data-key=fused] canvas"
MOVES = 60
IMPORTS = (
    f"import sys\n\nimport torch\n\nimport mswin_viz as mv\n\nsys.path.insert(0, {str(ROOT / 'notebooks')!r})"
)
EXPLORER = "explorer = mv.ScaleExplorer(model, mv.samples())\nexplorer"
ADDONS = {
    "scheme 1": "'default'",
    "scheme 2": "mv.CLIPWithProjectionMultiScale(512, 768)",
    "a module of one's own, attention pooling": "'your_module:AttentionPooling'",
}
"""The same move with each kind of add-on."""


@dataclass(frozen=True)
class Row:
    """What was done, messages to the kernel for each input event, and how long each round took in ms."""

    what: str
    messages: float
    times: list[float]


def main(rounds: int = 15) -> None:
    """Measure everything on the stored notebook and print it."""
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder)) as lab:
        shutil.copy(ROOT / "notebooks" / "explore_scales.ipynb", folder)
        lab.open("explore_scales.ipynb")
        lab.run_all(timeout=300)
        lab.wait_idle(timeout=120)
        _choose(lab, ".mswin-value", VALUES["norm"])
        _print_head()
        rows = list(_rows(lab, rounds))
        for row in rows:
            _print(row)
        _note(rows)
        for words, addon in ADDONS.items():
            cells = [IMPORTS, f"model = mv.load_model(addon={addon})", EXPLORER]
            notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
            nbformat.write(notebook, Path(folder) / "addon.ipynb")
            lab.open("addon.ipynb")
            lab.run_all(timeout=300)
            lab.wait_idle(timeout=120)
            for value in ("norm", "share"):
                _choose(lab, ".mswin-value", VALUES[value])
                what = f"free scale, {VALUES[value]}: {words}"
                _print(_keys(lab, what, ".mswin-scale", rounds))
        lab.check()


def _rows(lab: Lab, rounds: int) -> Iterator[Row]:
    for css, what in ((".mswin-opacity", "opacity"), (".mswin-threshold", "threshold")):
        yield _keys(lab, what, css, rounds)
    lab.control(".mswin-threshold [role=slider]").press("Home")
    yield _clicks(lab, "outlines on and off", ".mswin-outline input", rounds)
    yield _clicks(lab, "one or own colour scale", ".mswin-shared input", rounds)
    lab.control(
        ".mswin-outline input"
    ).check()  # after an odd number of clicks a step of the slider may change no pixel:
    lab.control(
        ".mswin-shared input"
    ).uncheck()  # on one colour scale the smallest shares are too faint to be seen
    lab.wait_idle()
    for rows, value, kernel in itertools.product(ROWS.values(), VALUES.values(), KERNELS.values()):
        _press(lab, ".mswin-rows", rows)
        _press(lab, ".mswin-kernel", kernel)
        _choose(lab, ".mswin-value", value)
        yield _keys(lab, f"scale, {rows}, {value}, {kernel}", ".mswin-scale", rounds)
    yield _keys(lab, "opacity, a pair (12 heatmaps)", ".mswin-opacity", rounds)
    _press(lab, ".mswin-rows", ROWS["one"])
    _press(lab, ".mswin-kernel", KERNELS["auto"])
    _choose(lab, ".mswin-value", VALUES["share"])
    _press(lab, ".mswin-slot-16", "free")
    what = "free scale in a slot, shares, fused panel"
    yield _keys(lab, what, ".mswin-scale", rounds, canvas=FUSED)
    _press(lab, ".mswin-slot-16", "on")
    yield _held(lab, 3)


def _keys(lab: Lab, what: str, slider: str, rounds: int, *, canvas: str = FREE) -> Row:
    handle, times = lab.handle(slider), []
    handle.focus()
    if slider == ".mswin-scale":
        handle.press("Home")  # the track is long enough for a row
    lab.wait_idle()
    sent = lab.messages_sent()
    for at in range(rounds):
        key = "ArrowRight" if slider == ".mswin-scale" or at % 2 == 0 else "ArrowLeft"
        times.append(_once(lab, lambda key=key: lab.page.keyboard.press(key), canvas))
    return Row(what, (lab.messages_sent() - sent) / rounds, times)


def _clicks(lab: Lab, what: str, css: str, rounds: int) -> Row:
    box, sent = lab.control(css), lab.messages_sent()
    times = [_once(lab, box.click, FREE) for _ in range(rounds)]
    return Row(what, (lab.messages_sent() - sent) / rounds, times)


def _once(lab: Lab, act: Callable[[], None], canvas: str) -> float:
    lab.wait_idle()
    return lab.latency(canvas, act)


def _held(lab: Lab, rounds: int) -> Row:
    times, sent = [], lab.messages_sent()
    for at in range(rounds):
        lab.move_slider(".mswin-scale", keys=MOVES if at % 2 == 0 else -MOVES, wait=False)
        last = time.perf_counter()
        words = f"scale {lab.slider_value('.mswin-scale'):.0f}"
        lab.page.locator(
            f".mswin-heatmap[data-key=free]:not(.mswin-heatmap-stale) >> text='{words}'"
        ).wait_for()
        times.append(1000 * (time.perf_counter() - last))
        lab.wait_idle()
        shown = lab.ask("explorer.view.panel('free').geometry.scale")
        assert float(shown) == lab.slider_value(".mswin-scale"), "the last value must win"
    what = f"{MOVES} moves held down: from the last one to the right picture"
    return Row(what, (lab.messages_sent() - sent) / rounds, times)


def _press(lab: Lab, css: str, words: str) -> None:
    lab.control(f"{css} button", has_text=words).click()
    lab.wait_idle()


def _choose(lab: Lab, css: str, words: str) -> None:
    lab.control(f"{css} select").select_option(words)
    lab.wait_idle()


def _note(rows: list[Row]) -> None:
    """Keep the slowest median of the scale slider, by kernel."""
    for part, kernel in zip(TIMINGS["slider"].parts, KERNELS.values(), strict=True):
        moves = [row for row in rows if row.what.startswith("scale, ") and row.what.endswith(kernel)]
        note_timing("slider", part, max(statistics.median(row.times) for row in moves))


def _print_head() -> None:
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"\n{'input event to changed pixels':<72}{'messages':>9}{'median ms':>10}{'slowest':>9}{'n':>4}")


def _print(row: Row) -> None:
    median, slowest = statistics.median(row.times), max(row.times)
    print(f"{row.what:<72}{row.messages:>9.1f}{median:>10.0f}{slowest:>9.0f}{len(row.times):>4}", flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
