"""Where the similarity of two rows of a table comes from: CLS, windows and biases of every modality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.embeddings.given import of_table
from mswin_viz.analysis.embeddings.pair_record import PairShares, SideShares
from mswin_viz.analysis.embeddings.pair_values import joint_cosine, pair_values
from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.scales.panels import Panel, token_panel
from mswin_viz.analysis.shares.decomposition import Decomposition, decomposed
from mswin_viz.analysis.shares.fusion import float64
from mswin_viz.analysis.shares.fusion_weights import fusion_weights, no_windows
from mswin_viz.analysis.windows.geometry import describe_windows, windows
from mswin_viz.data.images.image_source import joined_name
from mswin_viz.data.progress import Stop
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.encoder.image_tags import ImageTag
from mswin_viz.model.encoder.token_cache import TokenCache
from mswin_viz.model.tokens.tokens import Tokens

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.model.encoder.backbone import Model

_OF_WINDOWS = {
    "removal": "what the cosine of the two changes by when the window's term is removed, joint norm and gates computed again",
    "push": "share minus cosine times share of the joint norm; all parts of an image together push by 0",
    "share": "",
}
_OF_PATCHES = {
    "removal": "what the cosine of the two changes by when the patch is removed, joint norm and gates computed again",
    "push": "each patch's {exact}net push on the cosine",
    "share": "each patch's {exact}share of the cosine",
}


def pair_window_shares(
    model: Model,
    table: EmbeddingTable,
    a: int,
    b: int,
    *,
    kept: TokenCache | None = None,
    stop: Stop | None = None,
) -> PairShares:
    """Split the similarity of two rows exactly, first over the windows of ``a``, then over those of ``b``.

    For joined modalities the cosine is a sum over modalities of ``a_m . b_m / (|a| |b|)``, with ``|a|`` and ``|b|`` of
    the joint features; each term is split as in :func:`mswin_viz.decompose` (norms frozen). With equalised modalities
    each term is the modality's own cosine over their number.

    Parameters
    ----------
    model
        The one that made the table.
    table, a, b
        The table, and two of its rows: query and gallery, of the same modalities.
    kept
        Where tokens of earlier calls are kept; those of the model's open views if None.
    stop
        Asked before each image; true ends the work.

    Returns
    -------
    shares
        The cosine split from either side, window by window and scale by scale.

    Raises
    ------
    OptionError
        If there is no such row, or the modalities differ.
    ImageFileError, ImageError
        If an image can no longer be read.
    StoppedError
        If ``stop`` returned true.

    Examples
    --------
    >>> table = mv.embed(model, samples[:4], progress=False)
    >>> pair = mv.pair_window_shares(model, table.concatenated(), 0, 3)  # all three modalities together
    >>> list(pair.a), pair.grid
    (['RGB', 'NI', 'TI'], (16, 8))
    >>> bool(np.isclose(pair.similarity, pair.table_similarity, atol=1e-5))
    True
    """
    checked_model(model)
    of_table(table)
    modalities = _checked_pair(table, a, b)
    kept = TokenCache(model) if kept is None else kept
    tokens: dict[tuple[int, str], Tokens] = {}
    for row in (a, b):
        for name in modalities:
            if stop is not None and stop():
                raise StoppedError("the shares of a pair were stopped before they were done")
            tag = ImageTag(name, int(table.camid[row]))
            tokens[row, name] = kept.picture(table.files[row][name], tag).tokens
    weights = no_windows(model.dim) if model.addon is None else fusion_weights(model.addon)
    states = [{name: weights.run(tokens[row, name]) for name in modalities} for row in (a, b)]
    enhanced = {name: (states[0][name].enhanced[0], states[1][name].enhanced[0]) for name in modalities}
    plain = {name: (float64(tokens[a, name].cls[0]), float64(tokens[b, name].cls[0])) for name in modalities}
    scales = None if model.addon is None else weights.scales
    similarity = _joint_cosine(enhanced, table.is_equalised)
    halves = [
        {name: (_as_wide(plain[name][i], enhanced[name][i]), enhanced[name][1 - i]) for name in modalities}
        for i in (0, 1)
    ]
    counts, sides, left = _modality_weights(enhanced, table.is_equalised), {}, set()
    for i, side in enumerate(("a", "b")):
        other = {name: enhanced[name][1 - i] for name in modalities}
        splits = {name: decomposed(states[i][name], other[name][None]).cosine() for name in modalities}
        values = pair_values(states[i], other, scales, is_equalised=table.is_equalised)
        sides[side] = {
            name: replace(_side(splits[name], counts[name], scales, halves[i][name]), **values[name])
            for name in modalities
        }
        left |= {name for split in splits.values() for name in split.left}
    lengths = [_lengthening([(plain[name][i], enhanced[name][i]) for name in modalities]) for i in (0, 1)]
    return PairShares(
        **sides,
        similarity=similarity,
        plain_similarity=_joint_cosine(plain, table.is_equalised),
        residual=max(_residual(side, similarity) for side in sides.values()),
        table_similarity=float(table.unit("enhanced")[a] @ table.unit("enhanced")[b]),
        grid=model.grid,
        metric=table.metric,
        half_plain=(
            _joint_cosine(halves[0], table.is_equalised),
            _joint_cosine(halves[1], table.is_equalised),
        ),
        lengthening=None if table.is_equalised else (lengths[0], lengths[1]),
        left=tuple(sorted(left)),
    )


def pair_panels(
    shares: PairShares, modalities: Sequence[str] | None = None, *, value: str = "share"
) -> tuple[Panel, ...]:
    """A panel for each trained scale, and the fused one; rows are ``a`` and ``b`` of each modality in turn.

    A module that is not made of windows has the fused one alone; there are no panels without an add-on.

    Parameters
    ----------
    modalities
        All of them if None.
    value
        ``"share"`` of the similarity; net ``"push"`` on it; or ``"removal"``, what it changes by when a window of one image
        is removed. Raises OptionError for another one.
    """
    names = tuple(shares.a) if modalities is None else modalities
    sides = [side[name] for name in names for side in (shares.a, shares.b)]
    numbers = [side.values(value) for side in sides if side.fused is not None]
    if not numbers:
        return ()
    panels = []
    for scale in shares.scales:
        geometry = sides[0].geometry[scale]
        origin = "fallback" if scale > geometry.n_tokens else "trained"
        each = np.stack([one.windows[scale] for one in numbers])
        words = "; ".join(filter(None, (describe_windows(geometry), _OF_WINDOWS[value])))
        panels.append(Panel(f"scale-{scale}", f"scale {scale}", origin, geometry, each, value, words))
    through = "all slots of the fusion together" if panels else "an add-on that has no scales"
    words = f"{_OF_PATCHES[value].format(exact='' if shares.left else 'exact ')}, through {through}"
    fused = np.stack([one.fused for one in numbers if one.fused is not None])
    return (*panels, token_panel("fused", "fused", windows(shares.grid, 1), fused, value, words))


def _checked_pair(table: EmbeddingTable, a: int, b: int) -> tuple[str, ...]:
    for row in (a, b):
        if not isinstance(row, (int, np.integer)) or not 0 <= row < len(table):
            raise OptionError(
                f"a pair is two of the table's rows 0..{len(table) - 1}: got {a!r:.80} and {b!r:.80}"
            )
    first, second = (tuple(table.files[row]) for row in (a, b))
    if first != second:
        raise OptionError(
            f"both rows of a pair must have the same modalities: got {joined_name(first)} and {joined_name(second)}"
        )
    return first


def _joint_cosine(features: Mapping[str, tuple[np.ndarray, np.ndarray]], is_equalised: bool) -> float:
    """The cosine of the pair's joint vectors."""
    first, second = ({name: pair[side] for name, pair in features.items()} for side in (0, 1))
    return float(joint_cosine(first, second, is_equalised=is_equalised))


