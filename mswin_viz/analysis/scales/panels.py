"""One panel of a view: a number for each window of one scale, or for each patch token, of every image shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.request import Subject, ViewRequest, free_slot
from mswin_viz.analysis.shares.slots import Slot
from mswin_viz.analysis.windows.activations import (
    SeenTokens,
    WindowActivations,
    nearest_trained_scale,
    reduce_activations,
    token_means,
    window_activations,
)
from mswin_viz.analysis.windows.geometry import WindowGeometry, describe_windows, fallback_geometry, windows

if TYPE_CHECKING:
    from jaxtyping import Float

_KERNELS = {
    "trained": "trained kernel",
    "mean": "plain window mean, untrained",
    "fallback": "fewer tokens than the scale: plain mean of all tokens",
}
_TOKENS = {
    "patches": "patch tokens",
    "projected": "projected tokens, as the windows see them",
    "activations": "the module's activations of its tokens",
}
_OF_PARTS = {
    "removal": "what the cosine changes by when the window's term is removed, norm and gates computed again",
    "push": "share minus cosine times share of the norm; all parts together push by 0",
    "share": "a part of the cosine at the present norm, which the window itself makes longer",
}
_OF_TOKENS = {
    "removal": "what the cosine changes by when its tokens are zero and the module runs again",
    "push": "each window's net push on the cosine is the sum of its tokens'",
    "share": "each window's share of the cosine is the sum of its tokens'",
}
_BEYOND = "not in the trained model, whose windows are runs laid end to end"


@dataclass(frozen=True, eq=False)
class Panel:
    """One heatmap for each image.

    Attributes
    ----------
    key
        ``"scale-4"``, ``"4x4-tiles"``, ..., ``"free"``, ``"fused"``, ``"plain"``, ``"cls"``.
    title
        A few words.
    origin
        Where the kernel comes from: ``"trained"``, ``"resampled from 16"``, ``"mean"``, ``"fallback"``; empty for
        panels of tokens.
    geometry
        Which tokens each number is about.
    values
        ``[B, n_windows]``; NaN where there is none (a slot that is off has no share).
    unit
        One of ``VALUES``: panels of one unit compare.
    words
        The windows, the kernel and any caveat, in words.
    absent
        Rows of ``values`` of a model that has no such panel; none where the panel is one model's.
    """

    key: str
    title: str
    origin: str
    geometry: WindowGeometry
    values: Float[np.ndarray, "batch window"]
    unit: str
    words: str
    absent: tuple[int, ...] = ()

    @property
    def signed(self) -> bool:
        """Whether the numbers have a meaningful zero."""
        return self.unit != "norm"


def trained_activations(subject: Subject) -> tuple[WindowActivations, ...]:
    """What the trained kernel of each slot makes of its windows."""
    return tuple(window_activations(subject.tokens, subject.addon, scale) for scale in subject.scales)


def trained_panel(
    subject: Subject,
    request: ViewRequest,
    index: int,
    activations: WindowActivations | None,
    direction: Float[np.ndarray, "*batch wide"],
    values: Float[np.ndarray, "batch window"] | None,
) -> Panel:
    """The panel of slot ``index``, from its ``activations`` and the target as that slot sees it.

    ``values`` are at hand where they are what the windows do to the cosine; None where the slot does not hold them.
    """
    grid, scale = subject.tokens.grid, subject.scales[index]
    falls_back = scale > grid[0] * grid[1]
    geometry = fallback_geometry(grid) if falls_back else windows(grid, scale)
    origin, state = "fallback" if falls_back else "trained", request.slots[index]
    other = free_slot(request) if state == "free" else None
    notes = {
        "on": "",
        "off": "off: not in the fusion",
        "free": f"the free windows of {other and other.scale} tokens stand in its slot",
    }
    if activations is not None:
        values = _reduced(activations, request, direction)
    elif state != "on" or values is None:
        values = np.full((len(subject.tokens), geometry.n_windows), np.nan)
    words = _in_words(geometry, origin, notes[state], _value_in_words(subject, request))
    return Panel(f"scale-{scale}", f"scale {scale}", origin, geometry, values, request.value, words)


def free_panel(
    subject: Subject,
    request: ViewRequest,
    index: int,
    direction: Float[np.ndarray, "*batch wide"],
    values: Float[np.ndarray, "batch window"] | None,
) -> Panel:
    """The panel of the free windows; what they do to the cosine (``values``) is with these in slot ``index``.

    That slot may hold them only by supposition (``"free" not in request.slots``); -1 and None for plain CLIP.
    ``direction`` is the target as it sees it. Values of other kinds are computed here unless they are at hand.
    """
    slot, is_fused = free_slot(request), "free" in request.slots
    if subject.is_of_tokens:
        return grouped_panel(subject, request, slot, values, key="free")
    geometry, has_part = slot.geometry(subject.tokens.grid), index >= 0
    note = "not in the fusion" if has_part and not is_fused else ""
    if not request.is_of_parts and values is None:
        values = _reduced(_free_activations(subject, request, geometry), request, direction)
    elif values is None:
        values = np.full((len(subject.tokens), geometry.n_windows), np.nan)
        note = "plain CLIP: no window has a part in the cosine"
    elif request.is_of_parts and not is_fused:
        note = f"not in the fusion: as if it replaced scale {subject.scales[index]}"
    has_kernel, notes = subject.weights is not None, (note, _value_in_words(subject, request))
    origin, words = _free_words(
        geometry, request, subject.scales, has_kernel, _TOKENS[subject.seen.kind], notes
    )
    return Panel("free", _title(slot), origin, geometry, values, request.value, words)


def grouped_panel(
    subject: Subject,
    request: ViewRequest,
    slot: Slot,
    values: Float[np.ndarray, "batch window"] | None,
    *,
    key: str = "",
) -> Panel:
    """Windows of an add-on that is not made of any: what their tokens do to the cosine, or plain means of their tokens."""
    geometry, origin = slot.geometry(subject.tokens.grid), "mean"
    if request.is_of_parts and values is not None:
        origin, how = "", _OF_TOKENS[request.value]
        if request.value != "removal" and len(np.unique(geometry.tokens)) < geometry.tokens.size:
            how += "; a token in several windows gives each an equal part"
    else:
        read = read_tokens(subject, request)
        if values is None:
            values = _reduced(token_means(read, geometry), request, subject.along)
        how = f"plain window mean of {_TOKENS[read.kind]}"
        if read is not subject.seen:
            how += f": the module's activations, {subject.seen.values.shape[2]} wide, have no cosine to the target"
    title = _title(slot)
    words = f"{describe_windows(geometry)}; {how}"
    key = key or title.replace(" ", "-")
    return Panel(key, title, origin, geometry, values, request.value, words)


def with_held_words(panel: Panel, left: Sequence[str]) -> Panel:
    """The panel of a module that is split over its tokens, with words on whether its numbers are exact, and if not, why."""
    if panel.unit not in ("share", "push"):
        return panel
    words = "exact, with what is not linear in the module held"
    if left:
        words = f"not all of it, for {', '.join(left)} cannot be held and leaves a part unexplained"
    return replace(panel, words=f"{panel.words}: {words}")


def read_tokens(subject: Subject, request: ViewRequest) -> SeenTokens:
    """The tokens whose plain means a panel shows, where no window is trained."""
    return subject.read if request.value == "cosine" else subject.seen


def token_panel(
    key: str,
    title: str,
    geometry: WindowGeometry,
    values: Float[np.ndarray, "batch token"],
    unit: str,
    words: str,
) -> Panel:
    """A panel of one number for each patch token; no kernel has a part in it."""
    return Panel(key=key, title=title, origin="", geometry=geometry, values=values, unit=unit, words=words)


def shared_range(arrays: Sequence[np.ndarray], *, signed: bool) -> tuple[float, float]:
    """One colour range ``(vmin, vmax)`` for several arrays, such as all scales and images on screen.

    NaN and infinities are left out. Symmetric about zero if ``signed``; ``(0, 1)`` or ``(-1, 1)`` where there
    is nothing finite to show.
    """
    finite = [array[np.isfinite(array)] for array in map(np.asarray, arrays)]
    values = np.concatenate(finite) if finite else np.empty(0)
    if values.size == 0:
        return (-1.0, 1.0) if signed else (0.0, 1.0)
    if signed:
        reach = float(np.abs(values).max()) or 1.0
        return -reach, reach
    return float(values.min()), float(values.max())


def _free_activations(subject: Subject, request: ViewRequest, geometry: WindowGeometry) -> WindowActivations:
    if request.is_mean or subject.addon is None:
        return token_means(subject.seen, geometry)
    held = [subject.scales[i] for i, state in enumerate(request.slots) if state == "free"]
    return window_activations(
        subject.tokens,
        subject.addon,
        request.free_scale,
        source_scale=held[0] if held else None,
        stride=request.stride,
    )


@lru_cache(maxsize=4096)
def _free_words(
    geometry: WindowGeometry,
    request: ViewRequest,
    scales: tuple[int, ...],
    has_kernel: bool,
    tokens: str,
    notes: tuple[str, ...],
) -> tuple[str, str]:
    """Where the free windows' kernel comes from, and their words; the same for all images."""
    origin = _free_origin(request, scales) if has_kernel and not request.is_mean else "mean"
    tokens = tokens if origin == "mean" else ""
    return origin, _in_words(
        geometry, origin, *notes, is_of_the_design=request.is_of_the_design, tokens=tokens
    )


