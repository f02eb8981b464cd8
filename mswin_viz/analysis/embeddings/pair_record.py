"""What each of two images gives to the similarity of their features, and the way from the plain one to the enhanced one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mswin_viz.analysis.measures.ranking import METRIC_WORDS
from mswin_viz.analysis.shares.waterfall import Step, Waterfall, cls_steps
from mswin_viz.analysis.windows.geometry import WindowGeometry
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class SideValues:
    """One number for each window of each trained scale, and for each patch token; None without an add-on."""

    windows: Mapping[int, Float[np.ndarray, " window"]]
    fused: Float[np.ndarray, " token"] | None


@dataclass(frozen=True, eq=False)
class SideShares:
    """What one image gives to the similarity, in one modality.

    Attributes
    ----------
    cls, bias
        Shares of the CLS token and of all biases.
    windows, geometry
        By trained scale: the share of each window, and which tokens it covers. Empty for a module that is not made of
        windows, and without an add-on.
    fused
        Share of each patch token through the whole add-on, ``[N]``; None without an add-on.
    outside
        Share of the patch tokens that no window covers; zero where only windows are read.
    unexplained
        What an operation of a module adds that could not be held; zero where the shares add up without it.
    lengthening
        Norm of the image's enhanced feature over that of its plain one.
    through
        Of ``cls``, what the CLS token gives through a module that reads it.
    push, removal
        The net push on the similarity of every window and patch token, and what the similarity changes by when one is
        removed, joint norm and gates computed again.
    """

    cls: float
    bias: float
    windows: Mapping[int, Float[np.ndarray, " window"]]
    geometry: Mapping[int, WindowGeometry]
    fused: Float[np.ndarray, " token"] | None
    outside: float = 0.0
    unexplained: float = 0.0
    lengthening: float = 1.0
    through: float = 0.0
    push: SideValues | None = None
    removal: SideValues | None = None

    def values(self, value: str) -> SideValues:
        """``"share"``, ``"push"`` or ``"removal"`` of every window and patch token. Raises OptionError for another one."""
        values = {"share": SideValues(self.windows, self.fused), "push": self.push, "removal": self.removal}
        chosen = values.get(value)
        if chosen is None:
            have = ", ".join(name for name, numbers in values.items() if numbers is not None)
            raise OptionError(
                f"a value of a pair's windows is one of {have}: got {value!r}; choose one of these"
            )
        return chosen

    @property
    def parts(self) -> dict[str, float]:
        """Everything that adds up, in order: ``"cls"``, ``"scale-4"``, ... or ``"tokens"``, ``"outside"``, ``"bias"``, ``"unexplained"``.

        What lies outside windows, and what is unexplained, is left out where it is zero.
        """
        parts = {"cls": self.cls} | {f"scale-{scale}": float(w.sum()) for scale, w in self.windows.items()}
        if self.fused is not None and not self.windows:
            parts["tokens"] = float(self.fused.sum())
        if self.outside:
            parts["outside"] = self.outside
        parts["bias"] = self.bias
        if self.unexplained:
            parts["unexplained"] = self.unexplained
        return parts

    @property
    def size(self) -> float:
        """The sum of the sizes of all shares, by which rounding is judged."""
        single = (self.cls, self.bias, self.outside, self.unexplained)
        fused = [] if self.fused is None else [self.fused]
        each = [np.abs(values).sum() for values in list(self.windows.values()) or fused]
        return float(sum(map(abs, single)) + sum(each))

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, eq=False)
class PairShares:
    """The cosine of two rows' enhanced features, split from either side.

    Attributes
    ----------
    a, b
        Modality -> shares of that row's image; over all modalities either adds up to ``similarity``.
    similarity
        The cosine, computed from the tokens in float64.
    plain_similarity
        The cosine of the plain features, which the CLS shares do not add up to.
    residual
        The larger of the two sides' ``|sum of parts - similarity|``, over the sum of the shares' sizes; rounding.
    table_similarity
        The cosine of the table's own rows; it differs where the table was made with another model.
    grid
        Rows and columns of patch tokens.
    metric
        By what the table's rows are ranked; the shares split the cosine in either case.
    left
        Names of a module's operations that are not linear and could not be held.
    half_plain
        The cosine of the plain features of ``a`` with the enhanced ones of ``b``, and the other way round.
    lengthening
        Norm of each row's joint enhanced feature over that of its joint plain one; None where each modality is brought to
        unit length on its own.

    Examples
    --------
    >>> table = mv.embed(model, samples[:4], modalities=["RGB"], progress=False)
    >>> pair = mv.pair_window_shares(model, table, 0, 2)
    >>> pair.scales, list(pair.a), bool(pair.residual < 1e-9)
    ((4, 8, 16), ['RGB'], True)
    >>> side = pair.a["RGB"]
    >>> {scale: shares.shape for scale, shares in side.windows.items()}
    {4: (32,), 8: (16,), 16: (8,)}
    """

    a: Mapping[str, SideShares]
    b: Mapping[str, SideShares]
    similarity: float
    plain_similarity: float
    residual: float
    table_similarity: float
    grid: tuple[int, int]
    metric: str = "cosine"
    left: tuple[str, ...] = ()
    half_plain: tuple[float, float] = (float("nan"), float("nan"))
    lengthening: tuple[float, float] | None = None

    def waterfall(self, side: Literal["a", "b"]) -> Waterfall:
        """From the plain cosine to the enhanced one, over the parts of one of the rows."""
        sides, which = (self.a, 0) if side == "a" else (self.b, 1)
        half, parts = self.half_plain[which], []
        for modality, shares in sides.items():
            lead = modality if len(sides) > 1 else ""
            for part, share in shares.parts.items():
                if part == "tokens" or part.startswith("scale-"):
                    parts.append(Step("windows", share, f"{lead} {part.replace('-', ' ')}".strip()))
                elif part in ("outside", "bias", "unexplained"):
                    parts.append(Step(part, share, lead))
        cls, through = (
            sum(getattr(shares, name) for shares in sides.values()) for name in ("cls", "through")
        )
        each = tuple(shares.lengthening for shares in sides.values())
        return Waterfall(
            plain=self.plain_similarity,
            before=(
                Step("other", half - self.plain_similarity),
                Step("norm", cls - through - half),
                *cls_steps(through, cls),
            ),
            parts=tuple(parts),
            enhanced=self.similarity,
            lengths=each if self.lengthening is None else (self.lengthening[which],),
        )

    @property
    def note(self) -> str:
        """Where the ranking is not by the cosine that is split, or a part of it is not explained; else empty."""
        notes = []
        if self.metric != "cosine":
            notes.append(
                f"The ranking is by {METRIC_WORDS[self.metric]} of raw features; the shares split the cosine of the pair, "
                "which may order images differently."
            )
        if any(side.unexplained for sides in (self.a, self.b) for side in sides.values()):
            notes.append(
                f"What {', '.join(self.left)} adds in this add-on is not linear in the tokens and cannot be held: it is "
                "“unexplained”, and no token's."
            )
        return " ".join(notes)

    @property
    def scales(self) -> tuple[int, ...]:
        """Trained scales, in fusion order; none of a module that is not made of windows, or without an add-on."""
        return tuple(next(iter(self.a.values())).windows)
