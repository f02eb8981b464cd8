"""What can be trained on frozen tokens: the add-on, and controls of its size that see no windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import nn

from mswin_viz.errors import OptionError
from mswin_viz.model.addon.own import AddonSource, prepared_addon
from mswin_viz.model.addon.projected_windows import CLIPWithProjectionMultiScale
from mswin_viz.model.addon.sliding_window import (
    CLIPMultiScaleFeatureExtractor,
    Initialisation,
    checked_scales,
)
from mswin_viz.model.tokens.enhanced import addon_vector, with_vector
from mswin_viz.model.tokens.tokens import Tokens
from mswin_viz.model.training.token_store import TokenView

if TYPE_CHECKING:
    from jaxtyping import Float

Reads = Literal["patches", "cls", "mean patch"]


class Head(nn.Module):
    """A module together with what it reads; its output is added to the CLS token, or put behind it, as an add-on's is.

    ``body`` gives ``[B, D]`` from ``"patches"`` ``[B, N, D]``, ``"cls"`` ``[B, D]`` or ``"mean patch"`` ``[B, D]``. One
    that reads patches is an add-on, see `mswin_viz.model.addon.parts.AddonModule`.
    """

    def __init__(self, body: nn.Module, reads: Reads) -> None:
        super().__init__()
        if reads not in get_args(Reads):
            raise OptionError(f"a head reads one of {', '.join(get_args(Reads))}: got {reads!r}; choose one")
        self.body = body
        self.reads = reads

    def forward(self, tokens: Tokens) -> Float[torch.Tensor, "batch wide"]:
        """The vector to add to the CLS token, or to put behind it."""
        if self.reads == "patches":
            return addon_vector(self.body, tokens.patches, tokens.cls)
        return self.body(tokens.cls if self.reads == "cls" else tokens.patches.mean(dim=1))

    def features(self, tokens: Tokens) -> Float[torch.Tensor, "batch wide"]:
        """The enhanced CLS."""
        return with_vector(self.body, tokens, self(tokens)).cls

    @property
    def n_behind(self) -> int:
        """How many numbers stand behind the CLS token."""
        return getattr(self.body, "n_behind", 0)


def window_head(dim: int, scales: Sequence[int], *, seed: int = 0, init: Initialisation = "random") -> Head:
    """A scheme-1 add-on with the initial weights of that seed, or, with ``init="mean"``, the window mean."""
    return Head(new_addon(dim, scales, seed=seed, init=init), "patches")


def new_addon(
    dim: int, scales: Sequence[int], *, seed: int = 0, init: Initialisation = "random"
) -> CLIPMultiScaleFeatureExtractor:
    """The add-on of `window_head`."""
    with seeded(seed):
        return CLIPMultiScaleFeatureExtractor(dim, scales, init=init)


def scheme_2_head(dim: int, scales: Sequence[int], *, seed: int = 0) -> Head:
    """A scheme-2 add-on, half as wide again inside as outside (768 for 512); it needs every patch token."""
    with seeded(seed):
        return Head(scheme_2(dim, scales), "patches")


def scheme_2(dim: int, scales: Sequence[int]) -> CLIPWithProjectionMultiScale:
    """The add-on of `scheme_2_head`."""
    return CLIPWithProjectionMultiScale(dim, dim * 3 // 2, scales)


def addon_head(source: AddonSource, dim: int, n_tokens: int, *, seed: int = 0) -> Head:
    """Any add-on, as a copy that fits the tokens; weights that a class, function or import draws follow from the seed."""
    return Head(prepared_addon(source, dim, n_tokens, seed=seed), "patches")


def cls_control(dim: int, size: int, *, seed: int = 0) -> Head:
    """An MLP of about ``size`` parameters that reads the CLS token: it sees no patch at all."""
    with seeded(seed):
        return Head(matched_mlp(dim, size), "cls")


def mean_patch_control(dim: int, size: int, *, seed: int = 0) -> Head:
    """An MLP of about ``size`` parameters that reads the mean patch token: patches without their order."""
    with seeded(seed):
        return Head(matched_mlp(dim, size), "mean patch")


def matched_mlp(dim: int, size: int) -> nn.Sequential:
    """``Linear -> ReLU -> Linear`` from ``dim`` to ``dim``, as near to ``size`` parameters as its width allows."""
    hidden = round((size - dim) / (2 * dim + 1))  # 2 D H weights, H + D biases
    if hidden < 1:
        raise OptionError(
            f"an MLP from {dim} to {dim} has at least {3 * dim + 1} parameters: got size={size}; give a larger size"
        )
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))


def n_parameters(module: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters())


def phase_means(tokens: Tokens, scales: Sequence[int]) -> Tokens:
    """Fewer patch tokens that give windows of these scales, and the mean patch, the same result.

    Windows are pooled by their mean, so a scale ``s`` sees only the mean of every ``s``-th token. Means of
    every ``L``-th token, ``L`` the least common multiple of the scales, hold all of these: for scales 4, 8 and 16,
    128 tokens become 16. They have no place on the picture: their grid is ``(1, L)``. Where ``L`` does not divide their
    number, the tokens stay as they are.
    """
    grid = phase_grid(tokens.grid, scales)
    if grid == tokens.grid:
        return tokens
    batch, _, dim = tokens.patches.shape
    patches = tokens.patches.reshape(batch, -1, math.prod(grid), dim).mean(dim=1)
    return replace(tokens, patches=patches, grid=grid)


def phase_grid(grid: tuple[int, int], scales: Sequence[int]) -> tuple[int, int]:
    """The grid that :func:`phase_means` gives tokens of a grid."""
    period = math.lcm(*checked_scales(scales, 1))
    return grid if math.prod(grid) % period else (1, period)


def enhanced_features(
    head: Head, tokens: Tokens | TokenView, *, batch_size: int = 512
) -> Float[np.ndarray, "image wide"]:
    """The CLS with the head's output added or behind it, a batch at a time, so that tokens on disk are never in memory all at once."""
    weights, parts = next(head.parameters(), None), []
    device = tokens.cls.device if weights is None else weights.device
    with torch.no_grad():
        for start in range(0, len(tokens), batch_size):
            part = tokens[start : start + batch_size].to(device)
            parts.append(head.features(part).cpu().numpy())
    return np.concatenate(parts)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights drawn inside follow from ``seed``; the generator outside is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
