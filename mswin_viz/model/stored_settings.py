"""What the JSON files beside weights say: architecture, activation, input size and normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import open_clip

from mswin_viz.data.stored_records import value_words
from mswin_viz.errors import WeightsError
from mswin_viz.model.open_clip_settings import checked_architecture, checked_preprocessing

__all__ = ["StoredSettings", "stored_settings"]

_ACTIVATIONS = {"quick_gelu": "QuickGELU", "gelu": "GELU"}
_RESAMPLING = {2: "bilinear", 3: "bicubic"}
_CLIP_TYPES = (
    "clip", "clip_vision_model", "clipseg", "chinese_clip", "chinese_clip_vision_model", "altclip", "metaclip_2",
    "metaclip_2_vision_model",
)  # fmt: skip
"""Models whose image tower is CLIP's own."""
_VISION, _TEXT = {"heads": 12, "image_size": 224}, {"heads": 8}
"""What transformers assumes where a configuration leaves it out."""
_EPSILON = 1e-5
_LARGEST, _SMALLEST_SPREAD = 2**16, 1e-6


@dataclass(frozen=True)
class StoredSettings:
    """Settings found beside a file; None or empty where nothing is said.

    Attributes
    ----------
    source
        Names of the files they are from.
    activation
        ``"QuickGELU"`` or ``"GELU"``.
    mean, std
        Pixel normalisation.
    image_size
        Input height and width the positions were made for.
    architecture
        open_clip's whole architecture.
    heads, text_heads
        Attention heads of either side.
    vision, text
        More entries of open_clip's ``vision_cfg`` and ``text_cfg`` that shapes do not tell.
    text_refusal
        Why the text side cannot be run as open_clip runs it.
    resize, crops
        Interpolation of the square input, and whether its centre is cropped.
    """

    source: str = ""
    activation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    image_size: tuple[int, int] | None = None
    architecture: Mapping[str, Any] | None = None
    heads: int | None = None
    text_heads: int | None = None
    vision: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)
    text_refusal: str = ""
    resize: str = "bicubic"
    crops: bool = True


def stored_settings(files: Mapping[str, Mapping[str, Any]], *, is_hugging_face: bool) -> StoredSettings:
    """Settings of the files beside weights that have either layout.

    Raises
    ------
    WeightsError
        If a value is not of its kind, or an activation is neither GELU nor QuickGELU.
    """
    if not is_hugging_face:
        return (
            _of_open_clip(files["open_clip_config.json"])
            if "open_clip_config.json" in files
            else StoredSettings()
        )
    config = files.get("config.json", {})
    image = files.get("preprocessor_config.json") or files.get("processor_config.json", {}).get(
        "image_processor", {}
    )
    is_clip = config.get("model_type") in _CLIP_TYPES
    return _of_transformers(config if is_clip else {}, image if isinstance(image, Mapping) else {})


def _of_open_clip(content: Mapping[str, Any]) -> StoredSettings:
    name = "open_clip_config.json"
    architecture, images = content.get("model_cfg", content), content.get("preprocess_cfg") or {}
    if not isinstance(architecture, dict) or not all(
        isinstance(architecture.get(side), dict) for side in ("vision_cfg", "text_cfg")
    ):
        raise WeightsError(
            f"{name} has a model_cfg with vision_cfg and text_cfg: got none; copy the folder again"
        )
    is_quick = _truth(architecture.get("quick_gelu"), f"quick_gelu in {name}")
    sides = checked_architecture(architecture)
    size = _size(sides["vision_cfg"].get("image_size", 224), f"image_size in {name}")
    known = {"embed_dim": _count(architecture.get("embed_dim"), f"embed_dim in {name}")}
    known |= {key: architecture[key] for key in ("quick_gelu", "custom_text") if architecture.get(key)}
    known |= sides
    resize, crops = checked_preprocessing(images)
    return StoredSettings(
        name,
        _ACTIVATIONS["quick_gelu" if is_quick else "gelu"],
        _numbers(images.get("mean", open_clip.OPENAI_DATASET_MEAN), f"mean in {name}"),
        _numbers(images.get("std", open_clip.OPENAI_DATASET_STD), f"std in {name}"),
        size,
        known,
        resize=resize,
        crops=crops,
    )


