"""The published code base that a host model's configuration and checkpoint come from, known by their keys.

Three code bases share one image tower and differ in what a missing key means, in the camera table's shape and in what
stands behind the tower: MambaPro (AAAI 2025, with its multi-scale fork), DeMo (AAAI 2025) and MDReID (NeurIPS 2025).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import torch

from mswin_viz.errors import ConfigError

MAMBAPRO, DEMO, MDREID = FAMILIES = ("MambaPro", "DeMo", "MDReID")
_MULTI_SCALE = (
    "USE_CLIP_MULTI_SCALE CLIP_MULTI_SCALE_SCALES USE_MULTI_SCALE_MOE USE_GATE_FUSION USE_ATTENTION_FUSION"
)
_OWN_KEYS: Mapping[str, str] = MappingProxyType(
    {
        MAMBAPRO: f"MAMBA MAMBA_BI FLOPS_TEST PREFIX_NUM LAYER {_MULTI_SCALE}",
        DEMO: "HDM ATM",
        MDREID: "ADD_SHARE ADD_CLOSS ADD_ELOSS",
    }
)
"""Keys of MODEL that only this code base has."""
_SHARED_KEYS = "GLOBAL_LOCAL HEAD"
"""Keys of MODEL that DeMo and MDReID have; without one of MDReID's own they mean DeMo."""
_STATE_MARKS: Mapping[str, str] = MappingProxyType(
    {
        MDREID: r"BACKBONE\.base\.add_image_token$|(classifier|bottleneck)_(s|rs|ns|ts)\.",
        DEMO: r"(rgb|nir|tir)_reduce\.|generalFusion\.|(classifier|bottleneck)_(moe|r|n|t)\.",
        MAMBAPRO: r"AAM\.|BACKBONE\.(bottleneck|classifier)\.|(classifier|bottleneck)_fuse\.|BACKBONE\.clip_multi_scale_",
    }
)
"""Keys of a checkpoint that this code base writes, the most telling first."""


def family_of_keys(keys: Iterable[str], name: object, source: str) -> str | None:
    """The code base that a configuration's dotted keys belong to; None where all code bases have them.

    ``name``, the value of ``MODEL.NAME``, decides where it is one of ``FAMILIES``; ``source`` is for messages.
    """
    named = {family.lower(): family for family in FAMILIES}.get(str(name).strip().lower())
    if named is not None:
        return named
    names_in_model = {key.removeprefix("MODEL.") for key in keys if key.startswith("MODEL.")}
    by_family = {family: sorted(names_in_model & set(words.split())) for family, words in _OWN_KEYS.items()}
    if mixture := sorted(key for key in names_in_model if key.startswith("MOE_")):
        by_family[MAMBAPRO] += mixture
    if not by_family[MDREID]:
        by_family[DEMO] += sorted(names_in_model & set(_SHARED_KEYS.split()))
    speaking = {family: names for family, names in by_family.items() if names}
    if len(speaking) > 1:
        each = "; ".join(f"{family} has {', '.join(names[:3])}" for family, names in sorted(speaking.items()))
        raise ConfigError(
            f"a configuration belongs to one code base: {source} has keys of {len(speaking)} ({each}); set MODEL.NAME "
            f"to its own, one of {', '.join(FAMILIES)}"
        )
    return next(iter(speaking), None)


def family_of_state(state: Mapping[str, torch.Tensor]) -> str | None:
    """The code base that a checkpoint's keys belong to; None where it holds only the tower.

    A camera table of three axes is DeMo's and MDReID's way to store it; MambaPro's has two.
    """
    for family, marks in _STATE_MARKS.items():
        if any(re.match(marks, key) for key in state):
            return family
    table = state.get("BACKBONE.cv_embed")
    return DEMO if table is not None and table.ndim == 3 else None
