"""What the list of findings shows: words and pictures of each, and of the images that show it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mswin_viz.analysis.findings.record import Findings
from mswin_viz.data.shown_text import shown_text
from mswin_viz.view.parts.neighbour_words import who
from mswin_viz.view.parts.row_pictures import picture_size, row_thumbnail

_HEIGHT = 104  # pixels of a picture
_KEPT = 600  # pictures
MOST_EVIDENCE = 6
"""Images beside a finding."""
KEY = "First in each row: the image in question. Solid blue frame: the identity that is suggested; dashed: the image's own."
"""What the frames around the images of wrong identities mean."""


class FindingItems:
    """Makes the items of lists of findings, and keeps the pictures it has read."""

    def __init__(self) -> None:
        self._thumbnail = lru_cache(maxsize=_KEPT)(lambda files, size: row_thumbnail(dict(files), size))

    def release(self) -> None:
        """Release the pictures."""
        self._thumbnail.cache_clear()

    def of(self, found: Findings, numbers: Sequence[int]) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Some findings by their place in the list, and the JPEG files that they name by number."""
        files, pictures = found.table.files, list[bytes]()
        size = picture_size(files, longer=_HEIGHT)
        places: dict[bytes, int] = {}

        def picture(sources: Any) -> int:
            data = self._thumbnail(tuple(sources.items()), size)
            if data not in places:
                places[data] = len(pictures)
                pictures.append(data)
            return places[data]

        items = [_item(found, at) for at in numbers]
        for item, at in zip(items, numbers, strict=True):
            item["picture"] = picture(found.files(at))
            for one, sources in zip(item["evidence"], found.evidence_files(at), strict=False):
                one["picture"] = picture(sources)
        return items, pictures


def evidence_mark(found: Findings, number: int, row: int) -> str:
    """How a finding's evidence stands to it: of the ``"suggested"`` identity, its ``"own"``, or neither (empty)."""
    pid = int(found.table.pid[row])
    if pid < 0 or found.kind != "wrong identities":
        return ""
    if pid == found.suggested[number]:
        return "suggested"
    return "own" if pid == found.table.pid[found.rows[number]] else ""


def _item(found: Findings, at: int) -> dict[str, Any]:
    table, row = found.table, int(found.rows[at])
    evidence = [
        {
            "label": who(table, one),
            "name": shown_text(table.path[one].name),
            "mark": evidence_mark(found, at, one),
        }
        for one in found.evidence[at][:MOST_EVIDENCE]
    ]
    return {
        "number": at,
        "label": who(table, row),
        "name": shown_text(table.path[row].name),
        "what": found.what[at],
        "reason": found.reasons[at],
        "score": float(found.score[at]),
        "evidence": evidence,
    }
