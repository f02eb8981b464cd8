"""Host-model checkpoints and configurations of small towers, with every tensor random, key by key as published."""

from __future__ import annotations

from pathlib import Path

import torch

BASE, WINDOWS, MIXTURE = (
    "BACKBONE.base.",
    "BACKBONE.clip_multi_scale_extractor.",
    "BACKBONE.clip_multi_scale_moe.",
)
WIDTH, DEPTH, DIM, N_CAMERAS = 128, 3, 24, 4
BOTTLENECKS = ("adapter_r", "adapter_n", "adapter_t", "adapter_transfer")
SHIPPED = """
MODEL:
  PRETRAIN_PATH_T: '/data/ViT-B-16.pt'
  TRANSFORMER_TYPE: 'ViT-B-16'
  STRIDE_SIZE: {stride}
  SIE_CAMERA: {sie}
  SIE_COE: {coe}
  DIRECT: 1
  ID_LOSS_WEIGHT: 0.25
  TRIPLET_LOSS_WEIGHT: 1.0
  PROMPT: {prompt}
  ADAPTER: {adapter}
  MAMBA: True
  FROZEN: True
{more}
INPUT:
  SIZE_TRAIN: {size}
  SIZE_TEST: {size}
  PROB: 0.5
  RE_PROB: 0.5
  PADDING: 10
DATALOADER:
  SAMPLER: 'softmax_triplet'
  NUM_INSTANCE: 8
DATASETS:
  NAMES: ('RGBNT201')
  ROOT_DIR: '/data'
SOLVER:
  MAX_EPOCHS: 60
  BASE_LR: 0.00035
TEST:
  IMS_PER_BATCH: 128
  NECK_FEAT: '{neck}'
OUTPUT_DIR: '../runs'
"""
DEMO = """
MODEL:
  TRANSFORMER_TYPE: 'ViT-B-16'
  STRIDE_SIZE: [ 16, 16 ]
  SIE_CAMERA: {sie}
  DIRECT: 1
  SIE_COE: {coe}
  ID_LOSS_WEIGHT: 0.25
  TRIPLET_LOSS_WEIGHT: 1.0
{more}
INPUT:
  SIZE_TRAIN: {size}
  SIZE_TEST: {size}
  PROB: 0.5 # random horizontal flip
  RE_PROB: 0.5 # random erasing
  PADDING: 10
DATASETS:
  NAMES: ('{dataset}')
  ROOT_DIR: '..'
SOLVER:
  BASE_LR: 0.00035
TEST:
  IMS_PER_BATCH: 128
  RE_RANKING: 'no'
  WEIGHT: ''
  NECK_FEAT: 'before'
  FEAT_NORM: 'yes'
  MISS: "nothing"
OUTPUT_DIR: '..'
"""
DEMO_ON = "  GLOBAL_LOCAL: True\n  HDM: True\n  ATM: True\n  HEAD: 4\n"
MDREID_ON = "  GLOBAL_LOCAL: False\n  ADD_SHARE: True\n  ADD_ELOSS: True\n  ADD_CLOSS: True\n"
MIXTURE_ON = "  USE_CLIP_MULTI_SCALE: True\n  USE_MULTI_SCALE_MOE: True\n  MOE_TEMPERATURE: 0.7\n"
WINDOWS_ON = "  USE_CLIP_MULTI_SCALE: True\n"


def yml(folder: Path, **changes: object) -> Path:
    """A configuration as the published ones are written."""
    given = {
        "stride": [16, 16],
        "sie": True,
        "coe": 1.0,
        "prompt": True,
        "adapter": True,
        "size": [256, 128],
        "neck": "before",
        "more": "",
    }
    path = folder / "MambaPro.yml"
    path.write_text(SHIPPED.format(**(given | changes)))
    return path


def demo_yml(folder: Path, more: str = DEMO_ON, **changes: object) -> Path:
    """A configuration of DeMo or MDReID as the published ones are written."""
    given = {"sie": True, "coe": 1.0, "size": [256, 128], "dataset": "RGBNT201", "more": more}
    path = folder / "run.yml"
    path.write_text(DEMO.format(**(given | changes)))
    return path


