"""How good a model is on freshly drawn synthetic people: retrieval, zero-shot attributes, captions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mswin_viz.analysis.measures.reranking_record import Reranking
from mswin_viz.analysis.measures.retrieval import retrieval
from mswin_viz.analysis.measures.zeroshot import text_to_image, zero_shot
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.synthetic.crowd import Crowd, picture_batches
from mswin_viz.data.synthetic.identity import attributes
from mswin_viz.data.synthetic.scenery import CAMERAS
from mswin_viz.data.synthetic.write_samples import CAPTIONED, sample_caption
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.preprocessing import FittedImage
from mswin_viz.model.training.untrained import untrained

SHOTS = 2
"""Shots of each person in each of the four cameras."""
PROMPTS = {
    "upper_colour": "a person wearing a {} top",
    "lower_colour": "a person wearing {} bottoms",
    "pattern": "a person wearing a {} top",
    "upper_type": "a person wearing a {}",
    "lower_type": "a person wearing {}",
    "any_bag": "a person carrying {}",
}
"""Zero-shot prompt of each attribute; `prompt_of` fills it in."""
_PHRASES = {("lower_type", "skirt"): "a skirt", ("any_bag", "yes"): "a bag", ("any_bag", "no"): "no bag"}
_GRID = (16, 8)

Features = Mapping[str, np.ndarray]
"""One row for each image, by modality."""


@dataclass(frozen=True)
class Measures:
    """Mean average precision, Rank-1 and mean inverse negative penalty of a retrieval, fractions; NaN where not measured."""

    mAP: float  # noqa: N815 (the field's name)
    rank1: float
    mINP: float = float("nan")  # noqa: N815 (the field's name)


@dataclass(frozen=True)
class NamedAttribute:
    """Zero-shot accuracy of one attribute: fraction of RGB pictures whose nearest prompt is the right one.

    Beside it: guessing evenly, always giving the commonest answer, and the same architecture with untrained weights.
    There is one prompt for each value that occurs.
    """

    accuracy: float
    chance: float
    commonest: float
    random_network: float
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class CaptionSearch:
    """Each person's caption against all RGB pictures, fractions.

    ``rank1``: captions whose first picture shows a person of whom all ``attributes`` are true; "plain" too, which some
    captions leave unsaid. ``chance``: the same of a picture taken blindly.
    """

    rank1: float
    chance: float
    random_network: float
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """Every figure of the model card; all are fractions.

    ``model`` says in words what was measured; identities, seed, cameras and shots, who was drawn for each split.
    Retrieval is by split, then features, then ``"RGB"``, ``"NI"``, ``"TI"`` or ``"three_together"``, ranked by
    ``metric``, and re-ranked as ``reranking`` says, if it does. What needs a text tower is None without one; the notes say what was left out, and why.
    """

    model: Mapping[str, str]
    identities: int
    seed: int
    cameras: int
    shots_per_camera: int
    retrieval: Mapping[str, Mapping[str, Mapping[str, Measures]]]
    zero_shot: Mapping[str, NamedAttribute] | None
    text_to_image: CaptionSearch | None
    notes: tuple[str, ...]
    metric: str = "cosine"
    reranking: Reranking | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as nested dictionaries."""
        return dataclasses.asdict(self)


def evaluate_model(
    model: Model,
    *,
    identities: int,
    seed: int,
    workers: int = 1,
    progress: bool = True,
    reranking: Reranking | None = None,
) -> Evaluation:
    """Every figure of the model card.

    Retrieval is of raw features by the model's metric, all against all, the query's own identity and camera left out;
    re-ranked, if that is asked for, in every row and column.
    There are as many ``identities`` in the standard as in the look-alike split, of the world ``seed``, which also
    seeds the random network and features. Workers draw, as in `mswin_viz.data.synthetic.crowd.pictures`. Raises
    OptionError if there are fewer than two identities; PromptError if a prompt or caption does not fit the text
    tower.
    """
    if identities < 2:
        raise OptionError(f"retrieval needs at least two identities: got {identities}; draw more")
    random = untrained(model, seed=seed)
    crowds = {split: Crowd(identities, seed, split, SHOTS) for split in ("standard", "look_alikes")}
    prompts = _prompts(crowds["standard"])
    networks = (model, random) if model.tower.has_text else ()
    texts = [
        {name: one.encode_text(words).cpu().numpy() for name, words in prompts.items()} for one in networks
    ]
    by_split, rgb = {}, []
    for split, crowd in crowds.items():
        features = _features(model, random, crowd, workers=workers, progress=progress)
        by_split[split] = {
            row: _retrieved(named, crowd, model.metric, reranking) for row, named in features.items()
        }
        if split == "standard":
            rgb = [features[row]["RGB"] for row in ("plain_cls", "random_network")]
    standard = crowds["standard"]
    return Evaluation(
        model=dict(model.provenance_items),
        identities=identities,
        seed=seed,
        cameras=len(CAMERAS),
        shots_per_camera=SHOTS,
        retrieval=by_split,
        zero_shot={name: _named(rgb, texts, standard, name) for name in PROMPTS} if texts else None,
        text_to_image=_searched(rgb, texts, standard) if texts else None,
        notes=() if texts else ("no text tower: zero-shot and text to image are left out",),
        metric=model.metric,
        reranking=reranking,
    )


