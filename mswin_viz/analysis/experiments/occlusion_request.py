"""What is asked of occlusion curves, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mswin_viz.analysis.arrays import check_counts, real_numbers
from mswin_viz.analysis.embeddings.batch import Encoding, EncodingOptions
from mswin_viz.analysis.experiments.occluded_images import SIDES, Fill, checked_fill
from mswin_viz.analysis.measures.matching import check_rule
from mswin_viz.analysis.measures.null_features import KINDS
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.progress import Report, Stop
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.own import AddonSource
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.training.heads import Head

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MASKED = ("query", "both")
"""Whose pictures are covered: the queries' (a person half hidden, looked for among whole ones), or all."""
FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
Other = Model | Head | AddonSource
"""A model with the same tower, a head of the ablation, or an add-on."""


class OcclusionOptions(EncodingOptions, total=False):
    """Options of `occlusion_curves` by keyword; see there."""

    fractions: ArrayLike
    side: str
    masked: str
    fill: Fill
    modalities: Sequence[str]
    rule: str | None
    controls: bool | Sequence[str]
    null_seeds: int
    others: Mapping[str, Other]
    draws: int
    flips: int
    seed: int
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True, kw_only=True)
class OcclusionRequest(Encoding):
    """`OcclusionOptions` with their defaults, checked."""

    fractions: Any = FRACTIONS
    side: str = "bottom"
    masked: str = "query"
    fill: Any = "mean"
    modalities: Sequence[str] = MODALITIES
    rule: str | None = None
    controls: Any = True
    null_seeds: int = 3
    others: Mapping[str, Other] = field(default_factory=dict)
    draws: int = 2000
    flips: int = 10_000
    seed: int = 0
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(1, draws=self.draws, flips=self.flips, null_seeds=self.null_seeds)
        check_counts(0, seed=self.seed)
        for name, value, choices in (("side", self.side, SIDES), ("masked", self.masked, MASKED)):
            if value not in choices:
                raise OptionError(f"{name} is one of {', '.join(choices)}: got {value!r}")
        if self.rule is not None:
            check_rule(self.rule)
        unknown = [name for name in self.modalities if name not in MODALITIES]
        if unknown or not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise OptionError(
                f"modalities are some of {', '.join(MODALITIES)}, each once: got {tuple(self.modalities)}"
            )
        object.__setattr__(self, "fill", checked_fill(self.fill))
        object.__setattr__(self, "fractions", _checked_fractions(self.fractions))
        object.__setattr__(self, "controls", _checked_kinds(self.controls))

    @property
    def n_nulls(self) -> int:
        """How many nulls there are of an add-on."""
        return sum(1 if kind == "mean" else self.null_seeds for kind in self.controls)

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """Each modality alone, and all of them joined."""
        alone = [(name,) for name in self.modalities]
        return [*alone, tuple(self.modalities)] if len(alone) > 1 else alone


def _checked_fractions(fractions: Any) -> tuple[float, ...]:
    found = real_numbers(fractions, "fractions").ravel().tolist()
    if not found or not all(0 <= one < 1 for one in found) or sorted(set(found)) != found:
        raise OptionError(
            f"fractions of the rows are at least 0 and below 1, ascending, each once: got {fractions!r:.80}"
        )
    return tuple(found)


def _checked_kinds(controls: Any) -> tuple[str, ...]:
    kinds = {True: KINDS, False: ()}.get(controls) if isinstance(controls, bool) else tuple(controls)
    if kinds is None or any(kind not in KINDS for kind in kinds):
        raise OptionError(f"controls are True, False or some of {', '.join(KINDS)}: got {controls!r:.80}")
    return kinds
