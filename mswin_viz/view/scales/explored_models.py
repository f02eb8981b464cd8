"""The models of a scale explorer, one or two, each with its caches: a request goes to all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mswin_viz.analysis.scales.request import first_value, n_channels, shuffled_runs
from mswin_viz.analysis.shares.addon_map import AddonMap
from mswin_viz.data.shown_text import short_text
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import Picture, TokenCache
from mswin_viz.view.parts.given import given_model
from mswin_viz.view.scales.cls_splits import ClsSplits
from mswin_viz.view.scales.result_cache import ExplorerRequest, ExplorerResult, ResultCache
from mswin_viz.view.scales.shown_results import ShownResults, pair_of, shown_results

GivenModels = Model | list[Model] | tuple[Model, ...] | Mapping[str, Model]
"""What an explorer takes: a model; or two, with or without names."""
_MOST = 2
_MOST_OF_A_NAME = 24  # characters; it stands above pictures


@dataclass(frozen=True, eq=False)
class ExploredModels:
    """One or two models on the same grid, and what is kept of their results.

    The scales, runs and channels are those that controls for all of them offer: every scale of a fusion and every run,
    and the channels that each has.
    """

    names: tuple[str, ...]  # as they are shown
    models: tuple[Model, ...]
    caches: tuple[ResultCache, ...]
    scales_of_each: tuple[tuple[int, ...], ...]  # of its fusion

    @property
    def weights(self) -> tuple[AddonMap | None, ...]:
        """Each add-on's shared float64 copy."""
        return tuple(cache.weights() for cache in self.caches)

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales of all fusions, each once."""
        return tuple(dict.fromkeys(scale for own in self.scales_of_each for scale in own))

    @property
    def runs(self) -> tuple[int, ...]:
        """Runs of tokens that are worth shuffling for a model."""
        every = zip(self.models, self.weights, strict=True)
        return tuple(dict.fromkeys(run for model, own in every for run in shuffled_runs(own, model.grid)))

    @property
    def n_channels(self) -> int:
        """How many channels every model has."""
        every = zip(self.models, self.weights, strict=True)
        return min(n_channels(model.addon, own, model.grid, model.dim) for model, own in every)

    @property
    def first_value(self) -> str:
        """The value to begin with: one that every model has."""
        values = {first_value(own) for own in self.weights}
        return values.pop() if len(values) == 1 else first_value(None)

    @property
    def has_text(self) -> bool:
        """Whether every model has a text tower."""
        return all(model.tower.has_text for model in self.models)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The names of two models; None where there is one."""
        return pair_of(self.names)

    @property
    def provenance(self) -> str:
        """All weights and inputs, in a line; with the models' names where there are two."""
        if len(self.models) == 1:
            return self.models[0].provenance
        every = zip(self.names, self.models, strict=True)
        return " | ".join(f"{name}: {model.provenance}" for name, model in every)

    @property
    def weights_in_words(self) -> str:
        """The same without names, which the user is free to choose."""
        return " | ".join(model.provenance for model in self.models)

    def result(self, request: ExplorerRequest) -> ShownResults:
        """What is shown for a request; errors as of :meth:`ResultCache.result`, of the first model that has one."""
        return shown_results(self.names, [self._result(request, at) for at in range(len(self.models))])

    def missing_splits(self, shown: ShownResults) -> list[tuple[ClsSplits, Picture, np.ndarray]]:
        """The splits of the CLS that what is shown asks for and lacks: where each is kept, the picture and its direction."""
        return [
            (cache.cls_splits, picture, direction)
            for cache, result in zip(self.caches, shown.results, strict=True)
            if result.has_cls and result.cls_splits is None
            for picture, direction in zip(result.pictures, result.subject.direction_of_each, strict=True)
        ]

    def close(self) -> None:
        """Release everything that is kept."""
        for cache in self.caches:
            cache.close()

    def _result(self, request: ExplorerRequest, at: int) -> ExplorerResult:
        """That of one model, whose name an option that it cannot serve is said with where there are two."""
        try:
            return self.caches[at].result(self._request_of(request, self.scales_of_each[at]))
        except OptionError as problem:
            if len(self.models) == 1:
                raise
            raise OptionError(f"{self.names[at]}: {problem}") from problem

    def _request_of(self, request: ExplorerRequest, scales: Sequence[int]) -> ExplorerRequest:
        """The request to a model with these scales: slots of its own; plain means where no kernel is."""
        shown = request.view_request
        states = dict(zip(self.scales, shown.slots, strict=True))
        kernel = shown.kernel if scales else "mean"
        own = replace(shown, slots=tuple(states[scale] for scale in scales), kernel=kernel)
        return replace(request, view_request=own)


def explored_models(given: GivenModels) -> ExploredModels:
    """The models that an explorer was given.

    Raises
    ------
    OptionError
        If they are not one or two models, or a name is not a text.
    ShapeError
        If two models do not have the same input size and grid of patch tokens.
    """
    named = _named(given)
    models = tuple(named.values())
    grids = [(model.image_size, model.grid) for model in models]
    if len(set(grids)) > 1:
        words = " and ".join(
            f"{name} {height}x{width} on a grid of {rows}x{cols}"
            for name, ((height, width), (rows, cols)) in zip(named, grids, strict=True)
        )
        raise ShapeError(
            f"two models are shown side by side on one input size and one grid of patch tokens: got {words}; load both "
            "with the same image_size=, and towers of the same patch size"
        )
    caches = tuple(ResultCache(model, TokenCache(model), ClsSplits(model)) for model in models)
    each = [cache.weights() for cache in caches]
    scales = tuple(() if own is None else own.scales for own in each)
    return ExploredModels(tuple(named), models, caches, scales)


def _named(given: GivenModels) -> dict[str, Model]:
    """Name -> model; a model that is alone needs no name."""
    if isinstance(given, Mapping):
        named = {_checked_name(name): model for name, model in given.items()}
    else:
        models = given if isinstance(given, list | tuple) else [given]
        named = {f"model {letter}": model for letter, model in zip("abcdefgh", models, strict=False)}
    n_given = len(given) if isinstance(given, Mapping | list | tuple) else 1
    if not 1 <= n_given <= _MOST:
        raise OptionError(
            f"an explorer shows one model, or two side by side under different names: got {n_given}; make an explorer for "
            "each pair"
        )
    if isinstance(given, Mapping) and len(named) != n_given:
        names = " and ".join(short_text(repr(name), 80) for name in given)
        raise OptionError(
            f"the names of two models must differ where they are shown, without blanks around them and in "
            f"{_MOST_OF_A_NAME} characters: got {names}; rename one"
        )
    return {name: given_model(model) for name, model in named.items()}


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise OptionError(f"a model's name is a text, such as 'baseline': got {name!r}")
    return short_text(name.strip(), _MOST_OF_A_NAME)
