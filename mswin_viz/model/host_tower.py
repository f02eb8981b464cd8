"""The image tower as re-ID host models change it: camera embedding, prompts, parallel adapters, any stride.

Equations and state-dict keys are those of MambaPro (Wang et al., AAAI 2025, "MambaPro: Multi-Modal Object
Re-Identification with Mamba Aggregation and Synergistic Prompt", and its published code), whose tower DeMo and
MDReID share. Beside CLIP's own weights the tower may hold

- a table with one row for each camera; its row, times a factor, is added to the CLS embedding (SIE);
- in every block, an adapter beside the MLP that reads the same tokens without their LayerNorm (PFA);
- in every block, four prompts for each modality, which are appended to the tokens and taken off again. Those of
  the image's own modality carry the mean of all prompts from block to block (SRP);
- a second token with a position of its own, beside the class token (MDReID: what the modalities share).

Between blocks the state of an image is its tokens, ``[B, 1 + N, W]``, followed by that second token and by that mean
where they are there: ``[B, 1 + N + 1 + 4, W]`` at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from open_clip.transformer import QuickGELU, ResidualAttentionBlock, VisionTransformer
from torch import nn

from mswin_viz.data.images import MODALITIES
from mswin_viz.errors import OptionError, ShapeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["MEAN_CAMERA", "N_PROMPTS", "Camera", "HostBlock", "HostParts", "HostTower", "conditions"]

N_PROMPTS = 4
"""Prompts of one modality in one block; fixed in the published code."""
MEAN_CAMERA = "mean"
"""In place of a camera's number: the mean over the table, for images of no known camera. The host has no such thing."""
Camera = int | str
_PROMPTS = ("adapter_prompt_rgb", "adapter_prompt_nir", "adapter_prompt_tir")
_BOTTLENECKS = ("adapter_r", "adapter_n", "adapter_t")
_TWO_TOKENS = {
    "specific": "a second token for what the modalities share, whose own feature is left out",
    "shared": "the feature of a second token for what the modalities share (the class token's is left out)",
}
"""Which of two tokens leads -> words."""


@dataclass(frozen=True)
class HostParts:
    """What a host tower has beside CLIP's own weights.

    Attributes
    ----------
    stride
        Of the patch convolution, pixels down and across.
    has_prompts, has_adapters
        Whether every block has them.
    n_cameras
        Rows of the camera table; 0 for none.
    sie_coe
        The factor on a row of the table.
    adapter_width
        Inside an adapter; None: twice the tower's, as MambaPro has it.
    has_heads
        Whether a head of each modality stands behind the tower, so that the modality must be known.
    leading_token
        Where there are two tokens, the one whose feature is taken: ``"specific"``, the class token, or ``"shared"``,
        the second one. The other stands behind the patches. None: there is no second token.
    """

    stride: tuple[int, int] = (16, 16)
    has_prompts: bool = False
    has_adapters: bool = False
    n_cameras: int = 0
    sie_coe: float = 1.0
    adapter_width: int | None = None
    has_heads: bool = False
    leading_token: str | None = None

    @property
    def reads_modality(self) -> bool:
        """Whether an image's feature depends on the modality that is given for it."""
        return self.has_prompts or self.has_heads

    @property
    def words(self) -> str:
        """The parts in words."""
        cameras = f"camera embedding of {self.n_cameras} cameras, factor {self.sie_coe:g}"
        found = [
            *([cameras] if self.n_cameras else []),
            *(["prompts for each modality"] if self.has_prompts else []),
            *(["adapters beside the MLPs"] if self.has_adapters else []),
            *([_TWO_TOKENS[self.leading_token]] if self.leading_token else []),
            *(["a head for each modality"] if self.has_heads else []),
            *([f"stride {self.stride[0]}x{self.stride[1]}"] if self.stride != (16, 16) else []),
        ]
        return ", ".join(found) or "none"


