"""What a head costs beside the encoder: parameters, multiplications, time and memory of a forward pass."""

from __future__ import annotations

import statistics
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.heads import Head, n_parameters

_BATCH, _REPEATS = 16, 5


@dataclass(frozen=True)
class HeadCost:
    """Of one head as it runs here (windows by the pooled path), every patch token given.

    Parameters that training may change; multiply-adds for one image; seconds of the head over seconds of
    `Model.encode`, the same 16 images, medians of 5; peak bytes of results for 16 images, without weights and tokens.
    """

    parameters: int
    macs: int
    time_ratio: float
    memory: int


def encode_seconds(model: Model) -> float:
    """Seconds `Model.encode` takes for a batch of 16 images, median."""
    images = list(np.zeros((_BATCH, *model.image_size, 3), np.uint8))
    return _median(lambda: model.encode(images, tags=ImageTag("RGB"), progress=False), model.device)


def head_cost(head: Head, model: Model, *, encoding: float) -> HeadCost:
    """Measure one head on random tokens of the model's grid; ``encoding`` from `encode_seconds`."""
    rows, cols = model.grid
    generator = torch.Generator().manual_seed(0)
    cls, patches = (
        torch.randn(_BATCH, *shape, generator=generator).to(model.device)
        for shape in ((model.dim,), (rows * cols, model.dim))
    )
    tokens, placed = Tokens(cls, patches, model.grid), head.to(model.device).eval()
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            placed(tokens[0])
        seconds = _median(lambda: placed(tokens), model.device)
        with _Results(placed, tokens) as results:
            placed(tokens)
    return HeadCost(n_parameters(head), counter.get_total_flops() // 2, seconds / encoding, results.peak)


def _median(work: Callable[[], object], device: torch.device) -> float:
    """Seconds, after a warm-up run that is not counted."""
    seconds = []
    for _ in range(_REPEATS + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


class _Results(TorchDispatchMode):
    """Counts the bytes of results that are alive; weights and tokens, and views of them, do not count."""

    def __init__(self, head: Head, tokens: Tokens) -> None:
        super().__init__()
        inputs = (*head.parameters(), *head.buffers(), tokens.cls, tokens.patches)
        self._inputs = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        self._alive: Counter[int] = Counter()
        self._bytes = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        if address in self._inputs or size == 0:
            return
        self._alive[address] += 1
        if self._alive[address] == 1:
            self._bytes += size
            self.peak = max(self.peak, self._bytes)
        weakref.finalize(tensor, self._gone, address, size)

    def _gone(self, address: int, size: int) -> None:
        self._alive[address] -= 1
        if self._alive[address] == 0:
            self._bytes -= size
