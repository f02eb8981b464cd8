"""The whole ablation by one call: on people drawn for the run, or on the splits of a data set."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mswin_viz.analysis.experiments.ablation_report import ALPHA, as_json
from mswin_viz.analysis.experiments.ablation_table import STANDARD_PLAN, AblationPlan, run_ablation
from mswin_viz.analysis.experiments.sample_tokens import sample_tokens
from mswin_viz.analysis.measures.head_retrieval import check_trainable
from mswin_viz.analysis.measures.matching import Matching, sample_matching
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.layouts import query_and_gallery
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.data.synthetic.crowd import Crowd
from mswin_viz.errors import DataError, OptionError
from mswin_viz.model.addon.own import prepared_addon
from mswin_viz.model.addon.parts import addon_words
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.model.encoder.given import checked_model
from mswin_viz.model.training.labelled_tokens import labelled_tokens, token_layout

SPLITS = ("standard", "look_alikes")
"""Kinds of people: drawn independently, and in groups of four who differ in one small thing."""


@dataclasses.dataclass(frozen=True)
class People:
    """Who is drawn.

    Attributes
    ----------
    trained
        How many are trained on, of world ``seed + 1``: four cameras, one shot, three modalities; a person in one
        modality is one class.
    measured
        How many are measured on in each split, of world ``seed``: four cameras, two shots.
    seed
        World number. The backbone should have seen neither world.
    splits
        Kinds of people measured on.
    trained_on
        Kind of people trained on: ``"standard"``, ``"look_alikes"`` or ``"both"`` (half of each).

    Raises
    ------
    OptionError
        If there are too few people, or no such kind of people.

    Examples
    --------
    >>> people = mv.People(trained=8, measured=8)
    >>> {split: len(crowd) for split, crowd in people.tests.items()}  # shots of eight people
    {'standard': 64, 'look_alikes': 64}
    >>> len(people.training[0]), people.training[0].seed
    (32, 2)
    """

    trained: int = 300
    measured: int = 150
    seed: int = 1
    splits: tuple[str, ...] = SPLITS
    trained_on: str = "standard"

    def __post_init__(self) -> None:
        if self.trained_on not in (*SPLITS, "both"):
            raise OptionError(
                f"heads are trained on {', '.join(SPLITS)} or both: got {self.trained_on!r}; choose one of these"
            )
        if self.trained < 4 or self.measured < 8:
            raise OptionError(
                "an ablation needs at least 4 people to train on and 8, two groups of look-alikes, to measure on: "
                f"got {self.trained} and {self.measured}; draw more"
            )

    @property
    def tests(self) -> dict[str, Crowd]:
        """Split -> whom the heads are measured on."""
        return {split: Crowd(self.measured, self.seed, split) for split in self.splits}

    @property
    def training(self) -> tuple[Crowd, ...]:
        """Whom the heads are trained on."""
        splits = SPLITS if self.trained_on == "both" else (self.trained_on,)
        return tuple(Crowd(self.trained // len(splits), self.seed + 1, split, shots=1) for split in splits)


STANDARD_PEOPLE = People()


def ablate_people(
    model: Model,
    plan: AblationPlan = STANDARD_PLAN,
    people: People = STANDARD_PEOPLE,
    *,
    workers: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Draw people, encode them, fill the table.

    Parameters
    ----------
    model
        Whose frozen tokens the heads are trained on.
    plan
        Which heads are compared, and how long each is trained.
    people
        Who is drawn.
    workers
        Processes that draw. With more than one, a script needs ``if __name__ == "__main__":``.
    progress
        Show bars.

    Returns
    -------
    stored
        A summary of plain numbers and words, as JSON has it: ``rows``, ``columns``, ``scores``, ``settings``;
        :func:`ablation_table` prints it.

    Raises
    ------
    OutputError
        If whole tokens are needed and the temporary folder has no room for them; nothing has been encoded then.

    Examples
    --------
    >>> plan = mv.AblationPlan((4, 8), n_seeds=1, schedule=mv.Schedule(steps=2), rows=("windows_4_8",))
    >>> small = mv.load_model(image_size=(64, 32))  # a minimal run, to show the call
    >>> stored = mv.ablate_people(small, plan, mv.People(4, 8, 11, ("standard",)), progress=False)
    >>> list(stored["rows"]), list(stored["scores"])
    (['plain_cls', 'windows_4_8'], ['standard'])
    """
    checked_model(model)
    start, needs_whole = time.perf_counter(), plan.needs_whole_tokens
    plan.head_rows(
        model.dim, math.prod(model.grid)
    )  # a module that does not fit is refused before anyone is drawn
    folder = _roomy(model, [*people.tests.values(), *people.training]) if needs_whole else None
    encoded = functools.partial(
        labelled_tokens, model, scales=() if needs_whole else plan.scales, workers=workers, progress=progress
    )
    tests = {split: encoded(crowd, folder=folder and folder / split) for split, crowd in people.tests.items()}
    training = [
        encoded(crowd, folder=folder and folder / f"training_{crowd.split}") for crowd in people.training
    ]
    kind = "" if people.trained_on == "standard" else f" ({people.trained_on.replace('_', '-')})"
    words = (
        f"Heads trained on the frozen tokens of {people.trained} people{kind} of world {people.seed + 1}; measured on "
        f"{people.measured} others of world {people.seed} in each split."
    )
    ablation = run_ablation(model, training, tests, plan, progress=progress)
    settings = _settings(model, plan, words, training[0].metric) | {"people": dataclasses.asdict(people)}
    return as_json(ablation, settings | {"seconds": round(time.perf_counter() - start)})


