"""Draws docs/figures/layers.png: layers, their rooms, and who imports from whom, as the source has it.

Run: python docs/figures/layers.py
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from saved_picture import save_picture

from mswin_viz.view.parts.figure_file import figure_bytes, new_figure

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import structure
from test_architecture import ROOMS

SAID = {
    "cli": "commands",
    "view": "what is seen: NumPy numbers to widgets and pages",
    "analysis": "what is measured: tokens to NumPy numbers",
    "model": "from images to tokens, and what stands behind the tower",
    "data": "files, images and samples",
}
COLOURS = {"cli": "#8a8a8a", "view": "#7b5ea7", "analysis": "#35618f", "model": "#2b8a6e", "data": "#b06a1d"}
WIDE, HIGH, STEP = 10.0, 0.62, 1.72  # of a layer's boxes, of one box, from layer to layer
LETTER = 88.0  # points in which one letter is as wide as a unit of the drawing, about
GREY = "0.35"


def main() -> None:
    modules = structure.modules()
    names = {module.name: module for module in modules}
    pairs = [
        (names[name], names[below]) for name, lower in structure.imports(modules).items() for below in lower
    ]
    figure = new_figure(8.8, 6.9)
    axes = figure.add_subplot()
    for place, layer in enumerate(reversed(structure.LAYERS)):
        _draw_layer(axes, layer, -STEP * place, modules, pairs)
    words = {"fontsize": 9, "color": GREY, "va": "center", "ha": "right"}
    axes.text(WIDE + 1.75, 1.1, "imports, from layer to layer", **words)
    _draw_arrows(axes, Counter((above.layer, below.layer) for above, below in pairs))
    axes.set_xlim(-0.1, WIDE + 1.75)
    axes.set_ylim(-STEP * (len(SAID) - 1) - 0.2, 1.25)
    axes.set_axis_off()
    save_picture(figure_bytes(figure, "png", dpi=160), "layers")


def _draw_layer(axes: Axes, layer: str, bottom: float, modules: list, pairs: list) -> None:
    """Its rooms side by side, the lowest at the left, and an arc for every room that imports from another."""
    sizes = Counter(module.room.split(".")[1] for module in modules if module.layer == layer)
    folders = {m.room.split(".")[1] for m in modules if m.layer == layer and m.name.count(".") > 1}
    rooms = [room for room in ROOMS.get(layer, ()) if room in folders] or [
        "one module for each group of commands"
    ]
    width = WIDE / len(rooms)
    middles = {room: width * (at + 0.5) for at, room in enumerate(rooms)}
    total = sum(sizes.values())
    letters = min(9.0, LETTER * (width - 0.1) / max(map(len, rooms)))
    axes.text(0, bottom + 1.1, layer, fontsize=12, weight="bold", color=COLOURS[layer], va="center")
    axes.text(1.3, bottom + 1.1, f"{SAID[layer]} · {total} modules", fontsize=9, color=GREY, va="center")
    for room, middle in middles.items():
        box = FancyBboxPatch(
            (middle - width / 2 + 0.05, bottom), width - 0.1, HIGH,
            boxstyle="round,pad=0,rounding_size=0.07", facecolor=COLOURS[layer] + "22", edgecolor=COLOURS[layer], lw=1,
        )  # fmt: skip
        axes.add_patch(box)
        n_modules = sizes.get(room, total)
        axes.text(middle, bottom + 0.38, room, fontsize=letters, ha="center", va="center")
        axes.text(middle, bottom + 0.16, f"{n_modules}", fontsize=8, color=GREY, ha="center", va="center")
    arrows = Counter(
        (above.room.split(".")[1], below.room.split(".")[1])
        for above, below in pairs
        if above.layer == below.layer == layer and above.room != below.room
    )
    for (above, below), n_imports in arrows.items():
        if above in middles and below in middles:
            _draw_arc(axes, middles[above], middles[below], bottom + HIGH, n_imports, COLOURS[layer])


def _draw_arc(axes: Axes, start: float, end: float, height: float, n_imports: int, colour: str) -> None:
    """From a room to one at its left; the more imports, the wider."""
    bend = 0.36 / max(1.0, abs(start - end)) ** 0.85
    arc = FancyArrowPatch(
        (start - 0.1, height), (end + 0.1, height), connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=6,
        lw=0.5 + 0.28 * n_imports**0.5, color=colour, alpha=0.55, shrinkA=0, shrinkB=0,
    )  # fmt: skip
    axes.add_patch(arc)


def _draw_arrows(axes: Axes, counts: Counter) -> None:
    """Beside the layers: how many imports of modules go from each to each below it."""
    order = list(reversed(structure.LAYERS))
    for (above, below), n_imports in sorted(counts.items()):
        if above not in order or below not in order or above == below:
            continue
        first, last = order.index(above), order.index(below)
        x = WIDE + 0.22 + 0.44 * (last - first - 1) + 0.13 * first
        begin, end = -STEP * first + 0.25 - 0.05 * last, -STEP * last + 0.42 - 0.05 * first
        arrow = FancyArrowPatch(
            (x, begin), (x, end), arrowstyle="-|>", mutation_scale=9, lw=0.8 + 0.12 * n_imports**0.5, color=COLOURS[above],
            shrinkA=0, shrinkB=0,
        )  # fmt: skip
        axes.add_patch(arrow)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        y = begin + (end - begin) * (0.5 if last - first == 1 else 0.36)
        axes.text(x, y, n_imports, fontsize=8, color=COLOURS[above], ha="center", va="center", bbox=box)


if __name__ == "__main__":
    main()
