"""The figure of a paper in one call: pictures and maps in rows and columns, one colour scale for each unit, as a vector file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, Unpack

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mswin_viz import __version__
from mswin_viz.analysis.attribution.attribute import METHOD_LABELS
from mswin_viz.analysis.attribution.target import Target, as_target
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.options import options_of
from mswin_viz.data.progress import Report, StepCounter, Stop, reporter
from mswin_viz.data.sample import Sample, listed_samples
from mswin_viz.data.storage.stored_records import value_words
from mswin_viz.errors import OptionError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.paper.paper_cells import draw_bar, draw_cell, draw_labels
from mswin_viz.view.paper.paper_columns import IMAGE, Column, check_columns, columns_of
from mswin_viz.view.paper.paper_layout import (
    LINE,
    ROWS,
    WIDTHS,
    Layout,
    folded_to,
    labels_of,
    layout_of,
    rows_of,
)
from mswin_viz.view.paper.paper_maps import MapPlan, PaperMaps, paper_maps
from mswin_viz.view.parts.figure_file import fixed_figure
from mswin_viz.view.parts.figure_text import LEAST_SIZE, caption_lines
from mswin_viz.view.parts.heat import colour_scale

COLUMNS = ("image", "plain", "enhanced")
"""What is shown unless other columns are asked for; the last for models with an add-on alone."""
_BAR = 0.3  # inches of a colour bar with its numbers


class PaperOptions(TypedDict, total=False):
    """Options of `paper_figure` by keyword; see there."""

    target: Target | str
    width: float | str
    caption: bool
    n_steps: int
    report: Report | None
    stop: Stop | None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """`PaperOptions` with their defaults, checked."""

    target: Target | str = "own"
    width: float | str = "double"
    caption: bool = True
    n_steps: int = 16
    report: Report | None = None
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if isinstance(self.target, str) and self.target != "own":
            raise OptionError(
                f'target is "own", each image\'s own plain CLS, or a mv.Target: got {self.target!r:.60}; make one of a prompt '
                "with mv.Target.text(prompt)"
            )
        if not isinstance(self.target, str):
            as_target(self.target)
        if self.inches is None:
            raise OptionError(f"width is {', '.join(WIDTHS)}, or inches of 1.5 to 20: got {self.width!r:.60}")

    @property
    def inches(self) -> float | None:
        """The width; None if what was given is not a width."""
        if isinstance(self.width, str):
            return WIDTHS.get(self.width)
        is_number = isinstance(self.width, int | float) and not isinstance(self.width, bool)
        return float(self.width) if is_number and 1.5 <= self.width <= 20 else None


def paper_figure(
    models: Model | Mapping[str, Model],
    samples: Sequence[Sample],
    *,
    rows: str = "images",
    columns: Sequence[str] | None = None,
    modalities: Sequence[str] | None = None,
    **options: Unpack[PaperOptions],
) -> Figure:
    """Draw pictures and maps for a paper: one number for each patch, one colour scale for all columns of a unit.

    Maps of ``"plain"`` and ``"enhanced"`` are the exact split of the score over the input's patches, through the whole
    tower with attention held (:func:`cls_by_patch`); ``"windows 8"`` is each window's exact share in the enhanced score,
    spread over its tokens (:func:`exact_shares`). These and most methods are in units of the score, and share one scale about
    zero; Grad-CAM, rollout, LeGrad and attention relevance have a scale each. A colour bar below names the unit.

    Parameters
    ----------
    models
        One, or name -> model.
    samples
        Whose images are shown, in that order; where one lacks a modality, or cannot be read, its cells say so.
    rows
        ``"images"``: a row for each image, models below one another, modalities side by side; ``"models"``: the same,
        model by model; ``"modalities"``: a row for each image and modality, models side by side.
    columns
        ``"image"``, ``"plain"``, ``"enhanced"``, ``"windows N"`` with a scale N of the add-on, or a method of
        :func:`attribute` (``"rollout"`` and ``"chefer"`` for short): of the enhanced CLS where there is an add-on. If None,
        ``"image"``, ``"plain"`` and, where every model has an add-on, ``"enhanced"``.
    modalities
        Some of ``"RGB"``, ``"NI"``, ``"TI"``; if None, those that a sample has.
    target : Target or str
        What is split: ``"own"``, the cosine with the image's own plain CLS; or any :class:`Target`, whose feature
        follows the column.
    width : float or str
        Inches, or ``"single"`` (3.5) or ``"double"`` (7.16), the columns of a journal.
    caption : bool
        Print target and provenance small below; they stand in the file's metadata in any case.
    n_steps : int
        Of integrated gradients, 16 by default; half as many samples elsewhere.
    report, stop
        ``report(progress)`` is called, and ``stop()`` asked, after each column of a model and modality.

    Returns
    -------
    figure
        Of matplotlib, with no letter below 6 points; :func:`figure_bytes` makes a PDF, SVG or PNG file of it. Pictures
        and maps are embedded at their own resolution, everything else is vectors and text.

    Raises
    ------
    OptionError
        If a column, row, modality, target or width does not exist, a model has no such windows or no add-on, or
        titles would not fit.
    DataError
        If there is no image to show.
    StoppedError
        If ``stop`` returned True.

    Examples
    --------
    >>> target = mv.Target.text("a person wearing a red top")
    >>> some = {"modalities": ["RGB"], "target": target, "width": "single"}
    >>> figure = mv.paper_figure(model, samples[:2], columns=("image", "plain", "enhanced"), **some)
    >>> float(figure.get_size_inches()[0]), mv.figure_bytes(figure, "pdf")[:4]
    (3.5, b'%PDF')
    """
    chosen = options_of(Chosen, options, function="paper_figure", also=("rows", "columns", "modalities"))
    return drawn_paper(models, samples, PaperRequest(rows, columns, modalities), chosen)[0]


class PaperRequest(NamedTuple):
    """The arguments of `paper_figure`."""

    rows: str = "images"
    columns: Sequence[str] | None = None
    modalities: Sequence[str] | None = None


def drawn_paper(
    models: Model | Mapping[str, Model], samples: Sequence[Sample], request: PaperRequest, chosen: Chosen
) -> tuple[Figure, dict[str, str]]:
    """The figure, and the files that could not be read with the reason."""
    named, listed, rows = _named_models(models), listed_samples(samples), request.rows
    own = COLUMNS if all(model.addon is not None for model in named.values()) else COLUMNS[:2]
    shown = columns_of(own if request.columns is None else request.columns)
    there = [name for name in MODALITIES if any(name in sample.images for sample in listed)]
    modalities = (there or MODALITIES) if request.modalities is None else request.modalities
    _check_choices(rows, modalities)
    for name, model in named.items():
        check_columns(shown, model, name)
    wanted = list(modalities)
    steps = StepCounter(
        len(named) * len(wanted) * len(shown), reporter(chosen.report), chosen.stop, "drawing"
    )
    maps = paper_maps(named, listed, MapPlan(shown, wanted, chosen.target, chosen.n_steps), steps)
    words = _words(named, chosen.target, shown)
    names = "; ".join(f"{at}: {sample.name}" for at, sample in enumerate(listed, 1))
    width = chosen.inches or 0.0
    lines = caption_lines(words, int(width * 19), most=14) if chosen.caption else []
    units = list(dict.fromkeys(column.unit for column in shown if column.unit))
    labels = {unit: _unit_words(unit, shown, chosen.target) for unit in units}
    folded = [folded_to(label, _bar_width(width, len(units)), most=200) for label in labels.values()]
    foot = len(lines) * LINE + 0.05
    foot += (_BAR + max(label.count("\n") + 1 for label in folded) * LINE) if units else 0.0
    arranged = rows_of(rows, list(named), labels_of(listed), wanted)
    ratio = max(picture.height / picture.width for picture in maps.pictures.values())
    layout = layout_of(arranged, shown, width=width, ratio=ratio, foot=foot)
    figure = fixed_figure(layout.width, layout.height)
    figure.set_label(f"{words} Images: {names}")
    colours = {unit: _colours(maps, shown, unit) for unit in units}
    _draw(figure, layout, maps, colours)
    for at, (unit, label) in enumerate(zip(units, folded, strict=True)):
        draw_bar(figure, colours[unit], label, (at, len(units)), top=layout.height - foot + 0.05)
    for at, line in enumerate(lines):
        below = 1 - (layout.height - (len(lines) - at) * LINE) / layout.height
        figure.text(0.02 / layout.width, below, line, fontsize=LEAST_SIZE, va="top", color="0.3")
    return figure, maps.failed


def _draw(
    figure: Figure, layout: Layout, maps: PaperMaps, colours: Mapping[str, ScalarMappable]
) -> list[Axes]:
    """Every cell, with the words above and beside them."""
    draw_labels(figure, layout)
    cells = []
    for row, line in enumerate(layout.rows):
        for group, place in enumerate(line.places):
            for at, column in enumerate(layout.columns):
                left, top = layout.corner(row, group, at)
                wide, high = layout.cell
                box = (
                    left / layout.width,
                    1 - (top + high) / layout.height,
                    wide / layout.width,
                    high / layout.height,
                )
                axis = figure.add_axes(box)
                axis.set_gid(f"cell {row} {group} {at}")
                draw_cell(axis, maps, (place, column), colours.get(column.unit), width=wide)
                cells.append(axis)
    return cells


def _bar_width(width: float, n_units: int) -> float:
    return width / n_units - 0.25 if n_units else width


def _colours(maps: PaperMaps, columns: Sequence[Column], unit: str) -> ScalarMappable:
    low, high = maps.limits(columns, unit)
    return colour_scale((low, high), signed=low < 0)


def _named_models(models: object) -> dict[str, Model]:
    if isinstance(models, Model):
        return {"": models}
    named = dict(models) if isinstance(models, Mapping) else {}
    wrong = next((one for one in named.values() if not isinstance(one, Model)), None)
    if not named or wrong is not None or not all(isinstance(name, str) and name for name in named):
        got = value_words(models if wrong is None else wrong)
        raise OptionError(f"a figure shows a model, or a dictionary of names and models: got {got}")
    return named


def _check_choices(rows: object, modalities: Sequence[str]) -> None:
    if rows not in ROWS:
        raise OptionError(f"rows are one of {', '.join(ROWS)}: got {rows!r:.60}")
    listed = list(modalities)
    if not listed or any(name not in MODALITIES for name in listed) or len(set(listed)) < len(listed):
        raise OptionError(
            f"modalities are some of {', '.join(MODALITIES)}, each once: got {tuple(modalities)}"
        )


def _unit_words(unit: str, columns: Sequence[Column], target: Target | str) -> str:
    """What a bar's numbers are, and of which columns where there are several bars."""
    maps = [column for column in columns if column.unit]
    whose = ", ".join(column.title for column in maps if column.unit == unit)
    if unit != "score":
        return f"{METHOD_LABELS[unit]}: its own unit, each patch"
    score = "cosine" if isinstance(target, str) or target.kind == "cosine" else "score"
    words = f"part of the {score}, each patch"
    return f"{whose}: {words}" if len({column.unit for column in maps}) > 1 else words


def _words(models: Mapping[str, Model], target: Target | str, columns: Sequence[Column]) -> str:
    """The caption: what is split, how it is drawn, and which weights."""
    aim = "the image's own plain CLS" if isinstance(target, str) else target.words
    kind = "Cosine with" if isinstance(target, str) or target.kind == "cosine" else "Score:"
    splits = [column.name for column in columns if column.kind == "split"]
    how = (
        f" {' and '.join(splits)}: exact split of that CLS over the input's patches, attention held."
        if splits
        else ""
    )
    if any(column.kind == "windows" for column in columns):
        how += " windows: exact share of each window in the enhanced CLS, spread over its tokens."
    whose = "; ".join(
        f"{name}: {model.provenance}" if name else model.provenance for name, model in models.items()
    )
    made = f"{whose}; mswin_viz {__version__}"
    if all(column.name == IMAGE for column in columns):
        return made
    return f"{kind} {aim}.{how} Maps lie over the picture in grey. {made}"
