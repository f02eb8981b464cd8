"""The embedding explorer as a page: both maps, their colours, and a picture for each of the first points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets

from mswin_viz.analysis.embeddings.view import EmbeddingView
from mswin_viz.data.progress import Stop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.errors import StoppedError
from mswin_viz.model.encoder.encoded_batch import Failure
from mswin_viz.view.embeddings.controls import MapControls
from mswin_viz.view.embeddings.measure_table import measures_html
from mswin_viz.view.page.page_images import chosen_images, folderless, placeless_failures
from mswin_viz.view.page.page_plan import PageAnswer, PagePart, PagePlan, PageTable
from mswin_viz.view.parts.html import failure_words
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail
from mswin_viz.view.widgets.labels import COLOURS, MATCHING_RULES, SHOWN, colours_of
from mswin_viz.view.widgets.map_colours import legend_html
from mswin_viz.view.widgets.map_places import unit_square
from mswin_viz.view.widgets.map_points import map_colouring, map_points
from mswin_viz.view.widgets.map_scatter import ORANGE
from mswin_viz.view.widgets.maps import MOST_ARROWS, LinkedMaps, map_titles
from mswin_viz.view.widgets.markup import Html, message_html

_HEIGHT = 112  # pixels of a picture
_WORKS = (
    "Works without a kernel: a point under the mouse is marked in both maps and shows its picture and words; a click chooses "
    "it, a click beside the points chooses none; the wheel zooms, a drag moves, a double click goes back. Keys on a map: "
    "arrows step through the points, Enter chooses, + and - zoom, 0 goes back. Colours, morph and arrows work."
)
_FIXED = (
    "Fixed: show {show}; matching rule {rule}; coupling {coupling:g}; perplexity {perplexity:g} asked for; seed {seed}. Heatmaps and "
    "neighbours of a point, search, lasso and saving need the live explorer."
)


@dataclass(frozen=True, eq=False)
class EmbeddingPage:
    """Makes the plan of an embedding explorer's page from the explorer's parts; ``hidden`` is what is left out of it."""

    root: widgets.Widget
    samples: Sequence[Sample]
    controls: MapControls
    html: Mapping[str, Html]
    hidden: Sequence[widgets.Widget]

    def plan(
        self, view: EmbeddingView, maps: LinkedMaps, failed: Sequence[Failure], images: int, stop: Stop
    ) -> PagePlan:
        """What the page holds, with pictures for at most so many points; ``stop`` ends the reading of these."""
        c, table = self.controls, view.table
        pictured = chosen_images(images, len(view), maps.selected[:1])
        words = failure_words(placeless_failures(failed, self.samples))
        without = replace(view, table=replace(table, failed=placeless_failures(table.failed, self.samples)))
        traits = _points(view, maps) | {"thumbs": _thumbnails(view, pictured, stop)}
        switches = [(c.morph, "value", _morphs), (c.arrows, "value", _arrows)]
        return PagePlan(
            title=f"Embeddings: {counted(len(view), 'points')}", about=[_WORKS, *_about(view, len(pictured))], root=self.root, words=folderless(self.samples),
            live=[c.colour, c.morph, c.arrows], hidden=[*self.hidden, c.search],
            replaced={maps: PagePart("page_maps", "page_maps", traits)},
            changed={
                self.html["measures"]: {"value": measures_html(without)},
                self.html["message"]: {"value": message_html(words)},
            },
            tables=[
                PageTable(((c.colour, "value"),), self._colours(view, maps), len(COLOURS), words=counted(len(view), "points")),
                *(PageTable(((control, trait),), answers(maps)) for control, trait, answers in switches),
            ],
        )  # fmt: skip

    def _colours(self, view: EmbeddingView, maps: LinkedMaps) -> Iterator[PageAnswer]:
        for by in COLOURS:
            colouring = map_colouring(view, by)
            codes = colouring.codes.astype("<i4").tobytes()
            yield PageAnswer((by,), {
                maps: {"codes": codes, "colours": list(colouring.colours)},
                self.html["legend"]: {"value": legend_html(colouring, colours_of(view.table.feature_names)[by])},
            })  # fmt: skip


def _points(view: EmbeddingView, maps: LinkedMaps) -> dict[str, Any]:
    """Places in the unit square and words of every point, and what is marked at first."""
    points = map_points(view)
    plain, enhanced = (
        places.astype("<f4").tobytes() for places in unit_square(points.plain, points.enhanced)
    )
    words = {name: [str(word) for word in words] for name, words in points.words.items()}
    return {
        "plain": plain, "enhanced": enhanced, "words": words, "selected": list(maps.selected), "hovered": -1,
        "marked": ORANGE, "most_arrows": MOST_ARROWS, "codes": b"", "colours": [], "titles": [], "is_morphed": False,
        "has_arrows": False,
    }  # fmt: skip


def _thumbnails(view: EmbeddingView, rows: Sequence[int], stop: Stop) -> dict[str, bytes]:
    files = view.table.files
    size = picture_size(files, longer=_HEIGHT)
    thumbs: dict[str, bytes] = {}
    for row in rows:
        if stop():
            raise StoppedError("the page was not finished")
        thumbs[str(row)] = row_thumbnail(files[row], size)
    return thumbs


def _morphs(maps: LinkedMaps) -> Iterator[PageAnswer]:
    for is_morphed in (False, True):
        titles = list(map_titles(maps._points.names, is_morphed=is_morphed))
        yield PageAnswer((is_morphed,), {maps: {"is_morphed": is_morphed, "titles": titles}})


def _arrows(maps: LinkedMaps) -> Iterator[PageAnswer]:
    for has_arrows in (False, True):
        yield PageAnswer((has_arrows,), {maps: {"has_arrows": has_arrows}})


def _about(view: EmbeddingView, n_pictures: int) -> list[str]:
    settings = view.settings
    rule = MATCHING_RULES[settings.rule].split(":")[0]
    fixed = _FIXED.format(
        show=SHOWN[settings.show], rule=rule, coupling=settings.coupling, perplexity=settings.perplexity, seed=settings.seed
    )  # fmt: skip
    if n_pictures == len(view):
        return [fixed]
    pictures = f"{n_of(n_pictures, len(view), 'points')} {'has' if n_pictures == 1 else 'have'} a picture"
    return [f"{pictures}; all have their words.", fixed]
