"""From a tower's projected tokens to the feature that retrieval compares, where a host model puts layers in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from open_clip.transformer import QuickGELU
from torch import nn

from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Neck:
    """A BatchNorm in evaluation mode, which is affine: ``scale * feature + offset``, channel by channel.

    ``scale`` is ``weight / sqrt(running_var + eps)``, ``offset`` is ``bias - scale * running_mean``.
    """

    scale: Float[torch.Tensor, " dim"]
    offset: Float[torch.Tensor, " dim"]

    @staticmethod
    def of(norm: nn.BatchNorm1d) -> Neck:
        """The affine map of a BatchNorm, from its running statistics; float32, computed in float64."""
        mean, variance, weight, bias = (
            tensor.detach().double()  # pyright: ignore[reportOptionalMemberAccess]  # a neck keeps statistics
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        scale = weight / (variance + norm.eps).sqrt()
        return Neck(scale.float(), (bias - scale * mean).float())

    def __call__(self, features: Float[torch.Tensor, "*batch dim"]) -> Float[torch.Tensor, "*batch dim"]:
        """The features behind the BatchNorm."""
        return features * self.scale + self.offset

    def to(self, device: torch.device) -> Neck:
        """The same on a device."""
        return Neck(self.scale.to(device), self.offset.to(device))


class Readout(nn.Module):
    """The layers between a tower's tokens and its feature: a BatchNorm, or a head for each modality; no published code has both.

    Parameters
    ----------
    neck
        The host's BatchNorm behind the CLS feature.
    heads
        For RGB, NI and TI, a module from ``[B, 2 D]``, the CLS feature beside the mean patch feature, to ``[B, D]``
        (:func:`modality_head`).
    """

    neck_scale: torch.Tensor
    neck_offset: torch.Tensor

    def __init__(
        self, neck: nn.BatchNorm1d | None = None, *, heads: Sequence[nn.Module] | None = None
    ) -> None:
        super().__init__()
        if (neck is None) == (heads is None):
            raise OptionError(
                "a readout is a neck or the heads of the modalities: got both or neither; give one"
            )
        self.heads = None if heads is None else nn.ModuleList(heads)
        if neck is not None:
            affine = Neck.of(neck)
            self.register_buffer("neck_scale", affine.scale)
            self.register_buffer("neck_offset", affine.offset)

    @property
    def neck(self) -> Neck | None:
        """The BatchNorm as an affine map; None where heads read out."""
        return Neck(self.neck_scale, self.neck_offset) if self.heads is None else None

    @property
    def reads_patches(self) -> bool:
        """Whether the feature depends on the patch tokens at the tower's output."""
        return self.heads is not None

    @property
    def words(self) -> dict[str, str]:
        """What it is, for a model's provenance; name -> words."""
        if self.heads is not None:
            return {
                "heads": "GLOBAL_LOCAL: a head of each modality fuses the CLS feature with the mean patch feature; "
                "that is the plain CLS here"
            }
        return {
            "neck": "NECK_FEAT after: plain and enhanced CLS and every share are behind the host's BatchNorm; "
            "activations of windows are before it"
        }

    def forward(
        self,
        cls: Float[torch.Tensor, "batch dim"],
        patches: Float[torch.Tensor, "batch token dim"],
        modality: Int[torch.Tensor, " batch"] | None = None,
    ) -> Float[torch.Tensor, "batch dim"]:
        """The feature, from the projected CLS and patch tokens; heads read the places in ``MODALITIES``."""
        if self.heads is None:
            return Neck(self.neck_scale, self.neck_offset)(cls)
        if modality is None:
            raise OptionError("the heads of the modalities need modality=: got none; use Model.encode")
        joined = torch.cat([cls, patches.mean(dim=1)], dim=1)  # [B, 2 D]
        each = torch.stack([head(joined) for head in self.heads], dim=1)  # [B, 3, D]
        return each[torch.arange(len(each), device=each.device), modality.to(each.device)]


def modality_head(dim: int) -> nn.Sequential:
    """LayerNorm, Linear and QuickGELU from ``[B, 2 D]`` to ``[B, D]``, with the published numbers in its keys."""
    return nn.Sequential(nn.LayerNorm(2 * dim), nn.Linear(2 * dim, dim), QuickGELU())
