"""The order of queries by what several ranked lists make of them: worst first, most changed first, most disputed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.query_values import QueryValues
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

AS_LISTED = "as listed"
DISAGREEMENT = "disagreement"
_OF_ONE_LIST = ("AP", "margin", "first match")
_OF_A_CHANGE = ("loss", "gain")


@dataclass(frozen=True, eq=False)
class Ordered:
    """Rows in an order, and the value behind each; rows without a value come last.

    ``rows`` are positions, first to last, ``[n]``; ``value`` is of each row, not of each place, ``[n]``.
    """

    rows: Int[np.ndarray, " row"]
    value: Float[np.ndarray, " row"]


def order_names(names: Sequence[str]) -> list[str]:
    """The orders there are for lists of these names, such as ``"AP, windows"`` or ``"loss, windows"``."""
    made = [AS_LISTED, *(f"AP, {name}" for name in names)]
    if len(names) > 1:
        made += [f"{kind}, {name}" for name in names[1:] for kind in _OF_A_CHANGE]
        made.append(DISAGREEMENT)
    return [*made, *(f"{kind}, {name}" for kind in _OF_ONE_LIST[1:] for name in names)]


def order_parts(order: str) -> tuple[str, str]:
    """The kind of an order, and the list it is of; empty where it is of all."""
    kind, _, name = order.partition(", ")
    return kind, name


def ordered(values: Mapping[str, QueryValues], order: str, *, k: int) -> Ordered:
    """Rows by one of :func:`order_names`; rows that are equal keep their order.

    ``"AP"``: lowest first. ``"loss"`` and ``"gain"``: average precision minus that of the first list, largest loss or gain
    first. ``"margin"`` and ``"first match"``: largest first. ``"disagreement"``: fewest of the first ``k`` candidates in
    common to all lists, then the largest spread of average precision; the value is how many are in common.

    Raises
    ------
    OptionError
        If there is no such order.
    """
    if order not in order_names(tuple(values)):
        raise OptionError(
            f"queries are in one of these orders: {'; '.join(order_names(tuple(values)))}: got {order!r}"
        )
    kind, name = order_parts(order)
    found, first = values.get(name), next(iter(values.values()))
    n = len(first.average_precision)
    if found is None:
        if kind == AS_LISTED:
            return Ordered(np.arange(n), np.full(n, np.nan))
        value = in_common(values, k=k)
        return Ordered(_sorted(value, -_spread(values)), value)
    value = {
        "AP": found.average_precision,
        "loss": found.average_precision - first.average_precision,
        "gain": found.average_precision - first.average_precision,
        "margin": found.margin,
        "first match": found.first_match,
    }[kind]
    return Ordered(_sorted(value if kind in ("AP", "loss") else -value), value)


def in_common(values: Mapping[str, QueryValues], *, k: int) -> Float[np.ndarray, " row"]:
    """How many of each row's first ``k`` candidates are in every list; NaN where nothing was ranked."""
    first, *others = (found.first[:, :k] for found in values.values())
    shared = first >= 0
    for other in others:
        shared &= (first[:, :, None] == other[:, None, :]).any(axis=2)
    return np.where(first[:, 0] >= 0, shared.sum(axis=1), np.nan)


def _spread(values: Mapping[str, QueryValues]) -> Float[np.ndarray, " row"]:
    """Largest minus smallest average precision; 0 where it is not known."""
    each = np.array([found.average_precision for found in values.values()])
    return np.nan_to_num(each.max(axis=0) - each.min(axis=0))


def _sorted(key: Float[np.ndarray, " row"], *then: Float[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    """Positions by ascending key, then by others; rounding makes no order, and NaN comes last."""
    keys = [np.arange(len(key)), *(np.round(one, 9) for one in reversed(then)), np.round(key, 9)]
    return np.lexsort(keys)
