"""Which add-on stands behind a tower: the one asked for, or the one that comes with the tower's weights."""

from __future__ import annotations

from pathlib import Path

from mswin_viz.model.checkpoints import load_addon
from mswin_viz.model.embedded_config import EMBEDDED
from mswin_viz.model.host_addons import addon_keys, host_addon
from mswin_viz.model.mixture import MixtureOfExpertsAddon
from mswin_viz.model.sliding_window import CLIPMultiScaleFeatureExtractor, CLIPWithProjectionMultiScale
from mswin_viz.model.towers import Tower

__all__ = ["Addon", "addon_of"]

Addon = CLIPMultiScaleFeatureExtractor | CLIPWithProjectionMultiScale | MixtureOfExpertsAddon
_UNTRAINED = "untrained window mean, zero shift"


def addon_of(
    addon: str | Path | None, name: str | Path, tower: Tower, width: int
) -> tuple[Addon | None, str, tuple[str, ...]]:
    """The add-on, where it comes from, and the keys of the tower's file that it took."""
    if addon is None:
        return None, "none: plain CLIP", ()
    if addon == "mean":
        return CLIPMultiScaleFeatureExtractor(width, init="mean"), _UNTRAINED, ()
    if addon != "default":
        module = load_addon(addon)
        return module, f"{_in_words(module)} from {Path(addon).name}", ()
    if name == "embedded" and (EMBEDDED / "addon.safetensors").is_file():
        module = load_addon(EMBEDDED / "addon.safetensors")
        return module, f"{_in_words(module)}, trained here on synthetic pedestrians", ()
    found = host_addon(tower) if tower.state is not None else None
    if found is not None:
        return found, f"{_in_words(found)}, from the same file", addon_keys(tower, found)
    mean = CLIPMultiScaleFeatureExtractor(width, init="mean")
    return mean, f"none comes with these weights: {_UNTRAINED}", ()


def _in_words(module: Addon) -> str:
    scales = f"scales {'/'.join(str(scale) for scale in module.scales)}"
    if not isinstance(module, MixtureOfExpertsAddon):
        return scales
    top = "" if module.top_k is None else f", top {module.top_k.k} ({module.top_k.mode})"
    return f"mixture of experts, {scales}, temperature {module.temperature:g}{top}"
