"""Accounts for every picture below a folder: it is in a sample, in a problem, or left out for a reason that is counted."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import Problem
from mswin_viz.data.sets.files import Picture
from mswin_viz.data.sets.modalities import AMBIGUOUS, UNCLEAR, Contents, modality_word
from mswin_viz.data.sets.reading import ReaderResult
from mswin_viz.data.sets.taken_as_rgb import like_modalities, same_names


def account_for(below: Contents, result: ReaderResult, name: str, *, is_paired: bool) -> None:
    """Add to a reader's result what became of every picture; ``name`` and ``is_paired`` are those of the layout."""
    used = result.files
    result.problems[:0] = below.tree.problems
    if is_paired:
        result.problems += [problem for problem in below.problems if problem.path in used]
        result.problems += [] if name == "manifest" else _without_modality(result, below.tree.root)
    done = used | {problem.path for problem in result.problems}
    done |= {path for paths in result.passed.values() for path in paths}
    if name == "manifest":
        done = {os.path.normpath(path) for path in done}
        rest = [one.path for one in below.tree.pictures if os.path.normpath(one.path) not in done]
        result.passed["picture that the table does not name"] += rest
        return
    read_as_rgb = {sample.images.get("RGB") for sample in result.samples}
    unnamed = [picture for picture in below.plain if picture.path in read_as_rgb]
    signs = like_modalities(unnamed)
    if not signs and is_paired and name != "folder":
        signs = same_names(unnamed)
    result.problems += signs
    _add_unread(below, result, name, [one for one in below.tree.pictures if one.path not in done])


def _add_unread(below: Contents, result: ReaderResult, name: str, pictures: list[Picture]) -> None:
    """Report each folder of pictures that were not read, and count those outside the data set."""
    unclear = {one.path for one in below.unclear}
    holding = {folder for path in result.files for folder in path.parents}
    counts: Counter[tuple[str, Path]] = Counter()
    for picture in pictures:
        if picture.path in unclear:
            counts["modality not known", _undecided(picture)] += 1
        elif picture.parts[: len(result.base)] == result.base:
            counts["outside the layout", _top(picture, result.base, holding)] += 1
        else:
            result.passed["picture outside the data set's folder"].append(picture.path)
    for (kind, folder), count in counts.items():
        why = f"{folder.resolve().name} {UNCLEAR}" if kind == "modality not known" else f"not read as {name}"
        result.problems.append(Problem(kind, folder, f"{count:,} left out; {why}"))


def _without_modality(result: ReaderResult, root: Path) -> list[Problem]:
    """One problem for each modality that no shot of a set of several has, rather than one for each shot."""
    if all(len(sample.images) == 1 for sample in result.samples):
        return []
    there = {name for sample in result.samples for name in sample.images}
    have = ", ".join(name for name in MODALITIES if name in there)
    return [
        Problem("missing modality", root, f"no {name} image in the whole set; loaded with {have}")
        for name in MODALITIES
        if name not in there
    ]


def _undecided(picture: Picture) -> Path:
    """The folder around a picture whose name may mean near or thermal infrared."""
    level = max(n for n, name in enumerate(picture.parts) if modality_word(name)[0] == AMBIGUOUS)
    above = picture.path.parents
    return above[min(len(picture.parts) - 1 - level, len(above) - 1)]


def _top(picture: Picture, base: tuple[str, ...], holding: set[Path]) -> Path:
    """The outermost folder around a picture, below the data set's own, in which nothing was read."""
    below = len(picture.parts) - len(base)
    folders = picture.path.parents[: max(below, 1)]
    return next((folder for folder in reversed(folders) if folder not in holding), folders[0])


def left_out_counts(below: Contents, result: ReaderResult) -> Counter[str]:
    """Reason -> number of the files that are left out though nothing is wrong with them."""
    counts = Counter({reason: len(paths) for reason, paths in result.passed.items() if paths})
    read = set(result.tables)
    for path in below.tree.others:
        if path not in read:
            counts[f"{path.suffix.lower()} file" if path.suffix else "file without an ending"] += 1
    return counts
