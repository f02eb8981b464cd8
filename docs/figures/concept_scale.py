"""Draws docs/figures/concept_scale.png: the activation norm of every window at seven scales, and where each kernel comes from.

Run: python docs/figures/concept_scale.py
"""

from __future__ import annotations

import numpy as np
from concept_example import BLUE, SMALL, on_grid, sheet, show, the_model, the_picture, the_tokens, titled
from matplotlib.patches import Rectangle

import mswin_viz as mv

SCALES = (1, 4, 6, 8, 12, 16, 32)


def main() -> None:
    tokens, model, picture = the_tokens(), the_model(), the_picture()
    figure = sheet(3.0)
    axes = figure.subplots(1, 1 + len(SCALES))
    on_grid(axes[0], picture, tokens.grid)
    titled(axes[0], "image\n")
    for axis, scale in zip(axes[1:], SCALES, strict=True):
        found = mv.window_activations(tokens, model.addon, scale)
        norms = np.linalg.norm(found.values[0], axis=1)
        values = np.full(found.geometry.n_tokens, np.nan)
        for window, places in enumerate(found.geometry.tokens):
            values[places] = norms[window]
        on_grid(axis, picture, tokens.grid)
        rows, cols = tokens.grid
        axis.imshow(
            values.reshape(rows, cols), extent=(0, cols, rows, 0), cmap="viridis", alpha=0.85,
            aspect=picture.height / picture.width * cols / rows, interpolation="nearest",
        )  # fmt: skip
        for token in found.geometry.dropped:
            row, col = divmod(int(token), cols)
            axis.add_patch(
                Rectangle((col, row), 1, 1, facecolor="white", edgecolor="0.35", hatch="////", lw=0)
            )
        is_trained = found.origin == "trained"
        origin = "trained" if is_trained else f"from {found.source_scale}"
        titled(axis, f"scale {scale}\n{origin}")
        axis.title.set_color(BLUE if is_trained else "0.3")
        axis.title.set_weight("bold" if is_trained else "normal")
    figure.text(
        0.5, 0.0, "activation norm of each window, from its kernel's least (violet) to its greatest (yellow)",
        ha="center", va="bottom", fontsize=SMALL,
    )  # fmt: skip
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    show(figure, "concept_scale")


if __name__ == "__main__":
    main()
