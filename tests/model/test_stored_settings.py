"""Values of the JSON beside weights are of their kind, or are refused by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mswin_viz.errors import WeightsError
from mswin_viz.model.weights.stored_settings import stored_settings

OPEN_CLIP = {
    "model_cfg": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": {"image_size": [64, 32], "layers": 2}, "text_cfg": {"heads": 1}},
    "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear"},
}  # fmt: skip
VISION = {"hidden_act": "gelu", "image_size": 64, "num_attention_heads": 2, "layer_norm_eps": 1e-6}
CONFIG = {
    "model_type": "clip",
    "vision_config": VISION,
    "text_config": {"num_attention_heads": 1, "hidden_act": "gelu"},
}
IMAGE = {
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
    "do_normalize": True,
    "resample": 2,
    "do_center_crop": True,
}
WRONG: tuple[Any, ...] = ("abc", -1, 0, 2.5, True, [], [[]], {"a": 1}, 10**400, 10**5000, [1, 2, "3"], [0.5, 0.5, True],
                          float("nan"), [0.5, 0.5, float("inf")], [0.5, 0.5, 10**400])  # fmt: skip


def changed(value: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return found


@pytest.mark.parametrize(
    "path",
    [("model_cfg", "embed_dim"), ("model_cfg", "quick_gelu"), ("model_cfg", "vision_cfg", "image_size"),
     ("preprocess_cfg", "mean"), ("preprocess_cfg", "std")],
)  # fmt: skip
def test_a_value_of_another_kind_in_open_clips_file_is_refused(path) -> None:
    for wrong in (value for value in WRONG if not (path[-1] == "quick_gelu" and value is True)):
        with pytest.raises(WeightsError, match=path[-1]) as caught:
            stored_settings({"open_clip_config.json": changed(OPEN_CLIP, path, wrong)}, is_hugging_face=False)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "path",
    [("vision_config", "hidden_act"), ("vision_config", "image_size"), ("vision_config", "num_attention_heads"),
     ("vision_config", "layer_norm_eps"), ("text_config", "num_attention_heads")],
)  # fmt: skip
def test_a_value_of_another_kind_in_a_configuration_of_transformers_is_refused(path) -> None:
    for wrong in WRONG:
        with pytest.raises(WeightsError) as caught:
            stored_settings({"config.json": changed(CONFIG, path, wrong)}, is_hugging_face=True)
        assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", ["image_mean", "image_std", "do_normalize", "do_center_crop"])
def test_a_value_of_another_kind_in_a_preprocessor_is_refused(name) -> None:
    for wrong in (value for value in WRONG if not (name.startswith("do") and value is True)):
        with pytest.raises(WeightsError, match=name):
            stored_settings(
                {"config.json": CONFIG, "preprocessor_config.json": IMAGE | {name: wrong}},
                is_hugging_face=True,
            )


def test_right_values_are_taken_and_an_odd_interpolation_is_the_usual_one() -> None:
    found = stored_settings(
        {"config.json": CONFIG, "preprocessor_config.json": IMAGE | {"resample": [2]}}, is_hugging_face=True
    )
    assert (found.mean, found.std, found.resize, found.crops) == (
        (0.1, 0.2, 0.3),
        (0.4, 0.5, 0.6),
        "bicubic",
        True,
    )
    assert (found.activation, found.image_size, found.heads) == ("GELU", (64, 64), 2)
    assert (
        stored_settings({"open_clip_config.json": OPEN_CLIP}, is_hugging_face=False).activation == "QuickGELU"
    )
