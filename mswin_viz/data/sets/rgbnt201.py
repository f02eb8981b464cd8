"""RGBNT201 (persons): ``{train_171,test}/{RGB,NI,TI}/PPPPPP_camC_...jpg``; Zheng et al., AAAI 2021."""

from __future__ import annotations

import re

from mswin_viz.data.sets.modalities import Contents
from mswin_viz.data.sets.reading import Layout, ReaderResult, name_parts, read_shots

_NAME = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d+)_", re.IGNORECASE)


def _read(contents: Contents) -> ReaderResult | None:
    """Samples with such names, whatever their split and modality folders are called."""
    return read_shots(contents.shots, lambda shot: name_parts(_NAME, shot.stem), "PPPPPP_camC_...")


LAYOUT = Layout(
    name="rgbnt201",
    shape="sub-folders {train_171,test}/{RGB,NI,TI} and names PPPPPP_camC_...",
    read=_read,
    published={"train": (171, 3951), "test": (30, 836)},
)
