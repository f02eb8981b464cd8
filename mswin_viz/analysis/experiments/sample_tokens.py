"""Frozen tokens of the samples of a data set, computed once and kept, on disk if asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np

from mswin_viz.analysis.embeddings.batch import Encoding, EncodingOptions
from mswin_viz.analysis.embeddings.store import Store, neck_of, store_of
from mswin_viz.analysis.experiments.stored_sample_tokens import fill_from_store, holds_tokens
from mswin_viz.analysis.measures.matching import sample_matching
from mswin_viz.analysis.token_checks import finite_images
from mswin_viz.data.images.image_source import MODALITIES, ImageSource, source_file, source_name
from mswin_viz.data.images.picture_facts import warn_of
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import progress_bar
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.sets.layouts import query_and_gallery
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.errors import DataError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import EncodedBatch, Failure, encoded_batch
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.fingerprint import how_it_runs, weights_hash
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import phase_means
from mswin_viz.model.training.labelled_tokens import LabelledTokens, token_layout
from mswin_viz.model.training.stored_tokens import FailedImage, Filling, WantedTokens, stored_tokens
from mswin_viz.model.training.token_store import IN_MEMORY, TokenLayout, TokenStore


class SampleTokens(NamedTuple):
    """Tokens of the samples that could be encoded in every modality, and what was left out and why."""

    world: LabelledTokens
    left_out: tuple[Failure, ...]


def sample_tokens(
    model: Model,
    samples: Sequence[Sample],
    *,
    scales: Sequence[int] = (),
    folder: Path | None = None,
    rule: str | None = None,
    **options: Unpack[EncodingOptions],
) -> SampleTokens:
    """Encode every sample in the modalities that most samples have; a broken file leaves its sample out.

    One warning counts the pictures that the resize to the input distorts strongly, another the images of more than 8
    bits that keep few grey levels; also where the tokens were kept from an earlier run.

    Parameters
    ----------
    model
        What encodes.
    samples
        With known identities. Their query and gallery are kept, if they have both. What a :class:`mswin_viz.Store` keeps
        of their tokens is taken from it, to its precision.
    scales
        Keep only what windows of these scales can tell apart (a mean for each place in a window); none keeps every patch token.
    folder
        Where tokens are kept for the next time, mapped into memory; None for memory, or for a temporary folder if
        they would take more than 2 GiB. Tokens that the folder holds of other images, weights or scales are replaced;
        those that are damaged are computed again, with a warning.
    rule
        By which retrieval among them is measured: ``"camera"``, ``"scene"`` or ``"none"``; if None, by scene where
        every sample has one, else by camera.
    batch_size : int
        Images in one pass, 32 by default.
    progress : bool
        Show a bar, as by default.

    Returns
    -------
    tokens
        ``world``, the :class:`LabelledTokens` of the samples that could be encoded in every modality, and ``left_out``, the
        others and why.

    Raises
    ------
    DataError
        If no sample can be used.
    OutputError
        If the folder cannot be written, or its disk has no room for the tokens; nothing has been encoded then.
    OptionError
        If there is no such rule or option.

    Examples
    --------
    >>> world, left_out = mv.sample_tokens(model, samples[:8], scales=(4, 8, 16), progress=False)
    >>> list(world.tokens), world.pids.tolist(), left_out
    (['RGB', 'NI', 'TI'], [1, 1, 1, 1, 2, 2, 2, 2], ())
    >>> tuple(world.tokens["RGB"].patches.shape)  # all that windows of 4, 8 and 16 see of 128 tokens
    (8, 16, 512)
    """
    model, samples = checked_model(model), samples if isinstance(samples, Store) else listed_samples(samples)
    chosen = options_of(Encoding, options, function="sample_tokens")
    rule = sample_matching(samples, rule).rule
    known, left_out = _with_one_set_of_modalities(samples)
    layout = token_layout(model, len(known), tuple(known[0].images), scales)

    store = store_of(known)
    if store is not None and not holds_tokens(store, model, scales):
        store = None

    def fill(shelf: TokenStore) -> Filling:
        if store is not None:
            return fill_from_store(model, store, known, scales, shelf)
        return _encoded(model, known, scales, shelf, chosen)

    if folder is None:
        shelf = TokenStore(layout, _roomy(layout))
        filling = fill(shelf)
        tokens = shelf.tokens()
    else:
        tokens, filling = stored_tokens(Path(folder), _wanted(model, known, scales, layout, store), fill)
    warn_of(filling.notes)
    failed = [Failure(known[one.sample].images[one.modality], one.reason) for one in filling.failed]
    world = _world(tokens, [known[at] for at in filling.kept])
    world = dataclasses.replace(world, rule=rule, metric=model.metric)
    return SampleTokens(world, (*left_out, *failed))


def _with_one_set_of_modalities(samples: Sequence[Sample]) -> tuple[list[Sample], list[Failure]]:
    """Samples of known identity cut to the commonest set of modalities; those that lack one, and why."""
    if not any(sample.pid >= 0 for sample in samples):
        raise DataError(
            f"samples to train or measure on need identities: got none in {counted(len(samples), 'samples')}; lay them out as a "
            "data set, or list them in a manifest with a pid column"
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
    model: Model, samples: Sequence[Sample], scales: Sequence[int], shelf: TokenStore, options: Encoding
) -> Filling:
    """Fill the shelf; which samples are in it, why the others are not, and notes on the pictures."""
    kept, failed, facts = [], [], []
    with progress_bar(
        total=len(samples), desc="encoding", unit="sample", disable=not options.progress
    ) as bar:
        for start in range(0, len(samples), options.batch_size):
            some = samples[start : start + options.batch_size]
            batches = {name: _batch(model, some, name) for name in samples[0].images}
            bad = _unusable(batches)
            good = [place for place in range(len(some)) if place not in bad]
            for name, batch in batches.items() if good else ():
                rows = list(batch.images)
                tokens = batch.tokens[[rows.index(place) for place in good]]
                shelf.add(name, phase_means(tokens, scales) if scales else tokens)
            facts += [batch.images[place].facts for place in good for batch in batches.values()]
            kept += [start + place for place in good]
            failed += [
                FailedImage(sample=start + place, modality=name, reason=reason)
                for place, (name, reason) in sorted(bad.items())
            ]
            bar.update(len(some))
    if not kept:
        raise DataError(
            f"at least one sample must be usable: all {len(failed)} failed, the first: {failed[0].reason}"
        )
    return Filling(kept=kept, failed=failed, notes=[shown_text(note) for note in model.picture_notes(facts)])


def _batch(model: Model, samples: Sequence[Sample], modality: str) -> EncodedBatch:
    tags = [ImageTag(modality, sample.camid) for sample in samples]
    return encoded_batch(model, [sample.images[modality] for sample in samples], tags)


def _unusable(batches: Mapping[str, EncodedBatch]) -> dict[int, tuple[str, str]]:
    """Places of samples that lack tokens in a modality, the first such modality, and why."""
    bad: dict[int, tuple[str, str]] = {}
    for name, batch in batches.items():
        for place, problem in batch.problems.items():
            bad.setdefault(place, (name, shown_text(problem)))
        for place, fine in zip(batch.images, finite_images(batch.tokens).tolist(), strict=True):
            if not fine:
                bad.setdefault(place, (name, "the model gave it tokens that are not finite"))
    return bad


def _world(tokens: dict[str, Tokens], samples: Sequence[Sample]) -> LabelledTokens:
    pids = np.array([sample.pid for sample in samples])
    camids = np.array([sample.camid for sample in samples])
    scenes = np.array([-1 if sample.scene is None else sample.scene for sample in samples])
    query = gallery = None
    if {"query", "gallery"} <= {sample.split for sample in samples}:
        query, gallery = (np.array(some) for some in query_and_gallery(samples))
    return LabelledTokens(tokens, pids, camids, pids, query, gallery, scenes)


def _roomy(layout: TokenLayout) -> Path | None:
    """A temporary folder for tokens that would fill the memory."""
    if layout.n_bytes <= IN_MEMORY:
        return None
    return temporary_folder("mswin_viz_tokens_", n_bytes=layout.n_bytes)


def _wanted(
    model: Model, samples: Sequence[Sample], scales: Sequence[int], layout: TokenLayout, store: Store | None
) -> WantedTokens:
    precision = "" if store is None else store.record.token_dtype
    key = _key(model, [precision, *_image_states(model, samples)], scales)
    return WantedTokens(key, lambda: _image_states(model, samples), layout, neck_of(model))


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
    name = os.fsdecode(source) if isinstance(source, str | os.PathLike) else str(source)
    return f"{name!a} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def _key(model: Model, images: Sequence[str], scales: Sequence[int]) -> str:
    """Changes with any weight of the tower, how it is run, any image, and the scales."""
    about = [weights_hash(model), how_it_runs(model), list(scales), list(images)]
    return hashlib.blake2b(json.dumps(about).encode(), digest_size=16).hexdigest()
