"""Draws docs/figures/concept_slot.png: pooled vectors in their slots, the fusion, the shift, and plain CLS + shift = enhanced CLS.

Run: python docs/figures/concept_slot.py
"""

from __future__ import annotations

import numpy as np
import torch
from concept_example import BLUE, GREY, MEDIUM, ORANGE, SMALL, sheet, show, the_model, the_tokens
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import mswin_viz as mv

N_CHANNELS = 40
STRIP = 19.0
"""Width of a vector's strip, in the units of the picture, which is 100 wide and 40 high."""


def main() -> None:
    tokens, model = the_tokens(), the_model()
    with torch.no_grad():
        pooled = model.addon.windows.pooled(tokens.patches)
    gates = mv.decompose(tokens, model.addon, np.ones(512)).gates[0]
    plain = np.asarray(tokens.cls)[0]
    enhanced = np.asarray(model.enhance(tokens).cls)[0]
    axis = _canvas()
    for row, (scale, vector) in enumerate(zip(model.addon.scales, pooled, strict=True)):
        y = 30.5 - 9 * row
        n = mv.windows(tokens.grid, scale).n_windows
        _strip(axis, 1, y, np.asarray(vector)[0], f"slot {scale}: {n} windows")
        _arrow(axis, (1 + STRIP + 0.6, y + 1.5), (26.8, 24 - 2 * (row - 1)))
    axis.text(1, 38.6, "pooled vectors: the mean of all windows of a scale", fontsize=SMALL, va="bottom")
    _box(axis, 27, 18, 17, 12, f"fusion\ntwo layers;\n{gates.sum()} of {gates.size}\nReLU gates open")
    _arrow(axis, (44.6, 24), (50.4, 24))
    _strip(axis, 51, 22.5, enhanced - plain, "shift", colour=ORANGE)
    _strip(axis, 51, 7, plain, "plain CLS", colour=GREY)
    _arrow(axis, (70.6, 24), (75.5, 17.2))
    _arrow(axis, (70.6, 8.5), (75.5, 14))
    axis.text(76.6, 15.5, "+", fontsize=20, ha="center", va="center")
    _arrow(axis, (77.8, 15.5), (80.2, 15.5))
    _strip(axis, 80.8, 14, enhanced, "enhanced CLS", colour=BLUE)
    show(axis.figure, "concept_slot")


def _canvas() -> Axes:
    axis = sheet(3.7).add_subplot()
    axis.set_axis_off()
    axis.set_xlim(0, 101)
    axis.set_ylim(3, 41)
    return axis


def _strip(axis: Axes, x: float, y: float, vector: np.ndarray, words: str, *, colour: str = "0.2") -> None:
    """The first numbers of a vector, its name above and its length below."""
    shown = vector[None, :N_CHANNELS] / 2.5
    axis.imshow(
        shown, extent=(x, x + STRIP, y, y + 3), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", zorder=2
    )
    axis.add_patch(
        FancyBboxPatch(
            (x, y), STRIP, 3, boxstyle="square,pad=0", fill=False, edgecolor=colour, lw=1.4, zorder=3
        )
    )
    axis.text(x, y + 3.6, words, fontsize=SMALL, color=colour, weight="bold", va="bottom")
    axis.text(
        x + STRIP, y - 0.5, f"length {np.linalg.norm(vector):.1f}", fontsize=SMALL - 1, ha="right", va="top"
    )


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=12, color="0.3", lw=1.2, shrinkA=0, shrinkB=0
        )
    )


def _box(axis: Axes, x: float, y: float, width: float, height: float, words: str) -> None:
    box = FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=1",
        facecolor="0.95",
        edgecolor="0.3",
        lw=1.2,
    )
    axis.add_patch(box)
    axis.text(x + width / 2, y + height / 2, words, fontsize=MEDIUM - 1, ha="center", va="center")


if __name__ == "__main__":
    main()
