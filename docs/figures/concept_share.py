"""Draws docs/figures/concept_share.png: shares that add up to a cosine, the effect of the norm, and one window in three values.

Run: python docs/figures/concept_share.py
"""

from __future__ import annotations

import numpy as np
from concept_example import BLUE, GREY, PROMPT, SMALL, sheet, show, the_model, the_text, the_tokens
from matplotlib.axes import Axes

import mswin_viz as mv
from mswin_viz.analysis.shares.window_removal import remove_each_window
from mswin_viz.view.parts.figure_file import tidy
from mswin_viz.view.widgets.colours import sign_colour

SCALE = 16


def main() -> None:
    tokens, model, text = the_tokens(), the_model(), the_text()
    plain = float(mv.decompose(tokens, None, text).cosine().score[0])
    parts = mv.decompose(tokens, model.addon, text).cosine()
    figure = sheet(3.9)
    bars, window = figure.subplots(1, 2, width_ratios=[1.7, 1])
    _draw_shares(bars, plain, parts)
    _draw_window(window, parts)
    show(figure, "concept_share")


def _draw_shares(axis: Axes, plain: float, parts: mv.Decomposition) -> None:
    """From the plain cosine to the enhanced one: what the norm takes, then what every scale and the biases add."""
    cls, score = float(parts.cls[0]), float(parts.score[0])
    shares = {f"windows of {scale}": float(each.sum()) for scale, each in parts.windows.items()}
    shares["biases"] = float(parts.bias[0])
    assert abs(cls + sum(shares.values()) - score) < 1e-6, "the shares add up to the cosine"
    axis.barh(0, plain, color=GREY, height=0.62)
    axis.barh(1, cls - plain, left=plain, color="white", edgecolor=sign_colour(-1), hatch="////", height=0.62)
    axis.barh(2, cls, color="0.35", height=0.62)
    names, values, end = ["plain cosine", "longer norm", "share of the CLS"], [plain, cls - plain, cls], cls
    for name, value in shares.items():
        axis.barh(len(names), value, left=end, color=sign_colour(value), height=0.62)
        names.append(name)
        values.append(value)
        end += value
    axis.barh(len(names), score, color=BLUE, height=0.62)
    names, values = [*names, "= enhanced cosine"], [*values, score]
    for row, value in enumerate(values):
        axis.text(plain * 1.04, row, f"{value:+.3f}", va="center", fontsize=SMALL)
    axis.axhspan(1.5, len(names) - 1.5, color="0.94", zorder=0)
    axis.text(
        plain * 0.66, 3.4, "these five\nadd up to\nthe last bar", fontsize=SMALL, va="center", ha="left"
    )
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, plain * 1.24)
    tidy(axis, size=SMALL)
    axis.set_title(
        f"cosine with “{PROMPT}”\n|plain| {parts.plain_norm[0]:.1f}, |enhanced| {parts.norm[0]:.1f}",
        fontsize=SMALL,
    )


def _draw_window(axis: Axes, parts: mv.Decomposition) -> None:
    """The window whose share is the largest."""
    tokens, model, text = the_tokens(), the_model(), the_text()
    window = int(parts.windows[SCALE][0].argmax())
    slot = model.addon.scales.index(SCALE)
    pushes = mv.net_pushes(tokens, model.addon, text).windows[SCALE][0]
    gone = remove_each_window(tokens, mv.fusion_weights(model.addon), text, slot).cosine_change[0]
    values = {
        "share": parts.windows[SCALE][0][window],
        "net push": pushes[window],
        "change when\nremoved": gone[window],
    }
    reach = max(abs(np.array(list(values.values()))))
    for row, (_, value) in enumerate(values.items()):
        axis.barh(row, value, color=sign_colour(value), height=0.5)
        axis.text(
            value + np.sign(value) * 0.06 * reach,
            row,
            f"{value:+.4f}",
            va="center",
            ha="left" if value > 0 else "right",
            fontsize=SMALL,
        )
    axis.axvline(0, color="0.3", lw=0.9)
    axis.set_yticks(range(len(values)), values)
    axis.set_xticks([-0.01, 0, 0.01])
    axis.set_ylim(2.6, -0.6)
    axis.set_xlim(-2.3 * reach, 2.3 * reach)
    tidy(axis, size=SMALL)
    first = window * SCALE // the_tokens().grid[1]
    axis.set_title(f"one window of {SCALE}:\nrows {first} and {first + 1} of the grid", fontsize=SMALL)


if __name__ == "__main__":
    main()
