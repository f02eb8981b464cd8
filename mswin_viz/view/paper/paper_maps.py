"""The numbers of every cell of a paper's figure, and why a cell has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from mswin_viz.analysis.attribution.target import Target
from mswin_viz.data.progress import StepCounter
from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.errors import DataError, StoppedError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.encoded_batch import encoded_batch
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.view.paper.paper_columns import IMAGE, Column, Pictures, column_values


class Place(NamedTuple):
    """Whose picture a cell shows: the model's name, the sample's position, the modality."""

    model: str
    image: int
    modality: str


@dataclass(eq=False)
class PaperMaps:
    """Pictures as the models see them, maps ``[rows, cols]`` by place and column, and words where there is neither.

    ``failed`` has the files that could not be read, with the reason.
    """

    pictures: dict[Place, Image.Image] = field(default_factory=dict)
    maps: dict[tuple[Place, str], np.ndarray] = field(default_factory=dict)
    missing: dict[Place, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def limits(self, columns: Sequence[Column], unit: str) -> tuple[float, float]:
        """The ends of the colours of all columns of a unit: about zero, or from zero where nothing is below it."""
        names = {column.name for column in columns if column.unit == unit}
        values = [array for (_, name), array in self.maps.items() if name in names]
        low = min((float(array.min()) for array in values), default=0.0)
        high = max((float(array.max()) for array in values), default=0.0)
        if low >= 0:
            return 0.0, high or 1.0
        size = max(-low, high)
        return -size, size


class MapPlan(NamedTuple):
    """The columns, what they split, and the steps of methods that take some."""

    columns: Sequence[Column]
    modalities: Sequence[str]
    target: Target | str
    n_steps: int


def paper_maps(
    models: Mapping[str, Model],
    samples: Sequence[Sample],
    plan: MapPlan,
    steps: StepCounter,
) -> PaperMaps:
    """Every cell's numbers: a batch for each model and modality. Raises DataError if there is no image at all."""
    found = PaperMaps()
    for model_name, model in models.items():
        for modality in plan.modalities:
            there = []
            for at, sample in enumerate(samples):
                if modality in sample.images:
                    there.append(at)
                else:
                    found.missing[Place(model_name, at, modality)] = f"no {modality}"
            _fill(found, (model_name, model, modality), samples, there, plan, steps)
    if not found.pictures:
        why = next(iter(found.missing.values()), "there are no samples")
        raise DataError(
            f"a figure needs an image in {' or '.join(plan.modalities)} that can be read: got {counted(len(samples), 'samples')}, the first: {why}"
        )
    return found


def _fill(
    found: PaperMaps,
    which: tuple[str, Model, str],
    samples: Sequence[Sample],
    there: Sequence[int],
    plan: MapPlan,
    steps: StepCounter,
) -> None:
    model_name, model, modality = which
    tags = [ImageTag(modality, samples[at].camid) for at in there]
    batch = encoded_batch(model, [samples[at].images[modality] for at in there], tags)
    for place, problem in batch.problems.items():
        found.failed[shown_text(samples[there[place]].images[modality])] = str(problem)
        found.missing[Place(model_name, there[place], modality)] = f"{modality} cannot be read"
    kept = list(batch.images)
    places = [there[place] for place in kept]
    pictures = Pictures(model, list(batch.images.values()), [tags[place] for place in kept], batch.tokens)
    for at, image in zip(places, pictures.images, strict=True):
        found.pictures[Place(model_name, at, modality)] = image.shown
    for column in plan.columns:
        if column.name != IMAGE and places:
            values = column_values(pictures, column, plan.target, places, n_steps=plan.n_steps)
            for at, one in zip(places, values, strict=True):
                found.maps[Place(model_name, at, modality), column.name] = one
        if steps.passed(1):
            raise StoppedError(
                f"the figure was stopped after {steps.done} of {counted(steps.total, 'columns')}"
            )
