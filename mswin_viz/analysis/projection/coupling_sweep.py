"""What alignment costs: the same joint map at several couplings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from mswin_viz.analysis.measures.nearest import nearest
from mswin_viz.analysis.projection.descent import STEPS, joint_map
from mswin_viz.analysis.projection.quality import disparity, knn_recall
from mswin_viz.analysis.projection.record import NOT_A_MEASURE
from mswin_viz.analysis.projection.request import MapOptions, MapRequest, check_coupling
from mswin_viz.analysis.projection.space import distinct, map_space, used_perplexity
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import StepCounter, reporter
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

COUPLINGS = (0.0, 0.01, 0.05, 0.2, 1.0)

_LEVEL = 5e-4  # rise of a disparity that three decimals show


@dataclass(frozen=True, eq=False, kw_only=True)
class CouplingSweep:
    """Joint maps at several couplings, one for each that was finished.

    Attributes
    ----------
    couplings
        ``[c]``, in the given order.
    disparity
        Procrustes disparity of the halves, ``[c]``, 0..1; a strong coupling brings it near 0 by construction, a weak
        one need not lower it (:meth:`trend` says what it did), and it is no measure
        of improvement.
    plain_recall, enhanced_recall
        kNN recall of each half in its own full space, ``[c]``, 0..1: what alignment costs.
    k
        Neighbours of the recall.
    stopped
        True if the maps of some couplings are missing.
    notes
        What differs from the request, in sentences.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> sweep = mv.coupling_sweep(table.plain, table.enhanced, [0, 0.2], perplexity=5)
    >>> sweep.couplings.tolist(), sweep.disparity.shape, sweep.k
    ([0.0, 0.2], (2,), 15)
    >>> sweep.to_pandas().columns.tolist()
    ['coupling', 'disparity', 'plain_recall', 'enhanced_recall']
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
                f"Coupling {c:g}: disparity of the halves {d:.3f}; of {counted(self.k, 'neighbours')} in the full space the map "
                f"keeps {a:.0%} (plain) and {b:.0%} (enhanced)."
                for c, d, a, b in rows
            ),
            *([self.trend()] if len(self.couplings) > 1 else []),
            NOT_A_MEASURE,
        ]

    def trend(self) -> str:
        """What the disparity does from the weakest coupling to the strongest, in one sentence."""
        order = np.argsort(self.couplings, kind="stable")
        values = self.disparity[order]
        named = [
            f"{value:.3f} at coupling {c:g}" for value, c in zip(values, self.couplings[order], strict=True)
        ]
        listed = ", ".join(named)
        if len(values) < 2:
            return f"The disparity is {listed}." if named else "No map was finished."
        rises = int((np.diff(values) > _LEVEL).sum())
        if not rises:
            return f"The disparity rises at no step of the coupling: {listed}."
        return f"The disparity rises at {rises} of {counted(len(values) - 1, 'steps')} of the coupling: {listed}."

    def to_pandas(self) -> pd.DataFrame:
        """One row for each coupling: ``coupling``, ``disparity``, ``plain_recall``, ``enhanced_recall``."""
        import pandas as pd

        names = ("disparity", "plain_recall", "enhanced_recall")
        return pd.DataFrame({"coupling": self.couplings, **{name: getattr(self, name) for name in names}})


def coupling_sweep(
    plain: Float[np.ndarray, "image dim"],
    enhanced: Float[np.ndarray, "image wide"],
    couplings: Sequence[float] = COUPLINGS,
    **options: Unpack[MapOptions],
) -> CouplingSweep:
    """Disparity and kNN recall of the joint map at each coupling; affinities are computed once.

    Parameters
    ----------
    plain, enhanced
        As in :func:`project`.
    couplings
        At least 0 each; 0 couples nothing.
    perplexity, metric, pca, seed, k, report, stop
        As in :func:`project`; the steps reported are those of all maps. After a stop the finished maps are returned.

    Returns
    -------
    sweep
        Disparity and recall of each coupling ``[c]``.

    Raises
    ------
    OptionError
        If there is no coupling to try, or as in :func:`project`.
    ShapeError
        As in :func:`project`.

    Examples
    --------
    >>> table = mv.embed(model, samples[:24], modalities=["RGB"], progress=False)
    >>> sweep = mv.coupling_sweep(table.plain, table.enhanced, [0, 0.5], perplexity=5)
    >>> bool(sweep.disparity[1] < sweep.disparity[0])  # a strong coupling lays the halves on each other
    True
    """
    if len(couplings) == 0:
        raise OptionError("a sweep needs at least one coupling: got none")
    for coupling in couplings:
        check_coupling(coupling)
    request = options_of(MapRequest, options, function="coupling_sweep", also=("couplings",))
    pair = distinct(plain, enhanced)
    perplexity, few = used_perplexity(request.perplexity, len(pair.kept))
    space, k = map_space(pair.plain, pair.enhanced, pca=request.pca), min(request.k, len(pair.kept) - 1)
    in_space = [nearest(half, k) for half in (pair.plain, pair.enhanced)]
    report = reporter(request.report)
    steps = StepCounter(sum(STEPS) * len(couplings), report, request.stop, "projecting at each coupling")
    joint = joint_map(space, perplexity=perplexity, metric=request.metric, seed=request.seed)
    rows = []
    for coupling in couplings:
        places = joint.places(coupling, steps)
        if steps.stopped:
            break
        recalls = [knn_recall(near, nearest(half, k)) for near, half in zip(in_space, places, strict=True)]
        rows.append((coupling, disparity(*places), *recalls))
    cut = (
        f"Stopped on request after {len(rows)} of {counted(len(couplings), 'maps')}."
        if steps.stopped
        else None
    )
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), 4).T
    return CouplingSweep(
        couplings=columns[0],
        disparity=columns[1],
        plain_recall=columns[2],
        enhanced_recall=columns[3],
        k=k,
        stopped=steps.stopped,
        notes=tuple(filter(None, (few, cut))),
    )
