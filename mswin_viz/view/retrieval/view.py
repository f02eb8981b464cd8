"""The retrieval view: ranked results of a query, plain and enhanced, and where a similarity comes from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.embeddings.batch import embed
from mswin_viz.analysis.embeddings.neighbours import Neighbours
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.measures.matching import RULES
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Report, Stop, portion, unheard
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.page.page_plan import PagePlan
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.figure_download import FigureDownload
from mswin_viz.view.parts.given import given_model
from mswin_viz.view.parts.html import badge_html, failure_words
from mswin_viz.view.parts.neighbour_strip import NeighbourStrip
from mswin_viz.view.parts.row_pictures import first_pictures
from mswin_viz.view.parts.stored_output import one_line
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.retrieval.controls import MOST_K, retrieval_controls
from mswin_viz.view.retrieval.figures import ranked_figure
from mswin_viz.view.retrieval.page import RetrievalPage
from mswin_viz.view.retrieval.pair_work import PairWork
from mswin_viz.view.retrieval.query_choice import QueryJumps, query_name
from mswin_viz.view.retrieval.query_menu import QueryMenu, queries
from mswin_viz.view.retrieval.ranked_lists import RankedLists
from mswin_viz.view.retrieval.ranked_words import missing_words, summary_html
from mswin_viz.view.retrieval.rankings import Rankings, rankable
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import Html, message_html

_EMBEDDING = 0.8  # part of the progress bar that embedding takes
_QUICK = 700  # samples whose ranking against each other needs no button


class RetrievalViewError(OptionError, traitlets.TraitError):
    """The view was asked for a query, modality or number of results that it does not have; the old one stays."""


class RetrievalView(SavedAsPage):
    """Ranked results of one query, plain and enhanced, right and wrong marked; a click splits a similarity.

    In a notebook: ``mv.RetrievalView(model, samples)``, then "embed and rank". The traits below, and ``strip.clicked``, are its
    state. What goes wrong is shown in the view, and the last good view stays.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`, with any add-on or none.
    samples
        Queries and gallery; where they have splits, queries are ranked against the gallery.
    table
        Their embeddings, if at hand; with one, no image is encoded until a pair is looked at.
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
    table
        The embeddings; None until there are some. They stay when the view is closed.
    controls, download, save_page, strip, pair
        The parts: widgets, ranked lists (None until there is a table), and the chosen pair's shares.

    Raises
    ------
    DataError, OptionError
        If no sample has one of the modalities, or none may be a query; if the table is of other samples or a type is wrong.

    Examples
    --------
    >>> view = mv.RetrievalView(model, samples[:12], table=mv.embed(model, samples[:12]), k=4)
    >>> {feature: found.rows.shape for feature, found in view.results.items()}
    {'plain': (4,), 'enhanced': (4,)}
    >>> view.close()
    """

    query = traitlets.Int(0)
    modality = traitlets.Unicode()
    rule = traitlets.Enum(RULES, RULES[0])
    k = traitlets.Int(8)

    @made_whole()
    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        *,
        table: EmbeddingTable | None = None,
        modalities: Sequence[str] = MODALITIES,
        k: int = 8,
    ) -> None:
        self.model, self._samples = given_model(model), (listed := listed_samples(samples))
        self._rankings = Rankings(rankable(self._samples, modalities, table))
        positions, ranked_by = queries(self._samples), self._rankings.choices
        if not positions:
            raise DataError(f"a retrieval view needs a query: all {len(listed)} samples are of the gallery")
        self.table, self._lock = table, threading.RLock()
        self._jumps, self._pending_jump, self._missing = QueryJumps(), "", []
        has_scenes = any(sample.scene is not None for sample in self._samples)
        words = {choice: self._rankings.words(choice) for choice in ranked_by}
        self.controls = retrieval_controls(words, has_scenes=has_scenes)
        self._guarded = Guard(self, self._show_messages)
        self._menu = QueryMenu(self, self.controls, self._samples, self._guarded)
        self.worker = WorkBar(self._work, name="embed and rank", css="mswin-retrieval-work")
        self._lists = RankedLists(
            has_addon=model.addon is not None, clicked=lambda: self._pairs.follow(), guarded=self._guarded
        )
        self._pairs = PairWork(model, lambda: self._lists.pair)
        self.pair_worker, self.pair = self._pairs.worker, self._pairs.panel
        self._freshness = Freshness(lambda is_old: self._lists.mark(is_old=is_old))
        self.download = FigureDownload(
            self.pair.board, self._named_figure, guarded=self._guarded, css="mswin-retrieval"
        )
        self.save_page = PageDownload(self, self.pair.board, name="retrieval", counted="queries")
        names = ("message", "summary", "jump")
        self._html = {name: Html().add_class(f"mswin-retrieval-{name}") for name in names}
        badge, controls = Html(badge_html(model.provenance_items)), self.controls.layout(self.download)
        super().__init__(
            [badge, controls, self.worker, *self._html.values(), self._lists, self._pairs, self.save_page, Frame()],
            query=positions[0], modality=ranked_by[0], k=k,
        )  # fmt: skip
        for name in (VIEW, "mswin-explorer", "mswin-retrieval"):
            self.add_class(name)
        self._menu.find("")
        self._observe()
        self._refresh()

    def __repr__(self) -> str:
        embedded = "not embedded yet" if self.table is None else repr(self.table)
        shows = f"{len(self._samples)} samples, {embedded}"
        return one_line(self, shows, self.model, is_closed=is_closed(self))

    def _picture(self) -> Figure | Image.Image:
        return self.figure() if self.results else first_pictures(self._samples)

    @property
    def strip(self) -> NeighbourStrip | None:
        """The ranked lists; None until there is a table."""
        return self._lists.strip

    @property
    def results(self) -> dict[str, Neighbours]:
        """The records behind the lists, by feature; empty where there are none."""
        return self._lists.results

    def start(self) -> threading.Thread:
        """Embed what is not embedded and rank every query, as the button does."""
        return self.worker.start()

    def jump(self, kind: str) -> None:
        """Go to the query that is ``"worst"`` or ``"most changed"``; again for the next one.

        All queries are ranked first, in the background where there are many.
        """
        check_open(self)
        with self._lock:
            precisions = self._rankings.precisions(self.modality, self.rule)
            if self.table is None or precisions is None:
                self._pending_jump = kind
                self.start()
                return
            row, words = self._jumps.next(kind, *precisions)
            if row is not None:
                self.query = int(self._rankings.table(self.table, self.modality).sample[row])
            self._html["jump"].value = words

    def figure(self, *, n_shares: int = 0, scale: int | None = None) -> Figure:
        """What is ranked on screen as one matplotlib figure, with its provenance.

        Raises OptionError if nothing is ranked yet or there is no such scale, ClosedError if the view was closed.

        Parameters
        ----------
        n_shares
            How many enhanced results show their window shares too; each takes two images' tokens.
        scale
            Whose windows these are; fused, patch by patch, if None.
        """
        return self._named_figure(n_shares=n_shares, scale=scale)[1]

    def _named_figure(self, *, n_shares: int = 0, scale: int | None = None) -> tuple[str, Figure]:
        """What the lists show, named after their query: where the last ranking failed, not the one that is chosen."""
        check_open(self)
        strip, shown = self.strip, self._freshness.shown
        if strip is None or shown is None:
            raise OptionError(
                'a figure needs ranked results: got none yet; press "embed and rank", or call start()'
            )
        if not self.results:
            raise OptionError(
                f"a figure needs a query with ranked results: got {query_name(self._samples[self.query])}, which has none "
                f"by {self._rankings.words(self.modality)}; choose another query"
            )
        table, results, clicked = strip.table, self.results, strip.clicked
        shares = self._pairs.shares_of_first(table, results, n_shares)
        position, modality, rule = shown[:3]
        name = self._samples[position].name
        chosen = f", chosen result {self._samples[table.sample[clicked]].name}" if clicked >= 0 else ""
        words = f"Query {name}{chosen}. Ranked by {self._rankings.words(modality)}, rule {rule}; {self.model.provenance}"
        words = f"{'Older than the controls. ' * self._freshness.is_old}{words}"
        figure = ranked_figure(table, results, shares=shares, scale=scale, provenance=words)
        return f"{name}_ranked", figure

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        hidden = [self.worker, self._html["jump"], self.download, self._pairs, self.save_page]
        parts = (self, self._samples, self._rankings, self.controls, self._html, hidden)
        page = RetrievalPage(*parts, has_addon=self.model.addon is not None)
        return page.plan(self.table, self.strip, images, stop)

    def _observe(self) -> None:
        c = self.controls
        self._menu.observe()
        for name in ("modality", "rule", "k"):
            traitlets.link((self, name), (getattr(c, name), "value"))
        for name, button in c.jumps.items():
            button.on_click(self._guarded(f"going to the {name} query")(lambda _, name=name: self.jump(name)))
        guarded = self._guarded("following a control")
        self.observe(guarded(lambda _change: self._refresh()), ["query", "modality", "rule", "k"])

    @traitlets.validate("query", "modality", "k")
    def _checked(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        samples = range(len(self._samples))
        choices = {"query": samples, "modality": self._rankings.choices, "k": range(1, MOST_K + 1)}[name]
        if value not in choices:
            allowed = f"{choices[0]}..{choices[-1]}" if isinstance(choices, range) else "; ".join(choices)
            raise RetrievalViewError(f"{name} must be one of {allowed}: got {value!r}")
        return value

    def _work(self, report: Report, stop: Stop) -> str | None:
        """Embed if there is no table, rank every query, then jump if that was asked for; how that ended, if not well."""
        if self.table is None:
            self.table = embed(
                self.model, self._samples, modalities=self._rankings.modalities, progress=False, stop=stop,
                report=portion(report, 0, _EMBEDDING),
            )  # fmt: skip
            self._refresh()
        self._rankings.rank(self.table, self.modality, self.rule, portion(report, _EMBEDDING, 1), stop)
        self._summarise()
        pending, self._pending_jump = self._pending_jump, ""
        if pending:
            self.jump(pending)
        return "failed" if self._guarded.problems else None

    def _refresh(self) -> None:
        """Show what the traits ask for, or why that cannot be shown; older lists are then marked."""
        check_open(self)
        with self._lock, self._guarded("ranking"):
            self._menu.show()
            if self.table is None:
                n = sum(len(sample.images) for sample in self._samples)
                words = f"{len(self._samples)} samples, {n} images, not embedded yet: press “embed and rank”."
                self._html["summary"].value = words
                return
            with self._freshness.answering((self.query, self.modality, self.rule, self.k)):
                self._show_ranked(self.table)

    def _show_ranked(self, embedded: EmbeddingTable) -> None:
        table = self._rankings.table(embedded, self.modality)
        row = table.row_of(self.query, self._rankings.row_modality(self.modality))
        missing = missing_words(self._samples[self.query], self._rankings.words(self.modality))
        self._lists.show(table, row, k=self.k, rule=self.rule)
        choice = (self.modality, self.rule)
        if self._rankings.precisions(*choice) is None and len(self._samples) <= _QUICK:
            self._rankings.rank(embedded, *choice, unheard, lambda: False)
        self._summarise()
        self._guarded.forget()
        self._missing = [missing] if row < 0 else []
        self._show_messages(())

    def _summarise(self) -> None:
        self._html["summary"].value = summary_html(self._rankings, self.modality, self.rule)

    def _show_messages(self, messages: Sequence[str]) -> None:
        failed = () if self.table is None else failure_words(self.table.failed)
        old = [OUT_OF_DATE] if "ranking" in self._guarded.problems and self.strip is not None else []
        self._html["message"].value = message_html([*messages, *old, *self._missing, *failed])
