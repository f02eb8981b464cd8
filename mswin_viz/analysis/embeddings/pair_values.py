"""What the windows and patch tokens of one image do to its similarity with another: net push, and change when removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.pair_record import SideValues
from mswin_viz.analysis.shares.addon_map import AddonState, Without
from mswin_viz.analysis.shares.decomposition import decomposed
from mswin_viz.analysis.shares.net_push import cosine_gradient

if TYPE_CHECKING:
    from jaxtyping import Float

Features = Mapping[str, "Float[np.ndarray, '*batch wide']"]


def joint_cosine(
    a: Features, b: Mapping[str, Float[np.ndarray, " wide"]], *, is_equalised: bool
) -> Float[np.ndarray, "*batch"]:
    """The cosine of joint features, modality by modality; with ``is_equalised`` each is brought to unit length first.

    Of ``a`` there may be several alternatives of one modality, ``[n, D]``.
    """
    if is_equalised:
        a, b = ({name: _unit(x) for name, x in side.items()} for side in (a, b))
    dot = sum(a[name] @ b[name] for name in a)
    lengths = [np.sqrt(sum((x**2).sum(axis=-1) for x in side.values())) for side in (a, b)]
    size = lengths[0] * lengths[1]
    return np.divide(dot, size, out=np.full(np.shape(dot), np.nan), where=size > 0)


def pair_values(
    states: Mapping[str, AddonState],
    other: Mapping[str, Float[np.ndarray, " wide"]],
    scales: Sequence[int] | None,
    *,
    is_equalised: bool,
) -> dict[str, dict[str, SideValues]]:
    """``"push"`` and ``"removal"`` of one image's windows and patch tokens, by modality.

    A push is a part's share along the gradient of the joint cosine; over all parts of all modalities they add up to 0. A
    removal takes one part of one modality away.

    Parameters
    ----------
    states
        Modality -> the add-on at the image, a batch of one.
    other
        Modality -> the other image's enhanced feature.
    scales
        Trained scales, in fusion order; None without an add-on, where there are no values.
    is_equalised
        Whether each modality is brought to unit length before they are joined.
    """
    if scales is None:
        return {name: {} for name in states}
    own = {name: state.enhanced[0] for name, state in states.items()}
    along = _gradients(own, other, is_equalised=is_equalised)
    whole = joint_cosine(own, other, is_equalised=is_equalised)

    def changes(name: str, left: Without) -> Float[np.ndarray, " window"]:
        moved = {**own, name: left.enhanced[0]}
        return joint_cosine(moved, other, is_equalised=is_equalised) - whole

    return {
        name: {
            "push": _shares(state, along[name], scales),
            "removal": SideValues(
                {scale: changes(name, state.without_each((i,))) for i, scale in enumerate(scales)},
                changes(name, state.without_each_token()),
            ),
        }
        for name, state in states.items()
    }


def _shares(state: AddonState, v: Float[np.ndarray, " wide"], scales: Sequence[int]) -> SideValues:
    """Shares of the score along a direction."""
    slots = [slot for slot in decomposed(state, v[None]).slots if slot is not None]
    of_scales = {scale: slot.windows[0] for scale, slot in zip(scales, slots, strict=bool(scales))}
    return SideValues(of_scales, np.sum([slot.tokens[0] for slot in slots], axis=0))


def _gradients(
    own: Features, other: Features, *, is_equalised: bool
) -> dict[str, Float[np.ndarray, " wide"]]:
    """How the joint cosine moves with each modality's feature."""
    if is_equalised:
        return {name: cosine_gradient(x, other[name]) / len(own) for name, x in own.items()}
    whole = cosine_gradient(*(np.concatenate([side[name] for name in own]) for side in (own, other)))
    ends = np.cumsum([len(x) for x in own.values()])[:-1]
    return dict(zip(own, np.split(whole, ends), strict=True))


def _unit(x: Float[np.ndarray, "*batch wide"]) -> Float[np.ndarray, "*batch wide"]:
    """At unit length; NaN where it is zero."""
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(x, length, out=np.full_like(x, np.nan), where=length > 0)
