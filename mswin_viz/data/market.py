"""Sets laid out as Market-1501 is: a folder for each split, identity and camera in the file name.

Market-1501 (Zheng et al., ICCV 2015), its synthetic infrared companion Market1501-RGBNT, DukeMTMC-reID (Zheng et al.,
ICCV 2017), VeRi-776 (Liu et al., ECCV 2016), and sets of other origin with such names. Identity -1 is junk, which
the evaluation leaves out; identity 0 of Market-1501 is background, which stays in the gallery and matches nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mswin_viz.data.modalities import Contents, Shot
from mswin_viz.data.reading import DISTRACTOR, JUNK, Found, Named, alone, read_shots
from mswin_viz.data.splits import split_level

__all__ = ["DUKEMTMC", "MARKET1501", "MARKET1501_RGBNT", "MARKET_STYLE", "VERI776", "Style"]

_MARKET = r"(?P<pid>-1|\d{4})_c(?P<cam>\d)s\d"
_COMPANIONS = ("gt_bbox", "gt_query")  # hand-drawn boxes of Market-1501, of no use without its query list


@dataclass(frozen=True)
class Style:
    """How one set names its files.

    Attributes
    ----------
    shape
        In words, for messages.
    pattern
        Of the beginning of a file name, with groups ``pid`` and ``cam``.
    background
        Whether identity 0 is background.
    modalities
        Whether each split has folders of modalities; None where either will do.
    published
        Split -> identities and samples.
    """

    shape: str
    pattern: str
    background: bool = False
    modalities: bool | None = False
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def read(self, contents: Contents) -> Found | None:
        """Samples of the split folders; what the authors leave out is counted, and companions are passed over."""
        pattern = re.compile(self.pattern, re.IGNORECASE)
        companions = [one for one in contents.plain if one.parts[-1].lower() in _COMPANIONS]
        own = [one for one in contents.plain if one.parts[-1].lower() not in _COMPANIONS]
        shots = [] if self.modalities is False else contents.shots
        single = [] if self.modalities else alone(own)
        found = read_shots(
            [*shots, *single],
            lambda shot, split: self._named(shot, pattern),
            self.shape.rpartition(" names ")[2],
            junk="junk (identity -1 in the name)",
        )
        if found is None:
            return None
        for picture in companions:
            found.passed[f"picture of {picture.parts[-1]}"].append(picture.path)
        background = sum(sample.pid == DISTRACTOR for sample in found.samples)
        if background:
            found.notes.append(
                "background pictures (identity 0000) stay in the gallery as identity -1, which matches nobody: "
                f"{background:,}"
            )
        return found

    def _named(self, shot: Shot, pattern: re.Pattern[str]) -> Named | str | None:
        matched = pattern.match(shot.stem)
        at, split = split_level(shot.place)
        if matched is None or (split is None and not self.modalities) or len(shot.place) > at + 2:
            return None
        if matched["pid"].endswith("-1"):
            return JUNK
        pid = int(matched["pid"])
        return Named(DISTRACTOR if self.background and pid == 0 else pid, int(matched["cam"]))


MARKET1501 = Style(
    "sub-folders {bounding_box_train,query,bounding_box_test} and names PPPP_cCsS_...",
    _MARKET,
    background=True,
    published={"train": (751, 12936), "query": (750, 3368), "gallery": (750, 15913)},
)
MARKET1501_RGBNT = Style(
    "sub-folders {train,query,gallery}/{RGB,NI,TI} and names PPPP_cCsS_...",
    _MARKET,
    background=True,
    modalities=True,
)
DUKEMTMC = Style(
    "sub-folders {bounding_box_train,query,bounding_box_test} and names PPPP_cC_fFFFFFFF",
    r"(?P<pid>\d{4})_c(?P<cam>\d)_f\d",
    published={"train": (702, 16522), "query": (702, 2228), "gallery": (1110, 17661)},
)
VERI776 = Style(
    "sub-folders {image_train,image_query,image_test} and names PPPP_cCCC_...",
    r"(?P<pid>\d{4})_c(?P<cam>\d{3})_\d",
)
MARKET_STYLE = Style(
    "sub-folders for train, query and gallery or test, and names PID_cCAMERA...",
    r"(?P<pid>(00)?-1|\d+)(_c(am)?|c(?=\dT\d+F\d))(?P<cam>\d+)",  # the second form is that of tracklets
    modalities=None,
)
