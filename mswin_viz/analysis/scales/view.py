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
    with_held_words,
)
from mswin_viz.analysis.scales.request import (
    Subject,
    ViewRequest,
    WindowPlace,
    place_of_free,
    slots_in_view,
)
from mswin_viz.analysis.scales.token_panels import PLAIN_PANELS, fused_panel
from mswin_viz.analysis.shares.addon_map import AddonState
from mswin_viz.analysis.shares.decomposition import Decomposition, decomposed
from mswin_viz.analysis.shares.fusion_weights import no_windows
from mswin_viz.analysis.shares.part_values import PartValues, part_values, window_values
from mswin_viz.analysis.shares.slots import Slot
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
        Of each panel whose windows can be removed, by its key: the slots, and the fusion with them. The free windows may
        stand in it only by supposition.
    patch_slots
        The fusion that patch tokens are taken out of; None without an add-on.
    """

    panels: tuple[Panel, ...]
    cosine: Decomposition
    plain_cosine: Float[np.ndarray, " batch"]
    slots: tuple[Slot, ...]
    places: Mapping[str, WindowPlace]
    patch_slots: tuple[Slot, ...] | None

    def panel(self, key: str) -> Panel:
        """The panel of that key. Raises OptionError for any other key."""
        panels = {panel.key: panel for panel in self.panels}
        if key not in panels:
            raise OptionError(f"a panel is one of {', '.join(panels)}: got {key!r}")
        return panels[key]


@dataclass(frozen=True, eq=False)
class TrainedPart:
    """What the trained kernels give, whatever the free scale, the slots and the target are.

    Each slot's pooled vector, and the activations of each scale's windows; None for what windows do to the cosine, which
    needs none.
    """

    pooled: tuple[Float[np.ndarray, "batch wide"], ...]
    activations: tuple[WindowActivations | None, ...]


@dataclass(frozen=True, eq=False)
class FusedPart:
    """What a move of the free scale outside the fusion leaves as it is: all panels but its own, and the shares.

    ``windows`` are the panels before the free one, ``tokens`` those behind it; ``directions`` is the target as each slot
    sees it; ``values`` are what the windows of each slot do to the cosine, None without an add-on.
    """

    windows: tuple[Panel, ...]
    tokens: tuple[Panel, ...]
    decomposition: Decomposition
    directions: tuple[Float[np.ndarray, "*batch wide"], ...]
    values: PartValues | None
    trained: TrainedPart


def trained_part(subject: Subject, request: ViewRequest) -> TrainedPart:
    """The trained kernels' part of a view; depends on whether the request's value is of parts only."""
    request.checked(len(subject.scales))
    n_slots, weights = len(subject.scales), subject.weights
    pooled = weights.run(subject.tokens).pooled if weights is not None and n_slots else ()
    return TrainedPart(pooled, (None,) * n_slots if request.is_of_parts else trained_activations(subject))


def fused_part(subject: Subject, request: ViewRequest, *, trained: TrainedPart | None = None) -> FusedPart:
    """All panels but the free scale's, and the shares; ``trained`` from before if it still holds."""
    trained = trained or trained_part(subject, request)
    slots = (Slot(1, "mean"),) if subject.is_of_tokens else slots_in_view(request, subject)
    state, v = addon_state(subject, slots, trained), subject.direction_of_each
    decomposition, directions = decomposed(state, v), _directions(subject, request, state)
    value = request.value if request.is_of_parts else "share"  # of the tokens, whatever the windows show
    numbers = None if subject.weights is None else part_values(state, v, value, decomposition.cosine())
    panels = [
        trained_panel(subject, request, i, activations, directions[i], numbers and numbers.slots[i])
        for i, activations in enumerate(trained.activations)
    ]
    for slot in subject.declared:
        grouped = _window_values(subject, request, addon_state(subject, (slot,), trained), (0,))
        panels.append(grouped_panel(subject, request, slot, grouped))
    tokens = [] if numbers is None else [fused_panel(subject, numbers.tokens, value)]
    if subject.is_of_tokens:
        panels, tokens = (
            [with_held_words(p, decomposition.left) for p in group] for group in (panels, tokens)
        )
    tokens += [panel(subject) for panel in PLAIN_PANELS.values()]
    return FusedPart(tuple(panels), tuple(tokens), decomposition, directions, numbers, trained)


