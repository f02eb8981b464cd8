"""Views that can be saved as one page: a file that opens without kernel and network, or an output of a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ipywidgets as widgets

from mswin_viz import __version__
from mswin_viz.data.progress import Progress, Report, Stop, progress_bar, unheard
from mswin_viz.data.shown_text import n_of
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.errors import StoppedError
from mswin_viz.view.page.page_images import check_count
from mswin_viz.view.page.page_models import PageModels
from mswin_viz.view.page.page_plan import PagePlan, PageTable
from mswin_viz.view.page.page_values import json_text
from mswin_viz.view.parts.stored_output import StoredView
from mswin_viz.view.widgets.assets import as_function, script, style
from mswin_viz.view.widgets.lifetime import check_open
from mswin_viz.view.widgets.markup import FONT, NOTE, Markup, framed, page_document, tag

_HEIGHT = 820  # CSS pixels of a page inside of another


@dataclass(frozen=True, eq=False)
class StaticPage:
    """A page inside of another: what a notebook, nbconvert and a documentation show of a view without a kernel.

    Attributes
    ----------
    document
        The whole page, as it would stand in a file.
    height
        Of its frame, CSS pixels.
    """

    document: str
    height: int = _HEIGHT

    def __repr__(self) -> str:
        return f"StaticPage({size_words(len(self.document.encode()))}, {self.height} px high)"

    def _repr_html_(self) -> str:
        return framed(self.document, height=self.height)


class SavedAsPage(StoredView, widgets.VBox):
    """A view that can be saved as a page; it says by ``_page_plan`` what is in it.

    Attributes
    ----------
    page_images
        How many images its page holds, unless another number is asked for.
    """

    page_images = 24

    def to_html(
        self,
        path: str | Path,
        *,
        images: int | None = None,
        progress: bool = True,
        say: Callable[[str], None] = print,
    ) -> Path:
        """Write this view as one HTML file that works without a kernel, a network or any other file.

        What still works, and what is fixed as it is now, stands at the foot of the page. Nothing in it names a folder of
        this machine, and a browser lets it load or send nothing.

        Parameters
        ----------
        path
            A file that ends in ``.html``; it is replaced.
        images
            How many images the page holds at most, in order; those on screen are among them. ``page_images`` if None.
        progress
            Whether to show a bar: every answer that the page can give is computed.
        say
            Called with the expected size before the rest is computed, and with the size that was written.

        Returns
        -------
        path
            The file.

        Raises
        ------
        OptionError, OutputError, ClosedError
            If ``images`` is not a whole number from 1, or the name has another ending; if the file cannot be written,
            which is checked before anything is computed; if the view was closed.

        Examples
        --------
        >>> explorer = mv.ScaleExplorer(model, samples[:4])
        >>> path = explorer.to_html("scales.html", images=1, progress=False, say=lambda words: None)
        >>> path.name, path.read_text()[:15]
        ('scales.html', '<!doctype html>')
        >>> explorer.close()
        """
        check_open(self)
        path = output_file(path, "the file of a page", endings=[".html", ".htm"])
        with progress_bar(
            total=1.0,
            desc="page",
            disable=not progress,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix}",
        ) as bar:

            def report(now: Progress) -> None:
                bar.update(now.fraction - bar.n)
                bar.set_postfix_str(now.words, refresh=False)

            content = self.page(images=images, report=report, say=say).encode()
        say(f"{path.name}: {size_words(len(content))}")
        return write_bytes(path, content)

    def static(self, *, images: int | None = None, height: int = _HEIGHT) -> StaticPage:
        """The page of :meth:`to_html` as an output that shows itself, in notebooks, nbconvert and documentation.

        Parameters
        ----------
        images
            As for :meth:`to_html`.
        height
            Of the frame it stands in, CSS pixels.

        Raises
        ------
        OptionError, ClosedError
            If ``images`` or ``height`` is not a whole number from 1; if the view was closed.
        """
        check_count("height", height)
        return StaticPage(self.page(images=images), height)

    def page(
        self,
        *,
        images: int | None = None,
        report: Report = unheard,
        stop: Stop = lambda: False,
        say: Callable[[str], None] = lambda _words: None,
    ) -> str:
        """The whole text of the page; :meth:`to_html` writes it.

        Parameters
        ----------
        images, report, stop, say
            As in :meth:`to_html`; ``report`` is called with the progress, ``stop`` asked between answers.

        Raises
        ------
        StoppedError
            If ``stop`` says so.
        OptionError, ClosedError
            As in :meth:`to_html`.
        """
        check_open(self)
        return page_text(
            self._page_plan(self.page_images if images is None else images, stop), report, stop, say
        )

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        raise NotImplementedError


def page_text(plan: PagePlan, report: Report, stop: Stop, say: Callable[[str], None]) -> str:
    """The page of a plan; every answer is computed for it."""
    models = PageModels(plan)
    traits = models.traits()
    scripts = ",\n".join(f"{name}: {as_function(text)}" for text, name in models.scripts.items())
    run = f"const page = {as_function(script('offline'))};\npage.start({{{scripts}}});\n"
    looks = "\n".join([style("page"), *models.styles])
    tables = _Tables(models, len(run) + len(looks), report, stop, say)
    data = {
        "root": models.name(plan.root), "models": traits, "tables": [tables.table(table) for table in plan.tables],
        "board": plan.board and models.name(plan.board), "message": plan.message and models.name(plan.message),
        "reset": models.changes(plan.reset or {}), "pins": _pins(plan, models), "made_at": dict(plan.made_at or {}),
        "fallback": models.changes(plan.fallback or {}), "no_answer": plan.no_answer,
        "values": models.values.values, "buffers": models.values.buffers,
    }  # fmt: skip
    return page_document(
        plan.title,
        _about(plan),
        templates=models.values.templates,
        data=json_text(data),
        script=run,
        style=looks,
    )


def size_words(n_bytes: int) -> str:
    """A size as people read it."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.0f} kB"


