"""One window inspected: its exact share, its share of the norm, the net push of the two, and what changes without it."""

from __future__ import annotations

from dataclasses import dataclass

from mswin_viz.analysis.scales.request import Subject
from mswin_viz.analysis.scales.view import ScaleView
from mswin_viz.analysis.shares.decomposition import decomposed, direction_of_each
from mswin_viz.analysis.shares.net_push import pushes_of, shares_of_norm
from mswin_viz.analysis.shares.window_removal import remove_window
from mswin_viz.errors import OptionError


@dataclass(frozen=True)
class WindowInspection:
    """What one window of one image does to the cosine.

    ``share`` is its part of the cosine at the present norm, ``norm_share`` its part of that norm, and ``push`` the share
    minus the cosine times the share of the norm: exact, unless the cosine has an unexplained part (``is_exact``).
    ``change`` is what the cosine changes by when the window is taken away: norm and gates are computed again.
    ``score_...`` are share and change of ``v . enhanced``, where the norm plays no part. ``n_flipped`` of ``n_gates``
    ReLU gates open or close; the norms are those of the enhanced CLS with and without the window. ``is_of_tokens``: the
    window is a group of tokens of a module that is not made of windows; without it they are zero.
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
    is_exact: bool = True
    norm_share: float = 0.0
    push: float = 0.0


def inspected_window(
    subject: Subject, view: ScaleView, key: str, image: int, window: int
) -> WindowInspection:
    """Share of a window of a panel, and what its removal changes.

    The panel has windows: it is a trained scale that is on, or the free one (as it stands in the fusion, or as if it
    replaced the nearest scale); of a module that is not made of windows, any panel of its tokens. Raises OptionError if
    there is no such window or its slot is off.
    """
    place = view.places.get(view.panel(key).key)
    if place is None and key.startswith("scale-"):
        raise OptionError(f"{view.panel(key).title} is not in the fusion now; switch its slot on")
    if place is None or subject.weights is None:
        raise OptionError(f"only a window of a scale can be removed: got a patch of the panel {key!r}")
    if not 0 <= image < len(subject.tokens):
        raise OptionError(f"an image is one of 0..{len(subject.tokens) - 1}: got {image}")
    index, slots = place
    direction = subject.direction if subject.direction.ndim == 1 else subject.direction[image]
    alone = subject.tokens[image]
    without = remove_window(alone, subject.weights, direction, index, window, slots=slots)
    state = subject.weights.run(alone, slots)
    parts = decomposed(state, direction_of_each(direction, alone, subject.weights))
    cosine, norm = parts.cosine(), shares_of_norm(state)
    return WindowInspection(
        share=float(cosine.slot(index).windows[0, window]),
        norm_share=float(norm.slot(index).windows[0, window]),
        push=float(pushes_of(cosine, norm).slot(index).windows[0, window]),
        change=float(without.cosine_change[0]),
        score_share=float(parts.slot(index).windows[0, window]),
        score_change=float(without.change[0]),
        n_flipped=int(without.flipped[0]),
        n_gates=parts.gates.shape[1],
        norm_before=float(parts.norm[0]),
        norm_after=float(without.norm[0]),
        is_of_tokens=subject.is_of_tokens,
        is_exact=not parts.left,
    )
