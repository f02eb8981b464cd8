"""Trains the add-on on a data set's tokens, with identities held out for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.measures.head_retrieval import check_trainable, held_out, validation_map
from mswin_viz.analysis.measures.matching import sample_matching
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError
from mswin_viz.model.addon.own import AddonSource
from mswin_viz.model.training.fit import STANDARD_SCHEDULE, TrainedAddon, Watch, train_addon
from mswin_viz.model.training.heads import Head, scheme_2
from mswin_viz.model.training.labelled_tokens import LabelledTokens, modality_classes
from mswin_viz.model.training.run import Schedule

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

SCHEME_2 = "scheme-2"
"""Name of the scheme-2 add-on, where an add-on is named."""
ADDONS = ("shared", "per")
"""One add-on for all modalities, as the host model has it, or one for each."""


@dataclass(frozen=True)
class AddonPlan:
    """How an add-on is trained; ``modality`` is one of `ADDONS`.

    ``addon`` is a module of yours or what makes one, as `train_addon` takes them, or ``"scheme-2"``; None for scheme 1.
    Every patch token is needed for it. ``scales`` are those of either scheme.

    The seed decides initial weights, batches, and who is held out; ``validation`` is the fraction of the identities
    held out, where 0 trains on all, to the end of the schedule.
    """

    scales: tuple[int, ...] = (4, 8, 16)
    modality: str = "shared"
    seed: int = 0
    validation: float = 0.2
    schedule: Schedule = STANDARD_SCHEDULE
    addon: AddonSource | None = None

    def source(self, dim: int) -> AddonSource | None:
        """What makes the add-on for tokens of a width; None for scheme 1."""
        return partial(scheme_2, dim, self.scales) if self.addon == SCHEME_2 else self.addon

    @property
    def token_scales(self) -> tuple[int, ...]:
        """The scales that tokens may be averaged for; none where every patch token is needed."""
        return self.scales if self.addon is None else ()

    def __post_init__(self) -> None:
        if self.modality not in ADDONS:
            raise OptionError(
                f"modality must be one of {', '.join(ADDONS)}: got {self.modality!r}; choose one"
            )
        if not 0 <= self.validation < 1:
            raise OptionError(
                f"validation must be a fraction of the identities below 1: got {self.validation}; use 0 for none"
            )


@dataclass(frozen=True)
class FittedAddon:
    """An add-on, ``"shared"`` or of one modality, and its retrieval on the identities held out.

    Both mAPs are of all its modalities joined, with plain and with enhanced CLS; NaN without validation.
    """

    name: str
    trained: TrainedAddon
    plain_mAP: float  # noqa: N815 (the field's name)
    enhanced_mAP: float  # noqa: N815 (the field's name)


def training_notes(
    samples: Sequence[Sample], plan: AddonPlan = AddonPlan(), *, rule: str | None = None
) -> tuple[str, ...]:
    """Notes on how the training will be validated under the rule; call it before anything is encoded.

    Raises OptionError if there are too few identities, or none that is held out can be found again under the rule.
    """
    matching = sample_matching(samples, rule)
    held = _held_out(matching.pids, plan)
    check_trainable(matching.pids[~held])
    if not plan.validation:
        return ()
    rows = np.flatnonzero(held)
    matching.checked("validation (0 for none)", rows, rows)
    return matching.notes(rows)


def fit_addons(
    world: LabelledTokens, plan: AddonPlan = AddonPlan(), *, state: Path | None = None
) -> tuple[FittedAddon, ...]:
    """Train one add-on, or one for each modality, on a training split; its query and gallery play no part.

    ``state`` is a file to resume from (see `state_file`).
    """
    worlds = {"shared": world}
    if plan.modality == "per":
        worlds = {name: replace(world, tokens={name: tokens}) for name, tokens in world.tokens.items()}
    return tuple(
        _fitted(name, each, plan, Watch(state=state_file(state, name))) for name, each in worlds.items()
    )


def _fitted(name: str, world: LabelledTokens, plan: AddonPlan, watch: Watch) -> FittedAddon:
    held = _held_out(world.pids, plan)
    if plan.validation:
        watch = replace(watch, validate=validation_map(world.part(held)))
    tokens, labels = modality_classes([world.part(~held)])
    source = plan.source(tokens.cls.shape[1])
    trained = train_addon(
        tokens, labels, scales=plan.scales if source is None else None, addon=source, seed=plan.seed, schedule=plan.schedule, watch=watch,
    )  # fmt: skip
    plain, enhanced = float("nan"), float("nan")
    if plan.validation:
        joint_map = validation_map(world.part(held))
        plain, enhanced = joint_map(None), joint_map(Head(trained.addon, "patches"))
    return FittedAddon(name, trained, plain, enhanced)


def _held_out(pids: Int[np.ndarray, " image"], plan: AddonPlan) -> Bool[np.ndarray, " image"]:
    """The images to validate on; none without validation."""
    if not plan.validation:
        return np.zeros(len(pids), bool)
    return held_out(pids, fraction=plan.validation, seed=plan.seed)


def state_file(state: Path | None, name: str) -> Path | None:
    """Where the training of one add-on keeps its state."""
    if state is None or name == "shared":
        return state
    return Path(state).with_name(f"{Path(state).stem}_{name}{Path(state).suffix}")
