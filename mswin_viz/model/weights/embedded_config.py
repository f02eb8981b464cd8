"""The embedded model's folder: reads and writes its configuration and the weights, which must fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import open_clip
import torch
from pydantic import Field, model_validator
from safetensors.torch import load_file

from mswin_viz.data.storage.file_writing import write_bytes, write_json
from mswin_viz.data.storage.stored_records import StoredRecord, checked, read_json
from mswin_viz.errors import WeightsError, WeightsNotFoundError
from mswin_viz.model.archives.state_dicts import StateDict
from mswin_viz.model.archives.torch_files import first_words
from mswin_viz.model.weights.addon_files import tensors_as, weight_bytes
from mswin_viz.model.weights.load_report import checked_fit

EMBEDDED = Path(__file__).parents[1] / "embedded"
"""Folder of the embedded model."""
EMBEDDED_FILES = ("config.json", "clip.safetensors", "addon.safetensors", "card.json")
"""Its files."""
_ROWS = "token_embedding.rows"
"""Key of the token ids whose embeddings are stored."""
_REMEDY = "reinstall the package, or train it with `mswin-viz train-embedded`"
_Size = Annotated[int, Field(ge=1, le=4096)]
_Channels = Annotated[list[Annotated[float, Field(ge=-10, le=10)]], Field(min_length=3, max_length=3)]
_Spreads = Annotated[list[Annotated[float, Field(gt=0, le=10)]], Field(min_length=3, max_length=3)]


class _Vision(StoredRecord, extra="forbid"):
    """open_clip's ``vision_cfg``."""

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


class _Text(StoredRecord, extra="forbid"):
    """open_clip's ``text_cfg``."""

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


class _Config(StoredRecord, extra="forbid"):
    """The whole file."""

    embed_dim: _Size
    vision_cfg: _Vision
    text_cfg: _Text
    mean: _Channels = [0.5] * 3
    std: _Spreads = [0.5] * 3
    quick_gelu: bool = False


@dataclass(frozen=True, eq=False)
class EmbeddedClip:
    """What a folder of an embedded model holds: the CLIP in evaluation mode, and the BPE ids its text tower knows."""

    clip: open_clip.CLIP
    config: Mapping[str, Any]
    token_ids: frozenset[int]


def save_embedded(
    clip: open_clip.CLIP, config: Mapping[str, Any], token_ids: Sequence[int], folder: Path
) -> None:
    """Write a CLIP in half precision with only the token embeddings its training used."""
    state = {key: value for key, value in clip.state_dict().items() if value.is_floating_point()}
    state["token_embedding.weight"] = state["token_embedding.weight"][list(token_ids)]
    halves = tensors_as(torch.float16, state) | {_ROWS: torch.tensor(token_ids, dtype=torch.int32)}
    write_bytes(folder / "clip.safetensors", weight_bytes(halves, is_safetensors=True))
    write_json(folder / "config.json", config)


def load_embedded(folder: Path = EMBEDDED) -> EmbeddedClip:
    """The CLIP of :func:`save_embedded`; WeightsError if a file is missing or damaged, or the weights do not fit."""
    missing = [name for name in ("config.json", "clip.safetensors") if not (folder / name).is_file()]
    if missing:
        raise WeightsNotFoundError(
            f"the embedded model has config.json and clip.safetensors: {folder} lacks {', '.join(missing)}; {_REMEDY}"
        )
    content = read_json(folder / "config.json", what="the configuration", remedy=_REMEDY, error=WeightsError)
    what = f"the configuration {folder / 'config.json'}"
    config = checked(_Config, content, what=what, remedy=_REMEDY, error=WeightsError).model_dump()
    file = folder / "clip.safetensors"
    try:
        stored = load_file(file)
    except Exception as problem:  # a damaged file fails in any way
        raise WeightsError(
            f"a weight file must be whole: {file} cannot be read ({first_words(problem)}); {_REMEDY}"
        ) from problem
    rows = _checked_rows(stored, config, file)
    state = {key: value.float() for key, value in stored.items() if key != _ROWS}
    table = torch.zeros(config["text_cfg"]["vocab_size"], config["text_cfg"]["width"])
    table[rows] = state["token_embedding.weight"]
    state["token_embedding.weight"] = table
    clip = open_clip.CLIP(config["embed_dim"], dict(config["vision_cfg"]), dict(config["text_cfg"]))  # pyright: ignore[reportArgumentType]  # open_clip takes dicts too
    wanted = {key: tuple(value.shape) for key, value in clip.state_dict().items() if key != "attn_mask"}
    checked_fit(wanted, state, _rule(file), unexpected=[key for key in state if key not in wanted])
    clip.load_state_dict(state, strict=False)  # without the text's mask, which is no weight
    return EmbeddedClip(clip.eval(), config, frozenset(rows.tolist()))


def _rule(file: Path) -> str:
    return f"the embedded weights must fit their configuration ({_REMEDY}): in {file}"


def _checked_rows(state: StateDict, config: Mapping[str, Any], file: Path) -> torch.Tensor:
    """The token ids whose embeddings are stored; sizes are compared before anything of that size is built."""
    vision, text, dim = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    width, patch = vision["width"], vision["patch_size"]
    rows = state.get(_ROWS)
    if rows is None or rows.ndim != 1 or rows.dtype != torch.int32 or not rows.numel():
        raise WeightsError(f"{_rule(file)}: {_ROWS} is not a list of token ids")
    if not ((rows >= 0) & (rows < text["vocab_size"])).all():
        raise WeightsError(
            f"{_rule(file)}: {_ROWS} holds ids that are not among the {text['vocab_size']:,} of the vocabulary"
        )
    n_positions = 1 + (vision["image_size"][0] // patch) * (vision["image_size"][1] // patch)
    wanted = {
        "token_embedding.weight": (len(rows), text["width"]),
        "positional_embedding": (text["context_length"], text["width"]),
        "text_projection": (text["width"], dim),
        "visual.conv1.weight": (width, 3, patch, patch),
        "visual.positional_embedding": (n_positions, width),
        "visual.proj": (width, dim),
        f"visual.transformer.resblocks.{vision['layers'] - 1}.ln_1.weight": (width,),
        f"transformer.resblocks.{text['layers'] - 1}.ln_1.weight": (text["width"],),
    }
    checked_fit(wanted, state, _rule(file))
    return rows.long()
