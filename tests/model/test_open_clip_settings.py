"""What ``open_clip_config.json`` claims is checked, and held to the tensors, before a model of that size is built."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.refusals import said_by

import mswin_viz as mv
from mswin_viz.errors import OptionError, WeightsError

from .conftest import tiny_clip

MODEL: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": [64, 32], "layers": 2, "width": 64, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
IMAGES: dict[str, Any] = {"mean": [0.5] * 3, "std": [0.25] * 3}
IMAGE = np.random.default_rng(1).integers(0, 256, (64, 32, 3), dtype=np.uint8)
HUGE = (10**4, 10**9, 10**400)
WRONG = (-1, 0, 1.5, "3", None, True, {}, [[]])


@pytest.fixture(scope="module")
def states() -> dict[str, dict[str, torch.Tensor]]:
    clip = tiny_clip(image_size=(64, 32))
    whole = {key: value for key, value in clip.state_dict().items() if key != "attn_mask"}
    return {
        "whole": whole,
        "image": {key: value for key, value in whole.items() if key.startswith("visual.")},
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory, states) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in states}
    for name, folder in made.items():
        save_file(states[name], folder / "open_clip_model.safetensors")
    return made


def described(folder: Path, path: tuple[str, ...] = (), value: Any = None) -> Path:
    """The folder with one value of its description changed."""
    content = {"model_cfg": copy.deepcopy(MODEL), "preprocess_cfg": dict(IMAGES)}
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if path:
        inner[path[-1]] = value
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    return folder


VISION = {
    "layers": (*WRONG[:6], *HUGE, 1, 3, 100),
    "width": (*WRONG, *HUGE, 65, 128),
    "patch_size": (*WRONG, *HUGE, 8),
    "head_width": (*WRONG, *HUGE, 65),
    "mlp_ratio": (-1, 0, "a", None, 10**9, 1e308, 3.0),
    "ls_init_value": ("a", -1, 0, 1e308),
    "patch_dropout": (1, 5, "a", -0.5, None),
    "no_ln_pre": (3, "yes", None),
    "pos_embed_type": ("x", 3, "sin_cos_2d"),
    "norm_kwargs": (3, {"a": 1}, {"eps": "x"}, {"eps": -1}, {"eps": 0}, {"eps": 2.0}),
    "act_kwargs": (3, {"a": 1}, {"approximate": 3}),
    "block_type": (3, "x"),
    "qk_norm": (3, True),
    "pool_type": (3, None),
    "timm_model_name": (3,),
}
TEXT = {
    "layers": (*WRONG, *HUGE),
    "width": (*WRONG, *HUGE[1:]),
    "heads": (*WRONG, *HUGE, 7),
    "context_length": (*WRONG, *HUGE[1:]),
    "vocab_size": (*WRONG, *HUGE[1:]),
    "mlp_ratio": (0, "a", 10**9),
    "proj_type": ("x", 3),
    "hf_model_name": (3,),
}
CLAIMS = [("vision_cfg", *item) for item in VISION.items()] + [("text_cfg", *item) for item in TEXT.items()]


@pytest.mark.parametrize(
    ("side", "name", "values"), CLAIMS, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_wrong_or_huge_value_of_the_architecture_is_refused(folders, side, name, values):
    for value in values:
        folder = described(folders["image"], ("model_cfg", side, name), value)
        said_by(lambda folder=folder: mv.load_model(folder, device="cpu"))


@pytest.mark.parametrize("name", ["output_tokens", "attn_pooler_queries", "patch_dropout"])
def test_a_value_that_changes_no_feature_changes_none(folders, name):
    plain = mv.load_model(described(folders["image"]), device="cpu").encode([IMAGE]).cls
    value = {"output_tokens": True, "attn_pooler_queries": 10**9, "patch_dropout": 0.5}[name]
    folder = described(folders["image"], ("model_cfg", "vision_cfg", name), value)
    assert torch.equal(mv.load_model(folder, device="cpu").encode([IMAGE]).cls, plain)


@pytest.mark.parametrize("name", ["image_size", "layers", "width", "patch_size", "head_width"])
def test_sizes_that_are_left_out_are_open_clips_own(folders, name):
    content = copy.deepcopy(MODEL)
    del content["vision_cfg"][name]
    folder = described(folders["image"], ("model_cfg",), content)
    if name in ("layers", "width"):  # 12 and 768
        assert "weights must fit the architecture" in said_by(lambda: mv.load_model(folder, device="cpu"))
    else:
        assert mv.load_model(folder, device="cpu").encode([IMAGE]).cls.isfinite().all()


def test_a_text_side_of_any_size_without_weights_takes_no_memory(folders):
    side = {"context_length": 2**14, "vocab_size": 2**20, "width": 2**14, "heads": 64, "layers": 100}
    model = mv.load_model(described(folders["image"], ("model_cfg", "text_cfg"), side), device="cpu")
    assert not model.tower.has_text
    assert sum(value.nbytes for value in model.tower.clip.state_dict().values()) < 2**20
    assert "transformer.resblocks.99.ln_1.weight" in model.load_report.missing


@pytest.mark.parametrize(
    ("name", "value"), [("width", 128), ("context_length", 32), ("vocab_size", 49409), ("layers", 40)]
)
def test_a_text_side_of_another_size_is_left_out_by_what_does_not_fit(folders, name, value):
    folder = described(folders["whole"], ("model_cfg", "text_cfg", name), value)
    with pytest.warns(UserWarning, match="no prompts: its text side is left out"):
        model = mv.load_model(folder, device="cpu")
    assert not model.tower.has_text
    assert model.encode([IMAGE]).cls.isfinite().all()


def test_a_whole_description_is_the_model_it_describes(folders, states):
    model = mv.load_model(described(folders["whole"]), device="cpu")
    assert model.tower.has_text
    found = model.tower.clip.state_dict()
    assert all(torch.equal(found[key], value) for key, value in states["whole"].items())


@pytest.mark.parametrize(
    ("name", "value"),
    [("std", [1e-300] * 3), ("std", [0.0] * 3), ("mean", [1e308] * 3), ("interpolation", 3), ("interpolation", "lanczos3"),
     ("resize_mode", 4), ("resize_mode", "x")],
)  # fmt: skip
def test_a_wrong_value_of_the_preprocessing_is_refused(folders, name, value):
    folder = described(folders["image"], ("preprocess_cfg", name), value)
    assert name in said_by(lambda: mv.load_model(folder, device="cpu"))


@pytest.mark.parametrize(
    ("word", "resize"), [("bilinear", "bilinear"), ("random", "bicubic"), ("bicubic", "bicubic")]
)
def test_the_interpolation_is_open_clips(folders, word, resize):
    folder = described(folders["image"], ("preprocess_cfg", "interpolation"), word)
    content = json.loads((folder / "open_clip_config.json").read_text())
    content["model_cfg"]["vision_cfg"]["image_size"] = [64, 32]
    assert mv.load_model(folder, device="cpu", image_size=64).tower.native_resize == resize


@pytest.mark.parametrize("arch", ["ViT-bigG-14", "ViT-H-14"])
def test_an_architecture_named_for_small_weights_is_refused_before_it_is_built(tmp_path, states, arch):
    torch.save(states["whole"], tmp_path / "clip.pth")
    said = said_by(lambda: mv.load_model(tmp_path / "clip.pth", arch=arch, device="cpu"))
    assert "visual.conv1.weight is (64, 3, 16, 16)" in said


@pytest.mark.parametrize("size", [10**6, (2**16, 2**16), 2**31, 4112])
def test_an_input_of_more_patches_than_any_is_refused(tmp_path, states, size):
    torch.save(states["whole"], tmp_path / "clip.pth")
    said = said_by(
        lambda: mv.load_model(tmp_path / "clip.pth", image_size=size, device="cpu"), error=OptionError
    )
    assert "an input has at most 65,536 patches" in said


def test_what_open_clip_cannot_build_is_refused_in_our_words(folders, states, tmp_path):
    save_file(
        {**states["image"], "visual.positional_embedding": torch.zeros(9, 64)},
        tmp_path / "open_clip_model.safetensors",
    )
    folder = described(tmp_path, ("model_cfg", "vision_cfg", "pos_embed_type"), "sin_cos_2d")
    with pytest.raises(WeightsError, match="open_clip must be able to build the architecture"):
        mv.load_model(folder, device="cpu")
