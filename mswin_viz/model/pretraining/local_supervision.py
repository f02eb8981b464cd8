"""What single patches are asked for while the embedded CLIP trains: which part of the person each of them shows.

The world is drawn, so the part under every pixel is known. A patch must tell the share of each part in it, and the
text nearest to it must name what that part is ("a green hat" where the hat is). Without this, a small network that
learns from whole pictures stays at colours: the shapes that a few patches tell apart (hair, hat, bag, the length of
trousers) stayed at the frequency of their words for 3000 steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mswin_viz.data.synthetic.identity import sample_identity
from mswin_viz.data.synthetic.render import part_masks
from mswin_viz.data.synthetic.shading import SHAPE
from mswin_viz.model.pretraining.drawing_cache import drawn_once
from mswin_viz.model.pretraining.recipe import CLIP_CONFIG, Recipe

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

PARTS = ("elsewhere", "skin", "hair", "hat", "upper", "lower", "shoes", "bag")
"""Everything a pixel can show, the place and what hides the person being ``elsewhere``."""
PART_OF = {
    **{"pattern": "upper", "upper_type": "upper", "upper_colour": "upper"},
    **{"lower_type": "lower", "lower_colour": "lower", "bag": "bag", "bag_colour": "bag"},
    **{"hair": "hair", "hair_colour": "hair", "hat": "hat", "hat_colour": "hat", "shoes_colour": "shoes"},
}
"""Attribute -> the part that shows it."""
STEP = 2
"""Pixels of the picture between two points of a part map."""
_LEAST_SHARE = 0.25  # of a patch, for its text to name the part
_PATCH = CLIP_CONFIG["vision_cfg"]["patch_size"] // STEP


def training_parts(recipe: Recipe, cache: Path | None = None) -> UInt8[np.ndarray, "person shot rows cols"]:
    """Index into ``PARTS`` at every second pixel of every training picture; drawn once, then read from ``cache``."""
    return drawn_once(recipe, _person_parts, cache, "parts")


def _person_parts(job: tuple[int, int, int]) -> UInt8[np.ndarray, "shot rows cols"]:
    seed, pid, shots = job
    person = sample_identity(pid, seed=seed)
    maps = np.zeros((shots, SHAPE[0] // STEP, SHAPE[1] // STEP), np.uint8)
    for shot in range(shots):
        masks = part_masks(person, camera=shot % 4, shot=shot // 4, seed=seed)
        for index, part in enumerate(PARTS[1:], start=1):
            maps[shot][masks[part][::STEP, ::STEP]] = index
    return maps


def part_shares(parts: UInt8[np.ndarray, "rows cols"]) -> Float[np.ndarray, "patch part"]:
    """Share of each part in each patch, 0..1."""
    rows, cols = (side // _PATCH for side in parts.shape)
    patches = parts.reshape(rows, _PATCH, cols, _PATCH).transpose(0, 2, 1, 3).reshape(rows * cols, -1)
    shares = np.stack([(patches == index).mean(axis=1) for index in range(len(PARTS))], axis=1)
    return shares.astype(np.float32)


class KeptPatches(nn.Module):
    """Patch dropout (Li et al. 2023, FLIP) that remembers which patches it kept; takes the place of open_clip's."""

    def __init__(self) -> None:
        super().__init__()
        self.prob = 0.0  # share of patch tokens dropped
        self.kept: torch.Tensor | None = (
            None  # patches of the last pass, [image, kept]; None if all were kept
        )

    def forward(self, x: Float[torch.Tensor, "image token width"]) -> Float[torch.Tensor, "image kept width"]:
        """CLS and the patches that are kept; all of them in evaluation mode."""
        self.kept = None
        if not self.training or self.prob == 0:
            return x
        n_images, n_patches = x.shape[0], x.shape[1] - 1
        n_kept = max(1, int(n_patches * (1 - self.prob)))
        self.kept = torch.rand(n_images, n_patches, device=x.device).topk(n_kept, dim=1).indices
        patches = x[:, 1:].gather(1, self.kept[..., None].expand(-1, -1, x.shape[2]))
        return torch.cat([x[:, :1], patches], dim=1)


def kept_shares(
    shares: Float[torch.Tensor, "image patch part"], kept: Int[torch.Tensor, "image kept"] | None
) -> Float[torch.Tensor, "image kept part"]:
    """The part shares of the patches that were kept."""
    return shares if kept is None else shares.gather(1, kept[..., None].expand(-1, -1, shares.shape[2]))


def part_loss(
    logits: Float[torch.Tensor, "image patch part"], shares: Float[torch.Tensor, "image patch part"]
) -> torch.Tensor:
    """Cross-entropy of each patch's parts against the shares they have of it."""
    return F.cross_entropy(logits.flatten(0, 1), shares.flatten(0, 1))


def local_prompt_loss(
    logits: Float[torch.Tensor, "image patch word"],
    labels: Int[torch.Tensor, " image"],
    share: Float[torch.Tensor, "image patch"],
) -> torch.Tensor | None:
    """Cross-entropy of one attribute's words at the patches that show its part, weighted by its share; None if none does."""
    weight = torch.where(share >= _LEAST_SHARE, share, 0) * (labels >= 0)[:, None]
    if not weight.any():
        return None
    right = labels.clamp_min(0)[:, None].expand(-1, logits.shape[1])
    losses = F.cross_entropy(logits.transpose(1, 2), right, reduction="none")
    return (losses * weight).sum() / weight.sum()
