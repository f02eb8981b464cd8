"""Fits an add-on, or any other head, on cached tokens; the backbone is frozen and never runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import numpy as np
import torch

from mswin_viz.data.options import options_of
from mswin_viz.data.progress import progress_bar
from mswin_viz.data.storage.destinations import destination
from mswin_viz.errors import OptionError, ScaleError
from mswin_viz.model.addon.own import Addon, AddonSource
from mswin_viz.model.addon.sliding_window import checked_scales
from mswin_viz.model.tokens.tokens import Tokens, are_tokens
from mswin_viz.model.training.heads import Head, addon_head, new_addon, phase_means
from mswin_viz.model.training.run import Run, Schedule, TrainingLog, TrainingStep
from mswin_viz.model.training.token_store import TokenView
from mswin_viz.model.training.training_state import only_training
from mswin_viz.model.weights.checkpoints import StoredAddon

if TYPE_CHECKING:
    from jaxtyping import Float

STANDARD_SCHEDULE = Schedule()


@dataclass(frozen=True)
class Watch:
    """What goes along with a training, at the steps its schedule checks.

    Attributes
    ----------
    validate
        Scores the head (higher is better), for example by :func:`mswin_viz.validation_map`. The best head is the one
        kept, and training stops early when the score has not risen for ``Schedule.patience`` checks.
    report
        Called after every step.
    state
        File to resume from after an interruption; a finished training gives its result again.

    Examples
    --------
    >>> world, _ = mv.sample_tokens(model, samples[:8], scales=(4, 8), progress=False)
    >>> seen, options = [], {"steps": 3, "progress": False}
    >>> options["watch"] = mv.Watch(report=seen.append)
    >>> _ = mv.train_addon(world.tokens["RGB"], world.pids, scales=(4, 8), **options)
    >>> [step.step for step in seen]
    [1, 2, 3]
    """

    validate: Callable[[Head], float] | None = None
    report: Callable[[TrainingStep], None] | None = None
    state: Path | None = None


_UNWATCHED = Watch()


@dataclass(frozen=True)
class TrainedAddon:
    """A fitted add-on and how its training went.

    Attributes
    ----------
    addon
        In evaluation mode, on the device of the tokens; a module of yours as :class:`mswin_viz.Addon`.
    log
        Losses, validations, the step the weights are of.

    Examples
    --------
    >>> world, _ = mv.sample_tokens(model, samples[:8], scales=(4, 8), progress=False)
    >>> trained = mv.train_addon(world.tokens["RGB"], world.pids, scales=(4, 8), steps=3, progress=False)
    >>> trained.addon.scales, trained.losses.shape
    ((4, 8), (3,))
    """

    addon: StoredAddon | Addon
    log: TrainingLog

    @property
    def losses(self) -> Float[np.ndarray, " step"]:
        """Total loss at every step."""
        return self.log.losses


class TrainingOptions(TypedDict, total=False):
    """What a training takes by keyword.

    Attributes
    ----------
    seed
        Decides the batches and the classifier; of an add-on, its initial weights too.
    schedule
        How long and how fast.
    watch
        Validation with early stop, a callback, a file to resume from.
    progress
        Whether a bar is shown.
    """

    seed: int
    schedule: Schedule | None
    watch: Watch
    progress: bool


class AddonTrainingOptions(TrainingOptions, total=False):
    """What the training of an add-on takes besides.

    Attributes
    ----------
    steps, learning_rate
        Used where no ``schedule`` is given; 300 and 3.5e-4.
    """

    steps: int
    learning_rate: float


@dataclass(frozen=True)
class _Settings:
    """The options of a training, with their defaults."""

    seed: int = 0
    schedule: Schedule = STANDARD_SCHEDULE
    watch: Watch = _UNWATCHED
    progress: bool = True


def train_addon(
    tokens: Tokens | TokenView,
    pids: Sequence[int] | np.ndarray,
    *,
    scales: Sequence[int] | None = None,
    addon: AddonSource | None = None,
    **options: Unpack[AddonTrainingOptions],
) -> TrainedAddon:
    """Fit an add-on so that enhanced CLS features of one identity lie together.

    Parameters
    ----------
    tokens
        Cached tokens of all training images; every patch token for an ``addon``.
    pids
        Identity of each image; images below 0 are unknown and not trained on. At least two identities need two images
        each. To train one add-on for all modalities, give an identity another number in each of them
        (:func:`modality_classes`).
    scales
        Of a scheme-1 add-on, 4, 8 and 16 by default.
    addon
        In place of it: a module, of which a copy is trained from the weights it has; or a class, a function or
        ``"package.module:Name"`` (imported code runs), whose initial weights follow from the seed.
    steps, learning_rate, schedule
        Batches (300) and the rate at the first one (3.5e-4), or a :class:`Schedule` in place of both.
    seed, watch, progress
        Of initial weights and batches (0); a :class:`Watch`; whether a bar is shown (it is).

    Returns
    -------
    trained
        The add-on, in evaluation mode, and the log of its training; ``load_model(addon=trained.addon)`` looks at it.

    Raises
    ------
    ShapeError
        If ``pids`` does not match ``tokens``.
    ScaleError
        If a window is longer than an image has tokens.
    OptionError
        If there are too few identities with two images, the state file is of another training, the add-on does not
        fit the tokens, has no weight to train, or scales are given with it.

    Examples
    --------
    >>> world, _ = mv.sample_tokens(model, samples[:8], scales=(4, 8), progress=False)
    >>> trained = mv.train_addon(world.tokens["RGB"], world.pids, scales=(4, 8), steps=3, progress=False)
    >>> mine = mv.load_model(addon=trained.addon)
    >>> mine.addon.scales, tuple(mine.enhance(tokens).cls.shape)
    ((4, 8), (4, 512))
    """
    tokens = tokens if isinstance(tokens, TokenView) else are_tokens(tokens)
    schedule = options.get("schedule") or Schedule(
        options.pop("steps", STANDARD_SCHEDULE.steps),
        options.pop("learning_rate", STANDARD_SCHEDULE.learning_rate),
    )
    given = {name: value for name, value in options.items() if name not in ("steps", "learning_rate")}
    settings = options_of(
        _Settings, {**given, "schedule": schedule}, function="train_addon", also=("steps", "learning_rate")
    )
    first = tokens[:1]
    if addon is not None:
        if scales is not None:
            raise OptionError(
                f"scales are of a scheme-1 add-on: got {scales!r} with addon=; leave one of them out"
            )
        head = addon_head(addon, first.patches.shape[2], first.patches.shape[1], seed=settings.seed)
        trained = TrainedAddon(cast("Addon", head.body), _trained(tokens, pids, head, settings))
        if isinstance(head.body, Addon):
            head.body.weights = "trained here"
        return trained
    scales = (4, 8, 16) if scales is None else scales
    n_tokens = first.patches.shape[1]
    if idle := [scale for scale in checked_scales(scales, 1) if scale > n_tokens]:  # no image would train it
        raise ScaleError(
            f"a scale to train is a whole number of tokens in 1..{n_tokens}: got {idle[0]}; give shorter windows"
        )
    new = new_addon(tokens.cls.shape[1], scales, seed=settings.seed)
    seen = phase_means(tokens, scales) if isinstance(tokens, Tokens) else tokens
    return TrainedAddon(new, _trained(seen, pids, Head(new, "patches"), settings))


def train_head(
    tokens: Tokens | TokenView,
    pids: Sequence[int] | np.ndarray,
    head: Head,
    **options: Unpack[TrainingOptions],
) -> TrainingLog:
    """Train a head in place, so that CLS plus its output is near for one identity and far for two.

    The loss is the host model's (`mswin_viz.model.training.losses.ReidLoss`), on batches of up to 16 identities x 4 images;
    AdamW, cosine schedule.

    Parameters
    ----------
    head
        Starts from the weights it has. Left in evaluation mode, with the weights of ``TrainingLog.best_step``; on its
        device, or on that of the tokens if it came on the CPU.
    options
        As for `train_addon`.

    Raises
    ------
    ShapeError, OptionError
        As `train_addon`; OptionError also if the loss, or at a validation a weight, is not finite.
    WeightsError
        If the state file is damaged.
    OutputError
        If another program is training with the state file.
    """
    return _trained(tokens, pids, head, options_of(_Settings, options, function="train_head"))


def _trained(
    tokens: Tokens | TokenView, pids: Sequence[int] | np.ndarray, head: Head, settings: _Settings
) -> TrainingLog:
    run, watch = Run(tokens, pids, head, seed=settings.seed, schedule=settings.schedule), settings.watch
    if watch.state is not None:
        watch = replace(watch, state=destination(watch.state))
    with nullcontext() if watch.state is None else only_training(watch.state):
        if watch.state is not None and watch.state.exists():
            run.restore(watch.state)
        _train(run, watch, progress=settings.progress)
    return run.finish()


def _train(run: Run, watch: Watch, *, progress: bool) -> None:
    """Steps, validations and saves until the schedule or the patience ends."""
    schedule = run.schedule
    with progress_bar(
        total=schedule.steps, initial=run.step, desc="training the head", unit="step", disable=not progress
    ) as bar:
        while not run.finished:
            loss, score = run.advance(), None
            if run.step % schedule.check_every == 0 or run.step == schedule.steps:
                score = _checked(run, watch)
                shown = {"loss": f"{np.mean(run.losses[-schedule.check_every :]):.3f}"}
                bar.set_postfix(shown | ({} if score is None else {"score": f"{score:.3f}"}))
            if watch.report is not None:
                watch.report(TrainingStep(run.step, schedule.steps, loss, score))
            bar.update()


def _checked(run: Run, watch: Watch) -> float | None:
    """Refuse a training that has diverged; validate and save if the watch asks for it; the score."""
    run.check_finite()
    score = None
    if watch.validate is not None:
        run.head.eval()
        with torch.no_grad():
            score = float(watch.validate(run.head))
        run.head.train()
        if not np.isfinite(score):
            raise OptionError(
                f"a validation must give a number: got {score} at step {run.step}; has every validation identity "
                "two images in different cameras?"
            )
        run.note(score)
    if watch.state is not None:
        run.save(watch.state)
    return score
