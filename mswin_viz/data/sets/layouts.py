"""Image files on disk -> ``Sample`` records, and a report of what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mswin_viz.data.sample import SPLITS, Problem, Sample, listed_samples
from mswin_viz.data.sets.folder_reading import read_folder, read_picture
from mswin_viz.data.sets.known_sets import SETS
from mswin_viz.data.sets.report import DataReport, PublishedCount
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.typed_paths import existing_path
from mswin_viz.data.store.store_record import is_store
from mswin_viz.data.synthetic.shipped_samples import shipped_samples
from mswin_viz.data.tags.choice import Names, chosen_samples
from mswin_viz.data.tags.opening import Place
from mswin_viz.errors import DataError, OptionError

LAYOUTS = ("auto", *SETS, "manifest", "folder")


def samples(
    root: str | Path | None = None,
    layout: str = "auto",
    split: str | None = None,
    *,
    tagged: Names = (),
    without: Names = (),
    tags: Place = None,
) -> list[Sample]:
    """The shipped samples, or those of a data set, a folder or an image, in the natural order of their names.

    Only names are read: broken files are found by :func:`verify`, or when they are opened. A warning counts what cannot
    be used; :func:`scan` lists it.

    Parameters
    ----------
    root
        None for the shipped samples; else a data set folder (or one around or inside it), a folder of images,
        a CSV table, one image file, or a store of features.
    layout
        ``"rgbnt201"``, ``"rgbnt100"``, ``"msvr310"``, ``"wmveid863"``, ``"market1501_rgbnt"``: three modalities;
        ``"market1501"``, ``"dukemtmc"``, ``"msmt17"``, ``"veri776"``: visible light only; ``"sysu_mm01"``,
        ``"regdb"``: visible or infrared; each as its authors lay it out. ``"market_style"``: names
        ``PID_cCAMERA...`` in split folders. ``"manifest"``: a CSV table (columns ``RGB``, ``NI``, ``TI`` with
        paths, ``pid``, ``camid``, ``scene``, ``split``, ``caption``). ``"folder"``: every image below ``root``,
        of unknown identity. ``"auto"`` recognises which.
    split
        ``"train"``, ``"query"``, ``"gallery"`` or ``"test"``, to return only that split; ``"test"`` stands for query and
        gallery if the set has these.
    tagged, without
        Tags, one or several: only samples that have all of the first and none of the second.
    tags
        Their file, or :class:`Tags`; by default, what :func:`open_tags` finds beside the data.

    Returns
    -------
    samples
        One :class:`Sample` for each shot; opening its files is left to whoever needs the pictures.

    Raises
    ------
    DataError
        If ``root`` does not exist, holds no image, is not in this layout, or has no such split or no sample with
        such tags.
    OptionError
        If ``layout`` or ``split`` is unknown, or a tag that no image has.

    Examples
    --------
    >>> samples = mv.samples()  # 24 drawn people, two cameras, two shots; in three modalities
    >>> len(samples), samples[0].label, sorted(samples[0].images)
    (96, 'id 1, camera 1', ['NI', 'RGB', 'TI'])
    >>> root = mv.write_samples("data", identities=2, cameras=1, shots=1)
    >>> [sample.name for sample in mv.samples(root, split="test")]
    ['000001_cam1_0_00', '000002_cam1_0_00']
    """
    report = scan(root, layout, split, tagged=tagged, without=without, tags=tags)
    if report.problems:
        counted = ", ".join(f"{count} x {kind}" for kind, count in report.counts.items())
        first = report.problems[0]
        warnings.warn(
            f"not everything in {report.root} can be used as it is ({counted}; first: {first.path}: "
            f"{first.detail}): print(mswin_viz.scan(...)) or `mswin-viz doctor --data {report.root}` lists them",
            stacklevel=2,
        )
    return list(report.samples)


def scan(
    root: str | Path | None = None,
    layout: str = "auto",
    split: str | None = None,
    *,
    tagged: Names = (),
    without: Names = (),
    tags: Place = None,
) -> DataReport:
    """What :func:`samples` finds and what it cannot use; printing it shows tables.

    Parameters
    ----------
    root, layout, split, tagged, without, tags
        As in :func:`samples`.

    Returns
    -------
    report
        Samples and problems, by names alone: :func:`verify` opens the files.

    Raises
    ------
    DataError, OptionError
        As in :func:`samples`.

    Examples
    --------
    >>> report = mv.scan()
    >>> report.layout, len(report.samples), report.sound
    ('rgbnt201', 96, True)
    >>> print(str(report).splitlines()[-1])
    96 samples can be used; no problem found; only names were read; `mswin-viz doctor --data` opens every file.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout must be one of {', '.join(LAYOUTS)}: got {layout!r}; choose one")
    if split not in (*SPLITS, None):
        raise OptionError(f"split must be one of {', '.join(SPLITS)}: got {split!r}; choose one")
    folder = shipped_samples() if root is None else existing_path(root)
    if is_store(folder):
        report = _stored(folder)
    elif folder.is_file() and layout != "manifest" and folder.suffix.lower() not in (".csv", ".tsv"):
        report = read_picture(folder)
    else:
        report = read_folder(folder, layout)
    root = report.root if report.root.is_dir() else report.root.parent
    report = replace(report, samples=tuple(replace(sample, root=root) for sample in report.samples))
    report = _with_published(report)
    report = report if split is None else _only(report, split)
    if not tagged and not without:
        return report
    chosen = chosen_samples(report.samples, root, tagged=tagged, without=without, tags=tags)
    return replace(report, samples=tuple(chosen), published=())


