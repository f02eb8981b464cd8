"""Choose an image (or a pair), a target and methods; see their maps side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image

from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.data.progress import Progress, Report, Stop, portion
from mswin_viz.data.sample import Sample, at_least_one
from mswin_viz.data.shown_text import counted
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import Picture, TokenCache
from mswin_viz.view.attributions.controls import make_attribution_controls
from mswin_viz.view.attributions.figures import attributions_figure
from mswin_viz.view.attributions.page import AttributionPage
from mswin_viz.view.attributions.panels import UNITS, cells_of_a_side, map_panel
from mswin_viz.view.attributions.ranking_work import RankingWork
from mswin_viz.view.attributions.request import AttributionRequest, Maps, request_words, scores
from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.page.page_plan import PagePlan
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.background import Background
from mswin_viz.view.parts.figure_download import FigureDownload, FigureView
from mswin_viz.view.parts.given import given_model, given_prompt
from mswin_viz.view.parts.html import badge_html, scores_html
from mswin_viz.view.parts.stored_output import one_line
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.widgets.board import BoardRow, HeatmapBoard
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.freshness import Asked, Freshness
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard, show_as_out_of_date
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import Html, fragment, message_html


class AttributionExplorer(FigureView, SavedAsPage):
    """Maps of several methods for one image and a text, or for a pair of images, beside the exact window shares.

    The work starts with a button, in a thread of its own, with the time that is left and a way to stop it; each map
    appears when it is finished. Maps that no longer fit the controls are marked. What goes wrong is shown in the
    widget; a method that fails leaves the others, and where all fail, the last maps stay, marked as out of date.

    Parameters
    ----------
    model
        From :func:`mswin_viz.load_model`.
    samples
        What the thumbnail strip offers; at least one, or DataError is raised.
    prompt
        The first target.

    Attributes
    ----------
    controls, worker, board, download, ranking
        The widgets, to be set from code; ``ranking`` ranks the chosen methods over several images.
    maps
        Title -> attribution, of what is on screen.

    Raises
    ------
    DataError, OptionError
        If there is no sample; if model, samples or prompt are of another type.

    Examples
    --------
    >>> explorer = mv.AttributionExplorer(model, samples[:2], prompt="a person in green trousers")
    >>> explorer.start().join()  # as the button "attribute" does; the maps come one by one
    >>> list(explorer.maps)[:4]
    ['exact shares, scale 4', 'exact shares, scale 8', 'exact shares, scale 16', 'integrated_gradients, enhanced']
    >>> explorer.close()
    """

    page_images = 6  # their maps take a while

    @made_whole()
    def __init__(
        self, model: Model, samples: Sequence[Sample], *, prompt: str = "a person wearing a red top"
    ) -> None:
        self.model, self._samples = given_model(model), at_least_one(samples)
        self.maps: Maps = {}
        self._shown: tuple[Image.Image, ...] = ()
        self._cache, self._seconds = TokenCache(model), dict[str, float]()
        self._guarded = Guard(self, lambda _problems: self._show_problems())
        self.controls = make_attribution_controls(
            self._samples,
            prompt=given_prompt(prompt),
            has_text=model.tower.has_text,
            has_addon=model.addon is not None,
        )
        self.worker = WorkBar(self._work, name="attribute", css="mswin-attribution")
        self._messages, self._scores = Html(), Html().add_class("mswin-attribution-scores")
        self._n_cells = cells_of_a_side(model.tower.image_size, model.grid)
        cells = [side * self._n_cells for side in model.grid]
        self.board = HeatmapBoard((cells[0], cells[1]), opacity=0.8, outline=False, pinnable=[])
        self.board.set_trait("units", UNITS)
        self.board.set_trait("places", {"token": "Cell", "window": "Place"})
        self.board.add_class("mswin-attribution-board")
        self._freshness = Freshness(self._mark)
        self.download = FigureDownload(
            self.board, self._named_figure, guarded=self._guarded, css="mswin-attribution"
        )
        self.ranking = RankingWork(model, self._samples, self._cache, self._request)
        self._background = Background((), self.controls.strip, lambda: self._samples, self._guarded)
        badge, layout = (
            Html(badge_html(model.provenance_items)),
            {"flex_flow": "row wrap", "align_items": "center"},
        )
        self.save_page = PageDownload(self, self.board, name="attributions")
        self._row = row = widgets.HBox([self.worker, self.download, self.save_page], layout=layout)
        parts = [badge, self.controls.layout(), row, self._messages, self._scores, self.board, self.ranking]
        super().__init__([*parts, Frame()])
        self.add_class(VIEW).add_class("mswin-explorer")
        self._observe()

    def __repr__(self) -> str:
        n_maps, n_samples = len(self.maps), len(self._samples)
        shows = counted(n_maps, "maps") if n_maps else "no maps yet"
        return one_line(
            self, f"{shows}, {counted(n_samples, 'samples')}", self.model, is_closed=is_closed(self)
        )

    def _picture(self) -> Figure | Image.Image:
        return self.figure() if self.maps else self.model.displayed(self._request().paths[0])

    def release(self) -> None:
        """End the work, and release the maps."""
        self.worker.release()
        self._background.close()
        self._cache.close()
        self.maps, self._shown = {}, ()

    def start(self) -> threading.Thread:
        """Start the work that the controls describe, unless some is running; raises ClosedError in a closed explorer."""
        return self.worker.start()

    def stop(self) -> None:
        """Stop the work after the current pass."""
        self.worker.stop()

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        html, hidden = {"scores": self._scores, "message": self._messages}, [self._row, self.ranking]
        page = AttributionPage(self, self.model, self._samples, self.controls, self.board, html, hidden)
        return page.plan(images, stop)

    def _named_figure(self) -> tuple[str, Figure]:
        """The maps on screen, named after their images, which need not be those that are chosen now."""
        check_open(self)
        shown: AttributionRequest | None = self._freshness.shown
        maps, pictures = self.maps, self._shown
        if not maps or shown is None:
            raise OptionError(
                "a figure needs maps: none have been computed yet; press attribute, or call start()"
            )
        age = "Older than the controls. " * self._freshness.is_old
        words = f"{age}{request_words(shown, maps)}; {self.model.provenance}"
        figure = attributions_figure(pictures, maps, names=shown.names, provenance=words)
        return "_".join([*(sample.name for sample in shown.samples), "attributions"]), figure

    def _observe(self) -> None:
        guarded = self._guarded("following a control")
        for control, traits in self.controls.watched:
            control.observe(guarded(lambda _change: self._freshness.ask(self._request())), traits)
        pair_guarded = self._guarded("choosing a second image")
        self.controls.target.observe(
            pair_guarded(lambda _change: self.controls.strip.part(self._samples)), "value"
        )

    def _request(self) -> AttributionRequest:
        return self.controls.request(self.model, self._samples)

    def _work(self, report: Report, stop: Stop) -> str | None:
        """Compute and show the maps; return how that ended, if it was not simply done."""
        self._guarded.forget()
        self._show_problems()
        asked, found = None, {}
        try:
            with self._guarded("attributing"):
                asked = self._freshness.ask(self._request())
                found = self._computed(asked, report, stop)
        finally:
            if not found and not stop():
                self._freshness.fail(asked or self._freshness.ask(object()))
            self._show_problems()
        if stop():
            return "stopped"
        failed = ", ".join(self._guarded.problems)
        return (f"done, without {failed}" if failed else None) if found else "failed"

    def _computed(self, asked: Asked, report: Report, stop: Stop) -> Maps:
        """The maps of every method that neither failed nor was stopped, each shown at once."""
        request: AttributionRequest = asked.request
        pictures = self._cache.pictures(request.paths, request.tags)
        maps: dict[str, Attribution] = {}
        jobs = request.jobs(self.model, pictures)
        if not jobs:
            raise OptionError("maps need a method: got none; choose at least one in the list")
        usual = sum(self._seconds.values()) / len(self._seconds) if self._seconds else 1.0
        ends = list(accumulate(self._seconds.get(title, usual) for title, _ in jobs))
        for (title, job), begin, end in zip(jobs, [0.0, *ends], ends, strict=False):
            if stop():
                break
            part = portion(report, begin / ends[-1], end / ends[-1])
            part(Progress(0, 1, f"{title} …"))
            with self._guarded(title), suppress(StoppedError):
                found = job(part, stop)
                self._seconds[title] = max(0.01, sum(one.seconds for one in found.values()))
                self._show(asked, pictures, {**maps, **found})
                maps |= found
        return maps

    def _show(self, asked: Asked, pictures: Sequence[Picture], maps: Maps) -> None:
        request: AttributionRequest = asked.request
        panels = [map_panel(title, attribution, self._n_cells) for title, attribution in maps.items()]
        rows = [BoardRow(name, picture.png) for name, picture in zip(request.names, pictures, strict=True)]
        words = scores_html(request.names, scores(request, maps), request.target)
        self.board.show(panels, rows=rows)
        self._scores.value = words
        self.maps, self._shown = maps, tuple(picture.shown for picture in pictures)
        self._freshness.answer(asked)

    def _mark(self, is_old: bool) -> None:
        for part in (self.board, self._scores):
            show_as_out_of_date(part, is_old)
        self._show_problems()

    def _show_problems(self) -> None:
        """Why maps are missing, and whether those on screen are of an earlier request."""
        problems = [fragment(what, ": ", why) for what, why in self._guarded.problems.items()]
        self._messages.value = message_html([*problems, OUT_OF_DATE] if self._freshness.is_old else problems)
