"""Features of two models as one table, so that whatever shows plain and enhanced shows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mswin_viz.analysis.arrays import unit_rows_or_nan
from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.errors import OptionError


def paired_table(features: NamedFeatures, first: str, second: str) -> EmbeddingTable:
    """One table whose plain features are those of the first name, and whose enhanced ones are those of the second.

    Where one is ranked by cosine and the other by Euclidean distance, both are ranked by distance, the first kind after it
    was brought to unit length, which is the same order.

    Raises OptionError if there is no such name, or both are the same.
    """
    wrong = [name for name in (first, second) if name not in features.of]
    if wrong or first == second:
        raise OptionError(
            f"two maps are of two of the names {', '.join(map(repr, features.names))}: got {first!r:.60} and {second!r:.60}"
        )
    (one, of_one), (two, of_two) = features.of[first], features.of[second]
    plain, enhanced = getattr(one, of_one), getattr(two, of_two)
    metric = one.metric
    if one.metric != two.metric:
        metric = "euclidean"
        plain, enhanced = (
            unit_rows_or_nan(values).astype(np.float32) if table.metric == "cosine" else values
            for table, values in ((one, plain), (two, enhanced))
        )
    return replace(
        one,
        plain=plain,
        enhanced=enhanced,
        metric=metric,
        failed=features.failed,
        feature_names=(first, second),
    )
