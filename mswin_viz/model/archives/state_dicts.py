"""The one state dict in a file's content: wrappers are opened, prefixes of wrapping modules removed, both reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from mswin_viz.data.shown_text import counted, short_text, shown_text
from mswin_viz.errors import WeightsError

StateDict = dict[str, torch.Tensor]

PLAIN_WEIGHTS = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "student",
)  # fmt: skip
"""Entries under which training code saves a model, in the order in which they are looked for."""
AVERAGED_WEIGHTS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "model_state_dict_ema", "ema_model", "ema", "params_ema",
    "teacher",
)  # fmt: skip
"""Entries that hold a moving average of the weights; read only where no plain weights stand beside them."""

_NOT_WEIGHTS = re.compile(
    r"optim|sched|scaler|\bamp\b|rng|config|\bargs\b|hyper|callback|loop|meta|loss", re.I
)
_WITHIN = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_LEADING = ("module.", "model.")
_ROOTS = ("visual.conv1.weight", "vision_model.embeddings.class_embedding", "BACKBONE.base.conv1.weight")
"""A tensor of each known layout; its key shows which prefix all keys of a model have."""
_DEEPEST = 4
_MOST_REPEATED = 64 * 2**20  # bytes of all expanded views, once copied
_NUMBERS = {
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex128, torch.complex64, torch.complex32,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool,
}  # fmt: skip
"""Number formats that a file's tensors may have. Weights are real floats; the others are counters, masks and ids."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """Tensors of a file or folder, how they were found, and what stands beside them.

    ``settings`` maps the name of a settings file to its content. ``notes`` say which entry was opened and which
    prefixes were removed; ``cautions`` which of several sets of weights was chosen, as the user should know.
    """

    path: Path
    state: StateDict
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def unwrapped(content: Any, file: Path) -> WeightFile:
    """The state dict inside whatever a file holds.

    The plain weights are taken, not their moving average; of several plain entries the first of
    :data:`PLAIN_WEIGHTS`. Prefixes of wrapping modules (``module.``, ``model.``, ``_orig_mod.`` and those of FSDP)
    are removed as often as they occur, and so is whatever else stands before all of a CLIP's keys.
    """
    if not isinstance(content, Mapping):
        raise WeightsError(f"a weight file holds a state dict: {file} holds a {type(content).__name__}")
    if "param_groups" in content:
        raise WeightsError(
            f"a weight file holds a model: {file} holds the state of an optimizer; load the file saved beside it"
        )
    content, entries, cautions = _opened(content, file)
    tensors = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors and any(isinstance(value, np.ndarray) for value in content.values()):
        raise WeightsError(
            f"a weight file holds tensors by key: {file} holds NumPy arrays; save "
            "{key: torch.from_numpy(value) for key, value in state.items()} with torch.save"
        )
    if not tensors:
        held = ", ".join(map(str, list(content)[:6])) or "nothing at all"
        raise WeightsError(f"a weight file holds tensors by key: {file} has none ({held})")
    _refuse_strange(tensors, file)
    state, notes = _without_prefixes(tensors, file)
    where = (f"read from its entry {'.'.join(entries)}",) if entries else ()
    return WeightFile(file, state, notes=(*where, *notes), cautions=cautions)


def _opened(
    content: Mapping[Any, Any], file: Path
) -> tuple[Mapping[Any, Any], tuple[str, ...], tuple[str, ...]]:
    """The innermost state dict of a file, the entries that lead there, and the choices made on the way."""
    entries, cautions = (), ()
    for _ in range(_DEEPEST):
        inner = {
            str(key): value
            for key, value in content.items()
            if isinstance(value, Mapping) and _holds_tensors(value)
        }
        name = _entry(content, inner, file)
        if name is None:
            break
        entries = (*entries, name)
        others = [key for key in (*PLAIN_WEIGHTS, *AVERAGED_WEIGHTS) if key != name and key in inner]
        if others:
            averaged = " (a moving average)" if set(others) & set(AVERAGED_WEIGHTS) else ""
            caution = (
                f"the file holds several sets of weights: {name} is read, not {', '.join(others)}{averaged}; to read "
                "another, save it alone"
            )
            cautions = (*cautions, caution)
        elif name in AVERAGED_WEIGHTS:
            cautions = (*cautions, f"the file's only weights are a moving average, {name}, which is read")
        content = inner[name]
    return content, entries, cautions


def _entry(content: Mapping, inner: Mapping[str, Mapping], file: Path) -> str | None:
    """The entry to open; None where ``content`` itself holds the tensors."""
    for name in (*PLAIN_WEIGHTS, *AVERAGED_WEIGHTS):
        if name in inner:
            return name
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        return None
    unnamed = [name for name in inner if not _NOT_WEIGHTS.search(name)]
    if len(unnamed) > 1:
        raise WeightsError(
            f"one entry of a weight file holds the model ({', '.join(PLAIN_WEIGHTS)}): {file} has tensors in "
            f"{', '.join(unnamed[:6])}, and nothing says which are the model's; save that one alone, "
            "torch.save(model.state_dict(), path)"
        )
    return unnamed[0] if unnamed else None


def _holds_tensors(value: Mapping, depth: int = _DEEPEST) -> bool:
    if any(isinstance(each, torch.Tensor) for each in value.values()):
        return True
    return depth > 1 and any(
        isinstance(each, Mapping) and not _NOT_WEIGHTS.search(str(key)) and _holds_tensors(each, depth - 1)
        for key, each in value.items()
    )


def _refuse_strange(tensors: StateDict, file: Path) -> None:
    """Refuse tensors that cannot be weights, and those that are small in the file and huge once copied."""
    odd = {key: kind for key, value in tensors.items() if (kind := _strange_kind(value))}
    if odd:
        named = ", ".join(f"{short_text(key, 80)} is {kind}" for key, kind in list(odd.items())[:3])
        raise WeightsError(
            f"weights are dense tensors of numbers of 16, 32 or 64 bits: {shown_text(file)} has {counted(len(odd), 'others')} ({named}); "
            "save the model's weights as float16 or float32"
        )
    repeated = {key: value.nbytes for key, value in tensors.items() if _repeats(value)}
    if sum(repeated.values()) > _MOST_REPEATED:
        key, n_bytes = max(repeated.items(), key=lambda item: item[1])
        raise WeightsError(
            f"a tensor must be stored in full: {shown_text(file)} has {short_text(key, 80)} of shape "
            f"{tuple(tensors[key].shape)}, {n_bytes:,} bytes that repeat only {tensors[key].untyped_storage().nbytes():,}; "
            "save the tensor itself, not an expanded view of it"
        )


def _strange_kind(value: torch.Tensor) -> str:
    """Why a tensor cannot hold weights; empty for dense ones of a known number format."""
    if value.is_quantized:
        return "quantised"
    if value.is_meta:
        return "without data (on the meta device)"
    if value.is_nested:
        return "nested"
    if value.layout != torch.strided:
        return f"sparse ({str(value.layout).removeprefix('torch.')})"
    if value.dtype not in _NUMBERS:
        return f"of {str(value.dtype).removeprefix('torch.')}"
    return ""


def _repeats(value: torch.Tensor) -> bool:
    """Whether some elements of a tensor are the same bytes, as in a view of ``expand``."""
    reached = 1 + sum((n - 1) * step for n, step in zip(value.shape, value.stride(), strict=True))
    return value.numel() > max(reached, 1)


def _without_prefixes(tensors: StateDict, file: Path) -> tuple[StateDict, tuple[str, ...]]:
    """Tensors under the keys that the model itself has, and a note on each prefix that was removed."""
    taken: Counter[str] = Counter()
    names = {key: _bare(key, taken) for key in tensors}
    if root := _root(names.values(), file):
        taken[root] += sum(name.startswith(root) for name in names.values())
        names = {key: name.removeprefix(root) for key, name in names.items()}
    keys: dict[str, str] = {}
    for key, name in names.items():
        if name in keys:
            raise WeightsError(
                f"a key comes with or without module. or another prefix, not both: {file} has both of "
                f"{name} ({keys[name]} and {key}); save one model alone"
            )
        keys[name] = key
    notes = tuple(
        f"{prefix} removed from {count} of {counted(len(tensors), 'keys')}" for prefix, count in taken.items()
    )
    return {name: tensors[key] for name, key in keys.items()}, notes


def bare_key(key: str) -> str:
    """The key under which :func:`unwrapped` gives a tensor."""
    return _bare(key, Counter())


def _bare(key: str, taken: Counter[str]) -> str:
    """A key without the names of modules that merely wrap another; `taken` counts each key once for all of them."""
    name, inner = _WITHIN.sub("", key), _WITHIN.search(key)
    while leading := next((prefix for prefix in _LEADING if name.startswith(prefix)), None):
        name = name.removeprefix(leading)
    if name != key:
        taken[inner[0] if inner is not None and not key.endswith(name) else key.removesuffix(name)] += 1
    return name


def _root(names: Collection[str], file: Path) -> str:
    """What stands before all keys of the one model in a file; empty where nothing does, or no known model is there."""
    if any(root in names for root in _ROOTS):
        return ""
    roots = sorted(
        {name.removesuffix(root) for name in names for root in _ROOTS if name.endswith(f".{root}")}
    )
    if len(roots) > 1:
        raise WeightsError(
            f"a weight file holds one model: {file} has several, with keys {', '.join(f'{each}*' for each in roots[:4])}; "
            "save one of them alone, torch.save(model.state_dict(), path)"
        )
    return roots[0] if roots else ""
