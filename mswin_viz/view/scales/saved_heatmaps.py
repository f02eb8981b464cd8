"""Heatmaps of many images as files: a figure for each, and one sheet of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from mswin_viz.analysis.scales.panels import Panel, shared_range
from mswin_viz.analysis.scales.request import ViewRequest
from mswin_viz.data.progress import progress_bar
from mswin_viz.data.sample import Sample
from mswin_viz.data.sets.contact_sheet import save_sheet, sheet_of_columns
from mswin_viz.data.shown_text import counted
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.errors import DataError, ImageError, ImageFileError
from mswin_viz.model.encoder.backbone import Model
from mswin_viz.view.parts.figure_file import figure_bytes
from mswin_viz.view.parts.file_names import file_stems
from mswin_viz.view.parts.heat import colour_scale, heat_pixels
from mswin_viz.view.scales.explored_models import ExploredModels, explored_models
from mswin_viz.view.scales.figure import Display, scales_figure
from mswin_viz.view.scales.result_cache import ExplorerRequest
from mswin_viz.view.scales.shown_results import ShownResults

_SHEET_HEIGHT = 192  # of a picture in a sheet, in pixels


@dataclass(frozen=True)
class HeatmapPlan:
    """What heatmaps show.

    Attributes
    ----------
    scale
        Tokens in a window of the free panel, 1..N.
    value
        One of :data:`mswin_viz.analysis.scales.request.VALUES`; None for what the explorer begins with.
    prompts
        Texts, of which the first is the target of the cosine; without one, it is the image's own plain CLS.
    modality
        Which image of each sample; None for all that it has, below each other.
    """

    scale: int = 4
    value: str | None = None
    prompts: tuple[str, ...] = ()
    modality: str | None = None


@dataclass(eq=False)
class SavedHeatmaps:
    """What has been written.

    Attributes
    ----------
    files
        One for each image, in their order; empty if only a sheet was asked for.
    sheet, limits
        The sheet, and the values at the two ends of its colours; None without one.
    left_out
        Name of a sample -> why it could not be shown.
    """

    files: list[Path] = field(default_factory=list)
    sheet: Path | None = None
    limits: tuple[float, float] | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Tile:
    """A picture and its values."""

    picture: Image.Image
    panel: Panel
    row: int


def save_heatmaps(
    model: Model,
    samples: Sequence[Sample],
    plan: HeatmapPlan,
    *,
    folder: Path | None = None,
    kind: str = "png",
    sheet: Path | None = None,
) -> SavedHeatmaps:
    """Write a figure of each sample into a folder, and a sheet of all of them: pictures with the free panel below each.

    Parameters
    ----------
    model
        The CLIP and its add-on.
    samples
        Whose images are shown; one that cannot be read is left out.
    plan
        What is shown.
    folder, kind
        Where the figures go, and one of :data:`mswin_viz.view.parts.figure_file.FORMATS`; no figures without a folder.
    sheet
        The file of the sheet, whose colours have one range for all images.

    Raises
    ------
    DataError
        If no sample can be shown.
    ScaleError, OptionError
        If the scale does not fit the grid; if there is no such value.
    OutputError
        If a file cannot be written.
    """
    saved, tiles, models = SavedHeatmaps(), [], explored_models(model)
    stems = dict(zip(map(id, samples), file_stems(samples), strict=True))
    try:
        for sample, shown in _each(
            models, samples, plan, lambda s, why: saved.left_out.update({s.name: why})
        ):
            if folder is not None:
                figure = scales_figure(shown, provenance=models.provenance, display=Display())
                file = folder / f"{stems[id(sample)]}_scales.{kind}"
                saved.files.append(write_bytes(file, figure_bytes(figure, kind)))
            tiles.append([_tile(shown, at) for at in range(len(shown.rows))] if sheet is not None else [])
    finally:
        models.close()
    if not tiles:
        raise DataError(
            f"heatmaps need an image that can be read: got {counted(len(samples), 'samples')}, of the first: "
            f"{next(iter(saved.left_out.values()))}"
        )
    if sheet is not None:
        panels = [tile for column in tiles for tile in column]
        saved.limits = shared_range(
            [one.panel.values[one.row] for one in panels], signed=panels[0].panel.signed
        )
        saved.sheet = save_sheet(_sheet(tiles, saved.limits), sheet)
    return saved


def _each(
    models: ExploredModels,
    samples: Sequence[Sample],
    plan: HeatmapPlan,
    leave_out: Callable[[Sample, str], object],
) -> Iterator[tuple[Sample, ShownResults]]:
    """Every sample with its result, but for those that cannot be read."""
    value = plan.value or models.first_value
    view_request = ViewRequest(free_scale=plan.scale, value=value, slots=("on",) * len(models.scales))
    for sample in progress_bar(samples, desc="drawing", unit="image"):
        request = ExplorerRequest(
            sample=sample, second=sample, modality=plan.modality or next(iter(sample.images)),
            rows="one" if plan.modality else "modalities", view_request=view_request,
            target="text" if plan.prompts else "own", prompts=plan.prompts,
        )  # fmt: skip
        try:
            yield sample, models.result(request)
        except (DataError, ImageError, ImageFileError) as problem:
            leave_out(sample, str(problem))


def _tile(shown: ShownResults, at: int) -> _Tile:
    panel = next(panel for panel in shown.panels if panel.key == "free")
    return _Tile(shown.rows[at].picture.shown, panel, at)


def _sheet(columns: Sequence[Sequence[_Tile]], limits: tuple[float, float]) -> Image.Image:
    first = columns[0][0].picture
    size = (round(_SHEET_HEIGHT * first.width / first.height), _SHEET_HEIGHT)
    pictures = [
        [each for tile in column for each in (tile.picture, _heated(tile, limits))] for column in columns
    ]
    return sheet_of_columns(pictures, size=size)


def _heated(tile: _Tile, limits: tuple[float, float]) -> Image.Image:
    """The picture under its values' colours, as on a new board."""
    panel, picture = tile.panel, tile.picture.convert("RGBA")
    colours = colour_scale(limits, signed=panel.signed)
    heat = heat_pixels(panel, tile.row, colours, opacity=Display().opacity)
    over = Image.fromarray((255 * heat).round().astype("uint8"), "RGBA")
    return Image.alpha_composite(picture, over.resize(picture.size, Image.Resampling.NEAREST)).convert("RGB")
