"""The free windows of every scale at once, so that a slider moves through them without the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.panels import Panel, free_panel_of, grouped_panel_of, read_tokens
from mswin_viz.analysis.scales.request import Subject, ViewRequest, free_slot, place_of_free, slots_of
from mswin_viz.analysis.scales.view import FusedPart, fused_part, kept_pooled
from mswin_viz.analysis.shares.decomposition import direction_of_each
from mswin_viz.analysis.shares.fusion_scales import ScaleGroup
from mswin_viz.analysis.windows.reducing import reduced
from mswin_viz.analysis.windows.scale_windows import mean_windows, split_by_scale
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["can_be_at_every_scale", "free_panels"]


def can_be_at_every_scale(request: ViewRequest) -> bool:
    """Whether only the free panel moves with the scale, and its windows stand end to end at each."""
    return "free" not in request.slots and request.stride is None and request.tile is None


def free_panels(
    subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None
) -> tuple[Panel, ...]:
    """The free panel at each scale 1..N: those that :func:`mswin_viz.analysis.scales.view.scale_view` has.

    Each kernel answers once for all of its scales. ``fused`` is :func:`fused_part` of this request at any scale. Raises
    OptionError for windows that do not stand end to end at every scale, and where the free ones are in the fusion.
    """
    request.checked(len(subject.scales))
    if not can_be_at_every_scale(request):
        raise OptionError(
            "every scale is answered at once where windows stand end to end and no slot holds them: got "
            f"slots {request.slots}, stride {request.stride}, tile {request.tile}"
        )
    fused = fused or fused_part(subject, request)
    panels = {}
    for group in _groups(subject, request):
        values = _values(subject, request, fused, group)
        for scale, own in zip(group.scales, values, strict=True):
            panels[scale] = _panel(subject, replace(request, free_scale=scale), group.index, own)
    return tuple(panels[scale] for scale in sorted(panels))


def _groups(subject: Subject, request: ViewRequest) -> Iterator[ScaleGroup]:
    """The scales by the slot that each would replace; all of them together without slots."""
    every = range(1, subject.tokens.patches.shape[1] + 1)
    if not subject.is_of_windows:
        yield ScaleGroup(0 if subject.is_of_tokens else -1, tuple(every), "mean")
        return
    at = {scale: place_of_free(replace(request, free_scale=scale), subject.scales).index for scale in every}
    for index in sorted(set(at.values())):
        scales = tuple(scale for scale in every if at[scale] == index)
        yield ScaleGroup(index, scales, "mean" if request.is_mean else "trained")


def _panel(
    subject: Subject, request: ViewRequest, index: int, values: Float[np.ndarray, "batch window"]
) -> Panel:
    if subject.is_of_tokens:
        return grouped_panel_of(subject, request, free_slot(request), values, key="free")
    return free_panel_of(subject, request, index, values)


def _values(
    subject: Subject, request: ViewRequest, fused: FusedPart, group: ScaleGroup
) -> list[Float[np.ndarray, "batch window"]]:
    """The numbers of each scale of a group."""
    n_tokens = subject.tokens.patches.shape[1]
    if request.value == "share":
        return _shares(subject, request, fused, group)
    if subject.is_of_windows:
        direction, seen = fused.directions[group.index], subject.seen.values
    else:
        direction, seen = subject.along, read_tokens(subject, request).values
    tokens = seen.float().cpu().numpy()
    if subject.weights is None:
        windows = mean_windows(tokens, group.scales)
    else:
        windows = subject.weights.windows_of_scales(tokens, group)
    values = reduced(windows, request.value, direction=direction, channel=request.channel)
    return split_by_scale(values, group.scales, n_tokens)


def _shares(
    subject: Subject, request: ViewRequest, fused: FusedPart, group: ScaleGroup
) -> list[Float[np.ndarray, "batch window"]]:
    """Shares of the cosine, with each scale in the slot as if it replaced it; NaN in plain CLIP."""
    n_images, n_tokens = subject.tokens.patches.shape[:2]
    if subject.weights is None:
        return [np.full((n_images, n_tokens // scale), np.nan) for scale in group.scales]
    slots = slots_of(request, subject.scales)
    pooled = kept_pooled(subject, slots, fused.trained)
    states = subject.weights.run_scales(subject.tokens, [group], slots, pooled)
    v = direction_of_each(subject.direction, subject.tokens, subject.weights)
    norms = np.linalg.norm(states.enhanced, axis=2) * np.linalg.norm(v, axis=1)  # [scale, batch]
    factors = np.divide(1, norms, out=np.full_like(norms, np.nan), where=norms > 0)
    shares = states.shares(np.broadcast_to(v, states.enhanced.shape))
    return [own * factor[:, None] for own, factor in zip(shares, factors, strict=True)]
