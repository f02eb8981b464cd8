"""RegDB (persons): each picture in visible *or* thermal light; Nguyen et al., Sensors 2017.

Folders ``Visible`` and ``Thermal``, and ten random splits in the lists of ``idx``, of which the first is used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from mswin_viz.data.files import Picture
from mswin_viz.data.lists import read_lines
from mswin_viz.data.modalities import Contents
from mswin_viz.data.reading import Layout, ReaderResult, outermost, refuse_two
from mswin_viz.data.sample import Problem, Sample

__all__ = ["LAYOUT"]

_LIST = re.compile(r"(?P<part>train|test)_(?P<kind>visible|thermal)_(?P<trial>\d+)\.txt", re.IGNORECASE)


def _read(contents: Contents) -> ReaderResult | None:
    """Samples of the first of the random splits; visible images of the test part are the queries, thermal ones the gallery."""
    trials: dict[int, list[tuple[bool, bool, Path]]] = defaultdict(
        list
    )  # is it test, is it thermal, the list
    for path in contents.tree.others:
        if matched := _LIST.fullmatch(path.name):
            which = matched["part"].lower() == "test", matched["kind"].lower() == "thermal"
            trials[int(matched["trial"])].append((*which, path))
    if not trials:
        return None
    trial = min(trials)
    tables = [path for *_, path in trials[trial]]
    note = f"split {trial} of {len(trials)} in idx is used; visible test images are the queries, thermal ones the gallery"
    result, used = ReaderResult(notes=[note], tables=tables), []
    pictures = {picture.path: picture for picture in contents.tree.pictures}
    for is_test, is_thermal, table in sorted(trials[trial]):
        split = ("gallery" if is_thermal else "query") if is_test else "train"
        used += _listed(table, split, pictures, result, is_thermal=is_thermal)
    if not used:
        return None
    refuse_two(path.parent for path in tables)
    result.pass_unlisted(pictures, used)
    result.base = outermost(picture.parts[:-2] for picture in used)
    return result


def _listed(
    table: Path, split: str, pictures: dict[Path, Picture], result: ReaderResult, *, is_thermal: bool
) -> list[Picture]:
    """Pictures of one list, which become samples."""
    used = []
    for line in read_lines(table):
        name, _, label = line.replace("\\", "/").rpartition(" ")
        picture = pictures.get(table.parent.parent / name.strip())
        folder = picture.parts[-1] if picture is not None else ""
        pid = folder if folder.isdecimal() else label
        if picture is None or not pid.isdecimal():
            detail = f"{line}: no such picture of an identity; left out"
            result.problems.append(Problem("missing file", table, detail))
            continue
        images = {"TI" if is_thermal else "RGB": picture.path}
        result.samples.append(Sample(int(pid), 2 if is_thermal else 1, images, split=split))
        used.append(picture)
    return used


LAYOUT = Layout(
    name="regdb",
    shape="lists idx/{train,test}_{visible,thermal}_N.txt beside the folders Visible and Thermal",
    read=_read,
    paired=False,
)