class HostBlock(nn.Module):
    """One transformer block with prompts and an adapter beside the MLP, each where asked for.

    Parameters
    ----------
    block
        open_clip's block, whose norms, attention and MLP are taken over.
    parts
        What to add.
    is_first
        Whether no mean of prompts comes in from a block before.
    """

    def __init__(self, block: ResidualAttentionBlock, parts: HostParts, *, is_first: bool) -> None:
        super().__init__()
        (width,) = block.ln_1.normalized_shape
        self.is_first, self.has_prompts, self.has_adapters = is_first, parts.has_prompts, parts.has_adapters
        self.ln_1, self.attn, self.ln_2, self.mlp = block.ln_1, block.attn, block.ln_2, block.mlp
        if parts.has_adapters:
            inner = parts.adapter_width or 2 * width
            self.adapter_ffn = nn.Sequential(nn.Linear(width, inner), QuickGELU(), nn.Linear(inner, width))
        if parts.has_prompts:
            for name in _PROMPTS:
                setattr(self, name, nn.Parameter(torch.zeros(N_PROMPTS, width)))
            for name in (*_BOTTLENECKS, "adapter_transfer"):
                setattr(self, name, _bottleneck(width))

    def forward(
        self,
        x: Float[torch.Tensor, "batch state width"],
        modality: Int[torch.Tensor, " batch"] | None = None,
    ) -> Float[torch.Tensor, "batch new_state width"]:
        """The state behind this block; ``modality`` holds places in ``MODALITIES`` and is read by prompts only."""
        z = self._with_prompts(x, modality) if self.has_prompts else x
        normed = self.ln_1(z)
        u = z + self.attn(normed, normed, normed, need_weights=False)[0]
        v = u + self.mlp(self.ln_2(u))
        if self.has_adapters:
            v = v + self.adapter_ffn(u)
        if not self.has_prompts:
            return v
        rgb, nir, tir = v[:, -3 * N_PROMPTS :].chunk(3, dim=1)
        return torch.cat([v[:, : -3 * N_PROMPTS], (rgb + nir + tir) / 3], dim=1)

    def reset_parameters(self) -> None:
        """Draw the prompts; everything else draws itself."""
        for name in _PROMPTS if self.has_prompts else ():
            nn.init.normal_(getattr(self, name), std=0.02)

    def _with_prompts(self, x: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        """Tokens, then the prompts of RGB, NI and TI; those of an image's own modality carry on what came in."""
        prompts = torch.stack([getattr(self, name) for name in _PROMPTS])  # [3, 4, W]
        adapted = [getattr(self, name)(p) for name, p in zip(_BOTTLENECKS, prompts, strict=True)]
        others = prompts + torch.stack(adapted)  # the same for every image
        tokens, own = x, prompts[modality]  # [B, 4, W]
        if not self.is_first:
            tokens, carry = x[:, :-N_PROMPTS], x[:, -N_PROMPTS:]
            own = carry + self.adapter_transfer(carry) + own
        is_own = torch.arange(3, device=x.device) == modality[:, None]  # [B, 3]
        slots = torch.where(is_own[:, :, None, None], own[:, None], others[None])  # [B, 3, 4, W]
        return torch.cat([tokens, slots.flatten(1, 2)], dim=1)


class HostTower(nn.Module):
    """open_clip's image tower with a host model's parts; stands in its place as ``clip.visual``.

    Parameters
    ----------
    visual
        The tower whose layers are taken over.
    grid
        Rows and columns of patch tokens, which fix the number of position embeddings.
    parts
        What to add. With neither prompts nor adapters the blocks stay open_clip's own.
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
        if (self.parts.n_cameras and camera is None) or (self.parts.has_prompts and modality is None):
            raise OptionError(
                "this tower reads the camera or the modality of an image: got neither; use Model.encode"
            )
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
        """Draw the camera table and the second token; everything else draws itself or is drawn by the caller."""
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
    """What a tower reads beside the pixels: nothing, or camera rows and places in ``MODALITIES``, on the CPU.

    Parameters
    ----------
    visual
        A :class:`HostTower`, or open_clip's own, which reads nothing more.
    n_images
        How many images there are.
    camera, modality
        One for all, or one for each.

    Returns
    -------
    conditions
        Empty, or two tensors; -1 stands for the mean camera, 0 where a part is not there to read it.

    Raises
    ------
    OptionError
        If the tower needs one that is missing, has no use for a camera, or knows no such camera or modality.
    """
    parts = visual.parts if isinstance(visual, HostTower) else HostParts()
    if camera is not None and not parts.n_cameras:
        raise OptionError(
            "camera= needs a camera embedding, and none is applied with these weights: got "
            f"{camera}; leave it out"
        )
    if not isinstance(visual, HostTower):
        return ()
    rows, places = [0] * n_images, [0] * n_images
    if parts.n_cameras:
        rows = [_camera_row(each, parts.n_cameras) for each in _one_each(camera, n_images, "camera")]
    if parts.reads_modality:
        places = [_place(each) for each in _one_each(modality, n_images, "modality")]
    return torch.tensor(rows), torch.tensor(places)


def _bottleneck(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width // 2), QuickGELU(), nn.Dropout(0.0), nn.Linear(width // 2, width)
    )


def _one_each(given: object, n_images: int, name: str) -> list:
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [given] * n_images
    if len(given) != n_images:
        raise OptionError(f"{name}= is one for all images or one for each: got {len(given)} for {n_images}")
    return list(given)


def _camera_row(camera: object, n_cameras: int) -> int:
    if camera == MEAN_CAMERA:
        return -1
    is_whole = hasattr(camera, "__index__") and not isinstance(camera, bool)
    if not is_whole or not 0 <= camera < n_cameras:
        raise OptionError(
            f"these weights have a camera embedding of {n_cameras} rows, counted from 0: camera= is one of "
            f'0..{n_cameras - 1}, or "{MEAN_CAMERA}" for no known camera: got {camera!r}'
        )
    return int(camera)


def _place(modality: object) -> int:
    if modality not in MODALITIES:
        raise OptionError(
            f"these weights have prompts or heads for each modality: modality= is one of {', '.join(MODALITIES)}: "
            f"got {modality!r}"
        )
    return MODALITIES.index(modality)
