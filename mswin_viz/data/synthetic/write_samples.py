"""Writes synthetic people as a data set in the layout of RGBNT201."""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import TypedDict

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mswin_viz.data.images.image_source import MODALITIES, open_image
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.destinations import made_folder
from mswin_viz.data.storage.file_locks import locked
from mswin_viz.data.storage.file_writing import is_unfinished, write_bytes
from mswin_viz.data.storage.output_checks import output_folder
from mswin_viz.data.storage.spreadsheet_cells import guarded
from mswin_viz.data.synthetic.captions import caption_of
from mswin_viz.data.synthetic.identity import ATTRIBUTES, MOST_PEOPLE, Identity, attributes, sample_identity
from mswin_viz.data.synthetic.lookalikes import GROUP, sample_lookalike
from mswin_viz.data.synthetic.render import render
from mswin_viz.data.synthetic.scenery import CAMERAS
from mswin_viz.errors import ImageFileError, OptionError


class Counts(TypedDict):
    """How many people, cameras and shots a sample set has, and its world."""

    identities: int
    cameras: int
    shots: int
    seed: int


SHIPPED: Counts = {"identities": 24, "cameras": 2, "shots": 2, "seed": 7}
"""Arguments of ``write_samples`` for the shipped samples; the shipped weights were trained on other worlds."""
WORLD_VERSION = 2
"""Goes up whenever the same numbers give another picture than before."""
CAPTIONED = ("upper_colour", "pattern", "upper_type", "lower_colour", "lower_type", "bag", "bag_colour")
"""Attributes in the captions of sample sets."""
TABLE = "attributes.csv"
"""Name of the table of attributes and captions."""
_SAME = 1.0
"""The most grey levels, of 256, by which two JPEG libraries' files of one picture differ in the mean."""
_MOST_SHOTS = 1_000_000
SMALLEST_PICTURE = 3000
"""Bytes of the smallest file; the mean is 8,500."""


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        most = len(CAMERAS) if name == "cameras" else MOST_PEOPLE
        if count < 1:
            raise OptionError(f"{name} must be at least 1: got {count}; ask for one or more")
        if count > most:
            raise OptionError(f"{name} must be at most {most:,}: got {count:,}; ask for fewer")
    n_shots = math.prod(counts.values())
    if n_shots > _MOST_SHOTS:
        raise OptionError(
            f"a sample set may have at most {_MOST_SHOTS:,} shots: got {n_shots:,}; choose fewer people or shots"
        )


def _file_name(person: Identity, camera: int, shot: int) -> str:
    return f"{person.pid:06d}_cam{camera + 1}_0_{shot:02d}.jpg"


