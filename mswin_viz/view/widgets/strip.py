"""The thumbnail strip: search and choose among many images; searching never reaches the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from mswin_viz.analysis.measures.matching import sample_matching
from mswin_viz.data.images.image_source import MODALITIES, Crop
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.lifetime import ClosedWhole


class StripError(OptionError, traitlets.TraitError):
    """The strip was told to choose an image that is not in it; the old choice stays."""


class ThumbnailStrip(ClosedWhole, anywidget.AnyWidget):
    """Thumbnails of samples, with a search by identity, camera and modality. The traits are its whole state.

    The browser says ``{"kind": "shown"}`` when it is first drawn, ``{"kind": "stop"}`` at the stop button, and
    ``{"kind": "scores"}`` when it is to sort or search by scores that are not there.
    """

    _esm = script("strip")
    _css = style("strip")

    items = traitlets.List(traitlets.Dict()).tag(sync=True)  # what is known of each sample
    serial = traitlets.Int(0).tag(sync=True)  # of the samples: positions mean others once they are replaced
    modalities = traitlets.List(traitlets.Unicode(), list(MODALITIES), read_only=True).tag(sync=True)
    modality = traitlets.Enum(MODALITIES, MODALITIES[0]).tag(sync=True)  # of the images shown and chosen
    selected = traitlets.Int(0).tag(sync=True)  # position of the chosen sample
    second = traitlets.Int(0).tag(sync=True)  # position of the one it is compared with
    has_second = traitlets.Bool(True).tag(sync=True)  # whether a click can choose that one
    thumbs = traitlets.List(traitlets.Bytes()).tag(sync=True)  # JPEG files by modality, then sample; or empty
    has_scores = traitlets.Bool(False).tag(sync=True)  # whether there is something that computes them
    scores = traitlets.List(traitlets.List(traitlets.Float(), allow_none=True)).tag(
        sync=True
    )  # plain and enhanced, or None, of each sample; empty before they are computed
    scored_by = traitlets.Unicode().tag(
        sync=True
    )  # the name of the model whose they are, where there are two
    progress = traitlets.Float(-1.0).tag(sync=True)  # fraction done of background work; below 0 for none
    status = traitlets.Unicode().tag(sync=True)  # words beside the bar

    def __init__(self, samples: Sequence[Sample], **traits: Any) -> None:
        items = [_item(sample) for sample in samples]
        super().__init__(items=items, second=second_choice(samples), **traits)

    def __repr__(self) -> str:
        return (
            f"ThumbnailStrip({counted(len(self.items), 'samples')}, {self.modality}, {self.selected} chosen)"
        )

    def release(self) -> None:
        """Release the thumbnails."""
        self.thumbs = []

    def replace(self, samples: Sequence[Sample]) -> None:
        """Other samples: the first is chosen, in a modality that it has."""
        with self.hold_sync(), self.hold_trait_notifications():
            self.items, self.serial = [_item(sample) for sample in samples], self.serial + 1
            self.thumbs, self.scores, self.selected, self.second = [], [], 0, second_choice(samples)
            if self.modality not in samples[0].images:
                self.modality = next(iter(samples[0].images))

    def part(self, samples: Sequence[Sample]) -> None:
        """Choose another second image where both are the same; ``samples`` are those of the strip."""
        if self.second == self.selected:
            self.second = second_choice(samples, self.selected)

    @traitlets.validate("selected", "second")
    def _checked_position(self, proposal: Any) -> int:
        at = proposal["value"]
        if not 0 <= at < max(1, len(self.items)):
            raise StripError(f"choose one of the images 0..{len(self.items) - 1}: got {at}")
        return at


def second_choice(samples: Sequence[Sample], first: int = 0) -> int:
    """A sample to compare with: a match under the camera rule, else another sample, else itself."""
    rows = np.arange(len(samples))
    matches = rows[sample_matching(samples, "camera").matches(first, rows)]
    return int(next(iter([*matches, *rows[rows != first]]), first))


def images_in_turn(samples: Sequence[Sample], modality: str) -> list[tuple[Path | Crop, ImageTag]]:
    """Every image and what is known of it, those of ``modality`` first."""
    order = [modality, *(name for name in MODALITIES if name != modality)]
    return [
        (sample.images[name], ImageTag(name, sample.camid))
        for name in order
        for sample in samples
        if name in sample.images
    ]


def _item(sample: Sample) -> dict[str, Any]:
    caption = None if sample.caption is None else shown_text(sample.caption)
    about = {"name": sample.name, "pid": sample.pid, "camid": sample.camid, "caption": caption}
    return {**about, "modalities": list(sample.images)}
