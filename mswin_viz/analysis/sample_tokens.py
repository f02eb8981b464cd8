"""Frozen tokens of the samples of a data set, computed once and kept, on disk if asked for."""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import json
import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from mswin_viz.analysis.image_features import UNUSABLE, Failure, tokens_of
from mswin_viz.analysis.matching import sample_matching
from mswin_viz.data.images import MODALITIES, Crop
from mswin_viz.data.layouts import Sample, query_and_gallery
from mswin_viz.data.picture_facts import PictureFacts, say
from mswin_viz.errors import DataError
from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import folded
from mswin_viz.model.token_shelf import IN_MEMORY, TokenShelf, read_shelf
from mswin_viz.model.tokens import Tokens
from mswin_viz.model.worlds import WorldTokens

__all__ = ["SampleTokens", "sample_tokens"]

_INDEX = "index.json"


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
        they would take more than 2 GiB. What the folder holds of other images, weights or scales is replaced.
    rule
        By which retrieval among them is measured: ``"camera"``, ``"scene"`` or ``"none"``; if None, by scene where
        every sample has one, else by camera.

    Raises
    ------
    DataError
        If no sample can be used.
    """
    rule = sample_matching(samples, rule).rule
    known, left_out = _with_one_set_of_modalities(samples)
    key = _key(model, known, scales)
    stored = _stored(folder, key)
    if stored is not None:
        readout = model.tower.readout
        neck = None if readout is None else readout.neck.to(torch.device("cpu"))
        tokens = read_shelf(folder, len(stored["kept"]), tuple(stored["grid"]), neck)
    else:
        where = folder or _roomy(model, known, scales)
        shelf = TokenShelf(len(known), where)
        stored = {
            "key": key,
            **_encoded(model, known, scales, shelf, batch_size=batch_size, progress=progress),
        }
        tokens = shelf.tokens()
        if folder is not None:
            (folder / _INDEX).write_text(json.dumps(stored), encoding="utf-8")
    say(stored["notes"])
    failed = [Failure(known[at].images[name], why) for at, name, why in stored["failed"]]
    world = _world(tokens, [known[at] for at in stored["kept"]])
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
) -> dict[str, Any]:
    """Fill the shelf; which samples are in it, on which grid; (sample, modality, reason) of the others; notes."""
    kept, failed, facts, grid = [], [], [], None
    with tqdm(total=len(samples), desc="encoding", unit="sample", disable=not progress) as bar:
        for start in range(0, len(samples), batch_size):
            shown: dict[int, dict[str, Image.Image]] = {}
            for at in range(start, min(start + batch_size, len(samples))):
                try:
                    shown[at], known = _displayed(model, samples[at])
                    facts += known
                except _Unusable as problem:
                    failed.append((at, problem.modality, str(problem)))
                bar.update()
            for name in samples[0].images if shown else ():
                kinds = [(name, samples[at].camid) for at in shown]
                tokens = tokens_of(model, [pictures[name] for pictures in shown.values()], kinds)
                tokens = folded(tokens, scales) if scales else tokens
                grid = tokens.grid
                shelf.add(name, tokens)
            kept += list(shown)
    if not kept:
        raise DataError(
            f"at least one sample must be usable: all {len(failed)} failed, the first: {failed[0][2]}"
        )
    return {"kept": kept, "failed": failed, "grid": grid, "notes": model.picture_notes(facts)}


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


def _roomy(model: Model, samples: Sequence[Sample], scales: Sequence[int]) -> Path | None:
    """A temporary folder, deleted at exit, for tokens that would fill the memory."""
    n_tokens = math.prod(model.grid)
    period = math.lcm(*scales) if scales else n_tokens
    kept = period if n_tokens % period == 0 else n_tokens
    if 4 * kept * model.dim * len(samples) * len(samples[0].images) <= IN_MEMORY:
        return None
    folder = tempfile.mkdtemp(prefix="mswin_viz_tokens_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _key(model: Model, samples: Sequence[Sample], scales: Sequence[int]) -> str:
    """Changes with any weight of the tower, any file, and the scales."""
    content = hashlib.blake2b(digest_size=16)
    parts = (model.clip.visual, *([model.tower.readout] if model.tower.readout is not None else []))
    for name, value in (item for part in parts for item in part.state_dict().items()):
        content.update(name.encode())
        content.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    about = {key: words for key, words in model.provenance_items.items() if key not in ("add-on", "device")}
    content.update(json.dumps([about, list(scales)]).encode())
    for sample in samples:
        for source in sample.images.values():
            state = (source.path if isinstance(source, Crop) else source).stat()
            content.update(f"{source} {state.st_size} {state.st_mtime_ns} {sample.camid}\n".encode())
    return content.hexdigest()


def _stored(folder: Path | None, key: str) -> dict[str, Any] | None:
    """The index of a folder that holds just these tokens."""
    if folder is None or not (folder / _INDEX).is_file():
        return None
    try:
        found = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except ValueError:
        return None
    return found if found.get("key") == key else None