def _jpeg(picture: UInt8[np.ndarray, "rows cols 3"]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def sample_caption(person: Identity) -> str:
    """A person's caption in the table of a sample set."""
    return caption_of(person, CAPTIONED, rng=np.random.default_rng(person.pid))


def _table(people: Sequence[Identity]) -> bytes:
    text = StringIO()
    writer = csv.DictWriter(text, ["pid", *ATTRIBUTES, "caption"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        attributes(person) | {"pid": f"{person.pid:06d}", "caption": guarded(sample_caption(person))}
        for person in people
    )
    return text.getvalue().encode()


def write_samples(
    out: str | Path,
    *,
    identities: int = 24,
    cameras: int = 4,
    shots: int = 2,
    seed: int = 0,
    lookalikes: bool = False,
) -> Path:
    """Write a sample data set in the layout of RGBNT201, with a table of the true attributes.

    What an interrupted run of the same samples left is completed, half-written files too; no other picture is replaced.

    Parameters
    ----------
    out
        Folder in which to create ``RGBNT201/``; made if missing.
    identities, cameras, shots
        Number of people, of cameras (at most 4), and of shots of each person in each camera and modality.
    seed
        World number.
    lookalikes
        Draw people in groups of four that differ in one small thing, numbered from 4; else people are drawn
        independently and numbered from 1.

    Returns
    -------
    root
        ``OUT/RGBNT201``, with ``test/{RGB,NI,TI}/PPPPPP_camC_0_SS.jpg`` and ``attributes.csv``.

    Raises
    ------
    OptionError
        If a count is not positive or too large, there are more than 4 cameras, or the folder holds other files.
    OutputError
        If the folder cannot be written to, or has too little space.

    Examples
    --------
    >>> root = mv.write_samples("data", identities=3, cameras=2, shots=1, seed=5)
    >>> root.as_posix(), len(mv.samples(root))
    ('data/RGBNT201', 6)
    >>> sorted(path.name for path in (root / "test" / "TI").iterdir())[:2]
    ['000001_cam1_0_00.jpg', '000001_cam2_0_00.jpg']
    """
    _check_counts(identities=identities, cameras=cameras, shots=shots)
    first, sample = (GROUP, sample_lookalike) if lookalikes else (1, sample_identity)
    people = [sample(pid, seed=seed) for pid in range(first, first + identities)]
    taken = [
        (person, camera, shot) for person in people for camera in range(cameras) for shot in range(shots)
    ]
    root = output_folder(out, "the folder of samples") / "RGBNT201"
    pictures = [f"test/{modality}/{_file_name(*which)}" for which in taken for modality in MODALITIES]
    with locked(root, busy="", waiting=lambda: _say_waiting(root)):
        _refuse_other_files(root, {*pictures, TABLE}, _table(people))
        missing = sum(not (root / name).exists() for name in pictures)
        output_folder(root, "the folder of samples", n_bytes=missing * SMALLEST_PICTURE)
        write_bytes(root / TABLE, _table(people))
        for modality in MODALITIES:
            made_folder(root / "test" / modality)
        for person, camera, shot in taken:
            name = _file_name(person, camera, shot)
            for modality, picture in render(person, camera=camera, shot=shot, seed=seed).items():
                _write_unless_different(root / "test" / modality / name, _jpeg(picture))
    return root


def _say_waiting(root: Path) -> None:
    warnings.warn(f"another program is writing samples to {root}: waiting until it is done", stacklevel=2)


def _write_unless_different(path: Path, content: bytes) -> None:
    """Write a file; an existing one must be this picture, or what an interrupted program wrote of it."""
    if not os.path.lexists(path):
        write_bytes(path, content)
        return
    there = _start_of(path, 2 * len(content))
    if there == content:
        return
    if there is not None and _is_half(there, content):
        write_bytes(path, content)
    elif there is None or not _is_same_picture(there, content):
        raise OptionError(
            f"samples must not replace a different picture: {shown_text(path)} differs; choose another folder or empty this one"
        )


def _start_of(path: Path, n_bytes: int) -> bytes | None:
    """The first bytes of a regular file; None for anything else, such as a pipe that would block."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return stream.read(n_bytes)


def _is_half(there: bytes, content: bytes) -> bool:
    """Whether a file holds what a killed program wrote of it: its beginning, perhaps with zeros after it."""
    return content.startswith(there.rstrip(b"\0"))


def _is_same_picture(there: bytes, content: bytes) -> bool:
    """Whether two JPEG files differ only in the library that wrote them."""
    try:
        one, other = (np.asarray(open_image(file), int) for file in (there, content))
    except ImageFileError:
        return False
    return one.shape == other.shape and bool(np.abs(one - other).mean() < _SAME)


def _refuse_other_files(root: Path, wanted: set[str], table: bytes) -> None:
    """Refuse a folder with anything but this sample set, whole or in part."""
    files = [path for path in root.rglob("*") if path.is_file() and not is_unfinished(path)]
    there = {path.relative_to(root).as_posix() for path in files}
    other = sorted(there - wanted)
    same_people = TABLE in there and _is_half((root / TABLE).read_bytes(), table)
    if there and not other and not same_people:
        other = sorted(there)[:1]
    if other:
        raise OptionError(
            f"samples need an empty folder, or one with the same samples: {root} holds {counted(len(other), 'other files')}, "
            f"such as {shown_text(other[0])}; choose another folder or empty this one"
        )
