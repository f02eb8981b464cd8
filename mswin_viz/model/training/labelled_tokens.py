"""Frozen tokens of a crowd of synthetic people, in the three modalities at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.data.synthetic.crowd import Crowd, picture_batches
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import phase_grid, phase_means
from mswin_viz.model.training.token_store import TokenLayout, TokenStore, TokenView

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class LabelledTokens:
    """Tokens of the same shots in several modalities.

    Attributes
    ----------
    tokens
        By modality; image ``i`` is the same shot in each.
    pids, camids
        Person and camera of each image; -1 where not known.
    groups
        Images with one number are of people drawn together (look-alikes), so not independent.
    query, gallery
        Positions of the query and gallery images; None for all.
    scenes
        Scene of each image, -1 where not known; None where there are none.
    rule, metric
        How retrieval among the images is measured: what a query leaves out, and by what is ranked, as
        :func:`mswin_viz.retrieval` names them.

    Examples
    --------
    >>> crowd = mv.Crowd(people=4, seed=3, shots=1)
    >>> world = mv.labelled_tokens(model, crowd, scales=(4, 8), progress=False)
    >>> len(world), list(world.tokens), tuple(world.tokens["NI"].patches.shape)
    (16, ['RGB', 'NI', 'TI'], (16, 8, 512))
    >>> len(world.part(world.pids < 2)), world.camids[:4].tolist()
    (8, [0, 1, 2, 3])
    """

    tokens: Mapping[str, Tokens]
    pids: Int[np.ndarray, " image"]
    camids: Int[np.ndarray, " image"]
    groups: Int[np.ndarray, " image"]
    query: Int[np.ndarray, " query"] | None = None
    gallery: Int[np.ndarray, " gallery"] | None = None
    scenes: Int[np.ndarray, " image"] | None = None
    rule: str = "camera"
    metric: str = "cosine"

    def __len__(self) -> int:
        return len(self.pids)

    def part(self, chosen: Bool[np.ndarray, " image"]) -> LabelledTokens:
        """Some of the images, all of them query and gallery; their tokens are views, not copies."""
        rows = np.flatnonzero(chosen)
        tokens = {modality: TokenView([tokens], rows) for modality, tokens in self.tokens.items()}
        numbers = {name: getattr(self, name)[rows] for name in ("pids", "camids", "groups")}
        scenes = None if self.scenes is None else self.scenes[rows]
        return replace(self, tokens=tokens, **numbers, scenes=scenes, query=None, gallery=None)

    def phase_means(self, scales: Sequence[int]) -> LabelledTokens:
        """The same with what windows of these scales cannot tell apart averaged: a token for each place in a window."""
        return replace(
            self, tokens={name: phase_means(tokens, scales) for name, tokens in self.tokens.items()}
        )


def labelled_tokens(
    model: Model,
    crowd: Crowd,
    *,
    scales: Sequence[int] = (),
    folder: Path | None = None,
    workers: int = 1,
    progress: bool = True,
) -> LabelledTokens:
    """Draw each shot once and encode it in every modality.

    Parameters
    ----------
    model, crowd
        What encodes, and who is drawn.
    scales
        Keep only what windows of these scales can tell apart (a mean for each place in a window), in a fraction of the memory;
        without scales every patch token is kept.
    folder
        Where the tokens lie on disk, mapped into memory; None for memory. Their space is taken before anything is
        encoded, and freed when the tokens are no longer used.
    workers
        Processes that draw. With more than one, a script needs ``if __name__ == "__main__":``.
    progress
        Show a bar.

    Returns
    -------
    world
        Tokens of each modality, and person, camera and group of each image.

    Raises
    ------
    OutputError
        If the folder cannot be written, or has no room for the tokens.

    Examples
    --------
    >>> crowd = mv.Crowd(people=4, seed=3, shots=1)
    >>> world = mv.labelled_tokens(model, crowd, progress=False)
    >>> tuple(world.tokens["RGB"].patches.shape), world.pids[:6].tolist()
    ((16, 128, 512), [0, 0, 0, 0, 1, 1])
    """
    checked_model(model)
    of_kind(crowd, Crowd, "crowd must be drawn people", "make them with mswin_viz.Crowd")
    store = TokenStore(token_layout(model, len(crowd), MODALITIES, scales), folder)
    for batch in picture_batches(crowd, workers=workers, progress=progress):
        for modality, images in batch.items():
            tokens = model.encode(images, tags=ImageTag(modality), progress=False)
            store.add(modality, phase_means(tokens, scales) if scales else tokens)
    by_modality = store.tokens()
    if not folder:  # tokens in memory lie where the model does; those on disk stay there
        by_modality = {name: tokens.to(model.device) for name, tokens in by_modality.items()}
    return LabelledTokens(by_modality, crowd.pids, crowd.camids, crowd.groups, metric=model.metric)


def token_layout(
    model: Model, n_images: int, modalities: Sequence[str], scales: Sequence[int] = ()
) -> TokenLayout:
    """The room that a model's tokens of so many images of each modality take; given scales, that of their phase means."""
    grid = phase_grid(model.grid, scales) if scales else model.grid
    return TokenLayout(n_images, tuple(modalities), grid, model.dim)


def modality_classes(worlds: Sequence[LabelledTokens]) -> tuple[TokenView, Int[np.ndarray, " image"]]:
    """One training set out of all: a person in one modality is one class, so a head serves every modality.

    An image of unknown identity has the label -1, and is not trained on. Nothing is copied: tokens on disk stay there.

    Parameters
    ----------
    worlds
        From :func:`labelled_tokens` or :func:`sample_tokens`.

    Returns
    -------
    tokens, labels
        Of every image in every modality, one behind the other, and its class ``[n]``; -1 for an unknown identity.

    Examples
    --------
    >>> world = mv.labelled_tokens(model, mv.Crowd(people=2, seed=3, shots=1), progress=False)
    >>> seen, labels = mv.modality_classes([world])
    >>> len(labels), np.unique(labels).tolist()  # two people in three modalities are six classes
    (24, [0, 1, 2, 3, 4, 5])
    """
    worlds = list(
        of_kind(worlds, Sequence, "worlds must be a list of labelled tokens", "[world] is a list of one")
    )
    for world in worlds:
        of_kind(
            world,
            LabelledTokens,
            "worlds must be a list of labelled tokens",
            "make them with mswin_viz.sample_tokens",
        )
    tokens, labels, n_classes = [], [], 0
    for world in worlds:
        for of_modality in world.tokens.values():
            tokens.append(of_modality)
            labels.append(np.where(world.pids >= 0, world.pids + n_classes, -1))
            n_classes += int(world.pids.max()) + 1
    return TokenView(tokens), np.concatenate(labels)
