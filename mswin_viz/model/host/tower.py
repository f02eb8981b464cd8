"""The image tower as re-ID host models change it: camera embedding, prompts, parallel adapters, any stride.

Equations and state-dict keys are those of MambaPro (Wang et al., AAAI 2025, "MambaPro: Multi-Modal Object
Re-Identification with Mamba Aggregation and Synergistic Prompt", and its published code), whose tower DeMo and
MDReID share. Beside CLIP's own weights the tower may hold

- a table with one row for each camera; its row, times a factor, is added to the CLS embedding (SIE);
- in every block, an adapter beside the MLP that reads the same tokens without their LayerNorm (PFA);
- in every block, four prompts for each modality, which are appended to the tokens and removed again. Those of
  the image's own modality carry the mean of all prompts from block to block (SRP);
- a second token with its own position, beside the class token (MDReID: what the modalities share).

Between blocks the state of an image is its tokens, ``[B, 1 + N, W]``, followed by that second token and by that mean
where they are there: ``[B, 1 + N + 1 + 4, W]`` at most.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import counted, numbered
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.host.blocks import HostBlock, HostParts, unconditioned

if TYPE_CHECKING:
    from jaxtyping import Float, Int

MEAN_CAMERA = "mean"
"""In place of a camera's number: the mean of the table, for images of unknown cameras. The host has no such thing."""
Camera = int | str


class HostTower(nn.Module):
    """open_clip's image tower with a host model's parts; replaces it as ``clip.visual``.

    ``grid`` is rows and columns of patch tokens. With neither prompts nor adapters the blocks stay open_clip's own.
    """

    def __init__(self, visual: VisionTransformer, grid: tuple[int, int], parts: HostParts) -> None:
        super().__init__()
        self.parts, self.grid_size = parts, tuple(grid)
        self.class_embedding, self.conv1, self.proj = visual.class_embedding, visual.conv1, visual.proj
        self.ln_pre, self.transformer, self.ln_post = visual.ln_pre, visual.transformer, visual.ln_post
        self.conv1.stride = parts.stride
        width, n_patches = len(visual.class_embedding), grid[0] * grid[1]
        if parts.leading_token:
            self.add_image_token = nn.Parameter(torch.zeros(width))
        n_positions = (2 if parts.leading_token else 1) + n_patches
        self.positional_embedding = nn.Parameter(torch.zeros(n_positions, width))
        if parts.n_cameras:
            self.cv_embed = nn.Parameter(torch.zeros(parts.n_cameras, width))
        if parts.has_prompts or parts.has_adapters:
            blocks = visual.transformer.resblocks
            self.transformer.resblocks = nn.ModuleList(
                HostBlock(block, parts, is_first=i == 0) for i, block in enumerate(blocks)
            )

    def forward(
        self,
        pixels: Float[torch.Tensor, "batch 3 height width"],
        camera: Int[torch.Tensor, " batch"] | None = None,
        modality: Int[torch.Tensor, " batch"] | None = None,
    ) -> Float[torch.Tensor, "batch dim"]:
        """The CLS feature; ``camera`` and ``modality`` as :func:`conditions` gives them."""
        x = self.run(self.ln_pre(self._embedded(pixels, camera)), modality)
        return self.ln_post(x)[:, 0] @ self.proj

    def run(
        self,
        x: Float[torch.Tensor, "batch state width"],
        modality: Int[torch.Tensor, " batch"] | None = None,
        *,
        start: int = 0,
    ) -> Float[torch.Tensor, "batch one_plus_tokens width"]:
        """Tokens behind the last block, from the state that enters block ``start``."""
        for block in self.transformer.resblocks[start:]:
            x = block(x, modality) if isinstance(block, HostBlock) else block(x)
        return x[:, : 1 + self.grid_size[0] * self.grid_size[1]]

    def reset_parameters(self) -> None:
        """Initialise the camera table and the second token; layers and the caller initialise everything else."""
        if self.parts.n_cameras:
            nn.init.normal_(self.cv_embed, std=0.02)
        if self.parts.leading_token:
            nn.init.normal_(self.add_image_token, std=len(self.add_image_token) ** -0.5)

    def _embedded(self, pixels: torch.Tensor, camera: torch.Tensor | None) -> torch.Tensor:
        patches = self.conv1(pixels)  # [B, W, rows, cols]
        if tuple(patches.shape[2:]) != self.grid_size:
            raise ShapeError(
                f"this tower's positions lie on a {self.grid_size[0]}x{self.grid_size[1]} grid: got images of "
                f"{pixels.shape[2]}x{pixels.shape[3]} (height x width), which give "
                f"{patches.shape[2]}x{patches.shape[3]}"
            )
        cls = self.class_embedding.expand(len(pixels), 1, -1)
        if self.parts.n_cameras:
            if camera is None:
                raise unconditioned("camera")
            row = torch.where((camera < 0)[:, None], self.cv_embed.mean(dim=0), self.cv_embed[camera])
            cls = cls + self.parts.sie_coe * row[:, None]
        patches = patches.flatten(2).transpose(1, 2)  # [B, N, W]
        if not self.parts.leading_token:
            return torch.cat([cls, patches], dim=1) + self.positional_embedding
        cls = cls + self.positional_embedding[:1]  # stored: class, second, patches
        second = (self.add_image_token + self.positional_embedding[1]).expand_as(cls)
        first, last = (cls, second) if self.parts.leading_token == "specific" else (second, cls)
        return torch.cat([first, patches + self.positional_embedding[2:], last], dim=1)


