"""Where the similarity of two rows of a table comes from: CLS, windows and biases of every modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.decomposition import Decomposition, decompose_pair
from mswin_viz.analysis.embedding_table import EmbeddingTable
from mswin_viz.analysis.panels import Panel
from mswin_viz.analysis.ranking import METRIC_WORDS
from mswin_viz.analysis.windows import WindowGeometry, describe, windows
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.model.image_tags import ImageTag
from mswin_viz.model.token_cache import TokenCache

if TYPE_CHECKING:
    from jaxtyping import Float

    from mswin_viz.model.backbone import Model

__all__ = ["PairShares", "SideShares", "pair_panels", "pair_window_shares"]


@dataclass(frozen=True, eq=False)
class SideShares:
    """One image's part in the similarity, in one modality.

    Attributes
    ----------
    cls, bias
        Shares of the CLS token and of all biases.
    windows
        Scale -> one share for each window.
    geometry
        Scale -> which tokens the windows cover.
    fused
        Share of each patch token through the windows of all scales together, ``[N]``.
    total
        Their sum: this modality's part of the similarity.
    """

    cls: float
    bias: float
    windows: Mapping[int, Float[np.ndarray, " window"]]
    geometry: Mapping[int, WindowGeometry]
    fused: Float[np.ndarray, " token"]
    total: float


@dataclass(frozen=True, eq=False)
class PairShares:
    """The cosine of two rows' enhanced features, split from either side.

    Attributes
    ----------
    a, b
        Modality -> shares of that row's image; over all modalities either adds up to ``similarity``.
    similarity
        The cosine, from tokens, computed on its own in float64.
    plain_similarity
        The cosine of the plain features: another number than the CLS shares.
    residual
        The larger of the two sides' |sum of shares - similarity|, over the sum of the shares' sizes; rounding.
    table_similarity
        The cosine of the table's own rows; it differs where the table was made with another model.
    grid
        Rows and columns of patch tokens.
    metric
        By what the table's rows are ranked; the shares split the cosine in either case.
    """

    a: Mapping[str, SideShares]
    b: Mapping[str, SideShares]
    similarity: float
    plain_similarity: float
    residual: float
    table_similarity: float
    grid: tuple[int, int]
    metric: str = "cosine"

    @property
    def note(self) -> str:
        """A note where the ranking is not by the cosine that is split; else empty."""
        if self.metric == "cosine":
            return ""
        return (
            f"The ranking is by {METRIC_WORDS[self.metric]} of raw features; what is split here is the cosine of "
            "the pair, "
            "which may order images differently."
        )

    @property
    def scales(self) -> tuple[int, ...]:
        """Scales with windows, in fusion order."""
        return tuple(next(iter(self.a.values())).windows)


def pair_window_shares(
    model: Model,
    table: EmbeddingTable,
    a: int,
    b: int,
    *,
    kept: TokenCache | None = None,
    stop: Callable[[], bool] | None = None,
) -> PairShares:
    """Split the similarity of two rows exactly, first over the windows of ``a``, then over those of ``b``.

    For joined modalities the cosine is a sum over modalities of ``a_m . b_m / (|a| |b|)``, with ``|a|`` and
    ``|b|`` of the joint features; each term is split as in :func:`mswin_viz.analysis.decomposition.decompose_pair`
    (norms frozen). With equalised modalities each term is the modality's own cosine over their number.

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

    Raises
    ------
    OptionError
        If a row is none, their modalities differ, or the add-on's shares are not exact (scheme 2).
    ImageFileError, ImageError
        If an image can no longer be read.
    StoppedError
        If ``stop`` said so.
    """
    modalities = _checked_pair(table, a, b)
    kept = TokenCache(model) if kept is None else kept
    tokens = {}
    for row in (a, b):
        for name in modalities:
            if stop is not None and stop():
                raise StoppedError("the shares of a pair were stopped before they were done")
            tokens[row, name] = kept.picture(
                table.files[row][name], ImageTag(name, int(table.camid[row]))
            ).tokens
    pairs = {name: decompose_pair(tokens[a, name], tokens[b, name], model.addon) for name in modalities}
    enhanced = {name: (pair.a.enhanced[0], pair.b.enhanced[0]) for name, pair in pairs.items()}
    plain = {
        name: tuple(tokens[row, name].cls[0].double().cpu().numpy() for row in (a, b)) for name in modalities
    }
    n_tokens = model.grid[0] * model.grid[1]
    weights, similarity = _weights(enhanced, table.is_equalised)
    sides = {
        side: {name: _side(getattr(pairs[name], side), weights[name], n_tokens) for name in modalities}
        for side in ("a", "b")
    }
    return PairShares(
        **sides,
        similarity=similarity,
        plain_similarity=_weights(plain, table.is_equalised)[1],
        residual=max(_residual(side, similarity) for side in sides.values()),
        table_similarity=float(table.unit("enhanced")[a] @ table.unit("enhanced")[b]),
        grid=model.grid,
        metric=table.metric,
    )


def pair_panels(shares: PairShares, modalities: Sequence[str] | None = None) -> tuple[Panel, ...]:
    """A panel for each scale, and one of all scales together; rows are ``a`` and ``b`` of each modality in turn.

    None without an add-on. All modalities if they are None.
    """
    names = tuple(shares.a) if modalities is None else modalities
    sides = [side[name] for name in names for side in (shares.a, shares.b)]
    panels = []
    for scale in shares.scales:
        geometry = sides[0].geometry[scale]
        origin = "fallback" if scale > geometry.n_tokens else "trained"
        values = np.stack([side.windows[scale] for side in sides])
        panels.append(
            Panel(f"scale-{scale}", f"scale {scale}", origin, geometry, values, "share", describe(geometry))
        )
    if panels:
        values = np.stack([side.fused for side in sides])
        words = "each patch's share, through all scales together"
        panels.append(Panel("fused", "all scales", "", windows(shares.grid, 1), values, "share", words))
    return tuple(panels)


def _checked_pair(table: EmbeddingTable, a: int, b: int) -> tuple[str, ...]:
    for row in (a, b):
        if not 0 <= row < len(table):
            raise OptionError(f"a pair is two of the table's rows 0..{len(table) - 1}: got {a} and {b}")
    first, second = (tuple(table.files[row]) for row in (a, b))
    if first != second:
        raise OptionError(
            f"a pair has the same modalities on either side: got {'+'.join(first)} and {'+'.join(second)}"
        )
    return first


def _weights(
    features: Mapping[str, tuple[np.ndarray, np.ndarray]], is_equalised: bool
) -> tuple[dict[str, float], float]:
    """What each modality's own cosine counts for, and the joint cosine, computed from the joint vectors."""
    lengths = {name: [float(np.linalg.norm(some)) for some in pair] for name, pair in features.items()}
    joint = []
    for side in (0, 1):
        parts = [
            pair[side] / lengths[name][side] if is_equalised else pair[side]
            for name, pair in features.items()
        ]
        joint.append(np.concatenate(parts))
    size = np.linalg.norm(joint[0]) * np.linalg.norm(joint[1])
    weights = {
        name: 1 / len(features) if is_equalised else float(own[0] * own[1] / size)
        for name, own in lengths.items()
    }
    return weights, float(joint[0] @ joint[1] / size)


def _side(shares: Decomposition, weight: float, n_tokens: int) -> SideShares:
    """Shares of one modality's cosine, as parts of the joint one."""
    slots = [slot for slot in shares.slots if slot is not None]
    windows = {scale: weight * values[0] for scale, values in shares.windows.items()}
    cls, bias = weight * float(shares.cls[0]), weight * float(shares.bias[0])
    total = cls + bias + sum(float(values.sum()) for values in windows.values())
    geometry = {slot.slot.scale: slot.geometry for slot in slots}
    fused = weight * sum((some[0] for some in shares.tokens.values()), start=np.zeros(n_tokens))
    return SideShares(cls, bias, windows, geometry, fused, total)


def _residual(side: Mapping[str, SideShares], similarity: float) -> float:
    total = sum(some.total for some in side.values())
    size = sum(
        abs(some.cls) + abs(some.bias) + sum(float(np.abs(values).sum()) for values in some.windows.values())
        for some in side.values()
    )
    return abs(total - similarity) / max(size, np.finfo(float).tiny)
