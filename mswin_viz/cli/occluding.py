"""The command that measures how retrieval falls while pictures are covered: ``occlude``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.cli.checks import at_least, check_apart, check_seed, existing, one_of, to_read, to_write
from mswin_viz.cli.measuring import ModelName, ThermalRange
from mswin_viz.cli.own_addons import AddonWeights, AnyAddon, chosen_addon
from mswin_viz.cli.shared_options import answer, note, say_left_out
from mswin_viz.cli.tag_options import tag_choice
from mswin_viz.data.images.deep_images import checked_range
from mswin_viz.data.images.image_source import MODALITIES
from mswin_viz.data.shown_text import shown_text
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file
from mswin_viz.errors import OptionError

_ENDINGS = (".png", ".pdf", ".svg")


def occlude(
    data: Annotated[
        Path | None,
        to_read("PATH", "Data set with identities; the drawn samples if left out."),
    ] = None,
    out: Annotated[
        Path | None, to_write("FILE", "The table, ending in .csv; occlusion.csv if left out.")
    ] = None,
    figure: Annotated[Path | None, to_write("FILE", "The curves as a figure: .png, .pdf or .svg.")] = None,
    fractions: Annotated[
        str, typer.Option(help="Per cent of the rows that are covered, separated by commas.")
    ] = "0,10,20,30,40,50,60",
    side: Annotated[str, typer.Option(help="Where: bottom, top, middle or random.")] = "bottom",
    masked: Annotated[str, typer.Option(help="Whose pictures: query or both.")] = "query",
    fill: Annotated[
        str, typer.Option(help="With what: mean (of the normalisation), own_mean (of the picture) or black.")
    ] = "mean",
    modalities: Annotated[
        str, typer.Option(help="Some of RGB, NI and TI, separated by commas.")
    ] = "RGB,NI,TI",
    null_seeds: Annotated[int, typer.Option(help="Shuffled and untrained add-ons, of each; 0 for none.")] = 3,
    rule: Annotated[
        str | None,
        typer.Option(
            help="What a query leaves out: camera, scene or none; by default the data set's own rule."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the nulls, the random blocks and the intervals.")] = 0,
    model: ModelName = "embedded",
    addon: AnyAddon = None,
    addon_weights: AddonWeights = None,
    thermal_range: ThermalRange = None,
) -> None:
    """Measure retrieval while rows of the pictures are covered: plain, enhanced and add-ons that learned nothing."""
    at_least(0, null_seeds=null_seeds)
    check_seed(seed)
    checked_range(thermal_range)
    data = data and existing(data, "--data")
    out = output_file(out or Path("occlusion.csv"), "--out", endings=[".csv"], inputs=[data])
    figure = figure and output_file(figure, "--figure", endings=_ENDINGS, inputs=[data])
    check_apart(out=out, figure=figure)
    names = tuple(name.strip() for name in modalities.split(","))
    for name in names:
        one_of(MODALITIES, modalities=name)
    from mswin_viz.analysis.experiments.occluded_images import FILLS, SIDES
    from mswin_viz.analysis.experiments.occlusion import occlusion_curves
    from mswin_viz.analysis.experiments.occlusion_request import MASKED, OcclusionRequest
    from mswin_viz.analysis.measures.matching import RULES
    from mswin_viz.data.sets.layouts import samples
    from mswin_viz.data.storage.spreadsheet_cells import csv_file
    from mswin_viz.model.loading import load_model
    from mswin_viz.view.paper.occlusion import occlusion_figure
    from mswin_viz.view.parts.figure_file import figure_bytes

    one_of(SIDES, side=side)
    one_of(MASKED, masked=masked)
    one_of(FILLS, fill=fill)
    one_of(RULES, rule=rule)
    parts = _parts(fractions)
    OcclusionRequest(fractions=parts, modalities=names)  # refused before anything is loaded
    chosen = chosen_addon(addon, addon_weights and existing(addon_weights, "--addon-weights"))
    encoder = load_model(model, addon=chosen, thermal_range=thermal_range)
    curves = occlusion_curves(
        encoder, samples(data, **tag_choice()), fractions=parts, side=side, masked=masked, fill=fill, modalities=names, rule=rule,
        controls=null_seeds > 0, null_seeds=max(1, null_seeds), seed=seed,
    )  # fmt: skip
    say_left_out((failure.path, failure.reason) for failure in curves.failed)
    table = curves.to_pandas()
    write_bytes(out, csv_file(table))
    note(f"wrote {shown_text(out)}")
    if figure is not None:
        drawn = occlusion_figure(curves, provenance=encoder.provenance)
        write_bytes(figure, figure_bytes(drawn, figure.suffix[1:].lower()))
        note(f"wrote {shown_text(figure)}")
    record = {
        "table": shown_text(out),
        "figure": figure and shown_text(figure),
        "sentences": curves.sentences(),
        "points": [{name: _plain(value) for name, value in row.items()} for row in table.to_dict("records")],
        "left_out": [shown_text(failure.path) for failure in curves.failed],
    }
    answer(record, lambda: "\n".join(record["sentences"]))


def _parts(text: str) -> tuple[float, ...]:
    """Fractions, from per cent with commas between them."""
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if not parts or any(not 0 <= part < 100 for part in parts) or sorted(set(parts)) != parts:
        raise OptionError(
            "--fractions takes per cent of the rows, from 0 to below 100, ascending, with commas between them, such as 0,20,40: "
            f"got {text!r}"
        )
    return tuple(part / 100 for part in parts)


def _plain(value: object) -> object:
    """As JSON takes it: null for what was not measured."""
    return None if isinstance(value, float) and value != value else value
