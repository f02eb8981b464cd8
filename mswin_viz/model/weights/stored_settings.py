"""What the JSON files beside weights say: architecture, activation, input size and normalisation.

``open_clip_config.json`` is open_clip's; ``config.json`` and ``preprocessor_config.json`` are written by transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, TypeVar

import open_clip
from pydantic import BaseModel, Field, PlainValidator, model_validator

from mswin_viz.data.shown_text import short_text
from mswin_viz.data.storage.stored_records import StoredRecord, checked, value_words
from mswin_viz.errors import WeightsError

_OPEN_CLIP, _CONFIG, _IMAGES = "open_clip_config.json", "config.json", "preprocessor_config.json"
_REMEDY = "copy the folder again"
_ACTIVATIONS = {"quick_gelu": "QuickGELU", "gelu": "GELU"}
_CLIP_TYPES = (
    "clip", "clip_vision_model", "clipseg", "chinese_clip", "chinese_clip_vision_model", "altclip", "metaclip_2",
    "metaclip_2_vision_model",
)  # fmt: skip
"""Kinds of model whose image tower is CLIP's."""
_EPSILON = 1e-5
_KINDS = {"vision_cfg": open_clip.CLIPVisionCfg, "text_cfg": open_clip.CLIPTextCfg}


def _height_and_width(value: Any) -> tuple[int, int]:
    """Height and width, from one number, a list of two, or a dict of both."""
    sides: list[Any] = value if isinstance(value, list) else [value, value]
    if isinstance(value, dict):
        sides = [value.get("height"), value.get("width")]
    if len(sides) != 2 or not all(type(side) is int and 0 < side < 2**16 for side in sides):
        raise ValueError(f"this is one whole number of pixels or two: got {value_words(value)}")
    return sides[0], sides[1]


_Size = Annotated[int, Field(ge=1, le=2**14)]
_Layers = Annotated[int, Field(ge=1, le=128)]
_Ratio = Annotated[float, Field(gt=0, le=64)]
_Epsilon = Annotated[float, Field(gt=0, lt=1)]
_Pixels = Annotated[tuple[int, int], PlainValidator(_height_and_width)]
_Means = Annotated[list[Annotated[float, Field(gt=-(2**16), lt=2**16)]], Field(min_length=3, max_length=3)]
_Spreads = Annotated[list[Annotated[float, Field(gt=1e-6, lt=2**16)]], Field(min_length=3, max_length=3)]
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class StoredSettings:
    """Settings found beside a file; None or empty where the files say nothing."""

    source: str = ""  # names of the files
    activation: str | None = None  # QuickGELU or GELU
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    image_size: tuple[int, int] | None = None  # height and width the positions were made for
    architecture: Mapping[str, Any] | None = None  # open_clip's, complete
    heads: int | None = None  # attention heads of the image tower
    text_heads: int | None = None
    vision: Mapping[str, Any] = field(default_factory=dict)  # of vision_cfg, what shapes do not tell
    text: Mapping[str, Any] = field(default_factory=dict)  # the same of text_cfg
    text_refusal: str = ""  # why open_clip cannot run the text side
    resize: str = "bicubic"  # interpolation of a square input
    crops: bool = True  # to the centre


def stored_settings(files: Mapping[str, Mapping[str, Any]], *, is_hugging_face: bool) -> StoredSettings:
    """Settings in the files beside weights, of Hugging Face's layout or open_clip's."""
    if not is_hugging_face:
        return _of_open_clip(files[_OPEN_CLIP]) if _OPEN_CLIP in files else StoredSettings()
    config = files.get(_CONFIG, {})
    images = files.get(_IMAGES) or files.get("processor_config.json", {}).get("image_processor", {})
    is_clip = config.get("model_type") in _CLIP_TYPES
    return _of_transformers(config if is_clip else {}, images if isinstance(images, Mapping) else {})


class _Norm(StoredRecord, extra="forbid"):
    eps: _Epsilon = _EPSILON


class _Activation(StoredRecord, extra="forbid"):
    approximate: Literal["none", "tanh"] = "none"


class _Side(StoredRecord):
    """What both towers have; flags are checked one by one."""

    width: _Size
    mlp_ratio: _Ratio = 4.0
    ls_init_value: Annotated[float, Field(gt=0, le=1e3)] | None = None
    norm_kwargs: _Norm | None = None
    act_kwargs: _Activation | None = None
    block_type: Literal["default", "custom"] | None = None
    pool_type: str = ""


class _Vision(_Side):
    """``vision_cfg``; a list of layers is a ResNet's, which is refused by name."""

    image_size: _Pixels
    layers: _Layers | list[_Layers]
    head_width: _Size = 64
    patch_size: _Size
    patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
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
    context_length: _Size
    vocab_size: Annotated[int, Field(ge=1, le=2**22)]
    heads: _Size
    layers: _Layers
    pad_id: Annotated[int, Field(ge=0)] = 0
    proj_type: Literal["linear", "none"] = "linear"
    hf_model_name: str | None = None
    hf_tokenizer_name: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> _Text:
        if self.hf_model_name is None and self.width % self.heads:
            raise ValueError(f"the width must be a multiple of heads: got {self.width} and {self.heads}")
        return self


class _Architecture(StoredRecord):
    """``model_cfg``; null counts as false, as it does for open_clip."""

    embed_dim: Annotated[int, Field(ge=1, lt=2**16)]
    quick_gelu: bool | None = None
    vision_cfg: _Vision
    text_cfg: _Text