def scale_view(subject: Subject, request: ViewRequest, *, fused: FusedPart | None = None) -> ScaleView:
    """The view of a request.

    ``fused`` is :func:`fused_part` of this request, if it is at hand from one that differs in nothing but a free
    scale outside the fusion. Raises OptionError if the request names a value or slot state that does not exist;
    ScaleError if the free scale is outside 1..N or a tile does not fit.
    """
    fused = fused or fused_part(subject, request)
    slots = slots_in_view(request, subject)
    parts, place, direction, values = fused.decomposition, None, subject.along, None
    if subject.is_of_tokens:  # the same shares, grouped by the free windows
        state, place = addon_state(subject, slots, fused.trained), WindowPlace(0, slots, (0,))
        parts, values = (
            decomposed(state, subject.direction_of_each),
            _window_values(subject, request, state, (0,)),
        )
    elif subject.is_of_windows:
        place = place_of_free(request, subject.scales)
        direction = fused.directions[place.index]
        is_fused = "free" in request.slots
        if request.is_of_parts and is_fused and len(place.held) == 1 and fused.values is not None:
            values = fused.values.slots[place.index]
        elif request.is_of_parts:
            supposed = addon_state(subject, place.slots, fused.trained)
            values = _window_values(subject, request, supposed, place.held)
    free = free_panel(subject, request, -1 if place is None else place.index, direction, values)
    if subject.is_of_tokens:
        free = with_held_words(free, parts.left)
    return ScaleView(
        panels=(*fused.windows, free, *fused.tokens),
        cosine=parts.cosine(),
        plain_cosine=_plain_cosine(subject),
        slots=slots,
        places=_places(subject, fused.windows, slots, place),
        patch_slots=_patch_slots(subject, slots),
    )


def _patch_slots(subject: Subject, slots: tuple[Slot, ...]) -> tuple[Slot, ...] | None:
    """The fusion that patch tokens are taken out of: of a module without slots, windows of one token."""
    if subject.weights is None:
        return None
    return (Slot(1, "mean"),) if subject.is_of_tokens else slots


def _places(
    subject: Subject, panels: tuple[Panel, ...], slots: tuple[Slot, ...], free: WindowPlace | None
) -> dict[str, WindowPlace]:
    """Where the windows of each panel stand."""
    places = {} if free is None else {"free": free}
    if subject.is_of_tokens:
        named = zip(panels, subject.declared, strict=True)
        return {**{panel.key: WindowPlace(0, (slot,), (0,)) for panel, slot in named}, **places}
    trained = () if subject.weights is None else subject.weights.trained_slots
    for i, (panel, slot, own) in enumerate(zip(panels, slots, trained, strict=True)):
        if slot == own:
            places[panel.key] = WindowPlace(i, slots, (i,))
    return places


def _directions(
    subject: Subject, request: ViewRequest, state: AddonState
) -> tuple[Float[np.ndarray, "*batch wide"], ...]:
    """The target as the windows of each slot see it: itself, or pulled back to where projected tokens lie."""
    weights = subject.weights
    if weights is None or not weights.is_projected or request.value != "cosine":
        return (subject.along,) * len(subject.scales)
    return state.pulled_back(subject.direction_of_each)


def addon_state(subject: Subject, slots: tuple[Slot, ...], trained: TrainedPart) -> AddonState:
    """The add-on at the tokens, with these slots; what its trained kernels gave before is not computed again."""
    if subject.weights is None:
        return no_windows(subject.tokens.cls.shape[1]).run(subject.tokens)
    pooled = _kept_pooled(subject.weights.trained_slots, slots, trained) if subject.is_of_windows else None
    return subject.weights.run(subject.tokens, slots, pooled)


def _plain_cosine(subject: Subject) -> Float[np.ndarray, " batch"]:
    """The cosine of each plain CLS with its direction; NaN where one is zero."""
    cls = subject.plain_cls
    v = subject.direction_of_each[:, : cls.shape[1]]
    lengths = np.linalg.norm(cls, axis=1) * np.linalg.norm(subject.direction_of_each, axis=1)
    return np.divide((cls * v).sum(axis=1), lengths, out=np.full(len(cls), np.nan), where=lengths > 0)


def _window_values(
    subject: Subject, request: ViewRequest, state: AddonState, held: tuple[int, ...]
) -> Float[np.ndarray, "batch window"] | None:
    """What the windows that stand in these slots do to the cosine; None where the request shows something else."""
    if not request.is_of_parts:
        return None
    return window_values(state, subject.direction_of_each, request.value, held)


def _kept_pooled(
    trained_slots: tuple[Slot, ...], slots: tuple[Slot, ...], trained: TrainedPart
) -> list[Float[np.ndarray, "batch wide"] | None]:
    """The pooled vectors of the slots that hold their trained kernels."""
    kept = zip(trained.pooled, slots, trained_slots, strict=True)
    return [vector if slot == own else None for vector, slot, own in kept]
