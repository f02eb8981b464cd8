"""State dicts of later versions of the published mixture of experts, brought to the first version's keys or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mswin_viz.errors import WeightsError

_GATE = "moe_fusion.gating_network."
_REFUSED = {
    "moe_fusion.gate_fusion.": "a gate in front of the experts (USE_GATE_FUSION)",
    "moe_fusion.attention_fusion.": "attention between the scales in front of the experts (USE_ATTENTION_FUSION)",
}
_WAY_OUT = 'load the tower alone, addon="mean" or None'
_TINY = -1e9
"""In place of the logarithm of a weight of zero; its softmax is exactly zero."""


def mixture_state(
    state: Mapping[str, torch.Tensor], path: str | Path, *, fixed: Sequence[float] | None = None
) -> dict[str, torch.Tensor]:
    """The same mixture under the keys of the first version; WeightsError if it has parts that are not read here, or no gate.

    The keys of ``state`` are those below ``BACKBONE.clip_multi_scale_moe.``; ``path`` is for messages. ``fixed`` are the
    experts' weights of a run without a gate: they become a gate that answers with them for every image.
    """
    _refuse_later_parts(state, path)
    dropped = f"{_GATE}gate_output." if fixed is None else _GATE
    kept = {key: value for key, value in state.items() if not key.startswith(dropped)}
    if fixed is not None:
        return kept | _constant_gate(kept, fixed, path)
    if not any(key.startswith(_GATE) for key in kept) and any(".experts." in key for key in kept):
        raise WeightsError(
            f"a mixture of experts needs a gate, moe_fusion.gating_network.*: {path} has none; a run with fixed weights "
            f"(MOE_USE_FIXED_WEIGHTS) stores neither gate nor weights: give the run's configuration, or {_WAY_OUT}"
        )
    return kept


def _refuse_later_parts(state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    for prefix, what in _REFUSED.items():
        if any(key.startswith(prefix) for key in state):
            raise WeightsError(
                f"a mixture's experts read the pooled windows: {path} has {what}, {prefix}*, of a later version of "
                f"the host code, which is not read here; {_WAY_OUT}"
            )
    first, second = (state.get(f"moe_fusion.experts.0.expert.{i}.weight") for i in (1, 3))
    if first is None and second is not None:
        raise WeightsError(
            f"an expert is Linear, LayerNorm, GELU in turn: {path} has experts without LayerNorms "
            "(moe_fusion.experts.0.expert.3.weight and no expert.1), of a later version of the host code, which are "
            f"not read here; {_WAY_OUT}"
        )


def _constant_gate(
    state: Mapping[str, torch.Tensor], fixed: Sequence[float], path: str | Path
) -> dict[str, torch.Tensor]:
    """One layer of zeros whose biases are the logarithms of the weights."""
    kernels = [
        value for key, value in state.items() if ".sliding_windows." in key and key.endswith(".weight")
    ]
    if len(kernels) != len(fixed):
        raise WeightsError(
            f"MOE_FIXED_WEIGHTS needs one weight for each expert: got {len(fixed)} for the {len(kernels)} of {path}"
        )
    weights = torch.tensor(fixed, dtype=torch.float64)
    bias = torch.where(weights > 0, weights.log(), torch.full_like(weights, _TINY)).float()
    width = sum(kernel.shape[0] if kernel.ndim else 0 for kernel in kernels)
    return {f"{_GATE}gate.0.weight": torch.zeros(len(fixed), width), f"{_GATE}gate.0.bias": bias}