class Draw:
    """Random tensors by key."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: dict[str, torch.Tensor] = {}

    def __call__(self, key: str, *shape: int, std: float = 0.05, around: float = 0.0) -> None:
        self.state[key] = around + std * torch.randn(*shape, generator=self.generator)

    def linear(self, key: str, to: int, width: int) -> None:
        self(f"{key}.weight", to, width, std=width**-0.5)
        self(f"{key}.bias", to, std=0.2)

    def norm(self, key: str, width: int) -> None:
        self(f"{key}.weight", width, std=0.2, around=1.0)
        self(f"{key}.bias", width, std=0.2)


def tower_state(
    *, width: int = WIDTH, depth: int = DEPTH, dim: int = DIM, n_tokens: int = 128, seed: int = 1
) -> dict[str, torch.Tensor]:
    """Everything under ``BACKBONE.base.``, and the camera table and neck beside it."""
    draw = Draw(seed)
    draw(f"{BASE}class_embedding", width, std=0.5)
    draw(f"{BASE}proj", width, dim, std=width**-0.5)
    draw(f"{BASE}positional_embedding", 1 + n_tokens, width, std=0.5)
    draw(f"{BASE}conv1.weight", width, 3, 16, 16, std=0.03)
    draw.norm(f"{BASE}ln_pre", width)
    draw.norm(f"{BASE}ln_post", width)
    for i in range(depth):
        block_state(draw, f"{BASE}transformer.resblocks.{i}.", width)
    draw("BACKBONE.cv_embed", N_CAMERAS, width, std=0.7)
    draw.norm("BACKBONE.bottleneck", dim)
    draw("BACKBONE.bottleneck.running_mean", dim, std=0.3)
    draw.state["BACKBONE.bottleneck.running_var"] = 0.5 + torch.rand(dim, generator=draw.generator)
    draw.state["BACKBONE.bottleneck.num_batches_tracked"] = torch.tensor(900)
    return draw.state


def block_state(draw: Draw, prefix: str, width: int) -> None:
    draw(f"{prefix}attn.in_proj_weight", 3 * width, width, std=1.5 * width**-0.5)
    draw(f"{prefix}attn.in_proj_bias", 3 * width, std=0.2)
    draw.linear(f"{prefix}attn.out_proj", width, width)
    draw.norm(f"{prefix}ln_1", width)
    draw.norm(f"{prefix}ln_2", width)
    draw.linear(f"{prefix}mlp.c_fc", 4 * width, width)
    draw.linear(f"{prefix}mlp.c_proj", width, 4 * width)
    draw.linear(f"{prefix}adapter_ffn.0", 2 * width, width)
    draw.linear(f"{prefix}adapter_ffn.2", width, 2 * width)
    for name in ("rgb", "nir", "tir"):
        draw(f"{prefix}adapter_prompt_{name}", 4, width, std=1.0)
    for name in BOTTLENECKS:
        draw.linear(f"{prefix}{name}.0", width // 2, width)
        draw.linear(f"{prefix}{name}.3", width, width // 2)


def demo_state(
    *,
    width: int = WIDTH,
    depth: int = DEPTH,
    dim: int = DIM,
    n_tokens: int = 128,
    n_cameras: int = N_CAMERAS,
    adapter: bool = False,
) -> dict[str, torch.Tensor]:
    """A whole checkpoint of DeMo: parts that are off have no keys, the camera table has three axes."""
    draw = Draw(11)
    draw.state = {
        key: value
        for key, value in tower_state(width=width, depth=depth, dim=dim, n_tokens=n_tokens).items()
        if ".adapter_" not in key and not key.startswith("BACKBONE.bottleneck.")
    }
    draw("BACKBONE.cv_embed", n_cameras, 1, width, std=0.7)
    for i in range(depth if adapter else 0):
        block = f"{BASE}transformer.resblocks.{i}.adapter_ffn."
        draw.linear(f"{block}0", width // 2, width)
        draw.linear(f"{block}2", width, width // 2)
    for name in ("rgb", "nir", "tir"):
        draw.norm(f"{name}_reduce.0", 2 * dim)
        draw.linear(f"{name}_reduce.1", dim, 2 * dim)
    draw("generalFusion.r_token", 1, 1, dim)
    draw("generalFusion.rnt.in_proj_weight", 3 * dim, dim)
    draw.linear("generalFusion.moe.experts.0.expertHead.0.mlp.0", dim // 4, dim // 4)
    draw("generalFusion.moe.gating_network.gate.q_.weight", dim, dim)
    draw("classifier_moe.weight", 7, 7 * dim)
    draw.norm("bottleneck_moe", 7 * dim)
    draw("classifier.weight", 7, 3 * dim)
    draw.norm("bottleneck", 3 * dim)
    return draw.state


def mdreid_state(
    *, width: int = WIDTH, depth: int = DEPTH, dim: int = DIM, n_tokens: int = 128
) -> dict[str, torch.Tensor]:
    """A whole checkpoint of MDReID: a second token, a position more, a classifier for each modality."""
    draw = Draw(12)
    draw.state = {
        key: value
        for key, value in demo_state(width=width, depth=depth, dim=dim, n_tokens=n_tokens + 1).items()
        if key.startswith("BACKBONE.")
    }
    draw(f"{BASE}add_image_token", width, std=0.5)
    for name, times in {"r": 1, "n": 1, "t": 1, "s": 3, "rs": 2, "ns": 2, "ts": 2}.items():
        draw(f"classifier_{name}.weight", 7, times * dim)
        draw.norm(f"bottleneck_{name}", times * dim)
    return draw.state


def other_heads(dim: int = DIM) -> dict[str, torch.Tensor]:
    """What a whole checkpoint holds besides: classifiers, necks, and the Mamba head."""
    draw = Draw(5)
    draw("BACKBONE.classifier.weight", 7, dim)
    draw("classifier.weight", 7, 3 * dim)
    draw("classifier_fuse.weight", 7, 3 * dim)
    for name in ("bottleneck", "bottleneck_fuse"):
        draw.norm(name, 3 * dim)
        draw(f"{name}.running_mean", 3 * dim)
    draw("AAM.mamba.layers.0.mixer.A_log", 8, 4)
    draw("AAM.mamba.layers.0.mixer.D", 8)
    return draw.state


def window_state(
    dim: int = DIM, scales: tuple[int, ...] = (4, 8, 16), *, last: int = 3, seed: int = 3
) -> dict[str, torch.Tensor]:
    """The scheme-1 add-on of a whole checkpoint."""
    return _windows(f"{WINDOWS}multi_scale_window.", dim, scales, last, seed)


def _windows(prefix: str, dim: int, scales: tuple[int, ...], last: int, seed: int) -> dict[str, torch.Tensor]:
    draw = Draw(seed)
    for i, scale in enumerate(scales):
        draw(f"{prefix}sliding_windows.{i}.weight", dim, dim, scale, std=(dim * scale) ** -0.5)
        draw(f"{prefix}sliding_windows.{i}.bias", dim, std=0.2)
    draw.linear(f"{prefix}fusion.0", dim, dim * len(scales))
    draw.linear(f"{prefix}fusion.{last}", dim, dim)
    return draw.state


def mixture_state(
    dim: int = DIM,
    scales: tuple[int, ...] = (4, 8, 16),
    *,
    hidden: int = 40,
    layers: tuple[int, int] = (2, 2),
    prefix: str = MIXTURE,
    seed: int = 4,
) -> dict[str, torch.Tensor]:
    """The mixture of experts; ``layers`` of an expert and of the gate."""
    n_scales, (of_expert, of_gate) = len(scales), layers
    state = _windows(f"{prefix}multi_scale_extractor.", dim, scales, 3, seed)
    draw = Draw(seed + 1)
    widths = [dim, *[hidden] * (of_expert - 1), dim]
    for i in range(n_scales):
        for j in range(of_expert):
            at = f"{prefix}moe_fusion.experts.{i}.expert."
            draw.linear(f"{at}{4 * j}", widths[j + 1], widths[j])
            draw.norm(f"{at}{4 * j + 1}", widths[j + 1])
    widths = [dim * n_scales, *[dim * n_scales // 2] * (of_gate - 1)]
    at = f"{prefix}moe_fusion.gating_network.gate."
    for j in range(of_gate - 1):
        draw.linear(f"{at}{4 * j}", widths[j + 1], widths[j])
        draw.norm(f"{at}{4 * j + 1}", widths[j + 1])
    draw.linear(f"{at}{4 * (of_gate - 1)}", n_scales, widths[-1])
    draw.linear(f"{prefix}moe_fusion.final_fusion.0", dim, dim)
    draw.norm(f"{prefix}moe_fusion.final_fusion.1", dim)
    return state | draw.state
