"""What alignment costs: the same joint map at several couplings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.affinities import affinities
from mswin_viz.analysis.nearest import nearest
from mswin_viz.analysis.projection import ITERATIONS, check_options, joint_places, start_of
from mswin_viz.analysis.projection_quality import disparity, knn_recall
from mswin_viz.analysis.projection_record import NOT_A_MEASURE
from mswin_viz.analysis.projection_space import distinct, map_space, used_perplexity
from mswin_viz.analysis.watching import Report, Stop, Watch
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

__all__ = ["COUPLINGS", "CouplingSweep", "coupling_sweep"]

COUPLINGS = (0.0, 0.01, 0.05, 0.2, 1.0)


@dataclass(frozen=True, eq=False)
class CouplingSweep:
    """Joint maps at several couplings, one for each that was finished.

    Attributes
    ----------
    couplings
        ``[c]``, as asked.
    disparity
        Procrustes disparity of the halves, ``[c]``, 0..1; falls with coupling by construction, and is no measure
        of improvement.
    plain_recall, enhanced_recall
        kNN recall of each half in its own full space, ``[c]``, 0..1: what alignment costs.
    k
        Neighbours of the recall.
    stopped
        True if not every coupling asked for was finished.
    notes
        What differs from what was asked for, in sentences.
    """

    couplings: Float[np.ndarray, " coupling"]
    disparity: Float[np.ndarray, " coupling"]
    plain_recall: Float[np.ndarray, " coupling"]
    enhanced_recall: Float[np.ndarray, " coupling"]
    k: int
    stopped: bool
    notes: tuple[str, ...]

    def sentences(self) -> list[str]:
        """What each coupling gives and takes."""
        rows = zip(self.couplings, self.disparity, self.plain_recall, self.enhanced_recall, strict=True)
        return [
            *self.notes,
            *(
                f"Coupling {c:g}: disparity of the halves {d:.3f}; of {self.k} neighbours in the full space the map "
                f"keeps {a:.0%} (plain) and {b:.0%} (enhanced)."
                for c, d, a, b in rows
            ),
            NOT_A_MEASURE,
        ]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each coupling: ``coupling``, ``disparity``, ``plain_recall``, ``enhanced_recall``."""
        import pandas as pd

        names = ("disparity", "plain_recall", "enhanced_recall")
        return pd.DataFrame({"coupling": self.couplings, **{name: getattr(self, name) for name in names}})


def coupling_sweep(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image dim"],
    couplings: Sequence[float] = COUPLINGS,
    *,
    perplexity: float = 30,
    metric: str = "cosine",
    pca: int | None = 50,
    seed: int = 0,
    k: int = 15,
    report: Report | None = None,
    stop: Stop | None = None,
) -> CouplingSweep:
    """Disparity and kNN recall of the joint map at each coupling; affinities are computed once.

    Parameters
    ----------
    couplings
        At least 0 each; 0 couples nothing.
    perplexity, metric, pca, seed, k, report, stop
        As in `project`; the steps reported are those of all maps. After a stop the finished maps are returned.

    Raises
    ------
    ShapeError, OptionError
        As `project`; and if there is no coupling to try.
    """
    if len(couplings) == 0:
        raise OptionError("a sweep needs at least one coupling: got none")
    for coupling in couplings:
        check_options(coupling, metric, "joint", k)
    pair = distinct(plain, enhanced)
    used, said = used_perplexity(perplexity, len(pair.kept))
    space, near = map_space(pair.plain, pair.enhanced, pca=pca), min(k, len(pair.kept) - 1)
    both = tuple(affinities(some, perplexity=used, metric=metric) for some in (space.plain, space.enhanced))
    in_space = [nearest(some, near) for some in (pair.plain, pair.enhanced)]
    start = start_of(np.concatenate([space.plain, space.enhanced]), seed=seed, halves=2)
    watch = Watch(sum(ITERATIONS) * len(couplings), report, stop)
    rows = []
    for coupling in couplings:
        places = joint_places(both, start, coupling=coupling, seed=seed, watch=watch)
        if watch.stopped:
            break
        recalls = [knn_recall(a, nearest(b, near)) for a, b in zip(in_space, places, strict=True)]
        rows.append((coupling, disparity(*places), *recalls))
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 4)
    words = [
        said,
        f"Stopped on request after {len(rows)} of {len(couplings)} maps." if watch.stopped else None,
    ]
    return CouplingSweep(*table.T, near, watch.stopped, tuple(filter(None, words)))
