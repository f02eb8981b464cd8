"""Draws docs/figures/findings.png: two images of the drawn people that were given somebody else's identity, and what shows it.

Run: python docs/figures/findings.py
"""

from __future__ import annotations

from dataclasses import replace

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    model, samples = mv.load_model(device="cpu"), mv.samples()[:64]
    samples[9], samples[40] = replace(samples[9], pid=8), replace(samples[40], pid=12)
    found = mv.wrong_identities(mv.embed(model, samples))
    figure = mv.findings_figure(found, n=2, provenance=model.provenance)
    save_picture(figure_bytes(figure, "png", dpi=90), "findings", has_palette=False)


if __name__ == "__main__":
    main()