def _of_transformers(config: Mapping[str, Any], image: Mapping[str, Any]) -> StoredSettings:
    vision, text = (_side(config, name) for name in ("vision_config", "text_config"))
    names = [name for name, found in (("config.json", config), ("preprocessor_config.json", image)) if found]
    stored = {"source": " and ".join(names)}
    if config:
        where = "of the image tower in config.json"
        activation = vision.get("hidden_act", "quick_gelu")
        if not isinstance(activation, str) or activation not in _ACTIVATIONS:
            raise WeightsError(
                f"a CLIP's activation is {' or '.join(_ACTIVATIONS)}: got hidden_act {value_words(activation)} {where}, which "
                "open_clip does not have"
            )
        stored |= {
            "activation": _ACTIVATIONS[activation],
            "image_size": _size(vision.get("image_size", _VISION["image_size"]), f"image_size {where}"),
            "heads": _count(
                vision.get("num_attention_heads", _VISION["heads"]), f"num_attention_heads {where}"
            ),
            "text_heads": _count(
                text.get("num_attention_heads", _TEXT["heads"]), "num_attention_heads of the text"
            ),
            "vision": _norm(vision),
            "text": _norm(text),
            "text_refusal": _text_refusal(activation, text) if "text_config" in config else "",
        }
    normalises = _truth(image.get("do_normalize", True), "do_normalize in preprocessor_config.json")
    if normalises and "image_mean" in image and "image_std" in image:
        stored |= {name: _numbers(image[f"image_{name}"], f"image_{name}") for name in ("mean", "std")}
    resample, crops = image.get("resample", 3), image.get("do_center_crop", True)
    resize = _RESAMPLING.get(resample, "bicubic") if _is_number(resample) else "bicubic"
    crops = _truth(crops, "do_center_crop in preprocessor_config.json")
    return StoredSettings(**stored, resize=resize, crops=crops)


def _side(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A tower's part; the configuration of an image tower alone is that part itself."""
    found = config.get(name, config if name == "vision_config" else {})
    return found if isinstance(found, Mapping) else {}


def _norm(side: Mapping[str, Any]) -> dict[str, Any]:
    epsilon = side.get("layer_norm_eps", _EPSILON)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise WeightsError(
            f"layer_norm_eps in config.json is a small number above 0: got {value_words(epsilon)}"
        )
    return {} if epsilon == _EPSILON else {"norm_kwargs": {"eps": epsilon}}


def _text_refusal(activation: str, text: Mapping[str, Any]) -> str:
    kind, own = text.get("model_type", "clip_text_model"), text.get("hidden_act", "quick_gelu")
    if kind not in ("clip_text_model", "clip"):
        return f"a text side of another kind ({value_words(kind)})"
    return "" if own == activation else f"its activation, {value_words(own)}, is not the image tower's"


def _numbers(value: Any, name: str) -> tuple[float, ...]:
    least = _SMALLEST_SPREAD if "std" in name else -_LARGEST
    is_three = isinstance(value, (list, tuple)) and len(value) == 3
    if not is_three or not all(_is_number(n) and least < n < _LARGEST for n in value):
        above = " above 0" if least > 0 else ""
        raise WeightsError(f"{name} is three numbers{above}: got {value_words(value)}")
    return tuple(map(float, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _truth(value: Any, name: str) -> bool:
    """Null counts as false, as it does for both libraries."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise WeightsError(f"{name} is true or false: got {value_words(value)}")
    return value


def _size(value: Any, name: str) -> tuple[int, int]:
    if isinstance(value, Mapping):
        value = [value.get("height"), value.get("width")]
    sides = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, value)
    return _count(sides[0], name), _count(sides[1], name)


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST:
        raise WeightsError(
            f"{name} is a whole number above 0 and below {_LARGEST:,}: got {value_words(value)}"
        )
    return value
