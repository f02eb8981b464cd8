"""The view of a search by text: what a sentence finds in each modality, and which patches its cosine comes from."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.text_search.record import TextSearch
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Progress, Report, Stop, portion
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.figure_download import FigureView
from mswin_viz.view.parts.given import given_model, given_prompt
from mswin_viz.view.parts.html import badge_html, failure_words
from mswin_viz.view.parts.row_pictures import first_pictures
from mswin_viz.view.parts.stored_output import StoredView, one_line
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.text_search.controls import MOST_K, text_controls
from mswin_viz.view.text_search.figures import text_hits_figure
from mswin_viz.view.text_search.hit_rows import TextHitRows
from mswin_viz.view.text_search.hit_tags import HitTags
from mswin_viz.view.text_search.search_words import legend_html, not_embedded_words, unknown_html
from mswin_viz.view.text_search.searched import chosen_hits, rows_of, searched_table
from mswin_viz.view.text_search.word_maps import WordMap, WordMaps, map_files
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import Html, message_html

if TYPE_CHECKING:
    import pandas as pd

_EMBEDDING = 0.8  # part of the progress bar that embedding takes
_OFTEN = 0.5  # seconds between two looks of the browser at new maps


class TextSearchViewError(OptionError, traitlets.TraitError):
    """The view was asked for a feature, number of hits or hit that it does not have; the old one stays."""


class TextSearchView(FigureView, StoredView, widgets.VBox):
    """What a text finds in each modality, each hit beside the map of the words over its patches.

    In a notebook: ``mv.TextSearchView(model, samples)``, then a text and Enter. Words that the text tower was never trained
    on are named above the hits; a text of such words alone is refused there. The maps are computed in the background. What
    goes wrong is shown in the view, and the last good view stays.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`, with a text tower.
    samples
        What is searched: their gallery, where they have splits, as in :func:`mswin_viz.search_text`.
    table
        Their embeddings, if at hand; without, the button embeds them first.
    prompt
        The first text.
    k
        Hits in each modality.

    Attributes
    ----------
    prompt, feature, k
        The text, ``"plain"`` or ``"enhanced"``, and hits in each modality.
    selected
        Rows of the table that were chosen by a click, ascending; see :meth:`selection`.
    results
        The record of what is shown (:class:`TextSearch`); None before the first search.
    table
        The embeddings; None until there are some. They stay when the view is closed.
    controls, worker, hits, tag_bar
        The parts: widgets, the work with its bar, the rows of hits, and the row that tags what is chosen.

    Raises
    ------
    DataError, OptionError
        If there is no sample; if the table is of other samples, the model has no text tower, or a type is wrong.

    Examples
    --------
    >>> table = mv.embed(model, samples[:12], progress=False)
    >>> view = mv.TextSearchView(model, samples[:12], table=table, prompt="a person in green trousers", k=4)
    >>> view.results.of("RGB").rows.shape, view.selection().empty
    ((4,), True)
    >>> view.selected = view.results.of("RGB").rows[:1].tolist()
    >>> view.selection().columns.tolist()[-2:]
    ['cosine', 'rank']
    >>> view.close()
    """

    prompt = traitlets.Unicode()
    feature = traitlets.Unicode("plain")
    k = traitlets.Int(8)
    selected = traitlets.List(traitlets.Int())

    @made_whole()
    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        *,
        table: EmbeddingTable | None = None,
        prompt: str = "a person wearing a red top",
        k: int = 8,
    ) -> None:
        self.model, self._samples = given_model(model), at_least_one(samples)
        if not model.tower.has_text:
            raise OptionError(
                f"a search by text needs a text tower: {model.tower.weights} has none; load weights of a whole CLIP"
            )
        self.table, self._lock = searched_table(table, len(self._samples)), threading.RLock()
        self.results: TextSearch | None = None
        self._maps = WordMaps(model)
        self.controls = text_controls(has_addon=model.addon is not None)
        self._guarded = Guard(self, self._show_messages)
        names = ("message", "unknown", "legend")
        self._html = {name: Html().add_class(f"mswin-text-{name}") for name in names}
        name = "search" if table is not None else "embed and search"
        self.worker = WorkBar(
            self._work, name=name, css="mswin-text-work", restarts=True, is_shown_below=False
        )
        self.hits = TextHitRows()
        self._freshness = Freshness(lambda is_old: show_as_out_of_date(self.hits, is_old))
        badge = Html(badge_html(model.provenance_items))
        self._tags = HitTags(self, self._samples, self._on_asked)
        self.tag_bar = self._tags.bar
        top = [badge, self.controls.layout(self.worker), *self._html.values()]
        parts = [*top, self.hits, self.tag_bar, Frame()]
        super().__init__(parts, prompt=given_prompt(prompt), k=k)
        for css in (VIEW, "mswin-explorer", "mswin-text-search"):
            self.add_class(css)
        self._observe()
        self._refresh()

    def __repr__(self) -> str:
        embedded = "not embedded yet" if self.table is None else repr(self.table)
        words = f"{counted(len(self._samples), 'samples')}, {embedded}"
        return one_line(self, words, self.model, is_closed=is_closed(self))

    def _picture(self) -> Figure | Image.Image:
        return first_pictures(self._samples) if self.results is None else self.figure()

    def release(self) -> None:
        """End the work, and release hits and maps."""
        self.worker.release()
        self._maps.close()
        self.results = None

    @property
    def maps(self) -> dict[int, WordMap]:
        """Row of the table -> map of the words, of the hits whose map is there."""
        found = self.results
        return {} if found is None else self._maps.of(found, rows_of(found))

    def start(self) -> threading.Thread:
        """Embed what is not embedded, search, and compute the maps, as the button does."""
        return self.worker.start()

    def stop(self) -> None:
        """Stop the work after the present image; the hits stay, some without a map."""
        self.worker.stop()

    def selection(self) -> pd.DataFrame:
        """The chosen hits: the columns of :meth:`EmbeddingTable.to_pandas`, tags, cosine and rank; the index is the row.

        Empty where none is chosen. Raises ClosedError if the view was closed, OptionError before the first search.
        """
        check_open(self)
        if self.results is None:
            raise OptionError(
                'a selection needs hits: got none yet; press "embed and search", or call start()'
            )
        return chosen_hits(self.results, self.selected, self.tag_bar)

    def _named_figure(self) -> tuple[str, Figure]:
        """What is shown, which may be older than the controls."""
        check_open(self)
        if self.results is None:
            raise OptionError('a figure needs hits: got none yet; press "embed and search", or call start()')
        words = f"{'Older than the controls. ' * self._freshness.is_old}{self.model.provenance}"
        return "text_search", text_hits_figure(self.results, self.maps, provenance=words)

    def _observe(self) -> None:
        for name in ("prompt", "feature", "k"):
            traitlets.link((self, name), (getattr(self.controls, name), "value"))
        traitlets.link((self, "selected"), (self.hits, "selected"))
        self.observe(
            self._guarded("choosing")(lambda change: self.tag_bar.count(len(change["new"]))), "selected"
        )
        guarded = self._guarded("following a control")
        self.observe(guarded(lambda _change: self._on_asked()), ["prompt", "feature", "k"])
        # the first maps are computed once somebody sees their hits
        guarded = self._guarded("following the page")
        self.hits.on_msg(guarded(lambda _hits, content, _buffers: self._on_page(content)))

    def _on_asked(self) -> None:
        self._refresh()
        if self.results is not None and not self._freshness.is_old:
            self.worker.start()

    def _on_page(self, content: Any) -> None:
        if content.get("kind") == "shown" and self.results is not None:
            self.worker.start()

    @traitlets.validate("feature", "k", "selected")
    def _checked(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "selected":
            shown = set() if self.results is None else set(rows_of(self.results))
            if strange := [row for row in value if row not in shown]:
                raise TextSearchViewError(f"selected rows must be among the hits shown: got {strange[0]}")
            return sorted(set(value))
        features = [one for _, one in self.controls.feature.options]
        choices = features if name == "feature" else range(1, MOST_K + 1)
        if value not in choices:
            allowed = f"1..{MOST_K}" if name == "k" else ", ".join(map(str, choices))
            raise TextSearchViewError(f"{name} must be one of {allowed}: got {value!r}")
        return value

    def _refresh(self) -> None:
        """Search for what the traits ask for, and show the hits, or why that cannot be done; older hits are then marked."""
        check_open(self)
        with self._lock, self._guarded("searching"):
            if self.table is None:
                self._html["legend"].value = not_embedded_words(self._samples)
                return
            with self._freshness.answering((self.prompt, self.feature, self.k)):
                self._show(self._tags.search(self.table))
            self._guarded.forget()
            self._show_messages(())

    def _show(self, found: TextSearch) -> None:
        self.results = None  # so that no row of the old hits is checked against the new ones
        self.selected = []
        self.hits.show(found)
        self.results = found
        self._html["unknown"].value = unknown_html(found)
        self._show_maps(found)

    def _show_maps(self, found: TextSearch) -> None:
        """Unless something else was found since."""
        with self._lock:
            if self.results is found:
                maps = self._maps.of(found, rows_of(found))
                self.hits.maps = map_files(maps)
                self._html["legend"].value = legend_html(maps, len(rows_of(found)))

    def _work(self, report: Report, stop: Stop) -> str | None:
        """Embed and search if there is no table, then compute the maps that are missing; how that ended, if not well."""
        if self.table is None:
            there = {name for sample in self._samples for name in sample.images}
            self.table = embed(
                self.model, self._samples, modalities=[name for name in MODALITIES if name in there],
                progress=False, stop=stop, report=portion(report, 0, _EMBEDDING),
            )  # fmt: skip
            self.worker.run.description = "search"
        if self.results is None or self._freshness.is_old:
            self._refresh()
        found = self.results
        if found is None or self._freshness.is_old:
            return "failed" if self._guarded.problems else None
        return self._compute_maps(found, report, stop)

    def _compute_maps(self, found: TextSearch, report: Report, stop: Stop) -> str | None:
        rows, bad, last = rows_of(found), 0, time.monotonic()
        for done, row in enumerate(rows):
            if stop():
                break
            report(Progress(done, len(rows), f"maps: {n_of(done, len(rows), 'images')}"))
            try:
                self._maps.compute(found, row)
            except MswinVizError:  # its file is gone; the picture has a cross
                bad += 1
            if time.monotonic() - last > _OFTEN:
                last = time.monotonic()
                self._show_maps(found)
        self._show_maps(found)
        words = f"{n_of(bad, len(rows), 'images')} cannot be read" if bad else None
        return "stopped" if stop() else words

    def _show_messages(self, messages: Sequence[str]) -> None:
        failed = () if self.table is None else failure_words(self.table.failed)
        old = [OUT_OF_DATE] if "searching" in self._guarded.problems and self.results is not None else []
        self._html["message"].value = message_html([*messages, *old, *failed])
