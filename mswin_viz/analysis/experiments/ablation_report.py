"""An ablation as nested dictionaries that can be stored as JSON: means, intervals, paired differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mswin_viz.analysis.experiments.ablation_heads import OWN, OWN_CONTROL, PLAIN, row_words
from mswin_viz.analysis.experiments.ablation_table import Ablation, QueryScores
from mswin_viz.analysis.measures.paired_statistics import bootstrap_means, interval, sign_flip

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ALPHA, _DRAWS, _FLIPS = 0.05, 2000, 10_000
RULE = (
    "Intervals: 95 %, bootstrap over identities (look-alikes as one), of the mean over training seeds. Two rows are "
    "told apart only if a sign-flip test over identities gives p < 0.05 and every training seed gives the difference "
    "the same sign (at least three seeds, unless neither row is trained). Nothing is corrected for the number of "
    "comparisons: among many, some are told apart by chance."
)
_MEASURES = {"mAP": "ap", "rank1": "first", "mINP": "inp"}


def as_json(ablation: Ablation, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Costs, scores with intervals, and every row's paired difference to plain CLS and from the full windows.

    All are fractions. ``scores[split][row][column][measure]``, of ``mAP``, ``rank1`` and ``mINP``, has ``mean``, ``low``, ``high``, ``per_seed``,
    ``minus_plain``, ``windows_minus`` (the row of all windows minus this one) and, of the control of a user's module,
    ``own_minus`` (the module's row minus this one); None in place of a number that
    could not be measured. ``queries[split]`` has ``asked`` and ``answered``; ``settings``, what was run, are kept as
    they are.
    """
    rows = {
        name: {
            "words": ablation.words.get(name) or row_words(name),
            "trained": name in ablation.trained,
            "runs": len(next(iter(ablation.scores.values()))[name].ap),
            **({} if name == PLAIN else dataclasses.asdict(ablation.costs[name])),
        }
        for name in next(iter(ablation.scores.values()))
    }
    return {
        "settings": dict(settings),
        "reference": ablation.reference,
        "columns": list(ablation.columns),
        "rows": rows,
        "queries": {split: _counts(by_row[PLAIN]) for split, by_row in ablation.scores.items()},
        "scores": {split: _split(ablation, split) for split in ablation.scores},
        "rule": RULE,
    }


def _counts(plain: QueryScores) -> dict[str, int]:
    """How many queries there are, and how many have a match; the same in every column and run."""
    ap = plain.ap[0, :, 0]
    return {"asked": len(ap), "answered": int((~np.isnan(ap)).sum())}


def _split(ablation: Ablation, split: str) -> dict[str, Any]:
    return {
        name: {
            column: {
                measure: _cell(ablation, split, name, field, c)
                for measure, field in _MEASURES.items()
                if getattr(ablation.scores[split][name], field) is not None
            }
            for c, column in enumerate(ablation.columns)
        }
        for name in ablation.scores[split]
    }


def _cell(ablation: Ablation, split: str, name: str, field: str, column: int) -> dict[str, Any]:
    """One measure of one row in one column, and its differences."""
    by_row, groups = ablation.scores[split], ablation.groups[split]

    def values(row: str) -> Float[np.ndarray, "run query"]:
        return getattr(by_row[row], field)[:, :, column]

    cell = _mean(values(name), groups)
    if name != PLAIN:
        cell["minus_plain"] = _difference(
            values(name), values(PLAIN), groups, is_trained=name in ablation.trained
        )
    if ablation.reference in by_row and name != ablation.reference:
        cell["windows_minus"] = _difference(values(ablation.reference), values(name), groups, is_trained=True)
    if name == OWN_CONTROL:
        cell["own_minus"] = _difference(values(OWN), values(name), groups, is_trained=True)
    return cell


def _mean(values: Float[np.ndarray, "run query"], groups: Int[np.ndarray, " query"]) -> dict[str, Any]:
    sums, counts = _by_group(values.mean(axis=0), groups)
    if not len(counts):
        return {"mean": None, "low": None, "high": None, "per_seed": [None] * len(values)}
    drawn = bootstrap_means(sums[:, None], counts, draws=_DRAWS, seed=0)[:, 0] if len(counts) > 1 else None
    spread = interval(float(sums.sum() / counts.sum()), drawn)
    low, high = (None, None) if drawn is None else (spread.low, spread.high)
    per_seed = np.nanmean(values, axis=1).tolist()
    return {"mean": spread.value, "low": low, "high": high, "per_seed": per_seed}


def _difference(
    one: Float[np.ndarray, "run query"],
    other: Float[np.ndarray, "other_run query"],
    groups: Int[np.ndarray, " query"],
    *,
    is_trained: bool,
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


def _by_group(
    values: Float[np.ndarray, " query"], groups: Int[np.ndarray, " query"]
) -> tuple[Float[np.ndarray, " group"], Int[np.ndarray, " group"]]:
    """Sum and number of the answered queries of each group."""
    answered = ~np.isnan(values)
    _, of, counts = np.unique(groups[answered], return_inverse=True, return_counts=True)
    return np.bincount(of, weights=values[answered]).astype(float), counts
