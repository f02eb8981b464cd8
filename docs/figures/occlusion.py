"""Draws docs/figures/occlusion.png: retrieval on the shipped samples while the lower rows of the queries are covered.

Run: python docs/figures/occlusion.py (some minutes on a laptop)
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    model = mv.load_model(device="cpu")
    curves = mv.occlusion_curves(model, mv.samples())
    print(curves)  # the sentences that docs/how_to/occlusion.md quotes
    figure = mv.occlusion_figure(curves, provenance=model.provenance)
    save_picture(figure_bytes(figure, "png", dpi=110), "occlusion")


if __name__ == "__main__":
    main()
