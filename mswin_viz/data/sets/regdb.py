"""RegDB (persons): each picture in visible *or* thermal light; Nguyen et al., Sensors 2017.

Folders ``Visible`` and ``Thermal``, and ten random splits in the lists of ``idx``, of which the first is used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import Contents
from mswin_viz.data.sets.reading import Layout, ReaderResult, read_listed

_LIST = re.compile(r"(?P<part>train|test)_(?P<kind>visible|thermal)_(?P<trial>\d+)\.txt", re.IGNORECASE)


def _read(contents: Contents) -> ReaderResult | None:
    """Samples of the first of the random splits, whose visible test images are the queries, thermal ones the gallery."""
    trials: dict[int, list[Path]] = defaultdict(list)
    for path in contents.tree.others:
        if matched := _LIST.fullmatch(path.name):
            trials[int(matched["trial"])].append(path)
    if not trials:
        return None
    trial = min(trials)
    note = f"split {trial} of {len(trials)} in idx is used; visible test images are the queries, thermal ones the gallery"
    tables = sorted(trials[trial], key=lambda table: (_is_of_test(table), _is_thermal(table)))
    return read_listed(contents, tables, _listed, note=note)


def _is_of_test(table: Path) -> bool:
    return table.name.lower().startswith("test")


def _is_thermal(table: Path) -> bool:
    return "thermal" in table.name.lower()


def _listed(line: str, table: Path, pictures: Mapping[Path, Picture]) -> Sample | Problem:
    name, _, label = line.replace("\\", "/").rpartition(" ")
    picture = pictures.get(table.parent.parent / name.strip())
    folder = picture.parts[-1] if picture is not None else ""
    pid = folder if folder.isdecimal() else label
    if picture is None or not pid.isdecimal():
        return Problem("missing file", table, f"{line}: no such picture of an identity; left out")
    is_thermal = _is_thermal(table)
    split = ("gallery" if is_thermal else "query") if _is_of_test(table) else "train"
    camid, modality = (2, "TI") if is_thermal else (1, "RGB")
    return Sample(int(pid), camid, {modality: picture.path}, split=split)


LAYOUT = Layout(
    name="regdb",
    shape="lists idx/{train,test}_{visible,thermal}_N.txt beside the folders Visible and Thermal",
    read=_read,
    paired=False,
)
