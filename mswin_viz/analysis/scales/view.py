"""All numbers of one view of one or more images: one for each window of each scale, and the score they share.

A view has three parts, so that a move of the slider computes only what it changes: :func:`trained_part`
(the trained kernels), :func:`fused_part` (the fusion and the score), :func:`scale_view` (the free scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.scales.panels import (
    Panel,
    free_panel,
    grouped_panel,
    trained_activations,
    trained_panel,
)
from mswin_viz.analysis.scales.request import (
    FreePlace,
    Subject,
    ViewRequest,
    place_of_free,
    slots_in_view,
)
from mswin_viz.analysis.scales.token_panels import fused_panel, plain_panel
from mswin_viz.analysis.shares.decomposition import Decomposition, decompose_fusion, direction_of_each
from mswin_viz.analysis.shares.fusion_weights import Slot
from mswin_viz.analysis.windows.activations import WindowActivations
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class ScaleView:
    """Panels of the trained scales (or the windows a module declares), the free one, the fusion and the plain CLS; the score.

    Attributes
    ----------
    panels
        In that order; without an add-on the free scale and the plain CLS only.
    cosine
        Shares of the cosine between each enhanced CLS and the target, norm frozen.
    plain_cosine
        Cosine of each plain CLS, ``[B]``.
    slots
        What each slot of the fusion holds; of a module without slots, the free windows that group its shares.
    places
        Of each panel whose windows can be removed, by its key: the slot, and the fusion with it. The free windows may
        stand in it only by supposition.
    """

    panels: tuple[Panel, ...]
    cosine: Decomposition
    plain_cosine: Float[np.ndarray, " batch"]
    slots: tuple[Slot, ...]
    places: Mapping[str, FreePlace]

    def panel(self, key: str) -> Panel:
        """The panel of that key. Raises OptionError for any other key."""
        panels = {panel.key: panel for panel in self.panels}
        if key not in panels:
            raise OptionError(f"a panel is one of {', '.join(panels)}: got {key!r}")
        return panels[key]


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """What the trained kernels give, whatever the free scale, the slots and the target are.

    Each slot's pooled vector, and the activations of each scale's windows; None for shares, which need none.
    """

    pooled: tuple[Float[np.ndarray, "batch wide"], ...]
    activations: tuple[WindowActivations | None, ...]


@dataclass(frozen=True, eq=False)
class FusedPart:
    """What a move of the free scale outside the fusion leaves as it is: all panels but its own, and the shares.

    ``windows`` are the panels before the free one, ``tokens`` those behind it; ``directions`` is the target as each slot
    sees it.
    """

    windows: tuple[Panel, ...]
    tokens: tuple[Panel, ...]
    decomposition: Decomposition
    directions: tuple[Float[np.ndarray, "*batch wide"], ...]
    trained: TrainedPart


def trained_part(subject: Subject, request: ViewRequest) -> TrainedPart:
    """The trained kernels' part of a view; depends on whether the request's value is the share only."""
    request.checked(len(subject.scales))
    n_slots, weights = len(subject.scales), subject.weights
    pooled = weights.run(subject.tokens).pooled if weights is not None and n_slots else ()
    return TrainedPart(
        pooled, (None,) * n_slots if request.value == "share" else trained_activations(subject)
    )


def fused_part(subject: Subject, request: ViewRequest, *, trained: TrainedPart | None = None) -> FusedPart:
    """All panels but the free scale's, and the shares; ``trained`` from before if it still holds."""
    trained = trained or trained_part(subject, request)
    slots = (Slot(1, "mean"),) if subject.is_of_tokens else slots_in_view(request, subject)
    decomposition = _decomposed(subject, slots, trained)
    cosine, directions = decomposition.cosine(), _directions(subject, request, slots, trained)
    panels = [
        trained_panel(subject, request, cosine, i, activations, directions[i])
        for i, activations in enumerate(trained.activations)
    ]
    for slot in subject.declared:
        panels.append(grouped_panel(subject, request, _decomposed(subject, (slot,), trained).cosine(), slot))
    fused = [] if subject.weights is None else [fused_panel(subject, cosine)]
    return FusedPart(tuple(panels), (*fused, plain_panel(subject)), decomposition, directions, trained)


