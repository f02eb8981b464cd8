"""Finds out which of the known layouts a folder has, and reads it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.images.picture_files import opened_file
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets import manifest, plain_folder
from mswin_viz.data.sets.accounting import account_for, left_out_counts
from mswin_viz.data.sets.caption_table import NAME as CAPTIONS
from mswin_viz.data.sets.caption_table import add_captions
from mswin_viz.data.sets.files import image_suffixes, read_tree
from mswin_viz.data.sets.known_sets import SETS
from mswin_viz.data.sets.modalities import AMBIGUOUS, UNCLEAR, Contents, contents, modality_word
from mswin_viz.data.sets.plain_folder import like_an_identity
from mswin_viz.data.sets.reading import ReaderResult
from mswin_viz.data.sets.report import DataReport
from mswin_viz.data.sets.splits import split_level
from mswin_viz.data.sets.sysu_mm01 import is_camera_of_sysu, is_infrared_of_sysu
from mswin_viz.errors import DataError, ImageFileError


def read_folder(root: Path, layout: str) -> DataReport:
    """Samples of a folder or table, with an account of everything below it; a `DataError` unless it holds one data set."""
    if root.is_file():
        if layout not in ("auto", "manifest"):
            raise DataError(f"the {layout} layout needs a folder: got the table {root}; point to a folder")
        return _report(root, "manifest", manifest.read(root), Counter())
    below = contents(read_tree(root, _names(root)))
    table = manifest.table_in(root, below.tree.others, deeper=layout == "manifest")
    if table is not None and layout in ("auto", "manifest"):
        name, result = "manifest", manifest.read(table)
    elif layout == "manifest":
        raise DataError(
            f"the manifest layout needs a table {manifest.NAME}: found none in {root}; point to the table"
        )
    else:
        name, result = _recognised(below, layout)
    is_paired = name not in SETS or SETS[name].paired
    account_for(below, result, name, is_paired=is_paired)
    return _report(root, name, result, below.tree.left_out + left_out_counts(below, result))


def _names(folder: Path) -> tuple[str, ...]:
    """The folder's name, after those above it that are a split, modality or identity of the same data set."""
    above = folder.resolve().parts[-4:]
    first = len(above) - 1
    for level in range(len(above) - 1, -1, -1):
        if modality_word(above[level])[0] or split_level((above[level],))[1]:
            first = level
        elif is_camera_of_sysu(above[: level + 1]):
            return above[level - 1 :]
        elif not like_an_identity(above[level]):
            break
    return above[first:]


def read_picture(path: Path) -> DataReport:
    """One sample of one picture, in the modality that its folder is named for; a `DataError` if it is no picture."""
    if path.suffix.lower() not in image_suffixes() and not _opens(path):
        raise DataError(f"a sample must be a picture: Pillow cannot open {path}; check the path")
    names = _names(path.parent)
    words = {name: word for name in names if (word := modality_word(name)[0])}
    if is_infrared_of_sysu(names):
        words = {names[-1]: "NI"}
    folder, word = next(reversed(words.items()), (names[-1], None))
    result = ReaderResult([Sample(-1, -1, {word if word in MODALITIES else "RGB": path})])
    if word == AMBIGUOUS:
        result.problems.append(Problem("modality not known", path, f"loaded as RGB; {folder} {UNCLEAR}"))
    return _report(path, "one image", result, Counter())


def _opens(path: Path) -> bool:
    try:
        with opened_file(path, str(path)):
            return True
    except ImageFileError:
        return False


def _recognised(below: Contents, layout: str) -> tuple[str, ReaderResult]:
    """Name of the layout, given or recognised, and what its reader finds."""
    if layout == "folder":
        return layout, plain_folder.read(below, unclear=True)
    if layout != "auto":
        result = SETS[layout].read(below)
        if result is None:
            raise DataError(
                f"the {layout} layout has {SETS[layout].shape}: {below.tree.root} has none; point to the data set's "
                'folder, or use layout="folder"'
            )
        return layout, _captioned(below, result)
    for general in (False, True):
        fitting = {
            name: result
            for name, known in SETS.items()
            if known.general == general and known.is_certain(below) and (result := known.read(below))
        }
        fitting = _of_different_pictures(fitting)
        if len(fitting) > 1:
            raise DataError(
                f"{below.tree.root} must hold one data set: got {' and '.join(fitting)}; point to one, or choose one "
                "with layout="
            )
        for name, result in fitting.items():
            return name, _captioned(below, result)
    table = manifest.table_in(below.tree.root, below.tree.others, deeper=True)
    return ("folder", plain_folder.read(below)) if table is None else ("manifest", manifest.read(table))


def _of_different_pictures(fitting: dict[str, ReaderResult]) -> dict[str, ReaderResult]:
    """The layouts without those that claim pictures of which another one understands more."""
    kept: dict[str, ReaderResult] = {}
    taken: set[Path] = set()
    for name, result in sorted(fitting.items(), key=lambda item: -len(item[1].samples)):
        if not result.files & taken:
            kept[name] = result
            taken |= result.files
    return {name: kept[name] for name in fitting if name in kept}


def _captioned(below: Contents, result: ReaderResult) -> ReaderResult:
    tables = [path for path in below.tree.others if path.name.lower() == CAPTIONS]
    if not result.base:  # the search began inside the data set
        above = below.tree.root.resolve().parents[:2]
        tables += [table for folder in above if os.path.isfile(table := folder / CAPTIONS)][:1]
    add_captions(result, tables)
    return result


def _report(root: Path, name: str, result: ReaderResult, left_out: Counter[str]) -> DataReport:
    if not result.samples:
        raise DataError(
            "samples need at least one image (.jpg, .png, .tif or another format that Pillow opens) that can be used: "
            f"found none below {root}{_why(result, left_out)}; check the path, or generate some with "
            "`mswin-viz samples`"
        )
    return DataReport(
        root=root,
        layout=name,
        samples=tuple(result.samples),
        problems=tuple(result.problems),
        left_out=dict(left_out.most_common()),
        notes=tuple(result.notes),
    )


def _why(result: ReaderResult, left_out: Counter[str]) -> str:
    """The first problem and what was left out, in brackets."""
    words = ""
    if result.problems:
        first = result.problems[0]
        words = f" ({len(result.problems)} cannot be used: {first.kind}, {first.path}: {first.detail})"
    passed = ", ".join(f"{count} x {reason}" for reason, count in left_out.items())
    return f"{words} (left out: {passed})" if passed else words
