"""Work ahead of time: tokens that will be needed, and thumbnails."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mswin_viz.analysis.kept_tokens import UNKNOWN, KeptTokens, Kind
from mswin_viz.data.images import open_image
from mswin_viz.data.progress import Progress, Report, Stop
from mswin_viz.errors import MswinVizError

__all__ = ["computed_ahead", "thumbnail"]

_THUMBNAIL = (128, 64)


def computed_ahead(
    kept: KeptTokens,
    paths: Sequence[Path],
    *,
    report: Report,
    stop: Stop,
    kinds: Mapping[Path, Kind] | None = None,
) -> int:
    """Compute the tokens of files one after the other; how many could not be.

    Parameters
    ----------
    kept
        Where they are kept; no more than it keeps are computed.
    paths
        In order.
    report
        Called after each.
    stop
        Ends the work after the current file.
    kinds
        Modality and camera number of each file, where known.
    """
    n_bad, kinds, ahead = 0, kinds or {}, list(paths)[: kept.n_most]
    for n_done, path in enumerate(ahead, start=1):
        if stop():
            break
        try:
            kept.picture(path, kinds.get(path, UNKNOWN))
        except MswinVizError:
            n_bad += 1  # said when it is chosen
        report(Progress(n_done, len(ahead), f"computing tokens: {n_done} of {len(ahead)} images"))
    return n_bad


def thumbnail(path: Path) -> bytes:
    """A JPEG file at most 128 wide and 64 high; empty where the file cannot be read."""
    try:
        image = open_image(path)
    except MswinVizError:
        return b""
    image.thumbnail(_THUMBNAIL)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=80)
    return file.getvalue()
