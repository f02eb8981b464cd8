"""The report on a data set, as a record and as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sample import SPLITS, Problem, Sample
from mswin_viz.data.shown_text import counted

MOST_PATHS = 10
"""Files that are listed of each kind of problem, unless all are asked for."""


@dataclass(frozen=True)
class SplitCount:
    """How much a split holds.

    Attributes
    ----------
    split
        One of `SPLITS`, or ``"-"`` if the layout knows none.
    samples, complete
        All samples, and those with all three modalities.
    identities, cameras, scenes
        Different known ones.
    modalities
        Modality -> samples that have it.
    unknown
        Samples of unknown identity.
    """

    split: str
    identities: int
    samples: int
    complete: int
    cameras: int
    scenes: int
    modalities: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True)
class PublishedCount:
    """What a split holds according to the authors of a set, beside what was found."""

    split: str
    identities: int
    samples: int
    found_identities: int
    found_samples: int

    @property
    def matches(self) -> bool:
        """Whether both numbers are those published."""
        return (self.identities, self.samples) == (self.found_identities, self.found_samples)


@dataclass(frozen=True, eq=False)
class DataReport:
    """What a data set holds and what is wrong with it; printing it shows both as tables.

    Attributes
    ----------
    root
        The folder or file that was read.
    layout
        Its layout.
    samples
        Everything that can be used.
    problems
        Everything that cannot be used, or not as it is.
    published
        One entry for each split if a published set seems to be complete, else none.
    opened
        How many image files were opened; 0 if only names were read.
    left_out
        What was left out though nothing is wrong with it -> how many: other kinds of files, junk by name.
    notes
        What was decided, in sentences; none of it is a fault.

    Examples
    --------
    >>> report = mv.scan()
    >>> split = report.splits[0]
    >>> split.split, split.identities, split.samples, split.modalities
    ('test', 24, 96, {'RGB': 96, 'NI': 96, 'TI': 96})
    >>> report.problems, report.counts, report.opened  # names alone were read
    ((), {}, 0)
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = ()
    published: tuple[PublishedCount, ...] = ()
    opened: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Kind of problem -> how often, the commonest first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    @property
    def splits(self) -> tuple[SplitCount, ...]:
        """What each split holds, in the order train, test, query, gallery."""
        names = sorted({s.split for s in self.samples}, key=lambda name: (*SPLITS, None).index(name))
        return tuple(_counted(name, [s for s in self.samples if s.split == name]) for name in names)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong and published counts, where they apply, are matched."""
        return not self.problems and all(count.matches for count in self.published)

    def __str__(self) -> str:
        return as_text(self)


def _counted(name: str | None, samples: list[Sample]) -> SplitCount:
    n_of = Counter(modality for sample in samples for modality in sample.images)
    return SplitCount(
        split=name or "-",
        identities=len({s.pid for s in samples if s.pid >= 0}),
        samples=len(samples),
        complete=sum(len(s.images) == len(MODALITIES) for s in samples),
        cameras=len({s.camid for s in samples} - {-1}),
        scenes=len({s.scene for s in samples} - {None}),
        modalities={modality: n_of[modality] for modality in MODALITIES if n_of[modality]},
        unknown=sum(s.pid < 0 for s in samples),
    )


def tables(report: DataReport, *, most: int | None = MOST_PATHS) -> list[RenderableType]:
    """The report as tables, with at most ``most`` files of each kind of problem; None for all."""
    parts: list[RenderableType] = [_splits(report)]
    if report.published:
        parts += [_published(report), Text(_published_words(report))]
    if report.problems:
        parts.append(_problems(report, most))
    parts += [Text(_escaped(f"Note: {note}.")) for note in report.notes]
    if report.left_out:
        counted = "; ".join(f"{count:,} x {what}" for what, count in report.left_out.items())
        parts.append(Text(_escaped(f"Left out, not counted as problems: {counted}.")))
    return [*parts, Text(_summary(report))]


def as_text(report: DataReport, *, width: int = 110) -> str:
    """The tables as plain text."""
    text = StringIO()
    console = Console(file=text, width=width, force_terminal=False, force_jupyter=False)
    for table in tables(report):
        console.print(table)
    return text.getvalue().rstrip()


def _splits(report: DataReport) -> Table:
    """One column for each split, so that nothing is cut off on a narrow terminal."""
    table = Table(
        title=Text(_escaped(f"{report.layout}: {report.root}")), title_justify="left", title_style="bold"
    )
    table.add_column("split")
    rows: dict[str, list[int]] = {}
    for split in report.splits:
        table.add_column(split.split, justify="right", overflow="fold")
        for name, number in _counts(split).items():
            rows.setdefault(name, []).append(number)
    for name, numbers in rows.items():
        table.add_row(name, *(f"{number:,}" if number else "-" for number in numbers))
    return table


def _counts(split: SplitCount) -> dict[str, int]:
    return {
        "identities": split.identities,
        "samples": split.samples,
        **{name: split.modalities.get(name, 0) for name in MODALITIES},
        "with all 3": split.complete,
        "unknown identity": split.unknown,
        "cameras": split.cameras,
        "scenes": split.scenes,
    }


def _published(report: DataReport) -> Table:
    table = Table(title="published counts: identities, samples", title_justify="left", title_style="bold")
    for heading in ("split", "published", "found", ""):
        table.add_column(heading, justify="left" if heading in ("split", "") else "right")
    for row in report.published:
        numbers = f"{row.identities:,}, {row.samples:,}", f"{row.found_identities:,}, {row.found_samples:,}"
        words, style = ("match", "") if row.matches else ("mismatch", "red")
        table.add_row(row.split, *numbers, words, style=style)
    return table


def _published_words(report: DataReport) -> str:
    if all(row.matches for row in report.published):
        return f"The counts of {report.layout} match those its authors published."
    return (
        f"The counts differ from those published for {report.layout}: this is a part of the set, an incomplete "
        "copy, or another set in the same layout."
    )


def _problems(report: DataReport, most: int | None) -> Table:
    table = Table(title="problems", title_justify="left", title_style="bold red")
    table.add_column("kind", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("what", overflow="fold", ratio=2)
    for kind, count in report.counts.items():
        rows = [problem for problem in report.problems if problem.kind == kind]
        for number, problem in enumerate(rows[:most]):
            detail = Text(_escaped(problem.detail.replace(f"{report.root}/", "")))
            headings = ("", "") if number else (kind, f"{count:,}")
            table.add_row(*headings, _place(problem, report), detail)
        if most is not None and count > most:
            table.add_row("", "", f"... and {count - most:,} more", "")
        table.add_section()
    return table


def _place(problem: Problem, report: DataReport) -> Text:
    """The file, relative to the data set if it is inside."""
    inside = problem.path.is_relative_to(report.root) and problem.path != report.root
    return Text(_escaped(str(problem.path.relative_to(report.root) if inside else problem.path)))


def _escaped(words: str) -> str:
    """Words that can be printed, even if a file name in them is not valid UTF-8."""
    return words.encode("utf-8", "backslashreplace").decode("utf-8")


def _summary(report: DataReport) -> str:
    looked = (
        f"{counted(report.opened, 'image files were', 'image file was')} opened and read"
        if report.opened
        else "only names were read; `mswin-viz doctor --data` opens every file"
    )
    n_problems = len(report.problems)
    wrong = counted(n_problems, "problems") if n_problems else "no problem found"
    if not all(row.matches for row in report.published):
        wrong += ", but counts differ from those published"
    return f"{counted(len(report.samples), 'samples')} can be used; {wrong}; {looked}."
