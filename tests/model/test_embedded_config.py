"""An embedded model whose configuration or weights were changed is refused in one line, or is the model it says."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mswin_viz.errors import MswinVizError, WeightsError
from mswin_viz.model.weights.embedded_config import load_embedded, save_embedded

from .conftest import CONFIG, tiny_clip

WRONG = [
    None,
    "abc",
    True,
    [],
    [[]],
    {},
    {"a": 1},
    -1,
    0,
    2.5,
    1e9,
    10**12,
    10**400,
    [1, 2, 3, 4],
    float("nan"),
    float("inf"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    save_embedded(
        tiny_clip(), copy.deepcopy(CONFIG) | {"mean": [0.5] * 3, "std": [0.5] * 3}, [0, 5, 49407], folder
    )
    return folder


def places(value: Any, path: tuple = ()) -> list[tuple]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key in keys for place in places(value[key], (*path, key))]


def changed(value: Any, path: tuple, new: Any) -> Any:
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return found


def is_refused(folder: Path) -> bool:
    try:
        load_embedded(folder)
    except MswinVizError as problem:
        said = str(problem)
        assert str(folder) in said
        assert "\n" not in said
        assert "reinstall the package" in said
        assert len(said) < 700
        return True
    return False


def with_config(folder: Path, tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "config.json").write_bytes(content)
    if not (tmp_path / "clip.safetensors").exists():
        (tmp_path / "clip.safetensors").symlink_to(folder / "clip.safetensors")
    return tmp_path


def test_a_wrong_value_anywhere_in_the_configuration_is_refused(folder, tmp_path) -> None:
    good = json.loads((folder / "config.json").read_text())
    assert not is_refused(folder)
    for path in places(good):
        for wrong in WRONG:
            if (path == ("quick_gelu",) and wrong is True) or (
                path[0] in ("mean", "std") and wrong in (2.5, -1, 0, True)
            ):
                continue
            content = json.dumps(changed(good, path, wrong)).encode()
            assert is_refused(with_config(folder, tmp_path, content)), (path, str(wrong)[:20])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\0" * 9, b"\xff\xfe", b"[" * 10**5, b"NaN", b" " * (9 * 2**20)]
)
def test_a_configuration_of_another_kind_is_refused(folder, tmp_path, content) -> None:
    assert is_refused(with_config(folder, tmp_path, content))


@pytest.mark.parametrize("field", ["embed_dim", "vision_cfg", "text_cfg", "patch_size"])
def test_a_missing_field_is_named(folder, tmp_path, field) -> None:
    good = json.loads((folder / "config.json").read_text())
    (good["vision_cfg"] if field == "patch_size" else good).pop(field)
    with pytest.raises(WeightsError, match=f"{field}: field required"):
        load_embedded(with_config(folder, tmp_path, json.dumps(good).encode()))


@pytest.mark.parametrize(
    ("path", "value"),
    [(("embed_dim",), 25), (("vision_cfg", "layers"), 3), (("vision_cfg", "layers"), 1), (("vision_cfg", "width"), 128),
     (("vision_cfg", "patch_size"), 8), (("vision_cfg", "image_size"), [64, 32]), (("text_cfg", "layers"), 2),
     (("text_cfg", "width"), 32), (("text_cfg", "context_length"), 77), (("text_cfg", "vocab_size"), 100)],
)  # fmt: skip
def test_an_architecture_that_the_weights_are_not_of_is_refused(folder, tmp_path, path, value) -> None:
    good = json.loads((folder / "config.json").read_text())
    with pytest.raises(WeightsError, match="the embedded weights must fit their configuration"):
        load_embedded(with_config(folder, tmp_path, json.dumps(changed(good, path, value)).encode()))


@pytest.mark.parametrize(
    "key", ["token_embedding.rows", "visual.proj", "ln_final.weight", "visual.conv1.weight"]
)
@pytest.mark.parametrize("change", ["gone", "short", "other"])
def test_weights_that_do_not_fit_are_refused(folder, tmp_path, key, change) -> None:
    state = load_file(folder / "clip.safetensors")
    if change == "gone":
        del state[key]
    else:
        state[key] = state[key][:-1].contiguous() if change == "short" else torch.zeros(2, 2, 2)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    save_file(state, tmp_path / "clip.safetensors")
    with pytest.raises(WeightsError, match=r"must fit their configuration.*"):
        load_embedded(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 99, random.Random(1).randbytes(500), b"\xff" * 8 + b"{"])
def test_damaged_weights_are_refused(folder, tmp_path, content) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "clip.safetensors").write_bytes(content)
    assert is_refused(tmp_path)
