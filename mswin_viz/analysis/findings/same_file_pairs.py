"""One finding for each two samples that share files, whichever modalities they were compared by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mswin_viz.analysis.embeddings.table import EmbeddingTable
from mswin_viz.analysis.findings.compared import in_usual_order
from mswin_viz.analysis.findings.exact_copies import SAME, ImageOf
from mswin_viz.analysis.findings.record import Finding, named, named_beside
from mswin_viz.data.images.image_source import joined_name

_Two = tuple[int, int]
"""The numbers of two samples, or a row of each, the lower number first."""


def one_for_two_samples(
    table: EmbeddingTable, found: Sequence[Finding], files: Sequence[Sequence[ImageOf]] = ()
) -> list[Finding]:
    """The findings, those of the same file once for each two samples, with every modality in which they share it.

    ``files`` has the images of each file that is there more than once, from :func:`same_files`. They add samples that share
    files and were not found, and copies of a file in another modality, one finding each; the latter are left out where all
    files of two samples are the same.
    """
    others: list[Finding] = []
    told: dict[_Two, list[Finding]] = defaultdict(list)
    for one in found:
        two = _numbers(table, one.row, one.evidence[0])
        (told[two] if one.what == SAME[0] and two[0] != two[1] else others).append(one)
    pairs = [(images[0], image) for images in _by_sample(table, files) for image in images[1:]]
    alike = [_numbers(table, a.row, b.row) for a, b in pairs if a.modality == b.modality]
    rows_of, file_of, whole = _rows_of_samples(table), _file_of(table, files), set()
    for two in dict.fromkeys([*told, *alike]):
        named_so = {name for one in told[two] for name in one.modality.split("+")}
        of_a, of_b = rows_of[two[0]], rows_of[two[1]]
        both = [name for name in in_usual_order(tuple(of_a)) if name in of_b]
        shared = {
            name: (of_a[name], of_b[name])
            for name in both
            if name in named_so or file_of.get((two[0], name), -1) == file_of.get((two[1], name), -2)
        }
        if len(shared) == len(of_a) == len(of_b):
            whole.add(two)
        others.append(_merged(table, told[two], shared, is_whole=two in whole))
    across = [(a, b) for a, b in pairs if a.modality != b.modality]
    return others + [_across(table, a, b) for a, b in across if _numbers(table, a.row, b.row) not in whole]


def _merged(
    table: EmbeddingTable, told: Sequence[Finding], shared: Mapping[str, _Two], *, is_whole: bool
) -> Finding:
    """One finding of two samples: what was told, if it has every modality that they share."""
    for one in told:
        if set(one.modality.split("+")) >= set(shared):
            return one
    joined = [rows for rows in shared.values() if "+" in str(table.modality[rows[0]])]
    row, other = joined[0] if joined else next(iter(shared.values()))
    modality = str(table.modality[row]) if joined else joined_name(shared)
    if is_whole:
        reason = f"the same file as {named_beside(table, row, other)}"
    elif len(shared) == 1:
        reason = f"its {modality} file is the {modality} file of {named(table, other)}"
    else:
        *first, last = shared
        reason = f"its {', '.join(first)} and {last} files are those of {named(table, other)}"
    return Finding(row, modality, SAME[0], 1.0, reason, (other,))


def _across(table: EmbeddingTable, one: ImageOf, other: ImageOf) -> Finding:
    reason = f"its {one.modality} file is the {other.modality} file of {named(table, other.row)}"
    return Finding(one.row, str(table.modality[one.row]), SAME[0], 1.0, reason, (other.row,))


def _numbers(table: EmbeddingTable, row: int, other: int) -> _Two:
    low, high = sorted((int(table.sample[row]), int(table.sample[other])))
    return low, high


def _by_sample(table: EmbeddingTable, files: Sequence[Sequence[ImageOf]]) -> list[list[ImageOf]]:
    return [sorted(images, key=lambda image: int(table.sample[image.row])) for images in files]


def _rows_of_samples(table: EmbeddingTable) -> dict[int, dict[str, int]]:
    """The row of each sample's file, by modality; the first one where a table names it in several."""
    rows: dict[int, dict[str, int]] = defaultdict(dict)
    for row, files in enumerate(table.files):
        for modality in files:
            rows[int(table.sample[row])].setdefault(modality, row)
    return rows


def _file_of(table: EmbeddingTable, files: Sequence[Sequence[ImageOf]]) -> dict[tuple[int, str], int]:
    """The number of the file of a sample's modality, where it is there more than once."""
    return {
        (int(table.sample[image.row]), image.modality): number
        for number, images in enumerate(files)
        for image in images
    }
