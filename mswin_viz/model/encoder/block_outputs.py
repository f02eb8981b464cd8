"""The image tower in pieces: from pixels to the output of any block, and from there to projected tokens.

The tower itself is left as it is. Outputs are read by hooks (:func:`mswin_viz.model.encoder.hooks.outputs_of`), and
the way on from a block calls open_clip's own blocks. Everything here is float32 and differentiable unless it
says otherwise; :meth:`Model.encode` is the way to tokens that need no gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.hooks import outputs_of
from mswin_viz.model.host.tower import HostTower
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def n_blocks(model: Model) -> int:
    """How many transformer blocks the image tower has."""
    return len(model.visual.transformer.resblocks)


def tokens_of_pixels(
    model: Model, pixels: Float[torch.Tensor, "batch 3 height width"], *given: Int[torch.Tensor, " batch"]
) -> Tokens:
    """CLS and patch tokens of preprocessed images, as a function that gradients pass through.

    ``given`` here and below: what the tower reads beside the pixels, from :meth:`Model.conditions`; mostly nothing.
    """
    visual = model.visual
    with outputs_of(visual.ln_post) as normed:
        cls = visual(pixels, *given)
        patches = normed[0][:, 1:] @ visual.proj
    return model.read_out(cls, patches, *given)


def cls_of_pixels(
    model: Model, pixels: Float[torch.Tensor, "batch 3 height width"], *given: Int[torch.Tensor, " batch"]
) -> Float[torch.Tensor, "batch dim"]:
    """The projected CLS of preprocessed images as the tower gives it, in its own precision, before a neck or a head."""
    return model.visual(pixels, *given)


def block_outputs(
    model: Model, pixels: Float[torch.Tensor, "batch 3 height width"], *given: Int[torch.Tensor, " batch"]
) -> list[Float[torch.Tensor, "batch state width"]]:
    """What enters the first block, then what each block puts out, CLS at index 0; without gradients.

    Behind the patches stand the prompts' means, in a tower that has prompts.
    """
    visual = model.visual
    with torch.no_grad(), outputs_of(visual.ln_pre, *visual.transformer.resblocks) as outputs:
        visual(pixels, *given)
    return [output.detach() for output in outputs]


def tokens_from(
    model: Model, x: Float[torch.Tensor, "batch state width"], block: int, *given: Int[torch.Tensor, " batch"]
) -> Tokens:
    """Projected tokens of an image whose state behind ``block`` (0 for the first) is ``x``."""
    visual, depth = model.visual, n_blocks(model)
    if not 0 <= block < depth:
        raise OptionError(f"a block of this tower is {numbered(depth)}: got {block}")
    if isinstance(visual, HostTower):
        x = visual.run(x, *given[1:], start=block + 1)
    else:
        for following in visual.transformer.resblocks[block + 1 :]:
            x = following(x)
    projected = visual.ln_post(x) @ visual.proj
    return model.read_out(projected[:, 0], projected[:, 1:], *given)
