"""All numbers of one view of one or more images: one for each window of each scale, and the score they share.

A view has three parts, so that a move of the slider computes only what it changes: :func:`trained_part`
(the trained kernels), :func:`fused_part` (the fusion and the score), :func:`scale_view` (the free scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.panels import (
    Panel,
    free_panel,
    fused_panel,
    plain_panel,
    trained_answers,
    trained_panel,
)
from mswin_viz.analysis.scales.request import FreePlace, Subject, ViewRequest, place_of_free, slots_of
from mswin_viz.analysis.shares.decomposition import Decomposition, decompose_fusion
from mswin_viz.analysis.shares.fusion import slot_pooled
from mswin_viz.analysis.shares.fusion_weights import Slot
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class ScaleView:
    """Panels of the trained scales, the free one, the fusion and the plain CLS; and the score.

    Attributes
    ----------
    panels
        In that order; without an add-on the free scale and the plain CLS only.
    cosine
        Shares of the cosine between each enhanced CLS and the target, norm frozen.
    plain_cosine
        Cosine of each plain CLS, ``[B]``.
    slots
        What each slot of the fusion holds.
    free_place
        The slot that holds the free windows, or would, and the fusion then; None without an add-on.
    """

    panels: tuple[Panel, ...]
    cosine: Decomposition
    plain_cosine: Float[np.ndarray, " batch"]
    slots: tuple[Slot, ...]
    free_place: FreePlace | None

    def panel(self, key: str) -> Panel:
        """The panel of that key. Raises OptionError if there is none."""
        panels = {panel.key: panel for panel in self.panels}
        if key not in panels:
            raise OptionError(f"a panel is one of {', '.join(panels)}: got {key!r}")
        return panels[key]


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """What the trained kernels give, whatever the free scale and the slots are.

    Each slot's pooled vector, and one number for each window of each scale; None for shares, which the fusion decides.
    """

    pooled: tuple[Float[np.ndarray, "batch dim"], ...]
    answers: tuple[Float[np.ndarray, "batch window"] | None, ...]


@dataclass(frozen=True, eq=False)
class FusedPart:
    """What a move of the free scale outside the fusion leaves as it is: all panels but its own, and the shares."""

    panels: tuple[Panel, ...]
    decomposition: Decomposition
    trained: TrainedPart


def trained_part(subject: Subject, request: ViewRequest) -> TrainedPart:
    """The trained kernels' part of a view; depends on the request's value and channel only."""
    request.checked(len(subject.scales))
    n_slots, weights = len(subject.scales), subject.weights
    pooled = [] if weights is None else [slot_pooled(subject.tokens, weights, i) for i in range(n_slots)]
    has_shares = request.value == "share"
    answers = (None,) * n_slots if has_shares else trained_answers(subject, request)
    return TrainedPart(tuple(pooled), answers)


def fused_part(subject: Subject, request: ViewRequest, *, trained: TrainedPart | None = None) -> FusedPart:
    """All panels but the free scale's, and the shares; ``trained`` from before if value and channel are the same."""
    trained = trained or trained_part(subject, request)
    decomposition = _decomposed(subject, slots_of(request, subject.scales), trained)
    cosine = decomposition.cosine()
    panels = [
        trained_panel(subject, request, cosine, i, answers) for i, answers in enumerate(trained.answers)
    ]
    fused = [] if subject.weights is None else [fused_panel(subject, cosine)]
    return FusedPart((*panels, *fused, plain_panel(subject)), decomposition, trained)


def scale_view(subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None) -> ScaleView:
    """The view of a request.

    ``fused`` is :func:`fused_part` of this request, if it is at hand from one that differs in nothing but a free
    scale outside the fusion. Raises OptionError if the request names a value or slot state that does not exist;
    ScaleError if the free scale is outside 1..N or a tile does not fit.
    """
    fused = fused or fused_part(subject, request)
    parts, place = fused.decomposition, None
    supposed = parts
    if subject.weights is not None:
        place = place_of_free(request, subject.scales)
        if request.value == "share" and "free" not in request.slots:
            supposed = _decomposed(subject, place.slots, fused.trained)
    free = free_panel(subject, request, supposed.cosine(), -1 if place is None else place.index)
    n_scales = len(subject.scales)
    plain = parts.cls / (parts.plain_norm * parts.direction_norm)
    panels = (*fused.panels[:n_scales], free, *fused.panels[n_scales:])
    return ScaleView(
        panels=panels,
        cosine=parts.cosine(),
        plain_cosine=plain,
        slots=slots_of(request, subject.scales),
        free_place=place,
    )


def _decomposed(subject: Subject, slots: tuple[Slot, ...], trained: TrainedPart) -> Decomposition:
    if subject.weights is None:
        return decompose_fusion(subject.tokens, None, subject.direction)
    trained_slots = subject.weights.trained_slots
    pooled = [
        vector if slot == trained_slot else None
        for vector, slot, trained_slot in zip(trained.pooled, slots, trained_slots, strict=True)
    ]
    return decompose_fusion(subject.tokens, subject.weights, subject.direction, slots=slots, pooled=pooled)
