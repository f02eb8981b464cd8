"""What a host tower has beside CLIP's own weights, and its transformer block: see :mod:`mswin_viz.model.host.tower`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from open_clip.transformer import QuickGELU
from torch import nn

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
    """One transformer block with prompts and an adapter beside the MLP, each where asked for.

    Parameters
    ----------
    block
        open_clip's ``ResidualAttentionBlock``, whose norms, attention and MLP are taken over.
    parts
        What to add.
    is_first
        Whether no mean of prompts comes in from a block before.
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
    """What to say where a tower is run without the camera or modality that it reads."""
    return OptionError(f"this tower reads the {name} of an image: got none; use Model.encode")


def _bottleneck(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width // 2), QuickGELU(), nn.Dropout(0.0), nn.Linear(width // 2, width)
    )
