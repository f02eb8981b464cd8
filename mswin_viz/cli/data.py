"""Commands about data sets and the installation: ``samples`` and ``doctor``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer

from mswin_viz.cli.checks import (
    at_least,
    check_apart,
    check_seed,
    existing,
    has_no_effect,
    to_read,
    to_write,
    written_path,
)
from mswin_viz.cli.terminal import echo
from mswin_viz.data.storage.file_writing import write_bytes
from mswin_viz.data.storage.output_checks import output_file, output_folder
from mswin_viz.errors import OutputError


def samples(
    out: Annotated[
        Path,
        typer.Argument(
            parser=written_path, metavar="OUT", help="Folder in which to create RGBNT201/; made if missing."
        ),
    ],
    identities: Annotated[int, typer.Option(help="How many people to draw.")] = 24,
    cameras: Annotated[int, typer.Option(help="How many cameras, at most 4.")] = 4,
    shots: Annotated[int, typer.Option(help="Shots of each person by each camera.")] = 2,
    seed: Annotated[int, typer.Option(help="World number; a different number draws different people.")] = 0,
    look_alikes: Annotated[
        bool, typer.Option("--look-alikes", help="Draw groups of four people who differ in one small detail.")
    ] = False,
    sheet: Annotated[
        Path | None, to_write("FILE", "Also write a contact sheet of the first 32 people to this file.")
    ] = None,
) -> None:
    """Draw synthetic pedestrians in RGB, near and thermal infrared, in the layout of RGBNT201."""
    check_seed(seed)
    out = output_folder(out, "OUT")
    sheet = sheet and output_file(sheet, "--sheet", endings=(".png", ".jpg", ".jpeg", ".webp"))
    check_apart(OUT=out, sheet=sheet)
    if sheet is not None and (out / "RGBNT201").resolve() in sheet.resolve().parents:
        raise OutputError(
            f"--sheet must lie outside the samples: {sheet} is in {out / 'RGBNT201'}; choose another folder"
        )
    from PIL import Image

    from mswin_viz.data.sets.contact_sheet import contact_sheet
    from mswin_viz.data.sets.layouts import samples as read_samples
    from mswin_viz.data.synthetic.write_samples import write_samples

    root = write_samples(
        out, identities=identities, cameras=cameras, shots=shots, seed=seed, lookalikes=look_alikes
    )
    echo(f"{identities * cameras * shots} shots in three modalities: {root}")
    if sheet is not None:
        each, drawn, file = cameras * shots, read_samples(root), io.BytesIO()
        picture = contact_sheet([drawn[n * each + n % each] for n in range(min(identities, 32))])
        picture.save(file, format=Image.registered_extensions()[sheet.suffix.lower()])
        write_bytes(sheet, file.getvalue())
        echo(f"contact sheet of the first people: {sheet}")


def doctor(
    context: typer.Context,
    data: Annotated[Path | None, to_read("PATH", "Open and check every image of this data set.")] = None,
    layout: Annotated[
        str, typer.Option(help="Layout of the data set, as in mswin_viz.samples(); auto recognises it.")
    ] = "auto",
    every: Annotated[
        bool, typer.Option("--all", help="List every file with a problem, not just ten of each kind.")
    ] = False,
    workers: Annotated[int, typer.Option(help="How many threads open files.")] = 4,
) -> None:
    """Show installed versions, devices and the weights found here; with --data, check a data set. Exit code 1 on problems."""
    if data is None:
        has_no_effect(context, ("layout", "every", "workers"), "without --data")
    at_least(1, workers=workers)
    from mswin_viz.data.sets.layouts import scan

    names = None if data is None else scan(existing(data, "--data"), layout)
    from rich.console import Console

    from mswin_viz.data.sets.report import MOST_PATHS, tables
    from mswin_viz.data.sets.verification import verify
    from mswin_viz.model.environment import available_weights, devices, versions

    console, installed = Console(), versions()
    weights = available_weights()
    for title, rows in {"versions": installed, "devices": devices(), "weights": weights}.items():
        console.print(_two_columns(title, rows))
    sound = "MISSING" not in " ".join([*installed.values(), *weights.values()])
    if names is not None:
        report = verify(names, workers=workers)
        for table in tables(report, most=None if every else MOST_PATHS):
            console.print(table)
        sound = sound and report.sound
    if not sound:
        raise typer.Exit(1)


def _two_columns(title: str, rows: dict[str, str]) -> object:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, words in rows.items():
        table.add_row(name, words, style="red" if "MISSING" in words else "")
    return table
