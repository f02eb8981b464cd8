"""A folder of images whose names say nothing: taken as RGB, or as the modalities their folders are named for."""

from __future__ import annotations

from pathlib import Path

from mswin_viz.data.files import aligned, images_below, missing_modalities
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.rgbnt201 import modality_folders
from mswin_viz.data.sample import Problem, Sample

__all__ = ["scan"]


def scan(folder: Path) -> tuple[list[Sample], list[Problem]]:
    """Samples of unknown identity: files of one name in ``RGB``, ``NI`` and ``TI`` are one, else each is one."""
    samples, problems = [], []
    parents = modality_folders(folder)
    for parent in parents:
        folders = {name: parent / name for name in MODALITIES}
        for name, files in aligned(folders).items():
            samples.append(Sample(-1, -1, files))
            problems += missing_modalities(files, folders, name)
    taken = {path for sample in samples for path in sample.images.values()}
    rest = [file for file in images_below(folder) if file not in taken]
    return samples + [Sample(-1, -1, {"RGB": file}) for file in rest], problems
