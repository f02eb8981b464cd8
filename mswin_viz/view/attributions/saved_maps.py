"""Attributions of many images as files: a figure and the numbers of each."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mswin_viz.data.progress import progress_bar, unheard
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.file_writing import write_bytes, write_json
from mswin_viz.errors import DataError, ImageError, ImageFileError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import Picture, TokenCache
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.attributions.request import AttributionRequest, Maps, method_calls, request_words, scores
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.parts.file_names import file_stems

NUMBERS = ("none", "npz", "json")
"""How the numbers of maps are written."""
_OF_EACH = ("score", "baseline_score", "rest", "delta", "norm")


@dataclass(frozen=True)
class MapPlan:
    """Which maps are made of each sample, and how they are written.

    Attributes
    ----------
    methods
        Of ``ATTRIBUTION_METHODS``.
    features
        ``"plain"`` and ``"enhanced"``, or one of them; the exact shares of windows come with the enhanced CLS.
    prompt
        The text that the cosine is taken with.
    modality
        Which image of each sample, if it has it; else its first.
    n_steps
        Steps of integrated gradients; samples of other methods are half as many.
    kind, numbers
        One of :data:`mswin_viz.view.parts.figure_file.FORMATS`; one of ``NUMBERS``.
    """

    methods: tuple[str, ...]
    features: tuple[str, ...]
    prompt: str
    modality: str = "RGB"
    n_steps: int = 16
    kind: str = "png"
    numbers: str = "none"


@dataclass(eq=False)
class SavedMaps:
    """What has been written.

    Attributes
    ----------
    images
        For each sample its name, its files, and the score of each feature.
    left_out
        Name of a sample -> why it has no maps.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def save_attributions(model: Model, samples: Sequence[Sample], plan: MapPlan, *, folder: Path) -> SavedMaps:
    """Write a figure, and the numbers if asked for, of each sample into a folder; one that cannot be read is left out.

    Raises
    ------
    DataError
        If no sample has maps.
    OptionError
        If there is no such method.
    PromptError
        If the prompt is empty, or the model has no texts.
    OutputError
        If a file cannot be written.
    """
    saved, cache = SavedMaps(), TokenCache(model)
    calls = method_calls(model, plan.methods, n_steps=plan.n_steps)
    stems = file_stems(samples)
    try:
        every = zip(samples, stems, strict=True)
        for sample, stem in progress_bar(every, total=len(samples), desc="attributing", unit="image"):
            request = AttributionRequest((sample,), plan.modality, plan.prompt, plan.features, calls)
            try:
                pictures = cache.pictures(request.paths, request.tags)
            except (DataError, ImageError, ImageFileError) as problem:
                saved.left_out[sample.name] = str(problem)
                continue
            maps = _computed(model, request, pictures)
            files = _write(model, request, pictures, maps, folder / stem, plan)
            of_each = {name: values[0] for name, values in scores(request, maps).items()}
            saved.images.append(
                {"name": sample.name, "files": [str(file) for file in files], "scores": of_each}
            )
    finally:
        cache.close()
    if not saved.images:
        why = next(iter(saved.left_out.values()))
        raise DataError(
            f"maps need an image that can be read: got {counted(len(samples), 'samples')}, of the first: {why}"
        )
    return saved


def _computed(model: Model, request: AttributionRequest, pictures: Sequence[Picture]) -> Maps:
    maps: dict[str, Any] = {}
    for _, job in request.jobs(model, pictures):
        maps |= job(unheard, lambda: False)
    return maps


def _write(
    model: Model,
    request: AttributionRequest,
    pictures: Sequence[Picture],
    maps: Maps,
    start: Path,
    plan: MapPlan,
) -> list[Path]:
    """The figure and the numbers, as files whose names begin alike."""
    words = f"{request_words(request, maps)}; {model.provenance}"
    shown = [picture.shown for picture in pictures]
    figure = attributions_figure(shown, maps, names=request.names, provenance=words)
    place = start.with_name(f"{start.name}_attributions.x")
    files = [write_bytes(place.with_suffix(f".{plan.kind}"), figure_bytes(figure, plan.kind))]
    if plan.numbers == "npz":
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **_arrays(maps))
        files.append(write_bytes(place.with_suffix(".npz"), file.getvalue()))
    elif plan.numbers == "json":
        files.append(write_json(place.with_suffix(".json"), _records(maps)))
    return files


def _arrays(maps: Maps) -> dict[str, np.ndarray]:
    """``TITLE/values``, ``TITLE/score`` and so on, of the one image."""
    return {
        f"{title}/{name}": getattr(one, name)[0]
        for title, one in maps.items()
        for name in ("values", *_OF_EACH)
    }


def _records(maps: Maps) -> Mapping[str, Any]:
    """Title -> what one map is and its numbers, as JSON takes them; null where a method has none."""
    return {
        title: {
            "method": one.method,
            "level": one.level,
            "target": one.target,
            "grid": list(one.grid),
            "parameters": dict(one.parameters),
            **{name: _number(getattr(one, name)[0]) for name in _OF_EACH},
            "values": one.values[0].tolist(),
        }
        for title, one in maps.items()
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
