"""The chosen methods ranked over several images, as a table, with progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets

from mswin_viz.analysis.attribution.method_ranking import Ranking, rank_methods
from mswin_viz.analysis.attribution.target import Target
from mswin_viz.data.progress import Report, Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.attributions.request import AttributionRequest
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.widgets.freshness import Freshness
from mswin_viz.view.widgets.guarded import show_as_out_of_date
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import CELL, FONT, NOTE, Html, Markup, tag

_NOTE = "Gain: area between insertion and deletion curves beyond random orders, mean over the images with a 95 % interval. Best first."
_BEST = CELL | {"font-weight": "600"}


class RankingWork(ClosedWhole, widgets.VBox):
    """Ranks the methods that ``asked()`` has chosen, for its prompt, on the first images of its modality.

    ``ranking`` is the record on screen, None until there is one.
    """

    def __init__(
        self,
        model: Model,
        samples: Sequence[Sample],
        cache: TokenCache,
        asked: Callable[[], AttributionRequest],
    ) -> None:
        self._model, self._samples, self._cache, self._asked = model, samples, cache, asked
        self.ranking: Ranking | None = None
        self.n_images = widgets.BoundedIntText(
            min(4, len(samples)), min=1, max=len(samples), description="on the first images",
            style={"description_width": "initial"}, layout={"width": "190px"},
        )  # fmt: skip
        self.worker = WorkBar(self._rank, name="rank the chosen methods", css="mswin-ranking")
        self.table = Html().add_class("mswin-ranking-table")
        self._freshness = Freshness(lambda is_old: show_as_out_of_date(self.table, is_old))
        layout = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([widgets.HBox([self.worker, self.n_images], layout=layout), self.table])
        self.add_class("mswin-ranking")

    def release(self) -> None:
        """End the work, and release the ranking."""
        self.worker.release()
        self.ranking = None

    def _rank(self, report: Report, stop: Stop) -> None:
        request = self._asked()
        feature = request.features[-1]
        if not request.calls:
            raise OptionError("a ranking needs a method: got none; choose at least one in the list")
        chosen = self._samples[: int(self.n_images.value)]
        asked = self._freshness.ask((request, tuple(chosen)))
        images = [sample for sample in chosen if request.modality in sample.images]
        if not images:
            raise OptionError(
                f"a ranking needs images: none of the first {counted(len(chosen), 'samples')} has {request.modality}"
            )
        tags = [AttributionRequest((s,), request.modality, "", (), {}).tags[0] for s in images]
        pictures = self._cache.pictures([sample.images[request.modality] for sample in images], tags)
        ranking = rank_methods(
            self._model.bound(tags=tags), [picture.image for picture in pictures],
            Target.text(request.prompt, feature=feature), methods=list(request.calls), report=report, stop=stop,
        )  # fmt: skip
        about = f"{counted(len(images), 'images')}, {request.modality}; “{request.prompt}”, {feature} CLS"
        self.ranking, self.table.value = ranking, ranking_html(ranking, about)
        self._freshness.answer(asked)


def ranking_html(ranking: Ranking, about: str) -> Markup:
    """A ranking as a table, best first, and what it is of."""
    heads, rows = ranking.cells()
    lines = [tag("tr", *(tag("th", head, style=CELL) for head in heads))]
    for at, row in enumerate(rows):
        style = CELL if at else _BEST
        lines.append(tag("tr", *(tag("td", cell, style=style) for cell in row)))
    table = tag("div", tag("table", *lines, style=FONT), style={"overflow-x": "auto"})
    return tag("div", tag("div", about), table, tag("div", _NOTE, style=NOTE), style=FONT)
