"""Scheme 2: patch tokens projected to another width, the sliding windows there, and the way back to CLIP's width.

The windows are those of scheme 1 (:mod:`mswin_viz.model.addon.sliding_window`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from mswin_viz.model.addon.parts import TwoLayers, WindowParts
from mswin_viz.model.addon.sliding_window import (
    CLIPMultiScaleSlidingWindow,
    Initialisation,
    check_patches,
    periodic_means,
)

if TYPE_CHECKING:
    from jaxtyping import Float


class FeatureProjectionAdapter(nn.Module):
    """Scheme 2's first step: every patch token from ``input_dim`` to ``output_dim``.

    Parameters
    ----------
    input_dim, output_dim
        Width of the tokens before and after: Linear, LayerNorm, ReLU and Linear, token by token.

    Examples
    --------
    >>> tuple(mv.FeatureProjectionAdapter(512, 96)(tokens.patches).shape)
    (4, 128, 96)
    """

    def __init__(self, input_dim: int = 512, output_dim: int = 768) -> None:
        super().__init__()
        self.projection = nn.Sequential(
            nn.Linear(input_dim, output_dim), nn.LayerNorm(output_dim), nn.ReLU(), nn.Linear(output_dim, output_dim)
        )  # fmt: skip

    def forward(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch token wide"]:
        """Projected tokens; each token on its own."""
        return self.projection(patches)


class MultiScaleFeatureExtractor(nn.Module):
    """Scheme 2's windows: scheme 1's form at width 768, under the same member name.

    Parameters
    ----------
    feat_dim, scales, init
        As in :class:`CLIPMultiScaleSlidingWindow`, and so are the errors.

    Examples
    --------
    >>> inside = mv.CLIPWithProjectionMultiScale(512, 96, scales=(4, 8)).multi_scale_extractor
    >>> type(inside).__name__, tuple(inside(torch.zeros(2, 128, 96)).shape)
    ('MultiScaleFeatureExtractor', (2, 96))
    """

    def __init__(
        self, feat_dim: int = 768, scales: Sequence[int] = (4, 8, 16), *, init: Initialisation = "random"
    ) -> None:
        super().__init__()
        self.multi_scale_window = CLIPMultiScaleSlidingWindow(feat_dim, scales, init=init)

    def forward(self, tokens: Float[torch.Tensor, "batch token wide"]) -> Float[torch.Tensor, "batch wide"]:
        """The fused vector, before the projection back."""
        return self.multi_scale_window(tokens)

    @property
    def windows(self) -> CLIPMultiScaleSlidingWindow:
        """The sliding windows inside."""
        return self.multi_scale_window


class CLIPWithProjectionMultiScale(nn.Module):
    """Scheme 2: project the patch tokens up, run the windows there, project the result back.

    Parameters
    ----------
    clip_dim, multi_scale_dim
        Width of the CLIP tokens and of the windows.
    scales
        Window lengths in tokens.
    init
        As in :class:`CLIPMultiScaleSlidingWindow`; ``"mean"`` also zeroes the closing LayerNorm, so
        that the output is exactly zero.

    Raises
    ------
    ScaleError, OptionError
        As in :class:`CLIPMultiScaleSlidingWindow`.

    Examples
    --------
    >>> addon = mv.CLIPWithProjectionMultiScale(clip_dim=512, multi_scale_dim=96, scales=(4, 8))
    >>> tuple(addon.projection(tokens.patches).shape), tuple(addon(tokens.patches).shape)
    ((4, 128, 96), (4, 512))
    """

    def __init__(
        self,
        clip_dim: int = 512,
        multi_scale_dim: int = 768,
        scales: Sequence[int] = (4, 8, 16),
        *,
        init: Initialisation = "random",
    ) -> None:
        super().__init__()
        self.feat_dim = clip_dim
        self.projection = FeatureProjectionAdapter(clip_dim, multi_scale_dim)
        self.multi_scale_extractor = MultiScaleFeatureExtractor(multi_scale_dim, scales, init=init)
        self.back_projection = nn.Sequential(nn.Linear(multi_scale_dim, clip_dim), nn.LayerNorm(clip_dim))
        if init == "mean":
            for parameter in self.back_projection[1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, patches: Float[torch.Tensor, "batch token dim"]) -> Float[torch.Tensor, "batch dim"]:
        """The vector to add to the CLS token."""
        check_patches(patches, self.feat_dim)
        first, norm, relu, last = self.projection.projection
        hidden = periodic_means(relu(norm(first(patches))), math.lcm(*self.scales))  # ``last`` is linear
        return self.back_projection(self.multi_scale_extractor(last(hidden)))

    def forward_literal(
        self, patches: Float[torch.Tensor, "batch token dim"]
    ) -> Float[torch.Tensor, "batch dim"]:
        """The same vector with every token projected and convolved as the design writes it; for reference."""
        check_patches(patches, self.feat_dim)
        return self.back_projection(self.windows.forward_literal(self.projection(patches)))

    @property
    def windows(self) -> CLIPMultiScaleSlidingWindow:
        """The sliding windows inside, which see the projected tokens."""
        return self.multi_scale_extractor.multi_scale_window

    @property
    def scales(self) -> tuple[int, ...]:
        """Window lengths in tokens, in fusion order."""
        return self.windows.scales

    def window_parts(self) -> WindowParts:
        """Its layers, by what they do."""
        first, norm, _, last = self.projection.projection
        fusion = self.windows.fusion
        back = (self.back_projection[0], self.back_projection[1])
        return WindowParts(self.windows, TwoLayers(fusion[0], fusion[2], back), (first, norm, last))
