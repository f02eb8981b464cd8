"""Draws docs/figures/text_search.png: what a sentence finds in each modality, and the maps of its words.

Run: python docs/figures/text_search.py
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    model, samples = mv.load_model(device="cpu"), mv.samples()
    table = mv.embed(model, samples, progress=False)
    view = mv.TextSearchView(model, samples, table=table, prompt="a person in green trousers", k=5)
    view.start().join()
    save_picture(figure_bytes(view.figure(), "png", dpi=105), "text_search")
    for line in mv.text_recall(model, table, samples).sentences():
        print(line)
    view.close()


if __name__ == "__main__":
    main()