def scale_view(subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None) -> ScaleView:
    """The view of a request.

    ``fused`` is :func:`fused_part` of this request, if it is at hand from one that differs in nothing but a free
    scale outside the fusion. Raises OptionError if the request names a value or slot state that does not exist;
    ScaleError if the free scale is outside 1..N or a tile does not fit.
    """
    fused = fused or fused_part(subject, request)
    slots = slots_in_view(request, subject)
    if subject.is_of_tokens:  # the same shares, grouped by the free windows
        supposed = parts = _decomposed(subject, slots, fused.trained)
        place, direction = FreePlace(0, slots), subject.along
    elif subject.is_of_windows:
        supposed = parts = fused.decomposition
        place = place_of_free(request, subject.scales)
        if request.value == "share" and "free" not in request.slots:
            supposed = _decomposed(subject, place.slots, fused.trained)
        direction = fused.directions[place.index]
    else:
        supposed = parts = fused.decomposition
        place, direction = None, subject.along
    free = free_panel(subject, request, supposed.cosine(), -1 if place is None else place.index, direction)
    plain = parts.cls / (parts.plain_norm * parts.direction_norm)
    return ScaleView(
        panels=(*fused.windows, free, *fused.tokens),
        cosine=parts.cosine(),
        plain_cosine=plain,
        slots=slots,
        places=_places(subject, fused.windows, slots, place),
    )


def _places(
    subject: Subject, panels: tuple[Panel, ...], slots: tuple[Slot, ...], free: FreePlace | None
) -> dict[str, FreePlace]:
    """Where the windows of each panel stand."""
    places = {} if free is None else {"free": free}
    if subject.is_of_tokens:
        named = zip(panels, subject.declared, strict=True)
        return {
            **{panel.key: FreePlace(0, (slot,)) for panel, slot in named},
            **places,
            "fused": FreePlace(0, (Slot(1, "mean"),)),
        }
    trained = () if subject.weights is None else subject.weights.trained_slots
    for i, (panel, slot, own) in enumerate(zip(panels, slots, trained, strict=True)):
        if slot == own:
            places[panel.key] = FreePlace(i, slots)
    return places


def _directions(
    subject: Subject, request: ViewRequest, slots: tuple[Slot, ...], trained: TrainedPart
) -> tuple[Float[np.ndarray, "*batch wide"], ...]:
    """The target as the windows of each slot see it: itself, or pulled back to where projected tokens lie."""
    weights = subject.weights
    if weights is None or not weights.is_projected or request.value != "cosine":
        return (subject.along,) * len(subject.scales)
    state = weights.run(subject.tokens, slots, kept_pooled(subject, slots, trained))
    return state.pulled_back(direction_of_each(subject.direction, subject.tokens, weights))


def _decomposed(subject: Subject, slots: tuple[Slot, ...], trained: TrainedPart) -> Decomposition:
    if subject.weights is None:
        return decompose_fusion(subject.tokens, None, subject.direction)
    pooled = kept_pooled(subject, slots, trained)
    return decompose_fusion(subject.tokens, subject.weights, subject.direction, slots=slots, pooled=pooled)


def kept_pooled(
    subject: Subject, slots: tuple[Slot, ...], trained: TrainedPart
) -> list[Float[np.ndarray, "batch wide"] | None] | None:
    """The pooled vectors of the slots that hold their trained kernels; None without slots."""
    if subject.weights is None or not subject.is_of_windows:
        return None
    kept = zip(trained.pooled, slots, subject.weights.trained_slots, strict=True)
    return [vector if slot == own else None for vector, slot, own in kept]
