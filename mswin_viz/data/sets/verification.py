"""Opens every image of a data set; broken ones are taken out and reported, duplicates are reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mswin_viz.data.images.image_source import Crop, opened
from mswin_viz.data.names import file_digest
from mswin_viz.data.progress import progress_bar
from mswin_viz.data.sample import Problem, Sample
from mswin_viz.data.sets.report import DataReport
from mswin_viz.data.storage.given_kinds import of_kind
from mswin_viz.errors import ImageError, ImageFileError


@dataclass(frozen=True)
class _CheckedFile:
    """A file, and what opening the pictures in it found."""

    path: Path
    split: str | None
    digest: str  # of its content; empty if no picture in it can be used
    broken: list[Path | Crop]  # those of its pictures that cannot be used
    reasons: list[str]  # why not
    remarks: list[str]  # what is wrong with the others


def verify(report: DataReport, *, workers: int = 4, progress: bool = True) -> DataReport:
    """The report with every file opened, decoded completely and compared with the others by content.

    A query image that is in the gallery under the same name is no duplicate: data sets are made that way.

    Parameters
    ----------
    report
        From :func:`scan`.
    workers
        Threads; decoding frees Python's lock.
    progress
        Show a bar.

    Returns
    -------
    report
        Its samples hold only images that can be read; duplicates are reported but kept.

    Examples
    --------
    >>> root = mv.write_samples("data", identities=2, cameras=1, shots=1)
    >>> _ = (root / "test" / "NI" / "000001_cam1_0_00.jpg").write_bytes(b"broken")
    >>> report = mv.verify(mv.scan(root), progress=False)
    >>> report.opened, report.counts
    (6, {'corrupt image': 1})
    >>> sorted(report.samples[0].images)  # without the broken file
    ['RGB', 'TI']
    """
    of_kind(report, DataReport, "report must be that of a data set", "make one with mswin_viz.scan")
    files = _files(report.samples)
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda item: _opened(*item), files.items())
        checked = list(
            progress_bar(done, total=len(files), desc="opening", unit="file", disable=not progress)
        )
    problems = [
        Problem("corrupt image", one.path, f"left out: {why}") for one in checked for why in one.reasons
    ]
    problems += [Problem("damaged image", one.path, f"kept: {why}") for one in checked for why in one.remarks]
    broken = {source for one in checked for source in one.broken}
    kept = [_without(sample, broken) for sample in report.samples]
    return replace(
        report,
        samples=tuple(sample for sample in kept if sample.images),
        problems=(*report.problems, *problems, *_duplicates(checked)),
        opened=len(files),
    )


def _files(samples: Iterable[Sample]) -> dict[Path, tuple[list[Path | Crop], str | None]]:
    """File -> the pictures in it that are used, and its split."""
    files: dict[Path, tuple[list[Path | Crop], str | None]] = {}
    for sample in samples:
        for source in sample.images.values():
            file = source.path if isinstance(source, Crop) else source
            used, _ = files.setdefault(file, ([], sample.split))
            if source not in used:
                used.append(source)
    return files


def _opened(path: Path, used: tuple[list[Path | Crop], str | None]) -> _CheckedFile:
    sources, split = used
    broken, reasons, remarks = [], [], []
    for source in sources:
        try:
            remarks += [one.replace(str(path), path.name) for one in opened(source).remarks]
        except (ImageFileError, ImageError) as problem:
            broken.append(source)
            reasons.append(str(problem).replace(str(path), path.name))
    digest = file_digest(path) if len(broken) < len(sources) else ""
    if digest is None:  # it was deleted meanwhile
        digest, broken, reasons = "", sources, ["it can no longer be read"]
    reasons, remarks = list(dict.fromkeys(reasons)), list(dict.fromkeys(remarks))
    return _CheckedFile(path, split, digest, broken=broken, reasons=reasons, remarks=remarks)


def _without(sample: Sample, broken: Collection[Path | Crop]) -> Sample:
    images = {name: source for name, source in sample.images.items() if source not in broken}
    return sample if len(images) == len(sample.images) else replace(sample, images=images)


def _duplicates(files: Iterable[_CheckedFile]) -> list[Problem]:
    """One problem for each file with the same content as an earlier one."""
    by_content: dict[str, list[_CheckedFile]] = defaultdict(list)
    duplicates = []
    for one in files:
        if not one.digest:
            continue
        twin = next((other for other in by_content[one.digest] if not _by_design(one, other)), None)
        if twin is not None:
            is_leak = (one.split == "train") != (twin.split == "train")
            leak = " (training and test share it)" if is_leak else ""
            duplicates.append(Problem("duplicate", one.path, f"same content as {twin.path}{leak}"))
        by_content[one.digest].append(one)
    return duplicates


def _by_design(one: _CheckedFile, other: _CheckedFile) -> bool:
    return {one.split, other.split} == {"query", "gallery"} and one.path.name == other.path.name
