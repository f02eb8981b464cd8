"""Draws docs/figures/protocols.png: retrieval of every modality in every other, on people drawn for the picture.

Run: python docs/figures/protocols.py
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    model = mv.load_model(device="cpu")
    table = mv.embed(model, mv.samples())
    found = mv.cross_modality(table, galleries=["RGB", "NI", "TI", "RGB|NI|TI"])
    figure = mv.cross_modality_figure(found, provenance=model.provenance)
    save_picture(figure_bytes(figure, "png", dpi=100), "protocols", has_palette=False)
    print(*found.sentences(), sep="\n")
    for way in (None, model):
        print(mv.missing_modalities(table, model=way).to_pandas().round(4).to_string())
    near = table[table.rows("NI")]
    for how in (None, mv.Reranking()):
        print(mv.compare(near.plain, near.enhanced, near.pid, near.camid, reranking=how).sentences())


if __name__ == "__main__":
    main()
