"""Maps read off the image tower's attention: rollout, LeGrad's gradient-weighted map, and all of them by name.

open_clip's attention is fused and hands out no weights. They are computed again here, block by block, from the
block's own input and parameters; the model is not patched, and the inputs are read by hooks that are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from open_clip.transformer import ResidualAttentionBlock

from mswin_viz.analysis.attribution.relevance import attention_relevance
from mswin_viz.analysis.attribution.scored_inputs import ScoredInputs
from mswin_viz.analysis.attribution.settings import RowCounter, Settings, rows_that_fit
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import block_outputs, n_blocks, tokens_from

if TYPE_CHECKING:
    from jaxtyping import Float


def attention_weights(
    block: ResidualAttentionBlock, x: Float[torch.Tensor, "batch token width"]
) -> Float[torch.Tensor, "batch head token token"]:
    """softmax(q k / sqrt(width of a head)) of one block at its input ``x``; rows add up to one."""
    query, key, _ = _heads(_standard(block), x)
    return (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(dim=3)


def attention_rollout(
    model: Model,
    pixels: Float[torch.Tensor, "batch 3 height width"],
    count: Callable[[int], None],
    conditions: Sequence[torch.Tensor] = (),
) -> Float[torch.Tensor, "batch token"]:
    """How much of the CLS token comes from each patch if every block mixes tokens by its mean attention.

    At least 0; with the CLS' part, and that of a second token where the tower has one, a row adds up to one. Follows
    the plain CLS, whatever the target is.
    Abnar and Zuidema (2020), "Quantifying Attention Flow in Transformers": half the identity for the residual
    connection, the mean over heads, the product over blocks.
    """
    states = block_outputs(model, pixels, *conditions)
    mixed = torch.eye(states[0].shape[1], device=model.device)
    with torch.no_grad():
        for block, x in zip(_blocks(model), states, strict=False):
            weights = attention_weights(block, x).mean(dim=1)
            step = (weights + torch.eye(weights.shape[1], device=weights.device)) / 2
            mixed = step @ mixed
            count(len(pixels))
    return mixed[:, 0, _patches(model)]


def legrad(
    model: Model,
    pixels: Float[torch.Tensor, "batch 3 height width"],
    target: Target,
    count: Callable[[int], None],
    conditions: Sequence[torch.Tensor] = (),
) -> Float[torch.Tensor, "batch token"]:
    """LeGrad: the positive gradient of the score with respect to attention, over all blocks.

    For each block the score s of its own output (through the tower's last LayerNorm and projection, the
    add-on, and the target, norms recomputed) is differentiated by that block's attention A; the map is the
    mean over blocks, heads h and queries i of max(0, ds / dA_hij), for each patch j. At least 0, in score
    units over attention.

    Bousselham et al. (ICCV 2025), "LeGrad: An Explainability Method for Vision Transformers via Feature
    Formation Sensitivity", section 3. Two choices: the read-out at each block is the model's own CLS (the
    authors' code pools all tokens), and the map is not rescaled to 0..1.
    """
    states, directions = block_outputs(model, pixels, *conditions), target.directions(model, len(pixels))
    total = pixels.new_zeros(len(pixels), model.grid[0] * model.grid[1])
    for block, x in zip(_blocks(model), states, strict=False):
        with torch.enable_grad():
            weights = attention_weights(block, x).detach().requires_grad_()
            plain = tokens_from(model, _output(block, x, weights), n_blocks(model) - 1, *conditions)
            enhanced = model.enhance(plain) if target.feature == "enhanced" else plain
            score = target.score(plain, enhanced, directions)
            (gradient,) = torch.autograd.grad(score.sum(), weights)
        total += gradient.clamp(min=0).mean(dim=(1, 2))[:, _patches(model)]
        count(len(pixels))
    return total / n_blocks(model)


def attention_map(
    name: str, model: Model, scored: ScoredInputs, target: Target, settings: Settings
) -> Float[torch.Tensor, "batch token"]:
    """``"attention_rollout"``, ``"legrad"`` or ``"attention_relevance"`` of scored pixels, as many images at a time as fit."""
    counter = RowCounter(len(scored) * n_blocks(model), settings)
    rows = rows_that_fit(scored, model, settings)
    parts = []
    try:
        for start in range(0, len(scored), rows):
            chunk, part = scored[start : start + rows], target.of_images(slice(start, start + rows))
            conditions = chunk.context[:-2]  # the last two are direction and norm
            if name == "attention_rollout":
                parts.append(attention_rollout(model, chunk.inputs, counter, conditions))
            elif name == "legrad":
                parts.append(legrad(model, chunk.inputs, part, counter, conditions))
            else:
                first = settings.first_block
                found = attention_relevance(model, chunk.inputs, part, counter, conditions, first_block=first)
                parts.append(found)
    finally:
        counter.close()
    return torch.cat(parts)


def _blocks(model: Model) -> list[ResidualAttentionBlock]:
    blocks = list(model.clip.visual.get_submodule("transformer.resblocks").children())
    return [_standard(block) for block in blocks]


def _standard(block: torch.nn.Module) -> ResidualAttentionBlock:
    if isinstance(block, ResidualAttentionBlock):
        return block
    raise OptionError(
        "attention can be read off open_clip's ResidualAttentionBlock: got a "
        f"{type(block).__name__} (perhaps a host model's block with prompts or adapters); use a method that needs no "
        "attention, such as gradcam"
    )


def _patches(model: Model) -> slice:
    """Where the patches stand in a state: behind the CLS, before a second token."""
    return slice(1, 1 + model.grid[0] * model.grid[1])


def _heads(
    block: ResidualAttentionBlock, x: Float[torch.Tensor, "batch token width"]
) -> tuple[Float[torch.Tensor, "batch head token depth"], ...]:
    """Queries, keys and values."""
    attn = block.attn
    projected = torch.nn.functional.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
    batch, n_tokens, _ = x.shape
    split = projected.reshape(batch, n_tokens, 3, attn.num_heads, attn.head_dim)
    return tuple(split.permute(2, 0, 3, 1, 4))


def _output(
    block: ResidualAttentionBlock,
    x: Float[torch.Tensor, "batch token width"],
    weights: Float[torch.Tensor, "batch head token token"],
) -> Float[torch.Tensor, "batch token width"]:
    """The block's output, were its attention ``weights``."""
    mixed = (weights @ _heads(block, x)[2]).transpose(1, 2).flatten(2)
    x = x + block.ls_1(block.attn.out_proj(mixed))
    return x + block.ls_2(block.mlp(block.ln_2(x)))
