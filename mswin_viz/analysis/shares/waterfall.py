"""From the plain cosine to the enhanced one, step by step: what the change of the norm takes, and what each part adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mswin_viz.analysis.shares.decomposition import Decomposition

Kind = Literal["other", "norm", "cls", "windows", "outside", "bias", "unexplained"]


@dataclass(frozen=True)
class Step:
    """What moves the cosine, and by how much.

    ``"other"``: the other image of a pair gets its add-on; ``"norm"``: the CLS token is divided by the enhanced CLS's norm
    in place of its own; ``"cls"``: what the CLS token gives through a module that reads it; the rest are parts of the enhanced CLS. ``name`` tells those of a kind apart: what the windows are
    called, and, of joined modalities, which one it is.
    """

    kind: Kind
    value: float
    name: str = ""


@dataclass(frozen=True)
class Waterfall:
    """``plain`` plus all steps is ``enhanced``.

    Attributes
    ----------
    plain, enhanced
        The cosine of the plain CLS and of the enhanced one.
    before
        Steps to the CLS token's share of the enhanced cosine.
    parts
        Steps from there: the shares of all other parts.
    lengths
        Norm of the enhanced CLS over that of the plain one; of several modalities that are normalised one by one, each.
    """

    plain: float
    before: tuple[Step, ...]
    parts: tuple[Step, ...]
    enhanced: float
    lengths: tuple[float, ...] = (1.0,)

    @property
    def cls(self) -> float:
        """The CLS token's share: the plain cosine at the enhanced norm."""
        return self.plain + sum(step.value for step in self.before)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them, in order."""
        return (*self.before, *self.parts)

    @property
    def by_kind(self) -> Mapping[Kind, float]:
        """What all steps of a kind do together."""
        sums: dict[Kind, float] = {}
        for step in self.steps:
            sums[step.kind] = sums.get(step.kind, 0.0) + step.value
        return sums


def cosine_waterfall(
    cosine: Decomposition, image: int, names: Sequence[str], plain: float, *, pair: float | None = None
) -> Waterfall:
    """The waterfall of one image, from its shares of the cosine.

    Parameters
    ----------
    cosine
        :meth:`mswin_viz.Decomposition.cosine`.
    image
        Which of the batch.
    names
        What each slot is called; of a module that is not made of windows, its tokens.
    plain
        The cosine of the plain CLS with the direction.
    pair
        Of a pair, whose direction is the other image's enhanced CLS: the cosine of both plain ones.
    """
    cls, norm, plain_norm = (float(x[image]) for x in (cosine.cls, cosine.norm, cosine.plain_norm))
    at_norm = plain * plain_norm / norm if norm else 0.0
    before = [] if pair is None else [Step("other", plain - pair)]
    before += [Step("norm", at_norm - plain), *cls_steps(cls - at_norm, cls)]
    slots = zip(cosine.slots, names, strict=True)
    kinds = ("outside", "unexplained")
    outside, unexplained = (Step(kind, float(getattr(cosine, kind)[image])) for kind in kinds)
    parts = [
        *(Step("windows", float(s.windows[image].sum()) if s else 0.0, name) for s, name in slots),
        *([outside] if outside.value else []),
        Step("bias", float(cosine.bias[image])),
        *([unexplained] if unexplained.value else []),
    ]
    return Waterfall(
        plain=plain if pair is None else pair,
        before=tuple(before),
        parts=tuple(parts),
        enhanced=float(cosine.score[image]),
        lengths=(norm / plain_norm if plain_norm else 1.0,),
    )


def cls_steps(through: float, cls: float) -> list[Step]:
    """The step of what the CLS token gives through a module; none where that is rounding."""
    return [Step("cls", through)] if abs(through) > 1e-9 * max(1.0, abs(cls)) else []
