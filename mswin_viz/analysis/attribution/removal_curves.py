"""Scores while units of an image are taken away one after another, and while they are brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs
from mswin_viz.analysis.shares.fusion import float64

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Curves:
    """Scores ``[B, S + 1]`` while units go (deletion) and come back (insertion), at the fractions moved, 0 to 1."""

    fractions: Float[np.ndarray, " step"]
    deletion: Float[np.ndarray, "batch step"]
    insertion: Float[np.ndarray, "batch step"]

    @property
    def deletion_area(self) -> Float[np.ndarray, " batch"]:
        """Mean score along the way, in score units; the lower the more faithful."""
        return np.trapezoid(self.deletion, self.fractions, axis=1)

    @property
    def insertion_area(self) -> Float[np.ndarray, " batch"]:
        """Mean score along the way, in score units; the higher the more faithful."""
        return np.trapezoid(self.insertion, self.fractions, axis=1)


def removal_curves(
    scored: ScoredInputs,
    base: Float[torch.Tensor, "batch ..."],
    values: Float[np.ndarray, "batch unit"],
    *,
    n_steps: int,
    rows: int,
) -> Curves:
    """Scores while units are replaced by the baseline ``base``, and brought back, those of the largest values first.

    Ties go by place, from the first unit on; ``rows`` go through the score in one pass.
    """
    fractions = np.linspace(0, 1, min(n_steps, scored.n_groups) + 1)
    counts = np.round(fractions * scored.n_groups).astype(int)
    ranks = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    first = torch.from_numpy(ranks[:, None] < counts[:, None]).to(base.device)  # [B, S + 1, unit]
    gone, back = (
        _scores(scored, scored.inputs, base, first, rows),
        _scores(scored, base, scored.inputs, first, rows),
    )
    return Curves(counts / scored.n_groups, gone, back)


def _scores(
    scored: ScoredInputs, kept: torch.Tensor, put: torch.Tensor, chosen: torch.Tensor, rows: int
) -> Float[np.ndarray, "batch step"]:
    """Scores of ``kept`` with the chosen units replaced by those of ``put``."""
    batch, n_steps, _ = chosen.shape
    index = scored.groups.to(kept.device)[0]
    scores = []
    with torch.no_grad():
        for start in range(0, batch * n_steps, rows):
            image, step = np.divmod(np.arange(start, min(start + rows, batch * n_steps)), n_steps)
            image = torch.from_numpy(image)
            replaced = chosen[image, torch.from_numpy(step)][:, index]
            mixed = torch.where(replaced, put[image], kept[image])
            scores.append(scored.score(mixed, *(tensor[image] for tensor in scored.context)))
    return float64(torch.cat(scores).reshape(batch, n_steps))


def random_curves(
    scored: ScoredInputs,
    base: Float[torch.Tensor, "batch ..."],
    orders: Sequence[Float[np.ndarray, "batch unit"]],
    *,
    n_steps: int,
    rows: int,
) -> Curves:
    """The mean of the curves over several random orders."""
    drawn = [removal_curves(scored, base, order, n_steps=n_steps, rows=rows) for order in orders]
    return Curves(
        fractions=drawn[0].fractions,
        deletion=np.mean([curves.deletion for curves in drawn], axis=0),
        insertion=np.mean([curves.insertion for curves in drawn], axis=0),
    )


def centre_prior(scored: ScoredInputs) -> Float[np.ndarray, "batch unit"]:
    """Minus the distance of a unit's elements from the middle of the image, on average."""
    index = scored.groups[0].cpu().numpy()
    rows, cols = scored.grid if scored.level.name != "pixels" else index.shape[1:]
    down, across = np.mgrid[:rows, :cols]
    distance = np.hypot((down + 0.5) / rows - 0.5, ((across + 0.5) / cols - 0.5) * cols / rows).ravel()
    sums = np.bincount(index.ravel(), weights=distance, minlength=scored.n_groups)
    each = sums / np.bincount(index.ravel(), minlength=scored.n_groups)
    return np.broadcast_to(-each, (len(scored), scored.n_groups))
