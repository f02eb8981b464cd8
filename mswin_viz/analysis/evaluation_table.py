"""The figures of an evaluation as Markdown, in percent."""

from __future__ import annotations

from collections.abc import Mapping

from mswin_viz.analysis.evaluation import Evaluation, Measures
from mswin_viz.analysis.ranking import METRIC_WORDS

__all__ = ["COLUMNS", "SPLIT_WORDS", "percent", "table"]

COLUMNS = {"RGB": "RGB", "NI": "NI", "TI": "TI", "three_together": "three together"}
SPLIT_WORDS = {
    "standard": "Standard split: people drawn independently.",
    "look_alikes": "Look-alike split: people in groups of four who share everything but one small thing (a "
    "logo, a shoe colour, a strap, a stripe width).",
}
_ROWS = {
    "plain_cls": "plain CLS",
    "enhanced_cls": "enhanced CLS",
    "random_network": "random network",
    "mean_colour_grid": "mean colours, 16x8",
    "chance": "chance",
}
_NAMES = {"any_bag": "bag yes/no"}


def table(evaluation: Evaluation) -> str:
    """Everything an evaluation found."""
    lines = [
        f"Weights: {evaluation.model['weights']}. Add-on: {evaluation.model['add-on']}.",
        f"World {evaluation.seed}: {evaluation.identities} freshly drawn people in each split, "
        f"{evaluation.cameras} cameras x {evaluation.shots_per_camera} shots. All against all by {METRIC_WORDS[evaluation.metric]}, raw "
        "features, the query's own identity and camera left out. mAP / Rank-1 and accuracies in percent.",
        *evaluation.notes,
    ]
    for split, rows in evaluation.retrieval.items():
        lines += ["", SPLIT_WORDS[split], "", *_retrieval(rows)]
    if evaluation.zero_shot is not None:
        lines += ["", *_zero_shot(evaluation)]
    if evaluation.text_to_image is not None:
        lines += ["", *_text_to_image(evaluation)]
    return "\n".join(lines)


def percent(measures: Measures) -> str:
    """``mAP / Rank-1`` with one digit."""
    return f"{100 * measures.mAP:.1f} / {100 * measures.rank1:.1f}"


def _retrieval(rows: Mapping[str, Mapping[str, Measures]]) -> list[str]:
    head = [f"| mAP / Rank-1 | {' | '.join(COLUMNS.values())} |", "|---|" + "---|" * len(COLUMNS)]
    return head + [
        f"| {_ROWS[row]} | {' | '.join(percent(cells[column]) for column in COLUMNS)} |"
        for row, cells in rows.items()
    ]


def _zero_shot(evaluation: Evaluation) -> list[str]:
    lines = ["| zero-shot, RGB | accuracy | chance | commonest | random network |", "|---|---|---|---|---|"]
    for name, row in evaluation.zero_shot.items():
        cells = (row.accuracy, row.chance, row.commonest, row.random_network)
        label = _NAMES.get(name, name.replace("_", " "))
        lines.append(f"| {label} | {' | '.join(f'{100 * cell:.1f}' for cell in cells)} |")
    return lines


def _text_to_image(evaluation: Evaluation) -> list[str]:
    found = evaluation.text_to_image
    cells = (found.rank1, found.chance, found.random_network)
    said = ", ".join(name.replace("_", " ") for name in found.attributes)
    return [
        "| text to image, RGB | Rank-1 | chance | random network |",
        "|---|---|---|---|",
        f"| everybody's full caption | {' | '.join(f'{100 * cell:.1f}' for cell in cells)} |",
        "",
        f"A caption's first picture counts if all of this is true of the person in it: {said}.",
    ]
