"""What the package uses of an image tower: open_clip's own, or a host model's."""

from __future__ import annotations

from typing import Any, Protocol, cast

import open_clip
import torch
from torch import nn


class ImageTower(Protocol):
    """A ViT with a CLS feature; what it takes beside the pixels is a host model's camera and modality."""

    grid_size: tuple[int, int]
    proj: torch.Tensor
    ln_pre: nn.Module
    ln_post: nn.Module
    transformer: Any

    def __call__(self, pixels: torch.Tensor, *given: torch.Tensor) -> torch.Tensor:
        """CLS features, projected."""
        ...


def image_tower(clip: open_clip.CLIP) -> ImageTower:
    """The image tower of a CLIP that was loaded here, whose architecture was checked then."""
    return cast(ImageTower, clip.visual)  # open_clip declares it as any module
