"""The scale explorer's line for opening files, and for taking away the figure and the state."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from mswin_viz.view.parts.figure_download import FigureDownload
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import Guard


class ExplorerBar(widgets.HBox):
    """A box for a path, the download of the figure, and a button that copies the state.

    ``opened`` is called with the path that is typed, and ``state`` for what the board puts into the clipboard.
    """

    def __init__(
        self,
        board: HeatmapBoard,
        download: FigureDownload,
        *,
        opened: Callable[[str], None],
        state: Callable[[], Mapping[str, Any]],
        guarded: Guard,
    ) -> None:
        self.path = widgets.Text(
            placeholder="path of an image or folder, then Enter", description="open", continuous_update=False,
            tooltip="An image, a folder of images, or a data set: it takes the place of the samples.",
            style={"description_width": "40px"}, layout={"width": "330px"},
        ).add_class("mswin-path")  # fmt: skip
        self.download = download
        self.copy = widgets.Button(
            description="copy state",
            layout={"width": "96px"},
            tooltip="Copies JSON that rebuilds this view: ScaleExplorer.from_state(model, samples, ...)",
        ).add_class("mswin-copy")
        super().__init__([self.path, widgets.HBox([download, self.copy])], layout={"flex_flow": "row wrap"})
        self.add_class("mswin-take-away")
        self.path.observe(guarded("opening a path")(lambda change: opened(change["new"])), "value")
        self.copy.on_click(
            guarded("copying the state")(
                lambda _button: board.send({"kind": "copy", "text": json.dumps(state())})
            )
        )
