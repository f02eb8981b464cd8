"""A button that downloads a view as a page, with how many images it holds, progress and a way to stop."""

from __future__ import annotations

import ipywidgets as widgets

from mswin_viz.data.progress import Report, Stop
from mswin_viz.view.page.saved_page import SavedAsPage, size_words
from mswin_viz.view.parts.work_bar import WorkBar
from mswin_viz.view.widgets.board import HeatmapBoard

_MOST = 100_000


class PageDownload(widgets.HBox):
    """Makes the page of ``view`` in the background, and has the board send it to the browser as a file ``name``.html.

    ``counted`` is what the number beside the button counts.
    """

    def __init__(self, view: SavedAsPage, board: HeatmapBoard, *, name: str, counted: str = "images") -> None:
        self._view, self._board, self._name = view, board, name
        self.images = widgets.BoundedIntText(
            view.page_images, min=1, max=_MOST, description=counted, style={"description_width": "initial"},
            layout={"width": "112px"}, tooltip=f"How many {counted} the page holds at most, in order.",
        ).add_class("mswin-page-images")  # fmt: skip
        self.worker = WorkBar(self._save, name="save page", css="mswin-page", is_shown_below=False)
        self.worker.run.tooltip = "Downloads one HTML file that works without a kernel, a network or other files. Every answer in it is computed first."
        self.worker.run.button_style = ""
        super().__init__([self.images, self.worker])
        self.add_class("mswin-page-download")

    def _save(self, report: Report, stop: Stop) -> str:
        page = self._view.page(images=int(self.images.value), report=report, stop=stop).encode()
        self._board.send({"kind": "download", "name": f"{self._name}.html"}, [page])
        return f"{self._name}.html: {size_words(len(page))}"
