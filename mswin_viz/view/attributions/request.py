"""What is attributed, and the work that this takes: one job for each method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS, attribute, refusal
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.share_gap import exact_shares, share_scales
from mswin_viz.analysis.attribution.target import FEATURES, Target
from mswin_viz.data.images.image_source import Crop
from mswin_viz.data.progress import Report, Stop, portion
from mswin_viz.data.sample import Sample
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import Picture
from mswin_viz.model.tokens.tokens import Tokens

Maps = Mapping[str, Attribution]
"""Title -> attribution."""
Job = Callable[[Report, Stop], Maps]


@dataclass(frozen=True)
class AttributionRequest:
    """What the controls ask for; equal where the same files, words and settings are."""

    samples: tuple[Sample, ...]  # one, or two that are each other's target
    modality: str
    prompt: str
    features: tuple[str, ...]
    calls: Mapping[str, Mapping[str, Any]]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Of each sample: the one asked for, or where it lacks that, the first that it has."""
        return tuple(
            self.modality if self.modality in sample.images else next(iter(sample.images))
            for sample in self.samples
        )

    @property
    def paths(self) -> tuple[Path | Crop, ...]:
        """The file of each sample."""
        return tuple(s.images[name] for s, name in zip(self.samples, self.modalities, strict=True))

    @property
    def tags(self) -> tuple[ImageTag, ...]:
        """What the weights read beside the pixels."""
        return tuple(ImageTag(name, s.camid) for s, name in zip(self.samples, self.modalities, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """Whose pictures these are, and in what they were taken."""
        return tuple(f"{s.name}, {name}" for s, name in zip(self.samples, self.modalities, strict=True))

    @property
    def target(self) -> str:
        """The target in words."""
        return f"“{self.prompt}”" if len(self.samples) == 1 else "each other"

    def targets(self, model: Model, pictures: Sequence[Picture]) -> dict[str, Target]:
        """Feature -> what it is compared with."""
        return {feature: _target(model, self, pictures, feature) for feature in self.features}

    def jobs(self, model: Model, pictures: Sequence[Picture]) -> list[tuple[str, Job]]:
        """Titles and what computes their maps, the exact shares first."""
        targets = self.targets(model, pictures)
        jobs: list[tuple[str, Job]] = []
        if "enhanced" in targets and model.addon is not None:
            target, scales = targets["enhanced"], share_scales(model)
            jobs.append(("exact window shares", lambda *_: _shares(model, pictures, target, scales)))
        for name, call in self.calls.items():
            jobs.append((METHOD_LABELS[name], partial(_maps, model, pictures, targets, (name, call))))
        return jobs


def scores(request: AttributionRequest, maps: Maps) -> dict[str, Sequence[float]]:
    """Feature -> the score of each image, as far as there are maps of it."""
    found: dict[str, Sequence[float]] = {}
    for title, attribution in maps.items():
        feature = "enhanced" if title.startswith("exact shares") else title.rpartition(", ")[2]
        if feature in request.features:
            found.setdefault(feature, [float(score) for score in attribution.score])
    return {feature: found[feature] for feature in FEATURES if feature in found}


def method_calls(model: Model, methods: Sequence[str], *, n_steps: int) -> dict[str, dict[str, Any]]:
    """Method -> keyword arguments of ``attribute``: pixels where a method has a map of them.

    Raises OptionError if there is no such method.
    """
    block = max(0, n_blocks(model) - 2)
    shared = {"n_steps": n_steps, "n_samples": max(2, n_steps // 2)}
    return {name: _call(name, block) | shared for name in methods}


def request_words(request: AttributionRequest, maps: Maps) -> str:
    """What the maps are of: the target, and the score of each image."""
    each = scores(request, maps).items()
    of = "; ".join(f"{name} CLS {', '.join(f'{score:.3f}' for score in values)}" for name, values in each)
    return f"Cosine with {request.target}: {of}"


def _call(name: str, block: int) -> dict[str, Any]:
    """Pixels where there is a map of them; else tokens or windows, behind the last block that both CLS read."""
    if name == "shapley":
        return {"method": name, "level": "windows", "scale": 8, "block": block, "baseline": "mean"}
    if refusal(name, "pixels"):
        own = {"gradcam": {"block": block}, "exact_split": {"baseline": "mean"}}
        return {"method": name, "level": "tokens"} | own.get(name, {})
    return {"method": name, "level": "pixels"}


def _target(model: Model, request: AttributionRequest, pictures: Sequence[Picture], feature: str) -> Target:
    if len(pictures) == 1:
        return Target.text(request.prompt, feature=feature)
    tokens = Tokens.joined([picture.tokens for picture in pictures])
    features = (model.enhance(tokens) if feature == "enhanced" else tokens).cls
    return Target.image(features.flip(0), feature=feature)


def _shares(model: Model, pictures: Sequence[Picture], target: Target, scales: Sequence[int]) -> Maps:
    tokens = Tokens.joined([picture.tokens for picture in pictures])
    return {
        f"exact shares, scale {scale}": exact_shares(model, tokens, target, scale)
        for scale in scales
        if scale <= tokens.patches.shape[1]
    }


def _maps(
    model: Model, pictures: Sequence[Picture], targets: Mapping[str, Target], named: tuple[str, Mapping[str, Any]],
    report: Report, stop: Stop,
) -> Maps:  # fmt: skip
    """One method's map for each feature, and for both their difference."""
    (name, call), maps = named, {}
    bound = model.bound(tags=[picture.tag for picture in pictures])
    images = [picture.image for picture in pictures]
    for i, (feature, target) in enumerate(targets.items()):
        part = portion(report, i / len(targets), (i + 1) / len(targets))
        maps[f"{name}, {feature}"] = attribute(bound, images, target, report=part, stop=stop, **call)
    if len(targets) == 2:
        plain, enhanced = (maps[f"{name}, {feature}"] for feature in FEATURES)
        change = {"values": enhanced.values - plain.values, "delta": enhanced.delta - plain.delta}
        maps[f"{name}, enhanced - plain"] = dataclasses.replace(enhanced, **change)
    return maps
