"""One panel of a view: a number for each window of one scale, or for each patch token, of every image shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.request import Subject, ViewRequest, free_slot
from mswin_viz.analysis.shares.decomposition import Decomposition
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.analysis.windows.activations import (
    WindowActivations,
    mean_activations,
    nearest_trained_scale,
    reduce_activations,
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
_BEYOND = "not in the trained model, whose windows are runs laid end to end"


@dataclass(frozen=True, eq=False)
class Panel:
    """One heatmap for each image.

    Attributes
    ----------
    key
        ``"scale-4"``, ..., ``"free"``, ``"fused"``, ``"plain"``.
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
    """

    key: str
    title: str
    origin: str
    geometry: WindowGeometry
    values: Float[np.ndarray, "batch window"]
    unit: str
    words: str

    @property
    def signed(self) -> bool:
        """Whether the numbers have a meaningful zero."""
        return self.unit != "norm"


def trained_answers(subject: Subject, request: ViewRequest) -> tuple[Float[np.ndarray, "batch window"], ...]:
    """One number for each window of each trained scale; not for shares, which the fusion decides."""
    return tuple(
        _reduced(window_activations(subject.tokens, subject.addon, scale), subject, request)
        for scale in subject.scales
    )


def trained_panel(
    subject: Subject,
    request: ViewRequest,
    decomposition: Decomposition,
    index: int,
    answers: Float[np.ndarray, "batch window"] | None,
) -> Panel:
    """The panel of slot ``index``; ``answers`` from :func:`trained_answers`, None for shares."""
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
    if answers is None:
        nothing = np.full((len(subject.tokens), geometry.n_windows), np.nan)
        answers = decomposition.slot(index).windows if state == "on" else nothing
    return Panel(
        key=f"scale-{scale}",
        title=f"scale {scale}",
        origin=origin,
        geometry=geometry,
        values=answers,
        unit=request.value,
        words=_in_words(geometry, origin, notes[state]),
    )


def free_panel(subject: Subject, request: ViewRequest, decomposition: Decomposition, index: int) -> Panel:
    """The panel of the free windows; the shares are of the cosine with these in slot ``index``, -1 for plain CLIP.

    That slot may hold them only by supposition (``"free" not in request.slots``).
    """
    slot, is_fused = free_slot(request), "free" in request.slots
    geometry, origin = slot.geometry(subject.tokens.grid), _free_origin(subject, request)
    title = f"{request.tile[0]}x{request.tile[1]} tiles" if request.tile else f"scale {request.free_scale}"
    note = "not in the fusion" if index >= 0 and not is_fused else ""
    if request.value != "share":
        values = _reduced(_free_activations(subject, request, geometry), subject, request)
    elif index < 0:
        values, note = (
            np.full((len(subject.tokens), geometry.n_windows), np.nan),
            "plain CLIP: no window has a share",
        )
    else:
        held = [i for i, state in enumerate(request.slots) if state == "free"] or [index]
        values = np.sum([decomposition.slot(i).windows for i in held], axis=0)
        if not is_fused:
            note = f"not in the fusion: shares as if it replaced scale {subject.scales[index]}"
    return Panel(
        key="free",
        title=title,
        origin=origin,
        geometry=geometry,
        values=values,
        unit=request.value,
        words=_in_words(geometry, origin, note, is_of_the_design=request.is_of_the_design),
    )


def fused_panel(subject: Subject, decomposition: Decomposition) -> Panel:
    """Each patch token's share of the cosine through all slots together."""
    geometry = windows(subject.tokens.grid, 1)
    n_tokens, batch = geometry.n_tokens, len(subject.tokens)
    values = sum((s.tokens for s in decomposition.slots if s), start=np.zeros((batch, n_tokens)))
    words = "each patch's exact share of the cosine, through all slots of the fusion together"
    return token_panel("fused", "fused", geometry, values, "share", words)


def plain_panel(subject: Subject) -> Panel:
    """Cosine of each patch token to its image's plain CLS: what CLIP shows with no add-on; both behind the neck."""
    tokens = subject.tokens
    patches = tokens.patches if tokens.neck is None else tokens.neck(tokens.patches)
    cls, patches = float64(tokens.cls), float64(patches)
    lengths = np.linalg.norm(cls, axis=1)[:, None] * np.linalg.norm(patches, axis=2)
    dots = np.einsum("bd,bnd->bn", cls, patches)
    values = np.divide(dots, lengths, out=np.full_like(dots, np.nan), where=lengths > 0)
    words = "cosine of each patch token to the image's plain CLS: no add-on in it"
    return token_panel("plain", "plain CLS", windows(subject.tokens.grid, 1), values, "cosine", words)


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
        return mean_activations(subject.tokens, subject.addon, geometry)
    held = [subject.scales[i] for i, state in enumerate(request.slots) if state == "free"]
    return window_activations(
        subject.tokens,
        subject.addon,
        request.free_scale,
        source_scale=held[0] if held else None,
        stride=request.stride,
    )


def _free_origin(subject: Subject, request: ViewRequest) -> str:
    if request.is_mean or subject.weights is None:
        return "mean"
    held = [scale for scale, state in zip(subject.scales, request.slots, strict=True) if state == "free"]
    sources = held or [nearest_trained_scale(subject.scales, request.free_scale)]
    if all(source == request.free_scale for source in sources):
        return "trained"
    return "resampled from " + " and ".join(str(source) for source in sources)


def _reduced(
    activations: WindowActivations, subject: Subject, request: ViewRequest
) -> Float[np.ndarray, "batch window"]:
    neck, direction = subject.tokens.neck, subject.direction
    if neck is not None:  # activations lie before it: the direction along which they move the score
        direction = direction * float64(neck.scale)
    return reduce_activations(activations, request.value, direction=direction, channel=request.channel)


def _in_words(geometry: WindowGeometry, origin: str, note: str, *, is_of_the_design: bool = True) -> str:
    parts: list[str] = [
        describe_windows(geometry),
        _KERNELS.get(origin, f"kernel {origin}, untrained at this scale"),
    ]
    if not is_of_the_design:
        parts.append(_BEYOND)
    elif geometry.scale % geometry.grid[1] == 0 and geometry.n_windows > 1:
        parts.append("pooling averages the windows, so which one a pattern is in carries no weight")
    if origin == "mean" and is_of_the_design and geometry.n_windows > 1 and not len(geometry.dropped):
        parts.append("pooled, plain means are equal at every scale that divides the number of tokens")
    return "; ".join([*parts, *([note] if note else [])])
