"""What a retrieval view is given: a model and samples, or tables of several models under names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mswin_viz.analysis.embeddings.named_features import NamedFeatures, features_of
from mswin_viz.analysis.embeddings.same_images import is_tables, same_images
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.given import given_model
from mswin_viz.view.parts.html import badge_html
from mswin_viz.view.parts.neighbour_words import list_title
from mswin_viz.view.parts.stored_output import one_line
from mswin_viz.view.widgets.labels import named
from mswin_viz.view.widgets.markup import Markup, fragment


@dataclass(eq=False)
class RetrievalSource:
    """Samples, the features that are ranked once there are some, and the models that split a similarity, by list.

    ``model`` embeds the samples and is that of the only list or the enhanced one; None where tables were given.
    """

    model: Model | None
    samples: list[Sample]
    models: Mapping[str, Model]
    lists: NamedFeatures | None = None

    @property
    def table(self) -> EmbeddingTable | None:
        """The first table; None until there is one."""
        return None if self.lists is None else self.lists.table

    @property
    def names(self) -> tuple[str, ...]:
        """Of the lists that there are or will be."""
        if self.lists is not None:
            return self.lists.names
        return ("plain",) if self.model is not None and self.model.addon is None else ("plain", "enhanced")

    def take(self, table: EmbeddingTable | None) -> None:
        """Rank the features of this table, the model's, from now on."""
        self.lists = None if table is None else features_of(table, self.names)

    @property
    def work(self) -> str:
        """What the button that ranks all queries is called."""
        return "rank all queries" if self.model is None else "embed and rank"

    @property
    def badge(self) -> Markup:
        """Which weights, or which features, each list comes from."""
        if self.model is not None:
            return badge_html(self.model.provenance_items)
        return fragment(*(badge_html(items, list_title(name)) for name, items in self._items().items()))

    @property
    def provenance(self) -> str:
        """The same in words."""
        if self.model is not None:
            return self.model.provenance
        about = {
            name: ", ".join(f"{word} {value}" for word, value in items.items())
            for name, items in self._items().items()
        }
        return "; ".join(f"{list_title(name)}: {words}" for name, words in about.items())

    def line(self, view: object, *, is_closed: bool) -> str:
        """The text form of a view of this."""
        n = counted(len(self.samples), "samples")
        if self.model is not None:
            shows = "not embedded yet" if self.table is None else repr(self.table)
            return one_line(view, f"{n}, {shows}", self.model, is_closed=is_closed)
        each = "" if self.lists is None else ", ".join(
            f"{named(name)}: {table!r}" for name, (table, _) in self.lists.of.items()
        )  # fmt: skip
        return one_line(view, f"{n}, {each}", is_closed=is_closed)

    def _items(self) -> dict[str, Mapping[str, str]]:
        of = {} if self.lists is None else self.lists.of
        return {
            name: _table_items(table, feature)
            | (dict(self.models[name].provenance_items) if name in self.models else {})
            for name, (table, feature) in of.items()
        }


def given_source(
    given: Any,
    samples: Any,
    table: EmbeddingTable | None,
    models: Mapping[str, Model] | None,
) -> RetrievalSource:
    """What a view shows of what it was given; an `OptionError` or `DataError` for anything that does not fit."""
    if is_tables(given):
        if table is not None:
            raise OptionError("tables are given by name, as the first argument: got table= too; leave it out")
        found = same_images(given, None if samples is None else listed_samples(samples))
        return RetrievalSource(None, found.samples, _checked_models(models, found.features), found.features)
    if models is not None:
        raise OptionError(
            f"models= belongs to tables by name, such as RetrievalView({{'windows': table}}, models={{'windows': model}}): got "
            f"{value_words(given)} as the first argument; leave models out"
        )
    model = given_model(given)
    source = RetrievalSource(model, listed_samples(samples), {}, None)
    source.models = {source.names[-1]: model}
    source.take(table)
    return source


def _checked_models(models: Mapping[str, Model] | None, lists: NamedFeatures) -> dict[str, Model]:
    if models is not None and not isinstance(models, Mapping):
        raise OptionError(
            f"models= is a mapping of names to models: got {value_words(models)}; name each model's table"
        )
    chosen = dict(models or {})
    strange = [name for name in chosen if name not in lists.of]
    if strange:
        raise OptionError(
            f"models= has names of the tables, {', '.join(map(repr, lists.names))}: got {strange[0]!r:.60}; give it the name of "
            "the table that the model made"
        )
    return {name: given_model(chosen[name]) for name in lists.names if name in chosen}


def _table_items(table: EmbeddingTable, feature: str) -> dict[str, str]:
    size = getattr(table, feature).shape[1]
    which = "" if np.array_equal(table.plain, table.enhanced) else f"{feature}, "
    n_rows = f"{len(table):,} in {', '.join(table.modalities)}"
    return {"features": f"{which}{size} numbers", "ranked by": METRIC_WORDS[table.metric], "images": n_rows}
