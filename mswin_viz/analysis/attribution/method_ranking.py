"""All methods on a set of images, ranked by how faithful their maps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import numpy as np
import torch

from mswin_viz.analysis.attribution.attribute import (
    ATTRIBUTION_METHODS,
    METHOD_LABELS,
    OF_IMAGES,
    attribute,
    refusal,
)
from mswin_viz.analysis.attribution.faithfulness import (
    REFERENCES,
    Faithfulness,
    bootstrap_interval,
    faithfulness,
)
from mswin_viz.analysis.attribution.input_levels import LEVELS
from mswin_viz.analysis.attribution.randomisation import Randomisation, randomisation_check
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.analysis.attribution.scored_inputs import opened_inputs
from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.analysis.markdown_tables import markdown_table
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Progress, Report, Stop, portion, unheard
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.block_outputs import n_blocks
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Ranking:
    """Attributions of several methods, and what the checks say of them.

    Attributes
    ----------
    attributions
        Method -> its attribution.
    faithfulness
        Deletion, insertion and infidelity.
    randomisation
        Rank correlations with shuffled models; None if not asked for.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> options = {"scale": 16, "methods": ["gradient_x_input", "feature_ablation"]}
    >>> ranking = mv.rank_methods(model, tokens, target, level="windows", **options)
    >>> sorted(ranking.attributions), ranking.randomisation
    (['feature_ablation', 'gradient_x_input'], None)
    >>> ranking.cells()[0][:3]  # headings of the table
    ['method', 'level', 'gain, zero [95 %]']
    """

    attributions: Mapping[str, Attribution]
    faithfulness: Faithfulness
    randomisation: Randomisation | None

    def table(self) -> str:
        """The ranking as a Markdown table, best first, with the references; means over images.

        The gain is insertion minus deletion area beyond random orders, with a 95 % bootstrap interval over
        images; "infidelity" is Captum's, normalised (0 best, 1 worst); "shuffled" is the rank
        correlation with the map of a model whose CLIP and add-on are shuffled (0 best).
        """
        heads, rows = self.cells()
        return "\n".join(markdown_table(heads, rows, padded=True))

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of the table, as words."""
        baselines = self.faithfulness.baselines
        heads = ["method", "level", *(f"gain, {b} [95 %]" for b in baselines)]
        heads += [f"{kind}, {b}" for b in baselines for kind in ("deletion", "insertion")]
        heads += ["infidelity", *(["shuffled"] if self.randomisation else []), "s/image"]
        names = (*self.faithfulness.ranked(), REFERENCES[0])
        return heads, [self._row(name) for name in names]

    def _row(self, name: str) -> list[str]:
        checks = self.faithfulness
        gains = [checks.gain(name, b) for b in checks.baselines]
        attribution = self.attributions.get(name)
        row = [
            METHOD_LABELS.get(name, name),
            attribution.level if attribution else "",
            *(_with_interval(g, checks.seed) for g in gains),
        ]
        for b in checks.baselines:
            curves = checks.curves[name, b]
            row += [f"{curves.deletion_area.mean():.3f}", f"{curves.insertion_area.mean():.3f}"]
        row.append(f"{checks.unexplained[name].mean():.2f}" if attribution else "")
        if self.randomisation:
            part = self.randomisation.parts[-1]
            row.append(
                f"{np.nanmean(self.randomisation.correlations[name, part]):+.2f}" if attribution else ""
            )
        return [*row, f"{attribution.seconds / len(attribution.score):.2f}" if attribution else ""]


class RankingOptions(TypedDict, total=False):
    """Options of :func:`rank_methods` by keyword, beside ``level`` and ``scale``."""

    methods: Sequence[str] | None
    settings: Mapping[str, Any]
    checks: Mapping[str, Any]
    randomise: bool
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True)
class _Settings:
    """`RankingOptions` with their defaults."""

    methods: Sequence[str] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    randomise: bool = False
    report: Report | None = None
    stop: Stop | None = None


