"""From a slider's key press to other pixels, in one JupyterLab: this explorer, and what one would write by hand instead.

For the others every map is computed beforehand, so that they only have to show it; the explorer computes its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
from measuring import Row, Spread
from nbformat import v4
from support.lab import Lab, NoChromiumError

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 21
FRAME = 1 / 60
OURS = ".mswin-heatmap[data-key=free] canvas"
COMMON = """import numpy as np
import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
from PIL import Image
from IPython.display import display
import mswin_viz as mv
model, sample = mv.load_model(), mv.samples()[0]
picture = np.asarray(Image.open(sample.images["RGB"]).convert("RGB").resize((128, 256)))
tokens = model.encode([sample.images["RGB"]], progress=False)
maps = {}
for scale in range(1, 41):
    found = mv.window_activations(tokens, model.addon, scale)
    lengths, total = np.linalg.norm(found.values[0], axis=1), np.zeros((2, 128))
    for window, members in enumerate(found.geometry.tokens):
        total[:, members] += np.array([[lengths[window]], [1]])
    maps[scale] = (total[0] / np.maximum(total[1], 1)).reshape(16, 8)
slider = widgets.IntSlider(value=1, min=1, max=40)
slider.add_class("bench-slider")"""
OUTPUT = """output = widgets.Output()
output.add_class("bench-output")
def show(change):
    with output:
        output.clear_output(wait=True)
        figure, axis = plt.subplots(figsize=(2, 4))
        axis.imshow(picture)
        axis.imshow(maps[change["new"]], cmap="inferno", alpha=0.5, extent=(0, 128, 256, 0))
        plt.show()
slider.observe(show, "value")
show({"new": 1})
display(slider, output)"""
IMAGE = """import io
image = widgets.Image(format="png", width=128, height=256)
image.add_class("bench-image")
def show(change):
    values = maps[change["new"]]
    unit = (values - values.min()) / np.ptp(values)
    colours = Image.fromarray(np.uint8(255 * matplotlib.colormaps["inferno"](unit)[..., :3])).resize((128, 256))
    data = io.BytesIO()
    Image.blend(Image.fromarray(picture), colours, 0.5).save(data, "png")
    image.value = data.getvalue()
slider.observe(show, "value")
show({"new": 1})
display(slider, image)"""
IPYMPL = """%matplotlib widget
with plt.ioff():
    figure, axis = plt.subplots(figsize=(2, 4))
axis.imshow(picture)
drawn = axis.imshow(maps[1], cmap="inferno", alpha=0.5, extent=(0, 128, 256, 0))
def show(change):
    drawn.set_data(maps[change["new"]])
    drawn.autoscale()
    figure.canvas.draw_idle()
slider.observe(show, "value")
display(slider, figure.canvas)"""
PLOTLY = """import plotly.graph_objects as go
figure = go.FigureWidget(go.Heatmap(z=maps[1][::-1], colorscale="Inferno"), layout={"width": 240, "height": 420})
def show(change):
    figure.data[0].z = maps[change["new"]][::-1]
slider.observe(show, "value")
display(slider, figure)"""
EXPLORER = """import mswin_viz as mv
explorer = mv.ScaleExplorer(mv.load_model(), mv.samples())
explorer"""


@dataclass(frozen=True)
class Way:
    """Cells that show a slider and a map, and the element whose pixels count."""

    name: str
    cells: tuple[str, ...]
    slider: str
    seen: str


EXPLORERS = Way("ScaleExplorer", (EXPLORER,), ".mswin-scale", OURS)
WAYS = (
    Way("matplotlib in an Output widget", (COMMON, OUTPUT), ".bench-slider", ".bench-output img"),
    Way("ipywidgets.Image, drawn with NumPy and Pillow", (COMMON, IMAGE), ".bench-slider", "img.bench-image"),
    Way("ipympl", (COMMON, IPYMPL), ".bench-slider", ".jupyter-matplotlib canvas"),
    Way("plotly's heatmap in a FigureWidget", (COMMON, PLOTLY), ".bench-slider", ".js-plotly-plot .hm image"),
)


def rows() -> Iterator[Row]:
    """Rounds are not in turns here: each way has the notebook to itself, the explorer before and after the others."""
    try:
        with tempfile.TemporaryDirectory() as folder, Lab(Path(folder), size=(1440, 900)) as lab:
            yield from _rows(lab, Path(folder))
    except NoChromiumError as missing:
        print(f"browser: left out, {missing}")


def _rows(lab: Lab, folder: Path) -> Iterator[Row]:
    before = _seconds(lab, folder, EXPLORERS)
    others = {way.name: _seconds(lab, folder, way) for way in WAYS}
    ours = (before + _seconds(lab, folder, EXPLORERS)) / 2
    for name, seconds in others.items():
        yield Row(
            group="browser",
            work="key press on the scale slider to other pixels, headless Chromium, software rendering, JupyterLab",
            ours="`ScaleExplorer`, one image, window lengths",
            peer=f"{name}; maps computed beforehand",
            ratio=Spread.of(np.sort(seconds) / np.sort(ours)),
            our_seconds=float(np.median(ours)),
            peer_seconds=float(np.median(seconds)),
            rounds=ROUNDS,
            floor="one frame of a screen of 60 Hz",
            over_floor=Spread.of(ours / FRAME),
        )


def _seconds(lab: Lab, folder: Path, way: Way) -> np.ndarray:
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in way.cells])
    nbformat.write(notebook, folder / "way.ipynb")
    lab.open("way.ipynb")
    lab.run_all(timeout=300)
    lab.wait_idle(timeout=120)
    handle, taken = lab.handle(way.slider), []
    handle.focus()
    for at in range(ROUNDS + 1):
        lab.wait_idle()
        milliseconds = lab.latency(way.seen, lambda: lab.page.keyboard.press("ArrowRight"))
        taken += [milliseconds / 1000] if at else []
    return np.array(taken)
