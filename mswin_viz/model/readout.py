"""From a tower's projected tokens to the feature that retrieval compares, where a host model puts layers in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Neck", "Readout"]


@dataclass(frozen=True, eq=False)
class Neck:
    """A BatchNorm in evaluation mode, which is affine: ``scale * feature + offset``, channel by channel.

    Attributes
    ----------
    scale, offset
        ``[D]``; ``weight / sqrt(running_var + eps)`` and ``bias - scale * running_mean``.
    """

    scale: Float[torch.Tensor, " dim"]
    offset: Float[torch.Tensor, " dim"]

    @staticmethod
    def of(norm: nn.BatchNorm1d) -> Neck:
        """The affine map of a BatchNorm, from its running statistics; float32, computed in float64."""
        mean, variance, weight, bias = (
            tensor.detach().double()
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
    """The layers between a tower's tokens and its feature.

    Parameters
    ----------
    neck
        The host's BatchNorm behind the CLS feature.
    """

    def __init__(self, neck: nn.BatchNorm1d) -> None:
        super().__init__()
        affine = Neck.of(neck)
        self.register_buffer("neck_scale", affine.scale)
        self.register_buffer("neck_offset", affine.offset)

    @property
    def neck(self) -> Neck:
        """The BatchNorm as an affine map."""
        return Neck(self.neck_scale, self.neck_offset)

    def forward(
        self, cls: Float[torch.Tensor, "batch dim"], patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch dim"]:
        """The feature, from the projected CLS and patch tokens."""
        return self.neck(cls)