@torch.inference_mode(False)  # a model or tokens copied in inference mode would have no gradients
def rank_methods(
    model: Model,
    inputs: ModelImages | Tokens,
    target: Target,
    *,
    level: str = "pixels",
    scale: int | None = None,
    **options: Unpack[RankingOptions],
) -> Ranking:
    """Run methods on a set of images and rank their maps.

    Parameters
    ----------
    model, inputs, target
        As in :func:`attribute`.
    level, scale
        ``"pixels"``: maps are compared on the image's patches, token maps of ``gradcam`` (at the last block
        but one), of attention and of ``exact_split`` (against the mean patch) among them. ``"tokens"`` or ``"windows"``: on the
        add-on.
    **options
        ``methods``: which, all that suit the level if left out; ``settings``: keyword arguments of :func:`attribute` for all
        of them; ``checks``: ``baselines``, ``n_steps=16`` along a curve, ``n_random=5`` orders, ``n_perturbations=32`` for
        infidelity, ``seed=0``; ``randomise=True``: also shuffle the model (needs images). ``report`` is called with the
        progress, ``stop`` asked between passes; true ends the work.

    Returns
    -------
    ranking
        Each method's attribution, deletion, insertion and infidelity; ``ranking.table()`` has them best first.

    Raises
    ------
    OptionError
        If there is no such level, option or method, or a method does not suit the level.
    StoppedError
        If ``stop`` returned true.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> options = {"scale": 16, "methods": ["gradient_x_input", "feature_ablation"]}
    >>> ranking = mv.rank_methods(model, tokens, target, level="windows", **options)
    >>> sorted(ranking.faithfulness.ranked())
    ['centre prior', 'feature_ablation', 'gradient_x_input']
    """
    checked_model(model)
    if level not in LEVELS:
        raise OptionError(f"a level is one of {', '.join(LEVELS)}: got {level!r}")
    chosen = options_of(_Settings, options, function="rank_methods", also=("level", "scale"))
    target, inputs = as_target(target).resolved(model), opened_inputs(model, inputs)
    if chosen.randomise and isinstance(inputs, Tokens):
        raise OptionError(
            "a shuffled CLIP gives other tokens: got tokens with randomise=True; pass the images"
        )
    calls = {
        name: {**_call(model, name, level, scale), **chosen.settings}
        for name in chosen.methods or _suitable(level)
    }
    maps = _attributions(model, inputs, target, calls, chosen)
    units = "patches" if level == "pixels" else level
    values = {name: a.on_patches() if units == "patches" else a.values for name, a in maps.items()}
    (chosen.report or unheard)(Progress(len(calls), len(calls) + 1, "checking how faithful the maps are …"))
    checks = faithfulness(model, inputs, target, values, units=units, scale=scale, **chosen.checks)
    shuffles = None
    if chosen.randomise and not isinstance(inputs, Tokens):
        shuffles = randomisation_check(model, inputs, target, calls, original=maps)
    return Ranking(attributions=maps, faithfulness=checks, randomisation=shuffles)


def _attributions(
    model: Model, inputs: ModelImages | Tokens, target: Target, calls: Mapping[str, Mapping[str, Any]], chosen: _Settings
) -> dict[str, Attribution]:  # fmt: skip
    """Each method's map; the checks that follow are one part more of the work."""
    maps, n_parts = {}, len(calls) + 1
    for at, (name, call) in enumerate(calls.items()):
        part = portion(chosen.report or unheard, at / n_parts, (at + 1) / n_parts)
        part(Progress(0, 1, f"{METHOD_LABELS.get(name, name)} …"))
        options: dict[str, Any] = {"report": part, "stop": chosen.stop, **call}
        maps[name] = attribute(model, inputs, target, **options)
    if chosen.stop is not None and chosen.stop():
        raise StoppedError("the ranking was stopped before the maps were checked")
    return maps


def _suitable(level: str) -> Sequence[str]:
    """Methods with a map that can be compared at a level."""
    wanted = (level, "tokens") if level == "pixels" else (level,)
    return [
        name
        for name in ATTRIBUTION_METHODS
        if any(not refusal(name, place) for place in wanted) and (level == "pixels" or name not in OF_IMAGES)
    ]


def _call(model: Model, name: str, level: str, scale: int | None) -> dict[str, Any]:
    """Keyword arguments of :func:`attribute`."""
    if level == "pixels" and refusal(name, "pixels"):
        own = {"gradcam": {"block": max(0, n_blocks(model) - 2)}, "exact_split": {"baseline": "mean"}}
        return {"method": name, "level": "tokens"} | own.get(name, {})
    return {"method": name, "level": level} | ({"scale": scale} if level == "windows" else {})


def _with_interval(values: np.ndarray, seed: int) -> str:
    low, high = bootstrap_interval(values, seed=seed)
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