def _modality_weights(
    features: Mapping[str, tuple[np.ndarray, np.ndarray]], is_equalised: bool
) -> dict[str, float]:
    """What each modality's cosine counts for in the joint one; they add up to at most one."""
    norms = {
        name: [float(np.linalg.norm(side) / _norm(side, is_equalised)) for side in pair]
        for name, pair in features.items()
    }
    size = math.prod(float(np.linalg.norm([pair[side] for pair in norms.values()])) for side in (0, 1))
    return {name: math.prod(pair) / size for name, pair in norms.items()}


def _norm(feature: Float[np.ndarray, " dim"], is_equalised: bool) -> float:
    """What a modality's feature is divided by before it is joined."""
    return float(np.linalg.norm(feature)) if is_equalised else 1.0


def _as_wide(plain: Float[np.ndarray, " dim"], enhanced: Float[np.ndarray, " wide"]) -> np.ndarray:
    """A plain feature beside an enhanced one: zero where an add-on's feature stands behind it."""
    return np.pad(plain, (0, len(enhanced) - len(plain)))


def _lengthening(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Norm of the joint enhanced feature over that of the joint plain one."""
    plain, enhanced = (float(np.linalg.norm(np.concatenate(side))) for side in zip(*pairs, strict=True))
    return enhanced / plain if plain else 1.0


def _side(
    shares: Decomposition,
    weight: float,
    scales: tuple[int, ...] | None,
    half: tuple[np.ndarray, np.ndarray],
) -> SideShares:
    """Shares of one modality's cosine, as parts of the joint one; ``scales`` are the trained ones, None without an add-on.

    ``half``: the image's own plain feature, and the other's enhanced one.
    """
    alone = float(half[0] @ half[1] / (shares.norm[0] * np.linalg.norm(half[1])))
    geometry = {slot.slot.scale: slot.geometry for slot in shares.slots if slot is not None}
    of_tokens = [values[0] for values in shares.tokens.values()]
    return SideShares(
        cls=weight * float(shares.cls[0]),
        bias=weight * float(shares.bias[0]),
        windows={scale: weight * shares.windows[scale][0] for scale in scales or ()},
        geometry={scale: geometry[scale] for scale in scales or ()},
        fused=None if scales is None else weight * np.sum(of_tokens, axis=0),
        outside=weight * float(shares.outside[0]),
        unexplained=weight * float(shares.unexplained[0]),
        through=weight * (float(shares.cls[0]) - alone),
        lengthening=float(shares.norm[0] / shares.plain_norm[0]) if shares.plain_norm[0] else 1.0,
    )


def _residual(side: Mapping[str, SideShares], similarity: float) -> float:
    total, size = (sum(getattr(shares, name) for shares in side.values()) for name in ("total", "size"))
    return abs(total - similarity) / max(size, np.finfo(float).tiny)
