"""A CLIP small enough to hold against plain loops: 6x2 patches of 8x8 pixels, three blocks, an add-on of three scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from mswin_viz.data.sample import Sample
from mswin_viz.model.addon.sliding_window import CLIPMultiScaleFeatureExtractor
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.weights.clip_towers import Tower

SIZE, PATCH, GRID, DIM, DEPTH = (48, 16), 8, (6, 2), 10, 3
SCALES = (2, 4, 5)  # 5: two windows of the 12 tokens, two tokens dropped
_VISION = {"image_size": list(SIZE), "layers": DEPTH, "width": 16, "head_width": 8, "patch_size": PATCH}
_TEXT = {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}


def tiny_model(
    *, addon: bool = True, biases: bool = True, seed: int = 3, size: tuple[int, int] = SIZE
) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = open_clip.CLIP(
            embed_dim=DIM, vision_cfg=_VISION | {"image_size": list(size)}, text_cfg=_TEXT
        ).eval()
        with torch.no_grad():
            for parameter in clip.visual.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        windows = tiny_addon(biases=biases) if addon else None
    tower = Tower(
        clip=clip,
        weights="tiny",
        image_size=size,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        activation="GELU",
        positions="6x2, as drawn",
    )
    return Model(tower, windows, "random" if addon else "none", torch.device("cpu"))


def tiny_addon(*, biases: bool = True) -> CLIPMultiScaleFeatureExtractor:
    addon = CLIPMultiScaleFeatureExtractor(DIM, SCALES)
    for name, parameter in addon.named_parameters():
        if name.endswith("bias") and not biases:
            torch.nn.init.zeros_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.4)
    return addon.eval().requires_grad_(False)


def pictures(n_images: int = 2, *, seed: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(n_images)]


def two_modalities(folder: Path, n_samples: int, *, n_people: int) -> list[Sample]:
    """Samples of ``n_people`` in turn, each by a camera of its own, with files of RGB and NI in the folder."""
    found = []
    for at, picture in enumerate(pictures(n_samples)):
        files = {name: folder / f"{name}_{at}.png" for name in ("RGB", "NI")}
        for turn, path in enumerate(files.values()):
            Image.fromarray(np.roll(picture, turn, axis=2)).save(path)
        found.append(Sample(at % n_people, at, files, caption=f"number {at}"))
    return found


def direction(*, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=DIM)


def slot_pooled(tokens, weights, index, slot=None):
    """The vector that slot ``index`` hands to the fusion; by default with its own scale and kernel."""
    slots = list(weights.trained_slots)
    slots[index] = slots[index] if slot is None else slot
    return weights.run(tokens, slots).pooled[index]
