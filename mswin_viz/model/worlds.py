"""Frozen tokens of a crowd of synthetic people, in the three modalities at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.data.crowds import Crowd, picture_batches
from mswin_viz.data.layouts import MODALITIES
from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import folded
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Int

__all__ = ["WorldTokens", "joined", "modality_classes", "world_tokens"]


@dataclass(frozen=True, eq=False)
class WorldTokens:
    """Tokens of the same shots in several modalities.

    Attributes
    ----------
    tokens
        By modality; image ``i`` is the same shot in each.
    pids, camids
        Person and camera of each image.
    groups
        Images with one number are of people drawn together (look-alikes), so not independent.
    """

    tokens: Mapping[str, Tokens]
    pids: Int[np.ndarray, " image"]
    camids: Int[np.ndarray, " image"]
    groups: Int[np.ndarray, " image"]


def world_tokens(
    model: Model, crowd: Crowd, *, scales: Sequence[int] = (), workers: int = 1, progress: bool = True
) -> WorldTokens:
    """Draw each shot once and encode it in every modality.

    Parameters
    ----------
    scales
        Keep only what windows of these scales can tell apart (see `folded`), a fraction of the memory;
        none keeps every patch token.
    workers
        Processes that draw; see `mswin_viz.data.crowds.pictures`.
    """
    parts: dict[str, list[Tokens]] = {modality: [] for modality in MODALITIES}
    for batch in picture_batches(crowd, workers=workers, progress=progress):
        for modality, images in batch.items():
            tokens = model.encode(images, progress=False, **model.encode_options(modality))
            parts[modality].append(folded(tokens, scales) if scales else tokens)
    tokens = {modality: joined(some) for modality, some in parts.items()}
    return WorldTokens(tokens, crowd.pids, crowd.camids, crowd.groups)


def modality_classes(worlds: Sequence[WorldTokens]) -> tuple[Tokens, Int[np.ndarray, " image"]]:
    """One training set out of all: a person in one modality is one class, so a head serves every modality."""
    tokens, labels, n_classes = [], [], 0
    for world in worlds:
        for some in world.tokens.values():
            tokens.append(some)
            labels.append(world.pids + n_classes)
            n_classes += int(world.pids.max()) + 1
    return joined(tokens), np.concatenate(labels)


def joined(parts: Sequence[Tokens]) -> Tokens:
    """Tokens of several batches as one."""
    return Tokens(
        torch.cat([part.cls for part in parts]), torch.cat([part.patches for part in parts]), parts[0].grid
    )
