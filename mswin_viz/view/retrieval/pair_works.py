"""The shares of the chosen result by each model that the retrieval view was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.named_features import NamedFeatures
from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.pair_record import PairShares
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.neighbour_words import list_title
from mswin_viz.view.retrieval.pair_work import Pair, PairWork
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import NOTE, Html, fragment, tag

_NO_MODEL = (
    "Where this similarity comes from needs the model that made a table: give it by the table's name, as in "
    "RetrievalView(tables, models={name: model})."
)


class PairWorks(ClosedWhole, widgets.VBox):
    """A :class:`PairWork` for each model, by list; ``chosen(name)`` returns the chosen pair in that list's table.

    ``board`` sends files to the browser: that of the first model, or, without any, an empty one that is not seen. ``first``
    and ``worker`` are the first model's panel and its button; None without any.
    """

    def __init__(
        self, models: Mapping[str, Model], chosen: Callable[[str], Pair | None], is_chosen: Callable[[], bool]
    ) -> None:
        self._models, self._is_chosen = models, is_chosen
        self.of = {name: PairWork(model, lambda name=name: chosen(name)) for name, model in models.items()}
        self._note = Html()
        self.board = next((work.panel.board for work in self.of.values()), None) or HeatmapBoard((1, 1))
        first = next(iter(self.of.values()), None)
        self.first, self.worker = (None, None) if first is None else (first.panel, first.worker)
        super().__init__(list(self._parts()))

    def follow(self) -> None:
        """Begin on the chosen pair with every model, or say that there is none; show nothing if no pair is chosen."""
        for work in self.of.values():
            work.follow()
        is_chosen = not self.of and self._is_chosen()
        self._note.value = tag("div", _NO_MODEL, style=NOTE) if is_chosen else fragment()

    def shares_of_first(
        self, lists: NamedFeatures, results: Mapping[str, Neighbours], n: int
    ) -> tuple[str, list[PairShares]]:
        """The last list that has a model, and the shares of the query and each of its first ``n`` results.

        Raises OptionError if shares are asked for and no list has a model.
        """
        if n > 0 and not self.of:
            raise OptionError(
                f"a figure with window shares needs the model of a table: got none. {_NO_MODEL}"
            )
        named = [name for name in results if name in self.of and self._models[name].addon is not None]
        if not named or n < 1:
            return "", []
        name = named[-1]
        return name, self.of[name].shares_of_first(lists.of[name][0], results[name], n)

    def _parts(self):
        for name, work in self.of.items():
            if len(self.of) > 1:
                yield Html(tag("b", list_title(name)))
            yield work
        yield self._note
        if not self.of:
            yield widgets.VBox([self.board], layout={"display": "none"})
