"""What the published code does with a configuration key that no field takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mswin_viz.model.weights.host_families import MAMBAPRO

MISSING_MODALITIES = ("r", "n", "t", "rn", "rt", "nt")
"""Values of TEST.MISS for which DeMo and MDReID blank or leave out the images of some modalities."""
_IDLE_SECTIONS = ("SOLVER", "DATALOADER", "DATASETS")
_IDLE: Mapping[str, str] = MappingProxyType(
    {
        "MODEL": "DEVICE DEVICE_ID NAME PRETRAIN_PATH_T DIST_TRAIN NECK IF_WITH_CENTER IF_LABELSMOOTH ID_LOSS_TYPE "
        "ID_LOSS_WEIGHT TRIPLET_LOSS_WEIGHT METRIC_LOSS_TYPE NO_MARGIN FROZEN DIRECT DROP_PATH DROP_OUT "
        "ATT_DROP_RATE PREFIX_NUM LAYER ADD_CLOSS ADD_ELOSS USE_MULTI_SCALE MULTI_SCALE_SCALES MOE_EXPERT_THRESHOLD "
        "MOE_RESIDUAL_WEIGHT MOE_NUM_EXPERTS MOE_INIT_WEIGHTS GATE_DROPOUT ATTENTION_NUM_HEADS ATTENTION_DROPOUT "
        "ATTENTION_DIM",
        "INPUT": "PROB PADDING RE_PROB",
        "TEST": "IMS_PER_BATCH RE_RANKING WEIGHT MISS",
    }
)
"""Keys that the published code does not read when it evaluates a CLIP tower, as its source shows.

USE_MULTI_SCALE acts in T2T towers only, the ATTENTION keys in a module that is refused here; RE_RANKING reaches no
evaluator, and NECK is stored but never read.
"""
_IDLE_NAMES = re.compile(r"MODEL\.MOE_\w+_(DROPOUT|LOSS_WEIGHT)|MODEL\.MOE_DROPOUT|OUTPUT_DIR")
_SHOWN = 12
_BEHIND = ("MODEL.HDM", "MODEL.ATM", "MODEL.HEAD", "MODEL.MAMBA", "MODEL.MAMBA_BI")


def sorted_keys(
    flat: Mapping[str, Any], read: Iterable[str], family: str | None
) -> dict[str, tuple[str, ...]]:
    """Every dotted key that acts elsewhere or nowhere: ``left_out``, ``idle`` and ``unknown``.

    Keys that a field takes, ``read``, are listed only where they act behind the image branch.
    """
    fields = set(read)
    behind = tuple(key for key, value in flat.items() if _is_behind(key, value, family))
    rest = [key for key in flat if key not in fields and key not in behind]
    return {
        "left_out": behind,
        "idle": tuple(key for key in rest if _is_idle(key)),
        "unknown": tuple(key for key in rest if not _is_idle(key)),
    }


def listed(keys: Sequence[str]) -> str:
    """The first few keys by name, then how many more."""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def _is_idle(key: str) -> bool:
    section, _, name = key.partition(".")
    is_named = name in _IDLE.get(section, "").split()
    return bool(_IDLE_NAMES.fullmatch(key)) or section in _IDLE_SECTIONS or is_named


def _is_behind(key: str, value: Any, family: str | None) -> bool:
    """Whether a key turns on something behind the image branch, or changes which images it gets."""
    if key == "TEST.MISS":
        return family != MAMBAPRO and str(value).strip() in MISSING_MODALITIES
    return key in _BEHIND and value is not False