def conditions(
    visual: nn.Module,
    n_images: int,
    camera: Camera | Sequence[Camera] | None,
    modality: str | Sequence[str | None] | None,
) -> tuple[Int[torch.Tensor, " batch"], ...]:
    """What a host tower reads beside the pixels: camera rows and positions in ``MODALITIES``; open_clip's reads nothing.

    ``camera`` and ``modality`` are one for all images or one for each. -1 stands for the mean camera; 0 where the tower
    has no part that reads it. OptionError if one is missing, unknown, or a camera that the tower cannot use.
    """
    parts = visual.parts if isinstance(visual, HostTower) else HostParts()
    if camera is not None and not parts.n_cameras:
        raise OptionError(
            f"camera= needs a camera embedding, and none is applied with these weights: got {camera}; leave it out"
        )
    if not isinstance(visual, HostTower):
        return ()
    rows, places = [0] * n_images, [0] * n_images
    if parts.n_cameras:
        rows = [_camera_row(each, parts.n_cameras) for each in _one_each(camera, n_images, "camera")]
    if parts.reads_modality:
        places = [_place(each) for each in _one_each(modality, n_images, "modality")]
    return torch.tensor(rows), torch.tensor(places)


def _one_each(value: object, n_images: int, name: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value] * n_images
    if len(value) != n_images:
        raise OptionError(f"{name}= is one for all images or one for each: got {len(value)} for {n_images}")
    return list(value)


def _camera_row(camera: object, n_cameras: int) -> int:
    if camera == MEAN_CAMERA:
        return -1
    if isinstance(camera, SupportsIndex) and not isinstance(camera, bool):
        row = operator.index(camera)
        if 0 <= row < n_cameras:
            return row
    raise OptionError(
        f'camera= is {numbered(n_cameras)}, or "{MEAN_CAMERA}" for an unknown camera, since these weights have a '
        f"camera embedding of {counted(n_cameras, 'rows')}: got {camera!r}"
    )


def _place(modality: object) -> int:
    if modality not in MODALITIES:
        raise OptionError(
            f"modality= is one of {', '.join(MODALITIES)}, since these weights have prompts or heads for each: "
            f"got {modality!r}"
        )
    return MODALITIES.index(modality)
