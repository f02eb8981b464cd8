"""How much better or worse each ranked list is than the first: intervals and paired tests over identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.query_values import QueryValues
from mswin_viz.analysis.measures.paired_statistics import (
    Interval,
    PairedTest,
    bootstrap_means,
    holm,
    interval,
    sign_flip,
)

if TYPE_CHECKING:
    from jaxtyping import Int

SAME = 1e-9
"""Differences of average precision that are rounding."""


@dataclass(frozen=True, eq=False)
class ListChange:
    """One ranked list over the queries with a match, and what it has beyond the first list.

    ``mean_ap`` and ``mean_inp`` (mINP) have bootstrap intervals over identities, and so have ``ap_change`` and
    ``inp_change``, which are 0 for the first list. ``ap_test`` is the paired sign-flip test of the change of AP, and
    ``p_adjusted`` its p after Holm's correction for several lists; None for the first. ``n_gained`` and ``n_lost``
    count queries by AP.
    """

    name: str
    mean_ap: Interval
    mean_inp: Interval
    ap_change: Interval
    inp_change: Interval
    ap_test: PairedTest | None
    p_adjusted: float
    n_queries: int
    n_identities: int
    n_gained: int
    n_lost: int


def list_changes(
    values: Mapping[str, QueryValues],
    pids: Int[np.ndarray, " row"],
    *,
    draws: int = 2000,
    flips: int = 10_000,
    seed: int = 0,
) -> tuple[ListChange, ...]:
    """Every list against the first, over the queries with a match; none if there are none.

    Identities are drawn, or their signs flipped, as wholes, and the same draws serve all lists: see
    :func:`mswin_viz.compare`.

    Parameters
    ----------
    values
        List -> what is known of each query, as `ranked_queries` returns it.
    pids
        Identity of each row.
    draws, flips, seed
        As in :func:`mswin_viz.compare`.
    """
    each = [(found.average_precision, found.inverse_penalty) for found in values.values()]
    rows = np.flatnonzero(np.isfinite(np.array([ap for ap, _ in each])).all(axis=0))
    if not len(rows):
        return ()
    _, owner, counts = np.unique(pids[rows], return_inverse=True, return_counts=True)
    first_ap, first_inp = (column[rows] for column in each[0])
    columns = []
    for ap, inp in each:
        columns += [ap[rows], inp[rows], ap[rows] - first_ap, inp[rows] - first_inp]
    sums = np.stack([np.bincount(owner, weights=column) for column in columns], axis=1)
    drawn = bootstrap_means(sums, counts, draws=draws, seed=seed) if len(counts) > 1 else None
    intervals = [
        interval(float(column.mean()), None if drawn is None else drawn[:, at])
        for at, column in enumerate(columns)
    ]
    tests = [
        sign_flip(sums[:, 4 * at + 2], counts, flips=flips, seed=seed) if at else None
        for at in range(len(each))
    ]
    adjusted = [float("nan"), *holm([test.p for test in tests if test is not None])]
    return tuple(
        ListChange(
            name, *intervals[4 * at : 4 * at + 4], ap_test=tests[at], p_adjusted=adjusted[at], n_queries=len(rows),
            n_identities=len(counts), n_gained=int((columns[4 * at + 2] > SAME).sum()),
            n_lost=int((columns[4 * at + 2] < -SAME).sum()),
        )
        for at, name in enumerate(values)
    )  # fmt: skip
