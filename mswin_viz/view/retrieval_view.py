"""The retrieval view: ranked results of a query before and after the add-on, and where a similarity comes from."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets
from matplotlib.figure import Figure

from mswin_viz.analysis.embedding_table import EmbeddingTable, embed
from mswin_viz.analysis.neighbours import RULES, Neighbours, query_precisions
from mswin_viz.analysis.pair_shares import KeptTokens, pair_window_shares
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.layouts import Sample
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.backbone import Model
from mswin_viz.view.figures import figure_bytes
from mswin_viz.view.neighbour_strip import NeighbourStrip
from mswin_viz.view.pair_panel import PairPanel
from mswin_viz.view.query_choice import jump_order, matching, query_name, summary
from mswin_viz.view.retrieval_controls import MOST_K, retrieval_controls
from mswin_viz.view.retrieval_figures import ranked_figure
from mswin_viz.view.share_bars import badge_html, message_html
from mswin_viz.view.worker import Report, Stop, Worker

__all__ = ["ALL", "ALL_EQUALISED", "RetrievalView", "RetrievalViewError"]

ALL = "all, raw"
"""All modalities joined as they are: the longer feature has more say (the way of MambaPro and its kin)."""
ALL_EQUALISED = "all, equalised"
"""All modalities joined, each of unit length first."""
_MOST_LISTED = 600  # queries in the menu at once; a search narrows them down
_QUICK = 700  # samples whose ranking against each other needs no button
_MOST_SAID = 3  # images that failed, by name


class RetrievalViewError(OptionError, traitlets.TraitError):
    """The view was asked for a query, modality or number of results that it does not have; the old one stays."""


class RetrievalView(widgets.VBox):
    """Ranked results of one query before and after the add-on, right and wrong marked; a click splits a similarity.

    In a notebook, in one line: ``mv.RetrievalView(model, samples)`` and press "embed and rank", or with a table at
    hand ``mv.RetrievalView(model, samples, table=mv.embed(model, samples))``. The traits below, and ``strip.clicked``,
    are its state. What cannot be done is said in the view, and the last good view stays.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`. Window shares need a scheme-1 add-on or none; ranking does not.
    samples
        Those that ask and answer; where they have splits, queries ask the gallery.
    table
        Their embeddings, if at hand; with one, no image is encoded until a pair is looked at.
    modalities
        Which can be ranked by, alone and together.

    Attributes
    ----------
    query
        Position of the sample that asks.
    modality
        ``"RGB"``, ``"NI"``, ``"TI"``, :data:`ALL` or :data:`ALL_EQUALISED`.
    rule
        ``"camera"``, ``"scene"`` or ``"none"``: what is left out with the query's identity.
    k
        Results in each list.
    table
        The embeddings; None until there are some.
    controls, strip, pair
        The parts: widgets, ranked lists (None until there is a table), and the chosen pair's shares.

    Raises
    ------
    DataError
        If there is no sample, or none with one of the modalities.
    OptionError
        If the table is not one of these samples and modalities.
    """

    query = traitlets.Int(0)
    modality = traitlets.Unicode()
    rule = traitlets.Enum(RULES, RULES[0])
    k = traitlets.Int(8)

    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        *,
        table: EmbeddingTable | None = None,
        modalities: Sequence[str] = MODALITIES,
        k: int = 8,
    ) -> None:
        self.model, self._samples = model, list(samples)
        self._single = _modalities(self._samples, modalities, table)
        self._choices = (*self._single, *((ALL, ALL_EQUALISED) if len(self._single) > 1 else ()))
        self._asking = [at for at, sample in enumerate(self._samples) if sample.split != "gallery"]
        if not self._asking:
            raise DataError(
                f"the retrieval view needs a sample that asks: all {len(samples)} are of the gallery"
            )
        self.table, self._lock = table, threading.RLock()
        self._tables: dict[str, EmbeddingTable] = {}
        self._precisions: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._is_filling = False
        self._pending, self._last_jump = "", ("", -1)
        self._kept, self._wanted, self._is_idle = KeptTokens(model), None, True
        self._pair_thread: threading.Thread | None = None
        has_scenes = any(sample.scene is not None for sample in self._samples)
        self.controls = retrieval_controls(self._choices, has_scenes=has_scenes)
        self.worker = Worker(self._work, name="embed and rank", css="mswin-retrieval-work")
        self.pair_worker = Worker(
            self._split, name="window shares of the chosen result", css="mswin-retrieval-pair"
        )
        self.pair, self.strip = PairPanel(model), None
        self._html = {name: widgets.HTML() for name in ("message", "summary", "jump")}
        self._strip_box = widgets.VBox()
        super().__init__(self._children(), query=self._asking[0], modality=self._choices[0], k=k)
        for name in ("mswin-explorer", "mswin-retrieval"):
            self.add_class(name)
        self._list_queries("")
        self._observe()
        self._refresh()

    def __repr__(self) -> str:
        return f"RetrievalView({len(self._samples)} samples, {self.table!r})"

    @property
    def results(self) -> dict[str, Neighbours]:
        """The records behind the lists, by feature; empty where there are none."""
        return {} if self.strip is None else dict(self.strip.results)

    def start(self) -> threading.Thread:
        """Embed what is not embedded and rank every query, as the button does."""
        return self.worker.start()

    def jump(self, kind: str) -> None:
        """Go to the query that is ``"worst"`` or ``"most changed"``; again for the next one.

        All queries are ranked first, in the background where there are many.
        """
        with self._lock:
            key = (self.modality, self.rule)
            if key not in self._precisions:
                self._pending = kind
                self.start()
                return
            before, after = self._precisions[key]
            order, table = jump_order(kind, before, after), self._table_of(self.modality)
            if not len(order):
                self._html["jump"].value = "no query has a right answer under this rule"
                return
            at = (self._last_jump[1] + 1) % len(order) if self._last_jump[0] == kind else 0
            self._last_jump, row = (kind, at), int(order[at])
            self.query = int(table.sample[row])
            self._html[
                "jump"
            ].value = f"{kind}: {at + 1} of {len(order)}, AP {before[row]:.3f} before, {after[row]:.3f} after"

    def figure(self, *, n_shares: int = 0, scale: int | None = None) -> Figure:
        """What is ranked on screen as one matplotlib figure, with its provenance.

        Parameters
        ----------
        n_shares
            Of so many of the enhanced results, show the window shares too; each takes two images' tokens.
        scale
            At which; all scales together if None.

        Raises
        ------
        OptionError
            If nothing is ranked yet, or there is no such scale.
        """
        if not self.results:
            raise OptionError(
                'a figure needs ranked results: there are none yet; press "embed and rank", or start()'
            )
        table, found = self.strip.table, self.results
        rows = found["enhanced"].rows[:n_shares].tolist() if "enhanced" in found else []
        shares = [pair_window_shares(self.model, table, self.strip.row, row, kept=self._kept) for row in rows]
        return ranked_figure(table, found, shares=shares, scale=scale, provenance=self._provenance())

    # ---- parts ------------------------------------------------------------------------------

    def _children(self) -> list[widgets.Widget]:
        for name, html in self._html.items():
            html.add_class(f"mswin-retrieval-{name}")
        return [
            widgets.HTML(badge_html(self.model.provenance_items)),
            self.controls.layout(),
            self.worker,
            *self._html.values(),
            self._strip_box,
            self.pair_worker,
            self.pair,
        ]

    def _observe(self) -> None:
        c = self.controls
        for name in ("modality", "rule", "k"):
            traitlets.link((self, name), (getattr(c, name), "value"))
        c.search.observe(lambda change: self._list_queries(change["new"]), "value")
        c.query.observe(lambda change: self._on_listed(change["new"]), "value")
        c.previous.on_click(lambda _: self._step(-1))
        c.following.on_click(lambda _: self._step(1))
        for name, button in c.jumps.items():
            button.on_click(lambda _, name=name: self.jump(name))
        c.save.on_click(lambda _: self._on_save())
        self.observe(lambda _change: self._refresh(), ["query", "modality", "rule", "k"])

    @traitlets.validate("query", "modality", "k")
    def _checked(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        fits = {
            "query": lambda: 0 <= value < len(self._samples),
            "modality": lambda: value in self._choices,
            "k": lambda: 1 <= value <= MOST_K,
        }[name]
        wanted = {
            "query": f"a sample's position, 0..{len(self._samples) - 1}",
            "modality": f"one of {'; '.join(self._choices)}",
            "k": f"1..{MOST_K}",
        }[name]
        if not fits():
            raise RetrievalViewError(f"{name} is {wanted}: got {value!r}")
        return value

    # ---- who asks ---------------------------------------------------------------------------

    def _list_queries(self, search: str) -> None:
        """Put the queries that a search finds into the menu; the first of them asks if the present one is not found."""
        found = [at for at in matching(self._samples, search) if self._samples[at].split != "gallery"]
        if not found:
            self.controls.count.value = "no query matches"
            return
        if self.query not in found:
            self.query = found[0]
        self._fill_menu(found)

    def _fill_menu(self, found: Sequence[int]) -> None:
        shown = list(found[:_MOST_LISTED])
        if self.query not in shown:
            shown.insert(0, self.query)
        menu, self._is_filling = self.controls.query, True  # new options choose the first of them
        try:
            menu.options = [(query_name(self._samples[at]), at) for at in shown]
            menu.value = self.query
        finally:
            self._is_filling = False
        more = len(found) > _MOST_LISTED
        self.controls.count.value = (
            f"first {_MOST_LISTED} of {len(found)}" if more else f"{len(found)} queries"
        )

    def _on_listed(self, at: int | None) -> None:
        if at is not None and not self._is_filling:
            self.query = at

    def _step(self, by: int) -> None:
        listed = [at for _, at in self.controls.query.options]
        place = listed.index(self.query) if self.query in listed else -1
        self.query = listed[max(0, min(len(listed) - 1, place + by))]

    # ---- ranking ----------------------------------------------------------------------------

    def _work(self, report: Report, stop: Stop) -> None:
        """Embed if there is no table, rank every query, then jump if that was asked for."""
        if self.table is None:
            self.table = embed(
                self.model, self._samples, modalities=self._single, progress=False, stop=stop,
                report=lambda done, n: report(0.8 * done / n, f"embedding: {done} of {n} images"),
            )  # fmt: skip
            self._refresh()
        self._rank_all(self.modality, self.rule, report, stop)
        self._summarise()
        pending, self._pending = self._pending, ""
        if pending:
            self.jump(pending)

    def _rank_all(self, modality: str, rule: str, report: Report, stop: Stop) -> None:
        """Average precision of every row of the modality, before and after; NaN in other rows."""
        table = self._table_of(modality)
        rows = np.flatnonzero(table.modality == self._kind(modality))
        asked, found = table[rows], np.full((2, len(table)), np.nan)
        for part, feature in enumerate(("plain", "enhanced")):

            def said(done: int, n: int, part: int = part) -> None:
                report(0.8 + 0.1 * (part + done / n), f"ranking: {done} of {n} queries")

            found[part, rows] = query_precisions(asked, feature=feature, rule=rule, stop=stop, report=said)
        self._precisions[modality, rule] = found[0], found[1]

    def _table_of(self, modality: str) -> EmbeddingTable:
        """The table that is asked under a choice of modality."""
        if modality not in (ALL, ALL_EQUALISED):
            return self.table
        if modality not in self._tables:
            equalised = modality == ALL_EQUALISED
            self._tables[modality] = self.table.concatenated(self._single, equalised=equalised)
        return self._tables[modality]

    def _kind(self, modality: str) -> str:
        """The modality of that table's rows that ask."""
        return "+".join(self._single) if modality in (ALL, ALL_EQUALISED) else modality

    def _refresh(self) -> None:
        """Show what the traits ask for."""
        with self._lock:
            if self.controls.query.value != self.query:
                self._fill_menu([at for _, at in self.controls.query.options])
            if self.table is None:
                n = sum(len(sample.images) for sample in self._samples)
                self._html[
                    "summary"
                ].value = (
                    f"{len(self._samples)} samples, {n} images, not embedded yet: press “embed and rank”."
                )
                return
            self._show_ranked()

    def _show_ranked(self) -> None:
        try:
            table = self._table_of(self.modality)
        except DataError as problem:
            self._say([str(problem)])
            return
        row = table.row_of(self.query, self._kind(self.modality))
        missing = f"{query_name(self._samples[self.query])} has no {self.modality} row: it lacks an image, or one failed"
        self._say([missing] if row < 0 else [])
        if self.strip is None:
            self.strip = NeighbourStrip(
                table, has_addon=self.model.addon is not None, row=row, k=self.k, rule=self.rule
            )
            self.strip.observe(lambda change: self._on_chosen(change["new"]), "clicked")
            self._strip_box.children = [self.strip]
        else:
            self.strip.k, self.strip.rule = self.k, self.rule
            if self.strip.table is table:
                self.strip.row = row
            else:
                self.strip.replace(table, row)
        if (self.modality, self.rule) not in self._precisions and len(self._samples) <= _QUICK:
            self._rank_all(self.modality, self.rule, lambda *_: None, lambda: False)
        self._summarise()

    def _summarise(self) -> None:
        found = self._precisions.get((self.modality, self.rule))
        words = (
            "all queries are ranked by “embed and rank”; this one is below"
            if found is None
            else summary(*found)
        )
        self._html["summary"].value = f"<b>{escape(self.modality)}</b>: {escape(words)}"

    # ---- pairs ------------------------------------------------------------------------------

    def _on_chosen(self, row: int) -> None:
        """Split the similarity of the chosen result in the background; of several choices the latest counts."""
        if row < 0:
            self.pair.clear()
            return
        with self._lock:
            self._wanted = (self.strip.table, self.strip.row, row)
            is_idle, self._is_idle = self._is_idle, False
        if is_idle:
            if self._pair_thread is not None:
                self._pair_thread.join()  # on its way out
            self._pair_thread = self.pair_worker.start()

    def _next_pair(self) -> tuple[EmbeddingTable, int, int] | None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
            self._is_idle = wanted is None
            return wanted

    def _split(self, report: Report, stop: Stop) -> None:
        if self._wanted is None and self.strip is not None and self.strip.clicked >= 0:
            self._wanted = (self.strip.table, self.strip.row, self.strip.clicked)  # the button was pressed
        if self._wanted is None:
            raise OptionError("window shares need a chosen result: click one in the lists above")
        try:
            while (wanted := self._next_pair()) is not None:
                self._split_one(wanted, report, stop)
        finally:
            with self._lock:
                self._is_idle = True

    def _split_one(self, wanted: tuple[EmbeddingTable, int, int], report: Report, stop: Stop) -> None:
        table, a, b = wanted
        n_images, asked = 2 * len(table.files[a]), [0]

        def stopped() -> bool:
            report(asked[0] / (n_images + 1), f"image {asked[0] + 1} of {n_images}")
            asked[0] += 1
            return stop()

        shares = pair_window_shares(self.model, table, a, b, kept=self._kept, stop=stopped)
        if self.strip.table is table and (self.strip.row, self.strip.clicked) == (a, b):
            self.pair.show(table, (a, b), shares)
        report(1.0, "")

    # ---- the rest ---------------------------------------------------------------------------

    def _provenance(self) -> str:
        return f"Ranked by {self.modality}, rule {self.rule}; {self.model.provenance}"

    def _on_save(self) -> None:
        button, kind = self.controls.save, self.controls.format.value
        button.disabled = True  # a second or two
        try:
            data = figure_bytes(self.figure(), kind)
            name = f"{self._samples[self.query].name}_ranked.{kind}"
            self.pair.board.send({"kind": "download", "name": name}, [data])
        except OptionError as problem:
            self._say([str(problem)])
        finally:
            button.disabled = False

    def _say(self, messages: Sequence[str]) -> None:
        failed = () if self.table is None else self.table.failed
        said = [f"{some.path}: {some.reason}" for some in failed[:_MOST_SAID]]
        if len(failed) > _MOST_SAID:
            said.append(
                f"and {len(failed) - _MOST_SAID} more images have no row; table.failed lists them all"
            )
        self._html["message"].value = message_html([*messages, *said])


def _modalities(
    samples: Sequence[Sample], wanted: Sequence[str], table: EmbeddingTable | None
) -> tuple[str, ...]:
    """Those that can be ranked by.

    Raises
    ------
    DataError, OptionError
        As the view does.
    """
    there = {name for sample in samples for name in sample.images} if table is None else set(table.modalities)
    found = tuple(name for name in wanted if name in there)
    if not samples or not found:
        raise DataError(
            f"the retrieval view needs samples with {' or '.join(wanted) or 'a modality'}: got {len(samples)} samples "
            f"with {', '.join(sorted(there)) or 'none'}; see mswin_viz.samples() and mswin_viz.embed()"
        )
    if table is not None and int(table.sample.max(initial=-1)) >= len(samples):
        raise OptionError(
            f"a table is of the samples it comes with: got {len(samples)} samples and a row of sample "
            f"{int(table.sample.max())}; pass those that were embedded"
        )
    return found
