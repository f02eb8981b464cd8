"""The scale explorer's lines: for opening files and going back, for taking away the figure and the state, and for bringing a state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from mswin_viz.view.page.page_download import PageDownload
from mswin_viz.view.parts.figure_download import FigureDownload
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.paste import Paste
from mswin_viz.view.widgets.upload import Upload


class ExplorerBar(widgets.HBox):
    """A box for a path, an upload, the way back to the samples, the downloads of figure and page, and buttons for the state.

    ``opened`` is called with the path that is typed or uploaded to, or with None for the samples of the beginning;
    ``state`` for what the board puts into the clipboard, and ``pasted`` with a text that should be such a state.
    """

    def __init__(
        self,
        board: HeatmapBoard,
        downloads: tuple[FigureDownload, PageDownload],
        *,
        opened: Callable[[str | None], None],
        state: Callable[[], Mapping[str, Any]],
        pasted: Callable[[str], None],
        guarded: Guard,
    ) -> None:
        self.path = widgets.Text(
            placeholder="path of an image or folder, then Enter", description="open", continuous_update=False,
            tooltip="An image, a folder of images, or a data set: it takes the place of the samples.",
            style={"description_width": "40px"}, layout={"width": "330px"},
        ).add_class("mswin-path")  # fmt: skip
        self.download, self.page = downloads
        self.copy = widgets.Button(
            description="copy state",
            layout={"width": "96px"},
            tooltip="Copies JSON that rebuilds this view: ScaleExplorer.from_state(model, samples, ...)",
        ).add_class("mswin-copy")
        self.paste = Paste(pasted, guarded)
        self.upload = Upload(lambda folder: opened(str(folder)), guarded)
        self.back = widgets.Button(
            description="back to the samples", disabled=True, layout={"width": "auto"},
            tooltip="The images that the explorer was made with.",
        ).add_class("mswin-back")  # fmt: skip
        self.back.on_click(guarded("going back to the samples")(lambda _button: opened(None)))
        way = widgets.HBox([self.path, self.upload, self.back], layout={"flex_flow": "row wrap"})
        taken = widgets.HBox([self.download, self.copy, self.paste])
        super().__init__([way, taken, self.page], layout={"flex_flow": "row wrap"})
        self.add_class("mswin-take-away")
        self.path.observe(guarded("opening a path")(lambda change: opened(change["new"])), "value")
        self.copy.on_click(
            guarded("copying the state")(
                lambda _button: board.send({"kind": "copy", "text": json.dumps(state())})
            )
        )

    def can_go_back(self, is_away: bool) -> None:
        """Whether the samples of the beginning are not on offer now; if they are, the box for a path is empty."""
        self.back.disabled = not is_away
        if not is_away:
            self.path.value = ""
