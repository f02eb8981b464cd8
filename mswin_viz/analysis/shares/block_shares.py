"""A plain CLS opened: what each block and each head writes into the CLS token, the last LayerNorm held."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.shares.exact_tower import ExactBatch, array, exact_batches, joined
from mswin_viz.analysis.shares.sums_in_words import sums_in_words
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import cls_of_pixels
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.hooks import calls_of, outputs_of
from mswin_viz.model.encoder.image_tags import Tags
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.readout import Neck

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False, repr=False)
class BlockShares:
    """``embedding + attention + mlp + biases = v @ cls``: what each adds to the CLS token directly; float64.

    Attributes
    ----------
    score
        ``v . cls``, ``[B]``.
    embedding
        Of the class token as it enters the first block, ``[B]``.
    attention, mlp
        Of each block, ``[B, n_blocks]``; in a block with adapters or prompts ``mlp`` holds all that is not attention.
    heads
        Of each head, ``[B, n_blocks, n_heads]``.
    output_bias
        Of the bias added after a block's heads, ``[B, n_blocks]``; heads and bias add up to ``attention``.
    biases
        Of the last LayerNorm and what follows it, ``[B]``.
    residual
        ``|sum - score|`` over the sum of the parts' sizes, ``[B]``.

    Examples
    --------
    >>> blocks = mv.cls_by_block(model, samples[0].images["RGB"], text)
    >>> blocks.attention.shape, blocks.heads.shape
    ((1, 6), (1, 6, 3))
    >>> total = blocks.embedding + blocks.attention.sum(axis=1) + blocks.mlp.sum(axis=1) + blocks.biases
    >>> bool(np.allclose(total, blocks.score))
    True
    """

    score: Float[np.ndarray, " batch"]
    embedding: Float[np.ndarray, " batch"]
    attention: Float[np.ndarray, "batch block"]
    mlp: Float[np.ndarray, "batch block"]
    heads: Float[np.ndarray, "batch block head"]
    output_bias: Float[np.ndarray, "batch block"]
    biases: Float[np.ndarray, " batch"]
    residual: Float[np.ndarray, " batch"]

    def __repr__(self) -> str:
        parts = {
            "embedding": self.embedding, "attention": self.attention.sum(axis=1), "mlp": self.mlp.sum(axis=1),
            "biases": self.biases,
        }  # fmt: skip
        return sums_in_words("BlockShares", self.score, parts, self.residual)


def cls_by_block(
    model: Model,
    images: ModelImages,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    *,
    tags: Tags | None = None,
) -> BlockShares:
    """Split ``direction @ cls`` of the plain CLS into what each block writes into the CLS token directly.

    As Gandelsman et al. (2024, "Interpreting CLIP's Image Representation via Text-Based Decomposition") have it for
    heads: only the last LayerNorm's deviation is held. One forward pass of the tower in float64.

    Parameters
    ----------
    model, images, direction, tags
        As in :func:`cls_by_patch`.

    Returns
    -------
    shares
        Of each block's attention and MLP ``[B, n_blocks]`` and of each head ``[B, n_blocks, n_heads]``, float64.

    Raises
    ------
    ImageFileError, ImageError, ShapeError
        As in :func:`cls_by_patch`.
    OptionError
        As there; also if the tower's feature is not linear in the CLS token, or its attention is not torch's own.

    Examples
    --------
    >>> shares = mv.cls_by_block(model, [sample.images["RGB"] for sample in samples[:2]], text)
    >>> n_images, n_blocks, n_heads = shares.heads.shape
    >>> n_images, bool(np.allclose(shares.heads.sum(axis=2) + shares.output_bias, shares.attention))
    (2, True)
    """
    checked_model(model)
    neck = _neck(model)
    if any(not isinstance(getattr(block, "attn", None), nn.MultiheadAttention) for block in _blocks(model)):
        raise OptionError(
            "shares of heads need torch's MultiheadAttention in every block: got another kind; use cls_by_patch, which "
            "takes any"
        )
    batches = exact_batches(model, images, direction, tags=tags)
    return joined([_block_shares(batch, neck) for batch in batches])


class _Pass(NamedTuple):
    """What a pass leaves: the CLS before a neck, the CLS token's state between blocks, and each attention's input and output."""

    cls: torch.Tensor
    states: list[torch.Tensor]
    attention: list[tuple[torch.Tensor, torch.Tensor]]


def _block_shares(batch: ExactBatch, neck: Neck | None) -> BlockShares:
    visual, blocks = batch.model.visual, _blocks(batch.model)
    with torch.no_grad():
        run = _run(batch, blocks)
        neck = neck and Neck(*(part.to(batch.direction) for part in (neck.scale, neck.offset)))
        along = batch.direction if neck is None else batch.direction * neck.scale
        back = along @ visual.proj.T  # [B, W]
        norm: Any = visual.ln_post
        r = _before_norm(back, run.states[-1], norm)
        attention = [_scaled(block, out)[:, 0] for block, (_, out) in zip(blocks, run.attention, strict=True)]
        written = [after - before for before, after in zip(run.states[:-1], run.states[1:], strict=True)]
        of_attention, of_blocks = (
            (torch.stack(parts, 1) * r[:, None]).sum(2) for parts in (attention, written)
        )
        heads = [_head_shares(block, x, r) for block, (x, _) in zip(blocks, run.attention, strict=True)]
        biases = (back * norm.bias).sum(dim=1)
        if neck is not None:
            biases = biases + (batch.direction * neck.offset).sum(dim=1)
        score = ((run.cls if neck is None else neck(run.cls)) * batch.direction).sum(dim=1)
        output_bias = [(_scaled(block, block.attn.out_proj.bias) * r).sum(dim=1) for block in blocks]
        embedding = (r * run.states[0]).sum(dim=1)
    parts = (
        embedding,
        of_attention,
        of_blocks - of_attention,
        torch.stack(heads, 1),
        torch.stack(output_bias, 1),
    )
    return _record(score, parts, biases)


def _record(score: torch.Tensor, parts: tuple[torch.Tensor, ...], biases: torch.Tensor) -> BlockShares:
    embedding, attention, mlp, heads, output_bias = parts
    counted = torch.cat([embedding[:, None], attention, mlp, biases[:, None]], dim=1)
    residual = (counted.sum(dim=1) - score).abs() / counted.abs().sum(dim=1)
    arrays = (score, embedding, attention, mlp, heads, output_bias, biases, residual)
    return BlockShares(*map(array, arrays))


def _run(batch: ExactBatch, blocks: list[Any]) -> _Pass:
    visual = batch.model.visual
    with ExitStack() as hooks:
        states = hooks.enter_context(outputs_of(visual.ln_pre, *blocks))
        calls = hooks.enter_context(calls_of(*(block.attn for block in blocks)))
        cls = cls_of_pixels(batch.model, batch.pixels, *batch.given)
    return _Pass(cls, [state[:, 0] for state in states], [(x[0], out[0]) for x, out in calls])


def _before_norm(back: torch.Tensor, state: torch.Tensor, norm: Any) -> torch.Tensor:
    """A direction behind a LayerNorm, seen before it, the deviation held."""
    deviation = (state.var(dim=1, correction=0, keepdim=True) + norm.eps).sqrt()
    r = back * norm.weight / deviation
    return r - r.mean(dim=1, keepdim=True)


def _scaled(block: Any, out: torch.Tensor) -> torch.Tensor:
    """Attention's output as it is added, behind open_clip's LayerScale where a block has one."""
    scale = getattr(block, "ls_1", None)
    return out if scale is None else scale(out)


def _head_shares(block: Any, x: torch.Tensor, r: torch.Tensor) -> Float[torch.Tensor, "batch head"]:
    """What each head writes into the CLS token, along ``r``; without the output bias."""
    attn, n_heads = block.attn, block.attn.num_heads
    q, k, v = (
        part.unflatten(2, (n_heads, -1))
        for part in nn.functional.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=2)
    )
    weights = (torch.einsum("bhd,bnhd->bhn", q[:, 0], k) * q.shape[-1] ** -0.5).softmax(dim=2)
    mixed = torch.einsum("bhn,bnhd->bhd", weights, v)
    back = _scaled(block, attn.out_proj.weight.T.unflatten(0, (n_heads, -1)))  # [H, d, W]
    return torch.einsum("bhd,hdw,bw->bh", mixed, back, r)


def _blocks(model: Model) -> list[Any]:
    return list(model.visual.transformer.resblocks)


def _neck(model: Model) -> Neck | None:
    readout = model.tower.readout
    if readout is not None and readout.reads_patches:
        raise OptionError(
            "shares of blocks need a feature that is linear in the CLS token: this tower has a head for each modality "
            "behind it; use cls_by_patch"
        )
    return None if readout is None else readout.neck
