"""The free windows of every scale at once, so that a slider moves through them without the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

import numpy as np
from jaxtyping import Float

from mswin_viz.analysis.scales.panels import Panel, free_panel, read_tokens, with_held_words
from mswin_viz.analysis.scales.request import Subject, ViewRequest, free_slot, nearest_slot, slots_in_view
from mswin_viz.analysis.scales.view import FusedPart, addon_state, fused_part
from mswin_viz.analysis.shares.fusion import FusionState, FusionWeights
from mswin_viz.analysis.shares.fusion_scales import EveryWindow, ScaleGroup, scale_values
from mswin_viz.analysis.shares.part_values import window_values
from mswin_viz.analysis.windows.reducing import reduced
from mswin_viz.analysis.windows.scale_windows import mean_windows, split_by_scale
from mswin_viz.data.progress import Stop
from mswin_viz.errors import OptionError


def can_be_at_every_scale(request: ViewRequest) -> bool:
    """Whether only the free panel moves with the scale, and its windows stand end to end at each."""
    return "free" not in request.slots and request.stride is None and request.tile is None


def free_panels(
    subject: Subject,
    request: ViewRequest,
    *,
    fused: FusedPart | None = None,
    windows: EveryWindow | None = None,
    stop: Stop | None = None,
) -> tuple[Panel, ...]:
    """The free panel at each scale 1..N: those that :func:`mswin_viz.analysis.scales.view.scale_view` has.

    Each kernel answers once for all of its scales. Empty once ``stop`` says so.

    Parameters
    ----------
    fused
        :func:`fused_part` of this request at any scale, if at hand.
    windows
        :func:`every_window` of the subject, from before if it still holds: it is most of the cost.

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
    panels: dict[int, Panel] = {}
    for group, values in _values(subject, request, fused, windows or every_window(subject)):
        direction = fused.directions[group.index] if subject.is_of_windows else subject.along
        for scale, own in zip(group.scales, values, strict=True):
            if stop is not None and stop():
                return ()
            panel = free_panel(subject, replace(request, free_scale=scale), group.index, direction, own)
            panels[scale] = (
                with_held_words(panel, fused.decomposition.left) if subject.is_of_tokens else panel
            )
    return tuple(panels[scale] for scale in sorted(panels))


def every_window(subject: Subject) -> EveryWindow | None:
    """What :func:`free_panels` can keep for another value or target of the same tokens; None without windows."""
    return (
        EveryWindow(cast(FusionWeights, subject.weights), subject.tokens) if subject.is_of_windows else None
    )


_Values = Iterable[Float[np.ndarray, "batch window"] | None]


def _values(
    subject: Subject, request: ViewRequest, fused: FusedPart, windows: EveryWindow | None
) -> Iterator[tuple[ScaleGroup, _Values]]:
    """The scales by the slot that each would replace, all together without slots; the numbers of each, None without any."""
    n_tokens, v = subject.tokens.patches.shape[1], subject.direction_of_each
    every = tuple(range(1, n_tokens + 1))
    if windows is None:
        group = ScaleGroup(0 if subject.is_of_tokens else -1, every, is_mean=True)
        yield group, _token_values(subject, request, fused, every)
        return
    state = None
    if request.is_of_parts:
        state = cast(FusionState, addon_state(subject, slots_in_view(request, subject), fused.trained))
    slot_of = [nearest_slot(subject.scales, scale) for scale in every]
    for index in sorted(set(slot_of)):
        scales = tuple(scale for scale, own in zip(every, slot_of, strict=True) if own == index)
        group = ScaleGroup(index, scales, request.is_mean)
        if state is not None:
            values = scale_values(state, windows, v, request.value, group)
        else:
            values = reduced(
                windows.outputs(group),
                request.value,
                direction=fused.directions[index],
                channel=request.channel,
            )
        yield group, split_by_scale(values, scales, n_tokens)


def _token_values(
    subject: Subject, request: ViewRequest, fused: FusedPart, scales: tuple[int, ...]
) -> _Values:
    """Of windows that have no kernel: plain means, or what groups of the module's tokens do to the cosine."""
    if not request.is_of_parts:
        tokens = read_tokens(subject, request).values.float().cpu().numpy()
        means = mean_windows(tokens, scales)
        values = reduced(means, request.value, direction=subject.along, channel=request.channel)
        yield from split_by_scale(values, scales, tokens.shape[1])
        return
    for scale in scales:
        slot = free_slot(replace(request, free_scale=scale))
        yield (
            window_values(
                addon_state(subject, (slot,), fused.trained), subject.direction_of_each, request.value, (0,)
            )
            if subject.is_of_tokens
            else None
        )
