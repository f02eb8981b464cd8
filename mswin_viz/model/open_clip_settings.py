"""``open_clip_config.json`` beside weights: what its architecture and its preprocessing may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

import open_clip
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mswin_viz.data.shown_text import short_text
from mswin_viz.data.stored_records import STRICT, checked
from mswin_viz.errors import WeightsError

__all__ = ["checked_architecture", "checked_preprocessing"]

_NAME = "open_clip_config.json"
_REMEDY = "copy the folder again"
_KINDS = {"vision_cfg": open_clip.CLIPVisionCfg, "text_cfg": open_clip.CLIPTextCfg}
_CLOSED = ConfigDict(STRICT, extra="forbid")
_Size = Annotated[int, Field(ge=1, le=2**14)]
_Layers = Annotated[int, Field(ge=1, le=128)]
_Ratio = Annotated[float, Field(gt=0, le=64)]


class _Norm(BaseModel):
    """``norm_kwargs``: of LayerNorm."""

    model_config = _CLOSED
    eps: Annotated[float, Field(gt=0, lt=1)] = 1e-5


class _Activation(BaseModel):
    """``act_kwargs``: of GELU."""

    model_config = _CLOSED
    approximate: Literal["none", "tanh"] = "none"


class _Side(BaseModel):
    """What both towers have."""

    model_config = STRICT
    width: _Size
    mlp_ratio: _Ratio = 4.0
    ls_init_value: Annotated[float, Field(gt=0, le=1e3)] | None = None
    norm_kwargs: _Norm | None = None
    act_kwargs: _Activation | None = None
    block_type: Literal["default", "custom"] | None = None
    qk_norm: bool = False
    scaled_cosine_attn: bool = False
    scale_heads: bool = False
    scale_attn_inner: bool = False
    scale_attn: bool = False
    scale_fc: bool = False
    final_ln_after_pool: bool = False
    output_tokens: bool = False
    pool_type: str = ""


class _Vision(_Side):
    """``vision_cfg``; a ResNet has a list of layers, which is refused by what it is."""

    layers: _Layers | list[_Layers]
    head_width: _Size = 64
    patch_size: _Size
    patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    attentional_pool: bool = False
    no_ln_pre: bool = False
    pos_embed_type: Literal["learnable", "sin_cos_2d"] = "learnable"
    timm_model_name: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> _Vision:
        if self.timm_model_name is None and isinstance(self.layers, int) and self.width % self.head_width:
            raise ValueError(
                f"the width must be a multiple of head_width: got {self.width} and {self.head_width}"
            )
        return self


class _Text(_Side):
    """``text_cfg``."""

    context_length: _Size
    vocab_size: Annotated[int, Field(ge=1, le=2**22)]
    heads: _Size
    layers: _Layers
    embed_cls: bool = False
    pad_id: Annotated[int, Field(ge=0)] = 0
    no_causal_mask: bool = False
    proj_bias: bool = False
    proj_type: Literal["linear", "none"] = "linear"
    hf_model_name: str | None = None
    hf_tokenizer_name: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> _Text:
        if self.hf_model_name is None and self.width % self.heads:
            raise ValueError(f"the width must be a multiple of heads: got {self.width} and {self.heads}")
        return self


class _Architecture(BaseModel):
    model_config = STRICT
    vision_cfg: _Vision
    text_cfg: _Text


class _Preprocessing(BaseModel):
    """``preprocess_cfg``, but for mean and std; as open_clip does, anything but bilinear is bicubic."""

    model_config = STRICT
    interpolation: Literal["bilinear", "bicubic", "random"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"


def checked_architecture(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``vision_cfg`` and ``text_cfg`` with the sizes that open_clip takes where none are given.

    Raises
    ------
    WeightsError
        If the installed open_clip does not know an entry, or a value is not of its kind.
    """
    strange = [key for side, kind in _KINDS.items() for key in found[side] if key not in _defaults(kind)]
    if strange:
        named = ", ".join(short_text(key, 60) for key in strange[:4])
        raise WeightsError(
            f"{_NAME} describes a model of open_clip: its installed version, {open_clip.__version__}, does not know "
            f"{named}; update it"
        )
    whole = {side: {**_sizes(side), **found[side]} for side in _KINDS}
    checked(_Architecture, whole, what=f"the model_cfg of {_NAME}", remedy=_REMEDY, error=WeightsError)
    return {
        side: {**values, "output_tokens": False} for side, values in whole.items()
    }  # the patches beside CLS


def checked_preprocessing(found: Any) -> tuple[str, bool]:
    """Interpolation of a resize, and whether the centre of the image is taken.

    Raises
    ------
    WeightsError
        If open_clip does not know a value.
    """
    what = f"the preprocess_cfg of {_NAME}"
    given = checked(_Preprocessing, found, what=what, remedy=_REMEDY, error=WeightsError)
    resize = "bilinear" if given.interpolation == "bilinear" else "bicubic"
    return resize, given.resize_mode == "shortest"


def _sizes(side: str) -> dict[str, Any]:
    """Entries of a side that have no default here, as open_clip sets them."""
    kind, model = _KINDS[side], _Vision if side == "vision_cfg" else _Text
    return {name: _defaults(kind)[name] for name, field in model.model_fields.items() if field.is_required()}


def _defaults(kind: type) -> dict[str, Any]:
    return {each.name: each.default for each in fields(kind)}
