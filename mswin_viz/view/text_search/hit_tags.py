"""Tags in the view of a search by text: of the chosen hits; and only samples found that the tags let through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mswin_viz.analysis.text_search.search import search_text
from mswin_viz.data.sample import Sample
from mswin_viz.view.parts.tag_bar import Keep, Shown, TagBar
from mswin_viz.view.text_search.searched import kept_hits

if TYPE_CHECKING:
    from mswin_viz.analysis.embeddings.table import EmbeddingTable
    from mswin_viz.analysis.text_search.record import TextSearch


class HitTags:
    """The ``bar`` of a view with ``results``, ``selected`` rows and a ``selection()``; ``changed()`` is called when others are hidden."""

    def __init__(self, view: Any, samples: Sequence[Sample], changed: Callable[[], None]) -> None:
        self._view, self._samples, self._changed = view, samples, changed
        self._keep: Keep | None = None
        self.bar = TagBar(samples, chosen=self._chosen, table=view.selection, on_filter=self._filter)

    def search(self, table: EmbeddingTable) -> TextSearch:
        """The first hits of what the view asks for, among the samples that are not hidden."""
        view, keep = self._view, self._keep
        k = view.k if keep is None else len(table)
        found = search_text(view.model, table, view.prompt, feature=view.feature, k=k)
        return found if keep is None else kept_hits(found, lambda at: keep(self._samples[at]), view.k)

    def _chosen(self) -> list[Sample]:
        found = self._view.results
        numbers = {} if found is None else dict.fromkeys(found.table.sample[self._view.selected].tolist())
        return [self._samples[number] for number in numbers]

    def _filter(self, keep: Keep | None) -> Shown:
        if keep is not self._keep:
            self._keep = keep
            self._changed()
        n_samples = len(self._samples)
        return n_samples if keep is None else sum(map(keep, self._samples)), n_samples, "samples"
