"""Draws docs/figures/concept_gate.png: which ReLU gates of the fusion two images open, and the weights of a mixture's gate.

Run: python docs/figures/concept_gate.py
"""

from __future__ import annotations

import numpy as np
import torch
from concept_example import BLUE, ORANGE, SMALL, sheet, show, the_model, the_sample, titled
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import tidy

MODALITIES = ("RGB", "NI", "TI")


def main() -> None:
    model, sample = the_model(), the_sample()
    tokens = model.encode([sample.images[modality] for modality in MODALITIES])
    gates = mv.decompose(tokens, model.addon, np.ones(512)).gates
    figure = sheet(3.3)
    *maps, bars = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.5])
    for axis, modality, is_open in zip(maps, MODALITIES, gates, strict=True):
        axis.imshow(
            is_open.reshape(32, 16),
            cmap=ListedColormap(["0.9", BLUE]),
            aspect="auto",
            interpolation="nearest",
        )
        titled(axis, f"{modality}: {is_open.sum()} of {is_open.size}\nReLU gates open")
    _draw_mixture(bars, tokens)
    show(figure, "concept_gate")


def _draw_mixture(axis: Axes, tokens: mv.Tokens) -> None:
    """A mixture that learned nothing: the package has no trained one."""
    torch.manual_seed(0)
    found = mv.gate_weights(tokens, mv.MixtureOfExpertsAddon(temperature=0.3).eval())
    left = np.zeros(len(MODALITIES))
    for scale, weights, colour in zip(found.scales, found.values.T, (BLUE, ORANGE, "#009e73"), strict=True):
        axis.barh(MODALITIES, weights, left=left, color=colour, height=0.6, label=f"scale {scale}")
        for row in np.flatnonzero(weights > 0.12):  # where there is room
            words = {"ha": "center", "va": "center", "fontsize": SMALL, "color": "white"}
            axis.text(left[row] + weights[row] / 2, row, f"{weights[row]:.2f}", **words)
        left += weights
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=3,
        fontsize=SMALL,
        frameon=False,
        handlelength=1,
        columnspacing=1,
    )
    tidy(axis, size=SMALL)
    axis.set_title(
        "weights of a mixture's gate, by scale\n(random weights, to show the form)", fontsize=SMALL
    )


if __name__ == "__main__":
    main()
