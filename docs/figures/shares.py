"""Draws docs/figures/shares.png: one cosine split into patches of the CLS, windows of the add-on, and everything else.

Run: python docs/figures/shares.py
"""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.analysis.shares.slots import SlotShares
from mswin_viz.view.parts.figure_file import figure_bytes, new_figure, tidy
from mswin_viz.view.widgets.colours import SIGNED, sign_colour

PROMPT, SAMPLE = "a person wearing a red top", 53
_GREY = "0.35"


def main() -> None:
    model, samples = mv.load_model(device="cpu"), mv.samples()
    image = samples[SAMPLE].images["RGB"]
    text, tokens = model.encode_text(PROMPT)[0], model.encode(image)
    shares = mv.decompose(tokens, model.addon, text).cosine()
    factor = shares.score / mv.decompose(tokens, model.addon, text).score
    cls = mv.cls_by_patch(model, image, text, baseline="mean").times(factor)
    figure = new_figure(9.0, 3.5)
    left, right = figure.subfigures(1, 2, width_ratios=[1.45, 1])
    shown = model.displayed(image)
    maps = {"CLS, by patch": cls.patches[0]} | {
        f"windows of {s.slot.scale}": _spread(s) for s in shares.slots if s
    }
    axes = left.subplots(1, 1 + len(maps))
    axes[0].imshow(shown)
    axes[0].set_title("image", fontsize=8.5)
    for axis, (title, values) in zip(axes[1:], maps.items(), strict=True):
        _draw_map(axis, shown, values.reshape(model.grid))
        axis.set_title(f"{title}\n{values.sum():+.3f}", fontsize=8.5)
    for axis in axes:
        axis.set_axis_off()
    left.suptitle("red: positive shares, blue: negative; each map on a scale of its own", fontsize=9.5)
    _draw_bars(right, _parts(cls, shares), float(shares.score[0]))
    save_picture(figure_bytes(figure, "png", dpi=200), "shares")


def _parts(cls: mv.ClsSplit, shares: mv.Decomposition) -> list[tuple[str, float]]:
    """Every part of the cosine, from the top of the bars to the bottom."""
    parts = {
        "CLS: patches": cls.patches.sum(axis=1), "CLS: mean patch": cls.baseline, "CLS: class token": cls.class_token,
        "CLS: positions": cls.positions, "CLS: biases": cls.biases,
    }  # fmt: skip
    parts |= {f"windows of {scale}": windows.sum(axis=1) for scale, windows in shares.windows.items()}
    parts["add-on: biases"] = shares.bias
    return [(name, float(value[0])) for name, value in parts.items()]


def _spread(slot: SlotShares) -> np.ndarray:
    """Each window's share over its tokens, in equal parts."""
    on_tokens = np.zeros(slot.tokens.shape[1])
    for window, places in enumerate(slot.geometry.tokens):
        on_tokens[places] = slot.windows[0, window] / len(places)
    return on_tokens


def _draw_map(axis: Axes, image: Image.Image, values: np.ndarray) -> None:
    """Each map on its own reach, over the picture in grey."""
    reach = np.percentile(np.abs(values), 99)
    rgba = colormaps[SIGNED](Normalize(-reach, reach, clip=True)(values))
    rgba[..., 3] = 0.9 * np.clip(np.abs(values) / reach, 0, 1) ** 0.6
    grey = 0.45 + 0.55 * np.asarray(ImageOps.grayscale(image), dtype=float) / 255
    axis.imshow(grey, cmap="gray", vmin=0, vmax=1)
    axis.imshow(rgba, extent=(0, image.width, image.height, 0), interpolation="nearest")


def _draw_bars(figure: Figure, parts: list[tuple[str, float]], score: float) -> None:
    """Each part from where the one above it ended; the last bar is their sum."""
    axis = figure.subplots()
    ends = np.cumsum([value for _, value in parts])
    assert abs(ends[-1] - score) < 1e-6, "the parts add up to the score"
    names = [*(name for name, _ in parts), "cosine"]
    for row, ((_, value), end) in enumerate(zip(parts, ends, strict=True)):
        axis.barh(row, value, left=end - value, color=sign_colour(value), height=0.62)
        axis.plot([end, end], [row, row + 1], color="0.6", lw=0.8)
    axis.barh(len(parts), score, color=_GREY, height=0.62)
    high = max(0, *ends)
    for row, value in enumerate([*(value for _, value in parts), score]):
        axis.text(high * 1.04, row, f"{value:+.3f}", va="center", fontsize=8)
    axis.axvline(0, color="0.3", lw=0.8)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(min(0, *ends) * 1.05, high * 1.3)
    tidy(axis, size=8)
    axis.set_title(f"cosine with “{PROMPT}”,\nenhanced CLS: parts and their sum", fontsize=8.8)


if __name__ == "__main__":
    main()
