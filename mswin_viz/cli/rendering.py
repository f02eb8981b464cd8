"""The command that saves heatmaps: ``render``, as figures, a contact sheet, a paper's figure, or the explorer as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mswin_viz.cli.checks import Images, at_least, check_apart, existing, has_no_effect, one_of, to_write
from mswin_viz.cli.measuring import ModelName
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.shared_options import answer, note, say_left_out, shared
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.cli.terminal import echo
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.sets.contact_sheet import SHEET_ENDINGS
from mswin_viz.data.shown_text import counted, shown_text
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.errors import OptionError

if TYPE_CHECKING:
    from mswin_viz.data.sample import Sample
    from mswin_viz.model.encoder.backbone import Model

_OF_FILES = ("scale", "value", "modality", "kind")
_OF_A_PAPER = ("columns", "rows", "width")
_IN_A_PAGE, _IN_A_FIGURE = 24, 6  # images


def render(
    context: typer.Context,
    source: Images = None,
    html: Annotated[
        Path | None,
        to_write("FILE", "The scale explorer as a page, ending in .html, without kernel or network."),
    ] = None,
    out: Annotated[Path | None, to_write("FOLDER", "Folder for a figure of each image.")] = None,
    sheet: Annotated[
        Path | None,
        to_write("FILE", "One sheet of all images, each above its heatmap: .png, .jpg, .webp or .pdf."),
    ] = None,
    paper: Annotated[
        Path | None,
        to_write(
            "FILE", "One figure for a paper, .pdf, .svg or .png: pictures and maps in rows and columns."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Of --paper, separated by commas: image, plain, enhanced, windows N, or a method; image, plain and, with an add-on, enhanced if left out."
        ),
    ] = None,
    rows: Annotated[str, typer.Option(help="Of --paper: images or modalities.")] = "images",
    width: Annotated[
        str, typer.Option(help="Of --paper: single (3.5), double (7.16), or inches.")
    ] = "double",
    kind: Annotated[str, typer.Option("--format", help="Of the figures: png, pdf or svg.")] = "png",
    scale: Annotated[int, typer.Option(help="Free scale of figures and sheet: tokens in a window.")] = 4,
    value: Annotated[
        str | None,
        typer.Option(
            help="Value of figures and sheet: removal, push, share, norm or cosine; the explorer's first if left out."
        ),
    ] = None,
    modality: Annotated[
        str | None, typer.Option(help="RGB, NI or TI in figures and sheet; all of a sample if left out.")
    ] = None,
    model: ModelName = "embedded",
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="What the cosine is taken with; give it again for more, of which the first is shown."
        ),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            help="How many images at most; if left out, 24 in a page, 6 in a paper's figure, else all."
        ),
    ] = None,
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
) -> None:
    """Save heatmaps of some images: as figures, as one contact sheet, as a paper's figure, or the scale explorer as one HTML file."""
    if html is None and out is None and sheet is None and paper is None:
        raise OptionError(
            "render writes files: name a page with --html FILE, figures with --out FOLDER, --sheet FILE, or --paper FILE"
        )
    if out is None and sheet is None:
        without = [name for name in _OF_FILES if name != "modality" or paper is None]
        has_no_effect(context, without, "without --out or --sheet")
    if paper is None:
        has_no_effect(context, _OF_A_PAPER, "without --paper")
    at_least(1, scale=scale, **{} if images is None else {"images": images})
    one_of(MODALITIES, modality=modality)
    source = source and existing(source, "IMAGES")
    html = html and output_file(html, "--html", endings=[".html", ".htm"], inputs=[source])
    sheet = sheet and output_file(sheet, "--sheet", endings=SHEET_ENDINGS, inputs=[source])
    out = out and output_folder(out, "--out", inputs=[source])
    paper = paper and output_file(paper, "--paper", endings=[".pdf", ".svg", ".png"], inputs=[source])
    _check_choices(kind, value)
    check_apart(html=html, sheet=sheet, out=out, paper=paper)
    shown = _paper_plan(columns, rows, width, modality)
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.model.loading import load_model
    from mswin_viz.view.scales.saved_heatmaps import HeatmapPlan, save_heatmaps

    read = samples(source, **tag_choice())
    encoder, record = load_model(model, addon=chosen), {}
    if html is not None:
        record |= _page(encoder, read, html, images=images or _IN_A_PAGE, prompts=prompt)
    if paper is not None:
        target = prompt[0] if prompt else None
        record |= _paper(encoder, read[: images or _IN_A_FIGURE], paper, target, shown)
    if out is not None or sheet is not None:
        plan = HeatmapPlan(scale, value, tuple(prompt or ()), modality)
        saved = save_heatmaps(encoder, read[:images], plan, folder=out, kind=kind, sheet=sheet)
        say_left_out(saved.left_out.items())
        if out is not None:
            note(f"{counted(len(saved.files), 'figures')} in {shown_text(out)}")
        if saved.sheet is not None and saved.limits is not None:
            low, high = saved.limits
            note(f"wrote {shown_text(saved.sheet)}; its colours reach from {low:.3g} to {high:.3g}")
        record |= {
            "files": [shown_text(file) for file in saved.files],
            "sheet": saved.sheet and shown_text(saved.sheet),
            "limits": saved.limits,
            "left_out": record.get("left_out", {}) | saved.left_out,
        }
    answer(record)