def prompt_of(name: str, value: str) -> str:
    """The zero-shot prompt that says that the attribute ``name`` is ``value``."""
    sentence = PROMPTS[name].format(_PHRASES.get((name, value), value))
    return re.sub(r"\ba (?=[aeiou])", "an ", sentence)


def _features(
    model: Model, random: Model, crowd: Crowd, *, workers: int, progress: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Row of the table -> modality -> features; every shot is drawn once."""
    rows = ["plain_cls", *(["enhanced_cls"] if model.addon is not None else [])]
    parts: dict[str, dict[str, list[np.ndarray]]] = {
        row: {name: [] for name in MODALITIES} for row in (*rows, "random_network", "mean_colour_grid")
    }
    for batch in picture_batches(crowd, workers=workers, progress=progress):
        for name, images in batch.items():
            opened, tag = model.opened(images), ImageTag(name)
            tokens = model.encode(opened, tags=tag, progress=False)
            parts["plain_cls"][name].append(tokens.cls.cpu().numpy())
            if model.addon is not None:
                parts["enhanced_cls"][name].append(model.enhance(tokens).cls.cpu().numpy())
            parts["random_network"][name].append(
                random.encode(opened, tags=tag, progress=False).cls.cpu().numpy()
            )
            parts["mean_colour_grid"][name].append(_mean_colours(opened))
    features = {
        row: {name: np.concatenate(each) for name, each in by_name.items()} for row, by_name in parts.items()
    }
    rng = np.random.default_rng([crowd.seed, len(crowd)])
    return features | {"chance": {name: rng.normal(size=(len(crowd), model.dim)) for name in MODALITIES}}


def _mean_colours(images: Sequence[FittedImage]) -> np.ndarray:
    """Mean colours of a 16x8 grid over each picture as the model sees it, one row each."""
    rows, cols = _GRID
    seen = [image.shown.resize((cols, rows), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(picture, np.float64).ravel() for picture in seen])


def _retrieved(
    features: Features, crowd: Crowd, metric: str, reranking: Reranking | None
) -> dict[str, Measures]:
    """All against all, in each modality and in all of them concatenated raw, as the host model does."""
    together = np.concatenate([features[name] for name in MODALITIES], axis=1)
    reports = {
        name: retrieval(array, crowd.pids, crowd.camids, ranks=(1,), metric=metric, reranking=reranking)
        for name, array in {**features, "three_together": together}.items()
    }
    return {name: Measures(report.mAP, report.cmc[1], report.mINP) for name, report in reports.items()}


def _words(crowd: Crowd) -> list[dict[str, str]]:
    """Attributes of each person."""
    return [attributes(crowd.person(pid)) for pid in range(crowd.people)]


def _values(crowd: Crowd, name: str) -> list[str]:
    return sorted({words[name] for words in _words(crowd)})


def _prompts(crowd: Crowd) -> dict[str, list[str]]:
    """The prompts of each attribute's values, and everybody's caption as the sample table words it."""
    captions = [sample_caption(crowd.person(pid)) for pid in range(crowd.people)]
    return {name: [prompt_of(name, value) for value in _values(crowd, name)] for name in PROMPTS} | {
        "captions": captions
    }


def _named(rgb: Sequence[np.ndarray], texts: Sequence[Features], crowd: Crowd, name: str) -> NamedAttribute:
    values, words = _values(crowd, name), _words(crowd)
    labels = [values.index(words[pid][name]) for pid in crowd.pids]
    trained, random = (
        zero_shot(features, prompts[name], labels) for features, prompts in zip(rgb, texts, strict=True)
    )
    return NamedAttribute(
        accuracy=trained.accuracy,
        chance=trained.chance,
        commonest=trained.majority,
        random_network=random.accuracy,
        prompts=tuple(prompt_of(name, value) for value in values),
    )


def _searched(rgb: Sequence[np.ndarray], texts: Sequence[Features], crowd: Crowd) -> CaptionSearch:
    captioned = np.array([[words[key] for key in CAPTIONED] for words in _words(crowd)])
    fits = (captioned[:, None] == captioned[crowd.pids][None]).all(axis=2)
    trained, random = (
        text_to_image(features, prompts["captions"], fits)
        for features, prompts in zip(rgb, texts, strict=True)
    )
    return CaptionSearch(trained.rank1, trained.chance, random.rank1, tuple(CAPTIONED))
