"""The multi-scale sliding windows at CLIP's width (scheme 1); scheme 2 is :mod:`mswin_viz.model.addon.projected_windows`.

A window of scale ``s`` is a run of ``s`` consecutive row-major patch tokens. Each scale has one
convolution with ``kernel_size = stride = s``; its outputs are averaged over the windows, the averages
are concatenated and fused by a two-layer MLP, and the result is added to the CLS token by the caller.

The mean over windows of a strided convolution is linear in the tokens, so it equals the kernel applied
once to the ``s`` phase means (the mean of every ``s``-th token). The modules use that identity: the same
number, up to rounding, from ``n_windows`` times fewer products; ``forward_literal`` is the reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.errors import OptionError, ScaleError, ShapeError
from mswin_viz.model.addon.parts import TwoLayers, WindowParts

if TYPE_CHECKING:
    from jaxtyping import Float

_MOST_WEIGHTS, _MOST_SCALES = 2**30, 256  # 4 GiB in float32
Initialisation = Literal["random", "mean"]


class CLIPMultiScaleSlidingWindow(nn.Module):
    """Windows of several scales over a token sequence, pooled and fused into one vector (scheme 1).

    Parameters
    ----------
    feat_dim
        Width ``D`` of the tokens.
    scales
        Window lengths in tokens, one convolution each, in the order the fusion expects.
    init
        ``"random"``: torch's default initialisation, which is *not* neutral: an untrained module moves
        the CLS token. ``"mean"``: every kernel is the plain window mean and the last Linear is zero, so
        that the module's output is exactly zero.

    Raises
    ------
    ScaleError
        If a scale is not a whole number of at least 1, or the scales together need too many weights.
    OptionError
        If there is no such ``init``.

    Examples
    --------
    >>> windows = mv.CLIPMultiScaleSlidingWindow(feat_dim=512, scales=(4, 8), init="mean")
    >>> [tuple(pooled.shape) for pooled in windows.pooled(tokens.patches)]  # one vector an image and scale
    [(4, 512), (4, 512)]
    >>> float(windows(tokens.patches).detach().abs().max())  # "mean" changes nothing until it is trained
    0.0
    """

    def __init__(
        self, feat_dim: int = 512, scales: Sequence[int] = (4, 8, 16), *, init: Initialisation = "random"
    ) -> None:
        super().__init__()
        self.feat_dim = feat_dim
        self.scales = checked_scales(scales, feat_dim)
        self.sliding_windows = nn.ModuleList(
            nn.Conv1d(feat_dim, feat_dim, kernel_size=s, stride=s, padding=0) for s in self.scales
        )
        self.fusion = nn.Sequential(
            nn.Linear(feat_dim * len(self.scales), feat_dim), nn.ReLU(), nn.Linear(feat_dim, feat_dim)
        )
        _initialise(self, init)

    def forward(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The vector to add to the CLS token, by the fast pooled path."""
        return self.fusion(torch.cat(self.pooled(patches), dim=1))

    def forward_literal(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch dim"]:
        """The same vector by the convolution and mean as the design writes them; slower, for reference."""
        check_patches(patches, self.feat_dim)
        sequence = patches.transpose(1, 2)  # [B, D, N]
        pooled = [
            (conv(sequence) if sequence.shape[2] >= s else sequence).mean(dim=2)  # [B, D]
            for s, conv in zip(self.scales, self.convolutions, strict=True)
        ]
        return self.fusion(torch.cat(pooled, dim=1))

    def pooled(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> list[Float[torch.Tensor, "batch dim"]]:
        """Each scale's mean over windows, before the fusion; the plain token mean where ``N < s``."""
        check_patches(patches, self.feat_dim)
        patches = periodic_means(patches, math.lcm(*self.scales))  # one pass over the tokens for all scales
        return [
            _pooled_windows(patches, conv) if patches.shape[1] >= s else patches.mean(dim=1)
            for s, conv in zip(self.scales, self.convolutions, strict=True)
        ]

    @property
    def convolutions(self) -> tuple[nn.Conv1d, ...]:
        """The convolution of each scale."""
        return tuple(conv for conv in self.sliding_windows if isinstance(conv, nn.Conv1d))

    @property
    def windows(self) -> CLIPMultiScaleSlidingWindow:
        """The sliding windows themselves, as every add-on has them."""
        return self

    def window_parts(self) -> WindowParts:
        """Its layers, by what they do."""
        return WindowParts(self, TwoLayers(self.fusion[0], self.fusion[2]))


class CLIPMultiScaleFeatureExtractor(nn.Module):
    """:class:`CLIPMultiScaleSlidingWindow` as the host model holds it, as member ``multi_scale_window``.

    Parameters
    ----------
    feat_dim, scales, init
        As in :class:`CLIPMultiScaleSlidingWindow`, and so are the errors.

    Examples
    --------
    >>> addon = mv.CLIPMultiScaleFeatureExtractor(feat_dim=512, scales=(4, 8, 16), init="mean")
    >>> tuple(addon(tokens.patches).shape), list(addon.state_dict())[0]
    ((4, 512), 'multi_scale_window.sliding_windows.0.weight')
    """

    def __init__(
        self, feat_dim: int = 512, scales: Sequence[int] = (4, 8, 16), *, init: Initialisation = "random"
    ) -> None:
        super().__init__()
        self.multi_scale_window = CLIPMultiScaleSlidingWindow(feat_dim, scales, init=init)

    def forward(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The vector to add to the CLS token."""
        return self.multi_scale_window(patches)

    @property
    def windows(self) -> CLIPMultiScaleSlidingWindow:
        """The sliding windows inside."""
        return self.multi_scale_window

    @property
    def scales(self) -> tuple[int, ...]:
        """Window lengths in tokens, in fusion order."""
        return self.multi_scale_window.scales

    @property
    def feat_dim(self) -> int:
        """Width of the tokens the module reads."""
        return self.multi_scale_window.feat_dim

    def window_parts(self) -> WindowParts:
        """The layers of the windows inside, by what they do."""
        return self.multi_scale_window.window_parts()


def periodic_means(
    tokens: Float[torch.Tensor, "batch token wide"], period: int
) -> Float[torch.Tensor, "batch phase wide"]:
    """The mean of every ``period``-th token, all that pooled windows of its divisors see; where it divides their number."""
    batch, n_tokens, wide = tokens.shape
    return tokens if n_tokens % period else tokens.reshape(batch, -1, period, wide).mean(dim=1)


def _pooled_windows(
    patches: Float[torch.Tensor, "batch token dim"], conv: nn.Conv1d
) -> Float[torch.Tensor, "batch dim"]:
    """Mean over windows of ``conv``, as its kernel (not copied) applied to the phase means."""
    (scale,) = conv.kernel_size
    batch, n_tokens, dim = patches.shape
    n_windows = n_tokens // scale
    phases = patches[:, : n_windows * scale].reshape(batch, n_windows, scale, dim).mean(dim=1)  # [B, s, D]
    return nn.functional.linear(phases.transpose(1, 2).flatten(1), conv.weight.flatten(1), conv.bias)


def _initialise(module: CLIPMultiScaleSlidingWindow, init: str) -> None:
    if init == "random":
        return
    if init != "mean":
        raise OptionError(f'init must be "random" or "mean": got {init!r}')
    with torch.no_grad():
        for scale, conv in zip(module.scales, module.convolutions, strict=True):
            conv.weight.copy_(torch.eye(module.feat_dim)[:, :, None].expand_as(conv.weight) / scale)
        biases = [conv.bias for conv in module.convolutions if conv.bias is not None]
        for parameter in (*biases, *module.fusion[2].parameters()):
            parameter.zero_()


def checked_scales(scales: Sequence[int], dim: int) -> tuple[int, ...]:
    """Scales as whole numbers; ScaleError if one is below 1, or all need over 256 kernels or, at ``dim`` channels, 4 GiB."""
    try:
        checked = tuple(int(s) for s in scales)
    except (TypeError, ValueError, OverflowError):
        checked = ()
    if not checked or any(s < 1 for s in checked) or list(checked) != list(scales):
        given = list(scales) if isinstance(scales, Iterable) else scales
        raise ScaleError(
            f"scales must be a list of one or more whole numbers of at least 1: got {short_text(given, 200)}"
        )
    n_weights = dim * dim * (sum(checked) + len(checked) + 1)
    if n_weights > _MOST_WEIGHTS or len(checked) > _MOST_SCALES:
        raise ScaleError(
            f"an add-on has at most {_MOST_SCALES} scales and {_MOST_WEIGHTS:,} weights: got {counted(len(checked), 'scales')}, "
            f"{short_text(list(checked), 60)}, which need {counted(n_weights, 'weights')} at {dim} channels; give fewer or shorter scales"
        )
    return checked


def check_patches(patches: torch.Tensor, dim: int) -> None:
    """Refuse anything but patch tokens of that width."""
    if patches.ndim != 3 or patches.shape[2] != dim or patches.shape[1] == 0:
        raise ShapeError(
            f"the sliding windows need patch tokens [B, N >= 1, {dim}] (batch token dim): got {tuple(patches.shape)}; "
            "pass the patches without the CLS token"
        )
