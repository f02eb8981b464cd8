"""Pairs of items that are nearer to each other than different pictures of a set are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import Compared, item_files
from mswin_viz.analysis.findings.nearest_items import Wanted, anyone, nearest_items
from mswin_viz.analysis.findings.outlying import FEWEST, UNUSUAL, usual_of
from mswin_viz.analysis.findings.pictures_alike import small_pictures, unlikeness
from mswin_viz.data.progress import StepCounter
from mswin_viz.data.shown_text import counted

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_NEAREST = 10
_HALF = 0.5  # of what is usual: more is no copy, however much alike the distances of a set are


@dataclass(frozen=True, eq=False)
class CopyPairs:
    """Pairs of items of one group, each once, one of them asked about.

    ``part`` is the distance of each pair over what is usual between an item and its nearest, ``[n]``; 0 where features are
    equal. ``cut`` is the largest that is listed, 0 where the set has too few items to tell. ``n_unread`` items have a
    picture that could not be read.
    """

    group: Compared
    one: Int[np.ndarray, " pair"]
    other: Int[np.ndarray, " pair"]
    part: Float[np.ndarray, " pair"]
    has_same_features: Bool[np.ndarray, " pair"]
    cut: float
    n_unread: int = 0


def n_steps(group: Compared, *, read_files: bool) -> int:
    """Steps that :func:`copy_pairs` takes."""
    return len(group) * (2 if read_files else 1)


def copy_pairs(table: EmbeddingTable, group: Compared, steps: StepCounter, *, read_files: bool) -> CopyPairs:
    """Pairs that are unusually near for the set.

    Looked at are each item's 10 nearest by features. Their distance is that of their pictures, if files may be read, else
    that of features, over the spacing around both items. What is usual is the median, over all items, of the distance
    to the one that is least apart; the cut is where the modified z-score of its logarithm is -3.5, and at most half of
    what is usual.
    """
    near = nearest_items(group, {"near": Wanted(_NEAREST, anyone)}, steps)["near"]
    place = np.argwhere(near.at >= 0)
    first, second = place[:, 0], near.at[place[:, 0], place[:, 1]]
    pairs = np.unique(np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1), axis=0)
    one, other = pairs[:, 0], pairs[:, 1]
    by_features = np.linalg.norm(group.features[one] - group.features[other], axis=1).astype(np.float64)
    n_unread = 0
    if read_files:
        small = small_pictures([item_files(table, int(row), group.modality) for row in group.rows], steps)
        apart, n_unread = unlikeness(small, one, other), int(np.isnan(small[:, 0, 0]).sum())
    else:
        around = spacing(near.distance)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = by_features / np.sqrt(around[one] * around[other])
    least = least_apart(len(group), one, other, apart)
    middle, width = usual_of(np.log(least[np.isfinite(least) & (least > 0)]))
    cut = min(_HALF, float(np.exp(-UNUSUAL * width))) if np.isfinite(width) and width > 0 else 0.0
    part = np.where(by_features == 0, 0.0, apart / np.exp(middle))
    listed = ((part <= cut) | (by_features == 0)) & (group.asked[one] | group.asked[other])
    return CopyPairs(group, one[listed], other[listed], part[listed], by_features[listed] == 0, cut, n_unread)


def spacing(distance: Float[np.ndarray, "item k"]) -> Float[np.ndarray, " item"]:
    """Median distance of each item to its 2nd and later neighbours; NaN where it has none."""
    later = np.where(np.isfinite(distance[:, 1:]), distance[:, 1:], np.nan)
    found = np.full(len(distance), np.nan)
    has_more = np.isfinite(later).any(axis=1)
    found[has_more] = np.nanmedian(later[has_more], axis=1)
    return found


def least_apart(
    n: int, one: Int[np.ndarray, " pair"], other: Int[np.ndarray, " pair"], apart: Float[np.ndarray, " pair"]
) -> Float[np.ndarray, " item"]:
    """The smallest distance of each item among the pairs it is in; infinite without any."""
    least = np.full(n, np.inf)
    for items in (one, other):
        np.fmin.at(least, items, apart)
    return least


def few_words(copies: list[CopyPairs]) -> list[str]:
    """Why pairs that are only near, or pictures, could not be told; nothing where they could."""
    few = [pairs.group.modality for pairs in copies if len(pairs.group) < FEWEST]
    n_unread = sum(pairs.n_unread for pairs in copies)
    notes = (
        [f"Too few for pairs that are only near (at least {FEWEST} are needed): {', '.join(few)}."]
        if few
        else []
    )
    items = counted(
        n_unread, "items whose pictures cannot be read are", "item whose pictures cannot be read is"
    )
    unread = f"{items} compared by features alone."
    return [*notes, unread] if n_unread else notes