@dataclass(frozen=True, eq=False)
class _Tables:
    """Computes the answers, and says how large the page will be once those of two images are there."""

    models: PageModels
    n_fixed: int  # bytes of what is the same in every page
    report: Report
    stop: Stop
    say: Callable[[str], None]

    def table(self, table: PageTable) -> dict[str, object]:
        answers, words, n_failed = {}, table.words, 0
        values, first = self.models.values, 0
        for done, answer in enumerate(table.answers, 1):
            if self.stop():
                raise StoppedError("the page was not finished")
            found: dict[str, object] = {"changes": self.models.changes(answer.changes)}
            found |= {"failed": True} if answer.has_failed else {}
            n_failed += answer.has_failed
            values.n_bytes += len(json_text(found))
            answers[json_text(list(answer.chosen))] = found
            if done == table.n_first:  # with what all images share
                first = values.n_bytes
            if done == min(2 * table.n_first, table.n_answers):
                n_left = (table.n_answers - done) / table.n_first
                n_bytes = self.n_fixed + values.n_bytes + round(n_left * (values.n_bytes - first))
                words = f"{table.words}, about {size_words(n_bytes)}"
                self.say(words)
            if table.n_answers:
                self.report(Progress(min(done, table.n_answers), table.n_answers, words))
        if n_failed:
            self.say(
                f"{n_of(n_failed, len(answers), 'choices')} {'has' if n_failed == 1 else 'have'} no pictures: an image is missing or cannot be read; the page says why"
            )
        return {"axes": self.models.axes(table), "answers": answers}


def _pins(plan: PagePlan, models: PageModels) -> dict[str, object] | None:
    pins = plan.pins
    if pins is None:
        return None
    return {
        "html": models.name(pins.html), "scale": models.name(pins.scale), "axis": pins.axis,
        "labels": models.values.of(pins.labels), "thousandths": list(pins.thousandths),
    }  # fmt: skip


def _about(plan: PagePlan) -> Markup:
    saved = f"Saved {datetime.now(UTC):%Y-%m-%d %H:%M} UTC with mswin_viz {__version__}."
    lines = (tag("div", line) for line in (*plan.about, saved))
    return tag("div", *lines, style=FONT | NOTE)
