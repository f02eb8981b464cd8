"""The attribution explorer as a page: the chosen methods' maps of each image and modality."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ipywidgets as widgets

from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.analysis.attribution.record import Attribution
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Stop, unheard
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import n_of
from mswin_viz.errors import MswinVizError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.view.attributions.controls import AttributionControls
from mswin_viz.view.attributions.panels import cells_of_a_side, map_panel
from mswin_viz.view.attributions.request import AttributionRequest, scores
from mswin_viz.view.page.page_images import chosen_images, folderless, page_picture, shown_error, strip_traits
from mswin_viz.view.page.page_plan import Changes, PageAnswer, PagePlan, PageTable, Traits
from mswin_viz.view.parts.html import scores_html
from mswin_viz.view.widgets.board import BoardRow, HeatmapBoard, shown_traits
from mswin_viz.view.widgets.labels import FEATURES
from mswin_viz.view.widgets.markup import Html, message_html

_WORKS = "Works without a kernel: images, modality and panels. Everything else is fixed as it was: {fixed}."


@dataclass(frozen=True, eq=False)
class AttributionPage:
    """Makes the plan of an attribution explorer's page from the explorer's parts; ``hidden`` are those that are left out."""

    root: widgets.Widget
    model: Model
    samples: Sequence[Sample]
    controls: AttributionControls
    board: HeatmapBoard
    html: dict[str, Html]  # "scores" and "message"
    hidden: Sequence[widgets.Widget]

    def plan(self, images: int, stop: Stop) -> PagePlan:
        """What the page holds, of at most so many images; ``stop`` ends the work on its answers.

        Raises OptionError if no method is chosen.
        """
        strip, now = self.controls.strip, self.controls.request(self.model, self.samples)
        if not now.calls:
            raise OptionError("a page needs maps of a method: got none; choose at least one in the list")
        positions = chosen_images(images, len(self.samples), [strip.selected])
        shown = [self.samples[at] for at in positions]
        modalities = [name for name in MODALITIES if any(name in sample.images for sample in shown)]
        n_images = n_of(len(positions), len(self.samples), "images")
        answers = self._answers(now, positions, modalities, stop)
        table = PageTable(
            ((strip, "selected"), (strip, "modality")),
            answers,
            len(positions) * len(modalities),
            len(modalities),
            n_images,
        )
        empty: Traits = {"rows": [], "columns": [], "pyramid": {}}
        return PagePlan(
            title=f"Attribution explorer: {n_images}", about=[_WORKS.format(fixed=self._fixed(now))], root=self.root, live=(),
            changed={
                strip: strip_traits(strip, self.samples, positions, modalities), self.board: empty,
                **{self.html[name]: {"value": ""} for name in ("message", "scores")},
            },
            tables=(table,), hidden=self.hidden, board=self.board, message=self.html["message"],
            words=folderless(self.samples),
        )  # fmt: skip

    def _fixed(self, now: AttributionRequest) -> str:
        target = f"target {now.target}"
        if len(now.samples) > 1:
            target = f"each image's target is the other; the second image is {now.samples[1].label}, {now.samples[1].name}"
        features = " and ".join(FEATURES[feature] for feature in now.features)
        methods = ", ".join(METHOD_LABELS[name] for name in now.calls)
        return f"{target}; {features}; steps {self.controls.n_steps.value}; methods {methods}"

    def _answers(
        self, now: AttributionRequest, positions: Sequence[int], modalities: Sequence[str], stop: Stop
    ) -> Iterator[PageAnswer]:
        cache = TokenCache(self.model)
        for place, position in enumerate(positions):
            for modality in modalities:
                samples = (self.samples[position], *now.samples[1:])
                request = dataclasses.replace(now, samples=samples, modality=modality)
                try:
                    yield PageAnswer((place, modality), self._changes(request, cache, stop))
                except MswinVizError as problem:
                    words: Changes = {self.html["message"]: {"value": shown_error(problem, self.samples)}}
                    yield PageAnswer((place, modality), words, has_failed=True)

    def _changes(
        self, request: AttributionRequest, cache: TokenCache, stop: Stop
    ) -> dict[widgets.Widget, Traits]:
        """Every method's map; one that fails is named, and the others are there."""
        pictures = cache.pictures(request.paths, request.tags)
        maps: dict[str, Attribution] = {}
        problems: list[str] = []
        for title, job in request.jobs(self.model, pictures):
            if stop():
                break
            try:
                maps |= job(unheard, stop)
            except OptionError as problem:
                problems.append(f"{title}: {problem}")
        n_cells = cells_of_a_side(self.model.tower.image_size, self.model.grid)
        panels = [map_panel(title, attribution, n_cells) for title, attribution in maps.items()]
        rows = [
            BoardRow(name, page_picture(picture.shown))
            for name, picture in zip(request.names, pictures, strict=True)
        ]
        words = scores_html(request.names, scores(request, maps), request.target)
        return {
            self.board: shown_traits(panels, rows, (self.board.grid_rows, self.board.grid_cols)),
            self.html["scores"]: {"value": words},
            self.html["message"]: {"value": message_html(problems)},
        }
