"""The mixture-of-experts add-on: one expert for each window scale, weighed by a gate that sees all scales.

The windows are those of scheme 1 (:mod:`mswin_viz.model.addon.sliding_window`). What each scale pools goes through an
expert of its own; a softmax over scales, computed from all pooled vectors, mixes the experts' answers, and one
more layer gives the vector that the caller adds to the CLS token. The gate is dense, every expert always counts,
unless the configuration of a run lets only the largest weights through (:class:`TopK`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.parts import GatedExperts, WindowParts
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleSlidingWindow

if TYPE_CHECKING:
    from jaxtyping import Float

_DROPOUT = 0.1  # off in evaluation mode; kept for its place in the key numbers


@dataclass(frozen=True)
class TopK:
    """Only the largest of a gate's weights count, as later versions of the published mixture have it.

    Attributes
    ----------
    k
        How many experts count for an image, at least 1; the others get exactly zero.
    mode
        ``"soft"``: the weights that are left are divided by their sum. ``"hard"``: they stay as they are, so that a
        row adds up to less than one.
    """

    k: int
    mode: str = "soft"

    def __post_init__(self) -> None:
        if self.mode not in ("soft", "hard") or self.k < 1:
            raise OptionError(
                f'top-k routing keeps at least one expert, in mode "soft" or "hard": got {self.k} and {self.mode!r}'
            )

    def __call__(self, weights: Float[torch.Tensor, "*batch scale"]) -> Float[torch.Tensor, "*batch scale"]:
        """The weights with all but the ``k`` largest of each row set to zero."""
        places = weights.topk(self.k, dim=-1).indices
        kept = weights * torch.zeros_like(weights).scatter(-1, places, 1.0)
        return kept / kept.sum(dim=-1, keepdim=True) if self.mode == "soft" else kept


class MixtureOfExpertsAddon(nn.Module):
    """Windows of several scales, an expert for each, a softmax gate over them.

    State-dict keys are the published ones, ``multi_scale_extractor.*`` and ``moe_fusion.*``. The extractor's own
    ``fusion`` is stored there and never read.

    Parameters
    ----------
    feat_dim
        Width ``D`` of the tokens.
    scales
        Window lengths in tokens; one expert each.
    hidden_dim
        Width inside an expert.
    expert_layers, gate_layers
        How many Linears an expert and the gate have.
    temperature
        The gate's logits are divided by it. It is in no state dict: the configuration of a run gives it.

    Attributes
    ----------
    top_k
        How the gate's weights are thinned out, which is in no state dict either; None: every expert counts.

    Raises
    ------
    OptionError
        If a number of layers is below 1 or the temperature is not positive.
    ScaleError
        If a scale is not a whole number of at least 1.

    Examples
    --------
    >>> mixture = mv.MixtureOfExpertsAddon(512, (4, 8, 16), hidden_dim=64, temperature=0.5).eval()
    >>> tuple(mixture(tokens.patches).shape)
    (4, 512)
    >>> [round(value, 4) for value in mixture.gate(tokens.patches).sum(dim=1).tolist()]  # of each image
    [1.0, 1.0, 1.0, 1.0]
    >>> mixture.description
    'mixture of experts, scales 4/8/16, temperature 0.5'
    """

    def __init__(
        self,
        feat_dim: int = 512,
        scales: Sequence[int] = (4, 8, 16),
        *,
        hidden_dim: int = 1024,
        expert_layers: int = 2,
        gate_layers: int = 2,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if min(hidden_dim, expert_layers, gate_layers) < 1 or not _is_temperature(temperature):
            raise OptionError(
                "experts and gate have at least one layer and a temperature above 0: got hidden_dim "
                f"{hidden_dim}, expert_layers {expert_layers}, gate_layers {gate_layers}, temperature {temperature}"
            )
        self.temperature = float(temperature)
        self.top_k: TopK | None = None
        self.multi_scale_extractor = CLIPMultiScaleSlidingWindow(feat_dim, scales)
        width = feat_dim * len(self.scales)
        self.multi_scale_extractor.fusion = nn.Sequential(
            nn.Linear(width, feat_dim), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(feat_dim, feat_dim)
        )
        self.moe_fusion = _Fusion(feat_dim, len(self.scales), (hidden_dim, expert_layers, gate_layers))

    def forward(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The vector to add to the CLS token."""
        pooled = self.multi_scale_extractor.pooled(patches)
        gate = self._gate(pooled)  # [B, E]
        experts = [expert(f) + f for expert, f in zip(self.moe_fusion.experts, pooled, strict=True)]
        mixed = (gate[:, :, None] * torch.stack(experts, dim=1)).sum(dim=1)
        return self.moe_fusion.final_fusion(mixed)

    def gate(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch scale"]:
        """The weight of each scale's expert; at least 0, a row adds up to one unless ``top_k`` is hard."""
        return self._gate(self.multi_scale_extractor.pooled(patches))

    @property
    def windows(self) -> CLIPMultiScaleSlidingWindow:
        """The sliding windows inside."""
        return self.multi_scale_extractor

    @property
    def scales(self) -> tuple[int, ...]:
        """Window lengths in tokens, in the order of the experts."""
        return self.multi_scale_extractor.scales

    @property
    def feat_dim(self) -> int:
        """Width of the tokens the module reads."""
        return self.multi_scale_extractor.feat_dim

    @property
    def description(self) -> str:
        """Its scales, temperature and routing, in words."""
        top = "" if self.top_k is None else f", top {self.top_k.k} ({self.top_k.mode})"
        scales = "/".join(map(str, self.scales))
        return f"mixture of experts, scales {scales}, temperature {self.temperature:g}{top}"

    def window_parts(self) -> WindowParts:
        """Its layers, by what they do."""
        experts, gate = tuple(self.moe_fusion.experts), self.moe_fusion.gating_network.gate
        fusion = GatedExperts(experts, gate, self.temperature, self.moe_fusion.final_fusion, self.top_k)
        return WindowParts(self.windows, fusion, settings=(self.temperature, self.top_k))

    def _gate(self, pooled: Sequence[torch.Tensor]) -> torch.Tensor:
        logits = self.moe_fusion.gating_network.gate(torch.cat(list(pooled), dim=1))
        weights = (logits / self.temperature).softmax(dim=1)
        return weights if self.top_k is None else self.top_k(weights)


class _Fusion(nn.Module):
    """The experts, the gate and the last layer, under their published names."""

    def __init__(self, dim: int, n_scales: int, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        hidden, expert_layers, gate_layers = sizes
        self.experts = nn.ModuleList(_Expert(dim, hidden, expert_layers) for _ in range(n_scales))
        self.gating_network = _Gate(dim * n_scales, n_scales, gate_layers)
        self.final_fusion = nn.Sequential(*_layers([dim, dim]))


class _Expert(nn.Module):
    def __init__(self, dim: int, hidden: int, n_layers: int) -> None:
        super().__init__()
        self.expert = nn.Sequential(*_layers([dim, *[hidden] * (n_layers - 1), dim]))

    def forward(self, x: Float[torch.Tensor, "batch dim"]) -> Float[torch.Tensor, "batch dim"]:
        return self.expert(x)


class _Gate(nn.Module):
    def __init__(self, width: int, n_scales: int, n_layers: int) -> None:
        super().__init__()
        widths = [width, *[width // 2] * (n_layers - 1)]
        self.gate = nn.Sequential(*_layers(widths), nn.Linear(widths[-1], n_scales))


def _layers(widths: Sequence[int]) -> list[nn.Module]:
    """Linear, LayerNorm, GELU and Dropout from each width to the next."""
    layers: list[nn.Module] = []
    for width, following in itertools.pairwise(widths):
        layers += [nn.Linear(width, following), nn.LayerNorm(following), nn.GELU(), nn.Dropout(_DROPOUT)]
    return layers


def _is_temperature(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
