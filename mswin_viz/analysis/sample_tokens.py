"""Frozen tokens of the samples of a data set, computed once and kept, on disk if asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from mswin_viz.analysis.image_features import UNUSABLE, Failure, tokens_of
from mswin_viz.analysis.matching import sample_matching
from mswin_viz.data.images import MODALITIES, Crop, ImageSource, source_file, source_name
from mswin_viz.data.layouts import Sample, query_and_gallery
from mswin_viz.data.picture_facts import PictureFacts, say
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.temporary_folders import temporary_folder
from mswin_viz.errors import DataError
from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import folded
from mswin_viz.model.token_cache import FailedImage, Filling, WantedTokens, kept_tokens
from mswin_viz.model.token_shelf import IN_MEMORY, TokenLayout, TokenShelf
from mswin_viz.model.tokens import Tokens
from mswin_viz.model.worlds import WorldTokens, token_layout

__all__ = ["SampleTokens", "sample_tokens"]


class SampleTokens(NamedTuple):
    """Tokens of the samples that could be encoded in every modality, and what was left out and why."""

    world: WorldTokens
    left_out: tuple[Failure, ...]


def sample_tokens(
    model: Model,
    samples: Sequence[Sample],
    *,
    scales: Sequence[int] = (),
    folder: Path | None = None,
    rule: str | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> SampleTokens:
    """Encode every sample in the modalities that most samples have; a broken file leaves its sample out.

    One warning counts the pictures that the resize to the input distorts strongly, another the images of more than
    8 bits that keep few grey levels; also where the tokens were kept from an earlier run.

    Parameters
    ----------
    samples
        With known identities. Their query and gallery are kept, if they have both.
    scales
        Keep only what windows of these scales can tell apart (see `folded`); none keeps every patch token.
    folder
        Where tokens are kept for the next time, mapped into memory; None for memory, or for a temporary folder if
        they would take more than 2 GiB. Tokens that the folder holds of other images, weights or scales are
        replaced; those that are damaged are computed again, with a warning. See `mswin_viz.model.token_cache`.
    rule
        By which retrieval among them is measured: ``"camera"``, ``"scene"`` or ``"none"``; if None, by scene where
        every sample has one, else by camera.

    Raises
    ------
    DataError
        If no sample can be used.
    OutputError
        If the folder cannot be written, or its disk has no room for the tokens; nothing has been encoded then.
    """
    rule = sample_matching(samples, rule).rule
    known, left_out = _with_one_set_of_modalities(samples)
    layout = token_layout(model, len(known), tuple(known[0].images), scales)

    def fill(shelf: TokenShelf) -> Filling:
        return _encoded(model, known, scales, shelf, batch_size=batch_size, progress=progress)

    if folder is None:
        shelf = TokenShelf(layout, _roomy(layout))
        filling = fill(shelf)
        tokens = shelf.tokens()
    else:
        tokens, filling = kept_tokens(Path(folder), _wanted(model, known, scales, layout), fill)
    say(filling.notes)
    failed = [Failure(known[one.sample].images[one.modality], one.reason) for one in filling.failed]
    world = _world(tokens, [known[at] for at in filling.kept])
    world = dataclasses.replace(world, rule=rule, metric=model.metric)
    return SampleTokens(world, (*left_out, *failed))


def _with_one_set_of_modalities(samples: Sequence[Sample]) -> tuple[list[Sample], list[Failure]]:
    """Samples of known identity cut to the commonest set of modalities; those that lack one, and why."""
    if not any(sample.pid >= 0 for sample in samples):
        raise DataError(
            f"tokens to train or measure on need samples with identities: none of {len(samples)} has one; lay them "
            "out as a data set, or list them in a manifest with a pid column"
        )
    sets = Counter(frozenset(sample.images) for sample in samples if sample.pid >= 0)
    wanted = [name for name in MODALITIES if name in sets.most_common(1)[0][0]]
    kept, left_out = [], []
    for sample in samples:
        lacking = [name for name in wanted if name not in sample.images]
        if sample.pid >= 0 and not lacking:
            kept.append(dataclasses.replace(sample, images={name: sample.images[name] for name in wanted}))
        else:
            why = f"has no {' and no '.join(lacking)}" if lacking else "its identity is not known"
            left_out.append(Failure(next(iter(sample.images.values())), f"{sample.name} {why}"))
    return kept, left_out


def _encoded(
    model: Model,
    samples: Sequence[Sample],
    scales: Sequence[int],
    shelf: TokenShelf,
    *,
    batch_size: int,
    progress: bool,
) -> Filling:
    """Fill the shelf; which samples are in it, why the others are not, and notes on the pictures."""
    kept, failed, facts = [], [], []
    with tqdm(total=len(samples), desc="encoding", unit="sample", disable=not progress) as bar:
        for start in range(0, len(samples), batch_size):
            shown: dict[int, dict[str, Image.Image]] = {}
            for at in range(start, min(start + batch_size, len(samples))):
                try:
                    shown[at], known = _displayed(model, samples[at])
                    facts += known
                except _Unusable as problem:
                    failed.append(
                        FailedImage(sample=at, modality=problem.modality, reason=shown_text(problem))
                    )
                bar.update()
            tokens = {
                name: _batch_tokens(model, name, shown, [samples[at].camid for at in shown], scales)
                for name in (samples[0].images if shown else ())
            }
            good, bad = _finite(list(shown), tokens)
            failed += bad
            for name, some in tokens.items():
                shelf.add(name, some[[list(shown).index(at) for at in good]])
            kept += good
    if not kept:
        raise DataError(
            f"at least one sample must be usable: all {len(failed)} failed, the first: {failed[0].reason}"
        )
    return Filling(kept=kept, failed=failed, notes=[shown_text(note) for note in model.picture_notes(facts)])


def _batch_tokens(
    model: Model,
    modality: str,
    shown: Mapping[int, Mapping[str, Image.Image]],
    camids: Sequence[int],
    scales: Sequence[int],
) -> Tokens:
    """Tokens of a batch in one modality."""
    kinds = [(modality, camid) for camid in camids]
    tokens = tokens_of(model, [pictures[modality] for pictures in shown.values()], kinds)
    return folded(tokens, scales) if scales else tokens


def _finite(samples: Sequence[int], tokens: Mapping[str, Tokens]) -> tuple[list[int], list[FailedImage]]:
    """Samples of a batch whose tokens are numbers in every modality; the first modality of each of the others."""
    good, bad = list(samples), []
    for name, some in tokens.items():
        fine = some.cls.isfinite().all(dim=1) & some.patches.isfinite().all(dim=2).all(dim=1)
        for at, is_fine in zip(samples, fine.tolist(), strict=True):
            if not is_fine and at in good:
                good.remove(at)
                reason = "the model gives it tokens that are not finite"
                bad.append(FailedImage(sample=at, modality=name, reason=reason))
    return good, bad


class _Unusable(Exception):
    """Says which modality of a sample cannot be used; never leaves this module."""

    def __init__(self, modality: str, problem: Exception) -> None:
        super().__init__(str(problem))
        self.modality = modality


def _displayed(model: Model, sample: Sample) -> tuple[dict[str, Image.Image], list[PictureFacts]]:
    """A sample's pictures as the model sees them, by modality, and what is known of each."""
    found, facts = {}, []
    for name, source in sample.images.items():
        try:
            model.encode_options(name, sample.camid)
            found[name], known = model.displayed_with_facts(source)
            facts.append(known)
        except UNUSABLE as problem:
            raise _Unusable(name, problem) from problem
    return found, facts


