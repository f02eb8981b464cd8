"""The plain CLS opened: how much of a score each patch of the input gives it, through all blocks of the tower.

Attention weights, the LayerNorms' deviations and the activations' factors are held as they are at the image; the tower
is then linear in its patch embeddings, and a score along a direction splits exactly into patches, class token, positions
and biases. Held attention leaves out that a patch also decides where the tower looks: a share is exact, not causal.
"""

from __future__ import annotations

import copy
import itertools
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.frozen.frozen_map import UNEXPLAINED_FROM, FrozenMap
from mswin_viz.analysis.shares.decomposition import direction_of_each
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import cls_of_pixels, tokens_of_pixels
from mswin_viz.model.encoder.hooks import outputs_of
from mswin_viz.model.encoder.image_tags import Tags
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.tensors import versions
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["BASELINES", "ClsSplit", "cls_by_block", "cls_by_patch"]

BASELINES = ("zero", "mean")
"""What a patch is compared with: nothing, or the image's mean patch, whose own part then is ``baseline``."""
_AT_ONCE = 8  # images in one pass
_COPIES: weakref.WeakKeyDictionary[nn.Module, tuple[Any, Model]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


@dataclass(frozen=True, eq=False)
class ClsSplit:
    """``patches + class_token + positions + biases + baseline + unexplained = v . cls``, for each image; float64.

    Attributes
    ----------
    score
        ``v . cls``, ``[B]``.
    patches
        Share of each input patch, ``[B, N]``, row-major on ``grid``.
    class_token, positions, biases
        Shares of the class token (with a camera's embedding, a second token and prompts, where a tower has them), of the
        position embeddings, and of all biases of the tower, ``[B]``.
    baseline
        With ``baseline="mean"``: what the image would score if every patch were its mean patch, without the constants;
        else zero, ``[B]``.
    unexplained
        What no share explains, where the residual is above 1e-5, else zero, ``[B]``.
    residual
        ``|sum of shares - score|`` over the sum of the shares' sizes, ``[B]``.
    left
        Names of operations that could not be held.
    grid
        Rows and columns of patches.
    norm, direction_norm
        Norms of the plain CLS and of the direction, ``[B]``.
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

    def times(self, factor: Float[np.ndarray, " batch"]) -> ClsSplit:
        """Every share of an image multiplied by a number, such as one over the norm of an enhanced CLS."""
        single = ("score", "class_token", "positions", "biases", "baseline", "unexplained")
        scaled = {name: getattr(self, name) * factor for name in single}
        return replace(self, patches=self.patches * factor[:, None], **scaled)

    def cosine(self) -> ClsSplit:
        """The same shares of the cosine between the plain CLS and the direction; NaN where either vector is zero."""
        norms = self.norm * self.direction_norm
        return self.times(np.divide(1, norms, out=np.full_like(norms, np.nan), where=norms > 0))


def cls_by_patch(
    model: Model,
    images: ModelImages,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    *,
    tags: Tags | None = None,
    baseline: str = "zero",
) -> ClsSplit:
    """Split ``direction . cls`` of the plain CLS over the patches of the input.

    One forward and one backward pass of the tower in float64, and one forward pass for each group of constants.

    Parameters
    ----------
    model
        Its add-on plays no part.
    images
        As :meth:`mswin_viz.Model.encode` takes them.
    direction
        ``[D]``, or one for each image ``[B, D]``, such as ``model.encode_text("a red top")[0]``.
    tags
        What is known of the images, as in :meth:`mswin_viz.Model.encode`.
    baseline
        One of :data:`BASELINES`. ``"mean"`` compares each patch with the image's mean patch, so that a plain background
        has next to no share.

    Raises
    ------
    ImageFileError, ImageError, OptionError, ShapeError
        If an image cannot be read, a tag or the baseline does not exist, or the direction does not fit.
    """
    if baseline not in BASELINES:
        raise OptionError(f"baseline must be one of {', '.join(BASELINES)}: got {baseline!r}")
    opened = model.opened(images)
    pixels, given = model.preprocess(opened), model.conditions(len(opened), tags=tags)
    exact, place = _in_float64(model)
    v = _directions(direction, len(opened), model.dim)
    parts = []
    for start in range(0, len(opened), _AT_ONCE):
        batch = slice(start, start + _AT_ONCE)
        some = tuple(tensor[batch].to(place) for tensor in given)
        parts.append(_split(exact, pixels[batch].to(place, torch.float64), some, v[batch], baseline))
    return _joined(parts)


def cls_by_block(
    model: Model,
    images: ModelImages,
    direction: Float[np.ndarray, "*batch dim"] | torch.Tensor,
    *,
    tags: Tags | None = None,
) -> BlockShares:
    """Split ``direction . cls`` into what each block writes into the CLS token directly, the last LayerNorm held.

    As Gandelsman et al. (2024, "Interpreting CLIP's Image Representation via Text-Based Decomposition") have it for
    heads. Arguments and errors as for :func:`cls_by_patch`; OptionError for a tower whose feature stands behind more
    than a BatchNorm.
    """
    opened = model.opened(images)
    pixels, given = model.preprocess(opened), model.conditions(len(opened), tags=tags)
    exact, place = _in_float64(model)
    v = torch.from_numpy(_directions(direction, len(opened), model.dim).copy()).to(place)
    some = tuple(tensor.to(place) for tensor in given)
    return _block_shares(exact, pixels.to(place, torch.float64), some, v)


@dataclass(frozen=True, eq=False)
class BlockShares:
    """``embedding + attention + mlp + biases = v . cls``, each what it adds to the CLS token directly; float64.

    Attributes
    ----------
    score
        ``v . cls``, ``[B]``.
    embedding
        Of what enters the first block at the class token's place, ``[B]``.
    attention, mlp
        Of each block, ``[B, n_blocks]``; in a block with adapters or prompts ``mlp`` holds all that is not attention.
    heads
        Of each head, ``[B, n_blocks, n_heads]``; a block's heads and its output bias add up to its ``attention``. NaN
        where a block's attention is not open_clip's own.
    biases
        Of the last LayerNorm and what follows it, ``[B]``.
    residual
        ``|sum - score|`` over the sum of the parts' sizes, ``[B]``.
    """

    score: Float[np.ndarray, " batch"]
    embedding: Float[np.ndarray, " batch"]
    attention: Float[np.ndarray, "batch block"]
    mlp: Float[np.ndarray, "batch block"]
    heads: Float[np.ndarray, "batch block head"]
    biases: Float[np.ndarray, " batch"]
    residual: Float[np.ndarray, " batch"]


def _split(
    model: Model, pixels: torch.Tensor, given: Sequence[torch.Tensor], v: np.ndarray, baseline: str
) -> ClsSplit:
    conv: Any = model.visual.conv1
    with torch.no_grad():
        embedded = nn.functional.conv2d(pixels, conv.weight, None, conv.stride, conv.padding, conv.dilation)

    def tower(patches: torch.Tensor) -> torch.Tensor:
        bias = 0 if conv.bias is None else conv.bias[:, None, None]
        hook = conv.register_forward_hook(lambda *_: patches + bias)
        try:
            return tokens_of_pixels(model, pixels, *given).cls
        finally:
            hook.remove()

    frozen = FrozenMap(tower, [embedded], nn.ModuleList(filter(None, (model.clip, model.tower.readout))))
    direction = torch.from_numpy(v.copy()).to(embedded)
    (gradient,) = frozen.gradients(direction)
    reference = torch.zeros_like(embedded) if baseline == "zero" else embedded.mean((2, 3), keepdim=True)
    patches = _array((gradient * (embedded - reference)).sum(dim=1).flatten(1))
    of_baseline = _array((gradient * reference).sum((1, 2, 3)))
    groups = {
        group: frozen.constants(direction, lambda name, group=group: _group(name) == group)
        for group in ("class_token", "positions", "biases")
    }
    score = _array((frozen.output * direction).sum(dim=1))
    single = [*groups.values(), of_baseline]
    unexplained = score - patches.sum(axis=1) - sum(single)
    size = np.abs(patches).sum(axis=1) + sum(map(np.abs, single))
    residual = np.abs(unexplained) / np.maximum(np.maximum(size, np.abs(score)), np.finfo(float).tiny)
    return ClsSplit(
        score=score,
        patches=patches,
        **groups,
        baseline=of_baseline,
        unexplained=np.where(residual > UNEXPLAINED_FROM, unexplained, 0.0),
        residual=residual,
        left=frozen.left,
        grid=model.grid,
        norm=_array(frozen.output.norm(dim=1)),
        direction_norm=np.linalg.norm(v, axis=1),
    )


def _group(name: str) -> str:
    if "positional_embedding" in name:
        return "positions"
    last = name.rpartition(".")[2]
    is_token = last.endswith("_embedding") or last.endswith("embed") or "token" in last or "prompt" in name
    return "class_token" if is_token else "biases"


def _block_shares(
    model: Model, pixels: torch.Tensor, given: Sequence[torch.Tensor], v: torch.Tensor
) -> BlockShares:
    visual = model.visual
    blocks = list(visual.transformer.resblocks)
    attentions = [
        block.attn for block in blocks if isinstance(getattr(block, "attn", None), nn.MultiheadAttention)
    ]
    is_plain = len(attentions) == len(blocks)
    with torch.no_grad(), outputs_of(visual.ln_pre, *blocks) as states:
        seen: list[tuple[torch.Tensor, ...]] = []
        hooks = [a.register_forward_hook(lambda m, i, o: seen.append((i[0], o[0]))) for a in attentions]
        try:
            cls = cls_of_pixels(model, pixels, *given)
        finally:
            for hook in hooks:
                hook.remove()
        state = [output[:, 0] for output in states]
        last, norm = state[-1], cast(Any, visual.ln_post)
        neck = model.read_out(
            torch.zeros_like(v), pixels.new_zeros(len(v), model.grid[0] * model.grid[1], model.dim), *given
        ).neck
        if model.tower.readout is not None and neck is None:
            raise OptionError(
                "shares of blocks need a feature that is linear in the CLS token: this tower has heads behind it; use cls_by_patch"
            )
        score = ((cls if neck is None else neck(cls)) * v).sum(dim=1)
        along = v if neck is None else v * neck.scale
        deviation = (last.var(dim=1, correction=0, keepdim=True) + norm.eps).sqrt()
        r = (along @ visual.proj.T) * norm.weight / deviation
        r = r - r.mean(dim=1, keepdim=True)
        parts = torch.stack(
            [(r * (after - before)).sum(dim=1) for before, after in itertools.pairwise(state)],
            dim=1,
        )
        biases = ((along @ visual.proj.T) * norm.bias).sum(dim=1)
        if neck is not None:
            biases = biases + (v * neck.offset).sum(dim=1)
        heads = torch.full((len(v), len(blocks), 1), torch.nan, dtype=v.dtype)
        attention = torch.zeros_like(parts)
        if is_plain:
            attention = torch.stack(
                [
                    (r * _scaled(block, out)[:, 0]).sum(dim=1)
                    for block, (_, out) in zip(blocks, seen, strict=True)
                ],
                dim=1,
            )
            heads = torch.stack(
                [_head_shares(block, x, r) for block, (x, _) in zip(blocks, seen, strict=True)], dim=1
            )
    embedding, mlp = (r * state[0]).sum(dim=1), parts - attention
    total = embedding + parts.sum(dim=1) + biases
    size = embedding.abs() + attention.abs().sum(dim=1) + mlp.abs().sum(dim=1) + biases.abs()
    arrays = (score, embedding, attention, mlp, heads, biases, (total - score).abs() / size)
    return BlockShares(*map(_array, arrays))


def _scaled(block: Any, out: torch.Tensor) -> torch.Tensor:
    scale = getattr(block, "ls_1", None)
    return out if scale is None else scale(out)


def _head_shares(block: Any, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """What each head writes into the CLS token, along ``r``, ``[B, n_heads]``; without the output bias."""
    attn, n_heads = block.attn, block.attn.num_heads
    q, k, w = (
        part.unflatten(2, (n_heads, -1))
        for part in nn.functional.linear(x, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=2)
    )
    weights = (torch.einsum("bhd,bnhd->bhn", q[:, 0], k) * q.shape[-1] ** -0.5).softmax(dim=2)
    mixed = torch.einsum("bhn,bnhd->bhd", weights, w)
    back = _scaled(block, attn.out_proj.weight.T.unflatten(0, (n_heads, -1)))  # [H, d, W]
    return torch.einsum("bhd,hdw,bw->bh", mixed, back, r)


def _in_float64(model: Model) -> tuple[Model, torch.device]:
    """A frozen float64 copy of the tower, kept until its weights change; on the CPU where the device has no float64."""
    place = torch.device("cpu") if model.device.type == "mps" else model.device
    parts = nn.ModuleList(filter(None, (model.clip, model.tower.readout)))
    with _LOCK:
        key = (versions(parts), place)
        kept = _COPIES.get(model.clip)
        if kept is None or kept[0] != key:
            clip, readout = (
                None if part is None else copy.deepcopy(part).to(place).double().eval().requires_grad_(False)
                for part in (model.clip, model.tower.readout)
            )
            kept = _COPIES[model.clip] = (
                key,
                replace(model, tower=replace(model.tower, clip=clip, readout=readout), device=place),
            )
        return kept[1], place


def _directions(direction: Any, n_images: int, dim: int) -> np.ndarray:
    return direction_of_each(
        direction, Tokens(torch.zeros(n_images, dim), torch.zeros(n_images, 1, dim), (1, 1))
    )


def _joined(parts: Sequence[ClsSplit]) -> ClsSplit:
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray)
    }
    return replace(parts[0], **arrays, left=tuple(sorted({name for part in parts for name in part.left})))


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
