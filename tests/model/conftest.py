"""Tiny CLIPs with random weights, and the kinds of file they are found in."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": [64, 64], "layers": 2, "width": 64, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    "quick_gelu": True,
}
"""Square, as CLIPs are published; 4x4 patch tokens."""

UPRIGHT = (96, 32)
"""Input height and width of a 6x2 grid."""


def tiny_clip(*, seed: int = 0, image_size: tuple[int, int] = (64, 64), **changes: Any) -> open_clip.CLIP:
    config = copy.deepcopy(CONFIG) | changes
    config["vision_cfg"]["image_size"] = list(image_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**config).eval()
        with torch.no_grad():
            for parameter in clip.parameters():  # biases and norms too, so that a forgotten one shows
                parameter.add_(0.02 * torch.randn_like(parameter))
    return clip


@pytest.fixture(scope="session")
def clip() -> open_clip.CLIP:
    return tiny_clip()


@pytest.fixture(scope="session")
def openai_file(clip: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript archive laid out as OpenAI distributes them."""
    holder = copy.deepcopy(clip)
    for name, value in (("input_resolution", 64), ("context_length", 16), ("vocab_size", 49408)):
        if hasattr(holder, name):
            delattr(holder, name)
        holder.register_buffer(name, torch.tensor(value))
    holder.forward = lambda image: holder.visual(image)
    path = tmp_path_factory.mktemp("openai") / "ViT-tiny.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and the format all the same
        torch.jit.trace(holder, torch.zeros(1, 3, 64, 64)).save(str(path))
    return path


@pytest.fixture(scope="session")
def host_state(clip: open_clip.CLIP) -> dict[str, torch.Tensor]:
    """The tower of a host-model checkpoint of persons: 16x8 positions, no text tower."""
    visual = clip.visual.state_dict()
    state = {f"BACKBONE.base.{key}": value.clone() for key, value in visual.items()}
    generator = torch.Generator().manual_seed(8)
    state["BACKBONE.base.positional_embedding"] = torch.randn(1 + 128, 64, generator=generator)
    return state | {"BACKBONE.classifier.weight": torch.zeros(5, 24), "bottleneck.bias": torch.zeros(24)}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write tensors (or anything) with torch.save."""

    def save(content: Any, name: str = "weights.pth") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def people() -> list[np.ndarray]:
    """Three upright pictures of different sizes, none far from any input's shape."""
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8) for h, w in ((96, 32), (150, 60), (70, 40))]


@pytest.fixture
def lying() -> Image.Image:
    return Image.fromarray(np.random.default_rng(6).integers(0, 256, size=(32, 96, 3), dtype=np.uint8))
