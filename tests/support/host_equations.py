"""The host's image tower written out, float64, one image, one token and one head at a time."""

from __future__ import annotations

import math

import numpy as np

from support.host_files import BASE

SLOTS = {"RGB": "rgb", "NI": "nir", "TI": "tir"}
BOTTLENECK_OF = {"rgb": "adapter_r", "nir": "adapter_n", "tir": "adapter_t"}


def linear(state: dict, key: str, x: np.ndarray) -> np.ndarray:
    return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]


def quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def layer_norm(state: dict, key: str, x: np.ndarray) -> np.ndarray:
    rows = []
    for row in x:
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        rows.append((row - mean) / math.sqrt(variance + 1e-5))
    return np.array(rows) * state[f"{key}.weight"] + state[f"{key}.bias"]


def attention(state: dict, key: str, z: np.ndarray) -> np.ndarray:
    width = z.shape[1]
    mixed = np.zeros_like(z)
    projected = z @ state[f"{key}.in_proj_weight"].T + state[f"{key}.in_proj_bias"]
    for head in range(width // 64):
        q, k, v = (
            projected[:, part * width + 64 * head : part * width + 64 * (head + 1)] for part in range(3)
        )
        for i in range(len(z)):
            scores = np.array([q[i] @ k[j] for j in range(len(z))]) / 8
            weights = np.exp(scores - scores.max())
            mixed[i, 64 * head : 64 * (head + 1)] = weights @ v / weights.sum()
    return linear(state, f"{key}.out_proj", mixed)


def bottleneck(state: dict, key: str, x: np.ndarray) -> np.ndarray:
    return linear(state, f"{key}.3", quick_gelu(linear(state, f"{key}.0", x)))


def prompts(state: dict, block: str, own: str, carry: np.ndarray | None) -> np.ndarray:
    slots = []
    for name in ("rgb", "nir", "tir"):
        table = state[f"{block}.adapter_prompt_{name}"]
        if name != own:
            slots.append(table + bottleneck(state, f"{block}.{BOTTLENECK_OF[name]}", table))
        elif carry is None:
            slots.append(table)
        else:
            slots.append(carry + bottleneck(state, f"{block}.adapter_transfer", carry) + table)
    return np.concatenate(slots)


def tower(
    files: dict,
    pixels: np.ndarray,
    *,
    camera: int | None = None,
    coe: float = 1.0,
    modality: str | None = None,
    adapter: bool = False,
    stride: tuple[int, int] = (16, 16),
) -> np.ndarray:
    """Every token's projected feature ``[1 + N, D]`` of one image ``[3, H, W]``.

    With a second token in the file ``[2 + N, D]``: the class token, the second one, the patches.
    """
    state = {key.removeprefix(BASE): value.double().numpy() for key, value in files.items()}
    kernel = state["conv1.weight"].reshape(len(state["conv1.weight"]), -1)
    x = [state["class_embedding"]]
    if "add_image_token" in state:
        x.append(state["add_image_token"].ravel())
    for top in range(0, pixels.shape[1] - 15, stride[0]):
        for left in range(0, pixels.shape[2] - 15, stride[1]):
            x.append(kernel @ pixels[:, top : top + 16, left : left + 16].ravel())
    x = np.array(x)
    if camera is not None:
        x[0] = x[0] + coe * state["BACKBONE.cv_embed"][camera].ravel()
    x, carry = layer_norm(state, "ln_pre", x + state["positional_embedding"]), None
    n_blocks = len(
        [key for key in state if key.startswith("transformer.") and key.endswith("in_proj_weight")]
    )
    for i in range(n_blocks):
        block = f"transformer.resblocks.{i}"
        n = len(x)
        z = x if modality is None else np.concatenate([x, prompts(state, block, SLOTS[modality], carry)])
        u = z + attention(state, f"{block}.attn", layer_norm(state, f"{block}.ln_1", z))
        hidden = quick_gelu(linear(state, f"{block}.mlp.c_fc", layer_norm(state, f"{block}.ln_2", u)))
        v = u + linear(state, f"{block}.mlp.c_proj", hidden)
        if adapter:
            v = v + linear(
                state, f"{block}.adapter_ffn.2", quick_gelu(linear(state, f"{block}.adapter_ffn.0", u))
            )
        x = v[:n]
        if modality is not None:
            carry = (v[n : n + 4] + v[n + 4 : n + 8] + v[n + 8 : n + 12]) / 3
    return layer_norm(state, "ln_post", x) @ state["proj"]


def head(files: dict, modality: str, cls: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """The feature ``[D]`` that the head of a modality makes of the CLS feature and the patches ``[N, D]``."""
    state = {key: value.double().numpy() for key, value in files.items()}
    mean = np.zeros(len(cls))
    for patch in patches:
        mean += patch / len(patches)
    joined = np.concatenate([cls, mean])
    key = f"{SLOTS[modality]}_reduce"
    return quick_gelu(linear(state, f"{key}.1", layer_norm(state, f"{key}.0", joined[None])))[0]
