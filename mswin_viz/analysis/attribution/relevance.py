"""Gradient-weighted attention relevance: how the score's gradient flows back through the attention of every block.

The tower runs as it is; a hook on each block's attention puts in the place of its fused output the same output, computed
from weights that gradients arrive at. So it also serves host models' blocks, with prompts and adapters.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import MultiheadAttention
from torch.nn.functional import linear

from mswin_viz.analysis.attribution.target import Target
from mswin_viz.data.shown_text import counted, numbered
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks, tokens_of_pixels
from mswin_viz.model.host.blocks import N_PROMPTS, HostBlock

if TYPE_CHECKING:
    from jaxtyping import Float

_OTHER = "use a method that needs no attention, such as gradcam"


def attention_relevance(
    model: Model,
    pixels: Float[torch.Tensor, "batch 3 height width"],
    target: Target,
    count: Callable[[int], None],
    conditions: Sequence[torch.Tensor] = (),
    *,
    first_block: int = 0,
) -> Float[torch.Tensor, "batch token"]:
    """The relevance of each patch to the CLS token, at least 0.

    With A a block's attention and s the score, R starts as the identity, and every block from ``first_block`` on adds
    mean over heads of max(0, ds/dA * A) times R; the map is the CLS token's row of R. The gradient is that of the
    whole score: through all later blocks, the add-on and the norm of a cosine.

    Chefer, Gur and Wolf (ICCV 2021), "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", equations 5 and 6. A cosine is multiplied by the model's own logit scale, as in the
    authors' code for CLIP. Theirs counts the last block alone unless told otherwise; the paper, all of them. Prompts
    of a host model are no part of the image; what their mean carries from block to block counts.
    """
    first = checked_first_block(model, first_block)
    with opened_attention(model, lambda: count(len(pixels))) as weights, torch.enable_grad():
        plain = tokens_of_pixels(model, pixels, *conditions)
        enhanced = model.enhance(plain) if target.feature == "enhanced" else plain
        score = target.score(plain, enhanced, target.directions(model, len(pixels)))
    gradients = torch.autograd.grad(score.sum() * score_scale(model, target), weights[first:])
    steps = [
        (weight.detach() * gradient).clamp(min=0).mean(dim=1)
        for weight, gradient in zip(weights[first:], gradients, strict=True)
    ]
    return _row_of_cls(model, steps, conditions)


def score_scale(model: Model, target: Target) -> float:
    """What the score is multiplied by: CLIP's logit scale for a cosine, whose logit the authors follow; else one."""
    return float(model.clip.logit_scale.detach().exp()) if target.kind == "cosine" else 1.0


def checked_first_block(model: Model, first_block: int) -> int:
    """The first block that counts, from 0; -1 is the last. OptionError if the tower has no such block."""
    depth = n_blocks(model)
    if isinstance(first_block, bool) or not isinstance(first_block, int) or not -1 <= first_block < depth:
        raise OptionError(
            f"first_block is {numbered(depth)}, the blocks of this tower, or -1 for the last: got {first_block!r}"
        )
    return first_block % depth


@contextmanager
def opened_attention(
    model: Model, count: Callable[[], None]
) -> Iterator[list[Float[torch.Tensor, "batch head query key"]]]:
    """Each block's attention weights as this thread runs the tower, in order; what follows is computed from them."""
    found: list[torch.Tensor] = []
    here = threading.get_ident()

    def opened(attn: Any, args: tuple, options: dict[str, Any], output: tuple) -> tuple | None:
        if threading.get_ident() != here:
            return None
        if options.get("attn_mask") is not None or options.get("key_padding_mask") is not None:
            raise OptionError(f"attention relevance needs attention without a mask: got one; {_OTHER}")
        weights, values = _weights_and_values(attn, args[0])
        found.append(weights if weights.requires_grad else weights.requires_grad_())
        mixed = (found[-1] @ values).transpose(1, 2).flatten(2)
        count()
        return attn.out_proj(mixed), output[1]

    with ExitStack() as hooks:
        for block in model.visual.transformer.resblocks:
            hook = _attention_of(block).register_forward_hook(opened, with_kwargs=True)
            hooks.callback(hook.remove)
        yield found


