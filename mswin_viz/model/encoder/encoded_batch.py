"""Images of a data set encoded in one pass, none taking another with it: tokens of those that can be used, and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from mswin_viz.data.images.image_source import Crop, ImageSource
from mswin_viz.errors import ImageError, ImageFileError, MswinVizError, OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import Tags, one_each
from mswin_viz.model.encoder.preprocessing import FittedImage
from mswin_viz.model.tokens.tokens import Tokens


class Failure(NamedTuple):
    """An image that is left out, and why."""

    path: Path | Crop
    reason: str


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """By their place in the list: images that could be used, in order, with their tokens; why others could not."""

    images: Mapping[int, FittedImage]
    tokens: Tokens
    problems: Mapping[int, MswinVizError]


def encoded_batch(model: Model, sources: Sequence[ImageSource | FittedImage], tags: Tags) -> EncodedBatch:
    """Encode images in one pass; one that cannot be read, or whose camera the weights do not know, is left out."""
    images, given, problems = {}, [], {}
    for place, (source, tag) in enumerate(zip(sources, one_each(tags, len(sources)), strict=True)):
        try:
            condition = model.conditions(1, tags=tag)
            (images[place],) = model.opened([source])
        except (ImageFileError, ImageError, OptionError) as problem:  # OptionError: of a camera without a row
            problems[place] = problem
        else:
            given.append(condition)
    if not images:
        n_tokens = model.grid[0] * model.grid[1]
        empty = Tokens(torch.zeros(0, model.dim), torch.zeros(0, n_tokens, model.dim), model.grid)
        return EncodedBatch(images, empty, problems)
    joined = (torch.cat(one) for one in zip(*given, strict=True))
    return EncodedBatch(images, model.encode_fitted(list(images.values()), *joined), problems)
