"""Which part of the add-on helps? Its variants, and controls without windows, on identities not trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from mswin_viz.analysis.experiments.ablation_heads import PLAIN, HeadRow, head_rows, own_rows, windows_name
from mswin_viz.analysis.experiments.head_costs import HeadCost, encode_seconds, head_cost
from mswin_viz.analysis.measures.head_retrieval import head_features, retrieved
from mswin_viz.data.progress import progress_bar
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.addon.own import AddonSource
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.training.fit import train_head
from mswin_viz.model.training.heads import Head
from mswin_viz.model.training.labelled_tokens import LabelledTokens, modality_classes
from mswin_viz.model.training.run import Schedule

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ABLATION_SCHEDULE = Schedule(200)
"""How each head is trained, so that the whole table of the embedded model takes about 20 minutes of one core."""


@dataclass(frozen=True)
class AblationPlan:
    """What is compared, and how thoroughly.

    Attributes
    ----------
    scales
        Of the full add-on.
    n_seeds
        Training runs of each head, seeded 0, 1, 2 and so on; one seed means the same batches for every head.
    schedule
        How long and how fast each is trained.
    rows
        Names of rows to keep, of those of :meth:`head_rows`; None for all.
    addon
        A module of yours, or what makes one, as :func:`train_addon` takes them: a row for it and one for a control of its
        size are always there. A module starts every run from the weights it has; what makes one draws them by the seed.

    Raises
    ------
    OptionError
        If no head would be trained, or there is no row of a given name.
    ScaleError
        If a scale is not a whole number.

    Examples
    --------
    >>> plan = mv.AblationPlan(scales=(4, 8), n_seeds=1, schedule=mv.Schedule(steps=50))
    >>> [row.name for row in plan.head_rows(model.dim, 128)][:3], plan.needs_whole_tokens
    (['windows_4', 'windows_8', 'windows_4_8'], True)
    """

    scales: tuple[int, ...] = (4, 8, 16)
    n_seeds: int = 3
    schedule: Schedule = ABLATION_SCHEDULE
    rows: tuple[str, ...] | None = None
    addon: AddonSource | None = None

    def __post_init__(self) -> None:
        if self.n_seeds < 1:
            raise OptionError(
                f"every head is trained at least once: got n_seeds={self.n_seeds}; use 1 or more"
            )
        head_rows(1, self.scales, only=self.rows)  # their names are the same at every width

    @property
    def needs_whole_tokens(self) -> bool:
        """Whether some row reads every patch token."""
        return self.rows is None or "scheme_2" in self.rows or self.addon is not None

    def head_rows(self, dim: int, n_tokens: int) -> tuple[HeadRow, ...]:
        """All rows but plain CLS, for tokens of a model."""
        own = () if self.addon is None else own_rows(self.addon, dim, n_tokens)
        return (*head_rows(dim, self.scales, only=self.rows), *own)


STANDARD_PLAN = AblationPlan()


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Of every query in every run, NaN without a match: average precision, whether the first result is right, and the
    inverse negative penalty (None where that was not measured)."""

    ap: Float[np.ndarray, "run query column"]
    first: Float[np.ndarray, "run query column"]
    inp: Float[np.ndarray, "run query column"] | None = None


@dataclass(frozen=True, eq=False)
class Ablation:
    """Everything measured; `ablation_report` turns it into summaries, tables and sentences.

    Columns are the modalities, and ``three_together`` (or ``together``) where there are several. ``reference`` is the
    row of all windows; plain CLS has no costs. Scores are by split and row, ``groups`` by split: queries of one group
    are not independent. ``words`` are of rows whose name does not tell.
    """

    columns: tuple[str, ...]
    reference: str
    costs: Mapping[str, HeadCost]
    trained: tuple[str, ...]
    scores: Mapping[str, Mapping[str, QueryScores]]
    groups: Mapping[str, Int[np.ndarray, " query"]]
    words: Mapping[str, str] = field(default_factory=dict)


