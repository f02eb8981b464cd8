"""Files that come from the browser: a button, and a place to drop them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import anywidget

from mswin_viz.data.shown_text import counted, short_text
from mswin_viz.data.storage.destinations import short_name
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.temporary_folders import temporary_folder
from mswin_viz.errors import DataError
from mswin_viz.view.widgets.assets import script, style
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import ClosedWhole

_HALVES = re.compile("[\ud800-\udfff]")
"""Of a letter beyond 16 bits, which has two; a name in Windows may have one alone."""
_LONGEST_ENDING = 40  # bytes


class Upload(ClosedWhole, anywidget.AnyWidget):
    """Sends files that are chosen with its button, or dropped on the view around it.

    ``received`` is called with a new folder that holds them; it lasts as long as the program. Without names that can be
    files', or without content, a DataError is shown.
    """

    _esm = script("upload")
    _css = style("upload")

    def __init__(self, received: Callable[[Path], None], guarded: Guard) -> None:
        super().__init__()
        self._received = received
        self.on_msg(
            guarded("uploading")(lambda _upload, content, buffers: self._on_message(content, buffers))
        )

    def _on_message(self, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        if content.get("kind") == "files":
            self._received(stored(content.get("names", ()), [bytes(one) for one in buffers]))


def stored(names: Sequence[str], contents: Sequence[bytes]) -> Path:
    """A temporary folder with these files in it, none of which lands anywhere else."""
    if not names or len(names) != len(contents):
        raise DataError(
            f"an upload needs a name for each of at least one file: got {counted(len(names), 'names')} and {counted(len(contents), 'files')}"
        )
    folder = temporary_folder("mswin_viz_upload_", n_bytes=sum(map(len, contents)))
    for at, (name, content) in enumerate(zip(names, contents, strict=True)):
        bare = _kept_name(str(name))
        if not content or bare in ("", ".", ".."):
            raise DataError(
                f"an upload needs files with a name and content: got {short_text(str(name), 100)!r} of {len(content)} bytes"
            )
        file = folder / bare
        write_bytes(folder / f"{at} {bare}" if file.exists() else file, content)
    return folder


def _kept_name(name: str) -> str:
    """A name without folders that this system can give a file: others allow longer ones, and halves of letters."""
    bare = _HALVES.sub("_", PureWindowsPath(PurePosixPath(name).name).name.replace("\0", ""))
    stem, ending = os.path.splitext(bare)
    is_ending = len(os.fsencode(ending)) <= _LONGEST_ENDING
    return short_name(Path(stem)) + ending if stem and is_ending else short_name(Path(bare))
