"""Everything one look at one image needs: a number for each window of each scale, and the score they share in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mswin_viz.analysis.activations import (
    nearest_trained_scale,
    reduce_activations,
    shared_range,
    window_activations,
)
from mswin_viz.analysis.decomposition import Decomposition, decompose_fusion
from mswin_viz.analysis.fusion import FusionWeights, Slot, slot_pooled
from mswin_viz.analysis.windows import WindowGeometry, describe, fallback_geometry, windows
from mswin_viz.errors import OptionError
from mswin_viz.model.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "SLOT_STATES",
    "VALUES",
    "FusedPart",
    "Panel",
    "ScaleView",
    "Subject",
    "TrainedPart",
    "ViewRequest",
    "fused_part",
    "scale_view",
    "trained_part",
]

VALUES = ("norm", "share", "cosine", "channel")
"""What a window's number can be: activation length; its share of the score; cosine to the target; one channel."""
SLOT_STATES = ("on", "off", "free")
"""A slot of the fusion: its trained kernel; nothing; or the free scale in its place."""


@dataclass(frozen=True)
class ViewRequest:
    """What to look at.

    Attributes
    ----------
    free_scale
        The scale the slider stands at, 1..N.
    kernel
        Of the free scale: ``"auto"`` (trained where it is, else resampled) or ``"mean"``.
    value
        One of ``VALUES``.
    channel
        For ``"channel"``.
    slots
        One of ``SLOT_STATES`` for each slot of the fusion; empty without an add-on.
    """

    free_scale: int
    kernel: str = "auto"
    value: str = "norm"
    channel: int = 0
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """One scale's heatmap.

    Attributes
    ----------
    scale, origin, geometry
        Which windows, and where their kernel comes from (``"trained"``, ``"resampled from 16"``, ``"mean"``, ...).
    values
        One number for each window, ``[n_windows]``; NaN where it has none (a slot that is off has no share).
    words
        The windows, the kernel and any caveat, in words.
    """

    scale: int
    origin: str
    geometry: WindowGeometry
    values: Float[np.ndarray, " window"]
    words: str


@dataclass(frozen=True, eq=False)
class ScaleView:
    """Panels of the trained scales and the free one (last), and the score.

    Attributes
    ----------
    panels
        Trained scales in fusion order, then the free scale.
    signed
        Whether the numbers have a meaningful zero.
    value_range
        One colour range for all panels.
    cosine
        Shares of the cosine between the enhanced CLS and the target, norm frozen; for one image.
    plain_cosine
        Cosine of the plain CLS.
    slot_scales
        What each slot of the fusion holds, for labels: its scale, or None where it is off.
    """

    panels: tuple[Panel, ...]
    signed: bool
    value_range: tuple[float, float]
    cosine: Decomposition
    plain_cosine: float
    slot_scales: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at: one image, through one add-on, against one target.

    Attributes
    ----------
    tokens
        Tokens of one image.
    addon, weights
        The add-on and its float64 snapshot; both None for plain CLIP.
    direction
        The target's direction.
    """

    tokens: Tokens
    addon: torch.nn.Module | None
    weights: FusionWeights | None
    direction: Float[np.ndarray, " dim"]

    @property
    def scales(self) -> tuple[int, ...]:
        """Trained scales, in fusion order."""
        return () if self.weights is None else self.weights.scales


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """What the trained kernels say, whatever the free scale and the slots are.

    Attributes
    ----------
    pooled
        Each slot's pooled vector, ``[1, D]``.
    answers
        One number for each window of each trained scale; None for shares, which the fusion decides.
    """

    pooled: tuple[Float[np.ndarray, "1 dim"], ...]
    answers: tuple[Float[np.ndarray, " window"] | None, ...]


@dataclass(frozen=True, eq=False)
class FusedPart:
    """What a move of the free scale leaves as it is, unless the free scale stands in a slot.

    Attributes
    ----------
    panels
        Those of the trained scales.
    decomposition
        Shares of the score, before division by the norm.
    slots
        What stands in the fusion.
    trained
        What went into it.
    """

    panels: tuple[Panel, ...]
    decomposition: Decomposition
    slots: tuple[Slot, ...]
    trained: TrainedPart


def trained_part(subject: Subject, request: ViewRequest) -> TrainedPart:
    """The trained kernels' part of a view; depends on the request's value and channel only."""
    _check(request, len(subject.scales))
    pooled = [slot_pooled(subject.tokens, subject.weights, i) for i in range(len(subject.scales))]
    share = request.value == "share"
    answers = [None if share else _answers(subject, request, scale, "auto") for scale in subject.scales]
    return TrainedPart(tuple(pooled), tuple(answers))


def fused_part(subject: Subject, request: ViewRequest, *, trained: TrainedPart | None = None) -> FusedPart:
    """The trained scales' panels and the decomposition; ``trained`` from before if value and channel are the same."""
    trained = trained or trained_part(subject, request)
    slots = _slots(request, subject.scales)
    decomposition = _decomposed(subject, request.slots, slots, trained)
    panels = [_trained_panel(subject, request, decomposition, trained, i) for i in range(len(slots))]
    return FusedPart(tuple(panels), decomposition, slots, trained)


def scale_view(subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None) -> ScaleView:
    """Answer a request for one image.

    Parameters
    ----------
    subject, request
        What is looked at, and what of it.
    fused
        :func:`fused_part` of this request, if it is at hand from a request that differs in nothing but a free
        scale outside the fusion.

    Raises
    ------
    OptionError
        If the request names a value or slot state that does not exist.
    ScaleError
        If the free scale is outside 1..N.
    """
    fused = fused or fused_part(subject, request)
    decomposition = fused.decomposition
    panels = (*fused.panels, _free_panel(subject, request, fused))
    signed = request.value != "norm"
    held = tuple(None if slot.kernel == "off" else slot.scale for slot in fused.slots)
    plain = float(decomposition.cls[0] / (decomposition.plain_norm[0] * decomposition.direction_norm[0]))
    colours = shared_range([panel.values for panel in panels], signed=signed)
    return ScaleView(panels, signed, colours, decomposition.cosine(), plain, held)