def run_ablation(
    model: Model,
    training: Sequence[LabelledTokens],
    tests: Mapping[str, LabelledTokens],
    plan: AblationPlan = STANDARD_PLAN,
    *,
    progress: bool = True,
) -> Ablation:
    """Train every row with every seed on ``training`` and measure it on each split of ``tests``.

    The model's own add-on plays no part: every head starts from initial weights. A person in one modality is one
    class, so a head serves all modalities. Tests hold other identities. Tokens have every patch token if the plan
    needs them. Raises ShapeError if training and tests have different modalities.
    """
    columns = _columns([*training, *tests.values()])
    rows = plan.head_rows(model.dim, math.prod(model.grid))
    folded_training = [world.phase_means(plan.scales) for world in training]
    folded_tests = {split: world.phase_means(plan.scales) for split, world in tests.items()}
    scores = {split: {PLAIN: _stacked([_measured(world, None)])} for split, world in tests.items()}
    n_runs = sum(plan.n_seeds for row in rows if row.is_trained) + sum(not row.is_trained for row in rows)
    with progress_bar(total=n_runs, desc="heads", unit="run", disable=not progress) as bar:
        for row in rows:
            worlds = (training, tests) if row.whole_tokens else (folded_training, folded_tests)
            for split, runs in _runs(row, *worlds, plan, bar).items():
                scores[split][row.name] = _stacked(runs)
    encoding = encode_seconds(model)
    return Ablation(
        columns=columns,
        reference=windows_name(plan.scales),
        costs={row.name: head_cost(row.make(0), model, encoding=encoding) for row in rows},
        trained=tuple(row.name for row in rows if row.is_trained),
        scores=scores,
        groups={
            split: world.groups if world.query is None else world.groups[world.query]
            for split, world in tests.items()
        },
        words={row.name: row.words for row in rows if row.words},
    )


def _runs(
    row: HeadRow, training: Sequence[LabelledTokens], tests: Mapping[str, LabelledTokens], plan: AblationPlan, bar: tqdm
) -> dict[str, list[tuple[np.ndarray, ...]]]:  # fmt: skip
    """Split -> measurements of each run; an untrained head has one."""
    runs: dict[str, list[tuple[np.ndarray, ...]]] = {split: [] for split in tests}
    tokens, labels = modality_classes(training)
    for seed in range(plan.n_seeds if row.is_trained else 1):
        bar.set_postfix_str(f"{row.name}, seed {seed}")
        head = row.make(seed)
        if row.is_trained:
            train_head(tokens, labels, head, seed=seed, schedule=plan.schedule, progress=False)
        for split, world in tests.items():
            runs[split].append(_measured(world, head.eval()))
        bar.update()
    return runs


def _measured(world: LabelledTokens, head: Head | None) -> tuple[np.ndarray, ...]:
    """The fields of `QueryScores`, of each query in each column."""
    reports = [retrieved(world, features) for features in head_features(world, head)]
    first = [np.where(np.isnan(r.first_match), np.nan, r.first_match == 1) for r in reports]
    inp = [report.per_query_inp for report in reports if report.per_query_inp is not None]
    measures = ([report.per_query_ap for report in reports], first, inp)
    return tuple(np.stack(each, axis=1) for each in measures)


def _stacked(runs: Sequence[tuple[np.ndarray, ...]]) -> QueryScores:
    return QueryScores(*(np.stack(measure) for measure in zip(*runs, strict=True)))


def _columns(worlds: Sequence[LabelledTokens]) -> tuple[str, ...]:
    kinds = {tuple(world.tokens) for world in worlds}
    if len(kinds) != 1:
        raise ShapeError(
            f"training and tests must have the same modalities: got {sorted(kinds)}; choose samples that do"
        )
    (names,) = kinds
    together = "three_together" if len(names) == 3 else "together"
    return (*names, together) if len(names) > 1 else names
