"""Listing image files, and finding the same file in the folders of several modalities."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mswin_viz.data.images import MODALITIES
from mswin_viz.data.sample import Problem

__all__ = ["SUFFIXES", "aligned", "image_names", "images_below", "levels", "missing_modalities"]

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


def levels(folder: Path) -> Iterator[Path]:
    """The folder, its sub-folders and theirs; a data set's own folder may lie at any of them."""
    yield folder
    first = _folders(folder)
    yield from first
    for sub in first:
        yield from _folders(sub)


def image_names(folder: Path) -> set[str]:
    """Names of the image files right in a folder; none where it does not exist."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {e.name for e in entries if Path(e.name).suffix.lower() in SUFFIXES and e.is_file()}


def images_below(folder: Path) -> list[Path]:
    """Every image file at any depth, ordered by path."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def aligned(folders: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """File name -> modality -> file, for names found in the folder of at least one modality."""
    names = {modality: image_names(folder) for modality, folder in folders.items()}
    return {
        name: {modality: folders[modality] / name for modality in folders if name in names[modality]}
        for name in sorted(set().union(*names.values()))
    }


def missing_modalities(found: Mapping[str, Path], folders: Mapping[str, Path], name: str) -> list[Problem]:
    """One problem for each modality that a shot lacks."""
    have = ", ".join(found)
    return [
        Problem("missing modality", folders[modality] / name, f"no {modality}; loaded with {have}")
        for modality in MODALITIES
        if modality not in found
    ]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except PermissionError:  # somebody else's folder beside the data set
        return []
