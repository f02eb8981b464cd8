"""What a part does to a cosine: its share, its share of the norm, and the net push that is left of the two.

With ``e`` the sum of parts ``p`` and ``c = v . e / |e|`` for a unit ``v``: a part's share is ``v . p / |e|``, they add up to
``c``; its share of the norm is ``e . p / |e|^2``, they add up to 1; its net push is share minus ``c`` times share of the norm,
they add up to 0. The push is how the cosine would move if a little more of the part were added, everything in the add-on
held: it is the part's share along the gradient of the cosine. A part may have a positive share and a negative push: it
points along ``v``, but less than the rest does, so that its length costs more than its direction gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from mswin_viz.analysis.shares.addon_map import AddonState
from mswin_viz.analysis.shares.decomposition import Decomposition, decomposed, direction_of_each
from mswin_viz.analysis.shares.fusion_weights import fusion_weights, no_windows
from mswin_viz.analysis.shares.slots import SlotShares
from mswin_viz.model.tokens.tokens import Tokens, are_tokens

if TYPE_CHECKING:
    from jaxtyping import Float


def net_pushes(
    tokens: Tokens, addon: nn.Module | None, direction: Float[np.ndarray, "*batch dim"] | torch.Tensor
) -> Decomposition:
    """The net push of every part on the cosine with a direction; exact, and they add up to 0.

    Its sign is that of a small change: more of a part with a positive push raises the cosine.

    Parameters
    ----------
    tokens, addon, direction
        As in :func:`decompose`.

    Returns
    -------
    pushes
        A :class:`Decomposition` whose ``score`` is 0: every part is a push, in units of the cosine; NaN where either vector
        is zero.

    Raises
    ------
    ShapeError
        If the direction does not fit the tokens, or is not finite.

    Examples
    --------
    >>> pushes = mv.net_pushes(tokens, model.addon, text)
    >>> total = pushes.cls + pushes.bias + sum(part.sum(axis=1) for part in pushes.windows.values())
    >>> bool(np.abs(total).max() < 1e-9)  # together they push nowhere
    True
    >>> removed = mv.remove_each_window(tokens, mv.fusion_weights(model.addon), text, 2)
    >>> bool((np.sign(removed.cosine_change) == -np.sign(pushes.windows[16])).mean() > 0.9)
    True
    """
    state = _run(tokens, addon)
    weights = None if addon is None else fusion_weights(addon)
    cosine = decomposed(state, direction_of_each(direction, tokens, weights)).cosine()
    return pushes_of(cosine, shares_of_norm(state))


def norm_shares(tokens: Tokens, addon: nn.Module | None) -> Decomposition:
    """What every part gives to the length of the enhanced CLS, as a fraction; exact, and they add up to 1.

    Parameters
    ----------
    tokens, addon
        As in :func:`decompose`.

    Returns
    -------
    shares
        A :class:`Decomposition` whose ``score`` is 1, unit-free; NaN where the enhanced CLS is zero.

    Raises
    ------
    ShapeError
        If the tokens do not fit the add-on.

    Examples
    --------
    >>> shares = mv.norm_shares(tokens, model.addon)
    >>> total = shares.cls + shares.bias + sum(part.sum(axis=1) for part in shares.windows.values())
    >>> total.round(6).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    return shares_of_norm(_run(tokens, addon))


def shares_of_norm(state: AddonState) -> Decomposition:
    """:func:`norm_shares` of what the add-on computed."""
    return decomposed(state, state.enhanced).cosine()


def pushes_of(cosine: Decomposition, norm: Decomposition) -> Decomposition:
    """Net pushes from shares of the cosine and shares of the norm, of the same parts."""
    c = cosine.score

    def push(share: np.ndarray, of_norm: np.ndarray) -> np.ndarray:
        return share - (c[:, None] if share.ndim == 2 else c) * of_norm

    def slot_push(share: SlotShares | None, of_norm: SlotShares | None) -> SlotShares | None:
        if share is None or of_norm is None:
            return None
        names = ("windows", "tokens", "bias")
        return replace(share, **{name: push(getattr(share, name), getattr(of_norm, name)) for name in names})

    single = ("score", "cls", "bias", "outside", "unexplained")
    return replace(
        cosine,
        **{name: push(getattr(cosine, name), getattr(norm, name)) for name in single},
        windows={scale: push(shares, norm.windows[scale]) for scale, shares in cosine.windows.items()},
        tokens={scale: push(shares, norm.tokens[scale]) for scale, shares in cosine.tokens.items()},
        slots=tuple(slot_push(*pair) for pair in zip(cosine.slots, norm.slots, strict=True)),
        residual=np.maximum(cosine.residual, norm.residual),
        left=tuple(sorted({*cosine.left, *norm.left})),
    )


def cosine_gradient(
    enhanced: Float[np.ndarray, "*batch wide"], v: Float[np.ndarray, "*broadcast wide"]
) -> Float[np.ndarray, "*batch wide"]:
    """How the cosine with ``v`` moves with the enhanced CLS: ``(v / |v| - c e / |e|) / |e|``.

    The share of a score along it is the net push. NaN where either vector is zero.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        norm = np.linalg.norm(enhanced, axis=-1, keepdims=True)
        unit, along = enhanced / norm, v / np.linalg.norm(v, axis=-1, keepdims=True)
        return (along - (along * unit).sum(axis=-1, keepdims=True) * unit) / norm


def _run(tokens: Tokens, addon: nn.Module | None) -> AddonState:
    weights = no_windows(are_tokens(tokens).cls.shape[1]) if addon is None else fusion_weights(addon)
    return weights.run(tokens)