def _world(tokens: dict[str, Tokens], samples: Sequence[Sample]) -> WorldTokens:
    pids = np.array([sample.pid for sample in samples])
    camids = np.array([sample.camid for sample in samples])
    scenes = np.array([-1 if sample.scene is None else sample.scene for sample in samples])
    query = gallery = None
    if {"query", "gallery"} <= {sample.split for sample in samples}:
        query, gallery = (np.array(some) for some in query_and_gallery(samples))
    return WorldTokens(tokens, pids, camids, pids, query, gallery, scenes)


def _roomy(layout: TokenLayout) -> Path | None:
    """A temporary folder for tokens that would fill the memory."""
    if layout.n_bytes <= IN_MEMORY:
        return None
    return temporary_folder("mswin_viz_tokens_", n_bytes=layout.n_bytes)


def _wanted(
    model: Model, samples: Sequence[Sample], scales: Sequence[int], layout: TokenLayout
) -> WantedTokens:
    readout = model.tower.readout
    neck = None if readout is None or readout.neck is None else readout.neck.to(torch.device("cpu"))
    key = _key(model, _image_states(model, samples), scales)
    return WantedTokens(key, lambda: _image_states(model, samples), layout, neck)


def _image_states(model: Model, samples: Sequence[Sample]) -> list[str]:
    """A line for each image: modality, camera, name, and its state; ASCII, and never two alike."""
    return [
        f"{name} {sample.camid} {_state(model, source)}"
        for sample in samples
        for name, source in sample.images.items()
    ]


def _state(model: Model, source: ImageSource) -> str:
    """Of a file its name, size and times; of a picture in memory a hash of what the model sees of it."""
    try:
        file = source_file(source)
        if file is None:
            seen = np.asarray(model.displayed(source)).tobytes()
            return f"{source_name(source)!a} {hashlib.blake2b(seen, digest_size=16).hexdigest()}"
        state = file.stat()
    except (OSError, ValueError) as problem:  # found out, and said, when it is opened
        return f"{source_name(source)!a} cannot be looked at: {type(problem).__name__}"
    # A copy can have the old time of change; the time of the inode's last change cannot be set.
    name = str(source) if isinstance(source, Crop) else os.fsdecode(source)
    return f"{name!a} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _key(model: Model, images: Sequence[str], scales: Sequence[int]) -> str:
    """Changes with any weight of the tower, how it is run, any image, and the scales."""
    content = hashlib.blake2b(digest_size=16)
    parts = (model.clip.visual, *([model.tower.readout] if model.tower.readout is not None else []))
    for name, value in (item for part in parts for item in part.state_dict().items()):
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    about = {key: words for key, words in model.provenance_items.items() if key != "add-on"}
    about["device"] = about["device"].partition(", ")[2]  # of it, the precision
    content.update(json.dumps([about, list(scales), list(images)]).encode())
    return content.hexdigest()
