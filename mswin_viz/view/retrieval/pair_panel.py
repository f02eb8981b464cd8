"""Where the similarity of a query and one result comes from: heatmaps over both, and bars that leave nothing out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.pair_record import PairShares, SideShares
from mswin_viz.analysis.embeddings.pair_shares import pair_panels
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.shares.part_values import PART_VALUES
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.waterfall import limits_of, waterfall_bars, waterfall_html, waterfall_words
from mswin_viz.view.scales.legend import legend_html
from mswin_viz.view.widgets.board import BoardRow, HeatmapBoard
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.labels import PARTS, VALUES, choices
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import FONT, Html, Markup, message_html, tag

_VALUES = {name: VALUES[name] for name in PART_VALUES}
_WIDTH = 100  # of a picture, CSS pixels
_LABEL = 104  # the same, of a bar's label
_OTHER_MODEL = 1e-3  # difference of two cosines that rounding cannot make


class PairPanel(ClosedWhole, widgets.VBox):
    """Where the similarity of one pair comes from: heatmaps over query and result, and signed bars for either image.

    The heatmaps show one value in one of joined modalities at a time, both chosen above them; the bars show all shares.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._lock = model, threading.RLock()
        self._pair: tuple[EmbeddingTable, int, int] | None = None
        self.shares: PairShares | None = None
        self.pair_freshness = Freshness(lambda _is_old: self._mark())
        self._picture_freshness = Freshness(lambda _is_old: self._mark())
        self.board = HeatmapBoard(model.grid, width=_WIDTH)
        style = {"button_width": "auto"}
        self.modality = widgets.ToggleButtons(options=[""], description="heatmaps of", style=style)
        self.value = widgets.Dropdown(options=choices(_VALUES), layout={"width": "205px"}, tooltip="value")
        self._bars, self._notes, self._legend = Html(layout={"flex": "1 1 420px"}), Html(), Html()
        self._bars.add_class("mswin-pair-bars")
        self.modality.add_class("mswin-pair-modality")
        self.value.add_class("mswin-pair-value")
        chosen = widgets.HBox([self.value, self.modality], layout={"flex_flow": "row wrap"})
        body = widgets.HBox([self.board, self._bars], layout={"flex_flow": "row wrap", "grid_gap": "20px"})
        super().__init__([self._notes, chosen, self._legend, body], layout={"display": "none"})
        self.add_class("mswin-pair-panel")
        self._guarded = Guard(self, self._say)
        guarded = self._guarded("choosing what the heatmaps show")
        for control in (self.modality, self.value):
            control.observe(guarded(lambda _change: self._draw()), "value")

    def release(self) -> None:
        """Release the pair."""
        self.shares, self._pair = None, None

    def clear(self) -> None:
        """Release the pair and hide the panel."""
        self.release()
        self.pair_freshness.clear()
        self._picture_freshness.clear()
        self.layout.display = "none"

    def show(self, table: EmbeddingTable, pair: tuple[int, int], shares: PairShares) -> None:
        """Show the shares of two rows of a table, query first; if a picture can no longer be read, show nothing."""
        try:
            self._show(table, pair, shares)
        except BaseException:
            self.clear()
            raise

    def _show(self, table: EmbeddingTable, pair: tuple[int, int], shares: PairShares) -> None:
        with self._lock:
            self.shares, self._pair = shares, None
            if tuple(self.modality.options) != tuple(shares.a):
                self.modality.options = list(shares.a)  # which chooses the first
            self.modality.layout.display = None if len(shares.a) > 1 else "none"
            self._pair = table, *pair
            self._draw()
        self._bars.value = pair_html(shares, (who(table, pair[0]), who(table, pair[1])))
        self._guarded.forget()
        self._say(())
        self.layout.display = None

    def _say(self, problems: Sequence[str]) -> None:
        warnings = () if self.shares is None else _warnings(self.shares)
        self._notes.value = message_html([*problems, *([OUT_OF_DATE] if problems else []), *warnings])

    def _mark(self) -> None:
        """Heatmaps may be of another pair, modality or value than the chosen ones, bars of another pair."""
        is_old = self.pair_freshness.is_old
        show_as_out_of_date(self._bars, is_old)
        show_as_out_of_date(self.board, is_old or self._picture_freshness.is_old)

    def _draw(self) -> None:
        with self._lock:
            if self._pair is None or self.shares is None:
                return
            table, *pair = self._pair
            name, value = str(self.modality.value), str(self.value.value)
            with self._picture_freshness.answering((self._pair, name, value)):
                sources = [table.files[row][name] for row in pair]
                tags = [ImageTag(name, int(table.camid[row])) for row in pair]
                pictures = TokenCache(self._model).pictures(sources, tags)
                rows = [BoardRow(role, p.png) for role, p in zip(("query", "result"), pictures, strict=True)]
                panels = pair_panels(self.shares, (name,), value=value)
                self.board.show(panels, rows=rows)
                self._legend.value = legend_html(value, "the other image") if panels else ""


def pair_html(shares: PairShares, names: tuple[str, str]) -> Markup:
    """Both ways from the plain to the enhanced similarity, as waterfalls on one scale: every share, modality by modality."""
    found = {"query": shares.waterfall("a"), "result": shares.waterfall("b")}
    opened = {"query": _cls_rows(shares.a), "result": _cls_rows(shares.b)}
    bars = {role: waterfall_bars(waterfall, opened[role]) for role, waterfall in found.items()}
    limits = limits_of([bar for every in bars.values() for bar in every])
    blocks = (
        tag(
            "div",
            tag("div", tag("b", f"split over the {role}"), f", {name}"),
            tag("div", waterfall_words(found[role]), css="mswin-waterfall"),
            waterfall_html(every, limits, label_width=_LABEL),
            css="mswin-shares",
            style={"flex": "1 1 260px", "max-width": "400px"},
        )
        for (role, every), name in zip(bars.items(), names, strict=True)
    )
    cosines = (
        "Cosine of the two: enhanced ",
        tag("b", f"{shares.similarity:.4f}"),
        f", plain {shares.plain_similarity:.4f}.",
    )
    note = (
        f"Either column leads from the plain cosine to the enhanced one (residual {shares.residual:.0e}): the other image "
        "gets its add-on, the CLS is divided by the enhanced norm, and scales and biases come to it. A share is not what "
        "is lost when a part is removed: the norm then changes, too. The heatmaps show that as “change when removed”."
    )
    return tag(
        "div",
        tag("div", *cosines, css="mswin-pair"),
        tag("div", *blocks, style={"display": "flex", "flex-wrap": "wrap", "gap": "8px 28px"}),
        tag("div", note, style={"opacity": ".8", "font-size": "12px", "max-width": "760px"}),
        style=FONT,
    )


def _cls_rows(sides: Mapping[str, SideShares]) -> list[tuple[str, float]]:
    """The CLS share of each of joined modalities; empty where there is one."""
    return [(f"{name} {PARTS['cls']}", side.cls) for name, side in sides.items()] if len(sides) > 1 else []


def _warnings(shares: PairShares) -> Sequence[str]:
    apart = abs(shares.similarity - shares.table_similarity)
    notes = [shares.note] if shares.note else []
    if apart > _OTHER_MODEL:
        notes.append(
            f"the table was made with another model or other files: its cosine is {shares.table_similarity:.4f}, the "
            f"one computed now {shares.similarity:.4f}; embed the samples again"
        )
    if all(side.fused is None for side in shares.a.values()):
        notes.append("without an add-on, no window has a share: the CLS has all of it")
    elif not shares.scales:
        notes.append("this add-on has no scales: the heatmap shows each patch token")
    return notes