def _free_origin(request: ViewRequest, scales: tuple[int, ...]) -> str:
    held = [scale for scale, state in zip(scales, request.slots, strict=True) if state == "free"]
    sources = held or [nearest_trained_scale(scales, request.free_scale)]
    if all(source == request.free_scale for source in sources):
        return "trained"
    return "resampled from " + " and ".join(str(source) for source in sources)


def _reduced(
    activations: WindowActivations, request: ViewRequest, direction: Float[np.ndarray, "*batch wide"]
) -> Float[np.ndarray, "batch window"]:
    return reduce_activations(activations, request.value, direction=direction, channel=request.channel)


def _title(slot: Slot) -> str:
    return f"{slot.tile[0]}x{slot.tile[1]} tiles" if slot.tile else f"scale {slot.scale}"


def _value_in_words(subject: Subject, request: ViewRequest) -> str:
    """What the value is, where its name does not say all of it."""
    if request.is_of_parts:
        return _OF_PARTS[request.value]
    if request.value != "cosine" or subject.weights is None or not subject.weights.is_projected:
        return ""
    return "cosine to the target as the windows see it: pulled back through the fusion, held as it is"


def _in_words(
    geometry: WindowGeometry, origin: str, *notes: str, is_of_the_design: bool = True, tokens: str = ""
) -> str:
    kernel = _KERNELS.get(origin, f"kernel {origin}, untrained at this scale")
    parts: list[str] = [describe_windows(geometry), kernel]
    if tokens and tokens != _TOKENS["patches"]:
        parts.append(f"means of the {tokens}")
    if not is_of_the_design:
        parts.append(_BEYOND)
    elif geometry.scale % geometry.grid[1] == 0 and geometry.n_windows > 1:
        parts.append("pooling averages the windows, so which one a pattern is in carries no weight")
    if origin == "mean" and is_of_the_design and geometry.n_windows > 1 and not len(geometry.dropped):
        parts.append("pooled, plain means are equal at every scale that divides the number of tokens")
    return "; ".join([*parts, *filter(None, notes)])