def _stored(folder: Path) -> DataReport:
    """The samples of a store, and its images that failed."""
    from mswin_viz.data.store.stored_images import StoredImages, store_parts  # Arrow is slow to load

    store = StoredImages(**store_parts(folder))
    if store.root is not None and not store.root.is_dir():
        raise DataError(
            f"the images of a store must lie where they did: {shown_text(store.root)} is no folder; open the store with "
            "mv.open_store(folder, root=...), where they lie now"
        )
    failed = store.failed.to_pylist()
    problems = (Problem("corrupt image", Path(row["path"]), row["reason"]) for row in failed)
    return DataReport(store.root or folder, "store", tuple(store), tuple(problems))


def query_and_gallery(samples: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Positions of the query and of the gallery samples; samples of ``"test"``, or of no split, are both.

    Parameters
    ----------
    samples
        Those of a data set, in any order.

    Returns
    -------
    query, gallery
        Positions in ``samples``, ascending; for ``query=`` and ``gallery=`` of :func:`retrieval`.

    Raises
    ------
    DataError
        If there is no query or no gallery sample.

    Examples
    --------
    >>> files = {"RGB": "a.jpg"}
    >>> splits = ["query", "gallery", "gallery", "train"]
    >>> mv.query_and_gallery([mv.Sample(1, 2, files, split=split) for split in splits])
    ([0], [1, 2])
    >>> query, gallery = mv.query_and_gallery(samples)  # RGBNT201's test split: every image is both
    >>> query == gallery, len(query)
    (True, 96)
    """
    samples = listed_samples(samples)
    both = ("test", None)
    query = [number for number, sample in enumerate(samples) if sample.split in ("query", *both)]
    gallery = [number for number, sample in enumerate(samples) if sample.split in ("gallery", *both)]
    if not query or not gallery:
        raise DataError(
            f"retrieval needs query and gallery samples: got {len(query)} and {len(gallery)}; pass both splits"
        )
    return query, gallery


def _only(report: DataReport, split: str) -> DataReport:
    wanted = ("test", "query", "gallery") if split == "test" else (split,)
    kept = tuple(sample for sample in report.samples if sample.split in wanted)
    if not kept:
        there = ", ".join(sorted({sample.split or "none" for sample in report.samples}))
        raise DataError(f"{report.root} has no {split} split: it has {there}; choose one, or leave split out")
    return replace(report, samples=kept, published=())


def _with_published(report: DataReport) -> DataReport:
    """The report with published counts beside those found, if all splits of a published set are there."""
    published = SETS[report.layout].published if report.layout in SETS else {}
    if not published or {sample.split for sample in report.samples} != set(published):
        return report
    counts = [
        PublishedCount(
            one.split, *published[one.split], found_identities=one.identities, found_samples=one.samples
        )
        for one in report.splits
    ]
    return replace(report, published=tuple(counts))