def _decomposed(
    subject: Subject, states: Sequence[str], slots: Sequence[Slot], trained: TrainedPart
) -> Decomposition:
    if subject.weights is None:
        return decompose_fusion(subject.tokens, None, subject.direction)
    pooled = [p if state == "on" else None for p, state in zip(trained.pooled, states, strict=True)]
    return decompose_fusion(subject.tokens, subject.weights, subject.direction, slots=slots, pooled=pooled)


def _check(request: ViewRequest, n_slots: int) -> None:
    if request.value not in VALUES:
        raise OptionError(f"value must be one of {', '.join(VALUES)}: got {request.value!r}")
    if len(request.slots) != n_slots or not set(request.slots) <= set(SLOT_STATES):
        raise OptionError(
            f"the fusion has {n_slots} slots, each one of {', '.join(SLOT_STATES)}: got {request.slots}"
        )


def _slots(request: ViewRequest, scales: Sequence[int]) -> tuple[Slot, ...]:
    return tuple(
        _free_slot(request) if state == "free" else Slot(scale, "trained" if state == "on" else "off")
        for scale, state in zip(scales, request.slots, strict=True)
    )


def _free_slot(request: ViewRequest) -> Slot:
    return Slot(request.free_scale, "mean" if request.kernel == "mean" else "trained")


def _trained_panel(
    subject: Subject, request: ViewRequest, decomposition: Decomposition, trained: TrainedPart, index: int
) -> Panel:
    grid, scale = subject.tokens.grid, subject.scales[index]
    falls_back = scale > grid[0] * grid[1]
    geometry = fallback_geometry(grid) if falls_back else windows(grid, scale)
    origin = "fallback" if falls_back else "trained"
    state = request.slots[index]
    notes = {
        "on": "",
        "off": "off: not in the fusion",
        "free": f"scale {request.free_scale} stands in its slot",
    }
    values = trained.answers[index]
    if values is None:
        values = _fused_shares(decomposition, index) if state == "on" else np.full(geometry.n_windows, np.nan)
    return Panel(scale, origin, geometry, values, _in_words(geometry, origin, notes[state]))


def _free_panel(subject: Subject, request: ViewRequest, fused: FusedPart) -> Panel:
    geometry = windows(subject.tokens.grid, request.free_scale)
    held = [i for i, state in enumerate(request.slots) if state == "free"]
    origin = _free_origin(subject.weights, request, held)
    note = "not in the fusion" if subject.weights and not held else ""
    if request.value == "share":
        values, note = _free_shares(subject, request, fused, held, geometry)
    else:
        values = _answers(subject, request, request.free_scale, request.kernel, held)
    return Panel(request.free_scale, origin, geometry, values, _in_words(geometry, origin, note))


def _free_shares(
    subject: Subject, request: ViewRequest, fused: FusedPart, held: Sequence[int], geometry: WindowGeometry
) -> tuple[Float[np.ndarray, " window"], str]:
    """Shares of the free scale's windows, as it stands in the fusion or as if it did; and a note."""
    if held:
        return sum(_fused_shares(fused.decomposition, index) for index in held), ""
    if subject.weights is None:
        return np.full(geometry.n_windows, np.nan), "plain CLIP: no window takes part in the score"
    scale = nearest_trained_scale(subject.scales, request.free_scale)
    index = subject.scales.index(scale)
    states = ["free" if i == index else state for i, state in enumerate(request.slots)]
    slots = [_free_slot(request) if i == index else slot for i, slot in enumerate(fused.slots)]
    supposed = _decomposed(subject, states, slots, fused.trained)
    return _fused_shares(supposed, index), f"not in the fusion: shares as if it replaced scale {scale}"


def _free_origin(weights: FusionWeights | None, request: ViewRequest, fused: Sequence[int]) -> str:
    if request.kernel == "mean" or weights is None:
        return "mean"
    sources = [weights.scales[i] for i in fused] or [
        nearest_trained_scale(weights.scales, request.free_scale)
    ]
    if all(source == request.free_scale for source in sources):
        return "trained"
    return "resampled from " + " and ".join(str(source) for source in sources)


def _fused_shares(decomposition: Decomposition, index: int) -> Float[np.ndarray, " window"]:
    return decomposition.cosine().slots[index].windows[0]


def _answers(
    subject: Subject, request: ViewRequest, scale: int, kernel: str, held: Sequence[int] = ()
) -> Float[np.ndarray, " window"]:
    source = subject.scales[held[0]] if held and kernel != "mean" else None
    activations = window_activations(subject.tokens, subject.addon, scale, kernel=kernel, source_scale=source)
    return reduce_activations(
        activations, request.value, direction=subject.direction, channel=request.channel
    )[0]


def _in_words(geometry: WindowGeometry, origin: str, note: str) -> str:
    kernels = {
        "trained": "trained kernel",
        "mean": "plain window mean, untrained",
        "fallback": "fewer tokens than the scale: plain mean of all tokens",
    }
    cols = geometry.grid[1]
    parts = [describe(geometry), kernels.get(origin, f"kernel {origin}, untrained at this scale")]
    if geometry.scale % cols == 0 and geometry.n_windows > 1:
        parts.append("pooling averages the windows, so which one a pattern is in carries no weight")
    return "; ".join([*parts, *([note] if note else [])])
