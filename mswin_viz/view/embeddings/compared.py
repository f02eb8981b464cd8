"""The embedding explorer of several models: which two are on the maps, and what stands for the model it does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.attribution.target import FEATURES
from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.paired_tables import paired_table
from mswin_viz.analysis.embeddings.same_images import is_tables, same_images
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.given import given_model
from mswin_viz.view.parts.html import badge_html
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.labels import named
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import Markup


class NoPanel(ClosedWhole, widgets.VBox):
    """Stands for the heatmaps of a point where there is no model; ``board`` sends files to the browser, and is not seen."""

    def __init__(self) -> None:
        self.board = HeatmapBoard((1, 1))
        self.state: dict[str, Any] = {}
        super().__init__([self.board], layout={"display": "none"})

    def look_at(self, *_image: object, **_options: object) -> None:
        """There is nothing to compute."""

    def compare_with(self, _sample: Sample) -> None:
        """There is nothing to compute."""

    def outdate(self) -> None:
        """There is nothing on screen."""


class PairMenu(widgets.HBox):
    """Which two of several models are on the maps; not shown where there are two."""

    def __init__(self, features: NamedFeatures | None) -> None:
        names = () if features is None else features.names
        self.features = features
        options = [(named(name), name) for name in names]
        self.first, self.second = (
            widgets.Dropdown(options=options, value=names[at], description=words, style={"description_width": "initial"})
            if names else widgets.Dropdown()
            for at, words in enumerate(("left map", "right map"))
        )  # fmt: skip
        self.first.add_class("mswin-map-first")
        self.second.add_class("mswin-map-second")
        shown = {"display": None if len(names) > 2 else "none", "flex_flow": "row wrap"}
        super().__init__([self.first, self.second], layout=shown)

    @property
    def chosen(self) -> tuple[str, str]:
        """The two names; those of one model's features where there are no others."""
        return FEATURES if self.features is None else (str(self.first.value), str(self.second.value))

    def table(self, present: EmbeddingTable | None) -> EmbeddingTable | None:
        """The features of both as one table, the present one if it is that; of one model the present one.

        Raises OptionError if both names are the same.
        """
        if self.features is None or (present is not None and present.feature_names == self.chosen):
            return present
        return paired_table(self.features, *self.chosen)


@dataclass(frozen=True, eq=False)
class MapsSource:
    """What an embedding explorer is given: a model and samples, or tables of several models under names."""

    model: Model | None
    samples: list[Sample]
    pair: PairMenu

    @property
    def models(self) -> tuple[Model, ...]:
        """The model, if there is one."""
        return () if self.model is None else (self.model,)

    @property
    def work(self) -> str:
        """What the button that computes the maps is called."""
        return "project and compare" if self.model is None else "embed, project and compare"

    @property
    def badge(self) -> Markup:
        """Which weights the embeddings come from, or which tables."""
        return badge_html(self._items() if self.model is None else self.model.provenance_items)

    @property
    def provenance(self) -> str:
        """The same in words."""
        if self.model is not None:
            return self.model.provenance
        return "; ".join(f"{name}: {words}" for name, words in self._items().items())

    def _items(self) -> Mapping[str, str]:
        of = {} if self.pair.features is None else self.pair.features.of
        return {
            named(name): f"{feature}, {counted(getattr(table, feature).shape[1], 'numbers')}"
            for name, (table, feature) in of.items()
        }


def given_maps(given: Any, samples: Any, table: EmbeddingTable | None) -> MapsSource:
    """What an explorer shows of what it was given; an `OptionError` or `DataError` for anything that does not fit."""
    if not is_tables(given):
        return MapsSource(given_model(given), at_least_one(samples), PairMenu(None))
    if table is not None:
        raise OptionError("tables are given by name, as the first argument: got table= too; leave it out")
    if len(given) < 2:
        raise OptionError(
            f"two maps need tables under two names: got {short_text(next(iter(given)), 60)!r} alone; add another, such as "
            "{'plain': (table, 'plain'), 'enhanced': table}"
        )
    found = same_images(given, samples)
    return MapsSource(None, found.samples, PairMenu(found.features))


def named_lists(table: EmbeddingTable) -> EmbeddingTable | NamedFeatures:
    """What the strip of neighbours shows: a list for each of two models, or the table itself."""
    if table.feature_names == FEATURES:
        return table
    return NamedFeatures(
        {name: (table, feature) for name, feature in zip(table.feature_names, FEATURES, strict=True)}
    )
