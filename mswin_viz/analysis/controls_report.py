"""A comparison of heads as a Markdown table, as one sentence, and as nested dictionaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mswin_viz.analysis.controls import CONTROLS, HeadComparison, Scores, Trial
from mswin_viz.analysis.evaluation_table import COLUMNS, SPLIT_WORDS
from mswin_viz.analysis.stored_results import stored_comparison
from mswin_viz.model.embedded_config import EMBEDDED

__all__ = ["RULE", "as_json", "compact", "embedded_controls", "head_words", "table", "verdict"]

RULE = (
    "Windows and a control are told apart only if at least three training seeds all give the difference the "
    "same sign and its mean exceeds two standard errors, over seeds and over people."
)
_SPLITS = {"standard": "standard split", "look_alikes": "look-alike split"}
_SHORT = {"windows better": "better", "windows worse": "worse", "cannot be told apart": "not told apart"}
_WORDS = {"mlp_on_cls": "MLP on CLS", "mlp_on_mean_patch": "MLP on the mean patch"}


def verdict(comparison: HeadComparison) -> str:
    """Whether the windows beat the controls, by `RULE`."""
    cells = [(split, column) for split in comparison.scores for column in comparison.columns]
    won, lost = [], []
    for split, column in cells:
        found = {comparison.differences[split][name][column].verdict for name in CONTROLS}
        won += [(split, column)] if found == {"windows better"} else []
        lost += [(split, column)] if "windows worse" in found else []
    undecided = len(cells) - len(won) - len(lost)
    where = ", ".join(f"{split.replace('_', '-')} {COLUMNS.get(c, c)}" for split, c in won)
    if len(won) == len(cells):
        return f"The windows beat both controls in mAP, in all {len(cells)} comparisons."
    rest = (
        f"in {len(lost)} a control is better, in {undecided} the windows cannot be told apart from at least "
        "one control"
    )
    if won:
        return f"The windows beat both controls in mAP in {len(won)} of {len(cells)} comparisons ({where}); {rest}."
    return f"The windows do not beat the controls in mAP in any of {len(cells)} comparisons: {rest}."


def table(comparison: HeadComparison, trial: Trial) -> str:
    """Every head's scores, the differences, the rule and the verdict; in percent."""
    crowds = trial.training_crowds
    on = " and ".join(f"{crowd.people} {crowd.split.replace('_', '-')}" for crowd in crowds)
    lines = [
        f"Heads trained on the frozen tokens of {on} people of world {trial.seed + 1}, "
        f"{trial.schedule.steps} steps, {trial.n_seeds} seeds; measured on {trial.identities} other people "
        f"of world {trial.seed} in each split. mAP / Rank-1 in percent, mean ± standard deviation over seeds.",
    ]
    for split, by_head in comparison.scores.items():
        names = [COLUMNS.get(column, column) for column in comparison.columns]
        lines += ["", SPLIT_WORDS.get(split, split), ""]
        lines += [f"| head | parameters | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
        lines.append(_row("plain CLS", 0, comparison.plain[split]))
        lines += [_row(head_words(name), comparison.sizes[name], some) for name, some in by_head.items()]
        lines += ["", *_difference_lines(comparison, split)]
    return "\n".join([*lines, "", RULE, "", verdict(comparison)])


def as_json(comparison: HeadComparison, trial: Trial) -> dict[str, Any]:
    """Settings, scores (fractions), differences and the verdict as nested dictionaries."""
    columns = comparison.columns
    return {
        "settings": dataclasses.asdict(trial) | {"training_world": trial.seed + 1},
        "parameters": dict(comparison.sizes),
        "scores": {
            split: {"plain_cls": _cells(comparison.plain[split], columns)}
            | {name: _cells(some, columns) for name, some in by_head.items()}
            for split, by_head in comparison.scores.items()
        },
        "windows_minus": {
            split: {
                name: {column: dataclasses.asdict(some) for column, some in by_column.items()}
                for name, by_column in by_head.items()
            }
            for split, by_head in comparison.differences.items()
        },
        "rule": RULE,
        "verdict": verdict(comparison),
    }


def embedded_controls() -> dict[str, Any]:
    """What the model card reports of the embedded model: `as_json` of the trial that was run when it was made."""
    return stored_comparison(EMBEDDED / "controls.json")


def compact(found: Mapping[str, Any]) -> str:
    """mAP of `as_json`'s scores in percent, mean ± standard deviation over seeds, and the verdict; plain text."""
    lines = []
    for split, by_head in found["scores"].items():
        columns = list(next(iter(by_head.values())))
        names = [f"{COLUMNS.get(column, column):>16}" for column in columns]
        lines += [f"{_SPLITS.get(split, split):24}" + "".join(names)]
        for name, cells in by_head.items():
            label = "plain CLS" if name == "plain_cls" else head_words(name)
            lines.append(
                f"  {label:22}" + "".join(f"{_mean_and_spread(cells[c]['mAP']):>16}" for c in columns)
            )
        lines.append("")
    return "\n".join([*lines, found["verdict"]])


def head_words(name: str) -> str:
    """A head's name as the table prints it."""
    return _WORDS.get(name) or "windows " + " + ".join(name.split("_")[1:])


def _row(label: str, size: int, scores: Scores) -> str:
    cells = [
        f"{_spread(scores.mAP[:, c])} / {_spread(scores.rank1[:, c])}" for c in range(scores.mAP.shape[1])
    ]
    return f"| {label} | {size:,} | {' | '.join(cells)} |"


def _spread(values: np.ndarray) -> str:
    if len(values) == 1:
        return f"{100 * values[0]:.1f}"
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def _mean_and_spread(summary: Mapping[str, Any]) -> str:
    return _spread(np.array(summary["per_seed"]))


def _difference_lines(comparison: HeadComparison, split: str) -> list[str]:
    names = [COLUMNS.get(column, column) for column in comparison.columns]
    lines = [
        f"| mAP of {head_words(comparison.windows)} minus | {' | '.join(names)} |",
        "|---|" + "---|" * len(names),
    ]
    for name, by_column in comparison.differences[split].items():
        cells = [
            f"{100 * some.mean:+.1f}" + (f" ({_SHORT[some.verdict]})" if name in CONTROLS else "")
            for some in by_column.values()
        ]
        lines.append(f"| {head_words(name)} | {' | '.join(cells)} |")
    return lines


def _cells(scores: Scores, columns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {
        column: {name: _summary(values[:, c]) for name, values in _by_measure(scores).items()}
        for c, column in enumerate(columns)
    }


def _by_measure(scores: Scores) -> dict[str, np.ndarray]:
    return {"mAP": scores.mAP, "rank1": scores.rank1}


def _summary(values: np.ndarray) -> dict[str, Any]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "standard_deviation": spread, "per_seed": values.tolist()}
