"""Plain and enhanced CLS features of a data set's images: each image opened once, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from mswin_viz.analysis.embeddings.store import Store, rows_in_store, store_of, stored_features
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.images.picture_facts import PictureFacts, warn_of
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Progress, Report, Stop, progress_bar, reporter
from mswin_viz.data.sample import listed_samples
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import DataError, OptionError, StoppedError
from mswin_viz.model.encoder.encoded_batch import Failure, encoded_batch
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.image_tags import ImageTag

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.data.sample import Sample
    from mswin_viz.model.encoder.backbone import Model


class EncodingOptions(TypedDict, total=False):
    """How images are encoded, by keyword."""

    batch_size: int
    progress: bool


class EmbedOptions(EncodingOptions, total=False):
    """Options of :func:`embed`."""

    stop: Stop | None
    report: Report | None


@dataclass(frozen=True)
class Encoding:
    """`EncodingOptions` with their defaults, checked."""

    batch_size: int = 32
    progress: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise OptionError(f"batch_size must be at least 1: got {self.batch_size}; 32 suits most machines")


@dataclass(frozen=True)
class _Options(Encoding):
    stop: Stop | None = None
    report: Report | None = None


_Row = tuple[int, str]
"""A sample's position, and the modality."""


@dataclass(frozen=True, eq=False)
class _Features:
    """What one batch gave: features of some images, why the others have none, and what is known of each picture."""

    rows: list[_Row]
    plain: Float[np.ndarray, "row dim"]
    enhanced: Float[np.ndarray, "row wide"]
    failed: list[Failure]
    facts: list[PictureFacts]


def embed(
    model: Model,
    samples: Sequence[Sample],
    *,
    modalities: Sequence[str] = MODALITIES,
    **options: Unpack[EmbedOptions],
) -> EmbeddingTable:
    """Embed every image of some samples, a batch at a time; patch tokens are not kept.

    An image that cannot be read, is of a camera the weights do not know, or gets no finite feature has no row, takes no
    other image with it, and is listed in ``failed``. Pictures of every shape are resized to the input, as host models
    do; one warning counts those that this distorts strongly, another the images of more than 8 bits that keep few grey
    levels. What a :class:`Store` holds is read from it.

    Parameters
    ----------
    model, samples
        What embeds, and what is embedded.
    modalities
        Which images of each sample; those it does not have are passed over.
    batch_size : int
        Images in one pass, 32 by default.
    progress : bool
        Show a bar, as by default.
    stop : Stop
        Called before each batch; True ends the work.
    report : Report
        Called after each batch with how many images are done, of how many.

    Returns
    -------
    table
        Rows modality by modality, in the samples' order.

    Raises
    ------
    OptionError
        If a modality, the batch size or an option is not one of those on offer.
    DataError
        If there is no image to embed, or none that could be.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> table = mv.embed(model, samples[:8], progress=False)
    >>> len(table), table.modalities, table.plain.shape, table.enhanced.shape
    (24, ('RGB', 'NI', 'TI'), (24, 512), (24, 512))
    >>> mv.embed(model, samples[:8], modalities=["TI"], progress=False).pid.tolist()
    [1, 1, 1, 1, 2, 2, 2, 2]
    """
    model = checked_model(model)
    samples = samples if isinstance(samples, Store) else listed_samples(samples)
    chosen = options_of(_Options, options, function="embed")
    wanted, report, parts = _wanted(samples, modalities), reporter(chosen.report), []
    if (store := store_of(samples)) is not None:
        return _table(samples, [_stored_features(model, store, samples, wanted)], model.metric)
    with progress_bar(total=len(wanted), desc="embedding", unit="image", disable=not chosen.progress) as bar:
        for start in range(0, len(wanted), chosen.batch_size):
            batch = wanted[start : start + chosen.batch_size]
            if chosen.stop is not None and chosen.stop():
                raise StoppedError(f"embedding was stopped after {start} of {counted(len(wanted), 'images')}")
            parts.append(_features(model, samples, batch))
            bar.update(len(batch))
            if report is not None:
                n_done = start + len(batch)
                report(
                    Progress(n_done, len(wanted), f"embedding: {n_done} of {counted(len(wanted), 'images')}")
                )
    warn_of(model.picture_notes([facts for part in parts for facts in part.facts]))
    return _table(samples, parts, model.metric)


