"""The precision that a tower runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Mixed on CUDA unless ``precision`` is ``"float32"``, where convolutions do not round to TF32 either; plain elsewhere."""
    if device.type != "cuda":
        return nullcontext()
    if precision == "float32":
        cudnn = torch.backends.cudnn
        return cudnn.flags(
            enabled=cudnn.enabled,
            benchmark=cudnn.benchmark,
            deterministic=cudnn.deterministic,
            allow_tf32=False,
        )
    return torch.autocast("cuda", _half())


def precision_words(device: torch.device, precision: str) -> str:
    """What :func:`autocast` comes to on this device."""
    if device.type != "cuda" or precision == "float32":
        return "float32"
    return f"mixed precision ({str(_half()).removeprefix('torch.')})"


def _half() -> torch.dtype:
    """The half precision that this GPU computes in."""
    is_native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if is_native else torch.float16
