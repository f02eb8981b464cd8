"""A CLS feature split over the input: how much each patch adds to a score, through all blocks of the tower.

Attention weights, the LayerNorms' deviations and the activations' factors are held as they are at the image; the tower
is then linear in its patch embeddings, and so is an add-on behind it. A score along a direction splits exactly into
patches, class token, positions and biases. Held attention leaves out that a patch also decides where the tower looks: a
share is exact, not causal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.frozen.frozen_map import UNEXPLAINED_FROM, FrozenMap
from mswin_viz.analysis.shares.exact_tower import ExactBatch, array, exact_batches, joined
from mswin_viz.analysis.shares.module_map import told
from mswin_viz.analysis.shares.sums_in_words import sums_in_words
from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import block_outputs, tokens_from, tokens_of_pixels
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.hooks import output_replaced
from mswin_viz.model.encoder.image_tags import Tags
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.enhanced import shift
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

Feature = Literal["plain", "enhanced", "shift"]
BASELINES = ("zero", "mean")
"""What a patch is compared with: nothing, or the image's mean patch, whose own part then is ``baseline``."""


@dataclass(frozen=True, eq=False, repr=False)
class ClsSplit:
    """``patches + class_token + positions + biases + baseline + unexplained = v @ cls``, for each image; float64.

    Attributes
    ----------
    score
        ``v . cls``, ``[B]``.
    patches
        Share of each input patch, ``[B, N]``, row-major on ``grid``.
    class_token, positions, biases
        Shares of the class token (with a camera's embedding, a second token and prompts, where a tower has them), of the
        position embeddings, and of all biases of the tower and the add-on, ``[B]``.
    baseline
        With ``baseline="mean"``: the share of the mean patch, in the place of every patch; else zero, ``[B]``.
    unexplained
        The score minus all shares where the residual is above 1e-5, else zero, ``[B]``.
    residual
        ``|sum of shares - score|`` over the sum of the shares' sizes, ``[B]``.
    left
        Names of operations that could not be held.
    grid
        Rows and columns of patches.
    norm, direction_norm
        Norms of the CLS feature and of the direction, ``[B]``.

    Examples
    --------
    >>> split = mv.cls_by_patch(model, samples[0].images["RGB"], text)
    >>> split.patches.shape, split.grid
    ((1, 128), (16, 8))
    >>> rest = split.class_token + split.positions + split.biases + split.baseline + split.unexplained
    >>> bool(np.allclose(split.patches.sum(axis=1) + rest, split.score)), split.left
    (True, ())
    """

    score: Float[np.ndarray, " batch"]
    patches: Float[np.ndarray, "batch token"]
    class_token: Float[np.ndarray, " batch"]
    positions: Float[np.ndarray, " batch"]
    biases: Float[np.ndarray, " batch"]
    baseline: Float[np.ndarray, " batch"]
    unexplained: Float[np.ndarray, " batch"]
    residual: Float[np.ndarray, " batch"]
    left: tuple[str, ...]
    grid: tuple[int, int]
    norm: Float[np.ndarray, " batch"]
    direction_norm: Float[np.ndarray, " batch"]

    def __repr__(self) -> str:
        parts = {
            "patches": self.patches.sum(axis=1), "class token": self.class_token, "positions": self.positions,
            "biases": self.biases, "baseline": self.baseline, "unexplained": self.unexplained,
        }  # fmt: skip
        return sums_in_words("ClsSplit", self.score, parts, self.residual)

    def times(self, factor: Float[np.ndarray, " batch"]) -> ClsSplit:
        """Every share of an image multiplied by a number, such as one over the norm of an enhanced CLS."""
        single = ("score", "class_token", "positions", "biases", "baseline", "unexplained")
        scaled = {name: getattr(self, name) * factor for name in single}
        return replace(self, patches=self.patches * factor[:, None], **scaled)

    def cosine(self) -> ClsSplit:
        """The same shares of the cosine between the CLS feature and the direction; NaN where either vector is zero."""
        norms = self.norm * self.direction_norm
        return self.times(np.divide(1, norms, out=np.full_like(norms, np.nan), where=norms > 0))

    @property
    def constants(self) -> Float[np.ndarray, " batch"]:
        """Everything but the patches: class token, positions, biases and the baseline, ``[B]``."""
        return self.class_token + self.positions + self.biases + self.baseline


