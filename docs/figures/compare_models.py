"""Draws docs/figures/compare_models.png: the query that the embedded windows harm most, ranked by plain CLIP and by them.

Run: python docs/figures/compare_models.py
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes


def main() -> None:
    plain, model = mv.load_model(addon=None, device="cpu"), mv.load_model(device="cpu")
    tables = {
        name: mv.embed(
            one, mv.samples(), modalities=["NI", "TI"], progress=False
        )  # with RGB there is hardly a mistake
        for name, one in (("plain CLIP", plain), ("windows", model))
    }
    view = mv.RetrievalView(tables, models={"windows": model}, k=6)
    view.modality = "all, raw"
    view.order = "loss, windows"
    save_picture(figure_bytes(view.figure(), "png", dpi=90), "compare_models", has_palette=False)
    print(view.queries().describe().to_string())


if __name__ == "__main__":
    main()
