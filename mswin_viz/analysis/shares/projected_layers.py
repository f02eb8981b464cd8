"""Scheme 2 around the windows, as float64 arrays: each token is projected before them, and their fusion back behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.shares.fusion_layers import Fused, MlpHead, Normed, PulledBack, Trace

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class ProjectedTokens:
    """Tokens as the windows see them, and the part of each that is linear in the patch token; the rest is of the biases."""

    values: Float[np.ndarray, "batch token wide"]
    linear: Float[np.ndarray, "batch token wide"]


@dataclass(frozen=True, eq=False)
class TokenProjection:
    """``W relu(LayerNorm(...)) + b`` of each token on its own; gates and deviations are held where shares are taken."""

    first: Normed
    W: Float[np.ndarray, "wide width"]
    b: Float[np.ndarray, " wide"]

    def __call__(self, patches: Float[np.ndarray, "batch token dim"]) -> ProjectedTokens:
        hidden, linear, _ = self.first(patches)
        is_open = hidden > 0
        return ProjectedTokens(
            np.where(is_open, hidden, 0) @ self.W.T + self.b, np.where(is_open, linear, 0) @ self.W.T
        )


@dataclass(frozen=True, eq=False)
class ProjectedHead:
    """Scheme 2's fusion: the MLP of scheme 1, then a Linear and a LayerNorm back to the width of the tokens."""

    mlp: MlpHead
    back: Normed

    @property
    def dim(self) -> int:
        """Width ``D`` of the vector that is added."""
        return len(self.back.b)

    @property
    def width(self) -> int:
        """Width of the pooled vectors."""
        return self.mlp.width

    def fused(self, pooled: Sequence[Float[np.ndarray, "batch wide"]], n_images: int) -> Fused:
        """What it gives for the pooled vectors of a batch."""
        return self._behind(self.mlp.fused(pooled, n_images))

    def pulled_back(self, v: Float[np.ndarray, "*batch dim"], fused: Fused) -> PulledBack:
        """The direction seen from each slot, and the share of the biases; gates and the deviation held."""
        r, bias = self.back.pulled_back(v, fused.traces[0][0].deviation)
        inner = self.mlp.pulled_back(r, fused)
        return PulledBack(inner.directions, inner.bias + bias)

    def pulled_back_to(
        self, index: int, v: Float[np.ndarray, "*batch dim"], fused: Fused
    ) -> Float[np.ndarray, "*batch wide"]:
        """The direction seen from one slot."""
        return self.mlp.pulled_back_to(
            index, self.back.pulled_back(v, fused.traces[0][0].deviation)[0], fused
        )

    def without(self, fused: Fused, removed: Mapping[int, Float[np.ndarray, "batch window wide"]]) -> Fused:
        """What it gives with parts of its slots taken away; ``fused`` is :meth:`Fused.spread`."""
        return self._behind(self.mlp.without(fused, removed))

    def near_a_switch(self, fused: Fused) -> Bool[np.ndarray, "*batch"]:
        """Whether products in single precision in what went in may have put a gate on the wrong side."""
        return self.mlp.near_a_switch(fused)

    def _behind(self, inner: Fused) -> Fused:
        shift, _, deviation = self.back(inner.shift)
        return replace(inner, shift=shift, traces=((Trace(deviation, np.ones(shift.shape)),),))
