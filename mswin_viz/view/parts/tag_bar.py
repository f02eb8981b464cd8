"""A bar that gives what is selected a tag, shows only what has one or hides it, and writes the selection as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np

from mswin_viz.data.sample import Sample
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.data.storage.spreadsheet_cells import csv_file
from mswin_viz.data.storage.typed_paths import typed_path
from mswin_viz.data.tags.opening import tags_beside
from mswin_viz.data.tags.tag_events import TagEvent
from mswin_viz.data.tags.tags import Tags
from mswin_viz.errors import OptionError
from mswin_viz.view.widgets.guarded import Guard
from mswin_viz.view.widgets.lifetime import ClosedWhole
from mswin_viz.view.widgets.markup import Html, message_html

if TYPE_CHECKING:
    import pandas as pd

    from mswin_viz.analysis.embeddings.table import EmbeddingTable

ALL, ONLY, HIDDEN = "show all", "show only", "hide"
_ENDINGS = (".csv", ".parquet")
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 6px"}
_AUTO = {"width": "auto"}
Keep = Callable[[Sample], bool]
"""Whether a sample is shown."""
Shown = tuple[int, int, str]
"""How many are shown, of how many, and of what, in the plural."""


class TagBar(ClosedWhole, widgets.VBox):
    """Tags for what is selected in a view; it knows the view by four functions only.

    Parameters
    ----------
    samples
        Those of the view; the tags are the ones beside them, until :meth:`use` names others.
    chosen
        The samples that are selected.
    table
        What is selected, as a table to write.
    on_filter
        Called with what says of a sample whether it is shown, or with None where all are; gives how many are shown, or
        None where there is nothing to show yet.

    Attributes
    ----------
    tags
        None where the samples come from no one folder, or their tags cannot be read: the bar then says so.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        chosen: Callable[[], Sequence[Sample]],
        table: Callable[[], pd.DataFrame],
        on_filter: Callable[[Keep | None], Shown | None],
    ) -> None:
        self._samples, self._chosen, self._table, self._on_filter = samples, chosen, table, on_filter
        self._guarded = Guard(self, self._show_problems)
        self._last: list[TagEvent] = []
        self._said, self._is_filling = "", False
        self.tags: Tags | None = None
        self.tag = widgets.Combobox(
            placeholder="a tag, such as: half hidden", description="tag", continuous_update=True,
            style={"description_width": "initial"}, layout={"width": "250px"},
        ).add_class("mswin-tag-name")  # fmt: skip
        self.add, self.remove, self.undo, self.save = (
            widgets.Button(description=words, layout=_AUTO).add_class(f"mswin-tag-{css}")
            for css, words in (
                ("add", "tag selection"),
                ("remove", "take away"),
                ("undo", "undo"),
                ("save", "export selection"),
            )
        )
        named = {"style": {"description_width": "initial"}}
        self.mode = widgets.Dropdown(
            options=[ALL, ONLY, HIDDEN], description="by tag", layout={"width": "160px"}, **named
        )
        self.which = widgets.Dropdown(options=[], description="which", layout={"width": "240px"}, **named)
        self.file = widgets.Text("selection.csv", description="file", layout={"width": "180px"}, **named)
        self.file.add_class("mswin-tag-file")
        self.words, self.shown, self.message = (
            Html().add_class(f"mswin-tag-{css}") for css in ("words", "shown", "message")
        )
        self.mode.add_class("mswin-tag-mode")
        self.which.add_class("mswin-tag-which")
        words = [self.words, self.shown]
        giving = widgets.HBox([self.tag, self.add, self.remove, self.undo, *words], layout=_ROW)
        showing = widgets.HBox([self.mode, self.which, self.file, self.save], layout=_ROW)
        super().__init__([giving, showing, self.message])
        self.add_class("mswin-tags")
        self._show_tags()
        with suppress(Exception), self._guarded("reading the tags"):  # it is shown
            self.use(tags_beside(samples))
        self._observe()

    def use(self, tags: Tags | None) -> None:
        """Take these tags in place of those beside the samples; None for none."""
        self.tags, self._last = tags, []
        self._tell("")
        self._show_tags()
        self.apply()

    def count(self, n_selected: int) -> None:
        """Say how many rows or images are selected."""
        self.say(f"{n_selected:,} selected")

    def say(self, words: str) -> None:
        """Say what is selected, in words."""
        self.words.value = words

    def apply(self) -> None:
        """Show or hide again by the menus, for example on new maps, and say how many are left."""
        name, mode = self.which.value, str(self.mode.value)
        if mode == ALL or name is None or self.tags is None:
            self._on_filter(None)
            self.shown.value = ""
            return
        shown = self._on_filter(self._keep(name, mode))
        self.shown.value = "" if shown is None else _shown_words(shown, name, mode)

    def names_of(self, samples: Sequence[Sample]) -> list[str]:
        """The tags of each sample, with commas between them."""
        if self.tags is None:
            return [""] * len(samples)
        return [", ".join(self.tags.of(sample)) for sample in samples]

    def rows_frame(self, table: EmbeddingTable, rows: Sequence[int]) -> pd.DataFrame:
        """Some rows of a table of these samples as :meth:`EmbeddingTable.to_pandas` has them, with their tags; the index is the row."""
        at = np.asarray(rows, np.int64)
        return self.with_tags(table[at].to_pandas().set_axis(at))

    def with_tags(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table with the column ``sample``, and behind its columns the tags of each."""
        return frame.assign(tags=self.names_of([self._samples[number] for number in frame["sample"]]))

    # ---- inside -----------------------------------------------------------------------------

    def _observe(self) -> None:
        self.add.on_click(self._guarded("tagging")(lambda _button: self._change(is_set=True)))
        self.remove.on_click(self._guarded("taking a tag away")(lambda _button: self._change(is_set=False)))
        self.undo.on_click(self._guarded("undoing")(lambda _button: self._undo()))
        self.save.on_click(self._guarded("exporting the selection")(lambda _button: self._save()))
        guarded = self._guarded("showing by tags")
        for menu in (self.mode, self.which):
            menu.observe(guarded(lambda _change: self._is_filling or self.apply()), "value")

    def _keep(self, name: str, mode: str) -> Keep:
        tags, is_wanted = self._given(), mode == ONLY
        return lambda sample: (name in tags.of(sample)) == is_wanted

    def _given(self) -> Tags:
        if self.tags is None:
            raise OptionError(
                "tags need samples of one data set, or a file of their own: there is none here; "
                "use(mswin_viz.open_tags(file, root=folder)) of this bar takes one"
            )
        return self.tags

    def _change(self, *, is_set: bool) -> None:
        tags, samples = self._given(), list(self._chosen())
        if not samples:
            raise OptionError(
                "a tag is given to what is selected: nothing is; click, draw a lasso, or search"
            )
        change = tags.add if is_set else tags.remove
        events = change(samples, self.tag.value)
        self._last = events or self._last
        n_images = counted(len(events), "images")
        words = f"{n_images} {'tagged' if is_set else 'no longer tagged'} in {shown_text(tags.file)}"
        nothing = f"nothing to change: what is selected {'has this tag already' if is_set else 'does not have this tag'}"
        self._changed(words if events else nothing)

    def _undo(self) -> None:
        if self._last:
            self._last = self._given().undo(self._last)
            self._changed("undone; press undo again to have it back")

    def _changed(self, words: str) -> None:
        gone = self._show_tags()
        self.apply()
        self._tell(f"{words}; {gone}" if gone else words)

    def _save(self) -> None:
        path = output_file(typed_path(self.file.value), "the table", endings=_ENDINGS)
        frame = self._table()
        if not len(frame):
            raise OptionError("what is selected is exported: nothing is; click, draw a lasso, or search")
        is_csv = Path(path).suffix.lower() == ".csv"
        write_bytes(path, csv_file(frame) if is_csv else frame.to_parquet(index=False))
        self._tell(f"{counted(len(frame), 'rows')} in {shown_text(path.resolve())}")

    def _show_tags(self) -> str:
        """Offer the tags that there are; words where the one that was shown or hidden is gone, so that all are shown."""
        counts = {} if self.tags is None else self.tags.counts
        self.tag.options = tuple(counts)
        chosen, gone = self.which.value, ""
        self._is_filling = True  # new options choose the first of them
        try:
            self.which.options = [(f"{name} ({count:,})", name) for name, count in counts.items()]
            self.which.value = chosen if chosen in counts else next(iter(counts), None)
            if chosen is not None and chosen not in counts and self.mode.value != ALL:
                self.mode.value, gone = ALL, f"no image has “{chosen}” any longer, so all are shown"
        finally:
            self._is_filling = False
        self.undo.disabled = not self._last
        for part in (self.tag, self.add, self.remove, self.mode, self.which):
            part.disabled = self.tags is None
        if self.tags is None:
            self._tell("No tags: these samples come from no one folder, or their tags cannot be read.")
        return gone

    def _tell(self, words: str) -> None:
        self._guarded.forget()
        self._said = self.message.value = words

    def _show_problems(self, problems: Sequence[str]) -> None:
        """What fails, or once nothing does, what was told since."""
        if problems:
            self._said = ""
        self.message.value = message_html(problems) if problems else self._said


def _shown_words(shown: Shown, name: str, mode: str) -> str:
    n_shown, n_all, what = shown
    if n_shown or not n_all:
        return f"{n_shown:,} of {n_all:,} {what} shown"
    return f"no {what} {'with' if mode == ONLY else 'without'} “{name}” here: choose another tag, or “{ALL}”"
