"""The free windows of every scale at once, so that a slider moves through them without the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from mswin_viz.analysis.scales.panels import Panel, free_panel, read_tokens, with_held_words
from mswin_viz.analysis.scales.request import Subject, ViewRequest, free_slot, place_of_free, slots_in_view
from mswin_viz.analysis.scales.view import FusedPart, addon_state, fused_part
from mswin_viz.analysis.shares.fusion import FusionState, FusionWeights
from mswin_viz.analysis.shares.fusion_scales import ScaleGroup, scale_outputs, scale_values
from mswin_viz.analysis.shares.part_values import window_values
from mswin_viz.analysis.windows.reducing import reduced
from mswin_viz.analysis.windows.scale_windows import mean_windows, split_by_scale
from mswin_viz.data.progress import Stop
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

__all__ = ["can_be_at_every_scale", "free_panels"]


def can_be_at_every_scale(request: ViewRequest) -> bool:
    """Whether only the free panel moves with the scale, and its windows stand end to end at each."""
    return "free" not in request.slots and request.stride is None and request.tile is None


def free_panels(
    subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None, stop: Stop | None = None
) -> tuple[Panel, ...]:
    """The free panel at each scale 1..N: those that :func:`mswin_viz.analysis.scales.view.scale_view` has.

    Each kernel answers once for all of its scales. Empty once ``stop`` says so.

    Parameters
    ----------
    fused
        :func:`fused_part` of this request at any scale, if at hand.

    Raises
    ------
    OptionError
        For windows that do not stand end to end at every scale, and where the free ones are in the fusion.
    """
    request.checked(len(subject.scales))
    if not can_be_at_every_scale(request):
        raise OptionError(
            "every scale is answered at once where windows stand end to end and no slot holds them: got "
            f"slots {request.slots}, stride {request.stride}, tile {request.tile}"
        )
    fused = fused or fused_part(subject, request)
    panels, left = {}, fused.decomposition.left
    for group in _groups(subject, request):
        direction = fused.directions[group.index] if subject.is_of_windows else subject.along
        values = _values(subject, request, fused, group)
        for scale, own in zip(group.scales, values, strict=True):
            if stop is not None and stop():
                return ()
            at = replace(request, free_scale=scale)
            panel = free_panel(subject, at, group.index, direction, own)
            panels[scale] = with_held_words(panel, left) if subject.is_of_tokens else panel
    return tuple(panels[scale] for scale in sorted(panels))


def _groups(subject: Subject, request: ViewRequest) -> Iterator[ScaleGroup]:
    """The scales by the slot that each would replace; all of them together without slots."""
    every = range(1, subject.tokens.patches.shape[1] + 1)
    if not subject.is_of_windows:
        yield ScaleGroup(0 if subject.is_of_tokens else -1, tuple(every), is_mean=True)
        return
    at = {scale: place_of_free(replace(request, free_scale=scale), subject.scales).index for scale in every}
    for index in sorted(set(at.values())):
        yield ScaleGroup(index, tuple(s for s in every if at[s] == index), request.is_mean)


def _values(
    subject: Subject, request: ViewRequest, fused: FusedPart, group: ScaleGroup
) -> Iterator[Float[np.ndarray, "batch window"] | None]:
    """The numbers of each scale of a group; None where a panel has none."""
    if request.is_of_parts:
        yield from _part_values(subject, request, fused, group)
        return
    n_tokens = subject.tokens.patches.shape[1]
    if subject.is_of_windows:
        tokens, direction = subject.seen.values.float().cpu().numpy(), fused.directions[group.index]
        windows = scale_outputs(cast(FusionWeights, subject.weights), tokens, group)
    else:
        tokens, direction = read_tokens(subject, request).values.float().cpu().numpy(), subject.along
        windows = mean_windows(tokens, group.scales)
    values = reduced(windows, request.value, direction=direction, channel=request.channel)
    yield from split_by_scale(values, group.scales, n_tokens)


def _part_values(
    subject: Subject, request: ViewRequest, fused: FusedPart, group: ScaleGroup
) -> Iterator[Float[np.ndarray, "batch window"] | None]:
    """What the windows do to the cosine: with each scale in the slot as if it replaced it, or as groups of tokens."""
    v = subject.direction_of_each
    if subject.is_of_windows:
        state = cast(FusionState, addon_state(subject, slots_in_view(request, subject), fused.trained))
        values = scale_values(state, subject.tokens, v, request.value, group)
        yield from split_by_scale(values, group.scales, subject.tokens.patches.shape[1])
        return
    for scale in group.scales:
        if subject.is_of_tokens:
            slot = free_slot(replace(request, free_scale=scale))
            yield window_values(addon_state(subject, (slot,), fused.trained), v, request.value, (0,))
        else:
            yield None
