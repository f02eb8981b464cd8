"""One window or patch inspected: its exact share, its share of the norm, the net push of the two, and what changes without it."""

from __future__ import annotations

from dataclasses import dataclass

from mswin_viz.analysis.scales.request import Subject, WindowPlace
from mswin_viz.analysis.scales.token_panels import PATCH_PANELS
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.analysis.shares.decomposition import Decomposition, decomposed
from mswin_viz.analysis.shares.net_push import pushes_of, shares_of_norm
from mswin_viz.analysis.shares.window_removal import removed
from mswin_viz.data.shown_text import numbered
from mswin_viz.errors import OptionError


@dataclass(frozen=True)
class WindowInspection:
    """What one window of one image does to the cosine.

    ``share`` is its part of the cosine at the present norm, ``norm_share`` its part of that norm, and ``push`` the share
    minus the cosine times the share of the norm: exact, unless the cosine has an unexplained part (``is_exact``).
    ``change`` is what the cosine changes by when the window is taken away: norm and gates are computed again.
    ``score_...`` are share and change of ``v . enhanced``, where the norm plays no part. ``n_flipped`` of ``n_gates``
    ReLU gates open or close; the norms are those of the enhanced CLS with and without the window. ``is_of_tokens``: the
    window is a group of tokens of a module that is not made of windows; without it they are zero. ``is_patch``: it is one
    patch token, out of every window that it is in.
    """

    share: float
    change: float
    score_share: float
    score_change: float
    n_flipped: int
    n_gates: int
    norm_before: float
    norm_after: float
    is_of_tokens: bool = False
    is_patch: bool = False
    is_exact: bool = True
    norm_share: float = 0.0
    push: float = 0.0


def inspected_window(
    subject: Subject, view: ScaleView, key: str, image: int, window: int
) -> WindowInspection:
    """Share of a window of a panel, or of a patch, and what its removal changes.

    The panel has windows: it is a trained scale that is on, or the free one (as it stands in the fusion, out of all slots
    that hold it, or as if it replaced the nearest scale), or one of the windows that a module declares. Or it is a panel of
    patches, which are taken out of every window they are in. Raises OptionError if there is no such window, its slot is off,
    or no add-on reads the patches.
    """
    panel, place = view.panel(key), view.places.get(key)
    slots = view.patch_slots if key in PATCH_PANELS else None if place is None else place.slots
    if slots is None and key.startswith("scale-"):
        raise OptionError(f"{panel.title} is not in the fusion now; switch its slot on")
    if slots is None or subject.weights is None:
        raise OptionError(
            "only windows, and patches that an add-on reads, can be removed: got a patch of the panel "
            f"{panel.title!r}; choose another panel"
        )
    if not 0 <= image < len(subject.tokens):
        raise OptionError(f"an image is {numbered(len(subject.tokens))}: got {image}")
    if not 0 <= window < panel.geometry.n_windows:
        raise OptionError(f"a window of {panel.title} is {numbered(panel.geometry.n_windows)}: got {window}")
    alone = subject.tokens[image]
    v, state = subject.direction_of_each[image : image + 1], subject.weights.run(alone, slots)
    left = state.without_token(window) if place is None else state.without(place.held, window)
    without, parts = removed(state, left, v), decomposed(state, v)
    cosine, norm = parts.cosine(), shares_of_norm(state)
    return WindowInspection(
        share=_amount(cosine, place, window),
        norm_share=_amount(norm, place, window),
        push=_amount(pushes_of(cosine, norm), place, window),
        change=float(without.cosine_change[0, 0]),
        score_share=_amount(parts, place, window),
        score_change=float(without.change[0, 0]),
        n_flipped=int(without.flipped[0, 0]),
        n_gates=parts.gates.shape[1],
        norm_before=float(parts.norm[0]),
        norm_after=float(without.norm[0, 0]),
        is_of_tokens=subject.is_of_tokens,
        is_patch=place is None,
        is_exact=not parts.left,
    )


def _amount(parts: Decomposition, place: WindowPlace | None, window: int) -> float:
    """The numbers of a window in all slots that hold it, or those of a patch in all slots, of one image."""
    if place is None:
        return float(sum(slot.tokens[0, window] for slot in parts.slots if slot is not None))
    return float(sum(parts.slot(i).windows[0, window] for i in place.held))
