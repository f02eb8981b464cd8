"""Makes the folder of an embedded model: the CLIP, the add-on on its frozen tokens, and the words it knows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import open_clip
import torch

from mswin_viz.data.crowds import Crowd
from mswin_viz.model.backbone import Model
from mswin_viz.model.checkpoints import save_addon, save_embedded
from mswin_viz.model.pretraining import pretrain
from mswin_viz.model.recipe import CLIP_CONFIG, Recipe
from mswin_viz.model.towers import embedded_tower
from mswin_viz.model.training import train_addon
from mswin_viz.model.worlds import modality_classes, world_tokens

__all__ = ["ADDON_PEOPLE", "fit_addon", "train_embedded_model", "write_embedded"]

SCALES = (4, 8, 16)
ADDON_PEOPLE = 300
"""People the add-on learns from: of the world after the recipe's, so that the CLIP has seen none of them."""


def train_embedded_model(recipe: Recipe, work: Path, *, device: str = "cpu") -> Path:
    """Run the whole recipe; resumable while the CLIP trains. Returns the finished folder, ``work/embedded``."""
    clip, token_ids = pretrain(recipe, work, device=device)
    return write_embedded(clip, token_ids, recipe, work / "embedded")


def write_embedded(clip: torch.nn.Module, token_ids: list[int], recipe: Recipe, folder: Path) -> Path:
    """Store a trained CLIP, fit the add-on on the stored (half-precision) weights, store it and the recipe."""
    config = {**CLIP_CONFIG, "mean": [0.5] * 3, "std": [0.5] * 3}
    save_embedded(clip, config, token_ids, folder)
    model = Model(embedded_tower(None, folder), None, "none yet", torch.device("cpu"))
    save_addon(fit_addon(model, recipe), folder / "addon.safetensors", dtype=torch.float16)
    decoder = open_clip.SimpleTokenizer().decoder
    words = sorted({word for token in token_ids if (word := decoder[token].removesuffix("</w>")).isalpha()})
    card = {"recipe": asdict(recipe), "addon_people": ADDON_PEOPLE, "words_with_meaning": words}
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return folder


def fit_addon(model: Model, recipe: Recipe) -> torch.nn.Module:
    """A scheme-1 add-on (4, 8, 16), shared by the modalities: one person in one modality is one class."""
    world = world_tokens(model, Crowd(ADDON_PEOPLE, recipe.seed + 1, shots=2), scales=SCALES)
    tokens, labels = modality_classes([world])
    return train_addon(tokens, labels, scales=SCALES, seed=recipe.seed).addon
