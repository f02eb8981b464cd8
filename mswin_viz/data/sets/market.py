"""Sets laid out as Market-1501 is: a folder for each split, identity and camera in the file name.

Market-1501 (Zheng et al., ICCV 2015), its synthetic infrared companion Market1501-RGBNT, DukeMTMC-reID (Zheng et al.,
ICCV 2017), VeRi-776 (Liu et al., ECCV 2016), and sets of other origin with such names. Identity -1 is junk, which
the evaluation leaves out; identity 0 of Market-1501 is background, which stays in the gallery and matches nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from mswin_viz.data.sets.modalities import Contents, Shot
from mswin_viz.data.sets.reading import (
    DISTRACTOR,
    JUNK,
    Layout,
    NameParts,
    ReaderResult,
    read_shots,
    single_shots,
)
from mswin_viz.data.sets.splits import split_level

_MARKET = r"(?P<pid>-1|\d{4})_c(?P<cam>\d)s\d"
_COMPANIONS = ("gt_bbox", "gt_query")  # hand-drawn boxes of Market-1501, of no use without its query list


@dataclass(frozen=True)
class _Style:
    """How one set names its files."""

    pattern: str  # of the beginning of a file name, with groups pid and cam
    names: str  # the same in words, for messages
    background: bool = False  # whether identity 0 is background
    modalities: bool | None = False  # whether each split has folders of modalities; None if it may have

    def read(self, contents: Contents) -> ReaderResult | None:
        """Samples of the split folders; junk and hand-drawn boxes are counted."""
        companions = [one for one in contents.plain if one.parts[-1].lower() in _COMPANIONS]
        others = [one for one in contents.plain if one.parts[-1].lower() not in _COMPANIONS]
        shots = [] if self.modalities is False else contents.shots
        single = [] if self.modalities else single_shots(others)
        junk = "junk (identity -1 in the name)"
        result = read_shots([*shots, *single], self._parts, self.names, junk=junk)
        if result is None:
            return None
        for picture in companions:
            result.passed[f"picture of {picture.parts[-1]}"].append(picture.path)
        n_background = sum(sample.pid == DISTRACTOR for sample in result.samples)
        if n_background:
            result.notes.append(
                "background pictures (identity 0000) stay in the gallery as identity -1, which matches nobody: "
                f"{n_background:,}"
            )
        return result

    def _parts(self, shot: Shot) -> NameParts | str | None:
        matched = re.match(self.pattern, shot.stem, re.IGNORECASE)
        level, split = split_level(shot.place)
        if matched is None or (split is None and not self.modalities) or len(shot.place) > level + 2:
            return None
        if matched["pid"].endswith("-1"):
            return JUNK
        pid = int(matched["pid"])
        return NameParts(DISTRACTOR if self.background and pid == 0 else pid, int(matched["cam"]))


def _layout(name: str, folders: str, style: _Style) -> Layout:
    return Layout(name, f"sub-folders {folders} and names {style.names}", style.read)


_BOXES = "{bounding_box_train,query,bounding_box_test}"
_STYLE = _Style(_MARKET, "PPPP_cCsS_...", background=True)
_DUKE = _Style(r"(?P<pid>\d{4})_c(?P<cam>\d)_f\d", "PPPP_cC_fFFFFFFF")
_VERI = _Style(r"(?P<pid>\d{4})_c(?P<cam>\d{3})_\d", "PPPP_cCCC_...")
_ANY = r"(?P<pid>(00)?-1|\d+)(_c(am)?|c(?=\dT\d+F\d))(?P<cam>\d+)"  # the second form is that of tracklets
MARKET1501 = replace(
    _layout("market1501", _BOXES, _STYLE),
    published={"train": (751, 12936), "query": (750, 3368), "gallery": (750, 15913)},
)
MARKET1501_RGBNT = _layout(
    "market1501_rgbnt", "{train,query,gallery}/{RGB,NI,TI}", replace(_STYLE, modalities=True)
)
DUKEMTMC = replace(
    _layout("dukemtmc", _BOXES, _DUKE),
    published={"train": (702, 16522), "query": (702, 2228), "gallery": (1110, 17661)},
)
VERI776 = _layout("veri776", "{image_train,image_query,image_test}", _VERI)
_LOOSE = _Style(_ANY, "PID_cCAMERA...", modalities=None)
MARKET_STYLE = replace(_layout("market_style", "for train, query and gallery or test,", _LOOSE), general=True)