def cls_by_patch(
    model: Model,
    images: ModelImages,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    *,
    tags: Tags | None = None,
    baseline: str = "zero",
    feature: Feature = "plain",
) -> ClsSplit:
    """Split ``direction @ cls`` over the patches of the input.

    One forward and one backward pass of the tower in float64, and one forward pass for each group of constants.

    Parameters
    ----------
    model
        Its add-on matters only for ``feature="enhanced"`` and ``"shift"``.
    images
        As :meth:`mswin_viz.Model.encode` takes them.
    direction
        ``[D]``, or one for each image ``[B, D]``, such as ``model.encode_text("a red top")[0]``.
    tags
        Camera and modality of the images, as in :meth:`mswin_viz.Model.encode`.
    baseline
        ``"zero"`` or ``"mean"``, which compares each patch with the image's mean patch, so a plain background has
        almost no share.
    feature
        ``"plain"`` or ``"enhanced"`` CLS, or the ``"shift"`` from one to the other.

    Returns
    -------
    split
        Shares of the input patches ``[B, N]``, class token, positions and biases ``[B]``, float64.

    Raises
    ------
    ImageFileError, ImageError, OptionError, ShapeError
        If an image cannot be read, a tag, baseline or feature does not exist, or the direction does not fit.

    Examples
    --------
    >>> green = model.encode_text("a person in green trousers")[0]
    >>> split = mv.cls_by_patch(model, samples[0].images["RGB"], green).cosine()
    >>> split.patches.reshape(split.grid).shape, bool(split.residual.max() < 1e-9)
    ((16, 8), True)
    >>> round(float(split.score[0]), 2), round(float(split.patches.sum()), 2)  # of all patches
    (0.22, 0.08)
    """
    checked_model(model)
    plan = SplitPlan(feature, baseline)
    return joined(
        [
            split_batch(batch, plan)
            for batch in exact_batches(model, images, direction, tags=tags, feature=feature)
        ]
    )


@dataclass(frozen=True)
class SplitPlan:
    """What is split, against what, and from where: the patches' embeddings, or the tokens behind a block.

    ``is_norm`` splits the feature's norm: the score along its own direction, in place of the batch's. Raises OptionError if
    there is no such feature or baseline.
    """

    feature: str = "plain"
    baseline: str = "zero"
    block: int | None = None
    is_norm: bool = False

    def __post_init__(self) -> None:
        if self.feature not in _READS:
            raise OptionError(f"feature must be one of {', '.join(_READS)}: got {self.feature!r}")
        if self.baseline not in BASELINES:
            raise OptionError(f"baseline must be one of {', '.join(BASELINES)}: got {self.baseline!r}")


