"""The add-on that comes with a host model's tower: its windows or its mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mswin_viz.errors import WeightsError
from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon, TopK
from mswin_viz.model.addon.mixture_files import mixture_state
from mswin_viz.model.weights.checkpoints import HOST_MIXTURE, HOST_WINDOWS, Addon, addon_in, mixture_sizes
from mswin_viz.model.weights.clip_towers import Tower
from mswin_viz.model.weights.host_config import HostConfig

State = Mapping[str, torch.Tensor]


def host_addon(tower: Tower) -> Addon | None:
    """The add-on that belongs to a host tower; None where it was trained without one."""
    config, state = tower.config, tower.state or {}
    if config is None:
        return addon_in(state, tower.weights)
    if config.addon_kind == "none":
        return None
    prefix, inner = HOST_WINDOWS, "multi_scale_window"
    if is_mixture := config.addon_kind == "mixture":
        prefix, inner = HOST_MIXTURE, "multi_scale_extractor"
    chosen = {key: value for key, value in state.items() if key.startswith(prefix)}
    if not chosen:
        raise WeightsError(
            f"{config.source} has the multi-scale add-on on: {tower.weights} is a baseline without it, missing "
            f"{prefix}{inner}.sliding_windows.0.weight and all other keys {prefix}*; load the checkpoint of that run, "
            'or pass addon="mean" or None for the tower alone'
        )
    mixture = [key for key in state if key.startswith(HOST_MIXTURE)]
    if mixture and not is_mixture:
        raise WeightsError(
            f"windows beside a mixture of experts were never trained: USE_MULTI_SCALE_MOE is off in {config.source}, but "
            f"{tower.weights} has a mixture, {mixture[0]} and more; give the configuration of that run, or pass "
            'addon="mean" or None for the tower alone'
        )
    if is_mixture:
        return _mixture(chosen, config, tower.weights)
    addon = addon_in(chosen, tower.weights)
    if addon is not None:
        scales = {"CLIP_MULTI_SCALE_SCALES": (config.clip_multi_scale_scales, addon.scales)}
        _check_agreement(scales, config, tower.weights)
    return addon


def addon_keys(tower: Tower, addon: Addon) -> tuple[str, ...]:
    """Keys of a host checkpoint that an add-on from :func:`host_addon` reads."""
    is_mixture = isinstance(addon, MixtureOfExpertsAddon)
    prefix = HOST_MIXTURE if is_mixture else HOST_WINDOWS
    gate = f"{HOST_MIXTURE}moe_fusion.gating_network."
    has_fixed_weights = tower.config is not None and tower.config.moe_use_fixed_weights
    idle = (
        f"{HOST_MIXTURE}multi_scale_extractor.fusion.",
        gate if has_fixed_weights else f"{gate}gate_output.",
    )
    return tuple(key for key in tower.state or {} if key.startswith(prefix) and not key.startswith(idle))


def _mixture(state: State, config: HostConfig, weights: str) -> Addon | None:
    """The mixture that a configuration asks for, with what no file holds."""
    _refuse_fusion(config)
    fixed = config.moe_fixed_weights if config.moe_use_fixed_weights else None
    below = {key.removeprefix(HOST_MIXTURE): value for key, value in state.items()}
    state = {HOST_MIXTURE + key: value for key, value in mixture_state(below, weights, fixed=fixed).items()}
    addon = addon_in(state, weights, temperature=1.0 if fixed else config.moe_temperature)
    if not isinstance(addon, MixtureOfExpertsAddon):
        return addon
    sizes = mixture_sizes(addon.state_dict(), weights)
    pairs: dict[str, tuple[Any, Any]] = {
        "MOE_SCALES": (config.moe_scales, addon.scales),
        "MOE_EXPERT_LAYERS": (config.moe_expert_layers, sizes.expert_layers),
    }
    if not config.moe_use_fixed_weights:
        pairs["MOE_GATE_LAYERS"] = (config.moe_gate_layers, sizes.gate_layers)
    if sizes.expert_layers > 1:  # a single layer has no hidden width
        pairs["MOE_EXPERT_HIDDEN_DIM"] = (config.moe_expert_hidden_dim, sizes.hidden_dim)
    _check_agreement(pairs, config, weights)
    if config.moe_use_top_k_routing:
        if config.moe_top_k > len(addon.scales):
            raise WeightsError(
                f"MOE_TOP_K is at most the number of experts, {len(addon.scales)} in {weights}: {config.source} has "
                f"{config.moe_top_k}; correct it there"
            )
        addon.top_k = TopK(config.moe_top_k, config.moe_top_k_mode)
    return addon


def _refuse_fusion(config: HostConfig) -> None:
    on = [name for name in ("use_gate_fusion", "use_attention_fusion") if getattr(config, name)]
    if on:
        raise WeightsError(
            f"MODEL.{on[0].upper()} puts a module in front of the experts that is not read here: it is on in "
            f'{config.source}, so the mixture would differ; load the tower alone, addon="mean" or None'
        )


def _check_agreement(pairs: Mapping[str, tuple[Any, Any]], config: HostConfig, weights: str) -> None:
    """Refuse sizes in the configuration that differ from the file's."""
    wrong = [
        f"{key} {want} against {have}" for key, (want, have) in pairs.items() if want not in (None, have)
    ]
    if wrong:
        raise WeightsError(
            f"{config.source} and {weights} must come from one run: {'; '.join(wrong)} in the file. If they are (early "
            "versions of the host code did not read these keys), take them out of a copy of the configuration: sizes "
            "are then read off the file"
        )
