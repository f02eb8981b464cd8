"""The module as its authors wrote it against the path that pools first, and the tower's own cost."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from measuring import Row, Work
from support.vit_b_16 import vit_b_16

from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow

BATCHES = (1, 8, 64, 256)


def rows() -> Iterator[Row]:
    """N = 128 patch tokens, D = 512, windows of 4, 8 and 16; then ViT-B/16 at 256x128."""
    for batch in BATCHES:
        yield from _pooling(batch).rows()
    yield from _encoding().rows()


def _pooling(batch: int) -> Work:
    torch.manual_seed(0)
    module, patches = CLIPMultiScaleSlidingWindow(), torch.randn(batch, 128, 512)
    kernels = [torch.randn(512 * scale, 512) for scale in (4, 8, 16)]
    means = [torch.randn(batch, 512 * scale) for scale in (4, 8, 16)]

    def floor() -> None:
        patches.sum(dim=1)
        for mean, kernel in zip(means, kernels, strict=True):
            mean @ kernel

    with torch.no_grad():
        torch.testing.assert_close(module(patches), module.forward_literal(patches), rtol=1e-3, atol=1e-4)

    def no_gradient(call: torch.nn.Module) -> None:
        with torch.no_grad():
            call(patches)

    mega = 2 * 28 * 512 * 512 * batch / 1e6
    read = patches.numel() * 4 / 2**20
    return Work(
        group="module",
        what=f"scale features of a batch of {batch} (N = 128, D = 512)",
        ours=("`forward`", lambda: no_gradient(module)),
        peers={"the module as written: `forward_literal`": lambda: no_gradient(module.forward_literal)},
        floor=(
            f"one pass over the tokens ({read:.2g} MiB) and three bare products ({mega:.0f} MFLOP)",
            floor,
        ),
    )


def _encoding() -> Work:
    model, batch = vit_b_16("cpu"), torch.randn(4, 3, 256, 128)

    def bare() -> None:
        with torch.no_grad(), model.autocast():
            model.clip.encode_image(batch)

    return Work(
        group="tower",
        what="CLS and patch tokens of 4 images, ViT-B/16 at 256x128, random weights",
        ours=("`encode`", lambda: model._encode_batch(batch)),
        peers={"open_clip's `encode_image`, CLS alone": bare},
        floor=("`encode_image` itself", bare),
    )
