"""RGBNT201 (persons): ``{train_171,test}/{RGB,NI,TI}/PPPPPP_camC_...jpg``; Zheng et al., AAAI 2021."""

from __future__ import annotations

import re

from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import Found, Named, read_shots

__all__ = ["PUBLISHED", "SHAPE", "read"]

PUBLISHED = {"train": (171, 3951), "test": (30, 836)}
"""Split -> identities and samples."""
SHAPE = "sub-folders {train_171,test}/{RGB,NI,TI} and names PPPPPP_camC_..."
_NAME = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d+)_", re.IGNORECASE)


def read(contents: Contents) -> Found | None:
    """Samples named so, whatever their split and modality folders are called."""
    return read_shots(contents.shots, _named, "PPPPPP_camC_...")


def _named(shot: Shot, split: str | None) -> Named | None:
    matched = _NAME.match(shot.stem)
    return matched and Named(int(matched["pid"]), int(matched["cam"]))
