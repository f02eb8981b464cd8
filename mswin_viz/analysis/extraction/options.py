"""Options of an extraction, checked, and what follows from them and the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, TypedDict

import torch

from mswin_viz import __version__
from mswin_viz.analysis.extraction.shard_work import ShardWork
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, Stop, reporter
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.shown_text import without_home
from mswin_viz.data.storage.worker_processes import cores
from mswin_viz.data.store.planned_images import StorePlan
from mswin_viz.data.store.store_record import TOKENS, StoreRecord
from mswin_viz.data.store.stored_images import StoredImages
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.parts import window_parts
from mswin_viz.model.addon.sliding_window import checked_scales
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.precision import precision_words
from mswin_viz.model.encoder.preprocessing import resizing_words
from mswin_viz.model.fingerprint import addon_hash, weights_hash
from mswin_viz.model.loading import load_model

ENGINES = ("local", "ray")
_DTYPES = ("float16", "float32")
_FEW_IMAGES = 512  # below which processes take longer to start than to be of use
_MOST_WORKERS = 16
_SCALES = (4, 8, 16)  # of phase means where there is no add-on to say


class ExtractOptions(TypedDict, total=False):
    """Options of :func:`mswin_viz.extract`."""

    modalities: Sequence[str]
    tokens: str
    dtype: str
    token_dtype: str
    scales: Sequence[int] | None
    shard_images: int
    batch_size: int | None
    workers: int | None
    limit: int | None
    engine: str
    address: str | None
    actors: int
    progress: bool
    stop: Stop | None
    report: Report | None


@dataclass(frozen=True)
class ExtractSettings:
    """The options of one extraction."""

    modalities: Sequence[str] = MODALITIES
    tokens: str = "summaries"
    dtype: str = "float32"
    token_dtype: str = "float16"
    scales: Sequence[int] | None = None
    shard_images: int = 10_000
    batch_size: int | None = None
    workers: int | None = None
    limit: int | None = None
    engine: str = "local"
    address: str | None = None
    actors: int = 1
    progress: bool = True
    stop: Stop | None = None
    report: Report | None = None

    def __post_init__(self) -> None:
        for name, choices in {
            "tokens": TOKENS,
            "dtype": _DTYPES,
            "token_dtype": _DTYPES,
            "engine": ENGINES,
        }.items():
            if getattr(self, name) not in choices:
                raise OptionError(f"{name} is one of {', '.join(choices)}: got {getattr(self, name)!r:.40}")
        for name, least in {
            "shard_images": 1,
            "batch_size": 1,
            "workers": 0,
            "limit": 1,
            "actors": 1,
        }.items():
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise OptionError(f"{name} must be a whole number of at least {least}: got {value!r:.40}")
        if isinstance(self.modalities, str) or len(set(self.modalities)) != len(list(self.modalities)):
            raise OptionError(
                f"modalities are a list of different ones of {', '.join(MODALITIES)}: got {self.modalities!r:.40}"
            )
        if self.engine != "ray" and (self.address is not None or self.actors != 1):
            raise OptionError("address and actors are of the engine ray: got them with the engine local")


def settings_of(options: ExtractOptions) -> ExtractSettings:
    """The options, checked; OptionError for an unknown name or value."""
    chosen = options_of(ExtractSettings, options, function="extract")
    object.__setattr__(chosen, "report", reporter(chosen.report))
    return chosen


def limited(samples: Sequence[Sample], settings: ExtractSettings) -> Sequence[Sample]:
    """The first samples that have as many images as the limit says; all without one. OptionError for anything but samples."""
    samples = samples if isinstance(samples, StoredImages) else listed_samples(samples)
    if settings.limit is None:
        return samples
    counts = accumulate(sum(name in settings.modalities for name in sample.images) for sample in samples)
    n_kept = next(
        (place for place, count in enumerate(counts, start=1) if count >= settings.limit), len(samples)
    )
    return samples[:n_kept]


def work_of(
    samples: Sequence[Sample], folder: Path, model: Model | None, settings: ExtractSettings
) -> ShardWork:
    """What is to be done for these samples in that folder."""
    model = load_model() if model is None else checked_model(model)
    modalities = tuple(settings.modalities)
    plan = StorePlan(samples, modalities, max(1, settings.shard_images // max(1, len(modalities))))
    on_gpu = model.device.type == "cuda"
    return ShardWork(
        model=model,
        plan=plan,
        folder=folder,
        record=_record(model, plan, settings),
        batch_size=settings.batch_size or (256 if on_gpu else 32),
        workers=_workers(settings, plan),
        n_threads=torch.get_num_threads(),
    )


def _record(model: Model, plan: StorePlan, settings: ExtractSettings) -> StoreRecord:
    tower = model.tower
    roots = {sample.root for sample in plan.samples}
    root = roots.pop() if len(roots) == 1 else None
    about = {name: without_home(words) for name, words in model.provenance_items.items() if name != "device"}
    deep = tower.thermal_range
    form: dict[str, Any] = {name: getattr(settings, name) for name in ("dtype", "token_dtype", "tokens")}
    return StoreRecord(
        package=__version__,
        model=about,
        weights_hash=weights_hash(model),
        addon_hash=addon_hash(model),
        input_size=list(model.image_size),
        mean=list(tower.mean),
        std=list(tower.std),
        resize=resizing_words(tower),
        deep_range=None if deep is None else [float(end) for end in deep],
        precision=precision_words(model.device, model.precision),
        grid=list(model.grid),
        dim=model.dim,
        wide=_wide(model),
        metric=model.metric,
        scales=_scales(model, settings),
        modalities=list(plan.modalities),
        shard_samples=plan.shard_samples,
        n_samples=len(plan.samples),
        n_images=plan.n_images,
        root=None if root is None else os.path.abspath(root),
        **form,
    )


def _scales(model: Model, settings: ExtractSettings) -> list[int]:
    """The scales of phase means; none where the add-on's windows do not read the patch tokens themselves."""
    if settings.scales is not None:
        return sorted(checked_scales(settings.scales, model.grid[0] * model.grid[1]))
    if model.addon is None:
        return list(_SCALES)
    parts = window_parts(model.addon)
    return sorted(model.addon.scales) if parts is not None and parts.projection is None else []


def _wide(model: Model) -> int:
    """The width of the enhanced features."""
    return model.dim + getattr(model.addon, "n_behind", 0)


def _workers(settings: ExtractSettings, plan: StorePlan) -> int:
    if settings.workers is not None:
        return settings.workers
    if plan.n_images < _FEW_IMAGES:
        return 0
    return max(1, min(cores() - 1, _MOST_WORKERS))
