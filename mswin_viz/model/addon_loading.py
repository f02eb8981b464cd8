"""The add-on behind a tower: the one that is named, or the one that comes with the tower's weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mswin_viz.model.addon.mixture import MixtureOfExpertsAddon
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.host.addons import addon_keys, host_addon
from mswin_viz.model.weights.checkpoints import Addon, load_addon
from mswin_viz.model.weights.clip_towers import Tower
from mswin_viz.model.weights.embedded_config import EMBEDDED

_UNTRAINED = "untrained window mean, zero shift"


@dataclass(frozen=True, eq=False)
class ChosenAddon:
    """The add-on behind a tower, None for plain CLIP; where it comes from, in words; its keys in the tower's file."""

    module: Addon | None
    origin: str
    keys: tuple[str, ...] = ()


def addon_of(addon: str | Path | None, name: str | Path, tower: Tower) -> ChosenAddon:
    """The add-on that ``addon=`` of :func:`mswin_viz.load_model` means for a tower."""
    if addon is None:
        return ChosenAddon(None, "none: plain CLIP")
    if addon not in ("default", "mean"):
        module = load_addon(addon)
        return ChosenAddon(module, f"{_in_words(module)} from {Path(addon).name}")
    if addon == "default" and name == "embedded" and (EMBEDDED / "addon.safetensors").is_file():
        module = load_addon(EMBEDDED / "addon.safetensors")
        return ChosenAddon(module, f"{_in_words(module)}, trained here on synthetic pedestrians")
    module = host_addon(tower) if addon == "default" and tower.state is not None else None
    if module is not None:
        return ChosenAddon(module, f"{_in_words(module)}, from the same file", addon_keys(tower, module))
    origin = _UNTRAINED if addon == "mean" else f"no add-on comes with these weights: {_UNTRAINED}"
    return ChosenAddon(CLIPMultiScaleFeatureExtractor(tower.dim, init="mean"), origin)


def _in_words(module: Addon) -> str:
    scales = f"scales {'/'.join(str(scale) for scale in module.scales)}"
    if not isinstance(module, MixtureOfExpertsAddon):
        return scales
    top = "" if module.top_k is None else f", top {module.top_k.k} ({module.top_k.mode})"
    return f"mixture of experts, {scales}, temperature {module.temperature:g}{top}"
