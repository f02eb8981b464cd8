"""Opens every image of a data set: what is broken is taken out and reported, and so is what is there twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from mswin_viz.data.images import Crop, opened
from mswin_viz.data.report import DataReport
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.errors import ImageError, ImageFileError

__all__ = ["verify"]


@dataclass(frozen=True)
class _Opened:
    """A file, and what opening the pictures in it found.

    Attributes
    ----------
    digest
        Of its content; empty if no picture in it can be used.
    broken
        Those of its pictures that cannot be used.
    reasons, remarks
        Why not; what is wrong with the others. Each once.
    """

    path: Path
    split: str | None
    digest: str
    broken: tuple[Path | Crop, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]


def verify(report: DataReport, *, workers: int = 4, progress: bool = True) -> DataReport:
    """The report with every file opened, decoded to the end and compared with the others by content.

    A query image that is in the gallery under the same name is no duplicate: data sets are made that way.

    Parameters
    ----------
    workers
        Threads; decoding frees Python's lock.

    Returns
    -------
    report
        Its samples hold only images that can be read; duplicates stay in, and are reported.
    """
    files = _files(report.samples)
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda item: _opened(*item), files.items())
        files_opened = list(tqdm(done, total=len(files), desc="opening", unit="file", disable=not progress))
    found = [
        Problem("corrupt image", one.path, f"left out: {why}") for one in files_opened for why in one.reasons
    ]
    found += [
        Problem("damaged image", one.path, f"kept: {why}") for one in files_opened for why in one.remarks
    ]
    broken = frozenset(source for one in files_opened for source in one.broken)
    kept = [_without(sample, broken) for sample in report.samples]
    return replace(
        report,
        samples=tuple(sample for sample in kept if sample.images),
        problems=(*report.problems, *found, *_duplicates(files_opened)),
        opened=len(files),
    )


def _files(samples: Iterable[Sample]) -> dict[Path, tuple[list[Path | Crop], str | None]]:
    """File -> the pictures in it that are used, and the split it belongs to; a strip of three is one file."""
    files: dict[Path, tuple[list[Path | Crop], str | None]] = {}
    for sample in samples:
        for source in sample.images.values():
            used, _ = files.setdefault(_file(source), ([], sample.split))
            if source not in used:
                used.append(source)
    return files


def _file(source: Path | Crop) -> Path:
    return source.path if isinstance(source, Crop) else source


def _opened(path: Path, used: tuple[list[Path | Crop], str | None]) -> _Opened:
    sources, split = used
    broken, reasons, remarks = [], [], []
    for source in sources:
        try:
            remarks += [one.replace(str(path), path.name) for one in opened(source).remarks]
        except (ImageFileError, ImageError) as problem:
            broken.append(source)
            reasons.append(str(problem).replace(str(path), path.name))
    digest = ""
    if len(broken) < len(sources):
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as problem:  # it went away meanwhile
            broken, reasons = list(sources), [problem.strerror or str(problem)]
    return _Opened(
        path, split, digest, tuple(broken), *(tuple(dict.fromkeys(one)) for one in (reasons, remarks))
    )


def _without(sample: Sample, broken: Collection[Path | Crop]) -> Sample:
    images = {name: source for name, source in sample.images.items() if source not in broken}
    return sample if len(images) == len(sample.images) else replace(sample, images=images)


def _duplicates(opened: Iterable[_Opened]) -> list[Problem]:
    """One problem for each file whose content an earlier one has."""
    by_content: dict[str, list[_Opened]] = defaultdict(list)
    found = []
    for one in opened:
        if not one.digest:
            continue
        twin = next((other for other in by_content[one.digest] if not _by_design(one, other)), None)
        if twin is not None:
            leak = (
                " (training and test share it)" if (one.split == "train") != (twin.split == "train") else ""
            )
            found.append(Problem("duplicate", one.path, f"same content as {twin.path}{leak}"))
        by_content[one.digest].append(one)
    return found


def _by_design(one: _Opened, other: _Opened) -> bool:
    return {one.split, other.split} == {"query", "gallery"} and one.path.name == other.path.name
