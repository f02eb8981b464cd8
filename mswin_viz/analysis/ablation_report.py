"""An ablation as numbers with intervals and paired differences: nested dictionaries that can be stored as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mswin_viz.analysis.ablation_heads import PLAIN, row_words
from mswin_viz.analysis.ablation_table import Ablation, QueryScores
from mswin_viz.analysis.paired_statistics import bootstrap_means, interval, sign_flip

__all__ = ["ALPHA", "RULE", "as_json"]

ALPHA, _DRAWS, _FLIPS = 0.05, 2000, 10_000
RULE = (
    "Intervals: 95 %, bootstrap over identities (look-alikes as one), of the mean over training seeds. Two rows are "
    "told apart only if a sign-flip test over identities gives p < 0.05 and every training seed gives the difference "
    "the same sign (at least three seeds, unless neither row is trained). Nothing is corrected for the number of "
    "comparisons: among many, some are told apart by chance."
)
_MEASURES = {"mAP": "ap", "rank1": "first"}


def as_json(found: Ablation, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Costs, scores with intervals, and every row's paired difference to plain CLS and from the full windows.

    Parameters
    ----------
    settings
        What was run, kept as it is.

    Returns
    -------
    summary
        Fractions; ``scores[split][row][column][measure]`` has ``mean``, ``low``, ``high``, ``per_seed``,
        ``minus_plain`` and ``windows_minus`` (the row of all windows minus this one); None in place of a number that
        could not be measured. ``queries[split]`` has ``asked`` and ``answered``.
    """
    rows = {
        name: {
            "words": row_words(name),
            "trained": name in found.trained,
            "runs": len(next(iter(found.scores.values()))[name].ap),
            **({} if name == PLAIN else dataclasses.asdict(found.costs[name])),
        }
        for name in next(iter(found.scores.values()))
    }
    return {
        "settings": dict(settings),
        "reference": found.reference,
        "columns": list(found.columns),
        "rows": rows,
        "queries": {split: _counts(by_row[PLAIN]) for split, by_row in found.scores.items()},
        "scores": {split: _split(found, split) for split in found.scores},
        "rule": RULE,
    }


def _counts(plain: QueryScores) -> dict[str, int]:
    """How many queries there are, and how many have a match; the same in every column and run."""
    ap = plain.ap[0, :, 0]
    return {"asked": len(ap), "answered": int((~np.isnan(ap)).sum())}


def _split(found: Ablation, split: str) -> dict[str, Any]:
    by_row, groups = found.scores[split], found.groups[split]
    plain, windows = by_row[PLAIN], by_row.get(found.reference)
    return {
        name: {
            column: {
                measure: _cell(
                    scores, plain, windows, groups, at=(field, c), trained=found.trained, name=name
                )
                for measure, field in _MEASURES.items()
            }
            for c, column in enumerate(found.columns)
        }
        for name, scores in by_row.items()
    }


def _cell(
    scores: QueryScores,
    plain: QueryScores,
    windows: QueryScores | None,
    groups: np.ndarray,
    *,
    at: tuple[str, int],
    trained: tuple[str, ...],
    name: str,
) -> dict[str, Any]:
    own, bare, all_windows = (
        None if some is None else _values(some, at) for some in (scores, plain, windows)
    )
    cell = _mean(own, groups)
    if name != PLAIN:
        cell["minus_plain"] = _difference(own, bare, groups, is_trained=name in trained)
    if all_windows is not None and windows is not scores:
        cell["windows_minus"] = _difference(all_windows, own, groups, is_trained=True)
    return cell


def _values(scores: QueryScores, at: tuple[str, int]) -> np.ndarray:
    """``[run, query]`` of one measure and column."""
    field, column = at
    return getattr(scores, field)[:, :, column]


def _mean(values: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    sums, counts = _by_group(values.mean(axis=0), groups)
    if not len(counts):
        return {"mean": None, "low": None, "high": None, "per_seed": [None] * len(values)}
    drawn = bootstrap_means(sums[:, None], counts, draws=_DRAWS, seed=0)[:, 0] if len(counts) > 1 else None
    found = interval(float(sums.sum() / counts.sum()), drawn)
    low, high = (None, None) if drawn is None else (found.low, found.high)
    return {
        "mean": found.value,
        "low": low,
        "high": high,
        "per_seed": np.nanmean(values, axis=1).tolist(),
    }


def _difference(
    one: np.ndarray, other: np.ndarray, groups: np.ndarray, *, is_trained: bool
) -> dict[str, Any]:
    """``one`` minus ``other``; runs of one seed are paired, a single run is paired with each."""
    change = one - other
    sums, counts = _by_group(change.mean(axis=0), groups)
    if len(counts) < 2:  # one group has no spread
        return _mean(change, groups) | {"p": None, "verdict": "not measured"}
    test = sign_flip(sums, counts, flips=_FLIPS, seed=0)
    cell = _mean(change, groups) | {"p": test.p}
    signs = np.sign(cell["per_seed"])
    agreed = bool((signs == signs[0]).all()) and (len(signs) >= 3 or not is_trained)
    told = agreed and signs[0] != 0 and test.p < ALPHA
    words = ("better" if cell["mean"] > 0 else "worse") if told else "not told apart"
    return cell | {"verdict": words}


def _by_group(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the answered queries of each group."""
    answered = ~np.isnan(values)
    _, of, counts = np.unique(groups[answered], return_inverse=True, return_counts=True)
    return np.bincount(of, weights=values[answered]), counts
