"""The add-on that comes with a host model's tower: its windows or its mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mswin_viz.errors import WeightsError
from mswin_viz.model.checkpoints import HOST_MIXTURE, HOST_WINDOWS, addon_in
from mswin_viz.model.config import HostConfig
from mswin_viz.model.mixture import MixtureOfExpertsAddon, TopK
from mswin_viz.model.mixture_files import mixture_state
from mswin_viz.model.towers import Tower

__all__ = ["addon_keys", "host_addon"]

State = Mapping[str, torch.Tensor]


def host_addon(tower: Tower) -> torch.nn.Module | None:
    """The add-on that belongs to a host tower; None where it was trained without one.

    Raises
    ------
    WeightsError
        If the configuration asks for one that the file lacks or left untrained, or one of other scales or sizes.
    """
    config, state = tower.config, tower.state or {}
    kind = None if config is None else config.addon_kind
    prefix = {"mixture": HOST_MIXTURE, "windows": HOST_WINDOWS}.get(kind)
    if kind == "none":
        return None
    if prefix is not None and not any(key.startswith(prefix) for key in state):
        inner = "multi_scale_extractor" if kind == "mixture" else "multi_scale_window"
        raise WeightsError(
            f"{config.source} has the multi-scale add-on on: {tower.weights} is a baseline without it, missing "
            f"{prefix}{inner}.sliding_windows.0.weight and all others of {prefix}*; load the checkpoint of that run, "
            'or addon="mean" or None for the tower alone'
        )
    if kind == "windows" and (mixture := next((key for key in state if key.startswith(HOST_MIXTURE)), None)):
        raise WeightsError(
            f"windows beside a mixture of experts were never trained: USE_MULTI_SCALE_MOE is off in {config.source}, and "
            f'{tower.weights} has a mixture, {mixture} and more; give the configuration of that run, or addon="mean" or '
            "None for the tower alone"
        )
    chosen = {key: value for key, value in state.items() if prefix is None or key.startswith(prefix)}
    if config is None:
        return addon_in(chosen, tower.weights)
    return _configured_addon(chosen, config, tower.weights)


def addon_keys(tower: Tower, addon: torch.nn.Module) -> tuple[str, ...]:
    """Keys of a host checkpoint that an add-on from :func:`host_addon` reads."""
    is_mixture = isinstance(addon, MixtureOfExpertsAddon)
    prefix = HOST_MIXTURE if is_mixture else HOST_WINDOWS
    idle = [
        f"{HOST_MIXTURE}multi_scale_extractor.fusion.",
        f"{HOST_MIXTURE}moe_fusion.gating_network.gate_output.",
    ]
    if is_mixture and tower.config is not None and tower.config.moe_use_fixed_weights:
        idle.append(f"{HOST_MIXTURE}moe_fusion.gating_network.")
    return tuple(
        key for key in tower.state or {} if key.startswith(prefix) and not key.startswith(tuple(idle))
    )


def _configured_addon(state: State, config: HostConfig, weights: str) -> torch.nn.Module | None:
    """The windows or the mixture that a configuration asks for, with what no file holds."""
    is_mixture = config.addon_kind == "mixture"
    if is_mixture:
        _refuse_fusion(config)
        fixed = config.moe_fixed_weights if config.moe_use_fixed_weights else None
        own = {key.removeprefix(HOST_MIXTURE): value for key, value in state.items()}
        state = {HOST_MIXTURE + key: value for key, value in mixture_state(own, weights, fixed=fixed).items()}
        temperature = 1.0 if fixed else config.moe_temperature
        addon = addon_in(state, weights, temperature=temperature)
    else:
        addon = addon_in(state, weights)
    if addon is None:
        return None
    _check_agreement(addon, config, weights)
    if is_mixture and config.moe_use_top_k_routing:
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
            f"MODEL.{on[0].upper()} puts a module in front of the experts that is not read here: {config.source} has "
            'it on, so the mixture would differ; load the tower alone, addon="mean" or None'
        )


def _check_agreement(addon: torch.nn.Module, config: HostConfig, weights: str) -> None:
    """Sizes that the configuration gives must be those of the file."""
    given = {"CLIP_MULTI_SCALE_SCALES": (config.clip_multi_scale_scales, addon.scales)}
    if isinstance(addon, MixtureOfExpertsAddon):
        fusion = addon.moe_fusion
        found = (len(fusion.experts[0].expert[0].weight), len(fusion.experts[0].expert) // 4)
        given = {
            "MOE_SCALES": (config.moe_scales, addon.scales),
            "MOE_EXPERT_LAYERS": (config.moe_expert_layers, found[1]),
        }
        if not config.moe_use_fixed_weights:
            given["MOE_GATE_LAYERS"] = (config.moe_gate_layers, len(fusion.gating_network.gate) // 4 + 1)
        if found[1] > 1:  # a single layer has no hidden width
            given["MOE_EXPERT_HIDDEN_DIM"] = (config.moe_expert_hidden_dim, found[0])
    wrong = [
        f"{key} {want} against {have}" for key, (want, have) in given.items() if want not in (None, have)
    ]
    if wrong:
        raise WeightsError(
            f"{config.source} and {weights} must come from one run: {'; '.join(wrong)} in the file. If they are (early "
            "versions of the host code did not read these keys), take them out of a copy of the configuration: sizes "
            "are then read off the file"
        )
