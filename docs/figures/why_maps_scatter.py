"""Draws docs/figures/why_maps_scatter.png: three maps of two samples, each beside the same map of an image with a little noise.

Run: python docs/figures/why_maps_scatter.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from concept_example import on_grid, show, the_model, titled
from matplotlib.axes import Axes
from PIL import Image

import mswin_viz as mv
from mswin_viz.model.encoder.block_outputs import block_outputs
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.widgets.colours import SIGNED

SHOWN, NOISE = ("000001_cam1_0_00", "000013_cam1_0_00"), 2.0
"""Names of the samples; standard deviation of the noise, grey levels of 255."""
CALLS: dict[str, dict[str, Any]] = {
    "gradient_x_input": {},
    "attention_relevance": {"level": "tokens"},
    "exact_split": {"level": "tokens", "baseline": "mean"},
}
LABELS = {
    "gradient_x_input": "gradient x input",
    "attention_relevance": "attention relevance",
    "exact_split": "exact split",
}


def main() -> None:
    model, rng = the_model(), np.random.default_rng(0)
    samples = [next(sample for sample in mv.samples() if sample.name == name) for name in SHOWN]
    figure = new_figure(9.0, 5.0)
    axes = figure.subplots(2, 2 + 2 * len(CALLS))
    for at, sample in enumerate(samples):
        picture = model.displayed(sample.images["RGB"])
        clean = np.asarray(picture)
        noisy = np.clip(clean + rng.normal(0, NOISE, clean.shape), 0, 255).round().astype(np.uint8)
        on_grid(axes[at, 0], picture, model.grid)
        titled(axes[at, 0], "image" if at == 0 else "")
        _draw_norms(axes[at, 1], model, clean, "token norm,\nlast block" if at == 0 else "")
        target = mv.Target.text(sample.caption, feature="plain")
        for place, (method, call) in enumerate(CALLS.items()):
            for more, image in enumerate((clean, noisy)):
                found = mv.attribute(model, [image], target, method=method, **call).on_patches()[0]
                title = (LABELS[method].replace(" ", "\n", 1), "with\nnoise")[more] if at == 0 else ""
                _draw_map(axes[at, 2 + 2 * place + more], picture, found.reshape(model.grid), title)
    show(figure, "why_maps_scatter")


def _draw_norms(axis: Axes, model: mv.Model, image: np.ndarray, title: str) -> None:
    state = block_outputs(model, model.preprocess([image]))[-1]
    rows, cols = model.grid
    norms = state[0, 1 : 1 + rows * cols].norm(dim=1).numpy().reshape(rows, cols)
    axis.imshow(norms, cmap="Greys", extent=(0, cols, rows, 0), aspect="equal")
    titled(axis, title)


def _draw_map(axis: Axes, picture: Image.Image, values: np.ndarray, title: str) -> None:
    """Red raises the score, blue lowers it; drawn relative to the map's own reach, over the picture in grey."""
    rows, cols = values.shape
    on_grid(axis, picture.convert("L").convert("RGB"), (rows, cols))
    reach = np.abs(values).max()
    axis.imshow(
        values, cmap=SIGNED, vmin=-reach, vmax=reach, extent=(0, cols, rows, 0), alpha=0.75, aspect="equal"
    )
    titled(axis, title)


if __name__ == "__main__":
    main()