def _roomy(model: Model, crowds: Iterable[Crowd]) -> Path:
    """A temporary folder with space for all tokens of the crowds."""
    n_bytes = sum(token_layout(model, len(crowd), MODALITIES).n_bytes for crowd in crowds)
    return temporary_folder("mswin_viz_tokens_", n_bytes=n_bytes)


def ablate_samples(
    model: Model,
    samples: Sequence[Sample],
    plan: AblationPlan = STANDARD_PLAN,
    *,
    folder: Path | None = None,
    rule: str | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train on a data set's training split, measure on its test split (or query and gallery).

    ``samples`` are of all splits, as `mv.samples(root)` gives them; folder and rule as in `sample_tokens`. Raises
    DataError if a split is missing, or an identity is in both; OptionError if no query can have a match under the
    rule; nothing has been encoded then.
    """
    start = time.perf_counter()
    training, test, notes = checked_samples(samples, rule)
    plan.head_rows(
        model.dim, math.prod(model.grid)
    )  # a module that does not fit is refused before images are encoded
    scales = () if plan.needs_whole_tokens else plan.scales
    kept = {"scales": scales, "rule": rule, "progress": progress}
    (first, out), (second, out_of_test) = (
        sample_tokens(model, some, folder=None if folder is None else folder / name, **kept)
        for name, some in (("train", training), ("test", test))
    )
    n_out = len(out) + len(out_of_test)
    left_out = f"; {counted(n_out, 'samples')} left out" if n_out else ""
    words = (
        f"Heads trained on the frozen tokens of {counted(len(first), 'samples')} of {counted(len(set(first.pids.tolist())), 'identities')}; "
        f"measured on {counted(len(second), 'samples')} of {counted(len(set(second.pids.tolist())), 'others')}"
        f"{left_out}.{''.join(f' {note}' for note in notes)}"
    )
    ablation = run_ablation(model, [first], {"test": second}, plan, progress=progress)
    settings = _settings(model, plan, words, first.metric) | {"left_out": n_out, "rule": second.rule}
    return as_json(ablation, settings | {"seconds": round(time.perf_counter() - start)})


def checked_samples(
    samples: Sequence[Sample], rule: str | None = None
) -> tuple[list[Sample], list[Sample], tuple[str, ...]]:
    """The samples to train on, those to measure on, and notes on the rule; nothing is opened."""
    training = [sample for sample in samples if sample.split == "train"]
    test = [sample for sample in samples if sample.split in ("test", "query", "gallery")]
    shared = {sample.pid for sample in training} & {sample.pid for sample in test} - {-1}
    if not training or not test or shared:
        raise DataError(
            "an ablation trains on a training split and measures on other identities: got "
            f"{len(training):,} training and {counted(len(test), 'test samples')}, {counted(len(shared), 'identities')} in both; check the "
            "layout with `mswin-viz doctor`"
        )
    check_trainable(np.array([sample.pid for sample in training]))
    return training, test, _notes_of(test, rule)


def _notes_of(test: Sequence[Sample], rule: str | None) -> tuple[str, ...]:
    """What the rule cannot do for these samples; refused where no query can have a match."""
    matching, query, gallery = sample_matching(test, rule), None, None
    if {"query", "gallery"} <= {sample.split for sample in test}:
        query, gallery = map(np.array, query_and_gallery(test))
    matching.checked("an ablation", query, gallery)
    return (*matching.notes(), *_few_identities(matching, query, gallery))


def _few_identities(
    matching: Matching, query: np.ndarray | None, gallery: np.ndarray | None
) -> Iterator[str]:
    """A sentence where a sign-flip test over identities could not give p < 0.05 whatever the difference."""
    every = np.arange(len(matching))
    places = matching.of(every if gallery is None else gallery)
    queries = (every if query is None else query).tolist()
    n = len({int(matching.pids[image]) for image in queries if len(places.around(image)[0])})
    if 2.0 ** (1 - n) >= ALPHA:
        yield (
            f"Only {counted(n, 'identities have', 'identity has')} a query with a match: too few to tell any "
            "difference by a test over identities, which needs six for p < 0.05; measure on more."
        )


def _settings(model: Model, plan: AblationPlan, words: str, metric: str) -> dict[str, Any]:
    """What a summary says of its run: ``words`` and how the heads were trained, the model, and the plan."""
    seeds = counted(plan.n_seeds, "seeds")
    return {
        "words": f"{words} {counted(plan.schedule.steps, 'steps')}, {seeds}, raw features, {metric}.",
        "model": model.provenance_items,
        "plan": dataclasses.asdict(dataclasses.replace(plan, addon=None)) | {"addon": _own(model, plan)},
    }


def _own(model: Model, plan: AblationPlan) -> str | None:
    """What the user's module is, in words; None without one."""
    if plan.addon is None:
        return None
    return addon_words(prepared_addon(plan.addon, model.dim, math.prod(model.grid), seed=0))
