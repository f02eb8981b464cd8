"""Image files on disk -> ``Sample`` records: which layout a folder has, its samples, and what is wrong with it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from mswin_viz.data import manifest, msvr310, plain_folder, rgbnt100, rgbnt201
from mswin_viz.data.files import SUFFIXES
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.report import DataReport
from mswin_viz.data.sample import SPLITS, Problem, PublishedCount, Sample
from mswin_viz.errors import DataError, OptionError

__all__ = ["LAYOUTS", "MODALITIES", "Sample", "query_and_gallery", "samples", "scan"]

_SETS = {"rgbnt201": rgbnt201, "rgbnt100": rgbnt100, "msvr310": msvr310}
LAYOUTS = ("auto", *_SETS, "manifest", "folder")
_SHAPES = {
    "rgbnt201": "sub-folders {train_171,test}/{RGB,NI,TI} and names PPPPPP_camC_...",
    "rgbnt100": "strips of 768x128 (width x height) in {bounding_box_train,query,bounding_box_test}",
    "msvr310": "sub-folders {bounding_box_train,query3,bounding_box_test}/<id>/{vis,ni,th}",
    "manifest": f"a table {manifest.NAME}, or is one",
}


def samples(root: str | Path | None = None, layout: str = "auto", split: str | None = None) -> list[Sample]:
    """The shipped samples, or those of a data set, folder or image of one's own, in the order of their names.

    Nothing but names is looked at: a broken file is found by `mswin_viz.data.verification.verify`, or when it is
    opened. What cannot be used is left out with a warning that says how much; `scan` has the list.

    Parameters
    ----------
    root
        None for the shipped samples; else a data set folder (or one around or inside it), a folder of images,
        a CSV table, or one image file.
    layout
        ``"rgbnt201"``, ``"rgbnt100"``, ``"msvr310"``: as their authors lay them out; ``"manifest"``: a CSV table
        (columns ``RGB``, ``NI``, ``TI`` with paths, ``pid``, ``camid``, ``scene``, ``split``, ``caption``);
        ``"folder"``: every image below ``root``; ``"auto"`` recognises which.
    split
        Only ``"train"``, ``"query"``, ``"gallery"`` or ``"test"``; the last stands for query and gallery where
        the set has these.

    Raises
    ------
    DataError
        If ``root`` does not exist, holds no image, is not in the layout asked for, or has no such split.
    OptionError
        If ``layout`` or ``split`` is none of those.
    """
    report = scan(root, layout, split)
    if report.problems:
        said = ", ".join(f"{count} x {kind}" for kind, count in report.counts.items())
        warnings.warn(
            f"{report.root} has files that cannot be used as they are ({said}): print(mswin_viz.scan(...)) or "
            f"`mswin-viz doctor --data {report.root}` lists them",
            stacklevel=2,
        )
    return list(report.samples)


def scan(root: str | Path | None = None, layout: str = "auto", split: str | None = None) -> DataReport:
    """What `samples` finds, together with everything it could not use; printing it shows tables.

    Parameters and errors are those of `samples`.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout must be one of {', '.join(LAYOUTS)}: got {layout!r}; choose one")
    if split not in (*SPLITS, None):
        raise OptionError(f"split must be one of {', '.join(SPLITS)}: got {split!r}; choose one")
    folder = _shipped() if root is None else Path(root).expanduser()
    if not folder.exists():
        raise DataError(f"samples need an existing folder or image: got {folder}; check the path")
    name, found, problems = _scanned(folder, layout)
    if not found:
        raise DataError(
            f"samples need at least one image ({', '.join(sorted(SUFFIXES))}) that can be used: found none below "
            f"{folder}{_said(problems)}; check the path, or generate some with `mswin-viz samples`"
        )
    report = DataReport(folder, name, tuple(found), tuple(problems), _published(name, found))
    return report if split is None else _only(report, split)


def query_and_gallery(found: Sequence[Sample]) -> tuple[list[int], list[int]]:
    """Positions of the samples that ask and of those that answer; all of ``"test"``, or of no split, do both.

    Raises
    ------
    DataError
        If there is nobody to ask or to answer.
    """
    both = ("test", None)
    query = [at for at, sample in enumerate(found) if sample.split in ("query", *both)]
    gallery = [at for at, sample in enumerate(found) if sample.split in ("gallery", *both)]
    if not query or not gallery:
        raise DataError(
            f"retrieval needs query and gallery samples: got {len(query)} and {len(gallery)}; pass the whole set"
        )
    return query, gallery


def _scanned(root: Path, layout: str) -> tuple[str, list[Sample], list[Problem]]:
    """Name of the layout, samples and problems."""
    table = root if root.suffix.lower() == ".csv" else root / manifest.NAME
    if table.is_file() and layout in ("auto", "manifest"):
        return "manifest", *manifest.scan(table)
    if root.is_file():
        return "one image", [Sample(-1, -1, {"RGB": root})], []
    if layout == "folder":
        return layout, *plain_folder.scan(root)
    wanted = _SETS if layout == "auto" else {layout: _SETS[layout]} if layout in _SETS else {}
    known = {name: found for name, kind in wanted.items() if (found := kind.splits(root))}
    if len(known) > 1:
        raise DataError(
            f"{root} must hold one data set: got {' and '.join(known)}; point to one, or choose with layout="
        )
    if known:
        ((name, found),) = known.items()
        return name, *_SETS[name].scan(found)
    if layout != "auto":
        raise DataError(
            f"the {layout} layout has {_SHAPES[layout]}: found none below {root}; point to the data set's folder, "
            'or use layout="folder"'
        )
    return "folder", *plain_folder.scan(root)


def _only(report: DataReport, split: str) -> DataReport:
    wanted = ("test", "query", "gallery") if split == "test" else (split,)
    kept = tuple(sample for sample in report.samples if sample.split in wanted)
    if not kept:
        there = ", ".join(sorted({sample.split or "none" for sample in report.samples}))
        raise DataError(f"{report.root} has no {split} split: it has {there}; choose one, or leave split out")
    return DataReport(report.root, report.layout, kept, report.problems)


def _published(name: str, found: Sequence[Sample]) -> tuple[PublishedCount, ...]:
    """Published counts beside those found, if all splits of a published set are there."""
    published = _SETS[name].PUBLISHED if name in _SETS else {}
    if not published or {sample.split for sample in found} != set(published):
        return ()
    counts = []
    for split, (identities, images) in published.items():
        own = [sample for sample in found if sample.split == split]
        counts.append(PublishedCount(split, identities, images, len({s.pid for s in own}), len(own)))
    return tuple(counts)


def _said(problems: Sequence[Problem]) -> str:
    return f" ({len(problems)} cannot be: {problems[0].kind}, {problems[0].path})" if problems else ""


def _shipped() -> Path:
    """``data_samples/`` of a checkout; from an installed wheel, a cache that is generated once."""
    checkout = Path(__file__).resolve().parents[2] / "data_samples"
    if (checkout / "RGBNT201").is_dir():
        return checkout
    from mswin_viz.data.sample_files import (  # drawing is needed only here
        SHIPPED,
        WORLD_VERSION,
        write_samples,
    )

    cache = Path.home() / ".cache" / "mswin_viz" / f"data_samples-{WORLD_VERSION}"
    if not (cache / "complete").exists():
        write_samples(cache, **SHIPPED)
        (cache / "complete").touch()
    return cache
