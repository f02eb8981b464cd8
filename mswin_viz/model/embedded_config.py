"""``config.json`` of an embedded model: what it may say, and whether the weights beside it are of that architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mswin_viz.data.stored_records import STRICT, checked, read_json
from mswin_viz.errors import WeightsError

__all__ = ["REMEDY", "ROWS", "check_embedded_weights", "embedded_config"]

ROWS = "token_embedding.rows"
"""Key of the token ids whose embeddings are stored."""
REMEDY = "reinstall the package, or train it with `mswin-viz train-embedded`"
_CLOSED = ConfigDict(STRICT, extra="forbid")
_Size = Annotated[int, Field(ge=1, le=4096)]
_Channels = Annotated[list[Annotated[float, Field(ge=-10, le=10)]], Field(min_length=3, max_length=3)]
_Spreads = Annotated[list[Annotated[float, Field(gt=0, le=10)]], Field(min_length=3, max_length=3)]


class _Vision(BaseModel):
    """open_clip's ``vision_cfg``."""

    model_config = _CLOSED
    image_size: Annotated[list[_Size], Field(min_length=2, max_length=2)]
    layers: Annotated[int, Field(ge=1, le=64)]
    width: _Size
    head_width: _Size
    patch_size: _Size

    @model_validator(mode="after")
    def _fits(self) -> _Vision:
        if self.width % self.head_width or any(side < self.patch_size for side in self.image_size):
            raise ValueError("heads must divide the width, and a patch be no larger than the image")
        return self


class _Text(BaseModel):
    """open_clip's ``text_cfg``."""

    model_config = _CLOSED
    context_length: _Size
    vocab_size: Annotated[int, Field(ge=1, le=2**20)]
    width: _Size
    heads: _Size
    layers: Annotated[int, Field(ge=1, le=64)]

    @model_validator(mode="after")
    def _fits(self) -> _Text:
        if self.width % self.heads:
            raise ValueError("heads must divide the width")
        return self


class _Config(BaseModel):
    """The whole file."""

    model_config = _CLOSED
    embed_dim: _Size
    vision_cfg: _Vision
    text_cfg: _Text
    mean: _Channels = [0.5] * 3
    std: _Spreads = [0.5] * 3
    quick_gelu: bool = False


def embedded_config(file: Path) -> dict[str, Any]:
    """The configuration in a file, checked.

    Raises
    ------
    WeightsError
        Naming the file and the first values that are wrong.
    """
    found = read_json(file, what="the configuration", remedy=REMEDY, error=WeightsError)
    what = f"the configuration {file}"
    return checked(_Config, found, what=what, remedy=REMEDY, error=WeightsError).model_dump()


def check_embedded_weights(state: Mapping[str, torch.Tensor], config: Mapping[str, Any], file: Path) -> None:
    """Compare the tensors that decide sizes with a configuration, before anything of that size is built.

    Raises
    ------
    WeightsError
        Naming what does not fit.
    """
    vision, text, dim = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    width, patch = vision["width"], vision["patch_size"]
    rows = state.get(ROWS)
    n_rows = len(rows) if rows is not None and rows.ndim == 1 else -1
    n_positions = 1 + (vision["image_size"][0] // patch) * (vision["image_size"][1] // patch)
    wanted = {
        ROWS: (n_rows,),
        "token_embedding.weight": (n_rows, text["width"]),
        "positional_embedding": (text["context_length"], text["width"]),
        "text_projection": (text["width"], dim),
        "visual.conv1.weight": (width, 3, patch, patch),
        "visual.positional_embedding": (n_positions, width),
        "visual.proj": (width, dim),
        f"visual.transformer.resblocks.{vision['layers'] - 1}.ln_1.weight": (width,),
        f"transformer.resblocks.{text['layers'] - 1}.ln_1.weight": (text["width"],),
    }
    for key, shape in wanted.items():
        own = tuple(state[key].shape) if key in state else None
        if own != shape:
            raise WeightsError(
                f"the embedded weights must fit their configuration: {key} of {file} is {own or 'not there'}, where "
                f"{shape} fits; {REMEDY}"
            )
    if rows.dtype != torch.int32 or not ((rows >= 0) & (rows < text["vocab_size"])).all():
        raise WeightsError(
            f"the embedded weights must fit their configuration: {ROWS} of {file} holds token ids outside the "
            f"{text['vocab_size']:,} of the vocabulary; {REMEDY}"
        )
