"""Makes the folder of an embedded model: a CLIP, an add-on fitted on its frozen tokens, and the words it knows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import cast

import open_clip
import torch

from mswin_viz.data.storage.file_writing import is_unfinished, new_folder, write_json
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.data.synthetic.crowd import Crowd
from mswin_viz.errors import OutputError
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.pretraining.recipe import CLIP_CONFIG, Recipe
from mswin_viz.model.pretraining.run import pretrain
from mswin_viz.model.training.fit import train_addon
from mswin_viz.model.training.labelled_tokens import labelled_tokens, modality_classes
from mswin_viz.model.weights.addon_files import save_addon
from mswin_viz.model.weights.clip_towers import embedded_tower
from mswin_viz.model.weights.embedded_config import EMBEDDED_FILES, save_embedded

SCALES = (4, 8, 16)
ADDON_PEOPLE = 300
"""People the add-on learns from: of the world after the recipe's, so that the CLIP has seen none of them."""


def train_embedded_model(recipe: Recipe, work: Path, *, device: str = "cpu") -> Path:
    """Run the whole recipe; resumable while the CLIP trains. Returns the finished folder, ``work/embedded``.

    OutputError if it cannot be written, or holds other files; nothing has been trained then.
    """
    folder = finished_folder(output_folder(work, "work"))
    clip, token_ids = pretrain(recipe, folder.parent, device=device)
    return write_embedded(clip, token_ids, recipe, folder)


def finished_folder(work: Path) -> Path:
    """Where the finished model goes; it is replaced as a whole. OutputError if other files lie there."""
    folder = output_folder(work / "embedded", "the folder of the finished model")
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else ()
    if other := [name for name in names if name not in EMBEDDED_FILES and not is_unfinished(name)]:
        raise OutputError(
            f"the finished model replaces its folder: {folder} also holds {other[0]}; move other files away"
        )
    return folder


def write_embedded(clip: open_clip.CLIP, token_ids: list[int], recipe: Recipe, folder: Path) -> Path:
    """Store a trained CLIP, fit the add-on on the stored (half-precision) weights, store it and the recipe; all or nothing."""
    config = {**CLIP_CONFIG, "mean": [0.5] * 3, "std": [0.5] * 3}
    decoder = open_clip.SimpleTokenizer().decoder
    words = sorted({word for token in token_ids if (word := decoder[token].removesuffix("</w>")).isalpha()})
    card = {"recipe": asdict(recipe), "addon_people": ADDON_PEOPLE, "words_with_meaning": words}
    with new_folder(folder) as unfinished:
        save_embedded(clip, config, token_ids, unfinished)
        model = Model(embedded_tower(None, unfinished), None, "none yet", torch.device("cpu"))
        save_addon(fit_addon(model, recipe), unfinished / "addon.safetensors", dtype=torch.float16)
        write_json(unfinished / "card.json", card)
    return folder


def fit_addon(model: Model, recipe: Recipe) -> CLIPMultiScaleFeatureExtractor:
    """A scheme-1 add-on (4, 8, 16), shared by the modalities: one person in one modality is one class."""
    world = labelled_tokens(model, Crowd(ADDON_PEOPLE, recipe.seed + 1, shots=2), scales=SCALES)
    tokens, labels = modality_classes([world])
    trained = train_addon(tokens, labels, scales=SCALES, seed=recipe.seed)
    return cast("CLIPMultiScaleFeatureExtractor", trained.addon)
