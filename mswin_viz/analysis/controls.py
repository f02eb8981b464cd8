"""Do the windows help? The add-on against heads of its size that see no windows, on people none was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from mswin_viz.analysis.retrieval import retrieval
from mswin_viz.data.crowds import Crowd
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.backbone import Model
from mswin_viz.model.heads import Head, cls_control, mean_patch_control, n_parameters, window_head
from mswin_viz.model.tokens import Tokens
from mswin_viz.model.training import STANDARD_SCHEDULE, Schedule, train_head
from mswin_viz.model.worlds import WorldTokens, modality_classes, world_tokens

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = [
    "CONTROLS",
    "Difference",
    "HeadComparison",
    "Scores",
    "Trial",
    "compare_heads",
    "paired_difference",
    "run_trial",
]

CONTROLS = ("mlp_on_cls", "mlp_on_mean_patch")
"""Heads of the windows' size that see no windows."""
SCALES = (4, 8, 16)
SPLITS = ("standard", "look_alikes")


@dataclass(frozen=True)
class Trial:
    """What is trained and measured, on which people.

    Attributes
    ----------
    people
        The heads are trained on, of world ``seed + 1``: four cameras, one shot, three modalities; a person in
        one modality is one class.
    identities
        The heads are measured on, of world ``seed``, in each split: four cameras, two shots.
    seed
        World number. The backbone should have seen neither world.
    n_seeds
        Training runs of each head, seeded 0, 1, 2 and so on.
    trained_on
        ``"standard"``, ``"look_alikes"``, or ``"both"`` (half of each).
    schedule
        How long and how fast each head is trained.
    """

    people: int = 300
    identities: int = 150
    seed: int = 1
    n_seeds: int = 5
    trained_on: str = "standard"
    schedule: Schedule = STANDARD_SCHEDULE

    def __post_init__(self) -> None:
        if self.n_seeds < 2:
            raise OptionError(f"a spread needs at least two training runs: got {self.n_seeds}; ask for more")
        if self.trained_on not in (*SPLITS, "both"):
            raise OptionError(
                f"heads are trained on standard, look_alikes or both: got {self.trained_on!r}; choose one"
            )
        if self.people < 4 or self.identities < 8:
            raise OptionError(
                "a trial needs at least 4 people to train on and 8, two groups of look-alikes, to measure on: got "
                f"people={self.people} and identities={self.identities}; ask for more"
            )

    @property
    def training_crowds(self) -> tuple[Crowd, ...]:
        """Whom the heads are trained on."""
        splits = SPLITS if self.trained_on == "both" else (self.trained_on,)
        return tuple(Crowd(self.people // len(splits), self.seed + 1, split, shots=1) for split in splits)


@dataclass(frozen=True, eq=False)
class Scores:
    """Retrieval in one split; columns are the modalities and ``three_together``.

    Attributes
    ----------
    mAP, rank1
        Fractions, ``[run, column]``; plain CLS has one run.
    group_ap
        Average precision of the queries of each group of people, mean over the runs, ``[group, column]``.
    """

    mAP: Float[np.ndarray, "run column"]  # noqa: N815 (the field's name)
    rank1: Float[np.ndarray, "run column"]
    group_ap: Float[np.ndarray, "group column"]


@dataclass(frozen=True)
class Difference:
    """The windows' mAP minus another head's of the same training seed; fractions.

    Attributes
    ----------
    mean
        Over the training seeds.
    per_seed
        One for each training seed.
    standard_error_seeds, standard_error_people
        Of the mean, over training seeds and over the people asked for (groups of look-alikes count once).
    verdict
        ``"windows better"`` or ``"windows worse"`` if at least three seeds all say so and the mean exceeds
        two standard errors of both kinds; else ``"cannot be told apart"``.
    """

    mean: float
    per_seed: tuple[float, ...]
    standard_error_seeds: float
    standard_error_people: float
    verdict: str


@dataclass(frozen=True, eq=False)
class HeadComparison:
    """Every head's retrieval on held-out people, and how the windows' differs.

    Attributes
    ----------
    columns
        Names of the columns of all scores.
    sizes
        Head -> parameters; the first head is the windows of all scales.
    plain
        Split -> scores of plain CLS.
    scores
        Split -> head -> scores.
    differences
        Split -> other head -> column -> windows minus that head.
    """

    columns: tuple[str, ...]
    sizes: Mapping[str, int]
    plain: Mapping[str, Scores]
    scores: Mapping[str, Mapping[str, Scores]]
    differences: Mapping[str, Mapping[str, Mapping[str, Difference]]]

    @property
    def windows(self) -> str:
        """Name of the head with the windows of all scales."""
        return next(iter(self.sizes))


def run_trial(
    model: Model, trial: Trial = Trial(), *, workers: int = 1, progress: bool = True
) -> HeadComparison:
    """Draw the people, encode them with the frozen backbone, and compare the heads.

    The model's own add-on plays no part: every head starts from random weights.

    Parameters
    ----------
    workers
        Processes that draw; see `mswin_viz.data.crowds.pictures`.
    """
    kept = {"scales": SCALES, "workers": workers, "progress": progress}
    training = [world_tokens(model, crowd, **kept) for crowd in trial.training_crowds]
    tests = {
        split: world_tokens(model, Crowd(trial.identities, trial.seed, split), **kept) for split in SPLITS
    }
    return compare_heads(training, tests, n_seeds=trial.n_seeds, schedule=trial.schedule, progress=progress)


def compare_heads(
    training: Sequence[WorldTokens],
    tests: Mapping[str, WorldTokens],
    *,
    scales: Sequence[int] = SCALES,
    n_seeds: int = 5,
    schedule: Schedule = STANDARD_SCHEDULE,
    progress: bool = True,
) -> HeadComparison:
    """Train every head with every seed on ``training`` and measure it on each of ``tests``.

    Heads: windows of all scales; one scale alone (where there are several); an MLP of the windows' size on
    CLS; one on the mean patch token. One seed means the same batches for every head.
    """
    makers, sizes = _heads(training, scales)
    tokens, labels = modality_classes(training)
    plain = {split: _stacked([_retrieved(world, None)]) for split, world in tests.items()}
    runs: dict[str, dict[str, list[tuple]]] = {split: {name: [] for name in makers} for split in tests}
    with tqdm(total=n_seeds * len(makers), desc="heads", unit="head", disable=not progress) as bar:
        for seed in range(n_seeds):
            for name, make in makers.items():
                head = make(seed)
                train_head(tokens, labels, head, seed=seed, schedule=schedule, progress=False)
                for split, world in tests.items():
                    runs[split][name].append(_retrieved(world, head))
                bar.update()
    scores = {
        split: {name: _stacked(some) for name, some in by_head.items()} for split, by_head in runs.items()
    }
    columns = _columns(next(iter(tests.values())))
    differences = {split: _differences(by_head, columns) for split, by_head in scores.items()}
    return HeadComparison(columns, sizes, plain, scores, differences)


def _heads(
    training: Sequence[WorldTokens], scales: Sequence[int]
) -> tuple[dict[str, Callable[[int], Head]], dict[str, int]]:
    """Name -> how a head of some seed is made, and its size; the windows of all scales first."""
    first = next(iter(training[0].tokens.values()))
    dim = first.cls.shape[1]
    wanted = [tuple(scales), *([(scale,) for scale in scales] if len(scales) > 1 else [])]
    makers = {
        f"windows_{'_'.join(map(str, some))}": lambda seed, some=some: window_head(dim, some, seed=seed)
        for some in wanted
    }
    size = n_parameters(window_head(dim, scales))
    makers |= {
        "mlp_on_cls": lambda seed: cls_control(dim, size, seed=seed),
        "mlp_on_mean_patch": lambda seed: mean_patch_control(dim, size, seed=seed),
    }
    return makers, {name: n_parameters(make(0)) for name, make in makers.items()}


def _columns(world: WorldTokens) -> tuple[str, ...]:
    return (*world.tokens, "three_together")


def _retrieved(world: WorldTokens, head: Head | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mAP and Rank-1 of each column, and average precision of each group in each column."""
    features = [_enhanced(tokens, head) for tokens in world.tokens.values()]
    reports = [
        retrieval(some, world.pids, world.camids, ranks=(1,))
        for some in (*features, np.concatenate(features, axis=1))
    ]
    groups, counts = np.unique(world.groups, return_inverse=True, return_counts=True)[1:]
    group_ap = [np.bincount(groups, weights=report.per_query_ap) / counts for report in reports]
    return (
        np.array([report.mAP for report in reports]),
        np.array([report.cmc[1] for report in reports]),
        np.stack(group_ap, axis=1),
    )


def _enhanced(tokens: Tokens, head: Head | None) -> np.ndarray:
    with torch.no_grad():
        return (tokens.cls if head is None else tokens.plus(head(tokens))).cpu().numpy()


def _stacked(runs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Scores:
    precision, rank1, group_ap = (np.stack(values) for values in zip(*runs, strict=True))
    return Scores(precision, rank1, group_ap.mean(axis=0))


def _differences(by_head: Mapping[str, Scores], columns: Sequence[str]) -> dict[str, dict[str, Difference]]:
    (_, windows), *others = by_head.items()
    return {
        name: {
            column: paired_difference(
                windows.mAP[:, c] - other.mAP[:, c], windows.group_ap[:, c] - other.group_ap[:, c]
            )
            for c, column in enumerate(columns)
        }
        for name, other in others
    }


def paired_difference(
    per_seed: Float[np.ndarray, " seed"], per_group: Float[np.ndarray, " group"]
) -> Difference:
    """What the differences of single training seeds, and of single groups of people, say together.

    Raises
    ------
    ShapeError
        If there are fewer than two of either.
    """
    if min(len(per_seed), len(per_group)) < 2:
        raise ShapeError(
            "a standard error needs at least two seeds and two groups of people: got "
            f"{len(per_seed)} and {len(per_group)}; train and measure on more"
        )
    mean = float(per_seed.mean())
    errors = [float(some.std(ddof=1) / np.sqrt(len(some))) for some in (per_seed, per_group)]
    agreed = len(per_seed) >= 3 and (np.sign(per_seed) == np.sign(mean)).all()
    told = agreed and mean != 0 and abs(mean) > 2 * max(errors)
    verdict = ("windows better" if mean > 0 else "windows worse") if told else "cannot be told apart"
    return Difference(mean, tuple(per_seed.tolist()), errors[0], errors[1], verdict)
