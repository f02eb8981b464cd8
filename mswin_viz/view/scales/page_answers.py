"""The answers of a scale explorer's page, image by image."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from mswin_viz.analysis.blas_threads import one_blas_thread
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.shares.part_values import PART_VALUES
from mswin_viz.data.progress import Stop
from mswin_viz.data.sample import Sample
from mswin_viz.errors import MswinVizError
from mswin_viz.view.page.page_images import shown_error
from mswin_viz.view.page.page_plan import PageAnswer, Traits, menu_values
from mswin_viz.view.scales.controls import Controls
from mswin_viz.view.scales.explored_models import ExploredModels
from mswin_viz.view.scales.legend import OtherUnit, legend_line, other_units
from mswin_viz.view.scales.model_numbers import shown_numbers
from mswin_viz.view.scales.pins import pinnable_keys
from mswin_viz.view.scales.result_cache import ExplorerRequest
from mswin_viz.view.scales.shown_results import ShownResults, board_rows
from mswin_viz.view.widgets.board import HeatmapBoard, pyramid_traits, shown_traits
from mswin_viz.view.widgets.markup import Html, message_html


@dataclass(frozen=True, eq=False)
class PageChoices:
    """What can be chosen in a page: positions among the samples, modalities, and kinds of rows; what is on screen now."""

    positions: Sequence[int]
    modalities: Sequence[str]
    rows: Sequence[str]
    selected: int
    now: ExplorerRequest


@dataclass(frozen=True, eq=False)
class ScaleAnswers:
    """Makes every answer; what is known of targets and scores once they are made goes into the tables behind them.

    ``html`` has the explorer's words by name, as :func:`mswin_viz.view.scales.arrangement.explorer_html` gives them.
    """

    samples: Sequence[Sample]
    models: ExploredModels
    controls: Controls
    board: HeatmapBoard
    html: dict[str, Html]
    choices: PageChoices
    stop: Stop
    _targets: dict[str, str] = field(default_factory=dict)  # by rows
    _others: dict[tuple[str, str], tuple[OtherUnit, ...]] = field(default_factory=dict)  # by rows and value
    _pyramids: dict[Hashable, tuple[Panel, ...]] = field(default_factory=dict)  # of each row of the last ones
    _scores: dict[tuple[str, int], list[float]] = field(default_factory=dict)  # by modality and place

    @property
    def values(self) -> list[str]:
        """What a window's number may be: without an add-on, no window does anything to the cosine."""
        every, shown = menu_values(self.controls.value, {}), self.choices.now.view_request.value
        has_addon = any(model.addon is not None for model in self.models.models)
        return [value for value in every if has_addon or value == shown or value not in PART_VALUES]

    @property
    def _is_of_modality(self) -> bool:
        """Whether the target is an image in the modality that is chosen: rows of all modalities then depend on it."""
        return self.choices.now.target == "image"

    @property
    def n_of_an_image(self) -> int:
        """Answers for one image."""
        n_rows = sum(rows != "pair" for rows in self.choices.rows)
        return n_rows * len(self.choices.modalities) * len(self.values)

    @property
    def n(self) -> int:
        """Answers in all."""
        n_of_pair = ("pair" in self.choices.rows) * len(self.choices.modalities) * len(self.values)
        return self.n_of_an_image * len(self.choices.positions) + n_of_pair

    def answers(self) -> Iterator[PageAnswer]:
        """By image, value, rows and modality; a pair is that on screen, and the rows of all modalities are one answer."""
        choices = self.choices
        for place, position in enumerate(choices.positions):
            for value, rows in product(self.values, choices.rows):
                if rows == "pair" and position != choices.selected:
                    continue
                made: PageAnswer | None = None
                for modality in choices.modalities:
                    chosen = (place, modality, rows, value)
                    if made is None or rows != "modalities" or self._is_of_modality:
                        made = self._answer(chosen)
                    yield replace(made, chosen=chosen)

    def legends(self) -> Iterator[PageAnswer]:
        """The line above the heatmaps, by rows, value, colour map and whether there is one colour scale."""
        display = self.controls.of_the_display
        cmaps = menu_values(display["cmap"], {})
        for rows, value, cmap, shared in product(self.choices.rows, self.values, cmaps, (False, True)):
            line = legend_line(
                value,
                self._targets.get(rows, ""),
                self.models.pair,
                self._others.get((rows, value), ()),
                cmap=cmap,
                is_shared=shared,
            )
            yield PageAnswer((rows, value, cmap, shared), {self.html["legend"]: {"value": line}})

    def scores(self) -> Iterator[PageAnswer]:
        """Plain and enhanced score of every image for the first prompt, by modality, to search and sort by."""
        places = range(len(self.choices.positions))
        for modality in self.choices.modalities:
            scores = [self._scores.get((modality, place)) for place in places]
            yield PageAnswer((modality,), {self.controls.strip: {"scores": scores}})

    def _answer(self, chosen: tuple[int, str, str, str]) -> PageAnswer:
        place, modality, rows, value = chosen
        now = self.choices.now
        request = replace(
            now, sample=self.samples[self.choices.positions[place]], modality=modality, rows=rows,
            view_request=replace(now.view_request, value=value),
        )  # fmt: skip
        try:
            with one_blas_thread():
                shown = self._shown(request)
                pyramid = self._pyramid(shown)
        except MswinVizError as problem:
            return PageAnswer(
                chosen, {self.html["message"]: {"value": shown_error(problem, self.samples)}}, has_failed=True
            )
        self._targets[rows], self._others[rows, value] = shown.target, other_units(shown)
        first = shown.first
        if rows == "one" and len(first.plain_scores):
            self._scores[modality, place] = [
                float(first.plain_scores[0, 0]),
                float(first.enhanced_scores[0, 0]),
            ]
        return PageAnswer(chosen, {
            self.board: {**self._on_board(shown), "pyramid": pyramid},
            self.html["scores"]: {"value": shown_numbers(shown)},
            self.html["message"]: {"value": message_html(shown.notes)},
        })  # fmt: skip

    def _shown(self, request: ExplorerRequest) -> ShownResults:
        shown = self.models.result(request)
        missing = self.models.missing_splits(shown)
        for splits, picture, direction in missing:
            splits.compute(picture, direction)
        return self.models.result(request) if missing else shown

    def _pyramid(self, shown: ShownResults) -> Traits:
        """The free windows at every scale; of one image, if they were just computed with those of its other modalities."""
        if shown.every_scale is None:
            return {}
        is_one = len(shown.first.names) == 1
        kept = self._pyramids.get(_of_one(shown, 0)) if is_one else None
        if kept is None:
            kept = shown.panels_of_every_scale(self.stop)
            self._pyramids.clear()
            if not shown.first.is_pair and not self._is_of_modality:
                for image in range(len(shown.first.names)):
                    rows = [at for at, row in enumerate(shown.rows) if row.image == image]
                    own = tuple(replace(panel, values=panel.values[rows]) for panel in kept)
                    self._pyramids[_of_one(shown, image)] = own
        return pyramid_traits(kept, len(shown.rows), self.grid)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patch tokens."""
        return self.board.grid_rows, self.board.grid_cols

    def _on_board(self, shown: ShownResults) -> Traits:
        traits = shown_traits(shown.panels, board_rows(shown, is_small=True), self.grid, order=shown.order)
        return {**traits, "free_is_fused": shown.is_free_fused, "pinnable": pinnable_keys(shown)}


def _of_one(shown: ShownResults, image: int) -> Hashable:
    """Equal for one image's free windows, whichever images are shown beside it."""
    first = shown.first
    return id(first.samples[0]), first.names[image], first.view_request
