"""The figures of an evaluation as Markdown, in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mswin_viz.analysis.experiments.evaluation import CaptionSearch, Evaluation, Measures, NamedAttribute
from mswin_viz.analysis.markdown_tables import NO_NUMBER, markdown_table, percent
from mswin_viz.analysis.measures.joined import modality_words
from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import counted

_COLUMNS = (*MODALITIES, "three_together")
_SPLITS = {
    "standard": "Standard split: people drawn independently.",
    "look_alikes": "Look-alike split: people in groups of four who share everything but one small thing (a "
    "logo, a shoe colour, a strap, a stripe width).",
}
_ROWS = {
    "plain_cls": "plain CLS", "enhanced_cls": "enhanced CLS", "random_network": "random network",
    "mean_colour_grid": "mean colours, 16x8", "chance": "chance",
}  # fmt: skip
_NAMES = {"any_bag": "bag yes/no"}


def table(evaluation: Evaluation) -> str:
    """Everything an evaluation found."""
    again = f", {evaluation.reranking.words}" if evaluation.reranking else ""
    lines = [
        f"Weights: {evaluation.model['weights']}. Add-on: {evaluation.model['add-on']}.",
        f"World {evaluation.seed}: {evaluation.identities} freshly drawn people in each split, "
        f"{counted(evaluation.cameras, 'cameras')} x {counted(evaluation.shots_per_camera, 'shots')}. All against all by {METRIC_WORDS[evaluation.metric]}, raw "
        f"features, the query's own identity and camera left out{again}. mAP / Rank-1 / mINP and accuracies in percent.",
        *evaluation.notes,
    ]
    for split, rows in evaluation.retrieval.items():
        lines += ["", _SPLITS[split], "", *_retrieval(rows)]
    if evaluation.zero_shot is not None:
        lines += ["", *_zero_shot(evaluation.zero_shot)]
    if evaluation.text_to_image is not None:
        lines += ["", *_text_to_image(evaluation.text_to_image)]
    return "\n".join(lines)


def _retrieval(rows: Mapping[str, Mapping[str, Measures]]) -> list[str]:
    lines = ([_ROWS[row], *(_retrieved(cells[c]) for c in _COLUMNS)] for row, cells in rows.items())
    return markdown_table(["mAP / Rank-1 / mINP", *map(modality_words, _COLUMNS)], lines)


def _retrieved(cell: Measures) -> str:
    inp = NO_NUMBER if math.isnan(cell.mINP) else percent(cell.mINP)
    return f"{percent(cell.mAP)} / {percent(cell.rank1)} / {inp}"


def _zero_shot(attributes: Mapping[str, NamedAttribute]) -> list[str]:
    lines = []
    for name, row in attributes.items():
        cells = (row.accuracy, row.chance, row.commonest, row.random_network)
        lines.append([_NAMES.get(name, name.replace("_", " ")), *map(percent, cells)])
    heads = ["zero-shot, RGB", "accuracy", "chance", "commonest", "random network"]
    return markdown_table(heads, lines)


def _text_to_image(search: CaptionSearch) -> list[str]:
    cells = (search.rank1, search.chance, search.random_network)
    named = ", ".join(name.replace("_", " ") for name in search.attributes)
    heads = ["text to image, RGB", "Rank-1", "chance", "random network"]
    return [
        *markdown_table(heads, [["everybody's full caption", *map(percent, cells)]]),
        "",
        f"A caption's first picture counts if all of this is true of the person in it: {named}.",
    ]
