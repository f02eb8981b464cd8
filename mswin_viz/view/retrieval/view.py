"""The retrieval view: ranked results of a query, plain and enhanced, and where a similarity comes from."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.query_order import AS_LISTED, order_names
from mswin_viz.analysis.embeddings.same_images import TablesByName
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.page.page_plan import PagePlan
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.figure_download import FigureDownload
from mswin_viz.view.parts.html import failure_words
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.parts.row_pictures import first_pictures
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.retrieval.controls import MOST_K, retrieval_controls
from mswin_viz.view.retrieval.page import RetrievalPage
from mswin_viz.view.retrieval.pair_works import PairWorks
from mswin_viz.view.retrieval.query_menu import QueryMenu, queries
from mswin_viz.view.retrieval.query_sorting import QuerySorting, order_choices
from mswin_viz.view.retrieval.query_tags import QueryTags
from mswin_viz.view.retrieval.ranked_lists import RankedLists
from mswin_viz.view.retrieval.ranking_work import RankingWork
from mswin_viz.view.retrieval.rankings import Rankings, rankable
from mswin_viz.view.retrieval.shown_figure import named_figure
from mswin_viz.view.retrieval.source import given_source
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import Html, message_html

if TYPE_CHECKING:
    import pandas as pd


class RetrievalViewError(OptionError, traitlets.TraitError):
    """The view was asked for a query, modality or number of results that it does not have; the old one stays."""


class RetrievalView(SavedAsPage):
    """Ranked results of one query, plain and enhanced or of several models, right and wrong marked.

    In a notebook: ``mv.RetrievalView(model, samples)``, then "embed and rank"; or, of models whose tables are at hand,
    ``mv.RetrievalView({"baseline": table_a, "windows": table_b})``: a list for each name. The traits below, and
    ``strip.clicked``, are its state. What goes wrong is shown in the view, and the last good view stays.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`, with any add-on or none. Or name -> table of :func:`embed`, whose enhanced
        features are ranked, or ``(table, "plain")``. Tables are of the same images, found by their files; they may differ in
        width, metric, modalities and order. Images that only some have are left out of every list, and named.
    samples
        Queries and gallery; where they have splits, queries are ranked against the gallery. Of tables by name they may be
        left out: they are put together from the tables' rows, without captions.
    table
        The samples' embeddings by the one model, if at hand; no image is encoded until a pair is looked at.
    models
        Of tables by name: name -> the model that made the table, to split the similarity of a result that is clicked.
    modalities
        Which can be ranked by, alone and together.

    Attributes
    ----------
    query
        Position of the sample whose results are shown.
    modality
        ``"RGB"``, ``"NI"``, ``"TI"``, ``"all, raw"`` or ``"all, equalised"``.
    rule
        The matching rule: ``"camera"``, ``"scene"`` or ``"none"``.
    k
        Results in each list.
    order
        Of the queries in the menu: ``"as listed"``; ``"AP, NAME"``, ``"margin, NAME"`` or ``"first match, NAME"`` of a list,
        worst first; ``"loss, NAME"`` or ``"gain, NAME"`` of AP against the first list; ``"disagreement"``, fewest of the
        first ``k`` results in common first. The lists of one model are ``plain`` and ``enhanced``.
    controls, download, save_page, tag_bar, strip, pair, pairs
        The parts: widgets, ranked lists (None until there is a table), and the chosen pair's shares by the model, or by each.

    Raises
    ------
    DataError, OptionError
        If no sample has one of the modalities, or none may be a query; if the table is of other samples, tables have no image
        in common or differ in what they know of one, or a type is wrong.

    Examples
    --------
    >>> table = mv.embed(model, samples[:12], progress=False)
    >>> view = mv.RetrievalView(model, samples[:12], table=table, k=4)
    >>> {name: found.rows.shape for name, found in view.results.items()}
    {'plain': (4,), 'enhanced': (4,)}
    >>> view.close()
    >>> compared = mv.RetrievalView({"CLIP": (table, "plain"), "windows": table}, k=4)
    >>> compared.order = "disagreement"  # and the first query of that order is shown
    >>> list(compared.results), len(compared.queries())
    (['CLIP', 'windows'], 12)
    >>> compared.close()
    """

    query = traitlets.Int(0)
    modality = traitlets.Unicode()
    rule = traitlets.Enum(RULES, RULES[0])
    k = traitlets.Int(8)
    order = traitlets.Unicode(AS_LISTED)

    @made_whole()
    def __init__(
        self,
        model: Model | TablesByName,
        samples: Sequence[Sample] | None = None,
        *,
        table: EmbeddingTable | None = None,
        models: Mapping[str, Model] | None = None,
        modalities: Sequence[str] = MODALITIES,
        k: int = 8,
    ) -> None:
        self._source = source = given_source(model, samples, table, models)
        self.model, self._samples, self._missing = source.model, source.samples, []
        self._rankings = Rankings(rankable(self._samples, modalities, self.table))
        positions, ranked_by = queries(self._samples), self._rankings.choices
        if not positions:
            n = len(self._samples)
            every = "the only sample is" if n == 1 else f"all {n:,} samples are"
            raise DataError(f"a retrieval view needs a query: {every} of the gallery")
        names = ("message", "summary", "jump")
        self._html = {name: Html().add_class(f"mswin-retrieval-{name}") for name in names}
        has_scenes = any(sample.scene is not None for sample in self._samples)
        words = {choice: self._rankings.words(choice) for choice in ranked_by}
        self.controls = retrieval_controls(words, order_choices(source.names), has_scenes=has_scenes)
        self._guarded = guarded = Guard(self, self._show_messages)
        sorting = QuerySorting(self, source, self._rankings)
        self._menu = QueryMenu(self, self.controls, self._samples, sorting, guarded)
        self._ranking = RankingWork(self, source, self._rankings, self._menu, self._html, self._refresh)
        self.worker = WorkBar(self._work, name=source.work, css="mswin-retrieval-work")
        self._lists = RankedLists(clicked=self._on_clicked, guarded=guarded)
        self._pairs = PairWorks(source.models, self._lists.pair, lambda: self._lists.is_chosen)
        self.pairs, self.pair, self.pair_worker = self._pairs.of, self._pairs.first, self._pairs.worker
        self._tags = QueryTags(self._samples, self._lists, self._menu, lambda: self.query)
        self.tag_bar = self._tags.bar
        self._freshness = Freshness(lambda is_old: self._lists.mark(is_old=is_old))
        board = self._pairs.board
        self.download = FigureDownload(board, self._named_figure, guarded=guarded, css="mswin-retrieval")
        self.save_page = PageDownload(self, board, name="retrieval", counted="queries")
        badge, controls = Html(source.badge), self.controls.layout(self.download)
        super().__init__(
            [badge, controls, self.worker, *self._html.values(), self._lists, self._pairs, self.tag_bar, self.save_page, Frame()],
            query=positions[0], modality=ranked_by[0], k=k,
        )  # fmt: skip
        for name in (VIEW, "mswin-explorer", "mswin-retrieval"):
            self.add_class(name)
        self._menu.find("")
        self._observe()
        self._refresh()

    def __repr__(self) -> str:
        return self._source.line(self, is_closed=is_closed(self))

    def _picture(self) -> Figure | Image.Image:
        return self.figure() if self.results else first_pictures(self._samples)

    @property
    def table(self) -> EmbeddingTable | None:
        """The embeddings, of several models the first's; None until there are some."""
        return self._source.table

    @table.setter
    def table(self, table: EmbeddingTable | None) -> None:
        """Rank this table of the one model from now on."""
        self._source.take(table)

    @property
    def strip(self) -> NeighbourStrip | None:
        """The ranked lists; None until there is a table."""
        return self._lists.strip

    @property
    def results(self) -> dict[str, Neighbours]:
        """The records behind the lists, by list; empty where there are none."""
        return self._lists.results

    def start(self) -> threading.Thread:
        """Embed what is not embedded and rank every query, as the button does."""
        return self.worker.start()

    def jump(self, kind: str) -> None:
        """Go to the query that is ``"worst"`` in the last list or ``"most changed"`` between lists; again for the next one.

        All queries are ranked first, in the background where there are many.
        """
        check_open(self)
        self._ranking.jump(kind)

    def queries(self) -> pd.DataFrame:
        """What the lists make of every query, by the present modality and rule: the columns of :func:`query_table`.

        Raises OptionError if nothing is embedded yet, ClosedError if the view was closed.
        """
        check_open(self)
        return self._ranking.queries()

    def selection(self) -> pd.DataFrame:
        """The chosen result, or else the query: the columns of :meth:`EmbeddingTable.to_pandas`, and ``tags``.

        Raises OptionError if nothing is ranked yet, ClosedError if the view was closed.
        """
        check_open(self)
        return self._tags.frame()

    def figure(self, *, n_shares: int = 0, scale: int | None = None) -> Figure:
        """What is ranked on screen as one matplotlib figure, with its provenance.

        Raises OptionError if nothing is ranked yet or there is no such scale, ClosedError if the view was closed.

        Parameters
        ----------
        n_shares
            How many results of the enhanced list, or of the last one with a model, show their window shares too; each takes two
            images' tokens.
        scale
            Whose windows these are; fused, patch by patch, if None.
        """
        return self._named_figure(n_shares=n_shares, scale=scale)[1]

    def _named_figure(self, *, n_shares: int = 0, scale: int | None = None) -> tuple[str, Figure]:
        check_open(self)
        about, now = (self._source, self._rankings, self._pairs), (self.query, self.modality)
        return named_figure(self.strip, self._freshness, about, now, n_shares=n_shares, scale=scale)

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        hidden = [self.worker, self._html["jump"], self.download, self._pairs, self.tag_bar, self.save_page]
        parts = (self, self._samples, self._rankings, self.controls, self._html, hidden)
        return RetrievalPage(*parts).plan(self._source.lists, self.strip, images, stop)

    def _observe(self) -> None:
        c = self.controls
        self._menu.observe()
        for name in ("order", "modality", "rule", "k"):
            traitlets.link((self, name), (getattr(c, name), "value"))
        for name, button in c.jumps.items():
            button.on_click(self._guarded(f"going to the {name} query")(lambda _, name=name: self.jump(name)))
        guarded = self._guarded("following a control")
        self.observe(guarded(lambda _change: self._refresh()), ["query", "modality", "rule", "k"])
        self.observe(self._guarded("sorting the queries")(lambda _change: self._ranking.sort()), "order")

    @traitlets.validate("query", "modality", "k", "order")
    def _checked(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        choices = {
            "query": range(len(self._samples)), "modality": self._rankings.choices, "k": range(1, MOST_K + 1),
            "order": order_names(self._source.names),
        }[name]  # fmt: skip
        if value not in choices:
            allowed = f"{choices[0]}..{choices[-1]}" if isinstance(choices, range) else "; ".join(choices)
            raise RetrievalViewError(f"{name} must be one of {allowed}: got {value!r}")
        return value

    def _work(self, report: Report, stop: Stop) -> str | None:
        """Embed and rank; how that ended, if not well."""
        self._ranking.run(report, stop)
        return "failed" if self._guarded.problems else None

    def _on_clicked(self) -> None:
        self._tags.say()
        self._pairs.follow()

    def _refresh(self) -> None:
        """Show what the traits ask for, or why that cannot be shown; older lists are then marked."""
        check_open(self)
        with self._ranking.lock, self._guarded("ranking"):
            self._menu.show()
            self._tags.say()
            if self._source.lists is None:
                self._ranking.summarise()
                return
            with self._freshness.answering((self.query, self.modality, self.rule, self.k)):
                self._missing = self._ranking.show(self._source.lists, self._lists)
                self._guarded.forget()
                self._show_messages(())

    def _show_messages(self, messages: Sequence[str]) -> None:
        failed = () if self._source.lists is None else failure_words(self._source.lists.failed)
        old = [OUT_OF_DATE] if "ranking" in self._guarded.problems and self.strip is not None else []
        self._html["message"].value = message_html([*messages, *old, *self._missing, *failed])
