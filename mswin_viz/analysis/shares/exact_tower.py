"""A float64 copy of a model for shares (image tower and add-on), and the images as they enter it."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.shares.decomposition import direction_of_images
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import Tags
from mswin_viz.model.encoder.preprocessing import ModelImages
from mswin_viz.model.tokens.enhanced import enhanced_width
from mswin_viz.model.tokens.tensors import versions

if TYPE_CHECKING:
    from jaxtyping import Float

_COPIES: weakref.WeakKeyDictionary[nn.Module, tuple[Any, Model]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()
Record = TypeVar("Record")


class ExactBatch(NamedTuple):
    """Some images: the model in float64, what its tower reads, and the direction of each image."""

    model: Model
    pixels: Float[torch.Tensor, "batch 3 height width"]
    given: tuple[torch.Tensor, ...]
    direction: Float[torch.Tensor, "batch wide"]


def exact_batches(
    model: Model,
    images: ModelImages,
    direction: Float[np.ndarray, "*batch wide"] | torch.Tensor,
    *,
    tags: Tags | None,
    feature: str = "plain",
    at_once: int = 8,
) -> Iterator[ExactBatch]:
    """The images in batches of a few, with a direction of the plain CLS or of what an add-on makes of it.

    Errors as for :meth:`mswin_viz.Model.encode`; ShapeError for a direction of another width, OptionError for the shift
    of a model without an add-on.
    """
    if feature == "shift" and model.addon is None:
        raise OptionError("a shift needs an add-on: got a model without one; load the model with addon=")
    opened = model.opened(images)
    width = model.dim if feature == "plain" else enhanced_width(model.addon, model.dim)
    v = direction_of_images(direction, len(opened), model.dim, width)
    pixels, given = model.preprocess(opened), model.conditions(len(opened), tags=tags)
    exact = _in_float64(model)
    for start in range(0, len(opened), at_once):
        batch = slice(start, start + at_once)
        yield ExactBatch(
            exact,
            pixels[batch].to(exact.device, torch.float64),
            tuple(tensor[batch].to(exact.device) for tensor in given),
            torch.from_numpy(v[batch].copy()).to(exact.device),
        )


def joined(parts: Sequence[Record]) -> Record:
    """Records of several batches as one: arrays end to end, names of operations together."""
    first: Any = parts[0]
    both: dict[str, Any] = {}
    for field in fields(first):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            both[field.name] = np.concatenate(values)
        elif field.name == "left":
            both[field.name] = tuple(sorted({name for names in values for name in names}))
    return replace(first, **both)


def array(values: torch.Tensor) -> np.ndarray:
    """Float64, without a gradient."""
    return values.detach().double().cpu().numpy()


def _in_float64(model: Model) -> Model:
    """A copy without the text tower, kept until a weight changes; on the CPU where the device has no float64."""
    place = torch.device("cpu") if model.device.type == "mps" else model.device
    parts = (model.clip.visual, model.tower.readout, model.addon)
    with _LOCK:
        key = (place, *(part and versions(part) for part in parts))
        kept = _COPIES.get(model.clip)
        if kept is None or kept[0] != key:
            visual, readout, addon = (part and _copied(part, place) for part in parts)
            clip: Any = nn.Module()
            clip.visual = visual
            tower = replace(model.tower, clip=clip, readout=readout)
            kept = _COPIES[model.clip] = (key, replace(model, tower=tower, addon=addon, device=place))
        return kept[1]


def _copied(part: Any, place: torch.device) -> Any:
    return copy.deepcopy(part).to(place).double().eval().requires_grad_(False)
