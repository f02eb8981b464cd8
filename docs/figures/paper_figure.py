"""Draws docs/figures/paper_figure.png: the figure of a paper, of three shipped samples, one without its thermal picture.

Run: python docs/figures/paper_figure.py
"""

from __future__ import annotations

import dataclasses

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    model, samples = mv.load_model(device="cpu"), mv.samples()
    shown = [samples[0], samples[9], samples[21]]
    without = {name: file for name, file in shown[1].images.items() if name != "TI"}
    shown[1] = dataclasses.replace(shown[1], images=without)
    figure = mv.paper_figure(model, shown, columns=("image", "plain", "enhanced", "windows 8"))
    save_picture(figure_bytes(figure, "png", dpi=150), "paper_figure")


if __name__ == "__main__":
    main()
