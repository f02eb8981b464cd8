"""Look-alikes: people in groups of four who differ in one small thing, so that small windows matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mswin_viz.data.synthetic.identity import (
    BAG_COLOURS,
    SHOES,
    STRAPS,
    STRIPE_WIDTHS,
    Identity,
    contrasting,
    one_of,
    pick,
    sample_identity,
)

LOOKALIKES = {
    "logo": ("none", "left", "right", "centre"),
    "shoes_colour": tuple(SHOES),
    "strap_colour": tuple(STRAPS),
    "stripe_width": tuple(STRIPE_WIDTHS),
}
"""The small things in which look-alikes differ -> their values."""
GROUP = 4
"""Number of look-alikes in a group."""
_LOOKALIKE_MODELS = 2_000_000  # number of the person after whom the first group is drawn


def lookalike_difference(pid: int, *, seed: int = 0) -> str:
    """The attribute in which person ``pid`` of the look-alike split differs from the rest of the group."""
    return list(LOOKALIKES)[int(np.random.default_rng([seed, pid // GROUP, 12]).integers(len(LOOKALIKES)))]


def sample_lookalike(pid: int, *, seed: int = 0) -> Identity:
    """Person ``pid`` of the look-alike split of a world, with the errors of `sample_identity`.

    People ``4 k .. 4 k + 3`` share build, clothes and materials with one person of the world, and differ in one of
    `LOOKALIKES`: the place of a logo, the colour of shoes or of a bag's strap, or the width of stripes.
    """
    person = sample_identity(pid, seed=seed)
    model = sample_identity(_LOOKALIKE_MODELS + pid // GROUP, seed=seed)
    rng = np.random.default_rng([seed, pid // GROUP, 13])
    thing = lookalike_difference(pid, seed=seed)
    variants = rng.permutation(LOOKALIKES[thing])[:GROUP]
    shared = {thing: str(variants[pid % GROUP]), "pid": person.pid, "stride": person.stride}
    if thing == "stripe_width" and model.pattern == "plain":
        shared |= {"pattern": "striped", "pattern_colour": contrasting(rng, model.upper_colour)}
    if thing == "strap_colour" and model.bag == "none":
        shared |= {"bag": one_of(rng, ("backpack", "shoulder bag")), "bag_colour": pick(rng, BAG_COLOURS)}
    return replace(model, **shared)