def split_batch(batch: ExactBatch, plan: SplitPlan) -> ClsSplit:
    """The split of one batch; from a block on, ``patches`` are the tokens there, and ``class_token`` is the CLS token's state."""
    model, n_patches = batch.model, batch.model.grid[0] * batch.model.grid[1]
    entry = _at_patches(batch) if plan.block is None else _at_block(batch, plan.block)
    values, start, read = entry.values, entry.start, _READS[plan.feature]
    parts = {"tower": model.clip, "readout": model.tower.readout, "addon": model.addon}
    with nullcontext() if plan.feature == "plain" or model.addon is None else told(model.addon):
        frozen = FrozenMap(
            lambda x: read(model, entry.onwards(x)), [values], _named(parts), compares=plan.feature != "plain"
        )
        norm = frozen.output.norm(dim=1, keepdim=True)
        v = frozen.output / norm if plan.is_norm else batch.direction
        (gradient,) = frozen.gradients(v)
    at_patches = slice(start, start + n_patches)
    reference = torch.zeros_like(values)
    if plan.baseline == "mean":
        reference[:, at_patches] = values[:, at_patches].mean(dim=1, keepdim=True)
    shares = array((gradient * (values - reference)).sum(dim=2))
    of_groups = {
        group: frozen.constants(v, lambda name, group=group: _group(name) == group)
        for group in ("class_token", "positions", "biases")
    }
    of_groups["class_token"] += np.delete(shares, at_patches, axis=1).sum(axis=1)
    split = ClsSplit(
        score=array((frozen.output * v).sum(dim=1)),
        patches=shares[:, at_patches],
        **of_groups,
        baseline=array((gradient * reference).sum((1, 2))),
        unexplained=np.zeros(len(values)),
        residual=np.zeros(len(values)),
        left=frozen.left,
        grid=model.grid,
        norm=array(norm[:, 0]),
        direction_norm=array(v.norm(dim=1)),
    )
    return _with_residual(split)


class _Entry(NamedTuple):
    """Where the map starts: the values there, the place of the first patch among them, and the way on to tokens."""

    values: Float[torch.Tensor, "batch state width"]
    start: int
    onwards: Callable[[torch.Tensor], Tokens]


def _at_patches(batch: ExactBatch) -> _Entry:
    """The patches' embeddings, without the convolution's bias."""
    model, conv = batch.model, batch.model.visual.conv1
    with torch.no_grad():
        embedded = nn.functional.conv2d(
            batch.pixels, conv.weight, None, conv.stride, conv.padding, conv.dilation
        )

    def onwards(patches: torch.Tensor) -> Tokens:
        bias = 0 if conv.bias is None else conv.bias
        on_grid = (patches + bias).transpose(1, 2).reshape(embedded.shape)
        with output_replaced(conv, on_grid):
            return tokens_of_pixels(model, batch.pixels, *batch.given)

    return _Entry(embedded.flatten(2).transpose(1, 2), 0, onwards)


def _at_block(batch: ExactBatch, block: int) -> _Entry:
    """The state behind a block: CLS token, patch tokens, and what stands behind them."""
    states = block_outputs(batch.model, batch.pixels, *batch.given)
    if not 0 <= block < len(states) - 1:
        raise OptionError(f"a block of this tower is {numbered(len(states) - 1)}: got {block}")
    return _Entry(states[block + 1], 1, lambda x: tokens_from(batch.model, x, block, *batch.given))


_READS: dict[str, Callable[[Model, Tokens], torch.Tensor]] = {
    "plain": lambda _, tokens: tokens.cls,
    "enhanced": lambda model, tokens: model.enhance(tokens).cls,
    "shift": lambda model, tokens: shift(tokens, model.enhance(tokens)),
}
"""Feature -> how it is read off a model's tokens."""


def _with_residual(split: ClsSplit) -> ClsSplit:
    single = (split.class_token, split.positions, split.biases, split.baseline)
    unexplained = split.score - split.patches.sum(axis=1) - split.constants
    size = np.abs(split.patches).sum(axis=1) + sum(map(np.abs, single))
    residual = np.abs(unexplained) / np.maximum(np.maximum(size, np.abs(split.score)), np.finfo(float).tiny)
    is_left = residual > UNEXPLAINED_FROM
    left = split.left if is_left.any() else ()
    return replace(split, residual=residual, unexplained=np.where(is_left, unexplained, 0.0), left=left)


def _named(parts: dict[str, nn.Module | None]) -> nn.ModuleDict:
    return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})


def _group(name: str) -> str:
    if name.startswith("addon."):  # whatever a module of the user's calls its parameters
        return "biases"
    if "positional_embedding" in name:
        return "positions"
    last = name.rpartition(".")[2]
    is_token = last.endswith("_embedding") or last.endswith("embed") or "token" in last or "prompt" in name
    return "class_token" if is_token else "biases"
