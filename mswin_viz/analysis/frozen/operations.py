"""The name of a torch operation, and the rule it follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mswin_viz.analysis.frozen import activations, arithmetic, assembly, attention, layers, selections

RULES: dict[str, Callable[..., Any]] = {
    **arithmetic.RULES,
    **assembly.RULES,
    **activations.RULES,
    **layers.RULES,
    **attention.RULES,
    **selections.RULES,
}
"""Operations that are not linear, or add something, and how each is made linear."""
NARROW = (torch.float16, torch.bfloat16, torch.float32)
CASTS = {"to", "float", "half", "bfloat16", "type", "type_as"}
LIKE_ANOTHER = {"to", "type_as", "expand_as", "view_as", "reshape_as"}
"""Operations that read no more of a second signal than its shape and type."""
PART_BY_PART = {"broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d", "meshgrid"}
"""Operations of several tensors, each result made of one of them."""
LINEAR = {
    *CASTS, *PART_BY_PART,
    "get", "getitem", "neg", "negative", "positive", "mean", "sum", "nansum", "cumsum", "flatten", "reshape",
    "view", "view_as", "reshape_as", "permute", "transpose", "t", "movedim", "moveaxis", "adjoint", "squeeze",
    "unsqueeze", "expand", "expand_as", "broadcast_to", "repeat", "repeat_interleave",
    "tile", "chunk", "split", "tensor_split", "hsplit", "vsplit", "dsplit", "unbind", "narrow", "select",
    "index_select", "gather", "take", "take_along_dim", "masked_select", "roll", "flip", "fliplr", "flipud",
    "rot90", "unfold", "fold", "contiguous", "clone", "double", "cpu", "cuda", "dropout", "dropout1d",
    "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "interpolate", "upsample", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "diagonal", "diag",
    "diag_embed", "trace", "triu", "tril", "diff", "unflatten", "ravel", "swapdims",
    "real", "imag", "view_as_real", "view_as_complex", "fft", "stft", "istft", "conj", "resolve_conj",
}  # fmt: skip
"""Operations whose own derivative is the map."""
PLAIN = {
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor",
}  # fmt: skip
"""Operations that read only the shape and type of a signal."""
_SAME = {
    "log_sigmoid": "logsigmoid",
    "truediv": "div",
    "divide": "div",
    "true_divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "arctan": "atan",
}
_SAME |= {"concat": "cat", "concatenate": "cat", "swapaxes": "transpose", "absolute": "abs", "clip": "clamp"}
_REVERSED = {"radd", "rsub", "rmul", "rtruediv", "rdiv", "rmatmul", "rpow"}
_IN_PLACE = {"iadd", "isub", "imul", "itruediv", "idiv", "ipow"}


def name_of(func: Callable) -> tuple[str, bool]:
    """One name for an operation's function, method and operator, and whether it works in place."""
    name = getattr(func, "__name__", str(func))
    bare = name.strip("_")
    if not name.startswith("__"):
        bare = "fft" if bare.startswith("fft_") else bare.removeprefix("special_").removeprefix("linalg_")
        return _SAME.get(bare, bare), name.endswith("_")
    is_reversed, in_place = bare in _REVERSED, bare in _IN_PLACE
    bare = bare[1:] if is_reversed or in_place else bare
    bare = _SAME.get(bare, bare)
    return (f"r{bare}" if is_reversed and bare not in ("add", "mul") else bare), in_place


def out_of_place(name: str, func: Callable) -> Callable:
    """The operation that leaves its argument as it is."""
    homes = (torch, torch.nn.functional, torch.Tensor)
    return next((getattr(home, name) for home in homes if hasattr(home, name)), func)


def is_narrowing(func: Callable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a cast would take float64 to fewer digits, which a map in float64 does not follow."""
    if not isinstance(args[0], torch.Tensor) or args[0].dtype != torch.float64:
        return False
    given = [part.dtype if isinstance(part, torch.Tensor) else part for part in (*args[1:], *kwargs.values())]
    is_named = func.__name__ in ("float", "half", "bfloat16")
    return is_named or any(part in NARROW for part in given if isinstance(part, torch.dtype))
