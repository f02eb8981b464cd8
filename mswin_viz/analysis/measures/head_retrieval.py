"""How well a head retrieves: the validation score of a training, and the identities held out for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mswin_viz.analysis.arrays import known_numbers
from mswin_viz.analysis.measures.retrieval import retrieval
from mswin_viz.analysis.measures.retrieval_record import RetrievalReport
from mswin_viz.data.shown_text import counted, n_of
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import OptionError, ShapeError
from mswin_viz.model.training.heads import Head, enhanced_features
from mswin_viz.model.training.labelled_tokens import LabelledTokens

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


def held_out(
    pids: Sequence[int] | np.ndarray, *, fraction: float = 0.2, seed: int = 0
) -> Bool[np.ndarray, " image"]:
    """Which images are of identities set aside for validation: whole identities, drawn by the seed.

    Images of unknown identity are not held out.

    Parameters
    ----------
    pids
        Identity of each image; below 0 where not known.
    fraction
        Of the identities, 0..1.
    seed
        Of the draw.

    Returns
    -------
    held
        True for an image that is held out, ``[n]``.

    Raises
    ------
    OptionError
        If ``fraction`` leaves fewer than two identities on either side.

    Examples
    --------
    >>> pids = [sample.pid for sample in samples]
    >>> held = mv.held_out(pids, fraction=0.25)
    >>> held.shape, len(np.unique(np.array(pids)[held]))  # six of 24 identities, with all of their images
    ((96,), 6)
    """
    numbers = known_numbers(pids, "pids")
    if numbers.ndim != 1:
        raise ShapeError(f"pids are one number for each image: got shape {numbers.shape}; give a list")
    known = np.unique(numbers[numbers >= 0])
    n_held = round(fraction * len(known))
    if not 2 <= n_held <= len(known) - 2:
        n_unknown = int((numbers < 0).sum())
        unknown = (
            f" ({n_of(n_unknown, len(numbers), 'images')} {'is' if n_unknown == 1 else 'are'} of unknown identity)"
            if n_unknown
            else ""
        )
        advice = "choose another fraction" if len(known) >= 4 else "add identities"
        raise OptionError(
            f"validation and training need at least two identities each: {fraction:g} of {len(known)} holds out "
            f"{n_held}{unknown}; {advice}, or use 0 for no validation"
        )
    return np.isin(numbers, np.random.default_rng(seed).choice(known, n_held, replace=False))


def check_trainable(pids: Int[np.ndarray, " image"]) -> None:
    """Refuse images that cannot be trained on, before they are encoded."""
    _, counts = np.unique(pids[pids >= 0], return_counts=True)
    if (counts > 1).sum() < 2:
        raise OptionError(
            "training needs at least two identities with two images each: got "
            f"{(counts > 1).sum()} such among {counted(len(counts), 'identities')} of {counted(len(pids), 'images')}; add images, or give "
            "their pid (a manifest has a column of that name)"
        )


def validation_map(world: LabelledTokens, *, joined: bool = True) -> Callable[[Head | None], float]:
    """A score for training: mAP of enhanced features on these images; given None, of plain CLS.

    Parameters
    ----------
    world
        Images of identities that are not trained on.
    joined
        Of all modalities joined raw, as the host model ranks; else the mean over the modalities, which leaves more
        room for improvement where the modalities together find nearly everybody.

    Returns
    -------
    score
        Takes a head, or None, and gives an mAP, 0..1; for ``Watch(validate=score)``.

    Examples
    --------
    >>> crowd = mv.Crowd(people=4, seed=3, shots=1)
    >>> world = mv.labelled_tokens(model, crowd, scales=(4, 8), progress=False)
    >>> score = mv.validation_map(world, joined=False)
    >>> 0.5 < score(None) <= 1  # mAP of the plain CLS
    True
    """

    of_kind(world, LabelledTokens, "world must be labelled tokens", "make them with mswin_viz.sample_tokens")

    def score(head: Head | None) -> float:
        features = head_features(world, head)
        scored = features[-1:] if joined else features[: len(world.tokens)]
        return float(np.mean([retrieved(world, array).mAP for array in scored]))

    return score


def head_features(world: LabelledTokens, head: Head | None) -> list[np.ndarray]:
    """Features of each modality, then, where there are several, of all joined raw; plain CLS without a head."""
    each = [
        tokens.cls.cpu().numpy() if head is None else enhanced_features(head, tokens)
        for tokens in world.tokens.values()
    ]
    return [*each, np.concatenate(each, axis=1)] if len(each) > 1 else each


def retrieved(world: LabelledTokens, features: np.ndarray) -> RetrievalReport:
    """Retrieval with the query, gallery, rule and metric of these tokens."""
    return retrieval(
        features, world.pids, world.camids, query=world.query, gallery=world.gallery, ranks=(1,),
        rule=world.rule, scenes=world.scenes, metric=world.metric,
    )  # fmt: skip
