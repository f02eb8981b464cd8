"""ViT-B/16 as the host takes it, with random weights: they cost what trained ones do."""

from __future__ import annotations

import open_clip
import torch

from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.weights.clip_towers import Tower

_SETTINGS = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": [256, 128], "layers": 12, "width": 768, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 1, "width": 64, "heads": 1, "layers": 1},
    "quick_gelu": True,
}


def vit_b_16(device: str) -> Model:
    """At 256x128 on a device, without an add-on."""
    clip = open_clip.CLIP(**_SETTINGS).eval().requires_grad_(False).to(device)
    half = (0.5, 0.5, 0.5)
    tower = Tower(
        clip=clip,
        weights="random",
        image_size=(256, 128),
        mean=half,
        std=half,
        activation="QuickGELU",
        positions="16x8, as stored",
    )
    return Model(tower, None, "none", torch.device(device))
