"""A button that downloads the figure on screen, in a format of choice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
from matplotlib.figure import Figure

from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.view.parts.figure_file import FORMATS, figure_bytes
from mswin_viz.view.widgets.board import HeatmapBoard
from mswin_viz.view.widgets.guarded import Guard


class FigureDownload(widgets.HBox):
    """A menu of formats and a button that downloads what ``drawn`` gives when it is pressed: a name and a figure.

    The name, without an ending, is of what the figure shows. The board sends the file to the browser; ``css`` is the
    prefix of each part's class.
    """

    def __init__(
        self,
        board: HeatmapBoard,
        drawn: Callable[[], tuple[str, Figure]],
        *,
        guarded: Guard,
        css: str,
    ) -> None:
        self._board, self._drawn = board, drawn
        self.format = widgets.Dropdown(
            options=FORMATS,
            value=FORMATS[0],
            layout={"width": "64px"},
            tooltip="The file format of the figure.",
        )
        self.button = widgets.Button(
            description="save figure",
            layout={"width": "96px"},
            tooltip="Downloads what is on screen as a figure.",
        )
        super().__init__([self.format.add_class(f"{css}-format"), self.button.add_class(f"{css}-save")])
        self.button.on_click(guarded("saving the figure")(lambda _button: self._on_save()))

    def _on_save(self) -> None:
        self.button.disabled = True  # a second or two
        try:
            kind = str(self.format.value)
            name, figure = self._drawn()
            self._board.send({"kind": "download", "name": f"{name}.{kind}"}, [figure_bytes(figure, kind)])
        finally:
            self.button.disabled = False


class FigureView(widgets.Widget):
    """A view that gives away what is on screen as a figure."""

    def _named_figure(self) -> tuple[str, Figure]:
        """What is on screen, which need not be what is chosen now, and its name."""
        raise NotImplementedError

    def figure(self) -> Figure:
        """What is on screen as a matplotlib figure, with its provenance.

        Raises
        ------
        OptionError
            If there is nothing yet.
        ClosedError
            If the explorer was closed.
        """
        return self._named_figure()[1]

    def save_figure(self, path: str | Path) -> Path:
        """Write what is on screen as a PNG, SVG or PDF file; the ending says which.

        Raises
        ------
        OptionError
            If the name ends in anything else, or there is nothing yet.
        OutputError
            If the file cannot be written, which is checked before anything is drawn.

        Examples
        --------
        >>> explorer = mv.ScaleExplorer(model, samples[:2])
        >>> explorer.save_figure("scales.png").suffix
        '.png'
        >>> explorer.close()
        """
        path = output_file(path, "the file of a figure", endings=[f".{kind}" for kind in FORMATS])
        return write_bytes(path, figure_bytes(self.figure(), path.suffix.lower().removeprefix(".")))
