"""Opens every image of a data set: what is broken is taken out and reported, and so is what is there twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from mswin_viz.data.images import Crop, open_image
from mswin_viz.data.report import DataReport
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.errors import ImageError, ImageFileError

__all__ = ["verify"]


@dataclass(frozen=True)
class _Opened:
    path: Path
    split: str | None
    digest: str
    problem: str


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
        opened = list(tqdm(done, total=len(files), desc="opening", unit="file", disable=not progress))
    broken = {one.path: one.problem for one in opened if one.problem}
    found = [Problem("corrupt image", path, f"{why}; left out") for path, why in broken.items()]
    kept = [_without(sample, broken) for sample in report.samples]
    return replace(
        report,
        samples=tuple(sample for sample in kept if sample.images),
        problems=(*report.problems, *found, *_duplicates(opened)),
        opened=len(files),
    )


def _files(samples: Iterable[Sample]) -> dict[Path, tuple[Path | Crop, str | None]]:
    """File -> an image in it, and the split it belongs to; a strip of three pictures is one file."""
    files: dict[Path, tuple[Path | Crop, str | None]] = {}
    for sample in samples:
        for source in sample.images.values():
            files.setdefault(_file(source), (source, sample.split))
    return files


def _file(source: Path | Crop) -> Path:
    return source.path if isinstance(source, Crop) else source


def _opened(path: Path, image: tuple[Path | Crop, str | None]) -> _Opened:
    source, split = image
    try:
        open_image(source)
        return _Opened(path, split, hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(), "")
    except (ImageFileError, ImageError, OSError) as problem:
        cause = problem.__cause__ or problem
        return _Opened(path, split, "", str(cause).replace(str(path), path.name))


def _without(sample: Sample, broken: Mapping[Path, str]) -> Sample:
    images = {name: source for name, source in sample.images.items() if _file(source) not in broken}
    return sample if len(images) == len(sample.images) else replace(sample, images=images)


def _duplicates(opened: Iterable[_Opened]) -> list[Problem]:
    """One problem for each file whose content an earlier one has."""
    by_content: dict[str, list[_Opened]] = defaultdict(list)
    found = []
    for one in opened:
        if one.problem:
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
