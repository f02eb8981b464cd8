"""What a text found as one matplotlib figure: a row for each modality, each picture beside the map of the words."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from mswin_viz.analysis.text_search.record import TextSearch
from mswin_viz.data.shown_text import n_of, short_text
from mswin_viz.view.parts.figure_file import new_figure
from mswin_viz.view.parts.figure_text import LEAST_SIZE, caption_lines, write_caption
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.row_pictures import picture_size, read_or_blank
from mswin_viz.view.text_search.hit_rows import hits_words
from mswin_viz.view.text_search.word_maps import WordMap, heated, map_colours
from mswin_viz.view.widgets.labels import MODALITIES, VALUES

_KEY = (
    "Heat: the exact share of each patch in the cosine with the text, attention held as it is at the image; all shares and "
    "those of class token, positions and biases add up to the cosine. One colour scale, beyond which the strongest 1 % of the shares lie."
)
_LONGER = 192  # pixels of a picture
_CELL = 1.15  # inches of a picture's longer side
_MOST_OF_A_NAME = 16


def text_hits_figure(found: TextSearch, maps: Mapping[int, WordMap], *, provenance: str) -> Figure:
    """The hits of the first prompt, in each modality; ``maps`` by row, missing ones are left white."""
    hits = [one for one in found.hits if one.prompt == found.prompts[0]]
    size = picture_size(found.table.files, longer=_LONGER)
    wide, high = (_CELL * pixels / max(size) for pixels in size)
    n_cols, parts = max(len(one.rows) for one in hits), 2 if maps else 1
    unknown = found.unknown_sentences()
    rows = {int(row) for one in hits for row in one.rows}
    so_far = (
        f"{n_of(len(rows & maps.keys()), len(rows), 'maps')} computed so far." if rows - maps.keys() else ""
    )
    note = " ".join(filter(None, [*unknown, so_far, _KEY * bool(maps), provenance]))
    width = max(4.5, n_cols * (parts * wide + 0.12) + 0.9 * bool(maps))
    lines = caption_lines(note, int(width * 21))
    figure = new_figure(width, 0.3 + len(hits) * (high + 0.62) + 0.11 * len(lines))
    figure.suptitle(
        f"“{short_text(found.prompts[0], 90)}”, {found.feature} CLS", fontsize=9, x=0.01, ha="left"
    )
    blocks = figure.subfigures(len(hits), 1, squeeze=False)[:, 0]
    colours = map_colours(maps)
    for block, one in zip(blocks, hits, strict=True):
        title = f"{MODALITIES.get(one.modality, one.modality)}: {hits_words(one)}"
        block.suptitle(title, fontsize=8, x=0.01, ha="left")
        axes = block.subplots(1, parts * n_cols, squeeze=False)[0]
        for axis in axes:
            axis.set_axis_off()
        for rank, (row, cosine) in enumerate(zip(one.rows.tolist(), one.cosine, strict=True)):
            left = axes[parts * rank]
            left.imshow(read_or_blank(found.table.files[row][one.modality], size))
            words = who(found.table, row).replace("camera ", "c").replace("scene ", "s")
            left.set_title(f"{rank + 1}: {cosine:.3f}", fontsize=6.5, pad=2, loc="left")
            left.text(
                0, -0.03, short_text(words, _MOST_OF_A_NAME), transform=left.transAxes, ha="left", va="top", fontsize=6.5
            )  # fmt: skip
            if row in maps:
                axes[parts * rank + 1].imshow(heated(maps[row], colours).resize(size))
        if maps:
            bar = block.colorbar(
                colours, ax=axes, location="right", extend="both", aspect=20, shrink=0.8, pad=0.01
            )
            bar.ax.tick_params(labelsize=LEAST_SIZE)
            bar.set_label(VALUES["share"], fontsize=LEAST_SIZE)
    write_caption(figure, lines, ha="left", x=0.01)
    return figure
