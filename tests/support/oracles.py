"""What shares are compared with: pairs split by the public parts, and a kernel of another scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.shares.decomposition import Decomposition, decompose_fusion
from mswin_viz.analysis.shares.fusion import enhanced_cls
from mswin_viz.analysis.shares.fusion_weights import fusion_weights, no_windows
from mswin_viz.analysis.windows.activations import resampling_matrix
from mswin_viz.errors import ShapeError
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class PairDecomposition:
    """The cosine similarity of pairs of enhanced CLS tokens, -1..1, split from either side.

    ``a`` has the shares of the first image along the second's feature, ``b`` the other way round; each adds up to
    ``similarity``.
    """

    similarity: Float[np.ndarray, " batch"]
    a: Decomposition
    b: Decomposition


def decompose_pair(a_tokens: Tokens, b_tokens: Tokens, addon: torch.nn.Module | None) -> PairDecomposition:
    """Split the similarity of image pairs, query ``a`` and gallery ``b``, from either side."""
    if are_tokens(a_tokens).cls.shape != are_tokens(b_tokens).cls.shape:
        raise ShapeError(
            f"pairs need the same number of images on each side: got CLS tokens {tuple(a_tokens.cls.shape)} and "
            f"{tuple(b_tokens.cls.shape)}; repeat the query's tokens, for example tokens[[0, 0, 0]]"
        )
    weights = no_windows(a_tokens.cls.shape[1]) if addon is None else fusion_weights(addon)
    a = decompose_fusion(a_tokens, weights, enhanced_cls(b_tokens, weights)).cosine()
    b = decompose_fusion(b_tokens, weights, a.enhanced).cosine()
    return PairDecomposition(a.score, a, b)


def resampled_kernel(
    kernel: Float[torch.Tensor, "dim_out dim_in source"], scale: int
) -> Float[torch.Tensor, "dim_out dim_in target"]:
    """A kernel of another scale made from a trained one, by :func:`resampling_matrix`."""
    matrix = torch.from_numpy(resampling_matrix(kernel.shape[2], scale)).to(kernel)
    return kernel @ matrix
