"""The list of what may be wrong with a data set: each image, why it is listed, and what shows it; chosen by a click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import traitlets
from matplotlib.figure import Figure

from mswin_viz.analysis.findings.record import Findings
from mswin_viz.data.progress import Stop
from mswin_viz.data.sample import Sample
from mswin_viz.errors import OptionError, StoppedError
from mswin_viz.view.findings.figures import findings_figure
from mswin_viz.view.findings.finding_list import FindingList
from mswin_viz.view.findings.items import KEY, FindingItems
from mswin_viz.view.page.page_images import check_count, folderless
from mswin_viz.view.page.page_plan import PageAnswer, PagePlan, PageTable, menu_choice
from mswin_viz.view.page.saved_page import SavedAsPage
from mswin_viz.view.parts.stored_output import one_line
from mswin_viz.view.parts.tag_bar import Keep, Shown, TagBar
from mswin_viz.view.widgets.frame import VIEW, Frame
from mswin_viz.view.widgets.guarded import OUT_OF_DATE, Guard
from mswin_viz.view.widgets.lifetime import check_open, is_closed, made_whole
from mswin_viz.view.widgets.markup import FONT, Html, Markup, message_html, tag

if TYPE_CHECKING:
    import pandas as pd

_WORKS = "Works without a kernel: the menu of lists and pages. A click marks an item; what is chosen can be read in the live view alone."
_IN_PICTURE = 4  # findings in a stored notebook's picture
_Page = tuple[int, int]  # list, and the number of the first finding


class FindingsViewError(OptionError, traitlets.TraitError):
    """The view was asked for a page or a finding that it does not have; the old one stays."""


class FindingsView(SavedAsPage):
    """What may be wrong with a data set, in pages: each image, why it is listed, and beside it the images that show it.

    In a notebook: ``mv.FindingsView(mv.wrong_identities(table))``, or several lists. A click chooses an item, another one no
    longer; :meth:`selection` gives what is chosen as a table. The traits are its state.

    Parameters
    ----------
    found
        From :func:`mswin_viz.wrong_identities` and its sisters; one, or several.
    per_page
        How many findings a page has.

    Attributes
    ----------
    place
        Which page is shown, counted over all lists from 0.
    selected
        Numbers of the chosen findings in the list that is shown, from 0; none when another list is shown.
    menu, list, tag_bar
        The menu of pages, the list with its pictures, and the row that tags what is chosen.

    Raises
    ------
    OptionError
        If there are no findings records, or ``per_page`` is not a whole number from 1.

    Examples
    --------
    >>> table = mv.embed(model, [*samples[:12], samples[3]], modalities=["RGB"], progress=False)
    >>> view = mv.FindingsView([mv.near_duplicates(table), mv.outliers(table)])
    >>> view.menu.options[0][0], view.list.items[0]["reason"]
    ('near-duplicates: 1 to 1 of 1', 'the same file as id 1, camera 2')
    >>> view.selected = [0]
    >>> view.selection().what.tolist()
    ['same file']
    >>> view.close()
    """

    page_images = 60
    place = traitlets.Int(0)
    selected = traitlets.List(traitlets.Int())

    @made_whole()
    def __init__(self, found: Findings | Sequence[Findings], *, per_page: int = 20) -> None:
        check_count("per_page", per_page)
        self._lists, self._per_page = _checked(found), per_page
        self._kept = [list(range(len(one))) for one in self._lists]
        self._pages = self._all_pages()
        self._items = FindingItems()
        self._guarded = Guard(self, lambda problems: self._show_problems(problems))
        self.menu = widgets.Dropdown(
            options=[(self._page_words(page), place) for place, page in enumerate(self._pages)],
            description="list",
            layout={"width": "420px", "max_width": "100%"},
            style={"description_width": "36px"},
        ).add_class("mswin-findings-menu")
        self._previous, self._following = (
            widgets.Button(description=name, layout={"width": "86px"}).add_class(f"mswin-findings-{name}")
            for name in ("previous", "next")
        )
        self.list, self._summary, self._message, self._chosen = FindingList(), Html(), Html(), Html()
        line = {"flex_flow": "row wrap", "align_items": "center"}
        self._steps = widgets.HBox([self._previous, self._following, self._chosen])
        self.tag_bar = TagBar(
            [sample_of(one, 0) for one in self._lists if len(one)],
            chosen=lambda: [sample_of(self.found, number) for number in self.selected],
            table=self.selection,
            on_filter=self._filter,
        )
        controls = widgets.HBox([self.menu, self._steps], layout=line).add_class("mswin-group")
        super().__init__([controls, self._summary, self._message, self.list, self.tag_bar, Frame()])
        for name in (VIEW, "mswin-explorer", "mswin-findings-view"):
            self.add_class(name)
        self._observe()
        self._show()

    def __repr__(self) -> str:
        return one_line(self, ", ".join(repr(one) for one in self._lists), is_closed=is_closed(self))

    def _picture(self) -> Figure | None:
        return self.figure(n=_IN_PICTURE) if len(self.found) else None

    def release(self) -> None:
        """Release the pictures."""
        self._items.release()

    @property
    def found(self) -> Findings:
        """The record behind the list that is shown."""
        return self._lists[self._pages[self.place][0]]

    def selection(self) -> pd.DataFrame:
        """The chosen findings, in order of choice, as :meth:`Findings.to_pandas` gives them, and ``tags``; without lines if none is chosen."""
        check_open(self)
        samples = [sample_of(self.found, number) for number in self.selected]
        return self.found.to_pandas(self.selected).assign(tags=self.tag_bar.names_of(samples))

    def figure(self, *, n: int = 6) -> Figure:
        """The first ``n`` findings of the page that is shown as one matplotlib figure.

        Raises OptionError if the list is empty, ClosedError if the view was closed.
        """
        check_open(self)
        numbers = self._numbers(self._pages[self.place])
        return findings_figure(self.found, first=numbers[0] if numbers else 0, n=min(n, self._per_page))

    def _observe(self) -> None:
        guarded = self._guarded
        traitlets.link((self, "place"), (self.menu, "value"))
        traitlets.link((self, "selected"), (self.list, "selected"))
        self._previous.on_click(guarded("going to the previous page")(lambda _: self._step(-1)))
        self._following.on_click(guarded("going to the next page")(lambda _: self._step(1)))
        self.observe(guarded("showing a page")(lambda change: self._show(change["old"])), "place")
        self.observe(guarded("choosing")(lambda _change: self._say_chosen()), "selected")

    @traitlets.validate("place", "selected")
    def _in_range(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        n = len(self._pages) if name == "place" else len(self.found)
        strange = [one for one in (value if name == "selected" else [value]) if not 0 <= one < n]
        if strange:
            places = f"counts from 0 to {n - 1} here" if n else "stays empty where nothing was found"
            raise FindingsViewError(f"{name} {places}: got {strange[0]}")
        return value

    def _step(self, by: int) -> None:
        self.place = max(0, min(len(self._pages) - 1, self.place + by))

    def _show(self, before: int | None = None) -> None:
        check_open(self)
        if before is not None and self._pages[before][0] != self._pages[self.place][0]:
            self.selected = []
        page = self._pages[self.place]
        items, pictures = self._items.of(self._lists[page[0]], self._numbers(page))
        with self.list.hold_sync():
            self.list.items, self.list.pictures = items, pictures
            self.list.words = _none_words(self.found)
        self._summary.value = _summary(self.found)
        self._previous.disabled, self._following.disabled = (
            self.place == 0,
            self.place == len(self._pages) - 1,
        )
        self._say_chosen()

    def _say_chosen(self) -> None:
        self._chosen.value = f"{len(self.selected)} chosen"
        self.tag_bar.count(len(self.selected))

    def _filter(self, keep: Keep | None) -> Shown:
        """List only findings whose samples are kept, or all again; how many are listed."""
        kept = [
            [at for at in range(len(one)) if keep is None or keep(sample_of(one, at))] for one in self._lists
        ]
        if kept != self._kept:
            shown = self._pages[self.place][0]
            self.selected = []
            self._kept = kept
            self._pages = self._all_pages()
            place = next(at for at, page in enumerate(self._pages) if page[0] == shown)
            self.menu.options = [(self._page_words(page), at) for at, page in enumerate(self._pages)]
            self.place = place
            self._show()
        return sum(map(len, kept)), sum(map(len, self._lists)), "findings"

    def _all_pages(self) -> list[_Page]:
        return [
            (at, first)
            for at, kept in enumerate(self._kept)
            for first in range(0, max(len(kept), 1), self._per_page)
        ]

    def _numbers(self, page: _Page) -> list[int]:
        """The findings of a page, by their place in the whole list."""
        return self._kept[page[0]][page[1] : page[1] + self._per_page]

    def _page_words(self, page: _Page) -> str:
        one, n_kept, n_here = self._lists[page[0]], len(self._kept[page[0]]), len(self._numbers(page))
        if not n_here:
            return f"{one.kind}: none"
        return f"{one.kind}: {page[1] + 1} to {page[1] + n_here} of {n_kept:,}"

    def _show_problems(self, problems: Sequence[str]) -> None:
        self._message.value = message_html([*problems, *[OUT_OF_DATE] * bool(problems)])

    # ---- without a kernel -------------------------------------------------------------------

    def _page_plan(self, images: int, stop: Stop) -> PagePlan:
        check_count("images", images)
        shown = [place for place, page in enumerate(self._pages) if page[1] < images or place == self.place]
        words = folderless(
            [Sample(-1, -1, one.files(at)) for one in self._lists for at in range(min(len(one), images))]
        )
        n_of = ", ".join(f"{min(images, len(one))} of {len(one)} {one.kind}" for one in self._lists)
        return PagePlan(
            title=f"What may be wrong: {n_of}", about=[_WORKS], root=self, live=[self.menu],
            changed={
                self.menu: menu_choice(self.menu, shown, self.place),
                self.list: {"items": [], "pictures": [], "selected": []},
                **{html: {"value": ""} for html in (self._summary, self._message)},
            },
            tables=[PageTable(((self.menu, "index"),), self._answers(shown, stop), len(shown), 1, n_of)],
            hidden=[self._steps, self.tag_bar], message=self._message, words=words,
        )  # fmt: skip

    def _answers(self, shown: Sequence[int], stop: Stop) -> Iterator[PageAnswer]:
        for at, place in enumerate(shown):
            if stop():
                raise StoppedError("the page was not finished")
            page = self._pages[place]
            one = self._lists[page[0]]
            items, pictures = self._items.of(one, self._numbers(page))
            traits = {"items": items, "pictures": pictures, "words": _none_words(one), "selected": []}
            yield PageAnswer((at,), {self.list: traits, self._summary: {"value": _summary(one)}})


def sample_of(found: Findings, number: int) -> Sample:
    """What a finding is about, as a sample: for its tags."""
    row, table = int(found.rows[number]), found.table
    return Sample(int(table.pid[row]), int(table.camid[row]), found.files(number), root=table.root)


def _none_words(found: Findings) -> str:
    """Why a list is empty."""
    return f"All {found.kind} are hidden by their tags." if len(found) else f"No {found.kind} found."


def _summary(found: Findings) -> Markup:
    first, *rest = [*found.sentences(), *[KEY] * (found.kind == "wrong identities" and len(found) > 0)]
    more = tag("span", " ".join(rest), style={"opacity": ".75"})
    return tag("div", tag("b", first), " ", more, style=FONT)


def _checked(found: Any) -> list[Findings]:
    lists = [found] if isinstance(found, Findings) else list(found) if isinstance(found, Sequence) else []
    if not lists or not all(isinstance(one, Findings) for one in lists):
        raise OptionError(
            f"a view of findings needs one or several Findings: got {found!r:.80}; mv.wrong_identities(table) and its sisters make them"
        )
    return lists