def _wanted(samples: Sequence[Sample], modalities: Sequence[str]) -> list[_Row]:
    if isinstance(modalities, str):
        raise OptionError(
            f"modalities is a list of names: got {modalities!r:.60}; write [{modalities!r:.60}]"
        )
    if not modalities or any(name not in MODALITIES for name in modalities):
        raise OptionError(f"modalities are some of {', '.join(MODALITIES)}: got {tuple(modalities)}")
    wanted = [(i, name) for name in modalities for i, sample in enumerate(samples) if name in sample.images]
    if not wanted:
        raise DataError(
            f"embedding needs at least one {' or '.join(modalities)} image: got none in {counted(len(samples), 'samples')}"
        )
    return wanted


def _features(model: Model, samples: Sequence[Sample], rows: Sequence[_Row]) -> _Features:
    """Features of some images in one pass; those without finite ones have failed."""
    sources = [samples[i].images[name] for i, name in rows]
    batch = encoded_batch(model, sources, [ImageTag(name, samples[i].camid) for i, name in rows])
    failed = [Failure(sources[place], str(problem)) for place, problem in batch.problems.items()]
    plain, enhanced = (tokens.cls.cpu().numpy() for tokens in (batch.tokens, model.enhance(batch.tokens)))
    is_finite = np.isfinite(plain).all(axis=1) & np.isfinite(enhanced).all(axis=1)
    places = np.array(list(batch.images), int)
    failed += [
        Failure(sources[place], "the model gave it a feature that is not finite")
        for place in places[~is_finite]
    ]
    kept = [rows[place] for place in places[is_finite]]
    facts = [image.facts for image in batch.images.values()]
    return _Features(kept, plain[is_finite], enhanced[is_finite], failed, facts)


def _stored_features(
    model: Model, store: Store, samples: Sequence[Sample], images: Sequence[_Row]
) -> _Features:
    """What a store holds of some images; those that failed have failed."""
    rows = rows_in_store(store, ((samples[i], name) for i, name in images))
    reasons, is_ok = store.column("reason").tolist(), store.column("status")[rows] == "ok"
    failed = [
        Failure(samples[i].images[name], reasons[row])
        for (i, name), row, is_good in zip(images, rows, is_ok, strict=True)
        if not is_good
    ]
    plain, enhanced = stored_features(model, store, rows[is_ok])
    kept = [image for image, is_good in zip(images, is_ok, strict=True) if is_good]
    return _Features(kept, plain, enhanced, failed, [])


def _table(samples: Sequence[Sample], parts: Sequence[_Features], metric: str) -> EmbeddingTable:
    rows = [row for part in parts for row in part.rows]
    failed = tuple(failure for part in parts for failure in part.failed)
    if not rows:
        raise DataError(
            f"at least one image must be embedded: all {len(failed)} failed, the first because {failed[0].reason}"
        )
    order = sorted(range(len(rows)), key=lambda row: (MODALITIES.index(rows[row][1]), rows[row][0]))
    rows = [rows[row] for row in order]
    owners = [samples[i] for i, _ in rows]
    return EmbeddingTable(
        sample=np.array([i for i, _ in rows]),
        modality=np.array([name for _, name in rows]),
        pid=np.array([sample.pid for sample in owners]),
        camid=np.array([sample.camid for sample in owners]),
        scene=np.array([-1 if sample.scene is None else sample.scene for sample in owners]),
        split=np.array([sample.split or "" for sample in owners]),
        files=tuple({name: samples[i].images[name]} for i, name in rows),
        plain=np.concatenate([part.plain for part in parts])[order].astype(np.float32),
        enhanced=np.concatenate([part.enhanced for part in parts])[order].astype(np.float32),
        failed=failed,
        metric=metric,
        root=_root_of(samples),
    )


def _root_of(samples: Sequence[Sample]) -> Path | None:
    roots = {sample.root for sample in samples}
    return roots.pop() if len(roots) == 1 else None
