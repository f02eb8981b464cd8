"""The add-on behind a tower: the one that is named, or the one that comes with the tower's weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mswin_viz.errors import WeightsNotFoundError
from mswin_viz.model.addon.own import Addon, AddonSource, is_addon_source, prepared_addon
from mswin_viz.model.addon.parts import addon_words
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.encoder.image_tower import image_tower
from mswin_viz.model.host.addons import addon_keys, host_addon
from mswin_viz.model.weights.checkpoints import StoredAddon, load_addon
from mswin_viz.model.weights.clip_towers import Tower
from mswin_viz.model.weights.embedded_config import EMBEDDED

_UNTRAINED = "untrained window mean, zero shift"


@dataclass(frozen=True, eq=False)
class ChosenAddon:
    """The add-on behind a tower, None for plain CLIP; where it comes from, in words; its keys in the tower's file."""

    module: StoredAddon | Addon | None
    origin: str
    keys: tuple[str, ...] = ()


def addon_of(addon: AddonSource | Path | None, name: str | Path, tower: Tower) -> ChosenAddon:
    """The add-on that ``addon=`` of :func:`mswin_viz.load_model` means for a tower."""
    if addon is None:
        return ChosenAddon(None, "none: plain CLIP")
    if is_addon_source(addon):
        rows, cols = image_tower(tower.clip).grid_size
        module = prepared_addon(addon, tower.dim, rows * cols)
        how = "" if isinstance(module, Addon) else ", passed as a module"
        return ChosenAddon(module, f"{addon_words(module)}{how}")
    if addon not in ("default", "mean"):
        path = cast("str | Path", addon)
        try:
            module = load_addon(path)
        except WeightsNotFoundError as problem:
            raise WeightsNotFoundError(
                f'{problem}; to import your own module, write "package.module:Name", with a colon and without ".py"'
            ) from problem
        return ChosenAddon(module, f"{addon_words(module)} from {Path(path).name}")
    if addon == "default" and name == "embedded" and (EMBEDDED / "addon.safetensors").is_file():
        module = load_addon(EMBEDDED / "addon.safetensors")
        return ChosenAddon(module, f"{addon_words(module)}, trained here on synthetic pedestrians")
    module = host_addon(tower) if addon == "default" and tower.state is not None else None
    if module is not None:
        return ChosenAddon(module, f"{addon_words(module)}, from the same file", addon_keys(tower, module))
    origin = _UNTRAINED if addon == "mean" else f"no add-on comes with these weights: {_UNTRAINED}"
    return ChosenAddon(CLIPMultiScaleFeatureExtractor(tower.dim, init="mean"), origin)
