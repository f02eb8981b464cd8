"""Writes synthetic people as a data set in the layout of RGBNT201."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from mswin_viz.data.captions import caption_of
from mswin_viz.data.images import MODALITIES
from mswin_viz.data.lookalikes import GROUP, sample_lookalike
from mswin_viz.data.scenery import CAMERAS
from mswin_viz.data.synthetic import render
from mswin_viz.data.wardrobe import ATTRIBUTES, Identity, attributes, sample_identity
from mswin_viz.errors import OptionError

__all__ = ["CAPTIONED", "SHIPPED", "WORLD_VERSION", "sample_caption", "write_samples"]

SHIPPED = {"identities": 24, "cameras": 2, "shots": 2, "seed": 7}
"""Arguments of ``write_samples`` that make the shipped samples; training drew from other worlds."""
WORLD_VERSION = 2
"""Goes up whenever the same numbers draw another picture than before."""
CAPTIONED = ("upper_colour", "pattern", "upper_type", "lower_colour", "lower_type", "bag", "bag_colour")
"""What the captions of sample sets name."""


def _counts_checked(counts: dict[str, int], cameras: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise OptionError(f"{name} must be at least 1: got {count}; ask for one or more")
    if cameras > len(CAMERAS):
        raise OptionError(
            f"there are {len(CAMERAS)} cameras: got cameras={cameras}; ask for 1 to {len(CAMERAS)}"
        )


def _file_name(person: Identity, camera: int, shot: int) -> str:
    return f"{person.pid:06d}_cam{camera + 1}_0_{shot:02d}.jpg"


def _jpeg(picture: UInt8[np.ndarray, "rows cols 3"]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def sample_caption(person: Identity) -> str:
    """A person's caption as the table of a sample set words it."""
    return caption_of(person, CAPTIONED, rng=np.random.default_rng(person.pid))


def _table(people: Sequence[Identity]) -> bytes:
    text = StringIO()
    writer = csv.DictWriter(text, ["pid", *ATTRIBUTES, "caption"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        attributes(person) | {"pid": f"{person.pid:06d}", "caption": sample_caption(person)}
        for person in people
    )
    return text.getvalue().encode()


def write_samples(
    out: Path,
    *,
    identities: int = 24,
    cameras: int = 4,
    shots: int = 2,
    seed: int = 0,
    lookalikes: bool = False,
) -> Path:
    """Write a sample data set in the layout of RGBNT201, with a table of the true attributes.

    Parameters
    ----------
    out
        Folder in which to create ``RGBNT201/``; made if missing.
    identities, cameras, shots
        How many people, cameras (at most 4) and shots of each person in each camera and modality.
    seed
        World number.
    lookalikes
        Draw people in groups of four that differ in one small thing, numbered from 4; else everybody differs, and
        numbers begin with 1.

    Returns
    -------
    root
        ``OUT/RGBNT201``, with ``test/{RGB,NI,TI}/PPPPPP_camC_0_SS.jpg`` and ``attributes.csv``.

    Raises
    ------
    OptionError
        If a count is not positive, more than 4 cameras are asked for, or the folder holds other files.
    """
    _counts_checked({"identities": identities, "cameras": cameras, "shots": shots}, cameras)
    first, sample = (GROUP, sample_lookalike) if lookalikes else (1, sample_identity)
    people = [sample(pid, seed=seed) for pid in range(first, first + identities)]
    names = [
        (person, camera, shot) for person in people for camera in range(cameras) for shot in range(shots)
    ]
    root = Path(out) / "RGBNT201"
    table = _table(people)
    pictures = {f"test/{m}/{_file_name(*which)}" for which in names for m in MODALITIES}
    _refuse_other_files(root, pictures | {"attributes.csv"}, table)
    for modality in MODALITIES:
        (root / "test" / modality).mkdir(parents=True, exist_ok=True)
    (root / "attributes.csv").write_bytes(table)
    for person, camera, shot in names:
        for modality, picture in render(person, camera=camera, shot=shot, seed=seed).items():
            path = root / "test" / modality / _file_name(person, camera, shot)
            _write_unless_different(path, _jpeg(picture))
    return root


def _write_unless_different(path: Path, content: bytes) -> None:
    """Write a file; one that is there already must hold these very bytes."""
    if path.exists() and path.read_bytes() != content:
        raise OptionError(
            f"samples never replace a different picture: {path} is one; choose or empty a folder"
        )
    path.write_bytes(content)


def _refuse_other_files(root: Path, wanted: set[str], table: bytes) -> None:
    """Only an empty folder, or one that holds this very sample set, may be written to."""
    if root.exists() and not root.is_dir():
        raise OptionError(
            f"samples are written to a folder: {root} is a file; choose another folder or move it away"
        )
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    other = sorted(found - wanted)
    same_people = "attributes.csv" in found and (root / "attributes.csv").read_bytes() == table
    if found and not other and not same_people:
        other = sorted(found)[:1]
    if other:
        raise OptionError(
            f"samples go to an empty folder or over the same samples: {root} holds {len(other)} other "
            f"file(s), such as {other[0]}; choose another folder or empty this one"
        )
