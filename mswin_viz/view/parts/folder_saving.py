"""A folder, a button that saves into it, and what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.typed_paths import typed_path
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.markup import Html, message_html


class FolderSaving(widgets.HBox):
    """Saves figures and tables into the typed folder, or into ``folder`` if none is typed; errors stand beside the button."""

    def __init__(self, save: Callable[[Path], Sequence[Path]], folder: str, *, css: str) -> None:
        self._save, self._default = save, folder
        self._guarded = Guard(self, self._show_problems)
        self.folder = widgets.Text(
            folder, description="folder", style={"description_width": "initial"}, layout={"width": "240px"}
        )
        self.button = widgets.Button(description="save figures and tables", layout={"width": "auto"})
        self.button.add_class(f"{css}-save")
        self.message = Html()
        super().__init__([self.folder, self.button, self.message], layout={"flex_flow": "row wrap"})
        self.button.on_click(self._guarded("saving")(lambda _button: self._on_save()))

    def _on_save(self) -> None:
        self.button.disabled = True  # some seconds
        try:
            folder = self.folder.value
            written = self._save(typed_path(folder if folder.strip() else self._default))
            self.message.value = f"{counted(len(written), 'files')} in {written[0].parent.resolve()}"
        finally:
            self.button.disabled = False

    def _show_problems(self, problems: Sequence[str]) -> None:
        self.message.value = message_html(problems)
