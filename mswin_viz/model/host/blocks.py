"""The parts a host tower adds to CLIP, and its transformer block: see :mod:`mswin_viz.model.host.tower`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from open_clip.transformer import QuickGELU
from torch import nn

from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_PROMPTS = 4
"""Prompts of one modality in one block; fixed in the published code."""
_PROMPTS = ("adapter_prompt_rgb", "adapter_prompt_nir", "adapter_prompt_tir")
_BOTTLENECKS = ("adapter_r", "adapter_n", "adapter_t")
_TWO_TOKENS = {
    "specific": "a second token for what the modalities share, whose own feature is left out",
    "shared": "the feature of a second token for what the modalities share (the class token's is left out)",
}
"""Words for each token that can lead where there are two."""


@dataclass(frozen=True)
class HostParts:
    """What a host tower has beside CLIP's own weights.

    ``leading_token`` is None, or where there are two tokens the one whose feature is taken: ``"specific"``, the class
    token, or ``"shared"``, the second one. The other one follows the patches.
    """

    stride: tuple[int, int] = (16, 16)  # of the patch convolution, pixels down and across
    has_prompts: bool = False  # in every block
    has_adapters: bool = False
    n_cameras: int = 0  # rows of the camera table
    sie_coe: float = 1.0  # factor on a row of the table
    adapter_width: int | None = None  # None: twice the tower's, as in MambaPro
    has_heads: bool = False  # a head for each modality follows the tower, so that the modality must be known
    leading_token: str | None = None

    @property
    def reads_modality(self) -> bool:
        """Whether an image's feature depends on the modality that is given for it."""
        return self.has_prompts or self.has_heads

    @property
    def words(self) -> str:
        """The parts in words."""
        cameras = f"camera embedding of {counted(self.n_cameras, 'cameras')}, factor {self.sie_coe:g}"
        words = [
            *([cameras] if self.n_cameras else []),
            *(["prompts for each modality"] if self.has_prompts else []),
            *(["adapters beside the MLPs"] if self.has_adapters else []),
            *([_TWO_TOKENS[self.leading_token]] if self.leading_token else []),
            *(["a head for each modality"] if self.has_heads else []),
            *([f"stride {self.stride[0]}x{self.stride[1]}"] if self.stride != (16, 16) else []),
        ]
        return ", ".join(words) or "none"


class HostBlock(nn.Module):
    """open_clip's ``ResidualAttentionBlock`` with the prompts and the adapter beside the MLP that ``parts`` asks for.

    No mean of prompts enters the first block.
    """

    adapter_transfer: nn.Module

    def __init__(self, block: nn.Module, parts: HostParts, *, is_first: bool) -> None:
        super().__init__()
        width = len(block.get_parameter("ln_1.weight"))
        self.is_first, self.has_prompts, self.has_adapters = is_first, parts.has_prompts, parts.has_adapters
        self.ln_1, self.attn = block.get_submodule("ln_1"), block.get_submodule("attn")
        self.ln_2, self.mlp = block.get_submodule("ln_2"), block.get_submodule("mlp")
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
        """The state behind this block; ``modality`` holds positions in ``MODALITIES``, which only prompts read."""
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
        """Initialise the prompts; layers initialise everything else."""
        for name in _PROMPTS if self.has_prompts else ():
            nn.init.normal_(getattr(self, name), std=0.02)

    def _with_prompts(
        self, x: Float[torch.Tensor, "batch state width"], modality: Int[torch.Tensor, " batch"] | None
    ) -> Float[torch.Tensor, "batch longer_state width"]:
        """Tokens, then the prompts of RGB, NI and TI; those of an image's own modality carry on what came in."""
        if modality is None:
            raise unconditioned("modality")
        prompts = torch.stack([getattr(self, name) for name in _PROMPTS])  # [3, 4, W]
        adapted = [getattr(self, name)(p) for name, p in zip(_BOTTLENECKS, prompts, strict=True)]
        others = prompts + torch.stack(adapted)  # the same for every image
        tokens, active = x, prompts[modality]  # [B, 4, W]
        if not self.is_first:
            tokens, carry = x[:, :-N_PROMPTS], x[:, -N_PROMPTS:]
            active = carry + self.adapter_transfer(carry) + active
        is_active = torch.arange(3, device=x.device) == modality[:, None]  # [B, 3]
        slots = torch.where(is_active[:, :, None, None], active[:, None], others[None])  # [B, 3, 4, W]
        return torch.cat([tokens, slots.flatten(1, 2)], dim=1)


def unconditioned(name: str) -> OptionError:
    """The error for a tower that is run without the camera or modality it reads."""
    return OptionError(f"this tower reads the {name} of an image: got none; use Model.encode")


def _bottleneck(width: int) -> nn.Sequential:
    inner = width // 2
    return nn.Sequential(nn.Linear(width, inner), QuickGELU(), nn.Dropout(0.0), nn.Linear(inner, width))