class _Preprocessing(StoredRecord):
    """``preprocess_cfg``; as open_clip does, anything but bilinear is bicubic."""

    mean: _Means = Field(default_factory=lambda: list(open_clip.OPENAI_DATASET_MEAN))
    std: _Spreads = Field(default_factory=lambda: list(open_clip.OPENAI_DATASET_STD))
    interpolation: Literal["bilinear", "bicubic", "random"] = "bicubic"
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"


def _of_open_clip(content: Mapping[str, Any]) -> StoredSettings:
    described = content.get("model_cfg", content)
    if not isinstance(described, dict) or not all(isinstance(described.get(side), dict) for side in _KINDS):
        raise WeightsError(f"{_OPEN_CLIP} has a model_cfg with vision_cfg and text_cfg: got none; {_REMEDY}")
    known = {side: {each.name: each.default for each in fields(kind)} for side, kind in _KINDS.items()}
    if unknown := [key for side in _KINDS for key in described[side] if key not in known[side]]:
        raise WeightsError(
            f"{_OPEN_CLIP} describes a model of open_clip: its installed version, {open_clip.__version__}, does not know "
            f"{', '.join(short_text(key, 60) for key in unknown[:4])}; update it"
        )
    flags = [(side, key) for side in _KINDS for key in described[side] if isinstance(known[side][key], bool)]
    for side, key in flags:
        if not isinstance(value := described[side][key], bool):
            raise WeightsError(f"{key} in {_OPEN_CLIP} is true or false: got {value_words(value)}; {_REMEDY}")
    sides: dict[str, dict[str, Any]] = {}
    for side, model in (("vision_cfg", _Vision), ("text_cfg", _Text)):
        needed = {name: known[side][name] for name, each in model.model_fields.items() if each.is_required()}
        sides[side] = {**needed, **described[side]}  # sizes that are left out are open_clip's
    model = _checked(_Architecture, {**described, **sides}, f"the model_cfg of {_OPEN_CLIP}")
    images = _checked(_Preprocessing, content.get("preprocess_cfg") or {}, f"preprocess_cfg of {_OPEN_CLIP}")
    more = {key: described[key] for key in ("quick_gelu", "custom_text") if described.get(key)}
    plain = {side: {**values, "output_tokens": False} for side, values in sides.items()}  # patches beside CLS
    return StoredSettings(
        source=_OPEN_CLIP,
        activation=_ACTIVATIONS["quick_gelu" if model.quick_gelu else "gelu"],
        mean=tuple(images.mean),
        std=tuple(images.std),
        image_size=model.vision_cfg.image_size,
        architecture={"embed_dim": model.embed_dim, **more, **plain},
        resize="bilinear" if images.interpolation == "bilinear" else "bicubic",
        crops=images.resize_mode == "shortest",
    )


class _TransformersSide(StoredRecord):
    """What transformers writes for both towers, with its defaults for entries that are left out."""

    hidden_act: Any = "quick_gelu"
    layer_norm_eps: _Epsilon = _EPSILON
    num_attention_heads: _Size = 8

    @property
    def norm(self) -> dict[str, Any]:
        """open_clip's entry for the epsilon of LayerNorm, where it is unusual."""
        return {} if self.layer_norm_eps == _EPSILON else {"norm_kwargs": {"eps": self.layer_norm_eps}}


class _TransformersVision(_TransformersSide):
    hidden_act: Literal["quick_gelu", "gelu"] = "quick_gelu"
    image_size: _Pixels = (224, 224)
    num_attention_heads: _Size = 12


class _TransformersText(_TransformersSide):
    """``text_config``."""

    model_type: Any = "clip_text_model"

    def refusal(self, activation: str) -> str:
        """Why open_clip cannot run it beside an image tower of that activation."""
        if self.model_type not in ("clip_text_model", "clip"):
            return f"a text side of another kind ({value_words(self.model_type)})"
        if self.hidden_act != activation:
            return f"its activation, {value_words(self.hidden_act)}, is not the image tower's"
        return ""


class _ImageProcessor(StoredRecord):
    """``preprocessor_config.json``; an unknown interpolation counts as bicubic."""

    do_normalize: bool | None = True
    image_mean: _Means | None = None
    image_std: _Spreads | None = None
    resample: Any = 3
    do_center_crop: bool | None = True


def _of_transformers(config: Mapping[str, Any], images: Mapping[str, Any]) -> StoredSettings:
    processor = _checked(_ImageProcessor, dict(images), _IMAGES)
    settings: dict[str, Any] = {
        "source": " and ".join(name for name, there in ((_CONFIG, config), (_IMAGES, images)) if there),
        "resize": "bilinear" if processor.resample == 2 else "bicubic",
        "crops": bool(processor.do_center_crop),
    }
    if processor.do_normalize and processor.image_mean and processor.image_std:
        settings |= {"mean": tuple(processor.image_mean), "std": tuple(processor.image_std)}
    if not config:
        return StoredSettings(**settings)
    # the configuration of an image tower alone is that tower's part itself
    tower, text = config.get("vision_config", dict(config)), config.get("text_config")
    tower, text = (side if isinstance(side, dict) else {} for side in (tower, text))
    vision = _checked(_TransformersVision, tower, f"the image tower in {_CONFIG}")
    text = _checked(_TransformersText, text, f"the text side in {_CONFIG}")
    return StoredSettings(
        **settings,
        activation=_ACTIVATIONS[vision.hidden_act],
        image_size=vision.image_size,
        heads=vision.num_attention_heads,
        text_heads=text.num_attention_heads,
        vision=vision.norm,
        text=text.norm,
        text_refusal=text.refusal(vision.hidden_act) if "text_config" in config else "",
    )


def _checked(model: type[_Model], content: Any, what: str) -> _Model:
    return checked(model, content, what=what, remedy=_REMEDY, error=WeightsError)
