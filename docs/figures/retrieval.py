"""Draws docs/figures/retrieval.png: the infrared query whose ranking the add-on changes most, before and after, with window shares.

Run: python docs/figures/retrieval.py
"""

from __future__ import annotations

from saved_picture import save_picture

import mswin_viz as mv
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.retrieval.query_choice import jump_order

N_RESULTS, SCALE = 6, 8


def main() -> None:
    model = mv.load_model(device="cpu")
    table = mv.embed(model, mv.samples()).concatenated(("NI", "TI"))  # with RGB there is hardly a mistake
    before, after = (
        mv.retrieval(features, table.pid, table.camid).per_query_ap
        for features in (table.plain, table.enhanced)
    )
    query = int(jump_order("most changed", before, after)[0])
    found = {name: mv.neighbours(table, query, k=N_RESULTS, feature=name) for name in ("plain", "enhanced")}
    shares = [mv.pair_window_shares(model, table, query, row) for row in found["enhanced"].rows.tolist()]
    figure = mv.ranked_figure(table, found, shares=shares, scale=SCALE, provenance=model.provenance)
    save_picture(figure_bytes(figure, "png", dpi=90), "retrieval", has_palette=False)


if __name__ == "__main__":
    main()