def _paper_plan(columns: str | None, rows: str, width: str, modality: str | None) -> dict[str, Any]:
    """What `paper_figure` is asked for, refused before anything is loaded."""
    from mswin_viz.view.paper.paper_columns import columns_of
    from mswin_viz.view.paper.paper_layout import ROWS, WIDTHS

    one_of([name for name in ROWS if name != "models"], rows=rows)
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    if names is not None:
        columns_of(names)
    try:
        wide = width if width in WIDTHS else float(width)
    except ValueError as problem:
        raise OptionError(f"--width is {', '.join(WIDTHS)}, or inches: got {width!r}") from problem
    return {
        "columns": names,
        "rows": rows,
        "width": wide,
        "modalities": None if modality is None else (modality,),
    }


def _paper(
    encoder: Model, read: list[Sample], paper: Path, prompt: str | None, shown: dict[str, Any]
) -> dict[str, Any]:
    """Save a paper's figure, and name what could not be read."""
    from mswin_viz.analysis.attribution.target import Target
    from mswin_viz.data.storage.file_writing import write_bytes
    from mswin_viz.view.paper.paper import Chosen, PaperRequest, drawn_paper
    from mswin_viz.view.parts.figure_file import figure_bytes

    request = PaperRequest(shown["rows"], shown["columns"], shown["modalities"])
    chosen = Chosen(width=shown["width"], target=Target.text(prompt) if prompt else "own")
    figure, left_out = drawn_paper(encoder, read, request, chosen)
    write_bytes(paper, figure_bytes(figure, paper.suffix[1:].lower()))
    say_left_out(left_out.items())
    note(f"wrote {shown_text(paper)}")
    return {"paper": shown_text(paper), "left_out": left_out}


def _check_choices(kind: str, value: str | None) -> None:
    from mswin_viz.analysis.scales.request import VALUES
    from mswin_viz.view.parts.figure_file import FORMATS

    one_of(FORMATS, format=kind)
    one_of([name for name in VALUES if name != "channel"], value=value)


def _page(
    encoder: Model, read: list[Sample], html: Path, *, images: int, prompts: list[str] | None
) -> dict[str, Any]:
    """Save the explorer as a page."""
    from mswin_viz.view.scales.explorer import ScaleExplorer

    prompt = {"prompt": "\n".join(prompts)} if prompts else {}
    explorer = ScaleExplorer(encoder, read, **prompt)
    has_bar = sys.stderr.isatty() and not shared().quiet
    explorer.to_html(html, images=images, progress=has_bar, say=lambda words: echo(words, err=True))
    note(f"wrote {shown_text(html)}")
    return {"html": shown_text(html)}
