"""The parameters of k-reciprocal re-ranking (Zhong et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mswin_viz.analysis.arrays import check_counts
from mswin_viz.errors import OptionError


@dataclass(frozen=True)
class Reranking:
    """k-reciprocal re-ranking with the parameters of the paper.

    Each image is encoded by its k-reciprocal neighbours: those among whose nearest images it is, too. Two images are
    near if their encodings overlap. Distances are squared Euclidean ones (of unit features by cosine, else of the
    features as they are), divided by each image's largest; neighbours are looked for in query and gallery together, each image once.
    So where every image is a query and in the gallery, there are as many images as rows, where published code would hold
    each image twice. The camera or scene rule is applied afterwards, to the re-ranked lists, as in published code; the
    neighbours know nothing of identities or cameras.

    Attributes
    ----------
    k1
        Nearest images among which reciprocal neighbours are looked for, beside the image itself; half as many where
        neighbours of neighbours join.
    k2
        Nearest images, the image itself among them, over whose encodings each is averaged; 1 for no averaging.
    lambda_value
        Weight of the original distance, 0..1; the rest is that of the Jaccard distance of the encodings.

    Raises
    ------
    OptionError
        If a parameter is out of range.

    Examples
    --------
    >>> mv.Reranking()
    Reranking(k1=20, k2=6, lambda_value=0.3)
    >>> table = mv.embed(model, samples[:32], modalities=["TI"], progress=False)
    >>> report = mv.retrieval(table.plain, table.pid, table.camid, reranking=mv.Reranking(k1=8, k2=3))
    >>> print(report.sentences()[0])
    mAP ...%, Rank-1 ...% over 32 queries, ranked by cosine, re-ranked by k-reciprocal neighbours (k1 8, k2 3, lambda 0.3).
    """

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def __post_init__(self) -> None:
        check_counts(1, k1=self.k1, k2=self.k2)
        value: Any = self.lambda_value
        is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not (is_number and 0 <= value <= 1):
            raise OptionError(
                f"lambda_value is a number between 0 and 1: got {value!r:.80}; the paper has 0.3"
            )

    @property
    def words(self) -> str:
        """How lists were re-ranked, for people."""
        return (
            f"re-ranked by k-reciprocal neighbours (k1 {self.k1}, k2 {self.k2}, lambda {self.lambda_value:g})"
        )


def check_reranking(reranking: Any) -> None:
    """Refuse what is neither a `Reranking` nor None."""
    if not (reranking is None or isinstance(reranking, Reranking)):
        raise OptionError(
            f"reranking is a record such as mv.Reranking(k1=20, k2=6, lambda_value=0.3), or None: got {reranking!r:.80}"
        )
