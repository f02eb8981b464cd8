"""One pass of the tower over the pictures of a batch; on a GPU the program goes on while it works and while its results are copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.data.store.planned_images import PlannedImage
from mswin_viz.data.store.store_record import StoreRecord
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import phase_means

if TYPE_CHECKING:
    from jaxtyping import UInt8

_NOT_FINITE = "the model gave it a feature that is not finite, or that does not fit float16"
_IS_FINITE = "is_finite"

_Given = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class TowerPass:
    """A pass that has begun.

    Attributes
    ----------
    places
        Which images of the batch go through the tower.
    problems
        Place of each other image -> why it does not.
    """

    places: list[int]
    problems: dict[int, str]
    _pixels: torch.Tensor | None  # held until the device has copied them
    _values: dict[str, torch.Tensor]
    _copied: torch.cuda.Event | None

    def wait(self) -> None:
        """Until the device is done with it."""
        if self._copied is not None:
            self._copied.synchronize()

    def results(self) -> tuple[list[int], dict[str, np.ndarray], dict[int, str]]:
        """Places of the images with finite features, these features, and why each other image has none."""
        self.wait()
        if not self._values:
            return [], {}, self.problems
        values = {name: tensor.numpy() for name, tensor in self._values.items()}
        is_finite, places = values.pop(_IS_FINITE), np.array(self.places)
        if not is_finite.all():
            values = {name: array[is_finite] for name, array in values.items()}
        lost = dict.fromkeys(places[~is_finite].tolist(), _NOT_FINITE)
        return places[is_finite].tolist(), values, self.problems | lost


def tower_pass(
    model: Model,
    record: StoreRecord,
    images: Sequence[PlannedImage],
    *,
    pixels: UInt8[torch.Tensor, "picture 3 height width"],
    places: Sequence[int],
) -> TowerPass:
    """Have the tower embed the pictures at these ``places`` of a batch, for what a store keeps; see :class:`TowerPass`."""
    given, problems = _conditions(model, {place: images[place] for place in places})
    kept = [place for place in places if place not in problems]
    if not kept:
        return TowerPass(kept, problems, None, {}, None)
    if problems:
        pixels = pixels[torch.tensor([place not in problems for place in places])]
    values, copied = _values(model, pixels, given, record), None
    if model.device.type == "cuda":
        values = {name: tensor.to("cpu", non_blocking=True) for name, tensor in values.items()}
        copied = torch.cuda.Event()
        copied.record(torch.cuda.current_stream(model.device))
    return TowerPass(kept, problems, pixels, {name: tensor.cpu() for name, tensor in values.items()}, copied)


def _conditions(model: Model, images: dict[int, PlannedImage]) -> tuple[_Given, dict[int, str]]:
    """What the tower reads beside the pixels; the images left out for a camera without a row in the weights."""
    tags = {place: ImageTag(image.modality, image.sample.camid) for place, image in images.items()}
    try:
        return model.conditions(len(tags), tags=list(tags.values())), {}
    except OptionError:
        problems = {place: words for place, tag in tags.items() if (words := _problem(model, tag))}
    left = [tag for place, tag in tags.items() if place not in problems]
    return model.conditions(len(left), tags=left) if left else (), problems


def _problem(model: Model, tag: ImageTag) -> str | None:
    try:
        model.conditions(1, tags=tag)
    except OptionError as problem:
        return str(problem)
    return None


def _values(
    model: Model, pixels: torch.Tensor, given: Iterable[torch.Tensor], record: StoreRecord
) -> dict[str, torch.Tensor]:
    """Plain and enhanced features, the tokens that the store keeps, and which images have finite ones; where the model is."""
    with torch.no_grad():
        tokens = model.encode_pixels(pixels, *given)
        values = {"plain": tokens.cls, "enhanced": model.enhance(tokens).cls}
        kind = getattr(torch, record.dtype)
        is_finite = [value.to(kind).isfinite().all(dim=1) for value in values.values()]
        for name, kept in _kept(tokens, record).items():
            values[name] = kept.to(getattr(torch, record.token_dtype))
            is_finite.append(values[name].isfinite().flatten(1).all(dim=1))
    return values | {_IS_FINITE: torch.stack(is_finite).all(dim=0)}


def _kept(tokens: Tokens, record: StoreRecord) -> dict[str, torch.Tensor]:
    kept = record.token_shapes
    ways = {
        "patches": lambda: tokens.patches,
        "phase_means": lambda: phase_means(tokens, record.scales).patches,
        "stripe_means": lambda: tokens.patches.unflatten(1, tokens.grid).mean(dim=2),
    }
    return {name: way() for name, way in ways.items() if name in kept}