def _attention_of(block: torch.nn.Module) -> MultiheadAttention:
    attn = getattr(block, "attn", None)
    if not isinstance(attn, MultiheadAttention):
        raise OptionError(
            "attention relevance reads torch's MultiheadAttention in each block: got a "
            f"{type(block).__name__} with {type(attn).__name__ if attn is not None else 'no attn'}; {_OTHER}"
        )
    is_plain = attn.in_proj_weight is not None and attn.bias_k is None and not attn.add_zero_attn
    if not is_plain or not attn.batch_first:
        raise OptionError(
            "attention relevance needs one projection for queries, keys and values and the batch first: got "
            f"attention of another make in a {type(block).__name__}; {_OTHER}"
        )
    return attn


def _weights_and_values(
    attn: MultiheadAttention, x: Float[torch.Tensor, "batch token width"]
) -> tuple[Float[torch.Tensor, "batch head query key"], Float[torch.Tensor, "batch head key depth"]]:
    """softmax(q k / sqrt(width of a head)), and v."""
    batch, n_tokens, width = x.shape
    split = linear(x, attn.in_proj_weight, attn.in_proj_bias).reshape(
        batch, n_tokens, 3, attn.num_heads, width // attn.num_heads
    )
    query, key, value = split.permute(2, 0, 3, 1, 4)
    return (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(dim=3), value


def _row_of_cls(
    model: Model, steps: Sequence[Float[torch.Tensor, "batch query key"]], conditions: Sequence[torch.Tensor]
) -> Float[torch.Tensor, "batch patch"]:
    """The patches in row 0 of (1 + last step) ... (1 + first step), from the last block back."""
    n_patches = model.grid[0] * model.grid[1]
    blocks = list(model.visual.transformer.resblocks)[-len(steps) :]
    sizes = {step.shape[1] - _n_prompts(block) for block, step in zip(blocks, steps, strict=True)}
    if len(sizes) > 1 or min(sizes) < 1 + n_patches:
        raise OptionError(
            f"attention relevance follows the CLS and the same {counted(n_patches, 'patches')} through all blocks: got blocks of "
            f"{', '.join(str(size) for size in sorted(sizes))} tokens (dropped or merged on the way?); {_OTHER}"
        )
    n_tokens, n_behind = sizes.pop(), N_PROMPTS if _n_prompts(blocks[-1]) else 0
    row = steps[0].new_zeros(len(steps[0]), n_tokens + n_behind)
    row[:, 0] = 1
    for block, step in zip(blocks[::-1], steps[::-1], strict=True):
        if _n_prompts(block):
            row = _before_prompts(block, row, step, conditions[1], n_tokens)
        else:
            row = row + _times(row, step)
    return row[:, 1 : 1 + n_patches]


def _before_prompts(
    block: HostBlock,
    row: Float[torch.Tensor, "batch state"],
    step: Float[torch.Tensor, "batch query key"],
    modality: torch.Tensor,
    n_tokens: int,
) -> Float[torch.Tensor, "batch earlier_state"]:
    """The row of what enters a block whose prompts' mean goes on behind it: a third of it to the prompts of each modality."""
    row = torch.cat([row[:, :n_tokens], (row[:, n_tokens:] / 3).repeat(1, 3)], dim=1)
    row = row + _times(row, step)
    if block.is_first:
        return row[:, :n_tokens]
    prompts = row[:, n_tokens:].unflatten(1, (3, N_PROMPTS))
    own = prompts[torch.arange(len(row), device=row.device), modality]  # what came in is in these alone
    return torch.cat([row[:, :n_tokens], own], dim=1)


def _times(row: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    return (row[:, None] @ step)[:, 0]


def _n_prompts(block: torch.nn.Module) -> int:
    """How many of the tokens that a block attends to are its prompts."""
    return 3 * N_PROMPTS if isinstance(block, HostBlock) and block.has_prompts else 0
