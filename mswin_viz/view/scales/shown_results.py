"""What the scale explorer has on screen: the results of one model, or those of two with their difference, as rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from mswin_viz.analysis.scales.compared_panels import compared_panel, compared_panels
from mswin_viz.analysis.scales.panels import Panel
from mswin_viz.analysis.scales.pyramid import free_panels
from mswin_viz.data.progress import Stop
from mswin_viz.model.encoder.token_cache import Picture
from mswin_viz.view.page.page_images import page_picture
from mswin_viz.view.scales.result_cache import ExplorerResult
from mswin_viz.view.widgets.board import BoardRow
from mswin_viz.view.widgets.labels import difference_name


class ShownRow(NamedTuple):
    """One row: an image as a model sees it, or the difference of both models there."""

    name: str
    picture: Picture
    image: int  # position among the images of a result
    model: int | None  # position among the models; None for the difference

    @property
    def kind(self) -> Literal["value", "difference"]:
        """What its numbers are."""
        return "difference" if self.model is None else "value"


@dataclass(frozen=True, eq=False)
class ShownResults:
    """The answers of one or two models to the same request, each with its own target."""

    models: tuple[str, ...]  # their names
    results: tuple[ExplorerResult, ...]  # one for each
    panels: tuple[Panel, ...]  # with values for every row
    rows: tuple[ShownRow, ...]

    @property
    def first(self) -> ExplorerResult:
        """That of the first model: images, request, prompts and shuffle are the same for both."""
        return self.results[0]

    @property
    def by_model(self) -> dict[str, ExplorerResult]:
        """Name -> result."""
        return dict(zip(self.models, self.results, strict=True))

    @property
    def order(self) -> list[int]:
        """The patch at each place where tokens are shuffled, in the same way for each model; empty if they are not."""
        return [] if self.first.shuffle is None else self.first.shuffle.order.tolist()

    @property
    def pair(self) -> tuple[str, str] | None:
        """The names of two models; None where there is one."""
        return pair_of(self.models)

    @property
    def target(self) -> str:
        """What the cosine is taken with, in words."""
        return self.each([result.target for result in self.results])

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the results; what holds for one model only, with its name."""
        notes = dict.fromkeys(note for result in self.results for note in result.notes)
        return tuple(self._named(note) for note in notes)

    @property
    def is_free_fused(self) -> bool:
        """Whether the free windows stand in a fusion, so that every panel depends on them."""
        return any("free" in result.view_request.slots for result in self.results)

    @property
    def every_scale(self) -> Hashable | None:
        """A key that is equal where the free panels of all scales are; None where the kernel follows each scale."""
        each = [result.every_scale for result in self.results]
        keys = tuple(one.key for one in each if one is not None)
        return keys if len(keys) == len(each) else None

    def panels_of_every_scale(self, stop: Stop) -> tuple[Panel, ...]:
        """The free panel at each scale 1..N, with values for every row; empty once ``stop`` says so."""
        parts = []
        for result in self.results:
            made_from = result.every_scale
            known = {} if made_from is None else {"fused": made_from.fused, "windows": made_from.windows}
            parts.append(free_panels(result.subject, result.view_request, **known, stop=stop))
        if self.pair is None or not all(parts):
            return () if not all(parts) else parts[0]
        return tuple(compared_panel(a, b, self.pair) for a, b in zip(*parts, strict=True))

    def without_window_answers(self) -> ShownResults:
        """The same without what every window of every scale answered."""
        return replace(self, results=tuple(result.without_window_answers() for result in self.results))

    def each(self, words: Sequence[str]) -> str:
        """Words of each model as one text: once where they are the same."""
        if len(set(words)) == 1:
            return words[0]
        return "; ".join(f"{name}: {text}" for name, text in zip(self.models, words, strict=True))

    def _named(self, note: str) -> str:
        of = [name for name, result in zip(self.models, self.results, strict=True) if note in result.notes]
        return note if len(of) == len(self.models) else f"{of[0]}: {note}"


def pair_of(models: Sequence[str]) -> tuple[str, str] | None:
    """The names of two models; None where there is one."""
    return (models[0], models[1]) if len(models) == 2 else None


def shown_results(models: Sequence[str], results: Sequence[ExplorerResult]) -> ShownResults:
    """The rows and panels of one model's result as they are, or of two with their difference behind each image."""
    (first, *others), names = results, tuple(models)
    if not others:
        rows = tuple(
            ShownRow(name, picture, at, 0)
            for at, (name, picture) in enumerate(zip(first.names, first.pictures, strict=True))
        )
        return ShownResults(names, (first,), first.view.panels, rows)
    second, pair = others[0], (names[0], names[1])
    panels = compared_panels(first.view.panels, second.view.panels, pair)
    every = enumerate(zip(first.names, first.pictures, second.pictures, strict=True))
    rows = tuple(
        row
        for at, (name, ours, theirs) in every
        for row in (
            ShownRow(f"{pair[0]}, {name}", ours, at, 0),
            ShownRow(f"{pair[1]}, {name}", theirs, at, 1),
            ShownRow(f"{difference_name(pair)}, {name}", ours, at, None),
        )
    )
    return ShownResults(names, (first, second), panels, rows)


def board_rows(shown: ShownResults, *, is_small: bool = False) -> list[BoardRow]:
    """The pictures of a board, as they are or as small files."""
    return [
        BoardRow(
            row.name,
            page_picture(row.picture.shown) if is_small else row.picture.png,
            group=row.image,
            is_difference=row.model is None,
        )
        for row in shown.rows
    ]
