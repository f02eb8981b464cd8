"""How good a model is on synthetic people drawn for the occasion: retrieval and zero-shot attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.analysis.zeroshot import zero_shot
from mswin_viz.data.layouts import MODALITIES
from mswin_viz.data.synthetic import CAMERAS, attributes, render, sample_identity
from mswin_viz.errors import OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.model.tokens import Tokens

__all__ = ["PROMPTS", "SHOTS", "evaluate_model", "table", "world_tokens"]

SHOTS = 2
"""Shots of each person in each of the four cameras."""
PROMPTS = {
    "upper_colour": "a person wearing a {} top",
    "lower_colour": "a person wearing {} bottoms",
    "pattern": "a person wearing a {} top",
    "upper_type": "a person wearing a {}",
    "lower_type": "a person wearing {}",
}
"""Zero-shot prompt of each attribute."""


def world_tokens(
    model: Model, modality: str, *, identities: int, seed: int, shots: int = SHOTS, progress: bool = True
) -> tuple[Tokens, np.ndarray, np.ndarray]:
    """Tokens, pids and camids of ``identities`` people of world ``seed`` in one modality."""
    keys = [(p, c, s) for p in range(identities) for c in range(len(CAMERAS)) for s in range(shots)]
    people = [sample_identity(pid, seed=seed) for pid in range(identities)]
    images = [render(people[p], camera=c, shot=s, seed=seed)[modality] for p, c, s in keys]
    pids, camids, _ = (np.array(column) for column in zip(*keys, strict=True))
    return model.encode(images, progress=progress), pids, camids


def evaluate_model(model: Model, *, identities: int, seed: int, progress: bool = True) -> dict[str, Any]:
    """Every figure of the model card, as fractions; same identity and camera excluded, raw CLS, cosine.

    Raises
    ------
    OptionError
        If there are fewer than two identities.
    """
    if identities < 2:
        raise OptionError(f"retrieval needs at least two identities: got {identities}")
    plain, enhanced = {}, {}
    for modality in MODALITIES:
        tokens, pids, camids = world_tokens(
            model, modality, identities=identities, seed=seed, progress=progress
        )
        plain[modality] = tokens.cls.cpu().numpy()
        enhanced[modality] = model.enhance(tokens).cls.cpu().numpy()
    chance = np.random.default_rng(seed).normal(size=plain["RGB"].shape)
    results: dict[str, Any] = {
        "identities": identities,
        "seed": seed,
        "plain": _retrieved(plain, pids, camids),
        "enhanced": _retrieved(enhanced, pids, camids),
        "chance": _measures(chance, pids, camids),
    }
    if model.tower.has_text:
        words = [attributes(sample_identity(int(pid), seed=seed)) for pid in pids]
        results["zero_shot"] = {name: _named(model, plain["RGB"], words, name) for name in PROMPTS}
    return results


def table(results: Mapping[str, Any]) -> str:
    """The figures as a Markdown table, in percent."""
    lines = [
        f"{results['identities']} unseen people of world {results['seed']}, 4 cameras x {SHOTS} shots",
        "",
        "| features | RGB mAP / Rank-1 | NI | TI | three together |",
        "|---|---|---|---|---|",
    ]
    for name in ("plain", "enhanced"):
        cells = [_percent(results[name][key]) for key in (*MODALITIES, "all")]
        lines.append(f"| {name} CLS | {' | '.join(cells)} |")
    lines += [f"| chance | {_percent(results['chance'])} | | | |", ""]
    lines += ["| zero-shot, RGB | accuracy | chance | commonest |", "|---|---|---|---|"]
    for name, row in results.get("zero_shot", {}).items():
        cells = " | ".join(f"{100 * row[key]:.1f}" for key in ("accuracy", "chance", "majority"))
        lines.append(f"| {name.replace('_', ' ')} | {cells} |")
    return "\n".join(lines)


def _retrieved(features: Mapping[str, np.ndarray], pids: np.ndarray, camids: np.ndarray) -> dict[str, Any]:
    together = np.concatenate([features[name] for name in MODALITIES], axis=1)  # raw, as the host model does
    return {name: _measures(value, pids, camids) for name, value in {**features, "all": together}.items()}


def _measures(features: np.ndarray, pids: np.ndarray, camids: np.ndarray) -> dict[str, float]:
    report = retrieval(features, pids, camids)
    return {"mAP": report.mAP, "rank1": report.cmc[1]}


def _named(
    model: Model, features: np.ndarray, words: Sequence[Mapping[str, str]], name: str
) -> dict[str, float]:
    values = sorted({word[name] for word in words})
    prompts = [PROMPTS[name].format(_with_article(name, value)) for value in values]
    labels = [values.index(word[name]) for word in words]
    report = zero_shot(features, model.encode_text(prompts).cpu().numpy(), labels)
    return {"accuracy": report.accuracy, "chance": report.chance, "majority": report.majority}


def _with_article(name: str, value: str) -> str:
    return f"a {value}" if name == "lower_type" and value == "skirt" else value


def _percent(measures: Mapping[str, float]) -> str:
    return f"{100 * measures['mAP']:.1f} / {100 * measures['rank1']:.1f}"
