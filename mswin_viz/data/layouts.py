"""Image files on disk -> ``Sample`` records: the RGBNT201 layout, plain folders and single images."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mswin_viz.data.images import MODALITIES
from mswin_viz.errors import DataError, OptionError

__all__ = ["LAYOUTS", "MODALITIES", "Sample", "samples"]

LAYOUTS = ("auto", "rgbnt201", "folder")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
_RGBNT201_NAME = re.compile(r"(?P<pid>\d{6})_cam(?P<cam>\d+)_")


@dataclass(frozen=True)
class Sample:
    """One shot of one person or vehicle, in up to three aligned modalities.

    Attributes
    ----------
    pid, camid
        Identity and camera number as the file name gives them; -1 where the layout knows none.
    images
        Modality name (``"RGB"``, ``"NI"``, ``"TI"``) to file.
    caption
        A sentence about the sample, where one is known.
    scene
        Scene number, where the layout has scenes (MSVR310, whose retrieval leaves out the query's own scene).
    split
        ``"train"``, ``"query"``, ``"gallery"``, or ``"test"`` (query and gallery are one, as in RGBNT201);
        None where the layout knows none.
    """

    pid: int
    camid: int
    images: Mapping[str, Path]
    caption: str | None = None
    scene: int | None = None
    split: str | None = None

    @property
    def name(self) -> str:
        """File name of the first modality, without its ending."""
        return next(iter(self.images.values())).stem


def samples(root: str | Path | None = None, layout: str = "auto") -> list[Sample]:
    """The shipped samples, or those of a folder or image of one's own, in the order of their names.

    Parameters
    ----------
    root
        None for the shipped samples; else a data set folder, a folder of images, or one image file.
    layout
        ``"rgbnt201"``: ``RGBNT201/{train_171,test}/{RGB,NI,TI}``, any of these folders may be ``root``;
        ``"folder"``: every image below ``root``, taken as RGB; ``"auto"`` recognises which.

    Raises
    ------
    DataError
        If ``root`` does not exist, holds no image, or is not in the layout asked for.
    OptionError
        If ``layout`` is not one of ``LAYOUTS``.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout must be one of {', '.join(LAYOUTS)}: got {layout!r}")
    folder = _shipped() if root is None else Path(root).expanduser()
    if not folder.exists():
        raise DataError(f"samples need an existing folder or image: got {folder}; check the path")
    if folder.is_file():
        return [Sample(-1, -1, {"RGB": folder})]
    splits = _rgbnt201_splits(folder)
    if layout == "rgbnt201" and not splits:
        raise DataError(
            f"the rgbnt201 layout has sub-folders {{train_171,test}}/{{RGB,NI,TI}}: found none below {folder}; "
            'point to the RGBNT201 folder, or use layout="folder"'
        )
    found = _rgbnt201_samples(splits) if splits and layout != "folder" else _folder_samples(folder)
    if not found:
        raise DataError(
            f"samples need at least one image ({', '.join(sorted(_SUFFIXES))}): found none below {folder}; "
            "check the path, or generate some with `mswin-viz samples`"
        )
    return found


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


def _rgbnt201_splits(folder: Path) -> list[Path]:
    """Folders that hold an RGB folder with a sibling modality; ``folder`` may be any level above."""
    levels = [folder, *sorted(folder.glob("*")), *sorted(folder.glob("*/*"))]
    return [
        level
        for level in levels
        if (level / "RGB").is_dir() and any((level / name).is_dir() for name in MODALITIES[1:])
    ]


def _rgbnt201_samples(splits: list[Path]) -> list[Sample]:
    found = []
    for split in splits:
        captions = _captions(split.parent / "attributes.csv")
        for file in _images(split / "RGB"):
            matched = _RGBNT201_NAME.match(file.name)
            pid, camid = (int(matched["pid"]), int(matched["cam"])) if matched else (-1, -1)
            files = {name: split / name / file.name for name in MODALITIES}
            present = {name: path for name, path in files.items() if path.is_file()}
            found.append(Sample(pid, camid, present, captions.get(pid)))
    return found


def _folder_samples(folder: Path) -> list[Sample]:
    return [Sample(-1, -1, {"RGB": file}) for file in _images(folder)]


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _captions(table: Path) -> dict[int, str]:
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        return {int(row["pid"]): row["caption"] for row in csv.DictReader(lines) if row.get("caption")}
